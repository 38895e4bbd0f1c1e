"""Heat maps of directions and spectra, and the gradient's length over time, as SVG without outside reference."""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import torch
from torch import Tensor

SIDE, GAP, ROW = 120, 16, 4  # pixels of a panel, between panels, panels a row
RED = (0x99, 0x00, 0x0D)


def heat_maps_svg(panels: Mapping[str, Tensor], *, title: str) -> str:
    """One panel a picture `[height, width]`, each scaled to its own maximum."""
    rows = -(-len(panels) // ROW)
    width, height = GAP + ROW * (SIDE + GAP), 40 + rows * (SIDE + 2 * GAP + 8)
    parts = _opened(width, height, title)
    for index, (name, picture) in enumerate(panels.items()):
        left, top = GAP + index % ROW * (SIDE + GAP), 40 + index // ROW * (SIDE + 2 * GAP + 8)
        parts.append(f'<text x="{left}" y="{top + SIDE + 14}">{escape(name)}</text>')
        parts += _panel(picture, left, top)
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


def _panel(picture: Tensor, left: int, top: int) -> list[str]:
    """A picture of its own resolution, from white to dark red; a flat observation becomes one row of tall cells."""
    shades = picture / torch.clamp(picture.max(), min=1e-300)
    place = f'x="{left}" y="{top}" width="{SIDE}" height="{SIDE}"'
    data = base64.b64encode(_png(shades)).decode()
    return [
        f'<rect {place} fill="#fffaf5" stroke="#cccccc"/>',
        f'<image {place} preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{data}"/>',
    ]


def _png(shades: Tensor) -> bytes:
    """Dark red whose opacity is the shade, `[height, width]` from 0 to 1, as a PNG of one pixel a cell."""
    height, width = shades.shape
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[..., :3] = RED
    pixels[..., 3] = (255.0 * shades).round().numpy()
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], 1)  # 0: no filter

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits each of red, green, blue, opacity
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
