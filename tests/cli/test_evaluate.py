"""A saved policy is put back into its world, and leaves as ONNX with the same actions or not at all."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from cli.conftest import Cli
from livepapers.blocks.policies import BoxPolicy, GreedyPolicy, QPolicy
from livepapers.blocks.policy_door import TASK, as_policy
from livepapers.core import artifact as artifacts
from livepapers.core.errors import InputError
from livepapers.core.files import new_folder
from livepapers.core.rng import generator
from livepapers.lab import evaluation
from livepapers.lab.evaluation import SavedPolicy, load_policy, run_episodes
from livepapers.tasks import spaces
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.vector import SimulatorTask

CART_POLE = {"task": {"name": "cart-pole", "arguments": {}}}


def save(folder: Path, policy: Any, world: dict[str, Any], kind: Any = "policy") -> Path:
    name = f"blocks.policies:{type(policy).__name__}"
    described = artifacts.Artifact(kind, "pdppo", name, policy.arguments, {"seed": 0}, spaces=world)
    with new_folder(folder) as made:
        artifacts.save(made, described, weights=policy.state_dict())
    return folder


def greedy(observation: Any = None, action: Any = None) -> GreedyPolicy:
    world = CartPole()
    policy = GreedyPolicy(
        observation or world.observation_space, action or world.action_space, hidden=(8,), activation="tanh",
        normalise=True,
    )  # fmt: skip
    for index, parameter in enumerate(policy.parameters()):
        parameter.data = torch.randn(parameter.shape, generator=generator(index, "test"))
    assert policy.normaliser is not None
    policy.normaliser.update(torch.randn(50, policy.normaliser.mean.shape[0], generator=generator(1)))
    return policy


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(tmp_path / "policy", greedy(), CART_POLE)


def test_the_mean_return_is_that_of_the_episodes(cli: Cli, saved: Path, tmp_path: Path):
    table = tmp_path / "episodes.csv"
    found = cli("evaluate", str(saved), "--episodes", "20", "--seed", "3", "--json", "--output", str(table))
    assert found.status == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    returns = [float(row["return"]) for row in rows]
    assert len(rows) == found.json["episodes"] == 20
    assert found.json["mean return"] == pytest.approx(np.mean(returns))
    assert found.json["95 % from"] <= np.mean(returns) <= found.json["to"]
    assert all(float(row["length"]) == float(row["return"]) for row in rows), "the cart-pole pays 1 a step"
    again = cli("evaluate", str(saved), "--episodes", "20", "--seed", "3", "--json")
    assert again.json == found.json
    assert cli("evaluate", str(saved), "--episodes", "20", "--seed", "4", "--json").json != found.json
    assert "cart-pole" in cli("evaluate", str(saved), "--episodes", "1").out


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "ARTIFACT", "--output"), ("export", "ARTIFACT", "--onnx"), ("run", "hdpo", "--html"),
        ("apply", "deep-ga", "--env", "cart-pole", "--output"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_what_is_written_goes_into_a_folder_that_exists(cli: Cli, saved: Path, tmp_path: Path, words: tuple[str, ...]):
    place = tmp_path / "no" / "x"
    found = cli(*(str(saved) if word == "ARTIFACT" else word for word in words), str(place))
    assert found.status == 2
    assert found.err.startswith(f"Error: {words[-1]}: got ")
    assert found.err.endswith("expected a place in a folder that exists (mistyped, or to be made first?)\n")
    assert not place.parent.exists()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("files", [], "files is a list, expected an object"), ("architecture", 5, "architecture is a whole number")],
)
def test_a_damaged_description_is_no_fault_of_ours(cli: Cli, saved: Path, key: str, value: object, said: str):
    path = saved / "artifact.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    found = cli("evaluate", str(saved))
    assert found.status == 2
    assert said in found.err
    assert len(found.err.splitlines()) == 1


def first_observation(saved: Path) -> torch.Tensor:
    """What a policy sees first in the worlds of seed 5."""
    seen: list[torch.Tensor] = []
    policy = load_policy(saved)
    policy.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    run_episodes(policy, SimulatorTask(CartPole(), 8), seed=5)
    return seen[0]


def test_two_policies_start_in_the_same_worlds(saved: Path):
    assert torch.equal(first_observation(saved), first_observation(saved))


def test_a_policy_can_be_put_into_gymnasiums_environment(cli: Cli, saved: Path):
    found = cli("evaluate", str(saved), "--env", "CartPole-v1", "--episodes", "3", "--json").json
    assert found["world"] == "gymnasium:CartPole-v1"
    assert found["mean return"] >= 8


def test_few_episodes_get_no_interval_and_no_interval_goes_beyond_the_episodes(cli: Cli, saved: Path):
    five = cli("evaluate", str(saved), "--episodes", "5", "--json").json
    assert five["95 % from"] is None
    assert five["to"] is None
    for seed in range(8):  # the tails of most lie where no episode was
        six = cli("evaluate", str(saved), "--episodes", "6", "--seed", str(seed), "--json").json
        assert six["lowest"] <= six["95 % from"] <= six["mean return"] <= six["to"] <= six["highest"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "NoSuch-v3"], "NoSuch"),
        (["--env", "MountainCar-v0"], "observation space"),
        (["--episodes", "0"], "x>=1"),
    ],
)
def test_worlds_that_do_not_fit_are_answered_in_one_line(cli: Cli, saved: Path, arguments: list[str], message: str):
    found = cli("evaluate", str(saved), *arguments)
    assert found.status == 2
    assert message in found.err
    assert "Traceback" not in found.err


def test_artifacts_that_are_no_policies_or_name_no_world_are_refused(cli: Cli, tmp_path: Path):
    network = save(tmp_path / "network", greedy(), CART_POLE, kind="network")
    assert "got a network in" in cli("evaluate", str(network)).err
    estimator = save(tmp_path / "estimator", greedy(), CART_POLE, kind="estimator")
    assert "got an estimator in" in cli("evaluate", str(estimator)).err
    homeless = save(tmp_path / "homeless", greedy(), {})
    found = cli("evaluate", str(homeless))
    assert (found.status, "--env" in found.err) == (2, True)
    foreign = save(tmp_path / "foreign", greedy(), {"task": {"name": "os:system", "arguments": {"command": "ls"}}})
    assert "one of cart-pole" in cli("evaluate", str(foreign)).err


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate",), ("export", "--onnx", "x.onnx"), ("apply", "drl-diagnosis"),
        ("apply", "policy-smoothing", "--sigma", "0.1", "--budgets", "0.1"),
    ],
    ids=lambda words: "-".join(words[:2]),
)  # fmt: skip
def test_no_file_makes_a_command_import_a_module(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
):
    (tmp_path / "named_by_a_file_lp.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    world = {"task": {"name": "gymnasium:named_by_a_file_lp:Foo-v0", "arguments": {}}}
    space = CartPole().observation_space, CartPole().action_space
    hostile = save(tmp_path / "hostile", QPolicy(*space, hidden=(8,)), world)
    given = [*words, str(hostile)] if words[0] == "apply" else [words[0], str(hostile), *words[1:]]
    found = cli(*given)
    assert found.status == 2
    assert "named_by_a_file_lp" not in sys.modules
    assert "the world gymnasium:named_by_a_file_lp:Foo-v0, expected" in found.err
    assert "(a file may not name a module to import; say --env if you trust it)" in found.err
    assert not found.err.startswith("Error: env")
    assert "No module named" not in found.err
    assert "Foo" in cli(*given, "--env", "named_by_a_file_lp:Foo-v0").err  # who types it trusts it
    assert sys.modules.pop("named_by_a_file_lp")


def test_masked_actions_are_never_taken(monkeypatch: pytest.MonkeyPatch):
    class OnlyLeft(CartPole):
        def mask(self, state: Any) -> Any:
            return torch.tensor([[True, False]]).expand(len(state.place), -1)

    task = SimulatorTask(OnlyLeft(), 4)
    policy = SavedPolicy(artifacts.Artifact("policy", "pdppo", "", {}, {}), greedy())
    task.reset(0)
    assert bool((evaluation.act(policy, task, task.simulator.observe(task.state)) == 0).all())  # type: ignore[arg-type]


def test_policies_of_states_are_evaluated_but_not_exported(cli: Cli, tmp_path: Path, samples_of_hdpo: Path):
    found = cli("evaluate", str(samples_of_hdpo), "--episodes", "6", "--json")
    assert found.status == 0, found.err
    assert found.json["world"] == "inventory"
    assert found.json["mean return"] < 0 or found.json["mean return"] > 0
    refused = cli("export", str(samples_of_hdpo), "--onnx", str(tmp_path / "x.onnx"))
    assert refused.status == 2
    assert "states" in refused.err
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("env", ["CartPole-v1", "cart-pole", "reactor", "hard-maze"])
def test_a_policy_of_states_says_whose_they_are(cli: Cli, samples_of_hdpo: Path, env: str):
    found = cli("evaluate", str(samples_of_hdpo), "--env", env)
    said = "expected inventory, which it was made for (this policy acts on a simulator's states)"
    world = f"gymnasium:{env}" if env == "CartPole-v1" else env
    assert (found.status, found.err) == (2, f"Error: world: got {world}, {said}\n")


@pytest.fixture
def samples_of_hdpo(tmp_path: Path) -> Path:
    from livepapers import samples
    from livepapers.methods import hdpo

    network, demand = samples.path("one_store.yml"), samples.path("one_store_demand.csv")
    hdpo.apply(Path(network), Path(demand), policy="base-stock", updates=2, output=tmp_path / "orders")
    return tmp_path / "orders"


def box(low: Any, high: Any, *shape: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(low, high, shape, np.float32)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("policy", "world"),
    [
        (greedy(), CART_POLE),
        (greedy(box(-5, 5, 3), gymnasium.spaces.MultiDiscrete([2, 4, 3])), {}),
        (greedy(box(-5, 5, 2, 2), box(0, 10, 2)), {}),
        (BoxPolicy(box(-np.inf, np.inf, 3), box(-2, 2, 1), hidden=(8,)), {}),
        (QPolicy(CartPole().observation_space, CartPole().action_space, hidden=(8,), dueling=True), CART_POLE),
    ],
    ids=["discrete", "parts", "box", "deterministic", "values"],
)
def test_the_onnx_file_gives_the_same_actions(cli: Cli, tmp_path: Path, policy: Any, world: dict[str, Any]):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    folder, target = save(tmp_path / "policy", policy, world), tmp_path / "policy.onnx"
    found = cli("export", str(folder), "--onnx", str(target))
    assert found.status == 0, found.err
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    observation = torch.randn(7, *policy.observation_space.shape, generator=generator(3))
    with torch.no_grad():
        expected = policy(observation).numpy()
    assert np.allclose(session.run(None, {"observation": observation.numpy()})[0], expected, atol=1e-5)
    assert as_policy(target).task == world.get("task")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_onnx_file_is_evaluated_as_its_artifact_is(cli: Cli, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    world = {"task": {"name": "cart-pole", "arguments": {"horizon": 30}}}
    folder, file = save(tmp_path / "policy", greedy(), world), tmp_path / "policy.onnx"
    assert cli("export", str(folder), "--onnx", str(file)).status == 0
    words = ("--episodes", "8", "--seed", "2", "--json")
    own, theirs = cli("evaluate", str(folder), *words).json, cli("evaluate", str(file), *words).json
    assert theirs == {**own, "artifact": str(file), "slug": None}
    assert "ONNX file policy.onnx, seed 0" in cli("evaluate", str(file), "--episodes", "1").out
    model = onnx.load(str(file))
    del model.metadata_props[:]
    onnx.save(model, str(file))  # as other programs write them
    nowhere = cli("evaluate", str(file), *words)
    assert (nowhere.status, nowhere.err.count("\n")) == (2, 1)
    assert "the policy does not say what it was made for; name a world with --env" in nowhere.err
    assert cli("evaluate", str(file), *words, "--env", "cart-pole").json["episodes"] == 8
    misfit = cli("evaluate", str(file), *words, "--env", "mountain-car").err
    assert misfit == "Error: world: got observations of shape (2,), expected (4,), which the policy takes\n"


def test_a_file_that_is_no_onnx_file_is_refused(cli: Cli, tmp_path: Path):
    (tmp_path / "policy.txt").write_text("no policy")
    found = cli("evaluate", str(tmp_path / "policy.txt"), "--env", "cart-pole")
    assert found.status == 2
    assert "expected a folder with artifact.json, or an .onnx file" in found.err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_onnx_file_whose_world_was_spoiled_is_refused(cli: Cli, saved: Path, tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    target = tmp_path / "policy.onnx"
    assert cli("export", str(saved), "--onnx", str(target)).status == 0
    model = onnx.load(str(target))
    onnx.helper.set_model_props(model, {TASK: "[1"})
    onnx.save(model, str(target))
    with pytest.raises(InputError, match=r"policy\.onnx: metadata livepapers\.task: got \[1, expected a JSON object"):
        as_policy(target)


def test_a_file_that_would_differ_is_not_written(
    cli: Cli, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from livepapers.lab import onnx_export

    monkeypatch.setattr(onnx_export, "_difference", lambda *_: 1e-3)
    target = tmp_path / "policy.onnx"
    target.write_bytes(b"the old one")
    found = cli("export", str(saved), "--onnx", str(target))
    assert found.status == 2
    assert "differ by 0.001" in found.err
    assert target.read_bytes() == b"the old one"


def test_a_missing_extra_is_named(cli: Cli, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = cli("export", str(saved), "--onnx", str(tmp_path / "policy.onnx"))
    assert found.status == 2
    assert "livepapers[export]" in found.err


@pytest.mark.parametrize(
    "space",
    [
        box(-1, 1, 3),
        box(-np.inf, np.inf, 2, 2),
        gymnasium.spaces.Box(np.array([0, -np.inf], np.float32), np.array([1, 5], np.float32)),
        gymnasium.spaces.Box(0, 255, (2, 2), np.uint8),
        gymnasium.spaces.Discrete(3, start=2),
        gymnasium.spaces.MultiDiscrete([2, 3], start=[1, 0]),
    ],
)
def test_spaces_survive_json(space: Any):
    assert spaces.from_json(json.loads(json.dumps(spaces.to_json(space), allow_nan=False))) == space


def test_an_onnx_file_is_named_as_one(cli: Cli, saved: Path, tmp_path: Path):
    found = cli("export", str(saved), "--onnx", str(tmp_path / "policy.txt"))
    assert found.status == 2
    assert found.err.startswith("Error: --onnx: got ")
    assert "policy.txt, expected a name that ends in .onnx" in found.err
    assert not (tmp_path / "policy.txt").exists()
