"""The batched cart-pole is Gymnasium's, step for step."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core.compiling import missing_compiler
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.tasks import worlds
from livepapers.tasks.cart_pole import CartPole, CartPoleState
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import GymnasiumTask, SimulatorEnv, SimulatorTask, SimulatorVectorEnv


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.2, 0.8))
def test_every_state_is_that_of_gymnasium(seed: int, right: float):
    theirs = gymnasium.make("CartPole-v1").unwrapped
    first, _ = theirs.reset(seed=seed)
    ours, stream = CartPole(), np.random.default_rng(seed)
    state = CartPoleState(*torch.from_numpy(first)[:, None])
    for _ in range(300):
        action = int(stream.random() < right)
        expected, reward, terminated, _, _ = theirs.step(action)
        post, paid = ours.decide(state, torch.tensor([action]))
        state, rest, over = ours.resolve(post, ours.draw(1, 0, generator(0)))
        assert np.allclose(ours.observe(state)[0], expected, rtol=1e-4, atol=2e-5)
        assert float(paid + rest) == reward
        assert bool(over) == terminated
        if terminated:
            break
    else:
        pytest.fail("random pushes never threw the pole over")


def test_starts_are_as_wide_as_gymnasiums_and_spaces_are_the_same():
    ours, theirs = CartPole(), gymnasium.make("CartPole-v1")
    start = ours.observe(ours.initial(10_000, generator(0)))
    assert float(start.abs().max()) <= 0.05
    assert torch.allclose(start.std(0), torch.tensor(0.1 / 12**0.5), rtol=0.03)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert theirs.spec is not None
    assert ours.horizon == theirs.spec.max_episode_steps


@pytest.mark.filterwarnings("ignore:.*infinity")  # the bounds are Gymnasium's own
def test_it_passes_gymnasiums_checker_through_the_adapters():
    assert isinstance(CartPole(), Simulator)
    check_env(SimulatorEnv(CartPole()), skip_render_check=True)
    env = SimulatorVectorEnv(CartPole(), 3)
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)


def test_a_task_that_was_put_back_goes_on_bit_for_bit():
    whole, other = SimulatorTask(CartPole(), 8), SimulatorTask(CartPole(), 8)
    whole.reset(5)
    actions = torch.randint(0, 2, (80, 8), generator=generator(1))
    for action in actions[:40]:
        whole.step(action)
    other.load_state_dict(whole.state_dict())
    for action in actions[40:]:
        ours, theirs = whole.step(action), other.step(action)
        assert all(torch.equal(a, b) for a, b in zip(ours[:5], theirs[:5], strict=True))


def test_worlds_are_made_by_name_and_other_names_are_refused():
    task = worlds.make("cart-pole", {}, lanes=4)
    assert task.reset(0).shape == (4, 4)
    assert isinstance(worlds.make("gymnasium:CartPole-v1", {}, lanes=2), GymnasiumTask)
    with pytest.raises(InputError, match="cart-pole"):
        worlds.make("os:system", {})
    with pytest.raises(InputError, match="arguments"):
        worlds.make("cart-pole", {"size": 3})
    with pytest.raises(InputError, match="NoSuch"):
        worlds.make("gymnasium:NoSuch-v0", {})


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_a_compiled_step_is_the_step():
    if missing := missing_compiler():
        pytest.skip(f"torch.compile cannot work here: {missing}")
    plain, compiled, stream = (
        SimulatorTask(CartPole(), 32),
        SimulatorTask(CartPole(), 32, compiled="always"),
        generator(0),
    )
    assert torch.equal(plain.reset(5), compiled.reset(5))
    ended = 0
    for _ in range(40):  # long enough for falls and restarts, too short for chaos to blow roundings up
        action = torch.randint(0, 2, (32,), generator=stream)
        mine, its = plain.step(action), compiled.step(action)
        for one, other in zip(mine[:5], its[:5], strict=True):
            assert torch.allclose(one.float(), other.float(), atol=1e-4)
        ended += int(mine.terminated.sum())
    assert ended > 10
    with pytest.raises(CorruptFileError, match="compiled"):
        plain.load_state_dict(compiled.state_dict())
