"""The statistics behind every verdict: pure functions of arrays, randomness as an argument.

What decides is `sign_flip_test` (exact for up to 16 units) with `holm` over a paper's claims; `bootstrap_interval` is
for display. Every function sorts its input first, so a result does not depend on the order of the seeds.

Conventions: effects and values are one-dimensional and finite; anything else raises `ValueError`. One unit carries
no spread: tests then return 1 and intervals return None.

Sources  Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice" (IQM); Efron and Tibshirani 1993,
         ch. 12-13 (bootstrap-t, percentile); Holm 1979; Schuirmann 1987 (two one-sided tests).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

Values = npt.ArrayLike
Alternative = Literal["two-sided", "greater", "less"]

EXACT_UNITS = 16  # up to 2^16 sign patterns are enumerated
FEWEST_PAIRS = 6  # 2 / 2^6 = 0.031 is the first two-sided p below 0.05; 2 / 2^5 = 0.0625 never is
SMALL = 10  # below this many units percentile intervals are too short (coverage 73 % at 3, 83 % at 5, 89 % at 10)
LARGE = 10_000  # above this many units the bootstrap of a mean is the normal interval to three digits
LEAST_ERROR = 0.25  # of the sample's standard error, that a resample's counts as in bootstrap-t
RESAMPLES = 20_000
_CHUNK = 4_000_000  # array elements handled at once


def _units(values: Values, name: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name}: got shape {array.shape}, expected [unit] with at least one unit")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: {np.count_nonzero(~np.isfinite(array))} of {array.size} are not finite")
    return np.sort(array)


def iqm(values: Values, axis: int | None = None) -> np.ndarray:
    """Interquartile mean: the mean after cutting `int(n / 4)` values at each end.

    Equal to `scipy.stats.trim_mean(values, 0.25, axis)`: nothing is cut from fewer than four values.

    Args:
        values: Any shape; NaN raises `ValueError`.
        axis: Along which to average; None takes all values.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array.ravel() if axis is None else np.moveaxis(array, axis, -1)
    count = array.shape[-1]
    if not count:
        raise ValueError("iqm: got no values, expected at least one")
    if np.isnan(array).any():
        raise ValueError("iqm: got NaN, expected numbers")
    cut = count // 4
    return np.sort(array, axis=-1)[..., cut : count - cut].mean(axis=-1)


