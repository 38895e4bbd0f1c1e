"""Directions of drl-diagnosis against closed forms."""

import math

import pytest
import torch
from torch import Tensor, nn

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.methods.drl_diagnosis import direction, measures
from livepapers.methods.drl_diagnosis.direction import (
    Instability,
    decision_gradient,
    principal_direction,
    quotient,
    signed,
    squared_cosine,
    subspace_quotient,
)


def _linear(actions: int = 3, width: int = 6) -> tuple[Tensor, nn.Linear]:
    made = nn.Linear(width, actions)
    with torch.no_grad():
        made.weight.copy_(torch.randn(actions, width, generator=generator(0, "test", "weights")))
        made.bias.zero_()
    return made.weight.detach().double(), made


def _states(count: int = 40, width: int = 6, name: str = "states") -> Tensor:
    return torch.randn(count, width, generator=generator(0, "test", name))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_gradient_of_a_linear_network_is_the_closed_form(temperature: float):
    weight, made = _linear()
    states = _states()
    found = decision_gradient(made, states, temperature=temperature)
    logits = states.double() @ weight.T / temperature
    target = nn.functional.one_hot(logits.argmax(1), 3).double()
    assert found.rows == pytest.approx((logits.softmax(1) - target) @ weight / temperature, abs=1e-6)
    assert found.certainty == pytest.approx(logits.softmax(1).amax(1), abs=1e-6)


def test_the_gap_of_a_linear_network_is_a_difference_of_weights():
    weight, made = _linear()
    states = _states()
    order = (states.double() @ weight.T).argsort(1, descending=True)
    expected = weight[order[:, 1]] - weight[order[:, 0]]
    assert decision_gradient(made, states, loss="max-logit-gap").rows == pytest.approx(expected, abs=1e-6)
    unit = decision_gradient(made, states, loss="max-logit-gap", unit=True).rows
    assert unit.norm(dim=1) == pytest.approx(torch.ones(40, dtype=torch.float64), abs=1e-9)


def test_a_quadratic_network_has_the_direction_of_its_weights():
    slope = torch.tensor([3.0, 0.0, 4.0])

    def values(x: Tensor) -> Tensor:
        across = x @ slope
        return torch.stack([across.square(), torch.zeros_like(across)], 1)

    found = principal_direction(values, _states(30, 3))
    assert found.direction == pytest.approx(torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64), abs=1e-6)
    assert found.share == pytest.approx(1.0)
    assert found.gap == pytest.approx(1.0)


def test_large_gaps_between_values_still_have_gradients():
    def values(x: Tensor) -> Tensor:
        return torch.stack([25.0 + x[:, 0], x[:, 1]], 1)

    found = decision_gradient(values, torch.zeros(1, 2))
    assert found.rows[0] == pytest.approx(torch.tensor([-1.0, 1.0]) / (1.0 + math.exp(25.0)), rel=1e-4)


@pytest.mark.parametrize("solver", ["gram", "svd", "power", "sketch"])
@pytest.mark.parametrize("count", [4, 40])
def test_solvers_agree_with_the_eigenvectors_of_the_matrix(solver: direction.Solver, count: int):
    _, made = _linear()
    states = _states(count)
    rows = decision_gradient(made, states).rows
    found, vectors = torch.linalg.eigh(rows.T @ rows)
    for one in ("auto", solver):
        got = principal_direction(made, states, solver=one, batch=7)
        assert float(got.eigenvalues[0]) == pytest.approx(float(found[-1]), rel=1e-9)
        assert got.direction == pytest.approx(signed(vectors[:, -1:].T)[0], abs=1e-7)


def test_streaming_equals_the_batch_and_duplicates_change_nothing():
    _, made = _linear()
    states = _states()
    whole, parts = (principal_direction(made, states, batch=size) for size in (100, 3))
    twice = principal_direction(made, torch.cat([states, states]))
    for other in (parts, twice):
        assert other.direction == pytest.approx(whole.direction, abs=1e-7)
        assert other.share == pytest.approx(whole.share)
    assert float(twice.eigenvalues[0]) == pytest.approx(2.0 * float(whole.eigenvalues[0]))


