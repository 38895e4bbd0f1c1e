"""From measured cells to verdicts: code decides, by rules that were fixed before the run.

    verdict            greater / less                                   equal
    reproduced         significant on the claimed side, mean effect     90 % interval inside the margin and both
                       at least `margin` beyond `reference`             one-sided tests significant
    direction only     significant, but smaller than the margin, if     -
                       only in one of its settings
    contradicted       significant on the other side                    95 % interval outside the margin and the
                                                                        difference from its nearer edge significant
    inconclusive       anything else; with how many units would decide, and for what; also where some of the cells
                       that the claim is about have not been measured
    void               the claim's precondition gave a reason (an agent that did not learn)
    not tested here    the study cannot measure it, or its cells are not there

"Significant" means p <= 0.05 after Holm's correction over the study's statistical claims, p from the sign-flip test of
the effects minus the reference. That family is what the study declares, whatever a run measures: a claim that could be
tested and was not (`--claims`, missing cells, a failed precondition) counts as p = 1, so that measuring less never
makes the judgement of the rest milder. An equality asserts one of two opposite things, "within" or "beyond" the
margin, so its p is the smaller of the two tests': at most one of them can be wrong.

A claim over several settings is about each of them: it is reproduced only while the mean of every setting is beyond
the margin (inside it, for an equality), lest one setting carry the others.

Fewer than six pairs can never reach p <= 0.05. Such a claim is *indicative only*, and inconclusive even when every pair
lies on the claimed side. If the study plans fewer than six pairs for it, it takes no part in Holm's correction,
because it is never called significant (Tarone 1990). Nor do *exact* claims, which are identities: every unit has to
hold; nor claims that the study cannot measure.

Items and folds of one run are tested like seeds, but they share a model or data: they say how sure we are for *this*
model, not for a new training. The verdict's reason says so.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from livepapers.core.rng import numpy_generator
from livepapers.lab import statistics
from livepapers.lab.study import Cells, Claim, effects_of_settings
from livepapers.lab.words import Outcome, asked, estimate, number, p_text

LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """What a run says about one claim."""

    claim_id: str
    verdict: Outcome
    reason: str  # one sentence with the figure that decided
    n: int = 0  # units with an effect
    effect: float | None = None  # mean effect, in the claim's own unit
    iqm: float | None = None
    interval: tuple[float, float] | None = None  # 95 %, for display
    equivalence_interval: tuple[float, float] | None = None  # 90 %, equalities only
    on_side: float | None = None  # share of units on the claimed side (inside the margin, for an equality); ties half
    p: float | None = None
    p_holm: float | None = None
    units_needed: int | None = None  # inconclusive only: units that would decide at the observed effect and spread
    would_be: str = ""  # inconclusive only: the verdict that so many units would bring
    indicative: bool = False  # fewer than six pairs
    effects: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        values = asdict(self)
        for name in ("interval", "equivalence_interval"):
            values[name] = None if values[name] is None else list(values[name])
        return values


@dataclass(frozen=True)
class _Tested:
    """A statistical claim with its test done, before Holm's correction."""

    claim: Claim
    values: np.ndarray
    draft: Verdict
    missing: str = ""  # cells that the claim is about and that are not there, as a clause
    equivalent: bool = False  # equalities: whether `p` speaks for equivalence, with its interval inside


@dataclass(frozen=True)
class _Family:
    """The claims that Holm's correction is over, each with its corrected p value."""

    p_values: Mapping[str, float]
    corrected: Mapping[str, float]
    untested: int  # how many of them count as p = 1 because they were not tested

    def decidable(self, claim: Claim, units: int) -> bool:
        """Whether so many units could be significant beside the other claims, if all of them agreed."""
        p_values = {**self.p_values, claim.id: _smallest_p(claim, units)}
        return dict(zip(p_values, statistics.holm([*p_values.values()]), strict=True))[claim.id] <= LEVEL


def _smallest_p(claim: Claim, units: int) -> float:
    return statistics.smallest_p(units, alternative="greater" if claim.direction == "equal" else "two-sided")


