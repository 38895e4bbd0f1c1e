"""Scaling that sees the past only, and the released trainer's one that does not (for the leak experiment)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.methods.cities_to_series.config import Scale

HEADROOM = 1.25
"""Of the largest logarithm that an undone forecast may have: beyond, an exponential would answer for a bad start."""
LEAST = 1e-9


@dataclass(frozen=True)
class Windows:
    """Inputs and what followed, with what undoes the scaling.

    Attributes:
        inputs: `[N, w, v]`, scaled.
        targets: `[N, s, v]`, in original units.
        levels: `[N, 1, v]` (or `[N, s, 1]` with the leak): what forecasts are multiplied by.
        starts: `[N]` int64, where each window starts.
    """

    inputs: Tensor
    targets: Tensor
    levels: Tensor
    starts: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Split:
    """Where training, dev and test windows are: the test forecasts the last s steps, dev those before."""

    steps: int  # T
    window: int
    stride: int
    ahead: int  # steps between the dev window and the test window

    @classmethod
    def of(cls, steps: int, *, window: int, stride: int, ahead: int | None = None) -> "Split":
        """Check that there is room for at least one training window.

        Raises:
            InputError: Naming how many steps are needed.
        """
        made = cls(steps, window, stride, stride if ahead is None else ahead)
        needed = window + 2 * stride + made.ahead
        if made.ahead < stride:
            raise InputError.of("validation stride", made.ahead, expected=f"at least the stride {stride}: dev leaks")
        if steps < needed:
            cause = f"window {window}, stride {stride}: shorten one, or bring a longer history"
            raise InputError.of("time steps", steps, expected=f"at least {needed}", cause=cause)
        return made

    @property
    def test(self) -> int:
        """Where the test window starts."""
        return self.steps - self.window - self.stride

    @property
    def dev(self) -> int:
        """Where the dev window starts."""
        return self.test - self.ahead

    @property
    def known(self) -> int:
        """Steps that training may see: all before the first dev target."""
        return self.dev + self.window

    @property
    def train(self) -> Tensor:
        """Where the training windows start; their targets end before the first dev target."""
        return torch.arange(self.dev - self.stride + 1)


def past_levels(history: Tensor, scale: Scale) -> Tensor:
    """`[n, 1, v]` largest magnitude of each variable of each series in `history` `[n, t, v]`; 1 where all is 0."""
    if scale == "none":
        return torch.ones_like(history[:, :1])
    level = history.abs().amax(1, keepdim=True)
    return torch.where(level > LEAST, level, torch.ones_like(level))


def window_levels(window: Tensor) -> Tensor:
    """`[n, 1, v]` the last value's magnitude, at least a hundredth of the window's largest; 1 where all is 0."""
    largest = past_levels(window, "window_last")
    return torch.maximum(window[:, -1:].abs(), 0.01 * largest)


def scaled(x: Tensor, levels: Tensor, scale: Scale) -> Tensor:
    """`[n, t, v]` in units of the levels; log1p: log(1 + x) over log(1 + level)."""
    return torch.log1p(x) / torch.log1p(levels) if scale == "log1p" else x / levels


def undone(y: Tensor, levels: Tensor, scale: Scale) -> Tensor:
    """The inverse of `scaled`; log1p: forecasts beyond `HEADROOM` times the largest logarithm are cut there."""
    return torch.expm1(y.clamp(max=HEADROOM) * torch.log1p(levels)) if scale == "log1p" else y * levels


def windows(values: Tensor, starts: Tensor, *, split: Split, scale: Scale, known: int) -> Windows:
    """All series' windows at `starts`, levels from the first `known` steps (or from each window: window_last).

    Args:
        values: `[n, T, v]` in original units; log1p needs values >= 0.
        starts: `[k]`.
        split: Window and stride.
        scale: How inputs are scaled.
        known: How many steps the levels may be taken from.

    Returns:
        n * k windows, those of one start together.
    """
    inputs, targets = cut(values, starts, split=split)
    if scale == "window_last":
        levels = window_levels(inputs)
    else:
        levels = past_levels(values[:, :known], scale).repeat(len(starts), 1, 1)
    return Windows(scaled(inputs, levels, scale), targets, levels, starts.repeat_interleave(len(values)))


def leaky_windows(values: Tensor, starts: Tensor, *, split: Split) -> Windows:
    """As the released trainer's default axis has it: each step over the largest variable of that very step.

    Forecasts are multiplied by the *true* largest value of each future step. For the leak experiment alone.
    """
    largest = values.abs().amax(2, keepdim=True).clamp(min=LEAST)
    inputs, targets = cut(values, starts, split=split)
    before, after = cut(largest, starts, split=split)
    return Windows(inputs / before, targets, after, starts.repeat_interleave(len(values)))


def cut(values: Tensor, starts: Tensor, *, split: Split) -> tuple[Tensor, Tensor]:
    """Windows `[k n, w, v]` at `starts` and the steps after them `[k n, s, v]`, those of one start together."""
    pieces = values.unfold(1, split.window + split.stride, 1)[:, starts]  # [n, k, v, w + s]
    flat = pieces.permute(1, 0, 3, 2).reshape(-1, split.window + split.stride, values.shape[2])
    return flat[:, : split.window], flat[:, split.window :]
