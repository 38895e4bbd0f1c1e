"""Where the source checkout lies, for the commands that need one."""

from pathlib import Path

from livepapers.core.errors import InputError
from livepapers.papers.catalogue import PACKAGE


def root(*, needed_for: str) -> Path:
    """The folder with pyproject.toml that this package runs from; `InputError` in an installed copy.

    Args:
        needed_for: What the command wants to do there, as in "benchmarks are in the source checkout only".
    """
    folder = PACKAGE.parent.parent
    if PACKAGE.parent.name != "src" or not (folder / "pyproject.toml").is_file():
        raise InputError.of(
            "livepapers", str(PACKAGE), expected="a source checkout (pip install -e .)", cause=needed_for
        )
    return folder
