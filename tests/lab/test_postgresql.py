"""A store on a server: what is said when the server cannot, and that nothing waits for ever."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lab import crash, tiny_study
from lab.postgresql import PASSWORD, Server
from lab.runs import CELL, finished, new_run
from livepapers.core.errors import InputError
from livepapers.lab import database, postgresql, schema
from livepapers.lab.runner import run_study
from livepapers.lab.store import Store
from livepapers.lab.study import Study, from_module


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with Store(database_url) as made:
        yield made


@pytest.fixture(scope="module", name="postgresql")
def server(postgresql: Server) -> Server:
    """The session's server, with a user who has a password and one who may do nothing."""
    postgresql.do(f"CREATE ROLE keyed LOGIN PASSWORD '{PASSWORD}'", "CREATE ROLE poor LOGIN")
    return postgresql


def told(url: str, **options: bool) -> str:
    """The one line that opening a store there ends with."""
    with pytest.raises(InputError) as caught:
        Store(url, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("store: got ")
    return str(caught.value)


# ---- where it is ----


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_way_to_write_the_url_leads_to_the_installed_driver(database_url: str, scheme: str) -> None:
    with Store(database_url.replace("postgresql", scheme, 1)) as store:
        assert store._engine.dialect.driver == "psycopg"
        assert store.option().startswith(" --store 'postgresql://postgres@127.0.0.1:")
        assert store.home == Path(os.environ["LIVEPAPERS_HOME"])


def test_a_password_is_used_and_never_shown(postgresql: Server) -> None:
    with postgresql.database() as name:
        postgresql.do(f"ALTER DATABASE {name} OWNER TO keyed")
        url = postgresql.url(name, user="keyed", password=PASSWORD.replace(" ", "%20"))
        with Store(url) as store:
            new_run(store)
            assert f"keyed:***@127.0.0.1:{postgresql.port}/{name}" in store.option()
            with pytest.raises(InputError) as caught, database.transaction(store._engine, "read") as connection:
                connection.execute(sa.text("SELECT pg_sleep(0), 1 / 0"))
            assert "secret" not in str(caught.value)
        assert "secret" not in told(url.replace("secret", "wrong%20secret"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me:secret@host:port/db", r"postgresql://\*\*\*@host:port/db, expected a file, or a URL like"),
        ("postgresql://me:a@secret/x@host/db", r"postgresql://\*\*\*@host/db, .*an @ in .* is written %40"),
        ("postgresql://me:a?b@secret@host/db", r"postgresql://\*\*\*@host/db, .*an @ in .* is written %40"),
        ("mysql://me:secret@host/db", r"mysql://\*\*\*@host/db, expected a file, or a URL like postgresql://"),
        ("postgresql+psycopg2://me:secret@host/db", "expected a file, or a URL like postgresql://"),
        ("postgresql://127.0.0.1:1/db?password=secret", r"password=hidden, expected a server that answers \(.*refused"),
        ("postgresql://me:secret@127.0.0.1:1/db", r"me:\*\*\*@127.0.0.1:1/db, expected a server that answers"),
        ("postgresql://me:secret@127.0.0.1:1/db?colour=red", r'libpq knows \(invalid connection option "colour"'),
    ],
)
def test_a_url_that_leads_nowhere_gets_one_line_without_the_password(url: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        Store(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setitem(postgresql.CONNECTION, "connect_timeout", 2)  # the least that libpq knows
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        line = told(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/db")
        assert time.monotonic() - began < 10
    assert "expected a server that answers (connection timeout expired" in line


def test_whom_or_what_the_server_does_not_know_is_named(postgresql: Server) -> None:
    assert 'a database that exists (database "none" does not exist; `createdb`' in told(postgresql.url("none"))
    assert "a user and a password that the server accepts (password authentication failed" in told(
        postgresql.url(user="keyed", password="wrong")
    )
    assert 'that the server accepts (role "nobody" does not exist' in told(postgresql.url(user="nobody"))
    assert "a user who may make, read and write tables there (permission denied for schema public" in told(
        postgresql.url(user="poor")
    )
    assert "a schema that exists (no schema has been selected" in told(postgresql.url(schema="none"))


# ---- what is there ----


def test_looking_for_a_store_does_not_make_one(postgresql: Server, database_url: str) -> None:
    assert "expected a store (nothing was run here yet)" in told(database_url, create=False)
    assert "expected a store (nothing was run here yet)" in told(database_url, create=False), "and so it stayed"


def test_tables_of_something_else_are_left_alone(postgresql: Server) -> None:
    with postgresql.schema() as name:
        url = postgresql.url(schema=name)
        postgresql.do(f"CREATE TABLE {name}.runs (x integer)")
        assert "a livepapers store or a database without such tables (it has a table 'runs'" in told(url)
        postgresql.do(f"CREATE TABLE {name}.about (x integer)")
        assert "expected a livepapers store (column about.value does not exist; its tables are not ours)" in told(url)


def test_the_version_is_looked_at(store: Store, database_url: str) -> None:
    with store._engine.begin() as connection:
        connection.execute(sa.update(schema.about).values(value="99"))
    assert "a newer livepapers wrote it" in told(database_url)


def test_one_of_many_brings_an_older_store_forward(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = new_run(store)
    steps = {1: lambda connection: connection.execute(sa.text("ALTER TABLE runs ADD COLUMN note TEXT"))}
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(schema, "MIGRATIONS", steps)

    def look() -> str:
        with Store(store.url) as again:
            return again.run(run).slug

    with ThreadPoolExecutor(3) as pool:
        assert [future.result() for future in [pool.submit(look) for _ in range(3)]] == ["paper"] * 3


@pytest.mark.parametrize("change", ["UPDATE verdicts SET verdict = 'x'", "DELETE FROM verdicts", "TRUNCATE verdicts"])
def test_the_server_itself_refuses_to_change_a_verdict(store: Store, change: str) -> None:
    run, _ = new_run(store)
    store.add_verdict(run, "C1", verdict="inconclusive", record={})
    with pytest.raises(IntegrityError, match="verdicts are append-only"), store._write() as connection:
        connection.execute(sa.text(change))
    assert len(store.verdicts(run)) == 1


# ---- what goes wrong while it is used ----


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("53100", "room to write (no luck; the server's disk is full"),
        ("53300", "a server with a free connection"),
        ("57P01", "a server that is up"),
        ("58030", "a server whose disk works"),
        ("40P01", "a free database within 30 s"),
        ("XX001", "an intact database"),
    ],
)
def test_what_the_server_says_becomes_one_line(store: Store, state: str, expected: str) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    with store._engine.begin() as connection:  # the server says so at the next measurement
        connection.execute(
            sa.text(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION 'no luck' USING ERRCODE = '{state}'; END $$"
            )
        )
        connection.execute(
            sa.text("CREATE TRIGGER f BEFORE INSERT ON measurements FOR EACH ROW EXECUTE FUNCTION fail()")
        )
    with pytest.raises(InputError) as caught:
        store.finish_cell(run, finished(cost=1.0))
    assert f"expected {expected}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.cell_records(run)[0].status == "pending"


def test_a_database_that_is_read_only_can_be_read(postgresql: Server) -> None:
    with postgresql.database() as name:
        with Store(postgresql.url(name)) as store:
            run, _ = new_run(store)
        postgresql.do(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with Store(postgresql.url(name)) as store:
            assert store.run(run).slug == "paper"
            with pytest.raises(InputError, match=r"expected a writable database \(cannot execute INSERT"):
                new_run(store)


def test_a_lock_is_waited_for_and_then_given_up(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "LIMITS", "SET lock_timeout = '300ms'")
    with Store(database_url) as store, Store(database_url) as other:
        run, _ = new_run(store)
        with other._write() as connection:
            connection.execute(sa.text("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(InputError, match=r"expected a free database within 30 s \(canceling statement due to"):
                store.run(run)
        assert store.run(run).slug == "paper"


def test_a_process_that_sleeps_in_a_transaction_loses_it(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "LIMITS", "SET idle_in_transaction_session_timeout = '200ms'")
    with Store(database_url) as asleep, Store(database_url) as store:
        run, lease = new_run(store)

        def sleep() -> None:
            with asleep._write() as held:
                asleep._run_row(held, run, lock=True)
                assert store.beat(run, lease), "waits until the server frees the sleeper's lock, not for ever"
                asleep._run_row(held, run)

        with pytest.raises(InputError, match="expected transactions that end within 60 s"):
            sleep()
        assert asleep.run(run).slug == "paper", "its next transaction has a connection of its own"


def test_every_session_has_its_limits(store: Store) -> None:
    with store._read() as connection:
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        found = [connection.execute(sa.text(f"SHOW {name}")).scalar_one() for name in names]
    assert found == ["30s", "2min", "1min"]


def test_what_only_reads_cannot_write(store: Store) -> None:
    with pytest.raises(InputError, match="cannot execute UPDATE"), store._read() as connection:
        connection.execute(sa.update(schema.runs).values(slug="x"))


def test_a_restart_of_the_server_between_two_calls_is_not_noticed(postgresql: Server, store: Store) -> None:
    run, lease = new_run(store)
    with store._read() as connection:
        number = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    postgresql.do(f"SELECT pg_terminate_backend({number}, 5000)")
    assert store.beat(run, lease)


def test_all_connections_in_use_is_said(store: Store) -> None:
    store._engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    held = [store._engine.connect() for _ in range(15)]
    with pytest.raises(InputError, match="expected a free connection"):
        store.runs()
    for connection in held:
        connection.close()


# ---- a study, and the server of the tests ----


def test_a_study_measures_the_same_bits_as_in_a_file(database_url: str, tmp_path: Path, study: Study) -> None:
    found = []
    for place in (tmp_path / "calm" / "store.sqlite3", database_url):
        with Store(place) as store:
            run = run_study("tiny", study=study, store=store, preset="smoke", settings=["short"], workers=0)
            assert store.run(run).cells == {"finished": 5}
            found.append(crash.digest(store, run))
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_study_killed_half_way_ends_as_if_it_had_not_been(
    postgresql: Server, database_url: str, tmp_path: Path
) -> None:
    study = from_module(tiny_study, "tiny")
    with Store(tmp_path / "calm" / "store.sqlite3") as calm:
        expected = crash.digest(calm, run_study("tiny", study=study, store=calm, preset="smoke", workers=0))
    command = [sys.executable, crash.__file__, "--drive", database_url, "--workers", "2"]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert driver.stdout is not None
    with driver, Store(database_url) as store:
        run = driver.stdout.readline().split()[1].rstrip(":")
        until = time.monotonic() + 120
        while store.run(run).cells.get("finished", 0) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        driver.kill()  # its workers notice by themselves
        driver.wait()
        record = store.run(run)
        assert record.status == "interrupted"
        assert 3 <= record.cells["finished"] < sum(record.cells.values())
        assert run_study("tiny", study=study, store=store, resume=run, workers=2) == run
        assert store.run(run).status == "finished"
        assert crash.digest(store, run) == expected
        assert postgresql.forgotten() == []


def test_the_tests_server_goes_when_its_tests_are_killed() -> None:
    script = "from lab.postgresql import running\nwith running() as s: print(s.port, flush=True); input()"
    tests = str(Path(__file__).parents[1])
    killed = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tests, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    with killed:
        server = Server(int(killed.stdout.readline()))
        assert server.do("SELECT 1") == [(1,)]
        killed.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            server.do("SELECT 1")
        except Exception:  # noqa: BLE001 - however it says that it is gone
            return
        time.sleep(0.05)
    pytest.fail("the server outlived the tests")
