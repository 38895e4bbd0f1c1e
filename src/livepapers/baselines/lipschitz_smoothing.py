"""The older bound of a smoothed mean, without the distribution: a Gaussian mean of a bounded return is Lipschitz.

    E_adv[R] >= mean - (highest - lowest) (2 Phi(B / (2 sigma)) - 1)

2 Phi(B / (2 sigma)) - 1 is the total variation between two Gaussians that are B apart. The mean is bounded from below
by Hoeffding's inequality.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from livepapers.core.errors import InputError


def lipschitz_mean_bound(
    returns: ArrayLike, ratio: ArrayLike, *, lowest: float, highest: float, confidence: float = 0.95
) -> np.ndarray:
    """What the expected return cannot be pushed below, never below `lowest`.

    Args:
        returns: `[n]` of clean noisy episodes.
        ratio: B / sigma, any shape.
        lowest: No return is below it.
        highest: No return is above it.
        confidence: How often the bound is right.

    Raises:
        InputError: A return is outside the bounds, or there is none.
    """
    found = np.asarray(returns, dtype=np.float64)
    if not found.size or not ((found >= lowest) & (found <= highest)).all():
        raise InputError.of("returns", f"{found.size} numbers", expected=f"at least one, all in [{lowest}, {highest}]")
    width = highest - lowest
    mean = found.mean() - width * math.sqrt(math.log(1.0 / (1.0 - confidence)) / (2.0 * found.size))
    variation = 2.0 * special.ndtr(np.asarray(ratio, dtype=np.float64) / 2.0) - 1.0
    return np.maximum(mean - width * variation, lowest)
