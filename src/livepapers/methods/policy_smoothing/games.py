"""Games on which the theorem can be checked exactly: the agent asks at each step whether a noisy zero is positive.

The observation is 0 throughout. At each of T steps the agent sees eps_t + delta_t and says yes where that exceeds
-offset. The episode succeeds if at least `needed` of the T answers are yes. An adversary that has seen the answers so
far spends its budget where it still matters; the best one is found by dynamic programming.

All lengths are in standard deviations of the noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from livepapers.core.errors import InputError

Spend = Callable[[int, Tensor, Tensor], Tensor]
"""(step, yes answers so far, squared budget left) -> squared budget to spend now, `[episode]` each."""


@dataclass(frozen=True)
class ThresholdGame:
    """T yes-or-no answers, of which `needed` have to be yes.

    Attributes:
        steps: T.
        needed: k: with T it is "all", with 1 it is "any".
        offset: How far a plain zero is above the threshold.
    """

    steps: int
    needed: int
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse games that are decided before they start."""
        if self.steps < 1 or not 1 <= self.needed <= self.steps:
            shown = f"{self.needed} of {self.steps}"
            raise InputError.of("needed", shown, expected="a whole number from 1 to the number of steps")

    def clean(self) -> float:
        """The probability of success without an adversary."""
        return float(stats.binom.sf(self.needed - 1, self.steps, special.ndtr(self.offset)))

    def worst(self, ratio: float, *, cells: int = 200) -> float:
        """The least that an adversary with budget `ratio` makes of it, whatever it does, up to the grid from above.

        Args:
            ratio: B, in standard deviations.
            cells: Into which the squared budget is divided.
        """
        return float(_values(self, ratio, cells)[0][0, 0, -1])

    def best_adversary(self, ratio: float, *, cells: int = 200) -> Spend:
        """The adversary that `worst` speaks of."""
        _, choices = _values(self, ratio, cells)
        table, grain = torch.as_tensor(choices), ratio**2 / cells

        def spend(step: int, yes: Tensor, left: Tensor) -> Tensor:
            cell = (left / max(grain, 1e-300) + 1e-6).floor().long().clamp(0, cells)
            return table[step, yes.clamp(max=self.needed), cell] * grain

        return spend

    def first_step_only(self, ratio: float) -> float:
        """Success against all budget on step one, in closed form."""
        rest = self.steps - 1
        yes = float(special.ndtr(self.offset - ratio))
        usual = float(special.ndtr(self.offset))
        after_yes, after_no = (float(stats.binom.sf(self.needed - 1 - have, rest, usual)) for have in (1, 0))
        return yes * after_yes + (1.0 - yes) * after_no

    def simulate(
        self, episodes: int, generator: torch.Generator, *, spend: Spend | None = None, ratio: float = 0.0
    ) -> float:
        """The share of successes: the adversary moves, then the noise is drawn, then the agent answers."""
        yes = torch.zeros(episodes, dtype=torch.int64)
        left = torch.full((episodes,), ratio**2, dtype=torch.float64)
        for step in range(self.steps):
            paid = torch.zeros_like(left) if spend is None else torch.minimum(spend(step, yes, left), left)
            left = left - paid
            noise = torch.randn(episodes, generator=generator, dtype=torch.float64)
            yes = yes + (noise - paid.sqrt() > -self.offset)
        return float((yes >= self.needed).double().mean())


def _values(game: ThresholdGame, ratio: float, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Success `[step, yes, cell]` under the best adversary, and the cells it spends.

    Budgets are kept in equal cells of their square, because squares add up over steps.
    """
    spends = np.sqrt(np.arange(cells + 1) / cells) * ratio
    yes_after = special.ndtr(game.offset - spends)  # [spent cells]
    value = np.zeros((game.steps + 1, game.needed + 2, cells + 1))
    choice = np.zeros((game.steps, game.needed + 2, cells + 1), dtype=np.int64)
    value[:, game.needed :, :] = 1.0  # enough is enough
    for step in range(game.steps - 1, -1, -1):
        for yes in range(game.needed):
            for left in range(cells + 1):
                spent = np.arange(left + 1)
                p, after = yes_after[: left + 1], value[step + 1][:, left - spent]
                found = p * after[yes + 1] + (1.0 - p) * after[yes]
                choice[step, yes, left] = int(found.argmin())
                value[step, yes, left] = found.min()
    return value, choice
