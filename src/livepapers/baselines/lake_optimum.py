"""The slippery lake solved exactly: backward induction over the steps of an episode."""

from typing import NamedTuple

import torch
from torch import Tensor

from livepapers.tasks.slippery_lake import SLIP, SlipperyLake


class LakeOptimum(NamedTuple):
    """The optimal policy of every step, and what it is worth."""

    value: Tensor  # [T + 1, tile] float64, reward to come with t steps gone
    action: Tensor  # [T, tile] int64
    post_value: Tensor  # [T, tile] float64, of the intended tile, before the slip: V^x


def optimum(lake: SlipperyLake, *, discount: float = 1.0) -> LakeOptimum:
    """V_t(s) = max_a [r^x + V^x_t(f(s, a))], V^x_t(s^x) = E[r + discount V_{t+1}(s')], V_T = 0.

    Args:
        lake: The map and its horizon.
        discount: Per step; 1 for the reward of an episode.
    """
    tiles = torch.arange(lake.tiles)
    goal, hole, near = tiles == lake.goal, lake.hole, lake.near.double()
    cost = lake.hole_cost.double()
    arrives = near - cost  # what a tile pays to whom slips onto it
    value = torch.zeros(lake.horizon + 1, lake.tiles, dtype=torch.float64)
    action = torch.zeros(lake.horizon, lake.tiles, dtype=torch.int64)
    post_value = torch.zeros(lake.horizon, lake.tiles, dtype=torch.float64)
    for t in range(lake.horizon - 1, -1, -1):
        later = discount * torch.where(goal, 0.0, value[t + 1])
        slipped = (lake.slip * (arrives + later)[lake.to]).sum(1)
        post_value[t] = torch.where(goal, 0.0, (1.0 - SLIP) * later + SLIP * slipped - cost)
        choices = near[lake.to] + post_value[t][lake.to]  # [tile, 4]
        best, action[t] = choices.max(1)
        value[t] = torch.where(hole | goal, 0.0, best)
    return LakeOptimum(value, action, post_value)


def expected_reward(lake: SlipperyLake, probabilities: Tensor) -> float:
    """The exact mean reward of an episode, undiscounted, under a policy that knows the tile only.

    Args:
        lake: The map.
        probabilities: `[tile, 4]`, of each action.
    """
    tiles = torch.arange(lake.tiles)
    goal, near, cost = tiles == lake.goal, lake.near.double(), lake.hole_cost.double()
    over = goal | lake.hole
    value = torch.zeros(lake.tiles, dtype=torch.float64)
    for _ in range(lake.horizon):
        slipped = (lake.slip * (near - cost + value)[lake.to]).sum(1)
        post = torch.where(goal, 0.0, (1.0 - SLIP) * value + SLIP * slipped - cost)
        value = torch.where(over, 0.0, (probabilities.double() * (near + post)[lake.to]).sum(1))
    return float(value[0])
