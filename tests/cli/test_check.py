"""`check` prints the battery's results and turns a failure into exit status 1."""

import pytest

from cli.conftest import Cli
from livepapers import battery
from livepapers.battery import CheckResult


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    listed = [
        CheckResult("hdpo", 3, "card_and_code_agree", "They agree.", "passed", "", 0.01),
        CheckResult("hdpo", 14, "gradients", "Gradients are right.", "skipped", "no loss", 0.0),
        CheckResult("hdpo", 16, "invariances", "Order does not matter.", "expected failure", "known", 0.2),
    ]
    monkeypatch.setattr(battery, "run", lambda slug, quick: iter(listed))
    return listed


def test_each_check_is_a_line_and_the_sum_comes_last(cli: Cli, results: list[CheckResult]):
    outcome = cli("check", "hdpo")
    assert outcome.status == 0
    assert "  3 passed     0.01 s  They agree." in outcome.out
    assert "no loss" in outcome.out
    assert "hdpo: 3 checks, 1 passed, 1 skipped, 1 expected failure, 0.2 s" in outcome.out


def test_a_failure_is_exit_status_one(cli: Cli, results: list[CheckResult]):
    results.append(CheckResult("hdpo", 31, "references", "References are met.", "failed", "off by 2", 0.1))
    outcome = cli("check", "hdpo")
    assert outcome.status == 1
    assert "FAILED" in outcome.out
    assert "off by 2" in outcome.out
    assert cli("check", "hdpo", "--json").json[-1]["detail"] == "off by 2"


def test_one_paper_or_all_of_them_has_to_be_named(cli: Cli, results: list[CheckResult]):
    assert cli("check").status == 2
    assert cli("check", "hdpo", "--all").status == 2
    assert cli("check", "--all").out.count("3 checks") >= 3


def test_a_listed_paper_has_no_battery(cli: Cli):
    outcome = cli("check", "roguelike-npc")
    assert outcome.status == 2
    assert "expected a paper with a method" in outcome.err
