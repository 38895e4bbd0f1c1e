"""Oracles of simplicial-closure: closed forms, an enumeration, invariances and special cases."""

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from livepapers.core.rng import numpy_generator
from livepapers.methods import simplicial_closure as method
from livepapers.methods.simplicial_closure.scores import hodge_operators
from livepapers.tasks.hypergraph_models import planted_groups
from livepapers.tasks.hypergraphs import TemporalSimplices

Compared = tuple[Any, Any, float]
"""(value, expected, tolerance)."""


def _world(seed: int = 0, *, groups: int = 8, events: int = 250) -> TemporalSimplices:
    return planted_groups(numpy_generator(seed, "oracles", "world"), groups=groups, events=events)


def _old(simplices: TemporalSimplices) -> method.OldData:
    return method.OldData(simplices, method.open_triangles(simplices))


def _triangles_by_matrix() -> Compared:
    """All triangles are trace(B^3) / 6; closed ones are the distinct triples inside simplices."""
    simplices = _world()
    adjacency = (simplices.projected().toarray() > 0).astype(np.int64)
    triples = {t for nodes, _ in simplices for t in combinations(nodes.tolist(), 3)}
    total = int(np.trace(adjacency @ adjacency @ adjacency)) // 6
    return method.triangle_counts(simplices), (total - len(triples), len(triples)), 0.0


def _closure_table_by_enumeration() -> Compared:
    """Counts of the ten types over every set of three nodes, by a loop."""
    simplices = _world(groups=5, events=120)
    old, new = method.split(simplices, start=80, end=100)
    weights = np.minimum(old.projected().toarray(), 2)
    shut, later = ({t for nodes, _ in part for t in combinations(nodes.tolist(), 3)} for part in (old, new))
    count = np.zeros((2, len(method.TYPES3)), dtype=np.int64)
    for triple in combinations(np.flatnonzero(old.present()).tolist(), 3):
        if triple not in shut:
            kind = method.TYPES3.index(tuple(sorted(int(weights[a, b]) for a, b in combinations(triple, 2))))
            count[:, kind] += 1, triple in later
    table = method.closure_table(simplices)
    return np.array([table.count, table.closed]), count, 0.0


def _random_order_scores_one() -> Compared:
    """Equal scores have the average precision of a random order, exactly."""
    labels = np.arange(50) % 7 == 0
    return method.evaluate(labels, np.zeros(50))["relative"], 1.0, 1e-12


def _simplicial_pagerank_equation() -> Compared:
    """(b I + L) S = b I."""
    simplices = _world(groups=4, events=80)
    gradient, curl, total = hodge_operators(_old(simplices))
    spread = method.edge_pagerank(gradient, curl, total)
    teleport = 1 / 0.85 - 1
    laplacian = (gradient @ gradient.T + curl.T @ curl).toarray() / total[None, :]
    return (teleport * np.eye(len(total)) + laplacian) @ spread, teleport * np.eye(len(total)), 1e-10


def _relabelled(name: str) -> Compared:
    """Node names and the order of simplices do not matter; scores are compared triangle by triangle."""
    world = _world(2)
    rng = numpy_generator(2, "oracles", "relabel")
    names, places = rng.permutation(world.nodes), rng.permutation(len(world))
    sets = [names[nodes] for nodes, _ in world]
    members = np.concatenate([sets[place] for place in places])
    labels = [str(node) for node in range(world.nodes)]
    other = TemporalSimplices.from_arrays(members, world.sizes[places], times=world.times[places], labels=labels)
    values = []
    for data, rename in ((_old(world), names), (_old(other), np.arange(world.nodes))):
        rows = np.sort(rename[data.triangles], axis=1)
        values.append(method.score(data, name)[np.lexsort(rows.T)])
    return values[0], values[1], 1e-9


def _mean(order: float) -> np.ndarray:
    return method.generalised_mean(_old(_world(3)).tie_weights, order)


