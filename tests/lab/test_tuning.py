"""Tuning inside a study: what is chosen, and what is kept."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from livepapers.lab import tuning


def test_the_best_mean_is_chosen_and_every_score_kept(tmp_path: Path):
    points = tuning.combinations({"sigma": (0.1, 0.2, 0.3), "rate": (1.0, 2.0, 3.0)})

    def score(values: Mapping[str, float], seed: int) -> float:
        lost = math.nan if values["sigma"] == 0.3 and seed == 7 else 0.0
        return -abs(values["sigma"] - 0.2) + values["rate"] * (10 - seed) + lost

    found = tuning.try_all(points, (5, 7), score)
    assert found["chosen"] == {"sigma": 0.2, "rate": 3.0}
    assert found["mean"] == pytest.approx(12.0)
    assert found["edges"] == {"rate": "largest"}
    assert [one["values"] for one in found["trials"]] == points
    assert found["trials"][5]["scores"] == pytest.approx([15.0, 9.0])
    assert [one["mean"] is None for one in found["trials"]] == 6 * [False] + 3 * [True]
    tuning.keep(tmp_path, found)
    assert tuning.kept(tmp_path) == json.loads((tmp_path / tuning.FILE).read_text()) == found


def test_the_first_of_equals_is_chosen_and_nothing_finite_is_refused():
    points = tuning.combinations({"sigma": (0.1, 0.2, 0.3)})
    assert tuning.try_all(points[:2], tuning.pilots(1), lambda *_: 0.0)["chosen"] == points[0]
    assert tuning.try_all(points[:2], tuning.pilots(1), lambda *_: 0.0)["edges"] == {}
    with pytest.raises(ValueError, match="no trial has a finite score"):
        tuning.try_all(points, (5,), lambda *_: math.inf)


def test_seeds_of_trials_are_none_of_a_cell():
    assert tuning.pilots(3) == (1_000_001, 1_000_002, 1_000_003)
