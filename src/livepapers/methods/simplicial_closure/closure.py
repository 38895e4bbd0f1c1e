"""Closure probability by configuration, lifecycles and asynchronicity of triples (sections 3.3 and 3.6)."""

from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Literal

import numpy as np

from livepapers.core.errors import InputError
from livepapers.methods.simplicial_closure.triangles import STRONG, Skeleton, Subsets
from livepapers.tasks.hypergraphs import TemporalSimplices, decode, encode

Type = tuple[int, ...]
TYPES3: tuple[Type, ...] = tuple(combinations_with_replacement(range(3), 3))
"""Sorted tie strengths of three nodes: 0 no tie, 1 weak (one simplex), 2 strong (two or more)."""
TYPES4: tuple[Type, ...] = (
    *((-3, -3, -3, w) for w in range(3)),
    *((-2, -2, -2, w) for w in range(3)),
    *((-1, -1, *pair) for pair in combinations_with_replacement(range(3), 2)),
    *combinations_with_replacement(range(3), 4),
)
"""Four nodes with a triangle: the strengths of their triangles (0 open, 1, 2 or more simplices), ascending; -3, -2 and
-1 fill the places of missing triangles when there are 3, 4 and 5 edges."""

_INDEX3 = np.zeros((3, 3, 3), dtype=np.int64)
for _i, _type in enumerate(TYPES3):
    _INDEX3[_type] = _i
_INDEX4 = np.zeros((3, 3, 3, 3), dtype=np.int64)
for _i, _type in enumerate(TYPES4[12:], start=12):
    _INDEX4[_type] = _i
_PAIR = {pair: 6 + i for i, pair in enumerate(combinations_with_replacement(range(3), 2))}


@dataclass(frozen=True, eq=False)
class ClosureTable:
    """How many node sets of each type there are in the old data, and how many of them are in one new simplex."""

    types: tuple[Type, ...]
    count: np.ndarray  # [types] int64
    closed: np.ndarray  # [types] int64

    @property
    def probability(self) -> np.ndarray:
        """`[types]` closed / count; NaN where there is no such set."""
        return np.divide(self.closed, self.count, out=np.full(len(self.count), np.nan), where=self.count > 0)

    def of(self, kind: Type) -> tuple[int, int]:
        """(count, closed) of one type."""
        index = self.types.index(kind)
        return int(self.count[index]), int(self.closed[index])

    def rows(self) -> list[dict[str, str | int | float | None]]:
        """The table for people: type, count, closed, probability."""
        shares = [None if np.isnan(p) else float(p) for p in self.probability]
        names = [" ".join(map(str, kind)) for kind in self.types]
        columns = zip(names, self.count.tolist(), self.closed.tolist(), shares, strict=True)
        return [{"type": n, "count": c, "closed": k, "probability": p} for n, c, k, p in columns]


def closure_table(
    simplices: TemporalSimplices, *, order: Literal[3, 4] = 3, start: float = 80, end: float = 100
) -> ClosureTable:
    """Closure probability of groups of three or four nodes by their configuration (section 3.3).

    Groups with a node unseen in the old data are skipped, several new simplices that close one group count once.

    Args:
        simplices: The whole data.
        order: Nodes in a group. Four-node groups need at least one triangle.
        start: Percentile of the times at which the old data end.
        end: Percentile at which the new data end.

    Raises:
        InputError: If old or new data are empty.
    """
    old, new = split(simplices, start=start, end=end)
    skeleton = Skeleton.of(old.projected())
    closed = {size: Subsets.of(old, size, skeleton=skeleton) for size in range(3, order + 1)}
    rows, _ = new.subsets(order)
    keys = np.sort(skeleton.key(rows[old.present()[rows].all(axis=1)]))
    fresh = decode(keys[closed[order].strength(keys) == 0], skeleton.nodes, order=order)
    nodes = int(old.present().sum())
    if order == 3:
        count = _count3(skeleton, closed[3], nodes=nodes)
        kinds = tie_type(np.sort(_ties(skeleton, fresh), axis=1))
        return ClosureTable(TYPES3, count, np.bincount(kinds, minlength=len(TYPES3)))
    count = _count4(skeleton, closed, nodes=nodes)
    kinds = _kinds4(skeleton, fresh, triples=closed[3])
    return ClosureTable(TYPES4, count, np.bincount(kinds[kinds >= 0], minlength=len(TYPES4)))


def split(simplices: TemporalSimplices, *, start: float, end: float) -> tuple[TemporalSimplices, TemporalSimplices]:
    """(old, new) data: times up to the percentile `start`, and from there to the percentile `end` (section 3.2).

    Raises:
        InputError: If the percentiles are out of order or leave one side empty.
    """
    if not 0 < start < end <= 100:
        raise InputError.of("split", f"{start:g} to {end:g}", expected="percentiles with 0 < start < end <= 100")
    old, new = simplices.until(start), simplices.between(start, end)
    for name, part in (("old", old), ("new", new)):
        if not len(part):
            cause = "are most times equal?"
            raise InputError.of(
                "split", f"no {name} simplices at {start:g} %", expected="some on both sides", cause=cause
            )
    return old, new


def tie_type(ties: np.ndarray) -> np.ndarray:
    """The position in `TYPES3` of rows of three ascending tie strengths, `[rows, 3]` -> `[rows]`."""
    return _INDEX3[tuple(ties.T)]


def _ties(skeleton: Skeleton, ranks: np.ndarray) -> np.ndarray:
    """Tie strengths 0, 1, 2 of all pairs in each row of ranks, `[rows, pairs]`, pairs in lexicographic order."""
    pairs = list(combinations(range(ranks.shape[1]), 2))
    ties = np.zeros((len(ranks), len(pairs)), dtype=np.int64)
    for column, (a, b) in enumerate(pairs):
        edge = skeleton.edge(ranks[:, a], ranks[:, b])
        ties[edge >= 0, column] = np.minimum(skeleton.weights[edge[edge >= 0]], STRONG)
    return ties


