"""Typed, frozen, documented configuration.

A method's `Config` is a frozen dataclass whose fields carry their source (a table, an equation, a unit) and their
range. Values are checked when the object is made, so a run never starts with a setting that it would ignore.
"""

import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar, Union, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from livepapers.core.errors import InputError, one_line

T = TypeVar("T")


def setting(
    default: Any,
    source: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """One configuration field.

    Args:
        default: The default value (immutable).
        source: Where the value comes from and its unit, e.g. "table 2; periods".
        ge: The smallest allowed value.
        gt: The value must be greater than this.
        le: The largest allowed value.
        lt: The value must be less than this.
    """
    return Field(default=default, description=source, ge=ge, gt=gt, le=le, lt=lt)


@dataclass_transform(frozen_default=True)
def config_dataclass(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass whose values are checked; a bad one raises `InputError`.

    A truth value is no number, though Python counts with it: `horizon: true` in a file is a mistake, not one period.
    """
    for name, hint in inspect.get_annotations(cls).items():
        cls.__annotations__[name] = _counted_only(hint)
    made = pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=False, allow_inf_nan=False))(cls)
    validate = made.__init__

    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        names = [item.name for item in dataclasses.fields(self) if item.init]
        named = dict(zip(names, args, strict=False))  # so that a message names the field, not its position
        try:
            validate(self, *args[len(named) :], **named, **kwargs)
        except ValidationError as error:
            raise one_line(error) from None

    checked.__wrapped__ = validate  # type: ignore[attr-defined]  # keeps the signature readable for inspect and docs
    made.__init__ = checked  # type: ignore[method-assign]
    return made  # type: ignore[return-value]


def _counted_only(hint: Any) -> Any:
    """An annotation whose numbers, also optional ones and those of tuples and mappings, refuse truth values."""
    if hint in (int, float):
        return Annotated[hint, BeforeValidator(_no_truth_value)]
    origin = typing.get_origin(hint)
    parts = typing.get_args(hint)
    if origin in (Union, types.UnionType) and len(parts) == 2 and types.NoneType in parts:
        return _counted_only(next(part for part in parts if part is not types.NoneType)) | None
    if origin in (tuple, list, dict):
        generic: Any = origin  # for pyright, which knows it as filled in already
        return generic[tuple(part if part is ... else _counted_only(part) for part in parts)]
    return hint


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number")  # noqa: TRY004 - pydantic makes a message of this one
    return value


class Presets:
    """What every `Config` offers beside its fields: named presets and a JSON form."""

    PRESETS: ClassVar[tuple[str, ...]] = ("tiny", "smoke", "laptop", "paper")

    @classmethod
    def preset(cls, name: str) -> Self:
        """The preset called `name`; raises `InputError` for an unknown one."""
        names = Presets.PRESETS
        if name not in names:
            raise InputError.of("preset", name, expected=f"one of {', '.join(names)}")
        make: Callable[[], Self] = getattr(cls, name)
        return make()

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return json.loads(TypeAdapter(type(self)).dump_json(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a config from `to_json`; unknown or bad fields raise `InputError`."""
        try:
            return TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            raise one_line(error) from None


def replace(config: T, **changes: Any) -> T:
    """A copy of a config with some fields changed, checked again."""
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]
