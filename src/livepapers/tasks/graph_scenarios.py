"""What makes graph classification hard: wrong edges, rare classes, few labels; and the split that all models share."""

import re
from dataclasses import dataclass, replace

import numpy as np

from livepapers.core.errors import InputError
from livepapers.tasks.graphs import GraphTable

_SCENARIO = re.compile(r"(clean)|noise:(0?\.\d+|0|1)|imbalance:(\d{1,3})|shots:(\d{1,4})")


@dataclass(frozen=True)
class Scenario:
    """One of: clean; a share of edges wrong; one class rarer than the largest by a factor; few labels a class."""

    noise: float = 0.0  # share of the edges that are removed, and as many put in elsewhere
    imbalance: int = 1  # largest class over the rare one, among the training graphs
    shots: int = 0  # labelled graphs a class; 0: all

    @classmethod
    def parse(cls, text: str, *, field: str = "scenario") -> "Scenario":
        """Read "clean", "noise:0.2", "imbalance:10" or "shots:10"."""
        match = _SCENARIO.fullmatch(text.strip())
        if match is None:
            raise InputError.of(field, text, expected="clean, noise:SHARE, imbalance:FACTOR or shots:NUMBER")
        noise, imbalance, shots = float(match[2] or 0.0), int(match[3] or 1), int(match[4] or 0)
        if imbalance < 1 or (match[4] and shots < 2):
            raise InputError.of(field, text, expected="a factor of at least 1, at least 2 labels a class")
        return cls(noise, imbalance, shots)

    @property
    def needs_classes(self) -> bool:
        """Whether it makes no sense for numbers."""
        return self.imbalance > 1 or self.shots > 0


@dataclass(frozen=True, eq=False)
class Split:
    """Graph numbers of each role; every model of a comparison gets the same ones."""

    train: np.ndarray  # labelled, learned from
    validation: np.ndarray  # decides when to stop and which settings are best
    test: np.ndarray
    unlabelled: np.ndarray  # may be looked at, without targets, by self-supervised models


def split(table: GraphTable, rng: np.random.Generator, *, validation: float, test: np.ndarray | float) -> Split:
    """Graphs with a known target at random into train, validation and test, classes in equal shares.

    Args:
        table: The graphs; those without a target are unlabelled.
        rng: Decides who goes where.
        validation: Share of the graphs that are not for the test.
        test: Share of all labelled graphs, or a mask `[graphs]` of the official test set.

    Raises:
        InputError: When a class or the whole table has too few graphs for three parts.
    """
    known = np.isfinite(table.targets).all(axis=1)
    if not known.any():
        raise InputError.of("targets", "none known", expected="graphs with a target")
    strata = table.targets[:, 0] if table.classes else np.zeros(len(table))
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for stratum in np.unique(strata[known]):
        members = rng.permutation(np.flatnonzero(known & (strata == stratum)))
        given = test[members] if isinstance(test, np.ndarray) else np.arange(len(members)) < round(test * len(members))
        rest = members[~given]
        cut = max(1, round(validation * len(rest)))
        if len(rest) - cut < 1 or not given.any():
            name = f"class {table.classes[int(stratum)]}" if table.classes else "targets"
            raise InputError.of(name, f"{len(members)} graphs", expected="enough for training, validation and test")
        parts["test"].append(members[given])
        parts["validation"].append(rest[:cut])
        parts["train"].append(rest[cut:])
    found = {name: np.sort(np.concatenate(rows)) for name, rows in parts.items()}
    return Split(**found, unlabelled=np.flatnonzero(~known))


