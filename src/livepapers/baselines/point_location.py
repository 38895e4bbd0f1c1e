"""Explicit MPC as it is deployed without a network: look through the regions one after the other."""

import numpy as np


def first_region_move(
    state: np.ndarray,
    regions: list[tuple[np.ndarray, np.ndarray]],
    gains: np.ndarray,
    offsets: np.ndarray,
    *,
    tolerance: float = 0.0,
) -> np.ndarray | None:
    """The move of the first region that holds one state, or None.

    Args:
        state: `[n]`.
        regions: (rows `[q_i, n]`, limits `[q_i]`) of each region.
        gains: `[p, m, n]`.
        offsets: `[p, m]`.
        tolerance: Slack of every row.
    """
    for index, (rows, limits) in enumerate(regions):
        if (rows @ state <= limits + tolerance).all():
            return gains[index] @ state + offsets[index]
    return None
