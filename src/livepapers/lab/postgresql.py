"""The store on a PostgreSQL server: its connection, the making of its tables, and its complaints as one line.

Nothing here waits for ever: connecting, waiting for a lock, a statement, a transaction that its process has forgotten
and a peer that is gone without a word each have a limit, so that a run or a page gets an error that it can tell.
"""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, MetaData, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, OperationalError

from livepapers.core.errors import InputError, StoreError

SCHEMES = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
LOCK_WAIT, STATEMENT, FORGOTTEN = 30, 120, 60
"""Seconds that a statement may wait for a lock and run in all, and that a transaction may lie idle."""
CONNECTION = {
    "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    "tcp_user_timeout": 60_000, "application_name": "livepapers",
}  # fmt: skip
"""What libpq is told where the URL does not say it."""
LIMITS = (
    f"SET lock_timeout = '{LOCK_WAIT}s'; SET statement_timeout = '{STATEMENT}s'; "
    f"SET idle_in_transaction_session_timeout = '{FORGOTTEN}s'"
)
MAKING = 0x6C697665
"""The advisory lock that whoever makes or changes tables holds."""

# What the server says, by SQLSTATE or its first digits, the longer first: what was expected, and the mend.
EXPECTED = {
    "25006": ("a writable database", "it is a standby, or set to read only"),
    "25P03": (f"transactions that end within {FORGOTTEN} s", "this process was stopped in the middle of one"),
    "28": ("a user and a password that the server accepts", "the password may stand in PGPASSWORD or ~/.pgpass"),
    "3D": ("a database that exists", "`createdb` makes one"),
    "3F": ("a schema that exists", "see the search_path of this user"),
    "40": (f"a free database within {LOCK_WAIT} s", "other programs held the same rows; give the command again"),
    "42501": ("a user who may make, read and write tables there", "GRANT it to this user"),
    "42": ("a livepapers store", "its tables are not ours"),
    "53100": ("room to write", "the server's disk is full; free some space, then resume"),
    "53300": ("a server with a free connection", "raise its max_connections, or stop other programs"),
    "53": ("a server with room to work", "it is short of memory or of another resource"),
    "55P03": (f"a free database within {LOCK_WAIT} s", "another program holds the same rows"),
    "57014": (f"statements that end within {STATEMENT} s", "the server is overloaded, or somebody cancelled it"),
    "57": ("a server that is up", "it is starting, stopping, or was restarted; then give the command again"),
    "58": ("a server whose disk works", "see the server's log"),
    "08": ("a server that answers", "is it up, and are host and port right?"),
    "22": ("text and numbers that the database can hold", ""),
    "option": ("a URL whose options libpq knows", "what follows the ? is misspelt"),
    "XX": ("an intact database", "it may be damaged: see the server's log, restore a backup"),
}
# A server that refuses a connection gives no SQLSTATE through libpq, only words.
REFUSALS = (
    (r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* does not exist|not permitted", "28"),
    (r"database .* does not exist", "3D"),
    (r"too many (clients|connections)|connection slots", "53300"),
    (r"permission denied for database", "42501"),
    (r"starting up|shutting down|administrator command|recovery mode", "57"),
)


def url_of(location: str) -> URL:
    """The URL that a person gave, with the one driver that is used.

    Raises:
        InputError: It is no `postgresql://` URL; the message shows no password.
    """
    expected = "a file, or a URL like postgresql://user@host:5432/database"
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise InputError.of("store", _masked(location), expected=expected, cause="it cannot be read") from None
    if "@" in f"{url.host}{url.database}":
        cause = "an @ in a user or password is written %40"
        raise InputError.of("store", _masked(location), expected=expected, cause=cause)
    if url.drivername not in SCHEMES:
        raise InputError.of("store", _masked(location), expected=expected)
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """The URL for people: without passwords, and without the name of a driver."""
    query = {name: "hidden" if "password" in name else value for name, value in url.query.items()}
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=True)


