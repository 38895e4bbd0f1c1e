"""A schedule as a picture: which machine makes what when, and the stock of every item; plain SVG, no libraries."""

from collections.abc import Sequence
from html import escape

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#222255", "#999933", "#882255")
LEFT, ROW, STEP, TOP, STOCK = 130, 22, 14, 30, 40


def gantt(
    machines: Sequence[str],
    items: Sequence[str],
    actions: Sequence[Sequence[int]],
    inventory: Sequence[Sequence[float]],
    capacity: Sequence[float],
) -> str:
    """An SVG with one bar row a machine and one stock curve an item.

    Args:
        machines: Names, `[M]`.
        items: Names, `[N]`.
        actions: `[T, M]`, item + 1 or 0 for idle.
        inventory: `[T, N]` at the end of each period.
        capacity: `[N]`.
    """
    periods = len(actions)
    width = LEFT + STEP * periods + 20
    height = TOP + ROW * len(machines) + 30 + (STOCK + 6) * len(items) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        "<title>Schedule: machines above, stock of each item below</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="18">period 1 to {periods}; colours are items, blank is idle</text>',
    ]
    for m, machine in enumerate(machines):
        top = TOP + ROW * m
        parts.append(_label(machine, top + 14))
        for t, item, length in _runs([row[m] for row in actions]):
            told = f"{escape(items[item - 1])}, period {t + 1} to {t + length}"
            parts.append(
                f'<rect x="{LEFT + STEP * t}" y="{top}" width="{STEP * length - 1}" height="{ROW - 4}" '
                f'fill="{_colour(item - 1)}"><title>{told}</title></rect>'
            )
    base = TOP + ROW * len(machines) + 30
    for i, item in enumerate(items):
        bottom = base + (STOCK + 6) * i + STOCK
        points = " ".join(
            f"{LEFT + STEP * (t + 1)},{bottom - STOCK * min(row[i] / capacity[i], 1.0):.1f}"
            for t, row in enumerate(inventory)
        )
        parts += [
            _label(item, bottom - 4, fill=_colour(i)),
            f'<line x1="{LEFT}" y1="{bottom}" x2="{LEFT + STEP * periods}" y2="{bottom}" stroke="#cccccc"/>',
            f'<polyline points="{points}" fill="none" stroke="{_colour(i)}" stroke-width="1.5"/>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _runs(row: Sequence[int]) -> list[tuple[int, int, int]]:
    """(First period, item + 1, length) of each uninterrupted run of a machine."""
    runs: list[tuple[int, int, int]] = []
    for t, item in enumerate(row):
        if item and runs and runs[-1][1] == item and runs[-1][0] + runs[-1][2] == t:
            runs[-1] = (runs[-1][0], item, runs[-1][2] + 1)
        elif item:
            runs.append((t, item, 1))
    return runs


def _label(text: str, y: int, *, fill: str = "#000000") -> str:
    shown = text if len(text) <= 18 else text[:17] + "..."
    return f'<text x="4" y="{y}" fill="{fill}">{escape(shown)}</text>'


def _colour(item: int) -> str:
    """Of ten; beyond, hues that stay apart however many there are: the golden angle between two."""
    return COLOURS[item] if item < len(COLOURS) else f"hsl({137.508 * item % 360:.0f},55%,{40 + item % 3 * 12}%)"
