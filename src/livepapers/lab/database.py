"""The run store's database: where it lies, how it is made, checked, brought forward and copied; its transactions."""

import contextlib
import importlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from livepapers.core.errors import InputError, StoreError
from livepapers.lab import postgresql, schema

FILE = "store.sqlite3"
BUSY = 30.0
"""Seconds that a writer waits for another one."""

NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs",
})  # fmt: skip
"""File systems on which SQLite's WAL mode is not safe: its shared memory does not cross machines."""


def default_home() -> Path:
    """`$LIVEPAPERS_HOME`, or `.livepapers` in the current folder."""
    return Path(os.environ.get("LIVEPAPERS_HOME") or ".livepapers").expanduser().absolute()


def locate(location: str | Path | None) -> tuple[Path, str, Path | None]:
    """The folder for a store's files, its database URL, and its file (None when the database is a server)."""
    if isinstance(location, str) and "://" in location:
        if not location.startswith("sqlite"):
            return default_home(), postgresql.url_of(location).render_as_string(hide_password=False), None
        try:
            url = make_url(location)
        except (ArgumentError, ValueError):
            url = None
        if url is None or not url.database:
            raise InputError.of("store", location, expected="a file, or sqlite:///and/its/path")
        location = url.database
    path = default_home() / FILE if location is None else Path(location).expanduser().absolute()
    if path.is_dir() or not (path.exists() or path.suffix):  # a name without a dot will be a folder
        path = path / FILE
    return path.parent, f"sqlite:///{path}", path


def open_engine(url: str, path: Path | None, *, create: bool) -> Engine:
    """Connect to the database at `url`, made first if need be and brought to today's tables."""
    if path is None:
        return _open_server(url, create=create)
    if not path.exists():
        if not create:
            raise InputError.of("store", str(path), expected="a store", cause="nothing was run here yet")
        try:
            _create(path)
        except OSError as error:
            told = error.strerror or str(error)
            raise InputError.of("store", str(path), expected="a place that can be written", cause=told) from None
    _check_file(path)
    engine = _sqlite(url)
    try:
        _check_version(engine, path)
        _set_journal(engine, journal_mode(path))
    except BaseException:
        engine.dispose()
        raise
    return engine


def journal_mode(path: Path) -> str:
    """WAL, or DELETE where `path` lies on a network file system."""
    return "DELETE" if _file_system(path) in NETWORK else "WAL"


def copy(engine: Engine, target: Path) -> None:
    """Write a consistent copy of an SQLite database to the new file `target`, whole or not at all."""
    if target.exists():
        raise InputError.of("backup", str(target), expected="a file that is not there yet")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("VACUUM INTO ?", (str(beside),))
        beside.replace(target)
    except sqlite3.DatabaseError as error:
        raise InputError.of("backup", str(target), expected="room to write", cause=str(error)) from error
    finally:
        raw.close()
        beside.unlink(missing_ok=True)


def insert_of(engine: Engine) -> Any:
    """The database's own `insert`, which knows what to do where a row is there already."""
    # imported when it is known which one is wanted: the other costs a tenth of a second
    return importlib.import_module(f"sqlalchemy.dialects.{engine.dialect.name}").insert


@contextlib.contextmanager
def transaction(engine: Engine, kind: Literal["read", "quick", "durable"]) -> Iterator[Connection]:
    """A transaction that reads, or writes; SQLite waits for the disk at the end of a durable one only.

    Raises:
        StoreError: The database cannot do it; the message is one line for a person.
    """
    try:
        with engine.connect().execution_options(livepapers=kind) as connection, connection.begin():
            yield connection
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise explain(error, engine) from error
    except PoolTimeout as error:
        cause = "all of this process's connections are in use"
        raise StoreError.of("store", shown(engine), expected="a free connection", cause=cause) from error


def make_tables(engine: Engine, tables: MetaData) -> None:
    """Make those of `tables` and their indexes that are not there yet; any number of processes may at the same time."""
    with transaction(engine, "durable") as connection:
        _claim(connection)
        tables.create_all(connection)
        for table in tables.sorted_tables:  # a store made by an earlier version has the table and lacks what is new
            for index in table.indexes:
                index.create(connection, checkfirst=True)


def shown(engine: Engine) -> str:
    """The database for people: its file, or its URL without the password."""
    return postgresql.shown(engine.url) if engine.dialect.name == "postgresql" else str(engine.url.database)


def explain(error: DBAPIError, engine: Engine) -> Exception:
    """The database's complaint as one line for a person; what nobody but a programmer can mend stays as it is."""
    if engine.dialect.name == "postgresql":
        return postgresql.explain(error, engine.url)
    text, place = str(error.orig).lower(), Path(shown(engine))  # of a path the end is shown
    if "malformed" in text or "not a database" in text or "unsupported file format" in text:
        return StoreError.of(
            "store", place, expected="an intact store", cause=f"it is damaged: {error.orig}; restore a backup"
        )
    if "full" in text or "disk i/o" in text:
        return StoreError.of(
            "store", place, expected="room to write", cause=f"{error.orig}; free some space, then resume"
        )
    if "readonly" in text or "unable to open" in text:
        return StoreError.of("store", place, expected="a writable store", cause=str(error.orig))
    if "locked" in text:
        return StoreError.of(
            "store", place, expected=f"a free store within {BUSY:.0f} s", cause="another program holds it"
        )
    return error


