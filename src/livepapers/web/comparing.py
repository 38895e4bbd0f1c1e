"""Two runs of one paper beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from livepapers.lab.store import RunRecord
from livepapers.web.rendering import when

Evidence = Mapping[str, Any] | None


def facts(records: Sequence[RunRecord]) -> list[tuple[str, list[str]]]:
    """How the runs were made: name and the value of each run, and a row for each package version."""
    rows = [
        ("status", [record.status for record in records]),
        ("preset", [record.preset for record in records]),
        ("seeds", [str(record.options.get("seeds") or "as the preset has") for record in records]),
        ("study version", [str(record.version) for record in records]),
        ("commit", [(record.git_commit or "not a checkout")[:20] for record in records]),
        ("started (UTC)", [when(record.started) for record in records]),
        ("cells finished", [f"{r.cells.get('finished', 0)} of {sum(r.cells.values())}" for r in records]),
        ("processor", [str(record.machine.get("cpu", "unknown")) for record in records]),
        ("cores", [str(record.machine.get("cores", "unknown")) for record in records]),
        ("system", [str(record.machine.get("system", "unknown")) for record in records]),
    ]
    names = dict.fromkeys(name for record in records for name in record.versions)
    return rows + [(name, [str(record.versions.get(name, "none")) for record in records]) for name in names]


def claims(found: Sequence[Evidence]) -> list[tuple[Mapping[str, Any], list[Mapping[str, Any] | None]]]:
    """Each claim with the verdict of each run; None where a run has none."""
    verdicts = [{verdict["id"]: verdict for verdict in each["verdicts"]} if each else {} for each in found]
    names = dict.fromkeys(name for each in verdicts for name in each)
    rows = []
    for name in names:
        pair = [each.get(name) for each in verdicts]
        rows.append((next(verdict for verdict in pair if verdict is not None), pair))
    return rows
