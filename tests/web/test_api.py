"""The JSON API: what it says, that reading changes nothing, and that no parameter breaks it."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livepapers.lab import schema
from livepapers.lab.store import STALE, Store
from livepapers.lab.study import Cell
from livepapers.papers import catalogue
from livepapers.web import tables
from livepapers.web.app import create_app
from livepapers.web.importing.entering import enter
from livepapers.web.importing.entry import Batch
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore

READER_DATA = ("votes", "buckets", "subscriptions", "deliveries", "news")
MEASURED = [slug for slug in catalogue.load() if catalogue.status(slug) == "measured"]
GETS = (
    "/api/papers", "/api/papers?sort=measured&size=100", "/api/papers/hdpo", "/api/papers/none", "/api/search?q=stock",
    "/api/runs", "/api/runs/none", "/api/dump", "/api/openapi.json", "/api/papers/hdpo/vote", "/api/subscriptions",
    "/api/nothing",
)  # fmt: skip


@pytest.fixture
def run(app: FastAPI) -> str:
    """A run with a finished, a running and a failed cell; its driver is this process."""
    with Store(app.state.settings.store) as store:
        made, _ = store.create_run(
            "hdpo", 4, preset="smoke", options={}, machine={"cpu": "x"}, versions={}, git_commit="abc"
        )
        cells = [Cell("hdpo", "a", seed) for seed in range(4)]
        store.add_cells(made, cells)
        store.start_cell(made, cells[1])
        store.add_points(made, cells[1], [("loss", 1, 0.5)], progress=0.5)
        with store._write() as connection:
            for number, status in ((0, "finished"), (2, "failed")):
                change = sa.update(schema.cells).where(schema.cells.c.seed == number)
                connection.execute(change.values(status=status, error="Traceback\nValueError: in /srv/ann/x.py"))
        store.add_verdict(made, "C1", verdict="inconclusive", record={})
    return made


def content(store: PageStore) -> dict[str, Any]:
    """All rows of all tables."""
    metadata = sa.MetaData()
    metadata.reflect(store.engine)
    with store.reading() as connection:
        return {
            name: connection.execute(sa.select(t)).all() for name, t in metadata.tables.items() if "fts" not in name
        }


def version(connection: Any) -> int:
    return connection.exec_driver_sql("PRAGMA data_version").scalar_one()


# ---- papers ----


def test_the_list_is_the_catalogue_page_by_page(client: TestClient) -> None:
    first = client.get("/api/papers?sort=newest&size=25").json()
    second = client.get("/api/papers?sort=newest&size=25&page=2").json()
    assert [paper["slug"] for paper in first["papers"] + second["papers"]] == list(catalogue.load())
    assert (first["total"], first["page"], first["pages"]) == (len(catalogue.load()), 1, 2)
    card = next(paper for paper in first["papers"] + second["papers"] if paper["slug"] == "hdpo")
    assert card["title"] == catalogue.card("hdpo").title
    assert card["authors"] == list(catalogue.card("hdpo").authors)
    assert "id" not in card
    assert "heat" not in card


def test_the_list_is_narrowed_and_sorted(client: TestClient) -> None:
    papers = client.get("/api/papers?field=samplers&sort=newest&since=2023").json()["papers"]
    assert [paper["slug"] for paper in papers] == [
        slug for slug, card in catalogue.load().items() if card.field == "samplers" and card.submitted >= "2023"
    ]
    measured = client.get("/api/papers?status=measured&sort=measured").json()["papers"]
    assert {paper["slug"] for paper in measured} == set(MEASURED)
    client.post("/api/papers/hdpo/vote", json={"up": True})
    assert client.get("/api/papers").json()["papers"][0]["slug"] == "hdpo"


@pytest.mark.parametrize("slug", MEASURED)
def test_a_paper_carries_its_published_verdicts_and_how_they_were_measured(client: TestClient, slug: str) -> None:
    found, results = client.get(f"/api/papers/{slug}").json(), catalogue.results(slug)
    assert results is not None
    run = results["current"]["run"]
    assert (found["measured"]["commit"], found["measured"]["machine"]) == (run["git_commit"], run["machine"])
    assert [(v["id"], v["verdict"], v["interval"], v["n"], v["effect"]) for v in found["verdicts"]] == [
        (v["id"], v["verdict"], v["interval"], v["n"], v["effect"]) for v in results["current"]["verdicts"]
    ]
    assert sum(v["of_paper"] and v["n"] > 0 for v in found["verdicts"]) == found["claims"]


def test_a_paper_that_is_not_measured_has_no_verdicts(client: TestClient) -> None:
    slug = next(slug for slug in catalogue.load() if slug not in MEASURED)
    found = client.get(f"/api/papers/{slug}").json()
    assert (found["measured"], found["verdicts"]) == (None, [])


def test_an_imported_paper_is_listed_found_and_told_apart(client: TestClient, app: FastAPI) -> None:
    batch = Batch()
    batch.add("x", "Quokkas that forage under drought", authors=["Ann Other"], arxiv="2401.00001")
    [paper] = enter(app.state.store, batch, "arxiv").papers
    found = client.get(f"/api/papers/{paper.slug}").json()
    assert (found["source"], found["status"], found["field"], found["summary"]) == ("arxiv", "listed", "", "")
    assert [hit["slug"] for hit in client.get("/api/search?q=quokkas").json()["papers"]] == [paper.slug]


def test_search_answers_with_papers(client: TestClient) -> None:
    found = client.get("/api/search", params={"q": "inventory networks", "size": 3}).json()
    assert "hdpo" in [paper["slug"] for paper in found["papers"]]
    assert len(found["papers"]) == min(3, found["total"])


def test_the_dump_is_every_paper_on_a_line_and_nothing_about_readers(client: TestClient) -> None:
    client.post("/api/papers/hdpo/vote", json={"up": True})
    client.post("/api/subscriptions", json={"address": "ann@example.org", "query": "depots"})
    answer = client.get("/api/dump")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    papers = [json.loads(line) for line in answer.text.splitlines()]
    assert {paper["slug"] for paper in papers} == set(catalogue.load())
    hdpo = next(paper for paper in papers if paper["slug"] == "hdpo")
    assert hdpo == client.get("/api/papers/hdpo").json()
    assert hdpo["votes"] == 1
    assert "ann@example" not in answer.text
    assert client.cookies["reader"] not in answer.text


def test_the_dump_reads_in_blocks(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from livepapers.web.routes import api

    whole = client.get("/api/dump").text
    monkeypatch.setattr(api, "BLOCK", 7)
    assert client.get("/api/dump").text == whole


# ---- runs ----


def test_runs_show_their_cells_and_their_progress(client: TestClient, run: str) -> None:
    [card] = client.get("/api/runs").json()["runs"]
    assert (card["id"], card["status"], card["commit"], card["progress"]) == (run, "running", "abc", 1.5 / 4)
    assert card["cells"] == {"pending": 1, "running": 1, "failed": 1, "finished": 1}
    found = client.get(f"/api/runs/{run}").json()
    assert [(cell["seed"], cell["status"], cell["progress"]) for cell in found["states"]] == [
        (0, "finished", 0.0), (1, "running", 0.5), (2, "failed", 0.0), (3, "pending", 0.0),
    ]  # fmt: skip
    assert found["states"][2]["error"] == "ValueError: in /srv/ann/x.py"
    assert [(said["claim"], said["verdict"]) for said in found["verdicts"]] == [("C1", "inconclusive")]
    assert client.get("/api/runs?slug=fl-gfn").json()["runs"] == []
    assert client.get("/api/runs/none").status_code == 404


def test_a_run_whose_driver_died_is_shown_as_interrupted_and_reading_does_not_write_that_down(
    client: TestClient, app: FastAPI, run: str
) -> None:
    store: PageStore = app.state.store
    with store.writing() as connection:
        connection.execute(sa.update(schema.runs).values(heartbeat=schema.runs.c.heartbeat - 2 * STALE))
    before = content(store)
    [card] = client.get("/api/runs").json()["runs"]
    assert (card["status"], card["cells"]) == (
        "interrupted",
        {"pending": 1, "interrupted": 1, "failed": 1, "finished": 1},
    )
    states = client.get(f"/api/runs/{run}").json()["states"]
    assert [cell["status"] for cell in states] == ["finished", "interrupted", "failed", "pending"]
    assert content(store) == before


def test_a_page_that_others_reach_tells_no_paths(tmp_path: Path, run: str, app: FastAPI) -> None:
    public = create_app(Settings(store=app.state.settings.store, host="192.0.2.1"))
    with TestClient(public, base_url="http://192.0.2.1:8765") as client:
        answer = client.get(f"/api/runs/{run}")
    assert answer.status_code == 200
    assert "/srv/ann" not in answer.text


# ---- changes ----


def test_a_vote_counts_once_and_is_taken_back(client: TestClient) -> None:
    for _ in range(2):
        assert client.post("/api/papers/hdpo/vote", json={"up": True}).json() == {"votes": 1, "voted": True}
    assert client.post("/api/papers/hdpo/vote", json={"up": False}).json() == {"votes": 0, "voted": False}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/api/papers/none/vote", {"up": True}, 404, "no paper 'none'"),
        ("/api/papers/hdpo/vote", {"up": "maybe"}, 422, "up: got maybe, expected true or false"),
        ("/api/papers/hdpo/vote", {}, 422, "up: got nothing, expected a value"),
        ("/api/papers/hdpo/vote", {"up": True, "reader": "x"}, 422, "reader: got x, expected no such name"),
        ("/api/papers/hdpo/vote", [], 422, "body: "),
        ("/api/subscriptions", {"address": "nobody"}, 422, "address: got nobody, expected a mail address"),
        (
            "/api/subscriptions",
            {"address": "a@example.org", "frequency": "hourly"},
            422,
            "frequency: got hourly, expected",
        ),
        ("/api/subscriptions", {"address": "a@example.org\nBcc: b@example.org"}, 422, "address: got a@example.org Bcc"),
        ("/api/subscriptions", {"address": "a@example.org", "query": "\x00"}, 422, "search: got"),
    ],
)
def test_a_wrong_change_is_one_line(client: TestClient, path: str, body: Any, status: int, said: str) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff", b"", b"null", b"[" * 60_000, b'{"up": true', b'{"\\ud800": 1}', b'{"up": NaN}', b'"\\ud800"'],
)
@pytest.mark.parametrize("path", ["/api/papers/hdpo/vote", "/api/subscriptions"])
def test_a_body_that_is_no_json_of_ours_is_one_line(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]


@pytest.mark.parametrize("path", ["/api/papers/hdpo/vote", "/api/subscriptions"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://evil.example"}],
)
def test_changes_from_elsewhere_are_refused(app: FastAPI, path: str, headers: dict[str, str]) -> None:
    before = content(app.state.store)
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        assert client.post(path, json={"up": True, "address": "a@example.org"}, headers=headers).status_code == 403
        assert content(app.state.store) == before


def test_a_subscription_is_asked_for_and_the_answer_tells_nothing(client: TestClient, app: FastAPI) -> None:
    asked = [client.post("/api/subscriptions", json={"address": "ann@example.org"}) for _ in range(2)]
    assert [answer.status_code for answer in asked] == [202, 202]
    assert asked[0].json() == asked[1].json()
    with app.state.store.reading() as connection:
        [row] = connection.execute(sa.select(tables.subscriptions)).all()
    assert (row.address, row.frequency, row.confirmed) == ("ann@example.org", "daily", False)
    [mail, _] = Path(app.state.settings.outbox).glob("*.eml")
    assert "/subscribe/confirm/" in mail.read_text()


def test_a_body_that_is_not_said_to_be_json_is_answered_for_people(client: TestClient) -> None:
    answer = client.post("/api/papers/hdpo/vote", content=b'{"up":true}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422
    expected = "body: got something else, expected JSON, said to be so by Content-Type: application/json"
    assert answer.json() == {"error": expected}


def test_too_many_votes_are_refused_for_a_while(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEPAPERS_TOKEN", "others read this page")
    statuses = [client.post("/api/papers/hdpo/vote", json={"up": True}).status_code for _ in range(70)]
    assert statuses[:60] == [200] * 60
    assert 429 in statuses


# ---- reading changes nothing; nothing breaks ----


def test_reading_changes_nothing(client: TestClient, app: FastAPI, run: str) -> None:
    client.post("/api/papers/hdpo/vote", json={"up": True})
    store: PageStore = app.state.store
    before = content(store)
    assert set(READER_DATA) <= set(before)
    with store.engine.connect().execution_options(livepapers="read") as watching:
        seen = version(watching)
        for path in (*GETS, f"/api/runs/{run}"):
            client.get(path)
            client.head(path)
        assert version(watching) == seen
    assert content(store) == before


_TEXT = st.text(max_size=30) | st.sampled_from(
    ["", "0", "-1", "1e9", "99999999999999999999", "\0", "newest", "hdpo", "%"]
)
_PATHS = st.sampled_from(["/api/papers", "/api/search", "/api/runs", "/api/papers/hdpo", "/api/dump", "/api/runs/x"])
_NAMES = st.sampled_from(["sort", "field", "status", "since", "page", "size", "q", "slug", "other"])


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One page for all examples; an exception in it is an answer 500."""
    app = create_app(Settings(store=str(tmp_path_factory.mktemp("page") / "store.sqlite3")))
    with TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as client:
        yield client


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=_PATHS, query=st.lists(st.tuples(_NAMES, _TEXT), max_size=4))
def test_no_query_breaks_reading(fuzzed: TestClient, path: str, query: list[tuple[str, str]]) -> None:
    encodable = urlencode([(name, value.encode("utf-8", "replace")) for name, value in query])
    _answered(fuzzed.get(f"{path}?{encodable}"))


