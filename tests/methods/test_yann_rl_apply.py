"""`livepapers apply yann-rl`: the exact network from a file, training on an environment, and what is refused."""

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from livepapers import samples
from livepapers.core import artifact
from livepapers.core.errors import InputError
from livepapers.methods.yann_rl import apply

GOOD = """
A: [[1.0, 1.0], [0.0, 1.0]]
B: [[0.5], [1.0]]
Q: [[1.0, 0.0], [0.0, 1.0]]
R: [[0.1]]
horizon: 2
state_bounds: {lower: [-5.0, -5.0], upper: [5.0, 5.0]}
input_bounds: {lower: [-1.0], upper: [1.0]}
"""
REACTOR = "livepapers.tasks.plants:livepapers/Reactor-v0"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "cart.yml"
    path.write_text(GOOD)
    return path


def test_the_exact_network_is_written_checked_and_loads_again(model: Path, tmp_path: Path):
    done = apply(model, points=400, output=tmp_path / "out")
    assert "equals the quadratic program: largest difference" in done.headline
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(done.files)
    network = artifact.load_network(tmp_path / "out")
    state = torch.tensor([[0.1, -0.05]], dtype=torch.float64)
    gain = next(row for row in done.tables["Regions"] if row["u1 offset"] == 0.0)
    expected = 0.1 * float(gain["u1 per s1"] or 0) - 0.05 * float(gain["u1 per s2"] or 0)
    assert float(network(state)) == pytest.approx(expected, abs=1e-5)
    assert sum(float(row["share of box, %"] or 0) for row in done.tables["Regions"]) == pytest.approx(
        100 * (1 - 0.0), abs=60
    )
    assert not (tmp_path / "out.partial").exists()
    law = json.loads((tmp_path / "out" / "law.json").read_text())
    assert len(law["gains"]) == len(done.tables["Regions"])


def test_the_shipped_sample_trains_on_the_plant_it_names(tmp_path: Path):
    env = "livepapers.tasks.plants:livepapers/ClippedPendulum-v0"
    done = apply(samples.path("pendulum_mpc.yml"), points=200, env=env, steps=140, nodes=4, output=tmp_path / "out")
    rows = done.tables["Cost before and after training"]
    assert [row["start"] for row in rows] == [*map(str, range(1, 11)), "mean", "in training"]
    assert "after 140 steps on the environment, mean cost" in done.headline
    trained = artifact.load(tmp_path / "out" / "trained")
    assert trained.spaces["task"] == {"name": "clipped-pendulum", "arguments": {}}
    policy = artifact.load_network(tmp_path / "out" / "trained")
    assert policy(torch.tensor([[0.1, 0.0]])).shape == (1, 1)
    assert not (tmp_path / "out.partial").exists()


def test_a_set_point_moves_bounds_and_law(tmp_path: Path, model: Path):
    shifted = tmp_path / "shifted.yml"
    shifted.write_text(
        GOOD.replace("lower: [-5.0, -5.0], upper: [5.0, 5.0]", "lower: [5.0, -5.0], upper: [15.0, 5.0]").replace(
            "lower: [-1.0], upper: [1.0]", "lower: [1.0], upper: [3.0]"
        )
        + "set_point: {state: [10.0, 0.0], input: [2.0]}\n"
    )
    apply(model, points=200, output=tmp_path / "plain")
    apply(shifted, points=200, output=tmp_path / "moved")
    state = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    plain, moved = (artifact.load_network(tmp_path / name) for name in ("plain", "moved"))
    there = state + torch.tensor([10.0, 0.0], dtype=torch.float64)
    assert float(moved(there)) == pytest.approx(2.0 + float(plain(state)), abs=1e-9)


def test_a_file_names_no_module_of_the_users():
    from livepapers.methods.yann_rl.application import _world

    assert _world("Pendulum-v1") == "gymnasium:Pendulum-v1"
    assert _world("my_plants:Mine-v0") is None
    assert _world(REACTOR) == "reactor"


