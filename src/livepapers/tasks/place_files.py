"""Files of places and flows that users bring: CSV, GeoJSON and GeoPackage; long tables and square matrices."""

import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from livepapers.core.errors import InputError
from livepapers.tasks.geography import check_coordinates
from livepapers.tasks.maps import read_map
from livepapers.tasks.places import Flows, Places, Units
from livepapers.tasks.tables import LARGEST_NUMBER, comma_cause, read_header, read_table, read_text, refuse_repeated

GEOGRAPHIC = (".geojson", ".gpkg")
GAPS = ("", "nan", "NaN", "NA", "N/A", "None", "<NA>")  # cells that say that a number is not known
LONG = ("origin", "destination", "flow")
MOST_PLACES = 2_000  # beyond it a matrix of all pairs is more than a command should hold


@dataclass(frozen=True, eq=False)
class PlacesRead:
    """Places from a file, and what their reader should be told."""

    places: Places
    notes: tuple[str, ...]


def read_places(path: Path, *, name: str, coordinates: tuple[str, str], units: Units, option: str) -> PlacesRead:
    """Places of a CSV table or a map layer; every further column of numbers is an indicator, gaps allowed.

    Args:
        path: .csv, .geojson or .gpkg; in maps the centre of each geometry is the place, in degrees.
        name: Column of the places' identifiers.
        coordinates: Columns of latitude and longitude, or of x and y in metres; not used with maps.
        units: What the coordinates are in.
        option: What the user called the file.

    Raises:
        InputError: One line for an unusable file, identifier, coordinate or indicator.
        MissingExtraError: A map without geopandas.
    """
    where = f"{option} {path.name}"
    if path.suffix.lower() in GEOGRAPHIC:
        table, where_they_are = _map_layer(path, where=where)
        if name not in table.columns:
            raise InputError.of(f"{where}: column {name}", "nothing", expected=f"one of {', '.join(table.columns)}")
        units = "degrees"
        check_coordinates(*where_they_are.T, columns=("latitude", "longitude"), source=where)
        names = [str(value) for value in table.pop(name)]
    else:
        needed = read_table(path, option=option, required=[name, *coordinates], numbers=coordinates)
        text = read_text(path, option=option)
        header = read_header(text, where=where)
        refuse_repeated(header, header, where=where)  # each column of numbers is an indicator
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        table.columns = [str(column).strip() for column in table.columns]
        table = table.drop(columns=[name, *coordinates])
        where_they_are, names = np.asarray(needed[list(coordinates)], dtype=float), list(needed[name])
        if units == "degrees":
            check_coordinates(*where_they_are.T, columns=coordinates, source=where)
    _check_names(names, where=where, column=name)
    indicators, left_out = _indicators(table, where=where)
    if not indicators:
        raise InputError.of(where, "no column of numbers", expected="at least one indicator beside the coordinates")
    notes = [f"Columns without numbers were left out: {', '.join(left_out)}."] if left_out else []
    places = Places(tuple(names), tuple(indicators), np.column_stack(list(indicators.values())), where_they_are, units)
    return PlacesRead(places, tuple(notes))


def _check_names(names: Sequence[str], *, where: str, column: str) -> None:
    seen: dict[str, int] = {}
    for row, text in enumerate(names):
        if text in seen:
            raise InputError.of(
                f"{where} row {row + 1}: {column}",
                text,
                expected="each place once",
                cause=f"also in row {seen[text] + 1}",
            )
        seen[text] = row
    if not 2 <= len(names) <= MOST_PLACES:
        cause = "predict in chunks from Python: LinkClassifier takes any number" if len(names) > 2 else ""
        raise InputError.of(where, f"{len(names)} places", expected=f"2 to {MOST_PLACES:,} places", cause=cause)


