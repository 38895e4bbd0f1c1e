"""States on a unit circle, a cosine and its sine: how people are shown equations that hold there."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from livepapers.methods.sindy_rl.equations import Terms, kept, upright

Pairs = Sequence[tuple[int, int]]
"""Columns of a cosine and of its sine."""
Term = tuple[str, ...]
Sum = dict[Term, float]

CANCELLED = 1e-6
"""What is left of parts that cancel, of the largest, and counts as nothing: coefficients are in single precision."""


def joined(coefficients: Tensor, terms: Terms, circles: Sequence[tuple[str, str]]) -> tuple[Tensor, Terms]:
    """The same polynomials on the circles x^2 + y^2 = 1, with fewer terms: there x^2 u and y^2 u repeat u.

    Terms that differ in even powers of x and y alone are written as they are, without y^2 or without x^2, in whichever
    of the three takes the fewest of them; the first of equals.

    Args:
        coefficients: `[p, d]`.
        terms: The p terms.
        circles: Names of x and y.

    Returns:
        Coefficients `[q, d]` and q terms; what was given where there is no circle.
    """
    if not circles:
        return coefficients, terms
    rank = {factor: place for place, factor in enumerate(dict.fromkeys(factor for term in terms for factor in term))}
    columns: list[Sum] = []
    for column in coefficients.T:
        made: Sum = {tuple(term): value for value, term in kept(column, terms)}
        for circle in circles:
            made = _joined(made, circle, rank.__getitem__)
        columns.append(made)
    known = dict.fromkeys(tuple(term) for term in terms)
    new = sorted({term for made in columns for term in made} - known.keys(), key=lambda term: (len(term), term))
    ordered = [*new, *known]
    values = [[made.get(term, 0.0) for made in columns] for term in ordered]
    return torch.tensor(values, dtype=torch.float64), ordered


def _joined(terms: Sum, circle: tuple[str, str], rank: Callable[[str], int]) -> Sum:
    groups: dict[tuple[Term, int, int], Sum] = {}
    for term, value in terms.items():
        others = tuple(factor for factor in term if factor not in circle)
        groups.setdefault((others, term.count(circle[0]) % 2, term.count(circle[1]) % 2), {})[term] = value
    made: Sum = {}
    for group in groups.values():
        made |= min(group, *(_without(name, group, circle, rank) for name in reversed(circle)), key=len)
    return made


def _without(name: str, group: Sum, circle: tuple[str, str], rank: Callable[[str], int]) -> Sum:
    """The group with 1 - x^2 in the place of each square of `name`, y."""
    other = circle[1] if name == circle[0] else circle[0]
    parts: dict[Term, list[float]] = {}
    for term, value in group.items():
        squares, odd = divmod(term.count(name), 2)
        rest = [factor for factor in term if factor != name] + [name] * odd
        for power in range(squares + 1):
            new = tuple(sorted([*rest, *[other] * (2 * power)], key=rank))
            parts.setdefault(new, []).append(value * math.comb(squares, power) * (-1) ** power)
    sums = {term: (sum(found), max(map(abs, found))) for term, found in parts.items()}
    return {term: total for term, (total, largest) in sums.items() if abs(total) > CANCELLED * largest}


def remarks(states: Sequence[str], circles: Pairs) -> list[str]:
    """What people should know of equations with circles, one sentence each."""
    told = []
    for a, b in ((states[i], states[j]) for i, j in circles):
        told += [
            f"{a} and {b} are put back onto the unit circle after each step: {a}' and {b}' are divided by "
            f"sqrt({a}'^2 + {b}'^2)",
            f"the equations are written for {a}^2 + {b}^2 = 1, where some terms repeat others; the fitted model, and "
            "its C code, keeps all of its terms and says the same there",
        ]
    return told


def in_latex(states: Sequence[str], circles: Pairs) -> list[str]:
    """The same as lines of an `align` environment."""
    lines = []
    for a, b in ((upright(states[i]), upright(states[j])) for i, j in circles):
        after = f"({a}', {b}')"
        length = rf"\sqrt{{{{{a}'}}^{{2}} + {{{b}'}}^{{2}}}}"
        lines += [
            rf"{after} &\leftarrow {after} / {length} \quad \text{{after each step}}",
            rf"{a}^{{2}} + {b}^{{2}} &= 1 \quad \text{{where the equations hold}}",
        ]
    return lines
