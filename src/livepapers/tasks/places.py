"""Places with indicators, the ordered pairs between them, and the flows on those pairs.

A pair is directed: people who live in the origin and work in the destination. Flows from a place to itself are kept
apart: they are no link, but models that are told an origin's total may want them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from livepapers.core.errors import InputError
from livepapers.tasks.geography import great_circle

PAIRS_AT_ONCE = 1_000_000

Units = Literal["degrees", "metres"]


@dataclass(frozen=True, eq=False)
class Places:
    """Places where people live and work.

    Distances are great circles between degrees, straight lines between metres, or whatever `given` says.
    """

    names: tuple[str, ...]
    indicator_names: tuple[str, ...]
    indicators: NDArray[np.float64]  # [places, indicators], NaN where unknown
    coordinates: NDArray[np.float64]  # [places, 2] latitude and longitude in degrees, or x and y in metres
    units: Units = "degrees"
    given: NDArray[np.float64] | None = None  # [places, places] km

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together."""
        shapes = {"indicators": (len(self), len(self.indicator_names)), "coordinates": (len(self), 2)}
        shapes |= {} if self.given is None else {"given": (len(self), len(self))}
        for field, shape in shapes.items():
            found = getattr(self, field).shape
            if found != shape:
                raise InputError.of(f"places: {field}", found, expected=f"the shape {shape}")
        for field, names in (("names", self.names), ("indicator_names", self.indicator_names)):
            if len(set(names)) != len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise InputError.of(f"places: {field}", f"{twice} twice", expected="each name once")

    def __len__(self) -> int:
        """The number of places."""
        return len(self.names)

    def column(self, name: str) -> NDArray[np.float64]:
        """One indicator, `[places]`; raises `InputError` for an unknown name."""
        if name not in self.indicator_names:
            raise InputError.of("indicator", name, expected=f"one of {', '.join(self.indicator_names)}"[:300])
        return self.indicators[:, self.indicator_names.index(name)]

    def mass(self, name: str) -> NDArray[np.float64]:
        """An indicator that formulas may take as a mass, `[places]`.

        Raises:
            InputError: When a value is missing, zero or negative: its logarithm is none.
        """
        values = self.column(name)
        bad = np.flatnonzero(~(values > 0))
        if bad.size:
            raise InputError.of(
                f"{name} of {self.names[bad[0]]}",
                float(values[bad[0]]),
                expected="a positive number: formulas take it as a mass",
                cause=f"zero, negative or missing in {bad.size} of {len(self)} places; name another column by --mass",
            )
        return values

    def distances(self, origins: NDArray[np.int64], destinations: NDArray[np.int64]) -> NDArray[np.float64]:
        """Distances in km; the two arrays of place numbers broadcast."""
        if self.given is not None:
            return self.given[origins, destinations]
        (a, b), (c, d) = self.coordinates[origins].T, self.coordinates[destinations].T
        if self.units == "degrees":
            return great_circle(a.T, b.T, c.T, d.T)
        return np.hypot(a.T - c.T, b.T - d.T) / 1000

    def select(self, chosen: NDArray[np.int64]) -> "Places":
        """Some of the places, in the order asked for."""
        return replace(
            self,
            names=tuple(self.names[place] for place in chosen),
            indicators=self.indicators[chosen],
            coordinates=self.coordinates[chosen],
            given=None if self.given is None else self.given[np.ix_(chosen, chosen)],
        )


@dataclass(frozen=True, eq=False)
class Flows:
    """Observed flows as a matrix: what is not listed is zero."""

    matrix: NDArray[np.float64]  # [places, places], diagonal 0
    inside: NDArray[np.float64]  # [places] flows of places to themselves

    @classmethod
    def of(
        cls, origins: NDArray[np.int64], destinations: NDArray[np.int64], flow: NDArray[np.float64], *, places: int
    ) -> "Flows":
        """Add up listed flows, `[rows]` each; rows of the same pair are summed."""
        matrix = np.zeros((places, places))
        np.add.at(matrix, (origins, destinations), flow)
        inside = matrix.diagonal().copy()
        np.fill_diagonal(matrix, 0.0)
        return cls(matrix, inside)

    def on(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """The flow on each pair, `[pairs]`."""
        return self.matrix[pairs[:, 0], pairs[:, 1]]


def ordered_pairs(places: int, *, among: Sequence[int] | NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """All ordered pairs of different places, `[pairs, 2]`, by origin and then destination."""
    chosen = np.arange(places) if among is None else np.asarray(among, dtype=np.int64)
    origin, destination = np.nonzero(~np.eye(len(chosen), dtype=bool))
    return np.column_stack([chosen[origin], chosen[destination]])


def pair_chunks(places: int, *, size: int = PAIRS_AT_ONCE) -> Iterator[NDArray[np.int64]]:
    """`ordered_pairs` in pieces of at most `size`, never held at once."""
    total = places * (places - 1)
    for start in range(0, total, size):
        number = np.arange(start, min(start + size, total))
        origin, rest = np.divmod(number, places - 1)
        yield np.column_stack([origin, rest + (rest >= origin)])


def unordered(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each pair, `[pairs]`, that (i, j) and (j, i) share: the group that no split may part."""
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    return high * (high + 1) // 2 + low
