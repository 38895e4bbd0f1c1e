"""Graph networks for whole graphs that are rivals to each other on equal terms: one width, depth, readout and head.

Every encoder takes attributes of nodes and edges, and a weight for each edge (its messages are multiplied by it; 1
where nothing is dropped). A node's vector is the sum over layers, the readout the sum and the mean over nodes. Nothing
is normalised: counts are magnitudes, and a norm of each node's vector took them away in pilot runs.

GCN      Kipf and Welling, arXiv:1609.02907: messages scaled by 1 / sqrt((d_u + 1)(d_v + 1)), a loop at each node
GIN      Xu et al., arXiv:1810.00826: (1 + eps) h + sum of messages, eps learned, then an MLP; bonds as in GINE
SAGE     Hamilton et al., arXiv:1706.02216: W h + V mean of messages
TopK     Gao and Ji, arXiv:1905.05178; Cangea et al., arXiv:1811.01287: after each layer the share of nodes that
         score highest by p.x / |p| stays, gated by tanh; readouts are summed over layers
Ego      Bevilacqua et al., arXiv:2110.02910 (ESAN, ego networks, root marked): a GIN inside the ball of each node
"""

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from livepapers.baselines.graph_batches import GraphBatch, Rooted, RootedBatch, rank_within, scatter_sum
from livepapers.blocks.networks import linear
from livepapers.core.errors import InputError
from livepapers.tasks.graphs import GraphTable

Name = Literal["gcn", "gin", "sage", "topk", "ego"]
NAMES: tuple[str, ...] = get_args(Name)
EGO_HOPS = 2
TOPK_SHARE = 0.8


class Dropout(nn.Module):
    """Dropout from a generator of its own, so that nothing global is drawn from."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share of the entries while training, and scale up the rest."""
        if not self.training or self.share == 0.0:
            return x
        kept = torch.rand(x.shape, generator=self.generator) >= self.share
        return x * kept / (1.0 - self.share)


