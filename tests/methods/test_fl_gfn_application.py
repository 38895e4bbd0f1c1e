"""`apply fl-gfn`: a user's items and graphs, what is written, what is refused, stopping and going on (fl-gfn)."""

import csv
import itertools
import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from livepapers.cli.main import call
from livepapers.core.application import Application
from livepapers.core.errors import CorruptFileError, InputError, Interrupted
from livepapers.core.rng import generator
from livepapers.methods.fl_gfn import ForwardLookingGFlowNet, apply, load_sampler

ITEMS = "item,energy\napple,-1\nbeer,0.5\ncoffee,0.2\ndates,-0.3\negg,1\n"
EDGES = "# a square with a tail\na b\nb c\nc, d\nd a\nd e\n"


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.csv"
    path.write_text(ITEMS, encoding="utf-8")
    return path


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "edges.txt"
    path.write_text(EDGES, encoding="utf-8")
    return path


def _row(made: Application, what: str) -> dict[str, Any]:
    return next(dict(row) for row in made.tables["Fit"] if str(row["what"]).startswith(what))


def test_sets_of_a_users_items_are_sampled_and_compared_with_the_exact_values(items: Path) -> None:
    made = apply(items=items, size=3, updates=150, samples=500)
    assert made.headline.startswith("500 sets; log Z")
    log_z = _row(made, "log Z, weighted")
    rewards = [math.exp(-sum(chosen)) for chosen in itertools.combinations([-1, 0.5, 0.2, -0.3, 1], 3)]
    assert log_z["perfect"] == pytest.approx(math.log(sum(rewards)))
    assert log_z["ours"] == pytest.approx(log_z["perfect"], abs=0.1)
    assert made.tables["Inclusion"][0]["item"] == "apple"
    assert made.tables["Best sets"][0]["set"] == "apple; coffee; dates"
    assert any("Z times an expectation without bias" in note and "consistently" in note for note in made.notes)
    assert made.output is None


def test_independent_sets_of_a_users_graph_are_sampled(graph: Path) -> None:
    made = apply(graph=graph, updates=60, samples=200)
    # five vertices, five edges: 1 + 5 e + 5 e^2 + e^3 by hand
    assert _row(made, "log Z, weighted")["perfect"] == pytest.approx(
        math.log(1 + 5 * math.e + 5 * math.e**2 + math.e**3)
    )
    for row in made.tables["Best sets"]:
        members = set(str(row["set"]).split("; "))
        assert not any({a, b} <= members for a, b in ("ab", "bc", "cd", "da", "de"))


def test_vertices_may_have_energies_and_vertices_without_edges_come_from_the_items(tmp_path: Path, graph: Path) -> None:
    items = tmp_path / "vertices.csv"
    items.write_text("item,energy\na,1\nb,1\nc,1\nd,1\ne,1\nloner,-2\n", encoding="utf-8")
    made = apply(items=items, graph=graph, updates=60, samples=200)
    shares = {row["item"]: row["exact"] for row in made.tables["Inclusion"]}
    assert shares["loner"] == pytest.approx(math.exp(2) / (1 + math.exp(2)))


