"""What is read off a direction and off the lengths of gradients: concentration, overlap, frequency, bursts."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

TOP = 0.01  # share of entries that count as the top


class Spectrum(NamedTuple):
    """How a direction is spread over spatial frequencies."""

    magnitude: Tensor  # [height, width], zero frequency in the middle
    entropy: float  # of the energy over frequencies, divided by its largest value: 1 is evenly spread
    radius_50: float  # cycles a picture, within which half of the energy lies
    radius_90: float


class Bursts(NamedTuple):
    """How unevenly instability comes over time."""

    variation: float  # standard deviation over mean: free of the gradient's scale
    peak: float  # largest over mean


def participation_ratio(direction: Tensor) -> float:
    """1 / sum G_i^4 of the unit direction, from 1 (one entry) to d (all alike)."""
    flat = direction.double().flatten()
    return float(flat.square().sum().square() / flat.pow(4).sum())


def top_energy(direction: Tensor, share: float = TOP) -> float:
    """Share of the energy in the largest entries."""
    squares = direction.double().flatten().square()
    return float(squares.topk(_top(squares, share)).values.sum() / squares.sum())


def jaccard(one: Tensor, other: Tensor, share: float = TOP) -> float:
    """Overlap of the sets of largest entries of two directions: 0 disjoint, 1 the same."""
    first, second = (
        set(flat.topk(_top(flat, share)).indices.tolist())
        for flat in (each.double().flatten().abs() for each in (one, other))
    )
    return len(first & second) / len(first | second)


def heat(direction: Tensor) -> Tensor:
    """|G| as one picture, `[height, width]`: summed over channels; flat observations become one row.

    Args:
        direction: `[d]`, `[height, width]` or `[channels, height, width]`.
    """
    plane = direction.double().abs()
    if plane.dim() < 2:
        return plane.reshape(1, -1)
    return plane.reshape(-1, *plane.shape[-2:]).sum(0)


def spectrum(direction: Tensor) -> Spectrum:
    """Energy of the two-dimensional Fourier transform of G, summed over channels.

    Args:
        direction: `[d]`, `[height, width]` or `[channels, height, width]`.
    """
    planes = direction.double().reshape(-1, *(direction.shape[-2:] if direction.dim() > 1 else (1, direction.numel())))
    energy = torch.fft.fftshift(torch.fft.fft2(planes).abs().square().sum(0))
    shares = (energy / energy.sum()).flatten()
    entropy = -float(torch.special.xlogy(shares, shares).sum())
    rows, columns = ((torch.arange(size) - size // 2).double() for size in energy.shape)
    radius = (rows[:, None].square() + columns[None].square()).sqrt().flatten()
    order = radius.argsort(stable=True)
    within = shares[order].cumsum(0)
    half, most = (
        float(radius[order][int((within < share - 1e-12).sum().clamp(max=len(order) - 1))]) for share in (0.5, 0.9)
    )
    return Spectrum(energy.sqrt(), entropy / math.log(len(shares)) if len(shares) > 1 else 0.0, half, most)


def bursts(norms: Tensor) -> Bursts:
    """Coefficient of variation and peak of |w(s_t)|, `[state]`; zeros where nothing moves the decision."""
    mean = float(norms.mean())
    if mean == 0.0:
        return Bursts(0.0, 0.0)
    return Bursts(float(norms.std(correction=0)) / mean, float(norms.max()) / mean)


def _top(flat: Tensor, share: float) -> int:
    return max(round(share * flat.numel()), 1)
