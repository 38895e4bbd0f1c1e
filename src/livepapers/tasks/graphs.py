"""Tables of graphs: many small undirected simple graphs as flat arrays, and what may be done to all of them at once.

All graphs are one disjoint union: nodes are numbered through the whole table, so enumeration, refinement and message
passing work on every graph in the same array operation. Self-loops, repeated edges and directions are no part of a
graph here; readers of users' files refuse or drop them, and say so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import networkx as nx
import numpy as np

from livepapers.core.errors import InputError

MOST_NODES = 2_000_000  # a pair of node numbers shares one 63-bit key


@dataclass(frozen=True, eq=False)
class GraphTable:
    """Graphs with attributes and targets.

    Graph g has the nodes `pointers[g] ... pointers[g + 1] - 1`. Edges stand once, in the order of their graphs.
    """

    pointers: np.ndarray  # [graphs + 1] int64
    ends: np.ndarray  # [edges, 2] int64, smaller node first
    nodes: np.ndarray  # [nodes, node attributes] float32
    edges: np.ndarray  # [edges, edge attributes] float32
    targets: np.ndarray  # [graphs, targets] float64, NaN where unknown; a class is its position in `classes`
    names: tuple[str, ...]  # [graphs] what a person calls each graph
    classes: tuple[str, ...] = ()  # of a classification; empty: the targets are numbers

    @classmethod
    def of(
        cls,
        sizes: Sequence[int] | np.ndarray,
        ends: np.ndarray,
        *,
        nodes: np.ndarray | None = None,
        edges: np.ndarray | None = None,
        targets: np.ndarray | None = None,
        names: Sequence[str] | None = None,
        classes: Sequence[str] = (),
    ) -> "GraphTable":
        """Build from the number of nodes of each graph and all edges, in any order and direction.

        Args:
            sizes: `[graphs]` nodes of each graph, at least 1.
            ends: `[edges, 2]` node numbers through the whole table; each edge once.
            nodes: `[nodes, attributes]`; None: a single 1 a node.
            edges: `[edges, attributes]`; None: none.
            targets: `[graphs]` or `[graphs, targets]`; None: unknown.
            names: Of the graphs; None: their numbers, from 0.
            classes: Names of the classes, for targets that are positions in it.

        Raises:
            InputError: For an empty graph, a self-loop, a repeated edge, an edge between graphs, or an attribute that
                is no finite number.
        """
        sizes = np.asarray(sizes, dtype=np.int64)
        if not len(sizes):
            raise InputError.of("graphs", "none", expected="at least one graph")
        if sizes.min() < 1:
            raise InputError.of(f"graph {int(sizes.argmin())}", "no nodes", expected="at least one node")
        pointers = np.concatenate([[0], np.cumsum(sizes)])
        total = int(pointers[-1])
        if total > MOST_NODES:
            raise InputError.of("nodes", total, expected=f"at most {MOST_NODES:,}")
        ends = np.sort(np.asarray(ends, dtype=np.int64).reshape(-1, 2), axis=1)
        _check_ends(ends, pointers)
        order = np.argsort(ends[:, 0], kind="stable")
        nodes = np.ones((total, 1)) if nodes is None else np.asarray(nodes).reshape(total, -1)
        edges = np.zeros((len(ends), 0)) if edges is None else np.asarray(edges).reshape(len(ends), -1)
        for what, values in (("node", nodes), ("edge", edges)):
            if not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
                raise InputError.of(f"{what} {row}: attribute", values[row].tolist(), expected="finite numbers")
        known = np.full((len(sizes), 1), np.nan) if targets is None else np.asarray(targets, dtype=np.float64)
        return cls(
            pointers, ends[order], nodes.astype(np.float32), edges[order].astype(np.float32),
            known.reshape(len(sizes), -1), tuple(names or map(str, range(len(sizes)))), tuple(classes),
        )  # fmt: skip

    @classmethod
    def from_networkx(cls, graphs: Sequence[nx.Graph], *, targets: np.ndarray | None = None) -> "GraphTable":
        """Graphs without attributes from networkx.

        Raises:
            InputError: For a directed graph, a multigraph, an empty graph or a self-loop.
        """
        for number, graph in enumerate(graphs):
            if graph.is_directed() or graph.is_multigraph():
                kind = "a directed graph" if graph.is_directed() else "a multigraph"
                raise InputError.of(f"graph {number}", kind, expected="an undirected simple graph")
        sizes = [len(graph) for graph in graphs]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        place = [{node: start + i for i, node in enumerate(g)} for g, start in zip(graphs, starts, strict=False)]
        ends = [(at[a], at[b]) for graph, at in zip(graphs, place, strict=True) for a, b in graph.edges]
        return cls.of(sizes, np.array(ends, dtype=np.int64).reshape(-1, 2), targets=targets)

    def __len__(self) -> int:
        return len(self.pointers) - 1

    @property
    def sizes(self) -> np.ndarray:
        """`[graphs]` number of nodes."""
        return np.diff(self.pointers)

    @cached_property
    def owner(self) -> np.ndarray:
        """`[nodes]` the graph of each node."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def edge_pointers(self) -> np.ndarray:
        """`[graphs + 1]` where each graph's edges start."""
        return np.searchsorted(self.ends[:, 0], self.pointers)

    @cached_property
    def neighbours(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compressed adjacency: `[nodes + 1]` pointers, `[2 edges]` neighbours and the edge each one is reached by."""
        tails, heads = self.ends.T.reshape(-1), self.ends[:, ::-1].T.reshape(-1)
        order = np.lexsort((heads, tails))
        pointers = np.searchsorted(tails[order], np.arange(self.pointers[-1] + 1))
        return pointers, heads[order], np.tile(np.arange(len(self.ends)), 2)[order]

    @property
    def degrees(self) -> np.ndarray:
        """`[nodes]` number of neighbours."""
        return np.diff(self.neighbours[0])

    def select(self, graphs: np.ndarray) -> "GraphTable":
        """The table of some graphs, in the order given, by number or by a mask."""
        graphs = np.arange(len(self))[graphs]
        rows, offsets = ragged(self.pointers, graphs)
        places, _ = ragged(self.edge_pointers, graphs)
        counts = np.diff(self.edge_pointers)[graphs]
        moved = self.ends[places] + np.repeat(offsets[:-1] - self.pointers[graphs], counts)[:, None]
        return replace(
            self, pointers=offsets, ends=moved, nodes=self.nodes[rows], edges=self.edges[places],
            targets=self.targets[graphs], names=tuple(self.names[graph] for graph in graphs),
        )  # fmt: skip

    def relabelled(self, rng: np.random.Generator) -> "GraphTable":
        """The same graphs with the nodes of each in another order."""
        order = np.lexsort((rng.random(len(self.owner)), self.owner))  # new place -> old node
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return GraphTable.of(
            self.sizes, place[self.ends], nodes=self.nodes[order], edges=self.edges, targets=self.targets,
            names=self.names, classes=self.classes,
        )  # fmt: skip

    def adjacency(self) -> np.ndarray:
        """Dense matrices padded to the largest graph: `[graphs, n, n]` float64."""
        most = int(self.sizes.max())
        matrices = np.zeros((len(self), most, most))
        graph = self.owner[self.ends[:, 0]]
        a, b = (self.ends - self.pointers[graph][:, None]).T
        matrices[graph, a, b] = matrices[graph, b, a] = 1.0
        return matrices

    def to_networkx(self, graph: int) -> nx.Graph:
        """One graph, its nodes numbered from 0."""
        made = nx.empty_graph(int(self.sizes[graph]))
        first, last = self.edge_pointers[graph : graph + 2]
        made.add_edges_from((self.ends[first:last] - self.pointers[graph]).tolist())
        return made

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields as arrays without objects, for `numpy.savez`."""
        flat = {name: getattr(self, name) for name in ("pointers", "ends", "nodes", "edges", "targets")}
        return flat | {"names": np.array(self.names, dtype=str), "classes": np.array(self.classes, dtype=str)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "GraphTable":
        """The inverse of `arrays`."""
        flat = {name: arrays[name] for name in ("pointers", "ends", "nodes", "edges", "targets")}
        return cls(**flat, names=tuple(arrays["names"].tolist()), classes=tuple(arrays["classes"].tolist()))


def ragged(pointers: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the items of some rows of a ragged array stand, and the pointers of the array that they make.

    Args:
        pointers: `[all rows + 1]` where each row's items start.
        rows: `[rows]` the rows wanted, in any order.

    Returns:
        `[items]` places in the old array, row by row, and `[rows + 1]` pointers into the new one.
    """
    counts = pointers[rows + 1] - pointers[rows]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return np.arange(offsets[-1]) + np.repeat(pointers[rows] - offsets[:-1], counts), offsets


def _check_ends(ends: np.ndarray, pointers: np.ndarray) -> None:
    total = int(pointers[-1])
    if not len(ends):
        return
    if ends.min() < 0 or ends.max() >= total:
        worst = int(ends.max() if ends.max() >= total else ends.min())
        raise InputError.of("edge", f"node {worst}", expected=f"nodes 0 ... {total - 1}")
    graph = np.searchsorted(pointers, ends, side="right") - 1
    for bad, what in ((ends[:, 0] == ends[:, 1], "a self-loop"), (graph[:, 0] != graph[:, 1], "between two graphs")):
        if bad.any():
            pair = ends[np.flatnonzero(bad)[0]].tolist()
            raise InputError.of(f"edge {pair}", what, expected="two different nodes of one graph")
    keys, counts = np.unique(ends[:, 0] * total + ends[:, 1], return_counts=True)
    if (counts > 1).any():
        pair = list(divmod(int(keys[counts > 1][0]), total))
        raise InputError.of(f"edge {pair}", "it twice", expected="each edge once", cause="a multigraph, or both ways?")
