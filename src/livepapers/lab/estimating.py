"""How long the rest of a run may take."""

import functools
from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from livepapers.lab.study import Cell
from livepapers.papers import catalogue


@functools.cache
def published_walls(slug: str, preset: str) -> Mapping[str, float]:
    """Seconds that a cell of each arm took in the committed run of a paper; none for another preset, or without one."""
    found = catalogue.results(slug) if slug in catalogue.load() else None
    if found is None or found["current"]["run"]["preset"] != preset:
        return {}
    arms = found["current"]["arms"]
    return {arm["arm"]: arm["wall"] / arm["finished"] for arm in arms if arm["finished"] and arm["wall"]}


def estimate(
    shares: Mapping[Cell, float], walls: Mapping[Cell, float], *, workers: int, published: Mapping[str, float]
) -> float | None:
    """Seconds that unfinished cells may take.

    Args:
        shares: The unfinished cells and the share of each that is done, 0 to 1.
        walls: The finished cells and the seconds each took. A cell is expected to take as long as the mean of its arm
            in its setting, else what was published of its arm, else the mean of its arm, else of all.
        workers: How many cells run at once.
        published: See `published_walls`; brought to this machine's speed by the cells that are finished.
    """
    if not walls and not published:
        return None
    known = [cell for cell in walls if cell.arm in published]
    pace = sum(walls[cell] for cell in known) / sum(published[cell.arm] for cell in known) if known else 1.0
    groups: dict[Any, list[float]] = defaultdict(list)
    for cell, wall in walls.items():
        for key in ((cell.arm, cell.setting), cell.arm, None):
            groups[key].append(wall)
    here = {arm: pace * wall for arm, wall in published.items()}
    seconds = sum(_expected(cell, groups, here) * (1.0 - share) for cell, share in shares.items())
    return seconds / max(1, min(workers, len(shares)))


def _expected(cell: Cell, groups: Mapping[Any, list[float]], published: Mapping[str, float]) -> float:
    if (cell.arm, cell.setting) in groups:
        return fmean(groups[cell.arm, cell.setting])
    if cell.arm in published:
        return published[cell.arm]
    return fmean(groups.get(cell.arm) or groups.get(None) or published.values())
