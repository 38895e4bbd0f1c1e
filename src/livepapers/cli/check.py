"""`livepapers check`: the common battery on one paper, or on all of them."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from livepapers.cli.command import Command, Slug, examples, json_option

if TYPE_CHECKING:
    from livepapers.battery import CheckResult


@click.command("check", cls=Command, epilog=examples("check hdpo", "check hdpo --quick", "check --all --json"))
@click.argument("slug", type=Slug(), required=False)
@click.option("--all", "every", is_flag=True, help="Check every paper that has a method.")
@click.option("--quick", is_flag=True, help="Leave out the checks that take over two seconds.")
@json_option
@click.pass_context
def command(ctx: click.Context, slug: str | None, every: bool, quick: bool, as_json: bool) -> None:
    """Run the common battery on a paper.

    It tests contract, numerics, randomness, state, learning and study.
    Exit status 1 when a check fails that the card does not declare as expected to fail.
    """
    from livepapers.papers import catalogue

    if (slug is None) != every:
        raise click.UsageError("name one paper, or give --all")
    slugs = sorted(s for s in catalogue.load() if catalogue.method_module(s)) if slug is None else [slug]
    results = [result for name in slugs for result in _run(name, quick=quick, quiet=as_json)]
    if as_json:
        from livepapers.cli.output import print_json

        print_json([asdict(result) for result in results])
    if any(result.status == "failed" for result in results):
        ctx.exit(1)


def _run(slug: str, *, quick: bool, quiet: bool) -> "list[CheckResult]":
    """Run one paper's battery, printing each result as it comes unless `quiet`."""
    import torch

    from livepapers import battery

    torch.set_num_threads(1)
    results = []
    for result in battery.run(slug, quick=quick):
        results.append(result)
        if not quiet:
            click.echo(_line(result))
    if not quiet:
        counts = Counter(result.status for result in results)
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        click.echo(f"{slug}: {len(results)} checks, {told}, {sum(result.seconds for result in results):.1f} s\n")
    return results


def _line(result: "CheckResult") -> str:
    """One line a check, and a second one for what there is to say about it."""
    marks = {"passed": ("passed", "green"), "failed": ("FAILED", "red"), "skipped": ("skipped", "bright_black")}
    word, colour = marks.get(result.status, ("expected", "yellow"))
    line = f"{result.number:>3} {click.style(f'{word:<8}', fg=colour)} {result.seconds:6.2f} s  {result.statement}"
    return line + (f"\n{'':22}{result.detail}" if result.detail else "")
