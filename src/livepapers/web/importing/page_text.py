"""Papers of a page of plain text."""

import re
from collections.abc import Sequence

from livepapers.web.importing.entry import NO_MONTH, Batch, arxiv_id, impossible_id
from livepapers.web.rendering import line

LONGEST = 300
"""Characters of a line that may be a title; longer ones are abstracts."""
BACK = 40
"""Lines that are looked at before or after a link."""

_LINK = re.compile(
    r"(?:(?:https?://)?(?:(?:www\.|export\.)?arxiv\.org/(?:abs|pdf|html)/|(?:huggingface|hf)\.co/papers/)|\barxiv:\s?)"
    r"(\d{4}\.\d{4,5}(?!\d)|[a-z-]{2,20}(?:\.[A-Z]{2})?/\d{7})(?:v\d{1,3})?(?:\.pdf)?(?:#[\w-]*)?",
    re.ASCII | re.IGNORECASE,
)
_ANY_LINK = re.compile(r"<?https?://[^\s<>)\]]+>?")
_MARKED = re.compile(r"\[([^\[\]]{3,300})\]\(\s*<?$")  # [title](link, up to where the link begins
_MARKUP = re.compile(r"^[\s>#*+•·-]+|^\s*\[?\d{1,4}[.)\]]\s+|[*_`]{1,2}(?=\S)|(?<=\S)[*_`]{1,2}")
_LABEL = re.compile(r"(title|authors?)\s*:\s*(.*)", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[^\[\]]*\]|[(<]\s*[)>]")  # around arXiv's categories and formats, or left by a link
_CUT = re.compile(r"\s+[|–—-]\s+|\t+|\s*[|]\s*")
_NOISE = re.compile(
    r"[\W\d_]*|(?:https?:|www\.)\S*|"
    r"(?:\W|\d|k\b|(?:upvotes?|authors?|comments?|likes?|stars?|pdf|html|view|abs|abstract|arxiv|page|paper|other|code|"
    r"github|project|share|see|also|here|the|in|download|open|preprint|source|submitted|by|published|posted|on|updated|today|yesterday|doi|link|read|more|full|text|"
    r"jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|january|february|march|april|june|july|august|september|"
    r"october|november|december|cross-list|replaced|formats)\b)+|"
    r"(?:submitted by|published|posted|subjects?:|comments?:|journal|abstract:|doi:|code:|project).*",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?:[^\W\d_][\w.'’-]*\s+){1,4}[^\W\d_][\w.'’-]*")
_BETWEEN = re.compile(r"\s*[,;·]\s*(?:and\s+)?|\s+(?:and|&)\s+")


def read(text: str) -> Batch:
    """The papers that a text lists, each once, in its order."""
    lines = [line(piece) for piece in text.splitlines()]
    places = _places(lines)
    titles_first = _titles_first(lines, places)
    batch, known = Batch(), set[str]()
    for wrong in dict.fromkeys(impossible_id(link[1]) for link in map(_LINK.search, lines) if link):
        if wrong:
            batch.skip(wrong, NO_MONTH)
    for place, (at, number) in enumerate(places):
        if number in known:
            continue
        known.add(number)
        first = places[place - 1][0] + 1 if place else 0
        last = next((other for other, name in places[place + 1 :] if name != number), len(lines))
        before, after = lines[max(first, at - BACK) : at], lines[at + 1 : min(last, at + 1 + BACK)]
        title, authors = _beside(lines[at])
        if not title:
            title, authors = of_lines(after if not titles_first else before, nearest_last=titles_first)
        elif not authors:
            authors = _names(next((piece for piece in after if piece), "")) if not titles_first or not before else []
        if title:
            batch.add(number, title, authors=authors, arxiv=number)
        else:
            batch.skip(number, "the page shows no title for it")
    return batch


def of_lines(lines: Sequence[str], *, nearest_last: bool) -> tuple[str, list[str]]:
    """The title and the authors in lines that are about one paper; a paragraph near the link goes first.

    Args:
        lines: Without the line that has the link.
        nearest_last: Whether the link comes after the lines.
    """
    labelled = {found[1].lower()[:5]: found[2] for found in map(_LABEL.match, lines) if found}
    if labelled.get("title"):
        return labelled["title"], _split(labelled.get("autho", ""))
    paragraphs = _paragraphs(lines)
    for place in range(len(paragraphs) - 1, -1, -1) if nearest_last else range(len(paragraphs)):
        some = [_plain(piece) for piece in paragraphs[place]]
        for at, piece in enumerate(some):
            if _may_be_title(piece) and not _names(piece):
                return piece, _authors_after(some[at + 1 :], paragraphs[place + 1 :])
    return "", []


def _places(lines: Sequence[str]) -> list[tuple[int, str]]:
    """The lines that have a link, each with the first paper it leads to."""
    found = ((at, _LINK.search(piece)) for at, piece in enumerate(lines))
    return [(at, number) for at, link in found if link and (number := arxiv_id(link[1]))]


def _titles_first(lines: Sequence[str], places: Sequence[tuple[int, str]]) -> bool:
    """Whether titles stand before links: most links do not begin a paragraph that goes on after them."""
    begin = sum(
        (at == 0 or not lines[at - 1]) and at + 1 < len(lines) and bool(lines[at + 1])
        for at, _ in places
    )  # fmt: skip
    return 2 * begin <= len(places)


def _beside(text: str) -> tuple[str, list[str]]:
    """The title, and the authors, that stand in the line of the link itself."""
    found = _LINK.search(text)
    if found is None:
        return "", []
    marked = _MARKED.search(text[: found.start()])
    if marked and _may_be_title(_plain(marked[1])):
        rest = _plain(_ANY_LINK.sub("", text[found.end() :]).strip(" )>.,:;-–—|"))
        return _plain(marked[1]), _names(rest)
    bare = _ANY_LINK.sub(" | ", _LINK.sub(" | ", text))  # what stands on both sides of a link is no one title
    pieces = [_plain(piece) for piece in _CUT.split(_BRACKETS.sub(" ", bare))]
    pieces = [piece.strip(" ,:;()[]<>") for piece in pieces]
    for at, piece in enumerate(pieces):
        if _may_be_title(piece) and is_telling(piece) and not _names(piece) and ". " not in piece:
            return piece, next((names for names in map(_names, pieces[at + 1 :]) if names), [])
    return "", []


def _paragraphs(lines: Sequence[str]) -> list[list[str]]:
    made: list[list[str]] = [[]]
    for piece in lines:
        if piece:
            made[-1].append(piece)
        elif made[-1]:
            made.append([])
    return [some for some in made if some]


def _authors_after(rest: Sequence[str], paragraphs: Sequence[Sequence[str]]) -> list[str]:
    """The authors in what follows a title: the first line that is no noise, if it is names."""
    lines = [*rest, *(piece for some in paragraphs[:2] for piece in some)]
    return _names(next((piece for piece in lines if not _NOISE.fullmatch(piece)), ""), alone=True)


def _names(text: str, *, alone: bool = False) -> list[str]:
    """The names that a line lists, none if it is no list of names.

    Args:
        text: The line.
        alone: Whether one name is enough; else a title of two words would be one.
    """
    names = _split(re.sub(r"[,;]?\s*(?:et al\.?|\+?\d+ (?:more|authors?|others))\W*$", "", text))
    like = all(_NAME.fullmatch(name) and len(name) <= 60 and _proper(name) for name in names)
    return names if like and len(names) >= (1 if alone else 2) else []


def _proper(name: str) -> bool:
    """Whether a name begins and ends as names do; letters without case are as good as capitals."""
    parts = name.split()
    return not parts[0][0].islower() and not parts[-1][0].islower()


def _split(text: str) -> list[str]:
    return [name for name in _BETWEEN.split(text.strip(" .")) if name]


def _plain(text: str) -> str:
    return _MARKUP.sub("", text).strip()


def is_telling(text: str) -> bool:
    """Whether words that nothing marks may be a title: "See" and "for the proof" are none.

    A title of one word is none then either, unless it is in letters without case, which may have no blanks.
    """
    letters = [letter for letter in text if letter.isalpha()]
    cased = any(letter.islower() or letter.isupper() for letter in letters)
    words = [word for word in text.split() if any(map(str.isalpha, word))]
    return bool(letters) and not letters[0].islower() and (len(words) > 1 or not cased)


def _may_be_title(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    return letters > 2 and len(text) <= LONGEST and not text.endswith(".") and not _NOISE.fullmatch(text)
