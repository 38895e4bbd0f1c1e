"""Who may ask what: hosts, origins, sizes, rates, cookies, headers."""

import contextlib
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.errors import InputError, StoreError
from livepapers.lab import database
from livepapers.lab.store import Store
from livepapers.web import applying, guard
from livepapers.web.app import create_app
from livepapers.web.rendering import safe_link, static
from livepapers.web.serving import listen, server_config, warning
from livepapers.web.settings import Settings, read

HERE = "http://127.0.0.1:8765"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:8765", "", "a@127.0.0.1", "127.0.0.1/x", "127.0.0.1:no"],
)
def test_a_foreign_host_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8765", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8765", "localhost."]
)
def test_this_machine_is_answered_under_each_of_its_names(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_a_forwarded_host_changes_nothing(client: TestClient) -> None:
    answer = client.get("/", headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"})
    assert answer.status_code == 200
    assert "evil.example" not in answer.text


def test_the_address_in_the_settings_is_answered_and_no_other(tmp_path: Path) -> None:
    app = create_app(Settings(store=str(tmp_path / "s.sqlite3"), url="https://papers.example/"))
    client = TestClient(app, base_url="https://papers.example")
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"Host": "other.example"}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": HERE}, {}, {"Origin": "null"}, {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:8765.evil.example"}, {"Content-Type": "text/plain"},
    ],
)  # fmt: skip
def test_a_change_from_elsewhere_is_refused(app: FastAPI, headers: dict[str, str]) -> None:
    with TestClient(app, base_url=HERE) as client:
        assert client.post("/papers/hdpo/vote", data={"up": "true"}, headers=headers).status_code == 403
        assert client.app.state.store.paper("hdpo").votes == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": HERE}])
def test_a_change_from_the_page_itself_is_made(app: FastAPI, headers: dict[str, str]) -> None:
    with TestClient(app, base_url=HERE, follow_redirects=False) as client:
        assert client.post("/papers/hdpo/vote", data={"up": "true"}, headers=headers).status_code == 303


