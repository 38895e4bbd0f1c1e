"""Tables of many series: CSV in long or wide form, as a tensor (series, time, variable), checked before any work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError
from livepapers.tasks.tables import read_header, read_table, read_text

ONE = "all"
"""The name of the only series of a table without a column `series`."""


@dataclass(frozen=True, eq=False)
class SeriesTensor:
    """Complete series: each has every variable at every time."""

    values: np.ndarray  # [series, times, variables]
    series: tuple[str, ...]
    times: tuple[str, ...]  # in order, as written
    variables: tuple[str, ...]
    even: bool  # whether all steps between times are equally long, months and years taken as equal


def read_series(path: Path, *, option: str) -> SeriesTensor:
    """Read a table of series.

    Long: the columns series, time, variable, value. Wide: time, if there is more than one series also series, and a
    column for each variable. Times are whole numbers or ISO 8601 dates.

    Raises:
        InputError: One line for a file that cannot be used; a missing value is named with its series and time.
    """
    where = f"{option} {path.name}"
    header = read_header(read_text(path, option=option), where=where)
    if {"variable", "value"} <= set(header):
        needed = ("series", "time", "variable", "value")
        table = read_table(path, option=option, required=needed, numbers=("value",))
        keys = ["series", "time", "variable"]
        if (again := table.duplicated(keys)).any():
            row = int(np.flatnonzero(again)[0])
            shown = ", ".join(str(table[key].iloc[row]) for key in keys)
            raise InputError.of(f"{where} line {row + 2}", shown, expected="each series, time and variable once")
        variables = tuple(dict.fromkeys(table["variable"]))
    else:
        variables = tuple(name for name in dict.fromkeys(header) if name not in {"series", "time"})
        if not variables:
            raise InputError.of(where, ", ".join(header), expected="a column for each variable", cause="only time?")
        named = ("series", "time") if "series" in header else ("time",)
        wide = read_table(path, option=option, required=(*named, *variables), numbers=variables)
        if "series" not in wide:
            wide.insert(0, "series", ONE)
        if (again := wide.duplicated(["series", "time"])).any():
            row = int(np.flatnonzero(again)[0])
            shown = f"{wide['series'].iloc[row]}, {wide['time'].iloc[row]}"
            cause = "a column `series` tells several series apart" if "series" not in header else ""
            raise InputError.of(f"{where} line {row + 2}", shown, expected="each series and time once", cause=cause)
        table = wide.melt(["series", "time"], var_name="variable", value_name="value")
    return _tensor(table, variables, where=where)


def write_long(values: np.ndarray, series: Sequence[str], times: Sequence[str], variables: Sequence[str]) -> str:
    """The long form of a tensor `[series, times, variables]`, as CSV."""
    index = pd.MultiIndex.from_product([series, times, variables], names=["series", "time", "variable"])
    return pd.DataFrame({"value": values.ravel()}, index=index).to_csv()


def _tensor(table: pd.DataFrame, variables: tuple[str, ...], *, where: str) -> SeriesTensor:
    times, place, even = _order([str(text) for text in table["time"]], where=where)
    series = tuple(dict.fromkeys(table["series"]))
    values = np.full((len(series), len(times), len(variables)), np.nan)
    rows, columns = (
        pd.Index(names).get_indexer(pd.Index(table[key]))
        for names, key in ((series, "series"), (variables, "variable"))
    )
    values[rows, place, columns] = table["value"].to_numpy(dtype=float)
    if (missing := np.argwhere(np.isnan(values))).size:
        i, t, k = missing[0]
        shown = f"{variables[k]} of {series[i]} at {times[t]}"
        cause = f"{len(missing)} values are missing: fill them, or leave out series or times"
        raise InputError.of(where, f"nothing for {shown}", expected="a value for each series at each time", cause=cause)
    return SeriesTensor(values, series, times, variables, even)


def _order(texts: list[str], *, where: str) -> tuple[tuple[str, ...], np.ndarray, bool]:
    """Distinct times in order, the place of each row, and whether steps are even."""
    numbers = np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce"), dtype=float)
    if np.isfinite(numbers).all():
        order = numbers
        steps = np.diff(np.unique(order))
        even = not len(steps) or bool(np.allclose(steps, steps[0]))
    else:
        dates = pd.to_datetime(pd.Series(texts), errors="coerce", format="ISO8601", utc=True)
        if dates.isna().any():
            row = int(np.flatnonzero(dates.isna())[0])
            expected = "a number or an ISO 8601 date, the same kind in all rows"
            raise InputError.of(f"{where}: time", texts[row], expected=expected)
        order = dates.astype("int64").to_numpy()
        steps = np.diff(np.unique(order))
        months = np.diff(np.unique(dates.dt.year * 12 + dates.dt.month))
        whole = bool((dates.dt.day == 1).all()) and len(months) == len(steps)
        even = not len(steps) or bool((steps == steps[0]).all()) or (whole and bool((months == months[0]).all()))
    distinct, first, place = np.unique(order, return_index=True, return_inverse=True)
    return tuple(texts[row] for row in first[: len(distinct)]), place, even
