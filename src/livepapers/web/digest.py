"""The digest: what is new for each reader, and the ledger by which nobody gets an issue twice.

A mail's row is in the ledger, durably, before the mail is sent. A process that dies in between leaves the row at
`sending`: whether that mail arrived is not known, so it is never sent again, and every report names it. What certainly
failed is tried again later, or its news come with the next issue.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage

import sqlalchemy as sa
from filelock import FileLock, Timeout

from livepapers.core.errors import InputError
from livepapers.web import mail, news, subscriptions, tables
from livepapers.web.guard import Secret
from livepapers.web.news import Change
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore, Paper
from livepapers.web.subscriptions import Frequency, Subscription

MOST = 500
"""Mails that one run sends at most."""
ATTEMPTS = 5
"""Times that one issue is tried."""
PERIODS: dict[Frequency, float] = {"daily": 86_400.0, "weekly": 7 * 86_400.0}
EARLY = 3600.0
"""Seconds that an issue may come before its period is over: cron is not on the second."""
BACKOFF = 300.0
"""Seconds before the second try; four times as many before each further one."""
PAPERS, VOTED = 20, 5
"""Papers that a digest names as new, and as voted for."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one digest tells."""

    papers: list[Paper]  # new ones, at most PAPERS
    total: int  # how many are new
    voted: list[tuple[Paper, int]]  # with the votes since the last digest
    verdicts: list[tuple[Paper, list[Change]]]

    def __bool__(self) -> bool:
        return bool(self.papers or self.voted or self.verdicts)


@dataclass(slots=True)
class Report:
    """What a run did; addresses are shortened, because reports end in logs."""

    issue: str
    to: str  # the mail server or the outbox
    dry_run: bool
    sent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)  # of earlier runs too
    no_news: int = 0
    not_due: int = 0  # their last issue, or their confirmation, is too recent
    waiting: int = 0  # beyond the cap, or not tried because the server went away
    stopped: str = ""  # why the run ended early


def issue_of(frequency: Frequency, now: float) -> str:
    """The issue's name: its day, or its week from Monday, in UTC."""
    day = subscriptions.utc(now).date()
    if frequency == "daily":
        return day.isoformat()
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def run(
    store: PageStore, settings: Settings, secret: Secret, frequency: Frequency, now: float | None = None, *,
    dry_run: bool = False, early: bool = False, most: int = MOST,
) -> Report:  # fmt: skip
    """Send an issue to every reader who has news, has not got it, and got the one before a day or a week ago.

    Args:
        store: Where readers and news are.
        settings: How mail leaves.
        secret: Makes the links in the mails.
        frequency: Whose digest.
        now: The time; it names the issue, and news up to then are in it. Left out, it is when all of these are there.
        dry_run: Only say what would be sent.
        early: To those as well whose last issue, or confirmation, is more recent.
        most: Mails at most.

    Raises:
        InputError: Another run is at work, or the sender is no mail address.
    """
    subscriptions.checked_address(settings.sender, "sender")
    with _alone(store), mail.post(settings, store.home) as post:
        news.record(store, now)
        until = store.settled(now)
        report = Report(issue_of(frequency, until), post.where, dry_run)
        content = functools.cache(functools.partial(content_of, store))
        round_ = _Round(store, settings, secret, post, report, until)
        readers = _readers(store, frequency, report.issue, until)
        last = math.inf if early else until - PERIODS[frequency] + EARLY
        report.not_due = sum(reader.covered > last for reader, _ in readers)
        for reader in (reader for reader, may_get_it in readers if may_get_it and reader.covered <= last):
            found = content(reader.query, reader.covered, until)
            if not found:
                report.no_news += 1
            elif len(report.sent) + len(report.failed) >= most or report.stopped:
                report.waiting += 1
            elif dry_run:
                report.sent.append(shown(reader))
            else:
                round_.serve(reader, found)
        report.unsure = _unsure(store, frequency)
    return report


@dataclass(frozen=True, slots=True)
class _Round:
    """One run over the readers: each goes through claim, send, settle."""

    store: PageStore
    settings: Settings
    secret: Secret
    post: mail.Post
    report: Report
    now: float

    def serve(self, reader: Subscription, content: Content) -> None:
        """Send one reader's issue, if it can still be claimed."""
        message = self._message(reader, content)
        try:
            self.post.ready()  # before the claim: a server that is away leaves no row behind
        except mail.UnreachableError as error:
            self.report.stopped = str(error)
            self.report.waiting += 1
            return
        if not claim(self.store, reader, self.report.issue, self.now):
            return  # unsubscribed, or changed to another frequency, a moment ago
        fate = self.post.send(message, _name(reader, self.report.issue))
        if fate != "unsure":
            settle(self.store, reader, self.report.issue, fate, self.now)
            (self.report.sent if fate == "sent" else self.report.failed).append(shown(reader))

    def _message(self, reader: Subscription, content: Content) -> EmailMessage:
        base = self.settings.base
        return mail.compose(
            self.settings, to=reader.address, subject=subject(self.report.issue, content), template="digest",
            now=self.now, stop=f"{base}/subscribe/stop/{subscriptions.stop_token(self.secret, reader)}",
            name=_name(reader, self.report.issue), content=content, reader=reader, issue=self.report.issue,
        )  # fmt: skip


