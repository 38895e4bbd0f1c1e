"""The learner: anything that improves step by step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import torch

from livepapers.core.errors import CorruptFileError

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
State: TypeAlias = Mapping[str, Any]
"""A nested mapping whose leaves are tensors or JSON values; what a checkpoint holds."""

LoadedT = TypeVar("LoadedT")


class Learner(ABC):
    """Improves step by step; driven by `core.loop.drive` in studies and in `apply` alike.

    A learner owns its generators and keeps their states in `state_dict`, so that a resumed run is bitwise the run
    that was never interrupted, wherever its world can be put back to where it stood (a Gymnasium environment cannot).
    """

    @abstractmethod
    def update(self) -> dict[str, float]:
        """Make one step and return its metrics; the same keys at every step of a phase."""

    @abstractmethod
    def state_dict(self) -> State:
        """Everything the next update depends on, the current phase included: tensors and JSON values, nested.

        A snapshot: later updates change none of its tensors.
        """

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Take over a state made by `state_dict`; raises `CorruptFileError` and changes nothing if it does not fit."""

    @abstractmethod
    def work(self) -> dict[str, int]:
        """What has been spent so far: environment steps, evaluations, samples or tokens."""


def load_or_keep(learner: Learner, load: Callable[[State], LoadedT], state: State) -> LoadedT:
    """What `load(state)` gives; where that raises, put the learner back where it stood, with `load` too, and raise."""
    before = learner.state_dict()
    try:
        return load(state)
    except Exception:
        load(before)
        raise


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A snapshot of an optimiser's state; parameter indices become strings, because JSON keys are strings."""
    state = optimizer.state_dict()
    return {
        "state": {str(index): {k: _copy(v) for k, v in values.items()} for index, values in state["state"].items()},
        "param_groups": [
            {k: list(v) if isinstance(v, tuple) else v for k, v in group.items()} for group in state["param_groups"]
        ],
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: State, **settings: float) -> None:
    """The inverse of `optimizer_state`; raises `CorruptFileError` and changes nothing if the state does not fit.

    Args:
        optimizer: Receives the state.
        state: Of `optimizer_state`.
        settings: Of every group, in place of the state's: what a configuration says now, "lr" for one.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    kept, live = state["state"], optimizer.state_dict()["state"]
    names = set().union(*(values for values in (*kept.values(), *live.values())))
    wrong = set(kept) - {str(index) for index in range(len(parameters))}
    for index, parameter in enumerate(parameters):
        values = kept.get(str(index), {})
        wrong |= {f"{index}/{name}" for name in (names - set(values) if kept else ())}
        wrong |= {f"{index}/{name}" for name in (set(values) - set(live[index]) if index in live else ())}
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and value.ndim and value.shape != parameter.shape:
                wrong.add(f"{index}/{name}")
    if wrong or len(state["param_groups"]) != len(optimizer.param_groups):
        raise CorruptFileError(f"optimiser state: {', '.join(sorted(wrong)) or 'parameter groups'} do not fit")
    optimizer.load_state_dict(
        {
            "state": {int(index): {k: _copy(v) for k, v in values.items()} for index, values in kept.items()},
            "param_groups": [{**group, **settings} for group in state["param_groups"]],
        }
    )


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value
