"""Deterministic policy gradients: DDPG (Lillicrap et al. 2016) with one critic, TD3 (Fujimoto et al. 2018) with two.

Critics descend on the squared distance to the target, the actor on minus the first critic:

    target   y = r + discount (1 - terminated) min_i Q'_i(s', clip(pi'(s') + clip(noise)))
    critics  mean_i mean (w (Q_i(s, a) - y))^2, w = 1 unless a batch says otherwise
    actor    -mean Q_1(s, pi(s)), every `policy_delay` critic steps, after which the targets follow
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from livepapers.blocks.distributions import bounds, middle
from livepapers.blocks.replay import Experience
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.vector import BatchedTask

METRICS = ("critic_loss", "actor_loss", "value", "reward", "episodes", "episode_return")
"""Means over the update's gradient steps, the actor's over its own (0 while there are none), and over its steps; then
the episodes that ended and their mean return."""

Explore = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""(observation `[N, ...]`, the actor's action `[N, ...]`, generator) -> the action to take."""


@config_dataclass
class Config(Presets):
    """Settings; the defaults are those of TD3's authors, but for `warm_up` (theirs: 25,000)."""

    steps: int = setting(1, "steps of each lane an update", ge=1)
    updates_per_step: float = setting(1.0, "gradient steps of the critics for each environment step of a lane", gt=0)
    discount: float = setting(0.99, "per step", ge=0, le=1)
    batch: int = setting(256, "remembered steps a gradient step", ge=1)
    capacity: int = setting(1_000_000, "steps remembered", ge=1)
    actor_rate: float = setting(3e-4, "Adam, actor", gt=0, le=10)
    critic_rate: float = setting(3e-4, "Adam, critics", gt=0, le=10)
    actor_target_rate: float = setting(0.005, "share of the actor in its target at each move", gt=0, le=1)
    critic_target_rate: float = setting(0.005, "share of the critics in their targets at each move", gt=0, le=1)
    noise: float = setting(0.1, "standard deviation of the exploration, in half-widths of the action space", ge=0)
    target_noise: float = setting(0.2, "of the smoothing of targets, in half-widths; 0 = none (DDPG)", ge=0)
    target_noise_clip: float = setting(0.5, "bound of that noise, in half-widths", ge=0)
    policy_delay: int = setting(2, "critic steps for each step of the actor; 1 = DDPG", ge=1)
    critic_targets_wait: bool = setting(True, "critics' targets move with the actor's; False: at every critic step")
    actor_frozen_for: int = setting(0, "critic steps before the actor moves", ge=0)
    warm_up: int = setting(1000, "environment steps before the first gradient step; their actions are uniform", ge=0)
    clip_norm: float = setting(0.0, "largest gradient norm, 0 = no clipping", ge=0)
    target_bounds: tuple[float, float] | None = setting(None, "values that targets are held between; None = free")


