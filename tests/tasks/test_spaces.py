"""Spaces as JSON."""

import json

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from livepapers.tasks import spaces


@pytest.mark.parametrize(
    "space",
    [
        Box(0, 255, (2, 3), np.uint8),
        Box(0, 2**63 - 1, (2,), np.int64),
        Box(np.array([-(2**62) - 1, 0]), np.array([5, 7]), dtype=np.int64),
        Box(-np.inf, np.array([1.0, np.inf], np.float32), (2,), np.float32),
        Discrete(3, start=-1),
        MultiDiscrete([2, 3], start=[1, 0]),
    ],
)
def test_a_space_is_itself_again(space: Box | Discrete | MultiDiscrete):
    again = spaces.from_json(json.loads(json.dumps(spaces.to_json(space))))
    assert again == space
    assert again.dtype == space.dtype


def test_spaces_are_alike_by_their_members_and_boxes_by_their_shape():
    assert spaces.alike(Box(-1.0, 1.0, (2,)), Box(-5.0, 5.0, (2,)))
    assert not spaces.alike(Box(-1.0, 1.0, (2,)), Box(-1.0, 1.0, (3,)))
    assert not spaces.alike(Discrete(2), Discrete(6))
    assert not spaces.alike(Discrete(2), Discrete(2, start=1))
    assert not spaces.alike(MultiDiscrete([2, 3]), MultiDiscrete([2, 4]))
    assert spaces.alike(MultiDiscrete([2, 3]), MultiDiscrete([2, 3]))
    assert not spaces.alike(Discrete(2), Box(-1.0, 1.0, ()))
