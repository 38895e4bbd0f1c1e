import pytest
import torch

from livepapers.baselines import base_stock, lost_sales
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.methods import hdpo
from livepapers.tasks.demand import ClippedNormal, Poisson
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventorySimulator, Node
from livepapers.tasks.scenarios import draw, fixed, fresh, mean_cost, set_rate


def one_store(lead: int, *, unmet: str = "lost", shortage: float = 9.0) -> InventoryNetwork:
    return InventoryNetwork(
        nodes=(Node(name="store", kind="store", holding=1.0, shortage=shortage),),
        edges=(Edge(source="supplier", target="store", lead_time=lead),),
        unmet=unmet,  # pyright: ignore[reportArgumentType]
    )


def trained(simulator: InventorySimulator, policy: hdpo.Policy, config: hdpo.Config) -> hdpo.Policy:
    learner = hdpo.learner_for(simulator, policy, config=config, seed=0)
    for _ in range(config.updates):
        learner.update()
    learner.best_policy()
    return policy


def test_the_loss_is_the_mean_cost_a_scenario_period_and_store():
    simulator = InventorySimulator(one_store(2), Poisson(5.0), horizon=10)
    scenarios = draw(simulator, 7, periods=10, generator=generator(0, "test"))
    policy = hdpo.BaseStockPolicy(simulator.network, [5.0])
    costs = simulator.rollout(policy, state=scenarios.state, demand=scenarios.demand).costs
    loss = hdpo.hindsight_loss(policy, simulator, state=scenarios.state, demand=scenarios.demand)
    assert loss.item() == pytest.approx(costs.sum().item() / 70)


def test_the_gradient_meets_finite_differences_with_common_demand():
    simulator = InventorySimulator(one_store(3), ClippedNormal(5.0, 2.0), horizon=40, dtype=torch.float64)
    scenarios = draw(simulator, 200, periods=40, generator=generator(1, "test"))
    policy = hdpo.BaseStockPolicy(simulator.network, [5.0]).double()

    def loss() -> torch.Tensor:
        return hdpo.hindsight_loss(policy, simulator, state=scenarios.state, demand=scenarios.demand)

    (gradient,) = torch.autograd.grad(loss(), policy.levels)
    with torch.no_grad():
        policy.levels.add_(1e-5)
        above = loss()
        policy.levels.sub_(2e-5)
        slope = (above - loss()) / 2e-5
    assert gradient.item() == pytest.approx(slope.item(), rel=1e-4)


def test_a_cut_between_periods_leaves_no_gradient_when_the_lead_time_is_two():
    simulator = InventorySimulator(one_store(2), Poisson(5.0), horizon=10)
    scenarios = draw(simulator, 4, periods=10, generator=generator(0, "test"))
    policy = hdpo.BaseStockPolicy(simulator.network, [5.0])
    loss = hdpo.hindsight_loss(policy, simulator, state=scenarios.state, demand=scenarios.demand, cut_every=1)
    (gradient,) = torch.autograd.grad(loss, policy.levels)
    assert gradient.abs().max() == 0


def test_the_trained_base_stock_level_costs_the_closed_form_optimum():
    network = one_store(4, unmet="backlog")
    simulator = InventorySimulator(network, ClippedNormal(5.0, 1.6), horizon=50)
    policy = hdpo.BaseStockPolicy(network, [5.0])
    config = hdpo.Config(learning_rate=0.5, updates=60, batch=256, dev_scenarios=128)
    trained(simulator, policy, config)
    best = base_stock.optimal(5.0, 1.6, lead_time=4, holding=1.0, shortage=9.0)
    assert policy.levels.item() == pytest.approx(best.level, rel=0.01)


