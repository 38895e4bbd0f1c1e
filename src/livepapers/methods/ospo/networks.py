"""The score network that all vehicles share, and the dispatcher that is kept of it."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from livepapers.blocks.networks import MLP
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.matching import assign
from livepapers.tasks.order_board import Board, board
from livepapers.tasks.ride_pooling import ORDER_FEATURES, PASSENGER_FEATURES, VEHICLE_FEATURES, of_vehicles

Meaning: TypeAlias = Literal["probability", "value"]
BUSY = 4  # the column of a vehicle's features that is 0 when it is free
PAIRS = 2048  # scored at once without gradient: what they need stays in a processor's cache


class View(NamedTuple):
    """An observation taken apart."""

    vehicle: Tensor  # [B, N, V]
    free: Tensor  # [B, N] bool
    orders: Tensor  # [B, M', 5]
    board: Board  # which orders these are


class Choice(NamedTuple):
    """What a fleet does: D decisions, and how likely the policy found each."""

    action: Tensor  # [B, N] int64: place + 1, or 0
    lane: Tensor  # [D] int64
    vehicle: Tensor  # [D] int64
    column: Tensor  # [D] int64 in the row of open orders
    score: Tensor  # [D] probability or value


def view(observation: Tensor, *, vehicles: int, seats: int) -> View:
    """Take observations `[B, ...]` of `tasks.ride_pooling` apart."""
    width = VEHICLE_FEATURES + PASSENGER_FEATURES * seats
    own, rest = observation[:, : vehicles * width], observation[:, vehicles * width :]
    vehicle, orders = own.unflatten(1, (vehicles, width)), rest.unflatten(1, (-1, ORDER_FEATURES + 1))
    open_orders = board(orders[..., -1] > 0.5)
    rows = torch.arange(len(orders)).unsqueeze(1)
    return View(vehicle, vehicle[..., BUSY] < 0.5, orders[rows, open_orders.place, :-1], open_orders)


class Scorer(nn.Module):
    """A score for each pair of vehicle and order: one MLP, leaky ReLU, slope 0.01.

    The first layer is taken apart: a vehicle's part is computed once for all its orders, then added to theirs.

    Args:
        vehicle_width: V.
        hidden: Widths of the hidden layers.
        generator: Source of the initial weights.
    """

    def __init__(self, vehicle_width: int, *, hidden: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.width = vehicle_width
        self.network = MLP(
            vehicle_width + ORDER_FEATURES, hidden, outputs=1, activation="leaky_relu", generator=generator
        )

    def forward(self, vehicle: Tensor, orders: Tensor, row: Tensor) -> Tensor:
        """Vehicles `[R, V]`, orders of S minutes `[S, M', 5]`, which minute is whose `[R]` -> scores `[R, M']`."""
        first, *rest = self.network.layers
        assert isinstance(first, nn.Linear)
        of_vehicle = functional.linear(vehicle, first.weight[:, : self.width], first.bias)
        of_order = functional.linear(orders[row], first.weight[:, self.width :])
        hidden = of_vehicle[:, None] + of_order
        for layer in rest:
            hidden = functional.leaky_relu_(hidden) if isinstance(layer, nn.LeakyReLU) else layer(hidden)
        return hidden.squeeze(-1)


def log_probabilities(scores: Tensor, there: Tensor) -> Tensor:
    """Softmax over the orders that are there, `[R, M']`; -inf where there is none."""
    return torch.log_softmax(scores.masked_fill(~there, -torch.inf), -1)


@torch.no_grad()
def choose(
    scorer: Scorer, seen: View, *, meaning: Meaning, explore: float = 0.0, generator: torch.Generator | None = None
) -> Choice:
    """Score all free vehicles against all open orders and match them.

    Args:
        scorer: The shared network.
        seen: What is observed.
        meaning: Whether scores become probabilities over each vehicle's orders, or are values as they stand.
        explore: Probability with which a pair becomes as good as certain, whatever its score.
        generator: Source of the exploration.
    """
    lane, vehicle = seen.free.nonzero(as_tuple=True)
    scores = score_pairs(scorer, seen, lane, vehicle, meaning=meaning)
    worth = scores
    if explore:
        draw = torch.rand(2, *seen.free.shape, scores.shape[1], generator=generator)[:, lane, vehicle]
        worth = torch.where(draw[0] < explore, 1e6 * (1.0 + draw[1]), scores)
    column = assign(worth, lane, seen.board.there.sum(1), idle=0.0)
    action = seen.board.action(seen.free.shape, lane, vehicle, column)
    rows = (column >= 0).nonzero().squeeze(-1)
    return Choice(action, lane[rows], vehicle[rows], column[rows], scores[rows, column[rows]])


@torch.no_grad()
def score_pairs(scorer: Scorer, seen: View, lane: Tensor, vehicle: Tensor, *, meaning: Meaning) -> Tensor:
    """Scores `[R, M']` of R vehicles for the open orders of their lanes; 0 where there is none."""

    def values(lane: Tensor, vehicles: Tensor, *, width: int) -> Tensor:
        there = seen.board.there[lane, :width]
        scores = scorer(vehicles, seen.orders[:, :width], lane)
        if meaning == "probability":
            scores = log_probabilities(scores, there).exp() + 1e-8
        return torch.where(there, scores, 0.0)

    return seen.board.table((lane, of_vehicles(seen.vehicle, lane, vehicle)), PAIRS, values)


class DispatchPolicy(nn.Module):
    """The matching of the largest total score: what an artifact of ospo holds.

    Args:
        vehicles: N.
        seats: K.
        places: M places for open orders.
        hidden: Widths of the hidden layers.
        meaning: Probabilities (OSPO, GRPO, IPPO) or values (DDQN).
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    takes = "observation"
    beyond_tensors = "its decision is a matching, which no file of tensors can find"

    def __init__(
        self,
        vehicles: int,
        seats: int,
        places: int,
        *,
        hidden: Sequence[int],
        meaning: Meaning = "probability",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "vehicles": vehicles, "seats": seats, "places": places, "hidden": list(hidden), "meaning": meaning
        }  # fmt: skip
        self.vehicles, self.seats = vehicles, seats
        self.meaning: Meaning = meaning
        width = VEHICLE_FEATURES + PASSENGER_FEATURES * seats
        size = vehicles * width + places * (ORDER_FEATURES + 1)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = gymnasium.spaces.MultiDiscrete([places + 1] * vehicles)
        self.scorer = Scorer(width, hidden=hidden, generator=generator or make_generator(0, "ospo", "weights"))

    def forward(self, observation: Tensor) -> Tensor:
        """Observations `[B, ...]` -> the place + 1 of the order that each vehicle takes, or 0, `[B, N]`."""
        return choose(self.scorer, self.view(observation), meaning=self.meaning).action

    def view(self, observation: Tensor) -> View:
        """Take observations apart."""
        return view(observation, vehicles=self.vehicles, seats=self.seats)
