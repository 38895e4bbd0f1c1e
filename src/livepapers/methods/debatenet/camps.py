"""Polarisation: the best split of a network into two camps, by signed modularity (section 3.6).

Q(g) = sum over pairs in one camp of (W+ - d+ d+' / 2m+) - (W- - d- d-' / 2m-), over 2m+ + 2m-. Without conflict that
is Newman's modularity of the congruence network; conflict between the camps raises it, conflict inside lowers it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from livepapers.core.errors import InputError
from livepapers.methods.debatenet.counting import size_of, without_zeros
from livepapers.methods.debatenet.networks import OneMode
from livepapers.methods.debatenet.settings import SEARCHES, Search

MOST_EXACT = 16
"""Nodes up to which all splits are tried."""
_DENSE = 400  # nodes up to which the eigenvector is found in a dense matrix
_TIE = 1e-10  # gains this near are equal: the first by label is taken


@dataclass(frozen=True, eq=False)
class Polarisation:
    """The split that was found."""

    q: float  # signed modularity; 0 for a network without ties
    side: np.ndarray  # [nodes] int64: 0 the camp of the first node by label, 1 the other, -1 without a tie
    congruence: float  # modularity of the positive ties alone under this split
    conflict_between: float  # share of the weight of negative ties that lies between the camps; 0 without any


@dataclass(frozen=True, eq=False)
class _Modularity:
    """B as an operator: a sparse matrix minus two rank-one terms; rows sum to 0."""

    ties: sparse.csr_array
    vectors: np.ndarray  # [2, nodes] degrees of positive and negative ties
    scales: np.ndarray  # [2]
    total: float  # 2m+ + 2m-

    @classmethod
    def of(cls, positive: sparse.csr_array, negative: sparse.csr_array) -> "_Modularity":
        degrees = np.stack([np.asarray(part.sum(axis=1)).ravel() for part in (positive, negative)])
        sums = degrees.sum(axis=1)
        scales = np.divide(np.array([1.0, -1.0]), sums, out=np.zeros(2), where=sums > 0)
        return cls(sparse.csr_array(positive - negative), degrees, scales, float(sums.sum()))

    def times(self, x: np.ndarray) -> np.ndarray:
        return self.ties @ x - (self.vectors.T * self.scales) @ (self.vectors @ x)

    def row(self, i: int) -> np.ndarray:
        row = np.zeros(size_of(self.ties)[0])
        start, end = self.ties.indptr[i], self.ties.indptr[i + 1]
        row[self.ties.indices[start:end]] = self.ties.data[start:end]
        return row - self.vectors.T @ (self.scales * self.vectors[:, i])

    @property
    def diagonal(self) -> np.ndarray:
        return -(self.scales[:, None] * self.vectors**2).sum(axis=0)

    def quality(self, signs: np.ndarray) -> float:
        return float(signs @ self.times(signs)) / (2 * self.total) if self.total else 0.0


def polarisation(
    network: OneMode,
    conflict: OneMode | None = None,
    *,
    method: Search = "spectral",
    rng: np.random.Generator | None = None,
    restarts: int = 20,
) -> Polarisation:
    """The two camps of a debate, and how far they are apart.

    Args:
        network: Ties of congruence; without `conflict` of any kind, its negative weights then being the conflict.
        conflict: Ties of conflict among the same nodes.
        method: `spectral` takes signs from the leading eigenvector of B, then moves single nodes while that helps;
            `greedy` moves nodes from random splits and keeps the best; `exact` tries every split of up to 16 nodes
            with ties. Equally good moves go to the first node by label.
        rng: Of the random splits, needed by `greedy` only.
        restarts: Random splits.

    Raises:
        InputError: For an unknown method, `exact` on a large network, `greedy` without randomness, or two networks of
            different nodes.
    """
    if method not in SEARCHES:
        raise InputError.of("method", method, expected=f"one of {', '.join(SEARCHES)}")
    if conflict is not None and conflict.nodes != network.nodes:
        raise InputError.of("conflict", f"{len(conflict.nodes)} nodes", expected="the nodes of the network")
    against = -network.matrix if conflict is None else conflict.matrix
    parts = [without_zeros(sparse.csr_array(matrix.maximum(0))) for matrix in (network.matrix, against)]
    tied = np.flatnonzero(np.diff(parts[0].indptr) + np.diff(parts[1].indptr))
    side = np.full(len(network.nodes), -1)
    if not len(tied):
        return Polarisation(0.0, side, 0.0, 0.0)
    by_label = tied[np.argsort(np.array(network.nodes, dtype=object)[tied], kind="stable")]
    positive, negative = (sparse.csr_array(part[by_label][:, by_label]) for part in parts)
    modularity = _Modularity.of(positive, negative)
    signs = _search(modularity, method=method, rng=rng, restarts=restarts)
    signs = signs * signs[0]
    side[by_label] = (signs < 0).astype(np.int64)
    weight = float(negative.sum())
    between = (weight - float(signs @ (negative @ signs))) / 2
    alone = _Modularity.of(positive, sparse.csr_array(size_of(positive))).quality(signs)
    return Polarisation(modularity.quality(signs), side, alone, between / weight if weight else 0.0)


def _search(modularity: _Modularity, *, method: Search, rng: np.random.Generator | None, restarts: int) -> np.ndarray:
    nodes = size_of(modularity.ties)[0]
    if method == "exact":
        return _exact(modularity)
    if method == "spectral":
        starts = [np.where(_leading(modularity) < 0, -1.0, 1.0)]
    elif rng is None:
        raise InputError.of("rng", None, expected="a generator for the greedy search")
    else:
        starts = list(rng.choice([-1.0, 1.0], size=(restarts, nodes)))
    found = [_climb(modularity, start) for start in starts]
    return max(found, key=lambda signs: round(modularity.quality(signs), 12))  # the first of equals


def _exact(modularity: _Modularity) -> np.ndarray:
    nodes = size_of(modularity.ties)[0]
    if nodes > MOST_EXACT:
        expected = f"at most {MOST_EXACT} nodes with ties"
        raise InputError.of("method exact", f"{nodes} nodes", expected=expected, cause="spectral takes any number")
    codes = np.arange(2 ** (nodes - 1))
    splits = 1.0 - 2.0 * (codes[:, None] >> np.arange(nodes)[None, :] & 1)[:, ::-1]  # the first node is always at 1
    quality = np.einsum("sn,ns->s", splits, modularity.times(splits.T))
    return splits[int(np.argmax(quality >= quality.max() - _TIE * max(modularity.total, 1e-300)))]


def _leading(modularity: _Modularity) -> np.ndarray:
    """The eigenvector of B's largest eigenvalue, its largest entry positive."""
    nodes = size_of(modularity.ties)[0]
    if nodes <= _DENSE:
        vector = np.linalg.eigh(modularity.times(np.eye(nodes)))[1][:, -1]
    else:
        size = nodes, nodes
        operator = LinearOperator(size, matvec=modularity.times, dtype=np.float64)  # pyright: ignore[reportCallIssue]
        start = np.cos(np.arange(nodes, dtype=np.float64))  # any fixed vector: the result must not depend on chance
        vector = eigsh(operator, k=1, which="LA", v0=start)[1][:, 0]
    vector = np.where(np.abs(vector) < 1e-9 * np.abs(vector).max(), 0.0, vector)
    return vector * np.sign(vector[np.argmax(np.abs(vector))])


def _climb(modularity: _Modularity, signs: np.ndarray) -> np.ndarray:
    """Move the node that gains most to the other camp, until none gains."""
    signs = signs.copy()
    field = modularity.times(signs)
    own = modularity.diagonal
    while True:
        gain = -signs * field + own  # half the change of signs B signs / 2 when a node moves
        best = float(gain.max())
        if best <= _TIE * max(modularity.total, 1e-300):
            return signs
        node = int(np.argmax(gain >= best - _TIE * modularity.total))
        field -= 2 * signs[node] * modularity.row(node)
        signs[node] = -signs[node]


def camp_agreement(one: np.ndarray, two: np.ndarray) -> float:
    """Share of nodes that two splits into two camps place alike, under the better matching of camps; -1 is left out."""
    both = (one >= 0) & (two >= 0)
    if not both.any():
        return 0.0
    same = float(np.mean(one[both] == two[both]))
    return max(same, 1 - same)
