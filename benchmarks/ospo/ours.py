"""Our side of the ospo benchmark: minutes of dispatching a fleet a second.

`python benchmarks/ospo/ours.py` prints one JSON object a line; `livepapers bench ospo` runs it beside the peer. A
minute is the whole of it: decide by the rule or the network, match, send vehicles off on their routes, drive, drop off,
new orders. Episodes stand side by side here, one after the other at the peer; the check is the share accepted.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import torch

from livepapers.baselines.dispatch_rules import nearest_vehicle, one_step_greedy
from livepapers.core.rng import generator
from livepapers.methods.ospo import DispatchPolicy
from livepapers.tasks.ride_city import grid_city
from livepapers.tasks.ride_pooling import FleetPolicy, RidePooling

VEHICLES, ORDERS, MINUTES, LANES = 300, 37.0, 15, 32
ROUNDS = 3


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    fleet = RidePooling(grid_city(8, 8, spacing=1.0, speed=0.35, rate=ORDERS), vehicles=VEHICLES, horizon=MINUTES)
    network = DispatchPolicy(VEHICLES, fleet.seats, fleet.places, hidden=(128, 128))
    set_weights(network.scorer.network)
    policies: dict[str, FleetPolicy] = {
        "nearest vehicle": nearest_vehicle(fleet),
        "one-step greedy": one_step_greedy(fleet),
        "a network of 128-128": lambda state: network(fleet.observe(state)),
    }
    for name, policy in policies.items():
        print(json.dumps({**minutes_a_second(fleet, name, policy), "who": "livepapers", "versions": versions}))


@torch.no_grad()
def set_weights(network: torch.nn.Module) -> None:
    """Weights that the peer has too."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear):
            weight = layer.weight
            weight.copy_(torch.sin(1.7 * torch.arange(weight.numel())).view_as(weight) / weight.shape[1] ** 0.5)
            layer.bias.zero_()


def minutes_a_second(fleet: RidePooling, name: str, policy: FleetPolicy) -> dict[str, object]:
    """Whole episodes of several fleets side by side."""
    rates, accepted = [], 0.0
    for seed in range(ROUNDS + 1):  # the first one warms up
        scenario = fleet.scenario(LANES, generator(seed, "bench", "orders"))
        start = time.perf_counter()
        rollout = fleet.rollout(policy, scenario)
        rates.append(LANES * MINUTES / (time.perf_counter() - start))
        accepted = float(rollout.counted("accepted").sum() / rollout.counted("offered").sum())
    return {
        "figure": f"minutes of {VEHICLES} vehicles, {name}", "value": statistics.median(rates[1:]), "unit": "minutes/s",
        "better": "higher", "check": {"orders accepted, %": round(100.0 * accepted)},
    }  # fmt: skip


if __name__ == "__main__":
    main()
