"""A real mail server on loopback, readers, papers and a digest run that dies where a test wants it to."""

import contextlib
import email
import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiosmtpd.controller import Controller
from sqlalchemy import event

from livepapers.web import digest, mail, subscriptions, tables
from livepapers.web.guard import Secret
from livepapers.web.settings import Settings
from livepapers.web.store import COLD, PageStore

NOON = 1_795_860_000.0  # Saturday, 28 November 2026, 10:00 UTC
DAY = 86_400.0


@dataclass
class Inbox:
    """What a mail server took; `answer` may refuse, wait or kill."""

    got: list[tuple[str, EmailMessage]] = field(default_factory=list)
    answer: Callable[[str], str] = lambda _: "250 taken"
    at_recipient: Callable[[str], str] = lambda _: "250 fine"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        said = self.at_recipient(address)
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        said = self.answer(envelope.rcpt_tos[0])
        if said.startswith("250"):
            for address in envelope.rcpt_tos:
                self.got.append((address, read(envelope.content)))
        return said

    @property
    def readers(self) -> list[str]:
        return [address for address, _ in self.got]


@contextlib.contextmanager
def serving(inbox: Inbox, **options: Any) -> Iterator[int]:
    """The server, for as long as the block runs; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def read(data: bytes) -> EmailMessage:
    found = email.message_from_bytes(data, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return found.get_content().replace("\r\n", "\n")


def add_paper(store: PageStore, slug: str, added: float, **changes: object) -> None:
    row = {
        "slug": slug, "title": f"Title of {slug}", "authors": ["A. Nobody"], "submitted": "2024-01-01", "field": "",
        "tags": [], "summary": "What it does.", "link": "https://example.org", "arxiv": "", "doi": "", "code_url": "",
        "source": "bibtex", "status": "listed", "claims": 0, "added": added, "votes": 0, "heat": COLD,
    }  # fmt: skip
    with store.writing() as connection:
        connection.execute(sa.insert(tables.papers).values({**row, **changes}))


def subscribe(
    store: PageStore, address: str, now: float, *, frequency: subscriptions.Frequency = "daily", query: str = ""
) -> subscriptions.Subscription:
    secret = Secret(store.home)
    token = subscriptions.ask(store, secret, address, frequency, query, now)
    assert subscriptions.confirm(store, secret, token, now) is not None
    with store.reading() as connection:
        s = tables.subscriptions.c
        row = connection.execute(sa.select(tables.subscriptions).where(s.address == address, s.query == query)).one()
    return subscriptions.subscription_of(row)


def send(
    store: PageStore, settings: Settings, now: float | None, frequency: subscriptions.Frequency = "daily",
    *, early: bool = True, **options: Any,
) -> digest.Report:  # fmt: skip
    """A run, as if all readers were due unless the test is about that."""
    return digest.run(store, settings, Secret(store.home), frequency, now, early=early, **options)


# ---- a run that dies; called in a process of its own ----


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def send_and_die(place: str, port: int, now: float, gap: str, number: int) -> None:
    """Run a digest whose process is killed at the gap's `number`-th time."""
    settings = Settings(store=place, smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
    with PageStore(place) as store:
        _arm(store, gap, number)
        send(store, settings, now)


def send_until_killed(place: str, port: int, now: float) -> None:
    send_and_die(place, port, now, "nowhere", 0)


def send_and_tell(place: str, port: int, now: float, folder: str) -> None:
    """As above, killed by somebody else, who finds the process here."""
    path = Path(folder, "pid")
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    send_and_die(place, port, now, "nowhere", 0)


def _arm(store: PageStore, gap: str, number: int) -> None:
    """Make the call that the gap is next to deadly, the `number`-th time."""
    place, name, when = {
        "nowhere": (digest, "claim", "never"),
        "before the claim": (digest, "claim", "before"),
        "while the claim is committed": (digest, "claim", "at commit"),
        "between claim and send": (digest, "claim", "after"),
        "between send and settle": (mail.Server, "send", "after"),
        "while the settling is committed": (digest, "settle", "at commit"),
        "after the settling": (digest, "settle", "after"),
    }[gap]
    call, calls = getattr(place, name), itertools.count(1)

    def deadly(*arguments: Any) -> Any:
        now = when if next(calls) == number else "never"
        if now == "before":
            die()
        if now == "at commit":  # all of the transaction is done by then
            event.listen(store.engine, "commit", lambda _: die())
        found = call(*arguments)
        if now == "after":
            die()
        return found

    setattr(place, name, deadly)
