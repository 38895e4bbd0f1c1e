"""The batched mountain car is Gymnasium's, step for step; observations can be stacked and made noisy."""

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
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.mountain_car import CENTRE, SPREAD, MountainCar, MountainCarState
from livepapers.tasks.observations import NoisyObservations, StackedObservations
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import SimulatorEnv


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.0, 60.0))
def test_every_state_is_that_of_gymnasium(seed: int, eager: float):
    theirs = gymnasium.make("MountainCarContinuous-v0").unwrapped
    first, _ = theirs.reset(seed=seed)
    ours, stream = MountainCar(), np.random.default_rng(seed)
    state = MountainCarState(*torch.from_numpy(first)[:, None])
    for _ in range(400):
        action = np.clip(eager * state.speed.numpy() + stream.normal(0.0, 0.3, 1), -1.0, 1.0).astype(np.float32)
        expected, reward, terminated, _, _ = theirs.step(action)
        post, paid = ours.decide(state, torch.from_numpy(action)[None])
        state, rest, over = ours.resolve(post, ours.draw(1, 0, generator(0)))
        assert np.allclose(ours.observe(state)[0], expected, atol=2e-5)
        assert float(paid + rest) == pytest.approx(float(reward), abs=1e-5)
        assert bool(over) == terminated
        if terminated:
            break


def test_a_return_is_positive_exactly_when_the_flag_was_reached():
    longest, dearest = MountainCar.horizon, 0.1
    assert 100.0 - longest * dearest > 0.0
    assert MountainCar.return_bounds[0] <= -longest * dearest


def test_scaled_observations_have_unit_variance_on_the_ranges():
    place, speed = torch.linspace(-1.2, 0.6, 2001), torch.linspace(-0.07, 0.07, 2001)
    seen = MountainCar(scaled=True).observe(MountainCarState(place, speed))
    assert torch.allclose(seen.mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(seen.std(0), torch.ones(2), rtol=2e-3)
    plain = MountainCar().observe(MountainCarState(place, speed))
    assert torch.allclose(seen * torch.tensor(SPREAD) + torch.tensor(CENTRE), plain, atol=1e-6)


def test_it_passes_gymnasiums_checker_and_has_a_name():
    assert isinstance(MountainCar(), Simulator)
    check_env(SimulatorEnv(MountainCar()), skip_render_check=True)
    assert worlds.make("mountain-car", {"scaled": True}, lanes=3).reset(0).shape == (3, 2)


def test_stacks_begin_with_zeros_and_end_with_the_present():
    task = worlds.make("stacked", {"world": "cart-pole", "arguments": {"horizon": 9}, "frames": 3}, lanes=2)
    first = task.reset(0)
    step = task.step(torch.tensor([0, 1]))
    assert float(first[:, :2].abs().max()) == 0.0
    assert torch.equal(step.observation[:, 1], first[:, 2])
    assert task.observation_space.shape == (3, 4)
    assert isinstance(StackedObservations(CartPole(), 2), Simulator)


def test_noise_is_added_to_what_is_seen_and_to_nothing_else():
    plain, noisy = CartPole(20), NoisyObservations(CartPole(20), 0.5)
    state = noisy.initial(20_000, generator(0))
    drawn = noisy.observe(state) - plain.observe(state.inner)
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.02)
    post, _ = noisy.decide(state, torch.zeros(20_000))
    after, _, over = noisy.resolve(post, noisy.draw(20_000, 0, generator(1)))
    expected, _ = plain.decide(state.inner, torch.zeros(20_000))
    assert torch.equal(after.inner.angle, expected.angle)
    assert not bool(over.any())


def test_wrappers_and_horizons_that_cannot_be_are_refused():
    for make in (
        lambda: NoisyObservations(CartPole(), -1.0), lambda: StackedObservations(CartPole(), 0),
        lambda: CartPole(0), lambda: worlds.make("stacked", {"world": "stacked", "arguments": {}, "frames": 2}),
        lambda: worlds.simulator("os:system", {}),
    ):  # fmt: skip
        with pytest.raises(InputError):
            make()
