"""`apply debatenet` on the user's own claims, good and bad."""

import csv
import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.methods.debatenet import apply
from livepapers.tasks.made_debates import two_camps

QUICK: dict[str, Any] = {"permutations": 20}


@pytest.fixture(scope="module")
def table():
    """A debate of two parties as lines of a CSV file in DebateNet's layout, with umbrella codes and a blank party."""
    made = two_camps(numpy_generator(4, "apply"), actors=14, statements=260, concepts=6)
    lines = ["name,claimvalues,cpos,cdate,quote,parties,doc_id"]
    for i in range(len(made)):
        actor, party = made.labels["actor"][made.actor[i]], made.labels["group"][made.group[i]]
        sign, document = int(made.levels[made.level[i]]), made.labels["document"][made.document[i]]
        codes = f"{101 + made.concept[i]},{100 if i % 3 else 101 + made.concept[i]}"
        shown = "NA" if actor == "a13" else party
        lines.append(f'{actor},"[{codes}]",{sign},{made.day[i]},"so, they said",{shown},{document}')
    return "\n".join(lines) + "\n"


@pytest.fixture
def claims(table, tmp_path):
    path = tmp_path / "claims.csv"
    path.write_text(table)
    return path


def test_two_windows_become_networks_tables_and_pictures(claims, tmp_path):
    windows = "2015-01-01..2015-06-30, 2015-07-01..2015-12-31"
    made = apply(claims=claims, windows=windows, output=tmp_path / "out", **QUICK)
    assert made.output is not None
    assert {path.name for path in made.output.iterdir()} == set(made.files)
    assert json.loads((made.output / "application.json").read_text())["headline"] == made.headline
    first, second = made.tables["Windows"]
    assert int(str(first["claims"])) + int(str(second["claims"])) == 260
    assert float(str(first["gap"])) > 0.1
    stem = "2015-01-01_to_2015-06-30"
    graph = nx.read_graphml(made.output / f"actors_{stem}.graphml")
    with (made.output / f"actors_{stem}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert graph.number_of_edges() == len(rows) == first["ties"]
    assert {row["a"] for row in rows} | {row["b"] for row in rows} <= set(graph)
    assert graph.nodes["a13"]["group"] == ""
    with (made.output / "camps.csv").open() as file:
        camps = [row for row in csv.DictReader(file) if row["window"] == first["window"]]
    assert len(camps) == first["actors"]
    for name in (f"network_{stem}.svg", f"groups_{stem}.svg", "polarisation.svg"):
        assert (made.output / name).read_text().startswith("<svg")
    assert any("--drop '[1-9]00|999'" in note for note in made.notes)


def test_nothing_is_dropped_unasked_and_what_is_dropped_is_counted(claims):
    whole, less = (apply(claims=claims, drop=drop, **QUICK) for drop in ("", "[1-9]00|999"))
    measures = [{row["measure"] for row in made.tables["Measures, all"]} for made in (whole, less)]
    assert measures[0] - measures[1] == {"100"}
    lost = int(str(whole.tables["Windows"][0]["statements"])) - int(str(less.tables["Windows"][0]["statements"]))
    assert any(note.startswith(f"{lost} of ") and "--drop leaves out" in note for note in less.notes)


def test_strength_tells_agreement_from_conflict(tmp_path):
    path = tmp_path / "three.csv"
    path.write_text("actor,concept,qualifier\nA,x,1\nB,x,1\nC,x,-1\n")
    rows = apply(claims=path, **QUICK, normalise="none").tables["Central actors, all"]
    found = {row["actor"]: (row["strength"], row["net strength"]) for row in rows}
    assert found == {"A": (2.0, 0.0), "B": (2.0, 0.0), "C": (2.0, -2.0)}


def test_parties_can_be_the_nodes_and_texts_the_qualifier(claims, tmp_path):
    made = apply(claims=claims, by="group", **QUICK)
    assert made.tables["Windows"][0]["actors"] == 2
    assert any("no known group" in note for note in made.notes)
    path = tmp_path / "texts.csv"
    path.write_text("actor,concept,qualifier\nA,x,urges\nB,x,urges\nC,x,doubts\nC,y,urges\nB,y,urges\n")
    told = apply(claims=path, scale="text", aggregate="congruence", output=tmp_path / "texts", **QUICK)
    assert told.tables["Windows"][0]["ties"] == 2
    assert told.tables["Windows"][0]["support"] is None


@pytest.mark.parametrize("windows", ["quarter", "moving:120:90", "events:80:80"])
def test_time_can_be_cut_in_any_way(claims, windows):
    made = apply(claims=claims, windows=windows, search="greedy", **QUICK)
    assert len(made.tables["Windows"]) >= 3
    assert len(made.tables["Changes"]) == len(made.tables["Windows"]) - 1


def test_an_empty_window_is_answered_and_said(claims):
    made = apply(claims=claims, windows="2015-01-01..2015-12-31,2019-01-01..2019-12-31", **QUICK)
    assert made.tables["Windows"][1]["counted"] == 0
    assert any("hold no statement" in note for note in made.notes)


def test_one_actor_and_one_group_are_answered(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("actor,concept,qualifier,party\nA,x,1,p\nA,y,-1,p\n")
    made = apply(claims=path, output=tmp_path / "out", **QUICK)
    assert made.tables["Windows"][0]["ties"] == 0
    assert made.tables["Windows"][0]["gap"] is None


def test_a_lone_voice_a_scale_and_thin_networks_are_told(tmp_path):
    lone, scaled = tmp_path / "lone.csv", tmp_path / "scaled.csv"
    lone.write_text("actor,concept,qualifier\nA,x,1\n")
    assert apply(claims=lone, **QUICK).headline == (
        "1 node, 0 ties in all: one voice alone, with whom nobody agrees or disagrees"
    )
    scaled.write_text("actor,concept,qualifier\nA,x,-1\nB,x,2\nA,y,1\nB,y,1\n")
    notes = " ".join(apply(claims=scaled, **QUICK, weight=100.0).notes)
    assert "a scale of whole numbers, -1 to 2" in notes
    assert "those of the whole" in notes


def test_applying_twice_writes_the_same_bytes(claims, tmp_path):
    for name in ("one", "two"):
        apply(claims=claims, output=tmp_path / name, **QUICK)
    for path in sorted((tmp_path / "one").iterdir()):
        other = (tmp_path / "two" / path.name).read_bytes()
        assert path.read_bytes() == other or path.name == "application.json"  # which names its folder


def test_a_seed_is_what_permutations_come_from(claims):
    z = [apply(claims=claims, seed=seed, permutations=20).tables["Windows"][0]["gap z"] for seed in (0, 1, 0)]
    assert z[0] == z[2] != z[1]
    assert np.isfinite(float(str(z[0])))


FAULTS = {
    "missing file": (lambda folder: {"claims": folder / "none.csv"}, "an existing file"),
    "a folder": (lambda folder: {"claims": folder}, "an existing file"),
    "output with files": (lambda folder: {"output": folder}, "it holds files"),
    "output is a file": (lambda folder: {"output": folder / "claims.csv"}, "a file of that name"),
    "no such column": (lambda folder: {"actor": "speaker"}, "actor: got speaker"),
    "no such window": (lambda folder: {"windows": "fortnight"}, "2015-04-01..2015-05-31"),
    "half a window": (lambda folder: {"windows": "2015-04-01.."}, "--windows"),
    "a window turned round": (lambda folder: {"windows": "2015-05-01..2015-04-01"}, "the first day before"),
    "windows far away": (lambda folder: {"windows": "1999-01-01..1999-12-31"}, "the debate lasts from 2015"),
    "steps of nothing": (lambda folder: {"windows": "moving:60:0"}, ">= 1"),
    "a size alone": (lambda folder: {"windows": "events:60"}, "a size and a step"),
    "far too many windows": (lambda folder: {"claims": century(folder), "windows": "week"}, "at most 400 windows"),
    "a bad pattern": (lambda folder: {"drop": "["}, r"--drop: got \[, expected a regular expression"),
    "everything dropped": (lambda folder: {"drop": ".*"}, "all [0-9]+ statements"),
    "levels in words": (lambda folder: {"levels": "low,high"}, "whole numbers"),
    "one level": (lambda folder: {"levels": "1"}, "at least two"),
    "a value outside the levels": (lambda folder: {"levels": "1,2"}, "line .*: qualifier: got -1"),
    "unknown aggregate": (lambda folder: {"aggregate": "sum"}, "aggregate: got sum, expected one of"),
    "unknown normalisation": (lambda folder: {"normalise": "l2"}, "normalise: got l2, expected one of"),
    "unknown way of dates": (lambda folder: {"dates": "american"}, "dates: got american, expected one of"),
    "unknown duplicates": (lambda folder: {"duplicates": "decade"}, "duplicates: got decade, expected one of"),
    "split actors": (lambda folder: {"several": "split"}, "two statements of one actor"),
    "signs of texts": (lambda folder: {"scale": "text"}, "the qualifier is a text"),
    "weight below 0": (lambda folder: {"weight": -1.0}, "--weight"),
    "weight that is no number": (lambda folder: {"weight": float("nan")}, "--weight"),
    "degree below 0": (lambda folder: {"degree": -1}, "--degree"),
    "one column for two parts": (lambda folder: {"actor": "claimvalues"}, "a column of its own"),
    "months for days": (lambda folder: {"windows": "2015-03..2015-04"}, "first and last day"),
    "a window twice": (lambda folder: {"windows": "2015-04-01..2015-05-31,2015-04-01..2015-05-31"}, "each window once"),
    "few permutations": (lambda folder: {"permutations": 19}, "--permutations"),
    "a seed below zero": (lambda folder: {"seed": -1}, "--seed"),
    "no group at all": (lambda folder: {"claims": plain(folder), "by": "group"}, "a column of groups"),
    "windows without dates": (lambda folder: {"claims": plain(folder), "windows": "month"}, "one date or none"),
}


def century(folder: Path) -> Path:
    path = folder / "century.csv"
    path.write_text("actor,concept,qualifier,date\nA,x,1,1915-01-01\nB,x,-1,2015-01-01\n")
    return path


def plain(folder: Path) -> Path:
    path = folder / "plain.csv"
    path.write_text("actor,concept,qualifier\nA,x,1\nB,x,-1\n")
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_unusable_input_gets_one_line_and_writes_nothing(claims, tmp_path, fault):
    make, said = FAULTS[fault]
    asked = make(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(InputError, match=said) as caught:
        apply(**{"claims": claims, "output": tmp_path / "out", **QUICK, **asked})
    assert "\n" not in str(caught.value)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
