"""Search: a query's papers as cards, page by page."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from livepapers.web import search
from livepapers.web.rendering import page
from livepapers.web.routes.home import cards
from livepapers.web.store import PAGE

router = APIRouter(include_in_schema=False)


@router.get("/search")
def results(
    request: Request,
    q: Annotated[str, Query(max_length=500)] = "",
    number: Annotated[int, Query(ge=1, le=100_000, alias="page")] = 1,
) -> Response:
    """One page of what a search finds."""
    papers, total = search.find(request.app.state.store, q, limit=PAGE, offset=(number - 1) * PAGE)
    if number > 1 and not papers:
        raise HTTPException(404, f"the search finds {total} papers, there is no page {number}")
    return page(
        request, "search.html.j2", cards=cards(request, papers), query=q, total=total, number=number,
        pages=-(-total // PAGE),
    )  # fmt: skip
