"""A stirred tank with an exothermic first-order reaction, held at an operating point that is unstable by itself.

    dC/dt = (q/V)(C_f - C) - k C
    dT/dt = (q/V)(T_f - T) + (-dH) k C / (rho c_p) + UA (T_c - T) / (rho c_p V),   k = k0 exp(-8750 / T)

q = 100 L/min, V = 100 L, C_f = 1 mol/L, T_f = 350 K, rho = 1000 g/L, c_p = 0.239 J/(g K), dH = -5e4 J/mol,
k0 = 7.2e10 / min, UA = 5e4 J/(min K); operating point C = 0.5 mol/L, T = 350 K, coolant T_c = 300 K. The input is the
coolant's deviation, |T_c - 300| <= 20 K, held for 0.05 min (ten Runge-Kutta steps). Above 365 K the reactor is stopped
at a cost of 1,000. The textbook process (Seborg, Edgar, Mellichamp) stands in for the paper's, whose feed is not given.
"""

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.tasks.plants import Plant, PlantState

CONCENTRATION, TEMPERATURE, COOLANT = 0.5, 350.0, 300.0
HOTTEST = 365.0  # K
WIDEST_COOLING = 20.0  # K
START = (0.05, 4.0)
"""Half-widths of the uniform start around the operating point, mol/L and K."""
STEP, PIECES = 0.05, 10  # minutes a decision, Runge-Kutta steps in it
_FLOW, _FEED, _FEED_TEMPERATURE = 1.0, 1.0, 350.0  # q / V, mol/L, K
_RATE, _ACTIVATION = 7.2e10, 8750.0
_HEAT = 5e4 / (1000.0 * 0.239)  # K a mol/L
_EXCHANGE = 5e4 / (1000.0 * 0.239 * 100.0)  # 1 / min


class Reactor(Plant):
    """States and observations are deviations from the operating point: (C - 0.5, T - 350).

    Args:
        dtype: Float type of states.
    """

    horizon = 100
    violation_cost = 1000.0
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-WIDEST_COOLING, WIDEST_COOLING, (1,), np.float32)

    def initial(self, batch: int, generator: torch.Generator) -> PlantState:
        """Uniform within `START`."""
        unit = 2.0 * torch.rand(batch, 2, generator=generator, dtype=torch.float64) - 1.0
        return PlantState((unit * torch.tensor(START, dtype=torch.float64)).to(self.dtype))

    def test_starts(self) -> PlantState:
        """The four corners of the start range, the middles of its sides, and two inner points."""
        shares = torch.tensor(
            [(-1, -1), (-1, 1), (1, -1), (1, 1), (-1, 0), (1, 0), (0, -1), (0, 1), (0.5, 0.5), (-0.5, -0.5)],
            dtype=torch.float64,
        )
        return PlantState((shares * torch.tensor(START, dtype=torch.float64)).to(self.dtype))

    def advance(self, values: Tensor, action: Tensor) -> Tensor:
        """Classical Runge-Kutta with the input held."""
        width = STEP / PIECES
        for _ in range(PIECES):
            first = derivative(values, action)
            second = derivative(values + 0.5 * width * first, action)
            third = derivative(values + 0.5 * width * second, action)
            fourth = derivative(values + width * third, action)
            values = values + width / 6.0 * (first + 2.0 * (second + third) + fourth)
        return values

    def running_cost(self, values: Tensor, action: Tensor) -> Tensor:
        """100 (C - 0.5)^2 + 0.01 (T - 350)^2 + 0.001 u^2."""
        return 100.0 * values[:, 0] ** 2 + 0.01 * values[:, 1] ** 2 + 0.001 * action[:, 0] ** 2

    def violated(self, values: Tensor) -> Tensor:
        """Whether it is hotter than 365 K."""
        return values[:, 1] > HOTTEST - TEMPERATURE


def derivative(state: Tensor, action: Tensor) -> Tensor:
    """d(C - 0.5, T - 350)/dt a minute, `[batch, 2]`, at coolant deviations `[batch, 1]`."""
    concentration, temperature = state[:, 0] + CONCENTRATION, state[:, 1] + TEMPERATURE
    reaction = _RATE * torch.exp(-_ACTIVATION / temperature) * concentration
    cooling = _EXCHANGE * (COOLANT + action[:, 0] - temperature)
    return torch.stack(
        [
            _FLOW * (_FEED - concentration) - reaction,
            _FLOW * (_FEED_TEMPERATURE - temperature) + _HEAT * reaction + cooling,
        ],
        1,
    )
