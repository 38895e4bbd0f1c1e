"""Acting over the two halves of a step: worlds side by side, and what a round of acting in them gave."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from livepapers.core.checkpoint import require_keys
from livepapers.core.learner import State
from livepapers.core.rng import generator as make_generator
from livepapers.methods.pdppo.config import Config
from livepapers.methods.pdppo.networks import PostDecisionPolicy
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import choose, leaves, rebuilt

StateT = TypeVar("StateT")
PostT = TypeVar("PostT")
NoiseT = TypeVar("NoiseT")

Critics = Callable[[Tensor, Tensor], Tensor]
"""(Observation, post-decision observation) -> `[2, batch]` V and V^x, or what a variant has in their places."""


class PostDecisionSimulator(Simulator[StateT, PostT, NoiseT], Protocol[StateT, PostT, NoiseT]):
    """A simulator that can show its post-decision states."""

    @property
    def world(self) -> dict[str, Any]:
        """Name and arguments by which `tasks.worlds` makes this world again."""
        ...

    def observe_post(self, post: PostT) -> Tensor:
        """The post-decision state, as wide as an observation, `[batch, F]`."""
        ...


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
    values: Tensor  # [2, T, N] of the critics that were there; zeros where values are computed anew
    last_values: Tensor  # [2, N]
    other_post: Tensor  # afterstate: [T, N, K, F] post-decision states of other actions; else [0]
    other_decided: Tensor  # afterstate: [T, N, K]
    other_weight: Tensor  # afterstate: [T, N, K] their probabilities, or 1 / K for drawn ones
    mask: Tensor  # [T, N, choices] bool; [0] where all is allowed


class Decision(NamedTuple):
    """The first half of a step in all lanes."""

    observation: Tensor
    post: Any
    post_observation: Tensor
    action: Tensor
    log_prob: Tensor
    decided: Tensor  # [N] r^x, unscaled
    values: Tensor  # [2, N]
    others: tuple[Tensor, Tensor, Tensor]
    mask: Tensor


class Collector:
    """Worlds side by side, each starting anew when its episode ends.

    Noise is keyed by (seed, step): variants of one seed meet the same demand and the same slips, whatever they do.

    Args:
        simulator: The world, in its two halves.
        config: Settings.
        seed: Of the worlds and the drawn actions.
    """

    def __init__(self, simulator: PostDecisionSimulator[Any, Any, Any], *, config: Config, seed: int) -> None:
        self.simulator, self.config, self.seed = simulator, config, seed
        self.generator = make_generator(seed, "pdppo", "actions")
        self.steps = 0  # over all lanes
        self.episode_reward = 0.0  # mean of the episodes that ended last
        self._state: Any = None
        self._elapsed = torch.zeros(config.lanes, dtype=torch.int64)
        self._running = torch.zeros(config.lanes)  # reward of the episodes under way, unscaled

    @torch.no_grad()
    def collect(self, policy: PostDecisionPolicy, critics: Critics) -> Collection:
        """Act for the configured number of steps in all lanes."""
        simulator, config = self.simulator, self.config
        if self._state is None:
            self._state = simulator.initial(config.lanes, make_generator(self.seed, "pdppo", "start"))
        columns: list[dict[str, Tensor]] = []
        for _ in range(config.steps):
            seen = self._decide(policy, critics)
            reward, ended = self._resolve(seen)
            other_post, other_decided, other_weight = seen.others
            columns.append({
                "observation": seen.observation, "post_observation": seen.post_observation, "action": seen.action,
                "log_prob": seen.log_prob, "decided": config.reward_scale * seen.decided,
                "resolved": config.reward_scale * reward, "ended": ended, "values": seen.values,
                "other_post": other_post, "other_decided": other_decided, "other_weight": other_weight,
                "mask": seen.mask,
            })  # fmt: skip
        kept = self.generator.get_state()  # the look ahead must not shift what is drawn next
        ahead = self._decide(policy, critics)
        self.generator.set_state(kept)
        stacked = {name: torch.stack([column[name] for column in columns]) for name in columns[0]}
        values = stacked.pop("values").transpose(0, 1).contiguous()
        return Collection(
            **stacked, values=values, last_observation=ahead.observation, last_post=ahead.post_observation,
            last_decided=config.reward_scale * ahead.decided, last_values=ahead.values,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Worlds, stream and counters."""
        return {
            "world": {} if self._state is None else {str(k): leaf for k, leaf in enumerate(leaves(self._state))},
            "elapsed": self._elapsed,
            "running": self._running,
            "generator": self.generator.get_state(),
            "steps": self.steps,
            "episode_reward": self.episode_reward,
        }

    def check(self, state: State) -> None:
        """Raise `CorruptFileError` if a state does not fit."""
        require_keys(state, self.state_dict(), what="collector")
        if state["world"]:
            require_keys(state["world"], dict(self._names()), what="world")

    def load_state_dict(self, state: State) -> None:
        """Take over a state that `check` has passed."""
        template = self.simulator.initial(self.config.lanes, make_generator(0, "template"))
        kept: Iterator[Tensor] = iter([state["world"][str(k)] for k in range(len(state["world"]))])
        self._state = rebuilt(template, kept) if state["world"] else None
        self._elapsed, self._running = state["elapsed"].clone(), state["running"].clone()
        self.generator.set_state(state["generator"].clone())
        self.steps, self.episode_reward = int(state["steps"]), float(state["episode_reward"])

    def _names(self) -> Iterator[tuple[str, Tensor]]:
        template = self.simulator.initial(self.config.lanes, make_generator(0, "template"))
        return ((str(k), leaf) for k, leaf in enumerate(leaves(template)))

    def _decide(self, policy: PostDecisionPolicy, critics: Critics) -> Decision:
        """Act once in the present states."""
        simulator = self.simulator
        observation, mask = simulator.observe(self._state), simulator.mask(self._state)
        over = policy.over(observation, mask)
        action = over.sample(self.generator)
        post, decided = simulator.decide(self._state, action)
        seen, nothing = simulator.observe_post(post), torch.zeros(0)
        others = self._others(over) if self.config.aggregate == "afterstate" else (nothing, nothing, nothing)
        kept = nothing.bool() if mask is None else mask.clone()
        values = torch.zeros(2, len(decided)) if self.config.refresh else critics(observation, seen)
        return Decision(observation, post, seen, action, over.log_prob(action), decided, values, others, kept)

    def _resolve(self, seen: Decision) -> tuple[Tensor, Tensor]:
        """The second half: (its reward, which lanes ended); those have started anew."""
        noise = self.simulator.draw(self.config.lanes, int(self._elapsed[0]), self._stream("noise"))
        self._state, reward, terminated = self.simulator.resolve(seen.post, noise)
        self._running = self._running + seen.decided + reward  # states that were handed out must not change
        self._elapsed = self._elapsed + 1
        ended = terminated | (self._elapsed >= self.simulator.horizon)
        if bool(ended.any()):
            self.episode_reward = float(self._running[ended].mean())
            self._running = torch.where(ended, 0.0, self._running)
            self._elapsed = torch.where(ended, 0, self._elapsed)
            fresh = self.simulator.initial(self.config.lanes, self._stream("restart"))
            self._state = choose(ended, fresh, self._state)
        self.steps += self.config.lanes
        return reward, ended

    def _others(self, over: Any) -> tuple[Tensor, Tensor, Tensor]:
        """(Post-decision observations, r^x, weights) of other actions: all of a Discrete space, or drawn ones."""
        simulator, lanes = self.simulator, self.config.lanes
        if isinstance(simulator.action_space, Discrete):
            actions = [torch.full((lanes,), choice) for choice in range(int(simulator.action_space.n))]
            weight = torch.stack([over.log_prob(action)[:, 0].exp() for action in actions], 1)
        else:
            actions = [over.sample(self.generator) for _ in range(self.config.samples)]
            weight = torch.full((lanes, len(actions)), 1.0 / len(actions))
        made = [simulator.decide(self._state, action) for action in actions]
        seen = torch.stack([simulator.observe_post(post) for post, _ in made], 1)
        return seen, self.config.reward_scale * torch.stack([reward for _, reward in made], 1), weight

    def _stream(self, name: str) -> torch.Generator:
        return make_generator(self.seed, "pdppo", name, self.steps)
