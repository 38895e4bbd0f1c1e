"""The archive as a page without outside reference: its cells drawn, each linked to the command that replays it."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Voronoi

SIDE, MARGIN = 560, 56  # pixels of the map, around it
RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Viridis at five places, from the lowest fitness to the highest."""
EMPTY = "#eeeeee"
_STYLE = (
    "body{font:14px sans-serif;margin:2em;max-width:60em}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:right}td:last-child,th:last-child{text-align:left}tr:target{background:#ffe08a}"
    "a:hover polygon,a:focus polygon{stroke:#000;stroke-width:2}code{font-size:12px}"
)


def voronoi_polygons(centroids: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Corners of each centroid's cell within the square from -1 to 1, `[C, 2] -> C x [corners, 2]`.

    Centroids mirrored at the four sides make the sides themselves borders of cells.
    """
    sides = [centroids]
    for axis in (0, 1):
        for side in (-1.0, 1.0):
            mirrored = centroids.copy()
            mirrored[:, axis] = 2.0 * side - mirrored[:, axis]
            sides.append(mirrored)
    cut = Voronoi(np.concatenate(sides))
    found = []
    for index in range(len(centroids)):
        corners = cut.vertices[cut.regions[cut.point_region[index]]]
        turn = np.arctan2(*(corners - centroids[index]).T[::-1])
        found.append(np.clip(corners[np.argsort(turn)], -1.0, 1.0))
    return found


def map_svg(
    centroids: NDArray[np.float64],
    fitness: NDArray[np.float64],
    *,
    names: Sequence[str],
    ends: Sequence[tuple[float, float]],
    labels: Sequence[str],
) -> str:
    """The cells of a two-dimensional archive, coloured by fitness; occupied ones link to `#cell-<number>`.

    Args:
        centroids: `[C, 2]`, from -1 to 1.
        fitness: `[C]`; minus infinity where the cell is empty.
        names: Of both descriptors.
        ends: Of the box in the descriptor's own units, one pair a descriptor.
        labels: What the pointer shows over each cell.
    """
    held = np.isfinite(fitness)
    low, high = (float(fitness[held].min()), float(fitness[held].max())) if held.any() else (0.0, 1.0)
    width, height = SIDE + 2 * MARGIN + 60, SIDE + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12" role="img" aria-label="cells of the archive by fitness">'
    ]
    for index, corners in enumerate(voronoi_polygons(centroids)):
        places = " ".join(f"{_across(x):.1f},{_down(y):.1f}" for x, y in corners)
        colour = _colour((fitness[index] - low) / max(high - low, 1e-12)) if held[index] else EMPTY
        shape = f'<polygon points="{places}" fill="{colour}" stroke="#ffffff" stroke-width="0.5">'
        shape += f"<title>{escape(labels[index])}</title></polygon>"
        parts.append(f'<a href="#cell-{index}">{shape}</a>' if held[index] else shape)
    return "\n".join([*parts, *_axes(names, ends), *_legend(low, high), "</svg>"])


def _across(x: float) -> float:
    return MARGIN + (x + 1.0) / 2.0 * SIDE


def _down(y: float) -> float:
    return MARGIN + (1.0 - y) / 2.0 * SIDE


def _colour(share: float) -> str:
    place = float(np.clip(share, 0.0, 1.0)) * (len(RAMP) - 1)
    first = min(int(place), len(RAMP) - 2)
    mixed = np.asarray(RAMP[first]) + (place - first) * (np.asarray(RAMP[first + 1]) - RAMP[first])
    return "#" + "".join(f"{round(value):02x}" for value in mixed)


def _axes(names: Sequence[str], ends: Sequence[tuple[float, float]]) -> list[str]:
    (left, right), (bottom, top) = ends
    under, middle, beside = MARGIN + SIDE + 18, MARGIN + SIDE / 2, MARGIN - 8
    return [
        f'<text x="{MARGIN}" y="{under}">{left:g}</text>',
        f'<text x="{MARGIN + SIDE}" y="{under}" text-anchor="end">{right:g}</text>',
        f'<text x="{middle}" y="{under}" text-anchor="middle">{escape(names[0])}</text>',
        f'<text x="{beside}" y="{MARGIN + SIDE}" text-anchor="end">{bottom:g}</text>',
        f'<text x="{beside}" y="{MARGIN + 10}" text-anchor="end">{top:g}</text>',
        f'<text x="16" y="{middle}" transform="rotate(-90 16 {middle})" text-anchor="middle">{escape(names[1])}</text>',
    ]


def _legend(low: float, high: float) -> list[str]:
    left, steps = MARGIN + SIDE + 20, 40
    tall = SIDE / steps
    bars = [
        f'<rect x="{left}" y="{MARGIN + index * tall:.1f}" width="16" height="{tall + 0.5:.1f}" '
        f'fill="{_colour(1.0 - index / (steps - 1))}"/>'
        for index in range(steps)
    ]
    words = [(MARGIN + 10, f"{high:.4g}"), (MARGIN + SIDE, f"{low:.4g}"), (MARGIN - 10, "fitness")]
    return [*bars, *(f'<text x="{left + (20 if y >= MARGIN else 0)}" y="{y}">{text}</text>' for y, text in words)]


def page(
    *, title: str, about: str, drawing: str, header: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]
) -> str:
    """A whole HTML page: the drawing, if there is one, and a table whose rows the cells link to.

    Args:
        title: Its heading.
        about: A sentence under it.
        drawing: SVG, or nothing where the descriptor has not two numbers.
        header: Of the table.
        rows: Number of the cell and texts; the last text is a command.
    """
    head = "".join(f"<th>{escape(one)}</th>" for one in header)
    lines = []
    for cell, texts in rows:
        *shown, command = (escape(text) for text in texts)
        inner = "".join(f"<td>{text}</td>" for text in shown)
        lines.append(f'<tr id="cell-{cell}">{inner}<td><code>{command}</code></td></tr>')
    return "\n".join([
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1><p>{escape(about)}</p>", drawing,
        f"<table><thead><tr>{head}</tr></thead><tbody>", *lines, "</tbody></table></body></html>", "",
    ])  # fmt: skip
