"""Steps of the real world: taking them, keeping them, and no others."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from gymnasium.spaces import Box
from torch import Tensor

from livepapers.blocks.distributions import bounds, into
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.learner import State
from livepapers.tasks.vector import BatchedTask

Act = Callable[[Tensor], Tensor]
"""Observations `[B, n]` -> actions `[B, m]`."""


class Transitions(NamedTuple):
    """N real steps."""

    observation: Tensor  # [N, n]
    action: Tensor  # [N, m], as the world saw it
    following: Tensor  # [N, n], before any restart
    reward: Tensor  # [N]


class Interaction(NamedTuple):
    """What some steps in the real world gave."""

    steps: Transitions
    returns: float  # mean return of the episodes that ended; of the parts so far, if none did
    terminated: int  # episodes that the world itself ended


@torch.no_grad()
def interact(task: BatchedTask, act: Act, *, steps: int, seed: int, first: bool = False) -> Interaction:
    """Act for `steps` steps in all, from fresh starts.

    Args:
        task: The real world; its lanes act side by side.
        act: The policy; actions are clipped to the world's.
        steps: A multiple of the number of lanes.
        seed: Of the starts.
        first: Stop as soon as an episode has ended.
    """
    observation, inside = task.reset(seed), into(task.action_space)
    kept: list[Transitions] = []
    under_way = torch.zeros(task.lanes, dtype=torch.float64)
    finished: list[float] = []
    terminated = 0
    for _ in range(steps // task.lanes):
        action = inside(act(observation))
        step = task.step(action)
        kept.append(Transitions(observation, action, step.final, step.reward))
        under_way += step.reward
        ended = step.terminated | step.truncated
        if bool(ended.any()):
            finished += under_way[ended].tolist()
            under_way[ended] = 0.0
            terminated += int(step.terminated.sum())
        observation = step.observation
        if first and finished:
            break
    whole = finished or under_way.tolist()
    together = Transitions(*(torch.cat(column) for column in zip(*kept, strict=True)))
    if not all(bool(part.isfinite().all()) for part in together):
        raise InputError.of("real world", "a state or reward that is not finite", expected="finite numbers")
    return Interaction(together, sum(whole) / len(whole), terminated)


def random_actions(space: Box, generator: torch.Generator) -> Act:
    """A policy that draws uniformly from a bounded box."""
    low, high = bounds(space)

    def act(observation: Tensor) -> Tensor:
        return low + (high - low) * torch.rand(len(observation), *low.shape, generator=generator)

    return act


class Memory:
    """Collections of equally many steps side by side; when full, the oldest collection makes room as a whole.

    Args:
        collections: How many are kept; 0 keeps nothing.
        steps: In each.
        observation: n.
        action: m.
    """

    def __init__(self, collections: int, steps: int, *, observation: int, action: int) -> None:
        shape = (collections, steps)
        self._kept = Transitions(
            torch.zeros(*shape, observation), torch.zeros(*shape, action), torch.zeros(*shape, observation),
            torch.zeros(shape),
        )  # fmt: skip
        self._added = 0

    def __len__(self) -> int:
        """Collections that are kept."""
        return min(self._added, len(self._kept.reward))

    def add(self, steps: Transitions) -> None:
        """Keep one more collection."""
        if not len(self._kept.reward):
            return
        place = self._added % len(self._kept.reward)
        for kept, new in zip(self._kept, steps, strict=True):
            kept[place] = new.to(kept.dtype)
        self._added += 1

    def all(self) -> Transitions:
        """Every kept step."""
        return Transitions(*(part[: len(self)].flatten(0, 1) for part in self._kept))

    def state_dict(self) -> dict[str, Any]:
        """What is kept."""
        return {**{name: part.clone() for name, part in self._kept._asdict().items()}, "added": self._added}

    def check(self, state: State, *, what: str) -> None:
        """Raise `CorruptFileError` unless `load_state_dict` would take this state."""
        require_keys(state, self.state_dict(), what=what)
        if int(state["added"]) < 0:
            raise CorruptFileError(f"{what}: {state['added']} collections")

    def load_state_dict(self, state: State) -> None:
        """Take over a state that `check` lets pass."""
        self._kept = Transitions(*(state[name].clone() for name in Transitions._fields))
        self._added = int(state["added"])