def _harmonic() -> np.ndarray:
    return 3 / (1 / _old(_world(3)).tie_weights).sum(axis=1)


def _small_katz(name: str) -> Compared:
    """For beta -> 0 Katz is 2 beta (W_ij + W_jk + W_ik): divided by its first term it is 1."""
    old = _old(_world(4))
    matrix = old.weights.toarray().astype(float)
    matrix = matrix if name == "katz_weighted" else (matrix > 0).astype(float)
    share = 1e-6
    beta = share / float(np.abs(np.linalg.eigvalsh(matrix)).max())
    first = 2 * beta * sum(matrix[old.triangles[:, a], old.triangles[:, b]] for a, b in ((0, 1), (1, 2), (0, 2)))
    return method.score(old, name, katz_share=share) / first, np.ones(len(old.triangles)), 1e-3


def _no_closed_triangles_no_curl() -> Compared:
    """Without closed triangles the curl part of simplicial PageRank vanishes."""
    pairs = _world(5)
    old = _old(pairs.select(pairs.sizes == 2))
    return method.score(old, "simplicial_ppr_curl"), np.zeros(len(old.triangles)), 0.0


def _relative(seed: int, *, weights: Callable[[np.ndarray], np.ndarray], order: float = -1) -> float:
    task = method.prediction_task(_world(seed, groups=30, events=2000))
    scores = method.generalised_mean(weights(task.old.tie_weights), order)
    return method.evaluate(task.labels, scores)["relative"]


def _weights_matter(seed: int) -> tuple[float, float]:
    """(with, without) tie strengths, as losses: smaller is better."""
    return -_relative(seed, weights=lambda w: w), -_relative(seed, weights=np.ones_like)


def _weakest_tie_matters(seed: int) -> tuple[float, float]:
    """(harmonic mean, strongest tie alone), as losses."""
    return -_relative(seed, weights=lambda w: w), -_relative(seed, weights=lambda w: w, order=np.inf)


def _beats_random(seed: int) -> tuple[float, float]:
    """(harmonic mean, random order), as losses."""
    task = method.prediction_task(_world(seed, groups=30, events=2000))
    order = numpy_generator(seed, "oracles", "random").random(len(task.labels))
    return -_relative(seed, weights=lambda w: w), -method.evaluate(task.labels, order)["relative"]


REFERENCES: Mapping[str, Callable[[], Compared]] = {
    "triangles are trace(B^3)/6": _triangles_by_matrix,
    "closure table by enumeration": _closure_table_by_enumeration,
    "equal scores are a random order": _random_order_scores_one,
    "simplicial PageRank solves its equation": _simplicial_pagerank_equation,
}
INVARIANCES: Mapping[str, Callable[[], Compared]] = {
    f"names and order, {name}": (lambda name=name: _relabelled(name)) for name in method.SCORES
}
REDUCTIONS: Mapping[str, Callable[[], Compared]] = {
    "gm:-1 is the harmonic mean": lambda: (_mean(-1), _harmonic(), 1e-12),
    "gm:1e-9 is the geometric mean": lambda: (_mean(1e-9), _mean(0), 1e-5),
    "gm:-400 is the minimum": lambda: (_mean(-400), _mean(-np.inf), 0.05),
    "Katz for small beta is the sum of ties": lambda: _small_katz("katz"),
    "weighted Katz for small beta is the sum of strengths": lambda: _small_katz("katz_weighted"),
    "no closed triangles, no curl": _no_closed_triangles_no_curl,
}
LOSSES: Mapping[str, Callable[..., Any]] = {}
ABLATIONS: Mapping[str, Callable[[int], tuple[float, float]]] = {
    "tie strengths replaced by 1": _weights_matter,
    "harmonic mean replaced by the strongest tie": _weakest_tie_matters,
}
FLOORS: Mapping[str, Callable[[int], tuple[float, float]]] = {"random order": _beats_random}
