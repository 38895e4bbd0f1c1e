"""The study of simplicial-closure: its declarations, its smallest cells, and what its claims do with numbers."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from livepapers.core.artifact import Artifact
from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells, load_study
from livepapers.studies import simplicial_closure as module


class Recorder:
    """A run that keeps what it is given."""

    def __init__(self, folder):
        self.folder, self.kept, self.work = folder, {}, {}

    def prepared(self, name):
        target = self.folder / name
        if not target.exists():
            target.mkdir()
            module.PREPARE[name](target, "smoke")
        return target

    def generator(self, name):
        return torch.Generator().manual_seed(len(name))

    def samples(self, name, values):
        self.kept[name] = values

    def artifact(self, name: str, artifact: Artifact, *, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        raise AssertionError("nothing is trained here that would be kept")

    def spend(self, **work):
        self.work.update(work)

    def log(self, step, **metrics):
        raise AssertionError("this study draws no curves")

    def drive(self, learner, updates, *, name="learner", evaluate=None):
        raise AssertionError("nothing here learns step by step")

    private_generator = generator

    @property
    def map(self):
        return map


@pytest.fixture(scope="module")
def study():
    return load_study("simplicial-closure")


def test_the_study_declares_every_claim_of_the_paper(study):
    assert {claim.id[:2] for claim in study.claims} == {"C0", "C1", "C2", "C3", "C4", "C5", "C6"}
    assert all(claim.needs for claim in study.claims if claim.id in {"C1", "C2c", "C5", "C6a"})
    for claim in study.claims:
        if claim.headline:
            assert len(claim.settings) >= 6


def test_twelve_windows_face_the_same_arms(study):
    windows = [setting for setting in study.settings.values() if setting.part == "prediction"]
    assert len(windows) == 12
    assert len({setting.arms for setting in windows}) == 1


@pytest.mark.slow
def test_every_arm_of_the_smoke_preset_is_measured(study, tmp_path):
    for cell in study.cells("smoke"):
        found = module.measure(cell.arm, study.settings[cell.setting], cell.seed, "smoke", Recorder(tmp_path))
        assert found
        assert np.isfinite(list(found.values())).all(), cell
        if "relative" in found:
            assert found["low"] <= found["relative"] <= found["high"]
            assert found["closures"] == 44


def cells(values):
    def none(*_):
        raise KeyError

    return Cells({Cell(*key): metrics for key, metrics in values.items()}, samples=none, curves=none)


def invented(lead):
    """Every window measured, the means ahead of the walks by a factor of two to the `lead`."""
    rng = np.random.default_rng(0)
    values = {}
    for setting in module.WINDOWS:
        level = 2.0 + rng.random()
        for arm in module.SCORE_ARMS:
            ahead = 2**lead if arm in {"harmonic", "geometric"} else 1.0
            values[arm, setting, 0] = {"relative": level * ahead * (1 + 0.01 * rng.random()), "closures": 50.0}
        values["generalised_means", setting, 0] = {
            "closures": 50.0, **{f"relative_p={p}": level + lead * (-1 <= float(p) <= 0.5) for p in module.ORDERS}
        }  # fmt: skip
        values["configurations", setting, 0] = {f"{k}_{n}": lead for k in ("strength", "density") for n in (3, 4)}
    table = {f"count_{kind}": float(sets) for kind, (sets, _) in module.PUBLISHED3.items()}
    table |= {f"closed_{kind}": float(closed) for kind, (_, closed) in module.PUBLISHED3.items()}
    values["configurations", "primary-school-100", 0] |= table | {k: float(v) for k, v in module.PUBLISHED_DATA.items()}
    for setting in module.NULLS:
        for seed in range(5):
            values["independent_triples", setting, seed] = {"rank_correlation": 0.95 + 0.01 * rng.random()}
    return cells(values)


def verdicts(found):
    return {verdict.claim_id: verdict.verdict for verdict in judge(module.CLAIMS, found, resamples=500)}


def test_a_clear_lead_is_reproduced_and_its_opposite_contradicted():
    assert set(verdicts(invented(1.0)).values()) == {"reproduced", "not tested here"}
    opposite = verdicts(invented(-1.0))
    assert {opposite[name] for name in ("C2a", "C2b", "C3a", "C3b", "C4a", "C4b", "C4c", "C4d")} == {"contradicted"}


def test_windows_with_few_closures_do_not_rank_scores():
    found = invented(1.0)
    few = cells({(c.arm, c.setting, c.seed): {**m, "closures": 9.0} for c, m in found._metrics.items()})
    assert verdicts(few)["C4a"] == "not tested here"


def test_a_single_wrong_count_contradicts_the_identity():
    wrong = {(c.arm, c.setting, c.seed): dict(m) for c, m in invented(1.0)._metrics.items()}
    wrong["configurations", "primary-school-100", 0]["count_0 0 0"] += 1
    assert verdicts(cells(wrong))["C0"] == "contradicted"
