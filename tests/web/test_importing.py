"""Importing: what is read of each source, that a paper is entered once, and that the catalogue stays as it is."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from livepapers.core.errors import InputError
from livepapers.papers import catalogue, citation
from livepapers.web import tables
from livepapers.web.importing import arxiv, bibtex, saved_page
from livepapers.web.importing.arxiv import ArxivApi, UnreachableError
from livepapers.web.importing.entering import UNLINKED, enter, family, slug_of
from livepapers.web.importing.entry import Batch, Entry, arxiv_id, doi_of, make
from livepapers.web.store import PageStore

RECORDED = Path(__file__).parent / "recorded"
NOT_TAKEN = "ABSTRACT-THAT-IS-NOT-TAKEN"
Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client hangs up on purpose in some tests."""


class Recorded:
    """arXiv's API as this machine plays it: each request gets the next answer, the last one for ever."""

    def __init__(self, *answers: Answer | Callable[[dict[str, str]], Answer]) -> None:
        self.asked: list[dict[str, str]] = []
        self.agents: list[str] = []
        self.turns = 0
        self.slept: list[float] = []
        self.told: list[str] = []
        recorded = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                answer = answers[min(len(recorded.asked), len(answers) - 1)]
                recorded.asked.append(query)
                recorded.agents.append(self.headers.get("User-Agent", ""))
                status, body, *headers = answer(query) if callable(answer) else answer
                self.send_response(status)
                for name, value in (headers[0] if headers else {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - named by the base class
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}/api/query"

    def _turn(self) -> None:
        self.turns += 1

    def api(self, **options: Any) -> ArxivApi:
        return ArxivApi(self.base, turn=self._turn, sleep=self.slept.append, tell=self.told.append, **options)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def recorded() -> Iterator[Callable[..., Recorded]]:
    made: list[Recorded] = []

    def make_one(*answers: Answer | Callable[[dict[str, str]], Answer]) -> Recorded:
        made.append(Recorded(*answers))
        return made[-1]

    yield make_one
    for server in made:
        server.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PageStore]:
    with PageStore(tmp_path / "store.sqlite3") as opened:
        opened.sync(catalogue.load().values(), now=1.0)
        yield opened


def file(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def entry(title: str = "A Paper of Five Words", *authors: str, **known: str) -> Entry:
    values = {"arxiv": "", "doi": "", "url": "https://example.org/x", "submitted": "", **known}
    return make(title, authors=authors, tags=(), **values)


def batch(*entries: Entry) -> Batch:
    return Batch(list(entries))


def rows(store: PageStore) -> dict[str, dict[str, Any]]:
    with store.reading() as connection:
        found = connection.execute(sa.select(tables.papers).order_by(tables.papers.c.id))
        return {row.slug: dict(row._mapping) for row in found}


def imported(store: PageStore) -> list[dict[str, Any]]:
    return [row for row in rows(store).values() if row["source"] != "catalogue"]


def page_of(query: dict[str, str], total: int) -> Answer:
    """An answer of the API to a paged query over `total` papers."""
    start, size = int(query["start"]), int(query["max_results"])
    papers = "".join(
        f"<entry><id>http://arxiv.org/abs/2401.{n:05}v1</id><title>Paper {n}</title><published>2024-01-01T00:00:00Z"
        f"</published><author><name>Ann Other</name></author></entry>"
        for n in range(start, min(start + size, total))
    )
    feed = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/">'
        f"<o:totalResults>{total}</o:totalResults>{papers}</feed>"
    )
    return 200, feed.encode()


