"""Stories as temporal hypergraphs: the characters of each scene, in the order of the telling (read from HyperNetX)."""

import io
import pickle
import re
from typing import Any, NoReturn

from livepapers.core.errors import InputError
from livepapers.tasks.hypergraphs import TemporalSimplices

_CHAPTER = re.compile(r'^\s*(?:interactions = """)?\d+\.\d+\.\d+:([A-Z,;]+)"*$')


def read_scenes(data: bytes, *, where: str) -> TemporalSimplices:
    """HyperNetX's pickle of a series: (list of sets of character numbers, {number: name}, ...).

    The time of a scene is its place in the list. Scenes without a known character are left out.

    Raises:
        InputError: For a pickle that is damaged, of another form, or asks for anything but sets: no code of it runs.
    """
    try:
        scenes, names = _Sets(io.BytesIO(data)).load()[:2]
        known = [(time, [names[number] for number in scene]) for time, scene in enumerate(scenes) if scene]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError.of(where, "another form", expected="a pickle of scenes and names", cause=str(error)) from None
    return TemporalSimplices.from_lists([cast for _, cast in known], [time for time, _ in known])


def read_chapters(text: str, *, where: str) -> TemporalSimplices:
    """Lines "volume.book.chapter:AA,BB;AA,CC" of HyperNetX's module: encounters separated by `;`, one time each.

    Raises:
        InputError: When no line has that form.
    """
    found = [match.group(1) for match in map(_CHAPTER.match, text.splitlines()) if match]
    encounters = [encounter.split(",") for chapter in found for encounter in chapter.split(";")]
    if not encounters:
        raise InputError.of(where, "another form", expected="lines like 1.1.1:MY,NP;MY,MB")
    return TemporalSimplices.from_lists(encounters, range(len(encounters)))


class _Sets(pickle.Unpickler):
    """Unpickles plain containers; whatever else a pickle names is refused before it is imported."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Only `set`."""
        return set if (module_name, global_name) == ("builtins", "set") else self._refuse(module_name, global_name)

    @staticmethod
    def _refuse(module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
