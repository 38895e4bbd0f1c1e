import numpy as np
import pytest
import torch

from livepapers.baselines import base_stock, clark_scarf
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.demand import ClippedNormal
from livepapers.tasks.inventory import InventorySimulator

HOLDING, LEADS = (0.1, 0.2, 0.5, 1.0), (2, 4, 3)


def test_one_stage_is_the_base_stock_optimum() -> None:
    found = clark_scarf.optimal([1.0], [4], shortage=9.0, mean=5.0, std=1.6)
    best = base_stock.optimal(5.0, 1.6, lead_time=4, holding=1.0, shortage=9.0)
    assert found.levels[0] == pytest.approx(best.level, abs=0.05)
    assert found.cost == pytest.approx(best.cost, rel=1e-3)


@pytest.mark.parametrize(("lead_time", "shortage"), [(1, 4.0), (3, 9.0), (4, 39.0)])
def test_the_exact_cost_is_what_the_simulator_charges(lead_time: int, shortage: float) -> None:
    best = clark_scarf.optimal(HOLDING, [*LEADS, lead_time], shortage=shortage, mean=5.0, std=2.0)
    network = clark_scarf.serial_network(HOLDING, [*LEADS, lead_time], shortage=shortage)
    simulator = InventorySimulator(network, ClippedNormal(5.0, 2.0), horizon=600)
    cost, error = clark_scarf.simulated_cost(
        simulator, best.levels, batch=4096, periods=600, warm_up=100, generator=generator(0, "serial", lead_time)
    )
    assert abs(cost - best.cost) < 4 * error
    assert cost == pytest.approx(best.cost, rel=0.005)


def test_no_neighbouring_levels_cost_less_on_the_same_demand() -> None:
    best = clark_scarf.optimal([0.3, 1.0], [2, 2], shortage=9.0, mean=5.0, std=2.0)
    network = clark_scarf.serial_network([0.3, 1.0], [2, 2], shortage=9.0)
    simulator = InventorySimulator(network, ClippedNormal(5.0, 2.0), horizon=600)

    def cost(levels: list[float]) -> float:
        source = generator(1, "neighbours")
        return clark_scarf.simulated_cost(simulator, levels, batch=2048, periods=300, warm_up=60, generator=source)[0]

    at_best = cost(list(best.levels))
    for stage in (0, 1):
        for step in (-1.5, 1.5):
            assert cost([level + step * (k == stage) for k, level in enumerate(best.levels)]) > at_best


def test_two_stages_agree_with_the_recursion_in_plain_sums() -> None:
    step, mean, std = 0.25, 5.0, 2.0
    grid = np.arange(-60, 80, step)
    draws = np.maximum(np.random.default_rng(0).normal(mean, std, (4000, 5)), 0)
    below = np.array(
        [(0.7 * (y - draws[:, :3].sum(1)) + 10.0 * np.maximum(draws[:, :3].sum(1) - y, 0)).mean() for y in grid]
    )
    level = grid[below.argmin()]
    upstream = []
    for y in np.arange(15, 45, step):
        after = y - draws[:, 3:].sum(1)
        upstream.append((0.3 * after + np.interp(np.minimum(after, level), grid, below)).mean())
    found = clark_scarf.optimal([0.3, 1.0], [2, 2], shortage=9.0, mean=mean, std=std)
    assert found.levels[1] == pytest.approx(level, abs=0.5)
    assert found.levels[0] == pytest.approx(np.arange(15, 45, step)[int(np.argmin(upstream))], abs=0.75)
    assert found.cost == pytest.approx(min(upstream) - mean * (0.3 + 0.3 * 2), rel=0.03)


def test_a_finer_grid_changes_nothing_that_matters() -> None:
    coarse, fine = (
        clark_scarf.optimal(HOLDING, [*LEADS, 2], shortage=9.0, mean=5.0, std=2.0, step=step) for step in (0.05, 0.01)
    )
    assert coarse.cost == pytest.approx(fine.cost, rel=5e-4)
    assert coarse.levels == pytest.approx(fine.levels, abs=0.1)


def test_orders_stop_at_what_the_predecessor_has() -> None:
    network = clark_scarf.serial_network([0.3, 1.0], [2, 2], shortage=9.0)
    simulator = InventorySimulator(network, ClippedNormal(5.0, 2.0), horizon=5)
    state = simulator.start(torch.tensor([[[3.0, 0.0], [1.0, 2.0]]]))
    assert clark_scarf.policy(network, [30.0, 20.0])(state)[0].tolist() == pytest.approx([24.0, 3.0])
    assert clark_scarf.policy(network, [30.0, 5.0])(state)[0].tolist() == pytest.approx([24.0, 2.0])


@pytest.mark.parametrize(
    ("holding", "leads", "shortage"), [([1.0, 0.5], [1, 1], 9.0), ([0.5, 1.0], [1], 9.0), ([0.5, 1.0], [0, 1], 9.0),
                                       ([0.5, 1.0], [1, 1], 0.0), ([], [], 9.0)],
)  # fmt: skip
def test_systems_the_recursion_does_not_cover_are_refused(
    holding: list[float], leads: list[int], shortage: float
) -> None:
    with pytest.raises(InputError):
        clark_scarf.optimal(holding, leads, shortage=shortage, mean=5.0, std=2.0)
