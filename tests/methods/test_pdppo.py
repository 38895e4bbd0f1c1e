import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from livepapers.blocks.advantages import returns_to_go
from livepapers.blocks.distributions import distribution
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.methods import pdppo
from livepapers.methods.pdppo.collecting import Collector
from livepapers.tasks.lot_sizing import LotSizing
from livepapers.tasks.slippery_lake import SLIP, SlipperyLake

TINY = pdppo.Config.tiny()


def lake_learner(**changes: object) -> pdppo.PostDecisionPPO:
    lake = SlipperyLake.generate(4, generator=numpy_generator(0, "lake"))
    return pdppo.PostDecisionPPO(lake, config=replace(TINY, activation="tanh", **changes), seed=0)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in network.parameters()])


def test_ppo_is_plain_ppo_bit_for_bit():
    """The variant `ppo` against PPO written out here, with one critic and one loss, on the same collections."""
    config = replace(TINY, aggregate="ppo", minibatch=0, epochs=3, window=1)
    ours, world = pdppo.example(config, 3), pdppo.example(config, 3)
    policy, critic = world.policy, world.critics[0]
    collector = Collector(world.simulator, config=config, seed=3)
    adam = torch.optim.Adam(
        [
            {"params": policy.parameters(), "lr": config.actor_rate},
            {"params": critic.parameters(), "lr": config.critic_rate},
        ]
    )
    for _ in range(3):
        ours.update()
        seen = collector.collect(policy, lambda a, b: torch.zeros(2, len(a)))
        with torch.no_grad():
            value, ahead = critic(seen.observation).squeeze(-1), critic(seen.last_observation).squeeze(-1)
            total = returns_to_go(seen.decided + seen.resolved, seen.ended, discount=config.discount, bootstrap=ahead)
            advantage = (total - value).flatten()
        observation, action = seen.observation.flatten(0, 1), seen.action.flatten(0, 1)
        before = seen.log_prob.flatten(0, 1)
        for _ in range(config.epochs):
            over = distribution(policy.action_space, policy.network(observation))
            log_prob = over.log_prob(action)
            ratio = torch.exp(log_prob - before)
            clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
            gain = torch.minimum(ratio * advantage[:, None], clipped * advantage[:, None]).mean()
            error = (critic(observation).squeeze(-1) - total.flatten()).square().mean()
            loss = error - gain - config.entropy * over.entropy().mean() / log_prob.shape[1]
            adam.zero_grad()
            loss.backward()
            adam.step()
    assert torch.equal(weights(ours.policy), weights(policy))
    assert torch.equal(weights(ours.critics[0]), weights(critic))


@pytest.mark.parametrize("aggregate", pdppo.AGGREGATES)
def test_every_variant_learns_from_plants_and_from_the_lake(aggregate: pdppo.Aggregate):
    for learner in (pdppo.example(replace(TINY, aggregate=aggregate), 0), lake_learner(aggregate=aggregate)):
        before = weights(learner.policy)
        for _ in range(2):
            assert set(learner.update()) == set(pdppo.METRICS)
        assert not torch.equal(before, weights(learner.policy))


@pytest.mark.parametrize(("aggregate", "idle"), [("ppo", 1), ("one_critic", 1), ("afterstate", 0)])
def test_a_critic_that_a_variant_does_not_have_is_left_alone(aggregate: pdppo.Aggregate, idle: int):
    learner = pdppo.example(replace(TINY, aggregate=aggregate), 0)
    before = [weights(critic) for critic in learner.critics]
    learner.update()
    after = [weights(critic) for critic in learner.critics]
    assert torch.equal(before[idle], after[idle])
    assert not torch.equal(before[1 - idle], after[1 - idle])


def test_variants_of_one_seed_meet_the_same_demand():
    learners = [pdppo.example(replace(TINY, aggregate=name), 5) for name in ("max", "ppo")]
    worlds = [Collector(one.simulator, config=one.config, seed=5) for one in learners]
    idle = lambda a, b: torch.zeros(2, len(a))  # noqa: E731 - the same critics for both
    policies = [learners[0].policy, pdppo.example(TINY, 6).policy]  # different decisions
    seen = [world.collect(policy, idle) for world, policy in zip(worlds, policies, strict=True)]
    assert not torch.equal(seen[0].action, seen[1].action)
    assert torch.equal(seen[0].observation[0], seen[1].observation[0])
    draws = [world.simulator.draw(4, 0, world._stream("noise")) for world in worlds]
    assert torch.equal(*draws)


