"""The tables of the run store, its version, and the steps that bring an older store forward."""

from collections.abc import Callable, Mapping

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

VERSION = 1
"""The version of the tables below. Raise it with a step in `MIGRATIONS`, and keep an old store as a test fixture."""

RUN_STATES = ("running", "interrupted", "failed", "finished")
CELL_STATES = ("pending", "running", "interrupted", "failed", "finished")

TABLES = MetaData()


def _one_of(column: str, names: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(name) for name in names)})")


about = Table(
    "about",
    TABLES,
    Column("key", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "runs",
    TABLES,
    Column("id", String(120), primary_key=True),
    Column("slug", String(80), nullable=False, index=True),
    Column("version", Integer, nullable=False),  # of the study
    Column("preset", String(20), nullable=False),
    Column("options", JSON, nullable=False),
    Column("status", String(12), _one_of("status", RUN_STATES), nullable=False),
    Column("started", Double, nullable=False),  # seconds since 1970, UTC, as all times here
    Column("finished", Double),
    Column("heartbeat", Double, nullable=False),
    Column("host", String(255), nullable=False),
    Column("process", String(60), nullable=False),  # "pid:start time", so that a pid used again is not mistaken
    Column("lease", String(40), nullable=False),  # who drives the run; a driver that lost it stops
    Column("machine", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("git_commit", String(80)),
)

cells = Table(
    "cells",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("arm", String(120), nullable=False),
    Column("setting", String(120), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("status", String(12), _one_of("status", CELL_STATES), nullable=False),
    Column("progress", Double, nullable=False),  # share of the current learner's updates, 0 to 1
    Column("wall", Double),  # seconds, preparation and interruptions left out
    Column("work", JSON),  # what was spent: {"environment steps": 1000}
    Column("error", Text),
    UniqueConstraint("run", "setting", "arm", "seed"),
)

_cell = "cells.id"

measurements = Table(
    "measurements",
    TABLES,
    Column("cell", ForeignKey(_cell, ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("value", Double, nullable=False),
    sqlite_with_rowid=False,
)

points = Table(
    "points",
    TABLES,
    Column("cell", ForeignKey(_cell, ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Double),  # NULL stands for "not a number", which SQLite cannot hold
    sqlite_with_rowid=False,
)

samples = Table(
    "samples",
    TABLES,
    Column("cell", ForeignKey(_cell, ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("file", Text, nullable=False),  # relative to the store's folder
    Column("sha256", String(64), nullable=False),
)

prepared = Table(
    "prepared",
    TABLES,
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("seconds", Double, nullable=False),
)

verdicts = Table(
    "verdicts",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("runs.id"), nullable=False, index=True),
    Column("claim", String(40), nullable=False),
    Column("verdict", String(40), nullable=False),
    Column("record", JSON, nullable=False),
    Column("written", Double, nullable=False),
)

_REFUSAL = "verdicts are append-only: write a new row"
for _change in ("UPDATE", "DELETE"):
    _guard = DDL(
        f"CREATE TRIGGER verdicts_no_{_change.lower()} BEFORE {_change} ON verdicts "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    )
    event.listen(verdicts, "after_create", _guard.execute_if(dialect="sqlite"))
for _statement in (
    "CREATE OR REPLACE FUNCTION verdicts_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    "CREATE TRIGGER verdicts_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON verdicts "
    "FOR EACH STATEMENT EXECUTE FUNCTION verdicts_refuse()",
):
    event.listen(verdicts, "after_create", DDL(_statement).execute_if(dialect="postgresql"))

MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {}
"""From version n, what makes the tables those of n + 1. Run in one transaction, after a backup."""
