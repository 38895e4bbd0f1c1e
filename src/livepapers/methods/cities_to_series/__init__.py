"""Forecasts of many series with a learned variable graph, and street corners that are badly served (cities-to-series).

Paper       Spadon, "From Cities to Series: Complex Networks and Deep Learning for Improved Spatial and Temporal
            Analytics", PhD thesis, arXiv 2206.01176; its parts: ReGENN (arXiv 2008.12833, TPAMI 44(9) 2022) and the
            distance-based tool-set for streets (arXiv 1803.09136, ICCS 2018). Commuting has a card of its own.
Idea        Time: a graph between variables, taken from the data and reweighted while a network learns, mixes the
            variables before and after a recurrence. Streets: a corner is inconsistent when the facility that is
            nearest in a straight line is not the nearest by road; moving facilities greedily removes such corners.
Equations   (1) A_ij = sum over samples and times of x_i 1[x_j > 0], A_ii = max(0, A_ii - sum over j != i of A_ij):
                `variable_graph`;
            (2) H = A W_a + b_a, (3) Theta = cos(H_i, H_j) * W_c + B_c: `evolved`, (4) E = Theta x: the new term;
            (5) E'[d] = sum over b of W_t[b, d] E[b] + b_t[d]; (6) Transformer encoder over windows; (7) LSTM over the
                variables, window -> stride; (8) LSTM over the stride with a residual; (4) again with A := H;
            (9) output = ReLU(the above + W_ar x), loss |y - x| in original units: `ReGENN`, `original_units_loss`;
            (10) i in E_p is inconsistent if d(i, p) > min over q of d(i, q), out, in or both: `inconsistencies`;
            (11) streets grow along the largest angle >= min_angle: `dual_streets`.
Shapes      series [n, w, v] -> [n, s, v] float32; distances [facilities, corners] float64, infinite without a way
Deviations  1. Released code: scales by the largest value of the whole tensor, test included, and multiplies forecasts
               by the future's true largest values. Ours: the past alone; the leak stands in `leaky_windows` for study.
            2. Released code: A grows batch by batch in epoch 1. Ours: whole before it, of scaled training windows, over
               its largest entry, because raw counts saturate the cosine.
            3. Released code: the encoder attends across the samples of a batch. Ours: across variables, so that a
               forecast does not depend on batch mates; or `attend="samples"`.
            4. Released code: one step a window in order, batch 32, plateau 25 epochs at 0.95. Laptop: shuffled
               (series, window) pairs, plateau factor 0.7 (0.95), 400 epochs (2,500), patience 40 (250).
            5. Released code: highway and biases off by default. Laptop: on. Encoder units 2,048; laptop: 256.
            6. Paper: ReLU at the output (9). Laptop: only outside training; outputs that are 0 for all inputs have no
               gradient, and in a pilot all of a horizon's were.
            7. Paper: window and stride not found; 7 and 3 here, arguments everywhere. Early stopping watches the dev
               window of the training series only.
            8. Streets: the notation of (10) is rebuilt from abstracts; ties go to the facility listed first, tolerance
               1e-9 of a way. Influence: the thesis' score was not found; three centralities and removal instead.
            9. Relocation counts corners without a way as far as the longest way; beyond 5,000 corners candidates are
               the 100 nearest of a perimeter. Betweenness beyond 500 corners is sampled.
           10. Angles of (11) are between junctions, curves of a segment do not count.

Example:
    >>> from livepapers.methods.cities_to_series import inconsistencies, relocate
    >>> from livepapers.tasks.street_graph import StreetGraph
    >>> ends = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    >>> graph = StreetGraph.of([0, 1, 1, 1, 2, 3], [0, 0, 3, 6, 0, 0], ends)
    >>> inconsistencies(graph, [0, 3]).inconsistent.tolist()
    [False, False, False, False, True, True]
"""

from typing import Literal

import torch

from livepapers.core.rng import numpy_generator
from livepapers.methods.cities_to_series.application import apply
from livepapers.methods.cities_to_series.config import Config
from livepapers.methods.cities_to_series.dual import DualStreets, convex_angle, dual_streets
from livepapers.methods.cities_to_series.evolution import evolved, variable_graph
from livepapers.methods.cities_to_series.forecaster import ReGENNForecaster, learner_of, split_of
from livepapers.methods.cities_to_series.inconsistencies import Inconsistencies, inconsistencies
from livepapers.methods.cities_to_series.influence import influential, removal_impact
from livepapers.methods.cities_to_series.network import ReGENN, untrained
from livepapers.methods.cities_to_series.relocation import Relocation, relocate
from livepapers.methods.cities_to_series.scaling import Split, Windows, leaky_windows, windows
from livepapers.methods.cities_to_series.training import METRICS, ForecastLearner, forecasts, original_units_loss
from livepapers.tasks.coupled_series import coupled_series
from livepapers.tasks.street_graph import StreetGraph

ROLE: Literal["learner"] = "learner"
ARCHITECTURES = {"ReGENN": ReGENN}
"""What an artifact may name."""

__all__ = [
    "ARCHITECTURES", "METRICS", "ROLE", "Config", "DualStreets", "ForecastLearner", "Inconsistencies", "ReGENN",
    "ReGENNForecaster", "Relocation", "Split", "StreetGraph", "Windows", "apply", "convex_angle", "dual_streets",
    "evolved", "example", "forecasts", "inconsistencies", "influential", "leaky_windows", "learner_of",
    "original_units_loss", "relocate", "removal_impact", "split_of", "untrained", "variable_graph", "windows",
]  # fmt: skip


def example(config: Config, seed: int) -> ForecastLearner:
    """The smallest whole problem: made series in which each variable leads the next."""
    steps = config.window + 3 * config.stride + 10
    made = coupled_series(numpy_generator(seed, "cities-to-series", "example"), 12, steps)
    values = torch.tensor(made, dtype=torch.float32)
    return learner_of(values, config, seed=seed, split=split_of(values, config))
