"""Compiling is decided once, said in one line, and never silently different."""

import pytest
import torch
from torch import Tensor

from livepapers.core import compiling
from livepapers.core.compiling import Compiler
from livepapers.core.errors import CorruptFileError, InputError


def by_value(x: Tensor) -> Tensor:
    """What no compiler can trace in one piece: the way depends on a number."""
    return x + 1 if bool(x.sum() > 0) else x - 1


def test_never_leaves_a_function_as_it_is():
    compiler = Compiler("never")
    assert compiler.wrap(by_value) is by_value
    assert not compiler.on


def test_without_a_compiler_auto_says_so_in_one_line_and_always_refuses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiling, "missing_compiler", lambda: "no C++ compiler was found")
    with pytest.warns(UserWarning, match="no C") as said:
        compiler = Compiler("auto")
    assert len(said) == 1
    assert compiler.wrap(by_value) is by_value
    with pytest.raises(InputError, match=r"compile.*no C\+\+ compiler"):
        Compiler("always")


def test_what_cannot_be_traced_falls_back_once_or_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiling, "missing_compiler", lambda: "")  # it never comes to C++
    compiler = Compiler("auto")
    one, other = compiler.wrap(by_value), compiler.wrap(by_value)
    x = torch.ones(3)
    with pytest.warns(UserWarning, match="going on without") as said:
        assert torch.equal(one(x), x + 1)
    assert len(said) == 1
    assert not compiler.on
    assert torch.equal(other(-x), -x - 1), "no second warning, which would be an error here"
    strict = Compiler("always").wrap(by_value)
    with pytest.raises(InputError, match=r"compile.*by_value"):
        strict(x)


def test_a_run_goes_on_as_it_began_or_not_at_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiling, "missing_compiler", lambda: "")
    never, auto, always = Compiler("never"), Compiler("auto"), Compiler("always")
    for compiler, compiled in ((never, False), (auto, True), (auto, False), (always, True)):
        compiler.check(compiled)
    for compiler, compiled in ((never, True), (always, False)):
        with pytest.raises(CorruptFileError, match="compiled"):
            compiler.check(compiled)
    auto.follow(False)
    assert not auto.on


def test_another_word_is_refused():
    with pytest.raises(InputError, match="never, auto or always"):
        Compiler("yes")  # type: ignore[arg-type]
