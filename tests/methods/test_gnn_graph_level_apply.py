"""`apply gnn-graph-level` on the user's own graphs, good and bad."""

import csv
import importlib.util
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.methods.gnn_graph_level import application, apply
from livepapers.methods.gnn_graph_level.application import COMPARED
from livepapers.methods.gnn_graph_level.plot import ticks
from livepapers.methods.gnn_graph_level.settings import Config
from livepapers.tasks.graph_files import read_edges, read_tudataset, to_targets
from livepapers.tasks.graph_scenarios import perturb
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.subgraph_counts import count_subgraphs, cycle, random_graphs

needs_rdkit = pytest.mark.skipif(importlib.util.find_spec("rdkit") is None, reason="needs the extra molecules")
QUICK: dict[str, Any] = {"models": ("gin", "prior"), "epochs": 1, "repeats": 1}


@pytest.fixture(scope="module")
def graphs():
    return random_graphs(numpy_generator(0, "apply"), 30, sizes=(5, 7))


def write_csv(table: GraphTable, folder: Path, *, unknown: int = 0) -> dict[str, Any]:
    """Tables whose targets say whether a graph holds many triangles."""
    count = count_subgraphs(table, cycle(3))
    kinds = ["many" if many else "few" for many in count > np.median(count)]
    kinds = [""] * unknown + kinds[unknown:]
    owner = table.owner[table.ends[:, 0]]
    edges, named = folder / "edges.csv", folder / "graphs.csv"
    edges.write_text("graph,source,target\n" + "".join(f"g{g},n{a},n{b}\n" for g, (a, b) in zip(owner, table.ends)))  # noqa: B905
    named.write_text("graph,target\n" + "".join(f"g{g},{kind}\n" for g, kind in enumerate(kinds)))
    return {"edges": edges, "graphs": named}


def write_tudataset(table: GraphTable, folder: Path, name: str = "TOY") -> Path:
    folder.mkdir()
    both = np.concatenate([table.ends, table.ends[:, ::-1]]) + 1
    lines = {
        "A": [f"{a}, {b}" for a, b in both.tolist()],
        "graph_indicator": [str(graph + 1) for graph in table.owner],
        "graph_labels": [str(1 if graph % 2 else -1) for graph in range(len(table))],
        "node_labels": [str(node % 3) for node in range(len(table.owner))],
        "node_attributes": [f"{node / 7}, {-node}" for node in range(len(table.owner))],
        "edge_labels": [str(int(a + b) % 2) for a, b in both.tolist()],
    }
    for part, texts in lines.items():
        (folder / f"{name}_{part}.txt").write_text("\n".join(texts) + "\n")
    return folder


def test_the_output_folder_holds_what_is_announced(graphs, tmp_path):
    files = write_csv(graphs, tmp_path, unknown=3)
    made = apply(**files, epochs=2, repeats=2, models=("path-adaptive", "prior"), output=tmp_path / "a")
    assert made.output is not None
    assert {path.name for path in made.output.iterdir()} == set(made.files)
    with (made.output / "models.csv").open() as file:
        assert {row["model"] for row in csv.DictReader(file)} == {"path-adaptive", "prior"}
    assert json.loads((made.output / "application.json").read_text())["headline"] == made.headline
    for name in ("models.svg", "importance.svg"):
        text = (made.output / name).read_text()
        assert ET.fromstring(text).tag.endswith("svg")
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    new = [row for row in made.tables["Predictions"] if row["part"] == "new"]
    assert {row["graph"] for row in new} == {"g0", "g1", "g2"}
    assert {row["predicted"] for row in made.tables["Predictions"]} <= {"few", "many"}
    titles = [
        title.text for title in ET.parse(made.output / "importance.svg").iter("{http://www.w3.org/2000/svg}title")
    ]
    for row in made.tables["Importance of edges"]:  # the picture says which edges these are
        assert any(text and text.startswith(f"{row['node']} to {row['other node']}: ") for text in titles)
    weights = [float(str(row["importance"])) for row in made.tables["Importance of edges"]]
    assert 0 < min(weights) <= max(weights) < 1


def test_counts_are_exact(graphs, tmp_path):
    rows = apply(**write_csv(graphs, tmp_path), **QUICK, k=4).tables["Paths and cycles"]
    assert [row["5-cycles"] for row in rows] == count_subgraphs(graphs, cycle(5)).tolist()
    assert [row["nodes"] for row in rows] == graphs.sizes.tolist()


