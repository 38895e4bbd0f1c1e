"""A user's environment and rewards: read, checked, turned into constructions and log rewards (oc-gfn)."""

import hashlib
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.core.user_code import digest_of_file, function_given, name_given, numbers
from livepapers.tasks.construction import draw_objects
from livepapers.tasks.constructions import Hypergrid, Strings, binding_log_reward, rna_strings
from livepapers.tasks.constructions.rna import check_rna
from livepapers.tasks.tables import place_of, read_header, read_table, read_text

Kind = Literal["grid", "bits", "rna", "strings"]
MOST_OBJECTS = 2**62
"""Objects at most: each has a whole number of 64 bits as its name."""
MOST_SIDE, MOST_LENGTH = 64, 64
LISTED = 200_000
"""Objects up to which a function is asked for each beforehand, instead of for a sample."""
LOOKED_AT = 4096
"""Objects of that sample."""
UNLISTED, BELOW = "not listed", "below the floor"
COLUMNS = {"grid": ("x", "y"), "bits": ("string",), "rna": ("string",), "strings": ("string",)}


@dataclass(frozen=True)
class Problem:
    """An environment, by what is needed to build it again."""

    kind: Kind
    size: int  # side of the grid, bits, or letters of a string
    word: int = 1  # bits a move
    alphabet: str = ""  # letters of `strings`

    def construction(self) -> Hypergrid | Strings:
        """The environment; its own reward is not used."""
        if self.kind == "grid":
            return Hypergrid(2, self.size)
        if self.kind == "bits":
            return Strings.bits(self.size, word=self.word)
        return rna_strings(self.size) if self.kind == "rna" else Strings(tuple(self.alphabet), self.size)

    def texts(self, objects: Tensor) -> list[str]:
        """Objects as people write them: "3 5" for a cell, the string itself."""
        env = self.construction()
        return env.text(objects) if isinstance(env, Strings) else [f"{x} {y}" for x, y in objects.tolist()]


@dataclass(frozen=True)
class Target:
    """What rewards a target draws: groups of objects of one reward each, in any order."""

    log_reward: Tensor  # [group] float64
    share: Tensor  # [group] float64, which the target gives the group


@dataclass(frozen=True)
class Reward:
    """One reward of the user's: a name and log r of objects."""

    name: str
    log_reward: Callable[[Tensor], Tensor]
    about: str  # where it comes from and what it holds, for fingerprints: other content, other words
    floored: Callable[[Tensor], list[str]] | None = None  # why each object has the floor, "" for the user's own value
    floor_share: float | None = None  # of the target, what objects at the floor have together, where that is known
    target: Target | None = None  # where it is known


def read_problem(environment: Kind | None, *, size: int | None, word: int, alphabet: str) -> Problem:
    """Check what describes the environment; raises `InputError`."""
    if environment is None:
        raise InputError.of("--environment", "nothing", expected="grid, bits, rna or strings, or --pretrained FOLDER")
    if size is None:
        unit = {"grid": "cells a side", "bits": "bits"}.get(environment, "letters")
        raise InputError.of("--size", "nothing", expected=f"a whole number: {unit}")
    most = MOST_SIDE if environment == "grid" else 256 if environment == "bits" else MOST_LENGTH
    if not 2 <= size <= most:
        raise InputError.of("--size", size, expected=f"a whole number from 2 to {most} for {environment}")
    if alphabet and environment != "strings":
        raise InputError.of("--alphabet", alphabet, expected="nothing", cause=f"{environment} has its own symbols")
    if environment == "strings" and not alphabet:
        raise InputError.of("--alphabet", "nothing", expected="the letters of the strings, such as ABC")
    if environment == "bits":
        _check_word(word, size)
    if environment != "bits" and word != DEFAULT_WORD:
        raise InputError.of("--word", word, expected="nothing", cause="it is for --environment bits")
    problem = Problem(environment, size, word if environment == "bits" else 1, alphabet)
    objects = math.prod(problem.construction().bases)  # also refuses letters that stand twice
    if objects >= MOST_OBJECTS:
        raise InputError.of("--size", size, expected=f"fewer than 2^62 objects, not {float(objects):.1e}")
    return problem


DEFAULT_WORD = 4


