"""`blocks.selection`: the best policy that a training passes is kept, refused ones are not; runs resume."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from livepapers.blocks.selection import Selected
from livepapers.core.errors import CorruptFileError
from livepapers.core.learner import Learner, State


class Counting(Learner):
    """A policy whose one weight is the number of updates."""

    def __init__(self) -> None:
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)

    def update(self) -> dict[str, float]:
        with torch.no_grad():
            self.network.weight += 1.0
        return {"loss": 0.5}

    def policy(self) -> nn.Module:
        made = nn.Linear(1, 1, bias=False)
        made.load_state_dict(self.network.state_dict())
        return made

    def state_dict(self) -> dict[str, Any]:
        return {"weight": self.network.weight.detach().clone()}

    def load_state_dict(self, state: State) -> None:
        with torch.no_grad():
            self.network.weight.copy_(state["weight"])

    def work(self) -> dict[str, int]:
        return {"updates": int(self.network.weight.detach())}


def weight(policy: nn.Module) -> float:
    return float(next(policy.parameters()).detach())


def hill(policy: nn.Module, _: int) -> float:
    """Returns are best at weight 4."""
    return -((weight(policy) - 4.0) ** 2)


def run(selected: Selected, updates: int) -> Selected:
    for _ in range(updates):
        selected.update()
    return selected


def test_the_best_that_was_judged_is_kept_though_training_goes_on():
    selected = run(Selected(Counting(), hill, every=2), 9)
    assert weight(selected.policy()) == 4.0
    assert (selected.best_return, selected.best_update) == (0.0, 4)
    assert weight(selected.learner.policy()) == 9.0
    assert selected.work() == {"updates": 9}


def test_judgements_are_counted_from_one_and_due_after_every_so_many_updates():
    seen = []
    run(Selected(Counting(), lambda policy, count: seen.append((weight(policy), count)) or 0.0, every=3), 8)
    assert seen == [(3.0, 1), (6.0, 2)]


def test_the_first_policy_stays_where_none_beats_it():
    selected = run(Selected(Counting(), hill, every=1, to_beat=0.0), 9)  # an equal one is not better
    assert (weight(selected.policy()), selected.best_update) == (0.0, 0)


@pytest.mark.parametrize("score", [-math.inf, math.nan])
def test_a_policy_that_is_refused_or_has_no_return_is_never_kept(score: float):
    selected = run(Selected(Counting(), lambda *_: score, every=1), 3)
    assert (weight(selected.policy()), selected.best_update) == (0.0, 0)
    assert math.isfinite(selected.update()["best_return"])


@pytest.mark.parametrize("at", [1, 4, 7])
def test_resuming_changes_nothing(at: int):
    whole = run(Selected(Counting(), hill, every=2), 9)
    again = Selected(Counting(), hill, every=2)
    again.load_state_dict(run(Selected(Counting(), hill, every=2), at).state_dict())
    run(again, 9 - at)
    assert weight(again.policy()) == weight(whole.policy())
    for name in ("best_return", "best_update", "updates"):
        assert again.state_dict()[name] == whole.state_dict()[name]


def test_a_state_that_does_not_fit_changes_nothing():
    selected = run(Selected(Counting(), hill, every=2), 5)
    state = selected.state_dict()
    with pytest.raises(CorruptFileError):
        selected.load_state_dict({name: value for name, value in state.items() if name != "best"})
    assert weight(selected.policy()) == 4.0


def test_the_policy_that_is_given_out_is_a_copy():
    selected = run(Selected(Counting(), hill, every=2), 5)
    nn.init.zeros_(next(selected.policy().parameters()))
    assert weight(selected.policy()) == 4.0
