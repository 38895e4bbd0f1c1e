"""Functions that the lab's tests have other processes call: importable by name, without torch (seconds)."""

import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path


def write_many(path: str, run: str, number: int, rows: int) -> None:
    from livepapers.lab.store import Store
    from livepapers.lab.study import Cell

    with Store(path, create=False) as store:
        for start in range(0, rows, 50):
            points = [("loss", step, float(step)) for step in range(start, start + 50)]
            store.add_points(run, Cell("ours", "s/1", number), points, progress=start / rows)


def write_and_tell(place: str, pipe: Connection) -> None:
    """Begins a run and writes point after point, telling of each when it is kept, until somebody kills it."""
    from lab.runs import CELL, new_run
    from livepapers.lab.store import Store

    with Store(place, create=False) as store:
        run, _ = new_run(store)
        store.add_cells(run, [CELL])
        pipe.send(run)
        for step in range(10**9):
            store.add_points(run, CELL, [("loss", step, float(step))])
            pipe.send(step)


def square(number: int) -> int:
    return number * number


def environment(name: str) -> str | None:
    return os.environ.get(name)


def fail_at_two(number: int) -> int:
    if number == 2:
        raise ValueError("two is not wanted")
    return number


def die_at_two(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(folder: str) -> int:
    """Dies at the first call, tells how often it was called at the second."""
    calls = Path(folder) / "calls"
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    if len(calls.read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(calls.read_text())


def sleep_until_told(folder: str) -> str:
    """Sleeps for long; SIGTERM is taken as the request to save and go."""
    Path(folder, f"begun-{os.getpid()}").touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        return "saved"
    return "slept"


def stubborn(folder: str) -> None:
    """Hears no SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(folder, f"begun-{os.getpid()}").touch()
    time.sleep(60)


def not_picklable(number: int) -> object:
    return lambda: number
