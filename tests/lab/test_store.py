"""A store in a file: where it lies, how it is opened, what is said of damage. The rest: `test_store_contract`."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from lab.runs import CELL, new_run
from livepapers.core.errors import InputError
from livepapers.lab import database, machine, schema
from livepapers.lab.store import Store, file_name
from livepapers.lab.study import Cell


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


def test_file_names_are_plain_and_keep_names_apart() -> None:
    assert file_name("walk-1.5_a") == "walk-1.5_a"
    odd = [file_name(name) for name in ("a/b", "a b", "..", "", "a:b", "x" * 200, "x" * 201, "é", ".hidden", "dot.")]
    assert len(set(odd)) == len(odd)
    assert all("/" not in name and not name.startswith(".") and len(name) < 80 for name in odd)
