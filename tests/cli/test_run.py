"""`run`, `resume`, `runs` and `report` on a study of milliseconds."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.conftest import Cli
from livepapers.cli import checkout
from livepapers.cli.run import command as run_command
from livepapers.cli.run import selected
from livepapers.core.errors import InputError
from livepapers.lab import runner
from livepapers.lab.report.evidence import _command
from livepapers.lab.store import Store
from livepapers.lab.study import Arm, Setting, from_module, load_study
from livepapers.papers import catalogue


def test_a_run_prints_a_verdict_for_each_claim_and_writes_a_page(cli: Cli, small_study: str, own_home: Path):
    outcome = cli("run", small_study, "--preset", "smoke", "--workers", "0")
    assert outcome.status == 0
    assert "reproduced" in outcome.out
    assert "not tested here" in outcome.out
    (page,) = (own_home / "reports").glob("hdpo-*.html")
    assert f"Report: {page}" in outcome.out
    assert page.read_text().startswith("<!doctype html>")


def test_the_table_shows_the_claims_that_were_asked_for(cli: Cli, small_study: str):
    shown = cli("run", small_study, "--preset", "smoke", "--workers", "0", "--claims", "C1").out
    assert "reproduced" in shown
    assert "not tested here" not in shown


def test_progress_goes_to_standard_error_and_json_alone_to_standard_output(cli: Cli, small_study: str, tmp_path: Path):
    page = tmp_path / "page.html"
    outcome = cli("run", small_study, "--preset", "smoke", "--workers", "0", "--json", "--html", str(page))
    assert [verdict["verdict"] for verdict in outcome.json["verdicts"]] == ["reproduced", "not tested here"]
    assert outcome.json["html"] == str(page)
    assert page.is_file()
    assert "[13/13]" in outcome.err


def test_the_command_that_repeats_a_run_names_the_claims_where_it_can(cli: Cli, small_study: str):
    def repeated(*options: str) -> str:
        return cli("run", small_study, "--preset", "smoke", "--workers", "0", "--json", *options).json["run"]["command"]

    beginning = f"livepapers run {small_study} --preset smoke"
    assert repeated() == beginning
    assert repeated("--claims", "C1", "--seeds", "2") == f"{beginning} --seeds 2 --claims C1"
    assert repeated("--arms", "floor") == f"{beginning} --arms floor"


def test_arms_settings_seeds_and_claims_choose_cells(cli: Cli, small_study: str):
    def cells(*arguments: str) -> int:
        outcome = cli("run", small_study, "--preset", "laptop", "--workers", "0", "--json", *arguments)
        return sum(outcome.json["run"]["cells"].values())

    assert cells("--arms", "method,rival", "--settings", "first") == 12
    assert cells("--arms", "method", "--arms", "floor", "--settings", "second,first", "--seeds", "1") == 3
    assert cells("--claims", "C1") == 12
    assert cells("--claims", "C1", "--arms", "method") == 6


def test_settings_that_keep_their_own_seeds_are_named(cli: Cli, small_study: str):
    outcome = cli(
        "run", small_study, "--preset", "laptop", "--seeds", "7", "--arms", "rival", "--workers", "0", "--json"
    )
    assert "--seeds 7 leaves 1 setting at its own number of seeds: second (2)" in outcome.err
    assert outcome.json["run"]["kept_seeds"] == {"second": 2}
    assert sum(outcome.json["run"]["cells"].values()) == 9
    assert "leaves" not in cli("run", small_study, "--preset", "smoke", "--seeds", "1", "--workers", "0").err


def test_claims_that_a_run_cannot_decide_are_named_before_it(
    cli: Cli, small_study: str, monkeypatch: pytest.MonkeyPatch
):
    asked_about = []

    def undecidable(claims, planned, **options):
        asked_about.append((planned, options))
        return {"C1": 6}

    monkeypatch.setattr("livepapers.lab.claims.undecidable", undecidable)
    said = "too few pairs to decide beside the study's other claims, even if all agree: C1 (6 pairs)"
    run = ("run", small_study, "--preset", "laptop", "--workers", "0", "--json")
    assert said in cli(*run, "--seeds", "2").err
    assert said not in cli(*run, "--settings", "second").err
    assert asked_about == [
        ({"C1": 6}, {"asked": {"C1": 2}, "measured": {"C1"}}),
        ({"C1": 6}, {"asked": {"C1": 6}, "measured": set()}),
    ]


def test_fewer_seeds_than_decide_are_told(cli: Cli, small_study: str):
    run = ("run", small_study, "--preset", "laptop", "--workers", "0", "--json")
    assert "even if all agree: C1 (3 pairs)" in cli(*run, "--seeds", "3").err
    assert "even if all agree" not in cli(*run).err


def test_a_claim_that_the_preset_leaves_out_is_what_is_blamed():
    with pytest.raises(InputError) as raised:
        selected("deep-ga", "smoke", arms=[], settings=[], claims=["C2d"])
    expected = "claims: got C2d, expected a claim that --preset smoke measures (--preset laptop or paper measures it)"
    assert str(raised.value) == expected
    assert selected("deep-ga", arms=[], settings=[], claims=["C2d"]).settings == ["frostbite"]


MADE_UP = from_module(
    SimpleNamespace(
        __name__="made up",
        VERSION=1,
        ARMS=[Arm(name, "method", "holds commas") for name in ("a", "b", "a, b", "b, c", "c", "a,b, c")],
        SETTINGS=[Setting("x, y", "holds one", ("a",), {"smoke": 1}), Setting("y", "none", ("a",), {"smoke": 1})],
        CLAIMS=[],
        measure=None,
    ),
    "hdpo",
)


@given(st.data())
def test_the_line_that_repeats_a_run_selects_the_same(data: st.DataObject):
    study = data.draw(st.sampled_from([MADE_UP, *map(load_study, ("ospo", "pdppo", "drl-diagnosis"))]))
    arms, settings = (
        data.draw(st.lists(st.sampled_from([*known]), unique=True)) or None for known in (study.arms, study.settings)
    )
    record = SimpleNamespace(slug=study.slug, preset="smoke", options={"arms": arms, "settings": settings})
    words = shlex.split(_command(record, study))  # type: ignore[arg-type]
    assert words[:2] == ["livepapers", "run"]
    typed = run_command.make_context("run", words[2:]).params
    options = {name: typed[name] for name in ("arms", "settings", "claims")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("livepapers.lab.study.load_study", lambda slug: study)
        chosen = selected(study.slug, typed["preset"], **options)
    assert (set(chosen.arms or ()), set(chosen.settings or ())) == (set(arms or ()), set(settings or ()))


def test_names_with_commas_may_be_typed_as_they_are_shown():
    def arms(*typed: str) -> list[str] | None:
        return selected("ospo", arms=typed, settings=[], claims=[]).arms

    assert arms("ospo, no baseline") == ["ospo, no baseline"]
    assert arms("ospo,ospo,no baseline,grpo") == ["ospo", "ospo, no baseline", "grpo"]
    assert arms("no baseline") == ["no baseline"]
    with pytest.raises(InputError, match=r"got no baseline, expected one of ospo; .*; ospo, no baseline;"):
        load_study("ospo").cells("smoke", arms=["no baseline"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--claims", "C9"], "--claims: got C9, expected one of C1, C2"),
        (["--claims", "C2"], "needs a thousand machines"),
        (["--claims", "C1", "--arms", "floor"], "--arms: got none of the claims' own, expected some of method, rival"),
        (["--arms", "nobody"], "--arms: got nobody, expected one of method, rival, floor"),
        (["--settings", "nowhere"], "--settings: got nowhere"),
        (["--address", "127.0.0.1:1"], "only --engine ray has one"),
        (["--resume"], "expected an interrupted run of hdpo"),
        (["--resume", "nothing-here"], "nothing-here"),
        (["--store", "mysql://somewhere"], "--store: got mysql"),
    ],
)
def test_bad_requests_are_one_line(cli: Cli, small_study: str, arguments: list[str], expected: str):
    Store().close()
    outcome = cli("run", small_study, "--workers", "0", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert expected in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--seeds", "0"], ["--preset", "huge"], ["--arms", "a,,b"], ["--workers", "-1"]])
def test_values_out_of_range_are_usage_errors(cli: Cli, small_study: str, arguments: list[str]):
    outcome = cli("run", small_study, *arguments)
    assert outcome.status == 2
    assert "Invalid value" in outcome.err


def test_a_paper_that_is_only_listed_cannot_run(cli: Cli):
    outcome = cli("run", "roguelike-npc")
    assert outcome.status == 2
    assert "expected a paper with a study" in outcome.err


def test_failed_cells_give_status_one_and_a_way_on(cli: Cli, small_study: str):
    outcome = cli("run", small_study, "--preset", "paper", "--workers", "0")
    assert outcome.status == 1
    assert "this cell always fails" in outcome.err
    assert "livepapers resume hdpo-" in outcome.err


def test_no_runs_is_an_answer(cli: Cli):
    assert cli("runs").status == 0
    assert "No runs yet" in cli("runs").err
    assert cli("runs", "--json").json == []


def test_runs_lists_the_newest_first(cli: Cli, small_study: str):
    for preset in ("smoke", "laptop"):
        cli("run", small_study, "--preset", preset, "--workers", "0")
    assert [record["preset"] for record in cli("runs", "--json").json] == ["laptop", "smoke"]
    rows = cli("runs", "hdpo").out.splitlines()
    assert rows[0].split() == ["run", "status", "preset", "cells", "failed", "started"]
    assert "finished" in rows[1]
    assert "13/13" in rows[2]
    assert "No runs of fl-gfn" in cli("runs", "fl-gfn").err


def test_an_interrupted_run_is_found_and_resumed(cli: Cli, small_study: str):
    run = cli("run", small_study, "--preset", "smoke", "--workers", "0", "--json").json["run"]["id"]
    with Store() as store:
        lease = store.take_lease(run)
        store.end_run(run, lease, status="interrupted")
    assert "livepapers resume RUN" in cli("runs").err
    outcome = cli("resume", "--workers", "0")
    assert outcome.status == 0
    assert f"{run}: 13 cells, 13 of them finished before" in outcome.err
    assert cli("runs", "--json").json[0]["status"] == "finished"
    assert cli("resume").status == 2


def test_report_finds_a_run_by_id_by_paper_and_by_being_the_newest(cli: Cli, small_study: str, tmp_path: Path):
    first = cli("run", small_study, "--preset", "smoke", "--workers", "0", "--json").json["run"]["id"]
    second = cli("run", small_study, "--preset", "smoke", "--workers", "0", "--json").json["run"]["id"]
    assert cli("report", first, "--json").json["run"]["id"] == first
    assert cli("report", "hdpo", "--json").json["run"]["id"] == second
    assert cli("report", "--html", str(tmp_path / "page.html"), "--json").json["run"]["id"] == second
    assert (tmp_path / "page.html").is_file()
    assert cli("report", "no-such-run").status == 2


@pytest.mark.parametrize(("command", "name", "meant"), [("resume", "hdop", "hdpo"), ("report", "fl-gnf", "fl-gfn")])
def test_a_misspelt_paper_is_guessed_where_a_run_is_asked_for(
    cli: Cli, small_study: str, command: str, name: str, meant: str
):
    cli("run", small_study, "--workers", "0")
    outcome = cli(command, name)
    assert outcome.status == 2
    assert f"got {name}, expected a paper or the id of a run in this store (did you mean {meant}" in outcome.err
    assert "`livepapers runs` lists them" in cli(command, "nothing-here").err


def test_publish_writes_the_committed_results(cli: Cli, small_study: str, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(runner, "git_commit", lambda: "0123456789abcdef")
    monkeypatch.setattr(checkout, "root", lambda needed_for: tmp_path)
    monkeypatch.setattr(catalogue, "results_path", lambda slug: tmp_path / f"{slug}.json")
    cli("run", small_study, "--preset", "laptop", "--claims", "C1", "--workers", "0")
    refused = cli("report", "--publish")
    assert (refused.status, refused.out) == (2, "")
    assert "expected all 17 of the laptop preset (it was made by: livepapers run" in refused.err
    assert not list(tmp_path.glob("*.json"))
    cli("run", small_study, "--preset", "laptop", "--workers", "0")
    outcome = cli("report", "--publish")
    assert outcome.status == 0
    assert "published as hdpo.json" in outcome.err
    assert catalogue.results("hdpo")["current"]["verdicts"][0]["verdict"] == "reproduced"  # type: ignore[index]
    shown = cli("show", "hdpo")
    assert "C1     reproduced" in shown.out
    again = cli("report", "hdpo", "--committed", "--publish", "--html", str(tmp_path / "page.html"))
    assert (again.status, "published as hdpo.json" in again.err) == (0, True)
    assert catalogue.results("hdpo")["superseded"] == []  # type: ignore[index]
    assert (tmp_path / "page.html").is_file()
    for words, message in (
        (("report", "--committed"), "run: got nothing"),
        (("report", "pdppo", "--committed"), "paper: got pdppo"),
    ):
        refused = cli(*words)
        assert (refused.status, refused.out, message in refused.err) == (2, "", True)
