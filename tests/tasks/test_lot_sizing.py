import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.tasks.lot_sizing import (
    Demand,
    Item,
    LotSizing,
    LotSizingPlant,
    Machine,
    Makes,
    PlantState,
    Scenario,
)
from livepapers.tasks.vector import SimulatorEnv, SimulatorTask

PLANT = """
items:
  - name: red
    holding: 0.5
    lost_sale: 3
    capacity: 9
    stock: 2
    demand: {kind: binomial, trials: 4, probability: 0.5}
  - {name: blue, holding: 0.1, lost_sale: 1, demand: {kind: poisson, mean: 2}, capacity: 12}
machines:
  - {name: press, makes: [{item: red, units: 5, setup_cost: 4, setup_loss: 1}, {item: blue, units: 3}], setup: red}
  - {name: lathe, makes: [{item: blue, units: 6, setup_cost: 2}]}
horizon: 7
"""


def plant_file(folder: Path, text: str = PLANT) -> Path:
    path = folder / "plant.yml"
    path.write_text(text)
    return path


def drawn(items: int = 4, machines: int = 2, seed: int = 0) -> LotSizingPlant:
    return LotSizingPlant.generate(items, machines, generator=numpy_generator(seed, "plant"))


def loop_step(plant: LotSizingPlant, inventory: list[float], setup: list[int], action: list[int], demand: list[float]):
    """One plant, one period, written from the description, item by item: (setup cost, lost, held, stock, setups)."""
    inventory, setup, setup_cost = list(inventory), list(setup), 0.0
    for m, machine in enumerate(plant.machines):
        name = plant.items[action[m] - 1].name if action[m] else None
        makes = next((one for one in machine.makes if one.item == name), None)
        if makes is None:
            setup[m] = 0
            continue
        made = makes.units
        if setup[m] != action[m]:
            setup_cost += makes.setup_cost
            made -= makes.setup_loss
        setup[m] = action[m]
        inventory[action[m] - 1] += made
    lost = held = 0.0
    for i, item in enumerate(plant.items):
        inventory[i] -= demand[i]
        if inventory[i] < 0:
            lost += -inventory[i] * item.lost_sale
            inventory[i] = 0.0
        inventory[i] = min(inventory[i], item.capacity)
        held += inventory[i] * item.holding
    return setup_cost, lost, held, inventory, setup


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=30)
def test_batched_periods_equal_a_loop_over_machines_and_items(seed: int, items: int, machines: int):
    plant = drawn(items, machines, seed)
    simulator = LotSizing(plant, mask_unproducible=False)
    stream = generator(seed, "loop")
    scenario = simulator.scenarios(3, stream, periods=6)
    actions = torch.randint(0, items + 1, (6, 3, machines), generator=stream)
    moves = iter(actions)
    rollout = simulator.rollout(lambda _: next(moves), scenario)
    for lane in range(3):
        inventory = scenario.state.inventory[lane].tolist()
        setup = scenario.state.setup[lane].tolist()
        for t in range(6):
            *costs, inventory, setup = loop_step(
                plant, inventory, setup, actions[t, lane].tolist(), scenario.demand[lane, t].tolist()
            )
            ours = [float(part[lane, t]) for part in (rollout.setup_cost, rollout.lost_sales, rollout.holding)]
            assert ours == pytest.approx(costs, abs=1e-3)
            assert rollout.inventory[lane, t].tolist() == inventory


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_the_halves_add_up_to_minus_the_cost(seed: int):
    simulator = LotSizing(drawn(seed=seed))
    stream = generator(seed, "halves")
    state, demand = simulator.initial(5, stream), simulator.draw(5, 0, stream)
    action = torch.randint(0, simulator.choices, (5, simulator.machines), generator=stream)
    before = [part.clone() for part in state]
    post, decided = simulator.decide(state, action)
    after, resolved, terminated = simulator.resolve(post, demand)
    rollout = simulator.rollout(lambda _: action, Scenario(state, demand[:, None]))
    assert torch.allclose(decided + resolved, -rollout.cost.float())
    assert bool((decided <= 0).all())
    assert bool((resolved <= 0).all())
    assert not bool(terminated.any())
    assert bool((after.inventory >= 0).all())
    assert bool((after.inventory <= simulator.plant.capacity).all())
    assert torch.equal(after.setup, action)  # drawn plants list every pair
    assert all(torch.equal(a, b) for a, b in zip(before, state, strict=True))  # nothing is changed in place


