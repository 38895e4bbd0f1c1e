"""Tables of claims as analysts have them: CSV files, databases of Discourse Network Analyzer, R data files."""

import re
import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.tasks.statements import NO_GROUP, Level, Statements
from livepapers.tasks.tables import near_column, read_header, read_table, read_text, refuse_repeated

Dates = Literal["auto", "iso", "yyyymmdd", "r", "year"]
Scale = Literal["auto", "binary", "integer", "text"]
Part = Literal["actor", "concept", "qualifier", "date", "group", "document"]

NAMES: Mapping[Part, tuple[str, ...]] = {
    "actor": ("actor", "name", "person", "organization", "organisation", "speaker"),
    "concept": ("concept", "claimvalues", "category", "categories", "code"),
    "qualifier": ("qualifier", "cpos", "polarity", "agreement", "sign"),
    "date": ("date", "cdate", "day"),
    "group": ("group", "parties", "party", "affiliation"),
    "document": ("document", "doc_id", "document_id", "article"),
}
"""Column names that are understood without being asked for, the first that is there; DebateNet's own among them."""
NEEDED: tuple[Part, ...] = ("actor", "concept", "qualifier")
MISSING = frozenset({"", "NA", "NaN", "nan", "None", "<NA>"})
"""Cells that mean "not known": R writes NA as a text."""
MOST_LEVELS = 21
_FAR = 10.0  # times the usual size of a qualifier: a digit typed twice
_YES = frozenset({"true", "yes", "pro", "support", "supports", "agree", "agrees", "for", "+"})
_NO = frozenset({"false", "no", "contra", "reject", "rejects", "disagree", "disagrees", "against", "-"})
_LIST = re.compile(r"\[.*\]|\d+(?:\s*[,; ]\s*\d+)+")
_FIRST_YEAR, _LAST_YEAR = 1600, 2200


@dataclass(frozen=True)
class Layout:
    """How a table is to be read; a column left out is looked for under its usual names."""

    columns: Mapping[Part, str] = field(default_factory=dict)
    dates: Dates = "auto"
    scale: Scale = "auto"
    levels: tuple[float, ...] = ()  # all values that a number may have; those that occur when left out


def read_statements(path: Path, *, option: str = "--claims", layout: Layout | None = None) -> Statements:
    """A file of claims by its ending: .csv, .rda or .RData, and .dna, .db, .sqlite or .sqlite3.

    Args:
        path: The file.
        option: What the user called it; starts every message.
        layout: Names of columns and how cells are written.

    Raises:
        InputError: One line that names file, column, line and the likely cause.
        MissingExtraError: For R data files without the package that reads them.
    """
    chosen = Layout() if layout is None else layout
    ending = path.suffix.lower()
    where = f"{option} {path.name}"
    if ending == ".csv":
        return statements_of(read_csv(path, option=option, layout=chosen), where=where, layout=chosen)
    if not path.is_file():
        raise InputError.of(option, path, expected="an existing file")
    if ending in {".rda", ".rdata"}:
        return statements_of(read_rda(path, option=option, layout=chosen), where=where, layout=chosen)
    if ending in {".dna", ".db", ".sqlite", ".sqlite3"}:
        return statements_of(read_database(path, option=option, layout=chosen), where=where, layout=chosen)
    raise InputError.of(option, path, expected="a file that ends in .csv, .rda, .RData, .dna, .db or .sqlite")


def read_csv(path: Path, *, option: str, layout: Layout) -> pd.DataFrame:
    """A CSV file's columns under the names of `Part`, all texts."""
    text = read_text(path, option=option)
    header = read_header(text, where=f"{option} {path.name}")
    names = _find(header, layout, where=f"{option} {path.name}")
    optional = [name for part, name in names.items() if part not in NEEDED]
    needed = [names[part] for part in NEEDED]
    table = read_table(path, option=option, required=needed, optional=optional, blank=[names.get("group", "")])
    return table.rename(columns={name: part for part, name in names.items()})


