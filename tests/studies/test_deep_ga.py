"""The study of deep-ga: cells, equal budgets, and verdicts from made-up figures."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from livepapers.core.errors import MissingExtraError
from livepapers.lab import tuning
from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells, Setting
from livepapers.methods.deep_ga import strategy, strategy_gradient
from livepapers.studies import deep_ga as study
from livepapers.studies.deep_ga import instances
from livepapers.studies.deep_ga.design import GRIDS, PILOTS
from livepapers.studies.deep_ga.instances import budget, episodes_each
from livepapers.studies.deep_ga.measuring import _first
from studies.fake_run import FakeRun, PreparedRun


def _setting(name: str) -> Setting:
    return next(setting for setting in study.SETTINGS if setting.name == name)


@pytest.mark.parametrize("setting", ["maze", "pendulum", "mountain-car"])
def test_every_smoke_cell_measures_finite_numbers_at_equal_budgets(setting: str, tmp_path: Path):
    spent = {}
    for arm in _setting(setting).arms:
        run = PreparedRun(tmp_path, study.PREPARE, "smoke")
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
        for arm in setting.arms:
            rules = budget(setting, preset, arm)
            assert 2 * rules.strategy.pairs == episodes_each(rules.genetic)


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
    longest = int(found["generations_10000"])  # 24 + 4 (g + 1) + 8 bytes
    assert 4 * 4_052_658 / (36 + 4 * longest) >= 10_000 > 4 * 4_052_658 / (40 + 4 * longest)


def test_every_tuned_arm_of_a_part_has_equally_many_trials_of_two_settings():
    for part, grids in GRIDS.items():
        assert {len(axes) for axes in grids.values()} == {2}
        assert len({len(tuning.combinations(axes)) for axes in grids.values()}) == 1, part
        arms = {arm for setting in study.SETTINGS if setting.part == part for arm in setting.arms}
        assert arms - grids.keys() == {"random"}, part
    for setting in study.SETTINGS:
        last = setting.first_seed + max(setting.seeds.values())
        assert setting.part not in GRIDS or last < min(PILOTS[setting.name])


def test_every_point_of_every_grid_can_be_measured():
    for setting in study.SETTINGS:
        for arm, axes in GRIDS.get(setting.part, {}).items():
            for values in tuning.combinations(axes):
                for preset in setting.seeds:
                    if preset != "smoke":
                        budget(setting, preset, arm, values)


def test_tuning_is_deterministic_and_of_the_arm(tmp_path: Path):
    kept = {}
    for name in ("tuned-ga-pendulum", "tuned-es-pendulum"):
        for again in ("first", "second"):
            folder = tmp_path / name / again
            study.PREPARE[name](folder, "smoke")
            kept[name, again] = (folder / "tuned.json").read_bytes()
        assert kept[name, "first"] == kept[name, "second"]
    assert {name for name in study.PREPARE if "pendulum" in name} == {name for name, _ in kept}
    ours, other = (json.loads(kept[name, "first"])["trials"] for name in ("tuned-ga-pendulum", "tuned-es-pendulum"))
    assert len(ours) == len(other)
    assert [len(one["scores"]) for one in ours] == [len(one["scores"]) for one in other]


def test_cells_are_measured_with_what_tuning_chose(tmp_path: Path):
    def measured(rate: float) -> tuple[dict[str, float], FakeRun]:
        trials = tuning.try_all([{"sigma": 0.2, "rate": rate}], (1,), lambda *_: 0.0)
        (tmp_path / "tuned.json").write_text(json.dumps(trials))
        run = FakeRun(tmp_path)
        return study.measure("es", _setting("pendulum"), 10, "smoke", run), run

    small, large = measured(1e-5)[0], measured(0.3)[0]
    assert (small["sigma"], small["rate"], large["rate"]) == (0.2, 1e-5, 0.3)
    assert small["fresh"] != large["fresh"]
    assert "sigma" not in study.measure("random", _setting("pendulum"), 10, "smoke", FakeRun())


def _learned(monkeypatch: pytest.MonkeyPatch, gradient: Any) -> float:
    """Mean return of the strategy by a point of its grid, after two fifths of its episodes."""
    monkeypatch.setattr(strategy, "strategy_gradient", gradient)
    setting = _setting("pendulum")
    values = {"sigma": 0.1, "rate": 0.1}
    assert values in tuning.combinations(GRIDS["control"]["es"])
    learner = instances.search("es", setting, budget(setting, "laptop", "es", values), PILOTS["pendulum"][0])
    for _ in range(8):
        learner.update()
    return float(instances.fresh_returns(learner, setting, "laptop", 1).mean())


def test_the_strategy_learns_the_pendulum_and_not_without_its_gradient(monkeypatch: pytest.MonkeyPatch):
    def nothing(fitness: torch.Tensor, epsilon: torch.Tensor, sigma: float) -> torch.Tensor:
        return 0.0 * strategy_gradient(fitness, epsilon, sigma)

    assert _learned(monkeypatch, strategy_gradient) > -300.0
    assert _learned(monkeypatch, nothing) < -500.0  # its weights only decay


def test_the_first_generation_that_passes_is_found():
    assert _first([-50.0, -9.0, -8.0], -10.0) == 2
    assert _first([-50.0, -50.0], -10.0) == 2


def _cells(novel: float, reward: float, *, ga: float, es: float, random: float, flattery: float = 2.0) -> Cells:
    """Cells in which distances and returns are these, with a little spread."""
    metrics = {}
    returns = {"ga": ga, "es": es, "random": random}
    for seed in range(10):
        for arm, distance in {"ga-ns": novel, "ga": reward, "es": reward, "random": 95.0}.items():
            values = {"distance": distance + 0.1 * seed, "solved": float(distance < 10.0), "spent": 1.0}
            metrics[Cell(arm, "maze", seed)] = values
        for name in ("pendulum", "mountain-car"):
            for arm, value in returns.items():
                values = {"fresh": value + seed, "best_seen": value + 90.0, "validated": value + seed + flattery}
                metrics[Cell(arm, name, seed)] = values
    metrics[Cell("ga", "encoding", 0)] = {"generations_10000": 396.0, "rebuilt": 1.0}

    def absent(*_: object) -> Any:
        raise KeyError("nothing was kept")

    return Cells(metrics, samples=absent, curves=absent)


def test_the_papers_figures_reproduce_its_claims():
    cells = _cells(5.0, 38.0, ga=-150.0, es=-160.0, random=-600.0)
    verdicts = {v.claim_id: v for v in judge(study.CLAIMS, cells, resamples=200)}
    for claim in ("C2a", "C2b", "C2c", "C4a", "C4b", "C4c", "C4d", "C4e", "C5a", "C5b", "L1"):
        assert verdicts[claim].verdict == "reproduced", (claim, verdicts[claim].reason)


def test_claims_can_fail():
    cells = _cells(38.0, 5.0, ga=-600.0, es=-160.0, random=-170.0)
    verdicts = {v.claim_id: v.verdict for v in judge(study.CLAIMS, cells, resamples=200)}
    for claim in ("C2a", "C2b", "C2c", "C4a", "C4b", "C4c", "C4d"):
        assert verdicts[claim] == "contradicted", claim


def test_a_strategy_that_random_search_beats_proves_nothing():
    cells = _cells(5.0, 38.0, ga=-150.0, es=-1200.0, random=-600.0)
    verdicts = {v.claim_id: v for v in judge(study.CLAIMS, cells, resamples=200)}
    assert verdicts["C2c"].verdict == "void"
    assert "es did not learn: -1196 on average, random search -595.5" in verdicts["C2c"].reason
    assert verdicts["C4d"].verdict == "reproduced"


def test_an_elite_that_its_validation_flatters_is_found_out():
    cells = _cells(5.0, 38.0, ga=-150.0, es=-160.0, random=-600.0, flattery=130.0)
    verdicts = {v.claim_id: v.verdict for v in judge(study.CLAIMS, cells, resamples=200)}
    assert verdicts["L1"] == "contradicted"
