"""Policies act only in worlds they fit, and what was opened for them is closed again."""

import contextlib
from typing import Any

import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from gymnasium.vector import SyncVectorEnv
from torch import Tensor, nn

from livepapers.core.artifact import Artifact
from livepapers.core.errors import InputError
from livepapers.lab import evaluation
from livepapers.lab.evaluation import SavedPolicy, check_fit, evaluate
from livepapers.tasks import worlds
from livepapers.tasks.cart_pole import CartPole


class Always(nn.Module):
    """Takes one action, and says as much of its spaces as it is told to."""

    def __init__(self, action: int, *, observes: Space | None = None, acts: Space | None = None) -> None:
        super().__init__()
        self.action, self.observation_space, self.action_space = action, observes, acts

    def forward(self, observation: Tensor) -> Tensor:
        return torch.full((len(observation),), self.action)


def saved(policy: nn.Module, task: Any = None) -> SavedPolicy:
    spaces: dict[str, Any] = {} if task is None else {"task": task}
    return SavedPolicy(Artifact("policy", "pdppo", type(policy).__name__, {}, {}, spaces=spaces), policy)


SEEN = CartPole().observation_space


@pytest.mark.parametrize("env", ["cart-pole", "CartPole-v1"])
@pytest.mark.parametrize("acts", [Discrete(6), Discrete(2, start=1), MultiDiscrete([2]), Box(0, 1, ())], ids=str)
def test_a_world_with_other_actions_is_refused(env: str, acts: Space):
    policy = saved(Always(1, observes=SEEN, acts=acts))
    with pytest.raises(InputError, match=r"^world: got action space Discrete\(2\), expected that of the policy"):
        evaluate(policy, episodes=1, seed=0, env=env)


@pytest.mark.parametrize(
    ("made", "here"),
    [
        (MultiDiscrete([2, 3]), MultiDiscrete([2, 4])),
        (MultiDiscrete([2, 2], start=[0, 1]), MultiDiscrete([2, 2])),
    ],
)
def test_parts_of_actions_are_told_apart(made: Space, here: Space):
    task = worlds.make("cart-pole", {})
    task.action_space = here
    check_fit(saved(Always(1, observes=SEEN, acts=here)), task, world="two parts")
    with pytest.raises(InputError, match="action space MultiDiscrete"):
        check_fit(saved(Always(1, observes=SEEN, acts=made)), task, world="two parts")


@pytest.mark.parametrize("env", ["cart-pole", "CartPole-v1"])
def test_no_action_is_taken_that_the_world_does_not_have(env: str):
    policy = saved(Always(5, observes=SEEN))
    with pytest.raises(InputError, match=r"^policy: got Always, which took action 5, expected actions of Discrete"):
        evaluate(policy, episodes=1, seed=0, env=env)


def test_the_policys_own_world_keeps_its_arguments_by_whatever_way_it_is_named():
    policy = saved(Always(1, observes=SEEN), {"name": "cart-pole", "arguments": {"horizon": 3}})
    whole, own, named = (
        evaluate(policy, episodes=2, seed=0, env=env).lengths.tolist() for env in ("CartPole-v1", None, "cart-pole")
    )
    assert own == named == [3, 3]
    assert min(whole) > 3
    theirs = saved(Always(1), {"name": "gymnasium:CartPole-v1", "arguments": {"max_episode_steps": 4}})
    assert evaluate(theirs, episodes=1, seed=0, env="CartPole-v1").lengths.tolist() == [4]


@pytest.mark.parametrize("action", [1, 5], ids=["played", "refused"])
def test_environments_are_closed_behind_an_evaluation(action: int, monkeypatch: pytest.MonkeyPatch):
    closed: list[int] = []
    monkeypatch.setattr(evaluation, "ENVIRONMENTS", 2)
    monkeypatch.setattr(SyncVectorEnv, "close_extras", lambda env, **_: closed.append(env.num_envs))
    policy = saved(Always(action, observes=SEEN), {"name": "gymnasium:CartPole-v1", "arguments": {}})
    with contextlib.nullcontext() if action == 1 else pytest.raises(InputError):
        evaluate(policy, episodes=5, seed=0)
    assert closed == ([2, 2, 1] if action == 1 else [2])
