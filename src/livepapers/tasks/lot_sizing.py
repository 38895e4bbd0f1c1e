"""The stochastic discrete lot-sizing plant as a batched simulator.

The order of one period (all tensors batched):
    1. The policy sees inventories (and set-ups, if asked for) before demand.
    2. `decide`: each machine makes one item or stands idle. A machine that changes to an item pays its set-up cost and
       loses units; an idle machine loses its set-up. What is made goes into the inventories: the post-decision state.
    3. `resolve`: demand is taken; what is short is lost at a cost, what is beyond the capacity is thrown away, what is
       left pays holding.
Reward = -(set-up cost) in the first half, -(lost sales + holding) in the second. The horizon truncates.
Source: Felizardo, Fadda, Brandimarte, Del-Moral-Hernandez, Nascimento, arXiv 2504.05150, and the plant it is run on.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import gymnasium
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from livepapers.core.errors import InputError
from livepapers.tasks.inversion import Inversion
from livepapers.tasks.lot_sizing_plant import Demand, Item, LotSizingPlant, Machine, Makes

__all__ = [
    "Demand", "Item", "LotSizing", "LotSizingPlant", "LotSizingRollout", "Machine", "Makes", "PlantPolicy", "PlantPost",
    "PlantState", "Scenario", "described",
]  # fmt: skip


class PlantState(NamedTuple):
    """B plants before the decisions of a period."""

    inventory: Tensor  # [B, N] float32, whole units, 0 to the capacity
    setup: Tensor  # [B, M] int64: item + 1, 0 when set up for nothing


class PlantPost(NamedTuple):
    """The post-decision state: goods are made, demand is yet to come."""

    inventory: Tensor  # [B, N] may be above the capacity, or below 0 where a set-up lost more than was made
    setup: Tensor  # [B, M]


class Scenario(NamedTuple):
    """B start states and their demand paths: what policies are compared on."""

    state: PlantState
    demand: Tensor  # [B, T, N] float32


class LotSizingRollout(NamedTuple):
    """What happened over T periods; costs are in the plant's unit, >= 0."""

    setup_cost: Tensor  # [B, T]
    lost_sales: Tensor  # [B, T] cost of them
    holding: Tensor  # [B, T]
    action: Tensor  # [B, T, M]
    inventory: Tensor  # [B, T, N] at the end of each period
    short: Tensor  # [B, T, N] units of demand not met

    @property
    def cost(self) -> Tensor:
        """Total cost of each path, `[B]` float64."""
        return (self.setup_cost + self.lost_sales + self.holding).double().sum(1)


PlantPolicy: TypeAlias = Callable[[PlantState], Tensor]
"""Actions `[B, M]` int64: item + 1, or 0 for idle."""


