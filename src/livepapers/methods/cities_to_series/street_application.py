"""A planner's streets and facilities: who is badly served, where facilities should move, which streets matter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from livepapers.core.application import Row
from livepapers.core.errors import InputError
from livepapers.methods.cities_to_series.dual import DualStreets, dual_streets
from livepapers.methods.cities_to_series.inconsistencies import Which
from livepapers.methods.cities_to_series.influence import betweenness, influential, removal_impact
from livepapers.methods.cities_to_series.pictures import map_svg
from livepapers.methods.cities_to_series.relocation import Relocation, relocate
from livepapers.tasks.street_files import read_places, read_streets
from livepapers.tasks.street_graph import StreetGraph

CORNERS, FACILITIES, MOVES = "Inconsistent corners", "Facilities", "Moves in order"
STREETS, INFLUENCE, SUMMARY = "Longest continuous streets", "Influential corners", "Before and after"
SHOWN = 20  # rows of long tables on the terminal; files hold all
MOST_CLOSED_IN = 3000  # corners up to which closing each in turn takes seconds to minutes
FAR = 0.05  # of the map's width: a facility farther from its corner is said; beyond the whole width it is refused


@dataclass(frozen=True)
class Asked:
    """What the user gave."""

    streets: Path
    facilities: Path
    junctions: Path | None
    layer: str
    crossings: bool
    direction: Which
    min_angle: float


@dataclass(frozen=True, eq=False)
class Answer:
    """Headline, tables and notes as `Application` has them, and the files' contents."""

    headline: str
    tables: Mapping[str, Sequence[Row]]
    notes: tuple[str, ...]
    files: Mapping[str, tuple[str, str | Sequence[Row]]]  # name -> (what it holds, text or rows)


def answer(asked: Asked) -> Answer:
    """Read, judge, relocate, grow streets, rank corners, draw; raises `InputError` for anything unusable."""
    whole = read_streets(
        asked.streets, option="--streets", junctions=asked.junctions, layer=asked.layer, split=asked.crossings
    )
    if not whole.segments:
        raise InputError.of(f"--streets {asked.streets.name}", "no segment", expected="at least one")
    graph = whole.largest_component()
    notes = _of_parts(whole, graph, asked)
    nodes, said = _facilities(graph, asked)
    notes += said
    moved = relocate(graph, nodes, which=asked.direction)
    before, after = moved.before, moved.after
    dual = dual_streets(graph, min_angle=asked.min_angle, by_class=any(graph.classes))
    ranks, more = _ranks(graph, before.facilities, asked)
    notes += more
    lost = int((~before.reachable).sum())
    if lost:
        notes.append(f"{lost} corners have no way to (or from) any facility: one-way streets; they are not counted.")
    summary = _summary(moved, dual)
    headline = (
        f"{int(before.inconsistent.sum())} of {graph.nodes} corners ({100 * before.share:.1f} %) are nearer by road to "
        f"another facility than the one nearest in a straight line; moving {moved.moved} of "
        f"{len(before.facilities)} facilities would leave {int(after.inconsistent.sum())}"
    )
    streets, corners = dual.rows(graph.unit), before.frame()
    tables: dict[str, Sequence[Row]] = {SUMMARY: summary, FACILITIES: before.by_facility()}
    tables |= {title: rows[:SHOWN] for title, rows in ((MOVES, moved.steps()), (CORNERS, corners)) if rows}
    tables |= {STREETS: streets[:SHOWN], INFLUENCE: ranks[:SHOWN]}
    files: dict[str, tuple[str, str | Sequence[Row]]] = {
        "facilities.csv": ("each facility's perimeter, who of it is badly served, and why", tables[FACILITIES]),
        "streets.csv": ("all continuous streets, the longest first", streets),
        "influence.csv": ("how much each corner matters", ranks),
        "map.svg": ("streets, badly served corners, facilities and where they should move",
                    map_svg(before, after, title=f"{asked.streets.stem}: facilities by road and in a straight line")),
    }  # fmt: skip
    if corners:
        files["corners.csv"] = ("the inconsistent corners, the worst first", corners)
    if moved.moves:
        files["relocation.csv"] = ("moves in order, with what is left after each", moved.steps())
    return Answer(headline, tables, tuple(notes), files)


