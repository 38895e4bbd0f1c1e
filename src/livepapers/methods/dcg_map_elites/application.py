"""dcg-map-elites for a user: a repertoire for their environment, one policy in place of it, and cells to replay."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from livepapers.core import artifact, loop
from livepapers.core.application import (
    Application,
    Row,
    as_typed,
    check_numbers,
    options_checked,
    refuse_changed,
    rounded,
    to_csv,
)
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, unfinished
from livepapers.core.rng import Seed, derive
from livepapers.core.user_code import digest_of_file, function_given, name_given
from livepapers.methods.dcg_map_elites import repertoire
from livepapers.methods.dcg_map_elites.config import Config
from livepapers.methods.dcg_map_elites.episodes import World
from livepapers.methods.dcg_map_elites.learner import DescriptorConditionedSearch
from livepapers.methods.dcg_map_elites.repertoire import Repertoire
from livepapers.methods.dcg_map_elites.replaying import (
    CELLS,
    MOST_SHOWN,
    cell_rows,
    listed,
    looked_up,
    page_of,
)
from livepapers.tasks import worlds
from livepapers.tasks.descriptors import Describe, Descriptor, Statistic

RESULT = "Repertoire and the one policy"
_CURVE = ("iteration", "evaluations", "qd_score", "coverage", "best", "accepted_mutated", "accepted_gradient", "drift")
_SOURCES: Mapping[str, tuple[str, Statistic]] = {
    "obs": ("columns", "last"), "mean-obs": ("columns", "mean"), "info": ("keys", "last"), "mean-info": ("keys", "mean")
}  # fmt: skip


@options_checked
def apply(
    *,
    env: str = "",
    descriptor: str = "",
    descriptor_from: str = "",
    low: str = "",
    high: str = "",
    iterations: int = 40,
    offspring: int = 64,
    cells: int = 256,
    critic_steps: int = 200,
    gradient_steps: int = 40,
    length: float = 0.03,
    reward_offset: float = 0.0,
    hidden: str = "64,64",
    archive: Path | None = None,
    cell: int = -1,
    at: str = "",
    distilled: bool = False,
    test_episodes: int = 10,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    r"""Find a policy for every behaviour in your environment, and one policy that takes the wanted behaviour as input.

    With --env, a search fills an archive: its cells are behaviours, each holds the best policy found. What is saved is
    the archive, a page that draws it (click a cell for the command that replays it), a table of its cells, and the
    distilled policy for `livepapers evaluate` and `export`. With --archive, such a folder is listed; with --cell or
    --at, one policy of it is replayed and saved as a policy of its own.

    Args:
        env: The world: a name of livepapers or a Gymnasium id; its actions are a bounded box. An archive knows its own;
            beside --archive it must be that one, typed again where it is module:id: no file may name code.
        descriptor: What describes an episode: obs:0,1 (columns of the last observation), mean-obs:0,1 (their means
            over the episode), info:x,y or mean-info:x,y (keys of Gymnasium's info). May be left out for point-omni and
            swimmer-omni.
        descriptor_from: module:function instead (from Python, the function, too), called with the observations,
            actions and rewards of an episode.
        low: Lower ends of the descriptor's box, one number each, separated by commas (from Python, all such lists may
            be sequences).
        high: Upper ends.
        iterations: After the initial policies.
        offspring: Policies evaluated an iteration, half of them by gradient; a quarter as many actor episodes on top.
        cells: Of the archive.
        critic_steps: Gradient steps of the critics an iteration.
        gradient_steps: Gradient steps of each offspring by gradient.
        length: How fast a reward loses its worth with the distance from the wanted descriptor, in half-widths of the
            box.
        reward_offset: Added to each reward, so that none is negative.
        hidden: Widths of the hidden layers of policies and actor, separated by commas.
        archive: A folder that this command wrote: nothing is searched.
        cell: The number of a cell to replay.
        at: The wanted descriptor, one number each: the cell that is nearest to it.
        distilled: With --at, the one distilled policy told to go there, instead of a cell.
        test_episodes: Fresh episodes of the policy that is replayed.
        seed: Of everything random.
        output: Folder for what is made; nothing is written when left out. An interrupted search leaves a folder of
            that name with .partial behind and goes on from there.

    Returns:
        How much of the behaviours the archive covers, as stored and evaluated again, and what the one policy keeps.

    Raises:
        InputError: One line that names option, value, what was expected and the likely cause; nothing was written.

    Examples:
        livepapers apply dcg-map-elites --env point-omni --iterations 60 --output places
        livepapers apply dcg-map-elites --archive places --at 5,-3 --output there
        livepapers apply dcg-map-elites --archive mine --env my_envs:Arm-v0 --cell 7
        livepapers apply dcg-map-elites --env Pendulum-v1 --descriptor mean-obs:0,2 --low=-1,-8 --high 1,8 \
            --reward-offset 17
    """
    for field, given in (("env", env), ("descriptor", descriptor)):
        if not isinstance(given, str):
            raise InputError.of(field, type(given).__name__, expected="text")
    low, high, hidden, at = map(as_typed, (low, high, hidden, at))
    if not env and archive is None:
        raise InputError.of("env and archive", "neither", expected="a world to search, or an archive to look into")
    check_numbers({"seed": (seed, 0, 2**63 - 1), "test-episodes": (test_episodes, 1, 10_000)})
    if cell < -1:
        raise InputError.of("cell", cell, expected="the number of a cell, 0 or more")
    if output is not None:
        check_output_folder(output)
    if archive is not None:
        refuse_changed(
            apply, "--archive searches nothing", descriptor=descriptor, low=low, high=high, iterations=iterations,
            offspring=offspring, cells=cells, critic_steps=critic_steps, gradient_steps=gradient_steps, length=length,
            reward_offset=reward_offset, hidden=hidden,
        )  # fmt: skip
        if cell < 0 and not at and not distilled:
            because = "without --cell or --at an archive is listed, and nothing else"
            refuse_changed(apply, because, test_episodes=test_episodes, seed=seed, output=output)
        kept = repertoire.read(archive, function=descriptor_from, env=env)
        return looked_up(archive, kept, cell, at, distilled, test_episodes, seed, output)
    if cell >= 0 or at or distilled:
        raise InputError.of(
            "cell, at or distilled", "given with --env", expected="--archive", cause="there is none yet"
        )
    refuse_changed(apply, "only a policy that --archive replays is tested", test_episodes=test_episodes)
    config = _config(
        iterations=iterations, offspring=offspring, cells=cells, critic_steps=critic_steps,
        gradient_steps=gradient_steps, length=length, reward_offset=reward_offset, hidden=hidden,
    )  # fmt: skip
    worlds.make(*worlds.named(env))  # who mistyped the world reads that first, and not of its descriptor
    function = name_given(descriptor_from, field=repertoire.FUNCTION)
    world = World.of(env, _described(descriptor, descriptor_from, low, high))
    return _search(world, config, seed, function, output)


def _config(
    *, iterations: int, offspring: int, cells: int, critic_steps: int, gradient_steps: int, length: float,
    reward_offset: float, hidden: str,
) -> Config:  # fmt: skip
    """The options of a search, checked, as its settings."""
    check_numbers({
        "iterations": (iterations, 1, 10**6), "offspring": (offspring, 4, 4096), "cells": (cells, 2, 65_536),
        "critic-steps": (critic_steps, 1, 10**6), "gradient-steps": (gradient_steps, 1, 10**6),
    })  # fmt: skip
    for name, value, least in (("length", length, 1e-6), ("reward-offset", reward_offset, -1e6)):
        if not (math.isfinite(value) and least <= value <= 1e6):
            raise InputError.of(name, value, expected=f"a number from {least:g} to 1,000,000")
    widths = _widths(hidden)
    samples = min(200 * cells, max(50_000, 20 * cells))
    return Config(
        cells=cells, cell_samples=samples, mutated=offspring - offspring // 2, gradients=offspring // 2,
        rollouts=offspring // 4, length=length, hidden=widths, actor_hidden=widths, critic_steps=critic_steps,
        gradient_steps=gradient_steps, reward_offset=reward_offset, iterations=iterations,
    )  # fmt: skip


def _search(world: World, config: Config, seed: int, function: str, output: Path | None) -> Application:
    """Fill an archive, judge it, and write it."""
    learner = DescriptorConditionedSearch(world, config=config, seed=seed)
    with unfinished(output) as partial:
        curve = _drive(learner, function, partial)
        kept = Repertoire(world, learner.archive, config.hidden, config.reward_offset, function)
        done = _judged(learner, kept, seed)
        return done if output is None else _write(done, output, learner, kept, curve)


def _widths(text: str) -> tuple[int, ...]:
    widths = listed("hidden", text, "whole widths from 1 to 4,096")
    if not all(width.is_integer() and 1 <= width <= 4096 for width in widths):
        raise InputError.of("hidden", text, expected="whole widths from 1 to 4,096 separated by commas")
    return tuple(int(width) for width in widths)


def _described(text: str, function: str | Describe, low: str, high: str) -> Descriptor | None:
    """The descriptor that the options name; None leaves it to the world."""
    if not text and not function:
        if low or high:
            raise InputError.of("low and high", low or high, expected="--descriptor or --descriptor-from beside them")
        return None
    if text and function:
        raise InputError.of("descriptor", text, expected="no --descriptor-from beside it")
    ends = [listed(name, given, "numbers") for name, given in (("low", low), ("high", high))]
    if function:
        names = tuple(f"d{index}" for index in range(len(ends[0])))
        return Descriptor(names, ends[0], ends[1], function=function_given(function, field=repertoire.FUNCTION))
    source, _, names_of = text.partition(":")
    parts = tuple(part.strip() for part in names_of.split(","))
    if source not in _SOURCES or not all(parts):
        raise InputError.of("descriptor", text, expected=f"one of {', '.join(_SOURCES)}, a colon, and a list")
    kind, statistic = _SOURCES[source]
    if kind == "keys":
        return Descriptor(parts, ends[0], ends[1], keys=parts, statistic=statistic)
    if not all(part.isdecimal() for part in parts):
        raise InputError.of("descriptor", text, expected="columns of observations as whole numbers from 0")
    names = tuple(f"observation {part}" for part in parts)
    return Descriptor(names, ends[0], ends[1], columns=tuple(map(int, parts)), statistic=statistic)


def _drive(learner: DescriptorConditionedSearch, function: str, partial: Path | None) -> list[Row]:
    """Run all iterations; the rows of the curve."""
    curve: list[Row] = []

    def log(step: int, metrics: dict[str, float]) -> None:
        told = {name: rounded(metrics[name]) for name in _CURVE[2:]}
        curve.append({"iteration": step - 1, "evaluations": learner.work()["evaluations"], **told})

    def recall(kept: list[Row]) -> None:
        curve.extend({key: row[key] for key in _CURVE} for row in kept)  # checkpoints keep keys in another order

    world = learner.world
    told = [world.descriptor.names, world.descriptor.low, world.descriptor.high, world.descriptor.statistic, function]
    told += [digest_of_file(function), worlds.digest_of_code(world.name)]  # code, not names
    identity = ["dcg-map-elites", 1, world.name, world.arguments, told, learner.config.to_json(), learner.seed]
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    loop.drive(
        learner, 1 + learner.config.iterations, folder=partial, fingerprint=fingerprint, log=log, recall=recall,
        memory=lambda: list(curve),
    )  # fmt: skip
    return curve


def _judged(learner: DescriptorConditionedSearch, kept: Repertoire, seed: int) -> Application:
    """The archive as stored and once more, and the distilled policy asked for each of its descriptors."""
    archive, fresh = learner.archive, derive(seed, "dcg-map-elites", "apply", "fresh")
    again, actor = learner.corrected(fresh), learner.distilled(fresh)
    miss = 100.0 / math.sqrt(4.0 * learner.world.descriptor.size)
    stored = (archive.qd_score, archive.coverage, 0.0)
    rows: list[Row] = [
        {
            "what": what, "QD-score": rounded(score), "coverage": rounded(share),
            "missed by, % of the box's diagonal": rounded(miss * error),
        }
        for what, (score, share, error) in (
            ("archive, as stored", stored), ("archive, evaluated again", again), ("the one policy", actor)
        )
    ]  # fmt: skip
    work = learner.work()
    share = actor.qd_score / max(again.qd_score, 1e-12)
    headline = (
        f"{learner.world.name}: {100 * archive.coverage:.3g} % of {len(archive.fitness)} cells filled in "
        f"{work['evaluations']:,} evaluations; the one policy keeps {100 * share:.3g} % of the QD-score "
        f"and misses what it is asked for by {miss * actor.error:.3g} % of the box"
    )
    notes = [f"{work['evaluations']:,} evaluations, {work['actor_rollouts']:,} of them by the actor"]
    if actor.qd_score < 0.5 * again.qd_score:
        notes.insert(0, "the one policy is NO stand-in for the archive: more iterations, or replay cells instead")
    if again.qd_score < 0.8 * archive.qd_score:
        notes.insert(0, "over a fifth of the stored QD-score was chance: trust the second line, not the first")
    return Application("dcg-map-elites", headline, {RESULT: rows, CELLS: cell_rows(kept)[:MOST_SHOWN]}, tuple(notes))


def _write(
    done: Application, output: Path, learner: DescriptorConditionedSearch, kept: Repertoire,
    curve: list[Row],
) -> Application:  # fmt: skip
    """The distilled policy with archive, page, cells and curve, whole or not at all."""
    files = {
        "cells.csv": to_csv(cell_rows(kept)), "iterations.csv": to_csv(curve),
        "atlas.html": page_of(kept, done.headline, output),
    }  # fmt: skip
    holds = {
        "artifact.json": "what the distilled policy is", artifact.WEIGHTS: "its weights",
        repertoire.FILE: "the archive, for --archive", "atlas.html": "its cells to look at and to click",
        "cells.csv": "its cells as a table", "iterations.csv": "the course of the search",
        "application.json": "all of it, for programs",
    }  # fmt: skip
    done = replace(done, files=holds)
    files["application.json"] = json.dumps(done.to_json(), indent=2) + "\n"
    with new_folder(output) as folder:
        artifact.save(folder, learner.artifact(), weights=learner.policy().state_dict(), files=files)
        kept.save(folder / repertoire.FILE)
    return replace(done, output=output)
