"""The study of fl-gfn: references, tracking, statistics and declarations."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from livepapers.core.checkpoint import load_state, save_state
from livepapers.core.errors import CorruptFileError
from livepapers.core.rng import generator
from livepapers.lab.study import Cell, Cells, Setting
from livepapers.methods import fl_gfn
from livepapers.methods.fl_gfn import Config, ForwardLookingGFlowNet, Sampler
from livepapers.studies import fl_gfn as study
from studies.fake_run import FakeRun


def _setting(name: str) -> Setting:
    return next(setting for setting in study.SETTINGS if setting.name == name)


SMOKE = [(s.name, arm) for s in study.SETTINGS if "smoke" in s.seeds and s.name != "set-large" for arm in s.arms]


@pytest.mark.parametrize(("setting", "arm"), SMOKE)
def test_every_smoke_cell_measures_finite_numbers(setting: str, arm: str) -> None:
    run = FakeRun()
    found = study.measure(arm, _setting(setting), 0, "smoke", run)
    assert found
    assert all(math.isfinite(value) for value in found.values())
    if arm in study.TRAINED:
        assert [step for step, _ in run.points] == [5, 10]
        assert {"elbo_gap", "inclusion_error", "std_log_weight"} <= run.points[0][1].keys()
        assert run.work["trajectories"] == 160


@pytest.mark.parametrize("instance", ["tiny", "small", "florentine"])
def test_references_are_exact(instance: str) -> None:
    known = study.reference(instance)
    assert 0 < float(known.inclusion.min()) < float(known.inclusion.max()) < 1
    if known.graph is not None:
        assert known.log_z == pytest.approx(known.graph.log_z(), abs=1e-10)
        best = known.graph.log_reward.sort(descending=True).values[: study.TOP]
        assert known.top == pytest.approx(float(torch.logsumexp(best, 0)) - math.log(study.TOP), abs=1e-10)


@pytest.mark.parametrize("instance", ["tiny", "small", "large"])
def test_all_objectives_vanish_at_the_closed_form_flows(instance: str) -> None:
    residuals = study.largest_residuals(instance, generator(1, "residuals"))
    assert set(residuals) == {f"residual_{objective}" for objective in study.OBJECTIVES}
    assert max(residuals.values()) < 1e-9


def test_a_wrong_energy_is_seen_in_the_residuals() -> None:
    env = study.reference("tiny").env
    assert isinstance(env, fl_gfn.example(Config.tiny(), 0).env.__class__)
    batch = fl_gfn.rollout(env, 4, generator=generator(0, "wrong"))
    terms = study.closed_form_terms(env, batch, forward_looking=True)  # type: ignore[arg-type]  # tiny is Sets
    wrong = fl_gfn.forward_looking_residual(terms.log_flow, terms.log_forward, terms.log_backward, -terms.energy)
    assert float(wrong.abs().max()) > 0.1


def test_the_uniform_policy_has_its_exact_gap() -> None:
    """Its ELBO is log C(n, S) minus S times the mean energy, whatever is drawn."""
    known = study.reference("small")
    evaluation = study.uniform_evaluation(known.env, 4000, generator(0, "uniform"))
    exact = math.log(math.comb(30, 20)) - 20 * float(known.env.energies.mean())
    assert evaluation.elbo == pytest.approx(exact, abs=0.1)
    assert evaluation.log_z == pytest.approx(known.log_z, abs=0.2)


def test_the_best_hundred_are_distinct_and_best() -> None:
    known = study.reference("tiny")
    assert known.graph is not None
    finished = known.graph.states[known.graph.may_end]
    best = study.best_of(known.env, torch.cat([finished, finished]))
    assert len(best) == len(torch.unique(best, dim=0)) == study.TOP
    assert study.top_share(best, known)["top100_share"] == pytest.approx(1.0, abs=1e-9)
    assert study.top_share(best[:50], known)["top100_share"] < 1.0
    assert study.top_share(best[:0], known)["top100_share"] == 0.0


@pytest.mark.parametrize(
    ("gaps", "expected"), [([3, 1, 3, 1, 1], 4.0), ([3, 3, 1], 3.0), ([3, 3, 3], None), ([], None), ([0, 0], 1.0)]
)
def test_a_threshold_is_reached_when_two_evaluations_in_a_row_say_so(gaps: list[float], expected: float | None) -> None:
    assert study.first_crossing(np.arange(1.0, len(gaps) + 1), np.array(gaps), 1.0) == expected


def test_a_tracked_learner_resumes_bit_for_bit(tmp_path: Path) -> None:
    def make() -> study.Tracked:
        known = study.reference("tiny")
        return study.Tracked(ForwardLookingGFlowNet(known.env, Config.tiny(), seed=0), known)

    whole, first = make(), make()
    for tracked in (whole, first):
        tracked.update()
        tracked.assess(1, 16, generator(0, "first look"))
    save_state(tmp_path / "state", first.state_dict())
    resumed = make()
    resumed.load_state_dict(load_state(tmp_path / "state"))
    whole.update()
    resumed.update()
    points = [tracked.assess(2, 16, generator(0, "second look")) for tracked in (whole, resumed)]
    assert points[0] == points[1]
    assert whole.history == resumed.history
    assert torch.equal(whole.best, resumed.best)
    with pytest.raises(CorruptFileError, match="parts"):
        resumed.load_state_dict({"learner": {}})


def test_assessment_leaves_training_alone() -> None:
    known = study.reference("tiny")
    looked, blind = (ForwardLookingGFlowNet(known.env, Config.tiny(), seed=0) for _ in range(2))
    for _ in range(3):
        assert looked.update() == blind.update()
        Sampler(looked).evaluate(8, generator=generator(0, "look"))


def _cells(values: dict[tuple[str, str, int], dict[str, float]]) -> Cells:
    def nothing(*_: object) -> Any:
        raise KeyError

    metrics = {Cell(arm, setting, seed): found for (arm, setting, seed), found in values.items()}
    return Cells(metrics, samples=nothing, curves=nothing)


def _claim(name: str) -> Any:
    return next(claim for claim in study.CLAIMS if claim.id == name)


def test_effects_are_paired_by_seed_and_setting() -> None:
    cells = _cells(
        {
            ("db", "set-small", 0): {"gap_mean": 4.0},
            ("fl-db", "set-small", 0): {"gap_mean": 1.0},
            ("db", "set-large", 0): {"gap_mean": 8.0},
            ("fl-db", "set-large", 0): {"gap_mean": 1.0},
            ("db", "set-large", 1): {"gap_mean": 8.0},  # its partner is not there yet
        }
    )
    assert _claim("C1a").statistic(cells) == {"set-small/seed 0": 2.0, "set-large/seed 0": 3.0}
    assert _claim("C1f").statistic(cells) == {"seed 0": 1.0}


def test_gaps_below_the_noise_count_as_a_thousandth_of_a_nat() -> None:
    cells = _cells(
        {
            ("db-complete", "truncated-half", 0): {"elbo_gap": 0.002},
            ("fl-db", "truncated-half", 0): {"elbo_gap": -0.01},
        }
    )
    assert _claim("C2a").statistic(cells) == {"truncated-half/seed 0": pytest.approx(1.0)}


def test_all_arms_of_a_comparison_get_the_same_budget() -> None:
    for setting in study.SETTINGS:
        if "budget" in setting.parameters:
            assert set(setting.parameters["budget"]) == {"smoke", "laptop", "paper"}
    common = [s for s in study.SETTINGS if s.part == "common exploration"]
    assert common
    assert all(len(set(setting.parameters["epsilon"].values())) == 1 for setting in common)


def test_truncated_settings_cut_as_often_as_they_say() -> None:
    shares = {s.name: s.parameters["truncate"] for s in study.SETTINGS if s.part == "truncation"}
    assert set(shares.values()) == {0.5, 0.9}
    run = FakeRun()
    study.measure("tb", _setting("truncated-half"), 0, "smoke", run)
    assert run.work["energy_evaluations"] < run.work["trajectories"]
