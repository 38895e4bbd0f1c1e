"""Tables that users bring: CSV files, checked before any work is spent."""

import csv
import difflib
import io
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError

LARGEST_NUMBER = 1e12
"""Beyond this, single precision loses whole units and a misplaced column (a time stamp, an id) is the likely cause."""
_SEPARATORS = {"semicolons": ";", "tabs": "\t"}  # of what spreadsheets save where the comma is for decimals
_MONITOR = re.compile(r"\A#\{.*")
"""What monitor files of Stable-Baselines3 begin with; a blank line in its place keeps the numbers of lines."""
_COMMA = re.compile(r"[-+]?\d+(,\d+)+(\.\d*)?")


def read_text(path: Path | str, *, option: str) -> str:
    """A text file's content; one clear line for what is missing, a folder, binary or empty.

    Args:
        path: The file.
        option: What the user called it, e.g. "--demand".
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError.of(option, path, expected="an existing file") from None
    except OSError as error:  # a folder, no permission, a circle of links, too long a name
        raise InputError.of(option, path, expected="a readable file", cause=(error.strerror or "").lower()) from None
    if b"\0" in data[:65536]:
        raise InputError.of(option, path, expected="a text file", cause="it looks binary")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError.of(option, path, expected="UTF-8 text", cause=f"byte {error.start} is not") from None
    if not text.strip():
        raise InputError.of(option, path, expected="content", cause="the file is empty")
    return text


def read_table(
    path: Path | str,
    *,
    option: str,
    required: Sequence[str],
    numbers: Sequence[str] = (),
    optional: Sequence[str] = (),
    blank: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a CSV file with a header line; also one of Stable-Baselines3's monitor, which has a comment above it.

    Args:
        path: The file.
        option: What the user called it, e.g. "--demand"; starts every message.
        required: Columns that must be there.
        numbers: Columns (required, or optional and present) whose values must be finite numbers.
        optional: Further columns that are kept when present; all others are dropped.
        blank: Columns (of texts) whose cells may be empty.

    Returns:
        One row a line, columns in the order required, optional; texts stripped, numbers as float64.

    Raises:
        InputError: Naming the file, the column and the line.
    """
    path = Path(path)
    text, where = _MONITOR.sub("", read_text(path, option=option)), f"{option} {path.name}"
    header = read_header(text, where=where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO(text), dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False
            )
    except pd.errors.ParserWarning:  # it would drop the cells beyond the header
        cause = "a decimal comma? write a point; a comma inside a name? put it in quotes"
        shown = "lines with more cells than the header"
        raise InputError.of(where, shown, expected="a cell for each column", cause=cause) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        cause = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise InputError.of(option, path, expected="a CSV table with a header line", cause=cause) from None
    table.columns = [str(column).strip() for column in table.columns]
    if "" in required:  # by a caller that takes every column of the header
        cause = "pandas' index? write it with index=False" if not header[0] else "does the header end in a comma?"
        raise InputError.of(where, "a column without a name", expected="a name for each column", cause=cause)
    refuse_repeated(header, (*required, *optional), where=where)
    for column in required:
        if column not in table.columns:
            near = near_column(column, header, taken=required)
            cause = f"is {near!r} meant? rename it" if near else f"the header has {', '.join(header)[:100]}"
            raise InputError.of(f"{where}: column {column}", "nothing", expected="this column", cause=cause)
    if table.empty:
        raise InputError.of(where, "a header without rows", expected="at least one row")
    kept = [*required, *(column for column in optional if column in table.columns)]
    columns: dict[str, pd.Series | np.ndarray] = {}
    for name in kept:
        column = pd.Series(table[name]).str.strip()
        if name not in blank:
            _refuse_empty(column, where=where, text=text)
        columns[name] = to_numbers(column, where=where, text=text) if name in numbers else column
    return pd.DataFrame(columns)


def read_header(text: str, *, where: str) -> list[str]:
    """The cells of a CSV file's first line, stripped.

    Args:
        text: The file's content.
        where: What the user called the file; starts the message.

    Raises:
        InputError: The cells are separated by semicolons or tabs, or the line is no CSV.
    """

    def cells(separator: str) -> list[str]:
        reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
        return [cell.strip() for cell in next(row for row in reader if row)]

    try:
        header = cells(",")
        other = next((name for name, sign in _SEPARATORS.items() if len(cells(sign)) > len(header)), None)
    except csv.Error as error:
        expected = "a CSV table with a header line"
        raise InputError.of(where, "another form", expected=expected, cause=str(error)) from None
    if other is not None:
        points = " and decimal points" if re.search(r"\d,\d", text) else ""
        cause = f"separated by {other}? save it with commas{points}"
        raise InputError.of(where, text.lstrip().split("\n", 1)[0], expected="cells separated by commas", cause=cause)
    return header


def near_column(name: str, header: Sequence[str], *, taken: Iterable[str]) -> str:
    """The column of a header that may be a misspelt `name`; empty where there is none.

    Args:
        name: Of the column that is missing.
        header: What is there.
        taken: Columns that are needed as they are, so that none of them is to be renamed.
    """
    return next(iter(difflib.get_close_matches(name, [one for one in header if one not in {*taken}], n=1)), "")


def comma_cause(text: str) -> str:
    """What a cell that should be a number says by its commas; empty where it says nothing."""
    return "decimal comma, or commas between thousands? write 1.5 and 1500" if _COMMA.fullmatch(text) else ""


def refuse_repeated(header: Sequence[str], columns: Iterable[str], *, where: str) -> None:
    """Refuse columns that stand twice in a header: one of the two is not meant."""
    for column in columns:
        if header.count(column) > 1:
            raise InputError.of(f"{where}: column {column}", "it twice", expected="each column once")


def place_of(row: int, text: str) -> str:
    """Where a row of a table stands in its file: "line 5", or "row 3" where no line can be told.

    Blank lines are no rows, and a cell in quotes may go over several lines: the line is the row's first.

    Args:
        row: From 0, the header not counted.
        text: The file's content.
    """
    lines, reader = [], csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        before = 0
        for cells in reader:
            if len(cells) > 1 or "".join(cells).strip():
                lines.append(before + 1)
            before = reader.line_num
    except csv.Error:  # such as a cell that is too long for it
        return f"row {row + 1}"
    return f"line {lines[row + 1]}" if row + 1 < len(lines) else f"row {row + 1}"


def to_numbers(column: pd.Series, *, where: str, text: str | None = None) -> np.ndarray:
    """A text column as float64.

    Args:
        column: One text a row.
        where: What the user called the file; starts the message.
        text: Its content; None where each row is one line below a header.

    Raises:
        InputError: Naming the first line that is no finite number.
    """
    values = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=float)
    bad = ~np.isfinite(values) | (np.abs(values) > LARGEST_NUMBER)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        value = str(column.iloc[row])
        expected, cause = "a finite number", comma_cause(value) or "missing or misplaced value?"
        if np.isfinite(values[row]):
            expected, cause = f"a number from {-LARGEST_NUMBER:g} to {LARGEST_NUMBER:g}", "too large to be meant"
        place = f"{where} {f'line {row + 2}' if text is None else place_of(row, text)}: {column.name}"
        raise InputError.of(place, value, expected=expected, cause=cause)
    return values


def _refuse_empty(column: pd.Series, *, where: str, text: str) -> None:
    bad = np.asarray(column.isna() | (column == ""))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        place = f"{where} {place_of(row, text)}: {column.name}"
        raise InputError.of(place, "nothing", expected="a value", cause="missing value")
