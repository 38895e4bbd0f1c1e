"""Claims of the pdppo study, fixed before its run."""

from collections.abc import Callable

import numpy as np

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects
from livepapers.studies.pdppo.design import LAKES, PLANTS, SHOWN

SCALE = (
    "paper: 1,000,000 steps in plants (20 seeds), 200,000 on one lake (30 seeds), 40 to 50 epochs a collection; ours: "
    "300,800 steps in plants, 200,000 on ten lakes, ten seeds each, one pass over the same window of six collections, "
    "the same 128-128 networks"
)
WORTH = "0 is no difference; 5 % of the cost is the least that a planner would change the method for"
Value = Callable[[Cells, str, str, int], float]


def final_cost(cells: Cells, arm: str, setting: str, seed: int) -> float:
    """Cost of the sampling policy on the test paths."""
    return cells.value("cost", arm=arm, setting=setting, seed=seed)


def greedy_cost(cells: Cells, arm: str, setting: str, seed: int) -> float:
    """Cost of the most likely actions on the test paths."""
    return cells.value("cost_greedy", arm=arm, setting=setting, seed=seed)


def best_cost(cells: Cells, arm: str, setting: str, seed: int) -> float:
    """The least cost along the curve."""
    return float(cells.curve("curve", arm=arm, setting=setting, seed=seed)[1].min())


def mean_curve(cells: Cells, arm: str, setting: str, seed: int) -> float:
    """The mean of the curve: the area under it, a step."""
    return float(cells.curve("curve", arm=arm, setting=setting, seed=seed)[1].mean())


def worst_drop(cells: Cells, arm: str, setting: str, seed: int) -> float:
    """How far the cost rises above its running best, at most, as a share of that best: the collapses."""
    values = cells.curve("curve", arm=arm, setting=setting, seed=seed)[1]
    best = np.minimum.accumulate(values)
    return float(((values - best) / np.maximum(best, 1e-9)).max())


def saving(value: Value, ours: str, other: str, settings: tuple[str, ...]) -> Callable[[Cells], Effects]:
    """Per pair, how much less our arm costs than the other, %."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"{setting}/seed {seed}": 100.0
            * (1.0 - value(cells, ours, setting, seed) / value(cells, other, setting, seed))
            for setting in settings
            for seed in cells.seeds(setting=setting, arms=(ours, other))
        }

    return statistic


def difference(metric: Value, ours: str, other: str, settings: tuple[str, ...]) -> Callable[[Cells], Effects]:
    """Per pair, our arm's figure minus the other's."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"{setting}/seed {seed}": metric(cells, ours, setting, seed) - metric(cells, other, setting, seed)
            for setting in settings
            for seed in cells.seeds(setting=setting, arms=(ours, other))
        }

    return statistic


def share(cells: Cells, arm: str, setting: str, seed: int) -> float:
    """Exact mean reward of the sampling policy over the exact optimum of the map, %."""
    return 100.0 * cells.value("share", arm=arm, setting=setting, seed=seed)


def largest_saving(cells: Cells) -> Effects:
    """Per seed, the saving at the best point of the curve, in the plant where the *other* seeds save most on average.

    A plant chosen by the seeds that are then tested would show a saving where there is none.
    """
    by_plant = {name: saving(best_cost, "pdppo", "ppo", (name,))(cells) for name in PLANTS}
    saved = {
        name: {pair.rpartition("seed ")[2]: value for pair, value in effects.items()}
        for name, effects in by_plant.items()
        if effects
    }
    if not saved:
        return {}
    common = sorted(set.intersection(*(set(of_plant) for of_plant in saved.values())), key=int)
    if len(common) < 2:
        return {}

    def elsewhere(name: str, seed: str) -> float:
        return float(np.mean([saved[name][other] for other in common if other != seed]))

    return {f"seed {seed}": saved[max(saved, key=lambda name: elsewhere(name, seed))][seed] for seed in common}


def spread(cells: Cells) -> Effects:
    """Per pair, |cost - its arm's mean over seeds| of ppo less that of pdppo, % of ppo's mean cost (Levene's test)."""
    effects = {}
    for setting in PLANTS:
        seeds = cells.seeds(setting=setting, arms=("pdppo", "ppo"))
        costs = {arm: cells.values("cost", arm=arm, setting=setting, seeds=seeds) for arm in ("pdppo", "ppo")}
        if len(seeds) < 2:
            continue
        away = {arm: np.abs(values - values.mean()) for arm, values in costs.items()}
        scale = 100.0 / costs["ppo"].mean()
        effects |= {
            f"{setting}/seed {seed}": float(scale * (away["ppo"][k] - away["pdppo"][k])) for k, seed in enumerate(seeds)
        }
    return effects


