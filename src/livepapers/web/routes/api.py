"""The JSON API: papers, verdicts, search and runs to read, votes and subscriptions to make, and all of it as one file.

Reading changes nothing. What changes something is a POST that passes the same-origin rule of the page: a browser on
another site is refused with 403, and so is a program that sends neither `Sec-Fetch-Site` nor `Origin`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from fastapi.responses import StreamingResponse

from livepapers.lab.study import NOT_IN_PAPER
from livepapers.web import answers, guard, running, subscriptions, tables, verdicts, watching
from livepapers.web.answers import PaperCard, PaperDetail, RunCard, Told
from livepapers.web.routes.paper import known
from livepapers.web.routes.parameters import Field, Number, Order, Since, Size, Status, pages_of
from livepapers.web.routes.subscribe import ask_to_confirm
from livepapers.web.search import find
from livepapers.web.store import PageStore, Paper, refuse_unknown

if TYPE_CHECKING:
    from livepapers.lab.store import CellRecord, RunRecord, Store

WRONG: dict[int | str, dict[str, Any]] = {
    400: {"description": "The host is not this page's; as text"},
    422: {"model": Told, "description": "A value is missing or wrong"},
    503: {"model": Told, "description": "The page cannot use its store at the moment; `Retry-After` says when to ask"},
}
GONE: dict[int | str, dict[str, Any]] = {404: {"model": Told, "description": "There is no such thing"}}
CHANGE: dict[int | str, dict[str, Any]] = {
    403: {
        "model": Told,
        "description": "Not sent by the page itself: no `Sec-Fetch-Site: same-origin` and no `Origin` of its own",
    },
    413: {"model": Told, "description": "A body of more than 64 kB"},
    429: {"model": Told, "description": "Too many changes in a short time"},
}
DUMP: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/PaperDetail"}}},
        "description": "One paper a line, each as `/api/papers/{slug}` gives it",
    }
}
BLOCK = 200
"""Papers that the dump reads at once."""

router = APIRouter(prefix="/api", include_in_schema=True, responses=WRONG)


@router.get("/papers", responses=GONE)
def papers(
    request: Request, sort: Order = "trending", field: Field = "", status: Status = "", since: Since = "",
    number: Number = 1, size: Size = 30,
) -> answers.PaperList:  # fmt: skip
    """One page of the papers: sorted by votes that fade, by date or by measured claims; since a date of submission."""
    refuse_unknown(sort, field, status)
    found, total = request.app.state.store.papers(sort, field=field, status=status, since=since, page=number, size=size)
    return _list(found, total, number, size)


@router.get("/papers/{slug}", responses=GONE)
def paper(request: Request, slug: str) -> PaperDetail:
    """One paper: its card and its published verdicts, with intervals, pairs, machine and commit."""
    return _detail(known(request, slug))


@router.get("/search", responses=GONE)
def search(
    request: Request,
    q: Annotated[str, Query(min_length=1, max_length=500, description="what you want to do")],
    number: Number = 1,
    size: Size = 30,
) -> answers.SearchList:
    """Papers by words and by idea, best first; an arXiv identifier or a DOI, bare or as a link, finds its paper."""
    found, total, meant = find(request.app.state.store, q, limit=size, offset=(number - 1) * size)
    return answers.SearchList(**_list(found, total, number, size).model_dump(), meant=meant)


@router.get("/runs", responses=GONE)
def runs(
    request: Request, slug: Annotated[str, Query(max_length=120, description="of a paper")] = "",
    number: Number = 1, size: Size = 30,
) -> answers.RunList:  # fmt: skip
    """The runs of this store, newest first, of one paper where `slug` is given."""
    store, wanted = request.app.state.runs, known(request, slug).slug if slug else None
    found = store.runs(slug=wanted, mark=False, limit=size, offset=(number - 1) * size)
    shown, total = [_run(store, record) for record in found], store.count_runs(slug=wanted)
    return answers.RunList(runs=shown, total=total, page=number, pages=pages_of(number, total, size))


@router.get("/runs/{id}", responses=GONE)
def run(request: Request, id: str) -> answers.RunDetail:  # noqa: A002 - the name that the address has
    """One run: its cells with their progress, and its verdicts so far."""
    store = request.app.state.runs
    record = running.known_run(store, id)
    states = [_cell(request, record, cell) for cell in store.cell_records(id)]
    said = [answers.RunVerdict(**{k: row[k] for k in ("claim", "verdict", "written")}) for row in store.verdicts(id)]
    return answers.RunDetail(
        **_run(store, record).model_dump(), machine=dict(record.machine), states=states, verdicts=said
    )


@router.post("/papers/{slug}/vote", responses={**GONE, **CHANGE})
def vote(request: Request, response: Response, slug: str, wanted: answers.Vote) -> answers.Voted:
    """Cast the reader's one vote or take it back; the reader is who the cookie `reader` names, set here if it is not.

    Same-origin: `Sec-Fetch-Site: same-origin`, or without that header an `Origin` equal to the page's own.
    """
    found = known(request, slug)
    reader = guard.voter(request)
    guard.limit(request, "vote", reader)
    votes = request.app.state.store.vote(found.slug, reader, up=wanted.up)
    guard.remember(request, response, reader)
    return answers.Voted(votes=votes, voted=wanted.up)


@router.post("/subscriptions", status_code=202, responses=CHANGE)
def subscribe(request: Request, background: BackgroundTasks, wanted: answers.SubscriptionRequest) -> answers.Asked:
    """Ask for a digest: a link to confirm it goes to the address. The answer is the same for every address.

    Same-origin, as for votes.
    """
    to, search = subscriptions.checked_address(wanted.address), subscriptions.checked_query(wanted.query)
    guard.limit(request, "subscribe")
    ask_to_confirm(request, background, to, wanted.frequency, search)
    return answers.Asked(told="a mail with a link to confirm is on its way, unless that address had enough of them")


@router.get("/dump", response_class=StreamingResponse, responses=DUMP)
def dump(request: Request) -> StreamingResponse:
    """The whole catalogue with votes and verdicts, as JSON lines; nothing about readers."""
    name = {"Content-Disposition": 'attachment; filename="livepapers.jsonl"'}
    return StreamingResponse(_lines(request.app.state.store), media_type="application/x-ndjson", headers=name)


def _lines(store: PageStore) -> Iterator[bytes]:
    """Each paper as a line, read in blocks: a reader who is slow holds no transaction."""
    p, last = tables.papers.c, 0
    while True:
        with store.reading() as connection:
            query = sa.select(p.id, p.slug).where(p.id > last).order_by(p.id).limit(BLOCK)
            block = connection.execute(query).all()
        if not block:
            return
        last = block[-1].id
        for found in store.by_slug([row.slug for row in block]):
            yield _detail(found).model_dump_json().encode() + b"\n"


def _list(found: list[Paper], total: int, number: int, size: int) -> answers.PaperList:
    cards = [PaperCard.model_validate(paper) for paper in found]
    return answers.PaperList(papers=cards, total=total, page=number, pages=pages_of(number, total, size))


def _detail(paper: Paper) -> PaperDetail:
    found = verdicts.published(paper.slug) if paper.source == "catalogue" else None
    card = PaperCard.model_validate(paper).model_dump()
    if found is None:
        return PaperDetail(**card)
    run = found["current"]["run"]
    measured = answers.Measured(
        run=run["id"], preset=run["preset"], date=run["date"], commit=run["git_commit"], machine=run["machine"],
        versions=run["versions"], command=run["command"],
    )  # fmt: skip
    said = [
        answers.Verdict(**{name: verdict[name] for name in answers.Verdict.model_fields if name in verdict},
                        of_paper=verdict["published"] != NOT_IN_PAPER)
        for verdict in found["current"]["verdicts"]
    ]  # fmt: skip
    return PaperDetail(**card, measured=measured, verdicts=said)


def _run(store: "Store", record: "RunRecord") -> RunCard:
    total = sum(record.cells.values())
    under_way = sum(store.progress(record.id).values()) if record.cells.get("running") else 0.0
    return RunCard(
        id=record.id, slug=record.slug, preset=record.preset, version=record.version, status=record.status,
        started=record.started, finished=record.finished, cells=dict(record.cells), commit=record.git_commit,
        progress=min(1.0, (record.cells.get("finished", 0) + under_way) / total) if total else 0.0,
    )  # fmt: skip


def _cell(request: Request, record: "RunRecord", cell: "CellRecord") -> answers.CellState:
    lines = [] if request.app.state.settings.public else (cell.error or "").strip().splitlines()
    return answers.CellState(
        arm=cell.cell.arm, setting=cell.cell.setting, seed=cell.cell.seed,
        status=watching.cell_status(record, cell), progress=cell.progress, wall=cell.wall,
        error=lines[-1][:300] if lines else "",
    )  # fmt: skip
