"""Tables of taxi trips that users bring, in the layout of New York's Taxi and Limousine Commission (CSV or parquet).

Columns: a pick-up time (`tpep_pickup_datetime`, `lpep_pickup_datetime` or `pickup_datetime`), `PULocationID` and
`DOLocationID`; where zones are the user's own, a drop-off time too, from which speeds are taken.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.tasks import manhattan
from livepapers.tasks.ride_city import BIN_MINUTES, City
from livepapers.tasks.ride_pooling import NOBODY, Arrivals
from livepapers.tasks.tables import read_header, read_table, read_text

PREFIXES = ("tpep_", "lpep_", "")
ZONES = ("PULocationID", "DOLocationID")
DAY = 24 * 60
SLOWEST, FASTEST = 3.0, 120.0  # km/h that a measured speed may have
FEWEST_TIMED = 10  # trips from which a bin's speed is taken
STRAY = 0.01  # of a usual day's trips: with fewer, a day's dates are mistaken, as some of New York's tables have them
OFFSET = r"(:\d\d(?:[.,]\d+)?)\s*(?:Z|[+-]\d\d(?::?\d\d)?)$"  # from Greenwich, at the end of a time


@dataclass(frozen=True)
class Trips:
    """Trips whose zones are known, in the window of the day that was asked for."""

    day: np.ndarray  # [n] int64, numbered over the recorded days
    minute: np.ndarray  # [n] int64 since the window's begin
    origin: np.ndarray  # [n] int64 rows of the zones
    goal: np.ndarray  # [n] int64
    minutes: np.ndarray | None  # [n] float64 from pick-up to drop-off, where the table says it
    days: int  # recorded ones: with trips at any time of the date (over midnight: of both), between any zones
    gaps: int  # days between the first and the last of them without any trip, which do not count
    stray: int  # trips of dates that have hardly any: mistaken dates, which are left out
    read: int  # rows of the table
    outside: int  # of those in the window, how many begin or end in no known zone


@dataclass(frozen=True)
class Window:
    """A time of the day."""

    begin: int  # minute of the day
    length: int  # minutes

    @classmethod
    def parse(cls, start: str, minutes: int) -> "Window":
        """From "19:00" and a length; raises `InputError`."""
        hour, colon, minute = start.partition(":")
        valid = colon and hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60
        if not valid or len(minute) != 2:
            raise InputError.of("start", start, expected="a time of the day such as 19:00")
        if not 1 <= minutes <= 180:
            raise InputError.of("minutes", minutes, expected="a whole number from 1 to 180")
        return cls(60 * int(hour) + int(minute), minutes)

    @property
    def bins(self) -> int:
        """Quarters of an hour that it takes."""
        return -(-self.length // BIN_MINUTES)


def read_zones(path: Path) -> tuple[tuple[str, ...], Tensor]:
    """Names and places `[Z, 2]` of a user's own zones: a CSV table with columns zone, x_km, y_km."""
    table = read_table(path, option="--zones", required=("zone", "x_km", "y_km"), numbers=("x_km", "y_km"))
    names = [_zone_name(name) for name in table["zone"]]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError.of(f"--zones {path.name}: zone", twice, expected="each zone once")
    return tuple(names), torch.tensor(table[["x_km", "y_km"]].to_numpy(), dtype=torch.float32)


