"""One paper: what it is, what its study found, how to use it, and what is like it."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from livepapers.lab import figures
from livepapers.lab.report.page import arm_classes
from livepapers.lab.report.summary import by_setting, of_ours, of_paper, tally
from livepapers.papers import catalogue, citation
from livepapers.web import search, verdicts
from livepapers.web.rendering import page
from livepapers.web.store import Paper

router = APIRouter(include_in_schema=False)

CITATIONS = {
    "bib": (citation.bibtex, "application/x-bibtex"),
    "ris": (citation.ris, "application/x-research-info-systems"),
}
CURVES = 8
"""Learning curves on the page; the report that `livepapers report` writes has all."""


@router.get("/papers/{slug}")
def paper(request: Request, slug: str) -> Response:
    """The page of a paper; of an imported one, what is known."""
    store, found = request.app.state.store, _paper(request, slug)
    results = verdicts.published(slug)
    current = results["current"] if results else None
    return page(
        request, "paper.html.j2", paper=found, card=catalogue.load().get(slug), current=current,
        voted=slug in store.voted(request.app.state.secret.reader(request), [found]),
        claimed=of_paper(current["verdicts"]) if current else [], added=of_ours(current["verdicts"]) if current else [],
        curves=curves(slug), benchmarks=benchmarks(slug), similar=search.similar(store, slug),
        effect_plot=figures.effect_plot, by_setting=by_setting, tally=tally,
    )  # fmt: skip


@router.get("/papers/{slug}/citation.{kind}")
def cite(request: Request, slug: str, kind: str) -> Response:
    """BibTeX or RIS of a paper of the catalogue, to be saved."""
    card = catalogue.load().get(_paper(request, slug).slug)
    if card is None or kind not in CITATIONS:
        raise HTTPException(404, f"no {kind} of {slug}: papers of the catalogue have {' and '.join(CITATIONS)}")
    write, media = CITATIONS[kind]
    headers = {"Content-Disposition": f'attachment; filename="{card.slug}.{kind}"'}
    return Response(write(card), media_type=f"{media}; charset=utf-8", headers=headers)


def _paper(request: Request, slug: str) -> Paper:
    found = request.app.state.store.paper(slug)
    if found is None:
        raise HTTPException(404, f"no paper {slug[:80]!r}")
    return found


@functools.cache
def curves(slug: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The first learning curves of the published run: (what it shows, drawing, arms with their classes)."""
    results = verdicts.published(slug)
    if results is None:
        return []
    drawn, styles = [], arm_classes(results["current"])
    for curve in results["current"]["curves"][:CURVES]:
        title = f"{curve['name']} in {curve['setting']}"
        arms = [(line["arm"], styles[line["arm"]]) for line in curve["arms"]]
        drawn.append((title, figures.curves(curve["arms"], styles, title=title), arms))
    return drawn


@functools.cache
def benchmarks(slug: str) -> Mapping[str, Any] | None:
    """What was measured beside the paper's peers, None if nothing was."""
    path = catalogue.PACKAGE / "results" / "benchmarks" / f"{slug}.json"
    if slug not in catalogue.load() or not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
