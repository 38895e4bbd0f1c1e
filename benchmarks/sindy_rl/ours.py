"""Our side of the sindy-rl benchmarks: seconds to fit an ensemble, and microseconds of a step of its median model.

`python benchmarks/sindy_rl/ours.py` prints one JSON object a line; `livepapers bench sindy-rl` runs it beside the peer.
Both fit the same rows in the same bootstrap samples, those that NumPy's legacy generator draws from seed 0.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import numpy as np
import torch

from livepapers.methods.sindy_rl import Library, SparseModel, SparseRegression, median

ROWS, MODELS, SHARE, RIDGE, THRESHOLD = 16_000, 20, 0.6, 5e-5, 7e-3
STEPS = 2000


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    for line in [*fitting(1, 25), *fitting(MODELS, 5), *stepping()]:
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def rows(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pole on a cart: states (x, cos, sin, dx, dtheta), one input, next states by an Euler step of 0.01 s."""
    draw = np.random.default_rng(0)
    angle = draw.uniform(-np.pi, np.pi, count)
    x, speed, turn = draw.normal(0, 0.5, count), draw.normal(0, 1.0, count), draw.normal(0, 3.0, count)
    u = draw.uniform(-1, 1, (count, 1))
    cosine, sine = np.cos(angle), np.sin(angle)
    push = (10.0 * u[:, 0] + 0.05 * turn**2 * sine) / 1.1
    spin = (9.81 * sine - cosine * push) / (0.5 * (4.0 / 3.0 - 0.1 / 1.1 * cosine**2))
    pull = push - 0.05 / 1.1 * spin * cosine
    state = np.stack([x, cosine, sine, speed, turn], 1)
    moved = angle + 0.01 * turn
    after = np.stack([x + 0.01 * speed, np.cos(moved), np.sin(moved), speed + 0.01 * pull, turn + 0.01 * spin], 1)
    return state, u, after


def counts(models: int) -> torch.Tensor:
    """How often each model sees each row."""
    if models == 1:
        return torch.ones(1, ROWS, dtype=torch.float64)
    legacy = np.random.RandomState(0)
    bags = [legacy.choice(range(ROWS), int(SHARE * ROWS), replace=True) for _ in range(models)]
    return torch.from_numpy(np.stack([np.bincount(bag, minlength=ROWS) for bag in bags])).double()


def fitting(models: int, repeats: int) -> list[dict[str, object]]:
    """Seconds from rows to coefficients: the library of 41 terms, 5 outputs, all rounds, the last least squares."""
    state, action, after = (torch.from_numpy(part) for part in rows(ROWS))
    drawn, library = counts(models), Library(5, 1)
    regression = SparseRegression(RIDGE, THRESHOLD, models=models)

    def fit() -> torch.Tensor:
        return regression.fit_drawn(library.table(state, action), after, counts=drawn)

    made, seconds = median(fit()), []  # the first one warms up
    for _ in range(repeats):
        start = time.perf_counter()
        fit()
        seconds.append(time.perf_counter() - start)
    name = "one model" if models == 1 else f"ensemble of {models}"
    check = f"{int((made != 0).sum())} terms, sum {float(made.sum()):.6f}"
    return [{"figure": f"STLSQ fit, {name}, 16,000 rows, 41 terms, 5 outputs", "value": statistics.median(seconds),
             "unit": "s", "better": "lower", "check": check}]  # fmt: skip


def stepping() -> list[dict[str, object]]:
    """Microseconds of a step of the fitted model, an episode at a time and 256 side by side."""
    state, action, after = (torch.from_numpy(part) for part in rows(ROWS))
    library = Library(5, 1)
    found = SparseRegression(RIDGE, THRESHOLD, models=1).fit_drawn(library(state, action), after, counts=counts(1))
    model = SparseModel(library, found)
    lines = []
    for lanes, name in ((1, "one episode"), (256, "256 episodes")):
        x, u = state[:lanes].float(), action[:lanes].float()
        first = model.predict(x, u)
        start = time.perf_counter()
        for _ in range(STEPS):
            model.predict(x, u)
        value = 1e6 * (time.perf_counter() - start) / STEPS / lanes
        lines.append({"figure": f"step of the fitted model, {name}", "value": value, "unit": "us", "better": "lower",
                      "check": round(float(first[0].sum()), 4)})  # fmt: skip
    return lines


if __name__ == "__main__":
    main()
