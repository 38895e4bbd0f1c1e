"""Rivals in forecasting many series at once: each sees a history and nothing else, so none can leak.

A rival is a function of the history `[n, t, v]` (NumPy, original units), of what part of it may be fitted to, and of
its own setting; it returns the next s steps `[n, s, v]`. Regressions work on windows divided by each series' largest
value in the fitted part, or on their logarithms; both are tuned, as is everything that `GRIDS` lists.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import MultiTaskElasticNet, Ridge
from torch import Tensor, nn

from livepapers.core.errors import InputError

HEADROOM = 1.25  # of the largest logarithm that an undone forecast may have
RIDGE = 1e-6  # added to the squared columns of autoregressions: some counts are 0 for years
TREES = 40


@dataclass(frozen=True)
class Horizon:
    """What is asked for.

    Attributes:
        window: Steps that regressions look back.
        stride: Steps to forecast.
        fitted: Steps of the history, from its start, that may be fitted to.
    """

    window: int
    stride: int
    fitted: int


Rival = Callable[..., np.ndarray]


def persistence(history: np.ndarray, horizon: Horizon) -> np.ndarray:
    """The last value."""
    return np.repeat(history[:, -1:], horizon.stride, axis=1)


def drift(history: np.ndarray, horizon: Horizon, *, steps: int = 7) -> np.ndarray:
    """The last value plus the mean step over the last `steps` steps, never below the smallest value seen or 0."""
    back = min(steps, history.shape[1] - 1)
    step = (history[:, -1] - history[:, -1 - back]) / back
    made = history[:, -1:] + np.arange(1, horizon.stride + 1)[None, :, None] * step[:, None]
    return np.maximum(made, min(0.0, float(history.min())))


def seasonal(history: np.ndarray, horizon: Horizon, *, period: int = 3) -> np.ndarray:
    """The value one period ago."""
    back = min(period, history.shape[1])
    return history[:, history.shape[1] - back + np.arange(horizon.stride) % back]


def autoregression(
    history: np.ndarray, horizon: Horizon, *, lag: int = 2, logs: bool = False, pooled: bool = False
) -> np.ndarray:
    """Least squares of a step on the `lag` before it and a constant, iterated forward.

    Args:
        history: `[n, t, v]`.
        horizon: What is asked for.
        lag: Order.
        logs: Of logarithms.
        pooled: One regression a variable for all series, instead of one for each series and variable.
    """
    scale = _Scale(history[:, : horizon.fitted], logs=logs)
    values = scale.apply(history)
    fitted = values[:, : horizon.fitted]
    pieces = np.lib.stride_tricks.sliding_window_view(fitted, lag + 1, axis=1)  # [n, k, v, lag + 1]
    design = np.concatenate([pieces[..., :-1], np.ones((*pieces.shape[:3], 1))], axis=-1)
    gram = np.einsum("nkvi,nkvj->nvij", design, design)
    moment = np.einsum("nkvi,nkv->nvi", design, pieces[..., -1])
    if pooled:
        gram, moment = (np.broadcast_to(part.sum(axis=0), part.shape) for part in (gram, moment))
    weights = np.linalg.solve(gram + RIDGE * np.eye(lag + 1), moment[..., None])[..., 0]  # [n, v, lag + 1]
    window = values[:, -lag:]
    made = []
    for _ in range(horizon.stride):
        step = np.einsum("nkv,nvk->nv", window, weights[..., :-1]) + weights[..., -1]
        made.append(scale.limit(step[:, None]))
        window = np.concatenate([window[:, 1:], made[-1]], axis=1)
    return scale.undo(np.concatenate(made, axis=1))


def ridge(history: np.ndarray, horizon: Horizon, *, alpha: float = 1.0, logs: bool = False) -> np.ndarray:
    """Ridge regression of all s v values on the flattened window."""
    return _regressed(history, horizon, lambda: Ridge(alpha=alpha), logs=logs)


def elastic_net(history: np.ndarray, horizon: Horizon, *, alpha: float = 0.01, logs: bool = False) -> np.ndarray:
    """Elastic net (half l1, half l2) of all s v values on the flattened window."""
    return _regressed(history, horizon, lambda: MultiTaskElasticNet(alpha=alpha, max_iter=3000), logs=logs)


def boosted_trees(history: np.ndarray, horizon: Horizon, *, leaves: int = 15, logs: bool = False) -> np.ndarray:
    """Histogram gradient boosting, one model for each of the s v values."""
    return _regressed(history, horizon, lambda: _Trees(leaves), logs=logs)


RIVALS: Mapping[str, Rival] = {
    "persistence": persistence,
    "drift": drift,
    "seasonal naive": seasonal,
    "autoregression": autoregression,
    "pooled autoregression": lambda history, horizon, **given: autoregression(history, horizon, pooled=True, **given),
    "ridge": ridge,
    "elastic net": elastic_net,
    "boosted trees": boosted_trees,
}
_BOTH = (False, True)
GRIDS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "persistence": ({},),
    "drift": tuple({"steps": steps} for steps in (1, 2, 4, 7)),
    "seasonal naive": tuple({"period": period} for period in (2, 3, 4, 7)),
    "autoregression": tuple({"lag": lag, "logs": logs} for lag in (1, 2, 4) for logs in _BOTH),
    "pooled autoregression": tuple({"lag": lag, "logs": logs} for lag in (1, 2, 4, 7) for logs in _BOTH),
    "ridge": tuple({"alpha": alpha, "logs": logs} for alpha in (0.1, 1.0, 10.0) for logs in _BOTH),
    "elastic net": tuple({"alpha": alpha, "logs": logs} for alpha in (1e-3, 1e-2) for logs in _BOTH),
    "boosted trees": tuple({"leaves": leaves, "logs": logs} for leaves in (4, 15) for logs in _BOTH),
}
"""What is tried on the dev window; logarithms only where no value is negative, lags only up to the window."""


def tuned(name: str, history: np.ndarray, horizon: Horizon, *, target: np.ndarray) -> tuple[dict[str, Any], float]:
    """The setting of a rival with the least mean absolute error on a dev target, and that error.

    Args:
        name: A key of `RIVALS`.
        history: `[n, t, v]` up to the dev target.
        horizon: What is asked for.
        target: `[n, s, v]`, what came next.

    Raises:
        InputError: For an unknown name.
    """
    if name not in RIVALS:
        raise InputError.of("rival", name, expected=f"one of {', '.join(RIVALS)}")
    tried: list[tuple[float, dict[str, Any]]] = []
    for setting in GRIDS[name]:
        if (setting.get("logs") and history.min() < 0) or setting.get("lag", 1) > min(
            horizon.window, horizon.fitted // 3
        ):
            continue
        made = RIVALS[name](history, horizon, **setting)
        tried.append((float(np.abs(made - target).mean()), dict(setting)))
    error, setting = min(tried, key=lambda pair: pair[0])
    return setting, error


class PlainLSTM(nn.Module):
    """A recurrence over the window whose last state is mapped to all s v values; trained as ReGENN is.

    Args:
        variables: v.
        stride: s.
        hidden: Units.
        generator: Of the initial weights (Xavier uniform, biases 0).
        nonnegative: Whether forecasts below 0 are cut there, outside training.
    """

    def __init__(
        self, variables: int, stride: int, *, hidden: int, generator: torch.Generator, nonnegative: bool
    ) -> None:
        super().__init__()
        self.cell = nn.LSTM(variables, hidden, batch_first=True)
        self.out = nn.Linear(hidden, stride * variables)
        self.shape, self.nonnegative = (stride, variables), nonnegative
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, w, v]` -> `[n, s, v]`."""
        made = self.out(self.cell(x)[0][:, -1]).unflatten(1, self.shape)
        return made.relu() if self.nonnegative and not self.training else made


