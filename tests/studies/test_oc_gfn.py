"""The study of oc-gfn: worlds, tasks, declarations, and every smoke cell."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from livepapers.core.errors import CorruptFileError
from livepapers.core.rng import generator
from livepapers.lab.study import Cell, Cells, Setting
from livepapers.methods.oc_gfn import Config, OutcomeConditionedGFlowNet
from livepapers.papers import catalogue
from livepapers.studies import oc_gfn as study
from studies.fake_run import FakeRun, PreparedRun


def _setting(name: str) -> Setting:
    return next(setting for setting in study.SETTINGS if setting.name == name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prepared")


QUICK = [(s.name, arm) for s in study.SETTINGS if "smoke" in s.seeds and s.name != "rna-1" for arm in s.arms]
# one arm of each kind: the others differ in what the 16 x 16 grid shows, too, and each looks at 65,536 strings
RNA = [("rna-1", arm) for arm in ("convert-exact", "convert-mc", "amortised", "scratch-db", "metropolis", "dqn")]


def _measured(setting: str, arm: str, folder: Path) -> tuple[dict[str, float], FakeRun]:
    run = PreparedRun(folder, study.PREPARE, "smoke")
    found = study.measure(arm, _setting(setting), 0, "smoke", run)
    assert found
    assert all(math.isfinite(value) for value in found.values())
    return found, run


@pytest.mark.parametrize(("setting", "arm"), QUICK)
def test_every_smoke_cell_measures_finite_numbers(setting: str, arm: str, folder: Path) -> None:
    found, run = _measured(setting, arm, folder)
    if _setting(setting).part == "adaptation":
        assert {"modes", "top100", "modes_total", "top100_total"} <= found.keys()
    if setting == "grid-8" and arm in study.CHANGES:
        assert {"success", "success_mean", "log_f0_error", "tv", "tv_unmasked", "path_share"} <= found.keys()
        assert run.work["environment_steps"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "arm"), RNA)
def test_every_smoke_cell_of_rna_measures_finite_numbers(setting: str, arm: str, folder: Path) -> None:
    pytest.importorskip("RNA")
    _measured(setting, arm, folder)


def test_identities_hold_to_rounding() -> None:
    found = study.identity_errors("grid-8")
    assert set(found) == {"tv", "wrong_flow_error"}
    assert max(found.values()) < 1e-12


def test_a_task_knows_its_target_and_its_modes() -> None:
    task = study.make_task("hypergrid", "grid-8", study.grid_rewards(8, "hypergrid"))
    assert len(task.modes) == 4
    ends = task.graph.states[task.graph.may_end]
    torch.testing.assert_close(task.env.log_reward(ends) - task.log_reward, -task.log_reward[0].expand(64))
    assert float(task.target.sum()) == pytest.approx(1.0)
    assert torch.equal(task.place(ends), torch.arange(64))
    full = torch.zeros(len(task.graph.states), dtype=torch.float64)
    full[task.graph.may_end] = task.target
    assert task.distance(full) == pytest.approx(0.0, abs=1e-15)


def test_modes_among_samples_are_counted_and_the_best_hundred_compared() -> None:
    task = study.make_task("hypergrid", "grid-16", study.grid_rewards(16, "hypergrid"))
    ends = task.graph.states[task.graph.may_end]
    everything = study.found_modes(task, ends)
    assert everything == {"modes": float(len(task.modes)), "top100": pytest.approx(1.0)}
    half = study.found_modes(task, ends[task.modes[:2]])
    assert half["modes"] == 2.0
    assert half["top100"] < 0.5


def test_random_rewards_differ_and_come_again_under_a_seed() -> None:
    first, again, other = (study.random_rewards(8, 3, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_epsilon_leaves_at_least_99_per_cent_where_it_stands_on_the_last_edge() -> None:
    for name, outcomes in (("grid-8", 64), ("grid-16", 256), ("bits-16", 65_536), ("bits-24", 16_777_216)):
        config = study.config_of(name, "laptop", teleport=False)
        assert config.failure_reward * outcomes <= 0.0100001
        assert study.config_of(name, "laptop", teleport=True).failure_reward == 1e-4


def test_all_arms_of_a_pre_training_have_the_same_budget_and_network() -> None:
    free = {"teleport", "failure_reward", "positives", "negatives", "explorer"}
    for changes in study.CHANGES.values():
        assert changes.keys() <= free


def test_paths_of_an_untrained_model_count_only_where_they_end_well() -> None:
    model = OutcomeConditionedGFlowNet(study.world("grid-8"), Config.tiny(), seed=0)
    share = study.path_share(model, torch.tensor([[0, 0], [7, 7]]), generator(0, "paths"))
    assert 0.0 <= share <= 1.5


def test_the_tracked_state_comes_back_and_other_states_are_refused() -> None:
    def made() -> study.Tracked:
        model = OutcomeConditionedGFlowNet(study.world("grid-8"), Config.tiny(), seed=0)
        return study.Tracked(model, lambda: {"step of the model": float(model.step)}, every=2)

    first, second = made(), made()
    for step in range(1, 5):
        first.update()
        first.look(step)
    second.load_state_dict(first.state_dict())
    assert second.seen == first.seen == {"step": [2.0, 4.0], "step of the model": [2.0, 4.0]}
    assert first.at(3) == {"step of the model": 2.0}
    with pytest.raises(CorruptFileError, match="tracked"):
        second.load_state_dict({"learner": {}})


# ---- claims ----


def _cells(values: dict[tuple[str, str, int], dict[str, float]]) -> Cells:
    def absent(cell: Cell, name: str) -> np.ndarray:
        raise KeyError(name)

    return Cells(
        {Cell(*key): metrics for key, metrics in values.items()},
        samples=absent,
        curves=lambda cell, name: (absent(cell, name), absent(cell, name)),
    )


def _claim(name: str):
    return next(claim for claim in study.CLAIMS if claim.id == name)


def test_success_is_that_of_the_variant_that_adaptations_start_from() -> None:
    cells = _cells(
        {
            ("teleport", "bits-16", 0): {"success": 0.9},
            ("last-edge", "bits-16", 0): {"success": 0.2},
            ("positives", "bits-16", 0): {"success": 0.1},
            ("last-edge", "grid-8", 1): {"success": 0.8},
        }
    )
    assert _claim("C1").statistic(cells) == {"grid-8/seed 1": 0.8, "bits-16/seed 0": 0.9}
    assert _claim("C2b").statistic(cells) == {"bits-16/seed 0": pytest.approx(0.8)}


def test_costs_are_compared_in_doublings() -> None:
    cells = _cells(
        {
            ("scratch-db", "many-rewards", 0): {"trajectories": 800.0},
            ("convert-exact", "many-rewards", 0): {"trajectories": 200.0},
        }
    )
    assert _claim("Q3").statistic(cells) == {"seed 0": 2.0}


def test_equal_total_steps_take_the_later_measurement_of_the_rival() -> None:
    cells = _cells(
        {
            ("scratch-db", "rna-1", 0): {"tv": 0.5, "tv_total": 0.2},
            ("amortised", "rna-1", 0): {"tv": 0.1, "tv_total": 0.1},
        }
    )
    assert _claim("Q1").statistic(cells) == {"rna-1/seed 0": pytest.approx(0.1)}


# ---- what the texts say of the committed results ----


def _committed(metric: str, arm: str, setting: str) -> list[float]:
    results = catalogue.results("oc-gfn")
    assert results is not None
    arms = next(one["arms"] for one in results["current"]["settings"] if one["name"] == setting)
    return list(next(one["metrics"][metric]["values"] for one in arms if one["arm"] == arm).values())


def test_the_deviations_tell_the_figures_of_the_rivals_that_no_claim_faces() -> None:
    def ahead(metric: str, other: str) -> float:
        ours, theirs = (
            np.concatenate([_committed(metric, arm, rna) for rna in study.TARGETS]) for arm in ("amortised", other)
        )
        assert len(ours) == len(theirs) == 12
        return float((ours - theirs).mean())

    text = next(text for text in study.DEVIATIONS if "scratch-tb" in text)
    assert f"{ahead('modes', 'scratch-tb'):.2f} more modes" in text
    assert f"{ahead('top100', 'scratch-tb'):.3f} more of the top-100" in text
    assert f"{ahead('modes', 'scratch-db'):.2f} and {ahead('top100', 'scratch-db'):.3f} for detailed" in text
    assert f"{-ahead('modes', 'goal-conditioned'):.2f} more modes than the amortised" in text


def test_the_threshold_of_the_distance_tells_what_uniform_moves_measured() -> None:
    claims = [claim for claim in study.CLAIMS if claim.id in ("C3a", "C3b")]
    distances = [value for setting in claims[0].settings for value in _committed("tv", "uniform", setting)]
    for claim in claims:
        assert f"{min(distances):.2f} to {max(distances):.2f}" in claim.margin_why
