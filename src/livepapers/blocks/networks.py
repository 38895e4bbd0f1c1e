"""Networks that methods share, with explicit generators for their initial weights."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Activation = Literal["elu", "leaky_relu", "relu", "tanh"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "leaky_relu": nn.LeakyReLU, "relu": nn.ReLU, "tanh": nn.Tanh}


def linear(inputs: int, outputs: int, *, generator: torch.Generator) -> nn.Linear:
    """A linear layer with PyTorch's default initial weights, drawn from `generator` and from nowhere else."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")  # no draw from the global stream
    bound = 1.0 / math.sqrt(max(inputs, 1))
    with torch.no_grad():
        # kaiming_uniform with a = sqrt(5) is the uniform distribution on +-1/sqrt(inputs)
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


class MLP(nn.Module):
    """A multi-layer perceptron, `[..., inputs] -> [..., outputs]`, linear at the end.

    Args:
        inputs: Width of the input.
        hidden: Widths of the hidden layers; may be empty.
        outputs: Width of the output.
        activation: Behind each hidden layer.
        generator: Source of the initial weights.
        output_bias: A constant for the output layer's bias instead of the default, or None.
        output_scale: Of the output layer's initial weights.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        *,
        outputs: int,
        activation: Activation,
        generator: torch.Generator,
        output_bias: float | None = None,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [linear(before, after, generator=generator), _ACTIVATIONS[activation]()]
        last = linear(widths[-1], outputs, generator=generator)
        if output_bias is not None:
            nn.init.constant_(last.bias, output_bias)
        if output_scale != 1.0:
            with torch.no_grad():
                last.weight.mul_(output_scale)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the network to the last axis."""
        if torch.compiler.is_compiling() and inputs.dim() == 2:
            return self._compiled(inputs)
        return self.layers(inputs)

    def _compiled(self, inputs: Tensor) -> Tensor:
        """The same for a compiler's eyes: a tanh that fuses, biases that fuse with it, fast products of few inputs."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                weight = layer.weight.T
                if layer.in_features < layer.out_features:
                    # of a transposed copy autograd makes inputs.T @ gradient, of a view gradient.T @ inputs, which MKL
                    # multiplies six times slower when there are few inputs
                    weight = weight.contiguous()
                inputs = inputs @ weight - (-layer.bias)  # a sum would become addmm, which copies the bias to all rows
            else:
                inputs = rational_tanh(inputs) if isinstance(layer, nn.Tanh) else layer(inputs)
        return inputs


@torch.no_grad()
def orthogonal(network: MLP, *, gain: float, generator: torch.Generator) -> MLP:
    """Start an MLP from orthogonal weights and zero biases, as policy gradients are used to; returns it.

    Args:
        network: Changed in place.
        gain: Of the output layer; hidden layers have sqrt(2).
        generator: Source of the weights.
    """
    layers = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain if layer is layers[-1] else math.sqrt(2.0), generator=generator)
        nn.init.zeros_(layer.bias)
    return network


def rational_tanh(x: Tensor) -> Tensor:
    """A tanh as a quotient of polynomials, to 4e-7 of its value: compiled code has no fast one of its own.

    The coefficients are those of Eigen's `ptanh_float`, which XLA uses too.
    """
    return _RationalTanh.apply(x) if torch.is_grad_enabled() else _quotient(x)  # type: ignore[return-value]


_LARGEST = 7.90531110763549805
_UPPER = (-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
          1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03)  # fmt: skip
_LOWER = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
"""Of x^2, highest power first; the numerator is multiplied by x."""


def _quotient(x: Tensor) -> Tensor:
    x = x.clamp(-_LARGEST, _LARGEST)
    square = x * x
    upper, lower = torch.full_like(square, _UPPER[0]), torch.full_like(square, _LOWER[0])
    for coefficient in _UPPER[1:]:
        upper = upper * square + coefficient
    for coefficient in _LOWER[1:]:
        lower = lower * square + coefficient
    return x * upper / lower


class _RationalTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = _quotient(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return gradient * (1.0 - y * y)
