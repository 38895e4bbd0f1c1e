"""Oracles of ospo: its advantages by hand and by loops, the argument for one step, matchings, and what it learns."""

import functools
import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from livepapers.baselines.dispatch_rules import random_matching
from livepapers.blocks.policy_optimisation import clipped_surrogate
from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.methods import ospo
from livepapers.tasks.matching import assign
from livepapers.tasks.ride_city import grid_city
from livepapers.tasks.ride_pooling import Arrivals, FleetState, Reward, RidePooling, Scenario

Comparison = tuple[Tensor | float, Tensor | float, float]


def advantages_by_hand() -> Comparison:
    """Groups of three, of two equals, and of one."""
    reward, group = torch.tensor([1.0, 2.0, 3.0, 5.0, 5.0, 7.0]), torch.tensor([4, 4, 4, 0, 0, 9])
    edge = 1.5**0.5  # one over the standard deviation of 1, 2, 3
    return ospo.one_step_advantage(reward, group), torch.tensor([-edge, 0.0, edge, 0.0, 0.0, 0.0]), 1e-6


def what_follows_cancels_when_it_is_common() -> Comparison:
    """Q = r + what follows: where a minute shares what follows, Q against the group's mean is r against it."""
    stream = make_generator(0, "oracle", "cancel")
    group = torch.randint(6, (60,), generator=stream)
    reward, follows = torch.randn(60, generator=stream), 20.0 * torch.randn(6, generator=stream)
    return ospo.one_step_advantage(reward + follows[group], group), ospo.one_step_advantage(reward, group), 1e-4


def returns_are_double_sums() -> Comparison:
    """Reward-to-go over uneven gaps equals its definition, written as two loops."""
    reward, agent, time = _decisions()
    expected = [
        sum(
            0.9 ** (t2 - t1) * r2
            for r2, a2, t2 in zip(reward.tolist(), agent.tolist(), time.tolist(), strict=True)
            if a2 == a1 and t2 >= t1
        )
        for a1, t1 in zip(agent.tolist(), time.tolist(), strict=True)
    ]
    return ospo.reward_to_go(reward, agent, time, discount=0.9), torch.tensor(expected), 1e-5


def generalised_advantages_are_their_recursion() -> Comparison:
    """The critic's advantages equal the recursion over each agent's own decisions."""
    reward, agent, time = _decisions()
    value = torch.randn(len(reward), generator=make_generator(0, "oracle", "value"))
    expected = torch.zeros(len(reward))
    for one in agent.unique().tolist():
        rows = [k for k in range(len(reward)) if int(agent[k]) == one]
        later, ahead, when = 0.0, 0.0, 0
        for k in sorted(rows, key=lambda k: -int(time[k])):
            decay = 0.9 ** (when - int(time[k])) if when else 0.0
            later = float(reward[k]) + decay * ahead - float(value[k]) + decay * 0.8 * later
            ahead, when, expected[k] = float(value[k]), int(time[k]), later
    return ospo.critic_advantage(reward, value, agent, time, discount=0.9, trace=0.8), expected, 1e-5


def the_penalty_by_hand() -> Comparison:
    """Two vehicles at 0 and 0, then at 1 and 3: the standard deviation grows from 0 to 1."""
    return ospo.fairness_penalty(torch.zeros(1, 2), torch.tensor([[1.0, 3.0]])), torch.tensor([-1.0]), 1e-6


def matchings_are_the_best_of_all() -> Comparison:
    """With the choice to stay idle, against enumeration."""
    score = 2.0 * torch.rand(20, 3, 3, generator=make_generator(0, "oracle", "matching")) - 1.0
    lane = torch.arange(20).repeat_interleave(3)
    column = assign(score.flatten(0, 1), lane, torch.full((20,), 3)).view(20, 3)
    found = torch.where(column >= 0, score.gather(2, column.clamp(min=0)[..., None])[..., 0], 0.0).sum(1)
    choices = [
        c for c in itertools.product((-1, 0, 1, 2), repeat=3) if len({x for x in c if x >= 0}) == sum(x >= 0 for x in c)
    ]
    every = [sum((score[:, i, j] for i, j in enumerate(c) if j >= 0), torch.zeros(20)) for c in choices]
    return found, torch.stack(every).amax(0), 1e-5


def what_a_minute_shares_does_not_matter() -> Comparison:
    """A bonus that all orders of a minute earn, and its scale, change nothing."""
    stream = make_generator(0, "oracle", "shared")
    group, reward = torch.randint(5, (50,), generator=stream), torch.randn(50, generator=stream)
    bonus, scale = 10.0 * torch.randn(5, generator=stream), 1.0 + torch.rand(5, generator=stream)
    return (
        ospo.one_step_advantage(scale[group] * reward + bonus[group], group),
        ospo.one_step_advantage(reward, group),
        1e-4,
    )


def vehicles_may_stand_in_any_order() -> Comparison:
    """Numbering the vehicles differently sends the same vehicles to the same orders."""
    fleet, policy, state = _acting()
    order = torch.randperm(fleet.vehicles, generator=make_generator(0, "oracle", "order"))
    columns = {"position", "zone", "pickup_left", "pickup", "goal", "remaining", "total", "direct", "earned"}
    moved = FleetState(*(
        part[:, order] if name in columns else part for name, part in zip(FleetState._fields, state, strict=True)
    ))  # fmt: skip
    return policy(fleet.observe(moved)), policy(fleet.observe(state))[:, order], 0.0


