"""Where to put facilities by the classical rules: at random, at p-medians, at the most central junctions."""

import numpy as np

from livepapers.core.errors import InputError


def random_places(rng: np.random.Generator, nodes: int, *, count: int) -> np.ndarray:
    """`[count]` junctions without repetition; raises `InputError` for more than there are."""
    _check(count, nodes)
    return rng.choice(nodes, size=count, replace=False)


def greedy_medians(distances: np.ndarray, *, count: int) -> np.ndarray:
    """p-median by the greedy rule: each facility in turn goes where it lowers the mean way to the nearest one most.

    Args:
        distances: `[places, nodes]` way of each junction to each possible place; infinite ways count as the longest.
        count: p.

    Raises:
        InputError: For more facilities than places.
    """
    _check(count, len(distances))
    finite = distances[np.isfinite(distances)]
    ways = np.where(np.isfinite(distances), distances, finite.max() if finite.size else 0.0)
    nearest = np.full(ways.shape[1], np.inf)
    chosen: list[int] = []
    for _ in range(count):
        totals = np.minimum(ways, nearest).sum(axis=1)
        totals[chosen] = np.inf
        chosen.append(int(totals.argmin()))
        nearest = np.minimum(nearest, ways[chosen[-1]])
    return np.array(chosen)


def central_places(distances: np.ndarray, *, count: int) -> np.ndarray:
    """The `count` junctions with the least mean way over all; raises `InputError` for more than there are."""
    _check(count, len(distances))
    finite = np.where(np.isfinite(distances), distances, np.nan_to_num(distances, posinf=0.0).max())
    return np.argsort(finite.sum(axis=1), kind="stable")[:count]


def _check(count: int, places: int) -> None:
    if not 1 <= count <= places:
        raise InputError.of("facilities", count, expected=f"a number from 1 to {places}")
