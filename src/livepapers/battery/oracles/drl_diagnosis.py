"""Oracles of drl-diagnosis: linear networks, symmetries, and what the direction and the regulariser are worth."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.methods import drl_diagnosis as method
from livepapers.methods.drl_diagnosis.direction import Values, signed
from livepapers.tasks.minatar import Breakout
from livepapers.tasks.vector import SimulatorTask

Comparison = tuple[Tensor | float, Tensor | float, float]
WIDTH, ACTIONS = 7, 4


def _linear() -> tuple[Tensor, Values]:
    weight = torch.randn(ACTIONS, WIDTH, generator=make_generator(0, "oracle", "weights"))
    return weight.double(), lambda x: x @ weight.T


def _states(count: int = 50, name: str = "states") -> Tensor:
    return torch.randn(count, WIDTH, generator=make_generator(0, "oracle", name))


def _curved(x: Tensor) -> Tensor:
    """A network that is not linear."""
    weight = torch.randn(ACTIONS, WIDTH, generator=make_generator(0, "oracle", "curved"))
    return torch.tanh(x @ weight.T) + 0.1 * (x @ weight.T).square()


def linear_gradients_in_closed_form() -> Comparison:
    """w(s) = W^T (pi - e_a*) / T."""
    weight, values = _linear()
    states = _states()
    logits = states.double() @ weight.T / 2.0
    target = functional.one_hot(logits.argmax(1), ACTIONS)
    return (
        method.decision_gradient(values, states, temperature=2.0).rows,
        (logits.softmax(1) - target) @ weight / 2,
        1e-6,
    )


def curved_gradients_by_differences() -> Comparison:
    """Along a random direction, the loss at a fixed target changes as its gradient says."""
    states, step = _states().double(), 1e-4
    along = functional.normalize(_states(name="along").double(), dim=1)
    target = _curved(states.float()).argmax(1)

    def loss(x: Tensor) -> Tensor:
        weight = torch.randn(ACTIONS, WIDTH, generator=make_generator(0, "oracle", "curved")).double()
        q = torch.tanh(x @ weight.T) + 0.1 * (x @ weight.T).square()
        return functional.cross_entropy(q, target, reduction="none")

    slope = (loss(states + step * along) - loss(states - step * along)) / (2.0 * step)
    return (method.decision_gradient(_curved, states).rows * along).sum(1), slope, 1e-4


def direction_by_search() -> Comparison:
    """No direction among many has a larger sum of squared products than G, which attains its eigenvalue."""
    states = _states()
    rows = method.decision_gradient(_curved, states).rows
    found = method.principal_direction(_curved, states)
    tried = functional.normalize(
        torch.randn(20_000, WIDTH, generator=make_generator(0, "oracle", "try")).double(), dim=1
    )
    best = float((tried @ rows.T).square().sum(1).max())
    own = float((rows @ found.direction).square().sum())
    return torch.tensor([own, min(best - own, 0.0)]), torch.tensor([float(found.eigenvalues[0]), best - own]), 1e-5


def solvers_agree() -> Comparison:
    """The matrix of inputs and the matrix of states have the same leading direction."""
    states = _states(5)
    one, other = (method.principal_direction(_curved, states, solver=name) for name in ("moments", "gram"))
    return one.direction, other.direction, 1e-6


def bounds_of_one_layer() -> Comparison:
    """Intervals through no hidden layer: the margin plus the radius times the l1 distance of the weights."""
    weight, values = _linear()
    network = method.ConvValues((1, 1, 1), ACTIONS, layers=(), hidden=1, generator=make_generator(0, "oracle", "net"))
    network.features, layer = nn.Sequential(nn.Flatten()), nn.Linear(WIDTH, ACTIONS)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.zero_()
    network.advantage = layer
    states = _states()
    q = values(states).double()
    best = q.argmax(1)
    exact = q - q.gather(1, best[:, None]) + 0.2 * (weight[None] - weight[best][:, None]).abs().sum(2)
    with torch.no_grad():
        found = network.margins_above(states - 0.2, states + 0.2, best)
    return found.double(), exact, 1e-5


def order_of_states() -> Comparison:
    """Permuting the states changes nothing."""
    states = _states()
    one, other = (method.principal_direction(_curved, each).direction for each in (states, states.flip(0)))
    return one, other, 1e-6


def order_of_actions() -> Comparison:
    """Renaming the actions changes nothing."""
    states = _states()
    one = method.principal_direction(_curved, states).direction
    return one, method.principal_direction(lambda x: _curved(x).flip(1), states).direction, 1e-6


def added_value() -> Comparison:
    """What is added to all actions alike, however it depends on the state, moves no decision."""
    states = _states()
    one = method.decision_gradient(_curved, states).rows
    return (
        method.decision_gradient(lambda x: _curved(x) + 3.0 * x.square().sum(1, keepdim=True), states).rows,
        one,
        1e-5,
    )


def rotated_inputs() -> Comparison:
    """In rotated coordinates the direction is the rotated direction, and quotients are the same."""
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=make_generator(0, "oracle", "turn")).double()).Q.float()
    one, two = _states(name="one"), _states(name="two")
    plain = [method.principal_direction(_curved, each) for each in (one, two)]
    turned = [method.principal_direction(lambda x: _curved(x @ turn.T), each @ turn) for each in (one, two)]
    return method.quotient(turned[0], turned[1].direction), method.quotient(plain[0], plain[1].direction), 1e-4


def a_set_beside_itself() -> Comparison:
    """Lambda(S, S) = 1."""
    found = method.principal_direction(_curved, _states())
    return method.quotient(found, -2.0 * found.direction), 1.0, 1e-9


def one_state() -> Comparison:
    """With one state the direction is its normalised gradient: a saliency map."""
    states = _states(1)
    rows = method.decision_gradient(_curved, states).rows
    return (
        method.principal_direction(_curved, states).direction,
        signed(functional.normalize(rows))[0],
        1e-6,
    )


def without_a_ball() -> Comparison:
    """Radius 0: the bound is the margin itself."""
    network = _network(0)
    states = (torch.rand(5, 4, 10, 10, generator=make_generator(0, "oracle", "pictures")) < 0.2).float()
    with torch.no_grad():
        q = network(states)
        best = q.argmax(1)
        return network.margins_above(states, states, best), q - q.gather(1, best[:, None]), 1e-5


def _regulariser() -> tuple[Callable[[Tensor], Tensor], tuple[Tensor]]:
    margins = torch.randn(6, ACTIONS, generator=make_generator(0, "oracle", "margins"), dtype=torch.float64)
    best = torch.zeros(6, dtype=torch.int64)
    return lambda x: method.adversarial_regulariser(x, best, cap=1.0), (margins.requires_grad_(True),)


def _network(seed: int) -> method.ConvValues:
    return method.ConvValues((4, 10, 10), 3, layers=((4, 3, 1),), hidden=16, generator=make_generator(seed, "oracle"))


def _hidden_feature(seed: int) -> tuple[method.Direction, Tensor, Tensor]:
    """A network whose decision hangs on one input, with either sign: (direction, gradients, the input's axis)."""
    width = 30
    states = torch.randn(400, width, generator=make_generator(seed, "oracle", "hidden"))
    small = 0.05 * torch.randn(width, generator=make_generator(seed, "oracle", "small"))

    def values(x: Tensor) -> Tensor:
        across = x[:, seed % width] * x[:, (seed + 1) % width].sign() + (x * small).sum(1)
        return torch.stack([across, -across], 1)

    return (
        method.principal_direction(values, states),
        method.decision_gradient(values, states).rows,
        torch.eye(width)[seed % width],
    )


def _found(seed: int) -> float:
    made, _, axis = _hidden_feature(seed)
    return -method.squared_cosine(made.direction, axis)


def _by_the_mean(seed: int) -> float:
    _, rows, axis = _hidden_feature(seed)
    return -method.squared_cosine(rows.mean(0), axis)


def _at_random(seed: int) -> float:
    _, _, axis = _hidden_feature(seed)
    return -method.squared_cosine(torch.randn(30, generator=make_generator(seed, "oracle", "random")), axis)


_SHORT = replace(
    method.Config(), layers=((4, 3, 1),), hidden=16, steps=1536, capacity=1536, warm_up=100, target_every=100,
    rate=1e-3, weight=0.1, radius=0.05, radius_from=0.0, radius_until=0.5,
)  # fmt: skip


@functools.cache
def _fragile(seed: int, regime: str) -> float:
    """Share of states of random play whose best action is not certified within 0.02, after a short training."""
    config = replace(_SHORT, regime=regime)
    learner = method.RobustQLearning(SimulatorTask(Breakout(200), config.lanes), config=config, seed=seed)
    for _ in range(method.updates_of(config)):
        learner.update()
    states = method.collect(None, Breakout(200), episodes=16, seed=seed).states
    return 1.0 - method.certified_share(learner.trained.network, states, radius=0.02)


REFERENCES = {
    "gradients of a linear network": linear_gradients_in_closed_form,
    "gradients by finite differences": curved_gradients_by_differences,
    "no direction is better": direction_by_search,
    "matrices of inputs and of states": solvers_agree,
    "interval bounds of one layer": bounds_of_one_layer,
}
INVARIANCES = {
    "order of states": order_of_states,
    "order of actions": order_of_actions,
    "what all actions share": added_value,
    "rotated inputs": rotated_inputs,
}
REDUCTIONS = {
    "a set beside itself": a_set_beside_itself,
    "one state is a saliency map": one_state,
    "a ball of radius nought": without_a_ball,
}
LOSSES = {"adversarial regulariser": _regulariser}
FLOORS = {"a random direction": lambda seed: (_found(seed), _at_random(seed))}
ABLATIONS = {
    "the mean gradient instead of the second moment": lambda seed: (_found(seed), _by_the_mean(seed)),
    "training without the regulariser": lambda seed: (_fragile(seed, "interval"), _fragile(seed, "plain")),
}
