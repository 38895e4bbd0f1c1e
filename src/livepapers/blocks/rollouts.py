"""Collecting steps of a batched task."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from livepapers.blocks.distributions import into
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError
from livepapers.core.learner import State
from livepapers.tasks.vector import BatchedTask

Act = Callable[[Tensor, Tensor | None, torch.Generator], tuple[Tensor, ...]]
"""(observation `[N, ...]`, mask or None, generator) -> (action `[N, ...]`, log-probability `[N, C]`, whatever else is
to be kept, each `[N, ...]`)."""


class Rollout(NamedTuple):
    """T steps of N lanes, `[T, N, ...]` each."""

    observation: Tensor  # acted in
    action: Tensor  # as drawn, not clipped to a Box
    log_prob: Tensor  # [T, N, C] of the action under the policy that drew it
    reward: Tensor  # [T, N]
    terminated: Tensor  # [T, N] bool
    truncated: Tensor  # [T, N] bool
    final: Tensor  # what the step led to, before any restart; elsewhere the next observation
    mask: Tensor | None  # [T, N, A] bool
    extra: tuple[Tensor, ...] = ()  # what `act` returned beside action and log-probability

    @property
    def ended(self) -> Tensor:
        """`[T, N]` bool: the episode ended with this step."""
        return self.terminated | self.truncated


@torch.no_grad()
def collect(
    task: BatchedTask, act: Act, *, steps: int, generator: torch.Generator, observation: Tensor
) -> tuple[Rollout, Tensor]:
    """Act for `steps` steps in all lanes.

    Args:
        task: Where; Box actions are clipped to its space on the way in.
        act: The policy.
        steps: T >= 1.
        generator: Handed to `act`.
        observation: `[N, ...]` to start from: of `task.reset`, or what the last call returned.

    Returns:
        The rollout, and the observation to go on from.
    """
    kept: list[tuple[Tensor, ...]] = []
    masks: list[Tensor] = []
    inside = into(task.action_space)
    for _ in range(steps):
        mask = task.mask()
        action, log_prob, *extra = act(observation, mask, generator)
        step = task.step(inside(action))
        kept.append((observation, action, log_prob, step.reward, step.terminated, step.truncated, step.final, *extra))
        if mask is not None:
            masks.append(mask)
        observation = step.observation
    seen, actions, log_probs, rewards, terminated, truncated, final, *extra = (
        torch.stack(column) for column in zip(*kept, strict=True)
    )
    allowed = torch.stack(masks) if masks else None
    rollout = Rollout(seen, actions, log_probs, rewards, terminated, truncated, final, allowed, tuple(extra))
    return rollout, observation


class EpisodeReturns:
    """Undiscounted returns of the episodes that end in some lanes.

    Args:
        lanes: N.
    """

    def __init__(self, lanes: int) -> None:
        self._under_way = torch.zeros(lanes, dtype=torch.float64)
        self._latest, self._total, self._count = 0.0, 0.0, 0

    def add(self, reward: Tensor, ended: Tensor) -> None:
        """One step of all lanes, `[N]` each."""
        self._under_way += reward
        if bool(ended.any()):
            self._count += int(ended.sum())
            self._total += float(self._under_way[ended].sum())
            self._under_way[ended] = 0.0

    def report(self) -> dict[str, float]:
        """Episodes that ended since the last report, and their mean return: of the latest if none did, 0 before any."""
        count, total, self._count, self._total = self._count, self._total, 0, 0.0
        self._latest = total / count if count else self._latest
        return {"episodes": float(count), "episode_return": self._latest}

    def restart(self) -> None:
        """The episodes under way were given up."""
        self._under_way = torch.zeros_like(self._under_way)

    def state_dict(self) -> dict[str, Any]:
        """Returns so far, sums in full precision as JSON; made right after a report."""
        return {"under_way": self._under_way.tolist(), "latest": self._latest}

    def check(self, state: State) -> None:
        """Raise `CorruptFileError` unless `load_state_dict` would take this state."""
        require_keys(state, self.state_dict(), what="episode returns")
        if len(state["under_way"]) != len(self._under_way):
            raise CorruptFileError(f"episode returns: {len(state['under_way'])} lanes, expected {len(self._under_way)}")

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        self.check(state)
        self._under_way = torch.tensor(state["under_way"], dtype=torch.float64)
        self._latest = float(state["latest"])
