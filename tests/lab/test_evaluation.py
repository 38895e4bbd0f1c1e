"""Policies act only in worlds they fit, and what was opened for them is closed again."""

from typing import Any

import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from torch import Tensor, nn

from livepapers.core.artifact import Artifact
from livepapers.core.errors import InputError
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