def _indicators(table: pd.DataFrame, *, where: str) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Columns of numbers (gaps become NaN), and the names of those that are texts or empty."""
    found, left_out = {}, []
    for column in table.columns:
        texts = np.array([str(cell).strip() for cell in table[column]])
        known = ~np.isin(texts, GAPS)
        values = np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce"), dtype=float)
        commas = known.any() and all(map(comma_cause, texts[known]))  # numbers, as another country writes them
        if np.isnan(values).all() and not commas:
            left_out.append(str(column))
            continue
        wrong = np.flatnonzero(known & ~(np.abs(values) <= LARGEST_NUMBER))
        if wrong.size:
            place = f"{where} line {wrong[0] + 2}: {column}"
            shown, expected = str(texts[wrong[0]]), "a number, or nothing where none is known"
            raise InputError.of(place, shown, expected=expected, cause=comma_cause(shown))
        found[str(column)] = values
    return found, left_out


def _map_layer(path: Path, *, where: str) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """The attributes of a map, and latitude and longitude of each geometry's centre."""
    layer = read_map(path, option=where)
    if layer.crs is None:
        raise InputError.of(where, "no coordinate reference system", expected="one, e.g. EPSG:4326")
    empty = np.flatnonzero((layer.geometry.isna() | layer.geometry.is_empty).to_numpy())
    if empty.size:
        raise InputError.of(f"{where} feature {empty[0] + 1}", "no geometry", expected="a point or an outline")
    centres = shapely.centroid(layer.geometry.to_crs("EPSG:4326").to_numpy())
    points = np.column_stack([shapely.get_y(centres), shapely.get_x(centres)])
    return pd.DataFrame(layer.drop(columns="geometry")), points


@dataclass(frozen=True, eq=False)
class FlowsRead:
    """Flows from a file, and what their reader should be told."""

    flows: Flows
    notes: tuple[str, ...]


def read_flows(path: Path, *, places: Places, option: str) -> FlowsRead:
    """Flows of a long table (origin, destination, flow) or of a square matrix whose header names the destinations.

    Raises:
        InputError: One line for an unusable file, an unknown place, or a flow that is negative or no number.
    """
    where = f"{option} {path.name}"
    text = read_text(path, option=option)
    header = read_header(text, where=where)
    if set(header) & set(LONG) or not set(header[1:]) & set(places.names):
        table = read_table(path, option=option, required=LONG, numbers=["flow"])
    else:
        table = _melted(text, where=where)
    number = {name: place for place, name in enumerate(places.names)}
    ends = [_numbered(list(table[end]), number, where=f"{where}: {end}") for end in ("origin", "destination")]
    flow = np.asarray(table["flow"], dtype=float)
    if (flow < 0).any():
        row = int(np.flatnonzero(flow < 0)[0])
        pair = f"{table['origin'].iloc[row]} to {table['destination'].iloc[row]}"
        raise InputError.of(f"{where}: flow from {pair}", float(flow[row]), expected="a number >= 0")
    made = Flows.of(ends[0], ends[1], flow, places=len(places))
    notes = []
    keys = ends[0] * len(places) + ends[1]
    if repeated := len(keys) - len(np.unique(keys)):
        notes.append(f"{repeated} rows repeat a pair: their flows were added up.")
    if made.inside.any():
        notes.append(f"{int((made.inside > 0).sum())} places have flows inside themselves; these are no links.")
    return FlowsRead(made, tuple(notes))


def _melted(text: str, *, where: str) -> pd.DataFrame:
    """A square matrix as a long table; an empty cell is no flow."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if row]
    header, body = rows[0][1:], rows[1:]
    for line, row in enumerate(body, start=2):
        if len(row) != len(header) + 1:
            found = f"{len(row)} cells"
            raise InputError.of(f"{where} line {line}", found, expected=f"{len(header) + 1}, as in the header")
    if len(body) != len(header):
        raise InputError.of(where, f"{len(body)} rows, {len(header)} columns", expected="a square matrix")
    column = pd.Series([cell or "0" for row in body for cell in row[1:]], name="flow")
    values = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=float)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        line, place = divmod(int(bad[0]), len(header))
        at = f"{where} line {line + 2}: {header[place]}"
        shown = str(column.iloc[bad[0]])
        raise InputError.of(at, shown, expected="a finite number", cause=comma_cause(shown))
    origins = np.repeat([row[0] for row in body], len(header))
    return pd.DataFrame({"origin": origins, "destination": np.tile(header, len(body)), "flow": values})


def _numbered(names: Sequence[str], number: dict[str, int], *, where: str) -> NDArray[np.int64]:
    missing = next((name for name in names if name not in number), None)
    if missing is not None:
        near = difflib.get_close_matches(missing, list(number), n=1)
        cause = f"{near[0]!r}?" if near else "another file's identifiers, or leading zeros that a spreadsheet dropped?"
        raise InputError.of(where, missing, expected="a place of the nodes file", cause=cause)
    return np.array([number[name] for name in names], dtype=np.int64)
