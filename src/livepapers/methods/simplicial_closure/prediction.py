"""The prediction task, its measure, and the supervised model (sections 3.2 and 3.4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from livepapers.core.errors import InputError
from livepapers.methods.simplicial_closure.closure import split
from livepapers.methods.simplicial_closure.scores import OldData, score
from livepapers.methods.simplicial_closure.settings import Config
from livepapers.tasks.hypergraphs import TemporalSimplices, encode

FEATURES = (
    *("weight ij", "weight jk", "weight ik", "degree i", "degree j", "degree k"),
    *("simplices i", "simplices j", "simplices k", "common ij", "common ik", "common jk", "common ijk"),
)
"""The 13 raw features; their logarithms follow (log(1 + x) for the four counts of common neighbours)."""


@dataclass(frozen=True, eq=False)
class PredictionTask:
    """All triangles open in the old data, and whether new data close them."""

    old: OldData
    labels: np.ndarray  # [triangles] bool

    @property
    def triangles(self) -> np.ndarray:
        """`[triangles, 3]` nodes."""
        return self.old.triangles

    @property
    def rate(self) -> float:
        """The share of triangles that close: the average precision of a random order."""
        return float(self.labels.mean())


def prediction_task(simplices: TemporalSimplices, *, start: float = 80, end: float = 100) -> PredictionTask:
    """The task of section 3.4: every triangle open until the percentile `start`, labelled by what follows until `end`.

    Raises:
        InputError: If old or new data are empty, no triangle is open, or none or all of them close.
    """
    old, new = split(simplices, start=start, end=end)
    data = OldData.of(old)
    if not len(data.triangles):
        raise InputError.of(
            "split", f"{start:g} %", expected="open triangles in the old data", cause="there are none; too little data?"
        )
    closed = encode(new.subsets(3)[0], new.nodes)
    keys = encode(np.sort(data.triangles, axis=1), new.nodes)
    labels = np.isin(keys, closed)
    if labels.all() or not labels.any():
        which = "none" if not labels.any() else "all"
        cause = "too little new data? move the split" if which == "none" else "move the split"
        raise InputError.of(
            "split",
            f"{start:g} %",
            expected="open triangles of which some close",
            cause=f"{which} of {len(labels)} close; {cause}",
        )
    return PredictionTask(data, labels)


def average_precision(labels: np.ndarray, scores: np.ndarray, *, weights: np.ndarray | None = None) -> np.ndarray:
    """Area under the precision-recall curve with ties taken together, so no order of equal scores matters.

    Args:
        labels: `[items]` bool.
        scores: `[items]`, larger is likelier.
        weights: `[resamples, items]` how often each item counts; None counts each once.

    Returns:
        `[resamples]` float64 (`[1]` without weights); NaN where no positive item counts.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # the end of each group of equal scores
    weight = np.ones((1, len(labels))) if weights is None else weights[:, order].astype(np.float64)
    hits = np.cumsum(weight * labels[order], axis=1)[:, last]
    seen = np.cumsum(weight, axis=1)[:, last]
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    gained = np.diff(hits, prepend=0.0, axis=1)
    total = hits[:, -1]
    return np.divide((precision * gained).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)


