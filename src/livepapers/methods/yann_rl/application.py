"""yann-rl on a user's own linear model: the exact network, checked, and training on the user's environment."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gymnasium
import torch
from torch import nn

from livepapers.core import artifact
from livepapers.core.application import Application, options_checked, to_csv
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, sha256, unfinished
from livepapers.core.rng import Seed, numpy_generator
from livepapers.core.rng import generator as make_generator
from livepapers.methods.yann_rl.learner import Config
from livepapers.methods.yann_rl.model_file import Model, read_model
from livepapers.methods.yann_rl.reporting import (
    MOST_LITERAL,
    check_rows,
    headline,
    improvement,
    notes,
    region_rows,
)
from livepapers.methods.yann_rl.training import train
from livepapers.methods.yann_rl.verification import Verification, verify
from livepapers.methods.yann_rl.yann import YannActor, YannNetwork
from livepapers.tasks import plants, worlds
from livepapers.tasks.vector import BatchedTask

OutsideName: TypeAlias = Literal["lqr", "zero", "saturate", "project"]

SHOWN = 20  # rows of the table of regions on the screen; the file has all
FOLDERS = {
    "literal": "the same law as a plain network of five layers (steps and ReLU), an artifact of its own",
    "trained": "the trained controller, an artifact of its own",
}


@options_checked
def apply(
    model: Path,
    *,
    outside: OutsideName = "lqr",
    points: int = 10_000,
    env: str = "",
    steps: int = 10_000,
    noise: float = 0.0,
    nodes: int = 16,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Turn your linear MPC into an exact network, check it, and optionally let it learn on your environment.

    The file describes a linear model around a set point, s' = A s + B u, and the MPC that minimises s'Qs + u'Ru over
    its horizon within the bounds. A sample to begin with:

    cp $(python -m livepapers.samples pendulum_mpc.yml) controller.yml

    The network is compared with that quadratic program on random states and on facets of regions. With an environment,
    training starts at that controller, twice: from a critic that learns slowly and from one that learns fast. Ten times
    on the way (each thousand steps, if there are fewer than ten) the controller is judged by an episode from each of
    five starts; the one of least cost is kept, and none that breaks a limit where the exact one did not, or sooner;
    that one stays if none is better. Ten other starts are played before and after.

    Args:
        model: YAML or JSON file. A (n x n), B (n x m), Q (n x n) and R (m x m) are lists of rows; horizon is a number
            of steps from 1 to 50; state_bounds and input_bounds each have lower and upper, n or m finite numbers, as
            measured; set_point, with state and input, is 0 when left out.
        outside: What the controller does where no input can keep the bounds: lqr (the unconstrained feedback, clipped),
            zero (the set point's input), saturate (the bound on the side of that feedback) or project (the law of the
            nearest region).
        points: Random states of the check.
        env: Gymnasium id of your plant, module:id for one that your module registers, with arguments as in
            'Pendulum-v1?g=9.81'; observations are the states,
            actions the inputs, rewards minus the cost. Nothing is trained when left out.
        steps: Environment steps of either training, rounded up to whole twenties; episodes that judge come on top. For
            the first 1,000, or half of fewer than 2,000, only the critic learns.
        noise: Standard deviation of Gaussian exploration while training, in half input ranges. 0 is the paper's, for
            plants that must not be tried out; what it finds is judged without it.
        nodes: Units of each layer of the trainable part, a region.
        seed: Of the check's states, the training and its starts.
        output: Folder for the exact controller, its law and regions, and the trained controller; nothing is written
            when left out. An interrupted run leaves a folder of that name with .partial behind and goes on
            from there, the environment with a new episode.

    Returns:
        The check, the regions with their gains, and the cost before and after training.

    Raises:
        InputError: One line that names file, field, value and likely cause; nothing was written.

    Examples:
        livepapers apply yann-rl --model controller.yml --output controller
        livepapers apply yann-rl --model controller.yml --outside project --output controller
        livepapers apply yann-rl --model controller.yml --env my_plant:Plant-v0 --steps 20000 --output tuned
        livepapers apply yann-rl --model controller.yml --env my_simulation:Plant-v0 --noise 0.2 --output tuned
    """
    _check_numbers(points, steps, noise, nodes, seed)
    steps = -(-steps // Config().steps) * Config().steps
    if output is not None:
        check_output_folder(output)
    found = read_model(model)
    task = _task(env, found) if env else None
    controller = _actor(found, outside=outside, nodes=0, seed=seed)
    literal = _literal(found)
    with unfinished(output) as partial:
        check = _verify(found, [controller] if literal is None else [controller, literal], points=points, seed=seed)
        tables: dict[str, Any] = {
            "Check against the quadratic program": check_rows(check),
            "Regions": region_rows(found, check),
        }
        made_by: dict[str, Any] = {"model": sha256(model), "outside": outside, "seed": seed}
        says, trained = headline(found, check), None
        if task is not None:
            made_by |= {"env": env, "steps": steps, "noise": noise, "nodes": nodes}
            trained = _actor(found, outside=outside, nodes=nodes, seed=seed)
            done = train(
                task, trained, found, env=env, steps=steps, noise=noise, seed=seed, partial=partial, made_by=made_by
            )
            trained = done.controller
            tables["Cost before and after training"] = done.rows
            says += "; " + improvement(done.rows, steps, done.kept, done.critic)
        told = notes(found, check, outside, trained=task is not None, written=output is not None, noise=noise)
        application = Application("yann-rl", says, tables, told)
        if output is None:
            return application
        networks = {"": controller, "literal": literal, "trained": trained}
        return _write(application, output, found, networks, made_by)


def _check_numbers(points: int, steps: int, noise: float, nodes: int, seed: int) -> None:
    for name, value, least, most in (
        ("points", points, 100, 1_000_000), ("steps", steps, 100, 10_000_000), ("nodes", nodes, 2, 256),
    ):  # fmt: skip
        if not least <= value <= most:
            raise InputError.of(name, value, expected=f"a whole number from {least} to {most:,}")
    if not 0.0 <= noise <= 1.0:
        raise InputError.of("noise", noise, expected="a number from 0 to 1", cause="it is in half input ranges")
    if not 0 <= seed < 2**63:
        raise InputError.of("seed", seed, expected="a whole number >= 0")


def _task(env: str, model: Model) -> BatchedTask:
    """The user's environment, one lane, its spaces checked."""
    task = worlds.make(*worlds.named(env))
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


def _literal(model: Model) -> YannNetwork | None:
    """The law as a plain network of five layers, where it is not too large."""
    if model.law.regions > MOST_LITERAL:
        return None
    return YannNetwork.of(model.law, state_set_point=model.state, input_set_point=model.input)


def _verify(model: Model, networks: Sequence[nn.Module], *, points: int, seed: int) -> Verification:
    """The check of all networks at once: the program's answers take longer than theirs."""
    centre, rest = torch.tensor(model.state, dtype=torch.float64), torch.tensor(model.input, dtype=torch.float64)
    return verify(
        model.problem, model.law, lambda state: torch.stack([one(state + centre) - rest for one in networks]),
        points=points, facets=max(points // 10, 100), generator=numpy_generator(seed, "yann-rl", "apply", "check"),
    )  # fmt: skip


def _write(
    application: Application,
    output: Path,
    model: Model,
    networks: Mapping[str, YannActor | YannNetwork | None],
    made_by: Mapping[str, Any],
) -> Application:
    """Save everything, whole or not at all; `networks` are artifacts by folder inside `output`."""
    names = {"Regions": "regions.csv", "Check against the quadratic program": "check.csv",
             "Cost before and after training": "training.csv"}  # fmt: skip
    spaces: dict[str, Any] = {"input": "state [batch, n]", "output": "input [batch, m]"}
    if "env" in made_by and (world := _world(made_by["env"])) is not None:
        spaces["task"] = world
    with new_folder(output) as folder:
        files = {names[title]: to_csv(rows) for title, rows in application.tables.items()}
        files["law.json"] = json.dumps(model.law.to_json())
        for name, network in networks.items():
            if network is None:
                continue
            (folder / name).mkdir(exist_ok=True)
            architecture = f"methods.yann_rl:{type(network).__name__}"
            described = artifact.Artifact("policy", "yann-rl", architecture, network.arguments, dict(made_by), spaces)
            artifact.save(folder / name, described, weights=network.state_dict(), files=None if name else files)
    holds = {
        "artifact.json": "the exact controller, with its rule outside the regions, and what made it",
        artifact.WEIGHTS: "empty: the exact controller's numbers are in artifact.json",
        "law.json": "regions, gains and offsets as numbers",
        **{names[title]: title.lower() for title in application.tables},
        **{name: text for name, text in FOLDERS.items() if networks[name] is not None},
    }  # fmt: skip
    shown = {title: rows[:SHOWN] if title == "Regions" else rows for title, rows in application.tables.items()}
    return Application("yann-rl", application.headline, shown, application.notes, holds, output)


def _world(env: str) -> dict[str, Any] | None:
    """What a file may call the environment; None for one that only the user's own module knows."""
    name, arguments = worlds.named(env)
    own = plants.ENVIRONMENTS.get(name.rpartition(":")[2])
    return None if own is None and worlds.names_module(name) else {"name": own or name, "arguments": arguments}