def test_the_window_slides_or_keeps_the_first_for_ever_as_the_released_lake_code():
    newest, first = (pdppo.example(replace(TINY, window=3, keep=keep), 0) for keep in ("newest", "first"))
    seen: dict[str, list[list[str]]] = {"newest": [], "first": []}
    for _ in range(5):
        for name, learner in (("newest", newest), ("first", first)):
            learner.update()
            seen[name].append(sorted(learner.state_dict()["window"]))
    # what is left for the next update, which adds its own collection
    assert seen["newest"] == [["0"], ["0", "1"], ["1", "2"], ["2", "3"], ["3", "4"]]
    assert seen["first"] == [
        ["0"],
        ["0", "1"],
        ["0"],
        ["0"],
        ["0"],
    ]  # a window of two from then on, half of it the first


def test_training_the_last_layer_leaves_the_others_alone():
    learner = pdppo.example(replace(TINY, train="last"), 0)
    before = {name: value.clone() for name, value in learner.policy.state_dict().items()}
    learner.update()
    changed = {name for name, value in learner.policy.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"network.layers.2.weight", "network.layers.2.bias"}


def test_ratios_are_one_a_machine():
    plant_learner = pdppo.example(TINY, 0)
    plant_learner.update()
    window = plant_learner.state_dict()["window"]["0"]
    assert window["log_prob"].shape == (8, 4, 1)
    assert window["action"].shape == (8, 4, 1)
    lake = lake_learner()
    lake.update()
    assert lake.state_dict()["window"]["0"]["log_prob"].shape == (8, 4, 1)


def test_stale_values_are_those_of_the_collecting_critics():
    learner = pdppo.example(replace(TINY, refresh=False, window=2), 0)
    learner.update()
    kept = learner.state_dict()["window"]["0"]
    now = learner._said(kept["observation"], kept["post_observation"])
    assert not torch.allclose(kept["values"], now)


@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_the_larger_advantage_is_never_below_either_and_the_sum_is_their_sum(seed: int, discount: float):
    stream = generator(seed, "advantages")
    decided, resolved, value, post = torch.randn(4, 5, 3, generator=stream)
    ended = torch.rand(5, 3, generator=stream) < 0.3
    targets = pdppo.critic_targets("max", decided, resolved, ended, discount=discount)
    values = pdppo.Values(value, post)
    larger = pdppo.post_decision_advantage("max", targets, values)
    total = pdppo.post_decision_advantage("sum", targets, values)
    assert bool((larger >= targets.state - value).all())
    assert bool((larger >= targets.post - post).all())
    assert torch.allclose(total, larger + torch.minimum(targets.state - value, targets.post - post), atol=1e-5)
    whole = pdppo.critic_targets("ppo", decided, resolved, ended, discount=discount)
    assert torch.allclose(whole.state, targets.state + targets.post, atol=1e-4)


def test_with_sure_demand_and_no_future_the_post_decision_critic_learns_the_second_halfs_reward():
    """Constant demand, discount 0: what follows s^x is a function of s^x, so V^x can meet it without any noise."""
    config = replace(TINY, aggregate="afterstate", hidden=(32,), lanes=16, steps=12, minibatch=0, epochs=40, window=1,
                     critic_rate=1e-2, actor_rate=1e-9, discount=0.0, reward_scale=0.1)  # fmt: skip
    simulator = pdppo.example(config, 0).simulator
    simulator.draw = lambda batch, t, generator: torch.full((batch, 2), 2.0)  # type: ignore[method-assign]
    learner = pdppo.PostDecisionPPO(simulator, config=config, seed=0)
    correlations = [learner.update()["post_correlation"] for _ in range(8)]
    assert abs(correlations[0]) < 0.5 < 0.65 < correlations[-1]  # on states that it has not been fitted to yet


def test_afterstate_expects_over_all_four_moves_of_the_lake():
    learner = lake_learner(aggregate="afterstate")
    learner.update()
    window = learner.state_dict()["window"]["0"]
    assert window["other_weight"].shape == (8, 4, 4)
    assert torch.allclose(window["other_weight"].sum(-1), torch.ones(8, 4), atol=1e-5)


def test_a_state_of_other_fields_is_refused():
    learner = pdppo.example(TINY, 0)
    learner.update()
    state = learner.state_dict()
    del state["window"]["0"]["mask"]
    with pytest.raises(CorruptFileError, match="window"):
        learner.load_state_dict(state)


