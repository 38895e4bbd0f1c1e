"""`livepapers apply drl-diagnosis`: reports, void verdicts, and what is refused."""

import base64
import json
import math
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from livepapers.blocks.policies import BoxPolicy, QPolicy
from livepapers.blocks.policy_door import as_policy
from livepapers.core import artifact
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError, MissingExtraError
from livepapers.core.rng import generator
from livepapers.methods import drl_diagnosis as method
from livepapers.methods.drl_diagnosis import application, collecting, direction, judging, plot, reporting
from livepapers.methods.drl_diagnosis.application import apply
from livepapers.methods.drl_diagnosis.plot import heat_maps_svg, series_svg
from livepapers.methods.drl_diagnosis.reporting import interval
from livepapers.tasks.atari import AtariTask
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.minatar import Breakout
from livepapers.tasks.mountain_car import MountainCar

SHORT: dict[str, Any] = {"episodes": 3, "repeats": 2, "horizon": 12}


def _save(folder: Path, made: Any, architecture: str, task: dict[str, Any] | None) -> Path:
    folder.mkdir()
    spaces: dict[str, Any] = {"task": task} if task else {}
    described = artifact.Artifact("policy", "drl-diagnosis", architecture, made.arguments, {"seed": 0}, spaces)
    artifact.save(folder, described, weights=made.state_dict())
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A network for Breakout that has not learned."""
    game = Breakout(60)
    made = method.ConvQPolicy(
        game.observation_space, game.action_space, layers=((4, 3, 1),), hidden=8, generator=generator(0, "weights")
    )
    return _save(tmp_path / "picture", made, "methods.drl_diagnosis:ConvQPolicy", game.world)


@pytest.fixture
def balance(tmp_path: Path) -> Path:
    """A linear rule that keeps the pole up: far better than random."""
    return _balancing(tmp_path / "balance", 1.0)


def _balancing(folder: Path, size: float) -> Path:
    game = CartPole(100)
    made = QPolicy(game.observation_space, game.action_space, hidden=())
    with torch.no_grad():
        weight = size * torch.tensor([0.05, 0.35, 1.0, 0.9])
        for parameter in made.parameters():
            parameter.copy_(torch.stack([-weight, weight]) if parameter.dim() == 2 else torch.zeros(2))
    world = {"name": "cart-pole", "arguments": {"horizon": 100}}
    return _save(folder, made, "blocks.policies:QPolicy", world)


def test_a_learned_policy_gets_its_direction(balance: Path, tmp_path: Path):
    done = apply(balance, episodes=4, repeats=2, horizon=0, attack_size=0.1, output=tmp_path / "out")
    assert "one direction makes up 100 % of its instability" in done.headline
    assert [row["set"] for row in done.tables["Sets of states"]] == ["independent run", *method.ATTACKS]
    direction = np.load(tmp_path / "out" / "direction.npy", allow_pickle=False)
    rule = np.array([0.05, 0.35, 1.0, 0.9])
    assert abs(direction @ rule) / np.linalg.norm(rule) == pytest.approx(1.0, abs=1e-5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(done.files)
    read = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    assert read["headline"] == done.headline


def test_an_agent_that_did_not_learn_is_void(picture: Path, tmp_path: Path):
    done = apply(picture, changes="blur,nesterov", output=tmp_path / "out", **SHORT)
    assert done.headline.startswith("void: ")
    assert "did not learn" in done.headline
    assert {row["verdict"] for row in done.tables["Sets of states"]} == {"the yardstick", "void"}
    assert done.notes[0].startswith("VOID")
    text = (tmp_path / "out" / "heat-maps.svg").read_text()
    assert text.count("<text") == 6
    assert {"top_energy", "entropy"} <= {row["figure"] for row in done.tables["Policy"]}
    assert "spectra.svg" in done.files
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_robust_policy_that_is_not_robust_is_void(balance: Path, tmp_path: Path):
    other = _balancing(tmp_path / "other", 2.0)  # the same decisions: as fragile as the first
    done = apply(balance, against=other, changes="none", radius=0.3, episodes=4, repeats=2, horizon=0)
    assert "is not robust" in done.headline
    assert {row["verdict"] for row in done.tables["Beside the other policy"]} == {"void"}


def test_a_robust_policy_is_compared(balance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other = _balancing(tmp_path / "other", 2.0)
    monkeypatch.setattr(application, "not_robust", lambda first, second: "")
    done = apply(balance, against=other, changes="none", radius=0.01, episodes=4, repeats=2, horizon=0,
                 output=tmp_path / "out")  # fmt: skip
    rows = {row["figure"]: row for row in done.tables["Beside the other policy"]}
    assert rows["squared cosine"]["first"] == pytest.approx(1.0)
    assert not {"top 1 % in common", "entropy"} & set(rows)  # four numbers are no picture
    assert not {"top_energy", "entropy"} & {row["figure"] for row in done.tables["Policy"]}
    assert "spectra.svg" not in done.files
    assert "against.csv" in done.files


def test_the_verdict_needs_both_robustness_and_an_advantage():
    def judged(kept: float) -> judging.Judged:
        return judging.Judged("policy", None, "", kept)  # type: ignore[arg-type]

    assert judging.not_robust(judged(0.1), judged(0.95)) == ""
    assert "keeps 50 %" in judging.not_robust(judged(0.1), judged(0.5))
    assert judging.not_robust(judged(0.1), judged(0.75)) == ""  # loses less than half of what the first loses
    assert "80 % and more" in judging.not_robust(judged(0.6), judged(0.75))
    assert judging.not_robust(judged(0.99), judged(0.9))
    assert judging.not_robust(judged(1.0), judged(1.0))  # no advantage
    assert judging.not_robust(judged(1.1), judged(1.05))
    assert judging.not_robust(judged(1.0), judged(1.01)) == ""
    assert judging._p_better(np.ones(3), np.zeros(3)) == 0.0
    assert judging._p_better(np.ones(3), np.ones(3)) == 1.0


def test_what_was_not_told_apart_is_not_said_to_be_alike(balance: Path):
    done = apply(balance, changes="deepfool", episodes=4, repeats=2, horizon=0, attack_size=0.1)
    assert done.tables["Sets of states"][1]["verdict"] == "not told apart"
    assert done.headline.endswith("none of the changes tried was told apart from an independent run")
    judged = application.Judged("policy", SimpleNamespace(figures={"share": np.ones(2)}), "", 1.0)  # type: ignore[arg-type]

    def said(*verdicts: str) -> str:
        rows: list[Any] = [{"set": f"set {i}", "verdict": each} for i, each in enumerate(("the yardstick", *verdicts))]
        return application._headline(judged, None, "", rows).partition("; ")[2]

    assert said() == ""
    assert said("moved", "closer", "moved") == "moved by set 1, set 3"
    assert said("closer", "not told apart").endswith("closer than an independent run: set 1")


def test_intervals_end_where_a_figure_can_be_no_larger_or_smaller():
    spread = np.array([0.05, 0.8])  # of two repeats: 0.425 +- 4.8
    figures = dict.fromkeys(reporting.FIGURES, spread) | {"participation": 1.0 + spread, "variation": spread}
    found: Any = SimpleNamespace(figures=figures, direction=torch.ones(4))
    rows = {row["figure"]: row for row in reporting.rows_of_figures(found, 0.95)}
    assert (rows["gap"]["low"], rows["gap"]["high"]) == (0.0, 1.0)
    assert rows["participation"]["low"] == 1.0
    assert float(rows["participation"]["high"] or 0) > 5
    assert rows["variation"]["low"] == 0.0
    other: Any = SimpleNamespace(
        figures={name: value[::-1] for name, value in figures.items()}, direction=torch.ones(4)
    )
    row = reporting.rows_of_both(found, other, "", 0.95)[0]
    assert (row["figure"], row["difference from"], row["to"]) == ("share", -1.0, 1.0)


def test_intervals_are_students():
    mean, low, high = interval(np.array([1.0, 2.0, 3.0]), 0.95)
    assert mean == 2.0
    assert (high - low) / 2.0 == pytest.approx(4.302652730 / math.sqrt(3.0))


def test_a_gymnasium_world_and_relabelled_states(balance: Path):
    done = apply(balance, env="CartPole-v1", changes="nesterov", relabel=True, episodes=3, repeats=2, horizon=40)
    row = done.tables["Sets of states"][1]
    assert row["return"] == done.tables["Sets of states"][0]["return"]
    assert any("after they were visited" in note for note in done.notes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"episodes": 0}, "episodes: got 0"),
        ({"repeats": 1}, "repeats: got 1"),
        ({"horizon": -1}, "horizon: got -1"),
        ({"seed": -3}, "seed: got -3"),
        ({"confidence": 1.0}, "confidence: got 1"),
        ({"confidence": math.nan}, "confidence: got nan"),
        ({"temperature": 0.0}, "temperature: got 0"),
        ({"temperature": math.inf}, "temperature: got inf"),
        ({"attack_size": -1.0}, "attack-size: got -1"),
        ({"radius": math.nan, "against": Path("nowhere")}, "radius: got nan"),
        ({"radius": 0.1}, "--radius: got 0.1, expected nothing .only with --against"),
        ({"relabel": True, "changes": "none"}, "--relabel: got True, expected nothing .with --changes none"),
        ({"attack_size": 3.0}, "--attack-size: got 3.0, expected nothing .none of the changes is an attack"),
        ({"attack_size": 3.0, "changes": "none"}, "--attack-size: got 3.0, expected nothing"),
        ({"loss": "hinge"}, "loss: got 'hinge'|loss: got hinge"),
        ({"changes": "smoke"}, "changes: got smoke"),
        ({"changes": "blur,,rotation"}, "changes: got nothing"),
        ({"changes": "blur,blur"}, "each name once"),
        ({"env": "no-such-world"}, "env: got no-such-world"),
        ({"env": "cart-pole"}, "made for another world"),
        ({"env": "Pendulum-v1"}, "discrete actions"),
        ({"against": Path("nowhere")}, "no such file or folder"),
        ({"output": Path(__file__)}, "a folder"),
    ],
)
def test_bad_options_are_refused_in_one_line(picture: Path, given: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message) as caught:
        apply(picture, **{**SHORT, "changes": "blur", **given})
    assert "\n" not in str(caught.value)


def test_without_bounds_each_number_is_changed_in_shares_of_its_own_range(balance: Path):
    """Beyond the range of the reference states, an attack of 0.01 moved states by up to 0.7."""
    sizes = []
    for size in (None, 0.01):
        changes = "nesterov,carlini-wagner"
        done = apply(balance, changes=changes, attack_size=size, episodes=3, repeats=2, horizon=40)
        sizes += [float(str(row["size of change"])) for row in done.tables["Sets of states"][1:]]
        limit = size or application.SMALL
        assert any(f"by at most {limit:g}, each of its numbers in shares" in note for note in done.notes)
    assert 0.05 < sizes[0] <= 0.1 + 1e-5
    assert 0.005 < sizes[2] <= 0.01 + 1e-5
    assert sizes[1] <= 0.1 + 1e-5
    assert sizes[3] <= 0.01 + 1e-5


def test_bad_artifacts_are_refused_in_one_line(picture: Path, balance: Path, tmp_path: Path):
    for path, message in (
        (tmp_path / "none", "no such file or folder"),
        (Path(__file__), "ends in neither"),
    ):
        with pytest.raises(InputError, match=message):
            apply(path, **SHORT)
    with pytest.raises(InputError, match="pictures"):
        apply(balance, changes="rotation", **SHORT)
    car = MountainCar()
    real = BoxPolicy(car.observation_space, car.action_space, hidden=(4,))
    with pytest.raises(InputError, match=r"^policy: got blocks\.policies:BoxPolicy .*, expected discrete actions"):
        apply(
            _save(tmp_path / "car", real, "blocks.policies:BoxPolicy", {"name": "mountain-car", "arguments": {}}),
            **SHORT,
        )
    game = CartPole(20)
    homeless = QPolicy(game.observation_space, game.action_space, hidden=(4,))
    with pytest.raises(InputError, match="env: got nothing"):
        apply(_save(tmp_path / "homeless", homeless, "blocks.policies:QPolicy", None), **SHORT)
    dead = QPolicy(game.observation_space, game.action_space, hidden=(4,))
    with torch.no_grad():
        for parameter in dead.parameters():
            parameter.zero_()
    folder = _save(tmp_path / "dead", dead, "blocks.policies:QPolicy", {"name": "cart-pole", "arguments": {}})
    with pytest.raises(InputError, match="all zero"):
        apply(folder, **SHORT)
    weights = picture / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(CorruptFileError):
        apply(picture, **SHORT)


def _pixels(png: bytes) -> np.ndarray:
    """A PNG of one block of unfiltered lines, every chunk of which carries its right checksum."""
    chunks, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + content),)
        chunks[kind] = content
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, 4)


def test_heat_maps_have_the_resolution_of_the_observation():
    shades = torch.linspace(0.0, 1.0, 84 * 84).reshape(84, 84)
    found = _pixels(plot._png(shades))
    assert found.shape == (84, 84, 4)
    assert found[..., 3] / 255.0 == pytest.approx(shades.numpy(), abs=1.0 / 255.0)


def test_pictures_of_any_size_are_drawn():
    text = heat_maps_svg({"a <b>": torch.ones(84, 84), "flat": torch.ones(1, 4)}, title="t")
    assert text.count("<rect") == 1 + 2
    assert text.count("<image") == 2
    assert "&lt;b&gt;" in text
    assert series_svg({"one": [1.0], "zeros": [0.0, 0.0]}, title="t").count("<polyline") == 2


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A small network for Freeway as it is drawn, that mostly goes up: better than random play."""
    pytest.importorskip("ale_py")
    task = AtariTask("freeway", 1)
    made = method.ConvQPolicy(
        task.observation_space, task.action_space, layers=((4, 8, 8),), hidden=8, scale=255.0,
        generator=generator(0, "weights"),
    )  # fmt: skip
    with torch.no_grad():
        made.network.advantage.bias[1] += 2.0
    world = {"name": "atari:freeway", "arguments": {}}
    return _save(tmp_path / "frames", made, "methods.drl_diagnosis:ConvQPolicy", world)


