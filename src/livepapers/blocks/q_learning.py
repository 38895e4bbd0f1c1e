"""Q-learning with a network and a replay buffer: DQN (Mnih et al. 2015), double (van Hasselt et al. 2016).

    target  y = r + discount (1 - terminated) Q'(s', argmax_a Q(s', a)); without `double` the maximum of Q' itself
    loss    mean Huber(Q(s, a) - y)

Which actions are allowed is heeded when acting and in the target. The network may be dueling (Wang et al. 2016):
`blocks.policies.QPolicy` offers both.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn
from torch.nn import functional

from livepapers.blocks.deterministic_policy_gradient import follow
from livepapers.blocks.distributions import distribution
from livepapers.blocks.policies import Greedy, QPolicy
from livepapers.blocks.replay import Experience
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.vector import BatchedTask

METRICS = ("loss", "value", "exploration", "reward", "episodes", "episode_return")
"""Means over the update's gradient steps (0 while there are none) and its steps; then the episodes that ended and
their mean return."""

Penalty = Callable[[Tensor, Tensor, int], Tensor]
"""A differentiable term of the network beside the squared errors, such as how much an adversary may change it."""


@config_dataclass
class Config(Presets):
    """Settings; the defaults suit small problems."""

    steps: int = setting(1, "steps of each lane an update", ge=1)
    updates_per_step: float = setting(0.25, "gradient steps for each environment step of a lane", gt=0)
    discount: float = setting(0.99, "per step", ge=0, le=1)
    batch: int = setting(64, "remembered steps a gradient step", ge=1)
    capacity: int = setting(50_000, "steps remembered", ge=1)
    learning_rate: float = setting(1e-3, "Adam", gt=0, le=10)
    target_every: int = setting(250, "gradient steps after which the target becomes the network", ge=1)
    target_rate: float = setting(1.0, "share of the network in its target at each move; 1 = a copy", gt=0, le=1)
    double: bool = setting(True, "whether the network chooses the action that its target values")
    explore_first: float = setting(1.0, "share of random actions at the start", ge=0, le=1)
    explore_last: float = setting(0.05, "share of random actions at the end", ge=0, le=1)
    explore_over: int = setting(10_000, "environment steps over which it falls in a line", ge=1)
    warm_up: int = setting(500, "environment steps before the first gradient step", ge=0)
    clip_norm: float = setting(10.0, "largest gradient norm, 0 = no clipping", ge=0)


class QLearning(Learner):
    """DQN and its double and dueling variants.

    Args:
        task: Where to act; its actions are `Discrete`.
        network: observation `[B, ...]` -> values `[B, actions]`, or a `QPolicy` whose values are trained.
        config: Settings.
        seed: Of episodes, exploration and batches.
        penalty: Added to the loss: (remembered observations `[B, ...]`, the network's values there `[B, actions]`,
            environment steps so far) -> [].
    """

    def __init__(
        self, task: BatchedTask, network: nn.Module, *, config: Config, seed: int, penalty: Penalty | None = None
    ) -> None:
        if not isinstance(task.action_space, Discrete):
            raise InputError.of("action space", str(task.action_space), expected="Discrete")
        self.task, self.config, self._penalty = task, config, penalty
        self._policy = network if isinstance(network, QPolicy) else None
        self.network = network.values if isinstance(network, QPolicy) else network
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self._trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        if not self._trained:
            raise InputError.of("network", "no parameter that needs a gradient", expected="at least one to train")
        self._optimizer = torch.optim.Adam(self._trained, lr=config.learning_rate, fused=True)
        self._actions = make_generator(seed, "q learning", "actions")
        self._batches = make_generator(seed, "q learning", "batches")
        self.experience = Experience(task, capacity=config.capacity, seed=seed)
        self._first = int(task.action_space.start)
        self._gradient_steps, self._due = 0, 0.0

    def update(self) -> dict[str, float]:
        """Act `steps` times in all lanes, and take the gradient steps that are due after each."""
        reward = 0.0
        measured: list[tuple[float, float]] = []
        for _ in range(self.config.steps):
            reward += self.experience.step(self._act) / self.config.steps
            if self.experience.steps <= self.config.warm_up or not len(self.experience.replay):
                continue
            self._due += self.config.updates_per_step * self.task.lanes
            while self._due >= 1.0:
                self._due -= 1.0
                measured.append(self._learn())
        columns = [sum(column) / len(measured) for column in zip(*measured, strict=True)] or [0.0, 0.0]
        means = dict(zip(METRICS, [*columns, self.exploration, reward], strict=False))
        return means | self.experience.returns.report()

    @property
    def exploration(self) -> float:
        """The present share of random actions."""
        config, done = self.config, min(self.experience.steps / self.config.explore_over, 1.0)
        return config.explore_first + done * (config.explore_last - config.explore_first)

    def policy(self) -> nn.Module:
        """A copy that takes the actions of the largest values; one that artifacts know if it began as a `QPolicy`."""
        if self._policy is not None:
            return copy.deepcopy(self._policy).eval()
        return Greedy(_First(copy.deepcopy(self.network)), self.task.action_space).eval()

    def work(self) -> dict[str, int]:
        """Environment steps over all lanes, and gradient steps."""
        return {"environment_steps": self.experience.steps, "gradient_steps": self._gradient_steps}

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimiser, streams, counters and what is remembered."""
        return {
            "network": {name: value.detach().clone() for name, value in self.network.state_dict().items()},
            "target": {name: value.detach().clone() for name, value in self.target.state_dict().items()},
            "optimizer": optimizer_state(self._optimizer),
            "actions": self._actions.get_state(),
            "batches": self._batches.get_state(),
            "experience": self.experience.state_dict(),
            "gradient_steps": self._gradient_steps,
            "due": self._due,
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="q learning state")
        require_keys(state["network"], self.network.state_dict(), what="network")
        require_keys(state["target"], self.target.state_dict(), what="target")
        load_or_keep(self, self._load, state)
        self.experience.go_on()

    def _load(self, state: State) -> None:
        load_optimizer_state(self._optimizer, state["optimizer"], lr=self.config.learning_rate)
        self.experience.load_state_dict(state["experience"])
        self.network.load_state_dict(state["network"])
        self.target.load_state_dict(state["target"])
        self._actions.set_state(state["actions"].clone())
        self._batches.set_state(state["batches"].clone())
        self._gradient_steps, self._due = int(state["gradient_steps"]), float(state["due"])

    @torch.no_grad()
    def _act(self, observation: Tensor, mask: Tensor | None) -> Tensor:
        values = self.network(observation)
        space = self.task.action_space
        greedy = distribution(space, values, mask=mask).mode()
        uniform = distribution(space, torch.zeros_like(values), mask=mask).sample(self._actions)
        return torch.where(torch.rand(len(greedy), generator=self._actions) < self.exploration, uniform, greedy)

    def _learn(self) -> tuple[float, float]:
        batch = self.experience.replay.sample(self.config.batch, self._batches)
        with torch.no_grad():
            goal = batch["reward"] + self.config.discount * self._following(batch)
        rows = (batch["action"] - self._first).unsqueeze(-1)
        values = self.network(batch["observation"])
        value = values.gather(-1, rows).squeeze(-1)
        loss = functional.smooth_l1_loss(value, goal)
        if self._penalty is not None:
            loss = loss + self._penalty(batch["observation"], values, self.experience.steps)
        self._optimizer.zero_grad()
        loss.backward()
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self._trained, self.config.clip_norm)
        self._optimizer.step()
        self._gradient_steps += 1
        if self._gradient_steps % self.config.target_every == 0:
            follow(self.target, self.network, rate=self.config.target_rate)
        return loss.item(), value.mean().item()

    def _following(self, batch: dict[str, Tensor]) -> Tensor:
        """The value of the next states, `[B]`; 0 where nothing follows."""
        values = self.target(batch["following"])
        chosen = self.network(batch["following"]) if self.config.double else values
        return torch.where(batch["terminated"], 0.0, next_value(values, chosen, batch.get("mask")))


def next_value(values: Tensor, chosen: Tensor, mask: Tensor | None = None) -> Tensor:
    """What the next state is worth: Q'(s', argmax_a Q(s', a)), the action chosen by one network and valued by another.

    Args:
        values: `[B, actions]` of the target network, Q'.
        chosen: `[B, actions]` of the network that chooses, Q; the same as `values` without double Q-learning.
        mask: `[B, actions]` bool, allowed actions; None allows all.

    Returns:
        `[B]`.
    """
    if mask is not None:
        chosen = chosen.masked_fill(~mask, -torch.inf)
    return values.gather(-1, chosen.argmax(-1, keepdim=True)).squeeze(-1)


class _First(nn.Module):
    """A value network in the place of an agent, whose output begins with what is maximised."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, observation: Tensor) -> tuple[Tensor]:
        return (self.network(observation),)
