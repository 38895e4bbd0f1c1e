"""`livepapers report`: the verdicts of a run, on the terminal, as a page, as JSON, or as the committed results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from livepapers.cli.command import Command, examples, html_option, json_option, store_option

PIPE_WIDTH = 120
"""Columns of the tables on a pipe, where there is no terminal to ask."""


@click.command(
    "report",
    cls=Command,
    epilog=examples(
        "report",
        "report hdpo --html hdpo.html",
        "report hdpo-20261124-a1b2 --json",
        "report hdpo-20261124-a1b2 --publish",
        "report hdpo --committed",
    ),
)
@click.argument("run", required=False)
@html_option
@click.option("--publish", is_flag=True, help="Make it the committed results of the paper, in a source checkout.")
@click.option(
    "--committed", is_flag=True, help="RUN is a paper; judge its committed results again, by the rules of today."
)
@store_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    run: str | None,
    html: Path | None,
    publish: bool,
    committed: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """Judge a run and write its report.

    RUN is a run's id, a paper (its newest run), or nothing (the newest run of all).
    """
    if committed:
        _present_committed(run, html=html, publish=publish, as_json=as_json)
        return
    from livepapers.cli.measure import find

    name = find(run, store)
    if publish:
        publish_results(name, store=store)
    ctx.exit(present(name, store=store, html=html, as_json=as_json))


def _present_committed(slug: str | None, *, html: Path | None, publish: bool, as_json: bool) -> None:
    from livepapers.core.errors import InputError
    from livepapers.lab.report.committed import committed
    from livepapers.papers import catalogue

    if slug is None:
        raise InputError.of("run", "nothing", expected="a paper: --committed judges its committed results")
    found = committed(catalogue.card(slug).slug)
    if publish:
        _publish(found)
    _show(found, page=html and html.absolute(), as_json=as_json)


def present(
    run: str,
    *,
    store: str | None,
    html: Path | None = None,
    as_json: bool = False,
    claims: Sequence[str] | None = None,
) -> int:
    """Judge a run, write the page, print the verdicts; returns the exit status: 1 when cells failed.

    Args:
        run: Its id.
        store: Where it is kept.
        html: Where the page goes; None is beside the store.
        as_json: Print the evidence as JSON instead of tables.
        claims: Print the verdicts of these claims only; page and JSON always hold all.
    """
    from livepapers.cli.output import note
    from livepapers.lab.report.evidence import evidence
    from livepapers.lab.store import Store

    with Store(store, create=False) as opened:
        found = evidence(opened, run)
        page = (html or opened.home / "reports" / f"{run}.html").absolute()
    _show(found, page=page, as_json=as_json, claims=claims)
    failed = found["run"]["cells"].get("failed", 0)
    if failed:
        note(f"{failed} cells failed; the report says why, `livepapers resume {run}` tries them again.")
    return 1 if failed else 0


def _show(found: Mapping[str, Any], *, page: Path | None, as_json: bool, claims: Sequence[str] | None = None) -> None:
    """Evidence as a page, where one is wanted, and as JSON or tables."""
    from livepapers.cli.output import console, print_json
    from livepapers.core.files import write_atomic
    from livepapers.lab.report.page import render_html
    from livepapers.lab.report.terminal import render_terminal

    if page is not None:
        write_atomic(page, render_html(found))
    if as_json:
        print_json({**found, "html": str(page) if page else None})
        return
    shown = [verdict for verdict in found["verdicts"] if claims is None or verdict["id"] in claims]
    render_terminal({**found, "verdicts": shown}, console(pipe_width=PIPE_WIDTH))
    if page is not None:
        click.echo(f"Report: {page}")


def publish_results(run: str, *, store: str | None) -> None:
    """Write the run's evidence as `results/<slug>.json` of the checkout; what stood there is superseded."""
    from livepapers.lab.report.evidence import evidence
    from livepapers.lab.store import Store

    with Store(store, create=False) as opened:
        _publish(evidence(opened, run))


def _publish(found: Mapping[str, Any]) -> None:
    from livepapers.cli import checkout
    from livepapers.cli.output import note
    from livepapers.lab.report.publishing import publish
    from livepapers.papers.catalogue import results_path

    root = checkout.root(needed_for="results are committed with the source")
    path = results_path(found["slug"])
    publish(found, path)
    note(f"published as {path.relative_to(root)}; commit it")
