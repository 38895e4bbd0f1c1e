"""Dynamics as an ensemble of small networks: the rival of sparse models in model-based learning.

All members are trained side by side, each on its own part of the rows, and stop early on rows that none has seen.
"""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

HIDDEN = (64, 64)
MEMBERS, SHARE = 5, 0.6  # networks; rows that each of them sees
EPOCHS, BATCH, RATE, PATIENCE = 50, 256, 1e-3, 5
HELD_OUT = 0.1  # share of the rows for early stopping


@dataclass(frozen=True)
class NeuralEnsemble:
    """Tanh networks that predict changes of the state in units of their spread."""

    weights: list[Tensor]  # [M, inputs, outputs] of each layer
    biases: list[Tensor]  # [M, 1, outputs]
    input_mean: Tensor
    input_size: Tensor
    change_mean: Tensor
    change_size: Tensor
    epochs: int  # until it stopped

    @torch.no_grad()
    def predict(self, state: Tensor, action: Tensor) -> Tensor:
        """`[B, n]`, `[B, m]` -> next states `[B, n]`, the mean of the members."""
        return state + self._changes(state, action).mean(0)

    @torch.no_grad()
    def spread(self, state: Tensor, action: Tensor) -> Tensor:
        """Standard deviation over members, `[B, n]`."""
        return self._changes(state, action).std(0)

    def _changes(self, state: Tensor, action: Tensor) -> Tensor:
        inputs = (torch.cat([state, action], 1) - self.input_mean) / self.input_size
        return (
            _forward(self.weights, self.biases, inputs.expand(len(self.weights[0]), -1, -1)) * (self.change_size)
            + self.change_mean
        )


def fit_neural(
    state: Tensor, action: Tensor, following: Tensor, *, generator: torch.Generator, epochs: int = EPOCHS
) -> NeuralEnsemble:
    """Train an ensemble from new weights.

    Args:
        state: `[rows, n]`.
        action: `[rows, m]`.
        following: `[rows, n]`.
        generator: Of weights, parts and batches.
        epochs: Most passes over a member's rows.
    """
    inputs, changes = torch.cat([state, action], 1).float(), (following - state).float()
    moments = [(part.mean(0), part.std(0, correction=0).clamp(min=1e-6)) for part in (inputs, changes)]
    x, y = ((part - mean) / size for part, (mean, size) in zip((inputs, changes), moments, strict=True))
    order = torch.randperm(len(x), generator=generator)
    held, rest = order.tensor_split([max(int(HELD_OUT * len(x)), 1)])
    size = max(int(SHARE * len(rest)), 1)
    rows = torch.stack([rest[torch.randperm(len(rest), generator=generator)[:size]] for _ in range(MEMBERS)])
    weights, biases = _new([x.shape[1], *HIDDEN, y.shape[1]], generator)
    optimizer = torch.optim.Adam([*weights, *biases], lr=RATE)
    best, kept, worse, done = math.inf, _copies(weights, biases), 0, 0
    for _ in range(epochs):
        done += 1
        _epoch(optimizer, (weights, biases), x, y, rows, generator)
        with torch.no_grad():
            error = float((_forward(weights, biases, x[held].expand(MEMBERS, -1, -1)) - y[held]).square().mean())
        if error < best:
            best, kept, worse = error, _copies(weights, biases), 0
        else:
            worse += 1
        if worse >= PATIENCE:
            break
    (input_mean, input_size), (change_mean, change_size) = moments
    return NeuralEnsemble(*kept, input_mean, input_size, change_mean, change_size, done)


def _epoch(
    optimizer: torch.optim.Optimizer,
    network: tuple[list[Tensor], list[Tensor]],
    x: Tensor,
    y: Tensor,
    rows: Tensor,
    generator: torch.Generator,
) -> None:
    """One pass of every member over its rows, in an order of its own."""
    order = torch.rand(rows.shape, generator=generator).argsort(1)
    shuffled = rows.gather(1, order)
    for batch in shuffled.split(BATCH, 1):
        optimizer.zero_grad()
        (_forward(*network, x[batch]) - y[batch]).square().mean((1, 2)).sum().backward()
        optimizer.step()


def _new(widths: list[int], generator: torch.Generator) -> tuple[list[Tensor], list[Tensor]]:
    weights, biases = [], []
    for inputs, outputs in itertools.pairwise(widths):
        bound = 1.0 / math.sqrt(inputs)
        for shape, kept in (((MEMBERS, inputs, outputs), weights), ((MEMBERS, 1, outputs), biases)):
            kept.append(torch.empty(shape).uniform_(-bound, bound, generator=generator).requires_grad_())
    return weights, biases


def _forward(weights: list[Tensor], biases: list[Tensor], inputs: Tensor) -> Tensor:
    """`[M, B, inputs] -> [M, B, outputs]`."""
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        inputs = torch.tanh(torch.baddbmm(bias, inputs, weight))
    return torch.baddbmm(biases[-1], inputs, weights[-1])


def _copies(weights: list[Tensor], biases: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    return [w.detach().clone() for w in weights], [b.detach().clone() for b in biases]
