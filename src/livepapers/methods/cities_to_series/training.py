"""Training of a forecasting network: minibatches of (sample, window) pairs, loss in original units, early stop."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.methods.cities_to_series.config import Config, Scale
from livepapers.methods.cities_to_series.scaling import Windows, undone

METRICS = ("loss", "dev_error", "rate", "gradient_norm")
"""Mean absolute errors in original units on training and dev windows; Adam's rate; mean norm before clipping."""
ROLE = "learner"


class ForecastLearner(Learner):
    """An epoch an update; keeps the weights of the best dev error. After `patience` epochs without one it rests.

    Args:
        network: `[n, w, v]` -> `[n, s, v]`, both scaled; a rival network is trained in the very same way.
        train: Training windows.
        dev: The windows that decide when to stop.
        config: Training settings; `scale` says how forecasts are undone.
        generator: Of the order of minibatches.
        dropout_seed: Of dropout.
    """

    def __init__(
        self, network: nn.Module, train: Windows, dev: Windows, *, config: Config, generator: torch.Generator,
        dropout_seed: int,
    ) -> None:  # fmt: skip
        self.network, self.train, self.dev, self.config = network, train, dev, config
        self._generator, self._seed = generator, dropout_seed
        self._optimizer = torch.optim.Adam(network.parameters(), lr=config.rate)
        self._scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimizer, factor=config.plateau_factor, patience=config.plateau, threshold=config.plateau_threshold
        )
        self._best = copy.deepcopy(network.state_dict())
        self._epoch = self._waited = self._pairs = self.best_epoch = 0
        self.best_error = float("inf")
        self._told: dict[str, float] = {}

    @property
    def resting(self) -> bool:
        """Whether early stopping has ended the training."""
        return self._waited >= self.config.patience

    def update(self) -> dict[str, float]:
        """One pass over the training windows; once resting, nothing but the last metrics."""
        if self.resting and self._told:
            return dict(self._told)
        self._epoch += 1
        rate = float(self._optimizer.param_groups[0]["lr"])
        self.network.train()
        total = norms = 0.0
        chosen = self._batches()
        with torch.random.fork_rng(devices=[]):  # dropout draws from the global stream, which is put back
            torch.default_generator.manual_seed(self._seed + self._epoch)
            for batch in chosen:
                loss = self._loss(self.train, batch)
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
                self._optimizer.step()
                total += loss.item() * len(batch)
                norms += norm.item()
        self._pairs += len(self.train)
        error = self.error(self.dev)
        self._scheduler.step(error)
        if error < self.best_error:
            self.best_error, self.best_epoch, self._waited = error, self._epoch, 0
            self._best = copy.deepcopy(self.network.state_dict())
        else:
            self._waited += 1
        values = (total / len(self.train), error, rate, norms / len(chosen))
        self._told = dict(zip(METRICS, values, strict=True))
        return dict(self._told)

    def error(self, windows: Windows) -> float:
        """Mean absolute error in original units of the network as it stands."""
        return float((forecasts(self.network, windows, self.config.scale) - windows.targets).abs().mean())

    def trained(self) -> nn.Module:
        """A copy with the best weights so far, in evaluation mode."""
        made = copy.deepcopy(self.network)
        made.load_state_dict(self._best)
        return made.eval()

    def state_dict(self) -> dict[str, Any]:
        """Weights, the best ones, optimiser, plateau, streams and counts."""
        plateau = {name: getattr(self._scheduler, name) for name in ("best", "num_bad_epochs", "last_epoch")}
        return {
            "network": self.network.state_dict(), "best": self._best, "optimizer": optimizer_state(self._optimizer),
            "plateau": {name: float(value) for name, value in plateau.items()},
            "generator": self._generator.get_state(), "told": dict(self._told),
            "counts": {"epoch": self._epoch, "waited": self._waited, "pairs": self._pairs, "best": self.best_epoch},
            "best_error": self.best_error,
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="forecaster state")
        for name in ("network", "best"):
            require_keys(state[name], self.network.state_dict(), what=f"forecaster {name}")
        load_or_keep(self, self._load, state)

    def _load(self, state: State) -> None:
        load_optimizer_state(self._optimizer, state["optimizer"])
        try:
            plateau, counts = state["plateau"], state["counts"]
            self._scheduler.best = plateau["best"]
            self._scheduler.num_bad_epochs = int(plateau["num_bad_epochs"])
            self._scheduler.last_epoch = int(plateau["last_epoch"])
            self._epoch, self._waited, self._pairs = counts["epoch"], counts["waited"], counts["pairs"]
            self.best_epoch, self.best_error = counts["best"], float(state["best_error"])
            self._generator.set_state(state["generator"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise CorruptFileError(f"forecaster state: {error}") from None
        self.network.load_state_dict(state["network"])
        self._best = {name: tensor.clone() for name, tensor in state["best"].items()}
        self._told = dict(state["told"])

    def work(self) -> dict[str, int]:
        """Training pairs seen and epochs."""
        return {"training_pairs": self._pairs, "epochs": self._epoch}

    def _loss(self, windows: Windows, rows: Tensor) -> Tensor:
        made = undone(self.network(windows.inputs[rows]), windows.levels[rows], self.config.scale)
        return original_units_loss(made, windows.targets[rows])

    def _batches(self) -> list[Tensor]:
        """Rows of minibatches in a random order; where samples attend to each other, of one window each."""
        order = torch.randperm(len(self.train), generator=self._generator)
        if self.config.attend == "variables":
            return list(order.split(self.config.batch))
        starts = self.train.starts[order]
        by_window = [order[starts == start].split(self.config.batch) for start in starts.unique()]
        batches = [rows for parts in by_window for rows in parts]
        return [batches[place] for place in torch.randperm(len(batches), generator=self._generator)]


def original_units_loss(made: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute error after the scaling has been undone (section 3.2)."""
    return (made - targets).abs().mean()


@torch.no_grad()
def forecasts(network: nn.Module, windows: Windows, scale: Scale) -> Tensor:
    """`[N, s, v]` in original units, without dropout."""
    was = network.training
    made = undone(network.eval()(windows.inputs), windows.levels, scale)
    network.train(was)
    return made
