"""Study checks: claims that can fail, cells that repeat, results that belong to the present study."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from livepapers.battery.check import NotApplicable, check, require
from livepapers.battery.subject import Subject
from livepapers.core.errors import InputError
from livepapers.lab import statistics
from livepapers.lab.claims import LEVEL, judge, undecidable
from livepapers.lab.report.committed import committed
from livepapers.lab.report.evidence import swept_metrics
from livepapers.lab.study import Cells, Study
from livepapers.papers import catalogue


@check(33)
def claims_are_complete(subject: Subject) -> None:
    """Each claim says where in the paper, what is measured, its reference, why, and at what scale."""
    require(bool(subject.study.claims), "the study declares no claim")
    for claim in subject.study.claims:
        needed = ("statement", "where", "published")
        if not claim.needs:
            needed += ("effect", "margin_why", "scale")
            require(bool(claim.settings) and bool(claim.arms), f"{claim.id} names no setting or no arm")
            numbers = (claim.reference, claim.margin)
            require(
                all(map(math.isfinite, numbers)) and claim.margin >= 0,
                f"{claim.id}: reference and margin are {numbers}",
            )
            require(
                claim.direction != "equal" or claim.margin > 0, f"{claim.id}: equality without a margin cannot be shown"
            )
        missing = [name for name in needed if not getattr(claim, name).strip()]
        require(not missing, f"{claim.id} leaves {', '.join(missing)} empty")


@check(34)
def every_claim_gets_a_verdict(subject: Subject) -> None:
    """With no cell measured, every claim still gets a verdict, and none of them is favourable."""
    empty = Cells({}, samples=_absent, curves=_absent)
    verdicts = judge(subject.study.claims, empty)
    require([v.claim_id for v in verdicts] == [c.id for c in subject.study.claims], "claims and verdicts differ")
    wrong = [v.claim_id for v in verdicts if v.verdict not in {"not tested here", "void"}]
    require(not wrong, f"without a single cell these claims get a verdict: {', '.join(wrong)}")


@check(35)
def claims_have_enough_pairs(subject: Subject) -> None:
    """The laptop preset gives every claim that rests on seeds the pairs to be decided after Holm's correction.

    The correction multiplies a claim's p by up to the number of claims that are decided with it. A headline claim has
    to stand the worst case, when all the others are as uncertain; any other the best, when the pairs of all claims
    agree, unless it is planned as indicative. Studies that were measured already say in the verdict what they lack.
    """
    study = subject.study
    tested, planned = [claim for claim in study.claims if not claim.needs], study.pairs("laptop")
    require(any(claim.headline for claim in tested), "no claim is marked as a headline")
    decided = [c for c in tested if c.unit != "exact" and planned.get(c.id, math.inf) >= statistics.FEWEST_PAIRS]
    for claim in tested:
        if claim.headline and claim.id in planned:
            pairs = planned[claim.id]
            best = statistics.smallest_p(pairs) * max(len(decided), 1)
            require(
                best <= LEVEL,
                f"{claim.id} has {pairs} pairs: at best p = {best:.3g} after correction over {len(decided)} claims",
            )
    results = catalogue.results(subject.slug)
    if results is None or results["current"]["run"]["study_version"] != study.version:
        vain = undecidable(study.claims, planned)
        named = ", ".join(f"{name} ({pairs} pairs)" for name, pairs in vain.items())
        require(not vain, f"not decided even if all pairs of all claims agree: {named}")


@check(36)
def arms_are_honest(subject: Subject) -> None:
    """The study has a method, a baseline, and an optimum or a floor; every arm and setting is used and described."""
    study = subject.study
    kinds = {arm.kind for arm in study.arms.values()}
    require("method" in kinds and "baseline" in kinds, f"kinds of arms: {sorted(kinds)}")
    require(bool(kinds & {"optimum", "floor"}), "neither an optimum nor a floor puts the figures in proportion")
    used = {arm for setting in study.settings.values() for arm in setting.arms}
    require(used == set(study.arms), f"arms that no setting uses: {sorted(set(study.arms) - used)}")
    mute = [x.name for x in (*study.arms.values(), *study.settings.values()) if len(x.about) < 15]
    require(not mute, f"not described: {', '.join(mute)}")


@check(38)
def presets_have_cells(subject: Subject) -> None:
    """The smoke, laptop and paper presets each run the method."""
    methods = {arm.name for arm in subject.study.arms.values() if arm.kind == "method"}
    for preset in ("smoke", "laptop", "paper"):
        arms = {cell.arm for cell in subject.study.cells(preset)}
        require(bool(arms & methods), f"preset {preset} does not run the method")


@check(42)
def results_belong_to_this_study(subject: Subject) -> None:
    """The committed results were measured by this version of the study, and say what its claims and the rules say."""
    results = catalogue.results(subject.slug)
    if results is None:
        raise NotApplicable("no results are committed yet")
    try:
        today = committed(subject.slug, study=subject.study)
    except InputError as error:
        require(False, str(error))
        return
    _require_curves(subject.study, results["current"])
    _require_sweeps(subject.study, results["current"])
    mend = f"livepapers report {subject.slug} --committed --publish"
    require(today["settings"] == results["current"]["settings"], f"the results hold other intervals of arms; {mend}")
    require(today["curves"] == results["current"]["curves"], f"the results hold other words about curves; {mend}")
    require(today["deviations"] == results["current"]["deviations"], f"the results hold other deviations; {mend}")
    claims = [[verdict["id"] for verdict in one["verdicts"]] for one in (today, results["current"])]
    require(claims[0] == claims[1], f"the results hold verdicts of other claims; {mend}")
    for now, then in zip(today["verdicts"], results["current"]["verdicts"], strict=True):
        for name in ("verdict", "statement", "published", "effect_name"):
            require(
                now[name] == then[name],
                f"{then['id']}: {name} is committed as {then[name]!r} and is {now[name]!r} today; {mend}",
            )


def _require_curves(study: Study, current: Mapping[str, Any]) -> None:
    """Every logged curve is described where it stands, and nothing is that was not logged."""
    logged = {(curve["setting"], curve["name"]) for curve in current["curves"] if not curve.get("linear")}
    declared = {(setting, one.metric) for one in study.curves for setting in one.settings or study.settings}
    named = ", ".join(sorted({name for _, name in logged - declared}))
    require(not named, f"no CURVES of the study describe {named}")
    names = {name for _, name in logged}
    vain = [one.about for one in study.curves if one.metric not in names]
    require(not vain, f"curves that nothing was logged of: {', '.join(vain)}")


def _require_sweeps(study: Study, current: Mapping[str, Any]) -> None:
    """A sweep of which nothing was measured is a name misspelt: it would be left out without a word."""
    measured = [arm["metrics"] for setting in current["settings"] for arm in setting["arms"]]
    for sweep in study.sweeps:
        points = max((len(swept_metrics(metrics, sweep.metric)) for metrics in measured), default=0)
        require(points > 1, f"the sweep of {sweep.metric!r} finds no two metrics {sweep.metric}_NUMBER in the results")


def _absent(*_: object) -> NoReturn:
    raise KeyError("nothing was measured")
