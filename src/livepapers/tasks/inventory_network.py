"""What an inventory network is: stores, warehouses, and the edges goods travel on; read from YAML, JSON or Python."""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from livepapers.core.config import config_dataclass, setting
from livepapers.core.errors import InputError, one_line
from livepapers.tasks.documents import read_checked

SUPPLIER = "supplier"
"""The name of the outside supplier in `Edge.source`: never out of stock, owns nothing."""

LONGEST_LEAD = 400  # periods; the state holds one column a period
LARGEST_COST = 1e9


@config_dataclass
class Node:
    """A place that holds stock."""

    name: str = setting(..., "unique; not 'supplier'")
    kind: Literal["store", "warehouse"] = setting(..., "stores meet demand, warehouses supply other nodes")
    holding: float = setting(..., "cost per unit on hand at the end of a period", ge=0, le=LARGEST_COST)
    shortage: float | None = setting(
        None, "stores: cost per unit short (objective cost) or unit price (objective profit)", gt=0, le=LARGEST_COST
    )
    may_hold: bool = setting(True, "warehouses: False means that all stock is shipped on (transshipment)")


@config_dataclass
class Edge:
    """A way from one node to another."""

    source: str = setting(..., "a warehouse, or 'supplier'")
    target: str = setting(..., "a node")
    lead_time: int = setting(..., "periods; ordered in t, usable before demand in t + lead_time", ge=1, le=LONGEST_LEAD)
    cost: float = setting(0.0, "procurement cost per unit ordered", ge=0, le=LARGEST_COST)


