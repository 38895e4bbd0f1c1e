"""The worlds in which a robot may end anywhere, and what describes an episode."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks import worlds
from livepapers.tasks.descriptors import Descriptor
from livepapers.tasks.point_omni import RADIUS, TRAP, PointOmni, PointState
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.swimmer_omni import FRAME_SKIP, SwimmerOmni, SwimmerState
from livepapers.tasks.vector import GymnasiumTask, SimulatorEnv

needs_mujoco = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="extra mujoco")
coordinate = st.floats(-6, 6)


def test_the_point_robot_moves_by_its_two_equations():
    world = PointOmni()
    state = PointState(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.2, 0.0]]))
    after, reward = world.decide(state, torch.tensor([[1.0, -3.0]]))  # the second is cut at -1
    assert after.velocity.tolist()[0] == pytest.approx([0.28, -0.1])
    assert after.place.tolist()[0] == pytest.approx([1.14, -2.05])
    assert float(reward) == pytest.approx(0.0)
    assert world.observe(after).tolist()[0] == pytest.approx([0.114, -0.205, 0.28, -0.1])
    edge, _ = world.decide(PointState(torch.tensor([[9.9, 0.0]]), torch.tensor([[1.0, 0.0]])), torch.zeros(1, 2))
    assert float(edge.place[0, 0]) == 10.0


def test_both_worlds_keep_the_contract():
    assert isinstance(PointOmni(), Simulator)
    check_env(SimulatorEnv(PointOmni()), skip_render_check=True)
    with pytest.raises(InputError, match="horizon"):
        PointOmni(0)


def _apart(p: tuple[float, float], q: tuple[float, float], bar: tuple[float, ...]) -> float:
    """Smallest distance of a way to a bar's middle line, by 400 x 400 points of both."""
    share = np.linspace(0.0, 1.0, 400)[:, None]
    way = np.array(p) + share * (np.array(q) - np.array(p))
    line = np.array(bar[:2]) + share * (np.array(bar[2:]) - np.array(bar[:2]))
    return float(np.linalg.norm(way[:, None] - line[None], axis=-1).min())


@given(coordinate, coordinate, st.floats(-2, 2), st.floats(-2, 2))
@settings(max_examples=15, deadline=None)
def test_the_way_keeps_its_distance_from_the_bars(x: float, y: float, dx: float, dy: float):
    found = PointOmni(trap=True).clearance(torch.tensor([[x, y]]), torch.tensor([[x + dx, y + dy]]))
    expected = min(_apart((x, y), (x + dx, y + dy), bar) for bar in TRAP)
    assert float(found) == pytest.approx(expected, abs=0.02)


def test_nothing_passes_the_trap_and_what_stays_clear_of_it_does():
    world = PointOmni(trap=True)
    state = world.initial(40, generator(0, "trap"))
    for _ in range(50):
        state, _ = world.decide(state, torch.tensor([[1.0, 0.0]]).expand(40, 2))
    inside = state.place[:, 1].abs() < 5 / 6
    assert bool((state.place[inside, 0] <= 4.0 - RADIUS + 1e-4).all())
    assert int(inside.sum()) > 20
    free = PointOmni()
    state = free.initial(40, generator(0, "trap"))
    for _ in range(50):
        state, _ = free.decide(state, torch.tensor([[1.0, 0.0]]).expand(40, 2))
    assert bool((state.place[:, 0] > 9.0).all())


@needs_mujoco
def test_the_swimmer_is_gymnasiums_model_step_for_step():
    mujoco: Any = pytest.importorskip("mujoco")
    world, stream = SwimmerOmni(), generator(0, "swimmer")
    body = Path(str(gymnasium.__file__)).parent / "envs" / "mujoco" / "assets" / "swimmer.xml"
    model = mujoco.MjModel.from_xml_path(str(body))
    state = world.initial(3, stream)
    assert float(state.values.abs().max()) <= 0.1
    for _ in range(4):
        action = 2.0 * torch.rand(3, 2, generator=stream) - 1.0
        after, reward = world.decide(state, action)
        for lane in range(3):
            data = mujoco.MjData(model)
            data.qpos[:], data.qvel[:] = np.split(state.values[lane].numpy(), 2)
            data.ctrl[:] = action[lane].numpy()
            for _ in range(FRAME_SKIP):
                mujoco.mj_step(model, data)
            assert np.allclose(after.values[lane], np.concatenate([data.qpos, data.qvel]), atol=1e-10)
        assert torch.allclose(reward, 1.0 - 0.5 * action.square().mean(1))
        state = SwimmerState(after.values)
    assert world.observe(state)[:, 8:].tolist() == (state.values[:, :2] / 1.5).float().tolist()


def test_descriptors_normalise_and_come_back():
    box = Descriptor(("x", "y"), (-3.0, 0.0), (1.0, 10.0), columns=(0, 4))
    values = torch.tensor([[-3.0, 10.0], [-1.0, 5.0]])
    assert box.normalised(values).tolist() == [[-1.0, 1.0], [0.0, 0.0]]
    assert torch.allclose(box.restored(box.normalised(values)), values)
    assert box.clipped(torch.tensor([9.0, -9.0])).tolist() == [1.0, 0.0]
    assert box.apart(torch.tensor(box.low), torch.tensor(box.high)).item() == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("low", "high", "options"),
    [
        ((0.0,), (1.0, 2.0), {"columns": (0, 1)}),
        ((0.0, 0.0), (1.0, 0.0), {"columns": (0, 1)}),
        ((0.0, math.nan), (1.0, 1.0), {"columns": (0, 1)}),
        ((0.0, 0.0), (1.0, 1.0), {}),
        ((0.0, 0.0), (1.0, 1.0), {"columns": (0,)}),
        ((0.0, 0.0), (1.0, 1.0), {"columns": (0, 1), "keys": ("a", "b")}),
    ],
)
def test_descriptors_that_cannot_be_are_refused(low: tuple[float, ...], high: tuple[float, ...], options: dict):
    with pytest.raises(InputError, match="descriptor"):
        Descriptor(("x", "y"), low, high, **options)


class Counting(gymnasium.Env):
    """Counts to its own end, and says so in its info."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        end = 2 + (float(action[0]) > 0)
        return np.zeros(1, np.float32), 1.0, self.count >= end, False, {"count": float(self.count)}


def test_info_of_the_last_step_survives_the_restart():
    gymnasium.register("Counting-v0", lambda **_: Counting(), max_episode_steps=9)
    task = worlds.make("gymnasium:Counting-v0", {}, lanes=2)
    assert isinstance(task, GymnasiumTask)
    task.reset(0)
    told = []
    for _ in range(3):
        task.step(torch.tensor([[1.0], [-1.0]]))
        told.append(task.told("count").tolist())
    assert told == [[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]]
    with pytest.raises(InputError, match="a number of count"):
        task.told("height")
