"""Controllers that know no model: a plain actor and critic, and an actor cloned from a law."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from livepapers.blocks.networks import MLP
from livepapers.core.rng import generator as make_generator


class PlainActor(nn.Module):
    """u = middle + half range * tanh(network(s)), ReLU inside.

    Args:
        width: What states are divided by, `[n]`.
        low: Lowest input, `[m]`.
        high: Highest input, `[m]`.
        angles: Columns that are angles, seen by cosine and sine as in Gymnasium.
        hidden: Widths.
        generator: Source of the initial weights; None when weights are loaded afterwards.
    """

    width: Tensor
    middle: Tensor
    reach: Tensor

    def __init__(
        self,
        width: Sequence[float],
        *,
        low: Sequence[float],
        high: Sequence[float],
        angles: Sequence[int] = (),
        hidden: Sequence[int] = (256, 256),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.arguments = {
            "width": list(width), "low": list(low), "high": list(high), "angles": list(angles), "hidden": list(hidden),
        }  # fmt: skip
        self.angles = tuple(angles)
        self.observation_space = Box(-np.inf, np.inf, (len(width),), np.float32)
        self.action_space = Box(np.array(low, np.float32), np.array(high, np.float32), dtype=np.float32)
        bottom, top = np.array(low), np.array(high)
        for name, value in (("width", width), ("middle", (bottom + top) / 2), ("reach", (top - bottom) / 2)):
            self.register_buffer(name, torch.as_tensor(np.array(value), dtype=torch.float32), persistent=False)
        self.network = MLP(
            len(width) + len(self.angles), hidden, outputs=len(bottom), activation="relu",
            generator=generator or make_generator(0, "plain actor"),
        )  # fmt: skip

    def forward(self, observation: Tensor) -> Tensor:
        """Inputs `[batch, m]` for states `[batch, n]`."""
        seen = features(observation, width=self.width, angles=self.angles)
        return self.middle + self.reach * torch.tanh(self.network(seen))


ARCHITECTURES = {"PlainActor": PlainActor}
"""What an artifact may name."""


class PlainCritic(nn.Module):
    """A value of states and inputs by one ReLU network.

    Args:
        width: What states are divided by, `[n]`.
        strength: What inputs are divided by, `[m]`.
        angles: Columns that are angles, seen by cosine and sine.
        hidden: Widths.
        generator: Source of the initial weights.
    """

    width: Tensor
    strength: Tensor

    def __init__(
        self,
        width: Sequence[float],
        *,
        strength: Sequence[float],
        angles: Sequence[int] = (),
        hidden: Sequence[int] = (256, 256),
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.angles = tuple(angles)
        for name, value in (("width", width), ("strength", strength)):
            self.register_buffer(name, torch.as_tensor(np.array(value), dtype=torch.float32), persistent=False)
        inputs = len(width) + len(self.angles) + len(strength)
        self.network = MLP(inputs, hidden, outputs=1, activation="relu", generator=generator)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """`[batch]`."""
        seen = features(observation, width=self.width, angles=self.angles)
        return self.network(torch.cat([seen, action / self.strength], 1)).squeeze(1)


def features(observation: Tensor, *, width: Tensor, angles: Sequence[int]) -> Tensor:
    """States in units of `width`; an angle becomes its cosine and, at the end, its sine."""
    if not angles:
        return observation / width
    columns = list((observation / width).unbind(1))
    for index in angles:
        columns[index] = torch.cos(observation[:, index])
        columns.append(torch.sin(observation[:, index]))
    return torch.stack(columns, 1)


def clone(
    actor: PlainActor,
    law: Callable[[Tensor], Tensor],
    *,
    low: Sequence[float],
    high: Sequence[float],
    steps: int = 2000,
    batch: int = 256,
    rate: float = 1e-3,
    generator: torch.Generator,
) -> float:
    """Fit an actor to a law by regression on uniform states of a box; the root mean square error, in half ranges.

    Args:
        actor: Changed in place.
        law: Inputs `[batch, m]` for states `[batch, n]`.
        low: Lower corner of the box.
        high: Its upper corner.
        steps: Adam steps; the rate falls to 0 along a cosine.
        batch: States a step.
        rate: Learning rate.
        generator: Source of the states.
    """
    corner = torch.tensor(list(low), dtype=torch.float32)
    extent = torch.tensor(list(high), dtype=torch.float32) - corner

    def states(count: int) -> Tensor:
        return corner + extent * torch.rand(count, len(corner), generator=generator)

    optimizer = torch.optim.Adam(actor.parameters(), lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        seen = states(batch)
        loss = ((actor(seen) - law(seen)) / actor.reach).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        seen = states(4096)
        return float(((actor(seen) - law(seen)) / actor.reach).square().mean().sqrt())
