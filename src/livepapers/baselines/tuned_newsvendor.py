"""Newsvendor levels from the latest demand; how much of it to use, and how much safety, is tuned on known periods.

    level_k = cover_k mean_k + safety z_k std_k sqrt(cover_k)          (`base_stock.newsvendor_levels`)

with mean and standard deviation of the last `window` periods. Rolling levels are computed again in every period and so
follow the season and the trend; fixed ones are computed once. The pair (window, safety) of lowest simulated cost over
periods that are known is taken; the safety also makes up for what the formula leaves out: demand that depends on its
past, demand that is lost, procurement costs, and warehouses that run dry.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from livepapers.baselines import base_stock, newsvendors
from livepapers.tasks.inventory import InventoryNetwork, InventoryPolicy, InventorySimulator, InventoryState

SAFETIES = tuple(step / 4 for step in range(13))  # 0 to 3
SHORTEST_WINDOW = 4  # periods; windows are 4, 8, 16 ... and all that is known


class Tuning(NamedTuple):
    """What was chosen, and its cost a period where it was chosen."""

    window: int  # periods
    safety: float
    cost: float


def level_table(network: InventoryNetwork, demand: Tensor, *, window: int, safety: float = 1.0) -> Tensor:
    """Levels for each period from the `window` demands before it, `[W + 1, N]` for demand `[W, S]`.

    The first `window` periods, for which too little was known, repeat the first levels; the last row is for the period
    behind the record.
    """
    past = demand.double().unfold(0, window, 1)  # row j ends before period window + j
    levels = base_stock.newsvendor_levels(network, past.mean(2).clamp(min=0.0), past.std(2), safety=safety)
    return torch.cat([levels[:1].expand(window, -1), levels])


def policy(network: InventoryNetwork, table: Tensor, *, first: int = 0) -> InventoryPolicy:
    """Order up to the levels of the period, which is the same in all problems of a batch.

    Args:
        network: Whose orders these are.
        table: `[periods, N]`, or `[B, periods, N]` for levels by problem.
        first: The period of the table's first row.
    """
    order_up_to = base_stock.order_up_to(network)

    def orders(state: InventoryState) -> Tensor:
        return order_up_to(state, table[..., int(state.period[0]) - first, :])

    return orders


@torch.no_grad()
def tune(simulator: InventorySimulator, demand: Tensor, *, first: int, last: int, ignore: int, rolling: bool) -> Tuning:
    """The best window and safety over periods [first, last): levels in a period know only what came before it.

    Fixed levels know only what came before `first`. All pairs are simulated at once, as the problems of one batch.

    Args:
        simulator: Recorded demand of one instance.
        demand: The record, `[W, S]`.
        first: First period of the comparison, > 4.
        last: Its end.
        ignore: Periods at its start that do not count.
        rolling: Whether levels are computed again in every period.
    """
    windows = [window for window in (SHORTEST_WINDOW << step for step in range(30)) if window < first]
    pairs = [(window, safety) for window in (*windows, first) for safety in SAFETIES]
    network, periods = simulator.network, last - first
    tables = [
        level_table(network, demand[: last - 1], window=window, safety=safety)[first:last] for window, safety in pairs
    ]
    table = torch.stack([table if rolling else table[:1].expand(periods, -1) for table in tables])
    state, trace = newsvendors.replay(simulator, first, last)
    many = InventoryState(*(part.expand(len(pairs), *part.shape[1:]) for part in state))
    rule = policy(network, table, first=first)
    costs = simulator.rollout(rule, state=many, demand=trace.expand(len(pairs), -1, -1)).costs
    means = costs[:, ignore:].double().mean(1)
    best = int(means.argmin())
    return Tuning(*pairs[best], cost=float(means[best]))
