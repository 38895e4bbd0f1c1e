"""How a cell of the gnn-graph-level study is measured."""

from typing import Any

import networkx as nx
import numpy as np
import torch
from sklearn.linear_model import Ridge

from livepapers.baselines.weisfeiler_lehman import collisions, neighbour_colours
from livepapers.core.config import replace
from livepapers.core.rng import derive, numpy_generator
from livepapers.lab.study import Run, Setting
from livepapers.methods import gnn_graph_level as method
from livepapers.methods.gnn_graph_level import Config, GraphLearner
from livepapers.studies.gnn_graph_level.claims import LENGTHS
from livepapers.studies.gnn_graph_level.instances import (
    COUNTED,
    Instance,
    atlas,
    config_of,
    counting_instance,
    instance,
    rates_of,
)
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.subgraph_counts import count_subgraphs, random_graphs

COUNTERS: dict[str, dict[str, Any]] = {
    "gin-counts": {"model": "gin"},
    "path-k3": {"model": "path", "k": 3},
    "path-k5": {"model": "path", "k": 5},
    "rooted-k5": {"model": "rooted", "k": 5, "layers": 2, "learning_rate": 3e-3},
}


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    if setting.name == "atlas":
        return _expressivity(arm)
    if setting.name == "identities":
        return _identities(int(setting.parameters["graphs"][preset]))
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=run.generator("instance"))))
    if setting.part == "counting":
        return _counting(arm, counting_instance(setting, preset, rng), preset, run, seed=_own(seed, setting))
    data = instance(run.prepared("graphs"), setting.parameters, rng)
    if arm in method.TABLES:
        model = method.TableModel(arm, config_of(preset), derive(seed, "trees") % 2**31)
        return method.evaluate(data.table, data.parts.test, model.predict(data.table, data.parts, data.parts.test))
    rates = rates_of(run.prepared(f"rates-{setting.parameters['data']}"))
    config = replace(method.network_config(arm, config_of(preset)), learning_rate=rates[arm])
    if setting.name == "shots" and config.contrast != "none":
        config = replace(config, pretrain=config.epochs // 2)
    learner = _trained(data, config, run, seed=_own(seed, setting))
    found = method.evaluate(data.table, data.parts.test, learner.predict(data.parts.test))
    return found | _about(learner)


def _own(seed: int, setting: Setting) -> int:
    return derive(seed, "gnn-graph-level", setting.name)


def _trained(data: Instance, config: Config, run: Run, *, seed: int) -> GraphLearner:
    learner = GraphLearner(data.table, data.parts, config=config, seed=seed)

    def evaluate(_step: int) -> dict[str, float] | None:
        return None if learner.finished else {"validation": learner.last["validation"]}

    run.drive(learner, config.pretrain + config.epochs, evaluate=evaluate)
    return learner


def _about(learner: GraphLearner) -> dict[str, float]:
    weights = sum(parameter.numel() for parameter in learner.network.parameters())
    return {"parameters": float(weights), "epochs": float(learner.epochs), "sampled_roots": float(learner.sampled)}


def _counting(arm: str, data: Instance, preset: str, run: Run, *, seed: int) -> dict[str, float]:
    table, parts = data.table, data.parts
    about: dict[str, float] = {}
    if arm == "degree-sums":
        features = _degree_sums(table)
        model = Ridge(alpha=1e-3).fit(features[parts.train], table.targets[parts.train])
        found = model.predict(features[parts.test])
    else:
        config = replace(config_of(preset), contrast="none", cycles=False, dropout=0.0, **COUNTERS[arm])
        if arm in {"gin-counts", "path-k3", "path-k5"}:
            rate = rates_of(run.prepared("rates-counting"))["gin" if arm == "gin-counts" else "path"]
            config = replace(config, learning_rate=rate)
        learner = _trained(data, config, run, seed=seed)
        found, about = learner.predict(parts.test), _about(learner)
    known = table.targets[parts.test]
    errors = np.abs(found - known).mean(axis=0) / known.std(axis=0)
    return {f"mae_{name}": float(error) for name, error in zip(COUNTED, errors, strict=True)} | about


def _degree_sums(table: GraphTable) -> np.ndarray:
    """Sums of the first four powers of the degrees over the nodes of each graph, standardised."""
    powers = table.degrees[:, None].astype(np.float64) ** np.arange(5)
    sums = np.stack([np.bincount(table.owner, column, minlength=len(table)) for column in powers.T], axis=1)
    return (sums - sums.mean(axis=0)) / np.maximum(sums.std(axis=0), 1e-12)


def _expressivity(arm: str) -> dict[str, float]:
    """Pairs that collide in the atlas, and whether two classic pairs do (1) or not (0)."""
    table = atlas(connected=True)
    pairs = {"hexagon": _hexagon_and_triangles(), "rook": _rook_and_shrikhande()}
    if arm == "neighbours":
        found = {"collisions": float(collisions(table, neighbour_colours(table)))}
        return found | {f"{name}_collides": float(collisions(t, neighbour_colours(t))) for name, t in pairs.items()}
    found = {}
    for k in LENGTHS:
        found[f"collisions_{k}"] = float(collisions(table, method.path_colours(method.path_labels(table, k))))
        for name, two in pairs.items():
            colours = method.path_colours(method.path_labels(two, k))
            found[f"{name}_collides_{k}"] = float(collisions(two, colours))
    return found


def _identities(graphs: int) -> dict[str, float]:
    """The largest difference between counts from labels and by Möbius inversion."""
    tables = (atlas(connected=False), random_graphs(numpy_generator(0, "gnn-graph-level", "identities"), graphs))
    worst = {}
    for name, pattern in COUNTED.items():
        length = int(name.partition("-")[0])
        count = method.count_cycles if name.endswith("cycles") else method.count_paths
        gaps = [np.abs(count(table, length) - count_subgraphs(table, pattern)).max() for table in tables]
        worst[f"worst_{name}"] = float(max(gaps))
    return worst


def _hexagon_and_triangles() -> GraphTable:
    triangle = nx.cycle_graph(3)
    return GraphTable.from_networkx([nx.cycle_graph(6), nx.disjoint_union(triangle, triangle)])


def _rook_and_shrikhande() -> GraphTable:
    """Strongly regular graphs of the same parameters (16, 6, 2, 2)."""
    rook = nx.line_graph(nx.complete_bipartite_graph(4, 4))
    shifts = ((0, 1), (1, 0), (1, 1))
    shrikhande = nx.Graph(((i, j), ((i + a) % 4, (j + b) % 4)) for i in range(4) for j in range(4) for a, b in shifts)
    return GraphTable.from_networkx([rook, shrikhande])
