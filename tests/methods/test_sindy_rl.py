"""Regression, equations, surrogate, loop and dictionary policies of sindy-rl."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.blocks.policies import GreedyPolicy
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.methods import sindy_rl
from livepapers.methods.sindy_rl import (
    Config,
    DictionaryPolicy,
    Known,
    Library,
    Memory,
    SindyRL,
    SparseModel,
    SparseRegression,
    SurrogateTask,
    Transitions,
    circles,
)
from livepapers.methods.sindy_rl import equations as written
from livepapers.methods.sindy_rl import learner as learning
from livepapers.methods.sindy_rl.interaction import Interaction, interact
from livepapers.tasks.pendulum_swing_up import CIRCLES, PendulumSwingUp
from livepapers.tasks.vector import SimulatorTask


def peer_rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Rows that pysindy 2.1.0 was given: 2 states, 1 input, the library [P2(x), u, P2(x) u] of 11 terms."""
    t = 0.05 * np.arange(240)
    a, b = np.sin(1.3 * t) + 0.2 * np.cos(7 * t), 1.5 * np.cos(0.9 * t) - 0.1 * t
    u = np.sin(2.1 * t * t / (1 + 0.1 * t))
    shared = np.stack([a, b, a * a, a * b, b * b], 1)
    noise = 0.05 * np.stack([np.sin(1000 * t), np.cos(777 * t)], 1)
    targets = np.stack([b + 0.05 * a * b - 0.3 * u, -a + 0.4 * b * u + 0.02 * b * b], 1) + noise
    return torch.from_numpy(np.hstack([shared, u[:, None], shared * u[:, None]])), torch.from_numpy(targets)


PEER = {  # (alpha, lambda) -> output, term, coefficient of pysindy 2.1.0's STLSQ; all others are 0
    (0.05, 0.03): [(0, 1, 0.998563697), (0, 3, 0.050753131), (0, 5, -0.2929456802), (1, 0, -0.9859921004),
                   (1, 7, 0.4003853015)],
    (2.0, 0.1): [(0, 1, 1.0078707581), (0, 5, -0.2899962054), (1, 0, -0.9859921004), (1, 7, 0.4003853015)],
}  # fmt: skip
PEER_MEDIAN = [(0, 1, 0.997613944), (0, 3, 0.0511931485), (0, 5, -0.2918745334), (1, 0, -0.9885496565),
               (1, 7, 0.4006283591)]  # fmt: skip
PEER_BIASED = [(0, 1, 0.9984510943), (0, 3, 0.0507772802), (0, 5, -0.2928103207), (1, 0, -0.9855924586),
               (1, 7, 0.4002829622)]  # fmt: skip


def table(entries: list[tuple[int, int, float]]) -> torch.Tensor:
    found = torch.zeros(11, 2, dtype=torch.float64)
    for output, term, value in entries:
        found[term, output] = value
    return found


@pytest.mark.parametrize("setting", list(PEER))
def test_coefficients_are_pysindys(setting: tuple[float, float]) -> None:
    features, targets = peer_rows()
    made = SparseRegression(*setting, models=1).fit(features, targets, generator=generator(0, "x"))
    assert torch.allclose(made[0], table(PEER[setting]), rtol=0, atol=2e-10)
    assert torch.equal(made[0] != 0, table(PEER[setting]) != 0)


def test_the_last_least_squares_is_as_exact_as_one_of_the_rows() -> None:
    stream = generator(0, "rows")
    first, apart, other = torch.randn(3, 500, dtype=torch.float64, generator=stream)
    features = torch.stack([first, first + 1e-5 * apart, other], 1)  # squaring them leaves half of the digits
    truth = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    found = SparseRegression(0.0, 0.0, models=1).fit(features, features @ truth, generator=stream)[0]
    assert float((found - truth).abs().max()) < 1e-8


def test_without_the_last_least_squares_it_is_pysindys_biased_fit() -> None:
    features, targets = peer_rows()
    made = SparseRegression(0.05, 0.03, models=1, bias=True).fit(features, targets, generator=generator(0, "x"))
    assert torch.allclose(made[0], table(PEER_BIASED), rtol=0, atol=2e-10)


