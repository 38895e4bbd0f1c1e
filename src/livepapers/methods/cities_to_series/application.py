"""`livepapers apply cities-to-series`: a table of series to forecast, or streets with facilities to judge."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from livepapers.core.application import Application, Content, Row, options_checked, refuse_changed, to_csv, write
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder
from livepapers.core.rng import Seed
from livepapers.methods.cities_to_series import series_application, street_application
from livepapers.methods.cities_to_series.forecaster import SLUG, ReGENNForecaster
from livepapers.methods.cities_to_series.inconsistencies import Which
from livepapers.methods.cities_to_series.street_application import Asked

MOST = {"window": 1000, "stride": 1000, "epochs": 100_000, "seed": 2**31 - 1}


@options_checked
def apply(
    *,
    series: Path | None = None,
    streets: Path | None = None,
    facilities: Path | None = None,
    junctions: Path | None = None,
    layer: str = "",
    crossings: bool = False,
    direction: Which = "both",
    min_angle: float = 120.0,
    window: int = 7,
    stride: int = 3,
    epochs: int | None = None,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Forecast many series together, or find street corners that are badly served and say where facilities should move.

    Give --series, or --streets with --facilities. Forecasts come with a backtest on the last steps beside simple
    rivals, and with the learned graph between variables. Streets come with the corners whose nearest facility by road
    is not the nearest in a straight line, moves that mend this, continuous streets, influential corners, and a map.

    Args:
        series: CSV with time, one column a variable, and series where there are several; or series, time, variable,
            value. Times are numbers or ISO dates; every series has every time; at least two variables.
        streets: Shapefile, GeoPackage or GeoJSON of lines, GraphML as OSMnx writes it, or a CSV with source, target
            and, if wanted, length, name, label, oneway. Maps need livepapers[geo].
        facilities: Points in a map file, or a CSV with lat and lon (x and y where the streets are projected).
        junctions: With a CSV of streets: its junctions, with index, lat, lon (or index, x, y).
        layer: Of a map of streets with several layers.
        crossings: Cut lines where they cross: for maps that were not drawn from junction to junction.
        direction: Ways that count: out to the facility, in from it, or both; columns say of which they are.
        min_angle: Degrees from which segments make one continuous street.
        window: Steps that a forecast looks back.
        stride: Steps to forecast.
        epochs: Of training, at most; none: as many as make 5,000 gradient steps, from 10 to 400.
        seed: Of training.
        output: Folder for tables, pictures and application.json; must be new or empty.

    Returns:
        The backtest, forecasts and graph; or facilities, corners, moves, streets and influential corners.

    Raises:
        InputError: One line for any unusable option, file or data; nothing is written then.

    Examples:
        livepapers apply cities-to-series --series cases.csv --window 14 --stride 7 --output forecasts
        livepapers apply cities-to-series --streets town.gpkg --facilities schools.csv --output served
        livepapers apply cities-to-series --streets lines.shp --crossings --facilities pumps.shp --direction out
    """
    if (series is None) == (streets is None):
        given = "none" if series is None else "--series and --streets"
        raise InputError.of("source", given, expected="exactly one of --series, --streets")
    _check_numbers(window=window, stride=stride, epochs=epochs, seed=seed)
    if output is not None:
        check_output_folder(output)
    if series is not None:
        others = {"--facilities": facilities, "--junctions": junctions, "--layer": layer, "--crossings": crossings}
        for name, value in others.items():
            if value:
                raise InputError.of(name, str(value), expected="nothing: it goes with --streets")
        refuse_changed(apply, "it goes with --streets", direction=direction, min_angle=min_angle)
        told = series_application.answer(series, window=window, stride=stride, epochs=epochs, seed=seed)
        made = Application(SLUG, told.headline, told.tables, told.notes)
        return made if output is None else _write(made, output, told.files, told.forecaster)
    if facilities is None or streets is None:
        raise InputError.of("--facilities", "nothing", expected="a file of places", cause="--streets needs them")
    if not (math.isfinite(min_angle) and 0.0 <= min_angle <= 180.0):
        raise InputError.of("--min-angle", min_angle, expected="degrees from 0 to 180")
    refuse_changed(apply, "it goes with --series", window=window, stride=stride, epochs=epochs)
    asked = Asked(streets, facilities, junctions, layer, crossings, direction, min_angle)
    found = street_application.answer(asked)
    made = Application(SLUG, found.headline, found.tables, found.notes)
    return made if output is None else _write(made, output, found.files, None)


def _check_numbers(**given: int | None) -> None:
    for name, value in given.items():
        if value is None:
            continue
        least = 2 if name == "window" else 0 if name == "seed" else 1
        if not least <= value <= MOST[name]:
            raise InputError.of(f"--{name}", value, expected=f"a whole number from {least} to {MOST[name]:,}")


def _write(
    made: Application, output: Path, files: Mapping[str, tuple[str, str | Sequence[Row]]],
    forecaster: ReGENNForecaster | None,
) -> Application:  # fmt: skip
    content: dict[str, tuple[str, Content]] = {
        name: (about, told if isinstance(told, str) else to_csv(told)) for name, (about, told) in files.items()
    }
    if forecaster is not None:
        content["forecaster"] = ("the trained network, as an artifact", _saves(forecaster))
    return write(made, output, content)


def _saves(forecaster: ReGENNForecaster) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        folder.mkdir()
        forecaster.save(folder)

    return save
