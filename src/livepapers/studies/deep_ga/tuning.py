"""Tuning of the deep-ga study: every trained arm tries as many settings as its rivals, on seeds that no cell has.

What is tried is judged by what the claims judge: mean return on fresh episodes, or how near to the goal. All scores are
kept in `tuned.json` of the prepared part, so that whoever doubts a rival's settings can read what else was tried.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livepapers.core import loop
from livepapers.core.files import write_atomic
from livepapers.lab import tuning
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
        folder: Receives `tuned.json`, see `lab.tuning`.
        preset: smoke tries two points for a moment.
        arm: ga, ga-ns or es.
        setting: Maze or control.
    """
    points, pilots = tuning.combinations(GRIDS[setting.part][arm]), PILOTS[setting.name]
    if preset == "smoke":
        points, pilots = points[:2], pilots[:1]

    def judge(values: Mapping[str, float], pilot: int) -> float:
        return trial(arm, setting, preset, values, pilot)

    found = tuning.try_all(points, pilots, judge)
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


PREPARE: Mapping[str, Prepare] = {
    part_name(arm, setting.name): functools.partial(tune, arm=arm, setting=setting)
    for setting in SETTINGS
    for arm in setting.arms
    if arm in GRIDS.get(setting.part, {})
}
"""Each arm's tuning by itself, done when its first cell asks for it."""