def test_edges_are_named_as_the_user_names_their_nodes(graphs, tmp_path):
    files = write_csv(graphs, tmp_path)
    rows = apply(**files, **{**QUICK, "models": ("path-adaptive",)}).tables["Importance of edges"]
    lines = {frozenset(line.split(",")) for line in files["edges"].read_text().splitlines()}
    assert {frozenset(map(str, (row["graph"], row["node"], row["other node"]))) for row in rows} <= lines
    folder = write_tudataset(graphs, tmp_path / "TOY")
    rows = apply(tudataset=folder, **{**QUICK, "models": ("path-adaptive",)}).tables["Importance of edges"]
    edges = (folder / "TOY_A.txt").read_text().splitlines()
    assert {f"{row['node']}, {row['other node']}" for row in rows} <= set(edges)


def test_sampled_counts_are_whole_and_said_whatever_is_compared(graphs, tmp_path, monkeypatch):
    monkeypatch.setattr(application, "Config", lambda **kept: Config(**kept, max_paths=3))
    made = apply(**write_csv(graphs, tmp_path), **{**QUICK, "models": ("prior",)}, k=4)
    assert any("estimates" in note for note in made.notes)
    assert all(isinstance(row["4-paths"], int) for row in made.tables["Paths and cycles"])


@pytest.mark.parametrize(
    ("model", "column"), [("prior", "probability"), ("gin", "probability"), ("wl-svm", "decision score")]
)
def test_the_column_beside_a_class_says_what_it_is(graphs, tmp_path, model, column):
    rows = apply(**write_csv(graphs, tmp_path), **{**QUICK, "models": (model,)}).tables["Predictions"]
    assert list(rows[0]) == ["graph", "part", "known", "predicted", column]
    if column == "probability":
        assert all(0.5 <= float(str(row[column])) <= 1 for row in rows)


def test_noise_leaves_the_graphs_that_are_predicted_as_they_are(graphs, tmp_path, monkeypatch):
    pairs = []

    def moved(table, rng, *, share):
        pairs.append((table, perturb(table, rng, share=share)))
        return pairs[-1][1]

    monkeypatch.setattr(application, "perturb", moved)
    made = apply(**write_csv(graphs, tmp_path, unknown=3), **QUICK, scenario="noise:0.5")
    same = [(np.diff([t.select(np.array([g])).ends for t in pairs[0]], axis=0) == 0).all() for g in range(30)]
    assert all(same[:3])
    assert not all(same[3:])
    assert any("as they are" in note for note in made.notes)


def test_applying_twice_gives_the_same_bytes(graphs, tmp_path):
    files = write_csv(graphs, tmp_path)
    options: dict[str, Any] = {**files, **QUICK, "models": ("path-adaptive", "boosting")}
    one, two = (apply(**options) for _ in range(2))
    assert json.dumps(one.to_json()) == json.dumps(two.to_json())


def test_the_order_of_lines_does_not_matter(graphs, tmp_path):
    files = write_csv(graphs, tmp_path)
    table, texts, _ = read_edges(files["edges"], files["graphs"], nodes=None, target="target")
    header, *lines = files["edges"].read_text().splitlines()
    rng = numpy_generator(0, "lines")
    turned = [line if rng.random() < 0.5 else ",".join(np.array(line.split(","))[[0, 2, 1]]) for line in lines]
    files["edges"].write_text("\n".join([header, *rng.permutation(turned)]) + "\n")
    other, again, _ = read_edges(files["edges"], files["graphs"], nodes=None, target="target")
    assert (texts, table.names) == (again, other.names)
    for length in (3, 4, 5):
        assert (count_subgraphs(table, cycle(length)) == count_subgraphs(other, cycle(length))).all()
    assert (count_subgraphs(table, cycle(4)) == count_subgraphs(graphs, cycle(4))).all()


def test_nodes_bring_attributes_and_nodes_without_edges(tmp_path):
    (tmp_path / "e.csv").write_text("graph,source,target\na,1,2\n")
    (tmp_path / "g.csv").write_text("graph,y\nb,1\na,2\n")
    (tmp_path / "n.csv").write_text("graph,node,age\na,1,5\na,2,7\na,3,9\nb,1,1\n")
    table, texts, names = read_edges(tmp_path / "e.csv", tmp_path / "g.csv", nodes=tmp_path / "n.csv", target="y")
    assert names == ["1", "1", "2", "3"]
    assert (table.names, texts, table.sizes.tolist()) == (("b", "a"), ["1", "2"], [1, 3])
    assert table.nodes.tolist() == [[1, 1], [1, 5], [1, 7], [1, 9]]
    assert table.ends.tolist() == [[1, 2]]


def test_a_tudataset_folder_is_read_with_all_its_parts(graphs, tmp_path):
    folder = write_tudataset(graphs, tmp_path / "TOY")
    table, texts = read_tudataset(folder, option="--tudataset")
    assert (table.sizes == graphs.sizes).all()
    assert (count_subgraphs(table, cycle(4)) == count_subgraphs(graphs, cycle(4))).all()
    assert table.nodes.shape == (len(graphs.owner), 1 + 3 + 2)
    assert (table.edges.argmax(axis=1) == (table.ends.sum(axis=1) % 2)).all()
    assert texts[:2] == ["-1", "1"]
    assert "macro-F1" in apply(tudataset=folder, **QUICK).headline


