"""Papers of a page of HTML."""

import json
import re
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag, XMLParsedAsHTMLWarning

from livepapers.web.importing import page_text
from livepapers.web.importing.entry import NO_MONTH, Batch, arxiv_id, impossible_id
from livepapers.web.rendering import line

DEPTH = 8
"""Elements around a link that may be the block of its paper."""
LINKS = 10
"""Links to one paper that are looked at."""
TEXT = 2000
"""Characters of an element that are looked at for a title."""

_ARXIV_PATH = re.compile(r"/(?:abs|pdf|html)/(.+)")
_CARD_PATH = re.compile(r"/papers/([^/]+)/?")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5")
_TITLE = re.compile(r"(?:^|[-_])(?:title|headline)(?:$|[-_])", re.IGNORECASE)
_AUTHOR = re.compile(r"(?:^|[-_])(?:authors?|byline)(?:$|[-_])", re.IGNORECASE)
_LABEL = re.compile(r"^(?:title|authors?)\s*:\s*", re.IGNORECASE)
_NO_TITLE = re.compile(
    r"(?:view|read|see|open|download|full|arxiv|pdf|html|abs|abstract|paper|papers|page|preprint|text|more|other|"
    r"formats|tex|source|the|on|in|link|here|comments?|discuss|upvotes?|share|code|project|bibtex|cite|doi|\d|[:.,\[\]()|·•→-])+",
    re.IGNORECASE,
)


def read(text: str) -> Batch:
    """The papers that a page lists, each once, in its order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML is as good as HTML here
        soup = BeautifulSoup(text, "html.parser")
    known = {**_embedded(soup), **_described(soup)}
    batch = Batch()
    paths = (_path(str(link["href"]).strip()) for link in soup.find_all("a", href=True))
    for wrong in dict.fromkeys(filter(None, map(impossible_id, paths))):
        batch.skip(wrong, NO_MONTH)
    for number, links in _links(soup).items():
        if number not in known:
            known[number] = _around(number, links[:LINKS])
    for number, (title, authors, date) in known.items():
        if title:
            batch.add(number, title, authors=authors, arxiv=number, submitted=date)
        else:
            batch.skip(number, "the page shows no title for it")
    return batch


_Found = tuple[str, list[str], str]  # title, authors, date


def _embedded(soup: BeautifulSoup) -> dict[str, _Found]:
    """What Hugging Face's daily papers carry as data beside what they show: whole titles, all authors, dates."""
    found: dict[str, _Found] = {}
    for element in soup.select("[data-target][data-props]"):
        try:
            props = json.loads(str(element["data-props"]))
        except (ValueError, RecursionError):
            continue
        listed = props.get("dailyPapers", []) if isinstance(props, dict) else []
        for item in listed if isinstance(listed, list) else []:
            paper = item.get("paper") if isinstance(item, dict) else None
            if isinstance(paper, dict) and (number := arxiv_id(_string(paper.get("id")))):
                authors = paper.get("authors")
                names = (
                    [_string(a.get("name")) for a in authors if isinstance(a, dict)]
                    if isinstance(authors, list)
                    else []
                )
                title = _string(paper.get("title")) or _string(item.get("title"))
                found[number] = (title, names, _string(paper.get("publishedAt"))[:10])
    return found


def _described(soup: BeautifulSoup) -> dict[str, _Found]:
    """The paper that a page is about, as its `citation_` elements say: arXiv's own pages have them."""
    said: dict[str, list[str]] = {}
    for element in soup.select("meta[name][content]"):
        said.setdefault(str(element["name"]).lower(), []).append(str(element["content"]))
    number = arxiv_id(said.get("citation_arxiv_id", [""])[0])
    if not number:
        return {}
    authors = [" ".join(reversed(name.split(", ", 1))) for name in said.get("citation_author", [])]
    date = said.get("citation_date", [""])[0].replace("/", "-")
    return {number: (said.get("citation_title", [""])[0], authors, date)}


def _links(soup: BeautifulSoup) -> dict[str, list[Tag]]:
    found: dict[str, list[Tag]] = {}
    for link in soup.find_all("a", href=True):
        number = _number(str(link["href"]).strip())
        if number:
            found.setdefault(number, []).append(link)
    return found


