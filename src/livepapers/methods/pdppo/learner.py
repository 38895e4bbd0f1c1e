"""The learner of pdppo: collect over the two halves of a step, keep a sliding window, fit actor and critics."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn

from livepapers.blocks.policy_optimisation import clipped_surrogate
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, optimizer_state
from livepapers.core.rng import generator as make_generator
from livepapers.methods.pdppo.networks import Activation, PostDecisionPolicy, critic
from livepapers.methods.pdppo.objectives import (
    SEES_POST,
    Aggregate,
    Targets,
    Values,
    critic_loss,
    critic_targets,
    post_decision_advantage,
)
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import choose, leaves, rebuilt

ROLE = "learner"
METRICS = ("reward", "episode_reward", "advantage", "entropy", "critic_loss", "clipped", "post_correlation")
"""Mean reward a step; mean reward of the episodes that ended (of earlier ones if none did; 0 before the first); mean of
the aggregated advantage, which unbiased ones keep near 0; entropy an action component; loss of the critics after the
last epoch; share of ratios beyond the clip there; correlation of V^x with what it is fitted to, before the update."""

StateT = TypeVar("StateT")
PostT = TypeVar("PostT")
NoiseT = TypeVar("NoiseT")


class PostDecisionSimulator(Simulator[StateT, PostT, NoiseT], Protocol[StateT, PostT, NoiseT]):
    """A simulator that can show its post-decision states."""

    def observe_post(self, post: PostT) -> Tensor:
        """The post-decision state, as wide as an observation, `[batch, F]`."""
        ...


@config_dataclass
class Config(Presets):
    """Training settings; the defaults are the laptop preset, for plants."""

    aggregate: Aggregate = setting("max", "how the two advantages become one; the paper: max; see AGGREGATES")
    hidden: tuple[int, ...] = setting((128, 128), "section on the architecture: 128-128 for all networks")
    activation: Activation = setting("relu", "of the actor; plants relu, lake tanh; critics are always tanh")
    lanes: int = setting(4, "episodes side by side; the paper collects one after the other", ge=1)
    steps: int = setting(100, "steps a lane and update; lanes x steps is the paper's 400 (plants) or 500 (lake)", ge=1)
    epochs: int = setting(10, "full-batch gradient steps an update; paper 40 (plants), 50 (lake)", ge=1)
    window: int = setting(6, "collections that are learned from at once; paper: the last 5, and the new one", ge=1)
    keep: Literal["newest", "first"] = setting("newest", "first: the released lake PPO's fault, see Deviations")
    train: Literal["all", "last"] = setting("all", "last: only the actor's last layer, as the released plant agents")
    refresh: bool = setting(True, "values of the window are computed anew; paper: those of the collecting critics")
    bootstrap: bool = setting(True, "values follow where a collection ends within an episode; paper: nothing does")
    center: bool = setting(False, "the batch mean is taken from the advantages; not in the paper")
    actor_rate: float = setting(5.5e-4, "Adam; the released code", gt=0, le=1)
    critic_rate: float = setting(1e-3, "Adam; the released code", gt=0, le=1)
    decay: bool = setting(False, "both rates fall to 0 linearly over `updates`; paper: constant")
    updates: int = setting(750, "over which the rates fall, where they do", ge=1)
    discount: float = setting(0.9, "a step; the released code", ge=0, le=1)
    clip: float = setting(0.2, "of the ratio; the released code", gt=0, lt=1)
    entropy: float = setting(0.001, "weight of the entropy of an action component; min variant 0.012", ge=0)
    weight_decay: float = setting(0.0, "Adam's; min variant 0.001", ge=0)
    clip_norm: float = setting(0.0, "gradient norm of each network, 0 = no clipping; min variant 1", ge=0)
    reward_scale: float = setting(0.01, "rewards are multiplied by it for learning; paper 1", gt=0)
    samples: int = setting(8, "afterstate: actions drawn for the expectation; all four on the lake", ge=2)

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(hidden=(16,), lanes=4, steps=8, epochs=2, window=2, updates=10)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(lanes=4, steps=50, epochs=5, updates=10)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The released settings, for plants."""
        return cls(epochs=40, refresh=False, bootstrap=False, updates=2500, reward_scale=1.0)