def undecidable(
    claims: Sequence[Claim],
    planned: Mapping[str, int],
    *,
    asked: Mapping[str, int] | None = None,
    measured: Collection[str] | None = None,
) -> dict[str, int]:
    """The pairs of claims that could not be significant even if all pairs of all measured claims agreed.

    Args:
        claims: All claims of the study.
        planned: As for `judge`; what is planned as *indicative only*, fewer than six pairs, is not judged here.
        asked: The pairs that the run shall have instead; None: those that are planned.
        measured: The claims that the run shall measure; None: all. Of the others nothing is told, and they count as
            p = 1 beside these, as do claims that are left fewer than six pairs.
    """
    pairs = planned if asked is None else asked

    def best(claim: Claim) -> float:
        units = pairs.get(claim.id, math.inf)
        if units < statistics.FEWEST_PAIRS or (measured is not None and claim.id not in measured):
            return 1.0
        return _smallest_p(claim, int(units)) if math.isfinite(units) else 0.0

    family = [
        claim
        for claim in claims
        if claim.unit != "exact"
        and not claim.needs
        and max(planned.get(claim.id, math.inf), pairs.get(claim.id, 0)) >= statistics.FEWEST_PAIRS
    ]
    corrected = zip(family, statistics.holm([best(claim) for claim in family]), strict=True)
    told = planned.keys() if measured is None else planned.keys() & measured
    return {claim.id: pairs[claim.id] for claim, p in corrected if p > LEVEL and claim.id in told}


def judge(
    claims: Sequence[Claim],
    cells: Cells,
    *,
    planned: Mapping[str, int] | None = None,
    needed: Collection[tuple[str, str]] | None = None,
    seed: int = 0,
    resamples: int = statistics.RESAMPLES,
) -> list[Verdict]:
    """One verdict a claim, in the claims' order.

    Args:
        claims: All claims that the study declares: Holm's correction is over them, measured or not.
        cells: The finished cells.
        planned: How many pairs the study plans for each claim in the run's preset (`Study.pairs`); claims left out, as
            those over data sets and items are, could always be decided. None: what was measured is what was planned,
            and a claim of which nothing was measured could be decided.
        needed: The (arm, setting) pairs that the run's preset has; a claim is about those of its arms in its settings.
            None: all of them.
        seed: Of the resamples; each claim has its own stream, so adding one does not move another's interval.
        resamples: Bootstrap resamples of each interval.
    """
    drafts: dict[str, Verdict | _Tested] = {
        claim.id: _draft(claim, cells, _missing(claim, cells, needed), seed, resamples) for claim in claims
    }
    family = _family(claims, drafts, planned)
    return [draft if isinstance(draft, Verdict) else _decide(draft, family) for draft in drafts.values()]


def judge_again(
    claims: Sequence[Claim], recorded: Mapping[str, Verdict], *, planned: Mapping[str, int], cells: Cells
) -> list[Verdict]:
    """The verdicts that the present rules give where the verdicts and metrics of a whole run were kept, nothing else.

    Tests and intervals stay as they were computed from the run; the correction and what follows from it is new, and so
    are preconditions: one that fails today makes its claim void. What else depended on the run alone stays: identities,
    preconditions that failed then, claims that were not tested.

    Args:
        claims: As for `judge`.
        recorded: The run's verdict on each claim, by its id.
        planned: As for `judge`.
        cells: The run's metrics; samples and curves raise `KeyError`, and preconditions that ask for them hold.
    """
    drafts = {claim.id: _redraft(claim, recorded[claim.id], cells) for claim in claims}
    family = _family(claims, drafts, planned)
    return [
        draft if isinstance(draft, Verdict) else _kept_units(_decide(draft, family), recorded[name])
        for name, draft in drafts.items()
    ]


