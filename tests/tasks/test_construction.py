"""The construction contract's checkers accept what keeps it and name what breaks it."""

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.construction import Construction, check_construction, check_energy, random_objects
from livepapers.tasks.constructions import (
    Bags,
    BitStrings,
    Hypergrid,
    IndependentSets,
    Sets,
    ShuffledEnergy,
    Subsets,
    feature_subsets,
)


def _diabetes() -> Subsets:
    features, target = (np.asarray(part, dtype=float) for part in load_diabetes(return_X_y=True))
    return feature_subsets(torch.as_tensor(features), torch.as_tensor(target), penalty=3.0)


CONSTRUCTIONS: dict[str, Callable[[], Construction]] = {
    "sets": lambda: Sets([0.1, -0.5, 0.3, 0.9], 2),
    "the whole set": lambda: Sets([0.1, -0.5], 2),
    "bags": lambda: Bags([0.1, 0.2, -0.3], 5, threshold=3),
    "bit strings": lambda: BitStrings([0.1, 0.2, -0.4], [0.5, -0.6]),
    "one bit": lambda: BitStrings([0.7], []),
    "hypergrid": lambda: Hypergrid(2, 5),
    "independent sets": lambda: IndependentSets(nx.cycle_graph(5)),
    "one vertex": lambda: IndependentSets(nx.empty_graph(1)),
    "shuffled energies": lambda: ShuffledEnergy(Sets([0.1, -0.5, 0.3, 0.9], 3), 1.0, seed=0),
    "feature subsets": _diabetes,
    "subsets of a size": lambda: Subsets(4, lambda s: s.sum(dim=1).to(torch.float64) ** 2, size=3),
}


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_every_shipped_construction_keeps_the_contract(name: str) -> None:
    env = CONSTRUCTIONS[name]()
    assert isinstance(env, Construction)
    check_construction(env, generator=generator(0, name))
    check_energy(env, generator=generator(0, name))


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_empty_batches_pass_through_every_function(name: str) -> None:
    env = CONSTRUCTIONS[name]()
    state = env.root(0)
    action = torch.zeros(0, dtype=torch.int64)
    assert env.encode(state).shape == (0, env.features)
    assert env.forward_mask(state).shape == (0, env.moves + env.has_stop)
    assert env.backward_mask(state).shape == (0, env.moves)
    assert env.log_reward(state).shape == env.is_terminal(state).shape == (0,)
    assert env.edge_energy(state, action, env.step(state, action)).shape == (0,)
    assert env.key(env.undo(state, action)) == []


def test_random_objects_come_with_their_energy() -> None:
    env = Bags([0.1, 0.2, -0.3], 5, threshold=3)
    objects, energy = random_objects(env, 50, generator=generator(0, "objects"))
    torch.testing.assert_close(energy, -env.log_reward(objects))


class _MutatingStep(Sets):
    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return state.scatter_(1, action[:, None], True)


class _DeafUndo(Sets):
    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        return state.clone()


class _ClosedBackwards(Sets):
    def backward_mask(self, state: Tensor) -> Tensor:
        return torch.zeros_like(state)


class _OpenRoot(Sets):
    def backward_mask(self, state: Tensor) -> Tensor:
        return torch.ones_like(state)


class _StuckSets(Sets):
    def forward_mask(self, state: Tensor) -> Tensor:
        return super().forward_mask(state) & (state.sum(dim=1, keepdim=True) < 1)


class _CountingMask(Sets):
    def forward_mask(self, state: Tensor) -> Tensor:
        return super().forward_mask(state).to(torch.int64)


class _WrongWidth(Sets):
    def encode(self, state: Tensor) -> Tensor:
        return super().encode(state)[:, 1:]


class _ForgetfulKey(Sets):
    def key(self, state: Tensor) -> list[bytes]:
        return [b"same"] * len(state)


class _NotANumber(Sets):
    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        return super().edge_energy(state, action, child) * torch.nan


class _InfiniteReward(Sets):
    def log_reward(self, state: Tensor) -> Tensor:
        return super().log_reward(state) + torch.inf


class _TerminalDespiteStop(Bags):
    def is_terminal(self, state: Tensor) -> Tensor:
        return state.sum(dim=1) >= self.capacity


class _TooLong(Sets):
    def __init__(self) -> None:
        super().__init__([0.1, 0.2, 0.3], 3)
        self.longest = 2


class _StopsEarly(Bags):
    def __init__(self) -> None:
        super().__init__([0.1, 0.2], 4, threshold=2)
        self.shortest = 3


BROKEN: dict[str, tuple[Callable[[], Construction], str]] = {
    "step writes to its argument": (lambda: _MutatingStep([0.1, 0.2, 0.3], 2), "step.*clone"),
    "undo does nothing": (lambda: _DeafUndo([0.1, 0.2, 0.3], 2), "undo"),
    "no move can be undone": (lambda: _ClosedBackwards([0.1, 0.2, 0.3], 2), "backward_mask.*undoable"),
    "moves can be undone at the root": (lambda: _OpenRoot([0.1, 0.2, 0.3], 2), "backward_mask.*root"),
    "a state without a move is not terminal": (lambda: _StuckSets([0.1, 0.2, 0.3], 2), "forward_mask"),
    "a mask is a count": (lambda: _CountingMask([0.1, 0.2, 0.3], 2), "forward_mask.*torch.bool"),
    "encode has another width": (lambda: _WrongWidth([0.1, 0.2, 0.3], 2), "encode.*shape"),
    "different objects share a key": (lambda: _ForgetfulKey([0.1, 0.2, 0.3], 2), "key"),
    "an energy is not a number": (lambda: _NotANumber([0.1, 0.2, 0.3], 2), "edge_energy.*finite"),
    "a reward is infinite": (lambda: _InfiniteReward([0.1, 0.2, 0.3], 2), "log_reward"),
    "terminal states beside a stop action": (lambda: _TerminalDespiteStop([0.1, 0.2], 2, threshold=2), "is_terminal"),
    "a walk is longer than the longest": (_TooLong, "longest"),
    "a walk is shorter than the shortest": (_StopsEarly, "shortest"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_checker_names_the_function_that_breaks_the_contract(name: str) -> None:
    make, message = BROKEN[name]
    with pytest.raises(InputError, match=message):
        check_construction(make(), generator=generator(0, "broken"))


class _WrongSign(Sets):
    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        return -super().edge_energy(state, action, child)


def test_energies_that_do_not_sum_to_the_reward_are_reported_with_their_path() -> None:
    with pytest.raises(InputError, match=r"summed over the moves \[\d(, \d)*\].*-log R"):
        check_energy(_WrongSign([0.1, 0.2, 0.4], 2), generator=generator(0, "sign"))
