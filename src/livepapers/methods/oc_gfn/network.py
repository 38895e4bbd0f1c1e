"""The networks: flows and policies given an outcome, and the distribution of outcomes given a move (oc-gfn)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from livepapers.blocks.networks import MLP, linear
from livepapers.core.rng import generator


class ConditionalFlowNetwork(nn.Module):
    """Encoded states and encoded outcomes -> forward logits, backward logits and log flow from one MLP.

    The first layer is linear in (state, outcome), so that each part of it is computed once where many states meet many
    outcomes.

    Args:
        features: Width of encoded states.
        outcome_features: Width of encoded outcomes.
        moves: Moves of the construction.
        has_stop: Whether there is a stop action.
        hidden: Width of the hidden layers.
        layers: Number of hidden layers.
        seed: Of the initial weights.
    """

    def __init__(
        self,
        features: int,
        outcome_features: int,
        moves: int,
        *,
        has_stop: bool,
        hidden: int = 256,
        layers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features, self.actions, self.moves = features, moves + has_stop, moves
        self.arguments = {
            "features": features, "outcome_features": outcome_features, "moves": moves, "has_stop": has_stop,
            "hidden": hidden, "layers": layers,
        }  # fmt: skip
        self.mlp = MLP(
            features + outcome_features,
            [hidden] * layers,
            outputs=self.actions + moves + 1,
            activation="leaky_relu",
            generator=generator(seed, "oc-gfn", "weights"),
        )

    def forward(self, encoded: Tensor, outcome: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(forward logits `[batch, moves + has_stop]`, backward logits `[batch, moves]`, log flow `[batch]`)."""
        return self.heads(self.embed_states(encoded) + self.embed_outcomes(outcome))

    def embed_states(self, encoded: Tensor) -> Tensor:
        """The states' part of the first layer, `[batch, hidden]`."""
        return nn.functional.linear(encoded, self._first().weight[:, : self.features])

    def embed_outcomes(self, outcome: Tensor) -> Tensor:
        """The outcomes' part of the first layer, `[batch, hidden]`."""
        return nn.functional.linear(outcome, self._first().weight[:, self.features :], self._first().bias)

    def heads(self, embedded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The rest of the network, from the sum of both embeddings `[..., hidden]`."""
        outputs = self.mlp.layers[1:](embedded)
        forward_logits, backward_logits, flow = outputs.split([self.actions, self.moves, 1], dim=-1)
        return forward_logits, backward_logits, flow.squeeze(-1)

    def policy(self, outcome: Tensor) -> Callable[[Tensor], Tensor]:
        """The forward head for fixed outcomes `[batch, ...]`, as a function of encoded states: what a rollout calls."""
        embedded = self.embed_outcomes(outcome)
        linears = [layer for layer in self.mlp.layers if isinstance(layer, nn.Linear)]
        weight, bias = linears[-1].weight[: self.actions], linears[-1].bias[: self.actions]

        def logits(encoded: Tensor) -> Tensor:
            hidden = nn.functional.leaky_relu(self.embed_states(encoded) + embedded)
            for layer in linears[1:-1]:
                hidden = nn.functional.leaky_relu_(layer(hidden))
            return nn.functional.linear(hidden, weight, bias)

        return logits

    def _first(self) -> nn.Linear:
        first = self.mlp.layers[0]
        if not isinstance(first, nn.Linear):
            raise TypeError("the first layer of an MLP is linear")
        return first


class OutcomePredictor(nn.Module):
    """Q(y|s',s): outcomes as tuples of digits, one after the other, each given those before it (a masked MLP).

    Args:
        features: Width of what is known of the move.
        bases: How many digits each component of an outcome has; one component is a plain table.
        hidden: Width of the two hidden layers.
        seed: Of the initial weights.
    """

    digits_mask: Tensor
    middle_mask: Tensor
    last_mask: Tensor
    exists: Tensor

    def __init__(self, features: int, bases: Sequence[int], *, hidden: int = 256, seed: int = 0) -> None:
        super().__init__()
        self.bases, self.width = tuple(int(base) for base in bases), max(bases)
        self.arguments = {"features": features, "bases": list(self.bases), "hidden": hidden}
        stream, parts = generator(seed, "oc-gfn", "outcome weights"), len(self.bases)
        self.known = linear(features, hidden, generator=stream)
        self.digits = linear(parts * self.width, hidden, generator=stream)
        self.middle = linear(hidden, hidden, generator=stream)
        self.last = linear(hidden, parts * self.width, generator=stream)
        # hidden unit u may know the components before component rank(u) + 1, and serves those from rank(u) on
        rank = torch.arange(hidden) % parts
        place = torch.arange(parts).repeat_interleave(self.width)
        self.register_buffer("digits_mask", (place[None, :] < rank[:, None]).float(), persistent=False)
        self.register_buffer("middle_mask", (rank[None, :] <= rank[:, None]).float(), persistent=False)
        self.register_buffer("last_mask", (rank[None, :] <= place[:, None]).float(), persistent=False)
        exists = torch.arange(self.width) < torch.tensor(self.bases)[:, None]
        self.register_buffer("exists", exists, persistent=False)

    def log_probability(self, known: Tensor, digits: Tensor, open_digits: Tensor) -> Tensor:
        """Log Q of outcomes, `[batch]`; sums to 1 over the outcomes whose digits are all open.

        Args:
            known: What is known of the move, `[batch, features]`.
            digits: The outcomes, `[batch, component]`.
            open_digits: Digits that are possible, `[batch, component, digit]` bool.
        """
        logits = self._logits(self.known(known), digits, open_digits)
        return logits.log_softmax(dim=2).gather(2, digits[:, :, None]).sum(dim=(1, 2))

    @torch.no_grad()
    def sample(
        self, known: Tensor, open_digits: Tensor, *, generator: torch.Generator, temperature: float | Tensor = 1.0
    ) -> Tensor:
        """Outcomes drawn from Q, `[batch, component]` int64; `temperature`, one number or one a row, flattens it."""
        digits = torch.zeros(len(known), len(self.bases), dtype=torch.int64)
        embedded = self.known(known)
        for place in range(len(self.bases)):
            logits = self._logits(embedded, digits, open_digits)[:, place] / temperature
            cumulative = logits.softmax(dim=1).cumsum(dim=1)
            uniform = torch.rand(len(known), 1, generator=generator) * (1.0 - 2.0**-22)
            found = torch.searchsorted(cumulative, cumulative[:, -1:] * uniform, right=True)
            digits[:, place] = found.squeeze(1).clamp_(max=self.width - 1)
        return digits

    def _logits(self, embedded: Tensor, digits: Tensor, open_digits: Tensor) -> Tensor:
        leaky, masked = nn.functional.leaky_relu, nn.functional.linear
        hot = nn.functional.one_hot(digits, self.width).flatten(1).to(embedded.dtype)
        hidden = leaky(embedded + masked(hot, self.digits.weight * self.digits_mask, self.digits.bias))
        hidden = leaky(masked(hidden, self.middle.weight * self.middle_mask, self.middle.bias))
        logits = masked(hidden, self.last.weight * self.last_mask, self.last.bias)
        return logits.view(-1, len(self.bases), self.width).masked_fill(~(open_digits & self.exists), -1e9)
