"""Do ours and Stable-Baselines3's PPO learn alike? Equal settings on Gymnasium's CartPole-v1, ten seeds each.

    pip install -r benchmarks/ppo/requirements-stable_baselines3.txt   # beside livepapers, in one environment
    python benchmarks/ppo/equivalence.py [--seeds 10] [--steps 65536]

Eight environments, 128 steps an update, 10 epochs of 4 minibatches, rate 3e-4, two tanh networks of 64-64. The figure
of a seed is the mean return of the training episodes that end in the last quarter of the steps. Ours is as good when
the 90 % interval of the mean difference lies within +-40 (8 % of the largest return), fixed before the first run.
"""

import argparse
import json
import warnings

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from livepapers.blocks.policy_optimisation import PPO, PPOConfig, actor_critic
from livepapers.core.rng import generator, numpy_generator
from livepapers.lab.statistics import equivalence_test
from livepapers.tasks.vector import GymnasiumTask

LANES, STEPS, EPOCHS, MINIBATCHES, RATE, MARGIN = 8, 128, 10, 4, 3e-4, 40.0


def ours(seed: int, updates: int) -> float:
    task = GymnasiumTask.make("CartPole-v1", LANES)
    agent = actor_critic(
        task.observation_space, task.action_space, normalise=False, generator=generator(seed, "weights")
    )
    config = PPOConfig(steps=STEPS, epochs=EPOCHS, minibatches=MINIBATCHES, learning_rate=RATE)
    learner = PPO(task, agent, config=config, seed=seed)
    total = count = 0.0
    for update in range(updates):
        metrics = learner.update()
        if update >= updates * 3 // 4:
            total, count = total + metrics["episodes"] * metrics["episode_return"], count + metrics["episodes"]
    return total / count


class Returns(BaseCallback):
    """Returns of the episodes that end in the last quarter."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first, self.returns = first, []

    def _on_step(self) -> bool:
        if self.num_timesteps > self.first:
            self.returns += [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        return True


def theirs(seed: int, updates: int) -> float:
    env = make_vec_env("CartPole-v1", n_envs=LANES, seed=seed)
    model = stable_baselines3.PPO(
        "MlpPolicy", env, n_steps=STEPS, n_epochs=EPOCHS, batch_size=LANES * STEPS // MINIBATCHES, learning_rate=RATE,
        seed=seed, device="cpu",
    )  # fmt: skip
    seen = Returns(updates * 3 // 4 * LANES * STEPS)
    model.learn(updates * LANES * STEPS, callback=seen)
    return float(np.mean(seen.returns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=65_536)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    updates = options.steps // (LANES * STEPS)
    rows = []
    for seed in range(options.seeds):
        rows.append((ours(seed, updates), theirs(seed, updates)))
        print(json.dumps({"seed": seed, "ours": round(rows[-1][0], 1), "theirs": round(rows[-1][1], 1)}), flush=True)
    difference = np.array([mine - other for mine, other in rows])
    found = equivalence_test(difference, numpy_generator(0, "equivalence"), margin=MARGIN)
    means = np.mean(rows, 0)
    print(f"mean return: ours {means[0]:.1f}, theirs {means[1]:.1f}; margin {MARGIN:g}; {found}")


if __name__ == "__main__":
    main()
