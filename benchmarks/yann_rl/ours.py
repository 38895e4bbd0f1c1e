"""Our side of the yann-rl benchmarks: seconds for an explicit law, and for its answer at states.

`python benchmarks/yann_rl/ours.py` prints one JSON object a line; `livepapers bench yann-rl` runs it beside the peer.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import numpy as np
import torch

from livepapers.baselines.linear_problem import LinearProblem
from livepapers.methods.yann_rl import PiecewiseAffineLaw, YannNetwork, solve

PENDULUM = LinearProblem.of(
    [[1.0188, 0.0503], [0.7547, 1.0188]], [[0.0038], [0.1509]], q=np.eye(2), r=[[0.001]], horizon=2,
    state_bounds=[[-2.0, -8.0], [2.0, 8.0]], input_bounds=[[-2.0], [2.0]],
)  # fmt: skip
CART = LinearProblem.of(
    [[1.0, 1.0], [0.0, 1.0]], [[0.5], [1.0]], q=np.eye(2), r=[[0.1]], horizon=5,
    state_bounds=[[-5.0, -5.0], [5.0, 5.0]], input_bounds=[[-1.0], [1.0]],
)  # fmt: skip
STATES = 1000


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    law = solve(PENDULUM)
    lines = [
        solving("explicit law, pendulum, N = 2", PENDULUM, repeats=3),
        solving("explicit law, double integrator, N = 5", CART, repeats=1),
        *answering(law),
    ]
    for line in lines:
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def solving(figure: str, problem: LinearProblem, *, repeats: int) -> dict[str, object]:
    """Seconds from the problem to its law."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        law = solve(problem)
        seconds.append(time.perf_counter() - start)
    check = round(float(law.evaluate(np.array([[0.1, -0.2]]))[0, 0]), 6)
    return {"figure": figure, "value": statistics.median(seconds), "unit": "s", "better": "lower", "check": check}


@torch.no_grad()
def answering(law: PiecewiseAffineLaw) -> list[dict[str, object]]:
    """Microseconds for the input at one state, alone and in a batch."""
    network = YannNetwork.of(law)
    states = np.random.default_rng(0).uniform(-0.5, 0.5, (STATES, 2))
    single = [torch.as_tensor(state)[None] for state in states]
    together = torch.as_tensor(states)
    alone, batched = [], []
    for _ in range(7):
        start = time.perf_counter()
        for state in single:
            network(state)
        alone.append(time.perf_counter() - start)
        start = time.perf_counter()
        moves = network(together)
        batched.append(time.perf_counter() - start)
    check = round(float(moves.sum()), 4)
    return [
        {"figure": f"input at one state, {name}", "value": 1e6 * min(values) / STATES, "unit": "us", "better": "lower",
         "check": check}
        for name, values in (("one by one", alone), ("1,000 states at once", batched))
    ]  # fmt: skip


if __name__ == "__main__":
    main()