class Collection(NamedTuple):
    """What one round of acting gave: `[T, N, ...]`, and `[N, ...]` of the step that would have come next."""

    observation: Tensor
    post_observation: Tensor
    action: Tensor
    log_prob: Tensor  # [T, N, component] of the policy that acted
    decided: Tensor  # [T, N] r^x
    resolved: Tensor  # [T, N] r
    ended: Tensor  # [T, N] bool
    last_observation: Tensor  # [N, F]
    last_post: Tensor  # [N, F]
    last_decided: Tensor  # [N]
    values: Tensor  # [2, T, N] of the critics that were there
    last_values: Tensor  # [2, N]
    other_post: Tensor  # afterstate: [T, N, K, F] post-decision states of other actions; else [0]
    other_decided: Tensor  # afterstate: [T, N, K]
    other_weight: Tensor  # afterstate: [T, N, K] their probabilities, or 1 / K for drawn ones
    mask: Tensor  # [T, N, choices] bool; [0] where all is allowed


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
        self._generator = make_generator(seed, "pdppo", "actions")
        self._window: dict[str, Collection] = {}
        self._rounds = self._steps = self._gradient_steps = 0
        self._state: Any = None
        self._elapsed = torch.zeros(config.lanes, dtype=torch.int64)
        self._running = torch.zeros(config.lanes)  # reward of the episodes under way, unscaled
        self._episode_reward = 0.0

    def update(self) -> dict[str, float]:
        """One collection and the epochs on the window."""
        config = self.config
        fresh = self._collect()
        self._window[str(self._rounds)] = fresh
        self._rounds += 1
        self._set_rates()
        batch, correlation = self._batch()
        metrics = {"clipped": 0.0, "critic_loss": 0.0, "entropy": 0.0}
        for _ in range(config.epochs):
            metrics = self._epoch(batch)
        self._forget()
        return {
            "reward": float((fresh.decided + fresh.resolved).mean()) / config.reward_scale,
            "episode_reward": self._episode_reward,
            "advantage": float(batch.advantage.mean()),
            "post_correlation": correlation,
            **metrics,
        }

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimisers, window, worlds, streams and counters."""
        return {
            "policy": {name: value.detach().clone() for name, value in self.policy.state_dict().items()},
            "critics": {name: value.detach().clone() for name, value in self.critics.state_dict().items()},
            "optimizers": {str(k): optimizer_state(one) for k, one in enumerate(self._optimizers)},
            "window": {name: part._asdict() for name, part in self._window.items()},
            "world": {} if self._state is None else {str(k): leaf for k, leaf in enumerate(leaves(self._state))},
            "elapsed": self._elapsed,
            "running": self._running,
            "generator": self._generator.get_state(),
            "counters": [self._rounds, self._steps, self._gradient_steps],
            "episode_reward": self._episode_reward,
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="pdppo state")
        require_keys(state["policy"], self.policy.state_dict(), what="policy")
        require_keys(state["critics"], self.critics.state_dict(), what="critics")
        template = self.simulator.initial(self.config.lanes, make_generator(0, "template"))
        if state["world"]:
            require_keys(state["world"], {str(k): leaf for k, leaf in enumerate(leaves(template))}, what="world")
        for name, part in state["window"].items():
            if set(part) != set(Collection._fields):
                raise CorruptFileError(f"pdppo state: window {name} has other fields than {Collection._fields}")
        require_keys(state["optimizers"], {str(k): None for k in range(3)}, what="optimisers")
        for k, one in enumerate(self._optimizers):
            load_optimizer_state(one, state["optimizers"][str(k)])
        self.policy.load_state_dict(state["policy"])
        self.critics.load_state_dict(state["critics"])
        order = sorted(state["window"], key=int)
        self._window = {name: Collection(**{k: v.clone() for k, v in state["window"][name].items()}) for name in order}
        world = iter([state["world"][str(k)] for k in range(len(state["world"]))])
        self._state = rebuilt(template, world) if state["world"] else None
        self._elapsed, self._running = state["elapsed"].clone(), state["running"].clone()
        self._generator.set_state(state["generator"].clone())
        self._rounds, self._steps, self._gradient_steps = (int(count) for count in state["counters"])
        self._episode_reward = float(state["episode_reward"])

    def work(self) -> dict[str, int]:
        """Environment steps over all lanes, and gradient steps (each on the whole window, for every network)."""
        return {"environment_steps": self._steps, "gradient_steps": self._gradient_steps}

    # ---- collecting ----

    @torch.no_grad()
    def _collect(self) -> Collection:
        """Act for `steps` in all lanes. Noise is keyed by (seed, step): all variants meet the same demand and slips."""
        simulator, config = self.simulator, self.config
        if self._state is None:
            self._state = simulator.initial(config.lanes, make_generator(self.seed, "pdppo", "start"))
        columns: list[tuple[Tensor, ...]] = []
        for _ in range(config.steps):
            seen = self._decide()
            noise = simulator.draw(config.lanes, int(self._elapsed[0]), self._stream("noise"))
            self._state, reward, terminated = simulator.resolve(seen.post, noise)
            self._running += seen.decided + reward
            self._elapsed += 1
            ended = terminated | (self._elapsed >= simulator.horizon)
            scaled = (config.reward_scale * seen.decided, config.reward_scale * reward)
            columns.append((seen.observation, seen.post_observation, seen.action, seen.log_prob, *scaled, ended,
                            seen.values, *seen.others, seen.mask))  # fmt: skip
            if bool(ended.any()):
                self._restart(ended)
            self._steps += config.lanes
        kept = self._generator.get_state()  # the peek below must not shift what is drawn next
        ahead = self._decide()
        self._generator.set_state(kept)
        stacked = [torch.stack(part) for part in zip(*columns, strict=True)]
        values = stacked[7].transpose(0, 1)
        return Collection(
            *stacked[:7], ahead.observation, ahead.post_observation, config.reward_scale * ahead.decided,
            values, ahead.values, *stacked[8:],
        )  # fmt: skip

    def _decide(self) -> "_Decision":
        """Act once in the present states: both halves' first."""
        simulator = self.simulator
        observation, mask = simulator.observe(self._state), simulator.mask(self._state)
        over = self.policy.over(observation, mask)
        action = over.sample(self._generator)
        post, decided = simulator.decide(self._state, action)
        seen = simulator.observe_post(post)
        nothing = torch.zeros(0)
        others = (nothing, nothing, nothing)
        if self.config.aggregate == "afterstate":
            others = self._others(over)
        values = torch.stack(self._values(observation, seen))
        kept = nothing.bool() if mask is None else mask.clone()
        return _Decision(observation, post, seen, action, over.log_prob(action), decided, values, others, kept)

    def _others(self, over: Any) -> tuple[Tensor, Tensor, Tensor]:
        """(Post-decision observations, r^x, weights) of other actions: all of a Discrete space, or drawn ones."""
        simulator, lanes = self.simulator, self.config.lanes
        if isinstance(simulator.action_space, Discrete):
            actions = [torch.full((lanes,), choice) for choice in range(int(simulator.action_space.n))]
            weight = torch.stack([over.log_prob(action)[:, 0].exp() for action in actions], 1)
        else:
            actions = [over.sample(self._generator) for _ in range(self.config.samples)]
            weight = torch.full((lanes, len(actions)), 1.0 / len(actions))
        made = [simulator.decide(self._state, action) for action in actions]
        seen = torch.stack([simulator.observe_post(post) for post, _ in made], 1)
        return seen, self.config.reward_scale * torch.stack([reward for _, reward in made], 1), weight

    def _restart(self, ended: Tensor) -> None:
        count = int(ended.sum())
        self._episode_reward = float(self._running[ended].sum()) / count
        self._running = torch.where(ended, 0.0, self._running)
        self._elapsed = torch.where(ended, 0, self._elapsed)
        fresh = self.simulator.initial(self.config.lanes, self._stream("restart"))
        self._state = choose(ended, fresh, self._state)

    def _stream(self, name: str) -> torch.Generator:
        return make_generator(self.seed, "pdppo", name, self._steps)

    # ---- learning ----

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
        whole = Collection(*(
            torch.cat([getattr(part, name) for part, *_ in parts]) for name in Collection._fields
        ))  # fmt: skip
        values = Values(*(torch.cat(side) for side in zip(*(v for _, v, _, _ in parts), strict=True)))
        targets = Targets(*(torch.cat(side) for side in zip(*(t for _, _, t, _ in parts), strict=True)))
        expected = torch.cat([e for *_, e in parts]) if config.aggregate == "afterstate" else None
        advantage = post_decision_advantage(config.aggregate, targets, values, decided=whole.decided, expected=expected)
        if config.center:
            advantage = advantage - advantage.mean()
        flat = [getattr(whole, name).flatten(0, 1) for name in ("observation", "post_observation", "action", "log_prob")]
        mask = whole.mask.flatten(0, 1) if whole.mask.numel() else None
        batch = _Batch(*flat, mask, advantage.flatten(), Targets(targets.state.flatten(), targets.post.flatten()))
        return batch, _correlation(values.post, targets.post)

    def _expected(self, part: Collection) -> Tensor:
        """Afterstate: the expectation of r^x + V^x over actions, `[T, N]`; nothing for the others."""
        if self.config.aggregate != "afterstate":
            return part.other_weight
        value = self.critics[1](part.other_post).squeeze(-1)
        return (part.other_weight * (part.other_decided + value)).sum(-1)

    def _epoch(self, batch: _Batch) -> dict[str, float]:
        """One gradient step of every network on the whole window."""
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
        names = sorted(self._window, key=int)
        if len(names) < self.config.window:
            return
        # the released lake PPO deletes what follows the first collection instead of the first collection
        kept = names[:1] if self.config.keep == "first" else names[1:]
        self._window = {name: self._window[name] for name in kept}

    def _set_rates(self) -> None:
        left = max(0.0, 1.0 - (self._rounds - 1) / self.config.updates) if self.config.decay else 1.0
        rates = (self.config.actor_rate, self.config.critic_rate, self.config.critic_rate)
        for optimizer, rate in zip(self._optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * left


class _Decision(NamedTuple):
    observation: Tensor
    post: Any
    post_observation: Tensor
    action: Tensor
    log_prob: Tensor
    decided: Tensor
    values: Tensor  # [2, N]
    others: tuple[Tensor, Tensor, Tensor]
    mask: Tensor


def _always(simulator: PostDecisionSimulator[Any, Any, Any]) -> list[bool] | None:
    """What the simulator's mask allows in a start state; a policy that is saved keeps it where it never changes."""
    mask = simulator.mask(simulator.initial(1, make_generator(0, "pdppo", "mask")))
    return None if mask is None else mask[0].tolist()


def _correlation(value: Tensor, target: Tensor) -> float:
    value, target = value.flatten() - value.mean(), target.flatten() - target.mean()
    scale = value.norm() * target.norm()
    return float((value * target).sum() / scale) if float(scale) > 1e-12 else 0.0