def read_trips(path: Path, window: Window, names: tuple[str, ...], *, timed: bool) -> Trips:
    """The trips of a table that fall into a window of the day.

    Args:
        path: CSV, or parquet when its name ends so.
        window: Which part of each day.
        names: Zones; trips that begin or end elsewhere are counted and left out.
        timed: Whether drop-off times are needed.

    Raises:
        InputError: A column is missing or no trip is left; the message says which and why.
    """
    table = _read(path, timed=timed)
    where = f"--trips {path.name}"
    begun = _times(table["begun"], where=f"{where}: pick-up time")
    of_day = begun.dt.hour * 60 + begun.dt.minute
    since = (of_day - window.begin) % DAY
    inside = (since < window.length).to_numpy()
    index = {name: row for row, name in enumerate(names)}
    origin, goal = (
        table[column].map(_zone_name).map(index.get).fillna(NOBODY).to_numpy().astype(np.int64) for column in ZONES
    )
    # a window over midnight belongs to the day it began on
    day = (begun - pd.to_timedelta(window.begin, unit="m")).dt.normalize().to_numpy()
    dates = _recorded_dates(begun)
    days = dates if window.begin + window.length <= DAY else dates[np.isin(dates + np.timedelta64(1, "D"), dates)]
    known = (origin != NOBODY) & (goal != NOBODY)
    kept = inside & known & np.isin(day, days)
    if not kept.any():
        seen = f"{len(table):,} trips, {int(inside.sum()):,} in the window, none of them between known zones"
        cause = "other zone numbers, or another time of the day? see --zones and --start"
        if window.begin + window.length > DAY:
            cause += "; a window over midnight needs trips on both days"
        raise InputError.of(where, seen, expected="trips between known zones in the window", cause=cause)
    minutes = None
    if timed:
        ended = _times(table["ended"], where=f"{where}: drop-off time")
        minutes = ((ended - begun).dt.total_seconds() / 60.0).to_numpy()[kept]
    return Trips(
        np.searchsorted(days, day[kept]), since.to_numpy()[kept].astype(np.int64), origin[kept], goal[kept], minutes,
        len(days), gaps=_gaps(days), stray=int((~np.isin(begun.dt.normalize().to_numpy(), dates)).sum()),
        read=len(table), outside=int((inside & ~known).sum()),
    )  # fmt: skip


def _recorded_dates(begun: pd.Series) -> np.ndarray:
    """Dates of a table, in order; those with next to no trips beside the others are mistakes."""
    days, counts = np.unique(begun.dt.normalize().to_numpy(), return_counts=True)
    return days[counts >= STRAY * np.median(counts)]


def _gaps(days: np.ndarray) -> int:
    """Days between the first and the last that are not among them."""
    return int((days[-1] - days[0]) / np.timedelta64(1, "D")) + 1 - len(days)


