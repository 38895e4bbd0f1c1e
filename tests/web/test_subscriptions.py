"""Subscribing: double opt-in, tokens, one click to end it, and what is kept of a reader."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.web import guard, mail, subscriptions, tables, verdicts
from livepapers.web.app import create_app
from livepapers.web.guard import Secret
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore
from web.conftest import BASE, SAME_ORIGIN
from web.post_office import DAY, NOON, add_paper, part, read, send, subscribe
from web.test_home import PAYLOADS, Shape

HEX = "0123456789abcdef"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """One page for all tests here; each has readers of its own."""
    folder = tmp_path_factory.mktemp("page")
    return create_app(Settings(store=str(folder / "store.sqlite3"), outbox=str(folder / "outbox")))


@pytest.fixture
def client(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setitem(guard.RATES, "subscribe", (1000.0, 1000.0))
    yield TestClient(app, base_url=BASE, headers=SAME_ORIGIN)
    for path in outbox(app).glob("*.eml"):
        path.unlink()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageStore]:
    monkeypatch.setattr(verdicts, "published", lambda slug: None)
    with PageStore(str(tmp_path / "store.sqlite3")) as made:
        yield made


def outbox(app: FastAPI) -> Path:
    return Path(app.state.settings.outbox)


def links(app: FastAPI, address: str) -> list[str]:
    """The paths of the links in the mails to an address, the oldest mail first."""
    found = []
    for path in sorted(outbox(app).glob("*.eml"), key=lambda path: path.stat().st_mtime_ns):
        message = read(path.read_bytes())
        if message["To"] == address:
            link = re.search(rf"{re.escape(BASE)}(/subscribe/\S+)", part(message, "plain"))
            assert link is not None
            assert f'href="{link[0]}"' in part(message, "html")
            found.append(link[1])
    return found


def begin(client: TestClient, app: FastAPI, address: str, **form: str) -> None:
    assert client.post("/subscribe", data={"address": address, **form}).status_code == 200
    assert client.post(links(app, address)[-1]).status_code == 200


def state_of(app: FastAPI, address: str) -> list[dict[str, object]]:
    return subscriptions.kept(app.state.store, address)


def end(app: FastAPI, address: str) -> str:
    """The path that ends an address's first subscription."""
    store, secret = app.state.store, app.state.secret
    with store.reading() as connection:
        s = tables.subscriptions
        row = connection.execute(sa.select(s).where(s.c.address == address).order_by(s.c.id)).first()
    return f"/subscribe/stop/{subscriptions.stop_token(secret, subscriptions.subscription_of(row))}"


# ---- addresses ----


@pytest.mark.parametrize(
    "text",
    [
        "a@example.org", " a@example.org\n", "a.b+c@sub.example.org", "A@EXAMPLE.org", "o'neil@example.org",
        "a@xn--bcher-kva.example", "a@localhost", "1@2.example",
    ],
)  # fmt: skip
def test_addresses_are_kept_in_one_form(text: str) -> None:
    assert subscriptions.checked_address(text) == text.strip().lower()


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "@", "a@", "@example.org", "a@b@example.org", "a b@example.org", "a@example .org", '"a b"@example.org',
        "a@example.org,b@example.org", "a@example.org;b@example.org", "a@example.org b@example.org",
        "<a@example.org>", "A <a@example.org>", "a(c)@example.org", ".a@example.org", "a.@example.org",
        "a..b@example.org", "a@-example.org", "a@example-.org", "a@example..org", "a@.org", "a@example",
        "a@[127.0.0.1]",
        "a@127.0.0.1", "ä@example.org", "a@exämple.org", "a@example.org\nBcc: b@example.org",
        "a@example.org\r\nBcc: b@example.org", "a\r@example.org", "a\n@example.org", "a\x0b@example.org",
        "a@example.org\x0b", "a@example.org\x85", "a@example.org\u2028", "a\x00@example.org", "a@example.org\x00",
        f"{'a' * 65}@example.org", f"a@{'b' * 64}.org", "a@" + "b." * 130 + "org", "\u202ea@example.org",
        "a@ｅxample.org", "a@example.org\\", "a@example.org/../b",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match="address: got") as error:
        subscriptions.checked_address(text)
    assert "\n" not in str(error.value)


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_passes_is_one_recipient_and_no_other_header(local: str, domain: str) -> None:
    try:
        address = subscriptions.checked_address(f"{local}@{domain}")
    except InputError:
        return
    message = mail.compose(Settings(), to=address, subject="s", template="confirm", now=NOON, link="https://x.example")
    again = read(message.as_bytes())
    assert [found.addr_spec for found in again["To"].addresses] == [address]
    assert "Bcc" not in again


