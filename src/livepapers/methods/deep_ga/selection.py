"""Truncation selection with one elite, as pure functions of scores."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from livepapers.core.errors import InputError

IndividualT = TypeVar("IndividualT")


def ranking(scores: Tensor) -> list[int]:
    """Individuals from the best to the worst, `[P]`; ties in their order in the population.

    Raises:
        InputError: A score is not finite.
    """
    if not bool(torch.isfinite(scores).all()):
        row = int((~torch.isfinite(scores)).nonzero()[0, 0])
        cause = f"individual {row}; does the environment give NaN or infinite rewards?"
        raise InputError.of("fitness", float(scores[row]), expected="a finite number", cause=cause)
    return torch.argsort(scores, descending=True, stable=True).tolist()


def elite_candidates(ranked: Sequence[IndividualT], elite: IndividualT | None, count: int) -> list[IndividualT]:
    """Who is validated: the last elite and the top of the population, `count` in all (3.1, step 3)."""
    if elite is None:
        return list(ranked[:count])
    return [elite, *[one for one in ranked if one != elite][: count - 1]]


def next_parents(ranked: Sequence[IndividualT], elite: IndividualT | None, count: int) -> list[IndividualT]:
    """The top `count`; the elite is put first, and unless it is among them the last one makes room (3.1, step 4)."""
    top = list(ranked[:count])
    if elite is None:
        return top
    others = [one for one in top if one != elite]
    return [elite, *others[: count - 1]]
