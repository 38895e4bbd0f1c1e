"""Dispatch rules that learn nothing: what a learned dispatcher has to beat.

random              a matching drawn uniformly: every free vehicle gets an order while there are any
nearest vehicle     as many pairs as can be matched, at the least total pick-up time
one-step greedy     the matching of the largest total immediate reward, known exactly; idle where it is negative
"""

import torch
from torch import Tensor

from livepapers.tasks.matching import assign
from livepapers.tasks.ride_pooling import Board, FleetPolicy, FleetState, RidePooling


def random_matching(fleet: RidePooling, generator: torch.Generator) -> FleetPolicy:
    """Pairs at random; draws from `generator` at every call."""

    def act(state: FleetState) -> Tensor:
        orders, pairs = possible(fleet, state)
        return matched(orders, torch.rand(pairs.shape, generator=generator), pairs, idle=None)

    return act


def nearest_vehicle(fleet: RidePooling) -> FleetPolicy:
    """The shortest total pick-up time."""

    def act(state: FleetState) -> Tensor:
        orders, pairs = possible(fleet, state)
        return matched(orders, -fleet.pickup_minutes(state, orders), pairs, idle=None)

    return act


def one_step_greedy(fleet: RidePooling) -> FleetPolicy:
    """The largest total immediate reward."""

    def act(state: FleetState) -> Tensor:
        orders, pairs = possible(fleet, state)
        return matched(orders, fleet.rewards(state, orders), pairs, idle=0.0)

    return act


def possible(fleet: RidePooling, state: FleetState) -> tuple[Board, Tensor]:
    """The open orders, and which vehicles can take them, `[B, N, M']` bool."""
    orders = fleet.board(state)
    return orders, fleet.free(state)[:, :, None] & orders.there[:, None]


def matched(orders: Board, scores: Tensor, pairs: Tensor, *, idle: float | None) -> Tensor:
    """The best matching as an action of the fleet, `[B, N]`."""
    column = assign(scores, pairs, idle=idle)
    if not orders.place.shape[1]:
        return column + 1
    return torch.where(column >= 0, orders.place.gather(1, column.clamp(min=0)) + 1, 0)