def explained_by_the_fault(cells: Cells) -> Effects:
    """Per map, the lead of pdppo over PPO as both were released, less its lead over fair PPO, % of the optimum."""
    arms = ("pdppo", "ppo", "pdppo released", "ppo released")
    effects = {}
    for seed in cells.seeds(setting="lake", arms=arms):
        fair, method, released, faulty = (share(cells, arm, "lake", seed) for arm in ("ppo", "pdppo", *arms[2:]))
        effects[f"seed {seed}"] = (released - faulty) - (method - fair)
    return effects


def mean_advantage(cells: Cells) -> Effects:
    """Per pair, the mean advantage along training: pdppo less the sum of the two."""
    return {
        f"{setting}/seed {seed}": float(
            cells.curve("advantage", arm="pdppo", setting=setting, seed=seed)[1].mean()
            - cells.curve("advantage", arm="sum", setting=setting, seed=seed)[1].mean()
        )
        for setting in ("plant 15x5",)
        for seed in cells.seeds(setting=setting, arms=("pdppo", "sum"))
    }


def learned(settings: tuple[str, ...], arms: tuple[str, ...]) -> Callable[[Cells], str | None]:
    """A precondition: each arm costs less than uniform choice, on average over the seeds of each plant."""

    def check(cells: Cells) -> str | None:
        for setting in settings:
            floor = cells.values("cost", arm="uniform", setting=setting)
            for arm in arms:
                costs = cells.values("cost", arm=arm, setting=setting)
                if len(costs) and len(floor) and costs.mean() >= floor.mean():
                    return f"{arm} did not learn in {setting}: cost {costs.mean():.4g}, uniform {floor.mean():.4g}"
        return None

    return check


VARIANTS = ("plant 15x5",)
BOTH = ("pdppo", "ppo")


def _variant(
    claim_id: str, rival: str, statement: str, where: str, *, published: str = "direction only", headline: bool = False
) -> Claim:
    return Claim(
        claim_id, statement, where, published, f"final cost saved by pdppo against {rival}, %",
        saving(final_cost, "pdppo", rival, VARIANTS), "seed x setting", ("pdppo", rival), VARIANTS, "greater",
        WORTH, SCALE, margin=5.0, headline=headline, precondition=learned(VARIANTS, ("pdppo",)),
    )  # fmt: skip


