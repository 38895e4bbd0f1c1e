"""The study of policy-smoothing: cells, statistics and declarations."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest

from livepapers.core import artifact
from livepapers.core.errors import InputError
from livepapers.lab.study import Cell, Cells, load_study
from livepapers.studies import policy_smoothing as study
from livepapers.studies.policy_smoothing import agents, claims, measuring
from studies.fake_run import FakeRun, PreparedRun


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agents")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest settings whatever the preset is called."""
    plain = agents.settings
    small = functools.partial(lambda preset, **given: plain("tiny", **given))
    monkeypatch.setattr(agents, "settings", small)
    monkeypatch.setattr(measuring, "settings", small)
    monkeypatch.setitem(agents.CAR_STEPS, "tiny", 200)


@pytest.mark.parametrize("arm", ["smoothed", "undefended", "single-frame", "lipschitz", "action-certificate"])
def test_every_arm_of_a_cell_measures_finite_numbers(arm: str, root: Path):
    run = PreparedRun(root, study.PREPARE, "tiny")
    found = study.measure(arm, load_study("policy-smoothing").settings["linear-0.2"], 0, "smoke", run)
    assert all(math.isfinite(value) for value in found.values())
    if arm == "smoothed":
        assert found["attacked_0.4"] >= 0.0
        assert found["overspent_0.4"] <= 1e-6
        assert found["certified_0"] >= found["certified_0.4"] >= found["certified_1"] >= 0.0
        assert found["certified_0.4"] <= found["ceiling_0.4"]
        assert found["evaluations_a_step"] == 1.0
        assert run.artifacts["agent"].made_by["sigma"] == 0.2
    if arm == "lipschitz":
        assert run.asked == ["linear-5-0.2-0"]  # the very agent of the smoothed arm
    if arm == "action-certificate":
        assert found["evaluations_a_step"] == 50.0
    if arm == "undefended":
        assert run.asked == ["linear-5-0-0"]
        assert "certified_0.4" not in found


@pytest.mark.parametrize("setting", ["dqn-0.2", "mountain-car-0.2"])
def test_other_agents_are_measured_in_the_same_way(setting: str, root: Path, monkeypatch: pytest.MonkeyPatch):
    from livepapers.tasks.mountain_car import MountainCar

    monkeypatch.setattr(MountainCar, "horizon", 40)
    found = study.measure(
        "smoothed",
        load_study("policy-smoothing").settings[setting],
        0,
        "smoke",
        PreparedRun(root, study.PREPARE, "tiny"),
    )
    assert all(math.isfinite(value) for value in found.values())
    assert 0.0 <= found["certified_0.4"] <= found["ceiling_0.4"]
    assert found["attacked_0.4"] >= found["certified_0.4"]


def test_the_ceiling_and_the_floor_need_no_agent(root: Path):
    setting, run = load_study("policy-smoothing").settings["linear-0.2"], PreparedRun(root, study.PREPARE, "tiny")
    perfect, constant = (study.measure(arm, setting, 0, "smoke", run) for arm in ("perfect", "constant"))
    assert perfect["certified_0.4"] == pytest.approx(perfect["ceiling_0.4"])
    assert perfect["clean"] == 200.0
    assert constant["clean"] < 20.0
    assert not run.asked


def test_games_are_sound_tight_and_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measuring, "CELLS", 40)
    found = study.measure("games", load_study("policy-smoothing").settings["games"], 0, "smoke", FakeRun(tmp_path))
    for name in measuring.GAMES:
        assert found[f"above_{name}"] >= -1e-9
        assert found[f"deviation_{name}"] < 5.0
        assert found[f"simulated_above_{name}"] > 0.0
    assert max(found["attained_one"], found["attained_one-even"]) < 1e-9
    assert found["above_both"] > -1e-9
    assert tuple(measuring.GAMES) == claims.GAMES


