"""One dictionary of evidence for a run, and its faces: HTML page, terminal tables, committed results file.

Everything shown anywhere comes from `evidence`, so page, terminal and file cannot disagree.
"""

import functools
import json
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.files import write_atomic
from livepapers.core.rng import numpy_generator
from livepapers.lab import figures, statistics
from livepapers.lab.claims import OUTCOMES, estimate, judge, number, p_text
from livepapers.lab.store import CellRecord, RunRecord, Store
from livepapers.lab.study import Arm, Cell, Cells, Claim, Setting, Study, load_study
from livepapers.papers import catalogue

FORMAT = 1
"""Version of the shape of `evidence`; results files carry it."""

CURVE_POINTS = 200
RESULTS_LIMIT = 1_000_000  # bytes of a committed results file
EFFECTS_KEPT = 200  # more units than this (items) are kept as quantiles only


# ---- evidence ----


def evidence(store: Store, run: str, *, study: Study | None = None, seed: int = 0) -> dict[str, Any]:
    """All that is known about a run, JSON-ready and finite.

    Args:
        store: Where the run is.
        run: Its id; unknown ones raise `InputError`.
        study: The paper's study; loaded by the run's slug if None.
        seed: Of the bootstrap resamples and random sign flips.
    """
    record = store.run(run)
    study = study or load_study(record.slug)
    cells, rows = store.cells(run), store.cell_records(run)
    verdicts = judge(study.claims, cells, seed=seed)
    pairs = zip(study.claims, [verdict.to_json() for verdict in verdicts], strict=True)
    return {
        "format": FORMAT,
        "slug": record.slug,
        "card": _card(record.slug),
        "run": _run(record, study, seed),
        "verdicts": [_claim(claim, verdict) for claim, verdict in pairs],
        "settings": _settings(study, cells, rows, seed),
        "curves": _curves(store, run, study, rows),
        "arms": _budget(study, rows),
        "prepared": store.prepared(run),
        "deviations": list(study.deviations),
    }


def _card(slug: str) -> dict[str, Any]:
    card = catalogue.card(slug)
    names = ("title", "arxiv", "link", "field", "submitted", "venue", "summary")
    return {name: getattr(card, name) for name in names} | {"authors": list(card.authors)}


def _run(record: RunRecord, study: Study, seed: int) -> dict[str, Any]:
    return {
        "id": record.id,
        "status": record.status,
        "preset": record.preset,
        "date": datetime.fromtimestamp(record.started, UTC).isoformat(timespec="seconds"),
        "study_version": record.version,
        "claims_version": study.version,
        "git_commit": record.git_commit,
        "machine": dict(record.machine),
        "versions": dict(record.versions),
        "cells": dict(record.cells),
        "statistics_seed": seed,
        "command": _command(record),
    }


def _command(record: RunRecord) -> str:
    words = ["livepapers", "run", record.slug, "--preset", record.preset]
    for name in ("seeds", "arms", "settings"):
        value = record.options.get(name)
        if value:
            words += [f"--{name}", str(value) if isinstance(value, int) else ",".join(value)]
    return shlex.join(words)


def _claim(claim: Claim, verdict: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "statement", "where", "published", "unit", "direction", "reference", "margin", "margin_why", "scale")
    declared = {name: getattr(claim, name) for name in (*names, "headline", "needs")}
    declared |= {"effect_name": claim.effect, "arms": list(claim.arms), "settings": list(claim.settings)}
    effects = verdict.pop("effects")
    kept = effects if len(effects) <= EFFECTS_KEPT else {}
    del verdict["claim_id"]
    return declared | verdict | {"dots": figures.thinned(list(effects.values())), "effects": kept}


def _settings(study: Study, cells: Cells, rows: Sequence[CellRecord], seed: int) -> list[dict[str, Any]]:
    present = {(row.cell.setting, row.cell.arm) for row in rows}  # `--arms` and `--settings` leave some out
    return [
        {
            "name": setting.name,
            "about": setting.about,
            "part": setting.part,
            "arms": [
                _arm(study.arms[arm], setting, cells, rows, seed)
                for arm in setting.arms
                if (setting.name, arm) in present
            ],
        }
        for setting in study.settings.values()
        if any(name == setting.name for name, _ in present)
    ]


