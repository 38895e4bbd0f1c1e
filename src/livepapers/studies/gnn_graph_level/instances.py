"""Data, splits and learning rates of the gnn-graph-level study."""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from livepapers.core.config import replace as change
from livepapers.core.files import write_atomic
from livepapers.core.rng import numpy_generator
from livepapers.lab.study import Setting
from livepapers.methods import gnn_graph_level as method
from livepapers.methods.gnn_graph_level import Config
from livepapers.studies.gnn_graph_level.design import SETS
from livepapers.tasks.contact_egos import SITES, ego_networks
from livepapers.tasks.data import read_source
from livepapers.tasks.graph_scenarios import Scenario, Split, perturb, split, thin
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.molecules import SOLUBILITY_CLASSES, read_hydration, solubility
from livepapers.tasks.subgraph_counts import count_subgraphs, cycle, path, random_graphs

PILOT = 10_001
"""Seed of the tuning runs; the study's own are 0, 1, 2 ..."""
MINUTES = 10.0
"""Of contact, in all, that make a tie between two people."""
COUNTED = {**{f"{n}-cycles": cycle(n) for n in (3, 4, 5, 6)}, "4-paths": path(4)}
SMOKE_GRAPHS = 60
RARE = "(C) high"
"""The class that becomes rare; it is the smallest already."""


@dataclass(frozen=True, eq=False)
class Instance:
    """Graphs, who is trained on and who is tested."""

    table: GraphTable
    parts: Split


def prepare(folder: Path, preset: str) -> None:
    """Read all data sets of wheels once, and keep them as arrays."""
    molecules, official = solubility(read_source("solubility-train"), read_source("solubility-test"))
    made = {
        "solubility-value": replace(molecules, targets=molecules.targets[:, :1]),
        "solubility-class": replace(molecules, targets=molecules.targets[:, 1:], classes=SOLUBILITY_CLASSES),
        "freesolv": read_hydration(read_source("freesolv")),
        "contacts": ego_networks({site: read_source(site).decode() for site in SITES}, minutes=MINUTES),
    }
    for name, table in made.items():
        mask = official if name.startswith("solubility") else np.zeros(len(table), dtype=bool)
        if preset == "smoke":
            kept = np.sort(numpy_generator(0, "gnn-graph-level", "smoke", name).permutation(len(table))[:SMOKE_GRAPHS])
            table, mask = table.select(kept), mask[kept]  # noqa: PLW2901
        with (folder / f"{name}.npz").open("wb") as file:
            arrays: dict[str, Any] = table.arrays()
            np.savez(file, official=mask, **arrays)


def load(folder: Path, name: str) -> tuple[GraphTable, np.ndarray | float]:
    """A data set, and its official test set as a mask or the share that is drawn for the test."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        kept = {key: arrays[key] for key in arrays.files}
    official = kept.pop("official")
    return GraphTable.from_arrays(kept), official if official.any() else 0.2


def instance(folder: Path, parameters: Mapping[str, str], rng: np.random.Generator) -> Instance:
    """The graphs and parts of a seed; the scenario's noise comes before anything is computed from the graphs."""
    table, test = load(folder, parameters["data"])
    scenario = Scenario.parse(parameters.get("scenario", "clean"))
    parts = split(table, rng, validation=0.15, test=test)
    if scenario.noise:
        table = perturb(table, rng, share=scenario.noise)
    if scenario.needs_classes:
        rare = table.classes.index(RARE)
        shots = scenario.shots and min(scenario.shots, _fewest(table, parts))
        scenario = replace(scenario, shots=shots)
        parts = thin(table, parts, rng, scenario=scenario, rare=rare)
        if shots:  # a large validation set would be labels by the back door
            parts = replace(parts, validation=_few_of_each(table, parts.validation, shots))
    return Instance(table, parts)


def counting_instance(setting: Setting, preset: str, rng: np.random.Generator) -> Instance:
    """Random graphs with their exact counts, half of them to train on, a sixth to watch, a third to test."""
    graphs = int(setting.parameters["graphs"][preset])
    table = random_graphs(rng, graphs)
    targets = np.column_stack([count_subgraphs(table, pattern) for pattern in COUNTED.values()])
    first, second = graphs // 2, graphs // 2 + graphs // 6
    numbers = np.arange(graphs)
    parts = Split(numbers[:first], numbers[first:second], numbers[second:], numbers[:0])
    return Instance(replace(table, targets=targets), parts)


def atlas(*, connected: bool) -> GraphTable:
    """The graphs of up to seven nodes of networkx's atlas, with at least one node."""
    graphs = [graph for graph in nx.graph_atlas_g() if len(graph) and (not connected or nx.is_connected(graph))]
    return GraphTable.from_networkx(graphs)


def config_of(preset: str) -> Config:
    """The settings that all networks share; the published sizes where they are known."""
    return Config.preset(preset)


def tune(folder: Path, preset: str, *, name: str) -> None:
    """Choose each network's learning rate by its validation loss after half the epochs of a pilot seed.

    Args:
        folder: Receives `rates.json`: network -> rate.
        preset: smoke takes the first value without a trial.
        name: Of a data set, or "counting".
    """
    networks = ("gin", "path") if name == "counting" else tuple(method.NETWORKS)
    networks = tuple(network for network in networks if network != "rooted")
    rates = dict.fromkeys(networks, method.RATES[0])
    if preset != "smoke":
        data = _pilot(folder, preset, name)
        base = config_of(preset)
        base = change(base, epochs=max(base.epochs // 2, 1))
        for network in networks:
            losses = []
            for rate in method.RATES:
                config = change(method.network_config(network, base), learning_rate=rate)
                config = change(config, cycles=False, k=5, dropout=0.0) if name == "counting" else config
                losses.append(method.train(data.table, data.parts, config=config, seed=PILOT).best_loss)
            rates[network] = method.RATES[int(np.argmin(losses))]
    write_atomic(folder / "rates.json", json.dumps(rates, indent=2))


def rates_of(folder: Path) -> dict[str, float]:
    """What `tune` found."""
    return json.loads((folder / "rates.json").read_text(encoding="utf-8"))


def _pilot(folder: Path, preset: str, name: str) -> Instance:
    rng = numpy_generator(PILOT, "gnn-graph-level", "pilot", name)
    if name == "counting":
        from livepapers.studies.gnn_graph_level.design import SETTINGS

        setting = next(setting for setting in SETTINGS if setting.name == "counting")
        return counting_instance(setting, preset, rng)
    scratch = folder / "data"
    scratch.mkdir()
    prepare(scratch, preset)
    return instance(scratch, {"data": name}, rng)


def _fewest(table: GraphTable, parts: Split) -> int:
    """Graphs of the rarest class in training or validation."""
    counts = [np.bincount(table.targets[numbers, 0].astype(int), minlength=len(table.classes)) for numbers in
              (parts.train, parts.validation)]  # fmt: skip
    return int(np.minimum(*counts).min())


def _few_of_each(table: GraphTable, numbers: np.ndarray, most: int) -> np.ndarray:
    labels = table.targets[numbers, 0]
    return np.sort(np.concatenate([numbers[labels == label][:most] for label in np.unique(labels)]))


PREPARE: Mapping[str, Callable[[Path, str], None]] = {
    "graphs": prepare,
    **{f"rates-{name}": functools.partial(tune, name=name) for name in (*SETS, "counting")},
}
