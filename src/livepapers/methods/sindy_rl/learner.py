"""The loop: real steps make models, a policy learns inside them, and its own real steps make better ones."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from livepapers.blocks.policies import GreedyPolicy
from livepapers.blocks.policy_optimisation import METRICS as PPO_METRICS
from livepapers.blocks.policy_optimisation import PPO, PPOConfig, actor_critic
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.learner import Learner, State
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.sindy_rl.config import Config
from livepapers.methods.sindy_rl.interaction import Interaction, Memory, Transitions, interact, random_actions
from livepapers.methods.sindy_rl.library import Library
from livepapers.methods.sindy_rl.model import SparseModel, fit_sparse
from livepapers.methods.sindy_rl.regression import SparseRegression
from livepapers.methods.sindy_rl.surrogate import Dynamics, Reward, Stop, SurrogateTask, put_back
from livepapers.tasks import pendulum_swing_up
from livepapers.tasks.vector import BatchedTask, SimulatorTask

ROLE = "learner"
METRICS = (*PPO_METRICS, "real_steps", "real_return", "best_real_return", "model_error", "rollbacks")
"""PPO's own, in the surrogate, returns in the real unit; real steps so far; the real return of the latest collection
and of the best; error of the dynamics on the latest collection before it was fitted, root mean square over the spread
of changes; roll-backs."""
LARGEST_ERROR = 1e6

FitDynamics = Callable[[Transitions, torch.Generator], Dynamics]


class Known(NamedTuple):
    """What is known of the real world beside its steps; the rest is learned."""

    reward: Reward | None = None
    bounds: tuple[Tensor, Tensor] | None = None
    circles: Sequence[tuple[int, int]] = ()
    stops: Sequence[Stop] = ()


class SindyRL(Learner):
    """PPO in a surrogate that is fitted to real steps, and fitted again to those of the policy.

    Each collection is a few episodes with the mean action: data for the next model, and the real return by which the
    best policy is kept. A policy that twice in a row has lost half of what the best had gained over random actions,
    though the surrogate promises more than then, is rolled back. Rewards are scaled, so that values are of order 1.

    Args:
        real: The real world; boxes of observations and bounded actions of one axis.
        config: Settings.
        seed: Of weights, exploration, starts and bootstrap samples.
        known: Reward, bounds, circles and stops, where they are known.
        fit: Another model of the dynamics than the sparse one.
    """

    def __init__(
        self,
        real: BatchedTask,
        *,
        config: Config,
        seed: int,
        known: Known | None = None,
        fit: FitDynamics | None = None,
    ) -> None:
        self.real, self.config, self._seed, self.known = real, config, seed, known or Known()
        self.observations, self.actions = _sizes(real)
        for name in ("offline", "collect"):
            if getattr(config, name) % real.lanes:
                raise InputError.of(name, getattr(config, name), expected=f"a multiple of {real.lanes} real lanes")
        self._fit_dynamics = fit or self.sparse
        self._offline = Memory(1, config.offline, observation=self.observations, action=self.actions)
        self._online = Memory(
            config.online // config.collect, config.collect, observation=self.observations, action=self.actions
        )
        self.surrogate = SurrogateTask(
            real.observation_space, real.action_space, starts=self._starts(), circles=self.known.circles,  # type: ignore[arg-type]
            bounds=self.known.bounds or _range(torch.zeros(1, self.observations), 0.0), lanes=config.lanes,
            horizon=config.horizon, stops=self.known.stops, stored=config.stored,
        )  # fmt: skip
        self.dynamics: Dynamics | None = None
        self.reward_model: SparseModel | None = None
        agent = actor_critic(
            real.observation_space, real.action_space, hidden=config.hidden, activation="tanh",
            normalise=config.normalise, log_std=config.log_std, generator=make_generator(seed, "sindy-rl", "weights"),
        )  # fmt: skip
        settings = PPOConfig(
            steps=config.steps, epochs=config.epochs, minibatches=config.minibatches, discount=config.discount,
            trace=config.trace, clip_low=config.clip, clip_high=config.clip, learning_rate=config.learning_rate,
        )  # fmt: skip
        self.ppo = PPO(self.surrogate, agent, config=settings, seed=derive(seed, "sindy-rl"))
        self._best = _copy(agent)
        self._updates = self._collections = self._fits = self._rollbacks = self._losses = 0
        self._floor = self._real_return = self._best_return = self._error = 0.0
        self._best_promised, self._scale = 0.0, 1.0
        self._terminated = 0

    def update(self) -> dict[str, float]:
        """One update of PPO in the surrogate; before the first, random steps; when it is time, a collection."""
        if not self._updates:
            self._explore()
        metrics = self.ppo.update()
        metrics |= {name: metrics[name] / self._scale for name in ("reward", "episode_return")}
        self._updates += 1
        if self._updates % self.config.refit_every == 0:
            self._collect(metrics["reward"])
        return {
            **metrics, "real_steps": float(self.real_steps), "real_return": self._real_return,
            "best_real_return": self._best_return, "model_error": self._error, "rollbacks": float(self._rollbacks),
        }  # fmt: skip

    @property
    def real_steps(self) -> int:
        """Steps of the real world so far, all of them."""
        return self.config.offline * (self._updates > 0) + self.config.collect * self._collections

    @property
    def terminated(self) -> int:
        """How many real episodes the world ended itself."""
        return self._terminated

    @property
    def best_real_return(self) -> float:
        """The real return of the policy that is kept, in its own collection."""
        return self._best_return

    def transitions(self) -> Transitions:
        """All real steps that are kept."""
        parts = zip(self._offline.all(), self._online.all(), strict=True)
        return Transitions(*(torch.cat(part) for part in parts))

    def best_policy(self) -> GreedyPolicy:
        """The policy with the largest real return so far: observations to mean actions."""
        policy = self.policy()
        policy.load_state_dict({name: self._best[name] for name in policy.state_dict()})
        return policy.eval()

    def policy(self) -> GreedyPolicy:
        """The policy as it is now."""
        policy = self.ppo.policy()
        if not isinstance(policy, GreedyPolicy):
            raise TypeError(f"PPO's policy is a {type(policy).__name__}, expected a GreedyPolicy")
        return policy

    def sparse(self, steps: Transitions, generator: torch.Generator) -> SparseModel:
        """The paper's model of the dynamics."""
        config = self.config
        library = Library(
            self.observations, self.actions, degree=config.degree, cross=config.cross, tensor=config.tensor
        )
        regression = SparseRegression(
            config.ridge, config.threshold, models=config.models, share=config.share, scaled=config.scaled
        )
        return fit_sparse(
            steps.observation, steps.action, steps.following, library=library, regression=regression,
            increments=config.increments, generator=generator,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """PPO's state, the real steps, the best agent and the counters; models are fitted again from the steps."""
        return {
            "ppo": self.ppo.state_dict(), "best": dict(self._best), "offline": self._offline.state_dict(),
            "online": self._online.state_dict(), **{name: getattr(self, f"_{name}") for name in _COUNTERS},
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, dict.fromkeys(("ppo", "best", "offline", "online", *_COUNTERS)), what="sindy-rl state")
        require_keys(state["best"], self._best, what="best agent")
        self._offline.check(state["offline"], what="random steps")
        self._online.check(state["online"], what="collected steps")
        if int(state["updates"]) and not int(state["offline"]["added"]):
            raise CorruptFileError("sindy-rl state: updates without any real step")
        self.ppo.load_state_dict(state["ppo"])
        self._best = {name: value.clone() for name, value in state["best"].items()}
        self._offline.load_state_dict(state["offline"])
        self._online.load_state_dict(state["online"])
        for name in _COUNTERS:
            setattr(self, f"_{name}", type(getattr(self, f"_{name}"))(state[name]))
        if self._updates:
            self._fits -= 1
            self._fit()

    def work(self) -> dict[str, int]:
        """Real steps, steps in the surrogate, gradient steps, fits."""
        spent = self.ppo.work()
        return {
            "real_steps": self.real_steps, "surrogate_steps": spent["environment_steps"],
            "gradient_steps": spent["gradient_steps"], "fits": self._fits,
        }  # fmt: skip

    def _explore(self) -> None:
        act = random_actions(self.real.action_space, make_generator(self._seed, "sindy-rl", "random"))  # type: ignore[arg-type]
        found = interact(self.real, act, steps=self.config.offline, seed=self._real_seed("random"))
        self._offline.add(found.steps)
        self._floor = self._real_return = self._best_return = found.returns
        self._best_promised = float(found.steps.reward.mean())
        self._scale = (1.0 - self.config.discount) / max(float(found.steps.reward.abs().max()), 1e-9)
        self._terminated += found.terminated
        self._fit()
        self._error = self._error_on(found.steps)

    def _collect(self, promised: float) -> None:
        """Real steps of the present policy, what they say of it, and new models; `promised` by the surrogate a step."""
        seed = self._real_seed("collection", self._collections)
        found = interact(self.real, self.policy(), steps=self.config.collect, seed=seed)
        self._collections += 1
        self._terminated += found.terminated
        self._error = self._error_on(found.steps)
        self._online.add(found.steps)
        self._judge(found, promised)
        if self.config.online:
            self._fit()

    def _judge(self, found: Interaction, promised: float) -> None:
        """Keep the policy if it is the best so far; go back where much was lost though the surrogate promised more."""
        self._real_return = found.returns
        if found.returns > self._best_return or self._collections == 1:
            self._best_return, self._best_promised = found.returns, promised
            self._best, self._losses = _copy(self.ppo.agent), 0
            return
        keep = self._floor + (1.0 - self.config.rollback) * (self._best_return - self._floor)
        self._losses = self._losses + 1 if found.returns < keep and promised > self._best_promised else 0
        if self.config.rollback and self._losses >= self.config.patience:
            self.ppo.agent.load_state_dict(self._best)
            self._losses, self._rollbacks = 0, self._rollbacks + 1

    def _fit(self) -> None:
        """Models of dynamics and, unless it is known, reward, from all real steps; the surrogate goes on with them."""
        steps = self.transitions()
        stream = make_generator(self._seed, "sindy-rl", "fit", self._fits)
        self._fits += 1
        self.dynamics = self._fit_dynamics(steps, stream)
        reward = self.known.reward
        if reward is None:
            self.reward_model = self._fit_reward(steps, stream)
            reward = _of_model(self.reward_model)
        if self.known.bounds is None:
            self.surrogate.bounds = _range(torch.cat([steps.observation, steps.following]), self.config.margin)
        lost = min(0.0, float(steps.reward.min())) / (1.0 - self.config.discount)
        self.surrogate.learn(self.dynamics, reward, states=steps.following, lost=lost, scale=self._scale)

    def _fit_reward(self, steps: Transitions, stream: torch.Generator) -> SparseModel:
        config = self.config
        library = Library(
            self.observations, self.actions, degree=config.reward_degree, cross=config.cross, tensor=False,
            constant=True,
        )  # fmt: skip
        regression = SparseRegression(
            config.reward_ridge, config.reward_threshold, models=config.models, share=config.share, scaled=config.scaled
        )
        return fit_sparse(
            steps.following, steps.action, steps.reward[:, None], library=library, regression=regression,
            generator=stream,
        )  # fmt: skip

    @torch.no_grad()
    def _error_on(self, steps: Transitions) -> float:
        if self.dynamics is None:
            raise RuntimeError("there is no model yet")
        predicted = self.dynamics.predict(steps.observation, steps.action)
        predicted = put_back(predicted, self.known.circles, self.known.stops)
        size = (steps.following - steps.observation).std(0, correction=0).clamp(min=1e-9)
        error = ((predicted - steps.following) / size).square().mean().sqrt()
        return float(error.nan_to_num(LARGEST_ERROR, LARGEST_ERROR).clamp(max=LARGEST_ERROR))

    def _starts(self) -> Tensor:
        """First observations of real episodes, `[K, n]`."""
        seeds = range(-(-self.config.starts // self.real.lanes))
        return torch.cat([self.real.reset(self._real_seed("start", k)) for k in seeds])[: self.config.starts]

    def _real_seed(self, name: str, index: int = 0) -> int:
        return derive(self._seed, "sindy-rl", "real", name, index) >> 32


def example(config: Config, seed: int) -> SindyRL:
    """The smallest whole problem: a pendulum that is to be swung up, its reward learned too."""
    known = Known(circles=pendulum_swing_up.CIRCLES)
    return SindyRL(SimulatorTask(pendulum_swing_up.PendulumSwingUp(), 2), config=config, seed=seed, known=known)


_COUNTERS = (
    "updates", "collections", "fits", "rollbacks", "losses", "floor", "real_return", "best_return", "error",
    "best_promised", "scale", "terminated",
)  # fmt: skip


def _sizes(real: BatchedTask) -> tuple[int, int]:
    """(n, m) of a world that the method fits."""
    space, actions = real.observation_space, real.action_space
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise InputError.of("observations", str(space), expected="one axis of real numbers")
    if not isinstance(actions, Box) or len(actions.shape) != 1 or not actions.is_bounded("both"):
        raise InputError.of("actions", str(actions), expected="one axis of real numbers with bounds")
    return space.shape[0], actions.shape[0]


def _range(states: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """The range of states `[N, n]`, widened on both sides by `margin` times it, and by a little in any case."""
    low, high = states.amin(0), states.amax(0)
    wide = margin * (high - low) + 1e-3
    return low - wide, high + wide


def _of_model(model: SparseModel) -> Reward:
    return lambda _, action, following: model.predict(following, action)[:, 0]


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
