"""`apply commuters` on the user's own files, good and bad."""

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.core.rng import numpy_generator
from livepapers.methods.commuters import apply
from livepapers.methods.commuters.plot import link_map, reliability_curve
from livepapers.tasks import place_files
from livepapers.tasks.mobility_models import wage_country
from livepapers.tasks.place_files import read_flows, read_places

COUNTRY = wage_country(numpy_generator(7, "apply"), places=30)
IDS = [f"t{number:02d}" for number in range(30)]
LAT, LON = 46 + COUNTRY.places.coordinates[:, 1] / 111_195, 7 + COUNTRY.places.coordinates[:, 0] / 77_000
FAST = {"model": "logit", "folds": 2}


def nodes_table():
    table = pd.DataFrame({"id": IDS, "lat": LAT, "lon": LON, "town": [f"Town {i}" for i in IDS]})
    for name in COUNTRY.places.indicator_names:
        table[name] = COUNTRY.places.column(name)
    return table


def flows_table():
    origin, destination = np.nonzero(COUNTRY.flows.matrix)
    flow = COUNTRY.flows.matrix[origin, destination]
    return pd.DataFrame({"origin": np.array(IDS)[origin], "destination": np.array(IDS)[destination], "flow": flow})


def write(folder: Path, nodes=None, flows=None) -> dict[str, Any]:
    """Both files, and the options that name them."""
    (nodes_table() if nodes is None else nodes).to_csv(folder / "nodes.csv", index=False)
    (flows_table() if flows is None else flows).to_csv(folder / "flows.csv", index=False)
    return {"nodes": folder / "nodes.csv", "flows": folder / "flows.csv"}


@pytest.fixture(scope="module")
def applied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("applied")
    return apply(**write(folder), **FAST, top=7, output=folder / "out")


def test_unseen_places_are_judged_first_and_beside_gravity_and_radiation(applied):
    rows = applied.tables["Comparison on what was held out"]
    assert [row["held out"] for row in rows] == ["places never seen"] * 4 + ["pairs never seen"] * 4
    assert {row["model"] for row in rows} == {"logit", "gravity, regression", "gravity, Poisson", "radiation"}
    for part in (rows[:4], rows[4:]):
        accuracy = [row["accuracy"] for row in part]
        assert accuracy == sorted(accuracy, reverse=True)
        assert part[0]["model"] == "logit"  # this country's law is one of wages
    assert applied.headline.startswith("places never seen: logit")


def test_likely_links_have_no_flow_and_stand_in_order(applied):
    rows = applied.tables["Likely links without a flow"]
    assert len(rows) == 7
    assert all(row["observed flow"] == 0 for row in rows)
    probability = [row["probability"] for row in rows]
    assert probability == sorted(probability, reverse=True)


def test_importance_names_wages_and_says_texts_were_left_out(applied):
    assert applied.tables["Importance"][0]["indicator"] == "wage"
    assert any("town" in note for note in applied.notes)


