"""Street corners whose nearest facility by road is not the nearest in a straight line (the street half's new term)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from livepapers.core.application import Row
from livepapers.core.errors import InputError
from livepapers.tasks.street_graph import Direction, StreetGraph

Which = Literal["out", "in", "both"]
"""Ways that count: to the facility, from it, or both at once (absolute inconsistency)."""
_WAYS: dict[Direction, str] = {"out": "out to", "in": "in from"}
TOLERANCE = 1e-9
"""Relative to the distance: below it two ways are equally long, and nobody is badly served by a tie."""


@dataclass(frozen=True, eq=False)
class Perimeters:
    """Which facility each junction is served by, in a straight line and by road, in one direction."""

    straight: np.ndarray  # [nodes] position of the facility that is nearest in a straight line
    beeline: np.ndarray  # [nodes] straight-line distance to it
    network: np.ndarray  # [nodes] position of the facility that is nearest by road; -1: no way to any
    to_straight: np.ndarray  # [nodes] way by road to the facility of `straight`; may be infinite
    shortest: np.ndarray  # [nodes] way to the nearest facility by road; may be infinite

    @property
    def inconsistent(self) -> np.ndarray:
        """`[nodes]` bool: another facility is strictly nearer by road."""
        return longer(self.to_straight, self.shortest)

    @property
    def severity(self) -> np.ndarray:
        """`[nodes]` the detour that the straight-line choice costs; infinite where it cannot be reached, else >= 0."""
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(self.shortest), self.to_straight - self.shortest, 0.0)

    @property
    def detour(self) -> np.ndarray:
        """`[nodes]` way by road over straight line, both to the facility of `straight`; NaN at the facility itself."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.beeline > 0, self.to_straight / self.beeline, np.nan)


@dataclass(frozen=True, eq=False)
class Inconsistencies:
    """The perimeters in the directions that were asked for, and who is badly served."""

    graph: StreetGraph
    facilities: np.ndarray  # [facilities] junctions, each once
    which: Which
    perimeters: dict[Direction, Perimeters]

    @property
    def inconsistent(self) -> np.ndarray:
        """`[nodes]` bool: in every direction that counts."""
        return np.logical_and.reduce([found.inconsistent for found in self.perimeters.values()])

    @property
    def reachable(self) -> np.ndarray:
        """`[nodes]` bool: some facility can be reached, in every direction that counts."""
        return np.logical_and.reduce([np.isfinite(found.shortest) for found in self.perimeters.values()])

    @property
    def severity(self) -> np.ndarray:
        """`[nodes]` mean extra way over the directions that count; 0 where consistent."""
        extra = np.mean([found.severity for found in self.perimeters.values()], axis=0)
        return np.where(self.inconsistent, extra, 0.0)

    @property
    def share(self) -> float:
        """Inconsistent junctions over all."""
        return float(self.inconsistent.mean()) if self.graph.nodes else 0.0

    @property
    def mean_distance(self) -> float:
        """Mean way to the nearest facility by road over the junctions that have one, over the directions."""
        ways = [found.shortest[np.isfinite(found.shortest)] for found in self.perimeters.values()]
        return float(np.mean(np.concatenate(ways))) if any(map(len, ways)) else float("nan")

    def by_facility(self) -> list[Row]:
        """A row for each facility: its perimeter in a straight line, who of it is badly served, by how much, and why.

        `detour index` is way by road over straight line; where it is high for all, the mesh is inadequate, where the
        inconsistent corners sit in a perimeter of usual detours, the facility is misplaced (of two directions
        their mean is asked). The mean extra way is over those inconsistent corners that have a way to (or from) the
        facility, and empty where none has; corners of its perimeter without one are counted as `no way`.
        """
        first = next(iter(self.perimeters.values()))
        bad, extra = self.inconsistent, self.severity
        detours = {way: found.detour for way, found in self.perimeters.items()}
        mean_detour = np.mean(list(detours.values()), axis=0)
        overall = _median(mean_detour)
        rows: list[Row] = []
        for place, node in enumerate(self.facilities):
            served = first.straight == place
            wrong, usual = served & bad, {way: _median(detour[served]) for way, detour in detours.items()}
            finite = extra[wrong & np.isfinite(extra)] if wrong.any() else np.zeros(1)
            row: dict[str, str | int | float | bool | None] = {
                "facility": self.graph.keys[node],
                "corners in a straight line": int(served.sum()),
                "inconsistent": int(wrong.sum()),
                "share": float(wrong.sum() / max(served.sum(), 1)),
                f"mean {self._extra}": float(finite.mean()) if len(finite) else None,
            }
            for way, found in self.perimeters.items():
                row[f"corners by road, {way}"] = int((found.network == place).sum())
                row[f"no way {_WAYS[way]} it"] = int((served & ~np.isfinite(found.to_straight)).sum())
                row[f"detour index, {way}"] = None if np.isnan(usual[way]) else usual[way]
            lost = any(row[f"no way {_WAYS[way]} it"] for way in self.perimeters)
            row["likely"] = _explanation(int(wrong.sum()), _median(mean_detour[served]), overall, lost=lost)
            rows.append(row)
        return rows

    def frame(self) -> list[Row]:
        """A row for each inconsistent corner, the worst first; ways that do not exist are empty."""
        first = next(iter(self.perimeters.values()))
        extra = self.severity
        chosen = np.flatnonzero(self.inconsistent)
        chosen = chosen[np.argsort(-extra[chosen], kind="stable")]
        names = [self.graph.keys[node] for node in self.facilities]
        rows: list[Row] = [
            {
                "corner": self.graph.keys[node],
                "x": float(self.graph.x[node]),
                "y": float(self.graph.y[node]),
                "nearest in a straight line": names[first.straight[node]],
                **self._by_road(node, names),
                self._extra: _finite(extra, node),
            }
            for node in chosen.tolist()
        ]
        return rows

    @property
    def _extra(self) -> str:
        """What the extra way is called."""
        both = ", mean of out and in" if len(self.perimeters) > 1 else ""
        return f"extra way{both}, {self.graph.unit}"

    def _by_road(self, node: int, names: Sequence[str]) -> dict[str, str | float | None]:
        """Of a corner, in each direction: the facility nearest by road, and the ways to both."""
        cells: dict[str, str | float | None] = {}
        for way, found in self.perimeters.items():
            cells[f"nearest by road, {way}"] = names[int(found.network[node])]
            cells[f"way {_WAYS[way]} the former, {self.graph.unit}"] = _finite(found.to_straight, node)
            cells[f"way {_WAYS[way]} the latter, {self.graph.unit}"] = _finite(found.shortest, node)
        return cells


