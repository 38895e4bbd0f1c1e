"""Our side of the cities-to-series benchmark: distance to the nearest of 100 facilities on 100,000 junctions.

`python benchmarks/cities_to_series/ours.py` prints one JSON object a line; `livepapers bench cities-to-series` runs it
beside the peers. Times are of one thread.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import numpy as np
import scipy
import town

from livepapers.methods.cities_to_series import inconsistencies
from livepapers.tasks.street_graph import StreetGraph


def main() -> None:
    versions = {
        "python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
        "livepapers": metadata.version("livepapers"),
    }  # fmt: skip
    x, y, ends, facilities = town.town()
    start = time.process_time()
    graph = StreetGraph.of(x, y, ends, lengths=town.lengths(x, y, ends))
    graph.nearest(facilities)
    first = time.process_time() - start
    seconds = []
    for _ in range(3):
        start = time.process_time()
        found, _ = graph.nearest(facilities)
        seconds.append(time.process_time() - start)
    check = round(float(found.mean()), 3)
    start = time.process_time()
    bad = inconsistencies(graph, facilities, which="out")
    whole = time.process_time() - start
    common = {"unit": "s of CPU", "better": "lower", "who": "livepapers", "versions": versions}
    for figure, value, shown in (
        ("100,000 junctions: graph and first answer", first, check),
        ("100,000 junctions: nearest of 100 facilities", statistics.median(seconds), check),
        ("100,000 junctions: all inconsistent corners, 100 facilities", whole, int(bad.inconsistent.sum())),
    ):
        print(json.dumps({"figure": figure, "value": value, "check": shown, **common}))


if __name__ == "__main__":
    main()
