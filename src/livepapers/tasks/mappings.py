"""Descriptions that users bring: YAML or JSON files that hold one mapping, read strictly."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from livepapers.core.errors import InputError
from livepapers.tasks.tables import read_text

LARGEST_FILE = 1 << 20  # bytes; a description of thousands of entries is far below


def read_mapping(path: Path, *, option: str, fields: str) -> dict[str, Any]:
    """Read a YAML (`.yml`, `.yaml`) or JSON (`.json`) file whose top level is a mapping.

    Args:
        path: The file.
        option: What the user calls it, e.g. "network".
        fields: What the mapping should hold, for the message, e.g. "nodes and edges".

    Raises:
        InputError: For a file that is missing, too large, not valid, with keys given twice, or no mapping.
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
