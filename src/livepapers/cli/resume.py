"""`livepapers resume`: go on with a run that was stopped."""

import click

from livepapers.cli.command import Command, examples, json_option, store_option
from livepapers.cli.measure import Request, address_option, engine_option, find, measure, workers_option


@click.command("resume", cls=Command, epilog=examples("resume", "resume hdpo-20261124-a1b2 --workers 1"))
@click.argument("run", required=False)
@engine_option
@address_option
@workers_option
@store_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    run: str | None,
    engine: str,
    address: str | None,
    workers: int | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Go on with an interrupted run.

    RUN is a run's id, a paper (its newest interrupted run), or nothing (the newest of all).
    Finished cells are not repeated; a cell that was stopped goes on from its last checkpoint.
    """
    from livepapers.cli.report import present
    from livepapers.lab.store import Store

    name = find(run, store, resumable=True)
    with Store(store, create=False) as opened:
        slug = opened.run(name).slug
    measure(Request(slug, engine=engine, address=address, workers=workers, store=store, resume=name))
    ctx.exit(present(name, store=store, as_json=as_json))
