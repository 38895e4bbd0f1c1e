"""Recorded trajectories: read, fitted at several sizes, chosen by roll-outs on one part and tested on another."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator as make_generator
from livepapers.methods.sindy_rl.library import Library
from livepapers.methods.sindy_rl.model import SparseModel, fit_sparse
from livepapers.methods.sindy_rl.regression import SparseRegression, spread
from livepapers.methods.sindy_rl.surrogate import imagine
from livepapers.tasks.tables import read_table

THRESHOLDS = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Tried where none is given; of coefficients between terms and changes of unit spread."""
RIDGE = 1e-5
HELD_OUT = 0.2  # to choose, and again as much to test
FEWEST_STEPS = 50  # of which a fifth can be spared for a test
MOST_AHEAD, MOST_STARTS = 50, 500
NEAR_BEST = 1.1
"""The smallest model whose roll-out error is within this factor of the best is taken."""
SAME = 1e-6  # distance of two columns of unit length that tell the same
ROUND = 1e-3  # largest distance of cos^2 + sin^2 from 1


class Trajectory(NamedTuple):
    """T steps of one run."""

    states: Tensor  # [T + 1, n] float64
    inputs: Tensor  # [T, m] float64


@dataclass(frozen=True)
class Judged:
    """One model and how it did on a part that it was not fitted to."""

    model: SparseModel
    degree: int
    threshold: float
    one_step: float  # root mean square error of a step, over the spread of changes
    roll_out: float  # the same of roll-outs, over the spread of states; inf if any diverged
    ahead: int  # steps of a roll-out


def read_trajectories(path: Path, *, states: Sequence[str], inputs: Sequence[str], trajectory: str) -> list[Trajectory]:
    """Trajectories of a CSV file: rows in the order of time, one step apart.

    Args:
        path: The file.
        states: Columns of the states.
        inputs: Columns of the inputs; the row of a state holds the input that acts in it.
        trajectory: Column that says which run a row belongs to; "" when the file is one run.
    """
    names = [*states, *inputs]
    if not states:
        raise InputError.of("states", "nothing", expected="names of columns, separated by commas")
    for name in {name for name in [*names, *([trajectory] if trajectory else [])] if names.count(name) > 1}:
        raise InputError.of("states and inputs", name, expected="each column once")
    if trajectory in names:
        raise InputError.of("trajectory", trajectory, expected="a column beside states and inputs")
    required = [*names, *([trajectory] if trajectory else [])]
    table = read_table(path, option="--data", required=required, numbers=names)
    groups = [table] if not trajectory else [part for _, part in table.groupby(trajectory, sort=False)]
    found = []
    for part in groups:
        x = torch.from_numpy(part[list(states)].to_numpy(dtype=float, copy=True))
        u = torch.from_numpy(part[list(inputs)].to_numpy(dtype=float, copy=True)).reshape(len(x), len(inputs))
        if len(x) < 3:
            cause = "is the column of the runs the right one?"
            raise InputError.of(f"--data {path.name}", f"a run of {len(x)} rows", expected="at least 3", cause=cause)
        found.append(Trajectory(x, u[:-1]))
    columns = [*torch.cat([run.states for run in found]).T, *torch.cat([run.inputs for run in found]).T]
    for name, column in zip(names, columns, strict=True):
        if float(column.max()) == float(column.min()):
            expected, cause = "a column that changes", "leave a constant column out"
            raise InputError.of(f"--data {path.name}: column {name}", float(column[0]), expected=expected, cause=cause)
    return found


