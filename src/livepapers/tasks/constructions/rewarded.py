"""A construction with another reward: what changes from task to task while states and moves stay."""

from typing import Any

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions.strings import LogReward
from livepapers.tasks.constructions.wrapping import Wrapped


class Rewarded(Wrapped):
    """The construction `env` with `log_reward` instead of its own reward; everything else is handed on.

    Energies of partial objects are those that any reward has: where objects end by a stop action, every partial object
    is an object too, and its energy is -log R relative to the root's; otherwise the last move pays -log R.

    Args:
        env: Any construction.
        log_reward: Finished objects `[n, ...]` -> log R `[n]`.
    """

    def __init__(self, env: Construction, log_reward: LogReward) -> None:
        super().__init__(env)
        self._reward = log_reward
        self._root = float(self._checked(env.root(1))) if env.has_stop else 0.0

    def __getattr__(self, name: str) -> Any:
        if name == "env":  # not there yet: this object is being copied
            raise AttributeError(name)
        return getattr(self.env, name)

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

    def _checked(self, state: Tensor) -> Tensor:
        value = self._reward(state).to(torch.float64)
        if value.shape != (len(state),):
            raise InputError.of(
                "log_reward", f"shape {list(value.shape)}", expected=f"one number an object, {len(state)}"
            )
        return value
