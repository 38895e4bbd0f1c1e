"""`livepapers apply yann-rl`: the exact network from a file, training on an environment, and what is refused."""

import inspect
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from livepapers import samples
from livepapers.baselines.plain_controllers import PlainActor
from livepapers.blocks.policy_door import as_policy
from livepapers.core import artifact
from livepapers.core.application import Application
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.lab import evaluation, onnx_export
from livepapers.methods.yann_rl import application, apply, training
from livepapers.methods.yann_rl.model_file import ModelFile, read_model
from livepapers.methods.yann_rl.reporting import headline, notes
from livepapers.methods.yann_rl.verification import Verification

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
    assert "140 steps on the environment" in done.headline
    trained = artifact.load(tmp_path / "out" / "trained")
    assert trained.spaces["task"] == {"name": "clipped-pendulum", "arguments": {}}
    policy = artifact.load_network(tmp_path / "out" / "trained")
    assert policy(torch.tensor([[0.1, 0.0]])).shape == (1, 1)
    assert not (tmp_path / "out.partial").exists()


PENDULUM = "livepapers.tasks.plants:livepapers/ClippedPendulum-v0"


def judged(monkeypatch: pytest.MonkeyPatch, costs: list[float], ended: list[int] | None = None) -> None:
    """Let controllers cost what `costs` says: before training, the exact one judged, then as they are judged."""
    numbers = iter(zip(costs, ended or [0] * len(costs), strict=True))

    def play(env: str, actor: torch.nn.Module, starts: int, seed: int, stream: str) -> list[training.Played]:
        del env, actor, seed, stream
        return [training.Played(*next(numbers))] * starts

    monkeypatch.setattr(training, "_play", play)
    monkeypatch.setattr(training, "JUDGED_EVERY", 40)


def short(tmp_path: Path, steps: int = 301) -> tuple[Application, bool]:
    """A training of whole twenties, and whether what was written differs from the exact controller."""
    sample = samples.path("pendulum_mpc.yml")
    done = apply(sample, points=100, env=PENDULUM, steps=steps, nodes=4, output=tmp_path / "out")
    kept = artifact.load_network(tmp_path / "out" / "trained")
    began = application._actor(read_model(sample), outside="lqr", nodes=4, seed=0)
    pairs = zip(kept.parameters(), began.parameters(), strict=True)
    return done, any(not torch.equal(after, before) for after, before in pairs)


def test_a_short_training_moves_the_actor_and_whole_twenties_are_told(monkeypatch, tmp_path: Path):
    says = (
        "of 2 x 320 steps on the environment the controller after {} with the {} critic is kept, mean cost 10 -> {} ("
    )
    slow = [10.0, 9.0, *(9.5,) * 6, 8.0, 8.5]  # before, first, eight judgements
    for rival, told in ((8.2, (280, "slow", 8)), (7.0, (320, "fast", 6))):
        judged(monkeypatch, [*slow, *(8.5,) * 7, rival, told[2]])
        (tmp_path / told[1]).mkdir()
        done, moved = short(tmp_path / told[1])
        assert moved
        assert says.format(*told) in done.headline


def test_a_training_that_finds_none_better_keeps_the_exact_controller(monkeypatch, tmp_path: Path):
    judged(monkeypatch, [10.0, 9.0, *(9.0,) * 16, 10.0])
    done, moved = short(tmp_path)
    assert not moved
    assert "2 x 320 steps on the environment found none better: the exact one is kept" in done.headline


def test_a_cheaper_controller_that_breaks_more_limits_is_not_kept(monkeypatch, tmp_path: Path):
    judged(monkeypatch, [10.0, 9.0, *(1.0,) * 16, 10.0], [0, 0, *(1,) * 16, 0])
    assert not short(tmp_path)[1]
    (tmp_path / "as many").mkdir()
    judged(monkeypatch, [10.0, 9.0, *(9.0,) * 15, 1.0, 10.0], [0, 1, *(1,) * 16, 1])
    done, moved = short(tmp_path / "as many")
    assert moved
    assert "10 MORE of 10 episodes ended early" in done.headline


def test_an_interrupted_training_goes_on_where_it_stopped(monkeypatch, tmp_path: Path):
    update, drive, updates = training.YannDDPG.update, training.loop.drive, 0

    def counted(self: training.YannDDPG) -> dict[str, float]:
        nonlocal updates
        updates += 1
        if updates == 16 + 9:
            raise KeyboardInterrupt
        return update(self)

    monkeypatch.setattr(training.YannDDPG, "update", counted)
    monkeypatch.setattr(training.loop, "drive", lambda *a, **named: drive(*a, **named, save_every=0.0))
    judged(monkeypatch, [10.0, 9.0, *(8.5,) * 8, *(8.0,) * 4])
    with pytest.raises(KeyboardInterrupt):
        short(tmp_path)
    assert (tmp_path / "out.partial").is_dir()
    judged(monkeypatch, [10.0, 9.0, *(8.2,) * 4, 8.0])
    done, _ = short(tmp_path)
    assert updates == 16 + 9 + 16 - 8
    assert "the controller after 40 with the fast critic is kept" in done.headline  # of the first run: 8.2 is no better
    assert not (tmp_path / "out.partial").exists()


