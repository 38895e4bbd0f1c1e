"""Linear model predictive control by solving its quadratic program, and the clipped linear-quadratic regulator.

Both are what a process engineer would run without learning, and the quadratic program is what an explicit law has to
agree with. It is solved as a least-distance problem by non-negative least squares (Lawson and Hanson, *Solving Least
Squares Problems*, chapter 23; SciPy's `nnls`), and the active set that it finds is solved once more in closed form, so
that answers are exact to rounding. Every answer carries its largest violation of the optimality conditions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
import torch
from torch import Tensor, nn

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


class CondensedProgram(NamedTuple):
    """min over u of 1/2 u'Hu + (Z s)'u, subject to G u <= W + S s; states are eliminated, k = N m variables."""

    hessian: np.ndarray  # H [k, k], positive definite
    linear: np.ndarray  # Z [k, n]
    rows: np.ndarray  # G [c, k]
    limit: np.ndarray  # W [c]
    slope: np.ndarray  # S [c, n]


class Solution(NamedTuple):
    """The minimiser of a quadratic program, and how well it meets the optimality conditions."""

    u: np.ndarray  # [k]
    active: tuple[int, ...]  # rows with a positive multiplier
    residual: float  # largest violation of a constraint, a multiplier's sign or stationarity


class AffineSolution(NamedTuple):
    """u(s) = gain s + offset and multipliers(s) = multiplier_gain s + multiplier_offset while one active set lasts."""

    gain: np.ndarray  # [k, n]
    offset: np.ndarray  # [k]
    multiplier_gain: np.ndarray  # [active, n]
    multiplier_offset: np.ndarray  # [active]


class FirstInputs(NamedTuple):
    """First moves at many states."""

    moves: np.ndarray  # [points, m], NaN where infeasible
    feasible: np.ndarray  # [points] bool
    residual: float  # the largest of all solutions


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


def condense(problem: LinearProblem) -> CondensedProgram:
    """Eliminate the states; rows without a bound are left out."""
    steps, states, inputs = problem.horizon, problem.states, problem.inputs
    powers = [np.eye(states)]
    for _ in range(steps):
        powers.append(problem.a @ powers[-1])
    free = np.vstack(powers[1:])  # s_1 .. s_N = free s_0 + forced u
    forced = np.zeros((steps * states, steps * inputs))
    for t in range(steps):
        for k in range(t + 1):
            forced[t * states : (t + 1) * states, k * inputs : (k + 1) * inputs] = powers[t - k] @ problem.b
    last = riccati(problem.a, problem.b, problem.q, problem.r)
    weight: Any = scipy.linalg.block_diag(*[problem.q] * (steps - 1), last)
    input_weight: Any = scipy.linalg.block_diag(*[problem.r] * steps)
    hessian = 2.0 * (forced.T @ weight @ forced + input_weight)
    linear = 2.0 * forced.T @ weight @ free
    chosen = np.eye(steps * inputs)
    flat = np.zeros((steps * inputs, states))
    rows = np.vstack([chosen, -chosen, forced, -forced])
    slope = np.vstack([flat, flat, -free, free])
    limit = np.concatenate([
        np.tile(problem.input_high, steps), -np.tile(problem.input_low, steps),
        np.tile(problem.state_high, steps), -np.tile(problem.state_low, steps),
    ])  # fmt: skip
    return CondensedProgram((hessian + hessian.T) / 2, linear, rows, limit, slope)


class QuadraticProgram:
    """Solves one condensed program for many states.

    Args:
        program: What `condense` made.
    """

    def __init__(self, program: CondensedProgram) -> None:
        self.program = program
        factor = np.linalg.cholesky(program.hessian)
        self._inverse = scipy.linalg.cho_solve((factor, True), np.eye(len(factor)))
        self._whitened = scipy.linalg.solve_triangular(factor, program.rows.T, lower=True).T  # G L^-T
        norms = np.linalg.norm(self._whitened, axis=1)
        self._norms = np.where(norms < 1e-12, 1.0, norms)  # a bound out of the inputs' reach holds, or all is lost
        self._shift = program.slope + program.rows @ self._inverse @ program.linear  # [c, n]
        self._directions = -(self._whitened / self._norms[:, None]).T

    def active_set(self, state: np.ndarray) -> tuple[int, ...] | None:
        """The rows with a positive multiplier at `state` `[n]`, or None where no input satisfies the bounds."""
        distance = (self.program.limit + self._shift @ state) / self._norms  # whitened x: unit rows x <= distance
        if distance.min() >= 0.0:
            return ()
        system = np.vstack([self._directions, -distance[None] / np.abs(distance).max()])
        target = np.zeros(len(system))
        target[-1] = 1.0
        weights, _ = scipy.optimize.nnls(system, target, maxiter=30 * system.shape[1])
        if float((system @ weights)[-1]) > 1.0 - 1e-10:  # a positive combination of the rows contradicts itself
            return None
        return tuple(np.flatnonzero(weights > 0).tolist())

    def affine(self, active: tuple[int, ...]) -> AffineSolution:
        """The solution of the optimality conditions with these rows as equations, as functions of the state."""
        program, chosen = self.program, list(active)
        rows = program.rows[chosen]
        # least squares: where rows depend on each other, any of the multipliers that solve the equations will do
        gram = self._whitened[chosen] @ self._whitened[chosen].T
        right = np.column_stack([self._shift[chosen], program.limit[chosen]])
        multipliers = -np.linalg.lstsq(gram, right, rcond=1e-13)[0] if chosen else right
        moves = -self._inverse @ (rows.T @ multipliers)
        moves[:, :-1] -= self._inverse @ program.linear
        return AffineSolution(moves[:, :-1], moves[:, -1], multipliers[:, :-1], multipliers[:, -1])

    def solve(self, state: np.ndarray) -> Solution | None:
        """The minimiser at `state` `[n]`, or None where no input satisfies the bounds."""
        active = self.active_set(state)
        if active is None:
            return None
        u, residual = self._evaluate(active, state[None])
        return Solution(u[0], active, residual)

    def first_inputs(self, states: np.ndarray, inputs: int) -> FirstInputs:
        """The first move at many states `[points, n]` of a problem with `inputs` inputs."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, state in enumerate(states):
            active = self.active_set(state)
            if active is not None:
                groups.setdefault(active, []).append(index)
        moves, worst = np.full((len(states), inputs), np.nan), 0.0
        for active, members in groups.items():
            u, residual = self._evaluate(active, states[members])
            moves[members] = u[:, :inputs]
            worst = max(worst, residual)
        return FirstInputs(moves, np.asarray(np.isfinite(moves).all(1)), worst)

    def _evaluate(self, active: tuple[int, ...], states: np.ndarray) -> tuple[np.ndarray, float]:
        """Minimisers `[points, k]`, and the largest violation of the optimality conditions among them."""
        program, law = self.program, self.affine(active)
        u = states @ law.gain.T + law.offset
        multipliers = states @ law.multiplier_gain.T + law.multiplier_offset
        over = float((u @ program.rows.T - program.limit - states @ program.slope.T).max())
        negative = -float(multipliers.min()) / max(1.0, float(np.abs(multipliers).max())) if active else 0.0
        pull = states @ program.linear.T
        gradient = u @ program.hessian + pull + multipliers @ program.rows[list(active)]
        return u, max(over, negative, float(np.abs(gradient).max()) / max(1.0, float(np.abs(pull).max())))


