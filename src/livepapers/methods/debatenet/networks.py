"""Affiliation networks and one-mode networks of actors or concepts (sections 3.2 to 3.4)."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from livepapers.core.errors import InputError
from livepapers.methods.debatenet.counting import (
    Counts,
    added,
    product,
    row_of_each,
    size_of,
    ties,
    without_diagonal,
    without_zeros,
)
from livepapers.methods.debatenet.settings import (
    AGGREGATES,
    NETTINGS,
    NORMALISATIONS,
    TWO_MODE_AGGREGATES,
    TWO_MODE_NORMALISATIONS,
    Mode,
    Netting,
    OneModeAggregate,
    OneModeNormalisation,
    TwoModeAggregate,
    TwoModeNormalisation,
)
from livepapers.tasks.statements import NO_GROUP, Scope, Statements

Layer = Literal["support", "reject", "conflict"]
COMBINED = ("none", "support", "reject", "mixed")
"""What the values 0 to 3 of a combined affiliation network mean."""


@dataclass(frozen=True, eq=False)
class TwoMode:
    """An affiliation network: actors in rows, concepts in columns."""

    actors: tuple[str, ...]
    concepts: tuple[str, ...]
    groups: tuple[str, ...]  # of the actors
    matrix: sparse.csr_array  # [actors, concepts] float64
    aggregate: TwoModeAggregate
    normalise: TwoModeNormalisation

    def to_frame(self) -> pd.DataFrame:
        """Its ties: actor, concept, weight (or position, for a combined network)."""
        ties = self.matrix.tocoo()
        order = np.lexsort((ties.col, ties.row))
        rows, columns, values = ties.row[order], ties.col[order], ties.data[order]
        frame = pd.DataFrame({"actor": _named(self.actors, rows), "concept": _named(self.concepts, columns)})
        if self.aggregate == "combine":
            return frame.assign(position=_named(COMBINED, values.astype(np.int64)))
        return frame.assign(weight=values)


@dataclass(frozen=True, eq=False)
class OneMode:
    """A network of actors, or of concepts: an undirected tie is in the matrix twice, no node is tied to itself."""

    nodes: tuple[str, ...]
    groups: tuple[str, ...]  # of the nodes; NO_GROUP for concepts
    matrix: sparse.csr_array  # [nodes, nodes] float64, symmetric
    counts: Counts  # that were projected, after netting
    mode: Mode
    aggregate: OneModeAggregate
    netting: Netting
    normalise: OneModeNormalisation

    @cached_property
    def layers(self) -> Mapping[Layer, sparse.csr_array]:
        """Raw ties `[nodes, nodes]` by what they rest on: common support, common rejection, conflict (section 3.4).

        Raises:
            InputError: For qualifiers without signs.
        """
        support, reject = self.counts.sides()
        across = product(support, reject)
        found: dict[Layer, sparse.csr_array] = {
            "support": product(support, support), "reject": product(reject, reject),
            "conflict": sparse.csr_array(across + across.T),
        }  # fmt: skip
        return {name: without_diagonal(matrix) for name, matrix in found.items()}

    @cached_property
    def degree(self) -> np.ndarray:
        """`[nodes]` number of ties."""
        return np.diff(self.matrix.indptr)

    def select(self, kept: np.ndarray) -> "OneMode":
        """The induced network of a mask `[nodes]` or of indices."""
        places = np.flatnonzero(kept) if kept.dtype == bool else kept
        tensor = tuple(sparse.csr_array(matrix[places]) for matrix in self.counts.tensor)
        counts = Counts(tensor, self.counts.levels, self.counts.total[places])
        return dataclasses.replace(
            self, nodes=_picked(self.nodes, places), groups=_picked(self.groups, places), counts=counts,
            matrix=sparse.csr_array(self.matrix[places][:, places]),
        )  # fmt: skip

    def filtered(self, *, weight: float = 0.0, degree: int = 0, isolates: bool = True) -> "OneMode":
        """Ties of at least this absolute weight, then nodes of at least this degree; isolates kept or not."""
        heavy = self.matrix.copy()
        heavy.data[np.abs(heavy.data) < weight] = 0
        made = dataclasses.replace(self, matrix=without_diagonal(heavy))
        made = made.select(made.degree >= degree) if degree else made
        return made if isolates else made.select(made.degree > 0)

    def core(self, ties: int) -> "OneMode":
        """The network among the nodes with at least this many agreeing (positive) ties (section 3.5)."""
        agreeing = np.bincount(row_of_each(self.matrix)[self.matrix.data > 0], minlength=len(self.nodes))
        return self.select(agreeing >= ties)

    def to_frame(self) -> pd.DataFrame:
        """Its ties, each once: a, b (a before b by label), weight, and the raw layers where there are signs."""
        upper = sparse.triu(self.matrix, k=1).tocsr()
        rows, columns = row_of_each(sparse.csr_array(upper)), upper.indices
        frame = pd.DataFrame({"a": _named(self.nodes, rows), "b": _named(self.nodes, columns), "weight": upper.data})
        if any(isinstance(level, str) for level in self.counts.levels):
            return frame
        return frame.assign(**{name: _at(matrix, rows, columns) for name, matrix in self.layers.items()})


def affiliation(
    statements: Statements,
    *,
    aggregate: TwoModeAggregate = "subtract",
    normalise: TwoModeNormalisation = "none",
    duplicates: Scope = "include",
    everyone: bool = False,
) -> TwoMode:
    """Who holds what position on what (section 3.2).

    Args:
        statements: Of one window.
        aggregate: `ignore` counts statements, `subtract` those for minus those against, `combine` says 1 for support,
            2 for rejection and 3 for both.
        normalise: `activity` divides by an actor's statements, `prominence` by a concept's; all of them, also where
            opposite ones cancel.
        duplicates: Within what an equal statement counts once.
        everyone: Whether actors and concepts without a statement here are kept.

    Raises:
        InputError: For an unknown option, or `combine` with a normalisation.
    """
    _known("aggregate", aggregate, TWO_MODE_AGGREGATES)
    _known("normalise", normalise, TWO_MODE_NORMALISATIONS)
    if aggregate == "combine" and normalise != "none":
        raise InputError.of("normalise", normalise, expected="none", cause="combined positions are no quantities")
    statements = statements.dedupe(duplicates)
    counts, codes = Counts.of(statements, "actor", everyone=everyone)
    concepts = np.arange(len(statements.labels["concept"])) if everyone else statements.present("concept")
    all_kinds = added(counts.tensor)
    if aggregate == "ignore":
        matrix = all_kinds
    elif aggregate == "subtract":
        matrix = counts.net()
    else:
        support, reject = counts.sides()
        support.data, reject.data = np.ones(support.nnz), np.full(reject.nnz, 2.0)
        matrix = added([support, reject])
    said = counts.total if normalise == "activity" else np.asarray(all_kinds.sum(axis=0)).ravel()
    if normalise != "none":
        factors = sparse.diags_array(np.divide(1.0, said, out=np.zeros(len(said)), where=said > 0))
        matrix = factors @ matrix if normalise == "activity" else matrix @ factors
    return TwoMode(
        _picked(statements.labels["actor"], codes), _picked(statements.labels["concept"], concepts),
        _groups(statements, codes), without_zeros(sparse.csr_array(sparse.csr_array(matrix)[:, concepts])),
        aggregate, normalise,
    )  # fmt: skip


def project(
    statements: Statements,
    mode: Mode = "actor",
    *,
    aggregate: OneModeAggregate = "subtract",
    normalise: OneModeNormalisation = "none",
    netting: Netting = "statement",
    duplicates: Scope = "include",
    everyone: bool = False,
) -> OneMode:
    """Who agrees with whom on what, or what is asked for together by whom (sections 3.3 and 3.4).

    Args:
        statements: Of one window. An empty window gives an empty network.
        mode: Nodes are actors tied through concepts, or concepts tied through actors.
        aggregate: `congruence`, `conflict`, their difference `subtract`, or `ignore`, which throws signs away.
        normalise: See `normalised`.
        netting: Whether statements are multiplied as counted (Discourse Network Analyzer), or what an actor says for
            and against a concept is netted first (the paper's own package).
        duplicates: Within what an equal statement counts once.
        everyone: Whether nodes without a statement here are kept, as isolates.

    Raises:
        InputError: For an unknown option, or signs asked of texts.
    """
    if mode not in ("actor", "concept"):
        raise InputError.of("mode", mode, expected="actor or concept")
    _known("aggregate", aggregate, AGGREGATES)
    _known("normalise", normalise, NORMALISATIONS)
    _known("netting", netting, NETTINGS)
    statements = statements.dedupe(duplicates)
    counted, codes = Counts.of(statements, mode, everyone=everyone)
    counts = counted.with_netting(netting)
    matrix = normalised(ties(counts, aggregate), counts, normalise=normalise, signed=aggregate != "ignore")
    groups = _groups(statements, codes) if mode == "actor" else (NO_GROUP,) * len(codes)
    names = _picked(statements.labels[mode], codes)
    return OneMode(names, groups, matrix, counts, mode, aggregate, netting, normalise)


def normalised(
    matrix: sparse.csr_array, counts: Counts, *, normalise: OneModeNormalisation, signed: bool = True
) -> sparse.csr_array:
    """Ties divided pair by pair; a divisor of 0 gives 0 (section 3.3).

    Args:
        matrix: `[nodes, nodes]` raw ties.
        counts: What they were made of.
        normalise: `average`: by the mean number of statements of the two, before netting; `jaccard`: by
            m10 + m01 + m11, m10 being a's statements in cells (shared item, level) that b does not use and m11 the
            sum of products over cells that both use; `cosine`: by the product of the vectors' lengths;
            `cosine_count`: by the product of the numbers of statements, which Discourse Network Analyzer calls
            cosine.
        signed: Whether `cosine` measures vectors over cells, or over items with levels summed.
    """
    if normalise == "none" or not matrix.nnz:
        return matrix
    rows, columns = row_of_each(matrix), matrix.indices
    if normalise == "average":
        divisor = (counts.total[rows] + counts.total[columns]) / 2
    elif normalise == "cosine_count":
        divisor = counts.total[rows] * counts.total[columns]
    elif normalise == "cosine":
        cells = counts.cells() if signed else added(counts.tensor)
        length = np.sqrt(np.asarray(cells.multiply(cells).sum(axis=1)).ravel())
        divisor = length[rows] * length[columns]
    else:
        divisor = _jaccard(counts.cells(), rows, columns)
    made = matrix.copy()
    made.data = np.divide(made.data, divisor, out=np.zeros_like(made.data), where=divisor > 0)
    return without_zeros(made)


def _jaccard(cells: sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """m10 + m01 + m11 of each pair."""
    used = cells.copy()
    used.data = np.ones_like(used.data)
    in_common = product(cells, used)  # [a, b] a's statements in cells that b uses
    total = np.asarray(cells.sum(axis=1)).ravel()
    alone = total[rows] - _at(in_common, rows, columns) + total[columns] - _at(in_common, columns, rows)
    return alone + _at(product(cells, cells), rows, columns)


def nslice(statements: Statements, n: int = 2) -> TwoMode:
    """What actors said on at least n days more on one side than on the other ("twoslice", section 3.5).

    Equal statements count once a day; the weight is support minus rejection; weights below n in size are left out.
    """
    if n < 1:
        raise InputError.of("n", n, expected="a whole number >= 1")
    made = affiliation(statements, aggregate="subtract", duplicates="day")
    matrix = made.matrix.copy()
    matrix.data[np.abs(matrix.data) < n] = 0
    return dataclasses.replace(made, matrix=without_zeros(matrix))


def cooccurrence(statements: Statements) -> OneMode:
    """Concepts named in the same documents; the weight is the number of documents."""
    if not len(statements):
        return project(statements, "concept", aggregate="ignore")
    sizes = (len(statements.labels["document"]), len(statements.labels["concept"]))
    keys = np.ravel_multi_index((statements.document, statements.concept), sizes)
    once = statements.select(np.unique(keys, return_index=True)[1])
    shared = dataclasses.replace(
        once, actor=once.document, labels={**once.labels, "actor": once.labels["document"]},
        level=np.zeros(len(once), dtype=np.int64), levels=(1.0,),
    )  # fmt: skip
    return project(shared, "concept", aggregate="ignore")


def _known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError.of(name, value, expected=f"one of {', '.join(known)}")


def _groups(statements: Statements, codes: np.ndarray) -> tuple[str, ...]:
    labels = (*statements.labels["group"], NO_GROUP)  # the code -1 is the last
    return tuple(labels[code] for code in statements.actor_groups[codes].tolist())


def _at(matrix: sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """`[pairs]` values of a matrix at pairs of places."""
    ordered = matrix.sorted_indices()
    width = size_of(ordered)[1]
    keys = row_of_each(ordered).astype(np.int64) * width + ordered.indices
    wanted = rows.astype(np.int64) * width + columns
    place = np.searchsorted(keys, wanted)
    found = np.zeros(len(wanted))
    inside = place < len(keys)
    hit = inside.copy()
    hit[inside] = keys[place[inside]] == wanted[inside]
    found[hit] = ordered.data[place[hit]]
    return found


def _named(names: tuple[str, ...], places: np.ndarray) -> np.ndarray:
    return np.array(names, dtype=object)[places]


def _picked(names: tuple[str, ...], places: np.ndarray) -> tuple[str, ...]:
    return tuple(names[place] for place in places.tolist())