@settings(max_examples=60, deadline=None)
@given(name=st.text(min_size=1, max_size=20), kind=st.sampled_from(["papers", "runs"]))
def test_no_name_breaks_reading(fuzzed: TestClient, name: str, kind: str) -> None:
    _answered(fuzzed.get(f"/api/{kind}/{quote(name.encode('utf-8', 'replace'), safe='')}"))


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["a@b.cd", "daily"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["up", "address", "frequency", "query", "x"]) | st.text(max_size=5), inner, max_size=4
        )
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(body=_JSON, path=st.sampled_from(["/api/papers/hdpo/vote", "/api/papers/none/vote", "/api/subscriptions"]))
def test_no_body_breaks_a_change(fuzzed: TestClient, body: Any, path: str) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    _answered(fuzzed.post(path, content=json.dumps(body), headers=headers))


def _answered(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert "\n" not in answer.json()["error"]


def test_the_openapi_document_has_every_endpoint_and_the_shape_of_every_answer(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {
        ("/api/papers", "get"), ("/api/papers/{slug}", "get"), ("/api/search", "get"), ("/api/runs", "get"),
        ("/api/runs/{id}", "get"), ("/api/dump", "get"), ("/api/papers/{slug}/vote", "post"),
        ("/api/subscriptions", "post"),
    }  # fmt: skip
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Told")
            good = next(operation["responses"][status] for status in ("200", "202") if status in operation["responses"])
            [shape] = [kind["schema"] for kind in good["content"].values()]
            assert shape["$ref"].rpartition("/")[2] in schemas


# ---- many at once ----


def test_a_thousand_votes_of_one_reader_at_once_are_one_vote(app: FastAPI) -> None:
    store: PageStore = app.state.store
    start = threading.Barrier(20)

    def vote(_: int) -> set[int | None]:
        start.wait()
        return {store.vote("hdpo", "reader", up=True) for _ in range(50)}

    with ThreadPoolExecutor(20) as threads:
        answers = set().union(*threads.map(vote, range(20)))
    assert answers == {1}
    assert _counted(store, "hdpo") == (1, 1)


def test_votes_of_many_readers_at_once_are_all_counted_and_all_taken_back(app: FastAPI) -> None:
    store: PageStore = app.state.store
    for up, votes in ((True, 40), (False, 0)):
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda n, up=up: store.vote("hdpo", f"reader {n % 40}", up=up), range(80)))
        assert _counted(store, "hdpo") == (votes, votes)


