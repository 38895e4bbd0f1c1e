"""The terms of fishery: windows, thresholds, slopes, smoothing; and the learner."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from livepapers.baselines.harvest_rules import HarvestRule
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.methods import fishery
from livepapers.tasks.ecosystem_model import may1, three_species

STOCK = torch.linspace(0.0, 1.0, 101)


@given(st.lists(st.floats(0, 10), min_size=2, max_size=60), st.floats(0.1, 1.0))
@settings(max_examples=60)
def test_a_popular_window_holds_its_share_and_lies_inside_the_visits(values: list[float], share: float) -> None:
    visits = torch.tensor(values, dtype=torch.float64)
    low, high = fishery.popular_window(visits, share)
    assert visits.min() - 1e-9 <= low <= high <= visits.max() + 1e-9
    assert int(((visits >= low) & (visits <= high)).sum()) >= share * len(values)


def test_a_popular_window_leaves_ended_episodes_and_outliers_out() -> None:
    visits = torch.cat([torch.linspace(0.4, 0.5, 90), torch.linspace(0.0, 2.0, 10), torch.full((5,), torch.nan)])
    low, high = fishery.popular_window(visits)
    assert 0.35 <= low < high <= 0.55


def test_a_threshold_is_where_fishing_begins_for_good() -> None:
    rising = (STOCK - 0.5).clamp(min=0.0)
    assert fishery.threshold(STOCK, rising, level=0.02).item() == pytest.approx(0.52, abs=1e-6)
    assert fishery.threshold(STOCK, torch.ones(101)).item() == 0.0
    assert math.isinf(fishery.threshold(STOCK, torch.zeros(101)).item())
    also_low = torch.where(STOCK < 0.195, 1.0, rising)  # fishes out what is nearly lost: the last rise counts
    assert fishery.threshold(STOCK, also_low, level=0.02).item() == pytest.approx(0.52, abs=1e-6)
    assert fishery.quiet_width(STOCK, also_low, level=0.02) == pytest.approx(0.52 - 0.19, abs=1e-5)
    assert fishery.quiet_width(STOCK, torch.ones(101)) == 0.0
    assert fishery.quiet_width(STOCK, torch.zeros(101)) == pytest.approx(1.0)


def _left(values: Tensor, other: Tensor) -> Tensor:
    """What a line in `other` leaves of `values`."""
    line = torch.stack([torch.ones_like(other), other], 1)
    return values - line @ torch.linalg.lstsq(line, values[:, None]).solution[:, 0]


def test_slopes_are_those_of_a_noisy_line_and_explain_what_partial_correlation_says() -> None:
    states = torch.rand(80, 2, generator=generator(0, "slopes"), dtype=torch.float64)
    noise = 0.05 * torch.randn(80, generator=generator(1, "slopes"), dtype=torch.float64)
    target = 0.3 + 0.7 * states[:, 0] + noise
    first, second = fishery.slopes(target, states)
    assert first.slope == pytest.approx(0.7, abs=0.1)
    assert first.explains > 0.9 > 0.1 > second.explains
    both = torch.stack([_left(target, states[:, 1]), _left(states[:, 0], states[:, 1])])
    assert first.explains == pytest.approx(float(torch.corrcoef(both)[0, 1] ** 2))
    with pytest.raises(ValueError, match="slopes of 2 species need more than 3 states, got 3"):
        fishery.slopes(torch.zeros(3), states[:3])


@pytest.mark.parametrize("count", [200, 20_000])
def test_more_states_do_not_make_a_faint_dependence_explain_more(count: int) -> None:
    states = torch.rand(count, 2, generator=generator(0, "many"), dtype=torch.float64)
    target = states[:, 0] + 0.05 * states[:, 1] + 0.2 * torch.randn(count, generator=generator(1, "many"))
    assert fishery.slopes(target, states)[1].explains < 0.05


def test_what_is_constant_neither_explains_nor_is_explained() -> None:
    states = torch.rand(50, 2, generator=generator(0, "constant"), dtype=torch.float64)
    assert [s.explains for s in fishery.slopes(torch.full((50,), 0.4), states)] == [0.0, 0.0]
    states[:, 1] = 0.7
    moved, still = fishery.slopes(0.3 + 0.5 * states[:, 0], states)
    assert moved == (pytest.approx(0.5), pytest.approx(1.0))
    assert still == (0.0, 0.0)


def test_threshold_slopes_find_the_weights_of_a_linear_escapement() -> None:
    model = three_species()
    rule = HarvestRule("linear", model.harvested, model.scale, [0.4, 0.05, -0.2, 0.0, 0.5, 0.1])
    states = torch.rand(150, 3, generator=generator(0, "states"))
    for index, expected in enumerate(({"Y": 0.05, "Z": -0.2}, {"X": 0.0, "Z": 0.1})):
        _, found = fishery.threshold_slopes(rule, model, fishery=index, states=states)
        assert {name: slope.slope for name, slope in found.items()} == pytest.approx(expected, abs=0.01)


def test_smoothing_states_are_three_grids() -> None:
    model, visited = three_species(), 0.3 + 0.4 * torch.rand(500, 3, generator=generator(0, "visited"))

    def states_of(points: int, others: int) -> Tensor:
        return fishery.smoothing_states(
            model, visited, popular=0.7, curve_points=points, other_points=others, generator=generator(0, "choice")
        )

    states = states_of(51, 5)
    assert states.shape == (3 * 51 * 25, 3)
    for i in range(3):
        part = states[i * 1275 : (i + 1) * 1275]
        assert len(part[:, i].unique()) == 51
        assert part[:, i].min() == 0.0
        for j in {0, 1, 2} - {i}:
            assert 0.3 <= part[:, j].min() < part[:, j].max() <= 0.7
    assert len(states_of(60, 9)) <= 4000


def test_observations_and_populations_are_not_mixed_up() -> None:
    """The smoothed rule sees what the learned one sees: observations, populations divided by the scale."""
    model = replace(three_species(), scale=8.0)

    def rule(observation: Tensor) -> Tensor:
        return (observation[:, :2] * model.scale).clamp(0.0, 1.0)

    states = torch.rand(300, 3, generator=generator(0, "scale"))
    smoothed = fishery.smooth(rule, model, states, fit_points=80, generator=generator(0, "fit"))
    with torch.no_grad():
        assert torch.allclose(smoothed(states / 8.0), states[:, :2], atol=0.03)


def test_the_learner_keeps_its_best_rule() -> None:
    config = fishery.Config.tiny()
    learner = fishery.example(config, 3)
    rewards = [learner.update()["dev_reward"] for _ in range(6)]
    assert learner.checked()["best_dev_reward"] == max(rewards)
    rule = learner.best_rule()
    mortality = rule(torch.rand(9, 1))
    assert mortality.shape == (9, 1)
    assert bool(((mortality >= 0) & (mortality <= 1)).all())
    state = learner.state_dict()
    with pytest.raises(CorruptFileError, match="missing"):
        learner.load_state_dict({name: value for name, value in state.items() if name != "best"})


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="minibatches"):
        fishery.Config(lanes=3, steps=5, minibatches=4)
    with pytest.raises(InputError, match="hidden"):
        fishery.Config(hidden=())


def test_the_example_is_model_1() -> None:
    assert fishery.example(fishery.Config.tiny(), 0).simulator.model == may1()
