"""The surrogate: a fitted model as a world that learners can act in, all lanes in one product of matrices."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import gymnasium
import torch
from torch import Tensor

from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator as make_generator
from livepapers.methods.sindy_rl.equations import SHORTEST
from livepapers.tasks.vector import Step

Reward = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(observation `[B, n]`, action `[B, m]`, observation the step led to `[B, n]`) -> reward `[B]`."""


class Dynamics(Protocol):
    """What stands in for the real world's step: `SparseModel`, or a rival."""

    def predict(self, state: Tensor, action: Tensor) -> Tensor:
        """`[B, n]`, `[B, m]` -> next states `[B, n]`."""
        ...

    def spread(self, state: Tensor, action: Tensor) -> Tensor:
        """How far the model's members disagree, `[B, n]`."""
        ...


def on_circles(state: Tensor, circles: Sequence[tuple[int, int]]) -> Tensor:
    """States `[..., n]` whose pairs of columns (cosine, sine) are put back to length 1."""
    if not circles:
        return state
    state = state.clone()
    for pair in circles:
        columns = list(pair)
        state[..., columns] = torch.nn.functional.normalize(state[..., columns], dim=-1, eps=SHORTEST)
    return state


class Stop(NamedTuple):
    """A mechanical stop, such as the end of a rail: no polynomial of low degree can learn one."""

    position: int  # column
    velocity: int  # column of its rate
    low: float
    high: float


def put_back(state: Tensor, circles: Sequence[tuple[int, int]], stops: Sequence[Stop]) -> Tensor:
    """The paper's call-back: predicted states `[..., n]` back onto what is known to hold of them.

    Pairs of columns go onto the unit circle; positions stay between their stops, and no velocity leads beyond.
    """
    state = on_circles(state, circles)
    if not stops:
        return state
    state = state.clone()
    for stop in stops:
        position, velocity = state[..., stop.position], state[..., stop.velocity]
        outward = ((position > stop.high) & (velocity > 0)) | ((position < stop.low) & (velocity < 0))
        state[..., stop.velocity] = torch.where(outward, 0.0, velocity)
        state[..., stop.position] = position.clamp(stop.low, stop.high)
    return state


