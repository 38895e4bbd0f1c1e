import pytest
import torch
from scipy import stats

from livepapers.baselines import newsvendors
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.demand import Panel
from livepapers.tasks.inventory import Edge, Instances, InventoryNetwork, InventorySimulator, Node

SERIES, PERIODS = 6, 400


def world(noise: float = 2.0) -> tuple[Panel, InventorySimulator]:
    """Independent N(10, noise^2) weeks: the true quantiles are known."""
    values = 10 + noise * torch.randn(SERIES, PERIODS, generator=generator(0, "panel"))
    panel = Panel(values.clamp(min=0), known=300)
    network = InventoryNetwork((Node("shop", "store", 1.0, 9.0),), (Edge("supplier", "shop", 2),), "lost", "profit")
    instances = Instances.random(network, generator(0, "costs"), instances=SERIES, shortage=(4, 12), lead_time=(1, 3))
    return panel, InventorySimulator(network, panel, horizon=40, history=16, instances=instances)


def true_table(simulator: InventorySimulator, noise: float = 2.0) -> torch.Tensor:
    lead = simulator.each_instance(16).lead_time[:, 0]
    z = torch.tensor(stats.norm.ppf(newsvendors.LEVELS.numpy()), dtype=torch.float32)
    rows = 10.0 * (lead + 1)[:, None] + noise * (lead + 1).sqrt()[:, None] * z
    return rows[:, None].expand(-1, PERIODS, -1)


def test_the_pinball_loss_is_smallest_at_the_quantiles() -> None:
    sample = torch.randn(20_000, generator=generator(0, "pinball"))
    best = torch.quantile(sample, newsvendors.LEVELS)
    at_best = newsvendors.pinball_loss(best.expand(20_000, -1), sample)
    for shift in (-0.1, 0.1):
        assert newsvendors.pinball_loss((best + shift).expand(20_000, -1), sample) > at_best
    by_hand = newsvendors.pinball_loss(torch.zeros(1, 19), torch.tensor([2.0]))
    assert float(by_hand) == pytest.approx(2.0 * float(newsvendors.LEVELS.mean()))


def test_interpolation_meets_the_levels_and_is_straight_between_them() -> None:
    quantiles = torch.arange(19.0).square()[None].expand(4, -1)
    wanted = torch.tensor([0.05, 0.95, 0.075, 0.99])
    assert newsvendors.interpolate(quantiles, wanted).tolist() == pytest.approx([0.0, 324.0, 0.5, 324.0], abs=1e-3)
    inside = torch.tensor([0.31, 0.52], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q: newsvendors.interpolate(quantiles[:2].double(), q), (inside,))


def test_the_forecaster_finds_the_true_quantiles_of_independent_demand() -> None:
    panel, simulator = world()
    lead = simulator.each_instance(16).lead_time[:, 0]
    model = newsvendors.fit_forecaster(
        panel.between(0, 300), lead, generator=generator(0, "fit"), check=panel.between(260, 360), steps=300, hidden=32
    )
    table = newsvendors.forecast_table(model, panel, lead)
    assert table.shape == (SERIES, PERIODS, 19)
    assert (table.diff(dim=2) >= 0).all()
    truth = true_table(simulator)
    assert float((table[:, 300:] - truth[:, 300:]).abs().mean()) < 0.06 * float(truth.mean())


def test_a_forecast_uses_nothing_of_the_future() -> None:
    panel, simulator = world()
    lead = simulator.each_instance(16).lead_time[:, 0]
    model = newsvendors.QuantileForecaster(16, hidden=8, generator=generator(0, "net"))
    changed = panel.values.clone()
    changed[..., 350:] += 100.0
    before, after = (newsvendors.forecast_table(model, Panel(v, known=300), lead) for v in (panel.values, changed))
    assert torch.equal(before[:, :351], after[:, :351])
    assert not torch.equal(before[:, 351:], after[:, 351:])


def profits(simulator: InventorySimulator, policies: dict) -> dict[str, float]:
    state, demand = newsvendors.replay(simulator, 20, 390)
    with torch.no_grad():
        return {
            name: -float(simulator.rollout(policy, state=state, demand=demand).costs[:, 8:].mean())
            for name, policy in policies.items()
        }


def test_the_oracle_keeps_nothing_misses_nothing_and_no_policy_beats_it() -> None:
    panel, simulator = world()
    state, demand = newsvendors.replay(simulator, 20, 390)
    done = simulator.rollout(newsvendors.just_in_time(panel), state=state, demand=demand, detail=True)
    assert done.on_hand is not None
    assert done.unmet is not None
    assert float(done.on_hand[:, 8:].max()) < 1e-3
    assert float(done.unmet[:, 8:].max()) < 1e-3
    table = true_table(simulator)
    found = profits(
        simulator,
        {
            "oracle": newsvendors.just_in_time(panel),
            "quantile": newsvendors.policy(table, newsvendors.identity),
            "returns": newsvendors.policy(table, newsvendors.identity, returns=True),
        },
    )
    assert found["oracle"] > found["returns"] >= found["quantile"] - 1e-3
    assert found["quantile"] > 0.9 * found["oracle"]


def test_fitted_quantiles_are_no_worse_than_the_critical_fractile_where_they_were_fitted() -> None:
    _, simulator = world(3.0)
    table = true_table(simulator, 3.0)
    fixed = newsvendors.fit_fixed(table, simulator, first=20, last=340)
    learned = newsvendors.fit_transformed(table, simulator, first=20, last=340, generator=generator(0, "t"), steps=25)
    found = profits(
        simulator,
        {
            "quantile": newsvendors.policy(table, newsvendors.identity),
            "transformed": newsvendors.policy(table, learned),
            "low": newsvendors.policy(table, lambda fractile: torch.full_like(fractile, 0.3)),
            "fixed": newsvendors.policy(table, fixed),
        },
    )
    assert found["transformed"] > found["quantile"] - 0.05
    assert found["fixed"] > found["low"]


def test_the_transformed_map_starts_at_the_critical_fractile() -> None:
    _, simulator = world()
    start = newsvendors.fit_transformed(
        true_table(simulator), simulator, first=20, last=100, generator=generator(0, "t"), steps=0
    )
    fractile = torch.tensor([0.8, 0.9, 0.95])
    torch.testing.assert_close(start(fractile), fractile)


def test_returns_only_differ_where_stock_exceeds_the_level() -> None:
    _, simulator = world()
    table = true_table(simulator)
    state = simulator.each_instance(20)
    full = state._replace(pipeline=state.pipeline * 10)
    assert (newsvendors.policy(table, newsvendors.identity)(full) == 0).all()
    assert (newsvendors.policy(table, newsvendors.identity, returns=True)(full) < 0).all()


def test_a_panel_of_networks_is_refused() -> None:
    with pytest.raises(InputError, match="one store a series"):
        newsvendors.fit_forecaster(
            Panel(torch.ones(2, 3, 50)), torch.ones(2, dtype=torch.int64), generator=generator(0, "x")
        )
