"""What every face of a report says first: how many claims got which verdict, and what a reader has to know."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from livepapers.lab.machine import CHANGED
from livepapers.lab.study import NOT_IN_PAPER, effects_of_settings
from livepapers.lab.words import OUTCOMES, number


def tally(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many claims got each verdict, in the order of `OUTCOMES`; verdicts that nobody got are left out."""
    counts = Counter(verdict["verdict"] for verdict in verdicts)
    return {name: counts[name] for name in OUTCOMES if counts[name]}


def identities(verdicts: Sequence[Mapping[str, Any]]) -> int:
    """How many of the reproduced claims are exact: true by a proof, a count or given data, with nothing estimated."""
    return sum(verdict["verdict"] == "reproduced" and verdict["unit"] == "exact" for verdict in verdicts)


def told(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """How many claims got which verdict, "7 reproduced (2 of them identities), 1 void"; empty without claims."""
    parts = {name: f"{count} {name}" for name, count in tally(verdicts).items()}
    if exact := identities(verdicts):
        parts["reproduced"] += f" ({exact} of them {'identities' if exact > 1 else 'an identity'})"
    return ", ".join(parts.values())


def of_paper(verdicts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The verdicts on claims that the paper makes."""
    return [verdict for verdict in verdicts if verdict["published"] != NOT_IN_PAPER]


def of_ours(verdicts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The verdicts on questions that the study adds: controls and ablations that the paper does not report."""
    return [verdict for verdict in verdicts if verdict["published"] == NOT_IN_PAPER]


def by_setting(verdict: Mapping[str, Any]) -> str:
    """The mean effect and the pairs of each setting that a verdict pools, "set-small 1.2 (6), set-large -0.8 (4)".

    A mean over settings can hide that they disagree. Empty for claims that do not pool settings.
    """
    pooled = effects_of_settings(verdict["effects"]) if verdict["unit"] == "seed x setting" else {}
    if len(pooled) < 2:
        return ""
    return ", ".join(f"{name} {number(fmean(effects))} ({len(effects)})" for name, effects in pooled.items())


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
    if (run["git_commit"] or "").endswith(CHANGED):
        said.append("The code differed from its commit, or changed while this was measured.")
    if run.get("extended") and run["plan"]["beyond"]:  # results of before 2026-11-29 do not say
        said.append(
            f"{run['plan']['beyond']} cells beyond the study's plan were asked for when others were finished: how many "
            "there are may depend on what the first ones said."
        )
    if run["preset"] == "smoke":
        said.append("The smoke preset shows that everything runs; its figures say little about the paper.")
    return said
