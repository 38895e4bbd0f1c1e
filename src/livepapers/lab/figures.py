"""The figures of reports, as SVG text: dots with their interval, learning curves, marks of verdicts.

Hand-made, because a figure then takes the page's colours (light and dark) from its style sheet, needs no font and no
outside request, and is a few kilobytes. Colours are from Okabe and Ito's colour-blind safe palette, darkened or
lightened for contrast; no meaning rests on colour alone: verdicts differ in shape, arms also in dash.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from livepapers.lab.study import NOT_IN_PAPER
from livepapers.lab.words import OUTCOMES, number

QUANTILES = 40  # more units than twice this are drawn as this many quantiles

# (light theme, dark theme) of each verdict
VERDICT_COLOURS: Mapping[str, tuple[str, str]] = {
    "reproduced": ("#00795a", "#35c79b"),
    "direction only": ("#0a66b7", "#6db5f5"),
    "inconclusive": ("#8d6508", "#e2b64d"),
    "contradicted": ("#c03f06", "#ff8c5a"),
    "void": ("#6a7079", "#a0a7b2"),
    "not tested here": ("#6a7079", "#a0a7b2"),
}

# (light theme, dark theme, dash) of arms in their order; optimum and floor have their own
ARM_COLOURS: Sequence[tuple[str, str, str]] = (
    ("#0072b2", "#5cb8f0", ""),
    ("#d55e00", "#ff8c40", ""),
    ("#009e73", "#2fcf9f", ""),
    ("#b3568a", "#e59cc4", ""),
    ("#a87400", "#f0b93a", ""),
    ("#6554c0", "#a99cf5", ""),
    ("#3d8a99", "#7fd4e4", "6 3"),
    ("#8a4b2f", "#d9a184", "6 3"),
    ("#5b6f1f", "#b5cc60", "2 3"),
    ("#7a2f63", "#d987bd", "2 3"),
)

AGAIN = "9 3 2 3"
"""Dash of the arms that have a colour of the ten for the second time."""
ARM_CLASSES = 2 * len(ARM_COLOURS)
"""Arms that no figure confuses."""

_RING = '<circle class="o" cx="9" cy="9" r="7"/>'
_GLYPHS = {
    "reproduced": '<circle class="f" cx="9" cy="9" r="8"/><path class="i" d="M5 9.4l2.8 2.8 5.2-6"/>',
    "direction only": f'{_RING}<path class="s" d="M9 13V5.4M5.8 8.4L9 5.2l3.2 3.2"/>',
    "inconclusive": f'{_RING}<path class="s" d="M5.2 10c1.2-2 2.5-2 3.8-.8s2.6 1.2 3.8-.9"/>',
    "contradicted": (
        '<rect class="f" x="1.5" y="1.5" width="15" height="15" rx="3"/>'
        '<path class="i" d="M5.8 5.8l6.4 6.4m0-6.4l-6.4 6.4"/>'
    ),
    "void": f'{_RING}<path class="s" d="M4.2 13.8l9.6-9.6"/>',
    "not tested here": '<circle class="o d" cx="9" cy="9" r="7"/>',
}


def verdict_class(verdict: str) -> str:
    """The style class of a verdict."""
    return "v" + str(OUTCOMES.index(verdict))  # type: ignore[arg-type]  # raises ValueError for an unknown one


def _svg(kind: str, size: tuple[int, int], label: str, body: str, *, fixed: bool = False) -> Markup:
    """An inline picture; `label` is escaped here, `body` holds numbers and already escaped text only."""
    width, height = size
    measures = f' width="{width}" height="{height}"' if fixed else ""
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}"{measures} role="img" aria-label="{escape(label)}">'
    return Markup(f"{head}{body}</svg>")  # noqa: S704 - this is the one place where figures become markup


def mark(verdict: str) -> Markup:
    """The 18 pixel mark of a verdict; shape and colour both tell it."""
    body = f"<title>{verdict}</title>{_GLYPHS[verdict]}"
    return _svg(f"mark {verdict_class(verdict)}", (18, 18), verdict, body, fixed=True)


def styles(*, dark: bool) -> str:
    """The colour variables of verdicts and arms for one theme, as CSS declarations."""
    theme = 1 if dark else 0
    lines = [f"--{verdict_class(name)}:{colours[theme]}" for name, colours in VERDICT_COLOURS.items()]
    lines += [f"--a{index}:{colours[theme]}" for index, colours in enumerate(ARM_COLOURS)]
    return ";".join(lines)


def arm_styles() -> str:
    """Rules that give the class `a3` its colour and dash, in plots and in their legends."""
    rules = []
    for index in range(ARM_CLASSES):
        colour = index % len(ARM_COLOURS)
        dash = ARM_COLOURS[colour][2] if index == colour else AGAIN
        rules.append(f".a{index}{{--c:var(--a{colour})" + (f";--dash:{dash}" if dash else "") + "}")
        if dash:
            rules.append(f".swatch.a{index}{{border-top-style:dashed}}")
    return "".join(rules) + ".optimum{--c:var(--ink);--dash:7 3}.floor{--c:var(--soft);--dash:2 3}"


def verdict_styles() -> str:
    """Rules that give the class `v0` its colour."""
    return "".join(f".{verdict_class(name)}{{--c:var(--{verdict_class(name)})}}" for name in OUTCOMES)


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map from values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high = self._of(self.low), self._of(self.high)
        return self.start + (self._of(value) - low) / (high - low) * (self.end - self.start)

    def _of(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self, about: int) -> list[float]:
        """Round values inside the scale, roughly `about` of them."""
        return _log_ticks(self.low, self.high, about) if self.log else _ticks(self.low, self.high, about)


def _ticks(low: float, high: float, about: int) -> list[float]:
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [0.0 if abs(k * step) < step * 1e-9 else k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, about: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits if low <= digit * 10.0**decade <= high]
        if len(ticks) >= min(about, 3):
            break
    stride = max(1, round(len(ticks) / max(about, 1)))
    return ticks[::stride]


def short(value: float) -> str:
    """An axis label: as short as exact allows, thousands as k, millions as M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * (10 if size == 1e3 else 1):
            return f"{value / size:.6g}{suffix}"
    return f"{value:.6g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def thinned(values: Sequence[float]) -> list[float]:
    """All values, sorted; of very many, evenly spaced quantiles."""
    ordered = sorted(values)
    if len(ordered) <= 2 * QUANTILES:
        return ordered
    return [ordered[int((k + 0.5) / QUANTILES * len(ordered))] for k in range(QUANTILES)]


