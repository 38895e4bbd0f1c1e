"""Proximal policy optimisation (Schulman et al. 2017), batched over lanes, for any task and any actor-critic module.

One update collects T steps of N lanes, estimates advantages once, and takes `epochs` x `minibatches` gradient steps on

    -mean_c min(ratio_c A, clip(ratio_c, 1 - low, 1 + high) A) + value_weight (V - target)^2 - entropy_weight H

with one ratio for each component c of the action. What a paper changes comes in by arguments: the agent (frozen bases
included: what needs no gradient is not touched), the estimate of advantages, further losses.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import gymnasium
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn
from torch.nn import functional

from livepapers.blocks.advantages import generalised_advantages, standardise
from livepapers.blocks.distributions import Actions, parameter_count
from livepapers.blocks.networks import MLP, Activation, orthogonal
from livepapers.blocks.policies import Actor, Greedy, GreedyPolicy, Normaliser, flat_width
from livepapers.blocks.rollouts import EpisodeReturns, Rollout, collect
from livepapers.core.checkpoint import require_keys
from livepapers.core.compiling import Compile, Compiler
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.vector import BatchedTask, load_task_state, task_state

METRICS = (
    "policy_loss", "value_loss", "entropy", "kl", "clipped", "gradient_norm", "reward", "episodes", "episode_return",
)  # fmt: skip
"""Means over the update's gradient steps; then the mean reward a step, the episodes that ended in this update, and
their mean return (of the latest that ended when none did, 0 before the first)."""


@config_dataclass
class PPOConfig(Presets):
    """Settings of PPO: defaults of Stable-Baselines3, but for steps, epochs and minibatches, which suit many lanes."""

    steps: int = setting(128, "T: steps of each lane an update", ge=1)
    epochs: int = setting(4, "passes over an update's steps", ge=1)
    minibatches: int = setting(4, "gradient steps an epoch, each on an equal share of the T x N steps", ge=1)
    learning_rate: float = setting(3e-4, "Adam", gt=0, le=10)
    anneal: int = setting(0, "updates over which the rate falls to 0 in a line; 0 = constant", ge=0)
    discount: float = setting(0.99, "per step", ge=0, le=1)
    trace: float = setting(0.95, "lambda of generalised advantages", ge=0, le=1)
    clip_low: float = setting(0.2, "a ratio below 1 - this gets no gradient to fall further", gt=0, le=1)
    clip_high: float = setting(0.2, "a ratio above 1 + this gets no gradient to rise further", gt=0)
    value_clip: float = setting(0.0, "how far a value may move from the collected one, in its unit; 0 = no limit", ge=0)
    value_weight: float = setting(0.5, "of the squared error of the value", ge=0)
    entropy_weight: float = setting(0.0, "of the entropy, a sum over components where the gain is a mean", ge=0)
    clip_norm: float = setting(0.5, "largest gradient norm, 0 = no clipping", ge=0)
    target_kl: float = setting(0.0, "an update stops at an epoch whose KL is over 1.5 times this; 0 = never", ge=0)
    standardise: Literal["minibatch", "update", "never"] = setting("minibatch", "over what advantages are standardised")
    adam_epsilon: float = setting(1e-5, "Adam's denominator", gt=0)
    compile: Compile = setting(
        "never", "compiled loss and acting, which the first update pays for: auto falls back, always refuses"
    )


class Estimate(NamedTuple):
    """What the gradient steps learn from."""

    advantage: Tensor  # [T, N], or [T, N, C] where components have their own
    target: Tensor | None = None  # of the agent's value, shaped like it with T, N in front; None: no value loss


class Minibatch(NamedTuple):
    """B of the T x N steps."""

    observation: Tensor
    action: Tensor
    log_prob: Tensor  # [B, C] when collected
    advantage: Tensor  # [B] or [B, C]
    target: Tensor | None
    mask: Tensor | None
    extra: tuple[Tensor, ...]  # the first is the value when collected


class Outputs(NamedTuple):
    """What the agent says of a minibatch now."""

    parameters: Tensor  # [B, P]
    value: Tensor  # [B] or [B, ...]
    log_prob: Tensor  # [B, C]
    entropy: Tensor  # [B]


PIECE = 8192
"""Most rows of a minibatch that are differentiated at once: their activations stay in a processor's cache."""

ExtraLoss = Callable[[Minibatch, Outputs], Tensor]


