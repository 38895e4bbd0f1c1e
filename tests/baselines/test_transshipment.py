from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from livepapers.baselines import base_stock, transshipment
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.demand import MultivariateNormal
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventorySimulator, Node


def network(stores: int, lead_time: int, *, shortage: float = 9.0) -> InventoryNetwork:
    nodes = (Node("w", "warehouse", 1.0, None, False), *(Node(f"s{i}", "store", 1.0, shortage) for i in range(stores)))
    edges = (Edge("supplier", "w", 3), *(Edge("w", f"s{i}", lead_time) for i in range(stores)))
    return InventoryNetwork(nodes, edges, "backlog")


def test_the_bound_is_that_of_optimal_allocations_found_numerically() -> None:
    mean, std = np.array([3.0, 6.0]), np.array([1.0, 2.5])
    demand = MultivariateNormal(torch.tensor(mean), torch.tensor(std), correlation=0.5, clip=False)
    bound = transshipment.lower_bound(network(2, 2), demand)
    spread = std * 3**0.5

    def store_cost(y: np.ndarray) -> float:
        z = (y - 3 * mean) / spread
        return float((spread * (z + 10.0 * (stats.norm.pdf(z) - z * stats.norm.sf(z)))).sum())

    points, weights = np.polynomial.hermite_e.hermegauss(25)
    pool = np.sqrt(3 * (std @ np.array([[1, 0.5], [0.5, 1]]) @ std))

    def cost(level: float) -> float:
        positions = level - 3 * mean.sum() + pool * points
        best = []
        for x in positions:
            found: Any = optimize.minimize_scalar(lambda y, x=x: store_cost(np.array([y, x - y])))
            best.append(found.fun)
        return float(weights @ np.array(best) / weights.sum())

    assert bound.cost == pytest.approx(cost(bound.level), rel=2e-3)
    assert cost(bound.level) < min(cost(bound.level - 2), cost(bound.level + 2))


def test_one_store_is_a_base_stock_problem_with_the_two_lead_times_added() -> None:
    demand = MultivariateNormal(torch.tensor([5.0]), torch.tensor([1.6]), clip=False)
    bound = transshipment.lower_bound(network(1, 2), demand)
    best = base_stock.optimal(5.0, 1.6, lead_time=5, holding=1.0, shortage=9.0)
    assert bound.cost == pytest.approx(best.cost, rel=1e-6)
    assert bound.level == pytest.approx(best.level, rel=1e-6)


@pytest.mark.parametrize(("stores", "lead_time", "correlation"), [(3, 2, 0.0), (5, 6, 0.5)])
def test_the_policy_comes_close_to_the_bound_and_never_undercuts_it(
    stores: int, lead_time: int, correlation: float
) -> None:
    source = generator(2, "transshipment", stores)
    demand = MultivariateNormal.random(stores, source, correlation=correlation, clip=False)
    simulator = InventorySimulator(network(stores, lead_time), demand, horizon=300)
    state = simulator.initial(2048, source)
    trace = simulator.trace(state, 300, source)
    done = simulator.rollout(transshipment.policy(simulator.network, demand), state=state, demand=trace, detail=True)
    means = done.costs[:, 60:].mean(1)
    bound = transshipment.lower_bound(simulator.network, demand).cost
    error = float(means.std()) / 2048**0.5
    assert bound - 4 * error < float(means.mean()) < 1.01 * bound + 4 * error
    assert done.on_hand is not None
    assert float(done.on_hand[:, :, 0].abs().max()) < 1e-3


def test_networks_without_a_bound_are_refused() -> None:
    demand = MultivariateNormal(torch.ones(2), torch.ones(2))
    kept = network(2, 2)
    holds = InventoryNetwork((Node("w", "warehouse", 1.0), *kept.nodes[1:]), kept.edges, "backlog")
    with pytest.raises(InputError, match="may_hold false"):
        transshipment.lower_bound(holds, demand)
    unequal = InventoryNetwork((*kept.nodes[:2], Node("s1", "store", 1.0, 4.0)), kept.edges, "backlog")
    with pytest.raises(InputError, match="unequal stores"):
        transshipment.lower_bound(unequal, demand)
