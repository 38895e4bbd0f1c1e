"""Variation operators on matrices of genomes: iso+line mutation, and the gradient of a critic."""

import torch
from torch import Tensor, nn

from livepapers.methods.dcg_map_elites.conditioning import extended
from livepapers.methods.dcg_map_elites.policies import Genotypes


def iso_line(first: Tensor, second: Tensor, *, isotropic: float, line: float, generator: torch.Generator) -> Tensor:
    """psi_1 + sigma_1 xi + sigma_2 zeta (psi_2 - psi_1): xi a normal number a weight, zeta one an offspring.

    Args:
        first: Parents, `[P, parameter]`.
        second: The others of each pair.
        isotropic: sigma_1.
        line: sigma_2.
        generator: Of xi, then of zeta.
    """
    noise = torch.randn(first.shape, generator=generator)
    share = torch.randn(len(first), 1, generator=generator)
    return first + isotropic * noise + line * share * (second - first)


def policy_gradient(
    parents: Tensor, asked: Tensor, *, genotypes: Genotypes, critic: nn.Module, states: Tensor, rate: float
) -> Tensor:
    """M Adam steps of each parent on -mean Q_1(s, pi(s) | its own descriptor): better, and in its place.

    All parents are one batched graph whose losses are summed. Adam works element by element, so one optimiser of the
    matrix is one fresh optimiser a parent.

    Args:
        parents: `[P, parameter]`; not changed.
        asked: Their descriptors, `[P, D]`; D = 0 where the critic is not conditioned.
        genotypes: What the numbers mean.
        critic: (observation and descriptor, action) -> `[B]`; not changed.
        states: Minibatches that all parents share, `[m, N, F]`.
        rate: Of Adam.

    Returns:
        Offspring, `[P, parameter]`.
    """
    theta = parents.clone().requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=rate, fused=True)
    count, batch = len(parents), states.shape[1]
    told = asked[:, None].expand(count, batch, asked.shape[1])
    for seen in states:
        each = seen.expand(count, *seen.shape)
        actions = genotypes.forward(theta, each).flatten(0, 1)
        values = critic(extended(each, told).flatten(0, 1), actions).unflatten(0, (count, batch))
        (theta.grad,) = torch.autograd.grad(-values.mean(1).sum(), [theta])
        optimizer.step()
    return theta.detach()
