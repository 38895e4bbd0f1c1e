"""The lot-sizing plant as published environments have it: one plant, Python loops over machines and items.

No package of it is on PyPI, so this is written from its description, with NumPy arrays for the tables and a dictionary
of arrays as the observation, as the published `discrete_lot_sizing` environment works. The plant is the one that
livepapers draws with the same seed: the tables below repeat its rule, so costs of an episode can be compared.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import gymnasium
import numpy as np

SIZES = ((15, 5), (25, 15))
EPISODES, PERIODS, CAPACITY = 10, 100, 100


def table(rng: np.random.Generator, low: int, high: int, least: float, *shape: int) -> np.ndarray:
    """The least value with some probability, else uniform above it."""
    drawn = rng.integers(low + 1, high + 1, size=shape)
    return np.where(rng.random(shape) < least, low, drawn)


class LoopPlant(gymnasium.Env):
    """One plant; the tables are drawn in the order in which livepapers draws them."""

    def __init__(self, items: int, machines: int) -> None:
        rng = np.random.default_rng(0)
        self.units = table(rng, 0, 40, 0.4, machines, items)
        while not (self.units > 0).any(axis=0).all() or not (self.units > 0).any(axis=1).all():
            self.units = table(rng, 0, 40, 0.4, machines, items)
        self.cost, self.loss = table(rng, 15, 30, 0.2, machines, items), table(rng, 1, 3, 0.7, machines, items)
        self.lost_sale = np.where(rng.random(items) < 0.5, 0.1, 1.1)
        self.items, self.machines, self.holding = items, machines, 0.01
        self.action_space = gymnasium.spaces.MultiDiscrete([items + 1] * machines)
        self.observation_space = gymnasium.spaces.Box(0, CAPACITY, (items,))

    def reset(self, *, seed=None, options=None):
        """Random stock and set-ups, and the demand of the whole episode."""
        super().reset(seed=seed, options=options)
        self.time = 0
        self.inventory = np.array([self.np_random.integers(0, CAPACITY) for _ in range(self.items)])
        self.setup = np.zeros(self.machines, dtype=int)
        for m in range(self.machines):
            able = [i for i, made in enumerate(self.units[m]) if made != 0]
            self.setup[m] = self.np_random.choice(able) + 1
        self.demand = self.np_random.binomial(20, 0.4, size=(self.items, PERIODS + 1))
        return {"inventory": self.inventory, "setup": self.setup}, {}

    def step(self, action):
        """One period."""
        setup_cost, lost, held = np.zeros(self.machines), np.zeros(self.items), np.zeros(self.items)
        for m in range(self.machines):
            if action[m] != 0:
                loss = 0
                if self.setup[m] != action[m]:
                    setup_cost[m] = self.cost[m][action[m] - 1]
                    loss = self.loss[m][action[m] - 1]
                self.setup[m] = action[m]
                self.inventory[action[m] - 1] += self.units[m][action[m] - 1] - loss
            else:
                self.setup[m] = 0
        for i in range(self.items):
            self.inventory[i] -= self.demand[i, self.time]
            if self.inventory[i] < 0:
                lost[i] = -self.inventory[i] * self.lost_sale[i]
                self.inventory[i] = 0
            elif self.inventory[i] > CAPACITY:
                self.inventory[i] = CAPACITY
            held[i] = self.inventory[i] * self.holding
        self.time += 1
        cost = float(sum(setup_cost) + sum(lost) + sum(held))
        return {"inventory": self.inventory, "setup": self.setup}, -cost, False, self.time == PERIODS, {}


def run(env: LoopPlant, actions: np.ndarray, seed: int) -> float:
    """Mean cost of the episodes."""
    total = 0.0
    for episode in range(EPISODES):
        env.reset(seed=1000 * seed + episode)
        truncated, t = False, 0
        while not truncated:
            _, reward, _, truncated, _ = env.step(actions[t])
            total -= reward
            t += 1
    return total / EPISODES


def main() -> None:
    for items, machines in SIZES:
        env = LoopPlant(items, machines)
        actions = np.random.default_rng(1).integers(0, items + 1, size=(PERIODS, machines))
        cost = run(env, actions, 0)
        rates = []
        for seed in range(1, 6):
            start = time.perf_counter()
            cost = run(env, actions, seed)
            rates.append(EPISODES * PERIODS / (time.perf_counter() - start))
        versions = {name: metadata.version(name) for name in ("gymnasium", "numpy")}
        print(json.dumps({
            "figure": f"periods of a plant, {items} items, {machines} machines", "value": statistics.median(rates),
            "unit": "periods/s", "better": "higher", "who": "Python loops",
            "versions": versions | {"python": platform.python_version()}, "check": {"cost of an episode": round(cost)},
        }))  # fmt: skip


if __name__ == "__main__":
    main()
