"""The same counts with networkx: its enumeration of simple paths and of simple cycles, molecule by molecule."""

import json
import platform
import time

import molecules
import networkx as nx


def counts(graphs: list[nx.Graph]) -> list[int]:
    paths, cycles = [0] * 5, [0] * 6
    for graph in graphs:
        for root in graph:
            later = {node for node in graph if node > root}
            for found in nx.all_simple_paths(graph, root, later, cutoff=4):
                paths[len(found) - 1] += 1
        for found in nx.simple_cycles(graph, length_bound=5):
            cycles[len(found)] += 1
    return [*paths[1:], *cycles[3:]]


def main() -> None:
    data = molecules.read()
    graphs = []
    for size, ends in zip(data["sizes"], data["ends"], strict=True):
        graph = nx.empty_graph(size)
        graph.add_edges_from(ends)
        graphs.append(graph)
    start = time.process_time()
    found = counts(graphs)
    seconds = time.process_time() - start
    versions = {"python": platform.python_version(), "networkx": nx.__version__}
    print(json.dumps({"figure": "1,025 molecules: paths of 1 to 4 edges, cycles of 3 to 5", "value": seconds,
                      "unit": "s of CPU", "better": "lower", "who": "networkx", "versions": versions,
                      "check": found}))  # fmt: skip


if __name__ == "__main__":
    main()
