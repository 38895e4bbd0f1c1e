"""Street networks and places in the files that planners have: shapefile, GeoPackage, GeoJSON, GraphML, CSV."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd

from livepapers.core.errors import InputError
from livepapers.tasks.geography import check_coordinates
from livepapers.tasks.maps import read_map
from livepapers.tasks.street_graph import StreetGraph
from livepapers.tasks.tables import read_table, read_text

if TYPE_CHECKING:
    import geopandas

MAPS = (".shp", ".gpkg", ".geojson", ".json")
TOLERANCE = 0.01
"""End points closer than this (in map units, about 1 cm in metres) are one junction."""
TOLERANCE_DEGREES = 1e-7  # about as much on the globe
LENGTH_UNITS: Mapping[str, str] = {"metre": "m", "meter": "m", "US survey foot": "ft", "foot": "ft", "degree": "m"}
YES = frozenset({"true", "yes", "1", "-1"})


def read_streets(
    path: Path, *, option: str, junctions: Path | None = None, layer: str = "", split: bool = False
) -> StreetGraph:
    """A street network from a file; what it is follows from the ending.

    Args:
        path: .shp, .gpkg, .geojson or .json with lines; .graphml as OSMnx writes it; .csv with the columns source,
            target and, if wanted, length, name, label, oneway.
        option: What the user called it, e.g. "--streets".
        junctions: With a CSV: the table of junctions, with the columns index, lat, lon (or index, x, y).
        layer: Of a file with several layers.
        split: Whether lines are cut where they cross, as maps need that were not drawn from junction to junction.

    Raises:
        InputError: One line for a file that cannot be used.
        MissingExtraError: For a map file without geopandas.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        if junctions is None:
            cause = "a CSV of segments says nothing about where junctions are"
            raise InputError.of("--junctions", "nothing", expected="a CSV with index, lat, lon", cause=cause)
        return _from_tables(path, junctions, option=option)
    if junctions is not None:
        raise InputError.of("--junctions", junctions, expected="nothing: only a CSV of segments needs it")
    if kind == ".graphml":
        return _from_graphml(path, option=option)
    if kind in MAPS:
        return from_lines(read_map(path, option=option, layer=layer), where=f"{option} {path.name}", split=split)
    raise InputError.of(option, path, expected=f"a file that ends with {', '.join([*MAPS, '.graphml', '.csv'])}")


def read_places(path: Path, graph: StreetGraph, *, option: str, layer: str = "") -> tuple[np.ndarray, list[str]]:
    """Points: `[places, 2]` in the coordinates of the streets, and what they are called.

    A CSV has the columns lat and lon, or x and y, as the streets have, and if wanted name. Maps are projected to the
    coordinate system of the streets where both are known.

    Raises:
        InputError: One line for a file that cannot be used.
    """
    where = f"{option} {path.name}"
    if path.suffix.lower() == ".csv":
        columns = ("lon", "lat") if graph.geographic else ("x", "y")
        table = read_table(path, option=option, required=columns, numbers=columns, optional=("name",))
        places = table[list(columns)].to_numpy(dtype=float)
        if graph.geographic:
            check_coordinates(places[:, 1], places[:, 0], columns=("lat", "lon"), source=where)
        given = table["name"].tolist() if "name" in table else [str(row + 1) for row in range(len(table))]
        return places, [str(name) for name in given]
    if path.suffix.lower() not in MAPS:
        raise InputError.of(option, path, expected=f"a file that ends with {', '.join([*MAPS, '.csv'])}")
    frame = read_map(path, option=option, layer=layer)
    if frame.crs is not None and graph.crs and str(frame.crs) != graph.crs:
        frame = frame.to_crs(graph.crs)
    points = _without_empty(frame, where=where).geometry.centroid if _planar(frame) else frame.geometry
    if set(frame.geom_type) - {"Point"} and not _planar(frame):
        raise InputError.of(where, ", ".join(sorted(set(frame.geom_type))), expected="points")
    names = frame["name"].astype(str).tolist() if "name" in frame else [str(row + 1) for row in range(len(frame))]
    return np.column_stack([points.x, points.y]), names


