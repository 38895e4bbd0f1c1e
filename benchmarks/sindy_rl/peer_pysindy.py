"""pysindy on the same rows and bootstrap samples: its library, STLSQ and ensembles, and a step of its model."""

import json
import platform
import statistics
import time
import warnings
from importlib import metadata

import numpy as np
import pysindy

ROWS, MODELS, SHARE, RIDGE, THRESHOLD = 16_000, 20, 0.6, 5e-5, 7e-3
STEPS = 200


def rows(count):
    """As in ours.py."""
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


def features(state, u):
    """[P2(x), u, P2(x) u], as sindy-rl builds it; pysindy's own library makes the monomials."""
    shared = np.asarray(pysindy.PolynomialLibrary(degree=2, include_bias=False).fit_transform(state))
    return np.hstack([shared, u, shared * u])


def optimizer(models):
    one = pysindy.STLSQ(threshold=THRESHOLD, alpha=RIDGE)
    if models == 1:
        return one
    return pysindy.EnsembleOptimizer(one, bagging=True, n_models=models, n_subset=int(SHARE * ROWS))


def fitting(models, repeats):
    state, u, after = rows(ROWS)
    seconds = []
    for _ in range(repeats):
        np.random.seed(0)  # noqa: NPY002 - the stream that pysindy draws from
        made = optimizer(models)
        start = time.perf_counter()
        made.fit(features(state, u), after)
        seconds.append(time.perf_counter() - start)
    coefficients = np.median(made.coef_list, 0) if models > 1 else made.coef_
    name = "one model" if models == 1 else f"ensemble of {models}"
    check = f"{int((coefficients != 0).sum())} terms, sum {coefficients.sum():.6f}"
    return {"figure": f"STLSQ fit, {name}, 16,000 rows, 41 terms, 5 outputs", "value": statistics.median(seconds),
            "unit": "s", "check": check}  # fmt: skip


def stepping():
    """A discrete-time model of pysindy, asked for one step at a time, as its surrogates are."""
    state, u, after = rows(ROWS)
    base = pysindy.PolynomialLibrary(degree=2, include_bias=False)
    inputs = pysindy.PolynomialLibrary(degree=1, include_bias=False)
    library = pysindy.GeneralizedLibrary(
        [base, inputs], tensor_array=[[1, 1]], inputs_per_library=[list(range(5)), [5]]
    )
    made = pysindy.DiscreteSINDy(optimizer=pysindy.STLSQ(threshold=THRESHOLD, alpha=RIDGE), feature_library=library)
    made.fit(state, 1, x_next=after, u=u)
    lines = []
    for lanes, name in ((1, "one episode"), (256, "256 episodes")):
        x, moves = state[:lanes], u[:lanes]
        first = np.asarray(made.predict(x, u=moves))
        start = time.perf_counter()
        for _ in range(STEPS):
            made.predict(x, u=moves)
        lines.append({"figure": f"step of the fitted model, {name}",
                      "value": 1e6 * (time.perf_counter() - start) / STEPS / lanes, "unit": "us",
                      "check": round(float(first[0].sum()), 4)})  # fmt: skip
    return lines


def main():
    warnings.simplefilter("ignore")
    versions = {name: metadata.version(name) for name in ("pysindy", "numpy")} | {"python": platform.python_version()}
    for line in [fitting(1, 25), fitting(MODELS, 3), *stepping()]:
        print(json.dumps({**line, "better": "lower", "who": "pysindy", "versions": versions}))


if __name__ == "__main__":
    main()
