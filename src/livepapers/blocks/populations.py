"""Populations of networks as matrices: a flat weight vector each, all evaluated by batched products.

A vector holds, layer by layer, the weight `[out, in]` row by row and then the bias `[out]`: the order of
`torch.nn.utils.parameters_to_vector` of a `blocks.networks.MLP`.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from livepapers.blocks.networks import rational_tanh

SMALL = 1024
"""Most weights of a layer that compiled code multiplies by itself; beyond, a library does it faster."""


class Layer(NamedTuple):
    """One layer's weights of P networks."""

    weight: Tensor  # [P, out, in]
    bias: Tensor  # [P, out]


class DenseStack:
    """Dense layers with an activation between them, linear at the end.

    Args:
        widths: Of the input, the hidden layers and the output.
        activation: Between the layers.
    """

    def __init__(self, widths: Sequence[int], activation: Callable[[Tensor], Tensor]) -> None:
        self.widths, self.activation = tuple(widths), activation
        self._shapes = [(after, before) for before, after in itertools.pairwise(self.widths)]
        self.parameters = sum(outputs * (inputs + 1) for outputs, inputs in self._shapes)
        """Weights and biases together."""
        self.small = max(outputs * inputs for outputs, inputs in self._shapes) <= SMALL
        """Whether compiled code multiplies by itself; it is fast where the weights of all networks lie side by side."""

    def layers(self, theta: Tensor) -> list[Layer]:
        """Views of the weights, `[P, parameters] -> [P, out, in]` and `[P, out]` a layer."""
        found, used = [], 0
        for outputs, inputs in self._shapes:
            end = used + outputs * inputs
            found.append(Layer(theta[:, used:end].unflatten(1, (outputs, inputs)), theta[:, end : end + outputs]))
            used = end + outputs
        return found

    def forward(self, theta: Tensor, x: Tensor) -> Tensor:
        """Outputs of P networks, each for its own L inputs: `[P, parameters], [P, L, in] -> [P, L, out]`."""
        if torch.compiler.is_compiling() and self.small:
            return self._compiled(theta, x)
        layers = self.layers(theta)
        for index, (weight, bias) in enumerate(layers):
            x = torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
            if index < len(layers) - 1:
                x = self.activation(x)
        return x

    def _compiled(self, theta: Tensor, x: Tensor) -> Tensor:
        """The same for a compiler's eyes: networks innermost, so that it goes over them in vectors."""
        activation = rational_tanh if self.activation is torch.tanh else self.activation
        rows, used = theta.T, 0  # [parameters, P]
        x = torch.stack(x.unbind(2))  # [in, P, L]; it fuses with what made x, a permutation does not
        for index, (outputs, inputs) in enumerate(self._shapes):
            end = used + outputs * inputs
            weight, bias = rows[used:end].unflatten(0, (outputs, inputs)), rows[end : end + outputs]
            x = (weight[..., None] * x).sum(1) + bias[..., None]
            used = end + outputs
            if index < len(self._shapes) - 1:
                x = activation(x)
        return x.permute(1, 2, 0)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        """`count` fresh vectors: LeCun's uniform law, +-sqrt(3 / fan-in), for weights, and biases of 0."""
        pieces = []
        for outputs, inputs in self._shapes:
            drawn = 2.0 * torch.rand(count, outputs * inputs, generator=generator) - 1.0
            pieces += [math.sqrt(3.0 / inputs) * drawn, torch.zeros(count, outputs)]
        return torch.cat(pieces, 1)
