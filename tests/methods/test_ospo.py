"""ospo: advantages, the score network, records of decisions, and learners that resume."""

import pytest
import torch

from livepapers.core import artifact
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.lab.evaluation import evaluate, load_policy
from livepapers.methods import ospo
from livepapers.tasks.ride_pooling import small_fleet

TINY = ospo.Config.tiny()


def test_rewards_that_differ_by_rounding_alone_give_no_advantage():
    reward = torch.tensor([3.0, 3.0 + 2e-7, 3.0 - 2e-7, 1.0, 2.0])
    found = ospo.one_step_advantage(reward, torch.tensor([0, 0, 0, 1, 1]))
    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    assert found[3:].tolist() == pytest.approx([-1.0, 1.0], abs=1e-5)


def test_what_is_compared_and_how_far_one_looks_are_four_advantages():
    reward = torch.tensor([1.0, 3.0, 2.0, 6.0])
    minute, agent, time = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    scaled = (reward - 3.0) / reward.std(correction=0)

    def found(horizon, group):
        return ospo.advantage(horizon, group, reward, minute, agent, time, discount=0.5)

    torch.testing.assert_close(found("one step", "minute"), torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    torch.testing.assert_close(found("one step", "episode"), scaled)
    torch.testing.assert_close(found("one step", "none"), reward)
    torch.testing.assert_close(found("return", "episode"), scaled + 0.5 * torch.stack([*scaled[2:], *torch.zeros(2)]))
    torch.testing.assert_close(found("return", "none"), torch.tensor([2.0, 6.0, 2.0, 6.0]))


@pytest.mark.parametrize(("horizon", "group", "field"), [
    ("critic", "minute", "horizon"), ("returns", "minute", "horizon"), ("return", "Minute", "group"),
])  # fmt: skip
def test_an_unknown_advantage_is_refused_and_not_taken_for_another(horizon: str, group: str, field: str):
    none = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(InputError, match=field):
        ospo.advantage(horizon, group, torch.ones(2), none, none, none, discount=0.9)  # type: ignore[arg-type]


def test_no_decision_gives_no_advantage():
    none, index = torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    assert ospo.one_step_advantage(none, index).shape == (0,)
    assert ospo.reward_to_go(none, index, index, discount=0.9).shape == (0,)
    assert ospo.critic_advantage(none, none, index, index, discount=0.9, trace=0.9).shape == (0,)


def test_the_score_network_is_one_mlp_over_vehicle_and_order_joined():
    scorer = ospo.Scorer(23, hidden=(16, 8), generator=generator(0, "x"))
    vehicle, orders = torch.rand(4, 23), torch.rand(2, 6, 5)
    row = torch.tensor([1, 0, 0, 1])
    joined = torch.cat([vehicle[:, None].expand(4, 6, 23), orders[row]], -1)
    torch.testing.assert_close(scorer(vehicle, orders, row), scorer.network(joined).squeeze(-1))


def test_a_matching_has_every_free_vehicle_while_orders_last_and_exploration_changes_it():
    fleet = small_fleet()
    policy = ospo.DispatchPolicy(fleet.vehicles, fleet.seats, fleet.places, hidden=(8,))
    state = fleet.initial(3, generator(0, "x"))
    observation = fleet.observe(state)
    action = policy(observation)
    taken = (action > 0).sum(1)
    assert torch.equal(taken, fleet.open(state).sum(1).clamp(max=fleet.vehicles))
    seen = policy.view(observation)
    assert torch.equal(seen.free, fleet.free(state))
    orders = fleet.board(state)
    assert torch.equal(seen.board.place, orders.place)
    lane = torch.arange(3)[:, None]
    torch.testing.assert_close(
        seen.orders[seen.board.there], fleet.order_features(state)[lane, orders.place][orders.there]
    )
    wild = ospo.choose(policy.scorer, seen, meaning="probability", explore=1.0, generator=generator(0, "e"))
    assert torch.equal((wild.action > 0).sum(1), taken)
    assert not torch.equal(wild.action, action)
    assert torch.equal(wild.action[wild.lane, wild.vehicle], orders.place[wild.lane, wild.column] + 1)
    free, vehicle = fleet.free_vehicles(state)
    table = ospo.score_pairs(policy.scorer, seen, free, vehicle, meaning="probability")
    assert float(table.sum(1).min()) == pytest.approx(1.0, abs=1e-4)


def test_a_played_episode_holds_each_accepted_order_once_with_its_own_reward():
    fleet = small_fleet()
    policy = ospo.DispatchPolicy(fleet.vehicles, fleet.seats, fleet.places, hidden=(8,))
    scenario = fleet.scenario(2, generator(0, "x"))
    played = ospo.play(fleet, policy, scenario, discount=0.9)
    rollout = fleet.rollout(lambda state: policy(fleet.observe(state)), scenario)
    episode = played.episode
    assert len(episode.reward) == int(rollout.counted("accepted").sum())
    assert float(episode.reward.sum()) == pytest.approx(float(rollout.reward.sum()), abs=1e-2)
    torch.testing.assert_close(played.discounted.double(), rollout.discounted(0.9), atol=1e-3, rtol=0.0)
    assert bool(episode.there[episode.minute, episode.chosen].all())
    assert len({(a, t) for a, t in zip(episode.agent.tolist(), episode.time.tolist(), strict=True)}) == len(
        episode.time
    )
    lane = episode.agent // fleet.vehicles
    assert torch.equal(episode.minute, episode.time * 2 + lane)  # what is decided together is one lane's minute


def test_following_decisions_are_the_same_vehicles_next_ones_also_after_joining():
    fleet = small_fleet(horizon=30)
    policy = ospo.DispatchPolicy(fleet.vehicles, fleet.seats, fleet.places, hidden=(8,))
    parts = [ospo.play(fleet, policy, fleet.scenario(1, generator(k, "x")), discount=1.0).episode for k in range(2)]
    both = ospo.joined(parts)
    after = ospo.following(both)
    for row, follower in enumerate(after.tolist()):
        later = [k for k in range(len(after)) if both.agent[k] == both.agent[row] and both.time[k] > both.time[row]]
        assert follower == (min(later, key=lambda k: int(both.time[k])) if later else -1)
    assert int((after >= 0).sum()) > 0
    assert torch.equal(both.reward, torch.cat([part.reward for part in parts]))
    assert int(both.minute.max()) < len(both.orders)


@pytest.mark.parametrize("kind", ["ippo", "grpo", "kl", "ddqn"])
def test_every_rival_learns_resumes_bit_for_bit_and_counts_its_work(kind: str):
    changes = {"ippo": {"horizon": "critic", "group": "episode"}, "grpo": {"horizon": "return", "group": "episode"},
               "kl": {"kl": 0.5, "kl_limit": 1e-9, "check_every": 1, "learning_rate": 0.05},
               "ddqn": {"replay": 60}}  # fmt: skip
    config = replace(TINY, **changes[kind])
    make = ospo.QDispatcher if kind == "ddqn" else ospo.GroupPolicyOptimizer
    whole, first = (make(small_fleet(), config=config, seed=0) for _ in range(2))
    metrics = [whole.update() for _ in range(5)]
    assert set(metrics[0]) == set(ospo.Q_METRICS if kind == "ddqn" else ospo.METRICS)
    for _ in range(3):
        first.update()
    resumed = make(small_fleet(), config=config, seed=0)
    resumed.load_state_dict(first.state_dict())
    assert [resumed.update() for _ in range(2)] == metrics[3:]
    assert resumed.work() == whole.work()
    if kind == "ippo":
        assert metrics[0]["value_loss"] > 0
    if kind == "kl":  # a step beyond the limit is left out, so fewer were taken than 5 x 3
        assert whole.work()["gradient_steps"] < 15
    else:
        assert whole.work()["gradient_steps"] == 15


def test_learners_of_one_seed_meet_the_same_orders_and_start_from_the_same_weights():
    ours = ospo.GroupPolicyOptimizer(small_fleet(), config=TINY, seed=4)
    rival = ospo.QDispatcher(small_fleet(), config=TINY, seed=4)
    first, second = (torch.cat([p.flatten() for p in one.current.parameters()]) for one in (ours, rival))
    assert torch.equal(first, second)


def test_the_kept_policy_is_the_best_of_the_checks_and_is_replayed_from_its_artifact(tmp_path):
    learner = ospo.example(TINY, 0)
    best = max(learner.update()["dev_reward"] for _ in range(learner.updates))
    dev = learner.fleet.scenario(TINY.check_episodes, generator(0, "ospo", "dev"))
    policy = learner.policy()
    rollout = learner.fleet.rollout(lambda state: policy(learner.fleet.observe(state)), dev)
    assert float(rollout.discounted(TINY.discount).mean()) == pytest.approx(best, rel=1e-6)
    artifact.save(tmp_path / "policy", learner.artifact(), weights=policy.state_dict())
    found = evaluate(load_policy(tmp_path / "policy"), episodes=3, seed=0)
    assert found.world == "ride-pooling"
    assert found.lengths.tolist() == [12, 12, 12]


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(InputError, match="group"):
        ospo.Config(horizon="critic")
    with pytest.raises(InputError, match="hidden"):
        ospo.Config(hidden=())


def test_an_episode_without_orders_changes_nothing():
    fleet = small_fleet(vehicles=1, horizon=1, rate=1e-6)
    learner = ospo.GroupPolicyOptimizer(fleet, config=TINY, seed=0)
    before = [p.clone() for p in learner.current.parameters()]
    metrics = learner.update()
    assert metrics["reward"] == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, learner.current.parameters(), strict=True))
    assert ospo.QDispatcher(fleet, config=TINY, seed=0).update()["loss"] == 0.0
