"""The study of hdpo: its declarations, its smallest cells, and what its claims do with numbers."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from livepapers.core import rng
from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells, load_study
from livepapers.studies import hdpo as module
from studies.fake_run import FakeRun


class Recorder(FakeRun):
    """A run in memory whose streams are keyed as the lab's."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def generator(self, name: str) -> torch.Generator:
        return rng.generator(self.cell.seed, "hdpo", self.cell.setting, name)

    def private_generator(self, name: str) -> torch.Generator:
        return rng.generator(self.cell.seed, "hdpo", self.cell.setting, "arm", self.cell.arm, name)


def cells(metrics: Mapping[Cell, Mapping[str, float]], samples: Mapping[Cell, np.ndarray] | None = None) -> Cells:
    kept = samples or {}
    nothing = (np.zeros(0), np.zeros(0))
    return Cells(metrics, samples=lambda cell, _: kept[cell], curves=lambda *_: nothing)


@pytest.fixture(scope="module")
def study():
    return load_study("hdpo")


def test_every_claim_of_the_paper_is_declared(study):
    assert [claim.id for claim in study.claims] == ["C1", "C1b", "C2", "C2b", "C3", "C4", "C5"]
    assert [claim.id for claim in study.claims if claim.needs] == ["C5"]


def test_headline_claims_can_reach_significance_with_the_declared_seeds(study):
    assert all(study.settings[name].seeds["laptop"] >= 8 for name in module.KNOWN)
    pairs = len(module.TRAIN_SIZES[:-1]) * study.settings["S5 train 4"].seeds["laptop"]
    assert pairs >= 6
    assert all(study.settings[f"lr {rate:g}"].seeds["laptop"] >= 8 for rate in module.RATES)


def test_the_rest_of_the_family_keeps_its_seed_when_more_are_asked_for(study):
    more = study.cells("laptop", seeds=20, settings=["family lr 0.01", "S2-L4-p9"])
    assert {cell.seed for cell in more if cell.setting == "family lr 0.01"} == {10}
    assert {cell.seed for cell in more if cell.setting == "S2-L4-p9"} == set(range(10, 30))


def test_no_seed_that_was_seen_before_is_used(study):
    assert min(cell.seed for preset in ("smoke", "laptop", "paper") for cell in study.cells(preset)) == 10


def test_the_family_is_whole_and_has_the_same_budget(study):
    assert {variant for variant, _ in module.VARIANTS.values()} == {"fixed", "learned", "clipped", "paired", "critic"}
    spent = set()
    contests = study.settings["lr 0.003"], study.settings["family lr 0.003"]
    assert {arm for setting in contests for arm in setting.arms} == {"hdpo", *module.VARIANTS}
    for setting, arm in [(one, arm) for one in contests for arm in one.arms]:
        run = Recorder(Cell(arm, setting.name, 0))
        study.measure(arm, setting, 0, "smoke", run)
        spent.add((run.work["simulated_periods"], run.work["dev_periods"]))
    assert len(spent) == 1


@pytest.mark.parametrize(
    ("arm", "setting"),
    [
        ("optimum", "S2-L4-p9"), ("hdpo", "S2-L2-p39"), ("base-stock", "S1-L4-p9"), ("echelon-stock", "S3-L2-p9"),
        ("floor", "S2-L4-p9"), ("gnn", "S5 train 4"), ("mlp", "S5 train 4"), ("base-stock", "S5 train 4"),
        ("capped base-stock", "S2-L4-p9"), ("hdpo", "chicago"), ("quantile newsvendor", "chicago"),
        ("just in time", "chicago"), ("floor", "chicago"),
    ],
)  # fmt: skip
def test_a_smoke_cell_measures_finite_numbers(study, arm: str, setting: str):
    run = Recorder(Cell(arm, setting, 0))
    metrics = study.measure(arm, study.settings[setting], 0, "smoke", run)
    assert metrics
    assert all(np.isfinite(value) for value in metrics.values())
    if setting == "chicago":
        assert run.kept["profit_percent"].shape == (20,)


