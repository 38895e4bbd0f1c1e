"""A PostgreSQL server of the tests' own: in a temporary folder, on loopback, gone when the tests are.

`python tests/lab/postgresql.py` starts one by hand, prints its URL and stops it at the end of its input. That is how
the tests start it too: the process that minds the server holds a pipe to them. When the pipe closes, be it that they
are done or that they were killed, it stops the server and deletes the folder.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NEEDED = 15
"""The server's version: from this one on a database may sort as people do, whatever the machine's locales are."""
PASSWORD = "one secret word"
# Only on loopback, and without a password but for the one user that has one.
HBA = """
local all all trust
host all keyed 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""
SETTINGS = {
    "listen_addresses": "127.0.0.1", "max_connections": "60", "shared_buffers": "32MB", "autovacuum": "off",
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "deadlock_timeout": "200ms",
    "max_wal_size": "200MB", "log_min_messages": "fatal",
}  # fmt: skip


class NoServerError(Exception):
    """There is no server that could be started; the message says why."""


def programs() -> Path:
    """The folder of the newest `postgres` and `initdb`, on the PATH or where Debian puts them."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which("postgres")
    for folder in [*([Path(found).resolve().parent] if found else []), *folders]:
        if not ((folder / "postgres").exists() and (folder / "initdb").exists()):
            continue
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        number = re.search(r"\d+", said)
        if number and int(number[0]) >= NEEDED:
            return folder
    raise NoServerError(f"no PostgreSQL server of version {NEEDED} or newer is installed (Debian: postgresql)")


@dataclass
class Server:
    """A running server.

    `user` is a superuser without a password; `keyed` has one. Tests make databases of their own.
    """

    port: int
    made: int = 0

    def url(self, database: str = "postgres", *, user: str = "postgres", password: str = "", schema: str = "") -> str:
        key = f":{password}" if password else ""
        path = f"?options=-csearch_path%3D{schema}" if schema else ""
        return f"postgresql://{user}{key}@127.0.0.1:{self.port}/{database}{path}"

    def do(self, *statements: str, database: str = "postgres") -> list[Any]:
        """Run statements, each on its own; returns the rows of the last."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = [connection.execute(statement.encode()) for statement in statements]
            return done[-1].fetchall() if done[-1].description else []

    @contextmanager
    def schema(self) -> Iterator[str]:
        """The name of an empty schema, which is made in a moment, where a database takes long."""
        self.made += 1
        name = f"test_{self.made}"
        self.do(f"CREATE SCHEMA {name}")
        try:
            yield name
        finally:
            self.do("SET lock_timeout = '5s'", f"DROP SCHEMA {name} CASCADE")

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of an empty database; it is dropped in the end, whoever is still connected."""
        self.made += 1
        name = f"test_{self.made}"
        self.do(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.do(f"DROP DATABASE {name} WITH (FORCE)")

    def forgotten(self) -> list[str]:
        """What sessions did that lie idle inside a transaction: there must be none when nobody works."""
        rows = self.do("SELECT state || ': ' || query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
        return [row[0] for row in rows]


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as the block lasts.

    Raises:
        NoServerError: None is installed, or it does not start.
    """
    programs()
    minder = subprocess.Popen(
        [sys.executable, "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches the tests, which still need the server
    )
    assert minder.stdin is not None
    assert minder.stdout is not None
    try:
        line = minder.stdout.readline()
        if not line.startswith("port "):
            raise NoServerError(f"PostgreSQL did not start: {(line + minder.stdout.read()).strip()}")
        yield Server(int(line.split()[1]))
    finally:
        minder.stdin.close()
        minder.wait(timeout=30)
        minder.stdout.close()


def main() -> None:
    """Start a server, say where it listens, and stop it when the input ends or a signal asks for it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="livepapers-postgresql-"))
    server: subprocess.Popen[Any] | None = None
    try:
        with (folder / "log").open("wb") as log:  # not a pipe, which would fill up and stop the server
            server, port = _start(folder, {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": folder})
        sys.stdout.write(f"port {port} postgresql://postgres@127.0.0.1:{port}/postgres\n")
        sys.stdout.flush()
        sys.stdin.read()
    except (NoServerError, subprocess.CalledProcessError) as error:
        sys.stdout.write(f"{error}\n{(folder / 'log').read_text(errors='replace')}")
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, output: dict[str, Any]) -> tuple[subprocess.Popen[Any], int]:
    """Make a cluster and start it; a port that somebody takes at that very moment is exchanged for another."""
    place, data = programs(), folder / "data"
    output |= _owner(folder)
    options = ["--auth=trust", "--no-sync", "--no-instructions", "--encoding=UTF8", "--username=postgres"]
    locale = ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]  # sorts as people do and SQLite does not
    subprocess.run([place / "initdb", *options, *locale, "-D", data], check=True, **output)
    (data / "pg_hba.conf").write_text(HBA)
    for _ in range(3):
        port = _free_port()
        settings = SETTINGS | {"port": str(port), "unix_socket_directories": str(folder)}
        flags = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        server = subprocess.Popen([place / "postgres", "-D", data, *flags], **output)
        if _ready(server, data):
            return server, port
    raise NoServerError("postgres ended at once, three times")


def _owner(folder: Path) -> dict[str, Any]:
    """Whom the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _ready(server: subprocess.Popen[Any], data: Path) -> bool:
    """Wait until the server says that it is ready, in the last line of its pid file; False when it has ended."""
    note = data / "postmaster.pid"
    while server.poll() is None:
        if note.exists() and note.read_text().rstrip().endswith("ready"):
            return True
        time.sleep(0.02)
    return False


if __name__ == "__main__":
    main()
