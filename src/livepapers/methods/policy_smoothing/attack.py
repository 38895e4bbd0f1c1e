"""Adversaries that follow gradients, all episodes at once, with one budget for the whole episode.

At each step the adversary looks for the smallest change of the present observation that makes the agent take an action
that is worth at least `gap` less, by gradient steps inside the ball that its remaining budget allows; it pays only for
what works. Against a smoothed agent it looks at values averaged over noise on the present observation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from livepapers.blocks.policy_door import AnyPolicy, PolicySource, as_policy
from livepapers.core.errors import InputError
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.policy_smoothing.environments import Environment, world_of
from livepapers.methods.policy_smoothing.smoothing import (
    Episodes,
    Seen,
    Sigma,
    collect_returns,
    play,
    presented,
    smoothed,
)
from livepapers.tasks.observations import pushed

Steps: TypeAlias = Literal["fixed", "linearised"]
Values: TypeAlias = Callable[[Tensor], Tensor]
Critic: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(stack `[lane, ...]` as the policy takes it, action `[lane, ...]`) -> worth `[lane]`."""

MOST_STEPS = 10  # linearised gradient steps a search
OVERSHOOT = 1.02  # how far beyond the linearised crossing a step goes
HALVINGS = 4  # of a change that works, towards the smallest that does
LEAST = 1e-6  # budgets below this are spent
STEPS_OF_A_RADIUS = 10  # gradient steps that reach the edge of a critic adversary's ball


@dataclass(frozen=True)
class Search:
    """How an adversary searches.

    Attributes:
        gap: How much less the forced action must be worth, in the values' units: what is not worth it is not paid.
        points: Noises over which values are averaged; 0: the plain values, against an agent without noise.
        steps: "fixed" as in the paper: length `size`, up to 2 radius / size of them. "linearised": each as long as it
            takes until the linearised values cross, at most ten, and what works is made smaller by bisection.
        size: Length of a fixed step, in the observation's units.
    """

    gap: float = 0.0
    points: int = 128
    steps: Steps = "linearised"
    size: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 0.0 <= self.gap < float("inf"):
            raise InputError.of("gap", self.gap, expected="a finite number >= 0")
        if self.points < 0:
            raise InputError.of("points", self.points, expected="a whole number >= 0")
        if not 0.0 < self.size < float("inf"):
            raise InputError.of("size", self.size, expected="a finite number > 0")