def test_the_optimum_has_no_gap_and_perfect_foresight_earns_everything(study):
    metrics = study.measure("optimum", study.settings["S2-L4-p9"], 0, "smoke", Recorder(Cell("optimum", "S2-L4-p9", 0)))
    assert metrics["gap_percent"] == 0.0
    assert metrics["optimum"] == pytest.approx(6.836, abs=0.002)
    foresight = study.measure(
        "just in time", study.settings["chicago"], 0, "smoke", Recorder(Cell("just in time", "chicago", 0))
    )
    assert foresight["profit_percent"] == pytest.approx(100.0)


def test_the_gap_is_the_largest_or_the_mean_of_the_four_instances():
    metrics = {Cell("hdpo", name, 0): {"gap_percent": 0.1 * i} for i, name in enumerate(module.KNOWN)}
    assert module.gap(module.KNOWN, max)(cells(metrics)) == {"seed 0": pytest.approx(0.3)}
    assert module.gap(module.KNOWN, np.mean)(cells(metrics)) == {"seed 0": pytest.approx(0.15)}
    del metrics[Cell("hdpo", module.KNOWN[0], 0)]
    assert module.gap(module.KNOWN, max)(cells(metrics)) == {}


def test_the_share_is_compared_with_the_best_single_arm():
    good = {"hdpo": [5, 4], module.FINALISTS[0]: [1, 3], module.FINALISTS[1]: [4, 1]}  # rates within reach, per seed
    metrics = {
        Cell(arm, f"lr {rate:g}", seed): {"gap_percent": 1.0 if i < count else 9.0}
        for arm, counts in good.items()
        for seed, count in enumerate(counts)
        for i, rate in enumerate(module.RATES)
    }
    effects = module.share_difference(5.0)(cells(metrics))
    assert effects == {"seed 0": pytest.approx(0.2), "seed 1": pytest.approx(0.6)}
    assert set(module.share_difference(0.5)(cells(metrics)).values()) == {0.0}
    del metrics[Cell("hdpo", "lr 0.01", 0)]
    assert list(module.share_difference(5.0)(cells(metrics))) == ["seed 1"]


def test_the_data_ratio_compares_n_with_four_n():
    metrics = {}
    for size in module.TRAIN_SIZES:
        metrics[Cell("gnn", f"S5 train {size}", 0)] = {"cost": 9.0}
        metrics[Cell("mlp", f"S5 train {size}", 0)] = {"cost": 10.0 if size < 256 else 6.0}
    effects = module.data_ratio(cells(metrics))
    assert effects["S5 train 4/seed 0"] == pytest.approx(-10.0)
    assert effects["S5 train 64/seed 0"] == pytest.approx(50.0)
    assert len(effects) == 3


def test_profit_is_compared_with_the_best_admissible_newsvendor():
    levels = {"hdpo": 97.0, "quantile newsvendor": 95.0, "fixed newsvendor": 96.0, "transformed newsvendor": 90.0}
    metrics = {Cell(arm, "chicago", 0): {"profit_percent": value} for arm, value in levels.items()}
    samples = {cell: np.full(20, values["profit_percent"]) for cell, values in metrics.items()}
    effects = module.profit_advantage(cells(metrics, samples))
    assert len(effects) == 20
    assert set(effects.values()) == {1.0}


def test_verdicts_follow_made_up_numbers(study):
    metrics = {
        Cell("hdpo", name, seed): {"gap_percent": 0.2 + 0.01 * seed} for name in module.KNOWN for seed in range(8)
    }
    verdicts = {verdict.claim_id: verdict for verdict in judge(study.claims, cells(metrics))}
    assert verdicts["C1"].verdict == "reproduced"
    assert verdicts["C3"].verdict == "not tested here"
    worse = {cell: {"gap_percent": values["gap_percent"] + 2.0} for cell, values in metrics.items()}
    assert judge(study.claims, cells(worse))[0].verdict == "contradicted"


@pytest.mark.slow
def test_the_laptop_budget_brings_lost_sales_within_one_percent_of_the_optimum(study):
    cell = Cell("hdpo", "S2-L4-p9", 100)  # a seed that the study does not use
    found = study.measure(cell.arm, study.settings[cell.setting], cell.seed, "laptop", Recorder(cell))
    assert found["optimum"] == pytest.approx(6.836, abs=0.002)
    assert 0.0 < found["gap_percent"] < 1.0
