"""A construction as a simulator: one move a step, the object's reward at the end, for learners of values."""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import Construction


class Built(NamedTuple):
    """The post-decision state: the move is made."""

    state: Tensor  # [B, ...]
    finished: Tensor  # [B] bool


class Building:
    """A `Simulator` of a construction: nothing is random, and every episode starts at the root.

    Args:
        env: The construction; R(x) is paid when x is finished.
        scale: What R is divided by, so that returns are of order 1.
    """

    def __init__(self, env: Construction, *, scale: float = 1.0) -> None:
        if not scale > 0:
            raise InputError.of("scale", scale, expected="a number > 0")
        self.env, self.scale, self.horizon = env, scale, env.longest
        self.observation_space: gymnasium.Space[Any] = gymnasium.spaces.Box(0.0, 1.0, (env.features,), np.float32)
        self.action_space: gymnasium.Space[Any] = gymnasium.spaces.Discrete(env.moves + env.has_stop)

    def initial(self, batch: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - there is one root
        """The root."""
        return self.env.root(batch)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is random
        """Nothing, `[B, 0]`."""
        return torch.zeros(batch, 0)

    def observe(self, state: Tensor) -> Tensor:
        """The encoded state."""
        return self.env.encode(state)

    def mask(self, state: Tensor) -> Tensor:
        """Allowed moves, and stopping."""
        return self.env.forward_mask(state)

    def decide(self, state: Tensor, action: Tensor) -> tuple[Built, Tensor]:
        """Make the move: (what was built, R where it is finished `[B]`)."""
        stops = action >= self.env.moves
        child = self.env.step(state, torch.where(stops, 0, action))
        child = torch.where(stops.reshape(-1, *[1] * (state.ndim - 1)), state, child)
        finished = stops | self.env.is_terminal(child)
        reward = torch.zeros(len(state))
        rows = finished.nonzero().squeeze(1)
        if len(rows):
            reward[rows] = (self.env.log_reward(child[rows]).exp() / self.scale).to(reward.dtype)
        return Built(child, finished), reward

    def resolve(self, post: Built, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Nothing more happens."""
        del noise
        return post.state, torch.zeros(len(post.finished)), post.finished
