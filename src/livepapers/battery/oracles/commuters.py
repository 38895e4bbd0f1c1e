"""Oracles of commuters: closed forms, an enumeration, invariances and special cases."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livepapers.baselines.spatial_interaction import balance, intervening, radiation_probability
from livepapers.core.rng import numpy_generator
from livepapers.methods import commuters as method
from livepapers.tasks.mobility import Network
from livepapers.tasks.mobility_models import wage_country
from livepapers.tasks.places import Flows, Places, ordered_pairs

Compared = tuple[Any, Any, float]
"""(value, expected, tolerance)."""


def _country(seed: int = 0, *, places: int = 24) -> Network:
    return wage_country(numpy_generator(seed, "oracles", "country"), places=places)


def _distances(places: Places) -> NDArray[np.float64]:
    number = np.arange(len(places))
    return places.distances(number[:, None], number[None, :])


def _intervening_by_enumeration() -> Compared:
    """s_ij by a loop over all third places, with ties at equal distance and two places in one spot."""
    rng = numpy_generator(0, "oracles", "ties")
    points, mass = rng.integers(0, 4, size=(12, 2)).astype(float), rng.uniform(1, 9, size=12)
    distances = np.hypot(*(points[:, None] - points[None, :]).transpose(2, 0, 1))
    expected = np.zeros((12, 12))
    for i in range(12):
        for j in range(12):
            near = [k for k in range(12) if k not in {i, j} and distances[i, k] <= distances[i, j]]
            expected[i, j] = mass[near].sum() if i != j else 0.0
    return intervening(mass, distances), expected, 1e-9


def _radiation_sums_to_one() -> Compared:
    """Who leaves goes somewhere: without ties the finite-size factor makes each row sum to 1."""
    places = _country().places
    chance = radiation_probability(places.mass("population"), _distances(places))
    return chance.sum(axis=1), np.ones(len(places)), 1e-9


def _prior_by_bayes() -> Compared:
    """Corrected probabilities are those of the world from which links were oversampled: densities known exactly."""
    x = np.linspace(-3, 3, 41)
    linked, other = np.exp(-((x - 1) ** 2) / 2), np.exp(-((x + 1) ** 2) / 2)
    trained, true = 0.5, 0.05
    sampled = trained * linked / (trained * linked + (1 - trained) * other)
    return (
        method.correct_prior(sampled, trained=trained, true=true),
        true * linked / (true * linked + (1 - true) * other),
        1e-12,
    )


def _balanced_totals() -> Compared:
    """Doubly constrained flows have the rows and columns that they were told."""
    rng = numpy_generator(1, "oracles", "totals")
    deterrence = rng.uniform(0.1, 1, size=(9, 9))
    told = rng.uniform(1, 5, size=(9, 9))
    found = balance(deterrence, told.sum(axis=1), inflow=told.sum(axis=0))
    sums = [np.concatenate([matrix.sum(axis=1), matrix.sum(axis=0)]) for matrix in (found, told)]
    return sums[0], sums[1], 1e-5


def _gravity_recovers_its_law() -> Compared:
    """Both fits find the exponents of flows that follow the law exactly."""
    places = _country().places
    pairs = ordered_pairs(len(places))
    mass = places.mass("population")
    flows = 1e-3 * mass[pairs[:, 0]] ** 0.8 * mass[pairs[:, 1]] ** 0.6 / places.distances(*pairs.T) ** 1.5
    found = [method.Gravity(places, "population", fit_by=fit).fit(pairs, flows).exponents_ for fit in ("ols", "ppml")]
    return np.array(found), np.tile([0.8, 0.6, -1.5], (2, 1)), 1e-4


def _judged(country: Network, *, parts: tuple[method.Part, ...] = method.PAPER_PARTS, seed: int = 0) -> float:
    """Area under ROC for places that were not seen."""
    pairs = ordered_pairs(len(country.places))
    flows = country.flows.on(pairs)
    rng = numpy_generator(seed, "oracles", "split")
    fold = next(method.split_pairs(pairs, flows >= 1, by="nodes", folds=1, rng=rng))
    model = method.LinkClassifier(
        country.places, model=_regression(), parts=parts, mass="population", random_state=seed
    )
    return method.learned_links(model, pairs, flows, fold=fold, rng=rng)["auc"]


def _regression() -> Any:
    """A logistic regression that is not tuned: quick, and the same for both sides of a comparison."""
    return method.FAMILIES["logit"].make(True, 0, 0)


def _order_of_indicators() -> Compared:
    """The order of indicators does not matter."""
    places = _country().places
    turned = Places(
        places.names, places.indicator_names[::-1], places.indicators[:, ::-1], places.coordinates, places.units
    )
    return _probabilities(places), _probabilities(turned), 1e-6


def _unit_of_indicators() -> Compared:
    """A standardising model does not care whether indicators are counted in ones or thousands."""
    places = _country().places
    scaled = Places(places.names, places.indicator_names, places.indicators * 1000, places.coordinates, places.units)
    return _probabilities(places), _probabilities(scaled), 1e-6


def _probabilities(places: Places) -> NDArray[np.float64]:
    pairs = ordered_pairs(len(places))
    model = method.LinkClassifier(places, model=_regression()).fit(pairs, _country().flows.on(pairs))
    return model.predict_proba(pairs)[:, 1]


def _relabelled() -> Compared:
    """Formulas and network statistics do not know the places' names and order."""
    country = _country()
    order = numpy_generator(2, "oracles", "relabel").permutation(len(country.places))
    other = Network(country.places.select(order), Flows(country.flows.matrix[np.ix_(order, order)], np.zeros(24)))
    found = []
    for network in (country, other):
        pairs = ordered_pairs(24)
        laws = method.Radiation(network.places, "population"), method.Gravity(network.places, "population")
        sums = [np.sort(law.fit(pairs, network.flows.on(pairs)).predict(pairs)) for law in laws]
        found.append(np.concatenate(sums))
    return found[0], found[1], 1e-6


