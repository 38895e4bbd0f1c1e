"""Entries become rows of `papers`: each paper once, nothing of the catalogue changed, nothing deleted."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from livepapers.papers import catalogue
from livepapers.papers.search import fold, words
from livepapers.web import tables
from livepapers.web.importing.entry import Batch, Entry, Skipped
from livepapers.web.store import COLD, PageStore

Source = Literal["arxiv", "page", "bibtex"]

STEM = 60
"""Characters of a title in a slug."""
TELLING = 4
"""Words a title needs to be the same paper's by itself, where one source names no authors."""
UNLINKED = "it is new here, and has no arXiv identifier, no DOI and no https:// address"

_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})
_PLAIN = re.compile(r"[a-z0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listed:
    """What became of one entry."""

    slug: str
    title: str
    state: Literal["new", "completed", "known"]  # completed: known, and empty columns were filled in


@dataclass(slots=True)
class Outcome:
    """What became of all entries so far."""

    papers: list[Listed] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def count(self, state: str) -> int:
        """How many entries ended in that state."""
        return sum(paper.state == state for paper in self.papers)

    def add(self, other: "Outcome") -> None:
        """Take in the outcome of another batch."""
        self.papers += other.papers
        self.skipped += other.skipped


@dataclass(slots=True)
class _Row:
    """What is compared of a row."""

    id: int
    slug: str
    source: str
    family: str  # of the first author, folded; empty without authors
    empty: set[str]  # columns that an import may fill in
    arxiv: str


class _Known:
    """The rows of the table, by what makes papers the same."""

    def __init__(self, connection: Connection) -> None:
        self.slugs: set[str] = set(catalogue.load())
        self._arxiv: dict[str, _Row] = {}
        self._doi: dict[str, _Row] = {}
        self._titles: dict[str, list[_Row]] = {}
        p = tables.papers.c
        names = (p.id, p.slug, p.source, p.title, p.authors, p.arxiv, p.doi, p.submitted, p.tags)
        for row in connection.execute(sa.select(*names).order_by(p.id)):
            self.add(row.id, row.slug, row.source, row)

    def add(self, number: int, slug: str, source: str, of: Any) -> None:
        """Know a row; `of` is anything with the columns' values."""
        columns = ("authors", "arxiv", "doi", "submitted", "tags")
        empty = {name for name in columns if not getattr(of, name)}
        row = _Row(number, slug, source, family(of.authors), empty, of.arxiv)
        self.slugs.add(slug)
        self.name(row, arxiv=of.arxiv, doi=of.doi)
        self._titles.setdefault(_key(of.title), []).append(row)

    def name(self, row: _Row, *, arxiv: str, doi: str) -> None:
        """Know a row by its identifiers; the row that had one first keeps it."""
        if arxiv:
            self._arxiv.setdefault(arxiv.casefold(), row)
        if doi:
            self._doi.setdefault(doi.casefold(), row)

    def find(self, entry: Entry) -> _Row | None:
        """The row of the same paper: by arXiv identifier, by DOI, by title and first author."""
        by_number = self._arxiv.get(entry.arxiv.casefold()) or self._doi.get(entry.doi.casefold())
        if by_number is not None:
            return by_number
        key, first = _key(entry.title), family(entry.authors)
        rows = self._titles.get(key, [])
        same = next((row for row in rows if row.family == first and first), None)
        if same is None and len(key.split()) >= TELLING:
            unsigned = [row for row in rows if not (row.family and first)]
            same = next((row for row in unsigned if not _differ(row.arxiv, entry.arxiv)), None)
        return same

    def fillable(self, row: _Row, entry: Entry) -> dict[str, Any]:
        """The row's empty columns that the entry knows; an identifier that another row has is not given twice."""
        numbers = (("arxiv", self._arxiv), ("doi", self._doi))
        taken = {name for name, rows in numbers if getattr(entry, name).casefold() in rows}
        found = {name: getattr(entry, name) for name in row.empty - taken if getattr(entry, name)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def enter(
    store: PageStore, batch: Batch, source: Source, *, dry_run: bool = False, now: float | None = None
) -> Outcome:
    """Enter a batch, all of it or nothing, and say what became of each entry.

    Args:
        store: Where to; its catalogue has to be in sync.
        batch: What was read.
        source: Where it was read.
        dry_run: Do all the same, then take it back.
        now: When the papers were added; now if left out.
    """
    outcome = Outcome(skipped=list(batch.skipped))
    p = tables.papers
    with store.telling(durable=True, now=now) as (connection, at):
        # a row to hold, where the database lets several write: two imports at once must not enter the same paper
        hold = sa.select(p.c.id).where(p.c.source == "catalogue").order_by(p.c.slug).limit(1)
        connection.execute(hold.with_for_update()).all()
        known = _Known(connection)
        for entry in batch.entries:
            row = known.find(entry)
            if row is None and not entry.link:
                outcome.skipped.append(Skipped(entry.title, UNLINKED))
            else:
                outcome.papers.append(_one(connection, known, row, entry, source, at))
        if dry_run:
            connection.rollback()
    return outcome


def _one(
    connection: Connection, known: _Known, row: _Row | None, entry: Entry, source: Source, now: float
) -> Listed:  # fmt: skip
    if row is None:
        slug = _free(slug_of(entry), known.slugs)
        values = _columns(entry) | {"slug": slug, "source": source, "added": now}
        made = connection.execute(sa.insert(tables.papers).values(values)).inserted_primary_key
        known.add(made[0] if made else 0, slug, source, entry)
        return Listed(slug, entry.title, "new")
    filled = {} if row.source == "catalogue" else known.fillable(row, entry)
    if filled:
        change = sa.update(tables.papers).where(tables.papers.c.id == row.id)
        connection.execute(change.values(filled))
        row.empty -= filled.keys()
        row.arxiv, row.family = filled.get("arxiv", row.arxiv), row.family or family(filled.get("authors", ()))
        known.name(row, arxiv=filled.get("arxiv", ""), doi=filled.get("doi", ""))
    return Listed(row.slug, entry.title, "completed" if filled else "known")


def slug_of(entry: Entry) -> str:
    """The slug of an imported paper: words of its title, and its arXiv identifier or a hash.

    The same paper from the same source has the same slug in every store; the ending keeps it apart from the catalogue's
    short ones, those of later versions included.
    """
    stem = "-".join(_PLAIN.findall(fold(entry.title)))[: STEM + 1]
    if len(stem) > STEM:  # cut between words, where there is more than one
        stem = stem.rpartition("-")[0] or stem[:STEM]
    identity = f"{_key(entry.title)}\x1f{family(entry.authors)}"
    ending = "-".join(_PLAIN.findall(entry.arxiv.lower())) or hashlib.sha256(identity.encode()).hexdigest()[:8]
    return f"{stem or 'paper'}-{ending}"


def family(authors: Sequence[str]) -> str:
    """The family name of the first author, folded: what stands last, "Jr." and the like left out."""
    parts = words(authors[0]) if authors else []
    while len(parts) > 1 and parts[-1] in _SUFFIXES:
        parts.pop()
    return parts[-1] if parts else ""


def _free(slug: str, taken: Iterable[str]) -> str:
    """The slug, with a number where another paper has it."""
    number, free = 1, slug
    while free in taken:
        number += 1
        free = f"{slug}-{number}"
    return free


def _key(title: str) -> str:
    """What two spellings of a title have in common; a title without letters is its own."""
    return " ".join(words(title)) or title


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _columns(entry: Entry) -> dict[str, Any]:
    return {
        "title": entry.title, "authors": list(entry.authors), "submitted": entry.submitted, "field": "",
        "tags": list(entry.tags), "summary": "", "link": entry.link, "arxiv": entry.arxiv, "doi": entry.doi,
        "code_url": "", "status": "listed", "claims": 0, "votes": 0, "heat": COLD,
    }  # fmt: skip
