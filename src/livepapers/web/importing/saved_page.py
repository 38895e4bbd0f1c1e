"""A daily-papers page or another list of papers as a browser saves it: HTML or plain text.

What makes an entry is a link to arXiv or to a paper's page on Hugging Face. In HTML its title is the text of such a
link, or what is marked as title or heading close to it; in plain text it is the line before the link, or after it.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from livepapers.core.errors import InputError
from livepapers.web.importing import page_html, page_text
from livepapers.web.importing.entry import Batch

LIMIT = 16 * 1024 * 1024
"""Bytes of a file."""

_BINARY = {b"%PDF-": "it is a PDF", b"PK\x03\x04": "it is an archive", b"bplist": "it is a web archive of Safari"}
_HTML = re.compile(
    r"<(?:!doctype html|html|head|body|main|article|section|div|a|p|ul|ol|dl|meta)\b[^<]*>", re.IGNORECASE
)
_CHARSET = re.compile(
    r"utf-8-sig|iso-8859-\d+|windows-\d+|cp\d+|gb\w+|big5|euc-\w+|shift[-_]jis|koi8-\w", re.IGNORECASE
)
_MHTML = re.compile(r"\A(?:[\w-]+:.*\n|[ \t]+.*\n){1,20}?content-type: *multipart/", re.IGNORECASE)


def read(path: Path) -> Batch:
    """The papers of a saved page, each once, in its order.

    Raises:
        InputError: The file cannot be read, is no page, or has no paper.
    """
    text = decoded(load(path, "page"), path)
    batch = page_html.read(text) if _HTML.search(text[:65536]) else page_text.read(text)
    if not (batch.entries or batch.skipped):
        cause = "it has no link to arxiv.org/abs/... or huggingface.co/papers/..."
        raise InputError.of("page", path, expected="a saved page with papers", cause=cause)
    return batch


def load(path: Path, option: str) -> bytes:
    """The bytes of a file that a person named.

    Raises:
        InputError: It cannot be read, or is too long.
    """
    try:
        if path.stat().st_size > LIMIT:
            raise InputError.of(option, path, expected=f"a file of at most {LIMIT:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InputError.of(option, path, expected="a file that can be read", cause=error.strerror or "") from None


def decoded(data: bytes, path: Path) -> str:
    """Text in the encoding that its first bytes or its meta element say, else UTF-8, else that of Western Windows."""
    for begin, what in _BINARY.items():
        if data.startswith(begin):
            raise InputError.of("page", path, expected="HTML or plain text", cause=f"{what}; save the page as HTML")
    text = next(_readings(data))
    if "\0" in text:
        raise InputError.of("page", path, expected="HTML or plain text", cause="it holds bytes that are no text")
    if _MHTML.match(text.replace("\r\n", "\n")[:8192]):
        cause = "it is a single-file archive; save the page as HTML only"
        raise InputError.of("page", path, expected="HTML or plain text", cause=cause)
    return text


def _readings(data: bytes) -> Iterator[str]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield data.decode("utf-16", "replace")
    said = re.search(rb"""<meta[^>]{1,100}charset=["']?([\w-]{1,40})""", data[:4096], re.IGNORECASE)
    for name in ("utf-8-sig", said[1].decode("ascii", "replace") if said else "", "cp1252"):
        try:
            if _CHARSET.fullmatch(name):
                yield data.decode(name)
        except (LookupError, UnicodeError):
            continue
    yield data.decode("utf-8", "replace")
