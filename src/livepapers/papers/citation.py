"""How to cite a paper of the catalogue: BibTeX and RIS, written from its card."""

import re
from urllib.parse import quote

from livepapers.papers import formulas
from livepapers.papers.catalogue import Card
from livepapers.papers.search import fold

# BibTeX counts braces without looking at backslashes, so literal braces become commands.
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "#": r"\#",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_TABLE = str.maketrans(_LATEX)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SMALL = frozenset(
    {"a", "an", "and", "at", "between", "by", "for", "from", "in", "of", "on", "the", "to", "via", "with"}
)
_SUFFIX = re.compile(r"(?:jr|sr)\.?|ii|iii|iv", re.IGNORECASE)


def bibtex(card: Card) -> str:
    """The paper as one BibTeX entry: `@misc` with its arXiv number, braces balanced, LaTeX's own signs escaped.

    Umlauts and accents stay as they are: BibTeX files have been UTF-8 for long.
    """
    fields = {
        "title": f"{{{formulas.latex(_line(card.title), _literal)}}}",
        "author": " and ".join(_bibtex_name(author) for author in card.authors),
        "year": str(card.year),
        "month": _MONTHS[int(card.submitted[5:7]) - 1] if len(card.submitted) > 4 else "",
        "eprint": card.arxiv,
        "archiveprefix": "arXiv" if card.arxiv else "",
        "doi": escape(card.doi),
        "url": _address(card.link),
        "note": escape(card.venue),
    }
    lines = [f"  {key:<13} = {value if key == 'month' else f'{{{value}}}'}," for key, value in fields.items() if value]
    return "\n".join([f"@misc{{{key(card)},", *lines, "}", ""])


def ris(card: Card) -> str:
    """The paper as one RIS record, for reference managers; lines end as the format wants, with CR LF."""
    year, month, day = [*card.submitted.split("-"), "", ""][:3]
    pairs = [
        ("TY", "GEN"),
        ("TI", card.title),
        *(("AU", _family_first(author)) for author in card.authors),
        ("PY", year),
        ("DA", f"{year}/{month}/{day}/"),
        ("PB", "arXiv" if card.arxiv else ""),
        ("AN", f"arXiv:{card.arxiv}" if card.arxiv else ""),
        ("DO", card.doi),
        ("UR", _address(card.link)),
        ("N1", card.venue),
        *(("KW", tag) for tag in card.tags),
    ]
    lines = [f"{tag}  - {' '.join(value.split())}" for tag, value in pairs if value]
    return "\r\n".join([*lines, "ER  - ", ""])


def key(card: Card) -> str:
    """The citation key: the first author's family name, the year, the first telling word of the title."""
    family = _ascii(_split(card.authors[0])[1]) or "anonymous"
    telling = (word for word in re.split(r"[^\w]+", card.title) if _ascii(word) and word.casefold() not in _SMALL)
    return f"{family}{card.year}{_ascii(next(telling, '')) or 'paper'}"


def escape(text: str) -> str:
    """Text as LaTeX shows it literally, on one line, with as many opening as closing braces."""
    return _literal(_line(text))


def _line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _literal(text: str) -> str:
    return text.translate(_TABLE)


def _address(link: str) -> str:
    """A link without anything that could end a BibTeX field or an RIS line."""
    return quote(link, safe="/:?&=#%+,;@()!*'~.-_$", errors="replace")


def _ascii(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", fold(text))


def _split(author: str) -> tuple[str, str, str]:
    """Given names, family name with its particles (`de`, `van der`), and suffix (`III`) of a name as printed."""
    parts = author.split()
    suffix = parts.pop() if len(parts) > 2 and _SUFFIX.fullmatch(parts[-1]) else ""
    start = len(parts) - 1
    while start > 1 and parts[start - 1].islower():
        start -= 1
    return " ".join(parts[:start]), " ".join(parts[start:]), suffix


def _family_first(author: str) -> str:
    given, family, suffix = _split(author)
    return ", ".join(part for part in (family, given, suffix) if part)


def _bibtex_name(author: str) -> str:
    """A name as BibTeX reads it without guessing; a family name `and` would split the list, so it is braced."""
    given, family, suffix = (escape(part) for part in _split(author))
    family = f"{{{family}}}" if re.search(r"\band\b|,", family, re.IGNORECASE) else family
    given = f"{{{given}}}" if re.search(r"\band\b|,", given, re.IGNORECASE) else given
    return ", ".join(part for part in (family, suffix, given) if part)
