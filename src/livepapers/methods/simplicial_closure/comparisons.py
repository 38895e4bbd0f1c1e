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


def log_ratio(table: ClosureTable, before: Type, after: Type) -> float | None:
    """log2 of P(closure | after) / P(closure | before), each as (closed + 1/2) / (count + 1); None for rare types."""
    sets, closed = np.array([table.of(before), table.of(after)]).T
    if sets.min() <= FEWEST_SETS:
        return None
    shares = (closed + 0.5) / (sets + 1)
    return math.log2(shares[1] / shares[0])


def increase_test(table: ClosureTable, before: Type, after: Type) -> float | None:
    """One-sided p of "closure is likelier in `after`"; 1 - p speaks for a decrease; None for rare types.

    Pooled z test of two shares; Fisher's exact test where either type has at most five closures.
    """
    (n0, k0), (n1, k1) = table.of(before), table.of(after)
    if min(n0, n1) <= FEWEST_SETS:
        return None
    if min(k0, k1) <= FEW_CLOSURES:
        return float(stats.hypergeom.sf(k1 - 1, n0 + n1, k0 + k1, n1))
    pooled = (k0 + k1) / (n0 + n1)
    z = (k1 / n1 - k0 / n0) / math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    return float(stats.norm.sf(z))


def mean_log_ratio(table: ClosureTable, order: Literal[3, 4], *, kind: Kind) -> float | None:
    """The mean of `log_ratio` over all comparisons of a kind with enough sets; None without any."""
    found = [log_ratio(table, *pair) for pair in comparisons(order, kind)]
    kept = [value for value in found if value is not None]
    return float(np.mean(kept)) if kept else None


def significant(table: ClosureTable, order: Literal[3, 4], *, kind: Kind, level: float = 1e-5) -> tuple[int, int, int]:
    """(tests made, significant increases, significant decreases) of a kind, each test one-sided at `level`."""
    found = [increase_test(table, *pair) for pair in comparisons(order, kind)]
    values = np.array([value for value in found if value is not None])
    return len(values), int((values < level).sum()), int((values > 1 - level).sum())