def city_of(
    trips: Trips, window: Window, names: tuple[str, ...], places: Tensor, *, known_speeds: bool, days: int
) -> City:
    """A city whose demand is that of the first `days` days of the trips.

    Args:
        trips: Of `read_trips`.
        window: The same.
        names: Zones.
        places: `[Z, 2]` kilometres along the streets.
        known_speeds: Whether the zones are Manhattan's and its measured speeds are used; else speeds are the trips'
            own, one a quarter of an hour.
        days: Days that count; the others are left for a comparison.
    """
    count, used = len(names), trips.day < days
    rows = trips.minute[used] // BIN_MINUTES
    demand = np.zeros((window.bins, count, count))
    np.add.at(demand, (rows, trips.origin[used], trips.goal[used]), 1.0)
    empty = demand.sum((1, 2)) == 0
    if empty.any():
        missing = f"no trip in quarter of an hour {int(empty.argmax()) + 1} of {window.bins}"
        raise InputError.of("--trips", missing, expected="trips in each quarter of an hour of the window")
    lengths = np.minimum(window.length - BIN_MINUTES * np.arange(window.bins), BIN_MINUTES)
    rate = torch.tensor(demand.sum((1, 2)) / (days * lengths), dtype=torch.float32)
    if known_speeds:
        speed = manhattan.speeds(window.begin // BIN_MINUTES, bins=window.bins)
    else:
        speed = _own_speeds(trips, window, places, days=days)
    return City(names, places, speed, torch.tensor(demand, dtype=torch.float32), rate)


def replayed(trips: Trips, window: Window, day: int, *, width: int) -> tuple[Arrivals, ...]:
    """The orders of one day as they came, one lane; the first entry are those of the first minute.

    Args:
        trips: Of `read_trips`.
        window: The same.
        day: Which.
        width: Places for the orders of a minute; a busier minute is refused.
    """
    made = []
    for minute in range(window.length):
        rows = (trips.day == day) & (trips.minute == minute)
        if int(rows.sum()) > width:
            raise InputError.of("width", width, expected=f"at least the {int(rows.sum())} orders of minute {minute}")
        pair = np.full((2, 1, width), NOBODY)
        pair[0, 0, : rows.sum()], pair[1, 0, : rows.sum()] = trips.origin[rows], trips.goal[rows]
        made.append(Arrivals(*torch.from_numpy(pair).long()))
    return tuple(made)


def busiest(trips: Trips) -> int:
    """The most trips that begin in one minute of one day."""
    return int(np.unique(np.stack([trips.day, trips.minute]), axis=1, return_counts=True)[1].max())


def _own_speeds(trips: Trips, window: Window, places: Tensor, *, days: int) -> Tensor:
    """`[bins, Z, Z]` kilometres a minute: street distance between zones over the time it took, one a bin.

    Of the first `days` days, as demand is.
    """
    assert trips.minutes is not None
    if bool((places == places[0]).all()):
        raise InputError.of("--zones", f"{len(places)} at one place", expected="zones at two places or more")
    distance = (places[trips.origin] - places[trips.goal]).abs().sum(-1).double().numpy()
    usable = (trips.day < days) & (distance > 0) & (trips.minutes > 0) & (trips.minutes < 180)
    usable[usable] &= (60 * distance[usable] / trips.minutes[usable] > SLOWEST) & (
        60 * distance[usable] / trips.minutes[usable] < FASTEST
    )
    found = []
    for row in range(window.bins):
        these = usable & (trips.minute // BIN_MINUTES == row)
        if these.sum() < FEWEST_TIMED:
            these = usable
        if these.sum() < FEWEST_TIMED:
            seen = f"{int(these.sum())} trips at {SLOWEST:g} to {FASTEST:g} km/h between different zones"
            cause = "is x_km, y_km in kilometres, and are drop-off times right?"
            raise InputError.of("--trips", seen, expected=f"at least {FEWEST_TIMED}", cause=cause)
        found.append(distance[these].sum() / trips.minutes[these].sum())
    return torch.tensor(found, dtype=torch.float32)[:, None, None].expand(-1, len(places), len(places)).contiguous()


def _read(path: Path, *, timed: bool) -> pd.DataFrame:
    """Columns begun, PULocationID, DOLocationID and, if `timed`, ended; as they stand in the file."""
    parquet = path.suffix.lower() in {".parquet", ".pq"}
    header = _parquet_columns(path) if parquet else _csv_columns(path)
    prefix = next((one for one in PREFIXES if f"{one}pickup_datetime" in header), None)
    if prefix is None:
        cause = f"the header has {', '.join(header)[:100]}"
        raise InputError.of(
            f"--trips {path.name}: column tpep_pickup_datetime", "nothing", expected="this column", cause=cause
        )
    names = {f"{prefix}pickup_datetime": "begun", **({f"{prefix}dropoff_datetime": "ended"} if timed else {})}
    wanted = [*names, *ZONES]
    if not parquet:
        return read_table(path, option="--trips", required=wanted).rename(columns=names)
    for column in wanted:
        if column not in header:
            raise InputError.of(f"--trips {path.name}: column {column}", "nothing", expected="this column")
    return pd.read_parquet(path, columns=wanted).rename(columns=names)


def _csv_columns(path: Path) -> list[str]:
    return read_header(read_text(path, option="--trips"), where=f"--trips {path.name}")


def _parquet_columns(path: Path) -> list[str]:
    try:
        import pyarrow.lib  # type: ignore[import-not-found] - an extra
        import pyarrow.parquet  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        raise MissingExtraError("pyarrow", "parquet") from None
    try:
        return list(pyarrow.parquet.read_schema(path).names)
    except (OSError, pyarrow.lib.ArrowException) as error:
        raise InputError.of("--trips", path, expected="a readable parquet file", cause=str(error)) from None


def _times(column: Any, *, where: str) -> pd.Series:
    """Times of the day as the clocks there show them, whatever their offset from Greenwich."""
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        column = column.astype("string").str.replace(OFFSET, r"\1", regex=True)
    times = pd.Series(pd.to_datetime(column, errors="coerce", format="ISO8601"))
    if len(times) and pd.isna(times.iloc[0]):  # as New York's open data portal writes it
        times = pd.Series(pd.to_datetime(column, errors="coerce", format="%m/%d/%Y %I:%M:%S %p"))
    bad = times.isna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise InputError.of(
            f"{where}, line {row + 2}", str(column.iloc[row]), expected="a time such as 2024-07-17 19:05:00"
        )
    return times.dt.tz_localize(None)


def _zone_name(value: Any) -> str:
    """A zone's name; numbers that a table writes as 4.0 are 4."""
    text = str(value).strip()
    return text.removesuffix(".0")


__all__ = [
    "Trips", "Window", "busiest", "city_of", "read_trips", "read_zones", "replayed",
]  # fmt: skip
