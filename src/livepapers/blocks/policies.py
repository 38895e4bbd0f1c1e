"""What is saved of a trained agent: small modules that map observations to actions, the normaliser inside."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from livepapers.blocks.distributions import bounds, distribution, into, middle, parameter_count
from livepapers.blocks.networks import MLP, Activation, orthogonal
from livepapers.core.errors import InputError
from livepapers.core.rng import generator as make_generator
from livepapers.tasks import spaces


class Normaliser(nn.Module):
    """Observations with their running mean taken away, over their running standard deviation, cut at +-10.

    Args:
        width: Numbers in a flat observation.

    Attributes:
        frozen: Whether `update` changes nothing: a base that was trained before shall see what it knows.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frozen = False
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, observation: Tensor) -> Tensor:
        """`[batch, width] -> [batch, width]`."""
        return ((observation - self.mean) * torch.rsqrt(self.variance + 1e-8)).clamp(-10.0, 10.0)

    @torch.no_grad()
    def update(self, observation: Tensor) -> None:
        """Take `[batch, width]` more observations into the mean and the variance (Chan et al. 1983)."""
        if self.frozen:
            return
        seen, total = observation.shape[0], self.count + observation.shape[0]
        variance, mean = torch.var_mean(observation, 0, correction=0)
        share, shift = float(seen / total), mean - self.mean
        self.variance.lerp_(variance, share).add_(shift.square(), alpha=share * (1.0 - share))
        self.mean.add_(shift, alpha=share)
        self.count.copy_(total)


LOG_STD_RANGE = (-5.0, 2.0)
"""Within which standard deviations that depend on the state stay: none dies out, none leaves the box for good."""


