"""DDPG, TD3 and DQN: their terms, their targets, and that they learn only with them."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch import nn

from blocks.small_worlds import Corridor, Match, Steer, stream, task
from livepapers.blocks import deterministic_policy_gradient as dpg
from livepapers.blocks import q_learning
from livepapers.blocks.deterministic_policy_gradient import DeterministicPolicyGradient, follow
from livepapers.blocks.policies import ActionValue, BoxPolicy, QPolicy
from livepapers.blocks.q_learning import QLearning
from livepapers.core import checkpoint
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError

TD3 = dpg.Config(
    steps=4, updates_per_step=0.25, batch=64, capacity=2000, actor_rate=3e-3, critic_rate=1e-2, discount=0.5,
    warm_up=64, critic_target_rate=0.05, actor_target_rate=0.05,
)  # fmt: skip
DQN = q_learning.Config(
    steps=8, updates_per_step=0.25, capacity=4000, learning_rate=5e-3, discount=0.95, target_every=40,
    explore_over=3000, warm_up=64,
)  # fmt: skip


def td3(config: dpg.Config = TD3, *, critics: int = 2, seed: int = 0, **options: Any) -> DeterministicPolicyGradient:
    where = task(Steer, 8)
    assert isinstance(where.action_space, Box)
    actor = BoxPolicy(where.observation_space, where.action_space, hidden=(16,), generator=stream("actor", seed))
    nets = [
        ActionValue(where.observation_space, where.action_space, hidden=(32,), generator=stream(f"critic {i}", seed))
        for i in range(critics)
    ]
    return DeterministicPolicyGradient(where, actor, nets, config=config, seed=seed, **options)


def dqn(config: q_learning.Config = DQN, *, world: type = Corridor, dueling: bool = False, seed: int = 0) -> QLearning:
    where = task(world, 8)
    network = QPolicy(
        where.observation_space, where.action_space, hidden=(32,), dueling=dueling, generator=stream("network", seed)
    )
    return QLearning(where, network, config=config, seed=seed)


def reward_of(learner: Any, updates: int) -> float:
    for _ in range(updates):
        learner.update()
    policy, where = learner.policy(), learner.task
    observation, total = where.reset(99), 0.0
    for _ in range(40):
        step = where.step(policy(observation))
        total, observation = total + float(step.reward.mean()) / 40, step.observation
    return total


@pytest.mark.parametrize("critics", [1, 2])
def test_deterministic_gradients_learn_to_steer(critics: int):
    assert reward_of(td3(critics=critics), 60) > -0.05


def test_an_actor_that_never_moves_does_not():
    learner = td3(replace(TD3, actor_frozen_for=10_000))
    before = [value.clone() for value in learner.actor.parameters()]
    assert reward_of(learner, 60) < -0.2
    assert all(torch.equal(a, b) for a, b in zip(before, learner.actor.parameters(), strict=True))


def test_the_goal_is_the_smaller_target_value_after_a_smoothed_action():
    learner = td3(replace(TD3, target_noise=0.0, discount=0.9))

    class Constant(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return self.value + 0.0 * action[:, 0]

    learner.targets["critics"] = nn.ModuleList([Constant(3.0), Constant(2.0)])
    batch = {
        "following": torch.zeros(2, 1), "reward": torch.tensor([1.0, 1.0]), "terminated": torch.tensor([False, True]),
    }  # fmt: skip
    assert learner.goal(batch).tolist() == pytest.approx([1.0 + 0.9 * 2.0, 1.0])
    learner.config = replace(learner.config, target_bounds=(0.0, 1.5))
    assert learner.goal(batch).tolist() == pytest.approx([1.5, 1.0])


def test_the_actor_waits_and_targets_follow_at_their_own_rates():
    config = replace(TD3, policy_delay=3, actor_target_rate=1.0, critic_target_rate=0.25, warm_up=0, steps=1)
    learner = td3(config)
    started = [value.clone() for value in learner.targets["critics"].parameters()]
    for _ in range(4):
        learner.update()
    assert learner.work() == {"environment_steps": 32, "gradient_steps": 8, "actor_steps": 2}
    target: Any = learner.targets["actor"]
    assert all(torch.equal(a, b) for a, b in zip(target.parameters(), learner.actor.parameters(), strict=True))
    moved = learner.targets["critics"].parameters()
    assert any(not torch.equal(a, b) for a, b in zip(started, moved, strict=True))
    slow, fast = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        slow.weight.fill_(0.0)
        fast.weight.fill_(8.0)
    follow(slow, fast, rate=0.25)
    assert slow.weight.item() == 2.0


def test_exploration_comes_in_by_argument_and_is_uniform_while_warming_up():
    own = td3(explore=lambda observation, action, generator: torch.full_like(action, 42.0))
    own.update()
    assert bool((own.experience.replay.sample(50, stream())["action"] == 10.0).all()), "clipped to the box"
    learner = td3(replace(TD3, warm_up=2000, steps=200))
    learner.update()
    action = learner.experience.replay.sample(2000, stream())["action"]
    assert float(action.mean()) == pytest.approx(5.0, abs=0.3)
    assert float(action.std()) == pytest.approx(10 / 12**0.5, abs=0.2)


@pytest.mark.parametrize("dueling", [False, True])
def test_q_learning_walks_the_corridor(dueling: bool):
    assert reward_of(dqn(dueling=dueling), 90) > 0.15


def test_without_a_next_state_it_stays_where_it_is():
    assert reward_of(dqn(replace(DQN, discount=0.0)), 90) < 0.05


def test_the_double_target_values_the_networks_choice():
    learner = dqn(replace(DQN, double=True))
    learner.network = lambda observation: torch.tensor([[5.0, 1.0], [0.0, 1.0]])  # type: ignore[assignment]
    learner.target = lambda observation: torch.tensor([[2.0, 7.0], [2.0, 7.0]])  # type: ignore[assignment]
    batch = {"following": torch.zeros(2, 6), "terminated": torch.tensor([False, False])}
    assert learner._following(batch).tolist() == [2.0, 7.0]
    learner.config = replace(learner.config, double=False)
    assert learner._following(batch).tolist() == [7.0, 7.0]
    batch["mask"] = torch.tensor([[True, False], [True, True]])
    assert learner._following(batch).tolist() == [2.0, 7.0]
    batch["terminated"] = torch.tensor([True, False])
    assert learner._following(batch).tolist() == [0.0, 7.0]


def test_a_dueling_network_splits_value_and_advantage():
    network = dqn(dueling=True).network
    values = network(torch.eye(6))
    raw = network.network(torch.eye(6))  # type: ignore[operator]
    assert torch.allclose(values.mean(1), raw[:, 0], atol=1e-6)


def test_random_actions_fade_in_a_line():
    learner = dqn()
    learner.experience.steps = 1500
    assert learner.exploration == pytest.approx((1.0 + 0.05) / 2)
    learner.experience.steps = 10**9
    assert learner.exploration == pytest.approx(0.05)


@pytest.mark.parametrize("make", [td3, dqn])
def test_resumed_value_learners_are_bitwise_the_uninterrupted_ones(make: Any, tmp_path):
    whole, first, second = make(), make(), make(seed=1)
    expected = [whole.update() for _ in range(8)]
    for _ in range(5):
        first.update()
    checkpoint.save_state(tmp_path / "state", first.state_dict())
    second.update()
    before = second.state_dict()
    with pytest.raises((CorruptFileError, KeyError)):
        second.load_state_dict({**first.state_dict(), "experience": {}})
    assert torch.equal(second.state_dict()["actions"], before["actions"])
    second.load_state_dict(checkpoint.load_state(tmp_path / "state"))
    assert [second.update() for _ in range(3)] == expected[5:]
    assert whole.work() == second.work()


def test_unfit_spaces_are_refused():
    with pytest.raises(InputError, match="box with bounds"):
        DeterministicPolicyGradient(task(Match), nn.Identity(), [nn.Identity()], config=TD3, seed=0)
    with pytest.raises(InputError, match="Discrete"):
        QLearning(task(Steer), nn.Identity(), config=DQN, seed=0)
    with pytest.raises(InputError, match="DDPG"):
        td3(critics=0)


def test_a_critic_that_forgets_to_squeeze_is_refused_instead_of_broadcast():
    class Column(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 1)

        def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return self.inner(torch.cat([observation, action], 1))

    given = td3()
    config = replace(TD3, warm_up=0)
    learner = DeterministicPolicyGradient(given.task, given.actor, [Column()], config=config, seed=0)
    with pytest.raises(InputError, match="squeeze"):
        learner.update()


def test_the_actors_loss_is_a_mean_over_its_own_steps():
    for delay in (1, 4):
        learner = td3(replace(TD3, policy_delay=delay, steps=8, warm_up=0))
        measured: list[float] = []
        learn = learner.learn
        learner.learn = lambda batch: (found := learn(batch), measured.append(found[1]))[0]  # type: ignore[method-assign]  # noqa: B023
        reported = learner.update()["actor_loss"]
        moved = [loss for loss in measured if loss]
        assert len(moved) == len(measured) // delay
        assert reported == pytest.approx(sum(moved) / len(moved))


def test_nothing_to_train_is_refused_and_an_unused_parameter_is_not():
    learner = td3()
    with pytest.raises(InputError, match="actor: got no parameter"):
        DeterministicPolicyGradient(
            learner.task, learner.actor.requires_grad_(False), list(learner.critics), config=TD3, seed=0
        )
    walker = dqn()
    with pytest.raises(InputError, match="network: got no parameter"):
        QLearning(walker.task, walker.network.requires_grad_(False), config=DQN, seed=0)
    spare = td3()
    spare.critics[0].register_parameter("spare", nn.Parameter(torch.zeros(1)))
    made = DeterministicPolicyGradient(
        spare.task, spare.actor, list(spare.critics), config=replace(TD3, warm_up=0), seed=0
    )
    made.update()


def test_whole_numbers_and_endless_boxes_are_refused_and_a_side_without_width_is_not():
    with pytest.raises(InputError, match="real numbers"):
        ActionValue(Box(-1, 1, (2,)), Box(0, 10, (1,), np.int32), hidden=(4,), generator=stream())
    for edge in (np.inf, float(np.finfo(np.float32).max)):
        with pytest.raises(InputError, match="bounds within"):
            ActionValue(Box(-1, 1, (2,)), Box(-edge, edge, (1,)), hidden=(4,), generator=stream())
    low, high = np.array([-1.0, 3.0], np.float32), np.array([1.0, 3.0], np.float32)
    value = ActionValue(Box(-1, 1, (2,)), Box(low, high), hidden=(4,), generator=stream())
    assert bool(value(torch.zeros(1, 2), torch.tensor([[0.5, 3.0]])).isfinite().all())


@pytest.mark.parametrize("make", [td3, dqn])
def test_a_state_is_a_snapshot_and_the_configured_rate_holds_after_loading(make: Any):
    learner = make()
    for _ in range(30):
        learner.update()
    kept = learner.state_dict()
    expected = [learner.update() for _ in range(5)]
    learner.load_state_dict(kept)
    assert [learner.update() for _ in range(5)] == expected