def from_lines(frame: "geopandas.GeoDataFrame", *, where: str, split: bool = False) -> StreetGraph:
    """A graph of the lines of a map: junctions are end points, closer than the tolerance are one.

    Args:
        frame: Lines, with the columns name, highway (or class) and oneway where there are any.
        where: What the user calls it.
        split: Whether lines are cut where they cross or touch.

    Raises:
        InputError: Without lines.
    """
    import shapely

    lines = _without_empty(frame, where=where).explode(index_parts=False).reset_index(drop=True)
    wrong = sorted(set(lines.geom_type) - {"LineString", "LinearRing"})
    if wrong:
        raise InputError.of(where, ", ".join(wrong), expected="lines", cause="is it the layer of streets?")
    geometry = np.asarray(shapely.force_2d(lines.geometry.to_numpy()))
    names, classes = _column(lines, "name"), _column(lines, "highway", "class", "label")
    oneway = np.array([text.lower() in YES for text in _column(lines, "oneway")])
    backwards = np.array([text == "-1" for text in _column(lines, "oneway")])
    geometry[backwards] = shapely.reverse(geometry[backwards])
    if split:
        geometry, origin = _split(geometry)
        names, classes = [names[i] for i in origin], [classes[i] for i in origin]
        oneway = oneway[origin]
    geographic = bool(frame.crs is not None and frame.crs.is_geographic)
    first, last = (shapely.get_coordinates(shapely.get_point(geometry, end)) for end in (0, -1))
    if geographic:
        both = np.concatenate([first, last])
        check_coordinates(both[:, 1], both[:, 0], columns=("latitude", "longitude"), source=where)
    nodes, number = _junctions(np.concatenate([first, last]), TOLERANCE_DEGREES if geographic else TOLERANCE)
    unit = LENGTH_UNITS.get(frame.crs.axis_info[0].unit_name, "map units") if frame.crs is not None else "map units"
    return StreetGraph.of(
        nodes[:, 0], nodes[:, 1], number.reshape(2, -1).T,
        lengths=_lengths(geometry, geographic=geographic), oneway=oneway, names=names, classes=classes,
        geographic=geographic, unit=unit, crs="" if frame.crs is None else str(frame.crs),
    )  # fmt: skip


