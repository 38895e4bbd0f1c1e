"""The catalogue: one TOML card a paper, and what can be said about a paper from the files beside it.

A card holds what a person typed once: who, when, where, and a summary in our own words. Whether a paper runs or has
been measured is never typed: `status` looks for its method, its study and its results. Only the standard library is
imported here, so that `livepapers list` answers at once.
"""

import dataclasses
import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from livepapers.core.errors import CorruptFileError, InputError, plainly

Status = Literal["listed", "runs", "measured"]

CARDS = Path(__file__).parent
PACKAGE = CARDS.parent
LIMIT = 64 * 1024  # bytes a card may have: forty times the longest one, and little enough to parse at once
LINE_LIMIT = 400  # characters; tomllib takes 19 s for one dotted key of 64 kB, under 1 s for any card of such lines

IMPORTED = "papers that were imported are on the page only: livepapers serve"
FIELDS: Mapping[str, str] = {
    "operations": "stock, production and fleets",
    "control": "plants and ecosystems steered by rules that can be read",
    "games-and-robots": "agents in games, mazes and on robot arms",
    "evolution": "populations of policies and archives of behaviours",
    "samplers": "drawing objects in proportion to a reward",
    "language-models": "training, aligning and understanding language models",
    "compression": "smaller networks: search, pruning, merging, quantisation",
    "robustness": "certificates and diagnosis of trained policies",
    "images": "filters, features and augmentations for pictures",
    "time-series": "forecasting many series at once",
    "graphs": "networks, hypergraphs and whole-graph prediction",
}

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_IMPORTED = re.compile(r"-(?:[0-9a-f]{8}|\d{4}-\d{4,5})(?:-\d+)?$", re.ASCII)  # how the slugs end that an import makes
_DATE = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?", re.ASCII)
_ARXIV = re.compile(r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}", re.ASCII)
_DOI = re.compile(r"10\.\d{4,9}/[!-~]+", re.ASCII)
_URL = re.compile(r"https://[!-~]+", re.ASCII)
_MISSING = re.compile(rb"""raise NotImplementedError\(\s*f?["']missing: """)
_REQUIRED = ("slug", "title", "authors", "submitted", "field", "tags", "summary", "code_url", "code_licence", "venue")
_OPTIONAL = ("arxiv", "doi", "url", "questions", "invariances", "reduction", "checks_expected_to_fail")
_MAY_BE_EMPTY = frozenset({"code_url", "code_licence", "venue"})


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about a paper before anything is run."""

    slug: str  # the paper's one name: file, module, study, page, command line
    title: str
    authors: tuple[str, ...]  # as printed: given names first
    submitted: str  # when it was first submitted: YYYY-MM-DD, or YYYY-MM where the day is not known
    field: str  # a key of FIELDS
    tags: tuple[str, ...]
    summary: str  # our own words: what it does, for whom, what there is to measure
    code_url: str  # the authors' code; empty when none was published
    code_licence: str  # SPDX identifier, or what the repository says; empty when there is no code
    venue: str  # where it was published after review; empty when it was not
    arxiv: str = ""
    doi: str = ""
    url: str = ""
    questions: tuple[str, ...] = ()  # that somebody who does not know the paper asks, and it answers; search reads them
    invariances: str = ""  # what may change without changing the result; the battery tests it
    reduction: str = ""  # the special case in which the method equals a simpler one; the battery tests it
    checks_expected_to_fail: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)  # check -> reason

    @property
    def year(self) -> int:
        """The year of first submission."""
        return int(self.submitted[:4])

    @property
    def link(self) -> str:
        """Where the paper can be read."""
        if self.arxiv:
            return f"https://arxiv.org/abs/{self.arxiv}"
        return f"https://doi.org/{self.doi}" if self.doi else self.url


def load() -> dict[str, Card]:
    """All cards by slug, newest paper first; a copy, so that callers may change it.

    Raises:
        InputError: A card file is not valid; the message names the file and the key.
    """
    return dict(_cards())


@functools.cache
def _cards() -> dict[str, Card]:
    cards = [_read(path) for path in sorted(CARDS.glob("*.toml"))]
    return {card.slug: card for card in newest_first(cards)}


def newest_first(cards: list[Card]) -> list[Card]:
    """Sort by date of first submission, the newest first, papers of one date by slug."""
    by_slug = sorted(cards, key=lambda card: card.slug)
    return sorted(by_slug, key=lambda card: card.submitted, reverse=True)


def card(slug: str) -> Card:
    """The card of one paper.

    Raises:
        InputError: No paper has this slug; the message suggests close ones.
    """
    cards = _cards()
    if slug in cards:
        return cards[slug]
    close = "" if _IMPORTED.search(slug) else did_you_mean(slug)
    cause = close or f"`livepapers list` shows all; {IMPORTED}"
    raise InputError.of("slug", slug, expected=f"one of the {len(cards)} papers", cause=cause)


def did_you_mean(slug: str) -> str:
    """A question that names the papers whose slugs are close to this one; empty when none is."""
    import difflib

    close = difflib.get_close_matches(slug.casefold()[:80], _cards(), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else ""


def check_slug(text: str, *, field: str) -> None:
    """Refuse what cannot be a paper's slug (or a tag); raises `InputError`."""
    if not _SLUG.fullmatch(text):
        raise InputError.of(field, text, expected="lower-case words joined by hyphens")


