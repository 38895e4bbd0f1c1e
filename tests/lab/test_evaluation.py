"""Policies act only in worlds they fit, and what was opened for them is closed again."""

import contextlib
from typing import Any

import numpy as np
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
    with pytest.raises(
        InputError, match=r"^policy: got Always of pdppo, which took action 5, expected actions of Discrete"
    ):
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


class Agent:
    """As Stable-Baselines3 has them."""

    observation_space, action_space = SEEN, Discrete(2)

    def predict(self, observation: np.ndarray, *, deterministic: bool) -> tuple[np.ndarray, None]:
        assert deterministic
        return (observation[:, 2] > 0).astype(np.int64), None


class Upright(nn.Module):
    def forward(self, observation: Tensor) -> Tensor:
        return (observation[:, 2] > 0).long()


@pytest.mark.parametrize("env", ["cart-pole", "CartPole-v1"])
def test_policies_of_any_origin_are_evaluated_alike(env: str):
    kept = evaluate(saved(Upright(), None), episodes=8, seed=2, env=env)
    for source in (Upright(), Upright().forward, Agent()):
        assert evaluate(source, episodes=8, seed=2, env=env).returns.tolist() == kept.returns.tolist()
    with pytest.raises(InputError, match="name a world with --env"):
        evaluate(Upright(), episodes=1, seed=0)


def test_what_the_door_lets_in_has_to_fit_too():
    class Other(Agent):
        action_space = Discrete(6)

    with pytest.raises(InputError, match=r"observations of shape \(2,\), expected \(4,\), which the policy takes"):
        evaluate(Agent(), episodes=1, seed=0, env="mountain-car")
    with pytest.raises(InputError, match=r"action space Discrete\(2\), expected that of the policy, Discrete\(6\)"):
        evaluate(Other(), episodes=1, seed=0, env="cart-pole")
    with pytest.raises(InputError, match="which took action 5"):
        evaluate(Always(5), episodes=1, seed=0, env="cart-pole")
    with pytest.raises(InputError, match="policy: got 3"):
        evaluate(3, episodes=1, seed=0, env="cart-pole")


def test_a_policys_memory_begins_with_each_episode():
    class Counting(Upright):
        begun = 0

        def restart(self, lanes: Tensor) -> None:
            self.begun += int(lanes.sum())

    policy = Counting()
    evaluate(policy, episodes=3, seed=0, env="cart-pole")
    assert policy.begun == 3
