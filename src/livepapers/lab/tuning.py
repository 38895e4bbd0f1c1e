"""Tuning inside a study: points of a grid are scored on seeds that no cell has, and all scores are kept."""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from livepapers.core.files import write_atomic
from livepapers.lab.study import Run

FILE = "score.json"
"""What a trial that is a prepared part of its own leaves behind."""

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


def try_parts(
    run: Run, points: Sequence[Point], seeds: Sequence[int], part: Callable[[Point, int], str], *, cell: int
) -> dict[str, Any]:
    """`try_all` of trials that are prepared parts of their own; those that nobody has made yet are made on the way.

    Args:
        run: The cell's.
        points: As for `try_all`.
        seeds: As for `try_all`.
        part: (point, seed) -> the name of the trial in `PREPARE`, which leaves its score by `keep_score`.
        cell: Seed of the cell: those of odd seeds begin in the middle, so that two workers do not wait for each other.
    """
    trials = [(index, seed) for index in range(len(points)) for seed in seeds]
    start = len(trials) // 2 if cell % 2 else 0
    scores: dict[tuple[str, int], float] = {}
    for index, seed in trials[start:] + trials[:start]:
        name = part(points[index], seed)
        score = json.loads((run.prepared(name) / FILE).read_text(encoding="utf-8"))["score"]
        scores[name, seed] = math.nan if score is None else score
    return try_all(points, seeds, lambda point, seed: scores[part(point, seed), seed])


def keep_score(folder: Path, score: float | None) -> None:
    """Leave a trial's score in its prepared part; None or what is not finite has lost."""
    kept = None if score is None else _finite(score)
    write_atomic(folder / FILE, json.dumps({"score": kept}) + "\n")


def _edge(points: Sequence[Point], name: str, value: float) -> str:
    tried = sorted({point[name] for point in points})
    if len(tried) < 3:
        return ""
    return {tried[0]: "least", tried[-1]: "largest"}.get(value, "")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
