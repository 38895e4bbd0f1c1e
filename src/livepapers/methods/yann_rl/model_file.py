"""The file in which a user describes a linear model, its bounds and weights, and the law that it makes."""

from dataclasses import dataclass
from pathlib import Path

from livepapers.baselines.linear_problem import LinearProblem
from livepapers.core.config import config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.methods.yann_rl.explicit_mpc import PiecewiseAffineLaw, solve
from livepapers.tasks.documents import read_checked

MOST_REGIONS = 2000  # of a law that is written to files


@config_dataclass
class Bounds:
    """Lower and upper bounds, one number a state or input."""

    lower: tuple[float, ...] = setting(..., "lower bounds")
    upper: tuple[float, ...] = setting(..., "upper bounds")


@config_dataclass
class SetPoint:
    """Where the controller holds the plant."""

    state: tuple[float, ...] = setting(..., "n numbers")
    input: tuple[float, ...] = setting(..., "m numbers")


@config_dataclass
class ModelFile:
    """The fields of a user's file: a linear model around its set point, cost weights, bounds and horizon."""

    A: tuple[tuple[float, ...], ...] = setting(..., "n x n: state deviation after one step")
    B: tuple[tuple[float, ...], ...] = setting(..., "n x m")
    Q: tuple[tuple[float, ...], ...] = setting(..., "n x n weights of states")
    R: tuple[tuple[float, ...], ...] = setting(..., "m x m weights of inputs")
    horizon: int = setting(..., "steps that the controller looks ahead", ge=1, le=50)
    state_bounds: Bounds = setting(..., "finite; as measured, not as deviations")
    input_bounds: Bounds = setting(..., "finite; as applied, not as deviations")
    set_point: SetPoint | None = setting(None, "zeros when left out")


@dataclass(frozen=True, eq=False)
class Model:
    """A user's problem and its law."""

    problem: LinearProblem
    law: PiecewiseAffineLaw
    state: list[float]  # set point
    input: list[float]


def read_model(path: Path) -> Model:
    """Read a file and solve it; raises `InputError` with one line that names the file."""
    fields = "A, B, Q, R, horizon, state_bounds and input_bounds"
    file = read_checked(ModelFile, path, option="--model", fields=fields)
    states, inputs = len(file.A), len(file.B[0]) if file.B else 0
    point = file.set_point or SetPoint((0.0,) * states, (0.0,) * inputs)
    try:
        for name, given, size in (("state", point.state, states), ("input", point.input, inputs)):
            if len(given) != size:
                raise InputError.of(f"set_point.{name}", f"{len(given)} numbers", expected=f"{size} numbers")
        problem = LinearProblem.of(
            file.A, file.B, q=file.Q, r=file.R, horizon=file.horizon,
            state_bounds=_around(file.state_bounds, point.state, "state_bounds"),
            input_bounds=_around(file.input_bounds, point.input, "input_bounds"),
        )  # fmt: skip
        law = solve(problem)
    except InputError as error:
        raise InputError(f"--model {path.name}: {error}") from None
    if law.regions > MOST_REGIONS:
        raise InputError.of(
            f"--model {path.name}: horizon", file.horizon, expected=f"a law of up to {MOST_REGIONS:,} regions",
            cause=f"this one has {law.regions:,}; shorten it",
        )  # fmt: skip
    return Model(problem, law, list(point.state), list(point.input))


def _around(bounds: Bounds, point: tuple[float, ...], name: str) -> list[list[float]]:
    """Bounds as deviations from the set point."""
    for side in (bounds.lower, bounds.upper):
        if len(side) != len(point):
            raise InputError.of(name, f"{len(side)} numbers", expected=f"{len(point)} numbers, as A and B have")
    return [
        [value - centre for value, centre in zip(side, point, strict=True)] for side in (bounds.lower, bounds.upper)
    ]
