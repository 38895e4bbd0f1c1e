"""A paper's method on a reader's own files: the form, the wait, the tables, the files to save."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from livepapers import samples
from livepapers.core.errors import InputError
from livepapers.web import applying, guard, running, wrong
from livepapers.web.rendering import PRIVATE, page
from livepapers.web.routes.paper import known
from livepapers.web.store import Paper

router = APIRouter(include_in_schema=False)


async def _given(request: Request) -> AsyncIterator[FormData]:
    async with request.form(max_files=8, max_fields=60) as form:
        yield form


@router.get("/papers/{slug}/apply")
def form(request: Request, slug: str) -> Response:
    """The form."""
    return _form(request, _with_form(request, slug))


@router.post("/papers/{slug}/apply")
def apply(request: Request, slug: str, given: Annotated[FormData, Depends(_given)]) -> Response:
    """Start the method on what the form says."""
    found = _with_form(request, slug)
    values = {name: value for name, value in given.items() if isinstance(value, str)}  # files stay with the browser
    try:
        guard.require_token(request, values.pop("token", ""))
        guard.limit(request, "run")
        job = applying.begin(request.app.state.store, request.app.state.settings, found.slug, given)
    except (InputError, HTTPException, OSError) as error:
        return _form(request, found, error, values)
    return RedirectResponse(f"/applied/{job}", 303)


@router.get("/papers/{slug}/samples/{option}")
def sample(request: Request, slug: str, option: str) -> Response:
    """A file that shows what an input looks like."""
    name = applying.SAMPLES.get(_with_form(request, slug).slug, {}).get(option)
    if name is None:
        raise HTTPException(404, f"there is no sample of {option!r}")
    return FileResponse(samples.path(name), media_type="application/octet-stream", filename=name)


@router.get("/applied/{job}")
def applied(request: Request, job: str) -> Response:
    """What became of it."""
    found = applying.outcome(request.app.state.store.home, job)
    if found is None:
        raise HTTPException(404, "there is no such result: they are kept for a week")
    answer = page(request, "applied.html.j2", found=found, job=job)
    answer.headers.update(PRIVATE)
    return answer


@router.post("/applied/{job}/stop")
def stop(request: Request, job: str) -> Response:
    """End the method's work; whoever knows the address asked for it."""
    if not applying.stop(request.app.state.store.home, job):
        raise HTTPException(404, "there is no such result: they are kept for a week")
    return RedirectResponse(f"/applied/{job}", 303)


@router.get("/applied/{job}/files/{number}")
def result(request: Request, job: str, number: int) -> Response:
    """One of the files that the method wrote, to save."""
    path = applying.result_file(request.app.state.store.home, job, number)
    if path is None:
        raise HTTPException(404, "there is no such file: results are kept for a week")
    return FileResponse(path, media_type="application/octet-stream", filename=path.name, headers=PRIVATE)


def _form(
    request: Request, paper: Paper, error: Exception | None = None, kept: Mapping[str, str] | None = None
) -> Response:
    """The form, empty or with what was typed and why it was refused."""
    status, told, headers = (200, "", None) if error is None else wrong.told(error)
    answer = page(
        request, "apply.html.j2", http_status=status, paper=paper, fields=applying.fields(paper.slug), wrong=told,
        left_out=applying.LEFT_OUT.get(paper.slug, ""), kept=kept, most=guard.UPLOAD_LIMIT // 2**20,
        minutes=running.APPLY_SECONDS // 60,
    )  # fmt: skip
    answer.headers.update(headers or {})
    return answer


def _with_form(request: Request, slug: str) -> Paper:
    found = known(request, slug)
    if found.source != "catalogue" or not applying.has_form(found.slug):
        raise HTTPException(404, f"the inputs of {found.slug} do not fit a form; its page says what else there is")
    return found
