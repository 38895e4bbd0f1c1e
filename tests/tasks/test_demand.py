import datetime as dt

import numpy as np
import pytest
import torch
from scipy import stats

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.demand import (
    ClippedNormal,
    DemandProcess,
    MultivariateNormal,
    Panel,
    Poisson,
    christmas_distance,
)

PROCESSES = {
    "normal": ClippedNormal(5.0, 1.6, stores=3),
    "poisson": Poisson(5.0, stores=3),
    "correlated": MultivariateNormal.random(3, generator(0, "process"), instances=4, correlation=0.5),
    "panel": Panel(torch.arange(120.0).reshape(2, 3, 20)),
}


@pytest.mark.parametrize("name", list(PROCESSES))
def test_every_process_keeps_the_contract(name: str) -> None:
    process = PROCESSES[name]
    assert isinstance(process, DemandProcess)
    for batch in (0, 1, 5):
        assert process.sample(batch, 7, generator(1, "demand")).shape == (batch, 7, 3)
    assert torch.equal(process.sample(5, 7, generator(1, "a")), process.sample(5, 7, generator(1, "a")))
    assert not torch.equal(process.sample(64, 7, generator(1, "a")), process.sample(64, 7, generator(2, "a")))
    instance, period = process.windows(50, 6, generator(1, "windows"))
    assert int(instance.max()) < process.mean.shape[0]
    assert process.realise(process.noise(50, 6, generator(1, "n")), instance, period).shape == (50, 6, 3)


def test_poisson_demand_has_poisson_frequencies() -> None:
    values = Poisson(5.0).sample(200_000, 1, generator(0, "poisson")).flatten().numpy()
    counts = np.bincount(values.astype(int), minlength=13)[:13]
    expected = 200_000 * stats.poisson.pmf(np.arange(13), 5.0)
    assert (np.abs(counts - expected) < 6 * np.sqrt(expected)).all()


def test_poisson_inversion_is_exact_at_the_steps_of_its_distribution() -> None:
    process = Poisson(5.0)
    steps = torch.from_numpy(stats.poisson.cdf(np.arange(10), 5.0))[None, :, None]
    zero = torch.zeros(1, dtype=torch.int64)
    assert process.realise(steps - 1e-12, zero, zero).flatten().tolist() == list(range(10))
    assert process.realise(steps + 1e-12, zero, zero).flatten().tolist() == list(range(1, 11))


def test_normal_demand_has_the_moments_and_correlation_asked_for() -> None:
    mean, std = torch.tensor([3.0, 5.0, 7.0]), torch.tensor([1.0, 2.0, 1.5])
    values = MultivariateNormal(mean, std, correlation=0.5, clip=False).sample(200_000, 1, generator(0, "mvn"))[:, 0]
    torch.testing.assert_close(values.mean(0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(values.std(0), std, atol=0.03, rtol=0)
    correlation = torch.corrcoef(values.T)
    assert float((correlation - torch.eye(3) - 0.5 * (1 - torch.eye(3))).abs().max()) < 0.015


def test_clipping_takes_negative_demand_only() -> None:
    values = [MultivariateNormal(torch.tensor([1.0]), torch.tensor([2.0]), clip=clip).sample(999, 5, generator(0, "c"))
              for clip in (False, True)]  # fmt: skip
    assert float(values[0].min()) < 0
    assert torch.equal(values[0].clamp(min=0), values[1])


def test_instances_drawn_once_lie_in_the_papers_ranges() -> None:
    process = MultivariateNormal.random(10, generator(0, "ranges"), instances=500)
    variation = process.std / process.mean
    assert 2.5 <= float(process.mean.min()) < 2.6
    assert 7.4 < float(process.mean.max()) <= 7.5
    assert 0.25 <= float(variation.min()) < 0.26
    assert 0.49 < float(variation.max()) <= 0.5


def test_a_panel_returns_its_record_and_knows_no_more_than_it_may() -> None:
    record = torch.arange(40.0).reshape(2, 20)
    panel = Panel(record, known=10)
    assert panel.mean[:, 0].tolist() == [4.5, 24.5]
    trace = panel.sample(2, 3, generator(0, "x"), instance=torch.tensor([1, 0]), period=5)
    assert trace[..., 0].tolist() == [[25.0, 26.0, 27.0], [5.0, 6.0, 7.0]]


def test_windows_of_a_panel_stay_inside_their_span() -> None:
    panel = Panel(torch.rand(3, 100), known=60).between(20, 60)
    _, start = panel.windows(5000, 15, generator(0, "w"))
    assert (int(start.min()), int(start.max())) == (20, 45)
    with pytest.raises(InputError, match="at least 41"):
        panel.windows(2, 41, generator(0, "w"))
    with pytest.raises(InputError, match="the record ends there"):
        panel.sample(1, 10, generator(0, "w"), instance=torch.zeros(1, dtype=torch.int64), period=95)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Poisson(0.0),
        lambda: Poisson(float("nan")),
        lambda: MultivariateNormal(torch.ones(3), torch.ones(3), correlation=1.0),
        lambda: MultivariateNormal(torch.ones(3), torch.ones(3), correlation=-0.6),
        lambda: Panel(torch.ones(1, 5), known=9),
        lambda: Panel(torch.ones(1, 5), first=3, last=2),
    ],
)
def test_parameters_out_of_range_are_refused(make) -> None:
    with pytest.raises(InputError):
        make()


def test_christmas_is_the_origin_of_the_year() -> None:
    days = [dt.date(2019, 12, 25), dt.date(2020, 1, 4), dt.date(2020, 12, 15), dt.date(2020, 6, 24)]
    distance = (christmas_distance(days) * 183).round().tolist()
    assert distance[:3] == [0, 10, -10]
    assert abs(distance[3]) in (182, 183)


@pytest.mark.parametrize("rate", [0.03, 5.0, 400.0])
def test_poisson_demand_read_from_the_grid_is_the_demand_that_a_search_finds(rate: float) -> None:
    demand = Poisson(rate)
    noise = demand.noise(2000, 30, generator(0, "grid"))
    points = torch.tensor(stats.poisson.cdf(range(int(stats.poisson.isf(1e-16, rate)) + 2), rate))
    step = float((points[0] * 2.0**53).ceil()) / 2.0**53  # the first that is drawn of those on or above it
    noise[:3, 0, 0] = torch.tensor([0.0, step, 1.0 - 2.0**-53], dtype=torch.float64)
    found = demand.realise(noise, torch.zeros(2000, dtype=torch.int64), torch.zeros(2000, dtype=torch.int64))
    assert torch.equal(found, torch.searchsorted(points, noise, right=True).float())
    assert found[0, 0, 0] == 0.0
