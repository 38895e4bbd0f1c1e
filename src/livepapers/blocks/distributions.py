"""What an actor's outputs mean: categorical parts for discrete action spaces, a Gaussian for boxes.

Shapes: parameters `[batch, parameter_count(space)]`; actions as the space has them, with the batch in front. A
`MultiDiscrete` action is a row of independent parts, whose log-probabilities stay apart: one column a part.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import gymnasium
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import Tensor

from livepapers.core.errors import InputError

FEW = 8
"""Choices up to which compiled code compares instead of gathering: it can then use vector instructions."""


FARTHEST = 1e12
"""Half-width of an action beyond which float32 has no sense of its inside."""
LEAST_REACH = 1e-6
"""Half-width of an action that can only be one number; a logarithm is taken of it."""


class Distribution(Protocol):
    """A batch of distributions over actions."""

    def sample(self, generator: torch.Generator) -> Tensor:
        """One action each, `[batch, ...]`; a Box's are not clipped to it."""
        ...

    def at(self, noise: Tensor) -> Tensor:
        """The actions that `Actions.noise` of this batch stands for: `sample` without a generator."""
        ...

    def mode(self) -> Tensor:
        """The most likely actions, `[batch, ...]`."""
        ...

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-probabilities or densities, `[batch, components]`."""
        ...

    def entropy(self) -> Tensor:
        """`[batch]`, summed over components."""
        ...


class Categorical:
    """Independent categorical parts.

    Args:
        logits: `[batch, parts, choices]`; -inf where an action is not allowed or a part has fewer choices.
        first: The space's first action of each part, `[parts]` int64, or None when all are 0.
        flat: Whether actions are `[batch]` (`Discrete`) instead of `[batch, parts]`.
    """

    def __init__(self, logits: Tensor, *, first: Tensor | None, flat: bool) -> None:
        self.log_probs = torch.log_softmax(logits, -1)
        self._first, self._flat = first, flat

    def sample(self, generator: torch.Generator) -> Tensor:
        """`at` uniform numbers."""
        return self.at(torch.rand(self.log_probs.shape[:-1], generator=generator, dtype=self.log_probs.dtype))

    def at(self, noise: Tensor) -> Tensor:
        """The inverse of the cumulative probabilities at uniform numbers: what has probability 0 is never drawn."""
        cumulative = self.log_probs.exp().cumsum(-1)
        # a uniform number < 1 times the last sum rounds to less than it, so no draw falls behind the last choice
        threshold = (noise * cumulative[..., -1]).unsqueeze(-1)
        return self._action((cumulative <= threshold).sum(-1))

    def mode(self) -> Tensor:
        """The most likely choice of each part; the first of equals."""
        return self._action(self.log_probs.argmax(-1))

    def log_prob(self, action: Tensor) -> Tensor:
        """`[batch, parts]`."""
        index = action.unsqueeze(-1) if self._flat else action
        if self._first is not None:
            index = index - self._first
        if torch.compiler.is_compiling() and self.log_probs.shape[-1] <= FEW:
            chosen = index.unsqueeze(-1) == torch.arange(self.log_probs.shape[-1])
            return torch.where(chosen, self.log_probs, 0.0).sum(-1)
        return self.log_probs.gather(-1, index.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """`[batch]`."""
        finite = self.log_probs.clamp(min=torch.finfo(self.log_probs.dtype).min)  # 0 log 0 = 0
        return -(self.log_probs.exp() * finite).sum((-1, -2))

    def _action(self, index: Tensor) -> Tensor:
        if self._first is not None:
            index = index + self._first
        return index.squeeze(-1) if self._flat else index


class Gaussian:
    """Independent normal components; the density is that of the action before it is clipped to the box.

    Args:
        mean: `[batch, dimensions]`.
        log_std: `[dimensions]` or `[batch, dimensions]`.
        shape: Of one action.
    """

    def __init__(self, mean: Tensor, log_std: Tensor, *, shape: tuple[int, ...]) -> None:
        self.mean, self.log_std, self._shape = mean, log_std, shape

    def sample(self, generator: torch.Generator) -> Tensor:
        """Unclipped."""
        return self.at(torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype))

    def at(self, noise: Tensor) -> Tensor:
        """Mean and standard deviations at standard normal numbers."""
        return (self.mean + noise * self.log_std.exp()).reshape(-1, *self._shape)

    def mode(self) -> Tensor:
        """The mean, unclipped."""
        return self.mean.reshape(-1, *self._shape)

    def log_prob(self, action: Tensor) -> Tensor:
        """`[batch, 1]`: one density of the whole action."""
        standard = (action.reshape(self.mean.shape) - self.mean) * torch.exp(-self.log_std)
        density = -0.5 * standard.square() - self.log_std - 0.5 * math.log(2.0 * math.pi)
        return density.sum(-1, keepdim=True)

    def entropy(self) -> Tensor:
        """`[batch]`."""
        each = self.log_std + 0.5 * math.log(2.0 * math.pi * math.e)
        return each.sum(-1).expand(self.mean.shape[0])


def parameter_count(space: gymnasium.Space) -> int:
    """Width of an actor's output for this action space; for a Box the means, not the standard deviations."""
    if isinstance(space, Box):
        return math.prod(space.shape)
    return sum(_sizes(space))


