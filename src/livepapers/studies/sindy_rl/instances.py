"""The learners of the sindy-rl study's arms, and the trial that tests them on the way."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from livepapers.baselines.neural_dynamics import NeuralEnsemble, fit_neural
from livepapers.blocks.policy_optimisation import PPO, PPOConfig, actor_critic
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import replace
from livepapers.core.learner import Learner, State
from livepapers.core.rng import derive, generator
from livepapers.methods.sindy_rl import Config, FitDynamics, Known, SindyRL, Stop, Transitions, interact
from livepapers.studies.sindy_rl.design import TARGET
from livepapers.tasks import pendulum_swing_up, swing_up
from livepapers.tasks.vector import BatchedTask, SimulatorTask, Step

PPO_LANES, PPO_STEPS = 32, 64
PPO_EPOCHS, PPO_MINIBATCHES, PPO_RATE = 10, 8, 3e-4
"""Of PPO in the real world: the best of what was tried, see `DEVIATIONS`."""
SCALE = 0.01 / 0.3
"""Of rewards in the real world, see `DEVIATIONS`; the surrogate measures its own."""
NEURAL_EPOCHS = {"smoke": 2, "laptop": 50, "paper": 50}
TEST_EPISODES = 20


class ScaledRewards:
    """A simulator's task whose rewards are times `SCALE`."""

    def __init__(self, task: SimulatorTask[Any]) -> None:
        self._task = task
        self.lanes = task.lanes
        self.observation_space, self.action_space = task.observation_space, task.action_space

    def reset(self, seed: int) -> Tensor:
        """Start all lanes."""
        return self._task.reset(seed)

    def step(self, action: Tensor) -> Step:
        """One step of all lanes."""
        step = self._task.step(action)
        return step._replace(reward=SCALE * step.reward)

    def mask(self) -> Tensor | None:
        """The task's own."""
        return self._task.mask()

    def state_dict(self) -> dict[str, Any]:
        """Where the lanes stand."""
        return self._task.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put the lanes where they stood."""
        self._task.load_state_dict(state)


def pendulum_config(preset: str) -> Config:
    """Settings of the pendulum: as its episodes start anywhere, one collection says little, and none rolls back."""
    config = Config(
        offline=2000, collect=200, online=2000, refit_every=4, horizon=200, updates=40, lanes=32, steps=64, epochs=10,
        minibatches=8, learning_rate=1e-3, discount=0.95, hidden=(32, 32), stored=0.5, rollback=0.0,
    )  # fmt: skip
    return replace(config, offline=400, online=400, updates=4, epochs=2) if preset == "smoke" else config


def swing_up_learner(arm: str, *, preset: str, seed: int) -> SindyRL:
    """The loop in the surrogate of an arm: sindy, linear or neural."""
    config = Config.preset(preset)
    fit: FitDynamics | None = None
    if arm == "linear":
        config = replace(config, degree=1, tensor=False, ridge=0.0, threshold=0.0)
    if arm == "neural":
        config = replace(config, online=config.collect * (config.updates // config.refit_every))
        epochs = NEURAL_EPOCHS[preset]

        def networks(steps: Transitions, stream: torch.Generator) -> NeuralEnsemble:
            return fit_neural(steps.observation, steps.action, steps.following, generator=stream, epochs=epochs)

        fit = networks

    low, high = (torch.tensor(bound) for bound in swing_up.BOUNDS)
    # column 0 is the cart's position, column 3 its velocity
    stops = (Stop(0, 3, -swing_up.RAIL, swing_up.RAIL),)
    known = Known(swing_up.reward, (low, high), swing_up.CIRCLES, stops)
    return SindyRL(SimulatorTask(swing_up.SwingUp(), 1), config=config, seed=seed, known=known, fit=fit)


def pendulum_learner(arm: str, *, preset: str, seed: int) -> SindyRL:
    """The loop in the pendulum, its reward learned (sindy) or known."""
    known = Known(pendulum_swing_up.reward if arm == "known reward" else None, circles=pendulum_swing_up.CIRCLES)
    real = SimulatorTask(pendulum_swing_up.PendulumSwingUp(), 1)
    return SindyRL(real, config=pendulum_config(preset), seed=seed, known=known)


def real_ppo(*, preset: str, seed: int) -> PPO:
    """PPO in the real swing-up: the surrogate's network and clipping; lanes and gradient steps that suit few steps."""
    config = Config.preset(preset)
    task = ScaledRewards(SimulatorTask(swing_up.SwingUp(), PPO_LANES))
    agent = actor_critic(
        task.observation_space, task.action_space, hidden=config.hidden, activation="tanh",
        normalise=config.normalise, log_std=config.log_std, generator=generator(seed, "sindy-rl", "weights"),
    )  # fmt: skip
    settings = PPOConfig(
        steps=PPO_STEPS, epochs=PPO_EPOCHS, minibatches=PPO_MINIBATCHES, discount=config.discount, trace=config.trace,
        clip_low=config.clip, clip_high=config.clip, learning_rate=PPO_RATE,
    )  # fmt: skip
    return PPO(task, agent, config=settings, seed=derive(seed, "sindy-rl"))


