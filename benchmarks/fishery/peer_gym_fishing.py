"""gym_fishing's continuous environment: simulated years a second, one stock at a time.

The same stock as in ours.py: logistic growth at 0.3, multiplicative noise of 0.1, a tenth caught each year, 100 years.
"""

import json
import platform
import statistics
import time
import warnings
from importlib import metadata

import numpy as np

warnings.filterwarnings("ignore")  # gym announces its successor at every import
from gym_fishing.envs.fishing_cts_env import FishingCtsEnv  # noqa: E402

EPISODES, YEARS, MORTALITY = 100, 100, 0.1


def run(env: FishingCtsEnv, seed: int) -> tuple[int, float]:
    """(Years simulated, catch) in `EPISODES` episodes."""
    np.random.seed(seed)  # noqa: NPY002 - the environment draws from the global stream
    years, caught = 0, 0.0
    for _ in range(EPISODES):
        state = env.reset()
        for _ in range(YEARS):
            quota = MORTALITY * (state[0] + 1.0) * env.K
            state, reward, done, _ = env.step(np.array([env.get_action(quota)], dtype=np.float32))
            years, caught = years + 1, caught + float(reward)
            if done:
                break
    return years, caught


def main() -> None:
    env = FishingCtsEnv(r=0.3, K=1.0, sigma=0.1, init_state=0.75, Tmax=YEARS)
    run(env, 0)
    rates, years, caught = [], 0, 0.0
    for seed in range(1, 6):
        start = time.perf_counter()
        years, caught = run(env, seed)
        rates.append(years / (time.perf_counter() - start))
    versions = {name: metadata.version(name) for name in ("gym-fishing", "gym", "numpy")}
    line = {
        "figure": "simulated years, one logistic stock", "value": statistics.median(rates), "unit": "years/s",
        "better": "higher", "who": "gym-fishing", "versions": versions | {"python": platform.python_version()},
        "check": {"years": years, "catch a year": round(caught / years, 3)},
    }  # fmt: skip
    print(json.dumps(line))


if __name__ == "__main__":
    main()