def _arm(arm: Arm, setting: Setting, cells: Cells, rows: Sequence[CellRecord], seed: int) -> dict[str, Any]:
    mine = [row for row in rows if (row.cell.arm, row.cell.setting) == (arm.name, setting.name)]
    seeds = cells.seeds(setting=setting.name, arms=[arm.name])
    metrics = {}
    for name in cells.names(arm=arm.name, setting=setting.name):
        having = [s for s in seeds if _has(cells, name, Cell(arm.name, setting.name, s))]
        values = cells.values(name, arm=arm.name, setting=setting.name, seeds=having)
        stream = numpy_generator(seed, "measured", setting.name, arm.name, name)
        interval = statistics.bootstrap_interval(values, stream)
        metrics[name] = {
            "mean": float(np.sort(values).mean()),
            "iqm": float(statistics.iqm(values)),
            "interval": list(interval) if interval else None,
            "values": {str(s): float(value) for s, value in zip(having, values, strict=True)},
        }
    failed = [{"seed": row.cell.seed, "error": _last_line(row.error)} for row in mine if row.status == "failed"]
    return {
        "arm": arm.name,
        "kind": arm.kind,
        "cells": len(mine),
        "finished": len(seeds),
        "failed": failed,
        "metrics": metrics,
    }


def _has(cells: Cells, metric: str, cell: Cell) -> bool:
    try:
        cells.value(metric, arm=cell.arm, setting=cell.setting, seed=cell.seed)
    except KeyError:
        return False
    return True


def _last_line(error: str | None) -> str:
    lines = (error or "").strip().splitlines()
    return lines[-1][:300] if lines else "no message"


def _budget(study: Study, rows: Sequence[CellRecord]) -> list[dict[str, Any]]:
    """What each arm was given and has used: finished cells only, so that sums over arms compare."""
    found = []
    for arm in study.arms.values():
        mine = [row for row in rows if row.cell.arm == arm.name]
        if not mine:
            continue
        done = [row for row in mine if row.status == "finished"]
        work: Counter[str] = Counter()
        for row in done:
            work.update(row.work)
        found.append(
            {
                "arm": arm.name,
                "kind": arm.kind,
                "about": arm.about,
                "cells": len(mine),
                "finished": len(done),
                "failed": sum(row.status == "failed" for row in mine),
                "wall": sum(row.wall or 0.0 for row in done),
                "work": dict(sorted(work.items())),
            }
        )
    return found


