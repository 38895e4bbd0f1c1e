"""yann-rl on a user's own linear model: the exact network, checked, and training on the user's environment."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gymnasium
import numpy as np
import torch
from torch import nn

from livepapers.baselines.linear_problem import LinearProblem, riccati
from livepapers.core import artifact, loop
from livepapers.core.application import Application, Row, to_csv
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, sha256, unfinished
from livepapers.core.rng import Seed, numpy_generator
from livepapers.core.rng import generator as make_generator
from livepapers.methods.yann_rl.critic import YannCritic
from livepapers.methods.yann_rl.learner import Config, YannDDPG
from livepapers.methods.yann_rl.model_file import Model, read_model
from livepapers.methods.yann_rl.verification import Verification, verify
from livepapers.methods.yann_rl.yann import YannActor, YannNetwork
from livepapers.tasks import plants
from livepapers.tasks.vector import GymnasiumTask

OutsideName: TypeAlias = Literal["lqr", "zero", "saturate", "project"]

MOST_LITERAL = 500  # regions of a network that is written out with all its zeros
SHOWN = 20  # rows of the table of regions on the screen; the file has all
EXACT = 1e-9
STARTS, LONGEST_EPISODE = 10, 1000


def apply(
    model: Path,
    *,
    outside: OutsideName = "lqr",
    points: int = 10_000,
    env: str = "",
    steps: int = 10_000,
    nodes: int = 16,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Turn your linear MPC into an exact network, check it, and optionally let it learn on your environment.

    The file gives A, B, Q, R, horizon, state_bounds and input_bounds (lower, upper), and optionally set_point (state,
    input). The network is compared with the quadratic program on random states and on facets of regions. With an
    environment, training starts at that controller, without exploration noise; ten starts are played before and after.

    Args:
        model: YAML or JSON file with the linear model, weights, bounds and horizon.
        outside: Where the bounds cannot be kept: lqr (the unconstrained feedback, clipped), zero, saturate or project.
        points: Random states of the check.
        env: Gymnasium id of your plant, module:id for one that your module registers; observations are the states,
            actions the inputs, rewards minus the cost. Nothing is trained when left out.
        steps: Environment steps of the training.
        nodes: Units of each layer of the trainable part, a region.
        seed: Of the check's states, the training and its starts.
        output: Folder for the network, the regions and the trained controller; nothing is written when left out. An
            interrupted run leaves a folder of that name with .partial behind and goes on from there.

    Returns:
        The check, the regions with their gains, and the cost before and after training.

    Raises:
        InputError: One line that names file, field, value and likely cause; nothing was written.

    Examples:
        livepapers apply yann-rl --model controller.yml --output controller
        livepapers apply yann-rl --model controller.yml --outside project --points 50000
        livepapers apply yann-rl --model controller.yml --env my_plant:Plant-v0 --steps 20000 --output tuned
    """
    _check_numbers(points, steps, nodes, seed)
    if output is not None:
        check_output_folder(output)
    found = read_model(model)
    task = _task(env, found) if env else None
    actor = _actor(found, outside=outside, nodes=nodes if env else 0, seed=seed)
    literal = YannNetwork.of(found.law, state_set_point=found.state, input_set_point=found.input)
    network: nn.Module = literal if found.law.regions <= MOST_LITERAL else actor
    with unfinished(output) as partial:
        check = _verify(found, network, points=points, seed=seed)
        tables: dict[str, Any] = {
            "Check against the quadratic program": _check_rows(check),
            "Regions": _region_rows(found, check),
        }
        made_by: dict[str, Any] = {"model": sha256(model), "outside": outside, "seed": seed}
        headline = _headline(found, check)
        if task is not None:
            made_by |= {"env": env, "steps": steps, "nodes": nodes}
            rows = _train(
                task, actor, found, env=env, steps=steps, nodes=nodes, seed=seed, partial=partial, made_by=made_by
            )
            tables["Cost before and after training"] = rows
            headline += "; " + _improvement(rows, steps)
        notes = _notes(found, check, outside, trained=task is not None)
        application = Application("yann-rl", headline, tables, notes)
        if output is None:
            return application
        trained = actor if task is not None else None
        return _write(application, output, found, network, trained, made_by)


def _check_numbers(points: int, steps: int, nodes: int, seed: int) -> None:
    for name, value, least, most in (
        ("points", points, 100, 1_000_000), ("steps", steps, 100, 10_000_000), ("nodes", nodes, 2, 256),
    ):  # fmt: skip
        if not least <= value <= most:
            raise InputError.of(name, value, expected=f"a whole number from {least} to {most:,}")
    if not 0 <= seed < 2**63:
        raise InputError.of("seed", seed, expected="a whole number >= 0")


