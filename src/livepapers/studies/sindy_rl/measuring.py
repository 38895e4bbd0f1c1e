"""How a cell of the sindy-rl study is measured."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor, nn

from livepapers.blocks.policies import GreedyPolicy
from livepapers.blocks.policy_optimisation import PPO
from livepapers.core.artifact import Artifact
from livepapers.lab.study import Run, Setting
from livepapers.methods.sindy_rl import (
    DictionaryPolicy,
    Dynamics,
    Known,
    Library,
    SindyRL,
    distil,
    put_back,
    random_actions,
)
from livepapers.studies.sindy_rl.instances import (
    PPO_LANES,
    PPO_STEPS,
    TEST_EPISODES,
    Trial,
    pendulum_learner,
    real_ppo,
    swing_up_learner,
    tested,
)
from livepapers.tasks.pendulum_swing_up import PendulumSwingUp
from livepapers.tasks.swing_up import SwingUp
from livepapers.tasks.vector import SimulatorTask

PPO_UPDATES = {"smoke": 4, "laptop": 976, "paper": 2440}
"""Of 2,048 real steps: 2 million (laptop), 5 million (paper)."""
PPO_TEST_EVERY = 40
"""Updates: 81,920 real steps."""
WORLDS = {"swing-up": "cart-pole-swing-up", "pendulum": "pendulum-swing-up"}
CURVE_POINTS = 25
TIMED_STATES, TIMED_ROUNDS = 1000, 60


def real_budget(preset: str) -> int:
    """Real steps of PPO: what counts as needed where the target was never reached."""
    return PPO_UPDATES[preset] * PPO_LANES * PPO_STEPS


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    del seed  # the run's generators carry it
    if setting.name == "cost":
        return _cost(run)
    world = _world(setting.name)
    if arm == "random":
        stream = run.private_generator("actions")
        space: Any = world(1).action_space
        act = random_actions(space, stream)
        return {"return": tested(act, world, seed=_number(run, "final"))[0]}  # type: ignore[arg-type]
    seed = _number(run, "training")
    if arm == "ppo":
        return _ppo(preset, seed, world, run)
    make = swing_up_learner if setting.name == "swing-up" else pendulum_learner
    return _surrogate(arm, setting.name, make(arm, preset=preset, seed=seed), world, run, preset)


def _world(setting: str) -> Callable[[int], SimulatorTask[Any]]:
    if setting == "pendulum":
        return lambda lanes: SimulatorTask(PendulumSwingUp(), lanes)
    return lambda lanes: SimulatorTask(SwingUp(), lanes)


def _number(run: Run, name: str) -> int:
    return int(torch.randint(2**31, (), generator=run.generator(name)))


def _surrogate(
    arm: str,
    setting: str,
    learner: SindyRL,
    world: Callable[[int], SimulatorTask[Any]],
    run: Run,
    preset: str,
) -> dict[str, float]:
    """A policy from a surrogate: tested whenever another one is kept, and at the end on fresh episodes."""
    config = learner.config

    def due(updates: int, mark: float) -> float | None:
        another = updates % config.refit_every == 0 and learner.best_real_return != mark
        return learner.best_real_return if another else None

    trial = Trial(
        learner, policy=learner.best_policy, steps=lambda: learner.real_steps, due=due, world=world,
        seed=_number(run, "test"),
    )  # fmt: skip
    _drive(trial, config.updates, run, steps=lambda: learner.real_steps)
    policy = learner.best_policy()
    returned, steps = tested(policy, world, seed=_number(run, "final"))
    model = learner.dynamics
    if model is None:
        raise RuntimeError("the loop ended without a model")
    found = {
        "return": returned,
        "last_return": tested(learner.policy(), world, seed=_number(run, "final"))[0],
        "real_steps": float(learner.real_steps),
        "steps_to_target": float(trial.reached if trial.reached > 0 else real_budget(preset)),
        "reached": float(trial.reached > 0),
        "spread_correlation": spread_correlation(model, steps, learner.known),
        "terms": float(getattr(model, "terms", 0)),
    }
    _keep("policy", policy, arm, setting, run)
    if arm == "sindy" and setting == "swing-up":
        found |= _dictionary(policy, steps.action, learner, world, run)
    return found


def _dictionary(
    teacher: GreedyPolicy, moves: Tensor, learner: SindyRL, world: Callable[[int], SimulatorTask[Any]], run: Run
) -> dict[str, float]:
    """The teacher as a polynomial, on the teacher's test episodes."""
    stream = run.private_generator("dictionary")
    policy, grid = distil(teacher, learner.surrogate, config=learner.config, generator=stream)
    returned, steps = tested(policy, world, seed=_number(run, "final"))
    _keep("dictionary", policy, "sindy", "swing-up", run)
    return {
        "dictionary_return": returned,
        "dictionary_terms": float(policy.terms),
        "dictionary_error": min(point.error for point in grid),
        "dictionary_change": mean_change(steps.action),
        "policy_change": mean_change(moves),
        "policy_parameters": float(sum(parameter.numel() for parameter in teacher.parameters())),
    }


