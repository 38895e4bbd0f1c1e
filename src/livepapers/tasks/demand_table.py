"""The reader of a user's demand file: what was asked for, by store and period, checked before any work is spent."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.demand import Panel, christmas_distance
from livepapers.tasks.inventory_network import InventoryNetwork
from livepapers.tasks.tables import read_header, read_table, read_text


@dataclass(frozen=True)
class DemandTable:
    """Demand of K series over W periods without gaps."""

    series: tuple[str, ...]  # in the order of the network's stores, where a network was given
    periods: tuple[str, ...]  # labels as in the file, oldest first
    dates: tuple[dt.date, ...] | None  # None where periods are counted by whole numbers
    values: Tensor  # [W, K] float32

    def panel(self, *, known: int | None = None) -> Panel:
        """One instance whose S stores are the series: the demand of a network."""
        return Panel(self.values.T[None], known=known)

    def panel_by_series(self, *, known: int | None = None) -> Panel:
        """K instances of one store each: many separate one-store problems."""
        return Panel(self.values.T[:, None], known=known)

    def calendar(self) -> Tensor:
        """Signed distance to Christmas, `[W]`; zeros where the periods are no dates."""
        return torch.zeros(len(self.periods)) if self.dates is None else christmas_distance(self.dates)


def read_demand_csv(
    path: Path | str,
    network: InventoryNetwork | None = None,
    *,
    shortest: int = 2,
    option: str = "demand",
) -> DemandTable:
    """Read demand from a CSV file, long or wide.

    Long: columns `store` (or `series`), `period`, `quantity`, one row a store and period. Wide: column `period` and
    one column a store. Periods are ISO dates or whole numbers in ascending order at equal steps (days, weeks,
    calendar months ...); all series cover the same periods.

    Args:
        path: The file.
        network: Its stores are the series, in its order; unmet demand that is lost forbids negative quantities.
            Without a network any series names do and quantities are non-negative.
        shortest: The fewest periods that are of use, e.g. warm-up + longest lead time + 1.
        option: What the user called the file, e.g. "--demand".

    Raises:
        InputError: One line naming the file, the place, the value and what was expected.
    """
    path = Path(path)
    table = _wide(path, option)
    where = f"{option} {path.name}"
    table = _match(table, network, where)
    dates = _check_periods(list(table.index), where)
    values = table.to_numpy(dtype=np.float64, copy=True)
    if network is None or network.unmet == "lost":
        _refuse_negative(table, where)
    for name, column in zip(table.columns, values.T, strict=True):
        if not column.any():
            raise InputError.of(f"{where}: {name}", "only zeros", expected="some demand", cause="leave this series out")
    if len(table) < shortest:
        cause = "history and the longest lead time need them"
        raise InputError.of(where, f"{len(table)} periods", expected=f"at least {shortest} periods", cause=cause)
    names = tuple(str(name) for name in table.columns)
    return DemandTable(names, tuple(table.index), dates, torch.from_numpy(values).float())


def _wide(path: Path, option: str) -> pd.DataFrame:
    """Either format as [period, series] with text labels."""
    where = f"{option} {path.name}"
    header = read_header(read_text(path, option=option), where=where)
    if len(header) != len(set(header)):
        twice = next(name for name in header if header.count(name) > 1)
        raise InputError.of(where, f"column {twice!r} twice", expected="unique column names")
    long = "quantity" in header or "store" in header or "series" in header or "period" not in header
    if not long:
        series = [name for name in header if name != "period"]
        if not series:
            raise InputError.of(
                where, "no column but period", expected="columns store, period, quantity, or one a store"
            )
        table = read_table(path, option=option, required=["period", *series], numbers=series).set_index("period")
        _refuse_twice(pd.Series(table.index), where)
        return table
    key = "series" if "series" in header and "store" not in header else "store"
    table = read_table(path, option=option, required=[key, "period", "quantity"], numbers=["quantity"])
    twice = table.duplicated([key, "period"])
    if bool(twice.any()):
        row = int(np.flatnonzero(twice)[0])
        name, period = table[key].iloc[row], table["period"].iloc[row]
        raise InputError.of(
            f"{where} line {row + 2}", f"{name} in {period} again", expected="each store and period once"
        )
    order = list(dict.fromkeys(table["period"]))
    spread = table.pivot(index="period", columns=key, values="quantity")  # noqa: PD010 - pairs are unique here
    spread = spread.loc[order, list(dict.fromkeys(table[key]))]
    if bool(spread.isna().to_numpy().any()):
        row, column = (int(position[0]) for position in np.nonzero(spread.isna().to_numpy()))
        cause = "write 0 where nothing was asked for"
        what = f"no row for {spread.columns[column]} in {spread.index[row]}"
        raise InputError.of(where, what, expected="every store in every period", cause=cause)
    return spread


def _refuse_twice(periods: pd.Series, where: str) -> None:
    twice = periods.duplicated()
    if bool(twice.any()):
        row = int(np.flatnonzero(twice)[0])
        raise InputError.of(
            f"{where} line {row + 2}: period", f"{periods.iloc[row]} again", expected="each period once"
        )


def _match(table: pd.DataFrame, network: InventoryNetwork | None, where: str) -> pd.DataFrame:
    """Columns in the order of the network's stores."""
    if network is None:
        return table
    stores = [node.name for node in network.stores]
    shown = ", ".join(stores[:6]) + (" ..." if len(stores) > 6 else "")
    for name in table.columns:
        if name not in stores:
            raise InputError.of(f"{where}: store", str(name), expected=f"a store of the network ({shown})")
    for name in stores:
        if name not in table.columns:
            raise InputError.of(f"{where}: store {name}", "no rows", expected="demand of every store of the network")
    return pd.DataFrame(table.loc[:, stores])


