"""`livepapers search`: find papers by words."""

import click

from livepapers.cli.command import Command, examples, json_option


@click.command(
    "search",
    cls=Command,
    epilog=examples(
        "search inventory networks",
        "search gflownet --limit 3 --json",
    ),
)
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="The most papers to show.")
@json_option
def command(words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search titles, tags, authors and summaries.

    The best match comes first; a word also matches longer words that begin with it.
    """
    from livepapers.cli.list import STYLES
    from livepapers.cli.output import note, print_json, print_table
    from livepapers.core.errors import InputError
    from livepapers.papers import catalogue
    from livepapers.papers.search import search

    if not any(word.strip() for word in words):
        raise InputError.of("words", " ".join(words), expected="at least one word")
    found = search(" ".join(words), catalogue.load())[:limit]
    if as_json:
        print_json([{"score": score, **catalogue.as_dict(card)} for score, card in found])
        return
    rows = [
        {"slug": card.slug, "status": catalogue.status(card.slug), "score": f"{score:.1f}", "title": card.title}
        for score, card in found
    ]
    if rows:
        print_table(rows, styles=STYLES)
    else:
        note("No paper matches; `livepapers list` shows all.")