@needs_rdkit
def test_molecules_of_a_csv_are_compared_and_predicted(tmp_path):
    smiles = ["C" * n + end for n in range(1, 9) for end in ("", "O", "N")]
    rows = [f"{text},{len(text) * 1.5 + 0.01 * place}" for place, text in enumerate(smiles)]
    (tmp_path / "m.csv").write_text("smiles,heat\n" + "\n".join(rows) + "\nc1ccccc1,\nC.[Na+],\n")
    made = apply(smiles=tmp_path / "m.csv", target="heat", epochs=1, repeats=1, output=tmp_path / "out")
    assert {row["model"] for row in made.tables["Models"]} == set(COMPARED)
    assert "mean absolute error" in made.headline
    assert any("salts" in note for note in made.notes)
    assert [row["known"] for row in made.tables["Predictions"] if row["part"] == "new"] == [None, None]
    ends = [(row["node"], row["other node"]) for row in made.tables["Importance of edges"]]
    assert {0} < {a for a, _ in ends}  # atoms are numbered in their own molecule
    assert all(0 <= int(str(a)) < int(str(b)) <= 8 for a, b in ends)


@pytest.mark.parametrize("scenario", ["noise:0.2", "imbalance:4", "shots:3"])
def test_each_scenario_runs_and_is_said(graphs, tmp_path, scenario):
    made = apply(**write_csv(graphs, tmp_path), **QUICK, scenario=scenario)
    assert scenario in made.headline
    assert any(scenario in note for note in made.notes)


@pytest.mark.parametrize(
    ("texts", "task", "classes", "values"),
    [
        (["b", "a", ""], "auto", ("a", "b"), [1, 0, np.nan]),
        ([str(n / 2) for n in range(30)], "auto", (), [n / 2 for n in range(30)]),
        (["1", "2", "2"], "auto", ("1", "2"), [0, 1, 1]),
        (["1", "2.5", "2"], "auto", (), [1, 2.5, 2]),
        (["1", "", "2"], "numbers", (), [1, np.nan, 2]),
    ],
)
def test_targets_are_classes_or_numbers(texts, task, classes, values):
    found, names = to_targets(texts, task=task, where="--graphs g.csv", column="y")
    assert names == classes
    assert found == pytest.approx(values, nan_ok=True)


def refused(options, said, folder):
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(InputError, match=said) as caught:
        apply(**{**QUICK, **options})
    assert "\n" not in str(caught.value)
    assert re.match(r".+: got .+, expected .+", str(caught.value))
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before


OPTIONS = {
    "no source": ({"edges": None, "graphs": None}, "source: got none"),
    "two sources": ({"tudataset": Path("x")}, "--tudataset and --edges"),
    "edges without graphs": ({"graphs": None}, "--graphs"),
    "graphs without edges": ({"edges": None, "tudataset": Path("x")}, "without --edges"),
    "unknown model": ({"models": ("transformer",)}, "--models"),
    "unknown scenario": ({"scenario": "hard"}, "--scenario"),
    "k too large": ({"k": 9}, "--k"),
    "no epochs": ({"epochs": 0}, "--epochs"),
    "no repeats": ({"repeats": 0}, "--repeats"),
    "no such column": ({"target": "weight"}, "column weight"),
    "texts as numbers": ({"task": "numbers"}, "finite number"),
    "few labels of many": ({"scenario": "shots:500"}, "at least 500"),
    "missing file": ({"edges": Path("nowhere.csv")}, "existing file"),
}


@pytest.mark.parametrize("fault", OPTIONS)
def test_unusable_options_get_one_line_and_write_nothing(graphs, tmp_path, fault):
    changes, said = OPTIONS[fault]
    refused({**write_csv(graphs, tmp_path), "output": tmp_path / "out", **changes}, said, tmp_path)


EDGES = {
    "self-loop": ("a,1,1", "line 2: got a self-loop"),
    "edge twice": ("a,1,2\na,1,2", "line 3: got an edge that was listed before"),
    "unknown graph": ("z,1,2", "line 2: graph"),
    "missing cell": ("a,1", "missing value"),
    "too many cells": ("a,1,2,3", "more cells"),
    "no lines": ("", "header without rows"),
    "a graph without edges": ("a,1,2", "graph b: got no nodes"),
}


@pytest.mark.parametrize("fault", EDGES)
def test_unusable_edges_get_one_line_and_write_nothing(tmp_path, fault):
    text, said = EDGES[fault]
    (tmp_path / "e.csv").write_text("graph,source,target\n" + text + "\n")
    (tmp_path / "g.csv").write_text("graph,target\na,x\nb,y\n")
    options = {"edges": tmp_path / "e.csv", "graphs": tmp_path / "g.csv", "output": tmp_path / "out"}
    refused(options, said, tmp_path)


