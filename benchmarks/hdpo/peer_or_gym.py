"""or-gym-inventory's multi-echelon environment with lost sales: simulated periods a second, one item at a time.

Its default instance (three stocking stages, lead times 3, 5, 10, Poisson(20) demand, 30 periods an episode) and its
store alone. Orders are what each stage lacks to 25 units, as in ours.py; resets count, as they do on our side.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import numpy as np
from or_gym_inventory.inventory_management import InvManagementLostSalesEnv

EPISODES, LEVEL = 100, 25


def run(env: InvManagementLostSalesEnv, stages: int, seed: int) -> int:
    """Periods simulated in `EPISODES` episodes."""
    periods = 0
    for episode in range(EPISODES):
        observation, _ = env.reset(seed=1000 * seed + episode)
        truncated = False
        while not truncated:
            orders = np.maximum(LEVEL - observation[:stages], 0)
            observation, _, _, truncated, _ = env.step(orders)
            periods += 1
    return periods


def measure(figure: str, env: InvManagementLostSalesEnv) -> dict[str, object]:
    """The median rate of five runs after one that is thrown away."""
    stages = int(env.num_stages) - 1
    periods = run(env, stages, 0)
    rates = []
    for seed in range(1, 6):
        start = time.perf_counter()
        periods = run(env, stages, seed)
        rates.append(periods / (time.perf_counter() - start))
    versions = {name: metadata.version(name) for name in ("or-gym-inventory", "gymnasium", "numpy")}
    return {
        "figure": figure, "value": statistics.median(rates), "unit": "periods/s", "better": "higher",
        "who": "or-gym-inventory", "versions": versions | {"python": platform.python_version()},
        "check": {"stages": stages, "periods": periods},
    }  # fmt: skip


def main() -> None:
    one = InvManagementLostSalesEnv(I0=[100], r=[1.5, 1.0], k=[0.10, 0.075], h=[0.15], c=[100], L=[3])
    print(json.dumps(measure("simulated periods, one store", one)))
    print(json.dumps(measure("simulated periods, chain of three", InvManagementLostSalesEnv())))


if __name__ == "__main__":
    main()
