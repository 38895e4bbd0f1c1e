"""What a trained schedule policy is worth: its two ways to act, the rules beside it, and the hindsight bound."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from livepapers.baselines.lot_sizing_hindsight import Bound, hindsight_bounds
from livepapers.baselines.lot_sizing_rules import LOOK_AHEADS, GreedyRule, idle, tuned
from livepapers.core import loop
from livepapers.core.rng import generator as make_generator
from livepapers.methods.pdppo.learner import PostDecisionPPO
from livepapers.methods.pdppo.objectives import Aggregate
from livepapers.tasks.lot_sizing import LotSizing, LotSizingRollout, PlantPolicy, Scenario

TUNING_PATHS, CHOOSING_PATHS, FRESH_PATHS = 64, 64, 100
LONGEST = 500  # periods of the comparison: rules take a millisecond a period, and a long plant would be silent for long
SOLVED = 1e-6  # of the cost, between a schedule and its bound
LIKELIEST, SAMPLED = "most likely actions", "sampled actions"
RULE = "look-ahead rule"
NAMES: Mapping[Aggregate, str] = {
    "max": "pdppo", "sum": "pdppo, sum", "min": "pdppo, min", "one_critic": "pdppo, one critic", "ppo": "ppo",
    "ppo2": "ppo, two critics", "afterstate": "afterstate",
}  # fmt: skip
"""What is trained, by aggregate."""

Maker = Callable[[str], PlantPolicy]
"""A policy for a purpose, which names the stream that actions are drawn from: other comparisons draw others."""


@dataclass(frozen=True)
class Judged:
    """Everything is measured on the same paths; `bounds` belong to the first of them, cut at `periods`."""

    ours: str  # what was trained
    way: str  # how it acts: `LIKELIEST` or `SAMPLED`
    ways: Mapping[str, float]  # cost of both, on the paths that chose
    policies: Mapping[str, Maker]
    costs: Mapping[str, LotSizingRollout]  # on `span` periods
    short: Mapping[str, LotSizingRollout]  # on the bound's paths
    bounds: Sequence[Bound]
    least: np.ndarray  # [paths of the bounds] the least cost that is known of each
    look_ahead: int
    span: int  # periods of the comparison
    periods: int  # of the bound's paths

    def cost(self, name: str) -> float:
        """Mean cost of a policy on the fresh paths."""
        return float(self.costs[name].cost.mean())

    @property
    def rival(self) -> str:
        """The cheapest of the rules."""
        return min((name for name in self.costs if name != self.ours), key=self.cost)

    @property
    def winner(self) -> str:
        """What the schedule is made by: a rule wins a draw, as it needs no training."""
        return self.rival if self.cost(self.rival) <= self.cost(self.ours) else self.ours

    @property
    def bound(self) -> float | None:
        """The mean bound of a path; None without any."""
        return float(np.mean([one.bound for one in self.bounds])) if self.bounds else None


def judge(
    simulator: LotSizing, learner: PostDecisionPPO, *, seed: int, paths: int, periods: int, seconds: float
) -> Judged:
    """Choose how the policy acts, tune the rule, and compare all on fresh paths; each on paths of its own.

    Args:
        simulator: The plant.
        learner: What was trained in it.
        seed: Of paths and drawn actions.
        paths: Of the hindsight bound.
        periods: Of these.
        seconds: Of its solver, a path.
    """
    span = min(simulator.horizon, LONGEST)

    def drawn(name: str, count: int) -> Scenario:
        return simulator.scenarios(count, make_generator(seed, "pdppo", "apply", name), periods=span)

    ways, rule = _ways(simulator, learner, seed), _tuned(simulator, drawn("tuning", TUNING_PATHS))
    choosing = drawn("choosing", CHOOSING_PATHS)
    tried = {name: float(simulator.rollout(make("choosing"), choosing).cost.mean()) for name, make in ways.items()}
    way, ours = min(tried, key=lambda name: tried[name]), NAMES[learner.config.aggregate]
    policies: dict[str, Maker] = {
        ours: ways[way], RULE: lambda _: rule, "myopic rule": lambda _: GreedyRule(simulator), "idle": lambda _: idle
    }  # fmt: skip
    fresh = drawn("fresh", FRESH_PATHS)
    few = Scenario(type(fresh.state)(*(part[:paths] for part in fresh.state)), fresh.demand[:paths, :periods])
    whole = {
        name: simulator.rollout(policies[name]("fresh"), fresh) for name in loop.counted([*policies], name="comparison")
    }
    short = {name: simulator.rollout(make("few"), few) for name, make in policies.items()} if paths else {}
    bounds = hindsight_bounds(simulator.plant, few, paths=paths, seconds=seconds)
    least = _least_known(simulator, few, bounds, short) if bounds else np.zeros(0)
    return Judged(ours, way, tried, policies, whole, short, bounds, least, rule.look_ahead, span, periods)


def share(cost: float, of: float) -> float | None:
    """By how much a cost is above another, %; None where that is so small beside it that no share says anything."""
    return None if of <= 0.0 or cost > 1000.0 * of else round(100.0 * (cost / of - 1.0), 1)


def above_bound(bounds: Sequence[Bound], least: np.ndarray) -> float | None:
    """By how much the true least cost may lie above the bounds, %: it is no more than the least that is known.

    Args:
        bounds: Of the paths.
        least: `[paths]` the least cost that anything had on each.

    Returns:
        None where `share` has none.
    """
    known, bound = float(least.sum()), sum(one.bound for one in bounds)
    return 0.0 if bound >= (1.0 - SOLVED) * known else share(known, bound)


def _least_known(
    simulator: LotSizing, scenario: Scenario, bounds: Sequence[Bound], short: Mapping[str, LotSizingRollout]
) -> np.ndarray:
    """`[paths]` the least cost of all policies and of the solver's schedule, which the simulator has the last word on.

    The solver's program may throw units away, so that what it says of its schedule is too little.
    """
    periods, machines = scenario.demand.shape[1], len(simulator.plant.machines)
    idling = np.zeros((periods, machines), dtype=np.int64)
    schedules = np.stack([idling if one.actions is None else one.actions for one in bounds], 1)
    steps = iter(torch.from_numpy(schedules))
    replayed = simulator.rollout(lambda _: next(steps), scenario).cost
    return torch.stack([replayed, *(each.cost for each in short.values())]).amin(0).double().numpy()


def _ways(simulator: LotSizing, learner: PostDecisionPPO, seed: int) -> dict[str, Maker]:
    """The policy's two ways to act; the first of equals is taken, and the likeliest actions need no luck."""
    policy = learner.policy.eval()

    def likeliest(_: str) -> PlantPolicy:
        return lambda state: policy(simulator.observe(state))

    def sampled(purpose: str) -> PlantPolicy:
        stream = make_generator(seed, "pdppo", "apply", "actions", purpose)
        return lambda state: policy.over(simulator.observe(state), simulator.mask(state)).sample(stream)

    return {LIKELIEST: likeliest, SAMPLED: sampled}


def _tuned(simulator: LotSizing, scenario: Scenario) -> GreedyRule:
    """The look-ahead rule; the listener sees each look-ahead that is tried."""
    costs: dict[int, float] = {}
    for periods in loop.counted(LOOK_AHEADS, name="tuning the look-ahead rule"):
        costs |= tuned(simulator, scenario, look_aheads=(periods,))[1]
    return GreedyRule(simulator, min(costs, key=costs.__getitem__))
