"""The run store: what was run, measured, logged and judged; one SQLite file in WAL mode, or PostgreSQL by URL.

What a call has written survives `kill -9`. Metrics are committed without waiting for the disk (a power cut may take
the last of them, never the file); finished cells, the state of a run and verdicts wait for it.
"""

import contextlib
import hashlib
import json
import re
import secrets
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import sqlalchemy as sa
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from sqlalchemy import Connection, and_, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.files import new_folder, write_atomic
from livepapers.lab import database, schema
from livepapers.lab import postgresql as server
from livepapers.lab.machine import Process, this_process
from livepapers.lab.study import Cell, Cells

STALE = 60.0
"""Seconds without a heartbeat after which a run counts as dead."""


@dataclass(frozen=True)
class CellResult:
    """What a cell hands back: the driver writes it into the store at once."""

    cell: Cell
    status: Literal["finished", "failed", "interrupted"]
    measurements: Mapping[str, float] = field(default_factory=dict)
    points: Sequence[tuple[str, int, float]] = ()  # (name, step, value) of every curve
    samples: Mapping[str, np.ndarray] = field(default_factory=dict)
    artifacts: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)  # name -> file -> content
    work: Mapping[str, int] = field(default_factory=dict)
    prepared: Mapping[str, float] = field(default_factory=dict)  # seconds that each prepared part took when made
    wall: float | None = None  # seconds, preparation and interruptions left out
    error: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One row of `runs`, with the number of its cells in each state."""

    id: str
    slug: str
    version: int
    preset: str
    options: Mapping[str, Any]
    status: str
    started: float
    finished: float | None
    heartbeat: float
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    git_commit: str | None
    cells: Mapping[str, int]


@dataclass(frozen=True)
class CellRecord:
    """One row of `cells`."""

    cell: Cell
    status: str
    progress: float
    wall: float | None
    work: Mapping[str, int]
    error: str | None


class Store:
    """Runs, cells, measurements, curves, samples and verdicts.

    Args:
        location: A file, a folder, or a database URL; None is `store.sqlite3` in `$LIVEPAPERS_HOME` or `./.livepapers`.
        create: Whether a store that is not there is made; otherwise `InputError`.

    Raises:
        InputError: The file is no store of ours, is damaged, or was written by a newer livepapers.
    """

    def __init__(self, location: str | Path | None = None, *, create: bool = True) -> None:
        self.home, self.url, path = database.locate(location)
        self._engine = database.open_engine(self.url, path, create=create)
        self._path = path
        self._ids: dict[tuple[str, Cell], int] = {}
        self._insert = database.insert_of(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def option(self) -> str:
        """What a command line must add to find this store: nothing for the default one."""
        if self.url == database.locate(None)[1]:
            return ""
        return f" --store {shlex.quote(database.shown(self._engine))}"

    def folder(self, run: str) -> Path:
        """Where the run keeps files: samples, artifacts, and the checkpoints of unfinished cells."""
        return self.home / "runs" / run

    # ---- runs ----

    def create_run(
        self,
        slug: str,
        version: int,
        *,
        preset: str,
        options: Mapping[str, Any],
        machine: Mapping[str, Any],
        versions: Mapping[str, str],
        git_commit: str | None,
    ) -> tuple[str, str]:
        """Add a run that this process drives; returns its id ("hdpo-20261124-a1b2") and the lease."""
        now, lease, me = time.time(), secrets.token_hex(8), this_process()
        values = {
            "slug": slug, "version": version, "preset": preset, "options": dict(options), "status": "running",
            "started": now, "heartbeat": now, "host": me.host, "process": me.identity, "lease": lease,
            "machine": dict(machine), "versions": dict(versions), "git_commit": git_commit,
        }  # fmt: skip
        while True:
            run = f"{slug}-{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(2)}"
            try:
                with self._write(durable=True) as connection:
                    connection.execute(sa.insert(schema.runs).values(id=run, **values))
            except IntegrityError:  # the id is taken: draw another
                continue
            return run, lease

    def take_lease(self, run: str) -> str:
        """Become the driver of an interrupted, failed or finished run; `InputError` while another process drives it."""
        lease, me = secrets.token_hex(8), this_process()
        with self._write(durable=True) as connection:
            row = self._run_row(connection, run, lock=True)
            if _alive(row):
                cause = f"process {row.process.partition(':')[0]} on {row.host} drives it; stop that one first"
                raise InputError.of("run", run, expected="a run that is not running", cause=cause)
            connection.execute(
                update(schema.runs)
                .where(schema.runs.c.id == run)
                .values(
                    status="running",
                    finished=None,
                    heartbeat=time.time(),
                    host=me.host,
                    process=me.identity,
                    lease=lease,
                )
            )
        return lease

    def beat(self, run: str, lease: str) -> bool:
        """Say that the driver lives; False when another process has taken the run over."""
        with self._write() as connection:
            mine = and_(schema.runs.c.id == run, schema.runs.c.lease == lease)
            values = {"heartbeat": time.time(), "status": "running"}
            return connection.execute(update(schema.runs).where(mine).values(values)).rowcount == 1

    def end_run(self, run: str, lease: str, *, status: str) -> None:
        """Record how the run ended; cells that were under way become interrupted. No effect without the lease."""
        with self._write(durable=True) as connection:
            mine = and_(schema.runs.c.id == run, schema.runs.c.lease == lease)
            values = {
                "status": status,
                "heartbeat": time.time(),
                "finished": time.time() if status != "interrupted" else None,
            }
            if connection.execute(update(schema.runs).where(mine).values(values)).rowcount:
                _interrupt_cells(connection, run)

    def set_options(self, run: str, options: Mapping[str, Any]) -> None:
        """Replace what the run was asked for, when a resume extends it."""
        with self._write(durable=True) as connection:
            connection.execute(update(schema.runs).where(schema.runs.c.id == run).values(options=dict(options)))

    def set_commit(self, run: str, commit: str) -> None:
        """Replace the commit of a run, when it goes on with other code than it began with."""
        with self._write(durable=True) as connection:
            connection.execute(update(schema.runs).where(schema.runs.c.id == run).values(git_commit=commit))

    def mark_dead_runs(self) -> list[str]:
        """Mark runs whose driver is gone as interrupted; returns their ids."""
        running = schema.runs.c.status == "running"
        with self._read() as connection:
            suspects = [row.id for row in connection.execute(select(schema.runs).where(running)) if not _alive(row)]
        if not suspects:
            return []
        with self._write(durable=True) as connection:
            dead = [run for run in sorted(suspects) if not _alive(self._run_row(connection, run, lock=True))]
            for run in dead:
                connection.execute(update(schema.runs).where(schema.runs.c.id == run).values(status="interrupted"))
                _interrupt_cells(connection, run)
        return dead

    def run(self, run: str, *, mark: bool = True) -> RunRecord:
        """One run; raises `InputError` for an unknown id. A run whose driver died is interrupted, and marked so.

        With `mark` False it is shown as interrupted and nothing is written.
        """
        if mark:
            self.mark_dead_runs()
        with self._read() as connection:
            return _record(self._run_row(connection, run), _counts(connection, [run]).get(run, {}))

    def runs(
        self, *, slug: str | None = None, mark: bool = True, limit: int | None = None, offset: int = 0
    ) -> list[RunRecord]:
        """Runs, newest first, at most `limit` of them behind the first `offset`. Dead drivers are as for `run`."""
        if mark:
            self.mark_dead_runs()
        query = select(schema.runs).order_by(schema.runs.c.started.desc(), schema.runs.c.id)
        query = query.limit(limit).offset(offset) if limit is not None else query
        with self._read() as connection:
            rows = connection.execute(query if slug is None else query.where(schema.runs.c.slug == slug)).all()
            counts = _counts(connection, [row.id for row in rows])
            return [_record(row, counts.get(row.id, {})) for row in rows]

    def count_runs(self, *, slug: str | None = None) -> int:
        """How many runs there are, of one paper or of all."""
        query = select(func.count()).select_from(schema.runs)
        with self._read() as connection:
            return connection.execute(query if slug is None else query.where(schema.runs.c.slug == slug)).scalar_one()

    def driver(self, run: str) -> Process:
        """The process that drives the run, or drove it last; `InputError` for an unknown id."""
        with self._read() as connection:
            row = self._run_row(connection, run)
        return Process(row.host, row.process)

    def driven_by(self, process: Process) -> str | None:
        """The id of the run that the process drives or drove last, None while there is none."""
        mine = and_(schema.runs.c.host == process.host, schema.runs.c.process == process.identity)
        with self._read() as connection:
            newest = select(schema.runs.c.id).where(mine).order_by(schema.runs.c.started.desc()).limit(1)
            return connection.execute(newest).scalar_one_or_none()

    # ---- cells ----

    def add_cells(self, run: str, cells: Iterable[Cell]) -> None:
        """Enter cells that are to be measured; those already there stay as they are."""
        rows = [
            {"run": run, "arm": c.arm, "setting": c.setting, "seed": c.seed, "status": "pending", "progress": 0.0}
            for c in cells
        ]
        if rows:
            with self._write(durable=True) as connection:
                connection.execute(self._insert(schema.cells).on_conflict_do_nothing(), rows)

    def cell_records(self, run: str) -> list[CellRecord]:
        """The run's cells in the order they were entered."""
        query = select(schema.cells).where(schema.cells.c.run == run).order_by(schema.cells.c.id)
        with self._read() as connection:
            return [
                CellRecord(
                    Cell(row.arm, row.setting, row.seed), row.status, row.progress, row.wall, row.work or {}, row.error
                )
                for row in connection.execute(query)
            ]

    def start_cell(self, run: str, cell: Cell, *, lease: str | None = None) -> bool:
        """Mark a cell as under way; False, and nothing is marked, when the lease is another's by now."""
        values = {"status": "running", "error": None}
        with self._write() as connection:
            if not self._holds(connection, run, lease):
                return False
            connection.execute(
                update(schema.cells).where(schema.cells.c.id == self._id(connection, run, cell)).values(values)
            )
        return True

    def add_points(
        self, run: str, cell: Cell, points: Sequence[tuple[str, int, float]], *, progress: float | None = None
    ) -> None:
        """Write curve points (name, step, value) in one transaction; a point written again takes the new value."""
        with self._write() as connection:
            number = self._id(connection, run, cell)
            if progress is not None:  # first, as in `finish_cell`: who waits for whom has one order
                connection.execute(update(schema.cells).where(schema.cells.c.id == number).values(progress=progress))
            self._put_points(connection, number, points)

    def finish_cell(self, run: str, result: CellResult, *, lease: str | None = None) -> bool:
        """Record a finished, failed or interrupted cell: measurements, curves, samples, work, all or nothing.

        Returns:
            False when the lease is another's by now: a driver that had been asleep must not undo what that one did.

        Raises:
            ValueError: A measurement is not finite.
        """
        for name, value in result.measurements.items():
            if not np.isfinite(value):
                raise ValueError(
                    f"measurement {name!r} of {result.cell.key} is {value}: measurements are finite numbers"
                )
        finished = result.status == "finished"
        files = self._write_samples(run, result) if finished else []
        if finished:
            self._write_artifacts(run, result)
        values: dict[str, Any] = {"status": result.status, "error": _text(result.error) or None, "wall": result.wall}
        values |= {"work": dict(result.work)} | ({"progress": 1.0} if finished else {})
        with self._write(durable=True) as connection:
            if not self._holds(connection, run, lease):
                return False
            number = self._id(connection, run, result.cell)
            connection.execute(update(schema.cells).where(schema.cells.c.id == number).values(values))
            for name, seconds in result.prepared.items():
                row = self._insert(schema.prepared).values(run=run, name=name, seconds=seconds)
                connection.execute(row.on_conflict_do_nothing())
            if finished:
                self._replace(connection, number, result, files)
            else:
                self._put_points(connection, number, result.points)
        return True

    def cells(self, run: str) -> Cells:
        """The finished cells of a run, as claims see them."""
        here = and_(schema.cells.c.run == run, schema.cells.c.status == "finished")
        columns = (schema.cells.c.arm, schema.cells.c.setting, schema.cells.c.seed)
        query = select(*columns, schema.measurements.c.name, schema.measurements.c.value)
        query = query.select_from(schema.cells.outerjoin(schema.measurements)).where(here)
        metrics: dict[Cell, dict[str, float]] = {}
        with self._read() as connection:
            self._run_row(connection, run)
            for arm, setting, seed, name, value in connection.execute(query):
                values = metrics.setdefault(Cell(arm, setting, seed), {})
                if name is not None:
                    values[name] = value
        return Cells(
            metrics,
            samples=lambda cell, name: self.samples(run, cell, name),
            curves=lambda cell, name: self.curve(run, cell, name),
        )

    def curve(self, run: str, cell: Cell, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(steps int64, values float64) of a curve, ascending; `KeyError` when nothing was logged as `name`."""
        with self._read() as connection:
            here = and_(schema.points.c.cell == self._id(connection, run, cell), schema.points.c.name == name)
            columns = (schema.points.c.step, schema.points.c.value)
            rows = connection.execute(select(*columns).where(here).order_by(schema.points.c.step)).all()
        if not rows:
            raise KeyError(f"{cell.key} has no curve {name!r}")
        values = [float("nan") if value is None else value for _, value in rows]
        return np.array([step for step, _ in rows], dtype=np.int64), np.array(values, dtype=np.float64)

    def curve_names(self, run: str, cell: Cell) -> list[str]:
        """The curves a cell has logged, sorted."""
        with self._read() as connection:
            here = schema.points.c.cell == self._id(connection, run, cell)
            return sorted(connection.execute(select(schema.points.c.name).where(here).distinct()).scalars())

    def samples(self, run: str, cell: Cell, name: str) -> np.ndarray:
        """An array kept with `run.samples`.

        Raises:
            KeyError: The cell has none of that name.
            CorruptFileError: The file is gone or not the one that was written.
        """
        with self._read() as connection:
            here = and_(schema.samples.c.cell == self._id(connection, run, cell), schema.samples.c.name == name)
            row = connection.execute(select(schema.samples).where(here)).one_or_none()
        if row is None:
            raise KeyError(f"{cell.key} has no samples {name!r}")
        path = self.home / row.file
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != row.sha256:
                raise CorruptFileError(f"{path}: content hash differs (the file was altered after it was written)")
            return load_arrays(data)["values"]
        except (OSError, SafetensorError, KeyError) as error:
            raise CorruptFileError(f"{path}: the samples are not readable ({plainly(error)})") from None

    def artifacts(self, run: str, cell: Cell) -> dict[str, Path]:
        """Folders of what the cell kept with `run.artifact`, by name; `core.artifact.load` verifies each."""
        folder = self.folder(run) / "artifacts" / cell_path(cell)
        return {path.name: path for path in sorted(folder.glob("*")) if path.is_dir() and path.name[0] != "."}

    def progress(self, run: str) -> dict[Cell, float]:
        """How far the cells under way are, 0 to 1."""
        here = and_(schema.cells.c.run == run, schema.cells.c.status == "running")
        columns = (schema.cells.c.arm, schema.cells.c.setting, schema.cells.c.seed, schema.cells.c.progress)
        with self._read() as connection:
            return {Cell(a, s, n): share for a, s, n, share in connection.execute(select(*columns).where(here))}

    def prepared(self, run: str) -> dict[str, float]:
        """Seconds that each prepared part took when it was made, be it in this run or an earlier one."""
        columns = (schema.prepared.c.name, schema.prepared.c.seconds)
        with self._read() as connection:
            rows = connection.execute(
                select(*columns).where(schema.prepared.c.run == run).order_by(schema.prepared.c.name)
            )
            return {row.name: row.seconds for row in rows}

    # ---- verdicts ----

    def add_verdict(self, run: str, claim: str, *, verdict: str, record: Mapping[str, Any]) -> None:
        """Append a verdict; earlier ones on the same claim stay and are superseded. `record` is finite JSON."""
        json.dumps(record, allow_nan=False)
        values = {"run": run, "claim": claim, "verdict": verdict, "record": dict(record), "written": time.time()}
        with self._write(durable=True) as connection:
            self._run_row(connection, run)
            connection.execute(sa.insert(schema.verdicts).values(values))

    def verdicts(self, run: str, *, history: bool = False) -> list[dict[str, Any]]:
        """The newest verdict of each claim, by claim; with `history` all that were ever written, oldest first."""
        query = select(schema.verdicts).where(schema.verdicts.c.run == run).order_by(schema.verdicts.c.id)
        with self._read() as connection:
            rows = [
                {"claim": row.claim, "verdict": row.verdict, "record": row.record, "written": row.written}
                for row in connection.execute(query)
            ]
        newest = {row["claim"]: row for row in rows}
        return rows if history else [newest[claim] for claim in sorted(newest)]

    # ---- upkeep ----

    def backup(self, target: Path) -> None:
        """Write a consistent copy of the database to the new file `target`, while runs may go on."""
        if self._path is None:
            raise InputError.of("store", self._engine.dialect.name, expected="an SQLite store", cause="use pg_dump")
        database.copy(self._engine, target)

    # ---- inner parts ----

    def _write(self, *, durable: bool = False) -> contextlib.AbstractContextManager[Connection]:
        return database.transaction(self._engine, "durable" if durable else "quick")

    def _read(self) -> contextlib.AbstractContextManager[Connection]:
        return database.transaction(self._engine, "read")

    def _run_row(self, connection: Connection, run: str, *, lock: bool = False) -> Any:
        query = select(schema.runs).where(schema.runs.c.id == run)
        if lock:  # on a server; in SQLite the whole transaction has the store for itself
            query = query.with_for_update(key_share=True)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise InputError.of(
                "run", run, expected="the id of a run in this store", cause="`livepapers runs` lists them"
            )
        return row

    def _holds(self, connection: Connection, run: str, lease: str | None) -> bool:
        """Whether the lease is still the run's, and stays so until the transaction ends; writers without one may."""
        return lease is None or self._run_row(connection, run, lock=True).lease == lease

    def _id(self, connection: Connection, run: str, cell: Cell) -> int:
        if (run, cell) not in self._ids:
            here = and_(
                schema.cells.c.run == run, schema.cells.c.arm == cell.arm,
                schema.cells.c.setting == cell.setting, schema.cells.c.seed == cell.seed,
            )  # fmt: skip
            number = connection.execute(select(schema.cells.c.id).where(here)).scalar_one_or_none()
            if number is None:
                raise KeyError(f"run {run} has no cell {cell.key}")
            self._ids[run, cell] = number
        return self._ids[run, cell]

    def _put_points(self, connection: Connection, number: int, points: Sequence[tuple[str, int, float]]) -> None:
        # SQLite keeps neither NaN nor the sign of a zero: no store does, so that all say the same bits
        newest = {(name, step): None if value != value else value + 0.0 for name, step, value in points}
        if not newest:
            return
        if self._engine.dialect.name == "postgresql":
            server.put_points(connection, number, newest)
            return
        statement = self._insert(schema.points)
        keys = [schema.points.c.cell, schema.points.c.name, schema.points.c.step]
        changed = {"value": statement.excluded.value}
        rows = [{"cell": number, "name": name, "step": step, "value": v} for (name, step), v in newest.items()]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)

    def _replace(self, connection: Connection, number: int, result: CellResult, files: list[dict[str, str]]) -> None:
        """Put a finished cell's results in the place of whatever an interrupted attempt left."""
        for table in (schema.measurements, schema.points, schema.samples):
            connection.execute(delete(table).where(table.c.cell == number))
        rows = [{"cell": number, "name": name, "value": value + 0.0} for name, value in result.measurements.items()]
        if rows:
            connection.execute(sa.insert(schema.measurements), rows)
        self._put_points(connection, number, result.points)
        if files:
            connection.execute(sa.insert(schema.samples), [{"cell": number, **row} for row in files])

    def _write_artifacts(self, run: str, result: CellResult) -> None:
        folder = self.folder(run) / "artifacts" / cell_path(result.cell)
        for name, files in result.artifacts.items():
            with new_folder(folder / file_name(name), replace=True) as made:
                for file, content in files.items():
                    write_atomic(made / file_name(file), content)

    def _write_samples(self, run: str, result: CellResult) -> list[dict[str, str]]:
        cell, rows = result.cell, []
        folder = self.folder(run) / "samples" / cell_path(cell)
        for name, values in result.samples.items():
            data = save_arrays({"values": np.ascontiguousarray(values)})
            path = folder / f"{file_name(name)}.safetensors"
            write_atomic(path, data)
            place = path.relative_to(self.home).as_posix()
            rows.append({"name": name, "file": place, "sha256": hashlib.sha256(data).hexdigest()})
        return rows


