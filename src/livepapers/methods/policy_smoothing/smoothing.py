"""Acting with noise on every observation, and whole episodes of it: clean ones, or against an adversary."""

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.blocks.distributions import into
from livepapers.blocks.policy_door import AnyPolicy, PolicySource, as_policy, frames_of, require_actions
from livepapers.core.errors import InputError
from livepapers.core.loop import tell
from livepapers.core.rng import derive, numpy_generator
from livepapers.core.rng import generator as make_generator
from livepapers.methods.policy_smoothing.certificate import LARGEST, Certificate, Estimator
from livepapers.methods.policy_smoothing.environments import Environment, World, world_of
from livepapers.tasks.finite import require_finite
from livepapers.tasks.masks import require_all_allowed
from livepapers.tasks.observations import pushed
from livepapers.tasks.spaces import alike
from livepapers.tasks.vector import BatchedTask

Sigma: TypeAlias = float | Sequence[float]
LONGEST = 100_000
"""Steps after which an episode is given up."""


class Seen(NamedTuple):
    """What an adversary knows when it moves; the noise of this step is drawn afterwards."""

    step: int
    observation: Tensor  # [lane, ...] float32, untouched
    clean: Tensor  # [lane, frames, ...] untouched stack, this observation last
    noisy: Tensor  # [lane, frames, ...] what the agent had seen up to the last step, changes and noise included
    action: Tensor | None  # [lane, ...] the last one
    left: Tensor  # [lane] what remains of the budget: the l2 norm that this step's change may have
    going: Tensor  # [lane] bool: the episode is not over
    state: Any  # the true state, where the world is a simulator


Adversary: TypeAlias = Callable[[Seen], Tensor]
"""What it knows -> change of the observation, `[lane, ...]`; more than `left` is cut down to it."""


class Episodes(NamedTuple):
    """One episode of each lane."""

    returns: np.ndarray  # [lane] float64, undiscounted
    lengths: np.ndarray  # [lane] int64
    spent: np.ndarray  # [lane] float64, l2 norm of all changes of the episode


