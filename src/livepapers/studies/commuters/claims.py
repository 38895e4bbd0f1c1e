"""Claims of the commuters study, fixed before its first run."""

from collections.abc import Callable

import numpy as np

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects
from livepapers.studies.commuters.design import FLOW_FORMULAS, LINK_FORMULAS

_PAPER = "Paper: thousands of Brazilian municipalities, 22 indicators, ten-fold cross-validation. "
_AIR = _PAPER + "Ours: 331 counties, 15 indicators, 5,531 links by air, one draw a seed."
_MIGRATION = _PAPER + "Ours: 10 provinces, 3 indicators, 90 flows, each province held out once: small, indicative only."
_ENSEMBLE = "boosting"
_DRIVERS = ("importance-flows",)


def _values(metric: str, *, arm: str, setting: str) -> Callable[[Cells], Effects]:
    def statistic(cells: Cells) -> Effects:
        seeds = cells.seeds(setting=setting, arms=[arm])
        return {f"{setting}/seed {s}": cells.value(metric, arm=arm, setting=setting, seed=s) for s in seeds}

    return statistic


def _lead(metric: str, rivals: tuple[str, ...], *, setting: str) -> Callable[[Cells], Effects]:
    """Boosting minus the best of the rivals at each seed, which favours the rivals."""

    def statistic(cells: Cells) -> Effects:
        found = {}
        for seed in cells.seeds(setting=setting, arms=[_ENSEMBLE, *rivals]):
            best = max(cells.value(metric, arm=arm, setting=setting, seed=seed) for arm in rivals)
            found[f"{setting}/seed {seed}"] = cells.value(metric, arm=_ENSEMBLE, setting=setting, seed=seed) - best
        return found

    return statistic


def _flattery(cells: Cells) -> Effects:
    """Accuracy when both places are known from other pairs, minus accuracy when neither is."""
    seeds = set(cells.seeds(setting="air-pairs", arms=[_ENSEMBLE]))
    both = sorted(seeds & set(cells.seeds(setting="air-nodes", arms=[_ENSEMBLE])))

    def accuracy(setting: str, seed: int) -> float:
        return cells.value("accuracy", arm=_ENSEMBLE, setting=setting, seed=seed)

    return {f"seed {seed}": accuracy("air-pairs", seed) - accuracy("air-nodes", seed) for seed in both}


def _calibration(cells: Cells) -> Effects:
    """Mean corrected probability over the share of links, as a binary logarithm."""
    found = {}
    for seed in cells.seeds(setting="air-pairs", arms=[_ENSEMBLE]):
        mean, true = (
            cells.value(name, arm=_ENSEMBLE, setting="air-pairs", seed=seed) for name in ("mean_probability", "density")
        )
        found[f"air-pairs/seed {seed}"] = float(np.log2(mean / true))
    return found


def _distance_first(cells: Cells) -> Effects:
    found = {}
    setting = _DRIVERS[0]
    names = [name for name in cells.names(arm=_ENSEMBLE, setting=setting) if name.startswith("importance ")]
    for seed in cells.seeds(setting=setting, arms=[_ENSEMBLE]):
        values = {name: cells.value(name, arm=_ENSEMBLE, setting=setting, seed=seed) for name in names}
        found[f"{setting}/seed {seed}"] = values.pop("importance distance") - max(values.values())
    return found


def _few_are_enough(cells: Cells) -> Effects:
    found = {}
    for seed in cells.seeds(setting="elimination", arms=[_ENSEMBLE]):
        all_of_them, few = (
            cells.value(f"accuracy_{kept}", arm=_ENSEMBLE, setting="elimination", seed=seed) for kept in (15, 4)
        )
        found[f"elimination/seed {seed}"] = all_of_them - few
    return found


def _lead_claim(
    claim_id: str,
    metric: str,
    rivals: tuple[str, ...],
    *,
    setting: str,
    statement: str,
    where: str,
    published: str,
    margin: float,
    headline: bool = False,
) -> Claim:
    named = {"accuracy": "accuracy on balanced pairs", "auc_pr": "average precision at the true share of links"}
    return Claim(
        id=claim_id,
        statement=statement,
        where=where,
        published=published,
        effect=f"{named.get(metric, 'R^2 of ln T on held-out links')}: boosting minus the best of {', '.join(rivals)}",
        statistic=_lead(metric, rivals, setting=setting),
        unit="seed",
        arms=(_ENSEMBLE, *rivals),
        settings=(setting,),
        direction="greater",
        margin=margin,
        margin_why="a smaller lead would not pay for gathering indicators",
        scale=_MIGRATION if setting == "migration" else _AIR,
        headline=headline,
    )


