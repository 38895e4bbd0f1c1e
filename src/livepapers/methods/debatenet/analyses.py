"""What networks say: ties within and between groups, permuted debates, change between windows (section 3.6)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse, stats

from livepapers.core.config import replace
from livepapers.methods.debatenet.networks import OneMode, project
from livepapers.methods.debatenet.settings import Config
from livepapers.tasks.statements import NO_GROUP, Scope, Statements


@dataclass(frozen=True, eq=False)
class GroupTies:
    """Mean ties between the nodes of groups, pairs without a tie counting as 0."""

    groups: tuple[str, ...]
    members: np.ndarray  # [groups] nodes
    mean: np.ndarray  # [groups, groups]; NaN where there is no pair (a group of one with itself)

    def within_minus_between(self) -> float:
        """Mean tie over all pairs within a group minus that over all pairs between groups; NaN without either."""
        pairs = np.outer(self.members, self.members).astype(np.float64)
        np.fill_diagonal(pairs, self.members * (self.members - 1.0))
        total = np.where(pairs > 0, self.mean, 0.0) * pairs
        inside, outside = np.trace(pairs), pairs.sum() - np.trace(pairs)
        if not inside or not outside:
            return float("nan")
        return float(np.trace(total) / inside - (total.sum() - np.trace(total)) / outside)


def group_ties(network: OneMode, groups: Sequence[str] | None = None) -> GroupTies:
    """Ties of actors as ties of their groups: the mean over pairs of actors.

    Args:
        network: Of actors. Those whose group is not known are left out.
        groups: `[nodes]` another grouping than the actors' own, e.g. camps that were found.
    """
    given = network.groups if groups is None else tuple(groups)
    names = tuple(sorted(set(given) - {NO_GROUP}))
    column = {name: index for index, name in enumerate(names)}
    known = np.array([index for index, name in enumerate(given) if name in column], dtype=np.int64)
    code = np.array([column[given[index]] for index in known.tolist()], dtype=np.int64)
    shape = (len(given), len(names))
    indicator = sparse.csr_array((np.ones(len(known)), (known, code)), shape=shape)
    total = (indicator.T @ (network.matrix @ indicator)).toarray()
    members = np.bincount(code, minlength=len(names))
    pairs = np.outer(members, members) - np.diag(members)
    mean = np.divide(total, pairs, out=np.full(total.shape, np.nan), where=pairs > 0)
    return GroupTies(names, members, mean)


def permuted(statements: Statements, rng: np.random.Generator, *, period: Scope = "month") -> Statements:
    """A debate in which nobody's positions hang together: concepts change places among equal statements of a period.

    Concepts are shuffled over the statements of one qualifier level and one period. So each actor keeps, exactly, the
    number of statements of each level in each period, each concept too, and nothing else is kept.
    """
    _, stratum = np.unique(statements.period(period) * len(statements.levels) + statements.level, return_inverse=True)
    order = np.argsort(stratum, kind="stable")  # the rows, stratum by stratum
    shuffled = np.lexsort((rng.random(len(statements)), stratum))
    concept = np.empty_like(statements.concept)
    concept[order] = statements.concept[shuffled]
    return dataclasses.replace(statements, concept=concept)


def actor_network(statements: Statements, config: Config) -> OneMode:
    """The network of actors under a config's choices."""
    return project(
        statements, "actor", aggregate=config.aggregate, normalise=config.normalise, netting=config.netting,
        duplicates=config.duplicates,
    )  # fmt: skip


def gap(statements: Statements, config: Config) -> float:
    """Mean tie within groups minus between groups, under a config's choices."""
    return group_ties(actor_network(statements, config)).within_minus_between()


def gap_null(
    statements: Statements, rng: np.random.Generator, config: Config, *, period: Scope = "month"
) -> np.ndarray:
    """`[permutations]` the same of permuted debates; duplicates are dropped once, before, so that margins stay."""
    once, counted = statements.dedupe(config.duplicates), replace(config, duplicates="include")
    return np.array([gap(permuted(once, rng, period=period), counted) for _ in range(config.permutations)])


