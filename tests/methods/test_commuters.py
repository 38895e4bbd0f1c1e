"""The method of commuters: features, estimators, splits, calibration, importance, whole networks."""

import resource
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.tree import DecisionTreeClassifier

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.methods import commuters as method
from livepapers.methods.commuters import features as features_module
from livepapers.methods.commuters.estimators import check_flows
from livepapers.tasks.mobility_models import wage_country
from livepapers.tasks.places import Places, ordered_pairs, unordered

COUNTRY = wage_country(numpy_generator(1, "tests"), places=30)
PLACES = COUNTRY.places
PAIRS = ordered_pairs(30)
FLOWS = COUNTRY.flows.on(PAIRS)
LINKED = FLOWS >= 1


def rng(name="rng"):
    return numpy_generator(0, "tests", name)


@pytest.fixture(scope="module")
def links():
    return method.LinkClassifier(PLACES, model="logit", tuning_rows=300).fit(PAIRS, FLOWS)


@pytest.fixture(scope="module")
def sizes():
    return method.FlowRegressor(PLACES, model="rf", trees=10, tuning_rows=300).fit(PAIRS, FLOWS)


def test_features_are_both_places_indicators_in_order_and_the_distance():
    made = method.PairFeatures(PLACES)
    row = made.rows(np.array([[3, 7]]))[0]
    distance = PLACES.distances(np.array([3]), np.array([7]))
    assert row == pytest.approx(np.concatenate([PLACES.indicators[3], PLACES.indicators[7], distance]))
    assert [column.group for column in made.columns] == [*PLACES.indicator_names * 2, "distance"]


def test_every_part_of_the_features_says_what_it_holds():
    parts = ("indicators", "distance", "difference", "intervening", "gravity")
    made = method.PairFeatures(PLACES, parts=parts, indicators=("wage",), mass="population")
    row = dict(zip((column.name for column in made.columns), made.rows(np.array([[2, 5]]))[0], strict=True))
    wage, people = PLACES.column("wage"), PLACES.column("population")
    assert row["wage difference"] == pytest.approx(abs(wage[2] - wage[5]))
    assert row["log mass product"] == pytest.approx(np.log(people[2]) + np.log(people[5]))
    assert row["log distance"] == pytest.approx(np.log(row["distance"]))
    near = [k for k in range(30) if k not in {2, 5} and PLACES.distances(2, k) <= row["distance"]]  # type: ignore[arg-type]
    assert row["intervening"] == pytest.approx(people[near].sum())


@pytest.mark.parametrize("options", [{"parts": ("gravitation",)}, {"parts": ("gravity",)}, {"indicators": ("gdp",)}])
def test_unknown_features_are_named(options):
    with pytest.raises(InputError, match="expected"):
        method.PairFeatures(PLACES, **options)


def test_predictions_do_not_depend_on_the_size_of_chunks(links, monkeypatch):
    whole = links.predict_proba(PAIRS)
    monkeypatch.setattr("livepapers.methods.commuters.estimators.PAIRS_AT_ONCE", 37)
    assert links.predict_proba(PAIRS) == pytest.approx(whole, abs=1e-12)


def test_memory_does_not_grow_with_the_number_of_pairs(links):
    many = np.tile(PAIRS, (345, 1))  # 300,000 pairs; a million are measured in the benchmark
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(links.predict(many)) == len(many)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    assert grown < 250  # MiB


def test_a_graph_of_intervening_masses_has_a_limit(monkeypatch):
    monkeypatch.setattr(features_module, "MOST_RANKED", 10)
    with pytest.raises(InputError, match="at most 10"):
        method.PairFeatures(PLACES, parts=("intervening",), mass="population")


def test_estimators_are_scikit_learns(links, sizes):
    for made in (links, sizes, method.MobilityReconstructor(PLACES, link_model="logit", flow_model="logit")):
        copy: Any = clone(made)
        assert copy.get_params(deep=False).keys() == made.get_params(deep=False).keys()
    again: Any = clone(links)
    assert np.array_equal(again.fit(PAIRS, FLOWS).predict(PAIRS), links.predict(PAIRS))


