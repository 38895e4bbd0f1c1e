"""Networks as flat weight vectors: one description, evaluated for a whole population at once.

A population is a matrix `[individual, parameter]`. Dense layers are batched matrix products over the individuals,
convolutions are grouped ones with a group for each individual: no loop over networks.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import Tensor, nn
from torch.nn import functional

from livepapers.blocks.policies import as_space, flat_width
from livepapers.blocks.populations import DenseStack
from livepapers.core.errors import InputError
from livepapers.tasks import spaces

Activation = Literal["relu", "tanh"]
OUTPUT_STD = 0.1
"""Of the last layer's initial weights, before the division by the root of the fan-in; 1 in all other layers."""


class Convolution(NamedTuple):
    """A layer with SAME padding: the output is the input's size over the stride, rounded up."""

    channels: int
    kernel: int
    stride: int


CONVOLUTIONS: Mapping[str, tuple[tuple[Convolution, ...], tuple[int, ...]]] = {
    "large": ((Convolution(32, 8, 4), Convolution(64, 4, 2), Convolution(64, 3, 1)), (512,)),
    "small": ((Convolution(16, 8, 4), Convolution(32, 4, 2)), (256,)),
}
"""Convolutions and dense layers of the paper's network and of the older DQN's."""


class _Part(NamedTuple):
    shape: tuple[int, ...]  # of the weight; its bias has the first dimension's size
    scale: float
    layer: Convolution | None


