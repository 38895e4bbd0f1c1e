"""Oracles of hdpo: closed forms, invariances, special cases, and what the pathwise gradient is worth."""

import functools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call

from livepapers.baselines import base_stock, clark_scarf, lost_sales
from livepapers.core.rng import generator as make_generator
from livepapers.methods import hdpo
from livepapers.tasks.demand import ClippedNormal, Poisson
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventorySimulator, InventoryState, Node
from livepapers.tasks.scenarios import draw, mean_cost

Comparison = tuple[Tensor | float, Tensor | float, float]
SUPPLIER = "supplier"


def _one_store(
    lead: int, *, unmet: Literal["lost", "backlog"] = "backlog", dtype: torch.dtype = torch.float32
) -> InventorySimulator:
    network = InventoryNetwork(
        nodes=(Node(name="store", kind="store", holding=1.0, shortage=9.0),),
        edges=(Edge(source=SUPPLIER, target="store", lead_time=lead),),
        unmet=unmet,
    )
    return InventorySimulator(network, ClippedNormal(5.0, 1.6), horizon=30, dtype=dtype)


def _warehouse(order: tuple[int, ...] = (0, 1, 2)) -> InventorySimulator:
    """One warehouse, three different stores, listed in the given order."""
    stores = [Node(name=f"store {i}", kind="store", holding=0.8 + 0.1 * i, shortage=7.0 + i) for i in order]
    edges = [Edge(source="warehouse", target=f"store {i}", lead_time=2 + i % 2) for i in order]
    network = InventoryNetwork(
        nodes=(Node(name="warehouse", kind="warehouse", holding=0.3), *stores),
        edges=(Edge(source=SUPPLIER, target="warehouse", lead_time=3), *edges),
        unmet="lost",
    )
    return InventorySimulator(network, ClippedNormal(5.0, 2.0, stores=3), horizon=20)


def pathwise_gradient_meets_the_closed_form() -> Comparison:
    """Backlog, L = 1: the cost's gradient in the level S is h P(D <= S) - p P(D > S), D of 2 periods."""
    simulator = _one_store(1, dtype=torch.float64)
    level = torch.tensor(11.0, dtype=torch.float64, requires_grad=True)

    def order_up_to(state: InventoryState) -> Tensor:
        return (level - state.pipeline.sum(2)).clamp(min=0.0)

    scenarios = draw(simulator, 4096, periods=12, generator=make_generator(0, "oracle", "gradient"))
    settled = simulator.rollout(order_up_to, state=scenarios.state, demand=scenarios.demand[:, :4]).final
    settled = InventoryState(*(part.detach() for part in settled))
    start = settled._replace(pipeline=torch.zeros_like(settled.pipeline))
    demand = scenarios.demand[:, 4:]
    loss = hdpo.hindsight_loss(order_up_to, simulator, state=start, demand=demand)
    (gradient,) = torch.autograd.grad(loss, level)
    # the stock before demand in t >= 1 is S - D[t - 1]; the first period does not depend on S
    ends = level.detach() - demand[:, :-1, 0] - demand[:, 1:, 0]
    expected = torch.where(ends > 0, 1.0, -9.0).double().sum() / demand.numel()
    return gradient, expected, 1e-9


def base_stock_training_finds_the_level() -> Comparison:
    """The level trained by the pathwise gradient meets the newsvendor quantile (closed form), to 1 %."""
    simulator = _one_store(2)
    best = base_stock.optimal(5.0, 1.6, lead_time=2, holding=1.0, shortage=9.0)
    config = hdpo.Config(learning_rate=0.5, updates=60, batch=256, periods=30, dev_scenarios=256, dev_ignore=20)
    policy = hdpo.BaseStockPolicy(simulator.network, [5.0])
    learner = hdpo.learner_for(simulator, policy, config=config, seed=0)
    for _ in range(config.updates):
        learner.update()
    learner.best_policy()
    return policy.levels.detach()[0], best.level, 0.01 * best.level


