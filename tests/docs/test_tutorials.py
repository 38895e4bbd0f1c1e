"""The code of the tutorials runs as it stands, block after block, in one folder."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.warm import Warm

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))
FENCE = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_there_are_tutorials():
    assert TUTORIALS
    assert all(FENCE.search(path.read_text()) for path in TUTORIALS)


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", [pytest.param(path, id=path.stem) for path in TUTORIALS])
def test_tutorial(tutorial: Path, warm: Warm, tmp_path: Path):
    for kind, body in FENCE.findall(tutorial.read_text()):
        warm.run(kind, body, tmp_path)
