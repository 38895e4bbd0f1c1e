"""Policies of any origin act through one door."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import Tensor, nn

from livepapers.blocks.policies import GreedyPolicy, QPolicy
from livepapers.blocks.policy_door import as_policy, frames_of, require_actions, takes_mask
from livepapers.core.errors import InputError

SEEN, ACTIONS = Box(-1.0, 1.0, (4,), np.float32), Discrete(2)


class Agent:
    """As Stable-Baselines3 has them."""

    observation_space, action_space = SEEN, ACTIONS

    def predict(self, observation: np.ndarray, *, deterministic: bool) -> tuple[np.ndarray, None]:
        assert deterministic
        return (observation[:, 0] > 0).astype(np.int64), None


def test_functions_modules_and_agents_give_the_same_actions():
    seen = torch.linspace(-1.0, 1.0, 12).reshape(3, 4)

    class First(nn.Module):
        def forward(self, seen: Tensor) -> Tensor:
            return (seen[:, 0] > 0).long()

    answers = [as_policy(each).act(seen, None) for each in (First(), First().forward, Agent())]
    assert all(torch.equal(each, answers[0]) for each in answers)
    assert as_policy(Agent()).shape == (4,)
    assert as_policy(Agent()).actions == ACTIONS
    assert as_policy(First()).values is None


@pytest.mark.parametrize(
    ("policy", "takes"),
    [
        (lambda seen: seen, False),
        (lambda seen, mask: mask, True),
        (lambda seen, mask=None: mask, True),
        (lambda seen, allowed: allowed, True),
        (lambda seen, deterministic=True: deterministic, False),
        (lambda *given: given, True),
        (lambda seen, *, mask=None: mask, False),  # handed by place
        (nn.Linear(2, 2), False),
        (len, False),
    ],
)  # fmt: skip
def test_a_mask_is_handed_to_what_takes_one(policy: Callable[..., Any], takes: bool):
    assert takes_mask(policy) is takes


def test_what_takes_no_mask_acts_without_it():
    seen, mask = torch.tensor([[1.0, 0.0]]), torch.tensor([[False, True]])
    assert as_policy(lambda seen: seen.argmax(1)).act(seen, mask).tolist() == [0]
    assert as_policy(lambda seen, mask: mask.long().argmax(1)).act(seen, mask).tolist() == [1]


def test_masks_reach_agents_that_take_them():
    class Maskable(Agent):
        def predict(
            self, observation: np.ndarray, *, deterministic: bool, action_masks: np.ndarray | None = None
        ) -> tuple[np.ndarray, None]:
            preferred = super().predict(observation, deterministic=deterministic)[0]
            if action_masks is None:
                return preferred, None
            allowed = action_masks[np.arange(len(preferred)), preferred]
            return np.where(allowed, preferred, action_masks.argmax(1)), None

    seen, mask = torch.ones(2, 4), torch.tensor([[True, False], [True, True]])
    assert as_policy(Maskable()).act(seen, None).tolist() == [1, 1]
    assert as_policy(Maskable()).act(seen, mask).tolist() == [0, 1]
    assert as_policy(Agent()).act(seen, mask).tolist() == [1, 1]


def test_an_agent_whose_memory_would_be_lost_is_refused():
    class Recurrent:
        def predict(self, observation: np.ndarray, *, deterministic: bool) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
            assert deterministic
            return np.zeros(len(observation), np.int64), (np.zeros(3), np.zeros(3))

    with pytest.raises(InputError, match=r"^policy: got Recurrent\.predict, which returns a state, expected no memory"):
        as_policy(Recurrent()).act(torch.zeros(2, 4), None)


def test_preferences_of_actions_can_be_differentiated():
    seen = torch.zeros(2, 4, requires_grad=True)
    for policy in (
        QPolicy(SEEN, ACTIONS, hidden=(3,)),
        GreedyPolicy(SEEN, ACTIONS, hidden=(3,), activation="tanh", normalise=True).eval(),
    ):
        values = as_policy(policy).values
        assert values is not None
        found = values(seen)
        assert found.shape == (2, 2)
        assert torch.equal(found.argmax(1), policy(seen))
        assert torch.autograd.grad(found.sum(), seen)[0].shape == seen.shape


def test_frames_are_counted_from_the_shapes():
    stacked = as_policy(QPolicy(Box(-1.0, 1.0, (5, 4), np.float32), ACTIONS))
    flat = as_policy(QPolicy(Box(-1.0, 1.0, (20,), np.float32), ACTIONS))
    assert frames_of(stacked, SEEN) == frames_of(flat, SEEN) == 5
    assert frames_of(as_policy(Agent()), SEEN) == 1
    with pytest.raises(InputError, match="made for another world"):
        frames_of(stacked, Box(-1.0, 1.0, (3,), np.float32))


def test_what_is_no_policy_is_refused(tmp_path: Path):
    for bad in (3, "nowhere", tmp_path / "nothing.onnx"):
        with pytest.raises(InputError):
            as_policy(bad)
    with pytest.raises(InputError, match="evaluation mode"):
        as_policy(nn.Sequential(nn.Dropout(0.5)))

    class OfStates(nn.Module):
        takes = "state"

    with pytest.raises(InputError, match="policy of observations"):
        as_policy(OfStates())


def test_what_gives_no_actions_is_refused():
    def broken(seen: Tensor) -> Tensor:
        raise ValueError("no\nidea")

    class Silent:
        def predict(self, observation: np.ndarray, *, deterministic: bool) -> None:
            del observation, deterministic

    for source, says in (
        (lambda seen: None, "^policy: got <lambda>, which gave nothing, expected actions"),
        (lambda seen: "left", "which gave a str"),
        (Silent(), r"Silent\.predict, which gave nothing"),
        (broken, "^policy: broken raised ValueError: no idea"),
        (nn.Linear(3, 1), "^policy: Linear raised RuntimeError: mat1 and mat2"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            as_policy(source).act(torch.zeros(2, 4), None)
        assert "\n" not in str(caught.value)


def test_actions_are_those_of_their_space():
    late, pair, real = Discrete(2, start=3), MultiDiscrete([2, 3]), Box(-1.0, 1.0, (2,))
    for actions, space in (
        (torch.tensor([0, 1]), ACTIONS), (torch.tensor([3, 4], dtype=torch.int32), late),
        (torch.tensor([[1, 2], [0, 0]]), pair), (torch.full((2, 2), 9.0), real),  # boxes are clipped by their worlds
    ):  # fmt: skip
        assert torch.equal(require_actions(actions, space, 2, about="mine"), actions)
    assert require_actions(torch.tensor([True, False]), ACTIONS, 2, about="mine").tolist() == [1, 0]
    for actions, space, says in (
        (torch.zeros(2, 2), ACTIONS, r"policy: got mine.*shape \[2, 2\], expected \[2\].*logits"),
        (torch.zeros(2, 4), ACTIONS, r"shape \[2, 4\], expected \[2\], one of Discrete\(2\) a lane$"),
        (torch.zeros(2), real, "shape"),
        (torch.zeros(2), ACTIONS, r"gives torch\.float32, expected whole numbers"),
        (torch.tensor([1, 7]), ACTIONS, r"took action 7, expected actions of Discrete\(2\)"),
        (torch.tensor([0, -1]), ACTIONS, "took action -1"),
        (torch.tensor([2, 3]), late, "took action 2"),
        (torch.tensor([[1, 2], [0, 3]]), pair, "took action 3"),
        (torch.full((2, 2), torch.nan), real, "not finite"),
    ):
        with pytest.raises(InputError, match=says):
            require_actions(actions, space, 2, about="mine")


def test_a_file_with_a_fixed_batch_says_how_to_export_it(tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kinds = onnx.helper, onnx.TensorProto
    for batch, name in ((1, "fixed"), ("batch", "dynamic")):
        seen = helper.make_tensor_value_info("observation", kinds.FLOAT, [batch, 4])
        action = helper.make_tensor_value_info("action", kinds.INT64, [batch])
        node = helper.make_node("ArgMax", ["observation"], ["action"], axis=1, keepdims=0)
        graph = helper.make_graph([node], "policy", [seen], [action])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (tmp_path / f"{name}.onnx").write_bytes(made.SerializeToString())
    assert as_policy(tmp_path / "dynamic.onnx").act(torch.eye(4)[:3], None).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"^artifact: got fixed\.onnx: a batch of 1, .*with a dynamic batch axis\)$"):
        as_policy(tmp_path / "fixed.onnx")
