"""stockpyl on the same serial chain: optimal echelon levels and cost by its Chen-Zheng implementation, as shipped.

stockpyl's last stage covers `lead_time` periods where our timing covers one more, so the store is given L + 1. Its cost
charges goods in transit; the constant that separates the two conventions is taken off before the check.
"""

import json
import platform
import statistics
import time
from importlib import metadata

from stockpyl.ssm_serial import optimize_base_stock_levels

HOLDING, LEADS = (0.1, 0.2, 0.5, 1.0), (2, 4, 3, 4)  # upstream to store, as in ours.py
SHORTAGE, MEAN, STD = 9.0, 5.0, 2.0
STAGES = len(HOLDING)


def solve() -> tuple[list[float], float]:
    """Levels upstream to store, and the cost without goods in transit."""
    echelon = {STAGES - k: HOLDING[k] - (HOLDING[k - 1] if k else 0.0) for k in range(STAGES)}
    leads = {STAGES - k: LEADS[k] + (k == STAGES - 1) for k in range(STAGES)}
    levels, cost = optimize_base_stock_levels(
        num_nodes=STAGES, echelon_holding_cost=echelon, lead_time=leads, stockout_cost=SHORTAGE,
        demand_mean=MEAN, demand_standard_deviation=STD,
    )  # fmt: skip
    local, below = (
        dict(zip(range(STAGES, 0, -1), HOLDING, strict=True)),
        dict(zip(range(STAGES, 0, -1), LEADS, strict=True)),
    )
    transit = sum(echelon[k] + local[k] * below[k - 1] for k in range(2, STAGES + 1))
    return [float(levels[k]) for k in range(STAGES, 0, -1)], float(cost) - MEAN * transit


def main() -> None:
    solve()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        levels, cost = solve()
        seconds.append(time.perf_counter() - start)
    versions = {name: metadata.version(name) for name in ("stockpyl", "numpy")} | {"python": platform.python_version()}
    print(json.dumps({
        "figure": "serial optimum, 4 stages", "value": statistics.median(seconds), "unit": "s", "better": "lower",
        "who": "stockpyl", "versions": versions,
        "check": {"levels": [round(level, 2) for level in levels], "cost": round(cost, 4)},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
