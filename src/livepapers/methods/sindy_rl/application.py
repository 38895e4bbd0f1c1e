"""sindy-rl for a user: equations of recorded trajectories, or of an environment with policies learned inside them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gymnasium.spaces import Box

from livepapers.core import artifact, loop
from livepapers.core.application import (
    Application,
    Row,
    check_numbers,
    options_checked,
    refuse_changed,
    rounded,
    to_csv,
)
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, unfinished
from livepapers.core.rng import Seed, derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.sindy_rl import trajectories
from livepapers.methods.sindy_rl.circles import remarks
from livepapers.methods.sindy_rl.config import Config
from livepapers.methods.sindy_rl.dictionary import DictionaryPolicy, distil
from livepapers.methods.sindy_rl.interaction import interact, random_actions
from livepapers.methods.sindy_rl.learner import Known, SindyRL
from livepapers.methods.sindy_rl.model import SparseModel
from livepapers.methods.sindy_rl.model_files import (
    EQUATIONS,
    FILES,
    LEARNING,
    POLICIES,
    equations,
    explained,
    holds,
    model_files,
)
from livepapers.methods.sindy_rl.recorded import HIGHEST, Settings, equations_of
from livepapers.tasks import worlds
from livepapers.tasks.vector import BatchedTask, SimulatorTask

LONGEST = 1000  # steps of an episode that knows no end
TEST_EPISODES, PROBED = 10, 200
USUAL_THRESHOLD = 0.01  # with --env, where each further one would cost a training
ROUND_UPDATES = 8


@options_checked
def apply(
    *,
    env: str = "",
    data: Path | None = None,
    states: str = "",
    inputs: str = "",
    trajectory: str = "",
    degree: int = 2,
    threshold: float = 0.0,
    models: int = 20,
    random_steps: int = 4000,
    rounds: int = 12,
    round_steps: int = 1000,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Find the equations of your system, and, for an environment, a policy that is learned inside them.

    With --data, the sparse equations of recorded trajectories are printed and judged by roll-outs on a part that has
    neither fitted nor chosen them. With --env, random steps give first equations of dynamics and reward, a policy
    learns inside them, its own steps correct them round by round, and the best policy is written out as a polynomial.

    Args:
        env: Gymnasium id with real actions (module:id for one that your module registers), or a world of livepapers;
            arguments follow it as in 'Pendulum-v1?g=9.81'.
        data: CSV file of trajectories, one row a step.
        states: With --data, the columns of the states, separated by commas.
        inputs: With --data, the columns of the inputs, separated by commas; none when left out.
        trajectory: With --data, the column that tells runs apart; one run when left out.
        degree: Highest degree of the terms.
        threshold: Least coefficient between terms and changes of unit spread. 0: of recorded data several are tried,
            for an environment it is 0.01.
        models: Bootstrap models of an ensemble.
        random_steps: With --env, steps of random actions at the start.
        rounds: With --env, how often the policy is sent into the environment.
        round_steps: With --env, steps of each time.
        seed: Of starts, bootstrap samples, weights and exploration.
        output: Folder for equations (text, LaTeX, C), policies and tables; nothing is written when left out. An
            interrupted run of --env leaves a folder of that name with .partial behind and goes on from there.

    Returns:
        The equations, and how far they and the policies can be trusted.

    Raises:
        InputError: One line that names option, file or column, and the likely cause; nothing was written.

    Examples:
        livepapers apply sindy-rl --data runs.csv --states x,v --inputs push --trajectory run --output equations
        livepapers apply sindy-rl --data runs.csv --states x,v --degree 3 --threshold 0.01
        livepapers apply sindy-rl --env Pendulum-v1 --random-steps 2000 --rounds 6 --output pendulum
    """
    check_numbers({"degree": (degree, 1, HIGHEST), "models": (models, 2, 200), "seed": (seed, 0, 2**63 - 1)})
    if not 0 <= threshold <= 10:
        raise InputError.of("threshold", threshold, expected="a number from 0 to 10")
    if bool(env) == (data is not None):
        raise InputError.of("env and data", "both" if env else "neither", expected="exactly one of --env and --data")
    if output is not None:
        check_output_folder(output)
    if data is not None:
        because = "with --data no environment is stepped"
        refuse_changed(apply, because, random_steps=random_steps, rounds=rounds, round_steps=round_steps)
        names = (_names(states), _names(inputs))
        settings = Settings(degree, threshold or None, models, seed)
        return equations_of(data, names, trajectory=trajectory, settings=settings, output=output)
    refuse_changed(apply, "it names columns of --data", states=states, inputs=inputs, trajectory=trajectory)
    check_numbers({
        "random_steps": (random_steps, 10, 10_000_000), "rounds": (rounds, 1, 10_000),
        "round_steps": (round_steps, 10, 1_000_000),
    })  # fmt: skip
    limit = threshold or USUAL_THRESHOLD
    config = Config(
        offline=random_steps, collect=round_steps, online=round_steps * min(rounds, 8), refit_every=ROUND_UPDATES,
        updates=ROUND_UPDATES * rounds, degree=degree, reward_degree=degree, ridge=trajectories.RIDGE, threshold=limit,
        reward_ridge=trajectories.RIDGE, reward_threshold=limit, models=models, increments=True, scaled=True,
        lanes=64, steps=64, minibatches=16, epochs=10, learning_rate=1e-3, stored=0.5, rollback=0.0,
        normalise=True,  # users have units of their own
    )  # fmt: skip
    return _of_environment(env, config, seed, output)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _of_environment(env: str, config: Config, seed: int, output: Path | None) -> Application:
    task, horizon = _task(env), _horizon(_task(env))
    circles = _circles(task, seed)
    config = replace(config, horizon=horizon)
    learner = SindyRL(task, config=config, seed=seed, known=Known(circles=circles))
    made_by: dict[str, Any] = {"env": env, "seed": seed, **config.to_json()}
    with unfinished(output) as partial:
        learning = _drive(learner, made_by, partial)
        network, stream = learner.best_policy(), make_generator(seed, "sindy-rl", "apply", "dictionary")
        dictionary, _ = distil(network, learner.surrogate, config=config, generator=stream)
        policies = {"network": network, "dictionary": dictionary}
        rows = _compare(_task(env), policies, horizon, seed)
        returns = {str(row["policy"]): float(row["mean return"] or 0.0) for row in rows}
        tables: dict[str, list[Row]] = {
            EQUATIONS: [{"equation": line} for line in _all_equations(learner, dictionary)],
            POLICIES: rows, LEARNING: learning,
        }  # fmt: skip
        better = returns["network"] > returns["random"]
        headline = (
            f"after {learner.real_steps + PROBED:,} real steps the network returns {returns['network']:.4g}, the "
            f"dictionary policy of {dictionary.terms} terms {returns['dictionary']:.4g}, "
            f"random actions {returns['random']:.4g}" + ("" if better else ": NOTHING WAS LEARNED")
        )
        notes = _environment_notes(learner, horizon, network=returns["network"], dictionary=returns["dictionary"])
        done = Application("sindy-rl", headline, tables, notes)
        return done if output is None else _write_policies(done, output, learner, policies, made_by)