@pytest.mark.parametrize("text", ["x" * 501, "a\x00b", "a\x1bb", "\u202eabc", "+ ?!"])
def test_a_search_is_one_short_line(text: str) -> None:
    with pytest.raises(InputError, match="search"):
        subscriptions.checked_query(text)
    assert subscriptions.checked_query(" a \n b ") == "a b"


# ---- double opt-in ----


def test_a_digest_begins_when_the_reader_presses_the_button(client: TestClient, app: FastAPI) -> None:
    form = {"address": "One@Example.org", "frequency": "weekly", "query": " fleet  routing "}
    answer = client.post("/subscribe", data=form)
    assert answer.status_code == 200
    assert "Look into your mail" in answer.text
    (link,) = links(app, "one@example.org")
    message = read(next(outbox(app).glob("*.eml")).read_bytes())
    assert "fleet" not in part(message, "plain") + part(message, "html")  # who filled the form in may be a stranger
    for _ in range(3):  # mail providers look at links
        seen = client.get(link)
        assert "Begin this digest?" in seen.text
        assert (seen.headers["cache-control"], seen.headers["x-robots-tag"]) == ("no-store", "noindex")
    assert [row["confirmed"] for row in state_of(app, "one@example.org")] == [False]
    assert "You are subscribed" in client.post(link).text
    (row,) = state_of(app, "one@example.org")
    assert (row["confirmed"], row["frequency"], row["search"]) == (True, "weekly", "fleet routing")
    for answer in (client.post(link), client.get(link)):  # it was used
        assert answer.status_code == 200
        assert "You are subscribed already" in answer.text
        assert '<form method="post"><button>' not in answer.text
    guess = link[:-1] + HEX[-1 - HEX.index(link[-1])]
    assert client.post(guess).status_code == client.get(guess).status_code == 404


def test_the_answer_does_not_say_who_is_known(client: TestClient, app: FastAPI) -> None:
    begin(client, app, "known@example.org")
    known, unknown = (
        [client.post(path, data={"address": f"{who}@example.org"}) for path in ("/subscribe", "/subscribe/mine")]
        for who in ("known", "unknown")
    )
    for one, other in zip(known, unknown, strict=True):
        assert (one.status_code, one.text) == (other.status_code, other.text)
        assert one.headers.keys() == other.headers.keys()


def test_asking_again_changes_nothing_until_it_is_confirmed(client: TestClient, app: FastAPI) -> None:
    begin(client, app, "again@example.org")
    before = state_of(app, "again@example.org")
    client.post("/subscribe", data={"address": "again@example.org", "frequency": "weekly"})
    assert state_of(app, "again@example.org") == before
    first, second = links(app, "again@example.org")
    assert client.post(first).status_code == 404
    assert client.post(second).status_code == 200
    (row,) = state_of(app, "again@example.org")
    assert (row["frequency"], row["covered_until"]) == ("weekly", before[0]["covered_until"])  # no news are lost


def test_tokens_have_a_time_a_purpose_and_all_of_their_letters(store: PageStore) -> None:
    secret = Secret(store.home)
    token = subscriptions.ask(store, secret, "a@example.org", "daily", "", NOON)
    assert len(token) * 4 >= 128
    late = NOON + subscriptions.CONFIRM + 1
    for wrong, at in ((token[:-1], NOON), (token[:-1] + HEX[-1 - HEX.index(token[-1])], NOON), (token, late),
                      (token.upper() + "x", NOON), ("", NOON), (token + "\n", NOON), ("0" * 64, NOON)):  # fmt: skip
        assert subscriptions.confirm(store, secret, wrong, at) is None
    assert subscriptions.stop(store, secret, token) is False
    reader = subscriptions.asked(store, secret, token, NOON)
    assert reader is not None
    stop = subscriptions.stop_token(secret, reader)
    assert subscriptions.confirm(store, secret, stop, NOON) is None
    assert subscriptions.mine(store, secret, stop, NOON) is None
    assert subscriptions.confirm(store, secret, token, late - 1) == reader
    assert subscriptions.confirm(store, secret, token, NOON) is None  # once
    assert subscriptions.confirm(store, secret, "", NOON) is None
    assert subscriptions.already(store, secret, token, late - 1)
    for wrong, at in ((token, late), (stop, NOON), ("", NOON), ("0" * 64, NOON)):
        assert subscriptions.already(store, secret, wrong, at) is None
    assert subscriptions.stop(store, secret, stop)
    assert subscriptions.already(store, secret, token, NOON) is None


