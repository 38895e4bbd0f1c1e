"""Legs of routes: how long from place to place, and the order of drop-offs that ends soonest.

What R vehicles need of the M' orders of their lanes is R M' numbers of a table of zones by zones. Looked up one by one
they cost more than all that is computed of them. In `OrderLegs` a lane's orders stand next to one another in the row of
each of its zones, so that a vehicle's row is copied as a whole; unless vehicles are few beside the zones.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from livepapers.tasks.ride_city import City

_TIE = torch.tensor(1e-4)  # by how much a minute of waiting counts beside a minute of the whole route

_Between: TypeAlias = Literal["speed to pick-up", "from pick-up", "from goal", "to goal"]
Leg: TypeAlias = Callable[[int, int], Tensor]
"""Minutes from one place of a route to another, by their numbers."""


def soonest(leg: Leg, stops: int) -> list[Tensor]:
    """Minutes from place 0 to each of the stops 1, 2, ... along the order that ends soonest.

    A minute of each passenger's way counts like 1e-4 minutes of the whole: of orders that end together, or nearly so,
    the kinder one is taken.

    `leg` tells the minutes from one place to another; what it returns must have shapes that broadcast.
    """
    leg = functools.cache(leg)  # a leg is part of several orders of stops
    best: list[Tensor] = []
    earliest = torch.empty(0)
    for order in itertools.permutations(range(1, stops + 1)):
        time = leg(0, order[0])
        arrival = [time] * stops
        for start, end in itertools.pairwise(order):
            time = time + leg(start, end)
            arrival[end - 1] = time
        if stops == 1:
            return arrival
        ends = functools.reduce(operator.add, arrival).mul_(_TIE).add_(time)
        if not best:
            best, earliest = arrival, ends
            continue
        better = torch.lt(ends, earliest, out=torch.empty_like(ends))  # numbers: bools take several times as long
        worse = 1.0 - better
        best = [(old * worse).addcmul_(new, better) for new, old in zip(arrival, best, strict=True)]
        earliest = torch.minimum(ends, earliest)
    return best


def legs_between(city: City, row: Tensor, places: Sequence[Tensor]) -> Leg:
    """Legs of P routes through the zones `places`, `[P]` each, in the city's bins `row` `[P]`."""
    zones, minutes = len(city.zones), city.minutes
    starts = [(row * zones + place) * zones for place in places]
    return lambda start, end: torch.take(minutes, starts[start] + places[end])


class OrderLegs:
    """Rows `[R, W]` for R vehicles and the first W open orders of their lanes.

    Args:
        city: Zones, speeds and minutes.
        row: `[B]` int64, the city's bin of each lane.
        origin: `[B, M']` int64, the zones where orders are picked up; any zone where there is no order.
        goal: `[B, M']` int64, where they go.
        rows: How many vehicles will ask in all. Rows of all zones of all lanes pay when these are not many more.
    """

    def __init__(self, city: City, row: Tensor, origin: Tensor, goal: Tensor, *, rows: int) -> None:
        self.city, self.row, self.origin, self.goal = city, row, origin, goal
        self._by_zone = len(row) * len(city.zones) <= 2 * rows
        self._tables: dict[_Between, Tensor] = {}

    def to_pickup(self, lane: Tensor, zone: Tensor, here: Tensor, width: int) -> Tensor:
        """Minutes from vehicles at `here` `[R, 2]`, which counts to `zone` `[R]`, to the pick-ups."""
        east, north = (_rows(axis, lane, width) for axis in self._pickups)
        km = east.sub_(here[:, :1]).abs_().add_(north.sub_(here[:, 1:]).abs_())
        return km.div_(self._zone_rows("speed to pick-up", lane, zone, width))

    def km(self, lane: Tensor, width: int) -> Tensor:
        """Kilometres from pick-up to goal."""
        return _rows(self._km, lane, width)

    def along(self, lane: Tensor, goals: Sequence[Tensor], width: int) -> Leg:
        """Legs between a pick-up (place 0), the goals of who is aboard, `[R]` each, and the order's goal (the last)."""
        aboard, last = legs_between(self.city, self.row[lane], [lane, *goals]), len(goals) + 1

        def leg(start: int, end: int) -> Tensor:
            if start == 0 and end == last:
                return _rows(self._ride, lane, width)
            if end == last:
                return self._zone_rows("to goal", lane, goals[start - 1], width)
            if start == last:
                return self._zone_rows("from goal", lane, goals[end - 1], width)
            if start == 0:
                return self._zone_rows("from pick-up", lane, goals[end - 1], width)
            return aboard(start, end)[:, None]

        return leg

    @functools.cached_property
    def _pickups(self) -> tuple[Tensor, Tensor]:
        east, north = self.city.places.T.contiguous()
        return east[self.origin], north[self.origin]

    @functools.cached_property
    def _ride(self) -> Tensor:
        return self.city.minutes[self.row[:, None], self.origin, self.goal]

    @functools.cached_property
    def _km(self) -> Tensor:
        return self.city.distance[self.origin, self.goal]

    def _zone_rows(self, what: _Between, lane: Tensor, zone: Tensor, width: int) -> Tensor:
        """`[R, W]` between a zone of each vehicle, `[R]`, and an end of the orders."""
        city, zones = self.city, len(self.city.zones)
        match what:  # only what is asked for: shortest paths between many zones take seconds
            case "speed to pick-up":
                table, end = city.speed_to, self.origin
            case "from pick-up":
                table, end = city.minutes, self.origin
            case "from goal":
                table, end = city.minutes, self.goal
            case "to goal":
                table, end = city.minutes_to, self.goal
        first = (self.row[:, None] * zones + end) * zones
        if not self._by_zone:
            return torch.take(table, _rows(first, lane, width) + zone[:, None])
        if what not in self._tables:
            rows = table.flatten(0, 1).index_select(0, first.flatten() // zones).unflatten(0, tuple(end.shape))
            self._tables[what] = rows.mT.reshape(len(end) * zones, end.shape[1])
        return _rows(self._tables[what], lane * zones + zone, width)


def _rows(table: Tensor, row: Tensor, width: int) -> Tensor:
    return table[:, :width].index_select(0, row)
