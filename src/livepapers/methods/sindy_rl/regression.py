"""Sparse regression of many models and outputs at once: sequentially thresholded ridge on bootstrap samples.

All rounds of thresholding work on p x p normal equations, one for each model and output, in one batched solve. The
last least squares is refined once with the residuals of the rows, so that it is as accurate as one made from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from livepapers.core.errors import InputError

MOST_ROUNDS = 20
MANY = 6
"""Models from which it pays to make the products of pairs of terms once for all."""
PIECE, LONG_PIECE = 2048, 16384
"""Rows at once: with `MANY` models all products of pairs have to stay in a processor's cache, else only the terms."""
VECTOR = 8
"""Numbers that a processor multiplies at once; a matrix is cut in two at a multiple of it."""
GROUP = 4
"""Terms whose products with all others are made at once."""
RANK = 1e-12
"""Eigenvalue of the correlation matrix of the active terms below which a direction counts as undetermined (terms that
repeat each other up to 1e-6); the solution of least norm is taken there."""


@dataclass(frozen=True)
class SparseRegression:
    """How coefficients are found from rows of terms and targets.

    Args:
        ridge: alpha, added to the diagonal of the sums of products; not divided by the number of rows.
        threshold: lambda; coefficients below it are dropped in each round.
        models: M, bootstrap models; 1 fits all rows once.
        share: Rows of each bootstrap sample, as a share of all, drawn with replacement.
        drop: Terms that each model leaves out at random (a library ensemble).
        scaled: Whether threshold and ridge act on coefficients between terms and targets of unit spread.
        bias: Whether coefficients keep the ridge's shrinkage; otherwise the last fit is least squares.
    """

    ridge: float
    threshold: float
    models: int = 20
    share: float = 0.6
    drop: int = 0
    scaled: bool = False
    bias: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, good, expected in (
            ("ridge", self.ridge >= 0, "a number >= 0"), ("threshold", self.threshold >= 0, "a number >= 0"),
            ("models", self.models >= 1, "a whole number >= 1"), ("share", 0 < self.share <= 1, "a share in (0, 1]"),
            ("drop", self.drop >= 0, "a whole number >= 0"),
        ):  # fmt: skip
            if not good:
                raise InputError.of(name, getattr(self, name), expected=expected)

    def fit(self, features: Tensor, targets: Tensor, *, generator: torch.Generator) -> Tensor:
        """Coefficients of all models.

        Args:
            features: `[rows, p]`.
            targets: `[rows, d]`.
            generator: Of the bootstrap samples and the dropped terms.

        Returns:
            `[M, p, d]` float64; zero where a term was dropped.
        """
        check_rows(features, targets)
        counts, active = self.draw(len(features), features.shape[1], generator=generator)
        return self.fit_drawn(features, targets, counts=counts, active=active)

    def fit_drawn(self, features: Tensor, targets: Tensor, *, counts: Tensor, active: Tensor | None = None) -> Tensor:
        """As `fit`, each model seeing each row `counts` `[M, rows]` times and using its `active` `[M, p]` terms."""
        # term by term in memory, as all that follows wants them; a library's table is already
        features, targets = (part.detach().double().T.contiguous().T for part in (features, targets))
        width, height = features.new_ones(features.shape[1]), targets.new_ones(targets.shape[1])
        if self.scaled:
            width, height = spread(features), spread(targets)
            features, targets = features / width, targets / height
        gram, moments = normal_equations(features, targets, counts)
        found = thresholded(gram, moments, ridge=self.ridge, threshold=self.threshold, active=active)
        if not self.bias:
            found = refit(found, gram, moments, features, targets, counts=counts)
        return found * (height / width[:, None])

    def draw(self, rows: int, terms: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """How often each model sees each row `[M, rows]` float64, and which terms it may use `[M, p]` bool."""
        active = torch.ones(self.models, terms, dtype=torch.bool)
        if self.drop >= terms:
            raise InputError.of("drop", self.drop, expected=f"fewer than the {terms} terms")
        for model in range(self.models if self.drop else 0):
            active[model, torch.randperm(terms, generator=generator)[: self.drop]] = False
        if self.models == 1:
            return torch.ones(1, rows, dtype=torch.float64), active
        size = max(int(self.share * rows), 1)
        drawn = torch.randint(rows, (self.models, size), generator=generator)
        counts = torch.zeros(self.models, rows, dtype=torch.float64)
        return counts.scatter_add_(1, drawn, torch.ones(drawn.shape, dtype=torch.float64)), active


def normal_equations(features: Tensor, targets: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over rows of term x term and term x target, weighted by `counts` `[M, rows]`.

    Returns:
        `[M, p, p]` and `[M, p, d]`.
    """
    terms = features.shape[1]
    together = features.new_zeros(len(counts), terms, terms + targets.shape[1])
    add = _add_shared if len(counts) >= MANY else _add_each
    for term, target, count in _pieces(features, targets, counts):
        add(together, term, target, count)
    upper, moments = together[..., :terms].triu(), together[..., terms:]
    return upper + upper.triu(1).mT, moments


def _pieces(features: Tensor, targets: Tensor, counts: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Terms `[p, n]`, targets `[d, n]` and counts `[M, n]` of some rows at a time, the rows side by side in memory."""
    size = PIECE if len(counts) >= MANY else LONG_PIECE
    return zip(*(part.contiguous().split(size, 1) for part in (features.T, targets.T, counts)), strict=True)


def _add_each(sums: Tensor, terms: Tensor, targets: Tensor, counts: Tensor) -> None:
    """Add the products of some rows, matrix by matrix for each model.

    Below the diagonal the sums are incomplete: the second half of the terms is not multiplied by the first again.

    Args:
        sums: `[M, p, p + d]`.
        terms: `[p, n]`.
        targets: `[d, n]`.
        counts: `[M, n]`.
    """
    first = len(terms) // (2 * VECTOR) * VECTOR
    for total, times in zip(sums, counts, strict=True):
        weighted = terms if bool((times == 1).all()) else terms * times
        total[:first, : len(terms)].addmm_(weighted[:first], terms.T)
        total[first:, first : len(terms)].addmm_(weighted[first:], terms[first:].T)
        total[:, len(terms) :] += (targets @ weighted.T).T


def _add_shared(sums: Tensor, terms: Tensor, targets: Tensor, counts: Tensor) -> None:
    """As `_add_each`, but each pair of terms is multiplied once for all models, and only from the diagonal on."""
    both = torch.cat([terms, targets])
    for first in range(0, len(terms), GROUP):
        last = min(first + GROUP, len(terms))
        pairs = (both[first:last, None] * both[first:]).flatten(0, 1)
        sums[:, first:last, first:] += (counts @ pairs.T).view(len(counts), last - first, len(both) - first)


def thresholded(
    gram: Tensor, moments: Tensor, *, ridge: float, threshold: float, active: Tensor | None = None
) -> Tensor:
    """Sequentially thresholded ridge regression: solve on the active terms, drop small coefficients, until none is.

    Args:
        gram: `[M, p, p]` sums of term x term.
        moments: `[M, p, d]` sums of term x target.
        ridge: alpha >= 0.
        threshold: lambda >= 0.
        active: `[M, p]` bool, the terms that a model may use; all when left out.

    Returns:
        `[M, p, d]`, with exact zeros for dropped terms.
    """
    models, terms, outputs = moments.shape
    shape = (models, outputs, terms)
    support = gram.new_ones(shape, dtype=torch.bool) if active is None else active[:, None].expand(shape)
    penalty = ridge * torch.eye(terms, dtype=gram.dtype)
    found = gram.new_zeros(shape)
    for _ in range(MOST_ROUNDS):
        found = _Solver(gram[:, None] + penalty, support)(moments.transpose(1, 2))
        kept = support & (found.abs() >= threshold)
        if bool((kept == support).all()):
            break
        found, support = found * kept, kept
    return found.transpose(1, 2)


class _Solver:
    """Least squares on the active terms of each lane, of least norm where they do not determine it.

    Args:
        gram: `[..., p, p]`, broadcast against the lanes.
        support: `[..., p]` bool.
    """

    def __init__(self, gram: Tensor, support: Tensor) -> None:
        inside = support.to(gram.dtype)
        size = torch.diagonal(gram, dim1=-2, dim2=-1) * inside
        self._scale = torch.where(size > 0, size, 1.0).rsqrt() * inside  # a term that is always 0 leaves the fit
        pair = self._scale.unsqueeze(-1) * self._scale.unsqueeze(-2)
        correlation = gram * pair
        dead = (self._scale == 0).to(gram.dtype)
        torch.diagonal(correlation, dim1=-2, dim2=-1).add_(dead)
        self._factor, failed = torch.linalg.cholesky_ex(correlation)
        pivots = torch.diagonal(self._factor, dim1=-2, dim2=-1).amin(-1)
        self._singular = (failed > 0) | ~(pivots > RANK**0.5)
        if bool(self._singular.any()):
            values, vectors = torch.linalg.eigh(correlation[self._singular])
            self._undetermined = values <= RANK * correlation.shape[-1]
            self._inverse = torch.where(self._undetermined, 0.0, 1.0 / values)
            self._vectors = vectors

    def __call__(self, moments: Tensor) -> Tensor:
        """Coefficients `[..., p]` for sums of term x target `[..., p]`."""
        right = moments * self._scale
        found = torch.cholesky_solve(right.unsqueeze(-1), self._factor).squeeze(-1)
        if bool(self._singular.any()):
            inside = (self._vectors.mT @ right[self._singular].unsqueeze(-1)) * self._inverse.unsqueeze(-1)
            found[self._singular] = (self._vectors @ inside).squeeze(-1)
        found = found * self._scale
        if bool(self._singular.any()):
            found[self._singular] = self._shortest(found[self._singular])
        return found

    def _shortest(self, coefficients: Tensor) -> Tensor:
        """Take away what lies in the undetermined directions, measured in the terms' own units."""
        most = max(int(self._undetermined.sum(-1).max()), 1)  # eigenvalues ascend: these come first
        which = self._undetermined[..., :most].to(coefficients.dtype)
        free = self._vectors[..., :most] * self._scale[self._singular].unsqueeze(-1) * which.unsqueeze(-2)
        # columns of one length: their units may be far apart
        free = free / free.norm(dim=-2, keepdim=True).clamp(min=1e-300)
        square = free.mT @ free + torch.diag_embed(1.0 - which)
        along = torch.linalg.solve(square, free.mT @ coefficients.unsqueeze(-1))
        return coefficients - (free @ along).squeeze(-1)


def refit(found: Tensor, gram: Tensor, moments: Tensor, features: Tensor, targets: Tensor, *, counts: Tensor) -> Tensor:
    """Least squares without ridge on the terms that were kept, refined once with the residuals of the rows.

    Args:
        found: `[M, p, d]`; what is not 0 was kept.
        gram: `[M, p, p]` sums of term x term.
        moments: `[M, p, d]` sums of term x target.
        features: `[rows, p]`.
        targets: `[rows, d]`.
        counts: `[M, rows]`.

    Returns:
        `[M, p, d]`.
    """
    refined = torch.zeros_like(moments)
    if not bool(found.any()):
        return refined
    used = (found != 0).any(2).any(0).nonzero()[:, 0]  # what no model kept costs nothing from here on
    support = (found[:, used] != 0).transpose(1, 2)
    solver = _Solver(gram[:, used][:, :, used][:, None], support)
    first = solver(moments[:, used].transpose(1, 2))  # [M, d, used]
    missing = torch.zeros_like(first)  # sums of term x residual
    for term, target, count in _pieces(features, targets, counts):
        kept = term.index_select(0, used)
        residual = target - (first.flatten(0, 1) @ kept).view(*first.shape[:2], -1)
        missing += ((residual * count[:, None]).flatten(0, 1) @ kept.T).view_as(first)
    refined[:, used] = ((first + solver(missing)) * support).transpose(1, 2)
    return refined


def spread(values: Tensor) -> Tensor:
    """Root mean square of each column about its mean, or about 0 where the column is constant; never 0."""
    deviation = values.std(0, correction=0)
    size = values.square().mean(0).sqrt()
    return torch.where(deviation > 1e-9 * size, deviation, torch.where(size > 0, size, 1.0))


def check_rows(features: Tensor, targets: Tensor) -> None:
    """Raise `InputError` for rows that cannot be fitted."""
    if features.ndim != 2 or targets.ndim != 2 or len(features) != len(targets):
        shown = f"{list(features.shape)} and {list(targets.shape)}"
        raise InputError.of("rows", shown, expected="terms [rows, p] and targets [rows, d] with equally many rows")
    if len(features) < 2:
        raise InputError.of("rows", len(features), expected="at least 2", cause="is the trajectory too short?")
    if not bool(features.sum().isfinite()) or not bool(targets.sum().isfinite()):
        raise InputError.of("rows", "values that are not finite", expected="finite numbers")


def median(ensemble: Tensor) -> Tensor:
    """The element-wise median over models, `[M, ...] -> [...]`: of an even number the mean of the middle two."""
    ordered, middle = ensemble.sort(0).values, len(ensemble) // 2
    return ordered[middle] if len(ensemble) % 2 else (ordered[middle - 1] + ordered[middle]) / 2.0
