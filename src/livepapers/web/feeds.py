"""Atom feeds: papers as entries that are updated when a verdict changes, and the verdict news of one paper."""

import datetime as dt
import hashlib
import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import sqlalchemy as sa

from livepapers.web import news, tables, verdicts
from livepapers.web.news import Change
from livepapers.web.rendering import safe_link
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore, Paper
from livepapers.web.subscriptions import utc

ATOM = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"
ENTRIES = 50
SINCE = 2026  # year of the tags: the name was ours then

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a feed tells."""

    id: str  # after the feed's authority in its tag; never changes
    title: str
    link: str  # a path of the page
    updated: float
    published: str  # as RFC 3339
    text: str
    authors: tuple[str, ...]
    terms: tuple[str, ...] = ()
    related: str = ""  # where the paper can be read


def recent(store: PageStore, *, field: str = "", among: Collection[str] | None = None) -> list[Paper]:
    """The papers that came or got a verdict last: of all, of a field, or among these slugs."""
    p, n = tables.papers.c, tables.news.c
    last = sa.select(n.slug, sa.func.max(n.at).label("at")).group_by(n.slug).subquery()
    touched = sa.case((last.c.at > p.added, last.c.at), else_=p.added)
    query = (
        sa.select(p.slug).select_from(sa.outerjoin(tables.papers, last, last.c.slug == p.slug))
        .order_by(touched.desc(), p.submitted.desc(), p.slug)
    )  # fmt: skip
    if among is None:
        query = query.limit(ENTRIES)
    with store.reading() as connection:
        slugs = connection.execute(query.where(p.field == field) if field else query).scalars()
        first = [slug for slug in slugs if among is None or slug in among][:ENTRIES]
    return store.by_slug(first)


def of_papers(store: PageStore, papers: Sequence[Paper]) -> list[Entry]:
    """An entry a paper, the last updated first."""
    with store.reading() as connection:
        changed = news.latest(connection, [paper.slug for paper in papers])
    entries = [_of_paper(paper, max(paper.added, changed.get(paper.slug, 0.0))) for paper in papers]
    return sorted(entries, key=lambda entry: -entry.updated)


def of_changes(paper: Paper, changes: Sequence[Change]) -> list[Entry]:
    """An entry a verdict that came or changed."""
    return [
        Entry(
            id=f"papers/{paper.slug}/claims/{change.claim}/{change.at:.0f}",
            title=f"{change.claim}: {change.verdict}" + (f" (it was: {change.before})" if change.before else ""),
            link=f"/papers/{quote(paper.slug)}",
            updated=change.at,
            published=_time(change.at),
            text=change.statement,
            authors=("livepapers",),
            terms=(change.verdict,),
        )
        for change in changes
    ]


def atom(settings: Settings, path: str, title: str, page: str, entries: Sequence[Entry], *, since: float) -> bytes:
    """A feed as XML.

    Args:
        settings: Say what absolute links begin with.
        path: Of the feed itself, with its query.
        title: Of the feed.
        page: The path of the page that shows the same.
        entries: What it tells.
        since: When it was last updated if it tells nothing.
    """
    base = settings.base
    authority = _authority(base)
    feed = ET.Element("feed", {"xmlns": ATOM, "xml:lang": "en"})
    _add(feed, "id", f"tag:{authority},{SINCE}:{quote(path, safe='/')}")
    _add(feed, "title", title)
    _add(feed, "updated", _time(max((entry.updated for entry in entries), default=since)))
    ET.SubElement(feed, "link", {"rel": "self", "type": MEDIA_TYPE, "href": base + path})
    ET.SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": base + page})
    _author(feed, "livepapers")
    for entry in entries:
        _entry(ET.SubElement(feed, "entry"), entry, base, authority)
    ET.indent(feed)
    return ET.tostring(feed, encoding="utf-8", xml_declaration=True) + b"\n"


def etag(body: bytes) -> str:
    """A strong entity tag of a body."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def matches(condition: str, tag: str) -> bool:
    """Whether an If-None-Match header names this entity tag; weak ones count, as for GET they do."""
    named = [part.strip().removeprefix("W/") for part in condition.split(",")]
    return tag in named or condition.strip() == "*"


def _of_paper(paper: Paper, updated: float) -> Entry:
    marks = verdicts.strip(paper.slug)
    told = ", ".join(f"{marks.count(name)} {name}" for name in dict.fromkeys(marks))
    return Entry(
        id=f"papers/{paper.slug}",
        title=paper.title,
        link=f"/papers/{quote(paper.slug)}",
        updated=updated,
        published=_date(paper.submitted, paper.added),
        text=paper.summary + (f" Verdicts on its claims: {told}." if told else ""),
        authors=paper.authors,
        terms=tuple(filter(None, (paper.field, *paper.tags))),
        related=safe_link(paper.link),
    )


def _entry(element: ET.Element, entry: Entry, base: str, authority: str) -> None:
    _add(element, "id", f"tag:{authority},{SINCE}:{quote(entry.id, safe='/')}")
    _add(element, "title", entry.title)
    _add(element, "updated", _time(entry.updated))
    _add(element, "published", entry.published)
    ET.SubElement(element, "link", {"rel": "alternate", "type": "text/html", "href": base + entry.link})
    if entry.related:
        ET.SubElement(element, "link", {"rel": "related", "href": entry.related})
    for name in entry.authors or ("unknown",):
        _author(element, name)
    for term in entry.terms:
        ET.SubElement(element, "category", {"term": _clean(term)})
    if entry.text:
        _add(element, "summary", entry.text)


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = _clean(text)


def _author(parent: ET.Element, name: str) -> None:
    _add(ET.SubElement(parent, "author"), "name", name or "unknown")


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return _NOT_XML.sub("", text)


def _time(seconds: float) -> str:
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(submitted: str, added: float) -> str:
    """The first moment of a date, YYYY-MM-DD, YYYY-MM or YYYY; when the paper was added where that is none."""
    text = submitted + "-01-01"[len(submitted) - 4 :]
    try:
        return f"{dt.date.fromisoformat(text).isoformat()}T00:00:00Z"
    except ValueError:
        return _time(added)


def _authority(base: str) -> str:
    """Who gives the feed its names: the host under which readers reach the page, as a domain name."""
    host = urlsplit(base).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return "localhost"