def test_running_on_pays_no_setup_and_idling_loses_it():
    plant = LotSizingPlant.from_json({
        "items": [{"name": "a", "holding": 0, "lost_sale": 1, "demand": {"kind": "recorded", "past": [0]}}],
        "machines": [{"name": "m", "makes": [{"item": "a", "units": 5, "setup_cost": 7, "setup_loss": 2}]}],
    })  # fmt: skip
    simulator = LotSizing(plant)
    state = PlantState(torch.zeros(1, 1), torch.tensor([[1]]))
    costs, stock = [], []
    for action in (1, 0, 1, 1):
        post, reward = simulator.decide(state, torch.tensor([[action]]))
        state, _, _ = simulator.resolve(post, torch.zeros(1, 1))
        costs.append(-float(reward))
        stock.append(float(state.inventory))
    assert costs == [0, 0, 7, 0]
    assert stock == [5, 5, 8, 13]


def test_a_pair_that_is_not_listed_is_idle_and_masked(tmp_path: Path):
    simulator = LotSizing(LotSizingPlant.from_file(plant_file(tmp_path)))
    state = simulator.today()
    post, reward = simulator.decide(state, torch.tensor([[1, 1]]))  # the lathe makes no red
    assert post.setup.tolist() == [[1, 0]]
    assert float(reward) == 0.0
    assert post.inventory.tolist() == [[7.0, 0.0]]
    mask = simulator.mask(state)
    assert mask is not None
    assert mask.tolist() == [[True, True, True, True, False, True]]


def test_pairs_that_make_nothing_may_be_chosen_where_the_paper_lets_them_and_lose_units():
    plant = drawn(6, 3)
    m, i = (int(index) for index in torch.nonzero((plant.units == 0) & (plant.setup_loss > 0))[0])
    free, masked = LotSizing(plant, mask_unproducible=False), LotSizing(plant)
    assert free.mask(free.today()) is None
    mask = masked.mask(masked.today())
    assert mask is not None
    assert not mask.view(3, 7)[m, i]
    state = PlantState(torch.full((1, 6), 50.0), torch.zeros(1, 3, dtype=torch.int64))
    action = torch.zeros(1, 3, dtype=torch.int64)
    action[0, m] = i
    post, _ = free.decide(state, action)
    assert float(post.inventory[0, i - 1]) == 50.0 - float(plant.setup_loss[m, i])


def test_observations_hide_or_show_the_setups():
    plant = drawn(3, 2)
    hidden, shown = LotSizing(plant, observe_setup=False), LotSizing(plant)
    state = PlantState(torch.tensor([[0.0, 50.0, 100.0]]), torch.tensor([[0, 3]]))
    assert hidden.observe(state).tolist() == [[0.0, 0.5, 1.0]]
    assert shown.observe(state).tolist() == [[0.0, 0.5, 1.0, 1, 0, 0, 0, 0, 0, 0, 1]]
    post, _ = shown.decide(state, torch.tensor([[0, 0]]))
    assert shown.observe_post(post).shape == (1, 11)
    assert shown.observation_space.shape == (11,)


@pytest.mark.parametrize(
    "demand",
    [
        Demand("binomial", trials=20, probability=0.4),
        Demand("poisson", mean=3.5),
        Demand("recorded", past=(2, 2, 5, 9)),
    ],
)
def test_demand_follows_its_distribution(demand: Demand):
    plant = LotSizingPlant(
        items=(Item("a", 0.1, 1.0, demand),), machines=(Machine("m", (Makes("a", 5),)),)
    )  # fmt: skip
    probability = demand.probabilities()
    assert probability.sum() == pytest.approx(1.0)
    mean = float((probability * np.arange(len(probability))).sum())
    sample = LotSizing(plant).draw(40_000, 0, generator(0, "demand"))[:, 0]
    assert float(sample.mean()) == pytest.approx(mean, abs=0.06)
    counts = torch.bincount(sample.long(), minlength=len(probability))[: len(probability)] / 40_000
    assert np.abs(counts.numpy() - probability).max() < 0.012


def test_starts_are_uniform_below_the_capacity_and_set_up_for_what_can_be_made():
    plant = drawn(5, 3)
    state = LotSizing(plant).initial(20_000, generator(0, "start"))
    assert float(state.inventory.min()) == 0
    assert float(state.inventory.max()) == 99
    assert float(state.inventory.mean()) == pytest.approx(49.5, abs=0.6)
    for m in range(3):
        able = {int(i) for i in torch.nonzero(plant.units[m] > 0)}
        assert set(state.setup[:, m].tolist()) == able


def test_drawn_plants_follow_the_papers_ranges():
    plant = drawn(25, 15)
    units, cost, loss = plant.units[:, 1:], plant.setup_cost[:, 1:], plant.setup_loss[:, 1:]
    assert float((units == 0).float().mean()) == pytest.approx(0.4, abs=0.1)
    assert (units.max(), cost.min(), cost.max(), loss.min(), loss.max()) == (40, 15, 30, 1, 3)
    assert {item.lost_sale for item in plant.items} == {0.1, 1.1}
    assert all(0 <= item.stock <= 50 for item in plant.items)
    assert bool((units > 0).any(0).all())


