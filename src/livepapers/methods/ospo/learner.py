"""The learners of ospo: policies by clipped steps on group-relative advantages, and double Q-learning beside them."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from livepapers.blocks.advantages import standardise
from livepapers.blocks.deterministic_policy_gradient import follow
from livepapers.blocks.networks import MLP
from livepapers.blocks.policy_optimisation import clipped_surrogate
from livepapers.blocks.q_learning import next_value
from livepapers.core.artifact import Artifact
from livepapers.core.checkpoint import require_keys
from livepapers.core.learner import JSON, Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator as make_generator
from livepapers.methods.ospo.config import Config
from livepapers.methods.ospo.episodes import CONTEXT, Episode, alike, following, joined, play
from livepapers.methods.ospo.networks import DispatchPolicy, Meaning, log_probabilities
from livepapers.methods.ospo.objectives import advantage, critic_advantage
from livepapers.tasks.ride_pooling import RidePooling, small_fleet

ROLE = "learner"
METRICS = (
    "reward", "served", "explore", "loss", "entropy", "clipped", "kl", "advantage_spread", "value_loss", "dev_reward",
    "best_dev_reward",
)  # fmt: skip
"""Discounted reward and share of orders accepted of the update's episodes, exploration included; share of random pairs;
means over its gradient steps of the policy's loss, entropy, share of ratios beyond the clip, and KL to the best network
(0 without one); spread of the advantages, less the penalty; critic's loss (0 without one); latest and best reward on
the dev episodes, greedily."""
Q_METRICS = ("reward", "served", "explore", "loss", "value", "dev_reward", "best_dev_reward")
"""The same for double Q-learning; mean of the values that were learned from."""

PIECE = 32
"""Decisions that are differentiated at once."""

LARGEST_RATIO = 10.0
"""A choice's probability counts as grown tenfold at most: where an advantage is negative, no clip holds the ratio."""


