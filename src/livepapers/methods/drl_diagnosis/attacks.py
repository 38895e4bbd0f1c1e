"""Attacks on a decision: small changes of an observation after which another action looks best.

All of them see the values of all actions and their gradients. Results stay within the observation's range, or where the
observation itself is outside of it, no farther out, and, apart from `steepest`, within an l2 norm `size` of the
observation: a longer change is cut to it, which may undo its success.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from livepapers.methods.drl_diagnosis.direction import Values

Length = TypeVar("Length", float, np.ndarray)


@dataclass(frozen=True)
class Limits:
    """What an attack may do.

    Attributes:
        size: Largest l2 norm of the change: of change / unit where there is a unit, else in the observation's units.
        low: Of the observation's numbers; with a unit `[number]`, else one for all.
        high: Likewise.
        unit: `[number]`, what each number's change is measured in, where each has a range of its own; else None.
    """

    size: float
    low: float | Tensor = 0.0
    high: float | Tensor = 1.0
    unit: Tensor | None = None

    @property
    def span(self) -> float | Tensor:
        """What counts as the whole range: of each number where each has its own."""
        return self.high - self.low if self.unit is None else self.unit

    def shares(self, length: Length) -> Length:
        """Lengths of changes, such as `size`, in shares of the range."""
        return length if self.unit is not None else length / max(float(self.span), 1e-12)

    def inside(self, changed: Tensor, states: Tensor) -> Tensor:
        """Cut to the range, widened to hold the states themselves: what is outside of it is not moved by the cut."""
        low, high = torch.as_tensor(self.low, dtype=states.dtype), torch.as_tensor(self.high, dtype=states.dtype)
        return changed.clamp(torch.minimum(states, low), torch.maximum(states, high))

    def keep(self, changed: Tensor, states: Tensor) -> Tensor:
        """The change cut to its size, then to the range, which only shortens it."""
        change = changed - states
        length = change.flatten(1).norm(dim=1)
        factor = (self.size / length.clamp(min=1e-12)).clamp(max=1.0)
        return self.inside(states + change * _wide(factor, states), states)


def steepest(values: Values, states: Tensor, *, radius: float | Tensor, steps: int = 10, limits: Limits) -> Tensor:
    """Projected gradient ascent in the l-infinity ball (Madry et al. 2018): the yardstick of robust training.

    Args:
        values: Q.
        states: `[B, ...]`.
        radius: Of the ball; one for all numbers, or one each.
        steps: Of length 2.5 radius / steps.
        limits: Its range; the size is not used.
    """
    target, changed = _best(values, states), states.clone()
    for _ in range(steps):
        slope = _slope(values, changed, target)
        changed = changed + 2.5 * radius / steps * slope.sign()
        changed = limits.inside(torch.clamp(changed, states - radius, states + radius), states)
    return changed


def nesterov(values: Values, states: Tensor, *, limits: Limits, steps: int = 10, momentum: float = 0.9) -> Tensor:
    """Nesterov's momentum: v <- mu v + grad J(s + mu v) / |grad J|_1, then a step along v of l2 length size / steps."""
    target, changed, speed = _best(values, states), states.clone(), torch.zeros_like(states)
    for _ in range(steps):
        slope = _slope(values, changed + momentum * speed, target)
        speed = momentum * speed + slope / _wide(slope.flatten(1).abs().sum(1).clamp(min=1e-12), slope)
        length = speed.flatten(1).norm(dim=1).clamp(min=1e-12)
        changed = limits.keep(changed + limits.size / steps * speed / _wide(length, speed), states)
    return changed


def deepfool(values: Values, states: Tensor, *, limits: Limits, steps: int = 10, overshoot: float = 0.02) -> Tensor:
    """To the nearest linearised boundary, until the best action is another one (Moosavi-Dezfooli et al. 2016)."""
    target = _best(values, states)
    total = torch.zeros_like(states)
    for _ in range(steps):
        changed = states + (1.0 + overshoot) * total
        unmoved = torch.nonzero(_best(values, changed) == target)[:, 0]
        if not len(unmoved):
            break
        gaps, slopes = _all_gaps(values, changed[unmoved], target[unmoved])  # [B, actions], [B, actions, d]
        lengths = slopes.norm(dim=2).clamp(min=1e-12)
        distance = (gaps.abs() / lengths).scatter(1, target[unmoved, None], math.inf)
        nearest, row = distance.argmin(1), torch.arange(len(unmoved))
        step = (distance[row, nearest] / lengths[row, nearest])[:, None] * slopes[row, nearest]
        total[unmoved] += step.reshape(-1, *states.shape[1:])
    return limits.keep(states + (1.0 + overshoot) * total, states)


