"""The quadratic program's solver, the Riccati equation, and what is refused."""

import re

import numpy as np
import pytest
import scipy.optimize
import torch

from livepapers.baselines import linear_mpc
from livepapers.baselines.linear_mpc import ClippedLQR, LinearMPC, QuadraticProgram, condense
from livepapers.baselines.linear_problem import LinearProblem, feedback, riccati
from livepapers.baselines.point_location import first_region_move
from livepapers.core.errors import InputError

GOOD = {
    "a": [[1.0, 1.0], [0.0, 1.0]], "b": [[0.5], [1.0]], "q": np.eye(2), "r": [[0.1]], "horizon": 3,
    "state_bounds": [[-5.0, -5.0], [5.0, 5.0]], "input_bounds": [[-1.0], [1.0]],
}  # fmt: skip


def problem(**changes) -> LinearProblem:
    given = {**GOOD, **changes}
    return LinearProblem.of(
        given["a"], given["b"], q=given["q"], r=given["r"], horizon=given["horizon"],
        state_bounds=given["state_bounds"], input_bounds=given["input_bounds"],
    )  # fmt: skip


def test_answers_meet_their_optimality_conditions_and_scipys_own_solver():
    made = problem()
    program = condense(made)
    solver = QuadraticProgram(program)
    states = np.random.default_rng(0).uniform(-5.0, 5.0, (300, 2))
    found = solver.first_inputs(states, 1)
    assert found.residual < 1e-11
    assert 0.3 < found.feasible.mean() < 0.95
    for state in states[found.feasible][:5]:
        exact = solver.solve(state)
        assert exact is not None
        pull, room = program.linear @ state, program.limit + program.slope @ state
        theirs = scipy.optimize.minimize(
            lambda u, pull=pull: 0.5 * u @ program.hessian @ u + pull @ u, np.zeros(3),
            jac=lambda u, pull=pull: program.hessian @ u + pull, method="SLSQP",
            constraints={"type": "ineq", "fun": lambda u, room=room: room - program.rows @ u},
            options={"ftol": 1e-12, "maxiter": 300},
        )  # fmt: skip
        assert exact.u == pytest.approx(theirs.x, abs=1e-4)
        assert exact.u @ program.hessian @ exact.u / 2 + pull @ exact.u <= theirs.fun + 1e-8


def test_without_an_answer_it_says_so():
    solver = QuadraticProgram(condense(problem()))
    assert solver.solve(np.array([4.9, 4.9])) is None  # leaves the box whatever is done


def test_inside_all_bounds_the_answer_is_the_regulator():
    made = problem()
    state = np.array([0.05, -0.02])
    found = QuadraticProgram(condense(made)).solve(state)
    assert found is not None
    assert found.active == ()
    assert found.u[:1] == pytest.approx(made.gain() @ state, abs=1e-12)


UNSTABLE = {
    "a": [[1.0188, 0.0503], [0.7547, 1.0188]], "b": [[0.0038], [0.1509]], "q": np.diag([1.0, 0.1]), "r": [[0.001]],
    "state_bounds": [[-2.0, -8.0], [2.0, 8.0]], "input_bounds": [[-2.0], [2.0]],
}  # fmt: skip


def test_inputs_and_distances_from_the_feedback_are_one_program(monkeypatch):
    made = problem(**UNSTABLE, horizon=6)
    states = np.random.default_rng(0).uniform([-1.0, -4.0], [1.0, 4.0], (200, 2))
    by_inputs = QuadraticProgram(condense(made)).first_inputs(states, 1)
    monkeypatch.setattr(linear_mpc, "WORST_CONDITIONED", 1.0)
    program = condense(made)
    by_distances = QuadraticProgram(program).first_inputs(states, 1)
    assert program.first == pytest.approx(made.gain())
    assert (by_distances.feasible == by_inputs.feasible).all()
    assert by_distances.moves == pytest.approx(by_inputs.moves, abs=1e-10, nan_ok=True)
    assert max(by_inputs.residual, by_distances.residual) < 1e-10


