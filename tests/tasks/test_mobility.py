"""The two real networks as the wheels hold them, and users' files of places."""

import numpy as np
import pytest

from livepapers.core.errors import InputError
from livepapers.tasks.data import read_source
from livepapers.tasks.mobility import PROVINCES, canadian_migration, us_air_network
from livepapers.tasks.places import Flows, Places, ordered_pairs, pair_chunks, unordered
from livepapers.tasks.r_frames import read_frame


@pytest.fixture(scope="module")
def air():
    return us_air_network()


def test_the_air_network_has_the_counties_and_links_that_carriers_fly(air):
    assert len(air.places) == 331
    assert int((air.flows.matrix > 0).sum()) == 5531
    assert air.flows.matrix.max() <= 12
    assert air.flows.inside.sum() == 0
    share = (air.flows.matrix > 0).mean()
    assert 0.04 < share < 0.06


def test_counties_have_their_statistics(air):
    los_angeles = air.places.names.index("06037")
    values = dict(zip(air.places.indicator_names, air.places.indicators[los_angeles], strict=True))
    assert values["labour force"] == values["employed"] + values["unemployed"] > 4e6
    assert values["catchment"] > values["labour force"]
    assert values["area"] == pytest.approx(12_310, rel=0.01)  # km^2, 4,753 square miles with its water
    assert values["state illiteracy"] == 1.1  # California in R's state.x77
    assert values["state assaults"] == 276
    assert 33 < values["latitude"] < 35


def test_indicators_of_states_are_missing_where_the_tables_have_no_such_state(air):
    gaps = np.isnan(air.places.indicators)
    assert {air.places.names[place][:2] for place in np.flatnonzero(gaps.any(axis=1))} <= {"72", "11"}
    assert not gaps[:, :8].any()


def test_the_migration_table_is_the_published_one():
    found = canadian_migration()
    assert found.places.names == PROVINCES
    assert int((found.flows.matrix > 0).sum()) == 90
    ontario, quebec = PROVINCES.index("ONT"), PROVINCES.index("QUE")
    assert found.flows.matrix[quebec, ontario] == 99430
    assert found.places.column("population 1971")[ontario] == 7703106
    assert found.places.distances(np.array([ontario]), np.array([quebec])) == [355]


def test_a_pickled_frame_is_read_as_pandas_reads_it():
    frame = read_frame(read_source("us-arrests"), where="us-arrests")
    assert list(frame.columns) == ["rownames", "Murder", "Assault", "UrbanPop", "Rape"]
    assert frame.shape == (50, 5)
    assert list(frame["rownames"][:3]) == ["Alabama", "Alaska", "Arizona"]
    assert frame["Rape"].iloc[1] == 44.5


def test_pairs_come_in_chunks_as_they_come_at_once():
    whole = ordered_pairs(7)
    assert np.array_equal(np.concatenate(list(pair_chunks(7, size=5))), whole)
    assert len(whole) == 42
    assert all(len(chunk) <= 5 for chunk in pair_chunks(7, size=5))


def test_both_directions_share_a_number_and_no_other_pair_does():
    pairs = ordered_pairs(9)
    numbers = unordered(pairs)
    assert np.array_equal(numbers, unordered(pairs[:, ::-1]))
    assert len(np.unique(numbers)) == 36


def test_rows_of_one_pair_are_added_and_flows_inside_kept_apart():
    flows = Flows.of(np.array([0, 0, 1]), np.array([1, 1, 1]), np.array([2.0, 3.0, 7.0]), places=2)
    assert flows.matrix.tolist() == [[0, 5], [0, 0]]
    assert flows.inside.tolist() == [0, 7]


def test_distances_are_great_circles_also_over_the_date_line_or_straight_lines():
    corners = np.array([[0.0, 179.0], [0.0, -179.0]])
    globe = Places(("a", "b"), ("x",), np.ones((2, 1)), corners)
    assert globe.distances(np.array([0]), np.array([1]))[0] == pytest.approx(2 * 111.195, rel=1e-4)
    plain = Places(("a", "b"), ("x",), np.ones((2, 1)), np.array([[0.0, 0.0], [3000.0, 4000.0]]), "metres")
    assert plain.distances(np.array([0]), np.array([1]))[0] == 5.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ("a", "a")}, "each name once"),
        ({"indicators": np.ones((3, 1))}, "indicators"),
        ({"coordinates": np.ones((2, 3))}, "coordinates"),
        ({"given": np.ones((2, 3))}, "given"),
        ({"indicator_names": ("x", "y")}, "indicators"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, said):
    good = {"names": ("a", "b"), "indicator_names": ("x",)}
    good |= {"indicators": np.ones((2, 1)), "coordinates": np.ones((2, 2))}
    with pytest.raises(InputError, match=said):
        Places(**{**good, **change})


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_masses_without_a_logarithm_are_named(value):
    places = Places(("a", "b"), ("people",), np.array([[1.0], [value]]), np.ones((2, 2)))
    with pytest.raises(InputError, match="people of b"):
        places.mass("people")