def test_the_median_of_an_ensemble_is_pysindys_on_the_same_bags() -> None:
    features, targets = peer_rows()
    legacy = np.random.RandomState(0)  # pysindy draws from the global stream of that kind
    bags = [np.bincount(legacy.choice(range(240), 144, replace=True), minlength=240) for _ in range(20)]
    counts = torch.from_numpy(np.stack(bags)).double()
    made = SparseRegression(0.05, 0.03).fit_drawn(features, targets, counts=counts)
    assert made.shape == (20, 11, 2)
    assert torch.allclose(sindy_rl.median(made), table(PEER_MEDIAN), rtol=0, atol=2e-10)


@given(seed=st.integers(0, 10_000), terms=st.integers(1, 4), noise=st.sampled_from([0.0, 1e-9]))
@settings(max_examples=15, deadline=None)
def test_sparse_systems_are_recovered(seed: int, terms: int, noise: float) -> None:
    stream = generator(seed, "recovery")
    library = Library(3, 1, degree=2)
    state, action = (torch.randn(120, k, generator=stream, dtype=torch.float64) for k in (3, 1))
    truth = torch.zeros(len(library), 3, dtype=torch.float64)
    for output in range(3):
        where = torch.randperm(len(library), generator=stream)[:terms]
        truth[where, output] = 0.5 + torch.rand(terms, generator=stream, dtype=torch.float64)
    target = library(state, action) @ truth
    target = target + noise * torch.randn(target.shape, generator=stream, dtype=torch.float64)
    made = SparseRegression(1e-8, 0.1, models=3).fit(library(state, action), target, generator=stream)
    assert torch.allclose(made, truth.expand_as(made), rtol=0, atol=1e-7)


@given(seed=st.integers(0, 10_000), threshold=st.floats(0.0, 1.0), ridge=st.floats(0.0, 10.0))
@settings(max_examples=20, deadline=None)
def test_ridge_coefficients_that_are_kept_are_above_the_threshold(seed: int, threshold: float, ridge: float) -> None:
    stream = generator(seed, "threshold")
    features, targets = (torch.randn(40, k, generator=stream, dtype=torch.float64) for k in (8, 2))
    regression = SparseRegression(ridge, threshold, models=4, bias=True)
    made = regression.fit(features, targets, generator=stream)
    assert bool(((made == 0) | (made.abs() >= threshold)).all())
    assert bool(made.isfinite().all())


def test_terms_that_repeat_each_other_share_their_coefficient() -> None:
    """cos^2 + sin^2 = 1, so that u, u cos^2 and u sin^2 are not independent: the solution of least norm is taken."""
    stream = generator(0, "circle")
    angle = 6.28 * torch.rand(500, generator=stream, dtype=torch.float64)
    state = torch.stack([angle.cos(), angle.sin()], 1)
    action = torch.rand(500, 1, generator=stream, dtype=torch.float64)
    library = Library(2, 1)
    theta = library(state, action)
    made = SparseRegression(0.0, 0.0, models=1).fit(theta, action, generator=stream)[0]
    expected = torch.linalg.lstsq(theta, action, driver="gelsd").solution
    assert torch.allclose(made, expected, atol=1e-8)
    assert torch.allclose(theta @ made, action, atol=1e-9)


@pytest.mark.parametrize("models", [1, 3, 20])
def test_normal_equations_are_weighted_sums_of_products(models: int) -> None:
    stream = generator(models, "normal equations")
    features, targets = (torch.randn(3000, k, generator=stream, dtype=torch.float64) for k in (7, 2))
    counts = torch.randint(0, 4, (models, 3000), generator=stream).double()
    gram, moments = sindy_rl.normal_equations(features, targets, counts)
    assert torch.allclose(gram, torch.einsum("mr,rp,rq->mpq", counts, features, features), rtol=1e-12)
    assert torch.allclose(moments, torch.einsum("mr,rp,rd->mpd", counts, features, targets), rtol=1e-12)


