"""A debate cut by time: given days, the calendar, moving windows, and windows of a number of statements (3.5)."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from livepapers.core.errors import InputError
from livepapers.tasks.statements import Statements

EPOCH = date(1970, 1, 1).toordinal()
"""Days are counted from there."""

Kernel = Literal["none", "uniform", "triangular", "epanechnikov", "gaussian"]
KERNELS: tuple[Kernel, ...] = ("none", "uniform", "triangular", "epanechnikov", "gaussian")
Calendar = Literal["week", "month", "quarter", "year"]
CALENDARS: tuple[Calendar, ...] = ("week", "month", "quarter", "year")


@dataclass(frozen=True)
class Window:
    """Days `first` to `last`, both included, since 1970-01-01."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """ISO dates, e.g. "2015-04-01..2015-05-31"."""
        return f"{iso(self.first)}..{iso(self.last)}"

    def of(self, statements: Statements) -> Statements:
        """The statements of these days."""
        return statements.between(self.first, self.last)


def iso(day: int) -> str:
    """A day's ISO date."""
    return str(np.datetime64(int(day), "D"))


def parse_windows(text: str, *, option: str = "--windows") -> tuple[Window, ...]:
    """Windows as a person types them: "2015-04-01..2015-05-31, 2015-09-01..2015-10-31".

    Raises:
        InputError: For a window that is no pair of dates in order.
    """
    found = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        ends = [end.strip() for end in part.split("..")]
        try:
            first, last = (date.fromisoformat(end).toordinal() - EPOCH for end in ends)
        except ValueError:
            expected = "first and last day, as 2015-04-01..2015-05-31"
            raise InputError.of(option, part, expected=expected) from None
        if last < first or "" in ends:
            raise InputError.of(option, part, expected="the first day before the last", cause="turned round?")
        if Window(first, last) in found:
            raise InputError.of(option, part, expected="each window once")
        found.append(Window(first, last))
    if not found:
        raise InputError.of(option, text, expected="at least one window")
    return tuple(found)


def calendar_windows(statements: Statements, unit: Calendar) -> tuple[Window, ...]:
    """Every week, month, quarter or year from the first statement to the last; empty ones too."""
    if not len(statements):
        return ()
    first, last = int(statements.day.min()), int(statements.day.max())
    if unit == "week":
        starts = np.arange(first - (first + 3) % 7, last + 8, 7)
    else:
        months = {"month": 1, "quarter": 3, "year": 12}[unit]
        low, high = (int(np.datetime64(day, "D").astype("datetime64[M]").astype(np.int64)) for day in (first, last))
        steps = np.arange(low // months * months, high + months + 1, months)
        starts = steps.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    pairs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return tuple(Window(start, end - 1) for start, end in pairs if start <= last)


def moving_windows(statements: Statements, *, size: int, step: int = 1) -> tuple[Window, ...]:
    """Windows of `size` days, each `step` days after the other, the first at the first statement.

    The last one is the first that reaches the last statement.
    """
    if size < 1 or step < 1:
        raise InputError.of("moving window", f"{size} days every {step}", expected="whole numbers >= 1")
    if not len(statements):
        return ()
    first, last = int(statements.day.min()), int(statements.day.max())
    count = 1 + max(0, -(-(last - first + 1 - size) // step))
    return tuple(Window(first + i * step, first + i * step + size - 1) for i in range(count))


def event_windows(statements: Statements, *, size: int, step: int = 1) -> Iterator[Statements]:
    """Windows of `size` statements in order of time, moved by `step`; each is extended to whole days.

    Statements of one day have no order: a window that begins or ends within a day takes all of that day.
    """
    if size < 1 or step < 1:
        raise InputError.of("event window", f"{size} statements every {step}", expected="whole numbers >= 1")
    days = np.sort(statements.day)
    seen = None
    for start in range(0, max(1, len(days) - size + step), step):
        if start >= len(days):
            return
        window = Window(int(days[start]), int(days[min(start + size, len(days)) - 1]))
        if window != seen:
            seen = window
            yield window.of(statements)


def smoothed(statements: Statements, *, centre: float, width: float, kernel: Kernel) -> Statements:
    """Statements within `width` / 2 days of a day, weighted by their distance u = |t - centre| / (width / 2) from it.

    The kernels are 1/2 (uniform), 1 - u (triangular), 3/4 (1 - u^2) (Epanechnikov) and the normal density (Gaussian,
    which is not cut off). `none` leaves weights of 1.
    """
    if kernel not in KERNELS:
        raise InputError.of("kernel", kernel, expected=f"one of {', '.join(KERNELS)}")
    if not width > 0:
        raise InputError.of("width", width, expected="days > 0")
    distance = np.abs(statements.day - centre) / (width / 2)
    inside = np.full(len(statements), True) if kernel == "gaussian" else distance <= 1
    u = distance[inside]
    weight = {
        "none": np.ones_like(u), "uniform": np.full_like(u, 0.5), "triangular": 1 - u,
        "epanechnikov": 0.75 * (1 - u**2), "gaussian": np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi),
    }[kernel]  # fmt: skip
    kept = statements.select(inside)
    return dataclasses.replace(kept, weight=kept.weight * weight)
