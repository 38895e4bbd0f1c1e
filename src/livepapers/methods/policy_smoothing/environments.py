"""The way in for worlds: whatever a policy is certified or attacked in, as tasks that whole episodes are played in."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gymnasium import Env
from gymnasium.vector import VectorEnv

from livepapers.core.errors import InputError
from livepapers.tasks import worlds
from livepapers.tasks.observations import NoisyObservations, StackedObservations
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import BatchedTask, GymnasiumTask, SimulatorTask

Environment: TypeAlias = (
    "str | Mapping[str, Any] | Simulator[Any, Any, Any] | BatchedTask | VectorEnv | Env | Callable[[int], BatchedTask]"
)
"""A world of livepapers or a Gymnasium id (also with arguments, as `tasks.worlds` has them), a simulator, a task, a
vector environment, a single one (its episodes are played one after the other), or lanes -> task."""

LANES, ENVIRONMENTS = 10_000, 64
"""Most episodes side by side, in a simulator and in copies of a Gymnasium environment."""


@dataclass(frozen=True)
class World:
    """An environment in the form that episodes are played in."""

    make: Callable[[int], BatchedTask]
    most: int  # lanes at once
    frames: int | None  # observations that policies made for it see together; None: it does not say
    bounds: tuple[float, float] | None  # of returns
    named: bool = False  # made here by its name, so that it is closed here; others are their maker's to close

    @contextlib.contextmanager
    def opened(self, lanes: int) -> Iterator[BatchedTask]:
        """`make` for a block, behind which a named environment's copies are closed."""
        task = self.make(lanes)
        with worlds.closing(task) if self.named else contextlib.nullcontext(task):
            yield task


def world_of(env: Environment) -> World:
    """Take in an environment; a simulator that stacks its observations is unwrapped, so that noise comes before stacks.

    Raises:
        InputError: It is unknown, or adds noise itself.
    """
    if isinstance(env, str):
        return world_of(dict(zip(("name", "arguments"), worlds.named(env), strict=True)))
    if isinstance(env, Mapping):
        name, arguments = env.get("name"), env.get("arguments", {})
        if not isinstance(name, str) or not isinstance(arguments, Mapping):
            raise InputError.of("env", dict(env), expected='{"name": a world, "arguments": {...}}')
        if name in worlds.WORLDS:
            return world_of(worlds.simulator(name, arguments))
        return World(lambda lanes: worlds.make(name, arguments, lanes=lanes), ENVIRONMENTS, None, None, named=True)
    if isinstance(env, (VectorEnv, Env)):
        task = GymnasiumTask.single(env) if isinstance(env, Env) else GymnasiumTask(env)
        return World(lambda _: task, task.lanes, None, None)
    if isinstance(env, SimulatorTask):
        inside = world_of(env.simulator)
        return World(lambda _: inside.make(env.lanes), env.lanes, inside.frames, inside.bounds)
    if all(hasattr(env, name) for name in ("lanes", "reset", "step", "mask")):
        fixed: Any = env
        return World(lambda _: fixed, fixed.lanes, None, None)
    if isinstance(env, Simulator):
        return _of_simulator(env)
    if callable(env) and not inspect.isclass(env):
        return World(env, LANES, None, None)
    raise InputError.of("env", env, expected="a world, a Gymnasium id or environment, a simulator, or a task")


def _of_simulator(simulator: Simulator[Any, Any, Any]) -> World:
    frames = None
    if isinstance(simulator, StackedObservations):
        frames, simulator = simulator.frames, simulator.simulator
    if isinstance(simulator, NoisyObservations):
        cause = "the noise that a certificate rests on is added here, once; give the simulator without it"
        raise InputError.of("env", "a simulator with noise on its observations", expected="one without", cause=cause)
    bounds = getattr(simulator, "return_bounds", None)
    return World(lambda lanes: SimulatorTask(simulator, lanes), LANES, frames, bounds)