def test_they_work_in_cross_validation_with_both_directions_together():
    made = method.MobilityReconstructor(PLACES, link_model="logit", flow_model="logit")
    found = cross_val_score(made, PAIRS, FLOWS, groups=unordered(PAIRS), cv=GroupKFold(2))
    assert (found > 0.6).all()
    assert (found <= 1).all()


@pytest.mark.parametrize("model", ["gbt", "et", "knn", DecisionTreeClassifier(max_depth=4, random_state=0)])
def test_every_kind_of_learner_tells_links_of_unseen_places(model):
    places = wage_country(numpy_generator(2, "tests"), places=36)
    pairs = ordered_pairs(36)
    flows = places.flows.on(pairs)
    fold = next(method.split_pairs(pairs, flows >= 1, by="nodes", folds=1, rng=rng()))
    parts = ("difference", "distance")
    made = method.LinkClassifier(places.places, model=model, parts=parts, trees=10, tuning_rows=200)
    assert method.learned_links(made, pairs, flows, fold=fold, rng=rng())["auc"] > 0.65


def test_missing_indicators_are_filled_from_training_pairs_alone():
    values = PLACES.indicators.copy()
    values[[0, 4], 1] = np.nan
    gaps = Places(PLACES.names, PLACES.indicator_names, values, PLACES.coordinates, PLACES.units)
    train = (PAIRS > 4).all(axis=1)
    made = method.LinkClassifier(gaps, model="logit", tuning_rows=200).fit(PAIRS[train], FLOWS[train])
    changed = values.copy()
    changed[1:4, 1] = 1e6  # of places that no training pair touches
    other = Places(PLACES.names, PLACES.indicator_names, changed, PLACES.coordinates, PLACES.units)
    again = method.LinkClassifier(other, model="logit", tuning_rows=200).fit(PAIRS[train], FLOWS[train])
    pair = np.array([[0, 9], [9, 4]])
    assert np.isfinite(made.predict_proba(pair)).all()
    assert np.array_equal(made.predict_proba(pair), again.predict_proba(pair))


def test_flows_are_learned_from_links_alone(sizes):
    some = LINKED | (np.arange(len(PAIRS)) % 3 == 0)
    other = method.FlowRegressor(PLACES, model="rf", trees=10, tuning_rows=300).fit(PAIRS[some], FLOWS[some])
    assert np.array_equal(other.predict(PAIRS), sizes.predict(PAIRS))


def test_smearing_turns_the_mean_of_logarithms_into_a_mean():
    noisy = np.floor(np.exp(numpy_generator(0, "noise").normal(5, 1.2, size=len(PAIRS))))
    made = method.FlowRegressor(PLACES, model="logit").fit(PAIRS, np.maximum(noisy, 1))
    assert made.smearing_ == pytest.approx(np.exp(1.2**2 / 2), rel=0.15)
    assert made.predict(PAIRS).mean() == pytest.approx(noisy.mean(), rel=0.1)


def test_the_whole_network_is_zero_where_a_link_is_unlikely():
    made = method.MobilityReconstructor(PLACES, link_model="logit", flow_model="logit").fit(PAIRS, FLOWS)
    found = made.predict(PAIRS)
    called = made.links_.calibrated(PAIRS) >= 0.5
    assert (found[~called] == 0).all()
    assert (found[called] > 0).all()
    assert made.score(PAIRS, FLOWS) == pytest.approx(method.common_part(FLOWS, found))


def test_training_pairs_are_balanced_without_replacement():
    chosen = method.balanced(LINKED, rng())
    assert len(np.unique(chosen)) == len(chosen) == 2 * LINKED.sum()
    assert LINKED[chosen].sum() == LINKED.sum()
    assert len(method.balanced(LINKED, rng(), negatives=float("inf"))) == len(LINKED)
    assert len(method.balanced(LINKED, rng(), negatives=0.5)) == LINKED.sum() + LINKED.sum() // 2


@settings(max_examples=30)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_correcting_there_and_back_changes_nothing(p, trained, true):
    there = method.correct_prior(np.array([p]), trained=trained, true=true)
    assert method.correct_prior(there, trained=true, true=trained) == pytest.approx(p)


def test_an_uninformed_model_is_corrected_to_the_share_of_links():
    assert method.correct_prior(np.array([0.5]), trained=0.5, true=0.05) == pytest.approx(0.05)
    with pytest.raises(InputError, match="true"):
        method.correct_prior(np.array([0.5]), trained=0.5, true=0.0)


