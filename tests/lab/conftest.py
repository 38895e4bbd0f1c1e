"""What the lab's tests share: the tiny study, and a store of one's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lab import tiny_study
from livepapers.lab.store import Store
from livepapers.lab.study import Study, from_module


@pytest.fixture
def study() -> Study:
    return from_module(tiny_study, "tiny")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite3") as made:
        yield made


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Cells computed in this process set the number of threads: put it back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
