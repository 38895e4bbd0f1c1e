"""The report says what the store holds, in every state of a run, and nothing that is not ours gets into its markup."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from livepapers.core.errors import CorruptFileError, InputError
from livepapers.lab import figures
from livepapers.lab.report import evidence as collecting
from livepapers.lab.report.evidence import CURVE_POINTS, in_words, summarise_curves, swept
from livepapers.lab.report.page import render_html
from livepapers.lab.report.publishing import RESULTS_LIMIT, publish
from livepapers.lab.report.summary import by_setting, notes, told
from livepapers.lab.report.terminal import render_terminal
from livepapers.lab.store import CellResult, Store
from livepapers.lab.study import (
    NOT_IN_PAPER,
    Arm,
    Cell,
    Cells,
    Claim,
    Curve,
    Effects,
    Setting,
    Study,
    Sweep,
    from_module,
)
from livepapers.lab.words import OUTCOMES, number

ARMS = (
    Arm("ours", "method", "the paper's method"),
    Arm("rival", "baseline", "what was there before, same budget"),
    Arm("best", "optimum", "exact solution", seeded=False),
)
SETTINGS = (
    Setting("small", "four periods", arms=("ours", "rival", "best"), seeds={"smoke": 8, "laptop": 8}),
    Setting("large", "forty periods", arms=("ours", "rival"), seeds={"smoke": 8, "laptop": 8}),
)


def gain(setting: str, sign: float = 1.0):
    def statistic(cells: Cells) -> Effects:
        seeds = cells.seeds(setting=setting, arms=["ours", "rival"])
        pairs = (
            (s, *(cells.value("cost", arm=arm, setting=setting, seed=s) for arm in ("rival", "ours"))) for s in seeds
        )
        return {f"{setting}/seed {s}": sign * (theirs - ours) for s, theirs, ours in pairs}

    return statistic


def claim(name: str, *, statement: str = "costs less", setting: str = "small", sign: float = 1.0) -> Claim:
    return Claim(
        id=name, statement=statement, where="table 1", published="12 %", effect="cost saved",
        statistic=gain(setting, sign), unit="seed", arms=("ours", "rival"), settings=(setting,), direction="greater",
        margin_why="none", scale="as it is", margin=0.5, headline=name == "C1",
    )  # fmt: skip


CLAIMS = (
    claim("C1"),
    claim("C2", sign=-1.0),
    claim("C3", setting="large"),
    Claim.not_tested("C4", "works on the moon", where="figure 4", published="100 %", needs="a moon"),
)


def study(claims: tuple[Claim, ...] = CLAIMS, deviations: tuple[str, ...] = ("half the steps",)) -> Study:
    module = SimpleNamespace(
        __name__="made", ARMS=ARMS, SETTINGS=SETTINGS, CLAIMS=claims, VERSION=3, DEVIATIONS=deviations,
        measure=lambda *_: {},
    )  # fmt: skip
    return from_module(module, "hdpo")


COST = {"ours": 5.0, "rival": 6.0, "best": 4.8}


def result(cell: Cell, status: str = "finished") -> CellResult:
    stream = np.random.default_rng([cell.seed, len(cell.arm), len(cell.setting)])
    steps = range(0, 1000, 10 + cell.seed % 2)
    curve = [("loss", step, COST[cell.arm] * (1 + 4 * np.exp(-step / 200)) + 0.1 * stream.normal()) for step in steps]
    noise = stream.normal(0, 0.15 if cell.setting == "small" else 4.0)
    metrics = {"cost": COST[cell.arm] + noise, "periods/second": 1000.0 + 50 * stream.normal()}
    if status == "failed":
        return CellResult(cell, "failed", error="Traceback ...\nValueError: diverged <b>at</b> step 3")
    points = curve if cell.arm != "best" else []
    return CellResult(
        cell,
        "finished",
        metrics,
        points=points,
        work={"environment steps": 40_000},
        wall=1.5,
        prepared={"teacher": 12.0},
    )


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite3") as opened:
        yield opened


def fill(
    store: Store,
    *,
    share: float = 1.0,
    failures: int = 0,
    made: Study | None = None,
    preset: str = "laptop",
    commit: str | None = "abc123",
    status: str = "",
    **chosen: Any,
) -> str:
    made = made or study()
    options = {"seeds": 8, "arms": None} | chosen
    run, lease = store.create_run(
        "hdpo", made.version, preset=preset, options=options,
        machine={"cpu": "a machine", "memory bytes": 2**33}, versions={"torch": "2.6"}, git_commit=commit,
    )  # fmt: skip
    cells = made.cells(preset, **options)
    store.add_cells(run, cells)
    for index, cell in enumerate(cells[: int(share * len(cells))]):
        store.finish_cell(run, result(cell, "failed" if index < failures else "finished"))
    store.end_run(run, lease, status=status or ("finished" if share == 1 else "interrupted"))
    return run


def evidence(store: Store, run: str, made: Study | None = None) -> dict:
    return collecting.evidence(store, run, study=made or study())


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> dict:
    with Store(tmp_path_factory.mktemp("full") / "store.sqlite3") as opened:
        return evidence(opened, fill(opened))


class Elements(HTMLParser):
    """Collects tags, attributes and text; complains about unbalanced markup."""

    VOID = frozenset({"meta", "br", "circle", "line", "path", "rect", "link", "img", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.stack: list[str] = []
        self.said = ""
        self.feed(page)
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.stack.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.said += data


def test_evidence_is_finite_json(full):
    assert json.loads(json.dumps(full, allow_nan=False)) == full


def test_evidence_holds_what_was_measured(full):
    ours = full["settings"][0]["arms"][0]
    values = list(ours["metrics"]["cost"]["values"].values())
    assert (ours["arm"], ours["finished"], ours["cells"], len(values)) == ("ours", 8, 8, 8)
    assert ours["metrics"]["cost"]["mean"] == pytest.approx(np.mean(values))
    low, high = ours["metrics"]["cost"]["interval"]
    assert low < np.mean(values) < high
    best = full["settings"][0]["arms"][2]
    assert (best["cells"], best["metrics"]["cost"]["interval"]) == (1, None)
    assert full["arms"][0]["work"] == {"environment steps": 16 * 40_000}
    assert full["arms"][0]["wall"] == 16 * 1.5
    assert full["prepared"] == {"teacher": 12.0}
    assert full["run"]["command"] == "livepapers run hdpo --preset laptop --seeds 8"


def test_evidence_holds_a_verdict_for_every_claim(full):
    assert [v["verdict"] for v in full["verdicts"]] == ["reproduced", "contradicted", "inconclusive", "not tested here"]
    assert len(full["verdicts"][0]["dots"]) == len(full["verdicts"][0]["effects"]) == 8


def test_the_same_run_gives_the_same_evidence(store):
    run = fill(store)
    assert evidence(store, run) == evidence(store, run)


def test_curves_are_summarised_on_common_steps(full):
    curve = full["curves"][0]
    assert (curve["setting"], curve["name"]) == ("small", "loss")
    line = curve["arms"][0]
    assert (line["arm"], line["n"]) == ("ours", 8)
    assert len(line["steps"]) <= CURVE_POINTS
    assert all(low <= mean <= high for low, mean, high in zip(line["low"], line["mean"], line["high"], strict=True))


def test_equal_steps_are_kept_exactly_and_thinned_with_both_ends():
    steps = np.arange(0, 1000)
    line = summarise_curves([(steps, steps * 1.0), (steps, steps * 3.0)], points=50)
    assert line is not None
    assert line["steps"][0] == 0
    assert line["steps"][-1] == 999
    assert len(line["steps"]) == 50
    assert line["mean"] == [2.0 * step for step in line["steps"]]


def test_curves_that_are_empty_apart_or_not_numbers_are_left_out():
    nan = (np.array([0, 1]), np.array([np.nan, np.nan]))
    assert summarise_curves([nan]) is None
    assert summarise_curves([]) is None
    assert summarise_curves([(np.array([0, 1]), np.ones(2)), (np.array([5, 6]), np.ones(2))]) is None
    partly = summarise_curves([nan, (np.array([0, 1]), np.array([2.0, np.inf]))])
    assert partly is not None
    assert partly["mean"] == [2.0]


def test_curves_stand_in_the_order_and_words_of_the_study_and_others_follow_by_name():
    logged = [{"setting": "small", "name": name, "arms": []} for name in ("a_share", "cost", "loss")]
    made = replace(study(), curves=(Curve("loss", "epochs", "Loss"), Curve("cost", "updates", "Cost", ("elsewhere",))))
    said = [(one["name"], one["about"], one["axis"]) for one in in_words(made, logged)]
    assert said == [("loss", "Loss", "epochs"), ("a_share", "a share", "step"), ("cost", "cost", "step")]
    assert in_words(made, in_words(study(), logged)) == in_words(made, logged)  # words of today, whatever they were


def test_an_arm_that_repeats_anothers_training_has_no_line_that_would_hide_it():
    arms = study().arms
    first, second = list(arms)[:2]
    made = replace(study(), arms={**arms, second: replace(arms[second], trains_as=first)})

    def drawn(*names: str) -> list[str]:
        logged = [{"setting": "small", "name": "cost", "arms": [{"arm": name} for name in names]}]
        return [line["arm"] for line in in_words(made, logged)[0]["arms"]]

    assert drawn(first, second) == [first]
    assert drawn(second) == [second]


def test_metrics_that_differ_by_a_number_are_drawn_as_a_sweep():
    rows = {"ours": {"kept_0.5": 3.0, "kept_10": 1.0}, "rival": {"kept_0.5": 2.0}}
    values = {
        Cell(arm, "small", seed): {name: value + seed for name, value in row.items()}
        for arm, row in rows.items()
        for seed in (0, 2)
    }
    cells = Cells(values, samples=lambda *_: np.zeros(0), curves=lambda *_: (np.zeros(0), np.zeros(0)))
    made = replace(study(), sweeps=(Sweep("kept", "budget", "Kept, %"),))
    [found] = swept(made, cells)  # "rival" has one point, which is no curve
    assert [found[name] for name in ("setting", "name", "about", "axis")] == ["small", "kept", "Kept, %", "budget"]
    assert found["arms"] == [
        {"arm": "ours", "n": 2, "steps": [0.5, 10.0], "mean": [4.0, 2.0], "low": [3.0, 1.0], "high": [5.0, 3.0]}
    ]
    assert swept(study(), cells) == []


def test_a_sweep_takes_numbers_in_their_order_and_seeds_that_have_all_of_them():
    row = {"kept_10": 1.0, "kept_2": 2.0, "kept_1e-05": 4.0, "kept_best": 9.0, "keptX2": 9.0, "kept_2_late": 9.0}
    values = {Cell("ours", "small", seed): dict(row) for seed in range(3)}
    del values[Cell("ours", "small", 1)]["kept_10"]
    cells = Cells(values, samples=lambda *_: np.zeros(0), curves=lambda *_: (np.zeros(0), np.zeros(0)))
    [found] = swept(replace(study(), sweeps=(Sweep("kept", "budget", "Kept, %"),)), cells)
    [line] = found["arms"]
    assert (line["n"], line["steps"], line["mean"]) == (2, [1e-05, 2.0, 10.0], [4.0, 2.0, 1.0])


def test_sweeps_stand_on_a_linear_scale_and_learning_curves_may_not():
    steps = [float(step) for step in range(1, 4)]
    line = {"arm": "ours", "n": 1, "steps": steps, "mean": [1.0, 10.0, 100.0]}
    curve = {
        "setting": "small",
        "about": "Kept",
        "axis": "budget",
        "arms": [line | {"low": line["mean"], "high": line["mean"]}],
    }
    learning = figures.curve_figure(curve, {"ours": "a0"})
    swept_figure = figures.curve_figure(curve | {"linear": True}, {"ours": "a0"})

    def middle(picture: str) -> float:
        points = re.findall(r"[ML][\d.]+ ([\d.]+)", picture.split('class="line')[1])
        first, second, third = map(float, points)
        return (second - first) / (third - first)

    assert middle(learning) == pytest.approx(0.5, abs=0.01)
    assert middle(swept_figure) == pytest.approx(9 / 99, abs=0.01)


@pytest.mark.parametrize(("count", "shown"), [(3, False), (5, False), (6, True), (9, True)])
def test_arms_are_described_without_a_value_that_no_seed_had(store, count, shown):
    run = fill(store)
    values = np.r_[np.full(count - 1, 200.0), 0.0]
    cells = {Cell("ours", "small", seed): {"score": float(value)} for seed, value in enumerate(values)}
    absent = Cells(cells, samples=lambda *_: np.zeros(0), curves=lambda *_: (np.zeros(0), np.zeros(0)))
    rows = [row for row in store.cell_records(run) if row.cell.arm == "ours" and row.cell.setting == "small"]
    interval = collecting._arm(ARMS[0], SETTINGS[0], absent, rows, 0)["metrics"]["score"]["interval"]
    assert (interval is not None) == shown
    if shown:
        assert 0.0 <= interval[0] < values.mean() < interval[1] == 200.0


@pytest.mark.parametrize(("share", "failures"), [(0.0, 0), (0.4, 0), (1.0, 3), (1.0, 0)])
def test_pages_render_with_no_some_and_all_results(store, share, failures):
    found = evidence(store, fill(store, share=share, failures=failures))
    page = Elements(render_html(found))
    assert "works on the moon" in page.said
    assert ("cells are not finished" in page.said) == (share < 1)
    assert ("diverged <b>at</b> step 3" in page.said) == bool(failures)
    render_terminal(found, Console(file=StringIO(), width=100))


def test_the_page_makes_no_outside_request_and_holds_no_script(full):
    text = render_html(full)
    page = Elements(text)
    assert not {"script", "img", "link", "iframe", "object", "embed", "image", "use"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name in {"src", "srcset", "xlink:href"} or name.startswith("on")]
    assert {value for name, value in page.attributes if name == "href"} == {full["card"]["link"]}
    assert not re.search(r"url\(|@import", text)


def test_the_page_shows_every_claim_verdict_and_seed(full):
    said = " ".join(Elements(render_html(full)).said.split())
    for verdict in full["verdicts"]:
        assert verdict["statement"] in said
        assert verdict["reason"] in said or verdict["reason"].startswith("needs")
    for value in full["settings"][0]["arms"][0]["metrics"]["cost"]["values"].values():
        assert number(value) in said
    assert "1 of 4 claims of the paper reproduced" in said


def test_the_summary_counts_what_the_table_shows_and_questions_of_ours_apart(full):
    found = json.loads(json.dumps(full))
    found["verdicts"][1]["published"] = NOT_IN_PAPER
    text = render_html(found)
    said = " ".join(Elements(text).said.split())
    assert "1 of 3 claims of the paper reproduced" in said
    assert "1 question of ours" in said
    header, table = text.split('<section aria-labelledby="verdicts">')
    for name in OUTCOMES:
        shown = table.count(f"<b>{name}</b>")
        assert sum(map(int, re.findall(rf"<b>(\d+)</b> {name}<", header))) == shown, name
    assert table.count("question of ours") == 1
    stream = StringIO()
    render_terminal(found, Console(file=stream, width=140))
    lines = [line.strip() for line in stream.getvalue().splitlines()]
    assert "claims of the paper: 1 reproduced, 1 inconclusive, 1 not tested here" in lines
    assert "questions of ours: 1 contradicted" in lines


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>",
    "{{ 7 * 7 }}",
    "' onclick='x",
    "]]><svg onload=1>",
]


def test_a_pooled_verdict_shows_the_settings_that_disagree():
    effects = {"few/seed 0": 1.0, "few/seed 1": 2.0, "many/seed 0": -3.0}
    verdict = {"unit": "seed x setting", "effects": effects}
    assert by_setting(verdict) == "few 1.5 (2), many -3 (1)"
    assert by_setting({"unit": "seed", "effects": {"seed 0": 1.0, "seed 1": 2.0}}) == ""
    assert by_setting({**verdict, "effects": {"few/seed 0": 1.0}}) == ""


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_of_others_never_becomes_markup(full, payload):
    harmless, evil = (
        Elements(render_html(replaced(full, "x"))),
        Elements(render_html(replaced(full, payload))),
    )
    assert evil.tags == harmless.tags
    assert [name for name, _ in evil.attributes] == [name for name, _ in harmless.attributes]
    assert not [value for name, value in evil.attributes if name == "href"]


@settings(max_examples=12, deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_no_text_at_all_adds_elements(full, text):
    assert Elements(render_html(replaced(full, text))).tags == Elements(render_html(replaced(full, "x"))).tags


def replaced(found: dict, text: str) -> dict:
    """The evidence with `text` in every place that others write."""
    copy = json.loads(json.dumps(found))
    copy["card"] |= {"title": text, "authors": [text], "link": f"javascript:{text}", "venue": text}
    for verdict in copy["verdicts"]:
        verdict.update(dict.fromkeys(("statement", "where", "published", "effect_name", "reason", "scale"), text))
    for setting in copy["settings"]:
        setting |= {"about": text, "part": text}
    copy["arms"][0]["about"] = text
    copy["deviations"] = [text]
    copy["run"] |= {"command": text, "git_commit": text, "machine": {"cpu": text}}
    for curve in copy["curves"]:
        curve["name"] = text
    return copy


def test_the_terminal_shows_verdicts_in_words(full):
    stream = StringIO()
    render_terminal(full, Console(file=stream, width=140))
    text = stream.getvalue()
    assert all(
        word in text
        for word in ("reproduced", "contradicted", "inconclusive", "not tested here", "livepapers run hdpo")
    )


def test_the_terminal_does_not_read_markup_in_texts(full):
    stream = StringIO()
    render_terminal(replaced(full, "[bold]x[/nonsense]"), Console(file=stream, width=200))
    assert "[bold]x[/nonsense]" in stream.getvalue()


def test_publishing_supersedes_and_never_forgets(store, tmp_path):
    path = tmp_path / "results" / "hdpo.json"
    first = evidence(store, fill(store))
    publish(first, path)
    publish(first, path)
    assert json.loads(path.read_text())["superseded"] == []
    time.sleep(0.01)
    second = evidence(store, fill(store))
    publish(second, path)
    third = evidence(store, fill(store))
    publish(third, path)
    kept = json.loads(path.read_text())
    assert kept["current"]["run"]["id"] == third["run"]["id"]
    assert [row["run"] for row in kept["superseded"]] == [first["run"]["id"], second["run"]["id"]]
    assert kept["superseded"][0]["verdicts"]["C1"] == "reproduced"
    assert kept["superseded"][0]["commit"] == "abc123"


def test_published_results_render_like_the_run(full, tmp_path):
    publish(full, tmp_path / "hdpo.json")
    kept = json.loads((tmp_path / "hdpo.json").read_text())
    assert "1 of 4 claims of the paper reproduced" in render_html(kept["current"])
    assert figures.verdict_figure([kept]).count("<g ") == 4 + 4


def test_published_results_are_small_and_say_nothing_of_the_machine_s_paths(store, tmp_path):
    found = evidence(store, fill(store))
    found["curves"] = found["curves"] * 120
    found["settings"][0]["arms"][0]["failed"] = [{"seed": 9, "error": f"{tmp_path}: diverged"}]
    path = tmp_path / "hdpo.json"
    publish(found, path)
    assert path.stat().st_size <= RESULTS_LIMIT + 2_000
    assert "diverged" not in path.read_text()
    assert str(tmp_path) not in path.read_text()


NOT_PUBLISHABLE: dict[str, tuple[dict[str, Any], str]] = {
    "a smoke run": ({"preset": "smoke"}, "preset: got smoke, expected laptop or paper"),
    "unfinished cells": ({"share": 0.5}, r"run: got 17 unfinished cells, expected a run that is finished \(livepapers"),
    "an interrupted run": ({"status": "interrupted"}, "run: got a run that is interrupted"),
    "failed cells": ({"failures": 3}, "run: got 3 failed cells, expected none"),
    "fewer seeds": (
        {"seeds": 3},
        "run: got 13 cells, expected all 33 of the laptop preset .*--seeds 3",
    ),
    "some arms": ({"arms": ["ours", "rival"]}, "run: got 32 cells, expected all 33"),
    "some settings": ({"settings": ["large"]}, "run: got 16 cells, expected all 33"),
    "changed code": ({"commit": "abc123+changes"}, r"run: got abc123\+changes, expected a run of committed code"),
    "code of no checkout": ({"commit": None}, "run: got no commit"),
}


@pytest.mark.parametrize(("made", "message"), NOT_PUBLISHABLE.values(), ids=NOT_PUBLISHABLE)
def test_only_whole_runs_of_a_real_preset_are_published(store, tmp_path, made, message):
    found = evidence(store, fill(store, **made))
    with pytest.raises(InputError, match=message) as caught:
        publish(found, tmp_path / "hdpo.json")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "hdpo.json").exists()


def test_runs_of_an_earlier_version_of_the_study_are_not_published(store, tmp_path):
    found = evidence(store, fill(store), made=replace(study(), version=4))
    with pytest.raises(InputError, match="got version 3 of the study, expected version 4"):
        publish(found, tmp_path / "hdpo.json")


def test_more_seeds_than_planned_may_be_published_when_they_were_asked_for_before_the_run(store, tmp_path):
    publish(evidence(store, fill(store, seeds=9)), tmp_path / "hdpo.json")
    assert (tmp_path / "hdpo.json").exists()


def extend(store: Store, run: str) -> dict:
    store.set_options(run, {**store.run(run).options, "extended": True})
    return evidence(store, run)


def test_seeds_beyond_the_plan_that_were_added_after_a_look_are_named_and_not_published(store, tmp_path):
    found = extend(store, fill(store, seeds=9))
    assert any("4 cells beyond the study's plan" in note for note in notes(found))
    with pytest.raises(InputError, match="got 4 cells beyond the plan, asked for when others were finished, expected"):
        publish(found, tmp_path / "hdpo.json")
    whole = extend(store, fill(store))
    assert not notes(whole)
    publish(whole, tmp_path / "hdpo.json")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"slug": "hdpo"}', "\x00", '{"slug":"hdpo","current":1,"superseded":[]}']
)
def test_damaged_results_are_not_overwritten(full, tmp_path, content):
    path: Path = tmp_path / "hdpo.json"
    path.write_text(content)
    with pytest.raises(CorruptFileError, match=r"hdpo\.json"):
        publish(full, path)
    assert path.read_text() == content


def test_results_of_another_paper_are_not_overwritten(full, tmp_path):
    publish(full, tmp_path / "hdpo.json")
    with pytest.raises(InputError, match="fl-gfn"):
        publish({**full, "slug": "fl-gfn"}, tmp_path / "hdpo.json")


def test_a_study_that_changed_since_is_pointed_out(full):
    changed = {**full, "run": {**full["run"], "claims_version": 4, "git_commit": "abc+changes", "preset": "laptop"}}
    assert len(notes(changed)) == 2


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.integers(1, 8))
def test_ticks_lie_inside_their_scale(low, span, about):
    high = low + span
    if high <= low or span < 1e-9 * abs(low):
        return
    ticks = figures.Scale(low, high, 0, 100).ticks(about)
    assert all(low - 1e-6 * span <= tick <= high + 1e-6 * span for tick in ticks)
    assert len(ticks) <= 3 * about + 2


@given(st.floats(1e-9, 1e3), st.floats(1.1, 1e9))
def test_logarithmic_ticks_lie_inside_their_scale(low, factor):
    assert all(low <= tick <= low * factor for tick in figures.Scale(low, low * factor, 0, 100, log=True).ticks(4))


def test_dots_do_not_hide_each_other():
    spots = figures._swarm([50.0, 50.5, 51.0, 60.0], 3.0, 14.0)
    gaps = [np.hypot(a[0] - b[0], a[1] - b[1]) for i, a in enumerate(spots) for b in spots[:i]]
    assert min(gaps) >= 1.7 * 3.0


@pytest.mark.parametrize("verdict", OUTCOMES)
def test_every_verdict_has_a_mark_of_its_own(verdict):
    assert verdict in figures.mark(verdict)
    assert len({figures._GLYPHS[name] for name in OUTCOMES}) == len(OUTCOMES)


def test_a_floor_far_away_becomes_an_arrow_and_squeezes_nobody():
    near = [figures.Row("a", "a0", [1.0, 1.1], 1.05, None), figures.Row("b", "a1", [1.2, 1.3], 1.25, None)]
    pictures, ticks = figures.forest([*near, figures.Row("nothing", "floor", [90.0], 90.0, None)])
    assert 'class="tip"' in pictures[2]
    assert 'class="dot"' not in pictures[2]
    assert float(ticks[-1][0]) < 2
    assert 'class="dot"' in figures.forest([figures.Row("nothing", "floor", [90.0], 90.0, None)])[0][0]


def test_plots_hold_for_single_equal_and_extreme_effects():
    base = {
        "direction": "greater",
        "reference": 0.0,
        "margin": 0.0,
        "verdict": "inconclusive",
        "n": 3,
        "interval": None,
    }
    for dots in ([1.0], [0.0, 0.0, 0.0], [1e-12, 2e-12], [1e12, -1e12], [5.0] * 100):
        for direction in ("greater", "less", "equal"):
            plot = figures.effect_plot({**base, "direction": direction, "dots": dots, "effect": float(np.mean(dots))})
            assert "nan" not in plot
            assert "inf" not in plot.replace("infinity", "")
    assert figures.effect_plot({**base, "dots": [], "effect": None}) == ""


def test_identities_are_told_apart_from_what_was_estimated():
    def verdict(name: str, unit: str) -> dict[str, str]:
        return {"verdict": name, "unit": unit}

    found = [verdict("reproduced", "seed"), verdict("reproduced", "exact"), verdict("contradicted", "exact")]
    assert told(found) == "2 reproduced (1 of them an identity), 1 contradicted"
    assert told([*found, verdict("reproduced", "exact")]).startswith("3 reproduced (2 of them identities), ")
    assert told(found[:1]) == "1 reproduced"
    assert told([]) == ""