class ValueAdversary:
    """Against agents that take the discrete action of the largest value.

    Args:
        policy: Must have `values`.
        sigma: Of the agent's noise; 0 against an undefended agent.
        search: How to search.
        generator: Of the noises over which values are averaged, fresh at each step.
    """

    def __init__(self, policy: AnyPolicy, sigma: Sigma, *, search: Search, generator: torch.Generator) -> None:
        if policy.values is None:
            cause = "the attack follows gradients; an artifact or a torch module with `values` has them"
            raise InputError.of("policy", policy.about, expected="differentiable action values", cause=cause)
        self._policy, self._values, self.search = policy, policy.values, search
        self._sigma, self._generator = torch.as_tensor(sigma, dtype=torch.float32), generator

    @torch.enable_grad()
    def __call__(self, seen: Seen) -> Tensor:
        """The change of each lane's observation; zero where nothing that is worth it can be reached."""
        noises = _noises(self._sigma, self.search.points, seen.observation.shape[1:], self._generator)
        past = seen.noisy[:, 1:]  # with the present observation behind it: what the agent will act on
        with torch.no_grad():
            values = self._averaged(seen.clean[:, :-1], seen.observation, noises)
        best = values.max(1)
        change, worth = torch.zeros_like(seen.observation), torch.full_like(best.values, torch.inf)
        for target in range(values.shape[1]):
            tempting = (values[:, target] <= best.values - self.search.gap) & (best.indices != target)
            lanes = torch.nonzero(tempting & seen.going & (seen.left > LEAST) & (values[:, target] < worth))[:, 0]
            if not len(lanes):
                continue
            found, works = self._reach(past[lanes], seen.observation[lanes], target, seen.left[lanes], noises)
            change[lanes[works]] = found[works]
            worth[lanes[works]] = values[lanes[works], target]
        return change

    def _reach(self, past: Tensor, plain: Tensor, target: int, radius: Tensor, noises: Tensor) -> tuple[Tensor, Tensor]:
        """Changes `[lane, ...]` inside the balls, and whether they make `target` the largest value `[lane]`."""
        change, works = torch.zeros_like(plain), torch.zeros(len(plain), dtype=torch.bool)
        open_lanes = torch.arange(len(plain))
        most = MOST_STEPS if self.search.steps == "linearised" else _fixed_steps(radius, self.search.size)
        for step in range(most + 1):  # the last look takes no step
            here = (plain + change)[open_lanes].requires_grad_(step < most)
            with torch.set_grad_enabled(step < most):
                values = self._averaged(past[open_lanes], here, noises)
                shortfall = _shortfall(values, target)
            there = shortfall.detach() < 0.0
            works[open_lanes[there]] = True
            if step == most or bool(there.all()):
                break
            goal = shortfall.sum() if self.search.steps == "linearised" else _entropy(values, target)
            (slope,) = torch.autograd.grad(goal, here)
            length = self._length(shortfall.detach(), slope)
            direction = slope / slope.flatten(1).norm(dim=1).clamp(min=1e-12).reshape(length.shape)
            open_lanes, moved = open_lanes[~there], (change[open_lanes] - length * direction)[~there]
            change[open_lanes] = projected(moved, radius[open_lanes])
            if self.search.steps == "fixed":  # the paper's number of steps depends on what the lane has left
                open_lanes = open_lanes[step + 1 <= 2.0 * radius[open_lanes] / self.search.size]
            if not len(open_lanes):
                break
        return (self._smaller(past, plain, change, target, works, noises), works)

    def _length(self, shortfall: Tensor, slope: Tensor) -> Tensor:
        shape = (-1, *[1] * (slope.dim() - 1))
        if self.search.steps == "fixed":
            return torch.full((len(slope),), self.search.size).reshape(shape)
        steep = slope.flatten(1).norm(dim=1).clamp(min=1e-12)
        return (OVERSHOOT * shortfall.clamp(min=0.0) / steep + 1e-5).reshape(shape)

    @torch.no_grad()
    def _smaller(
        self, past: Tensor, plain: Tensor, change: Tensor, target: int, works: Tensor, noises: Tensor
    ) -> Tensor:
        """Changes that work, cut by bisection as long as they do."""
        lanes = torch.nonzero(works)[:, 0]
        if self.search.steps == "fixed" or not len(lanes):
            return change
        least, most = torch.zeros(len(lanes)), torch.ones(len(lanes))
        shape = (-1, *[1] * (plain.dim() - 1))
        for _ in range(HALVINGS):
            middle = (least + most) / 2.0
            moved = plain[lanes] + middle.reshape(shape) * change[lanes]
            there = _shortfall(self._averaged(past[lanes], moved, noises), target) < 0.0
            least, most = torch.where(there, least, middle), torch.where(there, middle, most)
        change = change.clone()
        change[lanes] *= most.reshape(shape)
        return change

    def _averaged(self, past: Tensor, present: Tensor, noises: Tensor) -> Tensor:
        """Values `[lane, actions]` of `past` with `present` behind it, averaged over noise on the present."""
        points = len(noises)
        noisy = present[:, None] + noises  # [lane, points, ...]
        before = past[:, None].expand(len(past), points, *past.shape[1:])
        stacks = torch.cat([before, noisy[:, :, None]], 2).flatten(0, 1)
        return self._values(presented(stacks, self._policy)).reshape(len(past), points, -1).mean(1)


