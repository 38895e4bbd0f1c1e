"""Inversion by look-up gives what a search gives, bit for bit."""

import pytest
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


def test_sums_that_rounding_carries_above_one_do_not_reach_into_the_next_row():
    above = [0.25, 1.0 + 2.0**-20, 1.0 + 2.0**-20]
    cumulative = torch.tensor([above, [0.0, 2.0**-21, 2.0**-21], above])
    uniform = torch.tensor([[0.0, 0.25, 1.0 - 2.0**-24], [0.0, 2.0**-22, 2.0**-20], [0.0, 0.25, 1.0 - 2.0**-24]])
    expected = torch.searchsorted(cumulative, uniform, right=True).float()
    assert torch.equal(Inversion(cumulative, grid=4)(uniform), expected)


@pytest.mark.parametrize("rows", [1023, 1024])
def test_more_rows_than_whole_units_can_count_are_refused(rows: int):
    cumulative = torch.tensor([[0.3, 0.9]], dtype=torch.float64).repeat(rows, 1)
    uniform = torch.tensor([[0.2, 0.5, 0.95]], dtype=torch.float64).repeat(rows, 1)
    if rows > 1023:
        with pytest.raises(ValueError, match=r"got 1,024 rows of torch\.float64, expected at most 1,023"):
            Inversion(cumulative, grid=4)
        return
    assert torch.equal(Inversion(cumulative, grid=4)(uniform), torch.tensor([[0.0, 1.0, 2.0]]).repeat(rows, 1))
