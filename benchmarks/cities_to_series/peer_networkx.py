"""The same with networkx: one multi-source Dijkstra search."""

import json
import platform
import time

import networkx as nx
import numpy as np
import town


def main() -> None:
    versions = {"python": platform.python_version(), "networkx": nx.__version__}
    x, y, ends, facilities = town.town()
    start = time.process_time()
    graph = nx.Graph()
    graph.add_weighted_edges_from((int(a), int(b), w) for (a, b), w in zip(ends, town.lengths(x, y, ends), strict=True))
    built = time.process_time()
    found = nx.multi_source_dijkstra_path_length(graph, set(facilities.tolist()))
    end = time.process_time()
    common = {"unit": "s of CPU", "better": "lower", "who": "networkx", "versions": versions,
              "check": round(float(np.mean(list(found.values()))), 3)}  # fmt: skip
    for figure, value in (
        ("100,000 junctions: graph and first answer", end - start),
        ("100,000 junctions: nearest of 100 facilities", end - built),
    ):
        print(json.dumps({"figure": figure, "value": value, **common}))


if __name__ == "__main__":
    main()