def _check_word(word: int, size: int) -> None:
    if size % DEFAULT_WORD and word == DEFAULT_WORD:  # which was hardly typed
        cause = f"or give --word: a move appends so many bits, {DEFAULT_WORD} when left out"
        raise InputError.of("--size", size, expected=f"a multiple of {DEFAULT_WORD}", cause=cause)
    if not 1 <= word <= 10 or size % word:
        raise InputError.of("--word", word, expected=f"1 to 10 bits that divide --size {size}")


def read_rewards(
    problem: Problem, table: Path | None, *, target: str, function: str | Callable[..., Any], floor: float
) -> list[Reward]:
    """All rewards the user gave, each with a name of its own; raises `InputError`."""
    if not 0.0 < floor < 1.0:
        cause = "a reward of 0 has no logarithm, and no path would lead past such outcomes"
        raise InputError.of("--floor", floor, expected="a number above 0 and below 1", cause=cause)
    found = [] if table is None else _from_table(problem, table, floor=floor)
    found += [_from_target(problem, text.strip()) for text in target.split(",")] if target else []
    found += [_from_function(problem, function, floor=floor)] if function else []
    names = [reward.name for reward in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError.of("rewards", twice, expected="each reward once", cause="a column, or a target given twice?")
    return found


def _from_table(problem: Problem, path: Path, *, floor: float) -> list[Reward]:
    option, keys = "--rewards", COLUMNS[problem.kind]
    text, where = read_text(path, option=option), f"{option} {path.name}"
    header = read_header(text, where=where)
    names = [name for name in header if name not in keys]
    if not names and all(key in header for key in keys):
        expected = f"a column of rewards beside {', '.join(keys)}"
        raise InputError.of(where, f"the columns {', '.join(header)}", expected=expected)
    numbers = [*(keys if problem.kind == "grid" else ()), *names]
    frame = read_table(path, option=option, required=[*keys, *names], numbers=numbers)

    def at(row: int) -> str:
        return f"{where} {place_of(row, text)}"

    objects = _cells(problem, frame, at) if problem.kind == "grid" else _strings(problem, frame, at)
    numbered = _number(problem, objects)
    order = torch.argsort(numbered, stable=True)
    doubled = (numbered[order][1:] == numbered[order][:-1]).nonzero()
    if len(doubled):
        row = int(order[int(doubled[0]) + 1])
        shown = problem.texts(objects[row : row + 1])[0]
        raise InputError.of(at(row), shown, expected="each object once", cause="it stood above already")
    columns = {name: _column(frame[name], name, where=where, at=at) for name in names}
    return [_of_column(problem, name, numbered[order], values[order], floor) for name, values in columns.items()]


def _column(column: Any, name: str, *, where: str, at: Callable[[int], str]) -> Tensor:
    """The rewards of a column, `[row]`; `at` says where a row stands."""
    values = torch.tensor(column.to_numpy(copy=True), dtype=torch.float64)
    if (values < 0).any():
        row = int((values < 0).nonzero()[0])
        cause = "rewards are probabilities up to a factor; is it a log reward or an energy?"
        raise InputError.of(f"{at(row)}: {name}", float(values[row]), expected="a reward >= 0", cause=cause)
    if float(values.max()) <= 0:
        raise InputError.of(f"{where}: column {name}", "0 everywhere", expected="at least one reward above 0")
    return values


def _of_column(problem: Problem, name: str, keys: Tensor, values: Tensor, floor: float) -> Reward:
    """A column's reward: its values `[object]`, in the order of the objects' numbers."""
    least = floor * float(values.max())
    logs = values.clamp(min=least).log()
    content = keys.numpy().tobytes() + logs.numpy().tobytes() + struct.pack("<d", least)
    digest = hashlib.sha256(content).hexdigest()
    return _listed(problem, name, f"column {name}, {len(values)} objects, SHA-256 {digest}", keys, values, least)


def _listed(problem: Problem, name: str, about: str, keys: Tensor, values: Tensor, least: float) -> Reward:
    """A reward whose values `[object]` are known for the objects with these numbers, ascending; others get `least`."""
    logs, below = values.clamp(min=least).log(), values < least

    def found(objects: Tensor) -> tuple[Tensor, Tensor]:
        numbers = _number(problem, objects)
        place = torch.searchsorted(keys, numbers).clamp(max=len(keys) - 1)
        return place, keys[place] == numbers

    def log_reward(objects: Tensor) -> Tensor:
        place, known = found(objects)
        return torch.where(known, logs[place], math.log(least))

    def floored(objects: Tensor) -> list[str]:
        place, known = found(objects)
        return [
            UNLISTED if not known else BELOW if low else ""
            for known, low in zip(known.tolist(), below[place].tolist(), strict=True)
        ]

    others = float(math.prod(problem.construction().bases) - len(keys))
    at_floor = (others + int(below.sum())) * least
    share = at_floor / (at_floor + float(values[~below].sum()))
    rest = torch.tensor([math.log(least), others * least], dtype=torch.float64)
    mass = torch.cat([values.clamp(min=least), rest[1:]])
    target = Target(torch.cat([logs, rest[:1]]), mass / mass.sum())
    return Reward(name, log_reward, about, floored, share, target)


def _cells(problem: Problem, frame: Any, at: Callable[[int], str]) -> Tensor:
    cells = torch.tensor(frame[["x", "y"]].to_numpy(copy=True), dtype=torch.float64)
    wrong = ((cells != cells.round()) | (cells < 0) | (cells >= problem.size)).any(dim=1)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        expected = f"whole numbers from 0 to {problem.size - 1}"
        raise InputError.of(f"{at(row)}: x, y", cells[row].tolist(), expected=expected)
    return cells.to(torch.int64)


def _strings(problem: Problem, frame: Any, at: Callable[[int], str]) -> Tensor:
    env = problem.construction()
    if not isinstance(env, Strings):
        raise TypeError("cells are no strings")
    try:
        return env.parse([str(text) for text in frame["string"]])
    except InputError:
        for row, text in enumerate(frame["string"]):  # once more, to name the line
            try:
                env.parse([str(text)])
            except InputError as error:
                raise InputError(f"{at(row)}: {error}") from None
        raise


def _number(problem: Problem, objects: Tensor) -> Tensor:
    env = problem.construction()
    number = torch.zeros(len(objects), dtype=torch.int64)
    for place, base in enumerate(env.bases):
        number = number * base + objects[:, place]
    return number


def _from_target(problem: Problem, target: str) -> Reward:
    if problem.kind != "rna":
        raise InputError.of("--target", target, expected="--environment rna", cause="a target is an RNA to bind to")
    check_rna(target, field="--target")
    return Reward(target, binding_log_reward(target, length=problem.size), f"binding to {target}")


def _from_function(problem: Problem, given: str | Callable[..., Any], *, floor: float) -> Reward:
    """What a function gives, its floor a share of the largest value of all objects, or of a sample of many."""
    name, function = name_given(given, field="--reward-from"), function_given(given, field="--reward-from")
    env = problem.construction()

    def value(objects: Tensor) -> Tensor:
        texts = problem.texts(objects)
        return _checked(function(texts), texts, name)

    few = math.prod(env.bases) <= LISTED
    looked_at = _every(problem) if few else draw_objects(env, LOOKED_AT, generator=generator(0, "oc-gfn", "looked at"))
    seen = value(looked_at)
    least = floor * float(seen.max())
    if least <= 0.0:
        shown = f"0 for {'all' if few else 'each of'} {len(looked_at):,} objects"
        cause = f"returned by {name}" + ("" if few else " for objects drawn at random")
        raise InputError.of("--reward-from", shown, expected="at least one reward above 0", cause=cause)
    values = hashlib.sha256(seen.numpy().tobytes()).hexdigest()  # functions given in Python may share name and file
    about = f"function {name}, SHA-256 of its file {digest_of_file(name) or 'unknown'}, of values {values}"
    about += f", floor {floor!r}"
    if few:
        return _listed(problem, name, about, _number(problem, looked_at), seen, least)
    return Reward(
        name, lambda objects: value(objects).clamp(min=least).log(), about,
        lambda objects: [BELOW if low else "" for low in (value(objects) < least).tolist()],
    )  # fmt: skip


def _every(problem: Problem) -> Tensor:
    """All objects in the order of their numbers, `[object, digit]`."""
    env = problem.construction()
    digits = torch.cartesian_prod(*[torch.arange(base) for base in env.bases]).reshape(-1, len(env.bases))
    return env.objects(digits)


def _checked(given: Any, texts: Sequence[str], name: str) -> Tensor:
    option = "--reward-from"
    values = torch.from_numpy(numbers(given, len(texts), name=name, field=option, each="one an object"))
    bad = ~torch.isfinite(values) | (values < 0)
    if bad.any():
        row = int(bad.nonzero()[0])
        cause = f"returned by {name} for {texts[row]!r}"
        raise InputError.of(option, float(values[row]), expected="a finite reward >= 0", cause=cause)
    return values