def _open_server(url: str, *, create: bool) -> Engine:
    engine = postgresql.connect(make_url(url))
    try:
        _fill(engine, create=create)
        _check_version(engine, None)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _fill(engine: Engine, *, create: bool) -> None:
    """See that a server has the store's tables: they are made in one transaction, by one process."""
    with transaction(engine, "read") as connection:
        if postgresql.has_store(connection, schema.TABLES):
            return
    if not create:
        raise InputError.of("store", shown(engine), expected="a store", cause="nothing was run here yet")
    with transaction(engine, "durable") as connection:
        _claim(connection)
        if not postgresql.has_store(connection, schema.TABLES):  # asked again: another process may have been faster
            schema.TABLES.create_all(connection)
            connection.execute(sa.insert(schema.about).values(key="version", value=str(schema.VERSION)))


def _claim(connection: Connection) -> None:
    """Be the only one to make or change tables until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        postgresql.claim(connection)


def _sqlite(url: str) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": BUSY})

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("livepapers", "durable")
        connection.exec_driver_sql(f"PRAGMA synchronous = {'NORMAL' if kind == 'quick' else 'FULL'}")
        connection.exec_driver_sql("BEGIN" if kind == "read" else "BEGIN IMMEDIATE")

    return engine


def _create(path: Path) -> None:
    """Make the store beside its place and rename it there, so that nobody ever meets half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        engine = _sqlite(f"sqlite:///{beside}")
        try:
            with engine.begin() as connection:
                schema.TABLES.create_all(connection)
                connection.execute(sa.insert(schema.about).values(key="version", value=str(schema.VERSION)))
            _set_journal(engine, journal_mode(path))
            engine.dispose()  # the last connection folds the journal into the file
            beside.replace(path)
        finally:
            engine.dispose()
            beside.unlink(missing_ok=True)


def _set_journal(engine: Engine, mode: str) -> None:
    """Set the journal mode that the file keeps; asked first, because setting it needs the file for itself."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        if cursor.execute("PRAGMA journal_mode").fetchone()[0].upper() != mode:
            cursor.execute(f"PRAGMA journal_mode = {mode}")
    except sqlite3.OperationalError as error:
        cause = f"{error}; its file system needs journal mode {mode}: stop other runs first"
        raise InputError.of(
            "store", shown(engine), expected="a store that no other program holds", cause=cause
        ) from None
    finally:
        raw.close()


def _check_file(path: Path) -> None:
    """Refuse what SQLite would take for a new database.

    The file is not opened here: closing it would drop the locks that SQLite holds on it for this whole process.
    """
    if not path.is_file():
        raise InputError.of("store", str(path), expected="a file")
    if path.stat().st_size == 0:
        cause = "the file is empty; move it away or restore a backup"
        raise InputError.of("store", str(path), expected="a livepapers store", cause=cause)


def _check_version(engine: Engine, path: Path | None) -> None:
    place = shown(engine)
    try:
        with engine.connect().execution_options(livepapers="read") as connection:
            version = _version(connection)
    except DatabaseError as error:
        known = explain(error, engine)
        if isinstance(known, InputError):
            raise known from None
        raise InputError.of("store", place, expected="a livepapers store", cause=f"{error.orig}") from None
    if version is None or not version.isdecimal():
        raise InputError.of("store", place, expected="a livepapers store", cause="it says no version")
    if int(version) > schema.VERSION:
        cause = "a newer livepapers wrote it: upgrade this one"
        raise InputError.of(
            "store", f"{place} of version {version}", expected=f"version {schema.VERSION} or older", cause=cause
        )
    if int(version) < schema.VERSION:
        _migrate(engine, path)


def _migrate(engine: Engine, path: Path | None) -> None:
    """Bring an older store forward, step by step in one transaction, an SQLite file after a backup beside it."""
    if path is not None:
        copy(engine, path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}.backup"))
    with transaction(engine, "durable") as connection:
        _claim(connection)
        version = int(_version(connection) or 0)  # read again: another process may have been faster
        for step in range(version, schema.VERSION):
            schema.MIGRATIONS[step](connection)
        connection.execute(
            sa.update(schema.about).where(schema.about.c.key == "version").values(value=str(schema.VERSION))
        )


def _version(connection: Connection) -> str | None:
    return connection.execute(
        sa.select(schema.about.c.value).where(schema.about.c.key == "version")
    ).scalar_one_or_none()


def _file_system(path: Path) -> str:
    """The kind of file system that holds `path`, as Linux names it; empty elsewhere."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    target, best, kind = path.absolute(), Path(), ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        if target.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, after.split()[0]
    return kind
