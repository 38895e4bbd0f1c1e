"""`livepapers list`: the catalogue as a table."""

import click

from livepapers.cli.command import Command, examples, json_option
from livepapers.papers import catalogue

STYLES = {"measured": "green", "runs": "yellow"}


@click.command(
    "list",
    cls=Command,
    epilog=examples(
        "list",
        "list --field operations --status measured",
        "list --tag gflownet --json",
    ),
)
@click.option(
    "--field",
    type=click.Choice(list(catalogue.FIELDS)),
    metavar="FIELD",
    help=f"Only papers of one field: {', '.join(catalogue.FIELDS)}.",
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only papers with this tag; may be repeated.")
@click.option(
    "--status", type=click.Choice(["listed", "runs", "measured"]), help="Only papers that have come this far."
)
@json_option
def command(field: str | None, tags: tuple[str, ...], status: str | None, as_json: bool) -> None:
    """List the papers, newest first.

    The status is computed: "listed" has a card, "runs" has a method and a study, "measured" has committed results.
    """
    from livepapers.cli.output import note, print_json, print_table

    found = [
        card
        for card in catalogue.load().values()
        if (field is None or card.field == field)
        and set(tags) <= set(card.tags)
        and (status is None or catalogue.status(card.slug) == status)
    ]
    if as_json:
        print_json([catalogue.as_dict(card) for card in found])
        return
    rows = [
        {"slug": c.slug, "status": catalogue.status(c.slug), "field": c.field, "year": str(c.year), "title": c.title}
        for c in found
    ]
    if rows:
        print_table(rows, styles=STYLES)
    counts = ", ".join(
        f"{n} {name}" for name in ("measured", "runs", "listed") if (n := sum(r["status"] == name for r in rows))
    )
    note(f"{len(rows)} paper{'s' * (len(rows) != 1)}" + (f": {counts}" if rows else " match"))
