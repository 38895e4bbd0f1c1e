"""Tuning inside a study: what is chosen, and what is kept."""

import json
import math
from collections.abc import Mapping

import pytest

from livepapers.lab import tuning


def test_the_best_mean_is_chosen_and_every_score_kept():
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
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_first_of_equals_is_chosen_and_nothing_finite_is_refused():
    points = tuning.combinations({"sigma": (0.1, 0.2, 0.3)})
    assert tuning.try_all(points[:2], tuning.pilots(1), lambda *_: 0.0)["chosen"] == points[0]
    assert tuning.try_all(points[:2], tuning.pilots(1), lambda *_: 0.0)["edges"] == {}
    with pytest.raises(ValueError, match="no point has finite scores"):
        tuning.try_all(points, (5,), lambda *_: math.inf)
    with pytest.raises(ValueError, match="no point has finite scores"):
        tuning.try_all(points, (), lambda *_: 1.0)


def test_a_point_that_diverged_once_has_lost_whatever_its_other_scores_are():
    scores = {
        (0.1, 1): math.inf,
        (0.1, 2): -math.inf,
        (0.2, 1): 1e300,
        (0.2, 2): math.nan,
        (0.3, 1): -5.0,
        (0.3, 2): -7.0,
    }
    points = tuning.combinations({"sigma": (0.1, 0.2, 0.3)})
    found = tuning.try_all(points, (1, 2), lambda point, seed: scores[point["sigma"], seed])
    assert found["chosen"] == {"sigma": 0.3}
    assert found["trials"][1]["scores"] == [1e300, None]


def test_seeds_of_trials_begin_behind_a_million():
    assert tuning.pilots(3) == (1_000_001, 1_000_002, 1_000_003)
