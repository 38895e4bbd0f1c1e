"""YANN-DDPG: deterministic policy gradient that starts at a linear controller, without exploration noise."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, optimizer_state
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.yann_rl.designs import Design, pendulum_design
from livepapers.methods.yann_rl.yann import Coupling, Outside, YannActor, YannCritic
from livepapers.tasks.pendulum import ClippedPendulum
from livepapers.tasks.vector import BatchedTask, SimulatorTask

ROLE = "learner"
METRICS = ("critic_loss", "actor_cost", "cost_a_step", "violations", "gradient_norm")
"""Mean squared error of the critic and the actor's mean cost-to-go (both scaled) over the update's steps; cost a step as
the task counts it; violations so far; the critic's gradient norm before clipping."""


@config_dataclass
class Config(Presets):
    """Training settings; the defaults are the laptop preset. The paper gives none of its own but the widths."""

    nodes: int = setting(16, "units of each layer, a region: paper, 16 for the pendulum, 8 for the reactor", ge=2, le=512)
    coupling: Coupling = setting("block", "layer 2 within a region (the text) or across (the paper's counts: dense)")
    outside: Outside = setting("lqr", "outside all regions; paper: zero")
    critic_nodes: int = setting(64, "paper: 64-64", ge=2, le=1024)
    scale: float = setting(0.01, "initial weights of the corrections are uniform on +-scale; earlier paper: small", gt=0, le=1)
    actor_rate: float = setting(1e-4, "Adam; not in the paper", gt=0, le=1)
    critic_rate: float = setting(1e-3, "Adam; not in the paper", gt=0, le=1)
    actor_tau: float = setting(1e-3, "share of the new weights in the target actor, a step; not in the paper", gt=0, le=1)
    critic_tau: float = setting(5e-3, "the same for the target critic; not in the paper", gt=0, le=1)
    discount: float = setting(0.99, "a step; not in the paper", gt=0, lt=1)
    batch: int = setting(64, "transitions a gradient step; not in the paper", ge=1)
    capacity: int = setting(50_000, "transitions that the replay holds; not in the paper", ge=1)
    frozen: int = setting(1000, "first environment steps in which only the critic learns; ours", ge=0)
    noise: float = setting(0.0, "standard deviation of Gaussian exploration, in half input ranges; paper: none", ge=0)
    cost_scale: float = setting(0.01, "factor on costs, so that values are of the order 1 to 10; ours", gt=0)
    largest_value: float = setting(20.0, "targets are cut at this scaled cost-to-go; ours", gt=0)
    clip_norm: float = setting(1.0, "gradient norm of actor and of critic; ours", gt=0)
    steps: int = setting(20, "environment and gradient steps an update of the driving loop", ge=1)
    updates: int = setting(500, "updates; paper: 50 episodes of 200 steps (pendulum)", ge=1)

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(nodes=4, critic_nodes=4, batch=8, capacity=200, frozen=3, steps=4, updates=20)

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
        return cls(coupling="dense", outside="zero")