def test_votes_of_one_reader_at_once_over_the_web_are_one_vote(client: TestClient, app: FastAPI) -> None:
    client.post("/api/papers/hdpo/vote", json={"up": False})
    with ThreadPoolExecutor(8) as threads:
        statuses = list(
            threads.map(lambda _: client.post("/api/papers/hdpo/vote", json={"up": True}).status_code, range(40))
        )
    assert set(statuses) == {200}
    assert _counted(app.state.store, "hdpo") == (1, 1)


def _counted(store: PageStore, slug: str) -> tuple[int, int]:
    """What the paper's row says, and the rows of its votes."""
    p, v = tables.papers.c, tables.votes.c
    with store.reading() as connection:
        row = connection.execute(sa.select(p.id, p.votes).where(p.slug == slug)).one()
        count = sa.select(sa.func.count()).select_from(tables.votes).where(v.paper == row.id)
        return row.votes, connection.execute(count).scalar_one()


@pytest.mark.parametrize("since", ["2025-13", "2025-02-31", "25", "today", "2025-1"])
def test_a_date_that_is_none_is_one_line(client: TestClient, since: str) -> None:
    answer = client.get("/api/papers", params={"since": since})
    assert answer.status_code == 422
    assert answer.json() == {"error": f"since: got {since}, expected a date: YYYY, YYYY-MM or YYYY-MM-DD"}
    for right in ("2025", "2025-02", "2024-02-29", ""):
        assert client.get("/api/papers", params={"since": right}).status_code == 200
