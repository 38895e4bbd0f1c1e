"""The forecaster as people use it: fit on a tensor of series, predict, look at the graph, save."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from livepapers.core import artifact
from livepapers.core.artifact import Artifact
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.loop import drive
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.cities_to_series.config import Config
from livepapers.methods.cities_to_series.evolution import variable_graph
from livepapers.methods.cities_to_series.network import ReGENN, untrained
from livepapers.methods.cities_to_series.scaling import (
    Split,
    Windows,
    past_levels,
    scaled,
    undone,
    window_levels,
    windows,
)
from livepapers.methods.cities_to_series.training import ForecastLearner, forecasts

SLUG = "cities-to-series"


class ReGENNForecaster:
    """Forecasts of many multivariate series by one network.

    Args:
        config: Network and training.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.network: ReGENN | None = None
        self.best_epoch = 0
        self.held_out_error: float | None = None

    def fit(self, values: ArrayLike, *, seed: int = 0, held_out: float = 0.0) -> "ReGENNForecaster":
        """Train, and stop at the best error on the last steps but s (dev); the last s steps are not looked at.

        Args:
            values: `[n, T, v]` in original units, v >= 2.
            seed: Of weights, minibatches and dropout.
            held_out: Share of the series that training does not see; their dev error becomes `held_out_error`.

        Raises:
            InputError: As `check_values` and `Split.of`.
        """
        tensor = check_values(values, self.config)
        split = split_of(tensor, self.config)
        chosen, left = _held_out(len(tensor), held_out, seed)
        learner = learner_of(tensor[chosen], self.config, seed=seed, split=split)
        self._train(learner, self.config.epochs)
        if len(left):
            dev = dev_windows(tensor[left], self.config, split)
            made = forecasts(self._network(), dev, self.config.scale)
            self.held_out_error = float((made - dev.targets).abs().mean())
        return self

    def fit_all(self, values: ArrayLike, *, epochs: int, seed: int = 0) -> "ReGENNForecaster":
        """Train for a number of epochs on all there is, the last steps too: for forecasts beyond the end."""
        tensor = check_values(values, self.config)
        config = replace(self.config, epochs=epochs, patience=epochs)
        split = split_of(tensor, config)
        starts = torch.arange(tensor.shape[1] - split.window - split.stride + 1)
        every = windows(tensor, starts, split=split, scale=config.scale, known=tensor.shape[1])
        last = windows(tensor, starts[-1:], split=split, scale=config.scale, known=tensor.shape[1])
        learner = build_learner(every, last, config, seed=seed)
        self._train(learner, epochs)
        return self

    def predict(self, history: ArrayLike) -> np.ndarray:
        """`[n, t, v]` with t >= w -> the next s steps `[n, s, v]`, in original units; levels are those of `history`.

        Raises:
            InputError: Before `fit`; for a history that is too short or not finite.
        """
        network = self._network()
        tensor = check_values(history, self.config)
        if tensor.shape[1] < self.config.window or tensor.shape[2] != len(network.graph):
            shown, wanted = list(tensor.shape), f"[n, t >= {self.config.window}, {len(network.graph)}]"
            raise InputError.of("history", shown, expected=wanted, cause="fitted on other variables?")
        recent = tensor[:, -self.config.window :]
        levels = window_levels(recent) if self.config.scale == "window_last" else past_levels(tensor, self.config.scale)
        with torch.no_grad():
            made = network.eval()(scaled(recent, levels, self.config.scale))
        return undone(made, levels, self.config.scale).numpy().astype(float)

    def variable_graph(self) -> np.ndarray:
        """Theta at the source, `[v, v]`: row i says what variable i is made of; raises `InputError` without one."""
        return self._network().thetas()[0].numpy().astype(float)

    def save(self, folder: Path) -> Artifact:
        """Write the network as an artifact into an existing folder."""
        network = self._network()
        return artifact.save(folder, described(network, self.config, {}), weights=network.state_dict())

    @classmethod
    def load(cls, folder: Path) -> "ReGENNForecaster":
        """Read what `save` wrote; raises `CorruptFileError`."""
        network = artifact.load_network(folder)
        if not isinstance(network, ReGENN):
            raise CorruptFileError(f"{folder}: holds a {type(network).__name__}, not a ReGENN")
        made = cls(network.config)
        made.network = network
        return made

    def _train(self, learner: ForecastLearner, epochs: int) -> None:
        drive(learner, epochs, name="ReGENN")
        trained = learner.trained()
        if isinstance(trained, ReGENN):
            self.network = trained
        self.best_epoch = learner.best_epoch

    def _network(self) -> ReGENN:
        if self.network is None:
            raise InputError.of("forecaster", "untrained", expected="fit() before this")
        return self.network


