"""Search: a query's papers as cards, page by page."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from livepapers.web import search
from livepapers.web.rendering import page
from livepapers.web.routes.home import cards
from livepapers.web.routes.parameters import Number, pages_of
from livepapers.web.store import PAGE

router = APIRouter(include_in_schema=False)


@router.get("/search")
def results(
    request: Request,
    q: Annotated[str, Query(max_length=500)] = "",
    number: Number = 1,
) -> Response:
    """One page of what a search finds."""
    store = request.app.state.store
    papers, total, meant = search.find(store, q, limit=PAGE, offset=(number - 1) * PAGE)
    return page(
        request, "search.html.j2", cards=cards(request, papers), query=q, meant=meant, total=total, number=number,
        pages=pages_of(number, total, PAGE),
    )  # fmt: skip
