"""deep-ga for a user: a policy evolved in their own environment, and the list of seeds that rebuilds it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from livepapers.core import artifact, loop
from livepapers.core.application import Application, Row, Spread, check_numbers, refuse_changed, rounded, to_csv
from livepapers.core.compiling import Compile
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.files import check_output_folder, new_folder, unfinished
from livepapers.core.learner import JSON
from livepapers.core.rng import Seed, derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.deep_ga.config import ALGORITHMS, Algorithm, Config
from livepapers.methods.deep_ga.evaluation import Evaluator, World, world_of
from livepapers.methods.deep_ga.genomes import MOST_SEED, Genome, initial_weights
from livepapers.methods.deep_ga.learner import Evolution, described_policy
from livepapers.methods.deep_ga.networks import CONVOLUTIONS, Activation, EvolvedPolicy, Layout
from livepapers.methods.deep_ga.spreading import Crew
from livepapers.tasks import worlds

RESULT, CURVE, GENOME = "Return on fresh episodes", "Generations", "genome.json"
_COLUMNS = ("generation", "evaluations", "best", "mean", "elite", "mutations")
UNTRAINED = 20
"""Networks with fresh initial weights, as a floor."""
_LARGEST_GENOME = 16 << 20
_NUMBERS_AT_ONCE = 50_000_000  # weights that lie side by side, 200 MB


@dataclass(frozen=True)
class _Individual:
    """What a genome file holds, checked."""

    genome: Genome
    layout: Layout
    world: World
    task: dict[str, JSON]
    cap: int
    theta: np.ndarray


def apply(
    *,
    env: str = "",
    genome: Path | None = None,
    algorithm: Algorithm = "ga",
    generations: int = 20,
    population: int = 100,
    parents: int = 10,
    sigma: float = 0.05,
    validation: int = 10,
    hidden: str = "16,16",
    activation: Activation = "relu",
    cap: int = 0,
    share: int = 0,
    compile: Compile = "never",  # noqa: A002 - the option's name
    test_episodes: int = 100,
    seed: Seed = 0,
    output: Path | None = None,
    spread: Spread | None = None,
) -> Application:
    """Evolve a policy in your environment, or rebuild one from its list of seeds.

    With --env, a genetic algorithm evolves networks without any gradient; what is saved is the elite, rebuilt from its
    seeds, as a policy for `livepapers evaluate`, `export` and `apply policy-smoothing`, and genome.json: the list of
    seeds, a few bytes a generation. With --genome, such a file becomes the policy again, to the same bits.

    Args:
        env: The world: a name of livepapers, a Gymnasium id, or atari:<game>.
        genome: A genome.json that this command wrote: nothing is evolved, and --env may be left out.
        algorithm: What selects: ga (reward), ga-ns (novelty of the final state) or random (nothing).
        generations: How many.
        population: Individuals in a generation, each evaluated on one episode.
        parents: The best of a generation, from which the next one is mutated.
        sigma: Standard deviation of a mutation, the same for all weights.
        validation: Extra episodes of each of the ten candidates for the elite; 0 where nothing is random.
        hidden: Widths of the hidden layers, separated by commas; small or large for images of shape
            channels x height x width.
        activation: Behind each hidden layer, relu or tanh.
        cap: Steps after which a training episode is cut; 0: only the world ends it.
        share: Individuals that run as one batch, which is what a worker of --engine is given; 0: as many as fit
            200 MB, at most 500. Another share draws other episodes; another engine or number of workers does not.
        compile: Whether steps in a world of livepapers are compiled: never; auto, where that can be done; always. It
            takes from seconds (cart-pole) to over a minute (hard-maze) for each size of batch, and pays in long
            searches by small networks.
        test_episodes: Fresh episodes on which the elite is judged at the end.
        seed: Of genomes and episodes.
        output: Folder for policy, genome and curve; nothing is written when left out. An interrupted run leaves a
            folder of that name with .partial behind and goes on from there.
        spread: The `map` of an engine that evaluates shares of the population; on the command line, --engine.

    Returns:
        Return of the elite on fresh episodes beside networks with initial weights, and the course of the search.

    Raises:
        InputError: One line that names option, value, what was expected and the likely cause; nothing was written.

    Examples:
        livepapers apply deep-ga --env CartPole-v1 --output pole
        livepapers apply deep-ga --env hard-maze --algorithm ga-ns --validation 0 --population 500 --generations 100
        livepapers apply deep-ga --env cart-pole --population 500 --compile auto --output pole
        livepapers apply deep-ga --env CartPole-v1 --share 25 --engine local --output pole
        livepapers apply deep-ga --genome pole/genome.json --output again
    """
    if not env and genome is None:
        raise InputError.of("env and genome", "neither", expected="a world to evolve in, or a genome to rebuild")
    check_numbers({"seed": (seed, 0, 2**63 - 1), "cap": (cap, 0, 10**6), "test-episodes": (test_episodes, 2, 10**5)})
    if output is not None:
        check_output_folder(output)
    if genome is not None:
        refuse_changed(
            apply, "--genome evolves nothing", algorithm=algorithm, generations=generations, population=population,
            parents=parents, sigma=sigma, validation=validation, hidden=hidden, activation=activation, cap=cap,
            share=share, compile=compile,
        )  # fmt: skip
        if spread is not None:
            raise InputError.of("--engine", "an engine", expected="nothing", cause="--genome evolves nothing")
        return _replayed(genome, env, test_episodes, seed, output)
    config = _config(
        algorithm=algorithm, generations=generations, population=population, parents=parents, sigma=sigma,
        validation=validation, share=share,
    )  # fmt: skip
    widths = _widths(hidden)
    world, observation_space, action_space = world_of(env)
    layout = Layout(observation_space, action_space, hidden=widths, activation=activation)
    config = replace(config, side_by_side=share or _side_by_side(layout), compile=compile)
    learner, name = Evolution(world, layout, config=config, seed=seed, cap=cap), worlds.full_name(env)
    if spread is not None:
        learner.crew = Crew(spread, name, {}, learner.evaluator)
    return _evolved(learner, name, test_episodes, output)


def _config(
    *, algorithm: Algorithm, generations: int, population: int, parents: int, sigma: float, validation: int, share: int
) -> Config:
    """The options of a search, checked, as its settings; how many run side by side depends on the network."""
    if algorithm not in ALGORITHMS:
        raise InputError.of("algorithm", algorithm, expected=f"one of {', '.join(ALGORITHMS)}")
    check_numbers({
        "generations": (generations, 1, 10**6), "population": (population, 2, 10**6),
        "parents": (parents, 1, population), "validation": (validation, 0, 10_000), "share": (share, 0, 10_000),
    }, causes={"parents": "parents are the best of the population"})  # fmt: skip
    if not 0.0 < sigma <= 10.0:
        raise InputError.of("sigma", sigma, expected="a number > 0 and at most 10")
    return Config(
        algorithm=algorithm, population=population, parents=parents, sigma=sigma, generations=generations,
        validation=validation,
    )  # fmt: skip


def _evolved(learner: Evolution, name: str, test_episodes: int, output: Path | None) -> Application:
    """Search, judge the elite, and write it."""
    with unfinished(output) as partial:
        curve = _drive(learner, name, partial)
        if learner.elite is None:
            raise RuntimeError("a search of at least one generation has an elite")
        layout, config = learner.layout, learner.config
        theta = Genome.from_bytes(learner.elite.to_bytes()).decode(layout.scale())  # from nothing but its bytes
        evaluator = learner.evaluator
        task: dict[str, JSON] = {"name": name, "arguments": {}}
        found = _Individual(learner.elite, layout, evaluator.world, task, evaluator.cap, theta)
        made_by: dict[str, JSON] = {"algorithm": config.algorithm, "seed": learner.seed, "config": config.to_json()}
        done = _judged(found, test_episodes, learner.seed, {CURVE: curve}, _work_notes(learner))
        return done if output is None else _write(done, output, found, made_by)


def _widths(text: str) -> list[int] | str:
    if text.strip() in CONVOLUTIONS:
        return text.strip()
    try:
        widths = [int(part) for part in text.split(",")]
    except ValueError:
        widths = [0]
    if not all(1 <= width <= 65_536 for width in widths):
        expected = f"whole widths from 1 to 65,536 separated by commas, or one of {', '.join(CONVOLUTIONS)}"
        raise InputError.of("hidden", text.strip() or "nothing", expected=expected)
    return widths


def _side_by_side(layout: Layout) -> int:
    return max(min(500, _NUMBERS_AT_ONCE // layout.parameters), 1)


def _drive(learner: Evolution, name: str, partial: Path | None) -> list[Row]:
    """Run all generations; the rows of the curve."""
    curve: list[Row] = []

    def log(step: int, metrics: dict[str, float]) -> None:
        spent = learner.work()["evaluations"]
        shown = (rounded(metrics[key]) for key in ("best", "mean", "elite"))
        row = (step, spent, *shown, int(metrics["elite_generation"]))
        curve.append(dict(zip(_COLUMNS, row, strict=True)))

    def recall(kept: list[Row]) -> None:
        curve.extend({key: row[key] for key in _COLUMNS} for row in kept)  # checkpoints keep keys in another order

    identity = ["deep-ga", 1, name, learner.layout.arguments, learner.config.to_json(), learner.seed]
    identity.append(learner.evaluator.cap)
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    loop.drive(
        learner, learner.config.generations, folder=partial, fingerprint=fingerprint, log=log,
        memory=lambda: list(curve), recall=recall,
    )  # fmt: skip
    return curve


def _replayed(path: Path, env: str, episodes: int, seed: int, output: Path | None) -> Application:
    """A genome file, rebuilt and judged."""
    found = read_genome(path, env)
    seeds = len(found.genome.seeds)
    note = (f"rebuilt from {seeds} seed{'s' if seeds > 1 else ''}; the bits of all weights are those that were saved",)
    done = _judged(found, episodes, seed, {}, note)
    return done if output is None else _write(done, output, found, {"seed": seed, "replayed": True})


def read_genome(path: Path, env: str = "") -> _Individual:
    """Read, check and decode a genome file.

    Args:
        path: The file.
        env: The world, instead of the one that the file names.

    Raises:
        InputError: It cannot be read, or is none, or does not rebuild the weights that it names.
    """
    try:
        if path.stat().st_size > _LARGEST_GENOME:
            raise InputError.of("genome", path, expected=f"at most {_LARGEST_GENOME >> 20} MB")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError.of("genome", path, expected="a readable file", cause=plainly(error)) from None
    except (ValueError, RecursionError) as error:
        raise InputError.of("genome", path, expected="JSON as this command writes it", cause=plainly(error)) from None
    try:
        genome = Genome.from_json(values["genome"])
        layout = Layout.from_arguments(values["layout"])
        told, cap, digest = values["world"], int(values["cap"]), str(values["weights"])
    except (CorruptFileError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError.of("genome", path, expected="a genome.json of deep-ga", cause=plainly(error)) from None
    name, arguments = (worlds.full_name(env), {}) if env else worlds.of_file(told, field="genome", option="--env")
    if genome.signature != layout.signature:
        cause = "its network was altered after it was written"
        raise InputError.of("genome", path, expected=f"the signature {layout.signature}", cause=cause)
    theta = genome.decode(layout.scale())
    if _digest(theta) != digest:
        raise InputError.of("genome", path, expected="the weights whose hash it names", cause="a seed was altered")
    world, seen, acts = world_of(name, arguments)
    if seen.shape != layout.observation_space.shape or acts != layout.action_space:
        network = f"a network of observations {layout.observation_space} and actions {layout.action_space}"
        cause = "this world is not the one that it was made for"
        raise InputError.of("env" if env else "genome", name, expected=f"a world for {network}", cause=cause)
    return _Individual(genome, layout, world, {"name": name, "arguments": arguments}, cap, theta)


def _judged(
    found: _Individual, episodes: int, seed: int, tables: Mapping[str, list[Row]], notes: tuple[str, ...]
) -> Application:
    """The elite and networks with initial weights on fresh episodes, without a cap."""
    run = Evaluator(found.world, found.layout, side_by_side=_side_by_side(found.layout))
    fresh = derive(seed, "deep-ga", "apply", "test")
    ours = run(lambda _: found.theta, 1, episodes=episodes, seed=fresh).returns[0]
    drawn = torch.randint(MOST_SEED, (UNTRAINED,), generator=make_generator(seed, "deep-ga", "apply", "untrained"))
    seeds, scale = drawn.tolist(), found.layout.scale()
    each = max(episodes // UNTRAINED, 1)
    floor = run(lambda i: initial_weights(seeds[i], scale), UNTRAINED, episodes=each, seed=fresh).returns.flatten()
    rows: list[Row] = [_row("elite", ours), _row(f"{UNTRAINED} networks with initial weights", floor)]
    size, weights = len(found.genome.to_bytes()), 4 * found.layout.parameters
    headline = (
        f"{found.task['name']}: mean return {rounded(float(ours.mean())):g} on {episodes} fresh episodes, initial "
        f"weights {rounded(float(floor.mean())):g}; the policy is {size:,} bytes of seeds, its weights {weights:,}"
    )
    gap = float(ours.mean() - floor.mean())
    notes = (*notes, "the elite acts without chance: its most preferred action, or its output cut at the box")
    if gap <= 0.0:
        notes = ("the elite is NO better than initial weights: more generations, or another sigma", *notes)
    return Application("deep-ga", headline, {RESULT: rows, **tables}, notes)


def _row(name: str, returns: Tensor) -> Row:
    spread = float(returns.std()) / len(returns) ** 0.5
    low, high = (rounded(float(end)) for end in (returns.min(), returns.max()))
    return {
        "policy": name, "mean": rounded(float(returns.mean())), "standard error": rounded(spread), "lowest": low,
        "highest": high, "episodes": len(returns),
    }  # fmt: skip


def _work_notes(learner: Evolution) -> tuple[str, ...]:
    work = learner.work()
    notes = [
        f"{work['evaluations']:,} evaluations, {work['validation_episodes']:,} episodes of validation, "
        f"{work['environment_steps']:,} steps in all",
    ]
    if not learner.config.validation:
        notes.append("the elite was not validated: where something is random it may owe its place to one lucky episode")
    return tuple(notes)


def _write(done: Application, output: Path, found: _Individual, made_by: Mapping[str, JSON]) -> Application:
    """Save the policy with its genome and curve, whole or not at all."""
    policy = EvolvedPolicy(**found.layout.arguments, theta=found.theta)
    described = described_policy(found.layout, found.genome, task=found.task, **made_by)
    kept = {
        "format": 1, "genome": found.genome.to_json(), "layout": found.layout.arguments, "world": found.task,
        "cap": found.cap, "weights": _digest(found.theta),
    }  # fmt: skip
    files = {GENOME: json.dumps(kept) + "\n"}
    holds = {
        "artifact.json": "what the policy is and what made it", artifact.WEIGHTS: "its weights",
        GENOME: "its list of seeds, for --genome",
    }  # fmt: skip
    if CURVE in done.tables:
        files["generations.csv"], holds["generations.csv"] = to_csv(done.tables[CURVE]), "the course of the search"
    with new_folder(output) as folder:
        artifact.save(folder, described, weights=policy.state_dict(), files=files)
    return Application("deep-ga", done.headline, done.tables, done.notes, holds, output)


def _digest(theta: np.ndarray) -> str:
    return hashlib.sha256(theta.astype("<f4", copy=False).tobytes()).hexdigest()
