"""What a lot-sizing plant would have cost at least, had all demand been known: a mixed-integer program.

For one demand path D[t, i] and a start: x[t, m, i] = 1 where machine m makes i in t (at most one item a period),
y >= the change x[t] - x[t - 1], stock I, shortage s, and units thrown away d, all >= 0:
    minimise    sum cost[m, i] y + lost_sale[i] s + holding[i] I
    subject to  I[t, i] = I[t - 1, i] + sum_m (units[m, i] x - loss[m, i] y) - D[t, i] + s - d,   I <= capacity.
Units may be thrown away below the capacity too and shortage declared early, which no policy can do; every policy on the
same path therefore costs at least the optimum, and the solver's dual bound is a lower bound even if it is stopped.

Relaxed, a machine would make many items at once, a little of each, and never change. Two families of inequalities that
every whole-numbered schedule satisfies stand against it, for windows [a, b] of periods and each item i; a run is a
stretch of periods in which some machine makes i, and r(a, t) = sum_m (x[a, m, i] + y[a + 1, m, i] + ... + y[t, m, i])
counts at least those that meet [a, t]:
    what a run makes is demanded during it or stored at its end:
        sum (units x - loss y) - sum d <= capacity r(a, b) + sum_t D[t, i] sum_m x[t, m, i];
    until the first run, demand is met from stock or lost:
        I[a - 1, i] + sum s >= sum_t D[t, i] (1 - r(a, t)).
Solver: HiGHS, through `scipy.optimize.milp`.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse

from livepapers.core import loop
from livepapers.tasks.lot_sizing import Scenario
from livepapers.tasks.lot_sizing_plant import LotSizingPlant


@dataclass(frozen=True)
class Bound:
    """What is known of the least cost of one path."""

    bound: float  # no policy costs less
    solution: float  # value of the program's best solution, which may throw units away; infinite if none was found
    seconds: float
    actions: np.ndarray | None  # [T, M] of that solution; what they cost in the plant is for its simulator to say

    @property
    def gap(self) -> float:
        """How far the bound may lie below the program's optimum, as a share of the solution; 1 when none was found.

        The least cost of the plant may lie further above: no policy can throw units away, see the module.
        """
        if not np.isfinite(self.solution):
            return 1.0
        return (self.solution - self.bound) / max(abs(self.solution), 1e-12)


def hindsight_bounds(
    plant: LotSizingPlant,
    scenario: Scenario,
    *,
    paths: int,
    seconds: float = 20.0,
    nodes: int | None = None,
    gap: float = 1e-4,
) -> list[Bound]:
    """Solve the first `paths` paths of a scenario, each told to `core.loop`'s listener; see `hindsight_bound`."""
    inventory, setup = scenario.state.inventory.double().numpy(), scenario.state.setup.numpy()
    demand = scenario.demand.double().numpy()
    return [
        hindsight_bound(plant, demand[k], inventory=inventory[k], setup=setup[k], seconds=seconds, nodes=nodes, gap=gap)
        for k in loop.counted(range(min(paths, len(demand))), name="hindsight bounds")
    ]


def hindsight_bound(
    plant: LotSizingPlant,
    demand: np.ndarray,
    *,
    inventory: np.ndarray,
    setup: np.ndarray,
    seconds: float = 20.0,
    nodes: int | None = None,
    gap: float = 1e-4,
) -> Bound:
    """Solve one path.

    Args:
        plant: Costs and productivities.
        demand: `[T, N]`.
        inventory: `[N]` at the start.
        setup: `[M]` int, item + 1 or 0.
        seconds: Time limit of the solver. A bound that it cuts short depends on the machine and its load.
        nodes: Limit on the solver's branch-and-bound nodes, None for none. A bound that it cuts short is the same
            every time, as long as `seconds` are enough.
        gap: Relative gap at which it stops.

    Returns:
        The bound; 0, below which no cost lies, where the solver has none when it is stopped.
    """
    began = time.monotonic()
    limits = {"time_limit": seconds, "mip_rel_gap": gap, **({} if nodes is None else {"node_limit": nodes})}
    program = _Program(plant, np.asarray(demand, dtype=float), np.asarray(inventory, dtype=float), np.asarray(setup))
    result = optimize.milp(
        program.objective(), constraints=program.constraints(), bounds=program.bounds(),
        integrality=program.integrality(), options=limits,
    )  # fmt: skip
    bound = getattr(result, "mip_dual_bound", None)
    found = result.x is not None
    return Bound(
        # costs are sums of terms >= 0, and rounding in the solver may lift its bound a hair above the truth
        bound=max(0.0, float(bound) * (1.0 - 1e-7)) if bound is not None and np.isfinite(bound) else 0.0,
        solution=float(result.fun) if found else float("inf"),
        seconds=time.monotonic() - began,
        actions=program.actions(result.x) if found else None,
    )


