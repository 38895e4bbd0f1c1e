"""The agents of the drl-diagnosis study: trained in their cells, robust ones with the weight that trials chose."""

import math
from typing import Any

import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from livepapers.blocks.policy_door import AnyPolicy, as_policy
from livepapers.core import artifact
from livepapers.core.config import replace
from livepapers.core.learner import JSON
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.lab.study import Run
from livepapers.methods.drl_diagnosis import (
    Config,
    ConvQPolicy,
    Limits,
    RobustQLearning,
    differentiable,
    steepest,
    updates_of,
    walk,
)
from livepapers.studies.drl_diagnosis.design import HORIZON, RADIUS, REGIMES
from livepapers.tasks import worlds
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import SimulatorTask

ARCHITECTURE = "methods.drl_diagnosis:ConvQPolicy"
CURVE = 20
"""Points of a learning curve, each of `Config.episodes` greedy episodes."""


def settings(preset: str, *, arm: str, weight: float | None = None) -> Config:
    """The method's settings for one agent; the network before training has those of the plain one."""
    config = replace(Config.preset(preset), regime=REGIMES.get(arm, "plain"), layers=Config().layers)
    return config if weight is None else replace(config, weight=weight)


def game(world: str, preset: str) -> Simulator[Any, Any, Any]:
    """The game that agents are trained and diagnosed in."""
    return worlds.simulator(world, {"horizon": HORIZON[preset]})


def learner(config: Config, world: str, preset: str, seed: int) -> RobustQLearning:
    """An agent before training; regimes of one seed begin with the same weights."""
    task = SimulatorTask(game(world, preset), config.lanes)
    return RobustQLearning(task, config=config, seed=_training_seed(world, seed))


def trained(run: Run, config: Config, *, world: str, seed: int, preset: str) -> AnyPolicy:
    """Train an agent within its cell, keep it, and log what greedy play earns on the way."""
    made, updates = learner(config, world, preset, seed), updates_of(config)
    every = max(updates // CURVE, 1)
    stream = derive(seed, "drl-diagnosis", "curve") >> 32

    def look(done: int) -> dict[str, float] | None:
        if done % every and done < updates:
            return None
        return {"score": mean_return(as_policy(made.policy()), world, preset, episodes=config.episodes, seed=stream)}

    run.drive(made, updates, evaluate=look)
    policy: Any = made.policy()
    made_by: dict[str, JSON] = {"preset": preset, "seed": seed, "config": config.to_json()}
    task: dict[str, JSON] = {"name": world, "arguments": {"horizon": HORIZON[preset]}}
    described = artifact.Artifact("policy", "drl-diagnosis", ARCHITECTURE, policy.arguments, made_by, {"task": task})
    run.artifact("agent", described, weights=policy.state_dict())
    return as_policy(policy)


def untrained(config: Config, world: str, preset: str, seed: int) -> AnyPolicy:
    """The network that all agents of a seed begin with."""
    simulator = game(world, preset)
    return as_policy(
        ConvQPolicy(
            simulator.observation_space, simulator.action_space, layers=config.layers, hidden=config.hidden,
            generator=make_generator(_training_seed(world, seed), "drl-diagnosis", "weights"),
        ).eval()
    )  # fmt: skip


def mean_return(
    policy: AnyPolicy | None, world: str, preset: str, *, episodes: int, seed: int, attacked: bool = False
) -> float:
    """Over whole episodes of a policy, or of random play; plain, or under ten gradient steps in the l-infinity ball."""

    def attack(seen: Tensor) -> Tensor:
        assert policy is not None
        return steepest(differentiable(policy), seen, radius=RADIUS, limits=Limits(math.inf))

    change = attack if attacked else None
    return float(walk(policy, game(world, preset), episodes=episodes, seed=seed, change=change).mean())


def best_single_action(world: str, preset: str, episodes: int, seed: int) -> float:
    """The largest mean return of the policies that look at nothing."""
    space = game(world, preset).action_space
    assert isinstance(space, Discrete)
    return max(
        mean_return(always(action), world, preset, episodes=episodes, seed=seed) for action in range(int(space.n))
    )


def always(action: int) -> AnyPolicy:
    """The policy that looks at nothing."""
    return as_policy(lambda seen: torch.full((len(seen),), action))


def _training_seed(world: str, seed: int) -> int:
    return derive(seed, "drl-diagnosis", "train", world)