def test_another_secret_makes_other_tokens(store: PageStore, tmp_path: Path) -> None:
    reader, other = subscribe(store, "a@example.org", NOON), Secret(tmp_path / "other")
    assert not subscriptions.stop(store, Secret(store.home), subscriptions.stop_token(other, reader))
    mine = subscriptions.mine_token(store, other, "a@example.org", NOON)
    assert mine is not None
    assert subscriptions.mine(store, Secret(store.home), mine, NOON) is None


def test_no_token_is_in_the_store(store: PageStore) -> None:
    secret = Secret(store.home)
    reader = subscribe(store, "a@example.org", NOON)
    tokens = [subscriptions.ask(store, secret, "b@example.org", "daily", "", NOON)]
    tokens += [subscriptions.stop_token(secret, reader)]
    tokens += [subscriptions.mine_token(store, secret, "a@example.org", NOON) or "none"]
    with sqlite3.connect(store.home / "store.sqlite3") as connection:
        dump = "\n".join(connection.iterdump()).lower()
    assert "a@example.org" in dump
    assert not [token for token in tokens if token[-64:] in dump or bytes.fromhex(token[-64:]).hex() in dump]


def test_who_does_not_confirm_is_forgotten(store: PageStore) -> None:
    secret = Secret(store.home)
    subscriptions.ask(store, secret, "a@example.org", "daily", "", NOON)
    subscribe(store, "b@example.org", NOON)
    subscriptions.ask(store, secret, "b@example.org", "daily", "fleets", NOON)
    assert subscriptions.tidy(store, NOON + subscriptions.CONFIRM - 1) == set()
    assert subscriptions.kept(store, "a@example.org")
    assert subscriptions.tidy(store, NOON + subscriptions.CONFIRM + 1) == {"a@example.org"}
    assert not subscriptions.kept(store, "a@example.org")
    assert subscriptions.kept(store, "b@example.org")


def test_an_address_gets_few_mails_that_it_did_not_ask_for(client: TestClient, app: FastAPI) -> None:
    answers = {client.post("/subscribe", data={"address": "Victim@example.org"}).text for _ in range(6)}
    assert len(answers) == 1
    assert len(links(app, "victim@example.org")) == int(subscriptions.MAILS[0])
    assert client.post(links(app, "victim@example.org")[-1]).status_code == 200  # the last link works