def _swarm(pixels: Sequence[float], radius: float, room: float) -> list[tuple[float, float]]:
    """Positions (x, dy) of dots so that neighbours do not hide each other: stacked away from the middle line."""
    placed: list[tuple[float, float]] = []
    offsets = [0.0] + [sign * k * radius * 1.5 for k in range(1, int(room / (radius * 1.5)) + 1) for sign in (1, -1)]
    for x in sorted(pixels):
        near = [(a, b) for a, b in placed[-3 * len(offsets) :] if abs(a - x) < 1.7 * radius]
        free = (dy for dy in offsets if all(math.hypot(a - x, b - dy) >= 1.7 * radius for a, b in near))
        placed.append((x, next(free, offsets[len(placed) % len(offsets)])))
    return placed


def _dots(pixels: Sequence[float], y: float, radius: float, room: float) -> str:
    spots = _swarm(pixels, radius, room)
    return "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y + dy:.1f}" r="{radius}"/>' for x, dy in spots)


def _interval(interval: Sequence[float] | None, centre: float, scale: Scale, y: float) -> str:
    """The bar of an interval with the mean on it; an end beyond the frame becomes an arrow."""
    parts = []
    if interval is not None:
        left, right = (min(max(scale(value), scale.start), scale.end) for value in interval)
        parts.append(f'<line class="bar" x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}"/>')
        for value, x, way in ((interval[0], left, -1), (interval[1], right, 1)):
            if scale(value) < scale.start - 0.5 or scale(value) > scale.end + 0.5:
                parts.append(f'<path class="tip" d="M{x - 5 * way:.1f} {y - 4}l{5 * way} 4l{-5 * way} 4z"/>')
    x = scale(centre)
    parts.append(f'<path class="mean" d="M{x:.1f} {y - 5.5}l4.5 5.5l-4.5 5.5l-4.5-5.5z"/>')
    return "".join(parts)


def _frame(values: Sequence[float], intervals: Sequence[Sequence[float] | None], start: float, end: float) -> Scale:
    """A linear scale that holds all values, and intervals as far as one more span on either side."""
    low, high = min(values), max(values)
    span = (high - low) or abs(high) * 0.1 or 1.0
    wide_low = min([low] + [max(interval[0], low - span) for interval in intervals if interval])
    wide_high = max([high] + [min(interval[1], high + span) for interval in intervals if interval])
    pad = 0.06 * ((wide_high - wide_low) or span)
    return Scale(wide_low - pad, wide_high + pad, start, end)


