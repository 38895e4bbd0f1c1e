"""Claims of the cities-to-series study, fixed before its run."""

import math
from itertools import pairwise

import numpy as np

from livepapers.baselines.series_rivals import RIVALS
from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects
from livepapers.studies.cities_to_series.design import ANGLES, COUNTS, CUMULATIVE, ENDS, FACILITIES, REAL

_RIVALS = ("plain lstm", *RIVALS)
_FORECAST_SCALE = (
    "Paper: COVID-19, 188 countries x up to 120 days x 3 variables, 2,500 epochs, scaling as released. Ours: 51 states "
    f"x 4 diseases, {len(ENDS)} last years x 3 seeds, at most 400 epochs, scaling fitted to the past; a pair is a "
    "training in one last year, and trainings on the same year share its data."
)
_STREET_SCALE = (
    "Paper: Brazilian and other cities from OpenStreetMap. Ours: {} networks of 29 to 220 corners, facilities at "
    "random corners, 6 seeds each, both directions counted."
)


def _best_rival(cells: Cells, setting: str, seed: int) -> float:
    fixed = [cells.value("mae", arm=arm, setting=setting, seed=0) for arm in RIVALS]
    return min(*fixed, cells.value("mae", arm="plain lstm", setting=setting, seed=seed))


def _over_best(cells: Cells) -> Effects:
    effects = {}
    for setting in COUNTS:
        if all(cells.has(arm=arm, setting=setting, seed=0) for arm in RIVALS):
            for seed in cells.seeds(setting=setting, arms=["regenn", "plain lstm"]):
                best = _best_rival(cells, setting, seed)
                ours = cells.value("mae", arm="regenn", setting=setting, seed=seed)
                effects[f"{setting}/seed {seed}"] = 100.0 * (ours / best - 1.0)
    return effects


def _log_ratio(cells: Cells, arm: str, other: str, settings: tuple[str, ...]) -> Effects:
    """log2 of the other arm's error over the arm's."""
    return {
        f"{setting}/seed {seed}": math.log2(
            cells.value("mae", arm=other, setting=setting, seed=seed)
            / max(cells.value("mae", arm=arm, setting=setting, seed=seed), 1e-12)
        )
        for setting in settings
        for seed in cells.seeds(setting=setting, arms=[arm, other])
    }


def _theta_change(cells: Cells) -> Effects:
    return {
        f"{setting}/seed {seed}": cells.value("theta_change", arm="regenn", setting=setting, seed=seed)
        for setting in COUNTS
        for seed in cells.seeds(setting=setting, arms=["regenn"])
    }


def _theta_agreement(cells: Cells) -> Effects:
    """Correlation of a training's graph, sizes off the diagonal, with the mean of the other seeds' graphs."""
    effects = {}
    for setting in COUNTS:
        seeds = cells.seeds(setting=setting, arms=["regenn"])
        graphs = {seed: np.abs(cells.samples("theta", arm="regenn", setting=setting, seed=seed)) for seed in seeds}
        for seed in seeds if len(seeds) > 1 else []:
            others = np.mean([graph for other, graph in graphs.items() if other != seed], axis=0)
            apart = ~np.eye(len(others), dtype=bool)
            effects[f"{setting}/seed {seed}"] = float(np.corrcoef(graphs[seed][apart], others[apart])[0, 1])
    return effects


def _leaky_drift(cells: Cells) -> Effects:
    return _log_ratio(cells, "leaky drift", "drift", CUMULATIVE)


def _share(cells: Cells, arm: str, setting: str, seed: int) -> float:
    return cells.value("share", arm=arm, setting=setting, seed=seed)


def _found(cells: Cells) -> Effects:
    return {
        f"{setting}/seed {seed}": _share(cells, "as they stand", setting, seed)
        for setting in REAL
        for seed in cells.seeds(setting=setting, arms=["as they stand"])
    }


def _removed(cells: Cells) -> Effects:
    """Share of the inconsistent corners that relocation removes; starts without any have nothing to remove."""
    effects = {}
    for setting in FACILITIES:
        for seed in cells.seeds(setting=setting, arms=["relocation", "as they stand"]):
            before = _share(cells, "as they stand", setting, seed)
            if before > 0:
                effects[f"{setting}/seed {seed}"] = 1.0 - _share(cells, "relocation", setting, seed) / before
    return effects


