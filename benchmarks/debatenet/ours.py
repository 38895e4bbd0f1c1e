"""Our side of the debatenet benchmarks: from columns of texts to ties of actors, netted and normalised or not.

`python benchmarks/debatenet/ours.py` prints one JSON object a line; `livepapers bench debatenet` runs it beside the
peer. `python ours.py --without-million` leaves out the large case.
"""

import json
import platform
import resource
import sys
import time
from importlib import metadata
from typing import Any

import debate
import numpy as np
import pandas as pd
import scipy

from livepapers.methods import debatenet as method


def main() -> None:
    versions = {
        "python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
        "pandas": pd.__version__, "livepapers": metadata.version("livepapers"),
    }  # fmt: skip
    lines = [projected(20_000, actors=500, concepts=100), permuted(4_418, actors=1_000, concepts=111)]
    if "--without-million" not in sys.argv[1:]:
        lines += [projected(1_000_000, actors=debate.ACTORS, concepts=debate.CONCEPTS), memory()]
    for line in lines:
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def projected(statements: int, *, actors: int, concepts: int) -> dict[str, Any]:
    """From columns to averaged subtract ties of all actors."""
    columns = debate.columns(statements, actors=actors, concepts=concepts)
    start = time.process_time()
    made = method.Statements.from_columns(*columns)
    network = method.project(made, "actor", aggregate="subtract", normalise="average")
    seconds = time.process_time() - start
    check = [network.matrix.nnz // 2, round(float(abs(network.matrix).sum()) / 2, 3)]
    return {"figure": f"{statements:,} statements of {actors:,} actors: averaged ties", "value": seconds,
            "unit": "s of CPU", "better": "lower", "check": check}  # fmt: skip


def permuted(statements: int, *, actors: int, concepts: int) -> dict[str, Any]:
    """A hundred permuted debates of the size of DebateNet and their ties."""
    made = method.Statements.from_columns(*debate.columns(statements, actors=actors, concepts=concepts))
    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(100):
        method.project(method.permuted(made, rng, period="range"), aggregate="subtract", normalise="average")
    seconds = time.process_time() - start
    return {"figure": f"{statements:,} statements: a hundred permuted networks", "value": seconds, "unit": "s of CPU",
            "better": "lower"}  # fmt: skip


def memory() -> dict[str, Any]:
    """Peak memory of this whole process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"figure": "a million statements: peak memory", "value": peak, "unit": "GiB", "better": "lower"}


if __name__ == "__main__":
    main()
