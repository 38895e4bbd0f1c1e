"""What worlds tell has to be finite: a NaN that gets by here ends in a mean, a verdict or a certificate."""

import torch
from torch import Tensor

from livepapers.core.errors import InputError


def require_finite(values: Tensor, going: Tensor, *, what: str) -> Tensor:
    """`values`, if they are finite where they count.

    Args:
        values: `[lane, ...]`, of a world, as it gave them.
        going: `[lane]` bool: the episode is not over.
        what: "observations" or "rewards", for the message.

    Raises:
        InputError: One of them is NaN or infinite.
    """
    if not values.is_floating_point() or bool(torch.isfinite(values).all()):
        return values
    told = values[going]
    bad = told[~torch.isfinite(told)]
    if len(bad):
        cause = "the environment gives them, and no figure of such episodes means anything"
        raise InputError.of(f"the environment's {what}", float(bad[0]), expected="finite numbers", cause=cause)
    return values
