"""Verdicts that came or changed: what was published, beside what was recorded last."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from livepapers.lab.report.summary import of_paper
from livepapers.papers import catalogue
from livepapers.web import tables, verdicts
from livepapers.web.store import PageStore


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict on a paper's claim, and what it was before."""

    slug: str
    claim: str
    statement: str  # empty if the claim is not in the results any more
    verdict: str
    before: str  # empty for the first one
    at: float


def record(store: PageStore, now: float | None = None) -> int:
    """Write down the published verdicts that are new or not what was recorded last; returns how many these are.

    Any number of processes may do so at once: they wait for each other.
    """
    published = {
        (slug, verdict["id"]): verdict["verdict"] for slug in catalogue.load() for verdict in _of(slug)
    }  # fmt: skip
    p, n = tables.papers.c, tables.news
    slugs = sorted({slug for slug, _ in published})
    with store.telling(now=now) as (connection, at):
        # rows to hold, where the database lets several write: what was recorded must not change meanwhile
        connection.execute(sa.select(p.id).where(p.slug.in_(slugs)).order_by(p.slug).with_for_update()).all()
        last = _recorded(connection)
        rows = [
            {"slug": slug, "claim": claim, "verdict": verdict, "before": last.get((slug, claim), ""), "at": at}
            for (slug, claim), verdict in published.items()
            if last.get((slug, claim)) != verdict
        ]
        if rows:
            connection.execute(sa.insert(n), rows)
    return len(rows)


def between(connection: Connection, after: float, until: float) -> list[Change]:
    """What changed in (after, until], the newest first: of each claim its last verdict and the one before the first.

    A verdict that is back at what it was is no change.
    """
    n = tables.news
    query = sa.select(n).where(n.c.at > after, n.c.at <= until).order_by(n.c.id)
    found: dict[tuple[str, str], Change] = {}
    for row in connection.execute(query):
        before = found[row.slug, row.claim].before if (row.slug, row.claim) in found else row.before
        found[row.slug, row.claim] = _change(row, before)
    changed = (change for change in found.values() if change.verdict != change.before)
    return sorted(changed, key=lambda change: -change.at)  # stable: claims stay in the results' order


def of(connection: Connection, slug: str, limit: int) -> list[Change]:
    """The last changes of one paper's verdicts, the newest first."""
    n = tables.news
    query = sa.select(n).where(n.c.slug == slug).order_by(n.c.at.desc(), n.c.id).limit(limit)
    return [_change(row, row.before) for row in connection.execute(query)]


def latest(connection: Connection, slugs: Iterable[str]) -> dict[str, float]:
    """When a verdict of each of these papers came or changed last; papers without are left out."""
    n = tables.news.c
    query = sa.select(n.slug, sa.func.max(n.at).label("last")).where(n.slug.in_(list(slugs))).group_by(n.slug)
    return {row.slug: row.last for row in connection.execute(query)}


def _recorded(connection: Connection) -> dict[tuple[str, str], str]:
    n = tables.news.c
    newest = sa.select(sa.func.max(n.id)).group_by(n.slug, n.claim)
    rows = connection.execute(sa.select(n.slug, n.claim, n.verdict).where(n.id.in_(newest)))
    return {(row.slug, row.claim): row.verdict for row in rows}


def _of(slug: str) -> list[dict[str, str]]:
    """The published verdicts on a paper's own claims."""
    found = verdicts.published(slug)
    return [] if found is None else [dict(verdict) for verdict in of_paper(found["current"]["verdicts"])]


def _change(row: sa.Row, before: str) -> Change:
    statement = next((verdict["statement"] for verdict in _of(row.slug) if verdict["id"] == row.claim), "")
    return Change(row.slug, row.claim, statement, row.verdict, before, row.at)
