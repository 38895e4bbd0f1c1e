"""Committed results judged again: the same rules give the same verdicts, other rules give others, no cell is needed."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.lab import claims as rules
from livepapers.lab.claims import judge, judge_again
from livepapers.lab.report import committed as committing
from livepapers.lab.report.publishing import publish
from livepapers.lab.study import Cell, Cells, Claim
from livepapers.papers import catalogue

MEASURED = sorted(slug for slug in catalogue.load() if catalogue.results(slug) is not None)


def _absent(*_: object) -> NoReturn:
    raise KeyError("nothing was kept")


def _claim(name: str, *, direction: Any, unit: Any, margin: float, settings: tuple[str, ...]) -> Claim:
    def statistic(cells: Cells) -> dict[str, float]:
        return {
            f"{setting}/seed {seed}": cells.value("gain", arm="ours", setting=setting, seed=seed)
            for setting in settings
            for seed in cells.seeds(setting=setting, arms=["ours"])
        }

    return Claim(
        name, "it gains", "table 1", "1.0", "gain", statistic, unit, ("ours",), settings, direction,
        "none", "as it is", margin=margin,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-2, 3).map(lambda x: round(x, 3)), min_size=4, max_size=24), st.sampled_from([0.0, 0.5, 2.0]))
def test_the_same_rules_give_the_same_verdicts_without_the_cells(gains: list[float], margin: float) -> None:
    half = len(gains) // 2
    metrics = {Cell("ours", "small" if i < half else "large", i): {"gain": gain} for i, gain in enumerate(gains)}
    cells = Cells(metrics, samples=_absent, curves=_absent)
    kinds = itertools.product(("greater", "less", "equal"), ("seed", "seed x setting", "exact"))
    claims = [
        _claim(f"C{i}", direction=direction, unit=unit, margin=margin or (0.1 if direction == "equal" else 0.0),
               settings=("small", "large") if unit == "seed x setting" else ("small",))
        for i, (direction, unit) in enumerate(kinds)
    ]  # fmt: skip
    planned = {claim.id: len(gains) if claim.unit == "seed x setting" else half for claim in claims}
    first = judge(claims, cells, planned=planned, resamples=100)
    recorded = {verdict.claim_id: verdict for verdict in first}
    assert judge_again(claims, recorded, planned=planned, cells=cells) == first


@pytest.mark.parametrize("slug", MEASURED)
def test_what_is_committed_is_what_the_rules_say(slug: str) -> None:
    results = catalogue.results(slug)
    assert results is not None
    then = {record["id"]: record["verdict"] for record in results["current"]["verdicts"]}
    assert {record["id"]: record["verdict"] for record in committing.committed(slug)["verdicts"]} == then


def test_a_precondition_that_fails_today_makes_a_committed_verdict_void(monkeypatch: pytest.MonkeyPatch) -> None:
    study = committing.load_study("fishery")
    first, second, *rest = study.claims

    def poor(cells: Cells) -> str | None:
        seeds = cells.seeds(setting=first.settings[0], arms=first.arms)
        return f"{len(seeds)} seeds are too few" if seeds else None

    def unkept(cells: Cells) -> str | None:
        return str(cells.samples("reward", arm=first.arms[0], setting=first.settings[0], seed=0))

    changed = replace(study, claims=(replace(first, precondition=poor), replace(second, precondition=unkept), *rest))
    monkeypatch.setattr(committing, "load_study", lambda _: changed)
    then = [record["verdict"] for record in committing.catalogue.results("fishery")["current"]["verdicts"]]  # type: ignore[index]
    now = committing.committed("fishery")["verdicts"]
    assert [now[0]["verdict"], now[0]["reason"].endswith("seeds are too few")] == ["void", True]
    assert [record["verdict"] for record in now[1:]] == then[1:]


def test_a_stricter_level_judges_what_was_committed_more_strictly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LEVEL", 1e-9)
    found = {record["verdict"] for record in committing.committed("fishery")["verdicts"]}
    assert found == {"inconclusive"}


def test_claims_that_changed_since_the_run_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    study = committing.load_study("fishery")
    first, *rest = study.claims
    for changed, message in (
        (replace(study, version=study.version + 1), r"results: got version \d+, expected version"),
        (replace(study, claims=(replace(first, reference=0.2), *rest)), r"C1a: reference: got 0.1, expected 0.2"),
        (replace(study, claims=tuple(rest)), "results: got claims C1a"),
    ):
        monkeypatch.setattr(committing, "load_study", lambda _, changed=changed: changed)
        with pytest.raises(InputError, match=message):
            committing.committed("fishery")
    with pytest.raises(InputError, match="expected a paper with committed results"):
        committing.committed("alpine")


def test_judging_again_is_published_beside_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fishery.json"
    publish(committing.committed("fishery"), path)
    monkeypatch.setattr(rules, "LEVEL", 1e-9)
    publish(committing.committed("fishery"), path)
    published = json.loads(path.read_text())
    assert {record["verdict"] for record in published["current"]["verdicts"]} == {"inconclusive"}
    assert published["superseded"][-1]["verdicts"]["C3a"] == "reproduced"
