"""Oracles of cities-to-series: loops, brute force on small graphs, symmetries, and what the new terms are worth."""

import functools
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.core.rng import numpy_generator
from livepapers.methods import cities_to_series as method
from livepapers.methods.cities_to_series.forecaster import last_windows
from livepapers.tasks.coupled_series import coupled_series
from livepapers.tasks.street_graph import StreetGraph, street_grid

Compared = tuple[Any, Any, float]
"""(value, expected, tolerance)."""


def _numbers(*shape: int, name: str) -> Tensor:
    return torch.randn(*shape, generator=make_generator(0, "oracle", name), dtype=torch.float64)


def graph_by_loop() -> Compared:
    """A of equation (1), entry by entry."""
    x = _numbers(6, 4, 3, name="windows")
    expected = torch.zeros(3, 3, dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            expected[i, j] = sum(x[n, t, i] for n in range(6) for t in range(4) if x[n, t, j] > 0)
    own = expected.diagonal().clone()
    for i in range(3):
        expected[i, i] = max(0.0, float(2 * own[i] - expected[i].sum()))
    return method.variable_graph(x), expected / expected.abs().max(), 1e-12


def evolution_by_loop() -> Compared:
    """Theta of equations (2) and (3), entry by entry."""
    a, w, c, s = (_numbers(4, 4, name=name) for name in ("a", "w", "c", "s"))
    b = _numbers(4, 1, name="b")
    h = torch.stack([torch.stack([(a[i] * w[:, j]).sum() + b[i, 0] for j in range(4)]) for i in range(4)])
    expected = torch.zeros(4, 4, dtype=torch.float64)
    for i in range(4):
        for j in range(4):
            cosine = (h[i] * h[j]).sum() / (h[i].square().sum().sqrt() * h[j].square().sum().sqrt())
            expected[i, j] = cosine * c[i, j] + s[i, j]
    return method.evolved(a, w, b, c, s)[0], expected, 1e-12


def inconsistencies_by_search() -> Compared:
    """Equation (10) with networkx' distances, one corner at a time, in both directions."""
    graph, places = _town(1)
    made = nx.DiGraph()
    made.add_nodes_from(range(graph.nodes))
    for tail, head, long, oneway in zip(graph.tails, graph.heads, graph.lengths, graph.oneway, strict=True):
        made.add_edge(tail, head, weight=long)
        if not oneway:
            made.add_edge(head, tail, weight=long)
    found = []
    for turned in (made.reverse(copy=False), made):
        ways = [nx.single_source_dijkstra_path_length(turned, int(p)) for p in places]
        wrong = []
        for node in range(graph.nodes):
            line = [np.hypot(graph.x[p] - graph.x[node], graph.y[p] - graph.y[node]) for p in places]
            each = [way.get(node, np.inf) for way in ways]
            wrong.append(min(each) < np.inf and each[int(np.argmin(line))] > min(each) * (1 + 1e-9) + 1e-9)
        found.append(wrong)
    return method.inconsistencies(graph, places).inconsistent, np.logical_and(*found), 0.0


def street_of_a_cross() -> Compared:
    """Two straight streets that cross: four segments, two streets of two, one meeting."""
    graph = StreetGraph.of([0, 1, -1, 0, 0], [0, 0, 0, 1, -1], [(0, 1), (2, 0), (0, 3), (4, 0)])
    dual = method.dual_streets(graph)
    return [*dual.street.tolist(), *dual.lengths, len(dual.edges)], [0, 0, 1, 1, 2.0, 2.0, 1], 1e-12


@functools.cache
def _town(seed: int) -> tuple[StreetGraph, np.ndarray]:
    rng = numpy_generator(seed, "oracle", "town")
    graph = street_grid(rng, 8, 8)
    return graph, rng.choice(graph.nodes, 4, replace=False)


def renamed_corners() -> Compared:
    """Numbers of corners and the order and way of writing of two-way segments do not matter."""
    graph, places = _town(2)
    rng = numpy_generator(2, "oracle", "renamed")
    names, order = rng.permutation(graph.nodes), rng.permutation(graph.segments)
    ends = np.column_stack([names[graph.tails], names[graph.heads]])[order]
    turned = ~graph.oneway[order] & (rng.random(len(order)) < 0.5)
    ends[turned] = ends[turned, ::-1]
    back = np.argsort(names)
    other = StreetGraph.of(graph.x[back], graph.y[back], ends, lengths=graph.lengths[order], oneway=graph.oneway[order])
    return (
        method.inconsistencies(other, names[places]).severity[names],
        method.inconsistencies(graph, places).severity,
        1e-9,
    )


def larger_town() -> Compared:
    """In other units of length the same corners are inconsistent."""
    graph, places = _town(3)
    ends = np.column_stack([graph.tails, graph.heads])
    other = StreetGraph.of(7 * graph.x, 7 * graph.y, ends, lengths=7 * graph.lengths, oneway=graph.oneway)
    one, two = (method.inconsistencies(each, places).inconsistent for each in (graph, other))
    return one, two, 0.0


def batch_mates() -> Compared:
    """With attention across variables a forecast does not depend on the other series of its batch."""
    network = _network(method.Config.tiny()).eval()
    x = torch.rand(6, 4, 3, generator=make_generator(0, "oracle", "batch"))
    with torch.no_grad():
        return network(x)[:2], network(x[:2]), 1e-5


def _network(config: method.Config) -> method.ReGENN:
    return method.untrained(torch.eye(3), config, generator=make_generator(0, "oracle", "network"))


def everything_off_is_autoregression() -> Compared:
    """With gate and target silenced the network is its highway, equation (9)."""
    config = replace(method.Config.tiny(), activation="none", evolution=False, encoder=False, sequencer=False)
    network = _network(config).eval()
    x = torch.rand(5, 4, 3, generator=make_generator(0, "oracle", "linear"))
    with torch.no_grad():
        for parameter in network.gate.parameters():
            parameter.zero_()
        assert network.highway is not None
        return network(x), torch.einsum("bd,nbi->ndi", network.highway.weight, x), 1e-6


def two_way_streets() -> Compared:
    """Where all streets are two-way, outward and inward inconsistencies are the same."""
    graph, places = _town(4)
    ends = np.column_stack([graph.tails, graph.heads])
    plain = StreetGraph.of(graph.x, graph.y, ends, lengths=graph.lengths)
    outward, inward = (method.inconsistencies(plain, places, which=way).inconsistent for way in ("out", "in"))
    return outward, inward, 0.0


def one_facility() -> Compared:
    """A single facility is nearest in both senses: nobody is served badly."""
    graph, places = _town(5)
    return method.inconsistencies(graph, places[:1]).inconsistent.sum(), 0, 0.0


def _loss() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    made, targets = _numbers(3, 2, 2, name="made"), _numbers(3, 2, 2, name="targets")
    return lambda x: method.original_units_loss(x, targets), (made.requires_grad_(True),)


def _theta() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    graph = _numbers(3, 3, name="theta")
    given = tuple(_numbers(3, size, name=f"theta {i}").requires_grad_(True) for i, size in enumerate((3, 1, 3, 3)))
    return lambda w, b, c, s: method.evolved(graph, w, b, c, s)[0], given


@functools.cache
def _forecast(seed: int, evolution: bool) -> tuple[float, float]:
    """(error of a small network, error of persistence) on the test windows of made series.

    Leaders stand after their followers: the recurrence over the variables goes forward and cannot see them.
    """
    config = method.Config(
        window=4,
        stride=1,
        evolution=evolution,
        encoder=False,
        sequencer=False,
        dropout=0.0,
        rate=2e-2,
        batch=256,
        epochs=25,
    )
    made = coupled_series(numpy_generator(seed, "oracle", "coupled"), 100, 20, noise=0.3)
    values = torch.tensor(made[..., ::-1].copy(), dtype=torch.float32)
    split = method.split_of(values, config)
    learner = method.learner_of(values, config, seed=seed, split=split)
    for _ in range(config.epochs):
        learner.update()
    test = last_windows(values, config, split)
    found = method.forecasts(learner.trained(), test, config.scale)
    naive = values[:, -config.stride - 1, None] - test.targets
    return float((found - test.targets).abs().mean()), float(naive.abs().mean())


def _without_evolution(seed: int) -> tuple[float, float]:
    return _forecast(seed, True)[0], _forecast(seed, False)[0]


@functools.cache
def _left(seed: int, objective: str) -> float:
    graph, places = _town(seed + 10)
    if objective == "none":
        return method.inconsistencies(graph, places).share
    return method.relocate(graph, places, objective=objective).after.share  # type: ignore[arg-type]


REFERENCES = {
    "variable graph by loop": graph_by_loop,
    "evolution by loop": evolution_by_loop,
    "inconsistencies by networkx": inconsistencies_by_search,
    "streets of a cross": street_of_a_cross,
}
INVARIANCES = {"names of corners": renamed_corners, "unit of length": larger_town, "batch mates": batch_mates}
REDUCTIONS = {
    "everything off is autoregression": everything_off_is_autoregression,
    "two-way streets": two_way_streets,
    "one facility": one_facility,
}
LOSSES = {"loss in original units": _loss, "evolution": _theta}
FLOORS = {
    "persistence": lambda seed: _forecast(seed, True),
    "facilities as they stand": lambda seed: (_left(seed, "inconsistency"), _left(seed, "none")),
}
ABLATIONS = {
    "without graph soft evolution": _without_evolution,
    "moves for the mean way instead": lambda seed: (_left(seed, "inconsistency"), _left(seed, "mean_distance")),
}