class ActorCritic:
    """Actor, critics and their targets: the gradient steps, on batches from anywhere.

    Args:
        actor: observation `[B, ...]` -> action `[B, ...]`, inside the box.
        critics: One or more, each (observation, action) -> `[B]`.
        space: Of actions: a bounded box.
        config: Settings; those of acting and remembering are not read here.
        noise: Of the smoothing of targets.
    """

    def __init__(
        self,
        actor: nn.Module,
        critics: Sequence[nn.Module],
        *,
        space: gymnasium.Space,
        config: Config,
        noise: torch.Generator,
    ) -> None:
        if not isinstance(space, Box) or not space.is_bounded("both"):
            raise InputError.of("action space", str(space), expected="a box with bounds")
        if not critics:
            raise InputError.of("critics", "none", expected="one (DDPG) or more (TD3)")
        self.actor, self.critics, self.config = actor, nn.ModuleList(critics), config
        self.targets = nn.ModuleDict({"actor": copy.deepcopy(actor), "critics": copy.deepcopy(self.critics)})
        self.targets.requires_grad_(False)
        self._low, self._high = bounds(space)
        self._reach = middle(space)[1]
        self._trained = {
            "actor": [each for each in actor.parameters() if each.requires_grad],
            "critics": [each for each in self.critics.parameters() if each.requires_grad],
        }
        for name, trained in self._trained.items():
            if not trained:
                raise InputError.of(name, "no parameter that needs a gradient", expected="at least one to train")
        rates = {"actor": config.actor_rate, "critics": config.critic_rate}
        self._optimizers = {
            name: torch.optim.Adam(trained, lr=rates[name], fused=True) for name, trained in self._trained.items()
        }
        self._noise = noise
        self.critic_steps, self.actor_steps = 0, 0

    def learn(self, batch: Mapping[str, Tensor]) -> tuple[float, float, float]:
        """One gradient step of the critics, and of the actor where it is due.

        Returns (critic loss, actor loss or 0, mean value).

        Args:
            batch: observation, action, reward, terminated and following, `[B, ...]` each; where there is a weight
                `[B]`, temporal differences are multiplied by it.
        """
        config = self.config
        goal = self.goal(batch)
        values = [critic(batch["observation"], batch["action"]) for critic in self.critics]
        if any(value.shape != goal.shape for value in values):
            shown = ["batch", *values[0].shape[1:]]
            raise InputError.of("critics", f"values {shown}", expected="[batch]", cause="squeeze(-1) is missing?")
        weight = batch.get("weight")
        misses = [value - goal for value in values]
        if weight is not None:
            misses = [miss * weight for miss in misses]
        error = torch.stack([miss.square().mean() for miss in misses]).mean()
        self._descend("critics", error)
        self.critic_steps += 1
        loss, due = 0.0, self.critic_steps % config.policy_delay == 0
        if due:
            if self.critic_steps > config.actor_frozen_for:
                cost = -self.critics[0](batch["observation"], self.actor(batch["observation"])).mean()
                self._descend("actor", cost)
                self.actor_steps += 1
                loss = cost.item()
            follow(self.targets["actor"], self.actor, rate=config.actor_target_rate)
        if due or not config.critic_targets_wait:
            follow(self.targets["critics"], self.critics, rate=config.critic_target_rate)
        return error.item(), loss, values[0].mean().item()

    @torch.no_grad()
    def goal(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the critics regress on, `[B]`."""
        config, following = self.config, batch["following"]
        action = self.targets["actor"](following)
        if config.target_noise:
            noise = config.target_noise * torch.randn(action.shape, generator=self._noise)
            action = action + self._reach * noise.clamp(-config.target_noise_clip, config.target_noise_clip)
            action = torch.minimum(torch.maximum(action, self._low), self._high)
        critics: Any = self.targets["critics"]
        value = torch.stack([critic(following, action) for critic in critics]).amin(0)
        goal = batch["reward"] + config.discount * torch.where(batch["terminated"], 0.0, value)
        return goal if config.target_bounds is None else goal.clamp(*config.target_bounds)

    def _descend(self, name: str, loss: Tensor) -> None:
        trained = self._trained[name]
        # not `backward`: the actor's loss leaves no gradient in the critics
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad = gradient
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(trained, self.config.clip_norm)
        self._optimizers[name].step()

    def learned(self) -> dict[str, Any]:
        """Networks, targets, optimisers and how many steps were made."""
        return {
            **{name: _copied(module) for name, module in self._modules().items()},
            "optimizers": {name: optimizer_state(each) for name, each in self._optimizers.items()},
            "critic_steps": self.critic_steps,
            "actor_steps": self.actor_steps,
        }

    def check_learned(self, state: State) -> None:
        """Raise `CorruptFileError` unless `load_learned` would take the networks of this state."""
        for name, module in self._modules().items():
            require_keys(state[name], module.state_dict(), what=name)
        require_keys(state["optimizers"], self._optimizers, what="optimisers")

    def load_learned(self, state: State) -> None:
        """Take over what `learned` gave, whatever else the state holds."""
        for name, optimizer in self._optimizers.items():
            rate = self.config.actor_rate if name == "actor" else self.config.critic_rate
            load_optimizer_state(optimizer, state["optimizers"][name], lr=rate)
        for name, module in self._modules().items():
            module.load_state_dict(state[name])
        self.critic_steps, self.actor_steps = int(state["critic_steps"]), int(state["actor_steps"])

    def _modules(self) -> dict[str, nn.Module]:
        return {"actor": self.actor, "critics": self.critics, "targets": self.targets}


class DeterministicPolicyGradient(ActorCritic, Learner):
    """DDPG or TD3 that acts and remembers.

    Args:
        task: Where to act; actions are a bounded box.
        actor: observation `[B, ...]` -> action `[B, ...]`, inside the box.
        critics: One or more, each (observation, action) -> `[B]`.
        config: Settings.
        seed: Of episodes, exploration and batches.
        explore: What to do instead of the actor's action; uniform actions while warming up, then Gaussian noise, when
            left out.
    """

    def __init__(
        self,
        task: BatchedTask,
        actor: nn.Module,
        critics: Sequence[nn.Module],
        *,
        config: Config,
        seed: int,
        explore: Explore | None = None,
    ) -> None:
        self._batches = make_generator(seed, "deterministic policy gradient", "batches")
        super().__init__(actor, critics, space=task.action_space, config=config, noise=self._batches)
        self.task, self._explore = task, explore or self._noisy
        self._actions = make_generator(seed, "deterministic policy gradient", "actions")
        self.experience = Experience(task, capacity=config.capacity, seed=seed)
        self._due = 0.0

    def update(self) -> dict[str, float]:
        """Act `steps` times in all lanes, and take the gradient steps that are due after each."""
        reward, moves = 0.0, self.actor_steps
        measured: list[tuple[float, float, float]] = []
        for _ in range(self.config.steps):
            reward += self.experience.step(self._act) / self.config.steps
            if self.experience.steps <= self.config.warm_up or not len(self.experience.replay):
                continue
            self._due += self.config.updates_per_step * self.task.lanes
            while self._due >= 1.0:
                self._due -= 1.0
                measured.append(self.learn(self.experience.replay.sample(self.config.batch, self._batches)))
        critic, actor, value = (sum(column) for column in zip(*measured, strict=True)) if measured else (0.0, 0.0, 0.0)
        steps, moves = max(len(measured), 1), max(self.actor_steps - moves, 1)
        columns = [critic / steps, actor / moves, value / steps]
        return dict(zip(METRICS, [*columns, reward], strict=False)) | self.experience.returns.report()

    def policy(self) -> nn.Module:
        """A copy of the actor."""
        return copy.deepcopy(self.actor).eval()

    def work(self) -> dict[str, int]:
        """Environment steps over all lanes, and gradient steps of critics and actor."""
        return {
            "environment_steps": self.experience.steps,
            "gradient_steps": self.critic_steps,
            "actor_steps": self.actor_steps,
        }

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets, optimisers, streams, counters and what is remembered."""
        return {
            **self.learned(),
            "actions": self._actions.get_state(),
            "batches": self._batches.get_state(),
            "experience": self.experience.state_dict(),
            "due": self._due,
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="deterministic policy gradient state")
        self.check_learned(state)
        load_or_keep(self, self._load, state)
        self.experience.go_on()

    def _load(self, state: State) -> None:
        self.experience.load_state_dict(state["experience"])
        self.load_learned(state)
        self._actions.set_state(state["actions"].clone())
        self._batches.set_state(state["batches"].clone())
        self._due = float(state["due"])

    @torch.no_grad()
    def _act(self, observation: Tensor, mask: Tensor | None) -> Tensor:  # noqa: ARG002 - boxes have no masks
        return self._explore(observation, self.actor(observation), self._actions)

    def _noisy(self, observation: Tensor, action: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        if self.experience.steps < self.config.warm_up:
            return self._low + 2.0 * self._reach * torch.rand(action.shape, generator=generator)
        return action + self.config.noise * self._reach * torch.randn(action.shape, generator=generator)


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, *, rate: float) -> None:
    """Move a target network's parameters by `rate` of the way to `source`; buffers are copied."""
    for slow, fast in zip(target.parameters(), source.parameters(), strict=True):
        slow.lerp_(fast, rate)
    for slow, fast in zip(target.buffers(), source.buffers(), strict=True):
        slow.copy_(fast)


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
