"""A backtest without a leak: everyone forecasts the last s steps from what was known before them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from livepapers.baselines.series_rivals import RIVALS, Horizon, tuned
from livepapers.core.application import Row
from livepapers.methods.cities_to_series.scaling import Split


@dataclass(frozen=True, eq=False)
class Forecast:
    """What one method made of the test window."""

    name: str
    made: np.ndarray  # [n, s, v]
    dev_error: float  # mean absolute error on the dev window, by which settings were chosen
    setting: dict[str, Any]


def errors(made: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """MAE, RMSE and, where nothing is negative, MSLE and RMSLE, in original units; `[n, s, v]` both."""
    found = {"mae": float(np.abs(made - truth).mean()), "rmse": float(np.sqrt(np.square(made - truth).mean()))}
    if truth.min() >= 0:
        logs = np.square(np.log1p(np.maximum(made, 0.0)) - np.log1p(truth)).mean()
        found |= {"msle": float(logs), "rmsle": float(np.sqrt(logs))}
    return found


def forecast_by(name: str, values: np.ndarray, *, split: Split) -> Forecast:
    """A rival, its setting chosen on the dev window, forecasting the test window.

    Args:
        name: A key of `RIVALS`.
        values: `[n, T, v]`; the last s steps are what is forecast, and are not shown to the rival.
        split: Where dev and test windows are.
    """
    dev, test = split.dev + split.window, split.test + split.window
    horizon = Horizon(split.window, split.stride, split.known)
    target = values[:, dev : dev + split.stride]
    setting, error = tuned(name, values[:, :dev], horizon, target=target)
    return Forecast(name, RIVALS[name](values[:, :test], horizon, **setting), error, setting)


def beyond(forecast: Forecast, values: np.ndarray, *, split: Split) -> np.ndarray:
    """The same rival with the same setting, fitted to all there is: the s steps after the end, `[n, s, v]`."""
    horizon = Horizon(split.window, split.stride, split.steps)
    return RIVALS[forecast.name](values, horizon, **forecast.setting)


def table(forecasts: Sequence[Forecast], truth: np.ndarray, *, variables: Sequence[str]) -> list[Row]:
    """A row for each method, the best first: errors overall, over persistence's, and for each variable.

    Args:
        forecasts: One of them by "persistence".
        truth: `[n, s, v]`.
        variables: Names.
    """
    naive = next(errors(one.made, truth)["mae"] for one in forecasts if one.name == "persistence")
    rows: list[dict[str, str | int | float | bool | None]] = []
    for one in forecasts:
        found = errors(one.made, truth)
        each = np.abs(one.made - truth).mean(axis=(0, 1))
        rows.append(
            {"method": one.name, **{name.upper(): value for name, value in found.items()}}
            | {"over persistence": found["mae"] / naive if naive > 0 else None, "dev MAE": one.dev_error}
            | {f"MAE of {name}": float(value) for name, value in zip(variables, each, strict=True)}
            | {"setting": ", ".join(f"{name} {value}" for name, value in one.setting.items())}
        )
    return [*sorted(rows, key=lambda row: float(row["MAE"] or 0.0))]
