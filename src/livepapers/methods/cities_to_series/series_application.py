"""An analyst's table of series: forecasts, an honest backtest beside simple rivals, the learned variable graph."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from livepapers.baselines.series_rivals import RIVALS
from livepapers.core.application import Row
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.loop import drive
from livepapers.methods.cities_to_series.backtest import Forecast, beyond, forecast_by, table
from livepapers.methods.cities_to_series.config import Config
from livepapers.methods.cities_to_series.forecaster import (
    ReGENNForecaster,
    check_values,
    last_windows,
    learner_of,
    split_of,
)
from livepapers.methods.cities_to_series.pictures import MOST_PANELS, Fan, fans_svg, graph_svg
from livepapers.methods.cities_to_series.scaling import Split
from livepapers.methods.cities_to_series.training import forecasts
from livepapers.tasks.series_table import SeriesTensor, read_series

BACKTEST, AHEAD, GRAPH = "Backtest", "Forecasts beyond the end", "What each variable is made of"
OURS = "ReGENN"
RATES = (3e-3, 1e-2)  # tried on the dev window, as the rivals' settings are
MOST_VALUES = 200_000  # series times steps that are trained on: minutes
STEPS = 5_000  # of the gradient, in all: what twenty years of fifty series need
FEWEST_EPOCHS = 10
SHOWN = 24


@dataclass(frozen=True)
class Answer:
    """Headline, tables and notes as `Application` has them, the files' contents, and the trained forecaster."""

    headline: str
    tables: dict[str, Sequence[Row]]
    notes: tuple[str, ...]
    files: dict[str, tuple[str, str | Sequence[Row]]]  # name -> (what it holds, text or rows)
    forecaster: ReGENNForecaster


def answer(path: Path, *, window: int, stride: int, epochs: int | None, seed: int) -> Answer:
    """Read, backtest, train on all, forecast, draw; raises `InputError` for anything unusable."""
    read = read_series(path, option="--series")
    if len(read.variables) < 2:
        cause = "ReGENN learns a graph between variables"
        raise InputError.of(
            f"--series {path.name}", f"only {', '.join(read.variables)}", expected="at least 2", cause=cause
        )
    data, notes = _usable(read)
    values = data.values
    config = _config(values, window=window, stride=stride)
    tensor = check_values(values, config)
    split = split_of(tensor, config)
    config = replace(config, epochs=epochs or _epochs(len(values) * len(split.train), config))
    ours, best_config, best_epoch = _backtested(tensor, config, split, seed=seed)
    rivals = [forecast_by(name, values, split=split) for name in RIVALS]
    truth = values[:, -stride:]
    backtest = table([ours, *rivals], truth, variables=data.variables)
    ranked = [str(row["method"]) for row in backtest]
    shown = _shown(rivals, ranked[0])
    forecaster = ReGENNForecaster(best_config).fit_all(values, epochs=max(best_epoch, 1), seed=seed)
    ahead = {OURS: forecaster.predict(values)} | {one.name: beyond(one, values, split=split) for one in shown}
    theta = forecaster.variable_graph()
    place = ranked.index(OURS)
    headline = (
        f"{ranked[0]} did best in the backtest (mean absolute error {backtest[0]['MAE']:.4g}); {OURS} came "
        f"{place + 1} of {len(ranked)} with {backtest[place]['MAE']:.4g}"
    )
    notes += _advice(ranked[0], shown, stride)
    rows, made = _ahead(ahead, data), _graph(theta, data.variables)
    tables: dict[str, Sequence[Row]] = {BACKTEST: backtest, AHEAD: rows[:SHOWN], GRAPH: made}
    files: dict[str, tuple[str, str | Sequence[Row]]] = {
        "backtest.csv": ("errors of every method on the last steps", backtest),
        "forecasts.csv": (f"{' and '.join(ahead)} beyond the end", rows),
        "graph.csv": ("the learned graph in scaled units: each row is made of the columns `from ...`", made),
        "graph.svg": ("the same as a picture", graph_svg(theta, data.variables, title="What each variable is made of")),
        "backtest.svg": ("forecasts of the last steps beside what came", _fans(data, ours, shown[0], truth, window)),
    }
    return Answer(headline, tables, tuple(notes), files, forecaster)


def _graph(theta: np.ndarray, variables: Sequence[str]) -> list[Row]:
    """The learned graph `[v, v]`: a row for each variable, of what it is made."""
    return [
        {"variable": name} | {f"from {other}": float(value) for other, value in zip(variables, line, strict=True)}
        for name, line in zip(variables, theta, strict=True)
    ]


def _shown(rivals: Sequence[Forecast], winner: str) -> list[Forecast]:
    """The rivals whose forecasts are given: the winner of the backtest, if it is one, and the best on the dev window.

    The first is what an analyst is told to trust; only the second was chosen without a look at the last steps.
    """
    chosen = min(rivals, key=lambda one: one.dev_error)
    first = next((one for one in rivals if one.name == winner), chosen)
    return [first] if first is chosen else [first, chosen]


