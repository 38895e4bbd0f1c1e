"""Simulators whose policies see something else than the plain observation: with noise on it, or the last few together.

Both wrap any simulator and are simulators. `StackedObservations(NoisyObservations(world, sigma), frames)` draws noise
once for an observation: a frame that is seen again in later stacks carries the noise it came with.
"""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.simulator import Simulator

MOST_FRAMES = 1000


class SeenState(NamedTuple):
    """A state, and what a policy sees of it."""

    inner: Any
    seen: Tensor  # [B, ...] noisy observation, or [B, frames, ...] stack, newest frame last


class SeenPost(NamedTuple):
    """A post-decision state, and what had been seen before."""

    inner: Any
    seen: Tensor


class SeenNoise(NamedTuple):
    """What is random in a step: the world's part, and the observation's."""

    inner: Any
    observation: Tensor  # [B, ...] standard normal


class _Wrapped:
    """What both wrappers hand through."""

    def __init__(self, simulator: Simulator[Any, Any, Any]) -> None:
        space = simulator.observation_space
        if not isinstance(space, gymnasium.spaces.Box):
            raise InputError.of("simulator", str(space), expected="observations that are a box of numbers")
        self.simulator, self.horizon = simulator, simulator.horizon
        self.action_space = simulator.action_space
        self.return_bounds: tuple[float, float] | None = getattr(simulator, "return_bounds", None)

    def mask(self, state: SeenState) -> Tensor | None:
        """Which actions are allowed in the true state."""
        return self.simulator.mask(state.inner)

    def observe(self, state: SeenState) -> Tensor:
        """What is seen."""
        return state.seen

    def decide(self, state: SeenState, action: Tensor) -> tuple[SeenPost, Tensor]:
        """As the world decides."""
        post, reward = self.simulator.decide(state.inner, action)
        return SeenPost(post, state.seen), reward


class NoisyObservations(_Wrapped):
    """A simulator whose observations carry Gaussian noise, one fresh draw each.

    Args:
        simulator: The world; its observations are numbers.
        sigma: Standard deviation, in the observation's units.
    """

    def __init__(self, simulator: Simulator[Any, Any, Any], sigma: float) -> None:
        super().__init__(simulator)
        if not 0.0 <= sigma < float("inf"):
            raise InputError.of("sigma", sigma, expected="a finite number >= 0")
        self.sigma, self._shape = float(sigma), simulator.observation_space.shape or ()
        # beyond any bound, and floats: noise that is squeezed into bytes wraps around
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, self._shape, np.float32)

    def initial(self, batch: int, generator: torch.Generator) -> SeenState:
        """A start of the world, seen with noise."""
        inner = self.simulator.initial(batch, generator)
        return SeenState(inner, self._with(inner, self._normal(batch, generator)))

    def draw(self, batch: int, t: int, generator: torch.Generator) -> SeenNoise:
        """The world's noise, and that of the next observation."""
        return SeenNoise(self.simulator.draw(batch, t, generator), self._normal(batch, generator))

    def resolve(self, post: SeenPost, noise: SeenNoise) -> tuple[SeenState, Tensor, Tensor]:
        """The world goes on, and is seen with noise."""
        inner, reward, terminated = self.simulator.resolve(post.inner, noise.inner)
        return SeenState(inner, self._with(inner, noise.observation)), reward, terminated

    def _normal(self, batch: int, generator: torch.Generator) -> Tensor:
        return torch.randn(batch, *self._shape, generator=generator)

    def _with(self, inner: Any, normal: Tensor) -> Tensor:
        return self.simulator.observe(inner).to(torch.float32) + self.sigma * normal


class StackedObservations(_Wrapped):
    """A simulator that shows its last observations together, oldest first; before the start there are zeros.

    Args:
        simulator: The world; its observations are numbers.
        frames: Observations seen together.
    """

    def __init__(self, simulator: Simulator[Any, Any, Any], frames: int) -> None:
        super().__init__(simulator)
        if not 1 <= frames <= MOST_FRAMES:
            raise InputError.of("frames", frames, expected=f"a whole number from 1 to {MOST_FRAMES}")
        self.frames, space = frames, simulator.observation_space
        assert isinstance(space, gymnasium.spaces.Box)  # checked by the base class
        low, high = (np.repeat(side[None], frames, 0) for side in (space.low, space.high))
        kind = np.dtype(space.dtype).type
        self.observation_space = gymnasium.spaces.Box(np.minimum(low, 0), np.maximum(high, 0), dtype=kind)  # type: ignore[arg-type]

    def initial(self, batch: int, generator: torch.Generator) -> SeenState:
        """A start of the world: one observation behind zeros."""
        inner = self.simulator.initial(batch, generator)
        newest = self.simulator.observe(inner)
        empty = torch.zeros(batch, self.frames, *newest.shape[1:], dtype=newest.dtype)
        return SeenState(inner, pushed(empty, newest))

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Any:
        """As in the world."""
        return self.simulator.draw(batch, t, generator)

    def resolve(self, post: SeenPost, noise: Any) -> tuple[SeenState, Tensor, Tensor]:
        """The world goes on; its observation is the newest frame."""
        inner, reward, terminated = self.simulator.resolve(post.inner, noise)
        return SeenState(inner, pushed(post.seen, self.simulator.observe(inner))), reward, terminated


def pushed(stack: Tensor, newest: Tensor) -> Tensor:
    """A stack `[B, frames, ...]` with the newest observation `[B, ...]` at its end, its oldest frame forgotten."""
    return torch.cat([stack[:, 1:], newest[:, None]], 1)
