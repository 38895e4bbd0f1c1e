"""The statistics meet closed forms, SciPy, brute force, and their own promises by simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from livepapers.lab import statistics as ls

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
effects = arrays(np.float64, st.integers(1, 12), elements=finite)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(max_examples=500, deadline=None)
@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=finite))
def test_iqm_is_the_quarter_trimmed_mean(matrix):
    tolerance = 1e-12 * (1 + np.abs(matrix).max())
    for axis in (0, 1):
        expected = stats.trim_mean(matrix, 0.25, axis=axis)
        np.testing.assert_allclose(ls.iqm(matrix, axis), expected, rtol=1e-12, atol=tolerance)
    assert ls.iqm(matrix) == pytest.approx(stats.trim_mean(matrix.ravel(), 0.25), rel=1e-12, abs=tolerance)


@settings(deadline=None)
@given(arrays(np.float64, st.integers(1, 8), elements=st.integers(-3, 3).map(float)))
def test_sign_flip_p_equals_brute_force_even_with_ties(values):
    sums = [abs(np.dot(signs, values)) for signs in itertools.product((1, -1), repeat=len(values))]
    assert ls.sign_flip_test(values, rng()) == np.mean([s >= abs(values.sum()) - 1e-9 for s in sums])


def test_six_pairs_can_decide_and_five_never_can():
    assert ls.sign_flip_test(np.ones(6), rng()) == 2 / 64 == ls.smallest_p(6)
    assert ls.sign_flip_test(np.ones(5), rng()) == 2 / 32 == ls.smallest_p(5)
    assert ls.smallest_p(ls.FEWEST_PAIRS) <= 0.05 < ls.smallest_p(ls.FEWEST_PAIRS - 1)


def test_one_sided_tests_look_at_their_side():
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert ls.sign_flip_test(values, rng(), alternative="greater") == 1 / 16
    assert ls.sign_flip_test(values, rng(), alternative="less") == 1.0
    assert ls.sign_flip_test(-values, rng(), alternative="less") == 1 / 16


def test_no_effect_at_all_gives_p_of_one():
    assert ls.sign_flip_test(np.zeros(8), rng()) == 1.0
    assert ls.sign_flip_test(np.array([0.3]), rng()) == 1.0


def test_random_flips_agree_with_the_normal_approximation_and_with_enumeration():
    values = rng(3).normal(0.25, 1.0, 400)
    z = values.sum() / np.sqrt((values**2).sum())
    assert ls.sign_flip_test(values, rng(1)) == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.003)
    few = rng(4).normal(0.5, 1.0, 16)
    with_padding = np.concatenate([few, np.zeros(4)])  # zeros change no sum, but force the random path
    assert ls.sign_flip_test(with_padding, rng(2)) == pytest.approx(ls.sign_flip_test(few, rng()), abs=0.01)


def test_random_flips_never_give_p_of_zero():
    assert ls.sign_flip_test(np.ones(100), rng(), flips=999) == 1 / 1000


@settings(deadline=None)
@given(effects, st.randoms(use_true_random=False))
def test_nothing_depends_on_the_order_of_the_seeds(values, random):
    order = list(range(values.size))
    random.shuffle(order)
    shuffled = values[order]
    assert ls.sign_flip_test(values, rng()) == ls.sign_flip_test(shuffled, rng())
    assert ls.bootstrap_interval(values, rng(), resamples=50) == ls.bootstrap_interval(shuffled, rng(), resamples=50)
    assert ls.units_to_decide(values) == ls.units_to_decide(shuffled)
    assert ls.iqm(values) == ls.iqm(shuffled)


def test_holm_meets_a_worked_example():
    np.testing.assert_allclose(ls.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert ls.holm([]) == []
    assert ls.holm([0.6, 0.7]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p):
    adjusted = np.array(ls.holm(p))
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


# Coverage in % of the 95 % percentile interval at 5, 10 and 20 seeds, from 15,000 simulations. The distributions:
# normal, log-normal with sigma 1, and runs that break with probability 0.3 (0 instead of 1, standard deviation 0.1).
COVERAGE = {
    ("mean", "normal"): (83.4, 90.2, 92.7),
    ("mean", "log-normal"): (72.0, 80.6, 85.3),
    ("mean", "broken"): (80.2, 91.1, 93.1),
    ("iqm", "normal"): (90.2, 93.7, 93.9),
    ("iqm", "log-normal"): (89.6, 93.1, 94.1),
    ("iqm", "broken"): (84.0, 92.9, 93.6),
}


AVERAGES = {"mean": lambda values, axis: values.mean(axis=axis), "iqm": ls.iqm}


def interval_of(values, *, strata=None, stream=None, resamples: int = ls.RESAMPLES) -> tuple[float, float]:
    interval = ls.bootstrap_interval(values, stream or rng(), strata=strata, resamples=resamples)
    assert interval is not None
    return interval


def percentile_interval(values, stream, *, resamples: int = ls.RESAMPLES, level: float = 0.95) -> tuple[float, float]:
    return ls._quantiles(ls._resampled([np.sort(np.asarray(values))], stream, resamples)[0], level)


def standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std(ddof=1)


def draw(name: str, shape: tuple[int, ...], stream: np.random.Generator) -> np.ndarray:
    normal = stream.standard_normal(shape)
    if name == "broken":
        return np.where(stream.random(shape) < 0.3, 0.0, 1.0) + 0.1 * normal
    return np.exp(normal) if name == "log-normal" else normal


@pytest.mark.parametrize(("statistic", "name"), list(COVERAGE))
def test_percentile_intervals_cover_as_little_as_we_say(statistic, name):
    stream = rng(11)
    truth = AVERAGES[statistic](draw(name, (1_000_000,), stream), 0)
    for count, expected in zip((5, 10, 20), COVERAGE[statistic, name], strict=True):
        covered = []
        for _ in range(10):  # 3,000 simulations; those of a batch share their resamples, which one gather then takes
            values = draw(name, (300, count), stream)
            picks = stream.integers(0, count, (5000 // count, count))
            low, high = np.quantile(AVERAGES[statistic](values[:, picks], -1), [0.025, 0.975], axis=1)
            covered.append((low <= truth) & (truth <= high))
        assert 100 * np.mean(covered) == pytest.approx(expected, abs=2.0)


def test_three_seeds_cover_three_quarters_at_most():
    values = [0.3, -1.0, 2.0]  # 1/27 of the resamples repeat the largest value three times, more than 2.5 %
    assert percentile_interval(values, rng()) == (-1.0, 2.0)  # so it covers with 1 - q^3 - (1 - q)^3 <= 3/4


def test_the_displayed_interval_covers_better_than_the_percentile_one_at_five_seeds():
    stream, hits, plain = rng(5), 0, 0
    for _ in range(300):
        values = stream.standard_normal(5)
        shown = interval_of(values, stream=stream, resamples=400)
        percentile = percentile_interval(values, stream, resamples=400)
        hits += shown[0] <= 0 <= shown[1]
        plain += percentile[0] <= 0 <= percentile[1]
    assert hits >= 0.92 * 300 > 0.88 * 300 > plain


def test_percentile_interval_is_the_quantile_of_all_resamples_of_three_values():
    values = np.array([1.0, 2.0, 6.0])
    means = [np.mean(pick) for pick in itertools.product(values, repeat=3)]
    interval = percentile_interval(values, rng(), resamples=200_000, level=0.8)
    assert interval == pytest.approx(tuple(np.quantile(means, [0.1, 0.9])))


def test_strata_take_the_difference_between_settings_out_of_the_interval():
    values = np.concatenate([rng(1).normal(0, 1, 12), rng(2).normal(100, 1, 12)])
    labels = ["easy"] * 12 + ["hard"] * 12
    inside = interval_of(values, strata=labels)
    pooled = interval_of(values)
    assert inside[1] - inside[0] < 2 < 20 < pooled[1] - pooled[0]
    shuffled = rng(3).permutation(24)
    assert ls.bootstrap_interval(values[shuffled], rng(), strata=[labels[i] for i in shuffled]) == inside


def test_thin_strata_are_ignored_because_nothing_could_vary_inside_them():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert interval_of(values, strata=["a", "a", "b", "b", "c", "c"]) == interval_of(values)


# What a run has shown: units that count their whole budget are equal to each other, and one stands apart.
NEARLY_EQUAL = {
    "small": [1.415, 1.369, 1.469, -0.848, 1.415, 0.943],
    "medium": [1.322, 1.322, 1.322, 1.322],
    "large": [0.252, 0.0, 0.184, 0.120],
}


def test_strata_of_few_nearly_equal_units_keep_the_interval_around_the_mean():
    labels = [name for name, values in NEARLY_EQUAL.items() for _ in values]
    values = np.array([value for values in NEARLY_EQUAL.values() for value in values])
    low, high = interval_of(values, strata=labels)
    assert 0 < low < values.mean() < high < 1.1


@given(st.lists(st.lists(finite, min_size=3, max_size=5), min_size=1, max_size=3))
def test_intervals_of_few_units_lie_about_the_mean_and_within_the_units_spread(groups):
    labels = [str(index) for index, group in enumerate(groups) for _ in group]
    values = np.concatenate(groups)
    low, high = interval_of(values, strata=labels, resamples=400)
    slack = 1e-9 * (1 + np.abs(values).max())
    assert low - slack <= values.mean() <= high + slack
    farthest = max(np.ptp(group) for group in groups) / ls.LEAST_ERROR
    assert values.mean() - farthest - slack <= low
    assert high <= values.mean() + farthest + slack


def unbounded_bootstrap_t(groups, means, errors) -> tuple[float, float]:
    """As textbooks have it: resamples without spread are left out, all others count as they are."""
    centre, error, some = np.concatenate(groups).mean(), ls._standard_error(groups), errors > 0
    low, high = ls._quantiles((means[some] - centre) / errors[some], 0.95)
    return centre - high * error, centre - low * error


@pytest.mark.parametrize("sizes", [(6,), (6, 4, 4), (10, 4)])
@pytest.mark.parametrize(("name", "least"), [("normal", 94.0), ("log-normal", 87.0)])
def test_bounding_the_resamples_errors_costs_no_coverage_to_speak_of(sizes, name, least):
    stream, shown, unbounded = rng(17), 0, 0
    truth = np.exp(0.5) if name == "log-normal" else 0.0
    labels = [str(index) for index, size in enumerate(sizes) for _ in range(size)]
    for _ in range(400):
        groups = [np.sort(draw(name, (size,), stream)) for size in sizes]
        low, high = interval_of(np.concatenate(groups), strata=labels, stream=stream, resamples=400)
        shown += low <= truth <= high
        low, high = unbounded_bootstrap_t(groups, *ls._resampled(groups, stream, 400))
        unbounded += low <= truth <= high
    assert shown / 4 >= least
    assert shown / 4 >= unbounded / 4 - 2.0


def test_many_units_take_the_normal_interval():
    values = rng(1).exponential(1.0, ls.LARGE + 1)
    interval = ls.bootstrap_interval(values, rng())
    half = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
    assert interval == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-4)


def test_degenerate_inputs_degrade_as_documented():
    assert ls.bootstrap_interval([3.0], rng()) is None
    assert ls.bootstrap_interval([2.0, 2.0, 2.0], rng()) == (2.0, 2.0)
    assert ls.bootstrap_interval([1.0, 2.0], rng()) == (-0.5, 3.5)  # a resample of equal units counts a quarter
    assert ls.units_to_decide([1.0]) is None
    assert ls.units_to_decide(np.zeros(6)) is None
    assert ls.equivalence_test([0.0], rng(), margin=1.0).interval is None


def test_what_describes_an_arm_stays_inside_its_units_and_needs_six_of_them():
    six = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert ls.interval_inside(six, (-1.0, 4.5)) == (0.0, 4.5)
    assert ls.interval_inside(six, (0.5, 9.0)) == (0.5, 5.0)
    assert ls.interval_inside(six, None) is None
    assert ls.interval_inside(six[:5], (1.0, 2.0)) is None


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [np.inf], [[1.0, 2.0]]])
def test_unusable_values_raise(bad):
    for call in (
        lambda: ls.sign_flip_test(bad, rng()),
        lambda: ls.bootstrap_interval(bad, rng()),
        lambda: ls.units_to_decide(bad),
        lambda: ls.equivalence_test(bad, rng(), margin=1.0),
    ):
        with pytest.raises(ValueError, match=r"effects|values"):
            call()


def test_other_unusable_arguments_raise():
    with pytest.raises(ValueError, match="p_values"):
        ls.holm([0.5, float("nan")])
    with pytest.raises(ValueError, match="p_values"):
        ls.holm([1.5])
    with pytest.raises(ValueError, match="NaN"):
        ls.iqm([1.0, float("nan")])
    with pytest.raises(ValueError, match="no values"):
        ls.iqm([])
    with pytest.raises(ValueError, match="strata"):
        ls.bootstrap_interval([1.0, 2.0], rng(), strata=["a"])


def test_equivalence_needs_interval_and_tests():
    near = rng(1).normal(0.0, 0.1, 10)
    assert ls.equivalence_test(near, rng(), margin=0.5).inside
    assert ls.equivalence_test(near, rng(), margin=0.5).p <= 0.01
    assert ls.equivalence_test(near + 3, rng(), reference=3.0, margin=0.5).inside
    assert not ls.equivalence_test(near, rng(), margin=0.0).inside
    wide = ls.equivalence_test(near * 50, rng(), margin=0.5)
    assert not wide.inside
    assert wide.p > 0.05


def test_equivalence_is_claimed_wrongly_at_most_one_time_in_twenty():
    stream, wrong = rng(9), 0
    for _ in range(600):
        result = ls.equivalence_test(stream.normal(1.0, 1.0, 10), stream, margin=1.0, resamples=200)
        wrong += result.inside and result.p <= 0.05
    assert wrong / 600 <= 0.05 + 0.01


def test_units_to_decide_is_what_simulation_finds():
    base = standard(rng(0).normal(size=12))
    for shift in (0.6, 1.0):
        needed = ls.units_to_decide(base + shift)
        assert needed is not None
        studies = (ls.sign_flip_test(rng(i).normal(shift, 1, needed), rng(i), flips=500) for i in range(400))
        power = np.mean([p <= 0.05 for p in studies])
        assert 0.72 <= power <= 0.9
    assert ls.units_to_decide(base * 0.01 + 5.0) == 6
    assert ls.units_to_decide(base * 0.01 + 5.0, level=0.05 / 10) == 9


def test_units_to_decide_an_equality_grow_towards_the_margin():
    base = standard(rng(0).normal(size=12))
    needed = [ls.units_to_decide(base + shift, margin=1.0) for shift in (0.0, 0.5, 0.8, 1.3, 3.0)]
    assert all(n is not None for n in needed)
    assert needed[0] < needed[1] < needed[2] > needed[3] > needed[4]  # type: ignore[operator]
    assert ls.units_to_decide(base + 1.0, margin=1.0) is None
    shown = [
        ls.equivalence_test(rng(i).normal(0.5, 1, needed[1] or 0), rng(i), margin=1.0, resamples=100)
        for i in range(200)
    ]
    assert np.mean([result.p <= 0.05 for result in shown]) >= 0.75
