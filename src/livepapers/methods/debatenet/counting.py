"""Counts of statements by actor, concept and qualifier, and how they multiply into ties.

A = (A_1 ... A_L) is the tensor of counts, one sparse matrix `[nodes, shared]` for each level of the qualifier. A tie
between a and b is sum over shared, k, l of A_k[a] A_l[b] K[k, l]; the kernel K says what is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy import sparse

from livepapers.core.errors import InputError
from livepapers.methods.debatenet.settings import Mode, Netting, OneModeAggregate
from livepapers.tasks.statements import Level, Statements

DENSE_ADVANTAGE = 40
"""How many times faster a multiplication is in a dense product than in a sparse one (measured: 30 to 60)."""
_BLOCK = 32_000_000  # elements of a dense block of the result


@dataclass(frozen=True, eq=False)
class Counts:
    """The tensor of counts over the nodes of one mode, the other mode being shared."""

    tensor: tuple[sparse.csr_array, ...]  # [nodes, shared] float64 for each level
    levels: tuple[Level, ...]
    total: np.ndarray  # [nodes] float64: statements, before any netting

    @classmethod
    def of(cls, statements: Statements, mode: Mode, *, everyone: bool = False) -> tuple["Counts", np.ndarray]:
        """Count statements; also the codes of the nodes, those that occur or, with `everyone`, all that have labels."""
        shared: Mode = "concept" if mode == "actor" else "actor"
        codes = statements.codes(mode)
        nodes = np.arange(len(statements.labels[mode])) if everyone else statements.present(mode)
        place = np.zeros(len(statements.labels[mode]), dtype=np.int64)
        place[nodes] = np.arange(len(nodes))
        shape = (len(nodes), len(statements.labels[shared]))
        tensor = []
        for level in range(len(statements.levels)):
            rows = statements.level == level
            entries = (statements.weight[rows], (place[codes[rows]], statements.codes(shared)[rows]))
            tensor.append(sparse.csr_array(entries, shape=shape))  # equal cells are summed
        total = np.bincount(place[codes], weights=statements.weight, minlength=len(nodes))
        return cls(tuple(tensor), statements.levels, total), nodes

    @property
    def signs(self) -> np.ndarray:
        """`[levels]` -1, 0 or 1; raises `InputError` for texts."""
        if any(isinstance(level, str) for level in self.levels):
            raise InputError.of("qualifier", "texts", expected="signs or numbers", cause="texts have no opposite")
        return np.sign(np.array(self.levels, dtype=np.float64))

    def net(self) -> sparse.csr_array:
        """M `[nodes, shared]`: statements for minus statements against (section 3.4, step 1)."""
        parts = [sign * matrix for sign, matrix in zip(self.signs, self.tensor, strict=True)]
        return added(parts)

    def netted(self) -> "Counts":
        """The tensor after netting by node and shared item: P = max(M, 0) and -N = max(-M, 0), signs as levels.

        Who has supported a measure as often as rejected it then holds no position on it.
        """
        net = self.net()
        support, reject = net.copy(), net.copy()
        support.data, reject.data = np.maximum(net.data, 0), -np.minimum(net.data, 0)
        return Counts((without_zeros(reject), without_zeros(support)), (-1.0, 1.0), self.total)

    def with_netting(self, netting: Netting) -> "Counts":
        """The counts themselves, or netted."""
        return self.netted() if netting == "actor_concept" else self

    def cells(self) -> sparse.csr_array:
        """`[nodes, shared * levels]` all cells of the tensor side by side."""
        return sparse.csr_array(sparse.hstack(self.tensor, format="csr"))

    def sides(self) -> tuple[sparse.csr_array, sparse.csr_array]:
        """(support, rejection), each `[nodes, shared]`: statements of positive and of negative levels."""
        parts = [(m * float(sign == 1), m * float(sign == -1)) for sign, m in zip(self.signs, self.tensor, strict=True)]
        support, reject = (added(side) for side in zip(*parts, strict=True))
        return support, reject

    def mixed(self) -> int:
        """Pairs of a node and an item with statements both for and against."""
        support, reject = self.sides()
        return int(support.multiply(reject).nnz)

    @property
    def shape(self) -> tuple[int, int]:
        """(nodes, shared items)."""
        return size_of(self.tensor[0])


def kernel(levels: tuple[Level, ...], aggregate: OneModeAggregate) -> np.ndarray:
    """K `[levels, levels]`: how much two statements on one concept agree, conflict, both, or their difference.

    Congruence 1 - |l - l'| / range and conflict |l - l'| / range for numbers; for two values that is equal and
    unequal. Texts agree when they are equal and have no conflict.

    Raises:
        InputError: For conflict between texts.
    """
    size = len(levels)
    if aggregate == "ignore":
        return np.ones((size, size))
    if any(isinstance(level, str) for level in levels):
        if aggregate != "congruence":
            cause = "a text is no opposite of another"
            raise InputError.of("aggregate", aggregate, expected="congruence or ignore for texts", cause=cause)
        return np.eye(size)
    numbers = np.array(levels, dtype=np.float64)
    apart = np.abs(numbers[:, None] - numbers[None, :]) / max(float(np.ptp(numbers)), 1e-300)
    kinds: dict[str, np.ndarray] = {"congruence": 1 - apart, "conflict": apart, "subtract": 1 - 2 * apart}
    return kinds[aggregate]


def ties(counts: Counts, aggregate: OneModeAggregate) -> sparse.csr_array:
    """W `[nodes, nodes]`: the tensor multiplied with itself through the kernel of `aggregate`; the diagonal is 0."""
    factors = kernel(counts.levels, aggregate)
    if aggregate == "ignore" or (aggregate == "subtract" and len(counts.levels) == 2):  # K = f f^T: one product
        profile = _combined(counts.tensor, factors[-1])
        return without_diagonal(product(profile, profile))
    mixed = [_combined(counts.tensor, row) for row in factors]
    return without_diagonal(product(counts.cells(), sparse.csr_array(sparse.hstack(mixed, format="csr"))))


def _combined(tensor: tuple[sparse.csr_array, ...], factors: np.ndarray) -> sparse.csr_array:
    parts = [float(factor) * matrix for factor, matrix in zip(factors, tensor, strict=True) if factor]
    return added(parts) if parts else sparse.csr_array(size_of(tensor[0]))


def product(left: sparse.csr_array, right: sparse.csr_array) -> sparse.csr_array:
    """Products of rows, left right^T `[n, m]`: sparse or, where that is faster, in dense blocks of rows."""
    (rows, inner), others = size_of(left), size_of(right)[0]
    sparse_work = float(_used(left) @ _used(right))
    if sparse_work * DENSE_ADVANTAGE < float(rows) * others * inner:
        return sparse.csr_array(left @ right.T)
    factor = right.toarray().T
    step = max(1, _BLOCK // max(others, 1))
    blocks = [sparse.csr_array(left[start : start + step].toarray() @ factor) for start in range(0, rows, step)]
    return sparse.csr_array(sparse.vstack(blocks, format="csr")) if blocks else sparse.csr_array((0, others))


def _used(matrix: sparse.csr_array) -> np.ndarray:
    """`[columns]` nonzero entries of each column."""
    return np.bincount(matrix.indices, minlength=size_of(matrix)[1]).astype(np.float64)


def size_of(matrix: sparse.csr_array) -> tuple[int, int]:
    """(rows, columns)."""
    rows, columns = matrix.shape or (0, 0)
    return int(rows), int(columns)


def row_of_each(matrix: sparse.csr_array) -> np.ndarray:
    """`[nonzeros]` the row of each stored value."""
    return np.repeat(np.arange(size_of(matrix)[0]), np.diff(matrix.indptr))


def added(parts: Sequence[sparse.csr_array]) -> sparse.csr_array:
    """The sum of matrices of one shape, without stored zeros."""
    return without_zeros(reduce(lambda one, two: sparse.csr_array(one + two), parts))


def without_diagonal(matrix: sparse.csr_array) -> sparse.csr_array:
    """A square matrix with its diagonal and its stored zeros taken out."""
    made = matrix.copy()
    made.data[row_of_each(matrix) == matrix.indices] = 0
    return without_zeros(made)


def without_zeros(matrix: sparse.csr_array) -> sparse.csr_array:
    """A matrix without stored zeros, its columns in order."""
    made = sparse.csr_array(matrix)
    made.eliminate_zeros()
    made.sort_indices()
    return made
