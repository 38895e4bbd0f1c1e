"""Distances on the sphere against closed forms, and coordinates that are no place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from livepapers.core.errors import InputError
from livepapers.tasks.geography import EARTH_RADIUS, check_coordinates, great_circle

QUARTER = np.pi / 2 * EARTH_RADIUS


@pytest.mark.parametrize(
    ("start", "end", "kilometres"),
    [
        ((0, 0), (0, 90), QUARTER),
        ((0, 0), (90, 0), QUARTER),
        ((0, 0), (0, 180), 2 * QUARTER),
        ((0, 179.5), (0, -179.5), EARTH_RADIUS * np.radians(1)),  # across the date line
        ((90, 17), (90, -120), 0.0),  # the pole is one place
    ],
)
def test_quarters_of_great_circles(start, end, kilometres):
    assert great_circle(*start, *end) == pytest.approx(kilometres, abs=1e-9)


@given(*[some.floats(-90, 90), some.floats(-180, 180)] * 2)
def test_it_is_the_angle_between_directions(latitude, longitude, to_latitude, to_longitude):
    def direction(phi, lam):
        return np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])

    one = direction(*np.radians([latitude, longitude]))
    other = direction(*np.radians([to_latitude, to_longitude]))
    angle = np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)
    distance = great_circle(latitude, longitude, to_latitude, to_longitude)
    assert distance == pytest.approx(EARTH_RADIUS * angle, rel=1e-9, abs=0.2)
    assert distance == great_circle(to_latitude, to_longitude, latitude, longitude)


def test_distances_broadcast():
    assert great_circle([[0.0], [10.0]], [[0.0], [0.0]], [0.0, 5.0, 9.0], [1.0, 2.0, 3.0]).shape == (2, 3)


@pytest.mark.parametrize(
    ("latitude", "longitude", "says"),
    [
        ([1.0, -120.0], [30.0, 4.0], "lat, row 2: got -120.0, .* swapped"),
        ([1.0, np.nan], [30.0, 4.0], "lat, row 2: got nan, .*missing"),
        ([1.0], [482_000.0], "lon, row 1: got 482000.0, .*projection"),
    ],
)
def test_no_place_on_the_globe(latitude, longitude, says):
    with pytest.raises(InputError, match=says):
        check_coordinates(latitude, longitude, columns=("lat", "lon"), source="places.csv")
