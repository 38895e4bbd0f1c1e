"""The evolution strategy of the same repository (Salimans et al. 2017), the rival of the genetic algorithm."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from livepapers.core.checkpoint import require_keys
from livepapers.core.config import config_dataclass, setting
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.deep_ga.evaluation import Evaluator, World
from livepapers.methods.deep_ga.genomes import MOST_SEED, initial_weights, noise
from livepapers.methods.deep_ga.networks import EvolvedPolicy, Layout
from livepapers.methods.deep_ga.selection import ranking


@config_dataclass
class StrategyConfig:
    """Settings of the evolution strategy."""

    pairs: int = setting(250, "mirrored pairs a step, two evaluations each; paper: 2,500 (Atari)", ge=1)
    sigma: float = setting(0.05, "of the perturbations, as the genetic algorithm's; paper: 0.02", gt=0, le=10)
    rate: float = setting(0.01, "Adam; the paper's", gt=0, le=1)
    decay: float = setting(0.005, "L2, in the gradient; the paper's", ge=0)
    episodes: int = setting(1, "whose mean return is a fitness", ge=1)
    side_by_side: int = setting(500, "individuals that run as one batch", ge=1)


class EvolutionStrategy(Learner):
    """One weight vector that follows ranks of mirrored perturbations.

    Args:
        world: Where individuals are evaluated.
        layout: Their network.
        config: Settings.
        seed: Of weights, perturbations and episodes.
        cap: Steps after which an episode is cut; 0: only the world ends it.
    """

    def __init__(self, world: World, layout: Layout, *, config: StrategyConfig, seed: int, cap: int = 0) -> None:
        self.layout, self.config, self.seed = layout, config, seed
        self.evaluator = Evaluator(world, layout, side_by_side=config.side_by_side, cap=cap)
        self._choices = make_generator(seed, "deep-ga", "strategy")
        first = int(torch.randint(MOST_SEED, (), generator=self._choices))
        self.theta = torch.from_numpy(initial_weights(first, layout.scale())).requires_grad_()
        self._optimizer = torch.optim.Adam([self.theta], lr=config.rate, weight_decay=config.decay)
        self.history: list[float] = []
        """Best fitness of any individual so far, after each step."""
        self._steps = self._evaluations = self._updates = 0
        self.behaviour = torch.empty(0)
        """Of the latest perturbations, `[P, d]`; not part of the state."""

    def update(self) -> dict[str, float]:
        """One step of Adam."""
        config, size = self.config, self.layout.parameters
        seeds = torch.randint(MOST_SEED, (config.pairs,), generator=self._choices).tolist()
        centre, step = self.theta.detach().numpy(), np.float32(config.sigma)
        epsilon = np.stack([noise(seed, size) for seed in seeds])

        def weights(index: int) -> np.ndarray:
            sign = np.float32(1 if index < config.pairs else -1)
            return centre + sign * step * epsilon[index % config.pairs]

        seed = derive(self.seed, "deep-ga", "strategy", self._updates)
        found = self.evaluator(weights, 2 * config.pairs, episodes=config.episodes, seed=seed)
        fitness, self.behaviour = found.returns.mean(1), found.behaviour
        self.theta.grad = -strategy_gradient(fitness, torch.from_numpy(epsilon), config.sigma)
        self._optimizer.step()
        self._updates, self._steps = self._updates + 1, self._steps + found.steps
        self._evaluations += 2 * config.pairs * config.episodes
        self.history.append(max([*self.history[-1:], float(fitness.max())]))
        return {"best": float(fitness.max()), "mean": float(fitness.mean()), "best_seen": self.history[-1]}

    def policy(self) -> EvolvedPolicy:
        """The network in the middle of the perturbations."""
        return EvolvedPolicy(**self.layout.arguments, theta=self.theta.detach().numpy()).eval()

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser, stream and counters."""
        return {
            "theta": self.theta.detach().clone(), "optimizer": optimizer_state(self._optimizer),
            "choices": self._choices.get_state(), "history": list(self.history),
            "counters": [self._updates, self._evaluations, self._steps],
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="state of the evolution strategy")
        load_or_keep(self, self._take_over, state)

    def _take_over(self, state: State) -> None:
        load_optimizer_state(self._optimizer, state["optimizer"])
        self.theta.data.copy_(state["theta"])
        self._choices.set_state(state["choices"].clone())
        self.history = [float(one) for one in state["history"]]
        self._updates, self._evaluations, self._steps = (int(n) for n in state["counters"])

    def work(self) -> dict[str, int]:
        """Episodes and their steps; two episodes a pair."""
        return {"evaluations": self._evaluations, "environment_steps": self._steps}


def centred_ranks(scores: Tensor) -> Tensor:
    """-0.5 for the worst to 0.5 for the best, evenly, `[P] -> [P]`; ties in their order."""
    order = torch.tensor(ranking(scores))
    ranks = torch.empty(len(scores))
    ranks[order] = torch.linspace(0.5, -0.5, len(scores)) if len(scores) > 1 else torch.zeros(1)
    return ranks


def strategy_gradient(fitness: Tensor, epsilon: Tensor, sigma: float) -> Tensor:
    """(1 / (n sigma)) sum_i u_i eps_i, u the centred ranks of n = 2 x pairs perturbations (3.7).

    Args:
        fitness: Of +eps of all pairs, then of -eps, `[2 * pairs]`.
        epsilon: `[pairs, parameter]`.
        sigma: Their scale.

    Returns:
        `[parameter]`, the direction of ascent.
    """
    up, down = centred_ranks(fitness).chunk(2)
    return (up - down) @ epsilon / (len(fitness) * sigma)
