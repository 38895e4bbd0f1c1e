import warnings
from typing import Literal

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.demand import ClippedNormal, MultivariateNormal, Panel, Poisson
from livepapers.tasks.inventory import (
    Edge,
    Instances,
    InventoryNetwork,
    InventorySimulator,
    InventoryState,
    Node,
    ration,
)
from livepapers.tasks.vector import SimulatorEnv, SimulatorVectorEnv


def one_store(
    lead_time: int = 3,
    *,
    unmet: Literal["lost", "backlog"] = "lost",
    objective: Literal["cost", "profit"] = "cost",
) -> InventoryNetwork:
    return InventoryNetwork(
        (Node("shop", "store", 1.0, 9.0),), (Edge("supplier", "shop", lead_time),), unmet, objective
    )


@st.composite
def networks(draw: st.DrawFn) -> InventoryNetwork:
    """Any layered network: each warehouse is fed from outside or by an earlier one, each store from anywhere above."""
    cost, lead = st.floats(0.1, 3.0), st.integers(1, 4)
    stores, warehouses = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    above = [f"w{i}" for i in range(warehouses)]
    nodes = [Node(name, "warehouse", draw(cost)) for name in above]
    nodes += [Node(f"s{i}", "store", draw(cost), draw(st.floats(1.0, 20.0))) for i in range(stores)]
    pairs = {
        ("supplier" if i == 0 else draw(st.sampled_from(["supplier", *above[:i]])), above[i]) for i in range(warehouses)
    }
    for i in range(stores):
        sources = draw(st.sets(st.sampled_from(["supplier", *above]), min_size=1))
        pairs |= {(source, f"s{i}") for source in sources}
    pairs |= {(name, "s0") for name in above if name not in {source for source, _ in pairs}}
    edges = [Edge(*pair, draw(lead), draw(st.floats(0.0, 2.0))) for pair in draw(st.permutations(sorted(pairs)))]
    unmet: Literal["lost", "backlog"] = draw(st.sampled_from(["lost", "backlog"]))
    objective: Literal["cost", "profit"] = "cost" if unmet == "backlog" else draw(st.sampled_from(["cost", "profit"]))
    return InventoryNetwork(tuple(draw(st.permutations(nodes))), tuple(edges), unmet, objective)