class ActorCritic(nn.Module):
    """Two networks of one shape: the actor's parameters and the state's value. Any module of this shape may stand in.

    `forward(observation)` gives (parameters `[B, P]`, value `[B]`); `log_std` is a parameter for boxes whose parameters
    are means only, else None;
    `normaliser`, where there is one, is updated by the learner after each update, so it is fixed within one.
    """

    log_std: nn.Parameter | None

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        *,
        hidden: Sequence[int],
        activation: Activation,
        normalise: bool,
        log_std: float,
        generator: torch.Generator,
        state_dependent_std: bool = False,
    ) -> None:
        super().__init__()
        self._shape = (observation_space, action_space, hidden, activation)
        width = flat_width(observation_space)
        self.normaliser = Normaliser(width) if normalise else None
        self.actor = Actor(
            width, action_space, hidden=hidden, activation=activation, generator=generator,
            log_std=log_std if state_dependent_std else None,
        )  # fmt: skip
        critic = MLP(width, hidden, outputs=1, activation=activation, generator=generator)
        self.critic = orthogonal(critic, gain=1.0, generator=generator)
        self.log_std = None
        if isinstance(action_space, Box) and not state_dependent_std:
            self.log_std = nn.Parameter(self.actor.reach.log().expand(parameter_count(action_space)) + log_std)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, ...]` -> (parameters `[B, P]`, value `[B]`)."""
        features = self.features(observation)
        return self.actor(features), self.critic(features).squeeze(-1)

    def features(self, observation: Tensor) -> Tensor:
        """The flat, normalised observation `[B, width]`."""
        flat = observation.flatten(1).to(torch.float32)
        return flat if self.normaliser is None else self.normaliser(flat)

    def policy(self) -> GreedyPolicy:
        """A copy of the actor that gives the most likely action; an artifact can rebuild it."""
        observation_space, action_space, hidden, activation = self._shape
        policy = GreedyPolicy(
            observation_space, action_space, hidden=hidden, activation=activation,
            normalise=self.normaliser is not None, log_std=self.actor.log_std,
        )  # fmt: skip
        policy.actor.load_state_dict(self.actor.state_dict())
        if self.normaliser is not None and policy.normaliser is not None:
            policy.normaliser.load_state_dict(self.normaliser.state_dict())
        return policy.eval()


def actor_critic(
    observation_space: gymnasium.Space,
    action_space: gymnasium.Space,
    *,
    hidden: Sequence[int] = (64, 64),
    activation: Activation = "tanh",
    normalise: bool = True,
    log_std: float = 0.0,
    generator: torch.Generator,
    state_dependent_std: bool = False,
) -> ActorCritic:
    """A new agent.

    Args:
        observation_space: A Box.
        action_space: `Discrete`, `MultiDiscrete` or `Box`.
        hidden: Widths of the hidden layers of actor and critic.
        activation: Behind each hidden layer.
        normalise: Whether observations are normalised by their running mean and standard deviation.
        log_std: For boxes: logarithm of the first standard deviation in half-widths of a bounded box, else in its unit.
        generator: Source of the initial weights.
        state_dependent_std: For boxes: whether standard deviations are outputs of the actor, see `policies.Actor`.
    """
    if not isinstance(observation_space, Box):
        raise InputError.of("observation space", str(observation_space), expected="a Box", cause="flatten it first")
    return ActorCritic(
        observation_space,
        action_space,
        hidden=tuple(hidden),
        activation=activation,
        normalise=normalise,
        log_std=log_std,
        generator=generator,
        state_dependent_std=state_dependent_std,
    )


def clipped_surrogate(
    log_prob: Tensor, before: Tensor, advantage: Tensor, *, low: float = 0.2, high: float = 0.2
) -> Tensor:
    """Equation (7): mean of min(ratio A, clip(ratio, 1 - low, 1 + high) A), to be maximised.

    Args:
        log_prob: `[B, C]` now, one column for each component of the action.
        before: `[B, C]` of the policy that acted.
        advantage: `[B]`, shared by all components, or `[B, C]`.
        low: How far a ratio may fall.
        high: How far a ratio may rise.
    """
    ratio = torch.exp(log_prob - before)
    if advantage.dim() < ratio.dim():
        advantage = advantage.unsqueeze(-1)
    return torch.minimum(ratio * advantage, ratio.clamp(1.0 - low, 1.0 + high) * advantage).mean()


class PPO(Learner):
    """Proximal policy optimisation.

    Args:
        task: Where to act.
        agent: A module like `ActorCritic`; parameters that need no gradient stay as they are, bit for bit. What they
            see stays too where `agent.normaliser.frozen` is set.
        config: Settings.
        seed: Of the task's episodes, the drawn actions and the minibatches.
        estimate: Advantages (and targets of the value) of a rollout whose `extra[0]` is the value; generalised
            advantages when left out.
        losses: Further terms, each (minibatch, outputs) -> `[]`, added to the loss.
    """

    def __init__(
        self,
        task: BatchedTask,
        agent: nn.Module,
        *,
        config: PPOConfig,
        seed: int,
        estimate: Callable[[Rollout], Estimate] | None = None,
        losses: Sequence[ExtraLoss] = (),
    ) -> None:
        if (config.steps * task.lanes) % config.minibatches:
            expected = f"a divisor of steps x lanes = {config.steps} x {task.lanes}"
            raise InputError.of("minibatches", config.minibatches, expected=expected)
        if config.standardise == "minibatch" and config.steps * task.lanes == config.minibatches > 1:
            cause = "the advantage of a single step, standardised, is 0"
            raise InputError.of("minibatches", config.minibatches, expected="two steps or more in each", cause=cause)
        self.task, self.agent, self.config, self._seed = task, agent, config, seed
        self._actions_of = Actions(task.action_space)
        self.compiler = Compiler(config.compile)
        self._choose, self._loss = self.compiler.wrap(self._chosen), self.compiler.wrap(self._measured_loss)
        self._estimate, self._losses = estimate or self.generalised, tuple(losses)
        self._trained = [parameter for parameter in agent.parameters() if parameter.requires_grad]
        if not self._trained:
            raise InputError.of("agent", "no parameter that needs a gradient", expected="at least one to train")
        self._optimizer = torch.optim.Adam(self._trained, lr=config.learning_rate, eps=config.adam_epsilon, fused=True)
        self._actions = make_generator(seed, "ppo", "actions")
        self._shuffles = make_generator(seed, "ppo", "minibatches")
        self._observation = task.reset(derive(seed, "ppo", "task") >> 32)
        self._returns = EpisodeReturns(task.lanes)
        self._updates, self._gradient_steps = 0, 0

    def update(self) -> dict[str, float]:
        """Collect steps, estimate advantages, take the gradient steps."""
        config = self.config
        rollout, self._observation = collect(
            self.task, self._act, steps=config.steps, generator=self._actions, observation=self._observation
        )
        normaliser = getattr(self.agent, "normaliser", None)
        fresh = False
        with torch.no_grad():
            if isinstance(normaliser, Normaliser) and not normaliser.frozen and not int(normaliser.count):
                rollout, fresh = self._normalised(rollout, normaliser), True
            estimate = self._estimate(rollout)
        steps = _flat(rollout, estimate, standardised=config.standardise == "update")
        if config.anneal:
            self._optimizer.param_groups[0]["lr"] = config.learning_rate * max(0.0, 1 - self._updates / config.anneal)
        sums, taken = torch.zeros(6), 0
        for _ in range(config.epochs):
            measured = self._epoch(steps)
            sums, taken = sums + measured.sum(0), taken + len(measured)
            if config.target_kl and float(measured[:, 3].mean()) > 1.5 * config.target_kl:
                break
        if normaliser is not None and not fresh:
            normaliser.update(steps.observation.flatten(1).to(torch.float32))
        self._updates += 1
        self._gradient_steps += taken
        for reward, ended in zip(rollout.reward, rollout.ended, strict=True):
            self._returns.add(reward, ended)
        means = dict(zip(METRICS, [*(sums / taken).tolist(), rollout.reward.mean().item()], strict=False))
        return means | self._returns.report()

    def _normalised(self, rollout: Rollout, normaliser: Normaliser) -> Rollout:
        """The first rollout, as the agent sees it under the statistics of its own observations.

        Else networks would learn a whole update from raw observations, and then meet normalised ones.
        """
        observation, action = rollout.observation.flatten(0, 1), rollout.action.flatten(0, 1)
        normaliser.update(observation.flatten(1).to(torch.float32))
        parameters, value = self.agent(observation)
        mask = None if rollout.mask is None else rollout.mask.flatten(0, 1)
        log_prob = self._actions_of(parameters, log_std=_log_std(self.agent), mask=mask).log_prob(action)
        shape = rollout.reward.shape
        return rollout._replace(log_prob=log_prob.unflatten(0, shape), extra=(value.unflatten(0, shape),))

    def generalised(self, rollout: Rollout) -> Estimate:
        """Generalised advantages, and targets advantage + value; raises `InputError` where values are no numbers."""
        value, ended = rollout.extra[0], rollout.ended
        if value.shape != rollout.reward.shape:
            shown = ["batch", *value.shape[2:]]
            raise InputError.of("agent", f"values {shown}", expected="[batch]", cause="squeeze(-1) is missing?")
        following = torch.empty_like(value)
        following[:-1] = value[1:]
        cut = rollout.truncated.clone()  # here the next value in line is that of another episode
        cut[-1] = True
        if bool(cut.any()):
            following[cut] = self.agent(rollout.final[cut])[1]
        advantage = generalised_advantages(
            rollout.reward, value, following, rollout.terminated, ended,
            discount=self.config.discount, trace=self.config.trace,
        )  # fmt: skip
        return Estimate(advantage, advantage + value)

    def policy(self) -> nn.Module:
        """A copy that takes the likeliest actions, clipped to a Box; one that artifacts know if the agent offers it."""
        make = getattr(self.agent, "policy", None)
        return Greedy(copy.deepcopy(self.agent), self.task.action_space).eval() if make is None else make()

    def work(self) -> dict[str, int]:
        """Environment steps over all lanes, and gradient steps."""
        steps = self._updates * self.config.steps * self.task.lanes
        return {"environment_steps": steps, "gradient_steps": self._gradient_steps}

    def state_dict(self) -> dict[str, Any]:
        """Agent, optimiser, streams, counters, and where the lanes stand if the task can say it."""
        return {
            "agent": {name: value.detach().clone() for name, value in self.agent.state_dict().items()},
            "optimizer": optimizer_state(self._optimizer),
            "actions": self._actions.get_state(),
            "shuffles": self._shuffles.get_state(),
            "task": task_state(self.task),
            "observation": self._observation.clone(),
            "returns": self._returns.state_dict(),
            "updates": self._updates,
            "gradient_steps": self._gradient_steps,
            "compiled": self.compiler.on,
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit.

        A task that cannot save where it stands begins new episodes, seeded by the number of updates.
        """
        require_keys(state, self.state_dict(), what="ppo state")
        require_keys(state["agent"], self.agent.state_dict(), what="agent")
        self.compiler.check(bool(state["compiled"]))
        if not load_or_keep(self, self._load, state):
            self._observation = self.task.reset(derive(self._seed, "ppo", "task", self._updates) >> 32)
            self._returns.restart()

    def _load(self, state: State) -> bool:
        """Whether the task stands where it stood."""
        config = self.config
        constant = {} if config.anneal else {"lr": config.learning_rate}  # a rate that falls is set at each update
        load_optimizer_state(self._optimizer, state["optimizer"], eps=config.adam_epsilon, **constant)
        restored = load_task_state(self.task, state["task"])
        self.agent.load_state_dict(state["agent"])
        self._actions.set_state(state["actions"].clone())
        self._shuffles.set_state(state["shuffles"].clone())
        self._returns.load_state_dict(state["returns"])
        self._updates, self._gradient_steps = int(state["updates"]), int(state["gradient_steps"])
        self._observation = state["observation"].clone()
        self.compiler.follow(bool(state["compiled"]))
        return restored

    def _act(self, observation: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, ...]:
        self._actions_of.check(mask)
        return self._choose(observation, mask, self._actions_of.noise(len(observation), generator))

    def _chosen(self, observation: Tensor, mask: Tensor | None, noise: Tensor) -> tuple[Tensor, ...]:
        """Actions, their log-probabilities and the values; compiled where the configuration says so."""
        parameters, value = self.agent(observation)
        now = self._actions_of(parameters, log_std=_log_std(self.agent), mask=mask)
        action = now.at(noise)
        return action, now.log_prob(action), value

    def _epoch(self, steps: Minibatch) -> Tensor:
        """One pass over all steps in random order; `[minibatches, 6]` metrics."""
        order = torch.randperm(len(steps.advantage), generator=self._shuffles)
        return torch.stack([self._step(_take(steps, rows)) for rows in order.view(self.config.minibatches, -1)])

    def _step(self, batch: Minibatch) -> Tensor:
        """One gradient step; `[6]` metrics. The loss is a mean, so pieces of a minibatch give its gradient in parts."""
        rows = len(batch.advantage)
        if self.config.standardise == "minibatch":
            batch = batch._replace(advantage=standardise(batch.advantage))
        most = (
            PIECE // 2 if self.compiler.on else PIECE
        )  # compiled, a call costs less and more is kept for the gradient
        pieces = 1 if self._losses else -(-rows // most)  # what a further loss is of a whole, only its author knows
        measured = torch.zeros(5)
        self._optimizer.zero_grad()
        for piece in _chunks(batch, pieces):
            share = len(piece.advantage) / rows
            loss, values = self._loss(piece)
            (loss * share).backward()
            measured += share * values
        norm = nn.utils.clip_grad_norm_(self._trained, self.config.clip_norm or float("inf"))
        self._optimizer.step()
        return torch.cat([measured, norm[None]])

    def _measured_loss(self, batch: Minibatch) -> tuple[Tensor, Tensor]:
        """The loss of some steps whose advantages are as they shall be, and its metrics `[5]`; may be compiled."""
        config = self.config
        parameters, value = self.agent(batch.observation)
        now = self._actions_of(parameters, log_std=_log_std(self.agent), mask=batch.mask)
        log_prob, entropy = now.log_prob(batch.action), now.entropy()
        gain = clipped_surrogate(log_prob, batch.log_prob, batch.advantage, low=config.clip_low, high=config.clip_high)
        error = parameters.new_zeros(())
        if batch.target is not None:
            error = value_error(value, batch.target, before=batch.extra[0], clip=config.value_clip)
        loss = config.value_weight * error - gain - config.entropy_weight * entropy.mean()
        for further in self._losses:
            loss = loss + further(batch, Outputs(parameters, value, log_prob, entropy))
        with torch.no_grad():
            change = log_prob - batch.log_prob
            ratio = change.exp()
            beyond = (ratio < 1.0 - config.clip_low) | (ratio > 1.0 + config.clip_high)
            measured = [-gain, error, entropy.mean(), (ratio - 1.0 - change).sum(-1).mean(), beyond.float().mean()]
            return loss, torch.stack(measured)


def value_error(value: Tensor, target: Tensor, *, before: Tensor, clip: float) -> Tensor:
    """Mean squared error of the value; with `clip`, the larger of it and that of a value held near the one before."""
    if not clip:
        return functional.mse_loss(value, target)
    held = before + (value - before).clamp(-clip, clip)
    return torch.maximum((value - target).square(), (held - target).square()).mean()


def _log_std(agent: nn.Module) -> Tensor | None:
    return getattr(agent, "log_std", None)


def _flat(rollout: Rollout, estimate: Estimate, *, standardised: bool) -> Minibatch:
    """All T x N steps in one row."""
    advantage = standardise(estimate.advantage) if standardised else estimate.advantage
    return Minibatch(
        rollout.observation.flatten(0, 1),
        rollout.action.flatten(0, 1),
        rollout.log_prob.flatten(0, 1),
        advantage.flatten(0, 1),
        None if estimate.target is None else estimate.target.flatten(0, 1),
        None if rollout.mask is None else rollout.mask.flatten(0, 1),
        tuple(each.flatten(0, 1) for each in rollout.extra),
    )


def _take(steps: Minibatch, rows: Tensor) -> Minibatch:
    """Some of the steps; `index_select` is several times faster than brackets, and on numbers than on rows of one."""

    def take(part: Tensor) -> Tensor:
        if part.numel() == len(part):
            return part.reshape(-1).index_select(0, rows).view(-1, *part.shape[1:])
        return part.index_select(0, rows)

    return _each(steps, take)


def _chunks(steps: Minibatch, count: int) -> Iterator[Minibatch]:
    """Steps in `count` parts that stand side by side, without a copy."""
    size = -(-len(steps.advantage) // count)
    for first in range(0, len(steps.advantage), size):
        yield _each(steps, lambda part, first=first: part[first : first + size])


def _each(steps: Minibatch, function: Callable[[Tensor], Tensor]) -> Minibatch:
    *parts, extra = steps
    made = [None if part is None else function(part) for part in parts]
    return Minibatch(*made, tuple(function(each) for each in extra))  # type: ignore[arg-type]
