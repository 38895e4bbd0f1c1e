from typing import Any

import pytest
import torch
from scipy import integrate, optimize, stats

from livepapers import samples
from livepapers.baselines import base_stock
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.demand import ClippedNormal
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventorySimulator, Node


@pytest.mark.parametrize(("lead_time", "shortage"), [(1, 4.0), (4, 9.0), (20, 39.0)])
def test_the_closed_form_is_the_minimum_of_the_integral(lead_time: int, shortage: float) -> None:
    mean, std = 5.0 * (lead_time + 1), 1.6 * (lead_time + 1) ** 0.5

    def cost(level: float) -> float:
        left = integrate.quad(lambda d: (level - d) * stats.norm.pdf(d, mean, std), mean - 9 * std, level)[0]
        short = integrate.quad(lambda d: (d - level) * stats.norm.pdf(d, mean, std), level, mean + 9 * std)[0]
        return left + shortage * short

    found: Any = optimize.minimize_scalar(cost, bounds=(mean - 3 * std, mean + 5 * std), method="bounded")
    best = base_stock.optimal(5.0, 1.6, lead_time=lead_time, holding=1.0, shortage=shortage)
    assert best.level == pytest.approx(found.x, abs=1e-3)
    assert best.cost == pytest.approx(found.fun, abs=1e-6)


def test_the_simulator_charges_what_the_closed_form_says() -> None:
    network = InventoryNetwork((Node("shop", "store", 1.0, 9.0),), (Edge("supplier", "shop", 4),), "backlog")
    simulator = InventorySimulator(network, ClippedNormal(5.0, 1.6), horizon=200)
    best = base_stock.optimal(5.0, 1.6, lead_time=4, holding=1.0, shortage=9.0)
    source = generator(0, "base stock")
    state = simulator.initial(4096, source)
    trace = simulator.trace(state, 220, source)
    costs = simulator.rollout(base_stock.policy(network, torch.tensor([best.level])), state=state, demand=trace).costs
    means = costs[:, 20:].mean(1)
    assert abs(float(means.mean()) - best.cost) < 4 * float(means.std()) / 4096**0.5 + 0.002  # clipping: under 0.002


def test_levels_for_a_network_reduce_to_the_optimum_for_one_store() -> None:
    network = InventoryNetwork((Node("shop", "store", 1.0, 9.0),), (Edge("supplier", "shop", 4),), "backlog")
    levels = base_stock.newsvendor_levels(network, torch.tensor([5.0]), torch.tensor([1.6]))
    best = base_stock.optimal(5.0, 1.6, lead_time=4, holding=1.0, shortage=9.0)
    assert float(levels[0]) == pytest.approx(best.level)


def test_levels_for_a_network_run_it_without_shipping_what_is_not_there() -> None:
    network = InventoryNetwork.from_file(samples.path("warehouse_three_stores.yml"))
    simulator = InventorySimulator(network, ClippedNormal(20.0, 4.0, stores=3), horizon=60)
    levels = base_stock.newsvendor_levels(network, simulator.demand.mean[0], simulator.demand.std[0])
    source = generator(0, "network")
    state = simulator.initial(64, source)
    done = simulator.rollout(
        base_stock.policy(network, levels), state=state, demand=simulator.trace(state, 60, source), detail=True
    )
    assert done.unmet is not None
    assert float(done.unmet[:, 20:].mean()) < 2.0


@pytest.mark.parametrize("change", [{"lead_time": 0}, {"holding": 0.0}, {"shortage": -1.0}])
def test_values_out_of_range_are_refused(change: dict[str, float]) -> None:
    arguments = {"lead_time": 4, "holding": 1.0, "shortage": 9.0} | change
    with pytest.raises(InputError, match="positive costs"):
        base_stock.optimal(5.0, 1.6, **arguments)  # type: ignore[arg-type]