def alike(trajectories: Sequence[Trajectory], names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of the columns `names`, states then inputs, of which one is a straight line of the other."""
    rows = torch.cat([torch.cat([run.states[:-1], run.inputs], 1) for run in trajectories])
    unit = rows - rows.mean(0)
    unit = unit / unit.norm(dim=0).clamp(min=1e-300)
    return [
        (names[i], names[j]) for i, j in itertools.combinations(range(len(names)), 2)
        if float((unit[:, i] - torch.sign(unit[:, i] @ unit[:, j]) * unit[:, j]).norm()) < SAME
    ]  # fmt: skip


class Parts(NamedTuple):
    """What is fitted, what chooses among the fits, and what tests the one that was chosen."""

    fitted: list[Trajectory]
    choosing: list[Trajectory]
    test: list[Trajectory]  # empty: there is too little data, and the choosing part has to tell

    @property
    def known(self) -> list[Trajectory]:
        """What the chosen model may be fitted to."""
        return [*self.fitted, *self.choosing] if self.test else self.fitted

    @property
    def last(self) -> list[Trajectory]:
        """What the error that is reported belongs to."""
        return self.test or self.choosing


def steps(trajectories: Sequence[Trajectory]) -> int:
    """How many steps runs have together."""
    return sum(len(run.inputs) for run in trajectories)


def split(trajectories: Sequence[Trajectory]) -> Parts:
    """The last fifth tests, the fifth before it chooses: of the runs or, of fewer than five, of each run's steps.

    Below `FEWEST_STEPS` the last fifth chooses, and nothing tests.
    """
    shares = (2.0 * HELD_OUT, HELD_OUT) if steps(trajectories) >= FEWEST_STEPS else (HELD_OUT, 0.0)
    whole = len(trajectories) >= math.ceil(1 / HELD_OUT)
    parts = _by_runs(trajectories, shares) if whole else _by_steps(trajectories, shares)
    if not parts.choosing:
        raise InputError.of("--data", "too few rows", expected="rows enough to hold a fifth out")
    return parts


def _by_runs(trajectories: Sequence[Trajectory], shares: tuple[float, float]) -> Parts:
    runs, count = list(trajectories), len(trajectories)
    first, second = (count - (max(int(share * count), 1) if share else 0) for share in shares)
    return Parts(runs[:first], runs[first:second], runs[second:])


def _by_steps(trajectories: Sequence[Trajectory], shares: tuple[float, float]) -> Parts:
    parts: Parts = Parts([], [], [])
    for run in trajectories:
        count = len(run.inputs)
        first, second = (max(int((1.0 - share) * count), 1) for share in shares)
        for part, begin, end in zip(parts, (0, first, second), (first, second, count), strict=True):
            if begin < end:
                part.append(Trajectory(run.states[begin : end + 1], run.inputs[begin:end]))
    return parts


def judge(
    parts: Parts,
    *,
    degree: int,
    threshold: float | None,
    models: int,
    circles: Sequence[tuple[int, int]],
    seed: int,
) -> list[Judged]:
    """Fit changes of the state for each degree up to `degree` and each threshold; judge each on the choosing part.

    Raises:
        InputError: No model has any term, or there are too few rows.
    """
    limits = THRESHOLDS if threshold is None else (threshold,)
    return [
        _judged(_fit(parts.fitted, size, least, models, seed), parts.choosing, size, least, circles)
        for size, least in itertools.product(range(1, degree + 1), limits)
    ]


def tested(parts: Parts, taken: Judged, *, models: int, circles: Sequence[tuple[int, int]], seed: int) -> Judged:
    """The model that was chosen, fitted to the choosing part too and judged on the test part; itself without one."""
    if not parts.test:
        return taken
    model = _fit(parts.known, taken.degree, taken.threshold, models, seed)
    return _judged(model, parts.test, taken.degree, taken.threshold, circles)


def _fit(runs: Sequence[Trajectory], degree: int, threshold: float, models: int, seed: int) -> SparseModel:
    x, u = torch.cat([run.states[:-1] for run in runs]), torch.cat([run.inputs for run in runs])
    y = torch.cat([run.states[1:] for run in runs])
    if len(x) < 2:
        raise InputError.of("--data", f"{len(x)} steps to fit", expected="at least 2")
    library = Library(x.shape[1], u.shape[1], degree=degree, constant=True)
    regression = SparseRegression(RIDGE, threshold, models=models, scaled=True)
    stream = make_generator(seed, "sindy-rl", "trajectories", degree, f"{threshold:g}")
    return fit_sparse(x, u, y, library=library, regression=regression, increments=True, generator=stream)


def chosen(candidates: Sequence[Judged]) -> Judged:
    """The smallest model whose roll-out error is near the best; where all diverge, the best single step."""
    if all(math.isinf(one.roll_out) for one in candidates):
        return min(candidates, key=lambda one: (one.one_step, one.model.terms))
    limit = NEAR_BEST * min(one.roll_out for one in candidates)
    near = [one for one in candidates if one.roll_out <= limit]
    return min(near, key=lambda one: (one.model.terms, one.roll_out))


def persistence(parts: Parts) -> float:
    """The roll-out error of saying that nothing changes, on the starts of the error that is reported."""
    ahead, starts, _, later = _windows(parts.last)
    scale = spread(torch.cat([run.states for run in parts.last]))
    return float(((starts.expand(ahead, -1, -1) - later) / scale).square().mean().sqrt())


def circles_in(states: Tensor) -> list[tuple[int, int]]:
    """Pairs of columns `[N, n]` whose squares always add up to 1, each column in one pair at most."""
    found: list[tuple[int, int]] = []
    used: set[int] = set()
    for i, j in itertools.combinations(range(states.shape[1]), 2):
        length = states[:, i].square() + states[:, j].square()
        if not {i, j} & used and float((length - 1.0).abs().max()) < ROUND and float(states[:, i].std()) > ROUND:
            found.append((i, j))
            used |= {i, j}
    return found


def _judged(
    model: SparseModel, held: Sequence[Trajectory], degree: int, threshold: float, circles: Sequence[tuple[int, int]]
) -> Judged:
    x, u = torch.cat([run.states[:-1] for run in held]), torch.cat([run.inputs for run in held])
    y = torch.cat([run.states[1:] for run in held])
    error = float(((model.predict(x, u) - y) / spread(y - x)).square().mean().sqrt())
    ahead, starts, inputs, later = _windows(held)
    states = torch.cat([run.states for run in held])
    wide = 10.0 * (states.amax(0) - states.amin(0)) + 1e-9
    bounds = (states.amin(0) - wide, states.amax(0) + wide)
    reached = imagine(model, starts, inputs, circles=circles, bounds=bounds)
    far = float(((reached - later) / spread(states)).square().mean().sqrt())
    return Judged(model, degree, threshold, error, math.inf if math.isnan(far) else far, ahead)


def _windows(held: Sequence[Trajectory]) -> tuple[int, Tensor, Tensor, Tensor]:
    """(T, starts [B, n], inputs [T, B, m], states after each step [T, B, n]): windows spread over the runs."""
    ahead = min(MOST_AHEAD, max(min(len(run.inputs) for run in held), 1))
    places = [(run, at) for run in held for at in range(len(run.inputs) - ahead + 1)]
    places = [places[i] for i in np.unique(np.linspace(0, len(places) - 1, MOST_STARTS).astype(int))]
    starts = torch.stack([run.states[at] for run, at in places])
    inputs = torch.stack([run.inputs[at : at + ahead] for run, at in places], 1)
    later = torch.stack([run.states[at + 1 : at + 1 + ahead] for run, at in places], 1)
    return ahead, starts, inputs, later
