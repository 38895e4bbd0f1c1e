"""Our side of the commuters benchmarks: gravity models as spint fits them, and predictions for a million pairs.

`python benchmarks/commuters/ours.py` prints one JSON object a line; `livepapers bench commuters` runs it beside the
peer. The memory is that of this whole process, libraries included.
"""

import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
import shared_flows

from livepapers.core.rng import numpy_generator
from livepapers.methods import commuters as method
from livepapers.tasks.mobility import us_air_network
from livepapers.tasks.mobility_models import wage_country
from livepapers.tasks.places import ordered_pairs, pair_chunks

MASS = "labour force"
PLACES = 1_001  # 1,001,000 ordered pairs


def timed(work: Callable[[], Any], *, repeats: int = 3) -> tuple[float, Any]:
    """Median CPU seconds after one run to warm up, and the result; everyone computes on one thread."""
    outcome = work()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        outcome = work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), outcome


def gravity() -> list[dict[str, Any]]:
    """Poisson gravity on all pairs of the air network: free, and with an effect of each origin."""
    network = us_air_network()
    places, pairs = network.places, ordered_pairs(len(network.places))
    flows, mass = network.flows.on(pairs), places.mass(MASS)
    rows = np.column_stack([pairs, mass[pairs], places.distances(*pairs.T), flows])
    shared_flows.place().parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(shared_flows.place(), rows, delimiter=",", fmt="%.17g")
    lines = []
    for figure, law in (
        ("air network, 109,230 pairs: Poisson gravity", method.Gravity(places, MASS, fit_by="ppml")),
        (
            "air network, 109,230 pairs: production-constrained gravity",
            method.Gravity(places, MASS, constrained="production"),
        ),
    ):
        seconds, _ = timed(lambda law=law: law.fit(pairs, flows))
        check = [round(value, 3) for value in law.exponents_ if not np.isnan(value)]
        lines.append({"figure": figure, "value": seconds, "unit": "s of CPU", "better": "lower", "check": check})
    return lines


def million() -> list[dict[str, Any]]:
    """Boosting on 45 features, as with the paper's 22 indicators: predictions for a million pairs in chunks."""
    country = wage_country(numpy_generator(0, "benchmark", "country"), places=PLACES)
    more = numpy_generator(0, "benchmark", "indicators").normal(size=(PLACES, 18))
    names = (*country.places.indicator_names, *(f"indicator {number}" for number in range(18)))
    indicators = np.concatenate([country.places.indicators, more], axis=1)
    places = type(country.places)(country.places.names, names, indicators, country.places.coordinates, "metres")
    train = ordered_pairs(PLACES, among=np.arange(100))
    model = method.LinkClassifier(places).fit(train, country.flows.on(train))
    start, total, pairs = time.process_time(), 0.0, 0
    for chunk in pair_chunks(PLACES):
        total += float(model.calibrated(chunk).sum())
        pairs += len(chunk)
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    check = {"pairs": pairs, "share": round(total / pairs, 3)}
    return [
        {"figure": "a million pairs, 45 features: link probabilities by boosting", "value": seconds,
         "unit": "s of CPU", "better": "lower", "check": check},
        {"figure": "a million pairs, 45 features: peak memory", "value": memory, "unit": "GiB", "better": "lower"},
    ]  # fmt: skip


def main() -> None:
    versions = {"python": platform.python_version()} | {
        name: metadata.version(name) for name in ("numpy", "scipy", "scikit-learn", "livepapers")
    }
    for line in (*gravity(), *million()):
        print(json.dumps({**line, "who": "livepapers", "versions": versions}), flush=True)


if __name__ == "__main__":
    main()
