"""What an actor's outputs mean: against PyTorch's own distributions, and against counts."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from blocks.small_worlds import stream
from livepapers.blocks.distributions import Actions, distribution, into, parameter_count
from livepapers.core.errors import InputError

PARTS = MultiDiscrete([2, 4, 3])


def test_widths_of_the_actors_output():
    assert parameter_count(Discrete(5)) == 5
    assert parameter_count(PARTS) == 9
    assert parameter_count(Box(-1, 1, (2, 3))) == 6
    with pytest.raises(InputError, match="MultiDiscrete"):
        parameter_count(Dict({"a": Discrete(2)}))


def test_log_probabilities_of_parts_are_columns_and_agree_with_pytorch():
    logits = torch.randn(50, 9, generator=stream())
    ours = distribution(PARTS, logits)
    action = ours.sample(stream("draw"))
    theirs = [torch.distributions.Categorical(logits=part) for part in logits.split([2, 4, 3], 1)]
    expected = torch.stack([each.log_prob(column) for each, column in zip(theirs, action.T, strict=True)], 1)
    assert ours.log_prob(action).shape == (50, 3)
    assert torch.allclose(ours.log_prob(action), expected, atol=1e-6)
    assert torch.allclose(ours.entropy(), sum(each.entropy() for each in theirs), atol=1e-6)  # type: ignore[arg-type]
    assert torch.equal(ours.mode(), torch.stack([each.mode for each in theirs], 1))


def test_draws_come_as_often_as_they_should():
    logits = torch.tensor([[0.3, -1.0, 0.0, 2.0, -torch.inf, 0.5, 1.0, 1.0, -2.0]])
    draws = distribution(PARTS, logits.expand(200_000, -1)).sample(stream())
    for part, column in zip(logits[0].split([2, 4, 3]), draws.T, strict=True):
        share = torch.bincount(column, minlength=len(part)) / len(draws)
        assert torch.allclose(share, part.softmax(0), atol=0.005)


def test_a_space_that_does_not_start_at_zero_keeps_its_numbers():
    logits = torch.randn(100, 3, generator=stream())
    plain, shifted = distribution(Discrete(3), logits), distribution(Discrete(3, start=5), logits)
    assert torch.equal(plain.sample(stream("draw")) + 5, shifted.sample(stream("draw")))
    assert torch.equal(plain.log_prob(plain.mode()), shifted.log_prob(shifted.mode()))
    space = MultiDiscrete([2, 2], start=[1, -1])
    for action in distribution(space, torch.zeros(20, 4)).sample(stream()).numpy():
        assert space.contains(action)


def test_masked_actions_are_never_drawn_and_get_no_gradient():
    logits = (20.0 * torch.randn(5000, 9, generator=stream())).requires_grad_()
    mask = torch.rand(5000, 9, generator=stream("mask")) < 0.5
    mask[:, [1, 4, 8]] = True
    masked = distribution(PARTS, logits, mask=mask)
    offsets = torch.tensor([0, 2, 6])
    draws = stream("draw")
    actions = [masked.sample(draws) for _ in range(20)]
    for action in (*actions, masked.mode()):
        assert bool(mask.gather(1, action + offsets).all())
    log_prob = masked.log_prob(actions[-1])
    assert bool(torch.isfinite(log_prob).all())
    (log_prob.sum() + masked.entropy().sum()).backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    assert bool((logits.grad[~mask] == 0).all())
    assert bool((logits.grad[mask] != 0).any())


def test_a_row_that_allows_nothing_is_refused():
    mask = torch.ones(3, 9, dtype=torch.bool)
    mask[1, 2:6] = False
    with pytest.raises(InputError, match="row 1"):
        distribution(PARTS, torch.zeros(3, 9), mask=mask)


def test_a_box_has_one_column_and_the_density_is_that_of_the_unclipped_action():
    space = Box(-1.0, 1.0, (2,))
    mean, log_std = torch.tensor([[0.9, -0.2]] * 1000), torch.tensor([0.5, -0.3])
    ours, theirs = distribution(space, mean, log_std=log_std), torch.distributions.Normal(mean, log_std.exp())
    action = ours.sample(stream())
    assert bool((action.abs() > 1).any()), "draws are not clipped"
    assert torch.allclose(ours.log_prob(action), theirs.log_prob(action).sum(1, keepdim=True), atol=1e-5)
    assert torch.allclose(ours.entropy(), theirs.entropy().sum(1), atol=1e-6)
    assert torch.equal(into(space)(action), action.clamp(-1, 1))
    assert into(Discrete(2))(action) is action
    with pytest.raises(InputError, match="log_std"):
        distribution(space, mean)


def test_boxes_of_any_shape_and_without_bounds():
    space = Box(np.array([[0.0, -np.inf]], np.float32), np.array([[1.0, np.inf]], np.float32))
    drawn = distribution(space, torch.zeros(7, 2), log_std=torch.full((2,), 3.0)).sample(stream())
    assert drawn.shape == (7, 1, 2)
    inside = into(space)(drawn)
    assert bool((inside[..., 0] >= 0).all())
    assert torch.equal(inside[..., 1], drawn[..., 1])


@pytest.mark.parametrize("space", [Discrete(4), PARTS, MultiDiscrete([3, 3]), Box(-1, 1, (2, 3))])
def test_noise_drawn_before_gives_the_same_actions(space):
    actions, parameters = Actions(space), torch.randn(50, parameter_count(space), generator=stream())
    made = actions(parameters, log_std=torch.full((parameter_count(space),), -0.5))
    assert torch.equal(made.at(actions.noise(50, stream("draw"))), made.sample(stream("draw")))


def test_a_row_without_any_action_of_a_part_is_found():
    mask = torch.ones(4, 9, dtype=torch.bool)
    Actions(PARTS).check(mask)
    Actions(PARTS).check(None)
    mask[2, :2] = False
    with pytest.raises(InputError, match="row 2"):
        Actions(PARTS).check(mask)
