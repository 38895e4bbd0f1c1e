"""The problem settings of arXiv 2306.11246, section 4, with their optima: worlds for studies, benchmarks and tests.

S1  one store, backlog            closed form
S2  one store, lost sales         relative value iteration
S3  four echelons, backlog        Clark-Scarf
S4  transshipment, backlog        pooled lower bound
S5  one warehouse, many stores, lost sales; no optimum is known
S7  real series: here weekly riders at Chicago stations
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from livepapers import samples
from livepapers.baselines import base_stock, clark_scarf, lost_sales, transshipment
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.demand import ClippedNormal, MultivariateNormal, Panel, Poisson
from livepapers.tasks.demand_table import read_demand_csv
from livepapers.tasks.inventory import Instances, InventoryNetwork, InventoryPolicy, InventorySimulator


@dataclass(frozen=True)
class Problem:
    """A world, and what is known of its optimum."""

    simulator: InventorySimulator
    optimum: float  # cost a store and period; of S4 a lower bound
    policy: InventoryPolicy  # attains the optimum (or aims at the bound)
    rounded: bool = False  # orders are rounded at test


@dataclass(frozen=True)
class Chicago:
    """The real panel: 20 stations x 3 lead times x 4 price draws, one store each, with its time split."""

    simulator: InventorySimulator  # of the whole record
    panel: Panel
    season: Tensor  # [W]
    first_day: float  # day of the year of period 0
    lead_time: Tensor  # [K]
    instances: Instances
    stations: int
    dev_from: int
    test_from: int


@functools.lru_cache
def chicago() -> Chicago:
    """Weekly riders as demand, each series scaled to a mean of 5 over its training weeks; h = 1, p U(6.3, 11.7)."""
    table = read_demand_csv(samples.path("chicago_weekly_ridership.csv"))
    weeks, stations = table.values.shape
    dev_from, test_from = round(0.6 * weeks), round(0.8 * weeks)
    scaled = 5.0 * table.values.T / table.values[:dev_from].mean(0)[:, None]
    leads, draws = (1, 2, 3), 4
    panel = Panel(scaled.repeat_interleave(len(leads) * draws, 0), known=dev_from)
    lead_time = torch.tensor(leads).repeat_interleave(draws).repeat(stations)
    price = 6.3 + 5.4 * torch.rand(len(lead_time), 1, generator=make_generator(0, "hdpo", "chicago"))
    store = {"name": "store", "kind": "store", "holding": 1.0, "shortage": 9.0}
    edge = {"source": "supplier", "target": "store", "lead_time": max(leads)}
    network = InventoryNetwork.from_json({"nodes": [store], "edges": [edge], "unmet": "lost", "objective": "profit"})
    instances = Instances(torch.ones_like(price), price, lead_time[:, None])
    simulator = InventorySimulator(network, panel, horizon=50, history=16, instances=instances)
    assert table.dates is not None
    first_day = float(table.dates[0].timetuple().tm_yday)
    return Chicago(simulator, panel, table.calendar(), first_day, lead_time, instances, stations, dev_from, test_from)


@functools.lru_cache
def make_problem(name: str) -> Problem:
    """A problem of part A by its setting's name, with its optimum."""
    kind, *parts = name.split("-")
    numbers = {part[0]: int(part[1:]) for part in parts}
    return {"S1": _backlog, "S2": _lost, "S3": _serial, "S4": _transshipment}[kind](numbers)


def _one_store(lead_time: int, shortage: float, unmet: str) -> InventoryNetwork:
    store = {"name": "store", "kind": "store", "holding": 1.0, "shortage": shortage}
    edge = {"source": "supplier", "target": "store", "lead_time": lead_time}
    return InventoryNetwork.from_json({"nodes": [store], "edges": [edge], "unmet": unmet})


