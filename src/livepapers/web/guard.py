"""Who may ask what: hosts, cross-site requests, sizes, rates, reader cookies, and the headers of every answer."""

import hashlib
import hmac
import ipaddress
import math
import os
import re
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from itsdangerous import BadSignature, Signer
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livepapers.core.errors import InputError
from livepapers.lab.words import duration
from livepapers.web.rendering import refused
from livepapers.web.settings import LOOPBACK, TOKEN, Settings

READER = "reader"  # the cookie
YEAR = 365 * 86_400
BODY_LIMIT = 64 * 1024
UPLOAD_LIMIT = 2 * 1024 * 1024
UPLOAD = re.compile(r"/papers/[a-z0-9-]{1,120}/apply", re.ASCII)
"""The one address that takes files: a POST to it may have `UPLOAD_LIMIT` bytes."""
QUERY_LIMIT = 8192
"""Bytes of a query: forms promise 500 characters, which have up to twelve bytes each as %F0%A0%AE%B7."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SAFE = frozenset({"GET", "HEAD"})
NOT_OURS = "changes are made from the page itself only"
# mail providers post here for their readers (RFC 8058), without Origin: the token in the path is the authority
ONE_CLICK = re.compile(r"/subscribe/stop/[0-9a-f]{64}", re.ASCII)
# (tokens, tokens a second): of one network and of one reader, for each kind of change
RATES = {
    "vote": (60.0, 1.0), "new reader": (200.0, 200 / 86_400), "subscribe": (5.0, 1 / 60), "run": (5.0, 1 / 30),
    "token": (20.0, 1 / 10),
}  # fmt: skip


class Secret:
    """The page's secret: made on first use, readable by its owner only; signs cookies and derives keys.

    Args:
        home: The store's folder.
    """

    def __init__(self, home: Path) -> None:
        path = home / "page.secret"
        try:
            home.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        except OSError as error:
            told = error.strerror or str(error)
            raise InputError.of("secret", str(path), expected="a place that can be written", cause=told) from None
        else:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32))
        key = path.read_text(encoding="ascii").strip()
        if len(key) != 64:
            raise InputError.of(
                "secret", str(path), expected="64 hexadecimal digits", cause="delete it to make a new one"
            )
        self._key = key.encode()
        self._signer = Signer(key, salt="livepapers reader")

    def sign(self, reader: str) -> str:
        """The value of a reader's cookie."""
        return self._signer.sign(reader).decode()

    def reader(self, request: Request) -> str:
        """Whom the request's cookie names, empty if nobody or if it is forged."""
        try:
            return self._signer.unsign(request.cookies.get(READER, "")).decode()
        except BadSignature:
            return ""

    def digest(self, purpose: str, text: str) -> bytes:
        """A keyed hash, 32 bytes; purposes keep tokens of one kind from being used as another."""
        return hmac.new(self._key, f"{purpose}\x1f{text}".encode(), hashlib.sha256).digest()


class Guard:
    """Refuses foreign hosts, cross-site changes and oversized requests, and puts the headers on every answer.

    Args:
        app: What it guards.
        settings: Say which hosts are ours.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._hosts = {*LOOPBACK, settings.host, urlsplit(settings.base).hostname or ""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["method"] == "HEAD":  # answered like GET; the server leaves the body out
            scope = {**scope, "method": "GET"}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.lower().encode() not in have),
                ]
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, with_headers)
        else:
            await self._app(scope, _limited(receive, _most(scope)), with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if _hostname(headers.get("host", "")) not in self._hosts:  # as text: a page's links would lead nowhere
            return PlainTextResponse("400: this page does not answer under that host name", 400)
        request = Request(scope)
        if len(scope.get("query_string", b"")) > QUERY_LIMIT:
            return refused(request, 414, f"queries have at most {QUERY_LIMIT} bytes")
        one_click = scope["method"] == "POST" and ONE_CLICK.fullmatch(scope["path"])
        if scope["method"] not in SAFE and not one_click and (told := self._foreign(headers)):
            return refused(request, 403, told)
        length, most = headers.get("content-length", "0"), _most(scope)
        if not length.isdecimal() or int(length) > most:
            return refused(request, 413, _too_long(most))
        return None

    def _foreign(self, headers: Headers) -> str:
        """Why a change was not asked for by the page itself; empty if it was.

        Fetch Metadata decides where the browser sends it, else an Origin that is ours; a request with neither is
        refused. An Origin under a name that the settings do not know means that `url` was forgotten.
        """
        try:
            origin = urlsplit(headers.get("origin", ""))
            host = origin.hostname or ""
        except ValueError:
            return NOT_OURS
        site = headers.get("sec-fetch-site")
        if site == "same-origin" and "origin" in headers and host not in self._hosts:
            return "changes are made under the page's own address only; its settings name that as `url`"
        if site is not None:
            return "" if site == "same-origin" else NOT_OURS
        return "" if origin.netloc.lower() in self._settings.places(headers.get("host", "")) else NOT_OURS


def _hostname(host: str) -> str:
    """The host of a Host header without its port, in lower case, without a dot at its end; empty if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return ""
        _ = parts.port  # raises where it is no number
    except ValueError:
        return ""
    return (parts.hostname or "").removesuffix(".")


