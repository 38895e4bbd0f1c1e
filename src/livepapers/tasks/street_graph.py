"""Street networks as arrays: junctions, segments with lengths and directions, and distances between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, spatial
from scipy.sparse import csgraph

from livepapers.core.errors import InputError
from livepapers.tasks.geography import EARTH_RADIUS, great_circle

Direction = Literal["out", "in"]
"""From a place to a facility, or from a facility to a place: they differ where streets are one-way."""
METRES = 1000.0  # in a kilometre
_BLOCK = 20_000_000  # numbers of a distance block held at once


@dataclass(frozen=True, eq=False)
class StreetGraph:
    """Junctions joined by segments; parallel segments and loops are kept, self-consistent in one length unit."""

    x: np.ndarray  # [nodes] longitude in degrees, or the map's first coordinate
    y: np.ndarray  # [nodes] latitude in degrees, or the map's second coordinate
    tails: np.ndarray  # [segments] int64
    heads: np.ndarray  # [segments] int64
    lengths: np.ndarray  # [segments] float64 >= 0, in `unit`
    oneway: np.ndarray  # [segments] bool; True: from tail to head only
    names: tuple[str, ...]  # [segments] of streets, may be empty
    classes: tuple[str, ...]  # [segments] road classes, may be empty
    keys: tuple[str, ...]  # [nodes] what the user calls the junctions
    geographic: bool = False  # degrees on the globe; distances are then in metres
    unit: str = "m"
    crs: str = ""  # coordinate reference system as text, empty where not known

    @classmethod
    def of(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        ends: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        oneway: ArrayLike | bool = False,
        names: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        geographic: bool = False,
        unit: str = "m",
        crs: str = "",
    ) -> "StreetGraph":
        """Build and check a graph.

        Args:
            x: `[nodes]` coordinates.
            y: `[nodes]` coordinates.
            ends: `[segments, 2]` numbers of the junctions that each segment joins, in its direction of travel.
            lengths: `[segments]`; straight lines when left out.
            oneway: Which segments may be travelled from the first end to the second only.
            names: Of the streets.
            classes: Of the roads.
            keys: Of the junctions; their numbers when left out.
            geographic: Whether coordinates are degrees.
            unit: Of lengths and coordinates; metres where coordinates are degrees.
            crs: Coordinate reference system.

        Raises:
            InputError: An end that is no junction, a coordinate or a length that is not finite or is negative.
        """
        xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        pairs = np.asarray(ends, dtype=np.int64).reshape(-1, 2)
        if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
            first = int(np.flatnonzero(~(np.isfinite(xs) & np.isfinite(ys)))[0])
            raise InputError.of(f"junction {first}", f"{xs[first]}, {ys[first]}", expected="finite coordinates")
        if len(pairs) and not (pairs.min() >= 0 and pairs.max() < len(xs)):
            raise InputError.of("segments", int(pairs.max()), expected=f"ends from 0 to {len(xs) - 1}")
        straight = _straight(xs[pairs[:, 0]], ys[pairs[:, 0]], xs[pairs[:, 1]], ys[pairs[:, 1]], geographic=geographic)
        long = straight if lengths is None else np.asarray(lengths, dtype=float)
        if (bad := ~(np.isfinite(long) & (long >= 0))).any():
            first = int(np.flatnonzero(bad)[0])
            raise InputError.of(f"segment {first + 1}: length", float(long[first]), expected="a finite number >= 0")
        count = len(pairs)
        return cls(
            xs, ys, pairs[:, 0], pairs[:, 1], long, np.broadcast_to(np.asarray(oneway, dtype=bool), count).copy(),
            tuple(names) if names is not None else ("",) * count,
            tuple(classes) if classes is not None else ("",) * count,
            tuple(keys) if keys is not None else tuple(map(str, range(len(xs)))), geographic, unit, crs,
        )  # fmt: skip

    @property
    def nodes(self) -> int:
        """The number of junctions."""
        return len(self.x)

    @property
    def segments(self) -> int:
        """The number of segments."""
        return len(self.tails)

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """`[nodes, nodes]` lengths of direct ways: the shortest of parallel segments, loops left out."""
        back = ~self.oneway
        rows = np.concatenate([self.tails, self.heads[back]])
        columns = np.concatenate([self.heads, self.tails[back]])
        long = np.concatenate([self.lengths, self.lengths[back]])
        kept = rows != columns
        key = rows[kept] * self.nodes + columns[kept]
        order = np.lexsort((long[kept], key))
        first = order[np.unique(key[order], return_index=True)[1]]
        ways = (rows[kept][first], columns[kept][first])
        # two junctions at no distance are joined all the same: a stored zero would be dropped in arithmetic
        values = np.maximum(long[kept][first], np.finfo(float).tiny)
        return sparse.csr_array(sparse.coo_array((values, ways), shape=(self.nodes, self.nodes)))

    def distances(self, nodes: ArrayLike, *, direction: Direction = "out") -> np.ndarray:
        """`[given, nodes]` lengths of shortest ways; "out": from each junction to the given ones; "in": from them.

        Infinite where there is no way. Cost: one Dijkstra search for each given junction.
        """
        wanted = np.atleast_1d(np.asarray(nodes, dtype=np.int64))
        ways = self._reversed if direction == "out" else self.matrix
        return csgraph.dijkstra(ways, directed=True, indices=wanted)

    def nearest(self, facilities: ArrayLike, *, direction: Direction = "out") -> tuple[np.ndarray, np.ndarray]:
        """`[nodes]` distance to (or from) the nearest facility by road, and its junction (-1: no way).

        One Dijkstra search from all facilities at once, whatever their number.
        """
        ways = self._reversed if direction == "out" else self.matrix
        found, _, source = csgraph.dijkstra(
            ways, directed=True, indices=np.unique(np.asarray(facilities)), min_only=True, return_predecessors=True
        )
        return found, np.where(np.isfinite(found), source, -1)

    def straight(self, nodes: ArrayLike, to: ArrayLike | None = None) -> np.ndarray:
        """`[given, nodes]` (or to the junctions `to`) straight-line distances, along the sphere for degrees."""
        a = np.atleast_1d(np.asarray(nodes, dtype=np.int64))[:, None]
        b = np.arange(self.nodes) if to is None else np.asarray(to, dtype=np.int64)
        return _straight(self.x[a], self.y[a], self.x[b], self.y[b], geographic=self.geographic)

    def blocks(self, rows: int) -> Iterator[slice]:
        """Slices of `rows` such that a block `[slice, nodes]` stays small."""
        step = max(1, _BLOCK // max(self.nodes, 1))
        yield from (slice(start, min(start + step, rows)) for start in range(0, rows, step))

    def components(self) -> np.ndarray:
        """`[nodes]` number of the weakly connected part, largest first, ties by the first junction."""
        _, labels = csgraph.connected_components(self.matrix, directed=True, connection="weak")
        order = np.argsort(-np.bincount(labels), kind="stable") if self.nodes else np.zeros(0, dtype=np.int64)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return rank[labels]

    def largest_component(self) -> "StreetGraph":
        """The largest weakly connected part."""
        return self.select(self.components() == 0)

    def select(self, kept: np.ndarray) -> "StreetGraph":
        """The junctions where `kept` `[nodes]` is True, and the segments between them."""
        number = np.cumsum(kept) - 1
        chosen = np.flatnonzero(kept[self.tails] & kept[self.heads])
        return replace(
            self,
            x=self.x[kept], y=self.y[kept], tails=number[self.tails[chosen]], heads=number[self.heads[chosen]],
            lengths=self.lengths[chosen], oneway=self.oneway[chosen],
            names=tuple(self.names[i] for i in chosen), classes=tuple(self.classes[i] for i in chosen),
            keys=tuple(self.keys[i] for i in np.flatnonzero(kept)),
        )  # fmt: skip

    def snap(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """The nearest junction of each point in a straight line, and how far it is: both `[points]`.

        Raises:
            InputError: For a graph without junctions.
        """
        if not self.nodes:
            raise InputError.of("streets", "no junction", expected="at least one")
        xs, ys = np.atleast_1d(np.asarray(x, dtype=float)), np.atleast_1d(np.asarray(y, dtype=float))
        tree = spatial.KDTree(self._places(self.x, self.y))
        node = np.asarray(tree.query(self._places(xs, ys))[1])
        return node, _straight(xs, ys, self.x[node], self.y[node], geographic=self.geographic)

    def _places(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Points of the plane, or of the unit sphere: nearest there is nearest along it."""
        if not self.geographic:
            return np.column_stack([x, y])
        longitude, latitude = np.radians(x), np.radians(y)
        around = np.cos(latitude)
        return np.column_stack([around * np.cos(longitude), around * np.sin(longitude), np.sin(latitude)])

    @cached_property
    def _reversed(self) -> sparse.csr_array:
        return sparse.csr_array(self.matrix.T)