class Pushed(gymnasium.Env):
    """The model of the sample, and a push that it does not know of."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float64)

    def __init__(self) -> None:
        self.problem = read_model(samples.path("pendulum_mpc.yml")).problem
        self.state, self.time = np.zeros(2), 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.time = self.np_random.uniform([-0.1, -0.3], [0.1, 0.3]), 0
        return self.state.copy(), {}

    def step(self, action):
        problem, self.time = self.problem, self.time + 1
        cost = float(self.state @ problem.q @ self.state + action @ problem.r @ action)
        self.state = problem.a @ self.state + problem.b @ action + np.array([0.0, 0.1])
        return self.state.copy(), -cost, bool(abs(self.state[0]) > 2.0), self.time >= 100, {}


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_training_learns_against_a_push_that_the_model_does_not_know(noise: float):
    if "test/Pushed-v0" not in gymnasium.registry:
        gymnasium.register("test/Pushed-v0", lambda **_: Pushed())
    done = apply(samples.path("pendulum_mpc.yml"), points=100, env="test/Pushed-v0", steps=1400, nodes=4, noise=noise)
    mean = done.tables["Cost before and after training"][-2]
    assert "with the fast critic is kept" in done.headline
    assert float(mean["cost after"] or 0.0) < 0.75 * float(mean["cost before"] or 0.0)


def test_the_controller_that_is_written_acts_by_the_rule_outside_the_regions(model: Path, tmp_path: Path):
    beyond, inside = torch.tensor([[4.9, 4.9]]), torch.tensor([[0.1, -0.05]])  # 4.9 + 4.9 leaves the box
    acts = {}
    for rule in ("lqr", "zero", "saturate", "project"):
        done = apply(model, points=200, outside=rule, output=tmp_path / rule)
        assert any(f"acts by the rule --outside {rule}, and the plain network" in note for note in done.notes)
        controller, literal = (artifact.load_network(tmp_path / rule / name) for name in ("", "literal"))
        acts[rule] = float(controller(beyond))
        assert literal(beyond).item() == 0.0
        assert float(controller(inside)) == pytest.approx(float(literal(inside)), abs=1e-6)
    assert acts["zero"] == 0.0
    assert acts["lqr"] == acts["saturate"] == -1.0


@pytest.mark.parametrize("name", ["", "literal"])
def test_what_is_written_is_refused_by_worlds_of_another_size(name: str, model: Path, tmp_path: Path):
    apply(model, points=100, output=tmp_path / "out")
    policy = evaluation.load_policy(tmp_path / "out" / name)
    for world in ("gymnasium:Pendulum-v1", "gymnasium:CartPole-v1"):
        with pytest.raises(InputError, match=r"world: got observation space .*expected that of the policy") as caught:
            evaluation.evaluate(policy, episodes=1, seed=0, env=world)
        assert "\n" not in str(caught.value)
    played = evaluation.evaluate(policy, episodes=2, seed=0, env="clipped-pendulum")
    assert np.isfinite(played.returns).all()


def test_controller_network_and_trained_controller_go_out_as_onnx(tmp_path: Path):
    pytest.importorskip("onnxruntime")
    env = "livepapers.tasks.plants:livepapers/ClippedPendulum-v0"
    apply(samples.path("pendulum_mpc.yml"), points=100, env=env, steps=140, nodes=4, output=tmp_path / "out")
    for name in ("", "literal", "trained"):
        policy, file = evaluation.load_policy(tmp_path / "out" / name), tmp_path / f"file{name}.onnx"
        assert onnx_export.export(policy, file, probes=64) <= 1e-6
        again = as_policy(file)
        beyond = torch.tensor([[1.9, 7.5], [0.05, 0.0]])  # the first lies outside all regions
        assert torch.allclose(again.act(beyond, None), policy.network(beyond), atol=1e-6)
        assert torch.allclose(again.act(beyond[1:], None), policy.network(beyond[1:]), atol=1e-6)


def test_a_difference_is_told_with_who_is_off(model: Path):
    found = read_model(model)
    good = Verification(100, 100, 0.0, 0.0, 1.0, 0, 1e-13, np.ones(found.law.regions))
    assert notes(found, good, "lqr", trained=False, written=False) == ()
    for residual, says in ((1e-5, "misses its own optimality conditions by 1.0e-05"), (1e-13, "regions are at fault")):
        off = replace(good, facet_error=1e-6, residual=residual)
        assert says in notes(found, off, "lqr", trained=False, written=False)[0]
        assert "DIFFERS" in headline(found, off)


def test_the_help_names_every_field_of_the_file_and_the_sample():
    text = inspect.getdoc(apply) or ""
    for field in (*(field.name for field in fields(ModelFile)), "lower", "upper", "pendulum_mpc.yml"):
        assert field in text


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

    assert _world("Pendulum-v1?g=9.0") == {"name": "gymnasium:Pendulum-v1", "arguments": {"g": 9.0}}
    assert _world("my_plants:Mine-v0") is None
    assert _world(REACTOR) == {"name": "reactor", "arguments": {}}
    assert _world("reactor") == {"name": "reactor", "arguments": {}}


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
        ({"noise": -0.1}, "noise: got -0.1"),
        ({"noise": 2.0}, "noise: got 2.0"),
        ({"noise": float("nan")}, "noise: got nan"),
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


def test_a_plain_rival_that_a_study_keeps_goes_out_too(tmp_path: Path):
    pytest.importorskip("onnxruntime")
    made = PlainActor((1.0, 8.0), low=[-2.0], high=[2.0], angles=(0,), hidden=(8,))
    described = artifact.Artifact(
        "policy", "yann-rl", "baselines.plain_controllers:PlainActor", made.arguments, {"arm": "ddpg"},
        {"task": {"name": "clipped-pendulum", "arguments": {}}},
    )  # fmt: skip
    artifact.save(tmp_path, described, weights=made.state_dict())
    policy = evaluation.load_policy(tmp_path)
    assert onnx_export.export(policy, tmp_path / "plain.onnx", probes=32) <= 1e-6
    with pytest.raises(InputError, match="observation space"):
        evaluation.evaluate(policy, episodes=1, seed=0, env="gymnasium:Pendulum-v1")


class Broken(Pushed):
    """Pushed, and after some steps of an episode its sensor or its meter fails."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def step(self, action: Any) -> Any:
        state, reward, *rest = super().step(action)
        fails = self.time > 30
        state = state + np.nan if fails and self.fault == "observations" else state
        return state, np.inf if fails and self.fault == "rewards" else reward, *rest