def perturb(table: GraphTable, rng: np.random.Generator, *, share: float | np.ndarray) -> GraphTable:
    """Each graph with `round(share * edges)` edges taken out, at random, and as many put in where there were none.

    New edges carry the attributes of the edges that left, so that an attribute's frequency stays what it was. Graphs
    that are complete, or have too few free places, get fewer. Connectivity is not kept.

    Args:
        table: The graphs.
        rng: Decides which edges leave and where they go.
        share: Of the edges, from 0 to 1: of all graphs, or `[graphs]` of each.
    """
    graph = table.owner[table.ends[:, 0]]
    wanted = np.round(share * np.diff(table.edge_pointers)).astype(np.int64)
    free = table.sizes * (table.sizes - 1) // 2 - np.diff(table.edge_pointers)
    wanted = np.minimum(wanted, free)
    order = np.lexsort((rng.random(len(graph)), graph))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order)) - np.repeat(table.edge_pointers[:-1], np.diff(table.edge_pointers))
    leaving = rank < wanted[graph]
    ends = table.ends.copy()
    ends[leaving] = _absent_pairs(table, rng, wanted)
    return replace_edges(table, ends)


def replace_edges(table: GraphTable, ends: np.ndarray) -> GraphTable:
    """The table with other end points of its edges, attributes as they were."""
    return GraphTable.of(
        table.sizes, ends, nodes=table.nodes, edges=table.edges, targets=table.targets, names=table.names,
        classes=table.classes,
    )  # fmt: skip


def _absent_pairs(table: GraphTable, rng: np.random.Generator, wanted: np.ndarray) -> np.ndarray:
    """`[sum of wanted, 2]` distinct pairs that are no edges, uniformly for each graph, in the order of the graphs."""
    total = int(table.pointers[-1])
    taken = np.sort(table.ends[:, 0] * total + table.ends[:, 1])
    found = np.zeros((0, 3), dtype=np.int64)
    missing = wanted.copy()
    while missing.any():
        graph = np.repeat(np.arange(len(table)), 2 * missing + 2)
        pairs = table.pointers[graph][:, None] + (rng.random((len(graph), 2)) * table.sizes[graph][:, None]).astype(int)
        pairs.sort(axis=1)
        keys = pairs[:, 0] * total + pairs[:, 1]
        good = (pairs[:, 0] != pairs[:, 1]) & ~np.isin(keys, taken)
        _, first = np.unique(keys[good], return_index=True)
        rows = np.column_stack([graph[good], pairs[good]])[np.sort(first)]
        starts = np.searchsorted(rows[:, 0], np.arange(len(table)))
        rows = rows[np.arange(len(rows)) - starts[rows[:, 0]] < missing[rows[:, 0]]]
        found = np.concatenate([found, rows])
        taken = np.concatenate([taken, rows[:, 1] * total + rows[:, 2]])
        missing = wanted - np.bincount(found[:, 0], minlength=len(table))
    return found[np.argsort(found[:, 0], kind="stable"), 1:]


def thin(table: GraphTable, parts: Split, rng: np.random.Generator, *, scenario: Scenario, rare: int) -> Split:
    """The split with fewer training labels, as a scenario wants it; what loses its label becomes unlabelled.

    Args:
        table: The graphs.
        parts: A split of them.
        rng: Decides who is kept.
        scenario: Its `imbalance` and `shots`.
        rare: The class that becomes rare.

    Raises:
        InputError: When the targets are numbers, or a class has too few training graphs.
    """
    if not scenario.needs_classes:
        return parts
    if not table.classes:
        raise InputError.of("scenario", "few or rare labels", expected="classes as targets")
    label = table.targets[parts.train, 0].astype(np.int64)
    counts = np.bincount(label, minlength=len(table.classes))
    keep = counts.copy()
    if scenario.imbalance > 1:
        keep[rare] = min(int(counts[rare]), max(2, int(counts.max()) // scenario.imbalance))
    if scenario.shots:
        keep[:] = scenario.shots
    if (keep > counts).any():
        short = int(np.flatnonzero(keep > counts)[0])
        found = f"{counts[short]} training graphs"
        raise InputError.of(f"class {table.classes[short]}", found, expected=f"at least {keep[short]}")
    order = np.lexsort((rng.random(len(label)), label))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = rank < keep[label]
    unlabelled = np.sort(np.concatenate([parts.unlabelled, parts.train[~kept]]))
    return replace(parts, train=parts.train[kept], unlabelled=unlabelled)
