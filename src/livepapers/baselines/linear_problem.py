"""A linear model with quadratic cost and bounds, checked, and its Riccati equation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from livepapers.core.errors import InputError

STEEPEST = 1e8
"""A condition number of R above this is not told apart from singular."""


@dataclass(frozen=True, eq=False)
class LinearProblem:
    """Linear model, quadratic cost and bounds, in deviations from the set point; float64 arrays.

    min over u_0 .. u_{N-1} of  sum_{t < N} (s_t' Q s_t + u_t' R u_t) + s_N' P s_N,  s_{t+1} = A s_t + B u_t,
    with P from the Riccati equation, bounds on u_t for t < N and on s_t for t = 1 .. N.
    """

    a: np.ndarray  # [n, n]
    b: np.ndarray  # [n, m]
    q: np.ndarray  # [n, n] symmetric, positive semidefinite
    r: np.ndarray  # [m, m] symmetric, positive definite
    horizon: int  # N
    state_low: np.ndarray  # [n], finite: the law is computed inside this box
    state_high: np.ndarray  # [n]
    input_low: np.ndarray  # [m], finite
    input_high: np.ndarray  # [m]

    @classmethod
    def of(
        cls,
        a: Any,
        b: Any,
        *,
        q: Any,
        r: Any,
        horizon: int,
        state_bounds: Sequence[Sequence[float]],
        input_bounds: Sequence[Sequence[float]],
    ) -> "LinearProblem":
        """Check everything that can be checked before a quadratic program is solved.

        Args:
            a: `[n, n]`.
            b: `[n, m]`.
            q: Weight of states, `[n, n]`.
            r: Weight of inputs, `[m, m]`.
            horizon: N, at least 1.
            state_bounds: (lower, upper), `[n]` each, around 0.
            input_bounds: (lower, upper), `[m]` each, around 0.

        Raises:
            InputError: One line that names the matrix, what is wrong with it and the likely cause.
        """
        made_a = _matrix("A", a, rows=None, columns=None)
        states = made_a.shape[0]
        if made_a.shape != (states, states):
            raise InputError.of("A", _shape(made_a), expected="a square matrix")
        made_b = _matrix("B", b, rows=states, columns=None)
        inputs = made_b.shape[1]
        problem = cls(
            made_a,
            made_b,
            _weight("Q", q, states, definite=False),
            _weight("R", r, inputs, definite=True),
            _horizon(horizon),
            *_bounds("state_bounds", state_bounds, states),
            *_bounds("input_bounds", input_bounds, inputs),
        )
        riccati(problem.a, problem.b, problem.q, problem.r)
        return problem

    @property
    def states(self) -> int:
        """The number of states n."""
        return self.a.shape[0]

    @property
    def inputs(self) -> int:
        """The number of inputs m."""
        return self.b.shape[1]

    def gain(self) -> np.ndarray:
        """The feedback `u = gain s` of the unconstrained problem, `[m, n]`."""
        return feedback(self.a, self.b, self.r, riccati(self.a, self.b, self.q, self.r))


def riccati(a: np.ndarray, b: np.ndarray, q: np.ndarray, r: np.ndarray, *, discount: float = 1.0) -> np.ndarray:
    """P of P = Q + g A'PA - g A'PB (R + g B'PB)^-1 g B'PA, g the discount; `[n, n]`.

    A discount g equals the undiscounted equation of (sqrt(g) A, sqrt(g) B).

    Raises:
        InputError: There is no stabilising solution: the pair (A, B) cannot be stabilised, or Q leaves a growing mode
            without cost.
    """
    root = math.sqrt(discount)
    for value in np.linalg.eigvals(root * a):
        if abs(value) < 1.0 - 1e-9:
            continue
        pencil = root * a - value * np.eye(len(a))
        if np.linalg.matrix_rank(np.hstack([pencil, root * b])) < len(a):
            shown = f"a mode with eigenvalue {_complex(value)} that no input reaches"
            raise InputError.of("A, B", shown, expected="a stabilisable pair", cause="is a row of B zero by mistake?")
        if np.linalg.matrix_rank(np.vstack([pencil, q])) < len(a):
            shown = f"no cost on the mode with eigenvalue {_complex(value)}"
            raise InputError.of("Q", shown, expected="a weight on every mode that does not decay")
    try:
        solution = scipy.linalg.solve_discrete_are(root * a, root * b, q, r)
    except (np.linalg.LinAlgError, ValueError) as error:
        cause = f"the Riccati equation has no solution: {str(error).rstrip('.').lower()}"
        raise InputError.of("A, B, Q, R", "this problem", expected="a stabilising controller", cause=cause) from None
    return (solution + solution.T) / 2


def feedback(a: np.ndarray, b: np.ndarray, r: np.ndarray, p: np.ndarray, *, discount: float = 1.0) -> np.ndarray:
    """The gain K of u = K s that is greedy to the cost-to-go s'Ps, `[m, n]`."""
    return -np.linalg.solve(r + discount * b.T @ p @ b, discount * b.T @ p @ a)


def _matrix(name: str, value: Any, *, rows: int | None, columns: int | None) -> np.ndarray:
    try:
        matrix = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError.of(name, value, expected="a matrix: rows of numbers, all of one length") from None
    if matrix.ndim == 0:
        matrix = matrix.reshape(1, 1)
    wanted = f"{rows or 'n'} x {columns or 'm'}"
    if matrix.ndim != 2 or matrix.size == 0:
        raise InputError.of(name, _shape(matrix), expected=f"a matrix ({wanted})", cause="write [[1, 0], [0, 1]]")
    if (rows and matrix.shape[0] != rows) or (columns and matrix.shape[1] != columns):
        raise InputError.of(name, _shape(matrix), expected=wanted, cause="do A, B, Q and R belong to one model?")
    if not np.isfinite(matrix).all():
        raise InputError.of(name, "a value that is not finite", expected="finite numbers")
    return matrix


def _weight(name: str, value: Any, size: int, *, definite: bool) -> np.ndarray:
    matrix = _matrix(name, value, rows=size, columns=size)
    if not np.allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12):
        raise InputError.of(name, "a matrix that is not symmetric", expected="a symmetric matrix")
    least, most = float(np.linalg.eigvalsh(matrix).min()), float(np.abs(np.linalg.eigvalsh(matrix)).max())
    if definite and least <= most / STEEPEST:
        expected = "a positive definite matrix"
        raise InputError.of(name, f"smallest eigenvalue {least:.3g}", expected=expected, cause="every input must cost")
    if least < -1e-9 * max(most, 1.0):
        raise InputError.of(name, f"smallest eigenvalue {least:.3g}", expected="a positive semidefinite matrix")
    return (matrix + matrix.T) / 2


def _horizon(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 50:
        raise InputError.of("horizon", value, expected="a whole number from 1 to 50")
    return value


def _bounds(name: str, value: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        low, high = (np.array(side, dtype=np.float64) for side in value)
    except (TypeError, ValueError):
        raise InputError.of(name, value, expected=f"lower and upper, {size} numbers each") from None
    if low.shape != (size,) or high.shape != (size,) or not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InputError.of(name, value, expected=f"lower and upper, {size} finite numbers each")
    for index in range(size):
        if low[index] >= high[index]:
            shown = f"[{low[index]:g}, {high[index]:g}] in place {index + 1}"
            raise InputError.of(name, shown, expected="lower < upper", cause="are the two sides swapped?")
        if not low[index] < 0.0 < high[index]:
            shown = f"[{low[index]:g}, {high[index]:g}] around the set point in place {index + 1}"
            raise InputError.of(name, shown, expected="bounds that hold the set point inside")
    return low, high


def _shape(matrix: np.ndarray) -> str:
    return " x ".join(map(str, matrix.shape)) if matrix.size else "nothing"


def _complex(value: complex) -> str:
    return f"{value.real:.4g}" if abs(value.imag) < 1e-12 else f"{value.real:.4g} ± {abs(value.imag):.4g}i"
