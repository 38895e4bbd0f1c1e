"""Pictures of a debate as SVG without outside reference: ties of groups, the network of actors, windows in a row."""

from collections.abc import Mapping, Sequence
from html import escape

import networkx as nx
import numpy as np
from scipy import sparse

from livepapers.methods.debatenet.analyses import GroupTies
from livepapers.methods.debatenet.networks import OneMode
from livepapers.tasks.statements import NO_GROUP

MOST_NODES, MOST_LABELS, MOST_GROUPS = 70, 28, 24
MOST_LINES = 350  # of ties, the heaviest
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c8c00")
UNKNOWN = "#b8b8b8"
AGREE, CLASH = "#1b8a5a", "#c8382b"
_NODES = 640  # pixels of the network's square


def group_matrix_svg(ties: GroupTies, *, title: str) -> str:
    """A heat map of mean ties between groups: green agreement, red conflict, the figure in each cell."""
    shown = _largest_groups(ties)
    names = [ties.groups[index] for index in shown]
    values = ties.mean[np.ix_(shown, shown)]
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    side, left, top = 54, 20 + _text_width(names), 54 + _text_width(names)
    width = left + side * len(names) + 24
    parts = _opening(max(width, 420), top + side * len(names) + 40, title)
    places = max(2, 2 - int(np.floor(np.log10(largest))))
    for row, name in enumerate(names):
        x, y = left + side * row + side / 2, top + side * row + side / 2
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{escape(_short(name))}</text>')
        turned = f'transform="translate({x + 4:.0f},{top - 6}) rotate(-90)"'
        parts.append(f"<text {turned}>{escape(_short(name))}</text>")
        cells = enumerate(values[row].tolist())
        parts += [_cell(left + side * at, top + side * row, side, value, largest, places) for at, value in cells]
    note = "mean tie over pairs of actors; empty: no such pair"
    parts.append(f'<text x="12" y="{top + side * len(names) + 24}" fill="#555555">{note}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _cell(x: float, y: float, side: int, value: float, largest: float, places: int) -> str:
    if np.isnan(value):
        return f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="#f4f4f4" stroke="#ffffff"/>'
    share = min(1.0, abs(value) / largest)
    ink, figure = "#ffffff" if share > 0.65 else "#222222", f"{value:.{min(places, 4)}f}"
    return (
        f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{AGREE if value > 0 else CLASH}" '
        f'fill-opacity="{share:.3f}" stroke="#dddddd"/>'
        f'<text x="{x + side / 2}" y="{y + side / 2 + 4}" text-anchor="middle" fill="{ink}">{figure}</text>'
    )


def network_svg(network: OneMode, *, title: str, seed: int) -> str:
    """The nodes with most ties, coloured by group; agreement is drawn through, conflict dashed.

    The layout is a spring model of the agreeing ties, from a seeded start.
    """
    strongest = np.lexsort((np.arange(len(network.nodes)), -network.degree))[:MOST_NODES]
    shown = network.select(np.sort(strongest)).filtered(isolates=False)
    groups = _legend(shown)
    parts = _opening(_NODES + 190, _NODES + 60, title)
    if not shown.nodes:
        return "\n".join([*parts, '<text x="12" y="60">no ties</text>', "</svg>", ""])
    place = _layout(shown, seed=seed)
    parts += _ties(shown, place)
    label = set(np.lexsort((np.arange(len(shown.nodes)), -shown.degree))[:MOST_LABELS].tolist())
    largest = max(1, int(shown.degree.max()))
    for index, (name, group) in enumerate(zip(shown.nodes, shown.groups, strict=True)):
        x, y = place[index]
        radius = 4 + 6 * np.sqrt(shown.degree[index] / largest)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{groups.get(group, UNKNOWN)}" '
            f'stroke="#ffffff"><title>{escape(name)}{escape(f" ({group})" if group else "")}</title></circle>'
        )
    parts += _labels([(place[index], shown.nodes[index]) for index in sorted(label)])
    parts += _legend_svg(groups, hidden=len(network.nodes) - len(shown.nodes))
    return "\n".join([*parts, "</svg>", ""])


