"""Formulas of flows between places: gravity and radiation (commuters' rivals), which know masses and distances only.

Gravity     T_ij = c m_i^a m_j^b f(d_ij), f(d) = d^-g or exp(-g d)
            fit by least squares on ln T of the pairs that have a flow, or as Poisson regression on all pairs
            told origins' totals: T_ij = O_i m_j^b f(d_ij) / sum_k m_k^b f(d_ik)
            told all totals: T_ij = A_i O_i B_j D_j f(d_ij), A and B by iterative balancing
Radiation   T_ij = O_i m_i m_j / ((m_i + s_ij)(m_i + m_j + s_ij)) / (1 - m_i / M), s_ij the mass within d_ij of i, both
            ends left out (Simini et al. 2012; the last factor is for finite systems)

All are scikit-learn regressors whose rows are pairs `[pairs, 2]` of place numbers, like the method's own estimators.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.utils.validation import check_is_fitted

from livepapers.core.errors import InputError
from livepapers.tasks.places import Places

NEAREST = 1.0  # km; nearer places count as this far: their logarithms stay finite
BALANCED = 1e-9  # relative change of the balancing factors at which balancing ends
MOST_ROUNDS = 1000
STEEPEST = 20.0  # the exponents of distance that are searched: -20 to 20 (over the mean distance, for f = exp)


def intervening(mass: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radiation's s_ij: the mass within d_ij of each origin, both ends left out, ties counted as within.

    Args:
        mass: `[places]`.
        distances: `[places, places]` km, by origin; the diagonal is 0.

    Returns:
        `[places, places]`, 0 on the diagonal. O(n^2 log n) by sorting each origin's distances.
    """
    order = np.argsort(distances, axis=1, kind="stable")
    ranked = np.take_along_axis(distances, order, axis=1)
    within = np.cumsum(mass[order], axis=1)
    places = len(mass)
    last = np.where(np.diff(ranked, axis=1, append=np.inf) > 0, np.arange(places), places)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]  # where each group of equal distances ends
    reached = np.empty_like(within)
    np.put_along_axis(reached, order, np.take_along_axis(within, last, axis=1), axis=1)
    found = reached - mass[:, None] - mass[None, :]
    np.fill_diagonal(found, 0.0)
    return np.maximum(found, 0.0)  # rounding may leave a tiny negative sum


def totals(pairs: NDArray[np.int64], flows: NDArray[np.float64], *, places: int) -> tuple[NDArray, NDArray]:
    """What leaves and what enters each place over these pairs, `[places]` each."""
    return (
        np.bincount(pairs[:, 0], weights=flows, minlength=places),
        np.bincount(pairs[:, 1], weights=flows, minlength=places),
    )


