"""The hard maze: its geometry by hand, and against one robot written out with plain loops."""

import math

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks import worlds
from livepapers.tasks.hard_maze import GOAL, START, WALLS, HardMaze, MazeState
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import SimulatorEnv


def _crossing(p: tuple[float, float], q: tuple[float, float], wall: tuple[int, ...]) -> float | None:
    """Share of pq at which it crosses the wall, strictly inside both."""
    x1, y1, x2, y2 = wall
    rx, ry, sx, sy = q[0] - p[0], q[1] - p[1], x2 - x1, y2 - y1
    slant = rx * sy - ry * sx
    if slant == 0:
        return None
    t, u = ((x1 - p[0]) * sy - (y1 - p[1]) * sx) / slant, ((x1 - p[0]) * ry - (y1 - p[1]) * rx) / slant
    return t if 0 < t < 1 and 0 < u < 1 else None


def _near(p: tuple[float, float], wall: tuple[int, ...]) -> float:
    x1, y1, x2, y2 = wall
    share = ((p[0] - x1) * (x2 - x1) + (p[1] - y1) * (y2 - y1)) / ((x2 - x1) ** 2 + (y2 - y1) ** 2)
    share = min(max(share, 0.0), 1.0)
    return math.hypot(p[0] - x1 - share * (x2 - x1), p[1] - y1 - share * (y2 - y1))


class Plain:
    """One robot, in double precision."""

    def __init__(self) -> None:
        (self.x, self.y), self.h, self.v, self.w, self.hits = START, 0.0, 0.0, 0.0, 0

    def see(self) -> list[float]:
        seen = [1.0]
        for turn in (-90, -45, 0, 45, 90, -180):
            a = math.radians(self.h + turn)
            end = (self.x + 100 * math.cos(a), self.y + 100 * math.sin(a))
            shares = [_crossing((self.x, self.y), end, wall) for wall in WALLS]
            seen.append(min([s for s in shares if s is not None], default=1.0))
        angle = (math.degrees(math.atan2(GOAL[1] - self.y, GOAL[0] - self.x)) - self.h) % 360
        angle += 360 if angle < 45 else 0
        return seen + [float(low <= angle < low + 90) for low in (315, 45, 135, 225)]

    def move(self, action: tuple[float, float]) -> None:
        for name, wanted in zip("wv", action, strict=True):
            now = getattr(self, name)
            change = 6 * min(max(wanted, -0.5), 0.5) - now
            setattr(self, name, min(max(now + min(max(change, -0.2), 0.2), -3.0), 3.0))
        a = math.radians(self.h)
        new = (self.x + self.v * math.cos(a), self.y + self.v * math.sin(a))
        self.h = (self.h + self.w) % 360
        if all(_near(new, wall) > 8 for wall in WALLS):
            self.x, self.y = new
        else:
            self.hits += 1


def _step(maze: HardMaze, state: MazeState, action: list[float]) -> tuple[MazeState, float]:
    post, reward = maze.decide(state, torch.tensor([action] * len(state.time)))
    return maze.resolve(post, torch.empty(len(state.time), 0))[0], float(reward[0])


def test_the_batch_is_one_robot_written_out():
    maze, plain = HardMaze(), [Plain() for _ in range(6)]
    state, stream = maze.initial(6, generator(0)), np.random.default_rng(0)
    drift = stream.uniform(-0.6, 0.6, (6, 2))
    for _ in range(120):
        expected = np.array([one.see() for one in plain])
        assert np.allclose(maze.observe(state).numpy()[:, :7], expected[:, :7], atol=2e-3)
        action = drift + stream.uniform(-0.4, 0.4, (6, 2))
        for one, chosen in zip(plain, action, strict=True):
            one.move(tuple(chosen))
        state, _ = maze.decide(state, torch.from_numpy(action))
        assert np.allclose(state.place.numpy(), [[one.x, one.y] for one in plain], atol=1e-2)
    assert [int(n) for n in state.collisions] == [one.hits for one in plain]
    assert max(one.hits for one in plain) > 0


def test_the_first_observation():
    maze = HardMaze()
    seen = maze.observe(maze.initial(1, generator(0)))[0]
    assert seen.tolist() == pytest.approx(Plain().see(), abs=1e-5)
    assert seen[0] == 1.0
    assert seen[7:].tolist() == [0.0, 0.0, 0.0, 1.0]  # the goal is at -91.7 degrees, 268.3


def test_walls_stop_the_robot_and_count_but_do_not_end_the_episode():
    maze = HardMaze(60)
    state, reward = maze.initial(1, generator(0)), 0.0
    for _ in range(60):
        state, reward = _step(maze, state, [0.0, 0.5])
    assert int(state.collisions) > 0
    assert float(maze.clearance(state.place)) > 8.0
    assert float(state.speed) == pytest.approx(3.0)
    assert reward == pytest.approx(-float(maze.distance(state)))
    assert float(state.place[0, 1]) == pytest.approx(184.0)  # straight on


def test_motors_change_by_a_fifth_a_step_and_the_heading_wraps():
    maze = HardMaze()
    state = maze.initial(1, generator(0))
    state, reward = _step(maze, state, [-9.0, 0.1])
    assert reward == 0.0
    assert float(state.turn) == pytest.approx(-0.2)
    assert float(state.speed) == pytest.approx(0.2)
    assert float(state.heading) == pytest.approx(359.8, abs=1e-3)
    assert state.place[0].tolist() == pytest.approx([36.2, 184.0])  # with the old heading
    for _ in range(20):
        state, _ = _step(maze, state, [-9.0, 0.1])
    assert float(state.turn) == pytest.approx(-3.0)
    assert float(state.speed) == pytest.approx(0.6)


def test_a_ray_through_the_very_end_of_a_wall_is_no_hit():
    place = torch.tensor([[46.0, 157.0], [46.0, 156.9]])  # a wall ends at (56, 157)
    assert HardMaze().ranges(place, torch.zeros(2))[:, 2].tolist() == pytest.approx([1.0, 0.1], abs=1e-5)


def test_it_is_a_simulator_with_a_name_and_passes_gymnasiums_checker():
    assert isinstance(HardMaze(), Simulator)
    check_env(SimulatorEnv(HardMaze(5)), skip_render_check=True)
    task = worlds.make("hard-maze", {"horizon": 3}, lanes=2)
    task.reset(0)
    assert [float(task.step(torch.zeros(2, 2)).reward[0]) for _ in range(3)] == pytest.approx(
        [0, 0, -164.076], abs=1e-2
    )
    with pytest.raises(InputError, match="horizon"):
        HardMaze(0)
