"""Atom: home, a field, a search, and the verdict news of one paper."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from livepapers.papers import catalogue
from livepapers.web import feeds, news
from livepapers.web.rendering import line
from livepapers.web.routes.paper import known

router = APIRouter(include_in_schema=False)


@router.get("/feeds/home.atom")
def home(request: Request) -> Response:
    """The papers that came or got a verdict last."""
    store = request.app.state.store
    entries = feeds.of_papers(store, feeds.recent(store))
    return _answer(request, "/feeds/home.atom", "livepapers: new papers and verdicts", "/?sort=newest", entries)


@router.get("/feeds/field/{name}.atom")
def field(request: Request, name: str) -> Response:
    """As home, of one field."""
    if name not in catalogue.FIELDS:
        raise HTTPException(404, f"no field {name!r}; there are {', '.join(catalogue.FIELDS)}")
    store = request.app.state.store
    entries = feeds.of_papers(store, feeds.recent(store, field=name))
    page = f"/?{urlencode({'sort': 'newest', 'field': name})}"
    return _answer(request, f"/feeds/field/{name}.atom", f"livepapers: {catalogue.FIELDS[name]}", page, entries)


@router.get("/feeds/search.atom")
def search(request: Request, q: Annotated[str, Query(min_length=1, max_length=500)]) -> Response:
    """What a search finds, the last updated first."""
    from livepapers.web.search import ranked

    store, asked = request.app.state.store, urlencode({"q": q})
    entries = feeds.of_papers(store, feeds.recent(store, among=set(ranked(store, q)[0])))
    title = f"livepapers: search for {line(q)}"
    return _answer(request, f"/feeds/search.atom?{asked}", title, f"/search?{asked}", entries)


@router.get("/feeds/paper/{slug}.atom")
def paper(request: Request, slug: str) -> Response:
    """The verdicts of one paper as they came."""
    store = request.app.state.store
    found = known(request, slug)
    with store.reading() as connection:
        changes = news.of(connection, found.slug, feeds.ENTRIES)
    path = f"/papers/{found.slug}"
    title = f"livepapers: verdicts on {found.title}"
    entries, feed = feeds.of_changes(found, changes), f"/feeds/paper/{found.slug}.atom"
    return _answer(request, feed, title, path, entries, since=found.added)


def _answer(
    request: Request, path: str, title: str, page: str, entries: Sequence[feeds.Entry], *, since: float | None = None
) -> Response:
    """The feed, or 304 where the reader has it already; `since` as for `feeds.atom`, the server's start if left out."""
    began = request.app.state.began if since is None else since
    body = feeds.atom(request.app.state.settings, path, title, page, entries, since=began)
    headers = {"ETag": feeds.etag(body), "Cache-Control": "public, max-age=300"}
    if feeds.matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=feeds.MEDIA_TYPE, headers=headers)
