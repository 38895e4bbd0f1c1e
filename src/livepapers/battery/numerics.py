"""Numerical checks: finite, stable in type and shape, right gradients, invariances, reductions."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from livepapers.battery.check import CheckFailedError, NotApplicable, check, require
from livepapers.battery.subject import STEPS, Subject
from livepapers.core.learner import Learner

GRADIENT_TOLERANCE = 1e-4


def run_metrics(subject: Subject) -> list[dict[str, float]]:
    """The metrics of the smallest run, one dictionary a step (one in all for a function)."""
    made = subject.learner()
    return [made.update() for _ in range(STEPS)] if isinstance(made, Learner) else [made]


@check(10)
def metrics_are_finite(subject: Subject) -> None:
    """The smallest run ends with finite metrics."""
    for step, metrics in enumerate(run_metrics(subject), 1):
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        require(not bad, f"step {step}: {', '.join(bad)} not finite")


@check(11)
def metrics_are_the_documented_ones(subject: Subject) -> None:
    """Every step returns exactly the metrics that METRICS lists, as floats."""
    for step, metrics in enumerate(run_metrics(subject), 1):
        require(
            set(metrics) == set(subject.method.METRICS),
            f"step {step} returns {sorted(metrics)}, METRICS lists {sorted(subject.method.METRICS)}",
        )
        wrong = [name for name, value in metrics.items() if type(value) is not float]
        require(not wrong, f"step {step}: {', '.join(wrong)} are no plain floats")


@check(12)
def state_keeps_types_and_shapes(subject: Subject) -> None:
    """Updates change neither the dtype nor the shape of any tensor of the state, and floats stay single precision."""
    made = _learner(subject)
    made.update()  # optimisers make their moments at the first step
    before = _kinds(made.state_dict())
    made.update()
    after = _kinds(made.state_dict())
    changed = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    require(not changed, f"changed by an update: {', '.join(changed)}")
    double = sorted(name for name, (kind, _) in after.items() if kind == torch.float64)
    require(not double, f"double precision where single was meant: {', '.join(double)}")


@check(13)
def work_is_counted(subject: Subject) -> None:
    """Work is reported in whole numbers and grows with every update."""
    made = _learner(subject)
    before = made.work()
    made.update()
    after = made.work()
    require(bool(after) and all(type(n) is int for n in after.values()), f"work() gives {after}")
    require(sum(after.values()) > sum(before.values()), f"an update left work at {after}")


@check(14)
def losses_have_right_gradients(subject: Subject) -> None:
    """Every loss agrees with finite differences in double precision."""
    losses = subject.oracle("LOSSES")
    if not losses:
        raise NotApplicable("the method has no differentiable loss")
    for name, make in losses.items():
        function, inputs = make()
        try:
            torch.autograd.gradcheck(function, inputs, eps=1e-6, atol=GRADIENT_TOLERANCE, rtol=GRADIENT_TOLERANCE)
        except RuntimeError as error:
            raise CheckFailedError(f"{name}: {' '.join(str(error).split())[:300]}") from None


@check(16)
def invariances_hold(subject: Subject) -> None:
    """What must not matter (order, names, scale) does not matter."""
    _compare(subject, "INVARIANCES")


@check(17)
def reductions_hold(subject: Subject) -> None:
    """In at least one special case the method equals a simpler one."""
    _compare(subject, "REDUCTIONS")


@check(31)
def references_are_met(subject: Subject) -> None:
    """The new term meets at least one closed form, enumeration or independent second implementation."""
    _compare(subject, "REFERENCES")


def _compare(subject: Subject, kind: str) -> None:
    oracles = subject.oracle(kind)
    require(bool(oracles), f"battery/oracles declares no {kind}")
    for name, make in oracles.items():
        value, expected, tolerance = (torch.as_tensor(part, dtype=torch.float64) for part in make())
        require(value.shape == expected.shape, f"{name}: shape {list(value.shape)}, expected {list(expected.shape)}")
        error = (value - expected).abs().max().item() if value.numel() else 0.0
        require(error <= tolerance.item(), f"{name}: off by {error:.3g}, allowed {tolerance.item():.3g}")


def _learner(subject: Subject) -> Learner:
    made = subject.learner()
    if not isinstance(made, Learner):
        raise NotApplicable("a plain function keeps no state")
    return made


def _kinds(state: Any, name: str = "") -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    if isinstance(state, torch.Tensor):
        return {name: (state.dtype, tuple(state.shape))}
    if isinstance(state, Mapping):
        return {k: v for key, item in state.items() for k, v in _kinds(item, f"{name}/{key}").items()}
    if isinstance(state, (list, tuple)):
        return {k: v for key, item in enumerate(state) for k, v in _kinds(item, f"{name}/{key}").items()}
    return {}
