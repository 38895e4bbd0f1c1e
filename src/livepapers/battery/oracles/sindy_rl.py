"""Oracles of sindy-rl: second implementations and closed forms of the regression, invariances, and learning."""

import functools
import itertools

import numpy as np
import torch
from torch import Tensor

from livepapers.blocks.policies import GreedyPolicy
from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.methods import sindy_rl
from livepapers.methods.sindy_rl import Library, SparseModel, SparseRegression, SurrogateTask
from livepapers.tasks.pendulum_swing_up import CIRCLES, PendulumSwingUp
from livepapers.tasks.vector import SimulatorTask

Comparison = tuple[Tensor | float, Tensor | float, float]
ONCE = SparseRegression(0.05, 0.1, models=1)


def _noisy(name: str, *, rows: int = 300, noise: float = 0.1) -> tuple[Library, Tensor, Tensor, Tensor]:
    """A library, states with one input, and targets of few terms with noise."""
    stream = make_generator(0, "oracle", name)
    state = torch.randn(rows, 3, generator=stream, dtype=torch.float64)
    action = torch.randn(rows, 1, generator=stream, dtype=torch.float64)
    x, y, z = state.T
    exact = torch.stack([x + 0.5 * y * z, 0.8 * y - 0.3 * action[:, 0] * x, z - 0.2 * x.square()], 1)
    return Library(3, 1), state, action, exact + noise * torch.randn(rows, 3, generator=stream, dtype=torch.float64)


def thresholding_is_a_plain_loop() -> Comparison:
    """One output and one solve at a time, on the rows instead of their sums, gives the same coefficients."""
    library, state, action, target = _noisy("loop")
    theta, wanted = library(state, action).numpy(), target.numpy()
    found = np.zeros((theta.shape[1], 3))
    for output in range(3):
        kept = np.ones(theta.shape[1], dtype=bool)
        for _ in range(20):
            part = theta[:, kept]
            ridge = np.linalg.solve(part.T @ part + 0.05 * np.eye(kept.sum()), part.T @ wanted[:, output])
            if (np.abs(ridge) >= 0.1).all():
                break
            kept[kept] = np.abs(ridge) >= 0.1
        found[kept, output] = np.linalg.lstsq(theta[:, kept], wanted[:, output], rcond=None)[0]
    ours = ONCE.fit(library(state, action), target, generator=make_generator(0, "oracle"))[0]
    return ours, torch.from_numpy(found), 1e-10


def lorenz_is_found_exactly() -> Comparison:
    """Euler steps of the Lorenz system give back its coefficients, sigma = 10, rho = 28, beta = 8 / 3."""
    state = 10.0 * torch.randn(400, 3, generator=make_generator(0, "oracle", "lorenz"), dtype=torch.float64)
    x, y, z = state.T
    dt = 0.01
    after = state + dt * torch.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z], 1)
    made = SparseRegression(1e-6, 5e-3, models=5).fit(Library(3)(state), after, generator=make_generator(0, "oracle"))
    expected = torch.zeros(9, 3, dtype=torch.float64)  # x, y, z, xx, xy, xz, yy, yz, zz
    expected[0, 0], expected[1, 0] = 1.0 - 10.0 * dt, 10.0 * dt
    expected[0, 1], expected[1, 1], expected[5, 1] = 28.0 * dt, 1.0 - dt, -dt
    expected[2, 2], expected[4, 2] = 1.0 - 8.0 / 3.0 * dt, dt
    return sindy_rl.median(made), expected, 1e-10


def the_spread_is_that_of_the_members() -> Comparison:
    """The closed form is the standard deviation of the members' predictions, each evaluated."""
    library, state, action, target = _noisy("spread", noise=0.5)
    regression = SparseRegression(1e-3, 0.02, models=12)
    ensemble = regression.fit(library(state, action), target, generator=make_generator(0, "oracle", "bags"))
    model = SparseModel(library, ensemble)
    each = torch.stack([library(state, action) @ member.float().double() for member in ensemble])
    return model.spread(state, action), each.std(0), 1e-6


