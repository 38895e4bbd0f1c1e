"""`livepapers run`: measure a paper's claims again."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from livepapers.cli.command import Command, Names, examples, flat, html_option, json_option, slug_argument, store_option
from livepapers.cli.measure import Request, address_option, engine_option, find, measure, workers_option

if TYPE_CHECKING:
    from livepapers.lab.study import Study

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
    arms: tuple[str, ...],
    settings: tuple[str, ...],
    claims: tuple[str, ...],
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

    chosen = selected(slug, preset, arms=arms, settings=settings, claims=claims, resume=resume is not None)
    if resume == NEWEST:
        resume = find(slug, store, resumable=True)
    run = measure(
        Request(
            slug,
            preset=preset,
            seeds=seeds,
            arms=chosen.arms,
            settings=chosen.settings,
            claims=chosen.claims,
            engine=engine,
            address=address,
            workers=workers,
            store=store,
            resume=resume,
        )
    )
    ctx.exit(present(run, store=store, html=html, as_json=as_json, claims=chosen.claims))


class Selection(NamedTuple):
    """What of a study shall be measured; None is all of it."""

    arms: list[str] | None = None
    settings: list[str] | None = None
    claims: list[str] | None = None


def selected(
    slug: str,
    preset: str | None = None,
    *,
    arms: Sequence[str],
    settings: Sequence[str],
    claims: Sequence[str],
    resume: bool = False,
) -> Selection:
    """What the options of these names choose, with the arms and settings that the claims rest on."""
    if not (arms or settings or claims):
        return Selection()
    from livepapers.lab.study import load_study

    study = load_study(slug)
    chosen = Selection(
        flat(arms, study.arms), flat(settings, study.settings), flat(claims, [claim.id for claim in study.claims])
    )
    if not chosen.claims:
        return chosen
    _require_testable(study, chosen.claims)
    if not resume:  # a run that goes on has its own preset
        _require_measured(study, chosen.claims, preset or "laptop")
    kept_arms, kept_settings = _of_claims(study, chosen.claims, arms=chosen.arms, settings=chosen.settings)
    return Selection(kept_arms, kept_settings, chosen.claims)


def _require_testable(study: "Study", names: list[str]) -> None:
    from livepapers.core.errors import InputError

    claims = {claim.id: claim for claim in study.claims}
    for name in names:
        if name not in claims:
            raise InputError.of("claims", name, expected=f"one of {', '.join(claims)}")
        if claims[name].needs:
            raise InputError.of(
                "claims", name, expected="a claim that is tested here", cause=f"needs {claims[name].needs}"
            )


def _require_measured(study: "Study", names: list[str], preset: str) -> None:
    """Refuse claims none of whose cells a preset has, lest the preset or the arms be blamed for it."""
    from livepapers.core.errors import InputError
    from livepapers.lab.study import PRESETS

    for claim in (claim for claim in study.claims if claim.id in names):
        if not study.rests_on(claim, preset):
            others = [name for name in PRESETS if study.rests_on(claim, name)]
            cause = f"--preset {' or '.join(others)} measures it" if others else "no preset measures it"
            raise InputError.of("claims", claim.id, expected=f"a claim that --preset {preset} measures", cause=cause)


def _of_claims(
    study: "Study", names: list[str], *, arms: list[str] | None, settings: list[str] | None
) -> tuple[list[str], list[str]]:
    """The arms and settings that claims rest on, within those that were chosen besides."""
    from livepapers.core.errors import InputError

    claims = {claim.id: claim for claim in study.claims}
    needed_arms = dict.fromkeys(arm for name in names for arm in claims[name].arms)
    needed_settings = dict.fromkeys(setting for name in names for setting in claims[name].settings)
    kept_arms = [arm for arm in needed_arms if arms is None or arm in arms]
    kept_settings = [setting for setting in needed_settings if settings is None or setting in settings]
    for field, kept, needed in (("arms", kept_arms, needed_arms), ("settings", kept_settings, needed_settings)):
        if not kept:
            cause = f"those that {', '.join(names)} rest on"
            raise InputError.of(field, "none of the claims' own", expected=f"some of {', '.join(needed)}", cause=cause)
    return kept_arms, kept_settings
