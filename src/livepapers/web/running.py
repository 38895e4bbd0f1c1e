"""What the page starts: lab commands as processes of their own, which outlive the page and are found again.

Each process leaves three files in the folder `page-runs` beside the store, named after the process ("pid-start time",
as the run store knows drivers): what it was started for (.json), what it said (.log), what it printed (.out). A run
started here is an ordinary run of the lab; nothing of it is kept here but the words of its driver, and which run a
process made (.made), because the store knows the last driver of a run only.
"""

import contextlib
import functools
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fastapi import HTTPException
from filelock import FileLock, Timeout

from livepapers.core.errors import InputError, StoreError
from livepapers.core.files import write_atomic
from livepapers.lab.machine import Process, process
from livepapers.lab.store import RunRecord, Store
from livepapers.lab.study import PRESETS
from livepapers.papers import catalogue
from livepapers.web.settings import PASSWORD, TOKEN, Settings
from livepapers.web.store import PageStore

Kind = Literal["run", "report", "apply"]

FOLDER = "page-runs"
MOST_SEEDS = 50
AT_ONCE: dict[Kind, int] = {"run": 2, "report": 2, "apply": 2}
"""Processes of each kind at a time: a run takes as many cores as it may, so more of them would only be slower."""
APPLY_SECONDS = 900
"""Seconds that a method may work on a reader's data."""
LOCKED = 10.0
"""Seconds that a start waits for others: one takes a fraction of a second."""
KEPT = 7 * 86_400.0
"""Seconds that the words of a process are kept after the last of them."""
ENDINGS = (".out", ".log", ".made", ".json")
"""Of the files of a process; the last one makes it known."""
OUT_LIMIT = 50_000_000  # bytes of what a process printed
LOG_TAIL = 4096  # bytes
_NAME = re.compile(r"\d{1,10}-\d{0,20}", re.ASCII)
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Started:
    """A process that the page started."""

    folder: Path
    name: str  # of its files
    host: str
    kind: Kind
    slug: str
    run: str  # that it goes on with or judges; empty when it makes a new one
    began: float

    @property
    def process(self) -> Process:
        """As the run store knows it."""
        return Process(self.host, self.name.replace("-", ":"))

    @property
    def alive(self) -> bool:
        """Whether it still works; of another host's processes, none is known to."""
        return self.host == socket.gethostname() and self.process.may_run()

    @property
    def printed(self) -> Path:
        """The file with its standard output."""
        return self.folder / f"{self.name}.out"

    def last_words(self) -> str:
        """The error that it ended with, or its last line: at most 300 characters; empty when it said nothing."""
        try:
            with (self.folder / f"{self.name}.log").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        told = [line for line in lines if line.startswith("Error:")] or lines
        return told[-1][:300] if told else ""


def command_for_run(slug: str, preset: str, seeds: str) -> list[str]:
    """The words after `livepapers` that start a run, with options that the page may give.

    Raises:
        InputError: The paper has no study, or an option is not one that the page offers.
    """
    if not runs_here(slug):
        raise InputError.of("slug", slug, expected="a paper with a study", cause="this one is only listed")
    if preset not in PRESETS:
        raise InputError.of("preset", preset, expected=f"one of {', '.join(PRESETS)}")
    words = ["run", slug, "--preset", preset]
    if seeds.strip():
        if not re.fullmatch(r"[0-9]{1,2}", seeds.strip()) or not 1 <= int(seeds) <= MOST_SEEDS:
            raise InputError.of("seeds", seeds, expected=f"a whole number from 1 to {MOST_SEEDS}, or nothing")
        words += ["--seeds", str(int(seeds))]
    return words


def runs_here(slug: str) -> bool:
    """Whether the paper has a study that can be run."""
    return slug in catalogue.load() and catalogue.status(slug) != "listed"