# ---- identifiers ----


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2306.11246", "2306.11246"), ("arXiv:2306.11246v3", "2306.11246"), ("1501.0001", "1501.0001"),
        ("https://arxiv.org/abs/2306.11246v2", "2306.11246"), ("http://www.arxiv.org/pdf/2306.11246.pdf", "2306.11246"),
        ("https://doi.org/10.48550/arXiv.2306.11246", "2306.11246"), ("hep-th/9901001v1", "hep-th/9901001"),
        ("math.GT/0309136", "math/0309136"), ("2313.11246", ""), ("2306.112467", ""), ("2306.11246x", ""),
        ("2306.11246/../x", ""), ("", ""), ("javascript:2306.11246", ""), ("٢٣٠٦.١١٢٤٦", ""),
        ("https://evil.example/abs/2306.11246", ""),
    ],
)  # fmt: skip
def test_an_arxiv_identifier_is_found_in_all_its_spellings_and_in_nothing_else(text: str, number: str) -> None:
    assert arxiv_id(text) == number


def test_a_link_is_https_or_there_is_none() -> None:
    assert entry(arxiv="2306.11246", doi="10.1000/x").link == "https://arxiv.org/abs/2306.11246"
    assert entry(doi="doi:10.1000/a<b>#c").link == "https://doi.org/10.1000/a%3Cb%3E%23c"
    for url in ("http://example.org", "javascript:alert(1)", "https://", "https://[::1", "https://a b", "ftp://x", ""):
        assert entry(url=url).link == ""
    assert doi_of("https://dx.doi.org/10.1000/x") == "10.1000/x"
    assert entry(doi="https://doi.org/10.48550/arXiv.2306.11246").doi == ""


def test_other_peoples_text_is_on_one_line_without_control_characters() -> None:
    made = entry("A\n title\x00 \u202ewith\ud800 marks", "Ann\tOther", "Ann Other", " ", doi="10.1000/1")
    assert (made.title, made.authors) == ("A title with marks", ("Ann Other",))
    for title in ("", " \n", "--- !", "x" * 501):
        with pytest.raises(InputError, match="title: got"):
            entry(title)


# ---- arXiv ----


def test_papers_come_from_arxiv_by_identifier(recorded: Callable[..., Recorded], store: PageStore) -> None:
    server = recorded((200, file("arxiv_ids.xml")))
    [found] = server.api().by_id(["arXiv:2401.54321", "2401.99999", "hep-th/9901001", "2401.54321v1"])
    assert server.asked == [{"id_list": "2401.54321,2401.99999,hep-th/9901001", "max_results": "3"}]
    assert "livepapers/" in server.agents[0]
    assert [(skipped.what, skipped.why) for skipped in found.skipped] == [("2401.99999", "arXiv has no such paper")]
    enter(store, found, "arxiv", now=5.0)
    first, second = imported(store)
    title = "An Invented Paper about Depots, Part <II>: a Title that Goes on in a Second Line"
    assert first | {"id": 0, "heat": 0} == {
        "id": 0, "slug": "an-invented-paper-about-depots-part-ii-a-title-that-goes-on-2401-54321", "title": title,
        "authors": ["Zoë Ångström", "Juan van der Berg"], "submitted": "2024-01-28", "field": "",
        "tags": ["cs.LG", "math.OC"], "summary": "", "link": "https://arxiv.org/abs/2401.54321", "arxiv": "2401.54321",
        "doi": "10.1000/Invented.7", "code_url": "", "source": "arxiv", "status": "listed", "claims": 0, "added": 5.0,
        "votes": 0, "heat": 0,
    }  # fmt: skip
    assert (second["slug"], second["submitted"]) == ("old-identifiers-have-a-slash-hep-th-9901001", "1999-01-01")


def test_a_query_is_read_page_by_page_up_to_its_end(recorded: Callable[..., Recorded]) -> None:
    server = recorded(lambda query: page_of(query, 230))
    batches = list(server.api().by_query("cat:cs.LG AND all:stock", 1000))
    assert [len(found.entries) for found in batches] == [100, 100, 30]
    assert [query["start"] for query in server.asked] == ["0", "100", "200"]
    assert server.asked[0]["search_query"] == "cat:cs.LG AND all:stock"
    assert server.turns == 3
    assert server.told[-1] == "arXiv: 230 of 230 papers read"
    assert [len(found.entries) for found in server.api().by_query("all:x", 120)] == [100, 20]
    assert server.told[-1] == "arXiv: 120 of 120 papers read; the query has 230"


