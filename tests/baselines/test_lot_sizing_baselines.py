import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.lot_sizing_optimum import expected_cost, optimum
from livepapers.baselines.lot_sizing_hindsight import _Program, hindsight_bound, hindsight_bounds
from livepapers.baselines.lot_sizing_rules import GreedyRule, expected_shortage, idle, tuned, uniform
from livepapers.core.errors import InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.tasks.lot_sizing import LotSizing, LotSizingPlant, PlantState, Scenario


def tiny_plant(*, holding: float = 0.3, horizon: int = 5) -> LotSizingPlant:
    """Two items, one machine, 7 x 6 levels: small enough to enumerate."""
    return LotSizingPlant.from_json({
        "items": [
            {"name": "a", "holding": holding, "lost_sale": 2, "capacity": 6,
             "demand": {"kind": "recorded", "past": [0, 1, 2]}},
            {"name": "b", "holding": holding, "lost_sale": 1, "capacity": 5,
             "demand": {"kind": "recorded", "past": [1, 1, 3]}},
        ],
        "machines": [{"name": "m", "makes": [
            {"item": "a", "units": 4, "setup_cost": 1.5, "setup_loss": 1},
            {"item": "b", "units": 3, "setup_cost": 1.0},
        ]}],
        "horizon": horizon,
    })  # fmt: skip


def drawn(items: int, machines: int, seed: int = 0) -> LotSizing:
    return LotSizing(LotSizingPlant.generate(items, machines, generator=numpy_generator(seed, "plant")))


def enumerated(simulator: LotSizing, scenario: Scenario, path: int) -> float:
    """The least cost of one path over all action sequences."""
    periods = scenario.demand.shape[1]
    plans = torch.tensor(list(itertools.product(range(simulator.choices), repeat=periods)))[..., None]
    state = PlantState(*(part[path : path + 1].expand(len(plans), -1) for part in scenario.state))
    steps = iter(plans.unbind(1))
    rollout = simulator.rollout(
        lambda _: next(steps), Scenario(state, scenario.demand[path].expand(len(plans), -1, -1))
    )
    return float(rollout.cost.min())


def test_the_hindsight_bound_is_the_least_cost_of_a_path_where_nothing_is_worth_throwing_away():
    simulator = LotSizing(tiny_plant(holding=0.0))
    scenario = simulator.scenarios(6, generator(0, "paths"))
    for path, found in enumerate(hindsight_bounds(simulator.plant, scenario, paths=6)):
        assert found.bound == pytest.approx(enumerated(simulator, scenario, path), abs=1e-4)
        assert found.gap < 1e-3


def test_the_hindsight_bound_is_never_above_the_least_cost():
    simulator = LotSizing(tiny_plant(holding=1.0))
    scenario = simulator.scenarios(6, generator(1, "paths"))
    for path, found in enumerate(hindsight_bounds(simulator.plant, scenario, paths=6)):
        assert found.bound <= enumerated(simulator, scenario, path) + 1e-5


@given(st.integers(0, 500))
@settings(max_examples=5)
def test_no_rule_costs_less_than_the_hindsight_bound_of_its_path(seed: int):
    simulator = drawn(4, 2, seed)
    scenario = simulator.scenarios(3, generator(seed, "paths"), periods=8)
    bounds = np.array([one.bound for one in hindsight_bounds(simulator.plant, scenario, paths=3, seconds=3)])
    for policy in (GreedyRule(simulator), GreedyRule(simulator, 6), idle, uniform(simulator, generator(seed, "u"))):
        assert (simulator.rollout(policy, scenario).cost.numpy() >= bounds - 1e-4).all()


def test_the_schedule_that_the_solver_found_costs_what_it_says():
    simulator = LotSizing(tiny_plant(holding=0.0))
    scenario = simulator.scenarios(1, generator(3, "paths"))
    found = hindsight_bounds(simulator.plant, scenario, paths=1)[0]
    assert found.actions is not None
    steps = iter(torch.from_numpy(found.actions)[:, None])
    assert float(simulator.rollout(lambda _: next(steps), scenario).cost) == pytest.approx(found.solution, abs=1e-4)


def test_a_solver_without_time_still_gives_a_valid_bound():
    simulator = drawn(6, 3)
    scenario = simulator.scenarios(1, generator(0, "paths"), periods=60)
    found = hindsight_bounds(simulator.plant, scenario, paths=1, seconds=1e-3)[0]
    assert 0.0 <= found.bound <= float(simulator.rollout(GreedyRule(simulator, 4), scenario).cost)
    assert 0.0 <= found.gap <= 1.0


