"""`livepapers apply fishery` on users' models, good and bad."""

import csv
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import torch
from click.testing import CliRunner

from livepapers.baselines import harvest_rules
from livepapers.cli.main import group
from livepapers.core import artifact, loop
from livepapers.core.errors import InputError
from livepapers.methods.fishery import application as module
from livepapers.methods.fishery import apply, comparing
from livepapers.methods.fishery.control_rules import Slope
from livepapers.methods.fishery.learner import Config
from livepapers.tasks.ecosystem import EcosystemSimulator, Episodes
from livepapers.tasks.ecosystem_model import Ecosystem

TWO = """
species:
  - {name: hake & co, start: 0.5, spread: 0.02}
  - {name: seal, start: 0.7, growth: decline, rate: 0.1}
predation:
  - {predator: seal, prey: hake & co, rate: 0.3, half_saturation: 0.3, gain: 0.2}
fisheries:
  - {species: hake & co, price: 2.0}
horizon: 12
"""
ONE = "species:\n  - {name: X, start: 0.7, noise: 0.05}\nfisheries:\n  - {species: X}\nhorizon: 12\n"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real thing with small budgets."""
    monkeypatch.setattr(module, "Config", Config.smoke)
    monkeypatch.setattr(module, "GRID", {1: 7, 2: 3})
    monkeypatch.setattr(module, "TUNING_EPISODES", 5)
    monkeypatch.setattr(module, "GENERATIONS", 2)


def model_file(folder: Path, text: str = TWO) -> Path:
    path = folder / "model.yml"
    path.write_text(text)
    return path


def test_a_model_gives_rules_a_comparison_curves_and_a_table(tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = apply(model_file(tmp_path), updates=2, episodes=20, output=output)
    assert sorted(path.name for path in output.iterdir()) == sorted(done.files)
    assert not (tmp_path / "out.partial").exists()
    names = [row["rule"] for row in done.tables[module.COMPARISON]]
    assert names == ["learned", "learned, smoothed", "tuned mortality", "tuned escapement", "tuned linear",
                     "textbook mortality"]  # fmt: skip
    assert "learned" in done.headline
    trade_off = {row["rule"]: row["reward"] for row in done.tables[module.TRADE_OFF]}
    by_rule = {row["rule"]: row["reward"] for row in done.tables[module.COMPARISON]}
    assert trade_off["1 x tuned mortality"] == by_rule["tuned mortality"]
    picture = ET.fromstring((output / "control_rule.svg").read_text())  # well-formed, the ampersand escaped
    assert picture.tag.endswith("svg")
    assert "http" not in (output / "control_rule.svg").read_text().replace("http://www.w3.org/2000/svg", "")


def test_the_table_is_what_the_saved_smoothed_rule_says(tmp_path: Path) -> None:
    output = tmp_path / "out"
    apply(model_file(tmp_path), updates=1, episodes=5, output=output)
    with (output / "smoothed_rule.csv").open() as file:
        header, *rows = list(csv.reader(file))
    assert header == ["hake & co", "seal", "catch share of hake & co"]
    values = torch.tensor([[float(cell) for cell in row] for row in rows])
    rule = artifact.load_network(output / "smoothed")
    with torch.no_grad():
        assert torch.allclose(rule(values[:, :2] / 4.0), values[:, 2:], atol=2e-3)
    learned = artifact.load_network(output)
    assert learned(values[:3, :2] / 4.0).shape == (3, 1)
    assert artifact.load_network(output / "tuned")(values[:3, :2] / 4.0).shape == (3, 1)
    task = artifact.load(output).spaces["task"]
    assert isinstance(task, dict)
    assert task["name"] == "ecosystem"
    assert Ecosystem.from_json(task["arguments"]["model"]) == Ecosystem.from_file(tmp_path / "model.yml")  # type: ignore[index, call-overload]


def test_curves_are_of_the_species_that_moves_the_rule_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of the last one in the file, which nobody catches, eats or competes with."""
    lonely = TWO.replace("predation:", "  - {name: jellyfish, start: 0.5}\npredation:")

    def moved(rule: Any, model: Ecosystem, **_: Any) -> Any:
        del rule, model
        return torch.ones(3), {"seal": Slope(-0.1, 0.8), "jellyfish": Slope(0.5, 0.1)}

    monkeypatch.setattr(module.control_rules, "threshold_slopes", moved)
    apply(model_file(tmp_path, lonely), updates=1, episodes=5, output=tmp_path / "out")
    picture = (tmp_path / "out" / "control_rule.svg").read_text()
    assert "usual seal" in picture
    assert "jellyfish" not in picture


