"""Runs: the list, one run while it goes and afterwards, two beside each other; cancel, resume, judge, download."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from livepapers.core.errors import InputError
from livepapers.lab.machine import Process
from livepapers.lab.report.page import render_html
from livepapers.lab.report.summary import notes, of_ours, of_paper
from livepapers.lab.store import RunRecord, Store
from livepapers.web import comparing, guard, running, watching
from livepapers.web.rendering import page
from livepapers.web.routes.paper import drawn_curves, known
from livepapers.web.routes.parameters import Number, pages_of
from livepapers.web.store import PAGE

router = APIRouter(include_in_schema=False)

OTHERS = 50
"""Runs that a run's page offers to compare it with."""
CELLS = 1000
"""Cells that a run's page lists; a longer run is summed up."""


@router.get("/runs")
def runs(
    request: Request,
    slug: Annotated[str, Query(max_length=120)] = "",
    number: Number = 1,
) -> Response:
    """One page of the runs, newest first."""
    wanted = known(request, slug).slug if slug else None
    shown = _store(request).runs(slug=wanted, mark=False, limit=PAGE, offset=(number - 1) * PAGE)
    total = _store(request).count_runs(slug=wanted)
    return page(
        request, "runs.html.j2", records=shown, total=total, number=number, pages=pages_of(number, total, PAGE),
        slug=wanted,
    )  # fmt: skip


@router.get("/runs/starting/{name}")
def starting(request: Request, name: str) -> Response:
    """To the run that a process makes; until it has made it, a page that says so."""
    found = running.by_name(request.app.state.store.home, name)
    if found is None or found.kind != "run" or found.run:
        raise HTTPException(404, f"nothing was started here under {name!r}")
    run = running.made(_store(request), found)
    if run is not None:
        return RedirectResponse(f"/runs/{run}", 303)
    told = "" if found.alive else _shown(request, found.last_words()) or "it ended without a word"
    told = told.removeprefix("Error: ")
    return page(request, "run_starting.html.j2", slug=found.slug, told=told)


@router.get("/runs/compare")
def compare(request: Request, a: Annotated[str, Query(max_length=120)], b: Annotated[str, Query(max_length=120)]
) -> Response:  # fmt: skip
    """Two runs of one paper, claim by claim."""
    if a == b:
        raise InputError.of("b", b, expected="another run", cause="it would be compared with itself")
    store = _store(request)
    records = [running.known_run(store, run) for run in (a, b)]
    drivers = [store.driver(run) for run in (a, b)]
    if records[0].slug != records[1].slug:
        raise InputError.of("b", b, expected=f"a run of {records[0].slug}", cause=f"it is of {records[1].slug}")
    home = request.app.state.store.home
    found = [running.evidence(home, record, driver) for record, driver in zip(records, drivers, strict=True)]
    return page(
        request, "compare.html.j2", records=records,
        unjudged=[record for record, each in zip(records, found, strict=True) if each is None],
        facts=comparing.facts(records), claims=comparing.claims(found),
    )  # fmt: skip


@router.get("/runs/{id}")
def run(request: Request, id: str, stopping: bool = False) -> Response:  # noqa: A002 - the name that the address has
    """One run."""
    store = _store(request)
    home, record, driver = store.home, running.known_run(store, id), store.driver(id)
    seen = watching.look(store, home, request.app.state.settings, id)
    cells = store.cell_records(id)
    others = [other for other in store.runs(slug=record.slug, mark=False, limit=OTHERS + 1) if other.id != id]
    found = running.evidence(home, record, driver)
    said = found["verdicts"] if found else []
    return page(
        request, "run.html.j2", record=record, seen=seen, cells=list(zip(cells, seen.cells, strict=False))[:CELLS],
        last_error=lambda error: _shown(request, watching.last_line(error)), others=others[:OTHERS], evidence=found,
        verdicts=said, claimed=of_paper(said), added=of_ours(said), notes=notes(found) if found else [],
        curves=drawn_curves(found)[:12] if found else (), trouble=_trouble(request, record, driver, seen.phase),
        stopping=stopping, can_download=found is not None or _written(home, record) is not None,
    )  # fmt: skip


@router.get("/runs/{id}/events")
async def events(request: Request, id: str) -> Response:  # noqa: A002
    """How the run goes, as server-sent events: once a second while it goes, then a last one."""
    settings, store = request.app.state.settings, _store(request)
    network = guard.network(request)
    if not watching.listeners.enter(network):
        raise HTTPException(503, "too many pages watch runs; load the page again later", headers={"Retry-After": "30"})
    try:
        await anyio.to_thread.run_sync(running.known_run, store, id)
    except BaseException:
        watching.listeners.leave(network)
        raise

    async def stream() -> AsyncIterator[bytes]:
        try:
            async for told in watching.changes(store, store.home, settings, id):
                yield b"data: " + json.dumps(told, allow_nan=False).encode() + b"\n\n"
        finally:
            watching.listeners.leave(network)

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


