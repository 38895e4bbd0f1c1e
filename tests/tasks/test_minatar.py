"""MinAtar's games, batched: beside the package where it is installed, and by their rules."""

from typing import Any

import pytest
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.tasks import worlds
from livepapers.tasks.minatar import Breakout, Freeway, FreewayNoise
from livepapers.tasks.vector import SimulatorTask


def _package(game: str) -> Any:
    pytest.importorskip("minatar")
    from minatar import Environment  # type: ignore[import-not-found]

    env = Environment(game, sticky_action_prob=0.0)
    env.reset()
    return env.env


def _seen(theirs: Any) -> Tensor:
    return torch.from_numpy(theirs.state()).permute(2, 0, 1).float()


def test_breakout_is_the_packages_game_step_by_step():
    theirs, ours = _package("breakout"), Breakout(sticky=0.0)
    bricks = episodes = 0
    actions = numpy_generator(0, "test", "actions")
    for episode in range(12):
        theirs.reset()
        state = ours.initial(1, generator(episode, "start"))
        theirs.ball_x = theirs.last_x = int(state.x)
        theirs.ball_dir = int(state.direction)
        for _ in range(250):
            goal = min(max(theirs.ball_x + (1 if theirs.ball_dir in (1, 2) else -1), 0), 9)
            follow = 0 if theirs.pos == goal else 1 if theirs.pos > goal else 2
            action = int(actions.integers(3)) if actions.random() < 0.05 else follow
            paid, over = theirs.act([0, 1, 3][action])
            post, reward = ours.decide(state, torch.tensor([action]))
            state, rest, terminated = ours.resolve(post, torch.zeros(1, dtype=torch.bool))
            assert (float(reward + rest), bool(terminated)) == (paid, over)
            if over:
                episodes += 1
                break
            assert torch.equal(ours.observe(state)[0], _seen(theirs))
            bricks += paid
    assert bricks > 60
    assert episodes > 3


def test_freeway_is_the_packages_game_step_by_step():
    theirs, ours = _package("freeway"), Freeway(sticky=0.0)
    state = ours.initial(1, generator(0, "start"))
    theirs.cars = [[0, row + 1, int(abs(s)), int(s)] for row, s in enumerate(state.speed[0])]
    actions, crossings, hits = numpy_generator(0, "test", "actions"), 0, 0
    stream = generator(1, "noise")
    for _ in range(900):
        action = 1 if actions.random() < 0.8 else int(actions.integers(3))
        noise = ours.draw(1, 0, stream)
        theirs._randomize_cars = lambda initialize, speeds=noise.speed[0]: [
            car.__setitem__(slice(2, 4), [int(abs(s)), int(s)]) for car, s in zip(theirs.cars, speeds, strict=True)
        ]
        before = theirs.pos
        paid, _ = theirs.act([0, 2, 4][action])
        post, reward = ours.decide(state, torch.tensor([action]))
        state, rest, _ = ours.resolve(post, FreewayNoise(torch.zeros(1, dtype=torch.bool), noise.speed))
        assert float(reward + rest) == paid
        assert torch.equal(ours.observe(state)[0], _seen(theirs))
        crossings += paid
        hits += theirs.pos == 9 and before < 8 and not paid
    assert crossings > 1
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