def _split(geometry: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines cut at all crossings, each in the direction of the line that it is a part of, and which one that is."""
    import shapely

    pieces = shapely.get_parts(shapely.node(shapely.multilinestrings(geometry)))
    middle = shapely.line_interpolate_point(pieces, 0.5, normalized=True)
    piece, line = shapely.STRtree(geometry).query_nearest(middle, all_matches=True)
    order = np.lexsort([line, piece])
    origin = line[order][np.unique(piece[order], return_index=True)[1]]
    along = [shapely.line_locate_point(geometry[origin], shapely.get_point(pieces, end)) for end in (0, -1)]
    turned = along[0] > along[1]
    pieces[turned] = shapely.reverse(pieces[turned])
    back = np.lexsort([np.minimum(*along), origin])  # in the order of the map: the growth of streets depends on it
    return pieces[back], origin[back]


def _junctions(points: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Distinct places `[nodes, 2]` in order of first appearance, and the place of each point."""
    _, first, number = np.unique(np.round(points / tolerance), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return points[first[order]], rank[number.ravel()]


def _lengths(geometry: np.ndarray, *, geographic: bool) -> np.ndarray:
    """Lengths along the lines; in metres along the sphere for degrees."""
    import shapely

    if not geographic:
        return shapely.length(geometry)
    places, line = shapely.get_coordinates(geometry, return_index=True)
    steps = np.column_stack([np.arange(len(places) - 1), np.arange(1, len(places))])
    steps = steps[line[:-1] == line[1:]]
    graph = StreetGraph.of(places[:, 0], places[:, 1], steps, geographic=True)
    return np.bincount(line[steps[:, 0]], weights=graph.lengths, minlength=len(geometry))


def _from_tables(path: Path, junctions: Path, *, option: str) -> StreetGraph:
    header = read_text(junctions, option="--junctions").splitlines()[0].lower()
    geographic = "lat" in header
    columns = ("lat", "lon") if geographic else ("y", "x")
    nodes = read_table(junctions, option="--junctions", required=("index", *columns), numbers=columns)
    segments = read_table(
        path, option=option, required=("source", "target"), optional=("length", "name", "label", "oneway"),
        numbers=("length",),
    )  # fmt: skip
    number: dict[Hashable, int] = {}
    for row, key in enumerate(nodes["index"]):
        if key in number:
            raise InputError.of(f"--junctions {junctions.name} line {row + 2}: index", key, expected="each index once")
        number[key] = row
    ends = np.zeros((len(segments), 2), dtype=np.int64)
    for place, column in enumerate(("source", "target")):
        for row, key in enumerate(segments[column]):
            if key not in number:
                at = f"{option} {path.name} line {row + 2}: {column}"
                raise InputError.of(at, key, expected="an index of the table of junctions")
            ends[row, place] = number[key]
    y, x = (nodes[column].to_numpy(dtype=float) for column in columns)
    if geographic:
        check_coordinates(y, x, columns=("lat", "lon"), source=f"--junctions {junctions.name}")
    lengths = segments["length"].to_numpy(dtype=float) if "length" in segments else None
    if lengths is not None and (lengths < 0).any():
        row = int(np.flatnonzero(lengths < 0)[0])
        raise InputError.of(f"{option} {path.name} line {row + 2}: length", lengths[row], expected="a number >= 0")
    texts = {name: segments[name].tolist() if name in segments else None for name in ("name", "label", "oneway")}
    oneway = [text.lower() in YES for text in texts["oneway"]] if texts["oneway"] is not None else False
    return StreetGraph.of(
        x, y, ends, lengths=lengths, oneway=oneway, names=texts["name"], classes=texts["label"],
        keys=nodes["index"].tolist(), geographic=geographic, unit="m" if geographic else "map units",
        crs="EPSG:4326" if geographic else "",
    )  # fmt: skip


def _from_graphml(path: Path, *, option: str) -> StreetGraph:
    from xml.etree.ElementTree import ParseError  # what defusedxml raises for text that is no XML

    import defusedxml
    from defusedxml import ElementTree as SafeTree

    text = read_text(path, option=option)
    try:
        SafeTree.fromstring(text)  # refuses entities before networkx reads the same text
        graph = nx.parse_graphml(text, force_multigraph=True)
    except (ParseError, defusedxml.DefusedXmlException, nx.NetworkXError, KeyError, ValueError) as error:
        raise InputError.of(option, path, expected="GraphML as OSMnx writes it", cause=str(error)) from None
    return from_networkx(graph, where=f"{option} {path.name}")


def from_networkx(graph: nx.Graph, *, where: str = "graph") -> StreetGraph:
    """A street network as OSMnx makes it: nodes with x, y (or lon, lat), edges with length, name, highway, oneway.

    In a directed graph each edge is one-way, and an edge with its reverse of the same length is one two-way segment.
    In an undirected one, edges with oneway go from their attribute `from` to `to`.

    Raises:
        InputError: For a node without coordinates, or an edge with a length that is no number.
    """
    keys = [str(node) for node in graph.nodes]
    number = {node: index for index, node in enumerate(graph.nodes)}
    geographic = "crs" in graph.graph and "4326" in str(graph.graph["crs"])
    x, y = (_attributes(graph, name, where=where) for name in ("x", "y"))
    if geographic:
        check_coordinates(y, x, columns=("y", "x"), source=where)
    ends: list[tuple[int, int]] = []
    lengths: list[float] = []
    described: list[tuple[bool, str, str]] = []
    twins: dict[tuple[int, int, str], int] = {}
    straight = StreetGraph.of(x, y, np.zeros((0, 2)), geographic=geographic)
    for tail, head, data in graph.edges(data=True):
        oneway = str(data.get("oneway", "")).lower() in YES
        start, stop = number[tail], number[head]
        if not graph.is_directed() and oneway and str(data.get("from")) == keys[stop] != keys[start]:
            start, stop = stop, start
        given = data.get("length", data.get("mm_len"))
        long = float(straight.straight(start, stop).item()) if given is None else _number(given, where, tail, head)
        name, road = (_text(data.get(word)) for word in ("name", "highway"))
        twin = twins.pop((stop, start, f"{long:.6g}"), None) if graph.is_directed() else None
        if twin is not None and start != stop:
            described[twin] = (False, *described[twin][1:])
            continue
        if graph.is_directed():
            twins[start, stop, f"{long:.6g}"] = len(ends)
        ends.append((start, stop))
        lengths.append(long)
        described.append((graph.is_directed() or oneway, name, road))
    return StreetGraph.of(
        x, y, np.array(ends, dtype=np.int64).reshape(-1, 2), lengths=lengths, oneway=[d[0] for d in described],
        names=[d[1] for d in described], classes=[d[2] for d in described], keys=keys, geographic=geographic,
        crs=str(graph.graph.get("crs", "")),
    )  # fmt: skip


def _attributes(graph: nx.Graph, name: str, *, where: str) -> np.ndarray:
    values = np.zeros(len(graph))
    for index, (node, data) in enumerate(graph.nodes(data=True)):
        try:
            values[index] = float(data[name])
        except (KeyError, TypeError, ValueError):
            cause = "OSMnx writes x and y"
            raise InputError.of(
                f"{where}: node {node}", data.get(name), expected=f"a number {name}", cause=cause
            ) from None
        if not np.isfinite(values[index]):
            raise InputError.of(f"{where}: node {node}: {name}", values[index], expected="a finite number")
    return values


def _number(value: Any, where: str, tail: Hashable, head: Hashable) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (np.isfinite(number) and number >= 0):
        raise InputError.of(f"{where}: edge {tail} - {head}: length", value, expected="a finite number >= 0")
    return number


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _column(frame: pd.DataFrame, *names: str) -> list[str]:
    """The first of these columns that is there, as texts."""
    for name in names:
        if name in frame:
            return [_text(value) for value in frame[name]]
    return [""] * len(frame)


def _planar(frame: "geopandas.GeoDataFrame") -> bool:
    return frame.crs is None or not frame.crs.is_geographic


def _without_empty(frame: "geopandas.GeoDataFrame", *, where: str) -> "geopandas.GeoDataFrame":
    kept: Any = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if not len(kept):
        raise InputError.of(where, "no geometry", expected="at least one feature")
    return kept


def read_packed(members: Sequence[tuple[str, bytes]], folder: Path, *, layer: str = "") -> "geopandas.GeoDataFrame":
    """A map whose files are bytes in memory: written to `folder` side by side, then read; the first is opened."""
    for name, content in members:
        (folder / name).write_bytes(content)
    return read_map(folder / members[0][0], option=members[0][0], layer=layer)
