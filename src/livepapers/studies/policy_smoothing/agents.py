"""The agents of the policy-smoothing study: trained once each, kept as artifacts, read again by every arm."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livepapers.blocks import deterministic_policy_gradient
from livepapers.blocks.policy_door import AnyPolicy, as_policy
from livepapers.blocks.selection import Selected
from livepapers.core import artifact, loop
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import write_atomic
from livepapers.core.learner import JSON
from livepapers.core.rng import derive
from livepapers.lab.study import Run
from livepapers.methods.policy_smoothing import (
    Config,
    NoisyDDPG,
    NoisySearch,
    collect_returns,
    noisy_q_learning,
)
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.mountain_car import MountainCar
from livepapers.tasks.observations import NoisyObservations, StackedObservations
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import SimulatorTask

HORIZON = 200  # of the cart-pole
MOST_SEEDS = 30
SIGMAS: Mapping[tuple[str, int], tuple[float, ...]] = {
    ("linear", 5): (0.0, 0.2, 0.4, 0.6, 0.8), ("linear", 1): (0.2, 0.4), ("dqn", 5): (0.0, 0.2, 0.4),
    ("car", 1): (0.0, 0.2),
}  # fmt: skip
"""(Kind of agent, frames) -> the noises it is trained with."""
ARCHITECTURES = {
    "linear": "methods.policy_smoothing:LinearPolicy",
    "dqn": "blocks.policies:QPolicy",
    "car": "blocks.policies:BoxPolicy",
}
REACHED = 0.05
"""A return of the mountain car above this: the flag was reached, see `tasks.mountain_car`."""
CAR_STEPS = {"smoke": 1200, "laptop": 60_000, "paper": 300_000}
CAR_LANES, CAR_HIDDEN, CAR_EXPLORATION = 8, (64, 64), 0.5


def agent_name(kind: str, *, frames: int, sigma: float, seed: int) -> str:
    """What an agent is called in `PREPARE`."""
    if not 0 <= seed < MOST_SEEDS:
        raise InputError.of("seeds", seed + 1, expected=f"at most {MOST_SEEDS}: each has agents of its own")
    return f"{kind}-{frames}-{sigma:g}-{seed}"


def world_of_kind(kind: str) -> Simulator[Any, Any, Any]:
    """The simulator, without noise and stacks."""
    return MountainCar(scaled=True) if kind == "car" else CartPole(HORIZON)


def described_world(kind: str, frames: int) -> dict[str, JSON]:
    """The same for an artifact: what a policy that sees `frames` observations is put back into."""
    inner: dict[str, JSON] = (
        {"world": "mountain-car", "arguments": {"scaled": True}}
        if kind == "car"
        else {"world": "cart-pole", "arguments": {"horizon": HORIZON}}
    )
    return {"name": "stacked", "arguments": {**inner, "frames": frames}}


def settings(preset: str, *, sigma: float, frames: int) -> Config:
    """The method's settings for one agent."""
    return replace(Config.preset(preset), sigma=sigma, frames=frames)


def train(folder: Path, preset: str, *, kind: str, frames: int, sigma: float, seed: int) -> None:
    """Train one agent and keep it, with what its training took."""
    config = settings(preset, sigma=sigma, frames=frames)
    began = time.process_time()
    learner, updates = _learner(
        kind, config, preset, derive(seed, "policy-smoothing", "train", kind, frames, str(sigma))
    )
    loop.drive(learner, updates, name=f"{kind}, sigma {sigma:g}, seed {seed}")
    policy: Any = learner.policy()
    made_by: dict[str, JSON] = {"preset": preset, "seed": seed, "sigma": sigma, "config": config.to_json()}
    described = artifact.Artifact(
        "policy", "policy-smoothing", ARCHITECTURES[kind], policy.arguments, made_by,
        {"task": described_world(kind, frames), "sigma": sigma},
    )  # fmt: skip
    artifact.save(folder, described, weights=policy.state_dict())
    took = {"processor_seconds": time.process_time() - began, **learner.work()}
    write_atomic(folder / "training.json", json.dumps(took, indent=2) + "\n")


def trained(run: Run, *, kind: str, frames: int, sigma: float, seed: int) -> AnyPolicy:
    """An agent that is prepared, or will be now."""
    return as_policy(run.prepared(agent_name(kind, frames=frames, sigma=sigma, seed=seed)))


def _learner(kind: str, config: Config, preset: str, seed: int) -> tuple[NoisySearch | Selected, int]:
    if kind == "linear":
        return NoisySearch(world_of_kind(kind), config=config, seed=seed), config.updates
    if kind == "dqn":
        return noisy_q_learning(world_of_kind(kind), config=config, seed=seed)
    return _car(config, CAR_STEPS[preset], seed)


def _car(config: Config, steps: int, seed: int) -> tuple[Selected, int]:
    """DDPG on the mountain car, chosen by how many noisy episodes reach the flag."""
    world = world_of_kind("car")
    seen = StackedObservations(NoisyObservations(world, config.sigma), config.frames)
    rules = deterministic_policy_gradient.Config(
        steps=25, updates_per_step=0.25, batch=128, capacity=100_000, actor_rate=1e-3, critic_rate=1e-3,
        target_noise=0.0, policy_delay=1, warm_up=1000,
    )  # fmt: skip
    learner = NoisyDDPG(
        SimulatorTask(seen, CAR_LANES), config=rules, hidden=CAR_HIDDEN, exploration=CAR_EXPLORATION, seed=seed
    )

    def judge(policy: Any, time_: int) -> float:
        found = collect_returns(
            policy, world, sigma=config.sigma, episodes=max(config.selection // 4, 1), seed=derive(seed, "car", time_)
        )
        return float((found.returns >= REACHED).mean())

    updates = max(steps // (25 * CAR_LANES), 1)
    return Selected(learner, judge, every=max(updates // 20, 1)), updates