def test_a_query_that_finds_nothing_is_no_error(recorded: Callable[..., Recorded]) -> None:
    assert list(recorded(lambda query: page_of(query, 0)).api().by_query("all:nothing", 100)) == []


def test_an_api_that_is_busy_is_asked_again_ever_later(recorded: Callable[..., Recorded]) -> None:
    server = recorded((503, b""), (429, b"", {"Retry-After": "40"}), (200, b"", {"Content-Length": "9"}),
                      (200, file("arxiv_ids.xml")))  # fmt: skip
    [found] = server.api().by_id(["2401.54321"])
    assert len(found.entries) == 2
    assert server.slept == [3.0, 40.0, 12.0]
    assert server.turns == 4
    assert server.told[0] == "arXiv's API does not answer (status 503); waiting 3 s"


def test_an_empty_page_in_the_middle_is_asked_for_again(recorded: Callable[..., Recorded]) -> None:
    def flaky(query: dict[str, str]) -> Answer:
        return page_of(query, 150)

    empty = (200, page_of({"start": "150", "max_results": "1"}, 150)[1])
    server = recorded(flaky, empty, flaky)
    assert [len(found.entries) for found in server.api().by_query("all:x", 200)] == [100, 50]
    assert server.slept == [3.0]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(503, b"")], "did not answer 5 times, last: status 503"),
        ([(503, b"", {"Retry-After": "7200"})], "asks to wait 7,200 s"),
        ([(404, b"")], "refused the query: status 404"),
        ([(302, b"", {"Location": "http://169.254.169.254/latest", "Content-Length": "0"})], "to send us elsewhere"),
        ([(200, file("billion_laughs.xml"))], "XML that is refused: DTDForbidden"),
        ([(200, b"<feed><entry></feed>")], "not XML"),
        ([(200, b"")], "not XML"),
        ([(200, b"\xff\xfe\x00")], "not XML"),
        ([(200, b"<html/>")], "no Atom feed"),
        ([(200, b'<?xml version="1.0" encoding="nonsense"?><feed/>')], "not XML"),
        ([(200, b"<a>" * 200_000)], "not XML"),
        ([(200, b"<!DOCTYPE feed SYSTEM 'file:///etc/passwd'><feed/>")], "refused: DTDForbidden"),
    ],
)
def test_an_answer_that_cannot_be_used_is_one_line(
    recorded: Callable[..., Recorded], answers: list[Answer], said: str
) -> None:
    with pytest.raises(UnreachableError, match=said) as raised:
        list(recorded(*answers).api().by_id(["2306.11246"]))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("status", [200, 400])
def test_a_query_that_arxiv_cannot_read_is_told_in_its_words(recorded: Callable[..., Recorded], status: int) -> None:
    server = recorded((status, file("arxiv_error.xml")))
    with pytest.raises(InputError, match="a bracket is not closed"):
        list(server.api().by_query("all:(", 10))


def test_an_answer_is_bounded_in_size_and_in_time(
    recorded: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arxiv, "SIZE", 1000)
    with pytest.raises(UnreachableError, match="more than 1,000 bytes"):
        list(recorded((200, b"x" * 2000)).api().by_id(["2306.11246"]))
    release = threading.Event()

    def slow(_: dict[str, str]) -> Answer:
        release.wait(5)
        return 200, b""

    server = recorded(slow)
    with pytest.raises(UnreachableError, match="timed out"):
        list(server.api(timeout=0.05).by_id(["2306.11246"]))
    release.set()


