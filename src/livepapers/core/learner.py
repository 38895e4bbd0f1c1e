"""The learner: anything that improves step by step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch

from livepapers.core.errors import CorruptFileError

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
State: TypeAlias = Mapping[str, Any]
"""A nested mapping whose leaves are tensors or JSON values; what a checkpoint holds."""

Map: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""`map` as a learner is handed it: the built-in one, or an engine's."""


class Learner(ABC):
    """Improves step by step; driven by `core.loop.drive` in studies and in `apply` alike.

    A learner owns its generators and keeps their states in `state_dict`, so that a resumed run is bitwise the run
    that was never interrupted.
    """

    @abstractmethod
    def update(self) -> dict[str, float]:
        """Make one step and return its metrics; the same keys at every step of a phase."""

    @abstractmethod
    def state_dict(self) -> State:
        """Everything the next update depends on: tensors and JSON values, nested; the current phase included."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Take over a state made by `state_dict`; raises `CorruptFileError` and changes nothing if it does not fit."""

    @abstractmethod
    def work(self) -> dict[str, int]:
        """What has been spent so far: environment steps, evaluations, samples or tokens."""


def load_or_keep(learner: Learner, load: Callable[[State], None], state: State) -> None:
    """Call `load(state)`; where that raises, put the learner back to where it stood, with `load` too, and raise."""
    before = learner.state_dict()
    try:
        load(state)
    except Exception:
        load(before)
        raise


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's state as a `State`: parameter indices become strings, because JSON keys are strings."""
    state = optimizer.state_dict()
    return {
        "state": {str(index): values for index, values in state["state"].items()},
        "param_groups": [
            {k: list(v) if isinstance(v, tuple) else v for k, v in group.items()} for group in state["param_groups"]
        ],
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: State) -> None:
    """The inverse of `optimizer_state`; raises `CorruptFileError` and changes nothing if the state does not fit."""
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
            "param_groups": state["param_groups"],
        }
    )


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value