def _redraft(claim: Claim, recorded: Verdict, cells: Cells) -> Verdict | _Tested:
    if recorded.verdict != "void" and (reason := _fails_today(claim, cells)):
        return Verdict(claim.id, "void", reason)
    if recorded.p is None or claim.unit == "exact":
        return recorded
    draft = replace(recorded, verdict="inconclusive", reason="", p_holm=None, units_needed=None, would_be="")
    values, interval = np.array(list(recorded.effects.values())), recorded.equivalence_interval
    inside = interval is not None and abs(np.subtract(interval, claim.reference)).max() < claim.margin
    return _Tested(claim, values, draft, equivalent=bool(inside))


def _fails_today(claim: Claim, cells: Cells) -> str | None:
    try:
        return claim.precondition(cells) if claim.precondition and not claim.needs else None
    except KeyError:  # it asks for what was not kept
        return None


def _kept_units(verdict: Verdict, recorded: Verdict) -> Verdict:
    """The recorded verdict where nothing is new and thousands of effects were not kept: they say how many decide."""
    same = verdict.verdict == recorded.verdict and math.isclose(verdict.p_holm or 1, recorded.p_holm or 1, rel_tol=1e-4)
    return recorded if same and not recorded.effects else verdict


def _family(
    claims: Sequence[Claim], drafts: Mapping[str, Verdict | _Tested], planned: Mapping[str, int] | None
) -> _Family:
    p_values = {}
    for claim in claims:
        found = drafts[claim.id]
        draft = found.draft if isinstance(found, _Tested) else found
        pairs = (draft.n or math.inf) if planned is None else max(draft.n, planned.get(claim.id, math.inf))
        if claim.unit != "exact" and not claim.needs and pairs >= statistics.FEWEST_PAIRS:
            p_values[claim.id] = None if draft.indicative else draft.p
    counted = {name: 1.0 if p is None else p for name, p in p_values.items()}
    corrected = dict(zip(counted, statistics.holm([*counted.values()]), strict=True))
    return _Family(counted, corrected, sum(p is None for p in p_values.values()))


def _draft(claim: Claim, cells: Cells, missing: str, seed: int, resamples: int) -> Verdict | _Tested:
    if claim.needs:
        return Verdict(claim.id, "not tested here", f"needs {claim.needs}")
    try:
        void = claim.precondition(cells) if claim.precondition else None
        effects = {} if void else {name: float(value) for name, value in claim.statistic(cells).items()}
    except KeyError:
        if not missing:
            raise  # the claim asks for a metric that no cell has: a fault of the study, not of the run
        void, effects = None, {}
    if void:
        return Verdict(claim.id, "void", void)
    if not effects:
        return Verdict(claim.id, "not tested here", missing or "no unit has all the cells it needs")
    draft = Verdict(claim.id, "inconclusive", "", n=len(effects), effects=effects)
    values = np.array(list(effects.values()))
    if not np.isfinite(values).all():
        bad = [name for name, value in effects.items() if not math.isfinite(value)]
        named = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
        reason = f"{len(bad)} of {len(effects)} effects are not finite ({named})"
        return replace(draft, reason=reason, effects={k: v for k, v in effects.items() if math.isfinite(v)})
    mean, middle = float(np.sort(values).mean()), float(statistics.iqm(values))
    draft = replace(draft, effect=mean, iqm=middle, on_side=_on_side(claim, values))
    if claim.unit == "exact":
        return _exact(claim, values, draft, missing)
    return replace(_test(claim, values, draft, seed, resamples), missing=missing)


def _missing(claim: Claim, cells: Cells, needed: Collection[tuple[str, str]] | None) -> str:
    """Which (arm, setting) pairs of the claim have no finished cell, as a clause; empty if all have one."""
    pairs = [(arm, setting) for setting in claim.settings for arm in claim.arms]
    pairs = [pair for pair in pairs if needed is None or pair in needed]
    gone = [f"{arm} in {setting}" for arm, setting in pairs if not cells.seeds(setting=setting, arms=[arm])]
    if not gone:
        return ""
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    return f"no finished cell of {', '.join(gone[:3])}{more}"


