"""The study of pdppo: equal budgets, statistics that can fail, cells that measure what they say."""

import numpy as np
import pytest
import torch

from livepapers.lab.study import Cell, Cells, Setting
from livepapers.methods import pdppo
from livepapers.papers import catalogue
from livepapers.studies import pdppo as study
from livepapers.studies.pdppo import claims
from livepapers.studies.pdppo.design import PLANTS, SHOWN
from livepapers.tasks import worlds
from studies.fake_run import FakeRun


def setting(name: str) -> Setting:
    return next(one for one in study.SETTINGS if one.name == name)


def measured(arm: str, name: str, seed: int = 0) -> tuple[dict[str, float], FakeRun]:
    run = FakeRun()
    return study.measure(arm, setting(name), seed, "smoke", run), run


@pytest.mark.parametrize("name", ["plant 15x5", "lake"])
@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
def test_trained_arms_differ_in_what_the_design_says_and_in_nothing_else(name: str, preset: str):
    budget = study.BUDGETS[setting(name).parameters["world"], preset]
    plain = study.config_of("pdppo", setting(name), budget).to_json()
    for arm in setting(name).arms:
        if arm in study.LEARNERS:
            config = study.config_of(arm, setting(name), budget).to_json()
            differing = {field for field in plain if config[field] != plain[field]}
            assert differing <= set(study.LEARNERS[arm])


def test_arms_of_one_seed_start_from_equal_weights():
    cells = [study.config_of(arm, setting("plant 6x3"), study.BUDGETS["plant", "smoke"]) for arm in ("pdppo", "ppo")]
    world = study.simulator(6, 3, observe_setup=False)
    learners = [pdppo.PostDecisionPPO(world, config=config, seed=4) for config in cells]
    first, second = (torch.cat([p.flatten() for p in learner.policy.parameters()]) for learner in learners)
    assert torch.equal(first, second)


def test_plant_cells_measure_cost_curve_and_the_bound_below_it():
    policy, run = measured("pdppo", "plant 6x3")
    bound, _ = measured("hindsight bound", "plant 6x3")
    idle, _ = measured("idle", "plant 6x3")
    assert {"cost", "cost_greedy", "cost_early", "setup_cost"} <= policy.keys()
    assert run.work["environment_steps"] == 8 * 25 * 4
    assert [set(metrics) for _, metrics in run.points] == [{"curve", "advantage", "entropy"}] * 4
    assert run.kept["cost"].shape == (8,)
    assert 0 <= bound["cost_early"] <= min(policy["cost_early"], idle["cost_early"])
    assert idle["setup_cost"] == 0
    assert run.artifacts["policy"].made_by["arm"] == "pdppo"
    made = run.artifacts["policy"].spaces["task"]
    assert isinstance(made, dict)
    assert isinstance(made["arguments"], dict)
    again = worlds.make(str(made["name"]), made["arguments"])
    assert again.observation_space == study.simulator(6, 3, observe_setup=False).observation_space


def test_lake_cells_are_exact_shares_of_the_optimum():
    optimum, _ = measured("optimum", "lake", 3)
    floor, _ = measured("uniform", "lake", 3)
    trained, run = measured("ppo released", "lake", 3)
    assert optimum["share"] == 1.0
    assert 0 < floor["share"] < 0.3
    assert 0 < trained["share"] < 1
    assert trained["reward"] == pytest.approx(trained["share"] * optimum["reward"])
    assert len(run.points) == 4
    other, _ = measured("optimum", "lake", 4)
    assert other["reward"] != optimum["reward"]  # each seed has a map of its own


def fake_cells(costs: dict[str, list[float]], curves: dict[str, list[float]] | None = None) -> Cells:
    metrics = {
        Cell(arm, name, seed): {"cost": cost, "cost_greedy": cost, "share": cost / 1000}
        for name in (*PLANTS, "lake")
        for arm, values in costs.items()
        for seed, cost in enumerate(values)
    }

    def curve(cell: Cell, _: str) -> tuple[np.ndarray, np.ndarray]:
        values = np.array((curves or {}).get(cell.arm, [0.0]))
        return np.arange(len(values)), values

    return Cells(metrics, samples=lambda *_: np.zeros(1), curves=curve)


