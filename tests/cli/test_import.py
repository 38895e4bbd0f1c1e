"""`livepapers import`: what it says, what it enters, and what it leaves when it is stopped."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from cli.conftest import Cli
from livepapers.papers import catalogue
from livepapers.web import tables
from livepapers.web.importing import arxiv
from livepapers.web.store import PageStore

RECORDED = Path(__file__).parents[1] / "web" / "recorded"


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "store.sqlite3")


@pytest.fixture
def api(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Callable[[dict[str, str]], bytes]], list[dict[str, str]]]]:
    """Plays arXiv's API on this machine, without its pauses; returns what was asked."""
    servers: list[ThreadingHTTPServer] = []

    def play(answer: Callable[[dict[str, str]], bytes]) -> list[dict[str, str]]:
        asked: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
                body = answer(asked[-1])
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - named by the base class
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setattr(arxiv, "BASE", f"http://127.0.0.1:{servers[-1].server_address[1]}/api/query")
        monkeypatch.setattr(arxiv, "PAUSE", 0.01)
        return asked

    yield play
    for server in servers:
        server.shutdown()
        server.server_close()


def pages(total: int) -> Callable[[dict[str, str]], bytes]:
    def answer(query: dict[str, str]) -> bytes:
        start = int(query["start"])
        papers = "".join(
            f"<entry><id>http://arxiv.org/abs/2401.{n:05}v1</id><title>Paper {n}</title></entry>"
            for n in range(start, min(start + int(query["max_results"]), total))
        )
        return (
            '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/">'
            f"<o:totalResults>{total}</o:totalResults>{papers}</feed>"
        ).encode()

    return answer


def count(place: str) -> int:
    with PageStore(place) as store, store.reading() as connection:
        wanted = sa.select(sa.func.count()).select_from(tables.papers).where(tables.papers.c.source != "catalogue")
        return connection.execute(wanted).scalar_one()


def test_a_file_is_entered_once_with_a_summary(cli: Cli, place: str) -> None:
    first = cli("import", "--bibtex", str(RECORDED / "papers.bib"), "--store", place)
    assert first.status == 0
    assert first.out.startswith("5 new, 0 known, 4 skipped: open (the entry is not complete")
    assert "skipped: untitled (title: got nothing" in first.err
    again = cli("import", "--bibtex", str(RECORDED / "papers.bib"), "--store", place)
    assert again.out.startswith("0 new, 5 known, 4 skipped")
    assert count(place) == 5


def test_where_imported_papers_are_is_said(cli: Cli, place: str) -> None:
    told = "apers that were imported are on the page only: livepapers serve"
    arguments = ("import", "--bibtex", str(RECORDED / "papers.bib"), "--store", place)
    first = cli(*arguments)
    assert told in first.out
    assert told not in cli(*arguments).out  # nothing is new
    assert told not in cli(*arguments, "--json").out
    assert "on the page only" in " ".join(cli("import", "--help").out.split())
    with PageStore(place) as store:
        slugs = [paper.slug for paper in store.papers("newest", size=100)[0] if paper.source == "bibtex"]
    for slug in slugs:
        for command in ("show", "cite"):
            shown = cli(command, slug)
            assert (shown.status, shown.err.count("\n")) == (2, 1)
            assert told in shown.err
    assert "did you mean hdpo?" in cli("show", "hdop").err


def test_papers_come_from_arxiv_by_identifier(cli: Cli, place: str, api) -> None:
    asked = api(lambda _: (RECORDED / "arxiv_ids.xml").read_bytes())
    outcome = cli("import", "--arxiv", "2401.54321", "hep-th/9901001,2401.99999", "--store", place, "--json")
    assert outcome.status == 0
    assert asked == [{"id_list": "2401.54321,hep-th/9901001,2401.99999", "max_results": "3"}]
    assert (outcome.json["new"], outcome.json["known"], outcome.json["dry_run"]) == (2, 0, False)
    assert outcome.json["skipped"] == [{"what": "2401.99999", "why": "arXiv has no such paper"}]
    assert [paper["state"] for paper in outcome.json["papers"]] == ["new", "new"]


def test_a_query_shows_its_progress(cli: Cli, place: str, api) -> None:
    asked = api(pages(230))
    outcome = cli("import", "--arxiv-query", "cat:cs.LG AND all:stock", "--most", "220", "--store", place)
    assert outcome.out == (
        "220 new, 0 known, 0 skipped\nPapers that were imported are on the page only: livepapers serve\n"
    )
    assert "arXiv: 100 of 220 papers read; the query has 230" in outcome.err
    assert [query["max_results"] for query in asked] == ["100", "100", "20"]


