"""The rules of fisheries, and their tuning."""

from dataclasses import replace

import pytest
import torch

from livepapers.baselines.harvest_rules import HarvestRule, textbook, tune
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.ecosystem import EcosystemSimulator
from livepapers.tasks.ecosystem_model import Ecosystem, Fishery, Species, may1, three_species


def short(model: Ecosystem, horizon: int = 40) -> EcosystemSimulator:
    return EcosystemSimulator(replace(model, horizon=horizon))


def test_rules_say_what_they_should() -> None:
    observation = torch.tensor([[0.8, 0.4, 0.6]]) / 4.0
    assert HarvestRule("mortality", (0, 1), 4.0, [0.2, 1.7])(observation).tolist()[0] == pytest.approx([0.2, 1.0])
    kept = HarvestRule("escapement", (0, 1), 4.0, [0.6, 0.5])(observation)[0].tolist()
    assert kept == pytest.approx([0.25, 0.0])
    linear = HarvestRule("linear", (0, 1), 4.0, [0.3, 0.25, 0.0, 0.0, 0.1, 0.5])(observation)[0].tolist()
    assert linear == pytest.approx([1 - (0.3 + 0.25 * 0.4) / 0.8, 1 - (0.1 + 0.5 * 0.6) / 0.4])
    assert HarvestRule("escapement", (0,), 4.0, [0.3])(torch.zeros(1, 1)).tolist() == [[0.0]]


@pytest.mark.parametrize("kind", ["mortality", "escapement"])
def test_the_winner_of_a_grid_is_its_best_by_hand(kind) -> None:
    simulator = short(three_species())
    tuned = tune(simulator, kind, points=4, episodes=8, generator=generator(5, "tune"))
    start, noise = simulator.noise(8, generator(5, "tune"))
    top = 0.5 if kind == "mortality" else 1.0
    scores = {}
    for first in torch.linspace(0, top, 4).tolist():
        for second in torch.linspace(0, top, 4).tolist():
            rule = HarvestRule(kind, (0, 1), 4.0, [first, second])
            scores[first, second] = simulator.run(rule, start=start, noise=noise).reward.mean().item()
    best = max(scores, key=lambda pair: scores[pair])
    assert tuple(tuned.rule.values.tolist()) == pytest.approx(best)
    assert tuned.score == pytest.approx(scores[best], abs=1e-3)
    assert tuned.tried == 16
    assert tuned.steps == 16 * 8 * 40


def test_linear_escapement_is_no_worse_than_the_constant_one_it_starts_from() -> None:
    simulator = short(three_species())
    options = {"points": 6, "episodes": 8, "generations": 3}
    constant = tune(simulator, "escapement", generator=generator(6, "tune"), **options)
    linear = tune(simulator, "linear", generator=generator(6, "tune"), **options)
    assert linear.score >= constant.score - 1e-3
    assert linear.steps > constant.steps


FAST = Ecosystem(species=(Species("X", 0.9, rate=2.0, noise=0.0),), fisheries=(Fishery("X"),), horizon=2)
"""The edge of the first grid of mortalities wins."""
ALL_FISHED = replace(three_species(), fisheries=(Fishery("X"), Fishery("Y"), Fishery("Z")))


@pytest.mark.parametrize(
    ("kind", "model"), [("linear", three_species()), ("mortality", ALL_FISHED), ("mortality", FAST)]
)
def test_all_rules_that_were_simulated_are_counted(kind, model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grids, each generation of a search, and its last population once more."""
    simulator, simulated, run = short(model, 2), [], EcosystemSimulator.run

    def counted(self, rule, **given):
        simulated.append(given["copies"])
        return run(self, rule, **given)

    monkeypatch.setattr(EcosystemSimulator, "run", counted)
    tuned = tune(simulator, kind, points=3, episodes=2, generations=2, generator=generator(7, "count"))
    assert len(simulated) > 1
    assert tuned.tried == sum(simulated)
    assert tuned.steps == sum(simulated) * 2 * 2


def test_the_mortality_grid_grows_where_its_edge_wins() -> None:
    tuned = tune(EcosystemSimulator(FAST), "mortality", points=11, episodes=2, generator=generator(0, "edge"))
    assert tuned.rule.values.item() > 0.5


def test_three_fisheries_are_searched_without_a_grid() -> None:
    simulator = short(ALL_FISHED, 10)
    options = {"points": 2, "episodes": 3, "generations": 2}
    tuned = tune(simulator, "mortality", generator=generator(1, "three"), **options)
    again = tune(simulator, "mortality", generator=generator(1, "three"), **options)
    assert tuned.rule.values.shape == (3,)
    assert torch.equal(tuned.rule.values, again.rule.values)


def test_shares_and_textbook_rules() -> None:
    rule = HarvestRule("mortality", (0, 1), 4.0, [0.2, 0.4])
    assert rule.times(0.8).values.tolist() == pytest.approx([0.16, 0.32])
    assert textbook(three_species()).values.tolist() == pytest.approx([1 / 3, 1 / 3])


def test_tuning_refuses_what_makes_no_sense() -> None:
    with pytest.raises(InputError, match="points, episodes"):
        tune(short(may1()), "mortality", points=1, episodes=3, generator=generator(0, "bad"))
    with pytest.raises(InputError, match="there is no other species"):
        tune(short(may1()), "linear", points=3, episodes=3, generator=generator(0, "bad"))
