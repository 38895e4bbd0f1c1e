"""The committed results of a paper as evidence, judged by the present rules from what results files keep of a run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from livepapers.core.errors import InputError
from livepapers.lab.claims import Verdict, judge_again
from livepapers.lab.report.evidence import claim_record, in_words
from livepapers.lab.statistics import interval_inside
from livepapers.lab.study import Cell, Cells, Claim, Study, load_study
from livepapers.papers import catalogue

FIXED = ("unit", "direction", "reference", "margin")
"""What of a claim decides its verdict, beside its effects: other values need another measurement."""


def committed(slug: str, *, study: Study | None = None) -> dict[str, Any]:
    """The evidence of a paper's standing run: its figures as they are; words, verdicts and shown intervals as of today.

    Args:
        slug: The paper.
        study: Its study; loaded if None.

    Raises:
        InputError: Nothing is committed, or the claims have changed since the run.
    """
    results, study = catalogue.results(slug), study or load_study(slug)
    if results is None:
        cause = f"nothing is published; measure it: livepapers run {slug} --preset laptop"
        raise InputError.of("paper", slug, expected="a paper with committed results", cause=cause)
    found = results["current"]
    kept = {record["id"]: record for record in found["verdicts"]}
    _require_same(slug, found["run"], study.version, kept, study.claims)
    verdicts = judge_again(
        study.claims,
        {name: _verdict(record) for name, record in kept.items()},
        planned=study.pairs(found["run"]["preset"]),
        cells=_cells(found["settings"]),
    )
    # thousands of effects were kept as quantiles only
    records = [
        claim_record(claim, verdict.to_json()) | ({} if verdict.effects else {"dots": kept[claim.id]["dots"]})
        for claim, verdict in zip(study.claims, verdicts, strict=True)
    ]
    settings = [_described(setting) for setting in found["settings"]]
    logged = [curve for curve in found["curves"] if not curve.get("linear")]
    sweeps = [curve for curve in found["curves"] if curve.get("linear")]
    return {
        **found, "verdicts": records, "settings": settings, "curves": [*in_words(study, logged), *sweeps],
        "deviations": list(study.deviations),
    }  # fmt: skip


def _cells(settings: Sequence[Mapping[str, Any]]) -> Cells:
    """The metrics of every cell, as results files keep them; nothing of samples and curves."""

    def absent(*_: object) -> NoReturn:
        raise KeyError("results hold metrics alone")

    metrics: dict[Cell, dict[str, float]] = {}
    for setting in settings:
        for arm in setting["arms"]:
            for name, metric in arm["metrics"].items():
                for seed, value in metric["values"].items():
                    cell = Cell(arm["arm"], setting["name"], int(seed))
                    metrics.setdefault(cell, {})[name] = math.nan if value is None else value
    return Cells(metrics, samples=absent, curves=absent)


def _described(setting: Mapping[str, Any]) -> dict[str, Any]:
    """A setting whose arms have the intervals that are shown today; older results hold them whole."""
    arms = []
    for arm in setting["arms"]:
        metrics = {}
        for name, metric in arm["metrics"].items():
            interval = interval_inside(list(metric["values"].values()), metric["interval"])
            metrics[name] = {**metric, "interval": None if interval is None else list(interval)}
        arms.append({**arm, "metrics": metrics})
    return {**setting, "arms": arms}


def _require_same(
    slug: str, run: Mapping[str, Any], version: int, kept: Mapping[str, Mapping[str, Any]], claims: tuple[Claim, ...]
) -> None:
    cause = f"the study changed since; measure it again: livepapers run {slug} --preset {run['preset']}"
    if run["study_version"] != version:
        raise InputError.of("results", f"version {run['study_version']}", expected=f"version {version}", cause=cause)
    if [*kept] != [claim.id for claim in claims]:
        expected = ", ".join(claim.id for claim in claims)
        raise InputError.of("results", f"claims {', '.join(kept)}", expected=expected, cause=cause)
    for claim in claims:
        for name in FIXED:
            was, now = kept[claim.id][name], getattr(claim, name)
            if was != (float(f"{now:.6g}") if isinstance(now, float) else now):  # as results files keep numbers
                raise InputError.of(f"results: {claim.id}: {name}", was, expected=str(now), cause=cause)


def _verdict(record: Mapping[str, Any]) -> Verdict:
    interval, equivalence = (
        None if record[name] is None else (float(record[name][0]), float(record[name][1]))
        for name in ("interval", "equivalence_interval")
    )
    same = ("verdict", "reason", "n", "effect", "iqm", "on_side", "p", "p_holm", "units_needed")
    return Verdict(
        record["id"],
        **{name: record[name] for name in same},
        interval=interval,
        equivalence_interval=equivalence,
        would_be=record.get("would_be", ""),  # the oldest results do not say
        indicative=record["indicative"],
        effects=dict(record["effects"]),
    )
