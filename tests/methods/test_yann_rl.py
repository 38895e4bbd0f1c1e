"""yann-rl: the explicit law, the network that equals it, the parts that start at zero, and the learner."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from livepapers.baselines.linear_mpc import QuadraticProgram, condense
from livepapers.baselines.linear_problem import LinearProblem, feedback, riccati
from livepapers.core.errors import InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.methods import yann_rl
from livepapers.methods.yann_rl import (
    Config,
    PiecewiseAffineLaw,
    YannActor,
    YannCritic,
    YannNetwork,
    ZeroCorrection,
    explicit_mpc,
    yann,
)
from livepapers.methods.yann_rl.verification import facet_states, verify
from livepapers.tasks.pendulum import ClippedPendulum
from livepapers.tasks.vector import SimulatorTask


def two_inputs() -> LinearProblem:
    """Two coupled tanks with a valve each."""
    return LinearProblem.of(
        [[0.9, 0.1], [0.0, 1.05]], [[0.5, 0.0], [0.1, 0.4]], q=np.eye(2), r=0.1 * np.eye(2), horizon=2,
        state_bounds=[[-3.0, -2.0], [2.0, 3.0]], input_bounds=[[-1.0, -0.5], [0.5, 1.0]],
    )  # fmt: skip


def one_state() -> LinearProblem:
    return LinearProblem.of(
        [[1.2]], [[1.0]], q=[[1.0]], r=[[1.0]], horizon=3, state_bounds=[[-4.0], [4.0]], input_bounds=[[-1.0], [1.0]]
    )


@pytest.fixture(scope="module")
def pendulum():
    return yann_rl.pendulum_design()


@pytest.mark.parametrize("make", [two_inputs, one_state])
def test_the_network_equals_the_program_on_random_states_and_facets(make):
    problem = make()
    law = yann_rl.solve(problem)
    for network in (YannNetwork.of(law), YannActor(law), YannActor(law, coupling="dense", nodes=5)):
        found = verify(problem, law, network, points=1500, facets=300, generator=numpy_generator(0, "test"))
        assert found.worst <= 1e-9
        assert found.residual <= 1e-9
        assert found.disagreements == 0
        assert found.facets > 200


def test_a_long_horizon_is_exact_too(pendulum):
    problem = replace(pendulum.problem, horizon=30)
    law = yann_rl.solve(problem)
    found = verify(problem, law, YannActor(law), points=400, facets=50, generator=numpy_generator(0, "test"))
    assert found.worst <= 1e-9
    assert found.disagreements == 0
    saturated = np.abs(law.offsets[:, 0]) == 2.0
    assert saturated.sum() > 10
    assert np.abs(law.gains[saturated]).max() < 1e-12


def test_the_pendulums_law_is_the_published_one(pendulum):
    law = pendulum.law
    assert law.regions == 9
    assert law.distinct_laws() == 5
    centre = law.gains[law.locate(np.zeros((1, 2)))[0]]
    assert centre == pytest.approx(np.array([[-11.2455, -6.6511]]), abs=1e-3)


def test_walking_finds_what_enumeration_finds(pendulum):
    explorer = explicit_mpc._Explorer(pendulum.problem)  # the two searches are private
    every, walked = explorer.enumerate(), explorer.walk()
    assert len(every) == len(walked) == 9
    pairs = [
        {(region.gain.round(9).tobytes(), region.offset.round(9).tobytes()) for region in kind}
        for kind in (every, walked)
    ]
    assert pairs[0] == pairs[1]


def test_regions_share_facets_only_and_the_law_is_continuous(pendulum):
    law = pendulum.law
    states = np.random.default_rng(0).uniform(law.state_low, law.state_high, (3000, 2))
    states = states[law.locate(states) >= 0]
    inside = [
        ((states @ law.normals[a:b].T) <= law.limits[a:b] - 1e-9).all(1) for a, b in itertools.pairwise(law.starts)
    ]
    assert np.stack(inside).sum(0).max() == 1
    edge = facet_states(law, states, np.random.default_rng(1))
    near = [law.evaluate(edge + step) for step in ((1e-9, 0.0), (-1e-9, 1e-9))]
    both = np.isfinite(near[0]).all(1) & np.isfinite(near[1]).all(1)
    assert np.abs(near[0] - near[1])[both].max() < 1e-6


def test_look_up_and_network_are_one_function_for_any_big_enough_m(pendulum):
    law = pendulum.law
    states = torch.as_tensor(np.random.default_rng(0).uniform(law.state_low, law.state_high, (500, 2)))
    inside = torch.as_tensor(law.locate(states.numpy()) >= 0)
    table = torch.as_tensor(law.evaluate(states.numpy()))[inside]
    assert torch.allclose(YannNetwork.of(law)(states)[inside], table, atol=1e-12)
    assert yann_rl.big_m(law) > float(table.abs().max())


def test_the_first_of_two_regions_survives_on_a_shared_facet():
    law = PiecewiseAffineLaw(
        np.array([[1.0], [-1.0], [-1.0], [1.0]]), np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 2, 4]),
        np.array([[[1.0]], [[1.0]]]), np.array([[5.0], [5.0]]), np.array([[1.0]]), np.array([-1.0]), np.array([1.0]),
        np.array([-9.0]), np.array([9.0]),
    )  # fmt: skip
    on_facet = torch.zeros(1, 1, dtype=torch.float64)
    assert YannNetwork.of(law)(on_facet).item() == pytest.approx(5.0)  # not 10: both regions hold the state
    assert YannActor(law)(on_facet).item() == pytest.approx(5.0)


@pytest.mark.parametrize(("outside", "expected"), [("zero", 0.0), ("saturate", -2.0), ("lqr", -2.0), ("project", -2.0)])
def test_outside_all_regions_the_rule_decides(pendulum, outside, expected):
    far = torch.tensor([[3.0, 8.0]])
    assert YannActor(pendulum.law, outside=outside)(far).item() == pytest.approx(expected, abs=1e-6)
    for away in (far, torch.tensor([[-19.0, -70.0]])):
        assert YannNetwork.of(pendulum.law)(away).item() == 0.0


def test_a_set_point_shifts_states_and_inputs(pendulum):
    state, move = [1.0, -2.0], [0.5]
    seen = torch.tensor([[0.1, 0.05]], dtype=torch.float64)
    for kind in (YannNetwork.of, YannActor):
        plain = kind(pendulum.law)(seen)
        shifted = kind(pendulum.law, state_set_point=state, input_set_point=move)(seen + torch.tensor(state).double())
        assert torch.allclose(shifted, plain + 0.5, atol=1e-12)


@pytest.mark.parametrize("coupling", ["block", "dense"])
@pytest.mark.parametrize("nodes", [2, 7, 16])
def test_corrections_are_zero_to_the_last_bit_and_all_their_gradients_come_alive(coupling, nodes):
    made = ZeroCorrection(
        3, regions=4, outputs=2, nodes=nodes, coupling=coupling, scale=0.5, generator=generator(0, "test")
    )
    features = torch.rand(64, 3, generator=generator(1, "test")) - 0.5
    region = torch.arange(64) % 4
    assert float(made(features, region).detach().abs().max()) == 0.0
    wanted = torch.rand(64, 2, generator=generator(2, "test"))
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = (made(features, region) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        optimizer.step()
    assert all(float((p.grad != 0).double().mean()) > 0.95 for p in made.parameters() if p.grad is not None)
    assert losses[-1] < 0.7 * losses[0]


def test_only_the_region_of_a_state_is_corrected_when_layers_are_blocks(pendulum):
    actor = YannActor(pendulum.law)
    actor(torch.tensor([[0.0, 0.0]])).sum().backward()
    centre = int(pendulum.law.locate(np.zeros((1, 2)))[0])
    assert actor.correction is not None
    touched = actor.correction.bias_1.grad
    assert touched is not None
    assert touched.abs().sum(1).nonzero().flatten().tolist() == [centre]


def test_corrections_learn_where_the_law_rests_on_a_bound(pendulum):
    """Most regions of a constrained law do, some a rounding error beyond it, where clipping would cut the gradient."""
    law = pendulum.law
    resting = [i for i in range(law.regions) if np.abs(law.gains[i]).max() < 1e-9]
    assert len(resting) == 6
    assert (np.abs(law.offsets[resting]) > law.input_high).any(), "no law is beyond its bound any more"
    spread = np.random.default_rng(0).uniform(law.state_low, law.state_high, (4000, 2))
    for region in resting:
        actor, states = YannActor(law), torch.as_tensor(spread[law.locate(spread) == region])
        (float(np.sign(law.offsets[region, 0])) * actor(states)).sum().backward()  # a descent leads inwards
        assert actor.correction is not None
        gradient = actor.correction.bias_1.grad
        assert gradient is not None
        assert (gradient[region] != 0).any()


def test_clipping_passes_gradients_inside_and_those_that_lead_back():
    move = torch.tensor([-3.0, -2.0, -2.0, 0.0, 0.0, 2.0, 2.0, 3.0, 3.0], requires_grad=True)
    uphill = torch.tensor([1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])  # a descent goes the other way
    low, high = torch.tensor(-2.0), torch.tensor(2.0)
    (yann._clipped(move, low, high) * uphill).sum().backward()
    assert torch.equal(yann._clipped(move, low, high), move.clamp(-2.0, 2.0))
    assert move.grad is not None
    assert move.grad.tolist() == [0.0, 0.0, -1.0, 1.0, -1.0, 1.0, 0.0, 1.0, 0.0]


def test_with_a_critic_that_is_right_the_actor_learns_the_regulator_of_the_plants_own_cost(pendulum):
    """Why training improves: the law minimises other weights than the plant's, and the critic starts at the plant's."""
    config = yann_rl.Config(nodes=16)
    actor, critic = yann_rl.controllers(pendulum, config=config, seed=0)
    measured = pendulum.measured
    p = riccati(measured.a, measured.b, measured.q, measured.r, discount=config.discount)
    gain = torch.as_tensor(feedback(measured.a, measured.b, measured.r, p, discount=config.discount))
    states = (torch.rand(512, 2, generator=generator(0, "test")) - 0.5) * torch.tensor([3.0, 8.0])
    states = states[torch.as_tensor(pendulum.law.locate(states.double().numpy()) >= 0)]
    wanted = (states.double() @ gain.T).clamp(-2.0, 2.0).float()
    before = (actor(states) - wanted).abs().mean().item()
    optimizer = torch.optim.Adam(actor.parameters(), lr=3e-3)
    for _ in range(400):
        optimizer.zero_grad()
        critic.cost(states, actor(states)).mean().backward()
        optimizer.step()
    assert (actor(states) - wanted).abs().mean().item() < 0.25 * before


def test_the_critic_has_no_bellman_residual_on_the_linear_plant(pendulum):
    problem, discount, scale = pendulum.measured, 0.95, 0.1
    critic = YannCritic(problem, discount=discount, cost_scale=scale).double()
    a, b, q, r = (torch.as_tensor(part) for part in (problem.a, problem.b, problem.q, problem.r))
    p = riccati(problem.a, problem.b, problem.q, problem.r, discount=discount)
    best = torch.as_tensor(feedback(problem.a, problem.b, problem.r, p, discount=discount))
    state = torch.rand(50, 2, generator=generator(0, "test"), dtype=torch.float64)
    action = torch.rand(50, 1, generator=generator(1, "test"), dtype=torch.float64)
    cost = scale * (((state @ q) * state).sum(1) + ((action @ r) * action).sum(1))
    following = state @ a.T + action @ b.T
    target = cost + discount * critic.cost(following, following @ best.T)
    assert torch.allclose(critic.cost(state, action), target, atol=1e-5)  # weights are single precision
    assert torch.equal(critic(state, action), -critic.cost(state, action))


def test_the_papers_parameter_counts():
    assert yann_rl.parameter_counts(2, 1, rows=32, regions=7, nodes=16) == (12_880, 2_308)
    assert yann_rl.parameter_counts(4, 1, rows=56, regions=7, nodes=8) == (3_416, 1_904)


def test_the_count_of_trainable_parameters_is_that_of_the_actor(pendulum):
    rows = len(pendulum.law.limits)
    for coupling in ("block", "dense"):
        actor = YannActor(pendulum.law, nodes=6, coupling=coupling)
        counted, _ = yann_rl.parameter_counts(2, 1, rows=rows, regions=9, nodes=6, coupling=coupling)
        assert sum(p.numel() for p in actor.parameters()) == counted


def test_an_empty_feasible_set_gets_one_clear_line():
    shifted = LinearProblem.of(
        [[0.5, 0.0], [0.0, 0.5]], [[1.0], [0.0]], q=np.eye(2), r=[[1.0]], horizon=1,
        state_bounds=[[-1.0, -1.0], [1.0, 1.0]], input_bounds=[[-1.0], [1.0]],
    )  # fmt: skip
    impossible = replace(shifted, state_low=np.array([-1.0, 0.8]))  # 0.5 s <= 0.5 is never >= 0.8
    with pytest.raises(InputError, match=r"state_bounds, input_bounds: got an empty feasible set"):
        yann_rl.solve(impossible)


def test_laws_survive_json_and_misfits_are_refused(pendulum):
    values = pendulum.law.to_json()
    again = PiecewiseAffineLaw.from_json(values)
    assert all(np.array_equal(a, b) for a, b in zip(vars(again).values(), vars(pendulum.law).values(), strict=True))
    with pytest.raises(InputError, match="law"):
        PiecewiseAffineLaw.from_json({**values, "limits": values["limits"][:-1]})
    with pytest.raises(InputError, match="outside"):
        YannActor(pendulum.law, outside="hope")  # type: ignore[arg-type]


def test_without_noise_training_acts_as_the_law_until_the_actor_moves(pendulum):
    config = Config(batch=4, frozen=10, steps=5, updates=10, nodes=4, critic_nodes=4)
    learner = yann_rl.example(config, 0)
    before = {name: value.clone() for name, value in learner.actor.state_dict().items()}
    learner.update()
    learner.update()
    batch = learner.engine.experience.replay.sample(64, generator(0, "test"))
    assert torch.allclose(batch["action"], YannActor(pendulum.law, nodes=0)(batch["observation"]), atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in learner.actor.state_dict().items())
    for _ in range(2):
        learner.update()
    assert not all(torch.equal(value, before[name]) for name, value in learner.actor.state_dict().items())


def test_noise_is_what_was_asked_for():
    config = Config(batch=4, frozen=1000, steps=200, updates=1, noise=0.1, nodes=4, critic_nodes=4)
    learner = yann_rl.example(config, 0)
    learner.update()
    batch = learner.engine.experience.replay.sample(2000, generator(0, "test"))
    inner = batch["action"].abs()[:, 0] < 1.5
    spread = (batch["action"] - learner.actor(batch["observation"]).detach())[inner].std()
    assert float(spread) == pytest.approx(0.2, rel=0.25)  # a tenth of half the range from -2 to 2


def test_violations_are_counted_and_costs_scaled():
    from livepapers.tasks.plants import PlantState
    from livepapers.tasks.reactor import Reactor

    task = yann_rl.WatchedTask(SimulatorTask(Reactor(), 1), 0.01)
    task.reset(0)
    task.task.state = PlantState(torch.tensor([[0.05, 14.9]]))  # type: ignore[attr-defined]
    step = task.step(torch.tensor([[20.0]]))
    assert task.violations == 1
    assert -11.0 < float(step.reward[0]) < -10.0
    with pytest.raises(InputError, match="lanes"):
        yann_rl.WatchedTask(SimulatorTask(ClippedPendulum(), 2), 1.0)


def test_a_program_solver_is_not_needed_to_answer(pendulum):
    """The law holds the answer of each active set: both agree on the active rows of a corner."""
    state = np.array([-0.9, 0.2])
    exact = QuadraticProgram(condense(pendulum.problem)).solve(state)
    assert exact is not None
    assert pendulum.law.evaluate(state[None])[0] == pytest.approx(exact.u[:1], abs=1e-10)