def _backlog(numbers: Mapping[str, int]) -> Problem:
    """S1: N(5, 1.6^2) clipped at 0, h = 1; the closed form of the base-stock optimum."""
    lead, shortage = numbers["L"], numbers["p"]
    network = _one_store(lead, shortage, "backlog")
    best = base_stock.optimal(5.0, 1.6, lead_time=lead, holding=1.0, shortage=shortage)
    simulator = InventorySimulator(network, ClippedNormal(5.0, 1.6), horizon=50)
    return Problem(simulator, best.cost, base_stock.policy(network, torch.tensor([best.level])))


def _lost(numbers: Mapping[str, int]) -> Problem:
    """S2: Poisson(5), h = 1; relative value iteration."""
    lead, shortage = numbers["L"], numbers["p"]
    best = lost_sales.optimal(5.0, lead_time=lead, holding=1.0, shortage=shortage)
    simulator = InventorySimulator(_one_store(lead, shortage, "lost"), Poisson(5.0), horizon=50)
    return Problem(simulator, best.cost, best.policy(), rounded=True)


def _serial(numbers: Mapping[str, int]) -> Problem:
    """S3: four locations, N(5, 2^2) clipped at 0; Clark-Scarf."""
    holding, leads, shortage = (0.1, 0.2, 0.5, 1.0), (2, 4, 3, numbers["L"]), numbers["p"]
    network = clark_scarf.serial_network(holding, leads, shortage=shortage)
    best = clark_scarf.optimal(holding, leads, shortage=shortage, mean=5.0, std=2.0)
    simulator = InventorySimulator(network, ClippedNormal(5.0, 2.0), horizon=50)
    return Problem(simulator, best.cost, clark_scarf.policy(network, best.levels))


def _transshipment(numbers: Mapping[str, int]) -> Problem:
    """S4: a warehouse that may not hold; the pooled lower bound and the allocation it suggests."""
    stores = numbers["n"]
    demand = MultivariateNormal.random(stores, make_generator(0, "hdpo", "S4"), clip=False)
    nodes = [{"name": "warehouse", "kind": "warehouse", "holding": 1.0, "may_hold": False}]
    nodes += [{"name": f"store {i}", "kind": "store", "holding": 1.0, "shortage": numbers["p"]} for i in range(stores)]
    edges = [{"source": "supplier", "target": "warehouse", "lead_time": 3}]
    edges += [{"source": "warehouse", "target": f"store {i}", "lead_time": numbers["L"]} for i in range(stores)]
    network = InventoryNetwork.from_json({"nodes": nodes, "edges": edges, "unmet": "backlog"})
    bound = transshipment.lower_bound(network, demand).cost / stores
    simulator = InventorySimulator(network, demand, horizon=50)
    return Problem(simulator, bound, transshipment.policy(network, demand))


@functools.lru_cache
def few_traces_problem(stores: int = 10) -> InventorySimulator:
    """S5: one warehouse, lost sales; one instance, h U(0.7, 1.3), p U(6.3, 11.7), store lead times 2 or 3."""
    stream = make_generator(0, "hdpo", "S5", stores)
    demand = MultivariateNormal.random(stores, stream)
    draws = torch.rand(2, stores, generator=stream)
    leads = torch.randint(2, 4, (stores,), generator=stream).tolist()
    holding, shortage = (0.7 + 0.6 * draws[0]).tolist(), (6.3 + 5.4 * draws[1]).tolist()
    nodes = [{"name": "warehouse", "kind": "warehouse", "holding": 0.3}]
    nodes += [
        {"name": f"store {i}", "kind": "store", "holding": holding[i], "shortage": shortage[i]} for i in range(stores)
    ]
    edges = [{"source": "supplier", "target": "warehouse", "lead_time": 3}]
    edges += [{"source": "warehouse", "target": f"store {i}", "lead_time": leads[i]} for i in range(stores)]
    network = InventoryNetwork.from_json({"nodes": nodes, "edges": edges, "unmet": "lost"})
    return InventorySimulator(network, demand, horizon=50)


SWEEP_PROBLEM = "S2-L4-p9"
