"""Our side of the oc-gfn benchmark: pre-training, and how long a new reward takes once a model is there.

There is no peer: torchgfn and gfnx train GFlowNets for one reward at a time (torchgfn with conditions that are there
while it trains), and none turns a trained model into a sampler for another reward. So these figures stand alone; the
study compares with training from scratch. `python benchmarks/oc_gfn/ours.py` prints one JSON object a line.
"""

import json
import platform
import time
from importlib import metadata

import torch

from livepapers.core.rng import generator
from livepapers.methods.oc_gfn import Config, FlowTable, OutcomeConditionedGFlowNet
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions import Hypergrid, rna_strings
from livepapers.tasks.constructions.exact import enumerate_states

CASES = {"16 x 16 grid": lambda: Hypergrid(2, 16), "8 nucleotides": lambda: rna_strings(8)}
UPDATES, SAMPLES = 40, 1000


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    for name, make in CASES.items():
        for line in measure(name, make()):
            print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def measure(name: str, env: Construction) -> list[dict[str, object]]:
    """Seconds of processor time, so that other programs matter less."""
    model = OutcomeConditionedGFlowNet(env, Config(failure_reward=1e-7), seed=0)
    model.update()
    before, start = model.environment_steps, time.process_time()
    for _ in range(UPDATES):
        loss = model.update()["loss"]
    rate = (model.environment_steps - before) / (time.process_time() - start)
    graph = enumerate_states(env)
    if graph is None:
        raise RuntimeError(f"{name}: too many states")
    start = time.process_time()
    flows = FlowTable.of(model, graph)
    evaluated = time.process_time() - start
    reward = torch.randn(len(flows.outcomes), generator=generator(0, "reward"), dtype=torch.float64)
    start = time.process_time()
    sampler = flows.sampler(reward)
    converted = time.process_time() - start
    start = time.process_time()
    objects = sampler.sample(SAMPLES, generator=generator(0, "samples"))
    sampled = time.process_time() - start
    figures = {
        f"pre-training, {name}": (rate, "environment steps a second of processor time", "higher"),
        f"all flows of a model, once, {name}": (evaluated, "s of processor time", "lower"),
        f"a new reward, {name}": (converted, "s of processor time", "lower"),
        f"{SAMPLES:,} samples, {name}": (sampled, "s of processor time", "lower"),
    }
    check = {"pairs": len(flows.state), "loss": round(loss, 3), "different objects": len(torch.unique(objects, dim=0))}
    return [
        {"figure": figure, "value": value, "unit": unit, "better": better, "check": check}
        for figure, (value, unit, better) in figures.items()
    ]


if __name__ == "__main__":
    main()
