"""The study of ospo: equal budgets, statistics that can fail, cells that measure what they say."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from livepapers.core.config import replace
from livepapers.lab.claims import _Family, judge
from livepapers.lab.statistics import smallest_p
from livepapers.lab.study import Cell, Cells, Setting, load_study
from livepapers.lab.tuning import FILE, keep_score
from livepapers.methods.ospo import Config
from livepapers.methods.ospo.application import GRPO
from livepapers.papers import catalogue
from livepapers.studies import ospo as study
from livepapers.studies.ospo import claims, tuning
from livepapers.studies.ospo.design import MAIN, POINTS
from livepapers.studies.ospo.instances import file_of
from livepapers.tasks import worlds
from livepapers.tasks.ride_city import grid_city
from studies.fake_run import FakeRun


def setting(name: str) -> Setting:
    return next(one for one in study.SETTINGS if one.name == name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What PREPARE leaves behind, of a town instead of Manhattan."""
    tables = grid_city(3, 3, rate=5.0).to_json()
    for one in study.SETTINGS:
        (tmp_path / file_of(one)).write_text(json.dumps({"reference": None, "tables": tables}))
    keep_score(tmp_path, 1.0)  # of every trial
    return tmp_path


def test_trained_arms_of_equal_trials_differ_in_what_the_design_says_and_in_nothing_else():
    values = dict(POINTS[0])
    for preset in study.BUDGETS:
        plain = study.config_of("ospo", preset, values).to_json()
        for arm, changes in study.LEARNERS.items():
            config = study.config_of(arm, preset, values).to_json()
            assert {field for field in plain if config[field] != plain[field]} <= set(changes)
            assert arm in {"ospo", "ddqn"} or config != plain, (arm, preset)


def test_each_main_arm_tries_the_same_settings_in_trainings_as_long_as_the_cells():
    names = {(arm, name.removeprefix(f"trial-{arm}-")) for name in study.PREPARE for arm in MAIN if f"-{arm}-" in name}
    assert {arm for arm, _ in names} == {"ospo", "grpo", "ippo", "ddqn"}
    assert all(len([name for arm, name in names if arm == one]) == len(POINTS) for one in MAIN)
    for values in POINTS:
        config = study.config_of("ippo", "laptop", values)
        assert config.episodes == study.BUDGETS["laptop"].learning["episodes"]
        assert (config.learning_rate, config.explore) == (values["learning_rate"], values["explore"])
        assert config.last_rate == pytest.approx(0.3 * config.learning_rate)


@pytest.mark.parametrize(("arm", "tried"), [("ippo", "ippo"), ("ospo, fairness", "ospo")])
def test_an_arm_learns_with_what_its_trials_chose_and_tells_how_all_went(
    arm: str, tried: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    one, two = POINTS[:2]

    class Tried(FakeRun):
        def prepared(self, name: str) -> Path:
            if name == "cities":
                return folder
            asked.append(name)
            part = folder / name
            part.mkdir(exist_ok=True)
            keep_score(part, {tuning.part_name(tried, one): 3.0, tuning.part_name(tried, two): 5.0}[name])
            return part

    found = study.measure(arm, setting("evening"), 11, "smoke", Tried(folder))
    assert asked == [tuning.part_name(tried, two), tuning.part_name(tried, one)]  # an odd seed begins in the middle
    assert (found["learning_rate"], found["explore"]) == (two["learning_rate"], two["explore"])
    scores = {name: value for name, value in found.items() if name.startswith("trial_")}
    assert list(scores.values()) == [3.0, 5.0]
    assert scores.keys() <= {table.metric for table in study.TABLES}


def test_a_trial_keeps_the_reward_of_what_it_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tuning, "read_city", lambda *_: grid_city(3, 3, rate=5.0))
    study.PREPARE[tuning.part_name("grpo", POINTS[0])](tmp_path, "smoke")
    assert json.loads((tmp_path / FILE).read_text())["score"] > 0.0


@pytest.mark.parametrize("others", ["at their smallest p", "without any effect"])
def test_every_tested_claim_can_be_decided_with_the_pairs_that_the_laptop_plans(others: str):
    pairs = load_study("ospo").pairs("laptop")
    tested = [claim for claim in study.CLAIMS if claim.unit != "exact" and not claim.needs]
    smallest = {
        claim.id: smallest_p(pairs[claim.id], alternative="greater" if claim.direction == "equal" else "two-sided")
        for claim in tested
    }
    p_values = smallest if others == "at their smallest p" else dict.fromkeys(smallest, 1.0)
    family = _Family(p_values, p_values, untested=0)
    for claim in tested:
        assert family.decidable(claim, pairs[claim.id]), (claim.id, pairs[claim.id])


@pytest.mark.parametrize("arm", ["ospo", "ddqn", "one-step greedy", "random"])
def test_cells_measure_reward_orders_and_times_on_the_same_episodes(arm: str, folder: Path):
    run = FakeRun(folder)
    found = study.measure(arm, setting("evening"), 0, "smoke", run)
    assert {"reward", "served_percent", "pickup_minutes", "detour_minutes", "late_percent"} <= found.keys()
    assert run.kept["reward"].shape == (2,)
    assert found["reward"] == pytest.approx(run.kept["reward"].mean())
    if arm in study.LEARNERS:
        assert [sorted(metrics) for _, metrics in run.points] == [
            ["curve", "first", "kept"],
            ["kept"],
            ["curve", "kept"],
        ]
        assert run.work["fleet_minutes"] == 4 * 30
        made = run.artifacts["policy"].spaces["task"]
        assert isinstance(made, dict)
        assert isinstance(made["arguments"], dict)
        assert worlds.make(str(made["name"]), made["arguments"]).observation_space.shape is not None


