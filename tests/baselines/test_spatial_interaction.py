"""Gravity and radiation against their definitions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from livepapers.baselines.neighbour_scores import neighbour_scores
from livepapers.baselines.spatial_interaction import Gravity, Radiation, intervening, radiation_probability, totals
from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.tasks.mobility_models import wage_country
from livepapers.tasks.places import Places, ordered_pairs

COUNTRY = wage_country(numpy_generator(3, "interaction"), places=15)
PAIRS = ordered_pairs(15)
FLOWS = COUNTRY.flows.on(PAIRS)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 9)), min_size=2, max_size=6))
def test_intervening_mass_is_that_of_the_definition(spots):
    points, mass = np.array([spot[:2] for spot in spots], float), np.array([spot[2] for spot in spots], float)
    distances = np.hypot(*(points[:, None] - points[None, :]).transpose(2, 0, 1))
    found = intervening(mass, distances)
    for i in range(len(spots)):
        for j in range(len(spots)):
            near = [k for k in range(len(spots)) if k not in {i, j} and distances[i, k] <= distances[i, j]]
            assert found[i, j] == pytest.approx(mass[near].sum() if i != j else 0, abs=1e-9)


def test_radiation_of_two_places_sends_everyone_to_the_other():
    chance = radiation_probability(np.array([3.0, 5.0]), np.array([[0.0, 2.0], [2.0, 0.0]]))
    assert chance == pytest.approx(np.array([[0, 1], [1, 0]]))


def test_radiation_keeps_the_total_of_its_training_flows():
    law = Radiation(COUNTRY.places, "population").fit(PAIRS, FLOWS)
    assert law.predict(PAIRS).sum() == pytest.approx(FLOWS.sum())
    told = Radiation(COUNTRY.places, "population", outflow=np.ones(15)).fit(PAIRS, FLOWS)
    assert totals(PAIRS, told.predict(PAIRS), places=15)[0] == pytest.approx(np.ones(15))


def test_poisson_gravity_meets_the_score_equations():
    law = Gravity(COUNTRY.places, "population", fit_by="ppml").fit(PAIRS, FLOWS)
    gap = law.predict(PAIRS) - FLOWS
    terms = law._terms(PAIRS)
    assert np.abs(np.column_stack([np.ones(len(gap)), terms]).T @ gap).max() < 1e-3 * FLOWS.sum()


@pytest.mark.parametrize("form", ["power", "exp"])
def test_production_constrained_gravity_meets_totals_and_its_score_equations(form):
    law = Gravity(COUNTRY.places, "population", constrained="production", form=form).fit(PAIRS, FLOWS)
    found = law.predict(PAIRS)
    assert totals(PAIRS, found, places=15)[0] == pytest.approx(totals(PAIRS, FLOWS, places=15)[0])
    assert law._terms(PAIRS)[:, 1:].T @ (found - FLOWS) == pytest.approx(np.zeros(2), abs=1e-3 * FLOWS.sum())


def test_doubly_constrained_gravity_meets_both_totals_and_the_mean_log_distance():
    law = Gravity(COUNTRY.places, "population", constrained="double").fit(PAIRS, FLOWS)
    found = law.predict(PAIRS)
    for one, two in zip(totals(PAIRS, found, places=15), totals(PAIRS, FLOWS, places=15), strict=True):
        assert one == pytest.approx(two, rel=1e-3, abs=1e-3)
    distances = law._terms(PAIRS)[:, 2]
    assert found @ distances == pytest.approx(FLOWS @ distances, rel=1e-4)


def test_doubly_constrained_gravity_recovers_its_exponent():
    known = COUNTRY.places.distances(*PAIRS.T) ** -1.3 * 1000.0
    law = Gravity(COUNTRY.places, "population", constrained="double").fit(PAIRS, known)
    assert law.exponents_[2] == pytest.approx(-1.3, abs=1e-4)


def test_laws_are_scikit_learn_estimators():
    for law in (Gravity(COUNTRY.places, "population", fit_by="ppml"), Radiation(COUNTRY.places, "population")):
        copy: Any = clone(law)
        assert copy.get_params()["mass"] == "population"
        assert np.array_equal(copy.fit(PAIRS, FLOWS).predict(PAIRS), law.fit(PAIRS, FLOWS).predict(PAIRS))


def test_laws_refuse_no_flow_and_no_mass():
    with pytest.raises(InputError, match="none above zero"):
        Gravity(COUNTRY.places, "population").fit(PAIRS, np.zeros(len(PAIRS)))
    with pytest.raises(InputError, match="wage of"):  # wages of this country may be negative: no mass
        Gravity(COUNTRY.places, "wage").fit(PAIRS, FLOWS)


def test_places_in_one_spot_have_finite_flows():
    places = Places(("a", "b", "c"), ("m",), np.ones((3, 1)), np.array([[0, 0], [0, 0], [5e3, 0]]), "metres")
    pairs = ordered_pairs(3)
    assert np.isfinite(Gravity(places, "m", fit_by="ols").fit(pairs, np.arange(1.0, 7)).predict(pairs)).all()


def test_scores_of_neighbours_are_those_of_networkx():
    import networkx as nx

    graph = nx.gnp_random_graph(12, 0.4, seed=1)
    links, pairs = np.array(graph.edges), np.array(list(nx.non_edges(graph)))
    adamic = [value for _, _, value in nx.adamic_adar_index(graph, pairs.tolist())]
    assert neighbour_scores(links, pairs, nodes=12, score="adamic_adar") == pytest.approx(adamic)
    product = [value for _, _, value in nx.preferential_attachment(graph, pairs.tolist())]
    assert neighbour_scores(links, pairs, nodes=12, score="preferential_attachment") == pytest.approx(product)
    common = [len(list(nx.common_neighbors(graph, a, b))) for a, b in pairs.tolist()]
    assert neighbour_scores(links, pairs, nodes=12, score="common_neighbours") == pytest.approx(common)


def test_a_pairs_own_link_does_not_tell_of_itself():
    links = np.array([[0, 1], [1, 2]])
    assert neighbour_scores(links, links, nodes=3, score="preferential_attachment").tolist() == [0, 0]
