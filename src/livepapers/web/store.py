"""Papers, votes and rate limits in the database of the run store."""

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import sqlalchemy as sa
from sqlalchemy import Connection

from livepapers.core.errors import InputError
from livepapers.lab import database
from livepapers.lab.report.summary import of_paper
from livepapers.papers import catalogue
from livepapers.papers.catalogue import Card
from livepapers.web import tables, verdicts

Sort = Literal["trending", "newest", "measured"]
SORTS: tuple[Sort, ...] = get_args(Sort)
STATUSES: tuple[catalogue.Status, ...] = get_args(catalogue.Status)
HALF_LIFE = 7 * 86_400.0
"""Seconds after which a vote counts half."""
COLD = -1e300
"""The heat of a paper without votes: below that of any paper with one."""
PAGE = 30
"""Papers on one page of a list."""
NEWS = 0x6E657773
"""The advisory lock that all who write news on PostgreSQL share, and that a digest waits for."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper as the page lists it."""

    id: int
    slug: str
    title: str
    authors: tuple[str, ...]
    submitted: str
    field: str
    tags: tuple[str, ...]
    summary: str
    link: str
    arxiv: str
    doi: str
    code_url: str
    source: str
    status: str
    claims: int
    added: float
    votes: int


class PageStore:
    """The page's side of the store.

    Args:
        location: As for `lab.store.Store`.

    Raises:
        InputError: The store cannot be opened.
    """

    def __init__(self, location: str | Path | None = None) -> None:
        self.home, self.url, path = database.locate(location)
        self.engine = database.open_engine(self.url, path, create=True)
        self.insert = database.insert_of(self.engine)
        self._server = self.engine.dialect.name == "postgresql"
        database.make_tables(self.engine, tables.TABLES)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """A transaction that only reads."""
        return database.transaction(self.engine, "read")

    def writing(self, *, durable: bool = False) -> contextlib.AbstractContextManager[Connection]:
        """A transaction that writes; a durable one survives a power cut."""
        return database.transaction(self.engine, "durable" if durable else "quick")

    @contextlib.contextmanager
    def telling(self, *, durable: bool = False, now: float | None = None) -> Iterator[tuple[Connection, float]]:
        """A transaction that writes what digests tell, and the time that it happens at.

        The time is read inside: who had to wait for the database would else come with a time that a digest has covered
        meanwhile, and be in none.
        """
        with self.writing(durable=durable) as connection:
            if self._server:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(NEWS)))
            yield connection, self._clock(connection) if now is None else now

    def settled(self, now: float | None = None) -> float:
        """The present moment, when all news up to it are there: whoever writes an earlier time has ended."""
        with self.reading() as connection:
            moment = self._clock(connection) if now is None else now
        with self.writing() as connection:  # SQLite has one writer, so this has waited for it
            if self._server:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(NEWS)))
        return moment

    def _clock(self, connection: Connection) -> float:
        """Seconds since 1970; a server's clock counts for all machines that use it."""
        if not self._server:
            return time.time()
        return float(connection.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one())

    # ---- papers ----

    def sync(self, cards: Iterable[Card], *, now: float | None = None) -> None:
        """Bring the catalogue's papers up to date; papers from elsewhere and all votes stay as they are.

        A paper that was imported before the catalogue had it becomes the catalogue's, with its votes.
        """
        rows = [{**_columns(card), "votes": 0, "heat": COLD} for card in cards]
        rows.sort(key=lambda row: row["slug"])  # two servers that start together hold rows in one order
        if not rows:
            return
        insert = self.insert(tables.papers)
        changed = {name: insert.excluded[name] for name in rows[0] if name not in {"slug", "votes", "heat"}}
        p = tables.papers.c
        with self.telling(now=now) as (connection, at):
            known = set(connection.execute(sa.select(p.slug)).scalars())
            for row in (row for row in rows if row["slug"] not in known and (row["arxiv"] or row["doi"])):
                same = sa.or_(*(p[name] == row[name] for name in ("arxiv", "doi") if row[name]))
                imported = sa.select(sa.func.min(p.id)).where(p.source != "catalogue", same).scalar_subquery()
                connection.execute(sa.update(tables.papers).where(p.id == imported).values(slug=row["slug"]))
            new = insert.on_conflict_do_update(index_elements=["slug"], set_=changed)
            connection.execute(new, [{**row, "added": at} for row in rows])

    def papers(
        self, sort: Sort, *, field: str = "", status: str = "", since: str = "", after: float = 0.0, page: int = 1,
        size: int = PAGE,
    ) -> tuple[list[Paper], int]:  # fmt: skip
        """One page of a list, and how many papers the whole list has.

        Args:
            sort: By votes that fade, by date of submission, or by the number of measured claims.
            field: Only this field.
            status: Only this status.
            since: Only papers submitted on that date (YYYY-MM-DD) or later.
            after: Only papers that came here, or got a verdict or another one, after that time.
            page: From 1.
            size: Papers a page.
        """
        p = tables.papers.c
        order = {
            "trending": (p.heat.desc(), p.submitted.desc(), p.slug),
            "newest": (p.submitted.desc(), p.slug),
            "measured": (p.claims.desc(), p.submitted.desc(), p.slug),
        }[sort]
        wanted = [column == value for column, value in ((p.field, field), (p.status, status)) if value]
        if since:
            # of some papers only the month or the year is known; then all of it counts
            wanted.append(sa.or_(p.submitted >= since, p.submitted.in_([since[:7], since[:4]])))
        if after:
            n = tables.news.c
            wanted.append(sa.or_(p.added > after, p.slug.in_(sa.select(n.slug).where(n.at > after))))
        query = sa.select(tables.papers).where(*wanted).order_by(*order).limit(size).offset((page - 1) * size)
        with self.reading() as connection:
            total = connection.execute(
                sa.select(sa.func.count()).select_from(tables.papers).where(*wanted)
            ).scalar_one()
            return [_paper(row) for row in connection.execute(query)], total

    def by_slug(self, slugs: Sequence[str]) -> list[Paper]:
        """The papers of these slugs, in this order; those that are not there are left out."""
        with self.reading() as connection:
            rows = connection.execute(sa.select(tables.papers).where(tables.papers.c.slug.in_(slugs)))
            found = {row.slug: _paper(row) for row in rows}
        return [found[slug] for slug in slugs if slug in found]

    def paper(self, slug: str) -> Paper | None:
        """One paper, or None; capital letters are as good as small ones, and databases refuse control characters."""
        return next(iter(self.by_slug([slug.casefold()])), None) if slug.isprintable() else None

    # ---- votes ----

    def vote(self, slug: str, reader: str, *, up: bool, now: float | None = None) -> int | None:
        """Cast or take back a reader's one vote; returns the paper's votes, None if there is no such paper."""
        p, v = tables.papers.c, tables.votes.c
        with self.telling(now=now) as (connection, at):
            paper = connection.execute(
                sa.select(p.id, p.votes, p.heat).where(p.slug == slug).with_for_update()
            ).one_or_none()
            if paper is None:
                return None
            mine = sa.select(v.cast).where(v.paper == paper.id, v.reader == reader)
            before = connection.execute(mine).scalar_one_or_none()
            if (before is not None) == up:
                return int(paper.votes)
            if up:
                connection.execute(sa.insert(tables.votes).values(paper=paper.id, reader=reader, cast=at))
            else:
                connection.execute(sa.delete(tables.votes).where(v.paper == paper.id, v.reader == reader))
            times = connection.execute(sa.select(v.cast).where(v.paper == paper.id)).scalars().all()
            change = sa.update(tables.papers).where(p.id == paper.id)
            connection.execute(change.values(votes=len(times), heat=heat(times)))
            return len(times)

    def voted(self, reader: str, papers: Sequence[Paper]) -> set[str]:
        """Which of these papers the reader has voted for, by slug."""
        if not reader or not papers:
            return set()
        v, slugs = tables.votes.c, {paper.id: paper.slug for paper in papers}
        with self.reading() as connection:
            found = connection.execute(sa.select(v.paper).where(v.reader == reader, v.paper.in_(slugs)))
            return {slugs[number] for number in found.scalars()}

    # ---- rate limits ----

    def take(self, key: str, *, capacity: float, per_second: float, now: float | None = None) -> bool:
        """Take a token from the bucket `key`; False when it is empty."""
        at, b = time.time() if now is None else now, tables.buckets.c
        with self.writing() as connection:
            # a new bucket first, so that there is a row to hold: two requests at once must not take the same token
            new = self.insert(tables.buckets).values(key=key, tokens=capacity, filled=at)
            connection.execute(new.on_conflict_do_nothing())
            row = connection.execute(sa.select(b.tokens, b.filled).where(b.key == key).with_for_update()).one()
            tokens = min(capacity, row.tokens + max(0.0, at - row.filled) * per_second)
            left = tokens - 1.0 if tokens >= 1.0 else tokens
            connection.execute(sa.update(tables.buckets).where(b.key == key).values(tokens=left, filled=at))
            return tokens >= 1.0


