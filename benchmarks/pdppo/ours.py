"""Our side of the pdppo benchmark: periods of the lot-sizing plant a second.

`python benchmarks/pdppo/ours.py` prints one JSON object a line; `livepapers bench pdppo` runs it beside the peer.
Actions are drawn beforehand; demand is drawn inside, observations are made, and restarts are counted, as on the peer's
side.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import numpy as np
import torch

from livepapers.core.rng import generator
from livepapers.tasks.lot_sizing import LotSizing, LotSizingPlant

SIZES = ((15, 5), (25, 15))
BATCH, PERIODS = 4096, 100


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    for items, machines in SIZES:
        line = steps_a_second(items, machines)
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def steps_a_second(items: int, machines: int) -> dict[str, object]:
    """Whole episodes of many plants side by side, the state shown to an agent in every period."""
    plant = LotSizingPlant.generate(items, machines, generator=np.random.default_rng(0))
    simulator = LotSizing(plant, observe_setup=False, mask_unproducible=False)
    actions = torch.randint(items + 1, (PERIODS, BATCH, machines), generator=generator(0, "bench"))

    def run(seed: int) -> float:
        source, total = generator(seed, "bench"), 0.0
        state = simulator.initial(BATCH, source)
        for t in range(PERIODS):
            post, decided = simulator.decide(state, actions[t])
            state, resolved, _ = simulator.resolve(post, simulator.draw(BATCH, t, source))
            simulator.observe(state)
            total -= float((decided + resolved).mean())
        return total

    cost = run(0)
    rates = []
    for seed in range(1, 6):
        start = time.perf_counter()
        cost = run(seed)
        rates.append(BATCH * PERIODS / (time.perf_counter() - start))
    return {
        "figure": f"periods of a plant, {items} items, {machines} machines", "value": statistics.median(rates),
        "unit": "periods/s", "better": "higher", "check": {"cost of an episode": round(cost)},
    }  # fmt: skip


if __name__ == "__main__":
    main()
