"""Honest splits of pairs, and what is measured on the pairs that were held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from livepapers.core.errors import InputError
from livepapers.methods.commuters.calibration import calibration_error
from livepapers.methods.commuters.estimators import balanced, common_part
from livepapers.tasks.places import unordered

Split = Literal["nodes", "pairs", "origin", "region"]


@dataclass(frozen=True, eq=False)
class Fold:
    """Which pairs train and which are held out; in some splits a part of the pairs does neither."""

    train: NDArray[np.bool_]  # [pairs]
    test: NDArray[np.bool_]  # [pairs]


def split_pairs(
    pairs: NDArray[np.int64],
    linked: NDArray[np.bool_],
    *,
    by: Split,
    folds: int,
    rng: np.random.Generator,
    regions: NDArray[np.int64] | None = None,
) -> Iterator[Fold]:
    """Cut pairs into training and held-out ones, `folds` times.

    Args:
        pairs: `[pairs, 2]`.
        linked: `[pairs]`; folds of pairs have equal shares of links.
        by: "pairs" (a random part of the pairs, (i, j) with (j, i): a model has seen both places before), "nodes" (a
            random half of the places trains, pairs inside the other half are held out: no place is seen twice),
            "origin" (all pairs of a part of the origins), "region" (all pairs that touch a region).
        folds: How many; of "nodes" draws.
        rng: Draws the parts.
        regions: `[places]` a number for each place; None makes each place a region of its own.

    Raises:
        InputError: For more folds than there are places, regions or pairs.
    """
    number = int(pairs.max()) + 1
    if by == "pairs":
        yield from _by_pairs(pairs, linked, folds=folds, rng=rng)
    elif by == "nodes":
        present = np.unique(pairs)
        for _ in range(folds):
            training = np.zeros(number, dtype=bool)
            training[rng.permutation(present)[: len(present) // 2]] = True
            ends = training[pairs].sum(axis=1)
            yield Fold(ends == 2, ends == 0)
    else:
        of_place = np.arange(number) if by == "origin" or regions is None else regions
        parts = rng.permutation(np.unique(of_place[np.unique(pairs)]))
        if len(parts) < folds:
            raise InputError.of("folds", folds, expected=f"at most {len(parts)}, the number of {by}s")
        for held in np.array_split(parts, folds):
            inside = np.isin(of_place, held)
            test = inside[pairs[:, 0]] if by == "origin" else inside[pairs].sum(axis=1) > 0
            yield Fold(~test, test)


def _by_pairs(
    pairs: NDArray[np.int64], linked: NDArray[np.bool_], *, folds: int, rng: np.random.Generator
) -> Iterator[Fold]:
    """Groups {(i, j), (j, i)} dealt to folds in turn, first those with a link."""
    groups, inverse = np.unique(unordered(pairs), return_inverse=True)
    if len(groups) < folds:
        raise InputError.of("folds", folds, expected=f"at most {len(groups)}, the number of pairs")
    some = np.zeros(len(groups), dtype=bool)
    some[inverse[linked]] = True
    shuffled = rng.permutation(len(groups))
    shuffled = shuffled[np.argsort(~some[shuffled], kind="stable")]
    fold = np.empty(len(groups), dtype=np.int64)
    fold[shuffled] = np.arange(len(groups)) % folds
    for number in range(folds):
        test = fold[inverse] == number
        yield Fold(~test, test)


def best_threshold(scores: NDArray[np.float64], linked: NDArray[np.bool_]) -> float:
    """The score at or above which a pair is called linked so that most of these pairs are called right.

    Halfway between two scores; the lowest of equally good ones. Infinity calls nothing linked.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    right = np.concatenate([[0], np.cumsum(np.where(linked[order], 1, -1))])
    possible = np.append(np.append(True, np.diff(ranked) != 0), True)  # ties cannot be parted
    places = np.flatnonzero(possible)
    best = int(places[::-1][np.argmax(right[places][::-1])])
    if best == 0:
        return np.inf
    if best == len(ranked):
        return -np.inf
    return float((ranked[best - 1] + ranked[best]) / 2)


def judge_links(
    scores: NDArray[np.float64], linked: NDArray[np.bool_], *, threshold: float, rng: np.random.Generator
) -> dict[str, float]:
    """How well held-out links are told from other pairs.

    Args:
        scores: `[pairs]` any number that is larger for likelier links.
        linked: `[pairs]` at the true share of links.
        threshold: The score from which a pair is called linked, fixed on training pairs.
        rng: Draws the unlinked half of the balanced pairs.

    Returns:
        On balanced pairs "accuracy", "precision", "recall", "f1"; on all pairs "auc", "auc_pr" (average precision at
        the true share), "density" (that share).
    """
    chosen = balanced(linked, rng)
    called, truth = scores[chosen] >= threshold, linked[chosen]
    both, either = int((called & truth).sum()), int(called.sum() + truth.sum())
    return {
        "accuracy": float((called == truth).mean()),
        "precision": both / max(int(called.sum()), 1),
        "recall": both / max(int(truth.sum()), 1),
        "f1": 2 * both / max(either, 1),
        "auc": float(roc_auc_score(linked, scores)),
        "auc_pr": float(average_precision_score(linked, scores)),
        "density": float(linked.mean()),
    }


def judge_probabilities(probability: NDArray[np.float64], linked: NDArray[np.bool_]) -> dict[str, float]:
    """How far calibrated probabilities may be believed at the true share of links.

    Returns:
        "mean_probability", "calibration_error" (expected, ten bins), "brier", "log_loss" (nats a pair).
    """
    return {
        "mean_probability": float(probability.mean()),
        "calibration_error": calibration_error(probability, linked),
        "brier": float(np.mean((probability - linked) ** 2)),
        "log_loss": float(log_loss(linked, probability, labels=[False, True])),
    }


def judge_flows(
    true: NDArray[np.float64], predicted: NDArray[np.float64], *, log_predicted: NDArray[np.float64]
) -> dict[str, float]:
    """How well the flows of held-out links are foretold.

    Args:
        true: `[links]` flows above 0.
        predicted: `[links]` expected flows.
        log_predicted: `[links]` expected ln T; for a formula the logarithm of its flow.

    Returns:
        "r2" and "mae" of ln T (the paper's scale), "r2_raw" of T, "cpc" (common part of commuters), "rank"
        (Spearman's correlation). R^2 is 1 - residual / total squares and may be below 0.
    """
    logs = np.log(true)
    return {
        "r2": _explained(logs, log_predicted),
        "mae": float(np.abs(logs - log_predicted).mean()),
        "r2_raw": _explained(true, predicted),
        "cpc": common_part(true, predicted),
        "rank": rank_correlation(true, predicted),
    }


def _explained(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    spread = float(((true - true.mean()) ** 2).sum())
    return 1 - float(((true - predicted) ** 2).sum()) / spread if spread else 0.0


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; 0 when either is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])