def _check_periods(labels: list[str], where: str) -> tuple[dt.date, ...] | None:
    """Ascending and without gaps; returns the dates, or None for whole numbers."""
    numbers, dates = _as_numbers(labels, where)
    for before, after, label in zip(numbers[:-1], numbers[1:], labels[1:], strict=True):
        if after <= before:
            raise InputError.of(
                f"{where}: period", label, expected="ascending periods", cause="sort the file by period"
            )
    if len(numbers) < 3:
        return dates
    steps = np.diff(numbers)
    if dates is not None and steps.min() >= 28:  # months have no constant length, but a constant place in the year
        months = np.diff([12 * day.year + day.month for day in dates])
        steps = months if len({day.day for day in dates}) == 1 or months.max() == 1 else steps
    usual = np.bincount(np.minimum(steps, 1 << 20)).argmax()
    if (steps != usual).any():
        row = int(np.flatnonzero(steps != usual)[0])
        cause = (
            "a gap; write rows with quantity 0 where nothing was asked for" if steps[row] > usual else "uneven periods"
        )
        raise InputError.of(
            f"{where}: period", f"{labels[row]} then {labels[row + 1]}", expected="equal steps", cause=cause
        )
    return dates


def _as_numbers(labels: list[str], where: str) -> tuple[list[int], tuple[dt.date, ...] | None]:
    kind = "whole numbers" if labels[0].lstrip("+-").isdecimal() else "dates"
    numbers: list[int] = []
    dates: list[dt.date] = []
    for label in labels:
        try:
            if kind == "whole numbers":
                numbers.append(int(label))
            else:
                dates.append(dt.date.fromisoformat(label[:10]))
                numbers.append(dates[-1].toordinal())
        except ValueError:
            cause = f"the first period makes the file count by {kind}"
            raise InputError.of(
                f"{where}: period", label, expected="a whole number or YYYY-MM-DD", cause=cause
            ) from None
    if numbers and max(map(abs, numbers)) > 10**12:
        raise InputError.of(
            f"{where}: period", max(numbers, key=abs), expected="a number below 1e12", cause="a time stamp?"
        )
    return numbers, tuple(dates) if dates else None


def _refuse_negative(table: pd.DataFrame, where: str) -> None:
    bad = table.to_numpy() < 0
    if bad.any():
        row, column = (int(position[0]) for position in np.nonzero(bad))
        place = f"{where}: {table.columns[column]} in {table.index[row]}"
        raise InputError.of(
            place, float(table.to_numpy()[row, column]), expected="a quantity >= 0", cause="returns booked as sales?"
        )
