"""Reading a learned rule: where stocks spend their time, from which stock on it fishes, what moves that threshold."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from livepapers.tasks.ecosystem import HarvestPolicy
from livepapers.tasks.ecosystem_model import Ecosystem

STARTS = 100  # positions that a window of each size is tried at
SIZES = 20  # window sizes: 0.05, 0.10 ... 1 of the range
LEAST_VARIANCE = 1e-12
"""A target that varies less than this is constant: what is left is rounding, and nothing explains it."""
LEVEL = 0.02
"""The mortality below which a rule counts as not fishing (verdict rule of claim C1)."""


class Slope(NamedTuple):
    """How a threshold follows one other species, from a regression on all others."""

    slope: float  # change of the threshold with a unit of the species
    explains: float  # partial R2: its share of the variance that the other species leave unexplained, 0 to 1


def popular_window(values: Tensor, share: float = 0.7) -> tuple[float, float]:
    """The narrowest interval in which a species spends at least `share` of its time (paper, smoothing).

    Window sizes of 0.05, 0.10 ... 1 of the range are tried in turn, each at 100 evenly spaced start positions; the
    first size with a window that holds enough decides, at the position that holds most (the lowest of equals).

    Args:
        values: `[n]` visited populations; NaN is left out.
        share: Of the values.

    Returns:
        (low, high), both inside.
    """
    values = values[~values.isnan()].double().sort().values
    low, high = values[0], values[-1]
    for step in range(1, SIZES + 1):
        size = (high - low) * step / SIZES
        starts = torch.linspace(float(low), float(high - size), STARTS, dtype=torch.float64)
        ends = starts + size if step < SIZES else torch.full_like(starts, float(high))
        inside = torch.searchsorted(values, ends, right=True) - torch.searchsorted(values, starts)
        best = int(inside.argmax())
        if int(inside[best]) >= share * len(values):
            return float(starts[best]), float(ends[best])
    return float(low), float(high)


def curve(policy: HarvestPolicy, model: Ecosystem, *, along: int, stock: Tensor, others: Tensor) -> Tensor:
    """The rule along one species: mortalities where it has the populations `stock` and the others stay.

    Args:
        policy: The rule.
        model: Whose species these are.
        along: The position of the species that varies.
        stock: `[P]` its populations.
        others: `[n, S]` states that give the other species.

    Returns:
        `[n, P, fisheries]` mortalities in [0, 1].
    """
    states = others[:, None].repeat(1, len(stock), 1)
    states[..., along] = stock
    with torch.no_grad():
        mortality = policy(states.flatten(0, 1) / model.scale)
    return mortality.clamp(0.0, 1.0).view(len(others), len(stock), -1)


def threshold(stock: Tensor, mortality: Tensor, *, level: float = LEVEL) -> Tensor:
    """The stock from which on a rule fishes: the last place where mortality rises through `level`.

    Args:
        stock: `[P]` ascending.
        mortality: `[..., P]`.
        level: Mortality that counts as fishing.

    Returns:
        `[...]`, interpolated between grid points; the first stock where the rule always fishes, infinite where it
        does not fish the largest.
    """
    quiet = mortality <= level
    index = torch.arange(len(stock)).expand(mortality.shape)
    last = torch.where(quiet, index, -1).amax(-1)  # the last grid point without fishing
    at = last.clamp(0, len(stock) - 2)
    below, above = (mortality.gather(-1, (at + i).unsqueeze(-1)).squeeze(-1) for i in (0, 1))
    share = ((level - below) / (above - below).clamp(min=1e-12)).clamp(0.0, 1.0)
    crossing = stock[at] + share * (stock[at + 1] - stock[at])
    crossing = torch.where(last == len(stock) - 1, torch.inf, crossing)
    return torch.where(last < 0, stock[0], crossing)


def quiet_width(stock: Tensor, mortality: Tensor, *, level: float = LEVEL) -> float:
    """How wide the window without fishing is that ends at the threshold of one curve, `mortality` `[P]`."""
    end = threshold(stock, mortality, level=level)
    fished = (mortality > level) & (stock < end)
    begin = stock[fished].max() if bool(fished.any()) else stock[0]
    return float(end.clamp(max=float(stock[-1])) - begin)


def fitted_escapement(stock: Tensor, mortality: Tensor, *, candidates: int = 401) -> Tensor:
    """The constant escapement S that a curve is closest to: least squares of M - max(1 - S / N, 0).

    Args:
        stock: `[P]` > 0.
        mortality: `[n, P]`.
        candidates: Values of S from 0 to the largest stock that are compared.

    Returns:
        `[n]`.
    """
    levels = torch.linspace(0.0, float(stock[-1]), candidates, dtype=stock.dtype)
    ideal = (1.0 - levels[:, None] / stock).clamp(min=0.0)  # [candidates, P]
    error = torch.cdist(mortality.to(stock.dtype), ideal)
    return levels[error.argmin(1)]


def slopes(target: Tensor, states: Tensor) -> list[Slope]:
    """Ordinary least squares of `target` `[n]` on a constant and the columns of `states` `[n, k]`: one slope each.

    A species that explains nothing shows so however many states are read; a t-statistic would grow with them.
    """
    x, y = states.double().numpy(), target.double().numpy()
    if len(y) < x.shape[1] + 2:
        raise ValueError(f"slopes of {x.shape[1]} species need more than {x.shape[1] + 1} states, got {len(y)}")
    x, y = x - x.mean(0), y - y.mean()
    coefficients, *_ = np.linalg.lstsq(x, y, rcond=None)
    left = y - x @ coefficients
    inverse = np.diag(np.linalg.pinv(x.T @ x))
    # what the squares would grow by without a column; a column that is constant has no inverse and no slope
    gained = np.divide(coefficients**2, inverse, out=np.zeros_like(inverse), where=inverse > 0)
    without = np.maximum(left @ left + gained, LEAST_VARIANCE * len(y))
    return [Slope(float(c), float(g / w)) for c, g, w in zip(coefficients, gained, without, strict=True)]


def threshold_slopes(
    policy: HarvestPolicy, model: Ecosystem, *, fishery: int, states: Tensor, points: int = 101
) -> tuple[Tensor, dict[str, Slope]]:
    """What moves the escapement of a fishery: the escapement that fits its curve best, regressed on the other species.

    Args:
        policy: The rule.
        model: Whose species these are.
        fishery: Its position in `model.fisheries`.
        states: `[n, S]` visited populations, from which the other species are taken.
        points: Of each curve.

    Returns:
        (the escapements `[n]`, the slope by the name of each other species).
    """
    along = model.harvested[fishery]
    stock = torch.linspace(0.0, 1.5 * model.sizes[along], points)[1:]
    mortality = curve(policy, model, along=along, stock=stock, others=states)[..., fishery]
    fitted = fitted_escapement(stock, mortality)
    rest = [i for i in range(len(model.species)) if i != along]
    found = slopes(fitted, states[:, rest]) if rest else []
    return fitted, {model.names[i]: slope for i, slope in zip(rest, found, strict=True)}


def some_visited(visited: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """A random choice of visited states, `[count, S]` of `visited` `[T, B, S]`; ended episodes (NaN) are left out."""
    states = visited.flatten(0, 1)
    states = states[~states.isnan().any(1)]
    return states[torch.randint(len(states), (count,), generator=generator)]
