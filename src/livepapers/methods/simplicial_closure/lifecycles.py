"""Lifecycles of triples until they close, and how far apart in time the ties of open triangles are (section 3.6)."""

from itertools import combinations

import numpy as np

from livepapers.methods.simplicial_closure.closure import TYPES3, tie_type
from livepapers.methods.simplicial_closure.triangles import Skeleton, Subsets, blocks
from livepapers.tasks.hypergraphs import TemporalSimplices, encode

CLOSED = len(TYPES3)
"""The state after the ten of `TYPES3`."""
_NEVER = np.iinfo(np.int64).max


def lifecycles(simplices: TemporalSimplices) -> tuple[np.ndarray, np.ndarray]:
    """How the triples of all triangles got from empty to where they are.

    A state is the sorted triple of tie strengths, as in `TYPES3`, or `CLOSED`; only changes of state are counted, and
    nothing after the first simplex that holds all three. Simplices of equal time follow in the order of the data.

    Returns:
        Two `[11, 11]` int64 tables `[from, to]`: of the triples that close, of those that stay open.
    """
    skeleton = Skeleton.of(simplices.projected())
    first, second = _pair_events(simplices, skeleton=skeleton)
    closed_keys, closed_at = _first_simplex(simplices, skeleton=skeleton)
    tables = np.zeros((2, (CLOSED + 1) ** 2), dtype=np.int64)
    for ranks, edges in skeleton.triangles():
        keys = encode(ranks, skeleton.nodes)
        place = np.minimum(np.searchsorted(closed_keys, keys), max(len(closed_keys) - 1, 0))
        shut = closed_keys[place] == keys if len(closed_keys) else np.zeros(len(keys), dtype=bool)
        end = np.where(shut, closed_at[place] if len(closed_at) else 0, _NEVER)
        for index, chosen in enumerate((shut, ~shut)):
            tables[index] += _changes(first[edges[chosen]], second[edges[chosen]], end=end[chosen])
    shape = (CLOSED + 1, CLOSED + 1)
    return tables[0].reshape(shape), tables[1].reshape(shape)


def asynchronicity(simplices: TemporalSimplices) -> np.ndarray:
    """Open triangles by the number of overlapping pairs among their ties' [first, last] times: `[4]` int64."""
    skeleton = Skeleton.of(simplices.projected())
    closed = Subsets.of(simplices, 3, skeleton=skeleton)
    edge, owner = _pairs(simplices, skeleton=skeleton)
    start = np.full(len(skeleton.keys), _NEVER)
    end = np.full(len(skeleton.keys), np.iinfo(np.int64).min)
    np.minimum.at(start, edge, simplices.times[owner])
    np.maximum.at(end, edge, simplices.times[owner])
    overlaps = np.zeros(4, dtype=np.int64)
    for ranks, edges in skeleton.triangles():
        sides = edges[closed.strength(encode(ranks, skeleton.nodes)) == 0]
        number = np.zeros(len(sides), dtype=np.int64)
        for a, b in combinations(range(3), 2):
            number += (start[sides[:, a]] <= end[sides[:, b]]) & (start[sides[:, b]] <= end[sides[:, a]])
        overlaps += np.bincount(number, minlength=4)
    return overlaps


def _changes(first: np.ndarray, second: np.ndarray, *, end: np.ndarray) -> np.ndarray:
    """Counts of (from, to) state changes, `[121]`, of triples with tie events `[triples, 3]` and closing time."""
    times = np.column_stack([first, second, end])
    times[:, :6][times[:, :6] >= end[:, None]] = _NEVER
    order = np.argsort(times, axis=1, kind="stable")
    happens = np.take_along_axis(times, order, axis=1) < _NEVER
    strength = np.zeros((len(times), 3), dtype=np.int64)
    state = np.zeros(len(times), dtype=np.int64)
    table = np.zeros((CLOSED + 1) ** 2, dtype=np.int64)
    for step in range(order.shape[1]):
        event, real = order[:, step], happens[:, step]
        tie = real & (event < 6)
        strength[tie, event[tie] % 3] += 1
        after = np.where(event == 6, CLOSED, tie_type(np.sort(strength, axis=1)))
        after = np.where(real, after, state)
        moved = after != state
        table += np.bincount(state[moved] * (CLOSED + 1) + after[moved], minlength=len(table))
        state = after
    return table


def _pair_events(simplices: TemporalSimplices, *, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """For each edge, the place in time of its first and of its second simplex (`_NEVER` if it has one only)."""
    edge, owner = _pairs(simplices, skeleton=skeleton)
    place = _places(simplices)[owner]
    order = np.lexsort((place, edge))
    edge, place = edge[order], place[order]
    begin = np.searchsorted(edge, np.arange(len(skeleton.keys)))
    second = np.full(len(skeleton.keys), _NEVER)
    twice = skeleton.weights > 1
    second[twice] = place[begin[twice] + 1]
    return place[begin], second


def _first_simplex(simplices: TemporalSimplices, *, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """All closed triples as ascending keys of ranks, and the place in time of the first simplex of each."""
    keys, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    position = _places(simplices)
    sizes = simplices.sizes
    for size in np.unique(sizes[sizes >= 3]):
        chosen = sizes == size
        rows = simplices.members[np.repeat(chosen, sizes)].reshape(-1, size)
        for triple in combinations(range(int(size)), 3):
            keys.append(skeleton.key(rows[:, list(triple)]))
            places.append(position[chosen])
    every, when = np.concatenate(keys), np.concatenate(places)
    order = np.lexsort((when, every))
    found, index = np.unique(every[order], return_index=True)
    return found, when[order][index]


def _pairs(simplices: TemporalSimplices, *, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Every occurrence of a pair: its edge and its simplex."""
    sizes = np.repeat(simplices.sizes, simplices.sizes)
    position = np.arange(len(simplices.members)) - np.repeat(simplices.pointers[:-1], simplices.sizes)
    owner = np.repeat(np.arange(len(simplices)), simplices.sizes)
    edges, owners = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for first, offset in blocks(sizes - position - 1):
        ends = np.sort(
            skeleton.rank[np.column_stack([simplices.members[first], simplices.members[first + 1 + offset]])], axis=1
        )
        edges.append(skeleton.edge(ends[:, 0], ends[:, 1]))
        owners.append(owner[first])
    return np.concatenate(edges), np.concatenate(owners)


def _places(simplices: TemporalSimplices) -> np.ndarray:
    """Each simplex's place in the order of time."""
    place = np.empty(len(simplices), dtype=np.int64)
    place[np.argsort(simplices.times, kind="stable")] = np.arange(len(simplices))
    return place
