import datetime as dt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core import artifact
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.methods import hdpo
from livepapers.methods.hdpo.policies import from_christmas
from livepapers.tasks.demand import ClippedNormal, MultivariateNormal
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventorySimulator, InventoryState, Node


def network(kind: str) -> InventoryNetwork:
    stores = tuple(Node(name=f"s{i}", kind="store", holding=1.0, shortage=9.0) for i in range(3))
    to_stores = tuple(Edge(source="w", target=f"s{i}", lead_time=2) for i in range(3))
    first = Edge(source="supplier", target="w", lead_time=3)
    if kind == "stores":
        edges = tuple(Edge(source="supplier", target=node.name, lead_time=2) for node in stores)
        return InventoryNetwork(nodes=stores, edges=edges)
    if kind == "serial":
        upstream = (Node(name="u", kind="warehouse", holding=0.1), Node(name="w", kind="warehouse", holding=0.3))
        edges = (
            Edge(source="supplier", target="u", lead_time=2),
            Edge(source="u", target="w", lead_time=3),
            to_stores[0],
        )
        return InventoryNetwork(nodes=(*upstream, stores[0]), edges=edges, unmet="backlog")
    if kind == "transshipment":
        warehouse = Node(name="w", kind="warehouse", holding=0.3, may_hold=False)
        return InventoryNetwork(nodes=(warehouse, *stores), edges=(first, *to_stores), unmet="backlog")
    warehouse = Node(name="w", kind="warehouse", holding=0.3)
    if kind == "two suppliers":
        extra = Edge(source="supplier", target="s0", lead_time=1, cost=0.5)
        return InventoryNetwork(nodes=(warehouse, *stores), edges=(first, *to_stores, extra))
    return InventoryNetwork(nodes=(warehouse, *stores), edges=(first, *to_stores))


KINDS = ("stores", "serial", "transshipment", "warehouse", "two suppliers")


def policies(net: InventoryNetwork) -> list[hdpo.Policy]:
    mean, lead = [5.0] * len(net.stores), int(net.lead_time.max())
    made: list[hdpo.Policy] = [
        hdpo.VanillaPolicy(net, mean, lead=lead, hidden=(8,)),
        hdpo.VanillaPolicy(net, mean, lead=lead, hidden=(8,), features="parameters"),
        hdpo.GraphPolicy(net, mean, lead=lead, hidden=(8, 8)),
        hdpo.GraphPolicy(net, mean, lead=lead, hidden=(8, 8), features="series", history=4, season=(8.0, 7.0)),
    ]
    if len(net.edges) == len(net.nodes):
        made += [hdpo.BaseStockPolicy(net, mean), hdpo.BaseStockPolicy(net, mean, capped=True)]
        made += [hdpo.EchelonStockPolicy(net, mean)]
    return made


@pytest.mark.parametrize("seed", range(20))
def test_shares_of_stock_start_where_the_sigmoid_is_steep(seed: int):
    """Default initial weights put one share in ten above 0.9, from where it learns to ship all that there is."""
    net = network("serial")
    policy = hdpo.VanillaPolicy(net, [5.0], lead=3, hidden=(32, 32), generator=generator(seed, "weights"))
    pipeline = 20.0 * torch.rand(64, 3, 3, generator=generator(seed, "stock"))
    state = InventorySimulator(net, ClippedNormal(5.0, 2.0), horizon=5).start(pipeline)
    share = policy(state)[:, 1:] / pipeline[:, :2, 0]
    assert 0.2 < share.min() < share.max() < 0.8


def shipped(net: InventoryNetwork, orders: torch.Tensor) -> torch.Tensor:
    leaving = torch.zeros(len(orders), len(net.nodes))
    inside = net.edge_source >= 0
    return leaving.index_add(1, net.edge_source[inside], orders[:, inside])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([0.0, 1.0, 30.0]))
def test_every_policy_orders_what_is_feasible(kind: str, seed: int, scale: float):
    net = network(kind)
    simulator = InventorySimulator(net, ClippedNormal(5.0, 2.0, stores=len(net.stores)), horizon=5, history=4)
    lead = int(net.lead_time.max())
    state = simulator.start(scale * torch.rand(6, len(net.nodes), lead, generator=generator(seed, "state")))
    for policy in policies(net):
        with torch.no_grad():
            orders = policy(state)
        assert orders.shape == (6, len(net.edges))
        assert orders.dtype == torch.float32
        assert bool((orders >= 0).all())
        on_hand = state.pipeline[:, :, 0]
        warehouses = torch.tensor([node.kind == "warehouse" for node in net.nodes])
        room = on_hand - shipped(net, orders)
        assert bool((room[:, warehouses] >= -1e-4).all())


