"""The committed results of a paper: the run that stands, and what it superseded."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.files import write_atomic
from livepapers.lab.machine import CHANGED

PUBLISHED_PRESETS = ("laptop", "paper")
RESULTS_LIMIT = 1_000_000  # bytes of a committed results file


def publish(found: Mapping[str, Any], path: Path) -> None:
    """Make a run the current one of a results file; what stood there is superseded, never lost.

    Publishing the same run again replaces it when its verdicts are the same. The file holds no items, thinned curves,
    six significant digits, and stays below 1 MB.

    Raises:
        InputError: The run may not stand for the paper (see `require_publishable`), or the file belongs to another one.
        CorruptFileError: The file is not one of ours.
    """
    require_publishable(found["run"])
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


def require_publishable(run: Mapping[str, Any]) -> None:
    """Refuse a run that is not the whole plan of a real preset, measured by the present study from committed code.

    Args:
        run: The evidence's "run".
    """
    cells, plan, resume = run["cells"], run["plan"], f"livepapers resume {run['id']}"
    waiting = sum(cells.get(name, 0) for name in ("pending", "running", "interrupted"))
    if run["preset"] not in PUBLISHED_PRESETS:
        cause = f"the {run['preset']} preset only shows that everything runs"
        raise InputError.of("preset", run["preset"], expected=" or ".join(PUBLISHED_PRESETS), cause=cause)
    if run["study_version"] != run["claims_version"]:
        got, cause = f"version {run['study_version']} of the study", "the study changed since; measure it again"
        raise InputError.of("run", got, expected=f"version {run['claims_version']}", cause=cause)
    if cells.get("failed"):
        raise InputError.of(
            "run", f"{cells['failed']} failed cells", expected="none", cause=f"{resume} tries them again"
        )
    if waiting or run["status"] != "finished":
        got = f"{waiting} unfinished cells" if waiting else f"a run that is {run['status']}"
        raise InputError.of("run", got, expected="a run that is finished", cause=resume)
    if plan["finished"] < plan["cells"] or not plan["cells"]:
        got, expected = f"{plan['finished']} cells", f"all {plan['cells']} of the {run['preset']} preset"
        raise InputError.of("run", got, expected=expected, cause=f"it was made by: {run['command']}")
    if run.get("extended") and plan["beyond"]:  # runs of before 2026-11-29 do not say
        got = f"{plan['beyond']} cells beyond the plan, asked for when others were finished"
        cause = f"who has seen some results must not choose how many more there are; start anew: {run['command']}"
        raise InputError.of("run", got, expected="cells fixed before the run", cause=cause)
    if not run["git_commit"] or run["git_commit"].endswith(CHANGED):
        got = run["git_commit"] or "no commit"
        cause = "commit first, then measure; a run goes on with the code and packages that it began with"
        raise InputError.of("run", got, expected="a run of committed code", cause=cause)


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
        raise CorruptFileError(
            f"{path}: not a results file ({plainly(error)}); restore it from version control"
        ) from error
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
