"""The study of cities-to-series: declarations, its smallest cells, and what its claims do with numbers."""

import math

import numpy as np
import pytest

from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells, load_study
from livepapers.studies import cities_to_series as module
from livepapers.studies.cities_to_series import instances
from livepapers.studies.cities_to_series.design import ANGLES, COUNTS, CUMULATIVE, FACILITIES, REAL, RIVALS, TRAINED
from livepapers.tasks.street_graph import street_grid
from studies.fake_run import PreparedRun


@pytest.fixture(scope="module")
def study():
    return load_study("cities-to-series")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


def cell(arm, setting, root, study, seed=0):
    run = PreparedRun(root, module.PREPARE, "smoke")
    return module.measure(arm, study.settings[setting], seed, "smoke", run), run


@pytest.mark.parametrize("arm", ["regenn", "without evolution", "plain lstm", "leaky regenn", "ridge", "leaky drift"])
def test_forecasters_measure_finite_numbers(arm, root, study):
    found, run = cell(arm, "coupled", root, study)
    assert all(math.isfinite(value) for value in found.values())
    assert {"mae", "rmse", "msle", "dev_mae"} <= set(found)
    assert ("theta_change" in found) == ("theta" in run.kept) == (arm in {"regenn", "leaky regenn"})
    assert ("network" in run.artifacts) == (arm in {"regenn", "without evolution", "leaky regenn"})


@pytest.mark.parametrize(
    "arm", ["relocation", "vertex substitution", "greedy medians", "central places", "as they stand"]
)
def test_placements_measure_finite_numbers(arm, root, study):
    found, _ = cell(arm, "grid", root, study)
    assert all(math.isfinite(value) for value in found.values())
    assert 0 <= found["share"] <= 1
    assert found == cell(arm, "grid", root, study)[0]


def test_all_placements_start_from_the_same_corners_which_seeds_change(root, study):
    first, second = (cell("as they stand", "grid", root, study, seed)[0] for seed in (0, 1))
    assert first != second


def test_own_places_are_weighed_and_ranked(tmp_path, study):
    graph = street_grid(np.random.default_rng(0), 6, 6)
    folder = tmp_path / "network-tempe"
    folder.mkdir()
    instances._save(folder, graph, {"schools": np.array([0, 9, 20]), "crimes": np.arange(float(graph.nodes))})
    found, _ = cell("relocation", "tempe-schools", tmp_path, study)
    assert 0 <= found["weighted_share_by_weight"] <= 1
    ranks, _ = cell("influence", "tempe-schools", tmp_path, study)
    assert all(-1 <= ranks[f"removal_and_{name}"] <= 1 for name in ("betweenness", "closeness", "straightness"))


def test_the_dual_graph_of_manhattan_is_counted_at_all_angles(root, study):
    found, _ = cell("dual", "dual-manhattan", root, study)
    assert found["segments"] == 73
    assert found["hicn_120"] >= found["icn_120"]
    assert found["icn_length_error"] < 1e-12


def invented(sign: float) -> Cells:
    """Every cell measured, each effect clearly on the claimed side (1) or on the other (-1)."""
    metrics: dict[Cell, dict[str, float]] = {}
    rng = np.random.default_rng(0)
    for setting in COUNTS:
        for seed in range(3):
            noise = 1 + 0.01 * rng.random()
            for arm in TRAINED:
                metrics[Cell(arm, setting, seed)] = {"mae": 10 * noise, "theta_change": 0.1 + sign * 0.05}
            metrics[Cell("regenn", setting, seed)]["mae"] = 10 * noise * 0.5**sign
        for arm in RIVALS:
            metrics[Cell(arm, setting, 0)] = {"mae": 10.0}
    for setting in CUMULATIVE:
        for seed in range(3):
            metrics[Cell("regenn", setting, seed)] = {"mae": 10.0 * (1 + 0.01 * rng.random())}
            metrics[Cell("leaky regenn", setting, seed)] = {"mae": 10.0 * 0.2**sign}
        metrics[Cell("drift", setting, 0)] = {"mae": 10.0}
        metrics[Cell("leaky drift", setting, 0)] = {"mae": 10.0 * 0.2**sign}
    for setting in FACILITIES:
        for seed in range(6):
            noise = 0.001 * rng.random()
            shares = {"as they stand": 0.1, "relocation": 0.01 if sign > 0 else 0.2, "vertex substitution": 0.06}
            for arm, share in shares.items():
                way = 100.0 * (1.0 if arm != "relocation" or sign > 0 else 1.5)
                metrics[Cell(arm, setting, seed)] = {"share": share + noise, "mean_distance": way}
    for name in REAL:
        counts = {f"{kind}_{a}": 20.0 + sign * i for kind in ("icn", "hicn") for i, a in enumerate(ANGLES)}
        metrics[Cell("dual", f"dual-{name}", 0)] = {
            **counts, "segments": 100.0, "icn_length_error": 0.0, "hicn_length_error": 0.0,
        }  # fmt: skip
    theta = rng.random((4, 4))

    def samples(one, name):
        return theta + (0.01 if sign > 0 else 1.0) * np.random.default_rng(one.seed).random((4, 4))

    return Cells(metrics, samples=samples, curves=lambda *_: (np.array([]), np.array([])))


def test_clear_effects_are_reproduced_and_their_opposites_are_not():
    good = {one.claim_id: one.verdict for one in judge(module.CLAIMS, invented(1.0), resamples=200)}
    indicative = {"C5b"}  # four data sets
    assert {name for name, verdict in good.items() if verdict == "reproduced"} == set(good) - indicative - {"C1b"}
    bad = {one.claim_id: one.verdict for one in judge(module.CLAIMS, invented(-1.0), resamples=200)}
    assert {bad[name] for name in ("C1a", "C2", "L1", "L2", "C4b", "C4c", "C4d", "C5a")} == {"contradicted"}


def test_what_was_not_measured_is_left_out():
    empty = Cells({}, samples=lambda *_: np.zeros(0), curves=lambda *_: (np.array([]), np.array([])))
    assert all(not claim.statistic(empty) for claim in module.CLAIMS)


def test_every_trained_arm_is_tuned_over_as_many_settings(study):
    assert {len(instances.grid_of(arm, "laptop")) for arm in TRAINED} == {4}
    for setting in study.settings.values():
        for arm in {*TRAINED, "leaky regenn"} & set(setting.arms):
            assert instances.tuning_name(arm, setting.name) in module.PREPARE
