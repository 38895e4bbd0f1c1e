"""Whatever a method trains leaves as an ONNX file with the same actions, or is refused in one line that says why."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import Tensor, nn

from livepapers import samples
from livepapers.baselines.harvest_rules import HarvestRule
from livepapers.core.artifact import Artifact
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.lab.evaluation import SavedPolicy, check_fit, evaluate, let_in
from livepapers.lab.onnx_export import TOLERANCE, export
from livepapers.methods.deep_ga import EvolvedPolicy
from livepapers.methods.sindy_rl import DictionaryPolicy, Library
from livepapers.tasks import worlds
from livepapers.tasks.ecosystem_model import three_species
from livepapers.tasks.lot_sizing import LotSizing
from livepapers.tasks.lot_sizing_plant import LotSizingPlant

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def trained(slug: str) -> SavedPolicy:
    method = importlib.import_module(f"livepapers.methods.{slug.replace('-', '_')}")
    learner = method.example(method.Config.tiny(), 0)
    learner.update()
    policy = learner.policy if isinstance(learner.policy, nn.Module) else learner.policy()
    described = learner.artifact() if slug in ("pdppo", "ospo", "dcg-map-elites") else saved(policy).description
    return SavedPolicy(described, policy)


def saved(policy: nn.Module, task: Any = None) -> SavedPolicy:
    spaces: dict[str, Any] = {} if task is None else {"task": task}
    return SavedPolicy(Artifact("policy", "pdppo", type(policy).__name__, {}, {}, spaces=spaces), policy)


PLANT = LotSizingPlant.from_file(samples.path("bakery_plant.yml"))  # a world with a mask
WRITTEN = ("pdppo", "sindy-rl", "deep-ga", "dcg-map-elites", "policy-smoothing", "drl-diagnosis")


@pytest.mark.parametrize("slug", WRITTEN)
def test_what_a_method_trains_is_written_with_the_same_actions(slug: str, tmp_path: Path):
    target = tmp_path / "policy.onnx"
    assert export(trained(slug), target) <= TOLERANCE
    assert target.exists()


@pytest.mark.parametrize(("slug", "reason"), [("ospo", "matching"), ("hdpo", "a simulator's states")])
def test_what_no_file_of_tensors_can_hold_is_refused(slug: str, reason: str, tmp_path: Path, capfd: Any):
    with pytest.raises(InputError, match=reason):
        export(trained(slug), tmp_path / "policy.onnx")
    assert capfd.readouterr().out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("actions", "images"), [(MultiDiscrete([2, 3]), False), (Box(-2, 2, (2,)), False), (Discrete(6), True)]
)
def test_evolved_networks_of_every_kind_are_written(actions: Any, images: bool, tmp_path: Path):
    seen = Box(0, 255, (4, 84, 84), np.uint8) if images else Box(-1, 1, (4,))
    policy = EvolvedPolicy(seen, actions, hidden="small" if images else (16,), activation="relu")
    policy.theta.data = 0.3 * torch.randn(len(policy.theta), generator=generator(1))
    assert export(saved(policy), tmp_path / "policy.onnx", probes=32) <= TOLERANCE


def test_a_policy_that_says_nothing_of_what_it_observes_is_asked_of_its_world(tmp_path: Path):
    class Silent(nn.Module):
        def forward(self, observation: Tensor) -> Tensor:
            return (observation[:, 2] > 0).long()

    with pytest.raises(InputError, match="neither it nor a world says what it observes"):
        export(saved(Silent()), tmp_path / "policy.onnx")
    assert export(saved(Silent(), {"name": "cart-pole", "arguments": {}}), tmp_path / "policy.onnx") == 0.0


def test_steps_that_onnx_does_not_have_are_named_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    class Roots(nn.Module):
        observation_space = Box(-1, 1, (2, 2))

        def forward(self, observation: Tensor) -> Tensor:
            return torch.linalg.eigvals(observation).real

    with pytest.raises(InputError, match=r"a step of it is none of ONNX's: .*eig"):
        export(saved(Roots()), tmp_path / "policy.onnx")
    assert capfd.readouterr() == ("", "")


def test_a_world_that_does_not_fit_is_refused_even_if_the_policy_does_not_say_what_it_observes():
    policy = DictionaryPolicy(Library(2, 0, degree=2), low=[-1.0], high=[1.0])
    cart_pole = worlds.make("cart-pole", {}, lanes=2)
    with pytest.raises(InputError, match="world: got cart-pole, expected one that the policy was made for"):
        check_fit(saved(policy), cart_pole, world="cart-pole")


def test_actions_of_another_kind_are_refused_before_episodes_are_played():
    class Pushing(nn.Module):
        def forward(self, observation: Tensor) -> Tensor:
            return observation[:, :1]

    with pytest.raises(InputError, match="world: got cart-pole, expected one that the policy was made for"):
        check_fit(saved(Pushing()), worlds.make("cart-pole", {}, lanes=2), world="cart-pole")


class Blind(nn.Module):
    """All machines stay idle, whatever is seen."""

    def __init__(self, looks_at: str) -> None:
        super().__init__()
        self.looks_at = looks_at

    def forward(self, observation: Tensor, mask: Tensor) -> Tensor:
        if self.looks_at == "the mask":
            return torch.where(mask[:, :1], 0, 0).expand(-1, len(PLANT.machines))
        count = observation.shape[0] if self.looks_at == "how many there are" else len(observation)
        return torch.zeros(count, len(PLANT.machines), dtype=torch.long)


@pytest.mark.parametrize("looks_at", ["nothing", "how many there are", "the mask"])
def test_inputs_that_a_policy_does_not_look_at_are_in_the_file_all_the_same(looks_at: str, tmp_path: Path):
    blind = saved(Blind(looks_at), LotSizing(PLANT).world)
    assert export(blind, tmp_path / "policy.onnx", probes=32) == 0.0
    ours, theirs = (evaluate(one, episodes=3, seed=0) for one in (blind, let_in(tmp_path / "policy.onnx")))
    assert ours.returns.tolist() == theirs.returns.tolist()


def test_a_constant_mortality_is_written_with_the_same_actions(tmp_path: Path):
    world = {"name": "ecosystem", "arguments": {"model": three_species().to_json()}}
    fished = saved(HarvestRule("mortality", (0, 1), 4.0, [0.2, 0.3]), world)
    assert export(fished, tmp_path / "rule.onnx", probes=32) == 0.0
    ours, theirs = (evaluate(one, episodes=3, seed=0) for one in (fished, let_in(tmp_path / "rule.onnx")))
    assert ours.returns.tolist() == theirs.returns.tolist()
