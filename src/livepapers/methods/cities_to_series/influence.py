"""Which corners matter most: centralities, and what facilities lose when a corner is closed."""

from typing import Literal

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike

from livepapers.methods.cities_to_series.inconsistencies import Which, check_facilities, inconsistencies
from livepapers.tasks.street_graph import StreetGraph

Score = Literal["betweenness", "closeness", "straightness", "removal"]
SCORES: tuple[Score, ...] = ("betweenness", "closeness", "straightness", "removal")
SAMPLED = 500  # junctions beyond which betweenness is estimated from that many sources
MOST_CLOSED = 300  # corners that are closed in turn: those of the largest betweenness


def influential(graph: StreetGraph, facilities: ArrayLike | None = None, *, score: Score) -> np.ndarray:
    """The score of every corner, `[nodes]`; the larger, the more it matters.

    "betweenness" is the share of shortest ways that pass a corner; "closeness" reachable corners over the sum of
    their ways, scaled by the share reached (Wasserman and Faust); "straightness" the mean over all corners of straight
    line over way, 0 where there is none; "removal" `removal_impact(...)[0]` plus the lost corners.

    Raises:
        InputError: As `inconsistencies`.
    """
    if score == "betweenness":
        return betweenness(graph)
    if score == "removal":
        impact = removal_impact(graph, check_facilities(graph, [] if facilities is None else facilities))
        return impact[0] + impact[2]
    found = np.zeros(graph.nodes)
    for part in graph.blocks(graph.nodes):
        nodes = np.arange(part.start, part.stop)
        ways = graph.distances(nodes, direction="in")
        reached = np.isfinite(ways) & (ways > 0)
        if score == "closeness":
            total = np.where(reached, ways, 0.0).sum(axis=1)
            count = reached.sum(axis=1)
            share = count / max(graph.nodes - 1, 1)
            found[part] = np.divide(count * share, total, out=np.zeros(len(nodes)), where=total > 0)
        else:
            ratio = np.divide(graph.straight(nodes), ways, out=np.zeros_like(ways), where=reached)
            found[part] = ratio.sum(axis=1) / max(graph.nodes - 1, 1)
    return found


def betweenness(graph: StreetGraph) -> np.ndarray:
    """`[nodes]` length-weighted betweenness, normalised; from `SAMPLED` sources in larger graphs."""
    made = nx.from_scipy_sparse_array(graph.matrix, create_using=nx.DiGraph)
    sources = SAMPLED if graph.nodes > SAMPLED else None
    found = nx.betweenness_centrality(made, k=sources, weight="weight", seed=0)
    return np.array([found[node] for node in range(graph.nodes)])


def removal_impact(graph: StreetGraph, facilities: np.ndarray, *, which: Which = "both") -> np.ndarray:
    """What closing each corner does to the others: `[3, nodes]` more inconsistent, mean way longer, cut off.

    Facilities' own corners are not closed (0). The mean way is over the corners that can still be reached; those that
    can no longer are counted in the third row. In graphs beyond `MOST_CLOSED` junctions only so many are closed.
    Cost: a search for each facility, direction and closed corner.
    """
    before = inconsistencies(graph, facilities, which=which)
    first = np.array([found.shortest for found in before.perimeters.values()]).mean(axis=0)
    closed = np.setdiff1d(np.arange(graph.nodes), facilities)
    if len(closed) > MOST_CLOSED:
        closed = np.sort(closed[np.argsort(-betweenness(graph)[closed], kind="stable")[:MOST_CLOSED]])
    impact = np.zeros((3, graph.nodes))
    for node in closed:
        left = np.arange(graph.nodes) != node
        found = inconsistencies(graph.select(left), facilities - (facilities > node), which=which)
        now = np.array([one.shortest for one in found.perimeters.values()]).mean(axis=0)
        still = np.isfinite(now)
        impact[0, node] = found.inconsistent.sum() - before.inconsistent[left].sum()
        impact[1, node] = (now[still] - first[left][still]).mean() if still.any() else 0.0
        impact[2, node] = np.isfinite(first[left]).sum() - still.sum()
    return impact
