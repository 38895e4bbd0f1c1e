"""Oracles of pdppo: closed forms of its advantages, exact optima, reductions to PPO, and what its critics are worth."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from livepapers.baselines.lake_optimum import optimum
from livepapers.baselines.lot_sizing_rules import uniform
from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.core.rng import numpy_generator
from livepapers.methods import pdppo
from livepapers.tasks.lot_sizing import LotSizing, LotSizingPlant, PlantPost, PlantState
from livepapers.tasks.slippery_lake import SlipperyLake

Comparison = tuple[Tensor | float, Tensor | float, float]


def advantages_by_hand() -> Comparison:
    """R = (3, 1), R^x = (2, 0), V = (1, 2), V^x = (3, -1): every aggregate, worked out on paper."""
    targets = pdppo.Targets(torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    values = pdppo.Values(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]]))
    extra = {"decided": torch.tensor([[0.5, 0.5]]), "expected": torch.tensor([[1.0, 1.0]])}
    names: tuple[pdppo.Aggregate, ...] = ("max", "one_critic", "ppo2", "sum", "ppo", "min", "afterstate")
    found = torch.cat([pdppo.post_decision_advantage(name, targets, values, **extra) for name in names])
    larger = [2.0, 1.0]
    expected = torch.tensor([larger, larger, larger, [1.0, 0.0], [2.0, -1.0], [2.0, 2.0], [2.5, -1.5]])
    return found, expected, 1e-6


def returns_by_definition() -> Comparison:
    """R and R^x as double sums within each episode, against the recursion, with what follows an open end."""
    stream = make_generator(0, "oracle", "returns")
    decided, resolved = torch.rand(7, 3, generator=stream), torch.rand(7, 3, generator=stream)
    ended = torch.rand(7, 3, generator=stream) < 0.3
    ahead = pdppo.Values(torch.rand(3, generator=stream), torch.rand(3, generator=stream))
    found = pdppo.critic_targets("max", decided, resolved, ended, discount=0.9, ahead=ahead)
    sides = []
    for reward, follows in ((resolved, ahead.state), (decided, ahead.post)):
        side = torch.zeros(7, 3)
        for lane in range(3):
            for t in range(7):
                for k in range(t, 7):
                    side[t, lane] += 0.9 ** (k - t) * reward[k, lane]
                    if ended[k, lane]:
                        break
                else:
                    side[t, lane] += 0.9 ** (7 - t) * follows[lane]
        sides.append(side)
    return torch.stack(list(found)), torch.stack(sides), 1e-5


def only_the_sum_has_mean_zero() -> Comparison:
    """One-step episodes, perfect critics: over a ~ pi the sum has mean 0, the max has mean E[max(R - V, 0)] > 0.

    Two actions with probabilities 0.3 and 0.7 and r^x = -1 and 0; chance pays (-4, 0) or (-2, -1), evenly.
    """
    chance = torch.tensor([[0.15, 0.15], [0.35, 0.35]])
    resolved = torch.tensor([[-4.0, 0.0], [-2.0, -1.0]])
    decided = torch.tensor([[-1.0, -1.0], [0.0, 0.0]])
    targets = pdppo.Targets(resolved, decided)
    values = pdppo.Values((chance * resolved).sum().expand(2, 2), decided)
    means = [(chance * pdppo.post_decision_advantage(name, targets, values)).sum() for name in ("sum", "max")]
    # V = -0.6 - 1.05 = -1.65; above it are 0 (by 1.65, probability 0.15) and -1 (by 0.65, probability 0.35)
    return torch.stack(means), torch.tensor([0.0, 0.15 * 1.65 + 0.35 * 0.65]), 1e-6


def afterstate_advantage_at_the_optimum_is_the_exact_one() -> Comparison:
    """With the exact V^x of the optimal policy, the afterstate advantage is Q - V of backward induction."""
    lake = SlipperyLake.generate(5, generator=numpy_generator(0, "oracle", "lake"))
    solved, t = optimum(lake, discount=0.9), 10
    open_tiles = torch.nonzero(~lake.hole & (torch.arange(lake.tiles) != lake.goal)).flatten()
    state = open_tiles.repeat_interleave(4)
    action = torch.arange(4).repeat(len(open_tiles))
    post, decided = lake.decide(state, action)
    best, paid = lake.decide(state, solved.action[t][state])
    advantage = pdppo.post_decision_advantage(
        "afterstate", pdppo.Targets(decided, decided), pdppo.Values(decided, solved.post_value[t][post.tile].float()),
        decided=decided, expected=paid + solved.post_value[t][best.tile].float(),
    )  # fmt: skip
    later = 0.9 * torch.where(torch.arange(lake.tiles) == lake.goal, 0.0, solved.value[t + 1])
    arrives = lake.near.double() - lake.hole_cost.double() + later
    slipped = (lake.slip * arrives[lake.to]).sum(1)
    quality = lake.near.double() + torch.where(
        torch.arange(lake.tiles) == lake.goal, 0.0, 0.5 * later + 0.5 * slipped - lake.hole_cost.double()
    )
    exact = quality[lake.to][state, action] - solved.value[t][state]
    return advantage, exact, 1e-5


def lanes_may_stand_in_any_order() -> Comparison:
    """Permuting the lanes permutes targets and advantages of every aggregate."""
    stream = make_generator(0, "oracle", "lanes")
    decided, resolved, state, post, expected = torch.rand(5, 6, 4, generator=stream)
    ended = torch.rand(6, 4, generator=stream) < 0.3
    order, sides = torch.tensor([2, 0, 3, 1]), []
    for name in pdppo.AGGREGATES:
        made = []
        for rows in (torch.arange(4), order):
            d, r, e, v, x, o = (part[:, rows] for part in (decided, resolved, ended, state, post, expected))
            targets = pdppo.critic_targets(name, d, r, e, discount=0.9)
            made.append(pdppo.post_decision_advantage(name, targets, pdppo.Values(v, x), decided=d, expected=o))
        sides.append((made[1], made[0][:, order]))
    return torch.stack([a for a, _ in sides]), torch.stack([b for _, b in sides]), 1e-6


def machines_may_stand_in_any_order() -> Comparison:
    """Goods add up: listing the machines in another order changes neither reward nor stock."""
    plant = LotSizingPlant.generate(4, 3, generator=numpy_generator(0, "oracle", "plant"))
    order, results = [2, 0, 1], []
    stream = make_generator(0, "oracle", "machines")
    state = LotSizing(plant).initial(9, stream)
    action, demand = torch.randint(5, (9, 3), generator=stream), LotSizing(plant).draw(9, 0, stream)
    for rows in ([0, 1, 2], order):
        listed = LotSizingPlant(plant.items, tuple(plant.machines[m] for m in rows), plant.horizon)
        simulator = LotSizing(listed, mask_unproducible=False)
        post, decided = simulator.decide(PlantState(state.inventory, state.setup[:, rows]), action[:, rows])
        after, resolved, _ = simulator.resolve(post, demand)
        results.append(torch.cat([(decided + resolved)[:, None], after.inventory], 1))
    return results[1], results[0], 1e-4


class _Unsplit:
    """A plant whose first half pays nothing and whose second half pays all: PPO cannot tell the difference."""

    def __init__(self, simulator: LotSizing) -> None:
        self._simulator = simulator
        self.world, self.horizon = simulator.world, simulator.horizon
        self.observation_space, self.action_space = simulator.observation_space, simulator.action_space
        self.initial, self.draw = simulator.initial, simulator.draw
        self.observe, self.mask = simulator.observe, simulator.mask

    def decide(self, state: PlantState, action: Tensor) -> tuple[tuple[PlantPost, Tensor], Tensor]:
        post, decided = self._simulator.decide(state, action)
        return (post, decided), torch.zeros_like(decided)

    def observe_post(self, post: tuple[PlantPost, Tensor]) -> Tensor:
        return self._simulator.observe_post(post[0])

    def resolve(self, post: tuple[PlantPost, Tensor], noise: Tensor) -> tuple[PlantState, Tensor, Tensor]:
        state, resolved, terminated = self._simulator.resolve(post[0], noise)
        return state, post[1] + resolved, terminated


def ppo_does_not_see_the_split() -> Comparison:
    """aggregate="ppo": after three updates the weights are the same whether r^x is split off or 0, bit for bit."""
    config = replace(pdppo.Config.tiny(), aggregate="ppo", reward_scale=1.0)  # scaling each half rounds differently
    split = pdppo.example(config, 0)
    whole = pdppo.PostDecisionPPO(_Unsplit(LotSizing(_plant(split))), config=config, seed=0)
    for _ in range(3):
        split.update()
        whole.update()
    return _weights(whole), _weights(split), 0.0


def one_critic_of_equal_states_is_a_sum_of_itself() -> Comparison:
    """Where a decision changes nothing, the two advantages of one critic differ by their returns only."""
    stream = make_generator(0, "oracle", "one")
    value, state, post = torch.rand(3, 6, 4, generator=stream)
    targets = pdppo.Targets(state, post)
    found = pdppo.post_decision_advantage("one_critic", targets, pdppo.Values(value, value))
    return found, torch.maximum(state, post) - value, 1e-6


def a_centred_batch_has_mean_zero() -> Comparison:
    """`center` takes the bias of the max away from the batch."""
    learner = pdppo.example(replace(pdppo.Config.tiny(), center=True), 0)
    return torch.tensor([learner.update()["advantage"] for _ in range(3)]), torch.zeros(3), 1e-6


def _plant(learner: pdppo.PostDecisionPPO) -> LotSizingPlant:
    simulator = learner.simulator
    assert isinstance(simulator, LotSizing)
    return simulator.plant


def _weights(learner: pdppo.PostDecisionPPO) -> Tensor:
    return torch.cat([value.detach().flatten() for value in learner.policy.parameters()])


def _critic_gradcheck(aggregate: pdppo.Aggregate) -> Callable[[], tuple[Callable[..., Tensor], tuple[Tensor, ...]]]:
    def make() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
        stream = make_generator(0, "oracle", "gradcheck", aggregate)
        state, post, first, second = torch.rand(4, 5, generator=stream, dtype=torch.float64)
        inputs = (first.requires_grad_(True), second.requires_grad_(True))

        def loss(value: Tensor, post_value: Tensor) -> Tensor:
            return pdppo.critic_loss(aggregate, pdppo.Values(value, post_value), pdppo.Targets(state, post))

        return loss, inputs

    return make


class _Valueless(pdppo.PostDecisionPPO):
    """Without critics: the larger of the two returns takes the place of the larger of the two advantages."""

    def _values(self, observation: Tensor, post_observation: Tensor) -> pdppo.Values:
        said = super()._values(observation, post_observation)
        return pdppo.Values(0.0 * said.state, 0.0 * said.post)


LEARNING = pdppo.Config(
    hidden=(32,), lanes=32, steps=12, epochs=2, minibatch=96, window=2, updates=30, actor_rate=4e-3, critic_rate=4e-3,
    reward_scale=0.1,
)  # fmt: skip


@functools.cache
def _trained_cost(seed: int, kind: type[pdppo.PostDecisionPPO] = pdppo.PostDecisionPPO) -> float:
    """Cost of an episode after a short training, on fresh demand."""
    simulator = LotSizing(_plant(pdppo.example(LEARNING, seed)))
    learner = kind(simulator, config=LEARNING, seed=seed)
    for _ in range(LEARNING.updates):
        learner.update()
    test = simulator.scenarios(200, make_generator(seed, "oracle", "test"))
    return float(simulator.rollout(lambda state: learner.policy(simulator.observe(state)), test).cost.mean())


def _uniform_cost(seed: int) -> float:
    simulator = LotSizing(_plant(pdppo.example(LEARNING, seed)))
    test = simulator.scenarios(200, make_generator(seed, "oracle", "test"))
    policy = uniform(simulator, make_generator(seed, "oracle", "uniform"))
    return float(simulator.rollout(policy, test).cost.mean())


REFERENCES = {
    "every advantage, worked out by hand": advantages_by_hand,
    "returns equal their double sums": returns_by_definition,
    "the sum is unbiased, the max is not, by the amount computed": only_the_sum_has_mean_zero,
    "the afterstate advantage is Q - V of backward induction": afterstate_advantage_at_the_optimum_is_the_exact_one,
}
INVARIANCES = {
    "order of lanes": lanes_may_stand_in_any_order,
    "order of machines": machines_may_stand_in_any_order,
}
REDUCTIONS = {
    "plain PPO does not see where the step is split": ppo_does_not_see_the_split,
    "one critic of equal states": one_critic_of_equal_states_is_a_sum_of_itself,
    "a centred batch": a_centred_batch_has_mean_zero,
}
LOSSES = {f"critics, {name}": _critic_gradcheck(name) for name in ("max", "one_critic", "min", "ppo", "afterstate")}
FLOORS = {"uniform choice": lambda seed: (_trained_cost(seed), _uniform_cost(seed))}
ABLATIONS = {"the critics' values": lambda seed: (_trained_cost(seed), _trained_cost(seed, _Valueless))}