@pytest.mark.parametrize(
    "base",
    [
        "http://export.arxiv.org/api/query",
        "https://arxiv.evil.example/",
        "file:///etc/passwd",
        "https://169.254.169.254/",
    ],
)
def test_no_other_host_is_asked(base: str) -> None:
    with pytest.raises(InputError, match="address of the API"):
        ArxivApi(base, turn=lambda: None)


def test_a_wrong_identifier_or_query_asks_nothing(recorded: Callable[..., Recorded]) -> None:
    server = recorded((200, b""))
    with pytest.raises(InputError, match=r"arxiv: got 23\.1, expected an arXiv identifier"):
        list(server.api().by_id(["2306.11246", "23.1"]))
    for query in ("", " ", "x" * 1001, "a\x00b"):
        with pytest.raises(InputError, match="arxiv-query"):
            list(server.api().by_query(query, 10))
    assert server.asked == []


# ---- files ----


def test_a_saved_daily_papers_page_is_read_from_its_data_and_its_links() -> None:
    found = saved_page.read(RECORDED / "daily_papers.html")
    assert [(e.arxiv, e.title, e.authors, e.submitted) for e in found.entries] == [
        ("2511.00001", "First Invented Paper: All Is Said in the Data", ("Ada Example", "Bo Sample"), "2025-11-03"),
        ("2511.00002", "Second Invented Paper & Its <Marks>", (), "2025-11"),
        ("2511.00003", "Third Invented Paper, Marked by a Class", ("Cy Third", "Di Fourth"), "2025-11"),
    ]
    assert [skipped.what for skipped in found.skipped] == ["2511.00004"]


def test_a_saved_list_of_arxiv_is_read() -> None:
    found = saved_page.read(RECORDED / "arxiv_list.html")
    assert [(e.arxiv, e.title, e.authors) for e in found.entries] == [
        ("2511.01001", "A Listed Paper on α-Stability", ("Eve Fifth", "Fay Sixth")),
        ("2511.01002", "Another Listed Paper", ("Gus Seventh",)),
    ]


def test_a_page_about_one_paper_is_read(tmp_path: Path) -> None:
    (tmp_path / "abs.html").write_text(
        '<html><head><meta name="citation_title" content="The Paper of the Page"/>'
        '<meta name="citation_author" content="Other, Ann B."/><meta name="citation_date" content="2024/01/05"/>'
        '<meta name="citation_arxiv_id" content="2401.00077"/></head><body><a href="/pdf/2401.00077">View PDF</a>'
    )
    [found] = saved_page.read(tmp_path / "abs.html").entries
    assert (found.title, found.authors, found.submitted) == ("The Paper of the Page", ("Ann B. Other",), "2024-01-05")


