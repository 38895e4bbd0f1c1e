"""Simplicial closure and higher-order link prediction (simplicial-closure).

Paper       arXiv:1802.06916 (Benson, Abebe, Schaub, Jadbabaie, Kleinberg; PNAS 2018)
Idea        Interactions are timestamped sets. Three nodes that have met in all three pairs but never together are an
            *open triangle*; it closes when one set holds all three. How often triples close, by number and strength
            of their ties, describes a domain; which open triangles close next is a benchmark, and averages of the
            three tie strengths, local information only, do well in it.
Equations   W = A A' without its diagonal (projection, 3.1)
            P(closure | type) = sets of a type in one new simplex / sets of that type in the old data (3.3)
            M_p(W_ij, W_jk, W_ik): p = -1 harmonic, 0 geometric, 1 arithmetic mean (3.4)
            Katz S = (I - b B)^-1 - I; PageRank S = (1 - a) (I - a B D^-1)^-1, summed over the six ordered pairs (3.4)
            simplicial PageRank S = b (b I + L)^-1, L = (G G' + C' C) D^-1, b = 1/a - 1, on edges (3.4)
            relative score = average precision / share of open triangles that close (3.4)
Shapes      simplices as flat arrays (`TemporalSimplices`); triangles [triangles, 3] int64 -> scores [triangles] float64
Deviations  1. Reference code: dense simplicial PageRank subtracts the Hodge parts from the pattern matrix, and its two
               branches scale by b and by 1 - a. Ours: harmonic part = S - gradient - curl, scale b. Only the former
               can change a ranking.
            2. Paper: iterative solver for large graphs, relative residual 1e-3. Ours: exact inverse up to 3,000 nodes,
               power series to 1e-4 beyond; simplicial PageRank by Cholesky up to 12,000 edges, refused beyond.
            3. Paper: the order of i, j, k in the supervised features is the enumeration's. Ours: by projected degree,
               then number of simplices.
            4. Paper: lifecycles count every event. Ours: changes of state.

Example:
    >>> from livepapers.methods.simplicial_closure import evaluate, prediction_task, score
    >>> from livepapers.tasks.hypergraphs import TemporalSimplices
    >>> sets = [["a", "b"], ["b", "c"], ["a", "c"], ["c", "d"], ["a", "d"], ["x", "y"], ["a", "b", "c"]]
    >>> task = prediction_task(TemporalSimplices.from_lists(sets, range(7)))
    >>> evaluate(task.labels, score(task.old, "harmonic"))["rate"]
    0.5
"""

from typing import Literal

from livepapers.core.rng import numpy_generator
from livepapers.methods.simplicial_closure.application import apply
from livepapers.methods.simplicial_closure.closure import TYPES3, TYPES4, ClosureTable, closure_table, split
from livepapers.methods.simplicial_closure.comparisons import comparisons, pooled_log_ratio, significant, step_test
from livepapers.methods.simplicial_closure.lifecycles import asynchronicity, lifecycles
from livepapers.methods.simplicial_closure.prediction import (
    FEATURES,
    PredictionTask,
    SupervisedClosure,
    average_precision,
    bootstrap,
    compare,
    evaluate,
    features,
    prediction_task,
    recommend,
    score_by,
)
from livepapers.methods.simplicial_closure.scores import SCORES, OldData, edge_pagerank, generalised_mean, score
from livepapers.methods.simplicial_closure.settings import COMPARED, Config
from livepapers.methods.simplicial_closure.structure import describe, egonet, structure
from livepapers.methods.simplicial_closure.triangles import Skeleton, open_triangles, triangle_counts
from livepapers.tasks.hypergraph_models import planted_groups

ROLE: Literal["function"] = "function"
METRICS = ("open_triangles", "closed_triangles", "rate", *(f"relative_{name}" for name in COMPARED))
"""Of `example`: counts in the old data, the share that closes, and each score's average precision over that share."""

__all__ = [
    "COMPARED",
    "FEATURES",
    "METRICS",
    "ROLE",
    "SCORES",
    "TYPES3",
    "TYPES4",
    "ClosureTable",
    "Config",
    "OldData",
    "PredictionTask",
    "Skeleton",
    "SupervisedClosure",
    "apply",
    "asynchronicity",
    "average_precision",
    "bootstrap",
    "closure_table",
    "compare",
    "comparisons",
    "describe",
    "edge_pagerank",
    "egonet",
    "evaluate",
    "example",
    "features",
    "generalised_mean",
    "lifecycles",
    "open_triangles",
    "pooled_log_ratio",
    "prediction_task",
    "recommend",
    "score",
    "score_by",
    "significant",
    "split",
    "step_test",
    "structure",
    "triangle_counts",
]


def example(config: Config, seed: int) -> dict[str, float]:
    """The smallest whole run: a generated world, its triangles, every score on one prediction task.

    Returns:
        The metrics named in `METRICS` (scores left out of `config.scores` are missing).
    """
    world = planted_groups(
        numpy_generator(seed, "simplicial-closure", "world"), groups=config.groups, events=config.events
    )
    task, found = compare(world, config)
    _, closed = triangle_counts(task.old.simplices)
    counts = {"open_triangles": float(len(task.labels)), "closed_triangles": float(closed), "rate": task.rate}
    return {**counts, **{f"relative_{name}": values["relative"] for name, values in found.items()}}
