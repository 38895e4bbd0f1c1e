"""The study of yann-rl: cells, tuning, statistics and declarations."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from livepapers.lab.study import Cell, Cells, load_study
from livepapers.lab.tuning import FILE, keep_score
from livepapers.studies import yann_rl as study
from livepapers.studies.yann_rl import claims, tuning
from livepapers.studies.yann_rl.instances import world
from livepapers.tasks import worlds
from studies.fake_run import FakeRun


def run_in(folder: Path) -> FakeRun:
    """A run whose trials all scored the same: the first of them is chosen."""
    keep_score(folder, -1.0)
    return FakeRun(folder)


class Measured:
    """Smoke cells of the reactor, seed 0, each measured once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[str, tuple[dict[str, float], FakeRun]] = {}

    def __call__(self, arm: str) -> tuple[dict[str, float], FakeRun]:
        if arm not in self.kept:
            run = run_in(self.folder)
            self.kept[arm] = study.measure(arm, load_study("yann-rl").settings["reactor"], 0, "smoke", run), run
        return self.kept[arm]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return Measured(tmp_path_factory.mktemp("yann"))


@pytest.mark.parametrize("arm", study.TRAINED)
def test_every_trained_arm_reports_before_and_after_and_its_violations(arm: str, measured: Measured):
    found, run = measured(arm)
    assert {"cost_before", "cost_after", "violations_training", "worst_change_percent"} <= found.keys()
    assert all(math.isfinite(value) for value in found.values())
    assert run.kept["cost_before"].shape == run.kept["cost_after"].shape == (10,)
    assert found["cost_before"] == pytest.approx(run.kept["cost_before"].mean(), rel=1e-6)
    assert run.work["environment_steps"] == 10 * 20
    assert len(run.points) == 11
    kept = run.artifacts["controller"]
    assert kept.made_by == {"arm": arm}
    task = kept.spaces["task"]
    assert isinstance(task, dict)
    assert worlds.make(str(task["name"]), {}).observation_space.shape == (2,)


def test_arms_of_a_seed_share_their_exact_start_and_plain_arms_do_not_have_it(measured: Measured):
    costs = {arm: measured(arm)[0]["cost_before"] for arm in ("yann", "yann-noise", "yann-random-critic", "ddpg")}
    assert costs["yann"] == costs["yann-noise"] == costs["yann-random-critic"]
    assert costs["ddpg"] > 2.0 * costs["yann"]


def test_the_untrained_yann_costs_what_the_linear_mpc_costs(measured: Measured):
    (trained, _), (by_program, _) = measured("yann"), measured("linear-mpc")
    assert trained["cost_before"] == pytest.approx(by_program["cost_after"], rel=1e-4)


def test_exactness_and_sizes_are_measured(tmp_path: Path):
    found = study.measure(
        "exact-network", load_study("yann-rl").settings["exact-pendulum"], 0, "smoke", run_in(tmp_path)
    )
    assert found["worst"] < 1e-9
    assert found["disagreements"] == 0.0
    assert found["plain_parameters"] == 67_073.0  # the paper's count of a 256-256 actor that sees cosine and sine
    assert found["regions"] == 9.0


def test_times_are_taken_in_turns(tmp_path: Path):
    found = study.measure("timed", load_study("yann-rl").settings["timing-small"], 0, "smoke", run_in(tmp_path))
    assert found["speedup"] == pytest.approx(found["location_microseconds"] / found["network_microseconds"], rel=1e-6)
    assert 0 < found["batch_microseconds"] < found["network_microseconds"]


def test_both_methods_try_the_same_rates_judged_by_cost(tmp_path: Path):
    names = {arm: [name for name in study.PREPARE if name.startswith(f"trial-{arm}-")] for arm in tuning.TUNED}
    assert [name.replace("yann", "ddpg", 1) for name in names["yann"]] == names["ddpg"]
    assert len(names["ddpg"]) == len(tuning.POINTS) * len(tuning.PLANTS) == 16
    for arm in tuning.TUNED:
        study.PREPARE[tuning.part_name(arm, "reactor", tuning.POINTS[0])](tmp_path, "smoke")
        assert json.loads((tmp_path / FILE).read_text())["score"] < 0.0


def test_a_cell_learns_with_the_rates_that_trials_chose_and_ablations_with_those_of_yann(tmp_path: Path):
    one, two = tuning.POINTS[:2]
    scores = {tuning.part_name("yann", "reactor", one): -5.0, tuning.part_name("yann", "reactor", two): -3.0}

    class Tried(FakeRun):
        def prepared(self, name: str) -> Path:
            (tmp_path / name).mkdir(exist_ok=True)
            keep_score(tmp_path / name, scores[name])
            return tmp_path / name

    for arm in ("yann", "cloned"):
        found = study.measure(arm, load_study("yann-rl").settings["reactor"], 0, "smoke", Tried())
        assert {name: found[name] for name in two} == two


def test_the_budget_is_the_papers_fifty_episodes():
    for name in ("pendulum", "reactor"):
        here = world(name)
        assert here.config().updates * here.config().steps == 50 * here.plant.horizon


def _cells(
    values: dict[tuple[str, str], list[dict[str, float]]], samples: dict[str, np.ndarray] | None = None
) -> Cells:
    metrics = {
        Cell(arm, setting, seed): found for (arm, setting), rows in values.items() for seed, found in enumerate(rows)
    }
    kept = samples or {}
    return Cells(
        metrics, samples=lambda cell, name: kept[f"{cell.arm}/{name}"], curves=lambda *_: (np.array([]), np.array([]))
    )


def test_statistics_say_what_their_claims_say():
    by_id = {claim.id: claim for claim in claims.CLAIMS}
    cells = _cells(
        {
            ("yann", "pendulum"): [{"cost_before": 20.0, "cost_after": 10.0, "change_percent": -50.0}],
            ("ddpg", "pendulum"): [{"cost_before": 160.0, "cost_after": 40.0}],
            ("ddpg", "reactor"): [{"violations_training": 3.0}, {"violations_training": 0.0}],
        },
        {"yann/cost_before": np.array([1.0, 5.0, 2.0]), "ddpg/cost_after": np.array([2.0, 4.0, 3.0])},
    )
    assert by_id["C2a"].statistic(cells) == {"seed 0": pytest.approx(3.0)}
    assert by_id["C2d"].statistic(cells) == {"seed 0": pytest.approx(-2.0)}
    assert by_id["C2e"].statistic(cells) == {"seed 0": -50.0}
    assert by_id["C2f"].statistic(cells) == {"seed 0": 2.0}
    assert by_id["C3b"].statistic(cells) == {"seed 0": 1.0, "seed 1": 0.0}
    precondition = by_id["C2d"].precondition
    assert precondition is not None
    assert precondition(cells) is None
    lazy = _cells({("ddpg", "pendulum"): [{"cost_before": 50.0, "cost_after": 40.0}]})
    assert "did not learn" in str(precondition(lazy))


def test_sizes_are_compared_with_the_plain_actor():
    by_id = {claim.id: claim for claim in claims.CLAIMS}
    rows = {
        ("exact-network", name): [{"parameters": 10.0, "plain_parameters": 40.0, "worst": 1e-13}]
        for name in claims.EXACT
    }
    cells = _cells(rows)
    assert set(by_id["C4"].statistic(cells).values()) == {0.25}
    assert set(by_id["C1"].statistic(cells)) == set(claims.EXACT)
