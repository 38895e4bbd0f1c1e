"""The construction contract: objects built move by move, forwards and backwards, with masks, energies, log reward.

GFlowNets and other samplers of discrete objects learn on it. States are plain tensors `[batch, ...]` of one dtype;
action `a` of `forward_mask` and action `a` of `backward_mask` name the same move, done and undone; the stop action,
where a construction has one, is the last forward action and has no backward counterpart.
"""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Construction(Protocol):
    """A directed acyclic graph of partial objects with one root.

    A trajectory starts at `root`, each move is one of `forward_mask`, and it ends in a terminal state: by the stop
    action where `has_stop`, otherwise when `is_terminal` says so.
    """

    moves: int  # number of moves (add item i, append letter i ...), the stop action not counted
    has_stop: bool  # whether trajectories end by a stop action, index `moves`, or by themselves
    longest: int  # the largest number of moves of a trajectory, the stop action counted
    features: int  # width of `encode`

    def root(self, batch: int) -> Tensor:
        """The start state, repeated, `[batch, ...]`."""
        ...

    def encode(self, state: Tensor) -> Tensor:
        """What a network sees, `[batch, features]` in the default float type."""
        ...

    def forward_mask(self, state: Tensor) -> Tensor:
        """Allowed forward actions, `[batch, moves + has_stop]` bool."""
        ...

    def backward_mask(self, state: Tensor) -> Tensor:
        """Moves that can have been the last one, `[batch, moves]` bool; all False at the root only."""
        ...

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """The child states; `action` `[batch]` int64 in [0, moves). The stop action never reaches this function."""
        ...

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """The parent states: the inverse of `step` for moves allowed by `backward_mask`."""
        ...

    def is_terminal(self, state: Tensor) -> Tensor:
        """Whether the object is finished without a stop action, `[batch]` bool; all False where `has_stop`."""
        ...

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        """Energy of the move, `[batch]`; summed along any path to x it is -log R(x) (the stop action costs 0)."""
        ...

    def log_reward(self, state: Tensor) -> Tensor:
        """log R of finished objects, `[batch]`."""
        ...

    def key(self, state: Tensor) -> list[bytes]:
        """One hashable name an object; equal exactly for equal objects."""
        ...
