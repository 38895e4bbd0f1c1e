"""Home: lists, filters, pages, votes; other people's text stays text."""

import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from livepapers.papers import catalogue
from livepapers.web import tables
from livepapers.web.rendering import shortened
from livepapers.web.store import COLD, HALF_LIFE, PAGE, PageStore, heat

PAYLOADS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'><svg/onload=alert(1)>", "{{ 7 * 7 }}",
    "</title><script>alert(1)</script>", "<a href=javascript:alert(1)>", "&lt;b&gt;",
    "\" autofocus onfocus=alert(1) x=\"", "]]><script>", "<!--", "%3Cscript%3E", "<iframe srcdoc='<script>'>",
    "\u202e\u2066rtl",
    "<math><mi//xlink:href='x'>",
)  # fmt: skip


class Shape(HTMLParser):
    """The elements and attribute names of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[tuple[str, ...]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *(name for name, _ in attrs)))


def add(store: PageStore, **changes: object) -> None:
    row = {
        "slug": "other", "title": "Other", "authors": ["A. Nobody"], "submitted": "2024-01-01", "field": "", "tags": [],
        "summary": "", "link": "https://example.org", "arxiv": "", "doi": "", "code_url": "", "source": "bibtex",
        "status": "listed", "claims": 0, "added": 0.0, "votes": 0, "heat": COLD,
    }  # fmt: skip
    with store.writing() as connection:
        connection.execute(sa.insert(tables.papers).values({**row, **changes}))


def titles(text: str) -> list[str]:
    return [piece.split('"')[0] for piece in text.split('<article class="card" id="')[1:]]


@pytest.mark.parametrize("path", ["/?page=99", "/search?q=inventory&page=99", "/runs?page=99"])
def test_a_page_after_the_last_is_told_alike_everywhere(client: TestClient, path: str) -> None:
    for address in (path, "/api" + path.replace("/?", "/papers?")):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "there is no page 99, the last one is " in answer.text


def test_home_shows_every_paper_of_the_catalogue_over_its_pages(client: TestClient) -> None:
    seen = [*titles(client.get("/?sort=newest").text), *titles(client.get("/?sort=newest&page=2").text)]
    assert seen == list(catalogue.load())
    assert client.get("/?page=3").status_code == 404


def test_the_most_measured_come_first_and_carry_their_verdicts(client: TestClient) -> None:
    text = client.get("/?sort=measured&status=measured").text
    assert set(titles(text)) == {slug for slug in catalogue.load() if catalogue.status(slug) == "measured"}
    assert text.count("Verdicts on its claims") == len(titles(text))


@pytest.mark.parametrize("query", ["sort=best", "field=chemistry", "status=great", "page=0", "page=x", "period=year"])
def test_a_wrong_filter_is_one_line(client: TestClient, query: str) -> None:
    answer = client.get(f"/?{query}")
    assert answer.status_code == 422
    name, value = query.split("=")
    assert f"<p>{name}: got {value}, expected " in answer.text


def test_an_empty_filter_is_none(client: TestClient) -> None:
    assert titles(client.get("/?page=&sort=&period=&field=&status=").text) == titles(client.get("/").text)
    for path in ("/runs?page=", "/search?q=x&page=", "/api/papers?page=&size=&sort=&since=", "/api/runs?page="):
        assert client.get(path).status_code == 200


def test_addresses_lead_somewhere(client: TestClient) -> None:
    assert client.get("/papers", follow_redirects=False).headers["location"] == "/"
    assert client.get("/papers/HDPO").status_code == client.get("/api/papers/HDPO").status_code == 200
    assert "<h1>The API</h1>" in client.get("/api").text
    for path in ("/api/nothing", "/api/v1/"):
        assert client.get(path).json() == {"error": "there is no page at this address"}
    missing = client.get("/nope").text
    assert "<h1>Not found</h1>" in missing
    assert "there is no page at this address" in missing


def test_a_script_is_told_what_was_wrong_as_json(client: TestClient) -> None:
    asked = {"Accept": "application/json"}
    assert client.post("/papers/nope/vote", data={"up": "true"}, headers=asked).json() == {"error": "no paper 'nope'"}
    wrong = client.post("/papers/hdpo/vote", data={"up": "maybe"}, headers=asked)
    assert (wrong.status_code, wrong.json()) == (422, {"error": "up: got maybe, expected true or false"})
    assert client.post("/papers/hd%00po/vote", data={"up": "true"}).status_code == 404


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [("a b", 3, "a b"), ("some words, others", 12, "some words…"), ("abc def", 4, "abc…"), ("a b, c d", 5, "a b…")],
)
def test_a_summary_is_cut_between_words(text: str, most: int, short: str) -> None:
    assert shortened(text, most) == short


def test_a_field_narrows_the_list(client: TestClient) -> None:
    assert set(titles(client.get("/?field=samplers").text)) == {
        slug for slug, card in catalogue.load().items() if card.field == "samplers"
    }


def test_a_period_is_of_what_is_new_here_whenever_it_was_submitted(client: TestClient, app: FastAPI) -> None:
    assert len(titles(client.get("/?period=day").text)) == PAGE  # the catalogue came when the page was made
    with app.state.store.writing() as connection:
        connection.execute(sa.update(tables.papers).values(added=1.0))
        connection.execute(sa.update(tables.news).values(at=1.0))
    nothing = client.get("/?period=month").text
    assert titles(nothing) == []
    assert "came to this page in the last month" in nothing
    add(app.state.store, submitted="1999-01-01", added=time.time())
    with app.state.store.writing() as connection:
        told = {"slug": "hdpo", "claim": "C1", "verdict": "reproduced", "before": "", "at": time.time() - 2 * 86_400}
        connection.execute(sa.insert(tables.news).values(told))
    assert titles(client.get("/?period=day").text) == ["other"]
    assert set(titles(client.get("/?period=week").text)) == {"other", "hdpo"}


def test_a_vote_counts_once_and_is_taken_back(client: TestClient) -> None:
    asked = {"Accept": "application/json"}
    for _ in range(2):
        assert client.post("/papers/hdpo/vote", data={"up": "true"}, headers=asked).json() == {
            "votes": 1,
            "voted": True,
        }
    assert titles(client.get("/").text)[0] == "hdpo"
    gone = client.post("/papers/hdpo/vote", data={"up": "false"}, headers=asked).json()
    assert gone == {"votes": 0, "voted": False}


def test_two_readers_have_two_votes(client: TestClient) -> None:
    client.post("/papers/hdpo/vote", data={"up": "true"})
    client.cookies.clear()
    answer = client.post("/papers/hdpo/vote", data={"up": "true"}, headers={"Accept": "application/json"})
    assert answer.json()["votes"] == 2


def test_a_vote_without_a_script_returns_to_where_it_was_cast(client: TestClient) -> None:
    headers = {"Referer": f"{client.base_url}/?sort=newest&page=2"}
    answer = client.post("/papers/hdpo/vote", data={"up": "true"}, headers=headers, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?sort=newest&page=2#hdpo")
    assert client.post("/papers/nope/vote", data={"up": "true"}).status_code == 404


def test_heat_orders_papers_as_fading_votes_do_whatever_the_time() -> None:
    votes = {"old and many": [0.0] * 9, "new": [3 * HALF_LIFE], "mixed": [0.0, HALF_LIFE, 2.5 * HALF_LIFE]}

    def fading(times: list[float], now: float) -> float:
        return sum(2.0 ** (-(now - at) / HALF_LIFE) for at in times)

    by_heat = sorted(votes, key=lambda name: heat(votes[name]))
    for now in (3 * HALF_LIFE, 30 * HALF_LIFE):
        assert by_heat == sorted(votes, key=lambda name: fading(votes[name], now))
    assert heat([]) == COLD < heat([0.0])
    assert heat([1e9]) == pytest.approx(1e9 / HALF_LIFE)


def test_other_peoples_text_adds_no_element_and_no_attribute(client: TestClient, app: FastAPI) -> None:
    add(app.state.store, slug="plain", submitted="2099-01-01")
    before = Shape(client.get("/?sort=newest").text).found
    for i, payload in enumerate(PAYLOADS):
        add(
            app.state.store, slug=f"p{i}", title=payload, authors=[payload], summary=payload, tags=[payload],
            link=payload, submitted="2099-01-02",
        )  # fmt: skip
    text = client.get("/?sort=newest").text
    assert Shape(text).found <= before
    assert "7 * 7" in text
    assert "<script>alert" not in text


def test_looking_changes_nothing(client: TestClient, app: FastAPI) -> None:
    store = app.state.store
    with store.reading() as connection:
        before = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
    for path in ("/", "/?sort=measured", "/papers/hdpo/vote", "/nope"):
        client.get(path)
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA data_version").scalar_one() == before


def test_the_page_starts_without_torch() -> None:
    code = (
        "import sys, tempfile; from livepapers.web.app import create_app; from livepapers.web.settings import Settings;"
        "create_app(Settings(store=tempfile.mkdtemp() + '/s.sqlite3'));"
        "print(sorted({'torch', 'pandas', 'sklearn', 'matplotlib', 'gymnasium'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
