"""Path labels for any model: colours that tell graphs apart, and columns for tables (section 3.2)."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from livepapers.baselines.weisfeiler_lehman import refined, row_numbers
from livepapers.core.rng import numpy_generator
from livepapers.methods.gnn_graph_level.paths import PathLabels, path_labels, sum_by
from livepapers.tasks.graphs import GraphTable


def path_colours(labels: PathLabels, *, rounds: int | None = None) -> np.ndarray:
    """A node's colour is its own and the multiset of (P_0..P_k(v, u), colour of u) over all u of S_k(v).

    P_1 is adjacency, so this is at least as fine as 1-WL on graphs without attributes of edges.
    """
    return refined(
        row_numbers(labels.table.nodes), labels.roots, labels.nodes, row_numbers(labels.counts), rounds=rounds
    )


class PathFeatures(TransformerMixin, BaseEstimator):
    """One row a graph: what it is made of, how its degrees are spread, and how many paths and cycles it holds.

    A stateless transformer in scikit-learn's sense, but its input is a `GraphTable`.

    Args:
        k: Edges of the longest paths; cycles go up to k + 1.
        max_paths: Of one root and length, beyond which paths are sampled.
        cycles: Whether cycles are counted.
        seed: Of the samples.
    """

    def __init__(self, k: int = 4, *, max_paths: int = 10_000, cycles: bool = True, seed: int = 0) -> None:
        self.k, self.max_paths, self.cycles, self.seed = k, max_paths, cycles, seed

    def fit(self, table: GraphTable, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Nothing to learn."""
        return self

    def transform(self, table: GraphTable) -> np.ndarray:
        """`[graphs, columns]` float64, in the order of `names`."""
        graphs = len(table)
        degrees = np.minimum(table.degrees, _MOST_DEGREE)
        spread = sum_by(table.owner, np.eye(_MOST_DEGREE + 1)[degrees], graphs)
        made_of = sum_by(table.owner, table.nodes.astype(np.float64), graphs)
        links = sum_by(table.owner[table.ends[:, 0]], table.edges.astype(np.float64), graphs)
        size = np.column_stack([table.sizes, np.diff(table.edge_pointers)])
        return np.column_stack([size, made_of, links, spread, self.counts(table)])

    def counts(self, table: GraphTable) -> np.ndarray:
        """`[graphs, ...]` paths of 2 ... k edges, then cycles of 3 ... k + 1."""
        return self.counts_of(self.labels(table))

    def labels(self, table: GraphTable) -> PathLabels:
        """The labels that are counted; sampled where a root has more than `max_paths` of one length."""
        rng = numpy_generator(self.seed, "gnn-graph-level", "features")
        return path_labels(table, self.k, max_paths=self.max_paths, rng=rng)

    def counts_of(self, labels: PathLabels) -> np.ndarray:
        """`counts` of the graphs that `labels` were made for."""
        table = labels.table
        paths = sum_by(table.owner, labels.root_sums()[:, 2:], len(table)) / 2
        if not self.cycles:
            return paths
        lengths = np.arange(3, self.k + 2)
        return np.column_stack([paths, sum_by(table.owner, labels.root_cycles(), len(table)) / lengths])

    def count_names(self) -> Sequence[str]:
        """What the columns of `counts` are."""
        cycles = [f"{length}-cycles" for length in range(3, self.k + 2)] if self.cycles else []
        return [f"{length}-paths" for length in range(2, self.k + 1)] + cycles


_MOST_DEGREE = 8  # nodes of more neighbours share a column