class ClippedLQR(nn.Module):
    """u = clip(K s): the regulator that ignores the bounds until they bind.

    Args:
        gain: K, `[m, n]`.
        low: Lowest input, `[m]`.
        high: Highest input, `[m]`.
    """

    gain: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, gain: Sequence[Sequence[float]], *, low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__()
        for name, value in (("gain", gain), ("low", low), ("high", high)):
            self.register_buffer(name, torch.as_tensor(np.asarray(value), dtype=torch.float32))

    def forward(self, observation: Tensor) -> Tensor:
        """Inputs `[batch, m]` for states `[batch, n]`."""
        return torch.clamp(observation @ self.gain.T, self.low, self.high)


class LinearMPC(nn.Module):
    """Model predictive control that solves its quadratic program at every state; the regulator where it has no answer.

    Args:
        problem: Model, cost and bounds.
    """

    def __init__(self, problem: LinearProblem) -> None:
        super().__init__()
        self.problem = problem
        self._program = QuadraticProgram(condense(problem))
        self._gain = problem.gain()

    @torch.no_grad()
    def forward(self, observation: Tensor) -> Tensor:
        """Inputs `[batch, m]` for states `[batch, n]`; outside the box of states and where infeasible: clipped LQR."""
        problem = self.problem
        states = observation.detach().cpu().numpy().astype(np.float64)
        moves = np.clip(states @ self._gain.T, problem.input_low, problem.input_high)
        inside = ((states >= problem.state_low) & (states <= problem.state_high)).all(1)
        for index in np.flatnonzero(inside):
            found = self._program.solve(states[index])
            if found is not None:
                moves[index] = np.clip(found.u[: problem.inputs], problem.input_low, problem.input_high)
        return torch.as_tensor(moves, dtype=observation.dtype)


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
