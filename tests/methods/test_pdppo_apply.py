import csv
import dataclasses
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch

from livepapers import samples
from livepapers.baselines.lot_sizing_hindsight import Bound
from livepapers.core import artifact
from livepapers.core.errors import InputError
from livepapers.core.rng import generator as make_generator
from livepapers.methods.pdppo import Aggregate, Config, PostDecisionPPO, apply, judging
from livepapers.methods.pdppo.chart import gantt
from livepapers.papers import catalogue
from livepapers.tasks.lot_sizing import LotSizing, LotSizingPlant, Scenario

QUICK = {"steps": 200, "paths": 1, "periods": 6, "seconds": 5.0}
SMALL = """
horizon: 8
items:
  - {name: "a, first", holding: 0.1, lost_sale: 2, stock: 3, capacity: 20, demand: {kind: poisson, mean: 2}}
  - {name: b, holding: 0.1, lost_sale: 1, capacity: 20, demand: {kind: binomial, trials: 4, probability: 0.5}}
machines:
  - name: <m&1>
    setup: b
    makes: [{item: "a, first", units: 6, setup_cost: 3}, {item: b, units: 5, setup_cost: 2, setup_loss: 1}]
"""


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    path = tmp_path / "plant.yml"
    path.write_text(SMALL)
    return path


def test_a_plant_gives_a_policy_costs_beside_rules_and_bound_and_a_schedule(plant: Path, tmp_path: Path):
    done = apply(plant, **QUICK, output=tmp_path / "out")
    rows = {row["policy"]: row for row in done.tables["Cost on fresh demand paths"]}
    assert list(rows) == ["pdppo", "look-ahead rule", "myopic rule", "idle", "hindsight bound"]
    for name in ("pdppo", "look-ahead rule", "myopic rule", "idle"):
        parts = sum(float(rows[name][kind] or 0.0) for kind in ("set-up", "lost sales", "holding"))
        assert parts == pytest.approx(rows[name]["cost"], rel=1e-4)
        assert float(rows[name]["above the bound, %"] or 0.0) >= -1e-3
    assert rows["myopic rule"]["against the myopic rule, %"] == 0.0
    assert rows["idle"]["set-up"] == 0.0
    assert str(rows["pdppo"]["policy"]) in done.headline
    now = done.tables["What to make now"]
    assert [(row["machine"], row["set up for"]) for row in now] == [("<m&1>", "b")]
    assert len(done.tables["Schedule on one demand path"]) == 6
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(done.files)
    assert not (tmp_path / "out.partial").exists()


def test_the_saved_policy_decides_what_apply_said(plant: Path, tmp_path: Path):
    done = apply(plant, **QUICK, output=tmp_path / "out")
    made = artifact.load(tmp_path / "out")
    world = made.spaces["task"]
    assert isinstance(world, dict)
    arguments = world["arguments"]
    assert world["name"] == "lot-sizing"
    assert isinstance(arguments, dict)
    simulator = LotSizing(LotSizingPlant.from_json(arguments["plant"]))  # type: ignore[arg-type]
    policy = artifact.load_network(tmp_path / "out")
    with torch.no_grad():
        chosen = policy(simulator.observe(simulator.today()))[0].tolist()
    names = ["idle", "a, first", "b"]
    assert [names[item] for item in chosen] == [row["pdppo"] for row in done.tables["What to make now"]]
    with (tmp_path / "out" / "schedule.csv").open() as file:
        first = next(csv.DictReader(file))
    assert first["made by <m&1>"] == names[chosen[0]]
    with (tmp_path / "out" / "stock.csv").open() as file:
        stocks = list(csv.DictReader(file))
    assert sum(int(row["stock"]) for row in stocks if row["period"] == "1") == int(first["stock"])
    picture = ET.fromstring((tmp_path / "out" / "schedule.svg").read_text())
    assert picture.tag.endswith("svg")


def test_the_same_seed_gives_the_same_answer(plant: Path):
    first, again = (apply(plant, **{**QUICK, "paths": 0}) for _ in range(2))
    assert first == again
    assert "bound" not in first.headline


def test_the_sample_plant_is_read_and_runs():
    path = samples.path("bakery_plant.yml")
    done = apply(path, **{**QUICK, "paths": 0})
    assert [row["machine"] for row in done.tables["What to make now"]] == ["line 1", "line 2"]


@pytest.fixture
def bakery() -> LotSizing:
    return LotSizing(LotSizingPlant.from_file(samples.path("bakery_plant.yml")))


