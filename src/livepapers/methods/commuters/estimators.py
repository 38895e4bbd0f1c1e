"""The two learners of the paper as scikit-learn estimators over pairs, and both in one (sections 3.2, 3.3, 3.5)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.methods.commuters.calibration import correct_prior
from livepapers.methods.commuters.features import PAPER_PARTS, PairFeatures, Part
from livepapers.methods.commuters.models import Tuned, one_thread, tune
from livepapers.methods.commuters.settings import Config
from livepapers.tasks.places import PAIRS_AT_ONCE, Places, unordered


class _OverPairs(BaseEstimator):
    """What both learners share: places, features in chunks, tuning inside the training pairs.

    Args:
        places: Who and where; rows of X are pairs `[pairs, 2]` of their numbers, origin first.
        model: "gbt", "rf", "et", "logit", "knn", "mlp", or a scikit-learn estimator, which is then not tuned.
        parts: What a model sees of a pair, see `PairFeatures`.
        indicators: Which indicators; empty for all.
        mass: The indicator that is the mass, for the parts that need one.
        threshold: The least flow that makes a link.
        trees: Of forests; boosting makes twice as many small ones.
        tuning_rows: Training pairs on which settings are tried, at most.
        random_state: Seed of all that is drawn.
    """

    def __init__(
        self,
        places: Places,
        *,
        model: str | Any = "gbt",
        parts: Sequence[Part] = PAPER_PARTS,
        indicators: Sequence[str] = (),
        mass: str = "",
        threshold: float = 1.0,
        trees: int = 100,
        tuning_rows: int = 2_400,
        random_state: int = 0,
    ) -> None:
        self.places = places
        self.model = model
        self.parts = parts
        self.indicators = indicators
        self.mass = mass
        self.threshold = threshold
        self.trees = trees
        self.tuning_rows = tuning_rows
        self.random_state = random_state

    def _learn(self, pairs: NDArray[np.int64], target: NDArray[Any], *, stream: str) -> Tuned:
        """Tune, then fit `model_` on all of these pairs; returns what the tuning saw."""
        self.features_ = PairFeatures(self.places, parts=self.parts, indicators=self.indicators, mass=self.mass)
        rows = self.features_.rows(pairs)
        tuned = tune(
            self.model,
            rows,
            target,
            groups=unordered(pairs),
            classifies=target.dtype == bool,
            rng=numpy_generator(self.random_state, "commuters", stream),
            trees=self.trees,
            most=self.tuning_rows,
        )
        with one_thread():
            self.model_ = tuned.estimator.fit(rows, target)
        self.settings_ = dict(tuned.settings)
        return tuned

    def _by_chunks(self, X: ArrayLike, predict: Any) -> NDArray[np.float64]:
        """`predict` on the feature rows of pairs, a million pairs at a time."""
        check_is_fitted(self, "model_")
        pairs = check_pairs(X, places=len(self.places))
        found = np.empty(len(pairs))
        with one_thread():
            for piece, rows in self.features_.chunks(pairs, size=PAIRS_AT_ONCE):
                found[piece] = predict(rows)
        return found


class LinkClassifier(ClassifierMixin, _OverPairs):
    """Whether a pair is linked (task 1): a classifier trained on links and as many unlinked pairs.

    `predict_proba` is of the balanced world in which it was trained, as in the paper; `calibrated` is of the real one.

    Attributes:
        trained_share_: The share of links among the pairs it was trained on.
        true_share_: The share among the pairs it was given.
    """

    def __init__(
        self,
        places: Places,
        *,
        model: str | Any = "gbt",
        parts: Sequence[Part] = PAPER_PARTS,
        indicators: Sequence[str] = (),
        mass: str = "",
        threshold: float = 1.0,
        negatives: float = 1.0,
        trees: int = 100,
        tuning_rows: int = 2_400,
        random_state: int = 0,
    ) -> None:
        """Beside what both learners take: `negatives`, the unlinked pairs drawn for each link (inf: all of them)."""
        super().__init__(
            places, model=model, parts=parts, indicators=indicators, mass=mass, threshold=threshold, trees=trees,
            tuning_rows=tuning_rows, random_state=random_state,
        )  # fmt: skip
        self.negatives = negatives

    def fit(self, X: ArrayLike, y: ArrayLike) -> "LinkClassifier":
        """Learn from pairs `[pairs, 2]` and their flows `[pairs]` (or links as 0 and 1).

        Raises:
            InputError: Unless some pairs are linked and some are not, or for what is no pair or no flow.
        """
        pairs, flows = check_flows(X, y, places=len(self.places))
        linked = flows >= self.threshold
        self.true_share_ = float(linked.mean())
        if not 0 < self.true_share_ < 1:
            found = "no link" if not linked.any() else "links only"
            cause = (
                f"threshold {self.threshold:g} too high?" if not linked.any() else "list the pairs without a flow too"
            )
            raise InputError.of("training pairs", found, expected="some links and some pairs without", cause=cause)
        chosen = balanced(
            linked, numpy_generator(self.random_state, "commuters", "negatives"), negatives=self.negatives
        )
        self.trained_share_ = float(linked[chosen].mean())
        self._learn(pairs[chosen], linked[chosen], stream="links")
        self.classes_ = np.array([False, True])
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of no link and of a link in the world of the training, `[pairs, 2]`."""
        linked = self._by_chunks(X, lambda rows: self.model_.predict_proba(rows)[:, 1])
        return np.column_stack([1 - linked, linked])

    def calibrated(self, X: ArrayLike, *, true_share: float | None = None) -> NDArray[np.float64]:
        """The probability of a link at the true share of links (of the given pairs, or `true_share`), `[pairs]`."""
        true = self.true_share_ if true_share is None else true_share
        return correct_prior(self.predict_proba(X)[:, 1], trained=self.trained_share_, true=true)

    def predict(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Whether each pair is linked, at probability 0.5 of the balanced world, `[pairs]`."""
        return self.predict_proba(X)[:, 1] >= 0.5


class FlowRegressor(RegressorMixin, _OverPairs):
    """How large the flow on a link is (task 2): ln T is learned on linked pairs.

    Attributes:
        smearing_: The mean of exp(residual) over pairs that the model had not seen: what turns exp(ln T) into a mean.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> "FlowRegressor":
        """Learn from pairs `[pairs, 2]` and their flows `[pairs]`; pairs below the threshold are left out.

        Raises:
            InputError: When no pair is linked, or for what is no pair or no flow.
        """
        pairs, flows = check_flows(X, y, places=len(self.places))
        linked = flows >= self.threshold
        if not linked.any():
            raise InputError.of("training pairs", "no link", expected=f"flows of at least {self.threshold:g}")
        tuned = self._learn(pairs[linked], np.log(flows[linked]), stream="flows")
        self.smearing_ = float(np.mean(np.exp(tuned.target - tuned.unseen)))
        return self

    def predict_log(self, X: ArrayLike) -> NDArray[np.float64]:
        """The expected natural logarithm of the flow, if the pair is linked, `[pairs]`."""
        return self._by_chunks(X, lambda rows: self.model_.predict(rows))  # noqa: PLW0108 - the model is there only once fitted

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The expected flow, if the pair is linked, `[pairs]`."""
        return np.exp(self.predict_log(X)) * self.smearing_


class MobilityReconstructor(RegressorMixin, BaseEstimator):
    """The whole network (section 3.5): which pairs are linked, and how many people travel on each.

    The flow on a pair is 0 where its calibrated probability is below 0.5, else what the regressor expects. `score` is
    the common part of commuters, 1 for a perfect network, so cross-validation maximises it.

    Args:
        places: Who and where; rows of X are pairs `[pairs, 2]` of their numbers, origin first.
        link_model: As `LinkClassifier.model`.
        flow_model: As `FlowRegressor.model`.
        parts: What both see of a pair, see `PairFeatures`.
        indicators: Which indicators; empty for all.
        mass: The indicator that is the mass, for the parts that need one.
        threshold: The least flow that makes a link.
        negatives: Unlinked pairs drawn for each link.
        trees: Of forests; boosting makes twice as many small ones.
        random_state: Seed of all that is drawn.
    """

    def __init__(
        self,
        places: Places,
        *,
        link_model: str | Any = "gbt",
        flow_model: str | Any = "gbt",
        parts: Sequence[Part] = PAPER_PARTS,
        indicators: Sequence[str] = (),
        mass: str = "",
        threshold: float = 1.0,
        negatives: float = 1.0,
        trees: int = 100,
        random_state: int = 0,
    ) -> None:
        self.places = places
        self.link_model = link_model
        self.flow_model = flow_model
        self.parts = parts
        self.indicators = indicators
        self.mass = mass
        self.threshold = threshold
        self.negatives = negatives
        self.trees = trees
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> "MobilityReconstructor":
        """Learn from pairs `[pairs, 2]` and their flows `[pairs]`, zeros included; raises `InputError` as both do."""
        both: dict[str, Any] = {
            name: getattr(self, name) for name in ("parts", "indicators", "mass", "threshold", "trees", "random_state")
        }
        links = LinkClassifier(self.places, model=self.link_model, negatives=self.negatives, **both)
        self.links_ = links.fit(X, y)
        self.flows_ = FlowRegressor(self.places, model=self.flow_model, **both).fit(X, y)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The reconstructed flow on each pair, `[pairs]`."""
        check_is_fitted(self, "flows_")
        pairs = check_pairs(X, places=len(self.places))
        found = np.zeros(len(pairs))
        linked = self.links_.calibrated(pairs) >= 0.5
        found[linked] = self.flows_.predict(pairs[linked])
        return found

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: None = None) -> float:  # noqa: ARG002 - scikit-learn's
        """The common part of commuters on these pairs, from 0 to 1."""
        return common_part(np.asarray(y, dtype=float), self.predict(X))


