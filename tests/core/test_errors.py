"""Messages are for people: no library's own way of writing a number comes out of them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from livepapers.core.errors import InputError, plainly


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float64(-5.0), "-5.0"),
        (np.int64(3), "3"),
        (np.bool_(True), "True"),
        (np.str_("a"), "a"),
        (np.array([1.0, 2.5]), "[1.0, 2.5]"),
        ([np.float64(1.0), (np.int64(2),)], "[1.0, (2,)]"),
        ({np.int64(1): np.float64(2.0)}, "{1: 2.0}"),
        ({np.int64(1)}, "{1}"),
        (frozenset([np.int64(1)]), "frozenset({1})"),
        (np.array([torch.tensor(1.5), None], dtype=object), "[1.5, None]"),
        (torch.tensor(1.5, requires_grad=True), "1.5"),
        (torch.zeros(2, 3).shape, "(2, 3)"),
        (pd.Series([1, 2]), "[1, 2]"),
        (Path("a b"), "a b"),
        (SimpleNamespace(tolist=3), "namespace(tolist=3)"),
        (None, "None"),
    ],
)
def test_values_are_shown_as_python_writes_them(value: object, shown: str):
    assert str(InputError.of("length", value, expected="a number")) == f"length: got {shown}, expected a number"


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (lambda: Path("/no/such").read_text(), "no such file or directory"),
        (lambda: {}["seeds"], "no seeds"),
        (lambda: float([]), "one of its values is of another kind than expected"),  # type: ignore[arg-type]
        (lambda: json.loads("{,"), "no JSON at line 1, column 2"),
        (b"\xff".decode, "byte 0 is no UTF-8 text"),
        (lambda: json.loads("[" * 200_000), "it is nested too deeply"),
    ],
)
def test_causes_are_told_without_pythons_own_words(cause: Callable[[], object], said: str):
    with pytest.raises((OSError, LookupError, TypeError, ValueError, RecursionError)) as caught:
        cause()
    assert plainly(caught.value) == said
