"""What a model sees of a pair: the indicators of both ends and the distance, phi_ij = [x_i ; x_j ; d_ij]."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from livepapers.baselines.spatial_interaction import intervening, pair_distances
from livepapers.core.errors import InputError
from livepapers.tasks.places import PAIRS_AT_ONCE, Places

Part = Literal["indicators", "distance", "difference", "intervening", "gravity"]
PAPER_PARTS: tuple[Part, ...] = ("indicators", "distance")
MOST_RANKED = 6_000  # places for which the mass between every two is kept: a matrix of 0.3 GB


@dataclass(frozen=True)
class Column:
    """One column of the features, and the indicator that it belongs to when importance is asked."""

    name: str
    group: str


class PairFeatures:
    """Builds feature rows for pairs; what needs all places (the mass between two) is found once.

    Args:
        places: Who and where.
        parts: "indicators" (both ends, in order), "distance", "difference" (|x_i - x_j|), "intervening" (the mass
            nearer than the destination), "gravity" (ln m_i + ln m_j and ln d, all that a gravity law knows).
        indicators: Which indicators; empty for all.
        mass: The indicator that is the mass, for "intervening" and "gravity".

    Raises:
        InputError: For an unknown part or indicator, or a part that needs a mass and has none.
    """

    def __init__(
        self, places: Places, *, parts: Sequence[Part] = PAPER_PARTS, indicators: Sequence[str] = (), mass: str = ""
    ) -> None:
        for part in parts:
            if part not in get_args(Part):
                raise InputError.of("parts", part, expected=f"some of {', '.join(get_args(Part))}")
        if not mass and {"intervening", "gravity"} & set(parts):
            raise InputError.of("mass", "nothing", expected=f"an indicator: {', '.join(parts)} needs one")
        self.places, self.parts = places, tuple(parts)
        self.names = tuple(indicators) or places.indicator_names
        self._values = np.column_stack([places.column(name) for name in self.names])
        self._log_mass = np.log(places.mass(mass)) if "gravity" in parts else None
        self._between = self._ranked(mass) if "intervening" in parts else None
        self.columns = tuple(column for part in self.parts for column in self._columns(part))

    def _ranked(self, mass: str) -> NDArray[np.float64]:
        number = np.arange(len(self.places))
        if len(number) > MOST_RANKED:
            raise InputError.of("places", len(number), expected=f"at most {MOST_RANKED} for intervening masses")
        return intervening(self.places.mass(mass), self.places.distances(number[:, None], number[None, :]))

    def _columns(self, part: Part) -> list[Column]:
        if part == "indicators":
            ends = [Column(f"{name} at origin", name) for name in self.names]
            return ends + [Column(f"{name} at destination", name) for name in self.names]
        if part == "difference":
            return [Column(f"{name} difference", name) for name in self.names]
        if part == "gravity":
            return [Column("log mass product", "mass"), Column("log distance", "distance")]
        return [Column(part, part)]

    def rows(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """`[pairs, columns]`; NaN where an indicator is missing."""
        origin, destination = pairs[:, 0], pairs[:, 1]
        found = np.empty((len(pairs), len(self.columns)))
        at = 0
        for part in self.parts:
            width = len(self._columns(part))
            block = found[:, at : at + width]
            if part == "indicators":
                block[:, : width // 2], block[:, width // 2 :] = self._values[origin], self._values[destination]
            elif part == "difference":
                np.abs(self._values[origin] - self._values[destination], out=block)
            elif part == "distance":
                block[:, 0] = self.places.distances(origin, destination)
            elif part == "intervening" and self._between is not None:
                block[:, 0] = self._between[origin, destination]
            elif self._log_mass is not None:
                block[:, 0] = self._log_mass[origin] + self._log_mass[destination]
                block[:, 1] = np.log(pair_distances(self.places, pairs))
            at += width
        return found

    def chunks(
        self, pairs: NDArray[np.int64], *, size: int = PAIRS_AT_ONCE
    ) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """`rows` in pieces, with their places in `pairs`: what memory holds does not grow with the number of pairs."""
        for start in range(0, len(pairs), size):
            piece = slice(start, min(start + size, len(pairs)))
            yield piece, self.rows(pairs[piece])


def column_groups(columns: Sequence[Column]) -> dict[str, list[int]]:
    """Indicator -> the columns that belong to it: both ends together, or importance is split between them."""
    found: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        found.setdefault(column.group, []).append(place)
    return found
