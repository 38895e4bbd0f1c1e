"""Scenarios of an inventory problem (start states with demand traces), and the choice of weights on a dev set.

Shared by everything that is trained on traces, so that rivals get the same traces, the same dev set and the same rule
for which weights they are judged by.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import InputError
from livepapers.core.learner import State
from livepapers.tasks.inventory import InventoryPolicy, InventorySimulator, InventoryState


class Scenarios(NamedTuple):
    """B problems with what will happen to them."""

    state: InventoryState
    demand: Tensor  # [B, T, S]

    def take(self, rows: Tensor) -> "Scenarios":
        """Some of the problems, `rows` int64."""
        return Scenarios(InventoryState(*(part[rows] for part in self.state)), self.demand[rows])


Source: TypeAlias = Callable[[int, torch.Generator], Scenarios]
"""Training scenarios: (how many, stream) -> scenarios."""


def draw(simulator: InventorySimulator, batch: int, *, periods: int, generator: torch.Generator) -> Scenarios:
    """Fresh scenarios from the simulator's start states and demand process."""
    state = simulator.initial(batch, generator)
    return Scenarios(state, simulator.trace(state, periods, generator))


def fresh(simulator: InventorySimulator, *, periods: int) -> Source:
    """A source of new scenarios at every call."""
    return lambda batch, generator: draw(simulator, batch, periods=periods, generator=generator)


def fixed(scenarios: Scenarios) -> Source:
    """A source of one fixed training set: all of it, or a random subset where fewer are asked for."""
    size = scenarios.demand.shape[0]

    def take(batch: int, generator: torch.Generator) -> Scenarios:
        return scenarios if batch >= size else scenarios.take(torch.randperm(size, generator=generator)[:batch])

    return take


@torch.no_grad()
def mean_cost(
    simulator: InventorySimulator, policy: InventoryPolicy, *, scenarios: Scenarios, ignore: int = 0
) -> float:
    """Average cost a store and period, the first `ignore` periods left out."""
    costs = simulator.rollout(policy, state=scenarios.state, demand=scenarios.demand).costs
    if not 0 <= ignore < costs.shape[1]:
        raise InputError.of("ignore", ignore, expected=f"a number in [0, {costs.shape[1]})", cause="too few periods")
    return costs[:, ignore:].mean().item() / len(simulator.network.stores)


COOLDOWN = 0.3
"""The last share of the updates, over which a decaying learning rate falls to 0."""


def set_rate(optimizer: torch.optim.Optimizer, rate: float, *, step: int, of: int) -> None:
    """The learning rate of update `step` (from 0) of `of`: constant, then a straight line to 0 over the cooldown."""
    left = max(0.0, 1.0 - step / of)
    for group in optimizer.param_groups:
        group["lr"] = rate * min(1.0, left / COOLDOWN)


class DevSelection:
    """Keeps the weights that did best on a dev set, and says when nothing has improved for long.

    Args:
        simulator: Runs the dev set.
        policy: Whose weights are watched.
        dev: The dev scenarios.
        ignore: Periods at the start that do not count.
        every: Updates between checks; the first update and the last are always checked.
        last: The number of the last update.
        patience: Checks without improvement before `exhausted`; 0 means never.
    """

    def __init__(
        self,
        simulator: InventorySimulator,
        policy: nn.Module,
        *,
        dev: Scenarios,
        ignore: int,
        every: int,
        last: int,
        patience: int,
    ) -> None:
        if not 0 <= ignore < dev.demand.shape[1]:
            raise InputError.of("dev_ignore", ignore, expected=f"below the {dev.demand.shape[1]} dev periods")
        self._simulator, self._policy, self._dev = simulator, policy, dev
        self._ignore, self._every, self._last, self._patience = ignore, every, last, patience
        self.cost = self.best_cost = float("inf")
        self.checks = self.idle = 0
        self._best = _copied(policy)

    def after(self, step: int) -> None:
        """Check the weights if it is time; `step` counts updates from 1."""
        if step not in {1, self._last} and step % self._every:
            return
        self.cost = mean_cost(self._simulator, self._policy, scenarios=self._dev, ignore=self._ignore)
        self.checks, self.idle = self.checks + 1, self.idle + 1
        if self.cost < self.best_cost:
            self.best_cost, self.idle, self._best = self.cost, 0, _copied(self._policy)

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return 0 < self._patience <= self.idle

    @property
    def periods(self) -> int:
        """Dev periods simulated so far, over all problems."""
        return self.checks * self._dev.demand.shape[0] * self._dev.demand.shape[1]

    def restore_best(self) -> None:
        """Give the policy its best weights."""
        self._policy.load_state_dict(self._best)

    def state_dict(self) -> dict[str, Any]:
        """Best weights and counters."""
        counters = {"cost": self.cost, "best_cost": self.best_cost, "checks": self.checks, "idle": self.idle}
        return {"best": dict(self._best), **counters}

    def check(self, state: State) -> None:
        """Raise `CorruptFileError` if `state` does not fit."""
        require_keys(state, self.state_dict(), what="dev selection")
        require_keys(state["best"], self._best, what="best weights")

    def load_state_dict(self, state: State) -> None:
        """The inverse of `state_dict`; check first."""
        self._best = {name: value.clone() for name, value in state["best"].items()}
        self.cost, self.best_cost = float(state["cost"]), float(state["best_cost"])
        self.checks, self.idle = int(state["checks"]), int(state["idle"])


def _copied(policy: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in policy.state_dict().items()}
