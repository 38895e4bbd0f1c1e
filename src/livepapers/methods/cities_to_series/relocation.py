"""Where a facility should move: greedy descent of the number of inconsistent corners (section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from livepapers.core.application import Row
from livepapers.methods.cities_to_series.inconsistencies import (
    Inconsistencies,
    Which,
    check_facilities,
    inconsistencies,
    longer,
    weights_of,
)
from livepapers.tasks.street_graph import Direction, StreetGraph

Objective = Literal["inconsistency", "mean_distance"]
CACHED = 5000  # junctions up to which all distances are computed once
MOST_CANDIDATES = 100  # of a facility in larger graphs: the nearest ones in a straight line
MOST_PASSES = 10
_LEAST = 1e-9  # relative gain below which a move is none


@dataclass(frozen=True)
class Move:
    """One step of the descent."""

    facility: int  # position in the list of facilities
    start: int  # junctions
    end: int
    inconsistent: float  # weight of inconsistent corners after the move
    mean_distance: float  # of all corners to their nearest facility by road, after the move


@dataclass(frozen=True, eq=False)
class Relocation:
    """What the descent did: facilities keep their positions in the list."""

    graph: StreetGraph
    before: Inconsistencies
    after: Inconsistencies
    moves: tuple[Move, ...]
    passes: int

    def steps(self) -> list[Row]:
        """A row for each move, in order: from where to where, and what is left after it; the first gain the most."""
        keys, unit = self.graph.keys, self.graph.unit
        return [
            {
                "move": number,
                "facility": keys[self.before.facilities[move.facility]],
                "from": keys[move.start],
                "to": keys[move.end],
                "x": float(self.graph.x[move.end]),
                "y": float(self.graph.y[move.end]),
                f"straight distance, {unit}": float(self.graph.straight(move.start, move.end).item()),
                "inconsistent after it": move.inconsistent,
                f"mean way after it, {unit}": move.mean_distance,
            }
            for number, move in enumerate(self.moves, start=1)
        ]

    @property
    def moved(self) -> int:
        """How many facilities end at another corner than they began."""
        return int((self.before.facilities != self.after.facilities).sum())


def relocate(
    graph: StreetGraph,
    facilities: ArrayLike,
    *,
    objective: Objective = "inconsistency",
    which: Which = "both",
    weights: Sequence[float] | np.ndarray | None = None,
    radius: float | None = None,
    passes: int = MOST_PASSES,
) -> Relocation:
    """Move one facility at a time to the best corner of its own perimeter until no move helps.

    The objective is the weight of inconsistent corners, ties broken by the mean way to the nearest facility; or the
    other way around, which is the classical vertex substitution for p-medians. Corners without a way to any facility
    count as far as the longest way there is. Cost of a pass: facilities x candidates x corners operations on arrays;
    distances once for all corners up to 5,000, beyond that a search for each candidate.

    Args:
        graph: The streets.
        facilities: `[facilities]` junctions.
        objective: What is lowered.
        which: Directions that count, as in `inconsistencies`.
        weights: `[nodes]` how much each corner counts, e.g. inhabitants; all alike when left out.
        radius: Candidates are also those within this straight-line distance of the facility, in the graph's unit.
        passes: At most so many rounds over all facilities.

    Raises:
        InputError: As `inconsistencies`; weights of another shape.
    """
    places = check_facilities(graph, facilities).copy()
    board = _Board(graph, which, weights_of(graph, weights), objective)
    before = inconsistencies(graph, places, which=which)
    moves: list[Move] = []
    done = 0
    for _ in range(passes):
        done += 1
        moved = False
        for position in range(len(places)):
            candidates = _candidates(graph, places, position, board, radius=radius)
            best, score, now = board.best(places, position, candidates)
            if _better(score, now):
                moves.append(Move(position, int(places[position]), best, *board.named(score)))
                places[position] = best
                moved = True
        if not moved:
            break
    return Relocation(graph, before, inconsistencies(graph, places, which=which), tuple(moves), done)


def _better(score: tuple[float, float], now: tuple[float, float]) -> bool:
    if abs(score[0] - now[0]) > _LEAST * (1 + abs(now[0])):
        return score[0] < now[0]
    return score[1] < now[1] - _LEAST * (1 + abs(now[1]))


def _candidates(
    graph: StreetGraph, places: np.ndarray, position: int, board: "_Board", *, radius: float | None
) -> np.ndarray:
    """Corners of the facility's perimeter by road, or near it, that hold no other facility; its own place first."""
    own = places[position]
    served = board.served(places) == position
    line = graph.straight(own)[0]
    if radius is not None:
        served = served | (line <= radius)
    served[places] = False
    found = np.flatnonzero(served)
    if graph.nodes > CACHED:
        found = found[np.argsort(line[found], kind="stable")[:MOST_CANDIDATES]]
    return np.concatenate([[own], found])


