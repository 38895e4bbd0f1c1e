"""Oracles of policy-smoothing: exact games, Clopper and Pearson's definition, symmetries, and what noise is worth."""

import functools

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from livepapers.baselines.lipschitz_smoothing import lipschitz_mean_bound
from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.core.rng import numpy_generator
from livepapers.methods.policy_smoothing import (
    Certificate,
    Config,
    NoisySearch,
    SmoothedPolicy,
    ThresholdGame,
    certify,
    lower_confidence,
    mean_above,
    shift,
)
from livepapers.tasks.cart_pole import CartPole

Comparison = tuple[Tensor | float, Tensor | float, float]
RATIOS = np.linspace(0.0, 4.0, 9)


def _tensor(values: object) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def _returns(name: str, count: int = 400) -> np.ndarray:
    """Whole returns between 0 and 20."""
    return numpy_generator(0, "oracle", name).integers(0, 21, count).astype(np.float64)


def one_threshold_attains_the_bound() -> Comparison:
    """One step, one threshold: shifting its observation by B makes of Phi(a) exactly Phi(a - B)."""
    offsets = np.linspace(-2.0, 3.0, 11)
    exact = special.ndtr(offsets[:, None] - RATIOS)
    return _tensor(shift(special.ndtr(offsets)[:, None], RATIOS)), _tensor(exact), 1e-12


def clopper_and_pearson_by_definition() -> Comparison:
    """The bound is the p at which k or more successes have probability alpha."""
    k, n, alpha = np.array([1, 3, 17, 49, 50]), 50, 0.05
    bound = lower_confidence(k, n, alpha)
    return _tensor(stats.binom.sf(k - 1, n, bound)), _tensor(np.full(len(k), alpha)), 1e-9


def best_adversary_of_two_steps_by_a_grid() -> Comparison:
    """Dynamic programming against the closed form of "both", minimised over what is spent on the first step."""
    game, ratio = ThresholdGame(2, 2, 0.7), 1.3
    first = np.sqrt(np.arange(201) / 200) * ratio
    second = np.sqrt(np.maximum(ratio**2 - first**2, 0.0))
    exact = (special.ndtr(0.7 - first) * special.ndtr(0.7 - second)).min()
    return game.worst(ratio), float(exact), 1e-12


def mean_by_integration() -> Comparison:
    """The sum over sorted returns is the integral of the shifted distribution, here on a fine grid."""
    found = Certificate.from_returns(_returns("integral"), 0.5, lowest=-3.0, estimator="band")
    grid = np.linspace(-3.0, 21.0, 48_001)
    middle = (grid[1:] + grid[:-1]) / 2.0
    integral = -3.0 + (shift(found.least(middle), 0.8) * np.diff(grid)).sum()
    return float(found.mean(0.4)), float(integral), 2e-3


def without_a_budget_it_is_the_mean_of_the_bounds() -> Comparison:
    """B = 0: nothing is shifted."""
    least = lower_confidence(np.array([40, 20, 5]), 50, 0.05 / 3)
    return float(mean_above(np.arange(4.0), least, 0.0)), float(least.sum()), 1e-12


def success_is_a_mean_of_zeros_and_ones() -> Comparison:
    """With the two levels 0 and 1, the certified mean is the certified probability."""
    wins = (_returns("wins") > 6).astype(np.float64)
    found = Certificate.from_returns(wins, 0.3, levels=[0.0, 1.0])
    budgets = 0.3 * RATIOS
    return _tensor(found.mean(budgets)), _tensor(found.success(budgets, 1.0)), 1e-12


def equal_noises_are_one_noise() -> Comparison:
    """One sigma a feature, all equal: budgets in standard deviations are budgets over sigma."""
    returns = _returns("equal")
    one = Certificate.from_returns(returns, 0.3, lowest=0.0, highest=20.0)
    many = Certificate.from_returns(returns, (0.3, 0.3, 0.3), lowest=0.0, highest=20.0)
    return _tensor(many.mean(RATIOS)), _tensor(one.mean(0.3 * RATIOS)), 1e-12