def test_pictures_of_atari_are_diagnosed_as_they_are_drawn(frames: Path, tmp_path: Path):
    given: dict[str, Any] = {"episodes": 2, "repeats": 2, "horizon": 20, "changes": "nesterov"}
    done = apply(frames, env="atari:freeway", output=tmp_path / "out", **given)
    assert np.load(tmp_path / "out" / "direction.npy", allow_pickle=False).shape == (4, 84, 84)
    rows = {row["set"]: row for row in done.tables["Sets of states"]}
    assert 0.5 < float(str(rows["nesterov"]["size of change"])) <= 1.0  # of the range, not of 255
    assert apply(frames, **given).tables == done.tables  # the policy's own world
    drawn = base64.b64decode((tmp_path / "out" / "heat-maps.svg").read_text().split("base64,")[1].split('"')[0])
    assert _pixels(drawn).shape == (84, 84, 4)


def test_states_of_atari_are_not_kept(frames: Path, monkeypatch: pytest.MonkeyPatch):
    passes: list[int] = []
    real = direction.decision_gradient

    def counted(values: Any, states: torch.Tensor, **given: Any) -> Any:
        passes.append(len(states))
        return real(values, states, **given)

    monkeypatch.setattr(direction, "decision_gradient", counted)
    found = method.diagnose(
        as_policy(frames), "atari:freeway", seed=0, changes=(),
        config=replace(method.Config.tiny(), episodes=4, repeats=1, horizon=100),
    )  # fmt: skip
    assert sum(passes) == 2 * 400
    assert max(passes) <= 128
    assert found.figures["states"].tolist() == [400.0]
    assert found.state.shape == (4, 84, 84)


