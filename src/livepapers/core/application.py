"""What applying a method to the user's own data gives back."""

import csv
import functools
import inspect
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, Protocol, TypeAlias, Union, get_args, get_origin, get_type_hints

import numpy as np

from livepapers.core.errors import InputError
from livepapers.core.files import new_folder
from livepapers.core.learner import JSON

P = ParamSpec("P")
Row = Mapping[str, str | int | float | bool | None]
Content: TypeAlias = "str | bytes | Callable[[Path], None]"
"""Of a file: text, bytes, or what writes it (or a folder of that name) to a path."""

_PLAIN: Mapping[Any, tuple[type, str]] = {
    int: (Integral, "a whole number"), float: (Real, "a number"), bool: (bool, "True or False"),
}  # fmt: skip
"""Annotation -> what a value may be, and its name; NumPy's numbers are among them."""


def options_checked(apply: Callable[P, "Application"]) -> Callable[P, "Application"]:
    """An `apply` that takes from Python what the command line gives it, and refuses the rest in one line.

    Files and folders may also be text; inside they are paths. Whole numbers, numbers, switches and choices are what
    their annotations say; other annotations are left to `apply`.

    Raises:
        InputError: By the call: an option is of another kind, or none of its choices.
    """
    kinds = get_type_hints(apply)
    signature = inspect.signature(apply)

    @functools.wraps(apply)
    def given(*args: P.args, **kwargs: P.kwargs) -> "Application":
        bound = signature.bind(*args, **kwargs)
        bound.arguments |= {name: _as_annotated(name, kinds[name], value) for name, value in bound.arguments.items()}
        return apply(*bound.args, **bound.kwargs)

    return given


def _as_annotated(name: str, kind: Any, value: Any) -> Any:
    """The value as a parameter of this annotation has it."""
    kinds = get_args(kind) if isinstance(kind, UnionType) or get_origin(kind) is Union else (kind,)
    if value is None and NoneType in kinds:
        return None
    if Path in kinds and isinstance(value, (str, Path)) and "\0" not in str(value):
        return Path(value)
    if Path in kinds and str not in kinds:
        raise InputError.of(name, value, expected="a path, or text that is one")
    plain = [one for one in kinds if one is not NoneType]
    if len(plain) != 1:
        return value
    choices = get_args(plain[0]) if get_origin(plain[0]) is Literal else ()
    if choices and not any(isinstance(value, type(one)) and value == one for one in choices):
        raise InputError.of(name, value, expected=f"one of {', '.join(map(str, choices))}")
    if Spread in plain and not callable(value):
        raise InputError.of(name, value, expected="a function that does what `map` does")
    if plain[0] not in _PLAIN:
        return value
    kept, expected = _PLAIN[plain[0]]
    if not isinstance(value, kept) or (isinstance(value, bool) and plain[0] is not bool):
        raise InputError.of(name, repr(value) if isinstance(value, str) else value, expected=expected)
    return plain[0](value)


def as_typed(given: Any) -> str:
    """Numbers or names as one types them, separated by commas; whoever calls from Python may give a sequence."""
    return given if isinstance(given, str) else ",".join(map(str, np.ravel(given).tolist()))


class Spread(Protocol):
    """As the built-in `map`, but perhaps in other processes or on other machines: the `map` of an engine.

    A method whose `apply` takes one has `--engine`, `--address` and `--workers` on the command line.
    """

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        """The results in the order of the items; the function is importable by name, items and results are sent."""
        ...


@dataclass(frozen=True)
class Application:
    """The outcome of `apply`: one sentence, tables, notes, and the files that were written."""

    slug: str
    headline: str  # the first thing a person wants to know, with its figure; bad news included
    tables: Mapping[str, Sequence[Row]]  # title -> rows with equal keys
    notes: tuple[str, ...] = ()  # what the reader should know before using the figures
    files: Mapping[str, str] = field(default_factory=dict)  # file in the output folder -> what it holds
    output: Path | None = None

    def to_json(self) -> dict[str, JSON]:
        """JSON-ready values; what `livepapers apply --json` prints."""
        return {
            "slug": self.slug,
            "headline": self.headline,
            "tables": {title: [dict(row) for row in rows] for title, rows in self.tables.items()},
            "notes": list(self.notes),
            "files": dict(self.files),
            "output": None if self.output is None else str(self.output),
        }


def write(made: Application, output: Path, files: Mapping[str, tuple[str, Content]]) -> Application:
    """Write the files and `application.json` into a new folder, all of them or none.

    What is in application.json does not depend on where the folder is.

    Args:
        made: The outcome.
        output: The folder; new or empty.
        files: Name -> what it holds, for the reader, and its content.

    Returns:
        The outcome with its files.

    Raises:
        InputError: The folder is there and holds something.
    """
    told = {name: about for name, (about, _) in files.items()} | {"application.json": "all of it, for programs"}
    whole = replace(made, files=told)
    with new_folder(output) as folder:
        for name, (_, content) in files.items():
            if callable(content):
                content(folder / name)
            else:
                (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        text = json.dumps(whole.to_json(), indent=2, allow_nan=False) + "\n"
        (folder / "application.json").write_text(text, encoding="utf-8")
    return replace(whole, output=output)


def to_csv(rows: Sequence[Row]) -> str:
    """Rows with equal keys as CSV with a header; None is an empty cell.

    Texts are quoted, so that any name (commas, quotes, line breaks) is read back as it was.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def rounded(value: float, *, digits: int = 6) -> float:
    """To so many digits, for people."""
    return float(f"{value:.{digits}g}")


def check_numbers(numbers: Mapping[str, tuple[int, int, int]], *, causes: Mapping[str, str] | None = None) -> None:
    """Refuse whole numbers outside their range.

    Args:
        numbers: Option -> its value, the least and the most it may be.
        causes: Option -> the likely cause, where there is more to say.

    Raises:
        InputError: The first that is outside.
    """
    for name, (value, least, most) in numbers.items():
        if not least <= value <= most:
            expected = f"a whole number from {least:,} to {most:,}"
            raise InputError.of(name, value, expected=expected, cause=(causes or {}).get(name, ""))


def refuse_changed(apply: Callable[..., Application], because: str, **given: object) -> None:
    """Refuse options that were set although they would be ignored.

    Args:
        apply: Whose defaults say what was not set.
        because: With what they go, or why nothing reads them.
        given: Parameter -> its value.

    Raises:
        InputError: The first that is not the default.
    """
    defaults = inspect.signature(apply).parameters
    for name, value in given.items():
        if value != defaults[name].default:
            raise InputError.of(f"--{name.replace('_', '-')}", str(value), expected="nothing", cause=because)
