"""Mail: one message to one reader, and the two ways it leaves: a server, or a folder of `.eml` files."""

import contextlib
import re
import secrets
import smtplib
import ssl
from collections.abc import Collection
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from livepapers.core.errors import LivepapersError
from livepapers.core.files import write_atomic
from livepapers.web.rendering import environment
from livepapers.web.settings import Settings
from livepapers.web.subscriptions import checked_address, utc

Fate = Literal["sent", "refused", "failed", "unsure"]
"""What became of a mail: gone, refused for good, certainly not sent this time, or nobody knows."""

TIMEOUT = 30.0
"""Seconds that the mail server has for each answer."""
_OURS = re.compile(r"digest-\d{4}-[\dW-]+|[0-9a-f]{16}", re.ASCII)  # names of the files in an outbox
POLICY = SMTP.clone(max_line_length=900)  # links in headers are neither folded nor encoded; 998 is what SMTP allows


class UnreachableError(LivepapersError):
    """The mail server does not answer, or refuses us; nothing was sent."""


class Post(Protocol):
    """A way for mail to leave; opened with `with`."""

    where: str  # for people

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def ready(self) -> None:
        """See that a mail can be sent now; raises `UnreachableError`."""
        ...

    def send(self, message: EmailMessage, name: str) -> Fate:
        """Send one message; `name` is unique to it."""
        ...


class Outbox:
    """Writes messages as files, each whole or not at all.

    Args:
        folder: Where they go; made with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.where = folder, str(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def ready(self) -> None:
        """A folder always is; a full disk shows when a file is written."""

    def send(self, message: EmailMessage, name: str) -> Fate:
        """Write `<name>.eml`; the same name again replaces it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # links in mails are for one reader only
            write_atomic(self.folder / f"{name}.eml", message.as_bytes())
        except OSError:
            return "failed"
        return "sent"


class Server:
    """Sends messages through an SMTP server, over one connection that is opened again when it was lost.

    Args:
        settings: Name the server, how it is spoken to, and the account.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._smtp: smtplib.SMTP | None = None
        self.where = f"{settings.smtp_host}:{settings.smtp_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye if there is still somebody to hear it."""
        if self._smtp is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._smtp.quit()
            self._drop()

    def ready(self) -> None:
        """Open the connection, or see that it still answers.

        Raises:
            UnreachableError: There is no connection to be had.
        """
        if self._smtp is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                if self._smtp.rset()[0] == 250:
                    return
            self._drop()
        try:
            self._smtp = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            raise UnreachableError(f"mail server {self.where}: {_said(error)}") from error

    def send(self, message: EmailMessage, name: str) -> Fate:  # noqa: ARG002 - its Message-ID has the name already
        """Send a message to its one recipient.

        Only what fails before the text was handed over, or is refused by an answer, has certainly not been sent; where
        the connection breaks later the server may have taken it.
        """
        smtp = self._smtp
        if smtp is None:
            raise UnreachableError(f"mail server {self.where}: not connected")
        try:
            for code, _ in (smtp.mail(_bare(message["From"])), smtp.rcpt(_bare(message["To"]))):
                if code not in {250, 251}:
                    return "refused" if 500 <= code < 600 else "failed"
        except (OSError, smtplib.SMTPException):
            self._drop()
            return "failed"
        try:
            code, _ = smtp.data(message.as_bytes())
        except smtplib.SMTPDataError as error:
            return "refused" if 500 <= error.smtp_code < 600 else "failed"
        except (OSError, smtplib.SMTPException):
            self._drop()
            return "unsure"
        if code == 250:
            return "sent"
        return "refused" if 500 <= code < 600 else "failed" if 400 <= code < 500 else "unsure"

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        context = ssl.create_default_context()  # checks the certificate and the host name
        place = (settings.smtp_host, settings.smtp_port)
        if settings.smtp_security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(*place, timeout=TIMEOUT, context=context)
        else:
            smtp = smtplib.SMTP(*place, timeout=TIMEOUT)
        try:
            if settings.smtp_security == "starttls":
                smtp.starttls(context=context)  # raises where the server does not offer it: nothing goes in the clear
            if settings.smtp_user:
                smtp.login(settings.smtp_user, settings.smtp_password)
            smtp.ehlo_or_helo_if_needed()
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
        self._smtp = None


def post(settings: Settings, home: Path) -> Server | Outbox:
    """How mail leaves by the settings.

    Args:
        settings: Name a server, a folder, or neither.
        home: The store's folder, in which the outbox is if no other is named.
    """
    if settings.smtp_host:
        return Server(settings)
    return Outbox(_outbox(settings, home))


def _outbox(settings: Settings, home: Path) -> Path:
    return Path(settings.outbox).expanduser().absolute() if settings.outbox else home / "outbox"


def forget(settings: Settings, home: Path, addresses: Collection[str]) -> None:
    """Delete the mails to these addresses that we wrote to the outbox; what else lies there stays."""
    parser = BytesHeaderParser(policy=POLICY)
    for path in _outbox(settings, home).glob("*.eml") if addresses else ():
        if _OURS.fullmatch(path.stem):
            with path.open("rb") as file:
                to = parser.parse(file)["To"]
            if to and to.addresses and _bare(to) in addresses:
                path.unlink(missing_ok=True)


def compose(
    settings: Settings,
    *,
    to: str,
    subject: str,
    template: str,
    now: float,
    stop: str = "",
    name: str = "",
    **values: Any,
) -> EmailMessage:
    """A message with a text part and an HTML part.

    Args:
        settings: Name the sender, and the address that links begin with.
        to: The one recipient.
        subject: In our own words, on one line.
        template: The templates' name in `templates/mail` without its ending.
        now: When it is sent.
        stop: The address that ends what it belongs to with one click; empty for a mail that somebody asked for.
        name: Unique to the message.
        **values: What the templates show.

    Raises:
        InputError: The recipient or the sender is no mail address.
        ValueError: The subject or the link would break out of its header.
    """
    sender = checked_address(settings.sender, "sender")
    domain = sender.rpartition("@")[2]
    message = EmailMessage(policy=POLICY)
    message["From"] = f"livepapers <{sender}>"
    message["To"] = checked_address(to)
    message["Subject"] = _header(subject)
    message["Date"] = format_datetime(utc(now))
    message["Message-ID"] = f"<{_header(name or secrets.token_hex(16))}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if stop:
        message["List-Id"] = f"livepapers digest <digest.{domain}>"
        message["List-Unsubscribe"] = f"<{_header(stop)}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    shown = {"base": settings.base, "stop": stop, **values}
    for kind, subtype in (("txt", "plain"), ("html", "html")):
        text = environment().get_template(f"mail/{template}.{kind}.j2").render(shown)
        add = message.add_alternative if subtype == "html" else message.set_content
        add(text, subtype=subtype, cte="quoted-printable")
    return message


def send_one(settings: Settings, home: Path, message: EmailMessage) -> Fate:
    """Send a single message over a connection of its own.

    Raises:
        UnreachableError: The mail server does not answer.
    """
    with post(settings, home) as opened:
        opened.ready()
        return opened.send(message, secrets.token_hex(8))


def _header(text: str) -> str:
    """The text if it can stand in a header: printable ASCII, so that nothing is folded, encoded or begins a new one."""
    if not (text.isascii() and text.isprintable() and len(text) < 800):
        raise ValueError(f"a mail header cannot hold {text!a:.80}")
    return text


def _bare(header: Any) -> str:
    """The address in a From or To header."""
    return header.addresses[0].addr_spec


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    return str(error) or type(error).__name__
