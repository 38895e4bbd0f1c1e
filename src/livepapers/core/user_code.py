"""A user's function, named on their command line; never by a file or a page."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from livepapers.core.errors import InputError


def function_named(name: str, *, field: str) -> Callable[..., Any]:
    """The function `module:function`; a file in the present folder counts as a module, as with `python -m`.

    Args:
        name: What was typed.
        field: The option, for messages.

    Raises:
        InputError: There is no such module, or no such function in it.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InputError.of(field, name, expected="module:function")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise InputError.of(field, name, expected="a module that can be imported", cause=str(error)) from None
    except AttributeError:
        raise InputError.of(field, name, expected=f"a function of {module}", cause="misspelt?") from None
    finally:
        sys.path.remove(here)
    if not callable(function):
        raise InputError.of(field, name, expected="a function", cause=f"it is a {type(function).__name__}")
    return function