def test_a_warehouse_that_may_not_hold_ships_everything():
    net = network("transshipment")
    simulator = InventorySimulator(net, MultivariateNormal(torch.full((3,), 5.0), torch.ones(3)), horizon=5, history=4)
    state = simulator.start(10.0 + torch.rand(4, 4, 3, generator=generator(0, "state")))
    for policy in policies(net):
        with torch.no_grad():
            left = state.pipeline[:, 0, 0] - shipped(net, policy(state))[:, 0]
        assert left.abs().max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_every_policy_is_rebuilt_from_its_artifact(kind: str, tmp_path):
    net = network(kind)
    simulator = InventorySimulator(net, ClippedNormal(5.0, 2.0, stores=len(net.stores)), horizon=5, history=4)
    state = simulator.initial(5, generator(0, "state"))
    for index, policy in enumerate(policies(net)):
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.add_(0.1)
        folder = tmp_path / str(index)
        folder.mkdir()
        described = artifact.Artifact(
            kind="policy", slug="hdpo", architecture=f"methods.hdpo:{type(policy).__name__}",
            arguments=policy.arguments, made_by={},
        )  # fmt: skip
        artifact.save(folder, described, weights=policy.state_dict())
        with torch.no_grad():
            assert torch.equal(artifact.load_network(folder)(state), policy(state))


def test_the_graph_network_has_the_same_weights_for_any_number_of_stores():
    sizes = [sum(p.numel() for p in policies(network(kind))[2].parameters()) for kind in ("warehouse", "transshipment")]
    assert sizes[0] == sizes[1]


def test_message_passing_goes_as_far_as_the_longest_way():
    assert policies(network("warehouse"))[2].steps == 1
    assert policies(network("serial"))[2].steps == 2


def test_softplus_starts_above_zero_so_that_gradients_flow():
    net = network("stores")
    policy = hdpo.VanillaPolicy(net, [5.0] * 3, lead=2, hidden=(8,))
    state = InventorySimulator(net, ClippedNormal(5.0, 2.0, stores=3), horizon=5).start(torch.zeros(2, 3, 2))
    assert bool((policy(state) > 0.5).all())


def test_rounded_orders_are_whole_and_feasible():
    net = network("warehouse")
    simulator = InventorySimulator(net, ClippedNormal(5.0, 2.0, stores=3), horizon=5)
    state = simulator.start(7.3 * torch.ones(2, 4, 3))
    with torch.no_grad():
        orders = hdpo.Rounded(policies(net)[0])(state)
    assert torch.equal(orders, orders.round())
    assert bool((shipped(net, orders)[:, 0] <= 7.3).all())


def test_echelon_levels_are_ordered():
    policy = hdpo.EchelonStockPolicy(network("serial"), [5.0])
    levels = policy.levels()
    assert bool((levels[:-1] > levels[1:]).all())


def test_rules_refuse_nodes_with_two_suppliers():
    net = network("two suppliers")
    for rule in (hdpo.BaseStockPolicy, hdpo.EchelonStockPolicy):
        with pytest.raises(InputError, match="s0 has 2 suppliers"):
            rule(net, [5.0] * 3)


@pytest.mark.parametrize("mean", [[5.0], [-1.0, 5.0, 5.0], [float("nan"), 5.0, 5.0], [0.0, 0.0, 0.0]])
def test_bad_mean_demand_is_refused(mean: list[float]):
    with pytest.raises(InputError, match="demand_mean"):
        hdpo.BaseStockPolicy(network("stores"), mean)


def test_christmas_is_near_zero_and_new_year_after_it():
    start = dt.date(2023, 12, 18)
    season = (float(start.timetuple().tm_yday), 7.0)
    near = from_christmas(torch.arange(3), season).flatten()
    assert near[1].abs() < 0.01
    assert near[0] < 0 < near[2]


def test_orders_do_not_change_the_state():
    net = network("warehouse")
    simulator = InventorySimulator(net, ClippedNormal(5.0, 2.0, stores=3), horizon=5, history=4)
    state = simulator.initial(3, generator(0, "state"))
    before = InventoryState(*(part.clone() for part in state))
    for policy in policies(net):
        policy(state)
    assert all(torch.equal(a, b) for a, b in zip(state, before, strict=True))