def _on_side(claim: Claim, values: np.ndarray) -> float:
    if claim.direction == "equal":
        return float(np.mean(np.abs(values - claim.reference) <= claim.margin))
    side = np.sign(values - claim.reference) * (1 if claim.direction == "greater" else -1)
    return float(np.mean((side + 1) / 2))


def _exact(claim: Claim, values: np.ndarray, draft: Verdict, missing: str) -> Verdict:
    """An identity or a deterministic comparison: every unit has to hold, nothing is estimated."""
    if claim.direction == "equal":
        distance = np.abs(values - claim.reference)
        held, worst = distance <= claim.margin, float(values[distance.argmax()])
    else:
        side = 1.0 if claim.direction == "greater" else -1.0
        beyond = side * (values - claim.reference)
        held, worst = (beyond > 0) & (beyond >= claim.margin), float(values[beyond.argmin()])
    wanted = asked(claim.direction, claim.reference, claim.margin)
    count = int(held.sum())
    reason = f"{count} of {values.size} exact values are {wanted}; the one furthest from it is {number(worst)}"
    if values.size == 1:
        reason = f"the exact value is {number(worst)}, asked for: {wanted}"
    if held.all() and missing:
        return replace(draft, reason=f"{reason}; measured in part: {missing}")
    return replace(draft, verdict="reproduced" if held.all() else "contradicted", reason=reason)


def _test(claim: Claim, values: np.ndarray, draft: Verdict, seed: int, resamples: int) -> _Tested:
    stream = numpy_generator(seed, "judge", claim.id)
    strata = [name.rpartition("/")[0] for name in draft.effects] if claim.unit == "seed x setting" else None
    interval = statistics.bootstrap_interval(values, stream, strata=strata, resamples=resamples)
    draft = replace(draft, interval=interval, indicative=values.size < statistics.FEWEST_PAIRS)
    if claim.direction != "equal":
        return _Tested(claim, values, replace(draft, p=statistics.sign_flip_test(values - claim.reference, stream)))
    result = statistics.equivalence_test(
        values, stream, reference=claim.reference, margin=claim.margin, strata=strata, resamples=resamples
    )
    draft = replace(draft, equivalence_interval=result.interval)
    offset = float(values.mean()) - claim.reference
    if abs(offset) <= claim.margin:
        return _Tested(claim, values, replace(draft, p=result.p), equivalent=result.inside)
    edge = claim.reference + math.copysign(claim.margin, offset)
    return _Tested(claim, values, replace(draft, p=statistics.sign_flip_test(values - edge, stream)))


def _decide(tested: _Tested, family: _Family) -> Verdict:
    claim = tested.claim
    if tested.draft.indicative:
        return _indicate(claim, tested.draft)
    draft = replace(tested.draft, p_holm=family.corrected[claim.id])
    significant = family.corrected[claim.id] <= LEVEL
    outcome = (
        _equality(tested, significant)
        if claim.direction == "equal"
        else _inequality(claim, draft, significant=significant)
    )
    outcome, limits = _limited(tested, outcome)
    reason = _reason(claim, draft) + limits
    if family.untested:
        count = len(family.corrected)
        reason += f" over {count} claims, {family.untested} of them not tested here and counted as p = 1"
    if outcome != "inconclusive" or limits or not tested.values.size:
        return replace(draft, verdict=outcome, reason=reason)
    needed = statistics.units_to_decide(
        tested.values,
        reference=claim.reference,
        margin=claim.margin if claim.direction == "equal" else None,
        level=LEVEL / len(family.corrected),
    )
    needed = needed if needed is None else max(needed, draft.n + 1)
    if not family.decidable(claim, draft.n):
        reason += (
            f"; beside the study's other claims {draft.n} {_units(claim, draft.n)} cannot decide, even if all agree"
        )
    if claim.direction == "equal" and claim.margin <= 0:
        reason += "; the claim declares no margin, so no number of units could show equality"
    elif needed:
        reason += f"; about {needed:,} {_units(claim, needed)} like these would decide: {_leaning(claim, draft)}"
    else:
        reason += "; no practicable number of units would decide"
    return replace(
        draft, verdict=outcome, reason=reason, units_needed=needed, would_be=_leaning(claim, draft) if needed else ""
    )


