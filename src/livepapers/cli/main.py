"""The entry point `livepapers`: finds the command, and turns every error into one line and an exit status.

Exit status: 0 done, 1 unexpected error or a check that failed, 2 unusable input, 3 stopped (the last
line says whether the same command goes on), 130 broken off at once.
"""

import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence

import click

from livepapers.cli.command import examples, write_examples
from livepapers.core.errors import Interrupted, LivepapersError

FAILED, UNUSABLE, STOPPED, BROKEN_OFF = 1, 2, 3, 130

SECTIONS = {
    "Find a paper": ("list", "show", "search", "cite"),
    "Measure its claims": ("run", "resume", "runs", "report"),
    "Use its method": ("apply", "evaluate", "export"),
    "Open the page": ("serve", "import", "digest"),
    "Develop": ("check", "bench", "new", "doctor"),
}
"""Every command by name, as the help page groups them; `cli/<name>.py` holds `command`."""

MODULES = {"import": "import_papers"}
"""The modules of commands whose names are words of Python's own."""


class LazyGroup(click.Group):
    """Imports a command's module only when the command is called, or named on the help page."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the help page."""
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return importlib.import_module(f"livepapers.cli.{MODULES.get(cmd_name, cmd_name)}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, and name close commands when there is none of that name."""
        import difflib

        name = args[0]
        if name in self.list_commands(ctx) or name.startswith("-"):
            return super().resolve_command(ctx, args)
        close = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
        raise click.UsageError(f"No such command {name!r}." + (f" Did you mean {close[0]}?" if close else ""))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands by what a person wants to do."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                commands = [(name, self.get_command(ctx, name)) for name in names]
                formatter.write_dl([(name, made.get_short_help_str(60)) for name, made in commands if made])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed."""
        write_examples(self.epilog, formatter)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from livepapers import __version__

        click.echo(f"livepapers {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "list --status measured",
        "run hdpo --preset smoke",
        "apply fl-gfn --help",
    ),
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the full traceback of an unexpected error.")
def group() -> None:
    """The daily papers page where papers run.

    Each paper has a card (what it is), a method (to use on your own data) and a study (its claims, measured again).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit status."""
    sys.exit(call(sys.argv[1:] if arguments is None else arguments))


def call(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit status. Errors are printed, as one line, and never raised."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a letter shows a question mark
    try:
        outcome = group.main(args=list(arguments), prog_name="livepapers", standalone_mode=False)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"Error: {_line(error)}{_where_to_read(error)}", err=True)
        return error.exit_code
    except Interrupted as stopped:
        click.echo(_line(stopped), err=True)
        return STOPPED
    except LivepapersError as error:
        click.echo(f"Error: {_line(error)}", err=True)
        return UNUSABLE
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return BROKEN_OFF
    except Exception as error:  # noqa: BLE001 - the last resort: a person gets a line, a developer the traceback
        _unexpected(error, arguments)
        return FAILED


def _line(error: BaseException) -> str:
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return " ".join(text.split())


def _where_to_read(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f" (see `{context.command_path} --help`)" if context else ""


def _unexpected(error: Exception, arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exception(error)
    hint = "" if "--debug" in arguments else "; run the command again with --debug and send what it prints"
    click.echo(
        f"Error: unexpected {type(error).__name__}: {_line(error)[:300]} "
        f"(a fault of livepapers: please report it in the project's issue tracker{hint})",
        err=True,
    )
