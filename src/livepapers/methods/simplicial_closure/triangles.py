"""Triangles and tetrahedra of a projected graph, enumerated in blocks of arrays (section 3.1).

Nodes are ordered by projected degree; each edge points to the later node, so a triangle u < v < w is met once, as a
pair of out-edges of u whose end points are joined. Cost: the sum over nodes of C(out-degree, 2), at most of order
edges^1.5; memory: one block, whatever the number of triangles.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from livepapers.core.errors import InputError
from livepapers.tasks.hypergraphs import TemporalSimplices, encode

STRONG = 2  # a tie is strong from two simplices on; more do not matter (section 3.3)
MOST_TRIANGLES = 20_000_000  # what scoring can hold in 8 GiB
_FEW = 512  # nodes up to which triangles are counted by a dense product
_TABLE = 2**22  # up to 2,048 nodes, edges are looked up in a table of all pairs
_CHUNK = 2_000_000  # candidates handled at once


@dataclass(frozen=True, eq=False)
class Skeleton:
    """The projected graph with its edges pointing from lower to higher degree; ranks stand for nodes.

    Edges are sorted by (tail, head); edge e joins `tails[e]` < `heads[e]` and has the weight `weights[e]`.
    """

    order: np.ndarray  # [nodes] the node of each rank
    rank: np.ndarray  # [nodes] the rank of each node
    degree: np.ndarray  # [nodes] projected degree of each rank
    tails: np.ndarray  # [edges]
    heads: np.ndarray  # [edges]
    weights: np.ndarray  # [edges] number of simplices that hold both ends
    keys: np.ndarray  # [edges] tail * nodes + head, ascending
    pointers: np.ndarray  # [nodes + 1] where each rank's out-edges start

    @classmethod
    def of(cls, projected: sparse.csr_array) -> "Skeleton":
        """Orient the edges of W, `[nodes, nodes]` symmetric with an empty diagonal."""
        nodes = len(projected.indptr) - 1
        degree = np.diff(projected.indptr).astype(np.int64)
        order = np.argsort(degree, kind="stable")
        rank = np.empty(nodes, dtype=np.int64)
        rank[order] = np.arange(nodes)
        rows = rank[np.repeat(np.arange(nodes), degree)]
        columns = rank[projected.indices]
        upper = rows < columns
        unsorted = rows[upper] * nodes + columns[upper]
        position = np.argsort(unsorted)
        keys = unsorted[position]
        tails, heads = np.divmod(keys, nodes)
        weights = projected.data[upper][position].astype(np.int64)
        pointers = np.concatenate([[0], np.cumsum(np.bincount(tails, minlength=nodes))])
        return cls(order, rank, degree[order], tails, heads, weights, keys, pointers)

    @property
    def nodes(self) -> int:
        """The number of nodes, isolated ones included."""
        return len(self.order)

    def edge(self, tails: np.ndarray, heads: np.ndarray) -> np.ndarray:
        """The number of each edge (tail, head), ranks with tail < head; -1 where there is none."""
        wanted = tails * self.nodes + heads
        if self.nodes**2 <= _TABLE:
            return self._table[wanted]
        if not len(self.keys):
            return np.full(len(wanted), -1)
        found = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[found] == wanted, found, -1)

    @cached_property
    def _table(self) -> np.ndarray:
        """For few nodes: the edge of every pair of ranks, or -1."""
        table = np.full(self.nodes**2, -1)
        table[self.keys] = np.arange(len(self.keys))
        return table

    def triangles(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All triangles, block by block, in ascending order.

        Yields:
            `[block, 3]` ranks u < v < w, and `[block, 3]` the numbers of the edges uv, uw, vw.
        """
        later = self.pointers[self.tails + 1] - np.arange(len(self.tails)) - 1  # out-edges of the tail after this one
        for first, offset in blocks(later):
            second = first + 1 + offset
            v, w = self.heads[first], self.heads[second]
            third = self.edge(v, w)
            kept = third >= 0
            edges = np.column_stack([first[kept], second[kept], third[kept]])
            yield np.column_stack([self.tails[edges[:, 0]], v[kept], w[kept]]), edges

    def tetrahedra(self) -> Iterator[np.ndarray]:
        """All sets of four pairwise joined nodes: `[block, 4]` ranks, ascending in a row."""
        out = np.diff(self.pointers)
        for ranks, _ in self.triangles():
            for row, offset in blocks(out[ranks[:, 2]]):
                fourth = self.heads[self.pointers[ranks[row, 2]] + offset]
                kept = self.edge(ranks[row, 0], fourth) >= 0
                row, fourth = row[kept], fourth[kept]  # noqa: PLW2901
                kept = self.edge(ranks[row, 1], fourth) >= 0
                yield np.column_stack([ranks[row[kept]], fourth[kept]])

    def key(self, nodes: np.ndarray) -> np.ndarray:
        """Rows of nodes (not ranks) `[rows, order]` as keys of their ranks; equal sets have equal keys."""
        return encode(np.sort(self.rank[nodes], axis=1), self.nodes)


