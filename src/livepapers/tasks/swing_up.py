"""The cart-pole swing-up of the DeepMind Control Suite, on the bindings of MuJoCo themselves.

A cart of 1 kg on a rail of +-1.8 m is pushed with up to 10 N; a pole of 0.1 kg hangs down and is to stand up in the
middle. Steps of 0.01 s by Runge-Kutta, 1,000 an episode, no end but the horizon. The reward of a step lies in [0, 1]:
a product of being upright, in the middle, slow and gentle. Batched over lanes by `mujoco.rollout` on one thread.
"""

import importlib
import math
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import MissingExtraError

MODEL = """
<mujoco model="cart-pole">
  <option timestep="0.01" integrator="RK4"><flag contact="disable"/></option>
  <worldbody>
    <body name="cart" pos="0 0 1">
      <joint name="slider" type="slide" axis="1 0 0" limited="true" range="-1.8 1.8" solreflimit=".08 1"
             damping="5e-4"/>
      <geom type="box" size="0.2 0.15 0.1" mass="1"/>
      <body name="pole">
        <joint name="hinge" type="hinge" axis="0 1 0" damping="2e-6"/>
        <geom type="capsule" fromto="0 0 0 0 0 1" size="0.045" mass="0.1"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor joint="slider" gear="10" ctrllimited="true" ctrlrange="-1 1"/></actuator>
</mujoco>
"""
NAMES = ("x", "cos", "sin", "dx", "dtheta")
"""Of the observation: m, 1, 1, m/s, rad/s; the angle is measured from upright."""
BOUNDS = ((-5.0, -1.1, -1.1, -10.0, -10.0), (5.0, 1.1, 1.1, 10.0, 10.0))
"""The paper's: a model that leaves them has diverged."""
CIRCLES = ((1, 2),)
"""Columns of the observation that are a cosine and its sine."""
RAIL = 1.8
"""Where the rail ends, m, as in `MODEL`."""
START = 0.01  # standard deviation of each coordinate and velocity at the start


class SwingUpState(NamedTuple):
    """B cart-poles; also the post-decision state, because nothing random follows."""

    values: Tensor  # [B, 4] float64: x, theta, dx, dtheta


class SwingUp:
    """A `Simulator`; equal to `dm_control.suite.load("cartpole", "swingup")`, step for step.

    Raises:
        MissingExtraError: `mujoco` is not installed.
    """

    horizon = 1000
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (5,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self) -> None:
        try:
            mujoco: Any = importlib.import_module("mujoco")  # its names are made when it is loaded
            from mujoco import rollout
        except ImportError:
            raise MissingExtraError("mujoco", "mujoco") from None
        self._model = mujoco.MjModel.from_xml_string(MODEL)
        self._data = mujoco.MjData(self._model)
        self._engine: Any = rollout.Rollout(nthread=0)

    def initial(self, batch: int, generator: torch.Generator) -> SwingUpState:
        """The pole hangs, in the middle of the rail; noise of 0.01 everywhere."""
        values = START * torch.randn(batch, 4, generator=generator, dtype=torch.float64)
        values[:, 1] += math.pi
        return SwingUpState(values)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is random
        """`[B, 0]`: nothing."""
        return torch.empty(batch, 0)

    def observe(self, state: SwingUpState) -> Tensor:
        """`[B, 5]` float32: x, cos theta, sin theta, dx, dtheta."""
        place, angle, speed, turn = state.values.unbind(1)
        return torch.stack([place, angle.cos(), angle.sin(), speed, turn], 1).float()

    def mask(self, state: SwingUpState) -> None:  # noqa: ARG002
        """None: every force is allowed."""
        return

    def decide(self, state: SwingUpState, action: Tensor) -> tuple[SwingUpState, Tensor]:
        """Push with 10 N times the action `[B, 1]`, clipped to +-1, for one step."""
        lanes = len(action)
        full = np.zeros((lanes, 5))  # MuJoCo's: the time, then coordinates and velocities
        full[:, 1:] = state.values.numpy()
        control, after = action.double().clamp(-1.0, 1.0).numpy()[:, None], np.empty((lanes, 1, 5))
        # each lane starts without a memory of the solver, so that a step is a function of state and action alone
        self._engine.rollout(
            [self._model] * lanes, [self._data], full, control, skip_checks=True, nstep=1, state=after
        )  # fmt: skip
        reached = SwingUpState(torch.from_numpy(after[:, 0, 1:].copy()))
        return reached, reward(self.observe(state), action, self.observe(reached))

    def resolve(self, post: SwingUpState, noise: Tensor) -> tuple[SwingUpState, Tensor, Tensor]:  # noqa: ARG002
        """Nothing happens: no episode ends before the horizon."""
        count = len(post.values)
        return post, torch.zeros(count), torch.zeros(count, dtype=torch.bool)


def reward(before: Tensor, action: Tensor, after: Tensor) -> Tensor:  # noqa: ARG001 - the form rewards have
    """The reward `[B]` of a step by `action` `[B, 1]` that led to the observation `after` `[B, 5]`."""
    place, cosine, _, _, turn = after.unbind(1)
    upright = (cosine + 1.0) / 2.0
    centred = (1.0 + _near_zero(place, 2.0)) / 2.0
    slow = (1.0 + _near_zero(turn, 5.0)) / 2.0
    gentle = (4.0 + (1.0 - action[:, 0].float().clamp(-1.0, 1.0).square()).clamp(min=0.0)) / 5.0
    return upright * centred * slow * gentle


def _near_zero(value: Tensor, margin: float) -> Tensor:
    """A bell that is 1 at 0 and 0.1 at the margin."""
    return torch.exp(math.log(0.1) * (value / margin).square())