def numpy_step(
    network: InventoryNetwork, pipeline: np.ndarray, orders: np.ndarray, demand: np.ndarray, lead: list[int],
    holding: np.ndarray, shortage: np.ndarray,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """One problem, one period, as the paper's simulator step is written: no tensors, no tricks."""
    names = [node.name for node in network.nodes]
    stores = [node.name for node in network.stores]
    cost = 0.0
    new = np.zeros((len(names), pipeline.shape[1] + 1))
    for k, node in enumerate(network.nodes):
        if node.kind == "store":
            d, p = demand[stores.index(node.name)], shortage[stores.index(node.name)]
            y = pipeline[k, 0] - d
            cost += holding[k] * max(y, 0)
            cost += -p * min(pipeline[k, 0], d) if network.objective == "profit" else p * max(-y, 0)
            if network.unmet == "lost":
                y = max(y, 0)
        else:
            y = pipeline[k, 0] - sum(
                q for q, edge in zip(orders, network.edges, strict=True) if edge.source == node.name
            )
            cost += holding[k] * max(y, 0)
        new[k, : pipeline.shape[1] - 1] = pipeline[k, 1:]
        new[k, 0] += y
    for q, edge, periods in zip(orders, network.edges, lead, strict=True):
        cost += edge.cost * q
        new[names.index(edge.target), periods - 1] += q
    return new[:, : pipeline.shape[1]], cost


@given(network=networks(), seed=st.integers(0, 10**6))
@settings(max_examples=40)
def test_a_step_is_what_the_equations_say_one_problem_at_a_time(network: InventoryNetwork, seed: int) -> None:
    source = generator(seed, "step")
    demand = MultivariateNormal.random(len(network.stores), source, instances=3, clip=network.unmet == "lost")
    instances = Instances.random(network, source, instances=3, holding=(0.5, 2), shortage=(4, 12), lead_time=(1, 4))
    simulator = InventorySimulator(network, demand, horizon=4, instances=instances, dtype=torch.float64)
    state = simulator.initial(5, source)
    for t in range(4):
        wanted = 8 * torch.rand(5, len(network.edges), generator=source, dtype=torch.float64)
        action = ration(network, state, wanted)
        noise = simulator.draw(5, t, source)
        post, early = simulator.decide(state, action)
        following, late, terminated = simulator.resolve(post, noise)
        asked = demand.realise(noise[:, None], state.instance, state.period)[:, 0]
        for b in range(5):
            pipeline, cost = numpy_step(
                network, state.pipeline[b].numpy(), action[b].numpy(), asked[b].double().numpy(),
                state.lead_time[b].tolist(), state.holding[b].numpy(), state.shortage[b].numpy(),
            )  # fmt: skip
            np.testing.assert_allclose(following.pipeline[b].numpy(), pipeline, atol=1e-9)
            assert float(-(early + late)[b]) == pytest.approx(cost, abs=1e-8)
        assert not terminated.any()
        state = following


@given(network=networks(), seed=st.integers(0, 10**6))
@settings(max_examples=30)
def test_no_unit_appears_or_vanishes(network: InventoryNetwork, seed: int) -> None:
    source = generator(seed, "conservation")
    demand = ClippedNormal(5.0, 2.0, stores=len(network.stores))
    simulator = InventorySimulator(network, demand, horizon=12, dtype=torch.float64, rationed=True)
    state = simulator.initial(4, source)
    trace = simulator.trace(state, 12, source)
    done = simulator.rollout(lambda now: torch.full((4, len(network.edges)), 6.0, dtype=torch.float64),
                             state=state, demand=trace, detail=True)  # fmt: skip
    assert done.orders is not None
    assert done.unmet is not None
    bought = done.orders[..., network.edge_source < 0].sum((1, 2))
    served = trace.sum((1, 2)) - (done.unmet.sum((1, 2)) if network.unmet == "lost" else 0.0)
    before, after = state.pipeline.sum((1, 2)), done.final.pipeline.sum((1, 2))
    torch.testing.assert_close(before + bought - served, after)


@given(network=networks(), seed=st.integers(0, 10**6))
@settings(max_examples=25)
def test_a_rollout_without_gradients_is_the_same_to_the_bit_and_leaves_its_start_alone(
    network: InventoryNetwork, seed: int
) -> None:
    source = generator(seed, "own")
    simulator = InventorySimulator(network, Poisson(4.0, stores=len(network.stores)), horizon=6, history=2)
    state = simulator.initial(5, source)
    trace, before = simulator.trace(state, 6, source), [part.clone() for part in state]

    def policy(now: InventoryState) -> Tensor:
        return ration(network, now, 5.0 + now.pipeline.sum((1, 2))[:, None] * torch.ones(len(network.edges)))

    slow = simulator.rollout(policy, state=state, demand=trace, detail=True)
    with torch.no_grad():
        fast = simulator.rollout(policy, state=state, demand=trace, detail=True)
    assert torch.equal(slow.costs, fast.costs)
    assert slow.on_hand is not None
    assert fast.on_hand is not None
    assert torch.equal(slow.on_hand, fast.on_hand)
    assert all(torch.equal(one, other) for one, other in zip(slow.final, fast.final, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(state, before, strict=True))


@given(network=networks(), seed=st.integers(0, 10**6))
@settings(max_examples=25)
def test_a_rollout_is_the_sum_of_its_steps_and_of_its_nodes(network: InventoryNetwork, seed: int) -> None:
    source = generator(seed, "rollout")
    simulator = InventorySimulator(network, Poisson(4.0, stores=len(network.stores)), horizon=6, dtype=torch.float64)
    state = simulator.initial(3, source)
    noises = [simulator.draw(3, t, generator(seed, "noise", t)) for t in range(6)]
    trace = torch.cat([simulator.demand.realise(noise[:, None], state.instance, state.period) for noise in noises], 1)

    def policy(now: InventoryState) -> Tensor:
        return ration(
            network, now, 5.0 + now.pipeline.sum((1, 2), keepdim=True)[..., 0] * torch.ones(len(network.edges))
        )

    done = simulator.rollout(policy, state=state, demand=trace.double(), detail=True)
    now = state
    for t, noise in enumerate(noises):
        post, early = simulator.decide(now, policy(now))
        now, late, _ = simulator.resolve(post, noise)
        torch.testing.assert_close(-(early + late), done.costs[:, t])
    torch.testing.assert_close(now.pipeline, done.final.pipeline)
    assert done.node_costs is not None
    torch.testing.assert_close(sum(part.sum(2) for part in done.node_costs), done.costs)


@pytest.mark.parametrize("lead_time", [1, 2, 5])
def test_an_order_is_usable_before_the_demand_of_its_lead_time_later(lead_time: int) -> None:
    simulator = InventorySimulator(one_store(lead_time, unmet="backlog"), ClippedNormal(0.0, 1e-9), horizon=9)
    state = simulator.start(torch.zeros(1, 1, lead_time))
    seen = []
    for t in range(8):
        seen.append(float(state.pipeline[0, 0, 0]))
        post, _ = simulator.decide(state, torch.tensor([[7.0 if t == 1 else 0.0]]))
        state, _, _ = simulator.resolve(post, torch.zeros(1, 1))
    assert [t for t, stock in enumerate(seen) if stock > 6.9] == list(range(1 + lead_time, 8))


def test_lead_times_that_differ_between_problems_arrive_when_they_should() -> None:
    network = one_store(4)
    instances = Instances(torch.ones(3, 1), torch.ones(3, 1), torch.tensor([[1], [2], [4]]))
    simulator = InventorySimulator(network, Panel(torch.zeros(3, 9)), horizon=9, instances=instances)
    state = simulator.start(torch.zeros(3, 1, 4), instance=torch.arange(3))
    post, _ = simulator.decide(state, torch.ones(3, 1))
    assert post.arrivals[:, 0].argmax(1).tolist() == [0, 1, 3]


def test_gradients_equal_finite_differences_with_common_random_numbers() -> None:
    network = InventoryNetwork(
        (Node("w", "warehouse", 0.3), Node("a", "store", 1.0, 9.0), Node("b", "store", 1.2, 7.0)),
        (Edge("supplier", "w", 2), Edge("w", "a", 1), Edge("w", "b", 3, 0.4), Edge("supplier", "b", 1, 1.0)),
    )
    simulator = InventorySimulator(network, ClippedNormal(5.0, 2.0, stores=2), horizon=8, dtype=torch.float64)
    source = generator(3, "gradient")
    state = simulator.initial(6, source)
    trace = simulator.trace(state, 8, source)

    def mean_cost(weights: Tensor) -> Tensor:
        def policy(now: InventoryState) -> Tensor:
            return ration(network, now, torch.nn.functional.softplus(now.pipeline.flatten(1) @ weights))

        return simulator.rollout(policy, state=state, demand=trace).costs.mean()

    for seed in range(5):
        weights = 0.3 * torch.randn(9, 4, generator=generator(seed, "weights"), dtype=torch.float64)
        assert torch.autograd.gradcheck(mean_cost, (weights.requires_grad_(),), eps=1e-7, atol=1e-4, rtol=1e-4)


def test_gradients_flow_through_lead_times_that_differ() -> None:
    instances = Instances(torch.ones(4, 1), torch.full((4, 1), 9.0), torch.tensor([[1], [2], [3], [3]]))
    simulator = InventorySimulator(
        one_store(3), MultivariateNormal(torch.full((4, 1), 5.0), torch.ones(4, 1)), horizon=6,
        instances=instances, dtype=torch.float64,
    )  # fmt: skip
    state = simulator.each_instance(0)
    trace = simulator.trace(state, 6, generator(1, "trace"))

    def mean_cost(level: Tensor) -> Tensor:
        return simulator.rollout(
            lambda now: (level - now.pipeline.sum(2)).clamp(min=0), state=state, demand=trace
        ).costs.mean()

    assert torch.autograd.gradcheck(mean_cost, (torch.tensor(17.3, dtype=torch.float64, requires_grad=True),))


def test_the_order_of_the_stores_does_not_matter() -> None:
    nodes = (Node("w", "warehouse", 0.3), *(Node(f"s{i}", "store", 1.0 + i, 5.0 + i) for i in range(3)))
    edges = (Edge("supplier", "w", 2), *(Edge("w", f"s{i}", 1 + i) for i in range(3)))
    turn = [0, 3, 1, 2]
    results = []
    mean = torch.tensor([3.0, 5.0, 6.0], dtype=torch.float64)
    trace = ClippedNormal(5.0, 2.0, stores=3).sample(8, 20, generator(1, "trace")).double()
    for nodes_order, stores in ((range(4), [0, 1, 2]), (turn, [2, 0, 1])):
        network = InventoryNetwork(tuple(nodes[i] for i in nodes_order), tuple(edges[i] for i in nodes_order))
        demand = MultivariateNormal(mean[stores], 0.2 * mean[stores])
        simulator = InventorySimulator(network, demand, horizon=20, dtype=torch.float64, rationed=True)
        state = simulator.start(torch.ones(8, 4, 3))
        wanted = torch.tensor([15.0, 5.0, 6.0, 7.0], dtype=torch.float64)[list(nodes_order)]
        results.append(
            simulator.rollout(lambda _, w=wanted: w.expand(8, 4), state=state, demand=trace[..., stores]).costs
        )
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("batch", [0, 1, 7])
def test_any_batch_size_runs(batch: int) -> None:
    network = InventoryNetwork(
        (Node("w", "warehouse", 0.3), Node("a", "store", 1.0, 9.0)), (Edge("supplier", "w", 2), Edge("w", "a", 1))
    )
    simulator = InventorySimulator(network, Poisson(5.0), horizon=4, history=2, rationed=True)
    source = generator(0, "batch")
    state = simulator.initial(batch, source)
    if batch:
        done = simulator.rollout(
            lambda now: torch.ones(batch, 2), state=state, demand=simulator.trace(state, 4, source)
        )
        assert done.costs.shape == (batch, 4)
    post, reward = simulator.decide(state, torch.ones(batch, 2))
    following, late, _ = simulator.resolve(post, simulator.draw(batch, 0, source))
    assert reward.shape == late.shape == (batch,)
    assert simulator.observe(following).shape == (batch, len(simulator.features))


def test_nothing_changes_its_arguments() -> None:
    simulator = InventorySimulator(one_store(), Poisson(5.0), horizon=4, history=3)
    source = generator(0, "pure")
    state = simulator.initial(3, source)
    kept = InventoryState(*(part.clone() for part in state))
    action = torch.ones(3, 1)
    post, _ = simulator.decide(state, action)
    simulator.resolve(post, simulator.draw(3, 0, source))
    assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))
    assert torch.equal(action, torch.ones(3, 1))


