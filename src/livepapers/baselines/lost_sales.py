"""One store with lost sales and Poisson demand, solved exactly: the optimum, and what simple policies cost.

State x = (x_0 on hand, x_1, ..., x_{L-1} on order), arrivals of the period included; order z >= 0. A period costs
c(x_0) = E[h (x_0 - D)^+ + p (D - x_0)^+] and leads to ((x_0 - D)^+ + x_1, x_2, ..., x_{L-1}, z). Relative value
iteration: the smallest and largest change of the value function bound the optimal average cost from both sides
(Puterman, Markov Decision Processes, 1994, theorem 8.5.5); the midpoint is reported when they are `span` apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch
from scipy import stats
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.inventory import InventoryPolicy, InventoryState

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

TAIL = 1e-3  # probability that one demand exceeds the largest order considered
STOCK_TAIL = 1e-4  # probability that demand over L + 1 periods exceeds the largest stock on hand considered
SWEEPS = 20_000


@dataclass(frozen=True)
class Optimum:
    """The optimal average cost and a policy that attains it."""

    cost: float  # per period
    gap: float  # half the distance between the bounds that enclose the cost
    orders: npt.NDArray[np.int16]  # [x_0, ..., x_{L-1}]
    sweeps: int

    def policy(self) -> InventoryPolicy:
        """The optimal orders for the one edge of a one-store network; stock is rounded down to whole units."""
        table = torch.from_numpy(self.orders.astype(np.int64))
        top = torch.tensor(table.shape) - 1

        def orders(state: InventoryState) -> Tensor:
            index = state.pipeline[:, 0, : table.dim()].floor().long().clamp(min=0).minimum(top)
            return table[tuple(index.unbind(1))].to(state.pipeline.dtype)[:, None]

        return orders


class Structured(NamedTuple):
    """The best policy of a family: order min(max(level - position, 0), cap)."""

    level: int
    cap: int | None
    cost: float  # per period, exact


def optimal(rate: float, *, lead_time: int, holding: float, shortage: float, span: float = 1e-4) -> Optimum:
    """Solve the problem by relative value iteration.

    Args:
        rate: Mean of the Poisson demand, units a period.
        lead_time: L in periods, 1 to 4 (the state has L coordinates).
        holding: Cost per unit left, >= 0.
        shortage: Cost per unit of lost demand, > 0.
        span: Distance of the bounds on the average cost at which to stop.
    """
    _check(rate, lead_time, holding, shortage)
    most = int(stats.poisson.isf(TAIL, rate))
    top = max(int(stats.poisson.isf(STOCK_TAIL, rate * (lead_time + 1))), most) + most * (lead_time == 1)
    leftover = _leftover(rate, top)
    cost = _period_cost(rate, top, holding, shortage)
    if lead_time == 1:
        return _optimal_short(leftover, cost, most, span)
    rest = most + 1
    width = rest ** (lead_time - 2)
    after = np.minimum(np.arange(top + 1)[:, None] + np.arange(rest), top)  # [r, x_1] -> on hand of the next period
    # The value function is kept as V[z, y_0, (y_1 .. y_{L-2})], the newest order first: minima then run along axis 0.
    value = np.zeros((rest, top + 1, width))
    shape = (top + 1, rest, *[rest] * (lead_time - 2))
    swept = np.empty((top + 1, rest, width))
    chosen = np.zeros((top + 1, rest, width), dtype=np.int16)
    for sweep in range(1, SWEEPS + 1):
        for one in range(rest):
            expected = leftover @ value[:, after[:, one]]  # [z, x_0, (x_2 .. x_{L-1})]
            np.min(expected, axis=0, out=swept[:, one])
        swept += cost[:, None, None]
        new = np.ascontiguousarray(np.moveaxis(swept.reshape(shape), -1, 0)).reshape(value.shape)
        low, high = float((new - value).min()), float((new - value).max())
        value = new - new[0, 0, 0]
        if high - low < span:
            for one in range(rest):
                chosen[:, one] = (leftover @ value[:, after[:, one]]).argmin(0)
            return Optimum((low + high) / 2, (high - low) / 2, chosen.reshape(shape), sweep)
    raise ArithmeticError(f"value iteration: bounds still over {span:.2g} apart after {SWEEPS} sweeps")


def best_base_stock(rate: float, *, lead_time: int, holding: float, shortage: float) -> Structured:
    """The best order-up-to level, by exact evaluation of each level around the best one."""
    _check(rate, lead_time, holding, shortage)
    start = int(stats.poisson.ppf(shortage / (shortage + holding), rate * (lead_time + 1)))
    costs: dict[int, float] = {}

    def cost(level: int) -> float:
        if level not in costs:
            costs[level] = average_cost(
                base_stock_orders(level, None), rate, lead_time=lead_time, holding=holding, shortage=shortage
            )
        return costs[level]

    level = _descend(cost, start)
    return Structured(level, None, cost(level))


def best_capped_base_stock(rate: float, *, lead_time: int, holding: float, shortage: float) -> Structured:
    """The best order-up-to level with a cap on orders (Xin, Operations Research, 2021), by exact evaluation."""
    plain = best_base_stock(rate, lead_time=lead_time, holding=holding, shortage=shortage)
    best = plain
    for cap in range(max(int(rate), 1), int(rate + 3 * rate**0.5) + 2):

        def cost(level: int, cap: int = cap) -> float:
            orders = base_stock_orders(level, cap)
            return average_cost(orders, rate, lead_time=lead_time, holding=holding, shortage=shortage)

        level = _descend(cost, best.level)
        found = cost(level)
        best = min(best, Structured(level, cap, found), key=lambda one: one.cost)
    return best


def base_stock_orders(level: int, cap: int | None) -> Callable[[Whole], Whole]:
    """Orders for states `[M, L]`: up to `level`, at most `cap`."""

    def orders(states: Whole) -> Whole:
        wanted = np.maximum(level - states.sum(1), 0)
        return wanted if cap is None else np.minimum(wanted, cap)

    return orders


def average_cost(
    orders: Callable[[Whole], Whole],
    rate: float,
    *,
    lead_time: int,
    holding: float,
    shortage: float,
    span: float = 1e-5,
) -> float:
    """The exact average cost of a stationary policy: value iteration over the states it can reach from empty.

    Args:
        orders: Whole orders `[M]` for states `[M, L]`.
        rate: Mean of the Poisson demand.
        lead_time: L in periods, 1 to 7.
        holding: Cost per unit left.
        shortage: Cost per unit of lost demand.
        span: Distance of the bounds at which to stop.
    """
    codes, rows, columns, weights = _reach(orders, rate, lead_time)
    chain = scipy.sparse.csr_matrix((weights, (rows, columns)), shape=(len(codes), len(codes)))
    on_hand = codes % _BASE
    cost = _period_cost(rate, int(on_hand.max()), holding, shortage)[on_hand]
    value = np.zeros(len(codes))
    for _ in range(SWEEPS):
        new = cost + chain @ value
        low, high = float((new - value).min()), float((new - value).max())
        value = new - new[0]
        if high - low < span:
            return (low + high) / 2
    raise ArithmeticError(f"policy evaluation: bounds still over {span:.2g} apart after {SWEEPS} sweeps")


_BASE = 512  # units a coordinate; states are coded as numbers, x_0 the lowest digit


def _reach(orders: Callable[[Whole], Whole], rate: float, lead_time: int) -> tuple[Whole, Whole, Whole, Floats]:
    """All states from empty on, as sorted codes, and their transitions as (row, column, probability)."""
    powers = _BASE ** np.arange(lead_time, dtype=np.int64)
    known = np.zeros(1, dtype=np.int64)
    frontier = known
    links: list[tuple[Whole, Whole, Floats]] = []
    while len(frontier):
        states = frontier[:, None] // powers % _BASE
        placed = orders(states)
        counts = states[:, 0] + 1
        source = np.repeat(np.arange(len(states)), counts)
        left = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)  # 0 .. x_0 for each state
        sold = states[source, 0] - left
        weight = np.where(left == 0, stats.poisson.sf(sold - 1, rate), stats.poisson.pmf(sold, rate))
        following = np.column_stack([states[source][:, 1:], placed[source]])
        following[:, 0] += left
        code = following @ powers
        links.append((frontier[source], code, weight))
        frontier = np.setdiff1d(code, known)
        known = np.union1d(known, frontier)
    rows, columns, weights = (np.concatenate(each) for each in zip(*links, strict=True))
    return known, np.searchsorted(known, rows), np.searchsorted(known, columns), weights


def _optimal_short(leftover: Floats, cost: Floats, most: int, span: float) -> Optimum:
    """L = 1: the order arrives before the next demand, so the state is x_0 alone."""
    top = len(cost) - 1
    after = np.minimum(np.arange(top + 1)[:, None] + np.arange(2 * most + 1), top)  # [r, z]
    value = np.zeros(top + 1)
    for sweep in range(1, SWEEPS + 1):
        expected = leftover @ value[after]
        new = cost + expected.min(1)
        low, high = float((new - value).min()), float((new - value).max())
        value = new - new[0]
        if high - low < span:
            return Optimum((low + high) / 2, (high - low) / 2, expected.argmin(1).astype(np.int16), sweep)
    raise ArithmeticError(f"value iteration: bounds still over {span:.2g} apart after {SWEEPS} sweeps")


def _leftover(rate: float, top: int) -> Floats:
    """P((x_0 - D)^+ = r), `[x_0, r]`."""
    stock, left = np.arange(top + 1)[:, None], np.arange(top + 1)
    matrix = np.where(left <= stock, stats.poisson.pmf(stock - left, rate), 0.0)
    matrix[:, 0] = stats.poisson.sf(stock[:, 0] - 1, rate)
    return matrix


def _period_cost(rate: float, top: int, holding: float, shortage: float) -> Floats:
    """c(x_0) for x_0 = 0 .. top, in closed form: E(x - D)^+ adds P(D <= x) from each x to the next."""
    stock = np.arange(top + 1)
    left = np.concatenate([[0.0], np.cumsum(stats.poisson.cdf(stock[:-1], rate))])
    return holding * left + shortage * (left - stock + rate)


def _descend(cost: Callable[[int], float], start: int) -> int:
    """Walk downhill over whole numbers from `start`."""
    best = start
    for step in (-1, 1):
        while best + step >= 0 and cost(best + step) < cost(best):
            best += step
    return best


def _check(rate: float, lead_time: int, holding: float, shortage: float) -> None:
    if not 0 < rate <= 30:
        raise InputError.of("rate", rate, expected="a number in (0, 30]", cause="states grow with the rate")
    if not 1 <= lead_time <= 4:
        raise InputError.of(
            "lead_time", lead_time, expected="1 to 4 periods", cause="the exact state has L coordinates"
        )
    if holding < 0 or shortage <= 0:
        raise InputError.of("costs", f"{holding}, {shortage}", expected="holding >= 0, shortage > 0")
