"""One window read: its networks, camps, permuted debates, and the rows that tell of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from livepapers.core.application import Row
from livepapers.core.rng import numpy_generator
from livepapers.methods.debatenet.analyses import (
    GroupTies,
    central,
    compare,
    group_ties,
    permutation_p,
    permuted,
    z_score,
)
from livepapers.methods.debatenet.camps import Polarisation, polarisation
from livepapers.methods.debatenet.choices import Choices, Cut
from livepapers.methods.debatenet.counting import Counts
from livepapers.methods.debatenet.networks import OneMode, TwoMode, affiliation, project
from livepapers.methods.debatenet.settings import Mode
from livepapers.tasks.statements import Statements

WORK = 60_000_000
"""Statements and squared nodes that the permuted debates of one window may cost: about half a minute."""
FEWEST_PERMUTED = 10
TOP = 10


@dataclass(frozen=True, eq=False)
class Reading:
    """What one window says."""

    part: Cut
    network: OneMode  # filtered as asked for
    whole: OneMode  # before filtering
    camps: Polarisation
    groups: GroupTies
    null_q: np.ndarray  # [permutations] polarisation of permuted debates
    null_gap: np.ndarray  # [permutations] their mean tie within groups minus between
    mixed: int
    choices: Choices

    @property
    def name(self) -> str:
        """The window's name."""
        return self.part.name

    @property
    def statements(self) -> Statements:
        """The statements that count."""
        return self.part.statements

    @property
    def stem(self) -> str:
        """The window's name in names of files."""
        return self.name.replace("..", "_to_")

    @property
    def z_of_q(self) -> float | None:
        """Polarisation in standard deviations above permuted debates; None where there was nothing to permute."""
        return z_score(self.camps.q, self.null_q) if len(self.null_q) else None

    def affiliation(self) -> TwoMode:
        """Who says what: net counts, or counts for texts and unsigned networks."""
        signed = self.choices.aggregate not in {"ignore", "congruence"} and not _texts(self.statements)
        return affiliation(self.statements, aggregate="subtract" if signed else "ignore")

    def concepts(self) -> OneMode:
        """The network of measures under the same choices."""
        return _project(self.statements, self.choices, mode="concept")

    def group_rows(self) -> list[Row]:
        """Mean ties of each pair of groups that has pairs of actors."""
        rows: list[Row] = []
        for a, one in enumerate(self.groups.groups):
            for b in range(a, len(self.groups.groups)):
                mean = float(self.groups.mean[a, b])
                if np.isfinite(mean):
                    sizes = int(self.groups.members[a]), int(self.groups.members[b])
                    rows.append({"window": self.name, "group": one, "with": self.groups.groups[b], "mean tie": mean,
                                 "members": sizes[0], "members with": sizes[1]})  # fmt: skip
        return rows

    def camps_by_group(self) -> list[Row]:
        """How many nodes of each group are in each camp."""
        found: dict[str, Counter[str]] = {}
        for row in self.camp_rows():
            found.setdefault(str(row["group"]) or "unknown", Counter())[str(row["camp"])] += 1
        order = sorted(found, key=lambda group: (-found[group].total(), group))
        return [{"group": g, "camp A": found[g]["A"], "camp B": found[g]["B"], "none": found[g]["none"]} for g in order]

    def camp_rows(self) -> list[Row]:
        """Every node with its camp."""
        words = {0: "A", 1: "B", -1: "none"}
        return [
            {"window": self.name, "actor": name, "group": group, "camp": words[side], "ties": ties}
            for name, group, side, ties in zip(
                self.whole.nodes, self.whole.groups, self.camps.side.tolist(), self.whole.degree.tolist(), strict=True
            )
        ]

    def central_rows(self) -> list[Row]:
        """The nodes with most ties."""
        group = dict(zip(self.network.nodes, self.network.groups, strict=True))
        found = central(self.network, TOP)
        return [
            {
                "window": self.name,
                "actor": name,
                "group": group[name],
                "ties": ties,
                "strength": strength,
                "net strength": net,
            }
            for name, ties, strength, net in found
        ]

    def measure_rows(self) -> list[Row]:
        """The measures with most statements."""
        labels = self.statements.labels["concept"]
        count = np.bincount(self.statements.concept, minlength=len(labels))
        order = np.lexsort((np.arange(len(labels)), -count))[:TOP]
        rows: list[Row] = []
        for code in order[count[order] > 0].tolist():
            here = self.statements.concept == code
            actors = len(np.unique(self.statements.actor[here]))
            rows.append({"window": self.name, "measure": labels[code], "statements": int(count[code]),
                         "actors": actors, "support": _support(self.statements.select(here))})  # fmt: skip
        return rows


