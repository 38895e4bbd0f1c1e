"""Does a stronger tie, or one more, go with more closure? The paper's tests between configurations (section 3.3)."""

import math
from typing import Literal

import numpy as np
from scipy import stats

from livepapers.methods.simplicial_closure.closure import TYPES3, TYPES4, ClosureTable, Type

FEWEST_SETS = 20  # both types need more sets than this
FEW_CLOSURES = 5  # up to here Fisher's exact test stands in for the z test
Kind = Literal["strength", "density"]


def comparisons(order: Literal[3, 4], kind: Kind) -> list[tuple[Type, Type]]:
    """Pairs of types (before, after) that differ in one step.

    "strength": one tie (three nodes) or one triangle (four nodes) becomes stronger, the edges stay. "density": one
    edge more; for four nodes the triangles that it makes are open.
    """
    if order == 4 and kind == "density":
        return _denser4()
    pairs: list[tuple[Type, Type]] = []
    for before in TYPES3 if order == 3 else TYPES4:
        for place, value in enumerate(before):
            if order == 3:
                grown = [2] if (kind, value) == ("strength", 1) else [1, 2] if (kind, value) == ("density", 0) else []
            else:
                grown = [value + 1] if value in {0, 1} else []
            for after in grown:
                pair = (before, tuple(sorted([*before[:place], after, *before[place + 1 :]])))
                if pair not in pairs:
                    pairs.append(pair)
    return pairs


def _denser4() -> list[tuple[Type, Type]]:
    pairs: list[tuple[Type, Type]] = []
    for before in TYPES4[:12]:
        kept = tuple(value for value in before if value >= 0)
        after = {-3: (-2, -2, -2, *kept), -2: (-1, -1, *sorted((0, *kept))), -1: tuple(sorted((0, 0, *kept)))}
        pairs.append((before, after[before[0]]))
    return pairs


def pooled_log_ratio(table: ClosureTable, order: Literal[3, 4], *, kind: Kind) -> float | None:
    """log2 of the Mantel-Haenszel ratio of closure probabilities, after over before, over all steps of a kind.

    With n0, k0 sets and closures before a step and n1, k1 after it, the ratio is the sum of k1 n0 / (n0 + n1) over the
    sum of k0 n1 / (n0 + n1). Without an effect both sums have the same expectation however rare a type is; the half
    that is added to both only pulls towards zero. None when no step has enough sets.
    """
    after = before = 0.0
    found = False
    for pair in comparisons(order, kind):
        (n0, k0), (n1, k1) = (table.of(side) for side in pair)
        if min(n0, n1) > FEWEST_SETS:
            found = True
            after += k1 * (n0 / (n0 + n1))
            before += k0 * (n1 / (n0 + n1))
    return math.log2((after + 0.5) / (before + 0.5)) if found else None


def step_test(table: ClosureTable, before: Type, after: Type) -> tuple[float, float] | None:
    """One-sided p values of "closure is likelier in `after`" and of "... rarer in `after`"; None for rare types.

    Pooled z test of two shares; Fisher's exact test where either type has at most five closures.
    """
    (n0, k0), (n1, k1) = table.of(before), table.of(after)
    if min(n0, n1) <= FEWEST_SETS:
        return None
    if min(k0, k1) <= FEW_CLOSURES:
        exact = stats.hypergeom(n0 + n1, k0 + k1, n1)
        return float(exact.sf(k1 - 1)), float(exact.cdf(k1))
    pooled = (k0 + k1) / (n0 + n1)
    z = (k1 / n1 - k0 / n0) / math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    return float(stats.norm.sf(z)), float(stats.norm.cdf(z))


def significant(table: ClosureTable, order: Literal[3, 4], *, kind: Kind, level: float = 1e-5) -> tuple[int, int, int]:
    """(tests made, significant increases, significant decreases) of a kind, each test one-sided at `level`."""
    found = [step_test(table, *pair) for pair in comparisons(order, kind)]
    values = np.array([pair for pair in found if pair is not None]).reshape(-1, 2)
    return len(values), int((values[:, 0] < level).sum()), int((values[:, 1] < level).sum())