@pytest.mark.parametrize("fault", ["observations", "rewards"])
def test_numbers_that_are_not_finite_are_the_environments(fault: str):
    if "test/Broken-v0" not in gymnasium.registry:
        gymnasium.register("test/Broken-v0", lambda fault, **_: Broken(fault))
    with pytest.raises(InputError, match=f"the environment's {fault}: got .*, expected finite numbers"):
        apply(samples.path("pendulum_mpc.yml"), points=100, env=f"test/Broken-v0?fault={fault}", steps=100, nodes=4)


def test_a_plant_that_was_changed_is_other_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    code = tmp_path / "plants_of_mine.py"
    code.write_text("import livepapers.tasks.plants\n")
    monkeypatch.chdir(tmp_path)
    update, count = training.YannDDPG.update, 0

    def stopped(self: training.YannDDPG) -> dict[str, float]:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return update(self)

    monkeypatch.setattr(training.YannDDPG, "update", stopped)
    drive = training.loop.drive
    monkeypatch.setattr(training.loop, "drive", lambda *a, **named: drive(*a, **named, save_every=0.0))
    given = {"points": 100, "env": "plants_of_mine:livepapers/ClippedPendulum-v0", "steps": 100, "nodes": 4}
    judged(monkeypatch, [1.0] * 9)
    with pytest.raises(KeyboardInterrupt):
        apply(samples.path("pendulum_mpc.yml"), **given, output=tmp_path / "out")
    code.write_text("import livepapers.tasks.plants\n# changed\n")
    judged(monkeypatch, [1.0] * 9)
    with pytest.raises(CorruptFileError, match="belongs to other work"):
        apply(samples.path("pendulum_mpc.yml"), **given, output=tmp_path / "out")


def test_what_ends_sooner_is_no_better_for_costing_less():
    played = training.Played
    assert training._as_safe(played(5.0, 0, 100), played(9.0, 0, 100))
    assert training._as_safe(played(5.0, 0, 100), played(9.0, 1, 40))
    assert training._as_safe(played(5.0, 1, 40), played(9.0, 1, 40))
    assert not training._as_safe(played(5.0, 1, 39), played(9.0, 1, 40))
    assert not training._as_safe(played(5.0, 1, 99), played(9.0, 0, 100))
