"""Worlds by name, so that a policy artifact can say what it was made for and be put back there.

A world is `{"name": ..., "arguments": {JSON}}`: a registered simulator, `gymnasium:<id>` or `atari:<game>`. A
registered name stands for a module and a callable in it, imported when it is asked for; a file can name nothing else:
what it says goes through `of_file` before `make`, which also takes ids that a person typed with a module of their own.
"""

import ast
import contextlib
import difflib
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import gymnasium
import torch

from livepapers.core.errors import InputError
from livepapers.core.user_code import digest_of_file
from livepapers.tasks.atari import AtariTask
from livepapers.tasks.demand import Panel
from livepapers.tasks.inventory import InventoryNetwork, InventorySimulator
from livepapers.tasks.observations import StackedObservations
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import BatchedTask, GymnasiumTask, SimulatorTask

WORLDS = {
    "cart-pole": "livepapers.tasks.cart_pole:CartPole",
    "ecosystem": "livepapers.tasks.ecosystem:fished_ecosystem",
    "inventory": "livepapers.tasks.worlds:recorded_inventory",
    "clipped-pendulum": "livepapers.tasks.pendulum:ClippedPendulum",
    "reactor": "livepapers.tasks.reactor:Reactor",
    "lot-sizing": "livepapers.tasks.lot_sizing:described",
    "ride-pooling": "livepapers.tasks.ride_pooling:described",
    "pendulum-swing-up": "livepapers.tasks.pendulum_swing_up:PendulumSwingUp",
    "cart-pole-swing-up": "livepapers.tasks.swing_up:SwingUp",
    "slippery-lake": "livepapers.tasks.slippery_lake:SlipperyLake",
    "mountain-car": "livepapers.tasks.mountain_car:MountainCar",
    "hard-maze": "livepapers.tasks.hard_maze:HardMaze",
    "point-omni": "livepapers.tasks.point_omni:PointOmni",
    "swimmer-omni": "livepapers.tasks.swimmer_omni:SwimmerOmni",
    "minatar-breakout": "livepapers.tasks.minatar:Breakout",
    "minatar-freeway": "livepapers.tasks.minatar:Freeway",
    "minatar-space-invaders": "livepapers.tasks.minatar:SpaceInvaders",
    "stacked": "livepapers.tasks.worlds:stacked_world",
}
"""Name -> module:callable, which takes the arguments by keyword and gives a `Simulator`."""

GYMNASIUM, ATARI = "gymnasium:", "atari:"

_PLAIN = '[]{}":, '
"""What needs no escape in an argument that is typed."""

_NOT_ARGUMENTS = {
    "cls", "env_id", "id", "lanes", "num_envs", "vector_kwargs", "vectorization_mode", "wrappers",
}  # fmt: skip
"""Names that `GymnasiumTask.make` and Gymnasium's `make_vec` have themselves; an `env_id` would also tell Gymnasium's
adapters what else to import."""


def named(env: str) -> tuple[str, dict[str, Any]]:
    """The world that a person names, as (name, arguments) for `make`; a bare id is Gymnasium's.

    Arguments follow a question mark, as in an address: `FrozenLake-v1?is_slippery=false&map_name=8x8`. Values are read
    as JSON or as Python writes them, and what is neither is text; %26 is a & in one.

    Raises:
        InputError: It is no text, an argument has no name or no value, or two of them have one name.
    """
    if not isinstance(env, str):
        raise InputError.of("env", env, expected="a name: of a world of livepapers, or a Gymnasium id")
    bare, _, query = env.partition("?")
    name = bare if bare in WORLDS or bare.startswith((GYMNASIUM, ATARI)) else GYMNASIUM + bare
    arguments: dict[str, Any] = {}
    for part in query.split("&") if query else []:
        key, equals, value = part.partition("=")
        if not key.isidentifier() or not equals or key in arguments:
            expected = "name=value, names once each, & between them"
            raise InputError.of("env", f"{env}: argument {part or 'nothing'}", expected=expected)
        arguments[key] = _value(value)
    return name, arguments


def label(name: str, arguments: Mapping[str, Any]) -> str:
    """A world's name for readers, with its arguments if none is a table: then it can be typed like this."""
    plain = all(isinstance(value, (str, int, float)) for value in arguments.values())
    return name + typed("", arguments if plain else {})


def names_module(name: str) -> bool:
    """Whether a world's name asks for a module to be imported: a person may say so, a file may not."""
    return name.count(":") > 1


def digest_of_code(name: str) -> str:
    """Of the file of the module that a world's name asks for, "" for others: a world of one's own is not its name."""
    return digest_of_file(name.removeprefix(GYMNASIUM))


def typed(name: str, arguments: Mapping[str, Any]) -> str:
    """What one types to name a world: the inverse of `named`."""
    query = "&".join(f"{key}={quote(json.dumps(value), safe=_PLAIN)}" for key, value in arguments.items())
    return name.removeprefix(GYMNASIUM) + (f"?{query}" if query else "")


def _value(quoted: str) -> Any:
    text = unquote(quoted)
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            value = read(text)
            json.dumps(value)  # files tell of worlds: what they cannot hold is text
            return value
    return text


