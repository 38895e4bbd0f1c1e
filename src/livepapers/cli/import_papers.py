"""`livepapers import`: more papers for the page, from arXiv, a saved page or BibTeX."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livepapers.cli.command import Command, examples, json_option, store_option

if TYPE_CHECKING:
    from livepapers.web.importing.entering import Outcome, Source
    from livepapers.web.importing.entry import Batch
    from livepapers.web.store import PageStore

SKIPPED = 20
"""Skipped papers that are named one by one."""


@click.command(
    "import",
    cls=Command,
    epilog=examples(
        "import --arxiv 2306.11246 --arxiv 2504.05150",
        'import --arxiv-query "cat:cs.LG AND all:inventory" --most 300',
        "import --page saved.html --dry-run",
        "import --bibtex papers.bib --json",
    ),
)
@click.argument("more", nargs=-1, metavar="[ID]...")
@click.option("--arxiv", multiple=True, metavar="ID", help="An arXiv identifier; may be given several times.")
@click.option("--arxiv-query", metavar="QUERY", help="A query as arXiv's API has them; the newest papers come first.")
@click.option(
    "--most", type=click.IntRange(1, 30_000), default=100, show_default=True, help="Papers of a query at most."
)
@click.option("--page", multiple=True, type=click.Path(path_type=Path), help="A saved page, HTML or plain text.")
@click.option("--bibtex", multiple=True, type=click.Path(path_type=Path), help="A BibTeX file.")
@click.option("--dry-run", is_flag=True, help="Say what would be entered; enter nothing.")
@store_option
@json_option
def command(
    more: tuple[str, ...], arxiv: tuple[str, ...], arxiv_query: str | None, most: int, page: tuple[Path, ...],
    bibtex: tuple[Path, ...], dry_run: bool, store: str | None, as_json: bool,
) -> int:  # fmt: skip
    """List more papers: from arXiv, a saved page or BibTeX.

    Each ID is an arXiv identifier. A paper that is there already, by arXiv identifier, DOI, or title and first author,
    is known: at most its empty columns are filled in, and papers of the catalogue are never changed. A new one needs an
    arXiv identifier, a DOI or an https:// address. Nothing is ever deleted. A file is entered as a whole or not at all.
    What is imported is on the page only (`livepapers serve`): `list`, `show`, `cite` and `search` know the catalogue.
    arXiv is asked once in three seconds, for a hundred papers at a time; Ctrl-C keeps what is entered. Only facts are
    taken: abstracts are not copied. Exit status 1 if every paper was skipped.
    """
    from livepapers.cli.output import note
    from livepapers.core.errors import Interrupted, LivepapersError
    from livepapers.papers import catalogue
    from livepapers.web.importing import entering
    from livepapers.web.store import PageStore

    ids = [part.strip() for text in (*arxiv, *more) for part in text.split(",")]
    if not (ids or arxiv_query is not None or page or bibtex):
        raise click.UsageError("Nothing to import: give --arxiv, --arxiv-query, --page or --bibtex")
    files = _read(page, bibtex)  # all of them before the first is entered
    outcome = entering.Outcome()
    with PageStore(store) as opened:
        opened.sync(catalogue.load().values())
        try:
            for source, batch in itertools.chain(files, _asked(opened, ids, arxiv_query, most)):
                outcome.add(entering.enter(opened, batch, source, dry_run=dry_run))
        except KeyboardInterrupt:
            raise Interrupted(f"Stopped; so far {_line(outcome)}. The same command goes on.") from None
        except LivepapersError:
            if outcome.papers:
                note(f"So far {_line(outcome)}.")
            raise
    _print(outcome, dry_run=dry_run, as_json=as_json)
    return 1 if outcome.skipped and not outcome.papers else 0


def _read(pages: tuple[Path, ...], bibtex: tuple[Path, ...]) -> "list[tuple[Source, Batch]]":
    from livepapers.web.importing import bibtex as entries
    from livepapers.web.importing import saved_page

    found: list[tuple[Source, Batch]] = [("page", saved_page.read(path)) for path in pages]
    return [*found, *(("bibtex", entries.read(path)) for path in bibtex)]


def _asked(store: "PageStore", ids: list[str], query: str | None, most: int) -> "Iterator[tuple[Source, Batch]]":
    """What arXiv answers, batch by batch as it comes."""
    from livepapers.cli.output import note
    from livepapers.web.importing import arxiv

    def turn() -> None:
        # in the store, so that imports one after the other, or at once, keep the pause between them too
        end = time.monotonic() + 10 * arxiv.PAUSE
        while not store.take("arxiv", capacity=1.0, per_second=1 / arxiv.PAUSE) and time.monotonic() < end:
            time.sleep(0.1)

    api = arxiv.ArxivApi(arxiv.BASE, turn=turn, tell=note)
    for batch in api.by_id(ids):
        yield "arxiv", batch
    for batch in api.by_query(query, most) if query is not None else ():
        yield "arxiv", batch


def _line(outcome: "Outcome") -> str:
    """The outcome on one line: "12 new, 3 known, 1 skipped: reason"."""
    completed = outcome.count("completed")
    known = f"{outcome.count('known') + completed} known" + (f" ({completed} of them completed)" if completed else "")
    text = f"{outcome.count('new')} new, {known}, {len(outcome.skipped)} skipped"
    if not outcome.skipped:
        return text
    first, others = outcome.skipped[0], len(outcome.skipped) - 1
    return f"{text}: {first.what} ({first.why})" + (f" and {others} more" if others else "")


def _print(outcome: "Outcome", *, dry_run: bool, as_json: bool) -> None:
    from livepapers.cli.output import note, print_json
    from livepapers.papers import catalogue

    if as_json:
        print_json({
            "dry_run": dry_run, "new": outcome.count("new"), "known": outcome.count("known"),
            "completed": outcome.count("completed"),
            "skipped": [{"what": skipped.what, "why": skipped.why} for skipped in outcome.skipped],
            "papers": [{"slug": paper.slug, "title": paper.title, "state": paper.state} for paper in outcome.papers],
        })  # fmt: skip
        return
    click.echo(_line(outcome) + (" (dry run: nothing was entered)" if dry_run else ""))
    if outcome.count("new") and not dry_run:
        click.echo(catalogue.IMPORTED.capitalize())
    if dry_run:
        for paper in outcome.papers:
            click.echo(f"  {paper.state}: {paper.slug}  {paper.title}")
    for skipped in outcome.skipped[1:SKIPPED]:
        note(f"  skipped: {skipped.what} ({skipped.why})")