@dataclass(frozen=True, eq=False)
class Subsets:
    """The node sets of one size that are inside some simplex, in a skeleton's ranks, and in how many simplices."""

    keys: np.ndarray  # [subsets] ascending
    counts: np.ndarray  # [subsets]

    @classmethod
    def of(cls, simplices: TemporalSimplices, order: int, *, skeleton: Skeleton) -> "Subsets":
        """All subsets of size `order`."""
        rows, counts = simplices.subsets(order)
        keys = skeleton.key(rows)
        position = np.argsort(keys)
        return cls(keys[position], counts[position])

    def strength(self, keys: np.ndarray) -> np.ndarray:
        """How many simplices hold each set; 0 for open ones."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[found] == keys, self.counts[found], 0)


def blocks(counts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (row, 0 ... counts[row] - 1) for all rows, a few million at a time.

    Yields:
        `[block]` rows and `[block]` offsets within the row.
    """
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        part = counts[start:stop]
        rows = np.repeat(np.arange(start, stop), part)
        offsets = np.arange(len(rows)) - np.repeat(np.cumsum(part) - part, part)
        if len(rows):
            yield rows, offsets
        start = stop


def triangle_counts(simplices: TemporalSimplices) -> tuple[int, int]:
    """The numbers of open and of closed triangles (section 3.1).

    Open: three nodes, pairwise in common simplices, never all in one. Closed: some simplex holds all three.
    """
    projected = simplices.projected()
    if simplices.nodes <= _FEW:
        adjacent = (projected.toarray() > 0).astype(np.float32)
        paths = adjacent @ adjacent  # whole numbers below 2^24: exact in single precision
        total = round(float(np.vdot(paths.astype(np.float64), adjacent)) / 6)
    else:
        total = sum(len(ranks) for ranks, _ in Skeleton.of(projected).triangles())
    closed = len(simplices.subsets(3)[0])
    return total - closed, closed


def open_triangles(simplices: TemporalSimplices) -> np.ndarray:
    """All open triangles: `[triangles, 3]` nodes, ordered within a row by projected degree.

    Raises:
        InputError: For more than `MOST_TRIANGLES`; `triangle_counts` has no such limit.
    """
    return list_open(simplices, skeleton=Skeleton.of(simplices.projected()))[0]


def list_open(simplices: TemporalSimplices, *, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """`open_triangles`, and the skeleton's edges ij, jk, ik of each: both `[triangles, 3]`."""
    closed = Subsets.of(simplices, 3, skeleton=skeleton)
    empty = np.zeros((0, 3), dtype=np.int64)
    nodes, sides = [empty], [empty]
    total = 0
    for ranks, edges in skeleton.triangles():
        kept = closed.strength(encode(ranks, skeleton.nodes)) == 0
        nodes.append(ranks[kept])
        sides.append(edges[kept])
        total += len(nodes[-1])
        if total > MOST_TRIANGLES:
            cause = "keep a shorter history or fewer nodes"
            found = f"over {MOST_TRIANGLES:,}"
            raise InputError.of("open triangles", found, expected=f"at most {MOST_TRIANGLES:,}", cause=cause)
    return skeleton.order[np.concatenate(nodes)], np.concatenate(sides)[:, [0, 2, 1]]
