"""The study of drl-diagnosis: cells, statistics, preconditions."""

import functools
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from livepapers.core.config import replace
from livepapers.core.errors import Diverged
from livepapers.lab.claims import LEVEL, judge
from livepapers.lab.statistics import holm, smallest_p
from livepapers.lab.study import Cell, Cells, load_study
from livepapers.lab.tuning import FILE, combinations, pilots, try_all
from livepapers.methods.drl_diagnosis import ALL_CHANGES, Config
from livepapers.studies import drl_diagnosis as study
from livepapers.studies.drl_diagnosis import agents, claims, design, measuring, tuning
from studies.fake_run import PreparedRun

PILOTS = pilots(design.PILOTS["smoke"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agents")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest settings whatever the preset is called."""

    def small(preset: str, *, arm: str, weight: float | None = None) -> Config:
        del preset
        config = replace(Config.tiny(), regime=agents.REGIMES.get(arm, "plain"), horizon=6)
        return config if weight is None else replace(config, weight=weight)

    for module in (agents, measuring, tuning):
        monkeypatch.setattr(module, "settings", small)
    monkeypatch.setitem(agents.HORIZON, "smoke", 20)


@pytest.mark.parametrize(
    ("arm", "setting"),
    [
        ("plain", "breakout"),
        ("robust", "space invaders"),
        ("gradient", "breakout, gradient"),
        ("untrained", "breakout"),
    ],
)
def test_every_arm_measures_finite_numbers(arm: str, setting: str, root: Path):
    run, chosen = PreparedRun(root, study.PREPARE, "smoke"), load_study("drl-diagnosis").settings[setting]
    found = study.measure(arm, chosen, 0, "smoke", run)
    assert all(math.isfinite(value) for value in found.values())
    changes = ALL_CHANGES if arm == "plain" else design.FEW_CHANGES
    assert {name for name in found if name.startswith("quotient_")} == {
        f"quotient_{name}" for name in ("independent-run", *changes)
    }
    assert 0.0 <= found["certified"] <= 1.0
    assert run.kept["direction"].shape == (6 if setting == "space invaders" else 4, 10, 10)
    world = chosen.parameters["world"]
    asked = {tuning.part_name(world, kappa, pilot) for kappa in design.KAPPAS["smoke"] for pilot in PILOTS}
    assert set(run.asked) == (asked if arm in ("robust", "gradient") else set())
    assert ("kappa" in found) == bool(run.asked)
    assert ("agent" in run.artifacts) == (arm != "untrained")
    if arm != "untrained":
        assert run.artifacts["agent"].spaces["task"] == {"name": world, "arguments": {"horizon": 20}}
        assert run.points[-1][1].keys() == {"score"}
        assert run.work["gradient_steps"] > 0


@pytest.mark.parametrize("others_agree", [True, False])
def test_the_laptop_plan_can_decide_every_claim(others_agree: bool):
    planned = load_study("drl-diagnosis").pairs("laptop")
    assert planned == dict.fromkeys(planned, 10)
    least = {name: smallest_p(pairs) for name, pairs in planned.items()}
    for name in planned:
        p_values = least if others_agree else {**dict.fromkeys(planned, 1.0), name: least[name]}
        assert dict(zip(p_values, holm([*p_values.values()]), strict=True))[name] <= LEVEL


def test_the_agent_has_the_kappa_of_the_best_trials_of_its_own_game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tried = []

    def try_kappa(folder: Path, preset: str, *, world: str, kappa: float, pilot: int) -> None:
        assert preset == "smoke"
        tried.append((world, kappa, pilot))
        best = {"minatar-breakout": 0.01, "minatar-space-invaders": 0.002}[world]
        (folder / FILE).write_text(json.dumps({"score": 0.0 if kappa == best else None}))

    parts = {name: functools.partial(try_kappa, **part.keywords) for name, part in study.PREPARE.items()}  # type: ignore[attr-defined]
    settings = load_study("drl-diagnosis").settings
    for setting, kappa in (("breakout", 0.01), ("space invaders", 0.002)):
        for seed in (0, 1):
            run = PreparedRun(tmp_path, parts, "smoke")
            found = study.measure("robust", settings[setting], seed, "smoke", run)
            config: Any = run.artifacts["agent"].made_by["config"]
            assert found["kappa"] == config["weight"] == kappa
            assert found[f"trials_{kappa:g}"] == 0.0
            assert f"trials_{0.012 - kappa:g}" not in found
    assert sorted(tried) == sorted(itertools.product(design.WORLDS, design.KAPPAS["smoke"], PILOTS))


def test_the_table_of_edges_says_what_counts_as_one():
    (told,) = (table.about for table in study.TABLES if table.metric == "kappa_at_edge")
    assert "of three or more" in told
    for count, edges in ((2, {}), (3, {"weight": "least"})):
        points = combinations({"weight": range(count)})
        assert try_all(points, (0,), lambda point, _: -point["weight"])["edges"] == edges


def test_a_trial_trains_what_it_is_called_and_is_worth_the_lesser_of_play_and_play_under_attack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = []
    real = tuning.learner

    def learner(config: Config, world: str, preset: str, seed: int) -> Any:
        made.append((config.regime, config.weight, world, seed))
        return real(config, world, preset, seed)

    monkeypatch.setattr(tuning, "learner", learner)
    for worse in (True, False):
        monkeypatch.setattr(
            tuning, "mean_return", lambda *_, attacked, worse=worse, **__: 3.0 if attacked == worse else 7.0
        )
        study.PREPARE[tuning.part_name("minatar-breakout", 0.01, PILOTS[0])](tmp_path, "smoke")
        assert json.loads((tmp_path / FILE).read_text()) == {"score": 3.0}
    assert made == 2 * [("interval", 0.01, "minatar-breakout", PILOTS[0])]


def test_what_diverges_has_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def drive(*_: Any, **__: Any) -> None:
        raise Diverged("loss is nan")

    monkeypatch.setattr(tuning.loop, "drive", drive)
    study.PREPARE[tuning.part_name("minatar-breakout", 0.01, PILOTS[0])](tmp_path, "smoke")
    assert json.loads((tmp_path / FILE).read_text()) == {"score": None}


def test_no_cell_has_the_seed_of_a_trial():
    assert max(max(setting.seeds.values()) for setting in study.SETTINGS) < min(PILOTS)


def test_regimes_of_a_seed_begin_with_the_same_weights():
    first, second = (
        agents.learner(agents.settings("smoke", arm=arm), "minatar-breakout", "smoke", 3).trained.state_dict()
        for arm in ("plain", "robust")
    )
    other = agents.untrained(agents.settings("smoke", arm="untrained"), "minatar-breakout", "smoke", 3).network
    assert isinstance(other, torch.nn.Module)
    for name, value in other.state_dict().items():
        assert torch.equal(value, first[name])
        assert torch.equal(value, second[name])


def _cells(plain: dict[str, float], robust: dict[str, float], seeds: int = 6) -> Cells:
    common = {"score": 10.0, "random_score": 0.5, "blind_score": 1.0, "kept": 0.3, "mean_quotient": 0.6,
              "participation": 40.0, "variation": 1.0, "entropy": 0.8, "quotient_independent-run": 0.9}  # fmt: skip
    common |= {f"quotient_{name}": 0.5 for name in ALL_CHANGES}
    metrics = {
        Cell(arm, setting, seed): {**common, **own}
        for arm, own in (("plain", plain), ("robust", {"kept": 0.95, **robust}))
        for setting in claims.GAMES
        for seed in range(seeds)
    }
    axes = {"plain": 0, "robust": 1}

    def samples(cell: Cell, name: str) -> np.ndarray:
        assert name == "direction"
        made = np.zeros((4, 10, 10))
        made[axes[cell.arm]] = np.eye(10)
        return made

    return Cells(metrics, samples=samples, curves=lambda *_: (np.array([]), np.array([])))


def test_statistics_say_what_their_claims_say():
    by_id = {claim.id: claim for claim in claims.CLAIMS}
    cells = _cells({"quotient_nesterov": 0.7, "quotient_carlini-wagner": 0.1},
                   {"participation": 20.0, "variation": 2.0, "entropy": 0.9})  # fmt: skip
    expected = {
        "C1": 0.9 - 0.7, "C2": (0.7 + 0.1 + 1.0) / 4 - 0.5, "C3a": 0.5 - 0.1, "C3b": 0.7 - 0.5,
        "C4a": -math.log(2.0), "C4b": 0.0, "C4c": 1.0, "C5": math.log(2.0), "C6": 0.1, "C7": 0.4,
    }  # fmt: skip
    for name, value in expected.items():
        effects = by_id[name].statistic(cells)
        assert len(effects) == 12
        assert effects["space invaders/seed 3"] == pytest.approx(value), name


def test_agents_that_did_not_learn_or_are_not_robust_make_the_verdict_void():
    def verdicts(plain: dict[str, float], robust: dict[str, float]) -> dict[str, tuple[str, str]]:
        found = judge(claims.CLAIMS, _cells(plain, robust), resamples=50)
        return {each.claim_id: (each.verdict, each.reason) for each in found}

    good = verdicts({}, {"variation": 2.0})
    assert good["C1"][0] == "reproduced"
    assert good["C5"][0] == "reproduced"
    assert good["C8"][0] == "not tested here"
    fragile = verdicts({}, {"kept": 0.5, "variation": 2.0})
    assert fragile["C1"][0] == "reproduced"  # it needs no robust agent
    assert fragile["C5"][0] == "void"
    assert "are not robust" in fragile["C5"][1]
    lazy = verdicts({"score": 1.0}, {})
    assert lazy["C1"][0] == lazy["C6"][0] == "void"
    assert "did not learn" in lazy["C1"][1]
    blind = verdicts({}, {"blind_score": 9.0, "kept": 1.0})
    assert blind["C1"][0] == "reproduced"
    assert blind["C4a"][0] == "void"  # who does one thing whatever is seen is robust, and no policy to diagnose
    assert "best single action 9" in blind["C4a"][1]


def test_the_policy_that_looks_at_nothing_repeats_its_action():
    assert agents.always(2).act(torch.rand(3, 4, 10, 10), None).tolist() == [2, 2, 2]


def test_a_part_of_the_cells_is_enough_for_a_part_of_the_effects():
    empty = Cells({}, samples=lambda *_: np.zeros(1), curves=lambda *_: (np.zeros(0), np.zeros(0)))
    assert all(claim.statistic(empty) == {} for claim in claims.CLAIMS)
    assert _beyond(_cells({}, {}, seeds=1)) == {}


def _beyond(cells: Cells) -> dict[str, float]:
    return dict(next(claim for claim in claims.CLAIMS if claim.id == "C4c").statistic(cells))
