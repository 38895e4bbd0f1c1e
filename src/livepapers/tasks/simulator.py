"""The simulator contract: a batch of independent decision problems as pure functions of tensors.

Randomness is an argument, never an inner state, and one step is written as its two halves: `decide` is the
deterministic half (it ends in the post-decision state), `resolve` the random half. From this shape come paths that
are differentiated end to end, post-decision critics, and common random numbers.
"""

from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import gymnasium
import torch
from torch import Tensor

StateT = TypeVar("StateT")
PostT = TypeVar("PostT")
NoiseT = TypeVar("NoiseT")


@runtime_checkable
class Simulator(Protocol, Generic[StateT, PostT, NoiseT]):
    """A batch of independent decision problems.

    States, post-decision states and noise are NamedTuples of tensors (or single tensors) whose first axis is the
    batch; teams have an agent axis behind it. No method changes its arguments.
    """

    @property
    def horizon(self) -> int:
        """Decisions an episode; the horizon truncates, it does not terminate."""
        ...

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """Of one problem, without the batch axis."""
        ...

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """Of one problem, without the batch axis."""
        ...

    def initial(self, batch: int, generator: torch.Generator) -> StateT:
        """Start states of `batch` episodes."""
        ...

    def draw(self, batch: int, t: int, generator: torch.Generator) -> NoiseT:
        """Everything random in a step: demands, requests, mutations.

        `t` counts the steps of the batch since its lanes last started together. A lane that ended by itself has begun
        anew since, so what depends on the time of an episode belongs into the state.
        """
        ...

    def observe(self, state: StateT) -> Tensor:
        """What a policy sees, `[batch, ...]`."""
        ...

    def mask(self, state: StateT) -> Tensor | None:
        """Which discrete actions are allowed, `[batch, action]` bool; None when all are (or actions are real)."""
        ...

    def decide(self, state: StateT, action: Tensor) -> tuple[PostT, Tensor]:
        """The deterministic half: (post-decision state, reward so far `[batch]`)."""
        ...

    def resolve(self, post: PostT, noise: NoiseT) -> tuple[StateT, Tensor, Tensor]:
        """The random half: (next state, rest of the reward `[batch]`, terminated `[batch]` bool)."""
        ...
