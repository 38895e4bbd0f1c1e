"""In words: verdicts, numbers, intervals, p values, times and amounts as they are written wherever they are shown."""

import math
import re
from collections.abc import Sequence
from typing import Literal, get_args

from markupsafe import Markup, escape

Outcome = Literal["reproduced", "direction only", "inconclusive", "contradicted", "void", "not tested here"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""What can become of a claim (`claims` says when), in the order in which it is told."""


def number(value: float) -> str:
    """A measured number as reports print it: four significant digits, thousands separated."""
    if value == 0 or 1e-4 <= abs(value) < 1e4:
        return f"{value:.4g}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.3g}"


def ratio_text(value: float) -> str:
    """A ratio to three significant digits, never with an exponent: 0.142, 6.84, 2,470."""
    return f"{float(f'{value:.3g}'):,.10g}"


def coded(text: str) -> Markup:
    """The text as HTML, escaped, with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def estimate(value: float, interval: Sequence[float] | None) -> tuple[str, str]:
    """A mean and its interval as text, ("0.166", "[0.122, 0.215]"), to two digits of the interval's half-width.

    At most six digits of the mean are written. Without an interval, or with one of no width, the second text is empty.
    """
    half = (interval[1] - interval[0]) / 2 if interval is not None else 0.0
    if interval is None or half <= 1e-12 * max(abs(interval[0]), abs(interval[1])):
        return number(value), ""
    digits = 1 - math.floor(math.log10(half))
    if not -6 <= digits <= 6:
        return number(value), f"[{number(interval[0])}, {number(interval[1])}]"
    known = 5 - math.floor(math.log10(max(abs(value), half)))
    places = max(min(digits, known), 0)
    mean, low, high = (f"{round(one, places) + 0.0:,.{places}f}" for one in (value, *interval))  # no "-0"
    return mean, f"[{low}, {high}]"


def p_text(value: float | None) -> str:
    """A p value with its relation sign: "= 0.031", "< 0.001"."""
    if value is None:
        return "unknown"
    return "< 0.001" if value < 0.001 else f"= {value:.2g}" if value < 0.1 else f"= {value:.2f}"


def asked(direction: str, reference: float, margin: float) -> str:
    """What a claim asks of its effect: "less than 1", "greater than 0 by 3", "within 0.06 of 0.5"."""
    if direction == "equal":
        return f"within {number(margin)} of {number(reference)}"
    return f"{direction} than {number(reference)}" + (f" by {number(margin)}" if margin else "")


def duration(seconds: float) -> str:
    """Seconds as people say them: "0.4 s", "2 min 5 s", "3 h 12 min"."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(value: float) -> str:
    """A number of steps or samples: exact below ten thousand, else with thousands or millions as units."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if size == 1e4 else size):.3g}\N{NO-BREAK SPACE}{unit}"
    return f"{value:,.0f}"


def last_line(error: str | None) -> str:
    """The line of a traceback that says what went wrong, at most 300 characters."""
    lines = [line.strip() for line in (error or "").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"
