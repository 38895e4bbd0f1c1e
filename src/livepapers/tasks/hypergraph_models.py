"""Generated temporal hypergraphs: a null model, a configuration null, a planted world and a large synthetic one."""

import numpy as np

from livepapers.core.errors import InputError
from livepapers.tasks.hypergraphs import TemporalSimplices, decode


def independent_triples(rng: np.random.Generator, nodes: int, *, exponent: float) -> TemporalSimplices:
    """The null model of section 3.5: each of the C(n, 3) triples is a simplex with probability p = n^-b.

    Args:
        rng: The stream.
        nodes: n >= 3.
        exponent: b >= 0.

    Returns:
        Simplices of size 3 in random order of time, at least one; nodes in none of them keep their number.
    """
    if nodes < 3 or exponent < 0:
        raise InputError.of("null model", f"n={nodes}, b={exponent}", expected="n >= 3 and b >= 0")
    upper = np.array(np.triu_indices(nodes, k=1)).T
    last = np.repeat(upper, nodes - 1 - upper[:, 1], axis=0)
    starts = np.repeat(np.cumsum(nodes - 1 - upper[:, 1]) - (nodes - 1 - upper[:, 1]), nodes - 1 - upper[:, 1])
    third = last[:, 1] + 1 + np.arange(len(last)) - starts
    triples = np.column_stack([last, third])[rng.random(len(last)) < nodes ** -float(exponent)]
    if not len(triples):
        triples = np.array([[0, 1, 2]])
    times = rng.permutation(len(triples))
    return _from_rows([triples], [times], nodes=nodes)


def shuffled_memberships(simplices: TemporalSimplices, rng: np.random.Generator) -> TemporalSimplices:
    """The configuration null: memberships shuffled among the simplices of one size; times and sizes stay.

    As in the paper's own, a node may be dealt twice to one simplex; it then counts once.
    """
    sizes, owner = simplices.sizes, np.repeat(simplices.sizes, simplices.sizes)
    members = simplices.members.copy()
    for size in np.unique(sizes):
        members[owner == size] = rng.permutation(members[owner == size])
    return TemporalSimplices.from_arrays(members, sizes, times=simplices.times, labels=simplices.labels)


def planted_groups(
    rng: np.random.Generator, *, groups: int = 30, size: int = 5, events: int = 1500, noise: float = 0.5
) -> TemporalSimplices:
    """A world in which tie strength foretells closure: friends meet in pairs first, as a whole later.

    Each group's members meet in pairs all the time; in the last fifth of the time some of its triples meet. Strangers
    meet in pairs too (a share `noise` of the pair events), each pair rarely, so their triangles stay weak and open.

    Args:
        rng: The stream.
        groups: Number of groups.
        size: Members of each group, >= 3.
        events: Pair events.
        noise: Share of the events between strangers.
    """
    nodes = groups * size
    home = rng.integers(groups, size=events)
    offsets = rng.permuted(np.tile(np.arange(size), (events, 1)), axis=1)[:, :2]
    inside = home[:, None] * size + offsets
    strangers = rng.integers(nodes, size=(events, 2))
    strangers[:, 1] = (strangers[:, 0] + 1 + strangers[:, 1] % (nodes - 1)) % nodes
    pairs = np.where((rng.random(events) < noise)[:, None], strangers, inside)
    late = events // 8
    chosen = rng.integers(groups, size=late)[:, None] * size
    triples = chosen + rng.permuted(np.tile(np.arange(size), (late, 1)), axis=1)[:, :3]
    return _from_rows(
        [pairs, triples], [rng.integers(1000, size=events), rng.integers(850, 1000, size=late)], nodes=nodes
    )


def large_synthetic(rng: np.random.Generator, *, simplices: int = 1_000_000, nodes: int = 100_000) -> TemporalSimplices:
    """A hypergraph of realistic shape at scale: heavy-tailed activity, communities, repeated meetings.

    Sizes 1 to 10 (two thirds of them pairs and triples); a simplex draws its nodes from one community of 50, active
    nodes more often, with one in ten nodes from anywhere; times are uniform.

    Args:
        rng: The stream.
        simplices: Their number.
        nodes: Upper bound of the number of nodes.
    """
    sizes = 1 + rng.choice(10, size=simplices, p=np.array([10, 40, 25, 10, 5, 4, 2, 2, 1, 1]) / 100)
    community = np.repeat((nodes // 50 * rng.power(0.6, size=simplices)).astype(np.int64), sizes)
    local = (50 * rng.power(0.5, size=len(community))).astype(np.int64)
    anywhere = rng.integers(nodes, size=len(community))
    members = np.where(rng.random(len(community)) < 0.1, anywhere, community * 50 + local)
    times = np.sort(rng.integers(10**9, size=simplices))
    return TemporalSimplices.from_arrays(members, sizes, times=times)


def _from_rows(blocks: list[np.ndarray], times: list[np.ndarray], *, nodes: int) -> TemporalSimplices:
    """Simplices from blocks `[count, size]` of equal-sized rows, ordered by time."""
    members = np.concatenate([block.ravel() for block in blocks])
    sizes = np.concatenate([np.full(len(block), block.shape[1]) for block in blocks])
    labels = [str(node) for node in range(nodes)]
    when = np.concatenate(times)
    made = TemporalSimplices.from_arrays(members, sizes, times=when, labels=labels)
    order = np.argsort(made.times, kind="stable")
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    keys = np.sort(np.repeat(position, made.sizes) * nodes + made.members)
    new_sizes = made.sizes[order]
    pointers = np.concatenate([[0], np.cumsum(new_sizes)])
    return TemporalSimplices(decode(keys, nodes, order=2)[:, 1], pointers, made.times[order], made.labels)
