"""`livepapers apply deep-ga` on users' environments and genome files, good and bad."""

import csv
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from livepapers.blocks.policy_door import as_policy
from livepapers.cli.main import group
from livepapers.core import artifact
from livepapers.core.errors import CorruptFileError, InputError, Interrupted
from livepapers.lab import evaluation
from livepapers.methods import policy_smoothing
from livepapers.methods.deep_ga import Genome, Layout, apply, individuals, spreading, world_of
from livepapers.methods.deep_ga import application as module

QUICK: dict[str, Any] = {"generations": 3, "population": 12, "parents": 3, "validation": 2, "test_episodes": 20}


@pytest.fixture(scope="module")
def pole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("evolved") / "pole"
    apply(env="cart-pole", **QUICK, output=output)
    return output


def test_a_world_gives_a_policy_its_seeds_and_the_course_of_the_search(tmp_path: Path):
    done = apply(env="cart-pole", **QUICK, output=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(done.files)
    assert not (tmp_path / "out.partial").exists()
    assert [row["policy"] for row in done.tables[individuals.RESULT]] == ["elite", "20 networks with initial weights"]
    with (tmp_path / "out" / "generations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["evaluations"]) for row in rows] == [12, 24, 36]
    assert "bytes of seeds" in done.headline
    told = json.loads((tmp_path / "out" / "application.json").read_text())
    assert (told["headline"], told["tables"][individuals.RESULT]) == (done.headline, done.tables[individuals.RESULT])
    assert any("36 evaluations" in note for note in done.notes)


def test_the_genome_alone_becomes_the_same_policy(pole: Path, tmp_path: Path):
    done = apply(genome=pole / "genome.json", test_episodes=20, output=tmp_path / "again")
    first, again = artifact.load_weights(pole)["theta"], artifact.load_weights(tmp_path / "again")["theta"]
    assert first.numpy().tobytes() == again.numpy().tobytes()
    assert (tmp_path / "again" / "genome.json").read_text() == (pole / "genome.json").read_text()
    assert (pole / "genome.json").stat().st_size < 1500
    assert "rebuilt from" in done.notes[0]
    assert "gymnasium:CartPole-v1" in apply(genome=pole / "genome.json", env="CartPole-v1", test_episodes=3).headline


def test_other_commands_load_the_policy(pole: Path):
    saved = evaluation.load_policy(pole)
    found = evaluation.evaluate(saved, episodes=50, seed=3)
    assert found.returns.min() >= 1.0
    policy = as_policy(pole)
    assert policy.values is not None
    certified = policy_smoothing.apply(pole, sigma="0.2", budgets="0,0.1", episodes=100)
    assert "mean return" in certified.headline


def test_it_runs_in_gymnasium_and_with_novelty(tmp_path: Path):
    done = apply(env="CartPole-v1", algorithm="ga-ns", **QUICK, output=tmp_path / "out")
    assert done.headline.startswith("gymnasium:CartPole-v1")
    assert artifact.load(tmp_path / "out").spaces["task"] == {"name": "gymnasium:CartPole-v1", "arguments": {}}
    found = evaluation.evaluate(evaluation.load_policy(tmp_path / "out"), episodes=3, seed=0)
    assert len(found.returns) == 3
    again = apply(genome=tmp_path / "out" / "genome.json", test_episodes=4)
    assert again.tables[individuals.RESULT][0]["episodes"] == 4


def test_real_actions_and_discrete_observations():
    for env in ("clipped-pendulum", "FrozenLake-v1"):
        assert apply(env=env, **{**QUICK, "generations": 1}, hidden="8").tables[module.CURVE]


def test_an_interrupted_search_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = apply(env="cart-pole", **QUICK, output=tmp_path / "whole")
    update, calls = module.Evolution.update, []

    def stopping(self: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted("stopped")
        return update(self)

    monkeypatch.setattr(module.Evolution, "update", stopping)
    defaults = module.loop.drive.__kwdefaults__ or {}
    monkeypatch.setattr(module.loop.drive, "__kwdefaults__", {**defaults, "save_every": 0.0})
    with pytest.raises(Interrupted):
        apply(env="cart-pole", **QUICK, output=tmp_path / "cut")
    assert (tmp_path / "cut.partial").is_dir()
    assert not (tmp_path / "cut").exists()
    done = apply(env="cart-pole", **QUICK, output=tmp_path / "cut")
    assert done.tables == whole.tables
    for name in whole.files:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


WALK = """
import gymnasium
import numpy as np


class Walk(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        seen = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return seen, float(action), False, False, {}


gymnasium.register(id="MODULEendless-v0", entry_point="MODULE:Walk")
gymnasium.register(id="MODULElimited-v0", entry_point="MODULE:Walk", max_episode_steps=20)
"""
"""Environments of one's own that never end by themselves."""


def _walk(folder: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the names of its environments begin with, once it can be imported."""
    (folder / f"{module}.py").write_text(WALK.replace("MODULE", module))
    monkeypatch.chdir(folder)
    return f"{module}:{module}"


def test_fresh_episodes_are_cut_where_nothing_else_ends_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mine = _walk(tmp_path, "my_walk", monkeypatch)
    endless = apply(env=f"{mine}endless-v0", cap=5, **QUICK, output=tmp_path / "out")
    limited = apply(env=f"{mine}limited-v0", cap=5, **QUICK)
    assert "cut at 5 steps" in endless.notes[-1]
    assert not any("cut at 5 steps" in note for note in limited.notes)
    assert float(endless.tables[individuals.RESULT][0]["highest"]) <= 5.0  # type: ignore[arg-type]
    assert float(limited.tables[individuals.RESULT][0]["highest"]) > 5.0  # type: ignore[arg-type]


def test_an_elite_whose_fresh_episodes_fail_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> Any:
        raise InputError("env: mine raised RuntimeError: motor on fire")

    monkeypatch.setattr(module, "judged", broken)
    done = apply(env="cart-pole", **QUICK, output=tmp_path / "out")
    assert "NOT tested" in done.headline
    assert "motor on fire" in done.headline
    monkeypatch.undo()
    assert apply(genome=tmp_path / "out" / "genome.json", test_episodes=2).tables[individuals.RESULT]
    assert (tmp_path / "out" / "generations.csv").is_file()


def test_a_search_does_not_go_on_in_another_environment_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mine, update = _walk(tmp_path, "my_turning_walk", monkeypatch), module.Evolution.update

    def stopping(self: Any) -> dict[str, float]:
        if self.history:  # after the first step
            raise Interrupted("stopped")
        return update(self)

    monkeypatch.setattr(module.Evolution, "update", stopping)
    defaults = module.loop.drive.__kwdefaults__ or {}
    monkeypatch.setattr(module.loop.drive, "__kwdefaults__", {**defaults, "save_every": 0.0})
    for _ in range(2):  # the second goes on from the first
        with pytest.raises(Interrupted):
            apply(env=f"{mine}limited-v0", **QUICK, output=tmp_path / "out")
    file = tmp_path / "my_turning_walk.py"
    file.write_text(file.read_text().replace("float(action)", "-float(action)"))
    with pytest.raises(CorruptFileError, match="other work"):
        apply(env=f"{mine}limited-v0", **QUICK, output=tmp_path / "out")


def test_python_may_give_sequences_and_paths_as_text(tmp_path: Path):
    words: dict[str, Any] = {"env": "cart-pole", **QUICK, "generations": 1}
    typed = apply(**words, hidden="8,4", output=tmp_path / "typed")
    for number, hidden in enumerate([(8, 4), [8, 4], np.array([8, 4])]):
        folder: Any = str(tmp_path / f"given{number}")
        assert apply(**words, hidden=hidden, output=folder).tables == typed.tables  # type: ignore[arg-type]
    genome: Any = str(tmp_path / "typed" / "genome.json")
    assert apply(genome=genome, test_episodes=2).tables[individuals.RESULT]
    for wrong in ({"hidden": (8, 0)}, {"hidden": None}, {"hidden": (8.5,)}, {"env": gymnasium.make("CartPole-v1")}):
        with pytest.raises(InputError, match=f"^{next(iter(wrong))}: "):
            apply(**{**words, **wrong})


def test_random_search_asks_for_no_parents():
    assert apply(env="cart-pole", algorithm="random", population=4, generations=2, validation=0, test_episodes=2).tables


def test_an_elite_that_learned_nothing_is_called_that(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(individuals.Evaluator, "__call__", _flat(individuals.Evaluator.__call__))
    done = apply(env="cart-pole", **{**QUICK, "generations": 1})
    assert "NO better" in done.notes[0]


def _flat(call: Any) -> Any:
    def evaluated(self: Any, *args: Any, **options: Any) -> Any:
        found = call(self, *args, **options)
        return found._replace(returns=torch.zeros_like(found.returns))

    return evaluated


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "env and genome"),
        ({"env": "cart-pole", "genome": Path("x")}, "genome"),
        ({"env": "NoSuchThing-v0"}, "NoSuchThing"),
        ({"env": "atari of old"}, "env"),
        ({"env": "cart-pole", "algorithm": "pso"}, "algorithm"),
        ({"env": "cart-pole", "population": 1}, "population"),
        ({"env": "cart-pole", "algorithm": "random", "sigma": 3.0}, "--sigma: got 3.0, expected nothing"),
        ({"env": "cart-pole", "algorithm": "random", "parents": 20}, "--parents: got 20, expected nothing"),
        ({"env": "cart-pole", "population": 10, "parents": 11}, "parents"),
        ({"env": "cart-pole", "parents": 0}, "parents"),
        ({"env": "cart-pole", "sigma": 0.0}, "sigma"),
        ({"env": "cart-pole", "sigma": float("nan")}, "sigma"),
        ({"env": "cart-pole", "generations": 0}, "generations"),
        ({"env": "cart-pole", "validation": -1}, "validation"),
        ({"env": "cart-pole", "hidden": "16,,4"}, "hidden"),
        ({"env": "cart-pole", "hidden": ""}, "hidden"),
        ({"env": "cart-pole", "hidden": "0"}, "hidden"),
        ({"env": "cart-pole", "hidden": "large"}, "images"),
        ({"env": "cart-pole", "activation": "gelu"}, "activation"),
        ({"env": "cart-pole", "seed": -1}, "seed"),
        ({"env": "cart-pole", "cap": -5}, "cap"),
        ({"env": "cart-pole", "share": -1}, "share"),
        ({"env": "cart-pole", "test_episodes": 1}, "test-episodes"),
        ({"genome": Path("no_such_file.json")}, "genome"),
        ({"genome": Path("x"), "hidden": "8"}, "evolves nothing"),
        ({"genome": Path("x"), "spread": map}, "evolves nothing"),
    ],
)
def test_bad_options_give_one_line_and_write_nothing(options: dict[str, Any], named: str, tmp_path: Path):
    with pytest.raises(InputError, match=named) as caught:
        apply(**options, output=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[1, 2]",
        lambda text: "[" * 100_000,
        lambda text: _changed(text, "genome", "seeds", [1, "two"]),
        lambda text: _changed(text, "genome", "seeds", []),
        lambda text: _changed(text, "genome", "sigmas", [0.1] * 99),
        lambda text: _changed(text, "genome", "seeds", None, bump=True),
        lambda text: _changed(text, "genome", "signature", "00" * 8),
        lambda text: _changed(text, "layout", "hidden", [16, 17]),
        lambda text: _changed(text, "layout", "hidden", "huge"),
        lambda text: _changed(text, "layout", "activation", "sin"),
        lambda text: _changed(text, "layout", "action_space", {"kind": "code"}),
        lambda text: _changed(text, "world", "name", "os:system"),
        lambda text: _changed(text, "world", "name", "hard-maze"),
        lambda text: _changed(text, "world", "name", "gymnasium:antigravity:Evil-v0"),
        lambda text: _changed(text, "world", "arguments", {"no": 1}),
        lambda text: text.replace('"weights"', '"other"'),
    ],
)
def test_spoiled_genome_files_give_one_line(spoil: Any, pole: Path, tmp_path: Path):
    path = tmp_path / "genome.json"
    path.write_text(spoil((pole / "genome.json").read_text()))
    with pytest.raises(InputError) as caught:
        apply(genome=path, output=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["genome.json"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda text: json.dumps(json.loads(text) | {"genome": []}),
            "(genome: not readable (one of its values is of another kind",
        ),
        (lambda text: "[]", "(one of its values is of another kind than expected)"),
        (lambda text: "{}", "(no genome)"),
        (lambda text: "{", "(no JSON at line 1, column 2)"),
    ],
)
def test_what_is_wrong_with_a_genome_file_is_told_in_words_for_people(
    spoil: Any, said: str, pole: Path, tmp_path: Path
):
    path = tmp_path / "genome.json"
    path.write_text(spoil((pole / "genome.json").read_text()))
    with pytest.raises(InputError) as caught:
        apply(genome=path)
    assert said in str(caught.value)


def _changed(text: str, part: str, key: str, value: Any, *, bump: bool = False) -> str:
    values = json.loads(text)
    if bump:
        values[part][key][0] ^= 1
    else:
        values[part][key] = value
    return json.dumps(values)


def test_a_folder_with_files_is_not_overwritten(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="output"):
        apply(env="cart-pole", **QUICK, output=tmp_path)


def test_the_command_line(tmp_path: Path):
    words = ["apply", "deep-ga", "--env", "cart-pole", "--generations", "1", "--population", "6", "--parents", "2"]
    words += ["--validation", "1", "--test-episodes", "4", "--output", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["slug"] == "deep-ga"
    shown = CliRunner().invoke(group, ["evaluate", str(tmp_path / "out"), "--episodes", "5"])
    assert shown.exit_code == 0, shown.output


def test_an_engine_gives_the_same_bits(tmp_path: Path):
    """A share of the population is four members: the worker gets three shares a generation, and the validation."""
    words = ["apply", "deep-ga", "--env", "cart-pole", "--generations", "2", "--population", "12", "--parents", "3"]
    words += ["--validation", "2", "--share", "4", "--test-episodes", "4"]
    for name, place in (("here", []), ("there", ["--engine", "local", "--workers", "1"])):
        done = CliRunner().invoke(group, [*words, *place, "--output", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    for file in ("genome.json", "generations.csv", artifact.WEIGHTS):
        assert (tmp_path / "here" / file).read_bytes() == (tmp_path / "there" / file).read_bytes()


def test_a_worker_that_has_seen_the_parents_only_mutates(monkeypatch: pytest.MonkeyPatch):
    decoded: list[int] = []
    decode = Genome.decode

    def watched(genome: Genome, scale: Any) -> Any:
        decoded.append(genome.generation)
        return decode(genome, scale)

    monkeypatch.setattr(Genome, "decode", watched)
    parent = Genome((5,), (), _layout().signature)
    child = parent.mutated(6, 0.05)
    grandchild = child.mutated(7, 0.05)
    spreading._workplace.cache_clear()
    found = [spreading.evaluate(_share(one)) for one in (child, grandchild)]
    assert decoded == [0]
    spreading._workplace.cache_clear()
    again = spreading.evaluate(_share(grandchild))
    assert decoded == [0, 1]
    assert str(again) == str(found[1])


def test_what_goes_wrong_elsewhere_is_told_here():
    def loses(function: Any, items: Any) -> Any:
        raise RuntimeError("item 1 of 3: its worker process ended 3 times")

    with pytest.raises(Interrupted, match=r"a share of the population was lost.*ended 3 times"):
        apply(env="cart-pole", **QUICK, spread=loses)
    told = spreading.evaluate(_share(Genome((1,), (), "0" * 16)))
    with pytest.raises(InputError, match="signature"):
        spreading._as_evaluated(told)


def _layout() -> Layout:
    return Layout(*world_of("cart-pole")[1:])


def _share(genome: Genome) -> spreading.Share:
    place = json.dumps(["cart-pole", {}, _layout().arguments, 4, 0, "never"])
    return spreading.Share(place, range(1), (genome.to_bytes(),), episodes=1, seed=0)


@pytest.mark.parametrize("options", [["--workers", "2"], ["--address", "127.0.0.1:1"]])
def test_workers_need_an_engine(options: list[str]):
    done = CliRunner().invoke(group, ["apply", "deep-ga", "--env", "cart-pole", *options])
    assert isinstance(done.exception, InputError)
    assert options[0].strip("-") in str(done.exception)


def test_arguments_of_a_world_are_kept_with_what_was_evolved(tmp_path: Path):
    apply(env="cart-pole?horizon=12", generations=1, population=4, parents=2, test_episodes=2, output=tmp_path / "out")
    world = {"name": "cart-pole", "arguments": {"horizon": 12}}
    assert artifact.load(tmp_path / "out").spaces["task"] == world
    assert json.loads((tmp_path / "out" / "genome.json").read_text())["world"] == world
    policy = evaluation.load_policy(tmp_path / "out")
    for env, longest in ((None, 12), ("cart-pole", 12), ("cart-pole?horizon=5", 5)):
        assert evaluation.evaluate(policy, episodes=20, seed=0, env=env).returns.max() <= longest
