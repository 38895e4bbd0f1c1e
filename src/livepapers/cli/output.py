"""What commands print: tables and notes for people, JSON for programs.

Standard output carries the result, standard error everything else. On a pipe a table row is one line.
"""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

Value = str | int | float | bool | None


def note(text: str) -> None:
    """Tell a person something that is not the result."""
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print JSON; a number that is not finite becomes null, because JSON has no word for it."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(_finite(value), indent=2, ensure_ascii=plain, allow_nan=False))


def console(*, pipe_width: int) -> "Console":
    """A console on standard output that obeys NO_COLOR and COLUMNS, and has `pipe_width` columns on a pipe."""
    from rich.console import Console

    return Console(width=None if bounded() else pipe_width, highlight=False)


def print_table(
    rows: Sequence[Mapping[str, Value]], *, title: str = "", styles: Mapping[str, str] | None = None
) -> None:
    """Print rows with equal keys as a table; numbers stand to the right.

    Args:
        rows: One mapping a row; the keys of the first are the header.
        title: Printed above, on a line of its own.
        styles: A colour for each value that shall have one, e.g. {"reproduced": "green"}.
    """
    header = list(rows[0]) if rows else ["(empty)"]
    body = [[shown_value(row[name]) for name in header] for row in rows]
    numeric = [bool(rows) and all(_is_number(row[name]) for row in rows) for name in header]
    if not bounded():
        click.echo("\n".join([*[title] * bool(title), *_lines([header, *body], numeric)]))
        return

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    screen = Console(highlight=False)
    if title:
        screen.print(Text(title, style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name, right in zip(header, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for shown in body:
        table.add_row(*[Text(text, style=(styles or {}).get(text, "")) for text in shown])
    screen.print(table)


def bounded() -> bool:
    """Whether lines have a width: on a terminal, or when COLUMNS sets one."""
    return sys.stdout.isatty() or "COLUMNS" in os.environ


def _is_number(value: Value) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _lines(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Rows as lines, columns aligned, nothing wrapped."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ]
        for row in rows
    )
    return ["  ".join(row).rstrip() for row in padded]


def shown_value(value: Value) -> str:
    """A value as people read it: four significant digits, yes and no, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
