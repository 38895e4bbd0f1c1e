"""Two real networks of flows between places, read from wheels: flights between counties, moves between provinces."""

import csv
import gzip
import io
import json
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from livepapers.core.errors import InputError
from livepapers.tasks.data import read_source
from livepapers.tasks.geography import great_circle
from livepapers.tasks.places import Flows, Places
from livepapers.tasks.r_frames import read_frame

CATCHMENT = 100.0  # km around a county's centre in which its airport finds passengers
STATE_INDICATORS: Mapping[str, str] = {
    "Income": "state income 1974",
    "Illiteracy": "state illiteracy",
    "Life Exp": "state life expectancy",
    "Murder": "state murder rate",
    "HS Grad": "state graduates",
}
ARREST_INDICATORS: Mapping[str, str] = {"Assault": "state assaults", "UrbanPop": "state urban share"}
COUNTY_INDICATORS = (
    *("labour force", "employed", "unemployed", "unemployment rate", "area", "latitude", "longitude", "catchment"),
    *STATE_INDICATORS.values(),
    *ARREST_INDICATORS.values(),
)
# fmt: off
_STATE_CODES = (  # the order of both tables: by the states' names
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY", "LA", "ME",
    "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND", "OH", "OK", "OR", "PA",
    "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY",
)
# fmt: on
PROVINCES = ("NFLD", "PEI", "NS", "NB", "QUE", "ONT", "MAN", "SASK", "ALTA", "BC")


@dataclass(frozen=True, eq=False)
class Network:
    """Places and the flows between them."""

    places: Places
    flows: Flows


@dataclass(frozen=True, eq=False)
class _Counties:
    fips: list[str]
    states: list[str]
    shapes: NDArray[np.object_]


def us_air_network() -> Network:
    """Counties of the United States with an airport that carriers serve; a flow is the number of carriers.

    An airport belongs to the county whose outline holds it or is nearest; routes inside a county are dropped, and so
    are counties without labour statistics (territories, and parts of Alaska that were founded later). The
    states' indicators are NaN for Puerto Rico and the capital's district, which neither table has.
    """
    counties, labour = _counties(read_source("us-counties")), _labour(read_source("us-unemployment"))
    airports = pd.read_csv(io.BytesIO(read_source("us-airports")))
    routes = pd.read_csv(io.BytesIO(read_source("us-air-routes")), compression="gzip")
    points = shapely.points(airports["Longitude"].to_numpy(), airports["Latitude"].to_numpy())
    nearest = np.asarray(shapely.STRtree(counties.shapes).nearest(points))
    county_of = dict(zip(airports["AirportID"], nearest, strict=True))
    ends = np.array(
        [[county_of[a], county_of[b]] for a, b in zip(routes["SourceID"], routes["DestinationID"], strict=True)]
    )
    carriers = pd.factorize(routes["AirlineID"])[0]
    known = np.array([code in labour for code in counties.fips])
    kept = np.unique(np.column_stack([ends, carriers])[(ends[:, 0] != ends[:, 1]) & known[ends].all(axis=1)], axis=0)
    chosen, numbered = np.unique(kept[:, :2], return_inverse=True)
    origin, destination = numbered.reshape(-1, 2).T
    places = _county_places(counties, labour, chosen)
    return Network(places, Flows.of(origin, destination, np.ones(len(kept)), places=len(places)))


def _county_places(counties: _Counties, labour: Mapping[str, tuple[float, ...]], chosen: NDArray[np.int64]) -> Places:
    """The chosen counties with all their indicators; the catchment counts every county of the country."""
    centres = shapely.centroid(counties.shapes)
    latitude, longitude = shapely.get_y(centres), shapely.get_x(centres)
    force = np.array([labour.get(code, (0.0,))[0] for code in counties.fips])
    around = great_circle(latitude[chosen, None], longitude[chosen, None], latitude, longitude) <= CATCHMENT
    # degrees squared to km squared at the county's latitude
    area = shapely.area(counties.shapes[chosen]) * 111.195**2 * np.cos(np.radians(latitude[chosen]))
    states = _state_indicators()
    unknown = (np.nan,) * (len(STATE_INDICATORS) + len(ARREST_INDICATORS))
    rows = np.array([labour[counties.fips[county]] for county in chosen], dtype=np.float64)
    of_state = np.array([states.get(counties.states[county], unknown) for county in chosen], dtype=np.float64)
    where = np.array([area, latitude[chosen], longitude[chosen], around @ force], dtype=np.float64).T
    return Places(
        names=tuple(counties.fips[county] for county in chosen),
        indicator_names=COUNTY_INDICATORS,
        indicators=np.concatenate([rows, where, of_state], axis=1),
        coordinates=np.column_stack([latitude[chosen], longitude[chosen]]),
    )


def _counties(database: bytes) -> _Counties:
    """Identifiers, postal codes of states and outlines, in the order of the identifiers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "boundaries.db"
        path.write_bytes(database)  # SQLite opens files only
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                rows = connection.execute("SELECT metadata, geometry FROM us_counties ORDER BY id").fetchall()
        except sqlite3.DatabaseError as error:
            raise InputError.of("us-counties", "another form", expected="a SQLite file", cause=str(error)) from None
    about = [json.loads(text) for text, _ in rows]
    shapes = shapely.from_wkb([outline for _, outline in rows])
    return _Counties([str(row["fips"]) for row in about], [str(row["state"]) for row in about], np.asarray(shapes))


def _labour(data: bytes) -> dict[str, tuple[float, ...]]:
    """Identifier -> labour force, employed, unemployed (people), unemployment rate (%); thousands have commas."""
    rows = csv.reader(io.StringIO(gzip.decompress(data).decode("utf-8")))
    return {
        state.strip() + county.strip(): tuple(float(text.replace(",", "")) for text in (*people, rate))
        for _, state, county, _, _, *people, rate in rows
        if rate.strip()
    }


def _state_indicators() -> dict[str, tuple[float, ...]]:
    """Postal code -> the indicators of `STATE_INDICATORS` and `ARREST_INDICATORS`."""
    parts = []
    for source, wanted in (("us-states", STATE_INDICATORS), ("us-arrests", ARREST_INDICATORS)):
        table = read_frame(read_source(source), where=source)
        parts.append(table[list(wanted)].to_numpy(dtype=float))
    return dict(zip(_STATE_CODES, map(tuple, np.column_stack(parts).tolist()), strict=True))


def canadian_migration() -> Network:
    """The ten provinces of 1971 and who moved between them from 1966 to 1971.

    Indicators are the populations of both years and the growth between them; distances are the table's own.
    """
    table = read_frame(read_source("canadian-migration"), where="canadian-migration")
    number = {name: place for place, name in enumerate(PROVINCES)}
    origin = np.array([number[name] for name in table["source"]])
    destination = np.array([number[name] for name in table["destination"]])
    given = np.zeros((len(PROVINCES), len(PROVINCES)))
    given[origin, destination] = table["distance"].to_numpy(dtype=float)
    populations = np.zeros((len(PROVINCES), 2))
    populations[origin] = table[["pops66", "pops71"]].to_numpy(dtype=float)
    places = Places(
        names=PROVINCES,
        indicator_names=("population 1966", "population 1971", "growth"),
        indicators=np.column_stack([populations, populations[:, 1] / populations[:, 0] - 1]),
        coordinates=np.zeros((len(PROVINCES), 2)),
        given=given,
    )
    return Network(places, Flows.of(origin, destination, table["migrants"].to_numpy(float), places=len(places)))
