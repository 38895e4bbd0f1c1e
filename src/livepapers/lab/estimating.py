"""How long the rest of a run may take."""

from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from livepapers.lab.study import Cell


def estimate(shares: Mapping[Cell, float], walls: Mapping[Cell, float], *, workers: int) -> float | None:
    """Seconds that unfinished cells may take.

    Args:
        shares: The unfinished cells and the share of each that is done, 0 to 1.
        walls: The finished cells and the seconds each took. A cell is expected to take as long as the mean of its arm
            in its setting, else of its arm, else of all.
        workers: How many cells run at once.
    """
    if not walls:
        return None
    groups: dict[Any, list[float]] = defaultdict(list)
    for cell, wall in walls.items():
        for key in ((cell.arm, cell.setting), cell.arm, None):
            groups[key].append(wall)
    seconds = 0.0
    for cell, share in shares.items():
        key = next(key for key in ((cell.arm, cell.setting), cell.arm, None) if key in groups)
        seconds += fmean(groups[key]) * (1.0 - share)
    return seconds / max(1, min(workers, len(shares)))
