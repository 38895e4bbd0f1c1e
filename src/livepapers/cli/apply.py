"""`livepapers apply <slug>`: a paper's method on the user's own data."""

import contextlib
import importlib
import inspect
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livepapers.cli.command import Command, examples, json_option, write_examples

if TYPE_CHECKING:
    from livepapers.core.application import Application
    from livepapers.core.learner import Learner

SECONDS_BETWEEN_LINES = 10.0
PLACE = ("engine", "address", "workers")


class ApplyGroup(click.Group):
    """One sub-command for each paper with a method; the method is imported when its sub-command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The papers with a method."""
        from livepapers.papers import catalogue

        return sorted(slug for slug in catalogue.load() if catalogue.method_module(slug))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The sub-command of one paper; unknown papers and papers without a method raise `InputError`."""
        from livepapers.core.errors import InputError
        from livepapers.papers import catalogue

        name = catalogue.method_module(cmd_name)
        if name is None:
            ready = ", ".join(self.list_commands(ctx))
            raise InputError.of(
                "slug", cmd_name, expected=f"a paper with a method ({ready})", cause="this one is only listed"
            )
        return method_command(cmd_name, importlib.import_module(name).apply)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; Ctrl-C ends with one status, also where no learner is driven that would stop by itself."""
        from livepapers.core.errors import Interrupted

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("stopped; nothing was kept: the same command begins anew") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The papers with their titles; nothing is imported."""
        from livepapers.papers import catalogue

        with formatter.section("Papers"):
            formatter.write_dl([(slug, catalogue.card(slug).title) for slug in self.list_commands(ctx)])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed."""
        write_examples(self.epilog, formatter)


@click.group(
    "apply",
    cls=ApplyGroup,
    epilog=examples(
        "apply hdpo --help",
        "apply hdpo --network net.yml --demand sales.csv --output orders",
        "apply simplicial-closure --git . --json",
    ),
)
def command() -> None:
    """Apply a paper's method to your own data.

    Each paper has its own options: `livepapers apply SLUG --help` shows them.
    """


def method_command(slug: str, apply: Callable[..., "Application"]) -> click.Command:
    """The command line of one method's `apply()`: its options, and `--json`."""
    from livepapers.cli.signature import documentation, options, takes_spread

    spreads = takes_spread(apply)

    def callback(as_json: bool, **values: Any) -> None:
        place = {name: values.pop(name) for name in PLACE} if spreads else {}
        given = {
            name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value != ()
        }
        in_place = [given.pop(name) for name in positional]
        _one_thread()
        with progress(), spread_over(**place) as found, _stopped_at_checkpoint(values.get("output")):
            outcome = apply(*in_place, **given, **found)
        show(outcome, as_json=as_json)

    kinds = inspect.signature(apply).parameters.items()
    positional = [name for name, one in kinds if one.kind is inspect.Parameter.POSITIONAL_ONLY]
    text = documentation(apply)
    params = [*options(apply), *(place_options() if spreads else [])]
    made = Command(slug, params=params, callback=callback, help=text.about, epilog=text.examples or None)
    return json_option(made)


@contextlib.contextmanager
def _stopped_at_checkpoint(output: Path | None) -> Iterator[None]:
    """Say of work that Ctrl-C breaks off that it goes on, where a checkpoint of it is there."""
    from livepapers.core.errors import Interrupted
    from livepapers.core.files import partial_of

    try:
        yield
    except KeyboardInterrupt:
        if output is None or not partial_of(output).is_dir():
            raise
        raise Interrupted("stopped; the same command goes on from its last checkpoint") from None


def place_options() -> list[click.Parameter]:
    """Where independent parts of the work are done."""
    from livepapers.lab.engines import ENGINES

    return [
        click.Option(["--engine"], type=click.Choice(ENGINES), help="Where; in this process when left out."),
        click.Option(["--address"], metavar="HOST:PORT", help="The Ray cluster; with --engine ray only."),
        click.Option(
            ["--workers"], type=click.IntRange(min=1), metavar="N",
            help="Processes at a time, with --engine; as many as there are cores when left out.",
        ),
    ]  # fmt: skip


@contextlib.contextmanager
def spread_over(engine: str | None = None, address: str | None = None, workers: int | None = None) -> Iterator[Any]:
    """The arguments that have a method work on an engine, which ends with it; none without an engine."""
    from livepapers.core.errors import InputError
    from livepapers.lab.engines import make_engine

    if engine is None:
        for name, value in (("address", address), ("workers", workers)):
            if value is not None:
                raise InputError.of(name, value, expected="none without --engine", cause="--engine local or ray")
        yield {}
        return
    with make_engine(engine, address=address, workers=workers) as made:
        yield {"spread": made.map}


def _one_thread() -> None:
    """As in studies: small networks train faster on one thread, and the bytes do not depend on the number of cores."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


@contextlib.contextmanager
def progress() -> Iterator[None]:
    """Show how far a method's work is, on standard error: a bar there, or a line every ten seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from livepapers.core.loop import Progress as Place
    from livepapers.core.loop import watching

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    display = Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
    bar = display.add_task("training", total=None)
    seen: list[Learner] = []
    told = time.monotonic()

    def watch(place: Place) -> None:
        nonlocal told
        if place.learner is not None and not any(place.learner is learner for learner in seen):
            seen.append(place.learner)
        trained = "training " + (place.name or f"learner {len(seen)}")
        label = place.name if place.learner is None else trained
        display.update(bar, description=label, total=place.updates, completed=place.step)
        if not screen.is_terminal and time.monotonic() - told >= SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            click.echo(f"{label}: step {place.step} of {place.updates}", err=True)

    with display, watching(watch):
        yield


def show(outcome: "Application", *, as_json: bool) -> None:
    """Print what `apply` gave back: the headline, the tables, the notes, and where the files lie."""
    from livepapers.cli.output import print_json, print_table

    if as_json:
        print_json(outcome.to_json())
        return
    click.echo(outcome.headline)
    for title, rows in outcome.tables.items():
        click.echo()
        print_table(rows, title=title)
    if outcome.notes:
        click.echo("\nNotes")
        for text in outcome.notes:
            click.echo(f"- {text}")
    if outcome.files:
        click.echo(f"\nWritten to {outcome.output}")
        width = max(map(len, outcome.files))
        for name, about in outcome.files.items():
            click.echo(f"  {name:<{width}}  {about}")
