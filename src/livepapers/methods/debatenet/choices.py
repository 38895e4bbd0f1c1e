"""What a user of `apply` may choose, and a debate cut as they ask."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from livepapers.core.errors import InputError
from livepapers.methods.debatenet.settings import Netting, OneModeAggregate, OneModeNormalisation, Search
from livepapers.methods.debatenet.windows import (
    CALENDARS,
    Calendar,
    Window,
    calendar_windows,
    event_windows,
    iso,
    moving_windows,
    parse_windows,
)
from livepapers.tasks.statements import Scope, Statements

MOST_WINDOWS = 400


@dataclass(frozen=True)
class Choices:
    """How ties are counted and shown."""

    aggregate: OneModeAggregate
    normalise: OneModeNormalisation
    netting: Netting
    duplicates: Scope
    by_group: bool
    several: Literal["keep", "split", "drop"]
    weight: float
    degree: int
    isolates: bool
    search: Search
    permutations: int
    seed: int


@dataclass(frozen=True)
class Cut:
    """The statements of one window; its name is good for files."""

    name: str
    statements: Statements  # that count
    claims: int  # spans in this window, whatever they are on
    kept: int  # statements before duplicates were dropped


def parse_levels(text: str) -> tuple[float, ...]:
    """Whole numbers separated by commas."""
    try:
        levels = tuple(sorted({float(int(part)) for part in text.split(",") if part.strip()}))
    except ValueError:
        raise InputError.of("--levels", text, expected="whole numbers separated by commas, as -2,-1,1,2") from None
    if len(levels) == 1:
        raise InputError.of("--levels", text, expected="at least two values")
    return levels


def cut(statements: Statements, text: str, *, kept: Statements, everything: Statements) -> list[Cut]:
    """The windows that were asked for; the whole debate where none was.

    Args:
        statements: That count.
        text: What the user typed.
        kept: With duplicates.
        everything: With what `--drop` leaves out.

    Raises:
        InputError: For windows that cannot be understood, too many of them, or statements without dates.
    """
    wanted = text.strip()
    if not wanted:
        return [Cut("all", statements, _claims(everything), len(kept))]
    if not np.ptp(everything.day):
        raise InputError.of("--windows", text, expected="dates", cause="all statements have one date or none")
    if wanted in CALENDARS:
        unit: Calendar = next(name for name in CALENDARS if name == wanted)
        found = list(calendar_windows(statements, unit))
    elif wanted.startswith("moving:"):
        size, step = _two(wanted)
        found = list(moving_windows(statements, size=size, step=step))
    elif wanted.startswith("events:"):
        size, step = _two(wanted)
        parts = list(event_windows(statements, size=size, step=step))
        found = [Window(int(part.day.min()), int(part.day.max())) for part in parts]
    else:
        found = list(parse_windows(wanted))
    if len(found) > MOST_WINDOWS:
        raise InputError.of(
            "--windows", text, expected=f"at most {MOST_WINDOWS} windows", cause=f"{len(found)} of them"
        )
    if not any(len(window.of(statements)) for window in found):
        first, last = iso(int(statements.day.min())), iso(int(statements.day.max()))
        cause = f"the debate lasts from {first} to {last}"
        raise InputError.of("--windows", text, expected="a window with statements", cause=cause)
    return [
        Cut(window.name, window.of(statements), _claims(window.of(everything)), len(window.of(kept)))
        for window in found
    ]


def _claims(statements: Statements) -> int:
    return len(np.unique(statements.span))


def _two(text: str) -> tuple[int, int]:
    try:
        size, step = (int(part) for part in text.split(":")[1:])
    except ValueError:
        expected = "a size and a step, as moving:60:30 (days) or events:200:100 (statements)"
        raise InputError.of("--windows", text, expected=expected) from None
    if size < 1 or step < 1:
        raise InputError.of("--windows", text, expected="a size and a step >= 1")
    return size, step