def read_rda(path: Path, *, option: str, layout: Layout) -> pd.DataFrame:
    """The one data frame of an R data file that has the columns, under the names of `Part`, all texts."""
    try:
        import rdata  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise MissingExtraError("rdata", "rda") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # its guesses at the kind of file; what matters is checked below
            objects = rdata.read_rda(path)
    except (ValueError, NotImplementedError, EOFError, OSError, KeyError, IndexError) as error:
        raise InputError.of(option, path, expected="an R data file", cause=str(error)[:100]) from None
    frames = {str(name): found for name, found in objects.items() if isinstance(found, pd.DataFrame)}
    if not frames:
        raise InputError.of(option, path, expected="a file with a data frame", cause=f"it holds {', '.join(objects)}")
    fits = [frame for frame in frames.values() if set(NEEDED) <= _match(list(frame.columns), layout).keys()]
    chosen = fits[0] if fits else next(iter(frames.values()))
    names = _find([str(column) for column in chosen.columns], layout, where=f"{option} {path.name}")
    return pd.DataFrame({part: _texts(pd.Series(chosen[name])) for part, name in names.items()})


def _texts(column: pd.Series) -> pd.Series:
    """Cells as a person would type them: whole numbers without a point, dates in ISO form, missing ones empty."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.strftime("%Y-%m-%d").fillna("")
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.map(lambda value: "" if pd.isna(value) else f"{value:.12g}")
    return column.map(lambda value: "" if value is None or value is pd.NA or value != value else str(value).strip())


def read_database(path: Path, *, option: str, layout: Layout) -> pd.DataFrame:
    """Statements of a Discourse Network Analyzer database (versions 3), under the names of `Part`, all texts.

    The variables are those of the first statement type that has the columns, its first boolean or integer variable
    being the qualifier where no name fits. Nothing is written to the file.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise InputError.of(option, path, expected="a database", cause=str(error)) from None
    try:
        return _of_database(connection, layout, where=f"{option} {path.name}")
    except sqlite3.Error as error:
        expected = "a database of Discourse Network Analyzer"
        raise InputError.of(option, path, expected=expected, cause=str(error)) from None
    finally:
        connection.close()


_VALUES = """
SELECT s.ID AS statement, s.DocumentId AS document, d.Date AS date, v.Variable AS variable, v.DataType AS kind,
       e.Value AS entity, b.Value AS boolean, i.Value AS number
FROM STATEMENTS s JOIN DOCUMENTS d ON d.ID = s.DocumentId
JOIN VARIABLES v ON v.StatementTypeId = s.StatementTypeId
LEFT JOIN DATASHORTTEXT t ON t.StatementId = s.ID AND t.VariableId = v.ID
LEFT JOIN ENTITIES e ON e.ID = t.Entity
LEFT JOIN DATABOOLEAN b ON b.StatementId = s.ID AND b.VariableId = v.ID
LEFT JOIN DATAINTEGER i ON i.StatementId = s.ID AND i.VariableId = v.ID
ORDER BY s.ID, v.ID
"""


def _of_database(connection: sqlite3.Connection, layout: Layout, *, where: str) -> pd.DataFrame:
    long = pd.DataFrame(
        connection.execute(_VALUES).fetchall(),
        columns=["statement", "document", "date", "variable", "kind", "entity", "boolean", "number"],
    )
    if long.empty:
        raise InputError.of(where, "no statement", expected="at least one statement")
    long["value"] = long["entity"].fillna(long["boolean"].map(_sign)).fillna(long["number"].map(_whole))
    wide = long.pivot_table(index="statement", columns="variable", values="value", aggfunc="first", sort=True)
    signs = long.loc[long["kind"].isin(["boolean", "integer"]), "variable"].unique().tolist()
    variables = [str(name) for name in wide.columns]
    columns: dict[Part, str] = dict(layout.columns)
    if "qualifier" not in _match(variables, layout) and signs:
        columns["qualifier"] = str(signs[0])
    if "actor" not in columns and {"person", "organization"} <= set(variables):
        columns["actor"] = "person"
        columns.setdefault("group", "organization")
    names = _find(variables, Layout(columns), where=where)
    first = long.groupby("statement")[["document", "date"]].first().loc[wide.index]
    table = {part: wide[name].fillna("").to_numpy(dtype=object) for part, name in names.items()}
    table |= {"document": first["document"].astype(str).to_numpy(dtype=object)} if "document" not in names else {}
    table |= {"date": _seconds(first["date"], where=where)} if "date" not in names else {}
    return pd.DataFrame(table)