class LotSizing:
    """A `Simulator` of one plant.

    Args:
        plant: What is simulated.
        observe_setup: Whether a policy sees the set-ups too, one-hot; the paper's final code shows inventories only,
            from which the cost of a decision cannot be known.
        mask_unproducible: Whether pairs that make nothing (0 units) are masked, as pairs that are not listed always
            are; the paper's agents may choose them, and lose units by it.

    Attributes:
        choices: N + 1, the number of choices of each machine.
    """

    def __init__(self, plant: LotSizingPlant, *, observe_setup: bool = True, mask_unproducible: bool = True) -> None:
        self.plant, self.horizon = plant, plant.horizon
        self.observe_setup, self.mask_unproducible = observe_setup, mask_unproducible
        self.machines, self.items = len(plant.machines), len(plant.items)
        self.choices = self.items + 1
        self._allowed = plant.listed.clone()
        if mask_unproducible:
            self._allowed &= (plant.units > 0) | (torch.arange(self.choices) == 0)
        self._masked = not bool(self._allowed.all())
        self._row = torch.arange(self.machines) * self.choices
        # an unlisted pair is as good as idle: `_becomes` maps a choice to what the machine then is
        self._becomes = torch.where(plant.listed, torch.arange(self.choices), 0).flatten()
        self._units, self._cost = plant.units.flatten(), plant.setup_cost.flatten()
        self._loss = plant.setup_loss.flatten()
        self._demand = Inversion(plant.demand_probability.cumsum(1)[:, :-1].float())
        self._producible = [torch.nonzero(row[1:] > 0).flatten() + 1 for row in plant.units]
        width = self.items + (self.machines * self.choices if observe_setup else 0)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.action_space = gymnasium.spaces.MultiDiscrete([self.choices] * self.machines)

    @property
    def world(self) -> dict[str, Any]:
        """Name and arguments by which `tasks.worlds` makes this world again."""
        shown = {"observe_setup": self.observe_setup, "mask_unproducible": self.mask_unproducible}
        return {"name": "lot-sizing", "arguments": {"plant": self.plant.to_json(), **shown}}

    def initial(self, batch: int, generator: torch.Generator) -> PlantState:
        """Inventories uniform from 0 to just below the capacity, set-ups uniform over what a machine can make."""
        share = torch.rand(batch, self.items, generator=generator)
        inventory = (share * self.plant.capacity).floor()
        columns = [able[torch.randint(len(able), (batch,), generator=generator)] for able in self._producible]
        return PlantState(inventory, torch.stack(columns, 1))

    def today(self, batch: int = 1) -> PlantState:
        """The stock and the set-ups that the plant's description gives, `batch` times."""
        inventory = torch.tensor([float(item.stock) for item in self.plant.items])
        setup = torch.tensor(
            [0 if m.setup is None else self.plant.item_index[m.setup] + 1 for m in self.plant.machines]
        )
        return PlantState(inventory.repeat(batch, 1), setup.repeat(batch, 1))

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - demand has no season
        """Demand of one period, `[B, N]` float32, whole units."""
        uniform = torch.rand(self.items, batch, generator=generator)
        return self._demand(uniform).T

    def observe(self, state: PlantState) -> Tensor:
        """`[B, F]`: inventories as shares of the capacity, then one-hot set-ups machine by machine if asked for."""
        return self._observe(state.inventory, state.setup)

    def observe_post(self, post: PlantPost) -> Tensor:
        """The post-decision state as a critic sees it, `[B, F]`, columns as in `observe`."""
        return self._observe(post.inventory, post.setup)

    def mask(self, state: PlantState) -> Tensor | None:
        """`[B, M * (N + 1)]` bool, machine by machine; None where everything is allowed."""
        return self._allowed.flatten().expand(state.inventory.shape[0], -1) if self._masked else None

    def decide(self, state: PlantState, action: Tensor) -> tuple[PlantPost, Tensor]:
        """Set up and make: (post-decision state, minus the set-up cost `[B]`)."""
        pair = (action + self._row).flatten()

        def of_pair(table: Tensor) -> Tensor:
            return table.index_select(0, pair).view(action.shape)

        setup = of_pair(self._becomes)
        changed = (setup != state.setup) & (setup > 0)
        made = of_pair(self._units) - of_pair(self._loss) * changed
        padded = torch.zeros(len(made), self.choices, dtype=made.dtype)
        made_by_item = padded.scatter_add_(1, setup, made)[:, 1:]
        cost = (of_pair(self._cost) * changed).sum(1)
        return PlantPost(state.inventory + made_by_item, setup), -cost

    def resolve(self, post: PlantPost, noise: Tensor) -> tuple[PlantState, Tensor, Tensor]:
        """Serve demand: (next state, minus lost sales and holding `[B]`, never terminated)."""
        inventory, short = self._serve(post, noise)
        ended = torch.zeros(len(short), dtype=torch.bool)
        cost = short @ self.plant.lost_sale + inventory @ self.plant.holding
        return PlantState(inventory, post.setup), -cost, ended

    def scenarios(self, batch: int, generator: torch.Generator, *, periods: int = 0) -> Scenario:
        """Start states and demand paths for comparisons; `periods` 0 means the horizon."""
        state = self.initial(batch, generator)
        path = [self.draw(batch, t, generator) for t in range(periods or self.horizon)]
        return Scenario(state, torch.stack(path, 1))

    @torch.no_grad()
    def rollout(self, policy: PlantPolicy, scenario: Scenario) -> LotSizingRollout:
        """Run a policy on given starts and demand paths."""
        state, columns = scenario.state, []
        for t in range(scenario.demand.shape[1]):
            action = policy(state)
            if action.shape != (len(state.setup), self.machines):
                expected = [len(state.setup), self.machines]
                raise InputError.of("policy", list(action.shape), expected=f"actions of shape {expected}")
            post, decided = self.decide(state, action)
            inventory, short = self._serve(post, scenario.demand[:, t])
            costs = (-decided, short @ self.plant.lost_sale, inventory @ self.plant.holding)
            columns.append((*costs, action, inventory, short))
            state = PlantState(inventory, post.setup)
        return LotSizingRollout(*(torch.stack(part, 1) for part in zip(*columns, strict=True)))

    def _serve(self, post: PlantPost, demand: Tensor) -> tuple[Tensor, Tensor]:
        """(Inventory afterwards, units of demand not met), each `[B, N]`."""
        level = post.inventory - demand
        inventory = torch.minimum(level.clamp(min=0.0), self.plant.capacity)
        return inventory, (-level).clamp(min=0.0)

    def _observe(self, inventory: Tensor, setup: Tensor) -> Tensor:
        share = inventory / self.plant.capacity
        if not self.observe_setup:
            return share
        return torch.cat([share, functional.one_hot(setup, self.choices).flatten(1).to(share.dtype)], 1)


def described(*, plant: Mapping[str, Any], observe_setup: bool, mask_unproducible: bool) -> LotSizing:
    """The world that `LotSizing.world` describes; raises `InputError` for a plant that cannot be run."""
    made = LotSizingPlant.from_json(dict(plant))
    return LotSizing(made, observe_setup=bool(observe_setup), mask_unproducible=bool(mask_unproducible))
