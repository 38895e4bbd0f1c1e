"""Reconstructing commuters' networks from urban indicators (commuters).

Paper       arXiv:1908.03512 (Spadon, de Carvalho, Rodrigues-Jr, Alves; Scientific Reports 9:11801, 2019)
Idea        Who commutes where is seldom counted, what cities are like is. A classifier learns from the indicators of
            both cities and their distance whether anyone commutes, a regressor how many. Tree ensembles do it better
            than gravity and radiation, which know masses and distance only, and say which indicators matter.
Equations   phi_ij = [x_i ; x_j ; d_ij], in this order (features of a pair)
            A_ij = 1[T_ij >= threshold] (task 1, links); y_ij = ln T_ij where A_ij = 1 (task 2, flows)
            T'_ij = 1[p_ij >= 1/2] exp(y'_ij) s, s the mean of exp(y - y') (full reconstruction)
            p' = p (t/s) / (p (t/s) + (1 - p)(1 - t)/(1 - s)), links a share s in training, t in the world
            CPC = 2 sum min(T, T') / (sum T + sum T')
Shapes      pairs [pairs, 2] int64 of places -> features [pairs, 2 m + 1] -> probability, flow [pairs] float64
Deviations  1. Paper: 22 indicators of Brazilian municipalities, not published as a table; here any, 15 in the study.
            2. Paper: classifiers, grids and scores of each are not given; here scikit-learn's boosting, forests,
               logistic (ridge) regression, neighbours, perceptron, four settings each, chosen on at most 2,400
               training pairs by three grouped folds.
            3. Paper: k-fold over pairs; here (i, j) and (j, i) stay together, and node-disjoint splits stand first.
            4. Paper: balanced classes only; here probabilities are also put right for the true share of links (exact
               prior correction) and judged there. Full reconstruction uses the corrected probability, paper: 0.5 of
               the balanced one, which at 5 % links calls twice as many links as there are.
            5. Smearing by residuals of pairs that the model had not seen (inner folds); training residuals of trees
               are nearly zero and would leave the bias in.
            6. Forests of 100 trees, boosting of 200 small ones (paper: not given; preset `paper`: 200 and 400).
            7. Distances below 1 km count as 1 km where a formula takes their logarithm.

Example:
    >>> from livepapers.core.rng import numpy_generator
    >>> from livepapers.methods.commuters import LinkClassifier, judge_links, split_pairs
    >>> from livepapers.tasks.mobility_models import wage_country
    >>> from livepapers.tasks.places import ordered_pairs
    >>> country = wage_country(numpy_generator(0, "docs"), places=30)
    >>> pairs = ordered_pairs(30)
    >>> flows = country.flows.on(pairs)
    >>> fold = next(split_pairs(pairs, flows >= 1, by="nodes", folds=1, rng=numpy_generator(0, "split")))
    >>> model = LinkClassifier(country.places, model="logit").fit(pairs[fold.train], flows[fold.train])
    >>> probability = model.predict_proba(pairs[fold.test])[:, 1]
    >>> judge_links(probability, flows[fold.test] >= 1, threshold=0.5, rng=numpy_generator(0, "judge"))["auc"] > 0.9
    True
"""

from typing import Literal

from livepapers.baselines.spatial_interaction import Gravity, Radiation
from livepapers.core.rng import numpy_generator
from livepapers.methods.commuters.application import apply
from livepapers.methods.commuters.calibration import calibration_error, correct_prior, reliability
from livepapers.methods.commuters.estimators import (
    FlowRegressor,
    LinkClassifier,
    MobilityReconstructor,
    balanced,
    common_part,
    learners,
)
from livepapers.methods.commuters.evaluation import (
    Fold,
    Split,
    best_threshold,
    judge_flows,
    judge_links,
    judge_probabilities,
    split_pairs,
)
from livepapers.methods.commuters.features import PAPER_PARTS, PairFeatures, Part, column_groups
from livepapers.methods.commuters.importance import (
    elimination_order,
    grouped_importance,
    impurity_importance,
    indicator_importance,
)
from livepapers.methods.commuters.models import FAMILIES, tune
from livepapers.methods.commuters.networks import compare_networks
from livepapers.methods.commuters.rivals import learned_flows, learned_links, rival_flows, rival_links
from livepapers.methods.commuters.settings import Config, ModelName
from livepapers.tasks.mobility_models import wage_country
from livepapers.tasks.places import ordered_pairs

ROLE: Literal["function"] = "function"
METRICS = (
    *("accuracy", "precision", "recall", "f1", "auc", "auc_pr", "density"),
    *("mean_probability", "calibration_error", "brier", "log_loss"),
    *("r2", "mae", "r2_raw", "cpc", "rank"),
)
"""Of `example`: on pairs of places that were not seen, as `judge_links`, `judge_probabilities`, `judge_flows` say."""

__all__ = [
    "FAMILIES",
    "METRICS",
    "PAPER_PARTS",
    "ROLE",
    "Config",
    "FlowRegressor",
    "Fold",
    "Gravity",
    "LinkClassifier",
    "MobilityReconstructor",
    "ModelName",
    "PairFeatures",
    "Part",
    "Radiation",
    "Split",
    "apply",
    "balanced",
    "best_threshold",
    "calibration_error",
    "column_groups",
    "common_part",
    "compare_networks",
    "correct_prior",
    "elimination_order",
    "example",
    "grouped_importance",
    "impurity_importance",
    "indicator_importance",
    "judge_flows",
    "judge_links",
    "judge_probabilities",
    "learned_flows",
    "learned_links",
    "learners",
    "reliability",
    "rival_flows",
    "rival_links",
    "split_pairs",
    "tune",
]


def example(config: Config, seed: int) -> dict[str, float]:
    """The smallest whole run: a generated country, both learners, judged on a half of it that they had not seen.

    Returns:
        The metrics named in `METRICS`.
    """
    country = wage_country(numpy_generator(seed, "commuters", "country"), places=config.places)
    pairs = ordered_pairs(config.places)
    flows = country.flows.on(pairs)
    linked = flows >= config.threshold
    fold = next(split_pairs(pairs, linked, by="nodes", folds=1, rng=numpy_generator(seed, "commuters", "split")))
    links, sizes = learners(config, country.places, seed=seed)
    balance = numpy_generator(seed, "commuters", "balance")
    found = learned_links(links, pairs, flows, fold=fold, rng=balance)
    return found | learned_flows(sizes, pairs, flows, fold=fold)
