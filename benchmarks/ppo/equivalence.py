"""Do ours and Stable-Baselines3's PPO learn alike? Equal settings on Gymnasium's CartPole-v1, ten seeds each.

    pip install -r benchmarks/ppo/requirements-stable_baselines3.txt   # beside livepapers, in one environment
    python benchmarks/ppo/equivalence.py [--seeds 10] [--steps 65536] [--compile always] [--save FILE]

Eight environments, 128 steps an update, 10 epochs of 4 minibatches, rate 3e-4, two tanh networks of 64-64, one thread.
The figures of a seed are the mean returns of the training episodes that end in each quarter of the steps. The curves
coincide when the 90 % interval of the mean difference lies within the margin in every quarter: 10, 20, 40 and 40,
wider as returns grow, the last 8 % of the largest one. The margins were fixed before the first run; as all four must
hold, no correction is due. The exit status is 0 when they coincide, else 1.
"""

import argparse
import json
import platform
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from livepapers.blocks.policy_optimisation import PPO, PPOConfig, actor_critic
from livepapers.core.compiling import Compile
from livepapers.core.rng import generator, numpy_generator
from livepapers.lab.statistics import equivalence_test
from livepapers.tasks.vector import GymnasiumTask

LANES, STEPS, EPOCHS, MINIBATCHES, RATE = 8, 128, 10, 4, 3e-4
MARGINS = (10.0, 20.0, 40.0, 40.0)


def ours(seed: int, updates: int, compiled: Compile) -> list[float]:
    """Mean return of the episodes that ended in each quarter."""
    task = GymnasiumTask.make("CartPole-v1", LANES)
    agent = actor_critic(
        task.observation_space, task.action_space, normalise=False, generator=generator(seed, "weights")
    )
    config = PPOConfig(steps=STEPS, epochs=EPOCHS, minibatches=MINIBATCHES, learning_rate=RATE, compile=compiled)
    learner = PPO(task, agent, config=config, seed=seed)
    metrics = [learner.update() for _ in range(updates)]
    counts = np.array([each["episodes"] for each in metrics]).reshape(4, -1)
    returns = np.array([each["episode_return"] for each in metrics]).reshape(4, -1)
    return ((counts * returns).sum(1) / counts.sum(1)).tolist()


class Returns(BaseCallback):
    """Returns of all episodes, and the steps at which they ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        found = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self.ended += [(self.num_timesteps, value) for value in found]
        return True


def theirs(seed: int, updates: int) -> list[float]:
    """The same of Stable-Baselines3."""
    env = make_vec_env("CartPole-v1", n_envs=LANES, seed=seed)
    model = stable_baselines3.PPO(
        "MlpPolicy", env, n_steps=STEPS, n_epochs=EPOCHS, batch_size=LANES * STEPS // MINIBATCHES, learning_rate=RATE,
        seed=seed, device="cpu",
    )  # fmt: skip
    seen, steps = Returns(), updates * LANES * STEPS
    model.learn(steps, callback=seen)
    quarters: list[list[float]] = [[], [], [], []]
    for step, value in seen.ended:
        quarters[(step - 1) * 4 // steps].append(value)
    return [float(np.mean(quarter)) for quarter in quarters]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=65_536, help="of all environments together; a multiple of 4,096")
    parser.add_argument("--compile", choices=("never", "auto", "always"), default="never", help="of ours")
    parser.add_argument("--save", type=Path, help="write the figures there as JSON")
    given = parser.parse_args()
    if given.seeds < 5 or given.steps < 1 or given.steps % (4 * LANES * STEPS):
        parser.error(f"--seeds must be 5 or more (fewer cannot show it), --steps a multiple of {4 * LANES * STEPS}")
    return given


def main() -> None:
    given = options()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    updates, begun = given.steps // (LANES * STEPS), time.perf_counter()
    mine, other = [], []
    for seed in range(given.seeds):
        mine.append(ours(seed, updates, given.compile))
        other.append(theirs(seed, updates))
        rounded = {"ours": np.round(mine[-1], 1).tolist(), "theirs": np.round(other[-1], 1).tolist()}
        print(json.dumps({"seed": seed, **rounded}), flush=True)
    difference, quarters = np.array(mine) - np.array(other), []
    for quarter, margin in enumerate(MARGINS):
        found = equivalence_test(difference[:, quarter], numpy_generator(0, "equivalence", quarter), margin=margin)
        means = [float(np.mean([row[quarter] for row in rows])) for rows in (mine, other)]
        quarters.append({"quarter": quarter + 1, "ours": means[0], "theirs": means[1], "margin": margin, "p": found.p,
                         "interval": found.interval, "equivalent": bool(found.inside and found.p <= 0.05)})  # fmt: skip
        print(json.dumps(quarters[-1]), flush=True)
    coincide = all(each["equivalent"] for each in quarters)
    verdict = "coincide" if coincide else "are not shown to coincide"
    print(f"{given.seeds} seeds of {given.steps} steps: the curves {verdict}")
    if given.save is not None:
        settings = {name: value for name, value in vars(given).items() if name != "save"}
        made = {"settings": settings, "date": time.strftime("%Y-%m-%d"), "seconds": round(time.perf_counter() - begun),
                "versions": {"python": platform.python_version(), "torch": torch.__version__,
                             "stable-baselines3": metadata.version("stable-baselines3")},
                "ours": mine, "theirs": other, "quarters": quarters, "coincide": coincide}  # fmt: skip
        given.save.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if coincide else 1)


if __name__ == "__main__":
    main()
