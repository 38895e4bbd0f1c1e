"""Streams depend on seed and path, and on nothing else."""

import subprocess
import sys

import torch
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.rng import derive, generator, numpy_generator

PATHS = st.lists(st.one_of(st.text(max_size=8), st.integers(-5, 5)), max_size=4)


@given(st.integers(0, 2**40), PATHS, PATHS)
def test_different_paths_have_different_streams(seed: int, first: list[str | int], second: list[str | int]):
    typed = [[(type(part).__name__, part) for part in path] for path in (first, second)]
    assert (derive(seed, *first) == derive(seed, *second)) == (typed[0] == typed[1])


def test_streams_are_the_same_in_another_process_with_another_hash_seed():
    code = "from livepapers.core.rng import derive; print(derive(7, 'hdpo', 'noise', 3))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "9"}
    )
    assert int(done.stdout) == derive(7, "hdpo", "noise", 3)


def test_torch_and_numpy_streams_repeat():
    assert torch.equal(torch.rand(5, generator=generator(1, "a")), torch.rand(5, generator=generator(1, "a")))
    assert numpy_generator(1, "a").random() == numpy_generator(1, "a").random()
    assert numpy_generator(1, "a").random() != numpy_generator(1, "b").random()