def effect_plot(verdict: Mapping[str, Any]) -> Markup:
    """One claim: every unit's effect as a dot, mean and interval, the reference line and the claimed side shaded.

    Args:
        verdict: An entry of `evidence["verdicts"]`; without effects the answer is empty.
    """
    dots, centre = [float(value) for value in verdict["dots"]], verdict["effect"]
    if not dots or centre is None:
        return Markup("")
    reference, width = verdict["reference"], 260
    edges = _edges(verdict)
    scale = _frame([*dots, centre, *edges], [verdict["interval"]], 8, width - 8)
    parts = _claimed(verdict["direction"], edges, scale)
    parts.append(f'<line class="axis" x1="{scale.start}" x2="{scale.end}" y1="48.5" y2="48.5"/>')
    for tick in scale.ticks(4):
        x = scale(tick)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="48.5" y2="52"/>')
        anchor = "start" if x < 20 else "end" if x > width - 20 else "middle"
        parts.append(f'<text x="{x:.1f}" y="63" text-anchor="{anchor}">{short(tick)}</text>')
    x = scale(reference)
    parts.append(f'<line class="reference" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="48"/>')
    parts.append(_dots([scale(value) for value in dots], 18, 3.1, 13))
    parts.append(_interval(verdict["interval"], centre, scale, 40))
    label = f"{verdict['n']} effects, mean {number(centre)}, reference {number(reference)}"
    kind = f"effects {verdict_class(verdict['verdict'])}"
    return _svg(kind, (width, 66), label, "".join(parts), fixed=True)


def _edges(verdict: Mapping[str, Any]) -> list[float]:
    """Where the claimed region begins: for "equal" both ends, else the reference and, if there is one, the margin."""
    reference, margin = verdict["reference"], verdict["margin"]
    if verdict["direction"] == "equal":
        return [reference - margin, reference + margin]
    return [reference, reference + math.copysign(margin, 1 if verdict["direction"] == "greater" else -1)]


def _claimed(direction: str, edges: Sequence[float], scale: Scale) -> list[str]:
    """Shades of the claimed region; the part beyond the margin is darker because it is shaded twice."""
    if direction == "equal":
        spans = [(scale(edges[0]), scale(edges[1]))]
    elif direction == "greater":
        spans = [(scale(edge), scale.end) for edge in dict.fromkeys(edges)]
    else:
        spans = [(scale.start, scale(edge)) for edge in dict.fromkeys(edges)]
    return [
        f'<rect class="claimed" x="{left:.1f}" width="{max(right - left, 1.0):.1f}" y="2" height="46"/>'
        for left, right in spans
    ]


@dataclass(frozen=True)
class Row:
    """One arm in a forest of dots."""

    label: str
    style: str  # the arm's class
    values: Sequence[float]
    mean: float
    interval: Sequence[float] | None


def forest(rows: Sequence[Row]) -> tuple[list[Markup], list[tuple[str, float]]]:
    """One row of dots with mean and interval for each arm, all on one scale; and its ticks, (label, place in %).

    The rows carry no text, so that they may shrink on a telephone while the labels, in HTML, do not.
    """
    width = 220
    scale = _forest_scale(rows, width)
    ticks = scale.ticks(3) if len(scale.ticks(3)) > 1 else scale.ticks(5)
    grid = "".join(f'<line class="grid" x1="{scale(t):.1f}" x2="{scale(t):.1f}" y1="0" y2="27"/>' for t in ticks)
    pictures = []
    for row in rows:
        label = f"{row.label}: mean {number(row.mean)}"
        body = grid + _beyond(row, scale)
        if scale.low <= row.mean <= scale.high:
            body += _dots([scale(value) for value in thinned(row.values)], 10, 2.5, 7)
            body += _interval(row.interval, row.mean, scale, 21)
        pictures.append(_svg(f"row {row.style}", (width, 27), label, body))
    return pictures, [(short(tick), 100 * scale(tick) / width) for tick in ticks]


