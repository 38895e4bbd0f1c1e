import json

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.tasks import worlds
from livepapers.tasks.slippery_lake import SlipperyLake
from livepapers.tasks.vector import SimulatorEnv, SimulatorTask

MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))


def random_lake(seed: int, size: int = 5) -> SlipperyLake:
    return SlipperyLake.generate(size, generator=numpy_generator(seed, "lake"))


def transitions(lake: SlipperyLake, tile: int, action: int) -> list[tuple[float, int, float, bool]]:
    """(probability, next tile, total reward, ended), as the released table is made, tile by tile."""
    rows, columns = lake.holes.shape

    def move(position: int, direction: int) -> int:
        row, column = divmod(position, columns)
        down, right = MOVES[direction]
        return min(max(row + down, 0), rows - 1) * columns + min(max(column + right, 0), columns - 1)

    def arrive(position: int) -> tuple[float, bool]:
        if position == rows * columns - 1:
            return 1.0, True
        row, column = divmod(position, columns)
        near = 1.0 / (1.0 + abs(rows - 1 - row) + abs(columns - 1 - column))
        return near - float(lake.holes[row, column]) / (rows + columns), False

    row, column = divmod(tile, columns)
    if lake.holes[row, column] or tile == rows * columns - 1:
        return [(1.0, tile, 0.0, True)]
    intended = move(tile, action)
    reward, ended = arrive(intended)
    if ended:
        return [(1.0, intended, reward, True)]
    table = [(0.5, intended, reward, False)]
    slip = np.random.RandomState(42).dirichlet(np.ones(4), size=(rows, columns))[divmod(intended, columns)]
    for direction in range(4):
        slipped = move(intended, direction)
        more, over = arrive(slipped)
        table.append((0.5 * float(slip[direction]), slipped, reward + more, over))
    return table


@given(st.integers(0, 1000), st.integers(2, 6))
@settings(max_examples=20)
def test_steps_follow_the_released_table(seed: int, size: int):
    lake = random_lake(seed, size)
    stream, lanes = generator(seed, "lake"), 4000
    tile = int(torch.randint(lake.tiles, (), generator=stream))
    action = int(torch.randint(4, (), generator=stream))
    state = torch.full((lanes,), tile)
    post, decided = lake.decide(state, torch.full((lanes,), action))
    after, resolved, terminated = lake.resolve(post, lake.draw(lanes, 0, stream))
    total = decided + resolved
    allowed = transitions(lake, tile, action)
    expected: dict[tuple[int, float, bool], float] = {}
    for probability, to, reward, ended in allowed:
        key = (to, round(reward, 4), ended)
        expected[key] = expected.get(key, 0.0) + probability
    seen: dict[tuple[int, float, bool], float] = {}
    for to, reward, ended in zip(after.tolist(), total.tolist(), terminated.tolist(), strict=True):
        key = (to, round(reward, 4), ended)
        seen[key] = seen.get(key, 0.0) + 1 / lanes
    assert set(seen) <= set(expected)
    assert all(seen.get(key, 0.0) == pytest.approx(share, abs=0.045) for key, share in expected.items())


def test_the_deterministic_part_is_the_nearness_of_the_intended_tile():
    lake = SlipperyLake(np.array([[0, 0], [1, 0]]))
    post, decided = lake.decide(torch.tensor([0, 0, 1]), torch.tensor([1, 2, 1]))
    assert post.tile.tolist() == [2, 1, 3]
    assert decided.tolist() == [0.5, 0.5, 1.0]
    assert post.ended.tolist() == [False, False, True]
    after, resolved, terminated = lake.resolve(post, torch.tensor([[0.9, 0.0]] * 3))  # nobody slips
    assert resolved.tolist() == [-0.25, 0.0, 0.0]  # the hole costs 1 / (2 + 2), in the second half
    assert after.tolist() == [2, 1, 3]
    assert terminated.tolist() == [False, False, True]


def test_who_starts_in_a_hole_is_out_with_nothing():
    lake = SlipperyLake(np.array([[0, 0], [1, 0]]))
    post, decided = lake.decide(torch.tensor([2]), torch.tensor([2]))
    after, resolved, terminated = lake.resolve(post, torch.tensor([[0.1, 0.1]]))
    assert (float(decided), float(resolved), bool(terminated), int(after)) == (0.0, 0.0, True, 2)


def test_one_may_slip_out_of_a_hole():
    lake = SlipperyLake(np.array([[0, 0, 0], [1, 0, 0]]))
    post, _ = lake.decide(torch.zeros(200, dtype=torch.int64), torch.ones(200, dtype=torch.int64))
    after, _, terminated = lake.resolve(post, lake.draw(200, 0, generator(0, "slip")))
    assert {0, 3} <= set(after.tolist())
    assert not bool(terminated.any())


def test_a_lake_passes_gymnasiums_own_checker_and_restarts_lane_by_lane():
    check_env(SimulatorEnv(random_lake(1)), skip_render_check=True)
    task = SimulatorTask(random_lake(1), 64)
    task.reset(0)
    ended = sum(int((step.terminated | step.truncated).sum()) for step in (
        task.step(torch.randint(4, (64,), generator=generator(t, "walk"))) for t in range(120)
    ))  # fmt: skip
    assert ended > 64


@pytest.mark.parametrize(
    "holes", [[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [1, 0]], [0, 0, 0]], ids=["start", "goal", "no way", "flat"]
)
def test_impossible_maps_are_refused(holes):
    with pytest.raises(InputError, match="holes"):
        SlipperyLake(np.array(holes))


def test_a_lake_is_made_again_from_its_description():
    lake = random_lake(3)
    again = worlds.make(**{k: json.loads(json.dumps(v)) for k, v in lake.world.items()})
    assert isinstance(again, SimulatorTask)
    assert isinstance(again.simulator, SlipperyLake)
    assert np.array_equal(again.simulator.holes, lake.holes)


def test_random_maps_have_their_share_of_frozen_tiles_and_a_way():
    maps = [random_lake(seed, 10).holes for seed in range(40)]
    assert float(np.mean(maps)) == pytest.approx(0.2, abs=0.03)
    assert all(not one.flat[0] and not one.flat[-1] for one in maps)