class Actor(nn.Module):
    """A network from flat observations to a distribution's parameters.

    Means of a bounded Box are measured in its half-widths from its centre: whatever the unit, outputs of order 1 reach
    all of it. Where a constant standard deviation does harm in some states (a stock near extinction, a pole about to
    fall), the mean must flee beyond the edge there to keep the draws at it; one that depends on the state can shrink.

    Args:
        width: Numbers in a flat observation.
        space: The action space.
        hidden: Widths of the hidden layers.
        activation: Behind each hidden layer.
        generator: Source of the initial weights.
        log_std: None: outputs are means. A number: for a Box, behind the means come logarithms of the standard
            deviations, which begin near this one, in half-widths or, for a Box without bounds, in its unit.
    """

    centre: Tensor
    reach: Tensor

    def __init__(
        self,
        width: int,
        space: gymnasium.Space,
        *,
        hidden: Sequence[int],
        activation: Activation,
        generator: torch.Generator,
        log_std: float | None = None,
    ) -> None:
        super().__init__()
        if log_std is not None and not isinstance(space, Box):
            raise InputError.of("log_std", log_std, expected="None", cause=f"{space} is no Box")
        outputs = parameter_count(space) * (1 if log_std is None else 2)
        network = MLP(width, hidden, outputs=outputs, activation=activation, generator=generator)
        self.network, self.log_std = orthogonal(network, gain=0.01, generator=generator), log_std
        self.scaled = isinstance(space, Box) and bool(space.is_bounded("both"))
        centre, reach = middle(space) if isinstance(space, Box) and self.scaled else (torch.zeros(1), torch.ones(1))
        self.register_buffer("centre", centre.flatten(), persistent=False)
        self.register_buffer("reach", reach.flatten(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """`[batch, width] -> [batch, parameters]`."""
        outputs = self.network(features)
        if self.log_std is None:
            return torch.addcmul(self.centre, self.reach, outputs) if self.scaled else outputs
        mean, change = outputs.chunk(2, -1)
        log_std = (self.log_std + change).clamp(*LOG_STD_RANGE) + self.reach.log()
        return torch.cat([torch.addcmul(self.centre, self.reach, mean) if self.scaled else mean, log_std], -1)


class GreedyPolicy(nn.Module):
    """The most likely action of an actor, within the action space.

    Args:
        observation_space: A Box, or its JSON form.
        action_space: `Discrete`, `MultiDiscrete` or `Box`, or its JSON form.
        hidden: Widths of the hidden layers.
        activation: Behind each hidden layer.
        normalise: Whether observations are normalised.
        log_std: As the actor had it that the weights come from, see `Actor`.
    """

    takes = "observation"

    def __init__(
        self,
        observation_space: gymnasium.Space | Mapping[str, Any],
        action_space: gymnasium.Space | Mapping[str, Any],
        *,
        hidden: Sequence[int],
        activation: Activation,
        normalise: bool,
        log_std: float | None = None,
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space = as_space(observation_space), as_space(action_space)
        self.arguments: dict[str, Any] = {
            "observation_space": spaces.to_json(self.observation_space),
            "action_space": spaces.to_json(self.action_space),
            "hidden": list(hidden), "activation": activation, "normalise": normalise, "log_std": log_std,
        }  # fmt: skip
        width = flat_width(self.observation_space)
        self.normaliser = Normaliser(width) if normalise else None
        stream = make_generator(0, "policies", "weights")  # real weights are loaded afterwards
        self.actor = Actor(
            width, self.action_space, hidden=hidden, activation=activation, generator=stream, log_std=log_std
        )
        self._mode = _Mode(self.action_space)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, ...]` observations, `[batch, actions]` allowed ones -> `[batch, ...]` actions."""
        features = observation.flatten(1).to(torch.float32)
        return self._mode(self.actor(features if self.normaliser is None else self.normaliser(features)), mask)


class BoxPolicy(nn.Module):
    """A network whose output, squeezed by tanh, spans a bounded box: the actor of DDPG and TD3.

    Args:
        observation_space: A Box, or its JSON form.
        action_space: A Box with bounds, or its JSON form.
        hidden: Widths of the hidden layers.
        activation: Behind each hidden layer.
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    takes = "observation"
    low: Tensor
    high: Tensor

    def __init__(
        self,
        observation_space: gymnasium.Space | Mapping[str, Any],
        action_space: gymnasium.Space | Mapping[str, Any],
        *,
        hidden: Sequence[int],
        activation: Activation = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space = as_space(observation_space), as_space(action_space)
        if not isinstance(self.action_space, Box) or not self.action_space.is_bounded("both"):
            raise InputError.of("action space", str(self.action_space), expected="a box with bounds")
        self.arguments: dict[str, Any] = {
            "observation_space": spaces.to_json(self.observation_space),
            "action_space": spaces.to_json(self.action_space),
            "hidden": list(hidden), "activation": activation,
        }  # fmt: skip
        self.network = MLP(
            flat_width(self.observation_space), hidden, outputs=parameter_count(self.action_space),
            activation=activation, generator=generator or make_generator(0, "policies", "weights"),
        )  # fmt: skip
        low, high = bounds(self.action_space)
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """`[batch, ...]` observations -> `[batch, ...]` actions inside the box."""
        squeezed = torch.tanh(self.network(observation.flatten(1).to(torch.float32)))
        return torch.lerp(self.low, self.high, (squeezed.reshape(-1, *self.low.shape) + 1.0) / 2.0)


class ActionValue(nn.Module):
    """A critic of real actions: (observation, action) -> `[batch]`.

    Args:
        observation_space: A Box.
        action_space: A Box with bounds; actions are measured in half-widths from its centre.
        hidden: Widths of the hidden layers.
        activation: Behind each hidden layer.
        generator: Source of the initial weights.
    """

    centre: Tensor
    reach: Tensor

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: Box,
        *,
        hidden: Sequence[int],
        activation: Activation = "relu",
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        width = flat_width(observation_space) + flat_width(action_space)
        self.network = MLP(width, hidden, outputs=1, activation=activation, generator=generator)
        centre, reach = middle(action_space)
        self.register_buffer("centre", centre.flatten(), persistent=False)
        self.register_buffer("reach", reach.flatten(), persistent=False)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """`[batch, ...]` each -> `[batch]`."""
        flat = observation.flatten(1).to(torch.float32)
        return self.network(torch.cat([flat, (action.flatten(1) - self.centre) / self.reach], 1)).squeeze(-1)


class QNetwork(nn.Module):
    """Values of all discrete actions, `[batch, ...] -> [batch, actions]`.

    Dueling (Wang et al. 2016, equation 9): one value of the state plus advantages whose mean is taken away.

    Args:
        width: Numbers in a flat observation.
        actions: How many.
        hidden: Widths of the hidden layers.
        activation: Behind each hidden layer.
        dueling: Whether the output is split.
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        width: int,
        actions: int,
        *,
        hidden: Sequence[int],
        activation: Activation,
        dueling: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.dueling = dueling
        self.network = MLP(width, hidden, outputs=actions + dueling, activation=activation, generator=generator)

    def forward(self, observation: Tensor) -> Tensor:
        """Values `[batch, actions]`."""
        outputs = self.network(observation.flatten(1).to(torch.float32))
        if not self.dueling:
            return outputs
        return outputs[:, :1] + outputs[:, 1:] - outputs[:, 1:].mean(1, keepdim=True)


class QPolicy(nn.Module):
    """The discrete action of the largest value.

    Args:
        observation_space: A Box, or its JSON form.
        action_space: `Discrete`, or its JSON form.
        hidden: Widths of the hidden layers.
        activation: Behind each hidden layer.
        dueling: Whether the network is dueling.
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    takes = "observation"

    def __init__(
        self,
        observation_space: gymnasium.Space | Mapping[str, Any],
        action_space: gymnasium.Space | Mapping[str, Any],
        *,
        hidden: Sequence[int] = (64, 64),
        activation: Activation = "relu",
        dueling: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space = as_space(observation_space), as_space(action_space)
        self.arguments: dict[str, Any] = {
            "observation_space": spaces.to_json(self.observation_space),
            "action_space": spaces.to_json(self.action_space),
            "hidden": list(hidden), "activation": activation, "dueling": dueling,
        }  # fmt: skip
        self.values = QNetwork(
            flat_width(self.observation_space), parameter_count(self.action_space), hidden=hidden,
            activation=activation, dueling=dueling, generator=generator or make_generator(0, "policies", "weights"),
        )  # fmt: skip
        self._mode = _Mode(self.action_space)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, ...]` observations, `[batch, actions]` allowed ones -> `[batch]` actions."""
        return self._mode(self.values(observation), mask)


class Greedy(nn.Module):
    """The most likely action of any agent whose output begins with the distribution's parameters.

    Args:
        agent: forward(observation) -> (parameters, ...).
        space: The action space.
    """

    takes = "observation"

    def __init__(self, agent: nn.Module, space: gymnasium.Space) -> None:
        super().__init__()
        self.agent, self._mode = agent, _Mode(space)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, ...]` observations -> `[batch, ...]` actions."""
        return self._mode(self.agent(observation)[0], mask)


class _Mode:
    """The most likely action within a space."""

    def __init__(self, space: gymnasium.Space) -> None:
        self._space, self._into = space, into(space)
        self._spread = torch.zeros(parameter_count(space))  # on which a mode does not depend

    def __call__(self, parameters: Tensor, mask: Tensor | None) -> Tensor:
        return self._into(distribution(self._space, parameters, log_std=self._spread, mask=mask).mode())


def as_space(space: gymnasium.Space | Mapping[str, Any]) -> gymnasium.Space:
    """A space, or one from its JSON form."""
    return space if isinstance(space, gymnasium.Space) else spaces.from_json(space)


def flat_width(space: gymnasium.Space) -> int:
    """Numbers in a flat observation."""
    return math.prod(space.shape or ())


ARCHITECTURES = {"GreedyPolicy": GreedyPolicy, "BoxPolicy": BoxPolicy, "QPolicy": QPolicy}