@router.get("/runs/{id}/report")
def report(request: Request, id: str) -> Response:  # noqa: A002
    """The report of a run, to save: one file that makes no outside request."""
    store = _store(request)
    home, record, driver = store.home, running.known_run(store, id), store.driver(id)
    found, headers = running.evidence(home, record, driver), {}
    headers["Content-Disposition"] = f'attachment; filename="{record.id}.html"'
    if found is not None:
        return Response(render_html(found), media_type="text/html; charset=utf-8", headers=headers)
    written = _written(home, record)
    if written is None:
        raise HTTPException(404, f"there is no report of {record.id} yet; its page has a button that makes one")
    return Response(written, media_type="text/html; charset=utf-8", headers=headers)


@router.post("/runs/{id}/cancel")
def cancel(request: Request, id: str, token: Annotated[str, Form()] = "") -> Response:  # noqa: A002
    """Tell the run's process to save its state and end."""
    guard.require_token(request, token)
    store = _store(request)
    record, driver = running.known_run(store, id), store.driver(id)
    if record.status != "running":
        raise HTTPException(409, f"{record.id} is {record.status}: there is nothing to cancel")
    running.stop(driver)
    return RedirectResponse(f"/runs/{record.id}?stopping=true", 303)


@router.post("/runs/{id}/resume")
def resume(request: Request, id: str, token: Annotated[str, Form()] = "") -> Response:  # noqa: A002
    """Go on with a run that was stopped; its finished cells are not repeated."""
    guard.require_token(request, token)
    return _work_on(request, id, "run", "resume")


@router.get("/runs/{id}/cancel")
@router.get("/runs/{id}/resume")
@router.get("/runs/{id}/judge")
def not_changed(request: Request, id: str) -> Response:  # noqa: A002
    """Where a browser gets that loads the answer to a refused change again."""
    return RedirectResponse(f"/runs/{running.known_run(_store(request), id).id}", 303)


@router.post("/runs/{id}/judge")
def judge(request: Request, id: str, token: Annotated[str, Form()] = "") -> Response:  # noqa: A002
    """Compute the verdicts on what a run has measured, for runs that were not started here or did not end."""
    guard.require_token(request, token)
    return _work_on(request, id, "report", "report")


def _store(request: Request) -> Store:
    """The run store of this page."""
    return request.app.state.runs


def _work_on(request: Request, run: str, kind: running.Kind, command: str) -> Response:
    """Start what goes on with a run, or judges it."""
    record = _idle(request, run, kind)  # before the limit: what is refused does not count
    guard.limit(request, "run")
    state = request.app.state
    running.launch(
        state.store, state.settings, [command, record.id], kind=kind, slug=record.slug, run=record.id,
        check=lambda: _idle(request, run, kind),  # once more: two requests at once both find it idle before
    )  # fmt: skip
    return RedirectResponse(f"/runs/{record.id}", 303)


def _idle(request: Request, run: str, kind: running.Kind) -> RunRecord:
    """A run with which nothing is under way and which is not at its end; 409 for others."""
    store = _store(request)
    record, driver = running.known_run(store, run), store.driver(run)
    now = running.phase(store.home, record, driver)
    if now:
        raise HTTPException(409, f"{record.id} is {now}; wait until that has ended")
    if kind == "run" and record.status == "finished":
        raise HTTPException(409, f"{record.id} is finished: there is nothing to go on with")
    return record


def _trouble(request: Request, record: RunRecord, driver: Process, phase: str) -> str:
    """Why what was last started for a run did nothing; empty where it did."""
    if phase or record.status == "running":
        return ""
    home = request.app.state.store.home
    again, judged = running.for_run(home, record.id, "run"), running.for_run(home, record.id, "report")
    if record.status != "finished" and again is not None and again.process != driver:
        return f"It was not resumed: {_shown(request, again.last_words()) or 'the process ended without a word'}"
    if judged is not None and judged.last_words().startswith("Error:"):
        return f"It was not judged: {_shown(request, judged.last_words())}"
    return ""


def _shown(request: Request, told: str) -> str:
    """What a process said, where only this machine reads it: errors may name files and folders."""
    return "the log beside the store says why" if told and request.app.state.settings.public else told


def _written(home: Path, record: RunRecord) -> bytes | None:
    """The report that the command line wrote beside the store when the run ended, None if there is none."""
    path = home / "reports" / f"{record.id}.html"
    if record.status not in {"finished", "failed"} or not path.is_file():
        return None
    return path.read_bytes()
