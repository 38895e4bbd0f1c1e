"""Home: papers as cards, sorted by votes that fade, by date or by what was measured; votes; help."""

import time
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from livepapers.core.errors import InputError
from livepapers.lab import figures
from livepapers.lab.report.page import rules
from livepapers.web import guard, verdicts
from livepapers.web.rendering import STATIC, came_from, page, wants_json
from livepapers.web.routes.paper import known
from livepapers.web.routes.parameters import Number, Order, pages_of
from livepapers.web.store import PAGE, SORTS, Paper, refuse_unknown

router = APIRouter(include_in_schema=False)

PERIODS = {"day": 1, "week": 7, "month": 31}
"""Days that a list may be narrowed to, by the name of the period: what came here, or got a verdict, within them."""


@router.get("/")
def home(
    request: Request,
    sort: Order = "trending",
    field: str = "",
    status: str = "",
    period: str = "",
    number: Number = 1,
) -> Response:
    """One page of cards."""
    refuse_unknown(sort, field, status)
    papers, total = request.app.state.store.papers(sort, field=field, status=status, after=begin(period), page=number)
    return page(
        request, "home.html.j2", cards=cards(request, papers), total=total, number=number,
        pages=pages_of(number, total, PAGE), sort=sort, field=field, status=status, period=period,
        sorts=SORTS, periods=PERIODS,
    )  # fmt: skip


def begin(period: str) -> float:
    """When a period that ends now began, 0 for all times.

    Raises:
        InputError: There is no such period.
    """
    if not period:
        return 0.0
    if period not in PERIODS:
        raise InputError.of("period", period, expected=f"one of {', '.join(PERIODS)}")
    return time.time() - 86_400.0 * PERIODS[period]


def cards(request: Request, papers: list[Paper]) -> list[tuple[Paper, tuple[str, ...], bool]]:
    """Each paper with the verdicts of its claims and whether the reader has voted for it."""
    reader = request.app.state.secret.reader(request)
    voted = request.app.state.store.voted(reader, papers)
    return [(paper, verdicts.strip(paper.slug), paper.slug in voted) for paper in papers]


@router.get("/papers")
def all_papers() -> Response:
    """What a reader finds who takes the end off a paper's address."""
    return RedirectResponse("/", 303)


@router.post("/papers/{slug}/vote")
def vote(request: Request, slug: str, up: Annotated[bool, Form()] = True) -> Response:
    """Cast the reader's vote or take it back; to the page it came from, or as JSON where a script asks."""
    found = known(request, slug)
    reader = guard.voter(request)
    guard.limit(request, "vote", reader)
    votes = request.app.state.store.vote(found.slug, reader, up=up)
    answer: Response
    if wants_json(request):
        answer = JSONResponse({"votes": votes, "voted": up})
    else:
        answer = RedirectResponse(f"{came_from(request)}#{found.slug}", 303)
    guard.remember(request, answer, reader)
    return answer


@router.get("/favicon.ico")
def icon() -> Response:
    """The icon where browsers and feed readers look for one by themselves."""
    return FileResponse(STATIC / "icon.svg", headers={"Cache-Control": "max-age=86400"})


@router.get("/robots.txt")
def robots() -> Response:
    """What crawlers shall leave alone: what costs work, what is the same again, and what is one reader's."""
    hidden = ("/api/", "/applied/", "/feeds/", "/runs/", "/search", "/subscribe/")
    return PlainTextResponse("".join(["User-agent: *\n", *(f"Disallow: {path}\n" for path in hidden)]))


@router.get("/figures.css")
def figure_styles() -> Response:
    """The styles of verdict marks, plots and claims, light and dark, as the reports have them."""
    light, dark = figures.styles(dark=False), figures.styles(dark=True)
    css = f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{rules()}"
    return Response(css, media_type="text/css", headers={"Cache-Control": "max-age=3600"})
