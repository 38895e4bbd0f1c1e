"""PPO: its identities, its bookkeeping, and that it learns only with its key terms."""

import math
from typing import Any

import gymnasium
import pytest
import torch
from torch import Tensor, nn

from blocks.small_worlds import Corridor, MaskedParts, Match, Place, Steer, stream, task
from livepapers.blocks import policy_optimisation
from livepapers.blocks.advantages import group_relative
from livepapers.blocks.policies import Normaliser
from livepapers.blocks.policy_optimisation import (
    METRICS,
    PPO,
    Estimate,
    Minibatch,
    Outputs,
    PPOConfig,
    actor_critic,
    clipped_surrogate,
    value_error,
)
from livepapers.blocks.rollouts import Rollout, collect
from livepapers.core import checkpoint
from livepapers.core.compiling import missing_compiler
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.tasks.vector import GymnasiumTask, Step

SMALL = PPOConfig(steps=16, epochs=4, minibatches=4, learning_rate=3e-3)


def ppo(world: type, config: PPOConfig = SMALL, *, lanes: int = 16, seed: int = 0, **options: Any) -> PPO:
    where = task(world, lanes)
    agent = actor_critic(where.observation_space, where.action_space, hidden=(16,), generator=stream("agent", seed))
    return PPO(where, agent, config=config, seed=seed, **options)


def mean_reward(learner: PPO, updates: int = 40) -> float:
    for _ in range(updates):
        learner.update()
    policy, where, total = learner.policy(), learner.task, 0.0
    observation = where.reset(99)
    for _ in range(40):
        step = where.step(policy(observation, where.mask()))
        total, observation = total + float(step.reward.mean()) / 40, step.observation
    return total


def test_the_surrogate_against_its_four_cases():
    before = torch.zeros(4, 1)
    log_prob = torch.log(torch.tensor([[1.5], [1.5], [0.5], [0.5]])).requires_grad_()
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0])
    made = clipped_surrogate(log_prob, before, advantage, low=0.2, high=0.28)
    assert made.item() == pytest.approx((1.28 - 1.5 + 0.5 - 0.8) / 4)
    made.backward()
    assert log_prob.grad is not None
    assert (log_prob.grad.flatten() != 0).tolist() == [False, True, True, False], "only what has gone too far is held"
    each = clipped_surrogate(torch.zeros(4, 2), torch.zeros(4, 2), torch.stack([advantage, 3 * advantage + 1], 1))
    assert each.item() == pytest.approx(0.5)


def test_the_ratio_is_one_before_the_first_gradient_step():
    for world in (Match, MaskedParts, Steer):
        learner = ppo(world, replace(SMALL, epochs=1, minibatches=1))
        for _ in range(3):  # later too, although the normaliser moves between updates
            metrics = learner.update()
            assert metrics["kl"] == pytest.approx(0.0, abs=1e-6)
            assert metrics["clipped"] == 0.0
            assert metrics["policy_loss"] == pytest.approx(0.0, abs=1e-5), "the mean standardised advantage"
            assert tuple(metrics) == METRICS


class Scripted:
    """Two lanes whose observation is the step's number; lane 0 terminates in step 1, lane 1 is truncated there."""

    lanes = 2
    observation_space: gymnasium.Space = gymnasium.spaces.Box(-100.0, 100.0, (1,))
    action_space: gymnasium.Space = gymnasium.spaces.Discrete(2)
    time = 0

    def reset(self, seed: int) -> Tensor:
        return torch.zeros(2, 1)

    def step(self, action: Tensor) -> Step:
        self.time += 1
        end = self.time == 2
        final = torch.full((2, 1), float(self.time))
        flags = torch.tensor([[end, False], [False, end]])
        return Step(torch.full((2, 1), -50.0) if end else final, torch.ones(2), flags[0], flags[1], final)

    def mask(self) -> None:
        return None