def test_corrected_probabilities_add_up_to_the_links(links):
    assert links.calibrated(PAIRS).mean() == pytest.approx(LINKED.mean(), rel=0.1)
    assert links.calibrated(PAIRS, true_share=0.01).mean() < LINKED.mean()


def test_reliability_keeps_every_pair_and_ties_together():
    p = np.array([0.0, 0.1, 0.1, 0.1, 0.4, 0.9])
    truth = np.array([0, 0, 1, 0, 1, 1], dtype=bool)
    rows = method.reliability(p, truth, bins=4)
    assert sum(row["pairs"] for row in rows) == 6
    assert sum(row["pairs"] * row["predicted"] for row in rows) == pytest.approx(p.sum())
    assert sum(row["pairs"] * row["observed"] for row in rows) == truth.sum()
    assert len({row["predicted"] for row in rows if row["predicted"] == 0.1}) <= 1
    assert method.calibration_error(truth.astype(float), truth) == 0
    assert method.calibration_error(np.zeros(6), truth) == 0.5


@pytest.mark.parametrize("by", ["pairs", "nodes", "origin", "region"])
def test_no_split_trains_on_what_it_holds_out(by):
    for fold in method.split_pairs(PAIRS, LINKED, by=by, folds=5, rng=rng()):
        assert not (fold.train & fold.test).any()
        assert fold.test.any()
        train, test = PAIRS[fold.train], PAIRS[fold.test]
        if by == "nodes":
            assert not set(train.ravel()) & set(test.ravel())
            assert len(np.unique(train)) == 15
        if by in {"pairs", "region"}:
            assert not set(unordered(train).tolist()) & set(unordered(test).tolist())
        if by == "origin":
            assert not set(train[:, 0]) & set(test[:, 0])


def test_folds_of_pairs_partition_the_pairs_with_equal_shares_of_links():
    folds = list(method.split_pairs(PAIRS, LINKED, by="pairs", folds=5, rng=rng()))
    assert np.array_equal(np.sum([fold.test for fold in folds], axis=0), np.ones(len(PAIRS)))
    some = [len(np.unique(unordered(PAIRS[fold.test & LINKED]))) for fold in folds]
    assert max(some) - min(some) <= 1


def test_a_region_is_held_out_whole():
    regions = np.arange(30) // 10
    for fold in method.split_pairs(PAIRS, LINKED, by="region", folds=3, rng=rng(), regions=regions):
        touched = set(regions[np.unique(PAIRS)]) - set(regions[np.unique(PAIRS[fold.train])])
        assert len(touched) == 1


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=12))
def test_the_best_threshold_is_the_most_accurate_of_all(items):
    scores, truth = np.array([float(s) for s, _ in items]), np.array([t for _, t in items])
    found = float(((scores >= method.best_threshold(scores, truth)) == truth).mean())
    every = [float(((scores >= cut) == truth).mean()) for cut in (*np.unique(scores), np.inf)]
    assert found == pytest.approx(max(every))


def test_a_random_order_is_no_better_than_chance_and_a_perfect_one_is_perfect():
    found = method.judge_links(rng().random(len(LINKED)), LINKED, threshold=0.5, rng=rng("b"))
    assert found["auc"] == pytest.approx(0.5, abs=0.06)
    assert found["auc_pr"] == pytest.approx(LINKED.mean(), abs=0.06)
    perfect = method.judge_links(LINKED.astype(float), LINKED, threshold=0.5, rng=rng("b"))
    assert {perfect[name] for name in ("accuracy", "precision", "recall", "f1", "auc", "auc_pr")} == {1.0}


def test_flows_are_judged_on_both_scales():
    flows = np.array([1.0, 10.0, 100.0])
    found = method.judge_flows(flows, flows, log_predicted=np.log(flows))
    assert found == pytest.approx({"r2": 1, "mae": 0, "r2_raw": 1, "cpc": 1, "rank": 1})
    mean = method.judge_flows(flows, np.full(3, 37.0), log_predicted=np.full(3, np.log(flows).mean()))
    assert mean["r2"] == pytest.approx(0)
    assert mean["rank"] == 0


