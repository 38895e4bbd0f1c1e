"""A fitted ensemble: the next state (or a reward) as a printed sum of terms, and how far its members disagree."""

from collections.abc import Sequence

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.methods.sindy_rl import equations
from livepapers.methods.sindy_rl.circles import Pairs, joined
from livepapers.methods.sindy_rl.library import Library
from livepapers.methods.sindy_rl.regression import SparseRegression, median


class SparseModel:
    """Targets as terms times the median coefficients of an ensemble.

    Args:
        library: The terms.
        ensemble: `[M, p, d]`; kept in single precision, which a surrogate computes in.
    """

    def __init__(self, library: Library, ensemble: Tensor) -> None:
        self.library, self.ensemble = library, ensemble.float()
        self.coefficients = median(ensemble).float()  # [p, d]
        self._covariance: Tensor | None = None

    def predict(self, state: Tensor, action: Tensor | None = None) -> Tensor:
        """`[B, n]` states and `[B, m]` inputs -> `[B, d]` targets."""
        return self.library(state, action) @ self.coefficients.to(state.dtype)

    def spread(self, state: Tensor, action: Tensor | None = None) -> Tensor:
        """Standard deviation of the members' predictions `[B, d]`, in closed form: sqrt(theta Cov(xi) theta')."""
        if self._covariance is None:
            self._covariance = coefficient_covariance(self.ensemble)
        theta = self.library(state, action).double()
        return torch.einsum("bp,dpq,bq->bd", theta, self._covariance, theta).clamp(min=0.0).sqrt().to(state.dtype)

    @property
    def terms(self) -> int:
        """How many median coefficients are not zero."""
        return equations.count(self.coefficients)

    def written(
        self, states: Sequence[str], inputs: Sequence[str], outputs: Sequence[str], *, circles: Pairs = ()
    ) -> list[str]:
        """The equations, one a line, as they are where pairs of states lie on their `circles`."""
        return equations.as_text(*self.shown(states, inputs, circles), outputs)

    def shown(self, states: Sequence[str], inputs: Sequence[str], circles: Pairs) -> tuple[Tensor, equations.Terms]:
        """Coefficients and terms for people: see `circles.joined`."""
        named = [(states[i], states[j]) for i, j in circles]
        return joined(self.coefficients, self.library.terms(states, inputs), named)


def coefficient_covariance(ensemble: Tensor) -> Tensor:
    """Covariance over models of each output's coefficients: `[M, p, d] -> [d, p, p]` float64, over M - 1."""
    centred = (ensemble.double() - ensemble.double().mean(0)).permute(2, 0, 1)  # [d, M, p]
    return centred.mT @ centred / max(len(ensemble) - 1, 1)


def fit_sparse(
    state: Tensor,
    action: Tensor | None,
    target: Tensor,
    *,
    library: Library,
    regression: SparseRegression,
    increments: bool = False,
    generator: torch.Generator,
) -> SparseModel:
    """Fit an ensemble.

    Args:
        state: `[rows, n]`.
        action: `[rows, m]`, or None without inputs.
        target: `[rows, d]`; next states for a model of dynamics.
        library: The terms.
        regression: How coefficients are found.
        increments: Fit target - state (d = n): thresholds then act on changes; the model still predicts `target`.
        generator: Of the bootstrap samples.
    """
    features = library.table(state.double(), None if action is None else action.double())
    if not increments:
        return SparseModel(library, regression.fit(features, target, generator=generator))
    if target.shape != state.shape or not library.degree:
        raise InputError.of("increments", True, expected="targets that are next states, and terms of degree 1")
    ensemble = regression.fit(features, target.double() - state.double(), generator=generator)
    first = int(library.constant)
    own = torch.arange(state.shape[1])
    ensemble[:, first + own, own] += 1.0
    return SparseModel(library, ensemble)