class TwoInputs(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("horizon: 2", "horizon: 0", "horizon"),
        ("horizon: 2", "horizon: soon", "horizon"),
        ("horizon: 2", "", "horizon: got nothing"),
        ("horizon: 2", "horizon: 2\nhorizont: 3", "horizont"),
        ("horizon: 2", "horizon: 2\nhorizon: 3", "given twice"),
        ("A: [[1.0, 1.0], [0.0, 1.0]]", "A: [[1.0, 1.0], [0.0]]", "A: .*one length"),
        ("A: [[1.0, 1.0], [0.0, 1.0]]", "A: [[1.0, one], [0.0, 1.0]]", "A.0.1"),
        ("A: [[1.0, 1.0], [0.0, 1.0]]", "A: [[1.0, 1.0]]", "A: got 1 x 2|set_point|state_bounds"),
        ("B: [[0.5], [1.0]]", "B: [[0.5]]", "B: got 1 x 1, expected 2 x m"),
        ("[[1.0, 1.0], [0.0, 1.0]]\nB: [[0.5], [1.0]]", "[[2.0, 0.0], [0.0, 0.5]]\nB: [[0.0], [1.0]]", "stabilisable"),
        ("R: [[0.1]]", "R: [[0.0]]", "R: .*positive definite"),
        ("Q: [[1.0, 0.0], [0.0, 1.0]]", "Q: [[1.0, 0.0], [0.0, -1.0]]", "Q: .*semidefinite"),
        ("lower: [-1.0], upper: [1.0]", "lower: [1.0], upper: [-1.0]", "input_bounds: .*swapped"),
        ("lower: [-1.0], upper: [1.0]", "lower: [0.2], upper: [1.0]", "input_bounds: .*set point inside"),
        ("lower: [-1.0], upper: [1.0]", "lower: [-1.0, 0.0], upper: [1.0, 1.0]", "input_bounds: got 2 numbers"),
        ("upper: [5.0, 5.0]", "upper: [5.0, .inf]", "state_bounds.*finite"),
        ("lower: [-5.0, -5.0], upper", "lowest: [-5.0, -5.0], upper", "state_bounds"),
        ("R: [[0.1]]", "R: [[0.1]]\nset_point: {state: [0.0], input: [0.0]}", "set_point.state: got 1 numbers"),
        ("R: [[0.1]]", "R: [[0.1]]\nset_point: {state: [9.0, 0.0], input: [0.0]}", "state_bounds: .*set point inside"),
        ("R: [[0.1]]", "R: *Q", "aliases"),
    ],
)  # fmt: skip
def test_malformed_files_get_one_line_and_nothing_is_written(old, new, says, model: Path, tmp_path: Path):
    assert old in GOOD
    model.write_text(GOOD.replace(old, new))
    with pytest.raises(InputError, match=says) as caught:
        apply(model, points=100, output=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cart.yml"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "empty"), ("- 1\n- 2\n", "a list"), ("A: [1, 2", "valid YAML"), ("\0\1", "binary"), (None, "existing file")],
    ids=["empty", "a list", "broken", "binary", "missing"],
)
def test_files_that_are_no_models(text, says, tmp_path: Path):
    path = tmp_path / "model.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=says):
        apply(path)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"points": 3}, "points: got 3"),
        ({"steps": 0}, "steps: got 0"),
        ({"nodes": 1}, "nodes: got 1"),
        ({"seed": -1}, "seed: got -1"),
        ({"env": "NoSuchThing-v0"}, "env: got NoSuchThing-v0"),
        ({"env": "no_such_module:Thing-v0"}, "env: got no_such_module"),
        ({"env": "CartPole-v1"}, "env: .*observations.*2 real numbers"),
        ({"env": "Pendulum-v1"}, "env: .*observations"),
        ({"env": "test/TwoInputs-v0"}, "env: .*actions.*1 real numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_wrong_options_are_refused(given, says, model: Path):
    if "test/TwoInputs-v0" not in gymnasium.registry:
        gymnasium.register("test/TwoInputs-v0", lambda **_: TwoInputs())
    with pytest.raises(InputError, match=says):
        apply(model, **{"points": 100, **given})


def test_inputs_beyond_the_environments_are_refused(tmp_path: Path):
    path = tmp_path / "strong.yml"
    path.write_text(GOOD.replace("lower: [-1.0], upper: [1.0]", "lower: [-100.0], upper: [100.0]"))
    with pytest.raises(InputError, match="room for input_bounds"):
        apply(path, points=100, env=REACTOR)
