"""Goal-conditioned policies by hindsight: they learn to reach, they resume, they sample by a reward."""

import pytest
import torch

from livepapers.baselines.goal_conditioned import GoalConditioned, reached
from livepapers.core.errors import CorruptFileError
from livepapers.core.rng import generator
from livepapers.tasks.constructions import Strings


def _rival(seed: int = 0) -> GoalConditioned:
    return GoalConditioned(Strings("AB", 3), batch=16, hidden=32, learning_rate=1e-2, epsilon=0.05, seed=seed)


def test_goals_are_reached_after_a_short_training_and_sampled_by_their_reward() -> None:
    rival = _rival()
    goals = torch.cartesian_prod(*[torch.arange(2)] * 3)
    for _ in range(120):
        rival.update()
    assert reached(rival.attempt(goals.repeat(25, 1), generator=generator(0, "attempts")), goals.repeat(25, 1)) > 0.9
    reward = torch.tensor([8.0, 1, 1, 1, 1, 1, 1, 2]).log()
    drawn = rival.sample(2000, reward, goals, generator=generator(0, "samples"))
    share = torch.bincount(drawn @ torch.tensor([4, 2, 1]), minlength=8) / 2000
    assert float((share - reward.softmax(dim=0)).abs().max()) < 0.08


def test_a_resumed_training_is_bitwise_the_uninterrupted_one() -> None:
    whole, cut, resumed = _rival(), _rival(), _rival()
    for _ in range(4):
        whole.update()
    for _ in range(2):
        cut.update()
    resumed.load_state_dict(cut.state_dict())
    for _ in range(2):
        resumed.update()
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name])
    assert resumed.work() == whole.work()
    with pytest.raises(CorruptFileError, match="goal-conditioned"):
        resumed.load_state_dict({})
