"""Users' YAML and JSON files, read without aliases, without keys that overwrite each other, and without surprises."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from livepapers.core.errors import InputError, one_line
from livepapers.tasks.tables import read_text

T = TypeVar("T")
LARGEST_FILE = 1 << 20  # bytes; what people write by hand is far below


class _StrictLoader(yaml.SafeLoader):
    """YAML without aliases (they can blow up when printed) and without silently overwritten keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value if isinstance(key.value, str)]
        if len(keys) != len(set(keys)):
            raise yaml.YAMLError(f"key {Counter(keys).most_common(1)[0][0]!r} is given twice")
        return super().construct_mapping(node, deep)


def read_document(path: Path, *, option: str, fields: str) -> dict[str, Any]:
    """The mapping at the top of a YAML (`.yml`, `.yaml`) or JSON (`.json`) file.

    Args:
        path: The file.
        option: What the user calls it, for messages.
        fields: The fields that such a file has, for messages.

    Raises:
        InputError: One line that names the file and the likely cause.
    """
    text = read_text(path, option=option)
    if len(text) > LARGEST_FILE:
        raise InputError.of(option, path.name, expected="a file up to 1 MiB", cause="is it another file?")
    try:
        values = _parse_json(text) if path.suffix.lower() == ".json" else _parse_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError.of(option, path.name, expected="valid YAML or JSON", cause=reason) from None
    if not isinstance(values, dict):
        shown = "an empty file" if values is None else f"a {type(values).__name__}"
        raise InputError.of(f"{option} {path.name}", shown, expected=f"fields {fields}")
    return values


def read_checked(kind: type[T], path: Path, *, option: str, fields: str) -> T:
    """The `config_dataclass` that such a file describes; arguments and errors as of `read_document`."""
    values = read_document(path, option=option, fields=fields)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise one_line(error, source=f"{option} {path.name}") from None


def _parse_yaml(text: str) -> Any:
    loader = _StrictLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _parse_json(text: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = Counter(key for key, _ in items)
        if len(keys) != len(items):
            raise ValueError(f"key {keys.most_common(1)[0][0]!r} is given twice")
        return dict(items)

    return json.loads(text, object_pairs_hook=pairs)
