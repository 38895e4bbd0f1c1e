"""The store keeps what it was told, says clearly what it cannot read, and many processes may write at once."""

import math
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lab.processes import write_many
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.lab import database, machine, schema
from livepapers.lab.store import CellResult, Store, file_name
from livepapers.lab.study import Cell

CELL = Cell("ours", "s/1", 0)


def new_run(store: Store, slug: str = "paper") -> tuple[str, str]:
    return store.create_run(
        slug, 1, preset="smoke", options={"seeds": None}, machine={"cores": 2}, versions={"numpy": "2"}, git_commit=None
    )


def finished(cell: Cell = CELL, **values: float) -> CellResult:
    return CellResult(cell, "finished", measurements=values, wall=1.5, work={"steps": 3})


def test_a_run_id_reads_well_and_says_the_paper_and_the_day(store: Store) -> None:
    run, _ = new_run(store)
    slug, day, letters = run.split("-")
    assert slug == "paper"
    assert len(day) == 8
    assert day.isdecimal()
    assert len(letters) == 4


def test_what_a_finished_cell_measured_is_what_claims_see(store: Store) -> None:
    run, _ = new_run(store)
    other = Cell("theirs", "s/1", 0)
    store.add_cells(run, [CELL, other])
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    points = [("loss", 2, 0.5), ("loss", 1, 1.0), ("odd", 1, math.nan), ("odd", 2, math.inf)]
    result = CellResult(
        CELL, "finished", measurements={"cost": 0.1, "gap": -2.0}, points=points, samples={"x y": array}
    )
    store.finish_cell(run, result)
    cells = store.cells(run)
    assert cells.has(arm="ours", setting="s/1", seed=0)
    assert not cells.has(arm="theirs", setting="s/1", seed=0)
    assert cells.value("cost", arm="ours", setting="s/1", seed=0) == 0.1
    assert cells.samples("x y", arm="ours", setting="s/1", seed=0).tolist() == array.tolist()
    steps, values = cells.curve("loss", arm="ours", setting="s/1", seed=0)
    assert (steps.tolist(), values.tolist()) == ([1, 2], [1.0, 0.5])
    odd = store.curve(run, CELL, "odd")[1]
    assert math.isnan(odd[0])
    assert odd[1] == math.inf
    assert store.curve_names(run, CELL) == ["loss", "odd"]
    assert store.run(run).cells == {"pending": 1, "finished": 1}


