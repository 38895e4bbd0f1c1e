"""PPO of Stable-Baselines3 on CartPole-v1: at its defaults with eight environments, and at its fastest setting.

Its defaults are 10 epochs of minibatches of 64. The fastest setting found has 64 environments in one process, 4 epochs
and minibatches of 2,048 (processes of their own cost more in messages than CartPole costs to step). One thread.
"""

import json
import platform
import time
import warnings
from importlib import metadata

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

FIGURE = "steps learned from, CartPole-v1"


def measure(environments: int, *, steps: int, updates: int, **options: int) -> dict[str, object]:
    """The rate after one update, by processor time."""
    env = make_vec_env("CartPole-v1", n_envs=environments, seed=0)
    model = PPO("MlpPolicy", env, n_steps=steps, device="cpu", seed=0, **options)
    model.learn(environments * steps)
    start = time.process_time()
    model.learn(updates * environments * steps, reset_num_timesteps=False)
    seconds = time.process_time() - start
    returns = [episode["r"] for episode in model.ep_info_buffer or ()]
    return {
        "figure": FIGURE, "value": updates * environments * steps / seconds, "unit": "a second of processor time",
        "better": "higher", "check": {"mean return of the latest episodes": round(float(np.mean(returns)), 1)},
    }  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__,
        "stable-baselines3": metadata.version("stable-baselines3"),
    }  # fmt: skip
    default = measure(8, steps=2048, updates=1)
    print(json.dumps({**default, "who": "stable-baselines3, defaults, 8 environments", "versions": versions}))
    fastest = measure(64, steps=512, updates=3, n_epochs=4, batch_size=2048)
    print(json.dumps({**fastest, "who": "stable-baselines3, fastest, 64 environments", "versions": versions}))


if __name__ == "__main__":
    main()
