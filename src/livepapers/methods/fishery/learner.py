"""The learner of fishery: PPO on the ecosystem's simulator, and which of its rules is kept."""

from typing import Any

import torch
from torch import nn

from livepapers.blocks.policies import GreedyPolicy
from livepapers.blocks.policy_optimisation import METRICS as PPO_METRICS
from livepapers.blocks.policy_optimisation import PPO, PPOConfig, actor_critic
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.ecosystem import EcosystemSimulator
from livepapers.tasks.ecosystem_model import may1
from livepapers.tasks.vector import SimulatorTask

ROLE = "learner"
METRICS = (*PPO_METRICS, "dev_reward", "best_dev_reward")
"""PPO's own metrics; then the mean episode reward of the deterministic rule on the dev episodes, latest and best."""


@config_dataclass
class Config(Presets):
    """Settings of training and smoothing; the defaults are the laptop preset."""

    hidden: tuple[int, ...] = setting((64, 64), "tanh; section on methods; RLlib's default would be 256, 256")
    learning_rate: float = setting(3e-4, "Adam, falling to 0 in a line; paper: 5e-5, constant", gt=0, le=10)
    updates: int = setting(146, "PPO updates of lanes x steps; paper: 300 of 4,000 steps", ge=1)
    lanes: int = setting(64, "episodes side by side; paper: 20 environments a worker", ge=1)
    steps: int = setting(128, "steps of each lane an update", ge=1)
    epochs: int = setting(10, "passes over an update's steps; paper: 30", ge=1)
    minibatches: int = setting(8, "gradient steps an epoch; paper: of 128 steps each", ge=1)
    discount: float = setting(0.99, "training only, results are not discounted; RLlib's default", ge=0, le=1)
    trace: float = setting(0.98, "lambda of generalised advantages; paper: 1.0", ge=0, le=1)
    clip: float = setting(0.2, "of the probability ratio; paper: 0.3", gt=0, lt=1)
    log_std: float = setting(-1.0, "first log standard deviation, in half-widths of [0, 1]", ge=-5, le=2)
    dev_episodes: int = setting(128, "on which the rule that is kept is chosen; paper: none", ge=1)
    dev_every: int = setting(10, "updates between checks on the dev episodes", ge=1)
    popular: float = setting(0.7, "share of visits inside a popular window; appendix on smoothing", gt=0, le=1)
    curve_points: int = setting(51, "populations of each species along a smoothing grid", ge=2)
    other_points: int = setting(5, "values of each other species, inside its popular window", ge=1)
    fit_points: int = setting(400, "states on which the kernel is fitted; paper: all", ge=4)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if not self.hidden or not all(width >= 1 for width in self.hidden):
            raise InputError.of("hidden", self.hidden, expected="one or more widths >= 1")
        if self.steps * self.lanes % self.minibatches:
            expected = f"a divisor of steps x lanes = {self.steps} x {self.lanes}"
            raise InputError.of("minibatches", self.minibatches, expected=expected)

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(
            hidden=(16,), learning_rate=3e-3, updates=20, lanes=16, steps=16, epochs=2, minibatches=2, dev_episodes=8,
            dev_every=5, curve_points=7, other_points=2, fit_points=50,
        )  # fmt: skip

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(learning_rate=1e-3, updates=6, lanes=64, steps=64, epochs=4, minibatches=4, dev_episodes=32,
                   dev_every=2, curve_points=11, other_points=3, fit_points=100)  # fmt: skip

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default: 1.2 million steps."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published settings: 300 iterations of 4,000 steps."""
        return cls(learning_rate=5e-5, updates=300, lanes=20, steps=200, epochs=30, minibatches=32, trace=1.0, clip=0.3)


class HarvestLearner(Learner):
    """PPO with the best rule so far, judged by undiscounted reward on dev episodes.

    Args:
        simulator: The ecosystem.
        config: Settings.
        seed: Of weights, episodes, exploration and dev episodes.
    """

    def __init__(self, simulator: EcosystemSimulator, *, config: Config, seed: int) -> None:
        self.simulator, self.config = simulator, config
        agent = actor_critic(
            simulator.observation_space, simulator.action_space, hidden=config.hidden, activation="tanh",
            log_std=config.log_std, state_dependent_std=True,
            generator=make_generator(seed, "fishery", "weights"),
        )  # fmt: skip
        settings = PPOConfig(
            steps=config.steps, epochs=config.epochs, minibatches=config.minibatches, anneal=config.updates,
            learning_rate=config.learning_rate, discount=config.discount, trace=config.trace,
            clip_low=config.clip, clip_high=config.clip,
        )  # fmt: skip
        self.ppo = PPO(SimulatorTask(simulator, config.lanes), agent, config=settings, seed=derive(seed, "fishery"))
        self._dev = simulator.noise(config.dev_episodes, make_generator(seed, "fishery", "dev"))
        self._best = _weights(self._rule())
        self._dev_reward = self._best_reward = float("-inf")
        self._updates = self._checks = 0

    def update(self) -> dict[str, float]:
        """One update of PPO, and a check on the dev episodes when it is time."""
        metrics = self.ppo.update()
        self._updates += 1
        if self._updates == 1 or self._updates % self.config.dev_every == 0 or self._updates == self.config.updates:
            rule = self._rule()
            self._checks += 1
            self._dev_reward = self.simulator.run(rule, start=self._dev[0], noise=self._dev[1]).reward.mean().item()
            if self._dev_reward > self._best_reward:
                self._best_reward, self._best = self._dev_reward, _weights(rule)
        return {**metrics, **self.checked()}

    def checked(self) -> dict[str, float]:
        """The rewards on the dev episodes, latest and best."""
        return {"dev_reward": self._dev_reward, "best_dev_reward": self._best_reward}

    def best_rule(self) -> GreedyPolicy:
        """The rule that did best on the dev episodes: observations to mortalities, deterministic, within [0, 1]."""
        rule = self._rule()
        rule.load_state_dict(self._best)
        return rule.eval()

    def state_dict(self) -> dict[str, Any]:
        """PPO's state, the best rule and the counters."""
        return {
            "ppo": self.ppo.state_dict(), "best": dict(self._best), "dev_reward": self._dev_reward,
            "best_reward": self._best_reward, "updates": self._updates, "checks": self._checks,
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        parts = ("ppo", "best", "dev_reward", "best_reward", "updates", "checks")
        require_keys(state, dict.fromkeys(parts), what="fishery state")
        require_keys(state["best"], self._best, what="best rule")
        self.ppo.load_state_dict(state["ppo"])
        self._best = {name: value.clone() for name, value in state["best"].items()}
        self._dev_reward, self._best_reward = float(state["dev_reward"]), float(state["best_reward"])
        self._updates, self._checks = int(state["updates"]), int(state["checks"])

    def work(self) -> dict[str, int]:
        """PPO's steps, and at most so many steps of dev episodes."""
        return {**self.ppo.work(), "dev_steps": self._checks * self.config.dev_episodes * self.simulator.horizon}

    def _rule(self) -> GreedyPolicy:
        rule = self.ppo.policy()
        if not isinstance(rule, GreedyPolicy):
            raise TypeError(f"PPO's policy is a {type(rule).__name__}, expected a GreedyPolicy")
        return rule


def example(config: Config, seed: int) -> HarvestLearner:
    """The smallest whole problem: one species under constant grazing, close to its tipping point (model 1)."""
    return HarvestLearner(EcosystemSimulator(may1()), config=config, seed=seed)


def _weights(rule: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in rule.state_dict().items()}