@pytest.mark.parametrize(
    ("env", "message"),
    [("atari:pong", "3 actions, expected 6"), ("atari:smoke", "got atari:smoke"), ("minatar-freeway", "another world")],
)
def test_worlds_that_do_not_fit_atari_policies_are_refused(frames: Path, env: str, message: str):
    with pytest.raises(InputError, match=message) as caught:
        apply(frames, env=env, **SHORT)
    assert "\n" not in str(caught.value)


def test_a_missing_emulator_is_said_in_one_line(picture: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ale_py.roms", None)
    with pytest.raises(MissingExtraError, match=r"livepapers\[atari\]"):
        apply(picture, env="atari:freeway", **SHORT)


def test_a_p_that_is_no_number_voids_the_verdict(balance: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judging, "_p_better", lambda *_: math.nan)
    assert apply(balance, changes="none", **SHORT).headline.startswith("void: ")


def test_places_may_be_texts_and_a_diagnosis_takes_any_policy(balance: Path, tmp_path: Path):
    typed: Any = apply
    made = typed(str(balance), against=str(balance), changes="none", output=str(tmp_path / "out"), **SHORT)
    assert made.output == tmp_path / "out"
    config = replace(method.Config(), **SHORT)
    network = as_policy(balance).network
    assert network is not None
    found = [
        method.diagnose(source, CartPole(100), config=config, changes=(), seed=0).direction
        for source in (as_policy(balance), str(balance), network)
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


class Locked(CartPole):
    """A pole whose cart may be pushed to the right only."""

    def mask(self, state: Any) -> torch.Tensor:  # type: ignore[override]
        return torch.tensor([[False, True]]).expand(len(state[0]), 2)


def test_a_world_that_forbids_actions_is_not_diagnosed(balance: Path):
    config = replace(method.Config(), **SHORT)
    says = r"^env: got actions that are forbidden at times, expected a world without masks \(a diagnosis follows"
    with pytest.raises(InputError, match=says):
        method.diagnose(balance, Locked(20), config=config, changes=(), seed=0)


class Otherwise(torch.nn.Module):
    """A rule that balances, and values that are not its own."""

    def __init__(self, sign: float, extra: int = 0) -> None:
        super().__init__()
        self.sign, self.extra = sign, extra

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return (seen[:, 2] + 0.5 * seen[:, 3] > 0).long()

    def values(self, seen: torch.Tensor) -> torch.Tensor:
        tilt = self.sign * (seen[:, 2] + 0.5 * seen[:, 3])
        return torch.stack([-tilt, tilt, *[0.0 * tilt] * self.extra], 1)


def test_values_by_which_a_policy_does_not_act_are_refused():
    config = replace(method.Config(), **SHORT)
    assert method.diagnose(Otherwise(1.0), CartPole(20), config=config, changes=(), seed=0).direction.shape == (4,)
    for policy, says in (
        (
            Otherwise(-1.0),
            r"takes another action than that of its largest value in \d+ %, expected the values",
        ),
        (Otherwise(1.0, extra=1), r"whose values are \[\d+, 3\] for \d+ observations, expected \[\d+, 2\]"),
    ):
        with pytest.raises(InputError, match=f"^policy: got Otherwise.*{says}"):
            method.diagnose(policy, CartPole(20), config=config, changes=(), seed=0)


def test_a_few_vectors_together_are_no_picture():
    shapes = [(3, 4), (4, 30), (84, 84), (4, 84, 84), (10, 10, 4), (6,)]
    assert [collecting.is_picture(shape) for shape in shapes] == [False, False, True, True, True, False]


def test_verdicts_hold_together_however_many_changes_were_tried():
    steps = np.array([0.0, 0.001, 0.002])

    def verdicts(others: int) -> list[Any]:
        row = {"quotient": 0.9 - 0.01 * steps, "cosine": steps, "subspace": steps, "return": steps, "size": steps}
        moved = row | {"quotient": row["quotient"] - 0.003 - steps}
        table = {reporting.INDEPENDENT: row} | {f"change {k}": moved for k in range(others)}
        judged: Any = SimpleNamespace(found=SimpleNamespace(table=table), void="")
        return [one["verdict"] for one in reporting.rows_of_sets(judged, 0.95)[1:]]

    assert verdicts(1) == ["moved"]
    assert verdicts(9) == ["not told apart"] * 9


def test_a_person_names_a_module_also_with_arguments(balance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "poles_of_mine.py").write_text(
        "import gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        "def make(x=0, **given):\n    return CartPoleEnv(**given)\n"
        "gymnasium.register('PolesOfMine-v0', make, max_episode_steps=50)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gymnasium.envs.registration.registry", dict(gymnasium.registry))
    done = apply(balance, env="poles_of_mine:PolesOfMine-v0?x=1", changes="none", episodes=2, repeats=2, horizon=20)
    assert "its mean return is 20" in done.headline  # played there, for as long as was asked