def _sign(value: float | None) -> str | None:
    return None if value is None or value != value else "1" if value else "-1"


def _whole(value: float | None) -> str | None:
    return None if value is None or value != value else str(int(value))


def _seconds(column: pd.Series, *, where: str) -> np.ndarray:
    """Seconds since 1970 (milliseconds in older files) as ISO dates."""
    values = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError.of(f"{where}: DOCUMENTS.Date", "a date that is no number", expected="seconds since 1970")
    seconds = np.where(np.abs(values) > 1e11, values / 1000, values)
    days = np.floor(seconds / 86_400).astype(np.int64)
    return days.astype("datetime64[D]").astype(str).astype(object)


def _match(header: Sequence[str], layout: Layout) -> dict[Part, str]:
    lower = {name.lower(): name for name in reversed(header)}
    found: dict[Part, str] = {}
    for part, names in NAMES.items():
        usual = next((lower[name] for name in names if name in lower), None)
        name = layout.columns.get(part) or usual
        if name:
            found[part] = name
    return found


def _find(header: Sequence[str], layout: Layout, *, where: str) -> dict[Part, str]:
    names = _match(header, layout)
    for part, name in names.items():
        if name not in header:
            near = near_column(name, header, taken=names.values())
            cause = f"is {near!r} meant?" if near else f"the header has {', '.join(header)[:100]}"
            raise InputError.of(f"{where}: {part}", name, expected="a column of the table", cause=cause)
    refuse_repeated(header, names.values(), where=where)
    for part, name in list(names.items()):
        other = next((first for first, column in names.items() if column == name and first != part), None)
        if other is None:
            continue
        if part in layout.columns and (other in layout.columns or other in NEEDED):
            raise InputError.of(f"{where}: {part}", name, expected="a column of its own", cause=f"it is the {other}")
        if part not in layout.columns and part not in NEEDED:
            del names[part]
    for part in NEEDED:
        if part not in names:
            cause = f"name it with --{part}; the header has {', '.join(header)[:100]}"
            expected = f"one of the columns {', '.join(NAMES[part])}"
            raise InputError.of(f"{where}: {part}", "no such column", expected=expected, cause=cause)
    return names


def statements_of(table: pd.DataFrame, *, where: str, layout: Layout) -> Statements:
    """A table of texts, one claim a row, as statements: lists in a cell become rows, dates become days.

    A category that is named twice in one claim counts once.

    Raises:
        InputError: For cells that are no date, no known qualifier, or no category, naming the line.
    """
    for part in NEEDED:
        empty = table[part].isin(list(MISSING)).to_numpy()
        if empty.any():
            row = int(np.flatnonzero(empty)[0])
            place = f"{where} line {row + 2}: {part}"
            raise InputError.of(place, str(table[part].iloc[row]), expected="a value", cause="missing value")
    qualifier, levels = parse_qualifier(pd.Series(table["qualifier"]), where=where, layout=layout)
    days = parse_days(pd.Series(table["date"]), where=where, form=layout.dates) if "date" in table else None
    rows, concept = split_lists(pd.Series(table["concept"]), where=where)
    group = None
    if "group" in table:
        group = table["group"].where(~table["group"].isin(list(MISSING)), NO_GROUP).to_numpy(dtype=object)[rows]
    document = table["document"].to_numpy(dtype=object)[rows] if "document" in table else None
    return Statements.from_columns(
        table["actor"].to_numpy(dtype=object)[rows], concept, qualifier[rows],
        day=None if days is None else days[rows], document=document, group=group, span=rows, levels=levels,
    )  # fmt: skip


