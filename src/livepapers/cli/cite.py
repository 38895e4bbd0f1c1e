"""`livepapers cite`: papers as BibTeX or RIS."""

import click

from livepapers.cli.command import Command, Slug, examples


@click.command(
    "cite",
    cls=Command,
    epilog=examples(
        "cite hdpo",
        "cite hdpo fl-gfn >> references.bib",
        "cite simplicial-closure --ris",
    ),
)
@click.argument("slugs", nargs=-1, required=True, type=Slug(), metavar="SLUG...")
@click.option("--ris", "as_ris", is_flag=True, help="RIS, for reference managers, instead of BibTeX.")
def command(slugs: tuple[str, ...], as_ris: bool) -> None:
    """Print the citation of papers, BibTeX by default."""
    from livepapers.papers import catalogue, citation

    write = citation.ris if as_ris else citation.bibtex
    click.echo("\n".join(write(catalogue.card(slug)) for slug in dict.fromkeys(slugs)), nl=False)