class Dispatcher(Learner):
    """What all learners of ospo share: episodes, exploration, and the network that did best on the dev episodes.

    Args:
        fleet: The world.
        config: Settings.
        seed: Of weights, episodes, exploration and batches; learners of one seed meet the same orders.
    """

    meaning: Meaning = "probability"

    def __init__(self, fleet: RidePooling, *, config: Config, seed: int) -> None:
        self.fleet, self.config, self.seed = fleet, config, seed
        self.current = DispatchPolicy(
            fleet.vehicles, fleet.seats, fleet.places, hidden=config.hidden, meaning=self.meaning,
            generator=make_generator(seed, "ospo", "weights"),
        )  # fmt: skip
        self.best = copy.deepcopy(self.current).requires_grad_(False)
        self._exploration = make_generator(seed, "ospo", "exploration")
        self._batches = make_generator(seed, "ospo", "batches")
        self._episodes = self._gradient_steps = self._checks = self._decisions = 0
        self._dev_reward = self._best_reward = 0.0
        self._stalled = False  # the latest check brought no progress

    def update(self) -> dict[str, float]:
        """Play episodes, learn from them, and check the network when it is time."""
        config, explore = self.config, self.explore
        worlds = self.fleet.scenario(config.lanes, make_generator(self.seed, "ospo", "world", self._episodes))
        played = play(
            self.fleet, self.current, worlds, explore=explore, discount=config.discount, generator=self._exploration
        )
        measured = self._learn(played.episode)
        before = self._episodes // config.check_every
        self._episodes += config.lanes
        self._decisions += len(played.episode.reward)
        if not self._checks or self._episodes // config.check_every > before or self._episodes >= config.episodes:
            self._check()
        return {
            "reward": float(played.discounted.mean()), "served": float(played.served.mean()), "explore": explore,
            **measured, "dev_reward": self._dev_reward, "best_dev_reward": self._best_reward,
        }  # fmt: skip

    @property
    def explore(self) -> float:
        """The present share of random pairs."""
        config = self.config
        return max(config.explore * config.explore_decay**self._episodes, config.explore_least)

    @property
    def dev_reward(self) -> float:
        """The latest reward on the dev episodes; 0 before the first check."""
        return self._dev_reward

    @property
    def updates(self) -> int:
        """How many updates play the configured number of episodes."""
        return -(-self.config.episodes // self.config.lanes)

    def policy(self) -> DispatchPolicy:
        """A copy of the network that did best on the dev episodes (before the first check: of the initial one)."""
        return copy.deepcopy(self.best).eval()

    def artifact(self, **made_by: JSON) -> Artifact:
        """The description of `policy()` for `core.artifact`."""
        kept: dict[str, JSON] = {"config": self.config.to_json(), "seed": self.seed, **made_by}
        spaces: dict[str, JSON] = {"task": self.fleet.world}
        return Artifact("policy", "ospo", "methods.ospo:DispatchPolicy", dict(self.best.arguments), kept, spaces)

    def work(self) -> dict[str, int]:
        """Minutes of the fleet (those of dev episodes by themselves), decisions, and gradient steps."""
        minutes = self.fleet.horizon
        return {
            "fleet_minutes": self._episodes * minutes, "decisions": self._decisions,
            "gradient_steps": self._gradient_steps,
            "dev_minutes": self._checks * self.config.check_episodes * minutes,
        }  # fmt: skip

    @abstractmethod
    def _learn(self, episode: Episode) -> dict[str, float]:
        """Take the gradient steps that an update's episodes are worth."""

    @abstractmethod
    def _modules(self) -> dict[str, nn.Module]:
        """The networks whose weights are the learner's state, by name."""

    def _memory(self) -> dict[str, Any]:
        return {}

    def _remember(self, memory: State) -> None:
        del memory

    def _rate(self) -> float:
        done = min(self._episodes / self.config.episodes, 1.0)
        return self.config.learning_rate + done * (self.config.last_rate - self.config.learning_rate)

    def _check(self) -> None:
        config = self.config
        dev = self.fleet.scenario(config.check_episodes, make_generator(self.seed, "ospo", "dev"))
        with torch.no_grad():
            rollout = self.fleet.rollout(lambda state: self.current(self.fleet.observe(state)), dev)
        self._dev_reward = float(rollout.discounted(config.discount).mean())
        self._stalled = self._checks > 0 and self._dev_reward <= self._best_reward
        if not self._stalled:
            self._best_reward = self._dev_reward
            self.best.load_state_dict(self.current.state_dict())
        self._checks += 1

    def _gradient(
        self, episode: Episode, rows: Tensor, loss: Callable[[Episode, Tensor], tuple[Tensor, Tensor]]
    ) -> Tensor:
        """The gradient of a mean loss over some decisions, and the means of what else `loss` returns."""
        self._optimizer.zero_grad()
        measured: Tensor | None = None
        for piece, cut in alike(episode, rows, PIECE):
            value, parts = loss(cut, rows[piece])
            share = len(piece) / len(rows)
            (share * value).backward()
            measured = share * parts if measured is None else measured + share * parts
        assert measured is not None
        return measured

    def _step(self) -> None:
        """Move by the gradient that is there."""
        optimizer = self._optimizer
        optimizer.param_groups[0]["lr"] = self._rate()
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.config.clip_norm)
        optimizer.step()
        self._gradient_steps += 1

    _COUNTERS = ("episodes", "gradient_steps", "checks", "decisions", "dev_reward", "best_reward", "stalled")

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimiser, streams, counters, and what is remembered; episodes end with every update."""
        return {
            "networks": {name: _weights(module) for name, module in self._modules().items()},
            "optimizer": optimizer_state(self._optimizer),
            "exploration": self._exploration.get_state(), "batches": self._batches.get_state(),
            "counters": {name: getattr(self, f"_{name}") for name in self._COUNTERS},
            "memory": self._memory(),
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, {**self.state_dict(), "memory": {}}, what="ospo state")
        require_keys(state["networks"], self._modules(), what="networks")
        for name, module in self._modules().items():
            require_keys(state["networks"][name], module.state_dict(), what=name)
        require_keys(state["counters"], dict.fromkeys(self._COUNTERS), what="counters")
        load_or_keep(self, self._load, state)

    def _load(self, state: State) -> None:
        load_optimizer_state(self._optimizer, state["optimizer"])
        for name, module in self._modules().items():
            module.load_state_dict(state["networks"][name])
        self._exploration.set_state(state["exploration"].clone())
        self._batches.set_state(state["batches"].clone())
        for name in self._COUNTERS:
            setattr(self, f"_{name}", state["counters"][name])
        self._remember(state["memory"])

    _optimizer: torch.optim.Optimizer


class GroupPolicyOptimizer(Dispatcher):
    """OSPO, GRPO and IPPO: one shared policy, clipped ratios, advantages as `config.horizon` and `config.group` say."""

    def __init__(self, fleet: RidePooling, *, config: Config, seed: int) -> None:
        super().__init__(fleet, config=config, seed=seed)
        self.critic: MLP | None = None
        trained = list(self.current.parameters())
        if config.horizon == "critic":
            self.critic = MLP(
                fleet.vehicle_width + CONTEXT, config.hidden, outputs=1, activation="leaky_relu",
                generator=make_generator(seed, "ospo", "critic"),
            )  # fmt: skip
            trained += list(self.critic.parameters())
        self._optimizer = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)

    def advantages(self, episode: Episode) -> tuple[Tensor, Tensor]:
        """(Advantages without the penalty, targets of the critic or nothing), `[D]` each."""
        config, records = self.config, (episode.reward, episode.minute, episode.agent, episode.time)
        if self.critic is None:
            found = advantage(config.horizon, config.group, *records, discount=config.discount)
            return found, episode.reward.new_zeros(0)
        with torch.no_grad():
            value = self._value(episode.vehicle, episode.context[episode.minute])
        found = critic_advantage(
            standardise(episode.reward),
            value,
            episode.agent,
            episode.time,
            discount=config.discount,
            trace=config.trace,
        )
        return standardise(found), found + value

    def _learn(self, episode: Episode) -> dict[str, float]:
        names = ("loss", "entropy", "clipped", "kl", "value_loss")
        config, count = self.config, len(episode.reward)
        if count < 2:  # an empty minute, or a fleet that cannot move: there is nothing to compare
            return {**dict.fromkeys(names, 0.0), "advantage_spread": 0.0}
        found, target = self.advantages(episode)
        whole = found + config.fairness * episode.penalty[episode.minute]
        weight, sums = (config.kl if self._stalled else 0.0), torch.zeros(len(names))
        steps = config.steps * config.lanes
        for _ in range(steps):
            rows = torch.randint(count, (config.batch,), generator=self._batches)
            now = weight
            measured = self._gradient(episode, rows, lambda cut, part: self._loss(cut, part, whole, target, now))  # noqa: B023
            sums += measured
            if weight and float(measured[3]) > config.kl_limit:
                weight *= 2.0
                continue
            self._step()
        means = dict(zip(names, (sums / steps).tolist(), strict=True))
        return {**means, "advantage_spread": float(found.std(correction=0))}

    def _loss(
        self, episode: Episode, rows: Tensor, whole: Tensor, target: Tensor, weight: float
    ) -> tuple[Tensor, Tensor]:
        """The loss of some decisions and its parts `[5]`: policy, entropy, clipped, KL, critic."""
        config, minute = self.config, episode.minute[rows]
        vehicle, there = episode.vehicle[rows], episode.there[minute]
        log_all = log_probabilities(self.current.scorer(vehicle, episode.orders, minute), there)
        chosen = log_all.gather(1, episode.chosen[rows, None]).squeeze(1)
        before = episode.probability[rows].clamp(min=config.floor).log()
        held = chosen.clamp(max=before + torch.tensor(LARGEST_RATIO).log())
        gain = clipped_surrogate(
            held[:, None], before[:, None], whole[rows], low=config.clip_low, high=config.clip_high
        )
        probability, finite = log_all.exp(), log_all.masked_fill(~there, 0.0)
        entropy = -(probability * finite).sum(1).mean()
        loss = -gain - config.entropy * entropy
        kl = error = gain.new_zeros(())
        if weight:
            with torch.no_grad():
                best = log_probabilities(self.best.scorer(vehicle, episode.orders, minute), there)
            apart = probability * (finite - best.masked_fill(~there, 0.0))
            kl = (apart.sum(1) / there.sum(1)).mean()  # over orders, as released: the limit is meant for it
            loss = loss + weight * kl
        if self.critic is not None:
            error = functional.mse_loss(self._value(vehicle, episode.context[minute]), target[rows])
            loss = loss + config.value_weight * error
        with torch.no_grad():
            ratio = (chosen - before).exp()
            beyond = ((ratio < 1.0 - config.clip_low) | (ratio > 1.0 + config.clip_high)).float().mean()
        return loss, torch.stack([-gain, entropy, beyond, kl, error]).detach()

    def _value(self, vehicle: Tensor, context: Tensor) -> Tensor:
        assert self.critic is not None
        return self.critic(torch.cat([vehicle, context], 1)).squeeze(-1)

    def _modules(self) -> dict[str, nn.Module]:
        critic = {} if self.critic is None else {"critic": self.critic}
        return {"current": self.current, "best": self.best, **critic}


class QDispatcher(Dispatcher):
    """Independent double Q-learning: Q(vehicle, order), the next value that of the agent's own next decision.

    target  y = r + discount^gap Q'(s', argmax over the orders then open of Q(s', .)), r after the last decision
    """

    meaning: Meaning = "value"

    def __init__(self, fleet: RidePooling, *, config: Config, seed: int) -> None:
        super().__init__(fleet, config=config, seed=seed)
        self.target = copy.deepcopy(self.current.scorer).requires_grad_(False)
        self._optimizer = torch.optim.Adam(self.current.parameters(), lr=config.learning_rate, fused=True)
        self._kept: list[Episode] = []

    def _learn(self, episode: Episode) -> dict[str, float]:
        config = self.config
        self._kept.append(episode)
        while len(self._kept) > 1 and sum(len(one.reward) for one in self._kept[1:]) >= config.replay:
            self._kept.pop(0)
        memory = joined(self._kept)
        after, sums, steps = following(memory), torch.zeros(2), config.steps * config.lanes
        if not len(memory.reward):
            return {"loss": 0.0, "value": 0.0}
        for _ in range(steps):
            rows = torch.randint(len(memory.reward), (config.batch,), generator=self._batches)
            goal = torch.zeros_like(memory.reward).index_put((rows,), self._goal(memory, rows, after[rows]))
            sums += self._gradient(memory, rows, lambda cut, part: self._error(cut, part, goal))  # noqa: B023
            self._step()
            follow(self.target, self.current.scorer, rate=config.target_rate)
        return dict(zip(("loss", "value"), (sums / steps).tolist(), strict=True))

    def _error(self, memory: Episode, rows: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The Huber loss of some decisions, and it with the mean value beside it `[2]`."""
        scores = self.current.scorer(memory.vehicle[rows], memory.orders, memory.minute[rows])
        value = scores.gather(1, memory.chosen[rows, None]).squeeze(1)
        loss = functional.smooth_l1_loss(value, goal[rows])
        return loss, torch.stack([loss, value.mean()]).detach()

    @torch.no_grad()
    def _goal(self, memory: Episode, rows: Tensor, after: Tensor) -> Tensor:
        """What the value of each decision should be, `[batch]`."""
        value = torch.zeros(len(rows))
        for piece, cut in alike(memory, after, PIECE):
            vehicle, minute = cut.vehicle[after[piece]], cut.minute[after[piece]]
            values, ours = (one(vehicle, cut.orders, minute) for one in (self.target, self.current.scorer))
            value[piece] = next_value(values, ours, cut.there[minute])
        gap = (memory.time[after] - memory.time[rows]).float()
        return memory.reward[rows] + torch.where(after >= 0, self.config.discount**gap * value, 0.0)

    def _modules(self) -> dict[str, nn.Module]:
        return {"current": self.current, "best": self.best, "target": self.target}

    def _memory(self) -> dict[str, Any]:
        return {str(index): one._asdict() for index, one in enumerate(self._kept)}

    def _remember(self, memory: State) -> None:
        self._kept = [
            Episode(**{name: memory[str(index)][name].clone() for name in Episode._fields})
            for index in range(len(memory))
        ]


def example(config: Config, seed: int) -> GroupPolicyOptimizer:
    """The smallest whole problem: twelve vehicles in a town of 16 zones."""
    return GroupPolicyOptimizer(small_fleet(), config=config, seed=seed)


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
