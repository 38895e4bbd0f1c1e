"""Our side of the hdpo benchmarks: the serial optimum, and simulated periods a second.

`python benchmarks/hdpo/ours.py` prints one JSON object a line; `livepapers bench hdpo` runs it beside the peers.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import torch

from livepapers.baselines import clark_scarf
from livepapers.core.rng import generator
from livepapers.tasks.demand import Poisson
from livepapers.tasks.inventory import (
    SUPPLIER,
    Edge,
    InventoryNetwork,
    InventorySimulator,
    InventoryState,
    Node,
    ration,
)

SERIAL = {"holding": (0.1, 0.2, 0.5, 1.0), "lead_times": (2, 4, 3, 4)}  # setting S3, upstream to store
DEMAND = {"shortage": 9.0, "mean": 5.0, "std": 2.0}
BATCH, PERIODS = 16_384, 30
LEVEL = 25.0  # each stage orders this less what it has on hand, as the peer's script does


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    lines = (
        serial_optimum(),
        steps_a_second("simulated periods, one store", chain((3,), (0.15,))),
        steps_a_second("simulated periods, chain of three", chain((10, 5, 3), (0.05, 0.10, 0.15))),
    )
    for line in lines:
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def serial_optimum() -> dict[str, object]:
    """Seconds for the optimal levels and cost of a four-stage chain."""

    def solve() -> clark_scarf.Optimum:
        return clark_scarf.optimal(**SERIAL, **DEMAND)

    solve()  # the first call loads libraries; the peer's script has the same warm-up
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        best = solve()
        seconds.append(time.perf_counter() - start)
    check = {"levels": [round(level, 2) for level in best.levels], "cost": round(best.cost, 4)}
    return {"figure": "serial optimum, 4 stages", "value": statistics.median(seconds), "unit": "s", "better": "lower",
            "check": check}  # fmt: skip


def steps_a_second(figure: str, network: InventoryNetwork) -> dict[str, object]:
    """Periods of a chain a second: lost sales, Poisson(20) demand drawn inside, observations made, resets counted."""
    simulator = InventorySimulator(network, Poisson(20.0), horizon=PERIODS)

    def policy(state: InventoryState) -> torch.Tensor:
        simulator.observe(state)  # the peer builds its observation in every step
        return ration(network, state, LEVEL - state.pipeline[..., 0])

    def run(seed: int) -> float:
        source = generator(seed, "bench")
        with torch.no_grad():
            state = simulator.initial(BATCH, source)
            trace = simulator.trace(state, PERIODS, source)
            return float(simulator.rollout(policy, state=state, demand=trace).costs.mean())

    cost = run(0)
    rates = []
    for seed in range(1, 6):
        start = time.perf_counter()
        cost = run(seed)
        rates.append(BATCH * PERIODS / (time.perf_counter() - start))
    check = {"stages": len(network.nodes), "periods": BATCH * PERIODS, "cost": round(cost, 2)}
    return {"figure": figure, "value": statistics.median(rates), "unit": "periods/s", "better": "higher",
            "check": check}  # fmt: skip


def chain(lead_times: tuple[int, ...], holding: tuple[float, ...]) -> InventoryNetwork:
    """Stages upstream to store, lost sales."""
    names = [*(f"stage {k}" for k in range(len(holding), 1, -1)), "store"]
    nodes = tuple(Node(name, "warehouse", cost) for name, cost in zip(names[:-1], holding[:-1], strict=True))
    edges = tuple(Edge(*edge) for edge in zip([SUPPLIER, *names], names, lead_times, strict=False))
    return InventoryNetwork((*nodes, Node("store", "store", holding[-1], 0.10)), edges, "lost")


if __name__ == "__main__":
    main()
