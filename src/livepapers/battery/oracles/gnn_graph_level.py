"""Oracles of gnn-graph-level: Möbius inversion, closed forms, relabelling, special cases, and what labels are worth."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livepapers.baselines.graph_batches import GraphBatch, GraphStore
from livepapers.baselines.weisfeiler_lehman import graph_colours, neighbour_colours
from livepapers.core.rng import generator as make_generator
from livepapers.core.rng import numpy_generator
from livepapers.methods import gnn_graph_level as method
from livepapers.methods.gnn_graph_level import Config, GraphLearner
from livepapers.tasks.graph_scenarios import Split, split
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.subgraph_counts import count_subgraphs, cycle, path, random_graphs

Compared = tuple[Any, Any, float]
"""(value, expected, tolerance)."""


@functools.cache
def _graphs(count: int = 30) -> GraphTable:
    return random_graphs(numpy_generator(0, "oracles", "graphs"), count, sizes=(6, 11))


def _counts_by_inversion() -> Compared:
    """Cycles and paths from labels against Möbius inversion."""
    table = _graphs()
    ours = [method.count_cycles(table, n) for n in (3, 4, 5, 6)] + [method.count_paths(table, n) for n in (1, 2, 3, 4)]
    patterns = [cycle(n) for n in (3, 4, 5, 6)] + [path(n) for n in (1, 2, 3, 4)]
    return np.stack(ours), np.stack([count_subgraphs(table, pattern) for pattern in patterns]), 0.0


def _cycles_by_traces() -> Compared:
    """c3, c4 and c5 from traces of powers of A, less the closed walks that are no cycles."""
    table = _graphs()
    a = table.adjacency()
    degree = a.sum(axis=2)
    third = a @ a @ a
    trace = {3: np.trace(third, axis1=1, axis2=2), 4: np.trace(third @ a, axis1=1, axis2=2)}
    trace[5] = np.trace(third @ a @ a, axis1=1, axis2=2)
    turns = (degree * (degree - 1)).sum(axis=1)
    around = ((degree - 2) * np.diagonal(third, axis1=1, axis2=2)).sum(axis=1)
    expected = [
        trace[3] / 6,
        (trace[4] - degree.sum(axis=1) - 2 * turns) / 8,
        (trace[5] - 5 * trace[3] - 5 * around) / 10,
    ]
    return np.stack([method.count_cycles(table, n) for n in (3, 4, 5)]), np.stack(expected), 1e-9


def _views_have_the_labels_of_what_is_left() -> Compared:
    """Labels of a view by products over paths, against enumeration in the graph without the dropped edges."""
    table = _graphs()
    keep = numpy_generator(1, "oracles", "keep").random(len(table.ends)) < 0.7
    left = GraphTable.of(table.sizes, table.ends[keep])
    whole, rest = method.path_labels(table, 3, keep_paths=True), method.path_labels(left, 3)
    expected = np.zeros_like(whole.counts)
    expected[whole.pair(rest.roots, rest.nodes)] = rest.counts
    everything = np.arange(len(table))
    batch = GraphStore.of(table, train=everything, rooted=method.rooted_paths(whole)).batch(everything)
    assert batch.rooted is not None
    return method.view_labels(batch.rooted, torch.from_numpy(keep.astype(np.float32))), expected, 0.0


def _relabelled(model: str) -> Compared:
    """Outputs of a network do not depend on the numbering of nodes."""
    table = _graphs(12)
    other = table.relabelled(numpy_generator(2, "oracles", "relabel"))
    config = Config(model=model, k=3, hidden=8, layers=2, contrast="none")  # type: ignore[arg-type]
    found = []
    for one in (table, other):
        numbers = np.arange(len(one))
        known = replace(one, targets=np.arange(len(one), dtype=float)[:, None])
        found.append(GraphLearner(known, Split(numbers, numbers, numbers, numbers[:0]), config=config, seed=0))
    return found[0].predict(numbers), found[1].predict(numbers), 1e-4


def _one_edge_labels_are_neighbour_colours() -> Compared:
    """With k = 1 the labels tell apart exactly the graphs that 1-WL does."""
    table = _graphs()
    ours = graph_colours(table, method.path_colours(method.path_labels(table, 1)))
    theirs = graph_colours(table, neighbour_colours(table))
    return ours[:, None] == ours[None, :], theirs[:, None] == theirs[None, :], 0.0


def _equal_importance_drops_at_random() -> Compared:
    """Edges of equal importance are each dropped with p_e."""
    owner = torch.tensor([0, 0, 0, 1, 1])
    found = method.drop_probabilities(torch.full((5,), 0.3), owner, 2, drop=0.2, most=0.7)
    return found, torch.full((5,), 0.2), 1e-7


def _unlimited_sampling_is_exact() -> Compared:
    """A limit that no root reaches changes nothing."""
    table = _graphs()
    rng = numpy_generator(0, "oracles", "limit")
    return method.path_labels(table, 3, max_paths=10_000, rng=rng).counts, method.path_labels(table, 3).counts, 0.0


def _batch() -> GraphBatch:
    table = _graphs(6)
    everything = np.arange(6)
    labels = method.path_labels(table, 3, keep_paths=True)
    return GraphStore.of(table, train=everything, rooted=method.rooted_paths(labels)).batch(everything)


def _ntxent() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    stream = make_generator(0, "oracles", "views")
    views = tuple(torch.randn(4, 3, generator=stream, dtype=torch.float64, requires_grad=True) for _ in range(2))
    identity = torch.tensor([0, 1, 1, 2])
    return (lambda a, b: method.contrastive_loss(a, b, temperature=0.5, identity=identity)), views


def _dropping() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    importance = torch.rand(7, generator=make_generator(1, "oracles", "importance"), dtype=torch.float64)
    owner = torch.tensor([0, 0, 0, 0, 1, 1, 1])

    def loss(values: Tensor) -> Tensor:
        return (method.drop_probabilities(values, owner, 2, drop=0.2, most=0.9) ** 2).sum()

    return loss, (importance.requires_grad_(True),)


def _weighted_labels() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    batch = _batch()
    assert batch.rooted is not None
    rooted = replace(batch.rooted, labels=batch.rooted.labels.double(), path_weights=batch.rooted.path_weights.double())
    keep = torch.rand(batch.edge_count, generator=make_generator(2, "oracles", "weights"), dtype=torch.float64)
    return (lambda values: torch.log1p(method.view_labels(rooted, values)).sum()), (keep.requires_grad_(True),)


@functools.cache
def _counting_error(seed: int, *, model: str) -> float:
    """Error of a short training that counts 5-cycles, on test graphs."""
    rng = numpy_generator(seed, "oracles", "counting")
    graphs = random_graphs(rng, 70, sizes=(7, 10))
    table = replace(graphs, targets=count_subgraphs(graphs, cycle(5))[:, None])
    parts = split(table, rng, validation=0.2, test=0.3)
    if model == "floor":
        found = np.full((len(parts.test), 1), np.median(table.targets[parts.train]))
    else:
        config = Config(
            model=model, k=4, cycles=False, contrast="none", hidden=24, layers=2, epochs=20, batch=16,  # type: ignore[arg-type]
            learning_rate=5e-3, dropout=0.0,
        )  # fmt: skip
        found = method.train(table, parts, config=config, seed=seed).predict(parts.test)
    return method.evaluate(table, parts.test, found)["mae"]


REFERENCES: Mapping[str, Callable[[], Compared]] = {
    "counts are those of Möbius inversion": _counts_by_inversion,
    "cycles are those of the traces": _cycles_by_traces,
    "labels of views are those of what is left": _views_have_the_labels_of_what_is_left,
}
INVARIANCES: Mapping[str, Callable[[], Compared]] = {
    f"numbering of nodes, {model}": functools.partial(_relabelled, model) for model in method.MODELS if model != "topk"
}
"""Top-k pooling keeps one of two nodes of equal score by their order, so it depends on the numbering."""
REDUCTIONS: Mapping[str, Callable[[], Compared]] = {
    "k = 1 is 1-WL": _one_edge_labels_are_neighbour_colours,
    "equal importance is random dropping": _equal_importance_drops_at_random,
    "a sample of everything is exact": _unlimited_sampling_is_exact,
}
LOSSES: Mapping[str, Callable[[], tuple[Callable[..., Tensor], tuple[Tensor, ...]]]] = {
    "NT-Xent": _ntxent,
    "drop probabilities": _dropping,
    "labels of weighted edges": _weighted_labels,
}
FLOORS = {
    "the median": lambda seed: (_counting_error(seed, model="path"), _counting_error(seed, model="floor")),
}
ABLATIONS = {
    "path labels taken out": lambda seed: (_counting_error(seed, model="path"), _counting_error(seed, model="gin")),
}