def drawn(bakery: LotSizing) -> PostDecisionPPO:
    """A policy to which all choices are equally likely: its likeliest is the first, idle."""
    learner = PostDecisionPPO(bakery, config=Config.smoke(), seed=0)
    for parameter in learner.policy.parameters():
        torch.nn.init.zeros_(parameter)
    return learner


def judged(bakery: LotSizing, learner: PostDecisionPPO) -> judging.Judged:
    return judging.judge(bakery, learner, seed=0, paths=0, periods=6, seconds=1.0)


def test_the_way_to_act_is_chosen_on_paths_of_its_own(bakery: LotSizing):
    learner = drawn(bakery)
    found = judged(bakery, learner)
    assert found.way == judging.SAMPLED
    assert found.ways[judging.LIKELIEST] > found.ways[judging.SAMPLED]
    assert found.cost("pdppo") < 0.9 * found.cost("idle")
    assert found.cost("pdppo") not in found.ways.values()  # the fresh paths are others
    last = [*learner.policy.parameters()][-1]
    last.data[[1, 5 + 2]] = 3.0  # mostly rye on the one line and wheat on the other, and at random too often
    sure = judged(bakery, learner)
    assert sure.way == min(sure.ways, key=lambda way: sure.ways[way])
    assert sure.cost("pdppo") != found.cost("pdppo")


def test_a_rule_that_is_cheaper_is_said_first_and_makes_the_schedule(tmp_path: Path):
    path = samples.path("bakery_plant.yml")
    done = apply(path, **{**QUICK, "paths": 0})
    assert done.headline.startswith("a rule wins: the look-ahead rule costs ")
    assert "the schedule is the rule's" in done.headline
    assert "use it, or train with more --steps" in done.notes[0]
    first = done.tables["Schedule on one demand path"][0]
    for row in done.tables["What to make now"]:
        assert first[f"made by {row['machine']}"] == row["look-ahead rule"]


def test_a_policy_that_is_cheaper_makes_the_schedule(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judging, "LOOK_AHEADS", (1,))  # a rule that looks no further makes too little here
    done = apply(samples.path("bakery_plant.yml"), **{**QUICK, "paths": 0})
    assert done.headline.startswith("pdppo: cost ")
    assert " % less than the " in done.headline
    first = done.tables["Schedule on one demand path"][0]
    for row in done.tables["What to make now"]:
        assert first[f"made by {row['machine']}"] == row["pdppo"]
    assert any(note.startswith("pdppo takes its sampled actions") for note in done.notes)


@pytest.mark.parametrize(("aggregate", "name"), [("ppo", "ppo"), ("one_critic", "pdppo, one critic")])
def test_what_was_trained_is_called_by_its_name(plant: Path, aggregate: Aggregate, name: str):
    done = apply(plant, aggregate=aggregate, **{**QUICK, "paths": 0})
    assert done.tables["Cost on fresh demand paths"][0]["policy"] == name
    assert [*done.tables["What to make now"][0]][2] == name
    assert name in done.headline
    assert ("measured rivals" in " ".join(done.notes)) == (aggregate != "ppo")


def test_what_is_said_of_the_measured_rivals_stands_in_the_committed_results():
    results = catalogue.results("pdppo")
    assert results is not None
    shown = next(one for one in results["current"]["settings"] if one["name"] == "plant 15x5 set-ups shown")
    cost = {arm["arm"]: arm["metrics"]["cost"]["mean"] for arm in shown["arms"] if "cost" in arm["metrics"]}
    assert cost["ppo"] < cost["look-ahead rule"] < cost["pdppo"]


def test_a_share_of_hardly_anything_is_left_out(plant: Path):
    assert judging.share(150.0, 100.0) == 50.0
    assert judging.share(0.0, 100.0) == -100.0
    assert judging.share(44_350.0, 1e-9) is None
    assert judging.share(1.0, 0.0) is None
    plant.write_text(re.sub(r"(lost_sale|holding): [0-9.]+", r"\1: 0", SMALL))
    done = apply(plant, **QUICK)
    assert "%" not in done.headline
    assert {row["against the myopic rule, %"] for row in done.tables["Cost on fresh demand paths"]} == {None}


def test_how_far_the_least_cost_may_lie_above_a_bound():
    half, known = Bound(50.0, 50.0, 1.0, None), Bound(10.0, 10.0, 1.0, None)
    assert judging.above_bound([half], np.array([100.0])) == pytest.approx(100.0)
    assert judging.above_bound([half, known], np.array([100.0, 10.0])) == pytest.approx(100 * (110 / 60 - 1), abs=0.05)
    assert judging.above_bound([known], np.array([10.0])) == 0.0
    assert judging.above_bound([Bound(0.0, float("inf"), 1.0, None)], np.array([3.0])) is None


