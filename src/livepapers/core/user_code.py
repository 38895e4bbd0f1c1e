"""Code of the user's own: named on their command line or given in Python (never by a file or a page), and called.

What such code raises is no fault of livepapers: it comes out as one line that names the option, the code and its line.
"""

import contextlib
import functools
import importlib
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from livepapers.core.errors import InputError, LivepapersError
from livepapers.core.files import sha256

_NOT_THEIRS = [Path(__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib"))]
"""Folders of livepapers, of Python and of installed packages: what is raised there is shown by who called it."""


def function_named(name: str, *, field: str) -> Callable[..., Any]:
    """The function `module:function`; a file in the present folder counts as a module, as with `python -m`.

    Args:
        name: What was typed.
        field: The option, for messages.

    Returns:
        It, its `__qualname__` being what was typed; what it raises when it is called comes out as `InputError`.

    Raises:
        InputError: There is no such module, or no such function in it, or it is broken.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InputError.of(field, name, expected="module:function")
    try:
        with importable(name), running(name, field=field):
            found = importlib.import_module(module)
    except InputError as error:
        if isinstance(error.__cause__, ImportError):
            expected, cause = "a module that can be imported", str(error.__cause__)
            raise InputError.of(field, name, expected=expected, cause=cause) from None
        raise
    function = getattr(found, attribute, None)
    if function is None:
        raise InputError.of(field, name, expected=f"a function of {module}", cause="misspelt?")
    if not callable(function):
        raise InputError.of(field, name, expected="a function", cause=f"it is a {type(function).__name__}")
    return _guarded(function, name, field=field)


def function_given(function: str | Callable[..., Any], *, field: str) -> Callable[..., Any]:
    """The function that was typed, or given in Python, as `function_named` gives it.

    Raises:
        InputError: It is neither, or see `function_named`.
    """
    name = name_given(function, field=field)
    return function_named(name, field=field) if isinstance(function, str) else _guarded(function, name, field=field)


def name_given(function: str | Callable[..., Any], *, field: str) -> str:
    """A function as `module:function`: as it was typed, or of the function that was given in Python.

    Two functions may have one name (`<lambda>`, or one made twice): where it counts which, look at what they give.

    Raises:
        InputError: It is neither.
    """
    if isinstance(function, str):
        return function
    if not callable(function):
        raise InputError.of(field, function, expected="module:function, or a function")
    return f"{function.__module__}:{getattr(function, '__qualname__', type(function).__name__)}"


def _guarded(function: Callable[..., Any], name: str, *, field: str) -> Callable[..., Any]:
    """A function that goes by this name, and whose errors come out as one line."""

    @functools.wraps(function)
    def called(*given: Any) -> Any:
        with running(name, field=field):
            return function(*given)

    called.__qualname__ = name
    return called


@contextlib.contextmanager
def importable(name: str) -> Iterator[None]:
    """Inside the block, a file in the present folder counts as a module, as with `python -m`, if a name asks for one.

    Args:
        name: `module:function` or `module:id`, as typed; nothing changes for one without a module.
    """
    if ":" not in name:
        yield
        return
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def digest_of_file(name: str) -> str:
    """The SHA-256 of the file that holds an imported `module:function`, for fingerprints; "" where there is none."""
    file = getattr(sys.modules.get(name.partition(":")[0]), "__file__", None)
    return sha256(Path(file)) if file and Path(file).is_file() else ""


@contextlib.contextmanager
def running(name: str, *, field: str) -> Iterator[None]:
    """Turn whatever the user's code raises inside the block into one line about it.

    What it prints goes to standard error: standard output is the result's alone.

    Args:
        name: Of the code: `module:function`, or an environment's id.
        field: The option by which it came.

    Raises:
        InputError: It raised something that is not livepapers' own.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except LivepapersError:
        raise
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())[:300]
        line = f"{field}: {name} raised {type(error).__name__}" + (f": {said}" if said else "") + _place(error)
        made = InputError(line)
        made.field = field
        raise made from error


def _place(error: BaseException) -> str:
    """Where in the user's own files it was raised; empty where no file of theirs was running."""
    files = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    theirs = [(file, line) for file, line in files if file.is_file() and not any(map(file.is_relative_to, _NOT_THEIRS))]
    return f" (line {theirs[-1][1]} of {theirs[-1][0].name})" if theirs else ""


def numbers(given: Any, count: int, *, name: str, field: str, each: str) -> np.ndarray:
    """What a user's function gave back, as `[count]` float64.

    Args:
        given: What it returned: numbers in a list, an array, a tensor, or one by one.
        count: How many are needed.
        name: Of the function.
        field: The option by which it came.
        each: What each number is for, such as "one an object".

    Raises:
        InputError: It is something else, or another number of them.
    """
    with running(name, field=field):  # a generator runs only now
        listed = list(given) if isinstance(given, Iterator) else given
    expected = f"{count} number{'s' if count > 1 else ''}, {each}"
    try:
        values = np.asarray(listed, dtype=np.float64).reshape(-1)
    except Exception as error:  # noqa: BLE001 - whatever was returned may refuse to be numbers in any way
        cause = f"returned by {name}: {error}"
        raise InputError.of(field, listed, expected=expected, cause=cause) from None
    if len(values) != count:
        cause = f"returned by {name}: {len(values)} of them"
        raise InputError.of(field, listed, expected=expected, cause=cause)
    return values
