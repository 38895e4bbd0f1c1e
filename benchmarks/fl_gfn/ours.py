"""Our side of the fl-gfn benchmark: transitions trained a second, forward-looking detailed balance.

One update samples a batch of trajectories, evaluates flows and both policies on every stored state, and makes one Adam
step. The paper's large sets (80 of 100 items) and small ones (20 of 30), one network with two hidden layers of 256,
half of the moves uniform, one thread. Rates are per second of processor time, so that other programs matter less.
`python benchmarks/fl_gfn/ours.py` prints one JSON object a line; `livepapers bench fl-gfn` runs it beside the peers.
"""

import json
import platform
import time
from importlib import metadata

import torch

from livepapers.methods.fl_gfn import Config, ForwardLookingGFlowNet
from livepapers.tasks.constructions import Sets

CASES = (("large", 16, 60), ("large", 256, 8), ("small", 16, 200))  # instance, batch, updates that are timed


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    for instance, batch, updates in CASES:
        for line in measure(instance, batch=batch, updates=updates):
            print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def measure(instance: str, *, batch: int, updates: int) -> list[dict[str, object]]:
    """Seconds until the first update is done, and the rate after three; all contestants see their losses fall alike."""
    start = time.perf_counter()
    env = Sets.paper(instance)
    learner = ForwardLookingGFlowNet(env, Config(batch=batch, epsilon=0.5, epsilon_end=0.5), seed=0)
    first = learner.update()["loss"]
    until_first = time.perf_counter() - start
    learner.update()
    learner.update()
    start = time.process_time()
    for _ in range(updates):
        last = learner.update()["loss"]
    seconds = time.process_time() - start
    case = f"{env.size} of {env.moves} items, batch {batch}"
    check = {"loss at the start": round(first, 3), "loss at the end": round(last, 3)}
    return [
        {
            "figure": f"transitions trained, {case}",
            "value": updates * batch * env.size / seconds,
            "unit": "a second of processor time",
            "better": "higher",
            "check": check,
        },
        {"figure": f"until the first update, {case}", "value": until_first, "unit": "s", "better": "lower"},
    ]


if __name__ == "__main__":
    main()