def test_greedy_earns_more_than_random_where_a_cell_measures_them(folder: Path):
    greedy, random = (
        study.measure(arm, setting("dead zones"), 0, "smoke", FakeRun(folder))["reward"]
        for arm in ("one-step greedy", "random")
    )
    assert greedy > random


def test_a_city_keeps_the_reference_by_which_artifacts_name_it(folder: Path):
    one = setting("late")
    reference = {"source": "manhattan", "first_bin": 88, "bins": 2, "rate": 5.0, "origins": 1.0}
    tables = dataclasses.replace(grid_city(2, 2), reference=None).to_json()
    (folder / file_of(one)).write_text(json.dumps({"reference": reference, "tables": tables}))
    assert study.city(folder, one).to_json() == reference


def fake_cells(rewards: dict[str, dict[str, list[float]]], first: float = 1.0) -> Cells:
    metrics = {
        Cell(arm, name, seed): {"reward": value, "pickup_minutes": value, "served_percent": value}
        for name, arms in rewards.items()
        for arm, values in arms.items()
        for seed, value in enumerate(values)
    }

    def curve(*_: object) -> tuple[np.ndarray, np.ndarray]:
        return np.array([10.0]), np.array([first])

    return Cells(metrics, samples=lambda *_: np.zeros(1), curves=curve)


def effects(claim_id: str, cells: Cells) -> dict[str, float]:
    return dict(next(claim for claim in study.CLAIMS if claim.id == claim_id).statistic(cells))


def test_ten_percent_more_is_a_gain_of_ten():
    cells = fake_cells({"evening": {"ospo": [110.0], "ippo": [100.0]}})
    assert effects("C1a", cells) == {"evening/seed 0": pytest.approx(10.0)}


def test_one_step_is_enough_only_when_it_is_in_every_scenario():
    def verdict(late: float) -> str:
        values = {"evening": 120.0, "morning": 104.0, "late": late}
        cells = fake_cells({
            name: {"ospo": [value + seed for seed in range(6)], "grpo": [100.0] * 6, "random": [50.0] * 6}
            for name, value in values.items()
        })  # fmt: skip
        claim = next(claim for claim in study.CLAIMS if claim.id == "C2")
        return judge([claim], cells, resamples=200)[0].verdict

    assert verdict(108.0) == "reproduced"
    assert verdict(96.0) == "direction only"


def test_the_rise_is_counted_from_the_first_check():
    cells = fake_cells({"late": {"ospo": [108.5]}}, first=100.0)
    assert effects("C3", cells) == {"late/seed 0": pytest.approx(8.5)}


def test_value_networks_are_met_at_their_better_one():
    cells = fake_cells({"morning": {"ospo": [5.0], "ippo": [7.0], "ddqn": [6.0]}})
    assert effects("C1e", cells) == {"morning/seed 0": -1.0}
    assert effects("C1f", cells) == {"morning/seed 0": -2.0}


def test_an_arm_no_better_than_chance_makes_a_claim_void():
    check = claims.learned(("ospo",), ("evening",))
    assert check(fake_cells({"evening": {"ospo": [20.0], "random": [10.0]}})) is None
    assert "did not learn" in (check(fake_cells({"evening": {"ospo": [9.0], "random": [10.0]}})) or "")


@pytest.mark.parametrize(("claim_id", "rival"), [("C1a", "ippo"), ("C1d", "ddqn"), ("C1f", "ddqn"), ("C2", "grpo")])
def test_a_rival_that_did_not_learn_is_not_beaten(claim_id: str, rival: str):
    claim = next(claim for claim in study.CLAIMS if claim.id == claim_id)
    rewards = {**{arm: [20.0] for arm in claim.arms}, "random": [19.0]}
    assert claim.precondition is not None
    assert claim.precondition(fake_cells({"evening": rewards})) is None
    assert f"{rival} did not learn" in (claim.precondition(fake_cells({"evening": rewards | {rival: [19.0]}})) or "")


def test_the_last_third_is_what_was_kept_then_against_what_is_kept_at_the_end():
    cells = Cells({Cell("ospo", "evening", 10): {"reward": 1.0}}, samples=lambda *_: np.zeros(1),
                  curves=lambda *_: (np.array([40.0, 80.0, 120.0]), np.array([50.0, 100.0, 103.0])))  # fmt: skip
    assert effects("Q8", cells) == {"evening/seed 10": pytest.approx(3.0)}


def test_what_apply_trains_with_is_what_the_committed_trials_chose():
    results = catalogue.results("ospo")
    assert results is not None
    evening = next(one for one in results["current"]["settings"] if one["name"] == "evening")
    metrics = {arm["arm"]: arm["metrics"] for arm in evening["arms"]}
    for arm, config in (("ospo", Config()), ("grpo", replace(Config(), **GRPO))):
        found = {name: metrics[arm][name]["mean"] for name in ("learning_rate", "explore")}
        assert {"learning_rate": config.learning_rate, "explore": config.explore} == pytest.approx(found)
        assert config.last_rate == pytest.approx(0.3 * config.learning_rate)
        assert config.episodes == study.BUDGETS["laptop"].learning["episodes"]
