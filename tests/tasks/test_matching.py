import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.rng import generator
from livepapers.tasks.matching import assign


def worth(columns: list[int], score: torch.Tensor) -> float:
    return sum(float(score[row, column]) for row, column in enumerate(columns) if column >= 0)


def matchings(allowed: torch.Tensor) -> list[list[int]]:
    rows, columns = allowed.shape
    found = []
    for names in itertools.product(range(-1, columns), repeat=rows):
        taken = [name for name in names if name >= 0]
        if len(set(taken)) == len(taken) and all(allowed[r, c] for r, c in enumerate(names) if c >= 0):
            found.append(list(names))
    return found


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_the_matching_is_the_best_of_all_by_enumeration(seed: int, rows: int, columns: int):
    stream = generator(seed, "matching")
    score = 2.0 * torch.rand(2, rows, columns, generator=stream) - 1.0
    allowed = torch.rand(2, rows, columns, generator=stream) < 0.7
    free, full = assign(score, allowed, idle=0.0), assign(score, allowed, idle=None)
    for lane in range(2):
        every = matchings(allowed[lane])
        best = max(worth(one, score[lane]) for one in every)
        assert abs(worth(free[lane].tolist(), score[lane]) - best) < 1e-5
        assert free[lane].tolist() in every
        most = max(sum(name >= 0 for name in one) for one in every)
        largest = [one for one in every if sum(name >= 0 for name in one) == most]
        assert full[lane].tolist() in largest
        assert abs(worth(full[lane].tolist(), score[lane]) - max(worth(one, score[lane]) for one in largest)) < 1e-4


def test_nothing_to_match_leaves_everybody_idle():
    for shape in ((2, 3, 0), (0, 3, 2), (1, 2, 2)):
        found = assign(torch.ones(shape), torch.zeros(shape, dtype=torch.bool))
        assert found.tolist() == [[-1] * shape[1]] * shape[0]