def test_history_holds_the_last_demands_oldest_first() -> None:
    simulator = InventorySimulator(one_store(), Panel(torch.arange(30.0)[None] + 1), horizon=5, history=3)
    state = simulator.each_instance(3)
    assert state.history[0, 0].tolist() == [1.0, 2.0, 3.0]
    done = simulator.rollout(lambda now: torch.ones(1, 1), state=state, demand=torch.tensor([[[4.0], [5.0]]]))
    assert done.final.history[0, 0].tolist() == [3.0, 4.0, 5.0]
    assert done.final.period.tolist() == [5]


def test_profit_counts_sales_at_the_unit_price() -> None:
    simulator = InventorySimulator(one_store(1, objective="profit"), Poisson(5.0), horizon=4)
    state = simulator.start(torch.tensor([[[3.0]], [[8.0]]]))
    done = simulator.rollout(lambda now: torch.zeros(2, 1), state=state, demand=torch.tensor([[[5.0]], [[5.0]]]))
    assert done.costs[:, 0].tolist() == [-27.0, -45.0 + 3.0]


def test_rationing_is_feasible_proportional_and_leaves_feasible_orders_alone() -> None:
    network = InventoryNetwork(
        (Node("w", "warehouse", 0.3), Node("a", "store", 1.0, 9.0), Node("b", "store", 1.0, 9.0)),
        (Edge("supplier", "w", 2), Edge("w", "a", 1), Edge("w", "b", 1)),
    )
    simulator = InventorySimulator(network, Poisson(5.0, stores=2), horizon=4)
    state = simulator.start(torch.tensor([[[6.0], [0.0], [0.0]]]))
    assert ration(network, state, torch.tensor([[50.0, 8.0, 4.0]]))[0].tolist() == pytest.approx([50.0, 4.0, 2.0])
    assert ration(network, state, torch.tensor([[50.0, 3.0, 2.0]]))[0].tolist() == [50.0, 3.0, 2.0]
    assert ration(network, state, torch.tensor([[-5.0, -1.0, 2.0]]))[0].tolist() == [0.0, 0.0, 2.0]


