"""Worlds that forbid actions, before methods that look at the values of all of them."""

from torch import Tensor

from livepapers.core.errors import InputError


def require_all_allowed(mask: Tensor | None, *, what: str) -> None:
    """Refuse a mask `[lane, action]` bool that forbids an action.

    Args:
        mask: As a task states it, None where everything is allowed.
        what: Who follows the values, "an attack" or "a diagnosis".

    Raises:
        InputError: An action is forbidden somewhere: a forbidden one may have the largest value, and what is done about
            it would be about a decision that nobody takes.
    """
    if mask is not None and not bool(mask.all()):
        cause = f"{what} follows the values of all actions, and forbidden ones are never taken"
        raise InputError.of("env", "actions that are forbidden at times", expected="a world without masks", cause=cause)
