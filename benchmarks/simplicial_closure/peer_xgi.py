"""The same work with XGI: its hypergraph, weighted adjacency and subfaces; the triangles by networkx."""

import json
import platform
import time

import history
import networkx as nx
import xgi


def project(simplices: list[tuple[int, ...]]) -> tuple[nx.Graph, xgi.Hypergraph]:
    """The projected graph with the number of common simplices on each edge, and the hypergraph."""
    made = xgi.Hypergraph(simplices)
    matrix, index = xgi.adjacency_matrix(made, sparse=True, weighted=True, index=True)
    graph = nx.relabel_nodes(nx.from_scipy_sparse_array(matrix), index)
    return graph, made


def open_triangles(graph: nx.Graph, made: xgi.Hypergraph) -> tuple[list[tuple[int, ...]], int]:
    """Open triangles, and the number of closed ones."""
    larger = made.edges.filterby("order", 2, mode="geq").members()
    closed = {tuple(sorted(face)) for face in xgi.subfaces(larger, order=2)} | {
        tuple(sorted(edge)) for edge in larger if len(edge) == 3
    }
    triangles = (tuple(sorted(triangle)) for triangle in nx.all_triangles(graph))
    return [triangle for triangle in triangles if triangle not in closed], len(closed)


def counts(simplices: list[tuple[int, ...]]) -> list[int]:
    opened, closed = open_triangles(*project(simplices))
    return [len(opened), closed]


def harmonic(simplices: list[tuple[int, ...]]) -> list[float]:
    graph, made = project(simplices)
    ties = graph.adj
    return [
        3 / (1 / ties[a][b]["weight"] + 1 / ties[b][c]["weight"] + 1 / ties[a][c]["weight"])
        for a, b, c in open_triangles(graph, made)[0]
    ]


def main() -> None:
    everything, early = history.read()
    versions = {"python": platform.python_version(), "xgi": xgi.__version__, "networkx": nx.__version__}
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
        print(json.dumps({"figure": figure, "value": value, "unit": "s of CPU", "better": "lower", "who": "xgi",
                          "versions": versions, "check": check}))  # fmt: skip


if __name__ == "__main__":
    main()
