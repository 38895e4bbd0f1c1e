"""arXiv's official API: papers by identifier or by query, one request in three seconds, whatever happens.

Manual: https://info.arxiv.org/help/api/user-manual.html. Answers are Atom feeds. Abstracts stand in them and are not
taken.
"""

import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from email.message import Message
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from livepapers import __version__
from livepapers.core.errors import InputError, LivepapersError
from livepapers.web.importing.entry import Batch, arxiv_id
from livepapers.web.settings import LOOPBACK

BASE = "https://export.arxiv.org/api/query"
HOSTS = frozenset({"export.arxiv.org"})
"""All that is ever asked, besides loopback, where the tests' server is."""
PAUSE = 3.0
"""Seconds between the starts of two requests, as arXiv asks for."""
MOST = 100
"""Papers in one answer."""
DEEPEST = 30_000
"""The last result of a query that the API gives."""
QUERY = 1000
"""Characters of a query."""
TRIES = 5
LONGEST_WAIT = 120.0
"""Seconds that a Retry-After is obeyed; a longer one is an answer in itself."""
SIZE = 16 * 1024 * 1024
"""Bytes of an answer; a hundred papers take about half of one megabyte."""
BUSY = frozenset({429, 500, 502, 503, 504})
NAMES = {
    "a": "http://www.w3.org/2005/Atom",
    "x": "http://arxiv.org/schemas/atom",
    "o": "http://a9.com/-/spec/opensearch/1.1/",
}


