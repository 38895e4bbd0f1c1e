"""Equations of a user's recorded trajectories: fitted, chosen and tested on parts of their own."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from livepapers.core import artifact
from livepapers.core.application import Application, Row, rounded, to_csv
from livepapers.core.files import new_folder, sha256
from livepapers.methods.sindy_rl import trajectories
from livepapers.methods.sindy_rl.circles import remarks
from livepapers.methods.sindy_rl.model import SparseModel
from livepapers.methods.sindy_rl.model_files import CANDIDATES, EQUATIONS, FILES, equations, holds, model_files

HARDLY = 0.9  # a roll-out error of this times that of foreseeing no change is no success
HIGHEST = 5  # degree
GOOD = 1e-3  # roll-out error, of the states' spread, below which no higher degree is advised


@dataclass(frozen=True)
class Settings:
    """What is tried."""

    degree: int  # the highest
    threshold: float | None  # None tries several
    models: int
    seed: int


def equations_of(
    data: Path,
    names: tuple[list[str], list[str]],
    *,
    trajectory: str,
    settings: Settings,
    output: Path | None,
) -> Application:
    """The equations of recorded trajectories, and how far they can be trusted.

    Args:
        data: CSV file of trajectories.
        names: Columns of the states and of the inputs.
        trajectory: Column that tells runs apart; "" for one run.
        settings: What is tried.
        output: Folder; nothing is written when None.

    Raises:
        InputError: One line that names file or column; nothing was written.
    """
    states, inputs = names
    runs = trajectories.read_trajectories(data, states=states, inputs=inputs, trajectory=trajectory)
    parts = trajectories.split(runs)
    circles = trajectories.circles_in(torch.cat([run.states for run in runs]))
    given = {"models": settings.models, "circles": circles, "seed": settings.seed}
    tried = trajectories.judge(parts, degree=settings.degree, threshold=settings.threshold, **given)
    taken = trajectories.chosen(tried)
    best = trajectories.tested(parts, taken, **given)
    tables = {
        EQUATIONS: [{"equation": line} for line in equations(best.model, states, inputs, circles)],
        CANDIDATES: [_tried(one, chosen=one is taken) for one in tried],
    }
    notes = [*remarks(states, circles), *_notes(parts, best, settings)]
    notes += [
        f"{first} and {second} tell the same, one being a straight line of the other: no data can say which of them is "
        "at work, and the equations share it out; leave one out"
        for first, second in trajectories.alike(runs, [*states, *inputs])
    ]
    done = Application("sindy-rl", _headline(parts, best, states), tables, tuple(notes))
    made_by: dict[str, Any] = {"data": sha256(data), **asdict(settings)}
    return done if output is None else _write_equations(done, output, best.model, names, circles, made_by)


def _headline(parts: trajectories.Parts, best: trajectories.Judged, states: list[str]) -> str:
    steps, nothing = sum(map(trajectories.steps, parts)), trajectories.persistence(parts)
    far = "diverge" if math.isinf(best.roll_out) else f"err by {100 * best.roll_out:.2g} % of the states' spread"
    which = "held-out roll-outs" if parts.test else "roll-outs that chose the model"
    return (
        f"{best.model.terms} terms of degree {best.degree} for {len(states)} states from {steps:,} steps; {which} of "
        f"{best.ahead} steps {far} (saying that nothing changes: {100 * nothing:.2g} %)"
    )


def _notes(parts: trajectories.Parts, best: trajectories.Judged, settings: Settings) -> list[str]:
    rows, candidates = trajectories.steps(parts.known), len(best.model.library)
    notes = []
    if parts.test:
        notes.append(
            f"models were fitted to {trajectories.steps(parts.fitted):,} steps and one was chosen on "
            f"{trajectories.steps(parts.choosing):,} others; fitted to both it was tested on the last "
            f"{trajectories.steps(parts.test):,}, which neither fitted nor chose"
        )
    else:
        notes.append(
            f"{sum(map(trajectories.steps, parts))} steps are too few for a test part: the error is of the "
            f"{trajectories.steps(parts.choosing)} steps that chose the model, which flatters it"
        )
    if best.roll_out >= HARDLY * trajectories.persistence(parts):
        notes.append("the equations foresee hardly more than that nothing changes: more data, other states or terms?")
    if rows < candidates:
        notes.append(
            f"{rows} steps were fitted to {candidates} candidate terms of degree {best.degree}: many other equations "
            "would fit them as well; give more rows or a lower --degree"
        )
    elif best.degree == settings.degree and 1 < settings.degree < HIGHEST and best.roll_out > GOOD:
        notes.append("the highest degree was taken; a higher one may do better")
    return notes


def _write_equations(
    done: Application,
    output: Path,
    model: SparseModel,
    names: tuple[list[str], list[str]],
    circles: list[tuple[int, int]],
    made_by: dict[str, Any],
) -> Application:
    """The equations of recorded trajectories, whole or not at all."""
    states, inputs = names
    described = artifact.Artifact(
        "estimator", "sindy-rl", "", {"library": model.library.to_json()}, made_by,
        {"states": list(states), "inputs": list(inputs), "circles": [list(pair) for pair in circles]},
    )  # fmt: skip
    weights = {"ensemble": model.ensemble, "coefficients": model.coefficients}
    written = model_files(model, states, inputs, circles) | {FILES[CANDIDATES]: to_csv(done.tables[CANDIDATES])}
    with new_folder(output) as folder:
        artifact.save(folder, described, weights=weights, files=written)
    return Application("sindy-rl", done.headline, done.tables, done.notes, holds(written), output)


def _tried(one: trajectories.Judged, *, chosen: bool) -> Row:
    return {
        "degree": one.degree, "threshold": one.threshold, "terms": one.model.terms,
        "one step, % of changes": rounded(100 * one.one_step),
        f"{one.ahead} steps, % of states": None if math.isinf(one.roll_out) else rounded(100 * one.roll_out),
        "taken": chosen,
    }  # fmt: skip
