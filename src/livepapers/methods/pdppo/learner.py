"""The learner of pdppo: a sliding window of collections, advantages of two critics, three separate optimisers."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from livepapers.blocks.advantages import standardise
from livepapers.blocks.policy_optimisation import clipped_surrogate
from livepapers.core.artifact import Artifact
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError
from livepapers.core.learner import JSON, Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator as make_generator
from livepapers.methods.pdppo.collecting import Collection, Collector, PostDecisionSimulator
from livepapers.methods.pdppo.config import Config
from livepapers.methods.pdppo.networks import PostDecisionPolicy, critic
from livepapers.methods.pdppo.objectives import (
    SEES_POST,
    Targets,
    Values,
    critic_loss,
    critic_targets,
    post_decision_advantage,
)
from livepapers.tasks.lot_sizing import Demand, Item, LotSizing, LotSizingPlant, Machine, Makes

ROLE = "learner"
METRICS = ("reward", "episode_reward", "advantage", "entropy", "critic_loss", "clipped", "post_correlation")
"""Mean reward a step; mean reward of the episodes that ended (of earlier ones if none did; 0 before the first); mean of
the aggregated advantage, which unbiased ones keep near 0; entropy an action component, loss of the critics and share of
ratios beyond the clip in the last gradient step; correlation of V^x with what it is fitted to, before the update."""


_JOINED = ("observation", "post_observation", "action", "log_prob")


class _Batch(NamedTuple):
    """The window, flat."""

    observation: Tensor
    post_observation: Tensor
    action: Tensor
    log_prob: Tensor
    mask: Tensor | None
    advantage: Tensor
    targets: Targets


class PostDecisionPPO(Learner):
    """PPO whose advantage is made of two critics, one before and one after the decision.

    Args:
        simulator: The world, in its two halves.
        config: Settings.
        seed: Of the worlds (equal for all variants), initial weights and drawn actions.
    """

    def __init__(self, simulator: PostDecisionSimulator[Any, Any, Any], *, config: Config, seed: int) -> None:
        self.simulator, self.config, self.seed = simulator, config, seed
        inputs = (simulator.observation_space.shape or (0,))[0]
        weights = make_generator(seed, "pdppo", "weights")
        self.policy = PostDecisionPolicy(
            inputs, simulator.action_space, hidden=config.hidden, activation=config.activation,
            allowed=_always(simulator), generator=weights,
        )  # fmt: skip
        self.critics = nn.ModuleList([critic(inputs, config.hidden, generator=weights) for _ in range(2)])
        last = list(self.policy.network.layers)[-1]
        trained = self.policy.parameters() if config.train == "all" else last.parameters()
        self._optimizers = [
            torch.optim.Adam(parameters, lr=rate, weight_decay=config.weight_decay)
            for parameters, rate in (
                (trained, config.actor_rate),
                (self.critics[0].parameters(), config.critic_rate),
                (self.critics[1].parameters(), config.critic_rate),
            )
        ]
        self._collector = Collector(simulator, config=config, seed=seed)
        self._shuffle = make_generator(seed, "pdppo", "minibatches")
        self._window: dict[str, Collection] = {}
        self._rounds = self._gradient_steps = 0
        self.latest: dict[str, float] = {}
        """Metrics of the latest update of this process; not part of the state."""

    def update(self) -> dict[str, float]:
        """One collection and the epochs on the window."""
        config = self.config
        fresh = self._collector.collect(self.policy, self._said)
        self._window[str(self._rounds)] = fresh
        self._rounds += 1
        self._set_rates()
        batch, correlation = self._batch()
        metrics = {"clipped": 0.0, "critic_loss": 0.0, "entropy": 0.0}
        for _ in range(config.epochs):
            for part in self._parts(batch):
                metrics = self._step(part)
        self._forget()
        self.latest = {
            "reward": float((fresh.decided + fresh.resolved).mean()) / config.reward_scale,
            "episode_reward": self._collector.episode_reward,
            "advantage": float(batch.advantage.mean()),
            "post_correlation": correlation,
            **metrics,
        }
        return dict(self.latest)

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimisers, window, worlds, streams and counters."""
        return {
            "policy": {name: value.detach().clone() for name, value in self.policy.state_dict().items()},
            "critics": {name: value.detach().clone() for name, value in self.critics.state_dict().items()},
            "optimizers": {str(k): optimizer_state(one) for k, one in enumerate(self._optimizers)},
            "window": {name: part._asdict() for name, part in self._window.items()},
            "collector": self._collector.state_dict(),
            "shuffle": self._shuffle.get_state(),
            "counters": [self._rounds, self._gradient_steps],
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="pdppo state")
        require_keys(state["policy"], self.policy.state_dict(), what="policy")
        require_keys(state["critics"], self.critics.state_dict(), what="critics")
        self._collector.check(state["collector"])
        for name, part in state["window"].items():
            if set(part) != set(Collection._fields):
                raise CorruptFileError(f"pdppo state: window {name} has other fields than {Collection._fields}")
        require_keys(state["optimizers"], {str(k): None for k in range(3)}, what="optimisers")
        load_or_keep(self, self._take_over, state)

    def _take_over(self, state: State) -> None:
        for k, one in enumerate(self._optimizers):
            load_optimizer_state(one, state["optimizers"][str(k)])
        self.policy.load_state_dict(state["policy"])
        self.critics.load_state_dict(state["critics"])
        order = sorted(state["window"], key=int)
        self._window = {name: Collection(**{k: v.clone() for k, v in state["window"][name].items()}) for name in order}
        self._collector.load_state_dict(state["collector"])
        self._shuffle.set_state(state["shuffle"].clone())
        self._rounds, self._gradient_steps = (int(count) for count in state["counters"])

    def artifact(self, **made_by: JSON) -> Artifact:
        """The description of the trained policy; its weights are `policy.state_dict()`.

        Args:
            made_by: What made it, beside configuration and seed.
        """
        return Artifact(
            kind="policy", slug="pdppo", architecture="methods.pdppo:PostDecisionPolicy",
            arguments=self.policy.arguments,
            made_by={"seed": self.seed, "config": self.config.to_json(), **made_by},
            spaces={"task": self.simulator.world},
        )  # fmt: skip

    def work(self) -> dict[str, int]:
        """Environment steps over all lanes, and gradient steps, each of every network."""
        return {"environment_steps": self._collector.steps, "gradient_steps": self._gradient_steps}

    def _values(self, observation: Tensor, post_observation: Tensor) -> Values:
        """V(s) and V^x(s^x), or what this variant has in their places."""
        aggregate = self.config.aggregate
        state, post = self.critics[0], self.critics[1]
        second = post_observation if SEES_POST[aggregate] else observation
        if aggregate == "one_critic":
            post = state
        nothing = torch.zeros(observation.shape[:-1])
        return Values(
            nothing if aggregate == "afterstate" else state(observation).squeeze(-1),
            nothing if aggregate == "ppo" else post(second).squeeze(-1),
        )

    def _said(self, observation: Tensor, post_observation: Tensor) -> Tensor:
        """What the critics say, `[2, batch]`."""
        return torch.stack(self._values(observation, post_observation))

    @torch.no_grad()
    def _batch(self) -> tuple[_Batch, float]:
        """The window as one batch with advantages and targets, and the correlation of V^x with its target."""
        config, parts = self.config, []
        for part in self._window.values():
            values, ahead = Values(*part.values), Values(*part.last_values)
            if config.refresh:
                values = self._values(part.observation, part.post_observation)
                ahead = self._values(part.last_observation, part.last_post)
            targets = critic_targets(
                config.aggregate, part.decided, part.resolved, part.ended, discount=config.discount,
                ahead=ahead if config.bootstrap else None, decided_ahead=part.last_decided,
            )  # fmt: skip
            parts.append((part, values, targets, self._expected(part)))
        whole = {name: torch.cat([getattr(part, name) for part, *_ in parts]) for name in (*_JOINED, "decided", "mask")}
        values = Values(*(torch.cat(side) for side in zip(*(v for _, v, _, _ in parts), strict=True)))
        targets = Targets(*(torch.cat(side) for side in zip(*(t for _, _, t, _ in parts), strict=True)))
        if config.aggregate == "min":
            targets = Targets(standardise(targets.state), targets.post)
        expected = torch.cat([e for *_, e in parts]) if config.aggregate == "afterstate" else None
        advantage = post_decision_advantage(
            config.aggregate, targets, values, decided=whole["decided"], expected=expected
        )
        if config.center:
            advantage = advantage - advantage.mean()
        flat = {name: whole[name].flatten(0, 1) for name in _JOINED}
        mask = whole["mask"].flatten(0, 1) if whole["mask"].numel() else None
        correlation = _correlation(values.post, targets.post)
        targets = Targets(targets.state.flatten(), targets.post.flatten())
        return _Batch(**flat, mask=mask, advantage=advantage.flatten(), targets=targets), correlation

    def _expected(self, part: Collection) -> Tensor:
        """Afterstate: the expectation of r^x + V^x over actions, `[T, N]`; nothing for the others."""
        if self.config.aggregate != "afterstate":
            return part.other_weight
        value = self.critics[1](part.other_post).squeeze(-1)
        return (part.other_weight * (part.other_decided + value)).sum(-1)

    def _parts(self, batch: _Batch) -> Iterator[_Batch]:
        """The window whole, or in shuffled minibatches."""
        count = len(batch.advantage)
        if not 0 < self.config.minibatch < count:
            yield batch
            return
        for rows in torch.randperm(count, generator=self._shuffle).split(self.config.minibatch):
            yield _Batch(
                **{name: getattr(batch, name)[rows] for name in (*_JOINED, "advantage")},
                mask=None if batch.mask is None else batch.mask[rows],
                targets=Targets(batch.targets.state[rows], batch.targets.post[rows]),
            )

    def _step(self, batch: _Batch) -> dict[str, float]:
        """One gradient step of every network."""
        config = self.config
        over = self.policy.over(batch.observation, batch.mask)
        log_prob = over.log_prob(batch.action)
        gain = clipped_surrogate(log_prob, batch.log_prob, batch.advantage, low=config.clip, high=config.clip)
        entropy = over.entropy().mean() / log_prob.shape[1]
        fit = critic_loss(config.aggregate, self._values(batch.observation, batch.post_observation), batch.targets)
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        (fit - gain - config.entropy * entropy).backward()
        for optimizer, network in zip(self._optimizers, (self.policy, *self.critics), strict=True):
            if config.clip_norm:
                nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimizer.step()
        self._gradient_steps += 1
        beyond = ((log_prob.detach() - batch.log_prob).exp() - 1.0).abs() > config.clip
        return {
            "clipped": float(beyond.float().mean()), "critic_loss": float(fit.detach()),
            "entropy": float(entropy.detach()),
        }  # fmt: skip

    def _forget(self) -> None:
        """Keep the window to what the next update may learn from, its own collection left out."""
        if self._rounds < self.config.window:
            return
        names = sorted(self._window, key=int)
        # the released lake PPO deletes what follows the first collection instead of the first collection
        kept = names[:1] if self.config.keep == "first" else names[1:]
        self._window = {name: self._window[name] for name in kept}

    def _set_rates(self) -> None:
        left = max(0.0, 1.0 - (self._rounds - 1) / self.config.updates) if self.config.decay else 1.0
        rates = (self.config.actor_rate, self.config.critic_rate, self.config.critic_rate)
        for optimizer, rate in zip(self._optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * left


def example(config: Config, seed: int) -> PostDecisionPPO:
    """The smallest whole problem: one machine, two items of which it can make one at a time."""
    demand = Demand("binomial", trials=4, probability=0.5)
    plant = LotSizingPlant(
        items=(Item("a", 0.05, 2.0, demand, capacity=20), Item("b", 0.05, 1.0, demand, capacity=20)),
        machines=(Machine("m", (Makes("a", 6, setup_cost=2.0, setup_loss=1), Makes("b", 5, setup_cost=2.0))),),
        horizon=24,
    )
    return PostDecisionPPO(LotSizing(plant), config=config, seed=seed)


def _always(simulator: PostDecisionSimulator[Any, Any, Any]) -> list[bool] | None:
    """What the simulator's mask allows in a start state; a policy that is saved keeps it where it never changes."""
    mask = simulator.mask(simulator.initial(1, make_generator(0, "pdppo", "mask")))
    return None if mask is None else mask[0].tolist()


def _correlation(value: Tensor, target: Tensor) -> float:
    value, target = value.flatten() - value.mean(), target.flatten() - target.mean()
    scale = value.norm() * target.norm()
    return float((value * target).sum() / scale) if float(scale) > 1e-12 else 0.0
