"""A point robot that can reach every place of a square, batched: where it ends is its behaviour, energy its fitness.

The smallest of the "omni" tasks, in which a step pays for saving energy and nothing pays for going anywhere: the best
controller stands still, and a repertoire needs one controller for every place. A step, p the place and v the velocity:

    v <- 0.9 v + 0.1 a        p <- p + 0.5 v, within +-10        reward 1 - |a|^2 / 2, from 0 to 1

With the trap, three bars stand in front of the robot as a U that opens towards the start, after the published
ant-in-a-trap at a third of its size; a move that would touch one is refused and takes the speed. Lengths have the
square's unit.
"""

from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.descriptors import Descriptor

HALF_WIDTH = 10.0
TRAP = ((4.0, -5 / 6, 4.0, 5 / 6), (13 / 6, 1.0, 25 / 6, 1.0), (13 / 6, -1.0, 25 / 6, -1.0))
"""x1, y1, x2, y2 of each bar."""
RADIUS = 1 / 6  # of the bars
START_SPEED = 0.1  # standard deviation of each component


class PointState(NamedTuple):
    """B robots; also the post-decision state, because nothing random follows."""

    place: Tensor  # [B, 2]
    velocity: Tensor  # [B, 2]


class PointOmni:
    """A `Simulator` of the point robot; only the first velocity is random.

    Args:
        horizon: Steps an episode.
        trap: Whether the bars stand there.
    """

    observation_space = gymnasium.spaces.Box(
        np.array([-1, -1, -2, -2], np.float32),
        np.array([1, 1, 2, 2], np.float32),  # 20 deviations of the first velocity
    )
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    descriptor = Descriptor(("x", "y"), (-HALF_WIDTH,) * 2, (HALF_WIDTH,) * 2, columns=(0, 1), unit=HALF_WIDTH)

    def __init__(self, horizon: int = 50, *, trap: bool = False) -> None:
        if not isinstance(horizon, int) or horizon < 1:
            raise InputError.of("horizon", horizon, expected="a whole number >= 1")
        self.horizon, self.trap = horizon, trap
        corners = torch.tensor(TRAP, dtype=torch.float32)
        self._from, self._to = corners[:, :2], corners[:, 2:]

    def initial(self, batch: int, generator: torch.Generator) -> PointState:
        """In the middle, almost at rest."""
        return PointState(torch.zeros(batch, 2), START_SPEED * torch.randn(batch, 2, generator=generator))

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is random
        """`[B, 0]`: nothing."""
        return torch.empty(batch, 0)

    def observe(self, state: PointState) -> Tensor:
        """`[B, 4]`: the place in half-widths of the square, the velocity."""
        return torch.cat([state.place / HALF_WIDTH, state.velocity], 1)

    def mask(self, state: PointState) -> None:  # noqa: ARG002
        """None: every action is allowed."""
        return

    def decide(self, state: PointState, action: Tensor) -> tuple[PointState, Tensor]:
        """One step by `[B, 2]`, cut at +-1."""
        action = action.to(torch.float32).clamp(-1.0, 1.0)
        velocity = 0.9 * state.velocity + 0.1 * action
        place = (state.place + 0.5 * velocity).clamp(-HALF_WIDTH, HALF_WIDTH)
        if self.trap:
            free = (self.clearance(state.place, place) > RADIUS)[:, None]
            place, velocity = torch.where(free, place, state.place), torch.where(free, velocity, 0.0)
        return PointState(place, velocity), 1.0 - 0.5 * action.square().sum(1)

    def resolve(self, post: PointState, noise: Tensor) -> tuple[PointState, Tensor, Tensor]:  # noqa: ARG002
        """Nothing happens: no episode ends before the horizon."""
        return post, torch.zeros(len(post.place)), torch.zeros(len(post.place), dtype=torch.bool)

    def clearance(self, before: Tensor, after: Tensor) -> Tensor:
        """Smallest distance between the way from `before` to `after` and a bar's middle line, `[B, 2] -> [B]`."""
        start, end = before[:, None], after[:, None]
        ways = [
            _to_segment(start, self._from, self._to), _to_segment(end, self._from, self._to),
            _to_segment(self._from, start, end), _to_segment(self._to, start, end),
        ]  # fmt: skip
        apart = torch.stack(ways).amin(0)
        crossing = (_side(start, end, self._from) * _side(start, end, self._to) < 0) & (
            _side(self._from, self._to, start) * _side(self._from, self._to, end) < 0
        )
        return torch.where(crossing, 0.0, apart).amin(1)


def _to_segment(point: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Distance of points to segments, broadcast over all but the last axis."""
    along, gap = last - first, point - first
    share = ((gap * along).sum(-1) / along.square().sum(-1).clamp(min=1e-12)).clamp(0.0, 1.0)
    return torch.linalg.vector_norm(gap - share[..., None] * along, dim=-1)


def _side(first: Tensor, last: Tensor, point: Tensor) -> Tensor:
    """On which side of a line a point lies, by sign."""
    along, gap = last - first, point - first
    return along[..., 0] * gap[..., 1] - along[..., 1] * gap[..., 0]