def test_python_may_give_files_and_folders_as_text(tmp_path: Path) -> None:
    model: Any = str(model_file(tmp_path, ONE))
    output: Any = str(tmp_path / "out")
    done = apply(model, updates=1, episodes=5, output=output)
    assert done.output == tmp_path / "out"
    assert done.tables == apply(Path(model), updates=1, episodes=5).tables


def test_one_species_has_nobody_to_look_at(tmp_path: Path) -> None:
    done = apply(model_file(tmp_path, ONE), updates=1, episodes=5)
    assert module.MOVES not in done.tables
    assert "tuned linear" not in [row["rule"] for row in done.tables[module.COMPARISON]]
    assert done.output is None


def test_a_model_that_dies_out_unfished_is_said_to(tmp_path: Path) -> None:
    doomed = ONE.replace("noise: 0.05", "noise: 0.0, growth: decline, rate: 0.5")
    done = apply(model_file(tmp_path, doomed), updates=1, episodes=5)
    assert any("no rule can save" in note for note in done.notes)


def test_other_episodes_choose_the_best_than_those_that_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the episodes that choose, textbook mortality is best by far; on the fresh ones it is worst."""
    asked: list[str] = []

    def compare(simulator: EcosystemSimulator, rules: Any, *, name: str, **given: Any) -> dict[str, Episodes]:
        asked.append(name)
        found = comparing.compare(simulator, rules, name=name, **given)
        shift = 1e3 if name == "choosing" else -1e3
        worst = found["textbook mortality"]
        return {**found, "textbook mortality": worst._replace(reward=worst.reward + shift)}

    monkeypatch.setattr(module, "compare", compare)
    done = apply(model_file(tmp_path), updates=1, episodes=5)
    assert asked == ["choosing", "fresh"]
    assert "than the best rule that is not learned (textbook mortality: -" in done.headline
    assert "other episodes chose both" in done.headline
    assert "tuned rules" not in done.headline  # textbook mortality is not tuned


def test_a_listener_sees_the_tuning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harvest_rules, "LANES", 10)  # two rules at a time
    seen: dict[str, int] = {}
    with loop.watching(lambda place: seen.update({place.name: place.step})):
        apply(model_file(tmp_path), updates=1, episodes=5)
    assert seen["tuning mortality"] == seen["tuning escapement"] == 4
    assert seen["tuning linear"] >= 1
    assert seen["comparing rules"] == 11


BAD_OPTIONS = {
    "no updates": ({"updates": 0}, "updates: got 0"),
    "too many updates": ({"updates": 10**9}, "updates"),
    "one episode": ({"episodes": 1}, "episodes: got 1"),
    "negative seed": ({"seed": -1}, "seed: got -1"),
}


@pytest.mark.parametrize("name", list(BAD_OPTIONS))
def test_bad_options_get_one_line_and_write_nothing(name: str, tmp_path: Path) -> None:
    options, message = BAD_OPTIONS[name]
    with pytest.raises(InputError, match=message):
        apply(model_file(tmp_path), **options, output=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.yml"]


def test_bad_places_and_models_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="existing file"):
        apply(tmp_path / "none.yml", output=tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("mine")
    with pytest.raises(InputError, match="holds files"):
        apply(model_file(tmp_path), output=tmp_path / "full")
    wild = ONE.replace("noise: 0.05", "growth: cycle, rate: 1000000, period: 1000000")
    with pytest.raises(InputError, match="not finite"):
        apply(model_file(tmp_path, wild), updates=1, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(group, ["apply", "fishery", "--model", str(model_file(tmp_path, TWO + "horizon: 3\n"))])
    assert done.exit_code != 0
