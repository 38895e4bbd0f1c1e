"""MountainCarContinuous-v0 of Gymnasium as a batched simulator: a weak car gathers speed to climb out of a valley.

Reward -0.1 action^2 a step and 100 at the flag, over there, cut after 999 steps; so the return is positive exactly when
the flag was reached. Observations may be scaled to unit variance: both numbers centred, over the standard deviation of
a uniform law on their range, so that one standard deviation of noise means the same share of both.
"""

import math
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

LEFT, RIGHT, GOAL = -1.2, 0.6, 0.45  # positions
FASTEST, POWER, SLOPE = 0.07, 0.0015, 0.0025  # a step
CENTRE, SPREAD = (-0.3, 0.0), (1.8 / math.sqrt(12.0), 0.14 / math.sqrt(12.0))
"""Mean and standard deviation of uniform laws on the ranges of position and velocity."""


class MountainCarState(NamedTuple):
    """B cars; also the post-decision state, because nothing random follows."""

    place: Tensor  # [B]
    speed: Tensor  # [B]


class MountainCar:
    """A `Simulator` equal to Gymnasium's MountainCarContinuous-v0, step for step.

    Args:
        scaled: Whether observations have unit variance.
    """

    horizon = 999
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    return_bounds = (
        -999 * float(np.float32(0.1)),
        100.0,
    )  # rewards are float32, and theirs of full force is below -0.1

    def __init__(self, *, scaled: bool = False) -> None:
        self.scaled = scaled
        low, high = np.array([LEFT, -FASTEST], np.float32), np.array([RIGHT, FASTEST], np.float32)
        if scaled:
            low, high = (((side - CENTRE) / SPREAD).astype(np.float32) for side in (low, high))
        self.observation_space = gymnasium.spaces.Box(low, high, dtype=np.float32)

    def initial(self, batch: int, generator: torch.Generator) -> MountainCarState:
        """At rest, anywhere in the bottom of the valley."""
        return MountainCarState(torch.rand(batch, generator=generator) * 0.2 - 0.6, torch.zeros(batch))

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is random
        """`[B, 0]`: nothing."""
        return torch.empty(batch, 0)

    def observe(self, state: MountainCarState) -> Tensor:
        """`[B, 2]`: position, velocity."""
        seen = torch.stack(state, 1)
        return (seen - torch.tensor(CENTRE)) / torch.tensor(SPREAD) if self.scaled else seen

    def mask(self, state: MountainCarState) -> None:  # noqa: ARG002
        """None: every force is allowed."""
        return

    def decide(self, state: MountainCarState, action: Tensor) -> tuple[MountainCarState, Tensor]:
        """Push with a force `[B, 1]` of at most 1; the wall on the left stops the car."""
        force = action[:, 0].to(torch.float32)
        speed = state.speed + POWER * force.clamp(-1.0, 1.0) - SLOPE * torch.cos(3.0 * state.place)
        speed = speed.clamp(-FASTEST, FASTEST)
        place = (state.place + speed).clamp(LEFT, RIGHT)
        speed = torch.where((place <= LEFT) & (speed < 0.0), 0.0, speed)
        return MountainCarState(place, speed), -0.1 * force.square()

    def resolve(self, post: MountainCarState, noise: Tensor) -> tuple[MountainCarState, Tensor, Tensor]:  # noqa: ARG002
        """Nothing happens but the end at the flag."""
        there = (post.place >= GOAL) & (post.speed >= 0.0)
        return post, 100.0 * there, there
