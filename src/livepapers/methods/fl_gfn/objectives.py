"""The five objectives as pure functions of log flows, log probabilities and energies (fl-gfn)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Objective = Literal["fl-db", "fl-subtb", "db", "tb", "subtb"]


@dataclass(frozen=True)
class Terms:
    """What the objectives need of B trajectories of at most T moves; padding holds zeros.

    With a forward-looking objective `log_flow` is log F~ and `energy` counts; otherwise it is log F and `energy` is
    ignored. At finished objects `log_flow` holds the anchor: 0 for log F~, log R for log F.
    """

    log_flow: Tensor  # [T + 1, B]
    log_forward: Tensor  # [T, B] log P_F of the action taken
    log_backward: Tensor  # [T, B] log P_B of undoing it; 0 for the stop action
    energy: Tensor  # [T, B] E(s -> s'), nats
    live: Tensor  # [T, B] bool: a real transition, not padding
    length: Tensor  # [B] int64 transitions that are kept
    ended: Tensor  # [B] bool: the last transition leads to a finished object
    log_reward: Tensor  # [B] log R of finished objects, 0 for the others


def forward_looking_residual(log_flow: Tensor, log_forward: Tensor, log_backward: Tensor, energy: Tensor) -> Tensor:
    """Equation (1) on each transition, `[T, B]`: log F~(s) + log P_F - log F~(s') - log P_B + E(s -> s')."""
    return log_flow[:-1] + log_forward - log_flow[1:] - log_backward + energy


def detailed_balance_residual(log_flow: Tensor, log_forward: Tensor, log_backward: Tensor) -> Tensor:
    """Equation (3) on each transition, `[T, B]`: log F(s) + log P_F - log F(s') - log P_B."""
    return log_flow[:-1] + log_forward - log_flow[1:] - log_backward


def trajectory_balance_residual(log_z: Tensor, log_forward: Tensor, log_backward: Tensor, log_reward: Tensor) -> Tensor:
    """Equation (4) on each trajectory, `[B]`: log Z + sum log P_F - log R - sum log P_B."""
    return log_z + (log_forward - log_backward).sum(dim=0) - log_reward


def sub_trajectory_residuals(
    log_flow: Tensor, log_forward: Tensor, log_backward: Tensor, energy: Tensor | None = None
) -> Tensor:
    """Equation (2) for all pairs i, j of states, `[T + 1, T + 1, B]`; only i < j is meant.

    With c_t the running sum of log P_F - log P_B (+ E), the residual of (i, j) is (log F_i - c_i) - (log F_j - c_j).
    """
    gain = log_forward - log_backward
    gain = gain if energy is None else gain + energy
    cumulative = torch.cat([torch.zeros_like(gain[:1]), gain.cumsum(dim=0)])
    level = log_flow - cumulative
    return level[:, None] - level[None, :]


def sub_trajectory_weights(length: Tensor, *, steps: int, decay: float) -> Tensor:
    """lambda^(j - i) / sum for each trajectory and i < j <= length, `[steps + 1, steps + 1, B]`; each sums to 1."""
    index = torch.arange(steps + 1)
    span = index[None, :] - index[:, None]
    base = torch.where(span > 0, float(decay) ** (span - 1).clamp(min=0).to(torch.float64), 0.0)
    inside = (index[None, :, None] <= length[None, None, :]) & (span > 0)[:, :, None]
    weights = base[:, :, None] * inside
    total = weights.sum(dim=(0, 1), keepdim=True)
    return weights / torch.where(total > 0, total, 1.0)


def objective_loss(objective: Objective, terms: Terms, *, log_z: Tensor | None = None, decay: float = 0.9) -> Tensor:
    """The loss `[]` of a batch.

    fl-db, db: mean of squared residuals over transitions. fl-subtb, subtb: weighted mean over sub-trajectories, then
    over trajectories. tb: mean over the trajectories that ended; 0 if none did.

    Args:
        objective: Which one.
        terms: The batch.
        log_z: The parameter of "tb".
        decay: lambda of the sub-trajectory objectives.
    """
    if objective == "tb":
        if log_z is None:
            raise ValueError("log_z: got None, expected the log Z parameter that objective 'tb' learns")
        kept = terms.ended & (terms.length > 0)
        residual = trajectory_balance_residual(log_z, terms.log_forward, terms.log_backward, terms.log_reward)
        return (residual.square() * kept).sum() / kept.sum().clamp(min=1)
    if objective in ("subtb", "fl-subtb"):
        energy = terms.energy if objective == "fl-subtb" else None
        residuals = sub_trajectory_residuals(terms.log_flow, terms.log_forward, terms.log_backward, energy)
        weights = sub_trajectory_weights(terms.length, steps=len(terms.live), decay=decay).to(residuals.dtype)
        return (residuals.square() * weights).sum() / (terms.length > 0).sum().clamp(min=1)
    if objective == "fl-db":
        residual = forward_looking_residual(terms.log_flow, terms.log_forward, terms.log_backward, terms.energy)
    else:
        residual = detailed_balance_residual(terms.log_flow, terms.log_forward, terms.log_backward)
    return (residual.square() * terms.live).sum() / terms.live.sum().clamp(min=1)
