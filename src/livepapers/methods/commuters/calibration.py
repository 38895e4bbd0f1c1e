"""Probabilities of a model trained on balanced pairs, put right for the share of links that there really is."""

import numpy as np
from numpy.typing import NDArray

from livepapers.core.errors import InputError


def correct_prior(probability: NDArray[np.float64], *, trained: float, true: float) -> NDArray[np.float64]:
    """Bayes' rule when links are a share `true` of all pairs, but were a share `trained` of the training pairs.

    p' = p (t/s) / (p (t/s) + (1 - p) (1 - t)/(1 - s)), exact when the sampling depends on the class alone.

    Args:
        probability: `[pairs]` as the model gives it.
        trained: s, the share of links among the training pairs.
        true: t, the share among the pairs that are to be predicted.
    """
    for name, share in (("trained", trained), ("true", true)):
        if not 0 < share < 1:
            raise InputError.of(name, share, expected="a share between 0 and 1, both excluded")
    linked = probability * (true / trained)
    return linked / (linked + (1 - probability) * ((1 - true) / (1 - trained)))


def reliability(
    probability: NDArray[np.float64], linked: NDArray[np.bool_], *, bins: int = 10
) -> list[dict[str, float]]:
    """How often pairs of about the same probability are linked.

    Bins hold equally many expected links, not pairs: where few pairs are linked, most probabilities are near zero.
    Pairs of equal probability stay together.

    Returns:
        One row a bin: "predicted" and "observed" (mean probability, share of links), and "pairs".
    """
    values, inverse, count = np.unique(probability, return_inverse=True, return_counts=True)
    below = np.cumsum(values * count) - values * count  # expected links among pairs that are less likely
    part = np.minimum((below / max(float(probability.sum()), 1e-300) * bins).astype(int), bins - 1)[inverse]
    pairs = np.bincount(part, minlength=bins)
    predicted = np.bincount(part, weights=probability, minlength=bins)
    observed = np.bincount(part, weights=linked, minlength=bins)
    return [
        {
            "predicted": float(predicted[k] / pairs[k]),
            "observed": float(observed[k] / pairs[k]),
            "pairs": float(pairs[k]),
        }
        for k in np.flatnonzero(pairs)
    ]


def calibration_error(probability: NDArray[np.float64], linked: NDArray[np.bool_], *, bins: int = 10) -> float:
    """The expected calibration error: the mean over pairs of |predicted - observed| in their bin."""
    rows = reliability(probability, linked, bins=bins)
    return sum(row["pairs"] * abs(row["predicted"] - row["observed"]) for row in rows) / len(probability)