def equations_are_what_the_surrogate_steps_by() -> Comparison:
    """Ten surrogate steps are ten evaluations of x' = 0.9 x + 0.1 y, y' = y - 0.2 x y + 0.05 x u, written out."""
    library, coefficients = Library(2, 1), torch.zeros(1, 11, 2)
    for term, output, value in ((0, 0, 0.9), (1, 0, 0.1), (1, 1, 1.0), (3, 1, -0.2), (6, 1, 0.05)):
        coefficients[0, term, output] = value  # x, y, xx, xy, yy, u, x u, y u ...
    world = PendulumSwingUp()
    task = SurrogateTask(
        world.observation_space, world.action_space, starts=torch.tensor([[0.5, -0.3]]), circles=(), lanes=4,
        bounds=(torch.full((2,), -9.0), torch.full((2,), 9.0)), horizon=1000,
    )  # fmt: skip
    task.learn(SparseModel(library, coefficients), lambda *_: torch.zeros(4), states=torch.zeros(1, 2), lost=0.0)
    task.reset(0)
    x, y = 0.5, -0.3
    reached = torch.zeros(4, 2)
    for step in range(10):
        u = 0.3 * step - 1.0
        reached = task.step(torch.full((4, 1), u)).final
        x, y = 0.9 * x + 0.1 * y, y - 0.2 * x * y + 0.05 * x * u
    return reached, torch.tensor([[x, y]]).expand(4, 2), 1e-5


def rows_may_stand_in_any_order() -> Comparison:
    """Permuting the rows changes no coefficient."""
    library, state, action, target = _noisy("rows")
    theta, order = library(state, action), torch.randperm(300, generator=make_generator(0, "oracle", "order"))
    fits = [ONCE.fit(theta[rows], target[rows], generator=make_generator(0, "oracle")) for rows in (order, slice(None))]
    return fits[0], fits[1], 1e-10


def states_may_be_listed_in_any_order() -> Comparison:
    """Another order of the states gives the same prediction, its columns moved."""
    library, state, action, target = _noisy("states")
    moved = [2, 0, 1]
    values = []
    for columns in ([0, 1, 2], moved):
        made = ONCE.fit(library(state[:, columns], action), target[:, columns], generator=make_generator(0, "oracle"))
        values.append(library(state[:, columns], action) @ made[0])
    return values[1], values[0][:, moved], 1e-9


def units_do_not_matter_when_scaled() -> Comparison:
    """With unit spreads, a state in millimetres is thresholded as one in metres."""
    library, state, action, target = _noisy("units")
    regression = SparseRegression(0.05, 0.05, models=6, scaled=True)
    unit = torch.tensor([1000.0, 1.0, 0.01], dtype=torch.float64)
    values = []
    for size in (torch.ones(3, dtype=torch.float64), unit):
        theta = library(state * size, action)
        made = regression.fit(theta, target * size, generator=make_generator(0, "oracle", "bags"))
        values.append(theta @ sindy_rl.median(made) / size)
    return values[1], values[0], 1e-8


def without_threshold_and_ridge_it_is_least_squares() -> Comparison:
    """Alpha = lambda = 0 on all rows is ordinary least squares."""
    library, state, action, target = _noisy("least squares")
    theta = library(state, action)
    made = SparseRegression(0.0, 0.0, models=1).fit(theta, target, generator=make_generator(0, "oracle"))
    return made[0], torch.linalg.lstsq(theta, target).solution, 1e-9


def without_threshold_it_is_ridge() -> Comparison:
    """Lambda = 0 with the bias kept is ridge regression in closed form."""
    library, state, action, target = _noisy("ridge")
    theta = library(state, action)
    made = SparseRegression(3.0, 0.0, models=1, bias=True).fit(theta, target, generator=make_generator(0, "oracle"))
    expected = torch.linalg.solve(theta.T @ theta + 3.0 * torch.eye(theta.shape[1]), theta.T @ target)
    return made[0], expected, 1e-10


