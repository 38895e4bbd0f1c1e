"""Rules of thumb for a lot-sizing plant: greedy in machine order, looking one period or several ahead."""

from collections.abc import Sequence

import torch
from torch import Tensor

from livepapers.tasks.lot_sizing import LotSizing, LotSizingRollout, PlantPolicy, PlantState, Scenario

LOOK_AHEADS = (1, 2, 3, 4, 6, 8, 12, 16, 24)


class GreedyRule:
    """Each machine in turn makes what saves most, expected lost sales less set-up and holding; idle if nothing does.

    The saving of machine m and item i over a look-ahead of H periods: with x = stock plus what machines before m were
    given, L_H(x) = E[(D_1 + ... + D_H - x)+] the units lost, and q = H units[m, i] - loss if it changes (at most what
    is missing to max(1, H / 4) capacities: a stock is filled more than once while H periods pass),
        kappa_i (L_H(x) - L_H(x + q)) - cost[m, i] if it changes - holding_i H / 2 (q - (L_H(x) - L_H(x + q))).
    H = 1 is the myopic rule. Machines take what they can; pairs that make nothing are never chosen.

    Args:
        simulator: The plant.
        look_ahead: H, periods.
    """

    def __init__(self, simulator: LotSizing, look_ahead: int = 1) -> None:
        plant = simulator.plant
        self.simulator, self.look_ahead = simulator, look_ahead
        self._loss = expected_shortage(plant.demand_probability, look_ahead).float()  # [N, X]
        self._largest = self._loss.shape[1] - 1
        self._able = plant.units[:, 1:] > 0

    def __call__(self, state: PlantState) -> Tensor:
        """Actions `[B, M]`."""
        plant, periods = self.simulator.plant, self.look_ahead
        stock, actions = state.inventory.clone(), []
        rows = torch.arange(len(stock))
        for machine in range(self.simulator.machines):
            same = state.setup[:, machine, None] == torch.arange(1, self.simulator.choices)  # [B, N]
            lost = torch.where(same, 0.0, plant.setup_loss[machine, 1:])
            # what does not fit is thrown away after demand: counting it would make full items look worth making
            room = (plant.capacity * max(1.0, periods / 4.0) - stock).clamp(min=0.0)
            made = torch.minimum(periods * plant.units[machine, 1:] - lost, room)
            saved = self._units_lost(stock) - self._units_lost(stock + made)
            value = plant.lost_sale * saved - torch.where(same, 0.0, plant.setup_cost[machine, 1:])
            value = value - plant.holding * (periods / 2.0) * (made - saved)
            value = torch.where(self._able[machine] & (made > 0), value, -torch.inf)
            best, item = value.max(1)
            chosen = best > 0
            stock[rows, item] += torch.where(chosen, made[rows, item], 0.0)
            actions.append(torch.where(chosen, item + 1, 0))
        return torch.stack(actions, 1)

    def _units_lost(self, stock: Tensor) -> Tensor:
        """L_H at whole units of stock, `[B, N]`; below 0 every missing unit is lost too, beyond the table none."""
        index = stock.round().clamp(0, self._largest).long()
        return self._loss.gather(1, index.T).T + (-stock).clamp(min=0.0)


def idle(state: PlantState) -> Tensor:
    """The floor: no machine ever runs."""
    return torch.zeros_like(state.setup)


def uniform(simulator: LotSizing, generator: torch.Generator) -> PlantPolicy:
    """Any allowed choice of each machine, all equally likely."""

    def policy(state: PlantState) -> Tensor:
        batch = len(state.setup)
        allowed = simulator.mask(state)
        shape = (batch, simulator.machines, simulator.choices)
        weights = torch.ones(shape) if allowed is None else allowed.reshape(shape).float()
        return torch.multinomial(weights.flatten(0, 1), 1, generator=generator).view(batch, -1)

    return policy


def tuned(
    simulator: LotSizing, scenario: Scenario, *, look_aheads: Sequence[int] = LOOK_AHEADS
) -> tuple[GreedyRule, dict[int, float]]:
    """The look-ahead that costs least on given paths, and what each of them costs.

    Args:
        simulator: The plant.
        scenario: Paths to choose on; others than those it is judged by later.
        look_aheads: Candidates, periods.
    """
    costs = {}
    for periods in look_aheads:
        rollout: LotSizingRollout = simulator.rollout(GreedyRule(simulator, periods), scenario)
        costs[periods] = float(rollout.cost.mean())
    return GreedyRule(simulator, min(costs, key=costs.__getitem__)), costs


def expected_shortage(probability: Tensor, periods: int) -> Tensor:
    """E[(sum of `periods` demands - x)+] for x = 0, 1, ..., the largest sum; `[N, D] -> [N, X]` float64.

    Args:
        probability: `[N, D + 1]` P(demand of a period = d).
        periods: How many independent demands are summed.
    """
    length = periods * (probability.shape[1] - 1) + 1
    transformed = torch.fft.rfft(probability.double(), n=length) ** periods
    total = torch.fft.irfft(transformed, n=length).clamp(min=0.0)
    beyond = total.flip(1).cumsum(1).flip(1) - total  # P(sum > x)
    return beyond.flip(1).cumsum(1).flip(1)
