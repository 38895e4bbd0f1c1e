"""Simple paths from every node of every graph at once: labels, rooted subgraphs, exact counts (section 3.2).

Paths grow level by level. A frontier holds all simple paths of l edges as rows of an array; one array operation
extends each by every neighbour of its last node and drops those that visit a node twice. Cost and memory of a block
of roots: the number of walks that start there, which a sparse product tells beforehand.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from livepapers.core.errors import InputError
from livepapers.tasks.graphs import GraphTable, ragged

LONGEST = 7  # edges of a path; labels know all cycles of one edge more
_BLOCK = 2_000_000  # walks handled at once


@dataclass(frozen=True, eq=False)
class Paths:
    """Simple paths one by one, sorted by root: what labels are sums over, for weights on edges."""

    pairs: np.ndarray  # [paths] the pair that each joins
    edges: np.ndarray  # [paths, k] its edges, -1 beyond its end
    weights: np.ndarray  # [paths] how many paths each stands for


@dataclass(frozen=True, eq=False)
class PathLabels:
    """P_l(v, u), the number of simple paths of l edges from root v to u, for all pairs joined by one of at most k.

    Pairs are sorted by (root, node); each root has itself with P_0 = 1. Counts are whole numbers unless sampled.
    """

    table: GraphTable
    roots: np.ndarray  # [pairs] int64
    nodes: np.ndarray  # [pairs] int64
    counts: np.ndarray  # [pairs, k + 1] float64
    steps: np.ndarray  # [steps, 3] pair of the tail, pair of the head, edge: the edges of S_k(v), as paths walk them
    sampled: int  # roots whose paths were sampled, because there were more than the limit
    paths: Paths | None = None

    @property
    def k(self) -> int:
        """The longest path's edges."""
        return self.counts.shape[1] - 1

    @cached_property
    def keys(self) -> np.ndarray:
        """`[pairs]` root * nodes + node, ascending."""
        return self.roots * len(self.table.owner) + self.nodes

    def pair(self, roots: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """The number of each pair; -1 where no path of at most k edges joins it."""
        wanted = roots * len(self.table.owner) + nodes
        found = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[found] == wanted, found, -1)

    @cached_property
    def edge_pairs(self) -> np.ndarray:
        """`[2 edges]` the pair of each edge, first smaller to larger node, then back."""
        ends = self.table.ends
        found = [self.pair(ends[:, 0], ends[:, 1]), self.pair(ends[:, 1], ends[:, 0])]
        return np.concatenate(found) if self.k else np.zeros(0, dtype=np.int64)

    def root_sums(self) -> np.ndarray:
        """`[nodes, k + 1]` paths of each length that start at each node."""
        return sum_by(self.roots, self.counts, len(self.table.owner))

    def root_cycles(self) -> np.ndarray:
        """`[nodes, k - 1]` cycles of length 3 ... k + 1 through each node: half the paths that a neighbour closes."""
        closing = np.zeros((len(self.table.owner), max(self.k - 1, 0)))
        if self.k < 2:
            return closing
        pairs = self.edge_pairs[self.edge_pairs >= 0]  # a sample may miss an edge
        return sum_by(self.roots[pairs], self.counts[pairs, 2:], len(self.table.owner)) / 2


def path_labels(
    table: GraphTable,
    k: int,
    *,
    max_paths: int | None = None,
    rng: np.random.Generator | None = None,
    keep_paths: bool = False,
) -> PathLabels:
    """Enumerate the simple paths of at most `k` edges from every node.

    Args:
        table: The graphs.
        k: Edges of the longest paths.
        max_paths: Of one root and length; where there are more, so many are kept at random, with weights that leave
            every label's expectation as it is. None: exact, whatever it costs.
        rng: Draws the samples; needed with `max_paths`.
        keep_paths: Whether the paths themselves are kept.

    Raises:
        InputError: For k outside 0 ... `LONGEST`, or `max_paths` without `rng`.
    """
    if not 0 <= k <= LONGEST:
        raise InputError.of("k", k, expected=f"a whole number from 0 to {LONGEST}")
    if max_paths is not None and (rng is None or max_paths < 1):
        raise InputError.of("max_paths", max_paths, expected="at least 1, and a generator that samples")
    places = _Places.of(table)
    found: list[_Block] = []
    for roots in _root_blocks(table, k):
        frontiers = _frontiers(table, roots, k, max_paths, rng)
        found.append(_block(places, roots, k, list(frontiers) if keep_paths else frontiers))
    owner, nodes, counts = (np.concatenate([getattr(block, name) for block in found]) for name in _Block.PAIRS)
    walkers, slots = (np.concatenate([getattr(block, name) for block in found]) for name in _Block.STEPS)
    keys = owner * len(table.owner) + nodes
    _, heads, edges = table.neighbours
    tails = np.searchsorted(keys, walkers * len(table.owner) + places.tails[slots])
    steps = np.column_stack([tails, np.searchsorted(keys, walkers * len(table.owner) + heads[slots]), edges[slots]])
    paths = _kept(table, keys, [f for block in found for f in block.frontiers], k=k) if keep_paths else None
    return PathLabels(table, owner, nodes, counts, steps, sum(block.sampled for block in found), paths)


