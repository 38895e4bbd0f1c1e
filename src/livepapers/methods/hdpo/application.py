"""hdpo on a user's own network and demand: a trained policy, a backtest, and today's orders."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from livepapers.baselines import base_stock, newsvendors
from livepapers.core import artifact, loop
from livepapers.core.application import Application, Row
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, sha256
from livepapers.core.rng import generator as make_generator
from livepapers.methods.hdpo.graph import GraphPolicy
from livepapers.methods.hdpo.learner import Config, HindsightPolicyOptimization
from livepapers.methods.hdpo.policies import BaseStockPolicy, EchelonStockPolicy, Policy, VanillaPolicy
from livepapers.tasks.demand_table import DemandTable, read_demand_csv
from livepapers.tasks.inventory import (
    SUPPLIER,
    InventoryNetwork,
    InventoryPolicy,
    InventorySimulator,
    InventoryState,
    Rollout,
)
from livepapers.tasks.scenarios import Scenarios, fresh
from livepapers.tasks.tables import read_table

PolicyName: TypeAlias = Literal["mlp", "gnn", "base-stock", "capped-base-stock", "echelon"]

TRAINED, CHECKED = 0.6, 0.8
"""Shares of the periods that end the training and the dev part; the rest is held out for the backtest."""
MOST_HISTORY = 16  # past demands that a network sees, as in the paper
WINDOW = 50  # periods a training trace
FEWEST_PERIODS = 40
MOST_CARRIED = 100_000  # demands that an artifact carries
_STRUCTURED: Mapping[str, type[Policy]] = {"base-stock": BaseStockPolicy, "echelon": EchelonStockPolicy}


@dataclass(frozen=True)
class _Task:
    """A user's problem, with its time split."""

    network: InventoryNetwork
    table: DemandTable
    simulator: InventorySimulator  # over the whole record
    train: InventorySimulator  # windows of the training part
    dev_from: int
    test_from: int
    lead: int

    @property
    def history(self) -> int:
        return self.simulator.history

    @property
    def season(self) -> list[float] | None:
        """(Day of the year of the first period, days a period); None where periods are no dates."""
        dates = self.table.dates
        if dates is None:
            return None
        return [float(dates[0].timetuple().tm_yday), (dates[-1] - dates[0]).days / (len(dates) - 1)]

    def replay(self, first: int, last: int) -> Scenarios:
        """The record from period `first` to `last`, stock starting at one mean demand in each place."""
        return Scenarios(*newsvendors.replay(self.simulator, first, last))


def apply(
    network: Path,
    demand: Path,
    *,
    policy: PolicyName = "gnn",
    updates: int = 600,
    seed: int = 0,
    state: Path | None = None,
    output: Path | None = None,
) -> Application:
    """Train an ordering policy on your own network and demand, backtest it, and give today's orders.

    The first 60 % of the periods train, the next 20 % choose the weights, the last 20 % are held out: the backtest
    compares the policy there with newsvendor levels, from the second part, and with base-stock levels trained likewise.

    Args:
        network: Stores, warehouses and lead times: a YAML or JSON file with nodes, edges, unmet and objective.
        demand: CSV with columns store, period, quantity, or period and one column a store; without gaps.
        policy: gnn (graph network), mlp (plain network), or the rules base-stock, capped-base-stock, echelon.
        updates: Gradient steps.
        seed: Of initial weights and training windows.
        state: CSV with columns node, arrives_in, quantity: today's stock (arrives_in 0) and what is on order, the
            periods until it arrives; the stock at the end of the backtest when left out.
        output: Folder for the policy, the backtest and the orders; nothing is written when left out. An interrupted
            run leaves a folder of that name with .partial behind and goes on from there.

    Returns:
        Cost by policy and by node on the held-out periods, and the orders for today.

    Raises:
        InputError: One line that names file, field, value and likely cause; nothing was written.
    """
    _check_numbers(policy, updates, seed)
    if output is not None:
        check_output_folder(output)
    task = _read(network, demand)
    today = None if state is None else _read_state(state, task)
    trained = _make_policy(task, policy, seed)
    learner = _make_learner(task, trained, seed=seed, updates=updates)
    partial = None if output is None else output.with_name(output.name + ".partial")
    made_by = {"policy": policy, "seed": seed, "updates": updates, "network": sha256(network), "demand": sha256(demand)}
    fingerprint = hashlib.sha256(json.dumps(["hdpo", 1, made_by], sort_keys=True).encode()).hexdigest()
    loop.drive(learner, updates, folder=partial, fingerprint=fingerprint)
    learner.best_policy()
    trained.eval()
    results = _backtest(task, {policy: trained, **_rivals(task, policy, seed=seed, updates=updates)})
    state_now = results[policy].final if today is None else today
    tables = _tables(task, results, orders=_orders(task, trained, state_now))
    notes = _notes(task, today_given=today is not None)
    application = Application("hdpo", _headline(task, policy, results), tables, notes)
    return application if output is None else _write(application, output, partial, trained, made_by, world=_world(task))