def clark_scarf_levels_cost_what_they_should() -> Comparison:
    """The echelon policy with Clark-Scarf's levels costs in the simulator what the recursion says, to 0.5 %."""
    holding, leads = (0.5, 1.0), (2, 2)
    best = clark_scarf.optimal(holding, leads, shortage=9.0, mean=5.0, std=2.0)
    network = clark_scarf.serial_network(holding, leads, shortage=9.0)
    simulator = InventorySimulator(network, ClippedNormal(5.0, 2.0), horizon=50)
    policy = hdpo.EchelonStockPolicy(network, [5.0])
    with torch.no_grad():
        gaps = torch.tensor(best.levels) - torch.tensor([*best.levels[1:], 0.0])
        policy.shares.copy_(torch.log(torch.expm1(gaps)))
    test = draw(simulator, 4096, periods=160, generator=make_generator(0, "oracle", "serial"))
    return mean_cost(simulator, policy, scenarios=test, ignore=60), best.cost, 0.005 * best.cost


def optimal_lost_sales_policy_costs_the_optimum() -> Comparison:
    """The exact policy, run through the loss that hdpo minimises, costs the exact optimum, to 1 %."""
    simulator = InventorySimulator(_one_store(2, unmet="lost").network, Poisson(5.0), horizon=50)
    best = lost_sales.optimal(5.0, lead_time=2, holding=1.0, shortage=9.0)
    test = draw(simulator, 2048, periods=130, generator=make_generator(0, "oracle", "lost"))
    with torch.no_grad():
        settled = simulator.rollout(best.policy(), state=test.state, demand=test.demand[:, :30]).final
        cost = hdpo.hindsight_loss(best.policy(), simulator, state=settled, demand=test.demand[:, 30:])
    return cost, best.cost, 0.01 * best.cost


def stores_may_be_listed_in_any_order() -> Comparison:
    """Listing the stores in another order permutes the graph network's orders and changes nothing else."""
    order = (2, 0, 1)
    plain, other = _warehouse(), _warehouse(order)
    policies = [
        hdpo.GraphPolicy(
            one.network, [5.0, 5.0, 5.0], lead=3, hidden=(16, 16), generator=make_generator(0, "oracle", "graph")
        )
        for one in (plain, other)
    ]
    pipeline = 10.0 * torch.rand(7, 4, 3, generator=make_generator(0, "oracle", "pipeline"))
    moved = torch.tensor([0, *(1 + i for i in order)])
    with torch.no_grad():
        expected = policies[0](plain.start(pipeline))[:, moved]
        value = policies[1](other.start(pipeline[:, moved]))
    return value, expected, 1e-4


def scenarios_may_stand_in_any_order() -> Comparison:
    """Permuting the batch permutes the costs."""
    simulator = _warehouse()
    policy = hdpo.GraphPolicy(simulator.network, [5.0, 5.0, 5.0], lead=3, hidden=(16, 16))
    scenarios = draw(simulator, 9, periods=8, generator=make_generator(0, "oracle", "batch"))
    rows = torch.randperm(9, generator=make_generator(0, "oracle", "rows"))
    shuffled = scenarios.take(rows)
    with torch.no_grad():
        expected = simulator.rollout(policy, state=scenarios.state, demand=scenarios.demand).costs[rows]
        value = simulator.rollout(policy, state=shuffled.state, demand=shuffled.demand).costs
    return value, expected, 1e-3


def the_unit_does_not_matter() -> Comparison:
    """Counting in dozens: orders scale with the unit of demand."""
    network = _one_store(3).network
    stream = functools.partial(make_generator, 0, "oracle", "unit")
    pieces = hdpo.VanillaPolicy(network, [60.0], lead=3, hidden=(16,), generator=stream())
    dozens = hdpo.VanillaPolicy(network, [5.0], lead=3, hidden=(16,), generator=stream())
    state = _one_store(3).start(8.0 * torch.rand(5, 1, 3, generator=stream()))
    with torch.no_grad():
        value = pieces(state._replace(pipeline=12.0 * state.pipeline)) / 12.0
        return value, dozens(state), 1e-5


def one_stage_echelon_is_base_stock() -> Comparison:
    """With a single store the echelon-stock policy is the base-stock policy."""
    simulator = _one_store(3)
    echelon, plain = (kind(simulator.network, [5.0]) for kind in (hdpo.EchelonStockPolicy, hdpo.BaseStockPolicy))
    state = simulator.initial(33, make_generator(0, "oracle", "stage"))
    with torch.no_grad():
        return echelon(state), plain(state), 1e-4


def a_loose_cap_is_no_cap() -> Comparison:
    """A capped base-stock policy whose cap never binds is the base-stock policy."""
    simulator = _one_store(3)
    capped = hdpo.BaseStockPolicy(simulator.network, [5.0], capped=True)
    assert capped.caps is not None
    with torch.no_grad():
        capped.caps.fill_(1e6)
        state = simulator.initial(33, make_generator(0, "oracle", "cap"))
        return capped(state), hdpo.BaseStockPolicy(simulator.network, [5.0])(state), 1e-6


