"""The street graph that everyone searches: 100,000 junctions on a shaken grid, 100 facilities, two-way."""

import numpy as np

ROWS, COLUMNS, FACILITIES = 250, 400, 100


def town() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y `[nodes]`, ends `[segments, 2]`, and the junctions of the facilities."""
    rng = np.random.default_rng(0)
    numbers = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    across = np.column_stack([numbers[:, :-1].ravel(), numbers[:, 1:].ravel()])
    along = np.column_stack([numbers[:-1].ravel(), numbers[1:].ravel()])
    place = 100.0 * (np.indices((ROWS, COLUMNS)).reshape(2, -1) + 0.2 * rng.standard_normal((2, ROWS * COLUMNS)))
    facilities = rng.choice(ROWS * COLUMNS, FACILITIES, replace=False)
    return place[1], place[0], np.concatenate([across, along]), facilities


def lengths(x: np.ndarray, y: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Straight lengths of the segments."""
    return np.hypot(x[ends[:, 1]] - x[ends[:, 0]], y[ends[:, 1]] - y[ends[:, 0]])