def connect(url: URL) -> Engine:
    """An engine whose transactions know whether they write, and whose waits have limits; connects to nothing yet."""
    try:
        engine = sa.create_engine(
            url,
            pool_pre_ping=True,  # a server that was restarted meanwhile costs no error
            connect_args={name: value for name, value in CONNECTION.items() if name not in url.query},
        )
        from psycopg import IsolationLevel
    except ImportError as error:
        cause = f"{error}; pip install 'livepapers[postgresql]'"
        raise InputError.of("store", shown(url), expected="the driver psycopg", cause=cause) from None

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _: object) -> None:
        connection.autocommit = True
        connection.execute(LIMITS)
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        reads = connection.get_execution_options().get("livepapers", "durable") == "read"
        raw.read_only = reads or None  # sent along with BEGIN, as is the next: neither costs a round trip
        # several queries of one reader see one state, as they do in SQLite
        raw.isolation_level = IsolationLevel.REPEATABLE_READ if reads else IsolationLevel.READ_COMMITTED

    return engine


def claim(connection: Connection) -> None:
    """Be the only one to make or change tables until the transaction ends."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MAKING)))


def has_store(connection: Connection, tables: MetaData) -> bool:
    """Whether the store's tables are there; `InputError` when the database holds others by the same names."""
    there = set(sa.inspect(connection).get_table_names())
    ours = there & tables.tables.keys()
    if ours and "about" not in ours:
        raise InputError.of(
            "store",
            shown(connection.engine.url),
            expected="a livepapers store or a database without such tables",
            cause=f"it has a table {min(ours)!r} of something else; make a database for livepapers alone",
        )
    return bool(ours)


def put_points(connection: Connection, cell: int, points: Mapping[tuple[str, int], float | None]) -> None:
    """Write curve points, (name, step) -> value, as three arrays in one statement: a row each takes ten times as long.

    A point that is there takes the new value.
    """
    statement = sa.text(
        "INSERT INTO points (cell, name, step, value) SELECT :cell, name, step, value FROM "
        "unnest(CAST(:names AS text[]), CAST(:steps AS bigint[]), CAST(:values AS float8[])) AS p (name, step, value) "
        "ON CONFLICT (cell, name, step) DO UPDATE SET value = excluded.value"
    )
    names, steps = [name for name, _ in points], [step for _, step in points]
    connection.execute(statement, {"cell": cell, "names": names, "steps": steps, "values": list(points.values())})


def explain(error: DBAPIError, url: URL) -> Exception:
    """The server's complaint as one line for a person; what only a programmer can mend stays as it is."""
    text = " ".join(str(error.orig).split())
    state = getattr(error.orig, "sqlstate", None) or _state_of(error, text)
    if state.startswith("42") and state not in {"42501", "42P01", "42703"}:
        return error  # a statement that is wrong: our fault
    for code in (state, state[:2]):
        if code in EXPECTED:
            expected, mend = EXPECTED[code]
            told = _said(error, text)
            return StoreError.of("store", shown(url), expected=expected, cause=f"{told}; {mend}" if mend else told)
    return error


def _state_of(error: DBAPIError, text: str) -> str:
    """What the SQLSTATE would be of a complaint that comes without one; empty when nobody knows."""
    if isinstance(error, DataError):  # psycopg itself has refused the value
        return "22"
    if "invalid connection option" in text:
        return "option"
    if not isinstance(error, OperationalError):
        return ""
    return next((code for pattern, code in REFUSALS if re.search(pattern, text)), "08")


def _said(error: DBAPIError, text: str) -> str:
    """What the server itself says, without the place in our statement, or the end of the story that libpq tells."""
    message = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    if message:
        return str(message)
    told = text.partition(" Multiple connection attempts failed")[0].partition(" Is the server running")[0]
    return re.sub(r"^connection failed: (connection to server at .*? failed: )?((FATAL|ERROR): +)?", "", told)


def _masked(location: str) -> str:
    """A URL that cannot be parsed, without whatever may be a password in it."""
    return re.sub(r"//.*@", "//***@", location).partition("?")[0]
