"""Manhattan's data files: read from a folder, a wheel or the installed package, never imported."""

import json
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from livepapers.core.errors import InputError
from livepapers.tasks import data
from livepapers.tasks.manhattan import STREET_ANGLE, manhattan, outlines, read, speeds, zones


def square(x: float, y: float, size: float) -> list[list[float]]:
    return [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    features = [
        {"properties": {"zone_id": name, "zone_name": name}, "geometry": {"coordinates": [square(x, 4500.0, 1.0)]}}
        for name, x in (("13", 592.0), ("4", 590.0), ("12", 591.0))
    ]
    (made / "taxizones.geojson").write_text(json.dumps({"features": features}))
    trips = ["dow,t_15min,puzone,dozone,n_trips"]
    for day in (0, 1):
        trips += [f"{day},76,4,12,30", f"{day},76,12,13,10", f"{day},77,13,4,20"]
    (made / "trips.csv").write_text("\n".join(trips) + "\n")
    rows = ["puzone,dozone,min,speed_mean,speed_stddev"]
    rows += [f"{a},{b},{minute},{0.005 if a == 4 else 0.01},0.001" for a in (4, 12) for b in (4, 12, 13)
             for minute in (1140, 1155)]  # fmt: skip
    (made / "speeds.csv").write_text("\n".join(rows) + "\n")
    return made


def test_zones_are_in_ascending_order_turned_into_the_street_grid(folder: Path):
    names, places = zones(folder)
    assert names == ("4", "12", "13")
    step = places[1] - places[0]
    assert float(step.norm()) == pytest.approx(1.0, abs=1e-5)
    assert float(torch.rad2deg(torch.atan2(step[1], step[0]))) == pytest.approx(STREET_ANGLE, abs=1e-3)
    shapes = outlines(folder)
    torch.testing.assert_close(shapes[0][:4].mean(0), places[0], atol=1e-4, rtol=0.0)


def test_a_window_has_the_counts_of_all_days_speeds_in_kilometres_a_minute_and_its_mean_rate(folder: Path):
    city = manhattan(76, rate=9.0, path=folder)
    assert city.trips[0].tolist() == [[0.0, 60.0, 0.0], [0.0, 0.0, 20.0], [0.0, 0.0, 0.0]]
    assert city.trips[1, 2, 0] == 40.0
    assert city.rate.tolist() == pytest.approx([12.0, 6.0])
    assert float(city.speed[0, 0, 1]) == pytest.approx(0.3)
    assert float(city.speed[0, 1, 0]) == pytest.approx(0.6)
    assert float(city.speed[0, 2, 0]) == pytest.approx(0.45)  # unknown: the mean of what is known
    assert torch.equal(speeds(76, bins=2, path=folder), city.speed)


def test_origins_can_be_the_busiest_zones_only(folder: Path):
    city = manhattan(76, bins=1, rate=9.0, origins=0.34, path=folder)
    assert city.trips.sum((0, 2)).tolist() == [60.0, 0.0, 0.0]
    with pytest.raises(InputError, match="trips"):  # the second quarter of an hour has none left
        manhattan(76, rate=9.0, origins=0.34, path=folder)
    with pytest.raises(InputError, match="origins"):
        manhattan(76, rate=9.0, origins=0.0, path=folder)


def test_a_wheel_is_read_as_its_folder_is(folder: Path, tmp_path: Path):
    wheel = tmp_path / "pyhailing-9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"pyhailing/data/{file.name}")
    assert torch.equal(manhattan(76, rate=9.0, path=wheel).trips, manhattan(76, rate=9.0, path=folder).trips)
    (tmp_path / "empty.whl").write_bytes(b"")
    for wrong in (tmp_path / "empty.whl", tmp_path / "nothing"):
        with pytest.raises(InputError, match="pyhailing"):
            read("trips", path=wrong)


def test_an_installed_package_is_found_and_not_imported(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "site" / "pyhailing"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    folder.rename(package / "data")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert read("trips").startswith(b"dow,")
    assert "pyhailing" not in sys.modules


def test_without_either_the_verified_wheel_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr("livepapers.tasks.manhattan._installed", lambda: None)
    monkeypatch.setattr("livepapers.tasks.manhattan.read_source", lambda name: asked.append(name) or b"x")
    assert read("speeds") == b"x"
    assert asked == ["manhattan-speeds"]
    assert {"manhattan-trips", "manhattan-speeds", "manhattan-zones"} <= data.SOURCES.keys()


@pytest.mark.parametrize(("first", "bins"), [(-1, 2), (95, 2), (0, 0)])
def test_a_window_outside_the_day_is_refused(folder: Path, first: int, bins: int):
    with pytest.raises(InputError, match="window"):
        manhattan(first, bins=bins, rate=1.0, path=folder)
