"""Whole numbers drawn by inversion: uniform numbers through inverse distribution functions, mostly by look-up."""

import torch
from torch import Tensor

_GRID = 1 << 12
"""A power of two, so that multiplying by it does not round."""


class Inversion:
    """The inverse distribution functions of N independent whole numbers.

    An even grid on [0, 1) keeps the answer of each of its cells; only where a step of the distribution function falls
    into a cell is it searched for (Chen and Asau's guide tables, 1974). The answers are those of a search, bit for bit.

    Args:
        cumulative: P(D <= d) for d from 0, `[N, D]`, float32 or float64, not decreasing; beyond the last entry is D.
            In float64 N is at most 1,023; more raise `ValueError`.
        grid: Cells of the grid, a power of two; more for longer tables.
    """

    def __init__(self, cumulative: Tensor, *, grid: int = _GRID) -> None:
        rows, self._width = cumulative.shape
        self._grid = grid
        self._unit = 2.0**24 if cumulative.dtype == torch.float32 else 2.0**53
        most = min((2**63 - 1) // int(self._unit), (2**31 - 1) // grid)  # what `_steps` and `_first` can count
        if rows > most:
            raise ValueError(f"cumulative: got {rows:,} rows of {cumulative.dtype}, expected at most {most:,}")
        edges = torch.arange(grid + 1, dtype=cumulative.dtype).repeat(rows, 1) / grid
        answers = torch.searchsorted(cumulative.contiguous(), edges, right=True)
        # where two neighbouring edges agree, theirs is the answer of all that lies between
        self._guide = torch.where(answers[:, 1:] == answers[:, :-1], answers[:, :-1], -1).float().flatten()
        row = torch.arange(rows)[:, None]
        self._first = (row * grid).to(torch.int32)
        # in whole units, one row above the other: one exact search serves them all
        self._steps = (self._whole(cumulative.clamp(max=1.0)) + row * int(self._unit)).flatten()

    def __call__(self, uniform: Tensor) -> Tensor:
        """The smallest d with P(D <= d) > u, `[N, B]` float32.

        Args:
            uniform: u in [0, 1), `[N, B]`, of the type of `cumulative` and as `torch.rand` draws it: a multiple of
                2^-24 (float32) or 2^-53 (float64).
        """
        cell = (uniform * self._grid).to(torch.int32).add_(self._first).flatten()
        found = self._guide.index_select(0, cell)
        open_ = (found < 0).nonzero().squeeze(1)
        row = open_ // uniform.shape[1]
        sought = self._whole(uniform.flatten()[open_]) + row * int(self._unit)
        found[open_] = (torch.searchsorted(self._steps, sought, right=True) - row * self._width).float()
        return found.view(uniform.shape)

    def _whole(self, values: Tensor) -> Tensor:
        """In whole units, rounded up: what u is not below is the same, because u has no smaller parts."""
        return (values.double() * self._unit).ceil().long()
