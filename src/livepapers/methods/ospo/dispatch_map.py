"""A minute of dispatching as a map: zones, vehicles, open orders, and who was sent where."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, MARGIN, HEAD = 560, 24, 66  # pixels
TALLEST = 1100
MOST_CORNERS = 60  # of a zone's outline
VEHICLE, BUSY, ORDER, SENT, RIDE = (
    "#4477aa",
    "#bbbbbb",
    "#ee6677",
    "#228833",
    "#ccbb44",
)  # after Paul Tol's bright scheme

Point = tuple[float, float]


@dataclass(frozen=True)
class Sent:
    """One assignment: a vehicle, its new passenger, and what the pick-up takes."""

    vehicle: Point
    pickup: Point
    drop_off: Point
    label: str


@dataclass(frozen=True)
class Minute:
    """What the map shows; points in kilometres along the streets."""

    title: str
    zones: Sequence[tuple[str, Point]]
    outlines: Sequence[Sequence[Point]]  # empty where none are known
    free: Sequence[Point]  # vehicles that took nothing
    busy: Sequence[Point]
    waiting: Sequence[Point]  # pick-ups of orders that nobody took
    sent: Sequence[Sent]


def dispatch_map(minute: Minute) -> str:
    """The map as one SVG document, without any outside reference."""
    place, height = _projection(minute)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="11" role="img">',
        f"<title>{escape(minute.title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="20" font-size="13" font-weight="bold">{escape(minute.title)}</text>',
        *_legend(minute),
    ]
    for outline in minute.outlines:
        corners = outline[:: max(1, len(outline) // MOST_CORNERS)]
        points = " ".join("{:.1f},{:.1f}".format(*place(corner)) for corner in corners)
        parts.append(f'<polygon points="{points}" fill="#f4f4f4" stroke="#cccccc" stroke-width="0.6"/>')
    for name, point in minute.zones:
        x, y = place(point)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.2" fill="#999999"><title>{escape(name)}</title></circle>')
    parts += [_dot(place(point), 2.2, BUSY, filled=True) for point in minute.busy]
    parts += [_dot(place(point), 2.6, VEHICLE, filled=False) for point in minute.free]
    for one in minute.sent:
        (x, y), (u, v), (s, t) = (place(point) for point in (one.vehicle, one.pickup, one.drop_off))
        parts += [
            f'<line x1="{u:.1f}" y1="{v:.1f}" x2="{s:.1f}" y2="{t:.1f}" stroke="{RIDE}" stroke-width="0.8" '
            'stroke-dasharray="3 3"/>',
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}" stroke="{SENT}" stroke-width="1.8">'
            f"<title>{escape(one.label)}</title></line>",
            _dot((x, y), 2.6, VEHICLE, filled=True), _cross((u, v), SENT),
        ]  # fmt: skip
    parts += [_cross(place(point), ORDER) for point in minute.waiting]
    return "\n".join([*parts, "</svg>", ""])


def _projection(minute: Minute) -> tuple[Callable[[Point], Point], int]:
    """Where a point stands on the picture, and how tall that is."""
    every = [point for _, point in minute.zones]
    every += [corner for outline in minute.outlines for corner in outline]
    every += [*minute.free, *minute.busy, *(one.vehicle for one in minute.sent)]
    west, south = (min(point[axis] for point in every) for axis in (0, 1))
    east, north = (max(point[axis] for point in every) for axis in (0, 1))
    wide, tall = max(east - west, 1e-6), max(north - south, 1e-6)
    scale = min((WIDTH - 2 * MARGIN) / wide, (TALLEST - HEAD - MARGIN) / tall)
    left = (WIDTH - scale * wide) / 2.0

    def place(point: Point) -> Point:
        return left + scale * (point[0] - west), HEAD + scale * (north - point[1])

    return place, round(HEAD + scale * tall + MARGIN)


def _legend(minute: Minute) -> list[str]:
    entries = (
        (_dot((0, 0), 2.6, VEHICLE, filled=True), f"sent ({len(minute.sent)})"),
        (_dot((0, 0), 2.6, VEHICLE, filled=False), f"free ({len(minute.free)})"),
        (_dot((0, 0), 2.2, BUSY, filled=True), f"busy ({len(minute.busy)})"),
        (_cross((0, 0), SENT), "picked up"),
        (_cross((0, 0), ORDER), f"waiting ({len(minute.waiting)})"),
        (f'<line x1="-6" y1="0" x2="6" y2="0" stroke="{RIDE}" stroke-dasharray="3 3"/>', "ride"),
    )
    step = (WIDTH - 2 * MARGIN) / len(entries)
    return [
        f'<g transform="translate({MARGIN + 6 + index * step:.1f} 42)">{mark}<text x="10" y="4">{label}</text></g>'
        for index, (mark, label) in enumerate(entries)
    ]


def _dot(point: Point, radius: float, colour: str, *, filled: bool) -> str:
    inside = colour if filled else "none"
    return f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="{radius}" fill="{inside}" stroke="{colour}"/>'


def _cross(point: Point, colour: str) -> str:
    x, y = point
    path = f"M{x - 3:.1f} {y - 3:.1f}L{x + 3:.1f} {y + 3:.1f}M{x - 3:.1f} {y + 3:.1f}L{x + 3:.1f} {y - 3:.1f}"
    return f'<path d="{path}" stroke="{colour}" stroke-width="1.6"/>'
