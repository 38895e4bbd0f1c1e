"""Oracles of debatenet: loops over statements, all splits, margins, invariances and special cases."""

import dataclasses
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np

from livepapers.core.rng import numpy_generator
from livepapers.methods import debatenet as method
from livepapers.tasks.made_debates import two_camps
from livepapers.tasks.statements import Statements

Compared = tuple[Any, Any, float]
"""(value, expected, tolerance)."""


def _debate(seed: int = 0, *, actors: int = 9, statements: int = 80, loyalty: float = 0.75) -> Statements:
    rng = numpy_generator(seed, "oracles", "debate")
    return two_camps(rng, actors=actors, statements=statements, concepts=6, loyalty=loyalty)


def _by_pairs_of_statements(aggregate: str) -> Compared:
    """Every pair of statements of two actors on one concept counts once: a loop over all pairs of rows."""
    debate = _debate()
    made = method.project(debate, aggregate=aggregate)  # type: ignore[arg-type]
    place = {name: index for index, name in enumerate(made.nodes)}
    expected = np.zeros((len(place), len(place)))
    names, signs = debate.labels["actor"], np.array(debate.levels, dtype=float)[debate.level]
    for i, j in product(range(len(debate)), repeat=2):
        a, b = place[names[debate.actor[i]]], place[names[debate.actor[j]]]
        if a != b and debate.concept[i] == debate.concept[j]:
            equal = signs[i] == signs[j]
            expected[a, b] += {"congruence": equal, "conflict": not equal, "subtract": 2 * equal - 1}[aggregate]
    return made.matrix.toarray(), expected, 0.0


def _best_split() -> Compared:
    """The spectral search finds the modularity of the best of all splits of nine actors."""
    parts = [method.project(_debate(1), aggregate=kind) for kind in ("congruence", "conflict")]
    return method.polarisation(*parts).q, method.polarisation(*parts, method="exact").q, 1e-9


def _margins() -> Compared:
    """Permuted debates keep what each actor and each concept has of each sign in each month."""
    debate = _debate(2)
    made = method.permuted(debate, numpy_generator(0, "oracles", "permuted"))
    tables = []
    for one in (debate, made):
        month = one.period("month") - one.period("month").min()
        for column in (one.actor, one.concept):
            table = np.zeros((12, 2, 16))
            np.add.at(table, (month, one.level, column), 1)
            tables.append(table)
    return np.stack(tables[2:]), np.stack(tables[:2]), 0.0


def _relabelled(value: Callable[[Statements], float]) -> Compared:
    """The order of rows and the names of actors do not matter."""
    debate = _debate(3)
    rng = numpy_generator(3, "oracles", "relabel")
    names = rng.permutation(len(debate.labels["actor"]))
    other = Statements.from_columns(
        [f"n{names[code]}" for code in debate.actor], np.array(debate.labels["concept"], dtype=object)[debate.concept],
        np.array(debate.levels, dtype=float)[debate.level], day=debate.day,
        document=np.array(debate.labels["document"], dtype=object)[debate.document],
        group=np.array(debate.labels["group"], dtype=object)[debate.group],
    )  # fmt: skip
    return value(other.select(rng.permutation(len(other)))), value(debate), 1e-9


def _turned() -> Compared:
    """Who supports all that they rejected, everybody at once, agrees with the same people as before."""
    debate = _debate(4)
    turned = dataclasses.replace(debate, level=1 - debate.level)
    return method.project(turned).matrix.toarray(), method.project(debate).matrix.toarray(), 0.0


def _sum_is_ignore() -> Compared:
    """Congruence and conflict add up to the network without signs."""
    parts = {kind: method.project(_debate(5), aggregate=kind).matrix for kind in ("congruence", "conflict", "ignore")}
    return (parts["congruence"] + parts["conflict"]).toarray(), parts["ignore"].toarray(), 0.0


def _unmixed_is_netted() -> Compared:
    """Where nobody holds mixed statements, both definitions of agreement are one."""
    debate = _debate(6, loyalty=1.0)
    return (
        method.project(debate, netting="actor_concept").matrix.toarray(), method.project(debate).matrix.toarray(), 0.0
    )  # fmt: skip


def _cosine_is_bounded() -> Compared:
    """An actor's twin has cosine 1 with them."""
    debate = _debate(7)
    names = np.array(debate.labels["actor"], dtype=object)[debate.actor]
    concept = np.array(debate.labels["concept"], dtype=object)[debate.concept]
    signs = np.array(debate.levels, dtype=float)[debate.level]
    first = names == names[0]
    twin = Statements.from_columns(
        np.concatenate([names, np.full(first.sum(), "twin")]), np.concatenate([concept, concept[first]]),
        np.concatenate([signs, signs[first]]),
    )  # fmt: skip
    made = method.project(twin, aggregate="congruence", normalise="cosine")
    return made.matrix[made.nodes.index("twin"), made.nodes.index(names[0])], 1.0, 1e-12


def _found(seed: int, *, loyalty: float = 0.8, signed: bool = True) -> float:
    """Minus the share of actors whose camp is their party."""
    debate = _debate(seed, actors=40, statements=900, loyalty=loyalty)
    network = method.project(debate, aggregate="subtract" if signed else "ignore", normalise="average")
    party = np.array([group == "right" for group in network.groups], dtype=np.int64)
    return -method.camp_agreement(method.polarisation(network).side, party)


def _gap(seed: int, *, shuffled: bool) -> float:
    """Minus the mean tie within parties above that between them."""
    debate = _debate(seed, actors=40, statements=900)
    if shuffled:
        debate = method.permuted(debate, numpy_generator(seed, "oracles", "floor"))
    return -method.gap(debate, method.Config(duplicates="include"))


REFERENCES: Mapping[str, Callable[[], Compared]] = {
    "congruence by pairs of statements": lambda: _by_pairs_of_statements("congruence"),
    "conflict by pairs of statements": lambda: _by_pairs_of_statements("conflict"),
    "subtract by pairs of statements": lambda: _by_pairs_of_statements("subtract"),
    "best of all splits": _best_split,
    "margins of permuted debates": _margins,
}
INVARIANCES: Mapping[str, Callable[[], Compared]] = {
    "names and order, polarisation": lambda: _relabelled(lambda d: method.polarisation(method.project(d)).q),
    "names and order, gap": lambda: _relabelled(lambda d: method.gap(d, method.Config())),
    "all signs turned": _turned,
}
REDUCTIONS: Mapping[str, Callable[[], Compared]] = {
    "congruence and conflict add up to ignore": _sum_is_ignore,
    "without mixed statements netting changes nothing": _unmixed_is_netted,
    "a twin has cosine 1": _cosine_is_bounded,
}
LOSSES: Mapping[str, Callable[..., Any]] = {}
ABLATIONS: Mapping[str, Callable[[int], tuple[float, float]]] = {
    "signs thrown away": lambda seed: (_found(seed), _found(seed, signed=False)),
}
FLOORS: Mapping[str, Callable[[int], tuple[float, float]]] = {
    "a debate without camps": lambda seed: (_found(seed), _found(seed, loyalty=0.5)),
    "permuted debate": lambda seed: (_gap(seed, shuffled=False), _gap(seed, shuffled=True)),
}
