"""The explicit solution of a linear MPC: regions of states, and on each an affine law for the first input.

For an active set of constraint rows the optimality conditions give inputs and multipliers that are affine in the
state; the region is where the multipliers are positive and the other rows hold. Small problems try every active set
(sets whose primal constraints are empty end the search among their supersets); larger ones walk from region to region
across facets and then look for gaps with random states.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.spatial

from livepapers.baselines.linear_mpc import QuadraticProgram, condense
from livepapers.baselines.linear_problem import LinearProblem
from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator

SMALLEST_RADIUS = 1e-7
"""Regions whose largest inscribed ball is smaller are facets of others (paper's code; in units of the states)."""
FACET_TOLERANCE = 1e-11
"""Slack of a region's unit rows: a state on a shared facet is in one region at least, in spite of rounding."""
MOST_SETS = 500
"""Up to so many candidate active sets all are tried; beyond, regions are found by walking."""
MOST_REGIONS = 20_000
MOST_STATES = 8
STEPS_ACROSS = (1e-6, 1e-4, 1e-3)
"""How far the walk looks beyond a facet, in widths of the box."""
GAP_SAMPLES = 4000


@dataclass(frozen=True, eq=False)
class PiecewiseAffineLaw:
    """u(s) = gains[i] s + offsets[i] on region i, the rows `starts[i] : starts[i + 1]` of `normals s <= limits`.

    Regions share facets only, and the law is continuous across them. Rows have length 1.
    """

    normals: np.ndarray  # [q, n]
    limits: np.ndarray  # [q]
    starts: np.ndarray  # [p + 1] int64
    gains: np.ndarray  # [p, m, n]
    offsets: np.ndarray  # [p, m]
    feedback: np.ndarray  # [m, n] of the unconstrained problem, for states outside all regions
    state_low: np.ndarray  # [n]
    state_high: np.ndarray  # [n]
    input_low: np.ndarray  # [m]
    input_high: np.ndarray  # [m]

    @property
    def regions(self) -> int:
        """How many regions there are, p."""
        return len(self.gains)

    def distinct_laws(self) -> int:
        """How many different affine laws the regions hold: those that differ in later moves only count once."""
        flat = np.concatenate([self.gains.reshape(self.regions, -1), self.offsets], axis=1)
        return len(np.unique(np.round(flat, 9), axis=0))

    def locate(self, states: np.ndarray) -> np.ndarray:
        """The first region that holds each of `[points, n]` states, `[points]` int64; -1 outside all.

        Point location as it is usually done: region after region, states that are found leave the search.
        """
        found = np.full(len(states), -1)
        for region, (begin, end) in enumerate(itertools.pairwise(self.starts.tolist())):
            open_states = np.flatnonzero(found < 0)
            if not len(open_states):
                break
            over = states[open_states] @ self.normals[begin:end].T - self.limits[begin:end]
            found[open_states[(over <= FACET_TOLERANCE).all(1)]] = region
        return found

    def evaluate(self, states: np.ndarray) -> np.ndarray:
        """Inputs `[points, m]` at `[points, n]` states; NaN outside all regions."""
        region = self.locate(states)
        moves = np.einsum("bmn,bn->bm", self.gains[region], states) + self.offsets[region]
        moves[region < 0] = np.nan
        return moves

    def to_json(self) -> dict[str, Any]:
        """Lists of numbers that JSON keeps exactly; `from_json` is the inverse."""
        return {name: value.tolist() for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "PiecewiseAffineLaw":
        """Rebuild a law from `to_json`; raises `InputError` for arrays that do not fit each other."""
        try:
            made = cls(**{name: np.array(value, dtype=np.float64) for name, value in values.items()})
            made = cls(**{**made.__dict__, "starts": made.starts.astype(np.int64)})
            regions, inputs, states = made.gains.shape
            fits = made.normals.shape == (len(made.limits), states) and made.offsets.shape == (regions, inputs)
            fits &= made.starts.shape == (regions + 1,) and int(made.starts[-1]) == len(made.limits)
            fits &= bool((np.diff(made.starts) > 0).all()) and int(made.starts[0]) == 0
        except (TypeError, ValueError) as error:
            raise InputError.of("law", "these values", expected="a piecewise affine law", cause=str(error)) from None
        if not fits:
            raise InputError.of("law", "arrays of other shapes", expected="a piecewise affine law")
        return made


@dataclass(frozen=True, eq=False)
class _Region:
    normals: np.ndarray  # [rows, n]
    limits: np.ndarray  # [rows]
    gain: np.ndarray  # [m, n]
    offset: np.ndarray  # [m]
    facets: list[np.ndarray]  # a few points on each row's facet, [points, n]


def solve(problem: LinearProblem) -> PiecewiseAffineLaw:
    """The first move of the optimal sequence as a piecewise affine function of the state, in the box of states.

    Raises:
        InputError: No state can satisfy the bounds, or the problem has too many states or regions.
    """
    if problem.states > MOST_STATES:
        raise InputError.of("A", f"{problem.states} states", expected=f"up to {MOST_STATES}", cause="regions explode")
    explorer = _Explorer(problem)
    width = problem.horizon * problem.inputs
    candidates = sum(math.comb(len(explorer.finite), k) for k in range(width + 1))
    regions = explorer.enumerate() if candidates <= MOST_SETS else explorer.walk()
    if not regions:
        cause = "the state bounds cannot be kept with these inputs"
        raise InputError.of(
            "state_bounds, input_bounds", "an empty feasible set", expected="bounds that a state can meet", cause=cause
        )
    lengths = [len(region.limits) for region in regions]
    return PiecewiseAffineLaw(
        np.concatenate([region.normals for region in regions]), np.concatenate([region.limits for region in regions]),
        np.concatenate([[0], np.cumsum(lengths)]), np.stack([region.gain for region in regions]),
        np.stack([region.offset for region in regions]), problem.gain(), problem.state_low, problem.state_high,
        problem.input_low, problem.input_high,
    )  # fmt: skip


class _Explorer:
    """Finds the regions of one problem."""

    def __init__(self, problem: LinearProblem) -> None:
        self.problem = problem
        self.program = condense(problem)
        self.solver = QuadraticProgram(self.program)
        self.finite = range(len(self.program.limit))
        axes = np.eye(problem.states)
        self.box = (np.vstack([axes, -axes]), np.concatenate([problem.state_high, -problem.state_low]))
        self.width = problem.state_high - problem.state_low

    def enumerate(self) -> list[_Region]:
        """Every active set up to the number of variables, those with an empty primal part pruned with supersets."""
        found, empty = [], set[tuple[int, ...]]()
        for size in range(self.program.hessian.shape[0] + 1):
            for active in itertools.combinations(self.finite, size):
                if size and any(smaller in empty for smaller in itertools.combinations(active, size - 1)):
                    empty.add(active)
                    continue
                rows = self.program.rows[list(active)]
                if size and np.linalg.matrix_rank(rows, tol=1e-9) < size:
                    continue
                region = self.region(active)
                if region is not None:
                    found.append(region)
                elif not self._primal_possible(active):
                    empty.add(active)
        return found

    def walk(self) -> list[_Region]:
        """From region to region across facets, then from states that lie in none."""
        stream = numpy_generator(0, "yann-rl", "gaps")
        known: dict[tuple[int, ...], _Region | None] = {}
        for _ in range(2):  # the second pass looks for what the walk could not reach
            samples = self.problem.state_low + stream.random((GAP_SAMPLES, self.problem.states)) * self.width
            for state in itertools.chain([np.zeros(self.problem.states)], samples):
                self._spread(state, known)
        return [region for region in known.values() if region is not None]

    def _spread(self, start: np.ndarray, known: dict[tuple[int, ...], _Region | None]) -> None:
        first = self.solver.active_set(start)
        waiting = [] if first is None else [first]
        while waiting:
            active = waiting.pop()
            if active in known:
                continue
            region = known[active] = self.region(active)
            if len(known) > MOST_REGIONS:
                expected = f"a law of up to {MOST_REGIONS:,} regions"
                raise InputError.of("horizon", self.problem.horizon, expected=expected, cause="shorten it")
            if region is not None:
                waiting.extend(self._neighbours(region, known))

    def _neighbours(self, region: _Region, known: dict[tuple[int, ...], _Region | None]) -> Iterator[tuple[int, ...]]:
        """Active sets across each facet, still inside the box; past a sliver the next step looks further."""
        for normal, points in zip(region.normals, region.facets, strict=True):
            for point, step in itertools.product(points, STEPS_ACROSS):
                state = point + step * self.width.min() * normal
                if not (self.box[0] @ state <= self.box[1]).all():
                    continue
                active = self.solver.active_set(state)
                if active is None:
                    continue
                if active not in known:
                    yield active
                if known.get(active) is not region and known.get(active) is not None:
                    break

    def region(self, active: tuple[int, ...]) -> _Region | None:
        """The region of an active set, without redundant rows; None where it has no inner point."""
        law, program = self.solver.affine(active), self.program
        free = np.setdiff1d(np.arange(len(program.limit)), active)
        normals = np.vstack([-law.multiplier_gain, (program.rows @ law.gain - program.slope)[free], self.box[0]])
        limits = np.concatenate([law.multiplier_offset, (program.limit - program.rows @ law.offset)[free], self.box[1]])
        norms = np.linalg.norm(normals, axis=1)
        flat = norms < 1e-10
        if (limits[flat] < -1e-9).any():
            return None
        normals, limits = normals[~flat] / norms[~flat, None], limits[~flat] / norms[~flat]
        centre = _chebyshev(normals, limits)
        if centre is None:
            return None
        kept, facets = _facets(normals, limits, centre)
        inputs = self.problem.inputs
        gain = law.gain[:inputs] + program.first
        return _Region(normals[kept], limits[kept], gain, law.offset[:inputs], facets)

    def _primal_possible(self, active: tuple[int, ...]) -> bool:
        """Whether some state and input meet all constraints with these rows as equations."""
        program, chosen = self.program, list(active)
        rows = np.hstack([program.rows, -program.slope])
        bounds = [(None, None)] * program.rows.shape[1]
        bounds += list(zip(self.problem.state_low, self.problem.state_high, strict=True))
        equal = (rows[chosen], program.limit[chosen]) if chosen else (None, None)
        result = scipy.optimize.linprog(
            np.zeros(rows.shape[1]), A_ub=rows, b_ub=program.limit, A_eq=equal[0], b_eq=equal[1], bounds=bounds
        )
        return result.status != 2


def _chebyshev(normals: np.ndarray, limits: np.ndarray) -> np.ndarray | None:
    """The centre of the largest ball inside unit rows, or None where its radius is too small."""
    states = normals.shape[1]
    objective = np.zeros(states + 1)
    objective[-1] = -1.0
    rows = np.hstack([normals, np.ones((len(normals), 1))])
    result = scipy.optimize.linprog(objective, A_ub=rows, b_ub=limits, bounds=[(None, None)] * states + [(0.0, None)])
    return result.x[:-1] if result.status == 0 and result.x[-1] > SMALLEST_RADIUS else None


def _facets(normals: np.ndarray, limits: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Which rows are not redundant, `[kept]`, and points on their facets: the middle, and beside two corners."""
    if normals.shape[1] == 1:
        sides = [np.flatnonzero(normals[:, 0] * sign > 0) for sign in (1.0, -1.0)]
        kept = [int(side[np.argmin(limits[side])]) for side in sides]
        return np.array(kept), [np.array([[limits[row] * normals[row, 0]]]) for row in kept]
    shape = scipy.spatial.HalfspaceIntersection(np.column_stack([normals, -limits]), centre)
    corners = np.unique(np.round(shape.intersections, 13), axis=0)
    kept, facets = [], []
    for row in sorted(set(_dual_rows(shape))):
        touching = corners[np.abs(corners @ normals[row] - limits[row]) <= 1e-8 * (1.0 + abs(limits[row]))]
        kept.append(row)
        middle = touching.mean(0) if len(touching) else centre
        near = [0.9 * corner + 0.1 * middle for corner in (touching[0], touching[-1])] if len(touching) else []
        facets.append(np.stack([middle, *near]))
    return np.array(kept), facets


def _dual_rows(shape: scipy.spatial.HalfspaceIntersection) -> Iterable[int]:
    return (int(row) for facet in shape.dual_facets for row in facet)
