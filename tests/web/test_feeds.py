"""Atom: well-formed whatever is in the store, names that stay, times that are true."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from livepapers.papers import catalogue
from livepapers.web import feeds, news, verdicts
from livepapers.web.app import create_app
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore
from web.conftest import BASE
from web.post_office import NOON, add_paper
from web.test_home import PAYLOADS

A = f"{{{feeds.ATOM}}}"
BAD = "a\x00b\x0bc\x1bd\ufffee\x7ff"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    made = create_app(
        Settings(store=str(tmp_path_factory.mktemp("page") / "store.sqlite3"), url="https://papers.example")
    )
    add_paper(made.state.store, "evil", NOON, title=f"]]><x>&amp;{BAD}", authors=[BAD], summary="<b>&</b>", tags=[BAD])
    return made


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="https://papers.example")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageStore]:
    monkeypatch.setattr(verdicts, "published", lambda slug: None)
    with PageStore(str(tmp_path / "store.sqlite3")) as made:
        yield made


def parsed(data: bytes | str) -> Element:
    """The feed, after what every Atom feed must have was looked for (RFC 4287, section 4)."""
    root = defusedxml.ElementTree.fromstring(data)
    assert root.tag == f"{A}feed"
    ids = []
    for element in (root, *root.iterfind(f"{A}entry")):
        for name in ("id", "title", "updated"):
            assert len(element.findall(f"{A}{name}")) == 1
        time = element.findtext(f"{A}updated") or ""
        assert len(time) == 20 and time.endswith("Z")  # noqa: PT018
        ids.append(element.findtext(f"{A}id") or "")
        assert ids[-1].startswith("tag:")
        assert all(name.text for name in element.iterfind(f"{A}author/{A}name"))
        assert element.find(f"{A}author") is not None
        for link in element.iterfind(f"{A}link"):
            assert link.get("href", "").startswith(("http://", "https://"))
    assert len(set(ids)) == len(ids)
    if entries := [entry.findtext(f"{A}updated") or "" for entry in root.iterfind(f"{A}entry")]:
        assert root.findtext(f"{A}updated") == max(entries)
    return root


def titles(root: Element) -> list[str]:
    return [entry.findtext(f"{A}title") or "" for entry in root.iterfind(f"{A}entry")]


def test_home_tells_of_every_new_paper(client: TestClient) -> None:
    answer = client.get("/feeds/home.atom", headers={"Host": "papers.example"})
    assert answer.headers["content-type"].startswith("application/atom+xml")
    root = parsed(answer.content)
    cards = catalogue.load()
    assert {card.title for card in cards.values()} <= set(titles(root))
    entry = next(entry for entry in root.iterfind(f"{A}entry") if entry.findtext(f"{A}title") == cards["hdpo"].title)
    assert entry.findtext(f"{A}id") == "tag:papers.example,2026:papers/hdpo"
    assert [(link.get("rel"), link.get("href")) for link in entry.iterfind(f"{A}link")] == [
        ("alternate", "https://papers.example/papers/hdpo"), ("related", cards["hdpo"].link),
    ]  # fmt: skip
    assert [author.text for author in entry.iterfind(f"{A}author/{A}name")] == list(cards["hdpo"].authors)
    assert (entry.findtext(f"{A}published") or "").startswith(cards["hdpo"].submitted)
    assert "reproduced" in (entry.findtext(f"{A}summary") or "")
    self_link = root.find(f"{A}link[@rel='self']")
    assert self_link is not None
    assert self_link.get("href") == "https://papers.example/feeds/home.atom"


def test_a_feed_that_did_not_change_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/feeds/home.atom")
    tag = first.headers["etag"]
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get("/feeds/home.atom", headers={"If-None-Match": condition})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for condition in ('"other"', "", tag[:-2] + '"'):
        assert client.get("/feeds/home.atom", headers={"If-None-Match": condition}).content == first.content


def test_each_field_has_a_feed_and_no_other(client: TestClient) -> None:
    cards = catalogue.load().values()
    for name in catalogue.FIELDS:
        root = parsed(client.get(f"/feeds/field/{name}.atom").content)
        assert set(titles(root)) == {card.title for card in cards if card.field == name}
    assert client.get("/feeds/field/nope.atom").status_code == 404


def test_the_verdicts_of_a_paper_come_one_by_one(client: TestClient) -> None:
    root = parsed(client.get("/feeds/paper/fl-gfn.atom").content)
    assert len(titles(root)) == len(verdicts.strip("fl-gfn"))  # noqa: B005 - it is our own function
    assert titles(root)[0] == f"C1a: {verdicts.strip('fl-gfn')[0]}"  # noqa: B005
    assert titles(parsed(client.get("/feeds/paper/evil.atom").content)) == []
    for slug in ("nope", "no%00pe", "..%2fx"):
        assert client.get(f"/feeds/paper/{slug}.atom").status_code == 404


def test_a_search_has_a_feed(client: TestClient) -> None:
    for query in ("stock to order", 'C++ & "50 %"', "网络", "a\x00b\x1b", *PAYLOADS):
        answer = client.get("/feeds/search.atom", params={"q": query})
        link = parsed(answer.content).find(f"{A}link[@rel='self']")
        assert link is not None
        address = (link.get("href") or "").removeprefix("https://papers.example")
        assert client.get(address).content == answer.content
    found = titles(parsed(client.get("/feeds/search.atom?q=hindsight+differentiable+policy").content))
    assert catalogue.card("hdpo").title in found
    assert client.get("/feeds/search.atom").status_code == 422
    assert client.get("/feeds/search.atom", params={"q": ""}).status_code == 422


def test_the_feed_of_a_search_has_the_last_papers_however_many_older_ones_match_better(
    client: TestClient, app: FastAPI
) -> None:
    for number in range(feeds.ENTRIES + 200):
        add_paper(app.state.store, f"old-{number}", NOON - 1, title="Okapi", summary="Okapi.")
    add_paper(app.state.store, "last", NOON + 1, summary=f"An okapi {'among much else ' * 40}.")
    found = titles(parsed(client.get("/feeds/search.atom?q=okapi").content))
    assert found[0] == "Title of last"
    assert len(found) == feeds.ENTRIES


def test_what_xml_cannot_hold_is_left_out_and_the_rest_stays_text(client: TestClient) -> None:
    text = client.get("/feeds/home.atom").text
    assert "<x>" not in text
    assert "<b>" not in text
    assert "]]><x>&amp;abcde\x7ff" in titles(parsed(text))


@given(st.text(), st.text(), st.text(), st.lists(st.text(), max_size=2), st.text(max_size=12))
def test_every_text_makes_a_feed_that_can_be_read(
    title: str, summary: str, path: str, names: list[str], date: str
) -> None:
    entry = feeds.Entry(
        "papers/x", title, "/papers/x", NOON, feeds._date(date, NOON), summary, tuple(names), tuple(names)
    )
    path = "/feeds/" + feeds.quote(path.encode("utf-8", "replace"))
    root = defusedxml.ElementTree.fromstring(feeds.atom(Settings(), path, title, "/", [entry], since=NOON))
    assert len(root.findall(f"{A}entry")) == 1


def test_an_entry_is_updated_when_a_verdict_changes_and_keeps_its_name(
    store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_paper(store, "hdpo", NOON)
    add_paper(store, "newer", NOON + 5)

    def publish(verdict: str, at: float) -> list[feeds.Entry]:
        rows = [{"id": "C1", "verdict": verdict, "statement": "S", "published": "1"}]
        found = {"current": {"verdicts": rows}}
        monkeypatch.setattr(verdicts, "published", lambda slug: found if slug == "hdpo" else None)
        news.record(store, at)
        return feeds.of_papers(store, feeds.recent(store))

    first, second = publish("inconclusive", NOON + 1), publish("reproduced", NOON + 9)
    assert [(entry.id, entry.updated) for entry in first] == [("papers/newer", NOON + 5), ("papers/hdpo", NOON + 1)]
    assert [(entry.id, entry.updated) for entry in second] == [("papers/hdpo", NOON + 9), ("papers/newer", NOON + 5)]
    with store.reading() as connection:
        paper = store.paper("hdpo")
        assert paper is not None
        entries = feeds.of_changes(paper, news.of(connection, "hdpo", 10))
    assert [entry.title for entry in entries] == ["C1: reproduced (it was: inconclusive)", "C1: inconclusive"]


@pytest.mark.parametrize(
    ("submitted", "published"),
    [("2024-02-29", "2024-02-29T00:00:00Z"), ("2024-05", "2024-05-01T00:00:00Z"), ("", "2026-11-28T10:00:00Z"),
     ("2024-13", "2026-11-28T10:00:00Z")],
)  # fmt: skip
def test_dates_are_those_of_the_papers(submitted: str, published: str) -> None:
    assert feeds._date(submitted, NOON) == published


@pytest.mark.parametrize(
    ("base", "authority"),
    [(BASE, "localhost"), ("http://[::1]:1", "localhost"), ("https://Papers.Example:8443/x", "papers.example")],
)
def test_names_are_under_the_host_that_the_settings_say(base: str, authority: str) -> None:
    assert feeds._authority(base) == authority


def test_an_empty_feed_is_as_old_as_what_it_is_of(client: TestClient, app: FastAPI) -> None:
    for path in ("/feeds/paper/alpine.atom", "/feeds/search.atom?q=qxzqxz"):
        assert "<updated>1970" not in client.get(path).text
