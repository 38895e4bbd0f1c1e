"""Colour refinement (Weisfeiler and Lehman 1968), and the kernel of its colours (Shervashidze et al., JMLR 12, 2011).

Colours are whole numbers that mean the same in every graph of a table. A multiset is named by the sum of mixed 64-bit
words of its members: equal multisets get equal names always, different ones the same name with probability 2^-64.
"""

import numpy as np
from scipy import sparse

from livepapers.tasks.graphs import GraphTable

_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def neighbour_colours(table: GraphTable, *, rounds: int | None = None) -> np.ndarray:
    """1-WL: a node's colour is its own and the multiset of its neighbours', until nothing changes.

    Args:
        table: The graphs; node attributes are the first colours.
        rounds: How often; None: until the number of colours stands still.

    Returns:
        `[nodes]` int64 colours.
    """
    tails, heads = table.ends.T.reshape(-1), table.ends[:, ::-1].T.reshape(-1)
    link = np.zeros(len(table.ends), dtype=np.int64)
    if table.edges.shape[1]:
        link = row_numbers(table.edges)
    return refined(row_numbers(table.nodes), tails, heads, np.tile(link, 2), rounds=rounds)


def graph_colours(table: GraphTable, colours: np.ndarray) -> np.ndarray:
    """`[graphs]` int64: equal for graphs with the same multiset of node colours."""
    return np.unique(_sums(_mixed(colours), table.owner, len(table)), return_inverse=True)[1]


def collisions(table: GraphTable, colours: np.ndarray) -> int:
    """Pairs of graphs of equal size that the colours do not tell apart."""
    found = np.column_stack([table.sizes, graph_colours(table, colours)])
    counts = np.unique(found, axis=0, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def row_numbers(rows: np.ndarray) -> np.ndarray:
    """`[rows]` the number of each distinct row."""
    return np.unique(rows, axis=0, return_inverse=True)[1]


def subtree_kernel(table: GraphTable, *, rounds: int = 3) -> np.ndarray:
    """Common colours of 0 ... `rounds` refinements, as cosines: `[graphs, graphs]` with 1 on the diagonal."""
    parts = []
    for done in range(rounds + 1):
        colours = neighbour_colours(table, rounds=done)
        ones = np.ones(len(colours))
        parts.append(sparse.csr_array((ones, (table.owner, colours)), shape=(len(table), int(colours.max()) + 1)))
    counts = sparse.csr_array(sparse.hstack(parts))
    kernel = (counts @ counts.T).toarray()
    norm = np.sqrt(np.diag(kernel))
    return kernel / norm[:, None] / norm[None, :]


def refined(
    colours: np.ndarray, roots: np.ndarray, nodes: np.ndarray, link: np.ndarray, *, rounds: int | None
) -> np.ndarray:
    """Refine by multisets of (link, colour) over pairs (root, node), so many rounds or until nothing changes.

    Args:
        colours: `[nodes]` to start from.
        roots: `[pairs]` whose multiset a pair belongs to.
        nodes: `[pairs]` whose colour stands in it.
        link: `[pairs]` whole numbers.
        rounds: How often; None: until the number of colours stands still.
    """
    before = -1
    done = 0
    while (rounds is None and colours.max() != before) or (rounds is not None and done < rounds):
        before = int(colours.max())
        around = _sums(_mixed(_mixed(link) + colours[nodes].astype(np.uint64)), roots, len(colours))
        colours = np.unique(np.column_stack([colours.astype(np.uint64), around]), axis=0, return_inverse=True)[1]
        done += 1
    return colours


def _sums(words: np.ndarray, owner: np.ndarray, owners: int) -> np.ndarray:
    found = np.zeros(owners, dtype=np.uint64)
    np.add.at(found, owner, words)
    return found


def _mixed(values: np.ndarray) -> np.ndarray:
    """Words of 64 bits that look random (the finaliser of splitmix64); overflow is meant."""
    words = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(_ODD[0])
    words = (words ^ (words >> np.uint64(30))) * np.uint64(_ODD[1])
    words = (words ^ (words >> np.uint64(27))) * np.uint64(_ODD[2])
    return words ^ (words >> np.uint64(31))