def described(network: ReGENN, config: Config, made_by: dict[str, artifact.JSON]) -> Artifact:
    """What an artifact says of a trained network."""
    variables = len(network.graph)
    return Artifact(
        kind="forecaster",
        slug=SLUG,
        architecture="methods.cities_to_series:ReGENN",
        arguments={"graph": torch.zeros(variables, variables).tolist(), "settings": config.to_json()},
        made_by=made_by,
        spaces={"input": ["series", config.window, variables], "output": ["series", config.stride, variables]},
    )


def check_values(values: ArrayLike, config: Config) -> Tensor:
    """A tensor `[n, T, v]` float32 that can be worked on.

    Raises:
        InputError: For another shape, fewer than two variables, values that are not finite (with their place), or
            negative ones where logarithms or a ReLU are asked for.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 3 or 0 in array.shape:
        raise InputError.of("values", list(array.shape), expected="[series, steps, variables], none empty")
    if array.shape[2] < 2:
        raise InputError.of("variables", array.shape[2], expected="at least 2: ReGENN learns a graph between them")
    for what, bad in (
        ("a finite number", ~np.isfinite(array)),
        (
            "a number >= 0",
            (array < 0) if config.scale == "log1p" or config.activation != "none" else np.zeros(1, dtype=bool),
        ),
    ):
        if bad.any():
            place = tuple(int(index) for index in np.argwhere(bad)[0])
            cause = "or scale train_max and activation none" if what.endswith("0") else "missing value?"
            raise InputError.of(f"values at [series, step, variable] {place}", array[place], expected=what, cause=cause)
    return torch.tensor(array, dtype=torch.float32)


def split_of(values: Tensor, config: Config) -> Split:
    """The split of the paper; the dev window is one stride before the test window."""
    return Split.of(values.shape[1], window=config.window, stride=config.stride)


def train_windows(values: Tensor, config: Config, split: Split) -> Windows:
    """The training windows of all series."""
    return windows(values, split.train, split=split, scale=config.scale, known=split.known)


def dev_windows(values: Tensor, config: Config, split: Split) -> Windows:
    """The dev window of all series; levels are those that training knows."""
    return windows(values, torch.tensor([split.dev]), split=split, scale=config.scale, known=split.known)


def last_windows(values: Tensor, config: Config, split: Split) -> Windows:
    """The test window of all series; levels are those of all steps before its targets."""
    known = split.test + split.window
    return windows(values, torch.tensor([split.test]), split=split, scale=config.scale, known=known)


def learner_of(values: Tensor, config: Config, *, seed: int, split: Split) -> ForecastLearner:
    """A ReGENN with fresh weights and what trains it."""
    return build_learner(train_windows(values, config, split), dev_windows(values, config, split), config, seed=seed)


def build_learner(train: Windows, dev: Windows, config: Config, *, seed: int) -> ForecastLearner:
    """A ReGENN whose variable graph comes from the training windows, and what trains it."""
    network = untrained(variable_graph(train.inputs), config, generator=make_generator(seed, SLUG, "weights"))
    return ForecastLearner(
        network, train, dev, config=config, generator=make_generator(seed, SLUG, "minibatches"),
        dropout_seed=derive(seed, SLUG, "dropout") >> 16,
    )  # fmt: skip


def _held_out(count: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Series that are trained on, and those that are not, both ascending."""
    if not 0.0 <= share < 1.0:
        raise InputError.of("held_out", share, expected="a share from 0 to below 1")
    left = round(share * count)
    if left >= count:
        raise InputError.of("held_out", share, expected=f"at least one of {count} series to train on")
    order = torch.randperm(count, generator=make_generator(seed, SLUG, "held out"))
    return order[left:].sort().values, order[:left].sort().values
