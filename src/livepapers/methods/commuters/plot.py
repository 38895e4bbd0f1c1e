"""Maps of links, bars of importance and the reliability curve, as SVG without outside reference."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, PANEL, HEAD, GAP = 980, 460, 64, 20  # pixels
RIGHT, MISSED, INVENTED, PLACE = "#228833", "#ee6677", "#4477aa", "#333333"  # after Paul Tol's bright scheme
MOST_LINES = 400  # of each colour; beyond it the heaviest flows are drawn, or nothing could be told apart
OPENED = '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" {style} role="img">'
STYLE = 'font-family="sans-serif" font-size="12"'

Links = Sequence[tuple[int, int, float]]
"""(place, place, flow), each unordered pair once."""


def link_map(
    points: NDArray[np.float64], *, right: Links, missed: Links, invented: Links, geographic: bool, title: str
) -> str:
    """True links beside predicted ones.

    Args:
        points: `[places, 2]` latitude and longitude, or x and y.
        right: Links that are there and predicted; green in both panels.
        missed: Links that are there and not predicted; red, left.
        invented: Links that are predicted and not there; blue, right.
        geographic: Whether points are degrees; then the map is cut where its places leave the widest gap.
        title: Its heading.
    """
    place, height = _projection(points, geographic=geographic)
    parts = [*_opened(HEAD + height + GAP, title)]
    for left, name, layers in (
        (GAP, "observed", ((missed, MISSED), (right, RIGHT))),
        (GAP + PANEL + GAP, "predicted", ((invented, INVENTED), (right, RIGHT))),
    ):
        whole, drawn = (sum(sizes) for sizes in zip(*((len(x), len(_heaviest(x))) for x, _ in layers), strict=True))
        cut = f", the {drawn} strongest drawn" if drawn < whole else ""
        parts.append(f'<text x="{left}" y="48">{name}: {whole} pairs of places linked either way{cut}</text>')
        parts.append(f'<rect x="{left}" y="{HEAD}" width="{PANEL}" height="{height}" fill="#fafafa" stroke="#cccccc"/>')
        for links, colour in layers:
            parts += [_line(place[a], place[b], flow, links, colour, left) for a, b, flow in _heaviest(links)]
        parts += [
            f'<circle cx="{left + x:.1f}" cy="{HEAD + y:.1f}" r="1.6" fill="{PLACE}"/>' for x, y in place.tolist()
        ]
    parts.append(_legend())
    return "\n".join([*parts, "</svg>", ""])


def _heaviest(links: Links) -> Links:
    return sorted(links, key=lambda link: link[2])[-MOST_LINES:]


def _line(a: NDArray, b: NDArray, flow: float, links: Links, colour: str, left: int) -> str:
    most = max(link[2] for link in links) or 1.0
    wide = 0.5 + 2.0 * (flow / most) ** 0.5
    faint = 0.6 if len(links) < 200 else 0.35
    return (
        f'<line x1="{left + a[0]:.1f}" y1="{HEAD + a[1]:.1f}" x2="{left + b[0]:.1f}" y2="{HEAD + b[1]:.1f}" '
        f'stroke="{colour}" stroke-width="{wide:.2f}" stroke-opacity="{faint}"/>'
    )


def _legend() -> str:
    x, parts = WIDTH - 470, []
    for colour, text in ((RIGHT, "observed and predicted"), (MISSED, "observed only"), (INVENTED, "predicted only")):
        parts.append(f'<line x1="{x}" y1="20" x2="{x + 22}" y2="20" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 28}" y="24">{text}</text>')
        x += 46 + 7 * len(text)
    return "\n".join(parts)


def _projection(points: NDArray[np.float64], *, geographic: bool) -> tuple[NDArray[np.float64], int]:
    """Pixels inside a panel, and the panel's height."""
    if geographic:
        middle = float(np.cos(np.radians(np.median(points[:, 0]))))
        turned = np.sort(points[:, 1] % 360)
        gaps = np.diff(turned, append=turned[0] + 360)
        east = (points[:, 1] - turned[(int(gaps.argmax()) + 1) % len(turned)]) % 360  # counted from behind the gap
        flat = np.column_stack([east * middle, points[:, 0]])
    else:
        flat = points
    low, high = flat.min(axis=0), flat.max(axis=0)
    scale = (PANEL - 2 * GAP) / max(high[0] - low[0], (high[1] - low[1]) / 1.4, 1e-9)
    height = int((high[1] - low[1]) * scale) + 2 * GAP
    across = (flat[:, 0] - (low[0] + high[0]) / 2) * scale + PANEL / 2
    return np.column_stack([across, height - GAP - (flat[:, 1] - low[1]) * scale]), height


def importance_bars(panels: Mapping[str, Mapping[str, float]], *, title: str) -> str:
    """One panel for each score: by how much it falls when an indicator is shuffled, largest first."""
    rows = max(len(values) for values in panels.values())
    parts = [*_opened(HEAD + 22 * rows + GAP, title)]
    for number, (name, values) in enumerate(panels.items()):
        left = GAP + number * (PANEL + GAP)
        parts.append(f'<text x="{left}" y="48">{escape(name)}</text>')
        most = max(*values.values(), 1e-12)
        for row, (group, value) in enumerate(sorted(values.items(), key=lambda item: (-item[1], item[0]))):
            y, wide = HEAD + 22 * row, max(value, 0) / most * (PANEL - 220)
            shown = group if len(group) <= 24 else group[:23] + "…"
            parts.append(f'<text x="{left + 150}" y="{y + 12}" text-anchor="end">{escape(shown)}</text>')
            parts.append(f'<rect x="{left + 158}" y="{y}" width="{wide:.1f}" height="15" fill="{INVENTED}"/>')
            parts.append(f'<text x="{left + 164 + wide:.1f}" y="{y + 12}">{value:.3f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def reliability_curve(rows: Sequence[Mapping[str, float]], *, title: str) -> str:
    """Observed share of links over predicted probability; the diagonal is a model whose probabilities are right."""
    side, left = PANEL, 60
    parts = [*_opened(HEAD + side + 50, title, width=left + side + 2 * GAP)]
    top = min(max(*(max(row["predicted"], row["observed"]) for row in rows), 1e-12) * 1.05, 1.0)
    parts.append(
        f'<line x1="{left}" y1="{HEAD + side}" x2="{left + side}" y2="{HEAD}" stroke="#bbbbbb" stroke-dasharray="4"/>'
    )
    spots = [(left + row["predicted"] / top * side, HEAD + side - row["observed"] / top * side) for row in rows]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{INVENTED}" stroke-width="2"/>')
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{INVENTED}"/>' for x, y in spots]
    for tick in np.linspace(0, top, 6):
        x, y = left + tick / top * side, HEAD + side - tick / top * side
        parts.append(f'<text x="{x:.1f}" y="{HEAD + side + 16}" text-anchor="middle">{tick:.2f}</text>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.2f}</text>')
    parts.append(
        f'<text x="{left + side / 2}" y="{HEAD + side + 38}" text-anchor="middle">predicted probability</text>'
    )
    parts.append(f'<text x="{left - 40}" y="{HEAD - 10}">share of pairs that are linked</text>')
    parts.append(f'<rect x="{left}" y="{HEAD}" width="{side}" height="{side}" fill="none" stroke="#cccccc"/>')
    return "\n".join([*parts, "</svg>", ""])


def _opened(height: int, title: str, *, width: int = WIDTH) -> list[str]:
    return [
        OPENED.format(w=width, h=height, style=STYLE),
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{GAP}" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
