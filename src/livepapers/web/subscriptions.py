"""Who gets which digest: asked for, confirmed by mail, ended, shown and forgotten.

Tokens have 256 bits and one purpose each; the store holds keyed hashes of them only. A reader who was not confirmed in
time is deleted, and so is one who unsubscribes: nothing of them stays but, for a day, a count of mails under a hash.
"""

import datetime as dt
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy import Connection

from livepapers.core.errors import InputError
from livepapers.papers.search import terms
from livepapers.web import tables
from livepapers.web.guard import Secret
from livepapers.web.store import PageStore

Frequency = Literal["daily", "weekly"]
FREQUENCIES: tuple[Frequency, ...] = get_args(Frequency)
DAY = 86_400.0
CONFIRM = 2 * DAY
"""Seconds in which a subscription has to be confirmed."""
MINE = DAY
"""Seconds for which the link to what is kept of a reader works."""
LEDGER = 90 * DAY
"""Seconds for which it is kept which issue was sent to whom."""
QUERY = 500
"""Characters of a saved search."""
MAILS = (4.0, 4.0 / DAY)
"""Mails that an address gets because somebody filled in a form: at once, and a second."""

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_TOKEN = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MINE = re.compile(r"(\d{1,10})-(\d{1,12})-([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One digest of one reader."""

    id: int
    address: str
    frequency: str
    wanted: str
    query: str
    confirmed: bool
    created: float
    covered: float


def checked_address(text: str, field: str = "address") -> str:
    """A mail address as it is kept: no blanks around it, in lower case, so that nobody is there twice.

    Raises:
        InputError: It is none that a digest could go to. Only plain ASCII addresses are taken: no quotes, comments,
            address literals, control characters.
    """
    shown = text.strip(" \t\r\n")
    local, _, domain = shown.rpartition("@")
    labels = domain.split(".")
    host = all(map(_LABEL.fullmatch, labels)) and (len(labels) > 1 or domain.lower() == "localhost")
    if len(shown) > 254 or len(local) > 64 or not _LOCAL.fullmatch(local) or not host or labels[-1].isdecimal():
        cause = "" if shown.isascii() else "write a domain of other letters as its xn-- form"
        raise InputError.of(field, shown, expected="a mail address such as name@example.org", cause=cause)
    return shown.lower()


def checked_frequency(text: str) -> Frequency:
    """The frequency; `InputError` for one that does not exist."""
    for known in FREQUENCIES:
        if text == known:
            return known
    raise InputError.of("frequency", text, expected=f"one of {', '.join(FREQUENCIES)}")


def checked_query(text: str) -> str:
    """A saved search on one line; empty is everything.

    Raises:
        InputError: It is too long, holds control characters, or has no word to look for.
    """
    line = " ".join(text.split())
    if len(line) > QUERY:
        raise InputError.of("search", line, expected=f"at most {QUERY} characters")
    if not line.isprintable():
        raise InputError.of("search", ascii(line), expected="text without control characters")
    if line and not terms(line):
        raise InputError.of("search", line, expected="a word", cause="leave it empty for a digest of everything")
    return line


def may_mail(store: PageStore, secret: Secret, address: str, now: float) -> bool:
    """Whether an address may get one more mail that a form caused; counts it. Keeps the address as a hash only."""
    return store.take(_mail_bucket(secret, address), capacity=MAILS[0], per_second=MAILS[1], now=now)


def ask(store: PageStore, secret: Secret, address: str, frequency: Frequency, query: str, now: float) -> str:
    """Note what a reader wants and return the token that confirms it; until then nothing that was there changes."""
    token = secrets.token_hex(32)
    s = tables.subscriptions
    asked = {"wanted": frequency, "confirm_hash": secret.digest("confirm", token), "confirm_until": now + CONFIRM}
    stop = _stop_token(secret, address, query, now)
    new = store.insert(s).values(
        address=address, frequency=frequency, query=query, confirmed=False, created=now, covered=now,
        unsubscribe_hash=secret.digest("stop", stop), **asked,
    )  # fmt: skip
    with store.writing(durable=True) as connection:
        connection.execute(new.on_conflict_do_update(index_elements=["address", "query"], set_=asked))
    return token


def asked(store: PageStore, secret: Secret, token: str, now: float) -> Subscription | None:
    """What a token would confirm, None when it is unknown, used or too old."""
    with store.reading() as connection:
        return _asked(connection, secret, token, now)


def confirm(store: PageStore, secret: Secret, token: str, now: float) -> Subscription | None:
    """Begin what a token stands for, once; None as for `asked`."""
    s = tables.subscriptions
    with store.writing(durable=True) as connection:
        found = _asked(connection, secret, token, now, held=True)
        if found is None:
            return None
        covered = found.covered if found.confirmed else now
        change = sa.update(s).where(s.c.id == found.id)
        used = secret.digest("confirmed", token)  # confirms nothing more
        connection.execute(change.values(confirmed=True, frequency=found.wanted, confirm_hash=used, covered=covered))
    return found


def already(store: PageStore, secret: Secret, token: str, now: float) -> Subscription | None:
    """What a token has confirmed, for as long as it could have; None when nothing, or when that has ended."""
    with store.reading() as connection:
        return _by_hash(connection, "confirm_hash", secret.digest("confirmed", token), token, until=now)


def stop_token(secret: Secret, subscription: Subscription) -> str:
    """The token that ends a subscription: derived, so that each digest can carry it though it is not kept.

    It has no expiry: the link in an old mail has to work for as long as there is something to end.
    """
    return _stop_token(secret, subscription.address, subscription.query, subscription.created)


def stoppable(store: PageStore, secret: Secret, token: str) -> Subscription | None:
    """What a token would end, None if there is no such subscription."""
    with store.reading() as connection:
        return _by_hash(connection, "unsubscribe_hash", secret.digest("stop", token), token)


def stop(store: PageStore, secret: Secret, token: str) -> bool:
    """End a subscription and delete it with its ledger; False if there is no such one."""
    s = tables.subscriptions
    with store.writing(durable=True) as connection:
        found = _by_hash(connection, "unsubscribe_hash", secret.digest("stop", token), token, held=True)
        if found is not None:
            connection.execute(sa.delete(s).where(s.c.id == found.id))
    return found is not None


def mine_token(store: PageStore, secret: Secret, address: str, now: float) -> str | None:
    """A token that shows, for a day, what is kept of an address; None if nothing is."""
    s = tables.subscriptions
    with store.reading() as connection:
        query = sa.select(s.c.id, s.c.created).where(s.c.address == address).order_by(s.c.id).limit(1)
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    until = int(now + MINE)
    return f"{row.id}-{until}-{_mine_mac(secret, row.id, until, address, row.created)}"


def mine(store: PageStore, secret: Secret, token: str, now: float) -> str | None:
    """Whose address a token shows, None when it is unknown or too old."""
    match = _MINE.fullmatch(token)
    if match is None or int(match[2]) < now or int(match[1]) >= 2**31:
        return None
    s = tables.subscriptions
    with store.reading() as connection:
        row = connection.execute(sa.select(s.c.address, s.c.created).where(s.c.id == int(match[1]))).one_or_none()
    if row is None:
        return None
    mac = _mine_mac(secret, int(match[1]), int(match[2]), row.address, row.created)
    return row.address if hmac.compare_digest(mac, match[3]) else None


def kept(store: PageStore, address: str) -> list[dict[str, Any]]:
    """All that is kept of an address, but for the hashes of tokens, as JSON values."""
    s, d = tables.subscriptions.c, tables.deliveries.c
    with store.reading() as connection:
        rows = connection.execute(sa.select(tables.subscriptions).where(s.address == address).order_by(s.id)).all()
        ledger = connection.execute(
            sa.select(tables.deliveries).where(d.subscription.in_([row.id for row in rows])).order_by(d.id)
        ).all()
    return [
        {
            "address": row.address, "frequency": row.frequency, "search": row.query, "confirmed": row.confirmed,
            "asked": _when(row.created), "covered_until": _when(row.covered),
            "mails": [
                {"issue": mail.issue, "state": mail.state, "attempts": mail.attempts, "changed": _when(mail.changed)}
                for mail in ledger if mail.subscription == row.id
            ],
        }
        for row in rows
    ]  # fmt: skip


def forget(store: PageStore, secret: Secret, address: str) -> None:
    """Delete all that the store keeps of an address; mails in an outbox are `mail.forget`'s."""
    s, b = tables.subscriptions, tables.buckets
    with store.writing(durable=True) as connection:
        connection.execute(sa.delete(s).where(s.c.address == address))
        connection.execute(sa.delete(b).where(b.c.key == _mail_bucket(secret, address)))


def votes_of(store: PageStore, reader: str) -> list[dict[str, str]]:
    """The votes of a reader's cookie, as JSON values; none without a cookie."""
    p, v = tables.papers.c, tables.votes.c
    query = sa.select(p.slug, v.cast).join(tables.votes, v.paper == p.id).where(v.reader == reader).order_by(v.cast)
    with store.reading() as connection:
        return [{"paper": slug, "cast": _when(cast)} for slug, cast in connection.execute(query)] if reader else []


def tidy(store: PageStore, now: float) -> set[str]:
    """Delete what has served its purpose: what was never confirmed, old ledger rows, buckets that are full again.

    Returns the addresses of which nothing is kept any more, for `mail.forget`.
    """
    s, d, b = tables.subscriptions, tables.deliveries, tables.buckets
    late = sa.delete(s).where(s.c.confirmed.is_(False), s.c.confirm_until < now).returning(s.c.address)
    with store.writing() as connection:
        gone = set(connection.execute(late).scalars())
        gone -= set(connection.execute(sa.select(s.c.address).where(s.c.address.in_(gone))).scalars())
        connection.execute(sa.delete(d).where(d.c.changed < now - LEDGER))
        connection.execute(sa.delete(b).where(b.c.filled < now - DAY))
    return gone


def utc(seconds: float) -> dt.datetime:
    """A time of the store as a date."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def subscription_of(row: Any) -> Subscription:
    """A subscription from its row."""
    return Subscription(
        row.id, row.address, row.frequency, row.wanted, row.query, row.confirmed, row.created, row.covered
    )


def _asked(
    connection: Connection, secret: Secret, token: str, now: float, *, held: bool = False
) -> Subscription | None:
    return _by_hash(connection, "confirm_hash", secret.digest("confirm", token), token, until=now, held=held)


def _by_hash(
    connection: Connection, column: str, digest: bytes, token: str, *, until: float = 0.0, held: bool = False
) -> Subscription | None:
    """The subscription with this hash, held against other writers if asked; the bytes are compared in constant time."""
    if not _TOKEN.fullmatch(token):
        return None
    s = tables.subscriptions
    query = sa.select(s).where(s.c[column] == digest)
    row = connection.execute(query.with_for_update() if held else query).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row._mapping[column]), digest):
        return None
    return subscription_of(row) if not until or row.confirm_until >= until else None


def _mail_bucket(secret: Secret, address: str) -> str:
    return f"mail {secret.digest('mail rate', address).hex()}"


def _stop_token(secret: Secret, address: str, query: str, created: float) -> str:
    return secret.digest("stop token", f"{address}\x1f{query}\x1f{created!r}").hex()


def _mine_mac(secret: Secret, number: int, until: int, address: str, created: float) -> str:
    return secret.digest("mine", f"{number}\x1f{until}\x1f{address}\x1f{created!r}").hex()


def _when(seconds: float) -> str:
    return utc(seconds).isoformat(timespec="seconds")
