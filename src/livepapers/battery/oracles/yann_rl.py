"""Oracles of yann-rl: the quadratic program, Bellman's equation, symmetries, and what the exact start is worth."""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from livepapers.baselines.linear_mpc import QuadraticProgram, condense
from livepapers.baselines.linear_problem import LinearProblem, feedback, riccati
from livepapers.baselines.plain_controllers import PlainActor, PlainCritic
from livepapers.core.config import replace as change
from livepapers.core.rng import generator as make_generator
from livepapers.core.rng import numpy_generator
from livepapers.methods import yann_rl
from livepapers.methods.yann_rl import Config, YannActor, YannCritic, YannDDPG, YannNetwork
from livepapers.methods.yann_rl.verification import facet_states
from livepapers.tasks.pendulum import ClippedPendulum
from livepapers.tasks.plants import run
from livepapers.tasks.vector import SimulatorTask

Comparison = tuple[Tensor | float, Tensor | float, float]


def _states(name: str, count: int = 400) -> np.ndarray:
    """Random states of the pendulum's box that lie in a region, and as many on facets."""
    law, stream = yann_rl.pendulum_design().law, numpy_generator(0, "oracle", name)
    states = law.state_low + stream.random((count, 2)) * (law.state_high - law.state_low)
    states = states[law.locate(states) >= 0]
    return np.concatenate([states, facet_states(law, states, stream)])


def network_equals_the_quadratic_program() -> Comparison:
    """The literal network on random and facet states against a solver of the program that knows no regions."""
    design = yann_rl.pendulum_design()
    states = _states("exact")
    exact = QuadraticProgram(condense(design.problem)).first_inputs(states, 1)
    value = YannNetwork.of(design.law)(torch.as_tensor(states))
    kept = torch.as_tensor(exact.feasible)
    return value[kept], torch.as_tensor(exact.moves)[kept], 1e-9


def critic_solves_bellmans_equation() -> Comparison:
    """On the linear plant Q(s, u) = c(s, u) + g Q(s', K s') for every s and u, K the greedy gain."""
    problem, discount = yann_rl.pendulum_design().measured, 0.9
    critic = YannCritic(problem, discount=discount, cost_scale=0.1).double()
    p = riccati(problem.a, problem.b, problem.q, problem.r, discount=discount)
    best = torch.as_tensor(feedback(problem.a, problem.b, problem.r, p, discount=discount))
    a, b, q, r = (torch.as_tensor(part) for part in (problem.a, problem.b, problem.q, problem.r))
    stream = make_generator(0, "oracle", "bellman")
    state, action = (torch.rand(64, width, generator=stream, dtype=torch.float64) for width in (2, 1))
    following = state @ a.T + action @ b.T
    cost = 0.1 * (((state @ q) * state).sum(1) + ((action @ r) * action).sum(1))
    with torch.no_grad():
        return critic.cost(state, action), cost + discount * critic.cost(following, following @ best.T), 1e-5


def inputs_of_the_untrained_actor_are_the_networks() -> Comparison:
    """Zero corrections: the trainable actor is the literal network, to rounding."""
    law, states = yann_rl.pendulum_design().law, torch.as_tensor(_states("actor"))
    actor = YannActor(law, nodes=16, coupling="dense", generator=make_generator(0, "oracle", "dense"))
    with torch.no_grad():
        return actor(states), YannNetwork.of(law)(states), 1e-11


def without_bounds_it_is_the_regulator() -> Comparison:
    """Where no bound binds the law is u = K s."""
    design = yann_rl.pendulum_design()
    states = 0.05 * torch.rand(100, 2, generator=make_generator(0, "oracle", "regulator"), dtype=torch.float64)
    return YannNetwork.of(design.law)(states), states @ torch.as_tensor(design.problem.gain()).T, 1e-11


def horizon_one_without_state_bounds_clips_the_gain() -> Comparison:
    """One input, N = 1, states that cannot leave: the program's answer is the clipped regulator, region by region."""
    problem = LinearProblem.of(
        [[0.9, 0.2], [0.0, 0.8]], [[0.1], [0.3]], q=np.eye(2), r=[[0.05]], horizon=1,
        state_bounds=[[-50.0, -50.0], [50.0, 50.0]], input_bounds=[[-1.0], [1.0]],
    )  # fmt: skip
    states = 10.0 * torch.rand(200, 2, generator=make_generator(0, "oracle", "one"), dtype=torch.float64) - 5.0
    clipped = torch.clamp(states @ torch.as_tensor(problem.gain()).T, -1.0, 1.0)
    return YannNetwork.of(yann_rl.solve(problem))(states), clipped, 1e-10


def order_of_states_in_a_batch() -> Comparison:
    """Permuting the batch permutes the inputs."""
    actor = YannActor(yann_rl.pendulum_design().law)
    states = torch.as_tensor(_states("order")).float()
    rows = torch.randperm(len(states), generator=make_generator(0, "oracle", "rows"))
    with torch.no_grad():
        return actor(states[rows]), actor(states)[rows], 1e-6


