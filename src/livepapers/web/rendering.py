"""Templates: autoescape always on, links only to http and https, and what every page knows."""

import functools
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.types import Scope

from livepapers.lab import figures
from livepapers.lab.report.summary import by_setting, identities, tally
from livepapers.lab.words import asked, coded, count, duration, estimate, number, p_text, ratio_text
from livepapers.papers import catalogue
from livepapers.web.store import Paper

PRIVATE = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
"""Headers of pages whose address is a secret of one reader."""
STATIC = Path(__file__).parent / "static"


def page(request: Request, template: str, *, http_status: int = 200, **values: Any) -> HTMLResponse:
    """An HTML answer of a template."""
    html = environment().get_template(template).render(
        request=request, settings=request.app.state.settings, http_status=http_status, **values
    )  # fmt: skip
    # cards say what the reader voted for: no copy for others, and none that is used without asking
    return HTMLResponse(html, http_status, headers={"Cache-Control": "private, no-cache", "Vary": "Cookie"})


def refused(request: Request, status: int, told: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error: one line that says what was wrong, as a page, or as JSON under /api and for scripts that want it."""
    if request.url.path == "/api" or request.url.path.startswith("/api/") or wants_json(request):
        told = line(told.encode("utf-8", "backslashreplace").decode())  # it may quote half a surrogate pair
        return JSONResponse({"error": told}, status, headers=headers)
    answer = page(request, "error.html.j2", http_status=status, told=told)
    answer.headers.update(headers or {})
    return answer


def came_from(request: Request) -> str:
    """The path and query of this page that the request was sent from; home where it does not say, or says elsewhere."""
    try:
        parts = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    path = parts._replace(scheme="", netloc="", fragment="").geturl()
    ours = parts.netloc.lower() in request.app.state.settings.places(request.headers.get("host", ""))
    return path if ours and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def wants_json(request: Request) -> bool:
    """Whether a script asks, as that of the vote does."""
    return "application/json" in request.headers.get("accept", "")


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
        "safe_link": safe_link, "number": number, "duration": duration, "count": count, "p": p_text,
        "ratio": ratio_text, "line": line, "by_setting": by_setting, "when": when,
        "coded": coded, "shortened": shortened,
    }  # fmt: skip
    made.globals |= {
        "static": static, "with_query": with_query, "FIELDS": catalogue.FIELDS, "asked": asked, "estimate": estimate,
        "mark": figures.mark, "verdict_class": figures.verdict_class, "effect_plot": figures.effect_plot,
        "tally": tally, "identities": identities, "card": card, "came_from": came_from,
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


def shortened(text: str, most: int) -> str:
    """The text, cut between words where it is longer than `most` characters, without a comma before the ellipsis."""
    return text if len(text) <= most else text[:most].rpartition(" ")[0].rstrip(" ,;:.–—-(") + "…"


def when(seconds: float) -> str:
    """A time as pages show it: UTC, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def static(name: str) -> str:
    """The address of a file of ours; it changes with its content, so browsers may keep it for ever."""
    return f"/static/{name}?v={_version(name)}"


@functools.cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


class KeptFiles(StaticFiles):
    """Our files; under the address that `static` gives they never change."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, kept by browsers if its version is asked for."""
        answer = await super().get_response(path, scope)
        if answer.status_code in {200, 304} and scope["query_string"] == f"v={_version(path)}".encode():
            answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


def with_query(request: Request, **changes: Any) -> str:
    """The request's path with its query changed; empty values are left out."""
    query = {**request.query_params, **{name: str(value) for name, value in changes.items()}}
    kept = {name: value for name, value in query.items() if value}
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")