def test_policies_never_choose_what_is_masked():
    space = LotSizing(pdppo.example(TINY, 0).simulator.plant).action_space  # type: ignore[attr-defined]
    policy = pdppo.PostDecisionPolicy(3, space, hidden=(4,), activation="relu", allowed=[False, True, False])
    assert policy(torch.randn(50, 3, generator=generator(0, "x"))).unique().tolist() == [1]
    again = pdppo.PostDecisionPolicy(**policy.arguments)
    again.load_state_dict(policy.state_dict())
    seen = torch.randn(9, 3, generator=generator(1, "x"))
    assert torch.equal(again(seen), policy(seen))


def test_rates_fall_to_zero_where_asked():
    learner = pdppo.example(replace(TINY, decay=True, updates=4), 0)
    rates = []
    for _ in itertools.repeat(None, 4):
        learner.update()
        rates.append(learner.state_dict()["optimizers"]["0"]["param_groups"][0]["lr"])
    assert rates == pytest.approx([1e-3 * share for share in (1.0, 0.75, 0.5, 0.25)])


def _exact_critics(lake: SlipperyLake, discount: float) -> tuple[Tensor, Tensor]:
    """V of the stochastic and V^x of the deterministic part of the reward under uniform moves, `[tile]` float64."""
    near, goal = lake.near.double(), torch.arange(lake.tiles) == lake.goal

    def follows(value: Tensor) -> Tensor:
        value = torch.where(goal, 0.0, value)
        return torch.where(goal, 0.0, (1.0 - SLIP) * value + SLIP * (lake.slip * value[lake.to]).sum(1))

    slipped = torch.where(goal, 0.0, SLIP * (lake.slip * near[lake.to]).sum(1))
    state, post = torch.zeros(lake.tiles, dtype=torch.float64), torch.zeros(lake.tiles, dtype=torch.float64)
    for _ in range(300):
        post = near + discount * follows(post[lake.to].mean(1))
        state = torch.where(goal, 0.0, (slipped + discount * follows(state))[lake.to].mean(1))
    return state, post


def test_with_exact_critics_the_second_advantage_prefers_no_action_and_the_decisions_own_reward_counts_for_nothing():
    """What follows depends on the action through s^x alone, and V^x(s^x) has counted it all.

    So max and sum see the deterministic part of the reward through the critics' errors only: what they follow is the
    stochastic part, and an action that earns more than the policy's mean can be pushed away.
    """
    lake, discount, middle = SlipperyLake([[0] * 3] * 3, horizon=60), 0.9, 4
    state_value, post_value = (value.float() for value in _exact_critics(lake, discount))
    stream, lanes = generator(0, "test"), 40_000
    state, over = torch.full((lanes,), middle), torch.zeros(lanes, dtype=torch.bool)
    columns: list[tuple[Tensor, ...]] = []
    for t in range(lake.horizon):
        action = torch.randint(4, (lanes,), generator=stream)
        post, decided = lake.decide(state, action)
        following, resolved, ended = lake.resolve(post, lake.draw(lanes, t, stream))
        columns.append((state, post.tile, action, decided, resolved, ended | over))
        state, over = following, over | ended
    tile, intended, action, decided, resolved, ended = map(torch.stack, zip(*columns, strict=True))
    targets = pdppo.critic_targets("max", decided, resolved, ended, discount=discount)
    first = (targets.state - state_value[tile])[0], (targets.post - post_value[intended])[0]

    def by_action(advantage: Tensor) -> Tensor:
        return torch.stack([advantage[action[0] == move].mean() for move in range(4)])

    assert by_action(first[1]).abs().max() < 0.03  # three standard errors
    total = by_action((targets.state + targets.post)[0])
    total, seen = total - total.mean(), by_action(first[0])
    assert total.abs().max() > 0.4
    right = 2
    assert total[right] > 0.03
    assert seen[right] < -0.03


def test_an_unknown_aggregate_is_refused_and_not_taken_for_the_paper_s():
    none, values, targets = torch.zeros(1, 1), pdppo.Values(*torch.zeros(2, 1, 1)), pdppo.Targets(*torch.zeros(2, 1, 1))
    unknown: Any = "maximum"
    for call in (
        lambda: pdppo.critic_targets(unknown, none, none, none.bool(), discount=0.9),
        lambda: pdppo.post_decision_advantage(unknown, targets, values),
        lambda: pdppo.critic_loss(unknown, values, targets),
    ):
        with pytest.raises(InputError, match="aggregate: got maximum"):
            call()
