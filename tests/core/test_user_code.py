"""What a user's own code raises comes out as one line about that code, whatever it is."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from livepapers.core.errors import InputError, Interrupted
from livepapers.core.files import sha256
from livepapers.core.user_code import digest_of_file, function_given, function_named, name_given, numbers, running

CODE = """\
import numpy

def bad(texts):
    raise ValueError("my own\\nbug")

def through_a_library(texts):
    return numpy.zeros(3).reshape(2)

def leaves(texts):
    raise SystemExit(3)

def lazy(texts):
    yield 1.0
    raise KeyError("second")

def prints(texts):
    print("hello")
    return [1.0 for _ in texts]

def good(texts):
    return [1.0 for _ in texts]
"""


@pytest.fixture(autouse=True)
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_code_lp.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "broken_code_lp.py").write_text("x = 1 / 0\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("own_code_lp:bad", "own_code_lp:bad raised ValueError: my own bug (line 4 of own_code_lp.py)"),
        ("own_code_lp:through_a_library", "reshape array of size 3 into shape (2,) (line 7 of own_code_lp.py)"),
        ("own_code_lp:leaves", "own_code_lp:leaves raised SystemExit: 3 (line 10 of own_code_lp.py)"),
        ("os:system", "os:system raised TypeError: "),
    ],
)
def test_what_is_raised_is_told_with_its_name_and_line(name: str, line: str):
    function = function_named(name, field="--reward-from")
    with pytest.raises(InputError, match=re.escape(line)) as caught:
        function(["1 2"])
    assert str(caught.value).startswith(f"--reward-from: {name} raised ")
    assert caught.value.field == "--reward-from"
    assert "\n" not in str(caught.value)


def test_a_module_that_breaks_while_it_is_imported_is_told_too():
    with pytest.raises(InputError, match=r"broken_code_lp:f raised ZeroDivisionError: .*line 1 of broken_code_lp.py"):
        function_named("broken_code_lp:f", field="--reward-from")


def test_what_livepapers_raises_itself_passes():
    for error in (Interrupted("stopped"), InputError.of("env", 1, expected="2"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, running("mine", field="env"):
            raise error
        assert caught.value is error


def test_numbers_come_in_any_form_and_only_as_many_as_are_needed():
    for given in ([1, 2], (1.0, 2.0), np.array([[1, 2]]), torch.tensor([1.0, 2.0]), (float(i) for i in (1, 2))):
        assert numbers(given, 2, name="m:f", field="--f", each="one an object").tolist() == [1.0, 2.0]
    assert numbers(3.0, 1, name="m:f", field="--f", each="one an object").tolist() == [3.0]
    for given, said in (([1.0], "[1.0]"), (None, "None"), (["a", "b"], "['a', 'b']"), ([[1], [1, 2]], "[[1], [1")):
        with pytest.raises(InputError, match=re.escape(f"--f: got {said}")) as caught:
            numbers(given, 2, name="m:f", field="--f", each="one an object")
        assert "expected 2 numbers, one an object (returned by m:f" in str(caught.value)
    lazy = function_named("own_code_lp:lazy", field="--f")
    with pytest.raises(InputError, match="own_code_lp:lazy raised KeyError: 'second'"):
        numbers(lazy([]), 2, name="own_code_lp:lazy", field="--f", each="one an object")


def own_reward(texts: list[str]) -> list[float]:
    if not texts:
        raise ValueError("no texts")
    return [1.0 for _ in texts]


def test_a_function_may_be_given_in_python_and_goes_by_its_module_and_name():
    here = f"{__name__}:own_reward"
    assert name_given("own_code_lp:good", field="--f") == "own_code_lp:good"
    assert name_given(own_reward, field="--f") == here
    assert name_given(Rewarding(), field="--f") == f"{__name__}:Rewarding"
    assert function_given("own_code_lp:good", field="--f")(["1 2"]) == [1.0]
    given = function_given(own_reward, field="--f")
    assert given.__qualname__ == here
    assert given(["1 2"]) == [1.0]
    with pytest.raises(InputError, match=rf"^--f: {here} raised ValueError: no texts \(line \d+ of test_user_code.py"):
        given([])
    for neither in (3, None, ["own_code_lp:good"]):
        with pytest.raises(InputError, match=r"^--f: got .*, expected module:function, or a function$"):
            function_given(neither, field="--f")  # type: ignore[arg-type]


class Rewarding:
    def __call__(self, texts: list[str]) -> list[float]:
        return [1.0 for _ in texts]


def test_the_digest_is_that_of_the_file_that_holds_the_function():
    function_named("own_code_lp:good", field="--reward-from")
    file = Path(str(sys.modules["own_code_lp"].__file__))
    assert digest_of_file("own_code_lp:good") == sha256(file)
    assert digest_of_file("sys:exit") == digest_of_file("not_imported_lp:good") == ""


def test_what_it_prints_is_no_part_of_the_result(capsys: pytest.CaptureFixture[str]):
    assert function_named("own_code_lp:prints", field="--reward-from")(["1 2"]) == [1.0]
    print("result")
    assert tuple(capsys.readouterr()) == ("result\n", "hello\n")
