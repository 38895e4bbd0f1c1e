"""Scores of open triangles: the larger, the likelier the three nodes meet as a whole (section 3.4).

Every score is a function of the old data alone and symmetric in the three nodes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import linalg as sparse_linalg

from livepapers.core.errors import InputError
from livepapers.methods.simplicial_closure.triangles import Skeleton, list_open
from livepapers.tasks.hypergraphs import TemporalSimplices

MEANS = ("harmonic", "geometric", "arithmetic")
LOCAL = ("common", "jaccard", "adamic_adar", "proj_pa", "simplex_pa")
WALKS = ("katz", "katz_weighted", "ppr", "ppr_weighted")
SIMPLICIAL = ("simplicial_ppr", "simplicial_ppr_gradient", "simplicial_ppr_curl", "simplicial_ppr_harmonic")
SCORES = (*MEANS, *LOCAL, *WALKS, *SIMPLICIAL)
"""The named scores; "gm:p" with a number p, or inf or -inf, is the generalised mean of order p."""

DAMPING = 0.85  # alpha of both PageRanks
KATZ_SHARE = 0.25
DENSE_NODES = 3_000  # exact inverse up to here, iteration to TOLERANCE beyond
DENSE_EDGES = 12_000  # an edges x edges matrix in single precision has 0.6 GB
TOLERANCE = 1e-4
_CHUNK = 4_000_000  # array elements handled at once


@dataclass(frozen=True, eq=False)
class OldData:
    """What scores may look at: the old simplices' projection, degrees and closed triangles, and the open triangles."""

    simplices: TemporalSimplices
    triangles: np.ndarray  # [triangles, 3] nodes; all open in `simplices`

    @classmethod
    def of(cls, simplices: TemporalSimplices) -> "OldData":
        """All open triangles of `simplices`."""
        weights = simplices.projected()
        skeleton = Skeleton.of(weights)
        triangles, sides = list_open(simplices, skeleton=skeleton)
        made = cls(simplices, triangles)
        made.__dict__.update(weights=weights, skeleton=skeleton, sides=sides)  # the cached properties of these names
        return made

    @cached_property
    def weights(self) -> sparse.csr_array:
        """W, `[nodes, nodes]` int32."""
        return self.simplices.projected()

    @cached_property
    def skeleton(self) -> Skeleton:
        """The projected graph's edges."""
        return Skeleton.of(self.weights)

    @cached_property
    def degree(self) -> np.ndarray:
        """`[nodes]` float64 number of neighbours."""
        return np.diff(self.weights.indptr).astype(np.float64)

    @cached_property
    def simplex_degree(self) -> np.ndarray:
        """`[nodes]` float64 number of simplices."""
        return np.bincount(self.simplices.members, minlength=self.simplices.nodes).astype(np.float64)

    @cached_property
    def sides(self) -> np.ndarray:
        """`[triangles, 3]` the skeleton's edges ij, jk, ik of each triangle."""
        ranks = self.skeleton.rank[self.triangles]
        pairs = [np.sort(ranks[:, pair], axis=1) for pair in ([0, 1], [1, 2], [0, 2])]
        return np.column_stack([self.skeleton.edge(pair[:, 0], pair[:, 1]) for pair in pairs])

    @cached_property
    def tie_weights(self) -> np.ndarray:
        """`[triangles, 3]` float64 W_ij, W_jk, W_ik."""
        return self.skeleton.weights[self.sides].astype(np.float64)

    @cached_property
    def shared(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Common neighbours: of each side's ends `[triangles, 3]`, of all three `[triangles]`, its Adamic-Adar sum."""
        return _common_neighbours(self)


def score(old: OldData, name: str, *, damping: float = DAMPING, katz_share: float = KATZ_SHARE) -> np.ndarray:
    """The scores of the open triangles under one of `SCORES` or "gm:p": `[triangles]` float64.

    Args:
        old: The old data with its open triangles.
        name: The score.
        damping: alpha of the PageRanks.
        katz_share: Katz: beta times the largest singular value, at most.

    Raises:
        InputError: For an unknown name, or a Hodge part of a graph with more than `DENSE_EDGES` edges.
    """
    if not len(old.triangles):
        return np.zeros(0)
    if name in MEANS or name.startswith("gm:"):
        return generalised_mean(old.tie_weights, _order(name))
    if name in LOCAL:
        return _local(old, name)
    if name in WALKS:
        return _walk(old, name, damping=damping, katz_share=katz_share)
    if name in SIMPLICIAL:
        return _simplicial_pagerank(old, name, damping=damping)
    raise InputError.of("score", name, expected=f"one of {', '.join(SCORES)}, or gm:p")


def generalised_mean(weights: np.ndarray, order: float) -> np.ndarray:
    """M_p of the tie strengths, the paper's local score: `[triangles, 3]` positive -> `[triangles]`.

    p = -1 is the harmonic, 0 the geometric, 1 the arithmetic mean; -inf and inf are minimum and maximum.
    """
    if np.isneginf(order):
        return weights.min(axis=1)
    if np.isposinf(order):
        return weights.max(axis=1)
    if order == 0:
        return np.cbrt(weights.prod(axis=1))
    unit = (weights.max if order > 0 else weights.min)(axis=1)  # keeps the powers below 1 for any order
    return unit * ((weights / unit[:, None]) ** order).mean(axis=1) ** (1 / order)


def _order(name: str) -> float:
    if name in MEANS:
        return {"harmonic": -1.0, "geometric": 0.0, "arithmetic": 1.0}[name]
    if re.fullmatch(r"gm:[+-]?(inf|\d+(\.\d*)?|\.\d+)", name):
        return float(name[3:])
    raise InputError.of("score", name, expected="gm: and a number, inf or -inf")


def _local(old: OldData, name: str) -> np.ndarray:
    if name == "proj_pa":
        return old.degree[old.triangles].prod(axis=1)
    if name == "simplex_pa":
        return old.simplex_degree[old.triangles].prod(axis=1)
    pairs, all_three, adamic_adar = old.shared
    if name == "common":
        return all_three
    if name == "adamic_adar":
        return adamic_adar
    return all_three / (old.degree[old.triangles].sum(axis=1) - pairs.sum(axis=1) + all_three)


def _common_neighbours(old: OldData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    adjacent = sparse.csr_array(old.weights > 0, dtype=np.float64)
    # 1 / ln d; a common neighbour of three joined nodes has degree >= 3, so no logarithm vanishes where it counts
    rarity = np.divide(1, np.log(np.maximum(old.degree, 2)))
    ends = old.skeleton.order[np.column_stack([old.skeleton.tails, old.skeleton.heads])]
    used = np.unique(old.sides)
    pairs = np.zeros(len(ends))
    all_three, adamic_adar = np.zeros(len(old.triangles)), np.zeros(len(old.triangles))
    for part in _portions(old.degree[ends[used]].sum(axis=1)):
        chosen = used[part]
        pairs[chosen] = adjacent[ends[chosen, 0]].multiply(adjacent[ends[chosen, 1]]).sum(axis=1)
    for part in _portions(old.degree[old.triangles].sum(axis=1)):
        i, j, k = old.triangles[part].T
        both = sparse.csr_array(adjacent[i].multiply(adjacent[j]).multiply(adjacent[k]))
        all_three[part] = both.sum(axis=1)
        adamic_adar[part] = both @ rarity
    return pairs[old.sides], all_three, adamic_adar


def _portions(costs: np.ndarray) -> Iterator[slice]:
    """Consecutive slices of rows whose costs add up to a few million each."""
    ends = np.cumsum(costs)
    start = 0
    while start < len(costs):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        yield slice(start, stop)
        start = stop


def _walk(old: OldData, name: str, *, damping: float, katz_share: float) -> np.ndarray:
    """Katz and personalised PageRank: the sum of S over the six ordered pairs."""
    matrix = sparse.csr_array(old.weights, dtype=np.float64)
    if not name.endswith("_weighted"):
        matrix.data[:] = 1
    if name.startswith("katz"):
        series, scale = matrix * katz_damping(matrix, share=katz_share), 1.0
    else:
        total = np.asarray(matrix.sum(axis=0)).ravel()
        per_column = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        series, scale = matrix @ sparse.diags_array(per_column) * damping, 1 - damping
    nodes, local = np.unique(old.triangles, return_inverse=True)
    local = local.reshape(-1, 3)
    columns = _resolvent(sparse.csr_array(series), nodes, tolerance=TOLERANCE * scale)
    # the identity that Katz subtracts is on the diagonal only, which no pair meets
    found = sum(columns[old.triangles[:, a], local[:, b]] for a in range(3) for b in range(3) if a != b)
    return np.asarray(found, dtype=np.float64) * scale


def katz_damping(matrix: sparse.csr_array, *, share: float = KATZ_SHARE) -> float:
    """Beta = min(share / sigma_1, 1/2), sigma_1 the largest singular value of the symmetric `matrix`."""
    size = len(matrix.indptr) - 1
    if size <= DENSE_NODES:
        largest = float(np.abs(linalg.eigvalsh(matrix.toarray())).max())
    else:
        start = np.ones(size)  # a fixed start vector: results must not depend on a hidden random state
        largest = float(np.abs(sparse_linalg.eigsh(matrix, k=1, which="LM", v0=start, return_eigenvectors=False))[0])
    return min(share / largest, 0.5)


def _resolvent(matrix: sparse.csr_array, wanted: np.ndarray, *, tolerance: float) -> np.ndarray:
    """Columns `wanted` of (I - M)^-1, `[nodes, wanted]`; M has spectral radius below 1."""
    size = len(matrix.indptr) - 1
    if size <= DENSE_NODES:
        return linalg.inv(np.eye(size) - matrix.toarray())[:, wanted]
    unit = np.zeros((size, len(wanted)), dtype=np.float32)
    unit[wanted, np.arange(len(wanted))] = 1
    columns = unit.copy()
    single = sparse.csr_array(matrix, dtype=np.float32)
    change = np.inf
    while change >= tolerance:  # the spectral radius bounds the rounds: PageRank about 70, Katz about 7
        after = unit + single @ columns
        change = float(np.abs(after - columns).sum(axis=0).max())
        columns = after
    return columns


# ------------------------------------------------------------------------------------------------- simplicial PageRank


def hodge_operators(old: OldData) -> tuple[sparse.csr_array, sparse.csr_array, np.ndarray]:
    """G `[edges, nodes]`, C `[closed triangles, edges]` and the normaliser d `[edges]` of section 3.4.

    Edges point from the lower to the higher rank; scores take absolute values, so the orientation does not matter.
    """
    skeleton = old.skeleton
    edges = np.arange(len(skeleton.keys))
    sign = np.repeat([-1.0, 1.0], len(edges))
    ends = np.concatenate([skeleton.tails, skeleton.heads])
    gradient = sparse.csr_array((sign, (np.tile(edges, 2), ends)), shape=(len(edges), skeleton.nodes))
    rows = np.sort(skeleton.rank[old.simplices.subsets(3)[0]], axis=1)
    sides = [skeleton.edge(rows[:, a], rows[:, b]) for a, b in ((0, 1), (1, 2), (0, 2))]
    count = np.arange(len(rows))
    values = np.repeat([1.0, 1.0, -1.0], len(rows))
    curl = sparse.csr_array((values, (np.tile(count, 3), np.concatenate(sides))), shape=(len(rows), len(edges)))
    on_edge = np.bincount(np.concatenate(sides).astype(np.int64), minlength=len(edges))
    return gradient, curl, (skeleton.degree[skeleton.tails] + skeleton.degree[skeleton.heads] + on_edge).astype(float)


def _simplicial_pagerank(old: OldData, name: str, *, damping: float) -> np.ndarray:
    """Sum of |S_ef| over the ordered pairs of a triangle's edges, of S or of one of its Hodge parts."""
    edges = len(old.skeleton.keys)
    if edges > DENSE_EDGES:
        cause = "this score needs a dense edges x edges matrix; choose another one"
        raise InputError.of(f"score {name}", f"{edges} edges", expected=f"at most {DENSE_EDGES}", cause=cause)
    gradient, curl, normaliser = hodge_operators(old)
    spread = edge_pagerank(gradient, curl, normaliser, damping=damping)
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    rows = np.concatenate([old.sides[:, a] for a, _ in pairs])
    columns = np.concatenate([old.sides[:, b] for _, b in pairs])
    entries = spread[rows, columns].astype(np.float64)
    part = name.removeprefix("simplicial_ppr").removeprefix("_")
    along = _gradient_part(gradient, spread, rows=rows, columns=columns) if part in {"gradient", "harmonic"} else 0.0
    around = _curl_part(curl, spread, rows=rows, columns=columns) if part in {"curl", "harmonic"} else 0.0
    chosen = {"": entries, "gradient": along, "curl": around, "harmonic": entries - along - around}[part]
    return np.abs(chosen).reshape(6, -1).sum(axis=0)


def edge_pagerank(
    gradient: sparse.csr_array, curl: sparse.csr_array, normaliser: np.ndarray, *, damping: float = DAMPING
) -> np.ndarray:
    """S = b (b I + L)^-1 with L = (G G' + C' C) D^-1 and b = 1/alpha - 1, `[edges, edges]`.

    From a Cholesky factor of the symmetric form b I + D^-1/2 (G G' + C' C) D^-1/2, in single precision beyond
    `DENSE_NODES` edges: its condition number is below (b + 1) / b = 7, so the error stays far inside `TOLERANCE`.
    """
    teleport = 1 / damping - 1
    root = np.sqrt(normaliser)
    scale = sparse.diags_array(1 / root)
    kind = np.float32 if len(normaliser) > DENSE_NODES else np.float64
    laplacian = scale @ (gradient @ gradient.T + curl.T @ curl) @ scale
    dense = np.asfortranarray(laplacian.toarray(), dtype=kind)
    dense[np.diag_indices_from(dense)] += kind(teleport)
    factorise, invert = linalg.get_lapack_funcs(("potrf", "potri"), (dense,))
    factor, failed = factorise(dense, lower=False, overwrite_a=True)
    inverse, failed_too = invert(factor, lower=False, overwrite_c=True)
    if failed or failed_too:
        raise ArithmeticError("simplicial PageRank: the normalised Laplacian is not positive definite")
    inverse = np.triu(inverse)
    inverse += np.triu(inverse, 1).T
    inverse *= (teleport * root[:, None]).astype(kind)
    inverse *= (1 / root[None, :]).astype(kind)
    return inverse


def _gradient_part(
    gradient: sparse.csr_array, spread: np.ndarray, *, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Entries of G G^+ S: the part of each column that is a difference of node potentials."""
    potential = linalg.pinvh((gradient.T @ gradient).toarray()) @ (gradient.T @ spread)
    ends, signs = gradient.indices.reshape(-1, 2)[rows], gradient.data.reshape(-1, 2)[rows]
    return signs[:, 0] * potential[ends[:, 0], columns] + signs[:, 1] * potential[ends[:, 1], columns]


def _curl_part(curl: sparse.csr_array, spread: np.ndarray, *, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Entries of C' C'^+ S: the part of each column that circles around closed triangles."""
    found = np.zeros(len(rows))
    if not curl.nnz:
        return found
    gram = (curl @ curl.T).toarray()
    # filled tetrahedra make the Gram matrix singular; its other eigenvalues are far above this ridge
    gram[np.diag_indices_from(gram)] += 1e-9
    flow = linalg.cho_solve(linalg.cho_factor(gram, overwrite_a=True), curl @ spread.astype(np.float64))
    back = sparse.csr_array(curl.T)
    touched = np.diff(back.indptr)[rows]
    for slot in range(int(touched.max(initial=0))):
        has = touched > slot
        place = back.indptr[rows[has]] + slot
        found[has] += back.data[place] * flow[back.indices[place], columns[has]]
    return found