class Echo(nn.Module):
    """Its value is ten times the observation."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return self.weight.expand(len(observation), 2), 10.0 * observation[:, 0]


def test_truncated_episodes_bootstrap_from_their_last_state_and_terminated_ones_do_not():
    learner = PPO(Scripted(), Echo(), config=PPOConfig(steps=3, minibatches=1, discount=0.5, trace=0.0), seed=0)
    rollout, _ = collect(learner.task, learner._act, steps=3, generator=stream(), observation=torch.zeros(2, 1))
    advantage, target = learner.generalised(rollout)
    # step 0: 1 + 0.5 * 10 - 0; step 1: terminated 1 - 10, truncated 1 + 0.5 * 20 - 10; step 2: 1 + 0.5 * 30 + 500
    assert advantage.tolist() == [[6.0, 6.0], [-9.0, 1.0], [516.0, 516.0]]
    assert target is not None
    assert target.tolist() == [[6.0, 6.0], [1.0, 11.0], [16.0, 16.0]]


@pytest.mark.parametrize("world", [Match, MaskedParts, Steer])
def test_it_learns_every_kind_of_action(world: type):
    best = {Match: 1.0, MaskedParts: 2.0, Steer: 0.0}[world]
    assert mean_reward(ppo(world)) > best - 0.05


def test_without_advantages_it_learns_nothing():
    none = ppo(Match, estimate=lambda rollout: Estimate(torch.zeros_like(rollout.reward), None))
    assert mean_reward(none) < 0.8


def test_credit_reaches_back_only_through_value_or_trace():
    settings = replace(SMALL, discount=0.95)
    assert mean_reward(ppo(Corridor, settings), 60) > 0.15  # 1 in 5 steps is the most
    blind = replace(settings, trace=0.0, value_weight=0.0, discount=0.0)
    assert mean_reward(ppo(Corridor, blind), 60) < 0.05


def test_frozen_parameters_stay_bit_for_bit():
    learner = ppo(Match)
    agent: Any = learner.agent
    agent.actor.network.layers[0].requires_grad_(False)
    learner = PPO(learner.task, agent, config=replace(SMALL, entropy_weight=0.1), seed=0)
    before = {name: value.clone() for name, value in agent.named_parameters()}
    learner.update()
    for name, value in agent.named_parameters():
        assert torch.equal(before[name], value) == (not value.requires_grad), name


def test_a_resumed_learner_is_bitwise_the_uninterrupted_one(tmp_path):
    for world in (MaskedParts, Steer):
        config = replace(SMALL, anneal=10)
        whole, first, second = (ppo(world, config) for _ in range(3))
        expected = [whole.update() for _ in range(5)]
        assert [first.update() for _ in range(2)] == expected[:2]
        checkpoint.save_state(tmp_path / "state", first.state_dict())
        second.update()
        second.load_state_dict(checkpoint.load_state(tmp_path / "state"))
        assert [second.update() for _ in range(3)] == expected[2:]
        for name, value in whole.agent.state_dict().items():
            assert torch.equal(value, second.agent.state_dict()[name]), name
        assert whole.work() == second.work() == {"environment_steps": 5 * 256, "gradient_steps": 5 * 16}


def test_a_state_that_does_not_fit_changes_nothing():
    learner, other, untouched = ppo(Match), ppo(Match, lanes=8), ppo(Match)
    learner.update()
    untouched.update()
    before = learner.state_dict()
    for broken in (
        other.state_dict(),
        {**before, "agent": {}},
        {**before, "optimizer": {"state": {}, "param_groups": []}},
    ):
        with pytest.raises(CorruptFileError):
            learner.load_state_dict(broken)
    assert learner.update() == untouched.update()


def test_other_seeds_give_other_runs_and_the_same_seed_the_same():
    assert ppo(Match).update() == ppo(Match).update()
    assert ppo(Match).update() != ppo(Match, seed=1).update()


def test_further_losses_and_group_baselines_come_in_by_arguments():
    seen: list[tuple[Minibatch, Outputs]] = []

    def pull(batch: Minibatch, outputs: Outputs) -> Tensor:
        seen.append((batch, outputs))
        return 10.0 * (outputs.parameters[:, 1] - outputs.parameters[:, 0] + 5.0).square().mean()

    def grouped(rollout: Rollout) -> Estimate:
        group = torch.arange(rollout.reward.shape[0]).repeat_interleave(rollout.reward.shape[1])
        return Estimate(group_relative(rollout.reward.flatten(), group).view_as(rollout.reward))

    assert mean_reward(ppo(Match, estimate=grouped)) > 0.95
    learner = ppo(Match, estimate=grouped, losses=[pull])
    metrics = [learner.update() for _ in range(40)][-1]
    assert metrics["value_loss"] == 0.0
    assert metrics["entropy"] < 0.1, "the further loss has pulled the policy to one action"
    batch, outputs = seen[-1]
    assert len(seen) == 40 * 16
    assert batch.observation.shape == (64, 1)
    assert batch.target is None
    assert outputs.log_prob.shape == (64, 1)


def test_the_rate_falls_in_a_line_and_kl_stops_an_update():
    learner = ppo(Match, replace(SMALL, anneal=4))
    rates = []
    for _ in range(5):
        learner.update()
        rates.append(learner._optimizer.param_groups[0]["lr"] / SMALL.learning_rate)
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0])
    hasty = ppo(Match, replace(SMALL, epochs=50, learning_rate=0.05, target_kl=0.01))
    hasty.update()
    assert hasty.work()["gradient_steps"] < 50 * 4


def test_a_clipped_value_is_held_near_the_one_before():
    value, target, before = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 4.0]), torch.tensor([2.0, 2.0])
    assert value_error(value, target, before=before, clip=0.0).item() == 1.0
    assert value_error(value, target, before=before, clip=0.5).item() == pytest.approx((1.5**2 + 1.5**2) / 2)


def test_the_normaliser_knows_mean_and_variance_of_all_it_saw():
    x = 4.0 + 3.0 * torch.randn(1000, 2, generator=stream())
    normaliser = Normaliser(2)
    for part in x.split([10, 500, 490]):
        normaliser.update(part)
    assert torch.allclose(normaliser.mean, x.mean(0), atol=1e-5)
    assert torch.allclose(normaliser.variance, x.var(0, correction=0), atol=1e-4)
    assert torch.allclose(normaliser(x), (x - x.mean(0)) / x.std(0, correction=0), atol=1e-4)
    assert normaliser(torch.full((1, 2), 1e9)).tolist() == [[10.0, 10.0]]


def test_pieces_of_a_minibatch_give_its_gradient(monkeypatch: pytest.MonkeyPatch):
    found = []
    for size in (8192, 50):  # 256 rows in one piece, or in six of unequal size
        monkeypatch.setattr(policy_optimisation, "PIECE", size)
        learner = ppo(MaskedParts, replace(SMALL, epochs=1, minibatches=1, entropy_weight=0.1))
        learner.update()
        found.append((learner.update(), [parameter.grad for parameter in learner._trained]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4, abs=1e-5)
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in zip(found[0][1], found[1][1], strict=True))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")  # starting the compiler takes longer than using it
def test_compiled_it_learns_the_same(monkeypatch: pytest.MonkeyPatch):
    if missing := missing_compiler():
        pytest.skip(f"torch.compile cannot work here: {missing}")
    monkeypatch.setattr(policy_optimisation, "PIECE", 32)  # two pieces a minibatch
    settings = replace(SMALL, learning_rate=3e-4, entropy_weight=0.01)
    eager, one, other = (ppo(MaskedParts, replace(settings, compile=way)) for way in ("never", "always", "auto"))
    assert one.update() == pytest.approx(eager.update(), rel=1e-5, abs=1e-5)
    for mine, its in zip(one.agent.parameters(), eager.agent.parameters(), strict=True):
        assert torch.allclose(mine, its, rtol=0, atol=1e-5)
    other.update()
    for (name, mine), its in zip(one.agent.state_dict().items(), other.agent.state_dict().values(), strict=True):
        assert torch.equal(mine, its), f"{name}: the same seed gives the same bits"
    before = eager.state_dict()
    with pytest.raises(CorruptFileError, match="compiled"):
        eager.load_state_dict(one.state_dict())
    with pytest.raises(CorruptFileError, match="compiled"):
        one.load_state_dict(before)
    other.load_state_dict(one.state_dict())
    assert other.update() == one.update(), "a resumed run is the uninterrupted one"


def test_an_agent_that_cannot_be_compiled_is_refused_or_left_as_it_is():
    where = task(Match)
    plain = ppo(Match).agent

    class ByValue(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = plain

        def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
            return self.inner(observation if bool(observation.sum() > -1e9) else -observation)

    with pytest.raises(InputError, match="compile"):
        PPO(where, ByValue(), config=replace(SMALL, compile="always"), seed=0).update()
    learner = PPO(task(Match), ByValue(), config=replace(SMALL, compile="auto"), seed=0)
    with pytest.warns(UserWarning, match="going on without"):
        learner.update()
    assert learner.state_dict()["compiled"] is False


def test_what_cannot_be_is_refused_in_one_line():
    with pytest.raises(InputError, match="compile"):
        replace(SMALL, compile="yes")
    with pytest.raises(InputError, match="minibatches"):
        ppo(Match, replace(SMALL, minibatches=3))
    with pytest.raises(InputError, match="flatten"):
        actor_critic(gymnasium.spaces.Discrete(3), gymnasium.spaces.Discrete(2), generator=stream())
    with pytest.raises(InputError, match="to train"):
        PPO(task(Match), nn.Linear(1, 2).requires_grad_(False), config=SMALL, seed=0)


class Careful(Steer):
    """Left of the middle a miss of 5 costs, right of it nothing does."""

    def decide(self, state: Place, action: Tensor) -> tuple[Place, Tensor]:
        return state, -(action[:, 0] - 5.0).square() * (state.place < 0)


def test_standard_deviations_that_depend_on_the_state_shrink_only_where_a_miss_costs():
    where = task(Careful)
    agent = actor_critic(
        where.observation_space, where.action_space, hidden=(16,), log_std=-1.0, state_dependent_std=True,
        generator=stream("agent"),
    )  # fmt: skip
    assert agent.log_std is None
    learner, observation = PPO(where, agent, config=SMALL, seed=0), torch.tensor([[-1.0], [1.0]])
    mean, log_std = learner.agent(observation)[0].chunk(2, -1)
    assert torch.allclose(mean, torch.full((2, 1), 5.0), atol=0.2)
    assert torch.allclose(log_std, torch.full((2, 1), math.log(5.0) - 1.0), atol=0.05), "in half-widths of the box"
    for _ in range(40):
        learner.update()
    left, right = learner.agent(observation)[0][:, 1].tolist()
    assert left < right - 0.5
    policy: Any = learner.policy()
    again = type(policy)(**policy.arguments)
    again.load_state_dict(policy.state_dict())
    assert policy(observation).shape == (2, 1), "an artifact gives means"
    assert torch.equal(policy(observation), again(observation)), "an artifact knows what its outputs are"
    with pytest.raises(InputError, match="log_std"):
        actor_critic(
            where.observation_space, gymnasium.spaces.Discrete(2), state_dependent_std=True, generator=stream()
        )


def test_the_policy_is_a_copy_that_keeps_to_its_box():
    learner = ppo(Steer)
    learner.update()
    policy = learner.policy()
    observation = torch.linspace(-1, 1, 9)[:, None]
    before = policy(observation)
    assert bool(((before >= 0) & (before <= 10)).all())
    learner.update()
    assert torch.equal(before, policy(observation))
    assert not torch.equal(before, learner.policy()(observation))


class Plain(nn.Module):
    """An agent of one's own, with dropout; its critic gives `[batch, 1]` where it is told to."""

    log_std = None

    def __init__(self, *, squeezed: bool = True) -> None:
        super().__init__()
        self.actor, self.critic, self.squeezed = nn.Linear(1, 2), nn.Linear(1, 1), squeezed
        self.dropout = nn.Dropout(0.5)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        value = self.critic(observation)
        return self.actor(self.dropout(observation)), value.squeeze(-1) if self.squeezed else value


