"""Networks of pdppo: an actor and two critics, each by itself, and the policy that is kept of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import gymnasium
import torch
from torch import Tensor, nn

from livepapers.blocks.distributions import Distribution, distribution, parameter_count
from livepapers.blocks.networks import MLP
from livepapers.core.rng import generator as make_generator
from livepapers.tasks import spaces

Activation = Literal["relu", "tanh"]


class PostDecisionPolicy(nn.Module):
    """The actor by itself: what an artifact of pdppo holds.

    Args:
        inputs: Width of an observation.
        action_space: Discrete or MultiDiscrete, or its JSON form.
        hidden: Widths of the hidden layers.
        activation: Behind each hidden layer; the paper has relu for plants, tanh for the lake.
        allowed: `[sum of choices]` truth values, actions that are never taken are false; None allows all.
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    takes = "observation"

    def __init__(
        self,
        inputs: int,
        action_space: gymnasium.Space | Mapping[str, Any],
        *,
        hidden: Sequence[int],
        activation: Activation,
        allowed: Sequence[bool] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.action_space = (
            action_space if isinstance(action_space, gymnasium.Space) else spaces.from_json(action_space)
        )
        self.arguments: dict[str, Any] = {
            "inputs": inputs, "action_space": spaces.to_json(self.action_space), "hidden": list(hidden),
            "activation": activation, "allowed": None if allowed is None else [bool(one) for one in allowed],
        }  # fmt: skip
        self._allowed = None if allowed is None else torch.tensor(self.arguments["allowed"])
        stream = generator or make_generator(0, "pdppo", "weights")
        self.network = MLP(
            inputs, hidden, outputs=parameter_count(self.action_space), activation=activation, generator=stream
        )

    def over(self, observation: Tensor, mask: Tensor | None = None) -> Distribution:
        """The distribution over actions; `mask` `[batch, sum of choices]` takes the place of the fixed one."""
        logits = self.network(observation)
        if mask is None and self._allowed is not None:
            mask = self._allowed.expand(len(logits), -1)
        return distribution(self.action_space, logits, mask=mask)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, inputs] -> [batch, ...]` the most likely actions."""
        return self.over(observation, mask).mode()


def critic(inputs: int, hidden: Sequence[int], *, generator: torch.Generator) -> MLP:
    """A value function, `[batch, inputs] -> [batch, 1]`: tanh, Xavier-uniform weights, zero biases, as in the paper."""
    network = MLP(inputs, hidden, outputs=1, activation="tanh", generator=generator)
    for layer in network.layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
    return network
