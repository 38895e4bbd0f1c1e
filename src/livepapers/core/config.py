"""Typed, frozen, documented configuration.

A method's `Config` is a frozen dataclass whose fields carry their source (a table, an equation, a unit) and their
range. Values are checked when the object is made, so a run never starts with a setting that it would ignore.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
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
    """Make `cls` a frozen dataclass whose values are checked; a bad one raises `InputError`."""
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