def launch(
    store: PageStore,
    settings: Settings,
    words: Sequence[str],
    *,
    kind: Kind,
    slug: str,
    run: str = "",
    folder: Path | None = None,
    check: Callable[[], object] = lambda: None,
) -> Started:
    """Start `livepapers` with these words, over the page's store, as a process that survives the page.

    Args:
        store: The page's.
        settings: Say what computes runs.
        words: After `livepapers`.
        kind: What is started.
        slug: For which paper.
        run: Which it goes on with or judges.
        folder: Where it works; paths among the words are relative to it.
        check: Raises when it must not start; asked when nobody else can start anything any more.

    Raises:
        HTTPException: As many processes of this kind as may be are at work.
    """
    limited = ["livepapers.web.limited", str(APPLY_SECONDS)] if kind == "apply" else ["livepapers"]
    command = [sys.executable, *(["-P"] if folder else []), "-m", *limited, *words, "--json"]
    environment = {name: value for name, value in os.environ.items() if name not in {PASSWORD, TOKEN}}
    if kind != "apply":
        command += _place(store, environment)
    if kind == "run":
        command += _engine(settings)
    with _alone(store.home):
        check()
        _refuse_too_many(store.home, kind)
        about = {"kind": kind, "slug": slug, "run": run}
        return _spawn(store.home / FOLDER, command, environment, about, at=folder)


def _refuse_too_many(home: Path, kind: Kind) -> None:
    """Raise 409 where as many processes of a kind as may be are at work."""
    _reap()
    at_work = [each for each in started(home) if each.kind == kind]
    if len(at_work) >= AT_ONCE[kind]:
        what = {"run": "run", "report": "report", "apply": "application"}[kind]
        raise HTTPException(409, f"{len(at_work)} {what}s started here are at work; wait for one, or stop it")


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Be the only one that starts something here: of all threads, and of all servers over this store."""
    lock = FileLock(home / f"{FOLDER}.lock")
    try:
        lock.acquire(timeout=LOCKED)
    except Timeout:
        raise HTTPException(503, "something else is being started; try again", headers={"Retry-After": "5"}) from None
    try:
        yield
    finally:
        lock.release()


def _spawn(
    folder: Path, command: Sequence[str], environment: Mapping[str, str], about: dict[str, str], *, at: Path | None
) -> Started:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{secrets.token_hex(8)}"
    out, log = draft.with_suffix(".out"), draft.with_suffix(".log")
    with out.open("wb") as to_out, log.open("wb") as to_log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=to_out,
            stderr=to_log,
            env=environment,
            start_new_session=True,
            cwd=at,
        )
    _children.append(child)
    here = process(child.pid)  # before anybody waits for it: until then the number is its own
    name = (here.identity or f"{child.pid}:0").replace(":", "-")
    values = {**about, "host": here.host, "began": time.time()}
    for path in (out, log):
        path.replace(folder / f"{name}{path.suffix}")
    write_atomic(folder / f"{name}.json", json.dumps(values))
    if about["run"]:
        write_atomic(folder / f"{about['run']}.{about['kind']}", name)
    return Started(folder, name, here.host, about["kind"], about["slug"], about["run"], values["began"])  # type: ignore[arg-type]


def _place(store: PageStore, environment: dict[str, str]) -> list[str]:
    """How a child finds the store; a server's address may hold a password, and everybody can read command lines."""
    if store.url.startswith("sqlite:///"):
        return ["--store", store.url.removeprefix("sqlite:///")]
    environment["LIVEPAPERS_STORE"] = store.url
    return []


def _engine(settings: Settings) -> list[str]:
    words = ["--engine", settings.engine]
    if settings.engine == "ray" and settings.ray_address:
        words += ["--address", settings.ray_address]
    return words + (["--workers", str(settings.workers)] if settings.workers else [])