class Actions:
    """What outputs mean for the actions of one space; its sizes are read once, so that calls can be compiled.

    Args:
        space: `Discrete`, `MultiDiscrete` or `Box`; raises `InputError` for another kind.
    """

    def __init__(self, space: gymnasium.Space) -> None:
        self._shape = space.shape if isinstance(space, Box) else None
        self._flat = isinstance(space, Discrete)
        self._sizes = (math.prod(space.shape),) if isinstance(space, Box) else _sizes(space)
        self._first = None if isinstance(space, Box) else _first(space)
        self._table = None if len(set(self._sizes)) == 1 else _padded(self._sizes)

    def __call__(
        self, parameters: Tensor, *, log_std: Tensor | None = None, mask: Tensor | None = None
    ) -> Distribution:
        """See `distribution`; that every row of the mask allows an action is for `check` to say."""
        if self._shape is not None:
            if parameters.shape[-1] == 2 * self._sizes[0]:
                parameters, log_std = parameters.chunk(2, -1)
            elif log_std is None:
                expected = "standard deviations, as the actions are real numbers"
                raise InputError.of("log_std", "nothing", expected=expected)
            return Gaussian(parameters, log_std, shape=self._shape)
        if mask is not None:
            parameters = parameters.masked_fill(~mask, -torch.inf)
        return Categorical(self._parts(parameters, -torch.inf), first=self._first, flat=self._flat)

    def noise(self, batch: int, generator: torch.Generator) -> Tensor:
        """All that is random in `batch` draws: what `Distribution.at` takes."""
        if self._shape is not None:
            return torch.randn(batch, self._sizes[0], generator=generator)
        return torch.rand(batch, len(self._sizes), generator=generator)

    def check(self, mask: Tensor | None) -> None:
        """Raise `InputError` where a row of a mask allows no action of a part."""
        if mask is None or self._shape is not None:
            return
        allowed = self._parts(mask, False).any(-1).all(-1)
        if not bool(allowed.all()):
            row = int((~allowed).nonzero()[0])
            raise InputError.of("mask", f"row {row} without any allowed action", expected="at least one in each part")

    def _parts(self, row: Tensor, absent: float | bool) -> Tensor:
        """`[batch, sum of sizes] -> [batch, parts, choices]`, with `absent` where a part has fewer choices."""
        if self._table is None:
            return row.reshape(-1, len(self._sizes), self._sizes[0])
        return torch.cat([row, row.new_full((row.shape[0], 1), absent)], 1)[:, self._table]


def distribution(
    space: gymnasium.Space, parameters: Tensor, *, log_std: Tensor | None = None, mask: Tensor | None = None
) -> Distribution:
    """The distribution over a space's actions.

    Args:
        space: `Discrete`, `MultiDiscrete` or `Box`.
        parameters: `[batch, parameter_count(space)]`: logits, or means; for boxes also `[batch, 2 dimensions]`: means,
            then logarithms of the standard deviations, which stand before `log_std`.
        log_std: For boxes: `[dimensions]` or `[batch, dimensions]`.
        mask: Allowed discrete actions, `[batch, sum of sizes]` bool.

    Raises:
        InputError: The space is of another kind, a Box comes without `log_std`, or a row allows no action.
    """
    actions = Actions(space)
    actions.check(mask)
    return actions(parameters, log_std=log_std, mask=mask)


def into(space: gymnasium.Space) -> Callable[[Tensor], Tensor]:
    """What a task is handed for an action: real actions clipped to their box, discrete ones as they are."""
    if not isinstance(space, Box):
        return lambda action: action
    low, high = bounds(space)
    return lambda action: torch.minimum(torch.maximum(action, low), high)


def bounds(space: Box) -> tuple[Tensor, Tensor]:
    """A box's lower and upper bounds in float32, infinite where it has none; raises `InputError` for whole numbers."""
    if space.dtype.kind != "f":  # type: ignore[union-attr]
        cause = "a Gaussian gives fractions; a MultiDiscrete has whole numbers"
        raise InputError.of("action space", str(space), expected="real numbers", cause=cause)
    return torch.tensor(space.low, dtype=torch.float32), torch.tensor(space.high, dtype=torch.float32)


def middle(space: Box) -> tuple[Tensor, Tensor]:
    """Centre and half-widths of a box with bounds, float32; a side without width has the least half-width.

    Raises:
        InputError: A side has no bound, or one so far away that it is none.
    """
    low, high = (bound.double() for bound in bounds(space))
    reach = (high - low) / 2.0
    if not bool((reach <= FARTHEST).all()):
        raise InputError.of("action space", str(space), expected=f"bounds within {2.0 * FARTHEST:g} of each other")
    return ((low + high) / 2.0).float(), reach.clamp(min=LEAST_REACH).float()


def _sizes(space: gymnasium.Space) -> tuple[int, ...]:
    if isinstance(space, Discrete):
        return (int(space.n),)
    if isinstance(space, MultiDiscrete) and space.nvec.ndim == 1:
        return tuple(int(size) for size in space.nvec)
    raise InputError.of("action space", str(space), expected="Discrete, MultiDiscrete of one axis, or Box")


@lru_cache(maxsize=64)
def _padded(sizes: tuple[int, ...]) -> Tensor:
    """Where in a row of all logits each choice of each part stands, `[parts, choices]`; the last column is absent."""
    table = torch.full((len(sizes), max(sizes)), sum(sizes))
    for part, size in enumerate(sizes):
        start = sum(sizes[:part])
        table[part, :size] = torch.arange(start, start + size)
    return table


def _first(space: gymnasium.Space) -> Tensor | None:
    if isinstance(space, Discrete):
        return torch.tensor([int(space.start)]) if space.start else None
    start = getattr(space, "start", None)  # of a MultiDiscrete
    return torch.as_tensor(start, dtype=torch.int64) if start is not None and start.any() else None
