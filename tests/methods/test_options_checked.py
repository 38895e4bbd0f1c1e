"""What Python gives to `apply`: files as text or as paths, and options of the kinds that the command line gives."""

import importlib
import inspect
import itertools
import typing
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livepapers.core.application import Application, Spread, options_checked
from livepapers.core.errors import InputError, LivepapersError
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


def told(apply: Callable[..., Application], places: Collection[str], file: Path, **given: Any) -> str:
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
    @options_checked
    def apply(model: Path, /, *, env: str = "", data: Path | None = None, output: Path | None = None) -> Application:
        return Application(f"{model!r} {env!r} {data!r} {output!r}", "", {})

    typed: Any = apply
    expected = f"{Path('a')!r} 'b' None {Path('c')!r}"
    assert typed("a", env="b", output="c").slug == apply(Path("a"), env="b", output=Path("c")).slug == expected
    assert list(inspect.signature(apply).parameters) == ["model", "env", "data", "output"]


def wrong(kind: Any) -> list[Any]:
    """Values that an option of this annotation cannot have."""
    inside = typing.get_args(kind)
    plain = (kind,) if Path in inside or not inside else inside
    if typing.get_origin(kind) is typing.Literal:
        return ["no such choice", 3]
    if int in plain:
        return ["3", 1.5, True, np.float64(2.0)]
    if float in plain:
        return ["0.5", True, [0.5]]
    return [1, "yes"] if bool in plain else []


@pytest.mark.parametrize("slug", METHODS)
def test_options_of_another_kind_are_refused_in_one_line_that_names_them(slug: str, tmp_path: Path) -> None:
    apply = importlib.import_module(METHODS[slug]).apply
    empty, kinds = tmp_path / "empty.csv", typing.get_type_hints(apply)
    empty.write_text("")
    tried = 0
    for name, kind in kinds.items():
        for value in wrong(kind) if name != "return" else ():
            said = told(apply, places(apply), empty, **{name: value})
            shown = repr(value) if isinstance(value, str) and typing.get_origin(kind) is not typing.Literal else value
            assert said.startswith(f"{name}: got {shown}, expected "), said
            assert "\n" not in said
            tried += 1
    assert tried


def test_numbers_of_numpy_are_numbers_and_choices_are_those_of_the_annotation() -> None:
    @options_checked
    def apply(
        *, count: int = 1, share: float | None = None, fast: bool = False, how: typing.Literal["a", 2] = "a",
        rest: str | list[int] = "",
    ) -> Application:  # fmt: skip
        return Application(repr((count, share, fast, how, rest)), "", {})

    typed: Any = apply
    assert typed(count=np.int64(3), share=np.float32(0.5), fast=True, how=2, rest=[1]).slug == "(3, 0.5, True, 2, [1])"
    assert typed(share=None).slug == "(1, None, False, 'a', '')"
    assert typed(share=2).slug == "(1, 2.0, False, 'a', '')"
    for name, value in (("count", None), ("how", "b"), ("how", np.arange(2)), ("fast", None)):
        with pytest.raises(InputError, match=f"^{name}: got "):
            typed(**{name: value})


@pytest.mark.parametrize("value", [3, b"file.csv", {"A": 1}, "a\0b.csv"])
def test_what_is_no_path_is_refused(value: Any) -> None:
    @options_checked
    def apply(data: Path, *, output: Path | None = None) -> Application:
        return Application(f"{data} {output}", "", {})

    typed: Any = apply
    for given in ({"data": value}, {"data": "file.csv", "output": value}):
        with pytest.raises(InputError, match=r"^(data|output): got .*, expected a path, or text that is one"):
            typed(**given)
    with pytest.raises(InputError, match=r"^data: got None"):
        typed(None)


def test_what_spreads_work_is_a_function() -> None:
    @options_checked
    def apply(model: Path, /, *, spread: Spread | None = None) -> Application:
        return Application(str(spread), "", {})

    typed: Any = apply
    assert typed("a", spread=map).slug == str(map)
    with pytest.raises(InputError, match="spread: got 3, expected a function that does what `map` does"):
        typed("a", spread=3)
