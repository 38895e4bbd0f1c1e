"""The plants of the yann-rl study, and the controllers of its arms."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from livepapers.baselines.linear_mpc import ClippedLQR, LinearMPC
from livepapers.baselines.linear_problem import feedback, riccati
from livepapers.baselines.plain_controllers import PlainActor, PlainCritic, clone
from livepapers.core.config import replace
from livepapers.core.files import write_atomic
from livepapers.core.rng import generator as make_generator
from livepapers.methods import yann_rl
from livepapers.methods.yann_rl import Config, Design, YannDDPG
from livepapers.tasks.pendulum import ClippedPendulum
from livepapers.tasks.plants import Episodes, Plant, run
from livepapers.tasks.reactor import Reactor
from livepapers.tasks.vector import SimulatorTask

CLONE_STEPS = {"smoke": 50, "laptop": 3000, "paper": 10_000}


@dataclass(frozen=True)
class World:
    """One plant with all that its arms need to know."""

    plant: Plant
    design: Design
    nodes: int
    width: tuple[float, ...]  # what plain networks divide states by
    angles: tuple[int, ...]  # columns that plain networks see by cosine and sine
    episodes: int  # of training, as in the paper
    largest: float  # discounted cost at which targets are cut

    @property
    def low(self) -> list[float]:
        """Lowest inputs."""
        return self.design.problem.input_low.tolist()

    @property
    def high(self) -> list[float]:
        """Highest inputs."""
        return self.design.problem.input_high.tolist()

    def config(self, **changes: Any) -> Config:
        """The paper's setting on this plant."""
        base = replace(Config(), nodes=self.nodes)
        updates = self.episodes * self.plant.horizon // base.steps
        return replace(base, updates=updates, **changes)


def world(name: str) -> World:
    """The pendulum (setting 4a) or the reactor (setting 4c)."""
    if name == "pendulum":
        return World(ClippedPendulum(), yann_rl.pendulum_design(), 16, (1.0, 8.0), (0,), 50, 2000.0)
    return World(Reactor(), yann_rl.reactor_design(), 8, (0.1, 10.0), (), 50, 1000.0)


def learner(
    arm: str, name: str, *, rates: Mapping[str, float], preset: str, updates: int | None, seed: int
) -> YannDDPG:
    """The learner of a trained arm, not yet updated.

    Args:
        arm: yann, ddpg, cloned, yann-noise or yann-random-critic.
        name: Of the plant.
        rates: Learning rates and the factor on costs; the ablations take those of yann.
        preset: Decides how long a clone is fitted.
        updates: Instead of the plant's own number.
        seed: Of weights, starts and noise; arms of one seed meet the same starts.
    """
    here = world(name)
    noise = 0.1 if arm in {"ddpg", "yann-noise"} else 0.0
    config = here.config(noise=noise, largest_value=rates["cost_scale"] * here.largest, **rates)
    if arm == "ddpg":
        config = replace(config, frozen=0)
    if updates is not None:
        config = replace(config, updates=updates)
    actor: nn.Module
    critic: nn.Module
    actor, critic = yann_rl.controllers(here.design, config=config, seed=seed)
    if arm in {"ddpg", "cloned"}:
        law, plain = actor, _plain_actor(here, seed)
        actor = plain
        if arm == "cloned":
            _clone(plain, law, here, preset, seed)
    if arm in {"ddpg", "yann-random-critic"}:
        critic = PlainCritic(
            here.width,
            strength=here.high,
            angles=here.angles,
            generator=make_generator(seed, "yann-rl", "plain critic"),
        )
    return YannDDPG(SimulatorTask(here.plant, 1), actor, critic, config=config, seed=seed)


def fixed_controller(arm: str, name: str) -> nn.Module:
    """The controller of an arm without training: linear-mpc, clipped-lqr or no-control."""
    here = world(name)
    measured = here.design.measured
    if arm == "linear-mpc":
        return LinearMPC(here.design.problem)
    gain = np.zeros((measured.inputs, measured.states))
    if arm == "clipped-lqr":
        p = riccati(measured.a, measured.b, measured.q, measured.r)
        gain = feedback(measured.a, measured.b, measured.r, p)
    return ClippedLQR(gain.tolist(), low=here.low, high=here.high)


def play(name: str, controller: nn.Module) -> Episodes:
    """The ten fixed test starts under a controller."""
    plant = world(name).plant
    return run(plant, controller, plant.test_starts())


def solve_masses(folder: Path, preset: str) -> None:
    """The law of two masses with N = 8 (smoke: 2), into `law.json`."""
    law = yann_rl.solve(yann_rl.two_masses_problem(2 if preset == "smoke" else 8))
    write_atomic(folder / "law.json", json.dumps(law.to_json()))


def _plain_actor(here: World, seed: int) -> PlainActor:
    stream = make_generator(seed, "yann-rl", "plain actor")
    return PlainActor(here.width, low=here.low, high=here.high, angles=here.angles, generator=stream)


def _clone(plain: PlainActor, law: nn.Module, here: World, preset: str, seed: int) -> None:
    @torch.no_grad()
    def target(states: Tensor) -> Tensor:
        return law(states)

    problem = here.design.problem
    clone(
        plain, target, low=problem.state_low.tolist(), high=problem.state_high.tolist(), steps=CLONE_STEPS[preset],
        generator=make_generator(seed, "yann-rl", "clone"),
    )  # fmt: skip