def _reap() -> None:
    """Let go of children that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


def started(home: Path) -> Iterator[Started]:
    """The processes that were started here and are at work."""
    for path in sorted((home / FOLDER).glob("*-*.json")):
        if Process(socket.gethostname(), path.stem.replace("-", ":")).may_run():
            found = by_name(home, path.stem)
            if found is not None and found.alive:
                yield found


def by_name(home: Path, name: str) -> Started | None:
    """The process whose files have this name, None for a name that the page never gave."""
    if not _NAME.fullmatch(name):
        return None
    folder = home / FOLDER
    try:
        about = json.loads((folder / f"{name}.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return Started(folder, name, about["host"], about["kind"], about["slug"], about["run"], about["began"])


def made(store: Store, source: Started) -> str | None:
    """The id of the run that a process made, also when another one went on with it since; None while there is none."""
    note = source.folder / f"{source.name}.made"
    try:
        return note.read_text()
    except FileNotFoundError:
        run = store.driven_by(source.process)
    if run is not None:
        write_atomic(note, run)
    return run


def forget(home: Path, name: str) -> None:
    """Delete what a process that has ended was started for, said and printed."""
    found = by_name(home, name)
    if found is not None and not found.alive:
        _delete(found, *ENDINGS)


def tidy(home: Path, store: Store, now: float) -> None:
    """Delete what ended processes have left and no page shows any more; applications go with their results.

    Verdicts are shown as long as their run is there. What was said, and by which process a run was made, matters while
    somebody may still look at how it began; another host's processes may be at work.
    """
    for path in (home / FOLDER).glob("*-*.json"):
        found = by_name(home, path.stem)
        if found is None or found.kind == "apply" or found.host != socket.gethostname() or found.alive:
            continue
        with contextlib.suppress(FileNotFoundError):  # two pages over one store may tidy at once
            if now - max(each.stat().st_mtime for each in found.folder.glob(f"{found.name}.*")) > KEPT:
                _delete(found, *((".log", ".made") if _has_verdicts(store, found) else ENDINGS))


def _has_verdicts(store: Store, ended: Started) -> bool:
    """Whether a process printed verdicts, and `evidence` looks for them there: of the last driver, or last report."""
    if not ended.printed.stat().st_size:
        return False
    if ended.kind == "report":
        return for_run(ended.folder.parent, ended.run, "report") == ended
    return store.driven_by(ended.process) is not None


def _delete(ended: Started, *endings: str) -> None:
    for ending in endings:
        (ended.folder / f"{ended.name}{ending}").unlink(missing_ok=True)


def for_run(home: Path, run: str, kind: Kind) -> Started | None:
    """What was last started to go on with a run, or to judge it; `run` is an id from the store."""
    try:
        name = (home / FOLDER / f"{run}.{kind}").read_text()
    except FileNotFoundError:
        return None
    return by_name(home, name)


def phase(home: Path, record: RunRecord, driver: Process) -> str:
    """What is under way: "running", "starting" (its process loads), "stopping", "judging" (verdicts); empty: nothing.

    Args:
        home: The store's folder.
        record: The run.
        driver: Its process, as the store knows it.
    """
    if record.status == "running":
        return "running"
    again = for_run(home, record.id, "run")
    if again is not None and again.alive and again.process != driver:
        return "starting"
    judge = for_run(home, record.id, "report")
    if judge is not None and judge.alive:
        return "judging"
    mine = by_name(home, driver.identity.replace(":", "-"))
    if mine is None or not mine.alive or mine.host != driver.host:
        return ""
    return "stopping" if record.status == "interrupted" else "judging"


def evidence(home: Path, record: RunRecord, driver: Process) -> Mapping[str, Any] | None:
    """The verdicts on a run, as its driver or a report printed them; None while there are none on its present cells."""
    for source in (by_name(home, driver.identity.replace(":", "-")), for_run(home, record.id, "report")):
        if source is None:
            continue
        found = printed(source)
        if (
            found
            and isinstance(found.get("run"), dict)
            and found["run"]["id"] == record.id
            and found["run"]["cells"] == dict(record.cells)
        ):
            return found
    return None


def printed(source: Started) -> Mapping[str, Any] | None:
    """The JSON object that a process printed; None where it has printed none, because it failed or is at it."""
    try:
        stat = source.printed.stat()
    except FileNotFoundError:
        return None
    return _parsed(source.printed, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=8)
def _parsed(path: Path, _changed: int, size: int) -> Mapping[str, Any] | None:
    if not 0 < size <= OUT_LIMIT:
        return None
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def stop(driver: Process) -> None:
    """Tell the driver of a run to save its state and end.

    Raises:
        HTTPException: It is another host's, or it is gone.
    """
    if driver.host != socket.gethostname():
        raise HTTPException(409, f"the run is driven on {driver.host}; stop it there")
    pid = int(driver.identity.partition(":")[0] or 0)
    gone = HTTPException(409, "the process of this run is gone; resume the run to go on with it")
    if pid <= 1:
        raise gone
    try:
        # a number may have been given to another process: hold this one first, then look who it is
        handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
    except OSError:
        raise gone from None
    try:
        if not driver.may_run():
            raise gone
        if handle >= 0:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        else:
            os.kill(pid, signal.SIGTERM)
    except OSError:
        raise gone from None
    finally:
        if handle >= 0:
            os.close(handle)


def known_run(store: Store, run: str) -> RunRecord:
    """One run, read without writing; 404 for an id that is not in the store."""
    if re.fullmatch(r"[a-z0-9-]{1,120}", run):
        try:
            return store.run(run, mark=False)
        except StoreError:
            raise
        except InputError:
            pass
    raise HTTPException(404, f"no run {run!r} in this store")