class SurrogateTask:
    """A batched task whose step is a model's. `learn` hands it a model; without one it can only be reset.

    Episodes start as real ones do, a share of them from stored states instead, and end after `horizon` steps
    (truncated) or beyond the bounds (terminated: the model has diverged). What lies beyond is worth `lost`, so that
    leaving never pays.

    Args:
        observation_space: Of one lane.
        action_space: Of one lane.
        starts: `[K, n]`, first observations of real episodes.
        bounds: Lowest and highest observation, `[n]` each.
        circles: Pairs of columns that are a cosine and its sine.
        stops: Positions that cannot go further, with their velocities.
        lanes: B.
        horizon: Steps an episode.
        stored: Share of the episodes that start from a stored state.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space,
        action_space: gymnasium.Space,
        *,
        starts: Tensor,
        bounds: tuple[Tensor, Tensor],
        circles: Sequence[tuple[int, int]],
        lanes: int,
        horizon: int,
        stops: Sequence[Stop] = (),
        stored: float = 0.0,
    ) -> None:
        self.observation_space: gymnasium.Space = observation_space
        self.action_space: gymnasium.Space = action_space
        self.starts, self.bounds = starts.float(), bounds
        self.circles, self.stops = tuple(circles), tuple(stops)
        self.lanes, self.horizon, self.stored = lanes, horizon, stored
        self._pool, self._lost, self._scale = self.starts, 0.0, 1.0
        self._model: Dynamics | None = None
        self._reward: Reward | None = None
        self._stream = make_generator(0, "surrogate")
        self._state = torch.zeros(lanes, self.starts.shape[1])
        self._elapsed = torch.zeros(lanes, dtype=torch.int64)

    def learn(self, model: Dynamics, reward: Reward, *, states: Tensor, lost: float, scale: float = 1.0) -> None:
        """Go on with another model; episodes under way stay where they are.

        Args:
            model: The dynamics.
            reward: Of a step.
            states: `[N, n]`, stored states.
            lost: What leaving the bounds costs more, in the reward's unit.
            scale: Rewards that learners see are times this.
        """
        self._model, self._reward, self._pool, self._lost, self._scale = model, reward, states, lost, scale

    def reset(self, seed: int) -> Tensor:
        """Start all lanes."""
        self._stream = make_generator(seed, "surrogate")
        self._state = self._fresh()
        # lanes end at different times, so that later updates see all phases of an episode at once
        self._elapsed = torch.randint(self.horizon, (self.lanes,), generator=self._stream)
        return self._state

    @torch.no_grad()
    def step(self, action: Tensor) -> Step:
        """One step of all lanes; those that ended have restarted."""
        if self._model is None or self._reward is None:
            raise InputError.of("step", "a surrogate without a model", expected="a call of learn first")
        low, high = self.bounds
        reached = put_back(self._model.predict(self._state, action), self.circles, self.stops)
        terminated = ~((reached >= low) & (reached <= high)).all(1)  # what is not a number is beyond, too
        final = torch.minimum(torch.maximum(reached.nan_to_num(0.0), low), high)
        reward = self._reward(self._state, action, final)
        reward = self._scale * torch.where(terminated, reward + self._lost, reward)
        self._elapsed = self._elapsed + 1
        truncated = (self._elapsed >= self.horizon) & ~terminated
        ended = terminated | truncated
        self._state = final
        if bool(ended.any()):
            self._state = torch.where(ended[:, None], self._fresh(), final)
            self._elapsed = torch.where(ended, 0, self._elapsed)
        return Step(self._state, reward, terminated, truncated, final)

    def like(self, lanes: int) -> "SurrogateTask":
        """Another surrogate of the same model, not yet reset, whose episodes all begin as real ones do."""
        made = SurrogateTask(
            self.observation_space, self.action_space, starts=self.starts, bounds=self.bounds, circles=self.circles,
            stops=self.stops, lanes=lanes, horizon=self.horizon,
        )  # fmt: skip
        for name in ("_model", "_reward", "_pool", "_lost", "_scale"):
            setattr(made, name, getattr(self, name))
        return made

    def mask(self) -> None:
        """None: actions are real."""
        return

    def state_dict(self) -> dict[str, Any]:
        """Where the lanes stand; not the model, which its owner fits again."""
        return {"state": self._state, "elapsed": self._elapsed, "stream": self._stream.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="surrogate state")
        if state["state"].shape != self._state.shape:
            raise CorruptFileError(f"surrogate state: {list(state['state'].shape)}, expected {list(self._state.shape)}")
        self._state, self._elapsed = state["state"].clone(), state["elapsed"].clone()
        self._stream.set_state(state["stream"].clone())

    def _fresh(self) -> Tensor:
        rows = torch.randint(2**40, (2, self.lanes), generator=self._stream)
        fresh = self.starts[rows[0] % len(self.starts)]
        if not self.stored:
            return fresh
        other = torch.rand(self.lanes, 1, generator=self._stream) < self.stored
        return torch.where(other, self._pool[rows[1] % len(self._pool)], fresh)


@torch.no_grad()
def imagine(
    model: Dynamics,
    start: Tensor,
    actions: Tensor,
    *,
    circles: Sequence[tuple[int, int]] = (),
    bounds: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Roll a model out under given actions.

    Args:
        model: The dynamics.
        start: `[B, n]`.
        actions: `[T, B, m]`.
        circles: Pairs of columns that are a cosine and its sine.
        bounds: Where given, lanes that leave them hold NaN from then on.

    Returns:
        `[T, B, n]`, the states after each action.
    """
    state, found = start, []
    for action in actions:
        state = on_circles(model.predict(state, action), circles)
        if bounds is not None:
            inside = ((state >= bounds[0]) & (state <= bounds[1])).all(1, keepdim=True)
            state = torch.where(inside, state, torch.nan)
        found.append(state)
    return torch.stack(found)
