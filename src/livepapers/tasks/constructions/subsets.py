"""Subsets with a user's energy function, and feature selection as a real example of one."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from livepapers.core.errors import InputError

StateEnergy = Callable[[Tensor], Tensor]


class Subsets:
    """Subsets of n items whose energy a function of yours gives, also for partial subsets.

    Args:
        items: n.
        energy: `[batch, n]` bool -> `[batch]` energies; finite. It is shifted so that the empty set has energy 0,
            which changes log Z by a constant (`offset`) and the target not at all.
        size: Objects have exactly this many items; None: any number, ended by a stop action.
        partial: False if `energy` makes sense for finished objects only; forward-looking objectives are then refused.
    """

    def __init__(self, items: int, energy: StateEnergy, *, size: int | None = None, partial: bool = True) -> None:
        if items < 1:
            raise InputError.of("items", items, expected="a whole number >= 1")
        if size is not None and not 1 <= size <= items:
            raise InputError.of("size", size, expected=f"1 to {items}, the number of items")
        self.moves = self.features = int(items)
        self.size, self.has_stop, self.partial, self._energy = size, size is None, partial, energy
        self.longest, self.shortest = (items + 1, 1) if size is None else (size, size)
        self.offset = float(self._finite(self.root(1))) if partial else 0.0

    def root(self, batch: int) -> Tensor:
        """Empty sets, `[batch, n]` bool."""
        return torch.zeros(batch, self.moves, dtype=torch.bool)

    def encode(self, state: Tensor) -> Tensor:
        """Membership as 0 and 1, `[batch, n]`."""
        return state.to(torch.get_default_dtype())

    def forward_mask(self, state: Tensor) -> Tensor:
        """Absent items (none once the size is reached), and stopping where there is a stop action."""
        if self.size is not None:
            return ~(state | self.is_terminal(state)[:, None])
        return torch.cat([~state, torch.ones(len(state), 1, dtype=torch.bool)], dim=1)

    def backward_mask(self, state: Tensor) -> Tensor:
        """Items present, `[batch, n]`."""
        return state

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Add item `action`."""
        return state.scatter(1, action[:, None], True)

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """Take item `action` out."""
        return state.scatter(1, action[:, None], False)

    def is_terminal(self, state: Tensor) -> Tensor:
        """Whether the wanted size is reached; always False where there is a stop action."""
        if self.size is None:
            return torch.zeros(len(state), dtype=torch.bool)
        return state.sum(dim=1) >= self.size

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        """Difference of the energies of child and state, `[batch]`."""
        del action
        if not self.partial:
            raise InputError.of(
                "energy",
                "a function of finished objects only",
                expected="one that is defined on partial objects",
                cause="use objective db, tb or subtb, which ask for finished objects only",
            )
        return self._finite(child) - self._finite(state)

    def log_reward(self, state: Tensor) -> Tensor:
        """Minus the energy above that of the empty set, `[batch]`."""
        return self.offset - self._finite(state)

    def key(self, state: Tensor) -> list[bytes]:
        """The membership's bytes."""
        return [row.tobytes() for row in state.numpy()]

    def _finite(self, state: Tensor) -> Tensor:
        energy = self._energy(state).to(torch.float64)
        if energy.shape != (len(state),):
            raise InputError.of("energy", f"shape {list(energy.shape)}", expected=f"one energy a state, [{len(state)}]")
        bad = ~torch.isfinite(energy)
        if bad.any():
            row = int(bad.nonzero()[0])
            items = state[row].nonzero().squeeze(1).tolist()
            raise InputError.of(f"energy of the subset {items}", float(energy[row]), expected="a finite number")
        return energy


def feature_subsets(features: Tensor, target: Tensor, *, penalty: float) -> Subsets:
    """Which features explain a target: E(S) = n/2 log RSS(S) + penalty * |S|, evaluated on partial sets.

    Args:
        features: `[n, p]`, p features of n observations.
        target: `[n]`.
        penalty: Nats a feature; log(n) / 2 gives the posterior weights that the Bayesian information criterion implies.
    """
    if features.ndim != 2 or target.shape != features.shape[:1]:
        shown = f"shapes {list(features.shape)} and {list(target.shape)}"
        raise InputError.of("features, target", shown, expected="[n, p] and [n]")
    if not (torch.isfinite(features).all() and torch.isfinite(target).all() and math.isfinite(penalty)):
        raise InputError.of("features, target, penalty", "a value that is not finite", expected="finite numbers")
    x, y = features.to(torch.float64), target.to(torch.float64)
    x, y = x - x.mean(dim=0), y - y.mean()
    gram, cross, total = x.T @ x, x.T @ y, y @ y

    def energy(state: Tensor) -> Tensor:
        # absent features become the identity block, so one batched solve serves subsets of every size
        inside = state.to(torch.float64)
        block = gram * inside[:, :, None] * inside[:, None, :] + torch.diag_embed(1.0 - inside)
        right = cross * inside
        solution = torch.linalg.solve(block, right)
        residual = total - (right * solution).sum(dim=1)
        return 0.5 * len(y) * torch.log(residual) + penalty * inside.sum(dim=1)

    return Subsets(x.shape[1], energy)