def evaluate(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Average precision ("ap"), the share of positives ("rate") and their ratio ("relative"), 1 for a random order."""
    if len(labels) != len(scores) or not labels.any() or not np.isfinite(scores).all():
        found = f"{len(labels)} labels, {int(np.sum(labels))} of them positive, {len(scores)} scores"
        raise InputError.of("scores", found, expected="one finite score for each label, and a positive label")
    precision, rate = float(average_precision(labels, scores)[0]), float(np.mean(labels))
    return {"ap": precision, "rate": rate, "relative": precision / rate}


def bootstrap(labels: np.ndarray, scores: np.ndarray, *, rng: np.random.Generator, resamples: int = 200) -> np.ndarray:
    """Average precision relative to random over resampled triangles, `[resamples]`.

    Each resample draws as many triangles as there are, with replacement; two scores that are given equal streams see
    the same resamples, so their differences are paired.
    """
    found = []
    step = max(1, 2_000_000 // len(labels))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(len(labels), size=(rows, len(labels))) + np.arange(rows)[:, None] * len(labels)
        weights = np.bincount(drawn.ravel(), minlength=rows * len(labels)).reshape(rows, -1)
        rate = weights[:, labels].sum(axis=1) / len(labels)
        precision = average_precision(labels, scores, weights=weights)
        found.append(np.divide(precision, rate, out=np.full(rows, np.nan), where=rate > 0))
    return np.concatenate(found)


def score_by(old: OldData, name: str, *, config: Config, history: TemporalSimplices) -> np.ndarray:
    """`score`, and "logistic" besides: the supervised model, trained on `history` before the split.

    Args:
        old: What is scored.
        name: "logistic" or a score's name.
        config: The settings.
        history: The data up to the split and beyond; the model sees no label after the percentile `config.split`.
    """
    if name == "logistic":
        model = SupervisedClosure(C=config.regularisation)
        return model.fit_history(history, start=config.validation, end=config.split).score_triangles(old)
    return score(old, name, damping=config.damping, katz_share=config.katz_share)


def compare(simplices: TemporalSimplices, config: Config) -> tuple[PredictionTask, dict[str, dict[str, float]]]:
    """Every score of `config.scores` on one task.

    Returns:
        The task, and for each score "ap", "rate" and "relative" as `evaluate` gives them.

    Raises:
        InputError: As `prediction_task`; for the supervised model also when its earlier split has no example.
    """
    task = prediction_task(simplices, start=config.split)
    found = {name: score_by(task.old, name, config=config, history=simplices) for name in config.scores}
    return task, {name: evaluate(task.labels, values) for name, values in found.items()}


def features(old: OldData) -> np.ndarray:
    """The 26 features of section 3.4, `[triangles, 26]` float64.

    A triangle's nodes i, j, k are ordered by projected degree, then by number of simplices.
    """
    nodes = old.triangles
    order = np.lexsort((nodes, old.simplex_degree[nodes], old.degree[nodes]), axis=1)
    ordered = OldData(old.simplices, np.take_along_axis(nodes, order, axis=1))
    pairs, all_three, _ = ordered.shared
    raw = np.column_stack(
        [
            ordered.tie_weights,
            ordered.degree[ordered.triangles],
            ordered.simplex_degree[ordered.triangles],
            pairs[:, [0, 2, 1]],
            all_three,
        ]
    )
    return np.column_stack([raw, np.log(raw[:, :9]), np.log1p(raw[:, 9:])])


class SupervisedClosure(ClassifierMixin, BaseEstimator):
    """Logistic regression on the 26 features: the paper's learned reference.

    A scikit-learn classifier over feature rows; `fit_history` builds them from a temporal hypergraph.

    Args:
        C: Inverse strength of the L2 penalty.
    """

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False  # type: ignore[union-attr]  # a classifier has them
        return tags

    def fit(self, X: np.ndarray, y: np.ndarray) -> "SupervisedClosure":
        """Fit on features `[triangles, features]` and labels `[triangles]` of two classes."""
        X, y = validate_data(self, X=X, y=y)  # type: ignore[arg-type, assignment]  # its stubs know only the default
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        if len(np.unique(y)) < 2:
            raise InputError.of("y", "1 class", expected="two classes: triangles that close and that stay open")
        # the primal problem draws nothing, but without a number the solver touches the global stream
        self.model_ = LogisticRegression(C=self.C, solver="liblinear", max_iter=1000, random_state=0).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The likelier class, `[triangles]`."""
        check_is_fitted(self)
        return self.model_.predict(_rows(self, X))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities of the two classes, `[triangles, 2]`."""
        check_is_fitted(self)
        return self.model_.predict_proba(_rows(self, X))

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """The log odds of the second class, `[triangles]`."""
        check_is_fitted(self)
        return self.model_.decision_function(_rows(self, X))

    def fit_history(self, simplices: TemporalSimplices, *, start: float = 60, end: float = 80) -> "SupervisedClosure":
        """Fit on the triangles open until percentile `start`, labelled by what follows until `end`."""
        task = prediction_task(simplices, start=start, end=end)
        return self.fit(features(task.old), task.labels)

    def score_triangles(self, old: OldData) -> np.ndarray:
        """The log odds that each open triangle closes, `[triangles]`."""
        return self.decision_function(features(old))


def _rows(model: SupervisedClosure, X: np.ndarray) -> np.ndarray:
    """Feature rows for a fitted model: finite numbers, as many columns as it was fitted on."""
    checked = validate_data(model, X=X, reset=False)  # type: ignore[arg-type]  # its stubs know only the default
    return np.asarray(checked)


def recommend(old: OldData, scores: np.ndarray, *, top: int = 20, among: Sequence[str] | None = None) -> list[int]:
    """Positions of the `top` best triangles, best first; ties in the order of their nodes' names.

    Args:
        old: The data.
        scores: `[triangles]`.
        top: How many.
        among: Only triangles all of whose nodes' labels are in here.
    """
    chosen = np.arange(len(scores))
    if among is not None:
        allowed = np.isin(np.array(old.simplices.labels, dtype=object).astype(str), np.array(list(among), dtype=str))
        chosen = chosen[allowed[old.triangles].all(axis=1)]
    if len(chosen) > top:
        # everything that ties with the last place stays for the decision by name
        border = np.partition(scores[chosen], len(chosen) - top)[len(chosen) - top]
        chosen = chosen[scores[chosen] >= border]
    labels = old.simplices.labels
    named = [(-float(scores[i]), sorted(labels[node] for node in old.triangles[i]), int(i)) for i in chosen]
    return [i for _, _, i in sorted(named)[:top]]
