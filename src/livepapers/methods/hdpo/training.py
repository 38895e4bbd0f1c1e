"""What `apply` trains on a user's problem: the policy of their choice, and the rules that it is compared with."""

from typing import Literal, TypeAlias

import torch

from livepapers.baselines import base_stock, newsvendors, tuned_newsvendor
from livepapers.core import loop
from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.methods.hdpo.graph import GraphPolicy
from livepapers.methods.hdpo.learner import Config, HindsightPolicyOptimization
from livepapers.methods.hdpo.policies import BaseStockPolicy, EchelonStockPolicy, Policy, VanillaPolicy
from livepapers.methods.hdpo.problem import WINDOW, Task
from livepapers.tasks.inventory import InventoryNetwork, InventoryPolicy
from livepapers.tasks.scenarios import fixed, fresh

PolicyName: TypeAlias = Literal["auto", "mlp", "gnn", "base-stock", "capped-base-stock", "echelon"]

STARTS = 3
FORECASTER_STEPS = 1500  # at most; three for each update of the policy, as in the study


def default_policy(network: InventoryNetwork) -> PolicyName:
    """What `auto` means: a lone store has no structure for a graph network to use, and the plain one trains faster."""
    return "mlp" if len(network.nodes) == 1 else "gnn"


def starts(network: InventoryNetwork, name: str) -> int:
    """From how many initial weights a policy is tried: shares of a warehouse's stock have local optima."""
    return STARTS if name == "mlp" and len(network.warehouses) else 1


def make_policy(task: Task, name: str, seed: int, *, start: int = 0) -> Policy:
    """An untrained policy, of start 0, 1, ...; base-stock levels start where the newsvendor's are."""
    mean = task.simulator.demand.mean[0].clamp(min=0.0).tolist()
    if name == "echelon":
        return EchelonStockPolicy(task.network, mean)
    if name in {"base-stock", "capped-base-stock"}:
        rule = BaseStockPolicy(task.network, mean, capped=name == "capped-base-stock")
        with torch.no_grad():
            rule.levels.copy_(task.newsvendor_levels[task.network.edge_target] / rule.unit)
        return rule
    stream = make_generator(seed, "hdpo", "apply", "weights", *([start] if start else []))
    kind = GraphPolicy if name == "gnn" else VanillaPolicy
    return kind(
        task.network, mean, lead=task.lead, features="series", history=task.history, season=task.season,
        generator=stream,
    )  # fmt: skip


def make_learner(task: Task, policy: Policy, *, seed: int, updates: int) -> HindsightPolicyOptimization:
    """Networks train on windows of the training part and are chosen on the dev part.

    Rules have a number or two a node, which need no part of their own to be chosen on: they train on all that is known
    before the test, or on its recent part where that served the newsvendor better.
    """
    config = replace(
        Config(), updates=updates, batch=64, periods=task.train.horizon, dev_ignore=task.lead,
        dev_periods=task.test_from - task.dev_from, clip_norm=1.0,
    )  # fmt: skip
    stream = make_generator(seed, "hdpo", "apply", "windows")
    if not isinstance(policy, (BaseStockPolicy, EchelonStockPolicy)):
        return HindsightPolicyOptimization(
            task.train, policy, config=config, train=fresh(task.train, periods=config.periods),
            dev=task.replay(task.dev_from, task.test_from), generator=stream,
        )  # fmt: skip
    known = task.replay(task.rules_from, task.test_from, window=WINDOW)
    config = replace(config, batch=len(known.demand), learning_rate=0.1)
    return HindsightPolicyOptimization(
        task.simulator, policy, config=config, train=fixed(known), dev=task.replay(task.rules_from, task.test_from),
        generator=stream,
    )  # fmt: skip


def rules(task: Task, chosen: str, *, seed: int, updates: int) -> dict[str, InventoryPolicy]:
    """The rules that the policy is compared with, each tuned on all that is known before the test."""
    made: dict[str, InventoryPolicy] = {
        "newsvendor levels": base_stock.policy(task.network, task.newsvendor_levels),
        "rolling newsvendor": _rolling_newsvendor(task),
    }
    one_supplier_each = len(task.network.edges) == len(task.network.nodes)
    if one_supplier_each and chosen != "base-stock":
        rule = make_policy(task, "base-stock", seed)
        learner = make_learner(task, rule, seed=seed, updates=updates)
        loop.drive(learner, updates, name="base-stock")
        learner.best_policy()
        made["base-stock"] = rule
    if len(task.network.nodes) == 1 and one_supplier_each:
        made["quantile newsvendor"] = _quantile_newsvendor(task, seed=seed, updates=updates)
    return made


def _rolling_newsvendor(task: Task) -> InventoryPolicy:
    best = tuned_newsvendor.tune(
        task.simulator, task.table.values, first=task.dev_from, last=task.test_from, ignore=task.lead, rolling=True
    )
    table = tuned_newsvendor.level_table(task.network, task.table.values, window=best.window, safety=best.safety)
    return tuned_newsvendor.policy(task.network, table)


def _quantile_newsvendor(task: Task, *, seed: int, updates: int) -> InventoryPolicy:
    """Order up to the p / (p + h) quantile of a forecast; trained like the networks, weights chosen on the dev part."""
    panel, lead, season = task.table.panel(known=task.dev_from), task.network.lead_time, task.table.calendar()
    forecaster = newsvendors.fit_forecaster(
        panel.between(0, task.dev_from), lead, generator=make_generator(seed, "hdpo", "apply", "forecaster"),
        season=season, check=panel.between(task.dev_from - task.history, task.test_from), history=task.history,
        steps=min(FORECASTER_STEPS, 3 * updates),
    )  # fmt: skip
    table = newsvendors.forecast_table(forecaster, panel, lead, season=season)
    return newsvendors.policy(table, newsvendors.identity)
