"""`livepapers digest`, as cron calls it."""

import time
from pathlib import Path

import pytest

from cli.conftest import Cli
from livepapers.web.serving import remember
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore
from web.post_office import add_paper, subscribe


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A store with a daily reader and a new paper."""
    path = str(tmp_path / "store.sqlite3")
    now = time.time()
    with PageStore(path) as store:
        subscribe(store, "reader@example.org", now - 60)
        add_paper(store, "new", now - 30)
    return path


def test_mails_are_files_where_no_server_is_named(cli: Cli, place: str, tmp_path: Path) -> None:
    soon = cli("digest", "--issue", "daily", "--store", place)
    assert "0 mails written" in soon.out
    assert "1 not due yet" in soon.out
    dry = cli("digest", "--issue", "daily", "--early", "--dry-run", "--store", place)
    assert dry.status == 0
    assert "1 mail would be sent" in dry.out
    assert "1 (r...@example.org)" in dry.out
    assert not (tmp_path / "outbox").exists()
    done = cli("digest", "--issue", "daily", "--early", "--store", place)
    assert done.status == 0
    assert f"1 mail written to the outbox {tmp_path / 'outbox'}, because the settings name no mail server" in done.out
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == 1
    assert "0 mails written" in cli("digest", "--issue", "daily", "--early", "--store", place).out
    assert "0 mails written" in cli("digest", "--issue", "weekly", "--early", "--store", place).out
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == 1


def test_links_lead_to_where_the_page_was_served(cli: Cli, place: str, tmp_path: Path) -> None:
    remember(tmp_path, Settings(port=9123))
    assert cli("digest", "--issue", "daily", "--early", "--store", place).status == 0
    [mail] = (tmp_path / "outbox").glob("*.eml")
    assert "http://127.0.0.1:9123/" in mail.read_text()
    assert ":8765" not in mail.read_text()


def test_programs_read_json(cli: Cli, place: str, tmp_path: Path) -> None:
    found = cli("digest", "--issue", "daily", "--early", "--store", place, "--json").json
    assert found["sent"] == ["1 (r...@example.org)"]
    assert found["to"] == str(tmp_path / "outbox")
    assert (found["failed"], found["unsure"], found["waiting"], found["stopped"]) == ([], [], 0, "")
    assert cli("digest", "--issue", "daily", "--store", place, "--json").json["not_due"] == 1


def test_a_server_that_is_away_is_told_to_cron(cli: Cli, place: str, tmp_path: Path) -> None:
    settings = tmp_path / "page.toml"
    settings.write_text('smtp_host = "127.0.0.1"\nsmtp_port = 1\nsmtp_security = "none"\n')
    done = cli("digest", "--issue", "daily", "--early", "--store", place, "--settings", str(settings))
    assert done.status == 1
    assert "1 wait for the next run" in done.out
    assert "stopped: mail server 127.0.0.1:1" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [((), "--issue"), (("--issue", "hourly"), "hourly"), (("--issue", "daily", "--most", "0"), "--most"),
     (("--issue", "daily", "--settings", "nope.toml"), "settings")],
)  # fmt: skip
def test_wrong_use_is_one_line(cli: Cli, arguments: tuple[str, ...], told: str) -> None:
    done = cli("digest", *arguments)
    assert done.status == 2
    assert told in done.err
    assert done.err.count("\n") == 1


def test_a_sender_that_is_none_is_one_line(cli: Cli, place: str, tmp_path: Path) -> None:
    settings = tmp_path / "page.toml"
    settings.write_text('sender = "a\\r\\nBcc: x@example.org"\n')
    done = cli("digest", "--issue", "daily", "--store", place, "--settings", str(settings))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "sender: got" in done.err
