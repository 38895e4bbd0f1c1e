"""One individual for a user: read from its list of seeds, judged on fresh episodes, and written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from livepapers.core import artifact
from livepapers.core.application import Application, Row, rounded, to_csv
from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.files import new_folder
from livepapers.core.learner import JSON
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.deep_ga.evaluation import Evaluator, World, names_limit, world_of
from livepapers.methods.deep_ga.genomes import MOST_SEED, Genome, initial_weights
from livepapers.methods.deep_ga.learner import described_policy
from livepapers.methods.deep_ga.networks import EvolvedPolicy, Layout
from livepapers.tasks import worlds

RESULT, CURVE, GENOME = "Return on fresh episodes", "Generations", "genome.json"
UNTRAINED = 20
"""Networks with fresh initial weights, as a floor."""
_LARGEST_GENOME = 16 << 20
_NUMBERS_AT_ONCE = 50_000_000  # weights that lie side by side, 200 MB


@dataclass(frozen=True)
class Individual:
    """What a genome file holds, checked."""

    genome: Genome
    layout: Layout
    world: World
    task: dict[str, JSON]
    cap: int
    theta: np.ndarray


def side_by_side(layout: Layout) -> int:
    """How many networks run as one batch, so that their weights fit 200 MB."""
    return max(min(500, _NUMBERS_AT_ONCE // layout.parameters), 1)


def read_genome(path: Path, env: str = "") -> Individual:
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
    name, arguments = worlds.asked_for(env, told, field="genome")
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
    return Individual(genome, layout, world, {"name": name, "arguments": arguments}, cap, theta)


def judged(
    found: Individual, episodes: int, seed: int, tables: Mapping[str, list[Row]], notes: tuple[str, ...]
) -> Application:
    """The elite and networks with initial weights on fresh episodes; cut only where the world names no limit itself."""
    cap = 0 if not found.cap or names_limit(found.world) else found.cap
    run = Evaluator(found.world, found.layout, side_by_side=side_by_side(found.layout), cap=cap)
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
    if cap:
        notes = (*notes, f"the environment names no limit of its own: the fresh episodes are cut at {cap:,} steps, too")
    if gap <= 0.0:
        notes = ("the elite is NO better than initial weights: more generations, or another sigma", *notes)
    return Application("deep-ga", headline, {RESULT: rows, **tables}, notes)


def untested(found: Individual, why: str, curve: list[Row], notes: tuple[str, ...]) -> Application:
    """What is left to say of an elite whose fresh episodes failed: the search that found it shall not be lost."""
    headline = f"{found.task['name']}: the elite is NOT tested, its fresh episodes failed: {why}"
    return Application("deep-ga", headline, {CURVE: curve}, notes)


def _row(name: str, returns: Tensor) -> Row:
    spread = float(returns.std()) / len(returns) ** 0.5
    low, high = (rounded(float(end)) for end in (returns.min(), returns.max()))
    return {
        "policy": name, "mean": rounded(float(returns.mean())), "standard error": rounded(spread), "lowest": low,
        "highest": high, "episodes": len(returns),
    }  # fmt: skip


def write(done: Application, output: Path, found: Individual, made_by: Mapping[str, JSON]) -> Application:
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
    holds["application.json"] = "all of it, for programs"
    done = replace(done, files=holds)
    files["application.json"] = json.dumps(done.to_json(), indent=2) + "\n"
    with new_folder(output) as folder:
        artifact.save(folder, described, weights=policy.state_dict(), files=files)
    return replace(done, output=output)


def _digest(theta: np.ndarray) -> str:
    return hashlib.sha256(theta.astype("<f4", copy=False).tobytes()).hexdigest()