def of_file(world: Any, *, field: str, option: str = "") -> tuple[str, dict[str, Any]]:
    """The world that a file tells of, as (name, arguments) for `make`.

    An id with a module is refused: to open somebody's file would be to run somebody's code.

    Args:
        world: What the file says, of whatever kind.
        field: What the file is called in messages.
        option: By which a person may name the world instead; "" where there is none.

    Raises:
        InputError: It is no world, or its name asks for a module.
    """
    told: Mapping[str, Any] = world if isinstance(world, Mapping) else {}
    name, arguments = str(told.get("name")), told.get("arguments", {})
    if name not in WORLDS and not name.startswith((GYMNASIUM, ATARI)):
        raise InputError.of(field, f"the world {name}", expected=_any_world())
    if names_module(name):
        cause = "a file may not name a module to import" + (f"; say {option} if you trust it" if option else "")
        raise InputError.of(field, f"the world {name}", expected="a world without a module", cause=cause)
    if not isinstance(arguments, Mapping) or not all(isinstance(key, str) for key in arguments):
        raise InputError.of(field, arguments, expected=f"arguments of the world {name} by their names")
    return name, dict(arguments)


def asked_for(env: str | None, told: Any, *, field: str) -> tuple[str, dict[str, Any]]:
    """The world (name, arguments) that a person names with --env, or else the one that a policy's file tells of.

    Who asks for the policy's own world by its name gets it as it was, with its arguments but those that are named.

    Args:
        env: As it was typed; None or empty: nothing was.
        told: What the file says, None where it says nothing.
        field: What the file is called in messages.

    Raises:
        InputError: Neither names a world, or see `of_file`.
    """
    if env:
        name, arguments = named(env)
        own = told.get("arguments") if isinstance(told, Mapping) and told.get("name") == name else None
        return name, {**own, **arguments} if isinstance(own, Mapping) else arguments
    if told is None:
        cause = "the policy does not say what it was made for; name a world with --env"
        raise InputError.of("env", "nothing", expected="a world or a Gymnasium id", cause=cause)
    return of_file(told, field=field, option="--env")


def _any_world() -> str:
    return f"one of {', '.join(WORLDS)}, {GYMNASIUM}<id> or {ATARI}<game>"


def make(name: str, arguments: Mapping[str, Any], *, lanes: int = 1) -> BatchedTask:
    """The world called `name` as a batched task: a `SimulatorTask` (its `.simulator` is the world), or Gymnasium's.

    Raises:
        InputError: There is no such world, or it refuses the arguments.
    """
    if name.startswith(GYMNASIUM):
        if taken := _NOT_ARGUMENTS & set(arguments):
            raise InputError.of(f"world {name}", ", ".join(sorted(taken)), expected="arguments of the environment")
        return _gymnasium(name.removeprefix(GYMNASIUM), arguments, lanes=lanes)
    if name.startswith(ATARI):
        if arguments:
            raise InputError.of("world", dict(arguments), expected=f"no arguments of {name}")
        return AtariTask(name.removeprefix(ATARI), lanes)
    if name not in WORLDS:
        raise InputError.of("world", name, expected=_any_world())
    return SimulatorTask(simulator(name, arguments), lanes)


def _gymnasium(env_id: str, arguments: Mapping[str, Any], *, lanes: int) -> GymnasiumTask:
    """Gymnasium's environment; who may have meant a world of livepapers is told its name."""
    try:
        return GymnasiumTask.make(env_id, lanes, **arguments)
    except InputError as error:
        near = difflib.get_close_matches(env_id.lower(), WORLDS, n=1)
        if not near or env_id in gymnasium.registry or ":" in env_id:
            raise
        made = InputError(f"{error}; or is {near[0]}, a world of livepapers, meant?")
        made.field = error.field
        raise made from None


@contextlib.contextmanager
def opened(name: str, arguments: Mapping[str, Any], *, lanes: int = 1) -> Iterator[BatchedTask]:
    """`make` for a block, behind which the copies of an environment are closed."""
    with closing(make(name, arguments, lanes=lanes)) as task:
        yield task


@contextlib.contextmanager
def closing(task: BatchedTask) -> Iterator[BatchedTask]:
    """The task for a block, behind which the copies of an environment are closed."""
    try:
        yield task
    finally:
        if isinstance(task, (GymnasiumTask, AtariTask)):
            task.close()


def simulator(name: str, arguments: Mapping[str, Any]) -> Simulator[Any, Any, Any]:
    """The registered simulator called `name`.

    Raises:
        InputError: There is no such simulator, or it refuses the arguments.
    """
    if name not in WORLDS:
        raise InputError.of("world", name, expected=f"one of {', '.join(WORLDS)}")
    module, _, attribute = WORLDS[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)(**arguments)
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, RuntimeError) as error:  # the arguments may come from anybody's file
        if not arguments:
            expected, cause = "a world that is whole without arguments", "this one comes with a policy's artifact only"
            raise InputError.of("world", name, expected=expected, cause=cause) from None
        raise InputError.of(f"world {name}", dict(arguments), expected="its arguments", cause=str(error)) from None


def stacked_world(*, world: str, arguments: Mapping[str, Any], frames: int) -> StackedObservations:
    """A registered simulator whose policies see the last observations together.

    Args:
        world: The name of the simulator.
        arguments: Of that simulator.
        frames: Observations seen together.
    """
    if world == "stacked":
        raise InputError.of("world", world, expected="a simulator that is not stacked yet")
    return StackedObservations(simulator(world, arguments), frames)


def recorded_inventory(
    *, network: Mapping[str, Any], demand: Sequence[Sequence[float]], first: int, horizon: int, history: int, known: int
) -> InventorySimulator:
    """An inventory network under recorded demand: windows of the record from period `first` on.

    Args:
        network: `InventoryNetwork.to_json()`.
        demand: `[store][period]`.
        first: Windows start here or later, their history included.
        horizon: Periods an episode.
        history: Past demands that a state carries.
        known: Periods from which the mean demand may be taken.
    """
    record = Panel(torch.tensor(demand, dtype=torch.float32)[None], known=known)
    inside = record.between(first, record.last)
    return InventorySimulator(InventoryNetwork.from_json(dict(network)), inside, horizon=horizon, history=history)
