"""The tables of a diagnosis: sets of states, the figures of a policy, and two policies side by side."""

import math

import numpy as np
from scipy import stats

from livepapers.core.application import Row
from livepapers.methods.drl_diagnosis import measures
from livepapers.methods.drl_diagnosis.collecting import is_picture
from livepapers.methods.drl_diagnosis.diagnosing import INDEPENDENT, Diagnosis
from livepapers.methods.drl_diagnosis.direction import squared_cosine
from livepapers.methods.drl_diagnosis.judging import Judged

FIGURES = {
    "share": "of the instability that is one direction; 1 = systematic",
    "gap": "1 - second over first eigenvalue; near 0 the direction means nothing",
    "participation": "inputs over which the direction is spread",
    "top_energy": "share of the direction in its top 1 % of inputs",
    "entropy": "how evenly it is spread over spatial frequencies, 0 to 1",
    "variation": "of the gradient's length over an episode: bursts",
    "certainty": "median probability of the best action",
    "random_quotient": "quotient that a random direction would have",
    "mean_quotient": "quotient of the mean gradient",
}
POSSIBLE = dict.fromkeys(FIGURES, (0.0, 1.0)) | {"participation": (1.0, math.inf), "variation": (0.0, math.inf)}
"""Least and largest value that each figure can have: intervals of few repeats would go beyond."""
COMPARED = ("share", "participation", "entropy", "variation")
OF_PICTURES = ("top_energy", "entropy")
"""Figures that mean something where there are rows, columns and hundreds of numbers."""


def interval(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """(mean, low, high) over repeats, by Student's t."""
    mean, count = float(values.mean()), len(values)
    reach = float(stats.t.ppf((1.0 + confidence) / 2.0, count - 1)) * float(values.std(ddof=1)) / math.sqrt(count)
    return mean, mean - reach, mean + reach


def rows_of_sets(judged: Judged, confidence: float) -> list[Row]:
    """Quotients of each set with intervals, beside the independent run's.

    Args:
        judged: The policy and what was found.
        confidence: Of each interval, and of all verdicts together.
    """
    rows: list[Row] = []
    independent = judged.found.table[INDEPENDENT]["quotient"]
    shared = 1.0 - (1.0 - confidence) / max(len(judged.found.table) - 1, 1)  # Bonferroni: several changes are tried
    for name, row in judged.found.table.items():
        mean, low, high = interval(row["quotient"], confidence)
        _, below, above = interval(row["quotient"] - independent, shared)
        verdict = "void" if judged.void else "moved" if above < 0 else "closer" if below > 0 else "not told apart"
        rows.append(
            {
                "set": name, "quotient": _shown(mean), "low": _shown(max(low, 0.0)), "high": _shown(min(high, 1.0)),
                "squared cosine": _shown(float(row["cosine"].mean())),
                "three directions": _shown(float(row["subspace"].mean())),
                "return": _shown(float(row["return"].mean())), "size of change": _shown(float(row["size"].mean())),
                "verdict": "the yardstick" if name == INDEPENDENT else verdict,
            }
        )  # fmt: skip
    return rows


def _left_out(found: Diagnosis) -> tuple[str, ...]:
    """Figures that say nothing about these observations."""
    return () if is_picture(tuple(found.direction.shape)) else OF_PICTURES


def rows_of_figures(found: Diagnosis, confidence: float) -> list[Row]:
    """The figures of a policy; those of pictures are left out where its observations are none."""
    rows: list[Row] = []
    left_out = _left_out(found)
    for name, meaning in FIGURES.items():
        if name in left_out:
            continue
        mean, *ends = interval(found.figures[name], confidence)
        low, high = (_shown(float(end)) for end in np.clip(ends, *POSSIBLE[name]))
        rows.append({"figure": name, "value": _shown(mean), "low": low, "high": high, "meaning": meaning})
    return rows


def rows_of_both(first: Diagnosis, second: Diagnosis, void: str, confidence: float) -> list[Row]:
    """What two policies of the same observations have, and whether the second has more of it.

    Args:
        first: Of the policy.
        second: Of the one beside it.
        void: Why nothing follows; empty where something does.
        confidence: Of each interval.
    """
    rows: list[Row] = []
    left_out = _left_out(first)
    for name in COMPARED:
        if name in left_out:
            continue
        mine, theirs = first.figures[name], second.figures[name]
        _, low, high = interval(theirs - mine, confidence)
        verdict = "void" if void else "higher" if low > 0 else "lower" if high < 0 else "not told apart"
        least, most = POSSIBLE[name]
        low, high = max(low, least - most), min(high, most - least)
        rows.append(
            {"figure": name, "first": _shown(float(mine.mean())), "second": _shown(float(theirs.mean())),
             "difference from": _shown(low), "to": _shown(high), "verdict": verdict}
        )  # fmt: skip
    overlaps = {"squared cosine": squared_cosine} | ({} if left_out else {"top 1 % in common": measures.jaccard})
    for name, measure in overlaps.items():
        value = _shown(measure(first.direction, second.direction))
        row: Row = {"figure": name, "first": value, "second": value, "difference from": None, "to": None,
                    "verdict": "void" if void else "of both directions"}  # fmt: skip
        rows.append(row)
    return rows


def _shown(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.5g}")