def pair_distances(places: Places, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Distances in km, at least `NEAREST`, `[pairs]`."""
    return np.maximum(places.distances(pairs[:, 0], pairs[:, 1]), NEAREST)


class Gravity(RegressorMixin, BaseEstimator):
    """The gravity law, free or told the totals of the places.

    Args:
        places: Who and where.
        mass: The indicator that is the mass.
        form: The deterrence: a power of distance or an exponential.
        constrained: None; "production" is told what leaves each origin; "double" also what enters each destination.
            Totals are those of the fitted pairs unless `outflow` and `inflow` are given.
        fit_by: "ols" (ln T on pairs with a flow) or "ppml" (Poisson on all pairs); constrained laws are always Poisson.
        outflow: `[places]` known totals, for constrained laws.
        inflow: `[places]` known totals, for the doubly constrained law.

    Attributes:
        exponents_: (origin's mass, destination's mass, distance); those that a law does not have are NaN.
    """

    def __init__(
        self,
        places: Places,
        mass: str,
        *,
        form: Literal["power", "exp"] = "power",
        constrained: Literal["production", "double"] | None = None,
        fit_by: Literal["ols", "ppml"] = "ols",
        outflow: NDArray[np.float64] | None = None,
        inflow: NDArray[np.float64] | None = None,
    ) -> None:
        self.places = places
        self.mass = mass
        self.form = form
        self.constrained = constrained
        self.fit_by = fit_by
        self.outflow = outflow
        self.inflow = inflow

    def fit(self, X: ArrayLike, y: ArrayLike) -> "Gravity":
        """Fit to pairs `[pairs, 2]` and their flows `[pairs]`.

        Raises:
            InputError: For masses without a logarithm, or when no pair has a flow.
        """
        pairs, flows = np.asarray(X), np.asarray(y, dtype=float)
        if not (flows > 0).any():
            raise InputError.of("flows", "none above zero", expected="at least one pair with a flow")
        self._log_mass = np.log(self.places.mass(self.mass))
        scale = float(pair_distances(self.places, pairs).mean()) if self.form == "exp" else 1.0
        self._distance_scale = scale  # the regressions see numbers of order one
        if self.constrained is None:
            self._fit_free(pairs, flows)
            return self
        leaving, entering = totals(pairs, flows, places=len(self.places))
        self.outflow_ = leaving if self.outflow is None else self.outflow
        self.inflow_ = entering if self.inflow is None else self.inflow
        if self.constrained == "production":
            self._fit_production(pairs, flows)
        else:
            self._fit_double(pairs, flows)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Expected flows on pairs, `[pairs]`."""
        check_is_fitted(self, "exponents_")
        pairs = np.asarray(X)
        if self.constrained is None:
            return np.exp(self._terms(pairs) @ self._slopes + self._intercept)
        number = len(self.places)
        every = np.column_stack([np.repeat(np.arange(number), number), np.tile(np.arange(number), number)])
        if self.constrained == "production":
            share = np.exp(self._terms(every)[:, 1:] @ self._slopes).reshape(number, number)
            np.fill_diagonal(share, 0.0)
            found = self.outflow_[:, None] * share / share.sum(axis=1, keepdims=True)
        else:
            deterrence = np.exp(self._terms(every)[:, 2] * self._slopes[0]).reshape(number, number)
            np.fill_diagonal(deterrence, 0.0)
            found = balance(deterrence, self.outflow_, inflow=self.inflow_)
        return found[pairs[:, 0], pairs[:, 1]]

    def _terms(self, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """`[pairs, 3]`: log masses of both ends, and log distance or scaled distance."""
        distance = pair_distances(self.places, pairs)
        last = np.log(distance) if self.form == "power" else distance / self._distance_scale
        return np.column_stack([self._log_mass[pairs[:, 0]], self._log_mass[pairs[:, 1]], last])

    def _fit_free(self, pairs: NDArray[np.int64], flows: NDArray[np.float64]) -> None:
        terms, some = self._terms(pairs), flows > 0
        if self.fit_by == "ols":
            model = LinearRegression().fit(terms[some], np.log(flows[some]))
            residuals = np.log(flows[some]) - model.predict(terms[some])
            smear = float(np.log(np.mean(np.exp(residuals))))  # from the median of a log law to its mean
        else:
            centre, spread = terms.mean(axis=0), np.maximum(terms.std(axis=0), 1e-12)
            model = PoissonRegressor(alpha=0, solver="newton-cholesky", max_iter=300, tol=1e-8)
            model.fit((terms - centre) / spread, flows)
            model.coef_ = model.coef_ / spread
            model.intercept_ = float(model.intercept_ - centre @ model.coef_)
            smear = 0.0
        self._slopes, self._intercept = np.asarray(model.coef_), float(model.intercept_) + smear
        self.exponents_ = (*self._slopes[:2].tolist(), float(self._slopes[2] / self._distance_scale))

    def _fit_production(self, pairs: NDArray[np.int64], flows: NDArray[np.float64]) -> None:
        """Poisson likelihood with an effect of each origin, profiled out: a multinomial choice of destinations."""
        terms, origin, number = self._terms(pairs)[:, 1:], pairs[:, 0], len(self.places)
        member = sparse.csr_array((np.ones(len(origin)), (origin, np.arange(len(origin)))), shape=(number, len(origin)))
        leaving = member @ flows

        def loss(slopes: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value = terms @ slopes
            highest = np.full(number, -np.inf)
            np.maximum.at(highest, origin, value)
            weight = np.exp(value - highest[origin])
            norm = np.maximum(member @ weight, np.finfo(float).tiny)
            expected = leaving[origin] * weight / norm[origin]
            finite = leaving > 0
            fitted = flows @ value - leaving[finite] @ (highest[finite] + np.log(norm[finite]))
            return -fitted / flows.sum(), terms.T @ (expected - flows) / flows.sum()

        self._slopes = optimize.minimize(loss, np.array([1.0, -1.0]), jac=True, method="BFGS").x
        self.exponents_ = (np.nan, float(self._slopes[0]), float(self._slopes[1] / self._distance_scale))

    def _fit_double(self, pairs: NDArray[np.int64], flows: NDArray[np.float64]) -> None:
        """The exponent at which the balanced flows have the observed mean of ln d (or d): Poisson's own condition."""
        number, term = len(self.places), self._terms(pairs)[:, 2]
        leaving, entering = totals(pairs, flows, places=number)
        observed = flows @ term
        deterrence = np.zeros((number, number))

        def surplus(slope: float) -> float:
            deterrence[pairs[:, 0], pairs[:, 1]] = np.exp(slope * (term - term.mean()))
            fitted = balance(deterrence, leaving, inflow=entering)[pairs[:, 0], pairs[:, 1]]
            return float(fitted @ term - observed)

        slope = float(optimize.brentq(surplus, -STEEPEST, STEEPEST, xtol=1e-8))  # type: ignore[arg-type]
        self._slopes = np.array([slope])
        self.exponents_ = (np.nan, np.nan, slope / self._distance_scale)


def balance(
    deterrence: NDArray[np.float64], outflow: NDArray[np.float64], *, inflow: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Flows A_i O_i B_j D_j f_ij whose rows sum to `outflow` and whose columns sum to `inflow`, `[places, places]`.

    Iterative proportional fitting; where the two totals differ (known only roughly, or structural zeros), the rows of
    the last round are exact. Places without a partner keep nothing.
    """
    columns = np.ones(len(inflow))
    rows = np.ones(len(outflow))
    for _ in range(MOST_ROUNDS):
        before = rows
        spread = deterrence.T @ rows
        columns = np.divide(inflow, spread, out=np.zeros_like(spread), where=spread > 0)
        drawn = deterrence @ columns
        rows = np.divide(outflow, drawn, out=np.zeros_like(drawn), where=drawn > 0)
        if np.abs(rows - before).max() <= BALANCED * np.abs(rows).max():
            break
    return rows[:, None] * deterrence * columns[None, :]


class Radiation(RegressorMixin, BaseEstimator):
    """The radiation law: no parameter; an origin's total is known or taken in proportion to its mass.

    Args:
        places: Who and where.
        mass: The indicator that is the mass.
        outflow: `[places]` known totals; None: a constant share of the mass leaves, fitted to the training flows.
    """

    def __init__(self, places: Places, mass: str, *, outflow: NDArray[np.float64] | None = None) -> None:
        self.places = places
        self.mass = mass
        self.outflow = outflow

    def fit(self, X: ArrayLike, y: ArrayLike) -> "Radiation":
        """Find s_ij of all pairs, and the share that leaves, from pairs `[pairs, 2]` and flows `[pairs]`."""
        pairs, flows = np.asarray(X), np.asarray(y, dtype=float)
        number, mass = len(self.places), self.places.mass(self.mass)
        numbers = np.arange(number)
        self.chance_ = radiation_probability(mass, self.places.distances(numbers[:, None], numbers[None, :]))
        unit = mass[:, None] * self.chance_
        share = flows.sum() / unit[pairs[:, 0], pairs[:, 1]].sum()
        self.outflow_ = mass * share if self.outflow is None else self.outflow
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Expected flows on pairs, `[pairs]`."""
        check_is_fitted(self, "chance_")
        pairs = np.asarray(X)
        return self.outflow_[pairs[:, 0]] * self.chance_[pairs[:, 0], pairs[:, 1]]


def radiation_probability(mass: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The chance that who leaves i goes to j, `[places, places]`; without ties each row sums to 1 (finite systems)."""
    s = intervening(mass, distances)
    own, other = mass[:, None], mass[None, :]
    chance = own * other / ((own + s) * (own + other + s)) / (1 - own / mass.sum())
    np.fill_diagonal(chance, 0.0)
    return chance
