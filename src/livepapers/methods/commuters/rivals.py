"""Learners and formulas judged on one fold, on equal footing: everything that is fixed is fixed on training pairs."""

import numpy as np
from numpy.typing import NDArray

from livepapers.core.rng import numpy_generator
from livepapers.methods.commuters.calibration import correct_prior
from livepapers.methods.commuters.estimators import FlowRegressor, LinkClassifier, balanced
from livepapers.methods.commuters.evaluation import (
    Fold,
    best_threshold,
    judge_flows,
    judge_links,
    judge_probabilities,
)


def learned_links(
    model: LinkClassifier, pairs: NDArray[np.int64], flows: NDArray[np.float64], *, fold: Fold, rng: np.random.Generator
) -> dict[str, float]:
    """Fit a classifier on the training pairs; `judge_links` and `judge_probabilities` of the held-out ones."""
    model.fit(pairs[fold.train], flows[fold.train])
    scores, linked = model.predict_proba(pairs[fold.test])[:, 1], flows[fold.test] >= model.threshold
    corrected = correct_prior(scores, trained=model.trained_share_, true=model.true_share_)
    return judge_links(scores, linked, threshold=0.5, rng=rng) | judge_probabilities(corrected, linked)


def learned_flows(
    model: FlowRegressor, pairs: NDArray[np.int64], flows: NDArray[np.float64], *, fold: Fold
) -> dict[str, float]:
    """Fit a regressor on the training links; `judge_flows` of the held-out ones."""
    model.fit(pairs[fold.train], flows[fold.train])
    held = fold.test & (flows >= model.threshold)
    logs = model.predict_log(pairs[held])
    return judge_flows(flows[held], np.exp(logs) * model.smearing_, log_predicted=logs)


def rival_links(
    scores: NDArray[np.float64],
    flows: NDArray[np.float64],
    *,
    fold: Fold,
    rng: np.random.Generator,
    threshold: float = 1.0,
    seed: int = 0,
) -> dict[str, float]:
    """`judge_links` of a formula, called a link from the score that is most accurate on balanced training pairs.

    Args:
        scores: `[pairs]` of all pairs.
        flows: `[pairs]`.
        fold: Training and held-out pairs.
        rng: Draws the balanced held-out pairs.
        threshold: The least flow that makes a link.
        seed: The learners' `random_state`: formulas see the very same balanced training pairs.
    """
    linked = flows >= threshold
    chosen = np.flatnonzero(fold.train)[balanced(linked[fold.train], numpy_generator(seed, "commuters", "negatives"))]
    cut = best_threshold(scores[chosen], linked[chosen])
    return judge_links(scores[fold.test], linked[fold.test], threshold=cut, rng=rng)


def rival_flows(
    predicted: NDArray[np.float64], flows: NDArray[np.float64], *, fold: Fold, threshold: float = 1.0
) -> dict[str, float]:
    """`judge_flows` of a formula; for ln T its level and slope are those that fit the training links best.

    Args:
        predicted: `[pairs]` of all pairs, above 0.
        flows: `[pairs]`.
        fold: Training and held-out pairs.
        threshold: The least flow that makes a link.
    """
    linked = flows >= threshold
    some, held = fold.train & linked, fold.test & linked
    logs, known = np.log(predicted), np.log(flows[some])
    spread = float(((logs[some] - logs[some].mean()) ** 2).sum())
    slope = float((logs[some] - logs[some].mean()) @ known) / spread if spread else 0.0
    fitted = known.mean() + slope * (logs[held] - logs[some].mean())
    return judge_flows(flows[held], predicted[held], log_predicted=fitted)