class SmoothedPolicy:
    """A policy that sees each observation with noise, drawn once; a frame in later stacks keeps the noise it came with.

    Args:
        policy: Whatever `blocks.policy_door` lets in.
        sigma: Standard deviation of the noise, in the observation's units; one value, or one a feature. 0 adds none.
        generator: Source of the noise.
        frames: Observations that the policy sees together, oldest first, zeros before the start.
        clip: Bounds to which a noisy observation is cut, which can only help: it is processing after the noise.
    """

    def __init__(
        self,
        policy: PolicySource,
        sigma: Sigma,
        *,
        generator: torch.Generator,
        frames: int = 1,
        clip: tuple[float, float] | None = None,
    ) -> None:
        if frames < 1:
            raise InputError.of("frames", frames, expected="a whole number >= 1")
        self.policy, self.frames, self.clip = as_policy(policy), frames, clip
        self.sigma = torch.as_tensor(sigma, dtype=torch.float32)
        if not bool((torch.isfinite(self.sigma) & (self.sigma >= 0.0)).all()) or self.sigma.dim() > 1:
            raise InputError.of("sigma", sigma, expected="a finite number >= 0, or one a feature")
        self._noise = generator
        self.stack: Tensor | None = None
        self.observations = 0
        """That came in so far."""

    def reset(self, observation: Tensor) -> None:
        """Forget everything; as many lanes as `observation` `[lane, ...]` has."""
        shape = observation.shape
        if self.sigma.dim() and self.sigma.shape != shape[-1:]:
            shown = f"{len(self.sigma)} numbers"
            raise InputError.of("sigma", shown, expected=f"one, or {shape[-1] if len(shape) > 1 else 1}, one a feature")
        self.stack = torch.zeros(shape[0], self.frames, *shape[1:])
        self.restart(torch.ones(shape[0], dtype=torch.bool))

    def restart(self, lanes: Tensor) -> None:
        """Forget what was seen in some lanes, `[lane]` bool: their episodes are over."""
        if self.stack is not None:
            self.stack = torch.where(lanes.reshape(-1, *[1] * (self.stack.dim() - 1)), 0.0, self.stack)
        if self.policy.restart is not None:
            self.policy.restart(lanes)

    @torch.no_grad()
    def __call__(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """Actions `[lane, ...]` for observations `[lane, ...]`, which are taken as float32 whatever they were."""
        if self.stack is None:
            self.reset(observation)
        assert self.stack is not None  # made by reset
        noisy = observation.to(torch.float32)
        if bool((self.sigma > 0.0).any()):
            noisy = noisy + self.sigma * torch.randn(noisy.shape, generator=self._noise)
        if self.clip is not None:
            noisy = noisy.clamp(*self.clip)
        self.stack = pushed(self.stack, noisy)
        self.observations += len(noisy)
        return self.policy.act(presented(self.stack, self.policy), mask)


class NoisyObservation(gymnasium.ObservationWrapper):
    """Gaussian noise on the observations of a Gymnasium environment, for training with other libraries.

    Put it below any frame stacking. Observations become float32 without bounds: noise that is squeezed into bytes wraps
    around.

    Args:
        env: Observations are a box.
        sigma: Standard deviation, one value or one a feature.
        seed: Of the noise.
    """

    def __init__(self, env: gymnasium.Env, sigma: Sigma, *, seed: int = 0) -> None:
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, gymnasium.spaces.Box):
            raise InputError.of("env", str(space), expected="observations that are a box of numbers")
        self.sigma = np.asarray(sigma, dtype=np.float32)
        if not (np.isfinite(self.sigma) & (self.sigma >= 0.0)).all():
            raise InputError.of("sigma", sigma, expected="a finite number >= 0, or one a feature")
        self._noise = numpy_generator(seed, "policy-smoothing", "environment noise")
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, space.shape, np.float32)

    def observation(self, observation: Any) -> np.ndarray:
        """The observation with one fresh draw of noise."""
        plain = np.asarray(observation, dtype=np.float32)
        return plain + self.sigma * self._noise.standard_normal(plain.shape, dtype=np.float32)


def presented(stack: Tensor, policy: AnyPolicy) -> Tensor:
    """A stack `[lane, frames, ...]` in the form the policy takes: without the axis if there is one frame, or flat."""
    if stack.shape[1] == 1:
        stack = stack[:, 0]
    return stack.flatten(1) if policy.shape is not None and len(policy.shape) == 1 else stack


class Ledger:
    """What each lane's adversary has left: it never spends more, whatever it asks for.

    Args:
        budget: B, the l2 norm of all changes of an episode.
        lanes: How many.
        scale: What changes are measured in: 1, or sigma of each feature.
    """

    def __init__(self, budget: float, lanes: int, *, scale: Tensor) -> None:
        if not 0.0 <= budget < math.inf:
            raise InputError.of("budget", budget, expected="a finite number >= 0")
        if not bool((scale > 0.0).all()):
            cause = "a change of a feature without noise has no price in standard deviations"
            raise InputError.of("sigma", scale.tolist(), expected="numbers > 0", cause=cause)
        self._left = torch.full((lanes,), budget, dtype=torch.float64).square()
        self._spent, self._scale = torch.zeros(lanes, dtype=torch.float64), scale.double()

    @property
    def left(self) -> Tensor:
        """`[lane]` float32, rounded down."""
        return (self._left.sqrt() * (1.0 - 1e-7)).float()

    @property
    def spent(self) -> Tensor:
        """`[lane]` float64."""
        return self._spent.sqrt()

    def pay(self, change: Tensor, going: Tensor) -> Tensor:
        """The change `[lane, ...]` that is granted: cut to what is left, nothing in lanes whose episode is over."""
        if not bool(torch.isfinite(change).all()):
            raise InputError.of("adversary", "a change that is not finite", expected="finite numbers")
        square = self._square(change)
        factor = (self._left / square.clamp(min=1e-300)).sqrt().clamp(max=1.0)
        factor = torch.where(factor < 1.0, factor * (1.0 - 1e-6), factor) * going  # rounding never overspends
        granted = change * factor.float().reshape(-1, *[1] * (change.dim() - 1))
        cost = self._square(granted)
        self._left, self._spent = (self._left - cost).clamp(min=0.0), self._spent + cost
        return granted

    def _square(self, change: Tensor) -> Tensor:
        return (change.double() / self._scale).flatten(1).square().sum(1)