def test_a_network_beats_the_floor_and_nears_the_exact_optimum_within_seconds():
    network = one_store(2)
    simulator = InventorySimulator(network, Poisson(5.0), horizon=50)
    policy = hdpo.VanillaPolicy(network, [5.0], lead=2, hidden=(32, 32), generator=generator(0, "weights"))
    config = hdpo.Config(hidden=(32, 32), learning_rate=1e-2, updates=150, batch=64, dev_scenarios=64)
    trained(simulator, policy, config)
    best = lost_sales.optimal(5.0, lead_time=2, holding=1.0, shortage=9.0)
    test = draw(simulator, 1024, periods=150, generator=generator(0, "test"))
    optimal = mean_cost(simulator, best.policy(), scenarios=test, ignore=50)
    assert mean_cost(simulator, hdpo.Rounded(policy), scenarios=test, ignore=50) < 1.02 * optimal
    floor = hdpo.BaseStockPolicy(network, [5.0])
    assert mean_cost(simulator, floor, scenarios=test, ignore=50) > 1.25 * optimal


def test_patience_stops_the_updates_but_not_the_metrics():
    config = replace(hdpo.Config.tiny(), patience=1, dev_every=1, learning_rate=1e-9)
    learner = hdpo.example(config, 0)
    steps = [learner.update() for _ in range(10)]
    assert steps[-1]["stopped"] == 1.0
    assert set(steps[-1]) == set(hdpo.METRICS)
    assert learner.work()["gradient_steps"] < 10


def test_the_best_weights_are_kept_not_the_last():
    learner = hdpo.example(replace(hdpo.Config.tiny(), learning_rate=1.0, decay=False, dev_every=1), 0)
    costs = [learner.update()["dev_cost"] for _ in range(8)]
    assert learner.selection.best_cost == min(costs)
    learner.best_policy()
    learner.selection.after(1)
    assert learner.selection.cost == pytest.approx(min(costs))


def test_a_state_with_other_shapes_is_refused_whole():
    learner = hdpo.example(hdpo.Config.tiny(), 0)
    learner.update()
    before = {name: value.clone() for name, value in learner.policy.state_dict().items()}
    state = dict(learner.state_dict())
    optimizer = state["optimizer"]
    moments = {**optimizer["state"], "0": {**optimizer["state"]["0"], "exp_avg": torch.zeros(2, 2)}}
    state["optimizer"] = {**optimizer, "state": moments}
    with pytest.raises(CorruptFileError, match="0/exp_avg"):
        learner.load_state_dict(state)
    assert all(torch.equal(before[name], value) for name, value in learner.policy.state_dict().items())


def test_config_names_what_is_wrong():
    with pytest.raises(InputError, match="dev_ignore"):
        hdpo.Config(dev_ignore=100, dev_periods=100)
    with pytest.raises(InputError, match="hidden"):
        hdpo.Config(hidden=(0,))


def test_a_fixed_source_gives_all_or_a_subset_without_repeats():
    simulator = InventorySimulator(one_store(2), Poisson(5.0), horizon=5)
    scenarios = draw(simulator, 6, periods=5, generator=generator(0, "test"))
    source = fixed(scenarios)
    assert source(6, generator(0, "a")) is scenarios
    some = source(4, generator(0, "a"))
    rows = [tuple(row) for row in some.state.pipeline.flatten(1).tolist()]
    assert len(set(rows)) == 4


def test_fresh_scenarios_depend_on_the_stream_only():
    simulator = InventorySimulator(one_store(2), Poisson(5.0), horizon=5)
    source = fresh(simulator, periods=5)
    first, second = source(3, generator(0, "a")), source(3, generator(0, "a"))
    assert torch.equal(first.demand, second.demand)
    assert torch.equal(first.state.pipeline, second.state.pipeline)


def test_the_rate_is_constant_then_falls_to_zero():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rates = []
    for step in (0, 50, 70, 85, 100, 130):
        set_rate(optimizer, 2.0, step=step, of=100)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([2.0, 2.0, 2.0, 1.0, 0.0, 0.0])


def test_mean_cost_refuses_to_ignore_everything():
    simulator = InventorySimulator(one_store(2), Poisson(5.0), horizon=5)
    scenarios = draw(simulator, 2, periods=5, generator=generator(0, "test"))
    with pytest.raises(InputError, match="ignore"):
        mean_cost(simulator, hdpo.BaseStockPolicy(simulator.network, [5.0]), scenarios=scenarios, ignore=5)
