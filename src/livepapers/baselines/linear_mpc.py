"""Linear model predictive control by solving its quadratic program, and the clipped linear-quadratic regulator.

Both are what a process engineer would run without learning, and the quadratic program is what an explicit law has to
agree with. It is solved as a least-distance problem by non-negative least squares (Lawson and Hanson, *Solving Least
Squares Problems*, chapter 23; SciPy's `nnls`), and the active set that it finds is solved once more in closed form, so
that answers are exact to rounding. Every answer carries its largest violation of the optimality conditions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
import torch
from torch import Tensor, nn

from livepapers.baselines.linear_problem import LinearProblem, riccati

WORST_CONDITIONED = 1e5
"""Of a Hessian over inputs: above it too few digits are left for answers that agree to 1e-9."""


class CondensedProgram(NamedTuple):
    """min over u of 1/2 u'Hu + (Z s)'u, subject to G u <= W + S s; states are eliminated, k = N m variables.

    The variables u are the inputs, or their distances from a feedback; `first` leads back to the first input.
    """

    hessian: np.ndarray  # H [k, k], positive definite
    linear: np.ndarray  # Z [k, n]
    rows: np.ndarray  # G [c, k]
    limit: np.ndarray  # W [c]
    slope: np.ndarray  # S [c, n]
    first: np.ndarray  # F [m, n]: the first move is F s plus the first m variables; 0 where these are the inputs


class Solution(NamedTuple):
    """The minimiser of a quadratic program, and how well it meets the optimality conditions."""

    u: np.ndarray  # [k] in the program's variables
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


def condense(problem: LinearProblem) -> CondensedProgram:
    """Eliminate the states; rows without a bound are left out.

    The variables are the inputs, or, where these let an unstable model grow so far over the horizon that digits are
    lost, their distances from the unconstrained feedback.
    """
    program = _of_inputs(problem)
    return program if np.linalg.cond(program.hessian) <= WORST_CONDITIONED else _of_distances(problem)


def _of_inputs(problem: LinearProblem) -> CondensedProgram:
    """The program over u_0 .. u_{N-1}."""
    steps, states, inputs = problem.horizon, problem.states, problem.inputs
    free, forced = _trajectory(problem.a, problem.b, steps)
    last = riccati(problem.a, problem.b, problem.q, problem.r)
    weight: Any = scipy.linalg.block_diag(*[problem.q] * (steps - 1), last)
    input_weight: Any = scipy.linalg.block_diag(*[problem.r] * steps)
    hessian = 2.0 * (forced.T @ weight @ forced + input_weight)
    linear = 2.0 * forced.T @ weight @ free
    chosen, flat = np.eye(steps * inputs), np.zeros((steps * inputs, states))
    rows, slope = np.vstack([chosen, -chosen, forced, -forced]), np.vstack([flat, flat, -free, free])
    return CondensedProgram((hessian + hessian.T) / 2, linear, rows, _limit(problem), slope, flat[:inputs])


def _of_distances(problem: LinearProblem) -> CondensedProgram:
    """The program over v_t = u_t - K s_t, K the unconstrained feedback: its model is stable, whatever the horizon.

    The last weight solves the Riccati equation, so the cost is s_0' P s_0 + sum over t of v_t' (R + B'PB) v_t.
    """
    steps, states, inputs = problem.horizon, problem.states, problem.inputs
    p, gain = riccati(problem.a, problem.b, problem.q, problem.r), problem.gain()
    free, forced = _trajectory(problem.a + problem.b @ gain, problem.b, steps)
    hessian: Any = scipy.linalg.block_diag(*[2.0 * (problem.r + problem.b.T @ p @ problem.b)] * steps)
    # u_t = K s_t + v_t, and s_0 is not among the states that the inputs force
    before = np.vstack([np.eye(states), free[:-states]])
    pushed = np.vstack([np.zeros((states, steps * inputs)), forced[:-states]])
    feedbacks: Any = scipy.linalg.block_diag(*[gain] * steps)
    chosen, seen = np.eye(steps * inputs) + feedbacks @ pushed, feedbacks @ before
    rows, slope = np.vstack([chosen, -chosen, forced, -forced]), np.vstack([-seen, seen, -free, free])
    linear = np.zeros((steps * inputs, states))
    return CondensedProgram((hessian + hessian.T) / 2, linear, rows, _limit(problem), slope, gain)


def _trajectory(a: np.ndarray, b: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(free, forced) of s_1 .. s_N = free s_0 + forced (inputs one after the other)."""
    states, inputs = b.shape
    powers = [np.eye(states)]
    for _ in range(steps):
        powers.append(a @ powers[-1])
    forced = np.zeros((steps * states, steps * inputs))
    for t in range(steps):
        for k in range(t + 1):
            forced[t * states : (t + 1) * states, k * inputs : (k + 1) * inputs] = powers[t - k] @ b
    return np.vstack(powers[1:]), forced


def _limit(problem: LinearProblem) -> np.ndarray:
    """W: upper and lower bounds of the inputs, then of the states."""
    steps = problem.horizon
    return np.concatenate([
        np.tile(problem.input_high, steps), -np.tile(problem.input_low, steps),
        np.tile(problem.state_high, steps), -np.tile(problem.state_low, steps),
    ])  # fmt: skip


class QuadraticProgram:
    """Solves one condensed program for many states.

    Args:
        program: What `condense` made.
    """

    def __init__(self, program: CondensedProgram) -> None:
        self.program = program
        self._factor = factor = np.linalg.cholesky(program.hessian)
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
        whitened = self._whitened[chosen]
        right = np.column_stack([self._shift[chosen], program.limit[chosen]])
        if chosen and program.first.any():
            multipliers, moves = self._by_rotation(whitened, right)
        else:
            # least squares: where rows depend on each other, any of the multipliers that solve the equations will do
            multipliers = -np.linalg.lstsq(whitened @ whitened.T, right, rcond=1e-13)[0] if chosen else right
            moves = -self._inverse @ (program.rows[chosen].T @ multipliers)
        moves[:, :-1] -= self._inverse @ program.linear
        return AffineSolution(moves[:, :-1], moves[:, -1], multipliers[:, :-1], multipliers[:, -1])

    def _by_rotation(self, whitened: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(multipliers, moves from the unconstrained ones) without the normal equations, which square the condition.

        Over a long horizon the rows of many saturated inputs are nearly dependent.
        """
        rotated: Any = scipy.linalg.qr(whitened.T, mode="economic", pivoting=True)
        q, r, order = rotated
        size = np.abs(np.diag(r))
        rank = int((size > 1e-12 * size[0]).sum())
        q, r, kept = q[:, :rank], r[:rank, :rank], order[:rank]
        distance = q @ scipy.linalg.solve_triangular(r.T, right[kept], lower=True)
        multipliers = np.zeros_like(right)
        multipliers[kept] = -scipy.linalg.solve_triangular(r, q.T @ distance)
        return multipliers, scipy.linalg.solve_triangular(self._factor.T, distance)

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
            moves[members] = u[:, :inputs] + states[members] @ self.program.first.T
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
        push = multipliers @ program.rows[list(active)]
        gradient, scale = u @ program.hessian + pull + push, push if program.first.any() else pull
        return u, max(over, negative, float(np.abs(gradient).max()) / max(1.0, float(np.abs(scale).max())))


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
                move = found.u[: problem.inputs] + self._program.program.first @ states[index]
                moves[index] = np.clip(move, problem.input_low, problem.input_high)
        return torch.as_tensor(moves, dtype=observation.dtype)
