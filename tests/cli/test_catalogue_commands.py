"""`list`, `show`, `search` and `cite`."""

import pytest

from cli.conftest import Cli
from livepapers.papers import catalogue


def test_list_filters_by_field_tag_and_status(cli: Cli):
    everything = {card["slug"] for card in cli("list", "--json").json}
    assert everything == set(catalogue.load())
    graphs = cli("list", "--field", "graphs", "--json").json
    assert {card["field"] for card in graphs} == {"graphs"}
    tagged = cli("list", "--tag", "gflownet", "--field", "samplers", "--json").json
    assert all("gflownet" in card["tags"] and card["field"] == "samplers" for card in tagged)
    by_status = [cli("list", "--status", status, "--json").json for status in ("listed", "runs", "measured")]
    assert sum(map(len, by_status)) == len(everything)


def test_a_filter_without_a_match_says_so(cli: Cli):
    outcome = cli("list", "--tag", "no-such-tag")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "0 papers match\n"
    assert cli("list", "--tag", "no-such-tag", "--json").json == []


def test_an_unknown_field_is_a_usage_error_that_names_the_fields(cli: Cli):
    outcome = cli("list", "--field", "astrology")
    assert outcome.status == 2
    assert "operations" in outcome.err


@pytest.mark.parametrize("slug", list(catalogue.load()))
def test_every_card_can_be_shown_and_cited(cli: Cli, slug: str):
    shown = cli("show", slug)
    assert shown.status == 0
    assert catalogue.card(slug).title in shown.out
    assert cli("show", slug, "--json").json["slug"] == slug
    cited = cli("cite", slug).out
    assert cited.startswith("@misc{")
    assert cited.endswith("}\n")


def test_search_puts_the_best_match_first_and_keeps_to_the_limit(cli: Cli):
    found = cli("search", "inventory", "networks", "--limit", "2", "--json").json
    assert found[0]["slug"] == "hdpo"
    assert len(found) <= 2
    assert "hdpo" in cli("search", "inventory").out.splitlines()[1]


def test_a_search_without_a_match_is_no_error(cli: Cli):
    outcome = cli("search", "zzzzzz")
    assert (outcome.status, outcome.out) == (0, "")
    assert "No paper matches" in outcome.err
    assert cli("search", "zzzzzz", "--json").json == []


def test_cite_takes_several_papers_each_once_and_writes_ris(cli: Cli):
    assert cli("cite", "hdpo", "fl-gfn", "hdpo").out.count("@misc{") == 2
    assert cli("cite", "hdpo", "--ris").out.startswith("TY  - ")
