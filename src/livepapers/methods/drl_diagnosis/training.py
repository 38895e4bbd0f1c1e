"""Agents to diagnose: double dueling Q-learning, plain or with the state-adversarial regulariser of SA-DQN."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from livepapers.blocks import q_learning
from livepapers.blocks.deterministic_policy_gradient import follow
from livepapers.blocks.q_learning import QLearning
from livepapers.core.checkpoint import require_keys
from livepapers.core.learner import State
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.drl_diagnosis.attacks import Limits, steepest
from livepapers.methods.drl_diagnosis.config import Config
from livepapers.methods.drl_diagnosis.network import ConvQPolicy, ConvValues
from livepapers.tasks.minatar import Breakout
from livepapers.tasks.vector import BatchedTask, SimulatorTask

ROLE = "learner"
METRICS = q_learning.METRICS
"""As those of `blocks.q_learning`; `loss` includes the regulariser."""
ATTACK_STEPS = 5  # of the regime "gradient"
UPDATE_STEPS = 32  # environment steps of each lane an update


class RobustQLearning(QLearning):
    """Double dueling Q-learning whose loss also holds kappa R, equation (4), unless the regime is "plain".

    Args:
        task: Pictures in [0, 1], `[planes, height, width]`; its actions are `Discrete`.
        config: Settings.
        seed: Of weights, episodes, exploration and batches. Regimes of one seed begin with the same weights.
    """

    def __init__(self, task: BatchedTask, *, config: Config, seed: int) -> None:
        self.trained = ConvQPolicy(
            task.observation_space, task.action_space, layers=config.layers, hidden=config.hidden,
            generator=make_generator(seed, "drl-diagnosis", "weights"),
        )  # fmt: skip
        settings = q_learning.Config(
            steps=UPDATE_STEPS, updates_per_step=config.ratio, discount=config.discount, batch=config.batch,
            capacity=config.capacity, learning_rate=config.rate, target_every=config.target_every,
            explore_last=config.explore_last, explore_over=max(int(config.explore * config.steps), 1),
            warm_up=config.warm_up,
        )  # fmt: skip
        self.settings = config
        self.averaged = copy.deepcopy(self.trained).requires_grad_(False)
        super().__init__(
            task, self.trained.network, config=settings, seed=derive(seed, "drl-diagnosis", "learner"),
            penalty=None if config.regime == "plain" else self._regulariser,
        )  # fmt: skip

    def update(self) -> dict[str, float]:
        """As `QLearning.update`; then the weights that will act follow those that learn."""
        before = self._gradient_steps
        metrics = super().update()
        span = self.settings.averaged * self.settings.steps * self.settings.ratio
        rate = -math.expm1((before - self._gradient_steps) / span) if span else 1.0
        follow(self.averaged, self.trained, rate=rate)
        return metrics

    def policy(self) -> nn.Module:
        """A copy of the averaged network that takes the actions of the largest values, and can be an artifact."""
        return copy.deepcopy(self.averaged).eval()

    def state_dict(self) -> dict[str, Any]:
        """As `QLearning.state_dict`, and the averaged network."""
        return super().state_dict() | {"averaged": {n: v.clone() for n, v in self.averaged.state_dict().items()}}

    def _load(self, state: State) -> None:
        require_keys(state["averaged"], self.averaged.state_dict(), what="averaged network")
        super()._load(state)
        self.averaged.load_state_dict(state["averaged"])

    def _regulariser(self, states: Tensor, values: Tensor, done: int) -> Tensor:
        config, network = self.settings, self.trained.network
        radius = radius_at(done / config.steps, config)
        if radius == 0.0:
            return torch.zeros(())
        # rows of a batch are drawn independently, so the first ones are as good as any
        states, best = states[: config.regularised], values[: config.regularised].detach().argmax(1)
        if config.regime == "interval":
            margins = network.margins_above((states - radius).clamp(0.0, 1.0), (states + radius).clamp(0.0, 1.0), best)
        else:
            limits = Limits(math.inf)
            found = network(steepest(network, states, radius=radius, steps=ATTACK_STEPS, limits=limits))
            margins = found - found.gather(1, best[:, None])
        return config.weight * adversarial_regulariser(margins, best, cap=config.cap)


def adversarial_regulariser(margins: Tensor, best: Tensor, *, cap: float) -> Tensor:
    """R = mean over states of max(max over a != a* of Q(x', a) - Q(x', a*), -c), equation (4).

    Args:
        margins: `[B, actions]`, the largest Q(x', a) - Q(x', a*) over the ball, or a bound on it.
        best: `[B]` int64, a* at the state itself: held fixed, no gradient flows through it.
        cap: c.
    """
    others = margins.scatter(1, best[:, None], -math.inf)
    return others.amax(1).clamp(min=-cap).mean()


def certified_share(network: ConvValues, states: Tensor, *, radius: float) -> float:
    """Share of states whose best action no change within the ball can replace, by intervals."""
    with torch.no_grad():
        best = network(states).argmax(1)
        margins = network.margins_above((states - radius).clamp(0.0, 1.0), (states + radius).clamp(0.0, 1.0), best)
    others = margins.scatter(1, best[:, None], -math.inf)
    return float((others.amax(1) < 0.0).float().mean())


def radius_at(share: float, config: Config) -> float:
    """The ball's radius after a share of training: 0, then a line, then whole."""
    span = max(config.radius_until - config.radius_from, 1e-9)
    return config.radius * min(max((share - config.radius_from) / span, 0.0), 1.0)


def updates_of(config: Config) -> int:
    """How many updates the training has."""
    return max(config.steps // (UPDATE_STEPS * config.lanes), 1)


def example(config: Config, seed: int) -> RobustQLearning:
    """The smallest whole problem: Breakout of 10 x 10 pixels, with the regulariser."""
    task: SimulatorTask[Any] = SimulatorTask(Breakout(200), config.lanes)
    return RobustQLearning(task, config=config, seed=seed)
