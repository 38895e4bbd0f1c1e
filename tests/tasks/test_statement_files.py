"""Files of claims: CSV in its dialects, databases of Discourse Network Analyzer, R data files."""

import sqlite3
import sys
import types

import numpy as np
import pandas as pd
import pytest

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.tasks.statement_files import Layout, read_statements

HEADER = "name,claimvalues,cpos,cdate,parties,doc_id\n"


def rows(statements):
    names = statements.labels
    return [
        (
            names["actor"][statements.actor[i]], names["concept"][statements.concept[i]],
            statements.levels[statements.level[i]], str(np.datetime64(int(statements.day[i]), "D")),
            names["group"][statements.group[i]], names["document"][statements.document[i]],
        )
        for i in range(len(statements))
    ]  # fmt: skip


def read(tmp_path, text, **layout):
    path = tmp_path / "claims.csv"
    path.write_text(text)
    return read_statements(path, layout=Layout(**layout))


def test_the_table_of_debatenet_is_read_as_it_is(tmp_path):
    made = read(tmp_path, HEADER + 'Merkel,"[105,190, 105]",1,16436,CDU,7\nSeehofer,[102],-1,16437,NA,7\n')
    assert rows(made) == [
        ("Merkel", "105", 1.0, "2015-01-01", "CDU", "7"), ("Merkel", "190", 1.0, "2015-01-01", "CDU", "7"),
        ("Seehofer", "102", -1.0, "2015-01-02", "", "7"),
    ]  # fmt: skip
    assert made.span.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("102 190", ["102", "190"]), ('"102, 190"', ["102", "190"]), ("102;190", ["102", "190"]),
        ("border controls", ["border controls"]), ("\"['quota','fence']\"", ["quota", "fence"]), ("102", ["102"]),
    ],
)  # fmt: skip
def test_lists_in_a_cell_become_rows(tmp_path, cell, expected):
    assert [row[1] for row in rows(read(tmp_path, f"actor,concept,qualifier\nA,{cell},1\n"))] == expected


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        ("2015-09-13", "auto"), ("2015-09-13T10:30:00", "auto"), ("20150913", "auto"), ("16691", "auto"),
        ("16691", "r"), ("20150913", "yyyymmdd"),
    ],
)  # fmt: skip
def test_dates_of_every_form_are_one_day(tmp_path, cell, form):
    made = read(tmp_path, f"actor,concept,qualifier,date\nA,x,1,{cell}\n", dates=form)
    assert rows(made)[0][3] == "2015-09-13"


def test_years_are_read_when_they_are_said_to_be(tmp_path):
    made = read(tmp_path, "actor,concept,qualifier,date\nA,x,1,1998\n", dates="year")
    assert rows(made)[0][3] == "1998-01-01"


@pytest.mark.parametrize(
    ("cells", "levels", "layout"),
    [
        (["1", "-1"], (-1.0, 1.0), {}), (["1", "1"], (-1.0, 1.0), {}), (["0", "1"], (-1.0, 1.0), {}),
        (["yes", "No"], (-1.0, 1.0), {}), (["-2", "2"], (-2.0, 2.0), {}),
        (["-2", "2"], (-2.0, -1.0, 1.0, 2.0), {"levels": (-2.0, -1.0, 1.0, 2.0)}),
        (["0", "1"], (0.0, 1.0), {"scale": "integer"}), (["doubts", "urges"], ("doubts", "urges"), {"scale": "text"}),
    ],
)  # fmt: skip
def test_qualifiers_are_signs_numbers_or_texts(tmp_path, cells, levels, layout):
    text = "actor,concept,qualifier\n" + "".join(f"A,x,{cell}\n" for cell in cells)
    assert read(tmp_path, text, **layout).levels == levels


def signs(usual, last):
    return "actor,concept,qualifier\n" + "".join(f"A,x,{cell}\n" for cell in [*usual, last])


def test_what_looks_like_a_misprint_may_be_meant(tmp_path):
    assert read(tmp_path, signs(["0", "1"] * 9, "11"), scale="integer").levels == (0.0, 1.0, 11.0)
    assert read(tmp_path, signs(["-1", "1"] * 9, "0"), levels=(-1.0, 0.0, 1.0)).levels == (-1.0, 0.0, 1.0)
    assert read(tmp_path, signs(["-2", "-1", "1"], "2")).levels == (-2.0, -1.0, 1.0, 2.0)
    assert read(tmp_path, signs(["-1", "1", "0"] * 9, "0")).levels == (-1.0, 0.0, 1.0)