class Layout:
    """How a flat weight vector is a policy network.

    Args:
        observation_space: A Box; images are `[channel, height, width]` and, when of bytes, divided by 255.
        action_space: `Discrete`, `MultiDiscrete` or `Box`.
        hidden: Widths of the dense hidden layers, or "large" or "small" for images.
        activation: Behind each hidden layer.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        *,
        hidden: Sequence[int] | str = (16, 16),
        activation: Activation = "relu",
    ) -> None:
        if not isinstance(observation_space, Box):
            raise InputError.of("observation space", str(observation_space), expected="a box")
        if activation not in get_args(Activation):
            raise InputError.of("activation", activation, expected="relu or tanh")
        self.observation_space, self.action_space, self.activation = observation_space, action_space, activation
        self.hidden = hidden if isinstance(hidden, str) else tuple(hidden)
        self.outputs = _outputs(action_space)
        self._bytes = observation_space.dtype == np.uint8
        self._edges = _edges(action_space)
        self._first = int(action_space.start) if isinstance(action_space, Discrete) else 0
        self._activated = torch.relu if activation == "relu" else torch.tanh
        self._parts = self._plan()
        dense = [part.shape for part in self._parts if part.layer is None]
        self._dense = DenseStack([dense[0][1], *(shape[0] for shape in dense)], self._activated)
        self.small = self._dense.small and all(part.layer is None for part in self._parts)
        """Whether compiled code is fastest where the weights of all individuals lie side by side."""
        self.parameters = sum(math.prod(part.shape) + part.shape[0] for part in self._parts)
        """Weights and biases together."""

    @classmethod
    def from_arguments(cls, values: Mapping[str, Any]) -> "Layout":
        """The inverse of `arguments`; raises `InputError`, or what missing and odd values raise."""
        seen, acts = as_space(values["observation_space"]), as_space(values["action_space"])
        return cls(seen, acts, hidden=values["hidden"], activation=values["activation"])

    def _plan(self) -> list[_Part]:
        convolutions, dense = self._layers()
        shape = self.observation_space.shape or ()
        parts, inputs = [], _some(self.observation_space, "observation space")
        if convolutions:
            channels, height, width = list(shape)
            for layer in convolutions:
                fan = channels * layer.kernel**2
                parts.append(_Part((layer.channels, channels, layer.kernel, layer.kernel), 1 / math.sqrt(fan), layer))
                channels, height, width = layer.channels, -(-height // layer.stride), -(-width // layer.stride)
            inputs = channels * height * width
        for outputs, std in [*((width, 1.0) for width in dense), (self.outputs, OUTPUT_STD)]:
            parts.append(_Part((outputs, inputs), std / math.sqrt(inputs), None))
            inputs = outputs
        return parts

    def _layers(self) -> tuple[tuple[Convolution, ...], tuple[int, ...]]:
        if not isinstance(self.hidden, str):
            if not all(isinstance(width, int) and 1 <= width <= 65_536 for width in self.hidden):
                raise InputError.of("hidden", self.hidden, expected="whole widths from 1 to 65,536")
            return (), self.hidden
        if self.hidden not in CONVOLUTIONS:
            raise InputError.of("hidden", self.hidden, expected=f"widths, or one of {', '.join(CONVOLUTIONS)}")
        if len(self.observation_space.shape or ()) != 3:
            seen = str(self.observation_space.shape)
            raise InputError.of("hidden", self.hidden, expected="images", cause=f"observations have shape {seen}")
        rows, columns, last = list(self.observation_space.shape or ())
        if last < min(rows, columns):  # of a picture, the channels are fewer than its rows and columns
            seen = f"an observation of {rows} x {columns} x {last}"
            cause = "its channels come last; gymnasium.wrappers.TransformObservation moves them"
            raise InputError.of("hidden", seen, expected="images of channels x height x width", cause=cause)
        return CONVOLUTIONS[self.hidden]

    def scale(self) -> np.ndarray:
        """Standard deviations of the initial weights, `[parameter]` float32: std / sqrt(fan-in), biases 0."""
        pieces = []
        for part in self._parts:
            pieces += [np.full(math.prod(part.shape), part.scale, np.float32), np.zeros(part.shape[0], np.float32)]
        return np.concatenate(pieces)

    @property
    def signature(self) -> str:
        """16 hex digits of all that a genome's weights depend on: shapes, scales, activation, spaces."""
        text = repr([(part.shape, round(part.scale, 9)) for part in self._parts] + [self.activation, self.arguments])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def arguments(self) -> dict[str, Any]:
        """What rebuilds it, JSON-ready."""
        hidden = self.hidden if isinstance(self.hidden, str) else list(self.hidden)
        return {
            "observation_space": spaces.to_json(self.observation_space),
            "action_space": spaces.to_json(self.action_space), "hidden": hidden, "activation": self.activation,
        }  # fmt: skip

    def forward(self, theta: Tensor, observation: Tensor) -> Tensor:
        """Outputs of P networks, each for its own L observations: `[P, n], [P, L, ...] -> [P, L, outputs]`."""
        count = len(theta)
        x = observation.to(torch.float32) / 255.0 if self._bytes else observation.to(torch.float32)
        used = 0
        for part in self._parts:
            if part.layer is None:
                break
            size, width = math.prod(part.shape), part.shape[0]
            weight, bias = theta[:, used : used + size], theta[:, used + size : used + size + width]
            used += size + width
            x = self._activated(_convolved(x, weight.reshape(count, *part.shape), bias, part.layer))
        return self._dense.forward(theta[:, used:], x.flatten(2))

    def act(self, theta: Tensor, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """Actions, without chance: `[P, n], [P, L, ...] -> [P, L, ...]`; a mask is `[P, L, outputs]`."""
        return self.chosen(self.forward(theta, observation), mask)

    def chosen(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """The largest output of each discrete choice; a Box's outputs in its widths from its centre, cut at its edge.

        Discrete choices that a mask (of the outputs' shape, bool) forbids are left out; Boxes have none.
        The maze's box is one wide and centred at 0, so there the outputs are the actions, as published. Where a side
        has no edge, the width is 1 and the centre is 0, or else the one edge if 0 lies beyond it.
        """
        space = self.action_space
        if mask is not None:
            outputs = outputs.masked_fill(~mask, -torch.inf)
        if isinstance(space, Discrete):
            if torch.compiler.is_compiling() and self.outputs == 2:
                return (outputs[..., 1] > outputs[..., 0]).long() + self._first  # fuses, as no argmax does
            return outputs.argmax(-1) + self._first
        if isinstance(space, MultiDiscrete):
            each = outputs.split([int(n) for n in space.nvec.reshape(-1)], -1)
            chosen = torch.stack([one.argmax(-1) for one in each], -1) + torch.from_numpy(space.start.reshape(-1))
            return chosen.reshape(*outputs.shape[:-1], *(space.shape or ()))
        assert isinstance(space, Box)  # checked at the start
        actions = outputs.reshape(*outputs.shape[:-1], *space.shape)
        if self._edges is None:
            return actions
        low, high, centre, width = self._edges
        return torch.clamp(centre + width * actions, low, high)


class EvolvedPolicy(nn.Module):
    """One individual as a policy that artifacts, `evaluate` and other methods load.

    Args:
        observation_space: As of `Layout`, or its JSON form.
        action_space: Likewise.
        hidden: As of `Layout`.
        activation: Likewise.
        theta: The weights, `[parameter]`; zeros when they are loaded afterwards.
    """

    takes = "observation"

    def __init__(
        self,
        observation_space: gymnasium.Space | Mapping[str, Any],
        action_space: gymnasium.Space | Mapping[str, Any],
        *,
        hidden: Sequence[int] | str,
        activation: Activation,
        theta: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        layout = Layout(as_space(observation_space), as_space(action_space), hidden=hidden, activation=activation)
        self.layout, self.arguments = layout, layout.arguments
        self.observation_space, self.action_space = layout.observation_space, layout.action_space
        weights = torch.zeros(layout.parameters) if theta is None else torch.from_numpy(np.array(theta))
        self.theta = nn.Parameter(weights)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[batch, ...]` observations -> `[batch, ...]` actions; a mask `[batch, outputs]` says which are allowed."""
        return self.layout.chosen(self.preferences(observation), mask)

    @property
    def values(self) -> Callable[[Tensor], Tensor] | None:
        """Its preferences of discrete actions; None where actions are none."""
        return self.preferences if isinstance(self.action_space, Discrete) else None

    def preferences(self, observation: Tensor) -> Tensor:
        """The network's outputs, `[batch, ...] -> [batch, outputs]`; differentiable, what an attack looks into."""
        return self.layout.forward(self.theta[None], observation[None])[0]


def _outputs(space: gymnasium.Space) -> int:
    if isinstance(space, Discrete):
        return int(space.n)
    if isinstance(space, MultiDiscrete):
        return int(space.nvec.sum())
    if not isinstance(space, Box):
        raise InputError.of("action space", str(space), expected="Discrete, MultiDiscrete or Box")
    if np.dtype(space.dtype).kind != "f":
        cause = "a network gives fractions; a MultiDiscrete has whole numbers"
        raise InputError.of("action space", str(space), expected="real numbers", cause=cause)
    return _some(space, "action space")


def _some(space: gymnasium.Space, field: str) -> int:
    """Numbers in a box; raises `InputError` where there is none."""
    width = flat_width(space)
    if not width:
        raise InputError.of(field, str(space), expected="at least one number")
    return width


def _edges(space: gymnasium.Space) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
    """A box's least and largest actions, centre and width; None for any other space and where there is no edge."""
    if not isinstance(space, Box):
        return None
    low, high = (torch.from_numpy(side).to(torch.float32) for side in (space.low, space.high))
    if not bool((low.isfinite() | high.isfinite()).any()):
        return None
    both = low.isfinite() & high.isfinite()
    centre = torch.where(both, (low + high) / 2.0, torch.zeros(()).clamp(low, high))
    return low, high, centre, torch.where(both, high - low, 1.0)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, layer: Convolution) -> Tensor:
    """`[P, L, C, H, W]` by each individual's own kernels `[P, out, C, k, k]`, padded as TensorFlow's SAME."""
    count, _, _, height, width = x.shape
    spare = [max((size - 1) // layer.stride * layer.stride + layer.kernel - size, 0) for size in (width, height)]
    padding = [side for gap in spare for side in (gap // 2, gap - gap // 2)]  # the odd one goes right and below
    flat = functional.pad(x.transpose(0, 1).flatten(1, 2), padding)
    out = functional.conv2d(flat, weight.flatten(0, 1), bias.flatten(), stride=layer.stride, groups=count)
    return out.unflatten(1, (count, -1)).transpose(0, 1)
