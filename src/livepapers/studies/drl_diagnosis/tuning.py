"""How the weight of the regulariser is chosen in each game, as the paper does: by trials of the robust arm."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livepapers.blocks.policy_door import as_policy
from livepapers.core import loop
from livepapers.core.errors import Diverged
from livepapers.core.rng import derive
from livepapers.lab import tuning
from livepapers.lab.study import Prepare, Run
from livepapers.methods.drl_diagnosis import updates_of
from livepapers.studies.drl_diagnosis.agents import learner, mean_return, settings
from livepapers.studies.drl_diagnosis.design import KAPPAS, PILOTS, WORLDS


def part_name(world: str, kappa: float, pilot: int) -> str:
    """What a trial is called in `PREPARE`."""
    return f"kappa-{kappa:g}-{world}-{pilot}"


def chosen_kappa(run: Run, preset: str, world: str, seed: int) -> dict[str, Any]:
    """What `lab.tuning.try_all` finds; trials that nobody has made yet are made on the way."""
    points = tuning.combinations({"weight": KAPPAS[preset]})

    def part(point: tuning.Point, pilot: int) -> str:
        return part_name(world, point["weight"], pilot)

    return tuning.try_parts(run, points, tuning.pilots(PILOTS[preset]), part, cell=seed)


def try_kappa(folder: Path, preset: str, *, world: str, kappa: float, pilot: int) -> None:
    """Train a robust agent and keep the lesser of its mean returns with and without the attack.

    It has to play, and to withstand; what diverges has no score.
    """
    config = settings(preset, arm="robust", weight=kappa)
    made = learner(config, world, preset, pilot)
    score = None
    try:
        loop.drive(made, updates_of(config), name=f"kappa {kappa:g}, {world}")
    except Diverged:
        pass
    else:
        policy, stream = as_policy(made.policy()), derive(pilot, "drl-diagnosis", "trial") >> 32
        score = min(
            mean_return(
                policy, world, preset, episodes=config.episodes * config.repeats, seed=stream, attacked=attacked
            )
            for attacked in (False, True)
        )
    tuning.keep_score(folder, score)


PREPARE: Mapping[str, Prepare] = {
    part_name(world, kappa, pilot): functools.partial(try_kappa, world=world, kappa=kappa, pilot=pilot)
    for world in WORLDS
    for kappa in sorted({kappa for kappas in KAPPAS.values() for kappa in kappas})
    for pilot in tuning.pilots(max(PILOTS.values()))
}
"""Each training by itself, made when a cell first asks for it."""
