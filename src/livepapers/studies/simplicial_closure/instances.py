"""The data sets of the simplicial-closure study and how they reach the cells."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from livepapers.tasks.data import read_source
from livepapers.tasks.hypergraphs import TemporalSimplices, read_contacts
from livepapers.tasks.stories import read_chapters, read_scenes


@dataclass(frozen=True)
class DataSet:
    """What the study does with a data set; its file is the source of the same name."""

    name: str
    ranks: bool = True  # enough open triangles close to rank scores
    simplicial: bool = True  # few enough edges for a dense edges x edges matrix


DATA_SETS = (
    DataSet("primary-school"),
    DataSet("high-school-2012"),
    DataSet("high-school-2013"),
    DataSet("hospital"),
    DataSet("workplace", ranks=False),
    DataSet("winter-symposium", simplicial=False),
    DataSet("social-science-conference", simplicial=False),
    DataSet("game-of-thrones"),
    DataSet("les-miserables", ranks=False),
)


def _contacts(data: bytes, where: str) -> TemporalSimplices:
    return read_contacts(data.decode(), where=where)


READERS: dict[str, Callable[[bytes, str], TemporalSimplices]] = {
    "game-of-thrones": lambda data, where: read_scenes(data, where=where).limited(),
    "les-miserables": lambda data, where: read_chapters(data.decode(), where=where),
}
"""Sources of another form than a contact list."""


def _prepare(folder: Path, preset: str) -> None:
    for name in [data.name for data in DATA_SETS] if preset != "smoke" else ["hospital"]:
        made = READERS.get(name, _contacts)(read_source(name), name)
        labels = np.array(made.labels, dtype=np.str_)
        np.savez(folder / f"{name}.npz", members=made.members, pointers=made.pointers, times=made.times, labels=labels)


PREPARE = {"hypergraphs": _prepare}


def load(folder: Path, name: str) -> TemporalSimplices:
    """A prepared data set."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as kept:
        labels = tuple(str(label) for label in kept["labels"])
        return TemporalSimplices(kept["members"], kept["pointers"], kept["times"], labels)
