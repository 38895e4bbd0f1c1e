"""The hard maze of Lehman and Stanley (2011) as a batched simulator: the straight way to the goal is a dead end.

A wheeled robot sees six walls' distances and the goal's direction, and is paid minus its distance to the goal at the
last of 400 steps, so greed leads it into the pocket below the goal. Geometry, sensors and limits of the motors are
those of the novelty-search experiments; a grid would not deceive. Nothing is random. Lengths are in the map's units,
angles in degrees, counter-clockwise in its x-y frame.
"""

from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError

WALLS = (
    (41, 5, 3, 8), (3, 8, 4, 49), (4, 49, 57, 53), (4, 49, 7, 202), (7, 202, 195, 198), (195, 198, 186, 8),
    (186, 8, 39, 5), (56, 54, 56, 157), (57, 106, 158, 162), (77, 201, 108, 164), (6, 80, 33, 121),
    (192, 146, 87, 91), (56, 55, 133, 30),
)  # fmt: skip
"""x1, y1, x2, y2."""
START, GOAL = (36.0, 184.0), (31.0, 20.0)
RADIUS, SIGHT, SOLVED = 8.0, 100.0, 10.0
RANGE_FINDERS = (-90.0, -45.0, 0.0, 45.0, 90.0, -180.0)
"""Relative to the heading."""
GAIN, CHANGE, FASTEST = 6.0, 0.2, 3.0
"""Desired velocity of an output of 1, most change of a velocity a step, and its limit: units or degrees a step."""


class MazeState(NamedTuple):
    """B robots; also the post-decision state, because nothing random follows."""

    place: Tensor  # [B, 2]
    heading: Tensor  # [B], degrees in [0, 360)
    speed: Tensor  # [B], units a step
    turn: Tensor  # [B], degrees a step
    time: Tensor  # [B] int64, steps so far
    collisions: Tensor  # [B] int64, steps that a wall refused


class HardMaze:
    """A `Simulator`; the reward is 0 but at the last step.

    Args:
        horizon: Steps an episode.
    """

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (5 + len(RANGE_FINDERS),), np.float32)
    action_space = gymnasium.spaces.Box(-0.5, 0.5, (2,), np.float32)
    behaviour_size = 2

    def __init__(self, horizon: int = 400) -> None:
        if not isinstance(horizon, int) or horizon < 1:
            raise InputError.of("horizon", horizon, expected="a whole number >= 1")
        self.horizon = horizon
        corners = torch.tensor(WALLS, dtype=torch.float32)
        self._from, self._along = corners[:, :2], corners[:, 2:] - corners[:, :2]
        self._goal = torch.tensor(GOAL)
        self._angles = torch.tensor(RANGE_FINDERS)

    def initial(self, batch: int, generator: torch.Generator) -> MazeState:  # noqa: ARG002 - nothing is random
        """All robots at rest at the start, heading along x."""
        zero, none = torch.zeros(batch), torch.zeros(batch, dtype=torch.int64)
        return MazeState(torch.tensor(START).repeat(batch, 1), zero, zero, zero, none, none)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is random
        """`[B, 0]`: nothing."""
        return torch.empty(batch, 0)

    def observe(self, state: MazeState) -> Tensor:
        """`[B, 11]`: 1; six distances to walls over 100; which quarter the goal lies in: ahead, left, behind, right."""
        towards = self._goal - state.place
        angle = torch.remainder(torch.rad2deg(torch.atan2(towards[:, 1], towards[:, 0])) - state.heading + 45.0, 360.0)
        quarter = (angle / 90.0).long().clamp(max=3)  # remainder may round up to 360
        slices = torch.nn.functional.one_hot(quarter, 4).float()
        return torch.cat([torch.ones(len(angle), 1), self.ranges(state.place, state.heading), slices], 1)

    def ranges(self, place: Tensor, heading: Tensor) -> Tensor:
        """Share of the sight that is free in each direction, `[B, 2], [B] -> [B, 6]`; 1 where no wall is hit.

        A wall counts where both segments cross strictly inside.
        """
        angle = torch.deg2rad(heading[:, None] + self._angles)
        ray_x, ray_y = (SIGHT * part[:, :, None] for part in (torch.cos(angle), torch.sin(angle)))  # [B, ray, 1]
        (wall_x, wall_y), (gap_x, gap_y) = (
            self._along.T,
            (self._from.T[:, None] - place.T[:, :, None]),
        )  # [wall]; [B, wall]
        slant = ray_x * wall_y - ray_y * wall_x  # 0 for parallels: both shares are infinite or NaN, and no hit
        share = (gap_x * wall_y - gap_y * wall_x)[:, None] / slant
        spot = (gap_x[:, None] * ray_y - gap_y[:, None] * ray_x) / slant
        hit = (share > 0.0) & (spot > 0.0) & (spot < 1.0)
        return torch.where(hit, share, 1.0).amin(-1).clamp(max=1.0)

    def mask(self, state: MazeState) -> None:  # noqa: ARG002
        """None: every action is allowed."""
        return

    def decide(self, state: MazeState, action: Tensor) -> tuple[MazeState, Tensor]:
        """One step with outputs `[B, 2]` (turn, speed), cut at +-0.5; a move that would touch a wall is refused."""
        wanted = GAIN * action.to(torch.float32).clamp(-0.5, 0.5)
        turn = _towards(state.turn, wanted[:, 0])
        speed = _towards(state.speed, wanted[:, 1])
        angle = torch.deg2rad(state.heading)  # the old one: the robot turns after it has moved
        moved = state.place + speed[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], -1)
        free = self.clearance(moved) > RADIUS
        time = state.time + 1
        place = torch.where(free[:, None], moved, state.place)
        heading = torch.remainder(state.heading + turn, 360.0)
        after = MazeState(place, heading, speed, turn, time, state.collisions + (~free))
        return after, torch.where(time >= self.horizon, -self.distance(after), 0.0)

    def resolve(self, post: MazeState, noise: Tensor) -> tuple[MazeState, Tensor, Tensor]:  # noqa: ARG002
        """Nothing happens: neither a wall nor the goal ends an episode."""
        return post, torch.zeros(len(post.time)), torch.zeros(len(post.time), dtype=torch.bool)

    def clearance(self, place: Tensor) -> Tensor:
        """Distance to the nearest wall, `[B, 2] -> [B]`."""
        (along_x, along_y), (gap_x, gap_y) = self._along.T, place.T[:, :, None] - self._from.T[:, None]  # [wall]
        share = ((gap_x * along_x + gap_y * along_y) / (along_x.square() + along_y.square())).clamp(0.0, 1.0)
        return torch.hypot(gap_x - share * along_x, gap_y - share * along_y).amin(1)

    def distance(self, state: MazeState) -> Tensor:
        """Distance to the goal, `[B]`; below 10 at the last step the maze is solved."""
        return torch.linalg.vector_norm(state.place - self._goal, dim=1)

    def behaviour(self, state: MazeState) -> Tensor:
        """What novelty search compares: where the robot stands, `[B, 2]`."""
        return state.place


def _towards(velocity: Tensor, wanted: Tensor) -> Tensor:
    return (velocity + (wanted - velocity).clamp(-CHANGE, CHANGE)).clamp(-FASTEST, FASTEST)
