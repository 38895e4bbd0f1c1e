"""The graph network policy: weights shared over nodes and edges, so that a few traces teach all stores at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from livepapers.blocks.networks import MLP
from livepapers.core.errors import InputError
from livepapers.core.rng import generator as make_generator
from livepapers.methods.hdpo.policies import Features, Policy, from_christmas
from livepapers.tasks.inventory import InventoryNetwork, InventoryState


class GraphPolicy(Policy):
    """A graph network on the supply network: five shared MLPs, message passing, proportional allocation.

    Nodes are all locations; directed edges are internal, supplier -> node, store -> customer, and a self-loop on
    every node that supplies others and may hold stock ("keep"). Supplier and customer are virtual nodes of zeros.

        e = initial_edge([n_source, n_target, lead time]),   n = initial_node(features)
        n <- n + node_update([n, sum of incoming e / sqrt(in-degree), sum of outgoing e / sqrt(out-degree)])
        e <- e + edge_update([e, n_source, n_target])
        desired flow = softplus(output(e)), then proportional allocation

    Args:
        network: The inventory network, or its JSON form.
        demand_mean: Mean demand of each store, `[S]`.
        lead: Columns of the pipeline that the states carry.
        hidden: Widths of the hidden layers of all five MLPs; embeddings have the last width.
        features: "parameters" (demand moments) or "series" (past demand and season); costs are always seen.
        history: Past demands a state carries, for `features="series"`.
        season: (day of the year of period 0, days a period), for `features="series"`.
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    def __init__(
        self,
        network: InventoryNetwork | Mapping[str, Any],
        demand_mean: Sequence[float],
        *,
        lead: int,
        hidden: Sequence[int] = (32, 32),
        features: Features = "parameters",
        history: int = 0,
        season: Sequence[float] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(network, demand_mean)
        self.arguments |= {
            "lead": lead, "hidden": list(hidden), "features": features, "history": history,
            "season": None if season is None else list(season),
        }  # fmt: skip
        if features == "inventory":
            raise InputError.of("features", features, expected="parameters or series", cause="they tell stores apart")
        self.features = features
        self.season = None if season is None else (float(season[0]), float(season[1]))
        width = lead + 2 + (history + (season is not None) if features == "series" else 2)
        size = hidden[-1]
        draw = generator or make_generator(0, "hdpo", "weights")

        def shared(inputs: int, outputs: int, bias: float | None = None) -> MLP:
            return MLP(inputs, hidden, outputs=outputs, activation="elu", generator=draw, output_bias=bias)

        self.initial_node, self.initial_edge = shared(width, size), shared(2 * size + 1, size)
        self.node_update, self.edge_update = shared(3 * size, size), shared(3 * size, size)
        self.output = shared(size, 1, 5.0)
        self.steps = max(1, _depth(self.network))
        self._lay_out_edges()

    gather: Tensor  # [2 K, N] rows of sources, then of targets, of the K edges
    incoming: Tensor  # [N, K] 1 / sqrt(in-degree) where an edge enters
    outgoing: Tensor
    stores: Tensor  # [S, N] one-hot
    loops: Tensor  # node positions of self-loops

    def _lay_out_edges(self) -> None:
        """Edges in fixed order: those of the network, store -> customer, self-loops."""
        network, nodes = self.network, len(self.network.nodes)
        keepers = [i for i, node in enumerate(network.nodes) if node.kind == "warehouse" and node.may_hold]
        stores = network.store_index.tolist()
        sources = [*network.edge_source.tolist(), *stores, *keepers]
        targets = [*network.edge_target.tolist(), *([-1] * len(stores)), *keepers]
        source = functional.one_hot(torch.tensor(sources) + 1, nodes + 1)[:, 1:].float()
        target = functional.one_hot(torch.tensor(targets) + 1, nodes + 1)[:, 1:].float()
        self.register_buffer("gather", torch.cat([source, target]), persistent=False)
        self.register_buffer(
            "incoming", (target / target.sum(0).clamp(min=1.0).sqrt()).T.contiguous(), persistent=False
        )
        self.register_buffer(
            "outgoing", (source / source.sum(0).clamp(min=1.0).sqrt()).T.contiguous(), persistent=False
        )
        self.register_buffer("stores", functional.one_hot(network.store_index, nodes).float(), persistent=False)
        self.register_buffer("loops", torch.tensor(keepers, dtype=torch.int64), persistent=False)

    def forward(self, state: InventoryState) -> Tensor:
        """Orders `[B, E]`."""
        nodes = self.initial_node(self._node_features(state))  # [N, B, size]: gathering is one matrix product
        batch, edges = nodes.shape[1], len(self.network.edges)
        lead = functional.pad(state.lead_time.to(nodes.dtype), (0, self.incoming.shape[1] - edges)).T.unsqueeze(2)
        both = self._both_ends(nodes, batch)
        links = self.initial_edge(torch.cat([*both, lead], 2))
        for _ in range(self.steps):
            flat = links.flatten(1)
            arriving = (self.incoming @ flat).view(nodes.shape)
            leaving = (self.outgoing @ flat).view(nodes.shape)
            nodes = nodes + self.node_update(torch.cat([nodes, arriving, leaving], 2))
            links = links + self.edge_update(torch.cat([links, *self._both_ends(nodes, batch)], 2))
        flowing = torch.cat([links[:edges], links[edges + self.stores.shape[0] :]])
        desired = functional.softplus(self.output(flowing)).squeeze(2).T  # [B, E + self-loops]
        kept = None
        if len(self.loops):
            kept = torch.zeros_like(state.holding).index_copy(1, self.loops, desired[:, edges:])
        return self.allocate(desired[:, :edges], self.on_hand(state), kept=kept) * self.unit

    def _both_ends(self, nodes: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        ends = (self.gather @ nodes.flatten(1)).view(self.gather.shape[0], batch, -1)
        half = self.gather.shape[0] // 2
        return ends[:half], ends[half:]

    def _node_features(self, state: InventoryState) -> Tensor:
        columns = [state.pipeline / self.unit, state.holding.unsqueeze(2)]
        local = [state.shortage.unsqueeze(2)]
        if self.features == "series":
            local.append(state.history / self.unit)
        else:
            local += [state.demand_mean.unsqueeze(2) / self.unit, state.demand_std.unsqueeze(2) / self.unit]
        if self.features == "series" and self.season is not None:
            season = from_christmas(state.period, self.season).to(columns[0].dtype)
            local.append(season.unsqueeze(1).expand(-1, self.stores.shape[0], -1))
        at_stores = torch.cat(local, 2)  # [B, S, F]; warehouses get zeros
        columns.append(self.stores.T @ at_stores)
        return torch.cat(columns, 2).transpose(0, 1)


def _depth(network: InventoryNetwork) -> int:
    """Internal edges on the longest way from a first warehouse to a store."""
    depth = dict.fromkeys(range(len(network.nodes)), 0)
    for node in network.order:
        for source, target in zip(network.edge_source.tolist(), network.edge_target.tolist(), strict=True):
            if source == node:
                depth[target] = max(depth[target], depth[node] + 1)
    return max(depth.values())
