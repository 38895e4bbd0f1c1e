"""Structure of a data set or of a node's surroundings (section 3.5)."""

import numpy as np

from livepapers.core.errors import InputError
from livepapers.methods.simplicial_closure.triangles import triangle_counts
from livepapers.tasks.hypergraphs import TemporalSimplices


def describe(simplices: TemporalSimplices) -> dict[str, int | float]:
    """Counts a person asks for first: nodes, simplices, distinct ones, pairs, open and closed triangles."""
    pairs, _ = simplices.subsets(2)
    opened, closed = triangle_counts(simplices)
    sizes = simplices.sizes
    return {
        "nodes": int(simplices.present().sum()),
        "simplices": len(simplices),
        "largest simplex": int(sizes.max()),
        "mean size": float(sizes.mean()),
        "edges": len(pairs),
        "open triangles": opened,
        "closed triangles": closed,
        "fraction open": opened / (opened + closed) if opened + closed else float("nan"),
    }


def structure(simplices: TemporalSimplices) -> dict[str, float]:
    """The three features by which the paper tells domains apart.

    Returns:
        "log_degree": natural logarithm of the average projected degree; "log_density": of nnz(W) / (n^2 - n);
        "fraction_open": open / (open + closed) triangles, 0 without triangles. n counts the nodes in some simplex.

    Raises:
        InputError: Without any pair.
    """
    nodes = int(simplices.present().sum())
    ties = simplices.projected().nnz
    if not ties:
        raise InputError.of("simplices", "no pair of nodes", expected="at least one simplex of two nodes")
    opened, closed = triangle_counts(simplices)
    return {
        "log_degree": float(np.log(ties / nodes)),
        "log_density": float(np.log(ties / (nodes**2 - nodes))),
        "fraction_open": opened / max(1, opened + closed),
    }


def egonet(simplices: TemporalSimplices, node: int) -> TemporalSimplices:
    """Every simplex intersected with `node` and its neighbours; empty intersections are dropped.

    Raises:
        InputError: For a node that is in no simplex.
    """
    rows = np.repeat(np.arange(len(simplices)), simplices.sizes)
    with_node = np.zeros(len(simplices), dtype=bool)
    with_node[rows[simplices.members == node]] = True
    near = np.zeros(simplices.nodes, dtype=bool)
    near[simplices.members[with_node[rows]]] = True
    if not near.any():
        raise InputError.of("node", node, expected="a node of some simplex")
    kept = near[simplices.members]
    sizes = np.bincount(rows[kept], minlength=len(simplices))
    some = sizes > 0
    return TemporalSimplices.from_arrays(
        simplices.members[kept], sizes[some], times=simplices.times[some], labels=simplices.labels
    )
