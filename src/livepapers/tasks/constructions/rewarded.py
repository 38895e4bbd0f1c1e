"""A construction with another reward: what changes from task to task while states and moves stay."""

from typing import Any

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions.strings import LogReward


class Rewarded:
    """The construction `env` with `log_reward` instead of its own reward; everything else is handed on.

    Energies of partial objects are those that any reward has: where objects end by a stop action, every partial object
    is an object too, and its energy is -log R relative to the root's; otherwise the last move pays -log R.

    Args:
        env: Any construction.
        log_reward: Finished objects `[n, ...]` -> log R `[n]`.
    """

    def __init__(self, env: Construction, log_reward: LogReward) -> None:
        self.env, self._reward = env, log_reward
        self.moves, self.has_stop, self.features = env.moves, env.has_stop, env.features
        self.longest, self.shortest = env.longest, env.shortest
        self._root = float(self._checked(env.root(1))) if env.has_stop else 0.0

    def __getattr__(self, name: str) -> Any:
        if name == "env":  # not there yet: this object is being copied
            raise AttributeError(name)
        return getattr(self.env, name)

    def root(self, batch: int) -> Tensor:
        """See `Construction`."""
        return self.env.root(batch)

    def encode(self, state: Tensor) -> Tensor:
        """See `Construction`."""
        return self.env.encode(state)

    def forward_mask(self, state: Tensor) -> Tensor:
        """See `Construction`."""
        return self.env.forward_mask(state)

    def backward_mask(self, state: Tensor) -> Tensor:
        """See `Construction`."""
        return self.env.backward_mask(state)

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """See `Construction`."""
        return self.env.step(state, action)

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """See `Construction`."""
        return self.env.undo(state, action)

    def is_terminal(self, state: Tensor) -> Tensor:
        """See `Construction`."""
        return self.env.is_terminal(state)

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        """-log R where the move finishes the object, or the difference of both objects' log R, `[batch]`."""
        del action
        if self.has_stop:
            return self.log_reward(state) - self.log_reward(child)
        energy = torch.zeros(len(child), dtype=torch.float64)
        full = self.is_terminal(child)
        energy[full] = -self.log_reward(child[full])
        return energy

    def log_reward(self, state: Tensor) -> Tensor:
        """The new log R, `[batch]` float64; relative to the root's own where the root is an object."""
        return self._checked(state) - self._root

    def key(self, state: Tensor) -> list[bytes]:
        """See `Construction`."""
        return self.env.key(state)

    def _checked(self, state: Tensor) -> Tensor:
        value = self._reward(state).to(torch.float64)
        if value.shape != (len(state),):
            raise InputError.of(
                "log_reward", f"shape {list(value.shape)}", expected=f"one number an object, {len(state)}"
            )
        return value
