"""Candidate terms: what right-hand sides are sums of."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from livepapers.core.errors import InputError

MOST_TERMS = 2000
PIECE = 4096
"""Rows of a table that are made at once: they stay in a processor's cache."""


@dataclass(frozen=True)
class Library:
    """Terms of states x and inputs u: [S(x), u, S(x) u_1, S(x) u_2 ...], S being monomials and, if asked for, waves.

    Args:
        states: How many states, n.
        inputs: How many inputs, m.
        degree: Highest degree of the monomials in the states; 0 leaves them out.
        cross: Whether monomials mix states; otherwise only powers of one.
        tensor: Whether each state term also comes times each input (a control-affine library), or inputs alone.
        constant: Whether 1 is a term.
        frequencies: For each k, sin(k x_i) and cos(k x_i) of every state.
    """

    states: int
    inputs: int = 0
    degree: int = 2
    cross: bool = True
    tensor: bool = True
    constant: bool = False
    frequencies: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the sizes: a library that is too large says so before it is built."""
        object.__setattr__(self, "frequencies", tuple(self.frequencies))
        if self.states < 1:
            raise InputError.of("states", self.states, expected="a whole number >= 1")
        if self.inputs < 0:
            raise InputError.of("inputs", self.inputs, expected="a whole number >= 0")
        if not 0 <= self.degree <= 6:
            raise InputError.of("degree", self.degree, expected="a whole number from 0 to 6")
        if any(k < 1 for k in self.frequencies):
            raise InputError.of("frequencies", self.frequencies, expected="whole numbers >= 1")
        if not self.degree and not self.frequencies and not self.constant:
            raise InputError.of("degree", 0, expected="at least one kind of terms")
        if len(self) > MOST_TERMS:
            cause = f"degree {self.degree} in {self.states} states"
            raise InputError.of("library", f"{len(self):,} terms", expected=f"at most {MOST_TERMS:,}", cause=cause)

    def __len__(self) -> int:
        """p, the number of terms."""
        n, d = self.states, self.degree
        monomials = math.comb(n + d, d) - 1 if self.cross else n * d
        shared = monomials + 2 * n * len(self.frequencies)
        return self.constant + shared + self.inputs * (1 + (shared if self.tensor else 0))

    def __call__(self, state: Tensor, action: Tensor | None = None) -> Tensor:
        """All terms `[B, p]` of states `[B, n]` and inputs `[B, m]`, in the dtype of the states."""
        x = state.T.contiguous()  # terms are rows while they are made: each product runs along the batch
        levels = [x] if self.degree else []
        for first, rest in self._factors:
            # gathering both factors takes three calls a degree, whatever the number of states
            below = levels[-1]
            levels.append(x.index_select(0, first) * below.index_select(0, rest))
        for frequency in self.frequencies:
            levels += [torch.sin(frequency * x), torch.cos(frequency * x)]
        rows = [x.new_ones(1, x.shape[1])] if self.constant else []
        rows += levels
        if self.inputs:
            if action is None:
                raise InputError.of("inputs", "none", expected=f"{self.inputs} inputs beside the states")
            rows.append(action.T)
            if self.tensor and levels:
                shared = levels[0] if len(levels) == 1 else torch.cat(levels)
                rows += [shared * action[:, i] for i in range(self.inputs)]
        return torch.cat(rows).T

    @torch.no_grad()
    def table(self, state: Tensor, action: Tensor | None = None) -> Tensor:
        """As a call, for the many rows of a fit: made some at a time, so that only the result takes up memory."""
        made = state.new_empty(len(self), len(state))
        for first in range(0, len(state), PIECE):
            rows = slice(first, first + PIECE)
            made[:, rows] = self(state[rows], None if action is None else action[rows]).T
        return made.T

    @functools.cached_property
    def monomials(self) -> list[tuple[int, ...]]:
        """The states that are multiplied in each monomial, sorted: () is not among them, (0, 0, 1) is x0 x0 x1."""
        degrees = range(1, self.degree + 1)
        if not self.cross:
            return [(i,) * d for d in degrees for i in range(self.states)]
        return [m for d in degrees for m in itertools.combinations_with_replacement(range(self.states), d)]

    def terms(self, states: Sequence[str], inputs: Sequence[str] = ()) -> list[list[str]]:
        """The factors of each term by name; `[]` is the constant. A repeated factor is a power."""
        shared = [[states[i] for i in monomial] for monomial in self.monomials]
        for k in self.frequencies:
            of = [name if k == 1 else f"{k} {name}" for name in states]
            shared += [[f"sin({name})"] for name in of] + [[f"cos({name})"] for name in of]
        found = [[], *shared] if self.constant else list(shared)
        found += [[name] for name in inputs]
        if self.tensor:
            found += [[*term, name] for name in inputs for term in shared]
        return found

    def to_json(self) -> dict[str, Any]:
        """The keyword arguments that make it again."""
        return dataclasses.asdict(self) | {"frequencies": list(self.frequencies)}

    @functools.cached_property
    def _factors(self) -> list[tuple[Tensor, Tensor]]:
        """For each degree from 2: the first state of each monomial, and where the rest stands in the degree below."""
        found = []
        for degree in range(2, self.degree + 1):
            of = [m for m in self.monomials if len(m) == degree]
            below = {m: k for k, m in enumerate(m for m in self.monomials if len(m) == degree - 1)}
            found.append((torch.tensor([m[0] for m in of]), torch.tensor([below[m[1:]] for m in of])))
        return found
