"""Search: papers that have the query's words and papers that mean the same, in one list; and papers like a paper.

The two lists are fused by rank (G. Cormack, C. Clarke, S. Büttcher, "Reciprocal Rank Fusion", 2009), because their
scores have nothing in common. What both databases cannot do, the ideas, is kept in memory and made anew when the
database says that a text has changed.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import Connection

from livepapers.papers import catalogue
from livepapers.papers.search import terms
from livepapers.web import fulltext, tables
from livepapers.web.ideas import Index, Text
from livepapers.web.importing.entry import arxiv_id, doi_of
from livepapers.web.store import PAGE, PageStore, Paper

STEADY = 5.0
"""Ranks that are added to each: how little the very first places differ; the reference's 60 suits longer lists."""
WORDS, IDEAS = 1.0, 3.0
"""What a place in either list is worth."""
RELEVANT = 0.6
"""Share of the best paper's score that a paper needs to be found by its ideas."""
NEAREST = 200
"""Papers that are found by their ideas alone, at most; those that have the words are all found."""
LEAST = 0.2
"""Score that a paper needs to be found by its ideas, of 1."""


_SIGNED = re.compile(r"(?<!\w)[A-Za-z](?:\+\+|#)(?!\w)")
"""Names of one letter and signs: C++, C#, F#."""


class Found(NamedTuple):
    """What a search finds."""

    papers: list[Paper]
    total: int  # papers of the whole list
    meant: str  # the query that was answered: misspelt words replaced by words of the papers


def find(store: PageStore, query: str, *, limit: int = PAGE, offset: int = 0) -> Found:
    """Papers for a query, best first.

    Args:
        store: Holds the papers.
        query: Any text. An arXiv identifier or a DOI, bare or as a link, is the paper that has it. Blank, or without a
            letter or digit: no paper.
        limit: Papers wanted.
        offset: Papers of the list that are left out before them.
    """
    slugs, meant = ranked(store, query)
    return Found(store.by_slug(slugs[offset : offset + limit]), len(slugs), meant)


def ranked(store: PageStore, query: str) -> tuple[list[str], str]:
    """The slugs of all papers for a query, best first, and the query that was answered, as for `find`."""
    if not terms(query):
        return [], query
    with store.reading() as connection:
        slugs, meant = _identified(connection, query), query
    if not slugs:
        # of "C++" the words keep a "c", which is another thing: such names are looked up as they are typed
        names, rest = list(dict.fromkeys(_SIGNED.findall(query))), _SIGNED.sub(" ", query)
        corrected = _index(store).corrected(rest)
        meant = query if corrected == rest else " ".join([corrected, *names])
        with store.reading() as connection:
            by_words = fulltext.naming(connection, names) + fulltext.matching(connection, corrected)
        own = [slug for slug in by_words if slug == meant.strip().casefold()]  # a paper's own name is no question
        slugs = list(dict.fromkeys([*own, *fused(list(dict.fromkeys(by_words)), by_ideas(store, corrected))]))
    return slugs, meant


def _identified(connection: Connection, query: str) -> list[str]:
    """The papers whose identifier the query is."""
    p, number, doi = tables.papers.c, arxiv_id(query), doi_of(query)
    if not (number or doi):
        return []
    same = p.arxiv == number if number else p.doi.in_({doi, doi.lower(), doi.upper()})  # capitals mean nothing in it
    return list(connection.execute(sa.select(p.slug).where(same).order_by(p.slug)).scalars())


def warm(store: PageStore) -> None:
    """Make the index of ideas now, so that the first reader who searches need not wait for it."""
    _index(store)


def similar(store: PageStore, slug: str, n: int = 5) -> list[Paper]:
    """The n papers that are most like this one, best first; none for a paper that is not there."""
    return store.by_slug(_index(store).similar(slug, n))


def by_ideas(store: PageStore, query: str) -> list[str]:
    """The slugs of the papers that have to do with the query, whatever their words, best first."""
    nearest = _index(store).ranked(query, NEAREST)
    least = max(LEAST, RELEVANT * nearest[0][1]) if nearest else 0.0
    return [slug for slug, score in nearest if score >= least]


def fused(by_words: Sequence[str], by_ideas: Sequence[str]) -> list[str]:
    """Two ranked lists as one."""
    scores: defaultdict[str, float] = defaultdict(float)
    for found, worth in ((by_words, WORDS), (by_ideas, IDEAS)):
        for place, slug in enumerate(found, 1):
            scores[slug] += worth / (STEADY + place)
    return sorted(scores, key=scores.__getitem__, reverse=True)


class _Kept:
    """The index of one store, and the revision of the texts it was made of."""

    def __init__(self) -> None:
        self.lock, self.revision, self.index = threading.Lock(), -1, Index({})


_kept: WeakKeyDictionary[PageStore, _Kept] = WeakKeyDictionary()
_kept_lock = threading.Lock()


def _index(store: PageStore) -> Index:
    """The index of the store's papers as they are now; while another thread makes it, the one before that."""
    with _kept_lock:
        kept = _kept.setdefault(store, _Kept())
    with store.reading() as connection:
        revision = fulltext.revision(connection)
    if revision != kept.revision and kept.lock.acquire(blocking=kept.revision < 0):
        try:
            if revision != kept.revision:
                kept.index, kept.revision = kept.index.updated(_texts(store)), revision
        finally:
            kept.lock.release()
    return kept.index


def _texts(store: PageStore) -> list[Text]:
    p = tables.papers.c
    with store.reading() as connection:
        rows = connection.execute(sa.select(p.slug, p.title, p.tags, p.field, p.summary).order_by(p.id))
        asked = {slug: card.questions for slug, card in catalogue.load().items()}  # the database does not keep them
        return [
            Text(row.slug, row.title, tuple(row.tags), row.field, row.summary, asked.get(row.slug, ())) for row in rows
        ]
