"""`livepapers runs`: what was run, and how it ended."""

import dataclasses
import time

import click

from livepapers.cli.command import Command, Slug, examples, json_option, store_option

STYLES = {"finished": "green", "running": "cyan", "interrupted": "yellow", "failed": "red"}


@click.command("runs", cls=Command, epilog=examples("runs", "runs hdpo --json"))
@click.argument("slug", type=Slug(), required=False)
@store_option
@json_option
def command(slug: str | None, store: str | None, as_json: bool) -> None:
    """List the runs in the store, newest first.

    Of one paper when SLUG is given.
    A run whose process is gone is shown as interrupted: `livepapers resume RUN` goes on with it.
    """
    from livepapers.cli.output import note, print_json, print_table
    from livepapers.lab import database
    from livepapers.lab.store import Store

    path = database.locate(store)[2]
    if path is not None and not path.exists():
        records = []
    else:
        with Store(store, create=False) as opened:
            records = opened.runs(slug=slug)
    if as_json:
        print_json([dataclasses.asdict(record) for record in records])
        return
    rows = [
        {
            "run": record.id,
            "status": record.status,
            "preset": record.preset,
            "cells": f"{record.cells.get('finished', 0)}/{sum(record.cells.values())}",
            "failed": record.cells.get("failed", 0),
            "started": time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started)),
        }
        for record in records
    ]
    if rows:
        print_table(rows, styles=STYLES)
    else:
        note(
            "No runs yet; `livepapers run hdpo --preset smoke` makes one."
            if slug is None
            else f"No runs of {slug} yet."
        )
    if any(record.status in {"interrupted", "failed"} for record in records):
        note("`livepapers resume RUN` goes on with an interrupted run; finished cells are not repeated.")
