"""A stirred tank with an exothermic first-order reaction, held at an operating point that is unstable by itself.

    dC/dt = (q/V)(C_f - C) - k C
    dT/dt = (q/V)(T_f - T) + (-dH) k C / (rho c_p) + UA (T_c - T) / (rho c_p V),   k = k0 exp(-8750 / T)

q = 100 L/min, V = 100 L, C_f = 1 mol/L, T_f = 350 K, rho = 1000 g/L, c_p = 0.239 J/(g K), dH = -5e4 J/mol,
k0 = 7.2e10 / min, UA = 5e4 J/(min K); operating point C = 0.5 mol/L, T = 350 K, coolant T_c = 300 K. The input is the
coolant's deviation, |T_c - 300| <= 20 K, held for 0.05 min (ten Runge-Kutta steps). Above 365 K the reactor is stopped
at a cost of 1,000. The textbook process (Seborg, Edgar, Mellichamp) stands in for the paper's, whose feed is not given.
"""

from collections.abc import Callable
from typing import Any

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
_POINT = np.array([CONCENTRATION, TEMPERATURE])


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
        """Classical Runge-Kutta with the input held; in NumPy and float64, ten times faster for a single plant."""
        width = STEP / PIECES
        concentration, temperature = values.detach().double().numpy().T + _POINT[:, None]
        coolant = COOLANT + action[:, 0].detach().double().numpy()
        for _ in range(PIECES):
            c1, t1 = _slopes(concentration, temperature, coolant, np.exp)
            c2, t2 = _slopes(concentration + width / 2 * c1, temperature + width / 2 * t1, coolant, np.exp)
            c3, t3 = _slopes(concentration + width / 2 * c2, temperature + width / 2 * t2, coolant, np.exp)
            c4, t4 = _slopes(concentration + width * c3, temperature + width * t3, coolant, np.exp)
            concentration = concentration + width / 6 * (c1 + 2 * (c2 + c3) + c4)
            temperature = temperature + width / 6 * (t1 + 2 * (t2 + t3) + t4)
        moved = np.stack([concentration - CONCENTRATION, temperature - TEMPERATURE], 1)
        return torch.from_numpy(moved).to(self.dtype)

    def running_cost(self, values: Tensor, action: Tensor) -> Tensor:
        """100 (C - 0.5)^2 + 0.01 (T - 350)^2 + 0.001 u^2."""
        return 100.0 * values[:, 0] ** 2 + 0.01 * values[:, 1] ** 2 + 0.001 * action[:, 0] ** 2

    def violated(self, values: Tensor) -> Tensor:
        """Whether it is hotter than 365 K."""
        return values[:, 1] > HOTTEST - TEMPERATURE


def derivative(state: Tensor, action: Tensor) -> Tensor:
    """d(C - 0.5, T - 350)/dt a minute, `[batch, 2]`, at coolant deviations `[batch, 1]`; differentiable."""
    concentration, temperature = state[:, 0] + CONCENTRATION, state[:, 1] + TEMPERATURE
    return torch.stack(_slopes(concentration, temperature, COOLANT + action[:, 0], torch.exp), 1)


def _slopes(concentration: Any, temperature: Any, coolant: Any, exp: Callable[[Any], Any]) -> tuple[Any, Any]:
    """(dC/dt, dT/dt) of tensors or arrays."""
    reaction = _RATE * exp(-_ACTIVATION / temperature) * concentration
    heating = _FLOW * (_FEED_TEMPERATURE - temperature) + _HEAT * reaction + _EXCHANGE * (coolant - temperature)
    return _FLOW * (_FEED - concentration) - reaction, heating
