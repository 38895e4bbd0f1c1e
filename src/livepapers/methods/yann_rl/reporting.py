"""What `apply` says of a law, its check and its training: tables, headline and notes."""

import numpy as np

from livepapers.core.application import Row
from livepapers.methods.yann_rl.model_file import Model
from livepapers.methods.yann_rl.verification import Verification

MOST_LITERAL = 500  # regions of a network that is written out with all its zeros
EXACT = 1e-9
UNEXPLORED = (
    "without exploration rewards hardly tell how cost depends on the input; if the environment is a simulation, "
    "--noise 0.2 may find a better controller"
)
STARTS = 10
"""Episodes that compare a controller before and after training."""
LITERAL_BEYOND = ", and the plain network in literal/ gives the input's set point"


def check_rows(check: Verification) -> list[Row]:
    """The table of the check."""
    solved = check.points + check.facets
    return [
        {"states": "random in the box", "number": check.points, "largest difference": check.error},
        {"states": "on facets of regions", "number": check.facets, "largest difference": check.facet_error},
        {"states": "answer by one only", "number": check.disagreements, "largest difference": None},
        {"states": "the program's own residual", "number": solved, "largest difference": check.residual},
    ]  # fmt: skip


def region_rows(model: Model, check: Verification) -> list[Row]:
    """Regions by the share of the box that they hold: u = gain (state - set point) + offset."""
    law = model.law
    rows: list[Row] = []
    for region in np.argsort(-check.shares, kind="stable").tolist():
        row: dict[str, str | int | float | bool | None] = {
            "region": region + 1, "share of box, %": round(100.0 * float(check.shares[region]), 2),
            "inequalities": int(law.starts[region + 1] - law.starts[region]),
        }  # fmt: skip
        for k in range(model.problem.inputs):
            for j in range(model.problem.states):
                row[f"u{k + 1} per s{j + 1}"] = rounded(float(law.gains[region, k, j]))
            row[f"u{k + 1} offset"] = rounded(float(law.offsets[region, k]) + model.input[k])
        rows.append(row)
    return rows


def headline(model: Model, check: Verification) -> str:
    """Whether the network is the quadratic program's solution."""
    word = "DIFFERS FROM" if _differs(check) else "equals"
    return (
        f"the network of {model.law.regions} regions {word} the quadratic program: largest difference "
        f"{check.worst:.1e} on {check.points:,} random states ({100 * check.feasible:.1f} % feasible) and "
        f"{check.facets:,} facet states"
    )


def improvement(rows: list[Row], steps: int, kept: int, critic: str) -> str:
    """What training has changed: `kept` is the step whose controller was kept, 0 for the exact one."""
    mean = next(row for row in rows if row["start"] == "mean")
    stops = next(row for row in rows if row["start"] == "in training")["ended early after"]
    in_training = f"{stops} episodes ended early in training"
    if not kept:
        return f"2 x {steps:,} steps on the environment found none better: the exact one is kept; {in_training}"
    before, after = float(mean["cost before"] or 0.0), float(mean["cost after"] or 0.0)
    change = 100.0 * (after - before) / max(abs(before), 1e-12)
    word = (
        "no measurable improvement"
        if abs(change) < 1.0
        else f"{abs(change):.1f} % " + ("less" if change < 0 else "MORE")
    )
    more = int(mean["ended early after"] or 0) - int(mean["ended early before"] or 0)
    limits = f"{more} MORE of {STARTS} episodes ended early, " if more > 0 else ""
    return (
        f"of 2 x {steps:,} steps on the environment the controller after {kept:,} with the {critic} critic is kept, "
        f"mean cost {before:,.4g} -> {after:,.4g} ({word}), {limits}{in_training}"
    )


def notes(
    model: Model, check: Verification, outside: str, *, trained: bool, written: bool, noise: float = 0.0
) -> tuple[str, ...]:
    """What a user has to know about the check, the controller and its training."""
    found = []
    if _differs(check):
        found.append(_who_is_off(check))
    if check.feasible < 1.0:
        share = f"in {100 * (1 - check.feasible):.1f} % of the box no input keeps the bounds; there the controller"
        beyond = LITERAL_BEYOND if written and model.law.regions <= MOST_LITERAL else ""
        found.append(f"{share} acts by the rule --outside {outside}{beyond}")
    if model.law.regions > MOST_LITERAL:
        found.append(f"over {MOST_LITERAL} regions no plain network of five layers is made: most of it would be zeros")
    if trained:
        found.append("critics start from Q and R of the file, and learn faster the closer these are to the rewards")
        if not noise:
            found.append(UNEXPLORED)
        found.append("rewards count as minus costs, and an episode that terminates as a broken limit")
    elif written:
        found.append("`livepapers export` writes the controller as ONNX; `livepapers evaluate` needs --env ID here")
    return tuple(found)


def _differs(check: Verification) -> bool:
    return check.worst > EXACT or check.disagreements > 0


def _who_is_off(check: Verification) -> str:
    """Whether a difference is the network's or the quadratic program's, and what to do."""
    if check.residual > EXACT:
        return (
            f"the difference is no fault of the network alone: the quadratic program misses its own optimality "
            f"conditions by {check.residual:.1e}; a shorter horizon, or units in which A, B, Q and R are of one "
            "order of magnitude, give digits back"
        )
    return (
        f"the quadratic program meets its optimality conditions to {check.residual:.1e}, so the regions are at fault: "
        "do not use this controller, and try another horizon; we should like to see the file"
    )


def rounded(value: float) -> float:
    """Six digits, and no dust around 0."""
    return 0.0 if abs(value) < 1e-10 else float(f"{value:.6g}")