def test_a_page_saved_as_text_is_read() -> None:
    found = saved_page.read(RECORDED / "daily_papers.txt")
    assert [(e.arxiv, e.title, e.authors) for e in found.entries] == [
        ("2511.02001", "An Invented Paper Whose Title Stands Alone", ("Ada Example", "Bo Sample", "Cy Third")),
        ("2511.02002", "A Second One: Links in Angle Brackets", ()),
        ("2511.02003", "A Third One, as Markdown Has It", ("Di Fourth", "Eve Fifth")),
        ("2511.02004", "A Fourth One with an Abstract", ("Fay Sixth", "Gus Seventh")),
    ]
    assert [(e.title, e.authors) for e in saved_page.read(RECORDED / "arxiv_list.txt").entries] == [
        ("A Paper Listed after Its Number", ("Ada Example", "Bo Sample")),
        ("Another Paper Listed after Its Number", ("Cy Third",)),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_page_is_read_in_the_encoding_it_has(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "page.txt"
    path.write_bytes("Über Größen\r\nZoë Müller, Ann Other\r\narXiv:2511.04001\r\n".encode(encoding))
    [found] = saved_page.read(path).entries
    assert (found.title, found.authors) == ("Über Größen", ("Zoë Müller", "Ann Other"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing here", "no link to arxiv.org"), (b"", "no link to"), (b"%PDF-1.7", "it is a PDF"),
        (b"ab\0cd", "bytes that are no text"), (b"<html><body>nothing", "no link to"),
        (b"From: x\nContent-Type: multipart/related;\n\n<html>", "single-file archive"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_page_of_papers_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "page.html").write_bytes(content)
    with pytest.raises(InputError, match=said):
        saved_page.read(tmp_path / "page.html")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for read in (saved_page.read, bibtex.read):
        with pytest.raises(InputError, match="No such file"):
            read(tmp_path / "none")
        with pytest.raises(InputError, match="directory"):
            read(tmp_path)
    monkeypatch.setattr(saved_page, "LIMIT", 10)
    with pytest.raises(InputError, match="at most 10 bytes"):
        saved_page.read(RECORDED / "daily_papers.txt")


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 20_000 + "<a href='/abs/2511.00001'>A Deep Paper</a>", "<a href='/abs/2511.00001'>" * 3_000 + "Title",
        "<a " * 100_000, "".join(f"<a href='/abs/2511.{n:05}'>{n}</a>" for n in range(2_000)),
        "1" * 200_000 + " arXiv:2511.00001", "[" * 50_000 + "](https://arxiv.org/abs/2511.00001)",
    ],
)  # fmt: skip
def test_a_hostile_page_costs_little(tmp_path: Path, text: str) -> None:
    import time

    (tmp_path / "page.html").write_text(text)
    begin = time.process_time()
    try:
        found = saved_page.read(tmp_path / "page.html")
    except InputError:
        found = Batch()
    assert all(e.link.startswith("https://arxiv.org/abs/") for e in found.entries)
    assert time.process_time() - begin < 10


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300) | st.lists(st.sampled_from([
    "<a href='https://arxiv.org/abs/2511.00001'>", "</a>", "<h3>", "<dt>", "<dd>", "\n", "arXiv:2511.00002", "Title: ",
    "A Title", "[x](https://arxiv.org/abs/2511.00003)", "Ann Other, Bo Else", "\n\n", "<b class='title'>", "\0",
    "@misc{a,", "title={x}", "}", "{", '"', "doi={10.1000/1}", ", ", "@string{a=", "\\'", "#", "author=a",
])).map("".join))  # fmt: skip
def test_whatever_a_file_holds_the_answer_is_a_batch_or_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(text.encode("utf-8", "replace"))
    for read in (saved_page.read, bibtex.read):
        try:
            found = read(path)
        except InputError as told:
            said = str(told)
            found = Batch()
        else:
            said = ""
        assert "\n" not in said
        assert all(e.title.isprintable() and e.link.startswith("https://") for e in found.entries)


@pytest.mark.parametrize("name", ["page.html", "page.txt"])
@pytest.mark.parametrize("around", ["See {}", "See also {} for the proof", "The paper: {}", "{} (in the source)", "{}"])
def test_words_around_a_link_are_no_title(tmp_path: Path, name: str, around: str) -> None:
    link = "https://arxiv.org/pdf/2401.00003v2.pdf"
    html = f"<p>{around.format(f'<a href={link!r}>PDF</a>')}</p>"
    (tmp_path / name).write_text(html if name.endswith("html") else around.format(link))
    found = saved_page.read(tmp_path / name)
    assert found.entries == []
    assert [(skipped.what, skipped.why) for skipped in found.skipped] == [
        ("2401.00003", "the page shows no title for it")
    ]


@pytest.mark.parametrize(
    "text",
    ["<p><a href='https://arxiv.org/abs/2413.00001'>A Good Title of a Paper</a></p>",
     "A Good Title of a Paper\nhttps://arxiv.org/abs/2413.00001\n"],
)  # fmt: skip
def test_an_impossible_identifier_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "page").write_text(text)
    found = saved_page.read(tmp_path / "page")
    assert found.entries == []
    assert [skipped.what for skipped in found.skipped] == ["2413.00001"]
    assert "no such month" in found.skipped[0].why