def split_lists(cells: pd.Series, *, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Cells like `[100,102]`, `100 102` or `border controls`: (row of each category, category), duplicates dropped."""
    texts = cells.astype(str).str.strip()
    lists = texts.map(lambda cell: _LIST.fullmatch(cell) is not None)
    parts = texts.where(~lists, texts.str.strip("[]").str.replace(r"[;\s]+", ",", regex=True).str.split(","))
    long = pd.Series(parts.explode()).map(lambda part: str(part).strip().strip("'\""))
    frame = pd.DataFrame({"row": np.repeat(np.arange(len(cells)), parts.map(_length)), "concept": long.to_numpy()})
    frame = pd.DataFrame(frame[frame["concept"] != ""]).drop_duplicates()
    empty = np.setdiff1d(np.arange(len(cells)), frame["row"].to_numpy(dtype=np.int64))
    if empty.size:
        row = int(empty[0])
        raise InputError.of(f"{where} line {row + 2}: concept", texts.iloc[row], expected="at least one category")
    return frame["row"].to_numpy(dtype=np.int64), frame["concept"].to_numpy(dtype=object)


def _length(cell: str | list[str]) -> int:
    return len(cell) if isinstance(cell, list) else 1


def parse_qualifier(cells: pd.Series, *, where: str, layout: Layout) -> tuple[np.ndarray, tuple[Level, ...] | None]:
    """(values `[row]`, all levels): -1 and 1, whole numbers of a scale, or texts."""
    texts = cells.astype(str).str.strip()
    if layout.scale == "text":
        return texts.to_numpy(dtype=object), None
    words = texts.str.lower()
    values = np.asarray(pd.to_numeric(texts, errors="coerce"), dtype=np.float64)
    values = np.where(words.isin(_YES), 1.0, np.where(words.isin(_NO), -1.0, values))
    bad = ~np.isfinite(values) | (values != np.round(values))
    if layout.levels:
        bad |= ~np.isin(values, layout.levels)
    if layout.scale == "binary":
        bad |= ~np.isin(values, (-1.0, 0.0, 1.0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        known = ", ".join(f"{level:g}" for level in layout.levels) or "-1 or 1, 0 or 1, yes or no, or whole numbers"
        cause = "texts need --scale text" if not np.isfinite(values[row]) else ""
        place = f"{where} line {row + 2}: {cells.name}"
        raise InputError.of(place, str(texts.iloc[row]), expected=known, cause=cause)
    if layout.scale == "auto" and not layout.levels:
        _refuse_stray(texts, values, where=f"{where} line", name=str(cells.name))
    found = set(np.unique(values).tolist())
    if layout.scale != "integer" and not layout.levels:
        if found <= {-1.0, 1.0}:
            return values, (-1.0, 1.0)
        if found <= {0.0, 1.0}:
            return 2 * values - 1, (-1.0, 1.0)
        if layout.scale == "binary":
            raise InputError.of(f"{where}: {cells.name}", "-1, 0 and 1", expected="two values", cause="drop the zeros")
    if len(found) > MOST_LEVELS:
        cause = "is this the qualifier's column?"
        expected = f"at most {MOST_LEVELS} different values"
        raise InputError.of(f"{where}: {cells.name}", f"{len(found)} values", expected=expected, cause=cause)
    return values, layout.levels or None


def _refuse_stray(texts: pd.Series, values: np.ndarray, *, where: str, name: str) -> None:
    """Refuse what looks like a misprint: it would turn a column of 0 and 1 into a scale on which 0 is no rejection.

    A value is one if at most one row, or one in a hundred, has it, and all others are the two values of a sign, or it
    is over ten times their usual size.
    """
    few = max(1, len(values) // 100)
    signs = [pair for pair in ((-1.0, 1.0), (0.0, 1.0)) if all((values == value).sum() > 1 for value in pair)]
    strays = [~np.isin(values, pair) for pair in signs]
    strays.append(np.abs(values) > _FAR * max(float(np.median(np.abs(values))), 1.0))
    stray = next((mask for mask in strays if 0 < mask.sum() <= few), None)
    if stray is not None:
        row, usual = int(np.flatnonzero(stray)[0]), np.unique(values[~stray])[:MOST_LEVELS]
        expected = f"{', '.join(f'{level:g}' for level in usual)}, as in all but {stray.sum()} of {len(values)} rows"
        cause = "a misprint? --scale integer if it is meant"
        raise InputError.of(f"{where} {row + 2}: {name}", str(texts.iloc[row]), expected=expected, cause=cause)


def parse_days(cells: pd.Series, *, where: str, form: Dates) -> np.ndarray:
    """Dates as days since 1970-01-01: ISO, YYYYMMDD, R's day numbers or years.

    Raises:
        InputError: For a cell that is no date of the form, a column that mixes forms, or one that could be two.
    """
    texts = cells.astype(str).str.strip()
    numbers = np.asarray(pd.to_numeric(texts, errors="coerce"), dtype=np.float64)
    if form == "auto":
        form = _form(texts, numbers, where=f"{where}: {cells.name}")
    if form == "iso":
        return _iso(texts, where=where, name=str(cells.name))
    whole = np.where(np.isfinite(numbers), numbers, 0.5)
    first, last = {"yyyymmdd": (16_000_101, 22_001_231), "year": (_FIRST_YEAR, _LAST_YEAR)}.get(
        form, (-135_000, 84_000)
    )
    bad = (whole != np.round(whole)) | (whole < first) | (whole > last)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        expected = {"yyyymmdd": "a date as YYYYMMDD", "year": "a year", "r": "days since 1970-01-01"}[form]
        cause = "missing date?" if texts.iloc[row] in MISSING else ""
        place = f"{where} line {row + 2}: {cells.name}"
        raise InputError.of(place, str(texts.iloc[row]), expected=expected, cause=cause)
    if form == "r":
        return whole.astype(np.int64)
    if form == "year":
        return whole.astype(np.int64).astype(str).astype("datetime64[D]").astype(np.int64)
    dashed = texts.str.replace(r"(\d{4})(\d{2})(\d{2})(?:\.0*)?", r"\1-\2-\3", regex=True).rename(cells.name)
    return _iso(dashed, where=where, name=str(cells.name))


def _form(texts: pd.Series, numbers: np.ndarray, *, where: str) -> Dates:
    counted = np.isfinite(numbers)
    if not counted.any():
        return "iso"
    if not counted.all():
        row = int(np.flatnonzero(counted != counted[0])[0])
        shown = f"{texts.iloc[0]} and, in line {row + 2}, {texts.iloc[row] or 'nothing'}"
        raise InputError.of(where, shown, expected="dates of one form", cause="a missing date, or two forms mixed?")
    eight = (numbers >= 10_000_000) & (numbers < 100_000_000)
    if eight.all():
        return "yyyymmdd"
    if eight.any():
        row = int(np.flatnonzero(eight != eight[0])[0])
        shown = f"{texts.iloc[0]} and, in line {row + 2}, {texts.iloc[row]}"
        raise InputError.of(where, shown, expected="dates of one form", cause="YYYYMMDD and R's day numbers mixed?")
    if ((numbers >= _FIRST_YEAR) & (numbers <= _LAST_YEAR)).all():
        shown = f"whole numbers like {texts.iloc[0]}"
        cause = "years, or R's day numbers? say --dates year or --dates r"
        raise InputError.of(where, shown, expected="an unambiguous date", cause=cause)
    return "r"


def _iso(texts: pd.Series, *, where: str, name: str) -> np.ndarray:
    dates = texts.str.extract(r"^(\d{4}-\d{2}-\d{2})(?:[T ][\d:.+Z-]*)?$", expand=False)
    days = pd.to_datetime(dates, format="%Y-%m-%d", errors="coerce")
    bad = days.isna().to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        cause = "missing date?" if texts.iloc[row] in MISSING else "as 2015-09-13, or --dates"
        raise InputError.of(f"{where} line {row + 2}: {name}", str(texts.iloc[row]), expected="a date", cause=cause)
    return days.to_numpy().astype("datetime64[D]").astype(np.int64)