def test_a_long_horizon_of_an_unstable_model_costs_no_digits():
    made = problem(**UNSTABLE, horizon=50)
    states = np.random.default_rng(0).uniform([-1.5, -6.0], [1.5, 6.0], (400, 2))
    solver = QuadraticProgram(condense(made))
    found = solver.first_inputs(states, 1)
    assert found.residual < 1e-9
    moves = found.moves[found.feasible]
    full = np.abs(moves) > 1.9999  # by how much a saturated input misses its bound shows the digits that are lost
    assert full.sum() > 50
    assert np.abs(moves)[full] == pytest.approx(2.0, abs=1e-11)
    controller = LinearMPC(made)
    seen = torch.as_tensor(states[found.feasible][:20])
    assert controller(seen).numpy() == pytest.approx(moves[:20], abs=1e-10)


def test_the_published_gain_of_the_pendulum():
    made = problem(
        a=[[1.0188, 0.0503], [0.7547, 1.0188]], b=[[0.0038], [0.1509]], r=[[0.001]], horizon=2,
        state_bounds=[[-2.0, -8.0], [2.0, 8.0]], input_bounds=[[-2.0], [2.0]],
    )  # fmt: skip
    assert made.gain() == pytest.approx(np.array([[-11.2455, -6.6511]]), abs=1e-3)


def test_the_discounted_riccati_equation_holds():
    made, discount = problem(), 0.9
    a, b = made.a, made.b
    p = riccati(a, b, made.q, made.r, discount=discount)
    gain = feedback(a, b, made.r, p, discount=discount)
    closed = a + b @ gain
    assert p == pytest.approx(made.q + gain.T @ made.r @ gain + discount * closed.T @ p @ closed, abs=1e-9)


def test_controllers_agree_where_nothing_binds_and_clip_elsewhere():
    made = problem()
    regulator = ClippedLQR(made.gain().tolist(), low=[-1.0], high=[1.0])
    controller = LinearMPC(made)
    near = torch.tensor([[0.05, -0.02], [-0.1, 0.05]])
    assert torch.allclose(regulator(near), controller(near), atol=1e-6)
    far = torch.tensor([[4.9, 4.9], [50.0, 0.0]])  # infeasible, and outside the box
    assert torch.equal(controller(far), regulator(far))
    assert controller(far).abs().max() <= 1.0


def test_point_location_answers_inside_and_not_outside():
    regions = [(np.array([[1.0], [-1.0]]), np.array([0.0, 1.0])), (np.array([[1.0], [-1.0]]), np.array([1.0, 0.0]))]
    gains, offsets = np.array([[[2.0]], [[3.0]]]), np.array([[0.0], [1.0]])
    assert first_region_move(np.array([-0.5]), regions, gains, offsets) == pytest.approx([-1.0])
    assert first_region_move(np.array([0.5]), regions, gains, offsets) == pytest.approx([2.5])
    assert first_region_move(np.array([1.5]), regions, gains, offsets) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"a": [[1.5, 0.0], [0.0, 0.5]], "b": [[0.0], [1.0]]}, r"A, B: .*eigenvalue 1.5 .*stabilisable"),
        ({"a": [[1.5, 0.0], [0.0, 0.5]], "b": [[1.0], [1.0]], "q": np.diag([0.0, 1.0])}, r"Q: .*no cost.*1.5"),
        ({"r": [[0.0]]}, r"R: .*positive definite.*every input must cost"),
        ({"r": [[-1.0]]}, "R: .*positive definite"),
        ({"q": [[1.0, 0.0], [0.0, -1.0]]}, "Q: .*semidefinite"),
        ({"q": [[1.0, 2.0], [0.0, 1.0]]}, "Q: .*symmetric"),
        ({"a": [[1.0, 1.0]]}, "A: got 1 x 2, expected a square matrix"),
        ({"b": [[1.0]]}, "B: got 1 x 1"),
        ({"a": [[1.0, float("nan")], [0.0, 1.0]]}, "A: .*not finite"),
        ({"a": "fast"}, "A: got fast, expected a matrix"),
        ({"horizon": 0}, "horizon: got 0"),
        ({"input_bounds": [[0.5], [1.0]]}, "input_bounds: .*set point inside"),
        ({"input_bounds": [[1.0], [-1.0]]}, "input_bounds: .*lower < upper"),
        ({"state_bounds": [[-5.0], [5.0]]}, "state_bounds: .*2 finite numbers"),
        ({"state_bounds": [[-np.inf, -5.0], [5.0, 5.0]]}, "state_bounds: .*finite"),
    ],
)  # fmt: skip
def test_degenerate_problems_get_one_clear_line(changes, says):
    with pytest.raises(InputError) as caught:
        problem(**changes)
    assert re.match(says, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
