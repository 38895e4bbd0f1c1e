"""Exact numbers of small subgraphs by Möbius inversion, without enumerating a single one; random graphs to count in.

Copies of a pattern are injective homomorphisms over its automorphisms, and

    injective(pattern) = sum over partitions p of its nodes of mu(p) hom(pattern / p),

mu(p) the product of (-1)^(b - 1) (b - 1)! over blocks of size b. Homomorphisms of a quotient are one contraction of
adjacency matrices. Nothing here knows of paths or walks from a root, so it is an independent check of such counts.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache

import networkx as nx
import numpy as np

from livepapers.tasks.graphs import GraphTable

Pattern = tuple[tuple[int, int], ...]


def cycle(length: int) -> Pattern:
    """A cycle of `length` edges."""
    return tuple((node, (node + 1) % length) for node in range(length))


def path(length: int) -> Pattern:
    """A path of `length` edges."""
    return tuple((node, node + 1) for node in range(length))


def count_subgraphs(table: GraphTable, pattern: Pattern) -> np.ndarray:
    """How often each graph holds the pattern, not necessarily induced: `[graphs]` float64, whole numbers."""
    nodes = 1 + max(map(max, pattern))
    adjacency = table.adjacency()
    sizes = table.sizes.astype(np.float64)
    injective = np.zeros(len(table))
    for sign, quotient, blocks in _quotients(pattern, nodes):
        if len({node for edge in quotient for node in edge}) != blocks:  # isolated blocks: any node
            raise ValueError("patterns are connected")
        injective += sign * (_homomorphisms(adjacency, quotient) if quotient else sizes)
    return np.round(injective / _automorphisms(pattern, nodes))


@cache
def _quotients(pattern: Pattern, nodes: int) -> tuple[tuple[float, Pattern, int], ...]:
    """(sum of mu, edges, blocks) of every quotient without a loop, equal edge sets together."""
    found: dict[Pattern, tuple[float, int]] = {}
    for block in _partitions(nodes):
        edges = {tuple(sorted((block[a], block[b]))) for a, b in pattern}
        if any(a == b for a, b in edges):
            continue
        sizes = np.bincount(block)
        sign = math.prod((-1.0) ** (size - 1) * math.factorial(size - 1) for size in sizes.tolist())
        key = tuple(sorted((a, b) for a, b in edges))
        found[key] = (found.get(key, (0.0, 0))[0] + sign, len(sizes))
    return tuple((sign, edges, blocks) for edges, (sign, blocks) in found.items())


def _partitions(nodes: int) -> Iterator[list[int]]:
    """All partitions, as restricted growth strings: the block of each node."""

    def extend(block: list[int]) -> Iterator[list[int]]:
        if len(block) == nodes:
            yield block
            return
        for number in range(max(block) + 2):
            yield from extend([*block, number])

    return extend([0])


def _homomorphisms(adjacency: np.ndarray, edges: Pattern) -> np.ndarray:
    letters = "abcdefgh"
    terms = ",".join(f"z{letters[a]}{letters[b]}" for a, b in edges)
    return np.einsum(f"{terms}->z", *[adjacency] * len(edges), optimize="greedy")


@cache
def _automorphisms(pattern: Pattern, nodes: int) -> int:
    graph = nx.Graph(pattern)
    graph.add_nodes_from(range(nodes))
    return sum(1 for _ in nx.algorithms.isomorphism.GraphMatcher(graph, graph).isomorphisms_iter())


def random_graphs(rng: np.random.Generator, graphs: int, *, sizes: Sequence[int] = (10, 25)) -> GraphTable:
    """Half 4-regular graphs, half uniform ones with 1.8 edges a node, sizes uniform in `sizes`, both ends included.

    Message passing cannot tell 4-regular graphs of one size apart, whatever they hold.
    """
    made = []
    for number in range(graphs):
        nodes, seed = int(rng.integers(sizes[0], sizes[1] + 1)), int(rng.integers(2**31))
        if number % 2:
            made.append(nx.gnm_random_graph(nodes, round(1.8 * nodes), seed=seed))
        else:
            made.append(nx.random_regular_graph(4, nodes, seed=seed))
    return GraphTable.from_networkx(made)
