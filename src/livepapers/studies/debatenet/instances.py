"""The attitudes of the debatenet study and how disjoint parts of their respondents reach the cells."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from livepapers.core.rng import numpy_generator
from livepapers.tasks.attitudes import DEMOCRATS, REPUBLICANS, read_abortion, read_spending
from livepapers.tasks.data import read_source
from livepapers.tasks.statements import ARRAYS, COLUMNS, Column, Statements

PARTS = 11
"""Ten parts are seeds, the last one is for pilots and the smoke preset."""
PILOT = PARTS - 1
READERS: dict[str, Callable[..., Statements]] = {"spending": read_spending, "abortion": read_abortion}


def _prepare(folder: Path, _: str) -> None:
    for name, reader in READERS.items():
        made = reader(read_source(f"{name}-attitudes"), where=name)
        for column in ARRAYS:
            np.save(folder / f"{name}-{column}.npy", getattr(made, column))
        labels = {column: list(made.labels[column]) for column in COLUMNS}
        (folder / f"{name}-labels.json").write_text(json.dumps(labels), encoding="utf-8")


PREPARE = {"attitudes": _prepare}


def load(folder: Path, name: str) -> Statements:
    """Prepared statements of all respondents."""
    arrays = {column: np.load(folder / f"{name}-{column}.npy", allow_pickle=False) for column in ARRAYS}
    kept = json.loads((folder / f"{name}-labels.json").read_text(encoding="utf-8"))
    labels: dict[Column, tuple[str, ...]] = {column: tuple(kept[column]) for column in COLUMNS}
    return Statements(**arrays, labels=labels, levels=(-1.0, 1.0))


def part_of(statements: Statements, part: int) -> Statements:
    """The statements of one of the disjoint parts of the respondents."""
    rng = numpy_generator(0, "debatenet", "parts")
    return statements.select(rng.permutation(len(statements.labels["actor"]))[statements.actor] % PARTS == part)


def camps(statements: Statements) -> Statements:
    """Democrats and Republicans alone, in two groups."""
    labels = np.array(statements.labels["group"], dtype=object)
    democrats, republicans = np.isin(labels, DEMOCRATS), np.isin(labels, REPUBLICANS)
    kept = statements.select((democrats | republicans)[statements.group])
    group = republicans[kept.group].astype(np.int64)
    return dataclasses.replace(kept, group=group, labels={**kept.labels, "group": ("Democrats", "Republicans")})
