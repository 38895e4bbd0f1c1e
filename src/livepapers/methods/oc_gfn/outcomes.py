"""What counts as an outcome of an object: the object itself, or a label that a function gives it (oc-gfn)."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import Construction, Factored, can_reach, draw_objects

LARGEST_TABLE = 4096
"""Outcomes up to which Q is a plain table instead of one digit after the other."""


class Outcomes(Protocol):
    """Outcomes y = f(x) of a construction's objects, as tensors `[batch, ...]`, and as tuples of digits."""

    env: Construction
    features: int  # width of `encode`
    count: int | None  # number of outcomes, where it is known
    one_to_one: bool  # whether different objects have different outcomes
    bases: tuple[int, ...]  # how many digits each component of an outcome has; empty where outcomes have no digits

    def of(self, objects: Tensor) -> Tensor:
        """The outcomes of finished objects."""
        ...

    def encode(self, outcomes: Tensor) -> Tensor:
        """What a network sees, `[batch, features]`."""
        ...

    def draw(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """Outcomes of objects drawn by `draw_objects`."""
        ...

    def reachable(self, states: Tensor, outcomes: Tensor) -> Tensor | None:
        """Whether each outcome can still be reached from the state beside it; None where that is not known."""
        ...

    def digits(self, outcomes: Tensor) -> Tensor:
        """Outcomes as digits, `[batch, component]`."""
        ...

    def from_digits(self, digits: Tensor) -> Tensor:
        """The inverse of `digits`."""
        ...

    def open_digits(self, states: Tensor, stops: Tensor) -> Tensor:
        """Digits of outcomes reachable from states, or where `stops`, of the state itself, `[batch, part, digit]`."""
        ...


def same(first: Tensor, second: Tensor) -> Tensor:
    """Which rows of two batches of outcomes are equal, `[batch]` bool."""
    return (first == second).reshape(len(first), -1).all(dim=1)


class Objects:
    """Every object is its own outcome: f is the identity.

    Args:
        env: The construction; where it is `Factored`, outcomes have digits and it is known what can be reached.
    """

    one_to_one = True

    def __init__(self, env: Construction) -> None:
        self.env, self.features = env, env.features
        self._factored = env if isinstance(env, Factored) else None
        count = math.prod(self._factored.bases) if self._factored else None
        self.count = count
        self.table = count is not None and count <= LARGEST_TABLE
        self.bases = () if self._factored is None else (count,) if self.table and count else self._factored.bases
        if self.table and self._factored is not None:
            axes = [torch.arange(base) for base in self._factored.bases]
            self._listed = torch.cartesian_prod(*axes).reshape(-1, len(axes))

    def of(self, objects: Tensor) -> Tensor:
        """The objects."""
        return objects

    def encode(self, outcomes: Tensor) -> Tensor:
        """As the construction encodes them."""
        return self.env.encode(outcomes)

    def draw(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """See `Outcomes`."""
        return draw_objects(self.env, samples, generator=generator)

    def reachable(self, states: Tensor, outcomes: Tensor) -> Tensor | None:
        """See `Outcomes`."""
        return None if self._factored is None else can_reach(self._factored, states, outcomes)

    def digits(self, outcomes: Tensor) -> Tensor:
        """See `Outcomes`; the number of the object where there are few."""
        env = self._digital()
        digits = env.digits(outcomes)
        if not self.table:
            return digits
        number = torch.zeros(len(digits), dtype=torch.int64)
        for place, base in enumerate(env.bases):
            number = number * base + digits[:, place]
        return number[:, None]

    def from_digits(self, digits: Tensor) -> Tensor:
        """See `Outcomes`."""
        return self._digital().objects(self._listed[digits[:, 0]] if self.table else digits)

    def open_digits(self, states: Tensor, stops: Tensor) -> Tensor:
        """See `Outcomes`."""
        env = self._digital()
        possible = env.open_digits(states)
        if self.env.has_stop:
            itself = torch.nn.functional.one_hot(env.digits(states).clamp(min=0), possible.shape[2]).bool()
            possible = torch.where(stops[:, None, None], itself, possible)
        if not self.table:
            return possible
        open_table = torch.ones(len(states), len(self._listed), dtype=torch.bool)
        for place in range(self._listed.shape[1]):
            open_table &= possible[:, place, self._listed[:, place]]
        return open_table[:, None, :]

    def _digital(self) -> Factored:
        if self._factored is None:
            cause = "adapting needs a distribution over outcomes; give labels, or digits, open_digits and objects"
            raise InputError.of("env", type(self.env).__name__, expected="a Factored construction", cause=cause)
        return self._factored


class Labels:
    """Outcomes are whole numbers that a function gives to objects: several objects may share one.

    Args:
        env: The construction.
        function: Finished objects `[n, ...]` -> labels `[n]` in [0, count).
        count: How many labels there are.
    """

    one_to_one = False

    def __init__(self, env: Construction, function: Callable[[Tensor], Tensor], count: int) -> None:
        if count < 1:
            raise InputError.of("count", count, expected="a whole number >= 1")
        self.env, self.function, self.features = env, function, count
        self.count: int | None = int(count)
        self.bases = (int(count),)

    def of(self, objects: Tensor) -> Tensor:
        """The labels; raises `InputError` naming the first object whose label is out of range."""
        labels = self.function(objects).to(torch.int64)
        wrong = (labels < 0) | (labels >= self.features)
        if labels.shape != (len(objects),) or wrong.any():
            row = int(wrong.reshape(-1).nonzero()[0]) if wrong.any() else 0
            expected = f"one whole number from 0 to {self.features - 1} an object"
            raise InputError.of(f"outcome of {objects[row].tolist()}", labels.tolist(), expected=expected)
        return labels

    def encode(self, outcomes: Tensor) -> Tensor:
        """One-hot labels."""
        return torch.nn.functional.one_hot(outcomes, self.features).to(torch.get_default_dtype())

    def draw(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """See `Outcomes`."""
        return self.of(draw_objects(self.env, samples, generator=generator))

    def reachable(self, states: Tensor, outcomes: Tensor) -> Tensor | None:
        """Not known."""
        del states, outcomes
        return None

    def digits(self, outcomes: Tensor) -> Tensor:
        """The label as the only digit."""
        return outcomes[:, None]

    def from_digits(self, digits: Tensor) -> Tensor:
        """See `Outcomes`."""
        return digits[:, 0]

    def open_digits(self, states: Tensor, stops: Tensor) -> Tensor:
        """All of them, except where the object is finished by stopping."""
        possible = torch.ones(len(states), 1, self.features, dtype=torch.bool)
        rows = stops.nonzero().squeeze(1)
        if len(rows):
            possible[rows] = torch.nn.functional.one_hot(self.of(states[rows]), self.features).bool()[:, None, :]
        return possible
