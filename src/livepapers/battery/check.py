"""Checks, their results, and how a battery is run."""

import importlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from livepapers.battery.subject import Subject

Status = Literal["passed", "failed", "skipped", "expected failure"]
GROUPS = ("contract", "numerics", "randomness", "state", "learning", "studies")


class CheckFailedError(AssertionError):
    """A check does not hold; the message says what was seen."""


class NotApplicable(Exception):  # noqa: N818 - no error: the check does not concern this kind of method
    """The check does not concern this method; the message says why."""


@dataclass(frozen=True)
class CheckResult:
    """What one check said of one method."""

    slug: str
    number: int
    name: str
    statement: str
    status: Status
    detail: str
    seconds: float


@dataclass(frozen=True)
class Check:
    """A statement that must be true of every method, and the function that tries to refute it."""

    number: int
    name: str
    statement: str
    refute: Callable[[Subject], None]
    slow: bool = False  # over two seconds; `livepapers check --quick` leaves it out

    def result(self, subject: Subject) -> CheckResult:
        """Run the check; an exception of any kind is a failure with its message, never a crash of the battery."""
        started = time.perf_counter()
        status, detail = self._judge(subject)
        reason = subject.card.checks_expected_to_fail.get(self.name)
        if reason is not None and status != "skipped":
            if status == "failed":
                status, detail = "expected failure", reason
            else:
                status, detail = (
                    "failed",
                    f"declared as expected to fail ({reason}), but it passes: take the declaration out",
                )
        return CheckResult(
            subject.slug, self.number, self.name, self.statement, status, detail, time.perf_counter() - started
        )

    def _judge(self, subject: Subject) -> tuple[Status, str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.refute(subject)
        except NotApplicable as reason:
            return "skipped", str(reason)
        except CheckFailedError as failure:
            return "failed", str(failure)
        except Exception as error:  # noqa: BLE001 - whatever a method raises is its failure, and is reported as such
            return "failed", f"{type(error).__name__}: {error}"
        return "passed", ""


_CHECKS: list[Check] = []


def check(number: int, *, slow: bool = False) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Register a check; its name is the function's, its statement the docstring's first line."""

    def register(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        statement = (function.__doc__ or "").strip().splitlines()[0]
        _CHECKS.append(Check(number, function.__name__, statement, function, slow=slow))
        return function

    return register


def all_checks() -> list[Check]:
    """Every check, by number."""
    for group in GROUPS:
        importlib.import_module(f"livepapers.battery.{group}")
    return sorted(_CHECKS, key=lambda one: one.number)


def run(slug: str, *, quick: bool = False) -> Iterator[CheckResult]:
    """Run the battery on one paper, yielding results as they come.

    Args:
        slug: A paper with a method; raises `InputError` otherwise.
        quick: Leave out the slow checks.
    """
    subject = Subject.of(slug)
    for one in all_checks():
        if not (quick and one.slow):
            yield one.result(subject)


def require(condition: bool, message: str) -> None:
    """Raise `CheckFailedError` with `message` unless `condition` holds."""
    if not condition:
        raise CheckFailedError(message)
