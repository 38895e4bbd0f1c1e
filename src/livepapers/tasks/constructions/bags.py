"""Bags: multisets of letters whose energy has a bonus that one particular edge brings.

log R(x) = sum over letters of (gain_l * count_l) + bonus * [count_l >= threshold]. The bonus is granted on the edge
that reaches the threshold, so the energy of a move depends on the state, not on the letter alone.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import row_keys


class Bags:
    """Multisets of at most `capacity` letters; a move adds a letter, and stopping is allowed at any time.

    State `[batch, letters]` int64 counts. At capacity only the stop action is left.
    """

    has_stop = True

    def __init__(
        self, gains: Sequence[float] | Tensor, capacity: int = 15, *, threshold: int = 7, bonus: float = 2.0
    ) -> None:
        self.gains = torch.as_tensor(gains, dtype=torch.float64).flatten()
        self.moves = self.features = len(self.gains)
        if self.moves == 0 or not torch.isfinite(self.gains).all():
            raise InputError.of("gains", self.gains.tolist(), expected="at least one letter, all gains finite")
        for name, value in (("capacity", capacity), ("threshold", threshold)):
            if value < 1:
                raise InputError.of(name, value, expected="a whole number >= 1")
        if not math.isfinite(bonus):
            raise InputError.of("bonus", bonus, expected="a finite number")
        self.capacity, self.threshold, self.bonus = int(capacity), int(threshold), float(bonus)
        self.longest, self.shortest = self.capacity + 1, 1

    def root(self, batch: int) -> Tensor:
        """Empty bags, `[batch, letters]`."""
        return torch.zeros(batch, self.moves, dtype=torch.int64)

    def encode(self, state: Tensor) -> Tensor:
        """Counts as a share of the capacity, `[batch, letters]`."""
        return state.to(torch.get_default_dtype()) / self.capacity

    def forward_mask(self, state: Tensor) -> Tensor:
        """Every letter while there is room; stopping always, `[batch, letters + 1]`."""
        room = (state.sum(dim=1, keepdim=True) < self.capacity).expand(-1, self.moves)
        return torch.cat([room, torch.ones_like(room[:, :1])], dim=1)

    def backward_mask(self, state: Tensor) -> Tensor:
        """Letters that the bag holds, `[batch, letters]`."""
        return state > 0

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Add letter `action`."""
        return state.scatter_add(1, action[:, None], torch.ones_like(action)[:, None])

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """Take one letter `action` out."""
        return state.scatter_add(1, action[:, None], -torch.ones_like(action)[:, None])

    def is_terminal(self, state: Tensor) -> Tensor:
        """Always False: bags end by the stop action."""
        return torch.zeros(len(state), dtype=torch.bool)

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:  # noqa: ARG002 - the contract's form
        """Minus the letter's gain, and minus the bonus on the edge that reaches the threshold, `[batch]`."""
        reached = child.gather(1, action[:, None]).squeeze(1) == self.threshold
        return -(self.gains[action] + self.bonus * reached.to(torch.float64))

    def log_reward(self, state: Tensor) -> Tensor:
        """Gains plus bonuses, `[batch]`."""
        return state.to(torch.float64) @ self.gains + self.bonus * (state >= self.threshold).to(torch.float64).sum(
            dim=1
        )

    def key(self, state: Tensor) -> list[bytes]:
        """The counts' bytes."""
        return row_keys(state)

    def exact_log_z(self) -> float:
        """Log Z by a convolution over letters: O(letters * capacity^2)."""
        counts = torch.arange(self.capacity + 1, dtype=torch.float64)
        total = torch.full((self.capacity + 1,), -math.inf, dtype=torch.float64)
        total[0] = 0.0
        for gain in self.gains:
            letter = gain * counts + self.bonus * (counts >= self.threshold).to(torch.float64)
            # pair[m, c]: m letters in all, c of them this one
            taken = torch.arange(self.capacity + 1)
            rest = taken[:, None] - taken[None, :]
            pair = torch.where(rest >= 0, total[rest.clamp(min=0)] + letter[None, :], -math.inf)
            total = torch.logsumexp(pair, dim=1)
        return float(torch.logsumexp(total, dim=0))
