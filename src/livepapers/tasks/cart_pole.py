"""CartPole-v1 of Gymnasium as a batched simulator: a pole on a cart that is pushed left or right.

Equations of Barto, Sutton and Anderson (1983) in the form of Gymnasium's environment: explicit Euler steps of 0.02 s,
reward 1 a step, over when the cart leaves +-2.4 m or the pole +-12 degrees, cut after 500 steps. All of a step is
deterministic; only the start is random. Float32 throughout, where Gymnasium keeps float64 inside.
"""

import math
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # m/s^2, kg, kg, m, N, s
TOTAL = CART + POLE
EDGE, FALLEN = 2.4, 12.0 * 2.0 * math.pi / 360.0  # m, radians


class CartPoleState(NamedTuple):
    """B poles; also the post-decision state, because nothing random follows."""

    place: Tensor  # [B] m
    speed: Tensor  # [B] m/s
    angle: Tensor  # [B] radians from upright
    turn: Tensor  # [B] radians/s


class CartPole:
    """A `Simulator` equal to Gymnasium's CartPole-v1, step for step.

    Args:
        horizon: Steps an episode; 200 is CartPole-v0.
    """

    def __init__(self, horizon: int = 500) -> None:
        if not isinstance(horizon, int) or not 1 <= horizon <= 1_000_000:
            raise InputError.of("horizon", horizon, expected="a whole number from 1 to 1,000,000")
        self.horizon = horizon
        self.return_bounds = (0.0, float(horizon))
        high = np.array([2.0 * EDGE, np.inf, 2.0 * FALLEN, np.inf], dtype=np.float32)
        self.observation_space = gymnasium.spaces.Box(-high, high, dtype=np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def initial(self, batch: int, generator: torch.Generator) -> CartPoleState:
        """All four numbers uniform in +-0.05."""
        return CartPoleState(*(torch.rand(4, batch, generator=generator) * 0.1 - 0.05).unbind())

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is random
        """`[B, 0]`: nothing."""
        return torch.empty(batch, 0)

    def observe(self, state: CartPoleState) -> Tensor:
        """`[B, 4]`: place, speed, angle, turn."""
        return torch.stack(state, 1)

    def mask(self, state: CartPoleState) -> None:  # noqa: ARG002
        """None: both pushes are always allowed."""
        return

    def decide(self, state: CartPoleState, action: Tensor) -> tuple[CartPoleState, Tensor]:
        """Push left (0) or right (1) `[B]`; reward 1, the last step's included."""
        place, speed, angle, turn = state
        cosine, sine = torch.cos(angle), torch.sin(angle)
        push = (action * (2.0 * FORCE) - FORCE + POLE * HALF_LENGTH * turn.square() * sine) / TOTAL
        inertia = HALF_LENGTH * (4.0 / 3.0 - POLE / TOTAL * cosine.square())
        spin = (GRAVITY * sine - cosine * push) / inertia
        pull = push - POLE * HALF_LENGTH / TOTAL * spin * cosine
        after = CartPoleState(place + TAU * speed, speed + TAU * pull, angle + TAU * turn, turn + TAU * spin)
        return after, torch.ones_like(place)

    def resolve(self, post: CartPoleState, noise: Tensor) -> tuple[CartPoleState, Tensor, Tensor]:  # noqa: ARG002
        """Nothing happens but the end: off the track, or fallen."""
        return post, torch.zeros_like(post.place), (post.place.abs() > EDGE) | (post.angle.abs() > FALLEN)
