"""The same questions to pandana, whose contraction hierarchies are built once and answer fast."""

import json
import platform
import statistics
import time
from importlib import metadata

import pandana
import pandas as pd
import town


def main() -> None:
    versions = {"python": platform.python_version(), "pandana": metadata.version("pandana")}
    x, y, ends, facilities = town.town()
    start = time.process_time()
    weights = pd.DataFrame({"weight": town.lengths(x, y, ends)})
    tails, heads = pd.Series(ends[:, 0]), pd.Series(ends[:, 1])
    network = pandana.Network(pd.Series(x), pd.Series(y), tails, heads, weights, twoway=True)
    network.set_pois("facility", 1e6, 1, pd.Series(x[facilities]), pd.Series(y[facilities]))
    found = network.nearest_pois(1e6, "facility", num_pois=1)
    first = time.process_time() - start
    seconds = []
    for _ in range(3):
        start = time.process_time()
        found = network.nearest_pois(1e6, "facility", num_pois=1)
        seconds.append(time.process_time() - start)
    common = {"unit": "s of CPU", "better": "lower", "who": "pandana", "versions": versions,
              "check": round(float(found[1].mean()), 3)}  # fmt: skip
    print(flush=True)  # the library shows its progress on the same line
    for figure, value in (
        ("100,000 junctions: graph and first answer", first),
        ("100,000 junctions: nearest of 100 facilities", statistics.median(seconds)),
    ):
        print(json.dumps({"figure": figure, "value": value, **common}))


if __name__ == "__main__":
    main()
