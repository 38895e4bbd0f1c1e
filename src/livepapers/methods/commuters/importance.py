"""Which indicators carry a prediction: both ends of one shuffled together, and how few are enough (section 3.2)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score, roc_auc_score

from livepapers.methods.commuters.estimators import FlowRegressor, LinkClassifier, balanced
from livepapers.methods.commuters.features import Column, column_groups
from livepapers.methods.commuters.models import one_thread

Score = Callable[[NDArray[np.float64]], float]
"""From feature rows `[pairs, columns]` to a score, larger is better."""


def grouped_importance(
    score: Score,
    rows: NDArray[np.float64],
    *,
    groups: Mapping[str, Sequence[int]],
    rng: np.random.Generator,
    repeats: int = 5,
) -> dict[str, float]:
    """By how much a score falls when all columns of an indicator are shuffled over the pairs, all in the same order.

    One end alone leaves the other to tell most of it; two correlated indicators still share theirs.

    Args:
        score: Of a fitted model on held-out pairs.
        rows: `[pairs, columns]` of those pairs.
        groups: Indicator -> its columns.
        rng: Draws the orders; the same for every indicator.
        repeats: Shuffles an indicator.

    Returns:
        Indicator -> mean fall.
    """
    whole = score(rows)
    orders = [rng.permutation(len(rows)) for _ in range(repeats)]
    found = {}
    for name, columns in groups.items():
        shuffled = rows.copy()
        falls = []
        for order in orders:
            shuffled[:, columns] = rows[order][:, columns]
            falls.append(whole - score(shuffled))
        found[name] = float(np.mean(falls))
    return found


def indicator_importance(
    model: LinkClassifier | FlowRegressor,
    pairs: NDArray[np.int64],
    flows: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    repeats: int = 5,
) -> dict[str, float]:
    """`grouped_importance` of a fitted learner on held-out pairs, both ends of an indicator together.

    The score is the area under ROC on balanced pairs for a classifier, R^2 of ln T on links for a regressor.
    """
    linked = flows >= model.threshold
    chosen = balanced(linked, rng) if isinstance(model, LinkClassifier) else np.flatnonzero(linked)
    target = linked[chosen] if isinstance(model, LinkClassifier) else np.log(flows[chosen])

    def score(rows: NDArray[np.float64]) -> float:
        with one_thread():
            if isinstance(model, LinkClassifier):
                return float(roc_auc_score(target, model.model_.predict_proba(rows)[:, 1]))
            return float(r2_score(target, model.model_.predict(rows)))

    groups = column_groups(model.features_.columns)
    return grouped_importance(score, model.features_.rows(pairs[chosen]), groups=groups, rng=rng, repeats=repeats)


def impurity_importance(values: NDArray[np.float64], columns: Sequence[Column]) -> dict[str, float]:
    """A forest's impurity importances `[columns]`, added up for each indicator."""
    return {name: float(values[places].sum()) for name, places in column_groups(columns).items()}


def elimination_order(
    measure: Callable[[tuple[str, ...]], Mapping[str, float]], names: Sequence[str], *, keep: Sequence[int]
) -> list[tuple[str, ...]]:
    """Recursive elimination: fit on what is kept, drop the least important, again.

    Args:
        measure: From the kept indicators to each one's importance on training pairs.
        names: All indicators.
        keep: How many are kept after each step, descending.

    Returns:
        The kept indicators of each step, most important first.
    """
    kept, found = tuple(names), []
    for size in keep:
        if size < len(kept):
            values = measure(kept)
            kept = tuple(sorted(kept, key=lambda name: (-values[name], name))[:size])
        found.append(kept)
    return found
