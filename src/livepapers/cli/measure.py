"""What `run` and `resume` share: progress while cells are measured, the verdicts afterwards."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from livepapers.lab.store import Store

engine_option = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where cells are computed.",
)
address_option = click.option("--address", metavar="HOST:PORT", help="The Ray cluster; with --engine ray only.")
workers_option = click.option(
    "--workers",
    type=click.IntRange(min=0),
    metavar="N",
    help="Cells at a time; 0 computes in this process. [default: cores]",
)


@dataclass(frozen=True)
class Request:
    """What shall be measured, and where."""

    slug: str
    preset: str | None = None
    seeds: int | None = None
    arms: Sequence[str] | None = None
    settings: Sequence[str] | None = None
    claims: Sequence[str] | None = None  # whose arms and settings these are, where they were chosen by claims
    engine: str = "local"
    address: str | None = None
    workers: int | None = None
    store: str | None = None
    resume: str | None = None


def measure(request: Request) -> str:
    """Measure the cells that are asked for and return the run's id; progress goes to standard error."""
    from rich.console import Console

    from livepapers.core.errors import InputError
    from livepapers.lab.progress import LiveProgress, PlainProgress
    from livepapers.lab.runner import run_study

    if request.address is not None and request.engine != "ray":
        raise InputError.of("address", request.address, expected="no address", cause="only --engine ray has one")
    _say_what_the_plan_leaves(request)
    screen = Console(stderr=True)
    return run_study(
        request.slug,
        preset=request.preset,
        seeds=request.seeds,
        arms=request.arms,
        settings=request.settings,
        engine=request.engine,
        address=request.address,
        workers=request.workers,
        store=request.store,
        resume=request.resume,
        listener=LiveProgress(screen) if screen.is_terminal else PlainProgress(sys.stderr),
    )


def _say_what_the_plan_leaves(request: Request) -> None:
    """Name the settings whose number of seeds `--seeds` does not change, and the claims that cannot be decided."""
    from livepapers.cli.output import note
    from livepapers.lab.claims import undecidable
    from livepapers.lab.store import Store
    from livepapers.lab.study import load_study

    preset = request.preset or "laptop"
    if request.resume is not None:
        if request.seeds is None:
            return  # the run goes on as it was begun, and was told then
        with Store(request.store, create=False) as opened:
            preset = opened.run(request.resume).preset
    study = load_study(request.slug)
    kept = study.kept_seeds(preset, request.seeds, request.settings) if request.seeds is not None else {}
    if kept:
        shown = ", ".join(f"{name} ({count})" for name, count in kept.items())
        which = "1 setting at its" if len(kept) == 1 else f"{len(kept)} settings at their"
        note(f"--seeds {request.seeds} leaves {which} own number of seeds: {shown}")
    if request.resume is not None:
        return
    whole = study.claims_within(preset, request.arms, request.settings)
    vain = undecidable(
        study.claims, study.pairs(preset), asked=study.pairs(preset, seeds=request.seeds), measured=whole
    )
    vain = {name: pairs for name, pairs in vain.items() if name in (request.claims or whole)}
    if vain:
        shown = ", ".join(f"{name} ({pairs} pairs)" for name, pairs in vain.items())
        note(f"too few pairs to decide beside the study's other claims, even if all agree: {shown}")


def find(name: str | None, store: str | None, *, resumable: bool = False) -> str:
    """The id of the run that a person means: an id, a paper (its newest run), or None for the newest run of all.

    Args:
        name: What was typed.
        store: Where to look.
        resumable: Of papers and None: only runs that did not finish and that no process drives.

    Raises:
        InputError: There is no such run.
    """
    from livepapers.core.errors import InputError
    from livepapers.lab.store import Store
    from livepapers.papers import catalogue

    slug = name if name in catalogue.load() else None
    with Store(store, create=False) as opened:
        if name is not None and slug is None:
            return _run_named(name, opened)
        records = opened.runs(slug=slug)
    fitting = [r for r in records if not resumable or r.status in {"interrupted", "failed"}]
    if not fitting:
        wanted = ("an interrupted run" if resumable else "a run") + (f" of {slug}" if slug else "")
        raise InputError.of("run", "nothing", expected=wanted, cause="`livepapers runs` lists what is there")
    return fitting[0].id


def _run_named(name: str, store: "Store") -> str:
    """The id of a run, checked; a name that is close to a paper's is taken for that one misspelt."""
    from livepapers.core.errors import InputError
    from livepapers.papers import catalogue

    try:
        return store.run(name).id
    except InputError:
        if not (cause := catalogue.did_you_mean(name)):
            raise
        raise InputError.of("run", name, expected="a paper or the id of a run in this store", cause=cause) from None