def _of_parts(whole: StreetGraph, graph: StreetGraph, asked: Asked) -> list[str]:
    lost = whole.nodes - graph.nodes
    if not lost:
        return []
    told = f"{lost} of {whole.nodes} corners are not joined to the largest part of the network and were left out"
    crossing = asked.streets.suffix.lower() not in {".csv", ".graphml"} and not asked.crossings
    return [f"{told}; are the lines cut at crossings? if not, add --crossings." if crossing else f"{told}."]


def _facilities(graph: StreetGraph, asked: Asked) -> tuple[np.ndarray, list[str]]:
    """The corners of the facilities, and what the user should know about how they were found."""
    places, names = read_places(asked.facilities, graph, option="--facilities")
    nodes, far = graph.snap(places[:, 0], places[:, 1])
    ends = ((graph.x.argmin(), graph.x.argmax()), (graph.y.argmin(), graph.y.argmax()))
    wide = max(float(graph.straight(int(a), int(b)).item()) for a, b in ends)
    notes = []
    if far.max() > wide:
        worst = int(far.argmax())
        cause = "another coordinate system than the streets, or longitude and latitude swapped?"
        shown = f"{names[worst]}, {far[worst]:.6g} {graph.unit} from the nearest corner"
        raise InputError.of(
            f"--facilities {asked.facilities.name}", shown, expected="places beside the streets", cause=cause
        )
    if (distant := far > FAR * wide).any():
        notes.append(
            f"{int(distant.sum())} facilities are farther than {FAR * wide:.3g} {graph.unit} from their corner."
        )
    distinct = len(np.unique(nodes))
    if distinct < len(nodes):
        notes.append(f"{len(nodes)} facilities stand at {distinct} corners: those at one corner are one.")
    return nodes, notes


def _ranks(graph: StreetGraph, facilities: np.ndarray, asked: Asked) -> tuple[list[Row], list[str]]:
    """All corners by what closing them does, then by betweenness."""
    between = betweenness(graph)
    columns = {"betweenness": between}
    notes = []
    if graph.nodes <= MOST_CLOSED_IN:
        columns |= {name: influential(graph, score=name) for name in ("closeness", "straightness")}
        impact = removal_impact(graph, facilities, which=asked.direction)
        closing = ("closing: more inconsistent", f"closing: mean way longer, {graph.unit}", "closing: cut off")
        columns |= dict(zip(closing, impact, strict=True))
        order = np.lexsort([-between, -(impact[0] + impact[2])])
    else:
        notes.append(f"Over {MOST_CLOSED_IN} corners: ranked by betweenness; no corner was closed to see what it does.")
        order = np.argsort(-between, kind="stable")
    held = set(facilities.tolist())
    rows: list[Row] = [
        {
            "corner": graph.keys[node],
            "x": float(graph.x[node]),
            "y": float(graph.y[node]),
            "facility": int(node) in held,
        }
        | {name: float(column[node]) for name, column in columns.items()}
        for node in order
    ]
    return rows, notes


def _summary(moved: Relocation, dual: DualStreets) -> list[Row]:
    unit = moved.graph.unit
    return [
        {
            "facilities": name, "corners": moved.graph.nodes, "inconsistent": int(found.inconsistent.sum()),
            "share": found.share, f"mean way, {unit}": None if np.isnan(found.mean_distance) else found.mean_distance,
            "segments": moved.graph.segments, "continuous streets": dual.count,
        }
        for name, found in (("as they stand", moved.before), ("after moving", moved.after))
    ]  # fmt: skip