def test_the_output_folder_holds_a_sampler_that_loads_and_agrees(items: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    made = apply(items=items, size=2, updates=80, samples=100, output=output)
    assert {path.name for path in output.iterdir()} == set(made.files)
    assert not (tmp_path / "out.partial").exists()
    assert json.loads((output / "application.json").read_text(encoding="utf-8"))["headline"] == made.headline
    rows = list(csv.DictReader((output / "samples.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 100
    evaluation = load_sampler(output).evaluate(100, generator=generator(0, "fl-gfn", "samples"))
    assert [float(row["log_weight"]) for row in rows] == pytest.approx(evaluation.log_weight.tolist())


def test_an_altered_sampler_is_refused(items: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    apply(items=items, size=2, updates=5, samples=10, output=output)
    text = (output / "problem.json").read_text(encoding="utf-8")
    (output / "problem.json").write_text(text.replace("apple", "pears"), encoding="utf-8")
    with pytest.raises(CorruptFileError, match="altered"):
        load_sampler(output)


def test_equal_seeds_write_equal_samples(items: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        apply(items=items, size=2, updates=20, samples=50, seed=7, output=tmp_path / name)
    assert (tmp_path / "one" / "samples.csv").read_bytes() == (tmp_path / "two" / "samples.csv").read_bytes()


def test_a_stopped_command_goes_on_and_ends_as_if_it_had_not_been_stopped(
    items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(items=items, size=2, updates=40, samples=50, output=tmp_path / "whole")
    real = ForwardLookingGFlowNet.update

    def stop_at_15(self: ForwardLookingGFlowNet) -> dict[str, float]:
        if self.step == 14:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self)

    monkeypatch.setattr(ForwardLookingGFlowNet, "update", stop_at_15)
    with pytest.raises(Interrupted, match=r"after step 15 of 40; the state was saved, and the same work goes on"):
        apply(items=items, size=2, updates=40, samples=50, output=tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
    monkeypatch.setattr(ForwardLookingGFlowNet, "update", real)
    apply(items=items, size=2, updates=40, samples=50, output=tmp_path / "cut")
    assert (tmp_path / "cut" / "samples.csv").read_bytes() == (tmp_path / "whole" / "samples.csv").read_bytes()


def test_a_badly_trained_sampler_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item,energy\n" + "".join(f"i{k},{(-1) ** k * 8}\n" for k in range(20)), encoding="utf-8")
    made = apply(items=path, size=10, updates=1, samples=200)
    assert made.headline.startswith("NOT well trained yet")
    assert "--updates" in made.notes[0]


MALFORMED: dict[str, tuple[bytes | None, str, dict[str, Any], str]] = {
    # name: (content, option, further arguments, what the message must hold)
    "no such file": (None, "items", {"size": 2}, "--items.*existing file"),
    "an empty file": (b"", "items", {"size": 2}, "--items.*empty"),
    "a binary file": (b"\x89PNG\r\n\0\0\0\r", "items", {"size": 2}, "--items.*binary"),
    "not UTF-8": (b"item,energy\ncaf\xe9,1\n", "items", {"size": 1}, "--items.*UTF-8"),
    "a header alone": (b"item,energy\n", "items", {"size": 1}, "without rows"),
    "a missing column": (b"item,cost\na,1\n", "items", {"size": 1}, "column energy"),
    "a misspelt column": (b"item,enrgy\na,1\n", "items", {"size": 1}, "enrgy.*rename"),
    "an energy that is a word": (b"item,energy\na,low\n", "items", {"size": 1}, "line 2: energy: got low"),
    "an energy that is not a number": (b"item,energy\na,nan\n", "items", {"size": 1}, "line 2: energy.*finite"),
    "an infinite energy": (b"item,energy\na,1\nb,inf\n", "items", {"size": 1}, "line 3: energy.*finite"),
    "a huge energy": (b"item,energy\na,1e300\n", "items", {"size": 1}, "line 2: energy"),
    "an energy in another unit": (b"item,energy\na,5000\n", "items", {"size": 1}, "line 2.*nats.*unit"),
    "an energy left out": (b"item,energy\na,\n", "items", {"size": 1}, "line 2: energy"),
    "an item without a name": (b"item,energy\n,1\n", "items", {"size": 1}, "line 2: item"),
    "an item twice": (b"item,energy\na,1\nb,2\na,3\n", "items", {"size": 1}, "line 4: item: got a.*line 2"),
    "lines longer than the header": (b"item,energy\na,1,9\nb,2,8\n", "items", {"size": 1}, "header"),
    "a column twice": (b"item,energy,energy\na,1,2\n", "items", {"size": 1}, "column energy.*each column once"),
    "a decimal comma": (b'item,energy\na,"1,5"\n', "items", {"size": 1}, "line 2: energy: got 1,5"),
    "an unclosed quote": (b'item,energy\n"a,1\nb,2\n', "items", {"size": 1}, "EOF inside string"),
    "a line cut short": (b"item,energy\na\nb,2\n", "items", {"size": 1}, "line 2: energy: got nothing"),
    "an item whose name would split": (
        b"item,energy\na,1\nb;c,2\n", "items", {"size": 1}, "line 3: item: got b;c, expected a name without ;",
    ),
    "a vertex whose name would split": (b"a b\nb c;d\n", "graph", {}, "line 2: vertex: got c;d.*without ;"),
    "a set larger than the items": (b"item,energy\na,1\nb,2\n", "items", {"size": 3}, "--size: got 3, expected 1 to 2"),
    "a size of zero": (b"item,energy\na,1\nb,2\n", "items", {"size": 0}, "--size: got 0"),
    "a negative size": (b"item,energy\na,1\nb,2\n", "items", {"size": -2}, "--size: got -2"),
    "no size": (b"item,energy\na,1\nb,2\n", "items", {}, "--size: got nothing"),
    "too many items": (
        b"item,energy\n" + b"".join(b"i%d,0\n" % k for k in range(2001)), "items", {"size": 2}, "2001 items.*at most",
    ),
    "a self-loop": (b"a b\nb b\n", "graph", {}, "line 2: got b b.*self-loop"),
    "one vertex a line": (b"a b\nc\n", "graph", {}, "line 2: got c.*two vertex names"),
    "weighted edges": (b"a b 0.5\n", "graph", {}, "line 1.*weights"),
    "only comments": (b"# nothing\n\n", "graph", {}, "no edge"),
    "a binary graph": (b"a b\n\0\0", "graph", {}, "--graph.*binary"),
    "a size for a graph": (b"a b\n", "graph", {"size": 1}, "--size.*independent sets"),
    "no samples": (b"a b\n", "graph", {"samples": 0}, "--samples: got 0"),
    "no updates": (b"a b\n", "graph", {"updates": 0}, "updates"),
    "too much exploration": (b"a b\n", "graph", {"epsilon": 1.5}, "epsilon.*1.5"),
    "an unknown objective": (b"a b\n", "graph", {"objective": "flow"}, "objective.*flow"),
    "a forward-looking tb": (b"a b\n", "graph", {"objective": "fl-tb"}, "objective: got fl-tb, expected one of"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_input_gets_one_clear_line_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    content, option, arguments, message = MALFORMED[name]
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "input.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        apply(**{option: path, "output": tmp_path / "out", **arguments})
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_wrong_settings_are_told_by_option_all_at_once(items: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["apply", "fl-gfn", "--items", str(items), "--size", "2", "--epsilon", "2", "--updates", "0"]
    assert call(words) == 2
    assert capsys.readouterr().err == (
        "Error: --updates: got 0, expected greater than or equal to 1; --epsilon: got 2.0, expected less than or equal "
        "to 1\n"
    )


def test_a_seed_below_zero_is_refused_as_everywhere(items: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["apply", "fl-gfn", "--items", str(items), "--size", "2", "--seed", "-1"]) == 2
    assert "'--seed': -1 is not in the range x>=0" in capsys.readouterr().err


def test_neither_items_nor_graph_is_refused() -> None:
    with pytest.raises(InputError, match="neither"):
        apply()


def test_a_vertex_that_is_no_item_is_refused(items: Path, graph: Path) -> None:
    with pytest.raises(InputError, match="vertex: got a, expected a vertex that is an item"):
        apply(items=items, graph=graph)


def test_an_output_folder_that_holds_files_is_refused_before_any_work(items: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="output"):
        apply(items=items, size=2, output=tmp_path)


def test_a_checkpoint_of_other_work_is_refused(items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ForwardLookingGFlowNet.update

    def stop(self: ForwardLookingGFlowNet) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(self)

    monkeypatch.setattr(ForwardLookingGFlowNet, "update", stop)
    with pytest.raises(Interrupted):
        apply(items=items, size=2, updates=40, output=tmp_path / "out")
    with pytest.raises(CorruptFileError, match="other work"):
        apply(items=items, size=3, updates=40, output=tmp_path / "out")


def test_no_global_random_stream_is_touched(items: Path) -> None:
    before = torch.get_rng_state()
    apply(items=items, size=2, updates=3, samples=10)
    assert torch.equal(before, torch.get_rng_state())