def a_linear_network_is_its_own_dictionary() -> Comparison:
    """Rewriting a network without hidden layers gives back its weights, and no other term."""
    world = PendulumSwingUp()
    teacher = GreedyPolicy(world.observation_space, world.action_space, hidden=(), activation="tanh", normalise=False)
    with torch.no_grad():
        teacher.actor.network.layers[-1].weight.copy_(torch.tensor([[0.3, -0.2, 0.05]]))  # type: ignore[union-attr, operator]
    learner = _learner(0, updates=1)
    learner.update()
    config = replace(learner.config, policy_states=400)
    stream = make_generator(0, "oracle", "dictionary")
    policy, _ = sindy_rl.distil(teacher, learner.surrogate, config=config, generator=stream)
    expected = torch.zeros(19, 1)
    expected[:3, 0] = 2.0 * torch.tensor([0.3, -0.2, 0.05])  # means are in half-widths of +-2
    return policy.coefficients, expected, 1e-4


def _learner(seed: int, **changes: object) -> sindy_rl.SindyRL:
    """The pendulum with a budget of seconds: 1,600 random steps, and 200 more at each of three collections."""
    config = replace(
        sindy_rl.Config(), offline=1600, collect=200, online=1200, refit_every=3, horizon=200, updates=10, lanes=32,
        steps=64, epochs=6, minibatches=4, learning_rate=3e-3, discount=0.95, hidden=(32, 32), stored=0.5, models=10,
        rollback=0.0,
    )  # fmt: skip
    config = replace(config, **changes)
    known = sindy_rl.Known(circles=CIRCLES)
    return sindy_rl.SindyRL(SimulatorTask(PendulumSwingUp(), 1), config=config, seed=seed, known=known)


@functools.cache
def _loss(seed: int, degree: int = 2) -> float:
    """Minus the real return of the kept policy on 64 fresh episodes."""
    learner = _learner(seed, degree=degree)
    for _ in range(learner.config.updates):
        learner.update()
    return -_return(learner.best_policy(), seed)


def _return(act: sindy_rl.Act, seed: int) -> float:
    task = SimulatorTask(PendulumSwingUp(), 64)
    return sindy_rl.interact(task, act, steps=64 * 200, seed=1000 + seed).returns


def _random(seed: int) -> float:
    act = sindy_rl.random_actions(PendulumSwingUp.action_space, make_generator(seed, "oracle", "random"))
    return -_return(act, seed)


def _coefficient_error(seed: int, threshold: float) -> float:
    """Distance of the median coefficients of a noisy oscillator from the true ones."""
    stream = make_generator(seed, "oracle", "oscillator")
    state = torch.randn(200, 2, generator=stream, dtype=torch.float64)
    x, y = state.T
    exact = torch.stack([x + 0.1 * y, y - 0.1 * x + 0.1 * y * (1.0 - x.square())], 1)
    target = exact + 0.02 * torch.randn(200, 2, generator=stream, dtype=torch.float64)
    library = Library(2, degree=3)
    made = SparseRegression(1e-4, threshold).fit(library(state), target, generator=stream)
    expected = torch.zeros(len(library), 2, dtype=torch.float64)
    places = {m: i for i, m in enumerate(library.monomials)}
    for (output, monomial), value in zip(
        itertools.chain(((0, m) for m in ((0,), (1,))), ((1, m) for m in ((0,), (1,), (0, 0, 1)))),
        (1.0, 0.1, -0.1, 1.1, -0.1),
        strict=True,
    ):
        expected[places[monomial], output] = value
    return float((sindy_rl.median(made) - expected).norm())


REFERENCES = {
    "thresholding is a plain loop": thresholding_is_a_plain_loop,
    "Lorenz is found exactly": lorenz_is_found_exactly,
    "the spread is that of the members": the_spread_is_that_of_the_members,
    "equations are what the surrogate steps by": equations_are_what_the_surrogate_steps_by,
}
INVARIANCES = {
    "order of rows": rows_may_stand_in_any_order,
    "order of states": states_may_be_listed_in_any_order,
    "units": units_do_not_matter_when_scaled,
}
REDUCTIONS = {
    "without threshold and ridge it is least squares": without_threshold_and_ridge_it_is_least_squares,
    "without threshold it is ridge": without_threshold_it_is_ridge,
    "a linear network is its own dictionary": a_linear_network_is_its_own_dictionary,
}
FLOORS = {"random actions": lambda seed: (_loss(seed), _random(seed))}
ABLATIONS = {
    "the threshold": lambda seed: (_coefficient_error(seed, 0.05), _coefficient_error(seed, 0.0)),
    "products of states in the dictionary": lambda seed: (_loss(seed), _loss(seed, degree=1)),
}
