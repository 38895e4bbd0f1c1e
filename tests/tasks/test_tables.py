"""CSV files of users: read when right, answered in one line when not."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.tasks.tables import place_of, read_header, read_table

GOOD = "item,energy,comment\n a ,1.5,first\nb,-2,second\n"


def read(path: Path, content: bytes | str):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, option="--items", required=["item", "energy"], numbers=["energy"])


def test_a_good_table_is_stripped_typed_and_narrowed(tmp_path: Path):
    table = read(tmp_path / "items.csv", GOOD)
    assert list(table.columns) == ["item", "energy"]
    assert table["item"].tolist() == ["a", "b"]
    assert table["energy"].tolist() == [1.5, -2.0]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path):
    assert read(tmp_path / "items.csv", b"\xef\xbb\xbf" + GOOD.encode()).shape == (2, 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("  \n \n", "empty"),
        ("item,energy\n", "without rows"),
        ("item,enrgy\na,1\n", "is 'enrgy' meant"),
        ("item;energy\na;1\n", "(separated by semicolons? save it with commas)"),
        ("item\tenergy\na\t1,5\n", "(separated by tabs? save it with commas and decimal points)"),
        ("item;energy\na;1,5\n", "separated by semicolons? save it with commas and decimal points"),
        ('item,energy\na,"1,5"\n', "line 2: energy: got 1,5, expected a finite number (decimal comma"),
        ("item,energy\na,1,5\n", "a decimal comma? write a point"),
        ("item,energy\na,\n", "line 2: energy"),
        ("item,energy\na,1\nb,nan\n", "line 3: energy: got nan"),
        ("item,energy\na,inf\n", "finite"),
        ("item,energy\na,twelve\n", "twelve"),
        ("item,energy\na,1e30\n", "got 1e30, expected a number from -1e+12 to 1e+12 (too large to be meant)"),
        ("item,energy\na,-2.16e16\n", "got -2.16e16, expected a number from -1e+12 to 1e+12"),
        ("item,energy\n,1\n", "line 2: item"),
        ("item,energy\na,1\nb,2,3,4\n", "CSV"),
    ],
)
def test_bad_tables_name_option_place_and_cause(tmp_path: Path, content: bytes | str, words: str):
    with pytest.raises(InputError) as caught:
        read(tmp_path / "items.csv", content)
    assert str(caught.value).startswith("--items")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_column_that_is_needed_itself_is_proposed_for_another(tmp_path: Path):
    path = tmp_path / "trips.csv"
    free, none = "is 'XXationID' meant? rename it", "the header has zone, DOLocationID"
    for other, said in (("XXationID", free), ("zone", none)):
        path.write_text(f"{other},DOLocationID\n1,2\n")
        with pytest.raises(InputError) as caught:
            read_table(path, option="--trips", required=["PULocationID", "DOLocationID"])
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("item,energy\n\na,1\n \n\nb,x\n", "line 6: energy: got x"),
        ("\n\nitem,energy\na,1\n\nb,\n", "line 6: energy: got nothing"),
        ('item,energy\n"two\nlines",1\nb,x\n', "line 4: energy: got x"),
        ('item,energy\n"a\n\nb",x\n', "line 2: energy: got x"),
        ("item,energy\r\na,1\r\n\r\nb,x\r\n", "line 4: energy: got x"),
    ],
)
def test_the_line_is_that_of_the_file_whatever_stands_above(tmp_path: Path, content: str, place: str):
    with pytest.raises(InputError) as caught:
        read(tmp_path / "items.csv", content)
    assert str(caught.value).startswith(f"--items items.csv {place}")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (",item\n0,a\n", "pandas' index? write it with index=False"),
        ("item,\na,\n", "does the header end in a comma?"),
    ],
)
def test_a_column_without_a_name_is_refused_by_who_takes_every_column(tmp_path: Path, content: str, cause: str):
    path = tmp_path / "items.csv"
    path.write_text(content)
    read_table(path, option="--items", required=["item"])
    header = read_header(content, where="--items")
    with pytest.raises(InputError) as caught:
        read_table(path, option="--items", required=header)
    said = f"--items items.csv: got a column without a name, expected a name for each column ({cause})"
    assert str(caught.value) == said


def test_where_no_line_can_be_told_it_is_a_row():
    assert place_of(1, "item\na\n") == "row 2"
    assert place_of(0, f"item\n{'x' * 140_000}\n") == "row 1"


def test_a_header_may_hold_semicolons_inside_its_cells():
    assert read_header('time, "members; all",x\n1,a;b;c;d,2\n', where="--sets") == ["time", "members; all", "x"]


def test_missing_files_and_folders_are_named(tmp_path: Path):
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(InputError, match="--items"):
            read_table(path, option="--items", required=["item"])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_never_a_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    with contextlib.suppress(InputError):
        read(tmp_path_factory.mktemp("csv") / "items.csv", data)


def test_a_monitor_file_of_stable_baselines_is_read_and_its_lines_counted(tmp_path: Path):
    path = tmp_path / "0.monitor.csv"
    path.write_text('#{"t_start": 1.0, "env_id": "CartPole-v1"}\nr,l,t\n200.0,200,1\nx,1,2\n')
    with pytest.raises(InputError, match=r"^--returns 0\.monitor\.csv line 4: r: got x"):
        read_table(path, option="--returns", required=["r"], numbers=["r"])
    path.write_text(path.read_text().replace("x,", "1,"))
    assert read_table(path, option="--returns", required=["r"], numbers=["r"])["r"].tolist() == [200.0, 1.0]