def test_a_quarter_less_cost_is_a_saving_of_25():
    cells = fake_cells({"pdppo": [75.0, 60.0], "ppo": [100.0, 100.0]})
    effects = claims.saving(claims.final_cost, "pdppo", "ppo", ("plant 6x3",))(cells)
    assert effects == {"plant 6x3/seed 0": 25.0, "plant 6x3/seed 1": 40.0}


def test_spread_compares_distances_from_each_arms_own_mean():
    cells = fake_cells({"pdppo": [99.0, 101.0], "ppo": [90.0, 110.0]})
    assert set(claims.spread(cells).values()) == {9.0}
    assert len(claims.spread(cells)) == 2 * len(PLANTS)


def test_a_collapse_is_the_largest_rise_above_the_best_so_far():
    cells = fake_cells({"ppo": [0.0]}, {"ppo": [100.0, 50.0, 80.0, 40.0, 60.0]})
    assert claims.worst_drop(cells, "ppo", "plant 6x3", 0) == pytest.approx(0.6)
    assert claims.best_cost(cells, "ppo", "plant 6x3", 0) == 40.0
    assert claims.mean_curve(cells, "ppo", "plant 6x3", 0) == 66.0


def test_the_faults_part_is_the_released_lead_less_the_fair_one():
    cells = fake_cells({"pdppo": [300.0], "ppo": [200.0], "pdppo released": [280.0], "ppo released": [100.0]})
    assert claims.explained_by_the_fault(cells) == {"seed 0": pytest.approx(8.0)}


def test_an_arm_that_is_no_better_than_chance_makes_a_claim_void():
    check = claims.learned(("plant 6x3",), ("pdppo",))
    assert check(fake_cells({"pdppo": [10.0], "uniform": [20.0]})) is None
    assert "did not learn" in (check(fake_cells({"pdppo": [30.0], "uniform": [20.0]})) or "")


def test_the_largest_saving_is_that_of_one_plant():
    cells = fake_cells({"pdppo": [1.0, 1.0], "ppo": [1.0, 1.0]}, {"pdppo": [60.0], "ppo": [80.0]})
    assert list(claims.largest_saving(cells).values()) == [25.0, 25.0]


def test_a_plant_chosen_by_chance_shows_no_saving():
    """Savings that are pure noise, plants by seeds: the best plant of ten seeds would show +2 % by its choice alone."""
    found = []
    for draw in range(200):
        saved = dict(zip(PLANTS, np.random.default_rng(draw).normal(0.0, 10.0, (len(PLANTS), 10)), strict=True))
        arms = {"pdppo": lambda cell, s=saved: 100.0 - s[cell.setting][cell.seed], "ppo": lambda _: 100.0}
        metrics = {Cell(arm, name, seed): {"cost": 0.0} for arm in arms for name in PLANTS for seed in range(10)}
        cells = Cells(
            metrics,
            samples=lambda *_: np.zeros(1),
            curves=lambda cell, _, a=arms: (np.zeros(1), np.array([a[cell.arm](cell)])),
        )
        found.append(np.mean(list(claims.largest_saving(cells).values())))
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_the_rule_s_handicap_is_told_and_the_figures_beside_it_are_the_committed_ones():
    results = catalogue.results("pdppo")
    assert results is not None
    shown = next(one for one in results["current"]["settings"] if one["name"] == SHOWN)
    cost = {arm["arm"]: arm["metrics"] for arm in shown["arms"]}
    told = next(text for text in study.DEVIATIONS if text.startswith("Q7"))
    figures = [cost[arm][name]["mean"] for arm in ("ppo", "pdppo") for name in ("cost", "cost_greedy")]
    for figure in (*figures, cost["look-ahead rule"]["cost"]["mean"]):
        assert f"{figure:,.0f}" in told
    claim = next(one for one in study.CLAIMS if one.id == "Q7")
    assert "set-ups, which the agents of these plants are not shown" in claim.scale
    for name in claim.settings:
        assert not setting(name).parameters["observe_setup"]


def test_an_identity_is_called_one_and_nothing_untested_is_promised_of_the_sum():
    claim = next(one for one in study.CLAIMS if one.id == "Q4")
    assert "an identity" in claim.statement
    assert "cannot fail" in claim.margin_why
    assert not [one.id for one in study.CLAIMS if "unbiased" in one.statement or "sum is not" in one.statement]
