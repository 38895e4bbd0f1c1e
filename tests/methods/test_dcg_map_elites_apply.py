"""`livepapers apply dcg-map-elites` on worlds and archives, good and bad."""

import csv
import html
import json
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from livepapers.battery.subject import state_digest
from livepapers.blocks.policy_door import as_policy
from livepapers.cli.main import group
from livepapers.core import artifact
from livepapers.core.checkpoint import load_state, save_state
from livepapers.core.errors import CorruptFileError, InputError, Interrupted
from livepapers.lab import evaluation
from livepapers.methods.dcg_map_elites import Archive, apply, voronoi_centroids
from livepapers.methods.dcg_map_elites import application as module
from livepapers.methods.dcg_map_elites.atlas import map_svg, voronoi_polygons
from livepapers.methods.dcg_map_elites.replaying import CELLS
from livepapers.tasks.descriptors import Descriptor

QUICK: dict[str, Any] = {
    "iterations": 2, "offspring": 8, "cells": 16, "critic_steps": 6, "gradient_steps": 2, "hidden": "8", "seed": 3
}  # fmt: skip
PENDULUM: dict[str, Any] = {
    "env": "Pendulum-v1", "descriptor": "mean-obs:0,2", "low": "-1,-8", "high": "1,8", "reward_offset": 17.0
}  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("searched") / "places"
    apply(env="point-omni", **QUICK, output=output)
    return output


