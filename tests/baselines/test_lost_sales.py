import itertools
import time

import numpy as np
import pytest
from scipy import stats

from livepapers.baselines import lost_sales
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.demand import Poisson
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventorySimulator, Node

# Zipkin, Operations Research 56 (2008), table of Poisson(5) instances: optimal and best base-stock cost.
PUBLISHED = {
    (1, 4): 4.04, (1, 9): 5.44, (1, 19): 6.68, (1, 39): 7.84,
    (2, 4): 4.40, (2, 9): 6.09, (2, 19): 7.66, (2, 39): 9.11,
    (3, 4): 4.60, (3, 9): 6.53, (3, 19): 8.36, (3, 39): 10.04,
    (4, 4): 4.73, (4, 9): 6.84, (4, 19): 8.89, (4, 39): 10.79,
}  # fmt: skip
PUBLISHED_BASE_STOCK = {(1, 4): 4.16, (4, 9): 7.27, (4, 39): 11.06}


@pytest.mark.parametrize(("lead_time", "shortage"), list(PUBLISHED))
def test_the_optimum_is_the_published_one(lead_time: int, shortage: int) -> None:
    found = lost_sales.optimal(5.0, lead_time=lead_time, holding=1.0, shortage=shortage)
    assert found.cost == pytest.approx(PUBLISHED[lead_time, shortage], abs=0.0051)
    assert found.gap < 1e-4


def test_the_headline_instance_is_solved_to_two_thousandths_in_seconds() -> None:
    start = time.perf_counter()
    assert lost_sales.optimal(5.0, lead_time=4, holding=1.0, shortage=9.0).cost == pytest.approx(6.836, abs=0.002)
    assert time.perf_counter() - start < 10


def plain_value_iteration(rate: float, holding: float, shortage: float, top: int, most: int) -> float:
    """L = 2 in loops over states, orders and demands, as the definition reads."""
    demands = range(int(rate) + 14)
    chance = stats.poisson.pmf(list(demands), rate)
    differences = [np.inf]
    value = dict.fromkeys(itertools.product(range(top + 1), range(most + 1)), 0.0)
    for _ in range(60):
        new = {}
        for x0, x1 in value:
            best = np.inf
            for z in range(most + 1):
                total = 0.0
                for d, weight in zip(demands, chance, strict=True):
                    paid = holding * max(x0 - d, 0) + shortage * max(d - x0, 0)
                    total += weight * (paid + value[min(max(x0 - d, 0) + x1, top), z])
                best = min(best, total)
            new[x0, x1] = best
        differences = [new[x] - value[x] for x in value]
        value = {x: v - new[0, 0] for x, v in new.items()}
    assert max(differences) - min(differences) < 1e-6
    return max(differences)


def test_the_optimum_is_that_of_plain_loops() -> None:
    exact = plain_value_iteration(1.0, 1.0, 6.0, top=9, most=5)
    assert lost_sales.optimal(1.0, lead_time=2, holding=1.0, shortage=6.0).cost == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize("lead_time", [1, 2, 4])
def test_the_optimal_policy_costs_the_optimum_in_a_chain_and_in_the_simulator(lead_time: int) -> None:
    best = lost_sales.optimal(5.0, lead_time=lead_time, holding=1.0, shortage=9.0)

    def orders(states: np.ndarray) -> np.ndarray:
        return best.orders[tuple(np.minimum(states, np.array(best.orders.shape) - 1).T)].astype(np.int64)

    exact = lost_sales.average_cost(orders, 5.0, lead_time=lead_time, holding=1.0, shortage=9.0)
    assert exact == pytest.approx(best.cost, abs=5e-4)
    network = InventoryNetwork((Node("shop", "store", 1.0, 9.0),), (Edge("supplier", "shop", lead_time),))
    simulator = InventorySimulator(network, Poisson(5.0), horizon=300)
    source = generator(0, "lost sales", lead_time)
    state = simulator.initial(4096, source)
    state = state._replace(pipeline=state.pipeline.round())
    costs = simulator.rollout(best.policy(), state=state, demand=simulator.trace(state, 300, source)).costs
    means = costs[:, 100:].mean(1)
    assert abs(float(means.mean()) - best.cost) < 4 * float(means.std()) / 4096**0.5


@pytest.mark.parametrize(("lead_time", "shortage"), list(PUBLISHED_BASE_STOCK))
def test_the_best_base_stock_policy_is_the_published_one(lead_time: int, shortage: int) -> None:
    best = lost_sales.best_base_stock(5.0, lead_time=lead_time, holding=1.0, shortage=shortage)
    assert best.cost == pytest.approx(PUBLISHED_BASE_STOCK[lead_time, shortage], abs=0.0051)


def test_a_cap_helps_and_the_optimum_is_better_still() -> None:
    costs = {"lead_time": 2, "holding": 1.0, "shortage": 4.0}
    plain = lost_sales.best_base_stock(5.0, **costs)  # type: ignore[arg-type]
    capped = lost_sales.best_capped_base_stock(5.0, **costs)  # type: ignore[arg-type]
    assert lost_sales.optimal(5.0, **costs).cost < capped.cost < plain.cost  # type: ignore[arg-type]


def test_a_constant_base_stock_costs_in_the_simulator_what_the_chain_says() -> None:
    exact = lost_sales.average_cost(lost_sales.base_stock_orders(20, 6), 5.0, lead_time=2, holding=1.0, shortage=9.0)
    network = InventoryNetwork((Node("shop", "store", 1.0, 9.0),), (Edge("supplier", "shop", 2),))
    simulator = InventorySimulator(network, Poisson(5.0), horizon=300)
    source = generator(0, "capped")
    state = simulator.initial(4096, source)
    trace = simulator.trace(state, 300, source)
    policy = lambda now: (20 - now.pipeline.sum(2)).clamp(min=0, max=6)  # noqa: E731
    means = simulator.rollout(policy, state=state, demand=trace).costs[:, 100:].mean(1)
    assert abs(float(means.mean()) - exact) < 4 * float(means.std()) / 4096**0.5


@pytest.mark.parametrize("change", [{"lead_time": 0}, {"lead_time": 5}, {"shortage": 0.0}, {"holding": -1.0}])
def test_problems_that_cannot_be_solved_are_refused(change: dict[str, float]) -> None:
    arguments = {"lead_time": 2, "holding": 1.0, "shortage": 9.0} | change
    with pytest.raises(InputError):
        lost_sales.optimal(5.0, **arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="states grow"):
        lost_sales.optimal(50.0, lead_time=2, holding=1.0, shortage=9.0)