def carlini_wagner(
    values: Values,
    states: Tensor,
    *,
    limits: Limits,
    sparse: float = 0.0,
    searches: int = 3,
    steps: int = 12,
    rate: float = 0.05,
) -> Tensor:
    """The smallest change by a penalty: |d|^2 + sparse |d|_1 + c max(Q(a*) - max Q(other), 0), c by binary search.

    With `sparse` = 0 it is Carlini and Wagner (2017), by Adam in tanh space; else the elastic-net attack of Chen et al.
    (2018), by iterated soft thresholds. Where no change is found the last one tried is returned.

    Args:
        values: Q.
        states: `[B, ...]`.
        limits: Range, and the size to which the change is cut.
        sparse: Weight of the l1 norm.
        searches: Values of c, each ten times or half of the way to the last one.
        steps: Of each search.
        rate: Of a step, in shares of the range.
    """
    found = _Smallest(states, _best(values, states))
    weight, low = torch.ones(len(states)), torch.zeros(len(states))
    high = torch.full((len(states),), math.inf)
    tried = states
    for _ in range(searches):
        found.flipped = torch.zeros(len(states), dtype=torch.bool)
        if sparse > 0.0:
            tried = _shrunk(values, found, weight, limits, sparse=sparse, steps=steps, rate=rate)
        else:
            tried = _in_tanh_space(values, found, weight, limits, steps=steps, rate=rate)
        high, low = torch.where(found.flipped, weight, high), torch.where(found.flipped, low, weight)
        weight = torch.where(high.isinf(), 10.0 * weight, (low + high) / 2.0)
    return limits.keep(torch.where(_wide(found.length.isinf(), states), tried, found.best), states)


class _Smallest:
    """The smallest change so far after which another action is best."""

    def __init__(self, states: Tensor, target: Tensor) -> None:
        self.states, self.target, self.best = states, target, states.clone()
        self.length = torch.full((len(states),), math.inf)
        self.flipped = torch.zeros(len(states), dtype=torch.bool)

    def slope(self, values: Values, changed: Tensor, weight: Tensor) -> Tensor:
        """Of |d|^2 + c max(margin, 0), by the way noting which changes succeed."""
        with torch.enable_grad():
            x = changed.detach().requires_grad_(True)
            margin = _margin(values(x), self.target)
            (found,) = torch.autograd.grad(((x - self.states).square().sum() + (weight * margin.relu()).sum()), x)
        length = (changed - self.states).flatten(1).norm(dim=1)
        success = margin.detach() < 0.0
        better = success & (length < self.length)
        self.flipped = self.flipped | success
        self.best = torch.where(_wide(better, changed), changed, self.best)
        self.length = torch.where(better, length, self.length)
        return found


def _in_tanh_space(
    values: Values, found: _Smallest, weight: Tensor, limits: Limits, *, steps: int, rate: float
) -> Tensor:
    """Adam on x, where the change is span / 2 (tanh x - tanh x_0): pixels at the range's edge begin where they are."""
    span = limits.high - limits.low
    plain = torch.atanh(((found.states - limits.low) / span * 2.0 - 1.0).clamp(-0.999, 0.999))
    free = plain.clone().requires_grad_(True)
    optimizer, changed = torch.optim.Adam([free], lr=4.0 * rate), found.states
    for _ in range(steps):
        squeezed = torch.tanh(free.detach())
        moved = found.states + span / 2.0 * (squeezed - torch.tanh(plain))
        changed = limits.inside(moved, found.states)
        inside = (changed == moved).float()
        free.grad = found.slope(values, changed, weight) * span / 2.0 * (1.0 - squeezed.square()) * inside
        optimizer.step()
    return changed


def _shrunk(
    values: Values, found: _Smallest, weight: Tensor, limits: Limits, *, sparse: float, steps: int, rate: float
) -> Tensor:
    """Gradient steps, each followed by the soft threshold that the l1 norm asks for."""
    changed, length = found.states.clone(), rate * (limits.high - limits.low)
    for _ in range(steps):
        change = changed - length * found.slope(values, changed, weight) - found.states
        change = change.sign() * (change.abs() - length * sparse).clamp(min=0.0)
        changed = limits.inside(found.states + change, found.states)
    return changed


def _margin(values: Tensor, target: Tensor) -> Tensor:
    """Q(target) - max of the others, `[B]`."""
    others = values.scatter(1, target[:, None], -math.inf)
    return values.gather(1, target[:, None])[:, 0] - others.amax(1)


@torch.no_grad()
def _best(values: Values, states: Tensor) -> Tensor:
    return values(states).argmax(1)


def _slope(values: Values, states: Tensor, target: Tensor) -> Tensor:
    """Of Q(best other) - Q(target): a gradient that no softmax saturates."""
    with torch.enable_grad():
        x = states.detach().requires_grad_(True)
        (found,) = torch.autograd.grad(-_margin(values(x), target).sum(), x)
    return found


def _all_gaps(values: Values, states: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Q(a) - Q(target) `[B, actions]` and their gradients `[B, actions, d]`."""
    with torch.enable_grad():
        x = states.detach().requires_grad_(True)
        found = values(x)
        gaps = found - found.gather(1, target[:, None])
        slopes = [
            torch.autograd.grad(gaps[:, action].sum(), x, retain_graph=True)[0].flatten(1)
            for action in range(gaps.shape[1])
        ]
    return gaps.detach(), torch.stack(slopes, 1)


def _wide(values: Tensor, like: Tensor) -> Tensor:
    """`[B]` with the axes of `like`."""
    return values.reshape(-1, *[1] * (like.dim() - 1))
