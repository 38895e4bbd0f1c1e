"""Our side of the PPO benchmark: environment steps a second of processor time on CartPole-v1, learning included.

1,024 lanes, 128 steps an update, 4 epochs of 4 minibatches, two networks with two hidden layers of 64, one thread;
compiled (`PPOConfig.compile`), and as it is without. `python benchmarks/ppo/ours.py` prints one JSON object a line;
`livepapers bench ppo` runs it beside the peers.
"""

import json
import platform
import time
from importlib import metadata

import torch

from livepapers.blocks.policy_optimisation import PPO, PPOConfig, actor_critic
from livepapers.core.compiling import Compile
from livepapers.core.rng import generator
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.vector import SimulatorTask

LANES, UPDATES = 1024, 6
FIGURE = "steps learned from, CartPole-v1"


def measure(compiled: Compile) -> list[dict[str, object]]:
    """The rate after one update, by processor time, and how long that update takes by the clock."""
    task = SimulatorTask(CartPole(), LANES, compiled=compiled)
    agent = actor_critic(
        task.observation_space, task.action_space, hidden=(64, 64), normalise=False, generator=generator(0, "weights")
    )
    config = PPOConfig(steps=128, epochs=4, minibatches=4, learning_rate=2.5e-4, compile=compiled)
    learner = PPO(task, agent, config=config, seed=0)
    start = time.perf_counter()
    learner.update()
    until_first = time.perf_counter() - start
    start = time.process_time()
    metrics = [learner.update() for _ in range(UPDATES)][-1]
    rate = UPDATES * config.steps * LANES / (time.process_time() - start)
    check = {"mean return of the episodes that ended in the last update": round(metrics["episode_return"], 1)}
    return [
        {"figure": FIGURE, "value": rate, "unit": "a second of processor time", "better": "higher", "check": check},
        {"figure": "until the first update is done", "value": until_first, "unit": "s", "better": "lower"},
    ]


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    ways: dict[str, Compile] = {"livepapers, not compiled": "never", "livepapers": "always"}
    for who, way in ways.items():
        for line in measure(way):
            print(json.dumps({**line, "who": who, "versions": versions}), flush=True)


if __name__ == "__main__":
    main()