def test_a_critic_that_forgets_to_squeeze_is_refused_instead_of_broadcast():
    with pytest.raises(InputError, match=r"values \['batch', 1\], expected \[batch\]"):
        PPO(task(Match), Plain(squeezed=False), config=SMALL, seed=0).update()


def test_the_policy_of_an_agent_of_ones_own_is_a_copy_and_training_goes_on():
    learner = PPO(task(Match), Plain(), config=SMALL, seed=0)
    learner.agent.train()
    policy = learner.policy()
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    learner.update()
    assert learner.agent.training
    assert not policy.training
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())


class Far(Match):
    """What is shown is about a thousand."""

    observation_space = gymnasium.spaces.Box(-2000.0, 2000.0, (1,))

    def observe(self, state: Place) -> Tensor:
        return 1000.0 + 100.0 * state.place[:, None]


def test_the_first_update_learns_from_normalised_observations_too():
    learner = ppo(Far)
    agent: Any = learner.agent
    seen: list[Tensor] = []
    agent.critic.register_forward_pre_hook(lambda _, features: seen.append(features[0].detach()))
    learner.update()
    assert all(bool((features == 10.0).all()) for features in seen[: SMALL.steps]), "collected as they are"
    assert all(float(features.abs().max()) < 1.5 for features in seen[SMALL.steps :])
    assert int(agent.normaliser.count) == 16 * SMALL.steps, "each observation once"
    learner.update()
    assert int(agent.normaliser.count) == 2 * 16 * SMALL.steps