def test_oversized_requests_are_refused(client: TestClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/papers/hdpo/vote", content=b"x" * 70_000, headers=form).status_code == 413
    pieces = (b"up=true&x=" if i == 0 else b"y" * 10_000 for i in range(10))  # chunked: no length is said beforehand
    assert client.post("/papers/hdpo/vote", content=pieces, headers=form).status_code == 413
    assert client.get("/?field=" + "x" * 9000).status_code == 414
    assert client.post("/papers/hdpo/vote", content=b"", headers={"Content-Length": "-1"}).status_code == 413


@pytest.mark.parametrize("path", ["/search", "/api/search", "/feeds/search.atom", "/subscribe"])
@pytest.mark.parametrize("letter", ["庫", "𠮷"])
def test_a_search_has_500_characters_of_any_alphabet(client: TestClient, path: str, letter: str) -> None:
    assert client.get(path, params={"q": letter * 500}).status_code == 200


def test_every_answer_carries_the_headers(client: TestClient) -> None:
    for path in ("/", "/nope", "/static/page.css", "/figures.css"):
        answer = client.get(path)
        assert guard.HEADERS.items() <= {k.title().replace("Csp", "CSP"): v for k, v in answer.headers.items()}.items()
    assert client.get("/", headers={"Host": "evil.example"}).headers["x-content-type-options"] == "nosniff"


def test_no_page_has_inline_script_or_style_or_an_outside_address(client: TestClient) -> None:
    text = client.get("/").text
    assert "<style" not in text
    assert " style=" not in text
    assert "<script>" not in text
    for mark in ('src="', 'href="'):
        targets = [piece.split('"')[0] for piece in text.split(mark)[1:]]
        assert targets
        assert all(target.startswith(("/", "#")) for target in targets)


def test_a_forged_cookie_is_nobody(client: TestClient) -> None:
    client.post("/papers/hdpo/vote", data={"up": "true"})
    cookie = client.cookies["reader"]
    assert 'aria-pressed="true"' in client.get("/").text
    client.cookies.clear()
    client.cookies.set("reader", cookie[:-2] + ("AA" if cookie[-2:] != "AA" else "BB"))
    assert 'aria-pressed="true"' not in client.get("/").text


def test_the_secret_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    first = guard.Secret(tmp_path)
    mode = (tmp_path / "page.secret").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert guard.Secret(tmp_path).sign("x") == first.sign("x")
    assert guard.Secret(tmp_path / "other").sign("x") != first.sign("x")
    assert first.digest("confirm", "token") != first.digest("unsubscribe", "token")
    (tmp_path / "page.secret").write_text("short")
    with pytest.raises(InputError, match=r"secret.*64 hexadecimal"):
        guard.Secret(tmp_path)


@pytest.fixture
def public(tmp_path: Path) -> Iterator[TestClient]:
    """A page that others reach, with a reader of a network of its own."""
    app = create_app(Settings(store=str(tmp_path / "public.sqlite3"), url="https://papers.example"))
    headers = {"Sec-Fetch-Site": "same-origin"}
    with TestClient(app, base_url="https://papers.example", headers=headers, follow_redirects=False) as made:
        yield made


def first_votes(client: TestClient, number: int) -> list[int]:
    codes = []
    for _ in range(number):
        client.cookies.clear()
        codes.append(client.post("/papers/hdpo/vote", data={"up": "true"}).status_code)
    return codes


def test_a_network_brings_so_many_new_readers_a_day_and_known_ones_still_vote(
    public: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(guard.RATES, "new reader", (5.0, 5 / 86_400))
    assert first_votes(public, 7) == [303] * 5 + [429] * 2
    assert ">5</span>" in public.get("/papers/hdpo").text
    public.cookies.clear()
    answer = public.post("/api/papers/hdpo/vote", json={"up": True})
    assert answer.status_code == 429
    assert "from your network, perhaps by others in it; try again in" in answer.json()["error"]


def test_an_office_behind_one_address_votes(public: TestClient) -> None:
    assert first_votes(public, 50) == [303] * 50


def test_where_only_this_machine_reads_votes_have_no_limit(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(guard.RATES, "new reader", (1.0, 0.0))
    monkeypatch.setitem(guard.RATES, "vote", (1.0, 0.0))
    assert first_votes(client, 3) == [200] * 3


def test_a_reader_of_the_first_hour_votes_on(public: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(guard.RATES, "new reader", (1.0, 0.0))
    for slug in ("hdpo", "fl-gfn"):
        assert public.post(f"/papers/{slug}/vote", data={"up": "true"}).status_code == 303


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False), ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:1::1", False),
    ],
)  # fmt: skip
def test_an_ipv6_subscriber_is_one_network(one: str, other: str, same: bool) -> None:
    found = [guard.network(guard.Request({"type": "http", "client": (host, 1)})) for host in (one, other)]
    assert (found[0] == found[1]) is same


@pytest.mark.parametrize("path", ["/", "/papers/hdpo", "/search?q=x"])
def test_programs_may_ask_for_headers_alone(client: TestClient, path: str) -> None:
    assert client.head(path).status_code == 200


def test_votes_in_a_flood_are_told_to_wait(public: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(guard.RATES, "vote", (3.0, 0.001))
    codes = [public.post("/papers/hdpo/vote", data={"up": "true"}).status_code for _ in range(5)]
    assert codes == [303, 303, 303, 429, 429]
    answer = public.post("/papers/hdpo/vote", data={"up": "true"})
    assert answer.headers["retry-after"] == "1000"
    assert "try again in 16 min" in answer.text
    assert public.get("/").status_code == 200


def test_a_page_is_public_by_its_address_or_by_the_server_in_front_of_it() -> None:
    assert not Settings().public
    assert not Settings(url="http://localhost:8765").public
    assert Settings(host="0.0.0.0").public
    assert Settings(url="https://papers.example.org").public


def test_a_token_that_is_set_says_that_the_page_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEPAPERS_TOKEN", "s3cret")
    assert Settings().public
    assert "`url`" in warning(Settings())
    assert "forwarded" in warning(Settings(url="https://papers.example.org"))
    assert warning(Settings(url="https://papers.example.org", forwarded=True)) == ""


def test_a_browser_under_a_name_that_the_settings_do_not_know_changes_nothing(client: TestClient) -> None:
    origin = {"Origin": "https://papers.example:8443"}
    answer = client.post("/papers/hdpo/vote", data={"up": "true"}, headers=origin)
    assert answer.status_code == 403
    assert "`url`" in answer.text


def test_a_server_in_front_may_put_its_own_name_into_host(tmp_path: Path) -> None:
    app = create_app(Settings(store=str(tmp_path / "s.sqlite3"), url="https://papers.example"))
    client = TestClient(app, base_url=HERE, follow_redirects=False)
    headers = {"Origin": "https://papers.example", "Referer": "https://papers.example/?sort=newest"}
    answer = client.post("/papers/hdpo/vote", data={"up": "true"}, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?sort=newest#hdpo")


@pytest.mark.parametrize(
    ("forwarded", "chain", "taken"),
    [(False, "9.9.9.{}", 20), (True, "9.9.9.{}, 8.8.8.8", 20), (True, "9.9.9.{}", 25)],
)
def test_readers_do_not_choose_their_network_unless_the_server_in_front_is_said_to_set_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forwarded: bool, chain: str, taken: int
) -> None:
    """What the server in front appends is believed, what stood before it is not."""
    monkeypatch.setitem(guard.RATES, "new reader", (20.0, 20 / 86_400))
    settings = Settings(store=str(tmp_path / "s.sqlite3"), url="https://papers.example", forwarded=forwarded)
    config = server_config(create_app(settings), settings)
    config.load()
    chained: Any = config.loaded_app
    client = TestClient(chained, base_url="https://papers.example", client=("127.0.0.1", 5000))
    codes = []
    for number in range(25):
        client.cookies.clear()
        headers = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-For": chain.format(number)}
        answer = client.post("/papers/hdpo/vote", data={"up": "true"}, headers=headers, follow_redirects=False)
        codes.append(answer.status_code)
    assert codes == [303] * taken + [429] * (25 - taken)


def test_refusals_are_pages_for_browsers_and_json_for_programs(client: TestClient) -> None:
    for path, size in (("/papers/hdpo/vote", 70_000), ("/papers/hdpo/apply", 2_500_000)):
        answer = client.post(path, content=b"x" * size)
        assert answer.status_code == 413
        assert "<h1>That did not work</h1>" in answer.text
        assert f"at most {'64 kB' if size == 70_000 else '2 MB'} together" in answer.text
    answer = client.post("/api/papers/hdpo/vote", content=b"x" * 70_000)
    assert answer.json() == {"error": "files and values have at most 64 kB together"}
    assert client.post("/papers/hdpo/vote", headers={"Sec-Fetch-Site": "none"}).text.startswith("<!doctype html>")


def test_pages_are_one_readers_and_our_files_are_kept(client: TestClient) -> None:
    home = client.get("/")
    assert home.headers["cache-control"] == "private, no-cache"
    assert "Cookie" in home.headers["vary"]
    path = static("page.css")
    assert "immutable" in client.get(path).headers["cache-control"]
    assert "immutable" not in client.get("/static/page.css?v=older").headers.get("cache-control", "")


def test_pages_are_compressed_where_the_browser_can(client: TestClient) -> None:
    assert client.get("/").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/", headers={"Accept-Encoding": "identity"}).headers


def test_what_browsers_and_crawlers_ask_for_by_themselves_is_there(client: TestClient) -> None:
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"
    assert "Disallow: /applied/" in client.get("/robots.txt").text


def test_what_only_the_server_can_mend_is_no_fault_of_the_reader_and_names_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY", 0.1)
    app = create_app(Settings(store=str(tmp_path / "s.sqlite3")))
    client = TestClient(app, base_url=HERE, headers={"Sec-Fetch-Site": "same-origin"})
    with contextlib.closing(sqlite3.connect(tmp_path / "s.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answers = [
            client.post("/papers/hdpo/vote", data={"up": "true"}),
            client.post("/api/papers/hdpo/vote", json={"up": True}),
            client.post("/subscribe", data={"address": "a@example.org"}),
        ]
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "cannot use its store at the moment" in answer.text
        assert str(tmp_path) not in answer.text
    assert "503" in client.get("/api/openapi.json").json()["paths"]["/api/papers"]["get"]["responses"]
    assert "s.sqlite3, expected a free store" in caplog.text  # for whoever serves the page


def test_a_store_that_is_busy_does_not_hide_a_run(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise StoreError.of("store", "/secret/place", expected="a free store")

    monkeypatch.setattr(Store, "run", busy)
    assert client.get("/runs/hdpo-20260101-abcd").status_code == 503


def test_a_full_disk_keeps_what_was_typed(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/secret/place")

    monkeypatch.setattr(applying, "begin", full)
    answer = client.post("/papers/fl-gfn/apply", data={"size": "7"}, files={"items": ("x.csv", b"x", "text/csv")})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert 'name="size" step="1" value="7"' in answer.text
    assert "/secret" not in answer.text


def test_a_public_page_asks_for_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(Settings(store=str(tmp_path / "s.sqlite3"), host="0.0.0.0", url="http://papers.example"))

    @app.get("/guarded")
    def guarded(request: guard.Request) -> str:
        guard.require_token(request)
        return "done"

    client = TestClient(app, base_url="http://papers.example")
    assert client.get("/guarded", headers={"Authorization": "Bearer "}).status_code == 403  # no token is set: nobody
    monkeypatch.setenv("LIVEPAPERS_TOKEN", "s3cret")
    assert client.get("/guarded").status_code == 403
    assert client.get("/guarded", headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert client.get("/guarded", headers={"Authorization": "Bearer s3cret"}).status_code == 200


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)",
        "data:text/html,x", "vbscript:x", "//evil.example", "http:", "https://", "file:///etc/passwd", "https://[",
        "http://a\nb", "",
    ],
)  # fmt: skip
def test_only_web_addresses_become_links(link: str) -> None:
    assert safe_link(link) == ""


@given(st.text(max_size=40))
def test_whatever_is_no_web_address_is_no_link(text: str) -> None:
    assert safe_link(text) == "" or safe_link(text).lower().startswith(("http://", "https://"))


@pytest.mark.parametrize(
    "referer",
    ["//evil.example", "/\\evil.example", "https://evil.example/hdpo", "evil", "", "{ours}//evil.example",
     "{ours}/\\evil.example", "{ours}.evil.example/", "{ours}@evil.example/", "http://[evil", "javascript:alert(1)"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_a_vote(client: TestClient, referer: str) -> None:
    headers = {"Referer": referer.format(ours=str(client.base_url).rstrip("/"))}
    answer = client.post("/papers/hdpo/vote", data={"up": "true"}, headers=headers, follow_redirects=False)
    assert answer.headers["location"] == "/#hdpo"


def test_settings_come_from_a_file_and_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "page.toml"
    path.write_text('host = "::1"\nport = 9000\n')
    found = read(path, {"port": 9001, "host": None})
    assert (found.host, found.port, found.base, found.public) == ("::1", 9001, "http://[::1]:9001", False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port = 70000", "port"), ("nonsense = 1", "nonsense"), ("= broken", "a TOML file"), ('url = "ftp://x"', "url"),
        ('url = "https://"', "url"), ('url = "http://x/papers"', "url"), ('url = "http://a@x"', "url"),
        ('smtp_host = "mail.example"\nsmtp_security = "none"', "smtp_security"), ('port = "many"', "port"),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "page.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read(path, {})
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_settings_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="settings"):
        read(tmp_path / "nope.toml", {})


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_page_that_listens_everywhere_is_told_its_address(host: str) -> None:
    with pytest.raises(InputError, match=r"url: got nothing, expected the address that readers use"):
        listen(Settings(host=host, port=0))
    opened, settings = listen(Settings(host="0.0.0.0", port=0, url="http://papers.example"))
    opened.close()
    assert settings.base == "http://papers.example"


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_not_this_machine_is_named_and_not_the_port(host: str) -> None:
    with pytest.raises(InputError, match=f"host: got {host}, expected a name or an address of this machine"):
        listen(Settings(host=host, port=0))


def test_a_port_that_is_taken_is_named() -> None:
    taken, settings = listen(Settings(port=0))
    with taken, pytest.raises(InputError, match=rf"port: got 127\.0\.0\.1:{settings.port}, expected a free port"):
        listen(settings)


def test_a_place_that_cannot_be_written_is_one_line() -> None:
    for place in ("/dev/null/store.sqlite3", "/proc/nope/store.sqlite3"):
        with pytest.raises(InputError, match="expected a place that can be written"):
            create_app(Settings(store=place))
    with pytest.raises(InputError, match="expected a place that can be written"):
        guard.Secret(Path("/dev/null/x"))
