"""Our side of the fishery benchmarks: simulated years a second, one thread.

`python benchmarks/fishery/ours.py` prints one JSON object a line; `livepapers bench fishery` runs it beside the peer.
Each year draws its noise, builds its observation and asks a policy, as the peer's script does.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import torch

from livepapers.baselines.harvest_rules import HarvestRule
from livepapers.core.rng import generator
from livepapers.tasks.ecosystem import EcosystemSimulator
from livepapers.tasks.ecosystem_model import Ecosystem, Fishery, Species, three_species

LANES, YEARS = 4096, 100
RATE, NOISE, MORTALITY = 0.3, 0.1, 0.1


def main() -> None:
    torch.set_num_threads(1)
    stock = Ecosystem(
        species=(Species("X", 0.75, rate=RATE, noise=NOISE),), fisheries=(Fishery("X"),), horizon=YEARS, threshold=0.0
    )
    lines = (
        years_a_second("simulated years, one logistic stock", stock),
        years_a_second("simulated years, three species, drift", three_species(drift="growth")),
    )
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    for line in lines:
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def years_a_second(figure: str, model: Ecosystem) -> dict[str, object]:
    """The median rate of five runs after one that is thrown away."""
    simulator = EcosystemSimulator(model)
    rule = HarvestRule("mortality", model.harvested, model.scale, [MORTALITY] * len(model.fisheries))
    steps = LANES * model.horizon
    rates, catch = [], 0.0
    for seed in range(6):
        start = time.perf_counter()
        worlds = simulator.noise(LANES, generator(seed, "bench"))
        done = simulator.run(rule, start=worlds[0], noise=worlds[1])
        rates.append(steps / (time.perf_counter() - start))
        catch = float(done.catch.sum() / done.length.sum())
    check = {"years": steps, "catch a year": round(catch, 3)}
    return {"figure": figure, "value": statistics.median(rates[1:]), "unit": "years/s", "better": "higher",
            "check": check}  # fmt: skip


if __name__ == "__main__":
    main()
