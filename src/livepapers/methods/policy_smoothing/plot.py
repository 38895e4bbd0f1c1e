"""Certificates as a picture: what is guaranteed against the adversary's budget, and the ceiling beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 340  # pixels
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 48
COLOURS = {"mean": "#4477aa", "ceiling": "#999999", "median": "#228833", "attacked": "#ee6677", "success": "#aa3377"}
WORDS = {
    "mean": "certified mean", "ceiling": "ceiling: a perfect agent", "median": "certified median",
    "attacked": "mean under the attack", "success": "certified success",
}  # fmt: skip
DASHED = {"ceiling": "6 4", "attacked": "2 3"}


@dataclass(frozen=True)
class Frame:
    """Where numbers lie in the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        (left, right), (low, high) = self.x, self.y
        across = (x - left) / (right - left) if right > left else 0.5
        up = (y - low) / (high - low) if high > low else 0.5
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def certificate_svg(rows: Sequence[dict[str, float | None]], *, title: str, unit: str) -> str:
    """The columns that have a name here, against `budget`, as one SVG document without any outside reference."""
    columns = [name for name in WORDS if any(row.get(name) is not None for row in rows)]
    points = {
        name: [(float(row["budget"] or 0.0), float(value)) for row in rows if (value := row.get(name)) is not None]
        for name in columns
    }
    heights = [y for line in points.values() for _, y in line] or [0.0, 1.0]
    budgets = [float(row["budget"] or 0.0) for row in rows]
    frame = Frame((min(budgets), max(budgets)), (min(0.0, *heights), max(heights)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11" role="img">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="13" font-weight="bold">{escape(title)}</text>',
        *_grid(frame, unit),
    ]
    for index, (name, line) in enumerate(points.items()):
        parts += _line(frame, name, line, index)
    return "\n".join([*parts, "</svg>", ""])


def _grid(frame: Frame, unit: str) -> list[str]:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = frame.x[0] + share * (frame.x[1] - frame.x[0])
        y = frame.y[0] + share * (frame.y[1] - frame.y[0])
        across, up = frame.at(x, y)
        parts += [
            f'<line x1="{LEFT}" y1="{up:.1f}" x2="{WIDTH - RIGHT}" y2="{up:.1f}" stroke="#dddddd"/>',
            f'<text x="{LEFT - 6}" y="{up + 4:.1f}" text-anchor="end">{y:.3g}</text>',
            f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:.3g}</text>',
        ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    about = escape(f"adversary's total l2 budget over an episode, {unit}")
    return [*parts, f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{about}</text>']


def _line(frame: Frame, name: str, line: Sequence[tuple[float, float]], index: int) -> list[str]:
    colour, dash = COLOURS[name], f' stroke-dasharray="{DASHED[name]}"' if name in DASHED else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (frame.at(*point) for point in line))
    right, y = WIDTH - RIGHT - 180, TOP + 14 + 15 * index
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>',
        f'<line x1="{right}" y1="{y - 4}" x2="{right + 22}" y2="{y - 4}" stroke="{colour}" stroke-width="2"{dash}/>',
        f'<text x="{right + 28}" y="{y}">{escape(WORDS[name])}</text>',
    ]
