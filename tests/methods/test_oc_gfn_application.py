"""`apply oc-gfn`: models and rewards of a user's own, what is written and refused, stopping and going on (oc-gfn)."""

import csv
import json
import math
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from livepapers.core import artifact
from livepapers.core.errors import CorruptFileError, InputError, Interrupted, MissingExtraError
from livepapers.methods.oc_gfn import OutcomeConditionedGFlowNet, application, apply, load_model

GRID: dict[str, Any] = {"environment": "grid", "size": 3, "updates": 3}
REWARDS = "x,y,corner,flat\n0,0,0,1\n2,2,10,1\n1,2,3.5,1\n"


@pytest.fixture
def rewards(tmp_path: Path) -> Path:
    path = tmp_path / "rewards.csv"
    path.write_text(REWARDS, encoding="utf-8")
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    apply(**GRID, output=tmp_path / "model")
    return tmp_path / "model"


def test_a_model_is_trained_once_and_its_rewards_come_later(model: Path, rewards: Path, tmp_path: Path) -> None:
    assert {path.name for path in model.iterdir()} == {
        "artifact.json", "weights.safetensors", "environment.json", "application.json",
    }  # fmt: skip
    made = apply(pretrained=model, rewards=rewards, samples=40, output=tmp_path / "out")
    assert [row["reward"] for row in made.tables["Rewards"]] == ["corner", "flat"]
    assert made.tables["Best objects"][0]["reward"] == "corner"
    assert set(made.files) == {path.name for path in (tmp_path / "out").iterdir()}
    rows = list(csv.DictReader((tmp_path / "out" / "samples.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 80
    values = {"2 2": 10.0, "1 2": 3.5}  # all others have the floor: a thousandth of the largest
    for row in rows[:40]:
        assert float(row["value"]) == pytest.approx(values.get(row["object"], 0.01))
    _, first = load_model(model)
    _, again = load_model(tmp_path / "out")
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name])


def test_targets_are_met_exactly_and_said_to_be(model: Path, rewards: Path) -> None:
    made = apply(pretrained=model, rewards=rewards, samples=20)
    corner = made.tables["Rewards"][0]
    # 10, 3.5 and seven cells of 0.01: the mean of the target is sum r^2 / sum r
    assert corner["target's"] == pytest.approx((100 + 3.5**2 + 7e-4) / (13.5 + 0.07))
    assert 0.0 <= float(corner["total variation"] or 0) <= 1.0
    assert made.output is None


def test_a_badly_trained_model_is_said_to_be_one(model: Path, rewards: Path) -> None:
    made = apply(pretrained=model, rewards=rewards, samples=5)
    assert made.headline.startswith("NOT well pre-trained yet")
    assert "--updates" in made.notes[0]


@pytest.mark.parametrize("mode", ["exact", "amortised"])
def test_a_distance_that_is_known_and_large_stands_in_the_headline(
    mode: Any, model: Path, rewards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OutcomeConditionedGFlowNet, "success", lambda *_, **__: 1.0)
    further: dict[str, Any] = {"adapt_updates": 3} if mode == "amortised" else {}
    made = apply(pretrained=model, rewards=rewards, samples=5, mode=mode, **further)
    distances = {str(row["reward"]): float(row["total variation"] or 0) for row in made.tables["Rewards"]}
    worst = max(distances, key=lambda name: distances[name])
    assert min(distances.values()) > 0.1
    said = f"FAR from the target (total variation {distances[worst]:.2f} for {worst} and 1 more): 100.0% of drawn"
    assert made.headline.startswith(said)
    assert ("--adapt-updates" in made.notes[0]) == (mode == "amortised")
    monkeypatch.setattr(application, "FAR", 1.0)
    assert apply(pretrained=model, rewards=rewards, samples=5).headline.startswith("100.0%")


def needle(texts: list[str]) -> list[float]:
    return [1.0 if text == "10110011" else 0.0 for text in texts]


def ones(texts: list[str]) -> list[float]:
    return [8.0 ** text.count("1") for text in texts]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"size": 8, "outcomes": 16, "reward_from": needle},
            r"^FAR from the target .total variation at least 0\.\d\d for",
        ),
        (
            {"size": 20, "outcomes": 4, "reward_from": ones},
            r"^PERHAPS FAR from the target .a sample heeds about \S+ of 4 outcomes for",
        ),
    ],
)
def test_outcomes_that_are_too_few_for_a_reward_stand_in_the_headline(
    given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OutcomeConditionedGFlowNet, "success", lambda *_, **__: 1.0)
    made = apply(environment="bits", updates=2, mode="mc", samples=200, **given)
    assert re.search(said, made.headline)
    few = given["size"] == 8
    better = "--mode exact or amortised" if few else "--mode amortised"
    assert ("more --outcomes, or " + better) in made.notes[0]
    assert made.notes[-1].startswith(f"mc only comes near the target: each sample weighs {given['outcomes']} outcomes")
    assert made.notes[-1].endswith(f"{better}, come nearer.")
    row = made.tables["Rewards"][0]
    assert (row["total variation"], row["at least"] is not None) == (None, few)