def _against(cells: Cells, metric: str, rival: str) -> Effects:
    effects = {}
    for setting in FACILITIES:
        for seed in cells.seeds(setting=setting, arms=["relocation", rival]):
            ours, theirs = (cells.value(metric, arm=a, setting=setting, seed=seed) for a in ("relocation", rival))
            effects[f"{setting}/seed {seed}"] = 100.0 * (ours - theirs if metric == "share" else ours / theirs - 1.0)
    return effects


def _monotone(cells: Cells) -> Effects:
    """By how many streets a larger angle lowers their number (0: never), and the share of length lost."""
    effects = {}
    for name in REAL:
        if not cells.has(arm="dual", setting=f"dual-{name}", seed=0):
            continue
        for kind in ("icn", "hicn"):
            counts = [cells.value(f"{kind}_{a}", arm="dual", setting=f"dual-{name}", seed=0) for a in ANGLES]
            effects[f"{name} {kind}"] = max(0.0, *(a - b for a, b in pairwise(counts)))
            lost = cells.value(f"{kind}_length_error", arm="dual", setting=f"dual-{name}", seed=0)
            effects[f"{name} {kind} length"] = 1e6 * lost
    return effects


def _fewer(cells: Cells) -> Effects:
    names = [name for name in REAL if cells.has(arm="dual", setting=f"dual-{name}", seed=0)]
    return {
        name: cells.value("segments", arm="dual", setting=f"dual-{name}", seed=0)
        / cells.value("icn_120", arm="dual", setting=f"dual-{name}", seed=0)
        for name in names
    }


