"""Open orders of many lanes side by side, and tables of vehicles and orders that are computed in pieces."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Board(NamedTuple):
    """The open orders of each lane in one row, those of the lane with the most setting the width M'."""

    place: Tensor  # [B, M'] int64
    there: Tensor  # [B, M'] bool

    def action(self, fleet: Sequence[int], lane: Tensor, vehicle: Tensor, column: Tensor) -> Tensor:
        """Actions of a fleet `[B, N]` in which R vehicles take the order in a column of their lane, or none at -1."""
        takes = column >= 0
        lane, vehicle = lane[takes], vehicle[takes]
        return torch.zeros(*fleet, dtype=torch.int64).index_put((lane, vehicle), self.place[lane, column[takes]] + 1)

    def table(
        self, parts: Sequence[Tensor], pairs: int, values: Callable[..., Tensor], kind: Tensor | None = None
    ) -> Tensor:
        """`[R, M']` float32 of R vehicles and the orders of their lanes, computed about so many pairs at a time.

        Args:
            parts: What is known of the vehicles, `[R, ...]` each; first their lanes, `[R]` int64.
            pairs: How many pairs a piece has, about.
            values: Called with the parts of Q > 0 vehicles, `[Q, ...]` each, and `width`, the W orders that their lanes
                have at most; returns `[Q, W]`. Lanes of like numbers of orders stand together, so little is computed in
                vain.
            kind: `[R]` int64 >= 0; the vehicles of a piece are of one kind. None makes all of kind 0.
        """
        most = self.there.shape[1]
        width = self.there.sum(1)[parts[0]]
        key, order = (width if kind is None else kind * (most + 1) + width).sort(stable=True)
        piece = (width[order].cumsum(0) - 1).clamp(min=0).div(pairs, rounding_mode="floor")
        last = (piece.diff() != 0) | (key.div(most + 1, rounding_mode="floor").diff() != 0)
        ends = [*(last.nonzero().squeeze(-1) + 1).tolist(), len(order)] if len(order) else []
        parts, start = [part.index_select(0, order) for part in parts], 0
        found = torch.zeros(len(order), most)
        for end in ends:
            columns = int(key[end - 1]) % (most + 1)
            found[start:end, :columns] = values(*(part[start:end] for part in parts), width=columns)
            start = end
        return torch.empty_like(found).index_copy_(0, order, found)


def board(there: Tensor) -> Board:
    """Places `[B, M]` that hold an order, moved together."""
    width = int(there.sum(1).max())
    place = torch.argsort(~there, dim=1, stable=True)[:, :width]
    return Board(place, there.gather(1, place))