@pytest.mark.slow
def test_a_node_limit_gives_the_same_bound_every_time():
    simulator = drawn(6, 3)
    scenario = simulator.scenarios(1, generator(0, "paths"), periods=12)
    first, again = (hindsight_bounds(simulator.plant, scenario, paths=1, seconds=600, nodes=1)[0] for _ in range(2))
    assert (first.bound, first.solution) == (again.bound, again.solution)
    assert first.gap > 1e-3, "the limit did not bite"


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_the_exact_optimum_equals_enumeration_of_decisions_and_demands(discount: float):
    simulator = LotSizing(tiny_plant(horizon=2))
    solved = optimum(simulator, discount=discount)
    chances = [(a, b, p * q) for a, p in enumerate((1 / 3, 1 / 3, 1 / 3)) for b, q in ((1, 2 / 3), (3, 1 / 3))]

    def best(inventory: list[float], setup: int, left: int) -> float:
        if left == 0:
            return 0.0
        costs = []
        for action in range(3):
            state = PlantState(torch.tensor([inventory]), torch.tensor([[setup]]))
            post, reward = simulator.decide(state, torch.tensor([[action]]))
            cost = -float(reward)
            for a, b, chance in chances:
                after, more, _ = simulator.resolve(post, torch.tensor([[float(a), float(b)]]))
                cost += chance * (-float(more) + discount * best(after.inventory[0].tolist(), action, left - 1))
            costs.append(cost)
        return min(costs)

    for inventory, setup in (([0.0, 0.0], 0), ([3.0, 1.0], 2), ([6.0, 5.0], 1)):
        same = (solved.states.inventory == torch.tensor(inventory)).all(1) & (solved.states.setup[:, 0] == setup)
        assert float(solved.value[0, same]) == pytest.approx(best(inventory, setup, 2), rel=1e-5)


def test_the_optimal_policy_costs_its_value_and_no_rule_costs_less():
    simulator = LotSizing(tiny_plant(horizon=20))
    solved = optimum(simulator)
    index = {
        (*inventory, *setup): k
        for k, (inventory, setup) in enumerate(
            zip(solved.states.inventory.tolist(), solved.states.setup.tolist(), strict=True)
        )
    }
    clock = iter(range(20))

    def policy(state: PlantState) -> torch.Tensor:
        rows = [index[*a, *b] for a, b in zip(state.inventory.tolist(), state.setup.tolist(), strict=True)]
        return solved.actions[solved.action[next(clock)][rows]]

    scenario = simulator.scenarios(4000, generator(0, "paths"))
    least = expected_cost(simulator, solved)
    assert float(simulator.rollout(policy, scenario).cost.mean()) == pytest.approx(least, rel=0.02)
    rule, costs = tuned(simulator, scenario)
    assert costs[rule.look_ahead] == min(costs.values())
    assert all(cost > 0.99 * least for cost in costs.values())


def test_a_plant_too_large_to_solve_is_refused():
    with pytest.raises(InputError, match="states"):
        optimum(drawn(3, 1))


def test_expected_shortage_is_the_mean_of_what_is_missing():
    probability = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]], dtype=torch.float64)
    one = expected_shortage(probability, 1)
    assert torch.allclose(one, torch.tensor([[0.75, 0.25, 0.0], [2.0, 1.0, 0.0]], dtype=torch.float64))
    two = expected_shortage(probability, 2)
    assert two.shape == (2, 5)
    assert torch.allclose(two[1], torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0], dtype=torch.float64))
    assert float(two[0, 0]) == pytest.approx(1.5)


def test_the_myopic_rule_runs_on_what_is_set_up_and_changes_only_for_what_pays_at_once():
    simulator = LotSizing(tiny_plant())
    rule = GreedyRule(simulator)
    empty, full = torch.zeros(1, 2), torch.tensor([[6.0, 5.0]])
    assert rule(PlantState(empty, torch.tensor([[1]]))).tolist() == [[1]]  # 2 saved at no set-up, against 5/3 - 1
    assert rule(PlantState(full, torch.tensor([[1]]))).tolist() == [[0]]


def test_a_bound_needs_no_scenario_of_ours():
    plant = tiny_plant(holding=0.0)
    found = hindsight_bound(plant, np.zeros((4, 2)), inventory=np.zeros(2), setup=np.zeros(1, dtype=int))
    assert found.bound == pytest.approx(0.0, abs=1e-6)


def test_the_program_of_a_large_plant_takes_room_for_what_is_not_zero_alone():
    """Rows over all columns took gigabytes before the solver began: 40 items on 5 machines, 30 periods."""
    items, machines, periods = 40, 5, 30
    plant = LotSizingPlant.from_json({
        "horizon": periods,
        "items": [{"name": str(i), "holding": 0.1, "lost_sale": 1.0, "capacity": 20,
                   "demand": {"kind": "poisson", "mean": 2.0}} for i in range(items)],
        "machines": [{"name": str(m), "makes": [{"item": str(i), "units": 6, "setup_cost": 3.0} for i in range(items)]}
                     for m in range(machines)],
    })  # fmt: skip
    program = _Program(plant, np.ones((periods, items)), np.zeros(items), np.zeros(machines, dtype=int))
    tracemalloc.start()
    try:
        made = program._runs()[0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    rows, columns = made.A.shape
    assert peak < 0.1 * 8 * rows * columns