def test_a_large_table_knows_its_target_and_how_far_samples_are_from_it(tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    table.write_text(f"string,r\n{'01' * 10},1000\n{'10' * 10},3000\n", encoding="utf-8")
    made = apply(
        environment="bits", size=20, updates=2, rewards=table, floor=1e-9, mode="amortised", adapt_updates=2,
        samples=100,
    )  # fmt: skip
    row, others = made.tables["Rewards"][0], 2**20 - 2
    total = 4000 + others * 3e-6
    assert row["target's"] == pytest.approx((1e6 + 9e6 + others * 9e-12) / total)
    share = others * 3e-6 / total
    assert row["at least"] == pytest.approx(1.0 - share - math.sqrt(math.log(40) / 200))
    assert "FAR from the target (total variation at least 0.86 for r)" in made.headline


def test_as_many_outcomes_as_there_are_weigh_all(model: Path, rewards: Path) -> None:
    made = apply(pretrained=model, rewards=rewards, mode="mc", samples=20)
    exact = apply(pretrained=model, rewards=rewards, samples=20)
    for one, other in zip(made.tables["Rewards"], exact.tables["Rewards"], strict=True):
        assert one["total variation"] == pytest.approx(other["total variation"], abs=0.02)
    assert made.notes[-1] == "Rewards are relative: the target gives an object the probability reward / sum of rewards."


def test_what_pre_training_took_is_told_again_by_who_draws_later(rewards: Path, tmp_path: Path) -> None:
    first = apply(**{**GRID, "updates": 9}, explorer="gafn", output=tmp_path / "one")
    made = apply(pretrained=tmp_path / "one", rewards=rewards, samples=5, seed=4, output=tmp_path / "two")
    kept = [artifact.load(tmp_path / name).made_by for name in ("one", "two")]
    assert kept[0]["work"] == kept[1]["work"]
    assert int(kept[0]["work"]["trajectories"]) == 9 * 32 * 2  # type: ignore[index, call-overload]
    assert made.tables["Pre-training"][-1] == first.tables["Pre-training"][-1]
    assert str(made.tables["Pre-training"][-1]["what"]).startswith("different objects among 512 of the explorer's")
    described = artifact.load(tmp_path / "one")
    without = {key: value for key, value in described.made_by.items() if key != "explored"}
    (tmp_path / "old").mkdir()
    artifact.save(
        tmp_path / "old", replace(described, made_by=without),
        weights=artifact.load_network(tmp_path / "one").state_dict(),
        files={"environment.json": (tmp_path / "one" / "environment.json").read_text(encoding="utf-8")},
    )  # fmt: skip
    older = apply(pretrained=tmp_path / "old", rewards=rewards, samples=5)
    assert [row["what"] for row in older.tables["Pre-training"]] == [
        row["what"] for row in made.tables["Pre-training"][:-1]
    ]


def test_a_function_may_be_given_in_python(model: Path) -> None:
    made = apply(pretrained=model, reward_from=needle_of_cells, samples=10)  # type: ignore[arg-type]
    assert made.tables["Rewards"][0]["reward"] == f"{__name__}:needle_of_cells"
    for wrong, said in (
        (3, "got 3, expected module:function, or a function"),
        (lambda cells: [1.0], "got .1.0., expected 9 numbers, one an object"),
        (lambda cells: 1 / 0, "raised ZeroDivisionError"),
    ):
        with pytest.raises(InputError, match=f"^--reward-from: .*{said}"):
            apply(pretrained=model, reward_from=wrong, samples=10)  # type: ignore[arg-type]


def needle_of_cells(cells: list[str]) -> list[float]:
    return [float(cell == "2 2") for cell in cells]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "nope"}, "^mode: got nope, expected one of exact, mc, amortised$"),
        ({"environment": "gird"}, "^environment: got gird, expected one of grid, bits, rna, strings$"),
        ({"seed": -1}, "^--seed: got -1, expected a whole number from 0"),
        ({"target": 3}, "^--target: got 3, expected text"),
        ({"alphabet": 3}, "^--alphabet: got 3, expected text"),
    ],
)
def test_python_gets_one_line_for_what_a_command_line_could_not_say(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        apply(**{**GRID, "reward_from": needle_of_cells, "samples": 5, **given})


@pytest.mark.parametrize(("mode", "given"), [("mc", {"outcomes": 8}), ("amortised", {"adapt_updates": 3})])
def test_other_modes_sample_the_same_rewards(
    mode: Any, given: dict[str, Any], model: Path, rewards: Path, tmp_path: Path
) -> None:
    made = apply(pretrained=model, rewards=rewards, mode=mode, samples=10, output=tmp_path / "out", **given)
    assert len(made.tables["Rewards"]) == 2
    if mode == "amortised":
        found = artifact.load(tmp_path / "out" / "adapted-1")
        assert found.architecture == "methods.oc_gfn:AmortisedNetworks"
        artifact.load_network(tmp_path / "out" / "adapted-2")


def test_rna_binds_to_targets(tmp_path: Path) -> None:
    pytest.importorskip("RNA")
    made = apply(environment="rna", size=4, target="GGGAAACUCGAUUCGC, AAGGCCUU", updates=2, samples=20)
    assert [row["reward"] for row in made.tables["Rewards"]] == ["GGGAAACUCGAUUCGC", "AAGGCCUU"]
    for row in made.tables["Best objects"]:
        assert set(str(row["object"])) <= set("ACGU")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "RNA", None)
    with pytest.raises(MissingExtraError, match=r"viennarna is not installed; run: pip install 'livepapers\[rna\]'"):
        apply(environment="rna", size=4, target="GGGAAACUCG", updates=1)