def test_a_frozen_base_goes_on_seeing_what_it_knows():
    learner = ppo(Far)
    learner.update()
    agent: Any = learner.agent
    agent.normaliser.frozen = True
    before = agent.normaliser.mean.clone()
    learner.update()
    assert torch.equal(agent.normaliser.mean, before)
    agent.normaliser = Normaliser(1)
    agent.normaliser.frozen = True
    learner.update()
    assert not int(agent.normaliser.count), "frozen from the start: observations stay as they are"


def test_kl_is_that_of_the_whole_action():
    """All four allowed actions of a uniform policy together give its divergence to a second one exactly."""
    learner = ppo(MaskedParts)
    agent: Any = learner.agent
    agent.actor.forward = lambda features: torch.tensor([1.0, 0.0, 0.0, 0.5, 0.0]).expand(len(features), -1)
    observation, mask = torch.ones(4, 1), torch.tensor([True, True, False, True, True]).expand(4, -1)
    action = torch.tensor([[a, b] for a in (0, 1) for b in (1, 2)])
    before = learner._actions_of(torch.zeros(4, 5), mask=mask).log_prob(action)
    now = learner._actions_of(agent(observation)[0], mask=mask).log_prob(action)
    batch = Minibatch(observation, action, before, torch.zeros(4), None, mask, (torch.zeros(4),))
    assert float(learner._measured_loss(batch)[1][3]) == pytest.approx(float((before - now).sum(-1).mean()), rel=1e-5)


def test_a_state_is_a_snapshot_and_the_configured_rate_holds_after_loading():
    learner = ppo(MaskedParts)
    learner.update()
    kept = learner.state_dict()
    expected = [learner.update() for _ in range(2)]
    learner.load_state_dict(kept)
    assert [learner.update() for _ in range(2)] == expected
    other = ppo(MaskedParts, replace(SMALL, learning_rate=0.1))
    other.load_state_dict(kept)
    assert other._optimizer.param_groups[0]["lr"] == 0.1


def test_a_single_step_has_no_standardised_advantage():
    with pytest.raises(InputError, match="two steps or more"):
        ppo(Match, replace(SMALL, minibatches=256))


def test_a_refused_state_leaves_a_gymnasium_environment_where_it_stands():
    where = GymnasiumTask.make("CartPole-v1", 4)
    agent = actor_critic(where.observation_space, where.action_space, hidden=(4,), generator=stream())
    learner = PPO(where, agent, config=SMALL, seed=0)
    learner.update()
    stands = learner._observation.clone()
    with pytest.raises(CorruptFileError):
        learner.load_state_dict({**learner.state_dict(), "optimizer": {"state": {}, "param_groups": []}})
    assert torch.equal(learner._observation, stands)
