"""policy-smoothing: the theorem on games, certificates, noise, attacks and training."""

import itertools
import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from livepapers.baselines.action_certificates import radii, voted_episodes
from livepapers.baselines.lipschitz_smoothing import lipschitz_mean_bound
from livepapers.blocks import deterministic_policy_gradient
from livepapers.blocks.policy_door import as_policy
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.methods.policy_smoothing import (
    Certificate,
    Config,
    CriticAdversary,
    Ledger,
    LinearPolicy,
    NoisyDDPG,
    NoisyObservation,
    NoisySearch,
    Search,
    Seen,
    SmoothedPolicy,
    ThresholdGame,
    ValueAdversary,
    attack,
    band,
    budget_from_per_step,
    certify,
    collect_returns,
    compare,
    gaps_at,
    largest_ratio,
    lower_confidence,
    noisy_q_learning,
    play,
    shift,
    upper_confidence,
)
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.mountain_car import MountainCar
from livepapers.tasks.observations import NoisyObservations, StackedObservations
from livepapers.tasks.vector import GymnasiumTask, SimulatorTask, SimulatorVectorEnv

GAMES = [ThresholdGame(1, 1, 1.0), ThresholdGame(2, 2), ThresholdGame(2, 1), ThresholdGame(3, 2, 0.5)]
BUDGETS = np.linspace(0.0, 1.0, 6)
shares = st.floats(0.0, 1.0, allow_nan=False)
ratios = st.floats(0.0, 50.0, allow_nan=False)


def balancing() -> LinearPolicy:
    """A linear policy of five frames that keeps a pole up under noise of 0.2, found once and written down."""
    space = StackedObservations(CartPole(200), 5)
    policy = LinearPolicy(space.observation_space, space.action_space)
    frame = torch.tensor([0.05, 0.35, 1.0, 0.9])
    with torch.no_grad():
        policy.weight.copy_((torch.linspace(0.6, 1.4, 5)[:, None] * frame).reshape(1, -1))
    return policy.eval()


# ---- the theorem ----


@pytest.mark.parametrize(
    ("p", "ratio", "expected"),
    [(0.5, 1.0, 0.158655), (0.975, 1.959964, 0.5), (0.9, 0.0, 0.9), (0.0, 1.0, 0.0), (1.0, 3.0, 1.0)],
)
def test_the_bound_at_tabulated_values(p: float, ratio: float, expected: float):
    assert float(shift(p, ratio)) == pytest.approx(expected, abs=1e-6)


@given(shares, shares, ratios, ratios)
def test_the_bound_rises_with_p_falls_with_the_budget_and_stays_a_probability(p, q, a, b):
    values = shift([min(p, q), max(p, q)], min(a, b))
    assert values[0] <= values[1] + 1e-15
    assert shift(p, max(a, b)) <= shift(p, min(a, b)) + 1e-15
    assert 0.0 <= shift(p, a) <= p + 1e-15
    assert shift(p, 1e9) == (1.0 if p == 1.0 else 0.0)


@pytest.mark.parametrize("game", GAMES, ids=str)
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_no_adversary_of_a_game_gets_below_the_bound(game: ThresholdGame, ratio: float):
    bound = float(shift(game.clean(), ratio))
    assert game.worst(ratio, cells=60) >= bound - 1e-12
    assert game.first_step_only(ratio) >= bound - 1e-12
    assert game.worst(ratio, cells=60) <= game.first_step_only(ratio) + 1e-12


@pytest.mark.parametrize("ratio", [0.3, 1.0, 3.0])
def test_one_step_attains_the_bound(ratio: float):
    game = ThresholdGame(1, 1, 1.3)
    assert game.worst(ratio) == pytest.approx(float(shift(game.clean(), ratio)), abs=1e-12)


@pytest.mark.parametrize("game", GAMES, ids=str)
def test_simulated_games_agree_with_dynamic_programming(game: ThresholdGame):
    episodes, ratio = 200_000, 1.5
    spend = game.best_adversary(ratio, cells=60)
    share = game.simulate(episodes, generator(0, "game"), spend=spend, ratio=ratio)
    expected = game.worst(ratio, cells=60)
    assert abs(share - expected) <= 5.0 * math.sqrt(expected * (1.0 - expected) / episodes)
    clean = game.simulate(episodes, generator(1, "game"))
    assert abs(clean - game.clean()) <= 5.0 * math.sqrt(game.clean() * (1.0 - game.clean()) / episodes)


