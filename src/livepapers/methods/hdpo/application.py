"""hdpo on a user's own network and demand: a trained policy, a backtest, and today's orders."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from livepapers.core import artifact, loop
from livepapers.core.application import Application, Row, options_checked, to_csv
from livepapers.core.errors import Diverged, InputError
from livepapers.core.files import check_output_folder, new_folder, sha256, unfinished
from livepapers.core.rng import Seed
from livepapers.methods.hdpo import training
from livepapers.methods.hdpo.policies import Policy
from livepapers.methods.hdpo.problem import Task, read, read_state
from livepapers.methods.hdpo.starts import BestOfStarts
from livepapers.methods.hdpo.training import PolicyName
from livepapers.tasks.inventory import InventoryPolicy, InventoryState, Rollout


@options_checked
def apply(
    network: Path,
    demand: Path,
    *,
    policy: PolicyName = "auto",
    updates: int = 600,
    seed: Seed = 0,
    state: Path | None = None,
    output: Path | None = None,
) -> Application:
    """Train an ordering policy on your own network and demand, backtest it, and give today's orders.

    The first 60 % of the periods train, the next 20 % choose the weights, the last 20 % are held out: the backtest
    compares the policy there with newsvendor levels, fixed and rolling, trained base-stock levels and, for one store, a
    quantile forecast, all of them tuned on what is known before.

    Args:
        network: Stores, warehouses and lead times: a YAML or JSON file with nodes, edges, unmet and objective.
        demand: CSV with columns store, period, quantity, or period and one column a store; without gaps.
        policy: gnn (graph network), mlp (plain network), auto (mlp for one store, else gnn), or the rules base-stock,
            capped-base-stock, echelon.
        updates: Gradient steps; mlp with warehouses is tried from three starts, a hundred steps each, and the best of
            them on the dev part goes on.
        seed: Of initial weights and training windows.
        state: CSV with columns node, arrives_in, quantity: today's stock (arrives_in 0) and what is on order, the
            periods until it arrives; the stock at the end of the backtest when left out.
        output: Folder for the policy, the backtest and the orders; nothing is written when left out. An interrupted
            run leaves a folder of that name with .partial behind and goes on from there.

    Returns:
        Cost by policy and by node on the held-out periods, and the orders for today.

    Raises:
        InputError: One line that names file, field, value and likely cause; nothing was written.
        Diverged: The training was never finite on the dev part; nothing was written.

    Examples:
        livepapers apply hdpo --network net.yml --demand sales.csv --output orders
        livepapers apply hdpo --network net.yml --demand sales.csv --state today.csv --policy base-stock
    """
    _check_numbers(updates, seed)
    if output is not None:
        check_output_folder(output)
    task = read(network, demand)
    today = None if state is None else read_state(state, task)
    policy = training.default_policy(task.network) if policy == "auto" else policy
    policies = [training.make_policy(task, policy, seed, start=i) for i in range(training.starts(task.network, policy))]
    learners = [training.make_learner(task, one, seed=seed, updates=updates) for one in policies]
    learner = BestOfStarts(learners)
    made_by = {"policy": policy, "seed": seed, "updates": updates, "network": sha256(network), "demand": sha256(demand)}
    fingerprint = hashlib.sha256(json.dumps(["hdpo", 3, made_by], sort_keys=True).encode()).hexdigest()
    with unfinished(output) as partial:
        stopped = _train(learner, policy, folder=partial, fingerprint=fingerprint)
        learner.best_policy()
        trained = policies[learner.learners.index(learner.chosen)].eval()
        results = _backtest(task, {policy: trained, **training.rules(task, policy, seed=seed, updates=updates)})
        state_now = results[policy].final if today is None else today
        tables = _tables(task, results, orders=_orders(task, trained, state_now))
        notes = (*stopped, *_notes(task, today_given=today is not None))
        application = Application("hdpo", _headline(task, policy, results), tables, notes)
        return application if output is None else _write(application, output, trained, made_by, world=task.world())


def _train(learner: BestOfStarts, name: str, *, folder: Path | None, fingerprint: str) -> tuple[str, ...]:
    """Train to the end; where that diverges, a note, as long as there are weights from before that were checked."""
    try:
        loop.drive(learner, learner.updates, name=name, folder=folder, fingerprint=fingerprint)
    except Diverged as error:
        if not math.isfinite(learner.chosen.selection.best_cost):
            raise
        return (f"{error}; the policy has the best weights from before", *_dropped(learner))
    return _dropped(learner)


def _dropped(learner: BestOfStarts) -> tuple[str, ...]:
    """Says which starts diverged: the best of those left is what goes on."""
    if not learner.dropped:
        return ()
    return (f"{len(learner.dropped)} of {len(learner.learners)} starts diverged and were dropped",)


def _check_numbers(updates: int, seed: int) -> None:
    if not 1 <= updates <= 10_000_000:
        raise InputError.of("updates", updates, expected="a whole number from 1 to 10,000,000")
    if not 0 <= seed < 2**63:
        raise InputError.of("seed", seed, expected="a whole number >= 0")


@torch.no_grad()
def _backtest(task: Task, policies: Mapping[str, InventoryPolicy]) -> dict[str, Rollout]:
    test = task.replay(task.test_from, len(task.table.periods))
    return {
        name: task.simulator.rollout(policy, state=test.state, demand=test.demand, detail=True)
        for name, policy in policies.items()
    }


@torch.no_grad()
def _orders(task: Task, policy: Policy, state: InventoryState) -> list[Row]:
    orders = policy(state)[0].tolist()
    return [
        {"from": edge.source, "to": edge.target, "order": round(order, 3), "arrives in": edge.lead_time}
        for edge, order in zip(task.network.edges, orders, strict=True)
    ]


def _cost(task: Task, rollout: Rollout) -> float:
    """Cost a period on the held-out periods, the first lead time left out."""
    return rollout.costs[0, task.lead :].double().mean().item()


def _tables(task: Task, results: Mapping[str, Rollout], *, orders: list[Row]) -> dict[str, list[Row]]:
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


def _headline(task: Task, chosen: str, results: Mapping[str, Rollout]) -> str:
    costs = {name: _cost(task, rollout) for name, rollout in results.items()}
    rival = min((name for name in costs if name != chosen), key=lambda name: costs[name])
    difference = abs(costs[chosen] - costs[rival])
    share = f"{100.0 * difference / abs(costs[rival]):.1f} %" if costs[rival] else f"{difference:,.4g}"
    profit = task.network.objective == "profit"
    word, sign = ("profit", -1.0) if profit else ("cost", 1.0)
    ours, theirs = f"{sign * costs[chosen]:,.4g}", f"{sign * costs[rival]:,.4g}"
    where = f"a period on {len(task.table.periods) - task.test_from - task.lead} held-out periods"
    if costs[chosen] < costs[rival]:
        best = f"the best of {len(costs) - 1} rules ({rival}, {theirs})"
        return f"{chosen}: {word} {ours} {where}, {share} {'more' if profit else 'less'} than {best}"
    return f"a rule wins ({rival}): {word} {theirs} {where}, {chosen} {ours}, {share} {'less' if profit else 'more'}"


def _notes(task: Task, *, today_given: bool) -> tuple[str, ...]:
    labels = task.table.periods
    rules, known = labels[task.rules_from], labels[task.test_from - 1]
    notes = [
        f"networks train on {labels[0]} to {labels[task.dev_from - 1]}, their weights are chosen up to {known}; "
        f"trained levels rest on {rules} to {known}; held out from {labels[task.test_from]} to {labels[-1]}",
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
    policy: Policy,
    made_by: Mapping[str, Any],
    *,
    world: dict[str, Any],
) -> Application:
    """Save the policy with its backtest and orders, whole or not at all."""
    names = {"Backtest on the held-out periods": "backtest.csv", "By node": "nodes.csv", "Orders now": "orders.csv"}
    described = artifact.Artifact(
        kind="policy", slug="hdpo", architecture=f"methods.hdpo:{type(policy).__name__}", arguments=policy.arguments,
        made_by=dict(made_by),
        spaces={"input": "InventoryState", "output": "orders an edge, in the demand's unit", **world},
    )  # fmt: skip
    with new_folder(output) as folder:
        files = {names[title]: to_csv(rows) for title, rows in application.tables.items()}
        artifact.save(folder, described, weights=policy.state_dict(), files=files)
    holds = {
        "artifact.json": "what the policy is and what made it", artifact.WEIGHTS: "its weights",
        **{names[title]: title.lower() for title in application.tables},
    }  # fmt: skip
    return Application("hdpo", application.headline, application.tables, application.notes, holds, output)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