def windows_svg(rows: Sequence[Mapping[str, float | str | None]], *, title: str) -> str:
    """Polarisation of each window as a bar, and the mean of its permuted debates as a line across."""
    height, left, top, base = 300, 60, 50, 210
    step = max(16, min(64, 760 // max(len(rows), 1)))
    values = [(float(r["polarisation"] or 0), float(r["permuted"] or 0), str(r["window"])) for r in rows]
    highest = max([0.1, *(max(q, null) for q, null, _ in values)])
    parts = _opening(max(420, left + step * len(rows) + 30), height + 40, title)
    for share in (0.0, 0.5, 1.0):
        y = base - share * (base - top)
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + step * len(rows)}" y2="{y}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{share * highest:.2f}</text>')
    skip = -(-18 // step)  # labels are not drawn over each other
    for index, (q, null, name) in enumerate(values):
        x, up = left + step * index, (base - top) / highest
        parts.append(
            f'<rect x="{x + 3}" y="{base - q * up:.1f}" width="{step - 6}" height="{q * up:.1f}" fill="#0072b2">'
            f"<title>{escape(name)}: {q:.3f}, permuted {null:.3f}</title></rect>"
            f'<line x1="{x + 1}" y1="{base - null * up:.1f}" x2="{x + step - 1}" y2="{base - null * up:.1f}" '
            'stroke="#d55e00" stroke-width="2.5"/>'
        )
        if index % skip == 0:
            turned = f'transform="translate({x + step / 2 + 4:.0f},{base + 10}) rotate(90)"'
            parts.append(f"<text {turned}>{escape(name.partition('..')[0])}</text>")
    parts.append(
        f'<text x="12" y="{height + 24}" fill="#555555">bars: polarisation; lines: mean of permuted debates</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _opening(width: float, height: float, title: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" font-size="11" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" role="img">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]


def _largest_groups(ties: GroupTies) -> list[int]:
    order = np.lexsort((np.arange(len(ties.groups)), -ties.members))[:MOST_GROUPS]
    return [int(index) for index in order]


def _short(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"


def _text_width(names: Sequence[str]) -> int:
    return 10 + 7 * max((len(_short(name)) for name in names), default=0)


def _legend(network: OneMode) -> dict[str, str]:
    """The largest groups and their colours."""
    sizes = {name: network.groups.count(name) for name in set(network.groups) - {NO_GROUP}}
    order = sorted(sizes, key=lambda name: (-sizes[name], name))[: len(COLOURS)]
    return dict(zip(order, COLOURS, strict=False))


def _layout(network: OneMode, *, seed: int) -> np.ndarray:
    """`[nodes, 2]` pixels."""
    attracting = sparse.csr_array(network.matrix.maximum(0))
    scale = float(attracting.max()) if attracting.nnz else 1.0
    graph = nx.from_scipy_sparse_array(attracting / max(scale, 1e-300))
    spread = 2.2 / np.sqrt(len(network.nodes))
    found = nx.spring_layout(graph, k=spread, seed=seed, iterations=120)
    place = np.array([found[index] for index in range(len(network.nodes))])
    place -= place.min(axis=0)
    place /= np.maximum(place.max(axis=0), 1e-9)
    return 40 + place * (_NODES - 80) + np.array([0, 40])


def _ties(network: OneMode, place: np.ndarray) -> list[str]:
    upper = sparse.triu(network.matrix, k=1).tocoo()
    heaviest = np.lexsort((upper.col, upper.row, -np.abs(upper.data)))[:MOST_LINES][::-1]
    largest = float(np.abs(upper.data).max(initial=0.0)) or 1.0
    parts = []
    for index in heaviest.tolist():
        (x1, y1), (x2, y2), value = place[upper.row[index]], place[upper.col[index]], float(upper.data[index])
        share = abs(value) / largest
        look = f'stroke="{AGREE}"' if value > 0 else f'stroke="{CLASH}" stroke-dasharray="4 3"'
        parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {look} '
            f'stroke-width="{0.5 + 2 * share:.2f}" stroke-opacity="{0.15 + 0.55 * share:.2f}"/>'
        )
    return parts


def _labels(named: Sequence[tuple[np.ndarray, str]]) -> list[str]:
    """Names above their nodes, left out where they would lie on another one."""
    boxes: list[tuple[float, float, float]] = []
    parts = []
    for (x, y), name in named:
        half = 3.2 * len(_short(name))
        if any(abs(y - other) < 12 and abs(x - at) < half + wide for at, other, wide in boxes):
            continue
        boxes.append((x, y, half))
        parts.append(
            f'<text x="{x:.1f}" y="{y - 12:.1f}" text-anchor="middle" stroke="#ffffff" stroke-width="3" '
            f'paint-order="stroke">{escape(_short(name))}</text>'
        )
    return parts


def _legend_svg(groups: Mapping[str, str], *, hidden: int) -> list[str]:
    left, parts = _NODES + 10, []
    for index, (name, colour) in enumerate([*groups.items(), ("other or unknown", UNKNOWN)]):
        y = 64 + 18 * index
        parts.append(f'<circle cx="{left}" cy="{y - 4}" r="6" fill="{colour}"/>')
        parts.append(f'<text x="{left + 12}" y="{y}">{escape(_short(name))}</text>')
    for index, (name, look) in enumerate(((("agreement"), AGREE), ("conflict", f'{CLASH}" stroke-dasharray="4 3'))):
        y = 64 + 18 * (len(groups) + 2 + index)
        parts.append(
            f'<line x1="{left - 6}" y1="{y - 4}" x2="{left + 8}" y2="{y - 4}" stroke="{look}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{left + 12}" y="{y}">{name}</text>')
    if hidden:
        parts.append(
            f'<text x="12" y="{_NODES + 46}" fill="#555555">{hidden} nodes with fewer or no ties are not drawn</text>'
        )
    return parts
