"""Newsvendor levels from the latest demand: what they know, what they follow, and how they are tuned."""

import pytest
import torch

from livepapers.baselines import base_stock, tuned_newsvendor
from livepapers.core.rng import generator
from livepapers.tasks.demand import Panel
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventorySimulator, Node

NETWORK = InventoryNetwork((Node("shop", "store", 1.0, 9.0),), (Edge("supplier", "shop", 2),), "lost")


def record(periods: int = 120, *, step_at: int | None = None) -> torch.Tensor:
    demand = 20.0 + 3.0 * torch.randn(periods, 1, generator=generator(0, "record"))
    if step_at is not None:
        demand[step_at:] += 30.0
    return demand


def simulator(demand: torch.Tensor) -> InventorySimulator:
    return InventorySimulator(NETWORK, Panel(demand.T[None], known=60), horizon=10, history=4)


def test_levels_of_a_period_come_from_the_window_before_it():
    demand = record()
    table = tuned_newsvendor.level_table(NETWORK, demand, window=8, safety=1.5)
    assert table.shape == (121, 1)
    past = demand[32:40].double()
    expected = base_stock.newsvendor_levels(NETWORK, past.mean(0), past.std(0), safety=1.5)
    torch.testing.assert_close(table[40], expected)
    changed = demand.clone()
    changed[40:] = 999.0
    torch.testing.assert_close(tuned_newsvendor.level_table(NETWORK, changed, window=8, safety=1.5)[:41], table[:41])


@pytest.mark.parametrize("rolling", [False, True])
def test_tuning_knows_nothing_of_what_comes_after(rolling: bool):
    demand = record()
    changed = demand.clone()
    changed[90:] = 999.0
    first, second = (
        tuned_newsvendor.tune(simulator(each), each, first=60, last=90, ignore=2, rolling=rolling)
        for each in (demand, changed)
    )
    assert first[:2] == second[:2]


def test_the_tuned_cost_is_the_simulated_cost_of_that_pair():
    demand = record()
    best = tuned_newsvendor.tune(simulator(demand), demand, first=60, last=90, ignore=2, rolling=True)
    table = tuned_newsvendor.level_table(NETWORK, demand, window=best.window, safety=best.safety)
    world = simulator(demand)
    state, trace = world.each_instance(60), demand[None, 60:90]
    costs = world.rollout(tuned_newsvendor.policy(NETWORK, table), state=state, demand=trace).costs
    assert float(costs[0, 2:].mean()) == pytest.approx(best.cost, rel=1e-5)


def test_rolling_levels_follow_a_jump_that_fixed_ones_miss():
    demand = record(step_at=70)
    rolling, fixed = (
        tuned_newsvendor.tune(simulator(demand), demand, first=60, last=110, ignore=2, rolling=rolling).cost
        for rolling in (True, False)
    )
    assert rolling < 0.8 * fixed
