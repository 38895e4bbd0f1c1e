"""Advantages meet their definitions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from blocks.small_worlds import stream
from livepapers.blocks.advantages import generalised_advantages, group_relative, returns_to_go, standardise


def world(steps: int, lanes: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    drawn = stream("world", seed)
    reward, value, following = torch.randn(3, steps, lanes, generator=drawn, dtype=torch.float64)
    terminated = torch.rand(steps, lanes, generator=drawn) < 0.15
    ended = terminated | (torch.rand(steps, lanes, generator=drawn) < 0.15)
    return reward, value, following, terminated, ended


@given(st.integers(0, 12), st.integers(1, 4), st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_generalised_advantages_meet_their_definition(steps: int, lanes: int, seed: int, discount: float, trace: float):
    reward, value, following, terminated, ended = world(steps, lanes, seed)
    expected = torch.zeros(steps, lanes, dtype=torch.float64)
    for n in range(lanes):
        for t in range(steps):
            weight = 1.0
            for k in range(t, steps):
                bootstrap = 0.0 if terminated[k, n] else discount * float(following[k, n])
                expected[t, n] += weight * (float(reward[k, n]) + bootstrap - float(value[k, n]))
                weight *= discount * trace
                if ended[k, n]:
                    break
    made = generalised_advantages(reward, value, following, terminated, ended, discount=discount, trace=trace)
    assert torch.allclose(made, expected, atol=1e-10)


def test_trace_one_and_no_discount_give_monte_carlo_returns():
    reward, value, _, terminated, ended = world(30, 5, 1)
    terminated[-1] = ended[-1] = True
    ended = terminated
    following = torch.cat([value[1:], torch.zeros(1, 5)])
    made = generalised_advantages(reward, value, following, terminated, ended, discount=1.0, trace=1.0)
    assert torch.allclose(made + value, returns_to_go(reward, ended, discount=1.0), atol=1e-10)


def test_trace_zero_gives_one_step_differences():
    reward, value, following, terminated, ended = world(9, 3, 2)
    made = generalised_advantages(reward, value, following, terminated, ended, discount=0.9, trace=0.0)
    assert torch.allclose(made, reward + 0.9 * torch.where(terminated, 0.0, following) - value)


def test_returns_stop_at_ends_and_bootstrap_behind_the_last_step():
    reward = torch.ones(4, 1)
    ended = torch.tensor([[False], [True], [False], [False]])
    made = returns_to_go(reward, ended, discount=0.5, bootstrap=torch.tensor([8.0]))
    assert made.flatten().tolist() == [1.5, 1.0, 3.5, 5.0]
    ended[-1] = True
    assert returns_to_go(reward, ended, discount=0.5, bootstrap=torch.tensor([8.0]))[-1].item() == 1.0


def test_standardised_numbers_have_mean_zero_and_deviation_one():
    x = standardise(5.0 + 3.0 * torch.randn(4, 100, generator=stream(), dtype=torch.float64))
    assert float(x.mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(x.std(correction=0)) == pytest.approx(1.0)
    assert bool((standardise(torch.full((7,), 2.0)) == 0).all())


def test_rewards_are_compared_within_their_group():
    reward, group = torch.tensor([1.0, 3.0, 10.0, 5.0, 6.0, 10.0]), torch.tensor([7, 7, -2, 0, 0, 0])
    assert torch.allclose(group_relative(reward, group, scale=False), torch.tensor([-1.0, 1.0, 0.0, -2.0, -1.0, 3.0]))
    scaled = group_relative(reward, group)
    assert torch.allclose(scaled[:2], torch.tensor([-1.0, 1.0]))
    assert torch.allclose(scaled[3:], standardise(torch.tensor([5.0, 6.0, 10.0])))
    assert scaled[2].item() == 0.0, "a group of one has nothing to compare with"
    assert bool((group_relative(reward, group, fewest=3)[:3] == 0).all())
    assert group_relative(reward[:0], group[:0]).shape == (0,)
