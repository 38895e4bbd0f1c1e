"""Whole episodes of many policies side by side: fitness, descriptor, and the steps to remember."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor

from livepapers.core.application import rounded
from livepapers.core.errors import InputError
from livepapers.core.loop import tell
from livepapers.core.user_code import numbers
from livepapers.tasks import worlds
from livepapers.tasks.descriptors import Descriptor
from livepapers.tasks.finite import require_finite
from livepapers.tasks.vector import BatchedTask, GymnasiumTask, SimulatorTask

Act = Callable[[Tensor], Tensor]
"""Flat observations `[P, F]`, one a policy -> actions `[P, ...]`."""
LONGEST, TOLD_EVERY = 100_000, 2_000
"""Steps of an episode at most, and after how many a listener hears that there are episodes that do not end yet."""
ENVIRONMENTS, SIMULATED = 64, 4096
"""Most episodes side by side: copies of an environment, lanes of a simulator."""


@dataclass(frozen=True)
class World:
    """Where policies are evaluated, and what describes them there.

    Attributes:
        name: As artifacts have it.
        arguments: Of the world.
        descriptor: Of an episode.
    """

    name: str
    descriptor: Descriptor
    arguments: dict[str, Any]

    @classmethod
    def of(cls, name: str, descriptor: Descriptor | None = None, **arguments: Any) -> "World":
        """A world by livepapers' name or Gymnasium id; the descriptor may be left to a world that declares one.

        Raises:
            InputError: There is no such world, or nothing describes its episodes.
        """
        full, asked = worlds.named(name)
        arguments = {**asked, **arguments}
        if descriptor is None:
            made = worlds.make(full, arguments)  # also so that an unknown world is told of, and not its descriptor
            descriptor = getattr(made.simulator, "descriptor", None) if isinstance(made, SimulatorTask) else None
        if descriptor is None:
            cause = "this world does not say what describes behaviour"
            raise InputError.of("descriptor", "nothing", expected="columns, info keys or a function", cause=cause)
        return cls(full, descriptor, dict(arguments))

    def task(self, lanes: int) -> BatchedTask:
        """So many lanes of it."""
        return worlds.make(self.name, self.arguments, lanes=lanes)

    @property
    def most(self) -> int:
        """Episodes that run side by side."""
        return SIMULATED if self.name in worlds.WORLDS else ENVIRONMENTS


class Episodes(NamedTuple):
    """One episode each of P policies."""

    fitness: Tensor  # [P] undiscounted, offsets included
    descriptor: Tensor  # [P, D] normalised: -1 to 1 inside the box
    steps: dict[str, Tensor]  # columns of M steps: observation, action, reward, terminated, truncated, following
    owner: Tensor  # [M] int64: whose step it is
    outside: int  # policies whose descriptor left the box; it was put at the edge


class Player:
    """Plays episodes in one world; tasks are kept for batches of the same size.

    Of an environment there are as many copies as the largest batch so far has episodes: smaller ones use some of them.

    Args:
        world: Where.
        offset: Added to each reward.
    """

    def __init__(self, world: World, offset: float) -> None:
        self.world, self.offset = world, offset
        self._tasks: dict[int, BatchedTask] = {}
        one = self._task(1)
        self.observation_space, self.action_space = one.observation_space, one.action_space
        self._check_descriptor(one)

    def _task(self, lanes: int) -> BatchedTask:
        if lanes not in self._tasks:
            largest = self._tasks[max(self._tasks)] if self._tasks else None
            shared = _some_of(largest, lanes)
            if isinstance(largest, GymnasiumTask) and largest.lanes < lanes:
                self._tasks.clear()  # copies are expensive: the many that come now serve the few, too
            self._tasks[lanes] = shared or self.world.task(lanes)
        return self._tasks[lanes]

    def _check_descriptor(self, task: BatchedTask) -> None:
        descriptor, width = self.world.descriptor, int(np.prod(task.observation_space.shape or ()))
        wrong = [column for column in descriptor.columns if not 0 <= column < width]
        if wrong:
            raise InputError.of(
                "descriptor", f"column {wrong[0]}", expected=f"columns of observations, 0 to {width - 1}"
            )
        if descriptor.keys and not isinstance(task, GymnasiumTask):
            expected = "columns or a function"
            raise InputError.of("descriptor", descriptor.keys, expected=expected, cause="only Gymnasium gives info")

    def in_parts(self, policies: Callable[[slice], Act], count: int, *, seed: int) -> Episodes:
        """As a call, but never with more than `World.most` copies of an environment; a simulator is one batch.

        Args:
            policies: What acts for some of the policies: rows from 0 to `count`.
            count: How many there are.
            seed: Of the batch; its parts get the worlds that they have in the whole.

        Raises:
            InputError: See `__call__`.
        """
        most = count if isinstance(next(iter(self._tasks.values())), SimulatorTask) else self.world.most
        parts = [slice(first, min(first + most, count)) for first in range(0, count, most)]
        if len(parts) == 1:
            return self(policies(parts[0]), count, seed=seed)
        played = [self(policies(part), part.stop - part.start, seed=seed + (part.start << 32)) for part in parts]
        steps = {name: torch.cat([one.steps[name] for one in played]) for name in played[0].steps}
        owner = torch.cat([one.owner + part.start for one, part in zip(played, parts, strict=True)])
        return Episodes(
            torch.cat([one.fitness for one in played]), torch.cat([one.descriptor for one in played]), steps, owner,
            sum(one.outside for one in played),
        )  # fmt: skip

    @torch.no_grad()
    def __call__(self, act: Act, count: int, *, seed: int) -> Episodes:
        """One episode of each of `count` policies, all side by side; equal seeds and counts give equal worlds.

        Raises:
            InputError: A reward is negative, something that the environment gives is not finite, episodes do not end,
                or nothing finite describes one.
        """
        task = self._task(count)
        going = torch.ones(count, dtype=torch.bool)
        seen = require_finite(task.reset(seed >> 32), going, what="observations")
        columns: list[dict[str, Tensor]] = []
        told: list[Tensor] = []
        while bool(going.any()):
            if len(columns) == LONGEST:
                cause = "a Gymnasium environment ends them where its registration has max_episode_steps"
                shown = f"an episode of over {LONGEST:,} steps"
                raise InputError.of("env", shown, expected="episodes that end", cause=cause)
            if len(columns) % TOLD_EVERY == TOLD_EVERY - 1:
                tell("steps of episodes that have not ended", len(columns) + 1, LONGEST)
            flat = seen.flatten(1).to(torch.float32)
            action = act(flat)
            step = task.step(action)
            final = require_finite(step.final, going, what="observations").flatten(1).to(torch.float32)
            reward = require_finite(step.reward, going, what="rewards").to(torch.float32)
            columns.append({
                "observation": flat, "action": action, "reward": reward + self.offset,
                "terminated": step.terminated, "truncated": step.truncated, "following": final, "going": going,
            })  # fmt: skip
            ends = step.terminated | step.truncated
            told.append(self._told(task, final, going & ends if self.world.descriptor.statistic == "last" else going))
            going = going & ~ends
            seen = step.observation
        return self._gathered({name: torch.stack([one[name] for one in columns]) for name in columns[0]}, told)

    def _told(self, task: BatchedTask, final: Tensor, asked: Tensor) -> Tensor:
        """What a step says about the descriptor, `[P, D]`, by keys of `asked` ones; `[P, 0]` where a function will."""
        descriptor = self.world.descriptor
        if descriptor.columns:
            return descriptor.unit * final[:, list(descriptor.columns)]
        if isinstance(task, GymnasiumTask) and descriptor.keys:
            return descriptor.unit * torch.stack([task.told(key, asked) for key in descriptor.keys], 1)
        return torch.empty(len(final), 0)

    def _gathered(self, steps: dict[str, Tensor], told: list[Tensor]) -> Episodes:
        going = steps.pop("going")  # [T, P]
        reward = torch.where(going, steps["reward"], 0.0)
        if not bool((reward >= 0.0).all()):
            raise _too_low(float(reward.min()) - self.offset, self.offset)
        descriptor = self._described(steps, going, torch.stack(told))
        if not bool(torch.isfinite(descriptor).all()):
            row = int((~torch.isfinite(descriptor)).any(1).nonzero()[0, 0])
            cause = f"policy {row} of the batch"
            raise InputError.of("descriptor", descriptor[row].tolist(), expected="finite numbers", cause=cause)
        inside = self.world.descriptor.clipped(descriptor)
        outside = int((inside != descriptor).any(1).sum())
        owner = torch.arange(going.shape[1]).expand_as(going)[going]
        kept = {name: column[going] for name, column in steps.items()}
        return Episodes(reward.sum(0), self.world.descriptor.normalised(inside), kept, owner, outside)

    def _described(self, steps: dict[str, Tensor], going: Tensor, told: Tensor) -> Tensor:
        """`[P, D]` in the descriptor's own units."""
        descriptor, lengths = self.world.descriptor, going.sum(0)
        if descriptor.function is not None:
            return _by_function(descriptor, steps, lengths)
        if descriptor.statistic == "mean":
            return torch.where(going[..., None], told, 0.0).sum(0) / lengths[:, None]
        return told[lengths - 1, torch.arange(len(lengths))]


