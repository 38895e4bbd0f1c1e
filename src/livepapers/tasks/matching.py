"""Matching vehicles to orders: the assignment of the largest total score, one exact solution for each lane.

SciPy's compiled solver does a lane of 40 free vehicles and 80 orders in well under a millisecond, which no batched
auction in tensors comes near on a processor; there is no loop over vehicles or orders here.
"""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

UNMATCHED = -1


def assign(scores: Tensor, lane: Tensor, columns: Tensor, *, idle: float | None = 0.0) -> Tensor:
    """Match the rows of each lane to its columns, each at most once, so that the lane's total score is largest.

    Args:
        scores: `[R, M]`, finite; the rows of all lanes below one another.
        lane: `[R]` int64, whose row it is, in ascending order.
        columns: `[B]` int64, how many columns each lane has: its first ones.
        idle: What staying unmatched is worth to a row: pairs that score less, or no more, are not matched. None matches
            as many rows as can be, whatever they score.

    Returns:
        `[R]` int64: the column of each row, or -1.
    """
    found = np.full(len(scores), UNMATCHED, dtype=np.int64)
    # a full matching of clipped gains, less the pairs without gain, is the best matching with the choice to idle
    worth = scores.detach() if idle is None else (scores.detach() - idle).clamp_(min=0.0)
    values, start = worth.numpy(), 0
    for rows, width in zip(torch.bincount(lane, minlength=len(columns)).tolist(), columns.tolist(), strict=True):
        if rows and width:
            row, column = linear_sum_assignment(values[start : start + rows, :width], maximize=True)
            row += start
            if idle is not None:
                gained = values[row, column] > 0.0
                row, column = row[gained], column[gained]
            found[row] = column
        start += rows
    return torch.from_numpy(found)
