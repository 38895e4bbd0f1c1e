"""Continuous streets: segments grown along the straightest way, and the dual graph of streets that meet (section 3.4).

The growth is sequential by definition: whether a segment is free depends on the streets before it. Each junction's
angles are looked at once a street that passes it.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from livepapers.core.application import Row
from livepapers.core.errors import InputError
from livepapers.tasks.street_graph import StreetGraph

ROUNDED = 2  # decimals of a distance in an angle: centimetres


@dataclass(frozen=True, eq=False)
class DualStreets:
    """Streets as sets of segments, and which of them share a junction."""

    street: np.ndarray  # [segments] number of the street, in the order in which streets were begun
    lengths: np.ndarray  # [streets]
    names: tuple[str, ...]  # [streets] distinct names of the segments, the most frequent first
    classes: tuple[str, ...]  # [streets] road class of the first segment
    edges: np.ndarray  # [dual edges, 2] pairs of streets, the smaller number first, in ascending order

    @property
    def count(self) -> int:
        """The number of streets."""
        return len(self.lengths)

    def rows(self, unit: str) -> list[Row]:
        """A row for each street, the longest first: length, segments, streets that it meets."""
        pieces = np.bincount(self.street, minlength=self.count)
        meets = np.bincount(self.edges.ravel(), minlength=self.count)
        order = np.argsort(-self.lengths, kind="stable")
        return [
            {
                "street": int(i), "name": self.names[i], "class": self.classes[i],
                f"length, {unit}": float(self.lengths[i]), "segments": int(pieces[i]), "meets": int(meets[i]),
            }
            for i in order
        ]  # fmt: skip


def dual_streets(graph: StreetGraph, *, min_angle: float = 120.0, by_class: bool = False) -> DualStreets:
    """Grow segments into streets.

    From the first free segment a street goes on at both ends: at a junction it takes, of the free segments there, the
    one whose far end makes the largest angle with the junction it came from, if that is at least `min_angle`. Ties go
    to the first segment. Directions do not matter. Total length is conserved.

    Args:
        graph: The streets' segments, in the order in which they are tried.
        min_angle: In degrees, from 0 to 180; 180 joins only what is exactly straight.
        by_class: Whether a street stays within one road class (HICN instead of ICN).

    Raises:
        InputError: For an angle out of range.
    """
    if not 0.0 <= min_angle <= 180.0:
        raise InputError.of("min_angle", min_angle, expected="degrees from 0 to 180")
    grown = _Growth(graph, min_angle, by_class=by_class)
    street = np.array([-1] * graph.segments, dtype=np.int64)
    count = 0
    for first in range(graph.segments):
        if grown.street[first] < 0:
            grown.grow(first, count)
            count += 1
    street[:] = grown.street
    lengths = np.bincount(street, weights=graph.lengths, minlength=count)
    names = [Counter[str]() for _ in range(count)]
    classes = [""] * count
    for segment in range(graph.segments - 1, -1, -1):
        if graph.names[segment]:
            names[street[segment]][graph.names[segment]] += 1
        classes[street[segment]] = graph.classes[segment]
    joined = tuple("; ".join(name for name, _ in found.most_common()) for found in names)
    return DualStreets(street, lengths, joined, tuple(classes), _meetings(graph, street, count))


class _Growth:
    """Which segments are free, and how a street goes on."""

    def __init__(self, graph: StreetGraph, min_angle: float, *, by_class: bool) -> None:
        self.street = [-1] * graph.segments
        self._ends = np.column_stack([graph.tails, graph.heads]).tolist()
        self._class = graph.classes
        self._at: list[list[int]] = [[] for _ in range(graph.nodes)]
        for segment, (tail, head) in enumerate(self._ends):
            self._at[tail].append(segment)
            if head != tail:
                self._at[head].append(segment)
        self._angle = _angles(graph)
        self._least, self._by_class = min_angle, by_class

    def grow(self, first: int, number: int) -> None:
        """Give the street `number` to a free segment and to all that continue it."""
        self.street[first] = number
        tail, head = self._ends[first]
        for before, junction in ((head, tail), (tail, head)):
            came, at = before, junction
            while (following := self._next(came, at, self._class[first])) is not None:
                self.street[following] = number
                one, other = self._ends[following]
                came, at = at, (other if one == at else one)

    def _next(self, came: int, at: int, road: str) -> int | None:
        best, chosen = -math.inf, None
        for segment in self._at[at]:
            if self.street[segment] >= 0 or (self._by_class and self._class[segment] != road):
                continue
            one, other = self._ends[segment]
            angle = self._angle(came, at, other if one == at else one)
            if angle > best:
                best, chosen = angle, segment
        return chosen if best >= self._least else None


def _angles(graph: StreetGraph) -> Callable[[int, int, int], float]:
    """(from, junction, to) -> the angle at the junction, in degrees: 180 is straight on."""
    x, y = graph.x.tolist(), graph.y.tolist()

    def distance(a: int, b: int) -> float:
        if graph.geographic:
            return round(float(graph.straight(a, b).item()), ROUNDED)
        return round(math.hypot(x[b] - x[a], y[b] - y[a]), ROUNDED)

    return lambda came, at, to: convex_angle(distance(came, at), distance(at, to), distance(came, to))


def convex_angle(one: float, other: float, opposite: float) -> float:
    """The angle between two sides of a triangle by the law of cosines, in degrees; 0 where a side has no length."""
    if one <= 0.0 or other <= 0.0:
        return 0.0
    cosine = (one * one + other * other - opposite * opposite) / (2.0 * one * other)
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _meetings(graph: StreetGraph, street: np.ndarray, count: int) -> np.ndarray:
    """Pairs of streets with a common junction."""
    if not graph.segments:
        return np.zeros((0, 2), dtype=np.int64)
    junction = np.concatenate([graph.tails, graph.heads])
    visits = np.unique(np.column_stack([junction, np.tile(street, 2)]), axis=0)
    starts = np.flatnonzero(np.r_[True, visits[1:, 0] != visits[:-1, 0]])
    sizes = np.diff(np.r_[starts, len(visits)])
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for size in np.unique(sizes[sizes > 1]):  # junctions that as many streets meet in
        members = visits[starts[sizes == size][:, None] + np.arange(size), 1]
        a, b = np.triu_indices(int(size), 1)
        pairs.append(np.column_stack([members[:, a].ravel(), members[:, b].ravel()]))
    keys = np.unique(np.concatenate(pairs) @ np.array([count, 1]))
    return np.column_stack(np.divmod(keys, count))
