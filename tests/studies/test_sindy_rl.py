"""The study of sindy-rl: cells, trials, statistics and declarations."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from livepapers.core.errors import CorruptFileError
from livepapers.lab.claims import LEVEL, judge
from livepapers.lab.statistics import holm, smallest_p
from livepapers.lab.study import Cell, Cells, Setting, load_study
from livepapers.methods.sindy_rl import Config, Known, SindyRL, Transitions
from livepapers.methods.sindy_rl.library import Library
from livepapers.papers import catalogue
from livepapers.studies import sindy_rl as study
from livepapers.studies.sindy_rl import measuring
from livepapers.studies.sindy_rl.instances import PPO_LANES, Trial, real_ppo, swing_up_learner
from livepapers.studies.sindy_rl.measuring import mean_change, real_budget, spread_correlation
from livepapers.tasks import swing_up
from livepapers.tasks.pendulum_swing_up import PendulumSwingUp
from livepapers.tasks.vector import SimulatorTask
from studies.fake_run import FakeRun

pytest.importorskip("mujoco")


def _setting(name: str) -> Setting:
    return next(setting for setting in study.SETTINGS if setting.name == name)


@pytest.mark.parametrize(("setting", "arm"), [(s.name, arm) for s in study.SETTINGS for arm in s.arms])
def test_every_smoke_cell_measures_finite_numbers(setting: str, arm: str) -> None:
    run = FakeRun()
    found = study.measure(arm, _setting(setting), 0, "smoke", run)
    assert all(math.isfinite(value) for value in found.values())
    if setting != "cost" and arm != "random":
        assert "policy" in run.artifacts
        assert isinstance(run.artifacts["policy"].spaces["task"], dict)
        assert found["steps_to_target"] > 0
        assert run.points[-1][1]["real_steps"] == found["real_steps"]
    assert ("dictionary" in run.artifacts) == ((setting, arm) == ("swing-up", "sindy"))


class Counting(nn.Module):
    """Its action is its number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        return torch.full((len(observation), 1), self.number)


def small_trial(due: Any) -> tuple[Trial, SindyRL]:
    learner = SindyRL(SimulatorTask(PendulumSwingUp(), 2), config=Config.tiny(), seed=0, known=Known(circles=((0, 1),)))
    trial = Trial(
        learner, policy=lambda: Counting(0.0), steps=lambda: learner.real_steps, due=due,
        world=lambda lanes: SimulatorTask(PendulumSwingUp(), lanes), seed=1,
    )  # fmt: skip
    return trial, learner


def test_a_trial_tests_when_it_is_due_and_resumes() -> None:
    trial, _ = small_trial(lambda updates, _: float(updates) if updates % 2 == 0 else None)
    metrics = [trial.update() for _ in range(3)][-1]
    assert trial.tests == 1
    assert metrics["tested"] == trial.tested < 0.0
    assert trial.reached == -1  # no pendulum returns 700
    again, learner = small_trial(lambda *_: None)
    again.load_state_dict(trial.state_dict())
    assert (again.tests, again.tested, learner.real_steps) == (1, trial.tested, trial._steps())
    with pytest.raises(CorruptFileError):
        again.load_state_dict({**trial.state_dict(), "more": 1})