def test_a_world_gives_an_archive_its_page_and_one_policy(places: Path):
    names = {"artifact.json", "weights.safetensors", "archive.safetensors", "atlas.html", "cells.csv", "iterations.csv"}
    assert {path.name for path in places.iterdir()} == {*names, "application.json"}
    assert len(json.loads((places / "application.json").read_text())["tables"][module.RESULT]) == 3
    assert not places.with_name("places.partial").exists()
    with (places / "iterations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["evaluations"]) for row in rows] == [8, 18, 28]
    with (places / "cells.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert list(cells[0]) == ["cell", "x", "y", "fitness"]
    page = (places / "atlas.html").read_text()
    assert page.count('<a href="#cell-') == len(cells) == page.count("<tr id=")
    assert page.count("<polygon") == 16
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert f"--archive {places} --cell {cells[0]['cell']}" in page


def test_other_commands_take_the_distilled_policy_and_a_cell(places: Path, tmp_path: Path):
    found = evaluation.evaluate(evaluation.load_policy(places), episodes=5, seed=0)
    assert found.returns.min() >= 0.0
    assert as_policy(places).shape == (4,)
    cell = str(load_state(places / "archive.safetensors")["archive"]["fitness"].argmax().item())
    done = apply(archive=places, cell=int(cell), test_episodes=3, output=tmp_path / "one")
    assert done.headline.startswith(f"cell {cell}: fitness")
    assert artifact.load(tmp_path / "one").architecture == "blocks.policies:BoxPolicy"
    assert json.loads((tmp_path / "one" / "application.json").read_text())["headline"] == done.headline
    assert (
        evaluation.evaluate(evaluation.load_policy(tmp_path / "one"), episodes=3, seed=0).lengths.tolist() == [50] * 3
    )


def test_the_one_policy_goes_where_it_is_told_and_the_nearest_cell_is_found(places: Path, tmp_path: Path):
    apply(archive=places, at="2,-1", distilled=True, test_episodes=2, output=tmp_path / "told")
    _, told = artifact.load_policy(tmp_path / "told")
    _, whole = artifact.load_policy(places)
    seen = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    expected = whole.act(seen, torch.tensor([2.0, -1.0]).expand(9, 2))  # type: ignore[operator]
    assert torch.allclose(told(seen), expected, atol=1e-6)
    done = apply(archive=places, at="0,0", test_episodes=2)
    assert done.headline.startswith("cell ")
    far = apply(archive=places, at="9.5,-9.5", test_episodes=2)
    asked, _, reached = ([float(str(row[name])) for name in ("x", "y")] for row in far.tables["Replay"])
    assert asked == [9.5, -9.5]  # not where the nearest cell happens to be
    gap = 100.0 * np.hypot(*(np.subtract(asked, reached) / 10.0)) / (2.0 * 2.0**0.5)
    assert float(far.headline.rsplit(", ", 1)[1].split(" %")[0]) >= gap - 0.01  # a mean distance is no less
    assert far.headline.endswith("from what is asked for")
    assert apply(archive=places, cell=_cell(done), test_episodes=2).headline.endswith("from what is kept in the cell")
    listed = apply(archive=places)
    assert listed.tables["Best cells"][0]["fitness"] >= listed.tables["Best cells"][-1]["fitness"]  # type: ignore[operator]


def _cell(done: Any) -> int:
    return int(done.headline.split(":")[0].removeprefix("cell "))


def test_distances_count_every_side_of_the_box_alike():
    described = Descriptor(("place", "speed"), (-1.0, -0.01), (1.0, 0.01), columns=(0, 1))
    apart = described.apart(torch.tensor([[1.0, 0.0], [0.0, 0.01]]), torch.zeros(2))
    assert torch.allclose(apart, torch.full((2,), 100.0 / 8.0**0.5))


def test_any_environment_with_real_actions_will_do(tmp_path: Path):
    done = apply(**PENDULUM, **{**QUICK, "iterations": 1, "offspring": 4, "critic_steps": 2}, output=tmp_path / "swing")
    assert done.headline.startswith("gymnasium:Pendulum-v1")
    again = apply(archive=tmp_path / "swing", at="0,0", test_episodes=2, output=tmp_path / "one")
    told = re.search(r": return (\S+) \(fitness (\S+), the offset of 17 a step included\)", again.headline)
    assert told is not None
    assert float(told[1]) == pytest.approx(float(told[2]) - 200 * 17, abs=0.02)  # 200 steps an episode
    task = artifact.load(tmp_path / "swing").spaces["task"]
    assert task == {"name": "gymnasium:Pendulum-v1", "arguments": {}}


def test_a_function_may_describe_an_episode_and_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_ends.py").write_text("def end(seen, actions, rewards):\n    return [seen[-1, 0]]\n")
    monkeypatch.chdir(tmp_path)
    words = {"descriptor_from": "my_ends:end", "low": "-1", "high": "1"}
    apply(env="point-omni", **words, **{**QUICK, "iterations": 1}, output=tmp_path / "out")
    assert "<svg" not in (tmp_path / "out" / "atlas.html").read_text(), "one number is no map"
    with pytest.raises(InputError, match="no file may name code"):
        apply(archive=tmp_path / "out")
    assert apply(archive=tmp_path / "out", descriptor_from="my_ends:end").tables["Best cells"]


ARM = """
import gymnasium
import numpy as np


class Arm(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-0.1, 0.1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.place = 0, self.np_random.uniform(-0.5, 0.5, 2).astype(np.float32)
        return self.place.copy(), {}

    def step(self, action):
        self.t, self.place = self.t + 1, (self.place + action).astype(np.float32)
        ended = self.t == 5
        told = {"x": float(self.place[0]), "y": float(self.place[1])} if ended else {"label": "still going"}
        return self.place.copy(), 1.0, False, ended, told


gymnasium.register(id="ARM-v0", entry_point="MODULE:Arm")
"""
"""An environment of one's own; what it ends with is told in the last step only."""


def _arm(folder: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An environment in a module of this name, and the options of a search in it."""
    name = module.replace("_", "").title()
    (folder / f"{module}.py").write_text(ARM.replace("ARM", name).replace("MODULE", module))
    monkeypatch.chdir(folder)
    return {"env": f"{module}:{name}-v0", "descriptor": "obs:0,1", "low": "-1,-1", "high": "1,1"}


def test_an_archive_of_ones_own_environment_opens_when_it_is_named_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    words = _arm(tmp_path, "my_opened", monkeypatch)
    apply(**words, **{**QUICK, "iterations": 1}, output=Path("my arm"))
    page = (tmp_path / "my arm" / "atlas.html").read_text()
    command = re.search(r"<code>livepapers (.*?)</code>", page)
    assert command is not None
    typed = shlex.split(html.unescape(command[1]))
    assert typed[2:6] == ["--archive", "my arm", "--env", words["env"]]
    done = CliRunner().invoke(group, typed)
    assert done.exit_code == 0, done.output
    with pytest.raises(InputError, match=r"say --env if you trust it"):
        apply(archive=Path("my arm"))
    with pytest.raises(InputError, match=r"env: got Pendulum-v1, expected gymnasium:my_opened:Myopened-v0"):
        apply(archive=Path("my arm"), env="Pendulum-v1")


def end(seen: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    return seen[-1, :2]


def test_python_may_give_sequences_functions_and_paths_as_text(places: Path, tmp_path: Path):
    words: dict[str, Any] = {"env": "point-omni", "descriptor_from": end, **QUICK, "iterations": 1, "hidden": (8,)}
    output: Any = str(tmp_path / "out")
    apply(**{**words, "low": (-9, -9.5), "high": np.array([9.0, 9.0])}, output=output)
    opened: dict[str, Any] = {"archive": output, "descriptor_from": end, "at": (1.5, 2.0)}
    assert apply(**opened, test_episodes=1).tables["Replay"]
    for wrong in ({"descriptor_from": 3}, {"low": None}, {"hidden": 8.5}, {"descriptor": ("obs", 0)}, {"env": 1}):
        field = next(iter(wrong)).replace("_", "-")
        with pytest.raises(InputError, match=f"^{field}: "):
            apply(**{**words, "low": (-9, -9), "high": (9, 9), **wrong})
    with pytest.raises(InputError, match="made without one"):
        apply(archive=places, descriptor_from=end)  # type: ignore[arg-type]


def test_a_key_of_the_last_step_is_asked_for_there_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    words = _arm(tmp_path, "my_ending", monkeypatch)
    done = apply(**{**words, "descriptor": "info:x,y"}, **{**QUICK, "iterations": 1})
    columns = apply(**words, **{**QUICK, "iterations": 1})
    assert [list(row.values()) for row in done.tables[CELLS]] == [list(row.values()) for row in columns.tables[CELLS]]
    with pytest.raises(InputError, match=r"info key: got x, expected a number of none$"):
        apply(**{**words, "descriptor": "mean-info:x,y"}, **QUICK)
    with pytest.raises(InputError, match=r"info key: got z, expected a number of x, y$"):
        apply(**{**words, "descriptor": "info:x,z"}, **QUICK)


def test_a_function_that_breaks_is_told_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_broken_ends.py").write_text("def end(seen, actions, rewards):\n    return [seen['x']]\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"descriptor-from: my_broken_ends:end raised IndexError: .*line 2"):
        apply(env="point-omni", descriptor_from="my_broken_ends:end", low="-1", high="1", **QUICK)

    def broken(*episode: Any) -> None:
        raise KeyError(len(episode))

    with pytest.raises(InputError, match=r"descriptor-from: \S+broken raised KeyError: 3 \(line"):
        apply(env="point-omni", descriptor_from=broken, low="-1", high="1", **QUICK)  # type: ignore[arg-type]


def test_an_interrupted_search_goes_on_to_the_same_bits(places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    update, calls = module.DescriptorConditionedSearch.update, []

    def stopping(self: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted("stopped")
        return update(self)

    monkeypatch.setattr(module.DescriptorConditionedSearch, "update", stopping)
    defaults = module.loop.drive.__kwdefaults__ or {}
    monkeypatch.setattr(module.loop.drive, "__kwdefaults__", {**defaults, "save_every": 0.0})
    output = tmp_path / "places"
    with pytest.raises(Interrupted):
        apply(env="point-omni", **QUICK, output=output)
    assert output.with_name("places.partial").is_dir()
    assert not output.exists()
    done = apply(env="point-omni", **QUICK, output=output)
    for name in set(done.files) - {"archive.safetensors", "artifact.json"}:  # which holds the page's hash
        there = (places / name).read_bytes().replace(str(places).encode(), str(output).encode())  # the page's commands
        assert (output / name).read_bytes() == there, name
    kept = [state_digest(load_state(folder / "archive.safetensors")) for folder in (output, places)]
    assert kept[0] == kept[1], "its header names its entries in any order"


@pytest.mark.parametrize("kind", ["function", "environment"])
def test_a_search_does_not_go_on_with_other_code_of_the_same_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    update = module.DescriptorConditionedSearch.update

    def stopping(self: Any) -> dict[str, float]:
        if self.archive.coverage:  # after the first step
            raise Interrupted("stopped")
        return update(self)

    words = _arm(tmp_path, "my_turning_arm", monkeypatch)
    file = tmp_path / "my_turning_arm.py"
    if kind == "function":
        file = tmp_path / "my_turning.py"
        words = {"env": "point-omni", "descriptor_from": "my_turning:end", "low": "-1", "high": "1"}
        file.write_text("def end(seen, actions, rewards):\n    return [seen[-1, 0]]\n")
    monkeypatch.setattr(module.DescriptorConditionedSearch, "update", stopping)
    defaults = module.loop.drive.__kwdefaults__ or {}
    monkeypatch.setattr(module.loop.drive, "__kwdefaults__", {**defaults, "save_every": 0.0})
    with pytest.raises(Interrupted):
        apply(**words, **QUICK, output=tmp_path / "out")
    file.write_text(file.read_text() + "\nCHANGED = True\n")
    with pytest.raises(CorruptFileError, match="other work"):
        apply(**words, **QUICK, output=tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "env and archive"),
        ({"env": "NoSuchThing-v0"}, "^env: got NoSuchThing-v0"),
        ({"env": "NoSuchThing-v0", "descriptor": "obs:0"}, "^env: got NoSuchThing-v0"),
        ({"env": "NoSuchThing-v0", "descriptor": "obs:0", "low": "0", "high": "1"}, "^env: got NoSuchThing-v0"),
        ({"env": "Pendulum-v1"}, "^descriptor: got nothing"),
        ({"env": "CartPole-v1", "descriptor": "obs:0", "low": "0", "high": "1"}, "action space"),
        ({"env": "point-omni", "descriptor": "place:0", "low": "0", "high": "1"}, "descriptor"),
        ({"env": "point-omni", "descriptor": "obs:x", "low": "0", "high": "1"}, "columns"),
        ({"env": "point-omni", "descriptor": "obs:7", "low": "0", "high": "1"}, "column 7"),
        ({"env": "point-omni", "descriptor": "obs:0,1", "low": "0", "high": "1"}, "box"),
        ({"env": "point-omni", "descriptor": "obs:0", "low": "1", "high": "1"}, "low below high"),
        ({"env": "point-omni", "descriptor": "obs:0", "low": "zero", "high": "1"}, "low"),
        ({"env": "point-omni", "descriptor": "info:x", "low": "0", "high": "1"}, "only Gymnasium"),
        ({"env": "point-omni", "low": "0", "high": "1"}, "low and high"),
        ({"env": "point-omni", "descriptor_from": "no_colon", "low": "0", "high": "1"}, "module:function"),
        ({"env": "point-omni", "descriptor_from": "no_such_module:f", "low": "0", "high": "1"}, "imported"),
        ({"env": "point-omni", "descriptor_from": "math:pi", "low": "0", "high": "1"}, "a function"),
        ({"env": "Pendulum-v1", "descriptor": "info:angle", "low": "0", "high": "1"}, "info key"),
        ({**PENDULUM, "reward_offset": 0.0}, "reward.*offset"),
        ({"env": "point-omni", "iterations": 0}, "iterations"),
        ({"env": "point-omni", "offspring": 3}, "offspring"),
        ({"env": "point-omni", "cells": 1}, "cells"),
        ({"env": "point-omni", "length": 0.0}, "length"),
        ({"env": "point-omni", "reward_offset": float("nan")}, "reward-offset"),
        ({"env": "point-omni", "hidden": "8,,8"}, "hidden"),
        ({"env": "point-omni", "hidden": "0"}, "hidden"),
        ({"env": "point-omni", "seed": -1}, "seed"),
        ({"env": "point-omni", "test_episodes": 0}, "test-episodes"),
        ({"env": "point-omni", "cell": 3}, "--archive"),
        ({"env": "point-omni", "cell": -7}, "^cell: got -7"),
        ({"env": "point-omni", "test_episodes": 7}, "--test-episodes: got 7, expected nothing"),
        ({"env": "point-omni", "archive": Path("x")}, "archive"),
        ({"archive": Path("no_such_folder")}, "archive"),
        ({"archive": Path("x"), "iterations": 500}, "searches nothing"),
    ],
)
def test_bad_options_give_one_line_and_write_nothing(options: dict[str, Any], named: str, tmp_path: Path):
    with pytest.raises(InputError, match=named) as caught:
        apply(**{**QUICK, **options} if "archive" not in options else options, output=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"cell": 99}, "cell"),
        ({"cell": 0, "at": "0,0"}, "cell"),
        ({"at": "0"}, "2 numbers inside"),
        ({"at": "11,0"}, "2 numbers inside"),
        ({"at": "a,b"}, "at"),
        ({"distilled": True}, "distilled"),
        ({"descriptor_from": "my_ends:end", "cell": 0}, "made without one"),
        ({}, "output"),
        ({"test_episodes": 777}, "--test-episodes.*listed"),
        ({"seed": 9}, "--seed.*listed"),
        ({"cell": -7}, "^cell: got -7"),
    ],
)
def test_bad_requests_to_an_archive_give_one_line(options: dict[str, Any], named: str, places: Path, tmp_path: Path):
    with pytest.raises(InputError, match=named) as caught:
        apply(archive=places, **options, output=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def _spoil(state: dict[str, Any], part: str, value: Any) -> dict[str, Any]:
    return {**state, part: value}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: _spoil(state, "world", {"name": "os:system", "arguments": {}}),
        lambda state: _spoil(state, "world", {"name": "gymnasium:antigravity:Evil-v0", "arguments": {}}),
        lambda state: _spoil(state, "format", 9),
        lambda state: _spoil(state, "hidden", [8, 8]),
        lambda state: _spoil(state, "descriptor", {}),
        lambda state: _spoil(state, "descriptor", {**state["descriptor"], "low": [1.0, 1.0], "high": [0.0, 0.0]}),
        lambda state: _spoil(state, "archive", {}),
        lambda state: {name: value for name, value in state.items() if name != "offset"},
    ],
)
def test_spoiled_archives_give_one_line(spoil: Any, places: Path, tmp_path: Path):
    save_state(tmp_path / "archive.safetensors", spoil(load_state(places / "archive.safetensors")))
    with pytest.raises(InputError) as caught:
        apply(archive=tmp_path, at="0,0", test_episodes=1)
    assert "\n" not in str(caught.value)
    (tmp_path / "archive.safetensors").write_bytes(b"no archive")
    with pytest.raises(InputError, match="archive"):
        apply(archive=tmp_path)


def test_cells_of_the_map_fill_the_square_and_hold_their_centroids():
    centroids = voronoi_centroids(30, 2, samples=2000, seed=0).double().numpy()
    polygons = voronoi_polygons(centroids)
    areas = [_area(one) for one in polygons]
    assert sum(areas) == pytest.approx(4.0, abs=1e-6)
    archive = Archive(torch.from_numpy(centroids).float(), 1)
    for index, corners in enumerate(polygons):
        inside = torch.from_numpy(0.9 * corners + 0.1 * centroids[index]).float()
        assert archive.cells(inside).tolist() == [index] * len(corners)
    fitness = np.where(np.arange(30) % 2, 1.0, -np.inf)
    drawing = map_svg(centroids, fitness, names=("<x>", "y"), ends=((-1, 1), (0, 2)), labels=["a & b"] * 30)
    root = ET.fromstring(drawing)
    assert len(root.findall(".//{http://www.w3.org/2000/svg}polygon")) == 30
    assert len(root.findall("{http://www.w3.org/2000/svg}a")) == 15


def _area(corners: np.ndarray) -> float:
    following = np.roll(corners, -1, axis=0)
    return 0.5 * abs(float((corners[:, 0] * following[:, 1] - corners[:, 1] * following[:, 0]).sum()))


def test_the_command_line(tmp_path: Path):
    words = ["apply", "dcg-map-elites", "--env", "point-omni", "--iterations", "1", "--offspring", "4", "--cells", "4"]
    words += ["--critic-steps", "2", "--gradient-steps", "1", "--hidden", "4", "--json"]
    words += ["--output", str(tmp_path / "out")]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["slug"] == "dcg-map-elites"
    bad = CliRunner().invoke(group, ["apply", "dcg-map-elites", "--archive", str(tmp_path / "out"), "--cell", "77"])
    assert isinstance(bad.exception, InputError)
