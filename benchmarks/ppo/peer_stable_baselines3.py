"""PPO of Stable-Baselines3 on CartPole-v1: at its defaults with eight environments, fast, and at our settings.

Its defaults are 10 epochs of minibatches of 64. Fast are 64 environments in one process, 4 epochs and minibatches of
2,048 (processes of their own cost more in messages than CartPole costs to step). Ours are 1,024 environments, 128
steps, 4 epochs of 4 minibatches. One thread.
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
    fast = measure(64, steps=512, updates=3, n_epochs=4, batch_size=2048)
    print(json.dumps({**fast, "who": "stable-baselines3, fast, 64 environments", "versions": versions}))
    same = measure(1024, steps=128, updates=1, n_epochs=4, batch_size=32_768)
    print(json.dumps({**same, "who": "stable-baselines3, our settings, 1,024 environments", "versions": versions}))


if __name__ == "__main__":
    main()