def _drive(learner: SindyRL, made_by: Mapping[str, Any], partial: Path | None) -> list[Row]:
    """Run all updates; the rows of the course of learning."""
    learning: list[Row] = []

    def log(step: int, metrics: dict[str, float]) -> None:
        if step % learner.config.refit_every == 0:
            learning.append({
                "real steps": int(metrics["real_steps"]), "real return": rounded(metrics["real_return"]),
                "best": rounded(metrics["best_real_return"]),
                "surrogate's return": rounded(metrics["episode_return"]),
                "one step, % of changes": rounded(100 * metrics["model_error"]),
            })  # fmt: skip

    code = worlds.digest_of_code(worlds.named(made_by["env"])[0])
    fingerprint = hashlib.sha256(json.dumps(["sindy-rl", 3, made_by, code], sort_keys=True).encode()).hexdigest()
    loop.drive(
        learner, learner.config.updates, folder=partial, fingerprint=fingerprint, log=log, memory=lambda: learning,
        recall=learning.extend,
    )  # fmt: skip
    return learning


def _names_of(learner: SindyRL) -> tuple[list[str], list[str]]:
    """Of an environment's observations and actions."""
    return [f"x{i + 1}" for i in range(learner.observations)], [f"u{i + 1}" for i in range(learner.actions)]


def _models(learner: SindyRL) -> tuple[SparseModel, SparseModel]:
    """Of the dynamics and of the reward, which the loop has fitted by its end."""
    model, reward = learner.dynamics, learner.reward_model
    if not isinstance(model, SparseModel) or reward is None:
        raise RuntimeError("the loop ended without models")
    return model, reward


def _all_equations(learner: SindyRL, dictionary: DictionaryPolicy) -> list[str]:
    """Of the dynamics, the reward and the policy."""
    (states, inputs), (model, reward) = _names_of(learner), _models(learner)
    circles = learner.known.circles
    paid = reward.written([f"{name}'" for name in states], inputs, ["reward"], circles=circles)
    laws = dictionary.written(states, inputs, circles=circles)
    return [*equations(model, states, inputs, circles), *paid, *laws]


