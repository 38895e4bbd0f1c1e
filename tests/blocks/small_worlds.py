"""Tiny worlds for the learners' tests."""

from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.rng import generator
from livepapers.tasks.vector import SimulatorTask


class Place(NamedTuple):
    place: Tensor  # [batch]


class Match:
    """Each step shows a number in {-1, +1}; the action that names it (0 or 1) earns 1. Episodes of five steps."""

    horizon = 5
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space: gymnasium.Space = gymnasium.spaces.Discrete(2)

    def initial(self, batch: int, generator: torch.Generator) -> Place:
        return Place(torch.randint(0, 2, (batch,), generator=generator) * 2.0 - 1.0)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:
        return torch.randint(0, 2, (batch,), generator=generator) * 2.0 - 1.0

    def observe(self, state: Place) -> Tensor:
        return state.place[:, None]

    def mask(self, state: Place) -> Tensor | None:
        return None

    def decide(self, state: Place, action: Tensor) -> tuple[Place, Tensor]:
        return state, (action * 2.0 - 1.0 == state.place).float()

    def resolve(self, post: Place, noise: Tensor) -> tuple[Place, Tensor, Tensor]:
        return Place(noise), torch.zeros_like(noise), torch.zeros_like(noise, dtype=torch.bool)


class MaskedParts(Match):
    """Two parts, of two and three choices, of which the first of the second part is never allowed."""

    action_space = gymnasium.spaces.MultiDiscrete([2, 3])

    def mask(self, state: Place) -> Tensor:
        return torch.tensor([True, True, False, True, True]).expand(len(state.place), -1)

    def decide(self, state: Place, action: Tensor) -> tuple[Place, Tensor]:
        return state, (action[:, 0] * 2.0 - 1.0 == state.place).float() + (action[:, 1] == 2).float()


class Steer(Match):
    """A real action in [0, 10] that should be 5 + 2 x what is shown."""

    action_space = gymnasium.spaces.Box(0.0, 10.0, (1,), np.float32)

    def decide(self, state: Place, action: Tensor) -> tuple[Place, Tensor]:
        assert bool((action >= 0).all())
        assert bool((action <= 10).all())
        return state, -(action[:, 0] - 5.0 - 2.0 * state.place).square() / 10.0


class Corridor:
    """Six places; only the last pays, and it takes steps to the right that cost a little: credit must travel.

    Terminates at the last place, truncates after 20 steps.
    """

    horizon = 20
    length = 6
    observation_space = gymnasium.spaces.Box(0.0, 1.0, (6,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def initial(self, batch: int, generator: torch.Generator) -> Place:
        return Place(torch.zeros(batch, dtype=torch.int64))

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:
        return torch.zeros(batch)

    def observe(self, state: Place) -> Tensor:
        return torch.nn.functional.one_hot(state.place, self.length).float()

    def mask(self, state: Place) -> Tensor | None:
        return None

    def decide(self, state: Place, action: Tensor) -> tuple[Place, Tensor]:
        moved = (state.place + 2 * action - 1).clamp(0, self.length - 1)
        return Place(moved), -0.02 * action.float()

    def resolve(self, post: Place, noise: Tensor) -> tuple[Place, Tensor, Tensor]:
        there = post.place == self.length - 1
        return post, there.float() + noise, there


def task(world: type, lanes: int = 16) -> SimulatorTask:
    return SimulatorTask(world(), lanes)


def stream(name: str = "test", seed: int = 0) -> torch.Generator:
    return generator(seed, name)
