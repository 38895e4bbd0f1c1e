"""Templates: autoescape always on, links only to http and https, and what every page knows."""

import functools
import hashlib
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from livepapers.lab import figures
from livepapers.lab.report.summary import by_setting, tally
from livepapers.lab.words import asked, coded, count, duration, estimate, number, p_text
from livepapers.papers import catalogue
from livepapers.web.store import Paper

STATIC = Path(__file__).parent / "static"


def page(request: Request, template: str, *, http_status: int = 200, **values: Any) -> HTMLResponse:
    """An HTML answer of a template."""
    html = environment().get_template(template).render(request=request, settings=request.app.state.settings, **values)
    return HTMLResponse(html, http_status)


@functools.cache
def environment() -> Environment:
    """The one environment of all templates, those of mail included."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("livepapers.web"), PackageLoader("livepapers.lab")]),  # reports' macros
        autoescape=True,  # forced: titles, authors, summaries and names are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "safe_link": safe_link, "number": number, "duration": duration, "count": count, "p": p_text, "line": line,
        "by_setting": by_setting, "when": when, "coded": coded,
    }  # fmt: skip
    made.globals |= {
        "static": static, "with_query": with_query, "FIELDS": catalogue.FIELDS, "asked": asked, "estimate": estimate,
        "mark": figures.mark, "verdict_class": figures.verdict_class, "effect_plot": figures.effect_plot,
        "tally": tally, "card": card,
    }  # fmt: skip
    return made


@functools.lru_cache(4096)
def card(paper: Paper, verdicts: tuple[str, ...], voted: bool) -> Markup:
    """A paper's card, kept: a list is thirty of them, and they change with a vote or a verdict only."""
    cards: Any = environment().get_template("cards.html.j2").module
    return cards.card(paper, verdicts, voted)


def safe_link(link: str) -> str:
    """The link if a browser may follow it, else an empty text: escaping alone lets javascript: through."""
    try:
        parts = urlsplit(link.strip())
    except ValueError:
        return ""
    plain = parts.scheme in {"http", "https"} and bool(parts.hostname) and link.isprintable()
    return link.strip() if plain else ""


def line(text: str) -> str:
    """Other people's text on one line, without control characters and marks that turn its direction."""
    joiners = "\u200c\u200d"  # they belong to the spelling of some languages
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable() or letter in joiners)


def when(seconds: float) -> str:
    """A time as pages show it: UTC, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def static(name: str) -> str:
    """The address of a file of ours; it changes with its content, so browsers may keep it for ever."""
    return f"/static/{name}?v={_version(name)}"


@functools.cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def with_query(request: Request, **changes: Any) -> str:
    """The request's path with its query changed; empty values are left out."""
    query = {**request.query_params, **{name: str(value) for name, value in changes.items()}}
    kept = {name: value for name, value in query.items() if value}
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")
