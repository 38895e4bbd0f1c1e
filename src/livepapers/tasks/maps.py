"""Maps of points, lines and areas: GeoPackage, GeoJSON, shapefile, whatever geopandas opens (extra `geo`)."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from livepapers.core.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    import geopandas


def read_map(path: Path, *, option: str, layer: str = "") -> "geopandas.GeoDataFrame":
    """The features of a file, at least one.

    Args:
        path: The file.
        option: What the user would call it; starts every message.
        layer: Of a file with several; the first when empty.

    Raises:
        InputError: The file is not there, damaged, of another form, or without geometry.
        MissingExtraError: geopandas is not installed.
    """
    try:
        import geopandas
        from pyogrio.errors import DataLayerError, DataSourceError
    except ModuleNotFoundError:
        raise MissingExtraError("geopandas", "geo") from None
    if not path.is_file():
        raise InputError.of(option, path, expected="an existing file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of several layers the first is read, as documented
            frame = geopandas.read_file(path, layer=layer or None)
    except (DataSourceError, DataLayerError, ValueError) as error:
        cause = str(error)
        raise InputError.of(option, path, expected="a map of geometries", cause=cause[:160]) from None
    if not isinstance(frame, geopandas.GeoDataFrame) or not len(frame):
        raise InputError.of(option, path, expected="at least one geometry", cause="does the file have another layer?")
    return frame
