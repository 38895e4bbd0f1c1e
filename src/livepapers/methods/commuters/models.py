"""The learners over pair features: four settings each, tuned by the same procedure inside the training pairs."""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn import base
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController

from livepapers.core.errors import InputError
from livepapers.methods.commuters.settings import ModelName

Settings = Mapping[str, Any]
_LEAVES: Sequence[Settings] = [
    {"min_samples_leaf": leaf, "max_features": share}
    for leaf, share in ((1, "sqrt"), (4, "sqrt"), (1, 0.33), (32, 0.33))
]
_BOOSTING: Sequence[Settings] = [
    {"learning_rate": rate, "max_leaf_nodes": leaves} for rate in (0.05, 0.15) for leaves in (15, 31)
]
_NEAREST: Sequence[Settings] = [{"last__n_neighbors": k} for k in (5, 10, 20, 40)]
_NETWORK: Sequence[Settings] = [
    {"last__hidden_layer_sizes": layers, "last__alpha": decay} for layers in ((32,), (64, 32)) for decay in (1e-4, 1e-2)
]


@dataclass(frozen=True)
class Family:
    """A kind of learner and the four settings among which training pairs choose."""

    make: Callable[[bool, int, int], Any]  # (classifies, trees, seed) -> scikit-learn estimator
    grid: Sequence[Settings]
    linear: Sequence[Settings] = ()  # of the regressor, where it is another than the classifier's


def _pipeline(classifier: Any, regressor: Any) -> Callable[[bool, int, int], Any]:
    """Missing values by the training rows' medians, unit variance, then the learner, called "last"."""

    def make(classifies: bool, _: int, seed: int) -> Any:
        last = classifier(seed) if classifies else regressor(seed)
        made = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), last)
        made.steps[-1] = ("last", last)
        return made

    return make


def _boosting(classifies: bool, trees: int, seed: int) -> Any:
    kind: Any = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
    return kind(max_iter=2 * trees, early_stopping=False, random_state=seed)  # its trees are small


def _forest(classifier: Any, regressor: Any) -> Callable[[bool, int, int], Any]:
    def make(classifies: bool, trees: int, seed: int) -> Any:
        return (classifier if classifies else regressor)(n_estimators=trees, random_state=seed, n_jobs=1)

    return make


FAMILIES: Mapping[str, Family] = {
    "gbt": Family(_boosting, _BOOSTING),
    "rf": Family(_forest(RandomForestClassifier, RandomForestRegressor), _LEAVES),
    "et": Family(_forest(ExtraTreesClassifier, ExtraTreesRegressor), _LEAVES),
    "logit": Family(
        _pipeline(lambda seed: LogisticRegression(max_iter=2000, random_state=seed), lambda _: Ridge()),
        [{"last__C": strength} for strength in (0.01, 0.1, 1.0, 10.0)],
        [{"last__alpha": decay} for decay in (0.1, 1.0, 10.0, 100.0)],
    ),
    "knn": Family(_pipeline(lambda _: KNeighborsClassifier(), lambda _: KNeighborsRegressor()), _NEAREST),
    "mlp": Family(
        _pipeline(
            lambda seed: MLPClassifier(max_iter=300, early_stopping=True, random_state=seed),
            lambda seed: MLPRegressor(max_iter=300, early_stopping=True, random_state=seed),
        ),
        _NETWORK,
    ),
}
"""The learners by name; "logit" is a ridge regression where flows are learned."""


@dataclass(frozen=True)
class Tuned:
    """A learner with its chosen setting, not yet fitted, and its predictions for pairs that it had not seen."""

    estimator: Any
    settings: Settings
    loss: float  # mean over the inner folds: log loss, or squared error of ln T
    target: NDArray[np.float64]  # [tuning rows] what was to be predicted
    unseen: NDArray[np.float64]  # [tuning rows] predictions, each by a model of the other folds


def fresh(estimator: Any, settings: Settings | None = None) -> Any:
    """A clone with some settings changed."""
    return base.clone(estimator).set_params(**(settings or {}))  # type: ignore[union-attr]  # its stubs think of lists


def one_thread() -> AbstractContextManager[Any]:
    """Nothing inside uses more than one core: the bytes do not depend on the machine, cores are not oversubscribed."""
    return _pools().limit(limits=1)


@functools.cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()  # finding the libraries that have threads takes longer than a small fit


def tune(
    model: str | Any,
    rows: NDArray[np.float64],
    target: NDArray[Any],
    *,
    groups: NDArray[np.int64],
    classifies: bool,
    rng: np.random.Generator,
    trees: int = 100,
    folds: int = 3,
    most: int = 2_400,
) -> Tuned:
    """Choose among a family's settings by grouped cross-validation on at most `most` of the training rows.

    Args:
        model: A name in `FAMILIES`, or a scikit-learn estimator, which is taken as it is.
        rows: `[rows, columns]` features of training pairs.
        target: `[rows]` bool, or ln T.
        groups: `[rows]`; rows of one group stay together.
        classifies: Whether the target is a class.
        rng: Draws the rows and the folds, and the learner's own seed.
        trees: Of forests; boosting makes twice as many small ones.
        folds: Inner folds; (i, j) and (j, i) share a group and so a fold.
        most: Rows that take part.

    Raises:
        InputError: For an unknown model, or fewer groups than folds.
    """
    if isinstance(model, str) and model not in FAMILIES:
        raise InputError.of("model", model, expected=f"one of {', '.join(get_args(ModelName))}, or an estimator")
    numbers, inverse = np.unique(groups, return_inverse=True)
    if len(numbers) < folds:
        raise InputError.of("training pairs", len(numbers), expected=f"at least {folds}", cause="too few flows?")
    seed = int(rng.integers(2**31 - 1))
    family = FAMILIES[model] if isinstance(model, str) else None
    estimator = family.make(classifies, trees, seed) if family else fresh(model)
    grid: Sequence[Settings] = [{}] if family is None else family.grid
    if family and family.linear and not classifies:
        grid = family.linear
    part = rng.permutation(len(numbers)).argsort()  # each group's rank in a random order
    kept = np.flatnonzero(part[inverse] < max(folds, len(numbers) * most // len(target)))
    fold = part[inverse[kept]] % folds
    best: Tuned | None = None
    for settings in grid:
        unseen = _unseen(fresh(estimator, settings), rows[kept], target[kept], fold=fold)
        error = (
            log_loss(target[kept], unseen, labels=[0, 1]) if classifies else mean_squared_error(target[kept], unseen)
        )
        if best is None or error < best.loss:
            chosen = fresh(estimator, settings)
            best = Tuned(chosen, settings, float(error), target[kept].astype(float), unseen)
    if best is None:
        raise InputError.of("model", model, expected="a family with settings")
    return best


def _unseen(
    estimator: Any, rows: NDArray[np.float64], target: NDArray[Any], *, fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Predictions for each fold by a model of the others; a fold whose others hold one class gets its share."""
    found = np.empty(len(target))
    with one_thread():
        for number in np.unique(fold):
            test = fold == number
            if target.dtype == bool and len(np.unique(target[~test])) == 1:
                found[test] = float(target[~test][0])
                continue
            model = fresh(estimator)
            neighbours = model.get_params().get("last__n_neighbors")
            if neighbours is not None:
                model.set_params(last__n_neighbors=min(neighbours, int((~test).sum())))
            model.fit(rows[~test], target[~test])
            found[test] = model.predict_proba(rows[test])[:, 1] if target.dtype == bool else model.predict(rows[test])
    return found
