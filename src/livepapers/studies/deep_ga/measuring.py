"""One cell of the deep-ga study: a search in its world, judged on fresh episodes, or the encoding in bytes."""

import hashlib
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from livepapers.core.config import replace
from livepapers.core.rng import derive
from livepapers.lab.study import Run, Setting
from livepapers.methods.deep_ga import (
    Algorithm,
    Config,
    Evaluator,
    Evolution,
    EvolutionStrategy,
    Genome,
    Layout,
    StrategyConfig,
    described_policy,
    world_of,
)
from livepapers.tasks.hard_maze import SOLVED

CONTROL = {
    "population": 100, "parents": 10, "sigma": 0.1, "generations": 20, "candidates": 10, "validation": 10
}  # fmt: skip
ATARI = {
    "population": 50, "parents": 5, "sigma": 0.002, "generations": 4, "candidates": 4, "validation": 5,
    "side_by_side": 20,
}  # fmt: skip
CAP = 1000
"""Actions of an Atari episode in training; the elite is judged without it."""
FRESH = {"smoke": 20, "laptop": 500, "paper": 500}
GENERATIONS = (0, 10, 100, 400, 1000)
_OTHER = """
import hashlib, sys
from gymnasium.spaces import Box, Discrete
import numpy as np
from livepapers.methods import deep_ga
layout = deep_ga.Layout(Box(0, 255, (4, 84, 84), np.uint8), Discrete(18), hidden="large")
genome = deep_ga.Genome.from_bytes(bytes.fromhex(sys.argv[1]))
print(hashlib.sha256(genome.decode(layout.scale()).tobytes()).hexdigest())
"""


class Budget(NamedTuple):
    """Settings of both kinds of search; they spend the same number of episodes."""

    genetic: Config
    strategy: StrategyConfig


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell."""
    if setting.name == "encoding":
        return _encoding(seed, preset)
    return _search(arm, setting, seed, preset, run)


def budget(setting: Setting, preset: str, arm: str) -> Budget:
    """The settings of a preset, maze or control."""
    algorithm: Algorithm = arm if arm in ("ga", "ga-ns") else "random"  # type: ignore[assignment]
    config = replace(Config(), algorithm=algorithm, validation=0)
    if setting.name == "frostbite":
        config = replace(config, **ATARI)
    elif setting.name != "maze":
        config = replace(config, **CONTROL)
    if preset == "smoke":
        few = min(config.validation, 2)
        config = replace(config, population=20, parents=4, generations=2, candidates=4, validation=few)
    elif preset == "paper" and setting.name == "maze":
        config = replace(config, population=20_000, parents=61, sigma=0.005, generations=400)
    elif preset == "paper":
        config = replace(config, population=1000, parents=20, generations=100, validation=30)
    episodes = config.population + config.candidates * config.validation
    return Budget(config, StrategyConfig(pairs=episodes // 2, sigma=config.sigma))


def _search(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    settings, arguments = setting.parameters, dict(setting.parameters.get("arguments", {}))
    world, seen, acts = world_of(str(settings["world"]), arguments)
    atari = setting.name == "frostbite"
    layout = Layout(seen, acts, hidden="small" if atari else (16, 16))
    rules, start = budget(setting, preset, arm), derive(seed, "deep-ga", setting.name)  # all arms: the same start
    learner: Evolution | EvolutionStrategy
    if arm == "es":
        learner = EvolutionStrategy(world, layout, config=rules.strategy, seed=start)
    else:
        learner = Evolution(world, layout, config=rules.genetic, seed=start, cap=CAP if atari else 0)
    each = rules.genetic.population + rules.genetic.candidates * rules.genetic.validation

    def look(_: int) -> dict[str, float]:
        return {"best_seen": learner.history[-1]}

    run.drive(learner, rules.genetic.generations, evaluate=look)
    policy = learner.policy()
    elite = learner.elite if isinstance(learner, Evolution) else None
    task = {"name": str(settings["world"]), "arguments": arguments}
    run.artifact(
        "policy", described_policy(layout, elite, task=task, seed=seed, arm=arm, preset=preset),
        weights=policy.state_dict(),
    )  # fmt: skip
    if setting.name == "maze":
        run.samples("places", learner.behaviour.numpy())
        final = learner.history[-1]
        found = {"distance": -final, "solved": float(-final < SOLVED)}
        return {**found, "spent": float(each * _first(learner.history, -SOLVED))}
    episodes = 30 if atari else FRESH[preset]
    theta = policy.theta.detach().numpy()
    judge = Evaluator(world, layout, side_by_side=500)
    fresh = judge(lambda _: theta, 1, episodes=episodes, seed=derive(seed, "deep-ga", "fresh", setting.name))
    run.spend(fresh_episodes=episodes)
    run.samples("fresh", fresh.returns[0].numpy())
    values = {"fresh": float(fresh.returns.double().mean()), "best_seen": learner.history[-1]}
    if isinstance(learner, Evolution):
        values["validated"] = learner.elite_score
    return values


def _first(history: list[float], level: float) -> int:
    """The first generation in which the level was passed, or all."""
    return next((step for step, value in enumerate(history, 1) if value > level), len(history))


def _encoding(seed: int, preset: str) -> dict[str, float]:
    """Bytes of genomes and weights, and whether another process rebuilds every bit."""
    layout = Layout(Box(0, 255, (4, 84, 84), np.uint8), Discrete(18), hidden="large")
    stream = torch.Generator().manual_seed(derive(seed, "deep-ga", "encoding"))
    seeds = torch.randint(2**32, (GENERATIONS[-1] + 1,), generator=stream).tolist()
    sigma, weights = float(np.float32(0.002)), 4 * layout.parameters
    values = {"weights": float(weights)}
    for count in GENERATIONS:
        genome = Genome(tuple(seeds[: count + 1]), (sigma,) * count, layout.signature)
        values[f"bytes_{count}"] = float(len(genome.to_bytes()))
        values[f"ratio_{count}"] = weights / values[f"bytes_{count}"]
    depth = 3 if preset == "smoke" else 100
    genome = Genome(tuple(seeds[: depth + 1]), (sigma,) * depth, layout.signature)
    here = hashlib.sha256(genome.decode(layout.scale()).tobytes()).hexdigest()
    command = [sys.executable, "-c", _OTHER, genome.to_bytes().hex()]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {**values, "rebuilt": float(here == there)}