def _forest_scale(rows: Sequence[Row], width: int) -> Scale:
    """The scale of a forest; a floor that would more than double it is left outside, and `_beyond` points to it."""
    inner = [row for row in rows if row.style != "floor"]
    wide = _frame([v for row in rows for v in (*row.values, row.mean)], [row.interval for row in rows], 7, width - 7)
    if not inner:
        return wide
    close = _frame([v for row in inner for v in (*row.values, row.mean)], [row.interval for row in inner], 7, width - 7)
    return close if len(inner) > 1 and wide.high - wide.low > 2 * (close.high - close.low) else wide


def _beyond(row: Row, scale: Scale) -> str:
    """An arrow at the edge towards a mean that lies outside the scale."""
    if row.mean > scale.high:
        return f'<path class="tip" d="M{scale.end - 7:.1f} 9l7 4.5l-7 4.5z"/>'
    return f'<path class="tip" d="M{scale.start + 7:.1f} 9l-7 4.5l7 4.5z"/>' if row.mean < scale.low else ""


def curves(
    lines: Sequence[Mapping[str, Any]], styles_of: Mapping[str, str], *, title: str, axis: str, linear: bool = False
) -> Markup:
    """Learning curves of the arms of a setting: mean over seeds, band from the least to the largest seed.

    The value axis is logarithmic when all values are positive and span more than a factor of 50.

    Args:
        lines: Entries of `evidence["curves"][i]["arms"]`: arm, steps, mean, low, high.
        styles_of: The class of each arm.
        title: What the picture shows, for screen readers.
        axis: What the steps are.
        linear: Never logarithmic: sweeps stand side by side, and are compared as such.
    """
    width, height, left, right, top, bottom = 420, 254, 50, 8, 8, 40
    values = sorted(value for line in lines for key in ("low", "high") for value in line[key])
    steps = [step for line in lines for step in line["steps"]]
    if not values:
        return Markup("")
    low, high = values[0], values[-1]
    log = not linear and low > 0 and high / low > 50
    pad = 0.0 if log else 0.04 * ((high - low) or abs(high) or 1.0)
    factor = 1.12 if log else 1.0
    y = Scale(low / factor - pad, high * factor + pad, height - bottom, top, log)
    last = max(steps)
    x = Scale(min(0, *steps) if len(steps) > 1 else 0, last if last > min(0, *steps, 0) else 1, left, width - right)
    parts = []
    for tick in y.ticks(4):
        row = y(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{row:.1f}" y2="{row:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{row + 3.5:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in x.ticks(5):
        anchor = "end" if x(tick) > width - right - 12 else "middle"
        parts.append(f'<text x="{x(tick):.1f}" y="{height - 22}" text-anchor="{anchor}">{short(tick)}</text>')
    middle = (left + width - right) / 2
    parts.append(f'<text x="{middle:.1f}" y="{height - 6}" text-anchor="middle">{escape(axis)}</text>')
    parts.append(f'<line class="axis" x1="{left}" x2="{width - right}" y1="{height - bottom}" y2="{height - bottom}"/>')
    parts.extend(_band(line, styles_of[line["arm"]], x, y) for line in lines)
    parts.extend(_line(line, styles_of[line["arm"]], x, y) for line in reversed(lines))  # the first arm lies on top
    return _svg("curves", (width, height), title, "".join(parts))


def curve_figure(curve: Mapping[str, Any], styles_of: Mapping[str, str]) -> Markup:
    """An entry of `evidence["curves"]` as `curves` draws it."""
    title = f"{curve['setting']}: {curve['about']}, by {curve['axis']}"
    return curves(curve["arms"], styles_of, title=title, axis=curve["axis"], linear=curve.get("linear", False))


def _band(line: Mapping[str, Any], style: str, x: Scale, y: Scale) -> str:
    if line["n"] < 2 or len(line["steps"]) < 2:
        return ""
    upper = [f"{x(step):.1f} {y(value):.1f}" for step, value in zip(line["steps"], line["high"], strict=True)]
    lower = [f"{x(step):.1f} {y(value):.1f}" for step, value in zip(line["steps"], line["low"], strict=True)]
    return f'<path class="band {style}" d="M{"L".join([*upper, *reversed(lower)])}Z"/>'


def _line(line: Mapping[str, Any], style: str, x: Scale, y: Scale) -> str:
    points = [f"{x(step):.1f} {y(value):.1f}" for step, value in zip(line["steps"], line["mean"], strict=True)]
    if len(points) == 1:
        a, b = points[0].split()
        return f'<circle class="dot {style}" cx="{a}" cy="{b}" r="3"/>'
    return f'<path class="line {style}" d="M{"L".join(points)}"/>'


def verdict_figure(papers: Sequence[Mapping[str, Any]]) -> str:
    """A strip of verdict marks a paper, as a standalone SVG file for a README; it follows the reader's theme.

    Args:
        papers: Contents of results files: each with `slug` and `current`.
    """
    step, left, top, line = 26, 250, 14, 40
    most = max((len(paper["current"]["verdicts"]) for paper in papers), default=0)
    seen = [name for name in OUTCOMES if any(v["verdict"] == name for p in papers for v in p["current"]["verdicts"])]
    columns = [20 + 150 * (index % 4) for index in range(len(seen))]
    width = max(left + most * step + 20, 640)
    rows_end = top + line * len(papers)
    height = rows_end + 16 + 26 * -(-len(seen) // 4)
    parts = []
    for index, paper in enumerate(papers):
        y = top + index * line
        current = paper["current"]
        claimed = [v for v in current["verdicts"] if v["published"] != NOT_IN_PAPER]
        done = sum(v["verdict"] == "reproduced" for v in claimed)
        parts.append(f'<text class="name" x="20" y="{y + 15}">{escape(paper["slug"])}</text>')
        count = f"{done} of {len(claimed)} claims reproduced"
        parts.append(f'<text class="note" x="20" y="{y + 30}">{count}</text>')
        for place, verdict in enumerate(current["verdicts"]):
            at = f"translate({left + place * step} {y + 2})"
            title = escape(f"{verdict['id']}: {verdict['verdict']}. {verdict['statement']}")
            kind = verdict_class(verdict["verdict"])
            parts.append(f'<g class="{kind}" transform="{at}"><title>{title}</title>{_GLYPHS[verdict["verdict"]]}</g>')
            parts.append(
                f'<text class="tiny" x="{left + place * step + 9}" y="{y + 32}">{escape(verdict["id"])}</text>'
            )
    for index, name in enumerate(seen):
        y = rows_end + 14 + 26 * (index // 4)
        parts.append(
            f'<g class="{verdict_class(name)}" transform="translate({columns[index]} {y})">{_GLYPHS[name]}</g>'
        )
        parts.append(f'<text class="note" x="{columns[index] + 25}" y="{y + 13}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Verdicts on the claims of each measured paper"><style>{_standalone_styles()}</style>'
        f"{''.join(parts)}</svg>\n"
    )


def _standalone_styles() -> str:
    return (
        f"svg{{--ink:#1b1f24;--soft:#5b636d;--paper:#fff;{styles(dark=False)};"
        "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
        f"@media(prefers-color-scheme:dark){{svg{{--ink:#e8eaed;--soft:#a3abb5;--paper:#0d1117;{styles(dark=True)}}}}}"
        f"{verdict_styles()}{MARK_STYLES}"
        ".name{font-size:15px;font-weight:600;fill:var(--ink)}.note{font-size:12.5px;fill:var(--soft)}"
        ".tiny{font-size:9.5px;fill:var(--soft);text-anchor:middle}"
    )


MARK_STYLES = (
    ".f{fill:var(--c)}.i{fill:none;stroke:var(--paper);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}"
    ".o{fill:none;stroke:var(--c);stroke-width:1.8}.d{stroke-dasharray:2.6 2.8}"
    ".s{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}"
)

PLOT_STYLES = (
    ".effects,.curves,.row{display:block;overflow:visible}"
    ".effects text,.curves text{font-size:11px;fill:var(--soft);font-family:inherit;font-variant-numeric:tabular-nums}"
    ".axis{stroke:var(--soft);stroke-width:1;opacity:.6}"
    ".grid{stroke:var(--line);stroke-width:1}"
    ".reference{stroke:var(--ink);stroke-width:1.4;stroke-dasharray:4 3}"
    ".claimed{fill:var(--c,var(--ink));opacity:.09}"
    ".dot{fill:var(--c);opacity:.55}"
    ".bar{stroke:var(--ink);stroke-width:2.2;stroke-linecap:round}"
    ".tip,.mean{fill:var(--ink)}"
    ".mean{stroke:var(--card);stroke-width:1.2}"
    ".line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-dasharray:var(--dash,none)}"
    ".band{fill:var(--c);opacity:.14}"
    ".curves,.row{width:100%;height:auto}"
)
"""Rules of what plots are drawn with, in the colours of whatever page holds them."""