def sign_flip_test(
    effects: Values, rng: np.random.Generator, *, alternative: Alternative = "two-sided", flips: int = RESAMPLES
) -> float:
    """The p value of the paired sign-flip permutation test of "the effects are symmetric about zero".

    The test statistic is the sum of the effects. A pattern whose sum equals the observed one up to rounding counts as
    at least as extreme, so ties make p larger, never smaller. All 2^n patterns are enumerated for n <= 16; beyond
    that, `flips` random ones and the observed one are used, p = (1 + extreme) / (1 + flips).

    Args:
        effects: `[unit]` paired differences.
        rng: Used for more than 16 units only.
        alternative: "greater" tests for a positive effect, "less" for a negative one.
        flips: Random patterns for more than 16 units.

    Returns:
        p in (0, 1]. One unit gives at best 1 (two-sided) or 1/2 (one-sided); all zeros give 1.
    """
    values = _units(effects, "effects")
    if alternative == "less":
        values = np.sort(-values)
    observed = values.sum()
    target = abs(observed) if alternative == "two-sided" else observed
    threshold = target - 1e-10 * np.abs(values).sum()

    def extreme(sums: np.ndarray) -> int:
        return int(np.count_nonzero((np.abs(sums) if alternative == "two-sided" else sums) >= threshold))

    if values.size <= EXACT_UNITS:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return extreme(sums) / sums.size
    count, done = 0, 0
    while done < flips:
        size = min(flips - done, max(1, _CHUNK // values.size))
        drawn = rng.integers(0, 256, (size, -(-values.size // 8)), dtype=np.uint8)
        bits = np.unpackbits(drawn, axis=1, count=values.size)
        count += extreme(2.0 * (bits.astype(np.float64) @ values) - observed)
        done += size
    return (1 + count) / (1 + flips)


def smallest_p(units: int, *, alternative: Alternative = "two-sided") -> float:
    """The smallest p value the sign-flip test can give with this many units (0.031 at six, two-sided)."""
    return (2.0 if alternative == "two-sided" else 1.0) / 2.0 ** min(units, 60) if units > 1 else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given; rejecting those <= a keeps the family-wise error <= a.

    NaN or a value outside [0, 1] raises `ValueError`; no values give an empty list.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values: got {list(p_values)}, expected numbers in [0, 1]")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def bootstrap_interval(
    values: Values,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    strata: Sequence[str] | None = None,
) -> tuple[float, float] | None:
    """The interval of the mean that reports show: percentile bootstrap, made wider where that is known to be too short.

    With fewer than ten units (in the smallest stratum) it is the wider of the percentile and the bootstrap-t interval;
    the nominal level is not reached there all the same. Bootstrap-t divides by the spread inside a resample, which is
    next to nothing when a few nearly equal units are drawn again and again, and would then put a bound anywhere; so no
    resample's standard error counts as less than a quarter of the sample's. By simulation that costs at most two points
    of coverage where units are skewed, and none where they are normal. Above 10,000 units it is the normal interval.

    Args:
        values: `[unit]`.
        rng: Where the resamples come from.
        level: Nominal coverage.
        resamples: Bootstrap resamples.
        strata: A label a unit; resampling then stays inside each label (a setting), and the mean is over all units.
            Ignored if a label has fewer than three units, because nothing could vary inside it.

    Returns:
        (low, high), or None for a single unit.
    """
    groups = _groups(values, strata)
    count = sum(group.size for group in groups)
    if count < 2:
        return None
    if count > LARGE:
        half = float(special.ndtri(0.5 + level / 2)) * float(_standard_error(groups))
        centre = float(np.concatenate(groups).mean())
        return centre - half, centre + half
    means, errors = _resampled(groups, rng, resamples)
    percentile = _quantiles(means, level)
    if min(group.size for group in groups) >= SMALL:
        return percentile
    student = _bootstrap_t(groups, means, errors, level)
    return max((percentile, student), key=lambda interval: interval[1] - interval[0])


def interval_inside(values: Values, interval: tuple[float, float] | None) -> tuple[float, float] | None:
    """What reports show of an arm's interval: none of fewer than six units, and else no part beyond the units' range.

    In small samples the tails of bootstrap-t may lie where no unit can be (a return above the largest possible). That
    is an artefact where only an arm is described. The intervals of claims stay whole, because verdicts rest on them.
    """
    units = _units(values, "values")
    if interval is None or units.size < FEWEST_PAIRS:
        return None
    low, high = np.clip(interval, units[0], units[-1])
    return float(low), float(high)


def _groups(values: Values, strata: Sequence[str] | None) -> list[np.ndarray]:
    everything = _units(values, "values")
    if strata is None:
        return [everything]
    array, labels = np.asarray(values, dtype=np.float64), np.asarray(strata)
    if labels.shape != array.shape:
        raise ValueError(f"strata: got {labels.size} labels, expected one for each of {array.size} values")
    groups = [np.sort(array[labels == label]) for label in np.unique(labels)]
    return groups if min(group.size for group in groups) >= 3 else [everything]


def _resampled(groups: list[np.ndarray], rng: np.random.Generator, resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """(mean, standard error) of each resample, `[resample]` both."""
    count = sum(group.size for group in groups)
    means, errors, done = np.empty(resamples), np.empty(resamples), 0
    while done < resamples:
        size = min(resamples - done, max(1, _CHUNK // count))
        drawn = [group[rng.integers(0, group.size, (size, group.size))] for group in groups]
        means[done : done + size] = np.concatenate(drawn, axis=1).mean(axis=1)
        errors[done : done + size] = _standard_error(drawn)
        done += size
    return means, errors


def _standard_error(groups: Sequence[np.ndarray]) -> np.ndarray:
    """The standard error of the mean over all units, `[..., unit]` arrays in, one a stratum."""
    variances = [group.shape[-1] * group.var(axis=-1, ddof=1) for group in groups]
    return np.sqrt(np.sum(variances, axis=0)) / sum(group.shape[-1] for group in groups)


def _quantiles(estimates: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(estimates, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _bootstrap_t(
    groups: Sequence[np.ndarray], means: np.ndarray, errors: np.ndarray, level: float
) -> tuple[float, float]:
    """The mean minus t* quantiles times its error; see `bootstrap_interval` for the least error of a resample."""
    centre, error = float(np.concatenate(groups).mean()), float(_standard_error(groups))
    if error == 0:
        return centre, centre
    low, high = _quantiles((means - centre) / np.maximum(errors, LEAST_ERROR * error), level)
    return centre - high * error, centre - low * error


@dataclass(frozen=True)
class Equivalence:
    """The result of `equivalence_test`: `p` is the larger of the two one-sided ones, `interval` the 90 % interval."""

    p: float
    interval: tuple[float, float] | None
    inside: bool  # whether the interval lies inside the margin


def equivalence_test(
    effects: Values,
    rng: np.random.Generator,
    *,
    reference: float = 0.0,
    margin: float,
    strata: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> Equivalence:
    """Two one-sided sign-flip tests of "the effect lies within `margin` of `reference`", and a 90 % interval.

    Equivalence is shown when p <= 0.05 *and* the interval lies inside the margin. A margin of zero shows nothing.
    """
    values = _units(effects, "effects") - reference
    lower = sign_flip_test(values + margin, rng, alternative="greater")
    upper = sign_flip_test(values - margin, rng, alternative="less")
    interval = bootstrap_interval(effects, rng, level=0.90, strata=strata, resamples=resamples)
    inside = interval is not None and reference - margin < interval[0] and interval[1] < reference + margin
    return Equivalence(max(lower, upper), interval, inside)


def units_to_decide(
    effects: Values,
    *,
    reference: float = 0.0,
    margin: float | None = None,
    level: float = 0.05,
    power: float = 0.8,
    most: int = 10_000,
) -> int | None:
    """How many units would decide, if the observed mean and standard deviation were the true ones.

    Without `margin`: the sign-flip test of "the effect is `reference`" rejects, two-sided. With `margin`: the two
    one-sided tests show equivalence if the observed mean lies inside it, or the difference is shown if outside. Uses
    the normal approximation with Student quantiles (within a unit or two of simulation from n = 6), never less than
    what lets the test reach `level` at all.

    Returns:
        The number of units, or None if no number up to `most` would do (an effect of nothing, a mean on the margin)
        or if there are fewer than two units to estimate a spread from.
    """
    values = _units(effects, "effects")
    if values.size < 2:
        return None
    distance, spread = abs(float(values.mean()) - reference), float(values.std(ddof=1))
    sided: Alternative = "two-sided"
    if margin is not None:
        sided = "greater" if distance < margin else "two-sided"
        if sided == "greater":
            # Both one-sided tests have to reject; at the centre each may fail with half of 1 - power.
            power = power + (1 - power) / 2 * (1 - distance / margin)
        distance = abs(margin - distance)
    if distance <= 1e-12 * max(abs(reference), spread, np.finfo(np.float64).tiny):
        return None
    tail = level / 2 if sided == "two-sided" else level
    normal = float(special.ndtri(power))

    def enough(count: int) -> bool:
        if smallest_p(count, alternative=sided) > level:
            return False
        noncentral = distance * math.sqrt(count) / spread if spread > 0 else math.inf
        return noncentral >= special.stdtrit(count - 1, 1 - tail) + normal

    return _first(enough, 2, most)


def _first(enough: Callable[[int], bool], low: int, most: int) -> int | None:
    """The smallest number in [low, most] that is enough, by bisection; None if `most` is not."""
    if not enough(most):
        return None
    high = most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