def test_a_formulas_level_and_slope_are_fitted_to_the_training_links():
    fold = next(method.split_pairs(PAIRS, LINKED, by="pairs", folds=2, rng=rng()))
    twisted = 7 * np.maximum(FLOWS, 0.1) ** 3
    assert method.rival_flows(twisted, FLOWS, fold=fold)["r2"] == pytest.approx(1)


def test_importance_finds_what_drives_and_nothing_in_rain(links, sizes):
    found = method.indicator_importance(links, PAIRS, FLOWS, rng=rng(), repeats=2)
    assert set(found) == {*PLACES.indicator_names, "distance"}
    assert found["wage"] > found["unemployment"] > found["rainfall"]
    assert abs(found["rainfall"]) < 0.02
    impurity = method.impurity_importance(sizes.model_.feature_importances_, sizes.features_.columns)
    assert sum(impurity.values()) == pytest.approx(1)
    assert max(impurity, key=lambda name: impurity[name]) == "wage"


def test_shuffling_one_end_alone_hides_most_of_an_indicator():
    rows = rng().normal(size=(400, 3))
    rows[:, 1] = rows[:, 0]

    def score(x):
        return float(np.corrcoef(x[:, 0] + x[:, 1], rows[:, 0])[0, 1])

    both = method.grouped_importance(score, rows, groups={"a": [0, 1], "b": [2]}, rng=rng())
    alone = method.grouped_importance(score, rows, groups={"a": [0]}, rng=rng())
    assert both["a"] > 2 * alone["a"]
    assert both["b"] == 0


def test_elimination_keeps_the_most_important():
    seen = []

    def measure(names):
        seen.append(names)
        return {name: -ord(name) for name in names}

    steps = method.elimination_order(measure, "dacb", keep=(4, 2, 1))
    assert [set(step) for step in steps] == [set("abcd"), set("ab"), {"a"}]
    assert [len(names) for names in seen] == [4, 2]


def test_equal_networks_are_equal_and_empty_ones_do_not_break():
    matrix = COUNTRY.flows.matrix
    found = method.compare_networks(matrix, matrix)
    assert [found[name] for name in ("jaccard", "in_degree", "out_strength", "cpc", "communities")] == pytest.approx(
        [1] * 5
    )
    assert [found[name] for name in ("weights", "assortativity", "clustering")] == [0, 0, 0]
    empty = method.compare_networks(matrix, np.zeros_like(matrix))
    assert empty["jaccard"] == empty["cpc"] == 0
    assert method.compare_networks(np.zeros((3, 3)), np.zeros((3, 3)))["jaccard"] == 1


@pytest.mark.parametrize(
    ("pairs", "flows", "said"),
    [
        (np.array([[0, 0]]), [1.0], "two different places"),
        (np.array([[0, 99]]), [1.0], "places 0 to 29"),
        (np.array([[-1, 2]]), [1.0], "places 0 to 29"),
        (np.array([[0.5, 1.0]]), [1.0], "whole numbers"),
        (np.array([0, 1]), [1.0], "whole numbers"),
        (PAIRS[:2], [1.0], "one for each of 2 pairs"),
        (PAIRS[:2], [1.0, np.nan], "finite numbers"),
        (PAIRS[:2], [1.0, -2.0], "finite numbers"),
    ],
)
def test_what_is_no_pair_or_no_flow_is_refused(pairs, flows, said):
    with pytest.raises(InputError, match=said):
        check_flows(pairs, flows, places=30)


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(InputError, match="no link"):
        method.LinkClassifier(PLACES).fit(PAIRS, np.zeros(len(PAIRS)))
    with pytest.raises(InputError, match="links only"):
        method.LinkClassifier(PLACES).fit(PAIRS, np.ones(len(PAIRS)))
    with pytest.raises(InputError, match="no link"):
        method.FlowRegressor(PLACES).fit(PAIRS, np.zeros(len(PAIRS)))
    with pytest.raises(InputError, match="model"):
        method.LinkClassifier(PLACES, model="svm").fit(PAIRS, FLOWS)
    with pytest.raises(InputError, match="at most"):
        next(method.split_pairs(PAIRS, LINKED, by="origin", folds=31, rng=rng()))
