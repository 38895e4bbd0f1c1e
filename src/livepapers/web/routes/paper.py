"""A paper: what it is, what was measured of it, how it is used, cited and run."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from livepapers.lab import figures
from livepapers.lab.report.page import arm_classes
from livepapers.lab.report.summary import notes, of_ours, of_paper
from livepapers.lab.store import RunRecord
from livepapers.lab.study import PRESETS
from livepapers.papers import catalogue, citation
from livepapers.papers.catalogue import Card
from livepapers.web import applying, guard, running, sources, verdicts
from livepapers.web.rendering import environment, page
from livepapers.web.search import similar
from livepapers.web.store import Paper

router = APIRouter(include_in_schema=False)

SIMILAR = 5
RECENT = 5
"""Runs that a paper's page lists."""
CURVES, CURVES_SIZE = 6, 60_000
"""Curves on a paper's page, and their bytes: all others are a page of their own."""


@dataclass(frozen=True)
class Curve:
    """A picture of learning curves or of a sweep, with its legend."""

    setting: str
    about: str
    arms: Sequence[tuple[str, str]]  # (name, style class)
    picture: Markup


@router.get("/papers/{slug}")
def paper(request: Request, slug: str) -> Response:
    """One paper."""
    found = known(request, slug)
    ours = found.source == "catalogue"
    published = verdicts.published(found.slug) if ours else None
    current = published["current"] if published else None
    said = current["verdicts"] if current else []
    drawn = curves(found.slug) if current else ()
    return page(
        request, "paper.html.j2", paper=found, card=catalogue.card(found.slug) if ours else None,
        voted=_voted(request, found), current=current, claims=claims(found.slug) if current else "",
        claimed=of_paper(said),
        notes=notes(current) if current else [], curves=_first(drawn), all_curves=len(drawn),
        method=sources.method(found.slug) if ours else None, usage=sources.usage(found.slug) if ours else (),
        bench=sources.benchmark(found.slug) if ours else None, peers=sources.peers, bibtex=_cited(found, "bib"),
        similar=similar(request.app.state.store, found.slug, SIMILAR), can_run=running.runs_here(found.slug),
        can_apply=ours and applying.has_form(found.slug),
        presets=PRESETS, most_seeds=running.MOST_SEEDS, records=_runs(request, found.slug),
    )  # fmt: skip


@router.get("/papers/{slug}/curves")
def all_curves(request: Request, slug: str) -> Response:
    """Every learning curve of the published run."""
    found = known(request, slug)
    drawn = curves(found.slug) if found.source == "catalogue" else ()
    if not drawn:
        raise HTTPException(404, f"no learning curves of {found.slug} are published")
    return page(request, "paper_curves.html.j2", paper=found, curves=drawn)


@router.get("/papers/{slug}/cite.{kind}")
def cite(request: Request, slug: str, kind: str) -> Response:
    """The paper as a BibTeX entry or an RIS record, to save."""
    types = {"bib": "application/x-bibtex", "ris": "application/x-research-info-systems"}
    found = known(request, slug)
    text = _cited(found, kind) if kind in types else ""
    if not text:
        raise HTTPException(404, f"no citation of {found.slug} as {kind!r}; bib and ris are there where authors are")
    headers = {"Content-Disposition": f'attachment; filename="{found.slug}.{kind}"'}
    return Response(text.encode(), media_type=f"{types[kind]}; charset=utf-8", headers=headers)


@router.post("/papers/{slug}/run")
def run(
    request: Request,
    slug: str,
    preset: Annotated[str, Form()] = "smoke",
    seeds: Annotated[str, Form()] = "",
    token: Annotated[str, Form()] = "",
) -> Response:
    """Start the paper's study; it goes on without the page."""
    guard.require_token(request, token)
    name = known(request, slug).slug
    words = running.command_for_run(name, preset, seeds)
    guard.limit(request, "run")
    state = request.app.state
    started = running.launch(state.store, state.settings, words, kind="run", slug=name)
    return RedirectResponse(f"/runs/starting/{started.name}", 303)


@router.get("/papers/{slug}/run")
def not_run(request: Request, slug: str) -> Response:
    """Where a browser gets that loads the answer to a refused start again."""
    return RedirectResponse(f"/papers/{known(request, slug).slug}", 303)


def known(request: Request, slug: str) -> Paper:
    """The paper of that name, or 404."""
    found = request.app.state.store.paper(slug)
    if found is None:
        raise HTTPException(404, f"no paper {slug!r}")
    return found


@functools.cache
def curves(slug: str) -> tuple[Curve, ...]:
    """The published learning curves of a paper; drawn once, since results do not change while the page runs."""
    published = verdicts.published(slug)
    return drawn_curves(published["current"]) if published else ()


@functools.cache
def claims(slug: str) -> Markup:
    """The published verdicts of a paper, claim by claim; rendered once, as its curves are."""
    published = verdicts.published(slug)
    said = published["current"]["verdicts"] if published else []
    macros: Any = environment().get_template("claims.html.j2").module
    added = of_ours(said)
    return Markup("\n").join(macros.claim_entry(claim, added) for claim in said)


def drawn_curves(found: Mapping[str, Any]) -> tuple[Curve, ...]:
    """The curves of a run's evidence, in the study's order; last those on which all seeds agree."""
    styles = arm_classes(found)
    return tuple(
        Curve(
            each["setting"],
            each["about"],
            [(line["arm"], styles[line["arm"]]) for line in each["arms"]],
            figures.curve_figure(each, styles),
        )
        for each in sorted(found["curves"], key=_seeds_agree)
    )


def _seeds_agree(curve: Mapping[str, Any]) -> bool:
    return all(line["n"] > 1 and line["low"] == line["high"] for line in curve["arms"])


def _first(drawn: Sequence[Curve]) -> list[Curve]:
    """The first curve of each setting, as many as a page should hold."""
    firsts = {curve.setting: curve for curve in reversed(drawn)}
    chosen: list[Curve] = []
    for curve in (curve for curve in drawn if firsts[curve.setting] is curve):
        if len(chosen) < CURVES and sum(len(each.picture) for each in [*chosen, curve]) <= CURVES_SIZE:
            chosen.append(curve)
    return chosen


def _voted(request: Request, found: Paper) -> bool:
    reader = request.app.state.secret.reader(request)
    return found.slug in request.app.state.store.voted(reader, [found])


def _runs(request: Request, slug: str) -> list[RunRecord]:
    return request.app.state.runs.runs(slug=slug, mark=False, limit=RECENT)


def _cited(found: Paper, kind: str) -> str:
    """A citation; empty where authors or the year are not known, because nothing is made up."""
    if found.source == "catalogue":
        card = catalogue.card(found.slug)
    elif found.authors and found.submitted:
        card = Card(
            slug=found.slug, title=found.title, authors=found.authors, submitted=found.submitted, field=found.field,
            tags=found.tags, summary="", code_url="", code_licence="", venue="", arxiv=found.arxiv, doi=found.doi,
            url=found.link,
        )  # fmt: skip
    else:
        return ""
    return {"bib": citation.bibtex, "ris": citation.ris}[kind](card)