def test_the_sketch_keeps_its_promise():
    width, rows = 400, torch.randn(900, 400, generator=generator(0, "test", "rows"), dtype=torch.float64)
    rows = rows * torch.linspace(3.0, 0.1, width, dtype=torch.float64)
    exact, sketch = Instability(width, dense=True), Instability(width, dense=False)
    for part in rows.split(50):
        exact.update(part)
        sketch.update(part)
    directions = nn.functional.normalize(torch.randn(50, width, generator=generator(0, "test", "v")).double(), dim=1)
    missing = exact.along(directions) - sketch.along(directions)
    assert float(missing.min()) >= -1e-6
    assert float(missing.max()) <= sketch.lost
    assert sketch.lost <= sketch.total / (direction.SKETCH_ROWS // 2)
    assert sketch.total == pytest.approx(exact.total)


def test_quotients_are_between_nought_and_one_and_blind_to_sign_and_scale():
    _, made = _linear()
    one, other = (principal_direction(made, _states(name=name)) for name in ("one", "other"))
    assert quotient(one, one.direction) == pytest.approx(1.0)
    assert 0.0 <= quotient(one, other.direction) <= 1.0
    assert quotient(one, -7.0 * other.direction) == pytest.approx(quotient(one, other.direction))
    assert subspace_quotient(one, one.vectors[:2]) == pytest.approx(1.0)
    orthogonal = torch.linalg.svd(decision_gradient(made, _states(name="one")).rows).Vh[-1]  # of rank 2 in 6 inputs
    assert quotient(one, orthogonal) == pytest.approx(0.0, abs=1e-9)


def test_the_quotient_is_not_symmetric_and_differs_from_the_cosine():
    def report(rows: list[list[float]]) -> direction.Direction:
        moments = Instability(2)
        moments.update(torch.tensor(rows))
        found, vectors = moments.leading()
        return direction.Direction(vectors[0], found, vectors, 1.0, torch.ones(2), 0.5, torch.zeros(2), moments)

    one, other = report([[2.0, 0.0], [0.0, 1.0]]), report([[0.0, 3.0]])
    assert quotient(one, other.direction) == pytest.approx(0.25)
    assert quotient(other, one.direction) == pytest.approx(0.0)
    assert squared_cosine(one.direction, other.direction) == 0.0


def _planted(x: Tensor) -> Tensor:
    """Depends on pixels 0 and 1 where the last pixel is 1, on pixels 2 and 3, with half the gain, where it is 0."""
    on = x[:, 4]
    across = on * (x[:, 0] + x[:, 1]) + 0.5 * (1.0 - on) * (x[:, 2] - x[:, 3])
    return torch.stack([across, torch.zeros_like(across)], 1)


def test_a_planted_feature_is_found_and_moves_when_its_states_are_gone():
    states = 0.1 * _states(60, 5)
    states[:, 4] = (torch.arange(60) % 2).float()
    both = principal_direction(_planted, states).direction
    rest = principal_direction(_planted, states[states[:, 4] == 0.0]).direction
    assert float(both[:2].square().sum()) > 0.9
    assert float(rest[2:4].square().sum()) > 0.9
    assert squared_cosine(both, rest) < 0.1


def test_directions_that_cancel_in_the_mean_are_found():
    states = _states(200, 4)
    states[:, 0] = torch.where(torch.arange(200) % 2 == 0, 1.0, -1.0)

    def values(x: Tensor) -> Tensor:
        return torch.stack([x[:, 0], -x[:, 0]], 1)

    rows = decision_gradient(values, states).rows
    assert rows.mean(0).norm() < 1e-9
    assert principal_direction(values, states).direction[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("states", "values", "message"),
    [
        (torch.zeros(0, 3), lambda x: x, "states: got none"),
        (torch.ones(4, 3), lambda x: 0.0 * x, "gradients: got 'all zero'|gradients: got all zero"),
        (torch.ones(4, 3), lambda x: x * torch.nan, "finite"),
    ],
)
def test_nothing_to_diagnose_is_said_in_one_line(states: Tensor, values: direction.Values, message: str):
    with pytest.raises(InputError, match=message):
        principal_direction(values, states, loss="max-logit-gap" if "finite" in message else "argmax-ce")
    with pytest.raises(InputError, match="same observation space"):
        Instability(3).update(torch.zeros(2, 4))


def test_measures_of_known_directions():
    one = torch.zeros(3, 10, 10)
    one[0, 4, 5] = -2.0
    assert measures.participation_ratio(one) == pytest.approx(1.0)
    assert measures.participation_ratio(torch.ones(50)) == pytest.approx(50.0)
    assert measures.top_energy(one) == 1.0
    assert measures.jaccard(one, one.flip(2)) < 1.0
    assert measures.jaccard(one, -one) == 1.0
    assert measures.heat(one).shape == (10, 10)
    assert measures.heat(one).sum() == 2.0
    flat = measures.spectrum(torch.ones(10, 10))
    assert flat.entropy == pytest.approx(0.0, abs=1e-9)
    assert flat.radius_90 == 0.0
    assert measures.spectrum(one).entropy == pytest.approx(1.0)  # a point holds all frequencies alike
    assert measures.bursts(torch.tensor([1.0, 1.0, 4.0])) == pytest.approx((math.sqrt(2.0) / 2.0, 2.0))
    assert measures.bursts(torch.zeros(3)) == (0.0, 0.0)