def _gravity_without_masses() -> Compared:
    """Production-constrained gravity in a ring of equal places: everyone spreads evenly."""
    places = Places(("a", "b", "c"), ("m",), np.ones((3, 1)), np.zeros((3, 2)), given=1.0 * ~np.eye(3, dtype=bool))
    pairs = ordered_pairs(3)
    law = method.Gravity(places, "m", constrained="production").fit(pairs, np.array([3.0, 1, 2, 2, 1, 3]))
    return law.predict(pairs), np.full(6, 2.0), 1e-9


def _nothing_to_correct() -> Compared:
    """A model that was trained at the true share is left as it is."""
    p = np.linspace(0, 1, 11)
    return method.correct_prior(p, trained=0.3, true=0.3), p, 1e-12


def _indicators_matter(seed: int) -> tuple[float, float]:
    """(both places' indicators, masses and distance only), as losses."""
    country = _country(seed, places=30)
    return -_judged(country, seed=seed), -_judged(country, parts=("gravity",), seed=seed)


def _distance_matters(seed: int) -> tuple[float, float]:
    """(with, without) the distance, as losses."""
    country = _country(seed, places=30)
    return -_judged(country, seed=seed), -_judged(country, parts=("indicators",), seed=seed)


def _beats_chance(seed: int) -> tuple[float, float]:
    """(the method, a random order), as losses."""
    return -_judged(_country(seed, places=30), seed=seed), -0.5


REFERENCES: Mapping[str, Callable[[], Compared]] = {
    "intervening mass by enumeration, with ties": _intervening_by_enumeration,
    "radiation sums to one": _radiation_sums_to_one,
    "prior correction is Bayes' rule": _prior_by_bayes,
    "balanced flows have their totals": _balanced_totals,
    "gravity recovers its law": _gravity_recovers_its_law,
}
INVARIANCES: Mapping[str, Callable[[], Compared]] = {
    "order of indicators": _order_of_indicators,
    "unit of indicators": _unit_of_indicators,
    "names and order of places": _relabelled,
}
REDUCTIONS: Mapping[str, Callable[[], Compared]] = {
    "equal places share an origin's flow evenly": _gravity_without_masses,
    "at the true share nothing is corrected": _nothing_to_correct,
}
LOSSES: Mapping[str, Callable[..., Any]] = {}
ABLATIONS: Mapping[str, Callable[[int], tuple[float, float]]] = {
    "indicators replaced by masses": _indicators_matter,
    "distance left out": _distance_matters,
}
FLOORS: Mapping[str, Callable[[int], tuple[float, float]]] = {"random order": _beats_chance}
