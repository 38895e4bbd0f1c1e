"""Policies for inventory networks: vanilla network, graph network, and the structured rules of inventory theory.

A policy maps an `InventoryState` to orders `[B, E]` in the order of `network.edges`. Feasibility (no warehouse ships
more than it has on hand) is built into each output layer, as the simulator demands. Quantities are measured in a
fifth of the mean demand of a store, so that networks see the paper's numbers (mean demand 5) whatever the user's unit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from livepapers.blocks.networks import MLP
from livepapers.core.errors import InputError
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.inventory import InventoryNetwork, InventoryState

Features = Literal["inventory", "parameters", "series"]
"""What a network sees beside the pipelines: nothing; costs and demand moments; or costs, past demand and the season."""

EPSILON = 1e-6  # of one unit, the least denominator of proportional allocation
SMALL_START = 0.1  # of the usual initial weights, where outputs are shares of stock
TRICKLE = 1e-3  # of one unit, the least that is desired of a node which may not hold stock
YEAR = 365.25
CHRISTMAS = 359.0  # day of the year


class Policy(nn.Module):
    """What all policies share: the network, the unit, and the arguments that rebuild them from an artifact.

    Args:
        network: The inventory network, or its JSON form.
        demand_mean: Mean demand of each store, in its unit, `[S]`; sets the unit and the scale of orders.
    """

    takes = "state"  # the simulator's, not its observation
    source: Tensor  # [E]
    onto: Tensor  # [N, E] 1 where an edge leaves the node

    def __init__(self, network: InventoryNetwork | Mapping[str, Any], demand_mean: Sequence[float]) -> None:
        super().__init__()
        self.network = network if isinstance(network, InventoryNetwork) else InventoryNetwork.from_json(dict(network))
        mean = torch.tensor(list(demand_mean), dtype=torch.float64)
        if (
            mean.shape != (len(self.network.stores),)
            or not bool((mean.isfinite() & (mean >= 0)).all())
            or mean.sum() <= 0
        ):
            expected = f"{len(self.network.stores)} numbers >= 0, one a store, not all 0"
            raise InputError.of("demand_mean", list(demand_mean), expected=expected)
        self.arguments: dict[str, Any] = {"network": self.network.to_json(), "demand_mean": mean.tolist()}
        self.unit = float(mean.mean()) / 5.0
        behind = self.network.serves[self.network.edge_target].double() @ mean  # mean demand behind each edge
        nodes = len(self.network.nodes)
        sources = functional.one_hot(self.network.edge_source + 1, nodes + 1)[:, 1:]
        self.register_buffer("source", self.network.edge_source.clone(), persistent=False)
        self.register_buffer("behind", (behind / self.unit).float(), persistent=False)
        self.register_buffer("onto", sources.T.float().contiguous(), persistent=False)
        self.register_buffer("outside", (self.network.edge_source < 0).float(), persistent=False)
        empties = [float(not node.may_hold) for node in self.network.nodes]
        self.register_buffer("empties", torch.tensor(empties), persistent=False)

    behind: Tensor  # [E] in units
    outside: Tensor  # [E] 1 where the outside supplier delivers
    empties: Tensor  # [N] 1 where a node must ship everything

    def on_hand(self, state: InventoryState) -> Tensor:
        """Stock that can be shipped, `[B, N]`, in units."""
        return state.pipeline[:, :, 0].clamp(min=0.0) / self.unit

    def allocate(self, desired: Tensor, on_hand: Tensor, *, kept: Tensor | None = None) -> Tensor:
        """Proportional allocation: scale what leaves each node to what it has; supplier edges stay as they are.

        Args:
            desired: `[B, E]` >= 0, in units.
            on_hand: `[B, N]` >= 0, in units.
            kept: `[B, N]` >= 0, what a node wants to keep (the self-loop of the graph); nothing by default.

        Returns:
            `[B, E]` flows; a node that may not hold stock ships all of it.
        """
        if not len(self.network.warehouses):
            return desired
        desired = desired + TRICKLE * (self.empties @ self.onto)  # nobody asks, yet all has to go: share it equally
        wanted = desired @ self.onto.T
        if kept is not None:
            wanted = wanted + kept
        ratio = on_hand / wanted.clamp(min=EPSILON)
        # the factor 1 - 1e-6 keeps rounding from shipping a hair more than there is
        scale = torch.where(self.empties > 0, ratio, ratio.clamp(max=1.0)) * (1.0 - 1e-6)
        return desired * (scale @ self.onto + self.outside)


class VanillaPolicy(Policy):
    """One MLP on all inventories, with the output layer that the topology asks for (paper, table of architectures).

    Independent stores: softplus(z + 1), or relu for real series. Networks: sigmoid(z) x 4 x mean demand behind a
    supplier edge; a source with one receiver ships sigmoid(z) x on hand; with several, softmax over receivers and a
    constant logit 1 (stock kept) x on hand, without that logit where stock may not be held.

    Args:
        network: The inventory network, or its JSON form.
        demand_mean: Mean demand of each store, `[S]`.
        lead: Columns of the pipeline that the states carry (the largest lead time).
        hidden: Widths of the hidden layers, ELU.
        features: What it sees beside the pipelines.
        history: Past demands a state carries, for `features="series"`.
        output: Behind the output layer of independent stores.
        season: (day of the year of period 0, days a period), for `features="series"`.
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    def __init__(
        self,
        network: InventoryNetwork | Mapping[str, Any],
        demand_mean: Sequence[float],
        *,
        lead: int,
        hidden: Sequence[int] = (32, 32, 32),
        features: Features = "inventory",
        history: int = 0,
        output: Literal["softplus", "relu"] = "softplus",
        season: Sequence[float] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(network, demand_mean)
        self.arguments |= {
            "lead": lead, "hidden": list(hidden), "features": features, "history": history, "output": output,
            "season": None if season is None else list(season),
        }  # fmt: skip
        self.features, self.relu = features, output == "relu"
        self.season = None if season is None else (float(season[0]), float(season[1]))
        edges, nodes, stores = len(self.network.edges), len(self.network.nodes), len(self.network.stores)
        width = nodes * lead
        if features != "inventory":
            width += nodes + stores + edges
            width += stores * history + (season is not None) if features == "series" else 2 * stores
        # shares of stock start near one half, where a sigmoid has its largest gradient: one that saturates in the
        # first, understocked periods makes a node ship all it has for good
        shares = bool(len(self.network.warehouses))
        self.network_mlp = MLP(
            width, hidden, outputs=edges, activation="elu", output_bias=0.0 if shares else 1.0 if self.relu else None,
            output_scale=SMALL_START if shares else 1.0, generator=generator or make_generator(0, "hdpo", "weights"),
        )  # fmt: skip
        leaving = [torch.nonzero(row).flatten() for row in self.onto]
        alone = [not bool(self.empties[node]) and len(found) == 1 for node, found in enumerate(leaving)]
        self.sharing = [(node, found) for node, found in enumerate(leaving) if len(found) and not alone[node]]
        # where each edge's bound stands: its source's stock, or behind all stocks four times the mean demand
        limit = torch.where(self.source < 0, nodes + torch.arange(edges), self.source)
        self.register_buffer("limit", limit, persistent=False)
        self.register_buffer("bounds", (4.0 * self.behind)[None], persistent=False)

    limit: Tensor  # [E]
    bounds: Tensor  # [1, E]

    def forward(self, state: InventoryState) -> Tensor:
        """Orders `[B, E]`."""
        parts = [state.pipeline.flatten(1) / self.unit]
        if self.features != "inventory":
            parts += [state.holding, state.shortage, state.lead_time.to(parts[0].dtype)]
        if self.features == "series":
            parts.append(state.history.flatten(1) / self.unit)
        if self.features == "parameters":
            parts += [state.demand_mean / self.unit, state.demand_std / self.unit]
        if self.features == "series" and self.season is not None:
            parts.append(from_christmas(state.period, self.season).to(parts[0].dtype))
        logits = self.network_mlp(parts[0] if len(parts) == 1 else torch.cat(parts, 1))
        if not len(self.network.warehouses):
            return (functional.relu(logits) if self.relu else functional.softplus(logits + 1.0)) * self.unit
        return self._feasible(logits, self.on_hand(state)) * self.unit

    def _feasible(self, logits: Tensor, on_hand: Tensor) -> Tensor:
        """Supplier edges and lone receivers take a share of a bound, all at once; the others share by softmax."""
        room = torch.cat([on_hand * (1.0 - 1e-6), self.bounds.expand(len(on_hand), -1)], 1)
        orders = torch.sigmoid(logits) * room[:, self.limit]
        for node, edges in self.sharing:
            chosen = logits[:, edges]
            if not bool(self.empties[node]):
                chosen = functional.pad(chosen, (0, 1), value=1.0)
            share = torch.softmax(chosen, 1)[:, : len(edges)]
            orders = orders.index_copy(1, edges, share * room[:, node : node + 1])
        return orders


class BaseStockPolicy(Policy):
    """Order up to a level: a = max(S - inventory position, 0), at most a cap where `capped`; one number a node.

    Nodes need exactly one supplier each. Scarce stock is shared in proportion to the orders. The levels are trained by
    the same pathwise gradient as the networks.

    Args:
        network: The inventory network, or its JSON form.
        demand_mean: Mean demand of each store, `[S]`; the first levels cover lead time + 1 mean demands.
        capped: Whether orders have a cap too, starting at twice the mean demand.
    """

    def __init__(
        self, network: InventoryNetwork | Mapping[str, Any], demand_mean: Sequence[float], *, capped: bool = False
    ) -> None:
        super().__init__(network, demand_mean)
        self.arguments |= {"capped": capped}
        _require_tree(self.network, "base-stock")
        cover = self.network.lead_time.float() + 1.0
        self.levels = nn.Parameter(self.behind * cover)  # [E], in units: of the node that the edge enters
        self.caps = nn.Parameter(2.0 * self.behind) if capped else None

    def forward(self, state: InventoryState) -> Tensor:
        """Orders `[B, E]`."""
        position = state.pipeline.sum(2)[:, self.network.edge_target] / self.unit
        orders = functional.relu(self.levels - position)
        if self.caps is not None:
            orders = torch.minimum(orders, functional.relu(self.caps))
        return self.allocate(orders, self.on_hand(state)) * self.unit


class EchelonStockPolicy(Policy):
    """Order up to an echelon level: a = min(max(S_k - all stock and pipeline from k down, 0), on hand of the supplier).

    The level of a node is the sum of its receivers' levels plus softplus of its own number, so levels are ordered.

    Args:
        network: The inventory network, or its JSON form.
        demand_mean: Mean demand of each store, `[S]`.
    """

    reach: Tensor  # [E, N] 1 where a node is at or below the node that the edge enters

    def __init__(self, network: InventoryNetwork | Mapping[str, Any], demand_mean: Sequence[float]) -> None:
        super().__init__(network, demand_mean)
        _require_tree(self.network, "echelon")
        nodes, edges = (
            len(self.network.nodes),
            list(zip(self.network.edge_source.tolist(), self.network.edge_target.tolist(), strict=True)),
        )
        below = torch.eye(nodes)
        for node in reversed(self.network.order):
            for source, target in edges:
                if source == node:
                    below[node] += below[target]
        targets = self.network.edge_target
        self.register_buffer("reach", below[targets], persistent=False)
        stores = torch.isin(targets, self.network.store_index).float()
        share = (self.behind * (self.network.lead_time.float() + stores)).clamp(min=0.1)
        self.shares = nn.Parameter(share + torch.log(-torch.expm1(-share)))  # the inverse of softplus; [E]

    def levels(self) -> Tensor:
        """Echelon levels `[E]`, in units, of the node that each edge enters."""
        return self.reach[:, self.network.edge_target] @ functional.softplus(self.shares)

    def forward(self, state: InventoryState) -> Tensor:
        """Orders `[B, E]`."""
        position = (state.pipeline.sum(2) / self.unit) @ self.reach.T
        return self.allocate(functional.relu(self.levels() - position), self.on_hand(state)) * self.unit


class Rounded(nn.Module):
    """A policy whose orders are whole numbers: rounded from the supplier, rounded down from a warehouse.

    For measuring against integer optima; rounding has no gradient, so it has no place in training.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, state: InventoryState) -> Tensor:
        """Orders `[B, E]`, whole numbers."""
        orders = self.policy(state)
        return torch.where(self.policy.source < 0, orders.round(), orders.floor())


def from_christmas(period: Tensor, season: tuple[float, float]) -> Tensor:
    """Signed time to the nearest 25 December in tenths of a year, `[B] -> [B, 1]`, in [-5, 5)."""
    day = season[0] + season[1] * period.double()
    return (((day - CHRISTMAS) / YEAR + 0.5) % 1.0 - 0.5).unsqueeze(1) * 10.0


def _require_tree(network: InventoryNetwork, policy: str) -> None:
    for index, node in enumerate(network.nodes):
        count = int((network.edge_target == index).sum())
        if count != 1:
            raise InputError.of(
                "policy",
                policy,
                expected="gnn or mlp",
                cause=f"node {node.name} has {count} suppliers, this rule takes one",
            )