def module_name(slug: str) -> str:
    """The slug as Python writes it: `fl-gfn` becomes `fl_gfn`."""
    return slug.replace("-", "_")


def method_module(slug: str) -> str | None:
    """The dotted name of the paper's method, or None; found by path, nothing is imported.

    Raises:
        InputError: No paper has this slug.
    """
    return _module("methods", slug)


def study_module(slug: str) -> str | None:
    """The dotted name of the paper's study, or None; found by path, nothing is imported.

    Raises:
        InputError: No paper has this slug.
    """
    return _module("studies", slug)


def _module(layer: str, slug: str) -> str | None:
    name = module_name(card(slug).slug)
    base = PACKAGE / layer
    exists = (base / f"{name}.py").is_file() or (base / name / "__init__.py").is_file()
    return f"{PACKAGE.name}.{layer}.{name}" if exists else None


def _sources(layer: str, slug: str) -> list[Path]:
    """The source files of a method or study: one module, or those of a package."""
    base = PACKAGE / layer / module_name(card(slug).slug)
    return sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]


def _says_missing(path: Path) -> bool:
    return _MISSING.search(path.read_bytes()) is not None


def results_path(slug: str) -> Path:
    """Where the committed results of a paper lie, or would lie.

    Raises:
        InputError: No paper has this slug.
    """
    return PACKAGE / "results" / f"{card(slug).slug}.json"


def results(slug: str) -> dict[str, Any] | None:
    """The committed results of a paper, or None when nothing has been measured.

    Raises:
        InputError: No paper has this slug.
        CorruptFileError: The file is there and is not a JSON object.
    """
    path = results_path(slug)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    import json

    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(
            f"{path.name}: not readable ({plainly(error)}); restore it from version control"
        ) from error
    if not isinstance(found, dict):
        raise CorruptFileError(f"{path.name}: holds a {type(found).__name__}, expected an object of results")
    return found


def status(slug: str) -> Status:
    """How far a paper has come, computed from the files: "listed", "runs" (method, study) or "measured" (results too).

    A method or study with a part that still raises what is missing, as `livepapers new` writes it, does not run.

    Raises:
        InputError: No paper has this slug.
    """
    if method_module(slug) is None or study_module(slug) is None:
        return "listed"
    if any(_says_missing(path) for layer in ("methods", "studies") for path in _sources(layer, slug)):
        return "listed"
    return "measured" if results_path(slug).is_file() else "runs"


def _read(path: Path) -> Card:
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError.of(path.name, f"byte {error.start}", expected="UTF-8 text", cause=error.reason) from error
    found = parse(text, path.name)
    if found.slug != path.stem:
        raise InputError.of(f"{path.name}: slug", found.slug, expected=path.stem, cause="the file has the paper's name")
    return found