@config_dataclass
class InventoryNetwork:
    """Nodes and edges, and what becomes of demand that cannot be met.

    Raises:
        InputError: At construction, for a network that cannot be run: cycles, nodes without a supplier, unknown or
            duplicate names, costs or lead times out of range.
    """

    nodes: tuple[Node, ...] = setting(..., "in the order of the state's node axis")
    edges: tuple[Edge, ...] = setting(..., "in the order of the action's axis")
    unmet: Literal["lost", "backlog"] = setting("lost", "what becomes of unmet demand")
    objective: Literal["cost", "profit"] = setting("cost", "profit counts sales at the store's unit price")

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        _check_nodes(self)
        _check_edges(self)
        _check_cycles(self)

    @classmethod
    def from_file(cls, path: Path | str, *, option: str = "network") -> "InventoryNetwork":
        """Read a network from a YAML (`.yml`, `.yaml`) or JSON (`.json`) file with the fields of this class.

        Raises:
            InputError: One line that names the file, the field and the likely cause.
        """
        return read_checked(cls, Path(path), option=option, fields="nodes, edges, unmet and objective")

    def to_json(self) -> dict[str, Any]:
        """The network as JSON-ready values; `from_json` is the inverse."""
        return TypeAdapter(InventoryNetwork).dump_python(self, mode="json")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "InventoryNetwork":
        """Rebuild a network from `to_json`; raises `InputError` for anything else."""
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            raise one_line(error, source="network") from None

    @cached_property
    def stores(self) -> tuple[Node, ...]:
        """The stores, in node order: the order of every store axis."""
        return tuple(node for node in self.nodes if node.kind == "store")

    @cached_property
    def warehouses(self) -> tuple[Node, ...]:
        """The warehouses, in node order."""
        return tuple(node for node in self.nodes if node.kind == "warehouse")

    @cached_property
    def node_index(self) -> dict[str, int]:
        """The position of each node on the state's node axis."""
        return {node.name: index for index, node in enumerate(self.nodes)}

    @cached_property
    def store_index(self) -> Tensor:
        """The node positions of the stores, `[S]` int64."""
        return torch.tensor([self.node_index[node.name] for node in self.stores], dtype=torch.int64)

    @cached_property
    def edge_source(self) -> Tensor:
        """The node position of each edge's source, `[E]` int64; -1 for the outside supplier."""
        return torch.tensor([self.node_index.get(edge.source, -1) for edge in self.edges], dtype=torch.int64)

    @cached_property
    def edge_target(self) -> Tensor:
        """The node position of each edge's target, `[E]` int64."""
        return torch.tensor([self.node_index[edge.target] for edge in self.edges], dtype=torch.int64)

    @cached_property
    def lead_time(self) -> Tensor:
        """Lead times, `[E]` int64, periods."""
        return torch.tensor([edge.lead_time for edge in self.edges], dtype=torch.int64)

    @cached_property
    def edge_cost(self) -> Tensor:
        """Procurement costs per unit, `[E]` float64."""
        return torch.tensor([edge.cost for edge in self.edges], dtype=torch.float64)

    @cached_property
    def holding(self) -> Tensor:
        """Holding costs, `[N]` float64."""
        return torch.tensor([node.holding for node in self.nodes], dtype=torch.float64)

    @cached_property
    def shortage(self) -> Tensor:
        """Shortage costs or unit prices of the stores, `[S]` float64."""
        return torch.tensor([node.shortage for node in self.stores], dtype=torch.float64)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Node positions from upstream to downstream."""
        return _topological(self)

    @cached_property
    def flow(self) -> Tensor:
        """The share of each store's demand that passes through each node, `[N, S]` float64.

        A node with several suppliers draws equally on them; the values serve as scales, not as a plan.
        """
        share = torch.zeros(len(self.nodes), len(self.stores), dtype=torch.float64)
        share[self.store_index, torch.arange(len(self.stores))] = 1.0
        suppliers = Counter(self.edge_target.tolist())
        for node in reversed(self.order):
            for source, target in zip(self.edge_source.tolist(), self.edge_target.tolist(), strict=True):
                if target == node and source >= 0:
                    share[source] += share[node] / suppliers[node]
        return share

    @cached_property
    def serves(self) -> Tensor:
        """Whether goods can get from a node to a store, `[N, S]` bool."""
        return self.flow > 0


def _check_nodes(network: InventoryNetwork) -> None:
    if not network.nodes:
        raise InputError.of("nodes", "none", expected="at least one store")
    if not network.stores:
        raise InputError.of("nodes", "no store", expected="at least one node of kind store", cause="who sells?")
    for name, count in Counter(node.name for node in network.nodes).items():
        if count > 1:
            raise InputError.of("nodes", name, expected="unique names", cause=f"it is there {count} times")
        if name == SUPPLIER or not name.strip():
            raise InputError.of(
                "nodes", repr(name), expected="another name", cause="'supplier' is the outside supplier"
            )
    for node in network.nodes:
        if node.kind == "store" and node.shortage is None:
            raise InputError.of(
                f"node {node.name}: shortage", "nothing", expected="a number > 0", cause="it is a store"
            )
        if node.kind == "warehouse" and node.shortage is not None:
            raise InputError.of(
                f"node {node.name}: shortage", node.shortage, expected="nothing", cause="warehouses meet no demand"
            )
        if node.kind == "store" and not node.may_hold:
            raise InputError.of(f"node {node.name}: may_hold", False, expected="true", cause="only warehouses ship on")
    if network.objective == "profit" and network.unmet == "backlog":
        raise InputError.of("unmet", "backlog", expected="lost", cause="objective profit counts sales when they happen")


def _check_edges(network: InventoryNetwork) -> None:
    kinds = {node.name: node.kind for node in network.nodes}
    for edge in network.edges:
        name = f"edge {edge.source} -> {edge.target}"
        for end in (edge.source, edge.target):
            if end not in kinds and not (end == SUPPLIER and end is edge.source):
                known = ", ".join([*list(kinds)[:6], *(["..."] if len(kinds) > 6 else [])])
                raise InputError.of(name, end, expected=f"a node ({known})", cause="is the name misspelt?")
        if kinds.get(edge.source) == "store":
            raise InputError.of(
                name, edge.source, expected="a warehouse as source", cause="stores supply customers only"
            )
    for pair, count in Counter((edge.source, edge.target) for edge in network.edges).items():
        if count > 1:
            raise InputError.of(
                "edges", " -> ".join(pair), expected="each pair once", cause=f"it is there {count} times"
            )
    supplied, supplying = {edge.target for edge in network.edges}, {edge.source for edge in network.edges}
    for node in network.nodes:
        if node.name not in supplied:
            raise InputError.of(
                f"node {node.name}",
                "no supplier",
                expected="at least one edge to it",
                cause=f"source may be {SUPPLIER}",
            )
        if node.kind == "warehouse" and node.name not in supplying:
            raise InputError.of(f"node {node.name}", "no receiver", expected="a warehouse that supplies some node")


def _check_cycles(network: InventoryNetwork) -> None:
    reached = set(_topological(network))
    stuck = [node.name for index, node in enumerate(network.nodes) if index not in reached]
    if stuck:
        raise InputError.of("edges", f"a cycle at or before {', '.join(stuck[:6])}", expected="no cycles")


def _topological(network: InventoryNetwork) -> tuple[int, ...]:
    """Kahn's algorithm; nodes on or behind a cycle are left out."""
    index = {node.name: position for position, node in enumerate(network.nodes)}
    waiting = Counter(edge.target for edge in network.edges if edge.source != SUPPLIER)
    ready = [node.name for node in network.nodes if not waiting[node.name]]
    for name in ready:
        for edge in network.edges:
            if edge.source == name:
                waiting[edge.target] -= 1
                if not waiting[edge.target]:
                    ready.append(edge.target)
    return tuple(index[name] for name in ready)
