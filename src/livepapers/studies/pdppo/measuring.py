"""How a cell of the pdppo study is measured."""

from typing import Any

import numpy as np
import torch

from livepapers.baselines import lake_optimum
from livepapers.baselines.lot_sizing_hindsight import hindsight_bounds
from livepapers.baselines.lot_sizing_rules import GreedyRule, idle, tuned, uniform
from livepapers.core.config import replace
from livepapers.core.rng import generator
from livepapers.lab.study import Run, Setting
from livepapers.methods import pdppo
from livepapers.studies.pdppo.design import BUDGETS, LEARNERS, Budget
from livepapers.studies.pdppo.instances import cut, lake, paths, simulator
from livepapers.tasks.lot_sizing import LotSizing, PlantPolicy
from livepapers.tasks.slippery_lake import SlipperyLake

EVALUATIONS = 20
"""Points of a learning curve."""

BOUND_SECONDS = 3600.0
"""A path's guard against a solver that hangs; nodes, which are the same on every machine, are to stop it before."""


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    budget = BUDGETS[setting.parameters["world"], preset]
    if setting.parameters["world"] == "lake":
        return _on_the_lake(arm, setting, seed, budget, run)
    return _in_the_plant(arm, setting, seed, budget, run)


def config_of(arm: str, setting: Setting, budget: Budget) -> pdppo.Config:
    """An arm's training settings: the budget is equal, what differs is in `LEARNERS`."""
    on_lake = setting.parameters["world"] == "lake"
    usual = pdppo.Config(
        lanes=budget.lanes, steps=budget.steps, updates=budget.updates, activation="tanh" if on_lake else "relu",
        discount=setting.parameters["discount"], reward_scale=1.0 if on_lake else 0.01, **budget.learning,
    )  # fmt: skip
    return replace(usual, **LEARNERS[arm])


def _in_the_plant(arm: str, setting: Setting, seed: int, budget: Budget, run: Run) -> dict[str, float]:
    """Cost of an episode on the common test paths, and of their first periods beside the hindsight bound."""
    p = setting.parameters
    sim = simulator(p["items"], p["machines"], observe_setup=p["observe_setup"])
    test = paths(sim, "test", budget.paths)
    short = cut(test, count=budget.bounds, periods=budget.bound_periods)
    if arm == "hindsight bound":
        found = hindsight_bounds(sim.plant, short, paths=budget.bounds, seconds=BOUND_SECONDS, nodes=budget.bound_nodes)
        run.samples("bound", np.array([one.bound for one in found]))
        return {
            "cost_early": float(np.mean([one.bound for one in found])),
            "solver_gap": float(np.mean([one.gap for one in found])),
        }
    policy, metrics = _policy(arm, sim, budget, run)
    if policy is None:
        learner = _train(arm, setting, seed, budget, run, sim)
        policy = _sampling(learner, sim, run.generator("test actions"))
        best = sim.rollout(lambda state: learner.policy(sim.observe(state)), test)
        metrics["cost_greedy"] = float(best.cost.mean())
    rollout = sim.rollout(policy, test)
    run.spend(test_periods=budget.paths * sim.horizon)
    run.samples("cost", rollout.cost.numpy())
    return {
        **metrics, "cost": float(rollout.cost.mean()), "setup_cost": float(rollout.setup_cost.double().sum(1).mean()),
        "cost_early": float(sim.rollout(policy, short).cost.mean()),
    }  # fmt: skip


def _policy(arm: str, sim: LotSizing, budget: Budget, run: Run) -> tuple[PlantPolicy | None, dict[str, float]]:
    """The policy of an arm that does not learn, with what there is to say of it; None for one that does."""
    if arm == "look-ahead rule":
        rule, _ = tuned(sim, paths(sim, "tuning", budget.paths))
        return rule, {"look_ahead": float(rule.look_ahead)}
    fixed: dict[str, PlantPolicy] = {"myopic rule": GreedyRule(sim), "idle": idle}
    if arm == "uniform":
        return uniform(sim, run.private_generator("uniform")), {}
    return fixed.get(arm), {}


def _on_the_lake(arm: str, setting: Setting, seed: int, budget: Budget, run: Run) -> dict[str, float]:
    """Exact mean reward of an episode on the seed's map, and its share of the exact optimum."""
    world = lake(seed, size=setting.parameters["size"])
    best = float(lake_optimum.optimum(world).value[0, 0])
    if arm == "optimum":
        return {"reward": best, "share": 1.0}
    everywhere = torch.arange(world.tiles)
    if arm == "uniform":
        reward = lake_optimum.expected_reward(world, torch.full((world.tiles, 4), 0.25))
        return {"reward": reward, "share": reward / best}
    learner = _train(arm, setting, seed, budget, run, world)
    with torch.no_grad():
        greedy = torch.nn.functional.one_hot(learner.policy(world.observe(everywhere)), 4)
    reward = lake_optimum.expected_reward(world, _probabilities(learner, world))
    decided = lake_optimum.expected_reward(world, greedy)
    return {"reward": reward, "share": reward / best, "share_greedy": decided / best}


def _train(
    arm: str, setting: Setting, seed: int, budget: Budget, run: Run, world: LotSizing | SlipperyLake
) -> pdppo.PostDecisionPPO:
    """Train an arm. Its curve is that of the sampling policy, which is what the paper's logs show."""
    config = config_of(arm, setting, budget)
    learner = pdppo.PostDecisionPPO(world, config=config, seed=seed)
    every = max(1, config.updates // EVALUATIONS)
    curve = paths(world, "curve", max(1, budget.paths // 4)) if isinstance(world, LotSizing) else None

    def evaluate(step: int) -> dict[str, float] | None:
        if step % every and step != config.updates:
            return None
        if isinstance(world, LotSizing) and curve is not None:
            policy = _sampling(learner, world, generator(seed, "pdppo", "curve actions", step))
            value = float(world.rollout(policy, curve).cost.mean())
        else:
            value = lake_optimum.expected_reward(world, _probabilities(learner, world))  # type: ignore[arg-type]
        return {"curve": value, "advantage": learner.latest["advantage"], "entropy": learner.latest["entropy"]}

    run.drive(learner, config.updates, evaluate=evaluate)
    run.artifact("policy", learner.artifact(arm=arm, setting=setting.name), weights=learner.policy.state_dict())
    return learner


def _sampling(learner: pdppo.PostDecisionPPO, sim: LotSizing, stream: torch.Generator) -> PlantPolicy:
    return lambda state: learner.policy.over(sim.observe(state), sim.mask(state)).sample(stream)


@torch.no_grad()
def _probabilities(learner: pdppo.PostDecisionPPO, world: SlipperyLake) -> torch.Tensor:
    """`[tile, 4]`."""
    over: Any = learner.policy.over(world.observe(torch.arange(world.tiles)))
    return over.log_probs[:, 0].exp()