def test_adapting_pays_in_a_game_and_still_does_not_break_the_bound():
    game, ratio = ThresholdGame(2, 1, 1.0), 2.0
    fixed = min(
        1.0 - (1.0 - stats.norm.cdf(1.0 - a)) * (1.0 - stats.norm.cdf(1.0 - math.sqrt(ratio**2 - a**2)))
        for a in np.linspace(0.0, ratio, 400)
    )
    blind_in_three = ThresholdGame(3, 2, 0.5)
    assert float(shift(game.clean(), ratio)) <= game.worst(ratio) <= fixed + 1e-4
    assert blind_in_three.worst(1.5, cells=100) < blind_in_three.first_step_only(1.5) - 1e-3


# ---- confidence ----


@given(st.integers(1, 500), st.data())
def test_bounds_of_clopper_and_pearson_are_scipys(n: int, data: st.DataObject):
    k = data.draw(st.integers(0, n))
    interval = stats.binomtest(k, n).proportion_ci(0.90, "exact")
    assert float(lower_confidence(k, n, 0.05)) == pytest.approx(interval.low, abs=1e-9)
    assert float(upper_confidence(k, n, 0.05)) == pytest.approx(interval.high, abs=1e-9)


@given(st.integers(1, 300), st.data())
def test_a_bound_rises_with_successes_and_with_episodes(n: int, data: st.DataObject):
    k = data.draw(st.integers(0, n - 1))
    assert lower_confidence(k, n, 0.05) < lower_confidence(k + 1, n, 0.05) < 1.0
    assert lower_confidence(2 * k, 2 * n, 0.05) >= lower_confidence(k, n, 0.05)  # as many in a hundred, more of them


def test_the_certificate_at_budget_zero_covers_a_known_probability():
    wins = numpy_generator(0, "coverage").binomial(500, 0.9, 400)
    below = sum(float(lower_confidence(k, 500, 0.05)) <= 0.9 for k in wins)
    assert below >= 366  # 95 % of 400 are 380; fewer than 366 would happen once in a hundred


# ---- certificates ----

whole = st.lists(st.integers(0, 20), min_size=2, max_size=60)


@settings(deadline=None)
@given(whole)
def test_certified_means_fall_with_the_budget_and_stay_below_the_clean_bound(values: list[int]):
    for estimator in ("levels", "band"):
        found = Certificate.from_returns(values, 0.4, lowest=0.0, highest=20.0, estimator=estimator)
        means = found.mean(BUDGETS)
        assert (np.diff(means) <= 1e-12).all()
        assert means[0] <= np.mean(values) + 1e-12
        assert (means >= 0.0).all()
        assert (means <= found.ceiling(BUDGETS) + 1e-9).all()
        assert (found.mean_upper(BUDGETS) >= np.mean(values) - 1e-12).all()
        assert (np.diff(found.quantile(BUDGETS, 0.5)) <= 0.0).all()


@settings(deadline=None)
@given(whole, st.integers(1, 20))
def test_better_returns_never_get_less(values: list[int], extra: int):
    better = [min(value + extra, 20) for value in values]
    for estimator in ("levels", "band"):
        first, second = (
            Certificate.from_returns(each, 0.4, lowest=0.0, highest=20.0, estimator=estimator)
            for each in (values, better)
        )
        assert (second.mean(BUDGETS) >= first.mean(BUDGETS) - 1e-12).all()
        assert (second.quantile(BUDGETS, 0.5) >= first.quantile(BUDGETS, 0.5)).all()


def test_levels_share_alpha_and_are_added_up_as_the_specification_says():
    returns = np.array([0, 1, 1, 2, 3, 3, 3, 3, 3, 3], dtype=float)
    found = Certificate.from_returns(returns, 0.5, lowest=0, highest=3)
    expected = 0.0
    for level in (1, 2, 3):
        k = int((returns >= level).sum())
        p = stats.beta.ppf(0.05 / 3, k, 10 - k + 1)
        expected += stats.norm.cdf(stats.norm.ppf(p) - 0.3 / 0.5)
    assert found.estimator == "levels"
    assert float(found.mean(0.3)) == pytest.approx(expected, abs=1e-12)


def test_the_band_is_added_up_as_the_specification_says_and_starts_at_the_lowest_return():
    returns = np.array([-4.0, -1.5, 0.25, 3.0] * 50)
    found = Certificate.from_returns(returns, 0.5, lowest=-10.0)
    slack, expected, before = math.sqrt(math.log(20.0) / 400.0), -10.0, -10.0
    for index, value in enumerate(np.sort(returns)):
        p = max(0.0, (200 - index) / 200 - slack)
        expected += (stats.norm.cdf(stats.norm.ppf(p) - 0.4) if p else 0.0) * (value - before)
        before = value
    assert found.estimator == "band"
    assert band(200, 0.05) == pytest.approx(slack)
    assert float(found.mean(0.2)) == pytest.approx(expected, abs=1e-9)