CLAIMS = (
    Claim(
        id="C1a",
        statement="From indicators and distance the links of the network are told from other pairs with 90 % accuracy.",
        where="abstract; link reconstruction",
        published="90.4 % accuracy, balanced classes",
        effect="accuracy on balanced held-out pairs, boosting, the paper's split of pairs",
        statistic=_values("accuracy", arm=_ENSEMBLE, setting="air-pairs"),
        unit="seed",
        arms=(_ENSEMBLE,),
        settings=("air-pairs",),
        direction="greater",
        reference=0.904,
        margin_why="the published accuracy itself",
        scale=_AIR,
        headline=True,
    ),
    _lead_claim(
        "C1b",
        "accuracy",
        ("gravity_logit", *LINK_FORMULAS),
        setting="air-pairs",
        headline=True,
        statement="Indicators reconstruct links better than physics does, in the paper's split.",
        where="abstract; link reconstruction",
        published="better; the accuracy of physics models is not given",
        margin=0.02,
    ),
    _lead_claim(
        "C1c",
        "accuracy",
        ("gravity_logit", *LINK_FORMULAS),
        setting="air-nodes",
        headline=True,
        statement="Indicators reconstruct links better than physics does, between places that were never seen.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        margin=0.02,
    ),
    _lead_claim(
        "C1d",
        "auc_pr",
        ("gravity_logit", *LINK_FORMULAS),
        setting="air-nodes",
        statement="Between unseen places indicators beat physics at the true share of links as well.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        margin=0.05,
    ),
    _lead_claim(
        "C1e",
        "accuracy",
        ("distance_forest",),
        setting="air-nodes",
        statement="The indicators matter: distance alone does worse.",
        where="abstract; link reconstruction",
        published="indicators are needed; no number",
        margin=0.02,
    ),
    Claim(
        id="C1f",
        statement="A random split of pairs flatters: accuracy falls for places that were not seen.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="accuracy of boosting, split of pairs minus node-disjoint split",
        statistic=_flattery,
        unit="seed",
        arms=(_ENSEMBLE,),
        settings=("air-pairs", "air-nodes"),
        direction="greater",
        margin=0.02,
        margin_why="two points are what we would call flattery; the half of the places also trains on fewer "
        "pairs, which this does not take apart",
        scale=_AIR,
    ),
    Claim(
        id="C1g",
        statement="After the exact correction for balanced training, probabilities add up to the number of links.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="log2 of mean corrected probability over share of links, boosting, split of pairs",
        statistic=_calibration,
        unit="seed",
        arms=(_ENSEMBLE,),
        settings=("air-pairs",),
        direction="equal",
        margin=float(np.log2(1.25)),
        margin_why="a quarter too many or too few links is what a planner could live with",
        scale=_AIR,
    ),
    Claim(
        id="C2a",
        statement="From indicators and distance 78 % of the variance of flows on links is explained.",
        where="abstract; flows",
        published="77.6 % of the variance",
        effect="R^2 of ln carriers on held-out links, boosting, split of pairs",
        statistic=_values("r2", arm=_ENSEMBLE, setting="carriers-pairs"),
        unit="seed",
        arms=(_ENSEMBLE,),
        settings=("carriers-pairs",),
        direction="greater",
        reference=0.776,
        margin_why="the published share itself; carriers a link are coarser (1 to 7) than commuters",
        scale=_AIR,
    ),
    _lead_claim(
        "C2b",
        "r2",
        FLOW_FORMULAS,
        setting="carriers-pairs",
        headline=True,
        statement="Indicators explain more of the flows than physics does, in the paper's split.",
        where="abstract; flows",
        published="more; the share of physics models is not given",
        margin=0.05,
    ),
    _lead_claim(
        "C2c",
        "r2",
        FLOW_FORMULAS,
        setting="carriers-nodes",
        headline=True,
        statement="Indicators explain more of the flows than physics does, between places that were never seen.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        margin=0.05,
    ),
    _lead_claim(
        "C2d",
        "r2",
        FLOW_FORMULAS,
        setting="migration",
        statement="Indicators explain more of the moves between provinces than physics does.",
        where="abstract; flows",
        published="more; other flows",
        margin=0.05,
    ),
    Claim(
        id="C3a",
        statement="Distance is the most important feature for flows.",
        where="abstract; importance",
        published="a significant role (abstract); first is its strongest reading",
        effect="fall of R^2 of ln carriers when distance is shuffled, minus that of the next indicator (both ends)",
        statistic=_distance_first,
        unit="seed",
        arms=(_ENSEMBLE,),
        settings=_DRIVERS,
        direction="greater",
        margin_why="first or not",
        scale=_AIR,
    ),
    Claim(
        id="C3b",
        statement="Unemployment drives flows.",
        where="abstract; importance",
        published="named among the drivers; no number",
        effect="fall of R^2 of ln carriers when the unemployment rate of both ends is shuffled",
        statistic=_values("importance unemployment rate", arm=_ENSEMBLE, setting=_DRIVERS[0]),
        unit="seed",
        arms=(_ENSEMBLE,),
        settings=_DRIVERS,
        direction="greater",
        margin=0.01,
        margin_why="one point of R^2 is the least that we would call a driver",
        scale=_AIR,
    ),
    Claim.not_tested(
        "C3c",
        "GDP drives flows.",
        where="abstract; importance",
        published="named among the drivers; no number",
        needs="GDP of places beside flows between them; packages carry none",
    ),
    Claim(
        id="C4",
        statement="A few indicators are enough to recover the network.",
        where="abstract; essential indicators",
        published="few; no number",
        effect="accuracy with all 15 indicators minus accuracy with the 4 that training pairs chose, distance in both",
        statistic=_few_are_enough,
        unit="seed",
        arms=(_ENSEMBLE,),
        settings=("elimination",),
        direction="less",
        reference=0.02,
        margin_why="two points of accuracy are what eleven indicators would have to bring to be essential",
        scale=_AIR,
    ),
)
