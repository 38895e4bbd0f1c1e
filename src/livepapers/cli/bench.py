"""`livepapers bench`: our figures and a peer's, measured in turns in one run, printed as ratios.

`benchmarks/<module>/` of a paper, or of a part that papers share (`ppo`), holds `ours.py`, one `peer_<name>.py` for
each peer, and the peers' requirements (`requirements-<name>.txt`, else `requirements.txt`). Each script prints JSON
lines

    {"figure": ..., "value": ..., "unit": ..., "better": ..., "who": ..., "versions": {...}, "check": ...}

where `better` is "higher" or "lower", `who` is "livepapers" or the peer, and `check` is a value that shows that both
did the same work. A peer runs in an interpreter of its own.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

import click

from livepapers.cli.command import Command, examples, json_option

PATIENCE = 1800
"""Seconds after which a benchmark script is given up."""

KEYS = ("figure", "value", "unit", "better", "who")


@dataclass(frozen=True)
class Contestant:
    """A benchmark script and the interpreter that runs it."""

    name: str
    script: Path
    python: Path


@dataclass
class Figure:
    """One measured quantity, with everyone's values in the order they were taken."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    values: dict[str, list[float]] = field(default_factory=dict)
    checks: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def rows(self, ours: str) -> list[dict[str, Any]]:
        """Ours against each peer; a ratio above 1 means that we are ahead."""
        mine = median(self.values[ours]) if ours in self.values else None
        rows = []
        for peer in (name for name in self.values if name != ours):
            theirs = median(self.values[peer])
            ratio = None
            if mine is not None and mine > 0 and theirs > 0:
                ratio = mine / theirs if self.better == "higher" else theirs / mine
            rows.append(
                {
                    "figure": self.name,
                    "unit": self.unit,
                    "ours": mine,
                    "peer": peer,
                    "theirs": theirs,
                    "ratio": ratio,
                    "ahead": None if ratio is None else ratio > 1,
                }
            )
        return rows or [
            {
                "figure": self.name,
                "unit": self.unit,
                "ours": mine,
                "peer": "",
                "theirs": None,
                "ratio": None,
                "ahead": None,
            }
        ]


@click.command(
    "bench",
    cls=Command,
    epilog=examples("bench hdpo", "bench ppo", "bench fl-gfn --repeats 5 --peers torchgfn", "bench hdpo --save --json"),
)
@click.argument("slug", metavar="NAME")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Turns; the median counts.")
@click.option("--peers", metavar="NAME[,NAME]", help="Only these peers.")
@click.option(
    "--python", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Makes the peers' environments."
)
@click.option("--save", is_flag=True, help="Keep the figures as results/benchmarks/<slug>.json of the checkout.")
@json_option
def command(slug: str, repeats: int, peers: str | None, python: Path | None, save: bool, as_json: bool) -> None:
    """Measure a method side by side with its best peers.

    NAME is the slug of a paper with benchmarks, or `ppo`, the learner that several papers share.

    Ours and the peers take turns. Each peer gets a virtual environment in the cache folder at its first use.
    """
    from livepapers.cli.output import note, print_json

    folder = benchmark_folder(slug)
    chosen = None if peers is None else [name.strip() for name in peers.split(",")]
    contestants = find_contestants(folder, peers=chosen, python=python or Path(sys.executable))
    figures: dict[str, Figure] = {}
    for turn in range(1, repeats + 1):
        for contestant in contestants:
            note(f"turn {turn} of {repeats}: {contestant.name}")
            for line in run_script(contestant):
                add_line(figures, line)
    outcome = summary(slug, figures, repeats=repeats)
    if save:
        path = saved(slug, outcome)
        note(f"saved as {path}")
    if as_json:
        print_json(outcome)
    else:
        show(outcome)


def benchmark_folder(slug: str) -> Path:
    """The folder of benchmarks of that name; `InputError` outside a checkout, or when there is none."""
    from livepapers.cli import checkout
    from livepapers.core.errors import InputError
    from livepapers.papers.catalogue import module_name

    root = checkout.root(needed_for="benchmarks and their peers' requirements are not in the wheel")
    folder = root / "benchmarks" / module_name(slug)
    if not re.fullmatch(r"[a-z0-9-]+", slug) or not (folder / "ours.py").is_file():
        ready = sorted(path.parent.name.replace("_", "-") for path in (root / "benchmarks").glob("*/ours.py"))
        raise InputError.of("name", slug, expected=f"one with benchmarks ({', '.join(ready) or 'none yet'})")
    return folder


def find_contestants(folder: Path, *, peers: Sequence[str] | None, python: Path) -> list[Contestant]:
    """Ours first, then the peers, each with its environment made ready."""
    from livepapers.core.errors import InputError

    scripts = {path.stem.removeprefix("peer_").replace("_", "-"): path for path in sorted(folder.glob("peer_*.py"))}
    for name in peers or ():
        if name not in scripts:
            raise InputError.of("peers", name, expected=f"one of {', '.join(scripts) or 'none'}")
    found = [Contestant("ours", folder / "ours.py", Path(sys.executable))]
    for name, script in scripts.items():
        if peers is None or name in peers:
            found.append(Contestant(name, script, peer_python(folder, script, python=python)))
    return found