@pytest.mark.parametrize(
    ("nodes", "graphs", "said"),
    [
        ("a,1,nan\na,2,1\nb,1,1", "a,x\nb,y", "line 2: age"),
        ("a,1,1\na,1,1", "a,x\nb,y", "line 3: node"),
        ("a,1,1\nb,1,1", "a,x\nb,y", "node 2"),
        ("a,1,1\na,2,1\nb,1,1", "a,x\na,y", "line 3: graph"),
        ("a,1,1\na,2,1\nb,1,1", "a,x\nb,x", "at least two different"),
        ("a,1,1\na,2,1\nb,1,1", "a,x\nb,y", "enough for training"),
        ("a,1,1\na,2,1\nb,1,1", "a,\nb,", "no value"),
    ],
)
def test_unusable_nodes_and_graphs_get_one_line(tmp_path, nodes, graphs, said):
    (tmp_path / "e.csv").write_text("graph,source,target\na,1,2\n")
    (tmp_path / "g.csv").write_text(f"graph,target\n{graphs}\n")
    (tmp_path / "n.csv").write_text(f"graph,node,age\n{nodes}\n")
    options = {"edges": tmp_path / "e.csv", "graphs": tmp_path / "g.csv", "nodes": tmp_path / "n.csv"}
    refused({**options, "output": tmp_path / "out"}, said, tmp_path)


FILES = {
    "a file that is missing": ("graph_indicator", None, "graph_indicator"),
    "no labels": ("graph_labels", None, "graph labels or graph attributes"),
    "labels of other graphs": ("graph_labels", "1\n2\n", "2 lines"),
    "graphs out of order": ("graph_indicator", "2\n1\n", "another order"),
    "a word": ("node_attributes", "one\n", "line 1"),
    "a fraction": ("A", "1.5, 2\n", "whole numbers"),
    "one number": ("A", "1\n2\n", "two node numbers"),
    "a self-loop": ("A", "1, 1\n", "self-loop"),
    "a node that is not there": ("A", "1, 99999\n", "not there"),
    "too few node labels": ("node_labels", "1\n", "1 lines"),
    "an empty file": ("A", "", "empty"),
}


@pytest.mark.parametrize("fault", FILES)
def test_unusable_tudatasets_get_one_line(graphs, tmp_path, fault):
    part, text, said = FILES[fault]
    folder = write_tudataset(graphs, tmp_path / "TOY")
    path = folder / f"TOY_{part}.txt"
    path.unlink()
    if text is not None:
        path.write_text(text)
    if part == "A":
        (folder / "TOY_edge_labels.txt").unlink()
    refused({"tudataset": folder, "output": tmp_path / "out"}, said, tmp_path)


def test_a_folder_without_a_data_set_and_a_full_output_are_refused(graphs, tmp_path):
    refused({"tudataset": tmp_path / "none"}, "a folder with", tmp_path)
    (tmp_path / "empty").mkdir()
    refused({"tudataset": tmp_path / "empty"}, "exactly one data set", tmp_path)
    files = write_csv(graphs, tmp_path)
    refused({**files, "output": tmp_path}, "new or empty", tmp_path)
    files["graphs"].write_text("graph,target\n" + "".join(f"g{n},{n * 1.5}\n" for n in range(30)))
    refused({**files, "scenario": "shots:3"}, "clean or noise", tmp_path)
    files["graphs"].write_text("graph,target\n" + "".join(f"g{n},k{n}\n" for n in range(30)))
    refused(files, "--graphs graphs.csv: column target: got 30 classes, expected at most 20", tmp_path)
    refused({**files, "task": "numbers"}, "--graphs graphs.csv line 2: target: got k0", tmp_path)


@needs_rdkit
def test_smiles_that_are_none_get_one_line(tmp_path):
    (tmp_path / "m.csv").write_text("smiles,target\nCC,1\nC1CC,2\n")
    refused({"smiles": tmp_path / "m.csv", "output": tmp_path / "out"}, "line 3: smiles", tmp_path)


@pytest.mark.parametrize(("low", "high"), [(0.0, 2.85), (0.0, 84.3), (-2.0, 9.999), (0.0, 0.0), (0.0, 1e-7)])
def test_axes_have_a_few_round_numbers(low, high):
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low <= value <= high + 1e-12 for value in found)


def test_targets_with_decimal_commas_are_no_classes():
    with pytest.raises(InputError, match=r"^--graphs g.csv line 2: y: got 1,5, .*decimal comma"):
        to_targets(["1,5", "2,5", ""], task="auto", where="--graphs g.csv", column="y")
