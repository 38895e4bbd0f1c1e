"""Whose surroundings are these? Ego networks of people in a hospital, a primary school and a high school.

Contacts are the face-to-face ones of SocioPatterns that `tasks.data` lists, 20 s each. A tie is a pair that was in
contact for long enough; a person's graph holds the person, everyone tied to them, and all ties among these. Nodes have
no attributes: the three sites have to be told apart by structure alone.
"""

import numpy as np
from scipy import sparse

from livepapers.core.errors import InputError
from livepapers.tasks.graphs import GraphTable

SITES = ("hospital", "primary-school", "high-school-2012")
SNAPSHOT = 20.0  # seconds


def ego_networks(texts: dict[str, str], *, minutes: float, fewest: int = 4) -> GraphTable:
    """One graph a person, classified by site.

    Args:
        texts: Site -> its contacts, lines "time i j ...".
        minutes: Of contact, in all, that make a tie.
        fewest: People of the smallest graph that is kept.

    Raises:
        InputError: For a text of another form, or a site without a single graph.
    """
    sizes: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    names: list[str] = []
    before = 0
    for number, (site, text) in enumerate(texts.items()):
        ties, people = _ties(text, where=site, snapshots=int(np.ceil(60 * minutes / SNAPSHOT)))
        around = sparse.csr_array(ties + sparse.eye_array(len(people), dtype=ties.dtype, format="csr"))
        kept = np.flatnonzero(np.diff(around.indptr) >= fewest)
        if not len(kept):
            raise InputError.of(
                site, "no ego network", expected=f"somebody with {fewest - 1} ties of {minutes} minutes"
            )
        members = sparse.csr_array(around[kept])
        members.sort_indices()
        pairs, count = _inside(members, ties)
        sizes.append(np.diff(members.indptr))
        ends.append(pairs + before)
        targets.append(np.full(len(kept), number))
        names += [f"{site} {people[ego]}" for ego in kept]
        before += count
    return GraphTable.of(
        np.concatenate(sizes), np.concatenate(ends), targets=np.concatenate(targets), names=names, classes=list(texts)
    )


def _ties(text: str, *, where: str, snapshots: int) -> tuple[sparse.csr_array, np.ndarray]:
    """The symmetric 0/1 matrix of ties, and what the people are called."""
    rows = [line.split(maxsplit=3)[:3] for line in text.splitlines() if line.strip()]
    try:
        pairs = np.array(rows, dtype=np.int64).reshape(len(rows), 3)[:, 1:]
    except ValueError:
        raise InputError.of(where, "another form", expected="lines time, i, j of whole numbers") from None
    people, numbers = np.unique(pairs, return_inverse=True)
    numbers = numbers.reshape(-1, 2)
    ones = np.ones(len(numbers), dtype=np.int64)
    contacts = sparse.csr_array((ones, (numbers[:, 0], numbers[:, 1])), shape=(len(people), len(people)))
    both = sparse.csr_array(contacts + contacts.T)
    both.setdiag(0)
    both.data = (both.data >= snapshots).astype(np.int64)
    both.eliminate_zeros()
    return both, people


def _inside(members: sparse.csr_array, ties: sparse.csr_array) -> tuple[np.ndarray, int]:
    """Ties among the members of each row, as node numbers of the union of all rows, and how many nodes that has."""
    place = members.copy()
    place.data = np.arange(len(members.indices)) + 1
    row = np.repeat(np.arange(len(members.indptr) - 1), np.diff(members.indptr))
    counts = np.diff(ties.indptr)[members.indices]
    tails = np.repeat(np.arange(len(row)), counts)
    starts = np.repeat(ties.indptr[members.indices] - np.cumsum(counts) + counts, counts)
    heads = ties.indices[starts + np.arange(len(tails))]
    found = np.asarray(place[row[tails], heads]).reshape(-1).astype(np.int64) - 1
    kept = found > tails  # each tie once, and only those to another member
    return np.column_stack([tails[kept], found[kept]]), len(row)
