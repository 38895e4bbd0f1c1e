"""Our side of the simplicial-closure benchmarks: triangle statistics, scores, and a hypergraph of a million simplices.

`python benchmarks/simplicial_closure/ours.py` prints one JSON object a line; `livepapers bench simplicial-closure`
runs it beside the peers. `python ours.py --without-million` leaves out the large case.
"""

import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import history
import numpy as np
import scipy

from livepapers.core.rng import numpy_generator
from livepapers.methods import simplicial_closure as method
from livepapers.tasks.data import read_source
from livepapers.tasks.hypergraph_models import large_synthetic
from livepapers.tasks.hypergraphs import TemporalSimplices, read_contacts


def main() -> None:
    versions = {
        "python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
        "livepapers": metadata.version("livepapers"),
    }  # fmt: skip
    school = read_contacts(read_source("primary-school").decode(), where="primary-school")
    write_history(school)
    lines = [triangle_counts(school), harmonic_scores(school.until(80)), every_score(school)]
    if "--without-million" not in sys.argv[1:]:
        lines += million()
    for line in lines:
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def write_history(simplices: TemporalSimplices) -> None:
    """The peers' input: the cut at 80 %, then one simplex a line, its time first."""
    rows = [" ".join(map(str, [time, *nodes.tolist()])) for nodes, time in simplices]
    history.place().parent.mkdir(parents=True, exist_ok=True)
    history.place().write_text("\n".join([str(simplices.cut(80)), *rows]) + "\n")


def timed(work: Callable[[], Any], *, repeats: int = 5) -> tuple[float, Any]:
    """Median CPU seconds of `repeats` runs after one to warm up, and the result; everyone computes on one thread."""
    outcome = work()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        outcome = work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), outcome


def triangle_counts(simplices: TemporalSimplices) -> dict[str, Any]:
    """From simplices to the numbers of open and closed triangles."""
    seconds, counts = timed(lambda: method.triangle_counts(simplices))
    return {"figure": "primary school: open and closed triangles", "value": seconds, "unit": "s of CPU",
            "better": "lower", "check": list(counts)}  # fmt: skip


def harmonic_scores(simplices: TemporalSimplices) -> dict[str, Any]:
    """From the first 80 % of the simplices to the harmonic score of every open triangle."""

    def work() -> np.ndarray:
        return method.score(method.OldData.of(simplices), "harmonic")

    seconds, scores = timed(work)
    return {"figure": "primary school: harmonic scores of open triangles", "value": seconds, "unit": "s of CPU",
            "better": "lower", "check": [len(scores), round(float(scores.sum()), 3)]}  # fmt: skip


def every_score(simplices: TemporalSimplices) -> dict[str, Any]:
    """The whole comparison: every score of the paper and the supervised model, with their average precision."""
    start = time.process_time()
    _, found = method.compare(simplices, method.Config())
    seconds = time.process_time() - start
    return {"figure": "primary school: all 14 scores evaluated", "value": seconds, "unit": "s of CPU",
            "better": "lower", "check": {"harmonic": round(found["harmonic"]["relative"], 3)}}  # fmt: skip


def million() -> list[dict[str, Any]]:
    """A million simplices: triangle counts and closure table, and the memory of this whole process."""
    simplices = large_synthetic(numpy_generator(0, "benchmark", "million"))
    start = time.process_time()
    opened, closed = method.triangle_counts(simplices)
    table = method.closure_table(simplices)
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    check = {"nodes": simplices.nodes, "open": opened, "closed": closed, "closing": int(table.closed.sum())}
    return [
        {"figure": "a million simplices: triangle counts and closure table", "value": seconds, "unit": "s of CPU",
         "better": "lower", "check": check},
        {"figure": "a million simplices: peak memory", "value": memory, "unit": "GiB", "better": "lower"},
    ]  # fmt: skip


if __name__ == "__main__":
    main()
