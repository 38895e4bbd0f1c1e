"""The theorem as a function of numbers, and confidence bounds for what episodes have shown."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from livepapers.core.errors import InputError


def shift(probability: ArrayLike, ratio: ArrayLike) -> np.ndarray:
    """Equation (2): Phi(Phi^-1(p) - B / sigma), the least that any adaptive adversary can make of a probability.

    Args:
        probability: p of the outcome without adversary, in [0, 1].
        ratio: B / sigma, the total budget in standard deviations; a negative one gives the most it can make of it.

    Returns:
        float64 of the common shape; 0 stays 0 and 1 stays 1.
    """
    p, ratio = np.asarray(probability, dtype=np.float64), np.asarray(ratio, dtype=np.float64)
    inner = (p > 0.0) & (p < 1.0)  # the quantiles of 0 and 1 are infinite, and infinite minus infinite is nothing
    return np.where(inner, special.ndtr(special.ndtri(np.where(inner, p, 0.5)) - ratio), p)


def largest_ratio(probability: ArrayLike, wanted: float) -> np.ndarray:
    """The largest B / sigma at which `shift` still gives `wanted`; 0 where it does not even without an adversary."""
    p = np.asarray(probability, dtype=np.float64)
    return np.where(p > wanted, special.ndtri(np.clip(p, 1e-300, 1.0)) - special.ndtri(wanted), 0.0)


def lower_confidence(successes: ArrayLike, episodes: int, alpha: float) -> np.ndarray:
    """Clopper and Pearson's one-sided lower bound for a probability: 0 without a success.

    Args:
        successes: k, whole numbers in [0, n].
        episodes: n.
        alpha: How often the bound may be wrong.
    """
    k = _counts(successes, episodes)
    return np.where(k > 0, special.betaincinv(np.maximum(k, 1.0), episodes - k + 1.0, alpha), 0.0)


def upper_confidence(successes: ArrayLike, episodes: int, alpha: float) -> np.ndarray:
    """The same from above: 1 without a failure."""
    return 1.0 - lower_confidence(episodes - _counts(successes, episodes), episodes, alpha)


def band(episodes: int, alpha: float) -> float:
    """Half-width sqrt(ln(1 / alpha) / 2 n) of Massart's one-sided Dvoretzky-Kiefer-Wolfowitz band, alpha <= 1/2."""
    return math.sqrt(math.log(1.0 / alpha) / (2.0 * episodes))


def mean_above(values: np.ndarray, least: np.ndarray, ratio: ArrayLike) -> np.ndarray:
    """Equation (3): v_0 + sum_j (v_j - v_(j-1)) shift(p_j, B / sigma), a lower bound of the mean for each ratio.

    Args:
        values: `[m + 1]` ascending, v_0 a value that no return is below.
        least: `[m]` lower bounds of P(R >= v_j), j = 1 .. m.
        ratio: B / sigma, any shape.
    """
    ratio = np.asarray(ratio, dtype=np.float64)
    return values[0] + shift(least, ratio[..., None]) @ np.diff(values)


def _counts(successes: ArrayLike, episodes: int) -> np.ndarray:
    k = np.asarray(successes, dtype=np.float64)
    if episodes < 1 or not ((k >= 0) & (k <= episodes) & (k == np.floor(k))).all():
        shown = f"{successes} of {episodes}"
        raise InputError.of("successes", shown, expected="whole numbers from 0 to the number of episodes, at least 1")
    return k