def _curves(store: Store, run: str, study: Study, rows: Sequence[CellRecord]) -> list[dict[str, Any]]:
    """Every logged curve: by setting and name, the arms' means and bands on a common grid."""
    logged: dict[tuple[str, str], dict[str, list[tuple[np.ndarray, np.ndarray]]]] = {}
    for row in rows:
        if row.status != "finished":
            continue
        for name in store.curve_names(run, row.cell):
            arms = logged.setdefault((row.cell.setting, name), {})
            arms.setdefault(row.cell.arm, []).append(store.curve(run, row.cell, name))
    order = list(study.settings)
    found = []
    for (setting, name), arms in sorted(logged.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        lines = [{"arm": arm, **line} for arm in study.arms if arm in arms if (line := summarise_curves(arms[arm]))]
        if lines:
            found.append({"setting": setting, "name": name, "arms": lines})
    return found


def summarise_curves(
    curves: Sequence[tuple[np.ndarray, np.ndarray]], points: int = CURVE_POINTS
) -> dict[str, Any] | None:
    """Mean, least and largest value over seeds on at most `points` common steps.

    Points that are not finite are left out. Seeds that logged at the same steps are taken there (thinned evenly, both
    ends kept); others are interpolated linearly over the steps that all of them reach. None if nothing is left.
    """
    clean = [(steps[np.isfinite(values)], values[np.isfinite(values)]) for steps, values in curves]
    clean = [(steps, values) for steps, values in clean if steps.size]
    if not clean:
        return None
    first = clean[0][0]
    if all(np.array_equal(steps, first) for steps, _ in clean):
        grid = first[np.unique(np.linspace(0, first.size - 1, min(points, first.size)).round().astype(int))]
    else:
        low, high = max(steps[0] for steps, _ in clean), min(steps[-1] for steps, _ in clean)
        if low > high:
            return None
        grid = np.unique(np.linspace(low, high, points).round().astype(np.int64))
    table = np.array([np.interp(grid, steps, values) for steps, values in clean])
    return {
        "n": len(clean),
        "steps": [int(step) for step in grid],
        "mean": table.mean(axis=0).tolist(),
        "low": table.min(axis=0).tolist(),
        "high": table.max(axis=0).tolist(),
    }


# ---- HTML ----


def render_html(found: Mapping[str, Any]) -> str:
    """One self-contained HTML page: no script, no outside request, light and dark, from telephone to print."""
    styles = _arm_classes(found)
    return _template().render(
        found,
        mark=figures.mark,
        verdict_class=figures.verdict_class,
        effect_plot=figures.effect_plot,
        curve_plot=lambda curve: figures.curves(curve["arms"], styles, title=f"{curve['name']} in {curve['setting']}"),
        estimate=estimate,
        tally=tally(found["verdicts"]),
        notes=notes(found),
        arm_class=styles,
        blocks=[_blocks(setting, styles) for setting in found["settings"]],
        light=figures.styles(dark=False),
        dark=figures.styles(dark=True),
        rules=figures.arm_styles() + figures.verdict_styles() + figures.MARK_STYLES,
    )


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("livepapers.lab"),
        autoescape=True,  # forced: titles, statements and errors are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "count": count, "p": p_text}
    return environment.get_template("report.html.j2")


def _arm_classes(found: Mapping[str, Any]) -> dict[str, str]:
    """A style class an arm, the same in all figures: optimum and floor have their own, the others go by order."""
    classes, index = {}, 0
    for arm in found["arms"]:
        if arm["kind"] in {"optimum", "floor"}:
            classes[arm["arm"]] = arm["kind"]
        else:
            classes[arm["arm"]] = f"a{index % len(figures.ARM_COLOURS)}"
            index += 1
    return classes


def _blocks(setting: Mapping[str, Any], styles: Mapping[str, str]) -> list[dict[str, Any]]:
    """For each metric of a setting: a row of dots for each arm that has it, and the ticks of their scale."""
    blocks = []
    for name in dict.fromkeys(name for arm in setting["arms"] for name in arm["metrics"]):
        arms = [arm for arm in setting["arms"] if name in arm["metrics"]]
        rows = []
        for arm in arms:
            metric = arm["metrics"][name]
            values = list(metric["values"].values())
            rows.append(figures.Row(arm["arm"], styles[arm["arm"]], values, metric["mean"], metric["interval"]))
        pictures, ticks = figures.forest(rows)
        entries = [
            {"arm": arm, "metric": arm["metrics"][name], "picture": p} for arm, p in zip(arms, pictures, strict=True)
        ]
        blocks.append({"name": name, "rows": entries, "ticks": ticks})
    return blocks


def tally(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many claims got each verdict, in the order of `OUTCOMES`; verdicts that nobody got are left out."""
    counts = Counter(verdict["verdict"] for verdict in verdicts)
    return {name: counts[name] for name in OUTCOMES if counts[name]}


def duration(seconds: float) -> str:
    """Seconds as people say them: "0.4 s", "2 min 5 s", "3 h 12 min"."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(value: float) -> str:
    """A number of steps or samples: exact below ten thousand, else with thousands or millions as units."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if size == 1e4 else size):.3g}\N{NO-BREAK SPACE}{unit}"
    return f"{value:,.0f}"


# ---- terminal ----

_TERMINAL = {
    "reproduced": ("✔", "bold green"),
    "direction only": ("↑", "blue"),
    "inconclusive": ("~", "yellow"),
    "contradicted": ("✘", "bold red"),
    "void": ("∅", "dim"),
    "not tested here": ("·", "dim"),
}


def render_terminal(found: Mapping[str, Any], console: Console) -> None:
    """Print the verdict table, what was measured, budgets and how to repeat it."""
    run = found["run"]
    console.print()
    console.print(Text(found["card"]["title"], style="bold"))
    console.print(Text(f"{found['slug']} · {run['preset']} preset · {run['date'][:10]} · {run['id']}", style="dim"))
    for note in notes(found):
        console.print(Text(note, style="yellow"))
    console.print(_verdict_table(found["verdicts"]))
    summary = ", ".join(f"{amount} {name}" for name, amount in tally(found["verdicts"]).items())
    console.print(Text(summary or "no claims", style="bold"))
    for setting in found["settings"]:
        console.print(_setting_table(setting, console.width))
    console.print(_budget_table(found["arms"]))
    console.print(Text(f"Repeat: {run['command']}", style="dim"))


def notes(found: Mapping[str, Any]) -> list[str]:
    """What a reader has to know before the table: unfinished or failed cells, a changed study, changed files."""
    run, cells = found["run"], found["run"]["cells"]
    said = []
    waiting = sum(cells.get(name, 0) for name in ("pending", "running", "interrupted"))
    if waiting:
        said.append(f"{waiting} of {sum(cells.values())} cells are not finished: verdicts are on what there is.")
    if cells.get("failed"):
        said.append(f"{cells['failed']} of {sum(cells.values())} cells failed; no figure includes them.")
    if run["study_version"] != run["claims_version"]:
        versions = (
            f"version {run['study_version']} of the study, judged by the claims of version {run['claims_version']}"
        )
        said.append(f"Measured with {versions}.")
    if (run["git_commit"] or "").endswith("+changes"):
        said.append("The code had uncommitted changes when this was measured.")
    if run["preset"] == "smoke":
        said.append("The smoke preset shows that everything runs; its figures say little about the paper.")
    return said


def _verdict_table(verdicts: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False, expand=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", ratio=5)
    table.add_column("paper", ratio=2)
    table.add_column("ours", ratio=3)
    table.add_column("n", justify="right")
    for verdict in verdicts:
        sign, style = _TERMINAL[verdict["verdict"]]
        label = Text(f"{sign} {verdict['verdict']}", style=style)
        if verdict["indicative"]:
            label.append("\n  indicative only", style="dim")
        claim = Text(f"{verdict['id']} ", style="bold").append(verdict["statement"], style="default not bold")
        table.add_row(label, claim, Text(verdict["published"]), _ours(verdict), str(verdict["n"] or ""))
    return table


def _ours(verdict: Mapping[str, Any]) -> Text:
    if verdict["effect"] is None:
        return Text(verdict["reason"], style="dim")
    mean, bounds = estimate(verdict["effect"], verdict["interval"])
    text = Text(mean, style="bold").append(f" {bounds}" if bounds else "", style="default not bold")
    text.append(f"\n{verdict['effect_name']}", style="dim not bold")
    if verdict["p_holm"] is not None:
        text.append(f"; p {p_text(verdict['p_holm'])}", style="dim not bold")
    if verdict["units_needed"]:
        text.append(f"; about {verdict['units_needed']:,} units would decide", style="dim not bold")
    return text


def _setting_table(setting: Mapping[str, Any], width: int) -> Group:
    """Arms by metrics; metrics that do not fit side by side go into further tables below."""
    names = list(dict.fromkeys(name for arm in setting["arms"] for name in arm["metrics"]))
    cells = {
        (row, name): _metric(arm["metrics"].get(name)) for row, arm in enumerate(setting["arms"]) for name in names
    }
    first = max(len(arm["arm"]) for arm in setting["arms"]) + len("cells") + 8
    groups: list[list[str]] = [[]]
    room = width - first
    for name in names:
        needed = 3 + max(cell_len(name), *(_longest_line(cells[row, name]) for row in range(len(setting["arms"]))))
        if groups[-1] and needed > room:
            groups.append([])
            room = width - first
        groups[-1].append(name)
        room -= needed
    title = Text(setting["name"], style="bold").append(f"  {setting['about']}", style="dim not bold")
    return Group(title, *(_arms_table(setting["arms"], chosen, cells) for chosen in groups))


def _arms_table(
    arms: Sequence[Mapping[str, Any]], names: Sequence[str], cells: Mapping[tuple[int, str], Text]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm")
    table.add_column("cells", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    for row, arm in enumerate(arms):
        done = Text(f"{arm['finished']}/{arm['cells']}", style="red" if arm["failed"] else "")
        table.add_row(Text(arm["arm"]), done, *(cells[row, name] for name in names))
    return table


def _longest_line(text: Text) -> int:
    return max(cell_len(line) for line in text.plain.split("\n"))


def _metric(metric: Mapping[str, Any] | None) -> Text:
    if metric is None:
        return Text("-", style="dim")
    mean, bounds = estimate(metric["mean"], metric["interval"])
    return Text(mean).append(f"\n{bounds}" if bounds else "", style="dim")


def _budget_table(arms: Sequence[Mapping[str, Any]]) -> Panel:
    table = Table(box=None, pad_edge=False)
    for name in ("arm", "cells", "wall", "work"):
        table.add_column(name, justify="left" if name in {"arm", "work"} else "right")
    for arm in arms:
        work = ", ".join(f"{count(amount)} {name}" for name, amount in arm["work"].items())
        table.add_row(Text(arm["arm"]), str(arm["finished"]), duration(arm["wall"]), Text(work))
    return Panel(table, title="budget of finished cells", title_align="left", border_style="dim", expand=False)


# ---- committed results ----


def publish(found: Mapping[str, Any], path: Path) -> None:
    """Make a run the current one of a results file; what stood there is superseded, never lost.

    Publishing the same run again replaces it when its verdicts are the same. The file holds no items, thinned curves,
    six significant digits, and stays below 1 MB.

    Raises:
        InputError: The run has unfinished cells, or the file belongs to another paper.
        CorruptFileError: The file is not one of ours.
    """
    cells = found["run"]["cells"]
    waiting = sum(cells.get(name, 0) for name in ("pending", "running", "interrupted"))
    if waiting or not cells.get("finished"):
        cause = f"livepapers resume {found['run']['id']}"
        raise InputError.of(
            "run", f"{waiting} unfinished cells", expected="a run whose cells are all done", cause=cause
        )
    old = _read_results(path, found["slug"])
    superseded = list(old["superseded"]) if old else []
    if old and summary(old["current"]) != summary(found):
        superseded.append(summary(old["current"]))
    for points in (100, 50, 25, 12, 0):
        results = {"slug": found["slug"], "current": _compact(found, points), "superseded": superseded}
        text = json.dumps(results, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
        if len(text.encode()) <= RESULTS_LIMIT:
            break
    else:
        raise InputError.of(
            "results", f"{len(text)} bytes", expected=f"at most {RESULTS_LIMIT} bytes even without curves"
        )
    write_atomic(path, _one_entry_a_line(results))


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """What remains of a superseded run: which it was, and its verdicts."""
    run = found["run"]
    verdicts = {verdict["id"]: verdict["verdict"] for verdict in found["verdicts"]}
    return {
        "run": run["id"],
        "date": run["date"],
        "commit": run["git_commit"],
        "preset": run["preset"],
        "verdicts": verdicts,
    }


def _read_results(path: Path, slug: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        old = json.loads(path.read_text())
        belongs, _ = old["slug"], (summary(old["current"]), old["superseded"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptFileError(f"{path}: not a results file ({error}); restore it from version control") from error
    if belongs != slug:
        raise InputError.of(
            "results", str(path), expected=f"the results of {slug}", cause=f"it holds those of {belongs}"
        )
    return old


def _compact(found: Mapping[str, Any], points: int) -> dict[str, Any]:
    kept = dict(found)
    kept["curves"] = [
        {**curve, "arms": [_thin(line, points) for line in curve["arms"]]} for curve in found["curves"] if points
    ]
    # Error texts may hold paths of the machine; the file says which seeds failed, the store says why.
    kept["settings"] = [
        {
            **setting,
            "arms": [
                {**arm, "failed": [{"seed": f["seed"], "error": ""} for f in arm["failed"]]} for arm in setting["arms"]
            ],
        }
        for setting in found["settings"]
    ]
    return _rounded(kept)


def _thin(line: Mapping[str, Any], points: int) -> dict[str, Any]:
    size = len(line["steps"])
    keep = np.unique(np.linspace(0, size - 1, min(points, size)).round().astype(int))
    return {**line, **{name: [line[name][i] for i in keep] for name in ("steps", "mean", "low", "high")}}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def _one_entry_a_line(results: Mapping[str, Any]) -> str:
    """JSON in which each claim, setting and curve has its own line, so that a diff of two runs can be read."""

    def dump(value: Any) -> str:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)

    def block(value: Any) -> str:
        if isinstance(value, list) and value:
            return "[\n" + ",\n".join(dump(item) for item in value) + "\n]"
        return dump(value)

    current = ",\n".join(f"{dump(key)}:{block(value)}" for key, value in results["current"].items())
    slug, superseded = dump(results["slug"]), block(results["superseded"])
    return f'{{"slug":{slug},\n"current":{{\n{current}\n}},\n"superseded":{superseded}}}\n'
