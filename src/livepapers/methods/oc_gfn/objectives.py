"""The new terms as pure functions of log flows, log probabilities and log rewards (oc-gfn)."""

import torch
from torch import Tensor


def outcome_teleportation_residual(
    log_flow: Tensor, log_forward: Tensor, log_backward: Tensor, log_reward: Tensor
) -> Tensor:
    """Equation (2) on each transition, `[T, B]`: log F(s|y) + log P_F - log F(s'|y) - log P_B - log R(x|y).

    Args:
        log_flow: log F(s|y), `[T + 1, B]`; 0 at finished objects.
        log_forward: log P_F of the action taken, `[T, B]`.
        log_backward: log P_B of undoing it, `[T, B]`; 0 for the stop action.
        log_reward: What `edge_log_reward` puts on each edge, `[T, B]`; zeros where the outcome was reached, which
            makes this detailed balance with a terminal flow of 1, equation (1).
    """
    return log_flow[:-1] + log_forward - log_flow[1:] - log_backward - log_reward


def edge_log_reward(reached: Tensor, length: Tensor, *, steps: int, log_last: float, log_inner: float) -> Tensor:
    """Log R(x|y) on the edges of each trajectory, `[steps, B]`: 0 where the outcome was reached and in the padding.

    Args:
        reached: Whether the trajectory ended in its outcome, `[B]` bool.
        length: Its actions, `[B]`.
        steps: T, the actions of the longest.
        log_last: log epsilon on the last edge of a failure; it stands for log 0.
        log_inner: On the edges before: log epsilon too (outcome teleportation), or 0.
    """
    time = torch.arange(steps)[:, None]
    carried = torch.where(time < length - 1, log_inner, torch.where(time == length - 1, log_last, 0.0))
    return torch.where(reached, 0.0, carried)


def conversion(log_weight: Tensor, log_flow: Tensor, log_forward: Tensor) -> Tensor:
    """Equation (3): log P_F^r(s'|s) = log sum_y w(y) F(s|y) P_F(s'|s,y) - log sum_y w(y) F(s|y), `[..., action]`.

    Args:
        log_weight: log r(y), or log r(y) - log q(y) of outcomes drawn from q; broadcasts to `[..., outcome]`.
        log_flow: log F(s|y), `[..., outcome]`; -inf where y cannot be reached from s.
        log_forward: log P_F(s'|s,y), `[..., outcome, action]`.
    """
    mass = log_weight + log_flow
    return torch.logsumexp(mass[..., None] + log_forward, dim=-2) - torch.logsumexp(mass, dim=-1, keepdim=True)


def amortisation_residual(
    log_numerator: Tensor, log_outcome: Tensor, log_reward: Tensor, log_flow: Tensor, log_forward: Tensor
) -> Tensor:
    """Equation (4): log N(s'|s) + log Q(y|s',s) - log r(y) - log F(s|y) - log P_F(s'|s,y), all `[...]`."""
    return log_numerator + log_outcome - log_reward - log_flow - log_forward


def fixed_point_success(outcomes: int, failure_reward: float) -> float:
    """Share of trajectories that reach y where (1) holds everywhere and failures have the flow epsilon.

    The root's flow is the sum over all objects, F(s0|y) = 1 + epsilon (|Y| - 1), and y has 1 of it (f one-to-one,
    epsilon on the last edge). So epsilon has to be small against 1 / |Y|, however long the training.
    """
    return 1.0 / (1.0 + failure_reward * (outcomes - 1))
