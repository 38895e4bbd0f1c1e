"""Small real inputs that ship with the package; where each comes from is in `PROVENANCE.md` beside them."""

from importlib import resources
from pathlib import Path

from livepapers.core.errors import InputError


def path(name: str) -> Path:
    """The path of a sample file; raises `InputError` for an unknown one."""
    folder = Path(str(resources.files(__name__)))
    if name not in names():
        raise InputError.of("sample", name, expected=f"one of {', '.join(names())}")
    return folder / name


def names() -> list[str]:
    """The sample files there are."""
    folder = Path(str(resources.files(__name__)))
    return sorted(item.name for item in folder.iterdir() if item.suffix in {".yml", ".json", ".csv", ".txt"})
