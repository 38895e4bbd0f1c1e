"""Base-stock policies: the exact optimum of one store with backlog, and order-up-to levels for any network.

A store with normal demand, backlog and lead time L orders up to S* = mu (L + 1) + z sigma sqrt(L + 1) with
z = Phi^-1(p / (p + h)), and pays C* = (h + p) sigma sqrt(L + 1) phi(z) a period: an order placed in t is usable before
the demand of t + L, so the level covers L + 1 demands (Zipkin, Foundations of Inventory Management, 2000, section 6.2).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from scipy import special
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventoryPolicy, InventoryState, ration


class BaseStock(NamedTuple):
    """An order-up-to level and what it costs."""

    level: float  # units: on hand plus on order, after ordering
    cost: float  # per period


def optimal(mean: float, std: float, *, lead_time: int, holding: float, shortage: float) -> BaseStock:
    """The optimum of one store with independent normal demand and backlog.

    Args:
        mean: Of demand, units a period.
        std: Of demand, >= 0.
        lead_time: Periods, >= 1.
        holding: Cost per unit left at the end of a period, > 0.
        shortage: Cost per unit owed at the end of a period, > 0.
    """
    if std < 0 or lead_time < 1 or holding <= 0 or shortage <= 0:
        shown = f"std {std}, lead_time {lead_time}, holding {holding}, shortage {shortage}"
        raise InputError.of("base stock", shown, expected="std >= 0, lead_time >= 1, positive costs")
    quantile = float(special.ndtri(shortage / (shortage + holding)))
    spread = std * (lead_time + 1) ** 0.5
    cost = (holding + shortage) * spread * math.exp(-(quantile**2) / 2.0) / math.sqrt(2.0 * math.pi)
    return BaseStock(mean * (lead_time + 1) + quantile * spread, cost)


def newsvendor_levels(network: InventoryNetwork, mean: Tensor, std: Tensor, *, safety: float = 1.0) -> Tensor:
    """Installation levels `[..., N]` for any network: each node covers its lead time plus one period at its fractile.

    A rule of thumb for comparison, exact for a single store. A warehouse sees the (uncorrelated) sum of the demand
    behind it and takes the mean shortage cost of those stores; a node that may not hold covers its lead time only.

    Args:
        network: Whose nodes get levels.
        mean: Demand means of the stores, `[..., S]`.
        std: Their standard deviations, `[..., S]`.
        safety: Factor of the safety stock.
    """
    flow = network.flow
    mean, std = mean.double(), std.double()
    levels = torch.zeros(*mean.shape[:-1], len(network.nodes), dtype=torch.float64)
    for index, node in enumerate(network.nodes):
        lead = _chosen_edge(network, index).lead_time
        behind = flow[index]
        shortage = float((behind * network.shortage).sum() / behind.sum().clamp(min=1e-12))
        fractile = shortage / (shortage + node.holding) if node.may_hold else 0.5
        cover = lead + (1 if node.may_hold else 0)
        spread = (behind * std).square().sum(-1).sqrt() * cover**0.5
        quantile = safety * float(special.ndtri(min(fractile, 0.9999)))
        levels[..., index] = ((mean @ behind) * cover + quantile * spread).clamp(min=0.0)
    return levels


def policy(network: InventoryNetwork, levels: Tensor) -> InventoryPolicy:
    """Order up to a level at every node over its cheapest edge, rationed where a warehouse has too little.

    Args:
        network: Whose orders these are.
        levels: `[N]`, or `[B, N]` for levels by problem.
    """
    orders = order_up_to(network)
    return lambda state: orders(state, levels)


def order_up_to(network: InventoryNetwork) -> Callable[[InventoryState, Tensor], Tensor]:
    """Orders as a function of a state and of levels `[N]` or `[B, N]`, for levels that change; see `policy`."""
    chosen = torch.tensor([network.edges.index(_chosen_edge(network, index)) for index in range(len(network.nodes))])

    def orders(state: InventoryState, levels: Tensor) -> Tensor:
        missing = (levels.to(state.pipeline.dtype) - state.pipeline.sum(2)).clamp(min=0.0)
        wanted = missing.new_zeros(missing.shape[0], len(network.edges)).index_copy(1, chosen, missing)
        return ration(network, state, wanted)

    return orders


def _chosen_edge(network: InventoryNetwork, node: int) -> Edge:
    edges = [edge for edge in network.edges if edge.target == network.nodes[node].name]
    return min(edges, key=lambda edge: (edge.cost, edge.lead_time))
