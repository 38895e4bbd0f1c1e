"""The same work with networkx, as a careful user would write it: its triangle enumeration, Python sets and dicts."""

import json
import platform
import time
from collections import Counter
from itertools import combinations

import history
import networkx as nx


def project(simplices: list[tuple[int, ...]]) -> nx.Graph:
    """The projected graph with the number of common simplices on each edge."""
    weights = Counter(pair for nodes in simplices for pair in combinations(nodes, 2))
    graph = nx.Graph()
    graph.add_weighted_edges_from((a, b, weight) for (a, b), weight in weights.items())
    return graph


def open_triangles(simplices: list[tuple[int, ...]], graph: nx.Graph) -> tuple[list[tuple[int, ...]], int]:
    """Open triangles, and the number of closed ones."""
    closed = {triple for nodes in simplices for triple in combinations(nodes, 3)}
    triangles = (tuple(sorted(triangle)) for triangle in nx.all_triangles(graph))
    return [triangle for triangle in triangles if triangle not in closed], len(closed)


def counts(simplices: list[tuple[int, ...]]) -> list[int]:
    """Open and closed triangles; networkx counts triangles without listing them."""
    closed = len({triple for nodes in simplices for triple in combinations(nodes, 3)})
    graph = nx.Graph(pair for nodes in simplices for pair in combinations(nodes, 2))
    return [sum(nx.triangles(graph).values()) // 3 - closed, closed]


def harmonic(simplices: list[tuple[int, ...]]) -> list[float]:
    graph = project(simplices)
    ties = graph.adj
    return [
        3 / (1 / ties[a][b]["weight"] + 1 / ties[b][c]["weight"] + 1 / ties[a][c]["weight"])
        for a, b, c in open_triangles(simplices, graph)[0]
    ]


def main() -> None:
    everything, early = history.read()
    versions = {"python": platform.python_version(), "networkx": nx.__version__}
    start = time.process_time()
    found = counts(everything)
    middle = time.process_time()
    scores = harmonic(early)
    end = time.process_time()
    lines = (
        ("primary school: open and closed triangles", middle - start, found),
        ("primary school: harmonic scores of open triangles", end - middle, [len(scores), round(sum(scores), 3)]),
    )
    for figure, value, check in lines:
        print(json.dumps({"figure": figure, "value": value, "unit": "s of CPU", "better": "lower", "who": "networkx",
                          "versions": versions, "check": check}))  # fmt: skip


if __name__ == "__main__":
    main()
