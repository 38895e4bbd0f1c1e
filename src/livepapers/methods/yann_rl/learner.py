"""YANN-DDPG: deterministic policy gradient that starts at a linear controller, without exploration noise."""

from typing import Any

import torch
from torch import Tensor, nn

from livepapers.blocks import deterministic_policy_gradient
from livepapers.blocks.deterministic_policy_gradient import DeterministicPolicyGradient
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State
from livepapers.core.rng import generator as make_generator
from livepapers.methods.yann_rl.critic import YannCritic
from livepapers.methods.yann_rl.designs import Design, pendulum_design
from livepapers.methods.yann_rl.yann import Coupling, Outside, YannActor
from livepapers.tasks.finite import require_finite
from livepapers.tasks.pendulum import ClippedPendulum
from livepapers.tasks.vector import BatchedTask, SimulatorTask, Step

ROLE = "learner"
METRICS = ("critic_loss", "actor_cost", "cost_a_step", "violations")
"""Mean squared error of the critic and the actor's mean cost-to-go (both scaled) over the update's gradient steps; cost
a step as the task counts it; violations so far."""


@config_dataclass
class Config(Presets):
    """Training settings; the defaults are the laptop preset. The paper gives none of its own but the widths."""

    nodes: int = setting(16, "units of each layer, a region; paper: pendulum 16, reactor 8", ge=2, le=512)
    coupling: Coupling = setting("block", "layer 2 within a region (the text) or across (the paper's counts: dense)")
    outside: Outside = setting("zero", "outside all regions; the paper's")
    critic_nodes: int = setting(64, "paper: 64-64", ge=2, le=1024)
    scale: float = setting(
        0.01, "initial weights of the corrections are uniform on +-scale; earlier paper: small", gt=0, le=1
    )
    actor_rate: float = setting(1e-4, "Adam; not in the paper", gt=0, le=1)
    critic_rate: float = setting(1e-7, "Adam; not in the paper; see deviation 5", gt=0, le=1)
    actor_tau: float = setting(
        1e-3, "share of the new weights in the target actor, a step; not in the paper", gt=0, le=1
    )
    critic_tau: float = setting(5e-3, "the same for the target critic; not in the paper", gt=0, le=1)
    discount: float = setting(0.99, "a step; not in the paper", gt=0, lt=1)
    batch: int = setting(64, "transitions a gradient step; not in the paper", ge=1)
    capacity: int = setting(50_000, "transitions that the replay holds; not in the paper", ge=1)
    frozen: int = setting(1000, "first gradient steps, in which only the critic learns; ours", ge=0)
    noise: float = setting(0.0, "standard deviation of Gaussian exploration, in half input ranges; paper: none", ge=0)
    cost_scale: float = setting(1.0, "factor on costs; ours", gt=0)
    largest_value: float = setting(2000.0, "targets are cut at this scaled cost-to-go; ours", gt=0)
    clip_norm: float = setting(1.0, "gradient norm of actor and of critic; ours", gt=0)
    steps: int = setting(20, "environment and gradient steps an update of the driving loop", ge=1)
    updates: int = setting(500, "updates; paper: 50 episodes of 200 steps (pendulum)", ge=1)

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(nodes=4, critic_nodes=4, batch=8, capacity=8, frozen=3, steps=8, updates=20)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(frozen=100, updates=20)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published choices where there are any."""
        return cls(coupling="dense")


class WatchedTask:
    """A task whose rewards are scaled, and whose terminations are counted as violations.

    Args:
        task: What is controlled; one lane, rewards are minus costs.
        scale: Factor on rewards.
    """

    def __init__(self, task: BatchedTask, scale: float) -> None:
        if task.lanes != 1:
            raise InputError.of("task", f"{task.lanes} lanes", expected="one: violations are counted on one plant")
        self.task, self.scale, self.lanes, self.violations = task, scale, task.lanes, 0
        self.observation_space, self.action_space = task.observation_space, task.action_space

    def reset(self, seed: int) -> Tensor:
        """Start all lanes."""
        return self.task.reset(seed)

    def step(self, action: Tensor) -> Step:
        """Act; the reward is scaled."""
        step = self.task.step(action)
        lanes = torch.ones(self.lanes, dtype=torch.bool)
        require_finite(step.final, lanes, what="observations")
        require_finite(step.reward, lanes, what="rewards")
        self.violations += int(step.terminated.sum())
        return step._replace(reward=self.scale * step.reward)

    def mask(self) -> Tensor | None:
        """As the task says."""
        return self.task.mask()

    def __getattr__(self, name: str) -> Any:
        """Saving and restoring the lanes, where the task can do that."""
        return getattr(self.task, name)


class YannDDPG(Learner):
    """Deterministic policy gradient from a controller that works: no exploration unless asked for, violations counted.

    Args:
        task: What is controlled; one lane. Rewards are minus costs; a termination is a safety violation.
        actor: Inputs `[batch, m]` for observations `[batch, n]`; only parameters that require gradients learn.
        critic: (observations, inputs) -> minus the scaled cost-to-go, `[batch]`.
        config: Training settings.
        seed: Of the task, the replay's draws and the noise.
    """

    def __init__(self, task: BatchedTask, actor: nn.Module, critic: nn.Module, *, config: Config, seed: int) -> None:
        self.config, self.actor, self.critic = config, actor, critic
        self.task = WatchedTask(task, config.cost_scale)
        settings = deterministic_policy_gradient.Config(
            steps=config.steps, discount=config.discount, batch=config.batch, capacity=config.capacity,
            actor_rate=config.actor_rate, critic_rate=config.critic_rate, actor_target_rate=config.actor_tau,
            critic_target_rate=config.critic_tau, noise=config.noise, target_noise=0.0, policy_delay=1,
            actor_frozen_for=config.frozen, warm_up=config.batch, clip_norm=config.clip_norm,
            target_bounds=(-config.largest_value, config.largest_value),
        )  # fmt: skip
        half = torch.as_tensor((task.action_space.high - task.action_space.low) / 2.0)  # type: ignore[attr-defined]
        self._sigma = config.noise * half.to(torch.get_default_dtype())
        self.engine = DeterministicPolicyGradient(
            self.task, actor, [critic], config=settings, seed=seed, explore=self._explore
        )

    def update(self) -> dict[str, float]:
        """`config.steps` environment steps, each with a gradient step once there is a batch to learn from."""
        found = self.engine.update()
        cost = -found["reward"] / self.config.cost_scale
        values = (found["critic_loss"], found["actor_loss"], cost, float(self.violations))
        return dict(zip(METRICS, values, strict=True))

    @property
    def violations(self) -> int:
        """Safety violations so far, training itself included."""
        return self.task.violations

    def policy(self) -> nn.Module:
        """A copy of the controller as it stands."""
        return self.engine.policy()

    def state_dict(self) -> dict[str, Any]:
        """The engine's state and the violations so far."""
        return {"engine": self.engine.state_dict(), "violations": self.violations}

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, {"engine": {}, "violations": 0}, what="yann-rl state")
        self.engine.load_state_dict(state["engine"])
        self.task.violations = int(state["violations"])

    def work(self) -> dict[str, int]:
        """Environment steps and gradient steps of critic and actor."""
        return self.engine.work()

    def _explore(self, observation: Tensor, action: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        if not self.config.noise:
            return action
        return action + self._sigma * torch.randn(action.shape, generator=generator)


def controllers(design: Design, *, config: Config, seed: int) -> tuple[YannActor, YannCritic]:
    """The actor and the critic that equal linear optimal control.

    Args:
        design: Model, law and cost.
        config: Widths, coupling and what is done outside the regions.
        seed: Of the corrections' initial weights.
    """
    actor = YannActor(
        design.law, nodes=config.nodes, coupling=config.coupling, outside=config.outside, scale=config.scale,
        generator=make_generator(seed, "yann-rl", "actor"),
    )  # fmt: skip
    critic = YannCritic(
        design.measured, discount=config.discount, cost_scale=config.cost_scale, nodes=config.critic_nodes,
        scale=config.scale,
        generator=make_generator(seed, "yann-rl", "critic"),
    )  # fmt: skip
    return actor, critic


def example(config: Config, seed: int) -> YannDDPG:
    """The smallest whole problem: the clipped pendulum."""
    actor, critic = controllers(pendulum_design(), config=config, seed=seed)
    return YannDDPG(SimulatorTask(ClippedPendulum(), 1), actor, critic, config=config, seed=seed)