class _Program:
    """Columns in blocks x, y `[T, M, N]` (pairs that make something), then I, s, d `[T, N]`."""

    def __init__(self, plant: LotSizingPlant, demand: np.ndarray, inventory: np.ndarray, setup: np.ndarray) -> None:
        self.plant, self.demand, self.inventory, self.setup = plant, demand, inventory, setup
        self.periods, self.items = demand.shape
        # a pair that makes nothing costs, loses, and may only serve to throw stock away: no schedule needs it
        self.pairs = np.argwhere(plant.units[:, 1:].numpy() > 0)  # [K, 2] machine, item
        self.width = len(self.pairs)
        self.binary, self.stock = self.periods * self.width, self.periods * self.items

    def objective(self) -> np.ndarray:
        cost = self._pair(self.plant.setup_cost)
        holding, lost = self.plant.holding.double().numpy(), self.plant.lost_sale.double().numpy()
        return np.concatenate([
            np.zeros(self.binary), np.tile(cost, self.periods), np.tile(holding, self.periods),
            np.tile(lost, self.periods), np.zeros(self.stock),
        ])  # fmt: skip

    def integrality(self) -> np.ndarray:
        return np.concatenate([np.ones(self.binary), np.zeros(self.binary + 3 * self.stock)])

    def bounds(self) -> optimize.Bounds:
        capacity = np.tile(self.plant.capacity.double().numpy(), self.periods)
        upper = [np.ones(2 * self.binary), capacity, np.full(2 * self.stock, np.inf)]
        return optimize.Bounds(0.0, np.concatenate(upper))  # pyright: ignore[reportArgumentType]  # see `_rows`

    def constraints(self) -> list[optimize.LinearConstraint]:
        return [self._one_item(), self._changes(), self._balance(), *self._runs()]

    def actions(self, solution: np.ndarray) -> np.ndarray:
        """`[T, M]` of a solution."""
        chosen = solution[: self.binary].reshape(self.periods, self.width) > 0.5
        actions = np.zeros((self.periods, len(self.plant.machines)), dtype=np.int64)
        for t, k in np.argwhere(chosen):
            actions[t, self.pairs[k, 0]] = self.pairs[k, 1] + 1
        return actions

    def _pair(self, table) -> np.ndarray:
        return table[:, 1:].double().numpy()[self.pairs[:, 0], self.pairs[:, 1]]

    def _one_item(self) -> optimize.LinearConstraint:
        belongs = sparse.csr_array(
            (np.ones(self.width), (self.pairs[:, 0], np.arange(self.width))),
            shape=(len(self.plant.machines), self.width),
        )
        matrix = sparse.hstack(
            [sparse.kron(sparse.eye_array(self.periods), belongs), self._empty(self.periods * len(self.plant.machines))]
        )
        return _rows(matrix.tocsr(), upper=1.0)

    def _changes(self) -> optimize.LinearConstraint:
        """y[t] >= x[t] - x[t - 1], x[-1] given by the start's set-ups."""
        shift = sparse.eye_array(self.periods) - sparse.eye_array(self.periods, k=-1)
        step = sparse.kron(shift, sparse.eye_array(self.width))
        matrix = sparse.hstack([step, -sparse.eye_array(self.binary), self._stocks(self.binary)])
        upper = np.zeros(self.binary)
        upper[: self.width] = self.setup[self.pairs[:, 0]] == self.pairs[:, 1] + 1
        return _rows(matrix.tocsr(), upper=upper)

    def _balance(self) -> optimize.LinearConstraint:
        """I[t] - I[t - 1] - made + lost in set-ups - s + d = -D[t]."""
        onto = [self.pairs[:, 1], np.arange(self.width)]
        units = sparse.csr_array((self._pair(self.plant.units), onto), shape=(self.items, self.width))
        loss = sparse.csr_array((self._pair(self.plant.setup_loss), onto), shape=(self.items, self.width))
        each, whole = sparse.eye_array(self.periods), sparse.eye_array(self.stock)
        shift = each - sparse.eye_array(self.periods, k=-1)
        matrix = sparse.hstack([
            -sparse.kron(each, units), sparse.kron(each, loss), sparse.kron(shift, sparse.eye_array(self.items)),
            -whole, whole,
        ])  # fmt: skip
        right = -self.demand.flatten()
        right[: self.items] += self.inventory
        return _rows(matrix.tocsr(), lower=right, upper=right)

    def _runs(self) -> list[optimize.LinearConstraint]:
        """The two families of inequalities over windows of periods, as rows >= lower."""
        units, loss, capacity = self._pair(self.plant.units), self._pair(self.plant.setup_loss), self.plant.capacity
        entries = _Entries()
        first_stock = 2 * self.binary
        for (first, last), item in itertools.product(_windows(self.periods), range(self.items)):
            pairs = np.flatnonzero(self.pairs[:, 1] == item)
            span, demand = np.arange(first, last + 1), self.demand[first : last + 1, item]
            x = span[:, None] * self.width + pairs  # columns [periods of the window, pairs]
            y, stocks = self.binary + x[1:], first_stock + span * self.items + item
            room = np.zeros((len(span), 1))
            room[0] = float(capacity[item])
            entries.add(x, demand[:, None] - units[pairs] + room)
            entries.add(self.binary + x[:1], np.broadcast_to(loss[pairs], (1, len(pairs))))
            entries.add(y, loss[pairs] + np.full((len(span) - 1, 1), room[0]))
            entries.add(stocks + 2 * self.stock, np.ones(len(span)))
            entries.end(0.0)
            entries.add(x[:1], np.full((1, len(pairs)), demand.sum()))
            entries.add(y, np.repeat(demand[::-1].cumsum()[::-1][1:, None], len(pairs), 1))
            entries.add(stocks + self.stock, np.ones(len(span)))
            if first:
                entries.add(stocks[:1] - self.items, np.ones(1))
            entries.end(demand.sum() - (self.inventory[item] if first == 0 else 0.0))
        return [_rows(entries.matrix(2 * self.binary + 3 * self.stock), lower=np.array(entries.lower))]

    def _empty(self, rows: int) -> sparse.coo_array:
        return sparse.coo_array((rows, self.binary + 3 * self.stock))

    def _stocks(self, rows: int) -> sparse.coo_array:
        return sparse.coo_array((rows, 3 * self.stock))