def _task(env: str, model: Model) -> GymnasiumTask:
    """The user's environment, one lane, its spaces checked."""
    task = GymnasiumTask.make(env, 1)
    problem = model.problem
    for what, space, size, name in (
        ("observations", task.observation_space, problem.states, "states"),
        ("actions", task.action_space, problem.inputs, "inputs"),
    ):
        if not isinstance(space, gymnasium.spaces.Box) or space.shape != (size,):
            cause = f"the model has {size} {name}"
            raise InputError.of("env", f"{what} {space}", expected=f"{size} real numbers", cause=cause)
    space: Any = task.action_space
    low, high = problem.input_low + model.input, problem.input_high + model.input
    if (low < space.low - 1e-6).any() or (high > space.high + 1e-6).any():
        shown = f"actions from {space.low.tolist()} to {space.high.tolist()}"
        raise InputError.of("env", shown, expected="room for input_bounds", cause="the model's inputs go further")
    return task


def _actor(model: Model, *, outside: OutsideName, nodes: int, seed: int) -> YannActor:
    return YannActor(
        model.law, nodes=nodes, outside=outside, state_set_point=model.state, input_set_point=model.input,
        generator=make_generator(seed, "yann-rl", "apply", "actor"),
    )  # fmt: skip


def _verify(model: Model, network: nn.Module, *, points: int, seed: int) -> Verification:
    centre, rest = torch.tensor(model.state, dtype=torch.float64), torch.tensor(model.input, dtype=torch.float64)
    return verify(
        model.problem, model.law, lambda state: network(state + centre) - rest, points=points,
        facets=max(points // 10, 100), generator=numpy_generator(seed, "yann-rl", "apply", "check"),
    )  # fmt: skip


def _train(
    task: GymnasiumTask,
    actor: YannActor,
    model: Model,
    *,
    env: str,
    steps: int,
    nodes: int,
    seed: int,
    partial: Path | None,
    made_by: Mapping[str, Any],
) -> list[Row]:
    """Train `actor` in place; cost by common start before and after."""
    before = _play(env, actor, seed)
    config = Config()
    scale = 1.0 / max(_usual_cost(model.problem, config.discount), 1e-9)
    every = math.gcd(steps, config.steps)
    config = replace(config, nodes=nodes, cost_scale=scale, steps=every, updates=steps // every)
    critic = YannCritic(
        model.problem, discount=config.discount, cost_scale=scale, nodes=config.critic_nodes, scale=config.scale,
        state_set_point=model.state, input_set_point=model.input,
        generator=make_generator(seed, "yann-rl", "apply", "critic"),
    )  # fmt: skip
    learner = YannDDPG(task, actor, critic, config=config, seed=seed)
    fingerprint = hashlib.sha256(json.dumps(["yann-rl", 1, dict(made_by)], sort_keys=True).encode()).hexdigest()
    loop.drive(learner, config.updates, folder=partial, fingerprint=fingerprint)
    after = _play(env, actor, seed)
    rows: list[Row] = [
        {"start": str(index + 1), "cost before": _rounded(b), "cost after": _rounded(a), "ended early before": eb,
         "ended early after": ea}
        for index, ((b, eb), (a, ea)) in enumerate(zip(before, after, strict=True))
    ]  # fmt: skip
    ended = [sum(int(row[f"ended early {when}"] or 0) for row in rows) for when in ("before", "after")]
    mean = [_rounded(float(np.mean([cost for cost, _ in played]))) for played in (before, after)]
    rows.append({"start": "mean", "cost before": mean[0], "cost after": mean[1],
                 "ended early before": ended[0], "ended early after": ended[1]})  # fmt: skip
    rows.append({"start": "in training", "cost before": None, "cost after": None, "ended early before": None,
                 "ended early after": learner.violations})  # fmt: skip
    return rows


def _usual_cost(problem: LinearProblem, discount: float) -> float:
    """The mean cost-to-go of states spread over a third of the box: what costs are scaled by."""
    wide = np.maximum(problem.state_high, -problem.state_low) / 3.0
    p = riccati(problem.a, problem.b, problem.q, problem.r, discount=discount)
    return float((np.diag(p) * wide**2).sum() / 3.0)


@torch.no_grad()
def _play(env: str, actor: nn.Module, seed: int) -> list[tuple[float, int]]:
    """(cost, 1 if it ended early) of one episode from each common start."""
    task = GymnasiumTask.make(env, 1)
    played = []
    for start in range(STARTS):
        observation, cost = task.reset(10_000 * (seed + 1) % 2**31 + start), 0.0
        terminated = False
        for _ in range(LONGEST_EPISODE):
            step = task.step(actor(observation))
            observation, cost = step.observation, cost - float(step.reward[0])
            terminated = bool(step.terminated[0])
            if terminated or bool(step.truncated[0]):
                break
        played.append((cost, int(terminated)))
    task.env.close()
    return played


def _check_rows(check: Verification) -> list[Row]:
    solved = check.points + check.facets
    return [
        {"states": "random in the box", "number": check.points, "largest difference": check.error},
        {"states": "on facets of regions", "number": check.facets, "largest difference": check.facet_error},
        {"states": "answer by one only", "number": check.disagreements, "largest difference": None},
        {"states": "the program's own residual", "number": solved, "largest difference": check.residual},
    ]  # fmt: skip


def _region_rows(model: Model, check: Verification) -> list[Row]:
    """Regions by the share of the box that they hold: u = gain (state - set point) + offset."""
    law = model.law
    rows: list[Row] = []
    for region in np.argsort(-check.shares, kind="stable").tolist():
        row: dict[str, str | int | float | bool | None] = {
            "region": region + 1, "share of box, %": round(100.0 * float(check.shares[region]), 2),
            "inequalities": int(law.starts[region + 1] - law.starts[region]),
        }  # fmt: skip
        for k in range(model.problem.inputs):
            for j in range(model.problem.states):
                row[f"u{k + 1} per s{j + 1}"] = _rounded(float(law.gains[region, k, j]))
            row[f"u{k + 1} offset"] = _rounded(float(law.offsets[region, k]) + model.input[k])
        rows.append(row)
    return rows


def _headline(model: Model, check: Verification) -> str:
    word = "equals" if check.worst <= EXACT and not check.disagreements else "DIFFERS FROM"
    return (
        f"the network of {model.law.regions} regions {word} the quadratic program: largest difference "
        f"{check.worst:.1e} on {check.points:,} random states ({100 * check.feasible:.1f} % feasible) and "
        f"{check.facets:,} facet states"
    )


def _improvement(rows: list[Row], steps: int) -> str:
    mean = next(row for row in rows if row["start"] == "mean")
    stops = next(row for row in rows if row["start"] == "in training")["ended early after"]
    before, after = float(mean["cost before"] or 0.0), float(mean["cost after"] or 0.0)
    change = 100.0 * (after - before) / max(abs(before), 1e-12)
    word = (
        "no measurable improvement"
        if abs(change) < 1.0
        else f"{abs(change):.1f} % " + ("less" if change < 0 else "MORE")
    )
    return (
        f"after {steps:,} steps on the environment, mean cost {before:,.4g} -> {after:,.4g} ({word}), {stops} episodes "
        "ended early in training"
    )


def _notes(model: Model, check: Verification, outside: str, *, trained: bool) -> tuple[str, ...]:
    notes = []
    if check.feasible < 1.0:
        notes.append(
            f"in {100 * (1 - check.feasible):.1f} % of the box no input keeps the bounds; there the exact network "
            f"gives the input's set point, and the controller acts by the rule --outside {outside}"
        )
    if model.law.regions > MOST_LITERAL:
        notes.append(f"over {MOST_LITERAL} regions the network is kept as a table of regions: the same function")
    if trained:
        notes.append("the critic starts from Q and R of the file; it learns faster the closer they are to the rewards")
        notes.append("rewards count as minus costs, and an episode that terminates as a broken limit")
    return tuple(notes)


def _write(
    application: Application,
    output: Path,
    model: Model,
    network: nn.Module,
    trained: YannActor | None,
    made_by: Mapping[str, Any],
) -> Application:
    """Save everything, whole or not at all."""
    names = {"Regions": "regions.csv", "Check against the quadratic program": "check.csv",
             "Cost before and after training": "training.csv"}  # fmt: skip
    law = model.law
    if isinstance(network, YannNetwork):
        shape = {"states": model.problem.states, "inputs": model.problem.inputs}
        arguments: dict[str, Any] = {**shape, "rows": len(law.limits), "regions": law.regions}
        exact = network
    else:
        exact = _actor(model, outside="zero", nodes=0, seed=0)
        arguments = exact.arguments
    spaces: dict[str, Any] = {"input": "state [batch, n]", "output": "input [batch, m]"}
    if trained is not None and (world := _world(made_by["env"])) is not None:
        spaces["task"] = {"name": world, "arguments": {}}
    with new_folder(output) as folder:
        files = {names[title]: to_csv(rows) for title, rows in application.tables.items()}
        files["law.json"] = json.dumps(law.to_json())
        described = artifact.Artifact(
            "policy", "yann-rl", f"methods.yann_rl:{type(exact).__name__}", arguments, dict(made_by), spaces
        )
        artifact.save(folder, described, weights=exact.state_dict(), files=files)
        if trained is not None:
            (folder / "trained").mkdir()
            described = artifact.Artifact(
                "policy", "yann-rl", "methods.yann_rl:YannActor", trained.arguments, dict(made_by), spaces
            )
            artifact.save(folder / "trained", described, weights=trained.state_dict())
    holds = {
        "artifact.json": "what the network is and what made it", artifact.WEIGHTS: "the exact network's weights",
        "law.json": "regions, gains and offsets as numbers",
        **{names[title]: title.lower() for title in application.tables},
    }  # fmt: skip
    if trained is not None:
        holds["trained"] = "the trained controller, an artifact of its own"
    shown = {title: rows[:SHOWN] if title == "Regions" else rows for title, rows in application.tables.items()}
    return Application("yann-rl", application.headline, shown, application.notes, holds, output)


def _world(env: str) -> str | None:
    """What a file may call the environment; None for one that only the user's own module knows."""
    own = plants.ENVIRONMENTS.get(env.rpartition(":")[2])
    return own or (None if ":" in env else f"gymnasium:{env}")


def _rounded(value: float) -> float:
    return 0.0 if abs(value) < 1e-10 else float(f"{value:.6g}")
