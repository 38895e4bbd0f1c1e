"""The new term: rewards that count as much as the asked descriptor was met, and minibatches made of them."""

from collections.abc import Mapping

import torch
from torch import Tensor


def similarity(achieved: Tensor, asked: Tensor, length: float) -> Tensor:
    """S(d, d') = exp(-|d - d'| / l), `[..., D], [..., D] -> [...]`; descriptors and l in half-widths of the box."""
    return torch.exp(-torch.linalg.vector_norm(achieved - asked, dim=-1) / length)


def extended(observation: Tensor, descriptor: Tensor) -> Tensor:
    """[s, d']: what conditioned critics and actors see, `[B, F], [B, D] -> [B, F + D]`."""
    return torch.cat([observation, descriptor], -1)


def conditioned_batch(rows: Mapping[str, Tensor], length: float) -> dict[str, Tensor]:
    """Remembered steps as the conditioned critics learn from them.

    Rewards are multiplied by S(d, d'); then Q(s, a | d') = E sum_t gamma^t S(d, d') r_t is an ordinary value. d is what
    the whole episode achieved, d' what it was asked for. Steps that the horizon cut do not count.

    Args:
        rows: Columns of the replay: observation and following `[B, F]`, action, reward, terminated, truncated,
            achieved and asked `[B, D]`.
        length: l.

    Returns:
        What `ActorCritic.learn` takes.
    """
    asked = rows["asked"]
    return {
        "observation": extended(rows["observation"], asked), "following": extended(rows["following"], asked),
        "action": rows["action"], "reward": rows["reward"] * similarity(rows["achieved"], asked, length),
        "terminated": rows["terminated"], "weight": (~rows["truncated"]).to(torch.float32),
    }  # fmt: skip


def plain_batch(rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same without descriptors, as PGA-MAP-Elites learns."""
    kept = {name: rows[name] for name in ("observation", "following", "action", "reward", "terminated")}
    return {**kept, "weight": (~rows["truncated"]).to(torch.float32)}


def with_random_requests(rows: Mapping[str, Tensor], share: float, generator: torch.Generator) -> dict[str, Tensor]:
    """Remembered steps of which a share is asked for a uniform descriptor of the box instead (ablation 2)."""
    asked = rows["asked"]
    other = 2.0 * torch.rand(asked.shape, generator=generator) - 1.0
    chosen = torch.rand(len(asked), 1, generator=generator) < share
    return {**rows, "asked": torch.where(chosen, other, asked)}
