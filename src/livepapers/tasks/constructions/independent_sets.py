"""Independent sets of a graph with vertex energies, and their exact partition function.

log Z by branching on a vertex of largest degree, I(G) = I(G - v) + exp(-E_v) I(G - N[v]), one component at a time,
with memory, in the log domain.
"""

import math
from collections.abc import Sequence

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError

LARGEST_SEARCH = 300_000
"""Subgraphs looked at before the exact solution is given up: about ten seconds."""


class IndependentSets:
    """Sets of vertices no two of which are adjacent; a move adds a vertex, and every set may stop.

    State `[batch, n]` bool, vertices in the graph's order (`labels`). E(s) = sum of the vertices' energies; the
    default -1 is the hard-core model of fugacity e.
    """

    has_stop = True

    def __init__(self, graph: nx.Graph, energies: Sequence[float] | float = -1.0) -> None:
        self.labels = list(graph.nodes)
        self.moves = self.features = len(self.labels)
        if self.moves == 0:
            raise InputError.of("graph", "no vertices", expected="at least one vertex")
        loops = list(nx.selfloop_edges(graph))
        if loops:
            raise InputError.of(
                "graph", f"the self-loop {loops[0]}", expected="no self-loops", cause="remove these edges"
            )
        values = [energies] * self.moves if isinstance(energies, (int, float)) else energies
        self.energies = torch.as_tensor(values, dtype=torch.float64)
        if len(self.energies) != self.moves or not torch.isfinite(self.energies).all():
            raise InputError.of("energies", values, expected=f"{self.moves} finite energies, one a vertex")
        self._adjacent = torch.as_tensor(nx.to_numpy_array(graph, weight="") != 0, dtype=torch.float32)
        # disjoint edges of a maximal matching hold at most one chosen vertex each
        matched = len(nx.maximal_matching(graph))
        self.longest, self.shortest = self.moves - matched + 1, 1

    def root(self, batch: int) -> Tensor:
        """Empty sets, `[batch, n]`."""
        return torch.zeros(batch, self.moves, dtype=torch.bool)

    def encode(self, state: Tensor) -> Tensor:
        """Membership as 0 and 1, `[batch, n]`."""
        return state.to(torch.get_default_dtype())

    def forward_mask(self, state: Tensor) -> Tensor:
        """Vertices neither chosen nor next to a chosen one; stopping always, `[batch, n + 1]`."""
        blocked = state | (state.to(torch.float32) @ self._adjacent > 0)
        return torch.cat([~blocked, torch.ones_like(blocked[:, :1])], dim=1)

    def backward_mask(self, state: Tensor) -> Tensor:
        """Chosen vertices, `[batch, n]`."""
        return state

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Choose vertex `action`."""
        return state.scatter(1, action[:, None], True)

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """Give vertex `action` up."""
        return state.scatter(1, action[:, None], False)

    def is_terminal(self, state: Tensor) -> Tensor:
        """Always False: sets end by the stop action."""
        return torch.zeros(len(state), dtype=torch.bool)

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:  # noqa: ARG002 - the contract's form
        """The vertex's energy, `[batch]`."""
        return self.energies[action]

    def log_reward(self, state: Tensor) -> Tensor:
        """Minus the sum of the vertices' energies, `[batch]`."""
        return -(state.to(torch.float64) @ self.energies)

    def key(self, state: Tensor) -> list[bytes]:
        """Packed membership bits."""
        return [row.tobytes() for row in np.packbits(state.numpy(), axis=1)]

    def exact_log_z(self) -> float | None:
        """Log of the independence polynomial, or None for a graph whose search would take too long."""
        solver = _Branching(self._adjacent.numpy() > 0, (-self.energies).tolist())
        return solver.solve((1 << self.moves) - 1)

    def exact_inclusion(self) -> Tensor | None:
        """P(vertex in x) = exp(-E_v) I(G - N[v]) / I(G), `[n]` float64, or None like `exact_log_z`."""
        solver = _Branching(self._adjacent.numpy() > 0, (-self.energies).tolist())
        whole = solver.solve((1 << self.moves) - 1)
        if whole is None:
            return None
        rest = [solver.solve(((1 << self.moves) - 1) & ~solver.closed[v]) for v in range(self.moves)]
        if any(value is None for value in rest):
            return None
        logs = torch.tensor([value for value in rest if value is not None], dtype=torch.float64)
        return torch.exp(logs - self.energies - whole)

    def exact_count(self) -> int | None:
        """How many independent sets there are, or None like `exact_log_z`."""
        log_count = _Branching(self._adjacent.numpy() > 0, [0.0] * self.moves).solve((1 << self.moves) - 1)
        return None if log_count is None else round(math.exp(log_count))


class _GivenUpError(Exception):
    """The search grew beyond `LARGEST_SEARCH`."""


class _Branching:
    """Independence polynomial of induced subgraphs, vertex sets as bit masks, remembered across calls."""

    def __init__(self, adjacent: np.ndarray, log_weights: list[float]) -> None:
        self.open = [sum(1 << int(u) for u in np.flatnonzero(row)) for row in adjacent]
        self.closed = [mask | (1 << v) for v, mask in enumerate(self.open)]
        self.log_weights = log_weights
        self.known: dict[int, float] = {0: 0.0}

    def solve(self, vertices: int) -> float | None:
        """Log I of the induced subgraph, or None when given up."""
        try:
            return sum(self._connected(part) for part in self._components(vertices))
        except _GivenUpError:
            return None

    def _connected(self, vertices: int) -> float:
        if vertices in self.known:
            return self.known[vertices]
        if len(self.known) > LARGEST_SEARCH:
            raise _GivenUpError
        v = max(_bits(vertices), key=lambda u: (self.open[u] & vertices).bit_count())
        without = sum(self._connected(part) for part in self._components(vertices & ~(1 << v)))
        inside = sum(self._connected(part) for part in self._components(vertices & ~self.closed[v]))
        self.known[vertices] = float(np.logaddexp(without, self.log_weights[v] + inside))
        return self.known[vertices]

    def _components(self, vertices: int) -> list[int]:
        parts = []
        while vertices:
            part, frontier = 0, vertices & -vertices
            while frontier:
                part |= frontier
                reached = 0
                for v in _bits(frontier):
                    reached |= self.open[v]
                frontier = reached & vertices & ~part
            parts.append(part)
            vertices &= ~part
        return parts


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found
