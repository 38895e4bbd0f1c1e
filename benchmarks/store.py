"""How fast the run store takes curve points: one process, then eight at once; and how long a look at a big run takes.

python benchmarks/store.py [--rows 200000] [--json]
"""

import argparse
import json
import multiprocessing
import sqlite3
import tempfile
import time
from pathlib import Path

from livepapers.lab.machine import machine, versions
from livepapers.lab.store import CellResult, Store
from livepapers.lab.study import Cell


def new_run(store: Store, cells: list[Cell]) -> str:
    run, _ = store.create_run("bench", 1, preset="smoke", options={}, machine={}, versions={}, git_commit=None)
    store.add_cells(run, cells)
    return run


def write(path: str, run: str, cell: Cell, rows: int, batch: int) -> float:
    """Rows a second of one writer that commits every `batch` rows."""
    with Store(path, create=False) as store:
        store.add_points(run, cell, [("warm", 0, 0.0)])
        began = time.perf_counter()
        for start in range(0, rows, batch):
            store.add_points(run, cell, [("loss", step, float(step)) for step in range(start, start + batch)])
        return rows / (time.perf_counter() - began)


def write_naked(path: Path, rows: int, batch: int) -> float:
    """The same with the sqlite3 module alone: what the machine allows."""
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = NORMAL")
    raw.execute("CREATE TABLE points (cell, name, step, value, PRIMARY KEY (cell, name, step)) WITHOUT ROWID")
    began = time.perf_counter()
    for start in range(0, rows, batch):
        points = [(1, "loss", step, float(step)) for step in range(start, start + batch)]
        raw.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", points)
        raw.commit()
    seconds = time.perf_counter() - began
    raw.close()
    return rows / seconds


def measure(rows: int) -> dict[str, float]:
    """All figures, in rows a second unless the name says otherwise."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite3"
        cells = [Cell("a", "s", seed) for seed in range(9)]
        with Store(path) as store:
            run = new_run(store, cells)
            figures["one writer, batches of 1000"] = write(str(path), run, cells[8], rows, 1000)
            figures["one writer, a commit each row"] = write(str(path), run, cells[7], min(rows, 5000), 1)
            figures["sqlite3 module alone, batches of 1000"] = write_naked(Path(folder) / "naked.sqlite3", rows, 1000)
            with multiprocessing.get_context("spawn").Pool(8) as pool:
                pool.map(abs, range(8))  # every process has started
                began = time.perf_counter()
                arguments = [(str(path), run, cell, 5000, 100) for cell in cells[:8]]
                pool.starmap(write, arguments, chunksize=1)
                figures["eight writers of 5000 rows, batches of 100"] = 40_000 / (time.perf_counter() - began)
            store.finish_cell(run, CellResult(cells[0], "finished", measurements={"cost": 1.0}))
            began = time.perf_counter()
            store.run(run)
            store.cell_records(run)
            store.cells(run)
            store.curve(run, cells[8], "warm")
            figures["milliseconds to open that run"] = 1000 * (time.perf_counter() - began)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.rows)
    if options.json:
        print(json.dumps({"figures": figures, "machine": machine(), "versions": versions()}, indent=2))
        return
    for name, value in figures.items():
        print(f"{value:12,.0f}  {name}")
    print(f"{machine()['cpu']}, {machine()['cores']} cores; SQLite {sqlite3.sqlite_version}")


if __name__ == "__main__":
    main()
