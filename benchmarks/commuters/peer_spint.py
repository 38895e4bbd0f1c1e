"""The same gravity models with spint: its Gravity and Production classes, fitted as generalised linear models."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
import shared_flows
from spint.gravity import Gravity, Production


def main() -> None:
    origin, _, mass, other, distance, flow = shared_flows.read().T
    flows = flow.astype(int).reshape(-1, 1)  # it takes whole numbers only
    masses, others, far = (values.reshape(-1, 1) for values in (mass, other, np.maximum(distance, 1.0)))
    works: dict[str, tuple[Callable[[], Any], slice]] = {
        "air network, 109,230 pairs: Poisson gravity": (
            lambda: Gravity(flows, masses, others, far, "pow", constant=True), slice(1, None)
        ),
        "air network, 109,230 pairs: production-constrained gravity": (
            lambda: Production(flows, origin.astype(int).reshape(-1, 1), others, far, "pow"), slice(-2, None)
        ),
    }  # fmt: skip
    versions = {name: metadata.version(name) for name in ("spint", "numpy")} | {"python": platform.python_version()}
    for figure, (work, last) in works.items():
        seconds = []
        for _ in range(3):
            start = time.process_time()
            model = work()
            seconds.append(time.process_time() - start)
        check = [round(float(value), 3) for value in np.ravel(model.params)[last]]
        print(json.dumps({"figure": figure, "value": statistics.median(seconds), "unit": "s of CPU", "better": "lower",
                          "who": "spint", "versions": versions, "check": check}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
