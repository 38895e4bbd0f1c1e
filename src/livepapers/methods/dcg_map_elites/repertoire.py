"""An archive as a file: everything that replays a cell, checked when it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from livepapers.core.checkpoint import load_state, save_state
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.user_code import function_given, name_given
from livepapers.methods.dcg_map_elites.archive import Archive
from livepapers.methods.dcg_map_elites.episodes import World
from livepapers.tasks import worlds
from livepapers.tasks.descriptors import Describe, Descriptor

FILE, FORMAT = "archive.safetensors", 1
FUNCTION = "descriptor-from"
"""The option, for messages."""


@dataclass(frozen=True)
class Repertoire:
    """An archive with its world and what its genomes mean."""

    world: World
    archive: Archive
    hidden: tuple[int, ...]
    offset: float
    function: str  # the name of a user's descriptor function, as typed; "" for none

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        descriptor = self.world.descriptor
        save_state(path, {
            "format": FORMAT, "world": {"name": self.world.name, "arguments": self.world.arguments},
            "descriptor": {
                "names": list(descriptor.names), "low": list(descriptor.low), "high": list(descriptor.high),
                "columns": list(descriptor.columns), "keys": list(descriptor.keys), "function": self.function,
                "statistic": descriptor.statistic, "unit": descriptor.unit,
            },
            "hidden": list(self.hidden), "offset": self.offset, "archive": self.archive.state_dict(),
        })  # fmt: skip

    def descriptor_of(self, cell: int) -> Tensor:
        """The stored descriptor of a cell's policy, `[D]`, in its own units."""
        return self.world.descriptor.restored(self.archive.descriptors[cell])


def read(folder: Path, *, function: str | Describe = "", env: str = "") -> Repertoire:
    """The archive that an earlier application left in a folder.

    Args:
        folder: Of `apply --output`.
        function: The descriptor's function, typed again where the archive was made with one: no file may name code.
        env: The archive's world, typed again where it is `module:id`, for the same reason.

    Raises:
        InputError: There is none, it does not verify, it needs the function or the world, or is of another world.
    """
    path = folder / FILE
    if not path.is_file():
        cause = "no such folder" if not folder.exists() else f"it holds no {FILE}"
        raise InputError.of("archive", folder, expected="a folder that this command wrote", cause=cause)
    try:
        state = load_state(path)
        archive, hidden = Archive.of_state(state["archive"]), tuple(int(width) for width in state["hidden"])
        told, offset, version = dict(state["descriptor"]), float(state["offset"]), int(state["format"])
        world = state["world"]
    except (CorruptFileError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError.of("archive", path, expected="an archive of this command", cause=str(error)) from None
    if version != FORMAT:
        raise InputError.of("archive", f"format {version}", expected=f"format {FORMAT}", cause="another version's")
    name, arguments = _world(world, env)
    descriptor = _descriptor(told, function)
    if len(archive.centroids[0]) != descriptor.size or not bool(torch.isfinite(archive.fitness).any()):
        raise InputError.of("archive", path, expected="policies in cells of its descriptor", cause="it was altered")
    return Repertoire(World(name, descriptor, arguments), archive, hidden, offset, str(told["function"]))


def _world(told: Any, env: str) -> tuple[str, dict[str, Any]]:
    """The archive's own world (name, arguments), which a person may have named too."""
    name, arguments = worlds.asked_for(env, told, field="archive")
    own = str(told.get("name")) if isinstance(told, Mapping) else "none"
    if name != own:
        raise InputError.of("env", env, expected=own, cause="the archive's policies were made there")
    return name, arguments


def _descriptor(told: dict[str, Any], function: str | Describe) -> Descriptor:
    needed = str(told.get("function", ""))
    if needed and not function:
        cause = "the archive was made with a function, and no file may name code"
        raise InputError.of(FUNCTION, "nothing", expected=needed, cause=cause)
    if function and not needed:
        raise InputError.of(
            FUNCTION, name_given(function, field=FUNCTION), expected="nothing",
            cause="the archive was made without one",
        )  # fmt: skip
    try:
        return Descriptor(
            tuple(told["names"]), tuple(told["low"]), tuple(told["high"]), columns=tuple(told["columns"]),
            keys=tuple(told["keys"]), function=function_given(function, field=FUNCTION) if needed else None,
            statistic=told["statistic"], unit=float(told["unit"]),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise InputError.of("archive", told, expected="a descriptor", cause=str(error)) from None
