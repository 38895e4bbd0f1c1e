"""Our side of the deep-ga benchmark: evaluations a second, and bytes that a checkpoint keeps of an individual.

`python benchmarks/deep_ga/ours.py` prints one JSON object a line; `livepapers bench deep-ga` runs it beside the peers.
An evaluation is a whole episode of CartPole of at most 200 steps by a network 4-16-2 that takes its most preferred
action; ten generations of 500, selection and mutation included, from initial weights. Steps are compiled; the first
search, which pays for that, is not counted.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from livepapers.methods import deep_ga
from livepapers.tasks.cart_pole import CartPole

POPULATION, GENERATIONS, STEPS = 500, 10, 200
FRAMES, ACTIONS, MUTATIONS = (4, 84, 84), 18, 100


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    for line in (evaluations_a_second(), bytes_an_individual()):
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def evaluations_a_second() -> dict[str, object]:
    """The genetic algorithm on the batched cart-pole."""
    world = CartPole(STEPS)
    layout = deep_ga.Layout(world.observation_space, world.action_space, hidden=(16,), activation="tanh")
    config = deep_ga.Config(population=POPULATION, parents=POPULATION // 2, sigma=0.05, validation=0, compile="always")
    rates, first = [], 0.0
    for seed in range(4):
        learner = deep_ga.Evolution(world, layout, config=config, seed=seed)
        start = time.perf_counter()
        means = [learner.update()["mean"] for _ in range(GENERATIONS)]
        rates.append(POPULATION * GENERATIONS / (time.perf_counter() - start))
        first = means[0]
    return {
        "figure": "evaluations of CartPole, 500 individuals, 10 generations, after compiling",
        "value": statistics.median(rates[1:]),
        "unit": "evaluations/s", "better": "higher", "check": {"mean return of initial weights": round(first)},
    }  # fmt: skip


def bytes_an_individual() -> dict[str, object]:
    """A genome of the paper's Large network after a hundred mutations; it is decoded to show that it is whole."""
    layout = deep_ga.Layout(Box(0, 255, FRAMES, np.uint8), Discrete(ACTIONS), hidden="large")
    genome = deep_ga.Genome((0,), (), layout.signature)
    for seed in range(1, MUTATIONS + 1):
        genome = genome.mutated(seed, 0.002)
    data = genome.to_bytes()
    weights = deep_ga.Genome.from_bytes(data).decode(layout.scale())
    return {
        "figure": "bytes a checkpoint keeps of an individual, 4 million weights, 100 generations", "value": len(data),
        "unit": "bytes", "better": "lower", "check": {"weights": len(weights)},
    }  # fmt: skip


if __name__ == "__main__":
    main()