def _most(scope: Scope) -> int:
    """How many bytes the body of a request may have."""
    return UPLOAD_LIMIT if scope["method"] == "POST" and UPLOAD.fullmatch(scope["path"]) else BODY_LIMIT


def _too_long(most: int) -> str:
    size = f"{most // 2**20} MB" if most >= 2**20 else f"{most // 2**10} kB"
    return f"files and values have at most {size} together"


def _limited(receive: Receive, most: int) -> Receive:
    """The body's pieces, as long as they stay within the limit: a chunked body says no length beforehand."""
    seen = 0

    async def read() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, _too_long(most))
        return message

    return read


def remember(request: Request, response: Response, reader: str) -> None:
    """Set the reader's cookie for a year."""
    secret: Secret = request.app.state.secret
    response.set_cookie(
        READER, secret.sign(reader), max_age=YEAR, httponly=True, samesite="lax",
        secure=request.app.state.settings.base.startswith("https://"),
    )  # fmt: skip


def new_reader() -> str:
    """A name that nobody can guess."""
    return secrets.token_urlsafe(24)


def limit(request: Request, kind: str, reader: str = "") -> None:
    """Count a change against the buckets of its network and its reader; 429 when one of them is empty.

    Where only this machine reaches the page, runs and votes are not counted: who is there can do worse anyway.
    """
    if kind in {"run", "vote", "new reader"} and not request.app.state.settings.public:
        return
    store = request.app.state.store
    capacity, rate = RATES[kind]
    whose = {f"network {network(request)}": " from your network, perhaps by others in it"}
    if reader:
        whose[f"reader {reader}"] = ""
    for who, by in whose.items():
        if not store.take(f"{kind} {who}", capacity=capacity, per_second=rate):
            wait = math.ceil(1 / rate) if rate else 86_400
            told = f"too many changes in a short time{by}; try again in {duration(wait)}"
            raise HTTPException(429, told, headers={"Retry-After": str(wait)})


def voter(request: Request) -> str:
    """Who votes: the reader of the cookie, else a new one; a network brings so many new ones a day, 429 beyond."""
    known = request.app.state.secret.reader(request)
    if not known:
        limit(request, "new reader")
    return known or new_reader()


def network(request: Request) -> str:
    """Where a request comes from: an IPv4 address, or the part of an IPv6 address that one subscriber has."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network(f"{host}/64", strict=False))


def require_token(request: Request, token: str = "") -> None:
    """On a page that others reach, runs need the token, as a bearer or in the form: 403 without it, guesses counted."""
    settings: Settings = request.app.state.settings
    if not settings.public:
        return
    if not settings.token:
        raise HTTPException(403, f"runs cannot be started on this page: it is public and ${TOKEN} is not set")
    limit(request, "token")
    given = (token or request.headers.get("authorization", "").removeprefix("Bearer ")).strip()
    if not given:
        raise HTTPException(403, f"this page is public: runs need its token, that of ${TOKEN}")
    if not hmac.compare_digest(given.encode(), settings.token.encode()):
        raise HTTPException(403, "that is not the token of this page")
