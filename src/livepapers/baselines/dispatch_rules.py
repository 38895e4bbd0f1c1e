"""Dispatch rules that learn nothing: what a learned dispatcher has to beat.

random              a matching drawn uniformly: every free vehicle gets an order while there are any
nearest vehicle     as many pairs as can be matched, at the least total pick-up time
one-step greedy     the matching of the largest total immediate reward, known exactly; idle where it is negative
"""

from collections.abc import Callable

import torch
from torch import Tensor

from livepapers.tasks.matching import assign
from livepapers.tasks.order_board import Board
from livepapers.tasks.ride_pooling import FleetPolicy, FleetState, RidePooling


def random_matching(fleet: RidePooling, generator: torch.Generator) -> FleetPolicy:
    """Pairs at random; draws from `generator` at every call."""

    def scores(state: FleetState, orders: Board, lane: Tensor, vehicle: Tensor) -> Tensor:
        return torch.rand(*state.zone.shape, orders.place.shape[1], generator=generator)[lane, vehicle]

    return _matching(fleet, scores, idle=None)


def nearest_vehicle(fleet: RidePooling) -> FleetPolicy:
    """The shortest total pick-up time."""
    return _matching(fleet, lambda *pairs: -fleet.pickup_minutes(*pairs), idle=None)


def one_step_greedy(fleet: RidePooling) -> FleetPolicy:
    """The largest total immediate reward."""
    return _matching(fleet, fleet.rewards, idle=0.0)


def _matching(
    fleet: RidePooling, scores: Callable[[FleetState, Board, Tensor, Tensor], Tensor], *, idle: float | None
) -> FleetPolicy:
    """The matching of the largest total score of free vehicles and open orders, `[R, M']`."""

    def act(state: FleetState) -> Tensor:
        orders = fleet.board(state)
        lane, vehicle = fleet.free_vehicles(state)
        column = assign(scores(state, orders, lane, vehicle), lane, orders.there.sum(1), idle=idle)
        return orders.action(state.zone.shape, lane, vehicle, column)

    return act
