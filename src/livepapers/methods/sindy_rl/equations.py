"""Coefficients written out: for people, for papers, and for controllers in C."""

import re
from collections import Counter
from collections.abc import Sequence

from torch import Tensor

Terms = Sequence[Sequence[str]]
"""The factors of each term, see `Library.terms`."""
MOST_DIGITS = 17  # all there are
SHORTEST = 1e-6
"""Length that a pair is divided by at least when it is put back onto its circle."""


def count(coefficients: Tensor) -> int:
    """How many coefficients are not zero."""
    return int((coefficients != 0).sum())


def as_text(coefficients: Tensor, terms: Terms, outputs: Sequence[str], *, digits: int = 4) -> list[str]:
    """One line an output: "x' = 1 x + 0.01 dx - 2e-05 x^2 u".

    Args:
        coefficients: `[p, d]`; zeros are left out.
        terms: The p terms.
        outputs: Names of the d left-hand sides.
        digits: Significant digits of coefficients.
    """
    return [f"{name} = {_sum(column, terms, digits)}" for name, column in zip(outputs, coefficients.T, strict=True)]


def as_latex(
    coefficients: Tensor, terms: Terms, outputs: Sequence[str], *, digits: int = 4, more: Sequence[str] = ()
) -> str:
    """The same as an `align` environment, with `more` lines below; names are set upright."""
    lines = []
    for name, column in zip(outputs, coefficients.T, strict=True):
        parts = []
        for value, term in kept(column, terms):
            number = re.sub(
                r"e([+-])0*(\d+)", lambda m: rf"\cdot 10^{{{m[1].strip('+')}{m[2]}}}", _number(value, digits)
            )
            powers = [rf"{upright(f)}^{{{n}}}" if n > 1 else upright(f) for f, n in Counter(term).items()]
            parts.append(r"\,".join([number, *powers]))
        lines.append(rf"{upright(name)} &= " + (" ".join(_joined(parts)) or "0"))
    return "\\begin{align}\n" + " \\\\\n".join([*lines, *more]) + "\n\\end{align}\n"


def as_c(
    coefficients: Tensor,
    terms: Terms,
    outputs: Sequence[str],
    *,
    function: str,
    states: Sequence[str],
    inputs: Sequence[str] = (),
    limits: Sequence[tuple[float, float]] | None = None,
    circles: Sequence[tuple[int, int]] = (),
) -> str:
    """A C function without loops or allocation; coefficients in full precision.

    Args:
        coefficients: `[p, d]`.
        terms: The p terms, from the names below.
        outputs: What the d outputs are called in comments.
        function: Name of the function.
        states: Names of the states, in the order of the array x.
        inputs: Names of the inputs, in the order of the array u; without any, there is no such argument.
        limits: (lowest, highest) of each output, to which it is clipped.
        circles: Pairs of outputs that are put back onto the unit circle, as `surrogate.on_circles` does.
    """
    place = {name: f"x[{i}]" for i, name in enumerate(states)} | {name: f"u[{i}]" for i, name in enumerate(inputs)}
    arguments = "const double *x, " + ("const double *u, " if inputs else "")
    lines = ["#include <math.h>", "", f"void {function}({arguments}double *y)", "{"]
    for i, column in enumerate(coefficients.T):
        parts = [
            " * ".join([_number(value, MOST_DIGITS), *(_in_c(factor, place) for factor in term)])
            for value, term in kept(column, terms)
        ]
        body = "\n        ".join(_joined(parts)) or "0.0"
        lines.append(f"    y[{i}] = {body};  /* {_comment(outputs[i])} */")
        if limits is not None:
            low, high = limits[i]
            lines.append(f"    y[{i}] = fmin(fmax(y[{i}], {low!r}), {high!r});")
    return "\n".join([*lines, *_put_back(circles), "}", ""])


def _put_back(circles: Sequence[tuple[int, int]]) -> list[str]:
    lines = []
    for i, j in circles:
        length = f"fmax(hypot(y[{i}], y[{j}]), {SHORTEST!r})"
        lines += ["    {", f"        const double length = {length};  /* back onto the unit circle */"]
        lines += [f"        y[{k}] /= length;" for k in (i, j)] + ["    }"]
    return lines


def _sum(column: Tensor, terms: Terms, digits: int) -> str:
    parts = [" ".join([_number(value, digits), *_powers(term)]) for value, term in kept(column, terms)]
    return " ".join(_joined(parts)) or "0"


def kept(column: Tensor, terms: Terms) -> list[tuple[float, Sequence[str]]]:
    """Coefficients that are not zero, with their terms.

    Numbers as the shortest that mean them in the column's own precision: 0.05, and not 0.05000000074505806.
    """
    values = (float(str(value)) for value in column.detach().numpy())
    return [(value, term) for value, term in zip(values, terms, strict=True) if value != 0]


def _powers(term: Sequence[str]) -> list[str]:
    return [f"{factor}^{times}" if times > 1 else factor for factor, times in Counter(term).items()]


def _joined(parts: Sequence[str]) -> list[str]:
    """Parts with a sign between them: the sign of a part's number becomes the operator."""
    if not parts:
        return []
    rest = [f"- {part[1:]}" if part.startswith("-") else f"+ {part}" for part in parts[1:]]
    return [parts[0], *rest]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if digits < MOST_DIGITS else repr(value)


def _in_c(factor: str, place: dict[str, str]) -> str:
    """A factor with names replaced: the name itself, or a sine or cosine of (a multiple of) a state."""
    wave = re.fullmatch(r"(sin|cos)\((?:(\d+) )?(.+)\)", factor)
    if factor in place or wave is None:
        return place[factor]
    times = f"{wave[2]}.0 * " if wave[2] else ""
    return f"{wave[1]}({times}{place[wave[3]]})"


def upright(name: str) -> str:
    """A name in math mode; what LaTeX would read as a command is escaped."""
    plain = "".join(rf"\{c}" if c in "#$%&_{}" else c for c in name if c not in "\\^~")
    primes = len(plain) - len(plain.rstrip("'"))
    return rf"\mathrm{{{plain.rstrip(chr(39))}}}" + "'" * primes


def _comment(name: str) -> str:
    return name.replace("*/", "* /")