def common_part(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """CPC = 2 sum min(T, T') / (sum T + sum T'): 1 when equal, 0 without overlap; two empty networks are equal."""
    both = float(true.sum() + predicted.sum())
    return 2 * float(np.minimum(true, predicted).sum()) / both if both else 1.0


def balanced(linked: NDArray[np.bool_], rng: np.random.Generator, *, negatives: float = 1.0) -> NDArray[np.int64]:
    """All linked pairs and `negatives` times as many unlinked ones, drawn without replacement; positions, ascending."""
    positive, negative = np.flatnonzero(linked), np.flatnonzero(~linked)
    wanted = min(len(negative), max(1, int(min(negatives * len(positive), len(negative)))))
    return np.sort(np.concatenate([positive, rng.choice(negative, wanted, replace=False)]))


def check_pairs(X: ArrayLike, *, places: int) -> NDArray[np.int64]:
    """Pairs as `[pairs, 2]` int64; raises `InputError` for another shape, unknown numbers, or a place with itself."""
    pairs = np.asarray(X)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        found = f"{pairs.dtype} of shape {pairs.shape}"
        raise InputError.of("pairs", found, expected="whole numbers [pairs, 2], origin and destination")
    outside = np.flatnonzero(((pairs < 0) | (pairs >= places)).any(axis=1))
    if outside.size:
        raise InputError.of("pairs", pairs[outside[0]].tolist(), expected=f"places 0 to {places - 1}")
    same = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
    if same.size:
        cause = "flows inside a place are no link; leave them out"
        raise InputError.of("pairs", pairs[same[0]].tolist(), expected="two different places", cause=cause)
    return pairs.astype(np.int64, copy=False)


def check_flows(X: ArrayLike, y: ArrayLike, *, places: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """`check_pairs` and their flows; raises `InputError` for another length, NaN, infinity or less than 0."""
    pairs, flows = check_pairs(X, places=places), np.asarray(y, dtype=float)
    if flows.shape != (len(pairs),):
        raise InputError.of("flows", flows.shape, expected=f"one for each of {len(pairs)} pairs")
    bad = np.flatnonzero(~(np.isfinite(flows) & (flows >= 0)))
    if bad.size:
        raise InputError.of("flows", float(flows[bad[0]]), expected="finite numbers >= 0", cause=f"entry {bad[0]}")
    return pairs, flows


def learners(
    config: Config, places: Places, *, seed: int, parts: Sequence[Part] = PAPER_PARTS, mass: str = ""
) -> tuple[LinkClassifier, FlowRegressor]:
    """Both learners as a config says, not yet fitted."""
    both: dict[str, Any] = {
        "parts": parts, "mass": mass, "threshold": config.threshold, "trees": config.trees,
        "tuning_rows": config.tuning_rows, "random_state": seed,
    }  # fmt: skip
    links = LinkClassifier(places, model=config.link_model, negatives=config.negatives, **both)
    return links, FlowRegressor(places, model=config.flow_model, **both)
