"""How a run goes, seen once a second by the pages that show it."""

import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from livepapers.lab.engines.local import available_cores
from livepapers.lab.estimating import estimate, published_walls
from livepapers.lab.store import CellRecord, RunRecord, Store
from livepapers.lab.words import duration
from livepapers.lab.words import last_line as last_line_of
from livepapers.web import running
from livepapers.web.settings import Settings

EVERY = 1.0
"""Seconds between two looks."""
LONGEST = 600.0
"""Seconds after which a page has to connect again, so that no forgotten one is kept for ever."""
LISTENERS, EACH = 40, 6
"""Pages that may watch at the same time, and those of one network among them."""


@dataclass(frozen=True)
class Seen:
    """A run at one moment."""

    status: str
    phase: str  # what is under way, as `running.phase` has it
    finished: int
    total: int
    share: float  # of all work, 0 to 1
    left: str  # how long the rest may take, in words; empty while nobody knows
    cells: Sequence[tuple[str, float, str]]  # of each: status, progress, time in words


class Listeners:
    """Counts the pages that watch, by the network that they are in."""

    def __init__(self, most: int, each: int) -> None:
        self._most, self._each, self._now, self._lock = most, each, Counter[str](), threading.Lock()

    def enter(self, network: str) -> bool:
        """Take a place; False when there is none."""
        with self._lock:
            if self._now.total() >= self._most or self._now[network] >= self._each:
                return False
            self._now[network] += 1
            return True

    def leave(self, network: str) -> None:
        """Give the place back."""
        with self._lock:
            self._now -= Counter([network])  # keeps no network at zero


listeners = Listeners(LISTENERS, EACH)
closing = threading.Event()
"""Set when the server ends."""


def look(store: Store, home: Path, settings: Settings, run: str) -> Seen:
    """The run now; nothing is written."""
    record, rows = store.run(run, mark=False), store.cell_records(run)
    phase = running.phase(home, record, store.driver(run))
    cells = [_cell(record, row) for row in rows]
    done = sum(share for _, share, _ in cells)
    left = _left(record, rows, settings) if phase == "running" else ""
    return Seen(
        record.status, phase, sum(status == "finished" for status, _, _ in cells), len(cells),
        round(done / len(cells), 4) if cells else 0.0, left, cells,
    )  # fmt: skip


def cell_status(record: RunRecord, row: CellRecord) -> str:
    """How a cell stands; one whose driver is gone is interrupted, also while nobody has marked it yet."""
    return "interrupted" if row.status == "running" and record.status != "running" else row.status


def _cell(record: RunRecord, row: CellRecord) -> tuple[str, float, str]:
    progress = 1.0 if row.status == "finished" else min(1.0, max(0.0, row.progress))
    return cell_status(record, row), round(progress, 3), duration(row.wall) if row.wall else ""


def _left(record: RunRecord, rows: Sequence[CellRecord], settings: Settings) -> str:
    walls = {row.cell: row.wall for row in rows if row.status == "finished" and row.wall}
    shares = {row.cell: row.progress for row in rows if row.status not in {"finished", "failed"}}
    published = published_walls(record.slug, record.preset)
    seconds = estimate(shares, walls, workers=settings.workers or available_cores(), published=published)
    return "" if seconds is None or not shares else f"about {duration(seconds)} left"


async def changes(store: Store, home: Path, settings: Settings, run: str) -> AsyncIterator[dict[str, Any]]:
    """What a page has to know, once a second until nothing is under way: all cells first, then those that changed.

    The store is read in a worker thread, which is free again between two looks.
    """
    before: Sequence[tuple[str, float, str]] = ()
    ends = anyio.current_time() + LONGEST
    while True:
        seen = await anyio.to_thread.run_sync(look, store, home, settings, run)
        changed = [(i, *cell) for i, cell in enumerate(seen.cells) if i >= len(before) or before[i] != cell]
        yield {
            "status": seen.status, "phase": seen.phase, "finished": seen.finished, "total": seen.total,
            "share": seen.share, "left": seen.left, "cells": changed,
        }  # fmt: skip
        if not seen.phase or closing.is_set() or anyio.current_time() > ends:
            return
        before = seen.cells
        await anyio.sleep(EVERY)


def last_line(error: str | None) -> str:
    """Why a cell failed, on one line; empty when it did not."""
    return last_line_of(error) if error else ""
