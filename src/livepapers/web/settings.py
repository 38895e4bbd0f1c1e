"""What a page is told: where it listens, where it keeps things, and how it sends mail."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from livepapers.core.config import config_dataclass, setting
from livepapers.core.errors import InputError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LIMIT = 64 * 1024  # bytes a settings file may have
PASSWORD, TOKEN = "LIVEPAPERS_SMTP_PASSWORD", "LIVEPAPERS_TOKEN"


@config_dataclass
class Settings:
    """All settings of the page; secrets come from the environment, never from the command line or the file."""

    store: str | None = setting(None, "file, folder or database URL; None is the lab's default store")
    host: str = setting("127.0.0.1", "address to listen at; beyond loopback, runs need a token")
    port: int = setting(8765, "0 takes a free one", ge=0, le=65535)
    url: str = setting("", "under which readers reach the page, for links in mail and feeds; http://host:port if empty")
    forwarded: bool = setting(
        False, "the server in front sets X-Forwarded-For itself: readers' addresses, which floods are counted by"
    )
    smtp_host: str = setting("", "mail server; empty: mails are written to the outbox")
    smtp_port: int = setting(587, "of the mail server", ge=1, le=65535)
    smtp_user: str = setting("", "empty: no login; its password is in LIVEPAPERS_SMTP_PASSWORD")
    smtp_security: Literal["starttls", "tls", "none"] = setting("starttls", "none is for servers on loopback")
    sender: str = setting("livepapers@localhost", "address that digests come from")
    outbox: str = setting("", "folder of .eml files when there is no mail server; `outbox` beside the store if empty")
    engine: Literal["local", "ray"] = setting("local", "what computes the runs that are started on the page")
    ray_address: str = setting("", "of the Ray cluster; empty starts one")
    workers: int = setting(0, "cells at once in runs started on the page; 0 is one a core", ge=0, le=1024)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if self.url and not _is_address(self.url):
            raise InputError.of("url", self.url, expected="http:// or https:// and a host, with a port at most")
        if self.smtp_security == "none" and self.smtp_host and self.smtp_host not in LOOPBACK:
            raise InputError.of("smtp_security", "none", expected="starttls or tls", cause="the server is not loopback")

    @property
    def public(self) -> bool:
        """Whether others than this machine can reach the page: by itself, or through a server in front of it.

        A token says so too: whoever sets one means it to be asked for, also where `url` was forgotten.
        """
        addresses = {self.host, urlsplit(self.base).hostname or ""}
        return not addresses <= LOOPBACK or bool(self.token)

    @property
    def base(self) -> str:
        """The address that absolute links begin with, without a slash at its end; never taken from a request."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.url or f"http://{host}:{self.port}").rstrip("/")

    def places(self, host: str) -> set[str]:
        """Host and port of the page as browsers know it: a server in front may put its own name into Host."""
        return {place for place in (host.lower(), urlsplit(self.base).netloc.lower()) if place}

    @property
    def token(self) -> str:
        """What a request must show to start a run when the page is public; empty: nobody can."""
        return os.environ.get(TOKEN, "")

    @property
    def smtp_password(self) -> str:
        """Of the mail account."""
        return os.environ.get(PASSWORD, "")


def _is_address(url: str) -> bool:
    """Whether it is a scheme and a host, with or without a port: links on the pages begin at the root of a host."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    more = parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not more and url.isprintable()


def read(path: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """Settings from a TOML file with the keys of `Settings`, overridden by what was given on the command line.

    Raises:
        InputError: The file cannot be read, or a value is wrong; the message names file and key.
    """
    found: dict[str, Any] = {}
    if path is not None:
        try:
            if path.stat().st_size > LIMIT:
                raise InputError.of("settings", str(path), expected=f"at most {LIMIT:,} bytes")
            found = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError.of("settings", str(path), expected="a TOML file", cause=str(error)) from None
        unknown = found.keys() - Settings.__dataclass_fields__.keys()
        if unknown:
            known = ", ".join(Settings.__dataclass_fields__)
            raise InputError.of("settings", min(unknown), expected=f"one of {known}", cause=f"in {path}")
    return Settings(**{**found, **{name: value for name, value in overrides.items() if value is not None}})
