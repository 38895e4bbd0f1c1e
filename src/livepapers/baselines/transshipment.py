"""Transshipment (a warehouse that may not hold, backlog): a lower bound on cost, and the policy it suggests.

Pool all stores while goods travel to the warehouse, and let allocation reach any division of the pooled position (the
balance assumption: stock may move between stores free of charge at that moment). With equal costs all stores then
share one fractile, the stores' newsvendor costs add up to that of one store with standard deviation sum_j sigma_j
sqrt(L_s + 1), and the whole is one newsvendor with
    sigma^2 = sigma_pool^2 L_w + (sum_j sigma_j)^2 (L_s + 1),    bound = (h + p) sigma phi(Phi^-1(p / (p + h))).
Source: Federgruen and Zipkin, Management Science, 1984; paper, setting S4.
"""

from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.demand import MultivariateNormal
from livepapers.tasks.inventory import InventoryNetwork, InventoryPolicy, InventoryState, ration


class Bound(NamedTuple):
    """What no policy can undercut."""

    cost: float  # per period, all stores together
    level: float  # position of the whole system to order up to


def lower_bound(network: InventoryNetwork, demand: MultivariateNormal) -> Bound:
    """The pooled bound for one warehouse and stores with equal costs and lead times, normal demand.

    Args:
        network: One warehouse supplied from outside, every store supplied by it alone; backlog.
        demand: One instance; the bound takes it as not clipped.
    """
    warehouse, store = _lead_times(network)
    mean, std = demand.mean[0].double(), demand.std[0].double()
    common = demand.correlation
    pooled = (1 - common) * float(std.square().sum()) + common * float(std.sum()) ** 2
    spread = (pooled * warehouse + float(std.sum()) ** 2 * (store + 1)) ** 0.5
    holding, shortage = network.stores[0].holding, float(network.shortage[0])
    quantile = float(stats.norm.ppf(shortage / (shortage + holding)))
    cost = (holding + shortage) * spread * float(stats.norm.pdf(quantile))
    return Bound(cost, float(mean.sum()) * (warehouse + store + 1) + quantile * spread)


def policy(network: InventoryNetwork, demand: MultivariateNormal) -> InventoryPolicy:
    """Order the system's position up to the bound's level; allocate all that arrives to equal fractiles.

    Equal fractiles are approached from above: a store that is already beyond its share gets nothing.
    """
    _, store = _lead_times(network)
    level = lower_bound(network, demand).level
    mean, std = demand.mean[0] * (store + 1), demand.std[0]
    is_warehouse = torch.tensor([node.kind == "warehouse" for node in network.nodes])
    to_store = torch.tensor([edge.source != "supplier" for edge in network.edges])
    target = torch.tensor([network.stores.index(network.nodes[int(i)]) for i in network.edge_target[to_store]])

    def orders(state: InventoryState) -> Tensor:
        position = state.pipeline.sum(2)
        arrived = state.pipeline[..., 0] @ is_warehouse.to(position.dtype)
        stores = position[:, network.store_index]
        wanted = _equal_fractiles(stores, arrived, mean.to(position.dtype), std.to(position.dtype))
        flows = position.new_zeros(position.shape[0], len(network.edges))
        flows[:, to_store] = wanted[:, target]
        flows[:, ~to_store] = (level - position.sum(1, keepdim=True)).clamp(min=0.0)
        return ration(network, state, flows)

    return orders


def _equal_fractiles(stores: Tensor, amount: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Divide `amount` `[B]` over `stores` `[B, S]`: equal (position - mean) / std among those that get some."""
    score = (stores - mean) / std
    order = score.argsort(1)
    ranked, width = score.gather(1, order), std.expand_as(score).gather(1, order)
    # With the k lowest stores at a common score z: sum_k std (z - score) = amount. The right k has score_k < z.
    needed = ranked * width.cumsum(1) - (ranked * width).cumsum(1)
    served = (needed < amount[:, None]).sum(1, keepdim=True).clamp(min=1) - 1
    common = (amount[:, None] + (ranked * width).cumsum(1).gather(1, served)) / width.cumsum(1).gather(1, served)
    return ((common - score) * std).clamp(min=0.0)


def _lead_times(network: InventoryNetwork) -> tuple[int, int]:
    """(into the warehouse, into the stores), or the reason why the bound does not apply."""
    if len(network.warehouses) != 1 or network.unmet != "backlog" or network.warehouses[0].may_hold:
        shown = f"{len(network.warehouses)} warehouses, {network.unmet}"
        raise InputError.of("network", shown, expected="one warehouse with may_hold false, backlog")
    outside = [edge.lead_time for edge in network.edges if edge.source == "supplier"]
    inside = {edge.lead_time for edge in network.edges if edge.source != "supplier"}
    costs = {(store.holding, store.shortage) for store in network.stores}
    if len(outside) != 1 or len(inside) != 1 or len(costs) != 1 or len(network.edges) != len(network.nodes):
        raise InputError.of(
            "network", "unequal stores", expected="stores of equal costs and lead time, fed by the warehouse"
        )
    return outside[0], inside.pop()