class UnreachableError(LivepapersError):
    """The API did not answer, or not with what can be read."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The answer has to come from the host that was asked."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """No request: urllib raises the redirect as an error."""


class ArxivApi:
    """The API, with its courtesy limits.

    Args:
        base: Its address; any other than arXiv's own has to be on this machine.
        turn: Called before each request, waits until it may be made.
        sleep: Waits the seconds before a request is tried again.
        timeout: Seconds for an answer, from its first byte to its last.
        tell: Told what a person who waits wants to know.
    """

    def __init__(
        self,
        base: str = BASE,
        *,
        turn: Callable[[], None],
        sleep: Callable[[float], object] = time.sleep,
        timeout: float = 60.0,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        parts = urlsplit(base)
        if not (parts.scheme == "https" and parts.hostname in HOSTS) and parts.hostname not in LOOPBACK:
            raise InputError.of("address of the API", base, expected=BASE)
        self._base, self._turn, self._sleep, self._timeout, self._tell = base, turn, sleep, timeout, tell
        self._opener = urllib.request.build_opener(_NoRedirects)

    def by_id(self, texts: Sequence[str]) -> Iterator[Batch]:
        """The papers with these identifiers, a hundred at a time; those that arXiv does not have are skipped.

        Raises:
            InputError: One of the texts is no identifier; nothing was asked.
            UnreachableError: The API did not answer.
        """
        wanted = list(dict.fromkeys(map(_checked, texts)))
        for start in range(0, len(wanted), MOST):
            some = wanted[start : start + MOST]
            feed = self._feed(id_list=",".join(some), max_results=len(some))
            batch = _batch(feed)
            found = {entry.arxiv for entry in batch.entries} | {skipped.what for skipped in batch.skipped}
            for number in some:
                if number not in found:
                    batch.skip(number, "arXiv has no such paper")
            yield batch

    def by_query(self, query: str, most: int) -> Iterator[Batch]:
        """The papers that a query in arXiv's own words finds, the newest first, a hundred at a time.

        Raises:
            InputError: arXiv cannot read the query.
            UnreachableError: The API did not answer.
        """
        if not query.strip() or len(query) > QUERY or not query.isprintable():
            raise InputError.of(
                "arxiv-query",
                ascii(query),
                expected=f"one line of 1 to {QUERY} characters such as cat:cs.LG AND all:stock",
            )
        start, end = 0, min(most, DEEPEST)
        while start < end:
            feed = self._feed(
                lambda found, at=start: not _entries(found) and at < _total(found),
                search_query=query.strip(), start=start, max_results=min(MOST, end - start),
                sortBy="submittedDate", sortOrder="descending",
            )  # fmt: skip
            entries, end = _entries(feed), min(end, _total(feed))
            if not entries:
                return
            yield _batch(feed)
            start += len(entries)
            self._tell(f"arXiv: {min(start, end):,} of {end:,} papers read" + _of_all(_total(feed), end))

    def _feed(self, incomplete: Callable[[Element], bool] = lambda _: False, /, **query: str | int) -> Element:
        """The answer to a query, asked for again, each time after a longer pause, while the API is busy.

        Args:
            incomplete: Whether the answer is one of the empty pages that the API gives now and then.
            query: As the manual names it.
        """
        url, why = f"{self._base}?{urlencode(query)}", ""
        for attempt in range(TRIES):
            self._turn()
            wait = PAUSE * 2**attempt
            try:
                feed = _parsed(self._answer(url))
                if not incomplete(feed):
                    return feed
                why = "it gave an empty page before the last one"
            except HTTPError as error:
                with error:
                    why = f"status {error.code}"
                    if error.code not in BUSY:
                        raise _refused(error, why) from None
                    wait = max(wait, _seconds(error.headers.get("Retry-After")))
            except (OSError, HTTPException) as error:  # no connection, a timeout, an answer that breaks off
                why = str(getattr(error, "reason", error)) or type(error).__name__
            if wait > LONGEST_WAIT:
                raise UnreachableError(f"arXiv's API asks to wait {wait:,.0f} s; try again later")
            if attempt + 1 < TRIES:
                self._tell(f"arXiv's API does not answer ({why}); waiting {wait:.0f} s")
                self._sleep(wait)
        raise UnreachableError(f"arXiv's API did not answer {TRIES} times, last: {why}; try again later")

    def _answer(self, url: str) -> bytes:
        """The body of an answer, within time and size."""
        agent = f"livepapers/{__version__} (papers page; one request in {PAUSE:.0f} s)"
        request = urllib.request.Request(url, headers={"User-Agent": agent})  # noqa: S310 - the host was checked above
        end = time.monotonic() + self._timeout
        with self._opener.open(request, timeout=self._timeout) as answer:
            body = bytearray()
            while piece := answer.read1(64 * 1024):
                body += piece
                if len(body) > SIZE:
                    raise UnreachableError(f"arXiv's API gave more than {SIZE:,} bytes; ask for fewer papers")
                if time.monotonic() > end:
                    raise TimeoutError(f"the answer took over {self._timeout:.0f} s")
            if answer.length:  # bytes that were promised and did not come
                raise ConnectionError("the answer broke off")
        return bytes(body)


def _checked(text: str) -> str:
    number = arxiv_id(text)
    if not number:
        raise InputError.of("arxiv", text, expected="an arXiv identifier such as 2306.11246")
    return number


def _parsed(body: bytes) -> Element:
    """The feed of an answer; DTDs, and with them entities, are refused."""
    try:
        feed = fromstring(body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise UnreachableError(f"arXiv's API gave XML that is refused: {type(error).__name__}") from None
    except (ParseError, ValueError, LookupError) as error:  # the last two: an encoding that lies or is unknown
        raise UnreachableError(f"arXiv's API gave something that is not XML: {error}") from None
    if feed.tag != f"{{{NAMES['a']}}}feed":
        raise UnreachableError("arXiv's API gave XML that is no Atom feed")
    for entry in _entries(feed):
        if "/api/errors" in _text(entry, "a:id"):
            raise InputError.of("arxiv", _text(entry, "a:summary"), expected="a query that arXiv can read")
    return feed


def _batch(feed: Element) -> Batch:
    batch = Batch()
    for entry in _entries(feed):
        number = arxiv_id(_text(entry, "a:id"))
        batch.add(
            number or _text(entry, "a:id") or "an entry without id", _text(entry, "a:title"),
            authors=[_text(author, "a:name") for author in entry.findall("a:author", NAMES)],
            arxiv=number, doi=_text(entry, "x:doi"), submitted=_text(entry, "a:published")[:10],
            tags=[category.get("term", "") for category in entry.findall("a:category", NAMES)][:20],
        )  # fmt: skip
    return batch


def _entries(feed: Element) -> list[Element]:
    return feed.findall("a:entry", NAMES)


def _total(feed: Element) -> int:
    text = _text(feed, "o:totalResults")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _text(element: Element, path: str) -> str:
    return (element.findtext(path, "", NAMES) or "").strip()


def _of_all(total: int, end: int) -> str:
    return f"; the query has {total:,}" if total > end else ""


def _seconds(header: Any) -> float:
    """What a Retry-After says in seconds; 0 where it says a date, or nothing."""
    text = str(header or "").strip()
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0.0


def _refused(error: HTTPError, why: str) -> Exception:
    """What is wrong with a query that was refused, in the API's own words where it gives any."""
    if 300 <= error.code < 400:
        return UnreachableError("arXiv's API wants to send us elsewhere; only export.arxiv.org is asked")
    try:
        _parsed(error.read(64 * 1024))
    except InputError as told:
        return told
    except (UnreachableError, OSError, HTTPException):
        return UnreachableError(f"arXiv's API refused the query: {why}")
    return UnreachableError(f"arXiv's API refused the query: {why}")
