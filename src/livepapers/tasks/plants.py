"""What controlled plants share: deterministic steps of a nonlinear process, and their linear models.

A plant is a `Simulator` in which nothing is random but the start. Importing this module registers the plants with
Gymnasium, so `gymnasium.make("livepapers.tasks.plants:livepapers/Reactor-v0")` works anywhere.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from livepapers.tasks import worlds
from livepapers.tasks.vector import SimulatorEnv

Derivative = Callable[[Tensor, Tensor], Tensor]
"""Right-hand side of ds/dt = f(s, u): `[batch, n]`, `[batch, m]` -> `[batch, n]`."""


class PlantState(NamedTuple):
    """B plants."""

    values: Tensor  # [B, n]


class PlantPost(NamedTuple):
    """Where a step has led."""

    values: Tensor  # [B, n]


class Plant:
    """A deterministic plant; subclasses give the numbers, `advance`, `running_cost`, and `initial`.

    Reward = -(cost of the present state and input), and -`violation_cost` more when the step breaks the safety limit,
    which ends the episode.

    Args:
        dtype: Float type of states; float64 for comparisons.
    """

    horizon: int
    violation_cost = 0.0
    observation_space: gymnasium.spaces.Box
    action_space: gymnasium.spaces.Box

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype

    def initial(self, batch: int, generator: torch.Generator) -> PlantState:
        """Random starts."""
        raise NotImplementedError

    def test_starts(self) -> PlantState:
        """The ten fixed starts on which controllers are compared."""
        raise NotImplementedError

    def advance(self, values: Tensor, action: Tensor) -> Tensor:
        """The state one step later, `[B, n]`, under an input already clipped."""
        raise NotImplementedError

    def running_cost(self, values: Tensor, action: Tensor) -> Tensor:
        """The cost of a state and a clipped input, `[B]`."""
        raise NotImplementedError

    def violated(self, values: Tensor) -> Tensor:
        """Whether the safety limit is broken, `[B]` bool; no limit by default."""
        return torch.zeros(values.shape[0], dtype=torch.bool)

    def observe(self, state: PlantState) -> Tensor:
        """What a controller sees, `[B, n]`."""
        return state.values

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - the contract's signature
        """Nothing is random in a step, `[B, 0]`."""
        return torch.zeros(batch, 0)

    def mask(self, state: PlantState) -> None:  # noqa: ARG002 - the contract's signature
        """None: inputs are real numbers."""
        return

    def clip(self, action: Tensor) -> Tensor:
        """The input the actuator can give."""
        low, high = (
            torch.as_tensor(side, dtype=self.dtype) for side in (self.action_space.low, self.action_space.high)
        )
        return torch.clamp(action.to(self.dtype), low, high)

    def decide(self, state: PlantState, action: Tensor) -> tuple[PlantPost, Tensor]:
        """Apply an input `[B, m]` for one step: (where it leads, minus the running cost)."""
        applied = self.clip(action)
        return PlantPost(self.advance(state.values, applied)), -self.running_cost(state.values, applied)

    def resolve(self, post: PlantPost, noise: Tensor) -> tuple[PlantState, Tensor, Tensor]:  # noqa: ARG002
        """(state, minus the cost of a violation, whether there is one)."""
        broken = self.violated(post.values)
        return PlantState(post.values), -self.violation_cost * broken.to(self.dtype), broken


class Episodes(NamedTuple):
    """What a controller did from B starts."""

    cost: Tensor  # [B] float64, summed over the episode, the cost of a violation included
    violated: Tensor  # [B] bool
    states: Tensor  # [B, T + 1, n] observations; frozen after a violation
    actions: Tensor  # [B, T, m]


@torch.no_grad()
def run(plant: Plant, controller: Callable[[Tensor], Tensor], start: PlantState) -> Episodes:
    """One episode from each start, until the horizon or a violation.

    Args:
        plant: The plant.
        controller: Inputs `[B, m]` for observations `[B, n]`.
        start: B starts.
    """
    state, batch = start, start.values.shape[0]
    cost, done = torch.zeros(batch, dtype=torch.float64), torch.zeros(batch, dtype=torch.bool)
    noise, states, actions = torch.zeros(batch, 0), [plant.observe(start)], []
    for _ in range(plant.horizon):
        action = controller(plant.observe(state))
        post, decided = plant.decide(state, action)
        following, resolved, broken = plant.resolve(post, noise)
        cost -= torch.where(done, 0.0, (decided + resolved).double())
        state = PlantState(torch.where(done.unsqueeze(1), state.values, following.values))
        done = done | broken
        states.append(plant.observe(state))
        actions.append(action)
    return Episodes(cost, done, torch.stack(states, 1), torch.stack(actions, 1))


def linearise(
    derivative: Derivative, state: np.ndarray, action: np.ndarray, *, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """The discrete linear model around an operating point, by automatic differentiation and zero-order hold.

    Args:
        derivative: f in ds/dt = f(s, u).
        state: `[n]`.
        action: `[m]`.
        step: Sampling time.

    Returns:
        A `[n, n]` and B `[n, m]` of the deviations.
    """
    point = (torch.tensor(state, dtype=torch.float64), torch.tensor(action, dtype=torch.float64))

    def one(s: Tensor, u: Tensor) -> Tensor:
        return derivative(s[None], u[None])[0]

    slopes = torch.func.jacrev(one, argnums=(0, 1))(*point)
    states, inputs = len(state), len(action)
    block = np.zeros((states + inputs, states + inputs))
    block[:states, :states], block[:states, states:] = (slope.numpy() for slope in slopes)
    held = scipy.linalg.expm(step * block)
    return held[:states, :states], held[:states, states:]


ENVIRONMENTS = {"livepapers/Reactor-v0": "reactor", "livepapers/ClippedPendulum-v0": "clipped-pendulum"}
"""Gymnasium id -> the name in `tasks.worlds`."""


def register() -> None:
    """Tell Gymnasium about the plants, once; their episodes end by their own horizon."""
    for name, world in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, f"{__name__}:make_env", kwargs={"world": world})


def make_env(world: str) -> gymnasium.Env:
    """A registered world as a Gymnasium environment."""
    task: Any = worlds.make(world, {})
    return SimulatorEnv(task.simulator)


register()