def order_of_episodes() -> Comparison:
    """Permuting the returns changes nothing."""
    returns = _returns("order")
    one, other = (
        Certificate.from_returns(each, 0.3, lowest=0.0, highest=20.0)
        for each in (returns, numpy_generator(1, "oracle", "order").permutation(returns))
    )
    return _tensor(one.mean(RATIOS)), _tensor(other.mean(RATIOS)), 0.0


def unit_of_the_observation() -> Comparison:
    """Noise and budgets in other units: the same certificate."""
    returns = _returns("unit")
    metres = Certificate.from_returns(returns, 0.25, lowest=0.0, highest=20.0)
    centimetres = Certificate.from_returns(returns, 25.0, lowest=0.0, highest=20.0)
    return _tensor(centimetres.mean(100.0 * RATIOS)), _tensor(metres.mean(RATIOS)), 1e-12


def unit_of_the_return() -> Comparison:
    """Returns times 3 minus 5: the bound times 3 minus 5."""
    returns = _returns("affine")
    plain = Certificate.from_returns(returns, 0.3, lowest=0.0, estimator="band")
    moved = Certificate.from_returns(3.0 * returns - 5.0, 0.3, lowest=-5.0, estimator="band")
    return _tensor(moved.mean(RATIOS)), _tensor(3.0 * plain.mean(RATIOS) - 5.0), 1e-9


def frames_keep_their_noise() -> Comparison:
    """What a policy sees of an old observation is what it saw of it before."""
    agent = SmoothedPolicy(
        lambda seen: torch.zeros(len(seen)), 0.5, frames=3, generator=make_generator(0, "oracle", "frames")
    )  # fmt: skip
    stacks = []
    for step in range(5):
        agent(torch.full((2, 4), float(step)))
        assert agent.stack is not None  # it has acted
        stacks.append(agent.stack)
    older = torch.stack([stack[:, :-1] for stack in stacks[1:]])
    newer = torch.stack([stack[:, 1:] for stack in stacks[:-1]])
    return older.double(), newer.double(), 0.0


_SHORT = replace(
    Config(), sigma=0.4, candidates=24, trials=4, elites=4, updates=8, selection=64, episodes=1000
)  # fmt: skip


@functools.cache
def _certificate(seed: int, *, noise: float, trained: bool = True) -> Certificate:
    """Of a policy trained with some noise, at 0.4."""
    learner = NoisySearch(CartPole(100), config=replace(_SHORT, sigma=noise), seed=seed)
    for _ in range(_SHORT.updates if trained else 0):
        learner.update()
    return certify(learner.policy(), CartPole(100), sigma=_SHORT.sigma, episodes=_SHORT.episodes, seed=seed)


def _certified(seed: int, *, noise: float, trained: bool = True) -> float:
    """Minus the certified mean return at budget 0.2."""
    return -float(_certificate(seed, noise=noise, trained=trained).mean(0.2))


def _lipschitz(seed: int) -> float:
    """The same for the Lipschitz bound, of the episodes of the policy that was trained with noise."""
    returns = _certificate(seed, noise=0.4).returns
    return -float(lipschitz_mean_bound(returns, 0.5, lowest=0.0, highest=100.0))


REFERENCES = {
    "one threshold attains the bound": one_threshold_attains_the_bound,
    "Clopper and Pearson by definition": clopper_and_pearson_by_definition,
    "the best adversary of two steps": best_adversary_of_two_steps_by_a_grid,
    "the mean by integration": mean_by_integration,
}
INVARIANCES = {
    "order of episodes": order_of_episodes,
    "unit of the observation": unit_of_the_observation,
    "unit of the return": unit_of_the_return,
    "frames keep their noise": frames_keep_their_noise,
}
REDUCTIONS = {
    "without a budget nothing is shifted": without_a_budget_it_is_the_mean_of_the_bounds,
    "success is a mean of zeros and ones": success_is_a_mean_of_zeros_and_ones,
    "equal noises are one noise": equal_noises_are_one_noise,
}
FLOORS = {
    "an untrained policy": lambda seed: (_certified(seed, noise=0.4), _certified(seed, noise=0.4, trained=False)),
}
ABLATIONS = {
    "training without noise": lambda seed: (_certified(seed, noise=0.4), _certified(seed, noise=0.0)),
    "the Lipschitz bound instead of the theorem": lambda seed: (_certified(seed, noise=0.4), _lipschitz(seed)),
}
