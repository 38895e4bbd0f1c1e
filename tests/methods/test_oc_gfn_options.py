"""`apply oc-gfn`: checkpoints of other rewards, options that nothing reads and folders of other kinds (oc-gfn)."""

import importlib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from livepapers.core import artifact
from livepapers.core.errors import CorruptFileError, InputError, Interrupted
from livepapers.methods.oc_gfn import Adaptation, apply

GRID: dict[str, Any] = {"environment": "grid", "size": 3, "updates": 3}


@pytest.fixture
def rewards(tmp_path: Path) -> Path:
    path = tmp_path / "rewards.csv"
    path.write_text("x,y,corner\n0,0,1\n2,2,10\n", encoding="utf-8")
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    apply(**GRID, output=tmp_path / "model")
    return tmp_path / "model"


FUNCTION = "def good(cells):\n    return [1.0 + {} * float(cell.split()[0]) for cell in cells]\n"
STORED = """
import json
from pathlib import Path
def good(cells):
    stored = json.loads(Path("stored.json").read_text())
    return [stored[cell] for cell in cells]
"""


def stopped_in_adaptation(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a checkpoint of the second step behind."""
    real = Adaptation.update

    def stop_at_2(self: Adaptation) -> dict[str, float]:
        if self.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self)

    with monkeypatch.context() as patched:
        patched.setattr(Adaptation, "update", stop_at_2)
        with pytest.raises(Interrupted, match="after step 2 of 4"):
            apply(**given)


@pytest.mark.parametrize("source", ["column", "an object's name", "function", "what a function reads"])
def test_a_checkpoint_of_other_rewards_is_refused(
    source: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = [f"{x} {y}" for x in range(3) for y in range(3)]
    before, after, file = {  # the same names, numbers and sums; only what stands where differs
        "column": ("x,y,r\n0,0,1\n0,1,2\n", "x,y,r\n0,0,2\n0,1,1\n", "rewards.csv"),
        "an object's name": ("x,y,r\n0,0,1\n0,1,2\n", "x,y,r\n0,0,1\n0,2,2\n", "rewards.csv"),
        "function": (FUNCTION.format(1), FUNCTION.format(2), "reward_of_function.py"),
        "what a function reads": (
            json.dumps(dict.fromkeys(cells, 1.0)), json.dumps({**dict.fromkeys(cells, 1.0), "2 2": 3.0}), "stored.json",
        ),
    }[source]  # fmt: skip
    Path("reward_of_reading.py").write_text(STORED, encoding="utf-8")
    modules = {"function": "reward_of_function", "what a function reads": "reward_of_reading"}
    reward = {"reward_from": f"{modules[source]}:good"} if source in modules else {"rewards": Path(file)}
    given = {
        "pretrained": model, "mode": "amortised", "adapt_updates": 4, "samples": 5, "output": Path("out"), **reward
    }  # fmt: skip

    def written(content: str) -> None:
        Path(file).write_text(content, encoding="utf-8")
        for name in modules.values():  # a new command imports anew
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written(before)
    stopped_in_adaptation(given, monkeypatch)
    written(after)
    with pytest.raises(CorruptFileError, match="belongs to other work"):
        apply(**given)
    written(before)
    assert apply(**given).output == Path("out")


def _rising(slope: float) -> Any:
    return lambda cells: [1.0 + slope * float(cell.split()[0]) for cell in cells]


def test_two_functions_of_one_name_are_other_rewards(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"pretrained": model, "mode": "amortised", "adapt_updates": 4, "samples": 5, "output": tmp_path / "out"}
    stopped_in_adaptation({**given, "reward_from": _rising(1.0)}, monkeypatch)
    with pytest.raises(CorruptFileError, match="belongs to other work"):
        apply(**given, reward_from=_rising(2.0))
    apply(**given, reward_from=_rising(1.0))
    about = str(artifact.load(tmp_path / "out" / "adapted-1").made_by["reward"])
    apply(**{**given, "output": tmp_path / "other"}, reward_from=_rising(2.0))
    other = str(artifact.load(tmp_path / "other" / "adapted-1").made_by["reward"])
    assert about.split(", of values", maxsplit=1)[0] == other.split(", of values", maxsplit=1)[0]
    assert about != other


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pretrained": "model", "updates": 7}, "--updates: got 7, expected nothing .beside --pretrained"),
        ({"pretrained": "model", "explorer": "gafn"}, "--explorer: got gafn, .*beside --pretrained"),
        ({"pretrained": "model", "word": 2}, "--word: got 2, .*beside --pretrained"),
        ({"pretrained": "model", "adapt_updates": 3}, "--adapt-updates: got 3, .*--mode amortised"),
        ({"pretrained": "model", "outcomes": 9}, "--outcomes: got 9, .*--mode mc"),
        ({"pretrained": "model", "mode": "mc", "adapt_updates": 3}, "--adapt-updates: got 3, .*--mode amortised"),
        ({"pretrained": "model", "mode": "amortised", "outcomes": 9}, "--outcomes: got 9, .*--mode mc"),
        ({**GRID, "rewards": None, "mode": "mc"}, "--mode: got mc, .*without a reward"),
        ({**GRID, "rewards": None, "samples": 5}, "--samples: got 5, .*without a reward"),
        ({**GRID, "rewards": None, "floor": 0.1}, "--floor: got 0.1, .*without a reward"),
        ({"environment": "rna", "size": 4, "rewards": None, "target": "ACGU", "floor": 0.1}, "--floor.*--rewards or"),
    ],
)
def test_options_that_nothing_would_read_are_refused(
    given: dict[str, Any], message: str, model: Path, rewards: Path, tmp_path: Path
) -> None:
    own = {"pretrained": model} if "pretrained" in given else {}
    with pytest.raises(InputError, match=f"^{message}"):
        apply(**{"rewards": rewards, "output": tmp_path / "out", **given, **own})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_no_model_is_told_by_its_option(model: Path, rewards: Path, tmp_path: Path) -> None:
    def told(folder: Path) -> str:
        with pytest.raises(InputError, match=r"^--pretrained: got .*expected a folder with a model") as caught:
            apply(pretrained=folder, rewards=rewards)
        return str(caught.value)

    assert "(no such folder)" in told(tmp_path / "absent")
    assert "(it holds no artifact.json)" in told(tmp_path)
    out = tmp_path / "out"
    apply(pretrained=model, rewards=rewards, mode="amortised", adapt_updates=2, samples=5, output=out)
    assert "the model is in the folder above" in told(out / "adapted-1")
    other = replace(artifact.load(out / "adapted-1"), kind="policy", slug="pdppo", architecture="")
    (tmp_path / "policy").mkdir()
    artifact.save(tmp_path / "policy", other)
    assert "(it holds a policy of pdppo)" in told(tmp_path / "policy")