def _some_of(task: BatchedTask | None, lanes: int) -> GymnasiumTask | None:
    """The first copies of an environment as a task of so many lanes; None where there are not so many copies."""
    if not isinstance(task, GymnasiumTask) or not isinstance(task.env, SyncVectorEnv) or task.lanes < lanes:
        return None
    copies = [lambda one=one: one for one in task.env.envs[:lanes]]
    made = SyncVectorEnv(copies, autoreset_mode=AutoresetMode.SAME_STEP)
    made.closed = True  # they are not its own: only the whole closes them
    return GymnasiumTask(made)


def _too_low(own: float, offset: float) -> InputError:
    """What is said of an environment's own lowest reward, which the offset does not lift to 0."""
    shown = f"{rounded(own):g} of the environment" + (f" and an offset of {offset:g}" if offset else "")
    cause = (
        "a descriptor that is missed must be worse: add an offset to the rewards, "
        f"here one of at least {math.ceil(-own):,}"
    )
    return InputError.of("reward", shown, expected="sums >= 0" if offset else "numbers >= 0", cause=cause)


def _by_function(descriptor: Descriptor, steps: dict[str, Tensor], lengths: Tensor) -> Tensor:
    """What the user's function says of each episode, `[P, D]`; it is given copies, and may work in place."""
    assert descriptor.function is not None
    name, found = getattr(descriptor.function, "__qualname__", "the function"), []
    for lane, length in enumerate(lengths.tolist()):
        first, last = steps["observation"][:length, lane], steps["following"][length - 1 : length, lane]
        seen = torch.cat([first, last]).numpy()
        action, reward = (steps[name][:length, lane].numpy().copy() for name in ("action", "reward"))
        given = descriptor.function(seen, action, reward)
        found.append(numbers(given, descriptor.size, name=name, field="descriptor-from", each="one a descriptor"))
    return torch.from_numpy(np.stack(found)).to(torch.float32)
