"""The study of commuters: its declarations, its smallest cells, and what its claims do with numbers."""

import math

import numpy as np
import pytest

from livepapers.lab.claims import judge
from livepapers.lab.statistics import holm, smallest_p
from livepapers.lab.study import Cell, Cells, load_study
from livepapers.methods.commuters import Config
from livepapers.studies import commuters as module
from livepapers.studies.commuters.measuring import _world
from studies.fake_run import PreparedRun


@pytest.fixture(scope="module")
def study():
    return load_study("commuters")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return PreparedRun(tmp_path_factory.mktemp("prepared"), module.PREPARE, "smoke")


def test_the_study_declares_every_claim_of_the_paper(study):
    assert {claim.id[:2] for claim in study.claims} == {"C1", "C2", "C3", "C4"}
    assert [claim.id for claim in study.claims if claim.needs] == ["C3c"]
    for claim in study.claims:
        for name in claim.settings:
            assert set(claim.arms) <= set(study.settings[name].arms), (claim.id, name)


def test_the_correction_leaves_room_for_every_claim(study):
    tested = [claim for claim in study.claims if not claim.needs]
    pairs = study.pairs("laptop")
    assert {pairs[claim.id] for claim in tested} == {10}
    assert max(holm([smallest_p(pairs[claim.id]) for claim in tested])) <= 0.05


def test_laws_that_are_told_held_out_totals_take_part_in_no_claim(study):
    told = {*module.TOLD, "common_neighbours", "adamic_adar", "preferential_attachment"}
    assert all(not told & set(claim.arms) for claim in study.claims)


def test_ten_seeds_are_the_ten_folds_and_the_ten_provinces(study, run):
    for name in ("air-pairs", "migration"):
        held = [_world(study.settings[name], seed, "smoke", run).fold.test for seed in range(10)]
        times = np.sum(held, axis=0)
        assert np.array_equal(times, np.full(len(times), 1 if name == "air-pairs" else 2))  # a pair has two provinces


def test_cells_of_the_smoke_preset_are_finite_and_repeat_bit_for_bit(study, run):
    for arm, name in (
        *(("regression", "air-nodes"), ("gravity_ppml", "air-nodes"), ("mass_product", "air-nodes")),
        *(
            ("chance", "air-nodes"),
            ("gravity_double", "migration"),
            ("chance", "migration"),
        ),
        ("radiation", "network"),
    ):
        found = module.measure(arm, study.settings[name], 0, "smoke", run)
        assert np.isfinite(list(found.values())).all(), (arm, name)
        assert module.measure(arm, study.settings[name], 0, "smoke", run) == found
    assert run.work["pairs"] > 0


def test_importance_and_elimination_name_every_indicator_and_size(study, run, monkeypatch):
    small = Config(trees=2, tuning_rows=60, repeats=1)
    monkeypatch.setattr(Config, "smoke", lambda: small)
    found = module.measure("forest", study.settings["importance-flows"], 0, "smoke", run)
    assert {"importance distance", "impurity distance", "importance unemployment rate"} <= set(found)
    assert set(module.measure("boosting", study.settings["elimination"], 0, "smoke", run)) == {
        f"{metric}_{size}" for metric in ("accuracy", "auc") for size in module.SIZES
    }


def invented(lead):
    """Boosting ahead of every rival by `lead`, and all else in line with the paper when it is positive."""
    rng = np.random.default_rng(0)
    values = {}
    for setting in load_study("commuters").settings.values():
        for arm in setting.arms:
            for seed in range(10):
                ours = arm == "boosting"
                spread = 0.001 * rng.random()
                level = (0.95 if setting.name == "air-pairs" else 0.85) if lead > 0 else 0.7
                cell = dict.fromkeys(("accuracy", "auc_pr", "r2"), level - (0 if ours else lead) + spread)
                if setting.name == "importance-flows":
                    cell = {"importance distance": lead, "importance unemployment rate": lead / 2}
                if setting.name == "elimination":
                    cell = {"accuracy_15": 0.9, "accuracy_4": 0.9 - (0.01 if lead > 0 else 0.1)}
                cell |= {"mean_probability": 0.05 if lead > 0 else 0.5, "density": 0.05}
                cell = {name: value + 1e-6 * spread for name, value in cell.items()}
                values[Cell(arm, setting.name, seed)] = cell
    return values


def verdicts(values):
    def none(*_):
        raise KeyError

    cells = Cells(values, samples=none, curves=none)
    return {verdict.claim_id: verdict.verdict for verdict in judge(module.CLAIMS, cells)}


def test_a_lead_is_seen_and_so_is_its_absence():
    good = invented(0.2)
    assert {name: verdict for name, verdict in verdicts(good).items() if verdict != "reproduced"} == {
        "C3c": "not tested here"
    }
    bad = verdicts(invented(-0.2))
    assert all(bad[claim.id] != "reproduced" for claim in module.CLAIMS), bad
    for name in ("C1a", "C1b", "C1c", "C2b", "C2c", "C3a", "C4"):
        assert bad[name] == "contradicted"


def test_the_best_rival_of_each_seed_is_the_one_that_counts():
    values = invented(0.2)
    values[Cell("radiation", "air-nodes", 3)]["accuracy"] = 0.99
    claim = next(claim for claim in module.CLAIMS if claim.id == "C1c")
    effects = claim.statistic(
        Cells(values, samples=lambda *_: np.zeros(0), curves=lambda *_: (np.zeros(0), np.zeros(0)))
    )
    assert min(effects.values()) == effects["air-nodes/seed 3"] < 0
    assert math.isclose(sorted(effects.values())[1], 0.2, abs_tol=0.01)
