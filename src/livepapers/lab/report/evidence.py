"""All that is known about a run, as one dictionary of JSON values."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from livepapers.core.rng import numpy_generator
from livepapers.lab import figures, statistics
from livepapers.lab.claims import judge
from livepapers.lab.selection import as_texts
from livepapers.lab.store import CellRecord, RunRecord, Store
from livepapers.lab.study import Arm, Cell, Cells, Claim, Setting, Study, load_study
from livepapers.lab.words import last_line
from livepapers.papers import catalogue

FORMAT = 1
"""Version of the shape of `evidence`; results files carry it."""

CURVE_POINTS = 200
EFFECTS_KEPT = 200  # more units than this (items) are kept as quantiles only


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
    verdicts = judge(
        study.claims,
        cells,
        planned=_planned_pairs(study, record),
        needed=study.arms_in_settings(record.preset),
        seed=seed,
    )
    pairs = zip(study.claims, [verdict.to_json() for verdict in verdicts], strict=True)
    return {
        "format": FORMAT,
        "slug": record.slug,
        "card": _card(record.slug),
        "run": _run(record, study, seed) | {"plan": _plan(study, record.preset, rows)},
        "verdicts": [claim_record(claim, verdict) for claim, verdict in pairs],
        "settings": _settings(study, cells, rows, seed),
        "curves": [*in_words(study, _curves(store, run, study, rows)), *swept(study, cells)],
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
        "kept_seeds": study.kept_seeds(record.preset, record.options.get("seeds"), record.options.get("settings")),
        "extended": bool(record.options.get("extended")),
        "command": _command(record, study),
    }


def _planned_pairs(study: Study, record: RunRecord) -> dict[str, int]:
    """The pairs of each claim as the preset plans them, or as the run was asked for when those are more."""
    plan, asked = study.pairs(record.preset), study.pairs(record.preset, seeds=record.options.get("seeds"))
    return {name: max(pairs, asked[name]) for name, pairs in plan.items()}


def _plan(study: Study, preset: str, rows: Sequence[CellRecord]) -> dict[str, int]:
    """How many cells the study plans for the preset, how many of these are finished, and how many more there are."""
    known = any(preset in setting.seeds for setting in study.settings.values())
    planned = set(study.cells(preset)) if known else set()
    inside = [row for row in rows if row.cell in planned]
    finished = sum(row.status == "finished" for row in inside)
    return {"cells": len(planned), "finished": finished, "beyond": len(rows) - len(inside)}


def _command(record: RunRecord, study: Study) -> str:
    """What repeats the run; by the claims that its arms and settings belong to, where that says the same."""
    options = dict(record.options)
    claims = _claims_of(study, record.preset, options.get("arms"), options.get("settings"))
    if claims:
        options = {"seeds": options.get("seeds"), "claims": claims}
    words = ["livepapers", "run", record.slug, "--preset", record.preset]
    if options.get("seeds"):
        words += ["--seeds", str(options["seeds"])]
    for name, known in (("claims", claims), ("arms", study.arms), ("settings", study.settings)):
        words += [word for text in as_texts(options.get(name) or (), known) for word in (f"--{name}", text)]
    return shlex.join(words)


def _claims_of(study: Study, preset: str, arms: Sequence[str] | None, settings: Sequence[str] | None) -> list[str]:
    """The claims of the preset whose arms and settings are exactly these together; none where there are no such."""
    if not arms or not settings:
        return []
    tested = [claim for claim in study.claims if not claim.needs and study.rests_on(claim, preset)]
    inside = [claim for claim in tested if {*claim.arms} <= {*arms} and {*claim.settings} <= {*settings}]
    covered = ({arm for c in inside for arm in c.arms}, {name for c in inside for name in c.settings})
    return [c.id for c in inside] if covered == ({*arms}, {*settings}) else []


def claim_record(claim: Claim, verdict: dict[str, Any]) -> dict[str, Any]:
    """What was claimed and what was found, of one claim."""
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
        interval = statistics.interval_inside(values, statistics.bootstrap_interval(values, stream))
        metrics[name] = {
            "mean": float(np.sort(values).mean()),
            "iqm": float(statistics.iqm(values)),
            "interval": list(interval) if interval else None,
            "values": {str(s): float(value) for s, value in zip(having, values, strict=True)},
        }
    failed = [{"seed": row.cell.seed, "error": last_line(row.error)} for row in mine if row.status == "failed"]
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


def in_words(study: Study, logged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Logged curves setting by setting, in the order and with the words of the study; others follow by their names."""
    found = []
    for setting in study.settings:
        here = {curve["name"]: curve for curve in logged if curve["setting"] == setting}
        declared = [one for one in study.curves if one.metric in here and setting in (one.settings or [setting])]
        said = {one.metric: {"about": one.about, "axis": one.axis} for one in declared}
        unsaid = {name: {"about": name.replace("_", " "), "axis": "step"} for name in here if name not in said}
        found.extend(
            {**here[name], **words, "arms": _own(study, here[name])} for name, words in (said | unsaid).items()
        )
    return found


def _own(study: Study, curve: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Lines of a curve, without those of arms that repeat another's training: one would hide the other."""
    there = {line["arm"] for line in curve["arms"]}
    repeats = {arm.name for arm in study.arms.values() if arm.trains_as in there}
    return [line for line in curve["arms"] if line["arm"] not in repeats]


def swept(study: Study, cells: Cells) -> list[dict[str, Any]]:
    """The study's sweeps in each setting, like logged curves, with the numbers in the metrics' names as steps."""
    found = []
    for setting in study.settings:
        for sweep in study.sweeps:
            lines = [
                {"arm": arm, **line}
                for arm in study.settings[setting].arms
                if (line := _swept_line(cells, sweep.metric, arm, setting))
            ]
            if lines:
                words = {"about": sweep.about, "axis": sweep.axis, "linear": True}
                found.append({"setting": setting, "name": sweep.metric, **words, "arms": lines})
    return found


def swept_metrics(names: Iterable[str], metric: str) -> dict[float, str]:
    """Which of the names are the metric, an underscore and a number, by that number, ascending."""
    found = {name: re.fullmatch(rf"{re.escape(metric)}_(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", name) for name in names}
    return dict(sorted((float(match[1]), name) for name, match in found.items() if match))


def _swept_line(cells: Cells, metric: str, arm: str, setting: str) -> dict[str, Any] | None:
    """Mean, least and largest value at each of the numbers, where there are several, over seeds that have them all."""
    names = swept_metrics(cells.names(arm=arm, setting=setting), metric)
    each = [Cell(arm, setting, seed) for seed in cells.seeds(setting=setting, arms=[arm])]
    whole = [cell.seed for cell in each if all(_has(cells, name, cell) for name in names.values())]
    if len(names) < 2 or not whole:
        return None
    columns = [cells.values(name, arm=arm, setting=setting, seeds=whole) for name in names.values()]
    return {"n": len(whole), "steps": [*names], **_bands(np.column_stack(columns))}


def _bands(table: np.ndarray) -> dict[str, list[float]]:
    """Mean, least and largest value of each column of `[seed, point]`."""
    return {
        "mean": table.mean(axis=0).tolist(),
        "low": table.min(axis=0).tolist(),
        "high": table.max(axis=0).tolist(),
    }


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
    return {"n": len(clean), "steps": [int(step) for step in grid], **_bands(table)}
