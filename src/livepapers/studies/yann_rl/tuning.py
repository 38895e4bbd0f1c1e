"""Tuning of the yann-rl study: YANN-DDPG and DDPG try the same rates and factors on costs, in whole trainings.

A trial is a training as the study's cells are, of a seed that no cell has, judged by the mean cost of random starts.
Each is a prepared part of its own, and cells name what was chosen.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livepapers.core import loop
from livepapers.core.rng import generator
from livepapers.lab import tuning
from livepapers.lab.study import Prepare, Run
from livepapers.studies.yann_rl.instances import learner, world
from livepapers.tasks.plants import run as play_out

TUNED = ("yann", "ddpg")
PLANTS = ("pendulum", "reactor")
RATES = ((1e-4, 1e-7), (1e-4, 1e-6), (1e-4, 1e-3), (1e-3, 1e-3))
"""Learning rates of (actor, critic) that both methods try."""
SCALES = (0.01, 1.0)
"""Factors on costs that both methods try with each."""
POINTS = tuple(
    {"actor_rate": actor, "critic_rate": critic, "cost_scale": scale} for actor, critic in RATES for scale in SCALES
)
PILOTS = tuning.pilots(1)
VALIDATION_STARTS = 20
QUICK = 5  # updates of a trial at the smoke preset


def part_name(arm: str, plant: str, values: Mapping[str, float]) -> str:
    """What a trial is called in `PREPARE`."""
    return f"trial-{arm}-{plant}-" + "-".join(f"{value:g}" for value in values.values())


def chosen(run: Run, arm: str, plant: str, preset: str, seed: int) -> dict[str, Any]:
    """What the trials of an arm (of yann, for its ablations) found on a plant."""
    tuned = arm if arm in TUNED else "yann"

    def part(point: tuning.Point, pilot: int) -> str:
        del pilot
        return part_name(tuned, plant, point)

    return tuning.try_parts(run, POINTS[:2] if preset == "smoke" else POINTS, PILOTS, part, cell=seed)


def try_rates(folder: Path, preset: str, *, arm: str, plant: str, values: Mapping[str, float]) -> None:
    """Train an arm once; its score is minus the mean cost of random starts."""
    (pilot,), here = PILOTS, world(plant).plant
    made = learner(arm, plant, rates=values, preset=preset, updates=QUICK if preset == "smoke" else None, seed=pilot)
    loop.drive(made, made.config.updates, name=f"{arm}, trial on the {plant}")
    starts = here.initial(VALIDATION_STARTS, generator(pilot, "yann-rl", "tuning", plant))
    tuning.keep_score(folder, -float(play_out(here, made.actor, starts).cost.mean()))


PREPARE: Mapping[str, Prepare] = {
    part_name(arm, plant, values): functools.partial(try_rates, arm=arm, plant=plant, values=values)
    for arm in TUNED
    for plant in PLANTS
    for values in POINTS
}
"""Each training by itself, made when a cell first asks for it."""