@pytest.mark.parametrize(
    ("typed", "shown", "cited"),
    [
        (r"A {$\alpha$}-stable Game", "A α-stable Game", r"A $\alpha$-stable Game"),
        (r"Choosing $\lambda$ by $k$-Means", "Choosing λ by k-Means", r"Choosing $\lambda$ by k-Means"),
        (r"In $O(\lambda n^2)$ Steps", r"In $O(\lambda n^2)$ Steps", r"In $O(\lambda n^2)$ Steps"),
        (r"From \$5 to \$10 a Day", "From $5 to $10 a Day", r"From \$5 to \$10 a Day"),
        (r"A $\input{x}$ Trick", r"A $\input{x}$ Trick",
         r"A \$\textbackslash{}input\textbraceleft{}x\textbraceright{}\$ Trick"),
        ("The λόγος", "The λόγος", "The λόγος"),
    ],
)  # fmt: skip
def test_formulas_are_shown_in_letters_and_cited_as_formulas(
    tmp_path: Path, typed: str, shown: str, cited: str
) -> None:
    path = tmp_path / "one.bib"
    path.write_text(f"@misc{{a, title = {{{typed}}}, doi = {{10.1000/1}}}}", "utf-8")
    [entry] = bibtex.read(path).entries
    assert entry.title == shown
    assert f"{{{{{cited}}}}}" in citation.bibtex(dataclasses.replace(catalogue.card("hdpo"), title=entry.title))


def test_bibtex_is_read_with_its_accents() -> None:
    found = bibtex.read(RECORDED / "papers.bib")
    assert [(e.title, e.authors, e.link, e.submitted) for e in found.entries] == [
        ("Deep Öptimisation of α-stable Systems — Étude",
         ("Józef Müller", "Bjørn Álvarez", "The ATLAS and CMS Collaborations"), "https://arxiv.org/abs/2306.99901",
         "2023-06"),
        ("Another LSTM & More", ("Carl van der Berg Jr.", "P. Erdős"), "https://doi.org/10.1000/XYZ_1", "2019-04"),
        ("A Page of the Web", ("Ann Other",), "https://example.org/a_b", "2020"),
        ("As BibLaTeX Has It", ("Ann Other",), "https://arxiv.org/abs/2401.99902", "2024-01"),
        ("Only an Unsafe Link", ("Ann Other",), "", ""),
        ("A Script", ("Ann Other",), "", ""),
        ("An Abbreviation", (), "https://doi.org/10.1000/1", ""),
    ]  # fmt: skip
    why = {skipped.what: skipped.why for skipped in found.skipped}
    assert list(why) == ["open", "untitled"]
    assert "not closed" in why["open"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no entry"),
        (b"hello", "no entry"),
        (b"@string{a = 1}", "no entry"),
        (b"@misc{\xff}", "save the file as UTF-8"),
    ],
)
def test_a_file_that_is_no_bibtex_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.bib").write_bytes(content)
    with pytest.raises(InputError, match=said):
        bibtex.read(tmp_path / "a.bib")


def test_a_deep_entry_and_a_long_one_spoil_no_other(tmp_path: Path) -> None:
    deep = "@misc{deep, title={" + "{" * 3000 + "x" + "}" * 3000 + "}}\n"
    long = "@misc{long, title={" + "x" * 70_000 + "}}\n"
    (tmp_path / "a.bib").write_text(deep + long + "@misc{good, title={Good}, doi={10.1000/1}}")
    found = bibtex.read(tmp_path / "a.bib")
    assert [e.title for e in found.entries] == ["Good"]
    assert [skipped.what for skipped in found.skipped] == ["deep", "long"]


