"""Unified adaptive contrastive learning: views that drop unimportant edges first (section 3.3)."""

import torch
from torch import Tensor, nn

from livepapers.baselines.graph_batches import GraphBatch, scatter_sum
from livepapers.blocks.networks import linear

_TINY = 1e-6


def drop_probabilities(importance: Tensor, owner: Tensor, graphs: int, *, drop: float, most: float) -> Tensor:
    """p_uv = min(p_max, (1 - w) p_e / mean(1 - w)), w the importance brought to 0 ... 1 within each graph.

    The least important edge has w = 0, the most important one is never dropped. A graph whose edges are all equally
    important drops each with p_e: random edge dropping is the special case of constant importance.

    Args:
        importance: `[edges]`.
        owner: `[edges]` the graph of each edge.
        graphs: How many.
        drop: p_e.
        most: p_max.

    Returns:
        `[edges]` probabilities; their mean over a graph is p_e wherever p_max cuts nothing.
    """
    infinite = importance.new_full((graphs,), torch.inf)
    low = infinite.scatter_reduce(0, owner, importance, "amin")
    high = (-infinite).scatter_reduce(0, owner, importance, "amax")
    spread = (high - low)[owner]
    varies = spread > _TINY
    scaled = torch.where(varies, (importance - low[owner]) / torch.where(varies, spread, 1.0), torch.zeros(()))
    count = torch.bincount(owner, minlength=graphs).clamp(min=1).to(importance.dtype)
    mean = (scatter_sum(1.0 - scaled, owner, graphs) / count)[owner]
    return ((1.0 - scaled) * drop / mean).clamp(max=most)


def sample_keep(probabilities: Tensor, *, relaxation: float, generator: torch.Generator) -> Tensor:
    """`[edges]` 1 for an edge that stays, 0 for one that is dropped; gradients are those of the concrete distribution.

    Edges are dropped exactly with their probabilities: the relaxed sample is above one half as often as that.
    """
    kept = (1.0 - probabilities).clamp(_TINY, 1.0 - _TINY)
    uniform = torch.rand(probabilities.shape, generator=generator).clamp(_TINY, 1.0 - _TINY)
    noise = torch.log(uniform) - torch.log1p(-uniform)
    soft = torch.sigmoid((torch.log(kept) - torch.log1p(-kept) + noise) / relaxation)
    hard = (soft > 0.5).to(soft.dtype)
    return hard + soft - soft.detach()


def contrastive_loss(first: Tensor, second: Tensor, *, temperature: float, identity: Tensor | None = None) -> Tensor:
    """NT-Xent over both views of each graph: each has to find the other among all views of the batch.

    Args:
        first: `[graphs, width]` projections of one view.
        second: Of the other.
        temperature: Of the cosines.
        identity: `[graphs]` equal for graphs that are the same: these are no negatives of each other.
    """
    count = len(first)
    both = nn.functional.normalize(torch.cat([first, second]), dim=1)
    cosines = both @ both.T / temperature
    partner = torch.arange(2 * count).roll(count)
    ids = torch.arange(count) if identity is None else identity
    same = ids.repeat(2)[:, None] == ids.repeat(2)[None, :]
    same[torch.arange(2 * count), partner] = False
    return nn.functional.cross_entropy(cosines.masked_fill(same, -torch.inf), partner)


class EdgeImportance(nn.Module):
    """w_uv = sigmoid(MLP([z_u + z_v, |z_u - z_v|, e_uv, log centrality])), centrality the product of degrees."""

    def __init__(self, width: int, edges: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.network = nn.Sequential(
            linear(2 * width + edges + 1, width, generator=generator), nn.ReLU(), linear(width, 1, generator=generator)
        )

    def forward(self, batch: GraphBatch, z: Tensor) -> Tensor:
        """`[edges]` in 0 ... 1."""
        one, other = z[batch.tails[: batch.edge_count]], z[batch.heads[: batch.edge_count]]
        degree = torch.bincount(batch.heads, minlength=len(z)).to(z.dtype)
        central = torch.log(degree[batch.tails] * degree[batch.heads])[: batch.edge_count, None]
        seen = torch.cat([one + other, (one - other).abs(), batch.edges, central], dim=1)
        return torch.sigmoid(self.network(seen))[:, 0]


def node_importance(importance: Tensor, batch: GraphBatch) -> Tensor:
    """`[nodes]` the mean importance of a node's edges; 0 for one without."""
    total = scatter_sum(importance.repeat(2), batch.heads, len(batch.nodes))
    return total / torch.bincount(batch.heads, minlength=len(batch.nodes)).clamp(min=1)


class Contrast(nn.Module):
    """The contrastive part of a model: importance, two views, projections, loss.

    Args:
        width: Of node vectors; graph vectors have twice as many.
        edges: Attributes of edges.
        adaptive: Whether the importance is learned; else it is constant and views are random.
        generator: Of the initial weights.
    """

    def __init__(self, width: int, edges: int, *, adaptive: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.importance = EdgeImportance(width, edges, generator=generator) if adaptive else None
        self.project = nn.Sequential(
            linear(2 * width, width, generator=generator), nn.ReLU(), linear(width, width, generator=generator)
        )

    def weigh(self, encoder: nn.Module, batch: GraphBatch) -> Tensor:
        """Importance of each edge; the scorer reads the encoder's vectors and does not steer them."""
        if self.importance is None:
            return torch.full((batch.edge_count,), 0.5)
        with torch.no_grad():
            z = encoder.nodes(batch)  # type: ignore[operator]
        return self.importance(batch, z)

    def loss(
        self, encoder: nn.Module, batch: GraphBatch, *, drop: float, most: float, relaxation: float,
        temperature: float, keep_mean: float, identity: Tensor, generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """NT-Xent of two views plus the regulariser, and the mean importance."""
        importance = self.weigh(encoder, batch)
        chance = drop_probabilities(importance, batch.edge_owner, batch.graphs, drop=drop, most=most)
        views = [
            self.project(encoder(batch, sample_keep(chance, relaxation=relaxation, generator=generator)))
            for _ in range(2)
        ]
        mean = importance.mean() if batch.edge_count else torch.zeros(())
        loss = contrastive_loss(views[0], views[1], temperature=temperature, identity=identity)
        if self.importance is not None and batch.edge_count:
            loss = loss + keep_mean * (mean - (1.0 - drop)) ** 2
        return loss, mean.detach()
