"""Dictionary policies: a trained network rewritten as a short polynomial that fits an embedded controller."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from livepapers.blocks.distributions import bounds
from livepapers.blocks.policies import GreedyPolicy
from livepapers.methods.sindy_rl import equations
from livepapers.methods.sindy_rl.circles import Pairs, joined
from livepapers.methods.sindy_rl.config import Config
from livepapers.methods.sindy_rl.library import Library
from livepapers.methods.sindy_rl.regression import SparseRegression, median, normal_equations, refit, thresholded
from livepapers.methods.sindy_rl.surrogate import SurrogateTask

GRID = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Of ridge and of threshold; section on dictionary policies."""
LANES = 20


class DictionaryPolicy(nn.Module):
    """Actions as a sum of terms of the observation, clipped to their bounds.

    Args:
        library: The terms, or what `Library.to_json` gave; without inputs.
        low: Lowest action, `[m]`.
        high: Highest action, `[m]`.
    """

    takes = "observation"
    low: Tensor
    high: Tensor
    coefficients: Tensor

    def __init__(self, library: Library | Mapping[str, Any], *, low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__()
        self.library = library if isinstance(library, Library) else Library(**library)
        self.register_buffer("coefficients", torch.zeros(len(self.library), len(low)))
        for name, value in (("low", low), ("high", high)):
            self.register_buffer(name, torch.tensor(list(value), dtype=torch.float32), persistent=False)

    @property
    def arguments(self) -> dict[str, Any]:
        """What rebuilds the policy, in JSON values."""
        return {"library": self.library.to_json(), "low": self.low.tolist(), "high": self.high.tolist()}

    @property
    def terms(self) -> int:
        """How many coefficients are not zero."""
        return equations.count(self.coefficients)

    def forward(self, observation: Tensor) -> Tensor:
        """`[batch, n]` observations -> `[batch, m]` actions."""
        moves = self.library(observation.to(torch.float32)) @ self.coefficients
        return torch.minimum(torch.maximum(moves, self.low), self.high)

    def written(self, states: Sequence[str], actions: Sequence[str], *, circles: Pairs = ()) -> list[str]:
        """The law, one line an action, as it is where pairs of states lie on their `circles`."""
        named = [(states[i], states[j]) for i, j in circles]
        return equations.as_text(*joined(self.coefficients, self.library.terms(states), named), actions)

    def in_c(self, states: Sequence[str], actions: Sequence[str]) -> str:
        """The law as a C function `policy(x, y)`, clipping included."""
        limits = list(zip(self.low.tolist(), self.high.tolist(), strict=True))
        return equations.as_c(
            self.coefficients, self.library.terms(states), actions, function="policy", states=states, limits=limits
        )


@dataclass(frozen=True)
class Candidate:
    """One point of the grid."""

    ridge: float
    threshold: float
    error: float  # mean squared, of clipped actions on noise-free states
    terms: int


@torch.no_grad()
def distil(
    teacher: GreedyPolicy, surrogate: SurrogateTask, *, config: Config, generator: torch.Generator
) -> tuple[DictionaryPolicy, list[Candidate]]:
    """Rewrite a network as a dictionary policy, with no further step of the real world.

    Args:
        teacher: The network; its mean action is what is copied, before clipping.
        surrogate: Where it is rolled out; stays as it is.
        config: Settings of the policy, and those of the ensemble.
        generator: Of starts, noise and bootstrap samples.

    Returns:
        The policy with the least error of clipped actions on the states that were visited, and the whole grid.
    """
    states = visited(teacher, surrogate, states=config.policy_states, generator=generator)
    noisy = [states + config.policy_noise * torch.randn(states.shape, generator=generator) for _ in range(2)]
    rows = torch.cat([states, *noisy])
    space: Any = surrogate.action_space  # a bounded box, as in the real world
    low, high = bounds(space)
    centre, reach = (low + high) / 2.0, config.policy_clip * (high - low) / 2.0
    labels = torch.minimum(torch.maximum(mean_action(teacher, rows), centre - reach), centre + reach)
    library = Library(states.shape[1], degree=config.policy_degree)
    regression = SparseRegression(0.0, 0.0, models=config.models, share=config.share)
    features, targets = library.table(rows.double()), labels.double()
    counts, _ = regression.draw(len(rows), len(library), generator=generator)
    gram, moments = normal_equations(features, targets, counts)
    policy = DictionaryPolicy(library, low=low.tolist(), high=high.tolist())
    wanted, best, grid = teacher(states), (float("inf"), policy.coefficients), []
    for ridge in GRID:
        for threshold in GRID:
            found = thresholded(gram, moments, ridge=ridge, threshold=threshold)
            policy.coefficients = median(refit(found, gram, moments, features, targets, counts=counts)).float()
            error = float((policy(states) - wanted).square().mean())
            grid.append(Candidate(ridge, threshold, error, policy.terms))
            if error < best[0]:
                best = (error, policy.coefficients)
    policy.coefficients = best[1]
    return policy.eval(), grid


def mean_action(policy: GreedyPolicy, observation: Tensor) -> Tensor:
    """The network's mean action `[batch, m]`, not clipped."""
    features = observation.to(torch.float32)
    return policy.actor(features if policy.normaliser is None else policy.normaliser(features))


def visited(policy: nn.Module, surrogate: SurrogateTask, *, states: int, generator: torch.Generator) -> Tensor:
    """So many states `[states, n]` that a policy visits in the surrogate, from many starts."""
    lanes = min(LANES, states)
    task = surrogate.like(lanes)
    observation = task.reset(int(torch.randint(2**31, (), generator=generator)))
    seen = []
    for _ in range(-(-states // lanes)):
        seen.append(observation)
        observation = task.step(policy(observation)).observation
    return torch.cat(seen)[:states]
