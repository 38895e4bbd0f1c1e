"""The states a policy visits, plain or under a change of what it observes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from livepapers.blocks.distributions import into
from livepapers.blocks.policy_door import AnyPolicy
from livepapers.core.errors import InputError
from livepapers.methods.drl_diagnosis import attacks, changes
from livepapers.methods.drl_diagnosis.attacks import Limits
from livepapers.methods.drl_diagnosis.direction import Values
from livepapers.tasks import worlds
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import BatchedTask, SimulatorTask

Environment: TypeAlias = "str | Mapping[str, Any] | Simulator[Any, Any, Any]"
"""A world of livepapers or a Gymnasium id, a described world (name, arguments), or a simulator."""
Change = Callable[[Tensor], Tensor]
"""Observations `[lane, ...]` -> what the policy sees instead."""
Mode = Literal["act", "relabel"]
ATTACKS = ("carlini-wagner", "elastic-net", "nesterov", "deepfool")
MOST_LANES = 64
LONGEST = 100_000  # steps of an episode, after which it counts as endless


@dataclass(frozen=True)
class Visited:
    """States of some episodes, episode by episode, in the order of time.

    Attributes:
        states: What the policy saw, `[state, ...]` float32.
        episode: `[state]` int64.
        returns: `[episode]` float64, of the steps that were looked at.
        sizes: l2 norm of the change, `[state]`; zeros without one.
    """

    states: Tensor
    episode: Tensor
    returns: np.ndarray
    sizes: Tensor

    @property
    def size(self) -> float:
        """Mean l2 norm of the change."""
        return float(self.sizes.mean())

    def parts(self, episodes: int) -> list["Visited"]:
        """Sets of so many episodes each, counted from 0 in each."""
        made = []
        for first in range(0, len(self.returns), episodes):
            rows = (self.episode >= first) & (self.episode < first + episodes)
            returns = self.returns[first : first + episodes]
            made.append(Visited(self.states[rows], self.episode[rows] - first, returns, self.sizes[rows]))
        return made


def task_of(env: Environment, lanes: int) -> BatchedTask:
    """An environment as a batched task; raises `InputError` for one that does not exist."""
    if isinstance(env, str):
        registered = env in worlds.WORLDS
        return worlds.make(
            env if registered else worlds.GYMNASIUM + env.removeprefix(worlds.GYMNASIUM), {}, lanes=lanes
        )
    if isinstance(env, Mapping):
        arguments = env.get("arguments")
        return worlds.make(str(env.get("name")), arguments if isinstance(arguments, dict) else {}, lanes=lanes)
    return SimulatorTask(env, lanes)


@torch.no_grad()
def collect(
    policy: AnyPolicy | None,
    env: Environment,
    *,
    episodes: int,
    seed: int,
    change: Change | None = None,
    mode: Mode = "act",
    horizon: int = 0,
) -> Visited:
    """First episodes of as many lanes, and what was seen in them.

    Args:
        policy: Acts as it is, without exploration; None acts uniformly at random.
        env: Where.
        episodes: How many.
        seed: Of the environment.
        change: Of what is observed; None: nothing is changed.
        mode: act: the policy acts on what was changed, so it visits other states too. relabel: it acts on what is
            there, and the states it visits are changed afterwards.
        horizon: Steps that are looked at; 0: whole episodes.

    Raises:
        InputError: The policy does not fit the environment, or an episode does not end.
    """
    if episodes < 1:
        raise InputError.of("episodes", episodes, expected="a whole number >= 1")
    parts: list[Visited] = []
    done, stream = 0, torch.Generator().manual_seed(seed)
    while done < episodes:
        task = task_of(env, min(MOST_LANES, episodes - done))
        fits(policy, task)
        parts.append(_round(policy, task, (seed + done) % 2**31, change, mode, horizon or LONGEST, stream))
        done += task.lanes
    offsets = np.cumsum([0, *(len(part.returns) for part in parts)])
    return Visited(
        torch.cat([part.states for part in parts]),
        torch.cat([part.episode + int(first) for part, first in zip(parts, offsets, strict=False)]),
        np.concatenate([part.returns for part in parts]),
        torch.cat([part.sizes for part in parts]),
    )


def limits_of(space: Any, states: Tensor, size: float) -> Limits:
    """The range of observations: the space's, or where it has none, that of visited states."""
    if isinstance(space, Box) and space.is_bounded("both") and float(space.high.max()) < 1e6:
        return Limits(size, float(space.low.min()), float(space.high.max()))
    return Limits(size, float(states.min()), float(states.max()))