def peer_python(folder: Path, script: Path, *, python: Path) -> Path:
    """The interpreter of a peer, with its requirements installed; made once for each content of the requirements."""
    from livepapers.cli.output import note
    from livepapers.core.errors import InputError
    from livepapers.tasks.data import cache_folder

    own = folder / f"requirements-{script.stem.removeprefix('peer_')}.txt"
    requirements = next((path for path in (own, folder / "requirements.txt") if path.is_file()), None)
    if requirements is None:
        raise InputError.of("benchmark", script.name, expected=f"{own.name} or requirements.txt beside it")
    key = hashlib.sha256(requirements.read_bytes() + str(python).encode()).hexdigest()[:12]
    place = cache_folder() / "bench" / f"{folder.name}-{script.stem}-{key}"
    inside = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = place / "ready"
    if ready.is_file():
        return inside
    note(f"making the environment of {script.stem} in {place}")
    for arguments in (
        [str(python), "-m", "venv", "--clear", str(place)],
        [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)],
    ):
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
            raise InputError.of(
                requirements.name, script.stem, expected="an environment that installs", cause=lines[-1][:200]
            )
    ready.touch()
    return inside


def run_script(contestant: Contestant) -> list[dict[str, Any]]:
    """Run a benchmark script once, on one thread, and read its JSON lines."""
    from livepapers.core.errors import InputError

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            [str(contestant.python), contestant.script.name],
            cwd=contestant.script.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise InputError.of("benchmark", contestant.name, expected=f"an answer within {PATIENCE} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError.of(
            "benchmark", contestant.name, expected="exit status 0", cause=f"status {done.returncode}: {last[:200]}"
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise InputError.of("benchmark", contestant.name, expected="at least one JSON line on standard output")
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise InputError.of("benchmark", contestant.name, expected="a JSON line", cause=str(error)) from None


def add_line(figures: dict[str, Figure], line: Mapping[str, Any]) -> None:
    """Enter one JSON line of a script."""
    from livepapers.core.errors import InputError

    missing = [key for key in KEYS if key not in line]
    if missing:
        raise InputError.of(
            "benchmark line", json.dumps(line), expected=f"the keys {', '.join(KEYS)}", cause=f"{missing[0]} is missing"
        )
    figure = figures.setdefault(line["figure"], Figure(line["figure"], line["unit"], line["better"]))
    if (line["unit"], line["better"]) != (figure.unit, figure.better):
        raise InputError.of(
            f"benchmark line of {line['who']}", line["unit"], expected=f"{figure.unit}, {figure.better} is better"
        )
    figure.values.setdefault(line["who"], []).append(float(line["value"]))
    figure.checks[line["who"]] = line.get("check")
    figure.versions[line["who"]] = line.get("versions", {})


def summary(slug: str, figures: Mapping[str, Figure], *, repeats: int) -> dict[str, Any]:
    """Everything that was measured, JSON-ready."""
    from livepapers.lab.machine import git_commit, machine

    versions: dict[str, Mapping[str, str]] = {}
    for figure in figures.values():
        versions.update(figure.versions)
    return {
        "slug": slug,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "repeats": repeats,
        "machine": machine(),
        "git_commit": git_commit(),
        "versions": versions,
        "rows": [row for figure in figures.values() for row in figure.rows("livepapers")],
        "values": {figure.name: figure.values for figure in figures.values()},
        "checks": {figure.name: figure.checks for figure in figures.values()},
    }


def saved(slug: str, outcome: Mapping[str, Any]) -> Path:
    """Write the figures where the documentation reads them."""
    from livepapers.core.files import write_atomic
    from livepapers.papers.catalogue import PACKAGE

    path = PACKAGE / "results" / "benchmarks" / f"{slug}.json"
    write_atomic(path, json.dumps(outcome, indent=2, sort_keys=True) + "\n")
    return path


def show(outcome: Mapping[str, Any]) -> None:
    """The table, what was compared with what, and where we are not ahead."""
    from livepapers.cli.output import print_table
    from livepapers.lab.words import ratio_text

    machine = outcome["machine"]
    print_table(
        [
            {**row, "ratio": None if row["ratio"] is None else f"{ratio_text(row['ratio'])} x"}
            for row in outcome["rows"]
        ],
        title=f"{outcome['slug']}: median of {outcome['repeats']} turns; a ratio above 1 means that we are ahead",
        styles={"yes": "green", "no": "bold red"},
    )
    click.echo(
        f"\nmachine: {machine.get('cpu', 'unknown')}, {machine['cores']} cores, {machine['system']}; one thread each"
    )
    for who, versions in outcome["versions"].items():
        click.echo(f"{who}: {', '.join(f'{name} {version}' for name, version in versions.items())}")
    for name, checks in outcome["checks"].items():
        for who, value in checks.items():
            if value is not None:
                click.echo(f"check of {name}, {who}: {json.dumps(value)}")
    behind = [row for row in outcome["rows"] if row["ahead"] is False]
    for row in behind:
        click.secho(
            f"not ahead in {row['figure']}: {row['peer']} is {ratio_text(1 / row['ratio'])} times better", fg="red"
        )
    if not behind and any(row["ahead"] for row in outcome["rows"]):
        click.echo("ahead in every figure that was compared")