FAULTS = {
    "no actor column": ("who,concept,qualifier\nA,x,1\n", {}, "--actor"),
    "named column missing": ("actor,concept,qualifier\nA,x,1\n", {"columns": {"group": "partei"}}, "group: got partei"),
    "misspelt column, taken": ("actor,concept,party\nA,x,p\n", {"columns": {"group": "actr"}}, "the header has"),
    "misspelt column": ("actor,concept,qualifier,party\nA,x,1,p\n", {"columns": {"group": "partyy"}}, "'party' meant"),
    "a column twice": ("actor,concept,qualifier,concept\nA,x,1,y\n", {}, "each column once"),
    "no row": ("actor,concept,qualifier\n", {}, "at least one row"),
    "empty": ("", {}, "the file is empty"),
    "missing actor": ("actor,concept,qualifier\nA,x,1\nNA,x,1\n", {}, "line 3: actor"),
    "missing date": (HEADER + "A,102,1,16436,p,1\nB,102,1,NA,p,1\n", {}, "missing date"),
    "missing date among ISO": ("actor,concept,qualifier,date\nA,x,1,2015-01-01\nB,x,1,NA\n", {}, "line 3: date"),
    "two forms of dates": (HEADER + "A,102,1,16436,p,1\nB,102,1,20150101,p,1\n", {}, "mixed"),
    "years or days": (HEADER + "A,102,1,1998,p,1\nB,102,1,2004,p,1\n", {}, "--dates year or --dates r"),
    "no such day": ("actor,concept,qualifier,date\nA,x,1,2015-02-30\n", {}, "line 2: date: got 2015-02-30"),
    "no such day, in digits": ("actor,concept,qualifier,date\nA,x,1,20150230\n", {}, "2015-02-30"),
    "words for signs": ("actor,concept,qualifier\nA,x,rather\n", {}, "--scale text"),
    "a fraction": ("actor,concept,qualifier\nA,x,0.5\n", {}, "line 2: qualifier: got 0.5"),
    "outside the levels": ("actor,concept,qualifier\nA,x,1\nB,x,3\n", {"levels": (-1.0, 1.0)}, "line 3: qualifier"),
    "zero among signs": ("actor,concept,qualifier\nA,x,1\nB,x,0\nC,x,-1\n", {"scale": "binary"}, "two values"),
    "ids for signs": ("actor,concept,qualifier\n" + "".join(f"A,x,{i}\n" for i in range(30)), {}, "30 values"),
    "a misprint among 0 and 1": (signs(["0", "1"] * 9, "11"), {}, "line 20: qualifier: got 11, expected 0, 1, as"),
    "a misprint among -1 and 1": (signs(["-1", "1"] * 9, "0"), {}, "--scale integer if it is meant"),
    "a misprint on a scale": (signs(["-2", "-1", "1", "2"] * 9, "22"), {}, "line 38: qualifier: got 22"),
    "an empty list": ("actor,concept,qualifier\nA,[],1\n", {}, "at least one category"),
    "a comma in a name": ("actor,concept,qualifier\nMerkel, Angela,x,1\n", {}, "put it in quotes"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unusable_table_gets_one_line(tmp_path, fault):
    text, layout, said = FAULTS[fault]
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, text, **layout)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_or_of_another_kind_are_named(tmp_path):
    with pytest.raises(InputError, match="an existing file"):
        read_statements(tmp_path / "none.dna")
    (tmp_path / "claims.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match="ends in"):
        read_statements(tmp_path / "claims.xlsx")
    (tmp_path / "claims.sqlite").write_bytes(b"no database at all, just bytes")
    with pytest.raises(InputError, match="Discourse Network Analyzer"):
        read_statements(tmp_path / "claims.sqlite")


def write_database(path, *, seconds=1_420_114_800, statements=2):
    """The tables of Discourse Network Analyzer 3 that matter, with two statements of one document."""
    with sqlite3.connect(path) as base:
        base.executescript("""
            CREATE TABLE DOCUMENTS(ID INTEGER PRIMARY KEY, Title, Date INTEGER);
            CREATE TABLE STATEMENTS(ID INTEGER PRIMARY KEY, StatementTypeId, DocumentId);
            CREATE TABLE VARIABLES(ID INTEGER PRIMARY KEY, Variable, DataType, StatementTypeId);
            CREATE TABLE ENTITIES(ID INTEGER PRIMARY KEY, VariableId, Value);
            CREATE TABLE DATASHORTTEXT(ID INTEGER PRIMARY KEY, StatementId, VariableId, Entity);
            CREATE TABLE DATABOOLEAN(ID INTEGER PRIMARY KEY, StatementId, VariableId, Value);
            CREATE TABLE DATAINTEGER(ID INTEGER PRIMARY KEY, StatementId, VariableId, Value);
            INSERT INTO VARIABLES VALUES (1, 'person', 'short text', 1), (2, 'organization', 'short text', 1),
                (3, 'concept', 'short text', 1), (4, 'agreement', 'boolean', 1);
            INSERT INTO ENTITIES VALUES (1, 1, 'Ann'), (2, 1, 'Bob'), (3, 2, 'EPA'), (4, 3, 'carbon tax');
        """)
        base.execute("INSERT INTO DOCUMENTS VALUES (1, 'An article', ?)", (seconds,))
        for number in range(statements):
            base.execute("INSERT INTO STATEMENTS VALUES (?, 1, 1)", (number,))
            for variable, entity in ((1, 1 + number), (2, 3), (3, 4)):
                base.execute("INSERT INTO DATASHORTTEXT VALUES (NULL, ?, ?, ?)", (number, variable, entity))
            base.execute("INSERT INTO DATABOOLEAN VALUES (NULL, ?, 4, ?)", (number, number))
    base.close()
    return path


@pytest.mark.parametrize("seconds", [1_420_114_800, 1_420_114_800_000])
def test_a_database_of_discourse_network_analyzer_is_read(tmp_path, seconds):
    path = write_database(tmp_path / "debate.dna", seconds=seconds)
    before = path.read_bytes()
    assert rows(read_statements(path)) == [
        ("Ann", "carbon tax", -1.0, "2015-01-01", "EPA", "1"), ("Bob", "carbon tax", 1.0, "2015-01-01", "EPA", "1"),
    ]  # fmt: skip
    assert path.read_bytes() == before
    organisations = read_statements(path, layout=Layout(columns={"actor": "organization"}))
    assert organisations.labels["actor"] == ("EPA",)


def test_a_database_without_statements_is_refused(tmp_path):
    with pytest.raises(InputError, match="no statement"):
        read_statements(write_database(tmp_path / "debate.dna", statements=0))


def test_r_data_files_need_their_package(tmp_path, monkeypatch):
    (tmp_path / "claims.rda").write_bytes(b"RDX3")
    monkeypatch.setitem(sys.modules, "rdata", None)
    with pytest.raises(MissingExtraError, match=r"livepapers\[rda\]"):
        read_statements(tmp_path / "claims.rda")


def test_the_data_frame_of_an_r_file_is_found_by_its_columns(tmp_path, monkeypatch):
    frame = pd.DataFrame({
        "name": ["Merkel", "Seehofer"], "claimvalues": ["[105,190]", "[102]"], "cpos": [1, -1],
        "cdate": [16436.0, 16437.0], "parties": ["CDU", None], "doc_id": [7, 7],
    })  # fmt: skip
    stub = types.SimpleNamespace(
        read_rda=lambda path: {"note": "x", "codes": pd.DataFrame({"a": [1]}), "claims": frame}
    )
    monkeypatch.setitem(sys.modules, "rdata", stub)
    (tmp_path / "claims.RData").write_bytes(b"RDX3")
    made = rows(read_statements(tmp_path / "claims.RData"))
    assert made[0] == ("Merkel", "105", 1.0, "2015-01-01", "CDU", "7")
    assert made[2] == ("Seehofer", "102", -1.0, "2015-01-02", "", "7")
    monkeypatch.setitem(sys.modules, "rdata", types.SimpleNamespace(read_rda=lambda path: {"x": [1]}))
    with pytest.raises(InputError, match="a file with a data frame"):
        read_statements(tmp_path / "claims.RData")
