"""How much better an action was than expected: pure functions of `[T, N]` tensors, T steps of N lanes."""

import torch
from torch import Tensor


def generalised_advantages(
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    ended: Tensor,
    *,
    discount: float,
    trace: float,
) -> Tensor:
    """Generalised advantage estimates (Schulman et al. 2016, equation 16), cut where episodes end.

    A_t = sum over k >= t of (discount trace)^(k - t) delta_k, up to the episode's end, with
    delta_k = r_k + discount V(next state) - V(state), and no bootstrap from a terminated state.

    Args:
        reward: `[T, N]`.
        value: `[T, N]` of the states acted in.
        next_value: `[T, N]` of the states that the steps led to, before any restart.
        terminated: `[T, N]` bool: nothing follows.
        ended: `[T, N]` bool: terminated or truncated; another episode begins with the next step.
        discount: Per step.
        trace: lambda; 0 one-step differences, 1 returns minus values.

    Returns:
        `[T, N]`.
    """
    delta = reward + discount * next_value * ~terminated - value
    decay = discount * trace * (~ended).to(delta.dtype)  # a bool times a number would be single precision
    advantage = torch.empty_like(delta)
    later = torch.zeros_like(delta[0]) if len(delta) else None
    for t in range(len(delta) - 1, -1, -1):
        later = torch.addcmul(delta[t], decay[t], later)  # type: ignore[arg-type]
        advantage[t] = later
    return advantage


def returns_to_go(reward: Tensor, ended: Tensor, *, discount: float, bootstrap: Tensor | None = None) -> Tensor:
    """Discounted sums of rewards from each step to the end of its episode.

    Args:
        reward: `[T, N]`.
        ended: `[T, N]` bool.
        discount: Per step.
        bootstrap: `[N]`, what follows the last step where its episode goes on; nothing when left out.

    Returns:
        `[T, N]`.
    """
    later = torch.zeros_like(reward[0]) if bootstrap is None else bootstrap
    total = torch.empty_like(reward)
    for t in range(len(reward) - 1, -1, -1):
        later = reward[t] + discount * torch.where(ended[t], 0.0, later)
        total[t] = later
    return total


def standardise(x: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over all entries; 0 where all are equal."""
    return (x - x.mean()) / (x.std(correction=0) + 1e-8)


def group_relative(reward: Tensor, group: Tensor, *, scale: bool = True, fewest: int = 2) -> Tensor:
    """Rewards minus the mean of their group: a baseline without a critic.

    Args:
        reward: `[K]`.
        group: `[K]` int64, which group each belongs to; any numbers.
        scale: Whether to divide by the group's standard deviation (of the population, plus 1e-8).
        fewest: Members a group needs; smaller ones give 0.

    Returns:
        `[K]`.
    """
    _, member, count = torch.unique(group, return_inverse=True, return_counts=True)
    mean = torch.zeros(len(count), dtype=reward.dtype).index_add(0, member, reward) / count
    centred = reward - mean[member]
    centred = torch.where((count >= fewest)[member], centred, 0.0)
    if not scale:
        return centred
    variance = torch.zeros(len(count), dtype=reward.dtype).index_add(0, member, centred.square()) / count
    return centred / (variance.sqrt() + 1e-8)[member]
