"""Control rules as a picture: mortality against the stock, one curve for few, usual and many of another species."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 280  # of one panel, in pixels
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 34, 46
COLOURS = ("#4477aa", "#228833", "#ee6677", "#aa3377", "#66ccee")  # Paul Tol's bright scheme: told apart by all


@dataclass(frozen=True)
class Panel:
    """One diagram: curves over a shared stock axis."""

    title: str
    x_label: str
    stock: Sequence[float]
    curves: Sequence[tuple[str, Sequence[float]]]  # (label, mortalities in [0, 1])


def control_rule_svg(panels: Sequence[Panel]) -> str:
    """The panels side by side as one SVG document, without any outside reference."""
    width = WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" '
        'font-family="sans-serif" font-size="11" role="img">',
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for index, panel in enumerate(panels):
        parts.append(f'<g transform="translate({index * WIDTH} 0)">')
        parts += _axes(panel)
        parts += _curves(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _axes(panel: Panel) -> list[str]:
    low, high = float(panel.stock[0]), float(panel.stock[-1])
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(panel.title)}</text>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y, x = bottom - share * (bottom - TOP), LEFT + share * (right - LEFT)
        parts += [
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#dddddd"/>',
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>',
            f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{low + share * (high - low):.3g}</text>',
        ]
    middle = (TOP + bottom) / 2
    return [
        *parts,
        f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" stroke="#666666"/>',
        f'<text x="{(LEFT + right) / 2}" y="{bottom + 34}" text-anchor="middle">{escape(panel.x_label)}</text>',
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">share caught</text>',
    ]


def _curves(panel: Panel) -> list[str]:
    low, high = float(panel.stock[0]), float(panel.stock[-1])
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for index, (label, values) in enumerate(panel.curves):
        colour = COLOURS[index % len(COLOURS)]
        points = " ".join(
            f"{LEFT + (x - low) / (high - low) * (right - LEFT):.1f},{bottom - y * (bottom - TOP):.1f}"
            for x, y in zip(panel.stock, values, strict=True)
        )
        y = TOP + 16 + 15 * index
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<line x1="{LEFT + 10}" y1="{y - 4}" x2="{LEFT + 30}" y2="{y - 4}" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{LEFT + 35}" y="{y}">{escape(label)}</text>',
        ]
    return parts