def _limited(tested: _Tested, outcome: Outcome) -> tuple[Outcome, str]:
    """What is left of an outcome where cells are missing or a setting falls short, and why, as clauses."""
    if tested.missing:
        return "inconclusive", f"; measured in part: {tested.missing}"
    against = _against(tested.claim, tested.draft.effects)
    if not against or outcome not in {"reproduced", "direction only"}:
        return outcome, ""
    named = ", ".join(f"{setting} {number(mean)}" for setting, mean in against.items())
    if tested.claim.direction == "equal":
        return "inconclusive", f"; beyond the margin in {named}"
    return "direction only", f"; not beyond the margin in {named}"


def _against(claim: Claim, effects: Mapping[str, float]) -> dict[str, float]:
    """The settings that a claim pools whose own mean is not where the claim puts it."""
    if claim.unit != "seed x setting":
        return {}
    means = {setting: float(np.mean(values)) for setting, values in effects_of_settings(effects).items()}
    side = {"greater": 1, "less": -1, "equal": 0}[claim.direction]
    return {
        setting: mean
        for setting, mean in means.items()
        if (side * (mean - claim.reference) < claim.margin if side else abs(mean - claim.reference) > claim.margin)
    }


def _leaning(claim: Claim, draft: Verdict) -> Outcome:
    """The verdict if the observed mean were the true one."""
    if claim.direction != "equal":
        return _inequality(claim, draft, significant=True)
    return "reproduced" if abs((draft.effect or 0.0) - claim.reference) <= claim.margin else "contradicted"


def _inequality(claim: Claim, draft: Verdict, *, significant: bool) -> Outcome:
    beyond = ((draft.effect or 0.0) - claim.reference) * (1 if claim.direction == "greater" else -1)
    if not significant:
        return "inconclusive"
    if beyond <= 0:
        return "contradicted"
    return "reproduced" if beyond >= claim.margin else "direction only"


def _equality(tested: _Tested, significant: bool) -> Outcome:
    claim, interval = tested.claim, tested.draft.interval
    if not significant or interval is None:
        return "inconclusive"
    if tested.equivalent:
        return "reproduced"
    outside = interval[0] > claim.reference + claim.margin or interval[1] < claim.reference - claim.margin
    return "contradicted" if outside else "inconclusive"


def _indicate(claim: Claim, draft: Verdict) -> Verdict:
    """Fewer than six pairs: how many agree, and the words that say how little that is."""
    where = "inside the margin" if claim.direction == "equal" else "on the claimed side"
    held = round((draft.on_side or 0.0) * draft.n)
    reason = (
        f"indicative only: {held} of {draft.n} {_units(claim, draft.n)} {where}, mean {number(draft.effect or 0.0)}; "
        f"fewer than {statistics.FEWEST_PAIRS} can never decide"
    )
    return replace(draft, reason=reason)


def _reason(claim: Claim, draft: Verdict) -> str:
    interval, level = draft.interval, "95 %"
    if claim.direction == "equal":
        interval, level = draft.equivalence_interval, "90 %"
    wanted = asked(claim.direction, claim.reference, claim.margin)
    mean, bounds = estimate(draft.effect or 0.0, interval)
    shown = f"{mean} {bounds} ({level})" if bounds else mean
    dependent = {"item": ", items of one run", "fold": ", folds of one data set"}.get(claim.unit, "")
    count = f"{draft.n:,} {_units(claim, draft.n)}{dependent}"
    return f"mean {shown}; claimed: {wanted}; {count}, Holm-corrected p {p_text(draft.p_holm)}"


def _units(claim: Claim, count: int) -> str:
    name = {"seed": "pair", "seed x setting": "pair", "exact": "value"}.get(claim.unit, claim.unit)
    return name if count == 1 else f"{name}s"
