"""Places on the globe: coordinates that make sense, and the distances between them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from livepapers.core.errors import InputError

EARTH_RADIUS = 6371.0  # km, of the sphere with the globe's mean radius


def great_circle(latitude: ArrayLike, longitude: ArrayLike, to_latitude: ArrayLike, to_longitude: ArrayLike) -> NDArray:
    """Distances along the sphere, in km, by the haversine formula; all four broadcast, in degrees.

    Well conditioned for near places; near antipodes it loses digits. The real globe is within 0.6 %.
    """
    phi, to_phi = np.radians(latitude), np.radians(to_latitude)
    across = np.radians(np.asarray(to_longitude, dtype=float) - np.asarray(longitude, dtype=float))
    haversine = np.sin((to_phi - phi) / 2) ** 2 + np.cos(phi) * np.cos(to_phi) * np.sin(across / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(haversine, 0.0, 1.0)))


def check_coordinates(latitude: ArrayLike, longitude: ArrayLike, *, columns: tuple[str, str], source: str) -> None:
    """Refuse degrees that are no place on the globe.

    Args:
        latitude: In degrees, (places,).
        longitude: In degrees, (places,).
        columns: What the user calls the two.
        source: The file they came from.

    Raises:
        InputError: A value is missing or out of range; names column, row (from 1) and the likely cause.
    """
    for values, column, limit in ((latitude, columns[0], 90.0), (longitude, columns[1], 180.0)):
        degrees = np.asarray(values, dtype=float)
        wrong = np.flatnonzero(~(np.abs(degrees) <= limit))
        if wrong.size:
            first = int(wrong[0])
            swapped = limit == 90.0 and 90.0 < abs(degrees[first]) <= 180.0
            raise InputError.of(
                f"{source}: {column}, row {first + 1}",
                float(degrees[first]),
                expected=f"degrees from -{limit:g} to {limit:g}",
                cause="latitude and longitude swapped?" if swapped else "missing, or metres of a projection?",
            )