def test_the_output_folder_holds_what_is_announced(applied):
    assert {path.name for path in applied.output.iterdir()} == set(applied.files)
    for name in ("map.svg", "importance.svg", "calibration.svg"):
        text = (applied.output / name).read_text()
        ET.fromstring(text)
        assert "nan" not in text
    with (applied.output / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    linked = int((COUNTRY.flows.matrix > 0).sum())
    assert sum(float(row["observed flow"]) > 0 for row in rows) == linked
    assert json.loads((applied.output / "application.json").read_text())["headline"] == applied.headline


def test_links_and_pairs_of_places_and_both_common_parts_are_told_apart(applied):
    data = {row["what"]: row["value"] for row in applied.tables["Data"]}
    there = COUNTRY.flows.matrix >= 1
    pairs = int(np.triu(there | there.T).sum())
    assert data["links, each direction for itself"] == there.sum() > pairs == data["pairs of places linked either way"]
    drawn = (applied.output / "map.svg").read_text()
    assert f"observed: {pairs} pairs of places linked either way" in drawn
    assert f"{data['cpc of the whole network']:.2f} (whole network)" in drawn
    assert "cpc of held-out links" in applied.tables["Comparison on what was held out"][0]


def test_applying_twice_gives_the_same_bytes_whatever_the_order_of_rows(applied, tmp_path):
    again = apply(**write(tmp_path, flows=flows_table().iloc[::-1]), **FAST, top=7)
    assert again.to_json()["tables"] == applied.to_json()["tables"]


def test_a_matrix_and_a_long_table_are_the_same_flows(tmp_path):
    paths = write(tmp_path)
    places = read_places(
        paths["nodes"], name="id", coordinates=("lat", "lon"), units="degrees", option="--nodes"
    ).places
    long = read_flows(paths["flows"], places=places, option="--flows").flows
    matrix = pd.DataFrame(COUNTRY.flows.matrix, index=IDS, columns=IDS).replace(0.0, np.nan)  # empty cells
    matrix.to_csv(tmp_path / "matrix.csv")
    square = read_flows(tmp_path / "matrix.csv", places=places, option="--flows").flows
    assert np.array_equal(long.matrix, square.matrix)


def test_maps_are_read_like_tables(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    paths = write(tmp_path)
    table = nodes_table()
    points = geopandas.points_from_xy(table.pop("lon"), table.pop("lat"))
    layer = geopandas.GeoDataFrame(table, geometry=points, crs="EPSG:4326")
    plain = read_places(paths["nodes"], name="id", coordinates=("lat", "lon"), units="degrees", option="--nodes").places
    for name, crs in (("nodes.geojson", "EPSG:4326"), ("nodes.gpkg", "EPSG:2056")):
        layer.to_crs(crs).to_file(tmp_path / name)
        read = read_places(tmp_path / name, name="id", coordinates=("lat", "lon"), units="degrees", option="--nodes")
        assert read.places.coordinates == pytest.approx(plain.coordinates, abs=1e-5)
        assert read.places.indicator_names == plain.indicator_names
    (tmp_path / "bad.geojson").write_text("{")
    with pytest.raises(InputError, match="a map of geometries"):
        read_places(tmp_path / "bad.geojson", name="id", coordinates=("lat", "lon"), units="degrees", option="--nodes")


def test_a_map_without_geopandas_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "geopandas", None)
    with pytest.raises(MissingExtraError, match=r"livepapers\[geo\]"):
        apply(nodes=tmp_path / "nodes.gpkg", flows=tmp_path / "flows.csv")


def test_repeated_rows_and_flows_inside_places_are_said(tmp_path):
    flows = flows_table()
    more = pd.DataFrame({"origin": ["t00"], "destination": ["t00"], "flow": [9.0]})
    paths = write(tmp_path, flows=pd.concat([flows, flows.iloc[:2], more]))
    places = read_places(
        paths["nodes"], name="id", coordinates=("lat", "lon"), units="degrees", option="--nodes"
    ).places
    read = read_flows(paths["flows"], places=places, option="--flows")
    assert "2 rows repeat a pair" in read.notes[0]
    assert "1 places have flows inside" in read.notes[1]
    assert read.flows.inside.sum() == 9


def test_gaps_are_allowed_in_indicators_that_are_no_mass(tmp_path):
    nodes = nodes_table()
    nodes.loc[[0, 5], "rainfall"] = np.nan
    paths = write(tmp_path, nodes=nodes)
    places = read_places(
        paths["nodes"], name="id", coordinates=("lat", "lon"), units="degrees", option="--nodes"
    ).places
    assert np.flatnonzero(np.isnan(places.column("rainfall"))).tolist() == [0, 5]


def changed(column, row, value):
    def change(table):
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return change


OPTIONS = {
    "one fold": ({"folds": 1}, "--folds"),
    "top of 0": ({"top": 0}, "--top"),
    "threshold of 0": ({"threshold": 0.0}, "--threshold"),
    "threshold that is no number": ({"threshold": float("nan")}, "--threshold"),
    "threshold above every flow": ({"threshold": 1e9}, "0 links"),
    "negative seed": ({"seed": -1}, "--seed"),
    "one coordinate": ({"coordinates": "lat"}, "--coordinates"),
    "unknown mass": ({"mass": "gdp"}, "--mass"),
    "mass below zero": ({"mass": "wage"}, "wage of"),
    "unknown column of names": ({"name": "code"}, "column code"),
    "missing nodes": ({"nodes": Path("nothing.csv")}, "an existing file"),
    "missing map": ({"nodes": Path("nothing.gpkg")}, "an existing file"),
    "flows are a folder": ({"flows": Path()}, "a readable file"),
    "output with files": ({"output": Path()}, "it holds files"),
    "output is a file": ({"output": Path("nodes.csv")}, "a file of that name"),
}
NODES = {
    "latitude and longitude swapped": (lambda t: t.assign(lat=t["lon"] + 100, lon=t["lat"]), "swapped"),
    "metres as degrees": (lambda t: t.assign(lat=t["lat"] * 1e5), "lat, row 1"),
    "a place twice": (changed("id", 3, "t00"), "also in row 1"),
    "coordinate missing": (changed("lat", 2, ""), "line 4: lat"),
    "coordinate that is no number": (changed("lon", 2, "east"), "line 4: lon"),
    "population of zero": (changed("population", 4, 0), "population of t04"),
    "population missing": (changed("population", 4, ""), "population of t04"),
    "word among numbers": (changed("wage", 6, "low"), "line 8: wage"),
    "infinite indicator": (changed("wage", 6, "inf"), "line 8: wage"),
    "no indicator": (lambda t: t[["id", "lat", "lon", "town"]], "no column of numbers"),
    "too few places": (lambda t: t.iloc[:1], "1 places"),
    "an indicator twice": (lambda t: t.rename(columns={"wage": "population"}), "column population: got it twice"),
    "an indicator with decimal commas": (changed("wage", slice(None), "1,5"), "line 2: wage: got 1,5, .*decimal comma"),
    "no column of longitudes": (lambda t: t.rename(columns={"lon": "long"}), "rename it"),
}
FLOWS = {
    "unknown place": (changed("origin", 2, "t99"), "a place of the nodes file"),
    "negative flow": (changed("flow", 2, -3), ">= 0"),
    "flow that is no number": (changed("flow", 2, "many"), "line 4: flow"),
    "flow missing": (changed("flow", 2, ""), "line 4: flow"),
    "no column of flows": (lambda t: t.rename(columns={"flow": "flows"}), "rename it"),
    "hardly any flow": (lambda t: t.iloc[:5], "at least 16 linked"),
}


def refused(folder, monkeypatch, options, said):
    monkeypatch.chdir(folder)
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(InputError, match=said) as caught:
        apply(**options)
    assert "\n" not in str(caught.value)
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("fault", OPTIONS)
def test_unusable_options_get_one_line_and_write_nothing(tmp_path, monkeypatch, fault):
    asked, said = OPTIONS[fault]
    refused(tmp_path, monkeypatch, {**write(tmp_path), **FAST, "output": tmp_path / "out", **asked}, said)


@pytest.mark.parametrize("fault", NODES)
def test_unusable_nodes_get_one_line_and_write_nothing(tmp_path, monkeypatch, fault):
    change, said = NODES[fault]
    paths = write(tmp_path, nodes=change(nodes_table()))
    refused(tmp_path, monkeypatch, {**paths, **FAST, "output": tmp_path / "out"}, said)


@pytest.mark.parametrize("fault", FLOWS)
def test_unusable_flows_get_one_line_and_write_nothing(tmp_path, monkeypatch, fault):
    change, said = FLOWS[fault]
    paths = write(tmp_path, flows=change(flows_table()))
    refused(tmp_path, monkeypatch, {**paths, **FAST, "output": tmp_path / "out"}, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (",t00,t01\nt00,1,2\n", "a square matrix"),
        (",t00,t01\nt00,1\nt01,1,2\n", "line 2"),
        (",t00,t01\nt00,1,x\nt01,1,2\n", "line 2: t01"),
        (",t00,zz\nt00,1,3\nzz,1,2\n", "a place of the nodes file"),
        (";t00;t01\nt00;1;2\nt01;1;2\n", "separated by semicolons"),
        (',t00,t01\nt00,1,"2,5"\nt01,1,2\n', "line 2: t01: got 2,5, .*decimal comma"),
    ],
)
def test_unusable_matrices_get_one_line(tmp_path, text, said):
    (tmp_path / "matrix.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_flows(
            tmp_path / "matrix.csv", places=COUNTRY.places.select(np.arange(2)) if not text else _two(), option="-"
        )


def _two():
    places = COUNTRY.places.select(np.arange(2))
    return type(places)(("t00", "t01"), places.indicator_names, places.indicators, places.coordinates)


def test_too_many_places_are_sent_to_the_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(place_files, "MOST_PLACES", 20)
    with pytest.raises(InputError, match="in chunks"):
        apply(**write(tmp_path))


def test_maps_are_cut_where_no_place_is():
    points = np.array([[0.0, 179.0], [5.0, -179.0], [2.0, 175.0]])
    drawn = link_map(points, right=[(0, 1, 1.0)], missed=[], invented=[], geographic=True, title="x")
    line = next(part for part in drawn.split("\n") if "<line x1" in part and "stroke-opacity" in part)
    ends = [float(line.split(f'{name}="')[1].split('"')[0]) for name in ("x1", "x2")]
    assert 0 < ends[1] - ends[0] < 460 / 2  # over the date line, not around the globe


def test_a_curve_of_one_point_can_be_drawn():
    ET.fromstring(reliability_curve([{"predicted": 0.0, "observed": 0.0, "pairs": 3}], title="<x>"))
