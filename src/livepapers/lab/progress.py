"""How a run is shown while it goes: live on a terminal, plain lines on a pipe."""

import sys
from collections.abc import Mapping, Sequence
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from livepapers.lab.study import Cell
from livepapers.lab.words import duration, last_line


class PlainProgress:
    """One line for each cell that ends; nothing is overwritten, so it reads well in a log."""

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file = file or sys.stdout
        self._total, self._done, self._left = 0, 0, None

    def run_started(self, run: str, cells: Sequence[Cell], *, finished: Sequence[Cell], workers: int) -> None:
        """Say what will be done."""
        self._total, self._done = len(cells), len(finished)
        before = f", {len(finished)} of them finished before" if finished else ""
        self._say(f"run {run}: {len(cells)} cells{before}, {workers} at a time")

    def cell_started(self, cell: Cell) -> None:
        """Say nothing: the line comes when the cell ends."""

    def cell_progress(self, cell: Cell, share: float) -> None:
        """Say nothing."""

    def cell_finished(self, cell: Cell, *, wall: float, measurements: Mapping[str, float]) -> None:
        """One line."""
        self._ended(f"{cell.key} {duration(wall)}{_shown(measurements)}")

    def cell_failed(self, cell: Cell, *, error: str) -> None:
        """One line with the error."""
        self._ended(f"{cell.key} FAILED: {last_line(error)}")

    def estimate(self, seconds: float | None) -> None:
        """Remember it for the next line."""
        self._left = seconds

    def run_ended(self, run: str, *, status: str) -> None:
        """Say how it ended."""
        self._say(f"run {run}: {status}")

    def _ended(self, text: str) -> None:
        self._done += 1
        left = f"; about {duration(self._left)} left" if self._left is not None and self._done < self._total else ""
        self._say(f"[{self._done}/{self._total}] {text}{left}")

    def _say(self, text: str) -> None:
        print(text, file=self._file, flush=True)


class LiveProgress:
    """A bar for the run with an estimate of what is left, and one for each cell under way."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            transient=True,
        )
        self._run: TaskID | None = None
        self._cells: dict[Cell, TaskID] = {}

    def run_started(self, run: str, cells: Sequence[Cell], *, finished: Sequence[Cell], workers: int) -> None:
        """Show the bar of the run."""
        self._console.print(f"run [bold]{run}[/]: {len(cells)} cells, {workers} at a time", highlight=False)
        self._run = self._display.add_task("cells", total=len(cells), completed=len(finished), left="")
        self._display.start()

    def cell_started(self, cell: Cell) -> None:
        """Show the bar of the cell."""
        self._end(cell)  # a cell whose worker died is started again
        self._cells[cell] = self._display.add_task(_plain(cell.key), total=100, left="")

    def cell_progress(self, cell: Cell, share: float) -> None:
        """Move the bar of the cell."""
        if cell in self._cells:
            self._display.update(self._cells[cell], completed=round(100 * share))

    def cell_finished(self, cell: Cell, *, wall: float, measurements: Mapping[str, float]) -> None:
        """Turn the bar into a line."""
        self._end(cell)
        self._advance(f"[green]✓[/] {_plain(cell.key)} {duration(wall)}{_plain(_shown(measurements))}")

    def cell_failed(self, cell: Cell, *, error: str) -> None:
        """Turn the bar into a line that says why."""
        self._end(cell)
        self._advance(f"[red]✗[/] {_plain(cell.key)} failed: {_plain(last_line(error))}")

    def estimate(self, seconds: float | None) -> None:
        """Show what is left."""
        if self._run is not None and seconds is not None:
            self._display.update(self._run, left=f"about {duration(seconds)} left")

    def run_ended(self, run: str, *, status: str) -> None:
        """Take the bars away."""
        self._display.stop()
        self._console.print(f"run [bold]{run}[/]: {status}", highlight=False)

    def _end(self, cell: Cell) -> None:
        task = self._cells.pop(cell, None)
        if task is not None:
            self._display.remove_task(task)

    def _advance(self, line: str) -> None:
        self._console.print(line, highlight=False)
        if self._run is not None:
            self._display.advance(self._run)


def _shown(measurements: Mapping[str, float]) -> str:
    """The first measurements in a few digits."""
    few = [f"{name} {value:.4g}" for name, value in list(measurements.items())[:3]]
    return ": " + ", ".join(few) if few else ""


def _plain(text: str) -> str:
    """Names may hold brackets, which rich would read as markup."""
    return text.replace("[", r"\[")