def longer(way: np.ndarray, shortest: np.ndarray) -> np.ndarray:
    """Whether each way is strictly longer than the shortest one, beyond rounding; never where there is no way."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(shortest) & (way > shortest + TOLERANCE * (1.0 + np.abs(shortest)))


def inconsistencies(graph: StreetGraph, facilities: ArrayLike, *, which: Which = "both") -> Inconsistencies:
    """Find the corners that the straight line sends to the wrong facility.

    Junction i belongs to the perimeter E_p of the facility p that is nearest in a straight line, and to N_p of the one
    that is nearest by road; ties go to the facility that is listed first. It is inconsistent if its way to p, with i
    in E_p, is strictly longer than to another facility. Cost: one Dijkstra search a facility and direction.

    Args:
        graph: The streets.
        facilities: `[facilities]` junctions; of several in one junction the first counts.
        which: "out": ways to facilities; "in": ways from them; "both": inconsistent in both.

    Raises:
        InputError: Without a facility, or for one that is no junction.
    """
    places = check_facilities(graph, facilities)
    directions: tuple[Direction, ...] = ("out", "in") if which == "both" else (which,)
    return Inconsistencies(graph, places, which, {way: perimeters(graph, places, direction=way) for way in directions})


def check_facilities(graph: StreetGraph, facilities: ArrayLike) -> np.ndarray:
    """The junctions of facilities, each once, in the order given; raises `InputError` as `inconsistencies`."""
    given = np.atleast_1d(np.asarray(facilities, dtype=np.int64))
    if not len(given):
        raise InputError.of("facilities", "none", expected="at least one")
    if ((given < 0) | (given >= graph.nodes)).any():
        raise InputError.of("facilities", int(given.max()), expected=f"junctions from 0 to {graph.nodes - 1}")
    return given[np.sort(np.unique(given, return_index=True)[1])]


def perimeters(graph: StreetGraph, facilities: np.ndarray, *, direction: Direction) -> Perimeters:
    """E_p and N_p in one direction; distances are held for a block of facilities at a time."""
    nodes = np.arange(graph.nodes)
    straight, network = np.zeros(graph.nodes, dtype=np.int64), np.full(graph.nodes, -1)
    beeline, shortest = np.full(graph.nodes, np.inf), np.full(graph.nodes, np.inf)
    to_straight = np.full(graph.nodes, np.inf)
    for part in graph.blocks(len(facilities)):
        lines = graph.straight(facilities[part])
        ways = graph.distances(facilities[part], direction=direction)
        best, way = lines.argmin(axis=0), ways.argmin(axis=0)
        nearer = lines[best, nodes] < beeline
        straight[nearer] = (part.start + best)[nearer]
        to_straight[nearer] = ways[best, nodes][nearer]
        beeline = np.minimum(beeline, lines[best, nodes])
        shorter = ways[way, nodes] < shortest
        network[shorter] = (part.start + way)[shorter]
        shortest = np.minimum(shortest, ways[way, nodes])
    return Perimeters(straight, beeline, network, to_straight, shortest)


def _explanation(wrong: int, usual: float, overall: float, *, lost: bool) -> str:
    if not wrong:
        return "one-way streets: some corners have no way" if lost else "served well"
    if np.isfinite(usual) and usual > 1.25 * overall:
        return "the mesh of streets: high detours all around"
    return "the facility's place: try to relocate it"


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _finite(values: np.ndarray, node: int) -> float | None:
    value = float(values[node])
    return value if np.isfinite(value) else None


def weights_of(graph: StreetGraph, weights: Sequence[float] | np.ndarray | None) -> np.ndarray:
    """`[nodes]` how much each corner counts; all alike when left out; raises `InputError` for another shape."""
    if weights is None:
        return np.ones(graph.nodes)
    given = np.asarray(weights, dtype=float)
    if given.shape != (graph.nodes,) or not (np.isfinite(given).all() and (given >= 0).all()):
        raise InputError.of("weights", f"shape {given.shape}", expected=f"{graph.nodes} finite numbers >= 0")
    return given
