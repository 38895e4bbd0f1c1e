"""A tiny lot-sizing plant solved exactly: backward induction over all inventories and set-ups."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.lot_sizing import LotSizing, PlantPost, PlantState

MOST_STATES = 200_000


class PlantOptimum(NamedTuple):
    """The optimal decision in every state and period; states in the order of `states`."""

    value: Tensor  # [T + 1, state] float64, least expected cost to come (discounted) with t periods gone
    action: Tensor  # [T, state] int64, index into `actions`
    actions: Tensor  # [action, M]
    states: PlantState


def optimum(simulator: LotSizing, *, discount: float = 1.0, periods: int = 0) -> PlantOptimum:
    """V_t(s) = min over a of [set-up cost + V^x_t(f(s, a))], V^x_t(s^x) = E[lost sales + holding + discount V_{t+1}].

    The demands of items are independent, so the expectation is taken item by item, as products of small matrices.

    Args:
        simulator: The plant; its mask is obeyed.
        discount: Per period.
        periods: Horizon; the plant's own when 0.

    Raises:
        InputError: For a plant with more than 200,000 states.
    """
    plant, periods = simulator.plant, periods or simulator.horizon
    levels = [int(capacity) + 1 for capacity in plant.capacity.tolist()]
    shape = (*levels, *([simulator.choices] * simulator.machines))
    count = int(torch.tensor(shape).prod())
    if count > MOST_STATES:
        raise InputError.of(
            "plant", f"{count:,} states", expected=f"at most {MOST_STATES:,}", cause="too large to solve"
        )
    states = _states(levels, simulator)
    actions = _actions(simulator)
    posts = [simulator.decide(states, action.expand(count, -1)) for action in actions]
    lowest = [int(min(post.inventory[:, i].min() for post, _ in posts)) for i in range(simulator.items)]
    highest = [int(max(post.inventory[:, i].max() for post, _ in posts)) for i in range(simulator.items)]
    moves, costs = zip(
        *(_item_moves(simulator, i, low=lowest[i], high=highest[i]) for i in range(simulator.items)), strict=True
    )
    places = [_post_index(post, lowest, highest, simulator) for post, _ in posts]
    paid = torch.stack([-reward.double() for _, reward in posts])  # [action, state]
    immediate = _added(list(costs))
    value = torch.zeros(periods + 1, count, dtype=torch.float64)
    chosen = torch.zeros(periods, count, dtype=torch.int64)
    for t in range(periods - 1, -1, -1):
        later = discount * value[t + 1].view(*levels, -1)
        for i, move in enumerate(moves):  # contract one item's axis at a time
            later = torch.tensordot(move, later.movedim(i, 0), dims=1).movedim(0, i)
        post_value = (immediate[..., None] + later).flatten()
        totals = paid + torch.stack([post_value[place] for place in places])
        value[t], chosen[t] = totals.min(0)
    return PlantOptimum(value, chosen, actions, states)


def expected_cost(simulator: LotSizing, solved: PlantOptimum) -> float:
    """The least expected cost of an episode from the simulator's own random starts."""
    levels = [int(capacity) + 1 for capacity in simulator.plant.capacity.tolist()]
    inventory = solved.states.inventory
    full = (inventory == simulator.plant.capacity).any(1)
    weight = torch.where(full, 0.0, 1.0 / torch.tensor([level - 1.0 for level in levels]).double().prod())
    for m in range(simulator.machines):
        able = simulator.plant.units[m, 1:] > 0
        chance = torch.cat([torch.zeros(1), able.float() / able.sum()]).double()
        weight = weight * chance[solved.states.setup[:, m]]
    return float((weight * solved.value[0]).sum())


def _states(levels: list[int], simulator: LotSizing) -> PlantState:
    axes = [torch.arange(level) for level in levels] + [torch.arange(simulator.choices)] * simulator.machines
    grid = torch.cartesian_prod(*axes) if len(axes) > 1 else axes[0][:, None]
    return PlantState(grid[:, : simulator.items].float(), grid[:, simulator.items :].contiguous())


def _actions(simulator: LotSizing) -> Tensor:
    """All allowed joint actions, `[action, M]`."""
    start = simulator.today()
    mask = simulator.mask(start)
    allowed = torch.ones(simulator.machines, simulator.choices, dtype=torch.bool)
    if mask is not None:
        allowed = mask[0].view(simulator.machines, simulator.choices)
    rows = [torch.nonzero(row).flatten().tolist() for row in allowed]
    return torch.tensor(list(itertools.product(*rows)))


def _item_moves(simulator: LotSizing, item: int, *, low: int, high: int) -> tuple[Tensor, Tensor]:
    """(P(next level | post level) `[post, level]`, expected lost sales and holding `[post]`) of one item."""
    plant = simulator.plant
    probability, capacity = plant.demand_probability[item], int(plant.capacity[item])
    posts = torch.arange(low, high + 1)[:, None]
    left = posts - torch.arange(len(probability))  # [post, demand]
    after = left.clamp(0, capacity)
    lost = (-left).clamp(min=0).double() * float(plant.lost_sale[item])
    cost = ((lost + after.double() * float(plant.holding[item])) * probability).sum(1)
    move = torch.zeros(len(posts), capacity + 1, dtype=torch.float64)
    return move.scatter_add_(1, after, probability.expand(len(posts), -1).contiguous()), cost


def _added(costs: list[Tensor]) -> Tensor:
    """The sum over items on the grid of their post levels."""
    total = torch.zeros([len(cost) for cost in costs], dtype=torch.float64)
    for i, cost in enumerate(costs):
        total = total + cost.view([-1 if axis == i else 1 for axis in range(len(costs))])
    return total


def _post_index(post: PlantPost, lowest: list[int], highest: list[int], simulator: LotSizing) -> Tensor:
    """Where a post-decision state stands in the flat grid of post levels and set-ups."""
    index = torch.zeros(len(post.setup), dtype=torch.int64)
    for i, (low, high) in enumerate(zip(lowest, highest, strict=True)):
        index = index * (high - low + 1) + (post.inventory[:, i].long() - low)
    for m in range(simulator.machines):
        index = index * simulator.choices + post.setup[:, m]
    return index