def test_plants_pass_gymnasiums_own_checker_and_run_as_a_batched_task():
    plant = drawn(4, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check_env(SimulatorEnv(LotSizing(plant, mask_unproducible=False)), skip_render_check=True)
    task = SimulatorTask(LotSizing(plant), 3)
    task.reset(0)
    for _ in range(plant.horizon - 1):
        assert not bool(task.step(torch.ones(3, 2, dtype=torch.int64)).truncated.any())
    assert bool(task.step(torch.ones(3, 2, dtype=torch.int64)).truncated.all())


def test_a_plant_survives_json_and_files(tmp_path: Path):
    plant = LotSizingPlant.from_file(plant_file(tmp_path))
    assert LotSizingPlant.from_json(json.loads(json.dumps(plant.to_json()))) == plant
    path = tmp_path / "plant.json"
    path.write_text(json.dumps(plant.to_json()))
    assert LotSizingPlant.from_file(path) == plant
    assert LotSizing(plant).today().setup.tolist() == [[1, 0]]


MALFORMED = {
    "empty": ("", "content"),
    "a list": ("- 1\n- 2\n", "items and machines"),
    "not yaml": ("items: [", "valid YAML"),
    "a key twice": (PLANT + "horizon: 8\n", "given twice"),
    "an alias": ("items: &x []\nmachines: *x\n", "aliases"),
    "no machines": (PLANT.split("machines", maxsplit=1)[0], "machines"),
    "no items at all": ("items: []\nmachines: []\n", "at least one"),
    "an unknown field": (PLANT + "colour: red\n", "no such field"),
    "a negative holding cost": (PLANT.replace("holding: 0.5", "holding: -0.5"), "holding"),
    "a negative lost sale": (PLANT.replace("lost_sale: 3", "lost_sale: -3"), "lost_sale"),
    "a cost in words": (PLANT.replace("lost_sale: 3", "lost_sale: three"), "lost_sale"),
    "not a number": (PLANT.replace("holding: 0.5", "holding: .nan"), "holding"),
    "half a unit": (PLANT.replace("units: 5", "units: 5.5"), "units"),
    "a probability above one": (PLANT.replace("probability: 0.5", "probability: 1.5"), "probability"),
    "a binomial with a mean": (PLANT.replace("probability: 0.5", "mean: 2"), "demand"),
    "an unknown demand": (PLANT.replace("kind: poisson", "kind: weekly"), "kind"),
    "recorded but no record": (PLANT.replace("kind: poisson, mean: 2", "kind: recorded"), "past"),
    "a negative record": (PLANT.replace("kind: poisson, mean: 2", "kind: recorded, past: [1, -1]"), "past"),
    "a machine of an unknown item": (PLANT.replace("item: red", "item: rde"), "rde"),
    "an item twice": (PLANT.replace("name: blue", "name: red"), "unique names"),
    "a machine's item twice": (PLANT.replace("{item: blue, units: 3}", "{item: red, units: 3}"), "each item once"),
    "a machine twice": (PLANT.replace("name: lathe", "name: press"), "unique names"),
    "an unknown set-up": (PLANT.replace("setup: red", "setup: green"), "green"),
    "stock above the capacity": (PLANT.replace("stock: 2", "stock: 20"), "capacity"),
    "an item that nobody makes": (PLANT.replace("item: red, units: 5", "item: red, units: 0"), "no machine"),
    "a machine that makes nothing": (PLANT.replace("item: blue, units: 6", "item: blue, units: 0"), "units > 0"),
    "a set-up for what it cannot make": (
        PLANT.replace("setup_cost: 2}]}", "setup_cost: 2}], setup: red}"),
        "plant.yml: machine lathe: setup: got red, expected what it makes (blue)",
    ),
    "a set-up for what it makes none of": (
        PLANT.replace("{item: blue, units: 3}], setup: red", "{item: blue, units: 0}], setup: blue"),
        "machine press: setup: got blue",
    ),
    "a set-up that loses more than is made": (
        PLANT.replace("setup_loss: 1", "setup_loss: 6"),
        "plant.yml: machine press: red: setup_loss: got 6, expected at most units = 5",
    ),
    "no horizon": (PLANT.replace("horizon: 7", "horizon: 0"), "horizon"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_plant_is_refused_in_one_line(case: str, tmp_path: Path):
    text, word = MALFORMED[case]
    with pytest.raises(InputError) as refused:
        LotSizingPlant.from_file(plant_file(tmp_path, text))
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_and_binary_files_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="existing file"):
        LotSizingPlant.from_file(tmp_path / "none.yml")
    (tmp_path / "b.yml").write_bytes(b"\0\1\2")
    with pytest.raises(InputError, match="binary"):
        LotSizingPlant.from_file(tmp_path / "b.yml")


def test_a_policy_of_the_wrong_shape_is_named():
    simulator = LotSizing(drawn(3, 2))
    with pytest.raises(InputError, match="shape"):
        simulator.rollout(lambda state: state.setup[:, :1], simulator.scenarios(2, generator(0, "x"), periods=1))