class CriticAdversary:
    """Against agents of real actions: it pushes the action to where a critic says it is worth `gap` less.

    Args:
        policy: Must have a torch module behind it.
        critic: What judges (stack without changes, action).
        search: Its `gap` and `points`; steps are a tenth of the remaining budget long, at most twenty.
        sigma: Of the agent's noise; 0 against an undefended agent.
        generator: Of the noises over which the worth is averaged.
    """

    def __init__(
        self, policy: AnyPolicy, critic: Critic, *, sigma: Sigma, search: Search, generator: torch.Generator
    ) -> None:
        if policy.network is None:
            cause = "the attack follows gradients"
            raise InputError.of("policy", policy.about, expected="a torch module", cause=cause)
        self._policy, self._network, self._critic, self.search = policy, policy.network, critic, search
        self._sigma, self._generator = torch.as_tensor(sigma, dtype=torch.float32), generator

    @torch.enable_grad()
    def __call__(self, seen: Seen) -> Tensor:
        """The change of each lane's observation; zero where the gap cannot be reached."""
        change, works = torch.zeros_like(seen.observation), torch.zeros_like(seen.going)
        lanes = torch.nonzero(seen.going & (seen.left > LEAST))[:, 0]
        if not len(lanes):
            return change
        noises = _noises(self._sigma, self.search.points, seen.observation.shape[1:], self._generator)
        with torch.no_grad():
            usual = self._worth(seen, lanes, None, noises)
        for step in range(2 * STEPS_OF_A_RADIUS + 1):
            here = change[lanes].requires_grad_(True)
            worth = self._worth(seen, lanes, here, noises)
            there = worth.detach() < usual - self.search.gap
            works[lanes[there]] = True
            if step == 2 * STEPS_OF_A_RADIUS or bool(there.all()):
                break
            (slope,) = torch.autograd.grad(worth.sum(), here)
            lanes, usual, slope = lanes[~there], usual[~there], slope[~there]
            shape, radius = (-1, *[1] * (slope.dim() - 1)), seen.left[lanes]
            norm = slope.flatten(1).norm(dim=1).clamp(min=1e-12)
            length = (radius / STEPS_OF_A_RADIUS / norm).reshape(shape)
            change[lanes] = projected(change[lanes] - length * slope, radius)
        return torch.where(works.reshape(-1, *[1] * (change.dim() - 1)), change, 0.0)

    def _worth(self, seen: Seen, lanes: Tensor, change: Tensor | None, noises: Tensor) -> Tensor:
        """What the action is worth where the agent really stands, `[lane]`, averaged over its noise.

        Without a change, the action is the one of an agent that never saw any.
        """
        stack = seen.clean[lanes]
        if change is not None:
            stack = pushed(seen.noisy[lanes], seen.observation[lanes] + change)
        points = len(noises)
        newest = stack[:, None, -1:] + noises[None, :, None]
        before = stack[:, None, :-1].expand(-1, points, *stack[:, :-1].shape[1:])
        action = self._network(presented(torch.cat([before, newest], 2).flatten(0, 1), self._policy))
        truth = seen.clean[lanes][:, None].expand(-1, points, *stack.shape[1:]).flatten(0, 1)
        return self._critic(presented(truth, self._policy), action).reshape(len(lanes), points).mean(1)


@dataclass(frozen=True)
class Attacked:
    """What the attack left of the return.

    Attributes:
        budget: B.
        gaps: The gaps that were tried.
        returns: `[gap, episode]`.
        spent: `[gap, episode]` l2 norms, none above B.
    """

    budget: float
    gaps: tuple[float, ...]
    returns: np.ndarray
    spent: np.ndarray

    @property
    def mean(self) -> float:
        """The least mean return over the gaps: the adversary knows which suits it best."""
        return float(self.returns.mean(1).min())

    @property
    def worst(self) -> np.ndarray:
        """`[episode]`: the returns under that gap."""
        return self.returns[int(self.returns.mean(1).argmin())]

    @property
    def gap(self) -> float:
        """That gap."""
        return self.gaps[int(self.returns.mean(1).argmin())]