class _Trees:
    """One boosted ensemble a column."""

    def __init__(self, leaves: int) -> None:
        self._leaves = leaves
        self._models: list[HistGradientBoostingRegressor] = []

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> "_Trees":
        make = HistGradientBoostingRegressor
        self._models = [
            make(max_iter=TREES, max_leaf_nodes=self._leaves, early_stopping="auto", random_state=0).fit(inputs, column)
            for column in targets.T
        ]
        return self

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return np.column_stack([model.predict(inputs) for model in self._models])


class _Scale:
    """Division by each series' largest magnitude in the fitted part, or that of logarithms."""

    def __init__(self, fitted: np.ndarray, *, logs: bool) -> None:
        level = np.abs(fitted).max(axis=1, keepdims=True)
        level = np.where(level > 0, level, 1.0)
        self._level, self._logs = np.log1p(level) if logs else level, logs

    def apply(self, values: np.ndarray) -> np.ndarray:
        return np.log1p(values) / self._level if self._logs else values / self._level

    def limit(self, made: np.ndarray) -> np.ndarray:
        return np.clip(made, 0.0, HEADROOM) if self._logs else made

    def undo(self, made: np.ndarray) -> np.ndarray:
        return np.expm1(self.limit(made) * self._level) if self._logs else made * self._level


def _regressed(history: np.ndarray, horizon: Horizon, make: Callable[[], Any], *, logs: bool) -> np.ndarray:
    scale = _Scale(history[:, : horizon.fitted], logs=logs)
    values = scale.apply(history)
    long = horizon.window + horizon.stride
    pieces = np.lib.stride_tricks.sliding_window_view(values[:, : horizon.fitted], long, axis=1)
    flat = pieces.transpose(0, 1, 3, 2).reshape(-1, long, values.shape[2])
    inputs = flat[:, : horizon.window].reshape(len(flat), -1)
    targets = flat[:, horizon.window :].reshape(len(flat), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the dev error judges a fit that was cut short
        made = make().fit(inputs, targets).predict(values[:, -horizon.window :].reshape(len(values), -1))
    return scale.undo(made.reshape(len(values), horizon.stride, -1))
