"""Our side of the gnn-graph-level benchmarks: counting paths and cycles in 1,025 molecules, and an epoch of a GIN.

`python benchmarks/gnn_graph_level/ours.py` prints one JSON object a line; `livepapers bench gnn-graph-level` runs it
beside the peers.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from typing import Any

import molecules
import numpy as np
import torch

from livepapers.methods import gnn_graph_level as method
from livepapers.tasks.data import read_source
from livepapers.tasks.graph_scenarios import Split
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.molecules import SOLUBILITY_CLASSES, solubility

EPOCHS = 5


def main() -> None:
    torch.set_num_threads(1)
    both, official = solubility(read_source("solubility-train"), read_source("solubility-test"))
    table = replace(both, targets=both.targets[:, 1:], classes=SOLUBILITY_CLASSES).select(~official)
    write(table)
    versions = {
        "python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__,
        "livepapers": metadata.version("livepapers"),
    }  # fmt: skip
    lines = [counting(table), *(training(table, name) for name in ("gin", "path", "path-adaptive"))]
    for line in lines:
        print(json.dumps({**line, "unit": "s of CPU", "better": "lower", "who": "livepapers", "versions": versions}))


def write(table: GraphTable) -> None:
    """The peers' input."""
    starts, edges = table.pointers, table.edge_pointers
    graphs = range(len(table))
    values = {
        "sizes": table.sizes.tolist(),
        "ends": [(table.ends[edges[g] : edges[g + 1]] - starts[g]).tolist() for g in graphs],
        "nodes": [table.nodes[starts[g] : starts[g + 1]].tolist() for g in graphs],
        "edges": [table.edges[edges[g] : edges[g + 1]].tolist() for g in graphs],
        "targets": table.targets[:, 0].astype(int).tolist(),
    }
    molecules.place().parent.mkdir(parents=True, exist_ok=True)
    molecules.place().write_text(json.dumps(values))


def timed(work: Callable[[], Any], *, repeats: int) -> tuple[float, Any]:
    """Median CPU seconds of `repeats` runs after one to warm up, and the result."""
    outcome = work()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        outcome = work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), outcome


def counting(table: GraphTable) -> dict[str, Any]:
    """Simple paths of 1 to 4 edges and cycles of 3 to 5 in every molecule."""

    def work() -> list[int]:
        labels = method.path_labels(table, 4)
        paths = labels.root_sums()[:, 1:].sum(axis=0) / 2
        cycles = labels.root_cycles().sum(axis=0) / np.arange(3, 6)
        return [*paths.round().astype(int).tolist(), *cycles.round().astype(int).tolist()]

    seconds, counts = timed(work, repeats=5)
    return {"figure": "1,025 molecules: paths of 1 to 4 edges, cycles of 3 to 5", "value": seconds, "check": counts}


def training(table: GraphTable, name: str) -> dict[str, Any]:
    """An epoch over all molecules, hidden 64, three layers, batches of 64, batches made on the way."""
    numbers = np.arange(len(table))
    config = replace(method.network_config(name, method.Config()), patience=1000, dropout=0.0)
    parts = Split(numbers, numbers[:64], numbers[:0], numbers[:0])
    learner = method.GraphLearner(table, parts, config=config, seed=0)
    seconds, _ = timed(learner.update, repeats=EPOCHS)
    figure = "GIN with bonds" if name == "gin" else f"our {name}"
    return {"figure": f"an epoch of {figure}, 1,025 molecules, hidden 64", "value": seconds}


if __name__ == "__main__":
    main()
