"""Pendulum-v1 of Gymnasium as a batched simulator: a pendulum that hangs anywhere is to be swung up and held.

thetadd = 15 sin theta + 3 u, semi-implicit Euler with 0.05 s, |u| <= 2, |thetad| <= 8; reward of a step: minus
(theta^2 + 0.1 thetad^2 + 0.001 u^2) of the state acted in, theta wrapped to [-pi, pi). All of a step is deterministic;
only the start is random. `tasks.pendulum` is the same process, started upright and observed by its angle.
"""

import math
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

NAMES = ("cos", "sin", "dtheta")
CIRCLES = ((0, 1),)
"""Columns of the observation that are a cosine and its sine."""
STEP, FASTEST, STRONGEST = 0.05, 8.0, 2.0  # s, rad/s, N m


class PendulumState(NamedTuple):
    """B pendulums; also the post-decision state, because nothing random follows."""

    angle: Tensor  # [B] rad from upright
    rate: Tensor  # [B] rad/s


class PendulumSwingUp:
    """A `Simulator` equal to Gymnasium's Pendulum-v1, step for step, in float32."""

    horizon = 200
    observation_space = gymnasium.spaces.Box(
        np.array([-1.0, -1.0, -FASTEST], np.float32), np.array([1.0, 1.0, FASTEST], np.float32)
    )
    action_space = gymnasium.spaces.Box(-STRONGEST, STRONGEST, (1,), np.float32)

    def initial(self, batch: int, generator: torch.Generator) -> PendulumState:
        """Any angle, rates in +-1."""
        unit = 2.0 * torch.rand(2, batch, generator=generator) - 1.0
        return PendulumState(math.pi * unit[0], unit[1])

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is random
        """`[B, 0]`: nothing."""
        return torch.empty(batch, 0)

    def observe(self, state: PendulumState) -> Tensor:
        """`[B, 3]`: cos theta, sin theta, thetad."""
        return torch.stack([state.angle.cos(), state.angle.sin(), state.rate], 1)

    def mask(self, state: PendulumState) -> None:  # noqa: ARG002
        """None: every torque is allowed."""
        return

    def decide(self, state: PendulumState, action: Tensor) -> tuple[PendulumState, Tensor]:
        """One step under torques `[B, 1]`, clipped."""
        torque = action[:, 0].clamp(-STRONGEST, STRONGEST)
        rate = state.rate + (15.0 * torch.sin(state.angle) + 3.0 * torque) * STEP
        rate = rate.clamp(-FASTEST, FASTEST)
        reached = PendulumState(state.angle + rate * STEP, rate)
        return reached, reward(self.observe(state), action, self.observe(reached))

    def resolve(self, post: PendulumState, noise: Tensor) -> tuple[PendulumState, Tensor, Tensor]:  # noqa: ARG002
        """Nothing happens: no episode ends before the horizon."""
        return post, torch.zeros_like(post.angle), torch.zeros_like(post.angle, dtype=torch.bool)


def reward(before: Tensor, action: Tensor, after: Tensor) -> Tensor:  # noqa: ARG001 - the form rewards have
    """The reward `[B]` of a step from the observation `before` `[B, 3]` by `action` `[B, 1]`."""
    cosine, sine, rate = before.unbind(1)
    torque = action[:, 0].clamp(-STRONGEST, STRONGEST)
    return -(torch.atan2(sine, cosine).square() + 0.1 * rate.square() + 0.001 * torque.square())