def a_cut_beyond_the_horizon_is_no_cut() -> Comparison:
    """Cutting the gradient after more periods than there are changes neither loss nor gradient."""
    simulator = _one_store(2)
    gradients = []
    for cut in (0, 30):
        policy = hdpo.BaseStockPolicy(simulator.network, [5.0])
        scenarios = draw(simulator, 16, periods=30, generator=make_generator(0, "oracle", "cut"))
        loss = hdpo.hindsight_loss(policy, simulator, state=scenarios.state, demand=scenarios.demand, cut_every=cut)
        loss.backward()
        assert policy.levels.grad is not None
        gradients.append(policy.levels.grad)
    return gradients[1], gradients[0], 1e-7


def _gradcheck(unmet: Literal["lost", "backlog"]) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The loss as a function of a small network's weights, in double precision."""
    simulator = _one_store(2, unmet=unmet, dtype=torch.float64)
    policy = hdpo.VanillaPolicy(simulator.network, [5.0], lead=2, hidden=(4,)).double()
    names = [name for name, _ in policy.named_parameters()]
    weights = tuple(value.detach().clone().requires_grad_(True) for _, value in policy.named_parameters())
    scenarios = draw(simulator, 3, periods=6, generator=make_generator(0, "oracle", "gradcheck", unmet))

    def loss(*values: Tensor) -> Tensor:
        def orders(state: InventoryState) -> Tensor:
            return functional_call(policy, dict(zip(names, values, strict=True)), (state,))

        return hdpo.hindsight_loss(orders, simulator, state=scenarios.state, demand=scenarios.demand)

    return loss, weights


@functools.cache
def _trained_cost(seed: int, *, cut: int = 0) -> float:
    """Test cost of the battery's example after a short training."""
    config = hdpo.Config(
        hidden=(16, 16), learning_rate=2e-2, updates=50, batch=32, periods=30, dev_scenarios=32, dev_periods=40,
        dev_ignore=20, cut_every=cut,
    )  # fmt: skip
    learner = hdpo.example(config, seed)
    for _ in range(config.updates):
        learner.update()
    learner.best_policy()
    test = draw(learner.simulator, 256, periods=60, generator=make_generator(seed, "oracle", "test"))
    assert isinstance(learner.policy, hdpo.Policy)
    return mean_cost(learner.simulator, hdpo.Rounded(learner.policy), scenarios=test, ignore=20)


def _floor_cost(seed: int) -> float:
    """Order up to the mean demand over lead time + 1, on the same test traces."""
    simulator = hdpo.example(hdpo.Config.tiny(), seed).simulator
    test = draw(simulator, 256, periods=60, generator=make_generator(seed, "oracle", "test"))
    return mean_cost(simulator, hdpo.BaseStockPolicy(simulator.network, [5.0]), scenarios=test, ignore=20)


REFERENCES = {
    "the pathwise gradient equals its closed form": pathwise_gradient_meets_the_closed_form,
    "the trained base-stock level is the newsvendor quantile": base_stock_training_finds_the_level,
    "Clark-Scarf levels cost what the recursion says": clark_scarf_levels_cost_what_they_should,
    "the optimal lost-sales policy costs the optimum": optimal_lost_sales_policy_costs_the_optimum,
}
INVARIANCES = {
    "order of stores": stores_may_be_listed_in_any_order,
    "order of scenarios": scenarios_may_stand_in_any_order,
    "unit of demand": the_unit_does_not_matter,
}
REDUCTIONS = {
    "one-stage echelon-stock is base-stock": one_stage_echelon_is_base_stock,
    "a loose cap is no cap": a_loose_cap_is_no_cap,
    "a cut beyond the horizon is no cut": a_cut_beyond_the_horizon_is_no_cut,
}
LOSSES = {
    "hindsight loss, backlog": functools.partial(_gradcheck, "backlog"),
    "hindsight loss, lost sales": functools.partial(_gradcheck, "lost"),
}
FLOORS = {
    "order up to mean demand": lambda seed: (_trained_cost(seed), _floor_cost(seed)),
}
ABLATIONS = {
    "the gradient through time, cut between periods": lambda seed: (_trained_cost(seed), _trained_cost(seed, cut=1)),
}