def test_bits_and_strings_take_texts(tmp_path: Path) -> None:
    table = tmp_path / "strings.csv"
    table.write_text("string,good\n0110,2\n1111,1\n", encoding="utf-8")
    made = apply(environment="bits", size=4, word=2, rewards=table, updates=2, samples=10)
    assert made.tables["Rewards"][0]["reward"] == "good"
    table.write_text("string,good\nABA,2\nBBB,1\n", encoding="utf-8")
    made = apply(environment="strings", size=3, alphabet="AB", rewards=table, updates=2, samples=10)
    assert all(set(str(row["object"])) <= {"A", "B"} for row in made.tables["Best objects"])


def test_a_function_of_ones_own_is_a_reward(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_reward_oc.py").write_text(
        "def good(cells):\n    return [float(c.split()[0]) for c in cells]\n"
        "def short(cells):\n    return [1.0]\n"
        "def below(cells):\n    return [-1.0 for _ in cells]\n"
        "def bad(cells):\n    raise ValueError('my own bug')\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    made = apply(pretrained=model, reward_from="my_reward_oc:good", samples=10)
    assert made.tables["Rewards"][0]["reward"] == "my_reward_oc:good"
    for name, message in (
        ("short", r"--reward-from: got \[1.0\], expected 9 numbers"),
        ("below", "--reward-from: got -1.0, expected a finite reward >= 0 .returned by my_reward_oc:below for"),
        ("bad", "--reward-from: my_reward_oc:bad raised ValueError: my own bug .line 8 of my_reward_oc.py"),
        ("none", "a function of"),
    ):
        with pytest.raises(InputError, match=message):
            apply(pretrained=model, reward_from=f"my_reward_oc:{name}", samples=10)


def test_the_floor_of_a_function_is_a_share_of_its_largest_reward(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small_reward_oc.py").write_text(
        "def small(cells):\n    return [1e-4 if c == '2 2' else 1e-6 if c != '0 0' else 1e-9 for c in cells]\n"
        "def nothing(cells):\n    return [0.0 for _ in cells]\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    made = apply(pretrained=model, reward_from="small_reward_oc:small", samples=200, output=tmp_path / "out")
    small, total = 1e-4 * 1e-3, 1e-4 + 7e-6 + 1e-7
    exact = (1e-4**2 + 7 * 1e-6**2 + small**2) / total
    assert made.tables["Rewards"][0]["target's"] == pytest.approx(exact)
    rows = list(csv.DictReader((tmp_path / "out" / "samples.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["object"]: row["floor"] for row in rows}.get("0 0", "below the floor") == "below the floor"
    assert {row["value"] for row in rows if not row["floor"]} <= {"0.0001", "1e-06"}
    assert any(note.endswith(f"the target gives such objects {small / total:.2g}.") for note in made.notes)
    with pytest.raises(InputError, match=r"^--reward-from: got 0 for all 9 objects, expected at least one reward"):
        apply(pretrained=model, reward_from="small_reward_oc:nothing", samples=10)


def test_a_function_of_too_many_objects_is_asked_about_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "many_reward_oc.py").write_text(
        "def ones(texts):\n    return [1e-5 * t.count('1') for t in texts]\n"
        "def nothing(texts):\n    return [0.0 for _ in texts]\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"environment": "bits", "size": 20, "updates": 2, "mode": "mc", "outcomes": 4}
    made = apply(**given, reward_from="many_reward_oc:ones", samples=5)
    assert 1e-5 < float(made.tables["Rewards"][0]["mean reward"] or 0) <= 2e-4
    with pytest.raises(InputError, match=r"got 0 for each of 4,096 objects, .* for objects drawn at random"):
        apply(**given, reward_from="many_reward_oc:nothing", samples=5)


def test_values_are_the_users_own_and_others_are_said_not_to_be(model: Path, tmp_path: Path) -> None:
    table = tmp_path / "nines.csv"
    table.write_text("x,y,r\n0,0,9\n2,2,10\n1,1,0.001\n", encoding="utf-8")
    made = apply(pretrained=model, rewards=table, samples=400, output=tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "samples.csv").read_text(encoding="utf-8").splitlines()))
    told = {row["object"]: (row["value"], row["floor"]) for row in rows}
    own = {"0 0": ("9.0", ""), "2 2": ("10.0", ""), "1 1": ("0.01", "below the floor")}
    assert len(told) > 3
    assert all(found == own.get(name, ("0.01", "not listed")) for name, found in told.items())
    assert {(row["object"], row["value"], row["floor"]) for row in made.tables["Best objects"][:2]} == {
        ("2 2", 10.0, ""), ("0 0", 9.0, ""),
    }  # fmt: skip
    count = sum(bool(row["floor"]) for row in rows)
    said = f"r: {count} of 400 samples are objects at the floor; the target gives such objects {0.07 / 19.07:.2g}."
    assert said in made.notes


def test_equal_seeds_write_equal_samples(rewards: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        apply(**GRID, rewards=rewards, samples=30, seed=7, output=tmp_path / name)
    assert (tmp_path / "one" / "samples.csv").read_bytes() == (tmp_path / "two" / "samples.csv").read_bytes()


def test_a_stopped_command_goes_on_and_ends_as_if_it_had_not_been_stopped(
    rewards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**GRID, "updates": 6, "rewards": rewards, "samples": 20}
    apply(**given, output=tmp_path / "whole")
    real = OutcomeConditionedGFlowNet.update

    def stop_at_3(self: OutcomeConditionedGFlowNet) -> dict[str, float]:
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self)

    monkeypatch.setattr(OutcomeConditionedGFlowNet, "update", stop_at_3)
    with pytest.raises(Interrupted, match=r"after step 3 of 6; the state was saved"):
        apply(**given, output=tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
    monkeypatch.setattr(OutcomeConditionedGFlowNet, "update", real)
    apply(**given, output=tmp_path / "cut")
    for name in ("samples.csv", "weights.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "cut.partial").exists()


def test_an_altered_model_is_refused(model: Path, rewards: Path) -> None:
    path = model / "environment.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, "size": 4}), encoding="utf-8")
    with pytest.raises(CorruptFileError, match="altered"):
        apply(pretrained=model, rewards=rewards)


MALFORMED: dict[str, tuple[bytes | None, dict[str, Any], str]] = {
    # name: (table, further arguments, what the message must hold)
    "no such file": (None, {}, "--rewards.*existing file"),
    "an empty file": (b"", {}, "--rewards.*empty"),
    "a binary file": (b"\x89PNG\r\n\0\0\r", {}, "--rewards.*binary"),
    "not UTF-8": (b"x,y,caf\xe9\n0,0,1\n", {}, "--rewards.*UTF-8"),
    "a header alone": (b"x,y,r\n", {}, "without rows"),
    "a missing coordinate": (b"x,r\n0,1\n", {}, "column y"),
    "no reward": (b"x,y\n0,0\n", {}, "a column of rewards beside x, y"),
    "a reward that is a word": (b"x,y,r\n0,0,high\n", {}, "line 2: r: got high"),
    "a reward that is not a number": (b"x,y,r\n0,0,nan\n", {}, "line 2: r.*finite"),
    "an infinite reward": (b"x,y,r\n0,0,1\n1,1,inf\n", {}, "line 3: r.*finite"),
    "a negative reward": (b"x,y,r\n0,0,1\n1,1,-2\n", {}, "line 3: r.*>= 0.*energy"),
    "rewards of 0 only": (b"x,y,r\n0,0,0\n", {}, "column r: got 0 everywhere"),
    "a reward left out": (b"x,y,r\n0,0,\n", {}, "line 2: r"),
    "a cell outside": (b"x,y,r\n0,3,1\n", {}, "line 2: x, y.*0 to 2"),
    "half a cell": (b"x,y,r\n0.5,1,1\n", {}, "line 2: x, y.*whole numbers"),
    "a cell twice": (b"x,y,r\n0,1,1\n2,2,1\n0,1,3\n", {}, "line 4: got 0 1.*once"),
    "a column twice": (b"x,y,r,r\n0,0,1,2\n", {}, "column r.*each column once|r.*once"),
    "more cells than columns": (b"x,y,r\n0,0,1,9\n", {}, "header"),
    "a cell outside below blank lines": (b"x,y,r\n\n0,0,1\n\n0,3,1\n", {}, "line 5: x, y.*0 to 2"),
    "a negative reward below blank lines": (b"x,y,r\n\n0,0,1\n\n1,1,-2\n", {}, "line 5: r.*>= 0"),
    "a cell twice with blank lines": (b"x,y,r\n\n0,1,1\n\n0,1,3\n", {}, "line 5: got 0 1.*once"),
    "a wrong string below blank lines": (
        b"string,r\n\nABC,1\n", {"environment": "strings", "alphabet": "AB"}, "line 3.*'C' is no",
    ),
    "pandas' index": (b",x,y,r\n0,0,0,1\n", {}, "a column without a name.*index=False"),
    "a floor of zero": (b"x,y,r\n0,0,1\n", {"floor": 0.0}, "--floor.*above 0"),
    "a floor of one": (b"x,y,r\n0,0,1\n", {"floor": 1.0}, "--floor.*below 1"),
    "no samples": (b"x,y,r\n0,0,1\n", {"samples": 0}, "--samples: got 0"),
    "no outcomes": (b"x,y,r\n0,0,1\n", {"outcomes": 0}, "--outcomes: got 0"),
    "no updates": (b"x,y,r\n0,0,1\n", {"updates": 0}, "updates"),
    "no environment": (b"x,y,r\n0,0,1\n", {"environment": None}, "--environment: got nothing"),
    "no size": (b"x,y,r\n0,0,1\n", {"size": None}, "--size: got nothing.*cells"),
    "a grid of one cell": (b"x,y,r\n0,0,1\n", {"size": 1}, "--size: got 1.*2 to 64"),
    "a huge grid": (b"x,y,r\n0,0,1\n", {"size": 1000}, "--size: got 1000"),
    "letters of a grid": (b"x,y,r\n0,0,1\n", {"alphabet": "AB"}, "--alphabet: got AB.*grid"),
    "words of a grid": (b"x,y,r\n0,0,1\n", {"word": 2}, "--word.*bits"),
    "strings without letters": (b"string,r\nA,1\n", {"environment": "strings"}, "--alphabet: got nothing"),
    "a letter twice": (b"string,r\nAAB,1\n", {"environment": "strings", "alphabet": "AA"}, "alphabet.*different"),
    "words that do not fit": (b"string,r\n011,1\n", {"environment": "bits", "size": 6}, "^--size: got 6, .*4.*--word"),
    "words of one's own that do not fit": (
        b"string,r\n011,1\n", {"environment": "bits", "size": 6, "word": 5}, "^--word: got 5.*divide --size 6",
    ),
    "a string too short": (b"string,r\nAB,1\n", {"environment": "strings", "alphabet": "AB"}, "line 2.*2 symbols"),
    "an unknown letter": (b"string,r\nABC,1\n", {"environment": "strings", "alphabet": "AB"}, "line 2.*'C' is no"),
    "DNA for RNA": (b"string,r\nACT,1\n", {"environment": "rna"}, "line 2.*'T' is no symbol"),
    "a target on a grid": (b"x,y,r\n0,0,1\n", {"target": "ACGU"}, "--target.*--environment rna"),
    "a target of DNA": (b"string,r\nACG,1\n", {"environment": "rna", "target": "ACGT"}, "--target.*U, not T"),
    "a target in lower case": (b"string,r\nACG,1\n", {"environment": "rna", "target": "acgu"}, "--target.*lower case"),
    "a target that is empty": (b"string,r\nACG,1\n", {"environment": "rna", "target": "ACGU,"}, "--target"),
    "a function without a module": (b"x,y,r\n0,0,1\n", {"reward_from": "good"}, "--reward-from.*module:function"),
    "a module that is not there": (b"x,y,r\n0,0,1\n", {"reward_from": "no_such_module_x:f"}, "--reward-from.*imported"),
    "too many to weigh": (
        b"string,r\nAAAAAAAAAAAAAAAAAAAA,1\n", {"environment": "strings", "alphabet": "AB", "size": 20},
        "--mode: got exact.*mc or amortised",
    ),
    "too many to name": (
        b"string,r\nA,1\n", {"environment": "strings", "alphabet": "ABCDEFGH", "size": 30}, "--size.*2.62 objects",
    ),
    "an unknown explorer": (b"x,y,r\n0,0,1\n", {"explorer": "luck"}, "explorer.*luck"),
    "a model that is not there": (
        b"x,y,r\n0,0,1\n", {"pretrained": Path("no-such-model"), "environment": None, "size": None, "updates": 2000},
        "--pretrained.*folder",
    ),
    "a model and an environment": (b"x,y,r\n0,0,1\n", {"pretrained": Path("model")}, "--environment.*beside"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_input_gets_one_clear_line_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    content, arguments, message = MALFORMED[name]
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "table.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        apply(**{**GRID, "rewards": path, "output": tmp_path / "out", **arguments})
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_a_command_that_would_leave_nothing_is_refused(model: Path) -> None:
    with pytest.raises(InputError, match="rewards: got none"):
        apply(**GRID)
    with pytest.raises(InputError, match="rewards: got none"):
        apply(pretrained=model)


def test_an_output_folder_that_holds_files_is_refused_before_any_work(rewards: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="output"):
        apply(**GRID, rewards=rewards, output=tmp_path)


def test_no_global_random_stream_is_touched(rewards: Path) -> None:
    before = torch.get_rng_state()
    apply(**GRID, rewards=rewards, samples=5)
    assert torch.equal(before, torch.get_rng_state())


def test_places_may_be_texts(model: Path, rewards: Path, tmp_path: Path) -> None:
    typed: Any = apply
    made = typed(pretrained=str(model), rewards=str(rewards), samples=5, output=str(tmp_path / "out"))
    assert made.output == tmp_path / "out"
    assert (tmp_path / "out" / "samples.csv").is_file()
    load_model(str(model))
