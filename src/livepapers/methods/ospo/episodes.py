"""Whole episodes of a fleet as records of decisions: what all learners of ospo learn from."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from livepapers.methods.ospo.networks import DispatchPolicy, choose
from livepapers.methods.ospo.objectives import fairness_penalty
from livepapers.tasks.ride_pooling import TALLY, RidePooling, Scenario

CONTEXT = 2
"""What a critic sees beside the vehicle: open orders and free vehicles, each as a share of the fleet."""


class Episode(NamedTuple):
    """D decisions in S minutes (of all lanes), M' the most orders that were open in any of them."""

    vehicle: Tensor  # [D, V] features of who decided
    chosen: Tensor  # [D] int64 column of the order
    probability: Tensor  # [D] of it when it was chosen (of value learners: the value)
    reward: Tensor  # [D]
    minute: Tensor  # [D] int64 row of `orders`: decisions that share it were made together
    agent: Tensor  # [D] int64
    time: Tensor  # [D] int64 minute of the episode
    orders: Tensor  # [S, M', 5]
    there: Tensor  # [S, M'] bool
    context: Tensor  # [S, CONTEXT]
    penalty: Tensor  # [S]


class Played(NamedTuple):
    """An episode of some lanes and how it went."""

    episode: Episode
    discounted: Tensor  # [B] the platform's reward
    served: Tensor  # [B] share of the orders that were accepted


@torch.no_grad()
def play(
    fleet: RidePooling,
    policy: DispatchPolicy,
    scenario: Scenario,
    *,
    explore: float = 0.0,
    discount: float,
    generator: torch.Generator | None = None,
) -> Played:
    """Act for a whole episode in all lanes, keeping every decision."""
    state, columns, rewards = scenario.state, [], []
    lanes = len(state.minute)
    width = max(int(fleet.open(state).sum(1).max()), 1)
    for t, arrivals in enumerate(scenario.arrivals):
        seen = policy.view(fleet.observe(state))
        choice = choose(policy.scorer, seen, meaning=policy.meaning, explore=explore, generator=generator)
        post, each = fleet.decide_each(state, choice.action)
        lane, vehicle, there = choice.lane, choice.vehicle, seen.board.there
        shares = [there.sum(1) / fleet.vehicles, seen.free.sum(1) / fleet.vehicles]
        columns.append((
            seen.vehicle[lane, vehicle], choice.column, choice.score, each[lane, vehicle],
            t * lanes + lane, lane * fleet.vehicles + vehicle, torch.full_like(lane, t), seen.orders, there,
            torch.stack(shares, 1), fairness_penalty(state.earned, post.earned),
        ))  # fmt: skip
        width = max(width, there.shape[1])
        rewards.append(discount**t * each.sum(1))
        state, _, _ = fleet.resolve(post, arrivals)
    parts = list(zip(*columns, strict=True))
    orders, there = (_padded(part, width) for part in parts[7:9])
    episode = Episode(*(torch.cat(part) for part in parts[:7]), orders, there, *map(torch.cat, parts[9:]))  # type: ignore[call-arg]
    tally = dict(zip(TALLY, state.tally.T, strict=True))
    return Played(episode, torch.stack(rewards).sum(0), tally["accepted"] / tally["offered"].clamp(min=1.0))


def _padded(parts: tuple[Tensor, ...], width: int) -> Tensor:
    """Rows `[B, M', ...]` of different M', all as wide as the widest, below one another."""
    return torch.cat([_wide(part, width) for part in parts])


def _wide(part: Tensor, width: int) -> Tensor:
    missing = width - part.shape[1]
    return torch.cat([part, part.new_zeros(len(part), missing, *part.shape[2:])], 1) if missing else part


def alike(episode: Episode, rows: Tensor, most: int) -> Iterator[tuple[Tensor, Episode]]:
    """Decisions a few at a time, as places in `rows`, with the episode cut to the most orders that they have.

    Decisions with about as many open orders go together: less is padded, and what a piece needs stays in a processor's
    cache.
    """
    width = episode.there.sum(1)[episode.minute[rows]]
    for piece in width.argsort().split(most):
        widest = int(width[piece[-1]])
        yield piece, episode._replace(orders=episode.orders[:, :widest], there=episode.there[:, :widest])


def joined(parts: list[Episode]) -> Episode:
    """Several episodes as one; rows and agents of later ones are numbered on."""
    width = max(part.orders.shape[1] for part in parts)
    rows, agents, moved = 0, 0, []
    for part in parts:
        moved.append(part._replace(
            minute=part.minute + rows, agent=part.agent + agents, orders=_wide(part.orders, width),
            there=_wide(part.there, width),
        ))  # fmt: skip
        rows, agents = rows + len(part.orders), agents + _top(part.agent)
    return Episode(*(torch.cat(column) for column in zip(*moved, strict=True)))


def _top(agent: Tensor) -> int:
    return int(agent.max()) + 1 if len(agent) else 0


def following(episode: Episode) -> Tensor:
    """For each decision the row of the same agent's next one in this episode, -1 for the last; `[D]` int64."""
    last = torch.full((_top(episode.agent),), -1)
    after = torch.full_like(episode.agent, -1)
    for t in range(int(episode.time.max()) if len(episode.time) else -1, -1, -1):
        rows = (episode.time == t).nonzero().squeeze(-1)
        agents = episode.agent[rows]
        after[rows] = last[agents]
        last[agents] = rows
    return after
