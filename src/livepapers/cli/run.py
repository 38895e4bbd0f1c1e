"""`livepapers run`: measure a paper's claims again."""

from pathlib import Path

import click

from livepapers.cli.command import Command, Names, examples, flat, html_option, json_option, slug_argument, store_option
from livepapers.cli.measure import Request, address_option, engine_option, find, measure, workers_option

NEWEST = "the newest interrupted run"


@click.command(
    "run",
    cls=Command,
    epilog=examples(
        "run hdpo --preset smoke",
        "run hdpo --claims C1 --seeds 3",
        "run fl-gfn --settings set-small --arms fl-db,db",
        "run hdpo --resume",
        "run hdpo --engine ray --address 127.0.0.1:6379",
    ),
)
@slug_argument
@click.option(
    "--preset", type=click.Choice(["smoke", "laptop", "paper"]), help="How much to measure. [default: laptop]"
)
@click.option(
    "--seeds", type=click.IntRange(min=1), metavar="N", help="Seeds a setting, instead of the preset's number."
)
@click.option("--arms", type=Names(), multiple=True, help="Only these arms.")
@click.option("--settings", type=Names(), multiple=True, help="Only these settings.")
@click.option("--claims", type=Names(), multiple=True, help="Only the arms and settings that these claims rest on.")
@click.option("--resume", is_flag=False, flag_value=NEWEST, metavar="[RUN]", help=f"Go on with RUN, or with {NEWEST}.")
@engine_option
@address_option
@workers_option
@store_option
@html_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    slug: str,
    preset: str | None,
    seeds: int | None,
    arms: tuple[tuple[str, ...], ...],
    settings: tuple[tuple[str, ...], ...],
    claims: tuple[tuple[str, ...], ...],
    resume: str | None,
    engine: str,
    address: str | None,
    workers: int | None,
    store: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Measure a paper's claims again, with a verdict for each.

    The method meets the paper's baselines in the same worlds; the verdicts are printed and a report is written. Every
    cell (an arm in a setting with a seed) is kept as soon as it is finished. Ctrl-C stops a run so that
    `livepapers resume` goes on with it.
    """
    from livepapers.cli.report import present

    chosen_arms, chosen_settings = flat(arms), flat(settings)
    names = flat(claims)
    if names:
        chosen_arms, chosen_settings = _of_claims(slug, names, arms=chosen_arms, settings=chosen_settings)
    if resume == NEWEST:
        resume = find(slug, store, resumable=True)
    run = measure(
        Request(
            slug,
            preset=preset,
            seeds=seeds,
            arms=chosen_arms,
            settings=chosen_settings,
            engine=engine,
            address=address,
            workers=workers,
            store=store,
            resume=resume,
        )
    )
    ctx.exit(present(run, store=store, html=html, as_json=as_json, claims=names))


def _of_claims(
    slug: str, names: list[str], *, arms: list[str] | None, settings: list[str] | None
) -> tuple[list[str], list[str]]:
    """The arms and settings that claims rest on, within those that were chosen besides."""
    from livepapers.core.errors import InputError
    from livepapers.lab.study import load_study

    claims = {claim.id: claim for claim in load_study(slug).claims}
    for name in names:
        if name not in claims:
            raise InputError.of("claims", name, expected=f"one of {', '.join(claims)}")
        if claims[name].needs:
            raise InputError.of(
                "claims", name, expected="a claim that is tested here", cause=f"needs {claims[name].needs}"
            )
    needed_arms = dict.fromkeys(arm for name in names for arm in claims[name].arms)
    needed_settings = dict.fromkeys(setting for name in names for setting in claims[name].settings)
    kept_arms = [arm for arm in needed_arms if arms is None or arm in arms]
    kept_settings = [setting for setting in needed_settings if settings is None or setting in settings]
    for field, kept, needed in (("arms", kept_arms, needed_arms), ("settings", kept_settings, needed_settings)):
        if not kept:
            cause = f"those that {', '.join(names)} rest on"
            raise InputError.of(field, "none of the claims' own", expected=f"some of {', '.join(needed)}", cause=cause)
    return kept_arms, kept_settings
