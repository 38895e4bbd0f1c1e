"""Two pictures: models side by side, and molecules or networks with their important edges thick."""

from collections.abc import Sequence
from html import escape

import networkx as nx
import numpy as np

WIDTH = 640  # pixels
_ROW, _LEFT, _RIGHT, _TOP, _BOTTOM = 28, 130, 70, 44, 44
_OURS, _OTHER, _INK, _GRID = "#4477aa", "#bbbbbb", "#222222", "#dddddd"
_PANEL, _MARGIN, _CAPTION = 200, 26, 24
_NAMED = 16
"""Nodes of the largest graph whose names are drawn."""
_LOW, _HIGH = np.array([205.0, 205.0, 205.0]), np.array([204.0, 51.0, 17.0])


def ranking_svg(rows: Sequence[tuple[str, Sequence[float]]], *, title: str, unit: str, ours: frozenset[str]) -> str:
    """Mean test score of each model as a bar, every repeat as a dot.

    Args:
        rows: (model, its score in each repeat), best first.
        title: Above the picture.
        unit: Of the scores, below the axis.
        ours: Models of the paper, in colour.
    """
    values = [value for _, scores in rows for value in scores]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    height = _TOP + _ROW * len(rows) + _BOTTOM

    def across(value: float) -> float:
        return _LEFT + (value - low) / span * (WIDTH - _LEFT - _RIGHT)

    parts = [_begin(WIDTH, height), _text(12, 24, title, size=14, bold=True)]
    for value in ticks(low, high):
        x = across(value)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{height - _BOTTOM}" stroke="{_GRID}"/>')
        parts.append(_text(x, height - _BOTTOM + 16, f"{value:.3g}", anchor="middle"))
    for place, (name, scores) in enumerate(rows):
        y = _TOP + _ROW * place
        mean = float(np.mean(scores))
        left, right = sorted((across(0.0), across(mean)))
        colour = _OURS if name in ours else _OTHER
        parts.append(_text(_LEFT - 8, y + 18, name, anchor="end"))
        parts.append(f'<rect x="{left:.1f}" y="{y + 6}" width="{right - left:.1f}" height="16" fill="{colour}"/>')
        parts += [
            f'<circle cx="{across(score):.1f}" cy="{y + 14}" r="3" fill="{_INK}" fill-opacity="0.6"/>'
            for score in scores
        ]
        parts.append(_text(WIDTH - _RIGHT + 14, y + 18, f"{mean:.3g}"))
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, height - 8, unit, anchor="middle"))
    return "\n".join([*parts, "</svg>", ""])


def importance_svg(graphs: Sequence[tuple[str, nx.Graph]]) -> str:
    """Up to six graphs; edges carry `importance`, brought to 0 ... 1 within their graph, and nodes `name`.

    Nodes may carry a `label` that is drawn in their place; of others the name stands beside them in small graphs. Names
    and importance show where the pointer rests, too.
    """
    columns = min(3, len(graphs))
    lines = -(-len(graphs) // columns)
    width, height = columns * _PANEL, _TOP + lines * (_PANEL + _CAPTION)
    parts = [
        _begin(width, height),
        _text(12, 24, "Thick and red: edges that views keep; grey ones are dropped first", size=14, bold=True),
    ]
    for place, (name, graph) in enumerate(graphs):
        left, top = place % columns * _PANEL, _TOP + place // columns * (_PANEL + _CAPTION)
        parts += _drawn(graph, left, top)
        shown = name if len(name) <= 28 else name[:27] + "…"
        parts.append(_text(left + _PANEL / 2, top + _PANEL + 12, shown, anchor="middle"))
    return "\n".join([*parts, "</svg>", ""])


def _drawn(graph: nx.Graph, left: float, top: float) -> list[str]:
    layout = nx.kamada_kawai_layout(graph) if len(graph) > 1 else dict.fromkeys(graph, np.zeros(2))
    points = np.array([layout[node] for node in graph])
    spread = max(float(np.ptp(points, axis=0).max()), 1e-9)
    inner = _PANEL - 2 * _MARGIN
    points = (points - (points.max(axis=0) + points.min(axis=0)) / 2) / spread * inner + _PANEL / 2
    at = {node: (left + x, top + y) for node, (x, y) in zip(graph, points, strict=True)}
    weights = dict(graph.edges.items())
    low = min((data["importance"] for data in weights.values()), default=0.0)
    high = max((data["importance"] for data in weights.values()), default=1.0)
    names = nx.get_node_attributes(graph, "name")
    parts = []
    for (a, b), data in weights.items():
        share = (data["importance"] - low) / (high - low) if high > low else 0.5
        red, green, blue = (int(value) for value in _LOW + share * (_HIGH - _LOW))
        (x1, y1), (x2, y2) = at[a], at[b]
        told = escape(f"{names[a]} to {names[b]}: {data['importance']:.3g}")
        parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="#{red:02x}{green:02x}{blue:02x}" stroke-width="{1.5 + 4.5 * share:.2f}" stroke-linecap="round">'
            f"<title>{told}</title></line>"
        )
    for node, (x, y) in at.items():
        label = graph.nodes[node].get("label", "")
        if label and label != "C":
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="#ffffff"/>')
            parts.append(_text(x, y + 4, label, anchor="middle"))
        else:
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_INK}"><title>{escape(names[node])}</title></circle>'
            )
        if not label and len(graph) <= _NAMED:
            shown = names[node] if len(names[node]) <= 12 else names[node][:11] + "…"
            parts.append(_text(x + 6, y - 5, shown, size=9))
    return parts


def ticks(low: float, high: float) -> list[float]:
    """A few round numbers from `low` to `high`."""
    span = (high - low) or 1.0
    unit = 10.0 ** np.floor(np.log10(span))
    step = next(unit * share for share in (0.2, 0.5, 1.0, 2.0) if span / (unit * share) <= 6)
    return [float(place * step) for place in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _begin(width: float, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" role="img"><rect width="{width}" height="{height}" fill="#ffffff"/>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{weight}>{escape(text)}</text>'