def test_what_is_stopped_keeps_what_is_entered_and_can_go_on(cli: Cli, place: str, api, monkeypatch) -> None:
    asked = api(pages(250))
    read = arxiv.ArxivApi._feed

    def stopped(self, *arguments, **query):
        if query["start"] == 200:
            raise KeyboardInterrupt
        return read(self, *arguments, **query)

    monkeypatch.setattr(arxiv.ArxivApi, "_feed", stopped)
    outcome = cli("import", "--arxiv-query", "all:x", "--most", "300", "--store", place)
    assert outcome.status == 3
    assert "Stopped; so far 200 new, 0 known, 0 skipped" in outcome.err
    assert count(place) == 200
    monkeypatch.setattr(arxiv.ArxivApi, "_feed", read)
    assert cli("import", "--arxiv-query", "all:x", "--most", "300", "--store", place).out.startswith(
        "50 new, 200 known"
    )
    assert len(asked) == 5


def test_an_api_that_breaks_down_is_one_line_after_what_was_entered(cli: Cli, place: str, api) -> None:
    whole = pages(250)
    api(lambda query: whole(query) if query["start"] == "0" else (RECORDED / "billion_laughs.xml").read_bytes())
    outcome = cli("import", "--arxiv-query", "all:x", "--most", "300", "--store", place)
    assert outcome.status == 2
    assert outcome.err.splitlines()[-2:] == [
        "So far 100 new, 0 known, 0 skipped.",
        "Error: arXiv's API gave XML that is refused: DTDForbidden",
    ]
    assert count(place) == 100


def test_a_dry_run_names_the_papers_and_enters_none(cli: Cli, place: str) -> None:
    outcome = cli("import", "--page", str(RECORDED / "daily_papers.txt"), "--dry-run", "--store", place)
    assert outcome.out.startswith("4 new, 0 known, 0 skipped (dry run: nothing was entered)\n  new: an-invented-paper-")
    assert count(place) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Nothing to import: give --arxiv"),
        (["--arxiv", "hello"], "--arxiv: got hello, expected an arXiv identifier such as 2306.11246"),
        (["--arxiv-query", " "], "arxiv-query: got"),
        (["--page", "nowhere.html"], "--page: got nowhere.html, expected a file that can be read"),
        (["--bibtex", "nowhere.bib"], "--bibtex: got nowhere.bib"),
        (["--arxiv-query", "x", "--most", "0"], "'--most'"),
    ],
)
def test_a_wrong_argument_is_one_line(cli: Cli, place: str, arguments: list[str], said: str) -> None:
    outcome = cli("import", *arguments, "--store", place)
    assert (outcome.status, outcome.out) == (2, "")
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_file_that_cannot_be_read_keeps_the_others_out_too(cli: Cli, place: str) -> None:
    files = ["--bibtex", str(RECORDED / "papers.bib"), "--page", "nowhere.html"]
    assert cli("import", *files, "--store", place).status == 2
    assert not Path(place).exists()


def test_nothing_but_skipped_papers_is_a_failure(cli: Cli, place: str, tmp_path: Path) -> None:
    (tmp_path / "a.bib").write_text("@misc{a, title={A}}")
    outcome = cli("import", "--bibtex", str(tmp_path / "a.bib"), "--store", place)
    assert outcome.status == 1
    assert outcome.out.startswith("0 new, 0 known, 1 skipped: A (it is new here, and has no arXiv identifier")


def test_imports_one_after_the_other_keep_the_pause(cli: Cli, place: str, api, monkeypatch) -> None:
    import time

    asked = api(lambda _: (RECORDED / "arxiv_ids.xml").read_bytes())
    monkeypatch.setattr(arxiv, "PAUSE", 0.8)
    begin = time.monotonic()
    for _ in range(3):
        cli("import", "--arxiv", "2401.54321", "--store", place)
    assert len(asked) == 3
    assert time.monotonic() - begin > 1.6


def test_a_page_is_imported_by_a_process_of_its_own_without_torch(tmp_path: Path) -> None:
    words = ["import", "--page", str(RECORDED / "daily_papers.html"), "--store", str(tmp_path / "s.sqlite3")]
    code = (
        f"import sys; from livepapers.cli.main import call; status = call({words!r}); "
        "print('torch' in sys.modules, file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "False"), done.stderr
    assert done.stdout.startswith("3 new, 0 known, 1 skipped: 2511.00004 (the page shows no title for it)")


def test_the_catalogue_is_there_before_anything_is_entered(cli: Cli, place: str, tmp_path: Path) -> None:
    card = catalogue.card("hdpo")
    (tmp_path / "a.bib").write_text(
        f"@misc{{a, title={{{card.title}}}, author={{{card.authors[0]}}}, doi={{10.1000/1}}}}"
    )
    assert cli("import", "--bibtex", str(tmp_path / "a.bib"), "--store", place).out.startswith("0 new, 1 known")