class _Board:
    """Scores whole placements in which one facility varies over many candidates at once."""

    def __init__(self, graph: StreetGraph, which: Which, weights: np.ndarray, objective: Objective) -> None:
        self.graph, self.weights, self.objective = graph, weights, objective
        self.directions: tuple[Direction, ...] = ("out", "in") if which == "both" else (which,)
        small = graph.nodes <= CACHED
        self._all = {way: graph.distances(np.arange(graph.nodes), direction=way) for way in self.directions if small}
        self._far = {way: _longest(found) for way, found in self._all.items()}

    def ways(self, nodes: np.ndarray, direction: Direction) -> np.ndarray:
        """`[given, nodes]` distances by road."""
        found = self._all.get(direction)
        return self.graph.distances(nodes, direction=direction) if found is None else found[nodes]

    def served(self, places: np.ndarray) -> np.ndarray:
        """`[nodes]` position of the nearest facility by road in the first direction; -1 without a way."""
        ways = self.ways(places, self.directions[0])
        return np.where(np.isfinite(ways.min(axis=0)), ways.argmin(axis=0), -1)

    def best(
        self, places: np.ndarray, position: int, candidates: np.ndarray
    ) -> tuple[int, tuple[float, float], tuple[float, float]]:
        """(best candidate, its score, the score of the first candidate); scores are compared from the left."""
        wrong = np.ones((len(candidates), self.graph.nodes), dtype=bool)
        distance = np.zeros(len(candidates))
        lines = self.graph.straight(places)
        total = max(float(self.weights.sum()), np.finfo(float).tiny)
        for way in self.directions:
            ways = self.ways(places, way)
            mine = self.ways(candidates, way)
            to_straight, shortest = varied(lines, ways, position, self.graph.straight(candidates), mine)
            wrong &= longer(to_straight, shortest)
            far = self._far.get(way, _longest(ways))
            distance += np.where(np.isfinite(shortest), shortest, far) @ self.weights / total
        counted = wrong @ self.weights
        distance /= len(self.directions)
        keys = (distance, counted) if self.objective == "inconsistency" else (counted, distance)
        best = int(np.lexsort(keys)[0])
        scores = [(float(keys[1][index]), float(keys[0][index])) for index in (best, 0)]
        return int(candidates[best]), scores[0], scores[1]

    def named(self, score: tuple[float, float]) -> tuple[float, float]:
        """(inconsistent, mean distance) of a score."""
        return score if self.objective == "inconsistency" else (score[1], score[0])


def varied(
    lines: np.ndarray, ways: np.ndarray, position: int, candidate_lines: np.ndarray, candidate_ways: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What becomes of every corner when one facility is put on each candidate in turn.

    Args:
        lines: `[facilities, nodes]` straight lines of the facilities as they stand.
        ways: `[facilities, nodes]` their ways by road.
        position: The facility that varies.
        candidate_lines: `[candidates, nodes]`.
        candidate_ways: `[candidates, nodes]`.

    Returns:
        `[candidates, nodes]` the way to the facility nearest in a straight line, and to the nearest by road.
    """
    others = np.delete(np.arange(len(lines)), position)
    if not len(others):
        return candidate_ways, candidate_ways
    nodes = np.arange(lines.shape[1])
    nearest = others[lines[others].argmin(axis=0)]
    line, way = lines[nearest, nodes], ways[nearest, nodes]
    # ties go to the facility that is listed first, as in `perimeters`
    taken = (candidate_lines < line) | ((candidate_lines == line) & (position < nearest))
    return np.where(taken, candidate_ways, way), np.minimum(candidate_ways, ways[others].min(axis=0))


def _longest(ways: np.ndarray) -> float:
    finite = ways[np.isfinite(ways)]
    return float(finite.max()) if finite.size else 0.0
