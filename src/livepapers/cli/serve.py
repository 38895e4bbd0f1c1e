"""`livepapers serve`: the page."""

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from livepapers.cli.command import Command, examples, store_option


@click.command("serve", cls=Command, epilog=examples("serve", "serve --port 9000", "serve --settings page.toml"))
@click.option("--host", help="Address to listen at; this machine only when left out.")
@click.option("--port", type=int, help="Port to listen at; 8765 when left out, 0 takes a free one.")
@click.option(
    "--settings",
    type=click.Path(path_type=Path),
    help="TOML file: host, port, url, store, smtp_host, sender, engine ...",
)
@store_option
def command(host: str | None, port: int | None, settings: Path | None, store: str | None) -> None:
    """Open the page: papers, votes, verdicts and runs.

    It listens on this machine only. To show it to others, put it behind a server that speaks TLS and name its address
    as `url` in the settings, or give --host; then runs need the token in $LIVEPAPERS_TOKEN. The tutorial "Your own
    page" has the lines for that server. Ctrl-C stops the page; runs that were started on it go on, and the page finds
    them again.
    """
    with _uncollected():
        import uvicorn

        from livepapers.web import watching
        from livepapers.web.app import create_app
        from livepapers.web.serving import listen, remember, server_config, warning
        from livepapers.web.settings import read

        chosen = read(settings, {"host": host, "port": port, "store": store})
        socket, chosen = listen(chosen)
        os.umask(0o077)  # what the page keeps is for nobody else on this machine: mail addresses are among it
        app = create_app(chosen)
        remember(app.state.store.home, chosen)
        click.echo(f"livepapers is at {chosen.base} (Ctrl-C stops it)", err=True)
        if told := warning(chosen):
            click.echo(f"Warning: {told}", err=True)
        config = server_config(app, chosen)

    class Server(uvicorn.Server):
        """One that tells pages which watch a run that it ends: they would hold it until they are closed."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            watching.closing.set()
            super().handle_exit(sig, frame)

    Server(config).run(sockets=[socket])


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage is looked for until the page is there: all that is made stays, looking is a sixth of the time."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