def change_called(name: str, values: Values, limits: Limits, shape: tuple[int, ...]) -> Change:
    """A change by name: an attack on these values, or a natural change of pictures.

    Raises:
        InputError: No such change, or a natural one of what is no picture.
    """
    if name in ATTACKS:
        return lambda seen: _attacked(name, values, seen, limits)
    if name not in changes.NATURAL:
        raise InputError.of("changes", name, expected=f"one of {', '.join((*ATTACKS, *changes.NATURAL))}")
    if len(shape) not in (2, 3):
        cause = "rotations and the like need rows and columns"
        raise InputError.of("changes", f"{name} of observations {shape}", expected="pictures", cause=cause)
    last = len(shape) == 3 and shape[-1] < shape[0]  # planes are fewer than rows

    def changed(seen: Tensor) -> Tensor:
        pictures = seen.movedim(-1, 1) if last else seen if len(shape) == 3 else seen[:, None]
        found = changes.natural(name, pictures, low=limits.low, high=limits.high)
        return (found.movedim(1, -1) if last else found).reshape(seen.shape)

    return changed


def picture_of(direction: Tensor) -> Tensor:
    """A direction with planes first, where it has planes that come last."""
    last = direction.dim() == 3 and direction.shape[-1] < direction.shape[0]
    return direction.movedim(-1, 0) if last else direction


def _attacked(name: str, values: Values, seen: Tensor, limits: Limits) -> Tensor:
    if name == "nesterov":
        return attacks.nesterov(values, seen, limits=limits)
    if name == "deepfool":
        return attacks.deepfool(values, seen, limits=limits)
    return attacks.carlini_wagner(values, seen, limits=limits, sparse=0.05 if name == "elastic-net" else 0.0)


def fits(policy: AnyPolicy | None, task: BatchedTask) -> None:
    """Raise `InputError` where a policy cannot be diagnosed in a task."""
    if not isinstance(task.action_space, Discrete):
        raise InputError.of("env", str(task.action_space), expected="discrete actions")
    shape = task.observation_space.shape
    if policy is not None and policy.shape is not None and policy.shape != shape:
        cause = "was it made for another world?"
        raise InputError.of("policy", f"observations of shape {policy.shape}", expected=f"{shape}", cause=cause)


def _round(
    policy: AnyPolicy | None, task: BatchedTask, seed: int, change: Change | None, mode: Mode, horizon: int,
    stream: torch.Generator,
) -> Visited:  # fmt: skip
    """One episode of each lane."""
    inside, going = into(task.action_space), torch.ones(task.lanes, dtype=torch.bool)
    returns, sizes = torch.zeros(task.lanes, dtype=torch.float64), []
    seen: list[Tensor] = []
    lanes: list[Tensor] = []
    observation = task.reset(seed).to(torch.float32)
    if policy is not None and policy.restart is not None:
        policy.restart(going)
    for _ in range(horizon):
        plain, live = observation, torch.nonzero(going)[:, 0]
        shown = plain
        if change is not None:
            shown = plain.clone()
            shown[live] = change(plain[live])
        sizes.append((shown - plain)[live].flatten(1).norm(dim=1))
        seen.append(shown[live])
        lanes.append(live)
        result = task.step(inside(_action(policy, task, shown if mode == "act" else plain, stream)))
        returns += torch.where(going, result.reward.double(), 0.0)
        going = going & ~(result.terminated | result.truncated)
        if not bool(going.any()):
            break
        observation = result.observation.to(torch.float32)
    else:
        if horizon == LONGEST:
            raise InputError.of("env", f"an episode of over {LONGEST:,} steps", expected="episodes that end")
    episode = torch.cat(lanes)
    order = episode.argsort(stable=True)
    return Visited(torch.cat(seen)[order], episode[order], returns.numpy(), torch.cat(sizes)[order])


def _action(policy: AnyPolicy | None, task: BatchedTask, seen: Tensor, stream: torch.Generator) -> Tensor:
    mask = task.mask()
    if policy is not None:
        return policy.act(seen, mask)
    assert isinstance(task.action_space, Discrete)  # checked before
    chances = torch.ones(task.lanes, int(task.action_space.n)) if mask is None else mask.float()
    return torch.multinomial(chances, 1, generator=stream)[:, 0] + int(task.action_space.start)