def heat(times: Sequence[float]) -> float:
    """How hot votes at these times make a paper: log2 of the sum of 2^(time / half-life).

    A vote of age t counts 2^(-t / half-life). All papers' sums shrink alike as time passes, so their order, and that of
    this logarithm, changes only with votes: lists sorted by it need no clock.
    """
    if not times:
        return COLD
    last = max(times) / HALF_LIFE
    return last + math.log2(math.fsum(2.0 ** (at / HALF_LIFE - last) for at in times))


def _columns(card: Card) -> dict[str, Any]:
    results = verdicts.published(card.slug)
    return {
        "slug": card.slug, "title": card.title, "authors": list(card.authors), "submitted": card.submitted,
        "field": card.field, "tags": list(card.tags), "summary": card.summary, "link": card.link, "arxiv": card.arxiv,
        "doi": card.doi, "code_url": card.code_url, "source": "catalogue", "status": catalogue.status(card.slug),
        "claims": len([v for v in of_paper(results["current"]["verdicts"]) if v["n"]]) if results else 0,
    }  # fmt: skip


def _paper(row: Any) -> Paper:
    values = dict(row._mapping)
    del values["heat"]
    return Paper(**{**values, "authors": tuple(row.authors), "tags": tuple(row.tags)})


def refuse_unknown(sort: str, field: str, status: str) -> None:
    """Raise `InputError` for a sort, field or status that does not exist."""
    for name, value, known in (
        ("sort", sort, SORTS),
        ("field", field, ("", *catalogue.FIELDS)),
        ("status", status, ("", *STATUSES)),
    ):
        if value not in known:
            raise InputError.of(name, value, expected=f"one of {', '.join(filter(None, known))}")