def test_a_warehouse_that_may_not_hold_ships_everything() -> None:
    network = InventoryNetwork(
        (Node("w", "warehouse", 1.0, None, False), Node("a", "store", 1.0, 9.0), Node("b", "store", 1.0, 9.0)),
        (Edge("supplier", "w", 2), Edge("w", "a", 1), Edge("w", "b", 1)),
        "backlog",
    )
    state = InventorySimulator(network, Poisson(5.0, stores=2), horizon=4).start(torch.tensor([[[6.0], [0.0], [0.0]]]))
    assert ration(network, state, torch.tensor([[5.0, 1.0, 2.0]]))[0].tolist() == pytest.approx([5.0, 2.0, 4.0])


def test_a_policy_that_ships_what_is_not_there_is_refused() -> None:
    network = InventoryNetwork(
        (Node("w", "warehouse", 0.3), Node("a", "store", 1.0, 9.0)), (Edge("supplier", "w", 2), Edge("w", "a", 1))
    )
    simulator = InventorySimulator(network, Poisson(5.0), horizon=4)
    state = simulator.start(torch.zeros(2, 2, 2))
    with pytest.raises(ValueError, match="ships 9 more than it has in period 0"):
        simulator.rollout(lambda now: torch.full((2, 2), 9.0), state=state, demand=torch.ones(2, 3, 1))


