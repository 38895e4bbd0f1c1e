"""Policies of any origin act through one door."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor, nn

from livepapers.blocks.policies import GreedyPolicy, QPolicy
from livepapers.blocks.policy_door import as_policy, frames_of
from livepapers.core.errors import InputError

SEEN, ACTIONS = Box(-1.0, 1.0, (4,), np.float32), Discrete(2)


class Agent:
    """As Stable-Baselines3 has them."""

    observation_space, action_space = SEEN, ACTIONS

    def predict(self, observation: np.ndarray, *, deterministic: bool) -> tuple[np.ndarray, None]:
        assert deterministic
        return (observation[:, 0] > 0).astype(np.int64), None


def test_functions_modules_and_agents_give_the_same_actions():
    seen = torch.linspace(-1.0, 1.0, 12).reshape(3, 4)

    class First(nn.Module):
        def forward(self, seen: Tensor) -> Tensor:
            return (seen[:, 0] > 0).long()

    answers = [as_policy(each).act(seen, None) for each in (First(), First().forward, Agent())]
    assert all(torch.equal(each, answers[0]) for each in answers)
    assert as_policy(Agent()).shape == (4,)
    assert as_policy(Agent()).actions == ACTIONS
    assert as_policy(First()).values is None


def test_preferences_of_actions_can_be_differentiated():
    seen = torch.zeros(2, 4, requires_grad=True)
    for policy in (
        QPolicy(SEEN, ACTIONS, hidden=(3,)),
        GreedyPolicy(SEEN, ACTIONS, hidden=(3,), activation="tanh", normalise=True).eval(),
    ):
        values = as_policy(policy).values
        assert values is not None
        found = values(seen)
        assert found.shape == (2, 2)
        assert torch.equal(found.argmax(1), policy(seen))
        assert torch.autograd.grad(found.sum(), seen)[0].shape == seen.shape


def test_frames_are_counted_from_the_shapes():
    stacked = as_policy(QPolicy(Box(-1.0, 1.0, (5, 4), np.float32), ACTIONS))
    flat = as_policy(QPolicy(Box(-1.0, 1.0, (20,), np.float32), ACTIONS))
    assert frames_of(stacked, SEEN) == frames_of(flat, SEEN) == 5
    assert frames_of(as_policy(Agent()), SEEN) == 1
    with pytest.raises(InputError, match="made for another world"):
        frames_of(stacked, Box(-1.0, 1.0, (3,), np.float32))


def test_what_is_no_policy_is_refused(tmp_path: Path):
    for bad in (3, "nowhere", tmp_path / "nothing.onnx"):
        with pytest.raises(InputError):
            as_policy(bad)
    with pytest.raises(InputError, match="evaluation mode"):
        as_policy(nn.Sequential(nn.Dropout(0.5)))

    class OfStates(nn.Module):
        takes = "state"

    with pytest.raises(InputError, match="policy of observations"):
        as_policy(OfStates())
