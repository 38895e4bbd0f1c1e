"""Worlds by name, so that a policy artifact can say what it was made for and be put back there.

A world is `{"name": ..., "arguments": {JSON}}`: a registered simulator, or `gymnasium:<id>`. A registered name stands
for a module and a callable in it, imported when it is asked for; a file can name nothing else.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from livepapers.core.errors import InputError
from livepapers.tasks.vector import BatchedTask, GymnasiumTask, SimulatorTask

WORLDS = {
    "cart-pole": "livepapers.tasks.cart_pole:CartPole",
    "clipped-pendulum": "livepapers.tasks.pendulum:ClippedPendulum",
    "reactor": "livepapers.tasks.reactor:Reactor",
}
"""Name -> module:callable, which takes the arguments by keyword and gives a `Simulator`."""

GYMNASIUM = "gymnasium:"


def make(name: str, arguments: Mapping[str, Any], *, lanes: int = 1) -> BatchedTask:
    """The world called `name` as a batched task: a `SimulatorTask` (its `.simulator` is the world), or Gymnasium's.

    Raises:
        InputError: There is no such world, or it refuses the arguments.
    """
    if name.startswith(GYMNASIUM):
        return GymnasiumTask.make(name.removeprefix(GYMNASIUM), lanes, **arguments)
    if name not in WORLDS:
        raise InputError.of("world", name, expected=f"one of {', '.join(WORLDS)}, or {GYMNASIUM}<id>")
    module, _, attribute = WORLDS[name].partition(":")
    try:
        return SimulatorTask(getattr(importlib.import_module(module), attribute)(**arguments), lanes)
    except TypeError as error:
        raise InputError.of(f"world {name}", dict(arguments), expected="its arguments", cause=str(error)) from None