def test_infeasible_orders_of_a_rationed_simulator_bring_no_free_stock() -> None:
    network = InventoryNetwork(
        (Node("w", "warehouse", 0.3), Node("a", "store", 1.0, 9.0)), (Edge("supplier", "w", 2), Edge("w", "a", 1))
    )
    simulator = InventorySimulator(network, Poisson(5.0), horizon=4, rationed=True)
    post, _ = simulator.decide(simulator.start(torch.zeros(2, 2, 2)), torch.full((2, 2), 9.0))
    assert post.arrivals[:, 1].sum() == 0


def test_the_same_generator_gives_the_same_world_bit_for_bit() -> None:
    simulator = InventorySimulator(one_store(), Poisson(5.0), horizon=4, history=2)
    worlds = []
    for _ in range(2):
        source = generator(5, "world")
        state = simulator.initial(6, source)
        worlds.append((state.pipeline, state.history, simulator.trace(state, 9, source)))
    assert all(torch.equal(a, b) for a, b in zip(*worlds, strict=True))


@pytest.mark.parametrize("history", [0, 3])
def test_gymnasium_accepts_the_simulator_as_an_environment(history: int) -> None:
    simulator = InventorySimulator(one_store(2), Poisson(5.0), horizon=6, history=history, rationed=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(spec|symmetric|normalized|infinity|render).*")
        check_env(SimulatorEnv(simulator), skip_render_check=True)


def test_a_vector_environment_runs_whole_episodes_and_restarts() -> None:
    env = SimulatorVectorEnv(InventorySimulator(one_store(2), Poisson(5.0), horizon=3, rationed=True), 4)
    assert isinstance(env, gymnasium.vector.VectorEnv)
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    ends = [bool(env.step(np.full((4, 1), 5.0, dtype=np.float32))[3].all()) for _ in range(7)]
    assert ends == [False, False, True, False, False, True, False]


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match=r"demand: got 2 stores, expected 1 stores"):
        InventorySimulator(one_store(), Poisson(5.0, stores=2), horizon=4)
    simulator = InventorySimulator(one_store(3), Poisson(5.0), horizon=4)
    with pytest.raises(InputError, match="pipeline"):
        simulator.start(torch.zeros(2, 1, 4))
    with pytest.raises(InputError, match="horizon"):
        InventorySimulator(one_store(), Poisson(5.0), horizon=0)
    with pytest.raises(InputError, match="instances: got 3, expected 1 or 2"):
        InventorySimulator(
            one_store(), Panel(torch.ones(2, 9)), horizon=4,
            instances=Instances.random(one_store(), generator(0, "x"), instances=3),
        )  # fmt: skip