def _number(href: str) -> str:
    """The arXiv identifier that a link leads to."""
    return arxiv_id(_path(href))


def _path(href: str) -> str:
    """What a link to a paper calls it, empty for other links; links without a host are the saved page's own."""
    try:
        parts = urlsplit(href)
        host = (parts.hostname or "").removeprefix("www.").removeprefix("export.")
    except ValueError:
        return ""
    path = None
    if host in {"arxiv.org", ""} and parts.scheme in {"http", "https", ""}:
        path = _ARXIV_PATH.fullmatch(parts.path)
    if path is None and host in {"huggingface.co", "hf.co", ""} and parts.scheme in {"http", "https", ""}:
        path = _CARD_PATH.fullmatch(parts.path)
    return path[1] if path else ""


def _around(number: str, links: list[Tag]) -> _Found:
    """The title and the authors of a paper, from its links and from the block that is about it alone."""
    texts = [(link.find_parent(_HEADINGS) is not None, _shown(link)) for link in links]
    titles = [text for _, text in sorted(texts, key=lambda pair: not pair[0]) if _may_be_title(text)]
    blocks = list(_blocks(number, links))
    if not titles:
        titles = [text for block in blocks for text in map(_shown, _titled(block)) if _may_be_title(text)]
    authors = next((names for names in map(_authors, blocks) if names), [])
    if not titles and blocks:  # nothing is marked: as plain text has it
        pieces = [line(piece) for piece in blocks[0].stripped_strings][:100]
        telling = [piece for piece in pieces if page_text.is_telling(piece) and _may_be_title(piece)]
        title, names = page_text.of_lines(telling, nearest_last=True)
        return title, authors or names, ""
    return (titles[0] if titles else "", authors, "")


def _blocks(number: str, links: list[Tag]) -> Iterator[Tag]:
    """The elements around the links that have no other paper's link, the widest first; of a <dt> its <dd> too."""
    chain: list[Tag] = []
    for link in links:
        for depth, parent in enumerate(link.parents):
            if depth == DEPTH or parent.name in {"body", "html", "[document]"} or _others(parent, number):
                break
            if not any(parent is known for known in chain):
                chain.insert(0, parent)
    for block in chain:
        yield block
        if block.name == "dt" and (described := block.find_next_sibling("dd")) is not None:
            yield described


def _others(block: Tag, number: str) -> bool:
    """Whether an element has a link to another paper; it ends at the first one, so a long list costs little."""
    for link in block.find_all("a", href=True, limit=200):
        other = _number(str(link["href"]).strip())
        if other and other != number:
            return True
    return False


def _titled(block: Tag) -> Iterator[Tag]:
    """What a block marks as its title, the surest first."""
    for element in block.find_all(True, limit=400):
        if any(_TITLE.search(name) for name in _classes(element)):
            yield element
    yield from block.find_all(_HEADINGS, limit=10)
    yield from block.find_all(("strong", "b"), limit=10)


def _authors(block: Tag) -> list[str]:
    for element in block.find_all(True, limit=400):
        if any(_AUTHOR.search(name) for name in _classes(element)):
            linked = [_shown(link) for link in element.find_all("a", limit=5000)]
            names = linked or re.split(r",\s*|;\s*|\s+and\s+", _LABEL.sub("", _shown(element)))
            return [name for name in names if name and any(map(str.isalpha, name))]
    return []


def _classes(element: Tag) -> list[str]:
    return [str(name) for name in element.get_attribute_list("class") if name]


def _shown(element: Tag) -> str:
    pieces, length = [], 0
    for piece in element.stripped_strings:
        pieces.append(piece)
        length += len(piece)
        if length > TEXT:
            break
    return _LABEL.sub("", line(" ".join(pieces)))


def _may_be_title(text: str) -> bool:
    """Whether a link's text is a title and not "PDF", "12", "View arXiv page" or an identifier."""
    return len(text) > 2 and not arxiv_id(text) and not _NO_TITLE.fullmatch(text.replace(" ", ""))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
