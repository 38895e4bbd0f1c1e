"""Study checks against studies that were spoilt on purpose."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from livepapers.battery.check import CheckFailedError
from livepapers.battery.studies import (
    arms_are_honest,
    claims_are_complete,
    claims_have_enough_pairs,
    every_claim_gets_a_verdict,
    presets_have_cells,
    results_belong_to_this_study,
)
from livepapers.lab.study import Claim, Curve, Study, Sweep, load_study


def seeds(count: int) -> Callable[[Study], Study]:
    """Every setting at the laptop preset gets so many seeds."""

    def change(study: Study) -> Study:
        settings = {name: replace(s, seeds={**s.seeds, "laptop": count}) for name, s in study.settings.items()}
        return replace(study, settings=settings)

    return change


def claims(**changes: Any) -> Callable[[Study], Study]:
    """The first claim, changed."""
    return lambda study: replace(study, claims=(replace(study.claims[0], **changes), *study.claims[1:]))


def without_bounds(study: Study) -> Study:
    arms: Mapping[str, Any] = {n: replace(a, kind="baseline") if a.kind in {"optimum", "floor"} else a
                               for n, a in study.arms.items()}  # fmt: skip
    return replace(study, arms=arms)


def without_method(study: Study) -> Study:
    """The smoke preset keeps the settings in which no arm is a method."""
    settings = {
        name: replace(s, seeds={p: n for p, n in s.seeds.items() if p != "smoke"}, arms=s.arms)
        for name, s in study.settings.items()
    }
    name = next(iter(settings))
    settings[name] = replace(settings[name], seeds=study.settings[name].seeds, arms=("optimum", "floor"))
    return replace(study, settings=settings)


def many_claims_on_six(study: Study) -> Study:
    """A new version whose claims are no headlines and rest on six pairs each, but the first, which is one on twenty."""
    one = replace(study.claims[0], settings=study.claims[0].settings[:1], unit="seed")
    headline = replace(one, id="C1", headline=True, settings=("more",))
    others = tuple(replace(one, id=f"C{i}", headline=False) for i in range(2, 14))
    changed = seeds(6)(study)
    more = replace(changed.settings[one.settings[0]], name="more", seeds={"laptop": 20})
    settings = {**changed.settings, "more": more}
    return replace(changed, version=99, claims=(headline, *others), settings=settings)


def always(_: object) -> dict[str, float]:
    return {f"seed {i}": 1.0 for i in range(10)}


SPOILT = {
    "six pairs cannot pass over six claims": (claims_have_enough_pairs, seeds(6), "at best p"),
    "six pairs never decide beside thirteen claims": (claims_have_enough_pairs, many_claims_on_six, "not decided even"),
    "no headline": (
        claims_have_enough_pairs,
        lambda s: replace(s, claims=tuple(replace(c, headline=False) for c in s.claims)),
        "headline",
    ),
    "a claim that no one explains": (claims_are_complete, claims(margin_why=" "), "margin_why"),
    "a claim that cannot fail": (every_claim_gets_a_verdict, claims(statistic=always), "C1"),
    "nothing puts figures in proportion": (arms_are_honest, without_bounds, "optimum"),
    "a preset without the method": (presets_have_cells, without_method, "does not run the method"),
    "results of another version": (results_belong_to_this_study, lambda s: replace(s, version=99), "measure it again"),
    "results with other deviations": (
        results_belong_to_this_study, lambda s: replace(s, deviations=()), "the results hold other deviations",
    ),
    "curves without words": (
        results_belong_to_this_study, lambda s: replace(s, curves=()), "no CURVES of the study describe dev_cost",
    ),
    "a curve that nobody logged": (
        results_belong_to_this_study, lambda s: replace(s, curves=(*s.curves, Curve("dev_cots", "updates", "Cost"))),
        "nothing was logged of: Cost",
    ),
    "results with other words about curves": (
        results_belong_to_this_study, lambda s: replace(s, curves=(replace(s.curves[0], axis="days"),)),
        "the results hold other words about curves",
    ),
    "a sweep of a metric that nobody measured": (
        results_belong_to_this_study, lambda s: replace(s, sweeps=(Sweep("certifeid", "budget", "Certified"),)),
        "'certifeid' finds no two metrics",
    ),
    "results of another statement": (
        results_belong_to_this_study, lambda s: replace(s, claims=(replace(s.claims[0], statement="!"), *s.claims[1:])),
        "statement is committed as .* and is '!' today",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_study_is_refused(name: str):
    check, spoil, message = SPOILT[name]
    study = load_study("hdpo")
    with pytest.raises(CheckFailedError, match=message):
        check(SimpleNamespace(slug="hdpo", study=spoil(study)))  # pyright: ignore[reportArgumentType]


def test_the_sound_study_passes_all_of_them_but_the_results():
    subject: Any = SimpleNamespace(slug="hdpo", study=load_study("hdpo"))
    assert isinstance(subject.study.claims[0], Claim)
    for check in {check for check, _, _ in SPOILT.values()} - {results_belong_to_this_study}:
        check(subject)
