"""Per-step action certificates in the manner of CROP (Wu et al. 2022): where no budget can change any action.

The agent votes: at each step the action that is taken is the most frequent one over many noises on what it sees. With
lower and upper confidence bounds p_A, p_B of the two largest shares, no change of what it sees of l2 norm below

    radius = sigma / 2 (Phi^-1(p_A) - Phi^-1(p_B))

changes the vote. An episode is certified for a budget if that holds at every step; then its return stays what it is. An
agent that sees a stack of observations is judged on the stack: a change of one observation is in several of them, but
in none more than the whole budget.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import special
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.vector import BatchedTask


class VotedEpisodes(NamedTuple):
    """One episode of each lane under majority votes."""

    returns: np.ndarray  # [lane]
    radius: np.ndarray  # [lane] least radius over the steps: the budget up to which the episode is certified
    evaluations: int  # rows that the policy was asked about
    steps: int  # votes of episodes under way


def radii(votes: np.ndarray, *, sigma: float, alpha: float) -> np.ndarray:
    """Certified radius of each vote; 0 where the two bounds do not separate.

    Args:
        votes: `[lane, action]` counts.
        sigma: Of the noise that was voted over.
        alpha: How often a radius may be too large; half of it goes into each of the two bounds.
    """
    votes = np.asarray(votes, dtype=np.float64)
    total, top = votes.sum(-1), -np.sort(-votes, axis=-1)[..., :2]
    lower = np.where(
        top[..., 0] > 0, special.betaincinv(np.maximum(top[..., 0], 1.0), total - top[..., 0] + 1, alpha / 2), 0
    )
    rest = np.maximum(total - top[..., 1], 1.0)
    upper = np.where(top[..., 1] < total, special.betaincinv(top[..., 1] + 1, rest, 1.0 - alpha / 2), 1.0)
    open_pair = lower > upper
    distance = special.ndtri(np.where(open_pair, lower, 0.5)) - special.ndtri(np.where(open_pair, upper, 0.5))
    return sigma / 2.0 * distance


@torch.no_grad()
def voted_episodes(
    act: Callable[[Tensor], Tensor],
    task: BatchedTask,
    *,
    sigma: float,
    votes: int,
    alpha: float,
    horizon: int,
    actions: int,
    generator: torch.Generator,
    seed: int,
) -> VotedEpisodes:
    """Play one episode a lane by votes.

    Args:
        act: What the agent sees `[batch, ...]` -> actions `[batch]`.
        task: Where; it shows the agent what it sees, without noise.
        sigma: Of the noise on all that it sees.
        votes: Noises a step.
        alpha: How often a lane's radius may be too large, over all its steps.
        horizon: Longest episode.
        actions: How many there are.
        generator: Of the noises.
        seed: Of the episodes.
    """
    if sigma <= 0.0 or votes < 1 or not 0.0 < alpha < 1.0:
        raise InputError.of(
            "votes", f"{votes} at sigma {sigma}", expected="at least one, at a sigma > 0, alpha in (0, 1)"
        )
    seen = task.reset(seed)
    returns, radius = torch.zeros(task.lanes, dtype=torch.float64), np.full(task.lanes, np.inf)
    going, evaluations, steps = torch.ones(task.lanes, dtype=torch.bool), 0, 0
    for _ in range(horizon):
        noisy = seen[:, None] + sigma * torch.randn(task.lanes, votes, *seen.shape[1:], generator=generator)
        chosen = act(noisy.flatten(0, 1)).reshape(task.lanes, votes)
        counts = torch.nn.functional.one_hot(chosen, actions).sum(1)
        evaluations, steps = evaluations + votes * int(going.sum()), steps + int(going.sum())
        here = radii(counts.numpy(), sigma=sigma, alpha=alpha / horizon)
        radius = np.where(going.numpy(), np.minimum(radius, here), radius)
        step = task.step(counts.argmax(1))
        returns += torch.where(going, step.reward.double(), 0.0)
        going &= ~(step.terminated | step.truncated)
        if not bool(going.any()):
            break
        seen = step.observation
    return VotedEpisodes(returns.numpy(), radius, evaluations, steps)
