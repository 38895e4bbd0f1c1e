"""Statements of a debate: who supports or rejects what, when and where, as integer-coded columns."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError

Scope = Literal["include", "document", "day", "week", "month", "year", "range"]
SCOPES: tuple[Scope, ...] = ("include", "document", "day", "week", "month", "year", "range")
Column = Literal["actor", "concept", "group", "document"]
COLUMNS: tuple[Column, ...] = ("actor", "concept", "group", "document")
Level = float | str

NO_GROUP = ""
"""The group of actors of whom none is known."""
_LETTERS = {"day": "D", "week": "W", "month": "M", "year": "Y"}


@dataclass(frozen=True, eq=False)
class Statements:
    """Rows (actor, concept, level, day, document, group), one for each category of each claim span.

    All columns have the shape `[rows]`. Codes point into sorted labels, so that a row's meaning does not depend on
    the order of a file. `day` counts days since 1970-01-01. Make one with `from_columns`.
    """

    actor: np.ndarray  # int64, into `labels["actor"]`
    concept: np.ndarray  # int64, into `labels["concept"]`
    level: np.ndarray  # int64, into `levels`
    day: np.ndarray  # int64
    document: np.ndarray  # int64, into `labels["document"]`
    group: np.ndarray  # int64, into `labels["group"]`; NO_GROUP where none is known
    span: np.ndarray  # int64: rows of one claim share it
    weight: np.ndarray  # float64; 1 but under a kernel
    labels: Mapping[Column, tuple[str, ...]]
    levels: tuple[Level, ...]  # of the qualifier, ascending: numbers, or texts

    def __len__(self) -> int:
        """Rows."""
        return len(self.actor)

    @classmethod
    def from_columns(
        cls,
        actor: Sequence[str] | np.ndarray | pd.Series,
        concept: Sequence[str] | np.ndarray | pd.Series,
        qualifier: Sequence[Level] | np.ndarray | pd.Series,
        *,
        day: Sequence[int] | np.ndarray | None = None,
        document: Sequence[str] | np.ndarray | pd.Series | None = None,
        group: Sequence[str] | np.ndarray | pd.Series | None = None,
        span: Sequence[int] | np.ndarray | None = None,
        levels: Sequence[Level] | None = None,
    ) -> "Statements":
        """Code columns of equal length.

        Args:
            actor: Who speaks.
            concept: What about: a measure, an item, a code.
            qualifier: -1 and 1 (rejects, supports), numbers of a scale, or texts.
            day: Days since 1970-01-01; all 0 when left out.
            document: Where it was said; each row its own when left out.
            group: Party or another attribute of the actor at that time; unknown when left out.
            span: Rows that are one claim with several categories share a number; each row its own when left out.
            levels: All values that the qualifier may have; those that occur when left out.

        Raises:
            InputError: For columns of unequal length or a qualifier outside `levels`.
        """
        rows = len(actor)
        days = np.zeros(rows, dtype=np.int64) if day is None else np.asarray(day, dtype=np.int64)
        spans = np.arange(rows) if span is None else np.asarray(span, dtype=np.int64)
        texts = {
            "actor": actor, "concept": concept,
            "group": np.full(rows, NO_GROUP) if group is None else group,
            "document": _numbered(rows) if document is None else document,
        }  # fmt: skip
        for name, column in (*texts.items(), ("qualifier", qualifier), ("day", days), ("span", spans)):
            if len(column) != rows:
                raise InputError.of(f"statements: {name}", f"{len(column)} values", expected=f"{rows}, one an actor")
        coded = {name: _coded(column) for name, column in texts.items()}
        found, known = _levels(qualifier, levels)
        named: dict[Column, tuple[str, ...]] = {name: coded[name][1] for name in COLUMNS}
        return cls(
            coded["actor"][0], coded["concept"][0], found, days, coded["document"][0], coded["group"][0], spans,
            np.ones(rows), named, known,
        )  # fmt: skip

    @property
    def binary(self) -> bool:
        """Whether the qualifier says rejects or supports and no more."""
        return self.levels == (-1.0, 1.0)

    def codes(self, column: Column) -> np.ndarray:
        """`[rows]` the codes of a column by name."""
        return {"actor": self.actor, "concept": self.concept, "group": self.group, "document": self.document}[column]

    def select(self, rows: np.ndarray) -> "Statements":
        """The rows of a mask `[rows]` or of indices, in their order; labels stay."""
        picked = {name: getattr(self, name)[rows] for name in ARRAYS}
        return dataclasses.replace(self, **picked)

    def present(self, column: Column) -> np.ndarray:
        """Codes of a column that occur, ascending."""
        return np.flatnonzero(np.bincount(self.codes(column), minlength=len(self.labels[column])))

    @cached_property
    def actor_groups(self) -> np.ndarray:
        """`[actors]` the known group that an actor has in most rows, -1 without one; ties go to the first by name."""
        known = self.group != self._no_group
        groups = len(self.labels["group"])
        pairs, counts = np.unique(self.actor[known] * groups + self.group[known], return_counts=True)
        actors, group = np.divmod(pairs, max(groups, 1))
        order = np.lexsort((-group, counts))  # the last of an actor has most rows and the first name
        best = np.full(len(self.labels["actor"]), -1)
        best[actors[order]] = group[order]
        return best

    @property
    def _no_group(self) -> int:
        groups = self.labels["group"]
        return groups.index(NO_GROUP) if NO_GROUP in groups else -1

    def drop_codes(self, pattern: str, *, option: str = "pattern") -> "Statements":
        """Without the concepts whose whole label matches a regular expression, e.g. umbrella codes `[1-9]00|999`.

        Args:
            pattern: The expression.
            option: What the user called it; starts the message.

        Raises:
            InputError: If the pattern is no regular expression.
        """
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise InputError.of(option, pattern, expected="a regular expression", cause=str(error)) from None
        kept = np.array([not compiled.fullmatch(label) for label in self.labels["concept"]], dtype=bool)
        return self.select(kept[self.concept])

    def between(self, first: int, last: int) -> "Statements":
        """The rows of the days `first` to `last`, both included."""
        return self.select((self.day >= first) & (self.day <= last))

    def period(self, scope: Scope) -> np.ndarray:
        """`[rows]` the number of the day, ISO week, month or year of each row; all 0 for the whole range."""
        if scope in {"range", "include"}:
            return np.zeros(len(self), dtype=np.int64)
        if scope == "document":
            return self.document
        if scope == "week":
            return (self.day + 3) // 7  # 1970-01-01 was a Thursday, ISO weeks begin on Monday
        return self.day.astype("datetime64[D]").astype(f"datetime64[{_LETTERS[scope]}]").astype(np.int64)

    def dedupe(self, scope: Scope) -> "Statements":
        """Each (actor, concept, qualifier) once a document, day, week, month, year or in all; its first row stays."""
        if scope not in SCOPES:
            raise InputError.of("duplicates", scope, expected=f"one of {', '.join(SCOPES)}")
        if scope == "include" or not len(self):
            return self
        _, period = np.unique(self.period(scope), return_inverse=True)
        sizes = (len(self.labels["actor"]), len(self.labels["concept"]), len(self.levels), int(period.max()) + 1)
        key = np.ravel_multi_index((self.actor, self.concept, self.level, period), sizes)
        _, first = np.unique(key, return_index=True)
        return self.select(np.sort(first))

    def by_group(self) -> "Statements":
        """Groups in the place of their actors; rows without a known group are dropped."""
        kept = self.select(self.group != self._no_group)
        labels = {**kept.labels, "actor": kept.labels["group"]}
        return dataclasses.replace(kept, actor=kept.group, labels=labels)

    def with_groups(self, separator: str, *, several: Literal["split", "keep", "drop"]) -> "Statements":
        """Cells with several groups ("Grüne,SPD"): one row a group, kept as they are, or made unknown.

        A split row is doubled: use it for tables of groups, not for networks of actors.
        """
        if several == "keep":
            return self
        parts = [[p.strip() for p in label.split(separator) if p.strip()] for label in self.labels["group"]]
        if several == "drop":
            single = zip(self.labels["group"], parts, strict=True)
            renamed = [label if len(part) < 2 else NO_GROUP for label, part in single]
            return self._regrouped(np.arange(len(self)), np.array(renamed, dtype=object)[self.group])
        times = np.array([max(1, len(part)) for part in parts], dtype=np.int64)[self.group]
        rows = np.repeat(np.arange(len(self)), times)
        place = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        table = np.full((len(parts), max(map(len, parts), default=0) or 1), NO_GROUP, dtype=object)
        for row, part in enumerate(parts):  # a few different cells, not rows
            table[row, : len(part)] = part
        return self._regrouped(rows, table[self.group[rows], place])

    def _regrouped(self, rows: np.ndarray, groups: np.ndarray) -> "Statements":
        made = self.select(rows)
        codes, labels = _coded(groups)
        return dataclasses.replace(made, group=codes, labels={**made.labels, "group": labels})


ARRAYS = ("actor", "concept", "level", "day", "document", "group", "span", "weight")


def _numbered(rows: int) -> np.ndarray:
    width = len(str(max(rows - 1, 0)))
    return np.char.zfill(np.arange(rows).astype(np.str_), width)


def _coded(column: Sequence[str] | np.ndarray | pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes and sorted labels; the labels are sorted by code points, which no locale changes."""
    codes, labels = pd.factorize(pd.Series(column, dtype=object), sort=False)
    texts = np.array([str(label) for label in labels], dtype=object)
    order = np.argsort(texts, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[codes] if len(order) else np.zeros(0, dtype=np.int64), tuple(texts[order].tolist())


def _levels(
    qualifier: Sequence[Level] | np.ndarray | pd.Series, levels: Sequence[Level] | None
) -> tuple[np.ndarray, tuple[Level, ...]]:
    values = pd.Series(qualifier)
    texts = not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    column: np.ndarray = values.astype(str).to_numpy(dtype=object) if texts else values.to_numpy(dtype=np.float64)
    given = sorted(set(column.tolist())) if levels is None else sorted(levels)
    if levels is None and not texts and set(given) <= {-1.0, 1.0}:
        given = [-1.0, 1.0]
    known: tuple[Level, ...] = tuple(str(value) if texts else float(value) for value in given)
    codes = pd.Index(known, dtype=object if texts else np.float64).get_indexer(pd.Index(column))
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in known)
        value = column[row] if texts else f"{column[row]:g}"
        raise InputError.of(f"qualifier, row {row + 1}", value, expected=f"one of {shown}")
    return np.asarray(codes, dtype=np.int64), known
