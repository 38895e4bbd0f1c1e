"""The slippery lake, modified: each step is a sure move and then, half of the time, a slip.

Grid of R x C tiles, frozen or holes; actions 0 left, 1 down, 2 right, 3 up; borders hold. One step:
    1. `decide`: move to the intended tile. The goal pays 1 and ends the episode. Any other tile pays
       1 / (1 + Manhattan distance to the goal): this is the deterministic part of the reward.
    2. `resolve`: a hole costs 1 / (R + C). With probability 1/2 the tile is kept; else one slips in direction b with
       the tile's own probability, and the tile slipped to pays by the same formula (and may be the goal, which ends
       it).
Who starts a step in a hole ends the episode with reward 0; so one may slip out of a hole. The horizon truncates.
Source: Felizardo et al., arXiv 2504.05150, and its released lake.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import networkx as nx
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from livepapers.core.errors import InputError

SLIP = 0.5
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))
"""(row, column) steps of the actions left, down, right, up."""
TILES_SEED = 42  # the released code draws every map's slip probabilities from this seed


class LakePost(NamedTuple):
    """The post-decision state: the sure move is made, the slip is yet to come."""

    tile: Tensor  # [B] int64
    ended: Tensor  # [B] bool: at the goal, or the step began in a hole


class SlipperyLake:
    """A `Simulator` of one map. The state is the tile of each walker, `[B]` int64, row * C + column.

    Args:
        holes: `[R][C]` truth values; start is the first tile, the goal the last one.
        horizon: Steps an episode; paper 100.

    Attributes:
        slip: `[tile, 4]` float64, probability of each direction, given a slip.
        to: `[tile, 4]` int64, the tile that a move leads to.
    """

    def __init__(self, holes: np.ndarray | Sequence[Sequence[int]], *, horizon: int = 100) -> None:
        self.holes = np.array(holes, dtype=bool)
        if self.holes.ndim != 2 or self.holes.size < 2 or self.holes.flat[0] or self.holes.flat[-1]:
            raise InputError.of("holes", self.holes.shape, expected="a grid whose first and last tile are no holes")
        if not _has_path(self.holes):
            raise InputError.of("holes", self.holes.shape, expected="a grid with a way from start to goal")
        self.rows, self.columns = self.holes.shape
        self.tiles, self.goal, self.horizon = self.holes.size, self.holes.size - 1, horizon
        self.hole = torch.from_numpy(self.holes.flatten())
        # the released code's own stream: legacy NumPy, seed 42
        drawn = np.random.RandomState(TILES_SEED).dirichlet(np.ones(4), size=(self.rows, self.columns))
        self.slip = torch.from_numpy(drawn.reshape(self.tiles, 4))
        row, column = np.divmod(np.arange(self.tiles), self.columns)
        to = [
            (row + down).clip(0, self.rows - 1) * self.columns + (column + right).clip(0, self.columns - 1)
            for down, right in MOVES
        ]
        self.to = torch.from_numpy(np.stack(to, 1))
        near = 1.0 / (1.0 + (self.rows - 1 - row) + (self.columns - 1 - column))
        self.near = torch.from_numpy(near).float()
        """`[tile]` what a tile pays, holes' cost left out; 1 at the goal."""
        self.hole_cost = torch.where(self.hole, 1.0 / (self.rows + self.columns), 0.0)
        self._cumulative = self.slip.cumsum(1)[:, :-1].float().contiguous()
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (self.tiles,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(4)

    @classmethod
    def generate(
        cls, size: int = 10, *, generator: np.random.Generator, frozen: float = 0.8, horizon: int = 100
    ) -> "SlipperyLake":
        """A random square map: each tile frozen with probability `frozen`, drawn again until there is a way."""
        while True:
            holes = generator.random((size, size)) >= frozen
            holes[0, 0] = holes[-1, -1] = False
            if _has_path(holes):
                return cls(holes, horizon=horizon)

    @property
    def world(self) -> dict[str, Any]:
        """Name and arguments by which `tasks.worlds` makes this world again."""
        return {
            "name": "slippery-lake",
            "arguments": {"holes": self.holes.astype(int).tolist(), "horizon": self.horizon},
        }

    def initial(self, batch: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - all start at one tile
        """All walkers at the first tile."""
        return torch.zeros(batch, dtype=torch.int64)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - no season
        """Two uniform numbers a walker, `[B, 2]`: whether it slips, and where to."""
        return torch.rand(batch, 2, generator=generator)

    def observe(self, state: Tensor) -> Tensor:
        """The tile, one-hot, `[B, tile]`."""
        return functional.one_hot(state, self.tiles).float()

    def observe_post(self, post: LakePost) -> Tensor:
        """The intended tile, one-hot, `[B, tile]`."""
        return functional.one_hot(post.tile, self.tiles).float()

    def mask(self, state: Tensor) -> Tensor | None:  # noqa: ARG002 - all moves are allowed everywhere
        """Nothing is masked."""
        return None

    def decide(self, state: Tensor, action: Tensor) -> tuple[LakePost, Tensor]:
        """The sure move: (post-decision state, what the intended tile pays `[B]`)."""
        over = self.hole[state] | (state == self.goal)
        tile = torch.where(over, state, self.to[state, action])
        return LakePost(tile, over | (tile == self.goal)), torch.where(over, 0.0, self.near[tile])

    def resolve(self, post: LakePost, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The slip: (next state, rest of the reward `[B]`, terminated `[B]`)."""
        direction = (noise[:, 1:] >= self._cumulative[post.tile]).sum(1)
        slips = (noise[:, 0] < SLIP) & ~post.ended
        tile = torch.where(slips, self.to[post.tile, direction], post.tile)
        paid = torch.where(slips, self.near[tile] - self.hole_cost[tile], 0.0)
        reward = paid - torch.where(post.ended, 0.0, self.hole_cost[post.tile])
        return tile, reward, post.ended | (tile == self.goal)


def _has_path(holes: np.ndarray) -> bool:
    graph = nx.grid_2d_graph(*holes.shape)
    graph.remove_nodes_from([tuple(tile) for tile in np.argwhere(holes)])
    end = (holes.shape[0] - 1, holes.shape[1] - 1)
    return nx.has_path(graph, (0, 0), end)