def _count3(skeleton: Skeleton, closed: Subsets, *, nodes: int) -> np.ndarray:
    """Sets of three nodes by type; only triangles are enumerated, the rest follows from degrees."""
    ties = np.minimum(skeleton.weights, STRONG)
    triangles = np.zeros(4, dtype=np.int64)  # by number of strong ties, closed ones included
    shut = np.zeros(4, dtype=np.int64)
    for ranks, edges in skeleton.triangles():
        strong = (ties[edges] == STRONG).sum(axis=1)
        triangles += np.bincount(strong, minlength=4)
        shut += np.bincount(strong[closed.strength(encode(ranks, skeleton.nodes)) > 0], minlength=4)
    ends = np.concatenate([skeleton.tails, skeleton.heads])
    weak, strong = (np.bincount(ends[np.tile(ties, 2) == t], minlength=skeleton.nodes) for t in (1, 2))
    in_triangles = np.array([[3, 1, 0, 0], [0, 2, 2, 0], [0, 0, 1, 3]]) @ triangles
    around = np.array([weak * (weak - 1) // 2, weak * strong, strong * (strong - 1) // 2]).sum(axis=1)
    wedges = around - in_triangles  # 011, 012, 022
    edges_in = np.array([[3, 2, 1, 0], [0, 1, 2, 3]]) @ triangles + np.array([[2, 1, 0], [0, 1, 2]]) @ wedges
    single = np.bincount(ties, minlength=3)[1:] * (nodes - 2) - edges_in  # 001, 002
    empty = nodes * (nodes - 1) * (nodes - 2) // 6 - single.sum() - wedges.sum() - triangles.sum()
    return np.concatenate([[empty], single, wedges, triangles - shut])


def _count4(skeleton: Skeleton, closed: dict[int, Subsets], *, nodes: int) -> np.ndarray:
    """Sets of four nodes with a triangle by type: tetrahedra are enumerated, the rest by inclusion-exclusion."""
    count = np.zeros(len(TYPES4), dtype=np.int64)
    every = np.zeros_like(count)  # closed tetrahedra too
    for ranks in skeleton.tetrahedra():
        kinds = _INDEX4[tuple(_faces(ranks, closed[3], nodes=skeleton.nodes).T)]
        every += np.bincount(kinds, minlength=len(count))
        count += np.bincount(kinds[closed[4].strength(encode(ranks, skeleton.nodes)) == 0], minlength=len(count))
    on_edge = np.zeros((3, len(skeleton.tails)), dtype=np.int64)  # triangles of each strength on each edge
    triangles = np.zeros(3, dtype=np.int64)
    attached = np.zeros(3, dtype=np.int64)  # edges from a triangle to another node
    for ranks, edges in skeleton.triangles():
        strength = np.minimum(closed[3].strength(encode(ranks, skeleton.nodes)), STRONG)
        outside = skeleton.degree[ranks].sum(axis=1) - 6
        for s in range(3):
            chosen = strength == s
            on_edge[s] += np.bincount(edges[chosen].ravel(), minlength=on_edge.shape[1])
            triangles[s] += chosen.sum()
            attached[s] += outside[chosen].sum()
    for (a, b), index in _PAIR.items():
        both = on_edge[a] * on_edge[b] if a != b else on_edge[a] * (on_edge[a] - 1) // 2
        count[index] = both.sum()
    tetrahedra = [(TYPES4[i], int(every[i])) for i in range(12, len(TYPES4))]
    for kind, number in tetrahedra:
        for a, b in combinations(kind, 2):
            count[_PAIR[a, b]] -= number
    for s in range(3):
        in_five = sum(int(count[index]) * pair.count(s) for pair, index in _PAIR.items())
        in_six = sum(number * kind.count(s) for kind, number in tetrahedra)
        count[3 + s] = attached[s] - 2 * in_five - 3 * in_six
        count[s] = triangles[s] * (nodes - 3) - count[3 + s] - in_five - in_six
    return count


def _faces(ranks: np.ndarray, triples: Subsets, *, nodes: int) -> np.ndarray:
    """Strengths 0, 1, 2 of the four triples in each row of ranks, ascending: `[rows, 4]`."""
    faces = [triples.strength(encode(ranks[:, list(face)], nodes)) for face in combinations(range(4), 3)]
    return np.sort(np.minimum(np.column_stack(faces), STRONG), axis=1)


def _kinds4(skeleton: Skeleton, ranks: np.ndarray, *, triples: Subsets) -> np.ndarray:
    """The position in `TYPES4` of each row of four ranks; -1 without a triangle."""
    tie = _ties(skeleton, ranks) > 0  # pairs 01 02 03 12 13 23
    faces = np.column_stack([tie[:, list(pairs)].all(axis=1) for pairs in ((0, 1, 3), (0, 2, 4), (1, 2, 5), (3, 4, 5))])
    edges = tie.sum(axis=1)
    strength = _faces(ranks, triples, nodes=skeleton.nodes)
    kinds = np.full(len(ranks), -1)
    kinds[edges == 6] = _INDEX4[tuple(strength[edges == 6].T)]
    five = edges == 5
    pair = np.zeros((3, 3), dtype=np.int64)
    for (a, b), index in _PAIR.items():
        pair[a, b] = index
    kinds[five] = pair[strength[five, 2], strength[five, 3]]
    one = faces.any(axis=1)
    kinds[one & (edges == 4)] = 3 + strength[one & (edges == 4), 3]
    kinds[one & (edges == 3)] = strength[one & (edges == 3), 3]
    return kinds
