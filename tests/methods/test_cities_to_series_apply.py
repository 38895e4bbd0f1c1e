"""`apply cities-to-series` on the user's own data, good and bad."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import networkx as nx
import numpy as np
import pytest
from shapely.geometry import LineString, Point

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.methods.cities_to_series import ReGENNForecaster, apply, series_application
from livepapers.methods.cities_to_series.backtest import Forecast
from livepapers.methods.cities_to_series.scaling import Split
from livepapers.tasks.coupled_series import coupled_series
from livepapers.tasks.series_table import write_long
from livepapers.tasks.street_graph import street_grid

NODES = "index,lat,lon\na,0,0\nb,0,0.01\nc,0,0.02\nd,0.01,0\ne,0.01,0.01\nf,0.01,0.02\n"
EDGES = "source,target,oneway\na,b,no\nb,c,yes\na,d,no\nd,e,no\ne,f,no\n"
PLACES = "name,lat,lon\nwest,0,0\neast,0.01,0.02\n"
SMALL: dict[str, Any] = {"window": 4, "stride": 2, "epochs": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Inputs of every kind, written once."""
    made = tmp_path_factory.mktemp("inputs")
    values = coupled_series(numpy_generator(0, "apply"), 5, 16)
    names = [f"town {i}" for i in range(5)]
    dates = [f"2024-{month:02}-01" for month in range(1, 13)] + [f"2025-{month:02}-01" for month in range(1, 5)]
    (made / "long.csv").write_text(write_long(values, names, dates, ["cases", "visits", "deaths"]))
    rows = ["series,time,cases,visits,deaths"]
    rows += [f"{names[i]},{dates[t]}," + ",".join(map(str, values[i, t])) for t in range(16) for i in range(5)]
    (made / "wide.csv").write_text("\n".join(rows) + "\n")
    (made / "nodes.csv").write_text(NODES)
    (made / "edges.csv").write_text(EDGES)
    (made / "places.csv").write_text(PLACES)
    graph = street_grid(numpy_generator(3, "apply"), 6, 6, oneway=0.0)
    lines = [
        LineString([(graph.x[a], graph.y[a]), (graph.x[b], graph.y[b])])
        for a, b in zip(graph.tails, graph.heads, strict=True)
    ]
    frame = geopandas.GeoDataFrame({"name": ["x"] * len(lines)}, geometry=lines, crs="EPSG:32633")
    for ending in ("gpkg", "geojson", "shp"):
        frame.to_file(made / f"town.{ending}") if ending != "geojson" else frame.to_file(made / "town.geojson")
    chosen = [0, graph.nodes // 2, graph.nodes - 1]
    points = geopandas.GeoDataFrame(geometry=[Point(graph.x[i], graph.y[i]) for i in chosen], crs="EPSG:32633")
    points.to_file(made / "places.gpkg")
    points.to_crs("EPSG:4326").to_file(made / "far.geojson")
    osm = nx.MultiDiGraph(crs="+proj=utm +zone=33")
    for node in range(graph.nodes):
        osm.add_node(node, x=graph.x[node], y=graph.y[node])
    for a, b, long in zip(graph.tails, graph.heads, graph.lengths, strict=True):
        osm.add_edge(int(a), int(b), length=float(long), highway="residential")
        osm.add_edge(int(b), int(a), length=float(long), highway="residential")
    nx.write_graphml(osm, made / "town.graphml")
    (made / "places_xy.csv").write_text("x,y\n" + "".join(f"{graph.x[i]},{graph.y[i]}\n" for i in chosen))
    return made


@pytest.fixture(scope="module")
def forecast(folder, tmp_path_factory):
    return apply(series=folder / "long.csv", **SMALL, output=tmp_path_factory.mktemp("out") / "series")


def test_long_and_wide_tables_give_one_answer(folder, forecast):
    wide = apply(series=folder / "wide.csv", **SMALL)
    assert wide.headline == forecast.headline
    assert json.dumps(wide.to_json()["tables"]) == json.dumps(forecast.to_json()["tables"])


def test_forecasts_come_with_a_backtest_a_graph_and_a_network(forecast):
    assert forecast.output is not None
    assert {path.name for path in forecast.output.iterdir()} == set(forecast.files)
    rows = list(csv.DictReader((forecast.output / "forecasts.csv").read_text().splitlines()))
    assert len(rows) == 5 * 2 * 3
    assert all(float(row["ReGENN"]) >= 0 for row in rows)
    errors = [row["MAE"] for row in forecast.tables["Backtest"]]
    assert errors == sorted(errors)
    assert {"ReGENN", "persistence", "drift", "ridge"} <= {row["method"] for row in forecast.tables["Backtest"]}
    loaded = ReGENNForecaster.load(forecast.output / "forecaster")
    assert loaded.variable_graph().shape == (3, 3)
    assert "Rows are made of columns" in (forecast.output / "graph.svg").read_text()
    fans = (forecast.output / "backtest.svg").read_text()
    assert fans.count(">2024-03-01<") == fans.count(">2025-04-01<") == fans.count('font-weight="bold"') - 1  # the title


def test_the_forecast_that_is_recommended_is_given(folder, monkeypatch):
    real = series_application.forecast_by

    def ridge_wins_the_test_and_trees_the_dev_window(name: str, values: np.ndarray, *, split: Split) -> Forecast:
        made = real(name, values, split=split)
        if name == "ridge":
            return replace(made, made=values[:, -split.stride :])
        return replace(made, dev_error=0.0) if name == "boosted trees" else made

    monkeypatch.setattr(series_application, "forecast_by", ridge_wins_the_test_and_trees_the_dev_window)
    made = series_application.answer(folder / "long.csv", window=4, stride=2, epochs=2, seed=0)
    assert made.headline.startswith("ridge did best")
    assert "ridge beat ReGENN on the last 2 steps: rather trust its forecast, which stands beside" in made.notes[0]
    assert "boosted trees, best on the 2 steps before, is there too" in made.notes[1]
    rows = made.files["forecasts.csv"][1]
    assert list(rows[0])[-3:] == ["ReGENN", "ridge", "boosted trees"]
    assert ">ridge<" in made.files["backtest.svg"][1]


@pytest.mark.parametrize(
    ("streets", "facilities"),
    [("town.gpkg", "places.gpkg"), ("town.geojson", "far.geojson"), ("town.shp", "places_xy.csv"),
     ("town.graphml", "places_xy.csv")],
)  # fmt: skip
def test_every_kind_of_map_gives_the_same_corners(folder, tmp_path, streets, facilities):
    made = apply(streets=folder / streets, facilities=folder / facilities, output=tmp_path / "out")
    first = apply(streets=folder / "town.gpkg", facilities=folder / "places.gpkg")
    assert made.headline == first.headline
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(made.files)
    assert "<svg" in (tmp_path / "out" / "map.svg").read_text()
    json.loads((tmp_path / "out" / "application.json").read_text())


def test_tables_of_segments_and_junctions_are_read_in_degrees(folder):
    made = apply(streets=folder / "edges.csv", junctions=folder / "nodes.csv", facilities=folder / "places.csv")
    assert made.tables["Before and after"][0]["corners"] == 6
    assert made.tables["Facilities"][0]["facility"] == "a"
    assert any("no way" in note for note in made.notes)  # c is a one-way end: nobody comes back


def test_a_way_that_does_not_exist_is_empty_and_not_nothing(tmp_path):
    (tmp_path / "nodes.csv").write_text(NODES + "g,0.02,0.02\n")
    (tmp_path / "edges.csv").write_text(EDGES + "f,g,yes\n")
    (tmp_path / "places.csv").write_text("lat,lon\n0,0\n0.02,0.02\n")
    files: dict[str, Any] = {
        "streets": tmp_path / "edges.csv", "junctions": tmp_path / "nodes.csv", "facilities": tmp_path / "places.csv"
    }  # fmt: skip
    rows = apply(**files, direction="in").tables["Facilities"]  # from g, the end of a one-way street, nobody comes
    assert [row["mean extra way, m"] for row in rows] == [0.0, None]
    assert [row["no way in from it"] for row in rows] == [0, 2]
    both = apply(**files).tables["Facilities"]
    assert {"corners by road, out", "corners by road, in", "detour index, out", "detour index, in"} <= set(both[0])
    assert "one-way" in str(both[1]["likely"])


def test_the_likely_cause_is_the_same_when_every_one_way_street_is_turned(tmp_path):
    (tmp_path / "nodes.csv").write_text(NODES)
    (tmp_path / "places.csv").write_text("lat,lon\n0,0\n0,0.02\n")
    head, *lines = EDGES.splitlines()
    found = []
    for turned in (False, True):
        rows = [",".join([b, a, *rest]) if turned else line for line in lines for a, b, *rest in [line.split(",")]]
        (tmp_path / "edges.csv").write_text("\n".join([head, *rows]) + "\n")
        made = apply(
            streets=tmp_path / "edges.csv", junctions=tmp_path / "nodes.csv", facilities=tmp_path / "places.csv"
        )
        found.append([(row["facility"], row["likely"]) for row in made.tables["Facilities"]])
    assert found[0] == found[1]


def test_corners_tell_ways_of_each_direction(folder):
    made = apply(streets=folder / "town.gpkg", facilities=folder / "places.gpkg")
    row = made.tables["Inconsistent corners"][0]
    ways = [float(str(row[f"way {way} the {one}, m"])) for way in ("out to", "in from") for one in ("former", "latter")]
    assert row["extra way, mean of out and in, m"] == pytest.approx((ways[0] - ways[1] + ways[2] - ways[3]) / 2)
    single = apply(streets=folder / "town.gpkg", facilities=folder / "places.gpkg", direction="in")
    assert {"nearest by road, in", "extra way, m"} <= set(single.tables["Inconsistent corners"][0])


def test_lines_that_cross_are_cut_on_demand(tmp_path):
    cross = geopandas.GeoDataFrame(
        geometry=[LineString([(0, 0), (100, 100)]), LineString([(0, 100), (100, 0)])], crs="EPSG:32633"
    )
    cross.to_file(tmp_path / "cross.gpkg")
    (tmp_path / "places.csv").write_text("x,y\n0,0\n100,0\n")
    plain = apply(streets=tmp_path / "cross.gpkg", facilities=tmp_path / "places.csv")
    assert any("--crossings" in note for note in plain.notes)
    whole = apply(streets=tmp_path / "cross.gpkg", facilities=tmp_path / "places.csv", crossings=True)
    assert whole.tables["Before and after"][0]["corners"] == 5
    assert whole.tables["Before and after"][0]["continuous streets"] == 2


SERIES = {
    "empty": ("", "the file is empty"),
    "binary": ("time,a\n\0", "binary"),
    "header only": ("time,a,b\n", "at least one row"),
    "no time": ("day,a,b\n1,2,3\n", "column time"),
    "only time": ("time\n1\n", "a column for each variable"),
    "one variable": ("time,a\n" + "".join(f"{t},{t}\n" for t in range(20)), "at least 2"),
    "same variable twice": ("time,a,b\n" + "".join(f"{t},{t},{t}\n" for t in range(20)), "different"),
    "a word": ("time,a,b\n1,2,x\n", "line 2: b"),
    "nan": ("time,a,b\n1,2,nan\n", "line 2: b"),
    "missing cell": ("time,a,b\n1,2,\n", "missing value"),
    "twice": ("time,a,b\n1,2,3\n1,2,3\n", "each series and time once"),
    "twice long": ("series,time,variable,value\ns,1,a,2\ns,1,a,2\n", "each series, time and variable once"),
    "hole": ("series,time,a,b\ns,1,2,3\ns,2,2,3\nt,1,2,3\n", "nothing for a of t at 2"),
    "semicolons": ("time;a;b\n1;2,5;3\n", "separated by semicolons"),
    "bad date": ("time,a,b\n2020-13-01,2,3\n", "ISO 8601"),
    "mixed times": ("time,a,b\n1,2,3\n2020-01-01,2,3\n", "ISO 8601"),
    "too short": ("time,a,b\n" + "".join(f"{t},{t},{t * t}\n" for t in range(9)), "at least 10"),
}
STREETS = {
    "edges to nowhere": ({"edges.csv": "source,target\na,z\n"}, "an index of the table"),
    "no target": ({"edges.csv": "source,to\na,b\n"}, "column target"),
    "negative length": ({"edges.csv": "source,target,length\na,b,-1\n"}, "length: got -1.0, expected a number >= 0"),
    "junction twice": ({"nodes.csv": NODES + "a,0,0\n"}, "each index once"),
    "swapped": ({"nodes.csv": NODES.replace("a,0,0", "a,120,45")}, "swapped"),
    "no latitude": ({"nodes.csv": "index,x\na,0\n"}, "column y"),
    "far facilities": ({"places.csv": "lat,lon\n45,45\n"}, "beside the streets"),
    "facilities off the globe": ({"places.csv": "lat,lon\n95,0\n"}, "degrees"),
    "no segment": ({"edges.csv": "source,target\n"}, "at least one row"),
}
FAULTS = {
    "nothing": ({}, "exactly one of"),
    "both": ({"series": "long.csv", "streets": "edges.csv"}, "exactly one of"),
    "no facilities": ({"streets": "edges.csv", "junctions": "nodes.csv"}, "--facilities"),
    "no junctions": ({"streets": "edges.csv", "facilities": "places.csv"}, "--junctions"),
    "junctions of a map": (
        {"streets": "town.gpkg", "facilities": "places.gpkg", "junctions": "nodes.csv"},
        "--junctions",
    ),
    "facilities of series": ({"series": "long.csv", "facilities": "places.csv"}, "goes with --streets"),
    "missing file": ({"streets": "none.gpkg", "facilities": "places.gpkg"}, "an existing file"),
    "missing table": ({"series": "none.csv"}, "an existing file"),
    "unknown ending": ({"streets": "places.xyz", "facilities": "places.csv"}, "ends with"),
    "points as streets": ({"streets": "places.gpkg", "facilities": "places.gpkg"}, "expected lines"),
    "unknown layer": ({"streets": "town.gpkg", "facilities": "places.gpkg", "layer": "x"}, "a map"),
    "a window for streets": ({"streets": "town.gpkg", "facilities": "places.gpkg", "window": 9}, "goes with --series"),
    "direction": (
        {"streets": "town.gpkg", "facilities": "places.gpkg", "direction": "up"},
        "direction: got up, expected one of",
    ),
    "angle": ({"streets": "town.gpkg", "facilities": "places.gpkg", "min_angle": 200.0}, "--min-angle"),
    "window": ({"series": "long.csv", "window": 1}, "--window"),
    "stride": ({"series": "long.csv", "stride": 0}, "--stride"),
    "no xml": ({"streets": "bad.graphml", "facilities": "places_xy.csv"}, "GraphML"),
    "entities": ({"streets": "bomb.graphml", "facilities": "places_xy.csv"}, "GraphML"),
    "no coordinates": ({"streets": "bare.graphml", "facilities": "places_xy.csv"}, "a number x"),
}
BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><graphml>&b;</graphml>'
BARE = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed"><node id="0"/></graph>'
    "</graphml>"
)