def content_of(store: PageStore, query: str, after: float, until: float) -> Content:
    """What is new in (after, until]: of everything, or of what a saved search finds.

    What is found may be more than a statement can name, so it is the news that are looked up in it, all of them.
    """
    found = _searched(store, query) if query else None
    p, v = tables.papers.c, tables.votes.c
    fresh = sa.select(p.slug).where(p.added > after, p.added <= until).order_by(p.submitted.desc(), p.slug)
    votes = sa.func.count().label("votes")
    counted = (
        sa.select(p.slug, votes).join(tables.votes, v.paper == p.id).where(v.cast > after, v.cast <= until)
        .group_by(p.slug).order_by(votes.desc(), p.slug)
    )  # fmt: skip
    with store.reading() as connection:
        new = [slug for slug in connection.execute(fresh).scalars() if found is None or slug in found]
        voted = {row.slug: row.votes for row in connection.execute(counted) if found is None or row.slug in found}
        by_paper: dict[str, list[Change]] = {}
        for change in news.between(connection, after, until):
            if found is None or change.slug in found:
                by_paper.setdefault(change.slug, []).append(change)
    return Content(
        papers=store.by_slug(new[:PAPERS]),
        total=len(new),
        voted=[(paper, voted[paper.slug]) for paper in store.by_slug(list(voted)[:VOTED])],
        verdicts=[(paper, by_paper[paper.slug]) for paper in store.by_slug(list(by_paper))],
    )


def subject(issue: str, content: Content) -> str:
    """The subject of a digest: our own words and numbers, nothing that others wrote."""
    changes = sum(len(found) for _, found in content.verdicts)
    counts = ((content.total, "new paper"), (changes, "verdict"), (sum(n for _, n in content.voted), "vote"))
    told = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counts if number)
    return f"livepapers {issue}: {told}"


def shown(reader: Subscription) -> str:
    """A reader in a report: the number, and as much of the address as tells it from others."""
    return f"{reader.id} ({reader.address[0]}...@{reader.address.rpartition('@')[2]})"


# ---- the ledger ----


def claim(store: PageStore, reader: Subscription, issue: str, now: float) -> bool:
    """Put a mail into the ledger before it is sent; False if it is there already, or the reader has gone.

    The reader's news count as told from here on, so that what may have arrived is not told again.
    """
    s, d = tables.subscriptions, tables.deliveries
    with store.writing(durable=True) as connection:
        held = sa.select(s).where(s.c.id == reader.id).with_for_update()
        row = connection.execute(held).one_or_none()
        if row is None or subscriptions.subscription_of(row) != reader:
            return False
        mine = (d.c.subscription == reader.id) & (d.c.issue == issue)
        before = connection.execute(sa.select(d).where(mine)).one_or_none()
        if before is None:
            row_ = {"subscription": reader.id, "issue": issue, "state": "sending", "attempts": 1, "changed": now}
            connection.execute(sa.insert(d).values(row_))
        elif _due(before, now):
            again = {"state": "sending", "attempts": before.attempts + 1, "changed": now}
            connection.execute(sa.update(d).where(mine).values(again))
        else:
            return False
        connection.execute(sa.update(s).where(s.c.id == reader.id).values(covered=now))
    return True


def settle(store: PageStore, reader: Subscription, issue: str, fate: mail.Fate, now: float) -> None:
    """Write down what became of a mail; the news of one that was certainly not sent are news again."""
    s, d = tables.subscriptions, tables.deliveries
    values = {"state": "sent" if fate == "sent" else "failed", "changed": now}
    if fate == "refused":
        values["attempts"] = ATTEMPTS  # for good: this issue is not tried again
    with store.writing(durable=True) as connection:
        mine = (d.c.subscription == reader.id) & (d.c.issue == issue)
        connection.execute(sa.update(d).where(mine).values(values))
        if fate != "sent":
            told = sa.update(s).where(s.c.id == reader.id, s.c.covered == now)
            connection.execute(told.values(covered=reader.covered))


def _due(row: sa.Row, now: float) -> bool:
    """Whether a mail that is in the ledger may be tried (again)."""
    wait = BACKOFF * 4.0 ** (row.attempts - 1)
    return row.state == "failed" and row.attempts < ATTEMPTS and now >= row.changed + wait


def _readers(store: PageStore, frequency: Frequency, issue: str, now: float) -> list[tuple[Subscription, bool]]:
    """The readers, those who have waited longest first, and whether the ledger lets each have the issue."""
    s, d = tables.subscriptions, tables.deliveries
    joined = sa.outerjoin(s, d, (d.c.subscription == s.c.id) & (d.c.issue == issue))
    query = (
        sa.select(*s.c, d.c.state, d.c.attempts, d.c.changed).select_from(joined)
        .where(s.c.confirmed.is_(True), s.c.frequency == frequency).order_by(s.c.covered, s.c.id)
    )  # fmt: skip
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [(subscriptions.subscription_of(row), row.state is None or _due(row, now)) for row in rows]


def _unsure(store: PageStore, frequency: Frequency) -> list[str]:
    """The mails of which nobody knows whether they were sent."""
    s, d = tables.subscriptions, tables.deliveries
    query = (
        sa.select(*s.c, d.c.issue).join(d, d.c.subscription == s.c.id)
        .where(d.c.state == "sending", s.c.frequency == frequency).order_by(d.c.id)
    )  # fmt: skip
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [f"{row.issue} to {shown(subscriptions.subscription_of(row))}" for row in rows]


@contextlib.contextmanager
def _alone(store: PageStore) -> Iterator[None]:
    """Be the only run on this machine: what another one is sending must not look unsure."""
    lock = FileLock(store.home / "digest.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError.of(
            "digest", str(store.home), expected="no other digest at work", cause="wait until it has ended"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _name(reader: Subscription, issue: str) -> str:
    return f"digest-{issue}-{reader.id}-{reader.created:.0f}"


def _searched(store: PageStore, query: str) -> set[str]:
    from livepapers.web import search

    return set(search.ranked(store, query)[0])


def as_json(report: Report) -> dict[str, object]:
    """The report as JSON values."""
    return dataclasses.asdict(report)