@torch.no_grad()
def play(
    policy: SmoothedPolicy, task: BatchedTask, *, seed: int, adversary: Adversary | None = None, budget: float = 0.0
) -> Episodes:
    """The first episode of each lane; the adversary moves first, then the noise is drawn, then the agent acts.

    Only first episodes count: taking those that end first would favour short ones.

    Args:
        policy: The agent with its noise.
        task: Where.
        seed: Of the task's episodes.
        adversary: None: nothing is changed.
        budget: B of the adversary, in the observation's units, or in sigmas where sigma has one value a feature.

    Raises:
        InputError: An episode does not end, the world tells numbers that are not finite, or it forbids actions and
            there is an adversary.
    """
    observation = _seen(task.reset(seed), torch.ones(task.lanes, dtype=torch.bool))
    policy.reset(observation)
    scale = policy.sigma if policy.sigma.dim() else torch.ones(())
    ledger, inside = Ledger(budget, task.lanes, scale=scale), into(task.action_space)
    clean = torch.zeros(task.lanes, policy.frames, *observation.shape[1:])
    returns, lengths = torch.zeros(task.lanes, dtype=torch.float64), torch.zeros(task.lanes, dtype=torch.int64)
    going, action = torch.ones(task.lanes, dtype=torch.bool), None
    for step in range(LONGEST):
        if adversary is not None:
            require_all_allowed(task.mask(), what="an attack")
            clean = pushed(clean, observation)
            assert policy.stack is not None  # made by reset
            state = getattr(task, "state", None)
            seen = Seen(step, observation, clean, policy.stack, action, ledger.left, going, state)
            observation = observation + ledger.pay(adversary(seen), going)
        action = policy(observation, task.mask())
        action = require_actions(action, task.action_space, task.lanes, about=policy.policy.about)
        result = task.step(inside(action))
        returns += torch.where(going, require_finite(result.reward, going, what="rewards").double(), 0.0)
        lengths += going
        ended = result.terminated | result.truncated
        going = going & ~ended
        if not bool(going.any()):
            return Episodes(returns.numpy(), lengths.numpy(), ledger.spent.numpy())
        observation = _seen(result.observation, going)
        if bool(ended.any()):
            policy.restart(ended)
            clean = torch.where(ended.reshape(-1, *[1] * (clean.dim() - 1)), 0.0, clean)
    raise InputError.of("env", f"an episode of over {LONGEST:,} steps", expected="episodes that end")


def _seen(observation: Tensor, going: Tensor) -> Tensor:
    return require_finite(observation, going, what="observations").to(torch.float32)