def test_the_least_cost_that_is_known_is_that_of_schedules_in_the_plant_not_in_the_program(plant: Path):
    """The program throws units away where no policy can: its solution is no schedule's cost."""
    simulator = LotSizing(LotSizingPlant.from_file(plant, option="--plant"))
    learner = PostDecisionPPO(simulator, config=Config.tiny(), seed=0)
    judged = judging.judge(simulator, learner, seed=0, paths=3, periods=6, seconds=20.0)
    rivals = torch.stack([rollout.cost for rollout in judged.short.values()]).amin(0).double().numpy()
    assert (judged.least <= rivals + 1e-6).all()
    assert (judged.least >= np.array([one.bound for one in judged.bounds]) - 1e-4).all()
    drawn = simulator.scenarios(judging.FRESH_PATHS, make_generator(0, "pdppo", "apply", "fresh"), periods=judged.span)
    for path, (bound, least) in enumerate(zip(judged.bounds, judged.least, strict=True)):
        assert bound.actions is not None
        one = Scenario(type(drawn.state)(*(part[path : path + 1] for part in drawn.state)),
                       drawn.demand[path : path + 1, :6])  # fmt: skip
        steps = iter(torch.from_numpy(bound.actions)[:, None])
        replayed = float(simulator.rollout(lambda _, steps=steps: next(steps), one).cost)
        assert least == pytest.approx(min(replayed, rivals[path]))


def test_machines_may_be_called_as_columns_are(plant: Path, tmp_path: Path):
    plant.write_text(plant.read_text().replace("<m&1>", "stock"))
    done = apply(plant, output=tmp_path / "named", **QUICK)
    rows = done.tables["Schedule on one demand path"]
    assert [row["period"] for row in rows] == list(range(1, len(rows) + 1))
    assert "made by stock" in rows[0]
    assert isinstance(rows[0]["stock"], int)


def test_of_a_long_plant_the_first_periods_are_compared(plant: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(judging, "LONGEST", 7)
    done = apply(plant, **QUICK)
    assert " in 7 periods on 100 fresh" in done.headline
    assert any("the first 7 of the plant's 8 periods" in note for note in done.notes)
    monkeypatch.setattr(judging, "LONGEST", 8)
    assert " an episode on 100 fresh" in apply(plant, **QUICK).headline


WRONG = {
    "an unknown aggregate": ({"aggregate": "mean"}, "aggregate"),
    "no steps": ({"steps": 0}, "steps"),
    "too many steps": ({"steps": 10**10}, "steps"),
    "a negative seed": ({"seed": -1}, "seed"),
    "negative paths": ({"paths": -1}, "paths"),
    "too many paths": ({"paths": 5000}, "paths"),
    "no periods": ({"periods": 0}, "periods"),
    "too many periods": ({"periods": 500}, "periods"),
    "no time": ({"seconds": 0.0}, "seconds"),
    "time that is no number": ({"seconds": float("nan")}, "seconds"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_are_refused_before_any_work(case: str, plant: Path, tmp_path: Path):
    options, word = WRONG[case]
    with pytest.raises(InputError, match=word) as refused:
        apply(plant, **{**QUICK, **options}, output=tmp_path / "out")  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


def test_a_folder_that_holds_files_and_a_plant_that_cannot_be_read_are_refused(plant: Path, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="output"):
        apply(plant, **QUICK, output=tmp_path / "full")
    plant.write_text(SMALL.replace("units: 6", "units: six"))
    with pytest.raises(InputError, match="units"):
        apply(plant, **QUICK, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_of_a_machine_become_one_bar_and_names_are_escaped():
    text = gantt(["<m>"], ["a&b", "c"], [[1], [1], [0], [2]], [[1, 0], [2, 0], [1, 0], [0, 3]], [4, 4])
    picture = ET.fromstring(text)
    titles = [element.text for element in picture.iter() if element.tag.endswith("title")]
    assert titles[1:] == ["a&b, period 1 to 2", "c, period 4 to 4"]


def test_application_is_plain_data(plant: Path):
    done = apply(plant, **{**QUICK, "paths": 0})
    assert dataclasses.is_dataclass(done)
    assert done.to_json()["slug"] == "pdppo"
