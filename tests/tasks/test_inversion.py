"""Inversion by look-up gives what a search gives, bit for bit."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from livepapers.tasks.inversion import Inversion


@given(
    weights=arrays(float, st.tuples(st.integers(1, 4), st.integers(2, 9)), elements=st.floats(0.0, 1.0)),
    seed=st.integers(0, 1000),
)
def test_a_look_up_is_a_search(weights, seed):
    weights[:, -1] += 1e-3
    cumulative = torch.tensor(weights / weights.sum(1, keepdims=True)).cumsum(1)[:, :-1].float()
    uniform = torch.rand(len(weights), 500, generator=torch.Generator().manual_seed(seed))
    edges = (cumulative * 2.0**24).floor().clamp(max=2.0**24 - 1)  # on a step, or next to it
    uniform = torch.cat([uniform, edges / 2.0**24, (edges - 1).clamp(min=0) / 2.0**24, 0.0 * edges], 1)
    expected = torch.searchsorted(cumulative.contiguous(), uniform, right=True).float()
    assert torch.equal(Inversion(cumulative, grid=64)(uniform), expected)


def test_double_precision_keeps_the_tail():
    cumulative = torch.tensor([[0.5, 1.0 - 2.0**-40]], dtype=torch.float64)
    uniform = torch.tensor([[0.0, 0.5, 1.0 - 2.0**-39, 1.0 - 2.0**-41]], dtype=torch.float64)
    assert Inversion(cumulative)(uniform).tolist() == [[0.0, 1.0, 1.0, 2.0]]
