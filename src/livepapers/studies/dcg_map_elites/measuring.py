"""One cell of the dcg-map-elites study: a search within its budget, archive and actor judged afresh."""

import math
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file

from livepapers.core.config import replace
from livepapers.core.rng import derive
from livepapers.lab.study import Prepare, Run, Setting
from livepapers.methods.dcg_map_elites import (
    Config,
    DescriptorConditionedSearch,
    World,
    variant,
    voronoi_centroids,
)

SWIMMER = {"descriptor_noise": 0.01, "critic_steps": 300, "gradient_steps": 50, "iterations": 30}
CELLS = "cells of the box"
_CENTROIDS = "centroids.safetensors"
HIGHEST = {"point-omni": 50.0, "swimmer-omni": 250.0}
"""Fitness of a policy that never spends energy: the number of steps."""


def settings(setting: Setting, preset: str) -> Config:
    """The method's settings, from which those of the rivals follow."""
    config = Config()
    if setting.name == "swimmer":
        config = replace(config, **SWIMMER)
    if preset == "smoke":
        return replace(Config.smoke(), iterations=3)
    return Config.paper() if preset == "paper" else config


def budget(config: Config) -> int:
    """Evaluations of the whole method, initial policies and roll-outs of the actor included."""
    return config.offspring + config.iterations * config.evaluations


def iterations(arm: Config, spend: int) -> int:
    """Updates, the first included, that an arm can pay: as many as fit."""
    return 1 + (spend - arm.offspring) // arm.evaluations


def prepare_cells(folder: Path, preset: str) -> None:
    """Centroids of the box, the same for all arms, seeds and settings of a preset."""
    config = settings(Setting("point", "", (), {}), preset)
    centroids = voronoi_centroids(config.cells, 2, samples=config.cell_samples, seed=0)
    save_file({"centroids": centroids}, folder / _CENTROIDS)


PREPARE: Mapping[str, Prepare] = {CELLS: prepare_cells}


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell."""
    base = settings(setting, preset)
    config = variant(base, "map-elites" if arm == "random" else arm)
    updates = iterations(config, budget(base))
    if arm == "random":  # one update of nothing but initial policies spends as much
        config = replace(config, mutated=config.mutated * updates)
        updates = 1
    world = World.of(str(setting.parameters["world"]), **dict(setting.parameters.get("arguments", {})))
    centroids = load_file(run.prepared(CELLS) / _CENTROIDS)["centroids"]
    start = derive(seed, "dcg-map-elites", world.name)  # all arms: the same initial policies and worlds
    learner = DescriptorConditionedSearch(world, config=config, seed=start, centroids=centroids)
    highest = HIGHEST[world.name] * len(centroids)

    def look(_: int) -> dict[str, float]:
        return {"qd_score": learner.archive.qd_score / highest, "coverage": learner.archive.coverage}

    run.drive(learner, updates, evaluate=look)
    if arm == "dcg":
        policy = learner.policy()
        run.artifact("policy", learner.artifact(arm=arm, preset=preset), weights=policy.state_dict())
    run.samples("fitness", learner.archive.fitness.numpy())
    return _judged(learner, highest, derive(seed, "dcg-map-elites", "fresh"), run)


def _judged(learner: DescriptorConditionedSearch, highest: float, seed: int, run: Run) -> dict[str, float]:
    """The archive as stored and evaluated again, its gradient offspring, and the actor where it knows descriptors."""
    percent = 100.0 / math.sqrt(4.0 * learner.world.descriptor.size)  # half-widths to shares of the diagonal
    again, found = learner.corrected(seed), learner.archive
    run.spend(fresh_episodes=len(found.occupied))
    values = {
        "qd_score": found.qd_score / highest, "coverage": found.coverage, "best": found.best,
        "corrected_qd_score": again.qd_score / highest, "corrected_coverage": again.coverage,
        "error": percent * again.error, "evaluations": float(learner.work()["evaluations"]),
    }  # fmt: skip
    if learner.config.gradients:
        values |= {"accepted": learner.gradient_record.accepted, "drift": percent * learner.gradient_record.drift}
    if learner.config.conditioned_actor:
        actor = learner.distilled(seed)
        values |= {
            "actor_qd_score": actor.qd_score / highest, "actor_coverage": actor.coverage,
            "actor_error": percent * actor.error,
        }  # fmt: skip
    return values
