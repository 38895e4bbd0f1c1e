"""Swimmer-Omni: Gymnasium's swimmer (v5 model) that may end anywhere; nothing pays for going there, energy costs.

Three links in a viscous fluid, two motors, a control step of 0.04 s (frame skip 4), 250 steps. A step pays
1 - mean(a^2) / 2, from 0.5 to 1. Observations are the eight values of Swimmer-v5 (three angles, their rates, the
velocity) and the place of the first link over 1.5. Batched over lanes by `mujoco.rollout` on one thread.
"""

import importlib
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.tasks.descriptors import Descriptor

HALF_WIDTH = 1.5
"""Of the box of final places, m: random gaits reach about as far in an episode."""
FRAME_SKIP, COORDINATES = 4, 5
START = 0.1  # half-width of the uniform start of each coordinate and rate, as in Swimmer-v5


class SwimmerState(NamedTuple):
    """B swimmers; also the post-decision state, because nothing random follows."""

    values: Tensor  # [B, 10] float64: x, y, three angles, then their rates


class SwimmerOmni:
    """A `Simulator` of the swimmer.

    Args:
        horizon: Steps an episode.

    Raises:
        MissingExtraError: `mujoco` is not installed.
    """

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (10,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    descriptor = Descriptor(("x", "y"), (-HALF_WIDTH,) * 2, (HALF_WIDTH,) * 2, columns=(8, 9), unit=HALF_WIDTH)

    def __init__(self, horizon: int = 250) -> None:
        if not isinstance(horizon, int) or horizon < 1:
            raise InputError.of("horizon", horizon, expected="a whole number >= 1")
        try:
            mujoco: Any = importlib.import_module("mujoco")  # its names are made when it is loaded
            from mujoco import rollout
        except ImportError:
            raise MissingExtraError("mujoco", "mujoco") from None
        self.horizon = horizon
        body = Path(str(gymnasium.__file__)).parent / "envs" / "mujoco" / "assets" / "swimmer.xml"
        self._model = mujoco.MjModel.from_xml_path(str(body))
        self._data = mujoco.MjData(self._model)
        self._engine: Any = rollout.Rollout(nthread=0)

    def initial(self, batch: int, generator: torch.Generator) -> SwimmerState:
        """Stretched along x at the origin, with uniform noise everywhere."""
        drawn = torch.rand(batch, 2 * COORDINATES, generator=generator, dtype=torch.float64)
        return SwimmerState(START * (2.0 * drawn - 1.0))

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is random
        """`[B, 0]`: nothing."""
        return torch.empty(batch, 0)

    def observe(self, state: SwimmerState) -> Tensor:
        """`[B, 10]` float32: angles, rates of x, y and the angles; the place over 1.5."""
        return torch.cat([state.values[:, 2:], state.values[:, :2] / HALF_WIDTH], 1).float()

    def mask(self, state: SwimmerState) -> None:  # noqa: ARG002
        """None: every torque is allowed."""
        return

    def decide(self, state: SwimmerState, action: Tensor) -> tuple[SwimmerState, Tensor]:
        """Both motors by `[B, 2]`, clipped to +-1, for one control step."""
        lanes, torque = len(action), action.double().clamp(-1.0, 1.0)
        full = np.zeros((lanes, 1 + 2 * COORDINATES))  # MuJoCo's: the time, then coordinates and rates
        full[:, 1:] = state.values.numpy()
        control = torque[:, None].expand(lanes, FRAME_SKIP, 2).numpy()
        after = np.empty((lanes, FRAME_SKIP, 1 + 2 * COORDINATES))
        # each lane starts without a memory of the solver, so that a step is a function of state and action alone
        self._engine.rollout(
            [self._model] * lanes, [self._data], full, np.ascontiguousarray(control), skip_checks=True,
            nstep=FRAME_SKIP, state=after,
        )  # fmt: skip
        return SwimmerState(torch.from_numpy(after[:, -1, 1:].copy())), (1.0 - 0.5 * torque.square().mean(1)).float()

    def resolve(self, post: SwimmerState, noise: Tensor) -> tuple[SwimmerState, Tensor, Tensor]:  # noqa: ARG002
        """Nothing happens: no episode ends before the horizon."""
        count = len(post.values)
        return post, torch.zeros(count), torch.zeros(count, dtype=torch.bool)
