"""Bit strings filled in any order: an Ising chain, whose partition function the transfer matrix gives exactly.

log R(x) = sum_i h_i s_i + sum_i J_i s_i s_{i+1} with spins s_i in {-1, +1}. A move fills one open position; the
coupling of two neighbours is paid by the move that fills the second of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import row_keys


class BitStrings:
    """Strings of L bits; move 2i sets bit i to 0 (spin -1), move 2i + 1 sets it to 1 (spin +1).

    State `[batch, L]` int8: -1, +1, or 0 where open. An object is finished when no position is open.
    """

    has_stop = False

    def __init__(self, field: Sequence[float] | Tensor, coupling: Sequence[float] | Tensor) -> None:
        self.field = torch.as_tensor(field, dtype=torch.float64).flatten()
        self.coupling = torch.as_tensor(coupling, dtype=torch.float64).flatten()
        self.length = self.longest = self.shortest = self.features = len(self.field)
        self.moves = 2 * self.length
        if self.length == 0 or not torch.isfinite(self.field).all():
            raise InputError.of("field", self.field.tolist(), expected="at least one position, all finite")
        if len(self.coupling) != self.length - 1 or not torch.isfinite(self.coupling).all():
            expected = f"{self.length - 1} finite couplings, one between neighbours"
            raise InputError.of("coupling", self.coupling.tolist(), expected=expected)

    def root(self, batch: int) -> Tensor:
        """Open strings, `[batch, L]`."""
        return torch.zeros(batch, self.length, dtype=torch.int8)

    def encode(self, state: Tensor) -> Tensor:
        """The spins, `[batch, L]`."""
        return state.to(torch.get_default_dtype())

    def forward_mask(self, state: Tensor) -> Tensor:
        """Both values of every open position, `[batch, 2 L]`."""
        return (state == 0).repeat_interleave(2, dim=1)

    def backward_mask(self, state: Tensor) -> Tensor:
        """The value that each filled position has, `[batch, 2 L]`."""
        return torch.stack([state == -1, state == 1], dim=2).flatten(1)

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Fill position `action // 2`."""
        return state.scatter(1, (action // 2)[:, None], (2 * (action % 2) - 1).to(state.dtype)[:, None])

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """Open position `action // 2` again."""
        return state.scatter(1, (action // 2)[:, None], torch.zeros_like(action, dtype=state.dtype)[:, None])

    def is_terminal(self, state: Tensor) -> Tensor:
        """Whether no position is open, `[batch]`."""
        return (state != 0).all(dim=1)

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        """Field of the new spin and its couplings to filled neighbours, `[batch]`."""
        del action
        return self._log_weight(state) - self._log_weight(child)

    def log_reward(self, state: Tensor) -> Tensor:
        """Field and couplings of the finished chain, `[batch]`."""
        return self._log_weight(state)

    def key(self, state: Tensor) -> list[bytes]:
        """The spins' bytes."""
        return row_keys(state)

    def exact_log_z(self) -> float:
        """Log Z by the transfer matrix, O(L)."""
        spins = torch.tensor([-1.0, 1.0], dtype=torch.float64)
        message = self.field[0] * spins
        for i in range(1, self.length):
            pair = message[:, None] + self.coupling[i - 1] * spins[:, None] * spins[None, :]
            message = torch.logsumexp(pair, dim=0) + self.field[i] * spins
        return float(torch.logsumexp(message, dim=0))

    def _log_weight(self, state: Tensor) -> Tensor:
        spins = state.to(torch.float64)
        return spins @ self.field + (spins[:, 1:] * spins[:, :-1]) @ self.coupling
