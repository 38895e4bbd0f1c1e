"""`apply simplicial-closure` on the user's own data, good and bad."""

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.methods.simplicial_closure import apply
from livepapers.tasks.hypergraph_models import planted_groups
from livepapers.tasks.hypergraphs import TemporalSimplices, write_scholp


@pytest.fixture(scope="module")
def world():
    return planted_groups(numpy_generator(5, "apply"), groups=12, events=700, noise=0.6)


def write_csv(simplices: TemporalSimplices, path: Path) -> Path:
    rows = [f"{time},{';'.join(simplices.labels[n] for n in nodes)}\n" for nodes, time in simplices]
    path.write_text("time,members\n" + "".join(rows))
    return path


def write_repository(simplices: TemporalSimplices, folder: Path) -> Path:
    """A git history whose commits are the simplices."""
    folder.mkdir()
    subprocess.run(["git", "-C", str(folder), "init", "-q"], check=True)
    stream = []
    for index, (nodes, time) in enumerate(simplices):
        stream.append(
            f"commit refs/heads/main\ncommitter t <t@t> {1_600_000_000 + time * 60 + index % 60} +0000\ndata 1\nx\n"
        )
        stream += [f"M 100644 inline src/{simplices.labels[n]}.py\ndata {len(str(index))}\n{index}\n" for n in nodes]
    stream.append("commit refs/heads/main\ncommitter t <t@t> 1700000000 +0000\ndata 1\nx\nD src/0.py\n")
    done = subprocess.run(
        ["git", "-C", str(folder), "fast-import", "--quiet"], input="".join(stream).encode(), check=False
    )
    assert done.returncode == 0
    subprocess.run(["git", "-C", str(folder), "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
    return folder


def test_the_three_sources_of_one_history_give_one_answer(world, tmp_path):
    write_scholp(world, tmp_path / "toy")
    one = apply(sets=write_csv(world, tmp_path / "sets.csv"), top=5)
    two = apply(hypergraph=tmp_path / "toy", top=5)
    assert one.tables["Backtest"] == two.tables["Backtest"]
    assert one.tables["Likely to meet next"] == two.tables["Likely to meet next"]
    assert one.headline == two.headline


def test_a_git_history_recommends_files_that_still_exist(world, tmp_path):
    made = apply(git=write_repository(world, tmp_path / "repository"), top=30)
    rows = made.tables["Likely to meet next"]
    assert len(rows) == 30
    assert [row["rank"] for row in rows] == list(range(1, 31))
    named = {row[column] for row in rows for column in "abc"}
    assert all(str(name).startswith("src/") for name in named)
    assert "src/0.py" not in named
    scores = [float(str(row["score"])) for row in rows]
    assert scores == sorted(scores, reverse=True)
    harmonic = next(row for row in made.tables["Backtest"] if row["score"] == "harmonic")
    assert float(str(harmonic["relative"])) > 1.2


def test_the_output_folder_holds_what_is_announced(world, tmp_path):
    made = apply(sets=write_csv(world, tmp_path / "sets.csv"), output=tmp_path / "out")
    assert made.output is not None
    assert made.output == tmp_path / "out"
    assert {path.name for path in made.output.iterdir()} == set(made.files)
    with (made.output / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["a"] for row in rows] == [row["a"] for row in made.tables["Likely to meet next"]]
    assert json.loads((made.output / "application.json").read_text())["headline"] == made.headline


@pytest.mark.parametrize("score", ["logistic", "simplicial_ppr", "katz"])
def test_any_score_can_rank(world, tmp_path, score):
    made = apply(sets=write_csv(world, tmp_path / "sets.csv"), score=score, top=3)
    assert len(made.tables["Likely to meet next"]) == 3
    assert made.headline.startswith(score)


def test_the_backtest_shows_every_score_with_its_interval_and_the_random_floor(world, tmp_path):
    rows = apply(sets=write_csv(world, tmp_path / "sets.csv")).tables["Backtest"]
    values = [float(str(row["relative"])) for row in rows]
    assert values == sorted(values, reverse=True)
    assert {"random", "harmonic", "logistic"} <= {str(row["score"]) for row in rows}
    for row in rows:
        assert float(str(row["low"])) <= float(str(row["relative"])) <= float(str(row["high"]))


def test_large_sets_are_left_out_and_said(world, tmp_path):
    path = write_csv(world, tmp_path / "sets.csv")
    with path.open("a") as file:
        file.write("500," + ";".join(map(str, range(26))) + "\n")
    assert any("left out" in note for note in apply(sets=path).notes)


def circle(folder):
    (folder / "circle").symlink_to(folder / "circle")
    return folder / "circle"


OPEN = "1,a;b\n2,b;c\n3,a;c\n4,a;d\n"
FAULTS = {
    "no source": (lambda folder: {}, "exactly one of"),
    "two sources": (lambda folder: {"git": folder, "sets": folder / "sets.csv"}, "exactly one of"),
    "top of 0": (lambda folder: {"top": 0}, "--top"),
    "huge top": (lambda folder: {"top": 10**9}, "--top"),
    "unknown score": (lambda folder: {"score": "harmonik"}, "score: got harmonik, expected one of"),
    "split as a share": (lambda folder: {"split": 0.8}, "percent, not a share"),
    "split of 100": (lambda folder: {"split": 100.0}, "--split"),
    "split that is no number": (lambda folder: {"split": float("nan")}, "--split"),
    "output with files": (lambda folder: {"output": folder}, "it holds files"),
    "output is a file": (lambda folder: {"output": folder / "sets.csv"}, "a file of that name"),
    "missing csv": (lambda folder: {"sets": folder / "nothing.csv"}, "an existing file"),
    "csv is a folder": (lambda folder: {"sets": folder}, "a readable file"),
    "missing prefix": (lambda folder: {"sets": None, "hypergraph": folder / "nothing"}, "an existing file"),
    "prefix of an empty folder": (lambda folder: {"sets": None, "hypergraph": folder}, "a prefix"),
    "no repository": (lambda folder: {"sets": None, "git": folder}, "--git"),
    "missing repository": (lambda folder: {"sets": None, "git": folder / "nothing"}, "a folder"),
    "circle of links": (lambda folder: {"sets": circle(folder)}, "too many levels"),
    "too long a name": (lambda folder: {"sets": folder / ("x" * 300)}, "too long"),
    "too long a prefix": (lambda folder: {"sets": None, "hypergraph": folder / ("x" * 300)}, "too long"),
    "too long a repository": (lambda folder: {"sets": None, "git": folder / ("x" * 300)}, "a folder"),
    "repository is a file": (lambda folder: {"sets": None, "git": folder / "sets.csv"}, "a folder"),
}
CONTENTS = {
    "empty": ("", "the file is empty"),
    "binary": ("time,members\n\0", "binary"),
    "wrong separator": ("time;members\n1;a b\n", "separated by semicolons"),
    "missing column": ("when,members\n1,a;b\n", "column time"),
    "header only": ("time,members\n", "at least one row"),
    "no member": ("time,members\n1,;;\n", "no name"),
    "bad time": ("time,members\n1,a;b\nlater,b;c\n", "line 3: time"),
    "huge time": (f"time,members\n{2**70},a;b\n", "time"),
    "nan time": ("time,members\n1,a;b\nnan,b;c\n", "line 3: time: got nan"),
    "fraction of a second": ("time,members\n1.5,a;b\n2,b;c\n", "line 2: time: got 1.5"),
    "year out of range": ("time,members\n99999-01-01,a;b\n2020-01-01,b;c\n", "line 2: time"),
    "numbers and dates": ("time,members\n1,a;b\n2020-01-01,b;c\n", "mixed"),
    "members in columns": ("time,members\n1,a,b\n2,b,c\n", "header"),
    "one line longer": ("time,members\n1,a;b\n2,b;c,d\n", "Expected 2 fields in line 3"),
    "a column twice": ("time,members,members\n1,a;b,c\n", "each column once"),
    "unclosed quote": ('time,members\n1,a;b\n2,"b;c\n', "EOF inside string"),
    "sets of one": ("time,members\n1,a\n2,b\n3,c\n4,a\n5,b\n", "there are none"),
    "one time only": ("time,members\n1,a;b\n1,b;c\n1,a;c\n", "no new simplices"),
    "no triangle": ("time,members\n1,a;b\n2,b;c\n3,c;d\n4,a;b\n5,a;c\n", "there are none"),
    "nothing closes": ("time,members\n" + OPEN, "none of 1 close"),
    "everything closes": ("time,members\n" + OPEN + "5,a;b;c\n", "all of 1 close"),
    "only large sets": ("time,members\n1," + ";".join(map(str, range(30))) + "\n", "at most 25"),
}


def refused(options, said):
    before = {path: path.lstat().st_mtime_ns for path in Path.cwd().rglob("*")}
    with pytest.raises(InputError, match=said) as caught:
        apply(**options)
    assert "\n" not in str(caught.value)
    assert {path: path.lstat().st_mtime_ns for path in Path.cwd().rglob("*")} == before


@pytest.mark.parametrize("fault", FAULTS)
def test_unusable_options_get_one_line_and_write_nothing(world, tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    make, said = FAULTS[fault]
    path = write_csv(world, tmp_path / "sets.csv")
    asked = make(tmp_path)
    named = {} if fault in {"no source", "two sources"} else {"sets": path, "output": tmp_path / "out"}
    refused({**named, **asked}, said)


@pytest.mark.parametrize("fault", CONTENTS)
def test_unusable_tables_get_one_line_and_write_nothing(tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    text, said = CONTENTS[fault]
    (tmp_path / "sets.csv").write_text(text)
    refused({"sets": tmp_path / "sets.csv", "output": tmp_path / "out"}, said)


def test_text_that_is_not_utf8_gets_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets.csv").write_bytes(b"time,members\n1,\xff;b\n")
    refused({"sets": tmp_path / "sets.csv"}, "UTF-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_write_permission_is_said_before_any_work(world, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="writable"):
        apply(sets=tmp_path / "sets.csv", output=tmp_path / "out")


def test_applying_twice_gives_the_same_bytes(world, tmp_path):
    path = write_csv(world, tmp_path / "sets.csv")
    one, two = apply(sets=path), apply(sets=path)
    assert json.dumps(one.to_json()) == json.dumps(two.to_json())
    assert np.isfinite([float(str(row["ap"])) for row in one.tables["Backtest"]]).all()
