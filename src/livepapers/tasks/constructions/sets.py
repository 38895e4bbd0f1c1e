"""Sets of a fixed size with additive energies, and their exact solution by elementary symmetric polynomials.

With w_i = exp(-e_i) and e_m the m-th elementary symmetric polynomial, for uniform P_B:

    log Z        = log e_S(w_U)
    log F~(s)    = log e_{S-k}(w_{U-s}) - log C(S, k),   k = |s|
    P_F(i | s)   = w_i e_{S-k-1}(w_{U-s-i}) / ((S - k) e_{S-k}(w_{U-s}))
    P(i in x)    = w_i e_{S-1}(w_{U-i}) / e_S(w_U)

All in the log domain: weights are positive, so nothing cancels.
"""

import heapq
import itertools
import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError

_SMALL = (
    -0.4381397850674522, -0.40046449111789073, -0.2745059751263419, 0.013149744911117978, 0.4110535720923896,
    0.6261749162235306, 0.6961474461702144, 0.7442282139370466, 0.8206350287761408, 0.883494921538938,
)  # fmt: skip
_MEDIUM = (
    -0.7866830411595669, -0.7837872949891345, -0.5230497555411129, -0.41860806745880197, -0.3855205729595568,
    0.2961218224370139, 0.5731802451199923, 0.6009291618806774, 0.6881812517688572, 0.7396350970666805,
)  # fmt: skip
_LARGE = (
    -0.8596854107736154, -0.5938789622812419, -0.5596177369051512, -0.4589997720511263, -0.15382957507887518,
    0.13832182722858843, 0.3925029176153736, 0.7231982581431591, 0.7326989860019331, 0.9244538380742333,
)  # fmt: skip
PAPER_SETS: dict[str, tuple[tuple[float, ...], int, int]] = {
    "small": (_SMALL, 3, 20),
    "medium": (_MEDIUM, 8, 60),
    "large": (_LARGE, 10, 80),
}
"""The set instances of arXiv 2302.01687: name -> (ten distinct energies, items that carry each, set size S)."""


