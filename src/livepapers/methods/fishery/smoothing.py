"""The smoothed rule: a Gaussian process fitted to a learned rule's mortalities on three kinds of grids."""

import itertools
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from livepapers.methods.fishery.control_rules import popular_window
from livepapers.tasks.ecosystem import HarvestPolicy
from livepapers.tasks.ecosystem_model import Ecosystem

AMPLITUDE, LENGTH, NOISE = 1.0, 10.0, 0.1  # first guesses; the paper's kernel
MOST_POINTS = 4000  # three species need 3,825; beyond, a random choice of them


class SmoothedRule(nn.Module):
    """The mean of a Gaussian process, cut to [0, 1]: observations `[B, species]` -> mortalities `[B, fisheries]`.

    M(x) = sum over k of amplitude exp(-|x - x_k|^2 / (2 length^2)) weight_k, x = populations in units of `sizes`.

    Args:
        points: Number of states n that it was fitted to.
        species: S.
        fisheries: F.
        scale: Populations are observations times this.
    """

    takes = "observation"
    sizes: Tensor  # [S]
    states: Tensor  # [n, S] in units of `sizes`
    weights: Tensor  # [n, F]
    kernel: Tensor  # [3] amplitude, length, noise

    def __init__(self, points: int, species: int, fisheries: int, scale: float) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "points": points, "species": species, "fisheries": fisheries, "scale": scale,
        }  # fmt: skip
        self.scale = float(scale)
        shapes = {"sizes": (species,), "states": (points, species), "weights": (points, fisheries), "kernel": (3,)}
        for name, shape in shapes.items():  # double precision: the weights are large and cancel
            self.register_buffer(name, torch.ones(shape, dtype=torch.float64))

    def forward(self, observation: Tensor) -> Tensor:
        """Mortalities for observations."""
        x = self.scale * observation.double() / self.sizes
        distance = (x.square().sum(1, keepdim=True) - 2.0 * x @ self.states.T + self.states.square().sum(1)).clamp(
            min=0
        )
        amplitude, length, _ = self.kernel
        near = amplitude * torch.exp(distance.mul_(-0.5 / length**2))
        return (near @ self.weights).clamp(0.0, 1.0).to(observation.dtype)


def smoothing_states(
    model: Ecosystem,
    visited: Tensor,
    *,
    popular: float,
    curve_points: int,
    other_points: int,
    generator: torch.Generator,
) -> Tensor:
    """The states a smoothed rule is fitted to: each species in turn on an even grid, the others inside their windows.

    For three species, 51 and 5 points this is 3 x 51 x 25 states. The grid of a species runs from 0 to its size, or
    to the largest population in the middle 99 % of visits if that is larger.

    Args:
        model: Whose species these are.
        visited: `[n, S]` populations that the rule leads to.
        popular: Share of the visits inside a popular window.
        curve_points: Of the species in turn.
        other_points: Of each other species.
        generator: Of the choice where there would be more than `MOST_POINTS` states.

    Returns:
        `[points, S]` populations.
    """
    count = len(model.species)
    windows = [popular_window(visited[:, i], popular) for i in range(count)]
    reach = [max(size, float(visited[:, i].quantile(0.995))) for i, size in enumerate(model.sizes)]
    inside = [torch.linspace(low, high, other_points) for low, high in windows]
    per_species = MOST_POINTS // count
    parts = []
    for i in range(count):
        axes = [torch.linspace(0.0, reach[j], curve_points) if j == i else inside[j] for j in range(count)]
        total = curve_points * other_points ** (count - 1)
        if total <= per_species:
            parts.append(torch.tensor(list(itertools.product(*(axis.tolist() for axis in axes)))))
        else:
            rows = [axis[torch.randint(len(axis), (per_species,), generator=generator)] for axis in axes]
            parts.append(torch.stack(rows, 1))
    return torch.cat(parts)


def smooth(
    policy: HarvestPolicy, model: Ecosystem, states: Tensor, *, fit_points: int, generator: torch.Generator
) -> SmoothedRule:
    """Fit a Gaussian process to a rule's deterministic mortalities.

    The kernel (amplitude RBF + white noise, one length for all species) is fitted by marginal likelihood on a random
    choice of the states; with it, the process is conditioned on all of them.

    Args:
        policy: The rule to be smoothed.
        model: Whose species these are.
        states: `[n, S]` populations.
        fit_points: States on which the kernel is fitted.
        generator: Of that choice.
    """
    # scikit-learn takes seconds to import, which rules without a smoothed twin need not
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    sizes = torch.tensor(model.sizes, dtype=torch.float64)
    with torch.no_grad():
        targets = policy(states / model.scale).clamp(0.0, 1.0).double().numpy()
    x = (states.double() / sizes).numpy()
    some = torch.randperm(len(x), generator=generator)[:fit_points].numpy()
    kernel = ConstantKernel(AMPLITUDE) * RBF(LENGTH) + WhiteKernel(NOISE)
    with warnings.catch_warnings():
        # a learned rule is a function without noise, so that the noise may well end at its lower bound
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = GaussianProcessRegressor(kernel).fit(x[some], targets[some])
    unfitted = GaussianProcessRegressor(fitted.kernel_, optimizer=None)  # type: ignore[arg-type]  # None: as it is
    whole = unfitted.fit(x, targets)
    rule = SmoothedRule(len(x), len(model.species), targets.shape[1], model.scale)
    rule.sizes.copy_(sizes)
    rule.states.copy_(torch.from_numpy(x))
    rule.weights.copy_(torch.from_numpy(whole.alpha_.reshape(len(x), -1)))
    rule.kernel.copy_(torch.from_numpy(np.exp(whole.kernel_.theta)))  # type: ignore[union-attr]  # kept as logarithms
    return rule.eval()
