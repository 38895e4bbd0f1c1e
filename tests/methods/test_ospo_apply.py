import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
import torch

from livepapers.core import artifact
from livepapers.core.errors import InputError, MissingExtraError
from livepapers.lab.evaluation import evaluate, load_policy
from livepapers.methods.ospo import application, apply
from livepapers.methods.ospo.dispatch_map import Minute, Sent, dispatch_map
from livepapers.tasks.ride_city import City
from livepapers.tasks.trip_table import Window, city_of, read_trips

ZONES = "zone,x_km,y_km\na,0,0\nb,1,0\nc,2,0\nd,0,1\n<e&f>,1,1\n"
NAMES = ("a", "b", "c", "d", "<e&f>")
QUICK = {"vehicles": 8, "start": "23:50", "minutes": 20, "episodes": 2, "tests": 3}


def trip_lines(days: int) -> list[str]:
    """Two trips a minute, over midnight, at 20 km/h; some from a zone that nobody knows."""
    lines = ["tpep_pickup_datetime,tpep_dropoff_datetime,PULocationID,DOLocationID,trip_distance"]
    for day in range(days):
        for minute in range(20):
            begun = pd.Timestamp("2024-07-01 23:50:10") + pd.Timedelta(days=day, minutes=minute)
            for k in range(2):
                pair = NAMES[(minute + k) % 5], NAMES[(minute + 2 * k + 1) % 5]
                ended = begun + pd.Timedelta(minutes=4)
                lines.append(f"{begun},{ended},{pair[0]},{pair[1]},1.0")
        lines.append(f"{pd.Timestamp('2024-07-01 23:55') + pd.Timedelta(days=day)},2024-07-09 00:00:00,nowhere,a,1.0")
    return lines


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "zones.csv").write_text(ZONES)
    (tmp_path / "trips.csv").write_text("\n".join(trip_lines(4)) + "\n")
    return {"trips": tmp_path / "trips.csv", "zones": tmp_path / "zones.csv"}


def test_trips_give_a_policy_a_comparison_and_a_map(given: dict[str, Path], tmp_path: Path):
    done = apply(**given, **QUICK, output=tmp_path / "out")  # type: ignore[arg-type]
    rows = {row["dispatcher"]: row for row in done.tables["Dispatchers on the same orders"]}
    assert list(rows) == ["ospo", "one-step greedy", "nearest vehicle", "random"]
    best = max(float(row["reward"] or 0) for row in rows.values())
    if rows["ospo"]["reward"] == best:
        assert done.headline.startswith("the trained ospo policy beats all rules")
    else:
        assert done.headline.startswith("heuristics win: ")
        assert "use the rule that wins" in done.notes[0]
    assert any("last 1 of the 4 recorded days" in note for note in done.notes)
    assert any("160 of 164 trips" in note and "4 more" in note for note in done.notes)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(done.files)
    assert not (tmp_path / "out.partial").exists()
    picture = ET.fromstring((tmp_path / "out" / "dispatch_map.svg").read_text())
    titles = [element.text or "" for element in picture.iter() if element.tag.endswith("title")]
    assert titles[0].startswith("Dispatch at 00:00")
    assert "<e&f>" in titles
    made = artifact.load(tmp_path / "out")
    assert json.dumps(made.spaces["task"])
    found = evaluate(load_policy(tmp_path / "out"), episodes=2, seed=0)
    assert found.lengths.tolist() == [20, 20]


def test_recorded_days_are_replayed_order_by_order_and_kept_from_training(given: dict[str, Path], tmp_path: Path):
    window = Window.parse("23:50", 20)
    trips = read_trips(given["trips"], window, NAMES, timed=True)
    assert trips.days == 4
    assert (
        torch.bincount(torch.from_numpy(trips.day)).tolist() == [40] * 4
    )  # a night's trips after midnight are its own
    done = apply(**given, **QUICK)  # type: ignore[arg-type]
    again = apply(**given, **QUICK)  # type: ignore[arg-type]
    assert done == again
    few = tmp_path / "few.csv"
    few.write_text("\n".join(trip_lines(2)) + "\n")
    drawn = apply(few, zones=given["zones"], **QUICK)  # type: ignore[arg-type]
    assert any("too few to keep some back" in note for note in drawn.notes)


def test_days_that_are_replayed_more_than_once_are_told(given: dict[str, Path], tmp_path: Path):
    def told(path: Path, tests: int) -> bool:
        notes = apply(path, zones=given["zones"], **{**QUICK, "tests": tests}).notes  # type: ignore[arg-type]
        return any(f"the {tests} windows of the comparison are of one day" in note for note in notes)

    assert told(given["trips"], 2)
    assert not told(given["trips"], 1)
    few = tmp_path / "few.csv"
    few.write_text("\n".join(trip_lines(2)) + "\n")
    assert not told(few, 2)  # fresh orders are drawn