def test_both_estimators_agree_on_zeros_and_ones_within_their_slack():
    wins = (numpy_generator(0, "both").random(2000) < 0.9).astype(float)
    levels = Certificate.from_returns(wins, 1.0, levels=[0.0, 1.0])
    banded = Certificate.from_returns(wins, 1.0, lowest=0.0, highest=1.0, estimator="band")
    assert abs(levels.mean(0.0) - banded.mean(0.0)) <= band(2000, 0.05)
    assert (banded.mean(BUDGETS) <= levels.mean(BUDGETS)).all()  # one level shares alpha with no other
    assert (levels.mean(BUDGETS) <= shift(wins.mean(), BUDGETS)).all()
    assert (banded.mean(BUDGETS) >= shift(wins.mean() - band(2000, 0.05), BUDGETS) - 1e-12).all()
    assert float(levels.mean(0.5)) == pytest.approx(float(levels.success(0.5, 1.0)))


def test_levels_are_never_read_off_the_returns():
    returns = np.array([0.5, 1.5, 1.5, 2.5] * 10)
    assert Certificate.from_returns(returns, 1.0, lowest=0.0, highest=3.0).estimator == "band"
    assert Certificate.from_returns(returns, 1.0, levels=[0, 0.5, 1.5, 2.5]).estimator == "levels"
    assert Certificate.from_returns(np.arange(5.0), 1.0, lowest=0.0).estimator == "band"  # the highest is not known
    assert Certificate.from_returns(np.arange(5.0), 1.0, lowest=0.0, highest=5000.0).estimator == "band"


def test_quantiles_and_largest_budgets_answer_each_other():
    returns = np.concatenate([np.full(950, 200.0), np.full(50, 20.0)])
    found = Certificate.from_returns(returns, 0.2, lowest=0.0, highest=200.0)
    budget = found.max_budget(200.0, 0.5)
    p = float(lower_confidence(950, 1000, 0.05))
    assert budget == pytest.approx(0.2 * stats.norm.ppf(p))
    assert float(found.success(budget, 200.0)) == pytest.approx(0.5)
    assert found.quantile(0.25)[()] == 200.0
    assert found.quantile(5.0)[()] == 0.0
    assert found.max_budget(200.0, 0.99) == 0.0
    assert float(largest_ratio(0.5, 0.9)) == 0.0


def test_without_a_lowest_return_quantiles_remain():
    found = Certificate.from_returns(np.linspace(-1.0, 1.0, 500), 0.2)
    assert set(found.curve([0.0, 0.1])[0]) == {"budget", "median"}
    assert np.isnan(found.quantile(10.0))
    with pytest.raises(InputError, match="lowest: got nothing"):
        found.mean(0.1)
    with pytest.raises(InputError, match="highest: got nothing"):
        found.mean_upper(0.1)


def test_the_ceiling_is_what_a_perfect_agent_gets():
    found = Certificate.from_returns(np.full(10_000, 200.0), 0.2, lowest=0.0, highest=200.0)
    assert found.perfect_probability() == pytest.approx((0.05 / 200) ** 1e-4)
    assert found.mean(BUDGETS) == pytest.approx(found.ceiling(BUDGETS))
    few = Certificate.from_returns(np.full(100, 200.0), 0.2, lowest=0.0, highest=200.0)
    assert float(few.mean(0.4)) < 0.7 * float(found.mean(0.4))


def test_upper_bounds_mirror_lower_ones():
    wins = np.array([1.0] * 30 + [0.0] * 70)
    found = Certificate.from_returns(wins, 0.5, levels=[0.0, 1.0])
    p = float(upper_confidence(30, 100, 0.05))
    expected = stats.norm.cdf(stats.norm.ppf(p) + 0.4)
    assert float(found.success_upper(0.2, 1.0)) == pytest.approx(expected)
    assert float(found.mean_upper(0.2)) == pytest.approx(expected)


def test_a_certificate_goes_through_json_and_answers_the_same():
    found = Certificate.from_returns([3, 1, 2, 2], (0.1, 0.2), lowest=0.0, highest=4.0)
    again = Certificate.from_json(found.to_json())
    assert again.sigma == (0.1, 0.2)
    assert np.array_equal(again.mean(BUDGETS), found.mean(BUDGETS))
    with pytest.raises(InputError, match="certificate"):
        Certificate.from_json({"returns": [1.0]})


