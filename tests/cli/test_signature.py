"""Options come from a method's signature and docstring, and nowhere else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click
import pytest

from livepapers.cli.signature import documentation, options
from livepapers.core.application import Application
from livepapers.papers import catalogue


def method(
    *,
    data: Path,
    other: Path | None = None,
    amount: int = 3,
    share: float = 0.5,
    kind: Literal["one", "two"] = "one",
    fast: bool = False,
    check: bool = True,
    names: Sequence[str] = (),
    parts: list[int] | None = None,
) -> Application:
    """Do something with data.

    A second paragraph.

    Args:
        data: A file
            with a long description: it goes on.
        other: Another file.
        amount: How much, in pieces.
        share: A share, 0 to 1.
        kind: Which kind.
        fast: Be quick.
        check: Look twice.
        names: Names of things.
        parts (list of int): Parts.

    Raises:
        InputError: Never.

    Examples:
        livepapers apply x --data a.csv
        livepapers apply x --data b.csv --fast
    """
    raise NotImplementedError((data, other, amount, share, kind, fast, check, names, parts))


def parsed(*arguments: str) -> dict[str, Any]:
    command = click.Command("x", params=options(method), callback=lambda **values: values)
    return command.main(list(arguments), standalone_mode=False)


def test_defaults_are_those_of_the_signature():
    values = parsed("--data", "a.csv")
    assert values.pop("names") == ()
    assert values.pop("parts") == ()
    assert values == {
        "data": Path("a.csv"), "other": None, "amount": 3, "share": 0.5, "kind": "one", "fast": False, "check": True,
    }  # fmt: skip


def test_values_have_the_annotated_types():
    values = parsed(
        "--data", "a", "--other", "b", "--amount", "7", "--share", "1e-3", "--kind", "two", "--fast", "--no-check",
        "--names", "x", "--names", "y", "--parts", "4",
    )  # fmt: skip
    assert values == {
        "data": Path("a"), "other": Path("b"), "amount": 7, "share": 1e-3, "kind": "two", "fast": True, "check": False,
        "names": ("x", "y"), "parts": (4,),
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--data", "a", "--amount", "1.5"],
        ["--data", "a", "--amount", "many"],
        ["--data", "a", "--share", "nan"],
        ["--data", "a", "--share", "inf"],
        ["--data", "a", "--share", "half"],
        ["--data", "a", "--kind", "three"],
        ["--data", "a", "--fast", "yes"],
        ["a"],
    ],
)
def test_wrong_values_are_usage_errors(arguments: list[str]):
    with pytest.raises(click.UsageError):
        parsed(*arguments)


def test_help_is_the_docstring_s():
    helps = {option.name: option.help for option in options(method) if isinstance(option, click.Option)}
    assert helps["data"] == "A file with a long description: it goes on."
    assert helps["names"] == "Names of things. May be repeated."
    assert helps["parts"] == "Parts. May be repeated."
    text = documentation(method)
    assert text.about == "Do something with data.\n\nA second paragraph."
    assert text.examples.splitlines()[1] == "livepapers apply x --data b.csv --fast"


def test_a_type_without_a_form_on_the_command_line_is_a_fault_of_the_method():
    def bad(*, table: dict[str, int]) -> None:
        """Take a table."""

    def worse(**anything: int) -> None:
        """Take anything."""

    for function in (bad, worse):
        with pytest.raises(TypeError, match="no form on the command line"):
            options(function)


@pytest.mark.parametrize("slug", [slug for slug in catalogue.load() if catalogue.method_module(slug)])
def test_every_method_s_apply_has_a_command_line(slug: str):
    import importlib

    name = catalogue.method_module(slug)
    assert name is not None
    apply = importlib.import_module(name).apply
    made = options(apply)
    assert made
    assert all(isinstance(one, click.Argument) or (isinstance(one, click.Option) and one.help) for one in made)
    assert documentation(apply).about
    seeds = [one.type for one in made if one.name == "seed"]
    assert all(isinstance(kind, click.IntRange) and kind.min == 0 for kind in seeds)