def test_a_prepared_agent_says_what_it_was_made_for_and_what_it_took(root: Path):
    folder = PreparedRun(root, study.PREPARE, "tiny").prepared("linear-5-0.2-0")
    described = artifact.load(folder)
    assert described.spaces["sigma"] == 0.2
    assert described.spaces["task"] == agents.described_world("linear", 5)
    assert (folder / "training.json").is_file()
    with pytest.raises(InputError, match="at most 30"):
        agents.agent_name("linear", frames=5, sigma=0.2, seed=30)


def test_certification_training_and_attack_never_share_episodes():
    from livepapers.core.rng import derive

    streams = {
        derive(0, "policy-smoothing", name) for name in ("certification", "attack", "undefended", "gaps", "voted")
    }
    assert len(streams) == 5
    assert derive(0, "policy-smoothing", "train", "linear", 5, "0.2") not in streams


def _cells(values: dict[tuple[str, str], list[dict[str, float]]]) -> Cells:
    metrics = {
        Cell(arm, setting, seed): found for (arm, setting), rows in values.items() for seed, found in enumerate(rows)
    }
    empty = np.array([])
    return Cells(metrics, samples=lambda *_: empty, curves=lambda *_: (empty, empty))


def test_statistics_say_what_their_claims_say():
    by_id = {claim.id: claim for claim in claims.CLAIMS}
    smoothed = {"clean": 199.0, "certified_0.4": 170.0, "certified_1": 5.0, "attacked_0.4": 190.0,
                "attacked_0.2": 171.0,
                "certified_0.2": 190.0, "certified_0.1": 195.0, "evaluations_a_step": 1.0,
                "overspent_0.4": -1e-9}  # fmt: skip
    cells = _cells(
        {
            ("smoothed", "linear-0.2"): [smoothed],
            ("smoothed", "linear-0.4"): [{**smoothed, "clean": 180.0, "certified_1": 60.0, "attacked_0.2": 195.0}],
            ("undefended", "linear-0.2"): [{"clean": 200.0, "attacked_0.4": 50.0, "overspent_0.4": 2e-6}],
            ("single-frame", "linear-0.2"): [{"certified_0.2": 100.0}],
        }
    )
    assert by_id["C1c"].statistic(cells) == {"linear-0.2/seed 0": -19.0, "linear-0.4/seed 0": 5.0}
    assert by_id["C1e"].statistic(cells)["undefended in linear-0.2"] == 2e-6
    assert by_id["C3a"].statistic(cells) == {"seed 0": 120.0}
    assert by_id["C4a"].statistic(cells) == {"seed 0": 19.0}
    assert by_id["C4b"].statistic(cells) == {"seed 0": 55.0}
    assert by_id["C5a"].statistic(cells) == {"seed 0": 140.0}
    assert by_id["C6"].statistic(cells) == {"seed 0": 1.0}
    assert by_id["Q3"].statistic(cells) == {"seed 0": 90.0}
    precondition = by_id["C3a"].precondition
    assert precondition is not None
    assert precondition(cells) is None
    lazy = _cells({("undefended", "linear-0.2"): [{"clean": 60.0}]})
    assert "fall short" in str(precondition(lazy))


def test_a_rival_that_certifies_nothing_is_none():
    precondition = next(claim.precondition for claim in claims.CLAIMS if claim.id == "Q2")
    assert precondition is not None
    rival = ("action-certificate", "linear-0.2")
    nothing, something = {"certified_0": 0.0, "certified_0.1": 0.0, "clean": 200.0}, {"certified_0": 9.0}
    assert "certifies no return at any budget" in str(precondition(_cells({rival: [nothing, nothing]})))
    assert precondition(_cells({rival: [nothing, {**nothing, **something}]})) is None
    assert precondition(_cells({})) is None  # not measured: another verdict says so


def test_every_claim_that_rests_on_seeds_has_ten_pairs_at_the_laptop():
    loaded = load_study("policy-smoothing")
    assert min(loaded.pairs("laptop").values()) >= 10
    assert all(claim.needs for claim in loaded.claims if claim.id == "C3d")