def count_paths(table: GraphTable, length: int) -> np.ndarray:
    """Simple paths of `length` edges in each graph, `[graphs]`: half the sum of the labels, as each has two ends."""
    labels = path_labels(table, length)
    per_graph = sum_by(table.owner[labels.roots], labels.counts[:, length:], len(table))[:, 0]
    return per_graph / 2 if length else per_graph


def count_cycles(table: GraphTable, length: int) -> np.ndarray:
    """Cycles of `length` edges in each graph, `[graphs]`: those through a node, summed and divided by `length`."""
    if length < 3:
        raise InputError.of("length", length, expected="a whole number from 3", cause="graphs are simple")
    through = path_labels(table, length - 1).root_cycles()[:, -1:]
    return sum_by(table.owner, through, len(table))[:, 0] / length


@dataclass(frozen=True, eq=False)
class Frontier:
    """All (or a sample of the) simple paths of one length from a block of roots."""

    paths: np.ndarray  # [paths, length + 1] nodes, the root first
    slots: np.ndarray  # [paths, length] its steps, as places in the compressed adjacency
    weights: np.ndarray  # [paths] how many paths each stands for
    crowded: np.ndarray  # roots that had too many


@dataclass(frozen=True, eq=False)
class _Places:
    """Where a root's pairs and steps stand in a dense row of its own: all nodes, all directed edges of its graph."""

    table: GraphTable
    tails: np.ndarray  # [2 edges] the node that each slot of the adjacency leaves
    first_slot: np.ndarray  # [graphs + 1]

    @classmethod
    def of(cls, table: GraphTable) -> "_Places":
        pointers, _, _ = table.neighbours
        tails = np.repeat(np.arange(len(table.owner)), table.degrees)
        return cls(table, tails, pointers[table.pointers])


@dataclass(frozen=True, eq=False)
class _Block:
    """Labels and steps of consecutive roots."""

    roots: np.ndarray
    nodes: np.ndarray
    counts: np.ndarray
    walkers: np.ndarray  # [steps] the root of each step
    slots: np.ndarray  # [steps]
    sampled: int
    frontiers: Sequence[Frontier]  # where the paths are kept

    PAIRS: ClassVar = ("roots", "nodes", "counts")
    STEPS: ClassVar = ("walkers", "slots")


def _block(places: _Places, roots: np.ndarray, k: int, frontiers: Iterable[Frontier]) -> _Block:
    table = places.table
    graph = table.owner[roots]
    nodes_before = np.concatenate([[0], np.cumsum(table.sizes[graph])])
    slots_before = np.concatenate([[0], np.cumsum(np.diff(places.first_slot)[graph])])
    counts = np.zeros((nodes_before[-1], k + 1))
    walked = np.zeros(slots_before[-1], dtype=bool)
    crowded = [np.zeros(0, dtype=np.int64)]
    for level, frontier in enumerate(frontiers):
        row = frontier.paths[:, 0] - roots[0]
        place = nodes_before[row] + frontier.paths[:, -1] - table.pointers[graph[row]]
        counts[:, level] = np.bincount(place, frontier.weights, minlength=len(counts))
        if level:
            walked[slots_before[row] + frontier.slots[:, -1] - places.first_slot[graph[row]]] = True
        crowded.append(frontier.crowded)
    met, stepped = np.flatnonzero(counts.any(axis=1)), np.flatnonzero(walked)
    row, at = _row_of(nodes_before, met), _row_of(slots_before, stepped)
    return _Block(
        roots[row], met - nodes_before[row] + table.pointers[graph[row]], counts[met],
        roots[at], stepped - slots_before[at] + places.first_slot[graph[at]], len(np.unique(np.concatenate(crowded))),
        frontiers if isinstance(frontiers, list) else (),
    )  # fmt: skip


