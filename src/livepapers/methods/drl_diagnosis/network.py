"""The dueling convolutional Q-network of the paper's agents, and bounds on it by intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor, nn
from torch.nn import functional

from livepapers.blocks.networks import linear
from livepapers.blocks.policies import as_space
from livepapers.core.errors import InputError
from livepapers.core.rng import generator as make_generator
from livepapers.tasks import spaces


class ConvValues(nn.Module):
    """Q = V + A - mean A from pictures, `[B, ...] -> [B, actions]`; both streams linear on one hidden layer.

    Args:
        shape: Of one picture, `(planes, height, width)`.
        actions: How many.
        layers: (channels, kernel, stride) of each convolution.
        hidden: Width of the layer behind them.
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        actions: int,
        *,
        layers: Sequence[Sequence[int]],
        hidden: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        planes, height, width = shape
        parts: list[nn.Module] = []
        for channels, kernel, stride in layers:
            parts += [_conv(planes, channels, kernel, stride, generator), nn.ReLU()]
            planes, height, width = channels, (height - kernel) // stride + 1, (width - kernel) // stride + 1
            if min(height, width) < 1:
                raise InputError.of("layers", list(layers), expected=f"kernels that fit into pictures of {shape}")
        parts += [nn.Flatten(), linear(planes * height * width, hidden, generator=generator), nn.ReLU()]
        self.features = nn.Sequential(*parts)
        self.advantage = linear(hidden, actions, generator=generator)
        self.value = linear(hidden, 1, generator=generator)

    def forward(self, picture: Tensor) -> Tensor:
        """Values `[B, actions]`."""
        hidden = self.features(picture)
        advantage = self.advantage(hidden)
        return self.value(hidden) + advantage - advantage.mean(1, keepdim=True)

    def margins_above(self, lower: Tensor, upper: Tensor, best: Tensor) -> Tensor:
        """Bounds from above on Q(x, a) - Q(x, best), for all x between two pictures; 0 at the best action itself.

        V and the mean cancel, so what is bounded is one layer of differences of advantages.

        Args:
            lower: `[B, planes, height, width]`.
            upper: The same.
            best: `[B]` int64.

        Returns:
            `[B, actions]`.
        """
        centre, radius = interval(self.features, (lower + upper) / 2.0, (upper - lower) / 2.0)
        weight, bias = self.advantage.weight, self.advantage.bias
        apart = weight[None] - weight[best][:, None]  # [B, actions, hidden]
        middle = torch.einsum("bah,bh->ba", apart, centre) + bias[None] - bias[best][:, None]
        return middle + torch.einsum("bah,bh->ba", apart.abs(), radius)


class ConvQPolicy(nn.Module):
    """The action of the largest value, from pictures.

    Args:
        observation_space: A Box of three axes, or its JSON form.
        action_space: `Discrete`, or its JSON form.
        layers: (channels, kernel, stride) of each convolution.
        hidden: Width of the layer behind them.
        channels_last: Whether planes are the last axis of an observation.
        scale: What pixels are divided by; 255 for pixels of one byte.
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    takes = "observation"

    def __init__(
        self,
        observation_space: gymnasium.Space | Mapping[str, Any],
        action_space: gymnasium.Space | Mapping[str, Any],
        *,
        layers: Sequence[Sequence[int]] = ((16, 3, 1),),
        hidden: int = 128,
        channels_last: bool = False,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space = as_space(observation_space), as_space(action_space)
        if not isinstance(self.observation_space, Box) or len(self.observation_space.shape) != 3:
            raise InputError.of("observation space", str(self.observation_space), expected="a Box of three axes")
        if not isinstance(self.action_space, Discrete):
            raise InputError.of("action space", str(self.action_space), expected="Discrete")
        self.arguments: dict[str, Any] = {
            "observation_space": spaces.to_json(self.observation_space),
            "action_space": spaces.to_json(self.action_space),
            "layers": [list(layer) for layer in layers], "hidden": hidden, "channels_last": channels_last,
            "scale": scale,
        }  # fmt: skip
        self.channels_last, self.scale = channels_last, scale
        shape: tuple[int, ...] = self.observation_space.shape
        planes, height, width = (shape[2], shape[0], shape[1]) if channels_last else shape
        self.network = ConvValues(
            (planes, height, width), int(self.action_space.n), layers=layers, hidden=hidden,
            generator=generator or make_generator(0, "policies", "weights"),
        )  # fmt: skip

    def values(self, observation: Tensor) -> Tensor:
        """`[B, ...]` observations -> Q `[B, actions]`."""
        picture = observation.to(torch.float32)
        if self.scale != 1.0:
            picture = picture / self.scale
        return self.network(picture.movedim(-1, 1) if self.channels_last else picture)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[B, ...]` observations, `[B, actions]` allowed ones -> `[B]` actions."""
        values = self.values(observation)
        if mask is not None:
            values = values.masked_fill(~mask, -torch.inf)
        assert isinstance(self.action_space, Discrete)  # checked when it was made
        return values.argmax(1) + int(self.action_space.start)


def interval(network: nn.Sequential, centre: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """(centre, radius) of boxes that hold the outputs for all inputs of a box (Gowal et al. 2018).

    Args:
        network: Of convolutions, linear layers, ReLU and Flatten.
        centre: `[B, ...]`.
        radius: The same shape, >= 0.
    """
    for layer in network:
        if isinstance(layer, nn.Linear):
            centre, radius = layer(centre), functional.linear(radius, layer.weight.abs())
        elif isinstance(layer, nn.Conv2d):
            centre, radius = layer(centre), functional.conv2d(radius, layer.weight.abs(), stride=layer.stride)
        elif isinstance(layer, nn.ReLU):
            low, high = (centre - radius).relu(), (centre + radius).relu()
            centre, radius = (low + high) / 2.0, (high - low) / 2.0
        elif isinstance(layer, nn.Flatten):
            centre, radius = layer(centre), layer(radius)
        else:
            cause = "only convolutions, linear layers, ReLU and Flatten have bounds"
            raise InputError.of("network", type(layer).__name__, expected="a layer with bounds", cause=cause)
    return centre, radius


def _conv(planes: int, channels: int, kernel: int, stride: int, generator: torch.Generator) -> nn.Conv2d:
    """A convolution with PyTorch's default initial weights, drawn from `generator` alone."""
    layer = nn.Conv2d(planes, channels, kernel, stride, device="meta").to_empty(device="cpu")
    bound = 1.0 / math.sqrt(planes * kernel * kernel)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer
