"""Papers from a BibTeX file, accents and commands of LaTeX decoded."""

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from livepapers.core.errors import InputError
from livepapers.papers.formulas import FORMULA
from livepapers.web.importing.entry import Batch, arxiv_id
from livepapers.web.importing.saved_page import load
from livepapers.web.rendering import line

PIECE = 64 * 1024
"""Characters of one entry; abstracts and long lists of authors fit in."""
ABBREVIATIONS = 20
"""Names without a @string definition that one entry may use."""
INCOMPLETE = "the entry is not complete: a brace or a quote is not closed, or a comma is missing"

_BEGIN = re.compile(r"^[ \t]*@\s*([A-Za-z]+)\s*[{(]\s*([^,\s{}()=]*)", re.MULTILINE)
_NOT_PAPERS = frozenset({"comment", "preamble", "string"})
_COMMANDS = re.compile(
    r"\\(?:emph|textbf|textit|textsl|textsc|texttt|textrm|textsf|textup|text|mbox|url|href|ensuremath|uppercase|"
    r"MakeUppercase|NoCaseChange|protect|relax|em|it|bf|sc|tt|rm|sf)(?![A-Za-z])\s*"
)
_SIGNS = {"---": "—", "--": "–", "``": "“", "''": "”", "\\,": " ", "\\ ": " ", "\\-": "", "\\/": ""}
_IN_TEXT = re.compile(r"\barxiv:\s*([\w.-]+(?:/\d{7})?)", re.IGNORECASE | re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read(path: Path) -> Batch:
    """The papers of a BibTeX file, in its order; entries that cannot be read are skipped.

    Raises:
        InputError: The file cannot be read, or has no entry.
    """
    try:
        text = load(path, "bibtex").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cause = f"byte {error.start} is not; save the file as UTF-8"
        raise InputError.of("bibtex", path, expected="UTF-8 text", cause=cause) from None
    batch, read_one = Batch(), _reader()
    for kind, key, piece in _pieces(text):
        if len(piece) > PIECE:
            batch.skip(key, f"the entry is longer than {PIECE:,} characters")
        elif isinstance(found := read_one(piece), str):
            if kind not in _NOT_PAPERS:
                batch.skip(key, found)
        else:
            _take(batch, key, found)
    if not (batch.entries or batch.skipped):
        raise InputError.of("bibtex", path, expected="a BibTeX file", cause="it has no entry such as @article{...}")
    return batch


def _pieces(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind, key and text of each entry: read one by one, an entry that is not closed spoils no other."""
    begins = list(_BEGIN.finditer(text))
    for place, found in enumerate(begins):
        end = begins[place + 1].start() if place + 1 < len(begins) else len(text)
        yield found[1].lower(), found[2] or f"entry {place + 1}", text[found.start() : end]


def _reader() -> Any:
    """What reads an entry: its fields, or in words why there are none. It remembers the @string definitions it saw."""
    from bibtexparser.bibdatabase import UndefinedString
    from bibtexparser.bparser import BibTexParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bibtexparser 1 is at odds with newer releases of pyparsing about names
        parser: Any = BibTexParser(common_strings=True, ignore_nonstandard_types=False)

    def read_one(piece: str) -> dict[str, str] | str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(ABBREVIATIONS):
                try:
                    found = [dict(entry) for entry in parser.parse(piece, partial=True).entries]
                except UndefinedString as error:  # of a style that is not at hand: as good as its name
                    parser.bib_database.strings[str(error.args[0])] = str(error.args[0])
                    continue
                except RecursionError:
                    return "the entry has too many braces in braces"
                finally:
                    parser.bib_database.entries.clear()
                    parser.bib_database.comments.clear()
                return found[0] if found else INCOMPLETE
        return "the entry has too many abbreviations that are not defined in the file"

    return read_one


def _take(batch: Batch, key: str, fields: Mapping[str, str]) -> None:
    arxiv = _arxiv(fields)
    batch.add(
        key, decoded(fields.get("title", "")), authors=_authors(fields.get("author", "")), arxiv=arxiv,
        doi=fields.get("doi", "").strip("{} ").replace("\\_", "_"), url=_url(fields),
        # the date of an entry is that of publication; a paper on arXiv was submitted when its identifier says
        submitted="" if arxiv else _date(fields),
    )  # fmt: skip


def _arxiv(fields: Mapping[str, str]) -> str:
    """The arXiv identifier: BibLaTeX's field, or wherever reference managers write it."""
    kind = (fields.get("archiveprefix") or fields.get("eprinttype") or "arxiv").casefold()
    if kind == "arxiv" and (number := arxiv_id(fields.get("eprint", ""))):
        return number
    if number := arxiv_id(_url(fields)) or arxiv_id(fields.get("arxiv", "")) or arxiv_id(fields.get("arxivid", "")):
        return number
    for name in ("journal", "note", "howpublished", "number", "volume", "publisher"):
        if (found := _IN_TEXT.search(fields.get(name, ""))) and (number := arxiv_id(found[1].rstrip("."))):
            return number
    return ""


def _url(fields: Mapping[str, str]) -> str:
    """The address, bare: braces around it and backslashes before signs are LaTeX's."""
    text = fields.get("url") or fields.get("howpublished", "")
    found = re.search(r"https?://[^\s{}]+", text)
    return re.sub(r"\\([_%&#~])", r"\1", found[0]) if found else ""


def _date(fields: Mapping[str, str]) -> str:
    found = re.match(r"\d{4}(?:-\d{2}){0,2}(?!\d)", fields.get("date", ""))
    if found:
        return found[0]
    year, month = fields.get("year", "").strip("{} "), fields.get("month", "").strip("{} ").casefold()
    if not re.fullmatch(r"\d{4}", year, re.ASCII):
        return ""
    if month[:3] in _MONTHS:
        return f"{year}-{_MONTHS.index(month[:3]) + 1:02}"
    return f"{year}-{int(month):02}" if re.fullmatch(r"\d{1,2}", month, re.ASCII) else year


def _authors(text: str) -> list[str]:
    """The names, given names first."""
    from bibtexparser.customization import InvalidName, splitname

    names = []
    for one in _split(line(text)):
        try:
            parts = splitname(one, strict_mode=False)
        except InvalidName:
            continue
        name = decoded(" ".join(part for kind in ("first", "von", "last", "jr") for part in parts.get(kind, [])))
        if name and one.casefold() != "others":
            names.append(name)
    return names


def _split(text: str) -> Iterator[str]:
    """Split at the word "and" where it stands outside of braces."""
    depth, begin = 0, 0
    for found in re.finditer(r"[{}]|\s+and\s+", text):
        if found[0] in "{}":
            depth += 1 if found[0] == "{" else -1
        elif depth <= 0:
            yield text[begin : found.start()]
            begin = found.end()
    yield text[begin:]


def decoded(text: str) -> str:
    """LaTeX as plain text: accents become letters, commands of style go, formulas between dollars stay."""
    bare = _COMMANDS.sub("", text)
    for sign, letter in _SIGNS.items():
        bare = bare.replace(sign, letter)
    made, last = "", 0
    for formula in FORMULA.finditer(bare):  # an accent is none in it: "\\lambda" is no "ł" and "ambda"
        made += _unicode(bare[last : formula.start()]) + formula[0]
        last = formula.end()
    return line(made + _unicode(bare[last:]))


def _unicode(text: str) -> str:
    from bibtexparser.latexenc import latex_to_unicode

    return latex_to_unicode(re.sub(r"(?<!\\)~", " ", text)).replace("\\$", "$")
