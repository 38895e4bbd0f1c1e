import itertools

import numpy as np
import pytest
import torch

from livepapers.baselines.lake_optimum import expected_reward, optimum
from livepapers.core.rng import generator, numpy_generator
from livepapers.tasks.slippery_lake import SlipperyLake


def test_the_optimum_of_a_tiny_lake_is_the_best_of_all_policies():
    lake = SlipperyLake(np.array([[0, 0, 1], [0, 0, 0]]), horizon=2)
    best = 0.0
    movable = [tile for tile in range(lake.tiles) if not lake.hole[tile] and tile != lake.goal]
    for first in range(4):  # all plans: one action at the start, one for each tile after it
        for then in itertools.product(range(4), repeat=len(movable)):
            plan = dict(zip(movable, then, strict=True))
            best = max(best, _value(lake, 0, first, plan))
    assert float(optimum(lake).value[0, 0]) == pytest.approx(best, abs=1e-6)


def _value(lake: SlipperyLake, tile: int, action: int, plan: dict[int, int] | None) -> float:
    """Exact value of an action, and then of a plan for one more step, by enumerating slips."""
    near, hole = lake.near.double(), lake.hole_cost.double()
    if lake.hole[tile] or tile == lake.goal:
        return 0.0
    intended = int(lake.to[tile, action])
    if intended == lake.goal:
        return 1.0

    def later(position: int) -> float:
        return 0.0 if plan is None or position not in plan else _value(lake, position, plan[position], None)

    total = float(near[intended] - hole[intended]) + 0.5 * later(intended)
    for direction in range(4):
        to = int(lake.to[intended, direction])
        total += 0.5 * float(lake.slip[intended, direction]) * (float(near[to] - hole[to]) + later(to))
    return total


def test_the_optimal_policy_earns_its_value_in_simulation():
    lake = SlipperyLake.generate(6, generator=numpy_generator(0, "lake"))
    solved, lanes, stream = optimum(lake), 20_000, generator(0, "lake")
    state = lake.initial(lanes, stream)
    alive, total = torch.ones(lanes, dtype=torch.bool), torch.zeros(lanes)
    for t in range(lake.horizon):
        post, decided = lake.decide(state, solved.action[t][state])
        state, resolved, terminated = lake.resolve(post, lake.draw(lanes, t, stream))
        total += torch.where(alive, decided + resolved, 0.0)
        alive &= ~terminated
    assert float(total.mean()) == pytest.approx(float(solved.value[0, 0]), rel=0.02)


def test_evaluating_the_stationary_optimum_stays_below_it_and_uniform_play_far_below():
    lake = SlipperyLake.generate(6, generator=numpy_generator(1, "lake"))
    solved = optimum(lake)
    greedy = torch.nn.functional.one_hot(solved.action[0], 4).double()
    uniform = torch.full((lake.tiles, 4), 0.25)
    best = float(solved.value[0, 0])
    assert expected_reward(lake, uniform) < 0.5 * expected_reward(lake, greedy) < 0.5 * best + 1e-9


def test_state_and_post_decision_values_obey_their_two_equations():
    lake = SlipperyLake.generate(5, generator=numpy_generator(2, "lake"))
    solved = optimum(lake, discount=0.9)
    t, near = 3, lake.near.double()
    over = lake.hole | (torch.arange(lake.tiles) == lake.goal)
    best = (near[lake.to] + solved.post_value[t][lake.to]).max(1).values
    assert torch.allclose(solved.value[t], torch.where(over, 0.0, best))
