"""Graphs as tensors: a store that is filled once, and batches of it by array indexing, no loop over graphs.

A store may hold *rooted subgraphs* beside the graphs: for each root v the nodes of its subgraph as pairs (v, u) with
labels, and the edges inside. What the subgraphs are (balls, k-path subgraphs) is up to who fills it.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from livepapers.tasks.graphs import GraphTable, ragged


@dataclass(frozen=True, eq=False)
class Rooted:
    """Rooted subgraphs; pairs are sorted by root, so they are sorted by graph too."""

    roots: np.ndarray  # [pairs] node
    members: np.ndarray  # [pairs] node
    labels: np.ndarray  # [pairs, labels] float32
    steps: np.ndarray  # [steps, 3] pair of the tail, pair of the head, edge; sorted by root
    edge_pairs: np.ndarray  # [2 edges] the pair of each edge, forwards then backwards; -1: not there
    path_pairs: np.ndarray  # [paths] the pair that each path joins
    path_edges: np.ndarray  # [paths, k] edges of each path, -1 beyond its end
    path_weights: np.ndarray  # [paths] float32


@dataclass(frozen=True, eq=False)
class RootedBatch:
    """`Rooted` of the graphs of one batch, as tensors; numbers count within the batch."""

    roots: Tensor
    members: Tensor
    labels: Tensor
    tails: Tensor  # [steps]
    heads: Tensor  # [steps]
    step_edges: Tensor  # [steps]
    edge_pairs: Tensor
    path_pairs: Tensor
    path_edges: Tensor  # -1 beyond a path's end
    path_weights: Tensor
    path_lengths: Tensor  # [paths]


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Some graphs as one disjoint union. Each edge stands twice: forwards, and in the second half backwards."""

    nodes: Tensor  # [nodes, attributes]
    owner: Tensor  # [nodes] the graph of each node
    tails: Tensor  # [2 edges]
    heads: Tensor  # [2 edges]
    edges: Tensor  # [edges, attributes]
    graphs: int
    rooted: RootedBatch | None = None

    @property
    def edge_count(self) -> int:
        """Edges, each counted once."""
        return len(self.edges)

    @property
    def edge_owner(self) -> Tensor:
        """`[edges]` the graph of each edge."""
        return self.owner[self.tails[: self.edge_count]]


