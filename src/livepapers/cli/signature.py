"""From a method's `apply()` to command line options: types from its annotations, help from its docstring."""

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

import click

from livepapers.core.rng import Seed

SECTIONS = ("Args", "Returns", "Raises", "Yields", "Example", "Examples", "Note", "Notes", "References")
_ENTRY = re.compile(r"(\w+)(?: \([^)]*\))?: (.*)")


class Number(click.ParamType):
    """A finite number: what a user means when they type one."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; refuses words, nan and infinities."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


SCALARS: Mapping[Any, click.ParamType] = {
    int: click.INT,
    Seed: click.IntRange(min=0),
    float: Number(),
    str: click.STRING,
    Path: click.Path(path_type=Path),
}


@dataclass(frozen=True)
class Documentation:
    """A Google-style docstring in parts."""

    about: str  # the text before the first section
    arguments: Mapping[str, str]  # parameter -> its description on one line
    examples: str  # the lines of the section "Examples", as they are typed


def options(function: Callable[..., Any]) -> list[click.Parameter]:
    """One `--option` for each parameter of `function`, and an argument for each that is positional only.

    Parameters without a default are required.

    Raises:
        TypeError: A parameter's annotation has no form on the command line.
    """
    hints = typing.get_type_hints(function, include_extras=True)  # `Seed` is an int with a range
    help_texts = documentation(function).arguments
    return [
        _option(parameter, hints.get(name, str), help_texts.get(name, ""))
        for name, parameter in inspect.signature(function).parameters.items()
        if not _is_spread(hints.get(name, str))
    ]


def takes_spread(function: Callable[..., Any]) -> bool:
    """Whether the function has a parameter `spread`, by which its work can be done elsewhere."""
    return any(map(_is_spread, typing.get_type_hints(function).values()))


def _is_spread(annotation: Any) -> bool:
    from livepapers.core.application import Spread

    return annotation is Spread or Spread in typing.get_args(annotation)


def fields(parameters: Sequence[click.Parameter]) -> list[dict[str, Any]]:
    """The options of `options` as JSON values, for a form that asks for them."""
    found = []
    for option in parameters:
        if isinstance(option, click.Option) and option.expose_value and not option.hidden:
            kind = "flag" if option.is_flag else _form_kind(option.type)
            choices = list(option.type.choices) if isinstance(option.type, click.Choice) else []
            default = option.to_info_dict()["default"]
            found.append({
                "name": option.name, "flag": option.opts[0], "kind": kind,
                "choices": choices, "required": option.required, "multiple": option.multiple,
                "default": default if isinstance(default, (str, int, float, bool)) else None, "help": option.help or "",
            })  # fmt: skip
    return found


def _form_kind(kind: click.ParamType) -> str:
    names = {click.Choice: "choice", click.Path: "file", type(click.INT): "integer", Number: "number"}
    return next((name for of, name in names.items() if isinstance(kind, of)), "text")


def documentation(function: Callable[..., Any]) -> Documentation:
    """The parts of a function's docstring."""
    sections: dict[str, list[str]] = {"": []}
    current = ""
    for line in (inspect.getdoc(function) or "").splitlines():
        heading = line.strip().removesuffix(":")
        if line.rstrip().endswith(":") and heading in SECTIONS and not line.startswith(" "):
            current = heading
            sections[current] = []
        else:
            sections[current].append(line)
    examples = sections.get("Examples", sections.get("Example", []))
    return Documentation(
        about="\n".join(sections[""]).strip(),
        arguments=_entries(sections.get("Args", [])),
        examples=inspect.cleandoc("\n" + "\n".join(examples)),
    )


def _entries(lines: Sequence[str]) -> dict[str, str]:
    """`name: text` entries with their continuation lines joined."""
    text = inspect.cleandoc("\n" + "\n".join(lines)).splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in text:
        match = _ENTRY.fullmatch(line.strip()) if not line.startswith(" ") else None
        if match:
            name = match[1]
            found[name] = match[2].strip()
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


def _option(parameter: inspect.Parameter, annotation: Any, text: str) -> click.Parameter:
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise TypeError(f"parameter {parameter.name}: *args and **kwargs have no form on the command line")
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        kind, multiple = _kind(annotation, parameter.name)
        if multiple or kind is bool:
            raise TypeError(f"parameter {parameter.name}: {annotation} has no form as an argument")
        needed = parameter.default is inspect.Parameter.empty
        return click.Argument(
            [parameter.name], type=kind, required=needed, default=None if needed else parameter.default
        )
    flag = "--" + parameter.name.replace("_", "-")
    kind, multiple = _kind(annotation, parameter.name)
    default = parameter.default
    if kind is bool:
        names = f"{flag}/--no-{flag.removeprefix('--')}" if default else flag
        return click.Option([names], is_flag=True, default=bool(default), help=text, show_default=bool(default))
    text += " May be repeated." * multiple
    if default is inspect.Parameter.empty:
        return click.Option([flag, parameter.name], type=kind, multiple=multiple, required=True, help=text)
    shown = default not in (None, "", ())
    return click.Option(
        [flag, parameter.name], type=kind, multiple=multiple, default=default, show_default=shown, help=text
    )


def _kind(annotation: Any, name: str) -> tuple[Any, bool]:
    """The click type of an annotation (or `bool`), and whether the option may be repeated."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        kinds = [argument for argument in arguments if argument is not types.NoneType]
        if len(kinds) == 1:
            return _kind(kinds[0], name)
    if origin is Literal and all(isinstance(choice, str) for choice in arguments):
        return click.Choice(arguments), False
    if origin in (list, tuple, Sequence) and arguments and arguments[0] in SCALARS and arguments[1:] in ((), (...,)):
        return SCALARS[arguments[0]], True
    if annotation is bool:
        return bool, False
    if annotation in SCALARS:
        return SCALARS[annotation], False
    raise TypeError(f"parameter {name}: {annotation} has no form on the command line")