def collect_returns(
    policy: PolicySource,
    env: Environment,
    *,
    sigma: Sigma,
    episodes: int,
    seed: int,
    frames: int | None = None,
    adversary: Adversary | None = None,
    budget: float = 0.0,
) -> Episodes:
    """Whole noisy episodes, as many side by side as the world allows.

    Args:
        policy: Whatever `blocks.policy_door` lets in.
        env: Where it acts.
        sigma: Of the noise.
        episodes: How many.
        seed: Of starts, of the world's noise and of the observation's.
        frames: Observations seen together; None: as the policy's input says.
        adversary: None: clean episodes.
        budget: Of the adversary.
    """
    if not isinstance(episodes, Integral) or episodes < 1:
        raise InputError.of("episodes", episodes, expected="a whole number >= 1")
    let_in, world = as_policy(policy), world_of(env)
    parts: list[Episodes] = []
    done = 0
    while done < episodes:
        with world.opened(min(world.most, episodes - done)) as task:
            agent = smoothed(let_in, task, world, sigma=sigma, frames=frames, seed=derive(seed, "noise", done))
            found = play(agent, task, seed=derive(seed, "episodes", done) >> 32, adversary=adversary, budget=budget)
            parts.append(Episodes(*(column[: episodes - done] for column in found)))
            done += task.lanes
        tell("noisy episodes", min(done, episodes), episodes)
    return Episodes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def certify(
    policy: PolicySource,
    env: Environment,
    *,
    sigma: Sigma,
    episodes: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    frames: int | None = None,
    estimator: Estimator = "auto",
    lowest: float | None = None,
    highest: float | None = None,
) -> Certificate:
    """What no adversary can push the policy's return below: the certificate of clean noisy episodes.

    Args:
        policy: An artifact folder, an ONNX file, a torch module, a function of batched observations `[lane, ...]`.
        env: A world of livepapers or a Gymnasium id, a simulator, a batched task, or a vector environment.
        sigma: Standard deviation of the noise that is added to every observation, here and when it is deployed.
        episodes: n; with few, even a perfect agent gets little.
        confidence: 1 - alpha.
        seed: Of these episodes; it must not be one by which the policy was trained or chosen.
        frames: Observations that the policy sees together; None: as its input says.
        estimator: See `Certificate.from_returns`.
        lowest: A value that no return can be below; None: as the world says, if it does.
        highest: A value that no return can be above; None: as the world says, if it does.

    Raises:
        InputError: The policy does not fit the world, sigma is not positive, or a bound is broken.
    """
    known = world_of(env).bounds
    low = known[0] if lowest is None and known else lowest
    high = known[1] if highest is None and known else highest
    settings: dict[str, Any] = {"confidence": confidence, "estimator": estimator, "lowest": low, "highest": high}
    one = next((bound for bound in (low, high) if bound is not None), 0.0)
    Certificate.from_returns([one], sigma, **settings)  # refuse bad values before the work
    found = collect_returns(
        policy, env, sigma=sigma, episodes=episodes, seed=derive(seed, "policy-smoothing", "certify"), frames=frames
    )
    least, most = float(found.returns.min()), float(found.returns.max())
    if max(-least, most) > LARGEST:
        shown = max(least, most, key=abs)
        raise InputError.of("the environment's returns", shown, expected=f"numbers up to {LARGEST:g}")
    if low is not None and least < low:
        raise InputError.of("lowest", low, expected=f"at most {least:g}, which one of the episodes returned")
    if high is not None and most > high:
        raise InputError.of("highest", high, expected=f"at least {most:g}, which one of the episodes returned")
    return Certificate.from_returns(found.returns, sigma, **settings)


def smoothed(
    policy: AnyPolicy, task: BatchedTask, world: World, *, sigma: Sigma, frames: int | None, seed: int
) -> SmoothedPolicy:
    """The policy with its noise, its frames counted; raises `InputError` where it does not fit the task."""
    if not isinstance(task.observation_space, gymnasium.spaces.Box):
        raise InputError.of("env", str(task.observation_space), expected="observations that are a box of numbers")
    if policy.actions is not None and not alike(policy.actions, task.action_space):
        shown = f"actions {task.action_space}"
        raise InputError.of("env", shown, expected=f"those of the policy, {policy.actions}")
    said = frames_of(policy, task.observation_space)
    if frames is not None and policy.shape is not None and frames != said:
        raise InputError.of("frames", frames, expected=f"{said}", cause=f"the policy takes {policy.shape}")
    count = frames or (said if policy.shape is not None else world.frames or 1)
    return SmoothedPolicy(policy, sigma, generator=make_generator(seed, "smoothing"), frames=count)
