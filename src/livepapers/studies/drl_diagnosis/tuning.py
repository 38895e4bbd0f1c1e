"""How the weight of the regulariser is chosen in each game, as the paper does: by trials of the robust arm."""

import functools
from collections.abc import Mapping
from pathlib import Path

from livepapers.blocks.policy_door import as_policy
from livepapers.core import loop
from livepapers.core.rng import derive
from livepapers.lab import tuning
from livepapers.lab.study import Prepare
from livepapers.methods.drl_diagnosis import updates_of
from livepapers.studies.drl_diagnosis.agents import learner, mean_return, settings
from livepapers.studies.drl_diagnosis.design import KAPPAS, PILOTS, WORLDS


def part_name(world: str) -> str:
    """What the choice for a game is called in `PREPARE`."""
    return f"kappa-{world}"


def tune(folder: Path, preset: str, *, world: str) -> None:
    """Train a robust agent with each kappa and each seed of a trial, and keep what each scores."""

    def score(point: Mapping[str, float], pilot: int) -> float:
        return trial(world, preset, point["weight"], pilot)

    points = tuning.combinations({"weight": KAPPAS[preset]})
    tuning.keep(folder, tuning.try_all(points, tuning.pilots(PILOTS[preset]), score))


def trial(world: str, preset: str, weight: float, pilot: int) -> float:
    """The lesser of an agent's mean returns with and without the attack: it has to play, and to withstand."""
    config = settings(preset, arm="robust", weight=weight)
    made = learner(config, world, preset, pilot)
    loop.drive(made, updates_of(config), name=f"kappa {weight:g}, {world}")
    policy, episodes = as_policy(made.policy()), config.episodes * config.repeats
    stream = derive(pilot, "drl-diagnosis", "trial") >> 32
    return min(
        mean_return(policy, world, preset, episodes=episodes, seed=stream, attacked=attacked)
        for attacked in (False, True)
    )


PREPARE: Mapping[str, Prepare] = {part_name(world): functools.partial(tune, world=world) for world in WORLDS}
