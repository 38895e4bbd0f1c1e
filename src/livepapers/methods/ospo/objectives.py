"""What ospo changes: advantages without a critic, from the vehicles that decided in the same minute.

Records are decisions, K of them: reward `[K]`, group `[K]` (the minute of a lane), agent `[K]` (a vehicle of a lane)
and time `[K]` (minute of the episode), in any order. So they serve any fleet of equal agents, not vehicles alone.
"""

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from livepapers.blocks.advantages import group_relative, returns_to_go, standardise
from livepapers.core.errors import InputError

Horizon: TypeAlias = Literal["one step", "return", "critic"]
Group: TypeAlias = Literal["minute", "episode", "none"]
NOISE = 1e-5
"""Rewards nearer to their group's mean are at it: rounding errors over their own spread are no signal."""


def one_step_advantage(reward: Tensor, group: Tensor) -> Tensor:
    """The paper's new term: A = (r - mean of r in the group) / (its standard deviation + 1e-8), no future, no critic.

    With equal agents whose decisions lead to one common next state, the value of what follows is the same in
    expectation for all of a group, so Q - mean Q = r - mean r: the group's mean is an exact baseline. Groups of one,
    and rewards that equal their mean, give 0.

    Args:
        reward: `[K]`, of each decision by itself.
        group: `[K]` int64, which decisions were made together.

    Returns:
        `[K]`.
    """
    centred = group_relative(reward, group, scale=False)
    return torch.where(centred.abs() > NOISE, group_relative(reward, group), 0.0)


def reward_to_go(reward: Tensor, agent: Tensor, time: Tensor, *, discount: float) -> Tensor:
    """GRPO's return: G = r + discount^(minutes until the agent's next decision) G of that decision, `[K]`.

    An agent decides at most once a minute; its last decision's return is its own reward.
    """
    if not len(reward):
        return reward
    steps, agents = int(time.max()) + 1, int(agent.max()) + 1
    table = torch.zeros(steps, agents, dtype=reward.dtype).index_put((time, agent), reward)
    total = returns_to_go(table, torch.zeros(steps, agents, dtype=torch.bool), discount=discount)
    return total[time, agent]


def critic_advantage(
    reward: Tensor, value: Tensor, agent: Tensor, time: Tensor, *, discount: float, trace: float
) -> Tensor:
    """IPPO's: generalised advantages along each agent's decisions, gaps discounted by the minute, `[K]`.

    delta = r + discount^gap V(next decision) - V, A = delta + discount^gap trace A(next decision); nothing follows the
    last decision of an agent.
    """
    if not len(reward):
        return reward
    steps, agents = int(time.max()) + 1, int(agent.max()) + 1
    shape = (steps, agents)
    rewards, values = (torch.zeros(shape).index_put((time, agent), one) for one in (reward, value))
    decided = torch.zeros(shape, dtype=torch.bool).index_put((time, agent), torch.ones(len(reward), dtype=torch.bool))
    advantage, later, ahead = torch.zeros(shape), torch.zeros(agents), torch.zeros(agents)
    for t in range(steps - 1, -1, -1):
        later, ahead = discount * later, discount * ahead  # a minute further away
        now = rewards[t] + ahead - values[t] + trace * later
        later = torch.where(decided[t], now, later)
        ahead = torch.where(decided[t], values[t], ahead)
        advantage[t] = later
    return advantage[time, agent]


def advantage(
    horizon: Horizon, group: Group, reward: Tensor, minute: Tensor, agent: Tensor, time: Tensor, *, discount: float
) -> Tensor:
    """Advantages without a critic, `[K]`: how far one looks, and what is taken away.

        one step, minute     OSPO: `one_step_advantage`
        one step, episode    rewards standardised over the episode
        return, episode      GRPO as released: returns of rewards standardised over the episode
        return, minute       GRPO as the paper writes it: returns against the mean of their minute
        none                 the bare reward or return: no baseline at all

    Args:
        horizon: "one step" or "return".
        group: What decisions are compared with.
        reward: `[K]`.
        minute: `[K]` int64, the minute of a lane.
        agent: `[K]` int64.
        time: `[K]` int64.
        discount: A minute, of returns.

    Raises:
        InputError: Another horizon (a critic's is `critic_advantage`) or group.
    """
    if horizon not in ("one step", "return"):
        raise InputError.of("horizon", horizon, expected="one step or return")
    if group not in get_args(Group):
        raise InputError.of("group", group, expected=f"one of {', '.join(get_args(Group))}")
    if horizon == "one step":
        if group == "minute":
            return one_step_advantage(reward, minute)
        return standardise(reward) if group == "episode" else reward
    if group == "none":
        return reward_to_go(reward, agent, time, discount=discount)
    returns = reward_to_go(standardise(reward), agent, time, discount=discount)
    return one_step_advantage(returns, minute) if group == "minute" else returns


def fairness_penalty(before: Tensor, after: Tensor) -> Tensor:
    """Minus the growth of the standard deviation of what the vehicles earned: `[B, N]` before and after -> `[B]`."""
    return before.std(-1, correction=0) - after.std(-1, correction=0)
