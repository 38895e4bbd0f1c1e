"""One cell of the deep-ga study: a search in its world, judged on fresh episodes, or the encoding in bytes."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from livepapers.core.rng import derive
from livepapers.lab.study import Run, Setting
from livepapers.methods.deep_ga import Evolution, Genome, Layout, described_policy
from livepapers.studies.deep_ga.instances import Search, budget, episodes_each, fresh_returns, search
from livepapers.studies.deep_ga.tuning import PREPARE, part_name, tuned
from livepapers.tasks.hard_maze import SOLVED

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


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell."""
    if setting.name == "encoding":
        return _encoding(seed, preset)
    return _search(arm, setting, seed, preset, run)


def _search(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    trials = _trials(arm, setting, preset, run)
    rules = budget(setting, preset, arm, trials.get("chosen"))
    learner = search(arm, setting, rules, seed)

    def look(_: int) -> dict[str, float]:
        return {"best_seen": learner.history[-1]}

    run.drive(learner, rules.genetic.generations, evaluate=look)
    _keep(learner, arm, setting, seed, preset, run)
    choice = {name: float(value) for name, value in trials.get("chosen", {}).items()}
    if trials:
        choice["at_edge"] = float(len(trials["edges"]))
    if setting.name == "maze":
        run.samples("places", learner.behaviour.numpy())
        final, each = learner.history[-1], episodes_each(rules.genetic)
        found = {"distance": -final, "solved": float(-final < SOLVED)}
        return {**choice, **found, "spent": float(each * _first(learner.history, -SOLVED))}
    returns = fresh_returns(learner, setting, preset, seed)
    run.spend(fresh_episodes=len(returns))
    run.samples("fresh", returns.numpy())
    values = {**choice, "fresh": float(returns.double().mean()), "best_seen": learner.history[-1]}
    if isinstance(learner, Evolution):
        values["validated"] = learner.elite_score
    return values


def _trials(arm: str, setting: Setting, preset: str, run: Run) -> Mapping[str, Any]:
    """What tuning found; nothing for an arm without, and in the paper's own maze, where each arm's are published."""
    name = part_name(arm, setting.name)
    if name not in PREPARE or (preset, setting.name) == ("paper", "maze"):
        return {}
    return tuned(run.prepared(name))


def _keep(learner: Search, arm: str, setting: Setting, seed: int, preset: str, run: Run) -> None:
    """Keep the network that was found."""
    task = {"name": str(setting.parameters["world"]), "arguments": dict(setting.parameters.get("arguments", {}))}
    elite = learner.elite if isinstance(learner, Evolution) else None
    run.artifact(
        "policy", described_policy(learner.layout, elite, task=task, seed=seed, arm=arm, preset=preset),
        weights=learner.policy().state_dict(),
    )  # fmt: skip


def _first(history: list[float], level: float) -> int:
    """The first generation in which the level was passed, or all."""
    return next((step for step, value in enumerate(history, 1) if value > level), len(history))


def _encoding(seed: int, preset: str) -> dict[str, float]:
    """Bytes of genomes and weights, and whether another process rebuilds every bit."""
    layout = Layout(Box(0, 255, (4, 84, 84), np.uint8), Discrete(18), hidden="large")
    stream = torch.Generator().manual_seed(derive(seed, "deep-ga", "encoding"))
    seeds = torch.randint(2**32, (GENERATIONS[-1] + 1,), generator=stream).tolist()
    weights = 4 * layout.parameters
    values = {"weights": float(weights)}
    for count in GENERATIONS:
        values[f"bytes_{count}"] = float(len(_genome(seeds, count, layout).to_bytes()))
        values[f"ratio_{count}"] = weights / values[f"bytes_{count}"]
    values["generations_10000"] = float(
        max(count for count in range(len(seeds)) if weights >= 10_000 * len(_genome(seeds, count, layout).to_bytes()))
    )
    depth = 3 if preset == "smoke" else 100
    genome = _genome(seeds, depth, layout)
    here = hashlib.sha256(genome.decode(layout.scale()).tobytes()).hexdigest()
    command = [sys.executable, "-c", _OTHER, genome.to_bytes().hex()]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {**values, "rebuilt": float(here == there)}


def _genome(seeds: Sequence[int], generations: int, layout: Layout) -> Genome:
    """After so many mutations of the paper's sigma."""
    return Genome(tuple(seeds[: generations + 1]), (float(np.float32(0.002)),) * generations, layout.signature)
