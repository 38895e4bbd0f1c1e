"""Tuning inside a study: points of a grid are scored on seeds that no cell has, and all scores are kept."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

FIRST_PILOT = 1_000_001
"""Seeds of trials begin here, beyond those of all cells."""

Point = Mapping[str, float]


def pilots(count: int) -> tuple[int, ...]:
    """Seeds of trials."""
    return tuple(range(FIRST_PILOT, FIRST_PILOT + count))


def combinations(axes: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Every combination of the values of each name, the last name's changing fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def try_all(points: Sequence[Point], seeds: Sequence[int], score: Callable[[Point, int], float]) -> dict[str, Any]:
    """Score every point on every seed; the best mean is chosen, the first of equals.

    Args:
        points: Settings, all of the same names.
        seeds: Of the trials.
        score: (point, seed) -> the more, the better; what is not finite has lost, and is kept as null.

    Returns:
        JSON: `chosen`, its `mean`; `edges`: names of more than two values whose least or largest was chosen, so that
        the best may lie beyond; `seeds`; `trials`: every point with its scores and their mean.

    Raises:
        ValueError: No point has finite scores alone.
    """
    trials: list[dict[str, Any]] = []
    for point in points:
        scores = [score(point, seed) for seed in seeds]
        mean = fmean(scores) if scores and all(map(math.isfinite, scores)) else None
        trials.append({"values": dict(point), "scores": [_finite(one) for one in scores], "mean": mean})
    if all(one["mean"] is None for one in trials):
        raise ValueError("no point has finite scores alone")
    best = max(trials, key=lambda one: -math.inf if one["mean"] is None else one["mean"])
    edges = {name: edge for name in best["values"] if (edge := _edge(points, name, best["values"][name]))}
    return {"chosen": best["values"], "mean": best["mean"], "edges": edges, "seeds": list(seeds), "trials": trials}


def _edge(points: Sequence[Point], name: str, value: float) -> str:
    tried = sorted({point[name] for point in points})
    if len(tried) < 3:
        return ""
    return {tried[0]: "least", tried[-1]: "largest"}.get(value, "")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
