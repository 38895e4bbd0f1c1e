"""What an import takes from a source about one paper, cleaned and checked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from livepapers.core.errors import InputError
from livepapers.papers import formulas
from livepapers.web.rendering import line

TITLE = 500
"""Characters of a title; a longer one is no title."""
NAME = 200
"""Characters of an author's name."""
AUTHORS = 5000
"""Authors of one paper; the largest collaborations have some three thousand."""
NO_MONTH = "it is no arXiv identifier: there is no such month"
LINK = 2000
"""Characters of a link."""

_ARXIV = re.compile(
    r"(\d{2})(\d{2})\.\d{4,5}(?!\d)|[a-z][a-z-]{1,20}(?:\.[A-Z]{2})?/(\d{2})(\d{2})\d{3}(?!\d)", re.ASCII
)
_ARXIV_PREFIX = re.compile(
    r"(?:https?://)?(?:www\.|export\.)?arxiv\.org/(?:abs|pdf|html)/|(?:https?://)?(?:dx\.)?doi\.org/10\.48550/arxiv\.|"
    r"10\.48550/arxiv\.|arxiv:\s*",
    re.ASCII | re.IGNORECASE,
)
_ARXIV_ENDING = re.compile(r"(?:v\d{1,3})?(?:\.pdf)?(?:[?#].*)?/?", re.ASCII)
_DOI_PREFIX = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)\s*", re.ASCII | re.IGNORECASE)
_DOI = re.compile(r"10\.\d{4,9}/[!-~]{1,300}", re.ASCII)
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_URL = re.compile(r"https://[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """A paper as a source has it; `make` is the way to build one."""

    title: str
    authors: tuple[str, ...]  # given names first; none where the source names none
    arxiv: str  # without version; empty where there is none
    doi: str
    link: str  # https; empty where the source has none, then only a paper that is known already is meant
    submitted: str  # YYYY-MM-DD, YYYY-MM or YYYY; empty where nothing is known
    tags: tuple[str, ...]  # arXiv's categories


@dataclass(frozen=True, slots=True)
class Skipped:
    """A paper that was not taken, and why."""

    what: str
    why: str


@dataclass(slots=True)
class Batch:
    """What was read in one go; it is entered in one transaction."""

    entries: list[Entry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(
        self,
        what: str,
        title: str,
        *,
        authors: Iterable[str] = (),
        arxiv: str = "",
        doi: str = "",
        url: str = "",
        submitted: str = "",
        tags: Iterable[str] = (),
    ) -> None:
        """Take a paper, or note under the name `what` why it cannot be taken."""
        try:
            made = make(title, authors=authors, arxiv=arxiv, doi=doi, url=url, submitted=submitted, tags=tags)
        except InputError as error:
            self.skip(what, str(error))
        else:
            self.entries.append(made)

    def skip(self, what: str, why: str) -> None:
        """Note a paper that is not taken."""
        self.skipped.append(Skipped(line(what)[:NAME], line(why)))


def make(
    title: str, *, authors: Iterable[str], arxiv: str, doi: str, url: str, submitted: str, tags: Iterable[str]
) -> Entry:
    """An entry of other people's text: on one line each, without control characters, linked by https only.

    An identifier, address or date that is none is left out.

    Raises:
        InputError: There is no title.
    """
    shown = line(formulas.plain(line(title)))
    if not any(map(str.isalnum, shown)):
        raise InputError.of("title", shown or "nothing", expected="some words")
    if len(shown) > TITLE:
        raise InputError.of("title", shown, expected=f"at most {TITLE} characters")
    number = arxiv_id(arxiv) or arxiv_id(doi)
    digital = "" if arxiv_id(doi) else doi_of(doi)
    link = _link(number, digital, url)
    names = dict.fromkeys(name[:NAME] for name in map(line, authors) if name)
    return Entry(
        shown, tuple(names)[:AUTHORS], number, digital, link, _date(submitted) or month_of(number),
        tuple(dict.fromkeys(filter(None, map(line, tags)))),
    )  # fmt: skip


def arxiv_id(text: str) -> str:
    """The arXiv identifier that a text is (bare, as arXiv:..., as a link or a DOI), without version; empty if none."""
    number = _shaped(text)
    return number if month_of(number) else ""


def impossible_id(text: str) -> str:
    """What looks like an arXiv identifier and is of no month; empty for all else."""
    number = _shaped(text)
    return "" if month_of(number) else number


def _shaped(text: str) -> str:
    bare = text.strip()
    prefix = _ARXIV_PREFIX.match(bare)
    if prefix:
        bare = bare[prefix.end() :]
    found = _ARXIV.match(bare)
    if found is None or not _ARXIV_ENDING.fullmatch(bare, found.end()):
        return ""
    return re.sub(r"\.[A-Z]{2}/", "/", found[0])  # math.GT/0309136 is an old way to write math/0309136


def month_of(arxiv: str) -> str:
    """When a paper came to arXiv, YYYY-MM, as its identifier says; empty for what is no identifier."""
    found = _ARXIV.fullmatch(arxiv)
    if found is None:
        return ""
    year, month = int(found[1] or found[3]), found[2] or found[4]
    return f"{1900 + year if year > 90 else 2000 + year}-{month}" if 1 <= int(month) <= 12 else ""


def doi_of(text: str) -> str:
    """The DOI that a text is (bare, as doi:..., as a link); empty if it is none."""
    prefix = _DOI_PREFIX.match(text.strip())
    bare = text.strip()[prefix.end() if prefix else 0 :]
    return bare if _DOI.fullmatch(bare) else ""


def _link(arxiv: str, doi: str, url: str) -> str:
    if arxiv:
        return f"https://arxiv.org/abs/{arxiv}"
    if doi:
        return f"https://doi.org/{quote(doi, safe='/:;()._-')}"
    if _URL.fullmatch(url.strip()) and len(url) <= LINK and _has_host(url.strip()):
        return url.strip()
    return ""


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _date(text: str) -> str:
    """The date if it is one, else an empty text."""
    import calendar

    found = _DATE.fullmatch(text)
    if found is None or not 1900 <= int(found[1]) <= 2100:
        return ""
    year, month, day = (int(part or 1) for part in found.groups())
    return text if 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1] else ""
