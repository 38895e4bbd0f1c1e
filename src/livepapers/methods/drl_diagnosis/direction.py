"""The unstable direction of a policy: input gradients of its decision, gathered over the states it visits."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from livepapers.core.errors import InputError

Values = Callable[[Tensor], Tensor]
"""Differentiable preferences of discrete actions, `[state, ...] -> [state, actions]`."""
Loss = Literal["argmax-ce", "max-logit-gap"]
Solver = Literal["auto", "moments", "gram", "svd", "power", "sketch"]
MOST_DENSE = 1024  # inputs up to which the d x d matrix itself is kept: 8 MB
SKETCH_ROWS = 128  # of the sketch that stands for it above
KEPT = 8  # eigenvectors that a report carries


@dataclass(frozen=True)
class Gradients:
    """Per-state directions.

    Attributes:
        rows: w(s), `[state, d]` float64.
        certainty: pi(s, a*), `[state]` float64; near 1 the cross-entropy's gradient vanishes.
    """

    rows: Tensor
    certainty: Tensor


def decision_gradient(
    values: Values, states: Tensor, *, temperature: float = 1.0, loss: Loss = "argmax-ce", unit: bool = False
) -> Gradients:
    """w(s) = grad_x J(s, x) at x = s, equation (1): how the input moves the decision most, to first order.

    The target, the action that is best at s, is held fixed: no gradient flows through the argmax. The softmax is taken
    in double precision, so that policies with large gaps between values still have gradients.

    Args:
        values: Q, or the logits of any policy over discrete actions.
        states: `[state, ...]`; taken as float32.
        temperature: T of the softmax.
        loss: "argmax-ce" is the paper's; "max-logit-gap" follows Q(second best) - Q(best) and never saturates.
        unit: Whether each row is scaled to length 1, so that states count alike.
    """
    x = states.detach().to(torch.float32).requires_grad_(True)
    with torch.enable_grad():
        logits = values(x).double() / temperature
        best = logits.detach().argmax(1)
        if loss == "argmax-ce":
            objective = functional.cross_entropy(logits, best, reduction="sum")
        else:
            chosen = logits.gather(1, best[:, None])[:, 0]
            others = logits.scatter(1, best[:, None], -math.inf)
            objective = (others.amax(1) - chosen).sum()
        (found,) = torch.autograd.grad(objective, x)
    rows = found.flatten(1).double()
    if not bool(torch.isfinite(rows).all()):
        raise InputError.of("gradients", "some that are not finite", expected="finite numbers", cause="is the network?")
    if unit:
        rows = functional.normalize(rows, dim=1)
    return Gradients(rows, logits.detach().softmax(1).amax(1))


class Instability:
    """L(S) = sum over states of w(s) w(s)^T, equation (2), as a stream: rows go in, nothing per state is kept.

    Up to `MOST_DENSE` inputs the matrix itself is kept, exactly. Above it a Frequent Directions sketch B (Liberty 2013)
    stands for it: 0 <= v^T L v - |B v|^2 <= `lost` for every unit v.

    Args:
        width: d, numbers of one observation.
        dense: Whether the matrix is kept; None: as its size allows.
    """

    def __init__(self, width: int, *, dense: bool | None = None) -> None:
        if width < 1:
            raise InputError.of("observation", f"{width} numbers", expected="at least one")
        self.width, self.count, self.lost = width, 0, 0.0
        self.dense = width <= MOST_DENSE if dense is None else dense
        self.total = 0.0  # trace of L: all squared lengths, exact in both forms
        self._kept = torch.zeros(width if self.dense else 0, width, dtype=torch.float64)

    def update(self, rows: Tensor) -> None:
        """Take `[state, d]` more gradients in; raises `InputError` where d differs."""
        if rows.dim() != 2 or rows.shape[1] != self.width:
            cause = "both sets of states must come from the same observation space"
            raise InputError.of("gradients", list(rows.shape), expected=f"[state, {self.width}]", cause=cause)
        rows = rows.double()
        self.count += len(rows)
        self.total += float(rows.square().sum())
        if self.dense:
            self._kept += rows.T @ rows
            return
        for part in rows.split(SKETCH_ROWS):
            self._kept = torch.cat([self._kept, part])
            if len(self._kept) > SKETCH_ROWS:
                self._shrink()

    def along(self, directions: Tensor) -> Tensor:
        """v^T L v of each direction, `[k, d] -> [k]`."""
        directions = directions.double().reshape(-1, self.width)
        if self.dense:
            return ((directions @ self._kept) * directions).sum(1)
        return (directions @ self._kept.T).square().sum(1)

    def leading(self, count: int = KEPT) -> tuple[Tensor, Tensor]:
        """Largest eigenvalues `[k]`, descending, and their unit eigenvectors `[k, d]`, signs fixed.

        Raises:
            InputError: No states, or all gradients are zero.
        """
        if not self.count:
            raise InputError.of("states", "none", expected="at least one visited state")
        if self.total == 0.0:
            cause = "a dead network, or a saturated softmax: raise the temperature or use the loss max-logit-gap"
            raise InputError.of("gradients", "all zero", expected="a decision that depends on the input", cause=cause)
        if self.dense:
            found, vectors = torch.linalg.eigh(self._kept)
            found, vectors = found.flip(0).clamp(min=0.0)[:count], vectors.flip(1).T[:count]
        else:
            found, vectors = _by_gram(self._kept, min(count, len(self._kept)))
        return found, signed(vectors)

    def _shrink(self) -> None:
        """Frequent Directions: the spectrum is lowered by its middle value, which empties half of the rows.

        The rows are turned by the eigenvectors of their small Gram matrix, which costs less than their singular values
        and is as exact here: what rounding spoils lies far below the cut.
        """
        squares, turn = torch.linalg.eigh(self._kept @ self._kept.T)
        cut = float(squares.flip(0)[SKETCH_ROWS // 2].clamp(min=0.0))
        self.lost += cut
        used = squares > cut
        squares, turn = squares[used], turn[:, used]
        self._kept = ((squares - cut) / squares).sqrt()[:, None] * (turn.T @ self._kept)


@dataclass(frozen=True)
class Direction:
    """What a set of visited states says of a policy.

    Attributes:
        direction: G_S, unit length, `[...]` in the observation's shape, float64.
        eigenvalues: The largest ones of L(S), descending, `[k]`.
        vectors: Their eigenvectors, `[k, d]`.
        share: Largest eigenvalue over their sum: how much of the instability is one direction.
        norms: |w(s)|, `[state]`, in the order of the states.
        certainty: Median of pi(s, a*).
        mean: First moment of w(s), `[d]`: what it misses is that opposite gradients cancel.
        moments: L(S), for quotients.
    """

    direction: Tensor
    eigenvalues: Tensor
    vectors: Tensor
    share: float
    norms: Tensor
    certainty: float
    mean: Tensor
    moments: Instability

    @property
    def gap(self) -> float:
        """1 - second over first eigenvalue; near 0 the direction means nothing, see `subspace_quotient`."""
        return 1.0 - float(self.eigenvalues[1] / self.eigenvalues[0]) if len(self.eigenvalues) > 1 else 1.0


class Gathering:
    """The `Direction` of a set as a stream: states go in, and of each only the length of its gradient is kept.

    Args:
        values: Q, or the logits of any policy over discrete actions.
        shape: Of one state.
        temperature: T of the softmax.
        loss: See `decision_gradient`.
        unit: See `decision_gradient`.
        dense: See `Instability`.
        batch: States a backward pass, for which they wait.
    """

    def __init__(
        self, values: Values, shape: tuple[int, ...], *, temperature: float = 1.0, loss: Loss = "argmax-ce",
        unit: bool = False, dense: bool | None = None, batch: int = 128,
    ) -> None:  # fmt: skip
        self.shape, self.moments = shape, Instability(math.prod(shape), dense=dense)
        self._gradients = functools.partial(decision_gradient, values, temperature=temperature, loss=loss, unit=unit)
        self._batch = batch
        self._sum = torch.zeros(self.moments.width, dtype=torch.float64)
        self._waiting: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._certain: list[Tensor] = []

    def update(self, states: Tensor) -> None:
        """Take `[state, ...]` more states in."""
        self._waiting.append(states)
        if sum(map(len, self._waiting)) >= self._batch:
            self._pass()

    def direction(self) -> Direction:
        """What the states so far say; raises `InputError` where there are none, or nothing moves the decision."""
        self._pass()
        eigenvalues, vectors = self.moments.leading()
        return Direction(
            vectors[0].reshape(self.shape), eigenvalues, vectors, float(eigenvalues[0]) / self.moments.total,
            torch.cat(self._norms), float(torch.cat(self._certain).median()), self._sum / self.moments.count,
            self.moments,
        )  # fmt: skip

    def _pass(self) -> None:
        """Take the gradients of the states that wait, and let these go."""
        waiting, self._waiting = torch.cat([torch.zeros(0, *self.shape), *self._waiting]), []
        for part in waiting.split(self._batch) if len(waiting) else ():
            found = self._gradients(part)
            self.moments.update(found.rows)
            self._sum += found.rows.sum(0)
            self._norms.append(found.rows.norm(dim=1))
            self._certain.append(found.certainty)


def principal_direction(
    values: Values,
    states: Tensor,
    *,
    temperature: float = 1.0,
    loss: Loss = "argmax-ce",
    unit: bool = False,
    solver: Solver = "auto",
    batch: int = 256,
) -> Direction:
    """G_S, equation (2): the unit direction v of largest sum over states of <v, w(s)>^2.

    It is uncentred: the mean gradient is not taken away. Its entry of largest magnitude is positive.

    Args:
        values: Q, or the logits of any policy over discrete actions.
        states: Visited ones, `[state, ...]`.
        temperature: T of the softmax.
        loss: See `decision_gradient`.
        unit: See `decision_gradient`.
        solver: auto: the matrix up to 1,024 numbers, above it a sketch; gram, svd and power solve from all rows.
        batch: States a backward pass.

    Raises:
        InputError: No states, gradients that are not finite, or all zero.
    """
    shape, dense = tuple(states.shape[1:]), {"moments": True, "sketch": False}.get(solver)
    gathering = Gathering(
        values, shape, temperature=temperature, loss=loss, unit=unit, dense=dense, batch=batch
    )  # fmt: skip
    gathering.update(states)
    found = gathering.direction()
    if solver not in ("gram", "svd", "power"):
        return found
    rows = [
        decision_gradient(values, part, temperature=temperature, loss=loss, unit=unit).rows
        for part in states.split(batch)
    ]
    eigenvalues, vectors = _solve(torch.cat(rows), solver)
    share = float(eigenvalues[0]) / found.moments.total
    return replace(
        found, direction=vectors[0].reshape(shape), eigenvalues=eigenvalues, vectors=vectors, share=share
    )  # fmt: skip


def quotient(reference: Direction, other: Tensor) -> float:
    """Lambda(S', S) = G'^T L(S) G' / G^T L(S) G in [0, 1], equation (3); not symmetric, blind to signs and scales.

    Args:
        reference: Of S.
        other: G' of S', in any shape of d numbers.
    """
    flat = functional.normalize(other.double().flatten(), dim=0)
    return min(float(reference.moments.along(flat)) / float(reference.eigenvalues[0]), 1.0)


def subspace_quotient(reference: Direction, vectors: Tensor) -> float:
    """tr(V'^T L(S) V') / sum of the k largest eigenvalues, for k orthonormal rows `[k, d]`: where the gap is small."""
    return float(reference.moments.along(vectors).sum() / reference.eigenvalues[: len(vectors)].sum())


def squared_cosine(one: Tensor, other: Tensor) -> float:
    """<G, G'>^2 of two directions of any length."""
    first, second = (functional.normalize(each.double().flatten(), dim=0) for each in (one, other))
    return float(first @ second) ** 2


def signed(vectors: Tensor) -> Tensor:
    """Eigenvectors `[k, d]` with the sign that makes the entry of largest magnitude positive."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * torch.where(largest < 0.0, -1.0, 1.0)


def _solve(rows: Tensor, solver: Solver) -> tuple[Tensor, Tensor]:
    """From all rows `[state, d]`: by the Gram matrix of states, by singular values, or by power iteration."""
    count = min(KEPT, *rows.shape)
    if solver == "svd":
        _, sizes, vectors = torch.linalg.svd(rows, full_matrices=False)
        return sizes[:count].square(), signed(vectors[:count])
    if solver == "gram":
        found, vectors = _by_gram(rows, count)
        return found, signed(vectors)
    # subspace iteration, started from the rows of largest length so that no draw is needed
    start = rows[rows.norm(dim=1).argsort(descending=True, stable=True)[:count]].T
    basis = torch.linalg.qr(start + 1e-9 * torch.eye(rows.shape[1], count, dtype=rows.dtype) * rows.norm()).Q
    for _ in range(300):
        basis = torch.linalg.qr(rows.T @ (rows @ basis)).Q
    small, turn = torch.linalg.eigh((rows @ basis).T @ (rows @ basis))
    return small.flip(0), signed((basis @ turn.flip(1)).T)


def _by_gram(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Leading eigenvalues and eigenvectors of rows^T rows by the smaller rows rows^T; as many as have a direction."""
    found, left = torch.linalg.eigh(rows @ rows.T)
    found, left = found.flip(0)[:count], left.flip(1)[:, :count]
    real = found > 1e-12 * found[0]  # below it rounding alone decides
    return found[real], functional.normalize(left[:, real].T @ rows, dim=1)
