"""The ecosystem simulator against plain loops written from the paper, its properties, and bad model files."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers import samples
from livepapers.baselines.harvest_rules import HarvestRule
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.ecosystem import EcosystemSimulator, EcosystemState
from livepapers.tasks.ecosystem_model import (
    Competition,
    Drift,
    Ecosystem,
    Fishery,
    Predation,
    Species,
    may1,
    parameters,
    perturbed,
    three_species,
)
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import SimulatorEnv, SimulatorTask

DRIFTS = ("none", "growth", "saturation", "preference", "competition", "capacity", "abiotic Z", "abiotic Y")


def plain_episode(drift: str, mortality: tuple[float, float], start: np.ndarray, noise: np.ndarray):
    """One episode of the three-species models as the paper writes it: (reward, steps, populations at the end)."""
    x, y, z = (float(v) for v in start)
    reward = 0.0
    for t in range(200):
        r_x = max(1 - t / 200, 0.5) if drift == "growth" else 1.0
        c = 0.3 * max(1 - t / 150, 1 / 3) if drift == "saturation" else 0.3
        d = 1.1 - t * abs(1.1 - 1) / 100 if drift == "preference" else 1.1
        c_xy = 0.1 * min(1 + t / 100, 2) if drift == "competition" else 0.1
        caught_x, caught_y = mortality[0] * x, mortality[1] * y
        reward += caught_x + caught_y
        x, y = max(x - caught_x, 0.0), max(y - caught_y, 0.0)
        k_x, k_y, crowd = 1.0, 1.0, c_xy
        if drift == "capacity":
            k_x, k_y, crowd = 1 - c_xy * y, 1 - c_xy * x, 0.0
        eaten_x, eaten_y = (0.3 * z * n**2 / (c**2 + n**2) for n in (x, y))
        grown_x = x + r_x * x * (1 - x / k_x) - eaten_x - crowd * x * y + 0.1 * x * noise[t, 0]
        grown_y = y + y * (1 - y / k_y) - d * eaten_y - crowd * x * y + 0.1 * y * noise[t, 1]
        grown_z = z + z * (0.1 * (x + d * y) - 0.1) + 0.1 * z * noise[t, 2]
        if drift == "abiotic Z":
            grown_z = z + 0.02 * z * math.cos(2 * math.pi * t / 50)
        if drift == "abiotic Y":
            grown_y = max(0.4 + 0.4 * math.sin(2 * math.pi * t / 50), 0.0)
        x, y, z = max(grown_x, 0.0), max(grown_y, 0.0), max(grown_z, 0.0)
        counted = {"abiotic Z": (x, y), "abiotic Y": (x, z)}.get(drift, (x, y, z))
        if min(counted) <= 0.05:
            return reward - 100 / (t + 1), t + 1
    return reward, 200


@pytest.mark.parametrize("drift", DRIFTS)
def test_episodes_are_those_of_a_plain_loop(drift: str) -> None:
    model = three_species(drift=drift)
    simulator = EcosystemSimulator(model, dtype=torch.float64)
    start, noise = simulator.noise(6, generator(1, drift))
    rule = HarvestRule("mortality", model.harvested, model.scale, [0.25, 0.5])
    done = simulator.run(rule, start=start, noise=noise)
    for i in range(6):
        reward, steps = plain_episode(drift, (0.25, 0.5), start.population[i].numpy(), noise[:, i].numpy())
        assert done.reward[i].item() == pytest.approx(reward, rel=1e-6)
        assert done.length[i].item() == steps
        assert bool(done.survived[i]) == (steps == 200)


def test_model_1_is_the_grazed_stock_of_the_paper() -> None:
    simulator = EcosystemSimulator(may1(), dtype=torch.float64)
    start, noise = simulator.noise(8, generator(2, "may"))
    rule = HarvestRule("escapement", (0,), 4.0, [0.5])
    done = simulator.run(rule, start=start, noise=noise)
    for i in range(8):
        x, reward, steps = 0.7, 0.0, 200
        for t in range(200):
            caught = max(x - 0.5, 0.0)
            reward, x = reward + caught, x - caught
            x = max(x + x * (1 - x) - 0.25 * x**2 / (0.1**2 + x**2) + 0.05 * x * noise[t, i, 0].item(), 0.0)
            if x <= 0.05:
                reward, steps = reward - 100 / (t + 1), t + 1
                break
        assert done.reward[i].item() == pytest.approx(reward, rel=1e-6)
        assert done.length[i].item() == steps


def test_it_meets_the_contract_and_gymnasium_s_checker() -> None:
    simulator = EcosystemSimulator(three_species(drift="growth"))
    assert isinstance(simulator, Simulator)
    check_env(SimulatorEnv(simulator), skip_render_check=True)


def test_the_horizon_truncates_and_near_extinction_terminates() -> None:
    calm = replace(three_species(), horizon=3)
    task = SimulatorTask(EcosystemSimulator(calm), 4)
    task.reset(0)
    steps = [task.step(torch.zeros(4, 2)) for _ in range(3)]
    assert bool(steps[-1].truncated.all())
    assert not bool(steps[-1].terminated.any())
    task.reset(0)
    last = task.step(torch.ones(4, 2))
    assert bool(last.terminated.all())
    assert last.reward.tolist() == pytest.approx([1.0 - 100.0] * 4, abs=0.3)  # all fish, then the whole penalty


def test_copies_share_their_worlds() -> None:
    simulator = EcosystemSimulator(three_species())
    start, noise = simulator.noise(5, generator(3, "copies"))
    both = HarvestRule("mortality", (0, 1), 4.0, torch.tensor([[0.1, 0.2], [0.3, 0.1]]))
    done = simulator.run(both, start=start, noise=noise, copies=2).reward.view(2, 5)
    for row, values in enumerate(both.values):
        one = HarvestRule("mortality", (0, 1), 4.0, values)
        assert torch.allclose(simulator.run(one, start=start, noise=noise).reward, done[row], atol=1e-3)


def test_mortality_outside_its_range_is_clipped_or_refused() -> None:
    state = EcosystemState(torch.full((2, 3), 0.5), torch.zeros(2, dtype=torch.int64))
    _, reward = EcosystemSimulator(three_species()).decide(state, torch.tensor([[2.0, -1.0], [1.0, 0.0]]))
    assert reward.tolist() == [0.5, 0.5]
    with pytest.raises(InputError, match=r"mortality: got 2\.0, expected a number from 0 to 1"):
        EcosystemSimulator(three_species(), clip=False).decide(state, torch.tensor([[2.0, 0.0], [1.0, 0.0]]))


def test_price_and_cost_count() -> None:
    model = replace(three_species(("X",)), fisheries=(Fishery("X", price=3.0, cost=0.5),))
    state = EcosystemState(torch.full((1, 3), 0.5), torch.zeros(1, dtype=torch.int64))
    _, reward = EcosystemSimulator(model).decide(state, torch.tensor([[0.4]]))
    assert reward.item() == pytest.approx(3.0 * 0.2 - 0.5 * 0.4)


def test_explosive_populations_are_named() -> None:
    wild = Ecosystem(
        species=(Species("X", 1.0, growth="cycle", rate=1e6, period=1e9),), fisheries=(Fishery("X"),), horizon=50
    )
    simulator = EcosystemSimulator(wild)
    start, noise = simulator.noise(3, generator(0, "wild"))
    with pytest.raises(InputError, match="not finite"):
        simulator.run(HarvestRule("mortality", (0,), 4.0, [0.1]), start=start, noise=noise)


@given(st.integers(0, 2**31), st.floats(0, 1), st.floats(0, 1), st.sampled_from(DRIFTS))
@settings(max_examples=30)
def test_populations_stay_non_negative_and_catch_is_no_more_than_the_stock(seed, first, second, drift) -> None:
    simulator = EcosystemSimulator(three_species(drift=drift))
    stream = generator(seed, "property")
    state = simulator.initial(16, stream)
    before = state.population.clone()
    post, reward = simulator.decide(state, torch.tensor([[first, second]]).expand(16, 2))
    after, lost, dead = simulator.resolve(post, 30.0 * simulator.draw(16, 0, stream))
    assert torch.equal(state.population, before)
    assert bool((post.population <= before + 1e-6).all())
    assert reward.tolist() == pytest.approx((before - post.population).sum(1).tolist(), abs=1e-5)
    assert bool((after.population >= 0).all())
    assert bool(((lost < 0) == dead).all())


@given(st.integers(0, 1000), st.floats(0.0, 0.3))
@settings(max_examples=20)
def test_perturbed_models_are_models(seed: int, scale: float) -> None:
    model = three_species(drift="growth")
    made = perturbed(model, scale, generator=generator(seed, "perturbed"))
    assert made.names == model.names
    assert parameters(made).keys() == parameters(model).keys()
    if scale == 0.0:
        assert made == model


def test_yaml_json_and_python_give_the_same_model(tmp_path: Path) -> None:
    model = three_species(drift="growth")
    assert Ecosystem.from_file(samples.path("three_species.yml")) == model
    (tmp_path / "model.json").write_text(json.dumps(model.to_json()))
    assert Ecosystem.from_file(tmp_path / "model.json") == model
    assert Ecosystem.from_json(model.to_json()) == model


GOOD = """
species:
  - {name: X, start: 0.5, noise: 0.1}
  - {name: Y, start: 0.5}
  - {name: Z, start: 0.7, growth: decline, rate: 0.1}
