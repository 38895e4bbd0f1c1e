"""The unified evaluation: one split, one budget, one set of measures for every model (section 3.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from livepapers.baselines.weisfeiler_lehman import subtree_kernel
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.methods.gnn_graph_level.features import PathFeatures
from livepapers.methods.gnn_graph_level.settings import Config
from livepapers.tasks.graph_scenarios import Split
from livepapers.tasks.graphs import GraphTable

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "path-adaptive": {"model": "path", "contrast": "adaptive"},
    "path-random": {"model": "path", "contrast": "random"},
    "path": {"model": "path", "contrast": "none"},
    "rooted": {"model": "rooted", "contrast": "none"},
    "gcn": {"model": "gcn", "contrast": "none"},
    "gin": {"model": "gin", "contrast": "none"},
    "sage": {"model": "sage", "contrast": "none"},
    "topk": {"model": "topk", "contrast": "none"},
    "ego": {"model": "ego", "contrast": "none"},
    "graphcl": {"model": "gin", "contrast": "random"},
}
"""Models that are trained, by what they change in a `Config`."""
TABLES = ("wl-svm", "boosting", "prior")
"""Models of scikit-learn's kind: a kernel machine, trees, and the floor."""
RATES = (1e-3, 3e-3)
"""Learning rates that every network tries."""
_STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C of the kernel machine
_TREE_RATES = (0.05, 0.1)


def network_config(name: str, config: Config) -> Config:
    """The settings of a named network; raises `InputError` for another name."""
    if name not in NETWORKS:
        raise InputError.of("model", name, expected=f"one of {', '.join([*NETWORKS, *TABLES])}")
    return replace(config, **NETWORKS[name])


@dataclass(frozen=True, eq=False)
class TableModel:
    """A model without epochs, fitted with the best of its settings on the validation graphs.

    Args:
        name: One of `TABLES`.
        config: Says how long the paths are that the trees' counts come from.
        seed: Of the trees and of sampled paths.
    """

    name: str
    config: Config
    seed: int

    def predict(self, table: GraphTable, parts: Split, graphs: np.ndarray) -> np.ndarray:
        """Scores `[graphs, classes]`, or numbers `[graphs, 1]`, after fitting on `parts.train`."""
        target = table.targets[:, 0]
        if self.name == "prior":
            return _prior(table, target[parts.train], len(graphs))
        if self.name not in TABLES:
            raise InputError.of("model", self.name, expected=f"one of {', '.join(TABLES)}")
        if self.name == "wl-svm":
            kernel, settings = subtree_kernel(table), _STRENGTHS
        else:
            features = PathFeatures(self.config.k, max_paths=self.config.max_paths, seed=self.seed).transform(table)
            kernel, settings = features, _TREE_RATES
        best, lowest = None, np.inf
        for setting in settings:
            model = self._model(setting, bool(table.classes))
            columns = parts.train if self.name == "wl-svm" else slice(None)
            labels = target[parts.train].astype(np.int64) if table.classes else target[parts.train]
            model.fit(kernel[parts.train][:, columns], labels)
            found = _scores(model, kernel[parts.validation][:, columns], len(table.classes))
            loss = -evaluate(table, parts.validation, found)["score"]
            if loss < lowest:
                best, lowest = _scores(model, kernel[graphs][:, columns], len(table.classes)), loss
        if best is None:
            raise InputError.of("validation", "no finite loss", expected="a model that can be compared")
        return best

    def _model(self, setting: float, classes: bool) -> Any:
        if self.name == "wl-svm":
            if classes:
                return SVC(C=setting, kernel="precomputed")
            # width and strength of the loss are in the target's deviations, whatever its unit
            return TransformedTargetRegressor(SVR(C=setting, kernel="precomputed"), transformer=StandardScaler())
        kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        settings: dict[str, Any] = {"early_stopping": False}  # validation graphs choose the rate instead
        return kind(learning_rate=setting, random_state=self.seed, **settings)


def evaluate(table: GraphTable, graphs: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """What predictions are worth on some graphs.

    Args:
        table: With known targets.
        graphs: Numbers of the graphs.
        predictions: `[graphs, classes]` scores, or `[graphs, targets]` numbers.

    Returns:
        For classes: accuracy and macro-F1 in percent, ROC-AUC of two classes; for numbers: mean absolute and root mean
        squared error in the targets' unit, and R^2. `score` is macro-F1, or minus the mean absolute error.
    """
    known = table.targets[graphs]
    if not table.classes:
        error = predictions - known
        spread = ((known - known.mean(axis=0)) ** 2).sum()
        mae = float(np.abs(error).mean())
        squared = float((error**2).sum())
        return {
            "mae": mae, "rmse": float(np.sqrt((error**2).mean())), "r2": 1.0 - squared / max(float(spread), 1e-12),
            "score": -mae,
        }  # fmt: skip
    labels, chosen = known[:, 0].astype(np.int64), predictions.argmax(axis=1)
    macro = 100.0 * float(f1_score(labels, chosen, average="macro", labels=np.unique(labels)))
    found = {"accuracy": 100.0 * float((labels == chosen).mean()), "macro_f1": macro, "score": macro}
    if len(table.classes) == 2 and len(np.unique(labels)) == 2:
        found["roc_auc"] = 100.0 * float(roc_auc_score(labels, predictions[:, 1] - predictions[:, 0]))
    return found


def average_ranks(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean rank of each model over cells, 1 is best, ties shared: {cell: {model: score}} -> {model: rank}."""
    models = list(next(iter(scores.values())))
    ranks = [stats.rankdata([-row[model] for model in models]) for row in scores.values()]
    return dict(zip(models, np.mean(ranks, axis=0).tolist(), strict=True))


def _prior(table: GraphTable, seen: np.ndarray, graphs: int) -> np.ndarray:
    if table.classes:
        row = np.bincount(seen.astype(np.int64), minlength=len(table.classes)) / len(seen)
        return np.tile(row, (graphs, 1))
    return np.full((graphs, 1), float(np.median(seen)))


def _scores(model: Any, rows: np.ndarray, classes: int) -> np.ndarray:
    """Scores of all classes; of one that training did not hold, less than any other's."""
    if not classes:
        return model.predict(rows)[:, None]
    if isinstance(model, SVC):
        found = model.decision_function(rows)
        found = np.column_stack([-found, found]) if found.ndim == 1 else found
    else:
        found = model.predict_proba(rows)
    scores = np.full((len(rows), classes), found.min() - 1.0)
    scores[:, model.classes_] = found
    return scores
