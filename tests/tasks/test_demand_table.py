from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livepapers import samples
from livepapers.core.errors import InputError
from livepapers.tasks.demand_table import read_demand_csv
from livepapers.tasks.inventory_network import Edge, InventoryNetwork, Node

NETWORK = InventoryNetwork(
    (Node("a", "store", 1.0, 9.0), Node("b", "store", 1.0, 9.0)), (Edge("supplier", "a", 2), Edge("supplier", "b", 2))
)
LONG = "store,period,quantity\nb,1,4\na,1,2.5\na,2,3\nb,2,5\na,3,1\nb,3,6\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "sales.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_columns_come_in_the_order_of_the_networks_stores(tmp_path: Path) -> None:
    table = read_demand_csv(write(tmp_path, LONG), NETWORK)
    assert table.series == ("a", "b")
    assert table.values.tolist() == [[2.5, 4.0], [3.0, 5.0], [1.0, 6.0]]
    assert table.periods == ("1", "2", "3")
    assert table.dates is None


def test_long_and_wide_files_say_the_same(tmp_path: Path) -> None:
    long = read_demand_csv(write(tmp_path, LONG), NETWORK)
    wide = read_demand_csv(write(tmp_path, "period,b,a\n1,4,2.5\n2,5,3\n3,6,1\n"), NETWORK)
    assert long.values.tolist() == wide.values.tolist()
    assert long.series == wide.series


@pytest.mark.parametrize(
    "periods",
    [
        ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"],
        ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"],
        ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"],
        ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"],
        ["7", "8", "9", "10"],
        ["10", "20", "30", "40"],
    ],
)
def test_days_weeks_months_and_counts_are_equal_steps(tmp_path: Path, periods: list[str]) -> None:
    text = "store,period,quantity\n" + "".join(f"x,{period},1\n" for period in periods)
    assert read_demand_csv(write(tmp_path, text)).periods == tuple(periods)


BAD = {
    "missing column": (LONG.replace("quantity", "amount"), "column quantity: got nothing, expected this column"),
    "misspelt column": (LONG.replace("quantity", "quantiti"), "is 'quantiti' meant"),
    "text": (LONG.replace("2.5", "many"), "line 3: quantity: got many"),
    "NaN": (LONG.replace("2.5", "nan"), "line 3: quantity: got nan"),
    "empty cell": (LONG.replace("2.5", ""), "line 3: quantity"),
    "infinite": (LONG.replace("2.5", "inf"), "line 3: quantity: got inf"),
    "huge": (LONG.replace("2.5", "1e300"), "too large"),
    "negative": (LONG.replace("2.5", "-2.5"), "a in 1: got -2.5, expected a quantity >= 0"),
    "unknown store": (LONG + "c,3,1\nc,1,1\nc,2,1\n", r"store: got c, expected a store of the network \(a, b\)"),
    "store without rows": ("store,period,quantity\na,1,1\na,2,1\n", "store b: got no rows"),
    "twice": (LONG + "a,3,1\n", "line 8: got a in 3 again"),
    "descending": ("store,period,quantity\na,2,1\nb,2,1\na,1,1\nb,1,1\n", "sort the file by period"),
    "gap": (LONG + "a,5,1\nb,5,1\na,6,1\nb,6,1\n", "got 3 then 5, expected equal steps"),
    "hole": (LONG + "a,4,1\n", "no row for b in 4"),
    "only zeros": ("period,a,b\n1,2,0\n2,3,0\n", "b: got only zeros"),
    "dates and counts": (LONG.replace("a,3,1", "a,2024-01-01,1").replace("b,3,6", "b,2024-01-01,6"), "whole number"),
    "no date": (LONG.replace(",1,", ",soon,"), "period: got soon"),
    "time stamps": (LONG.replace(",3,", ",9999999999999999,"), "time stamp"),
    "too short": ("store,period,quantity\na,1,1\nb,1,1\n", "got 1 periods, expected at least 2 periods"),
    "empty": ("", "empty"),
    "header only": ("store,period,quantity\n", "a header without rows"),
    "binary": (b"PK\x03\x04\x00\x00\x00", "binary"),
    "not UTF-8": (b"store,period,quantity\n\xff\xfe,1,1\n", "UTF-8"),
    "period only": ("period\n1\n2\n", "expected"),
    "column twice": ("period,a,a\n1,1,1\n2,1,1\n", "column 'a' twice"),
    "wide twice": ("period,a,b\n1,1,1\n1,1,1\n", "1 again"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_file_gets_one_clear_line(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    with pytest.raises(InputError, match=message) as caught:
        read_demand_csv(write(tmp_path, text), NETWORK, option="--demand")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("--demand")


def test_returns_are_negative_demand_where_demand_is_backlogged(tmp_path: Path) -> None:
    backlog = InventoryNetwork(NETWORK.nodes, NETWORK.edges, "backlog")
    assert read_demand_csv(write(tmp_path, LONG.replace("2.5", "-2.5")), backlog).values[0, 0] == -2.5


def test_too_few_periods_for_the_work_ahead_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got 3 periods, expected at least 21 periods"):
        read_demand_csv(write(tmp_path, LONG), NETWORK, shortest=21)


def test_the_sample_panel_is_814_full_weeks_of_20_stations() -> None:
    table = read_demand_csv(samples.path("chicago_weekly_ridership.csv"))
    assert table.values.shape == (814, 20)
    assert (table.periods[0], table.periods[-1]) == ("2001-01-08", "2016-08-08")
    assert table.dates is not None
    assert {day.weekday() for day in table.dates} == {0}
    assert table.panel().values.shape == (1, 20, 814)
    assert table.panel_by_series(known=400).values.shape == (20, 1, 814)
    assert table.calendar().shape == (814,)


@pytest.mark.parametrize("name", ["one_store", "warehouse_three_stores"])
def test_sample_networks_go_with_their_demand(name: str) -> None:
    network = InventoryNetwork.from_file(samples.path(f"{name}.yml"))
    assert read_demand_csv(samples.path(f"{name}_demand.csv"), network).values.shape == (814, len(network.stores))


def test_an_unknown_sample_is_named() -> None:
    with pytest.raises(InputError, match=r"one_store\.yml"):
        samples.path("nothing.csv")


@given(st.binary(max_size=300) | st.text(alphabet="storepiodquany,\n0123456789.-", max_size=300).map(str.encode))
def test_any_bytes_are_a_table_or_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = write(tmp_path_factory.mktemp("fuzz"), data)
    with pytest.raises(InputError) as caught:
        read_demand_csv(path, NETWORK)
    assert "\n" not in str(caught.value)
