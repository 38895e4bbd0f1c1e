"""The linear designs that come with the paper: model, bounds, weights, and the law that they make."""

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from livepapers.baselines.linear_problem import LinearProblem
from livepapers.methods.yann_rl.explicit_mpc import PiecewiseAffineLaw, solve
from livepapers.tasks import reactor
from livepapers.tasks.plants import linearise


@dataclass(frozen=True, eq=False)
class Design:
    """A linear MPC and what is measured on the plant."""

    problem: LinearProblem  # what the law minimises
    law: PiecewiseAffineLaw
    measured: LinearProblem  # the same model with the plant's own cost weights


@functools.cache
def pendulum_design() -> Design:
    """Setting 4a: the published matrices (zero-order hold at upright), N = 2, Q = I, R = 0.001."""
    problem = LinearProblem.of(
        [[1.0188, 0.0503], [0.7547, 1.0188]], [[0.0038], [0.1509]], q=np.eye(2), r=[[0.001]], horizon=2,
        state_bounds=[[-2.0, -8.0], [2.0, 8.0]], input_bounds=[[-2.0], [2.0]],
    )  # fmt: skip
    return Design(problem, solve(problem), replace(problem, q=np.diag([1.0, 0.1])))


@functools.cache
def reactor_design() -> Design:
    """Setting 4c: the model by differentiation at the operating point; N = 3, 15 K to the safety limit as a bound."""
    a, b = linearise(reactor.derivative, np.zeros(2), np.zeros(1), step=reactor.STEP)
    hottest = reactor.HOTTEST - reactor.TEMPERATURE
    problem = LinearProblem.of(
        a, b, q=np.diag([100.0, 0.01]), r=[[0.001]], horizon=3,
        state_bounds=[[-0.5, -30.0], [0.5, hottest]],
        input_bounds=[[-reactor.WIDEST_COOLING], [reactor.WIDEST_COOLING]],
    )  # fmt: skip
    return Design(problem, solve(problem), problem)


@functools.cache
def published_reactor_design() -> Design:
    """Setting 4b: the paper's own reactor, of which only the linear model is given; 7 regions."""
    a = [[0.9506, 0, 0, 0], [-0.0484, 0.9943, 0, 0], [0, 0, 0.9909, 0], [0.6970, 0.0678, 0, 1.0030]]
    problem = LinearProblem.of(
        a, [[0.0], [0.0], [0.0], [-0.0007]], q=0.1 * np.eye(4), r=[[1e-4]], horizon=2,
        state_bounds=[[-2.0, -2.0, -2.0, -70.0], [2.0, 2.0, 2.0, 5.0]], input_bounds=[[-55.0], [55.0]],
    )  # fmt: skip
    return Design(problem, solve(problem), problem)


@functools.cache
def double_integrator_design() -> Design:
    """A cart without friction, N = 10: 43 regions."""
    problem = LinearProblem.of(
        [[1.0, 1.0], [0.0, 1.0]], [[0.5], [1.0]], q=np.eye(2), r=[[0.1]], horizon=10,
        state_bounds=[[-5.0, -5.0], [5.0, 5.0]], input_bounds=[[-1.0], [1.0]],
    )  # fmt: skip
    return Design(problem, solve(problem), problem)


def two_masses_problem(horizon: int) -> LinearProblem:
    """Two masses and three springs, the first mass pushed, 0.3 s a step: 4 states and, with N = 8, 2,858 regions."""
    import scipy.signal

    continuous = np.array([[0, 1, 0, 0], [-2, 0, 1, 0], [0, 0, 0, 1], [1, 0, -2, 0]], dtype=np.float64)
    push = np.array([[0.0], [1.0], [0.0], [0.0]])
    held: Any = scipy.signal.cont2discrete((continuous, push, np.eye(4), np.zeros((4, 1))), 0.3)
    return LinearProblem.of(
        held[0], held[1], q=np.eye(4), r=[[0.05]], horizon=horizon, state_bounds=[[-4.0] * 4, [4.0] * 4],
        input_bounds=[[-0.5], [0.5]],
    )  # fmt: skip