def _check_numbers(policy: str, updates: int, seed: int) -> None:
    if policy not in {"mlp", "gnn", "base-stock", "capped-base-stock", "echelon"}:
        raise InputError.of("policy", policy, expected="one of mlp, gnn, base-stock, capped-base-stock, echelon")
    if not 1 <= updates <= 10_000_000:
        raise InputError.of("updates", updates, expected="a whole number from 1 to 10,000,000")
    if not 0 <= seed < 2**63:
        raise InputError.of("seed", seed, expected="a whole number >= 0")


def _read(network_file: Path, demand_file: Path) -> _Task:
    network = InventoryNetwork.from_file(network_file)
    lead = int(network.lead_time.max())
    table = read_demand_csv(demand_file, network, shortest=max(FEWEST_PERIODS, 10 * (lead + 1)), option="--demand")
    periods = len(table.periods)
    dev_from, test_from = round(TRAINED * periods), round(CHECKED * periods)
    for name, column in zip(table.series, table.values[:dev_from].T, strict=True):
        if not bool(column.any()):
            cause = f"the first {dev_from} periods train; cut the file to when it was sold"
            raise InputError.of(
                f"--demand {demand_file.name}: {name}", "only zeros at first", expected="demand", cause=cause
            )
    history = min(MOST_HISTORY, dev_from // 4)
    panel = table.panel(known=dev_from)
    horizon = min(WINDOW, dev_from - history)
    simulator = InventorySimulator(network, panel, horizon=horizon, history=history)
    train = InventorySimulator(network, panel.between(0, dev_from), horizon=horizon, history=history)
    return _Task(network, table, simulator, train, dev_from, test_from, lead)


def _make_policy(task: _Task, name: str, seed: int) -> Policy:
    mean = task.simulator.demand.mean[0].clamp(min=0.0).tolist()
    if name == "capped-base-stock":
        return BaseStockPolicy(task.network, mean, capped=True)
    if name in _STRUCTURED:
        return _STRUCTURED[name](task.network, mean)
    stream = make_generator(seed, "hdpo", "apply", "weights")
    if name == "gnn":
        return GraphPolicy(
            task.network, mean, lead=task.lead, features="series", history=task.history, season=task.season,
            generator=stream,
        )  # fmt: skip
    return VanillaPolicy(
        task.network,
        mean,
        lead=task.lead,
        features="series",
        history=task.history,
        season=task.season,
        generator=stream,
    )


def _make_learner(task: _Task, policy: Policy, *, seed: int, updates: int) -> HindsightPolicyOptimization:
    structured = isinstance(policy, (BaseStockPolicy, EchelonStockPolicy))
    dev = task.replay(task.dev_from, task.test_from)
    config = replace(
        Config(), updates=updates, batch=64, periods=task.train.horizon, dev_ignore=task.lead,
        learning_rate=0.1 if structured else 3e-3, clip_norm=1.0,
    )  # fmt: skip
    return HindsightPolicyOptimization(
        task.train, policy, config=config, train=fresh(task.train, periods=config.periods), dev=dev,
        generator=make_generator(seed, "hdpo", "apply", "windows"),
    )  # fmt: skip


def _rivals(task: _Task, chosen: str, *, seed: int, updates: int) -> dict[str, InventoryPolicy]:
    """Newsvendor levels, base-stock levels trained the same way, and a quantile forecast where one store is all."""
    recent = task.table.values[task.dev_from : task.test_from]  # what a planner would look at: the latest known part
    levels = base_stock.newsvendor_levels(task.network, recent.mean(0).clamp(min=0.0), recent.std(0))
    rivals: dict[str, InventoryPolicy] = {"newsvendor levels": base_stock.policy(task.network, levels)}
    one_supplier_each = len(task.network.edges) == len(task.network.nodes)
    if one_supplier_each and chosen != "base-stock":
        rule = _make_policy(task, "base-stock", seed)
        loop.drive(_make_learner(task, rule, seed=seed, updates=min(updates, 300)), min(updates, 300))
        rivals["base-stock"] = rule
    if len(task.network.nodes) == 1 and one_supplier_each and task.network.unmet == "lost":
        panel, lead = task.table.panel(known=task.dev_from), task.network.lead_time
        season = task.table.calendar()
        forecaster = newsvendors.fit_forecaster(
            panel.between(0, task.dev_from), lead, generator=make_generator(seed, "hdpo", "apply", "forecaster"),
            season=season, history=task.history, steps=500,
        )  # fmt: skip
        table = newsvendors.forecast_table(forecaster, panel, lead, season=season)
        rivals["quantile newsvendor"] = newsvendors.policy(table, newsvendors.identity)
    return rivals


@torch.no_grad()
def _backtest(task: _Task, policies: Mapping[str, InventoryPolicy]) -> dict[str, Rollout]:
    test = task.replay(task.test_from, len(task.table.periods))
    return {
        name: task.simulator.rollout(policy, state=test.state, demand=test.demand, detail=True)
        for name, policy in policies.items()
    }


@torch.no_grad()
def _orders(task: _Task, policy: Policy, state: InventoryState) -> list[Row]:
    orders = policy(state)[0].tolist()
    return [
        {"from": edge.source, "to": edge.target, "order": round(order, 3), "arrives in": edge.lead_time}
        for edge, order in zip(task.network.edges, orders, strict=True)
    ]


def _cost(task: _Task, rollout: Rollout) -> float:
    """Cost a period on the held-out periods, the first lead time left out."""
    return rollout.costs[0, task.lead :].double().mean().item()


def _tables(task: _Task, results: Mapping[str, Rollout], *, orders: list[Row]) -> dict[str, list[Row]]:
    sign, word = (-1.0, "profit") if task.network.objective == "profit" else (1.0, "cost")
    whole: list[Row] = []
    nodes: list[Row] = []
    for name, rollout in results.items():
        assert rollout.node_costs is not None and rollout.unmet is not None  # noqa: PT018 - asked for with `detail`
        kinds = {
            kind: values[0, task.lead :].double().mean(0)
            for kind, values in zip(("holding", "shortage", "procurement"), rollout.node_costs, strict=True)
        }
        asked = task.table.values[task.test_from + task.lead :].sum().item()
        met = (
            1.0 - rollout.unmet[0, task.lead :].sum().item() / asked if task.network.unmet == "lost" and asked else None
        )
        whole.append(
            {"policy": name, f"{word} a period": _rounded(sign * _cost(task, rollout)),
             **{kind: _rounded(values.sum().item()) for kind, values in kinds.items()},
             "demand met, %": None if met is None else round(100.0 * met, 2)}
        )  # fmt: skip
        for index, node in enumerate(task.network.nodes):
            parts = {kind: values[index].item() for kind, values in kinds.items()}
            nodes.append(
                {"policy": name, "node": node.name, f"{word} a period": _rounded(sign * sum(parts.values())),
                 **{kind: _rounded(value) for kind, value in parts.items()}}
            )  # fmt: skip
    return {"Backtest on the held-out periods": whole, "By node": nodes, "Orders now": orders}


def _headline(task: _Task, chosen: str, results: Mapping[str, Rollout]) -> str:
    costs = {name: _cost(task, rollout) for name, rollout in results.items()}
    rival = min((name for name in costs if name != chosen), key=lambda name: costs[name])
    difference = 100.0 * (costs[chosen] - costs[rival]) / max(abs(costs[rival]), 1e-12)
    profit = task.network.objective == "profit"
    word, sign = ("profit", -1.0) if profit else ("cost", 1.0)
    beats = "better" if difference < 0 else "worse"
    counted = len(task.table.periods) - task.test_from - task.lead
    return (
        f"{chosen}: {word} {sign * costs[chosen]:,.4g} a period on {counted} held-out periods, {abs(difference):.1f} % "
        f"{beats} than the best rule beside it ({rival}, {sign * costs[rival]:,.4g})"
    )


def _notes(task: _Task, *, today_given: bool) -> tuple[str, ...]:
    labels = task.table.periods
    notes = [
        f"trained on {labels[0]} to {labels[task.dev_from - 1]}, weights chosen up to {labels[task.test_from - 1]}, "
        f"held out from {labels[task.test_from]} to {labels[-1]}",
        f"the backtest starts with made-up stock, so its first {task.lead} periods are not counted",
    ]
    if task.network.objective == "profit":
        notes.append("shortage is minus the sales revenue: profit = - (holding + shortage + procurement)")
    if len(task.network.edges) != len(task.network.nodes):
        notes.append("some nodes have two suppliers: no base-stock levels were trained for comparison")
    if not today_given:
        notes.append("orders are for the stock at the end of the backtest; give --state to order for your own")
    return tuple(notes)


def _write(
    application: Application,
    output: Path,
    partial: Path | None,
    policy: Policy,
    made_by: Mapping[str, Any],
    *,
    world: dict[str, Any],
) -> Application:
    """Save the policy with its backtest and orders, whole or not at all; the checkpoint goes when all is there."""
    names = {"Backtest on the held-out periods": "backtest.csv", "By node": "nodes.csv", "Orders now": "orders.csv"}
    described = artifact.Artifact(
        kind="policy", slug="hdpo", architecture=f"methods.hdpo:{type(policy).__name__}", arguments=policy.arguments,
        made_by=dict(made_by),
        spaces={"input": "InventoryState", "output": "orders an edge, in the demand's unit", **world},
    )  # fmt: skip
    with new_folder(output) as folder:
        files = {names[title]: _csv(rows) for title, rows in application.tables.items()}
        artifact.save(folder, described, weights=policy.state_dict(), files=files)
    if partial is not None:
        shutil.rmtree(partial, ignore_errors=True)
    holds = {
        "artifact.json": "what the policy is and what made it", artifact.WEIGHTS: "its weights",
        **{names[title]: title.lower() for title in application.tables},
    }  # fmt: skip
    return Application("hdpo", application.headline, application.tables, application.notes, holds, output)


def _world(task: _Task) -> dict[str, Any]:
    """The held-out periods as a world that `livepapers evaluate` rebuilds; nothing for records too long to carry."""
    if task.table.values.numel() > MOST_CARRIED:
        return {}
    arguments = {
        "network": task.network.to_json(), "demand": task.table.values.T.tolist(), "known": task.dev_from,
        "first": task.test_from - task.history, "history": task.history,
        "horizon": min(WINDOW, len(task.table.periods) - task.test_from),
    }  # fmt: skip
    return {"task": {"name": "inventory", "arguments": arguments}}


def _csv(rows: Any) -> str:
    lines = [list(rows[0]), *([("" if value is None else value) for value in row.values()] for row in rows)]
    return "".join(",".join(f'"{cell}"' if "," in str(cell) else str(cell) for cell in line) + "\n" for line in lines)


def _read_state(path: Path, task: _Task) -> InventoryState:
    """Today's stock: rows node, arrives_in, quantity."""
    columns = ("node", "arrives_in", "quantity")
    rows = read_table(path, option="--state", required=columns, numbers=columns[1:])
    longest = {node.name: 0 for node in task.network.nodes}
    for edge in task.network.edges:
        longest[edge.target] = max(longest[edge.target], edge.lead_time)
    pipeline = torch.zeros(1, len(task.network.nodes), task.lead)
    seen: set[tuple[str, int]] = set()
    for line, (name, when, quantity) in enumerate(zip(*(rows[column].tolist() for column in columns), strict=True), 2):
        where = f"--state {path.name} line {line}"
        if name not in longest:
            cause = "the outside supplier has no stock" if name == SUPPLIER else "is the name misspelt?"
            raise InputError.of(f"{where}: node", name, expected=f"one of {', '.join(longest)}", cause=cause)
        if when != int(when) or not 0 <= when < longest[name]:
            expected = f"0 (on hand) to {longest[name] - 1} periods"
            raise InputError.of(f"{where}: arrives_in", when, expected=expected, cause="no order travels longer")
        store = task.network.nodes[task.network.node_index[name]].kind == "store"
        if quantity < 0 and not (when == 0 and store and task.network.unmet == "backlog"):
            cause = "only stores with backlog may owe"
            raise InputError.of(f"{where}: quantity", quantity, expected="a number >= 0", cause=cause)
        if (name, int(when)) in seen:
            raise InputError.of(where, f"{name} in {int(when)} again", expected="each node and arrival once")
        seen.add((name, int(when)))
        pipeline[0, task.network.node_index[name], int(when)] = quantity
    past: Tensor = task.table.values[-task.history :].T[None]
    return task.simulator.start(pipeline, history=past, period=torch.tensor([len(task.table.periods)]))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
