"""What all commands share: their class, their options, and the paper they are about."""

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from livepapers.core.errors import InputError

DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    help="Show the full traceback of an unexpected error.",
)
"""Accepted by every command so that it can be appended to the one that failed; `main` looks for it."""


class Command(click.Command):
    """A command whose epilog is its examples, that accepts `--debug`, and whose errors name options as typed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, and `--debug`."""
        return [*super().get_params(ctx), DEBUG]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; options are checked here."""
        with _options_as_typed(self.get_params(ctx)):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; the work is done here."""
        with _options_as_typed(self.get_params(ctx)):
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed, never wrapped."""
        write_examples(self.epilog, formatter)


@contextlib.contextmanager
def _options_as_typed(params: Sequence[click.Parameter]) -> Iterator[None]:
    """Raise an `InputError` about `test_episodes`, or about `low and high`, as one about what was typed for them."""
    from livepapers.core.errors import InputError

    try:
        yield
    except InputError as error:
        flags = {str(one.name).replace("_", "-"): one.opts[-1] for one in params if isinstance(one, click.Option)}
        line = str(error)
        for problem in error.problems or (error,):
            line = line.replace(str(problem), _typed(problem, flags), 1)
        if line == str(error):
            raise
        raise InputError(line) from error


def _typed(problem: "InputError", flags: Mapping[str, str]) -> str:
    """A message that begins with what was typed, where its field is made of nothing but options."""
    words = [word.replace("_", "-") for word in re.findall(r"[\w-]+", problem.field)]
    if not flags.keys() & words or not {*words} <= {*flags, "and", "or"}:
        return str(problem)
    typed = re.sub(r"[\w-]+", lambda word: flags.get(word[0].replace("_", "-"), word[0]), problem.field)
    return typed + str(problem).removeprefix(problem.field)


def write_examples(epilog: str | None, formatter: click.HelpFormatter) -> None:
    """The section "Examples" of a help page."""
    if epilog:
        with formatter.section("Examples"):
            for line in epilog.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def examples(*lines: str) -> str:
    """Examples for a command's epilog: whole command lines without `livepapers`; "  # why" may follow."""
    return "\n".join(f"livepapers {line}" for line in lines)


class Slug(click.ParamType):
    """A paper's slug; unknown ones are refused with the closest ones named."""

    name = "slug"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The slug, checked against the catalogue."""
        from livepapers.papers import catalogue

        return catalogue.card(value).slug

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Slugs that begin with what was typed."""
        from livepapers.papers import catalogue

        return [CompletionItem(slug) for slug in catalogue.load() if slug.startswith(incomplete)]


class Names(click.ParamType):
    """Names separated by commas; the option may be given several times as well."""

    name = "name[,name]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, if there is no empty name in it."""
        if not all(name.strip() for name in value.split(",")):
            self.fail(f"{value!r} holds an empty name", param, ctx)
        return value


def flat(texts: Sequence[str], known: Collection[str]) -> list[str] | None:
    """The names of all occurrences of a `Names` option, each once; None when it was not given."""
    from livepapers.lab.selection import names_in

    return list(dict.fromkeys(name for text in texts for name in names_in(text, known))) or None


slug_argument = click.argument("slug", type=Slug())
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output, nothing else.")
store_option = click.option(
    "--store",
    metavar="PLACE",
    envvar="LIVEPAPERS_STORE",  # the page names a server to its runs here: command lines are for all to read
    help="File, folder or database URL of the run store. [default: $LIVEPAPERS_HOME or ./.livepapers]",
)


def in_a_folder(_: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Of an option: refuse, before any work, a file that could not be written where it is wanted."""
    from livepapers.core.files import check_output_file

    if path is not None:
        check_output_file(path, field=str(param.name))
    return path


html_option = click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    callback=in_a_folder,
    help="Where the report goes. [default: reports/RUN.html beside the store]",
)
