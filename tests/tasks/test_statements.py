"""Statements as coded columns: selection, duplicates, groups, against loops over rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.tasks.statements import SCOPES, Statements

DAY = int(np.datetime64("2015-01-01", "D").astype(np.int64))
ROWS = st.lists(
    st.tuples(
        st.sampled_from("ABC"), st.sampled_from(["100", "102", "207"]), st.sampled_from([-1, 1]),
        st.integers(0, 70), st.sampled_from(["x", "y"]), st.sampled_from(["", "p", "q", "p,q"]),
    ),
    max_size=25,
)  # fmt: skip


def debate(rows):
    columns = list(zip(*rows, strict=True)) or [[]] * 6
    actor, concept, sign, day, document, group = columns
    days = DAY + np.array(day, dtype=np.int64)
    return Statements.from_columns(actor, concept, sign, day=days, document=document, group=group)


def told(statements):
    """The rows as a person would write them."""
    names = {column: statements.labels[column] for column in ("actor", "concept", "document", "group")}
    return [
        (
            names["actor"][statements.actor[i]], names["concept"][statements.concept[i]],
            int(statements.levels[statements.level[i]]), int(statements.day[i]) - DAY,
            names["document"][statements.document[i]], names["group"][statements.group[i]],
        )
        for i in range(len(statements))
    ]  # fmt: skip


def test_rows_come_back_as_they_were_and_labels_are_sorted():
    rows = [("B", "207", 1, 3, "y", "q"), ("A", "102", -1, 0, "x", ""), ("B", "102", 1, 9, "x", "p,q")]
    made = debate(rows)
    assert told(made) == rows
    assert made.labels["actor"] == ("A", "B")
    assert made.binary


@settings(max_examples=40)
@given(ROWS, st.sampled_from(SCOPES))
def test_an_equal_statement_counts_once_in_its_scope(rows, scope):
    dates = [np.datetime64(DAY + row[3], "D").item() for row in rows]
    within = {
        "document": lambda i: rows[i][4], "day": lambda i: dates[i], "week": lambda i: dates[i].isocalendar()[:2],
        "month": lambda i: dates[i].month, "year": lambda i: dates[i].year, "range": lambda i: 0,
        "include": lambda i: i,
    }[scope]  # fmt: skip
    seen, expected = set(), []
    for i, row in enumerate(rows):
        if (key := (*row[:3], within(i))) not in seen:
            seen.add(key)
            expected.append(row)
    assert told(debate(rows).dedupe(scope)) == expected


@settings(max_examples=30)
@given(ROWS)
def test_an_actor_is_of_the_group_of_most_of_its_rows(rows):
    made = debate(rows)
    for code, name in enumerate(made.labels["actor"]):
        groups = [row[5] for row in rows if row[0] == name and row[5]]
        best = min(set(groups), key=lambda group: (-groups.count(group), group)) if groups else None
        found = made.actor_groups[code]
        assert (None if found < 0 else made.labels["group"][found]) == best


@settings(max_examples=30)
@given(ROWS)
def test_cells_with_several_groups_are_split_kept_or_unknown(rows):
    made = debate(rows)
    split = [(*row[:5], part) for row in rows for part in row[5].split(",")]
    assert told(made.with_groups(",", several="split")) == split
    assert told(made.with_groups(",", several="keep")) == rows
    assert told(made.with_groups(",", several="drop")) == [(*row[:5], "" if "," in row[5] else row[5]) for row in rows]


def test_groups_take_the_place_of_actors_and_the_unknown_go():
    made = debate([("A", "102", 1, 0, "x", "p"), ("B", "102", -1, 0, "x", ""), ("C", "207", 1, 0, "x", "q")]).by_group()
    assert [row[0] for row in told(made)] == ["p", "q"]


def test_umbrella_codes_are_dropped_and_their_parts_are_not():
    rows = [("A", code, 1, 0, "x", "") for code in ("100", "102", "999", "207")]
    assert [row[1] for row in told(debate(rows).drop_codes("[1-9]00|999"))] == ["102", "207"]
    with pytest.raises(InputError, match="regular expression"):
        debate(rows).drop_codes("[")


def test_both_ends_of_a_window_are_inside():
    rows = [("A", "102", 1, day, "x", "") for day in range(5)]
    assert [row[3] for row in told(debate(rows).between(DAY + 1, DAY + 3))] == [1, 2, 3]


def test_columns_that_cannot_be_statements_are_refused():
    with pytest.raises(InputError, match="concept: got 1 values"):
        Statements.from_columns(["A", "B"], ["x"], [1, 1])
    with pytest.raises(InputError, match=r"qualifier, row 2: got 3, expected one of -1, 1"):
        Statements.from_columns(["A", "B"], ["x", "y"], [1, 3], levels=(-1, 1))
    with pytest.raises(InputError, match="duplicates"):
        debate([]).dedupe("decade")  # pyright: ignore[reportArgumentType]