def test_no_abstract_is_taken(store: PageStore, recorded: Callable[..., Recorded]) -> None:
    [asked] = recorded((200, file("arxiv_ids.xml"))).api().by_id(["2401.54321", "hep-th/9901001"])
    pages = [saved_page.read(RECORDED / name) for name in ("daily_papers.html", "daily_papers.txt")]
    for found in (asked, *pages, bibtex.read(RECORDED / "papers.bib")):
        enter(store, found, "page")
    assert len(imported(store)) == 14
    assert all(row["summary"] == "" and NOT_TAKEN not in str(row) for row in imported(store))


# ---- entering ----


def test_entering_the_same_again_changes_nothing(store: PageStore) -> None:
    first = enter(store, bibtex.read(RECORDED / "papers.bib"), "bibtex", now=2.0)
    before = rows(store)
    again = enter(store, bibtex.read(RECORDED / "papers.bib"), "page", now=3.0)
    assert rows(store) == before
    assert (first.count("new"), again.count("new"), again.count("known")) == (5, 0, 5)
    assert [paper.slug for paper in again.papers] == [paper.slug for paper in first.papers]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (entry("One Title", "Ann Other", arxiv="2401.00001"), entry("Wholly Different", "Bo Else", arxiv="2401.00001")),
        (entry("One Title", "Ann Other", doi="10.1000/AB"), entry("Wholly Different", "Bo Else", doi="10.1000/ab")),
        (entry("Über Größen: One-Title", "Ann Müller"), entry("uber grossen one title!", "A. Muller, Jr.")),
        (entry("A Title of Five Words", "Ann Other"), entry("A Title of Five Words")),
        (entry("A Title of Five Words"), entry("A Title of Five Words", "Ann Other", arxiv="2401.00001")),
    ],
)
def test_these_are_the_same_paper(store: PageStore, one: Entry, other: Entry) -> None:
    outcome = enter(store, batch(one, other), "page")
    assert [paper.state == "new" for paper in outcome.papers] == [True, False]
    assert len(imported(store)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (entry("A Title of Five Words", "Ann Other"), entry("A Title of Five Words", "Bo Else")),
        (entry("Introduction", "Ann Other"), entry("Introduction")), (entry("深い学習"), entry("強化学習")),
        (entry("A Title of Five Words", arxiv="2401.00001"), entry("A Title of Five Words", arxiv="2401.00002")),
    ],
)  # fmt: skip
def test_these_are_two_papers_with_two_slugs(store: PageStore, one: Entry, other: Entry) -> None:
    enter(store, batch(one, other), "page")
    assert len({row["slug"] for row in imported(store)}) == 2


def test_a_later_import_fills_in_what_was_empty_and_nothing_else(store: PageStore) -> None:
    enter(store, batch(entry("A Title of Five Words")), "page", now=2.0)
    [before] = imported(store)
    full = make("A title of five words", authors=["Ann Other"], arxiv="2401.00001", doi="10.1000/1", url="",
                submitted="2024-01-05", tags=["cs.LG"])  # fmt: skip
    assert enter(store, batch(full), "arxiv", now=3.0).count("completed") == 1
    [after] = imported(store)
    assert after == before | {
        "authors": ["Ann Other"], "arxiv": "2401.00001", "doi": "10.1000/1", "submitted": "2024-01-05",
        "tags": ["cs.LG"],
    }  # fmt: skip
    other = make("A Title of Five Words", authors=["Ann Other", "Bo Else"], arxiv="", doi="10.1000/2", url="",
                 submitted="2020", tags=["x"])  # fmt: skip
    assert enter(store, batch(other), "bibtex").count("known") == 1
    assert imported(store) == [after]


def test_an_identifier_is_not_given_to_a_second_row(store: PageStore) -> None:
    enter(store, batch(entry("One", "Ann Other", doi="10.1000/1"), entry("Two", "Bo Else", arxiv="2401.00002")), "page")
    enter(store, batch(entry("Two", "Bo Else", arxiv="2401.00002", doi="10.1000/1")), "page")
    assert [row["doi"] for row in imported(store)] == ["10.1000/1", ""]