def attack(
    policy: PolicySource,
    env: Environment,
    *,
    sigma: Sigma,
    budget: float,
    gaps: Sequence[float] = (0.0,),
    episodes: int = 1000,
    search: Search | None = None,
    seed: int = 0,
    frames: int | None = None,
    critic: Critic | None = None,
) -> Attacked:
    """The mean return under the gradient attack; the same episodes and noise for every gap.

    Args:
        policy: Whatever `blocks.policy_door` lets in, as long as it can be differentiated.
        env: Where it acts.
        sigma: Of its noise; 0: an undefended agent.
        budget: B, in the observation's units.
        gaps: Least losses of value for which the adversary pays.
        episodes: For each gap.
        search: How to search; its own gap is not used here.
        seed: Of episodes and noise.
        frames: Observations seen together; None: as the policy's input says.
        critic: For agents of real actions, what an action is worth.
    """
    if not gaps:
        raise InputError.of("gaps", "none", expected="at least one")
    if np.ndim(sigma) > 0:
        cause = "the ball in which it searches is round"
        raise InputError.of("sigma", sigma, expected="one number for an attack", cause=cause)
    let_in, plan = as_policy(policy), search or Search()
    found: list[Episodes] = []
    for gap in gaps:
        one = replace(plan, gap=gap)
        stream = make_generator(seed, "policy-smoothing", "adversary")
        adversary = (
            ValueAdversary(let_in, sigma, search=one, generator=stream)
            if critic is None
            else CriticAdversary(let_in, critic, sigma=sigma, search=one, generator=stream)
        )
        found.append(
            collect_returns(
                let_in, env, sigma=sigma, episodes=episodes, seed=derive(seed, "policy-smoothing", "attack"),
                frames=frames, adversary=adversary, budget=budget,
            )
        )  # fmt: skip
    returns, spent = (np.stack([getattr(each, name) for each in found]) for name in ("returns", "spent"))
    return Attacked(float(budget), tuple(gaps), returns, spent)


def gaps_at(
    policy: PolicySource,
    env: Environment,
    *,
    sigma: Sigma,
    shares: Sequence[float],
    seed: int = 0,
    episodes: int = 64,
    frames: int | None = None,
) -> tuple[float, ...]:
    """Gaps for `attack` on any scale of values: quantiles of (best - least value) over noisy clean episodes."""
    let_in, world = as_policy(policy), world_of(env)
    values = let_in.values
    if values is None:
        raise InputError.of("policy", let_in.about, expected="differentiable action values")
    kept: list[Tensor] = []

    def watch(seen: Seen) -> Tensor:
        found = values(presented(seen.clean, let_in))
        kept.append((found.amax(1) - found.amin(1))[seen.going])
        return torch.zeros_like(seen.observation)

    with world.opened(min(world.most, episodes)) as task:
        agent = smoothed(let_in, task, world, sigma=sigma, frames=frames, seed=derive(seed, "gaps"))
        play(agent, task, seed=derive(seed, "policy-smoothing", "gaps") >> 32, adversary=watch)
    spread = torch.cat(kept).double().numpy()
    return tuple(float(np.quantile(spread, share)) if share > 0.0 else 0.0 for share in shares)


def projected(change: Tensor, radius: Tensor) -> Tensor:
    """Changes `[lane, ...]` cut to l2 norms `[lane]`."""
    norm = change.flatten(1).norm(dim=1)
    factor = (radius / norm.clamp(min=1e-12)).clamp(max=1.0)
    return change * factor.reshape(-1, *[1] * (change.dim() - 1))


def _noises(sigma: Tensor, points: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """`[points, ...]`: half of the draws and their mirror images, whose mean is exactly no noise."""
    if not points or not bool((sigma > 0.0).any()):
        return torch.zeros(1, *shape)
    half = torch.randn((points + 1) // 2, *shape, generator=generator)
    return sigma * torch.cat([half, -half])


def _shortfall(values: Tensor, target: int) -> Tensor:
    """How far the target's value is below the largest other, `[lane]`; negative once it is the largest."""
    others = torch.cat([values[:, :target], values[:, target + 1 :]], 1)
    return others.amax(1) - values[:, target]


def _entropy(values: Tensor, target: int) -> Tensor:
    wanted = torch.full((len(values),), target)
    return functional.cross_entropy(values, wanted, reduction="sum")


def _fixed_steps(radius: Tensor, size: float) -> int:
    return int(2.0 * float(radius.max()) / size)
