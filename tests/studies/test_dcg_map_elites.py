"""The study of dcg-map-elites: cells, equal budgets, and verdicts from made-up figures."""

import math
from pathlib import Path
from typing import Any

import pytest

from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells
from livepapers.methods.dcg_map_elites import variant
from livepapers.studies import dcg_map_elites as study
from livepapers.studies.dcg_map_elites.measuring import budget, iterations, settings
from studies.fake_run import PreparedRun


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


@pytest.mark.parametrize("arm", ["dcg", "pga", "map-elites", "random", "unconditioned-actor"])
def test_smoke_cells_measure_finite_numbers(arm: str, root: Path):
    run = PreparedRun(root, study.PREPARE, "smoke")
    found = study.measure(arm, next(one for one in study.SETTINGS if arm in one.arms), 0, "smoke", run)
    assert all(math.isfinite(value) for value in found.values())
    assert run.kept["fitness"].shape == (64,)
    assert run.work["evaluations"] == found["evaluations"]
    assert ("drift" in found) == (arm not in ("map-elites", "random"))
    assert ("actor_error" in found) == (arm == "dcg")
    assert set(run.artifacts) == ({"policy"} if arm == "dcg" else set())


@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
def test_no_arm_spends_more_than_the_method_nor_much_less(preset: str):
    for setting in study.SETTINGS:
        base = settings(setting, preset)
        for arm in ("pga", "map-elites", "no-rollouts", "random-negatives", "unconditioned-actor", "dcg"):
            config = variant(base, arm)
            spent = config.offspring + (iterations(config, budget(base)) - 1) * config.evaluations
            assert budget(base) - config.evaluations < spent <= budget(base), (setting.name, arm)


def _cells(**figures: dict[str, float]) -> Cells:
    """Cells of ten seeds of the point robot with these figures, and a little spread."""

    def spread(values: dict[str, float], seed: int) -> dict[str, float]:
        return {name: value * (1 + 0.002 * ((seed * 7) % 5 - 2)) for name, value in values.items()}

    metrics = {
        Cell(arm.replace("_", "-"), "point" if arm in ("dcg", "pga", "map_elites") else "ablations", seed): (
            spread(values, seed)
        )
        for arm, values in figures.items()
        for seed in range(10)
    }
    return Cells(metrics, samples=_absent, curves=_absent)


def _absent(*_: object) -> Any:
    raise KeyError("nothing was kept")


def _archive(score: float, *, coverage: float = 0.8, drift: float = 3.0, actor: float = 0.0) -> dict[str, float]:
    return {
        "qd_score": score * 1.1, "corrected_qd_score": score, "corrected_coverage": coverage, "drift": drift,
        "accepted": 0.2, "actor_qd_score": actor, "actor_error": 4.0,
    }  # fmt: skip


def test_verdicts_follow_the_figures_both_ways():
    rest = {"map_elites": _archive(0.2), "no_rollouts": _archive(0.5), "random_negatives": _archive(0.6)}
    good = _cells(
        dcg=_archive(0.7, actor=0.65), pga=_archive(0.5, coverage=0.6, drift=9.0),
        unconditioned_actor=_archive(0.6), **rest,
    )  # fmt: skip
    verdicts = {v.claim_id: v.verdict for v in judge(study.CLAIMS, good, needed=())}
    wanted = ("C1a", "C1b", "C1c", "C3a", "C4a", "C4b", "C5a", "C5b", "C5c", "C5d", "L1")
    assert {verdicts[name] for name in wanted} == {"reproduced"}, verdicts
    bad = _cells(
        dcg=_archive(0.5, coverage=0.5, drift=9.0, actor=0.1), pga=_archive(0.7),
        unconditioned_actor=_archive(0.6), **rest,
    )  # fmt: skip
    verdicts = {v.claim_id: v.verdict for v in judge(study.CLAIMS, bad, needed=())}
    assert {verdicts[name] for name in ("C1a", "C1b", "C3a", "C4a")} == {"contradicted"}, verdicts