def test_a_library_ensemble_never_uses_the_dropped_term() -> None:
    regression = SparseRegression(0.0, 0.0, models=30, drop=1)
    _, active = regression.draw(50, 6, generator=generator(0, "drop"))
    assert bool((active.sum(1) == 5).all())
    features, targets = (torch.randn(50, k, generator=generator(1, "rows"), dtype=torch.float64) for k in (6, 1))
    made = regression.fit(features, targets, generator=generator(0, "drop"))
    assert torch.equal((made[..., 0] != 0), active)


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (torch.zeros(1, 3), torch.zeros(1, 1), "at least 2"),
        (torch.full((5, 3), math.nan), torch.zeros(5, 1), "not finite"),
        (torch.zeros(5, 3), torch.zeros(4, 1), "equally many rows"),
    ],
)
def test_rows_that_cannot_be_fitted_are_refused(features: torch.Tensor, targets: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SparseRegression(0.0, 0.0).fit(features, targets, generator=generator(0, "x"))


def test_a_threshold_above_everything_leaves_nothing() -> None:
    features, targets = peer_rows()
    made = SparseRegression(0.0, 1e9).fit(features, targets, generator=generator(0, "x"))
    assert not bool(made.any())


@pytest.mark.parametrize(
    "kind", [{"degree": 3}, {"degree": 4, "cross": False}, {"constant": True, "frequencies": (1, 2)}]
)
def test_terms_are_what_their_names_say(kind: dict[str, object]) -> None:
    library = Library(3, 2, **kind)  # type: ignore[arg-type]
    names, inputs = ["a", "b", "c"], ["p", "q"]
    state, action = (torch.randn(5, k, generator=generator(0, "names")).double() for k in (3, 2))
    place = dict(zip(names, state.T, strict=True)) | dict(zip(inputs, action.T, strict=True))
    columns = []
    for term in library.terms(names, inputs):
        value = torch.ones(5).double()
        for factor in term:
            wave, _, inside = factor.rstrip(")").partition("(")
            if inside:
                times, _, name = inside.rpartition(" ")
                value = value * getattr(torch, wave)(int(times or 1) * place[name])
            else:
                value = value * place[factor]
        columns.append(value)
    assert len(columns) == len(library)
    assert torch.allclose(library(state, action), torch.stack(columns, 1))


def test_a_table_holds_the_terms_of_all_rows() -> None:
    library, stream = Library(2, 1, constant=True), generator(0, "table")
    state, action = (torch.randn(5000, k, generator=stream) for k in (2, 1))
    assert torch.equal(library.table(state, action), library(state, action))


def test_the_papers_library_has_41_terms_and_the_policys_55() -> None:
    assert len(Library(5, 1)) == 41
    assert len(Library(5, degree=3)) == 55


@pytest.mark.parametrize("bad", [{"states": 0}, {"degree": 9}, {"degree": 0}, {"states": 400, "degree": 4}])
def test_bad_libraries_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Library(**{"states": 2, **bad})  # type: ignore[arg-type]


COEFFICIENTS = torch.tensor([[1.0, 0.0], [0.25, -2.0], [0.0, 0.0], [0.0, 1e-5]])
TERMS = [["x"], ["v"], ["x", "x"], ["x", "v", "v"]]


def test_equations_are_printed_for_people() -> None:
    lines = written.as_text(COEFFICIENTS, TERMS, ["x'", "v'"])
    assert lines == ["x' = 1 x + 0.25 v", "v' = -2 v + 1e-05 x v^2"]
    assert written.as_text(torch.zeros(4, 1), TERMS, ["y"]) == ["y = 0"]
    text = written.as_latex(COEFFICIENTS, TERMS, ["x'", "v_1'"])
    assert r"\mathrm{x}' &= 1\,\mathrm{x} + 0.25\,\mathrm{v}" in text
    assert r"\mathrm{v\_1}' &= -2\,\mathrm{v} + 1\cdot 10^{-5}\,\mathrm{x}\,\mathrm{v}^{2}" in text


def test_the_c_function_says_the_same() -> None:
    code = written.as_c(
        COEFFICIENTS, TERMS, ["x'", "v'"], function="next", states=["x", "v"], limits=[(-1.0, 1.0), (-9.0, 9.0)]
    )
    lines = [line.strip().split(";")[0] for line in code.splitlines() if "fmin" not in line]
    x, values = [0.7, -1.3], {}
    for line in " ".join(line for line in lines if line.startswith(("y[", "+", "-"))).split("y[")[1:]:
        index, _, body = line.partition("] = ")
        values[int(index)] = eval(body, {"x": x, "__builtins__": {}})
    expected = [x[0] + 0.25 * x[1], -2.0 * x[1] + float(COEFFICIENTS[3, 1]) * x[0] * x[1] ** 2]
    assert [values[0], values[1]] == pytest.approx(expected, rel=1e-6)
    assert "fmin(fmax(y[1], -9.0), 9.0)" in code


def on_circle(coefficients: torch.Tensor, terms: written.Terms, state: dict[str, torch.Tensor]) -> torch.Tensor:
    """`[N, d]` sums of terms."""
    one = torch.ones_like(next(iter(state.values())))
    theta = torch.stack([torch.stack([one, *(state[factor] for factor in term)]).prod(0) for term in terms], 1)
    return theta @ coefficients.double()


@pytest.mark.parametrize("constant", [False, True])
def test_equations_with_joined_terms_are_the_same_on_the_circle(constant: bool) -> None:
    stream = generator(0, "circle")
    library = Library(5, 1, degree=4, constant=constant)
    terms = library.terms(["c", "s", "w", "a", "b"], ["u"])
    coefficients = torch.randn(len(terms), 3, generator=stream, dtype=torch.float64)
    coefficients[torch.rand(coefficients.shape, generator=stream) < 0.5] = 0.0
    shown, fewer = circles.joined(coefficients, terms, [("c", "s"), ("b", "a")])
    angle, other, w, u = 6.3 * torch.rand(4, 200, generator=stream, dtype=torch.float64)
    state = {"c": angle.cos(), "s": angle.sin(), "w": w / 6, "b": other.cos(), "a": other.sin(), "u": u}
    difference = on_circle(shown, fewer, state) - on_circle(coefficients, terms, state)
    assert difference.abs().max() < 1e-9
    assert ((shown != 0).sum(0) < (coefficients != 0).sum(0)).all()
    assert circles.joined(coefficients, terms, []) == (coefficients, terms)


def test_terms_that_repeat_each_other_on_a_circle_are_joined_as_few_as_there_are() -> None:
    terms = [["c"], ["u"], ["c", "c"], ["s", "s"], ["c", "c", "u"], ["s", "s", "u"], ["c", "c", "c"], ["c", "s", "s"]]
    found = torch.tensor(
        [
            [0.0, 0.1, 0.06537, 0.06537],  # u
            [0.0, 0.0, 0.08463, 0.08463],  # c^2 u
            [0.0, 0.0, 0.08463, 0.08],  # s^2 u
        ]
    )
    coefficients = torch.zeros(len(terms), 4)
    coefficients[[1, 4, 5]] = found
    coefficients[2:4, 0] = 2.0  # c^2 + s^2
    coefficients[6:, 1] = 0.5  # c^3 + c s^2
    shown = written.as_text(*circles.joined(coefficients, terms, [("c", "s")]), ["p", "q", "r", "t"])
    assert shown == ["p = 2", "q = 0.5 c + 0.1 u", "r = 0.15 u", "t = 0.1454 u + 0.00463 c^2 u"]


def test_increments_give_next_states() -> None:
    stream = generator(0, "increments")
    state, action = torch.randn(200, 2, generator=stream), torch.randn(200, 1, generator=stream)
    after = state + 0.01 * torch.stack([state[:, 1], action[:, 0] - state[:, 0]], 1)
    model = sindy_rl.fit_sparse(
        state, action, after, library=Library(2, 1), regression=SparseRegression(1e-6, 0.02, scaled=True),
        increments=True, generator=stream,
    )  # fmt: skip
    assert torch.allclose(model.predict(state, action), after, atol=1e-5)
    assert model.written(["x", "v"], ["u"], ["x'", "v'"])[0] == "x' = 1 x + 0.01 v"


def small_surrogate(**changes: object) -> SurrogateTask:
    world = PendulumSwingUp()
    arguments: dict[str, object] = {
        "starts": torch.tensor([[1.0, 0.0, 0.5]]), "circles": CIRCLES, "lanes": 6, "horizon": 20,
        "bounds": (torch.tensor([-1.1, -1.1, -8.0]), torch.tensor([1.1, 1.1, 8.0])),
    }  # fmt: skip
    return SurrogateTask(world.observation_space, world.action_space, **{**arguments, **changes})  # type: ignore[arg-type]


class Growing:
    """A model that doubles the rate, and leaves the circle."""

    def predict(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return torch.cat([1.5 * state[:, :2], 2.0 * state[:, 2:] + 0.0 * action], 1)

    def spread(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(state + 0.0 * action)


def test_the_surrogate_keeps_circles_and_ends_what_diverges() -> None:
    task = small_surrogate(horizon=1000)
    task.learn(Growing(), lambda *_: -torch.ones(6), states=torch.zeros(1, 3), lost=-100.0, scale=0.5)
    task.reset(0)
    action = torch.zeros(6, 1)
    steps = [task.step(action) for _ in range(5)]
    assert torch.allclose(steps[0].final[:, :2].norm(dim=1), torch.ones(6))
    assert [bool(step.terminated.all()) for step in steps] == [False, False, False, False, True]  # 0.5 x 2^5 = 16 > 8
    assert steps[0].reward.tolist() == [-0.5] * 6
    assert steps[4].reward.tolist() == [-50.5] * 6  # leaving costs what staying forever would
    assert torch.equal(steps[4].observation, torch.tensor([[1.0, 0.0, 0.5]]).expand(6, 3))


def test_a_model_that_gives_no_number_ends_the_episode() -> None:
    class Broken(Growing):
        def predict(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return torch.full_like(state + 0.0 * action, math.nan)

    task = small_surrogate()
    task.learn(Broken(), lambda *_: torch.ones(6), states=torch.zeros(1, 3), lost=0.0)
    task.reset(0)
    step = task.step(torch.zeros(6, 1))
    assert bool(step.terminated.all())
    assert bool(step.final.isfinite().all())


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_a_stop_ends_a_motion_and_lets_it_turn_back(position: float, velocity: float) -> None:
    state = torch.tensor([[position, 3.0, velocity]])
    there = sindy_rl.put_back(state, (), [sindy_rl.Stop(0, 2, -1.8, 1.8)])[0].tolist()
    assert there[1] == 3.0
    assert there[0] == pytest.approx(min(max(position, -1.8), 1.8))
    outward = abs(position) > 1.8 and position * velocity > 0
    assert there[2] == (0.0 if outward else pytest.approx(velocity))
    assert torch.equal(state, torch.tensor([[position, 3.0, velocity]])), "what was predicted stays as it was"


def test_a_stop_holds_a_surrogate_that_runs_away() -> None:
    library, coefficients = Library(2, 1), torch.zeros(1, 11, 2)
    coefficients[0, 0, 0] = coefficients[0, 1, 1] = 1.0
    coefficients[0, 1, 0] = 0.5  # x' = x + 0.5 v, v' = v
    task = SurrogateTask(
        PendulumSwingUp.observation_space, PendulumSwingUp.action_space, starts=torch.tensor([[0.0, 1.0]]), lanes=2,
        bounds=(torch.full((2,), -9.0), torch.full((2,), 9.0)), circles=(), horizon=1000,
        stops=(sindy_rl.Stop(0, 1, -1.8, 1.8),),
    )  # fmt: skip
    task.learn(SparseModel(library, coefficients), lambda *_: torch.zeros(2), states=torch.zeros(1, 2), lost=0.0)
    for surrogate in (task, task.like(2)):
        surrogate.reset(0)
        steps = [surrogate.step(torch.zeros(2, 1)) for _ in range(10)]
        assert not any(bool(step.terminated.any()) for step in steps)
        assert torch.allclose(steps[-1].final, torch.tensor([[1.8, 0.0]]).expand(2, 2))


def test_a_surrogate_needs_a_model() -> None:
    task = small_surrogate()
    task.reset(0)
    with pytest.raises(InputError, match="learn"):
        task.step(torch.zeros(6, 1))


def test_memory_forgets_whole_collections() -> None:
    memory = Memory(2, 3, observation=2, action=1)
    for value in (1.0, 2.0, 3.0):
        memory.add(
            Transitions(torch.full((3, 2), value), torch.zeros(3, 1), torch.zeros(3, 2), torch.full((3,), value))
        )
    assert len(memory) == 2
    assert sorted(set(memory.all().reward.tolist())) == [2.0, 3.0]
    assert len(Memory(0, 3, observation=2, action=1).all().reward) == 0


def tiny(**changes: object) -> SindyRL:
    known = Known(circles=CIRCLES)
    config = replace(Config.tiny(), **changes)
    return SindyRL(SimulatorTask(PendulumSwingUp(), 2), config=config, seed=0, known=known)


def test_every_real_step_is_counted() -> None:
    learner = tiny(refit_every=2)
    counted = []
    for _ in range(4):
        counted.append(learner.update()["real_steps"])
    assert counted == [200, 240, 240, 280]
    assert learner.work()["real_steps"] == 280
    assert len(learner.transitions().reward) == 280


def test_episodes_that_the_world_ended_are_counted_on_after_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    def ending(*given: Any, **options: Any) -> Interaction:
        return interact(*given, **options)._replace(terminated=2)

    monkeypatch.setattr(learning, "interact", ending)
    first, again = tiny(refit_every=1), tiny(refit_every=1)
    first.update()
    assert first.terminated == 4  # of the random steps, and of a collection
    again.load_state_dict(first.state_dict())
    again.update()
    assert again.terminated == 6


def test_a_state_without_that_count_is_refused() -> None:
    learner = tiny()
    older = {name: value for name, value in learner.state_dict().items() if name != "terminated"}
    with pytest.raises(CorruptFileError, match=r"sindy-rl state: missing .'terminated'."):
        learner.load_state_dict(older)


def test_the_kept_policy_is_that_of_the_best_real_return() -> None:
    learner = tiny()
    returns, kept = [], []
    for _ in range(4):
        returns.append(learner.update()["real_return"])
        kept.append({name: value.clone() for name, value in learner.policy().state_dict().items()})
    best = kept[int(np.argmax(returns))] if max(returns) > learner.state_dict()["floor"] else kept[0]
    # the collection of an update is made by the policy after it
    assert all(torch.equal(value, best[name]) for name, value in learner.best_policy().state_dict().items())


def test_a_policy_that_lost_its_gain_is_rolled_back() -> None:
    learner = tiny(rollback=0.5, patience=2)
    learner.update()
    steps = learner.transitions()
    learner._floor, learner._best_return, learner._best_promised = -1000.0, -200.0, -1.0
    learner._collections = 3
    best = {name: value.clone() for name, value in learner._best.items()}
    with torch.no_grad():
        for parameter in learner.ppo.agent.parameters():
            parameter.add_(1.0)
    worse = sindy_rl.Interaction(steps, -700.0, 0)
    learner._judge(worse, -2.0)  # the surrogate saw it coming: no exploitation
    learner._judge(worse, -0.5)
    assert learner.state_dict()["rollbacks"] == 0
    learner._judge(worse, -0.5)
    assert learner.state_dict()["rollbacks"] == 1
    assert all(torch.equal(value, best[name]) for name, value in learner.ppo.agent.state_dict().items())


def test_the_random_floor_does_not_keep_an_untried_policy() -> None:
    learner = tiny()
    learner._collections, learner._best_return = 1, 1e9
    learner._judge(sindy_rl.Interaction(learner.transitions(), -5.0, 0), 0.0)
    assert learner.best_real_return == -5.0


def test_worlds_without_bounded_real_actions_are_refused() -> None:
    from livepapers.tasks.cart_pole import CartPole

    with pytest.raises(InputError, match="actions"):
        SindyRL(SimulatorTask(CartPole(), 1), config=Config.tiny(), seed=0)


def test_dictionary_policies_are_clipped_and_rebuilt() -> None:
    policy = DictionaryPolicy(Library(2, degree=2), low=[-1.0], high=[1.0])
    policy.coefficients[0, 0] = 5.0
    again = DictionaryPolicy(**policy.arguments)
    again.load_state_dict(policy.state_dict())
    states = torch.tensor([[1.0, 0.0], [0.1, 2.0], [-3.0, 1.0]])
    assert again(states).squeeze(1).tolist() == [1.0, 0.5, -1.0]
    assert again.terms == 1
    assert again.written(["x", "y"], ["u"]) == ["u = 5 x"]
    assert "fmax" in again.in_c(["x", "y"], ["u"])


def test_the_mean_action_is_the_networks_before_clipping() -> None:
    world = PendulumSwingUp()
    network = GreedyPolicy(world.observation_space, world.action_space, hidden=(), activation="tanh", normalise=True)
    states = torch.randn(50, 3, generator=generator(0, "mean"))
    with torch.no_grad():
        network.actor.network.layers[-1].weight.fill_(2.0)  # type: ignore[union-attr, operator]
        moves = sindy_rl.mean_action(network, states)
        assert float(moves.abs().max()) > 2.0
        assert torch.allclose(moves.clamp(-2.0, 2.0), network(states))


def test_models_of_one_member_have_no_spread() -> None:
    model = SparseModel(Library(2), torch.randn(1, 5, 2, generator=generator(0, "one")))
    assert not bool(model.spread(torch.randn(4, 2)).any())
