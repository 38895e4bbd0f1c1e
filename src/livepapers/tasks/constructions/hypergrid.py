"""The hypergrid: walk from a corner, stop anywhere; rewards in the interior are misleading, which is the point.

log R(s) = log(R0 + R1 * prod_i [|x_i| > 1/4] + R2 * prod_i [3/10 < |x_i| < 4/10]),  x_i = s_i / (H - 1) - 1/2.
The energy of a partial object is -log R of its own cell: valleys lie between the modes, so a forward-looking learner
is told that the way to a mode gets worse first.
"""

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import row_keys


class Hypergrid:
    """Cells of a grid with `dims` axes of `side` cells; a move increments one coordinate, stopping is always allowed.

    State `[batch, dims]` int64.
    """

    has_stop = True

    def __init__(self, dims: int = 2, side: int = 8, *, r0: float = 0.1, r1: float = 0.5, r2: float = 2.0) -> None:
        if dims < 1:
            raise InputError.of("dims", dims, expected="a whole number >= 1")
        if side < 2:
            raise InputError.of("side", side, expected="a whole number >= 2")
        if not r0 > 0 or r1 < 0 or r2 < 0:
            raise InputError.of("r0, r1, r2", (r0, r1, r2), expected="r0 > 0, r1 and r2 >= 0", cause="log R must exist")
        self.moves, self.side = int(dims), int(side)
        self.features, self.bases = self.moves * self.side, (self.side,) * self.moves
        self.longest, self.shortest = self.moves * (self.side - 1) + 1, 1
        self.r0, self.r1, self.r2 = r0, r1, r2

    def root(self, batch: int) -> Tensor:
        """The corner, `[batch, dims]`."""
        return torch.zeros(batch, self.moves, dtype=torch.int64)

    def encode(self, state: Tensor) -> Tensor:
        """One-hot coordinates, `[batch, dims * side]`."""
        hot = torch.nn.functional.one_hot(state, self.side)
        return hot.flatten(1).to(torch.get_default_dtype())

    def forward_mask(self, state: Tensor) -> Tensor:
        """Axes with room, and stopping, `[batch, dims + 1]`."""
        return torch.cat([state < self.side - 1, torch.ones(len(state), 1, dtype=torch.bool)], dim=1)

    def backward_mask(self, state: Tensor) -> Tensor:
        """Axes that can be decremented, `[batch, dims]`."""
        return state > 0

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Increment coordinate `action`."""
        return state.scatter_add(1, action[:, None], torch.ones_like(action)[:, None])

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """Decrement coordinate `action`."""
        return state.scatter_add(1, action[:, None], -torch.ones_like(action)[:, None])

    def is_terminal(self, state: Tensor) -> Tensor:
        """Always False: walks end by the stop action."""
        return torch.zeros(len(state), dtype=torch.bool)

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        """Log R(state) - log R(child), `[batch]`."""
        del action
        return self.log_reward(state) - self.log_reward(child)

    def log_reward(self, state: Tensor) -> Tensor:
        """Log R of cells, `[batch]`, relative to the root's own so that E(root) = 0 holds for stopping at once."""
        return self._absolute(state) - self._absolute(torch.zeros_like(state[:1]))

    def key(self, state: Tensor) -> list[bytes]:
        """The coordinates' bytes."""
        return row_keys(state)

    def digits(self, objects: Tensor) -> Tensor:
        """The coordinates, `[batch, dims]`."""
        return objects

    def objects(self, digits: Tensor) -> Tensor:
        """The cells of these coordinates, `[batch, dims]`."""
        return digits

    def open_digits(self, state: Tensor) -> Tensor:
        """Coordinates only grow: those at least as large, `[batch, dims, side]`."""
        return torch.arange(self.side) >= state[:, :, None]

    def exact_log_z(self) -> float:
        """Log Z of the relative reward, by summing over all cells; cost side ** dims."""
        axes = torch.cartesian_prod(*[torch.arange(self.side)] * self.moves).reshape(-1, self.moves)
        return float(torch.logsumexp(self.log_reward(axes), dim=0))

    def _absolute(self, state: Tensor) -> Tensor:
        x = (state.to(torch.float64) / (self.side - 1) - 0.5).abs()
        outer, ring = (x > 0.25).all(dim=1), ((x > 0.3) & (x < 0.4)).all(dim=1)
        return torch.log(self.r0 + self.r1 * outer.to(torch.float64) + self.r2 * ring.to(torch.float64))
