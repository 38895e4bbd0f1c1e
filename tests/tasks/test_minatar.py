"""MinAtar's games, batched: beside what was recorded of the package, and by their rules."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks import worlds
from livepapers.tasks.minatar import FASTEST, Breakout, Freeway, FreewayNoise, SpaceInvaders
from livepapers.tasks.vector import SimulatorTask, choose, leaves, load_task_state, rebuilt, task_state


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


def test_space_invaders_is_the_packages_game_step_by_step(recorded: dict[str, np.ndarray]):
    ours, seen = SpaceInvaders(sticky=0.0), _pictures(recorded["invaders_seen"], 6)
    state = start = ours.initial(1, generator(0, "start"))
    bombed = landed = fastest = lone = 0
    for step, begins in enumerate(recorded["invaders_begins"]):
        state = start if begins else state
        post, reward = ours.decide(state, torch.tensor([int(recorded["invaders_actions"][step])]))
        state, rest, terminated = ours.resolve(post, torch.zeros(1, dtype=torch.bool))
        assert float(reward + rest) == recorded["invaders_paid"][step]
        assert bool(terminated) == recorded["invaders_over"][step]
        assert torch.equal(ours.observe(state)[0], seen[step])
        hit = bool(state.bombs[0, 9, state.cannon[0]])
        bombed, landed = bombed + int(terminated and hit), landed + int(terminated and not hit)
        fastest += int(state.pace == FASTEST and state.march == FASTEST - 1)
        lone += int(state.aliens.sum() == 1)
    assert recorded["invaders_paid"].sum() > 9 * 24  # waves
    assert bombed > 3
    assert landed > 3
    assert fastest > 3
    assert lone > 9


GAMES = ["minatar-breakout", "minatar-freeway", "minatar-space-invaders"]


@pytest.mark.parametrize("name", GAMES)
def test_games_are_batched_repeat_and_come_back_by_name(name: str):
    world = worlds.simulator(name, {"horizon": 30})
    assert worlds.simulator(**world.world).horizon == 30  # type: ignore[attr-defined]
    runs = []
    for _ in range(2):
        task, actions = SimulatorTask(world, 5), world.action_space.n  # type: ignore[attr-defined]
        seen, total = [task.reset(3)], torch.zeros(5)
        for step in range(60):
            result = task.step((torch.arange(5) + step) % actions)
            seen.append(result.observation)
            total += result.reward
            assert task.observation_space.contains(result.observation[0].numpy())
        runs.append((torch.stack(seen), total))
    assert torch.equal(runs[0][0], runs[1][0])
    assert torch.equal(runs[0][1], runs[1][1])


@pytest.mark.parametrize("name", GAMES)
def test_lanes_do_not_know_of_each_other(name: str):
    game, rng, picks = worlds.simulator(name, {}), generator(1, "noise"), generator(2, "actions")
    state = game.initial(6, rng)
    alone = [_lane(state, lane) for lane in range(6)]
    for step in range(120):
        noise = game.draw(6, step, rng)
        action = torch.randint(game.action_space.n, (6,), generator=picks)  # type: ignore[attr-defined]
        kept = deepcopy(state)
        post, reward = game.decide(state, action)
        assert all(torch.equal(*pair) for pair in zip(leaves(state), leaves(kept), strict=True))
        state, rest, over = game.resolve(post, noise)
        for lane in range(6):
            post, ours = game.decide(alone[lane], action[lane : lane + 1])
            alone[lane], more, ends = game.resolve(post, _lane(noise, lane))
            assert torch.equal(torch.cat((ours, more, ends)), torch.stack((reward[lane], rest[lane], over[lane])))
            assert all(torch.equal(*pair) for pair in zip(leaves(alone[lane]), leaves(_lane(state, lane)), strict=True))
        state = choose(over, game.initial(6, rng), state)  # who ended begins again
        alone = [_lane(state, lane) if over[lane] else alone[lane] for lane in range(6)]


def _lane(state: Any, lane: int) -> Any:
    return rebuilt(state, iter([leaf[lane : lane + 1] for leaf in leaves(state)]))


@pytest.mark.parametrize("name", GAMES)
def test_the_horizon_truncates_and_a_task_goes_on_from_its_state(name: str):
    task = worlds.make(name, {"horizon": 4}, lanes=3)
    again = worlds.make(name, {"horizon": 4}, lanes=3)
    task.reset(0)
    again.reset(7)
    steps = [task.step(torch.full((3,), step % 3)) for step in range(4)]
    assert [step.truncated.all().item() for step in steps] == [False, False, False, True]
    assert load_task_state(again, task_state(task))
    for step in range(9):
        here, there = task.step(torch.full((3,), step % 3)), again.step(torch.full((3,), step % 3))
        assert torch.equal(here.observation, there.observation)
        assert torch.equal(here.reward, there.reward)


def test_a_sticky_action_is_the_last_one_again():
    game = Breakout(sticky=1.0)
    state = game.initial(2, generator(0, "start"))
    post, _ = game.decide(state, torch.tensor([1, 2]))
    assert post.state.paddle.tolist() == [4, 4]
    cannon = SpaceInvaders(sticky=1.0)
    state, _ = cannon.decide(cannon.initial(2, generator(0, "start")), torch.tensor([1, 3]))[0]
    assert state.cannon.tolist() == [5, 5]
    assert not state.shots.any()
    with pytest.raises(InputError, match="sticky"):
        Freeway(sticky=2.0)
    with pytest.raises(InputError, match="horizon"):
        Breakout(0)