def _advice(winner: str, shown: Sequence[Forecast], stride: int) -> list[str]:
    """Whose forecast to trust, and how far."""
    notes = []
    if winner != OURS:
        trust = f"rather trust its forecast, which stands beside {OURS}'s"
        notes.append(f"{winner} beat {OURS} on the last {stride} steps: {trust}.")
    notes += [f"The forecast of {one.name}, best on the {stride} steps before, is there too." for one in shown[1:]]
    return [
        *notes,
        f"The backtest forecasts the last {stride} steps once, so its order is partly chance; settings were chosen on "
        f"the {stride} before.",
    ]


def _usable(read: SeriesTensor) -> tuple[SeriesTensor, list[str]]:
    """The series without variables that repeat another or never change, and their most recent steps where too long."""
    notes = []
    values, names = read.values, list(read.variables)
    if not read.even:
        notes.append("Steps between times are not equally long; they are taken as if they were.")
    flat = values.reshape(-1, len(names))
    kept = [index for index in range(len(names)) if flat[:, index].min() != flat[:, index].max()]
    kept = [
        index for index in kept if not any((flat[:, index] == flat[:, other]).all() for other in kept if other < index)
    ]
    if len(kept) < len(names):
        dropped = ", ".join(name for index, name in enumerate(names) if index not in kept)
        notes.append(f"Left out, because they never change or repeat another variable: {dropped}.")
    if len(kept) < 2:
        raise InputError.of("--series", f"{len(kept)} variables that change", expected="at least 2 different ones")
    steps = values.shape[1]
    most = max(MOST_VALUES // len(values), 64)
    if steps > most:
        notes.append(f"Only the last {most} of {steps} steps were used.")
    recent = values[:, -most:, kept]
    times = read.times[-most:]
    return SeriesTensor(recent, read.series, times, tuple(names[index] for index in kept), read.even), notes


def _config(values: np.ndarray, *, window: int, stride: int) -> Config:
    """Counts are scaled by their logarithm and stay counts; where something is negative, neither is possible."""
    positive = bool((values >= 0).all())
    scale, activation = ("log1p", "clip") if positive else ("train_max", "none")
    return replace(Config(), window=window, stride=stride, scale=scale, activation=activation)


def _epochs(pairs: int, config: Config) -> int:
    """As many as make `STEPS` gradient steps of (series, window) pairs, within the settings' most."""
    return min(max(math.ceil(STEPS * config.batch / pairs), FEWEST_EPOCHS), config.epochs)


def _backtested(values: torch.Tensor, config: Config, split: Split, *, seed: int) -> tuple[Forecast, Config, int]:
    """ReGENN's test forecast with the rate that does best on dev, its settings, and its best epoch."""
    tried = []
    for rate in RATES:
        own = replace(config, rate=rate)
        learner = learner_of(values, own, seed=seed, split=split)
        drive(learner, own.epochs, name=f"{OURS}, rate {rate:g}")
        tried.append((learner.best_error, rate, own, learner))
    error, rate, own, learner = min(tried, key=lambda one: one[:2])
    made = forecasts(learner.trained(), last_windows(values, own, split), own.scale).numpy().astype(float)
    return Forecast(OURS, made, error, {"rate": rate}), own, learner.best_epoch


def _ahead(made: dict[str, np.ndarray], data: SeriesTensor) -> list[Row]:
    """A row for each series, variable and step beyond the end."""
    steps = next(iter(made.values())).shape[1]
    return [
        {"series": series, "after": data.times[-1], "step": step + 1, "variable": variable}
        | {name: float(values[i, step, k]) for name, values in made.items()}
        for i, series in enumerate(data.series)
        for step in range(steps)
        for k, variable in enumerate(data.variables)
    ]


def _fans(data: SeriesTensor, ours: Forecast, rival: Forecast, truth: np.ndarray, window: int) -> str:
    """The series with the largest values, one panel a variable."""
    stride = truth.shape[1]
    order = np.argsort(-data.values[:, -stride - window :].mean(axis=(1, 2)), kind="stable")
    pairs = [(int(i), k) for i in order[:MOST_PANELS] for k in range(len(data.variables))][:MOST_PANELS]
    fans = [
        Fan(
            f"{data.series[i]}: {data.variables[k]}",
            data.values[i, : -stride, k][-3 * window :].tolist(),
            truth[i, :, k].tolist(),
            [(one.name, one.made[i, :, k].tolist()) for one in (ours, rival)],
            data.times[-3 * window - stride :],
        )
        for i, k in pairs
    ]  # fmt: skip
    return fans_svg(fans, title=f"The last {stride} steps, forecast from before them")