def mirror_image_of_the_pendulum() -> Comparison:
    """Bounds and model are symmetric, so is the law: u(-s) = -u(s)."""
    network = YannNetwork.of(yann_rl.pendulum_design().law)
    states = torch.as_tensor(_states("mirror"))
    return network(-states), -network(states), 1e-9


def unit_of_the_states() -> Comparison:
    """Measuring the angle in hundredths changes the model's numbers and not the input."""
    problem = yann_rl.pendulum_design().problem
    unit = np.diag([100.0, 1.0])
    back = np.linalg.inv(unit)
    other = replace(
        problem, a=unit @ problem.a @ back, b=unit @ problem.b, q=back @ problem.q @ back,
        state_low=unit @ problem.state_low, state_high=unit @ problem.state_high,
    )  # fmt: skip
    states = torch.as_tensor(_states("unit", 200)[:100])
    plain, scaled = YannNetwork.of(yann_rl.pendulum_design().law), YannNetwork.of(yann_rl.solve(other))
    return scaled(states @ torch.as_tensor(unit)), plain(states), 1e-7


def _critic_loss() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The critic's squared error as a function of its weights, in double precision."""
    critic = YannCritic(yann_rl.pendulum_design().measured, discount=0.9, cost_scale=0.1, nodes=4, scale=0.5).double()
    stream = make_generator(0, "oracle", "critic")
    state, action = (torch.rand(5, width, generator=stream, dtype=torch.float64) for width in (2, 1))
    names = [name for name, _ in critic.named_parameters()]
    weights = tuple(value.detach().clone().requires_grad_(True) for _, value in critic.named_parameters())

    def loss(*values: Tensor) -> Tensor:
        return functional_call(critic, dict(zip(names, values, strict=True)), (state, action)).square().mean()

    return loss, weights


def _correction_loss() -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """A correction's output as a function of its weights, away from zero, in double precision."""
    made = yann_rl.ZeroCorrection(
        2, regions=3, outputs=1, nodes=5, coupling="block", scale=0.7, generator=make_generator(0, "oracle", "zero")
    ).double()
    stream = make_generator(1, "oracle", "features")
    features, region = torch.rand(6, 2, generator=stream, dtype=torch.float64), torch.arange(6) % 3
    names = [name for name, _ in made.named_parameters()]
    shaken = [
        value.detach() + 0.1 * torch.rand(value.shape, generator=stream).double()
        for _, value in made.named_parameters()
    ]
    weights = tuple(value.clone().requires_grad_(True) for value in shaken)

    def loss(*values: Tensor) -> Tensor:
        return functional_call(made, dict(zip(names, values, strict=True)), (features, region)).square().mean()

    return loss, weights


_SHORT = change(
    Config(),
    steps=20,
    updates=8,
    frozen=20,
    nodes=8,
    critic_nodes=16,
    batch=32,
    capacity=1000,
    actor_rate=1e-5,
    critic_rate=1e-4,
)


@functools.cache
@functools.cache
def _trained_cost(seed: int, *, start: str) -> float:
    """Mean test cost after 160 steps of training from the exact actor and critic, or from random ones."""
    design = yann_rl.pendulum_design()
    actor, critic = yann_rl.controllers(design, config=_SHORT, seed=seed)
    stream = make_generator(seed, "oracle", "plain")
    if start == "random":
        plain = PlainActor([1.0, 8.0], low=[-2.0], high=[2.0], hidden=(32, 32), generator=stream)
        rival = PlainCritic([1.0, 8.0], strength=[2.0], hidden=(32, 32), generator=stream)
        learner = YannDDPG(SimulatorTask(ClippedPendulum(), 1), plain, rival, config=_SHORT, seed=seed)
    else:
        learner = YannDDPG(SimulatorTask(ClippedPendulum(), 1), actor, critic, config=_SHORT, seed=seed)
    for _ in range(_SHORT.updates):
        learner.update()
    plant = ClippedPendulum()
    return float(run(plant, learner.actor, plant.test_starts()).cost.mean())


@functools.cache
def _floor_cost() -> float:
    """The motor at rest."""
    plant = ClippedPendulum()
    return float(run(plant, lambda seen: torch.zeros(len(seen), 1), plant.test_starts()).cost.mean())


REFERENCES = {
    "the network equals the quadratic program": network_equals_the_quadratic_program,
    "the critic solves Bellman's equation on the linear plant": critic_solves_bellmans_equation,
    "one step ahead is the clipped regulator": horizon_one_without_state_bounds_clips_the_gain,
}
INVARIANCES = {
    "order of states": order_of_states_in_a_batch,
    "mirror image": mirror_image_of_the_pendulum,
    "unit of a state": unit_of_the_states,
}
REDUCTIONS = {
    "untrained, the actor is the network": inputs_of_the_untrained_actor_are_the_networks,
    "where nothing binds, the network is the regulator": without_bounds_it_is_the_regulator,
}
LOSSES = {"critic": _critic_loss, "correction": _correction_loss}
FLOORS = {"the motor at rest": lambda seed: (_trained_cost(seed, start="exact"), _floor_cost())}
ABLATIONS = {
    "exact start against a random one": lambda seed: (
        _trained_cost(seed, start="exact"),
        _trained_cost(seed, start="random"),
    )
}