CLAIMS = (
    Claim(
        "C1", "In specific scenarios PDPPO reaches up to nearly twice the largest reward of PPO.",
        "abstract", "nearly double",
        "least cost along training saved against fair PPO, in the plant where the other seeds save most, %",
        largest_saving, "seed", BOTH, PLANTS, "greater",
        "25 % on at least one instance: rewards are negative, so twice the reward has no fixed meaning; each seed's "
        "plant is chosen by the other seeds", SCALE, margin=25.0, headline=True, precondition=learned(PLANTS, BOTH),
    ),
    Claim(
        "C2a", "PDPPO ends with lower cost than PPO in lot-sizing plants.",
        "experiments, lot-sizing", "curves; tables not found", "final cost saved against fair PPO, %",
        saving(final_cost, "pdppo", "ppo", PLANTS), "seed x setting", BOTH, PLANTS, "greater", WORTH, SCALE, margin=5.0,
        headline=True, precondition=learned(PLANTS, BOTH),
    ),
    Claim(
        "C2b", "PDPPO ends with higher reward than PPO on the slippery lake.",
        "experiments, lake", "curves; released logs, one seed: 3.1 against 2.5",
        "exact reward over exact optimum, pdppo less fair PPO, percentage points",
        difference(share, "pdppo", "ppo", LAKES), "seed x setting", BOTH, LAKES, "greater",
        "0 is no difference; one point of the optimum is the least worth the word", SCALE, margin=1.0, headline=True,
    ),
    Claim(
        "C2c", "PDPPO learns faster than PPO.",
        "experiments, lot-sizing", "curves", "mean cost along training saved against fair PPO, %",
        saving(mean_curve, "pdppo", "ppo", PLANTS), "seed x setting", BOTH, PLANTS, "greater", WORTH, SCALE, margin=5.0,
        precondition=learned(PLANTS, BOTH),
    ),
    Claim(
        "C2d", "PDPPO's results spread less over seeds than PPO's.",
        "experiments", "shaded curves", "distance of a run from its arm's mean, ppo less pdppo, % of ppo's mean cost",
        spread, "seed x setting", BOTH, PLANTS, "greater", "0 is no difference; 1 % of the cost is visible in a plot",
        SCALE, margin=1.0, precondition=learned(PLANTS, BOTH),
    ),
    Claim(
        "C2e", "The lead holds for the most likely actions, which are what a planner would run.",
        "our question to the experiments", "not in the paper", "cost of the likeliest actions saved against PPO, %",
        saving(greedy_cost, "pdppo", "ppo", PLANTS), "seed x setting", BOTH, PLANTS, "greater", WORTH, SCALE,
        margin=5.0, precondition=learned(PLANTS, BOTH),
    ),
    Claim(
        "C2f", "The lead holds when agents see the machines' set-ups, without which no cost can be foretold.",
        "our question to the released observation", "not in the paper", "final cost saved against fair PPO, %",
        saving(final_cost, "pdppo", "ppo", (SHOWN,)), "seed", BOTH, (SHOWN,),
        "greater", WORTH, SCALE, margin=5.0, precondition=learned((SHOWN,), BOTH),
    ),
    Claim(
        "C2g", "PPO collapses in training, PDPPO does not.",
        "released logs of the 20 x 10 plant", "PPO from -5,516 to -8,000 and below, PDPPO monotone, one seed",
        "largest rise above the best cost so far, as a share of it, ppo less pdppo",
        difference(worst_drop, "ppo", "pdppo", PLANTS), "seed x setting", BOTH, PLANTS, "greater",
        "0 is no difference; a twentieth of the cost is visible in a curve", SCALE, margin=0.05,
    ),
    _variant("C3", "one critic", "Two critics do better than one for both states.", "ablation of the critics",
             headline=True),
    _variant("C3b", "two critics", "It is the post-decision state that helps, not a second critic.", "ablation"),
    _variant("Q1", "sum", "The larger of the two advantages is better than their sum.",
             "our question", published=NOT_IN_PAPER),
    _variant("Q2", "min", "The larger of the two advantages is better than the smaller value of earlier code.",
             "our question", published=NOT_IN_PAPER),
    _variant("Q3", "afterstate", "It is better than a critic of the post-decision state alone.",
             "our question", published=NOT_IN_PAPER),
    Claim(
        "Q4", "The larger of the two advantages is biased upwards: an identity, of this size beside their sum.",
        "our question to the advantage's formula", "not in the paper",
        "mean advantage along training, pdppo less the sum, in hundreds of cost", mean_advantage, "seed x setting",
        ("pdppo", "sum"), VARIANTS, "greater",
        "0 is no difference; E max >= max E, so that it cannot fail with critics that fit; that the sum has no bias is "
        "not tested", SCALE,
    ),
    Claim(
        "Q5", "The released PPO's faulty buffer explains part of the lead that PDPPO has on the lake.",
        "our question to the released code", "not in the paper",
        "lead over the released PPO less lead over fair PPO, percentage points of the optimum", explained_by_the_fault,
        "seed", ("pdppo", "ppo", "pdppo released", "ppo released"), ("lake",), "greater",
        "0 is no part; one point of the optimum is the least worth the word", SCALE, margin=1.0,
    ),
    Claim(
        "Q6", "With the last layer alone trained, as released for plants, PDPPO leads PPO.",
        "our question to the released code", "not in the paper", "final cost saved against PPO trained likewise, %",
        saving(final_cost, "pdppo last layer", "ppo last layer", VARIANTS), "seed x setting",
        ("pdppo last layer", "ppo last layer"), VARIANTS, "greater", WORTH, SCALE, margin=5.0,
        precondition=learned(VARIANTS, ("pdppo last layer", "ppo last layer")),
    ),
    Claim(
        "Q7", "A trained PDPPO schedules better than a tuned rule of thumb.",
        "our question: what a planner would compare with", "not in the paper", "final cost saved against the rule, %",
        lambda cells: {
            f"{setting}/seed {seed}": 100.0 * (1.0 - greedy_cost(cells, "pdppo", setting, seed)
                                               / final_cost(cells, "look-ahead rule", setting, 0))
            for setting in PLANTS
            if cells.has(arm="look-ahead rule", setting=setting, seed=0)
            for seed in cells.seeds(setting=setting, arms=("pdppo",))
        },
        "seed x setting", ("pdppo", "look-ahead rule"), PLANTS, "greater", WORTH,
        f"{SCALE}; the rule reads the machines' set-ups, which the agents of these plants are not shown", margin=5.0,
    ),
)  # fmt: skip