def test_a_paper_of_the_catalogue_is_known_and_never_changed(store: PageStore) -> None:
    before = rows(store)
    cards = [
        make(card.title.upper(), authors=card.authors, arxiv=card.arxiv, doi=card.doi or "10.1000/new", url=card.url,
             submitted="1999-01-01", tags=["x"])
        for card in catalogue.load().values()
    ]  # fmt: skip
    by_title = [
        make(card.title, authors=card.authors, arxiv="", doi="10.1000/other", url="", submitted="", tags=[])
        for card in catalogue.load().values()
    ]
    outcome = enter(store, batch(*cards, *by_title), "arxiv")
    assert outcome.count("known") == len(cards) + len(by_title)
    assert rows(store) == before


def test_a_slug_of_the_catalogue_is_never_taken(store: PageStore) -> None:
    entries = [entry(slug, "Ann Other", arxiv=f"2401.{n:05}") for n, slug in enumerate(catalogue.load())]
    enter(store, batch(*entries), "page")
    assert len(rows(store)) == 2 * len(catalogue.load())
    store.sync(catalogue.load().values())
    assert len(imported(store)) == len(entries)


@given(title=st.text(min_size=1, max_size=200), author=st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_slug_fits_its_column_and_an_address(title: str, author: str) -> None:
    try:
        made = entry(title, author)
    except InputError:
        return
    slug = slug_of(made)
    assert len(slug) <= 100
    assert slug == slug_of(made)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug not in catalogue.load()


def test_a_family_name_stands_last() -> None:
    assert [family([name]) for name in ("Ann B. Müller", "P. Erdős Jr.", "Prince", "李 明", "")] == [
        "muller", "erdos", "prince", "明", "",
    ]  # fmt: skip


def test_a_batch_is_entered_as_a_whole_or_not_at_all(store: PageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(store)
    broken = Entry("Broken", (), "", "", "https://x.example", None, ())  # pyright: ignore[reportArgumentType] - the table refuses no date
    with pytest.raises(IntegrityError):
        enter(store, batch(entry("Good", arxiv="2401.00001"), broken), "page")
    assert rows(store) == before


def test_what_has_no_link_is_known_by_its_title_or_skipped(store: PageStore) -> None:
    enter(store, batch(entry("A Title of Five Words", "Ann Other", arxiv="2401.00001")), "arxiv")
    unlinked = batch(entry("A title of five words", "A. Other", url=""), entry("Something else", "Ann Other", url=""))
    outcome = enter(store, unlinked, "bibtex")
    assert [paper.state for paper in outcome.papers] == ["known"]
    assert [(skipped.what, skipped.why) for skipped in outcome.skipped] == [("Something else", UNLINKED)]


def test_a_dry_run_says_the_same_and_enters_nothing(store: PageStore) -> None:
    before = rows(store)
    found = bibtex.read(RECORDED / "papers.bib")
    tried = enter(store, found, "bibtex", dry_run=True)
    assert rows(store) == before
    assert enter(store, found, "bibtex") == tried


def test_imports_at_once_enter_each_paper_once(store: PageStore) -> None:
    entries = [entry(f"Paper number {n} of all", "Ann Other", arxiv=f"2401.{n:05}") for n in range(30)]
    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(lambda _: enter(store, batch(*entries), "page"), range(6)))
    assert sum(outcome.count("new") for outcome in outcomes) == len(imported(store)) == 30


def test_importing_keeps_votes(store: PageStore) -> None:
    [paper] = enter(store, batch(entry("A Title of Five Words")), "page").papers
    store.vote(paper.slug, "reader", up=True)
    enter(store, batch(entry("A Title of Five Words", "Ann Other")), "page")
    [row] = imported(store)
    assert row["votes"] == 1