def test_a_measurement_that_is_not_finite_is_refused_by_name(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    with pytest.raises(ValueError, match="'cost' of ours/s/1/0 is nan"):
        store.finish_cell(run, finished(cost=math.nan))
    assert store.cell_records(run)[0].status == "pending"


def test_entering_cells_again_leaves_finished_ones_as_they_are(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.finish_cell(run, finished(cost=1.0))
    store.add_cells(run, [CELL, Cell("ours", "s/1", 1)])
    assert [record.status for record in store.cell_records(run)] == ["finished", "pending"]


def test_a_point_written_twice_keeps_the_newer_value(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.add_points(run, CELL, [("loss", 1, 1.0)], progress=0.25)
    store.add_points(run, CELL, [("loss", 1, 2.0), ("loss", 2, 3.0)])
    assert store.curve(run, CELL, "loss")[1].tolist() == [2.0, 3.0]
    store.start_cell(run, CELL)
    assert store.progress(run) == {CELL: 0.25}


def test_finishing_replaces_what_an_earlier_attempt_left(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.add_points(run, CELL, [("stale", 1, 1.0)])
    store.finish_cell(run, finished(cost=1.0))
    assert store.curve_names(run, CELL) == []


def test_things_that_are_not_there_are_named(store: Store) -> None:
    with pytest.raises(InputError, match="run: got nothing-here, expected the id of a run"):
        store.run("nothing-here")
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    with pytest.raises(KeyError, match="no curve 'loss'"):
        store.curve(run, CELL, "loss")
    with pytest.raises(KeyError, match="no samples 'x'"):
        store.samples(run, CELL, "x")
    with pytest.raises(KeyError, match="no cell a/b/1"):
        store.start_cell(run, Cell("a", "b", 1))


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_samples_that_do_not_verify_are_refused(store: Store, damage: str) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.finish_cell(run, CellResult(CELL, "finished", samples={"x": np.zeros(3)}))
    (file,) = store.folder(run).rglob("*.safetensors")
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CorruptFileError):
        store.samples(run, CELL, "x")


def test_verdicts_are_only_ever_added(store: Store) -> None:
    run, _ = new_run(store)
    store.add_verdict(run, "C1", verdict="inconclusive", record={"p": 0.3})
    store.add_verdict(run, "C1", verdict="reproduced", record={"p": 0.01})
    assert [row["verdict"] for row in store.verdicts(run)] == ["reproduced"]
    assert [row["verdict"] for row in store.verdicts(run, history=True)] == ["inconclusive", "reproduced"]
    with (
        sqlite3.connect(store.home / "store.sqlite3") as raw,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        raw.execute("UPDATE verdicts SET verdict = 'reproduced'")
    raw.close()
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.add_verdict(run, "C1", verdict="reproduced", record={"p": math.nan})


# ---- whose run is it ----


def test_a_run_that_a_live_process_drives_is_not_taken_over(store: Store) -> None:
    run, lease = new_run(store)
    with pytest.raises(InputError, match=f"process {os.getpid()} on .* drives it"):
        store.take_lease(run)
    store.end_run(run, lease, status="interrupted")
    assert store.take_lease(run) != lease


@pytest.mark.parametrize(
    ("column", "value"),
    [("heartbeat", time.time() - 61), ("heartbeat", time.time() + 3600), ("process", "1:1")],
    ids=["silent for a minute", "from the future", "another process"],
)
def test_a_run_without_signs_of_life_is_marked_interrupted(store: Store, column: str, value: object) -> None:
    run, lease = new_run(store)
    store.add_cells(run, [CELL])
    store.start_cell(run, CELL)
    with sqlite3.connect(store.home / "store.sqlite3") as raw:
        raw.execute(f"UPDATE runs SET {column} = ?", (value,))
    raw.close()
    assert store.run(run).status == "interrupted"
    assert store.cell_records(run)[0].status == "interrupted"
    store.take_lease(run)
    assert not store.beat(run, lease), "the driver that had fallen asleep learns that it has lost the run"


def test_a_heartbeat_on_another_host_counts_as_life(store: Store) -> None:
    run, _ = new_run(store)
    with sqlite3.connect(store.home / "store.sqlite3") as raw:
        raw.execute("UPDATE runs SET host = 'elsewhere', process = '1:1'")
    raw.close()
    assert store.run(run).status == "running"


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    time.sleep(0.3)
    assert not machine.Process(machine.this_process().host, f"{child.pid}:1").may_run()
    assert machine._identity(child.pid) == ""
    child.wait()


# ---- opening ----


def test_the_home_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEPAPERS_HOME", str(tmp_path / "home"))
    with Store() as store:
        assert store.home == tmp_path / "home"
    monkeypatch.delenv("LIVEPAPERS_HOME")
    monkeypatch.chdir(tmp_path)
    with Store() as store:
        assert store.home == tmp_path / ".livepapers"


def test_looking_for_a_store_does_not_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing was run here yet"):
        Store(tmp_path / "none" / "store.sqlite3", create=False)
    assert not (tmp_path / "none").exists()


def overwrite_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:] = os.urandom(len(data) - 100)
    path.write_bytes(bytes(data))


def set_version(path: Path, value: str | None) -> None:
    with sqlite3.connect(path) as raw:
        if value is None:
            raw.execute("DELETE FROM about")
        else:
            raw.execute("UPDATE about SET value = ?", (value,))
    raw.close()


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE t (x)")
    raw.close()


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "garbage": (lambda path: path.write_bytes(b"\x00garbage" * 1000), "damaged"),
    "text": (lambda path: path.write_text("hello"), "damaged"),
    "header only": (lambda path: path.write_bytes(path.read_bytes()[:50]), "damaged"),
    "overwritten": (overwrite_middle, "damaged|expected a livepapers store"),
    "foreign": (foreign, "no such table"),
    "newer": (lambda path: set_version(path, "99"), "a newer livepapers wrote it"),
    "no version": (lambda path: set_version(path, None), "it says no version"),
    "odd version": (lambda path: set_version(path, "x1"), "it says no version"),
    "folder": (lambda path: (path.unlink(), path.mkdir(), (path / "store.sqlite3").mkdir()), "expected a file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_no_store_gets_one_clear_line_and_is_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "store.sqlite3"
    Store(path).close()
    harm, message = DAMAGES[damage]
    harm(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(InputError, match=message) as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("store: got ")
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_truncated_journal_costs_its_tail_and_nothing_else(tmp_path: Path) -> None:
    with Store(tmp_path / "a" / "store.sqlite3") as store:
        run, _ = new_run(store)
        store.add_cells(run, [CELL])
        for step in range(50):
            store.add_points(run, CELL, [("loss", step, float(step))])
        shutil.copytree(tmp_path / "a", tmp_path / "b")  # as a crash would leave it, the journal still beside the file
    journal = tmp_path / "b" / "store.sqlite3-wal"
    journal.write_bytes(journal.read_bytes()[:-5000])
    (tmp_path / "b" / "store.sqlite3-shm").unlink()
    with Store(tmp_path / "b" / "store.sqlite3") as store:
        steps, values = store.curve(run, CELL, "loss")
        assert 40 <= len(steps) < 50
        assert steps.tolist() == values.tolist() == list(range(len(steps)))


def test_an_older_store_is_brought_forward_after_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.sqlite3"
    with Store(path) as store:
        run, _ = new_run(store)
    steps = {1: lambda connection: connection.execute(sa.text("ALTER TABLE runs ADD COLUMN note TEXT"))}
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with Store(path) as store:
        assert store.run(run).slug == "paper"
    with Store(path):
        backups = list(tmp_path.glob("*.backup"))
    assert len(backups) == 1, "a store that is up to date is not migrated again"
    monkeypatch.setattr(schema, "VERSION", 1)
    with Store(backups[0]) as store:
        assert store.run(run).slug == "paper"


def test_a_migration_that_fails_leaves_the_old_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.sqlite3"
    Store(path).close()

    def fail(connection: sa.Connection) -> None:
        connection.execute(sa.text("ALTER TABLE runs ADD COLUMN note TEXT"))
        raise RuntimeError("half way")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "VERSION", 2)
        patch.setattr(schema, "MIGRATIONS", {1: fail})
        with pytest.raises(RuntimeError, match="half way"):
            Store(path)
    with Store(path) as store:
        new_run(store)
        with sqlite3.connect(path) as raw:
            assert "note" not in [row[1] for row in raw.execute("PRAGMA table_info(runs)")]
        raw.close()


def test_wal_is_used_here_and_not_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.journal_mode(tmp_path) == "WAL"
    monkeypatch.setattr(database, "_file_system", lambda path: "nfs4")
    path = tmp_path / "store.sqlite3"
    with Store(path) as store:
        new_run(store)
        assert not path.with_name("store.sqlite3-wal").exists()
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    raw.close()


def test_a_backup_is_a_store_and_overwrites_nothing(store: Store, tmp_path: Path) -> None:
    run, _ = new_run(store)
    store.backup(tmp_path / "copy" / "store.sqlite3")
    with Store(tmp_path / "copy" / "store.sqlite3") as copy:
        assert copy.run(run).slug == "paper"
    with pytest.raises(InputError, match="expected a file that is not there yet"):
        store.backup(tmp_path / "copy" / "store.sqlite3")


@pytest.mark.parametrize("url", ["mysql://host/db", "nonsense://", "postgresql://nobody:secret@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_used_gets_one_line_without_the_password(url: str) -> None:
    with pytest.raises(InputError) as caught:
        Store(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_full_disk_is_said_plainly_and_the_store_stays_readable(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from livepapers.lab.store import Store
from livepapers.lab.study import Cell
from livepapers.core.errors import InputError
store = Store(sys.argv[1])
run, _ = store.create_run("p", 1, preset="smoke", options={}, machine={}, versions={}, git_commit=None)
cell = Cell("a", "s", 0)
store.add_cells(run, [cell])
store.add_points(run, cell, [("loss", 0, 1.0)])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    for batch in range(100):
        store.add_points(run, cell, [(f"curve {batch}", step, 1.0) for step in range(1000)])
except InputError as error:
    print(run, error)
"""
    path = tmp_path / "store.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    run, _, message = done.stdout.strip().partition(" ")
    assert "expected room to write" in message
    with Store(path) as store:
        assert store.curve(run, Cell("a", "s", 0), "loss")[1].tolist() == [1.0]


# ---- many writers, and writers that die ----


@pytest.mark.slow
def test_eight_processes_write_at_once_and_none_finds_the_store_locked(tmp_path: Path) -> None:
    path, rows = tmp_path / "store.sqlite3", 5000
    with Store(path) as store:
        run, _ = new_run(store)
        store.add_cells(run, [Cell("ours", "s/1", number) for number in range(8)])
        context = multiprocessing.get_context("forkserver")  # imports torch once, not eight times
        context.set_forkserver_preload(["livepapers.lab.store"])
        processes = [context.Process(target=write_many, args=(str(path), run, number, rows)) for number in range(8)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * 8
        for number in range(8):
            assert len(store.curve(run, Cell("ours", "s/1", number), "loss")[0]) == rows


def test_what_was_acknowledged_survives_kill_nine(tmp_path: Path) -> None:
    script = """
import sys
from livepapers.lab.store import Store
from livepapers.lab.study import Cell
store, cell = Store(sys.argv[1]), Cell("a", "s", 0)
run, _ = store.create_run("p", 1, preset="smoke", options={}, machine={}, versions={}, git_commit=None)
store.add_cells(run, [cell])
print(run, flush=True)
for step in range(10**9):
    store.add_points(run, cell, [("loss", step, float(step))])
    print(step, flush=True)
"""
    path = tmp_path / "store.sqlite3"
    writer = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    run = writer.stdout.readline().strip()
    last = ""
    for _ in range(200):
        last = writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    acknowledged = int(
        (last + writer.stdout.read()).split("\n")[-2]
    )  # what follows the last line break is no whole line
    writer.wait()
    writer.stdout.close()
    with Store(path) as store:
        steps = store.curve(run, Cell("a", "s", 0), "loss")[0]
        assert steps[-1] >= acknowledged
        assert store.run(run).status == "interrupted"


# ---- against a model ----

names = st.sampled_from(["ours", "theirs", "a/b"])
seeds = st.integers(0, 2)
values = st.floats(allow_nan=False, allow_infinity=False)


class StoreMachine(RuleBasedStateMachine):
    """Whatever is done to a run, in whatever order, the store says what a dictionary would."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"store-machine-{os.getpid()}-{time.monotonic_ns()}"
        self.store = Store(self.folder / "store.sqlite3")
        self.run_id, self.lease = new_run(self.store)
        self.status: dict[Cell, str] = {}
        self.metrics: dict[Cell, dict[str, float]] = {}
        self.points: dict[Cell, dict[int, float]] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(arm=names, seed=seeds)
    def add(self, arm: str, seed: int) -> None:
        cell = Cell(arm, "s", seed)
        self.store.add_cells(self.run_id, [cell])
        self.status.setdefault(cell, "pending")

    @rule(arm=names, seed=seeds, step=st.integers(0, 5), value=values)
    def log(self, arm: str, seed: int, step: int, value: float) -> None:
        cell = Cell(arm, "s", seed)
        if cell in self.status:
            self.store.add_points(self.run_id, cell, [("loss", step, value)])
            self.points.setdefault(cell, {})[step] = value

    @rule(arm=names, seed=seeds)
    def start(self, arm: str, seed: int) -> None:
        cell = Cell(arm, "s", seed)
        if self.status.get(cell) not in {None, "finished"}:
            self.store.start_cell(self.run_id, cell)
            self.status[cell] = "running"

    @rule(arm=names, seed=seeds, value=values, curve=st.dictionaries(st.integers(0, 5), values))
    def finish(self, arm: str, seed: int, value: float, curve: dict[int, float]) -> None:
        cell = Cell(arm, "s", seed)
        if cell in self.status:
            points = [("loss", step, number) for step, number in curve.items()]
            self.store.finish_cell(
                self.run_id, CellResult(cell, "finished", measurements={"cost": value}, points=points)
            )
            self.status[cell], self.metrics[cell], self.points[cell] = "finished", {"cost": value}, curve

    @rule()
    def interrupt_and_resume(self) -> None:
        self.store.end_run(self.run_id, self.lease, status="interrupted")
        self.status = {cell: "interrupted" if status == "running" else status for cell, status in self.status.items()}
        self.lease = self.store.take_lease(self.run_id)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.folder / "store.sqlite3")

    @invariant()
    def says_what_the_model_says(self) -> None:
        assert {record.cell: record.status for record in self.store.cell_records(self.run_id)} == self.status
        cells = self.store.cells(self.run_id)
        for cell, status in self.status.items():
            assert cells.has(arm=cell.arm, setting="s", seed=cell.seed) == (status == "finished")
            if status == "finished":
                cost = cells.value("cost", arm=cell.arm, setting="s", seed=cell.seed)
                assert cost == self.metrics[cell]["cost"]
            curve = self.points.get(cell)
            if curve:
                steps, numbers = self.store.curve(self.run_id, cell, "loss")
                assert dict(zip(steps.tolist(), numbers.tolist(), strict=True)) == curve


StoreMachine.TestCase.settings = hypothesis_settings(max_examples=12, stateful_step_count=15, deadline=None)
TestStoreAgainstAModel = StoreMachine.TestCase


def test_file_names_are_plain_and_keep_names_apart() -> None:
    assert file_name("walk-1.5_a") == "walk-1.5_a"
    odd = [file_name(name) for name in ("a/b", "a b", "..", "", "a:b", "x" * 200, "x" * 201, "é", ".hidden", "dot.")]
    assert len(set(odd)) == len(odd)
    assert all("/" not in name and not name.startswith(".") and len(name) < 80 for name in odd)
