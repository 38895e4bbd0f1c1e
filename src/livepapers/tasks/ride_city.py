"""Cities for ride pooling: zones, speeds and demand, as tensors.

Units: kilometres along the streets (axis-aligned after rotation), minutes, kilometres a minute. A city covers a window
of bins of equal length; minute t of an episode belongs to bin t // bin_minutes, the last bin stays after the window.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from livepapers.core.errors import InputError

BIN_MINUTES = 15
MOST_ZONES = 2000
MOST_CELLS = 64  # a side


@dataclass(frozen=True, eq=False)
class City:
    """Zones, how fast one drives between them, and how many people want to go where.

    Attributes:
        zones: Names.
        places: `[Z, 2]` where each zone is, kilometres along both street axes.
        speed: `[bins, Z, Z]` kilometres a minute from zone to zone.
        trips: `[bins, Z, Z]` relative demand from zone to zone; only proportions within a bin matter.
        rate: `[bins]` mean orders a minute.
        reference: JSON by which `tasks.ride_pooling` reads the same city again; None writes the tables out.
    """

    zones: tuple[str, ...]
    places: Tensor
    speed: Tensor
    trips: Tensor
    rate: Tensor
    bin_minutes: int = BIN_MINUTES
    reference: Mapping[str, Any] | None = field(default=None)

    def __post_init__(self) -> None:
        """Check shapes and values; what is wrong is named."""
        count, bins = len(self.zones), len(self.rate)
        if not 1 <= count <= MOST_ZONES or len(set(self.zones)) != count:
            raise InputError.of("zones", count, expected=f"1 to {MOST_ZONES:,} zones of different names")
        for name, value, shape in (
            ("places", self.places, (count, 2)),
            ("speed", self.speed, (bins, count, count)),
            ("trips", self.trips, (bins, count, count)),
            ("rate", self.rate, (max(bins, 1),)),
        ):
            if tuple(value.shape) != shape or not bool(torch.isfinite(value).all()):
                raise InputError.of(f"city: {name}", list(value.shape), expected=f"finite numbers of shape {shape}")
        if not bool((self.speed > 0).all()):
            raise InputError.of("city: speed", float(self.speed.min()), expected="speeds above 0 between all zones")
        if not bool((self.trips >= 0).all()) or not bool((self.trips.sum((1, 2)) > 0).all()):
            raise InputError.of("city: trips", "a bin without demand", expected="counts >= 0, at least one a bin")
        if not bool((self.rate > 0).all()):
            raise InputError.of("city: rate", self.rate.tolist(), expected="orders a minute > 0 in every bin")

    @cached_property
    def distance(self) -> Tensor:
        """`[Z, Z]` kilometres along the streets."""
        return (self.places[:, None] - self.places[None]).abs().sum(-1)

    @cached_property
    def minutes(self) -> Tensor:
        """`[bins, Z, Z]` minutes from zone to zone, by way of others where that is quicker.

        Speeds of single pairs are noisy; without the shortest paths, stops on the way would speed a passenger up.
        """
        shortest = self.distance / self.speed
        for via in range(len(self.zones)):
            shortest = torch.minimum(shortest, shortest[:, :, via, None] + shortest[:, None, via])
        return shortest

    @cached_property
    def speed_to(self) -> Tensor:
        """`speed` with a destination a row, contiguous."""
        return self.speed.mT.contiguous()

    @cached_property
    def minutes_to(self) -> Tensor:
        """`minutes` with a destination a row, contiguous."""
        return self.minutes.mT.contiguous()

    @cached_property
    def cumulative(self) -> Tensor:
        """`[bins, Z * Z]` cumulative shares of demand, origin-major, float64, the last one exactly 1."""
        share = self.trips.double().flatten(1)
        total = share.cumsum(1)
        return total / total[:, -1:]

    @cached_property
    def box(self) -> tuple[Tensor, Tensor]:
        """Lowest corner and extent `[2]` each, kilometres, of the box around all zones; a flat extent counts as 1."""
        low, high = self.places.amin(0), self.places.amax(0)
        extent = high - low
        return low, torch.where(extent > 0, extent, 1.0)

    def bin_of(self, minute: Tensor) -> Tensor:
        """Which bin each minute belongs to."""
        return (minute // self.bin_minutes).clamp(0, len(self.rate) - 1)

    def nearest_zone(self, position: Tensor) -> Tensor:
        """The zone whose place is nearest along the streets, the first of equals, `[..., 2]` -> `[...]` int64."""
        low, extent = self.box
        zone, east, north = self._near
        side = _cells_a_side(len(self.zones))
        here = position.reshape(-1, 2).T.contiguous()
        column, row = here.sub(low[:, None]).mul_(side / extent[:, None]).clamp_(0, side - 1).long()
        cell = row * side + column
        km = east.index_select(1, cell).sub_(here[0]).abs_().add_(north.index_select(1, cell).sub_(here[1]).abs_())
        return torch.take(zone, km.min(0).indices * zone.shape[1] + cell).view(position.shape[:-1])

    @cached_property
    def _near(self) -> tuple[Tensor, Tensor, Tensor]:
        """Zones `[K, C]` int64, in ascending order, that can be nearest to a point of each of C cells; their places.

        Within a cell no distance differs from that to its centre by more than half its width and height together. A
        point outside the box is as much farther from each zone as from the box, so its cell is that of the box's edge.
        """
        low, extent = self.box
        side = _cells_a_side(len(self.zones))
        middle = (torch.arange(side) + 0.5) / side * extent[:, None] + low[:, None]
        centre = torch.cartesian_prod(middle[1], middle[0]).flip(1)  # row by row
        km = (centre[:, None] - self.places).abs().sum(-1)
        rounding = 1e-5 * float(extent.sum()) + 1e-6 * float(self.places.abs().max())
        slack = float(extent.sum()) / side + rounding
        near = km <= km.amin(1, keepdim=True) + slack
        count = near.sum(1)
        zone = torch.argsort(~near, dim=1, stable=True)[:, : int(count.max())]
        zone = torch.where(torch.arange(zone.shape[1]) < count[:, None], zone, zone[:, :1]).T.contiguous()
        return zone, self.places[zone, 0], self.places[zone, 1]

    def to_json(self) -> dict[str, Any]:
        """How to have this city again: its reference, or its tables (one number where a bin's speeds are equal)."""
        if self.reference is not None:
            return dict(self.reference)
        same = [
            float(one.flatten()[0]) if bool((one == one.flatten()[0]).all()) else one.tolist() for one in self.speed
        ]
        demand = [{"pair": one.flatten().nonzero().flatten(), "count": one[one > 0]} for one in self.trips]
        return {
            "zones": list(self.zones), "places": self.places.tolist(), "speed": same,
            "trips": [{name: part.tolist() for name, part in one.items()} for one in demand],
            "rate": self.rate.tolist(), "bin_minutes": self.bin_minutes,
        }  # fmt: skip

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> "City":
        """The inverse of `to_json` for a city without a reference; raises `InputError` for what it did not write."""
        try:
            zones = tuple(str(zone) for zone in tables["zones"])
            count, length = len(zones), int(tables["bin_minutes"])
            places, rate = (torch.tensor(tables[name], dtype=torch.float32) for name in ("places", "rate"))
            speeds = [torch.tensor(one, dtype=torch.float32).expand(count, count) for one in tables["speed"]]
            trips = torch.zeros(len(tables["trips"]), count * count)
            for row, one in zip(trips, tables["trips"], strict=True):
                row[torch.tensor(one["pair"], dtype=torch.int64)] = torch.tensor(one["count"], dtype=torch.float32)
            speed, trips = torch.stack(speeds), trips.unflatten(1, (count, count))
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise InputError.of("city", sorted(tables), expected="the tables of a city", cause=str(error)) from None
        if length < 1:
            raise InputError.of("bin_minutes", length, expected="a whole number of minutes >= 1")
        return cls(zones, places, speed, trips, rate, bin_minutes=length)


def _cells_a_side(zones: int) -> int:
    """Into how many rows and columns a city is cut, so that few zones can be the nearest to a point of a cell."""
    return min(math.ceil(4.0 * zones**0.5), MOST_CELLS)


def grid_city(
    columns: int, rows: int, *, spacing: float = 1.0, speed: float = 0.3, rate: float = 3.0, centre: float = 1.0
) -> City:
    """A rectangle of zones, for examples and tests: equal speeds, demand that may lean to the middle.

    Args:
        columns: Zones along one axis.
        rows: Zones along the other.
        spacing: Kilometres between neighbours.
        speed: Kilometres a minute.
        rate: Orders a minute.
        centre: How many times likelier the middle zone is than others, as origin and as destination.
    """
    across = torch.arange(columns * rows)
    places = spacing * torch.stack([across % columns, across // columns], 1).float()
    pull = torch.ones(len(across))
    pull[len(across) // 2] = centre
    trips = (pull[:, None] * pull[None]).fill_diagonal_(0.0) if len(across) > 1 else torch.ones(1, 1)
    return City(
        tuple(f"z{zone}" for zone in across.tolist()), places, torch.full((1, len(across), len(across)), speed),
        trips[None], torch.tensor([rate]),
    )  # fmt: skip


def filled_speeds(speed: Tensor, *, known: Tensor) -> Tensor:
    """Speeds with gaps filled by the mean over the known pairs of the same bin.

    Args:
        speed: `[bins, Z, Z]`.
        known: `[bins, Z, Z]` bool; every bin needs one known pair.
    """
    count = known.sum((1, 2), keepdim=True)
    if not bool((count > 0).all()):
        raise InputError.of("speeds", "a bin without any", expected="a speed in every bin of the window")
    mean = torch.where(known, speed, 0.0).sum((1, 2), keepdim=True) / count
    return torch.where(known, speed, mean)


def scaled_rates(trips: Tensor, *, mean: float) -> Tensor:
    """Orders a minute of each bin, in proportion to its trips, `mean` on average; `[bins]`."""
    total = trips.sum((1, 2))
    return mean * total / total.mean()


def rotated(points: Sequence[Sequence[float]] | Tensor, *, degrees: float) -> Tensor:
    """Points `[n, 2]` turned anticlockwise about the origin."""
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    return torch.as_tensor(points, dtype=torch.float64) @ turn.T