def _write_policies(
    done: Application, output: Path, learner: SindyRL, policies: Mapping[str, Any], made_by: dict[str, Any]
) -> Application:
    """The network with equations and tables, and the dictionary policy in a folder of its own; whole or not at all."""
    states, inputs = _names_of(learner)
    network, dictionary, (model, _) = policies["network"], policies["dictionary"], _models(learner)
    name, arguments = worlds.named(made_by["env"])
    own = worlds.names_module(name)  # which no file may say
    spaces: dict[str, Any] = {} if own else {"task": {"name": name, "arguments": arguments}}
    circles = learner.known.circles
    written = model_files(model, states, inputs, circles) | {"policy.c": dictionary.in_c(states, inputs)}
    written["equations.txt"] = explained([str(row["equation"]) for row in done.tables[EQUATIONS]], states, circles)
    written |= {FILES[title]: to_csv(done.tables[title]) for title in (POLICIES, LEARNING)}
    with new_folder(output) as folder:
        for policy, architecture, place, files in (
            (network, "blocks.policies:GreedyPolicy", folder, written),
            (dictionary, "methods.sindy_rl:DictionaryPolicy", folder / "dictionary", {}),
        ):
            place.mkdir(exist_ok=True)
            described = artifact.Artifact("policy", "sindy-rl", architecture, policy.arguments, made_by, spaces)
            artifact.save(place, described, weights=policy.state_dict(), files=files)
    about = holds(written) | {"dictionary": "the dictionary policy, an artifact of its own"}
    return Application("sindy-rl", done.headline, done.tables, done.notes, about, output)


def _task(env: str) -> BatchedTask:
    """One lane of the user's environment."""
    return worlds.make(*worlds.named(env))


def _horizon(task: BatchedTask) -> int:
    if isinstance(task, SimulatorTask):
        return task.simulator.horizon
    limit = getattr(getattr(getattr(task, "env", None), "spec", None), "max_episode_steps", None)
    return int(limit or LONGEST)


def _circles(task: BatchedTask, seed: int) -> list[tuple[int, int]]:
    """Columns of the observation that are a cosine and its sine, by `PROBED` random steps; these are not used again."""
    if not isinstance(task.action_space, Box) or not task.action_space.is_bounded("both"):
        raise InputError.of("env", f"actions {task.action_space}", expected="real actions with bounds")
    act = random_actions(task.action_space, make_generator(seed, "sindy-rl", "apply", "probe"))
    found = interact(task, act, steps=PROBED, seed=derive(seed, "sindy-rl", "apply", "probe") >> 32)
    return trajectories.circles_in(found.steps.observation.flatten(1)) if found.steps.observation.ndim == 2 else []


def _compare(task: BatchedTask, policies: Mapping[str, Any], horizon: int, seed: int) -> list[Row]:
    """Each policy, and random actions, on the same fresh episodes."""
    space: Any = task.action_space  # a box: `_circles` has checked it
    random = random_actions(space, make_generator(seed, "sindy-rl", "apply", "random"))
    rows: list[Row] = []
    for name, act in {**policies, "random": random}.items():
        returns = [
            interact(
                task, act, steps=horizon, seed=derive(seed, "sindy-rl", "apply", "test", k) >> 32, first=True
            ).returns
            for k in range(TEST_EPISODES)
        ]  # fmt: skip
        size = len(getattr(act, "coefficients", ()))
        count = act.terms if isinstance(act, DictionaryPolicy) else sum(
            parameter.numel() for parameter in getattr(act, "parameters", list)()
        )  # fmt: skip
        rows.append({
            "policy": name, "mean return": rounded(sum(returns) / len(returns)), "lowest": rounded(min(returns)),
            "highest": rounded(max(returns)), "numbers": count if size or count else None,
        })  # fmt: skip
    return rows


def _environment_notes(learner: SindyRL, horizon: int, *, network: float, dictionary: float) -> tuple[str, ...]:
    notes = ["x1, x2 ... are the observation's columns, ' is the next step, u1 ... the actions before clipping"]
    notes += remarks(_names_of(learner)[0], learner.known.circles)
    if learner.terminated:
        notes.append(
            f"the environment ended {learner.terminated} episodes itself; the surrogate knows no such end, only the "
            "range of what was seen"
        )
    if dictionary < network - 0.1 * abs(network):
        notes.append("the dictionary policy loses over a tenth of the network's return: use the network")
    if learner.config.collect < horizon:
        notes.append(f"rounds of {learner.config.collect:,} steps are shorter than an episode of {horizon:,}: the "
                     "real return by which the best policy is kept is that of its beginning")  # fmt: skip
    return tuple(notes)