def test_a_flood_is_told_to_wait(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(guard.RATES, "subscribe", (2.0, 0.0001))
    codes = [
        client.post(path, data={"address": "x@example.org"}).status_code
        for path in ["/subscribe", "/subscribe/mine"] * 3
    ]
    assert 429 in codes
    assert codes[-1] == 429


def test_typos_are_no_flood_and_a_flood_keeps_what_was_typed(
    client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(guard.RATES, "subscribe", (1.0, 0.0001))
    with app.state.store.writing() as connection:
        connection.execute(sa.delete(tables.buckets))  # of the tests before
    codes = [client.post("/subscribe", data={"address": to}).status_code for to in ("a@", "b@", "ann@example.org")]
    assert codes == [422, 422, 200]
    answer = client.post("/subscribe", data={"address": "ann@example.org", "query": "fleets"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "10000"
    assert 'value="fleets"' in answer.text


def test_a_wrong_form_comes_back_filled_in(client: TestClient, app: FastAPI) -> None:
    form = {"address": 'no"><script>', "query": "fleets", "frequency": "weekly"}
    answer = client.post("/subscribe", data=form)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="fleets"' in answer.text
    assert "<script>" not in answer.text
    assert client.post("/subscribe", data={"address": "a@example.org", "frequency": "hourly"}).status_code == 422
    assert client.post("/subscribe", data={"address": "a@example.org", "query": "x" * 501}).status_code == 422
    answer = client.post("/subscribe/mine", data={"address": "<not>anaddress"})
    assert answer.status_code == 422
    assert 'role="alert" id="mine-wrong">address: got &lt;not&gt;anaddress, expected' in answer.text
    assert 'name="address" value="&lt;not&gt;anaddress"' in answer.text.split('action="/subscribe/mine"')[1]
    assert 'name="address" value=""' in answer.text.split('action="/subscribe/mine"')[0]  # the other form is untouched
    again = client.get("/subscribe/mine", follow_redirects=False)
    assert (again.status_code, again.headers["location"]) == (303, "/subscribe#kept")
    assert client.post("/subscribe").status_code == 422
    assert list(outbox(app).glob("*.eml")) == []


def test_what_readers_wrote_stays_text_on_every_page(client: TestClient, app: FastAPI) -> None:
    plain = Shape(client.get("/subscribe?q=x").text).found
    wrong = Shape(client.post("/subscribe", data={"address": "x", "query": "x"}).text).found
    for payload in PAYLOADS:
        assert Shape(client.get("/subscribe", params={"q": payload}).text).found == plain
        assert Shape(client.post("/subscribe", data={"address": payload, "query": payload}).text).found == wrong
    secret, store = app.state.secret, app.state.store
    shapes = set()
    for number, payload in enumerate(["fine", *(p for p in PAYLOADS if p.isprintable())]):
        token = subscriptions.ask(store, secret, f"x{number}@example.org", "daily", payload, time.time())
        shapes.add(frozenset(Shape(client.get(f"/subscribe/confirm/{token}").text).found))
    assert len(shapes) == 1


def test_a_mail_server_that_is_away_is_in_the_log_without_the_address(
    client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = Settings(smtp_host="127.0.0.1", smtp_port=1, smtp_security="none")
    monkeypatch.setitem(app.state._state, "settings", away)
    answer = client.post("/subscribe", data={"address": "private@example.org"})
    assert answer.status_code == 200
    assert "mail server 127.0.0.1:1" in caplog.text
    assert "private" not in caplog.text
    assert "outbox" not in answer.text


# ---- ending it ----


def test_a_mail_provider_ends_it_with_one_click(client: TestClient, app: FastAPI) -> None:
    begin(client, app, "click@example.org")
    path = end(app, "click@example.org")
    for _ in range(2):  # link scanners
        assert "End this digest?" in client.get(path).text
    assert state_of(app, "click@example.org")
    provider = TestClient(app, base_url=BASE)  # sends neither Origin nor Fetch Metadata, and no cookie
    form = {"List-Unsubscribe": "One-Click"}
    assert provider.post(path[:-1] + HEX[-1 - HEX.index(path[-1])], data=form).status_code == 404
    assert provider.post(path, data=form).status_code == 200
    assert state_of(app, "click@example.org") == []
    assert links(app, "click@example.org") == []
    assert provider.post(path, data=form).status_code == provider.get(path).status_code == 404


def test_it_may_come_as_multipart_too(client: TestClient, app: FastAPI) -> None:
    begin(client, app, "multi@example.org")
    answer = TestClient(app, base_url=BASE).post(
        end(app, "multi@example.org"), files={"List-Unsubscribe": (None, "One-Click")}
    )
    assert answer.status_code == 200
    assert state_of(app, "multi@example.org") == []


@pytest.mark.parametrize(
    "path",
    [
        "/subscribe", "/subscribe/mine", "/subscribe/stop/", "/subscribe/stop/" + "a" * 63,
        "/subscribe/stop/" + "a" * 65,
        "/subscribe/stop/" + "A" * 64, "/subscribe/stop/" + "a" * 64 + "/", "/subscribe/stop/" + "a" * 64 + "/x",
        "/x/subscribe/stop/" + "a" * 64, "/subscribe/confirm/" + "a" * 64, "/subscribe/stop/" + "a" * 64 + "%0a",
        "/subscribe/votes/delete", f"/subscribe/mine/1-9999999999-{'a' * 64}/delete",
    ],
)  # fmt: skip
def test_nothing_else_is_open_to_others(app: FastAPI, path: str) -> None:
    assert TestClient(app, base_url=BASE).post(path).status_code == 403
    open_path = f"/subscribe/stop/{'a' * 64}"
    stranger = TestClient(app, base_url=BASE)
    assert [stranger.request(method, open_path).status_code for method in ("PUT", "DELETE", "PATCH")] == [403] * 3
    assert stranger.post(open_path, headers={"Host": "evil.example"}).status_code == 400
    assert stranger.post(open_path, content=b"x" * 70_000).status_code == 413


def test_an_old_link_does_not_end_a_new_subscription(store: PageStore) -> None:
    secret = Secret(store.home)
    old = subscriptions.stop_token(secret, subscribe(store, "a@example.org", NOON))
    assert subscriptions.stop(store, secret, old)
    subscribe(store, "a@example.org", NOON + 1)
    assert not subscriptions.stop(store, secret, old)


# ---- what is kept ----


def test_readers_see_download_and_delete_what_is_kept_of_them(client: TestClient, app: FastAPI) -> None:
    begin(client, app, "mine@example.org", query="fleets")
    begin(client, app, "mine@example.org")
    begin(client, app, "other@example.org")
    add_paper(app.state.store, "mine-new", time.time() + 1)
    send(app.state.store, app.state.settings, time.time() + 2)
    client.post("/subscribe/mine", data={"address": "MINE@example.org"})
    link = next(link for link in links(app, "mine@example.org") if "/mine/" in link)
    page = client.get(link)
    assert "fleets" in page.text
    assert page.headers["cache-control"] == "no-store"
    exported = client.get(f"{link}/livepapers.json")
    assert exported.headers["content-disposition"].startswith("attachment")
    rows = json.loads(exported.text)["subscriptions"]
    assert {row["search"] for row in rows} == {"fleets", ""}
    assert {row["address"] for row in rows} == {"mine@example.org"}
    assert [mail_["state"] for row in rows for mail_ in row["mails"]] in (["sent"], ["sent", "sent"])
    assert client.get(f"{link}/delete").status_code == 405
    other_mail = outbox(app) / "kept-by-hand.eml"
    other_mail.write_text("To: mine@example.org\n\n")
    assert "Nothing is kept" in client.post(f"{link}/delete").text
    assert state_of(app, "mine@example.org") == []
    held = {path.name for path in outbox(app).glob("*.eml") if "mine@example.org" in path.read_text()}
    assert held == {other_mail.name}, "what we wrote is gone, and only that"
    assert links(app, "other@example.org")
    with app.state.store.reading() as connection:
        keys = connection.execute(sa.select(tables.buckets.c.key)).scalars().all()
    assert subscriptions._mail_bucket(app.state.secret, "mine@example.org") not in keys
    assert subscriptions._mail_bucket(app.state.secret, "other@example.org") in keys
    assert state_of(app, "other@example.org") != []
    assert client.get(link).status_code == client.post(f"{link}/delete").status_code == 404


def test_nobody_gets_a_mail_about_an_address_that_is_not_known(client: TestClient, app: FastAPI) -> None:
    client.post("/subscribe/mine", data={"address": "nobody@example.org"})
    assert links(app, "nobody@example.org") == []


def test_the_link_to_what_is_kept_works_for_a_day_and_one_address(store: PageStore) -> None:
    secret = Secret(store.home)
    subscribe(store, "a@example.org", NOON)
    subscribe(store, "b@example.org", NOON)
    token = subscriptions.mine_token(store, secret, "a@example.org", NOON)
    assert token is not None
    number, until, mac = token.split("-")
    assert subscriptions.mine(store, secret, token, NOON + DAY) == "a@example.org"
    for wrong, at in (
        (token, NOON + DAY + 1), (f"2-{until}-{mac}", NOON), (f"{number}-{int(until) + 9}-{mac}", NOON),
        (f"{number}-{until}-{'0' * 64}", NOON), (f"9999999999-{until}-{mac}", NOON), (token[:-1], NOON), ("", NOON),
    ):  # fmt: skip
        assert subscriptions.mine(store, secret, wrong, at) is None


def test_the_votes_of_a_browser_can_be_downloaded_and_taken_back(client: TestClient, app: FastAPI) -> None:
    store = app.state.store
    before = store.paper("hdpo").votes
    assert client.get("/subscribe/votes.json").json() == {"votes": []}
    client.post("/papers/hdpo/vote", data={"up": "true"})
    (vote,) = client.get("/subscribe/votes.json").json()["votes"]
    assert vote["paper"] == "hdpo"
    assert store.paper("hdpo").votes == before + 1
    answer = client.post("/subscribe/votes/delete", follow_redirects=False)
    assert answer.headers["location"] == "/subscribe#kept"
    assert 'reader=""' in answer.headers["set-cookie"]
    assert store.paper("hdpo").votes == before
    assert client.get("/subscribe/votes.json").json() == {"votes": []}


def test_looking_changes_nothing(client: TestClient, app: FastAPI) -> None:
    begin(client, app, "look@example.org")
    client.post("/subscribe/mine", data={"address": "look@example.org"})
    mine = links(app, "look@example.org")[-1]
    with sqlite3.connect(app.state.store.home / "store.sqlite3") as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
        own = (links(app, "look@example.org")[0], end(app, "look@example.org"), mine, f"{mine}/livepapers.json")
        for path in ("/subscribe", *own, "/subscribe/votes.json", "/feeds/home.atom", "/feeds/paper/hdpo.atom"):
            assert client.get(path).status_code in {200, 404}
        assert connection.execute("PRAGMA data_version").fetchone() == before
