"""Maps of streets, variable graphs and forecasts as SVG, without any outside reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from livepapers.methods.cities_to_series.inconsistencies import Inconsistencies
from livepapers.tasks.street_graph import StreetGraph, equirectangular_metres

WIDE, MARGIN, LEGEND = 900, 24, 92  # pixels of a map
RED, BLUE, GREEN, GREY = "#ee6677", "#4477aa", "#228833", "#b8b8b8"  # Paul Tol's bright scheme: told apart by all
PANEL_WIDE, PANEL_HIGH, A_ROW = 300, 186, 3
MOST_PANELS, MOST_VARIABLES, MOST_DRAWN = 9, 20, 40_000


@dataclass(frozen=True)
class Fan:
    """One panel of forecasts: a variable of a series."""

    title: str
    known: Sequence[float]
    truth: Sequence[float]  # of the test window
    lines: Sequence[tuple[str, Sequence[float]]]  # (method, forecast of the test window)
    times: Sequence[str]  # of what was known and of the test window


def map_svg(before: Inconsistencies, after: Inconsistencies, *, title: str) -> str:
    """The streets, inconsistent corners by the length of their detour, facilities, and where they should move."""
    graph = before.graph
    x, y, high = _placed(graph)
    parts = _opened(WIDE, high, title)
    count = min(graph.segments, MOST_DRAWN)
    path = "".join(
        f"M{x[a]:.1f} {y[a]:.1f}L{x[b]:.1f} {y[b]:.1f}"
        for a, b in zip(graph.tails[:count], graph.heads[:count], strict=True)
    )
    parts.append(f'<path d="{path}" stroke="{GREY}" stroke-width="1.2" fill="none"/>')
    parts += _corners(before, x, y)
    parts += _facilities(before, after, x, y)
    bottom = high - LEGEND + 26
    entries = (
        (RED, "circle", f"corner served by the wrong facility in a straight line ({int(before.inconsistent.sum())})"),
        (BLUE, "square", "facility"),
        (GREEN, "square", f"where it should move ({int(after.inconsistent.sum())} such corners would be left)"),
    )
    for row, (colour, shape, text) in enumerate(entries):
        at = bottom + 20 * row
        mark = f'<circle cx="{MARGIN + 7}" cy="{at - 4}" r="5"' if shape == "circle" else _square(MARGIN + 7, at - 4)
        parts += [f'{mark} fill="{colour}"/>', f'<text x="{MARGIN + 22}" y="{at}">{escape(text)}</text>']
    parts.append(_scale_bar(graph, x, bottom))
    return "\n".join([*parts, "</svg>", ""])


def graph_svg(theta: np.ndarray, names: Sequence[str], *, title: str) -> str:
    """The learned graph as a table of cells, blue where a column adds to its row and red where it takes away."""
    shown = list(names[:MOST_VARIABLES])
    longest = max(len(_short(name)) for name in shown)
    cell, left, top = 44, 20 + 7 * longest, 72 + 4 * longest  # names of columns are slanted
    wide = max(left + cell * len(shown) + 6 * longest, 480)
    high = top + 24 + cell * len(shown)
    parts = _opened(wide, high, title)
    parts.append(
        f'<text x="{MARGIN}" y="44">Rows are made of columns: how much of the column goes into the row.</text>'
    )
    most = max(float(np.abs(theta).max()), 1e-12)
    for row, name in enumerate(shown):
        at = top + row * cell
        parts.append(f'<text x="{left - 8}" y="{at + 27}" text-anchor="end">{escape(_short(name))}</text>')
        across = left + row * cell + cell / 2
        turned = f'x="{across}" y="{top - 8}" transform="rotate(-35 {across} {top - 8})"'
        parts.append(f"<text {turned}>{escape(_short(name))}</text>")
        for column in range(len(shown)):
            value = float(theta[row, column])
            colour, share = (BLUE if value > 0 else RED), abs(value) / most
            place = f'x="{left + column * cell}" y="{at}" width="{cell - 2}" height="{cell - 2}"'
            parts.append(f'<rect {place} fill="{colour}" fill-opacity="{share:.2f}" stroke="#dddddd"/>')
            middle = left + column * cell + (cell - 2) / 2
            ink = "#ffffff" if share > 0.7 else "#222222"
            parts.append(f'<text x="{middle}" y="{at + 25}" text-anchor="middle" fill="{ink}">{value:.2f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def fans_svg(fans: Sequence[Fan], *, title: str) -> str:
    """Panels of what was known, what came, and what each method forecast, over the times on their axes."""
    chosen = fans[:MOST_PANELS]
    rows = -(-len(chosen) // A_ROW)
    columns = min(A_ROW, len(chosen))
    parts = _opened(max(columns * PANEL_WIDE, 420), rows * PANEL_HIGH + 70, title)
    for index, fan in enumerate(chosen):
        parts.append(f'<g transform="translate({index % A_ROW * PANEL_WIDE} {36 + index // A_ROW * PANEL_HIGH})">')
        parts += [*_fan(fan), "</g>"]
    names = ["what came", *(name for name, _ in chosen[0].lines)]
    at = rows * PANEL_HIGH + 56
    for index, (name, colour) in enumerate(zip(names, ("#222222", BLUE, RED), strict=False)):
        left = MARGIN + 190 * index
        parts.append(
            f'<line x1="{left}" y1="{at - 4}" x2="{left + 22}" y2="{at - 4}" stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{left + 28}" y="{at}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _fan(fan: Fan) -> list[str]:
    left, right, top, bottom = 64, PANEL_WIDE - 14, 26, PANEL_HIGH - 34
    every = [*fan.known, *fan.truth, *(value for _, line in fan.lines for value in line)]
    low, high = min(0.0, *every), max(every)
    span, steps = (high - low) or 1.0, max(len(fan.known) + len(fan.truth) - 1, 1)

    def points(start: int, values: Sequence[float]) -> str:
        return " ".join(
            f"{left + (start + step) / steps * (right - left):.1f},{bottom - (value - low) / span * (bottom - top):.1f}"
            for step, value in enumerate(values)
        )

    begin = len(fan.known) - 1
    lines = [(0, fan.known, "#888888"), (begin, [fan.known[-1], *fan.truth], "#222222")]
    lines += [
        (begin, [fan.known[-1], *line], colour)
        for (_, line), colour in zip(fan.lines, (BLUE, RED), strict=False)
    ]  # fmt: skip
    seam = left + begin / steps * (right - left)
    return [
        f'<text x="{left}" y="16" font-weight="bold">{escape(fan.title[:40])}</text>',
        f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#666666"/>',
        f'<line x1="{seam:.1f}" y1="{top}" x2="{seam:.1f}" y2="{bottom}" stroke="#dddddd"/>',
        f'<text x="{left - 5}" y="{top + 8}" text-anchor="end">{_shown(high)}</text>',
        f'<text x="{left - 5}" y="{bottom}" text-anchor="end">{_shown(low)}</text>',
        *(
            f'<polyline points="{points(start, values)}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
            for start, values, colour in lines
        ),
        *_times(fan.times, begin, left=left, right=right, at=bottom + 14),
    ]


def _times(times: Sequence[str], begin: int, *, left: int, right: int, at: int) -> list[str]:
    """The first time, the last one, and between them, where there is room, the last one that was known."""
    shown = {0: "start", len(times) - 1: "end"}
    wide = [6.0 * len(_short(times[place])) for place in (0, begin, len(times) - 1)]
    seam = left + begin / max(len(times) - 1, 1) * (right - left)
    if left + wide[0] + 8 < seam - wide[1] / 2 and seam + wide[1] / 2 + 8 < right - wide[2]:
        shown[begin] = "middle"
    along = {"start": left, "middle": seam, "end": right}
    return [
        f'<text x="{along[anchor]:.1f}" y="{at}" text-anchor="{anchor}" font-size="10">'
        f"{escape(_short(times[place]))}</text>"
        for place, anchor in shown.items()
    ]


def _placed(graph: StreetGraph) -> tuple[np.ndarray, np.ndarray, int]:
    """Pixels of the junctions, north above, and the height of the picture."""
    x, y = equirectangular_metres(graph.x, graph.y) if graph.geographic else (graph.x, graph.y)
    span = max(float(np.ptp(x)), float(np.ptp(y)), 1e-9)
    wide = WIDE - 2 * MARGIN
    scale = min(wide / max(float(np.ptp(x)), 1e-9 * span), 700 / max(float(np.ptp(y)), 1e-9 * span))
    left = (WIDE - scale * float(np.ptp(x))) / 2
    high = round(scale * float(np.ptp(y))) + 2 * MARGIN + 24 + LEGEND
    return left + scale * (x - x.min()), MARGIN + 24 + scale * (y.max() - y), high


def _corners(found: Inconsistencies, x: np.ndarray, y: np.ndarray) -> list[str]:
    extra = found.severity
    finite = extra[np.isfinite(extra)]
    most = max(float(finite.max()) if len(finite) else 0.0, 1e-12)
    return [
        f'<circle cx="{x[node]:.1f}" cy="{y[node]:.1f}" r="{3 + 5 * min(float(extra[node]) / most, 1.0):.1f}" '
        f'fill="{RED}" fill-opacity="0.8"/>'
        for node in np.flatnonzero(found.inconsistent)
    ]


def _facilities(before: Inconsistencies, after: Inconsistencies, x: np.ndarray, y: np.ndarray) -> list[str]:
    parts = []
    for start, end in zip(before.facilities, after.facilities, strict=True):
        if start != end:
            parts.append(
                f'<line x1="{x[start]:.1f}" y1="{y[start]:.1f}" x2="{x[end]:.1f}" y2="{y[end]:.1f}" stroke="{GREEN}" '
                'stroke-width="1.6" stroke-dasharray="5 4"/>'
            )
            parts.append(f'{_square(float(x[end]), float(y[end]))} fill="{GREEN}" stroke="#ffffff"/>')
        parts.append(f'{_square(float(x[start]), float(y[start]))} fill="{BLUE}" stroke="#ffffff"/>')
    return parts


def _scale_bar(graph: StreetGraph, x: np.ndarray, at: float) -> str:
    """A bar of a round length, at the right of the legend."""
    east = equirectangular_metres(graph.x, graph.y)[0] if graph.geographic else graph.x
    span = float(np.ptp(east))
    if span <= 0:
        return ""
    a_unit = float(np.ptp(x)) / span
    power = 10.0 ** np.floor(np.log10(span / 4))
    long = float(power * max(step for step in (1, 2, 5) if step * power <= span / 4))
    right = WIDE - MARGIN
    return (
        f'<line x1="{right - long * a_unit:.1f}" y1="{at}" x2="{right}" y2="{at}" stroke="#222222" stroke-width="2"/>'
        f'<text x="{right}" y="{at + 16}" text-anchor="end">{long:g} {escape(graph.unit)}</text>'
    )


def _square(x: float, y: float) -> str:
    return f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12"'


def _shown(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"


def _opened(wide: int, high: int, title: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
        'font-family="sans-serif" font-size="12" role="img">',
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="24" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