def _ppo(preset: str, seed: int, world: Callable[[int], SimulatorTask[Any]], run: Run) -> dict[str, float]:
    learner: PPO = real_ppo(preset=preset, seed=seed)

    def steps() -> int:
        return learner.work()["environment_steps"]

    every = min(PPO_TEST_EVERY, PPO_UPDATES[preset])
    trial = Trial(
        learner, policy=learner.policy, steps=steps, world=world, seed=_number(run, "test"),
        due=lambda updates, _: float(updates) if updates % every == 0 else None,
    )  # fmt: skip
    _drive(trial, PPO_UPDATES[preset], run, steps=steps)
    policy = learner.policy()
    _keep("policy", policy, "ppo", "swing-up", run)
    return {
        "return": tested(policy, world, seed=_number(run, "final"))[0],
        "best_return": trial.best,
        "real_steps": float(steps()),
        "steps_to_target": float(trial.reached if trial.reached > 0 else real_budget(preset)),
        "reached": float(trial.reached > 0),
    }


def _drive(trial: Trial, updates: int, run: Run, *, steps: Callable[[], int]) -> None:
    every = max(updates // CURVE_POINTS, 1)

    def evaluate(step: int) -> dict[str, float] | None:
        if not trial.tests or (step % every and step != updates):
            return None  # before the first test there is no return to show
        return {"test_return": trial.tested, "real_steps": float(steps())}

    run.drive(trial, updates, evaluate=evaluate)


def spread_correlation(model: Dynamics, steps: Any, known: Known) -> float:
    """Spearman's correlation of the ensemble's spread with the one-step error, over steps that were not fitted.

    Both are lengths of vectors in units of the spread of each coordinate's change.
    """
    size = (steps.following - steps.observation).std(0, correction=0).clamp(min=1e-9)
    predicted = put_back(model.predict(steps.observation, steps.action), known.circles, known.stops)
    error = ((predicted - steps.following) / size).norm(dim=1)
    spread = (model.spread(steps.observation, steps.action) / size).norm(dim=1)
    if any(bool((part == part[0]).all()) for part in (spread, error)):
        return 0.0  # members that agree equally well everywhere say nothing
    return float(scipy.stats.spearmanr(spread.numpy(), error.numpy())[0])  # type: ignore[arg-type]  # a named tuple


def mean_change(actions: Tensor) -> float:
    """Mean |u(t + 1) - u(t)| over the test episodes; `actions` `[T x episodes, m]`, those of one time side by side."""
    return float(actions.view(-1, TEST_EPISODES, actions.shape[1]).diff(dim=0).abs().mean())


def _keep(name: str, policy: nn.Module, arm: str, setting: str, run: Run) -> None:
    """Keep a policy as an artifact of the run, with the world it is for."""
    dictionary = isinstance(policy, DictionaryPolicy)
    kind = "methods.sindy_rl:DictionaryPolicy" if dictionary else "blocks.policies:GreedyPolicy"
    described = Artifact(
        kind="policy", slug="sindy-rl", architecture=kind, arguments=policy.arguments,  # type: ignore[arg-type]
        made_by={"arm": arm, "setting": setting}, spaces={"task": {"name": WORLDS[setting], "arguments": {}}},
    )  # fmt: skip
    run.artifact(name, described, weights=policy.state_dict())


@torch.no_grad()
def _cost(run: Run) -> dict[str, float]:
    """A network and a dictionary in turns, on the same observations: load on the machine slows both."""
    world = SwingUp  # its spaces; nothing is simulated
    network = GreedyPolicy(
        world.observation_space, world.action_space, hidden=(64, 64), activation="tanh", normalise=False
    ).eval()
    dictionary = DictionaryPolicy(Library(5, degree=3), low=[-1.0], high=[1.0]).eval()
    dictionary.coefficients = torch.randn(55, 1, generator=run.generator("coefficients"))
    states = torch.randn(TIMED_STATES, 5, generator=run.generator("states"))
    seconds = {"network": np.inf, "dictionary": np.inf}
    alone = dict(seconds)
    for _ in range(TIMED_ROUNDS):
        for name, policy in (("network", network), ("dictionary", dictionary)):
            seconds[name] = min(seconds[name], _clock(policy, states))
            alone[name] = min(alone[name], _clock(policy, states[:1]))
    run.spend(actions=2 * TIMED_ROUNDS * (TIMED_STATES + 1))
    return {
        **{f"{name}_microseconds": 1e6 * value / TIMED_STATES for name, value in seconds.items()},
        **{f"{name}_microseconds_alone": 1e6 * value for name, value in alone.items()},
        "speedup": float(seconds["network"] / seconds["dictionary"]),
        "network_parameters": float(sum(parameter.numel() for parameter in network.parameters())),
    }


def _clock(policy: nn.Module, states: Tensor) -> float:
    start = time.perf_counter()
    policy(states)
    return time.perf_counter() - start