competition:
  - {first: X, second: Y, rate: 0.1}
predation:
  - {predator: Z, prey: X, rate: 0.3, half_saturation: 0.3, gain: 0.1}
fisheries:
  - {species: X}
drift:
  - {parameter: X.rate, slope: -0.005, lowest: 0.5}
"""
BAD = {
    "negative noise": (GOOD.replace("noise: 0.1", "noise: -0.1"), "species.0.noise: got -0.1"),
    "start near extinction": (GOOD.replace("start: 0.7", "start: 0.05"), "species Z: start.*first episode"),
    "negative start": (GOOD.replace("start: 0.7", "start: -1"), "species.2.start"),
    "no start": (GOOD.replace("start: 0.7, ", ""), "start: got nothing"),
    "unknown growth": (GOOD.replace("decline", "boom"), "growth: got boom"),
    "text for a number": (GOOD.replace("rate: 0.3", "rate: fast"), "rate: got fast, expected .*number"),
    "NaN": (GOOD.replace("rate: 0.3", "rate: .nan"), "predation.0.rate"),
    "infinite": (GOOD.replace("gain: 0.1", "gain: .inf"), "gain"),
    "zero half saturation": (GOOD.replace("half_saturation: 0.3", "half_saturation: 0"), "half_saturation: got 0"),
    "misspelt field": (GOOD.replace("noise:", "noize:"), "noize.*no such field"),
    "unknown species in competition": (GOOD.replace("second: Y", "second: W"), "competition: got W.*misspelt"),
    "unknown prey": (GOOD.replace("prey: X", "prey: W"), "predation: got W"),
    "eats itself": (GOOD.replace("prey: X", "prey: Z"), "two different species"),
    "pair given twice": (
        GOOD.replace("predation:", "  - {first: Y, second: X, rate: 0.1}\npredation:"),
        "competition: got X and Y, expected each pair once",
    ),
    "species given twice": (GOOD.replace("name: Y", "name: X"), "got X, expected unique names"),
    "name with a dash": (GOOD.replace("name: Y", "name: Y-1"), "without"),
    "nothing fished": (GOOD.replace("fisheries:\n  - {species: X}", "fisheries: []"), "fisheries: got none"),
    "unknown fished": (GOOD.replace("{species: X}", "{species: W}"), "fisheries: got W"),
    "fished twice": (GOOD.replace("  - {species: X}", "  - {species: X}\n  - {species: X}"), "each species once"),
    "unknown drifting parameter": (GOOD.replace("X.rate", "X.r"), "drift: got X.r, expected one of X.rate"),
    "drift below zero": (GOOD.replace("-0.005, lowest: 0.5", "-0.01"), "stays positive.*reaches 0 in step"),
    "drift bounds crossed": (GOOD.replace("lowest: 0.5", "lowest: 2, highest: 1"), "lowest: got 2"),
    "no horizon": (GOOD + "horizon: 0\n", "horizon: got 0"),
    "negative penalty": (GOOD + "penalty: -1\n", "penalty: got -1"),
    "key given twice": (GOOD + "drift: []\n", "'drift' is given twice"),
    "aliases": ("a: &a [1]\nb: *a\n", "aliases"),
    "no YAML": ("species: [", "expected valid YAML"),
    "a list": ("- 1\n", "got a list"),
    "empty": ("", "the file is empty"),
    "no species": (GOOD.replace("species:\n", "spezies:\n", 1), "species"),
    "code": (GOOD.replace("start: 0.7", "start: !!python/object/apply:os.getcwd []"), "expected valid YAML"),
}  # fmt: skip


def test_the_good_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "model.yml").write_text(GOOD)
    assert Ecosystem.from_file(tmp_path / "model.yml").names == ("X", "Y", "Z")


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_file_gets_one_clear_line(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    path = tmp_path / "model.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        Ecosystem.from_file(path)
    assert "\n" not in str(caught.value)
    assert "model.yml" in str(caught.value)


def test_models_in_python_are_checked_too() -> None:
    with pytest.raises(InputError, match="expected one of none, growth"):
        three_species(drift="sideways")
    with pytest.raises(InputError, match="predation: got W"):
        Ecosystem(
            species=(Species("X", 0.5),), fisheries=(Fishery("X"),),
            predation=(Predation("X", "W", rate=0.1, half_saturation=0.1),),
        )  # fmt: skip
    with pytest.raises(InputError, match="drift"):
        replace(may1(), drift=(Drift("X.rate", -0.01), Drift("X.rate", 0.01)))
    with pytest.raises(InputError, match="competition"):
        replace(may1(), competition=(Competition("X", "X", 0.1),))


def test_species_may_be_unseen_and_live_on_as_before() -> None:
    whole, partial = EcosystemSimulator(three_species()), EcosystemSimulator(three_species(), seen=("Z", "X"))
    start, noise = whole.noise(8, generator(0, "unseen"))
    assert torch.equal(partial.observe(start), whole.observe(start)[:, [2, 0]])
    assert partial.observation_space.shape == (2,)
    post, _ = partial.decide(start, torch.full((8, 2), 0.1))
    assert torch.equal(partial.resolve(post, noise[0])[0].population, whole.resolve(post, noise[0])[0].population)
    for seen in (["X", "W"], []):
        with pytest.raises(InputError, match=r"seen: got (W|none), expected some of X, Y, Z"):
            EcosystemSimulator(three_species(), seen=seen)
