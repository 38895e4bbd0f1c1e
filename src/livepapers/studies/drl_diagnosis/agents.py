"""The agents of the drl-diagnosis study: trained once each, kept as artifacts."""

import json
import time
from pathlib import Path
from typing import Any

from livepapers.blocks.policy_door import AnyPolicy, as_policy
from livepapers.core import artifact, loop
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import write_atomic
from livepapers.core.learner import JSON
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.lab.study import Run
from livepapers.methods.drl_diagnosis import Config, ConvQPolicy, RobustQLearning, updates_of
from livepapers.studies.drl_diagnosis.design import HORIZON, KAPPA, REGIMES
from livepapers.tasks import worlds
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import SimulatorTask

MOST_SEEDS = 20
ARCHITECTURE = "methods.drl_diagnosis:ConvQPolicy"


def agent_name(arm: str, world: str, seed: int) -> str:
    """What an agent is called in `PREPARE`."""
    if not 0 <= seed < MOST_SEEDS:
        raise InputError.of("seeds", seed + 1, expected=f"at most {MOST_SEEDS}: each has agents of its own")
    return f"{world}-{arm}-{seed}"


def settings(preset: str, *, arm: str, world: str) -> Config:
    """The method's settings for one agent; the network before training has those of the plain one."""
    chosen = Config.preset(preset)
    weight = KAPPA[world] if preset == "laptop" else chosen.weight
    return replace(chosen, regime=REGIMES.get(arm, "plain"), layers=Config().layers, weight=weight)


def game(world: str, preset: str) -> Simulator[Any, Any, Any]:
    """The game that agents are trained and diagnosed in."""
    return worlds.simulator(world, {"horizon": HORIZON[preset]})


def training_seed(world: str, seed: int) -> int:
    """Regimes of one seed share it: they begin with the same weights."""
    return derive(seed, "drl-diagnosis", "train", world)


def train(folder: Path, preset: str, *, arm: str, world: str, seed: int) -> None:
    """Train one agent and keep it, with what its training took."""
    config = settings(preset, arm=arm, world=world)
    began = time.process_time()
    learner = RobustQLearning(
        SimulatorTask(game(world, preset), config.lanes), config=config, seed=training_seed(world, seed)
    )
    loop.drive(learner, updates_of(config), name=f"{arm}, {world}, seed {seed}")
    made_by: dict[str, JSON] = {"preset": preset, "seed": seed, "config": config.to_json()}
    task: dict[str, JSON] = {"name": world, "arguments": {"horizon": HORIZON[preset]}}
    policy: Any = learner.policy()
    described = artifact.Artifact("policy", "drl-diagnosis", ARCHITECTURE, policy.arguments, made_by, {"task": task})
    artifact.save(folder, described, weights=policy.state_dict())
    took = {"processor_seconds": time.process_time() - began, **learner.work()}
    write_atomic(folder / "training.json", json.dumps(took, indent=2) + "\n")


def agent(run: Run, preset: str, *, arm: str, world: str, seed: int) -> AnyPolicy:
    """An agent that is prepared, or will be now; or the network that it would begin with."""
    if arm != "untrained":
        return as_policy(run.prepared(agent_name(arm, world, seed)))
    config, simulator = settings(preset, arm=arm, world=world), game(world, preset)
    return as_policy(
        ConvQPolicy(
            simulator.observation_space, simulator.action_space, layers=config.layers, hidden=config.hidden,
            generator=make_generator(training_seed(world, seed), "drl-diagnosis", "weights"),
        ).eval()
    )  # fmt: skip
