"""How a cell of the simplicial-closure study is measured."""

import numpy as np
import torch
from scipy import stats

from livepapers.core.rng import numpy_generator
from livepapers.lab.study import Run, Setting
from livepapers.methods import simplicial_closure as method
from livepapers.studies.simplicial_closure.design import EXPONENTS, ORDERS
from livepapers.studies.simplicial_closure.instances import load
from livepapers.tasks.hypergraph_models import independent_triples
from livepapers.tasks.hypergraphs import TemporalSimplices

RESAMPLED = 20_000_000
"""Triangles times resamples, at most: a few seconds a score."""


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """One arm in one window (relative average precision and its interval), or one sweep of the null model."""
    if arm == "independent_triples":
        return _null_model(int(setting.parameters["nodes"]), seed=seed)
    simplices = load(run.prepared("hypergraphs"), setting.parameters["data"]).until(setting.parameters["cut"])
    if arm == "configurations":
        return _configurations(simplices)
    config = method.Config.preset("paper" if preset == "paper" else "laptop")
    task = method.prediction_task(simplices, start=config.split)
    run.spend(triangles=len(task.labels))
    rate = {"rate": task.rate, "closures": float(task.labels.sum())}
    if arm == "generalised_means":
        weights = task.old.tie_weights
        found = {p: method.evaluate(task.labels, method.generalised_mean(weights, float(p))) for p in ORDERS}
        return rate | {f"relative_p={p}": values["relative"] for p, values in found.items()}
    if arm == "random":
        scores = np.argsort(_permutation(len(task.labels), run)).astype(np.float64)
    else:
        scores = method.score_by(task.old, arm, config=config, history=simplices)
    rng = numpy_generator(0, "simplicial-closure", setting.name, "resamples")  # the same for every arm: paired
    resamples = int(np.clip(RESAMPLED // len(task.labels), 20, config.resamples))
    resampled = method.bootstrap(task.labels, scores, rng=rng, resamples=resamples)
    run.samples("resampled", resampled)
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return rate | method.evaluate(task.labels, scores) | {"low": float(low), "high": float(high)}


def _permutation(items: int, run: Run) -> np.ndarray:
    """A random order of `items` from the run's stream."""
    return torch.randperm(items, generator=run.generator("order")).numpy()


def _configurations(simplices: TemporalSimplices) -> dict[str, float]:
    found = {name.replace(" ", "_"): float(value) for name, value in method.describe(simplices).items()}
    found |= method.structure(simplices)
    for order in (3, 4):
        table = method.closure_table(simplices, order=order)
        found[f"closures_{order}"] = float(table.closed.sum())
        for kind, sets, closures in zip(table.types, table.count, table.closed, strict=True):
            name = " ".join(map(str, kind))
            found |= {f"count_{name}": float(sets), f"closed_{name}": float(closures)}
        for step in ("strength", "density"):
            value = method.pooled_log_ratio(table, order, kind=step)
            found |= {} if value is None else {f"{step}_{order}": value}
            tests, up, down = method.significant(table, order, kind=step)
            found |= {f"tests_{step}_{order}": tests, f"up_{step}_{order}": up, f"down_{step}_{order}": down}
    return found


def _null_model(nodes: int, *, seed: int) -> dict[str, float]:
    """Density and fraction open of the null model over the sweep, and their rank correlation."""
    density, fraction = [], []
    for exponent in EXPONENTS:
        rng = numpy_generator(seed, "simplicial-closure", "null", nodes, str(exponent))
        made = independent_triples(rng, nodes, exponent=exponent)
        opened, closed = method.triangle_counts(made)
        density.append(made.projected().nnz / (nodes * (nodes - 1)))
        fraction.append(opened / (opened + closed))
    found = {f"fraction_open_b={b:g}": value for b, value in zip(EXPONENTS, fraction, strict=True)}
    found |= {f"density_b={b:g}": value for b, value in zip(EXPONENTS, density, strict=True)}
    correlation = np.corrcoef(stats.rankdata(density), stats.rankdata(fraction))[0, 1]
    return found | {"rank_correlation": float(correlation)}