def test_the_linear_arm_is_linear_and_the_neural_one_keeps_all() -> None:
    linear = swing_up_learner("linear", preset="smoke", seed=0).config
    assert (linear.degree, linear.tensor, linear.ridge, linear.threshold) == (1, False, 0.0, 0.0)
    neural = swing_up_learner("neural", preset="laptop", seed=0).config
    quadratic = swing_up_learner("sindy", preset="laptop", seed=0).config
    assert neural.online == neural.collect * (neural.updates // neural.refit_every) > quadratic.online
    assert (neural.updates, neural.offline, neural.collect) == (
        quadratic.updates,
        quadratic.offline,
        quadratic.collect,
    )


def test_ppo_in_the_real_world_has_the_surrogates_network_and_two_million_steps() -> None:
    ppo, inner = real_ppo(preset="laptop", seed=0), swing_up_learner("sindy", preset="laptop", seed=0).ppo
    shapes = [{name: part.shape for name, part in agent.state_dict().items()} for agent in (ppo.agent, inner.agent)]
    assert shapes[0] == shapes[1]
    assert (ppo.config.discount, ppo.config.trace) == (inner.config.discount, inner.config.trace)
    assert real_budget("laptop") == pytest.approx(2e6, rel=0.01)


def test_ppo_in_the_real_world_is_set_as_the_deviations_say() -> None:
    ppo = real_ppo(preset="laptop", seed=0)
    config, lanes = ppo.config, PPO_LANES
    minibatch = lanes * config.steps // config.minibatches
    assert (lanes, config.steps, config.epochs, minibatch, config.learning_rate) == (32, 64, 10, 256, 3e-4)
    said = (
        f"settings of its own: {lanes} lanes of {config.steps} steps, {config.epochs} epochs of minibatches of "
        f"{minibatch}, rate {config.learning_rate:g}."
    )
    assert any(text.endswith(said) for text in study.DEVIATIONS)


def test_every_surrogate_of_the_swing_up_stops_at_the_rail_that_the_machine_has() -> None:
    for arm in ("sindy", "linear", "neural"):
        surrogate = swing_up_learner(arm, preset="smoke", seed=0).surrogate
        assert surrogate.stops == ((0, 3, -swing_up.RAIL, swing_up.RAIL),)
    assert f'range="-{swing_up.RAIL} {swing_up.RAIL}"' in swing_up.MODEL


def test_spread_that_grows_with_the_error_is_found() -> None:
    class Exact:
        def predict(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return state + 0.0 * action

        def spread(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return state.abs() + 0.0 * action

    state = torch.linspace(0.0, 1.0, 50)[:, None]
    steps = Transitions(state, torch.zeros(50, 1), state + state.square(), torch.zeros(50))
    assert spread_correlation(Exact(), steps, Known()) == pytest.approx(1.0)
    whole = torch.arange(50.0)[:, None]
    flat = Transitions(whole, torch.zeros(50, 1), whole + 1.0, torch.zeros(50))
    assert spread_correlation(Exact(), flat, Known()) == 0.0


def test_changes_are_those_of_each_episode() -> None:
    actions = torch.zeros(3, 20, 1)
    actions[1] = 1.0
    assert mean_change(actions.view(60, 1)) == pytest.approx(1.0)
    still = torch.arange(20.0).view(1, 20, 1).expand(5, 20, 1)
    assert mean_change(still.reshape(100, 1)) == 0.0


def _cells(**changes: float) -> Cells:
    """Cells in which each metric is so much, whatever the seed; a little more with each seed."""
    values = {
        "sindy": 800.0, "linear": 200.0, "neural": 500.0, "ppo": 750.0, "random": 30.0, "known": -160.0,
        "learned": -170.0, "floor": -1200.0, "sindy_steps": 30_000.0, "ppo_steps": 1_000_000.0, "last": 600.0,
        "dictionary": 790.0, "change": 0.8, "speedup": 8.0, "spread": 0.5,
    } | changes  # fmt: skip
    metrics = {}
    for setting in study.SETTINGS:
        for seed in range(9):
            for arm in setting.arms:
                name = arm if setting.name == "swing-up" else {"sindy": "learned", "random": "floor"}.get(arm, "known")
                metrics[Cell(arm, setting.name, seed)] = {
                    "return": values[name] + seed, "last_return": values["last"] + 2 * seed,
                    "steps_to_target": values["ppo_steps" if arm == "ppo" else "sindy_steps"] * (1 + 0.01 * seed),
                    "dictionary_return": values["dictionary"] + seed / 2,
                    "dictionary_change": 0.1 * values["change"] + 1e-3 * seed, "policy_change": 0.1,
                    "spread_correlation": values["spread"] + 0.01 * seed, "speedup": values["speedup"] + 0.1 * seed,
                }  # fmt: skip

    def absent(*_: object) -> Any:
        raise KeyError("nothing was kept")

    return Cells(metrics, samples=absent, curves=absent)


def _verdicts(**changes: float) -> dict[str, str]:
    return {v.claim_id: v.verdict for v in judge(study.CLAIMS, _cells(**changes), resamples=200)}


def test_claims_hold_where_the_paper_is_right() -> None:
    verdicts = _verdicts()
    assert verdicts.pop("C6") == "not tested here"
    assert set(verdicts.values()) == {"reproduced"}


@pytest.mark.parametrize(
    ("claim", "changes"),
    [
        ("C1", {"ppo_steps": 200_000.0}),
        ("C1", {"sindy_steps": 2_000_000.0, "ppo_steps": 2_000_000.0}),
        ("C2a", {"linear": 600.0}),
        ("C2b", {"neural": 900.0}),
        ("C3", {"learned": -900.0}),
        ("C4a", {"dictionary": 500.0}),
        ("C4b", {"speedup": 2.0}),
        ("C4c", {"change": 1.5}),
        ("C5", {"spread": 0.1}),
        ("L1", {"last": 900.0}),
    ],
)
def test_claims_can_fail(claim: str, changes: dict[str, float]) -> None:
    assert _verdicts(**changes)[claim] == "contradicted"


def test_what_nobody_learned_is_void() -> None:
    verdicts = _verdicts(sindy=100.0)
    assert {verdicts[claim] for claim in ("C2a", "C2b", "C4a", "C4c", "C5", "L1")} == {"void"}
    assert _verdicts(known=-900.0)["C3"] == "void"


def test_the_laptop_plan_can_decide_every_claim_if_all_are_as_clear_as_can_be() -> None:
    pairs = load_study("sindy-rl").pairs("laptop")
    assert set(pairs) == {claim.id for claim in study.CLAIMS if not claim.needs}
    assert max(holm([smallest_p(count) for count in pairs.values()])) <= LEVEL


def test_curves_begin_with_the_first_test():
    class Watched:
        points: list[dict[str, float] | None]

        def drive(self, trial: Any, updates: int, *, evaluate: Any) -> None:
            before, trial.tests = evaluate(1), 1
            self.points = [before, evaluate(1)]

    run, trial = Watched(), SimpleNamespace(tests=0, tested=7.0)
    measuring._drive(trial, 4, run, steps=lambda: 64)  # type: ignore[arg-type]
    assert run.points == [None, {"test_return": 7.0, "real_steps": 64.0}]


def test_what_one_observation_costs_is_told_as_it_was_measured() -> None:
    results = catalogue.results("sindy-rl")
    assert results is not None
    cost = next(one for one in results["current"]["settings"] if one["name"] == "cost")["arms"][0]["metrics"]
    told = next(text for text in study.DEVIATIONS if text.startswith("C4b"))
    for name in ("network", "dictionary"):
        assert f"{cost[f'{name}_microseconds_alone']['mean']:.1f}" in told


def test_no_claim_names_a_limit_that_its_dictionary_cannot_reach() -> None:
    claim = next(one for one in study.CLAIMS if one.id == "C4a")
    assert len(Library(5, degree=3)) == 55
    assert "55 terms" in claim.statement
    assert "60" not in f"{claim.statement} {claim.effect}"
