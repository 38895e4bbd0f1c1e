"""Tuning of the ospo study: each main arm tries the same rates and explorations, in whole trainings.

A trial is a training as the study's cells are, in the evening, with weights and orders of a seed that no cell has; it
is judged as they are, on fresh episodes. Each is a prepared part of its own, and cells name all scores.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livepapers.core import loop
from livepapers.core.rng import generator
from livepapers.lab import tuning
from livepapers.lab.study import Prepare, Run
from livepapers.methods import ospo
from livepapers.studies.ospo.design import BUDGETS, LAST_RATE, LEARNERS, MAIN, POINTS, SETTINGS
from livepapers.studies.ospo.instances import greedy, learner, read_city
from livepapers.tasks.ride_pooling import RidePooling

DISCOUNT = 0.99
"""A minute, of the platform's reward."""
PILOT = tuning.pilots(1)


def config_of(arm: str, preset: str, values: Mapping[str, float]) -> ospo.Config:
    """An arm's training settings: the budget is equal, what differs was chosen by trials or is in `LEARNERS`."""
    tried = dict(values)
    if "learning_rate" in tried:
        tried["last_rate"] = LAST_RATE * tried["learning_rate"]
    return ospo.Config(**{**BUDGETS[preset].learning, **tried, **LEARNERS[arm]})


def part_name(arm: str, values: Mapping[str, float]) -> str:
    """What a trial is called in `PREPARE`."""
    return f"trial-{arm}-{values['learning_rate']:g}-{values['explore']:g}"


def chosen(run: Run, arm: str, preset: str, seed: int) -> dict[str, Any] | None:
    """What the trials of an arm (of ospo, for its variants) found; None where the settings are the paper's."""
    tuned = arm if arm in MAIN else "ospo"

    def part(point: tuning.Point, pilot: int) -> str:
        del pilot
        return part_name(tuned, point)

    points = BUDGETS[preset].trials
    return tuning.try_parts(run, points, PILOT, part, cell=seed) if points else None


def try_values(folder: Path, preset: str, *, arm: str, values: Mapping[str, float]) -> None:
    """Train an arm once and keep the discounted reward of what a cell would keep of it."""
    budget, (seed,) = BUDGETS[preset], PILOT
    world = RidePooling(read_city(SETTINGS[0], preset), vehicles=budget.vehicles)
    made = learner(arm, world, config_of(arm, preset, values), seed)
    loop.drive(made, made.updates, name=f"{arm}, trial")
    test = world.scenario(budget.tests, generator(seed, "ospo", "trial"))
    rewards = world.rollout(greedy(made.policy(), world), test).discounted(DISCOUNT)
    tuning.keep_score(folder, float(rewards.mean()))


PREPARE: Mapping[str, Prepare] = {
    part_name(arm, values): functools.partial(try_values, arm=arm, values=values) for arm in MAIN for values in POINTS
}
"""Each training by itself, made when a cell first asks for it."""