class _Entries:
    """Rows of a sparse matrix that are written one after the other, each with its lower limit."""

    def __init__(self) -> None:
        self.lower: list[float] = []
        self._rows: list[np.ndarray] = []
        self._columns: list[np.ndarray] = []
        self._values: list[np.ndarray] = []

    def add(self, columns: np.ndarray, values: np.ndarray) -> None:
        """Add entries of one shape to the row that is being written."""
        self._rows.append(np.full(columns.size, len(self.lower)))
        self._columns.append(columns.ravel())
        self._values.append(values.ravel())

    def end(self, lower: float) -> None:
        """Go on to the next row."""
        self.lower.append(lower)

    def matrix(self, width: int) -> sparse.csr_array:
        """The rows so far, without zeros."""
        places = (np.concatenate(self._rows), np.concatenate(self._columns))
        made = sparse.csr_array((np.concatenate(self._values), places), shape=(len(self.lower), width))
        made.eliminate_zeros()
        made.sort_indices()
        return made


def _rows(
    matrix: sparse.sparray | sparse.spmatrix, *, lower: np.ndarray | float = -np.inf, upper: np.ndarray | float = np.inf
) -> optimize.LinearConstraint:
    """Lower <= matrix @ columns <= upper. SciPy has no types: from the defaults, its bounds pass for single numbers."""
    return optimize.LinearConstraint(matrix, lower, upper)  # pyright: ignore[reportArgumentType]


def _windows(periods: int) -> Iterator[tuple[int, int]]:
    """(First, last) periods of half-overlapping windows of 4, 8, 16, ... periods, and of the whole path."""
    length = 4
    while length < periods:
        for first in range(0, periods - length + 1, length // 2):
            yield first, first + length - 1
        length *= 2
    yield 0, periods - 1