def _straight(x: np.ndarray, y: np.ndarray, to_x: np.ndarray, to_y: np.ndarray, *, geographic: bool) -> np.ndarray:
    if geographic:
        return METRES * great_circle(y, x, to_y, to_x)
    return np.hypot(to_x - x, to_y - y)


def street_grid(
    rng: np.random.Generator, rows: int, columns: int, *, block: float = 100.0, shaken: float = 0.2,
    missing: float = 0.1, oneway: float = 0.2,
) -> StreetGraph:  # fmt: skip
    """A town: a grid whose junctions are shaken, with some segments missing and some one-way; its largest part.

    Args:
        rng: Where the randomness comes from.
        rows: Of junctions.
        columns: Of junctions.
        block: Side of a block, in metres.
        shaken: Standard deviation of each coordinate, in blocks.
        missing: Share of segments that are left out.
        oneway: Share of segments that are one-way.
    """
    numbers = np.arange(rows * columns).reshape(rows, columns)
    across = np.column_stack([numbers[:, :-1].ravel(), numbers[:, 1:].ravel()])
    along = np.column_stack([numbers[:-1].ravel(), numbers[1:].ravel()])
    ends = np.concatenate([across, along])
    ends = ends[rng.random(len(ends)) >= missing]
    flipped = rng.random(len(ends)) < 0.5
    ends[flipped] = ends[flipped, ::-1]
    place = np.indices((rows, columns)).reshape(2, -1) + shaken * rng.standard_normal((2, rows * columns))
    made = StreetGraph.of(block * place[1], block * place[0], ends, oneway=rng.random(len(ends)) < oneway)
    return made.largest_component()


def equirectangular_metres(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Degrees as metres around the middle of the points: good enough to draw a town."""
    if not len(x):
        return x, y
    scale = METRES * EARTH_RADIUS * np.pi / 180
    return (x - x.mean()) * scale * np.cos(np.radians(y.mean())), (y - y.mean()) * scale
