"""The battery catches what it is there to catch: each sabotage fails its own check."""

import importlib
import random
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from livepapers.battery import probe
from livepapers.battery.check import all_checks
from livepapers.battery.subject import Subject
from livepapers.papers import catalogue

# the study group speaks of a study, the slow ones of a fresh interpreter that cannot see a sabotaged module
CHECKS = {
    one.name: one
    for one in all_checks()
    if "battery.studies" not in one.refute.__module__ and one.number not in (1, 2, 19)
}
SLUG = "hdpo"


@pytest.fixture
def method() -> ModuleType:
    """A fresh copy of a method that passes, to be sabotaged."""
    sys.modules.pop("battery.parabola", None)
    return importlib.import_module("battery.parabola")


def result(method: ModuleType, name: str):
    return CHECKS[name].result(Subject(SLUG, catalogue.card(SLUG), method, method))


@pytest.mark.parametrize("name", CHECKS)
def test_a_sound_method_passes(method: ModuleType, name: str):
    assert result(method, name).status == "passed", result(method, name).detail


def draws_globally(self: Any) -> dict[str, float]:
    return {"loss": float(torch.rand(()) + random.random() + np.random.random())}  # noqa: NPY002


def forgets_the_stream(method: ModuleType) -> None:
    method.Descent.state_dict = lambda self: {"network": {"weight": self.weight.detach()}, "updates": self.updates}
    method.Descent.load_state_dict = lambda self, state: self.weight.data.copy_(state["network"]["weight"])


def accepts_anything(method: ModuleType) -> None:
    method.Descent.load_state_dict = lambda self, state: None


def hoards(method: ModuleType) -> None:
    update, hoard = method.Descent.update, []
    method.Descent.update = lambda self: (hoard.append(torch.ones(500_000)), update(self))[1]


def ignores_the_seed(method: Any) -> None:
    method.example = lambda config, seed: method.Descent(config, 0)


def works_when_built(method: Any) -> None:
    def build(config: Any, seed: int) -> Any:
        made = method.Descent(config, seed)
        made.update()
        return made

    method.example = build


def puts(name: str, value: Any) -> Callable[[ModuleType], None]:
    return lambda method: setattr(method, name, value)


def returns(metrics: dict[str, Any]) -> Callable[[ModuleType], None]:
    return lambda method: setattr(method.Descent, "update", lambda self: metrics)


SABOTAGES: list[tuple[str, Callable[[ModuleType], None]]] = [
    ("card_and_code_agree", puts("__doc__", "A parabola.\n\nPaper  arXiv 1234.56789")),
    ("docstring_has_its_headings", puts("__doc__", "(hdpo) arXiv 2306.11246")),
    ("building_does_no_work", works_when_built),
    ("metrics_are_finite", returns({"loss": float("nan")})),
    ("metrics_are_the_documented_ones", returns({"loss": 1.0, "extra": 2.0})),
    ("metrics_are_the_documented_ones", returns({"loss": 1})),
    ("work_is_counted", returns({"loss": 1.0})),
    (
        "losses_have_right_gradients",
        puts(
            "LOSSES",
            {"detached": lambda: (lambda w: (w * w.detach()).sum(), (torch.ones(2).double().requires_grad_(),))},
        ),
    ),
    ("references_are_met", puts("REFERENCES", {"off": lambda: (1.0, 1.1, 0.05)})),
    ("references_are_met", puts("REFERENCES", {})),
    ("invariances_hold", puts("INVARIANCES", {"shape": lambda: (torch.ones(2), torch.ones(1), 0.0)})),
    ("same_seed_same_bits", lambda method: setattr(method.Descent, "update", draws_globally)),
    ("different_seeds_differ", ignores_the_seed),
    ("global_streams_are_untouched", lambda method: setattr(method.Descent, "update", draws_globally)),
    ("global_seeds_do_not_matter", lambda method: setattr(method.Descent, "update", draws_globally)),
    ("resumed_runs_are_bitwise_equal", forgets_the_stream),
    ("states_that_do_not_fit_are_refused", accepts_anything),
    ("work_survives_a_checkpoint", accepts_anything),
    ("memory_stays_flat", hoards),
    ("it_beats_the_floor", puts("FLOORS", {"worse": lambda seed: (1.0, 0.0)})),
    ("the_key_term_matters", puts("ABLATIONS", {"no difference": lambda seed: (1.0, 1.0)})),
    ("apply_documents_each_option", puts("apply", lambda steps: None)),
]


@pytest.mark.parametrize(
    ("name", "sabotage"), SABOTAGES, ids=[f"{index}-{name}" for index, (name, _) in enumerate(SABOTAGES)]
)
def test_a_sabotaged_method_fails_its_check(method: ModuleType, name: str, sabotage: Callable[[ModuleType], None]):
    sabotage(method)
    assert result(method, name).status == "failed"


def test_a_declared_failure_that_passes_is_a_failure(method: ModuleType):
    card = catalogue.card(SLUG)
    declared = type(card)(
        **{**{f: getattr(card, f) for f in card.__slots__}, "checks_expected_to_fail": {"metrics_are_finite": "why"}}
    )
    subject = Subject(SLUG, declared, method, method)
    assert "take the declaration out" in CHECKS["metrics_are_finite"].result(subject).detail
    returns({"loss": float("inf")})(method)
    assert CHECKS["metrics_are_finite"].result(subject).status == "expected failure"


def test_a_method_that_fails_in_the_fresh_interpreter_is_told_in_its_answer_alone(
    method: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    def missing(self: Any) -> dict[str, float]:
        raise NotImplementedError("step() is missing")

    monkeypatch.setattr(method.Descent, "update", missing)
    answer = probe.told("battery.parabola")
    assert answer["error"].startswith("NotImplementedError: step() is missing (test_check.py, line ")
    assert not capfd.readouterr().err
