"""What pdppo adds to PPO: returns of the two halves of a step, their aggregate, and the losses of its critics."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from livepapers.blocks.advantages import returns_to_go
from livepapers.core.errors import InputError

Aggregate: TypeAlias = Literal["max", "sum", "min", "one_critic", "ppo", "ppo2", "afterstate"]
AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)
"""max: the paper. sum: both advantages added. min: the authors' earlier code. one_critic: max, V for both states.
ppo: plain PPO. ppo2: max with two critics of the state, none of the post-decision state. afterstate: a critic of the
post-decision state only, against its expectation over the policy's actions."""

SEES_POST: dict[Aggregate, bool] = {name: name not in ("ppo", "ppo2") for name in AGGREGATES}
"""Whether any critic is shown post-decision states."""


class Values(NamedTuple):
    """What the critics say, `[T, N]` each; of the last state that a rollout led to, `[N]` each."""

    state: Tensor  # V(s); of no use for afterstate
    post: Tensor  # V^x(s^x), or what stands in for it; of no use for ppo


class Targets(NamedTuple):
    """What the critics should say, `[T, N]` each."""

    state: Tensor
    post: Tensor


def critic_targets(
    aggregate: Aggregate,
    decided: Tensor,
    resolved: Tensor,
    ended: Tensor,
    *,
    discount: float,
    ahead: Values | None = None,
    decided_ahead: Tensor | None = None,
) -> Targets:
    """Equations (1) and (2): the discounted sums of the two parts of the reward, up to the end of the episode.

    Args:
        aggregate: Which variant; plain PPO and `min` take the sum of both parts.
        decided: `[T, N]` r^x, the deterministic part.
        resolved: `[T, N]` r, the stochastic part.
        ended: `[T, N]` bool.
        discount: Per step.
        ahead: What follows the last step where its episode goes on; nothing when left out, as in the paper.
        decided_ahead: `[N]` r^x of the step after the last one, for afterstate.
    """
    _require_known(aggregate)
    if aggregate in ("ppo", "min", "afterstate"):
        follows = None
        if ahead is not None and aggregate == "ppo":
            follows = ahead.state
        if ahead is not None and decided_ahead is not None and aggregate == "afterstate":
            follows = decided_ahead + ahead.post
        total = returns_to_go(decided + resolved, ended, discount=discount, bootstrap=follows)
        return Targets(total, total - decided)
    state = returns_to_go(resolved, ended, discount=discount, bootstrap=None if ahead is None else ahead.state)
    post = returns_to_go(decided, ended, discount=discount, bootstrap=None if ahead is None else ahead.post)
    return Targets(state, post)


def post_decision_advantage(
    aggregate: Aggregate,
    targets: Targets,
    values: Values,
    *,
    decided: Tensor | None = None,
    expected: Tensor | None = None,
) -> Tensor:
    """Equation (3), the paper's new term: A = max(R - V(s), R^x - V^x(s^x)), element by element; and its rivals.

        max, ppo2, one_critic   max(R - V, R^x - V^x); they differ in what the critics see
        sum                     (R - V) + (R^x - V^x)
        min                     (R + R^x) - min(V, V^x), the returns standardised over the window beforehand
        ppo                     (R + R^x) - V
        afterstate              r^x + V^x(f(s, a)) - E over a' of [r^x + V^x(f(s, a'))]

    Args:
        aggregate: Which of them.
        targets: Of the critics, by `critic_targets`.
        values: Of the critics that collected the data, or of the present ones.
        decided: r^x, for afterstate.
        expected: E over the policy's actions of r^x + V^x, for afterstate.
    """
    _require_known(aggregate)
    if aggregate == "ppo":
        return targets.state - values.state
    if aggregate == "min":
        return targets.state - torch.minimum(values.state, values.post)
    if aggregate == "afterstate":
        if decided is None or expected is None:
            raise TypeError("afterstate needs the deterministic rewards and the expectation over actions")
        return decided + values.post - expected
    state, post = targets.state - values.state, targets.post - values.post
    return state + post if aggregate == "sum" else torch.maximum(state, post)


def critic_loss(aggregate: Aggregate, values: Values, targets: Targets) -> Tensor:
    """Mean squared errors of the critics that the variant has, added; `[]`.

    `one_critic` and `min` are fitted as a sum and as a minimum, as their authors do.
    """

    def error(value: Tensor, target: Tensor) -> Tensor:
        return (value - target).square().mean()

    fits: dict[str, Callable[[], Tensor]] = {
        "ppo": lambda: error(values.state, targets.state),
        "afterstate": lambda: error(values.post, targets.post),
        "one_critic": lambda: error(values.state + values.post, targets.state + targets.post),
        "min": lambda: error(torch.minimum(values.state, values.post), targets.state),
    }
    _require_known(aggregate)
    if aggregate in fits:
        return fits[aggregate]()
    return error(values.state, targets.state) + error(values.post, targets.post)


def _require_known(aggregate: str) -> None:
    if aggregate not in AGGREGATES:
        raise InputError.of("aggregate", aggregate, expected=f"one of {', '.join(AGGREGATES)}")
