"""Policies as genomes, and the one policy that is told which behaviour is wanted."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from livepapers.blocks.distributions import bounds
from livepapers.blocks.policies import BoxPolicy, as_space, flat_width
from livepapers.blocks.populations import DenseStack
from livepapers.core.errors import InputError
from livepapers.tasks import spaces
from livepapers.tasks.descriptors import Descriptor


class Genotypes:
    """What the numbers of a genome mean: a `BoxPolicy` with ReLU, its parameters in one vector.

    Args:
        observation_space: A Box.
        action_space: A Box with bounds.
        hidden: Widths of the hidden layers.
    """

    def __init__(
        self, observation_space: gymnasium.Space, action_space: gymnasium.Space, *, hidden: Sequence[int]
    ) -> None:
        if not isinstance(observation_space, Box):
            raise InputError.of("observation space", str(observation_space), expected="a box")
        for field, space in (("observation space", observation_space), ("action space", action_space)):
            if 0 in (space.shape or ()):
                raise InputError.of(field, str(space), expected="at least one number")
        if not isinstance(action_space, Box) or not action_space.is_bounded("both"):
            cause = "a critic's gradient needs real actions"
            raise InputError.of("action space", str(action_space), expected="a box with bounds", cause=cause)
        self.observation_space, self.action_space, self.hidden = observation_space, action_space, tuple(hidden)
        self._low, self._high = bounds(action_space)
        self.stack = DenseStack([flat_width(observation_space), *self.hidden, flat_width(action_space)], torch.relu)
        self.parameters = self.stack.parameters

    def forward(self, theta: Tensor, observation: Tensor) -> Tensor:
        """Actions of P policies, each for its own L flat observations: `[P, n], [P, L, F] -> [P, L, ...]`."""
        squeezed = torch.tanh(self.stack.forward(theta, observation))
        squeezed = squeezed.reshape(*observation.shape[:2], *self._low.shape)
        return torch.lerp(self._low, self._high, (squeezed + 1.0) / 2.0)

    def policy(self, genome: Tensor) -> BoxPolicy:
        """One genome `[n]` as a policy that artifacts, `evaluate` and other methods take."""
        made = BoxPolicy(self.observation_space, self.action_space, hidden=self.hidden)
        nn.utils.vector_to_parameters(genome.detach().clone(), made.parameters())
        return made.eval()


class ConditionedPolicy(nn.Module):
    """pi(s | d'): the archive in one network. As a plain policy it acts for the descriptor that it was left with.

    Args:
        observation_space: A Box, or its JSON form.
        action_space: A Box with bounds, or its JSON form.
        hidden: Widths of the hidden layers.
        names: Of the descriptor's numbers.
        low: Lower ends of the descriptor's box.
        high: Upper ends.
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    takes = "observation"
    wanted: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(
        self,
        observation_space: gymnasium.Space | Mapping[str, Any],
        action_space: gymnasium.Space | Mapping[str, Any],
        *,
        hidden: Sequence[int],
        names: Sequence[str],
        low: Sequence[float],
        high: Sequence[float],
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space = as_space(observation_space), as_space(action_space)
        self.hidden, self.names = tuple(hidden), tuple(names)
        self.arguments: dict[str, Any] = {
            "observation_space": spaces.to_json(self.observation_space),
            "action_space": spaces.to_json(self.action_space),
            "hidden": list(hidden), "names": list(names), "low": list(low), "high": list(high),
        }  # fmt: skip
        self._width = flat_width(self.observation_space)
        told = Box(-np.inf, np.inf, (self._width + len(self.names),), np.float32)
        self.actor = BoxPolicy(told, self.action_space, hidden=hidden, generator=generator)
        self.register_buffer("lowest", torch.tensor(low, dtype=torch.float32), persistent=False)
        self.register_buffer("highest", torch.tensor(high, dtype=torch.float32), persistent=False)
        self.register_buffer("wanted", (self.lowest + self.highest) / 2.0)

    def forward(self, observation: Tensor) -> Tensor:
        """`[batch, ...]` observations -> `[batch, ...]` actions, for the descriptor `wanted`."""
        return self.act(observation, self.wanted.expand(observation.shape[0], -1))

    def act(self, observation: Tensor, descriptor: Tensor) -> Tensor:
        """Actions for a descriptor each, `[batch, ...], [batch, D] -> [batch, ...]`; in the descriptor's own units."""
        flat = observation.flatten(1).to(torch.float32)
        return self.actor(torch.cat([flat, self._normalised(descriptor)], 1))

    def specialise(self, descriptor: Tensor) -> BoxPolicy:
        """The plain policy for one descriptor `[D]`, exactly: W = [W_s W_d] becomes W_s, and b becomes b + W_d d."""
        made = BoxPolicy(self.observation_space, self.action_space, hidden=self.hidden)
        genome = folded(self.actor, self._normalised(descriptor)[None])[0]
        nn.utils.vector_to_parameters(genome, made.parameters())
        return made.eval()

    def _normalised(self, descriptor: Tensor) -> Tensor:
        return 2.0 * (descriptor - self.lowest) / (self.highest - self.lowest) - 1.0


def conditioned_policy(
    genotypes: Genotypes, descriptor: Descriptor, hidden: Sequence[int], generator: torch.Generator | None = None
) -> ConditionedPolicy:
    """A `ConditionedPolicy` for what genomes see and do."""
    return ConditionedPolicy(
        genotypes.observation_space, genotypes.action_space, hidden=hidden, names=descriptor.names,
        low=descriptor.low, high=descriptor.high, generator=generator,
    )  # fmt: skip


@torch.no_grad()
def folded(actor: BoxPolicy, descriptors: Tensor) -> Tensor:
    """Genomes of a conditioned actor for normalised descriptors, `[B, D] -> [B, n]`; of a plain one, where D = 0."""
    first, *rest = [part for part in actor.network.layers if isinstance(part, nn.Linear)]
    count, width = len(descriptors), first.in_features - descriptors.shape[1]
    bias = first.bias + descriptors @ first.weight[:, width:].T
    others = [part.reshape(-1) for layer in rest for part in (layer.weight, layer.bias)]
    shared = torch.cat(others) if others else torch.empty(0)
    weight = first.weight[:, :width].reshape(1, -1).expand(count, -1)
    return torch.cat([weight, bias, shared.expand(count, -1)], 1)


class Unconditioned(nn.Module):
    """An actor that does not read the last columns, which hold the descriptor (ablation 3).

    Args:
        actor: Of plain observations.
        width: Numbers in a flat observation.
    """

    def __init__(self, actor: BoxPolicy, width: int) -> None:
        super().__init__()
        self.actor, self.width = actor, width

    def forward(self, told: Tensor) -> Tensor:
        """`[B, F + D] -> [B, ...]`."""
        return self.actor(told[:, : self.width])