def lanes_do_not_see_each_other() -> Comparison:
    """A lane by itself earns what it earns beside others."""
    fleet, policy, _ = _acting()
    whole = fleet.scenario(4, make_generator(0, "oracle", "lanes"))
    alone = Scenario(
        FleetState(*(part[2:3] for part in whole.state)),
        tuple(Arrivals(*(part[2:3] for part in one)) for one in whole.arrivals),
    )

    def act(state: FleetState) -> Tensor:
        return policy(fleet.observe(state))

    return fleet.rollout(act, alone).reward, fleet.rollout(act, whole).reward[2:3], 1e-4


def returns_without_a_future_are_one_step() -> Comparison:
    """GRPO at discount 0, against the group of the minute, is OSPO."""
    reward, agent, time = _decisions()
    found = ospo.advantage("return", "minute", reward, time, agent, time, discount=0.0)
    return found, ospo.one_step_advantage(reward, time), 1e-4


def a_critic_that_knows_nothing_leaves_the_return() -> Comparison:
    """Generalised advantages with trace 1 and values 0 are the reward-to-go."""
    reward, agent, time = _decisions()
    found = ospo.critic_advantage(reward, torch.zeros_like(reward), agent, time, discount=0.9, trace=1.0)
    return found, ospo.reward_to_go(reward, agent, time, discount=0.9), 1e-5


def _decisions() -> tuple[Tensor, Tensor, Tensor]:
    """Four agents over ten minutes, each deciding in about half of them."""
    stream = make_generator(0, "oracle", "decisions")
    agent, time = (torch.rand(4, 10, generator=stream) < 0.5).nonzero(as_tuple=True)
    return torch.randn(len(agent), generator=stream), agent, time


def _acting() -> tuple[RidePooling, ospo.DispatchPolicy, FleetState]:
    """A fleet some minutes on, and a policy with weights of its own."""
    learner = ospo.example(ospo.Config.tiny(), 3)
    fleet, policy = learner.fleet, learner.policy()
    scenario = fleet.scenario(2, make_generator(0, "oracle", "acting"))
    first = Scenario(scenario.state, scenario.arrivals[:5])
    return fleet, policy, fleet.rollout(lambda state: policy(fleet.observe(state)), first).state


def _policy_step() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    stream = make_generator(0, "oracle", "gradcheck")
    scores = torch.randn(5, 4, generator=stream, dtype=torch.float64).requires_grad_(True)
    there = torch.rand(5, 4, generator=stream) < 0.7
    there[:, 0] = True
    before = torch.full((5, 1), -1.3, dtype=torch.float64)
    advantage = torch.randn(5, generator=stream, dtype=torch.float64)

    def loss(given: Tensor) -> Tensor:
        chosen = ospo.log_probabilities(given, there)[:, :1]
        return -clipped_surrogate(chosen, before, advantage, low=0.2, high=0.28)

    return loss, (scores,)


FEE = 30.0
"""What an order earns in the learning tests, on top of everything that depends on who takes it."""

LEARNING = ospo.Config(
    hidden=(32, 32), episodes=72, lanes=8, steps=2, batch=128, learning_rate=3e-3, last_rate=1e-3, check_every=24
)


@functools.cache
@functools.cache
def _trained(seed: int, group: ospo.Group) -> float:
    """Minus the reward, by the usual weights, after a short training in a town where every order earns a large fee."""
    city = grid_city(5, 5, rate=12.0, centre=4.0)
    config = replace(LEARNING, group=group)
    training = RidePooling(city, vehicles=40, horizon=12, reward=Reward(accept=FEE))
    learner = ospo.GroupPolicyOptimizer(training, config=config, seed=seed)
    for _ in range(learner.updates):
        learner.update()
    policy, fleet = learner.policy(), _town()
    rollout = fleet.rollout(lambda state: policy(fleet.observe(state)), _test(seed))
    return -float(rollout.discounted(0.99).mean())


def _town() -> RidePooling:
    return RidePooling(grid_city(5, 5, rate=12.0, centre=4.0), vehicles=40, horizon=12)


def _test(seed: int) -> Scenario:
    return _town().scenario(16, make_generator(seed, "oracle", "test"))


def _random(seed: int) -> float:
    rule = random_matching(_town(), make_generator(seed, "oracle", "random"))
    return -float(_town().rollout(rule, _test(seed)).discounted(0.99).mean())


REFERENCES = {
    "advantages, worked out by hand": advantages_by_hand,
    "what follows cancels where it is common": what_follows_cancels_when_it_is_common,
    "returns are double sums": returns_are_double_sums,
    "generalised advantages are their recursion": generalised_advantages_are_their_recursion,
    "the penalty, worked out by hand": the_penalty_by_hand,
    "matchings are the best of all": matchings_are_the_best_of_all,
}
INVARIANCES = {
    "what a minute shares": what_a_minute_shares_does_not_matter,
    "order of vehicles": vehicles_may_stand_in_any_order,
    "other lanes": lanes_do_not_see_each_other,
}
REDUCTIONS = {
    "GRPO without a future is OSPO": returns_without_a_future_are_one_step,
    "a critic that knows nothing": a_critic_that_knows_nothing_leaves_the_return,
}
LOSSES = {"the clipped step over a matching's choices": _policy_step}
FLOORS = {"random matchings": lambda seed: (_trained(seed, "minute"), _random(seed))}
ABLATIONS = {"the mean of the group": lambda seed: (_trained(seed, "minute"), _trained(seed, "none"))}
