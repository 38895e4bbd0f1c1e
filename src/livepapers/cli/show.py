"""`livepapers show`: what is known about one paper."""

import shutil
from collections.abc import Mapping
from typing import Any

import click

from livepapers.cli.command import Command, examples, json_option, slug_argument

VERDICTS = {"reproduced": "green", "direction only": "blue", "inconclusive": "yellow", "contradicted": "bold red"}


@click.command("show", cls=Command, epilog=examples("show hdpo", "show fl-gfn --json"))
@slug_argument
@json_option
def command(slug: str, as_json: bool) -> None:
    """Show a paper's card, status and verdicts."""
    from livepapers.cli.output import print_json
    from livepapers.papers import catalogue

    card, results = catalogue.card(slug), catalogue.results(slug)
    if as_json:
        print_json({**catalogue.as_dict(card), "results": results})
        return
    click.secho(card.title, bold=True)
    click.echo(", ".join(card.authors))
    facts = {
        "submitted": card.submitted,
        "published": card.venue,
        "paper": card.link,
        "their code": f"{card.code_url} (licence: {card.code_licence})" if card.code_url else "none published",
        "field": f"{card.field}: {catalogue.FIELDS[card.field]}",
        "tags": ", ".join(card.tags),
        "status": catalogue.status(slug),
    }
    click.echo()
    for name, value in facts.items():
        if value:
            click.echo(f"{name:<11} {value}")
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    click.echo("\n" + click.wrap_text(card.summary, width=width) + "\n")
    if results is not None:
        show_verdicts(results)
    click.echo(_next(slug))


def show_verdicts(results: Mapping[str, Any]) -> None:
    """The committed verdicts as a table."""
    from livepapers.cli.output import print_table

    run = results["current"]["run"]
    rows = [
        {"claim": found["id"], "verdict": found["verdict"], "n": found["n"] or None, "statement": found["statement"]}
        for found in results["current"]["verdicts"]
    ]
    print_table(rows, title=f"measured {run['date'][:10]}, {run['preset']} preset", styles=VERDICTS)
    click.echo()


def _next(slug: str) -> str:
    from livepapers.papers import catalogue

    if catalogue.status(slug) == "listed":
        return "Listed only: there is no method and no study of this paper here yet."
    commands = {
        f"livepapers run {slug} --preset smoke": "measure its claims, small",
        f"livepapers apply {slug} --help": "use the method on your own data",
        f"livepapers cite {slug}": "BibTeX",
    }
    width = max(map(len, commands))
    return "\n".join(f"{line:<{width}}  {about}" for line, about in commands.items())
