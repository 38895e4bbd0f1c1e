"""From the returns of noisy episodes to certificates: one object answers for every budget."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from livepapers.core.errors import InputError
from livepapers.core.learner import JSON
from livepapers.methods.policy_smoothing.bounds import (
    band,
    largest_ratio,
    lower_confidence,
    mean_above,
    shift,
    upper_confidence,
)

Estimator: TypeAlias = Literal["auto", "levels", "band"]
MOST_LEVELS = 1000
"""Levels up to which the union bound over them is chosen; beyond, the band over all values at once is tighter."""
LARGEST = 1e12


@dataclass(frozen=True)
class Certificate:
    """What n clean noisy episodes say about every adversary with a total l2 budget; made by `from_returns`.

    Budgets are in the observation's units; where sigma has one value a feature they are in standard deviations: the
    root of the sum over steps and features of (change / sigma)^2. All statements hold with `confidence` each; those of
    one kind hold together for all budgets, and quantiles for all thresholds too.

    Attributes:
        returns: `[n]` float64, ascending.
        sigma: Standard deviation of the noise, or one a feature.
        confidence: 1 - alpha.
        estimator: "levels" (Clopper-Pearson at each level, alpha shared among them) or "band" (DKW).
        lowest: No return is below it; None where it is not known, and then there is no bound of the mean.
        highest: No return is above it, where that is known.
        levels: `[m + 1]` ascending with "levels"; the first is `lowest`.
    """

    returns: np.ndarray
    sigma: float | tuple[float, ...]
    confidence: float
    estimator: Literal["levels", "band"]
    lowest: float | None = None
    highest: float | None = None
    levels: np.ndarray | None = None

    @classmethod
    def from_returns(
        cls,
        returns: ArrayLike,
        sigma: float | Sequence[float],
        *,
        confidence: float = 0.95,
        estimator: Estimator = "auto",
        lowest: float | None = None,
        highest: float | None = None,
        levels: ArrayLike | None = None,
    ) -> "Certificate":
        """Check the returns and choose the estimator.

        Args:
            returns: `[n]`, one independent episode of the same policy each, noise of `sigma` on every observation.
            sigma: Standard deviation of that noise; one a feature, or one for all.
            confidence: How often each statement has to be right, at least 1/2.
            estimator: "auto" takes levels if there are at most 1,000: those given, or all whole numbers from `lowest`
                to `highest` if returns and bounds are whole. Levels are never read off the returns: a union bound does
                not cover levels that were chosen by what came out.
            lowest: A value that no return can be below.
            highest: A value that no return can be above.
            levels: The values that returns can have, `lowest` first.

        Raises:
            InputError: NaN, returns outside the bounds or between the levels, sigma <= 0, nothing to estimate from.
        """
        found = np.sort(np.atleast_1d(np.asarray(returns, dtype=np.float64)))
        _check_returns(found)
        if not 0.5 <= confidence < 1.0:
            cause = "0.95 is meant as 95 %" if confidence > 1.0 else "a band from one side needs at least 1/2"
            raise InputError.of("confidence", confidence, expected="a number from 0.5 to below 1", cause=cause)
        if estimator not in get_args(Estimator):
            raise InputError.of("estimator", estimator, expected=f"one of {', '.join(get_args(Estimator))}")
        scale = _sigma(sigma)
        steps = _levels(found, levels, lowest, highest)
        if steps is not None and levels is not None:
            lowest, highest = float(steps[0]), float(steps[-1])
        _check_bounds(found, lowest, highest)
        if estimator == "levels" and steps is None:
            cause = "or whole returns with whole lowest and highest, at most 1,000 apart"
            raise InputError.of("estimator", estimator, expected="levels to be given", cause=cause)
        chosen = "levels" if estimator != "band" and steps is not None else "band"
        if chosen == "levels" and steps is not None:
            return cls(found, scale, confidence, "levels", float(steps[0]), highest, steps)
        return cls(found, scale, confidence, "band", lowest, highest)

    @property
    def alpha(self) -> float:
        """How often a statement may be wrong."""
        return 1.0 - self.confidence

    @property
    def episodes(self) -> int:
        """N."""
        return len(self.returns)

    def ratio(self, budget: ArrayLike) -> np.ndarray:
        """Budgets in standard deviations of the noise; raises `InputError` for a negative one."""
        budgets = np.asarray(budget, dtype=np.float64)
        if not (budgets >= 0.0).all():
            raise InputError.of("budget", budget, expected="numbers >= 0", cause="an l2 norm is meant")
        return budgets / self.sigma if isinstance(self.sigma, float) else budgets

    def least(self, thresholds: ArrayLike) -> np.ndarray:
        """Lower bounds of P(R >= x) without adversary that hold for all thresholds x together, never rising in x."""
        x = np.asarray(thresholds, dtype=np.float64)
        if self.levels is None:
            reached = self._reached(x) / self.episodes
            found = np.maximum(reached - band(self.episodes, self.alpha), 0.0)
        else:
            place = np.searchsorted(self.levels, x, "left")  # R >= x means R >= the next level
            inside = np.minimum(place, len(self.levels) - 1)
            found = np.where(place < len(self.levels), self._at_levels()[inside], 0.0)
        return found if self.lowest is None else np.where(x <= self.lowest, 1.0, found)

    def mean(self, budget: ArrayLike) -> np.ndarray:
        """What the expected return cannot be pushed below, for each budget.

        Raises:
            InputError: `lowest` is not known: one episode in a million could have cost a billion.
        """
        ratio = self.ratio(budget)
        if self.levels is not None:
            return mean_above(self.levels, self._at_levels()[1:], ratio)
        values = np.concatenate([[self._known("lowest")], self.returns])
        above = (self.episodes - np.arange(self.episodes)) / self.episodes
        return mean_above(values, np.maximum(above - band(self.episodes, self.alpha), 0.0), ratio)

    def mean_upper(self, budget: ArrayLike) -> np.ndarray:
        """What the expected return cannot be pushed above: by a lucky disturbance, or a helper with that budget."""
        return -self._mirrored().mean(budget)

    def success(self, budget: ArrayLike, threshold: float) -> np.ndarray:
        """What P(R >= threshold) cannot be pushed below; the threshold must not be chosen by the returns."""
        return shift(self._pointwise(threshold), self.ratio(budget))

    def success_upper(self, budget: ArrayLike, threshold: float) -> np.ndarray:
        """What P(R >= threshold) cannot be pushed above."""
        most = upper_confidence(self._reached(np.asarray(threshold)), self.episodes, self.alpha)
        return shift(most, -self.ratio(budget))

    def quantile(self, budget: ArrayLike, share: float = 0.5) -> np.ndarray:
        """The largest x with P(R >= x) >= share under every adversary; 0.5 gives the certified median.

        NaN where not even the lowest value is certified because `lowest` is not known.
        """
        _check_share(share)
        candidates = np.unique(self.returns) if self.levels is None else self.levels
        enough = shift(self.least(candidates), self.ratio(budget)[..., None]) >= share
        floor = np.nan if self.lowest is None else self.lowest
        return np.where(enough.any(-1), candidates[_last(enough)], floor)

    def max_budget(self, threshold: float, share: float = 0.5, *, chosen: bool = False) -> float:
        """The largest budget for which P(R >= threshold) >= share stays certified; 0 if it is not without one.

        Infinite where no return can be below the threshold.

        Args:
            threshold: x.
            share: Of episodes, between 0 and 1.
            chosen: Whether the threshold was read off these returns: then the bound is `least`, for all thresholds at
                once.
        """
        _check_share(share)
        least = self.least(threshold) if chosen else self._pointwise(threshold)
        ratio = float(largest_ratio(least, share))
        return ratio * self.sigma if isinstance(self.sigma, float) else ratio

    def ceiling(self, budget: ArrayLike) -> np.ndarray:
        """The mean certificate of an agent all of whose n episodes had the highest return: no agent can get more."""
        top = float(self.returns[-1]) if self.highest is None else self.highest
        perfect = self.perfect_probability()
        lowest = self._known("lowest")
        return lowest + (top - lowest) * shift(perfect, self.ratio(budget))

    def perfect_probability(self) -> float:
        """The lower bound that n successes in n episodes give: (alpha / m)^(1 / n), or 1 - the band's half-width."""
        if self.levels is None:
            return max(1.0 - band(self.episodes, self.alpha), 0.0)
        return float((self.alpha / (len(self.levels) - 1)) ** (1.0 / self.episodes))

    def curve(self, budgets: ArrayLike) -> list[dict[str, float]]:
        """One row a budget: mean from below and above, ceiling and median, as far as the known bounds allow."""
        points = np.atleast_1d(np.asarray(budgets, dtype=np.float64))
        columns = {"budget": points, "median": self.quantile(points)}
        if self.lowest is not None:
            columns |= {"mean": self.mean(points), "ceiling": self.ceiling(points)}
        if self.highest is not None:
            columns |= {"mean at most": self.mean_upper(points)}
        names = [name for name in ("budget", "mean", "ceiling", "mean at most", "median") if name in columns]
        return [{name: float(columns[name][row]) for name in names} for row in range(len(points))]

    def to_json(self) -> dict[str, JSON]:
        """JSON-ready values from which `from_json` makes the same certificate."""
        return {
            "returns": self.returns.tolist(),
            "sigma": list(self.sigma) if isinstance(self.sigma, tuple) else self.sigma,
            "confidence": self.confidence, "estimator": self.estimator, "lowest": self.lowest, "highest": self.highest,
            "levels": None if self.levels is None else self.levels.tolist(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Certificate":
        """The inverse of `to_json`; raises `InputError` for what it did not write."""
        try:
            given = dict(values)
            return cls.from_returns(given.pop("returns"), given.pop("sigma"), **given)
        except (KeyError, TypeError) as error:
            raise InputError.of(
                "certificate", sorted(values), expected="what to_json wrote", cause=str(error)
            ) from None

    def _reached(self, thresholds: np.ndarray) -> np.ndarray:
        """How many returns are at least x: whole counts, never shares times n."""
        return self.episodes - np.searchsorted(self.returns, thresholds, "left")

    def _pointwise(self, threshold: float) -> np.ndarray:
        if not np.isfinite(threshold):
            raise InputError.of("threshold", threshold, expected="a finite number")
        if self.lowest is not None and threshold <= self.lowest:
            return np.ones(())  # known, as in `least`: there is nothing to estimate
        return lower_confidence(self._reached(np.asarray(threshold)), self.episodes, self.alpha)

    def _at_levels(self) -> np.ndarray:
        """`[m + 1]`: 1 at the lowest level, then Clopper-Pearson with alpha / m each."""
        assert self.levels is not None
        above = self.levels[1:]
        bounds = lower_confidence(self._reached(above), self.episodes, self.alpha / len(above))
        return np.concatenate([[1.0], bounds])

    def _mirrored(self) -> "Certificate":
        """The certificate of the negative returns."""
        levels = None if self.levels is None else -self.levels[::-1]
        highest = None if self.lowest is None else -self.lowest
        lowest = -self._known("highest")
        return Certificate(-self.returns[::-1], self.sigma, self.confidence, self.estimator, lowest, highest, levels)

    def _known(self, name: Literal["lowest", "highest"]) -> float:
        value = self.lowest if name == "lowest" else self.highest
        if value is None:
            cause = "a mean can be bounded only where returns are; quantiles need no bound"
            raise InputError.of(name, "nothing", expected="a value that no return can pass", cause=cause)
        return value


@dataclass(frozen=True)
class Crossing:
    """Budgets between which one certificate is the higher one."""

    first: float
    last: float
    higher: Literal["first", "second", "equal"]


def compare(first: Certificate, second: Certificate, budgets: ArrayLike) -> list[Crossing]:
    """On which stretches of ascending budgets which of two mean certificates is higher; equal confidence asked for."""
    if first.confidence != second.confidence:
        shown = f"{first.confidence} and {second.confidence}"
        raise InputError.of("confidence", shown, expected="the same for both certificates")
    points = np.asarray(budgets, dtype=np.float64)
    side = np.sign(first.mean(points) - second.mean(points)).astype(int)
    starts = np.flatnonzero(np.diff(side, prepend=side[0] - 1))
    ends = np.append(starts[1:], len(points)) - 1
    words: dict[int, Literal["first", "second", "equal"]] = {1: "first", -1: "second", 0: "equal"}
    return [
        Crossing(float(points[a]), float(points[b]), words[int(side[a])]) for a, b in zip(starts, ends, strict=True)
    ]


def budget_from_per_step(
    size: float, steps: int, *, norm: Literal["l2", "linf"] = "l2", width: int | None = None
) -> float:
    """The total l2 budget of an adversary that may change every observation by `size`: size sqrt(T), or sqrt(T d).

    Args:
        size: Largest change of one observation in the norm, >= 0.
        steps: T, the longest episode.
        norm: "l2", or "linf", for which the numbers of an observation count.
        width: d, numbers in an observation; needed with "linf".
    """
    if not 0.0 <= size < float("inf") or steps < 1:
        raise InputError.of("size and steps", f"{size}, {steps}", expected="a number >= 0, and a whole number >= 1")
    if norm == "l2":
        return size * float(steps) ** 0.5
    if width is None or width < 1:
        raise InputError.of("width", width, expected="a whole number >= 1", cause="each number may change by that much")
    return size * float(steps * width) ** 0.5


def _check_returns(returns: np.ndarray) -> None:
    if returns.ndim != 1 or returns.size < 1:
        raise InputError.of("returns", f"an array of shape {returns.shape}", expected="a list of at least one number")
    if not np.isfinite(returns).all() or np.abs(returns).max() > LARGEST:
        bad = returns[~(np.abs(returns) <= LARGEST)][0]
        raise InputError.of(
            "returns", float(bad), expected=f"finite numbers up to {LARGEST:g}", cause="a failed episode?"
        )


def _sigma(sigma: float | Sequence[float]) -> float | tuple[float, ...]:
    text = isinstance(sigma, str)
    values = np.zeros(1) if text else np.atleast_1d(np.asarray(sigma, dtype=np.float64))
    if values.ndim != 1 or values.size < 1 or not ((values > 0.0) & np.isfinite(values)).all():
        cause = "this is text" if text else "without noise nothing is certified"
        raise InputError.of("sigma", sigma, expected="a finite number > 0, or one a feature", cause=cause)
    return float(values[0]) if values.size == 1 else tuple(values.tolist())


def _levels(
    returns: np.ndarray, levels: ArrayLike | None, lowest: float | None, highest: float | None
) -> np.ndarray | None:
    """The levels that were given, or the whole numbers between whole bounds."""
    if levels is None:
        if lowest is None or highest is None or not 1 <= highest - lowest <= MOST_LEVELS:
            return None
        whole = all(float(value).is_integer() for value in (lowest, highest))
        return np.arange(lowest, highest + 0.5) if whole and (returns == np.round(returns)).all() else None
    found = np.asarray(levels, dtype=np.float64)
    if found.ndim != 1 or found.size < 2 or not np.isfinite(found).all() or not (np.diff(found) > 0).all():
        raise InputError.of("levels", levels, expected="at least two finite numbers, ascending")
    for name, value, end in (("lowest", lowest, found[0]), ("highest", highest, found[-1])):
        if value is not None and value != end:
            raise InputError.of(name, value, expected=f"{end:g}, the {name} level", cause="levels were given too")
    strangers = returns[~np.isin(returns, found)]
    if strangers.size:
        raise InputError.of("returns", float(strangers[0]), expected="one of the levels", cause="are levels missing?")
    return found


def _check_bounds(returns: np.ndarray, lowest: float | None, highest: float | None) -> None:
    for name, bound in (("lowest", lowest), ("highest", highest)):
        if bound is not None and not math.isfinite(bound):
            raise InputError.of(name, bound, expected="a finite number, or nothing where there is no bound")
    if lowest is not None and highest is not None and not lowest < highest:
        raise InputError.of("lowest and highest", f"{lowest:g} and {highest:g}", expected="lowest below highest")
    if lowest is not None and not lowest <= returns[0]:
        cause = "a bound that a return breaks bounds nothing"
        raise InputError.of("returns", float(returns[0]), expected=f"none below lowest, {lowest:g}", cause=cause)
    if highest is not None and not highest >= returns[-1]:
        raise InputError.of("returns", float(returns[-1]), expected=f"none above highest, {highest:g}")


def _check_share(share: float) -> None:
    if not 0.0 < share < 1.0:
        raise InputError.of("share", share, expected="a number between 0 and 1", cause="a probability is asked for")


def _last(enough: np.ndarray) -> np.ndarray:
    """Where the last True of the last axis stands; 0 where there is none."""
    return np.where(enough.any(-1), enough.shape[-1] - 1 - np.argmax(enough[..., ::-1], -1), 0)