def read_window(part: Cut, choices: Choices) -> Reading:
    """Networks, camps and permuted debates of one window."""
    whole = _project(part.statements, choices)
    shown = whole.filtered(weight=choices.weight, degree=choices.degree, isolates=choices.isolates)
    rng = numpy_generator(choices.seed, "debatenet", "apply", part.name)
    camps = _camps(part.statements, choices, rng)
    groups = group_ties(whole)
    null_q, null_gap = _permuted(part.statements, choices, rng) if camps.q else (np.zeros(0), np.zeros(0))
    mixed = 0 if _texts(part.statements) else Counts.of(part.statements, "actor")[0].mixed()
    return Reading(part, shown, whole, camps, groups, null_q, null_gap, mixed, choices)


def window_row(reading: Reading) -> Row:
    """One line of the table of windows."""
    statements, gap = reading.statements, reading.groups.within_minus_between()
    known = np.isfinite(gap) and len(reading.null_gap) > 0
    return {
        "window": reading.name, "claims": reading.part.claims, "statements": reading.part.kept,
        "counted": len(statements),
        "actors": len(statements.present("actor")), "measures": len(statements.present("concept")),
        "support": _support(statements), "ties": reading.network.matrix.nnz // 2,
        "polarisation": reading.camps.q, "permuted": float(reading.null_q.mean()) if len(reading.null_q) else None,
        "z": None if (z := reading.z_of_q) is None else _finite(z), "conflict between": reading.camps.conflict_between,
        "gap": gap if known else None, "gap z": _finite(z_score(gap, reading.null_gap)) if known else None,
        "gap p": permutation_p(gap, reading.null_gap) if known else None,
    }  # fmt: skip


def changes(readings: Sequence[Reading]) -> list[Row]:
    """From each window to the next."""
    rows: list[Row] = []
    for before, after in pairwise(readings):
        change = compare(before.network, after.network)
        rows.append({
            "from": before.name, "to": after.name, "nodes new": change.nodes_new, "nodes lost": change.nodes_lost,
            "nodes kept": change.nodes_kept, "ties new": change.ties_new, "ties lost": change.ties_lost,
            "ties kept": change.ties_kept, "ties turned": change.ties_turned, "jaccard": change.jaccard,
            "degree correlation": change.degree_correlation,
        })  # fmt: skip
    return rows


def _project(statements: Statements, choices: Choices, mode: Mode = "actor") -> OneMode:
    return project(
        statements, mode, aggregate=choices.aggregate,
        normalise=choices.normalise, netting=choices.netting,
    )  # fmt: skip


def _camps(statements: Statements, choices: Choices, rng: np.random.Generator) -> Polarisation:
    """Camps from congruence and conflict, whatever ties are drawn; from congruence alone for texts."""
    kinds = ("congruence",) if _texts(statements) else ("congruence", "conflict")
    parts = [
        project(statements, aggregate=kind, normalise=choices.normalise, netting=choices.netting) for kind in kinds
    ]
    return polarisation(parts[0], parts[1] if len(parts) > 1 else None, method=choices.search, rng=rng)


def _permuted(statements: Statements, choices: Choices, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(polarisation, gap) of permuted debates, `[permutations]` each."""
    cost = len(statements) + len(statements.present("actor")) ** 2
    count = int(np.clip(WORK // cost, FEWEST_PERMUTED, choices.permutations))
    found = []
    for _ in range(count):
        debate = permuted(statements, rng)
        gap = group_ties(_project(debate, choices)).within_minus_between()
        found.append((_camps(debate, choices, rng).q, gap))
    q, gap = np.array(found).T
    return q, gap if np.isfinite(gap).all() else np.zeros(0)


def _texts(statements: Statements) -> bool:
    return any(isinstance(level, str) for level in statements.levels)


def _support(statements: Statements) -> float | None:
    """Share of statements of a positive level."""
    if _texts(statements) or not len(statements):
        return None
    return float((np.array(statements.levels, dtype=np.float64)[statements.level] > 0).mean())


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
