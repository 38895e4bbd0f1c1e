"""The kill harness: `python tests/lab/crash.py --kills 100`.

Drives the tiny study in a process of its own and kills it (the driver, a worker, or all at once) at random moments.
After each kill the store must open, pass SQLite's own check and hold every row that was seen in it before; the run is
then resumed. In the end everything measured must be bit for bit what an undisturbed run measures.
"""

import argparse
import contextlib
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)] if str(HERE.parent) not in sys.path else []

from lab import tiny_study  # noqa: E402 - the path above leads there
from livepapers.core.errors import InputError  # noqa: E402
from livepapers.lab.progress import PlainProgress  # noqa: E402
from livepapers.lab.runner import run_study  # noqa: E402
from livepapers.lab.store import Store  # noqa: E402
from livepapers.lab.study import from_module  # noqa: E402

Row = tuple[int, str, int]


@dataclass
class Tally:
    """What the harness did."""

    kills: int = 0
    runs: int = 0
    rows_seen: int = 0
    by_target: dict[str, int] = field(default_factory=dict)


def drive(home: str | Path, *, workers: int, resume: str | None, quick: bool) -> None:
    """Run or resume the tiny study in this process; prints the run's id first."""
    study = from_module(tiny_study, "tiny")
    run_study(
        "tiny",
        study=study,
        store=home,
        preset="smoke",
        settings=["short"] if quick else None,
        workers=workers,
        resume=resume,
        listener=PlainProgress(),
        save_every=0.1,
    )


def digest(store: Store, run: str) -> str:
    """A hash of all that was measured, logged, kept and spent; wall times left out."""
    summary = hashlib.sha256()
    cells = store.cells(run)
    for record in sorted(store.cell_records(run), key=lambda record: record.cell.key):
        cell = record.cell
        summary.update(f"{cell.key} {record.status} {sorted(record.work.items())}".encode())
        for name in ("distance", "between", "world"):
            with contextlib.suppress(KeyError):
                value = cells.value(name, arm=cell.arm, setting=cell.setting, seed=cell.seed)
                summary.update(f"{name} {value.hex()}".encode())
        for name in store.curve_names(run, cell):
            steps, values = store.curve(run, cell, name)
            summary.update(name.encode() + steps.tobytes() + values.tobytes())
        for name in ("final", "at 10", "at 40", "at 60"):
            with contextlib.suppress(KeyError):
                summary.update(store.samples(run, cell, name).tobytes())
        for name, kept in store.artifacts(run, cell).items():
            summary.update(name.encode() + b"".join(path.read_bytes() for path in sorted(kept.iterdir())))
    return summary.hexdigest()


def harness(folder: Path, *, kills: int, seed: int, say: bool = False) -> Tally:
    """Kill `kills` times; raises `AssertionError` when a row was lost, the store is damaged or a bit differs."""
    draw, tally = random.Random(seed), Tally()
    with Store(folder / "calm") as store:
        calm = run_study("tiny", study=from_module(tiny_study, "tiny"), store=store, preset="smoke", workers=0)
        expected = digest(store, calm)
    home = folder / "killed"
    while tally.kills < kills:
        run, tally.runs = None, tally.runs + 1
        while run is None or not _finished(home, run):
            target = draw.choice(("driver", "worker", "all"))
            with _driver(home, run, workers=1 if target == "worker" else draw.choice((0, 1))) as process:
                run = _wait_for_run(process)
                seen: dict[Row, float | None] = {}
                until = time.monotonic() + (draw.uniform(0.0, 4.0) if tally.kills < kills else 1e9)
                while time.monotonic() < until and process.poll() is None:
                    seen |= _rows(home)
                    time.sleep(0.05)
                if process.poll() is None:
                    _kill(process, target, draw)
                    tally.kills += 1
                    tally.by_target[target] = tally.by_target.get(target, 0) + 1
                process.wait()
            _check(home, seen)
            tally.rows_seen = max(tally.rows_seen, len(seen))
        with Store(home, create=False) as store:
            assert digest(store, run) == expected, f"{run} differs from the undisturbed run"
        if say:
            print(f"{tally.kills} kills, {tally.runs} runs bit-equal, {tally.by_target}", flush=True)
    return tally


@contextlib.contextmanager
def _driver(home: Path, run: str | None, *, workers: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(HERE / "crash.py"), "--drive", str(home), "--workers", str(workers)]
    command += ["--resume", run] if run else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.stdout.close()
        if process.poll() is None:
            process.kill()
        process.wait()


def _wait_for_run(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("run "), f"the driver did not begin: {line!r}"
    return line.split()[1].rstrip(":")


def _kill(process: subprocess.Popen[str], target: str, draw: random.Random) -> None:
    """Kill the driver; one of its workers and then, a moment later, the driver; or all at the same time."""
    workers = _children(process.pid)
    if target in {"worker", "all"}:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
    if target == "worker":
        time.sleep(draw.uniform(0.0, 2.0))
    process.kill()


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _rows(home: Path) -> dict[Row, float | None]:
    """Every curve point and measurement that another process can see: it is committed."""
    with contextlib.closing(sqlite3.connect(home / "store.sqlite3", timeout=10)) as raw:
        rows: dict[Row, float | None] = {
            (c, n, s): v for c, n, s, v in raw.execute("SELECT cell, name, step, value FROM points")
        }
        return rows | {(c, n, -1): v for c, n, v in raw.execute("SELECT cell, name, value FROM measurements")}


def _check(home: Path, seen: dict[Row, float | None]) -> None:
    with contextlib.closing(sqlite3.connect(home / "store.sqlite3", timeout=10)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    now = _rows(home)
    lost = {row for row, value in seen.items() if row not in now or now[row] != value}
    assert not lost, f"{len(lost)} rows that were there before the kill are lost: {sorted(lost)[:5]}"
    with Store(home, create=False) as store:
        assert all(record.status != "running" for record in store.runs()), "a dead run is marked interrupted"


def _finished(home: Path, run: str) -> bool:
    with Store(home, create=False) as store:
        return store.run(run).status == "finished"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drive", help="only run the tiny study, with its store in this folder or database")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--resume")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.drive:
        try:
            drive(options.drive, workers=options.workers, resume=options.resume, quick=options.quick)
        except InputError as error:
            sys.exit(str(error))
        return
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tally = harness(Path(folder), kills=options.kills, seed=options.seed, say=True)
        seconds = time.monotonic() - began
    print(f"{tally.kills} kills in {seconds:.0f} s: store readable each time, no row lost, all runs bit-equal")


if __name__ == "__main__":
    main()
