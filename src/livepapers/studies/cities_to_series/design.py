"""Arms and settings of the cities-to-series study: its forecasting half and its street half."""

from livepapers.baselines.series_rivals import RIVALS
from livepapers.lab.study import Arm, Setting, Table

ENDS = (1993, 1996, 1999, 2002)
"""Last years: the three before and including each are forecast, so that targets do not overlap."""
WINDOW, STRIDE = 7, 3
COUNTS = tuple(f"diseases-{year}" for year in ENDS)
CUMULATIVE = tuple(f"cumulative-{year}" for year in ENDS)
TRAINED = ("regenn", "without evolution", "without encoder", "without highway", "plain lstm")
ABLATIONS = {"without evolution": "evolution", "without encoder": "encoder", "without highway": "highway"}
"""Arm -> the setting that is off."""
ANGLES = tuple(range(90, 176, 5))
FACILITIES = {"tempe": 8, "soho": 13, "manhattan": 4, "bubenec": 3, "grid": 8}
"""Network -> how many facilities stand at random corners."""
REAL = ("tempe", "soho", "manhattan", "bubenec")
PLACED = ("relocation", "vertex substitution", "greedy medians", "central places", "as they stand")
OWN = ("tempe-schools", "soho-pumps")

_QUICK = tuple(name for name in RIVALS if name != "boosted trees")  # a smoke run shall take seconds

_ABOUT = {
    "persistence": "The last value.",
    "drift": "The last value plus the mean step; how many steps is tuned.",
    "seasonal naive": "The value one period ago; the period is tuned.",
    "autoregression": "Least squares a series and variable; lag and logarithms are tuned.",
    "pooled autoregression": "Least squares a variable over all series; lag and logarithms are tuned.",
    "ridge": "Ridge regression on the flattened window; strength and logarithms are tuned.",
    "elastic net": "Elastic net on the flattened window; strength and logarithms are tuned.",
    "boosted trees": "Histogram gradient boosting, one model an output; leaves and logarithms are tuned.",
}
_TUNED = "learning rate and scaling tuned on the dev window (four trainings of a seed of its own), best dev weights"
ARMS = (
    Arm("regenn", "method", f"ReGENN with all its layers; {_TUNED}."),
    Arm("without evolution", "ablation", f"ReGENN without both layers of graph soft evolution; {_TUNED}."),
    Arm("without encoder", "ablation", f"ReGENN without the Transformer encoder; {_TUNED}."),
    Arm("without highway", "ablation", f"ReGENN without the linear highway; {_TUNED}."),
    Arm("plain lstm", "baseline", f"An LSTM whose last state is mapped to all outputs; {_TUNED}."),
    *(
        Arm(name, "floor" if name == "persistence" else "baseline", _ABOUT[name], seeded=False)
        for name in RIVALS
    ),
    Arm("leaky regenn", "method", "ReGENN on the released trainer's scaling, which knows the future's largest values."),
    Arm("leaky drift", "baseline", "Drift on that scaling; how many steps is tuned.", seeded=False),
    Arm("relocation", "method", "Greedy moves that lower the number of inconsistent corners."),
    Arm("vertex substitution", "baseline", "The same moves, lowering the mean way to the nearest facility instead."),
    Arm("greedy medians", "baseline", "p-median by the greedy rule, as many facilities, placed afresh."),
    Arm("central places", "baseline", "The corners with the least mean way to all others."),
    Arm("as they stand", "floor", "Facilities where they are: at random corners, or in their real places."),
    Arm("influence", "method", "Ranks of corners by centralities and by what closing them does.", seeded=False),
    Arm("dual", "method", "Streets grown from segments, minimum angles from 90 to 175 degrees.", seeded=False),
)  # fmt: skip


def _forecasting() -> tuple[Setting, ...]:
    seeds = {"laptop": 3, "paper": 10}
    counts = (
        Setting(
            name, f"51 states, 4 diseases, yearly counts from 1968; the three years up to {year} are forecast.",
            (*TRAINED, *RIVALS), seeds, {"data": "diseases", "end": year}, "forecasting",
        )
        for name, year in zip(COUNTS, ENDS, strict=True)
    )  # fmt: skip
    sums = (
        Setting(
            name, f"Those counts summed up from 1968, as the paper's are; the three years up to {year} are forecast.",
            ("regenn", "leaky regenn", "drift", "leaky drift", "persistence"), seeds,
            {"data": "cumulative", "end": year}, "leak",
        )
        for name, year in zip(CUMULATIVE, ENDS, strict=True)
    )  # fmt: skip
    made = Setting(
        "coupled", "Made series: each of three variables leads the next by a step.",
        (*TRAINED, *_QUICK, "leaky regenn", "leaky drift"), {"smoke": 1, **seeds}, {"data": "coupled"}, "forecasting",
    )  # fmt: skip
    return (*counts, *sums, made)


_TOWNS = {
    "tempe": "A town in Arizona: 220 corners, 293 segments",
    "soho": "Soho of 1854, lines cut at crossings: the largest part",
    "manhattan": "46 corners of Manhattan, most segments one-way",
    "bubenec": "A part of Bubeneč, Prague: 29 corners",
    "grid": "A made grid of 14 by 14 with missing and one-way segments",
}
SETTINGS = (
    *_forecasting(),
    *(
        Setting(
            name, f"{_TOWNS[name]}; {count} facilities at random corners.", PLACED,
            {"smoke": 1, "laptop": 6, "paper": 20} if name in {"manhattan", "grid"} else {"laptop": 6, "paper": 20},
            {"network": name, "count": count}, "streets",
        )
        for name, count in FACILITIES.items()
    ),
    Setting(
        "tempe-schools", f"{_TOWNS['tempe']}; its 8 schools, corners weighed by crimes beside them.",
        (*PLACED, "influence"), {"laptop": 1, "paper": 1}, {"network": "tempe", "places": "schools"}, "streets",
        fixed_seeds=True,
    ),
    Setting(
        "soho-pumps", f"{_TOWNS['soho']}; its 13 pumps, corners weighed by deaths beside them.",
        (*PLACED, "influence"), {"laptop": 1, "paper": 1}, {"network": "soho", "places": "pumps"}, "streets",
        fixed_seeds=True,
    ),
    *(
        Setting(
            f"dual-{name}", f"{_TOWNS[name]}; its dual graph.", ("dual",),
            {"smoke": 1, "laptop": 1, "paper": 1} if name == "manhattan" else {"laptop": 1, "paper": 1},
            {"network": name}, "dual graphs", fixed_seeds=True,
        )
        for name in REAL
    ),
)  # fmt: skip
TABLES = (
    Table("mae", "mean absolute error, cases a year", COUNTS),
    Table("mae", "mean absolute error, cases since 1968", CUMULATIVE),
    Table("share", "inconsistent corners, share", tuple(FACILITIES)),
    Table("mean_distance", "mean way to and from the nearest facility, map units", tuple(FACILITIES)),
)
"""What stands beside the verdicts on the paper's page."""
