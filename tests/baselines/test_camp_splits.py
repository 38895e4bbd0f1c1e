"""Camps without a network: a split of two clear camps is found, and nothing is found where nothing is."""

import numpy as np
import pytest

from livepapers.baselines.camp_splits import centred, k_means_split, principal_component_split, supervised_accuracy

RNG = np.random.default_rng(0)
PARTY = np.repeat([0, 1], 40)
CLEAR = (
    np.where(RNG.random((80, 10)) < 0.9, 1, -1) * np.where(PARTY == 1, 1, -1)[:, None] * (RNG.random((80, 10)) < 0.8)
)


def test_a_missing_position_is_at_the_concepts_mean():
    assert centred(np.array([[1, 0], [1, -1], [-1, -1]])).round(9).tolist() == [
        [pytest.approx(2 / 3), 0], [pytest.approx(2 / 3), 0], [pytest.approx(-4 / 3), 0]
    ]  # fmt: skip


@pytest.mark.parametrize("split", [principal_component_split, lambda positions: k_means_split(positions, seed=3)])
def test_clear_camps_are_found(split):
    found = split(CLEAR)
    same = np.mean(found == PARTY)
    assert max(same, 1 - same) == 1.0
    assert (split(CLEAR) == found).all()


def test_the_ceiling_is_high_on_clear_camps_and_low_on_none():
    assert supervised_accuracy(CLEAR, PARTY, seed=0) > 0.95
    assert supervised_accuracy(RNG.permutation(CLEAR), PARTY, seed=0) < 0.7
