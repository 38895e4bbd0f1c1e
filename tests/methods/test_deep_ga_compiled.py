"""deep-ga with compiled steps: the same search, several times faster; see `core.compiling`."""

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


@pytest.mark.slow
@pytest.mark.xdist_group("compiled")
def test_a_compiled_search_repeats_and_resumes_and_says_what_it_is():
    one, other, eager = (
        deep_ga.Evolution(WORLD, POLE, config=replace(SEARCH, compile=way), seed=1)
        for way in ("always", "auto", "never")
    )
    assert one.update() == other.update()
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
def test_workers_compile_where_the_search_does():
    searches = [
        deep_ga.Evolution(WORLD, POLE, config=replace(SEARCH, compile="always", side_by_side=3), seed=1) for _ in "ab"
    ]
    searches[1].crew = spreading.Crew(map, "cart-pole", {"horizon": 12}, searches[1].evaluator)
    assert searches[0].update() == searches[1].update()
    assert torch.equal(searches[0].behaviour, searches[1].behaviour)


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
