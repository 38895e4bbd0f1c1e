"""deep-ga with compiled steps: the same search, several times faster; see `core.compiling`."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from livepapers.core.compiling import Compiler, missing_compiler
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.methods import deep_ga
from livepapers.methods.deep_ga import Config, Evaluator, Layout, evaluation, spreading
from livepapers.methods.deep_ga.networks import Activation
from livepapers.tasks.cart_pole import CartPole

WORLD = CartPole(12)
POLE = Layout(WORLD.observation_space, WORLD.action_space, hidden=(4,), activation="tanh")
SEARCH = replace(Config.tiny(), algorithm="ga", population=6, parents=2, validation=0)


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    if missing := missing_compiler():
        pytest.skip(f"torch.compile cannot work here: {missing}")
    monkeypatch.setattr(evaluation, "PIECE", 2)


def places(monkeypatch: pytest.MonkeyPatch, search: deep_ga.Evolution) -> set[str]:
    """What workers are told in the next generation."""
    told = set()

    def evaluate(share: spreading.Share) -> spreading.Found:
        told.add(share.place)
        return spreading_evaluate(share)

    spreading_evaluate = spreading.evaluate
    monkeypatch.setattr(spreading, "evaluate", evaluate)
    search.update()
    monkeypatch.undo()
    return told


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")  # starting the compiler takes longer than using it
def test_compiled_steps_end_where_the_others_do_whatever_the_population_is():
    fast, slow = (Evaluator(WORLD, POLE, side_by_side=500, compiled=way) for way in ("always", "never"))
    for count in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12):  # more shapes than PyTorch compiles one function for by itself
        theta = torch.randn(count, POLE.parameters, generator=generator(count, "theta")).numpy()
        mine, its = (run(theta.__getitem__, count, episodes=1, seed=count) for run in (fast, slow))
        assert torch.equal(mine.returns, its.returns)
        assert mine.steps == its.steps
        assert mine.behaviour == pytest.approx(its.behaviour, abs=1e-5)
    assert fast.compiler.ran
    assert not slow.compiler.ran


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_a_compiled_search_repeats_and_resumes_and_says_what_it_is():
    one, other, eager = (
        deep_ga.Evolution(WORLD, POLE, config=replace(SEARCH, compile=way), seed=1)
        for way in ("always", "auto", "never")
    )
    assert one.update() == other.update()
    assert one.evaluator.compiler.ran
    assert torch.equal(one.behaviour, other.behaviour)
    for learner, state in ((eager, one.state_dict()), (one, eager.state_dict())):
        with pytest.raises(CorruptFileError, match="compiled"):
            learner.load_state_dict(state)
    again = deep_ga.Evolution(WORLD, POLE, config=replace(SEARCH, compile="always"), seed=2)
    again.load_state_dict(one.state_dict())
    again.seed = one.seed
    assert again.update() == one.update()


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_workers_compile_where_the_search_does(monkeypatch: pytest.MonkeyPatch):
    searches = [
        deep_ga.Evolution(WORLD, POLE, config=replace(SEARCH, compile="always", side_by_side=3), seed=1) for _ in "ab"
    ]
    spreading._workplace.cache_clear()
    searches[1].crew = spreading.Crew(map, "cart-pole", {"horizon": 12}, searches[1].evaluator)
    assert searches[0].update() == searches[1].update()
    assert torch.equal(searches[0].behaviour, searches[1].behaviour)
    assert spreading._workplace.cache_info().currsize == 1
    (place,) = places(monkeypatch, searches[1])
    assert json.loads(place)[-1] == "always"


def test_workers_do_not_compile_where_the_search_that_is_resumed_did_not(monkeypatch: pytest.MonkeyPatch):
    eager = deep_ga.Evolution(WORLD, POLE, config=SEARCH, seed=1)
    eager.update()
    resumed = deep_ga.Evolution(WORLD, POLE, config=replace(SEARCH, compile="auto"), seed=1)
    resumed.crew = spreading.Crew(map, "cart-pole", {"horizon": 12}, resumed.evaluator)
    resumed.load_state_dict(eager.state_dict())
    assert {json.loads(place)[-1] for place in places(monkeypatch, resumed)} == {"never"}
    assert resumed.state_dict()["compiled"] is False


def test_what_cannot_be_compiled_is_evaluated_as_if_nobody_had_asked(monkeypatch: pytest.MonkeyPatch):
    class Branching(CartPole):
        def observe(self, state: Any) -> torch.Tensor:
            seen = super().observe(state)
            return seen if bool(seen.sum() > -1e9) else -seen

    world = Branching(12)
    slow, fast = (Evaluator(world, POLE, side_by_side=500, compiled=way) for way in ("never", "auto"))
    theta = torch.randn(5, POLE.parameters, generator=generator(0, "theta")).numpy()
    with pytest.warns(UserWarning, match="going on without"):
        mine = fast(theta.__getitem__, 5, episodes=1, seed=1)
    its = slow(theta.__getitem__, 5, episodes=1, seed=1)
    assert torch.equal(mine.behaviour, its.behaviour)
    with pytest.raises(InputError, match="compile"):
        Evaluator(world, POLE, side_by_side=5, compiled="always")(theta.__getitem__, 5, episodes=1, seed=1)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_compiled_networks_are_the_same_functions(activation: Activation):
    for space in (Discrete(2), Discrete(3, start=1), Box(-2.0, 3.0, (2,), np.float32)):
        layout = Layout(Box(-1, 1, (5,), np.float32), space, hidden=(7, 6), activation=activation)
        theta, seen = (
            torch.randn(shape, generator=generator(3, "networks")) for shape in ((4, layout.parameters), (4, 3, 5))
        )
        with torch.no_grad():
            found = Compiler("always").wrap(layout.act)(theta, seen)
        assert found == pytest.approx(layout.act(theta, seen), abs=1e-5)


def test_only_simulators_are_compiled():
    world, seen, acts = deep_ga.world_of("MountainCar-v0")
    with pytest.raises(InputError, match="no batched simulator"):
        deep_ga.Evolution(world, Layout(seen, acts), config=replace(SEARCH, compile="auto"), seed=0)
    with pytest.raises(InputError, match="compile"):
        Evaluator(WORLD, POLE, side_by_side=1, compiled="yes")  # type: ignore[arg-type]
