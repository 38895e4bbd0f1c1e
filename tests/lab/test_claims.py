"""Verdicts follow the rules that `lab.claims` states, and hold their error rates by simulation."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.lab.claims import Verdict, judge, undecidable
from livepapers.lab.study import Cell, Cells, Claim, Direction, Effects, Unit
from livepapers.lab.words import OUTCOMES


def cells_of(values: dict[Cell, float]) -> Cells:
    def none(cell: Cell, name: str):
        raise KeyError(name)

    return Cells({cell: {"score": value} for cell, value in values.items()}, samples=none, curves=none)


def cells_from(effects: np.ndarray, setting: str = "s") -> Cells:
    """Cells of two arms whose paired difference in `setting` is `effects`."""
    values = {Cell("method", setting, i): float(x) for i, x in enumerate(effects)}
    return cells_of(values | {Cell("rival", setting, i): 0.0 for i in range(len(effects))})


def difference(cells: Cells, setting: str = "s") -> Effects:
    seeds = cells.seeds(setting=setting, arms=["method", "rival"])
    return {f"{setting}/seed {s}": cells.value("score", arm="method", setting=setting, seed=s) for s in seeds}


def claim(
    direction: Direction = "greater",
    *,
    id: str = "C1",  # noqa: A002
    reference: float = 0.0,
    margin: float = 0.0,
    unit: Unit = "seed",
    statistic=difference,
    settings: tuple[str, ...] = ("s",),
    precondition=None,
    needs: str = "",
) -> Claim:
    return Claim(
        id=id, statement="x is better", where="table 1", published="1.0", effect="gain", statistic=statistic, unit=unit,
        arms=("method", "rival"), settings=settings, direction=direction, margin_why="", scale="", reference=reference,
        margin=margin, precondition=precondition, needs=needs,
    )  # fmt: skip


def verdict_on(effects, **declared) -> Verdict:
    return judge([claim(**declared)], cells_from(np.asarray(effects, dtype=float)), resamples=500)[0]


POSITIVE = [1.0, 1.2, 0.8, 1.1, 0.9, 1.05, 0.95, 1.15]
MIXED = [1.0, -0.8, 0.9, -1.1, 0.2, 0.1, -0.3, 0.4]


def test_a_clear_effect_on_the_claimed_side_is_reproduced():
    verdict = verdict_on(POSITIVE, margin=0.5)
    assert verdict.verdict == "reproduced"
    assert verdict.p == 2 / 256
    assert verdict.n == 8
    assert verdict.on_side == 1.0
    assert verdict.interval is not None
    assert 0.8 < verdict.interval[0] < 1.0 < verdict.interval[1] < 1.2
    assert verdict.reason.startswith("mean 1.02 [")


def test_an_effect_below_the_margin_is_direction_only():
    assert verdict_on(POSITIVE, margin=2.0).verdict == "direction only"


def test_a_clear_effect_on_the_other_side_is_contradicted():
    assert verdict_on(POSITIVE, direction="less").verdict == "contradicted"
    assert verdict_on(POSITIVE, direction="less", reference=2.0).verdict == "reproduced"
    assert verdict_on(POSITIVE, reference=2.0).verdict == "contradicted"


def test_a_gap_below_one_percent_is_a_less_claim_with_margin_zero():
    gaps = [0.2, 0.3, 0.25, 0.1, 0.4, 0.15]
    assert verdict_on(gaps, direction="less", reference=1.0).verdict == "reproduced"


def test_noise_is_inconclusive_and_says_how_many_units_would_decide():
    verdict = verdict_on(MIXED)
    assert verdict.verdict == "inconclusive"
    assert verdict.units_needed is not None
    assert verdict.units_needed > 8
    assert f"{verdict.units_needed:,} pairs like these would decide: {verdict.would_be}" in verdict.reason


@pytest.mark.parametrize(
    ("direction", "margin", "expected"),
    [("greater", 0.0, "reproduced"), ("greater", 1e6, "direction only"), ("less", 0.0, "contradicted")],
)
def test_what_would_be_decided_follows_the_side_of_the_mean(direction, margin, expected):
    uncertain = np.array([-3.0, 4.0, -1.0, 2.5, 0.5, 1.5, -2.0, 3.5])
    assert uncertain.mean() > 0
    verdict = verdict_on(uncertain, direction=direction, margin=margin)
    assert (verdict.verdict, verdict.would_be) == ("inconclusive", expected)


def test_a_decided_verdict_says_nothing_of_what_would_be():
    assert verdict_on(POSITIVE).would_be == ""


def test_no_effect_at_all_is_inconclusive_for_any_number_of_units():
    verdict = verdict_on(np.zeros(8))
    assert (verdict.verdict, verdict.units_needed, verdict.p) == ("inconclusive", None, 1.0)
    assert "no practicable number" in verdict.reason


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fewer_than_six_pairs_are_indicative_only(count):
    verdict = verdict_on(POSITIVE[:count], margin=0.1)
    assert verdict.verdict == "inconclusive"
    assert verdict.indicative
    assert "indicative only" in verdict.reason
    assert verdict.p_holm is None
    assert verdict_on(MIXED[:5]).verdict == "inconclusive"
    assert verdict_on(POSITIVE[:count], direction="less").verdict == "inconclusive"


def test_claims_that_cannot_be_decided_do_not_weaken_the_others():
    cells = cells_from(np.array(POSITIVE[:6]))
    few = claim(id="C2", statistic=lambda c: dict(list(difference(c).items())[:3]))
    alone, indicative = judge([claim(), few], cells, resamples=200)
    assert alone.p_holm == alone.p == 2 / 64
    assert alone.verdict == "reproduced"
    assert indicative.indicative


def test_holm_is_over_all_tested_claims_of_the_paper():
    cells = cells_from(np.array(POSITIVE[:6]))
    verdicts = judge([claim(id="C1"), claim(id="C2")], cells, resamples=200)
    assert [v.p_holm for v in verdicts] == [2 * 2 / 64] * 2
    assert [v.verdict for v in verdicts] == ["inconclusive"] * 2
    assert verdicts[0].units_needed == 7


@settings(max_examples=30)
@given(st.lists(st.integers(-2, 8), min_size=2, max_size=5), st.data())
def test_measuring_less_never_makes_the_judgement_milder(shifts: list[int], data: st.DataObject):
    stream = np.random.default_rng(3)
    claims = [paired(f"s{i}", 0.0) for i in range(len(shifts))]
    values = {}
    for declared, shift in zip(claims, shifts, strict=True):
        for seed, effect in enumerate(stream.normal(shift / 4, 1, 8)):
            values |= {
                Cell("method", declared.settings[0], seed): effect,
                Cell("rival", declared.settings[0], seed): 0.0,
            }
    kept = {claim.settings[0]: data.draw(st.sampled_from([0, 3, 8])) for claim in claims}
    fewer = {cell: value for cell, value in values.items() if cell.seed < kept[cell.setting]}
    plan = {claim.id: 8 for claim in claims}
    whole = judge(claims, cells_of(values), planned=plan, resamples=20)
    part = judge(claims, cells_of(fewer), planned=plan, resamples=20)
    for all_measured, some_measured in zip(whole, part, strict=True):
        if kept[all_measured.claim_id] == 8:
            assert some_measured.p == all_measured.p
            assert (some_measured.p_holm or 0.0) >= (all_measured.p_holm or 0.0)


def test_claims_that_were_not_tested_count_as_p_of_one_and_the_reason_says_so():
    cells = cells_from(np.array(POSITIVE[:6]))
    others = [
        claim(id=f"C{i}", settings=("elsewhere",), statistic=lambda c: difference(c, "elsewhere")) for i in (2, 3)
    ]
    void = claim(id="C4", precondition=lambda _: "nothing was learned")
    verdicts = judge([claim(), *others, void, claim(id="C5", unit="exact"), claim(id="C6", needs="a moon")], cells)
    assert [v.verdict for v in verdicts[1:4]] == ["not tested here", "not tested here", "void"]
    assert verdicts[0].p_holm == 4 * 2 / 64
    assert verdicts[0].verdict == "inconclusive"
    assert "over 4 claims, 3 of them not tested here and counted as p = 1" in verdicts[0].reason


def test_claims_that_are_planned_too_small_to_decide_stay_out_of_holm_though_they_were_not_measured():
    cells = cells_from(np.array(POSITIVE[:6]))
    other = claim(id="C2", settings=("elsewhere",), statistic=lambda c: difference(c, "elsewhere"))
    assert judge([claim(), other], cells, planned={"C1": 6, "C2": 5})[0].p_holm == 2 / 64
    assert judge([claim(), other], cells, planned={"C1": 6, "C2": 6})[0].p_holm == 4 / 64


def test_an_equality_inside_its_margin_is_reproduced():
    effects = np.array([0.01, -0.02, 0.015, 0.0, -0.01, 0.02, -0.005, 0.012])
    verdict = verdict_on(effects + 3, direction="equal", reference=3.0, margin=0.1)
    assert verdict.verdict == "reproduced"
    assert verdict.equivalence_interval is not None
    assert "within 0.1 of 3" in verdict.reason


def test_an_equality_outside_its_margin_is_contradicted():
    assert verdict_on(POSITIVE, direction="equal", margin=0.1).verdict == "contradicted"


def test_a_spread_equality_is_inconclusive():
    verdict = verdict_on(MIXED, direction="equal", margin=0.3)
    assert verdict.verdict == "inconclusive"
    assert verdict.units_needed is not None
    assert verdict_on(np.zeros(8), direction="equal", margin=0.0).verdict == "inconclusive"
    assert verdict_on(np.zeros(8), direction="equal", margin=0.1).verdict == "reproduced"


def test_few_pairs_inside_the_margin_are_never_an_equality():
    verdict = verdict_on([0.01, 0.0, -0.01], direction="equal", margin=0.1)
    assert (verdict.verdict, verdict.indicative) == ("inconclusive", True)


def test_exact_claims_need_every_unit_and_no_p_value():
    held = verdict_on([1e-10, -1e-10], direction="equal", margin=1e-9, unit="exact")
    assert (held.verdict, held.p, held.interval, held.indicative) == ("reproduced", None, None, False)
    broken = verdict_on([1e-10, 1e-3], direction="equal", margin=1e-9, unit="exact")
    assert broken.verdict == "contradicted"
    assert "0.001" in broken.reason
    assert verdict_on([2.0], reference=1.0, unit="exact").verdict == "reproduced"
    assert verdict_on([1.0], reference=1.0, unit="exact").verdict == "contradicted"
    assert verdict_on([2.0, 3.0], reference=1.0, margin=1.5, unit="exact").verdict == "contradicted"
    assert verdict_on([0.5], reference=1.0, direction="less", unit="exact").verdict == "reproduced"


def test_too_few_units_for_the_family_are_told_so_even_when_all_agree():
    claims = [
        claim(id=f"C{i}", statistic=lambda cells: difference(cells, "many"), settings=("many",)) for i in range(3)
    ]
    few = claim(id="few", statistic=lambda cells: difference(cells, "few"), settings=("few",))
    metrics = {Cell("method", "many", i): value for i, value in enumerate(MIXED)}
    metrics |= {Cell("method", "few", i): 1.0 + 0.1 * i for i in range(6)}
    metrics |= {Cell("rival", cell.setting, cell.seed): 0.0 for cell in metrics}
    *_, found = judge([*claims, few], cells_of(metrics), resamples=200)
    assert found.verdict == "inconclusive"
    assert "beside the study's other claims 6 pairs cannot decide, even if all agree; about 8 pairs" in found.reason
    assert found.units_needed == 8
    alone = judge([few], cells_of(metrics), resamples=200)[0]
    assert alone.verdict == "reproduced"
    assert "cannot decide" not in verdict_on(MIXED).reason


def test_exact_claims_stay_out_of_holm():
    cells = cells_from(np.array(POSITIVE[:6]))
    verdicts = judge([claim(), claim(id="C2", unit="exact")], cells, resamples=200)
    assert [v.verdict for v in verdicts] == ["reproduced", "reproduced"]


def test_items_are_tested_with_the_word_that_they_share_a_run():
    items = np.random.default_rng(0).normal(0.3, 1.0, 500)
    over_items = claim(unit="item", statistic=lambda _: {str(i): x for i, x in enumerate(items)})
    verdict = judge([over_items], cells_of({}), needed=(), resamples=500)[0]
    assert verdict.verdict == "reproduced"
    assert "500 items, items of one run" in verdict.reason


def over_two_settings(easy, hard, **declared) -> tuple[Claim, Cells]:
    """A claim that pools two settings, and cells of both."""
    values = {
        Cell(arm, setting, seed): effect * (arm == "method")
        for setting, effects in (("easy", easy), ("hard", hard))
        for seed, effect in enumerate(effects)
        for arm in ("method", "rival")
    }
    pooled = claim(
        unit="seed x setting", settings=("easy", "hard"),
        statistic=lambda cells: {**difference(cells, "easy"), **difference(cells, "hard")}, **declared,
    )  # fmt: skip
    return pooled, cells_of(values)


@pytest.mark.parametrize(("hard", "mean"), [([-0.2, 0.1, -0.3], "-0.1333"), ([0.2, 0.1, 0.3], "0.2")])
def test_a_mean_that_one_setting_carries_for_another_is_direction_only(hard: list[float], mean: str):
    pooled, cells = over_two_settings([5.0, 6.0, 7.0, 6.5, 5.5] * 2, hard, margin=1.0)
    verdict = judge([pooled], cells, resamples=200)[0]
    assert verdict.verdict == "direction only"
    assert verdict.reason.endswith(f"; not beyond the margin in hard {mean}")
    pooled, cells = over_two_settings([5.0, 6.0, 7.0, 6.5, 5.5] * 2, [1.2, 1.1, 1.3], margin=1.0)
    assert judge([pooled], cells, resamples=200)[0].verdict == "reproduced"


def test_an_equality_does_not_hold_while_a_setting_is_beyond_its_margin():
    apart = over_two_settings([0.5, 0.51, 0.49] * 4, [-0.5, -0.51, -0.49] * 4, direction="equal", margin=0.45)
    verdict = judge([apart[0]], apart[1], resamples=200)[0]
    assert (verdict.verdict, "beyond the margin in easy 0.5, hard -0.5" in verdict.reason) == ("inconclusive", True)
    near = over_two_settings([0.05, 0.06, 0.04, 0.05], [-0.05, -0.06, -0.04, -0.05], direction="equal", margin=0.45)
    assert judge([near[0]], near[1], resamples=200)[0].verdict == "reproduced"


@pytest.mark.parametrize("unit", ["seed x setting", "exact"])
def test_a_claim_of_which_a_part_was_not_measured_is_inconclusive(unit: Unit):
    pooled, cells = over_two_settings(POSITIVE, [])
    pooled = replace(pooled, unit=unit)
    verdict = judge([pooled], cells, resamples=200)[0]
    assert verdict.verdict == "inconclusive"
    assert verdict.reason.endswith("; measured in part: no finished cell of method in hard, rival in hard")
    planned = {("method", "easy"), ("rival", "easy")}  # a preset may leave the hard setting out
    assert judge([pooled], cells, needed=planned, resamples=200)[0].verdict == "reproduced"


def test_missing_cells_are_named():
    verdict = judge([claim()], cells_of({Cell("method", "s", 0): 1.0}))[0]
    assert verdict.verdict == "not tested here"
    assert "rival in s" in verdict.reason


def test_a_statistic_that_trips_over_missing_cells_is_not_tested():
    demanding = claim(statistic=lambda c: {"x": c.value("score", arm="rival", setting="s", seed=0)})
    assert judge([demanding], cells_of({Cell("method", "s", 0): 1.0}))[0].verdict == "not tested here"
    misspelt = claim(statistic=lambda c: {"x": c.value("misspelt", arm="rival", setting="s", seed=0)})
    with pytest.raises(KeyError):
        judge([misspelt], cells_from(np.ones(2)))


def test_claims_beyond_reach_say_what_they_need():
    beyond = Claim.not_tested("C9", "scales", where="figure 9", published="-", needs="64 GPUs")
    verdict = judge([beyond], cells_of({}))[0]
    assert (verdict.verdict, verdict.reason) == ("not tested here", "needs 64 GPUs")


def test_claims_that_no_agreement_of_the_planned_pairs_decides_are_named_before_a_run():
    claims = [claim(id=f"C{i}") for i in range(4)] + [claim(id="items", unit="item")]
    # two-sided: 2/64 = 0.031 at six pairs, 2/256 = 0.0078 at eight; the step-down factors are 4, 3, 2, 1 after items
    assert undecidable(claims, dict.fromkeys(["C0", "C1", "C2", "C3"], 8)) == {}
    assert undecidable(claims, {"C0": 8, "C1": 8, "C2": 8, "C3": 6}) == {}
    assert undecidable(claims, {"C0": 8, "C1": 8, "C2": 6, "C3": 6}) == {"C2": 6, "C3": 6}
    assert undecidable(claims, {"C0": 8, "C1": 8, "C2": 5, "C3": 6}) == {}  # five are indicative, and not judged
    equal = [claim("equal", id="C0", margin=1.0), claim("equal", id="C1", margin=1.0)]
    assert undecidable(equal, {"C0": 6, "C1": 6}) == {}  # one side each: 1/64, twice


def test_a_run_of_less_than_the_plan_is_told_by_the_family_that_it_will_be_judged_in():
    claims, eight = [claim(id=f"C{i}") for i in range(4)], dict.fromkeys(["C0", "C1", "C2", "C3"], 8)
    three, six = dict.fromkeys(eight, 3), dict.fromkeys(eight, 6)
    assert undecidable(claims, eight, asked=three) == three  # planned with eight, so judged, and never significant
    assert undecidable(claims, three, asked=three) == {}  # indicative by plan
    assert undecidable(claims, three, asked=six) == six  # 2/64 four times: what is asked for beyond the plan is judged
    assert undecidable(claims, eight, asked={**eight, "C3": 3}) == {"C3": 3}  # the others at 4 / 128 at most
    assert undecidable(claims, eight, asked=six, measured={"C1"}) == {"C1": 6}  # C0, C2 and C3 are untested: p = 1
    assert undecidable(claims, eight, measured={"C1", "C2"}) == {}


@pytest.mark.parametrize("asked", [3, 6, 8])
def test_what_is_told_before_a_run_is_what_the_judge_finds_after_it(asked: int):
    claims = [claim(id=f"C{i}") for i in range(4)]
    planned = dict.fromkeys(["C0", "C1", "C2", "C3"], 8)
    found = judge(claims, cells_from(np.full(asked, 1.0)), planned=planned, resamples=100)
    open_ones = {verdict.claim_id for verdict in found if verdict.verdict == "inconclusive"}
    assert open_ones == set(undecidable(claims, planned, asked=dict.fromkeys(planned, asked)))


def test_a_failed_precondition_makes_a_claim_void():
    verdict = verdict_on(POSITIVE, precondition=lambda _: "the base policy did not learn: return 3 of 500")
    assert (verdict.verdict, verdict.effects) == ("void", {})
    assert verdict_on(POSITIVE, precondition=lambda _: None).verdict == "reproduced"


def test_effects_that_are_not_finite_decide_nothing():
    verdict = verdict_on([*POSITIVE, np.inf])
    assert verdict.verdict == "inconclusive"
    assert "1 of 9 effects are not finite (s/seed 8)" in verdict.reason
    json.dumps(verdict.to_json(), allow_nan=False)


def test_verdicts_are_json():
    for outcome in (verdict_on(POSITIVE), verdict_on(MIXED, direction="equal", margin=0.3)):
        assert json.loads(json.dumps(outcome.to_json(), allow_nan=False))["verdict"] in OUTCOMES


def test_a_verdict_depends_on_neither_the_other_claims_nor_the_order_of_seeds():
    cells = cells_from(np.array(MIXED))
    alone = judge([claim()], cells, resamples=300)[0]
    reversed_effects = claim(statistic=lambda c: dict(reversed(list(difference(c).items()))))
    together = judge([claim(id="C0"), claim()], cells, resamples=300)[1]
    assert judge([reversed_effects], cells, resamples=300)[0].interval == alone.interval == together.interval
    assert alone.p == together.p


def test_seeds_of_several_settings_are_resampled_inside_each():
    settings = ("easy", "hard")
    values = {
        Cell(arm, setting, seed): 100.0 * (setting == "hard") + seed
        for setting in settings
        for seed in range(5)
        for arm in ("method", "rival")
    }

    def statistic(cells: Cells) -> Effects:
        return {**difference(cells, "easy"), **difference(cells, "hard")}

    both = claim(unit="seed x setting", settings=settings, statistic=statistic)
    verdict = judge([both], cells_of(values), resamples=2000)[0]
    assert verdict.interval is not None
    assert verdict.interval[1] - verdict.interval[0] < 10


def simulate(studies: int, effect: float, *, margin: float = 0.0) -> list[list[Verdict]]:
    """Verdicts on three claims of studies with ten pairs each; `effect` in standard deviations of the difference."""
    stream = np.random.default_rng(2024)
    claims = [paired(f"s{i}", margin) for i in range(3)]
    result = []
    for _ in range(studies):
        values = {}
        for declared in claims:
            world = stream.normal(0, 5, 10)  # what the arms share in a seed: pairing removes it
            for seed, (common, noise) in enumerate(zip(world, stream.normal(effect, 1, 10), strict=True)):
                values[Cell("method", declared.settings[0], seed)] = common + noise
                values[Cell("rival", declared.settings[0], seed)] = common
        result.append(judge(claims, cells_of(values), resamples=60))
    return result


def paired(setting: str, margin: float) -> Claim:
    def statistic(cells: Cells) -> Effects:
        seeds = cells.seeds(setting=setting, arms=["method", "rival"])
        ours, theirs = (cells.values("score", arm=arm, setting=setting, seeds=seeds) for arm in ("method", "rival"))
        return {f"seed {s}": float(d) for s, d in zip(seeds, ours - theirs, strict=True)}

    return claim(id=setting, settings=(setting,), statistic=statistic, margin=margin)


def test_two_thousand_null_studies_are_called_different_at_most_one_time_in_twenty():
    verdicts = simulate(2000, 0.0)
    wrong = sum(any(v.verdict != "inconclusive" for v in study) for study in verdicts)
    assert wrong / len(verdicts) <= 0.05


def test_an_effect_of_the_declared_margin_is_seen_four_times_in_five():
    verdicts = simulate(200, 1.5, margin=1.5)  # in standard deviations of the paired difference, three claims corrected
    seen = [v.verdict in {"reproduced", "direction only"} for study in verdicts for v in study]
    assert np.mean(seen) >= 0.8
    assert all(v.verdict != "contradicted" for study in verdicts for v in study)
