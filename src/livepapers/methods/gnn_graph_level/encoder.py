"""Encoders that read path labels: as features of nodes and edges, or inside the rooted subgraphs (section 3.2)."""

import numpy as np
import torch
from torch import Tensor, nn

from livepapers.baselines.graph_batches import GraphBatch, Rooted, RootedBatch, scatter_sum
from livepapers.baselines.graph_networks import Encoder, RootedEncoder, rooted_of
from livepapers.methods.gnn_graph_level.paths import PathLabels

LARGEST = 10.0  # deviations from the training mean at which a feature is cut


def rooted_paths(labels: PathLabels) -> Rooted:
    """Labels, subgraphs and (where they were kept) paths in the form that batches are made from."""
    paths = labels.paths
    none = np.zeros(0, dtype=np.int64)
    return Rooted(
        labels.roots, labels.nodes, labels.counts.astype(np.float32), labels.steps, labels.edge_pairs,
        none if paths is None else paths.pairs,
        np.zeros((0, labels.k), dtype=np.int64) if paths is None else paths.edges,
        np.zeros(0, dtype=np.float32) if paths is None else paths.weights.astype(np.float32),
    )  # fmt: skip


def view_labels(rooted: RootedBatch, keep: Tensor) -> Tensor:
    """P_l(v, u) of the graphs with weighted edges, `[pairs, k + 1]`: sums over paths of products of their edges.

    For weights 0 and 1 these are exactly the labels of the graphs without the dropped edges; gradients reach each edge.

    Args:
        rooted: Of a store whose labels kept their paths.
        keep: `[edges]` weights.
    """
    columns = rooted.labels.shape[1]
    extended = torch.cat([keep, keep.new_ones(1)])  # -1, beyond a path's end, is this last place
    weight = rooted.path_weights
    for step in rooted.path_edges.T:  # at most k of them
        weight = weight * extended[step]
    flat = scatter_sum(weight, rooted.path_pairs * columns + rooted.path_lengths, rooted.labels.numel())
    start = torch.zeros_like(rooted.labels)
    start[:, 0] = rooted.labels[:, 0]
    return start + flat.view(-1, columns)


def count_features(counts: Tensor) -> Tensor:
    """phi(a) = [a, log(1 + a), 1(a > 0)] of each column, `[rows, 3 columns]`."""
    return torch.cat([counts, torch.log1p(counts), (counts > 0).to(counts.dtype)], dim=1)


def root_counts(rooted: RootedBatch, labels: Tensor, nodes: int, *, keep: Tensor | None, cycles: bool) -> Tensor:
    """r_v: sums over u of P_l and of P_l^2, l = 1 ... k, and cycles through v of length 3 ... k + 1, if wanted."""
    parts = [scatter_sum(labels[:, 1:], rooted.roots, nodes), scatter_sum(labels[:, 1:] ** 2, rooted.roots, nodes)]
    if cycles:
        there = rooted.edge_pairs >= 0
        pairs = rooted.edge_pairs[there]
        closing = labels[pairs, 2:]
        closing = closing if keep is None else closing * keep.repeat(2)[there][:, None]
        parts.append(scatter_sum(closing, rooted.roots[pairs], nodes) / 2)
    return torch.cat(parts, dim=1)


def edge_counts(rooted: RootedBatch, labels: Tensor) -> Tensor:
    """q_uv = P_l(u, v), l = 2 ... k: the cycles of l + 1 edges through edge uv. `[2 edges, k - 1]`."""
    there = (rooted.edge_pairs >= 0).to(labels.dtype)
    return labels[rooted.edge_pairs.clamp(min=0), 2:] * there[:, None]


class Scaler(nn.Module):
    """phi of counts, standardised by what training graphs showed."""

    mean: Tensor
    scale: Tensor

    def __init__(self, counts: Tensor) -> None:
        super().__init__()
        seen = count_features(counts)
        deviation = seen.std(dim=0, unbiased=False) if len(seen) else torch.ones(seen.shape[1])
        varies = deviation > 1e-6
        mean = seen.mean(dim=0) if len(seen) else torch.zeros(seen.shape[1])
        self.register_buffer("mean", torch.where(varies, mean, torch.zeros(())))
        self.register_buffer("scale", torch.where(varies, deviation, torch.ones(())))

    def forward(self, counts: Tensor) -> Tensor:
        """`[rows, columns]` -> `[rows, 3 columns]`."""
        return ((count_features(counts) - self.mean) / self.scale).clamp(-LARGEST, LARGEST)


class PathEncoder(Encoder):
    """A GIN whose nodes know r_v and whose edges know q_uv: no message passing inside subgraphs, so it is cheap.

    Args:
        attributes: Columns of nodes and of edges.
        seen: Training graphs, for the scale of the features.
        cycles: Whether r_v holds cycle counts.
        width: Of every layer.
        layers: How many.
        dropout: Share after each layer.
        size: Nodes of a typical graph.
        generator: Of weights and dropout.
    """

    def __init__(
        self, attributes: tuple[int, int], seen: GraphBatch, *, cycles: bool, width: int, layers: int, dropout: float,
        size: float, generator: torch.Generator,
    ) -> None:  # fmt: skip
        rooted = rooted_of(seen)
        roots = root_counts(rooted, rooted.labels, len(seen.nodes), keep=None, cycles=cycles)
        between = edge_counts(rooted, rooted.labels)
        wide = (attributes[0] + 3 * roots.shape[1], attributes[1] + 3 * between.shape[1])
        super().__init__("gin", wide, width=width, layers=layers, dropout=dropout, size=size, generator=generator)
        self.cycles = cycles
        self.root_scaler, self.edge_scaler = Scaler(roots), Scaler(between)

    def nodes(self, batch: GraphBatch, keep: Tensor | None = None) -> Tensor:
        """`[nodes, width]`; with `keep`, features are those of the graphs that the weights leave."""
        rooted = rooted_of(batch)
        labels = rooted.labels if keep is None else view_labels(rooted, keep)
        roots = root_counts(rooted, labels, len(batch.nodes), keep=keep, cycles=self.cycles)
        h = self.start(torch.cat([batch.nodes, self.root_scaler(roots)], dim=1))
        edges = torch.cat([batch.edges.repeat(2, 1), self.edge_scaler(edge_counts(rooted, labels))], dim=1)
        return self.passed(h, batch, edges, keep)


class PathRootedEncoder(RootedEncoder):
    """A GIN inside each k-path rooted subgraph, whose nodes know phi(P_0 ... P_k(v, u))."""

    def __init__(
        self, attributes: tuple[int, int], seen: GraphBatch, *, width: int, layers: int, dropout: float, size: float,
        generator: torch.Generator,
    ) -> None:  # fmt: skip
        labels = rooted_of(seen).labels
        super().__init__(
            attributes, 3 * labels.shape[1], width=width, layers=layers, dropout=dropout, size=size, generator=generator
        )
        self.scaler = Scaler(labels)

    def label(self, batch: GraphBatch, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Phi of the labels; a pair that no path joins any more is not there."""
        rooted = rooted_of(batch)
        labels = rooted.labels if keep is None else view_labels(rooted, keep)
        return self.scaler(labels), (labels > 0).any(dim=1).to(labels.dtype)
