"""Samplers: a policy over states, with samples, log probabilities and exact distances (oc-gfn)."""

import math

import torch
from torch import Tensor

from livepapers.blocks.trajectories import Transitions, rollout, walk_back
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions.exact import StateGraph, total_variation

CHUNK = 4096
"""States scored at a time: bounds memory."""


class PolicySampler:
    """Samples objects by a policy of its own; sub-classes say which.

    Args:
        env: The construction.
    """

    def __init__(self, env: Construction) -> None:
        self.env = env

    def log_forward(self, states: Tensor) -> Tensor:
        """Log P_F of every allowed action, `[n, moves + has_stop]`; -inf where not allowed."""
        raise NotImplementedError

    def policy(self, states: Tensor) -> Tensor:
        """P_F, `[n, moves + has_stop]`."""
        return self.log_forward(states).exp()

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """`n` finished objects, `[n, ...]`."""
        return rollout(self.env, n, generator=generator, logits=self.log_forward, of_states=True).last

    @torch.no_grad()
    def log_prob(self, objects: Tensor, *, generator: torch.Generator, walks: int = 64) -> Tensor:
        """Log probability of finished objects, `[n]` float64, by importance sampling over `walks` backward walks each.

        Exact with one walk where each object has one path only (strings).
        """
        found = []
        for _ in range(walks):
            moves = Transitions.of(walk_back(self.env, objects, generator=generator))
            forward = self.log_forward(moves.parents).gather(1, moves.actions[:, None]).squeeze(1)
            back = -self.env.backward_mask(moves.children).sum(dim=1).clamp(min=1).to(torch.float64).log()
            ratio = forward.to(torch.float64) - torch.where(moves.actions < self.env.moves, back, 0.0)
            found.append(moves.spread(ratio).sum(dim=0))
        return torch.logsumexp(torch.stack(found), dim=0) - math.log(walks)

    def distribution(self, graph: StateGraph) -> Tensor:
        """Exact probability to end in each state of an enumerated construction, `[state]` float64."""

        def in_chunks(states: Tensor) -> Tensor:
            return torch.cat([self.log_forward(chunk) for chunk in states.split(CHUNK)])

        with torch.no_grad():
            return graph.distribution(in_chunks)

    def total_variation(self, graph: StateGraph, target: Tensor | None = None) -> float:
        """Exact distance to the construction's own target, or to `target` `[state]`, in [0, 1]."""
        return total_variation(self.distribution(graph), graph.target() if target is None else target)


class TableSampler(PolicySampler):
    """A policy that is listed for every state.

    Args:
        graph: The enumerated construction.
        table: Log P_F, `[state, action]`.
    """

    def __init__(self, graph: StateGraph, table: Tensor) -> None:
        super().__init__(graph.env)
        self.graph, self.table = graph, table

    def log_forward(self, states: Tensor) -> Tensor:
        """See `PolicySampler`."""
        return self.table[self.graph.index(states)]

    def distribution(self, graph: StateGraph) -> Tensor:
        """See `PolicySampler`."""
        return graph.distribution(
            lambda states: self.table if states is self.graph.states else self.log_forward(states)
        )


def masked_policy(logits: Tensor, allowed: Tensor) -> Tensor:
    """Log softmax over the allowed actions in double precision; -inf elsewhere, and everywhere at finished objects."""
    scores = logits.to(torch.float64).masked_fill(~allowed, -math.inf).log_softmax(dim=-1)
    return scores.nan_to_num(nan=-math.inf, neginf=-math.inf)