class YannDDPG(Learner):
    """One environment step and one gradient step of critic and actor at a time.

    Args:
        task: What is controlled; one lane. Rewards are minus costs; a termination is a safety violation.
        actor: Inputs `[batch, m]` for observations `[batch, n]`; only parameters that require gradients learn.
        critic: (observations, inputs) -> minus the scaled cost-to-go, `[batch]`.
        config: Training settings.
        seed: Of the task, the replay's draws and the noise.
    """

    def __init__(self, task: BatchedTask, actor: nn.Module, critic: nn.Module, *, config: Config, seed: int) -> None:
        if task.lanes != 1:
            raise InputError.of("task", f"{task.lanes} lanes", expected="one: violations are counted on one plant")
        self.task, self.actor, self.critic, self.config = task, actor, critic, config
        self.target_actor, self.target_critic = copy.deepcopy(actor), copy.deepcopy(critic)
        self._learning = [[p for p in net.parameters() if p.requires_grad] for net in (actor, critic)]
        self._targets = [
            [q.requires_grad_(False) for p, q in zip(net.parameters(), target.parameters(), strict=True) if p.requires_grad]
            for net, target in ((actor, self.target_actor), (critic, self.target_critic))
        ]
        rates = (config.actor_rate, config.critic_rate)
        self._optimizers = [
            torch.optim.Adam(parameters, lr=rate, fused=True)
            for parameters, rate in zip(self._learning, rates, strict=True)
        ]
        space: Any = task.action_space
        low, high = (torch.as_tensor(side, dtype=torch.float32) for side in (space.low, space.high))
        self._low, self._high, self._sigma = low, high, config.noise * (high - low) / 2.0
        self._draws, self._noise = (make_generator(seed, "yann-rl", name) for name in ("replay", "noise"))
        states, inputs = int(math.prod(task.observation_space.shape or ())), low.numel()
        self._columns = (states, inputs, 1, states, 1)
        self._replay = torch.zeros(config.capacity, sum(self._columns))
        self._count = self._violations = self._gradient_steps = 0
        self._seed = derive(seed, "yann-rl", "task")
        self._observation: Tensor | None = None

    def update(self) -> dict[str, float]:
        """`config.steps` environment steps, each with a gradient step once the replay holds a batch."""
        sums = torch.zeros(4)
        for _ in range(self.config.steps):
            sums[0] += self._act()
            if self._count >= self.config.batch:
                sums[1:] += self._learn()
        cost, critic_loss, actor_cost, norm = (sums / self.config.steps).tolist()
        found = (critic_loss, actor_cost, cost, float(self._violations), norm)
        return dict(zip(METRICS, found, strict=True))

    def policy(self) -> nn.Module:
        """The controller as it stands."""
        return self.actor

    @property
    def violations(self) -> int:
        """Safety violations so far, training itself included."""
        return self._violations

    @torch.no_grad()
    def _act(self) -> float:
        """One environment step; the cost of it, unscaled."""
        if self._observation is None:
            self._observation = self.task.reset(self._seed)
        action = self.actor(self._observation)
        if self.config.noise:
            noise = torch.randn(action.shape, generator=self._noise)
            action = torch.clamp(action + self._sigma * noise, self._low, self._high)
        step = self.task.step(action)
        reward = float(step.reward[0])
        follows = 0.0 if bool(step.terminated[0]) else 1.0
        scalars = torch.tensor([[self.config.cost_scale * reward], [follows]])
        row = torch.cat([self._observation.flatten(), action.flatten(), scalars[0], step.final.flatten(), scalars[1]])
        self._replay[self._count % self.config.capacity] = row
        self._count += 1
        self._violations += int(step.terminated[0])
        self._observation = step.observation
        return -reward

    def _learn(self) -> Tensor:
        """One gradient step of the critic and, unless it is frozen, of the actor: (loss, cost-to-go, norm)."""
        config = self.config
        filled = min(self._count, config.capacity)
        rows = self._replay[torch.randint(filled, (config.batch,), generator=self._draws)]
        observation, action, reward, following, follows = rows.split(self._columns, dim=1)
        with torch.no_grad():
            value = self.target_critic(following, self.target_actor(following))
            target = temporal_difference_target(
                reward[:, 0], value, follows[:, 0], discount=config.discount, largest=config.largest_value
            )
        loss = (target - self.critic(observation, action)).square().mean()
        norm = self._descend(1, loss)
        cost = torch.zeros(())
        if self._count > config.frozen:
            cost = -self.critic(observation, self.actor(observation)).mean()
            self._descend(0, cost)
            self._follow(0, config.actor_tau)
        self._follow(1, config.critic_tau)
        self._gradient_steps += 1
        return torch.stack([loss.detach(), cost.detach(), norm])

    @torch.no_grad()
    def _follow(self, which: int, share: float) -> None:
        """Move one target network towards its network."""
        torch._foreach_lerp_(self._targets[which], self._learning[which], share)

    def _descend(self, which: int, loss: Tensor) -> Tensor:
        """One clipped Adam step on one network's parameters; gradients of the other are not even computed."""
        parameters = self._learning[which]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip_norm)
        self._optimizers[which].step()
        return norm.detach()

    def state_dict(self) -> dict[str, Any]:
        """Networks, targets, optimisers, replay, streams, counters, and the task where it can tell its state."""
        tell = getattr(self.task, "state_dict", None)
        nets = (self.actor, self.critic, self.target_actor, self.target_critic)
        return {
            **{name: _kept(net) for name, net in zip(_NETWORKS, nets, strict=True)},
            "actor_optimizer": optimizer_state(self._optimizers[0]),
            "critic_optimizer": optimizer_state(self._optimizers[1]),
            "replay": self._replay.clone(),
            "draws": self._draws.get_state(),
            "noise": self._noise.get_state(),
            "counts": [self._count, self._violations, self._gradient_steps],
            "task": tell() if tell is not None else None,
            "observation": None if self._observation is None else self._observation.clone(),
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        own = self.state_dict()
        require_keys(state, {**own, "observation": None}, what="yann-rl state")
        for name in _NETWORKS:
            require_keys(state[name], own[name], what=name)
        if (state["task"] is None) != (own["task"] is None):
            raise CorruptFileError("yann-rl state: the task of one of the two cannot tell its state")
        restore = getattr(self.task, "load_state_dict", None)
        if restore is not None:
            restore(state["task"])
        for optimizer, name in zip(self._optimizers, ("actor_optimizer", "critic_optimizer"), strict=True):
            load_optimizer_state(optimizer, state[name])
        for net, name in zip((self.actor, self.critic, self.target_actor, self.target_critic), _NETWORKS, strict=True):
            net.load_state_dict({**net.state_dict(), **state[name]})
        self._replay = state["replay"].clone()
        self._draws.set_state(state["draws"].clone())
        self._noise.set_state(state["noise"].clone())
        self._count, self._violations, self._gradient_steps = (int(n) for n in state["counts"])
        # a task that cannot tell its state starts a new episode
        seen = state["observation"] if restore is not None else None
        self._observation = None if seen is None else seen.clone()
        if restore is None:
            self._seed = derive(self._seed, "resumed", self._count)

    def work(self) -> dict[str, int]:
        """Environment steps and gradient steps."""
        return {"environment_steps": self._count, "gradient_steps": self._gradient_steps}


_NETWORKS = ("actor", "critic", "target_actor", "target_critic")


def _kept(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def temporal_difference_target(
    reward: Tensor, next_value: Tensor, follows: Tensor, *, discount: float, largest: float
) -> Tensor:
    """y = r + g follows V(s'), cut below at -largest: no bootstrap at a violation; all `[batch]`, scaled."""
    return (reward + discount * follows * next_value).clamp(min=-largest)


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
