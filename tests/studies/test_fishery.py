"""The study of fishery: cells, statistics and declarations."""

import math
from typing import Any

import pytest

from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells, Setting
from livepapers.studies import fishery as study
from livepapers.studies.fishery.measuring import model_of
from studies.fake_run import FakeRun


def _setting(name: str) -> Setting:
    return next(setting for setting in study.SETTINGS if setting.name == name)


@pytest.mark.parametrize("setting", [s.name for s in study.SETTINGS])
def test_every_smoke_cell_measures_finite_numbers_on_the_same_episodes(setting: str) -> None:
    found, kept = {}, {}
    for arm in _setting(setting).arms:
        run = FakeRun()
        found[arm] = study.measure(arm, _setting(setting), 0, "smoke", run)
        assert all(math.isfinite(value) for value in found[arm].values()), arm
        assert run.work["test_steps"] > 0
        kept[arm] = run.kept["extinct"]
        assert (kept[arm] < 0).mean() * 100.0 == pytest.approx(found[arm]["survival_percent"])
    if "ppo+gp" in found:
        assert found["ppo"].keys() == found["ppo+gp"].keys()
    if setting == "model-3":
        assert {"explained_X_Z_percent", "explained_Y_Z_percent", "escapement_X"} <= found["ppo"].keys()
        assert "escapement_X" not in found["ppo without Z"]
    if setting == "model-1":
        assert {"threshold", "quiet_width"} <= found["ppo"].keys()
        assert found["escapement"]["threshold"] > 0


def test_models_are_the_papers() -> None:
    assert model_of("model-2").harvested == (0,)
    assert model_of("model-3").harvested == model_of("model-4").harvested == (0, 1)
    assert model_of("model-1").species[0].noise == 0.05
    assert [drift.parameter for drift in model_of("model-4").drift] == ["X.rate"]


def _cells(
    ppo: float, smoothed: float, mortality: float, escapement: float, *, explained: float = 60.0, unseeing: float = 0.9
) -> Cells:
    """Cells in which each arm earns so much, whatever the setting and seed."""
    rewards = {
        "ppo": ppo, "ppo+gp": smoothed, "mortality": mortality, "escapement": escapement, "textbook": 0.5 * mortality,
        "linear escapement": 0.99 * ppo, "ppo without Z": unseeing * ppo,
        "0.8 mortality": 0.86 * mortality, "no fishing": 0.0,
    }  # fmt: skip
    survival = {"ppo": 95.0, "ppo+gp": 96.0, "mortality": 78.0, "0.8 mortality": 99.5}
    metrics = {}
    for setting in study.SETTINGS:
        for seed in range(setting.first_seed, setting.first_seed + 10):
            for arm in setting.arms:
                values = {
                    "reward": rewards.get(arm, 1.0) + 0.01 * seed, "survival_percent": survival.get(arm, 50.0),
                    "threshold": 0.5 if arm == "ppo" else 0.51, "quiet_width": 0.3,
                    "early_ends": float(seed - setting.first_seed), "first_Z_percent": 90.0,
                    "explained_X_Z_percent": explained + seed, "explained_Y_Z_percent": 80.0,
                }  # fmt: skip
                metrics[Cell(arm, setting.name, seed)] = values

    def absent(*_: object) -> Any:
        raise KeyError("nothing was kept")

    return Cells(metrics, samples=absent, curves=absent)


def test_the_paper_s_own_figures_reproduce_its_claims() -> None:
    verdicts = {v.claim_id: v for v in judge(study.CLAIMS, _cells(68.0, 68.8, 62.3, 46.0), resamples=200)}
    claims = "C1a C1b C3a C3b C3c C3d C4a C4b C5a C5b C5c C6 C7a C7b L2"
    for claim in claims.split():
        assert verdicts[claim].verdict == "reproduced", (claim, verdicts[claim].reason)
    assert verdicts["C3a"].effect == pytest.approx(9.1, abs=0.1)
    assert verdicts["C7b"].n == 9  # a seed without an early end says nothing
    assert verdicts["C2"].verdict == "contradicted"  # these four rules differ by far more than 4 %


def test_claims_can_fail() -> None:
    verdicts = {
        v.claim_id: v
        for v in judge(study.CLAIMS, _cells(60.0, 60.0, 62.3, 61.0, explained=3.0, unseeing=1.0), resamples=200)
    }
    assert verdicts["C3a"].verdict == verdicts["C4b"].verdict == verdicts["C6"].verdict == "contradicted"
    assert verdicts["C3d"].verdict == "contradicted"
    assert verdicts["C7a"].verdict == "contradicted"
    assert verdicts["L2"].verdict != "reproduced"
    assert verdicts["C2"].verdict == "reproduced"


def test_a_learner_below_the_floor_makes_its_claims_void() -> None:
    verdicts = {v.claim_id: v.verdict for v in judge(study.CLAIMS, _cells(20.0, 20.0, 62.3, 46.0), resamples=200)}
    assert {verdicts[name] for name in ("C1a", "C3a", "C4c", "C5c", "C7b")} == {"void"}
    assert verdicts["C3d"] == "reproduced"
