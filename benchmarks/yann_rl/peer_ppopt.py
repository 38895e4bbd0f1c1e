"""PPOPT on the same problems: its multi-parametric solver, and its point location, which takes one state at a time."""

import contextlib
import io
import json
import platform
import statistics
import time
from importlib import metadata

import numpy as np
import scipy.linalg
from ppopt.mp_solvers.solve_mpqp import mpqp_algorithm, solve_mpqp
from ppopt.mpqp_program import MPQP_Program

STATES = 1000
PENDULUM = {
    "a": [[1.0188, 0.0503], [0.7547, 1.0188]], "b": [[0.0038], [0.1509]], "r": 0.001, "steps": 2,
    "states": [2.0, 8.0], "inputs": 2.0,
}  # fmt: skip
CART = {"a": [[1.0, 1.0], [0.0, 1.0]], "b": [[0.5], [1.0]], "r": 0.1, "steps": 5, "states": [5.0, 5.0], "inputs": 1.0}


def program(a, b, r, steps, states, inputs) -> MPQP_Program:
    """Min 1/2 u'Hu + (Z s)'u, G u <= W + S s: as in livepapers.baselines.linear_mpc, written out for one input."""
    a, b = np.array(a), np.array(b)
    size, q, weight = len(a), np.eye(len(a)), np.array([[r]])
    last = scipy.linalg.solve_discrete_are(a, b, q, weight)
    powers = [np.linalg.matrix_power(a, k) for k in range(steps + 1)]
    free = np.vstack(powers[1:])
    forced = np.zeros((steps * size, steps))
    for t in range(steps):
        for k in range(t + 1):
            forced[t * size : (t + 1) * size, k : k + 1] = powers[t - k] @ b
    cost = scipy.linalg.block_diag(*[q] * (steps - 1), last)
    hessian = 2 * (forced.T @ cost @ forced + r * np.eye(steps))
    linear = 2 * forced.T @ cost @ free
    rows = np.vstack([np.eye(steps), -np.eye(steps), forced, -forced])
    slope = np.vstack([np.zeros((2 * steps, size)), -free, free])
    limit = np.concatenate([np.full(2 * steps, inputs), np.tile(states, 2 * steps)])[:, None]
    box, edges = np.vstack([np.eye(size), -np.eye(size)]), np.tile(states, 2)[:, None]
    return MPQP_Program(rows, limit, np.zeros((steps, 1)), linear, hessian, box, edges, slope)


def solve(problem):
    with contextlib.redirect_stdout(io.StringIO()):  # it announces itself and its licence
        return solve_mpqp(program(**problem), mpqp_algorithm.combinatorial)


def main() -> None:
    versions = {name: metadata.version(name) for name in ("ppopt", "numpy")} | {"python": platform.python_version()}
    solve(PENDULUM)  # the first call compiles
    lines = []
    for figure, problem, repeats in (
        ("explicit law, pendulum, N = 2", PENDULUM, 3),
        ("explicit law, double integrator, N = 5", CART, 1),
    ):
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            solution = solve(problem)
            seconds.append(time.perf_counter() - start)
        check = round(float(solution.evaluate(np.array([[0.1], [-0.2]]))[0, 0]), 6)
        lines.append({"figure": figure, "value": statistics.median(seconds), "unit": "s", "check": check})
    solution = solve(PENDULUM)
    states = [state[:, None] for state in np.random.default_rng(0).uniform(-0.5, 0.5, (STATES, 2))]
    rounds = []
    for _ in range(7):
        start = time.perf_counter()
        moves = [solution.evaluate(state) for state in states]
        rounds.append(time.perf_counter() - start)
    check = round(sum(float(move[0, 0]) for move in moves if move is not None), 4)
    lines += [
        {"figure": f"input at one state, {name}", "value": 1e6 * min(rounds) / STATES, "unit": "us", "check": check}
        for name in ("one by one", "1,000 states at once")
    ]
    for line in lines:
        print(json.dumps({**line, "better": "lower", "who": "ppopt", "versions": versions}))


if __name__ == "__main__":
    main()
