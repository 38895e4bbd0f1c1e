import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from livepapers import samples
from livepapers.core.errors import InputError
from livepapers.tasks.inventory_network import Edge, InventoryNetwork, Node

SHOP = Node("shop", "store", 1.0, 9.0)
DEPOT = Node("depot", "warehouse", 0.3)

GOOD = """
unmet: lost
nodes:
  - {name: depot, kind: warehouse, holding: 0.3}
  - {name: shop, kind: store, holding: 1.0, shortage: 9.0}
edges:
  - {source: supplier, target: depot, lead_time: 3}
  - {source: depot, target: shop, lead_time: 2, cost: 0.5}
"""

BAD = {
    "lead time 0": (GOOD.replace("lead_time: 3", "lead_time: 0"), "lead_time: got 0, expected .* equal to 1"),
    "lead time 1.5": (GOOD.replace("lead_time: 3", "lead_time: 1.5"), "lead_time: got 1.5"),
    "huge lead time": (GOOD.replace("lead_time: 3", "lead_time: 100000"), "lead_time: got 100000"),
    "negative holding": (GOOD.replace("holding: 1.0", "holding: -1"), "nodes.1.holding: got -1"),
    "zero shortage": (GOOD.replace("shortage: 9.0", "shortage: 0"), "shortage: got 0"),
    "NaN": (GOOD.replace("holding: 1.0", "holding: .nan"), "holding: got nan"),
    "infinite": (GOOD.replace("holding: 1.0", "holding: .inf"), "holding"),
    "text for a number": (GOOD.replace("holding: 1.0", "holding: dear"), "holding: got dear, expected .*number"),
    "unknown node": (GOOD.replace("target: shop", "target: shp"), "got shp, expected a node .*misspelt"),
    "unknown kind": (GOOD.replace("kind: store", "kind: kiosk"), "kind: got kiosk"),
    "misspelt field": (GOOD.replace("holding: 1.0", "holdin: 1.0"), "holding: got nothing|no such field"),
    "no shortage": (GOOD.replace(", shortage: 9.0", ""), "node shop: shortage: got nothing"),
    "warehouse with shortage": (GOOD.replace("holding: 0.3", "holding: 0.3, shortage: 2"), "warehouses meet no demand"),
    "backlog with profit": (GOOD.replace("unmet: lost", "unmet: backlog\nobjective: profit"), "unmet: got backlog"),
    "key given twice": (GOOD + "unmet: backlog\n", "'unmet' is given twice"),
    "aliases": ("a: &a [1]\nb: *a\n", "aliases"),
    "no YAML": ("nodes: [", "expected valid YAML"),
    "a list": ("- 1\n- 2\n", "got a list"),
    "only a comment": ("# nothing\n", "got an empty file"),
    "empty": ("", "the file is empty"),
    "too deep": ("[" * 5000, "expected valid YAML"),
    "no stores": (GOOD.replace("kind: store", "kind: warehouse").replace(", shortage: 9.0", ""), "no store"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_file_gets_one_clear_line(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    path = tmp_path / "net.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        InventoryNetwork.from_file(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(("network net.yml: ", "network: got "))
    assert "net.yml" in str(caught.value)


def test_files_that_are_no_text_or_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="existing file"):
        InventoryNetwork.from_file(tmp_path / "none.yml")
    (tmp_path / "net.yml").write_bytes(b"\x00\x01\xff")
    with pytest.raises(InputError, match="binary"):
        InventoryNetwork.from_file(tmp_path / "net.yml")


def test_yaml_json_and_python_give_the_same_network(tmp_path: Path) -> None:
    (tmp_path / "net.yml").write_text(GOOD)
    network = InventoryNetwork((DEPOT, SHOP), (Edge("supplier", "depot", 3), Edge("depot", "shop", 2, 0.5)))
    assert InventoryNetwork.from_file(tmp_path / "net.yml") == network
    (tmp_path / "net.json").write_text(json.dumps(network.to_json()))
    assert InventoryNetwork.from_file(tmp_path / "net.json") == network
    (tmp_path / "net.json").write_text('{"unmet": "lost", "unmet": "backlog"}')
    with pytest.raises(InputError, match="given twice"):
        InventoryNetwork.from_file(tmp_path / "net.json")


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ((), (), "at least one store"),
        ((SHOP,), (), "node shop: got no supplier"),
        ((SHOP, SHOP), (Edge("supplier", "shop", 1),), "unique names"),
        ((SHOP,), (Edge("supplier", "shop", 1), Edge("supplier", "shop", 2)), "each pair once"),
        ((SHOP, DEPOT), (Edge("supplier", "shop", 1), Edge("supplier", "depot", 2)), "depot: got no receiver"),
        ((SHOP, DEPOT), (Edge("supplier", "shop", 1), Edge("shop", "depot", 1)), "stores supply customers only"),
        ((SHOP,), (Edge("shop", "shop", 1),), "warehouse as source"),
        ((Node("supplier", "store", 1.0, 2.0),), (), "another name"),
        ((SHOP,), (Edge("supplier", "shop", 1), Edge("shop", "supplier", 1)), "expected a node"),
    ],
)
def test_a_network_that_cannot_run_is_refused(nodes: tuple[Node, ...], edges: tuple[Edge, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        InventoryNetwork(nodes, edges)


def test_a_cycle_is_named() -> None:
    nodes = (Node("a", "warehouse", 1.0), Node("b", "warehouse", 1.0), SHOP)
    edges = (Edge("a", "b", 1), Edge("b", "a", 1), Edge("a", "shop", 1), Edge("supplier", "shop", 1))
    with pytest.raises(InputError, match="cycle at or before a, b"):
        InventoryNetwork(nodes, edges)


def test_positions_follow_the_order_of_nodes_and_edges() -> None:
    network = InventoryNetwork.from_file(samples.path("warehouse_three_stores.yml"))
    assert [node.name for node in network.stores] == ["Clark_Lake", "Belmont", "Austin"]
    assert network.store_index.tolist() == [1, 2, 3]
    assert network.edge_source.tolist() == [-1, 0, 0, 0, -1]
    assert network.edge_target.tolist() == [0, 1, 2, 3, 2]
    assert network.order[0] == 0


def test_flow_halves_where_two_supply() -> None:
    network = InventoryNetwork.from_file(samples.path("warehouse_three_stores.yml"))
    assert network.flow[0].tolist() == [1.0, 0.5, 1.0]
    assert torch.equal(network.flow[1:], torch.eye(3, dtype=torch.float64))


@given(st.text(max_size=200))
def test_any_text_is_a_network_or_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "net.yml"
    path.write_bytes(text.encode("utf-8", "replace"))
    with pytest.raises(InputError) as caught:
        InventoryNetwork.from_file(path)
    assert "\n" not in str(caught.value)


KEYS = st.sampled_from(["nodes", "edges", "name", "kind", "holding", "source", "x"])
LEAVES = st.none() | st.booleans() | st.floats() | st.text(max_size=5)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)))
def test_any_json_is_a_network_or_one_line(value: object) -> None:
    with pytest.raises(InputError):
        InventoryNetwork.from_json(value)  # type: ignore[arg-type]
