"""MinAtar's games, batched: beside what was recorded of the package, and by their rules."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks import worlds
from livepapers.tasks.minatar import Breakout, Freeway, FreewayNoise
from livepapers.tasks.vector import SimulatorTask


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    """What `recorded/record_minatar.py` saw of the package's games."""
    with np.load(Path(__file__).parent / "recorded" / "minatar.npz") as found:
        return dict(found)


def _pictures(bits: np.ndarray, planes: int) -> Tensor:
    pixels = np.unpackbits(bits, axis=1, count=planes * 100)
    return torch.from_numpy(pixels.reshape(-1, planes, 10, 10)).float()


def test_breakout_is_the_packages_game_step_by_step(recorded: dict[str, np.ndarray]):
    ours, seen = Breakout(sticky=0.0), _pictures(recorded["breakout_seen"], 4)
    state = start = ours.initial(1, generator(0, "start"))
    corners = 0
    for step, begin in enumerate(recorded["breakout_begins"]):
        if begin >= 0:
            x = torch.tensor([int(begin)])
            state = start._replace(x=x, last_x=x, direction=2 + x // 9)
        post, reward = ours.decide(state, torch.tensor([int(recorded["breakout_actions"][step])]))
        corners += int(not post.over and post.state.y == state.y and state.y == 8 and post.state.x != state.x)
        state, rest, terminated = ours.resolve(post, torch.zeros(1, dtype=torch.bool))
        assert float(reward + rest) == recorded["breakout_paid"][step]
        assert bool(terminated) == recorded["breakout_over"][step]
        assert torch.equal(ours.observe(state)[0], seen[step])
    assert recorded["breakout_paid"].sum() > 60
    assert recorded["breakout_over"].sum() > 3
    assert corners > 3


def test_freeway_is_the_packages_game_step_by_step(recorded: dict[str, np.ndarray]):
    ours, seen = Freeway(sticky=0.0), _pictures(recorded["freeway_seen"], 7)
    first, *after = torch.from_numpy(recorded["freeway_speeds"]).long()[:, None]
    state = ours.initial(1, generator(0, "start"))._replace(speed=first, countdown=first.abs())
    hits = 0
    for step, speed in enumerate(after):
        before = state.row
        post, reward = ours.decide(state, torch.tensor([int(recorded["freeway_actions"][step])]))
        state, rest, _ = ours.resolve(post, FreewayNoise(torch.zeros(1, dtype=torch.bool), speed))
        assert float(reward + rest) == recorded["freeway_paid"][step]
        assert torch.equal(ours.observe(state)[0], seen[step])
        hits += int(state.row == 9 and before < 8 and not reward)
    assert recorded["freeway_paid"].sum() > 1
    assert hits > 3


@pytest.mark.parametrize("name", ["minatar-breakout", "minatar-freeway"])
def test_games_are_batched_repeat_and_come_back_by_name(name: str):
    world = worlds.simulator(name, {"horizon": 30})
    assert worlds.simulator(**world.world).horizon == 30  # type: ignore[attr-defined]
    runs = []
    for _ in range(2):
        task = SimulatorTask(world, 5)
        seen, total = [task.reset(3)], torch.zeros(5)
        for step in range(60):
            result = task.step((torch.arange(5) + step) % 3)
            seen.append(result.observation)
            total += result.reward
            assert task.observation_space.contains(result.observation[0].numpy())
        runs.append((torch.stack(seen), total))
    assert torch.equal(runs[0][0], runs[1][0])
    assert torch.equal(runs[0][1], runs[1][1])


def test_a_sticky_action_is_the_last_one_again():
    game = Breakout(sticky=1.0)
    state = game.initial(2, generator(0, "start"))
    post, _ = game.decide(state, torch.tensor([1, 2]))
    assert post.state.paddle.tolist() == [4, 4]
    with pytest.raises(InputError, match="sticky"):
        Freeway(sticky=2.0)
    with pytest.raises(InputError, match="horizon"):
        Breakout(0)
