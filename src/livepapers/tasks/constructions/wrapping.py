"""A construction inside another one, which changes energies and leaves states and moves as they are."""

from torch import Tensor

from livepapers.tasks.construction import Construction


class Wrapped:
    """What the construction `env` says of its states and moves.

    Args:
        env: Any construction.
    """

    def __init__(self, env: Construction) -> None:
        self.env = env
        self.moves, self.has_stop, self.features = env.moves, env.has_stop, env.features
        self.longest, self.shortest = env.longest, env.shortest

    def root(self, batch: int) -> Tensor:
        """As wrapped."""
        return self.env.root(batch)

    def encode(self, state: Tensor) -> Tensor:
        """As wrapped."""
        return self.env.encode(state)

    def forward_mask(self, state: Tensor) -> Tensor:
        """As wrapped."""
        return self.env.forward_mask(state)

    def backward_mask(self, state: Tensor) -> Tensor:
        """As wrapped."""
        return self.env.backward_mask(state)

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """As wrapped."""
        return self.env.step(state, action)

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """As wrapped."""
        return self.env.undo(state, action)

    def is_terminal(self, state: Tensor) -> Tensor:
        """As wrapped."""
        return self.env.is_terminal(state)

    def key(self, state: Tensor) -> list[bytes]:
        """As wrapped."""
        return self.env.key(state)