_DUALS = tuple(f"dual-{name}" for name in REAL)
CLAIMS = (
    Claim(
        id="C1a",
        statement="ReGENN forecasts counts of a disease with a lower error than the best of its competitors.",
        where="the forecasting chapter's table for COVID-19; abstract",
        published="64.87 % lower than the best of tens of statistical and ensemble methods",
        effect="mean absolute error over that of the best rival in the same test, %",
        statistic=_over_best,
        unit="seed x setting",
        arms=("regenn", *_RIVALS),
        settings=COUNTS,
        direction="less",
        margin=5.0,
        margin_why="the best rival is chosen after the test, as in the paper; under 5 % is no lead",
        scale=_FORECAST_SCALE,
        headline=True,
    ),
    Claim.not_tested(
        "C1b",
        "The same holds for weather stations and for patients in intensive care.",
        where="the forecasting chapter's other two data sets",
        published="not found in the summary that was at hand",
        needs="three years of Brazilian stations, and PhysioNet's challenge of 2012, which no package carries",
    ),
    Claim(
        id="C2",
        statement="Without graph soft evolution the error is larger.",
        where="the forecasting chapter's ablation",
        published="direction only; values not found",
        effect="log2 of the error without evolution over that of the whole network",
        statistic=lambda cells: _log_ratio(cells, "regenn", "without evolution", COUNTS),
        unit="seed x setting",
        arms=("regenn", "without evolution"),
        settings=COUNTS,
        direction="greater",
        margin=math.log2(1.02),
        margin_why="a fiftieth is the least that we would call an effect of a layer",
        scale=_FORECAST_SCALE,
        headline=True,
    ),
    Claim(
        id="C3a",
        statement="The graph between variables changes while the network learns.",
        where="the forecasting chapter's figures of intermediate weights",
        published="shown; no number",
        effect="norm of the change of Theta over its norm before training",
        statistic=_theta_change,
        unit="seed x setting",
        arms=("regenn",),
        settings=COUNTS,
        direction="greater",
        margin=0.1,
        margin_why="a tenth of its size is the least that could be seen in a figure; a check, which hardly any "
        "training could fail",
        scale=_FORECAST_SCALE,
    ),
    Claim(
        id="C3b",
        statement="Independent trainings learn the same graph, without which it could not be interpreted.",
        where="a question of ours about the figures of intermediate weights",
        published=NOT_IN_PAPER,
        effect="correlation of the sizes off the diagonal with the mean of the other seeds'",
        statistic=_theta_agreement,
        unit="seed x setting",
        arms=("regenn",),
        settings=COUNTS,
        direction="greater",
        reference=0.5,
        margin_why="below one half most of what one reads off a graph is of the seed",
        scale=_FORECAST_SCALE,
    ),
    Claim(
        id="L1",
        statement="With the released trainer's scaling, which knows the future's largest values, ReGENN's error on "
        "cumulative counts is less than half of what it is with a scaling fitted to the past.",
        where="a question of ours about the released code",
        published=NOT_IN_PAPER,
        effect="log2 of the error with honest scaling over that with the leak",
        statistic=lambda cells: _log_ratio(cells, "leaky regenn", "regenn", CUMULATIVE),
        unit="seed x setting",
        arms=("regenn", "leaky regenn"),
        settings=CUMULATIVE,
        direction="greater",
        reference=1.0,
        margin_why="less than half, as the statement says",
        scale=_FORECAST_SCALE,
    ),
    Claim(
        id="L2",
        statement="The same leak halves the error of plain drift, which learns nothing.",
        where="a question of ours about the released code",
        published=NOT_IN_PAPER,
        effect="log2 of the error of drift over that of drift with the leak",
        statistic=_leaky_drift,
        unit="exact",
        arms=("drift", "leaky drift"),
        settings=CUMULATIVE,
        direction="greater",
        reference=1.0,
        margin_why="half, as the statement says",
        scale=_FORECAST_SCALE,
    ),
    Claim(
        id="C4a",
        statement="Street networks of real cities have corners whose nearest facility by road is not the nearest in a "
        "straight line.",
        where="section on facility inconsistencies (ICCS 2018)",
        published="found in the cities that were looked at; no single number",
        effect="share of corners that are inconsistent in both directions, facilities at random corners",
        statistic=_found,
        unit="seed x setting",
        arms=("as they stand",),
        settings=REAL,
        direction="greater",
        margin=0.02,
        margin_why="one corner in fifty is the least that a planner would go after",
        scale=_STREET_SCALE.format(4),
    ),
    Claim(
        id="C4b",
        statement="Greedy relocation removes inconsistent corners.",
        where="section on facility inconsistencies (ICCS 2018)",
        published="reduces them; no single number",
        effect="share of the inconsistent corners that it removes",
        statistic=_removed,
        unit="seed x setting",
        arms=("relocation", "as they stand"),
        settings=tuple(FACILITIES),
        direction="greater",
        margin=0.5,
        margin_why="a descent cannot add any; removing less than half would be little",
        scale=_STREET_SCALE.format(5),
        headline=True,
    ),
    Claim(
        id="C4c",
        statement="It leaves fewer inconsistent corners than the same moves made for the mean way (p-median).",
        where="a question of ours: the paper has no such rival",
        published=NOT_IN_PAPER,
        effect="inconsistent corners after relocation minus after vertex substitution, percentage points",
        statistic=lambda cells: _against(cells, "share", "vertex substitution"),
        unit="seed x setting",
        arms=("relocation", "vertex substitution"),
        settings=tuple(FACILITIES),
        direction="less",
        margin=1.0,
        margin_why="one corner in a hundred",
        scale=_STREET_SCALE.format(5),
    ),
    Claim(
        id="C4d",
        statement="What it costs: ways to the nearest facility are at most a tenth longer than with p-medians.",
        where="a question of ours: the paper has no such rival",
        published=NOT_IN_PAPER,
        effect="mean way after relocation over that after vertex substitution, % longer",
        statistic=lambda cells: _against(cells, "mean_distance", "vertex substitution"),
        unit="seed x setting",
        arms=("relocation", "vertex substitution"),
        settings=tuple(FACILITIES),
        direction="less",
        reference=10.0,
        margin_why="a tenth, as the statement says",
        scale=_STREET_SCALE.format(5),
    ),
    Claim(
        id="C5a",
        statement="Growing streets keeps the total length, and a larger minimum angle never lowers their number.",
        where="section on the dual street graph (StreetContinuity)",
        published="by construction",
        effect="streets lost between neighbouring angles from 90 to 175 degrees; millionths of length lost",
        statistic=_monotone,
        unit="exact",
        arms=("dual",),
        settings=_DUALS,
        direction="equal",
        margin=0.5,
        margin_why="counts are whole numbers: within one half is equal; a check of the construction",
        scale="Paper: whole cities. Ours: 4 networks of 35 to 312 segments, with and without road classes.",
    ),
    Claim(
        id="C5b",
        statement="Dual mapping turns segments into far fewer continuous streets.",
        where="section on the dual street graph (StreetContinuity)",
        published="hundreds of segments to far fewer streets; no number",
        effect="segments over streets at 120 degrees",
        statistic=_fewer,
        unit="data set",
        arms=("dual",),
        settings=_DUALS,
        direction="greater",
        reference=2.0,
        margin_why="half as many is the least that we would call far fewer",
        scale="Paper: whole cities. Ours: 4 networks of 35 to 312 segments.",
    ),
)