def test_a_minute_without_assignments_has_no_rows(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(application, "_minute", lambda *_: ("<svg/>", []))
    done = apply(**given, **QUICK, output=tmp_path / "out")  # type: ignore[arg-type]
    assert list(done.tables) == ["Dispatchers on the same orders"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(done.files)
    assert "dispatch_minute.csv" not in done.files


def test_times_may_be_written_as_the_open_data_portal_does(given: dict[str, Path], tmp_path: Path):
    table = pd.read_csv(given["trips"])
    for column in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
        table[column] = pd.to_datetime(table[column]).dt.strftime("%m/%d/%Y %I:%M:%S %p")
    table.to_csv(tmp_path / "portal.csv", index=False)
    window = Window.parse("23:50", 20)
    first, second = (read_trips(path, window, NAMES, timed=True) for path in (given["trips"], tmp_path / "portal.csv"))
    assert (first.day == second.day).all()
    assert (first.minute == second.minute).all()


def test_times_are_those_of_the_clocks_there_also_where_their_offset_changes(given: dict[str, Path], tmp_path: Path):
    table = pd.read_csv(given["trips"])
    for column in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
        late = pd.to_datetime(table[column]) >= pd.Timestamp("2024-07-03")
        table[column] = table[column] + late.map({False: "+01:00", True: " +0200"})
    table.to_csv(tmp_path / "offsets.csv", index=False)
    window = Window.parse("23:50", 20)
    first, second = (read_trips(path, window, NAMES, timed=True) for path in (given["trips"], tmp_path / "offsets.csv"))
    assert (first.day == second.day).all()
    assert (first.minute == second.minute).all()


HEAD = "pickup_datetime,dropoff_datetime,PULocationID,DOLocationID"


def day_of_trips(date: str, hour: int = 19, count: int = 30, minutes: int = 3) -> list[str]:
    times = [pd.Timestamp(f"{date} {hour}:00") + pd.Timedelta(minutes=k % 30) for k in range(count)]
    return [f"{begun},{begun + pd.Timedelta(minutes=minutes)},a,b" for begun in times]


def test_a_quiet_day_counts_a_day_without_any_trip_is_told_and_a_mistaken_date_left_out(tmp_path: Path):
    quiet = day_of_trips("2024-07-03", hour=8)  # trips, but none in the window
    lines = [*day_of_trips("2024-07-01", count=300), *quiet * 10, *day_of_trips("2024-07-05", count=300),
             *day_of_trips("2009-01-01", count=1)]  # fmt: skip
    (tmp_path / "trips.csv").write_text("\n".join([HEAD, *lines]) + "\n")
    window = Window.parse("19:00", 30)
    trips = read_trips(tmp_path / "trips.csv", window, NAMES, timed=True)
    assert (trips.days, trips.gaps, trips.stray) == (3, 2, 1)
    assert sorted(set(trips.day.tolist())) == [0, 2]
    places = torch.tensor([[float(x), 0.0] for x in range(5)])
    city = city_of(trips, window, NAMES, places, known_speeds=False, days=3)
    assert city.rate.tolist() == pytest.approx([600 / 3 / 30] * 2)
    notes = application._dates(trips)
    assert "2 days between" in notes[0]
    assert "1 trips of dates" in notes[1]


def test_days_that_are_kept_for_the_comparison_leave_no_trace_in_demand_or_speeds(tmp_path: Path):
    def city(last: int) -> City:
        days = [day_of_trips(f"2024-07-0{day}", count=60) for day in range(1, 4)]
        lines = [line for day in days for line in day] + day_of_trips("2024-07-04", count=60, minutes=last)
        (tmp_path / "trips.csv").write_text("\n".join([HEAD, *lines]) + "\n")
        window = Window.parse("19:00", 30)
        trips = read_trips(tmp_path / "trips.csv", window, NAMES, timed=True)
        places = torch.tensor([[float(x), 0.0] for x in range(5)])
        return city_of(trips, window, NAMES, places, known_speeds=False, days=3)

    assert torch.equal(city(3).speed, city(9).speed)
    assert torch.equal(city(3).cumulative, city(9).cumulative)


@pytest.mark.parametrize("count", ["-1", "9", "nan", ""])
def test_counts_of_passengers_are_not_read(given: dict[str, Path], tmp_path: Path, count: str):
    lines = given["trips"].read_text().splitlines()
    told = tmp_path / "told.csv"
    told.write_text("\n".join([f"{lines[0]},passenger_count", *(f"{line},{count}" for line in lines[1:])]) + "\n")
    window = Window.parse("23:50", 20)
    plain, counted = (read_trips(path, window, NAMES, timed=True) for path in (given["trips"], told))
    assert (plain.origin == counted.origin).all()
    assert plain.read == counted.read


def test_grpo_is_another_policy(given: dict[str, Path]):
    assert "grpo" in apply(**given, **QUICK, objective="grpo").headline  # type: ignore[arg-type]


WRONG = {
    "no vehicles": ({"vehicles": 0}, "vehicles"),
    "too many seats": ({"seats": 7}, "seats"),
    "no time of the day": ({"start": "7pm"}, "start"),
    "an hour there is not": ({"start": "25:00"}, "start"),
    "no minutes": ({"minutes": 0}, "minutes"),
    "no episodes": ({"episodes": 0}, "episodes"),
    "no tests": ({"tests": 0}, "tests"),
    "a negative seed": ({"seed": -1}, "seed"),
    "an unknown objective": ({"objective": "ppo"}, "objective"),
    "another time of the day": ({"start": "12:00"}, "window"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_are_refused_before_any_work(case: str, given: dict[str, Path], tmp_path: Path):
    options, word = WRONG[case]
    with pytest.raises(InputError, match=word) as refused:
        apply(**given, **{**QUICK, **options}, output=tmp_path / "out")  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


TABLES = {
    "no pick-up time": (lambda text: text.replace("tpep_pickup_datetime", "begin"), "tpep_pickup_datetime"),
    "no drop-off time": (lambda text: text.replace("tpep_dropoff_datetime", "end"), "tpep_dropoff_datetime"),
    "no zone": (lambda text: text.replace("PULocationID", "from"), "PULocationID"),
    "a time that is none": (lambda text: text.replace("2024-07-01 23:50:10", "yesterday", 1), "line 2"),
    "zones that nobody knows": (lambda text: text.replace(",a,", ",q,").replace(",b,", ",q,").replace(",c,", ",q,")
                                .replace(",d,", ",q,").replace(",<e&f>,", ",q,"), "known zones"),
    "an empty file": (lambda _: "", "empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_cannot_be_used_are_refused_by_column_and_line(case: str, given: dict[str, Path]):
    spoil, word = TABLES[case]
    given["trips"].write_text(spoil(given["trips"].read_text()))
    with pytest.raises(InputError, match=word) as refused:
        apply(**given, **QUICK)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_zones_twice_and_distances_that_are_not_kilometres_are_refused(given: dict[str, Path]):
    given["zones"].write_text(ZONES + "a,3,3\n")
    with pytest.raises(InputError, match="zone"):
        apply(**given, **QUICK)  # type: ignore[arg-type]
    given["zones"].write_text(ZONES.replace(",1,", ",1000,").replace(",2,", ",2000,").replace(",1\n", ",1000\n"))
    with pytest.raises(InputError, match="kilometres"):
        apply(**given, **QUICK)  # type: ignore[arg-type]


def test_zones_that_are_all_at_one_place_are_refused_as_what_they_are(given: dict[str, Path]):
    given["zones"].write_text("zone,x_km,y_km\n" + "".join(f"{name},1,1\n" for name in NAMES))
    with pytest.raises(InputError, match=r"--zones: got 5 at one place, expected zones at two places or more"):
        apply(**given, **QUICK)  # type: ignore[arg-type]


def test_parquet_is_read_or_its_extra_is_named(given: dict[str, Path], tmp_path: Path):
    path = tmp_path / "trips.parquet"
    try:
        import pyarrow.parquet  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError:
        path.write_bytes(b"PAR1")
        with pytest.raises(MissingExtraError, match="parquet"):
            apply(path, zones=given["zones"], **QUICK)  # type: ignore[arg-type]
        return
    table = pd.read_csv(given["trips"], parse_dates=["tpep_pickup_datetime", "tpep_dropoff_datetime"])
    table.to_parquet(path)
    whole = apply(given["trips"], zones=given["zones"], **QUICK)  # type: ignore[arg-type]
    assert apply(path, zones=given["zones"], **QUICK).tables == whole.tables  # type: ignore[arg-type]


def test_a_map_is_one_picture_that_names_what_it_shows():
    zones = [("<a>", (0.0, 0.0)), ("b", (2.0, 8.0))]
    sent = [Sent((0.0, 0.0), (1.0, 1.0), (2.0, 8.0), "vehicle 1 & co")]
    text = dispatch_map(
        Minute("now <then>", zones, [[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]], [(1.0, 2.0)], [], [(0.5, 0.5)], sent)
    )
    picture = ET.fromstring(text)
    titles = [element.text for element in picture.iter() if element.tag.endswith("title")]
    assert titles == ["now <then>", "<a>", "b", "vehicle 1 & co"]
    words = " ".join(element.text or "" for element in picture.iter() if element.tag.endswith("text"))
    assert "sent (1)" in words
    assert "waiting (1)" in words
    assert text.count("<polygon") == 1
