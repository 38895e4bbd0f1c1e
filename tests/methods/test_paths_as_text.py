"""Python may give each method's files and folders as text or as paths, and is told the same."""

import importlib
import inspect
import itertools
import typing
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from livepapers.core.application import Application, paths_as_text
from livepapers.core.errors import LivepapersError
from livepapers.papers import catalogue

METHODS = {slug: name for slug in catalogue.load() if (name := catalogue.method_module(slug))}
NEEDED = {"vehicles": 3, "sigma": "0.1"}  # options without a default that are no files


def places(apply: Callable[..., Application]) -> list[str]:
    kinds = typing.get_type_hints(apply).items()
    return [name for name, kind in kinds if name != "return" and Path in (kind, *typing.get_args(kind))]


@pytest.mark.parametrize("slug", METHODS)
def test_text_and_path_are_told_the_same(slug: str, tmp_path: Path) -> None:
    apply = importlib.import_module(METHODS[slug]).apply
    empty, full = tmp_path / "empty.csv", tmp_path / "full"
    empty.write_text("")
    full.mkdir()
    (full / "file").write_text("mine")
    found = places(apply)
    assert "output" in found
    for name, given in itertools.product(found, (empty, full, tmp_path / "missing")):
        assert told(apply, found, empty, **{name: str(given)}) == told(apply, found, empty, **{name: given})


def told(apply: Callable[..., Application], places: Collection[str], file: Path, **given: Path | str) -> str:
    """What `apply` says to one bad place, the options without a default being there."""
    parameters = inspect.signature(apply).parameters
    first = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_ONLY]
    needed = [name for name, one in parameters.items() if name in first or one.default is one.empty]
    values: dict[str, Any] = {name: file if name in places else NEEDED[name] for name in needed} | given
    by_place = [values.pop(name) for name in first]
    with pytest.raises(LivepapersError) as caught:
        apply(*by_place, **values)
    return str(caught.value)


def test_only_files_and_folders_become_paths() -> None:
    @paths_as_text
    def apply(model: Path, /, *, env: str = "", data: Path | None = None, output: Path | None = None) -> Application:
        return Application(f"{model!r} {env!r} {data!r} {output!r}", "", {})

    typed: Any = apply
    expected = f"{Path('a')!r} 'b' None {Path('c')!r}"
    assert typed("a", env="b", output="c").slug == apply(Path("a"), env="b", output=Path("c")).slug == expected
    assert list(inspect.signature(apply).parameters) == ["model", "env", "data", "output"]
