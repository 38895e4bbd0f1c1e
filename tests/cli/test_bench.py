"""`bench` lets ours and the peers take turns, and says plainly where we are not ahead."""

import json
import sys
from pathlib import Path

import pytest

from cli.conftest import Cli
from livepapers.cli import bench
from livepapers.papers import catalogue

SCRIPT = """\
import json, pathlib
log = pathlib.Path("log.txt")
log.write_text((log.read_text() if log.exists() else "") + "{who} ")
for figure, value, better in {figures!r}:
    print(json.dumps({{"figure": figure, "value": value, "unit": "1/s", "better": better, "who": "{who}",
                      "versions": {{"{who}": "1.0"}}, "check": 42}}))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Benchmarks of ours and of one peer; the peer's interpreter is this one."""
    write(tmp_path / "ours.py", "livepapers", [("speed", 20.0, "higher"), ("wait", 8.0, "lower")])
    write(tmp_path / "peer_other.py", "other", [("speed", 5.0, "higher"), ("wait", 2.0, "lower")])
    monkeypatch.setattr(bench, "benchmark_folder", lambda slug: tmp_path)
    monkeypatch.setattr(bench, "peer_python", lambda folder, script, python: Path(sys.executable))
    return tmp_path


def write(path: Path, who: str, figures: list[tuple[str, float, str]]) -> None:
    path.write_text(SCRIPT.format(who=who, figures=figures))


def test_ours_and_the_peer_take_turns(cli: Cli, folder: Path):
    cli("bench", "hdpo", "--repeats", "2", "--json")
    assert (folder / "log.txt").read_text() == "livepapers other livepapers other "


def test_a_ratio_above_one_means_ahead_whichever_way_is_better(cli: Cli, folder: Path):
    found = cli("bench", "hdpo", "--repeats", "1", "--json").json
    rows = {row["figure"]: row for row in found["rows"]}
    assert (rows["speed"]["ratio"], rows["speed"]["ahead"]) == (4.0, True)
    assert (rows["wait"]["ratio"], rows["wait"]["ahead"]) == (0.25, False)
    assert found["versions"] == {"livepapers": {"livepapers": "1.0"}, "other": {"other": "1.0"}}
    assert found["machine"]["cores"] >= 1


def test_what_is_behind_is_said_plainly(cli: Cli, folder: Path):
    shown = cli("bench", "hdpo", "--repeats", "1").out
    assert "not ahead in wait: other is 4 times better" in shown
    assert "ahead in every figure" not in shown
    write(folder / "ours.py", "livepapers", [("speed", 20.0, "higher")])
    write(folder / "peer_other.py", "other", [("speed", 5.0, "higher")])
    assert "ahead in every figure that was compared" in cli("bench", "hdpo", "--repeats", "1").out


def test_the_median_counts():
    figure = bench.Figure("speed", "1/s", "higher", {"livepapers": [1.0, 9.0, 2.0], "other": [4.0, 1.0, 1.0]})
    (row,) = figure.rows("livepapers")
    assert (row["ours"], row["theirs"], row["ratio"]) == (2.0, 1.0, 2.0)


def test_save_keeps_the_figures(cli: Cli, folder: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path)
    cli("bench", "hdpo", "--repeats", "1", "--save")
    assert json.loads((tmp_path / "results" / "benchmarks" / "hdpo.json").read_text())["slug"] == "hdpo"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise SystemExit('no luck')", "expected exit status 0 (status 1: no luck)"),
        ("print('hello')", "expected at least one JSON line"),
        ('print(\'{"figure": "speed"}\')', "value is missing"),
        ("print('{broken')", "expected a JSON line"),
    ],
)
def test_a_script_that_misbehaves_is_one_line(cli: Cli, folder: Path, text: str, expected: str):
    (folder / "peer_other.py").write_text(text)
    outcome = cli("bench", "hdpo", "--repeats", "1")
    assert outcome.status == 2
    assert expected in outcome.err


def test_unknown_peers_and_papers_without_benchmarks_are_refused(cli: Cli, folder: Path, monkeypatch):
    assert "expected one of other" in cli("bench", "hdpo", "--peers", "nobody").err
    monkeypatch.undo()
    outcome = cli("bench", "roguelike-npc")
    assert outcome.status == 2
    assert "expected one with benchmarks" in outcome.err


@pytest.mark.slow
def test_a_peer_gets_an_environment_of_its_own_once(tmp_path: Path):
    (tmp_path / "requirements.txt").write_text("")
    script = tmp_path / "peer_other.py"
    script.write_text("import json, sys\nprint(json.dumps({'prefix': sys.prefix}))")
    python = bench.peer_python(tmp_path, script, python=Path(sys.executable))
    made = python.stat().st_ctime_ns
    assert bench.peer_python(tmp_path, script, python=Path(sys.executable)) == python
    assert python.stat().st_ctime_ns == made
    (line,) = bench.run_script(bench.Contestant("other", script, python))
    assert Path(line["prefix"]) == python.parent.parent