def test_two_certificates_are_compared_where_they_cross():
    low = Certificate.from_returns(np.full(2000, 10.0), 0.2, lowest=0.0, highest=10.0)
    high = Certificate.from_returns(np.full(2000, 8.0), 0.5, lowest=0.0, highest=10.0)
    crossing = compare(low, high, np.linspace(0.0, 1.0, 11))
    assert [each.higher for each in crossing] == ["first", "second"]
    assert crossing[0].first == 0.0
    assert crossing[1].last == 1.0
    with pytest.raises(InputError, match="confidence"):
        compare(low, Certificate.from_returns([1.0], 0.2, confidence=0.9), [0.0])


def test_per_step_budgets_add_up_in_squares():
    assert budget_from_per_step(0.1, 100) == pytest.approx(1.0)
    assert budget_from_per_step(0.1, 25, norm="linf", width=4) == pytest.approx(1.0)
    with pytest.raises(InputError, match="width"):
        budget_from_per_step(0.1, 25, norm="linf")


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"returns": [1.0, math.nan]}, "returns: got nan"),
        ({"returns": []}, "at least one number"),
        ({"returns": [-1.0], "lowest": 0.0}, "none below lowest"),
        ({"returns": [3.0], "highest": 2.0}, "none above highest"),
        ({"sigma": 0.0}, "sigma: got 0.0"),
        ({"sigma": [0.1, -0.1]}, "sigma"),
        ({"confidence": 95.0}, "confidence.*0.95 is meant"),
        ({"confidence": 0.4}, "confidence"),
        ({"estimator": "levels"}, "levels to be given"),
        ({"levels": [0.0, 0.0, 1.0]}, "ascending"),
        ({"levels": [0.0, 2.0]}, "one of the levels"),
        ({"levels": [0.0, 1.0], "lowest": -1.0}, "lowest: got -1"),
        ({"lowest": 1.0, "highest": 1.0}, "lowest below highest"),
    ],
)
def test_what_certifies_nothing_is_refused(given_: dict, says: str):
    with pytest.raises(InputError, match=says):
        Certificate.from_returns(**{"returns": [1.0, 1.0], "sigma": 0.2, **given_})


def test_negative_budgets_and_thresholds_that_are_none_are_refused():
    found = Certificate.from_returns([1.0, 0.0], 0.2, lowest=0.0, highest=1.0)
    with pytest.raises(InputError, match="budget"):
        found.mean(-0.1)
    with pytest.raises(InputError, match="threshold"):
        found.success(0.1, math.nan)
    with pytest.raises(InputError, match="share"):
        found.quantile(0.1, 1.0)


# ---- noise ----


