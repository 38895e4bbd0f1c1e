"""Agents, attacks, changes and whole diagnoses of drl-diagnosis."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from livepapers.blocks.policy_door import as_policy
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.methods import drl_diagnosis as method
from livepapers.methods.drl_diagnosis import attacks, changes, collecting, training
from livepapers.methods.drl_diagnosis.attacks import Limits
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.minatar import Breakout, Freeway
from livepapers.tasks.vector import SimulatorTask

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    """As in use: attacks and directions take the gradients that they need themselves."""
    with torch.no_grad():
        yield


TINY = method.Config.tiny()
FREE = Limits(100.0, -10.0, 10.0)


def _policy(seed: int = 0, game: Any = None) -> method.ConvQPolicy:
    game = game or Breakout(60)
    return method.ConvQPolicy(
        game.observation_space, game.action_space, layers=((8, 3, 1),), hidden=32, generator=generator(seed, "weights")
    )


def _pictures(count: int = 6) -> Tensor:
    return (torch.rand(count, 4, 10, 10, generator=generator(0, "pictures")) < 0.2).float()


def _linear(width: int = 5) -> tuple[Tensor, Tensor, nn.Linear]:
    made = nn.Linear(width, 3)
    stream = generator(0, "linear")
    with torch.no_grad():
        made.weight.copy_(torch.randn(3, width, generator=stream))
        made.bias.copy_(torch.randn(3, generator=stream))
    return made.weight.detach(), made.bias.detach(), made


def test_deepfool_is_exact_on_a_linear_network():
    weight, bias, made = _linear()
    states = torch.randn(20, 5, generator=generator(0, "states"))
    q = states @ weight.T + bias
    best = q.argmax(1)
    gaps, apart = q.gather(1, best[:, None]) - q, (weight[best][:, None] - weight[None]).norm(dim=2)
    distance = (gaps / apart.clamp(min=1e-9)).scatter(1, best[:, None], math.inf).amin(1)
    changed = attacks.deepfool(made, states, limits=FREE)
    assert (changed - states).norm(dim=1) == pytest.approx(1.02 * distance, rel=1e-3)
    assert bool((made(changed).argmax(1) != best).all())


@pytest.mark.parametrize("sparse", [0.0, 0.05])
def test_carlini_and_wagner_flip_with_little_more_than_the_least_change(sparse: float):
    made = _linear()[2]
    states = torch.randn(20, 5, generator=generator(0, "states"))
    best = made(states).argmax(1)
    changed = attacks.carlini_wagner(made, states, limits=FREE, sparse=sparse, searches=8, steps=60, rate=0.01)
    least = (attacks.deepfool(made, states, limits=FREE) - states).norm(dim=1)
    assert bool((made(changed).argmax(1) != best).all())
    assert float(((changed - states).norm(dim=1) / least).median()) < 1.5


def test_attacks_keep_to_their_size_and_range():
    policy, states = _policy(), _pictures()
    limits = Limits(0.7)
    for name in method.ATTACKS:
        changed = method.change_called(name, policy.values, limits, (4, 10, 10))(states)
        assert float((changed - states).flatten(1).norm(dim=1).max()) <= 0.7 + 1e-5
        assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0
    near = attacks.steepest(policy.values, states, radius=0.05, limits=limits)
    assert float((near - states).abs().max()) <= 0.05 + 1e-6
    q, moved = policy.values(states), policy.values(near)
    best = q.argmax(1, keepdim=True)
    others = [each.scatter(1, best, -math.inf).amax(1) - each.gather(1, best)[:, 0] for each in (q, moved)]
    assert bool((others[1] > others[0]).all())


def test_attacks_do_not_move_states_that_are_outside_of_the_range():
    made = _linear(4)[2]
    seen = torch.randn(30, 4, generator=generator(0, "seen")) * torch.tensor([1.0, 10.0, 0.1, 0.0])
    limits = method.limits_of(CartPole().observation_space, (0.2 * seen.amin(0), 0.2 * seen.amax(0)), 0.01)
    assert limits.unit is not None
    assert limits.unit[3] == pytest.approx(1e-3 * float(limits.unit.max()))  # of what never changed
    for name in method.ATTACKS:
        changed = method.change_called(name, made, limits, (4,))(seen)
        assert 0.0 < float(((changed - seen) / limits.unit).norm(dim=1).max()) <= 0.01 + 1e-4
    near = attacks.steepest(made, seen, radius=0.01 * limits.unit, limits=limits)
    assert float(((near - seen) / limits.unit).abs().max()) <= 0.01 + 1e-4
    assert bool((near != seen).any())


def test_within_the_range_the_cut_is_the_plain_one():
    states, changed = _pictures(), _pictures() + torch.randn(6, 4, 10, 10, generator=generator(0, "far"))
    assert torch.equal(Limits(1.0).inside(changed, states), changed.clamp(0.0, 1.0))
    limits = method.limits_of(Breakout(60).observation_space, (torch.zeros(4, 10, 10), torch.zeros(4, 10, 10)), 0.5)
    assert limits == Limits(0.5, 0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        ("brightness", {"gain": 1.0, "offset": 0.0}),
        ("rotation", {"degrees": 0.0}),
        ("perspective", {"shift": 0.0}),
        ("blur", {"deviation": 0.0}),
        ("compression", {"step": 0.0}),
    ],
)
def test_changes_stay_in_range_and_their_identities_are_exact(name: str, nothing: dict[str, float]):
    pictures = _pictures()
    assert torch.equal(changes.NATURAL[name](pictures, **nothing), pictures)
    changed = changes.NATURAL[name](pictures)
    assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0
    assert 0.3 < changes.mean_size(changed, pictures) < 5.0
    bytes_ = changes.natural(name, 255.0 * pictures, low=0.0, high=255.0)
    assert bytes_ == pytest.approx(255.0 * changed, abs=1e-2)
    small = changes.NATURAL[name](pictures, **{key: 1e-6 + value for key, value in nothing.items()})
    assert small == pytest.approx(pictures, abs=1e-3)


def test_a_right_angle_turns_the_picture():
    picture = _pictures(1)
    turned = changes.rotation(picture, degrees=90.0)
    assert min(float((turned - torch.rot90(picture, k, (2, 3))).abs().max()) for k in (1, 3)) < 1e-4


def test_the_regulariser_of_one_layer_is_the_closed_form():
    weight, bias, made = _linear()
    states, radius = torch.rand(8, 5, generator=generator(0, "states")), 0.03
    values = method.ConvValues((1, 1, 1), 3, layers=(), hidden=1, generator=generator(0, "w"))
    values.features = nn.Sequential(nn.Flatten())
    values.advantage = made
    best = (states @ weight.T + bias).argmax(1)
    margins = values.margins_above(states - radius, states + radius, best)
    q = states @ weight.T + bias
    apart = (weight[None] - weight[best][:, None]).abs().sum(2)
    expected = (q - q.gather(1, best[:, None]) + radius * apart).scatter(1, best[:, None], -math.inf).amax(1)
    found = method.adversarial_regulariser(margins, best, cap=1.0)
    assert float(found) == pytest.approx(float(expected.clamp(min=-1.0).mean()), rel=1e-5)


def test_interval_bounds_hold_and_are_the_values_without_a_ball():
    network, states = _policy().network, _pictures()
    best = network(states).argmax(1)
    q = network(states)
    exact = network.margins_above(states, states, best)
    assert exact == pytest.approx(q - q.gather(1, best[:, None]), abs=1e-5)
    above = network.margins_above(states - 0.1, states + 0.1, best)
    for draw in range(20):
        noise = 0.2 * torch.rand(states.shape, generator=generator(draw, "noise")) - 0.1
        moved = network(states + noise)
        assert bool((moved - moved.gather(1, best[:, None]) <= above + 1e-5).all())
    with pytest.raises(InputError, match="Tanh"):
        method.interval(nn.Sequential(nn.Tanh()), states, states)


def test_the_regulariser_moves_the_network_and_not_the_best_action():
    learner = method.example(replace(TINY, radius_from=0.0), 0)
    states = _pictures()
    with torch.enable_grad():
        loss = learner._regulariser(states, learner.trained.values(states), TINY.steps)
        loss.backward()
    assert learner.trained.network.advantage.weight.grad is not None
    assert learner.trained.network.value.weight.grad is None  # the value cancels in differences
    assert float(learner._regulariser(states, learner.trained.values(states), 0)) == 0.0
    seeker = method.example(replace(TINY, regime="gradient", radius_from=0.0), 0)
    sought = seeker._regulariser(states, seeker.trained.values(states), TINY.steps)
    assert float(sought) <= float(loss) + 1e-6  # what is found is never above what is certified


def test_the_radius_grows_in_a_line():
    config = replace(TINY, radius=0.1, radius_from=0.25, radius_until=0.75)
    assert [training.radius_at(share, config) for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx(
        [0.0, 0.0, 0.05, 0.1, 0.1]
    )
    assert training.updates_of(config) == 2


def test_what_acts_is_the_running_average_of_what_learns():
    config = replace(TINY, averaged=0.3)
    learner = method.example(config, 0)
    expected = [parameter.clone() for parameter in learner.trained.parameters()]
    for _ in range(training.updates_of(config)):
        before = learner.work()["gradient_steps"]
        with torch.enable_grad():
            learner.update()
        taken = learner.work()["gradient_steps"] - before
        assert taken > 0
        kept = math.exp(-taken / (config.averaged * config.steps * config.ratio))
        expected = [
            kept * old + (1 - kept) * new for old, new in zip(expected, learner.trained.parameters(), strict=True)
        ]
    for found, value in zip(learner.policy().parameters(), expected, strict=True):
        assert found == pytest.approx(value, abs=1e-6)


def test_without_an_average_the_last_weights_act_and_they_come_back_with_the_state():
    last, again = (method.example(replace(TINY, averaged=0.0), seed) for seed in (0, 1))
    with torch.enable_grad():
        last.update()
    for learner in (last, again):
        again.load_state_dict(last.state_dict())
        for found, value in zip(learner.policy().parameters(), last.trained.parameters(), strict=True):
            assert torch.equal(found, value)


def test_regimes_of_one_seed_begin_alike_and_policies_come_back_from_artifacts():
    plain, robust = (method.example(replace(TINY, regime=regime), 3).trained for regime in ("plain", "interval"))
    states = _pictures()
    assert torch.equal(plain.values(states), robust.values(states))
    again = method.ConvQPolicy(**plain.arguments)
    again.load_state_dict(plain.state_dict())
    assert torch.equal(again(states), plain(states))
    mask = torch.zeros(6, 3, dtype=torch.bool)
    mask[:, 1] = True
    assert again(states, mask).tolist() == [1] * 6


def test_pixels_of_one_byte_with_planes_last_are_the_same_pictures():
    import gymnasium
    import numpy as np

    first = _policy()
    last = method.ConvQPolicy(
        gymnasium.spaces.Box(0, 255, (10, 10, 4), np.uint8), first.action_space, layers=((8, 3, 1),), hidden=32,
        channels_last=True, scale=255.0,
    )  # fmt: skip
    last.load_state_dict(first.state_dict())
    states = _pictures()
    assert last.values((255 * states).byte().movedim(1, -1)) == pytest.approx(first.values(states), abs=1e-5)


def test_collected_states_are_the_visited_ones():
    policy, game = as_policy(_policy()), Breakout(60)
    plain = method.collect(policy, game, episodes=5, seed=1)
    again = method.collect(policy, game, episodes=5, seed=1)
    assert torch.equal(plain.states, again.states)
    assert plain.episode.unique().tolist() == [0, 1, 2, 3, 4]
    assert plain.size == 0.0
    assert bool((plain.episode.diff() >= 0).all())
    first = plain.states[plain.episode == 0]
    task = SimulatorTask(game, 5)
    assert torch.equal(first[0], task.reset(1)[0])
    many = method.collect(policy, game, episodes=70, seed=1, horizon=4)
    assert len(many.returns) == 70
    assert len(many.states) <= 280
    assert many.episode.unique().tolist() == list(range(70))  # the second batch of lanes goes on counting


def test_a_horizon_ends_an_episode_and_without_one_it_has_to_end_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collecting, "LONGEST", 5)
    game = CartPole(40)
    seen = method.collect(None, game, episodes=2, seed=1, horizon=5)
    assert len(seen.states) == 10
    with pytest.raises(InputError, match="an episode of over 5 steps"):
        method.collect(None, game, episodes=2, seed=1)


def test_relabelled_states_are_the_plain_ones_changed():
    policy, game = as_policy(_policy()), Breakout(60)
    change = method.change_called("blur", _policy().values, Limits(1.0), (4, 10, 10))
    plain = method.collect(policy, game, episodes=3, seed=1)
    seen = method.collect(policy, game, episodes=3, seed=1, change=change, mode="relabel")
    assert seen.states == pytest.approx(change(plain.states), abs=1e-6)
    assert seen.size == pytest.approx(changes.mean_size(seen.states, plain.states), rel=1e-5)
    assert (seen.returns == plain.returns).all()


@pytest.mark.parametrize("game", [Breakout(8), Freeway(8)])
def test_a_diagnosis_of_every_change_is_finite_and_repeats(game: Any):
    config = replace(TINY, repeats=2)
    policy = as_policy(_policy(game=game))
    found, again = (method.diagnose(policy, game, config=config, seed=0) for _ in range(2))
    assert set(found.table) == {method.INDEPENDENT, *method.ALL_CHANGES}
    for name, row in found.table.items():
        assert row["quotient"].shape == (2,)
        assert bool(((row["quotient"] >= 0) & (row["quotient"] <= 1)).all())
        assert (row["quotient"] == again.table[name]["quotient"]).all()
        assert name == method.INDEPENDENT or (row["size"] > 0).any()
    assert found.direction.shape == game.observation_space.shape
    assert all(math.isfinite(value) for values in found.figures.values() for value in values)
    assert float(found.figures["mean_quotient"].max()) <= 1.0


def test_flat_observations_can_be_attacked_and_not_turned():
    from livepapers.blocks.policies import QPolicy

    game = CartPole(40)
    policy = as_policy(QPolicy(game.observation_space, game.action_space, hidden=(8,), generator=generator(0, "q")))
    found = method.diagnose(policy, game, config=TINY, changes=("nesterov", "deepfool"), seed=0)
    assert set(found.table) == {method.INDEPENDENT, "nesterov", "deepfool"}
    with pytest.raises(InputError, match="pictures"):
        method.diagnose(policy, game, config=TINY, changes=("blur",), seed=0)
    with pytest.raises(InputError, match="one of"):
        method.diagnose(policy, game, config=TINY, changes=("smoke",), seed=0)
    with pytest.raises(InputError, match="made for another world"):
        method.diagnose(policy, Breakout(20), config=TINY, changes=(), seed=0)
    with pytest.raises(InputError, match="Q values or logits"):
        method.differentiable(as_policy(lambda seen: torch.zeros(len(seen), dtype=torch.int64)))


def test_planes_may_come_first_or_last():
    assert collecting.picture_of(torch.zeros(10, 10, 4)).shape == (4, 10, 10)
    assert collecting.picture_of(torch.zeros(4, 10, 10)).shape == (4, 10, 10)
    change = method.change_called("rotation", _policy().values, Limits(1.0), (10, 10, 4))
    first = method.change_called("rotation", _policy().values, Limits(1.0), (4, 10, 10))
    pictures = _pictures()
    assert change(pictures.movedim(1, -1)) == pytest.approx(first(pictures).movedim(1, -1))