def parse(text: str, source: str) -> Card:
    """Read a card from TOML text; whatever the text is, the answer is a card or an `InputError`.

    Args:
        text: The card, at most 64 kB as UTF-8.
        source: What messages call it, normally the file's name.

    Raises:
        InputError: The text is too long, not TOML, or not a card; the message names the key.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LIMIT:
        raise InputError.of(source, f"{size} bytes", expected=f"at most {LIMIT} bytes")
    longest = max(map(len, text.split("\n")))
    if longest > LINE_LIMIT:
        raise InputError.of(source, f"a line of {longest} characters", expected=f"lines of at most {LINE_LIMIT}")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        cause = ascii(str(error)[:120])
        raise InputError.of(source, "text that is not TOML", expected="a card in TOML", cause=cause) from error
    return _card(table, source)


def _card(table: dict[str, Any], source: str) -> Card:
    for key in table:
        if key not in _REQUIRED and key not in _OPTIONAL:
            raise InputError.of(source, ascii(key), expected="a key that cards have", cause=_unknown(key))
    for key in _REQUIRED:
        if key not in table:
            raise InputError.of(f"{source}: {key}", "nothing", expected="a value: every card has this key")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in ("authors", "tags", "questions"):
            values[key] = _names(value, f"{source}: {key}")
        elif key == "checks_expected_to_fail":
            values[key] = _reasons(value, f"{source}: {key}")
        else:
            values[key] = _line(value, f"{source}: {key}", may_be_empty=key in _MAY_BE_EMPTY)
    made = Card(**values)
    _check(made, source)
    return made


def _unknown(key: str) -> str:
    if key == "status":
        return "a status is computed, never typed"
    import difflib

    close = difflib.get_close_matches(key[:80], [*_REQUIRED, *_OPTIONAL], n=1)
    return f"did you mean {close[0]}?" if close else ""


def _line(value: Any, name: str, *, may_be_empty: bool = False) -> str:
    """Text on one line: TOML's line breaks are for the eyes of the editor."""
    if not isinstance(value, str):
        raise InputError.of(name, f"a value of type {type(value).__name__}", expected="text in quotes")
    if not may_be_empty and not value.strip():
        raise InputError.of(name, "an empty text", expected="some text")
    line = " ".join(value.split())
    if not line.isprintable():
        raise InputError.of(name, ascii(line), expected="text without control characters")
    return line


def _names(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise InputError.of(name, f"a value of type {type(value).__name__}", expected="a list of at least one text")
    names = tuple(_line(item, name) for item in value)
    if len(set(names)) != len(names):
        raise InputError.of(name, ", ".join(names), expected="each name once")
    return names


def _reasons(value: Any, name: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InputError.of(name, f"a value of type {type(value).__name__}", expected="a table: check = reason")
    return {_line(check, name): _line(reason, f"{name}.{check[:80]!a}") for check, reason in value.items()}


def _check(card: Card, source: str) -> None:
    """The rules that hold between a card's values; the types are right by now."""
    patterns = (
        ("arxiv", _ARXIV, "an arXiv identifier such as 2306.11246"),
        ("doi", _DOI, "a DOI such as 10.1073/pnas.1800683115"),
        ("url", _URL, "an address that begins with https://"),
        ("code_url", _URL, "an address that begins with https://"),
    )
    check_slug(card.slug, field=f"{source}: slug")
    for key, pattern, expected in patterns:
        value = getattr(card, key)
        if value and not pattern.fullmatch(value):
            raise InputError.of(f"{source}: {key}", value, expected=expected)
    for tag in card.tags:
        check_slug(tag, field=f"{source}: tags")
    if card.field not in FIELDS:
        raise InputError.of(f"{source}: field", card.field, expected=f"one of {', '.join(FIELDS)}")
    _check_date(card.submitted, f"{source}: submitted")
    if not card.link:
        raise InputError.of(f"{source}: arxiv", "nothing", expected="an arXiv identifier, or a doi or url instead")
    if bool(card.code_url) != bool(card.code_licence):
        expected = "both or neither of code_url and code_licence"
        raise InputError.of(f"{source}: code_licence", card.code_licence or "nothing", expected=expected)


def _check_date(text: str, name: str) -> None:
    import calendar

    match = _DATE.fullmatch(text)
    if match is None:
        raise InputError.of(name, text, expected="a date as YYYY-MM-DD, or YYYY-MM")
    year, month, day = (int(part or 1) for part in match.groups())
    if not 1950 <= year <= 2100:
        raise InputError.of(name, text, expected="a year between 1950 and 2100")
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise InputError.of(name, text, expected="a day that the calendar has")


def as_dict(card: Card) -> dict[str, Any]:
    """The card as JSON values, with its computed link and status."""
    values = dataclasses.asdict(card) | {"link": card.link, "status": status(card.slug)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