class Remembering(torch.nn.Module):
    """Keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, seen: Tensor) -> Tensor:
        self.shown.append(seen)
        return torch.zeros(len(seen), dtype=torch.int64)


def test_each_observation_gets_one_draw_and_keeps_it_in_later_stacks():
    policy = Remembering()
    agent = SmoothedPolicy(policy, 0.5, generator=generator(0), frames=3)
    for step in range(4):
        agent(torch.full((6, 2), float(step)))
    first, second, third, last = policy.shown
    assert torch.equal(first[:, :2], torch.zeros(6, 2, 2))
    assert torch.equal(second[:, 1], first[:, 2])
    assert torch.equal(last[:, :2], third[:, 1:])
    assert agent.observations == 24
    noise = torch.stack([shown[:, -1] - step for step, shown in enumerate(policy.shown)])
    assert len(noise.flatten().unique()) == noise.numel()  # lanes, steps and features do not share draws


def test_noise_has_its_sigma_by_feature_and_is_float_whatever_came():
    policy = Remembering()
    agent = SmoothedPolicy(policy, (0.5, 2.0), generator=generator(0))
    agent(torch.full((40_000, 2), 200, dtype=torch.uint8))
    shown = policy.shown[0]
    assert shown.dtype == torch.float32
    assert shown.mean(0).tolist() == pytest.approx([200.0, 200.0], abs=0.05)
    assert shown.std(0).tolist() == pytest.approx([0.5, 2.0], rel=0.03)
    with pytest.raises(InputError, match="sigma"):
        SmoothedPolicy(policy, (0.5, 2.0), generator=generator(0))(torch.zeros(3, 4))


def test_clipping_comes_after_the_noise_and_restarts_forget_single_lanes():
    policy = Remembering()
    agent = SmoothedPolicy(policy, 5.0, generator=generator(0), frames=2, clip=(0.0, 1.0))
    agent(torch.zeros(50, 1))
    agent.restart(torch.arange(50) < 25)
    agent(torch.zeros(50, 1))
    assert float(policy.shown[1].min()) >= 0.0
    assert float(policy.shown[1].max()) <= 1.0
    assert float(policy.shown[1][:25, 0].abs().max()) == 0.0
    assert torch.equal(policy.shown[1][25:, 0], policy.shown[0][25:, 1])


def test_the_adversary_moves_before_the_noise_is_drawn():
    noise, states = generator(0, "watched"), []
    agent = SmoothedPolicy(balancing(), 0.2, generator=noise, frames=5)

    def watch(seen: Seen) -> Tensor:
        states.append(noise.get_state())
        if seen.step:  # of old observations it knows all; the newest noisy one is that of the step before
            drawn = seen.noisy[:, -1] - seen.clean[:, -2]
            assert float(drawn[seen.going].abs().max()) > 0.0
        return torch.zeros_like(seen.observation)

    task = SimulatorTask(CartPole(20), 8)
    found = play(agent, task, seed=0, adversary=watch)
    again = play(
        SmoothedPolicy(balancing(), 0.2, generator=generator(0, "watched"), frames=5),
        SimulatorTask(CartPole(20), 8),
        seed=0,
    )
    assert np.array_equal(found.returns, again.returns)  # watching changes nothing
    assert torch.equal(states[0], generator(0, "watched").get_state())
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(states))


def test_training_noise_is_drawn_once_before_stacking_and_resumes_bit_for_bit():
    world = StackedObservations(NoisyObservations(CartPole(30), 0.3), 3)
    whole_task, other = SimulatorTask(world, 4), SimulatorTask(world, 4)
    before = whole_task.reset(1)
    actions = torch.randint(0, 2, (20, 4), generator=generator(2))
    for action in actions[:10]:
        step = whole_task.step(action)
        going = ~(step.terminated | step.truncated)
        assert torch.equal(step.observation[going][:, :-1], before[going][:, 1:])
        assert torch.equal(step.observation[going], step.final[going])
        before = step.observation
    other.load_state_dict(whole_task.state_dict())
    for action in actions[10:]:
        steps = (task.step(action)._asdict() for task in (whole_task, other))
        assert all(a is b is None or torch.equal(a, b) for a, b in zip(*(one.values() for one in steps), strict=True))


def test_a_gymnasium_wrapper_adds_the_noise_for_other_libraries():
    import gymnasium

    env = NoisyObservation(gymnasium.make("CartPole-v1"), 0.5, seed=3)
    noisy, _ = env.reset(seed=0)
    plain, _ = gymnasium.make("CartPole-v1").reset(seed=0)
    assert noisy.dtype == np.float32
    assert env.observation_space.contains(noisy)
    again = NoisyObservation(gymnasium.make("CartPole-v1"), 0.5, seed=3)
    assert np.array_equal(again.reset(seed=0)[0], noisy)
    assert 0.0 < np.abs(noisy - plain).max() < 5.0


# ---- budgets and attacks ----


@settings(deadline=None, max_examples=50)
@given(st.floats(0.0, 3.0), st.lists(st.floats(0.0, 5.0), min_size=1, max_size=12), st.integers(0, 2**31))
def test_a_ledger_never_pays_more_than_the_budget(budget: float, sizes: list[float], seed: int):
    ledger, stream = Ledger(budget, 4, scale=torch.ones(())), generator(seed)
    total = torch.zeros(4, dtype=torch.float64)
    going = torch.tensor([True, True, True, False])
    for size in sizes:
        asked = size * torch.randn(4, 3, generator=stream)
        granted = ledger.pay(asked, going)
        total += granted.double().square().sum(1)
        assert torch.equal(granted[3], torch.zeros(3))
    assert float(total.max()) <= budget**2 * (1.0 + 1e-9)
    assert torch.allclose(total.sqrt(), ledger.spent, rtol=1e-9, atol=0.0)


def test_budgets_in_standard_deviations_weigh_features():
    ledger = Ledger(1.0, 1, scale=torch.tensor([0.5, 2.0]))
    granted = ledger.pay(torch.tensor([[0.5, 0.0]]), torch.tensor([True]))
    assert granted.tolist() == [[0.5, 0.0]]
    assert float(ledger.spent) == pytest.approx(1.0)
    assert float(ledger.pay(torch.tensor([[0.0, 1.0]]), torch.tensor([True])).abs().max()) < 1e-3
    with pytest.raises(InputError, match="sigma"):
        Ledger(1.0, 1, scale=torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("steps", ["fixed", "linearised"])
@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_attacks_keep_their_budget_and_hurt(steps, sigma: float):
    found = attack(
        balancing(), CartPole(60), sigma=sigma, budget=3.0, gaps=(0.0, 0.3), episodes=24,
        search=Search(points=8, steps=steps, size=0.02),
    )  # fmt: skip
    assert found.returns.shape == (2, 24)
    assert float(found.spent.max()) <= 3.0 + 1e-7
    assert float(found.spent.max()) > 1.0
    clean = collect_returns(balancing(), CartPole(60), sigma=sigma, episodes=24, seed=5).returns
    assert found.mean < clean.mean()
    assert found.mean == min(found.returns.mean(1))
    assert found.worst.mean() == found.mean


def test_an_attack_without_a_budget_is_a_clean_episode():
    one = attack(balancing(), CartPole(60), sigma=0.2, budget=0.0, episodes=30, search=Search(points=4))
    policy = balancing()
    from livepapers.core.rng import derive

    clean = collect_returns(
        policy, CartPole(60), sigma=0.2, episodes=30, seed=derive(0, "policy-smoothing", "attack")
    ).returns  # fmt: skip
    assert np.array_equal(one.returns[0], clean)


def test_a_linear_policy_is_turned_at_the_exact_smallest_change():
    policy = balancing()
    from livepapers.blocks.policy_door import as_policy

    adversary = ValueAdversary(as_policy(policy), 0.0, search=Search(points=0), generator=generator(0))
    stack = 0.1 * torch.randn(50, 5, 4, generator=generator(1))
    seen = Seen(0, stack[:, -1], stack, torch.cat([stack[:, :1], stack[:, :-1]], 1), None, torch.full((50,), 9.0),
                torch.ones(50, dtype=torch.bool), None)  # fmt: skip
    change = adversary(seen)
    newest = policy.weight[0].detach().reshape(5, 4)[-1]
    exact = (policy.values(stack)[:, 1].abs() / newest.norm()).detach()
    size = change.norm(dim=1)
    turned = torch.cat([stack[:, :-1], (stack[:, -1] + change)[:, None]], 1)
    assert torch.equal(policy(turned), 1 - policy(stack))
    assert bool((size >= exact * (1.0 - 1e-4)).all())
    assert bool((size <= exact * 1.03 + 2e-5).all())


def test_the_attack_does_not_pay_for_what_is_not_worth_it_nor_for_what_it_cannot_reach():
    policy = balancing()
    from livepapers.blocks.policy_door import as_policy

    stack = torch.zeros(1, 5, 4)
    stack[:, :, 2] = 0.02
    left = torch.tensor([0.001])
    seen = Seen(0, stack[:, -1], stack, stack.roll(1, 1), None, left, torch.ones(1, dtype=torch.bool), None)
    for gap, radius in ((1e6, 9.0), (0.0, 0.001)):
        adversary = ValueAdversary(as_policy(policy), 0.0, search=Search(gap=gap, points=0), generator=generator(0))
        assert float(adversary(seen._replace(left=torch.tensor([radius]))).abs().max()) == 0.0


def test_gaps_are_quantiles_of_the_agents_own_values():
    gaps = gaps_at(balancing(), CartPole(50), sigma=0.2, shares=(0.0, 0.5, 0.9))
    assert gaps[0] == 0.0 < gaps[1] < gaps[2]


class Pusher(torch.nn.Module):
    """Pushes the way the car rolls: it reaches the flag."""

    def forward(self, seen: Tensor) -> Tensor:
        return torch.tanh(10.0 * seen[:, 1:])


def test_a_critic_adversary_stops_a_car_that_a_smaller_budget_does_not():
    world = MountainCar(scaled=True)
    world.horizon = 300  # it needs a third of that
    plain = collect_returns(Pusher(), world, sigma=0.0, episodes=4, seed=0).returns
    assert (plain > 0.0).all()

    def power(seen: Tensor, action: Tensor) -> Tensor:
        return seen.flatten(1)[:, -1] * action[:, 0]

    weak, strong = (
        attack(
            Pusher(), world, sigma=0.0, budget=budget, gaps=(0.5,), episodes=4, critic=power, search=Search(points=0)
        )
        for budget in (0.01, 20.0)
    )
    assert (weak.returns > 0.0).all()
    assert strong.returns.mean() < weak.returns.mean()
    assert strong.spent.max() <= 20.0 + 1e-6
    with pytest.raises(InputError, match="torch module"):
        CriticAdversary(
            as_policy(lambda seen: seen[:, :1]), power, sigma=0.0, search=Search(), generator=generator(0),
        )  # fmt: skip


@pytest.mark.slow
def test_no_attack_in_ten_thousand_episodes_falls_below_the_certificate():
    policy, world = balancing(), CartPole(200)
    found = certify(policy, world, sigma=0.2, episodes=10_000, seed=11)
    budget = 0.4
    done = attack(
        policy, world, sigma=0.2, budget=budget, gaps=(0.5,), episodes=10_000, seed=12, search=Search(points=0)
    )
    assert done.mean >= float(found.mean(budget))
    for threshold in (50.0, 100.0, 200.0):
        share = float((done.worst >= threshold).mean())
        slack = 5.0 * math.sqrt(max(share * (1.0 - share), 1e-4) / 10_000)
        assert share + slack >= float(found.success(budget, threshold))


def test_the_lipschitz_bound_is_below_the_certificate_up_to_confidence():
    returns = numpy_generator(0, "lipschitz").binomial(200, 0.95, 5000).astype(float)
    found = Certificate.from_returns(returns, 0.2, lowest=0.0, highest=200.0)
    older = lipschitz_mean_bound(returns, BUDGETS / 0.2, lowest=0.0, highest=200.0)
    assert (older <= found.mean(BUDGETS) + 200.0 * band(5000, 0.05)).all()
    assert older[-1] == 0.0
    with pytest.raises(InputError, match="returns"):
        lipschitz_mean_bound([3.0], 0.1, lowest=0.0, highest=1.0)


def test_per_step_radii_follow_cohen_and_certify_few_episodes():
    votes = np.array([[1000, 0], [900, 100], [500, 500]])
    found = radii(votes, sigma=0.5, alpha=0.05)
    low = stats.beta.ppf(0.025, 900, 101)
    assert found[1] == pytest.approx(0.5 * stats.norm.ppf(low), abs=1e-9)
    assert found[0] > found[1] > found[2] == 0.0
    task = SimulatorTask(StackedObservations(CartPole(30), 5), 4)
    played = voted_episodes(
        balancing(), task, sigma=0.2, votes=50, alpha=0.05, horizon=30, actions=2, generator=generator(0), seed=1
    )
    assert played.evaluations == 50 * played.steps
    assert (played.radius < 0.2).all()


# ---- certifying anything ----


def test_every_kind_of_world_and_policy_comes_in():
    policy = balancing()
    sources = (policy, policy.forward, lambda seen: (seen.flatten(1) @ policy.weight[0] > 0).long())
    for source in sources:
        found = certify(source, CartPole(40), sigma=0.2, episodes=200, frames=5, seed=1)
        assert found.highest == 40.0
        assert found.estimator == "levels"
        assert found.returns.mean() > 30.0
    same = [
        certify(policy, env, sigma=0.2, episodes=64, seed=1, lowest=0.0, highest=40.0).returns
        for env in (
            CartPole(40), StackedObservations(CartPole(40), 5), SimulatorTask(CartPole(40), 64),
            SimulatorVectorEnv(CartPole(40), 64),
        )
    ]  # fmt: skip
    assert all(np.array_equal(each, same[0]) for each in same)
    theirs = certify(policy, GymnasiumTask.make("CartPole-v1", 2), sigma=0.2, episodes=3, seed=1)
    assert theirs.episodes == 3
    assert theirs.lowest is None
    one = gymnasium.wrappers.TransformReward(gymnasium.make("CartPole-v1"), lambda reward: 2.0 * float(reward))
    alone = [certify(policy, env, sigma=0.2, episodes=3, seed=1) for env in (one, GymnasiumTask.make("CartPole-v1", 1))]
    assert np.array_equal(alone[0].returns, 2.0 * alone[1].returns)
    assert one.reset(seed=0)[0].shape == (4,)  # still theirs to use


def test_the_same_seed_gives_the_same_certificate_and_another_another():
    first, again, other = (
        certify(balancing(), CartPole(100), sigma=0.3, episodes=100, seed=seed).returns for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_cannot_be_certified_is_refused():
    with pytest.raises(InputError, match=r"noise.*added here"):
        certify(balancing(), NoisyObservations(CartPole(20), 0.2), sigma=0.2, episodes=2)
    with pytest.raises(InputError, match="frames: got 3"):
        certify(balancing(), CartPole(20), sigma=0.2, episodes=2, frames=3)
    with pytest.raises(InputError, match="sigma"):
        certify(balancing(), CartPole(20), sigma=0.0, episodes=2)
    with pytest.raises(InputError, match="expected those of the policy"):
        certify(balancing(), MountainCar(), sigma=0.2, episodes=2)
    with pytest.raises(InputError, match="episodes"):
        certify(balancing(), CartPole(20), sigma=0.2, episodes=0)
    for policy, says in (
        (lambda seen: seen, r"policy: got <lambda>.*shape \[2, 4\]"),
        (lambda seen: torch.full((len(seen),), 7), "took action 7"),
        (nn.Sequential(nn.Linear(4, 2)), "are these logits"),
    ):
        with pytest.raises(InputError, match=says):
            certify(policy, CartPole(20), sigma=0.2, episodes=2)
    with pytest.raises(InputError, match="differentiable"):
        attack(lambda seen: seen, CartPole(20), sigma=0.2, budget=0.1, episodes=2)


# ---- training ----

SHORT = replace(Config.tiny(), sigma=0.3, q_steps=512, q_warm_up=16)


def test_search_finds_a_policy_that_training_without_noise_does_not():
    certified = {}
    for noise in (0.0, 0.4):
        config = replace(
            Config(), sigma=noise, candidates=24, trials=4, elites=4, updates=6, selection=64
        )  # fmt: skip
        learner = NoisySearch(CartPole(100), config=config, seed=3)
        for _ in range(config.updates):
            learner.update()
        certified[noise] = float(certify(learner.policy(), CartPole(100), sigma=0.4, episodes=500).mean(0.2))
    assert certified[0.4] > certified[0.0] + 5.0
    assert certified[0.4] > 50.0


def test_every_training_resumes_bit_for_bit():
    from livepapers.battery.subject import state_digest

    def makers():
        yield lambda: noisy_q_learning(CartPole(30), config=SHORT, seed=1)[0]
        rules = deterministic_policy_gradient.Config(
            steps=4, batch=8, capacity=64, target_noise=0.0, policy_delay=1, warm_up=8
        )  # fmt: skip
        task = NoisyObservations(MountainCar(scaled=True), 0.2)
        yield lambda: NoisyDDPG(SimulatorTask(task, 2), config=rules, hidden=(8,), exploration=0.5, seed=1)

    for make in makers():
        whole_run = make()
        for _ in range(3):
            whole_run.update()
        kept = whole_run.state_dict()
        resumed = make()
        resumed.load_state_dict(kept)
        for _ in range(2):
            whole_run.update()
            resumed.update()
        assert state_digest(whole_run.state_dict()) == state_digest(resumed.state_dict())
        with pytest.raises(CorruptFileError):
            resumed.load_state_dict({})


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="elites"):
        NoisySearch(CartPole(20), config=replace(Config.tiny(), elites=9), seed=0)
    with pytest.raises(InputError, match="gap"):
        Search(gap=-1.0)
    with pytest.raises(InputError, match="needed"):
        ThresholdGame(2, 3)


class Locked(CartPole):
    """A pole whose cart may be pushed to the right only."""

    def mask(self, state: Any) -> torch.Tensor:  # type: ignore[override]
        return torch.tensor([[False, True]]).expand(len(state[0]), 2)


def test_an_attack_in_a_world_that_forbids_actions_is_refused_and_a_certificate_is_not():
    assert certify(lambda seen: torch.ones(len(seen)).long(), Locked(20), sigma=0.2, episodes=4).episodes == 4
    says = r"^env: got actions that are forbidden at times, expected a world without masks \(an attack follows"
    with pytest.raises(InputError, match=says):
        attack(balancing(), Locked(20), sigma=0.2, budget=0.5, episodes=2)


def test_a_car_at_full_force_all_the_way_returns_no_less_than_its_world_says():
    found = certify(lambda seen: torch.ones(len(seen), 1), MountainCar(), sigma=0.1, episodes=2)
    assert found.returns.min() == found.lowest == pytest.approx(-99.9)


def test_options_that_mean_nothing_are_refused_in_one_line():
    typed: Any = Certificate.from_returns
    returns = np.arange(5.0)
    for options, says in (
        ({"estimator": "leves"}, "estimator: got leves, expected one of auto, levels, band"),
        ({"highest": np.inf}, "highest: got inf, expected a finite number"),
        ({"lowest": -np.inf}, "lowest: got -inf, expected a finite number"),
    ):
        with pytest.raises(InputError, match=f"^{says}"):
            typed(returns, 0.2, **options)
    with pytest.raises(InputError, match=r"^sigma: got 0.2, .*this is text"):
        certify(balancing(), CartPole(5), sigma="0.2", episodes=2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^episodes: got 50.5, expected a whole number"):
        certify(balancing(), CartPole(5), sigma=0.2, episodes=50.5)  # type: ignore[arg-type]


def test_a_described_world_may_leave_out_arguments_and_must_have_a_name():
    assert certify(balancing(), {"name": "cart-pole"}, sigma=0.2, episodes=2).episodes == 2
    for described in ({"x": 1}, {"name": "cart-pole", "arguments": 3}):
        with pytest.raises(InputError, match=r"^env: got .*, expected .*name.*: a world"):
            certify(balancing(), described, sigma=0.2, episodes=2)