def z_score(value: float, null: np.ndarray) -> float:
    """How many standard deviations a value lies above its permutations; 0 where all of them are equal to it."""
    spread = float(np.std(null, ddof=1)) if len(null) > 1 else 0.0
    distance = value - float(np.mean(null))
    if spread > 1e-12 * max(1.0, abs(float(np.mean(null)))):
        return distance / spread
    return 0.0 if abs(distance) < 1e-12 else float(np.copysign(np.inf, distance))


def permutation_p(value: float, null: np.ndarray) -> float:
    """One-sided p: (1 + permutations at least as large) / (1 + permutations)."""
    return float((1 + np.count_nonzero(null >= value - 1e-12)) / (1 + len(null)))


@dataclass(frozen=True)
class Change:
    """From one network to the next, nodes matched by label."""

    nodes_new: int
    nodes_lost: int
    nodes_kept: int
    ties_new: int
    ties_lost: int
    ties_kept: int
    ties_turned: int  # kept, with the other sign
    jaccard: float  # ties in both over ties in either; 0 where there is none
    degree_correlation: float | None  # Spearman's, over nodes in both; None for fewer than three or constant degrees


def compare(before: OneMode, after: OneMode) -> Change:
    """What changed between two windows (section 3.6)."""
    labels = sorted(set(before.nodes) | set(after.nodes))
    place = {label: index for index, label in enumerate(labels)}
    one, two = (_placed(network, place) for network in (before, after))
    keys_one, keys_two = (part[0] for part in (one, two))
    kept, first, second = np.intersect1d(keys_one, keys_two, assume_unique=True, return_indices=True)
    both = sorted(set(before.nodes) & set(after.nodes))
    degrees = [dict(zip(n.nodes, n.degree.tolist(), strict=True)) for n in (before, after)]
    ranks = [np.array([degree[label] for label in both], dtype=np.float64) for degree in degrees]
    varied = len(both) > 2 and all(np.ptp(rank) > 0 for rank in ranks)
    either = len(keys_one) + len(keys_two) - len(kept)
    return Change(
        nodes_new=len(labels) - len(before.nodes), nodes_lost=len(labels) - len(after.nodes), nodes_kept=len(both),
        ties_new=len(keys_two) - len(kept), ties_lost=len(keys_one) - len(kept), ties_kept=len(kept),
        ties_turned=int((np.sign(one[1][first]) != np.sign(two[1][second])).sum()),
        jaccard=len(kept) / either if either else 0.0,
        degree_correlation=float(np.corrcoef(*map(stats.rankdata, ranks))[0, 1]) if varied else None,
    )  # fmt: skip


def _placed(network: OneMode, place: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """(key of each tie, its weight), each tie once."""
    upper = sparse.triu(network.matrix, k=1).tocoo()
    codes = np.array([place[label] for label in network.nodes], dtype=np.int64)
    ends = np.sort(np.stack([codes[upper.row], codes[upper.col]]), axis=0) if upper.nnz else np.zeros((2, 0), dtype=int)
    return ends[0] * len(place) + ends[1], np.asarray(upper.data)


def central(network: OneMode, top: int = 10) -> list[tuple[str, int, float, float]]:
    """(node, ties, strength, net strength) of the nodes with most ties, then of the largest strength, then by label.

    The strength sums the sizes of weights, the net strength the weights with their signs.
    """
    strength = np.asarray(abs(network.matrix).sum(axis=1)).ravel()
    net = np.asarray(network.matrix.sum(axis=1)).ravel()
    rows = zip(network.nodes, network.degree.tolist(), strength.tolist(), net.tolist(), strict=True)
    return sorted(rows, key=lambda row: (-row[1], -round(row[2], 9), row[0]))[:top]
