"""deep-ga for a user: a policy evolved in their own environment, and the list of seeds that rebuilds it."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from livepapers.core import loop
from livepapers.core.application import (
    Application,
    Row,
    Spread,
    as_typed,
    check_numbers,
    options_checked,
    refuse_changed,
    rounded,
)
from livepapers.core.compiling import Compile
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, unfinished
from livepapers.core.learner import JSON
from livepapers.core.rng import Seed
from livepapers.methods.deep_ga.config import Algorithm, Config
from livepapers.methods.deep_ga.evaluation import world_of
from livepapers.methods.deep_ga.genomes import Genome
from livepapers.methods.deep_ga.individuals import (
    CURVE,
    Individual,
    judged,
    read_genome,
    side_by_side,
    untested,
    write,
)
from livepapers.methods.deep_ga.learner import Evolution
from livepapers.methods.deep_ga.networks import CONVOLUTIONS, Activation, Layout
from livepapers.methods.deep_ga.spreading import Crew
from livepapers.tasks import worlds

_COLUMNS = ("generation", "evaluations", "best", "mean", "elite", "mutations")


@options_checked
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
        env: The world: a name of livepapers, a Gymnasium id, or atari:<game>; arguments follow it as in
            'FrozenLake-v1?is_slippery=false'.
        genome: A genome.json that this command wrote: nothing is evolved, and --env may be left out.
        algorithm: What selects: ga (reward), ga-ns (novelty of the final state) or random (nothing).
        generations: How many.
        population: Individuals in a generation, each evaluated on one episode.
        parents: The best of a generation, from which the next one is mutated.
        sigma: Standard deviation of a mutation, the same for all weights.
        validation: Extra episodes of each of the ten candidates for the elite; 0 where nothing is random.
        hidden: Widths of the hidden layers, separated by commas (from Python, a sequence, too); small or large for
            images of shape channels x height x width.
        activation: Behind each hidden layer, relu or tanh.
        cap: Steps after which a training episode is cut, and a fresh one too where the environment names no limit of
            its own; 0: only the world ends it.
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
    if not isinstance(env, str):
        raise InputError.of("env", type(env).__name__, expected="the name of a world")
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
    if algorithm == "random":
        refuse_changed(apply, "random search mutates nobody", parents=parents, sigma=sigma)
        parents = min(parents, population)  # nobody has any
    config = _config(
        algorithm=algorithm, generations=generations, population=population, parents=parents, sigma=sigma,
        validation=validation, share=share,
    )  # fmt: skip
    widths = _widths(hidden)
    name, arguments = worlds.named(env)
    world, observation_space, action_space = world_of(name, arguments)
    layout = Layout(observation_space, action_space, hidden=widths, activation=activation)
    config = replace(config, side_by_side=share or side_by_side(layout), compile=compile)
    learner = Evolution(world, layout, config=config, seed=seed, cap=cap)
    if spread is not None:
        learner.crew = Crew(spread, name, arguments, learner.evaluator)
    return _evolved(learner, {"name": name, "arguments": arguments}, test_episodes, output)


def _config(
    *, algorithm: Algorithm, generations: int, population: int, parents: int, sigma: float, validation: int, share: int
) -> Config:
    """The options of a search, checked, as its settings; how many run side by side depends on the network."""
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


def _evolved(learner: Evolution, task: dict[str, JSON], test_episodes: int, output: Path | None) -> Application:
    """Search, judge the elite, and write it."""
    with unfinished(output) as partial:
        curve = _drive(learner, task, partial)
        if learner.elite is None:
            raise RuntimeError("a search of at least one generation has an elite")
        layout, config = learner.layout, learner.config
        theta = Genome.from_bytes(learner.elite.to_bytes()).decode(layout.scale())  # from nothing but its bytes
        evaluator = learner.evaluator
        found = Individual(learner.elite, layout, evaluator.world, task, evaluator.cap, theta)
        made_by: dict[str, JSON] = {"algorithm": config.algorithm, "seed": learner.seed, "config": config.to_json()}
        notes = _work_notes(learner)
        try:
            done = judged(found, test_episodes, learner.seed, {CURVE: curve}, notes)
        except InputError as error:
            done = untested(found, str(error), curve, notes)
        return done if output is None else write(done, output, found, made_by)


def _widths(given: str | Sequence[int]) -> list[int] | str:
    text = as_typed(given)
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


def _drive(learner: Evolution, task: dict[str, JSON], partial: Path | None) -> list[Row]:
    """Run all generations; the rows of the curve."""
    curve: list[Row] = []

    def log(step: int, metrics: dict[str, float]) -> None:
        spent = learner.work()["evaluations"]
        shown = (rounded(metrics[key]) for key in ("best", "mean", "elite"))
        row = (step, spent, *shown, int(metrics["elite_generation"]))
        curve.append(dict(zip(_COLUMNS, row, strict=True)))

    def recall(kept: list[Row]) -> None:
        curve.extend({key: row[key] for key in _COLUMNS} for row in kept)  # checkpoints keep keys in another order

    identity: list[JSON] = ["deep-ga", 2, task, learner.layout.arguments, learner.config.to_json(), learner.seed]
    identity.append(learner.evaluator.cap)
    identity.append(worlds.digest_of_code(str(task["name"])))
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
    done = judged(found, episodes, seed, {}, note)
    return done if output is None else write(done, output, found, {"seed": seed, "replayed": True})


def _work_notes(learner: Evolution) -> tuple[str, ...]:
    work = learner.work()
    notes = [
        f"{work['evaluations']:,} evaluations, {work['validation_episodes']:,} episodes of validation, "
        f"{work['environment_steps']:,} steps in all",
    ]
    if not learner.config.validation:
        notes.append("the elite was not validated: where something is random it may owe its place to one lucky episode")
    return tuple(notes)
