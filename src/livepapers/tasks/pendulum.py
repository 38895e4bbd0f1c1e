"""The pendulum of Gymnasium's Pendulum-v1, started near upright, with its two state variables observed.

theta is measured from upright; thetadd = (3 g / 2 l) sin theta + (3 / m l^2) u, g = 10, l = m = 1, semi-implicit Euler
with 0.05 s, |u| <= 2, |thetad| <= 8. The motor can hold |theta| up to arcsin(0.4) = 0.41 rad. Cost of a step:
theta^2 + 0.1 thetad^2 + 0.001 u^2 with theta wrapped to [-pi, pi).
"""

import math

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.tasks.plants import Plant, PlantState

GRAVITY, STEP = 10.0, 0.05
HIGHEST_SPEED, HIGHEST_TORQUE = 8.0, 2.0
START = (0.5, 1.0)
"""Half-widths of the uniform start, rad and rad/s; the paper says only "constrained initial position"."""


class ClippedPendulum(Plant):
    """Swinging up is not asked for: staying up is. Observations are (wrapped theta, thetad).

    Args:
        dtype: Float type of states.
        rate_weight: Weight of thetad^2 in the cost: 0.1 as in Gymnasium, or 1.
    """

    horizon = 200
    observation_space = gymnasium.spaces.Box(
        np.array([-3.1415930, -HIGHEST_SPEED], np.float32), np.array([3.1415930, HIGHEST_SPEED], np.float32)
    )
    action_space = gymnasium.spaces.Box(-HIGHEST_TORQUE, HIGHEST_TORQUE, (1,), np.float32)

    def __init__(self, dtype: torch.dtype = torch.float32, *, rate_weight: float = 0.1) -> None:
        super().__init__(dtype)
        self.rate_weight = rate_weight

    def initial(self, batch: int, generator: torch.Generator) -> PlantState:
        """Uniform within `START`."""
        unit = 2.0 * torch.rand(batch, 2, generator=generator, dtype=torch.float64) - 1.0
        return PlantState((unit * torch.tensor(START, dtype=torch.float64)).to(self.dtype))

    def test_starts(self) -> PlantState:
        """Eight starts from which the motor can hold the pendulum at once, and two from which it cannot."""
        angles = (-0.28, -0.20, -0.12, -0.04, 0.04, 0.12, 0.20, 0.28, -0.45, 0.45)
        rates = (0.20, -0.30, 0.40, -0.10, 0.10, -0.40, 0.30, -0.20, 0.00, 0.00)
        return PlantState(torch.tensor([angles, rates], dtype=self.dtype).T)

    def observe(self, state: PlantState) -> Tensor:
        """(theta wrapped to [-pi, pi), thetad)."""
        return torch.stack([_wrapped(state.values[:, 0]), state.values[:, 1]], 1)

    def advance(self, values: Tensor, action: Tensor) -> Tensor:
        """The rate first, clipped, then the angle."""
        angle, rate = values.unbind(1)
        rate = rate + (1.5 * GRAVITY * torch.sin(angle) + 3.0 * action[:, 0]) * STEP
        rate = torch.clamp(rate, -HIGHEST_SPEED, HIGHEST_SPEED)
        return torch.stack([angle + rate * STEP, rate], 1)

    def running_cost(self, values: Tensor, action: Tensor) -> Tensor:
        """Angle, rate and torque, squared and weighted."""
        angle, rate = values.unbind(1)
        return _wrapped(angle) ** 2 + self.rate_weight * rate**2 + 0.001 * action[:, 0] ** 2


def derivative(state: Tensor, action: Tensor) -> Tensor:
    """d(theta, thetad)/dt, `[batch, 2]`: what the linear model is made of."""
    return torch.stack([state[:, 1], 1.5 * GRAVITY * torch.sin(state[:, 0]) + 3.0 * action[:, 0]], 1)


def _wrapped(angle: Tensor) -> Tensor:
    return torch.remainder(angle + math.pi, 2.0 * math.pi) - math.pi
