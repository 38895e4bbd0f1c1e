"""The study of deep-ga: cells, equal budgets, and verdicts from made-up figures."""

import importlib.util
import math
from typing import Any

import pytest

from livepapers.core.errors import MissingExtraError
from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells, Setting
from livepapers.studies import deep_ga as study
from livepapers.studies.deep_ga.measuring import _first, budget
from studies.fake_run import FakeRun


def _setting(name: str) -> Setting:
    return next(setting for setting in study.SETTINGS if setting.name == name)


@pytest.mark.parametrize("setting", ["maze", "pendulum", "mountain-car"])
def test_every_smoke_cell_measures_finite_numbers_at_equal_budgets(setting: str):
    spent = {}
    for arm in _setting(setting).arms:
        run = FakeRun()
        found = study.measure(arm, _setting(setting), 0, "smoke", run)
        assert all(math.isfinite(value) for value in found.values()), arm
        assert run.artifacts["policy"].kind == "policy"
        spent[arm] = run.work["evaluations"] + run.work.get("validation_episodes", 0)
        if setting == "maze":
            assert run.kept["places"].shape == (20, 2)
            assert found["solved"] == float(found["distance"] < 10.0)
    assert len(set(spent.values())) == 1, spent


@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
def test_budgets_are_equal_in_every_preset(preset: str):
    for setting in study.SETTINGS[:3]:
        rules = budget(setting, preset, "ga")
        each = rules.genetic.population + rules.genetic.candidates * rules.genetic.validation
        assert 2 * rules.strategy.pairs == each
        assert rules.strategy.sigma == rules.genetic.sigma


def test_frostbite_gives_all_arms_one_budget_and_needs_its_extra():
    rules = budget(_setting("frostbite"), "laptop", "ga").genetic
    assert rules.population * rules.generations == 200
    if importlib.util.find_spec("ale_py") is None:
        with pytest.raises(MissingExtraError):
            study.measure("ga", _setting("frostbite"), 0, "laptop", FakeRun())


def test_the_encoding_is_exact():
    found = study.measure("ga", _setting("encoding"), 0, "smoke", FakeRun())
    assert found["weights"] == 4 * 4_052_658
    assert found["bytes_400"] == 24 + 4 * 401 + 8
    assert found["rebuilt"] == 1.0


def test_the_first_generation_that_passes_is_found():
    assert _first([-50.0, -9.0, -8.0], -10.0) == 2
    assert _first([-50.0, -50.0], -10.0) == 2


def _cells(novel: float, reward: float, *, ga: float, es: float, random: float) -> Cells:
    """Cells in which distances and returns are these, with a little spread."""
    metrics = {}
    returns = {"ga": ga, "es": es, "random": random}
    for seed in range(10):
        for arm, distance in {"ga-ns": novel, "ga": reward, "es": reward, "random": 95.0}.items():
            values = {"distance": distance + 0.1 * seed, "solved": float(distance < 10.0), "spent": 1.0}
            metrics[Cell(arm, "maze", seed)] = values
        for name in ("pendulum", "mountain-car"):
            for arm, value in returns.items():
                values = {"fresh": value + seed, "best_seen": value + 90.0, "validated": value + seed + 2.0}
                metrics[Cell(arm, name, seed)] = values
    metrics[Cell("ga", "encoding", 0)] = {"ratio_10": 2e5, "ratio_100": 3.7e4, "rebuilt": 1.0}

    def absent(*_: object) -> Any:
        raise KeyError("nothing was kept")

    return Cells(metrics, samples=absent, curves=absent)


def test_the_papers_figures_reproduce_its_claims():
    cells = _cells(5.0, 38.0, ga=-150.0, es=-160.0, random=-600.0)
    verdicts = {v.claim_id: v for v in judge(study.CLAIMS, cells, resamples=200)}
    for claim in ("C2a", "C2b", "C2c", "C4a", "C4b", "C4c", "C4d", "C4e", "C5a", "C5b", "L1"):
        assert verdicts[claim].verdict == "reproduced", (claim, verdicts[claim].reason)


def test_claims_can_fail():
    cells = _cells(38.0, 5.0, ga=-600.0, es=-160.0, random=-150.0)
    verdicts = {v.claim_id: v.verdict for v in judge(study.CLAIMS, cells, resamples=200)}
    for claim in ("C2a", "C2b", "C2c", "C4a", "C4b", "C4c", "C4d"):
        assert verdicts[claim] == "contradicted", claim
