"""Home: papers as cards, sorted by votes that fade, by date or by what was measured; votes; help."""

import datetime as dt
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from livepapers.lab import figures
from livepapers.lab.report.page import rules
from livepapers.web import guard, verdicts
from livepapers.web.rendering import page
from livepapers.web.store import PAGE, SORTS, Paper, Sort, refuse_unknown

router = APIRouter(include_in_schema=False)

PERIODS = {"day": 1, "week": 7, "month": 31}
"""Days that a list may be narrowed to, by the name of the period."""


@router.get("/")
def home(
    request: Request,
    sort: Sort = "trending",
    field: str = "",
    status: str = "",
    period: str = "",
    number: Annotated[int, Query(ge=1, le=100_000, alias="page")] = 1,
) -> Response:
    """One page of cards."""
    refuse_unknown(sort, field, status)
    papers, total = request.app.state.store.papers(sort, field=field, status=status, since=since(period), page=number)
    if number > 1 and not papers:
        raise HTTPException(404, f"the list has {total} papers, no page {number}")
    return page(
        request, "home.html.j2", cards=cards(request, papers), total=total, number=number, pages=-(-total // PAGE),
        sort=sort, field=field, status=status, period=period, sorts=SORTS, periods=PERIODS,
    )  # fmt: skip


def since(period: str) -> str:
    """The first date of a period that ends today, empty for all times; 404 for a period that does not exist."""
    if not period:
        return ""
    if period not in PERIODS:
        raise HTTPException(404, f"period: got {period!r}, expected one of {', '.join(PERIODS)}")
    today = dt.datetime.now(dt.UTC).date()
    return (today - dt.timedelta(days=PERIODS[period])).isoformat()


def cards(request: Request, papers: list[Paper]) -> list[tuple[Paper, tuple[str, ...], bool]]:
    """Each paper with the verdicts of its claims and whether the reader has voted for it."""
    reader = request.app.state.secret.reader(request)
    voted = request.app.state.store.voted(reader, papers)
    return [(paper, verdicts.strip(paper.slug), paper.slug in voted) for paper in papers]


@router.post("/papers/{slug}/vote")
def vote(request: Request, slug: str, up: Annotated[bool, Form()] = True) -> Response:
    """Cast the reader's vote or take it back; to the page it came from, or as JSON where a script asks."""
    reader = guard.voter(request)
    guard.limit(request, "vote", reader)
    votes = request.app.state.store.vote(slug, reader, up=up)
    if votes is None:
        raise HTTPException(404, f"no paper {slug!r}")
    answer: Response
    if "application/json" in request.headers.get("accept", ""):
        answer = JSONResponse({"votes": votes, "voted": up})
    else:
        answer = RedirectResponse(f"{came_from(request)}#{slug}", 303)
    guard.remember(request, answer, reader)
    return answer


def came_from(request: Request) -> str:
    """The path and query of this page that the request was sent from; home where it does not say, or says elsewhere."""
    try:
        parts = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    path = parts._replace(scheme="", netloc="", fragment="").geturl()
    ours = parts.netloc.lower() == request.headers.get("host", "").lower()
    return path if ours and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


@router.get("/figures.css")
def figure_styles() -> Response:
    """The styles of verdict marks, plots and claims, light and dark, as the reports have them."""
    light, dark = figures.styles(dark=False), figures.styles(dark=True)
    css = f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{rules()}"
    return Response(css, media_type="text/css", headers={"Cache-Control": "max-age=3600"})