class Convolution(nn.Module):
    """One layer of message passing; the message along an edge is ReLU(h_tail + E edge), times the edge's weight."""

    def __init__(self, kind: str, width: int, edges: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.kind = kind
        self.edge = linear(edges, width, generator=generator) if edges else None
        self.own = linear(width, width, generator=generator)
        if kind == "gin":
            self.eps = nn.Parameter(torch.zeros(()))
            self.second = linear(width, width, generator=generator)
        elif kind == "sage":
            self.other = linear(width, width, generator=generator)

    def forward(self, h: Tensor, tails: Tensor, heads: Tensor, edges: Tensor, weights: Tensor | None) -> Tensor:
        """Update `h` `[nodes, width]` along directed edges with attributes `[directed edges, attributes]`."""
        messages = h[tails] if self.edge is None else h[tails] + self.edge(edges)
        messages = torch.relu(messages)
        weights = h.new_ones(len(tails)) if weights is None else weights
        if self.kind == "gin":
            summed = scatter_sum(messages * weights[:, None], heads, len(h))
            return torch.relu(self.second(torch.relu(self.own((1.0 + self.eps) * h + summed))))
        degree = scatter_sum(weights, heads, len(h))
        if self.kind == "gcn":
            scale = (degree + 1.0).rsqrt()
            coefficient = weights * scale[tails] * scale[heads]
            mixed = scatter_sum(messages * coefficient[:, None], heads, len(h)) + h * (scale**2)[:, None]
            return torch.relu(self.own(mixed))
        mean = scatter_sum(messages * weights[:, None], heads, len(h)) / degree.clamp(min=1.0)[:, None]
        return torch.relu(self.own(h) + self.other(mean))


class Encoder(nn.Module):
    """From graphs to vectors: layers of one kind of convolution, then sum and mean over nodes.

    Args:
        kind: Of the convolutions: gcn, gin or sage.
        attributes: Columns of nodes and of edges.
        width: Of every layer.
        layers: How many.
        dropout: Share after each layer.
        size: Nodes of a typical graph, which the sums are divided by.
        generator: Of weights and dropout.
    """

    def __init__(
        self, kind: str, attributes: tuple[int, int], *, width: int, layers: int, dropout: float, size: float,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = size
        self.start = linear(attributes[0], width, generator=generator)
        self.layers = nn.ModuleList(
            [Convolution(kind, width, attributes[1], generator=generator) for _ in range(layers)]
        )
        self.dropout = Dropout(dropout, generator)

    def nodes(self, batch: GraphBatch, keep: Tensor | None = None) -> Tensor:
        """`[nodes, width]`; `keep` `[edges]` weighs the messages along each edge."""
        return self.passed(self.start(batch.nodes), batch, batch.edges.repeat(2, 1), keep)

    def passed(self, h: Tensor, batch: GraphBatch, edges: Tensor, keep: Tensor | None) -> Tensor:
        """The sum of `h` and what each layer makes of it; `edges` `[2 edges, attributes]`."""
        weights = None if keep is None else keep.repeat(2)
        total = h
        for layer in self.layers:
            h = self.dropout(layer(h, batch.tails, batch.heads, edges, weights))
            total = total + h
        return total

    def forward(self, batch: GraphBatch, keep: Tensor | None = None) -> Tensor:
        """`[graphs, 2 width]`."""
        return readout(self.nodes(batch, keep), batch.owner, batch.graphs, size=self.size)


class TopKEncoder(Encoder):
    """GIN layers with a pooling after each; see the module's docstring."""

    def __init__(
        self, attributes: tuple[int, int], *, width: int, generator: torch.Generator, **settings: float
    ) -> None:
        super().__init__("gin", attributes, width=width, generator=generator, **settings)  # type: ignore[arg-type]
        self.directions = nn.Parameter(linear(width, len(self.layers), generator=generator).weight.detach().clone())

    def forward(self, batch: GraphBatch, keep: Tensor | None = None) -> Tensor:
        """`[graphs, 2 width]`, summed over the layers' readouts."""
        h, owner = self.start(batch.nodes), batch.owner
        tails, heads, edges = batch.tails, batch.heads, batch.edges.repeat(2, 1)
        weights = torch.ones(len(tails)) if keep is None else keep.repeat(2)
        total = h.new_zeros(batch.graphs, 2 * h.shape[1])
        for layer, direction in zip(self.layers, self.directions, strict=True):
            h = self.dropout(layer(h, tails, heads, edges, weights))
            score = torch.tanh(h @ direction / direction.norm())
            counts = torch.bincount(owner, minlength=batch.graphs)
            kept = rank_within(score, owner) < torch.ceil(TOPK_SHARE * counts)[owner]
            place = torch.cumsum(kept, 0) - 1
            inside = kept[tails] & kept[heads]
            tails, heads, edges, weights = (x[inside] for x in (tails, heads, edges, weights))
            tails, heads = place[tails], place[heads]
            h, owner = (h * score[:, None])[kept], owner[kept]
            total = total + readout(h, owner, batch.graphs, size=self.size)
        return total


class RootedEncoder(nn.Module):
    """A GIN inside the subgraph of every root; the labels of pairs stand beside the attributes of their nodes.

    z_v = MLP([h_{v|v}, sum_u h_{u|v}, log(1 + degree)]).
    """

    def __init__(
        self, attributes: tuple[int, int], labels: int, *, width: int, layers: int, dropout: float, size: float,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = size
        self.start = linear(attributes[0] + labels, width, generator=generator)
        self.layers = nn.ModuleList(
            [Convolution("gin", width, attributes[1], generator=generator) for _ in range(layers)]
        )
        self.root = nn.Sequential(linear(2 * width + 1, width, generator=generator), nn.ReLU())
        self.dropout = Dropout(dropout, generator)

    def label(self, batch: GraphBatch, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Labels of the pairs as the network sees them, and which pairs are there (as 0 and 1)."""
        rooted = rooted_of(batch)
        del keep  # a ball's labels do not depend on weights
        return rooted.labels, torch.ones(len(rooted.roots))

    def nodes(self, batch: GraphBatch, keep: Tensor | None = None) -> Tensor:
        """`[nodes, width]` root vectors."""
        rooted = rooted_of(batch)
        labels, there = self.label(batch, keep)
        h = self.start(torch.cat([batch.nodes[rooted.members], labels], dim=1)) * there[:, None]
        edges = batch.edges[rooted.step_edges]
        weights = there[rooted.tails] * there[rooted.heads]
        weights = weights if keep is None else weights * keep[rooted.step_edges]
        total = h
        for layer in self.layers:
            h = self.dropout(layer(h, rooted.tails, rooted.heads, edges, weights)) * there[:, None]
            total = total + h
        count = len(batch.nodes)
        own = total[rooted.roots == rooted.members]
        ones = torch.ones(len(batch.tails)) if keep is None else keep.repeat(2)
        degree = torch.log1p(scatter_sum(ones, batch.heads, count))
        present = scatter_sum(there, rooted.roots, count).clamp(min=1.0)[:, None]
        around = scatter_sum(total, rooted.roots, count) / present.sqrt()
        return self.root(torch.cat([own, around, degree[:, None]], dim=1))

    def forward(self, batch: GraphBatch, keep: Tensor | None = None) -> Tensor:
        """`[graphs, 2 width]`."""
        return readout(self.nodes(batch, keep), batch.owner, batch.graphs, size=self.size)


class GraphNetwork(nn.Module):
    """An encoder and a head of two layers."""

    def __init__(
        self, encoder: nn.Module, *, width: int, outputs: int, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            linear(2 * width, width, generator=generator), nn.ReLU(), Dropout(dropout, generator),
            linear(width, outputs, generator=generator),
        )  # fmt: skip

    def forward(self, batch: GraphBatch) -> Tensor:
        """`[graphs, outputs]`."""
        return self.head(self.encoder(batch))


def rival(
    name: str, attributes: tuple[int, int], *, width: int, layers: int, dropout: float, size: float,
    generator: torch.Generator,
) -> nn.Module:  # fmt: skip
    """The encoder of a rival: gcn, gin, sage, topk or ego (which needs `ego_balls` in its store)."""
    if name not in NAMES:
        raise InputError.of("model", name, expected=f"one of {', '.join(NAMES)}")
    if name == "topk":
        return TopKEncoder(attributes, width=width, layers=layers, dropout=dropout, size=size, generator=generator)
    if name == "ego":
        return RootedEncoder(attributes, 1, width=width, layers=layers, dropout=dropout, size=size, generator=generator)
    return Encoder(name, attributes, width=width, layers=layers, dropout=dropout, size=size, generator=generator)


def readout(z: Tensor, owner: Tensor, graphs: int, *, size: float) -> Tensor:
    """G = [sum of z / size, mean of z] for each graph, `[graphs, 2 width]`."""
    total = scatter_sum(z, owner, graphs)
    count = torch.bincount(owner, minlength=graphs).clamp(min=1)[:, None]
    return torch.cat([total / size, total / count], dim=1)


def rooted_of(batch: GraphBatch) -> RootedBatch:
    """The rooted subgraphs of a batch; a store without them is a mistake of the caller."""
    if batch.rooted is None:
        raise ValueError("this encoder needs a store with rooted subgraphs")
    return batch.rooted


def ego_balls(table: GraphTable, hops: int = EGO_HOPS) -> Rooted:
    """The balls of every node: all nodes within `hops`, all edges among them, the root marked."""
    pointers, heads, edge_of = table.neighbours
    nodes = len(table.owner)
    keys = np.arange(nodes) * nodes + np.arange(nodes)
    for _ in range(hops):
        roots, last = np.divmod(keys, nodes)
        reached, rows = _expand(pointers, last)
        keys = np.union1d(keys, roots[rows] * nodes + heads[reached])
    roots, members = np.divmod(keys, nodes)
    slots, rows = _expand(pointers, members)
    wanted = roots[rows] * nodes + heads[slots]
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    inside = keys[place] == wanted
    steps = np.column_stack([rows[inside], place[inside], edge_of[slots[inside]]])
    none = np.zeros(0, dtype=np.int64)
    return Rooted(
        roots, members, (roots == members).astype(np.float32)[:, None], steps, np.full(2 * len(table.ends), -1),
        none, np.zeros((0, 1), dtype=np.int64), np.zeros(0, dtype=np.float32),
    )  # fmt: skip


def _expand(pointers: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The adjacency slots of each node in turn, and which item of `nodes` each belongs to."""
    counts = np.diff(pointers)[nodes]
    rows = np.repeat(np.arange(len(nodes)), counts)
    return np.arange(len(rows)) + np.repeat(pointers[nodes] - np.cumsum(counts) + counts, counts), rows
