"""Serial systems with backlog, solved exactly by the Clark-Scarf recursion.

Stage 1 is the store, stage K the one at the outside supplier; h_k the local holding cost, e_k = h_k - h_{k+1} the
echelon holding cost, L_k the lead time into stage k. With D(n) the demand of n periods:
    C_1(y) = E[ e_1 (y - D) + (p + h_1) (D - y)^+ ],                D = D(L_1 + 1)
    C_k(y) = E[ e_k (y - D) + C_{k-1}(min(y - D, S_{k-1})) ],       D = D(L_k),      S_k = argmin C_k
The policy that orders stage k's echelon position (all stock and pipeline at and below it) up to S_k is optimal (Clark
and Scarf, Management Science, 1960; average cost: Federgruen and Zipkin, 1984). Echelon accounting charges goods in
transit and counts stage k >= 2 before the last demand, our simulator does neither; hence the average cost here is
C_K(S_K) - mean sum_{k >= 2} (e_k + h_k L_{k-1}).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from scipy import signal, stats
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.inventory import (
    SUPPLIER,
    Edge,
    InventoryNetwork,
    InventoryPolicy,
    InventorySimulator,
    InventoryState,
    Node,
    ration,
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Optimum:
    """Optimal echelon levels and their average cost."""

    levels: tuple[float, ...]  # upstream to store, units
    cost: float  # per period, stock in transit free of charge


def serial_network(holding: Sequence[float], lead_times: Sequence[int], *, shortage: float) -> InventoryNetwork:
    """A chain supplier -> stage K -> ... -> stage 1 = store, with backlog.

    Args:
        holding: Local holding costs, upstream to store.
        lead_times: Lead time into each of them.
        shortage: Cost per unit owed at the end of a period.
    """
    names = [*(f"stage {k}" for k in range(len(holding), 1, -1)), "store"]
    nodes = tuple(Node(name, "warehouse", cost) for name, cost in zip(names[:-1], holding[:-1], strict=True))
    edges = tuple(Edge(*ends) for ends in zip([SUPPLIER, *names], names, lead_times, strict=False))
    return InventoryNetwork((*nodes, Node("store", "store", holding[-1], shortage)), edges, "backlog")


def optimal(
    holding: Sequence[float],
    lead_times: Sequence[int],
    *,
    shortage: float,
    mean: float,
    std: float,
    step: float = 0.05,
) -> Optimum:
    """Levels and cost for demand max(N(mean, std^2), 0).

    Args:
        holding: Local holding costs, upstream to store, not decreasing.
        lead_times: Lead time into each of them, periods >= 1.
        shortage: p > 0.
        mean: Of demand before clipping, > 0.
        std: Of demand before clipping, > 0.
        step: Grid of the recursion, units.
    """
    _check(holding, lead_times, shortage, mean, std)
    local, leads = list(holding)[::-1], list(lead_times)[::-1]
    echelon = [here - above for here, above in zip(local, [*local[1:], 0.0], strict=True)]
    periods = sum(leads) + 1
    one = _discretised(mean, std, step)
    margin = 8 * std * periods**0.5 + mean
    grid = np.arange(-round((margin + mean * max(leads)) / step), round((mean * periods + margin) / step) + 1) * step
    average = float(one @ np.arange(len(one))) * step
    cost = _store_cost(grid, _sum(one, leads[0] + 1), echelon[0], shortage + local[0], step)
    levels = [int(cost.argmin())]
    for own, lead in zip(echelon[1:], leads[1:], strict=True):
        below = cost[np.minimum(np.arange(len(grid)), levels[-1])]
        demand = _sum(one, lead)
        slope = below[1] - below[0]  # C is a straight line far below the levels: continue it left of the grid
        left = below[0] - slope * np.arange(len(demand) - 1, 0, -1)
        expected = signal.fftconvolve(np.concatenate([left, below]), demand, mode="valid")
        cost = own * (grid - average * lead) + expected
        levels.append(int(cost.argmin()))
    charged = sum(own + here * lead for own, here, lead in zip(echelon[1:], local[1:], leads[:-1], strict=True))
    return Optimum(tuple(round(float(grid[level]), 9) for level in levels[::-1]), float(cost.min()) - average * charged)


def policy(network: InventoryNetwork, levels: Sequence[float] | Tensor) -> InventoryPolicy:
    """Echelon base-stock: each stage orders its echelon position up to its level, as far as its predecessor has stock.

    Args:
        network: A chain, as from `serial_network`: nodes and edges upstream to store.
        levels: Upstream to store.
    """
    if [edge.target for edge in network.edges] != [node.name for node in network.nodes] or len(network.stores) != 1:
        raise InputError.of("network", f"{len(network.edges)} edges", expected="a chain, edges in the order of nodes")
    wanted = torch.as_tensor(levels)

    def orders(state: InventoryState) -> Tensor:
        position = state.pipeline.sum(2).flip(1).cumsum(1).flip(1)
        return ration(network, state, wanted.to(position.dtype) - position)

    return orders


def simulated_cost(
    simulator: InventorySimulator,
    levels: Sequence[float] | Tensor,
    *,
    batch: int,
    periods: int,
    warm_up: int,
    generator: torch.Generator,
) -> tuple[float, float]:
    """Average cost a period of the echelon base-stock policy and its standard error over `batch` traces."""
    with torch.no_grad():
        state = simulator.initial(batch, generator)
        demand = simulator.trace(state, periods, generator)
        costs = simulator.rollout(policy(simulator.network, levels), state=state, demand=demand).costs
    trace_means = costs[:, warm_up:].double().mean(1)
    return float(trace_means.mean()), float(trace_means.std() / batch**0.5)


def _store_cost(grid: Floats, demand: Floats, echelon: float, short: float, step: float) -> Floats:
    """C_1 on the grid; E(D - y)^+ falls by P(D > y) a unit, so two cumulative sums give it."""
    amounts = np.arange(len(demand)) * step
    tail = 1.0 - np.cumsum(demand)
    beyond = np.concatenate([np.cumsum(tail[::-1])[::-1] * step, [0.0]])  # E(D - y)^+ at y = 0, step, 2 step ...
    index = np.rint(grid / step).astype(np.int64)
    average = float(demand @ amounts)
    missing = np.where(index < 0, average - grid, beyond[np.clip(index, 0, len(beyond) - 1)])
    return echelon * (grid - average) + short * missing


def _discretised(mean: float, std: float, step: float) -> Floats:
    """Cell probabilities of max(N(mean, std^2), 0) at 0, step, 2 step ..."""
    edges = (np.arange(int((mean + 8 * std) / step) + 2) + 0.5) * step
    cumulative = stats.norm.cdf(edges, mean, std)
    return np.diff(np.concatenate([[0.0], cumulative])) / cumulative[-1]


def _sum(one: Floats, periods: int) -> Floats:
    """The distribution of the sum over some periods."""
    total = np.ones(1)
    for _ in range(periods):
        total = np.clip(signal.fftconvolve(total, one), 0.0, None)
    return total / total.sum()


def _check(holding: Sequence[float], lead_times: Sequence[int], shortage: float, mean: float, std: float) -> None:
    if len(holding) != len(lead_times) or not holding:
        raise InputError.of("lead_times", len(lead_times), expected=f"{len(holding)} values, one a stage")
    if any(below < above for above, below in pairwise(holding)) or holding[0] <= 0:
        cause = "value is added downstream"
        raise InputError.of(
            "holding", list(holding), expected="positive, not decreasing towards the store", cause=cause
        )
    if min(lead_times) < 1 or shortage <= 0 or mean <= 0 or std <= 0:
        shown = f"lead times {list(lead_times)}, shortage {shortage}, mean {mean}, std {std}"
        raise InputError.of("serial system", shown, expected="lead times >= 1, the others > 0")
