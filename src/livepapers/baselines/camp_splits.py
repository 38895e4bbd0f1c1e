"""Two camps without a network: what actors said, as a matrix, split directly; and a ceiling that is told the camps."""

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict

STARTS, FOLDS = 20, 5
STRENGTHS = np.logspace(-3, 2, 6)


def centred(positions: np.ndarray) -> np.ndarray:
    """Positions `[actors, concepts]` (1, -1, 0 for none) minus what a concept gets on average, where one was taken."""
    taken = positions != 0
    mean = positions.sum(axis=0) / np.maximum(taken.sum(axis=0), 1)
    return np.where(taken, positions - mean, 0.0)


def principal_component_split(positions: np.ndarray) -> np.ndarray:
    """`[actors]` 0 or 1: the sign of the first principal component of centred positions."""
    left, _, _ = np.linalg.svd(centred(positions), full_matrices=False)
    scores = left[:, 0] * np.sign(left[np.argmax(np.abs(left[:, 0])), 0])
    return (scores < 0).astype(np.int64)


def k_means_split(positions: np.ndarray, *, seed: int) -> np.ndarray:
    """`[actors]` 0 or 1: two clusters of centred positions, the best of twenty starts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters: one camp is empty
        found = KMeans(2, n_init=STARTS, random_state=seed % 2**32).fit_predict(centred(positions))  # pyright: ignore[reportArgumentType] - a number is right
    return found.astype(np.int64)


def supervised_accuracy(positions: np.ndarray, camps: np.ndarray, *, seed: int) -> float:
    """Share of actors whose camp a logistic regression foretells from their positions, over five folds.

    Its penalty is chosen inside each fold. No split that is not told the camps should be asked for more.
    """
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    inner = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    model = GridSearchCV(LogisticRegression(max_iter=500), {"C": STRENGTHS}, cv=inner)
    return float(np.mean(cross_val_predict(model, positions, camps, cv=folds) == camps))
