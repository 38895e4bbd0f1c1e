"""The digest: who gets what and when, how mail leaves, and that nobody gets an issue twice whatever dies."""

import datetime as dt
import itertools
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from aiosmtpd.smtp import AuthResult, LoginPassword
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.papers import catalogue
from livepapers.web import digest, mail, news, subscriptions, tables, verdicts
from livepapers.web.guard import Secret
from livepapers.web.importing import entering
from livepapers.web.importing.entry import Batch
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore
from web import post_office
from web.post_office import DAY, NOON, Inbox, add_paper, part, read, send, serving, subscribe
from web.test_home import PAYLOADS, Shape

GAPS = {  # where the process dies: how many mails of that moment arrived, and whether that one is unsure
    "before the claim": (0, False),
    "while the claim is committed": (0, False),
    "between claim and send": (0, True),
    "while the server answers": (1, True),
    "between send and settle": (1, True),
    "while the settling is committed": (1, True),
    "after the settling": (1, False),
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageStore]:
    """A store in which nothing was published yet."""
    monkeypatch.setattr(verdicts, "published", lambda slug: None)
    with PageStore(str(tmp_path / "store.sqlite3")) as made:
        yield made


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def settings(inbox: Inbox) -> Iterator[Settings]:
    """With a real mail server on loopback."""
    with serving(inbox) as port:
        yield Settings(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", url="https://papers.example")


def publish(monkeypatch: pytest.MonkeyPatch, **found: dict[str, str]) -> None:
    """Make these the published verdicts: slug -> claim -> verdict."""

    def published(slug: str) -> dict[str, object] | None:
        rows = [
            {"id": claim, "verdict": verdict, "statement": f"Statement of {claim}.", "published": "1.0"}
            for claim, verdict in found.get(slug.replace("-", "_"), {}).items()
        ]
        return {"current": {"verdicts": rows}} if rows else None

    monkeypatch.setattr(verdicts, "published", published)


def files(folder: Path) -> list[str]:
    """Whom the mails in an outbox are to."""
    return sorted(read(path.read_bytes())["To"] for path in folder.glob("*.eml"))


# ---- who gets what, and when ----


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_over_thirty_days_everybody_gets_what_was_asked_for(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "published", lambda slug: None)
    settings = Settings(outbox=str(tmp_path / "outbox"))
    got: list[tuple[str, int]] = []
    with PageStore(place) as store:
        secret = Secret(store.home)
        subscribe(store, "daily@example.org", NOON)
        subscribe(store, "weekly@example.org", NOON, frequency="weekly")
        gone = subscribe(store, "gone@example.org", NOON)
        subscriptions.ask(store, secret, "never@example.org", "daily", "", NOON)  # nobody confirms
        assert subscriptions.stop(store, secret, subscriptions.stop_token(secret, gone))
        quiet = {3, 4, *range(10, 23)}  # days without news; from a Tuesday to the Sunday after the next one
        for day in range(1, 31):
            if day not in quiet:
                add_paper(store, f"paper-{day}", NOON + (day - 0.4) * DAY)
            for frequency in subscriptions.FREQUENCIES:
                for hour in (0, 9):  # cron comes several times a day
                    send(store, settings, NOON + day * DAY + hour * 3600, frequency, early=False)
            for path in Path(settings.outbox).glob("*.eml"):
                got.append((read(path.read_bytes())["To"], day))
                path.unlink()
    daily = [day for address, day in got if address == "daily@example.org"]
    assert daily == [day for day in range(1, 31) if day not in quiet]
    weekly = [day for address, day in got if address == "weekly@example.org"]
    assert weekly == [7, 14, 23, 30]  # after a week in which nothing came, with the first news
    assert {address for address, _ in got} == {"daily@example.org", "weekly@example.org"}


@pytest.mark.parametrize(("frequency", "period"), [("daily", DAY), ("weekly", 7 * DAY)])
def test_a_reader_is_due_a_period_after_the_confirmation_and_after_each_issue(
    store: PageStore, settings: Settings, inbox: Inbox, frequency: subscriptions.Frequency, period: float
) -> None:
    subscribe(store, "a@example.org", NOON, frequency=frequency)
    sent = []
    for hour in range(round(2 * period / 3600) + 2):  # cron comes every hour, and there are always news
        add_paper(store, f"paper-{hour}", NOON + hour * 3600 + 1)
        report = send(store, settings, NOON + hour * 3600 + 60, frequency, early=False)
        assert len(report.sent) + report.not_due <= 1
        sent += [hour] * len(report.sent)
    assert sent == [period / 3600 - 1, 2 * (period / 3600 - 1)]
    assert len(inbox.got) == 2


def test_whoever_is_not_due_is_counted_and_gets_an_issue_early_only_where_that_is_asked(
    store: PageStore, settings: Settings, inbox: Inbox
) -> None:
    subscribe(store, "a@example.org", NOON, frequency="weekly")
    add_paper(store, "new", NOON + 1)
    report = send(store, settings, NOON + 2, "weekly", early=False)
    assert (report.sent, report.no_news, report.not_due, inbox.got) == ([], 0, 1, [])
    assert send(store, settings, NOON + 2, "weekly").sent == ["1 (a...@example.org)"]


def test_no_news_is_told_twice_or_left_out(store: PageStore, settings: Settings, inbox: Inbox) -> None:
    subscribe(store, "a@example.org", NOON)
    for day in range(1, 4):
        add_paper(store, f"paper-{day}", NOON + day * DAY - 1)
        send(store, settings, NOON + day * DAY)
        add_paper(store, f"late-{day}", NOON + day * DAY + 1)
        send(store, settings, NOON + day * DAY + 2)  # the day's issue has gone: this waits for tomorrow
    send(store, settings, NOON + 4 * DAY)
    told = Counter(
        line for _, message in inbox.got for line in part(message, "plain").splitlines() if line.startswith("Title")
    )
    assert set(told) == {f"Title of {kind}-{day}" for kind in ("paper", "late") for day in (1, 2, 3)}
    assert set(told.values()) == {1}


def test_papers_from_before_the_subscription_are_no_news(store: PageStore, settings: Settings, inbox: Inbox) -> None:
    add_paper(store, "old", NOON - 10)
    subscribe(store, "a@example.org", NOON)
    report = send(store, settings, NOON + 60)
    assert (report.sent, report.no_news, inbox.got) == ([], 1, [])


def test_issues_are_days_and_iso_weeks_of_utc() -> None:
    at = dt.datetime(2027, 1, 1, 0, 0, tzinfo=dt.UTC).timestamp()
    assert (digest.issue_of("daily", at), digest.issue_of("weekly", at)) == ("2027-01-01", "2026-W53")
    assert digest.issue_of("daily", at - 1) == "2026-12-31"
    leap = dt.datetime(2028, 2, 29, 12, tzinfo=dt.UTC).timestamp()
    assert digest.issue_of("daily", leap) == "2028-02-29"


@given(st.floats(0, 4e9), st.floats(0, 30 * DAY))
def test_later_issues_have_later_names(at: float, later: float) -> None:
    for frequency, days in (("daily", 1), ("weekly", 7)):
        one, other = digest.issue_of(frequency, at), digest.issue_of(frequency, at + later)  # type: ignore[arg-type]
        assert one <= other
        assert one != other or later <= days * DAY


def test_a_digest_names_papers_verdicts_and_votes(
    store: PageStore, settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_paper(store, "hdpo", NOON - 1, title="Voted & <b>bold</b>")
    subscribe(store, "a@example.org", NOON)
    publish(monkeypatch, hdpo={"C1": "reproduced", "C2": "inconclusive"})
    assert news.record(store, NOON + 1) == 2
    publish(monkeypatch, hdpo={"C1": "reproduced", "C2": "contradicted"})
    store.vote("hdpo", "somebody", up=True, now=NOON + 2)
    for number in range(25):
        add_paper(store, f"paper-{number:02}", NOON + 3)
    assert send(store, settings, NOON + 10).sent == ["1 (a...@example.org)"]
    ((address, message),) = inbox.got
    assert address == "a@example.org"
    assert message["Subject"] == "livepapers 2026-11-28: 25 new papers, 2 verdicts, 1 vote"
    text, html = part(message, "plain"), part(message, "html")
    assert "C1: reproduced. Statement of C1." in text
    assert "C2: contradicted. Statement of C2." in text  # the verdict in between was never told
    assert "Voted & <b>bold</b>: 1 new vote\n  https://papers.example/papers/hdpo" in text
    assert "Voted &amp; &lt;b&gt;bold&lt;/b&gt;" in html
    assert "and 5 more: https://papers.example/?sort=newest" in text
    for told in (text, html):
        assert told.count("/papers/paper-") == digest.PAPERS


def test_a_verdict_that_changed_says_what_it_was_and_one_that_is_back_says_nothing(
    store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, hdpo={"C1": "inconclusive", "C2": "reproduced"})
    assert (news.record(store, NOON), news.record(store, NOON + 1)) == (2, 0)
    publish(monkeypatch, hdpo={"C1": "reproduced", "C2": "void"})
    assert news.record(store, NOON + 2) == 2
    publish(monkeypatch, hdpo={"C1": "reproduced", "C2": "reproduced"})
    assert news.record(store, NOON + 3) == 1
    with store.reading() as connection:
        (change,) = news.between(connection, NOON + 1, NOON + 3)
        assert (change.claim, change.verdict, change.before) == ("C1", "reproduced", "inconclusive")
        assert [(c.claim, c.verdict) for c in news.between(connection, NOON + 2, NOON + 3)] == [("C2", "reproduced")]
        assert news.latest(connection, ["hdpo", "other"]) == {"hdpo": NOON + 3}


def test_news_are_what_was_published_about_the_papers_own_claims(tmp_path: Path) -> None:
    with PageStore(str(tmp_path / "real.sqlite3")) as store:
        number = news.record(store, NOON)
        with store.reading() as connection:
            claims = [change.claim for change in news.of(connection, "fl-gfn", 100)]
    assert claims
    assert len(claims) == len(verdicts.strip("fl-gfn")) < number  # noqa: B005 - it is our own function


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_a_saved_search_narrows_its_digest(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch)
    settings = Settings(outbox=str(tmp_path / "outbox"))
    with PageStore(place) as store:
        subscribe(store, "a@example.org", NOON, query="routing a fleet of trucks")
        add_paper(store, "other", NOON + 1, title="Wavelet filters", summary="Sharper pictures of galaxies.")
        store.vote("other", "somebody", up=True, now=NOON + 2)
        assert send(store, settings, NOON + 3).no_news == 1
        add_paper(store, "found", NOON + 4, title="Routing fleets of trucks", summary="Shorter tours for vehicles.")
        publish(monkeypatch, found={"C1": "reproduced"}, other={"C1": "void"})
        monkeypatch.setattr(catalogue, "load", lambda: dict.fromkeys(("found", "other"), SimpleNamespace(questions=())))
        assert len(send(store, settings, NOON + 5).sent) == 1
    (path,) = Path(settings.outbox).glob("*.eml")
    message = read(path.read_bytes())
    assert message["Subject"] == "livepapers 2026-11-28: 1 new paper, 1 verdict"
    assert "of the search: routing a fleet of trucks" in part(message, "plain")
    assert "/papers/found" in part(message, "plain")
    assert "/papers/other" not in part(message, "plain")


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_a_saved_search_misses_no_new_paper_however_many_older_ones_match_better(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch)
    with PageStore(place) as store:
        for number in range(250):
            add_paper(store, f"old-{number}", NOON - 1, title="Zebrafish", summary="Zebrafish.")
        subscribe(store, "a@example.org", NOON, query="zebrafish")
        add_paper(store, "new", NOON + 1, summary=f"A zebrafish {'among much else ' * 40}.")
        store.vote("new", "somebody", up=True, now=NOON + 2)
        found = digest.content_of(store, "zebrafish", NOON, NOON + 3)
    assert ([paper.slug for paper in found.papers], found.total) == (["new"], 1)
    assert [(paper.slug, votes) for paper, votes in found.voted] == [("new", 1)]


def enter_paper(store: PageStore) -> None:
    batch = Batch()
    batch.add("new", "A new paper", url="https://example.org/new")
    entering.enter(store, batch, "bibtex")


WRITERS: dict[str, Callable[[PageStore], object]] = {
    "an import": enter_paper,
    "a vote": lambda store: store.vote("voted", "somebody", up=True),
    "the catalogue": lambda store: store.sync([catalogue.card("fishery")]),
    "a verdict": news.record,
}


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("writer", WRITERS)
def test_news_that_waited_while_a_digest_was_sent_are_in_the_next_one(
    place: str, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch)
    settings = Settings(outbox=str(tmp_path / "outbox"))
    with PageStore(place) as store, PageStore(place) as other:
        for slug in ("voted", "hdpo"):
            add_paper(store, slug, NOON + 1)
        subscribe(store, "a@example.org", NOON)
        writing = store.writing

        def late(*, durable: bool = False) -> AbstractContextManager[sa.Connection]:
            monkeypatch.setattr(store, "writing", writing)
            publish(monkeypatch)  # the digest has not seen what the writer is about to write
            assert len(send(other, settings, time.time()).sent) == 1
            return writing(durable=durable)

        publish(monkeypatch, hdpo={"C1": "inconclusive"})
        monkeypatch.setattr(store, "writing", late)
        WRITERS[writer](store)
        covered = covered_of(other, "a@example.org")
        assert digest.content_of(other, "", covered, time.time()), "the news are in no digest"


def covered_of(store: PageStore, address: str) -> float:
    s = tables.subscriptions.c
    with store.reading() as connection:
        return connection.execute(sa.select(s.covered).where(s.address == address)).scalar_one()


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_a_digest_waits_for_whoever_is_writing_news(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch)
    settings = Settings(outbox=str(tmp_path / "outbox"))
    inside, go_on, known = threading.Event(), threading.Event(), entering._Known

    def slowly(connection: sa.Connection) -> object:
        inside.set()
        assert go_on.wait(20)
        return known(connection)

    monkeypatch.setattr(entering, "_Known", slowly)
    with PageStore(place) as store, PageStore(place) as other:
        subscribe(store, "a@example.org", NOON)
        add_paper(store, "first", NOON + 1)
        writer = threading.Thread(target=enter_paper, args=(store,))
        writer.start()
        assert inside.wait(20)
        sender = threading.Thread(target=send, args=(other, settings, None))
        sender.start()
        sender.join(0.3)
        go_on.set()
        for thread in (writer, sender):
            thread.join(20)
        [path] = Path(settings.outbox).glob("*.eml")
        told = part(read(path.read_bytes()), "plain")
        assert "A new paper" in told or digest.content_of(store, "", covered_of(store, "a@example.org"), time.time())


# ---- what a mail is ----


def test_a_digest_can_be_ended_with_one_click_and_has_one_recipient(
    store: PageStore, settings: Settings, inbox: Inbox
) -> None:
    readers = [subscribe(store, f"reader-{number}@example.org", NOON) for number in range(3)]
    add_paper(store, "new", NOON + 1)
    send(store, settings, NOON + 2)
    assert [message["To"] for _, message in inbox.got] == inbox.readers == [reader.address for reader in readers]
    secret = Secret(store.home)
    for reader, (_, message) in zip(readers, inbox.got, strict=True):
        stop = f"https://papers.example/subscribe/stop/{subscriptions.stop_token(secret, reader)}"
        assert message["List-Unsubscribe"] == f"<{stop}>"
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert stop in part(message, "plain")
        assert f'href="{stop}"' in part(message, "html")
        assert message["List-Id"] == "livepapers digest <digest.localhost>"
        assert message["Auto-Submitted"] == "auto-generated"
    assert len({message["Message-ID"] for _, message in inbox.got}) == 3


def test_what_is_not_known_of_a_paper_leaves_no_empty_line(
    store: PageStore, settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(store, "a@example.org", NOON)
    add_paper(store, "no-summary", NOON + 1, summary="", submitted="2024")
    add_paper(store, "no-authors", NOON + 1, authors=[], submitted="2023")
    add_paper(store, "bare", NOON + 1, authors=[], submitted="", summary="")
    publish(monkeypatch, hdpo={"C1": "reproduced"})
    add_paper(store, "hdpo", NOON - 1)
    monkeypatch.setattr(news, "_of", lambda slug: [{"id": "C1", "verdict": "reproduced", "statement": ""}])
    send(store, settings, NOON + 2)
    text, html = part(inbox.got[0][1], "plain"), part(inbox.got[0][1], "html")
    assert [piece for piece in text.splitlines() if piece != piece.rstrip() and piece != "-- "] == []
    assert "  A. Nobody, 2024\n  http" in text
    assert "Title of bare\n  http" in text
    assert "  C1: reproduced.\n  http" in text
    assert "<br>\n" not in html
    assert "Title of bare</a>\n</li>" in html


def test_what_others_wrote_stays_text_in_mails(store: PageStore, settings: Settings, inbox: Inbox) -> None:
    subscribe(store, "a@example.org", NOON)
    add_paper(store, "plain", NOON + 1, authors=["A"], summary="S")
    send(store, settings, NOON + 2)
    shape = Shape(part(inbox.got[0][1], "html")).found
    for number, payload in enumerate(PAYLOADS):
        values = {"title": payload, "authors": [payload], "summary": payload, "submitted": "2024"}
        add_paper(store, f"payload-{number}", NOON + 3, **values)
    add_paper(store, "lines", NOON + 3, title="One\r\nTwo\x00\x0b\x85\u2028\u202eThree", summary="\n-- \nEnd it: evil")
    send(store, settings, NOON + DAY)
    text, html = part(inbox.got[1][1], "plain"), part(inbox.got[1][1], "html")
    assert Shape(html).found == shape
    assert "One Two Three\n" in text
    assert "\nEnd it: evil" not in text
    assert "{{ 7 * 7 }}" in text
    assert not {"src=", "http://"} & set(html.split())


@pytest.mark.parametrize(
    "evil",
    [
        "a\rBcc: x@y.z", "a\nb", "a\r\n\r\nbody", "a\x0bb", "a\x0cb", "a\x85b", "a\u2028b", "a\x00b", "é",
        "x" * 900,
    ],
)  # fmt: skip
def test_nothing_breaks_out_of_a_header(evil: str) -> None:
    good = {"to": "a@example.org", "subject": "s", "template": "confirm", "now": NOON, "link": "https://x.example"}
    settings = Settings()
    for name in ("to", "subject", "stop", "name"):
        with pytest.raises(ValueError):  # noqa: PT011 - InputError is one, and the message differs
            mail.compose(settings, **{**good, name: evil})  # type: ignore[arg-type]
    for sender in (f"{evil}@example.org", f"a@{evil}.org", f"a@example.org{evil}"):
        with pytest.raises(InputError, match="sender"):
            mail.compose(Settings(sender=sender), **good)  # type: ignore[arg-type]


def test_a_message_survives_its_own_bytes() -> None:
    settings = Settings(url="https://" + "long." * 40 + "example")
    stop = f"{settings.base}/subscribe/stop/{'a' * 64}"
    message = mail.compose(
        settings,
        to="a@example.org",
        subject="s",
        template="confirm",
        now=NOON,
        link="https://x.example/é\n.\n",
        stop=stop,
    )
    again = read(message.as_bytes())
    assert again["List-Unsubscribe"] == f"<{stop}>"
    assert again.keys() == message.keys()
    assert "\n.\n" in part(again, "plain")
    assert "é" in part(again, "html")
    assert max(map(len, message.as_bytes().splitlines())) < 998


# ---- how mail leaves ----


def test_without_a_server_mails_are_files_of_their_owner(store: PageStore, tmp_path: Path) -> None:
    subscribe(store, "a@example.org", NOON)
    add_paper(store, "new", NOON + 1)
    report = send(store, Settings(), NOON + 2)
    assert report.to == str(store.home / "outbox")
    (path,) = (store.home / "outbox").iterdir()
    assert path.name == f"digest-2026-11-28-1-{NOON:.0f}.eml"
    assert read(path.read_bytes())["To"] == "a@example.org"
    assert (store.home / "outbox").stat().st_mode & 0o777 == 0o700


def test_an_outbox_that_cannot_be_written_is_a_failure_that_is_tried_again(store: PageStore, tmp_path: Path) -> None:
    place = tmp_path / "outbox"
    place.write_text("in the way")
    settings = Settings(outbox=str(place))
    subscribe(store, "a@example.org", NOON)
    add_paper(store, "new", NOON + 1)
    assert send(store, settings, NOON + 2).failed == ["1 (a...@example.org)"]
    place.unlink()
    assert send(store, settings, NOON + 2 + digest.BACKOFF).sent == ["1 (a...@example.org)"]
    assert files(place) == ["a@example.org"]


def test_a_mail_that_was_put_off_is_tried_again_later_and_later(
    store: PageStore, settings: Settings, inbox: Inbox
) -> None:
    tried: list[str] = []

    def refuse(address: str) -> str:
        tried.append(address)
        return "451 greylisted, come back later"

    inbox.at_recipient = refuse
    subscribe(store, "a@example.org", NOON)
    add_paper(store, "new", NOON + 1)
    start = NOON + 2
    times = [at for at in range(0, 13 * 3600, 300) if send(store, settings, start + at).failed]
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert gaps == [300, 1200, 4800, 19200]
    assert len(tried) == digest.ATTEMPTS
    inbox.at_recipient = lambda _: "250 fine"
    assert send(store, settings, start + 13.5 * 3600).sent == []  # the issue had its tries
    assert send(store, settings, start + DAY).sent == ["1 (a...@example.org)"]  # its news come with the next one
    assert "/papers/new" in part(inbox.got[0][1], "plain")


@pytest.mark.parametrize("at", ["recipient", "text"])
def test_a_mail_that_was_refused_is_not_tried_again_that_day(
    store: PageStore, settings: Settings, inbox: Inbox, at: str
) -> None:
    if at == "recipient":
        inbox.at_recipient = lambda address: "550 no such person" if address.startswith("a") else "250 fine"
    else:
        inbox.answer = lambda address: "554 no" if address.startswith("a") else "250 taken"
    subscribe(store, "a@example.org", NOON)
    subscribe(store, "b@example.org", NOON)
    add_paper(store, "new", NOON + 1)
    report = send(store, settings, NOON + 2)
    assert (report.failed, report.sent) == (["1 (a...@example.org)"], ["2 (b...@example.org)"])
    again = send(store, settings, NOON + 6 * 3600)
    assert (again.failed, again.sent, again.unsure) == ([], [], [])


def test_a_connection_lost_after_the_text_leaves_an_unsure_mail_that_is_never_repeated(
    store: PageStore, settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT", 0.4)

    def slow(address: str) -> str:
        if address.startswith("a"):
            time.sleep(0.8)  # the server holds everything: no answer comes in time
        return "250 taken"

    inbox.answer = slow
    subscribe(store, "a@example.org", NOON)
    add_paper(store, "new", NOON + 1)
    report = send(store, settings, NOON + 2)
    assert (report.sent, report.failed) == ([], [])
    assert report.unsure == ["2026-11-28 to 1 (a...@example.org)"]
    time.sleep(0.6)
    monkeypatch.setattr(mail, "TIMEOUT", 20.0)
    for days in (0.1, 0.3, 1, 2):  # not in this issue, and its news not in the next ones
        later = send(store, settings, NOON + days * DAY)
        assert (later.sent, later.unsure) == ([], report.unsure)
    assert inbox.readers == ["a@example.org"]


def test_a_server_that_is_away_leaves_nothing_in_the_ledger(store: PageStore, settings: Settings, inbox: Inbox) -> None:
    away = Settings(smtp_host="127.0.0.1", smtp_port=1, smtp_security="none")
    subscribe(store, "a@example.org", NOON)
    subscribe(store, "b@example.org", NOON)
    add_paper(store, "new", NOON + 1)
    report = send(store, away, NOON + 2)
    assert (report.sent, report.failed, report.unsure, report.waiting) == ([], [], [], 2)
    assert report.stopped.startswith("mail server 127.0.0.1:1: ")
    assert len(send(store, settings, NOON + 3).sent) == 2


def test_a_run_sends_no_more_than_it_may_and_the_next_one_goes_on(
    store: PageStore, settings: Settings, inbox: Inbox
) -> None:
    for number in range(5):
        subscribe(store, f"r{number}@example.org", NOON + number)
    add_paper(store, "new", NOON + 10)
    seen = [(len(r.sent), r.waiting) for r in (send(store, settings, NOON + 20 + i, most=2) for i in range(4))]
    assert seen == [(2, 3), (2, 1), (1, 0), (0, 0)]
    assert inbox.readers == [f"r{number}@example.org" for number in range(5)]


def test_a_dry_run_sends_and_marks_nothing(store: PageStore, settings: Settings, inbox: Inbox) -> None:
    subscribe(store, "a@example.org", NOON)
    add_paper(store, "new", NOON + 1)
    for _ in range(2):
        assert send(store, settings, NOON + 2, dry_run=True).sent == ["1 (a...@example.org)"]
    assert inbox.got == []
    assert send(store, settings, NOON + 2).sent == ["1 (a...@example.org)"]


def test_whoever_leaves_during_a_run_gets_no_mail(
    store: PageStore, settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = Secret(store.home)
    subscribe(store, "a@example.org", NOON)
    second = subscribe(store, "b@example.org", NOON)
    add_paper(store, "new", NOON + 1)

    def leave(address: str) -> str:
        subscriptions.stop(store, secret, subscriptions.stop_token(secret, second))
        return "250 taken"

    inbox.answer = leave
    send(store, settings, NOON + 2)
    assert inbox.readers == ["a@example.org"]


def test_one_run_at_a_time(store: PageStore, settings: Settings) -> None:
    with FileLock(store.home / "digest.lock"), pytest.raises(InputError, match="no other digest at work"):
        send(store, settings, NOON)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key beside it."""
    folder = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; TLS to a mail server was not tested")
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"), "-out",
        str(folder / "cert.pem"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the server does not see TLS below it
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_tls_and_only_to_whom_the_certificate_is_for(
    inbox: Inbox, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    asked: list[tuple[bytes, bytes]] = []

    def login(server: object, session: object, envelope: object, mechanism: str, data: LoginPassword) -> AuthResult:
        asked.append((data.login, data.password))
        return AuthResult(success=data.password == b"s3cret", handled=False)

    options = {"tls_context": context} if security == "starttls" else {"ssl_context": context}
    extra = {"auth_require_tls": security == "starttls", "auth_required": True, "authenticator": login}
    message = mail.compose(Settings(), to="a@example.org", subject="s", template="confirm", now=NOON, link="https://x")
    monkeypatch.setenv("LIVEPAPERS_SMTP_PASSWORD", "s3cret")
    with serving(inbox, **options, **extra) as port:
        settings = Settings(smtp_host="127.0.0.1", smtp_port=port, smtp_security=security, smtp_user="me")  # type: ignore[arg-type]
        with pytest.raises(mail.UnreachableError, match="certificate"):
            mail.send_one(settings, tmp_path, message)
        assert asked == []  # the password went to nobody
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert mail.send_one(settings, tmp_path, message) == "sent"
        monkeypatch.setenv("LIVEPAPERS_SMTP_PASSWORD", "wrong")
        with pytest.raises(mail.UnreachableError, match="535"):
            mail.send_one(settings, tmp_path, message)
    assert inbox.readers == ["a@example.org"]


def test_starttls_is_not_done_without(inbox: Inbox, tmp_path: Path) -> None:
    message = mail.compose(Settings(), to="a@example.org", subject="s", template="confirm", now=NOON, link="https://x")
    with serving(inbox) as port, pytest.raises(mail.UnreachableError, match="STARTTLS"):
        mail.send_one(Settings(smtp_host="127.0.0.1", smtp_port=port), tmp_path, message)
    assert inbox.got == []


# ---- kill -9 ----


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that begin at once, without this one's threads: what they need is imported beforehand."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["web.post_office", "sqlalchemy.dialects.sqlite"])
    return context


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("gap", GAPS)
def test_nobody_gets_two_mails_though_the_process_is_killed(
    store: PageStore, settings: Settings, inbox: Inbox, tmp_path: Path, gap: str, number: int,
    processes: ForkServerContext,
) -> None:  # fmt: skip
    readers = [subscribe(store, f"r{i}@example.org", NOON) for i in range(4)]
    add_paper(store, "new", NOON + 1)
    place, at = str(tmp_path / "store.sqlite3"), NOON + 2
    if gap == "while the server answers":
        process = processes.Process(target=post_office.send_until_killed, args=(place, settings.smtp_port, at))

        def kill(address: str) -> str:
            if len(inbox.got) == number - 1 and process.pid and process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
            return "250 taken"

        inbox.answer = kill
    else:
        process = processes.Process(target=post_office.send_and_die, args=(place, settings.smtp_port, at, gap, number))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    _settle_down(inbox)
    arrived, unsure = GAPS[gap]
    assert len(inbox.got) == number - 1 + arrived
    lost = readers[number - 1]
    reports = [send(store, settings, NOON + days * DAY) for days in (0.01, 0.2, 1, 2)]
    expected = [f"2026-11-28 to {digest.shown(lost)}"] if unsure else []
    assert [report.unsure for report in reports] == [expected] * 4
    counts = Counter(inbox.readers)
    assert set(counts.values()) == {1}
    assert set(counts) == {r.address for r in readers if arrived or not unsure or r != lost}


@pytest.mark.slow
def test_nobody_gets_two_mails_however_often_sending_is_killed_at_any_moment(
    store: PageStore, settings: Settings, inbox: Inbox, tmp_path: Path,
    processes: ForkServerContext, kills_wanted: int,
) -> None:  # fmt: skip
    random_ = random.Random(0)
    for i in range(12):
        subscribe(store, f"r{i}@example.org", NOON)
    place, kills = str(tmp_path / "store.sqlite3"), 0
    for day in range(1, 2 * kills_wanted):
        inbox.got.clear()
        add_paper(store, f"paper-{day}", NOON + day * DAY - 1)
        (tmp_path / "pid").unlink(missing_ok=True)
        arguments = (place, settings.smtp_port, NOON + day * DAY, str(tmp_path))
        process = processes.Process(target=post_office.send_and_tell, args=arguments)
        process.start()
        while process.is_alive() and not (tmp_path / "pid").exists():
            time.sleep(0.002)
        time.sleep(random_.uniform(0, 0.4))
        process.kill()
        process.join(60)
        kills += process.exitcode == -signal.SIGKILL
        _settle_down(inbox)
        report = send(store, settings, NOON + day * DAY + 60)
        unsure = {line.split("(")[0].split()[-1] for line in report.unsure if line.startswith(report.issue)}
        counts = Counter(inbox.readers)
        assert all(count == 1 for count in counts.values())
        missing = {f"r{i}@example.org" for i in range(12)} - set(counts)
        assert {str(int(address[1:].split("@")[0]) + 1) for address in missing} <= unsure
        if kills >= kills_wanted:
            break
    assert kills >= kills_wanted


def _settle_down(inbox: Inbox) -> None:
    """Wait until the server has taken what a process that died had sent."""
    before = -1
    while before != len(inbox.got):
        before = len(inbox.got)
        time.sleep(0.05)


def test_the_ledger_is_forgotten_in_time(store: PageStore, settings: Settings) -> None:
    subscribe(store, "a@example.org", NOON)
    add_paper(store, "new", NOON + 1)
    send(store, settings, NOON + 2)

    def rows() -> int:
        with store.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(tables.deliveries)).scalar_one()

    subscriptions.tidy(store, NOON + 89 * DAY)
    assert rows() == 1
    subscriptions.tidy(store, NOON + 91 * DAY)
    assert rows() == 0
