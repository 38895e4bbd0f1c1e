"""Errors a person can act on: one line with field, value, what was expected and the likely cause."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `livepapers list` raises these errors and must not pay for importing pydantic
    from pydantic import ValidationError

MOST_PROBLEMS = 8
"""That one line tells of; who has more has given another file."""


class LivepapersError(Exception):
    """Base of all errors that livepapers raises on purpose."""


class InputError(LivepapersError, ValueError):
    """Something the user gave is unusable; nothing was written.

    The command line prints the message as one line and exits with status 2.
    """

    field = ""
    """What the message begins with, where `of` made it."""
    problems: tuple["InputError", ...] = ()
    """Each by itself, where the message tells of several."""

    @classmethod
    def of(cls, field: str, value: Any, *, expected: str, cause: str = "") -> "InputError":
        """Build the message in the house form.

        Args:
            field: What the user would call it: an option, a column, a key in a file.
            value: What was given; shortened to 80 characters.
            expected: What would have been right, e.g. "a number >= 0".
            cause: The likely cause or the mend, as a clause; left out when empty.
        """
        shown = " ".join((str(value) if isinstance(value, (str, Path)) else repr(_plain(value))).split())
        if len(shown) > 80:  # of a path the end says which file it is, of all else the beginning
            shown = "..." + shown[-77:] if isinstance(value, Path) else shown[:77] + "..."
        why = " ".join(cause.split())  # what other programs say may have many lines
        error = cls(f"{field}: got {shown}, expected {expected}" + (f" ({why})" if why else ""))
        error.field = field
        return error

    @classmethod
    def several(cls, problems: Sequence["InputError"], line: str) -> "InputError":
        """One error about several problems, which `line` tells."""
        error = cls(line)
        error.problems = tuple(problems)
        return error


class StoreError(InputError):
    """A store that was opened cannot be used: it is busy, full, damaged or away.

    On the command line it is the user's, on the page nothing that a reader gave.
    """


class MissingExtraError(LivepapersError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'livepapers[{extra}]'")


class Interrupted(LivepapersError):  # noqa: N818 - not a fault: the work was stopped and can go on
    """The work was stopped by a signal after its state had been saved; the message says how to go on.

    The command line exits with status 3.
    """


class Diverged(LivepapersError, FloatingPointError):  # noqa: N818 - what happened, as `Interrupted`
    """A training whose numbers are not finite any more; the message names the step and the number."""


class CorruptFileError(LivepapersError, ValueError):
    """A file written by livepapers does not verify: truncated, altered or of another kind."""


def plainly(error: Exception) -> str:
    """Why something could not be read, as a clause: what Python says of its own values means nothing to a person."""
    from json import JSONDecodeError

    if isinstance(error, LivepapersError):
        return str(error)
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    if isinstance(error, KeyError):
        return f"no {error.args[0]}" if error.args else "something is missing"
    if isinstance(error, JSONDecodeError):
        return f"no JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8 text"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, (TypeError, AttributeError, IndexError)):
        return "one of its values is of another kind than expected"
    return str(error)


def _plain(value: Any) -> Any:
    """The value as Python writes it: a person knows -5.0, and not np.float64(-5.0) or tensor(-5.)."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    for kind in (tuple, list, set, frozenset):  # not the value's own type: torch.Size names itself
        if isinstance(value, kind):
            return kind(map(_plain, value))
    if callable(listed := getattr(value, "tolist", None)):  # arrays, tensors and their scalars
        return _plain(listed())
    return value


def one_line(error: "ValidationError", *, source: str = "") -> InputError:
    """Turn pydantic's report into the house form: all problems in one line.

    Args:
        error: What pydantic raised.
        source: The option and the file that the data came from, named once at the start of the line.
    """
    details = error.errors()
    problems = [_problem(detail) for detail in details[:MOST_PROBLEMS]]
    line = "; ".join(map(str, problems))
    if len(details) > MOST_PROBLEMS:
        line += f"; and {len(details) - MOST_PROBLEMS} more"
    if source:
        return InputError(f"{source}: {line}")
    return problems[0] if len(details) == 1 else InputError.several(problems, line)


def _problem(detail: Mapping[str, Any]) -> InputError:
    raised = detail.get("ctx", {}).get("error")
    if isinstance(raised, InputError):  # our own check said it already
        return raised
    field = ".".join(str(part) for part in detail["loc"]) or "value"
    value = detail.get("input")
    if detail["type"] == "missing":
        return InputError.of(field, "nothing", expected="a value: this field is required")
    if detail["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        return InputError.of(field, value, expected="no such field", cause="is the name misspelt?")
    expected = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return InputError.of(field, value, expected=expected[0].lower() + expected[1:])
