"""Networks start from their own generator and nowhere else."""

import pytest
import torch

from livepapers.blocks.networks import MLP, linear, rational_tanh
from livepapers.core.rng import generator


def test_initial_weights_depend_on_the_generator_only():
    before = torch.get_rng_state()
    first = MLP(4, (8, 8), outputs=2, activation="elu", generator=generator(0))
    second = MLP(4, (8, 8), outputs=2, activation="elu", generator=generator(0))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    other = MLP(4, (8, 8), outputs=2, activation="elu", generator=generator(1))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_the_distribution_of_initial_weights_is_pytorchs_default():
    layer, reference = linear(100, 400, generator=generator(0)), torch.nn.Linear(100, 400)
    for ours, theirs in ((layer.weight, reference.weight), (layer.bias, reference.bias)):
        assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.02)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.08)


@pytest.mark.parametrize("batch", [0, 1, 7])
def test_shapes_with_empty_single_and_odd_batches(batch: int):
    network = MLP(3, (), outputs=2, activation="tanh", generator=generator(0), output_bias=5.0)
    assert network(torch.zeros(batch, 4, 3)).shape == (batch, 4, 2)
    assert bool((network(torch.zeros(batch, 3)) == 5.0).all())


def test_the_rational_tanh_is_tanh_to_four_ten_millionths_and_so_is_its_gradient():
    x = torch.cat([torch.linspace(-12, 12, 100_001), torch.logspace(-30, 1, 10_000)]).requires_grad_()
    exact = torch.tanh(x.detach().double())
    y = rational_tanh(x)
    assert bool(((y - exact).abs() <= 4e-7 * exact.abs()).all())
    assert float(y.detach().abs().max()) <= 1.0
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad.double(), 1.0 - exact.square(), atol=1e-6)
