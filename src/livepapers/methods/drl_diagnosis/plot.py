"""Heat maps of directions and spectra, and the gradient's length over time, as SVG without outside reference."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SIDE, GAP, ROW = 120, 16, 4  # pixels of a panel, between panels, panels a row
MOST_CELLS = 42  # along a side; finer pictures are pooled by their maxima


def heat_maps_svg(panels: Mapping[str, Tensor], *, title: str) -> str:
    """One panel a picture `[height, width]`, each scaled to its own maximum."""
    rows = -(-len(panels) // ROW)
    width, height = GAP + ROW * (SIDE + GAP), 40 + rows * (SIDE + 2 * GAP + 8)
    parts = _opened(width, height, title)
    for index, (name, picture) in enumerate(panels.items()):
        left, top = GAP + index % ROW * (SIDE + GAP), 40 + index // ROW * (SIDE + 2 * GAP + 8)
        parts.append(f'<text x="{left}" y="{top + SIDE + 14}">{escape(name)}</text>')
        parts += _panel(_pooled(picture), left, top)
    return "\n".join([*parts, "</svg>", ""])


def series_svg(lines: Mapping[str, Sequence[float] | np.ndarray], *, title: str) -> str:
    """|w(s_t)| over the steps of an episode, each line over its own mean."""
    width, height, left, top = 620, 240, 48, 40
    parts = _opened(width, height, title)
    scaled = {name: np.asarray(line) / max(float(np.mean(line)), 1e-300) for name, line in lines.items()}
    highest = max((float(line.max()) for line in scaled.values()), default=1.0) or 1.0
    longest = max((len(line) for line in scaled.values()), default=1)
    for index, (name, line) in enumerate(scaled.items()):
        colour = ("#4477aa", "#ee6677")[index % 2]
        points = " ".join(
            f"{left + step / max(longest - 1, 1) * (width - left - 16):.1f},"
            f"{height - 36 - value / highest * (height - top - 44):.1f}"
            for step, value in enumerate(line)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{left + 8 + 160 * index}" y="{top}" fill="{colour}">{escape(name)}</text>')
    parts.append(f'<text x="4" y="{top + 12}">{highest:.3g}</text><text x="4" y="{height - 36}">0</text>')
    parts.append(f'<text x="{width // 2}" y="{height - 12}" text-anchor="middle">step of the first episode</text>')
    return "\n".join([*parts, "</svg>", ""])


def _opened(width: int, height: int, title: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" role="img">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{GAP}" y="22" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]


def _pooled(picture: Tensor) -> Tensor:
    step = -(-max(picture.shape) // MOST_CELLS)
    if step == 1:
        return picture
    return functional.max_pool2d(picture[None, None], step, ceil_mode=True)[0, 0]


def _panel(picture: Tensor, left: int, top: int) -> list[str]:
    """Cells from white to dark red; a flat observation becomes one row of tall cells."""
    shades = (picture / torch.clamp(picture.max(), min=1e-300)).tolist()
    high, wide = SIDE / len(shades), SIDE / len(shades[0])
    parts = [f'<rect x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" fill="#fffaf5" stroke="#cccccc"/>']
    for row, line in enumerate(shades):
        for column, shade in enumerate(line):
            if shade > 0.02:
                parts.append(
                    f'<rect x="{left + column * wide:.2f}" y="{top + row * high:.2f}" width="{wide:.2f}" '
                    f'height="{high:.2f}" fill="#99000d" fill-opacity="{shade:.2f}"/>'
                )
    return parts
