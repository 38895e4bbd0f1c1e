"""Networks of GFlowNets: one MLP with three heads, forward logits, backward logits and log flow; masked policies."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from livepapers.blocks.networks import MLP
from livepapers.core.rng import generator


class FlowNetwork(nn.Module):
    """Encoded states `[batch, features]` -> forward logits, backward logits and log flow from one MLP.

    Args:
        features: Width of the input.
        moves: Moves of the construction.
        has_stop: Whether there is a stop action.
        hidden: Width of the hidden layers.
        layers: Number of hidden layers.
        seed: Of the initial weights.
        stream: Which stream below the seed they come from: the slug of the method.
    """

    def __init__(
        self,
        features: int,
        moves: int,
        *,
        has_stop: bool,
        hidden: int = 256,
        layers: int = 2,
        seed: int = 0,
        stream: str = "fl-gfn",
    ) -> None:
        super().__init__()
        self.actions, self.moves = moves + has_stop, moves
        self.arguments = {
            "features": features, "moves": moves, "has_stop": has_stop, "hidden": hidden, "layers": layers,
        }  # fmt: skip
        self.mlp = MLP(
            features,
            [hidden] * layers,
            outputs=self.actions + moves + 1,
            activation="leaky_relu",
            generator=generator(seed, stream, "weights"),
        )

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(forward logits `[batch, moves + has_stop]`, backward logits `[batch, moves]`, log flow `[batch]`)."""
        forward_logits, backward_logits, flow = self.mlp(encoded).split([self.actions, self.moves, 1], dim=1)
        return forward_logits, backward_logits, flow.squeeze(1)

    def policy(self) -> Callable[[Tensor], Tensor]:
        """The forward head alone, as a function of encoded states: what a rollout calls at each step.

        The weights are captured as they are now (views, no copies), so that a step costs three matrix products and no
        module look-ups, and the other heads are not computed.
        """
        linears = [layer for layer in self.mlp.layers if isinstance(layer, nn.Linear)]
        inner = [(layer.weight, layer.bias) for layer in linears[:-1]]
        weight, bias = linears[-1].weight[: self.actions], linears[-1].bias[: self.actions]

        def logits(encoded: Tensor) -> Tensor:
            for inner_weight, inner_bias in inner:
                encoded = nn.functional.leaky_relu_(nn.functional.linear(encoded, inner_weight, inner_bias))
            return nn.functional.linear(encoded, weight, bias)

        return logits

    def backward_logits(self, encoded: Tensor) -> Tensor:
        """Only the backward head, `[batch, moves]`."""
        return self.forward(encoded)[1]


def masked_log_probability(logits: Tensor, allowed: Tensor, action: Tensor) -> Tensor:
    """Log softmax over the allowed actions, at `action`: `[batch, action]`, `[batch, action]` bool -> `[batch]`."""
    return -nn.functional.cross_entropy(torch.where(allowed, logits, -1e9), action, reduction="none")