def _kept(table: GraphTable, keys: np.ndarray, frontiers: Sequence[Frontier], *, k: int) -> Paths:
    """All paths of at least one edge as one array, in the order of their pairs."""
    edges = table.neighbours[2]
    pairs, rows, weights = [], [], []
    for frontier in frontiers:
        length = frontier.slots.shape[1]
        if length:
            pairs.append(np.searchsorted(keys, frontier.paths[:, 0] * len(table.owner) + frontier.paths[:, -1]))
            rows.append(np.pad(edges[frontier.slots], ((0, 0), (0, k - length)), constant_values=-1))
            weights.append(frontier.weights)
    if not pairs:
        return Paths(np.zeros(0, dtype=np.int64), np.zeros((0, k), dtype=np.int64), np.zeros(0))
    order = np.argsort(np.concatenate(pairs), kind="stable")
    return Paths(np.concatenate(pairs)[order], np.concatenate(rows)[order], np.concatenate(weights)[order])


def _row_of(before: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.searchsorted(before, places, side="right") - 1


def _frontiers(
    table: GraphTable, roots: np.ndarray, k: int, max_paths: int | None, rng: np.random.Generator | None
) -> Iterator[Frontier]:
    """The frontier of length 0, 1 ... k."""
    pointers, heads, _ = table.neighbours
    none = np.zeros(0, dtype=np.int64)
    frontier = Frontier(roots[:, None], np.zeros((len(roots), 0), dtype=np.int64), np.ones(len(roots)), none)
    yield frontier
    for _ in range(k):
        slots, offsets = ragged(pointers, frontier.paths[:, -1])
        rows = np.repeat(np.arange(len(frontier.paths)), np.diff(offsets))
        following = heads[slots]
        fresh = np.ones(len(rows), dtype=bool)
        for column in frontier.paths.T:  # at most k of them
            fresh &= column[rows] != following
        rows, following = rows[fresh], following[fresh]
        paths = np.column_stack([frontier.paths[rows], following])
        walked = np.column_stack([frontier.slots[rows], slots[fresh]])
        frontier = Frontier(paths, walked, frontier.weights[rows], none)
        if max_paths is not None and rng is not None:
            frontier = _thinned(frontier, max_paths, rng)
        yield frontier


def _thinned(frontier: Frontier, most: int, rng: np.random.Generator) -> Frontier:
    """At most so many paths of each root, uniformly without replacement, weighted by what they stand for."""
    roots, owner, counts = np.unique(frontier.paths[:, 0], return_inverse=True, return_counts=True)
    if not len(counts) or counts.max() <= most:
        return frontier
    order = np.lexsort((rng.random(len(owner)), owner))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.sort(order[rank < most])
    stands_for = np.maximum(counts / most, 1.0)[owner[kept]]
    return Frontier(
        frontier.paths[kept], frontier.slots[kept], frontier.weights[kept] * stands_for, roots[counts > most]
    )


def _root_blocks(table: GraphTable, k: int) -> Iterator[np.ndarray]:
    """Consecutive roots whose walks, and rows of all their graph's nodes and edges, are about `_BLOCK` in all."""
    pointers, heads, _ = table.neighbours
    nodes = len(table.owner)
    adjacency = sparse.csr_array((np.ones(len(heads)), heads, pointers), shape=(nodes, nodes))
    work = np.ones(nodes)
    for _ in range(k):
        work = adjacency @ work + 1.0
    work += (table.sizes + 2 * np.diff(table.edge_pointers))[table.owner]
    total = np.cumsum(work)
    first = 0
    while first < nodes:
        done = total[first - 1] if first else 0.0
        last = max(first + 1, int(np.searchsorted(total, done + _BLOCK)))
        yield np.arange(first, min(last, nodes))
        first = last


def sum_by(owner: np.ndarray, values: np.ndarray, owners: int) -> np.ndarray:
    """`[owners, columns]`: the rows of `values` summed by owner."""
    places = owner[:, None] * values.shape[1] + np.arange(values.shape[1])
    flat = np.bincount(places.reshape(-1), values.reshape(-1), minlength=owners * values.shape[1])
    return flat.reshape(owners, values.shape[1])
