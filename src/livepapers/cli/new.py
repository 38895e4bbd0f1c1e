"""`livepapers new`: the files of a new paper, each saying what is missing in it."""

import importlib.resources
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from string import Template

import click

from livepapers.cli.command import Command, examples
from livepapers.core.errors import InputError
from livepapers.papers import catalogue

FILES = {
    "method": "src/livepapers/methods/{module}.py",
    "study": "src/livepapers/studies/{module}.py",
    "oracles": "src/livepapers/battery/oracles/{module}.py",
    "test_method": "tests/methods/test_{module}.py",
    "test_study": "tests/studies/test_{module}.py",
}
"""Template -> where it goes in the checkout."""


@click.command(
    "new",
    cls=Command,
    epilog=examples(
        "new scattering",
        "new my-paper --title 'A Title' --author 'A. Lovelace' --arxiv 2501.01234 --submitted 2025-01 --field graphs",
    ),
)
@click.argument("slug")
@click.option("--title", help="The paper's title.")
@click.option("--author", "authors", multiple=True, metavar="NAME", help="As printed; once for each author.")
@click.option("--arxiv", metavar="ID", help="arXiv identifier.")
@click.option("--doi", help="DOI, for a paper that is not on arXiv.")
@click.option("--submitted", metavar="DATE", help="When it was first submitted: YYYY-MM-DD or YYYY-MM.")
@click.option("--field", type=click.Choice(list(catalogue.FIELDS)), metavar="FIELD", help=", ".join(catalogue.FIELDS))
def command(
    slug: str,
    title: str | None,
    authors: tuple[str, ...],
    arxiv: str | None,
    doi: str | None,
    submitted: str | None,
    field: str | None,
) -> None:
    """Write the files of a new paper.

    Method, study, oracles and tests, each saying what is missing in it. A paper that is listed already has its card;
    for another one the card is written too, from the options. Existing files are never touched.
    """
    from livepapers.cli import checkout

    root = checkout.root(needed_for="a paper is added to the source")
    text = "" if slug in catalogue.load() else card_text(slug, title, authors, arxiv, doi, submitted, field)
    for path in write(root, slug, card=text):
        click.echo(path.relative_to(root))
    click.echo(f"\nlivepapers check {slug} says what is missing; CONTRIBUTING.md says how a paper is done.", err=True)


def card_text(
    slug: str,
    title: str | None,
    authors: Sequence[str],
    arxiv: str | None,
    doi: str | None,
    submitted: str | None,
    field: str | None,
) -> str:
    """A card that parses; raises `InputError` naming the option that is missing or wrong."""
    catalogue.check_slug(slug, field="slug")
    for option, value in (
        ("--title", title),
        ("--author", authors),
        ("--arxiv", arxiv or doi),
        ("--submitted", submitted),
        ("--field", field),
    ):
        if not value:
            raise InputError.of(option, "nothing", expected="a value", cause=f"{slug} has no card yet")
    link = {"arxiv": arxiv} if arxiv else {"doi": doi}
    text = _filled(
        "card",
        {
            "slug_toml": _toml(slug),
            "title_toml": _toml(title),
            "authors_toml": _toml(list(authors)),
            "submitted_toml": _toml(submitted),
            "link": "\n".join(f"{key} = {_toml(value)}" for key, value in link.items()),
            "field_toml": _toml(field),
        },
    )
    catalogue.parse(text, f"{slug}.toml")
    return text


def write(root: Path, slug: str, *, card: str = "") -> list[Path]:
    """Write the files of a paper below `root`, and return their paths.

    Args:
        root: The checkout.
        slug: The paper.
        card: The text of its card; empty for a paper that has one.

    Raises:
        InputError: One of the files exists; nothing was written.
    """
    known = catalogue.parse(card, f"{slug}.toml") if card else catalogue.card(slug)
    module = catalogue.module_name(slug)
    names = ", ".join(author.split()[-1] for author in known.authors[:4]) + (
        " et al." if len(known.authors) > 4 else ""
    )
    identifier = f"arXiv {known.arxiv}" if known.arxiv else known.link
    words = {
        "slug": slug,
        "module": module,
        "title": textwrap.shorten(_docstring(known.title, indent=0), 112 - len(slug), placeholder=" ..."),
        "reference": _docstring(f'{names}, "{known.title}", {known.year}, {identifier}.', indent=12),
    }
    texts = {root / place.format(module=module): _filled(name, words) for name, place in FILES.items()}
    if card:
        texts = {root / "src/livepapers/papers" / f"{slug}.toml": card, **texts}
    for path in (place for file in texts for place in (file, file.with_suffix(""))):  # a module, or a package
        if path.exists():
            cause = f"{path.relative_to(root)} exists"
            raise InputError.of("slug", slug, expected="a paper without files", cause=cause)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _filled(template: str, words: dict[str, str]) -> str:
    source = importlib.resources.files("livepapers.cli") / "templates" / f"{template}.txt"
    return Template(source.read_text(encoding="utf-8")).substitute(words)


def _toml(value: str | list[str] | None) -> str:
    """A text or a list of texts as TOML writes it, which for these is as JSON does."""
    return json.dumps(value, ensure_ascii=False)


def _docstring(text: str, *, indent: int) -> str:
    """Text that may stand inside a docstring: no backslash, no closing quotes, wrapped to the line length."""
    plain = text.replace("\\", "/").replace('"""', "'''")
    return textwrap.fill(plain, width=120 - indent, subsequent_indent=" " * indent, break_long_words=False)
