import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.rng import generator
from livepapers.tasks.matching import assign


def worth(columns: list[int], score: torch.Tensor) -> float:
    return sum(float(score[row, column]) for row, column in enumerate(columns) if column >= 0)


def matchings(rows: int, columns: int) -> list[list[int]]:
    found = []
    for names in itertools.product(range(-1, columns), repeat=rows):
        taken = [name for name in names if name >= 0]
        if len(set(taken)) == len(taken):
            found.append(list(names))
    return found


@given(st.integers(0, 10_000), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=3))
def test_the_matching_of_each_lane_is_the_best_of_all_by_enumeration(seed: int, shapes: list[tuple[int, int]]):
    rows = [shape[0] for shape in shapes]
    lane = torch.repeat_interleave(torch.arange(len(shapes)), torch.tensor(rows))
    score = 2.0 * torch.rand(sum(rows), 4, generator=generator(seed, "matching")) - 1.0
    columns = torch.tensor([shape[1] for shape in shapes])
    free, full = (assign(score, lane, columns, idle=idle).split(rows) for idle in (0.0, None))
    for number, (part, width) in enumerate(zip(score.split(rows), columns.tolist(), strict=True)):
        every = matchings(len(part), width)
        best = max(worth(one, part) for one in every)
        assert abs(worth(free[number].tolist(), part) - best) < 1e-5
        assert free[number].tolist() in every
        largest = [one for one in every if sum(name >= 0 for name in one) == min(len(part), width)]
        assert full[number].tolist() in largest
        assert abs(worth(full[number].tolist(), part) - max(worth(one, part) for one in largest)) < 1e-5


def test_nothing_to_match_leaves_everybody_idle():
    lane = torch.tensor([0, 0, 2])
    assert assign(torch.ones(3, 0), lane, torch.zeros(3, dtype=torch.int64)).tolist() == [-1, -1, -1]
    assert assign(torch.ones(3, 2), lane, torch.tensor([0, 2, 0]), idle=None).tolist() == [-1, -1, -1]
    assert assign(torch.ones(0, 2), lane[:0], torch.tensor([2])).tolist() == []
    assert assign(torch.zeros(3, 2), lane, torch.tensor([2, 2, 2]), idle=0.0).tolist() == [-1, -1, -1]
