"""Exact solution of any construction that is small enough to list: states, flows, distributions, distances.

States are listed level by level (number of moves made), edges with them; everything after is a few vectorised sums.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import Construction

LARGEST_SPACE = 200_000
"""States listed at most, unless told otherwise."""

LogForward = Callable[[Tensor], Tensor]
"""States `[batch, ...]` -> log P_F `[batch, moves + has_stop]`, normalised over the allowed actions."""


@dataclass(frozen=True)
class StateGraph:
    """All states of a construction, in order of their number of moves, and all moves between them."""

    env: Construction
    states: Tensor  # [state, ...], the root first
    level_ends: tuple[int, ...]  # index behind the last state of each level
    parent: Tensor  # [edge] int64, edges in order of their parents' level
    move: Tensor  # [edge] int64
    child: Tensor  # [edge] int64
    may_end: Tensor  # [state] bool: finished objects, and where there is a stop action, states that may stop
    log_reward: Tensor  # [state] float64, -inf where the state may not end

    def log_z(self) -> float:
        """Log of the sum of all rewards."""
        return float(torch.logsumexp(self.log_reward, dim=0))

    def target(self) -> Tensor:
        """R(x) / Z, `[state]` float64; 0 where the state may not end."""
        return torch.softmax(self.log_reward, dim=0)

    def distribution(self, log_forward: LogForward) -> Tensor:
        """Probability that the policy ends in each state, `[state]` float64."""
        table = log_forward(self.states).to(torch.float64).exp()
        reach = torch.zeros(len(self.states), dtype=torch.float64)
        reach[0] = 1.0
        for edges in self._edges_by_level():
            flow = reach[self.parent[edges]] * table[self.parent[edges], self.move[edges]]
            reach.index_add_(0, self.child[edges], flow)
        ends = table[:, -1] if self.env.has_stop else self.may_end.to(torch.float64)
        return reach * ends

    def log_flow(self) -> Tensor:
        """Log F(s) for uniform P_B, `[state]` float64: with a stop action, that of the state before stopping."""
        log_backward = -self.env.backward_mask(self.states).sum(dim=1).clamp(min=1).to(torch.float64).log()
        flow = self.log_reward.clone()
        for edges in reversed(self._edges_by_level()):
            # logsumexp over the children of each parent, in two scatter steps
            value = flow[self.child[edges]] + log_backward[self.child[edges]]
            parents = self.parent[edges]
            top = flow.scatter_reduce(0, parents, value, "amax", include_self=True)
            shift = torch.where(torch.isfinite(top), top, 0.0)
            total = torch.exp(flow - shift).index_add_(0, parents, torch.exp(value - shift[parents]))
            touched = torch.zeros_like(self.may_end)
            touched[parents] = True
            flow = torch.where(touched, shift + total.log(), flow)
        return flow

    def energy(self) -> Tensor:
        """E(s), the sum of edge energies on any path from the root, `[state]` float64."""
        total = torch.zeros(len(self.states), dtype=torch.float64)
        edge = self.env.edge_energy(self.states[self.parent], self.move, self.states[self.child])
        for edges in self._edges_by_level():
            total[self.child[edges]] = total[self.parent[edges]] + edge[edges]
        return total

    def log_forward(self) -> Tensor:
        """Log P_F of the exact flow for uniform P_B, `[state, moves + has_stop]` float64; -inf where not allowed."""
        flow = self.log_flow()
        log_backward = -self.env.backward_mask(self.states).sum(dim=1).clamp(min=1).to(torch.float64).log()
        table = torch.full((len(self.states), self.env.moves + self.env.has_stop), -math.inf, dtype=torch.float64)
        table[self.parent, self.move] = flow[self.child] + log_backward[self.child] - flow[self.parent]
        if self.env.has_stop:
            table[:, -1] = self.log_reward - flow
        return table

    def index(self, states: Tensor) -> Tensor:
        """Where these states stand among all, `[batch]` int64; raises `InputError` for one that is not there."""
        names, order = self._sorted_names
        wanted = _names(states)
        place = np.searchsorted(names, wanted).clip(max=len(names) - 1)
        missing = names[place] != wanted
        if missing.any():
            row = int(missing.argmax())
            raise InputError.of("state", states[row].tolist(), expected="a state of the construction that was listed")
        return torch.from_numpy(order[place])

    def passing(self) -> Tensor:
        """Probability that the uniform backward walk from each object passes each state, `[state, object]` float64.

        Objects stand in the order of `states[may_end]`. It is the flow F(s|y) of a GFlowNet whose only reward is 1 at
        y, whatever moves lead there; memory grows with states * objects.
        """
        ends = self.may_end.nonzero().squeeze(1)
        flow = torch.zeros(len(self.states), len(ends), dtype=torch.float64)
        flow[ends, torch.arange(len(ends))] = 1.0
        back = 1.0 / self.env.backward_mask(self.states).sum(dim=1).clamp(min=1).to(torch.float64)
        for edges in reversed(self._edges_by_level()):
            flow.index_add_(0, self.parent[edges], flow[self.child[edges]] * back[self.child[edges], None])
        return flow

    def reachable_pairs(self, outcome: Tensor) -> tuple[Tensor, Tensor]:
        """All pairs of a state and an outcome that can still be reached from it: (state, outcome), `[pair]` each.

        Args:
            outcome: Number of the outcome of each object, in the order of `states[may_end]`.
        """
        ends, count = self.may_end.nonzero().squeeze(1), int(outcome.max()) + 1
        level = torch.bucketize(ends, torch.tensor(self.level_ends), right=True)
        order = torch.argsort(self.child, stable=True)  # edges by their child
        degree = torch.bincount(self.child, minlength=len(self.states))
        first = degree.cumsum(0) - degree
        found, above = [], torch.empty(0, dtype=torch.int64)
        for depth in reversed(range(len(self.level_ends))):
            state, wanted = above // count, above % count
            copies = degree[state]
            edge = first[state].repeat_interleave(copies) + _ranges(copies)
            climbed = self.parent[order[edge]] * count + wanted.repeat_interleave(copies)
            own = ends[level == depth] * count + outcome[level == depth]
            above = torch.unique(torch.cat([climbed, own]))
            found.append(above)
        pairs = torch.cat(found)
        return pairs // count, pairs % count

    @functools.cached_property
    def _sorted_names(self) -> tuple[np.ndarray, np.ndarray]:
        names = _names(self.states)
        order = np.argsort(names, kind="stable")
        return names[order], order

    def _edges_by_level(self) -> list[slice]:
        level = torch.bucketize(self.parent, torch.tensor(self.level_ends), right=True)
        counts = torch.bincount(level, minlength=len(self.level_ends)).tolist()
        ends = np.cumsum(counts).tolist()
        return [slice(end - count, end) for end, count in zip(ends, counts, strict=True) if count]


def enumerate_states(env: Construction, *, largest: int = LARGEST_SPACE) -> StateGraph | None:
    """List all states and moves of a construction, or return None when there are more than `largest` states."""
    levels, ends, edges = [env.root(1)], [1], []
    start = 0
    while True:
        level = levels[-1]
        row, move = env.forward_mask(level)[:, : env.moves].nonzero(as_tuple=True)
        if len(row) == 0:
            break
        children, inverse = _unique_rows(env.step(level[row], move))
        if ends[-1] + len(children) > largest:
            return None
        edges.append((start + row, move, ends[-1] + inverse))
        start = ends[-1]
        levels.append(children)
        ends.append(ends[-1] + len(children))
    states = torch.cat(levels)
    empty = torch.empty(0, dtype=torch.int64)
    parent, move, child = (torch.cat(part) for part in zip(*edges, strict=True)) if edges else (empty, empty, empty)
    may_end = env.forward_mask(states)[:, -1] if env.has_stop else env.is_terminal(states)
    log_reward = torch.full((len(states),), -math.inf, dtype=torch.float64)
    log_reward[may_end] = env.log_reward(states[may_end])
    return StateGraph(env, states, tuple(ends), parent, move, child, may_end, log_reward)


def total_variation(p: Tensor, q: Tensor) -> float:
    """Half the sum of absolute differences of two distributions over the same states, in [0, 1]."""
    if p.shape != q.shape:
        raise InputError.of("q", list(q.shape), expected=f"the shape of p, {list(p.shape)}")
    return 0.5 * float((p - q).abs().sum())


def _unique_rows(states: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct rows and, for each given row, which of them it is."""
    _, first, inverse = np.unique(_names(states), return_index=True, return_inverse=True)
    return states[torch.from_numpy(first)], torch.from_numpy(inverse.reshape(-1))


def _names(states: Tensor) -> np.ndarray:
    """One value a row that can be compared and sorted: the bytes of the state."""
    rows = np.ascontiguousarray(states.reshape(len(states), -1).numpy())
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)


def _ranges(counts: Tensor) -> Tensor:
    """0 .. counts[0] - 1, 0 .. counts[1] - 1, ... in one row."""
    ends = counts.cumsum(0)
    return torch.arange(int(counts.sum())) - (ends - counts).repeat_interleave(counts)
