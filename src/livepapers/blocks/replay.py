"""Remembered steps: a ring buffer of tensors, and acting in a task while remembering."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from livepapers.blocks.distributions import into
from livepapers.blocks.rollouts import EpisodeReturns
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.learner import State
from livepapers.core.rng import derive
from livepapers.tasks.vector import BatchedTask, load_task_state, task_state


class Replay:
    """A ring buffer: the newest `capacity` rows of each named column.

    Columns, their shapes and dtypes are those of the first `add`.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise InputError.of("capacity", capacity, expected="a whole number >= 1")
        self.capacity = capacity
        self._columns: dict[str, Tensor] = {}
        self._next, self._size = 0, 0

    def __len__(self) -> int:
        return self._size

    def add(self, **rows: Tensor) -> None:
        """Append B rows, `[B, ...]` each; the oldest make room."""
        if not self._columns:
            self._columns = {
                name: torch.zeros(self.capacity, *column.shape[1:], dtype=column.dtype) for name, column in rows.items()
            }
        if rows.keys() != self._columns.keys():
            raise InputError.of("columns", sorted(rows), expected=f"{sorted(self._columns)}")
        for name, column in rows.items():
            if column.shape[1:] != self._columns[name].shape[1:]:
                expected = f"rows {list(self._columns[name].shape[1:])}, as the first ones"
                raise InputError.of(name, f"rows {list(column.shape[1:])}", expected=expected)
        count = len(next(iter(rows.values())))
        kept = min(count, self.capacity)
        places = (self._next + torch.arange(count - kept, count)) % self.capacity
        for name, column in rows.items():
            self._columns[name][places] = column[count - kept :]
        self._next = (self._next + count) % self.capacity
        self._size = min(self._size + count, self.capacity)

    def sample(self, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
        """`batch` rows drawn uniformly with replacement; raises `InputError` from an empty buffer."""
        if not self._size:
            raise InputError.of("replay", "no rows", expected="at least one added before the first sample")
        rows = torch.randint(self._size, (batch,), generator=generator)
        return {name: column[rows] for name, column in self._columns.items()}

    def state_dict(self) -> dict[str, Any]:
        """The rows in use and where the next one goes."""
        columns = {name: column[: self._size].clone() for name, column in self._columns.items()}
        return {"capacity": self.capacity, "next": self._next, "columns": columns}

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        self.check(state)
        columns = state["columns"]
        self._size = len(next(iter(columns.values()))) if columns else 0
        self._next = int(state["next"])
        self._columns = {}
        for name, kept in columns.items():
            self._columns[name] = torch.zeros(self.capacity, *kept.shape[1:], dtype=kept.dtype)
            self._columns[name][: self._size] = kept

    def check(self, state: State) -> None:
        """Raise `CorruptFileError` unless `load_state_dict` would take this state."""
        require_keys(state, {"capacity": 0, "next": 0, "columns": {}}, what="replay")
        sizes = {len(column) for column in state["columns"].values()}
        full = sizes == {self.capacity}
        fits = len(sizes) <= 1 and (full or int(state["next"]) == next(iter(sizes), 0))
        if int(state["capacity"]) != self.capacity or not fits or not 0 <= int(state["next"]) < self.capacity + 1:
            raise CorruptFileError(f"replay: {sizes} rows of {state['capacity']}, expected up to {self.capacity}")


class Experience:
    """Acting in a task, each step remembered as observation, action, reward, terminated, following (, masks).

    Where a task states masks but not that of the state which a truncated step led to, such steps are not remembered.

    Args:
        task: Where.
        capacity: Steps remembered.
        seed: Of the task's episodes.
    """

    def __init__(self, task: BatchedTask, *, capacity: int, seed: int) -> None:
        self.task, self.replay, self.steps = task, Replay(capacity), 0
        self.returns = EpisodeReturns(task.lanes)
        self.observation = task.reset(derive(seed, "experience") >> 32)
        self._seed, self._inside, self._restored = seed, into(task.action_space), True

    def step(self, act: Callable[[Tensor, Tensor | None], Tensor]) -> float:
        """Act once in all lanes; the mean reward."""
        mask = self.task.mask()
        action = self._inside(act(self.observation, mask))
        step = self.task.step(action)
        rows = {
            "observation": self.observation, "action": action, "reward": step.reward.to(torch.float32),
            "terminated": step.terminated, "following": step.final,
        }  # fmt: skip
        next_mask = self.task.mask()
        if next_mask is not None:
            rows["mask"] = next_mask
            if step.final_mask is not None:
                rows["mask"] = torch.where(step.truncated[:, None], step.final_mask, next_mask)
            elif bool(step.truncated.any()):
                rows = {name: column[~step.truncated] for name, column in rows.items()}
        self.replay.add(**rows)
        self.returns.add(step.reward, step.terminated | step.truncated)
        self.observation = step.observation
        self.steps += self.task.lanes
        return float(step.reward.mean())

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, and where the lanes stand if the task can say it."""
        return {
            "replay": self.replay.state_dict(),
            "task": task_state(self.task),
            "observation": self.observation.clone(),
            "returns": self.returns.state_dict(),
            "steps": self.steps,
        }

    def check(self, state: State) -> None:
        """Raise `CorruptFileError` unless `load_state_dict` would take this state (the task's own part aside)."""
        require_keys(state, self.state_dict(), what="experience")
        self.replay.check(state["replay"])
        self.returns.check(state["returns"])

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit.

        `go_on` follows, once whatever is loaded beside it has been accepted.
        """
        self.check(state)
        self._restored = load_task_state(self.task, state["task"])
        self.replay.load_state_dict(state["replay"])
        self.returns.load_state_dict(state["returns"])
        self.steps, self.observation = int(state["steps"]), state["observation"].clone()

    def go_on(self) -> None:
        """Begin new episodes, seeded by how far the learner is, in a task that cannot be put where it stood."""
        if not self._restored:
            self._restored = True
            self.observation = self.task.reset(derive(self._seed, "experience", self.steps) >> 32)
            self.returns.restart()