class Sets:
    """All subsets of `size` out of n items; a move adds one item, the energy is the sum of the items' energies.

    State `[batch, n]` bool. The root is empty; an object is finished when it has `size` items.
    """

    has_stop = False

    def __init__(self, energies: Sequence[float] | Tensor, size: int) -> None:
        self.energies = torch.as_tensor(energies, dtype=torch.float64).flatten()
        self.moves = self.features = len(self.energies)
        if self.moves == 0:
            raise InputError.of("energies", "no items", expected="at least one item")
        if not torch.isfinite(self.energies).all():
            bad = int((~torch.isfinite(self.energies)).nonzero()[0])
            raise InputError.of(f"energies: item {bad}", float(self.energies[bad]), expected="a finite energy")
        if not 1 <= size <= self.moves:
            raise InputError.of("size", size, expected=f"1 to {self.moves}, the number of items")
        self.size = self.longest = self.shortest = int(size)

    @classmethod
    def paper(cls, name: str) -> "Sets":
        """The paper's instance "small" (n=30, S=20), "medium" (80, 60) or "large" (100, 80); items sorted by energy."""
        if name not in PAPER_SETS:
            raise InputError.of("instance", name, expected=f"one of {', '.join(PAPER_SETS)}")
        distinct, copies, size = PAPER_SETS[name]
        return cls(np.repeat(distinct, copies).tolist(), size)

    def root(self, batch: int) -> Tensor:
        """Empty sets, `[batch, n]`."""
        return torch.zeros(batch, self.moves, dtype=torch.bool)

    def encode(self, state: Tensor) -> Tensor:
        """Membership as 0 and 1, `[batch, n]`."""
        return state.to(torch.get_default_dtype())

    def forward_mask(self, state: Tensor) -> Tensor:
        """Absent items while the set is not full, `[batch, n]`."""
        return ~(state | (state.sum(dim=1, keepdim=True) >= self.size))

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
        """Whether the set is full, `[batch]`."""
        return state.sum(dim=1) >= self.size

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:  # noqa: ARG002 - the contract's form
        """The added item's energy, `[batch]`."""
        return self.energies[action]

    def log_reward(self, state: Tensor) -> Tensor:
        """Minus the sum of the items' energies, `[batch]`."""
        return -(state.to(torch.float64) @ self.energies)

    def key(self, state: Tensor) -> list[bytes]:
        """Packed membership bits."""
        return [row.tobytes() for row in np.packbits(state.numpy(), axis=1)]

    # ---- exact references -------------------------------------------------------------------------------------

    def exact_log_z(self) -> float:
        """Log Z = log e_S(w)."""
        return float(log_elementary(-self.energies, self.size)[self.size])

    def exact_inclusion(self) -> Tensor:
        """P(item i in x) under the target, `[n]` float64."""
        without = (-self.energies).expand(self.moves, -1).clone()
        without.fill_diagonal_(-math.inf)
        rest = log_elementary(without, self.size - 1)[..., self.size - 1]
        return torch.exp(-self.energies + rest - self.exact_log_z())

    def exact_log_flow(self, state: Tensor) -> Tensor:
        """Log F~(s) for uniform P_B, `[batch]`: the flow of what is still to come; 0 at finished sets."""
        k = state.sum(dim=1)
        rest = log_elementary((-self.energies).masked_fill(state, -math.inf), self.size)
        chosen = rest.gather(1, (self.size - k)[:, None]).squeeze(1)
        n, m = torch.tensor(float(self.size), dtype=torch.float64), k.to(torch.float64)
        return chosen - (torch.lgamma(n + 1) - torch.lgamma(m + 1) - torch.lgamma(n - m + 1))

    def exact_log_forward(self, state: Tensor) -> Tensor:
        """Log P_F(i | s) for uniform P_B, `[batch, n]`; -inf for items present. Not defined for full sets."""
        batch, n = state.shape
        remaining = self.size - state.sum(dim=1)
        log_w = (-self.energies).masked_fill(state, -math.inf)
        below = log_w[:, None, :].expand(batch, n, n).clone()
        below.diagonal(dim1=1, dim2=2).fill_(-math.inf)  # row i leaves item i out
        without = log_elementary(below, self.size - 1)
        index = (remaining - 1)[:, None, None].expand(batch, n, 1)
        whole = log_elementary(log_w, self.size).gather(1, remaining[:, None])
        return log_w + without.gather(2, index).squeeze(2) - whole - remaining[:, None].to(torch.float64).log()

    def exact_top_mean_log_reward(self, count: int) -> float:
        """Log of the mean reward of the `count` best distinct objects (of all, if there are fewer)."""
        rewards = list(itertools.islice(self._log_rewards_descending(), count))
        return float(np.logaddexp.reduce(rewards) - math.log(len(rewards)))

    def _log_rewards_descending(self) -> Iterator[float]:
        """Log rewards of all objects, best first: best-first search over how many items of each energy are taken."""
        distinct, copies = np.unique(self.energies.numpy(), return_counts=True)
        first, left = [], self.size
        for c in copies:
            first.append(min(left, int(c)))
            left -= first[-1]
        start = tuple(first)
        queue, seen = [(float(np.dot(start, distinct)), start)], {start}
        while queue:
            energy, counts = heapq.heappop(queue)
            ways = math.prod(math.comb(int(c), k) for c, k in zip(copies, counts, strict=True))
            yield from itertools.repeat(-energy, min(ways, sys.maxsize))
            # one item one class up: every count vector is reached from a better or equal one
            for low in range(len(distinct) - 1):
                if counts[low] > 0 and counts[low + 1] < copies[low + 1]:
                    moved = list(counts)
                    moved[low] -= 1
                    moved[low + 1] += 1
                    after = tuple(moved)
                    if after not in seen:
                        seen.add(after)
                        heapq.heappush(queue, (float(np.dot(after, distinct)), after))


def log_elementary(log_weights: Tensor, degree: int) -> Tensor:
    """Log e_0 .. log e_degree of the weights on the last axis: `[..., n] -> [..., degree + 1]` float64.

    Args:
        log_weights: Logarithms of positive weights; -inf takes an item out.
        degree: The highest polynomial wanted.

    Cost O(n * degree) for each set of weights; items that are out leave the others untouched.
    """
    result = log_weights.new_full((*log_weights.shape[:-1], degree + 1), -math.inf, dtype=torch.float64)
    result[..., 0] = 0.0
    for item in log_weights.to(torch.float64).unbind(dim=-1):
        added = result[..., :-1] + item[..., None]
        result = torch.cat([result[..., :1], torch.logaddexp(result[..., 1:], added)], dim=-1)
    return result