def refused(said: str, place: Path, **asked) -> None:
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    with pytest.raises(InputError, match=said) as caught:
        apply(**asked, output=place / "out")
    assert "\n" not in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


@pytest.mark.parametrize("fault", SERIES)
def test_unusable_tables_of_series_get_one_line(tmp_path, fault):
    text, said = SERIES[fault]
    (tmp_path / "series.csv").write_text(text)
    refused(said, tmp_path, series=tmp_path / "series.csv", **SMALL)


@pytest.mark.parametrize("fault", STREETS)
def test_unusable_tables_of_streets_get_one_line(tmp_path, fault):
    changed, said = STREETS[fault]
    for name, text in ({"nodes.csv": NODES, "edges.csv": EDGES, "places.csv": PLACES} | changed).items():
        (tmp_path / name).write_text(text)
    named = {"streets": "edges", "junctions": "nodes", "facilities": "places"}
    refused(said, tmp_path, **{option: tmp_path / f"{name}.csv" for option, name in named.items()})


@pytest.mark.parametrize("fault", FAULTS)
def test_unusable_options_get_one_line(folder, tmp_path, fault):
    asked, said = FAULTS[fault]
    for name, text in {"bad.graphml": "<graphml", "bomb.graphml": BOMB, "bare.graphml": BARE}.items():
        (tmp_path / name).write_text(text)
    given = {
        name: (tmp_path if str(value).startswith("b") else folder) / value
        if isinstance(value, str) and "." in value
        else value
        for name, value in asked.items()
    }
    refused(said, tmp_path, **given)