def cell_path(cell: Cell) -> Path:
    """The folder of a cell, relative to whatever holds folders of cells."""
    return Path(file_name(cell.setting), file_name(cell.arm), str(cell.seed))


def file_name(text: str) -> str:
    """`text` as a file name: as it is when it is plain, else its plain letters and a hash that keeps names apart."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,79}", text) and not text.endswith("."):
        return text
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:40] + "~" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _text(text: str) -> str:
    """`text` as any database can hold it: a traceback may quote bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _alive(row: Any) -> bool:
    """Whether a run has a driver: a recent heartbeat, and on this host a process that is still the same one."""
    if row.status != "running" or abs(time.time() - row.heartbeat) > STALE:
        return False
    return Process(row.host, row.process).may_run()


def _interrupt_cells(connection: Connection, run: str) -> None:
    under_way = and_(schema.cells.c.run == run, schema.cells.c.status == "running")
    connection.execute(update(schema.cells).where(under_way).values(status="interrupted"))


def _counts(connection: Connection, runs: Sequence[str]) -> dict[str, dict[str, int]]:
    columns = (schema.cells.c.run, schema.cells.c.status)
    counts: dict[str, dict[str, int]] = {}
    for start in range(0, len(runs), 500):  # databases limit how many values a statement may have
        some = schema.cells.c.run.in_(runs[start : start + 500])
        query = select(*columns, func.count()).where(some).group_by(*columns)
        for name, status, number in connection.execute(query):
            counts.setdefault(name, {})[status] = number
    return counts


def _record(row: Any, counts: Mapping[str, int]) -> RunRecord:
    status = row.status
    if status == "running" and not _alive(row):  # dead and not marked: shown as it will be
        status, stopped = "interrupted", counts.get("interrupted", 0) + counts.get("running", 0)
        counts = {state: number for state, number in counts.items() if state != "running"}
        counts |= {"interrupted": stopped} if stopped else {}
    return RunRecord(
        id=row.id, slug=row.slug, version=row.version, preset=row.preset, options=row.options, status=status,
        started=row.started, finished=row.finished, heartbeat=row.heartbeat, machine=row.machine, versions=row.versions,
        git_commit=row.git_commit, cells={state: counts[state] for state in schema.CELL_STATES if state in counts},
    )  # fmt: skip