class Trial(Learner):
    """A learner whose policy is tested on the way, and how many real steps it took to `TARGET`.

    Args:
        learner: The learner.
        policy: Its policy to be tested.
        steps: Real steps so far.
        due: From the number of updates and the latest test's mark to a new mark when it is time, else None.
        world: Makes so many lanes of the real world.
        seed: Of the test episodes.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        policy: Callable[[], nn.Module],
        steps: Callable[[], int],
        due: Callable[[int, float], float | None],
        world: Callable[[int], BatchedTask],
        seed: int,
    ) -> None:
        self.learner, self._policy, self._steps, self._due = learner, policy, steps, due
        self._world, self._seed = world, seed
        self.tested = self.best = 0.0
        self.reached, self.tests, self._updates, self._mark = -1, 0, 0, float("-inf")

    def update(self) -> dict[str, float]:
        """One update, and a test when it is due."""
        metrics = self.learner.update()
        self._updates += 1
        mark = self._due(self._updates, self._mark)
        if mark is not None:
            self._mark, self.tests = mark, self.tests + 1
            self.tested = mean_return(self._policy(), self._world, seed=self._seed)
            self.best = max(self.best, self.tested) if self.tests > 1 else self.tested
            if self.reached < 0 and self.tested >= TARGET:
                self.reached = self._steps()
        return {**metrics, "tested": self.tested, "reached": float(self.reached)}

    def state_dict(self) -> dict[str, Any]:
        """The learner's state, and what the tests said."""
        return {
            "learner": self.learner.state_dict(), "tested": self.tested, "best": self.best, "reached": self.reached,
            "tests": self.tests, "updates": self._updates, "mark": self._mark,
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        names = ("learner", "tested", "best", "reached", "tests", "updates", "mark")
        require_keys(state, dict.fromkeys(names), what="trial")
        self.learner.load_state_dict(state["learner"])
        self.tested, self.best, self._mark = float(state["tested"]), float(state["best"]), float(state["mark"])
        self.reached, self.tests, self._updates = int(state["reached"]), int(state["tests"]), int(state["updates"])

    def work(self) -> dict[str, int]:
        """The learner's work, and the number of tests."""
        return {**self.learner.work(), "tests": self.tests}


def mean_return(policy: nn.Module, world: Callable[[int], BatchedTask], *, seed: int) -> float:
    """Mean return of the test episodes."""
    return tested(policy, world, seed=seed)[0]


def tested(policy: nn.Module, world: Callable[[int], BatchedTask], *, seed: int) -> tuple[float, Transitions]:
    """Mean return of the test episodes, and their steps, those of one time side by side."""
    task = world(TEST_EPISODES)
    horizon = task.simulator.horizon if isinstance(task, SimulatorTask) else 1000
    found = interact(task, policy, steps=TEST_EPISODES * horizon, seed=seed)
    return found.returns, found.steps
