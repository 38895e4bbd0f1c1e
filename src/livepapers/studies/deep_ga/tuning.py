"""Tuning of the deep-ga study: every trained arm tries as many settings as its rivals, on seeds that no cell has.

What is tried is judged by what the claims judge: mean return on fresh episodes, or how near to the goal. All scores are
kept in `tuned.json` of the prepared part, so that whoever doubts a rival's settings can read what else was tried.
"""

import functools
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from livepapers.core import loop
from livepapers.core.files import write_atomic
from livepapers.lab.study import Prepare, Setting
from livepapers.studies.deep_ga.design import GRIDS, MAZE_TRIAL, PILOTS, SETTINGS
from livepapers.studies.deep_ga.instances import budget, fresh_returns, search

FILE = "tuned.json"


def part_name(arm: str, setting: str) -> str:
    """What the tuning of an arm is called in `PREPARE`."""
    return f"tuned-{arm}-{setting}"


def tune(folder: Path, preset: str, *, arm: str, setting: Setting) -> None:
    """Try an arm's grid in a setting and keep all scores.

    Args:
        folder: Receives `tuned.json`, see `try_all`.
        preset: smoke tries two points for a moment.
        arm: ga, ga-ns or es.
        setting: Maze or control.
    """
    points, pilots = combinations(GRIDS[setting.part][arm]), PILOTS[setting.name]
    if preset == "smoke":
        points, pilots = points[:2], pilots[:1]

    def judge(values: Mapping[str, float], pilot: int) -> float:
        return trial(arm, setting, preset, values, pilot)

    found = try_all(points, pilots, judge)
    write_atomic(folder / FILE, json.dumps(found, indent=2, allow_nan=False) + "\n")


def trial(arm: str, setting: Setting, preset: str, values: Mapping[str, float], pilot: int) -> float:
    """One search with these settings: mean return on fresh episodes, or minus the least distance to the goal, units."""
    rules = budget(setting, preset, arm, values)
    made, generations, maze = search(arm, setting, rules, pilot), rules.genetic.generations, setting.name == "maze"
    loop.drive(made, min(generations, MAZE_TRIAL) if maze else generations, name=f"{arm}, trial in {setting.name}")
    if maze:
        return made.history[-1]
    return float(fresh_returns(made, setting, preset, pilot).double().mean())


def tuned(folder: Path) -> dict[str, Any]:
    """What `tune` kept."""
    return json.loads((folder / FILE).read_text(encoding="utf-8"))


def combinations(axes: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Every combination of the values of each name, the last name's changing fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def try_all(
    points: Sequence[Mapping[str, float]], seeds: Sequence[int], score: Callable[[Mapping[str, float], int], float]
) -> dict[str, Any]:
    """Score every point on every seed; the best mean is chosen, the first of equals.

    Args:
        points: Settings, all of the same names.
        seeds: Of the trials.
        score: (point, seed) -> the more, the better; what is not finite has lost, and is kept as null.

    Returns:
        JSON: `chosen`, its `mean`; `edges`: names of more than two values whose least or largest was chosen, so that
        the best may lie beyond; `seeds`; `trials`: every point with its scores and their mean.
    """
    trials = []
    for point in points:
        scores = [score(point, seed) for seed in seeds]
        mean = fmean(scores)
        trials.append({"values": dict(point), "scores": [_finite(one) for one in scores], "mean": _finite(mean)})
    if all(one["mean"] is None for one in trials):
        raise ValueError("no trial has a finite score")
    best = max(trials, key=lambda one: -math.inf if one["mean"] is None else one["mean"])
    edges = {name: edge for name in best["values"] if (edge := _edge(points, name, best["values"][name]))}
    return {"chosen": best["values"], "mean": best["mean"], "edges": edges, "seeds": list(seeds), "trials": trials}


def _edge(points: Sequence[Mapping[str, float]], name: str, value: float) -> str:
    tried = sorted({point[name] for point in points})
    if len(tried) < 3:
        return ""
    return {tried[0]: "least", tried[-1]: "largest"}.get(value, "")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


PREPARE: Mapping[str, Prepare] = {
    part_name(arm, setting.name): functools.partial(tune, arm=arm, setting=setting)
    for setting in SETTINGS
    for arm in setting.arms
    if arm in GRIDS.get(setting.part, {})
}
"""Each arm's tuning by itself, done when its first cell asks for it."""
