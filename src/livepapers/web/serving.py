"""Where the page is served: the socket, bound first so that a taken port is one line, and the address."""

import dataclasses
import errno
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from livepapers.core.errors import InputError
from livepapers.core.files import write_atomic
from livepapers.web.settings import LOOPBACK, Settings

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - they are refused
ADDRESS = "page.address"
"""The file beside the store that says where the page was last served, for links in digests."""


def remember(home: Path, settings: Settings) -> None:
    """Note where readers reach the page."""
    write_atomic(home / ADDRESS, settings.base)


def last_served(home: Path) -> str:
    """Where readers reached the page when it was last served; empty if it never was."""
    try:
        return (home / ADDRESS).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """A listening socket, and the settings with the port that it has.

    Raises:
        InputError: The address is not this machine's, or the port is taken.
    """
    if settings.host in ANY and not settings.url:
        raise InputError.of(
            "url", "nothing", expected="the address that readers use, such as http://papers.example:8765",
            cause=f"{settings.host} listens everywhere and is no address; settings name it, or give --host the address",
        )  # fmt: skip
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.create_server(address[:2], family=family, backlog=512)
    except (OSError, OverflowError) as error:
        if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            expected = "a name or an address of this machine"
            raise InputError.of("host", settings.host, expected=expected, cause=str(error)) from None
        shown = f"{settings.host}:{settings.port}"
        raise InputError.of("port", shown, expected="a free port of this machine", cause=str(error)) from None
    return made, dataclasses.replace(settings, port=made.getsockname()[1])


def server_config(app: "ASGIApp", settings: Settings) -> "uvicorn.Config":
    """How the page is served.

    Readers choose what X-Forwarded-For says unless the server in front sets it, so it is believed only where the
    settings say so: else all readers behind that server are one network, and share its limits.
    """
    import uvicorn

    return uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=15, limit_concurrency=500,
        timeout_graceful_shutdown=3, proxy_headers=settings.forwarded, forwarded_allow_ips="127.0.0.1,::1",
    )  # fmt: skip


def warning(settings: Settings) -> str:
    """What the person who serves the page should know about the server in front of it; empty where nothing is odd."""
    if not settings.public or settings.host not in LOOPBACK:
        return ""
    if not settings.url:
        return "a token is set and no `url`: browsers elsewhere can only read, name the page's address in the settings"
    if not settings.forwarded:
        return "all readers count as one: let the server in front set X-Forwarded-For, then set `forwarded = true`"
    return ""
