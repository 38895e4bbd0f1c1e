"""Training under the noise that the agent will be certified with: a linear policy by search, DQN, DDPG."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn

from livepapers.blocks import deterministic_policy_gradient, q_learning
from livepapers.blocks.deterministic_policy_gradient import DeterministicPolicyGradient
from livepapers.blocks.policies import ActionValue, BoxPolicy, QPolicy, as_space, flat_width
from livepapers.blocks.policy_door import as_policy
from livepapers.blocks.q_learning import QLearning
from livepapers.blocks.selection import Selected
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State, load_or_keep
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.policy_smoothing.config import Config
from livepapers.methods.policy_smoothing.smoothing import collect_returns
from livepapers.tasks import spaces
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.observations import NoisyObservations, StackedObservations
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import SimulatorTask

ROLE = "learner"
METRICS = ("mean_return", "elite_return", "chosen_return", "best_return", "spread")
"""Of the candidates, of the elites, of the distribution's mean on its own episodes, the best of these so far; mean
standard deviation of the weights."""

World = Simulator[Any, Any, Any]


class LinearPolicy(nn.Module):
    """The action of the largest of some affine functions of a stack of observations.

    Two actions need one function: the second is taken where it is positive.

    Args:
        observation_space: A Box, or its JSON form.
        action_space: `Discrete`, or its JSON form.
    """

    takes = "observation"

    def __init__(
        self,
        observation_space: gymnasium.Space | Mapping[str, Any],
        action_space: gymnasium.Space | Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space = as_space(observation_space), as_space(action_space)
        if not isinstance(self.action_space, Discrete) or self.action_space.n < 2:
            raise InputError.of("action space", str(self.action_space), expected="Discrete, at least two actions")
        self.arguments: dict[str, Any] = {
            "observation_space": spaces.to_json(self.observation_space),
            "action_space": spaces.to_json(self.action_space),
        }
        self.rows = 1 if self.action_space.n == 2 else int(self.action_space.n)
        self.weight = nn.Parameter(torch.zeros(self.rows, flat_width(self.observation_space)))
        self.bias = nn.Parameter(torch.zeros(self.rows))
        self._first = int(self.action_space.start)

    def values(self, observation: Tensor) -> Tensor:
        """`[batch, ...] -> [batch, actions]`."""
        scores = observation.flatten(1).to(torch.float32) @ self.weight.T + self.bias
        return torch.cat([torch.zeros_like(scores), scores], 1) if self.rows == 1 else scores

    def forward(self, observation: Tensor) -> Tensor:
        """`[batch, ...]` observations -> `[batch]` actions."""
        return self.values(observation).argmax(1) + self._first


class NoisySearch(Learner):
    """Cross-entropy search for a linear policy, each candidate judged by whole noisy episodes.

    Args:
        world: A simulator without noise and stacks; its actions are `Discrete`.
        config: Settings; `sigma` is the noise of all episodes, selection's included.
        seed: Of candidates, episodes and noise.
    """

    def __init__(self, world: World, *, config: Config, seed: int) -> None:
        if config.elites > config.candidates:
            raise InputError.of("elites", config.elites, expected=f"at most candidates, {config.candidates}")
        self.world, self.config, self._seed = world, config, seed
        self.seen = StackedObservations(NoisyObservations(world, config.sigma), config.frames)
        self._shape = LinearPolicy(self.seen.observation_space, self.seen.action_space)
        width = sum(parameter.numel() for parameter in self._shape.parameters())
        self._mean, self._spread = torch.zeros(width), torch.full((width,), config.spread)
        self._best, self._best_return = torch.zeros(width), -1e30
        self._updates = self._steps = 0

    def update(self) -> dict[str, float]:
        """Draw candidates, play them, fit the distribution to the elites, judge its mean."""
        config = self.config
        stream = make_generator(self._seed, "noisy search", "candidates", self._updates)
        drawn = self._mean + self._spread * torch.randn(config.candidates, len(self._mean), generator=stream)
        found = self._played(drawn, config.trials, "trials").mean(1)
        elites = drawn[found.argsort(descending=True, stable=True)[: config.elites]]
        extra = config.extra_spread * max(0.0, 1.0 - self._updates / max(0.5 * config.updates, 1.0))
        self._mean = elites.mean(0)
        self._spread = elites.std(0, correction=0) + extra
        chosen = float(self._played(self._mean[None], config.selection, "selection").mean())
        if chosen >= self._best_return:  # of equals the later one: it was fitted longer
            self._best, self._best_return = self._mean.clone(), chosen
        self._updates += 1
        top = float(found.topk(config.elites).values.mean())
        values = (float(found.mean()), top, chosen, self._best_return, float(self._spread.mean()))
        return dict(zip(METRICS, values, strict=True))

    def policy(self) -> LinearPolicy:
        """The best mean so far, by the selection episodes; zero before the first update."""
        made = copy.deepcopy(self._shape)
        with torch.no_grad():
            nn.utils.vector_to_parameters(self._best.clone(), made.parameters())
        return made.eval()

    def work(self) -> dict[str, int]:
        """Environment steps, those of finished lanes left out."""
        return {"environment_steps": self._steps}

    def state_dict(self) -> dict[str, Any]:
        """The distribution, the best policy and the counters; streams are derived from these."""
        return {
            "mean": self._mean.clone(), "spread": self._spread.clone(), "best": self._best.clone(),
            "best_return": self._best_return, "updates": self._updates, "steps": self._steps,
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="noisy search state")
        self._mean, self._spread = state["mean"].clone(), state["spread"].clone()
        self._best, self._best_return = state["best"].clone(), float(state["best_return"])
        self._updates, self._steps = int(state["updates"]), int(state["steps"])

    @torch.no_grad()
    def _played(self, weights: Tensor, episodes: int, name: str) -> Tensor:
        """Returns `[candidate, episode]` of one episode each, all side by side."""
        candidates, rows = len(weights), self._shape.rows
        task = SimulatorTask(self.seen, candidates * episodes)
        observation = task.reset(derive(self._seed, "noisy search", name, self._updates) >> 32)
        matrix, bias = weights[:, :-rows].reshape(candidates, rows, -1), weights[:, -rows:]
        returns = torch.zeros(task.lanes)
        going = torch.ones(task.lanes, dtype=torch.bool)
        first = int(getattr(self.seen.action_space, "start", 0))
        while bool(going.any()):
            flat = observation.reshape(candidates, episodes, -1)
            scores = torch.baddbmm(bias[:, None], flat, matrix.transpose(1, 2)).reshape(task.lanes, rows)
            action = (scores[:, 0] > 0.0).long() if rows == 1 else scores.argmax(1)
            step = task.step(action + first)
            returns += torch.where(going, step.reward, 0.0)
            self._steps += int(going.sum())
            going &= ~(step.terminated | step.truncated)
            observation = step.observation
        return returns.reshape(candidates, episodes)


def noisy_q_learning(world: World, *, config: Config, seed: int) -> tuple[Selected, int]:
    """DQN under noise, and how many updates its training has.

    Args:
        world: A simulator without noise and stacks; its actions are `Discrete`.
        config: Settings.
        seed: Of weights, episodes, noise and exploration.
    """
    task = SimulatorTask(StackedObservations(NoisyObservations(world, config.sigma), config.frames), config.q_lanes)
    policy = QPolicy(
        task.observation_space, task.action_space, hidden=(config.hidden, config.hidden),
        generator=make_generator(seed, "noisy dqn", "weights"),
    )  # fmt: skip
    steps = max(256 // config.q_lanes, 1)  # an update is the paper's 256 environment steps
    settings = q_learning.Config(
        steps=steps, updates_per_step=config.q_ratio, discount=config.q_discount,
        batch=config.q_batch, capacity=config.q_capacity,
        learning_rate=config.q_rate, target_every=config.q_target_every, double=False, explore_last=0.0,
        explore_over=max(int(config.q_explore * config.q_steps), 1), warm_up=config.q_warm_up,
    )  # fmt: skip
    learner = QLearning(task, policy, config=settings, seed=derive(seed, "noisy dqn"))
    updates = max(config.q_steps // (steps * config.q_lanes), 1)
    made = Selected(learner, _judge(world, config, derive(seed, "noisy dqn", "selection")), every=max(updates // 40, 1))
    return made, updates


class OrnsteinUhlenbeck:
    """Exploration that wanders: x <- x - 0.15 x + size n, added to the action; one process a lane."""

    THETA = 0.15

    def __init__(self, size: float) -> None:
        self.size, self.state = size, torch.zeros(0)

    def __call__(self, observation: Tensor, action: Tensor, generator: torch.Generator) -> Tensor:
        """The action with the process added, `[lane, ...]`."""
        del observation
        if self.state.shape != action.shape:
            self.state = torch.zeros_like(action)
        self.state = self.state - self.THETA * self.state
        self.state = self.state + self.size * torch.randn(action.shape, generator=generator)
        return action + self.state


class NoisyDDPG(DeterministicPolicyGradient):
    """DDPG whose exploration is part of its state, so that a resumed training is bitwise the uninterrupted one.

    Args:
        task: Where to act, its observations noisy.
        config: Settings of the block.
        hidden: Widths of actor and critic.
        exploration: Size of the Ornstein-Uhlenbeck process, in the action's units.
        seed: Of weights, episodes, exploration and batches.
    """

    def __init__(
        self,
        task: SimulatorTask[Any],
        *,
        config: deterministic_policy_gradient.Config,
        hidden: tuple[int, ...],
        exploration: float,
        seed: int,
    ) -> None:
        self.process = OrnsteinUhlenbeck(exploration)
        space = task.action_space
        assert isinstance(space, gymnasium.spaces.Box)  # the block refuses other spaces with a message
        actor = BoxPolicy(
            task.observation_space, space, hidden=hidden, generator=make_generator(seed, "noisy ddpg", "actor")
        )
        critic = ActionValue(
            task.observation_space, space, hidden=hidden, generator=make_generator(seed, "noisy ddpg", "critic")
        )
        super().__init__(task, actor, [critic], config=config, seed=seed, explore=self.process)

    def state_dict(self) -> dict[str, Any]:
        """The block's state, and where the exploration stands."""
        return {**super().state_dict(), "process": self.process.state.clone()}

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(
            state, {**self.state_dict(), "process": state.get("process", torch.zeros(0))}, what="noisy ddpg state"
        )
        load_or_keep(self, self._load, state)

    def _load(self, state: State) -> None:
        super()._load(state)
        self.process.state = state["process"].clone()


def example(config: Config, seed: int) -> NoisySearch:
    """The smallest whole problem: a cart-pole of 200 steps."""
    return NoisySearch(CartPole(200), config=config, seed=seed)


def _judge(world: World, config: Config, seed: int) -> Callable[[nn.Module, int], float]:
    """Mean return of noisy episodes, fresh ones at each judgement."""

    def judge(policy: nn.Module, time: int) -> float:
        found = collect_returns(
            as_policy(policy), world, sigma=config.sigma, episodes=config.selection, seed=derive(seed, time),
        )  # fmt: skip
        return float(found.returns.mean())

    return judge