@dataclass(frozen=True, eq=False)
class GraphStore:
    """All graphs of a table, with scaled attributes, and their rooted subgraphs where a network needs them."""

    table: GraphTable
    rooted: Rooted | None = None
    pair_pointers: np.ndarray | None = None
    step_pointers: np.ndarray | None = None
    path_pointers: np.ndarray | None = None

    @classmethod
    def of(cls, table: GraphTable, *, train: np.ndarray, rooted: Rooted | None = None) -> "GraphStore":
        """Scale the attributes by the training graphs, and find where each graph's pairs, steps and paths start.

        Args:
            table: The graphs.
            train: Numbers of the graphs whose mean and deviation scale the attributes of nodes and edges.
            rooted: Their subgraphs.
        """
        seen = table.select(train)
        scaled = replace(
            table, nodes=standardised(table.nodes, seen.nodes), edges=standardised(table.edges, seen.edges)
        )
        if rooted is None:
            return cls(scaled)
        starts = np.searchsorted(rooted.roots, table.pointers)
        steps = np.searchsorted(rooted.steps[:, 0], starts)
        return cls(scaled, rooted, starts, steps, np.searchsorted(rooted.path_pairs, starts))

    def batch(self, graphs: np.ndarray) -> GraphBatch:
        """The graphs of the given numbers, in their order."""
        table = self.table
        nodes, node_offsets = ragged(table.pointers, graphs)
        edges, edge_offsets = ragged(table.edge_pointers, graphs)
        shift = _shift(node_offsets, table.pointers, graphs, np.diff(edge_offsets))
        ends = torch.from_numpy(table.ends[edges] + shift[:, None])
        return GraphBatch(
            nodes=torch.from_numpy(table.nodes[nodes]),
            owner=torch.from_numpy(np.repeat(np.arange(len(graphs)), np.diff(node_offsets))),
            tails=torch.cat([ends[:, 0], ends[:, 1]]),
            heads=torch.cat([ends[:, 1], ends[:, 0]]),
            edges=torch.from_numpy(table.edges[edges]),
            graphs=len(graphs),
            rooted=self._rooted(graphs, edges, node_offsets, edge_offsets),
        )

    def _rooted(
        self, graphs: np.ndarray, edges: np.ndarray, node_offsets: np.ndarray, edge_offsets: np.ndarray
    ) -> RootedBatch | None:
        if (
            self.rooted is None
            or self.pair_pointers is None
            or self.step_pointers is None
            or self.path_pointers is None
        ):
            return None
        rooted, table = self.rooted, self.table
        pairs, pair_offsets = ragged(self.pair_pointers, graphs)
        steps, step_offsets = ragged(self.step_pointers, graphs)
        paths, path_offsets = ragged(self.path_pointers, graphs)

        def moved(values: np.ndarray, offsets: np.ndarray, old: np.ndarray, counts: np.ndarray) -> Tensor:
            return torch.from_numpy(values + _shift(offsets, old, graphs, counts))

        sizes, step_counts, path_counts = np.diff(pair_offsets), np.diff(step_offsets), np.diff(path_offsets)
        both = np.concatenate([edges, edges + len(table.ends)])
        shift = np.tile(_shift(pair_offsets, self.pair_pointers, graphs, np.diff(edge_offsets)), 2)
        path_edges = rooted.path_edges[paths]
        path_shift = _shift(edge_offsets, table.edge_pointers, graphs, path_counts)[:, None]
        return RootedBatch(
            roots=moved(rooted.roots[pairs], node_offsets, table.pointers, sizes),
            members=moved(rooted.members[pairs], node_offsets, table.pointers, sizes),
            labels=torch.from_numpy(rooted.labels[pairs]),
            tails=moved(rooted.steps[steps, 0], pair_offsets, self.pair_pointers, step_counts),
            heads=moved(rooted.steps[steps, 1], pair_offsets, self.pair_pointers, step_counts),
            step_edges=moved(rooted.steps[steps, 2], edge_offsets, table.edge_pointers, step_counts),
            edge_pairs=torch.from_numpy(np.where(rooted.edge_pairs[both] < 0, -1, rooted.edge_pairs[both] + shift)),
            path_pairs=moved(rooted.path_pairs[paths], pair_offsets, self.pair_pointers, path_counts),
            path_edges=torch.from_numpy(np.where(path_edges < 0, -1, path_edges + path_shift)),
            path_weights=torch.from_numpy(rooted.path_weights[paths]),
            path_lengths=torch.from_numpy((path_edges >= 0).sum(axis=1)),
        )


def standardised(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Columns minus their mean over deviation, both of `seen`; columns that are constant there are left alone."""
    if not len(seen):
        return values.astype(np.float32)
    deviation = seen.std(axis=0)
    varies = deviation > 1e-8
    shifted = (values - np.where(varies, seen.mean(axis=0), 0.0)) / np.where(varies, deviation, 1.0)
    return shifted.astype(np.float32)


def batches(numbers: np.ndarray, size: int) -> list[np.ndarray]:
    """Consecutive parts of at most `size`; a last part of one graph joins the one before."""
    cuts = list(range(size, len(numbers), size))
    if cuts and len(numbers) - cuts[-1] == 1:
        cuts.pop()
    return np.split(numbers, cuts)


def scatter_sum(values: Tensor, owner: Tensor, owners: int) -> Tensor:
    """`[owners, ...]`: the rows of `values` summed by owner."""
    return values.new_zeros(owners, *values.shape[1:]).index_add_(0, owner, values)


def rank_within(score: Tensor, owner: Tensor) -> Tensor:
    """`[items]` the place of each item among those of its owner, best first; ties by position."""
    by_score = torch.argsort(score, descending=True, stable=True)
    order = by_score[torch.argsort(owner[by_score], stable=True)]
    sorted_owner = owner[order].contiguous()
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) - torch.searchsorted(sorted_owner, sorted_owner)
    return place


def _shift(offsets: np.ndarray, old: np.ndarray, graphs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """What numbers of each item's graph move by, from the store's count to the batch's."""
    return np.repeat(offsets[:-1] - old[graphs], counts)
